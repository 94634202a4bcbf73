//! The active's view of its follower: what it was sent, what it has, what to send next.

use crate::ha::protocol::action::Action;
use crate::ha::protocol::member::Member;
use crate::ha::protocol::member::Part;
use crate::ha::protocol::message::Body;
use crate::ha::protocol::message::Followed;
use crate::ha::protocol::message::Message;
use crate::ha::protocol::message::Progress;
use crate::ha::protocol::settings::AckMode;
use crate::ha::protocol::words::Epoch;
use crate::ha::protocol::words::Incarnation;
use crate::ha::protocol::words::Moment;
use crate::ha::protocol::words::Plan;
use crate::ha::protocol::words::Position;
use std::collections::BTreeMap;

/// A life of the passive, as the active sees it in this epoch.
#[derive(Clone, Debug)]
pub(super) struct Follower {
    pub incarnation: Incarnation,
    /// First heard.
    pub since: Moment,
    /// Last heard.
    pub heard: Moment,
    plans: BTreeMap<Plan, Copy>,
}

/// The follower's copy of a plan's log.
#[derive(Clone, Debug, Default)]
pub(super) struct Copy {
    /// It is a prefix of the active's.
    pub joined: bool,
    /// It cannot take entries.
    pub broken: bool,
    pub matched: Position,
    pub synced: Position,
    /// The next position to send.
    pub next: Position,
    /// A heartbeat, and what had been sent before it: the answer shows what got lost.
    pub probe: Option<(Moment, Position)>,
    /// What was to be sent found no room; it is tried again when the follower is heard.
    pub held_up: bool,
    /// When `matched` grew last, or had nothing to grow for.
    moved: Moment,
    /// When it was last sent a snapshot.
    snapshot: Option<Moment>,
}

impl Copy {
    /// Whether it holds every entry up to a position, on disk where a commit needs both disks.
    pub fn holds(&self, upto: Position, ack: AckMode) -> bool {
        self.joined && upto <= if ack == AckMode::PeerDisk { self.synced } else { self.matched }
    }

    /// Whether it may be waited for.
    pub fn is_close(&self, last: Position, distance: u64) -> bool {
        self.joined && !self.broken && last.0 - self.matched.0.min(last.0) <= distance
    }

    /// Whether it has not moved for long although there is something to take.
    pub fn is_stuck(&self, now: Moment, last: Position, patience: u64) -> bool {
        self.matched < last && now.since(self.moved) > patience
    }
}

impl Follower {
    fn new(incarnation: Incarnation, now: Moment) -> Follower {
        Follower { incarnation, since: now, heard: now, plans: BTreeMap::new() }
    }

    pub fn plan(&mut self, plan: Plan) -> &mut Copy {
        let since = self.since;
        self.plans.entry(plan).or_insert_with(|| Copy { moved: since, ..Copy::default() })
    }

    pub fn copy(&self, plan: Plan) -> Option<&Copy> {
        self.plans.get(&plan)
    }
}

impl Member {
    /// The passive answered a heartbeat, and perhaps promised not to stand.
    pub(super) fn heartbeat_answered(
        &mut self,
        now: Moment,
        (epoch, sent, grant): (Epoch, Moment, u64),
        plans: &[Followed],
        actions: &mut Vec<Action>,
    ) {
        let rules = &self.settings.rules;
        let (from_send, recorded_only) = (rules.grant_from_send, rules.recorded_incarnation_only);
        let counted = self.settings.less_margin(grant);
        let incarnation = self.peer;
        let Some(active) = self.active_mut().filter(|active| active.epoch == epoch) else { return };
        let recorded = active.confirmed.as_ref().map(|peer| peer.incarnation);
        let counts = recorded.is_some() && (!recorded_only || recorded == Some(incarnation));
        if grant > 0 && counts {
            let from = if from_send { sent } else { now };
            active.grant = active.grant.max(from.plus(counted));
        }
        active.link_lost = false;
        self.follower_heard(now);
        for followed in plans {
            self.progressed(now, *followed, Some(sent), actions);
        }
        self.active_tick(now, actions);
    }

    /// The passive has entries in its journal.
    pub(super) fn taken(
        &mut self,
        now: Moment,
        epoch: Epoch,
        followed: Followed,
        actions: &mut Vec<Action>,
    ) {
        if self.epoch() != Some(epoch) {
            return;
        }
        self.follower_heard(now);
        self.progressed(now, followed, None, actions);
        self.commit(followed.plan, actions);
        self.answer(followed.plan, actions);
    }

    fn follower_heard(&mut self, now: Moment) {
        let incarnation = self.peer;
        let Part::Active(active) = &mut self.part else { return };
        active.follower.take_if(|follower| follower.incarnation != incarnation);
        let follower = active.follower.get_or_insert_with(|| Follower::new(incarnation, now));
        follower.heard = now;
        active.left = false;
    }

    fn progressed(
        &mut self,
        now: Moment,
        followed: Followed,
        answers: Option<Moment>,
        actions: &mut Vec<Action>,
    ) {
        let Followed { plan, progress } = followed;
        let patience = self.settings.patience;
        let Part::Active(active) = &mut self.part else { return };
        let (Some(log), Some(follower)) = (self.logs.get(&plan), &mut active.follower) else {
            return;
        };
        let copy = follower.plan(plan);
        copy.broken = progress == Progress::Broken;
        match progress {
            Progress::Follows { matched, synced } => {
                if !copy.joined {
                    copy.joined = true;
                    copy.next = matched.next();
                    copy.probe = None;
                }
                if matched > copy.matched || matched >= log.last() {
                    copy.moved = now;
                }
                copy.matched = copy.matched.max(matched);
                copy.synced = copy.synced.max(synced);
                copy.next = copy.next.max(copy.matched.next());
                if let Some((sent, next)) = copy.probe
                    && answers.is_some_and(|answers| answers >= sent)
                {
                    copy.probe = None;
                    if copy.matched.next() < next {
                        copy.next = copy.matched.next();
                    }
                }
            }
            Progress::NeedsSnapshot => {
                let due = copy.snapshot.is_none_or(|sent| now.since(sent) > patience);
                if due {
                    copy.snapshot = Some(now);
                    actions.push(Action::SendSnapshot { plan });
                }
            }
            // It may have opened its journal anew, with less in it.
            Progress::Apart => {
                (copy.joined, copy.matched, copy.synced) = (false, Position(0), Position(0));
            }
            Progress::Broken => {}
        }
        copy.held_up = false;
        self.ship(now, plan, actions);
    }

    /// Entries after a position are not on their way after all.
    pub(super) fn not_shipped(&mut self, plan: Plan, after: Position) {
        let Some(follower) = self.active_mut().and_then(|active| active.follower.as_mut()) else {
            return;
        };
        let copy = follower.plan(plan);
        copy.next = copy.next.min(after.next()).max(copy.matched.next());
        copy.probe = None;
        copy.held_up = true;
    }

    /// Whether more entries would only wait behind those that found no room.
    pub(super) fn is_held_up(&self, plan: Plan) -> bool {
        let follower = self.active().and_then(|active| active.follower.as_ref());
        follower.and_then(|follower| follower.copy(plan)).is_some_and(|copy| copy.held_up)
    }

    /// How far the follower has said that its copy goes, where it is one of what is here.
    pub fn matched(&self, plan: Plan) -> Option<Position> {
        let follower = self.active()?.follower.as_ref()?;
        follower.copy(plan).filter(|copy| copy.joined).map(|copy| copy.matched)
    }

    /// Sends what the follower has not been sent, as far as the window allows.
    pub(super) fn ship(&mut self, now: Moment, plan: Plan, actions: &mut Vec<Action>) {
        let (ship, window) = (self.settings.ship, self.settings.window);
        let patience = self.settings.patience;
        let from = self.incarnation;
        let Part::Active(active) = &mut self.part else { return };
        let (Some(log), Some(follower)) = (self.logs.get(&plan), &mut active.follower) else {
            return;
        };
        let copy = follower.plan(plan);
        if active.down.contains(&plan) || !copy.joined || copy.broken {
            return;
        }
        if copy.next <= log.shape.base {
            // The journal was trimmed over the follower's head.
            if copy.snapshot.is_none_or(|sent| now.since(sent) > patience) {
                copy.snapshot = Some(now);
                actions.push(Action::SendSnapshot { plan });
            }
            return;
        }
        while copy.next <= log.last() && copy.next.0 <= copy.matched.0 + window {
            let after = Position(copy.next.0 - 1);
            let upto = Position(log.last().0.min(after.0 + ship));
            let body = Body::Entries {
                epoch: active.epoch,
                plan,
                after,
                upto,
                spans: log.shape.spans_between(after, upto),
                committed: log.committed,
            };
            let message = Message { from, body };
            actions.push(Action::Ship { message, plan, after, upto });
            copy.next = upto.next();
        }
    }
}
