//! The log of a plan at work: gives entries their positions, and tells when they may be applied.
//!
//! An entry may be applied once it is safe: at once where nothing is kept on disk, else when the
//! disk has it, and in a pair when the pair says so. Questions wait in the same line, so that they
//! see all that was ordered before. What this process did not order, but its former life or the
//! other node did, is read from the journal.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;

use crate::actors::plan::Applied;
use crate::actors::plan::JournalSource;
use crate::actors::plan::Journaled;
use crate::actors::plan::Mirrored;
use crate::actors::plan::Misfit;
use crate::actors::plan::Question;
use crate::actors::plan::SharedJournal;
use crate::actors::plan::Switch;
use crate::actors::plan::Told;
use crate::actors::plan::Unordered;
use crate::actors::plan::Waiting;
use crate::actors::plan::hold;
use crate::actors::tree::Room;
use crate::disk::RealDisk;
use crate::event::codec::Encode;
use crate::journal::JournalError;
use crate::journal::Records;
use crate::replica::LogEntry;
use crate::replica::Outcome;

/// Entries that may wait to become safe; beyond that nothing is ordered.
const WAITING_MAX: usize = 4096;

/// Why a log does not work.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The journal says why.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Which entry is applied cannot be noted.
    #[error("cannot note which entry of the plan's log is being applied: {0}")]
    Note(std::io::Error),
    /// The journal could not take what the other node sent.
    #[error("the plan's log does not take the other node's entries")]
    Failed,
    /// After it was opened again the journal lacks entries that were applied.
    #[error(
        "the disk has lost entries of the plan's log: it ends at {last}, but {next} comes next; \
         start the node again, so that it takes them from the other one"
    )]
    Lost {
        /// The last one.
        last: u64,
        /// The one that was to come.
        next: u64,
    },
    /// A record is no entry this program knows.
    #[error("the entry at position {position} of the plan's log cannot be read by this version")]
    Unreadable {
        /// Its position.
        position: u64,
    },
}

impl LedgerError {
    /// Whether opening the journal again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        use JournalError::{Full, Io, Poisoned};
        let transient = matches!(self, Self::Journal(Full { .. } | Io { .. } | Poisoned(_)));
        transient || matches!(self, Self::Note(_) | Self::Failed)
    }
}

/// The log of a plan at work.
#[derive(Debug)]
pub struct Ledger {
    waiting: VecDeque<Waiting>,
    /// The position of the last entry that this ledger knows of.
    ordered: u64,
    /// The position of the first entry that was not given out to be applied.
    next: u64,
    /// Entries up to here are of an earlier time: of a former life, or of a former active.
    found: u64,
    journal: SharedJournal,
    source: Option<JournalSource>,
    /// Where the journal is read, and the position that comes next there.
    reading: Option<(u64, Records<RealDisk>)>,
    /// Entries that could not be written; the next flush says why.
    failed: Option<JournalError>,
    mirrored: Option<Arc<Mirrored>>,
    /// The epoch in which this ledger orders at present.
    stint: Option<u64>,
    /// Something was ordered of which the pair was not told yet.
    untold: bool,
}

impl Ledger {
    /// A log that is kept nowhere.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            waiting: VecDeque::new(),
            ordered: 0,
            next: 1,
            found: 0,
            journal: SharedJournal::default(),
            source: None,
            reading: None,
            failed: None,
            mirrored: None,
            stint: None,
            untold: false,
        }
    }

    /// A log that is kept in a journal, of which everything up to `applied` has been applied.
    #[must_use]
    pub fn in_journal(source: JournalSource, journal: Journaled, applied: u64) -> Self {
        let last = journal.last();
        Self {
            ordered: last,
            next: applied + 1,
            found: last,
            journal: Arc::new(Mutex::new(Some(journal))),
            source: Some(source),
            ..Self::in_memory()
        }
    }

    /// The same as one of a pair: the other node has its say in what is safe.
    pub fn mirror(&mut self, mirrored: Arc<Mirrored>) {
        self.mirrored = Some(mirrored);
    }

    /// What the pair says to this log, if this node is one of a pair.
    #[must_use]
    pub fn mirrored(&self) -> Option<&Arc<Mirrored>> {
        self.mirrored.as_ref()
    }

    /// The journal, for the pair; empty while it is opened anew, and where nothing is kept.
    #[must_use]
    pub fn journal(&self) -> &SharedJournal {
        &self.journal
    }

    /// Whether there is nothing in the log.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ordered == 0
    }

    /// Whether there is room to order more.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting.len() < WAITING_MAX
    }

    /// Whether something is ordered and not yet applied.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() || self.is_catching_up()
    }

    /// Whether something can be applied.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        let question = self.waiting.front().is_some_and(|first| self.may_answer(first));
        question || self.next <= self.safe()
    }

    fn may_answer(&self, first: &Waiting) -> bool {
        first.entry.is_none() && first.position < self.next
    }

    /// Up to where entries may be applied. In a pair: ask for [news](Mirrored::news) after this and
    /// before applying any.
    #[must_use]
    pub fn safe(&self) -> u64 {
        if let Some(mirrored) = &self.mirrored {
            return mirrored.committed();
        }
        match (&*hold(&self.journal), &self.source) {
            (Some(journal), _) => journal.safe(),
            (None, None) => self.ordered,
            // Of a journal that could not be opened again nobody knows.
            (None, Some(_)) => self.next - 1,
        }
    }

    /// Whether entries of an earlier time are still to be applied.
    #[must_use]
    pub fn is_catching_up(&self) -> bool {
        self.next <= self.found
    }

    /// Whether this node orders entries of this plan now.
    pub fn orders(&mut self) -> bool {
        let Some(mirrored) = &self.mirrored else { return true };
        let epoch = mirrored.epoch();
        if epoch.is_some() && epoch != self.stint {
            // What stands in the log by now was ordered by others, or in another epoch.
            let held = hold(&self.journal);
            let Some(journal) = &*held else { return false };
            (self.ordered, self.found) = (journal.last(), journal.last());
        }
        self.stint = epoch;
        epoch.is_some()
    }

    /// Orders an entry; it comes back if this node does not order now.
    pub fn order(&mut self, entry: LogEntry, told: Told, room: Option<Room>) -> Option<Unordered> {
        let (mut position, mut epoch) = (self.ordered + 1, 0);
        if let Some(journal) = &mut *hold(&self.journal) {
            epoch = match &self.mirrored {
                None => journal.epoch(),
                // The pair changes it with the journal in hand.
                Some(mirrored) => match mirrored.epoch() {
                    Some(epoch) if self.stint == Some(epoch) => epoch,
                    _ => return Some(Unordered { entry, told, room }),
                },
            };
            match journal.append(epoch, &entry) {
                Ok(at) => position = at,
                Err(error @ JournalError::TooLong { .. }) => {
                    told.refuse(Misfit::NotRun { reason: error.to_string() });
                    return None;
                }
                Err(error) => self.failed = Some(error),
            }
        } else if self.mirrored.is_some() {
            return Some(Unordered { entry, told, room });
        }
        self.ordered = position;
        self.untold = true;
        self.waiting.push_back(Waiting { position, epoch, entry: Some(entry), told, room });
        None
    }

    /// Lines a question up behind everything ordered so far; on a node that follows, behind
    /// everything that may be applied.
    pub fn line_up(&mut self, question: Question, room: Option<Room>) {
        let position = match (&self.mirrored, self.stint) {
            (Some(mirrored), None) => mirrored.committed(),
            _ => self.ordered,
        };
        let told = Told::Asker(question);
        self.waiting.push_back(Waiting { position, epoch: 0, entry: None, told, room });
    }

    /// Sees to it that what is ordered becomes safe.
    ///
    /// # Errors
    /// If the journal does not take it, or did not make last what it took before.
    pub fn flush(&mut self) -> Result<(), LedgerError> {
        if let Some(error) = self.failed.take() {
            return Err(error.into());
        }
        hold(&self.journal).as_mut().map_or(Ok(()), Journaled::flush)?;
        if let Some(mirrored) = &self.mirrored
            && std::mem::take(&mut self.untold)
        {
            mirrored.look();
        }
        Ok(())
    }

    /// What may be applied next, if entries up to `safe` may be.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn next_upto(&mut self, safe: u64) -> Result<Option<Waiting>, LedgerError> {
        if self.waiting.front().is_some_and(|first| self.may_answer(first)) {
            return Ok(self.waiting.pop_front());
        }
        if self.next > safe {
            return Ok(None);
        }
        let next = self.next;
        let own = |waiting: &Waiting| waiting.entry.is_some() && waiting.position == next;
        let waiting = match self.waiting.front() {
            Some(first) if own(first) => self.waiting.pop_front().expect("it was looked at"),
            _ => {
                let (entry, told) = (Some(self.read(next)?), Told::Nobody);
                Waiting { position: next, epoch: 0, entry, told, room: None }
            }
        };
        self.next += 1;
        Ok(Some(waiting))
    }

    fn read(&mut self, position: u64) -> Result<LogEntry, LedgerError> {
        let missing = || LedgerError::Unreadable { position };
        let (at, mut records) = match self.reading.take() {
            Some((at, records)) if at == position => (at, records),
            _ => {
                let held = hold(&self.journal);
                (position, held.as_ref().ok_or_else(missing)?.read(position)?)
            }
        };
        let record = records.read_next()?.ok_or_else(missing)?;
        let entry = LogEntry::decode(&mut { record.body }).map_err(|_| missing())?;
        self.reading = Some((at + 1, records));
        Ok(entry)
    }

    /// Entries after a position were cut off: gives those that this ledger ordered.
    pub fn cut(&mut self, after: u64) -> Vec<Waiting> {
        self.reading = None;
        self.ordered = self.ordered.min(after);
        self.found = self.found.min(after);
        let (stay, gone) = self
            .waiting
            .drain(..)
            .partition(|waiting: &Waiting| waiting.entry.is_none() || waiting.position <= after);
        self.waiting = stay;
        for question in self.waiting.iter_mut().filter(|waiting| waiting.entry.is_none()) {
            question.position = question.position.min(after);
        }
        gone.into()
    }

    /// The state goes on after this position, as a snapshot has it: gives what waited.
    pub fn restart_after(&mut self, position: u64) -> Vec<Waiting> {
        self.reading = None;
        (self.ordered, self.found, self.next) = (position, position, position + 1);
        self.waiting.drain(..).collect()
    }

    /// Entries after this position are to be applied again.
    pub fn rewind(&mut self, position: u64) {
        self.reading = None;
        self.next = position + 1;
    }

    /// Tells senders whose entries are as safe as they wished, though not applied yet.
    pub fn answer_early(&mut self) {
        let Some(mirrored) = &self.mirrored else { return };
        let answered = mirrored.answered();
        if answered <= mirrored.committed() {
            // These are told once they are applied, which is soon.
            return;
        }
        let due = self.waiting.iter_mut().take_while(|waiting| waiting.position <= answered);
        for waiting in due {
            if let Told::Sender(_, told) = &mut waiting.told
                && let Some(told) = told.take()
            {
                let applied = Applied { position: waiting.position, is_repeated: false };
                let _ = told.send(Ok(applied));
            }
        }
    }

    /// Tells publishers whose letters are safe, though not applied yet.
    pub fn tell_of_letters(&mut self, safe: u64) {
        for waiting in self.waiting.iter_mut().take_while(|waiting| waiting.position <= safe) {
            if matches!(waiting.told, Told::Letter(_)) {
                let told = std::mem::replace(&mut waiting.told, Told::Nobody);
                told.tell(waiting.position, Outcome::Done);
            }
        }
    }

    /// Who brought a version that this ledger ordered, if its entry was not given out yet; that one
    /// tells nobody any more.
    pub fn take_switch(&mut self, number: u64) -> Option<Switch> {
        let brought = |waiting: &&mut Waiting| match &waiting.told {
            Told::Deployer(switch) => switch.version.number == number,
            _ => false,
        };
        let waiting = self.waiting.iter_mut().find(brought)?;
        match std::mem::replace(&mut waiting.told, Told::Nobody) {
            Told::Deployer(switch) => Some(switch),
            _ => unreachable!("it was looked at"),
        }
    }

    /// Opens the journal again after it failed. What was ordered and is not in it any more is added
    /// again: whoever waits for it waits on.
    ///
    /// # Errors
    /// If the journal still cannot be opened.
    pub fn reopen(&mut self) -> Result<(), LedgerError> {
        let Some(source) = &self.source else { return Ok(()) };
        // The old one lets go of its files and of its thread first.
        let old = hold(&self.journal).take();
        drop(old);
        self.reading = None;
        // All of it is read: the pair's thread must not wait so long for the journal.
        let (mut journal, _) = source.open()?;
        let mut held = hold(&self.journal);
        let mirrored = self.mirrored.as_ref();
        let missed = mirrored.map(|mirrored| mirrored.missed()).unwrap_or_default();
        missed.make_up(&mut journal)?;
        let (last, next) = (journal.last(), self.next);
        if mirrored.is_some() && missed.installed.is_none() && last + 1 < next {
            return Err(LedgerError::Lost { last, next });
        }
        // What was cut off, or has a snapshot in its place, is taken care of with the pair's news.
        for waiting in self.waiting.iter().filter(|waiting| missed.leaves(waiting.position)) {
            if let Some(entry) = &waiting.entry
                && waiting.position > journal.last()
            {
                // Alone, an entry may have been ordered while there was no journal to ask.
                let own = if mirrored.is_some() { waiting.epoch } else { journal.epoch() };
                journal.append(own, entry)?;
            }
        }
        self.failed = None;
        if let Some(mirrored) = mirrored {
            mirrored.forget_missed();
        }
        *held = Some(journal);
        Ok(())
    }

    /// Forgets what lies before a position, by whole files: a snapshot holds it.
    ///
    /// # Errors
    /// If a file cannot be removed.
    pub fn release_before(&mut self, position: u64) -> Result<(), LedgerError> {
        let mut held = hold(&self.journal);
        held.as_mut().map_or(Ok(()), |journal| journal.release_before(position))?;
        if let Some(mirrored) = &self.mirrored {
            mirrored.look();
        }
        Ok(())
    }

    /// The epoch of the entry at a position, if the log reaches there.
    #[must_use]
    pub fn epoch_at(&self, position: u64) -> Option<u64> {
        hold(&self.journal).as_ref().and_then(|journal| journal.epoch_at(position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::clock;
    use crate::journal::Options;
    use crate::replica::Body;
    use std::time::Duration;
    use tokio::sync::oneshot;

    fn applied(ledger: &mut Ledger) -> Vec<i64> {
        let mut times = Vec::new();
        let end = clock::elapsed() + Duration::from_secs(20);
        while ledger.is_waiting() {
            assert!(clock::elapsed() < end, "it never becomes safe");
            ledger.flush().unwrap();
            while let Some(waiting) = ledger.next_upto(ledger.safe()).unwrap() {
                times.push(waiting.entry.unwrap().at);
                waiting.told.tell(0, Outcome::Done);
            }
            std::thread::yield_now();
        }
        times
    }

    #[test]
    fn what_is_ordered_while_the_disk_fails_waits_for_it_and_is_answered_once_it_is_safe() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, options) = (folder.path().join("p"), Options::new(7));
        let source = JournalSource {
            folder: folder.clone(),
            options,
            pace: Arc::default(),
            wake: Arc::new(|_| ()),
        };
        let (journal, _) = source.open().unwrap();
        let mut ledger = Ledger::in_journal(source, journal, 0);
        let order = |ledger: &mut Ledger, at| {
            let (tell, told) = oneshot::channel();
            let told_of = Told::Sender(Duration::ZERO, Some(tell));
            assert!(ledger.order(LogEntry::new(at, Body::Tick), told_of, None).is_none());
            told
        };
        let mut told = vec![order(&mut ledger, 1)];
        ledger.flush().unwrap();
        told.push(order(&mut ledger, 2));
        // The journal is gone and cannot be opened: nothing of what waits is safe.
        let aside = folder.with_extension("aside");
        std::fs::rename(&folder, &aside).unwrap();
        std::fs::write(&folder, "in the way").unwrap();
        assert!(ledger.reopen().is_err());
        told.push(order(&mut ledger, 3));
        assert!(!ledger.is_safe() && ledger.next_upto(ledger.safe()).unwrap().is_none());
        std::fs::remove_file(&folder).unwrap();
        std::fs::rename(&aside, &folder).unwrap();
        ledger.reopen().unwrap();
        told.push(order(&mut ledger, 4));
        assert_eq!(applied(&mut ledger), [1, 2, 3, 4]);
        assert!(told.into_iter().all(|mut told| matches!(told.try_recv(), Ok(Ok(_)))));
    }
}
