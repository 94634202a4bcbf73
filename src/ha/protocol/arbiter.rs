//! Asking the arbiter, and what its answers teach.

use crate::ha::protocol::action::Action;
use crate::ha::protocol::action::Alarm;
use crate::ha::protocol::action::Asking;
use crate::ha::protocol::action::Reason;
use crate::ha::protocol::input::Journal;
use crate::ha::protocol::input::Outcome;
use crate::ha::protocol::member::Member;
use crate::ha::protocol::member::Part;
use crate::ha::protocol::record::Record;
use crate::ha::protocol::words::Moment;
use crate::ha::protocol::words::RequestId;

/// A question that is out.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub request: RequestId,
    pub what: What,
    pub sent: Moment,
}

/// What was asked; with each write the record that was proposed.
#[derive(Clone, Debug)]
pub(super) enum What {
    Read,
    /// The active renews its lease, or changes who is in sync.
    Keep(Record),
    /// The active names the other node as holder.
    HandOver(Record),
    /// This passive wants to be active: it was not the holder, for this reason.
    Stand(Record, Reason),
    /// This passive is the recorded holder.
    Start(Record, Reason),
}

impl Member {
    pub(super) fn read(&mut self, now: Moment, actions: &mut Vec<Action>) {
        self.ask(now, What::Read, actions);
    }

    /// Asks, unless a question is out already.
    pub(super) fn ask(&mut self, now: Moment, what: What, actions: &mut Vec<Action>) {
        self.asked_last += 1;
        let request = RequestId(self.asked_last);
        let asking = match &what {
            What::Read => Asking::Read,
            What::Keep(record)
            | What::HandOver(record)
            | What::Stand(record, _)
            | What::Start(record, _) => {
                Asking::Write { expected: record.version, record: Box::new(record.clone()) }
            }
        };
        self.asked = Some(Asked { request, what, sent: now });
        actions.push(Action::Ask { request, asking });
    }

    /// A question that is out for too long counts as unanswered: a write may still land, and until
    /// a later one is answered both outcomes count.
    pub(super) fn give_up_asking(&mut self, now: Moment) {
        if self.asked.as_ref().is_some_and(|out| now.since(out.sent) > self.settings.answer) {
            self.asked = None;
        }
    }

    pub(super) fn answered(
        &mut self,
        now: Moment,
        request: RequestId,
        outcome: Outcome,
        actions: &mut Vec<Action>,
    ) {
        let mine = self.asked.as_ref().is_some_and(|out| out.request == request);
        let (won, record) = match outcome {
            Outcome::Silent => {
                if mine {
                    self.asked = None;
                }
                return;
            }
            Outcome::Read(record) | Outcome::Lost(record) => (false, record),
            Outcome::Won(record) => (true, record),
        };
        if self.is_foreign(&record, actions) {
            return;
        }
        let out = if mine { self.asked.take() } else { None };
        match out {
            Some(out) if won => self.won(now, out, &record, actions),
            Some(out) => {
                self.see_record(now, &record, actions);
                match (out.what, &self.part) {
                    (What::Read, Part::Passive(_)) => self.consider(now, actions),
                    (What::Stand(..), Part::Passive(_)) => self.stand_failed(),
                    (What::Keep(_), Part::Active(_)) => self.active_asks(now, actions),
                    _ => {}
                }
            }
            None => self.see_record(now, &record, actions),
        }
        if !self.settings.rules.own_writes_only {
            self.believe(&record);
        }
    }

    /// An own write was taken: the record is what was proposed, and every older write is dead.
    fn won(&mut self, now: Moment, out: Asked, record: &Record, actions: &mut Vec<Action>) {
        let outdated = self.highest > record.epoch;
        match out.what {
            What::Read => self.see_record(now, record, actions),
            What::Keep(_) => {
                self.see_record(now, record, actions);
                self.kept(now, out.sent, record, actions);
            }
            What::HandOver(_) => {
                self.see_record(now, record, actions);
                self.handed_over(now, record, actions);
            }
            What::Stand(_, reason) | What::Start(_, reason) => {
                let passive = matches!(self.part, Part::Passive(_));
                self.see_record(now, record, actions);
                if passive && !outdated {
                    self.become_active(now, out.sent, record, reason, actions);
                }
            }
        }
    }

    /// Notes a record if it is newer than what is known.
    fn see_record(&mut self, now: Moment, record: &Record, actions: &mut Vec<Action>) {
        let newer = match &self.record {
            Some((known, _)) => record.version > known.version,
            None => true,
        };
        if newer {
            let was = self.known().and_then(|known| known.holder);
            let handed = was == Some(self.node.other()) && record.holder == Some(self.node);
            if let Some(passive) = self.passive_mut().filter(|_| handed) {
                passive.turn = true;
            }
            self.record = Some((record.clone(), now));
        }
        self.see_epoch(now, record.epoch, actions);
        let Some((known, _)) = &self.record else { return };
        let named = known.in_sync.as_ref().map(|peer| peer.incarnation);
        let in_sync = known.holder == Some(self.node.other()) && named == Some(self.incarnation);
        if in_sync && self.journal != Journal::Sound {
            self.journal = Journal::Sound;
            actions.push(Action::DoubtOver);
        }
        let version = known.version;
        if newer {
            self.note_whole(actions);
        }
        if let Part::Passive(passive) = &mut self.part
            && passive.standing.as_ref().is_some_and(|standing| version > standing.version)
        {
            passive.standing = None;
        }
    }

    /// Whether the answer came from another store than the one this node obeys.
    fn is_foreign(&mut self, record: &Record, actions: &mut Vec<Action>) -> bool {
        match self.arbiter {
            None => {
                self.arbiter = Some(record.arbiter);
                actions.push(Action::RememberArbiter(record.arbiter));
                false
            }
            Some(expected) if expected != record.arbiter => {
                let found = record.arbiter;
                self.say_once(Alarm::ArbiterChanged { expected, found }, actions);
                true
            }
            Some(_) => false,
        }
    }

    /// The record this node knows.
    pub(super) fn known(&self) -> Option<&Record> {
        self.record.as_ref().map(|(record, _)| record)
    }
}
