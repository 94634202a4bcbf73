//! The active's side: when it may act, its heartbeats, and who is written in sync.

use crate::ha::protocol::action::Action;
use crate::ha::protocol::action::Reason;
use crate::ha::protocol::arbiter::What;
use crate::ha::protocol::input::Journal;
use crate::ha::protocol::member::Member;
use crate::ha::protocol::member::Part;
use crate::ha::protocol::message::Body;
use crate::ha::protocol::message::Offered;
use crate::ha::protocol::mirror::Follower;
use crate::ha::protocol::operator::Switch;
use crate::ha::protocol::record::InSync;
use crate::ha::protocol::record::PlanSet;
use crate::ha::protocol::record::Record;
use crate::ha::protocol::words::Epoch;
use crate::ha::protocol::words::Generation;
use crate::ha::protocol::words::Incarnation;
use crate::ha::protocol::words::Moment;
use crate::ha::protocol::words::Plan;
use crate::ha::protocol::words::Position;

/// What a node knows while it is active.
#[derive(Clone, Debug)]
pub(super) struct Active {
    pub epoch: Epoch,
    pub since: Moment,
    /// Plans that may not run here: only the other node has all of their entries.
    pub down: PlanSet,
    /// Of those, the ones whose entries have all been taken by now, or were given up.
    pub regained: PlanSet,
    /// A plan was given up: the next write begins a new generation.
    pub gave_up: bool,
    pub lease: Moment,
    pub grant: Moment,
    /// Who is in sync, by the last answered write.
    pub confirmed: Option<InSync>,
    /// All that the record may say: the confirmed and every write sent since.
    pub possible: Vec<Option<InSync>>,
    /// Whom commits wait for already, though it is not written in sync yet.
    pub courted: Option<InSync>,
    /// Somebody is about to be taken off, once all journals are fsynced.
    pub leaving: Option<Leaving>,
    pub follower: Option<Follower>,
    /// The follower ended in order.
    pub left: bool,
    pub link_lost: bool,
    pub asked_at: Moment,
    pub beat_at: Moment,
    pub tail_at: Moment,
    pub switch: Option<Switch>,
}

/// The record is going to say less than it does. From the moment the fsync is asked for, commits
/// heed what it will say.
#[derive(Clone, Debug)]
pub(super) struct Leaving {
    token: u64,
    target: Option<InSync>,
    /// The journals are on disk.
    ready: bool,
}

impl Active {
    /// Every value that the record may have, or be about to have.
    pub fn values(&self) -> impl Iterator<Item = Option<&InSync>> {
        let leaving = self.leaving.iter().map(|leaving| leaving.target.as_ref());
        let courted = self.courted.iter().map(Some);
        self.possible.iter().map(Option::as_ref).chain(leaving).chain(courted)
    }

    /// Whether the record may name somebody who could stand.
    fn may_be_followed(&self) -> bool {
        self.values().any(|value| value.is_some())
    }

    /// Whether nobody else can stand: known by an own write, and nothing else was sent since.
    fn is_alone(&self, ends_with_sync_sent: bool) -> bool {
        let sent = || self.possible.iter().any(Option::is_some);
        self.confirmed.is_none() && !(ends_with_sync_sent && sent())
    }

    pub fn peer_leaves(&mut self, incarnation: Incarnation) {
        let gone = self.follower.take_if(|follower| follower.incarnation == incarnation);
        self.left |= gone.is_some();
    }
}

impl Member {
    pub(super) fn become_active(
        &mut self,
        now: Moment,
        sent: Moment,
        record: &Record,
        reason: Reason,
        actions: &mut Vec<Action>,
    ) {
        let counted_from = if self.settings.rules.lease_from_send { sent } else { now };
        self.generation = record.generation;
        self.highest = self.highest.max(record.epoch);
        if self.journal != Journal::Sound {
            self.journal = Journal::Sound;
            actions.push(Action::DoubtOver);
        }
        // What was answered in an earlier epoch may have been cut off since.
        self.answered.clear();
        for log in self.logs.values_mut() {
            log.follows = record.epoch;
            log.inherited = log.last();
        }
        self.part = Part::Active(Active {
            epoch: record.epoch,
            since: now,
            down: self.holder_lacks(record),
            regained: PlanSet::new(),
            gave_up: false,
            lease: counted_from.plus(self.settings.lease_counted()),
            grant: Moment(0),
            confirmed: record.in_sync.clone(),
            possible: vec![record.in_sync.clone()],
            courted: None,
            leaving: None,
            follower: None,
            left: false,
            link_lost: false,
            asked_at: sent,
            beat_at: Moment(0),
            tail_at: Moment(0),
            switch: None,
        });
        self.note_whole(actions);
        self.tell_role(now, reason, actions);
        self.active_tick(now, actions);
    }

    fn holder_lacks(&self, record: &Record) -> PlanSet {
        let heeded = self.settings.rules.lacking_stays_down;
        if heeded { record.holder_lacks.clone() } else { PlanSet::new() }
    }

    /// Whether an emission may begin at this moment. To be asked directly before each.
    pub fn may_act(&self, now: Moment) -> bool {
        self.active().is_some_and(|active| {
            let alone = active.is_alone(self.settings.rules.alone_ends_with_sync_sent);
            now < active.lease || now < active.grant || alone
        })
    }

    /// Whether the record may name another node that could go on where this one stops.
    #[must_use]
    pub fn may_be_followed(&self) -> bool {
        self.active().is_some_and(Active::may_be_followed)
    }

    /// Until when emissions may begin if nothing more happens; `None` is never again. For callers
    /// that test often, on other threads.
    pub fn may_act_until(&self) -> Option<Moment> {
        let active = self.active()?;
        let alone = active.is_alone(self.settings.rules.alone_ends_with_sync_sent);
        if alone { Some(Moment(u64::MAX)) } else { Some(active.lease.max(active.grant)) }
    }

    /// Whether entries of the plan may be numbered at this moment.
    pub fn may_append(&self, now: Moment, plan: Plan) -> bool {
        self.may_act(now)
            && self.logs.contains_key(&plan)
            && self
                .active()
                .is_some_and(|active| active.switch.is_none() && !active.down.contains(&plan))
    }

    /// Entries were numbered and written here.
    pub(super) fn appended(
        &mut self,
        now: Moment,
        plan: Plan,
        last: Position,
        actions: &mut Vec<Action>,
    ) {
        let Some(epoch) = self.epoch() else { return };
        let Some(log) = self.logs.get_mut(&plan) else { return };
        log.shape.extend(epoch, last);
        if !self.is_held_up(plan) {
            self.ship(now, plan, actions);
        }
        self.commit(plan, actions);
        self.answer(plan, actions);
    }

    pub(super) fn active_tick(&mut self, now: Moment, actions: &mut Vec<Action>) {
        self.beat(now, actions);
        self.court(now);
        self.switch_tick(now, actions);
        self.active_asks(now, actions);
        self.ask_for_tails(now, actions);
        let plans: Vec<Plan> = self.logs.keys().copied().collect();
        for plan in plans {
            self.commit(plan, actions);
            self.answer(plan, actions);
        }
    }

    fn beat(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let interval = self.settings.heartbeat;
        // A heartbeat that overtakes entries does not show what got lost.
        let probes = !self.entries_wait;
        let Part::Active(active) = &mut self.part else { return };
        if active.beat_at != Moment(0) && now.since(active.beat_at) < interval {
            return;
        }
        active.beat_at = now;
        let mut plans = Vec::with_capacity(self.logs.len());
        for (plan, log) in &self.logs {
            if active.down.contains(plan) {
                continue;
            }
            let joined = active.follower.as_mut().is_some_and(|follower| {
                let copy = follower.plan(*plan);
                if probes {
                    copy.probe.get_or_insert((now, copy.next));
                }
                copy.joined
            });
            let shape = if joined { None } else { Some(log.shape.clone()) };
            plans.push(Offered { plan: *plan, committed: log.committed, shape });
        }
        let Some(generation) = self.generation else { return };
        let epoch = active.epoch;
        self.send(Body::Heartbeat { epoch, generation, sent: now, plans }, actions);
    }

    /// Whether the follower was heard of late.
    pub(super) fn hears(&self, now: Moment) -> bool {
        self.active().is_some_and(|active| {
            let patience = if active.link_lost {
                self.settings.patience.min(3 * self.settings.heartbeat)
            } else {
                self.settings.patience
            };
            let heard = active.follower.as_ref().map(|follower| follower.heard);
            heard.is_some_and(|heard| now.since(heard) < patience)
        })
    }

    /// Decides whom commits wait for before it is written in sync: a node that is heard and close.
    fn court(&mut self, now: Moment) {
        let hears = self.hears(now);
        let Part::Active(active) = &mut self.part else { return };
        active.courted = None;
        let Some(follower) = active.follower.as_mut().filter(|_| hears) else { return };
        let close = self.settings.window / 16;
        let incarnation = follower.incarnation;
        let confirmed = active.confirmed.as_ref().filter(|peer| peer.incarnation == incarnation);
        let mut lacks = PlanSet::new();
        for (plan, log) in &self.logs {
            let covered = confirmed.is_some_and(|peer| !peer.lacks.contains(plan));
            let down = active.down.contains(plan);
            if down || !covered && !follower.plan(*plan).is_close(log.last(), close) {
                lacks.insert(*plan);
            }
        }
        if lacks.len() < self.logs.len() || self.logs.is_empty() {
            active.courted = Some(InSync { incarnation, lacks });
        }
    }

    /// Who ought to be recorded in sync now.
    fn wanted(&mut self, now: Moment) -> Option<InSync> {
        let hears = self.hears(now);
        let patience = self.settings.patience;
        let ack = self.settings.ack;
        let holds_all = self.settings.rules.in_sync_holds_committed;
        let recorded = self.known().and_then(|record| record.in_sync.clone());
        let Part::Active(active) = &mut self.part else { return recorded };
        if active.follower.is_none() && !active.left && now.since(active.since) < patience {
            return recorded;
        }
        let follower = active.follower.as_mut().filter(|_| hears)?;
        let incarnation = follower.incarnation;
        let recorded = recorded.filter(|recorded| recorded.incarnation == incarnation);
        // Of a plan that is down here nobody knows whether this life of the other has all of it.
        let mut lacks = active.down.clone();
        for (plan, log) in &self.logs {
            if active.down.contains(plan) {
                continue;
            }
            let covered = recorded.as_ref().is_some_and(|peer| !peer.lacks.contains(plan));
            let copy = follower.plan(*plan);
            let holds = copy.holds(log.owed(), ack) || !holds_all;
            let stuck = copy.is_stuck(now, log.last(), 5 * patience);
            let kept = covered && !copy.broken && !stuck;
            if !kept && (!holds || copy.broken) {
                lacks.insert(*plan);
            }
        }
        let waited = recorded.is_some() || now.since(follower.since) > 2 * patience;
        let whole = lacks.len() == active.down.len();
        let some = lacks.len() < self.logs.len();
        (whole || some && waited).then_some(InSync { incarnation, lacks })
    }

    /// Renews the lease, or writes who is in sync, when nothing else is out.
    pub(super) fn active_asks(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let Some(active) = self.active() else { return };
        let (epoch, regained) = (active.epoch, active.regained.clone());
        let due = now.since(active.asked_at) >= self.settings.renew;
        if self.asked.is_some() {
            return;
        }
        let Some(known) = self.known().cloned() else { return };
        if known.holder != Some(self.node) || known.epoch != epoch {
            return self.read_when_due(now, due, actions);
        }
        let wanted = self.wanted(now);
        let covers = |peer: &Option<InSync>, plan: &Plan| {
            peer.as_ref().is_some_and(|peer| !peer.lacks.contains(plan))
        };
        let taken_off = |wanted: &Option<InSync>| {
            let left = |plan: &Plan| covers(&known.in_sync, plan) && !covers(wanted, plan);
            known.in_sync.is_some() && wanted.is_none() || self.logs.keys().any(left)
        };
        let must_sync = self.settings.rules.sync_before_alone && taken_off(&wanted);
        if must_sync && !self.has_synced_for(&wanted, actions) {
            return self.keep_when(due, now, &known, known.in_sync.clone(), actions);
        }
        let changes = wanted != known.in_sync || !regained.is_empty();
        self.keep_when(due || changes, now, &known, wanted, actions);
        if let Some(active) = self.active_mut() {
            active.leaving = None;
        }
    }

    /// Whether the journals are on disk since it was decided to write this; if not, asks for it.
    fn has_synced_for(&mut self, wanted: &Option<InSync>, actions: &mut Vec<Action>) -> bool {
        let token = self.token();
        let Some(active) = self.active_mut() else { return false };
        match &active.leaving {
            Some(leaving) if leaving.target == *wanted => leaving.ready,
            _ => {
                active.leaving = Some(Leaving { token, target: wanted.clone(), ready: false });
                actions.push(Action::SyncAll { token, besides: PlanSet::new() });
                false
            }
        }
    }

    fn read_when_due(&mut self, now: Moment, due: bool, actions: &mut Vec<Action>) {
        if due {
            if let Some(active) = self.active_mut() {
                active.asked_at = now;
            }
            self.read(now, actions);
        }
    }

    /// Every journal is on disk: somebody may be taken off, if that is still wanted.
    pub(super) fn synced_for_alone(&mut self, now: Moment, token: u64, actions: &mut Vec<Action>) {
        let Part::Active(active) = &mut self.part else { return };
        match &mut active.leaving {
            Some(leaving) if leaving.token == token => leaving.ready = true,
            _ => return,
        }
        self.active_asks(now, actions);
    }

    fn keep_when(
        &mut self,
        due: bool,
        now: Moment,
        known: &Record,
        in_sync: Option<InSync>,
        actions: &mut Vec<Action>,
    ) {
        let (node, incarnation, lease) = (self.node, self.incarnation, self.settings.lease);
        let Part::Active(active) = &mut self.part else { return };
        if !due {
            return;
        }
        active.asked_at = now;
        if !active.possible.contains(&in_sync) {
            active.possible.push(in_sync.clone());
        }
        let mut record = Record { lease, in_sync, ..known.clone() };
        record.holder_lacks.retain(|plan| !active.regained.contains(plan));
        if active.gave_up {
            let epoch = active.epoch;
            let generation = Generation { epoch, node, incarnation };
            record.generation = Some(generation);
        }
        self.ask(now, What::Keep(record), actions);
    }

    /// The answer to an own write: lease, and who is in sync, are known from here on.
    pub(super) fn kept(
        &mut self,
        now: Moment,
        sent: Moment,
        record: &Record,
        actions: &mut Vec<Action>,
    ) {
        let counted = self.settings.lease_counted();
        let from = if self.settings.rules.lease_from_send { sent } else { now };
        let down = self.holder_lacks(record);
        let Part::Active(active) = &mut self.part else { return };
        if record.epoch != active.epoch {
            return;
        }
        active.lease = active.lease.max(from.plus(counted));
        active.confirmed = record.in_sync.clone();
        active.possible = vec![record.in_sync.clone()];
        if active.confirmed.is_none() {
            active.grant = Moment(0);
        }
        let changed = down != active.down || self.generation != record.generation;
        if changed {
            active.regained.retain(|plan| down.contains(plan));
            active.gave_up = false;
            active.down = down;
            self.generation = record.generation;
            self.note_whole(actions);
            self.tell_role(now, Reason::TailTaken, actions);
        }
        self.active_tick(now, actions);
    }

    /// What a careless node would do with a record it only read; see the rule.
    pub(super) fn believe(&mut self, record: &Record) {
        let mine = record.holder == Some(self.node) && record.in_sync.is_none();
        let newest = self.known().is_some_and(|known| known.version <= record.version);
        if let Part::Active(active) = &mut self.part
            && mine
            && newest
            && record.epoch == active.epoch
        {
            active.confirmed = None;
            active.possible = vec![None];
        }
    }
}
