//! From passive to active: a stand against a silent holder, and the start of the recorded one.

use crate::ha::protocol::action::Action;
use crate::ha::protocol::action::Alarm;
use crate::ha::protocol::action::Reason;
use crate::ha::protocol::action::Waiting;
use crate::ha::protocol::arbiter::What;
use crate::ha::protocol::input::Journal;
use crate::ha::protocol::member::Member;
use crate::ha::protocol::member::Part;
use crate::ha::protocol::record::InSync;
use crate::ha::protocol::record::PlanSet;
use crate::ha::protocol::record::Record;
use crate::ha::protocol::settings::AckMode;
use crate::ha::protocol::words::Epoch;
use crate::ha::protocol::words::Generation;
use crate::ha::protocol::words::Moment;
use crate::ha::protocol::words::Version;

/// A stand that is being made: first the journals go to disk, then the record is written.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// It is for this version; with any later one it is over.
    pub version: Version,
    /// The write was sent and may land: until its outcome is known no entry is taken and nothing
    /// is promised.
    pub sent: bool,
    token: u64,
    began: Moment,
    reason: Reason,
}

impl Member {
    pub(super) fn passive_tick(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let settings = &self.settings;
        let (silence, poll, beat) = (settings.silence, settings.poll, settings.heartbeat);
        self.promotion_tick(now, actions);
        let settings = &self.settings;
        let Part::Passive(passive) = &self.part else { return };
        let silent = passive.link_lost || now.since(passive.heard) >= silence;
        let syncing = passive
            .standing
            .as_ref()
            .is_some_and(|s| !s.sent && now.since(s.began) <= settings.answer);
        let due = now.since(self.read_at) >= if silent { beat.min(poll) } else { poll };
        if self.asked.is_none() && !syncing && (due || self.record.is_none()) {
            self.read_at = now;
            self.read(now, actions);
        }
        let holder = self.known().and_then(|record| record.holder);
        if self.settings.lock && !self.settings.rules.lock_after_read && silent {
            // Only a careless node tests before it reads.
            let version = self.known().map(|record| record.version).unwrap_or_default();
            actions.push(Action::TestLock { version });
        }
        if holder == Some(self.node) && self.journal != Journal::Sound {
            self.ask_for_all_tails(now, actions);
        }
    }

    /// The arbiter has just answered a read of this passive: perhaps it is time to start or to
    /// stand.
    pub(super) fn consider(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let Some((record, seen)) = self.record.clone() else { return };
        let bare = self.settings.bare;
        let Some(passive) = self.passive_mut() else { return };
        if let Some(wish) = passive.promotes {
            return self.promote(now, wish, (&record, seen), actions);
        }
        if bare && passive.turn {
            return self.start(now, &record, Reason::HandedOver, false, actions);
        }
        if self.settings.bare {
            return self.say_once(Alarm::Waits(Waiting::Bare), actions);
        }
        match record.holder {
            None if self.may_claim(now) => {
                self.start(now, &record, Reason::Started, false, actions);
            }
            None => {}
            Some(holder) if holder == self.node => self.consider_start(now, &record, actions),
            Some(_) => self.consider_stand(now, &record, seen, actions),
        }
    }

    /// Whether this node may be the first holder of all. A blank one first listens for one with
    /// data.
    fn may_claim(&self, now: Moment) -> bool {
        let listened = now.since(self.began) >= self.settings.patience;
        self.journal != Journal::Blank || listened && self.highest == Epoch(0)
    }

    /// The record names this node as holder.
    fn consider_start(&mut self, now: Moment, record: &Record, actions: &mut Vec<Action>) {
        let rules = self.settings.rules.clone();
        if !rules.own_writes_only && record.in_sync.is_none() {
            let record = record.clone();
            return self.become_active(now, Moment(0), &record, Reason::Started, actions);
        }
        let turn = self.passive_mut().is_some_and(|passive| passive.turn);
        let reason = if turn { Reason::HandedOver } else { Reason::Started };
        if !self.is_doubtful_holder(record) || !self.settings.rules.doubt {
            return self.start(now, record, reason, false, actions);
        }
        // What the other node lacks was on this disk alone, and is gone if that is blank.
        let waits = rules.blank_waits_for_lacking && self.journal == Journal::Blank;
        if record.in_sync.as_ref().is_none_or(|peer| waits && !peer.lacks.is_empty()) {
            return self.say_once(Alarm::Waits(Waiting::Blank), actions);
        }
        let Part::Passive(passive) = &self.part else { return };
        let taken = passive.tails.taken(&self.logs);
        match taken {
            None => self.say_once(Alarm::Doubtful, actions),
            Some(doubtful) => {
                if doubtful {
                    self.say_once(Alarm::BothDoubtful, actions);
                }
                self.start(now, record, Reason::Started, doubtful, actions);
            }
        }
    }

    /// Whether this node, the recorded holder, may lack entries that were acknowledged.
    pub(super) fn is_doubtful_holder(&self, record: &Record) -> bool {
        match self.journal {
            Journal::Sound => false,
            Journal::Doubtful => record.in_sync.is_some() && self.settings.ack != AckMode::PeerDisk,
            Journal::Decayed => record.in_sync.is_some(),
            // Unless it is this life's very first claim whose answer got lost.
            Journal::Blank => record.generation.is_some_and(|generation| {
                (generation.epoch, generation.incarnation) != (record.epoch, self.incarnation)
            }),
        }
    }

    /// Writes this node's start, which raises the epoch and leaves in sync or alone as it was.
    pub(super) fn start(
        &mut self,
        now: Moment,
        record: &Record,
        reason: Reason,
        breaks: bool,
        actions: &mut Vec<Action>,
    ) {
        let epoch = if self.settings.rules.epoch_on_start || record.holder.is_none() {
            self.next_epoch(record)
        } else {
            record.epoch
        };
        let fresh = Generation { epoch, node: self.node, incarnation: self.incarnation };
        // A node's own file knows nothing of what the other one wrote into its file.
        let own = !self.settings.bare || record.holder == Some(self.node);
        let known = if own { record.generation } else { self.generation };
        let generation = known.filter(|_| !breaks).unwrap_or(fresh);
        let start = Record {
            epoch,
            generation: Some(generation),
            holder: Some(self.node),
            lease: self.settings.lease,
            in_sync: record.in_sync.clone().filter(|_| own),
            ..record.clone()
        };
        self.ask(now, What::Start(start, reason), actions);
    }

    /// An epoch that nobody had. Without an arbiter the two nodes have different ones.
    fn next_epoch(&self, record: &Record) -> Epoch {
        let next = self.highest.max(record.epoch).next();
        let foreign = self.settings.bare && next.0 % 2 != self.node.index() as u64;
        if foreign { next.next() } else { next }
    }

    /// Whether the record lets this node stand.
    pub(super) fn is_named(&self, record: &Record) -> bool {
        let Some(peer) = &record.in_sync else { return !self.settings.rules.in_sync_checked };
        let restarted = match self.journal {
            Journal::Sound => true,
            Journal::Doubtful => self.settings.ack == AckMode::PeerDisk,
            Journal::Decayed | Journal::Blank => false,
        };
        peer.incarnation == self.incarnation || restarted || !self.settings.rules.in_sync_checked
    }

    /// The record names the other node as holder.
    fn consider_stand(
        &mut self,
        now: Moment,
        record: &Record,
        seen: Moment,
        actions: &mut Vec<Action>,
    ) {
        let (grant, lock) = (self.settings.grant, self.settings.lock);
        let rules = self.settings.rules.clone();
        let silence = self.settings.silence;
        let Part::Passive(passive) = &self.part else { return };
        let silent = passive.link_lost || now.since(passive.heard) >= silence;
        let long_silent = now.since(passive.heard) >= record.lease;
        let lock_was_free = passive.lock_was_free;
        let mut waited = now >= passive.given && now >= seen.plus(record.lease);
        if rules.wait_after_start {
            waited &= now >= self.began.plus(grant);
        }
        if !self.is_named(record) {
            if long_silent {
                let named = record.in_sync.is_some();
                let why = if named { Waiting::Doubt } else { Waiting::NotInSync };
                self.say_once(Alarm::Waits(why), actions);
            }
            return;
        }
        if waited || silent && !rules.stand_waits {
            self.stand(now, record.version, Reason::LeaseRanOut, actions);
        } else if lock && !rules.lock_after_read && lock_was_free {
            self.stand(now, record.version, Reason::HolderEnded, actions);
        } else if lock && silent {
            actions.push(Action::TestLock { version: record.version });
        }
    }

    /// A lock found free after the version was read proves that this version's holder has ended.
    pub(super) fn lock_tested(
        &mut self,
        now: Moment,
        version: Version,
        free: bool,
        actions: &mut Vec<Action>,
    ) {
        let Some(record) = self.known().cloned() else { return };
        let other = Some(self.node.other());
        let named = record.holder == other && self.is_named(&record);
        let Some(passive) = self.passive_mut() else { return };
        passive.lock_was_free = free;
        if passive.promotes.is_some() {
            return self.promotion_tested(now, version, free, actions);
        }
        let standing = passive.standing.as_ref().is_some_and(|standing| !standing.sent);
        let current = free && record.version == version && self.settings.rules.lock_after_read;
        if current && named && !standing && !self.settings.bare {
            self.stand(now, version, Reason::HolderEnded, actions);
        }
    }

    /// Plans that would stay down after a stand against this record: the holder ran them, and this
    /// node lacks entries of theirs.
    fn would_stay_down(&self, record: &Record) -> PlanSet {
        let mut lacks = record.in_sync.as_ref().map(|peer| peer.lacks.clone()).unwrap_or_default();
        // Of what was down at the holder this node may have the only whole copy.
        lacks.retain(|plan| self.logs.get(plan).is_none_or(|log| !log.whole));
        lacks
    }

    /// Plans that need not be on disk for a stand against this record, so that a journal that fails
    /// for good harms no other plan: those that stay down, and by the operator's word, which allows
    /// a loss, those that fail.
    fn may_be_unsynced(&self, record: &Record) -> PlanSet {
        if self.is_named(record) && !self.settings.bare {
            return self.would_stay_down(record);
        }
        self.logs.iter().filter(|(_, log)| log.broken).map(|(plan, _)| *plan).collect()
    }

    /// Begins a stand against this version: first what is held goes to disk.
    pub(super) fn stand(
        &mut self,
        now: Moment,
        version: Version,
        reason: Reason,
        actions: &mut Vec<Action>,
    ) {
        let token = self.token();
        let synced = !self.settings.rules.sync_before_stand;
        let besides = self.known().map(|record| self.may_be_unsynced(record)).unwrap_or_default();
        let Some(passive) = self.passive_mut() else { return };
        let sent = passive.standing.as_ref().is_some_and(|standing| standing.sent);
        passive.standing = Some(Standing { version, sent, token, began: now, reason });
        if synced {
            self.synced_for_stand(now, token, actions);
        } else {
            actions.push(Action::SyncAll { token, besides });
        }
    }

    /// Everything held is on disk: the stand is written, if the arbiter answered a moment ago.
    pub(super) fn synced_for_stand(&mut self, now: Moment, token: u64, actions: &mut Vec<Action>) {
        let answer = self.settings.answer;
        let writes_alone = self.settings.rules.stand_writes_alone;
        let Some(record) = self.known().cloned() else { return };
        let epoch = self.next_epoch(&record);
        let (node, incarnation, peer) = (self.node, self.incarnation, self.peer);
        let lease = self.settings.lease;
        let named = self.is_named(&record) && !self.settings.bare;
        let writing = !matches!(self.asked.as_ref().map(|out| &out.what), None | Some(What::Read));
        let Some(passive) = self.passive_mut() else { return };
        let forced = passive.promotes.is_some_and(|wish| wish.force);
        let Some(standing) = &mut passive.standing else { return };
        if standing.token != token || standing.version != record.version || writing {
            return;
        }
        if now.since(standing.began) > answer {
            if !standing.sent {
                passive.standing = None;
            }
            return;
        }
        if !named && !forced {
            // The operator's word for it was given up meanwhile: nobody would be told of a loss.
            passive.standing = None;
            return;
        }
        standing.sent = true;
        let reason = standing.reason;
        let breaks = forced && !named;
        let fresh = Generation { epoch, node, incarnation };
        let generation = record.generation.filter(|_| !breaks).unwrap_or(fresh);
        let lacks = self.would_stay_down(&record);
        let stale = InSync { incarnation: peer, lacks: PlanSet::new() };
        let stand = Record {
            epoch,
            generation: Some(generation),
            holder: Some(node),
            holder_lacks: if breaks { PlanSet::new() } else { lacks },
            lease,
            in_sync: if writes_alone { None } else { Some(stale) },
            ..record
        };
        self.ask(now, What::Stand(stand, reason), actions);
    }

    /// The stand was refused: somebody wrote before, and none of its writes can land any more.
    pub(super) fn stand_failed(&mut self) {
        if let Some(passive) = self.passive_mut() {
            passive.standing = None;
        }
    }
}
