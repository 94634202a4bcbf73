//! The passive's side: following the active's logs, acknowledging, and promising not to stand.

use crate::ha::protocol::action::Action;
use crate::ha::protocol::action::Alarm;
use crate::ha::protocol::log::PlanLog;
use crate::ha::protocol::log::Shape;
use crate::ha::protocol::log::Span;
use crate::ha::protocol::member::Member;
use crate::ha::protocol::member::Part;
use crate::ha::protocol::message::Body;
use crate::ha::protocol::message::Followed;
use crate::ha::protocol::message::Offered;
use crate::ha::protocol::message::Progress;
use crate::ha::protocol::operator::Promotion;
use crate::ha::protocol::tail::Tails;
use crate::ha::protocol::takeover::Standing;
use crate::ha::protocol::words::Epoch;
use crate::ha::protocol::words::Generation;
use crate::ha::protocol::words::Moment;
use crate::ha::protocol::words::Plan;
use crate::ha::protocol::words::Position;

/// What a node knows while it is passive.
#[derive(Clone, Debug)]
pub(super) struct Passive {
    /// When it became so.
    pub since: Moment,
    /// When it became so, or heard the active last.
    pub heard: Moment,
    pub link_lost: bool,
    /// Until then it promised not to stand.
    pub given: Moment,
    /// A stand is being made.
    pub standing: Option<Standing>,
    /// A kernel lock was once found free; only a careless node would go by it.
    pub lock_was_free: bool,
    /// What the other node showed of its logs.
    pub tails: Tails,
    /// The operator's promotion that is being done.
    pub promotes: Option<Promotion>,
    /// The other node named this one as holder.
    pub turn: bool,
}

impl Passive {
    pub fn new(now: Moment) -> Passive {
        Passive {
            since: now,
            heard: now,
            link_lost: false,
            given: Moment(0),
            standing: None,
            lock_was_free: false,
            tails: Tails::default(),
            promotes: None,
            turn: false,
        }
    }
}

/// An offered log as it may have become since: the active only appends, in its epoch.
fn extended(offered: &Shape, epoch: Epoch) -> Shape {
    let mut shape = offered.clone();
    if shape.spans.last().is_none_or(|span| span.epoch != epoch) {
        shape.spans.push(Span { first: shape.last.next(), epoch });
    }
    shape.last = Position(u64::MAX);
    shape
}

impl Member {
    pub(super) fn heartbeat(
        &mut self,
        now: Moment,
        (epoch, generation, sent): (Epoch, Generation, Moment),
        plans: Vec<Offered>,
        actions: &mut Vec<Action>,
    ) {
        let rules = self.settings.rules.clone();
        let mut grant = self.settings.grant;
        let mut takes = true;
        let Some(passive) = self.passive_mut() else { return };
        if let Some(standing) = &passive.standing {
            if standing.sent {
                takes = !rules.no_entries_while_standing;
                grant = if rules.no_grant_while_standing { 0 } else { grant };
                if !takes && grant == 0 {
                    return;
                }
            } else {
                passive.standing = None;
            }
        }
        passive.heard = now;
        passive.link_lost = false;
        passive.given = passive.given.max(now.plus(grant));
        self.generation = Some(generation);
        let mut progress = Vec::with_capacity(plans.len());
        if takes {
            for offered in plans {
                progress.push(self.offered(epoch, &offered, actions));
            }
        }
        let to = self.peer;
        self.send(Body::Heard { epoch, to, sent, grant, plans: progress }, actions);
    }

    /// Finds this node's place in the active's log of a plan, and applies what is committed.
    fn offered(&mut self, epoch: Epoch, offered: &Offered, actions: &mut Vec<Action>) -> Followed {
        let plan = offered.plan;
        if !self.logs.contains_key(&plan) && !self.removed.contains(&plan) {
            self.logs.insert(plan, PlanLog::default());
            actions.push(Action::OpenLog { plan });
        }
        let progress = match (self.logs.get(&plan), &offered.shape) {
            (None, _) => Progress::Apart,
            (Some(log), _) if log.broken => Progress::Broken,
            (Some(log), Some(shape)) if log.follows != epoch => {
                self.join(epoch, plan, shape, actions)
            }
            (Some(log), _) => self.progress(epoch, log),
        };
        if matches!(progress, Progress::Follows { .. }) {
            self.apply(plan, offered.committed, actions);
        }
        Followed { plan, progress }
    }

    fn progress(&self, epoch: Epoch, log: &PlanLog) -> Progress {
        if log.broken {
            Progress::Broken
        } else if log.follows == epoch {
            Progress::Follows { matched: log.last(), synced: log.synced }
        } else {
            Progress::Apart
        }
    }

    /// Cuts off what the active does not have, so that this log is a beginning of its log.
    fn join(
        &mut self,
        epoch: Epoch,
        plan: Plan,
        shape: &Shape,
        actions: &mut Vec<Action>,
    ) -> Progress {
        let by_epoch = self.settings.rules.prefix_by_epoch;
        let Some(log) = self.logs.get_mut(&plan) else { return Progress::Apart };
        if log.diverged {
            return Progress::Apart;
        }
        let common = if by_epoch {
            log.shape.common(&extended(shape, epoch))
        } else {
            Some(log.last().min(shape.last)).filter(|common| *common >= shape.base)
        };
        let applied = log.committed;
        match common {
            Some(common) if common >= applied => {
                if common < log.last() {
                    log.cut(common);
                    actions.push(Action::Cut { plan, after: common });
                }
                log.follows = epoch;
                log.needs_snapshot = false;
                Progress::Follows { matched: log.last(), synced: log.synced }
            }
            _ if common.is_none() && applied <= shape.base || log.discarded => {
                log.needs_snapshot = true;
                Progress::NeedsSnapshot
            }
            _ => {
                log.diverged = true;
                let common = common.unwrap_or_default();
                actions.push(Action::Alarm(Alarm::AppliedBeyond { plan, applied, common }));
                Progress::Apart
            }
        }
    }

    /// Applies what the active has committed, as far as it is here.
    fn apply(&mut self, plan: Plan, committed: Position, actions: &mut Vec<Action>) {
        let told = self.settings.rules.passive_applies_committed;
        let Some(log) = self.logs.get_mut(&plan) else { return };
        let upto = if told { committed.min(log.last()) } else { log.last() };
        if upto > log.committed {
            log.committed = upto;
            actions.push(Action::Commit { plan, upto });
        }
    }

    /// Takes entries that follow what is here; whatever else comes is answered with where this
    /// log ends.
    pub(super) fn entries(
        &mut self,
        now: Moment,
        epoch: Epoch,
        plan: Plan,
        (after, upto, spans): (Position, Position, Vec<Span>),
        committed: Position,
        actions: &mut Vec<Action>,
    ) {
        let takes_always = !self.settings.rules.no_entries_while_standing;
        let Some(passive) = self.passive_mut() else { return };
        let sent = passive.standing.as_ref().is_some_and(|standing| standing.sent);
        if sent && !takes_always {
            return;
        }
        if !sent {
            passive.standing = None;
        }
        passive.heard = now;
        let Some(log) = self.logs.get_mut(&plan) else { return };
        if log.follows != epoch || log.broken {
            return;
        }
        let last = log.last();
        if after <= last && upto > last {
            for (index, span) in spans.iter().enumerate() {
                let end = spans.get(index + 1).map_or(upto, |next| Position(next.first.0 - 1));
                log.shape.extend(span.epoch, end);
            }
            actions.push(Action::Append { plan, after: last, upto });
        }
        let progress = Progress::Follows { matched: log.last(), synced: log.synced };
        let (to, plan_progress) = (self.peer, Followed { plan, progress });
        self.send(Body::Taken { epoch, to, plan: plan_progress }, actions);
        self.apply(plan, committed, actions);
    }

    /// A snapshot has come: it is put in place if it goes further than the log, or nothing else
    /// could help. It holds committed entries only, so that nothing is lost by it.
    pub(super) fn snapshot_arrived(
        &mut self,
        plan: Plan,
        base: Position,
        base_epoch: Epoch,
        actions: &mut Vec<Action>,
    ) {
        let open = match &self.part {
            Part::Active(active) => active.down.contains(&plan),
            Part::Passive(passive) => !passive.standing.as_ref().is_some_and(|s| s.sent),
        };
        let Some(log) = self.logs.get_mut(&plan).filter(|_| open) else { return };
        let forward = base >= log.committed || log.discarded;
        if forward && (log.needs_snapshot || base > log.last()) {
            log.install(base, base_epoch);
            actions.push(Action::Install { plan, base });
        }
    }
}
