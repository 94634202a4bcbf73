//! The log of a plan at work: gives entries their positions, and tells when they may be applied.
//!
//! An entry may be applied once it is safe: at once where nothing is kept on disk, else when the
//! disk has it. Questions wait in the same line, so that they see all that was ordered before.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use crate::actors::plan::Applied;
use crate::actors::plan::JournalSource;
use crate::actors::plan::Journaled;
use crate::actors::plan::Misfit;
use crate::actors::plan::Question;
use crate::actors::plan::Switch;
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
        matches!(self, Self::Journal(Full { .. } | Io { .. } | Poisoned(_)) | Self::Note(_))
    }
}

/// What is ordered and not yet applied.
#[derive(Debug)]
pub struct Waiting {
    /// The entry; `None` for a question that changes nothing.
    pub entry: Option<LogEntry>,
    /// Who is to be told.
    pub told: Told,
    /// Its room in the inbox, free again when this is done.
    pub room: Option<Room>,
}

/// Who is to be told what became of an entry.
#[derive(Debug)]
pub enum Told {
    /// Nobody.
    Nobody,
    /// Who sent rows; when they were accepted, by
    /// [`clock::elapsed`](crate::actors::clock::elapsed).
    Sender(std::time::Duration, Option<oneshot::Sender<Result<Applied, Misfit>>>),
    /// Who asked.
    Asker(Question),
    /// Who brought a new version.
    Deployer(Switch),
}

impl Told {
    /// Tells that the entry was applied, or why not; who asked may have gone meanwhile.
    pub fn tell(self, position: u64, outcome: Outcome) {
        let applied = Applied { position, is_repeated: outcome == Outcome::Repeated };
        match (self, outcome) {
            (told, Outcome::Refused(reason)) => told.refuse(Misfit::NotRun { reason }),
            (Self::Sender(_, Some(told)), _) => drop(told.send(Ok(applied))),
            (Self::Asker(question), _) => question.answer(Ok(Vec::new())),
            (Self::Deployer(switch), _) => drop(switch.told.send(())),
            (Self::Nobody | Self::Sender(_, None), _) => {}
        }
    }

    /// Tells why the entry was not applied.
    pub fn refuse(self, misfit: Misfit) {
        match self {
            Self::Sender(_, Some(told)) => drop(told.send(Err(misfit))),
            Self::Asker(question) => question.answer(Err(misfit)),
            // Without an answer it knows that nothing took over.
            Self::Nobody | Self::Sender(_, None) | Self::Deployer(_) => {}
        }
    }
}

/// The log of a plan at work.
#[derive(Debug)]
pub struct Ledger {
    waiting: VecDeque<Waiting>,
    /// The position of the last entry ordered.
    ordered: u64,
    /// The position of the first entry that was not given out to be applied.
    next: u64,
    journal: Option<Journaled>,
    source: Option<JournalSource>,
    /// What was in the journal already and is to be applied first.
    backlog: Option<Backlog>,
    /// Entries that could not be written; the next flush says why.
    failed: Option<JournalError>,
}

struct Backlog {
    records: Records<RealDisk>,
    /// Its last position.
    last: u64,
}

impl Ledger {
    /// A log that is kept nowhere.
    #[must_use]
    pub fn in_memory() -> Self {
        let waiting = VecDeque::new();
        Self {
            waiting,
            ordered: 0,
            next: 1,
            journal: None,
            source: None,
            backlog: None,
            failed: None,
        }
    }

    /// A log that is kept in a journal, of which everything up to `applied` has been applied.
    ///
    /// # Errors
    /// If the journal does not hold what comes next.
    pub fn in_journal(
        source: JournalSource,
        journal: Journaled,
        applied: u64,
    ) -> Result<Self, LedgerError> {
        let (waiting, last) = (VecDeque::new(), journal.last());
        let backlog = if applied < last {
            Some(Backlog { records: journal.read(applied + 1)?, last })
        } else {
            None
        };
        let (next, journal, source) = (applied + 1, Some(journal), Some(source));
        Ok(Self { waiting, ordered: last, next, journal, source, backlog, failed: None })
    }

    /// Whether nothing was ever ordered.
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
        !self.waiting.is_empty() || self.backlog.is_some()
    }

    /// Whether something can be applied.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.backlog.is_some() || self.waiting.front().is_some_and(|first| self.may(first))
    }

    fn may(&self, first: &Waiting) -> bool {
        let is_safe = match &self.journal {
            Some(journal) => journal.safe() >= self.next,
            // Of a journal that could not be opened again nobody knows.
            None => self.source.is_none(),
        };
        first.entry.is_none() || is_safe
    }

    /// Whether entries of an earlier life are still to be applied.
    #[must_use]
    pub fn is_catching_up(&self) -> bool {
        self.backlog.is_some()
    }

    /// Orders an entry.
    pub fn order(&mut self, entry: LogEntry, told: Told, room: Option<Room>) {
        if let Some(journal) = &mut self.journal {
            match journal.append(&entry) {
                Ok(_) => {}
                Err(error @ JournalError::TooLong { .. }) => {
                    return told.refuse(Misfit::NotRun { reason: error.to_string() });
                }
                Err(error) => self.failed = Some(error),
            }
        }
        self.ordered += 1;
        self.waiting.push_back(Waiting { entry: Some(entry), told, room });
    }

    /// Lines a question up behind everything ordered so far.
    pub fn line_up(&mut self, question: Question, room: Option<Room>) {
        self.waiting.push_back(Waiting { entry: None, told: Told::Asker(question), room });
    }

    /// Sees to it that what is ordered becomes safe.
    ///
    /// # Errors
    /// If the journal does not take it, or did not make last what it took before.
    pub fn flush(&mut self) -> Result<(), LedgerError> {
        if let Some(error) = self.failed.take() {
            return Err(error.into());
        }
        Ok(self.journal.as_mut().map_or(Ok(()), Journaled::flush)?)
    }

    /// What may be applied next.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn next_safe(&mut self) -> Result<Option<Waiting>, LedgerError> {
        if self.backlog.is_some() {
            return self.next_of_backlog().map(Some);
        }
        if !self.is_safe() {
            return Ok(None);
        }
        let waiting = self.waiting.pop_front();
        self.next += u64::from(waiting.as_ref().is_some_and(|waiting| waiting.entry.is_some()));
        Ok(waiting)
    }

    fn next_of_backlog(&mut self) -> Result<Waiting, LedgerError> {
        let backlog = self.backlog.as_mut().expect("asked before");
        let entry = read(&mut backlog.records, self.next)?;
        if self.next == backlog.last {
            self.backlog = None;
        }
        self.next += 1;
        Ok(Waiting { entry: Some(entry), told: Told::Nobody, room: None })
    }

    /// Opens the journal again after it failed. What was ordered and is not in it any more is added
    /// again: whoever waits for it waits on.
    ///
    /// # Errors
    /// If the journal still cannot be opened.
    pub fn reopen(&mut self) -> Result<(), LedgerError> {
        let Some(source) = &self.source else { return Ok(()) };
        // The old one lets go of its files and of its thread first.
        self.journal = None;
        let (mut journal, _) = source.open()?;
        let first = self.backlog.as_ref().map_or(self.next, |backlog| backlog.last + 1);
        let entries = self.waiting.iter().filter_map(|waiting| waiting.entry.as_ref());
        let last = journal.last();
        for (_, entry) in (first..).zip(entries).filter(|(position, _)| *position > last) {
            journal.append(entry)?;
        }
        if let Some(backlog) = &mut self.backlog {
            backlog.records = journal.read(self.next)?;
        }
        self.failed = None;
        self.journal = Some(journal);
        Ok(())
    }

    /// Forgets what lies before a position, by whole files: a snapshot holds it.
    ///
    /// # Errors
    /// If a file cannot be removed.
    pub fn release_before(&mut self, position: u64) -> Result<(), LedgerError> {
        let journal = self.journal.as_mut();
        Ok(journal.map_or(Ok(()), |journal| journal.release_before(position))?)
    }

    /// The epoch in which entries are ordered; 0 where nothing is kept.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.journal.as_ref().map_or(0, Journaled::epoch)
    }
}

/// Reads the entry at a position.
fn read(records: &mut Records<RealDisk>, position: u64) -> Result<LogEntry, LedgerError> {
    let missing = || LedgerError::Unreadable { position };
    let record = records.read_next()?.ok_or_else(missing)?;
    LogEntry::decode(&mut { record.body }).map_err(|_| missing())
}

impl std::fmt::Debug for Backlog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backlog").field("last", &self.last).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::clock;
    use crate::journal::Options;
    use crate::replica::Body;
    use std::sync::Arc;
    use std::time::Duration;

    fn applied(ledger: &mut Ledger) -> Vec<i64> {
        let mut times = Vec::new();
        let end = clock::elapsed() + Duration::from_secs(20);
        while ledger.is_waiting() {
            assert!(clock::elapsed() < end, "it never becomes safe");
            ledger.flush().unwrap();
            while let Some(waiting) = ledger.next_safe().unwrap() {
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
        let source = JournalSource { folder: folder.clone(), options, wake: Arc::new(|| ()) };
        let (journal, _) = source.open().unwrap();
        let mut ledger = Ledger::in_journal(source, journal, 0).unwrap();
        let order = |ledger: &mut Ledger, at| {
            let (tell, told) = oneshot::channel();
            let told_of = Told::Sender(Duration::ZERO, Some(tell));
            ledger.order(LogEntry::new(at, Body::Tick), told_of, None);
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
        assert!(!ledger.is_safe() && ledger.next_safe().unwrap().is_none());
        std::fs::remove_file(&folder).unwrap();
        std::fs::rename(&aside, &folder).unwrap();
        ledger.reopen().unwrap();
        told.push(order(&mut ledger, 4));
        assert_eq!(applied(&mut ledger), [1, 2, 3, 4]);
        assert!(told.into_iter().all(|mut told| matches!(told.try_recv(), Ok(Ok(_)))));
    }
}
