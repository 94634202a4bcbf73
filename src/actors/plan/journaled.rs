//! The plan's journal at work: entries go in as bytes, a thread of its own makes them last.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crossbeam_channel::Receiver;
use crossbeam_channel::Sender;

use crate::disk::RealDisk;
use crate::event::codec::Encode;
use crate::ha::protocol::Epoch;
use crate::ha::protocol::Position;
use crate::ha::protocol::Shape;
use crate::ha::protocol::Span;
use crate::journal::Journal;
use crate::journal::JournalError;
use crate::journal::Opened;
use crate::journal::Options;
use crate::journal::Records;
use crate::journal::Syncer;
use crate::replica::LogEntry;

/// How long a sync is put off where nobody waits for it, so that one serves for more.
const EASE: Duration = Duration::from_millis(50);
/// No more bytes than that are left unsynced for the sake of it.
const EASY_BYTES_MAX: usize = 512 << 10;

/// When a journal is synced: at once, or with ease where nobody waits for it. It outlives the
/// journal, which may be opened anew.
#[derive(Debug)]
pub struct Pace {
    easy: AtomicBool,
    /// Ends the putting off of a sync.
    hurry: Sender<()>,
    hurries: Receiver<()>,
}

impl Default for Pace {
    fn default() -> Self {
        let (hurry, hurries) = crossbeam_channel::bounded(1);
        Self { easy: AtomicBool::new(false), hurry, hurries }
    }
}

impl Pace {
    /// From now on nobody waits for what is added to last, or somebody does again.
    pub fn ease(&self, easy: bool) {
        if self.easy.swap(easy, Ordering::AcqRel) && !easy {
            self.hurry();
        }
    }

    fn hurry(&self) {
        // One that is there already does as well.
        let _ = self.hurry.try_send(());
    }

    /// Waits as long as a sync may be put off.
    fn wait(&self) {
        if self.easy.load(Ordering::Acquire) {
            // Whether somebody is in a hurry by now or the time is over: it is synced.
            let _ = self.hurries.recv_timeout(EASE);
        }
    }
}

/// The journal of a plan, and the thread that syncs it.
#[derive(Debug)]
pub struct Journaled {
    journal: Journal<RealDisk>,
    bytes: Vec<u8>,
    /// The last position handed to the system.
    written: u64,
    sync: Sender<u64>,
    pace: Arc<Pace>,
    /// Bytes added since a sync was hurried last.
    eased: usize,
    syncer: Syncer<RealDisk>,
    failed: Arc<Mutex<Option<JournalError>>>,
}

/// The journal of a plan, for the plan's thread and the pair's; empty while it is opened anew.
pub type SharedJournal = Arc<Mutex<Option<Journaled>>>;

/// The journal at hand. A panic while it was held leaves it as whole as the disk is.
pub fn hold(journal: &SharedJournal) -> MutexGuard<'_, Option<Journaled>> {
    journal.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a plan's journal is opened from, as often as need be.
#[derive(Clone)]
pub struct JournalSource {
    /// The folder.
    pub folder: PathBuf,
    /// How it is kept.
    pub options: Options,
    /// When it is synced.
    pub pace: Arc<Pace>,
    /// Called whenever more of it lasts, and with `false` when the disk has failed to see to that.
    pub wake: Arc<dyn Fn(bool) + Send + Sync>,
}

impl JournalSource {
    /// Opens the journal.
    ///
    /// # Errors
    /// What the journal says, or that no thread can be started.
    pub fn open(&self) -> Result<(Journaled, Opened), JournalError> {
        let (journal, opened) = Journal::open(RealDisk, &self.folder, self.options)?;
        let (pace, wake) = (Arc::clone(&self.pace), Arc::clone(&self.wake));
        let journaled = Journaled::new(journal, pace, wake).map_err(|error| {
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

impl Journaled {
    fn new(
        journal: Journal<RealDisk>,
        pace: Arc<Pace>,
        wake: Arc<dyn Fn(bool) + Send + Sync>,
    ) -> io::Result<Self> {
        let failed = Arc::default();
        // One wish is enough: whoever syncs takes all that was written before it begins.
        let (sync, wishes) = crossbeam_channel::bounded(1);
        let (syncer, told) = (journal.syncer(), Arc::clone(&failed));
        let (own, at) = (syncer.clone(), Arc::clone(&pace));
        thread::Builder::new()
            .name("syncer".to_owned())
            .spawn(move || keep_syncing(&wishes, &at, &own, &told, &*wake))?;
        let (bytes, written) = (Vec::new(), journal.last());
        Ok(Self { journal, bytes, written, sync, pace, eased: 0, syncer, failed })
    }

    /// When it is synced.
    #[must_use]
    pub fn pace(&self) -> Arc<Pace> {
        Arc::clone(&self.pace)
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// If it is too long, or the journal does not work any more.
    pub fn append(&mut self, epoch: u64, entry: &LogEntry) -> Result<u64, JournalError> {
        self.bytes.clear();
        entry.encode(&mut self.bytes);
        self.eased += self.bytes.len();
        self.journal.append(epoch, &self.bytes)
    }

    /// Adds an entry that is bytes already.
    ///
    /// # Errors
    /// As [`Journaled::append`].
    pub fn append_bytes(&mut self, epoch: u64, bytes: &[u8]) -> Result<u64, JournalError> {
        self.journal.append(epoch, bytes)
    }

    /// Adds what another node appended; the entries follow the last one.
    ///
    /// # Errors
    /// As [`Journaled::append`].
    pub fn append_foreign<'a>(
        &mut self,
        entries: impl Iterator<Item = (u64, &'a [u8])>,
    ) -> Result<(), JournalError> {
        for (epoch, body) in entries {
            self.eased += body.len();
            self.journal.append(epoch, body)?;
        }
        self.flush()
    }

    /// Cuts off what follows a position.
    ///
    /// # Errors
    /// If the disk refuses, which ends the use of the journal.
    pub fn cut(&mut self, after: u64) -> Result<(), JournalError> {
        self.journal.truncate_after(after)?;
        self.written = self.written.min(after);
        Ok(())
    }

    /// Hands what was added to the system, and wishes it to last.
    ///
    /// # Errors
    /// If the disk does not take it, or did not make last what it took before.
    pub fn flush(&mut self) -> Result<(), JournalError> {
        if let Some(error) = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        if self.written < self.journal.last() {
            self.written = self.journal.flush()?;
            // A wish that waits already covers this.
            let _ = self.sync.try_send(self.written);
            if self.eased > EASY_BYTES_MAX {
                self.eased = 0;
                self.pace.hurry();
            }
        }
        Ok(())
    }

    /// The last position that lasts.
    #[must_use]
    pub fn safe(&self) -> u64 {
        self.syncer.synced()
    }

    /// What makes the journal last, for a thread that may wait.
    #[must_use]
    pub fn syncer(&self) -> Syncer<RealDisk> {
        self.syncer.clone()
    }

    /// The last position handed to the system.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Which epochs wrote what is held.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let base = self.journal.first() - 1;
        let spans = self.journal.epoch_spans().into_iter();
        let span = |(first, epoch)| Span { first: Position(first), epoch: Epoch(epoch) };
        Shape {
            base: Position(base),
            base_epoch: Epoch(self.journal.epoch_at(base).unwrap_or(0)),
            spans: spans.map(span).collect(),
            last: Position(self.journal.last()),
        }
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

    /// Begins anew after a position, whose state a snapshot holds; `epoch` is that of the entry
    /// there.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn restart_after(&mut self, position: u64, epoch: u64) -> Result<(), JournalError> {
        self.journal.restart_after(position, epoch)?;
        self.written = position;
        Ok(())
    }

    /// The epoch and the position of the last entry.
    #[must_use]
    pub fn end(&self) -> (u64, u64) {
        (self.journal.last_epoch(), self.journal.last())
    }

    /// The epoch in which a node alone adds entries.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.journal.last_epoch().max(1)
    }

    /// The epoch of the entry at a position that is held, or just before.
    #[must_use]
    pub fn epoch_at(&self, position: u64) -> Option<u64> {
        self.journal.epoch_at(position)
    }

    /// The position before the first one held.
    #[must_use]
    pub fn base(&self) -> u64 {
        self.journal.first() - 1
    }

    /// Forgets what lies before a position, by whole files.
    ///
    /// # Errors
    /// If a file cannot be removed.
    pub fn release_before(&mut self, position: u64) -> Result<(), JournalError> {
        self.journal.release_before(position).map(drop)
    }
}

impl Drop for Journaled {
    fn drop(&mut self) {
        // Its thread need not wait to see that it has ended.
        self.pace.hurry();
    }
}

/// Syncs whenever there is a wish, until the journal is dropped.
fn keep_syncing(
    wishes: &Receiver<u64>,
    pace: &Pace,
    syncer: &Syncer<RealDisk>,
    failed: &Mutex<Option<JournalError>>,
    wake: &dyn Fn(bool),
) {
    while wishes.recv().is_ok() {
        pace.wait();
        let synced = syncer.sync(syncer.written());
        let lasts = synced.is_ok();
        if let Err(error) = synced {
            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
        wake(lasts);
    }
}
