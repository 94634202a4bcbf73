//! The plans' journals under the pair's hands: what the other node sent is written, and who may
//! append is said.

use std::sync::Arc;
use std::time::Duration;

use tracing::error;
use tracing::warn;

use crate::actors::clock;
use crate::actors::pair::HaManager;
use crate::actors::pair::Tell;
use crate::actors::pair::hub::Log;
use crate::actors::pair::manager::now;
use crate::actors::plan::hold;
use crate::ha::link::freight::Entries;
use crate::ha::protocol::Epoch;
use crate::ha::protocol::Input;
use crate::ha::protocol::Plan;
use crate::ha::protocol::PlanSet;
use crate::ha::protocol::Position;
use crate::ha::protocol::Word;
use crate::journal::JournalError;

/// Pause between two attempts to hand over because of a journal that fails.
const FLIGHTS: Duration = Duration::from_secs(2);

impl HaManager {
    /// Looks at a plan's log: what was appended, what is on disk, what left.
    pub(super) fn look(&mut self, plan: Plan) {
        let Some(log) = self.hub().log(plan) else { return };
        log.mirrored.looked();
        let found = {
            let held = hold(&log.journal);
            held.as_ref().map(|journal| {
                (log.mirrored.epoch(), journal.written(), journal.safe(), journal.base())
            })
        };
        let Some(life) = &self.life else { return };
        let mine = life.member.epoch();
        let known = life.member.log(plan);
        let known = known.map(|log| (log.broken, log.last().0, log.synced.0, log.shape.base.0));
        let Some((was_broken, last, synced, trimmed)) = known else { return };
        let broken = log.mirrored.is_broken();
        if broken != was_broken {
            self.give(Input::PlanBroken { plan, broken }, None);
        }
        let Some((epoch, written, safe, base)) = found else { return };
        if epoch.is_some() && mine == epoch.map(Epoch) && written > last {
            self.give(Input::Appended { plan, last: Position(written) }, None);
        }
        if safe > synced {
            self.give(Input::Synced { plan, upto: Position(safe) }, None);
        }
        if base > trimmed {
            self.give(Input::Trimmed { plan, base: Position(base) }, None);
        }
        self.confirm_left(&log);
    }

    pub(super) fn attached(&mut self, plan: Plan) {
        let Some(log) = self.hub().log(plan) else { return };
        self.heed_early(plan);
        let Some(start) = log.start() else { return };
        self.give(Input::PlanAdded { plan, log: start }, None);
        if let Some(epoch) = self.life.as_ref().and_then(|life| life.member.epoch()) {
            self.let_append(&log, Some(epoch.0));
            (log.nudge)();
        }
        self.look(plan);
    }

    /// The node that follows begins anew with what the journal holds; the one that acts has added
    /// again what was not in it.
    pub(super) fn reopened(&mut self, plan: Plan) {
        self.reading.remove(&plan);
        if self.life.as_ref().is_some_and(|life| life.member.epoch().is_none()) {
            self.give(Input::PlanRemoved { plan }, None);
            self.attached(plan);
        }
        self.look(plan);
    }

    /// From now on entries are appended here in this epoch, or not at all. What the protocol was
    /// not told of when that ended is cut off: nobody has it but this journal.
    pub(super) fn let_append(&self, log: &Arc<Log>, epoch: Option<u64>) {
        let plan = log.mirrored.plan;
        let known = self.life.as_ref().and_then(|life| life.member.log(plan)).map(|log| log.last());
        let mut held = hold(&log.journal);
        log.mirrored.append_in(epoch);
        let (Some(journal), Some(known)) = (held.as_mut(), known) else { return };
        if epoch.is_none() && journal.last() > known.0 {
            let cut = journal.cut(known.0);
            log.mirrored.cut(known.0);
            drop(held);
            self.fails(log, cut);
        } else if journal.last() != known.0 && epoch.is_some() {
            let (last, known) = (journal.last(), known.0);
            error!(plan = %log.name, last, known, "the journal is not what the pair knows of it");
        }
    }

    /// Writes entries that the other node sent.
    pub(super) fn write(&mut self, plan: Plan, after: Position, upto: Position, from: &Entries) {
        let Some(log) = self.hub().log(plan) else { return };
        let first = from.first.0;
        let chosen = from.entries.iter().zip(first..).filter_map(|(entry, position)| {
            let wanted = position > after.0 && position <= upto.0;
            wanted.then_some((entry.epoch.0, entry.body.as_ref()))
        });
        let written = match &mut *hold(&log.journal) {
            Some(journal) if journal.last() == after.0 => journal.append_foreign(chosen),
            Some(journal) => {
                let (last, after) = (journal.last(), after.0);
                let plan = &log.name;
                error!(%plan, last, after, "the journal is not what the pair knows of it");
                breaks(&log);
                Ok(())
            }
            None => {
                breaks(&log);
                Ok(())
            }
        };
        self.fails(&log, written);
    }

    /// Forgets entries after a position.
    pub(super) fn cut(&mut self, plan: Plan, after: Position) {
        let Some(log) = self.hub().log(plan) else { return };
        self.reading.remove(&plan);
        let cut = match &mut *hold(&log.journal) {
            Some(journal) => journal.cut(after.0),
            None => {
                log.mirrored.miss_cut(after.0);
                Ok(())
            }
        };
        log.mirrored.cut(after.0);
        let (plan, after) = (&log.name, after.0);
        warn!(%plan, after, "entries that the other node does not have are cut off, unapplied");
        self.fails(&log, cut);
        (log.nudge)();
    }

    /// Lets syncs be put off where nobody waits for this node's disk.
    pub(super) fn ease_syncs(&self) {
        let Some(life) = &self.life else { return };
        for log in self.estate.hub.logs() {
            log.pace.ease(!life.member.needs_disk(log.mirrored.plan));
        }
    }

    /// Puts a snapshot in place of what the journal holds.
    pub(super) fn install(&mut self, plan: Plan, base: Position) {
        let Some(log) = self.hub().log(plan) else { return };
        self.reading.remove(&plan);
        let known = self.life.as_ref().and_then(|life| life.member.log(plan).cloned());
        let epoch = known.map_or(0, |known| known.shape.base_epoch.0);
        let done = match &mut *hold(&log.journal) {
            Some(journal) => journal.restart_after(base.0, epoch),
            None => {
                log.mirrored.miss_install(base.0, epoch);
                Ok(())
            }
        };
        log.mirrored.install(base.0);
        self.fails(&log, done);
        (log.nudge)();
    }

    /// Hands over where a journal fails here and the other node can go on: it has a disk of its
    /// own.
    pub(super) fn hand_over_where_broken(&mut self) {
        let Some(life) = &self.life else { return };
        if life.member.epoch().is_none() || life.member.switch_refusal(now()).is_some() {
            return;
        }
        let broken = self.estate.hub.logs().into_iter().find(|log| log.mirrored.is_broken());
        let elapsed = clock::elapsed();
        if let Some(log) = broken
            && elapsed.saturating_sub(self.fled_at) > FLIGHTS
        {
            self.fled_at = elapsed;
            warn!(plan = %log.name, "its journal fails here: handing over to the other node");
            self.give(Input::Operator(Word::Switch), None);
        }
    }

    fn fails(&self, log: &Log, done: Result<(), JournalError>) {
        if let Err(error) = done {
            error!(plan = %log.name, %error, "the plan's journal fails");
            breaks(log);
        }
    }

    /// Has every journal but these synced as far as it is now, and says so. Where one fails that is
    /// tried again from time to time, until all are synced or there is a newer wish: nobody asks
    /// twice.
    pub(super) fn sync_all(&mut self, token: u64, besides: PlanSet) {
        self.unsynced = None;
        let mut syncers = Vec::new();
        for log in self.hub().logs() {
            if besides.contains(&log.mirrored.plan) {
                continue;
            }
            let flushed = match &mut *hold(&log.journal) {
                Some(journal) => {
                    journal.flush().map(|()| syncers.push((journal.syncer(), journal.written())))
                }
                // Of a journal that fails nobody can say that it is on disk.
                None => {
                    self.unsynced = Some((token, besides));
                    return;
                }
            };
            if flushed.is_err() {
                self.unsynced = Some((token, besides));
                return self.fails(&log, flushed);
            }
        }
        let hub = self.hub();
        let work = move || {
            let synced = syncers.into_iter().all(|(syncer, upto)| syncer.sync(upto).is_ok());
            hub.tell(if synced { Tell::SyncedAll(token) } else { Tell::NotSynced(token, besides) });
        };
        if let Err(error) = std::thread::Builder::new().name("sync all".to_owned()).spawn(work) {
            error!(%error, "no thread for syncing the journals");
        }
    }

    /// What the plan's thread has written since it was looked at last is told now.
    pub(super) fn flush(&mut self, plan: Plan) {
        let Some(log) = self.hub().log(plan) else { return };
        let flushed = hold(&log.journal).as_mut().map_or(Ok(()), |journal| journal.flush());
        self.fails(&log, flushed);
    }

    /// Tells the protocol of everything that was appended.
    pub(super) fn appended(&mut self, plan: Plan, epoch: Epoch, last: u64) {
        let known = self.life.as_ref().and_then(|life| life.member.log(plan)).map(|log| log.last());
        let mine = self.life.as_ref().and_then(|life| life.member.epoch());
        if mine == Some(epoch) && known.is_some_and(|known| last > known.0) {
            self.give(Input::Appended { plan, last: Position(last) }, None);
        }
    }
}

/// Notes that a plan's journal cannot be used, and has the plan's thread look: it opens journals
/// anew.
fn breaks(log: &Log) {
    log.mirrored.set_broken(true);
    (log.nudge)();
}
