//! The operator's words: a planned switch, a promotion, and what is done about plans that parted.

use crate::ha::protocol::action::Action;
use crate::ha::protocol::action::Reason;
use crate::ha::protocol::action::Refusal;
use crate::ha::protocol::active::Active;
use crate::ha::protocol::arbiter::What;
use crate::ha::protocol::input::Word;
use crate::ha::protocol::member::Member;
use crate::ha::protocol::member::Part;
use crate::ha::protocol::message::Body;
use crate::ha::protocol::record::InSync;
use crate::ha::protocol::record::PlanSet;
use crate::ha::protocol::record::Record;
use crate::ha::protocol::words::Epoch;
use crate::ha::protocol::words::Moment;
use crate::ha::protocol::words::Plan;
use crate::ha::protocol::words::Version;

/// A planned switch that is under way at the active.
#[derive(Clone, Debug)]
pub(super) struct Switch {
    since: Moment,
    drained: bool,
}

/// A promotion that the operator wished for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promotion {
    pub force: bool,
    pub since: Moment,
}

impl Member {
    pub(super) fn operator(&mut self, now: Moment, word: Word, actions: &mut Vec<Action>) {
        let refusal = match word {
            Word::Switch => self.switch(now, actions),
            Word::Promote { force } => self.wish_promotion(now, force, actions),
            Word::GiveUpTail { plan } => self.give_up_tail(now, plan, actions),
            Word::Discard { plan } => self.discard(plan),
            Word::Leave => {
                if self.epoch().is_none() {
                    self.send(Body::Leaving, actions);
                    None
                } else {
                    self.switch(now, actions)
                }
            }
        };
        actions.push(refusal.map_or(Action::Accepted, Action::Refused));
    }

    /// Why a planned switch would be refused now; `None`: it is safe.
    pub fn switch_refusal(&self, now: Moment) -> Option<Refusal> {
        let Some(active) = self.active() else { return Some(Refusal::NotActive) };
        let follower = active.follower.as_ref().map(|follower| follower.incarnation);
        let whole = active
            .confirmed
            .as_ref()
            .is_some_and(|peer| peer.lacks.is_empty() && Some(peer.incarnation) == follower);
        if active.switch.is_some() {
            Some(Refusal::Busy)
        } else if !whole || !self.hears(now) {
            Some(Refusal::PeerNotInSync)
        } else {
            None
        }
    }

    fn switch(&mut self, now: Moment, actions: &mut Vec<Action>) -> Option<Refusal> {
        let refusal = self.switch_refusal(now);
        if refusal.is_none()
            && let Some(active) = self.active_mut()
        {
            active.switch = Some(Switch { since: now, drained: false });
            actions.push(Action::Drain);
        }
        refusal
    }

    pub(super) fn drained(&mut self, now: Moment, actions: &mut Vec<Action>) {
        if let Some(switch) = self.active_mut().and_then(|active| active.switch.as_mut()) {
            switch.drained = true;
        }
        self.switch_tick(now, actions);
    }

    /// Hands over as soon as the passive has all there is.
    pub(super) fn switch_tick(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let too_slow = self.settings.switch;
        let hears = self.hears(now);
        let Part::Active(active) = &mut self.part else { return };
        let Some(switch) = active.switch.clone() else { return };
        if now.since(switch.since) > too_slow {
            active.switch = None;
            actions.push(Action::Undrain);
            return actions.push(Action::Refused(Refusal::TooSlow));
        }
        let active = active.clone();
        let (node, incarnation) = (self.node, self.incarnation);
        let Some(known) = self.known().cloned() else { return };
        let mine = known.holder == Some(node) && known.epoch == active.epoch;
        let all = !self.settings.rules.switch_waits_for_all || self.follower_has_all(&active);
        if !switch.drained || !hears || !all || !mine || self.asked.is_some() {
            return;
        }
        let record = Record {
            holder: Some(node.other()),
            holder_lacks: PlanSet::new(),
            in_sync: Some(InSync { incarnation, lacks: PlanSet::new() }),
            ..known
        };
        if self.settings.rules.switch_stops_acting {
            self.become_passive(now, Reason::HandedOver, actions);
        } else if let Some(active) = self.active_mut() {
            active.switch = None;
        }
        self.ask(now, What::HandOver(record), actions);
    }

    /// Whether the confirmed follower has every entry, and every entry is committed.
    fn follower_has_all(&self, active: &Active) -> bool {
        let Some(follower) = &active.follower else { return false };
        let confirmed = active
            .confirmed
            .as_ref()
            .is_some_and(|peer| peer.incarnation == follower.incarnation && peer.lacks.is_empty());
        confirmed
            && active.down.is_empty()
            && self.logs.iter().all(|(plan, log)| {
                let copy = follower.copy(*plan);
                let matched = copy.is_some_and(|copy| copy.holds(log.last(), self.settings.ack));
                matched && log.committed == log.last()
            })
    }

    /// The arbiter has taken the hand-over: the other one may start.
    pub(super) fn handed_over(&mut self, now: Moment, record: &Record, actions: &mut Vec<Action>) {
        if self.settings.rules.switch_stops_acting && self.epoch().is_some() {
            return;
        }
        if let Part::Passive(passive) = &mut self.part {
            passive.heard = now;
        }
        let (epoch, version) = (record.epoch, record.version);
        self.send(Body::YourTurn { epoch, version }, actions);
    }

    /// The record names this node as holder: it is read, and written, at once.
    pub(super) fn your_turn(&mut self, now: Moment, version: Version, actions: &mut Vec<Action>) {
        let news = self.known().is_none_or(|record| record.version < version);
        let bare = self.settings.bare;
        let Some(passive) = self.passive_mut().filter(|_| news || bare) else { return };
        // Without an arbiter the message is all there is: the sender has noted on its disk, before
        // it was sent, that it acts no more.
        passive.turn |= bare;
        self.read_at = Moment(0);
        self.passive_tick(now, actions);
    }

    fn wish_promotion(
        &mut self,
        now: Moment,
        force: bool,
        actions: &mut Vec<Action>,
    ) -> Option<Refusal> {
        let patience = self.settings.patience;
        let Some(passive) = self.passive_mut() else { return Some(Refusal::AlreadyActive) };
        let hears = now.since(passive.heard) < patience && now.since(passive.since) > patience;
        if hears {
            return Some(Refusal::HolderAnswers);
        }
        passive.promotes = Some(Promotion { force, since: now });
        if force {
            // The operator may have exchanged the arbiter.
            self.arbiter = None;
        }
        self.read_at = Moment(0);
        self.passive_tick(now, actions);
        None
    }

    /// A promotion that no arbiter answered is given up.
    pub(super) fn promotion_tick(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let limit = self.settings.lease + 2 * self.settings.answer;
        let Some(passive) = self.passive_mut() else { return };
        if passive.promotes.take_if(|wish| now.since(wish.since) > limit).is_some() {
            actions.push(Action::Refused(Refusal::NoArbiter));
        }
    }

    /// The arbiter was read for a promotion.
    pub(super) fn promote(
        &mut self,
        now: Moment,
        wish: Promotion,
        (record, seen): (&Record, Moment),
        actions: &mut Vec<Action>,
    ) {
        let lock = self.settings.lock;
        let (patience, lease) = (self.settings.patience, record.lease);
        let named = self.is_named(record) && !self.settings.bare;
        let began = self.began;
        let node = self.node;
        let Some(passive) = self.passive_mut() else { return };
        if record.holder.is_none_or(|holder| holder == node) {
            // Its own history goes on, unless it cannot be sure to have all of it.
            let breaks = self.is_doubtful_holder(record);
            if breaks && !wish.force {
                return self.refuse_promotion(Refusal::MayLackEntries, actions);
            }
            return self.start(now, record, Reason::Operator, breaks, actions);
        }
        let heard = passive.heard > began && now.since(passive.heard) < patience;
        if heard {
            return self.refuse_promotion(Refusal::HolderAnswers, actions);
        }
        if !named && !wish.force {
            return self.refuse_promotion(Refusal::MayLackEntries, actions);
        }
        let waited = now >= passive.given && now >= seen.plus(lease);
        if lock {
            actions.push(Action::TestLock { version: record.version });
        } else if waited && passive.standing.is_none() {
            self.stand(now, record.version, Reason::Operator, actions);
        }
    }

    fn refuse_promotion(&mut self, refusal: Refusal, actions: &mut Vec<Action>) {
        if let Some(passive) = self.passive_mut() {
            passive.promotes = None;
        }
        actions.push(Action::Refused(refusal));
    }

    /// The holder's lock was tested for a promotion.
    pub(super) fn promotion_tested(
        &mut self,
        now: Moment,
        version: Version,
        free: bool,
        actions: &mut Vec<Action>,
    ) {
        let current = self.known().is_some_and(|record| record.version == version);
        if !free {
            self.refuse_promotion(Refusal::LockHeld, actions);
        } else if current && self.passive_mut().is_some_and(|passive| passive.standing.is_none()) {
            self.stand(now, version, Reason::Operator, actions);
        }
    }

    /// Runs a plan without the entries that only the other node has.
    fn give_up_tail(
        &mut self,
        now: Moment,
        plan: Plan,
        actions: &mut Vec<Action>,
    ) -> Option<Refusal> {
        let Some(active) = self.active_mut() else { return Some(Refusal::NotActive) };
        if !active.down.contains(&plan) {
            return Some(Refusal::NothingToDo);
        }
        active.regained.insert(plan);
        active.gave_up = true;
        self.active_asks(now, actions);
        None
    }

    /// Lets a plan that was applied beyond the active's log start anew from a snapshot.
    fn discard(&mut self, plan: Plan) -> Option<Refusal> {
        match self.logs.get_mut(&plan).filter(|log| log.diverged) {
            Some(log) => {
                log.diverged = false;
                log.discarded = true;
                log.follows = Epoch(0);
                None
            }
            None => Some(Refusal::NothingToDo),
        }
    }
}
