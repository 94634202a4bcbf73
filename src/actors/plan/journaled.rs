//! The plan's journal at work: entries go in as bytes, a thread of its own makes them last.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;

use crossbeam_channel::Receiver;
use crossbeam_channel::Sender;

use crate::disk::RealDisk;
use crate::event::codec::Encode;
use crate::journal::Journal;
use crate::journal::JournalError;
use crate::journal::Opened;
use crate::journal::Options;
use crate::journal::Records;
use crate::journal::Syncer;
use crate::replica::LogEntry;

/// The journal of a plan, and the thread that syncs it.
#[derive(Debug)]
pub struct Journaled {
    journal: Journal<RealDisk>,
    epoch: u64,
    bytes: Vec<u8>,
    /// The last position handed to the system.
    written: u64,
    sync: Sender<u64>,
    synced: Arc<Synced>,
}

/// Where a plan's journal is opened from, as often as need be.
#[derive(Clone)]
pub struct JournalSource {
    /// The folder.
    pub folder: PathBuf,
    /// How it is kept.
    pub options: Options,
    /// Called whenever more of it lasts.
    pub wake: Arc<dyn Fn() + Send + Sync>,
}

impl JournalSource {
    /// Opens the journal.
    ///
    /// # Errors
    /// What the journal says, or that no thread can be started.
    pub fn open(&self) -> Result<(Journaled, Opened), JournalError> {
        let (journal, opened) = Journal::open(RealDisk, &self.folder, self.options)?;
        let wake = Arc::clone(&self.wake);
        let journaled = Journaled::new(journal, move || wake()).map_err(|error| {
            let (file, source) = (self.folder.clone(), Arc::new(error));
            JournalError::Io { doing: "start a thread for", file, source }
        })?;
        Ok((journaled, opened))
    }
}

impl fmt::Debug for JournalSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalSource").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// How far the journal lasts, as the syncing thread says.
#[derive(Debug)]
struct Synced {
    upto: AtomicU64,
    failed: Mutex<Option<JournalError>>,
}

impl Journaled {
    fn new(journal: Journal<RealDisk>, wake: impl Fn() + Send + 'static) -> io::Result<Self> {
        let synced =
            Arc::new(Synced { upto: AtomicU64::new(journal.last()), failed: Mutex::new(None) });
        // One wish is enough: whoever syncs takes all that was written before it begins.
        let (sync, wishes) = crossbeam_channel::bounded(1);
        let (syncer, shared) = (journal.syncer(), Arc::clone(&synced));
        thread::Builder::new()
            .name("syncer".to_owned())
            .spawn(move || keep_syncing(&wishes, &syncer, &shared, wake))?;
        let (epoch, written) = (journal.last_epoch().max(1), journal.last());
        Ok(Self { journal, epoch, bytes: Vec::new(), written, sync, synced })
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// If it is too long, or the journal does not work any more.
    pub fn append(&mut self, entry: &LogEntry) -> Result<u64, JournalError> {
        self.bytes.clear();
        entry.encode(&mut self.bytes);
        self.journal.append(self.epoch, &self.bytes)
    }

    /// Hands what was added to the system, and wishes it to last.
    ///
    /// # Errors
    /// If the disk does not take it, or did not make last what it took before.
    pub fn flush(&mut self) -> Result<(), JournalError> {
        if let Some(error) =
            self.synced.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            return Err(error);
        }
        if self.written < self.journal.last() {
            self.written = self.journal.flush()?;
            // A wish that waits already covers this.
            let _ = self.sync.try_send(self.written);
        }
        Ok(())
    }

    /// The last position that lasts.
    #[must_use]
    pub fn safe(&self) -> u64 {
        self.synced.upto.load(Ordering::Acquire)
    }

    /// The last position added.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.journal.last()
    }

    /// Reads from a position on.
    ///
    /// # Errors
    /// If the position is not held any more.
    pub fn read(&self, from: u64) -> Result<Records<RealDisk>, JournalError> {
        self.journal.reader().read(from)
    }

    /// Begins anew after a position, whose state a snapshot holds.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn restart_after(&mut self, position: u64) -> Result<(), JournalError> {
        self.journal.restart_after(position, self.epoch)?;
        self.written = position;
        self.synced.upto.store(position, Ordering::Release);
        Ok(())
    }

    /// The epoch in which entries are added.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Forgets what lies before a position, by whole files.
    ///
    /// # Errors
    /// If a file cannot be removed.
    pub fn release_before(&mut self, position: u64) -> Result<(), JournalError> {
        self.journal.release_before(position).map(drop)
    }
}

/// Syncs whenever there is a wish, until the journal is dropped.
fn keep_syncing(
    wishes: &Receiver<u64>,
    syncer: &Syncer<RealDisk>,
    synced: &Synced,
    wake: impl Fn(),
) {
    while wishes.recv().is_ok() {
        match syncer.sync(syncer.written()) {
            Ok(upto) => synced.upto.store(upto, Ordering::Release),
            Err(error) => {
                *synced.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        }
        wake();
    }
}
