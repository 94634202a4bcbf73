//! One node's part in the pair: its state, and where each input goes.

use crate::ha::protocol::action::Action;
use crate::ha::protocol::action::Alarm;
use crate::ha::protocol::action::Reason;
use crate::ha::protocol::action::Role;
use crate::ha::protocol::active::Active;
use crate::ha::protocol::arbiter::Asked;
use crate::ha::protocol::input::Input;
use crate::ha::protocol::input::Journal;
use crate::ha::protocol::input::LogStart;
use crate::ha::protocol::input::Start;
use crate::ha::protocol::log::PlanLog;
use crate::ha::protocol::message::Body;
use crate::ha::protocol::message::Message;
use crate::ha::protocol::passive::Passive;
use crate::ha::protocol::record::PlanSet;
use crate::ha::protocol::record::Record;
use crate::ha::protocol::settings::Settings;
use crate::ha::protocol::words::ArbiterId;
use crate::ha::protocol::words::Epoch;
use crate::ha::protocol::words::Generation;
use crate::ha::protocol::words::Incarnation;
use crate::ha::protocol::words::Moment;
use crate::ha::protocol::words::NodeId;
use crate::ha::protocol::words::Plan;
use crate::ha::protocol::words::Position;
use std::collections::BTreeMap;

/// One node's protocol state. See the module's text for the words.
#[derive(Clone, Debug)]
pub struct Member {
    pub(super) settings: Settings,
    pub(super) node: NodeId,
    pub(super) incarnation: Incarnation,
    pub(super) journal: Journal,
    /// When this life began.
    pub(super) began: Moment,
    pub(super) logs: BTreeMap<Plan, PlanLog>,
    /// Numbers of undeployed plans: a late message does not bring their logs back.
    pub(super) removed: PlanSet,
    /// The highest epoch seen anywhere; messages below it are refused.
    pub(super) highest: Epoch,
    /// Of the results.
    pub(super) generation: Option<Generation>,
    pub(super) arbiter: Option<ArbiterId>,
    /// The newest record seen, and when its version was seen first.
    pub(super) record: Option<(Record, Moment)>,
    pub(super) asked: Option<Asked>,
    pub(super) asked_last: u64,
    pub(super) read_at: Moment,
    pub(super) tokens: u64,
    /// The newest life of the peer that was heard.
    pub(super) peer: Incarnation,
    pub(super) part: Part,
    /// Entries wait to be sent, and a heartbeat overtakes them.
    pub(super) entries_wait: bool,
    /// Producers were answered up to here.
    pub(super) answered: BTreeMap<Plan, Position>,
    /// The last thing said about not starting, so that it is said once.
    pub(super) said: Option<Alarm>,
    pub(super) changed: (Moment, Reason),
}

/// What a node does in the pair.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Passive(Passive),
    Active(Active),
}

impl Member {
    /// A node's part at the start of its process; it takes its kernel lock before.
    pub fn new(settings: Settings, start: Start, now: Moment) -> Member {
        let mut highest = Epoch(0);
        let mut logs = BTreeMap::new();
        for (plan, found) in start.plans {
            highest = highest.max(found.shape.end().0);
            logs.insert(plan, found.into());
        }
        Member {
            settings,
            node: start.node,
            incarnation: start.incarnation,
            journal: start.journal,
            began: now,
            logs,
            removed: PlanSet::new(),
            highest,
            generation: None,
            arbiter: start.arbiter,
            record: None,
            asked: None,
            asked_last: 0,
            read_at: Moment(0),
            tokens: 0,
            peer: Incarnation(0),
            part: Part::Passive(Passive::new(now)),
            entries_wait: false,
            answered: BTreeMap::new(),
            said: None,
            changed: (now, Reason::Started),
        }
    }

    /// Takes what happened and pushes what is to be done, in that order. `now` never goes back.
    pub fn handle(&mut self, now: Moment, input: Input, actions: &mut Vec<Action>) {
        match input {
            Input::Tick => self.tick(now, actions),
            Input::Heard(message) => self.hear(now, message, actions),
            Input::LinkLost => self.lose_link(now, actions),
            Input::Arbiter { request, outcome } => self.answered(now, request, outcome, actions),
            Input::Appended { plan, last } => self.appended(now, plan, last, actions),
            Input::Synced { plan, upto } => self.synced(plan, upto, actions),
            Input::SyncedAll { token } => self.synced_all(now, token, actions),
            Input::LockTested { version, free } => self.lock_tested(now, version, free, actions),
            Input::PlanAdded { plan, log } => {
                self.removed.remove(&plan);
                self.logs.entry(plan).or_insert_with(|| log.into());
                self.note_whole(actions);
            }
            Input::PlanRemoved { plan } => {
                self.removed.insert(plan);
                self.logs.remove(&plan);
                if let Some(active) = self.active_mut().filter(|a| a.down.contains(&plan)) {
                    active.regained.insert(plan);
                }
                self.answered.remove(&plan);
            }
            Input::PlanBroken { plan, broken } => {
                if let Some(log) = self.logs.get_mut(&plan) {
                    log.broken = broken;
                }
            }
            Input::Unwritten { plan, after } => {
                if let Some(log) = self.logs.get_mut(&plan) {
                    (log.broken, log.follows) = (true, Epoch(0));
                    log.cut(after.max(log.shape.base));
                }
            }
            Input::EntriesWait(wait) => self.entries_wait = wait,
            Input::NotShipped { plan, after } => self.not_shipped(plan, after),
            Input::Trimmed { plan, base } => {
                if let Some(log) = self.logs.get_mut(&plan) {
                    log.shape.trim(base);
                }
            }
            Input::SnapshotArrived { plan, base, base_epoch } => {
                self.snapshot_arrived(plan, base, base_epoch, actions);
            }
            Input::Drained => self.drained(now, actions),
            Input::Operator(word) => self.operator(now, word, actions),
        }
    }

    fn tick(&mut self, now: Moment, actions: &mut Vec<Action>) {
        self.give_up_asking(now);
        match self.part {
            Part::Active(_) => self.active_tick(now, actions),
            Part::Passive(_) => self.passive_tick(now, actions),
        }
    }

    fn lose_link(&mut self, now: Moment, actions: &mut Vec<Action>) {
        match &mut self.part {
            Part::Active(active) => active.link_lost = true,
            Part::Passive(passive) => passive.link_lost = true,
        }
        self.tick(now, actions);
    }

    fn hear(&mut self, now: Moment, message: Message, actions: &mut Vec<Action>) {
        let Message { from, body } = message;
        if from < self.peer {
            let alarm = Alarm::OldIncarnation { heard: from, known: self.peer };
            return self.say_once(alarm, actions);
        }
        if let Some(epoch) = body.epoch() {
            if epoch < self.highest && self.settings.rules.old_epoch_refused {
                return;
            }
            self.see_epoch(now, epoch, actions);
        }
        self.peer = from;
        match body {
            Body::Heartbeat { epoch, generation, sent, plans } => {
                self.heartbeat(now, (epoch, generation, sent), plans, actions);
            }
            Body::Entries { epoch, plan, after, upto, spans, committed } => {
                self.entries(now, epoch, plan, (after, upto, spans), committed, actions);
            }
            Body::Heard { epoch, to, sent, grant, plans } => {
                if to == self.incarnation {
                    self.heartbeat_answered(now, (epoch, sent, grant), &plans, actions);
                }
            }
            Body::Taken { epoch, to, plan } => {
                if to == self.incarnation {
                    self.taken(now, epoch, plan, actions);
                }
            }
            Body::TailRequest { asked, plans, all } => {
                self.tail_requested(asked, &plans, all, actions);
            }
            Body::Tail { to, asked, plan, doubtful, whole, shape, after, upto, plans } => {
                if to == self.incarnation && asked >= self.since() {
                    let worth = (doubtful, whole);
                    self.tail(now, (plan, plans), worth, shape, (after, upto), actions);
                }
            }
            Body::YourTurn { version, .. } => self.your_turn(now, version, actions),
            Body::Leaving => {
                if let Part::Active(active) = &mut self.part {
                    active.peer_leaves(from);
                }
                self.tick(now, actions);
            }
        }
    }

    /// An epoch was seen: whoever acts in an older one stops.
    pub(super) fn see_epoch(&mut self, now: Moment, epoch: Epoch, actions: &mut Vec<Action>) {
        let stale = self.epoch().is_some_and(|mine| mine < epoch);
        self.highest = self.highest.max(epoch);
        if stale {
            self.become_passive(now, Reason::NewerEpoch, actions);
        }
    }

    pub(super) fn become_passive(&mut self, now: Moment, why: Reason, actions: &mut Vec<Action>) {
        self.part = Part::Passive(Passive::new(now));
        for log in self.logs.values_mut() {
            log.follows = Epoch(0);
        }
        self.tell_role(now, why, actions);
    }

    pub(super) fn tell_role(&mut self, now: Moment, reason: Reason, actions: &mut Vec<Action>) {
        self.changed = (now, reason);
        self.said = None;
        let (role, epoch, down) = match &self.part {
            Part::Active(active) => (Role::Active, active.epoch, active.down.clone()),
            Part::Passive(_) => (Role::Passive, self.highest, PlanSet::new()),
        };
        let generation = self.generation;
        actions.push(Action::Role { role, epoch, generation, down, reason });
    }

    /// The epoch this node acts in, if it is active.
    pub fn epoch(&self) -> Option<Epoch> {
        match &self.part {
            Part::Active(active) => Some(active.epoch),
            Part::Passive(_) => None,
        }
    }

    /// When this node became what it is now.
    fn since(&self) -> Moment {
        match &self.part {
            Part::Active(active) => active.since,
            Part::Passive(passive) => passive.since,
        }
    }

    /// The history that results are part of.
    pub fn generation(&self) -> Option<Generation> {
        self.generation
    }

    /// This life.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The log of a plan as the protocol sees it.
    pub fn log(&self, plan: Plan) -> Option<&PlanLog> {
        self.logs.get(&plan)
    }

    pub(super) fn message(&self, body: Body) -> Message {
        Message { from: self.incarnation, body }
    }

    pub(super) fn send(&self, body: Body, actions: &mut Vec<Action>) {
        actions.push(Action::Send(self.message(body)));
    }

    pub(super) fn token(&mut self) -> u64 {
        self.tokens += 1;
        self.tokens
    }

    pub(super) fn active(&self) -> Option<&Active> {
        match &self.part {
            Part::Active(active) => Some(active),
            Part::Passive(_) => None,
        }
    }

    pub(super) fn active_mut(&mut self) -> Option<&mut Active> {
        match &mut self.part {
            Part::Active(active) => Some(active),
            Part::Passive(_) => None,
        }
    }

    pub(super) fn passive_mut(&mut self) -> Option<&mut Passive> {
        match &mut self.part {
            Part::Passive(passive) => Some(passive),
            Part::Active(_) => None,
        }
    }

    /// Tells people something, once in a row.
    pub(super) fn say_once(&mut self, alarm: Alarm, actions: &mut Vec<Action>) {
        if self.said.as_ref() != Some(&alarm) {
            actions.push(Action::Alarm(alarm.clone()));
            self.said = Some(alarm);
        }
    }

    /// Notes which logs hold every committed entry, and takes back what is true no longer, before
    /// anything follows from the record that says so.
    pub(super) fn note_whole(&mut self, actions: &mut Vec<Action>) {
        let changes = self.logs.iter().filter_map(|(plan, log)| {
            self.is_whole(*plan).filter(|whole| *whole != log.whole).map(|whole| (*plan, whole))
        });
        for (plan, whole) in changes.collect::<Vec<_>>() {
            if let Some(log) = self.logs.get_mut(&plan) {
                log.whole = whole;
                actions.push(Action::Whole { plan, whole });
            }
        }
    }

    /// Whether this node's log of a plan holds every committed entry, if the record says so or
    /// otherwise. Nobody adds to a plan that is down at the holder: what the other node's copy was
    /// worth before, it is worth still, whatever the record says of it.
    fn is_whole(&self, plan: Plan) -> Option<bool> {
        if let Part::Active(active) = &self.part {
            return Some(!active.down.contains(&plan));
        }
        let record = self.known()?;
        let runs = !record.holder_lacks.contains(&plan);
        if record.holder != Some(self.node.other()) {
            return Some(false).filter(|_| record.holder == Some(self.node) && !runs);
        }
        let peer = record.in_sync.as_ref()?;
        if peer.lacks.contains(&plan) {
            return Some(false).filter(|_| runs && self.settings.rules.whole_taken_back);
        }
        Some(true).filter(|_| peer.incarnation == self.incarnation)
    }

    /// Everything is fsynced that was written when it was asked for.
    fn synced_all(&mut self, now: Moment, token: u64, actions: &mut Vec<Action>) {
        match self.part {
            Part::Active(_) => self.synced_for_alone(now, token, actions),
            Part::Passive(_) => self.synced_for_stand(now, token, actions),
        }
    }

    /// A plan's journal is fsynced up to a position; a report from before a cut may say more.
    fn synced(&mut self, plan: Plan, upto: Position, actions: &mut Vec<Action>) {
        let Some(log) = self.logs.get_mut(&plan) else { return };
        log.synced = log.synced.max(upto.min(log.last()));
        self.commit(plan, actions);
        self.answer(plan, actions);
    }
}

impl From<LogStart> for PlanLog {
    fn from(found: LogStart) -> PlanLog {
        let LogStart { shape, synced, applied, whole } = found;
        PlanLog { synced, committed: applied, shape, whole, ..PlanLog::default() }
    }
}
