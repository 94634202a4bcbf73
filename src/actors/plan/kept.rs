//! What is kept of a plan on disk: opened when the plan starts, so that it goes on where it was.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;

use tracing::info;
use tracing::warn;

use crate::actors::plan::ConfirmedFile;
use crate::actors::plan::JournalSource;
use crate::actors::plan::Journaled;
use crate::actors::plan::Ledger;
use crate::actors::plan::LedgerError;
use crate::actors::plan::Mirrored;
use crate::actors::plan::Suspect;
use crate::actors::plan::Versions;
use crate::actors::plan::Work;
use crate::actors::plan::outbox;
use crate::actors::plan::outbox::Pending;
use crate::actors::tree::Inbox;
use crate::disk::RealDisk;
use crate::engine::pieces::Pieces;
use crate::event::Text;
use crate::journal::Options;
use crate::journal::format::plan_id;
use crate::replica::Bounds;
use crate::replica::Deployment;
use crate::replica::LogEntry;
use crate::replica::Maker;
use crate::replica::Replica;
use crate::snapshot::Fit;
use crate::snapshot::Header;
use crate::snapshot::SnapshotError;
use crate::snapshot::Snapshots;

/// The tenant of all plans, until there are others.
pub const TENANT: &str = "default";

/// What a plan starts from.
#[derive(Debug)]
pub struct Kept {
    /// The versions of the plan that this process knows.
    pub versions: Arc<Versions>,
    /// The plan as its snapshot has it; one that applied nothing if there is none.
    pub replica: Replica,
    /// The plan's log.
    pub ledger: Ledger,
    /// Notes which entry is being applied.
    pub suspect: Option<Suspect>,
    /// The plan's snapshots.
    pub snapshots: Option<Snapshots<RealDisk>>,
    /// How far the publishers have come.
    pub confirmed: Option<Arc<ConfirmedFile>>,
    /// The version that was ordered last; `None` if the plan is new.
    pub deployment: Option<Deployment>,
    /// Wakes the plan's thread whenever more of its log is safe.
    pub waker: Waker,
    /// Results in the snapshot that had not left when it was taken.
    pub pending: Vec<Pending>,
    /// The log's last record was whole once, or power was lost: it is cut off, though it may have
    /// been acknowledged.
    pub is_decayed: bool,
    /// How many dead letters are kept from now on.
    pub bounds: Bounds,
    /// Bytes of state that the plan may have.
    pub state_bytes_max: u64,
}

/// Wakes a plan's thread, once it has an inbox to be woken by.
#[derive(Clone, Debug, Default)]
pub struct Waker(Arc<Woken>);

#[derive(Debug, Default)]
struct Woken {
    inbox: OnceLock<Inbox<Work>>,
    mirrored: OnceLock<Arc<Mirrored>>,
}

impl Waker {
    /// From now on whoever reads this inbox is woken.
    pub fn set(&self, inbox: &Inbox<Work>) {
        // Only the first counts; there is one plan to what is kept.
        let _ = self.0.inbox.set(inbox.clone());
    }

    /// From now on the pair hears of it, too, when more of the log is on disk.
    pub fn mirror(&self, mirrored: &Arc<Mirrored>) {
        let _ = self.0.mirrored.set(Arc::clone(mirrored));
    }

    /// Wakes it.
    pub fn wake(&self) {
        if let Some(inbox) = self.0.inbox.get() {
            inbox.nudge();
        }
    }

    /// More of the log is on disk, or should be and is not. In a pair it is the pair that says what
    /// follows from that; the plan's thread sees to a disk that fails.
    fn synced(&self, lasts: bool) {
        let mirrored = self.0.mirrored.get();
        if let Some(mirrored) = mirrored {
            mirrored.look();
        }
        if mirrored.is_none() || !lasts {
            self.wake();
        }
    }
}

/// Why what is kept of a plan cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The log.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The snapshots.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A file.
    #[error("cannot use `{}`: {error}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The state does not fit this program.
    #[error("{0}")]
    State(String),
}

/// Where a plan's files lie, below a node's data folder.
#[derive(Clone, Debug)]
pub struct Folders {
    /// Its log.
    pub journal: PathBuf,
    /// Its snapshots.
    pub snapshots: PathBuf,
}

impl Folders {
    /// The folders of a plan.
    #[must_use]
    pub fn of(data: &Path, plan: &str) -> Self {
        let of = |what: &str| data.join(what).join(TENANT).join(plan);
        Self { journal: of("journal"), snapshots: of("snapshots") }
    }
}

impl Kept {
    /// Nothing is kept: the plan starts empty.
    #[must_use]
    pub fn nothing() -> Self {
        let versions = Arc::new(Versions::default());
        let replica = Replica::new(Arc::clone(&versions) as Arc<dyn Maker>);
        let ledger = Ledger::in_memory();
        let (suspect, snapshots, confirmed, deployment) = (None, None, None, None);
        let (waker, pending, is_decayed) = (Waker::default(), Vec::new(), false);
        Self {
            versions,
            replica,
            ledger,
            suspect,
            snapshots,
            confirmed,
            deployment,
            waker,
            pending,
            is_decayed,
            bounds: Bounds::default(),
            state_bytes_max: u64::MAX,
        }
    }

    /// Opens what is kept of a plan, or begins to keep it.
    ///
    /// # Errors
    /// If a file is damaged, of another plan or of a newer version, or the disk refuses.
    pub fn open(data: &Path, plan: &str) -> Result<Self, KeptError> {
        let waker = Waker::default();
        let wake = {
            let waker = waker.clone();
            move |lasts| waker.synced(lasts)
        };
        let versions = Arc::new(Versions::default());
        let maker = Arc::clone(&versions) as Arc<dyn Maker>;
        let folders = Folders::of(data, plan);
        let snapshots = Snapshots::new(RealDisk, data, TENANT, plan)?;
        let options = Options::new(plan_id(TENANT, plan));
        let (folder, pace, wake) = (folders.journal.clone(), Arc::default(), Arc::new(wake));
        let source = JournalSource { folder, options, pace, wake };
        let (mut journal, opened) = source.open().map_err(LedgerError::from)?;
        if let Some(torn) = &opened.torn {
            let (file, bytes) = (torn.file.display(), torn.bytes);
            warn!(plan, %file, bytes, "a write that never finished was cut off the journal");
        }
        let is_decayed = opened.torn.is_some_and(|torn| !torn.is_unfinished);
        let (mut replica, pending) =
            fitting(&snapshots, plan, &maker, &mut journal).map_err(|before| match before {
                NoFit::Error(error) => error,
                NoFit::Gap { position, first } => KeptError::State(format!(
                    "the plan's log in `{}` begins at position {first}, but the newest snapshot \
                     that can be used ends at {position}: put a snapshot back into `{}`, or \
                     remove both folders to begin empty",
                    folders.journal.display(),
                    folders.snapshots.display(),
                )),
            })?;
        let position = replica.position();
        let mut deployment = replica.deployment().cloned();
        let mut records = journal.read(replica.position() + 1).map_err(LedgerError::from)?;
        while let Some(record) = records.read_next().map_err(LedgerError::from)? {
            let position = record.position;
            let unreadable = |_| LedgerError::Unreadable { position };
            if let Some(deployed) = LogEntry::deployment(record.body).map_err(unreadable)? {
                deployment = Some(deployed);
            }
            let skipped: Option<(u64, Text)> =
                LogEntry::skipped(record.body).map_err(unreadable)?;
            skipped.into_iter().for_each(|(position, _)| replica.skip(position));
        }
        let path = folders.journal.join("confirmed");
        let confirmed =
            ConfirmedFile::open(&path).map_err(|error| KeptError::File { file: path, error })?;
        if journal.last() > position {
            let entries = journal.last() - position;
            info!(plan, entries, after = position, "applying what the journal holds");
        }
        let ledger = Ledger::in_journal(source, journal, replica.position());
        let path = folders.journal.join("applying");
        let suspect =
            Suspect::open(&path).map_err(|error| KeptError::File { file: path, error })?;
        let (suspect, snapshots, confirmed) = (Some(suspect), Some(snapshots), Some(confirmed));
        Ok(Self {
            versions,
            replica,
            ledger,
            suspect,
            snapshots,
            confirmed,
            deployment,
            waker,
            pending,
            is_decayed,
            bounds: Bounds::default(),
            state_bytes_max: u64::MAX,
        })
    }
}

/// Why no snapshot goes with a log.
enum NoFit {
    Error(KeptError),
    /// The best snapshot ends here, the log begins there.
    Gap {
        position: u64,
        first: u64,
    },
}

/// The plan as the newest snapshot has it that goes with the log. A log that is behind it begins
/// anew after it: nothing of what a snapshot holds can be lost.
fn fitting(
    snapshots: &Snapshots<RealDisk>,
    plan: &str,
    maker: &Arc<dyn Maker>,
    journal: &mut Journaled,
) -> Result<(Replica, Vec<Pending>), NoFit> {
    let mut newest_before = 0;
    let mut chosen = None;
    let fits = |header: &Header| {
        let (position, epoch) = (header.position, header.epoch);
        let fit = header.fit(journal.epoch_at(position), journal.base() + 1, journal.end());
        match fit {
            Fit::OnLog | Fit::Beyond => {}
            Fit::Before => newest_before = newest_before.max(position),
            Fit::GivenUp => {
                warn!(plan, position, epoch, "a snapshot is of a history that was given up");
            }
        }
        chosen = Some(fit);
        matches!(fit, Fit::OnLog | Fit::Beyond)
    };
    let Restored { replica, header, pending } =
        restore(snapshots, plan, maker, fits).map_err(NoFit::Error)?;
    let first = journal.base() + 1;
    match header {
        Some(Header { position, epoch, .. }) if chosen == Some(Fit::Beyond) => {
            let restarted = journal.restart_after(position, epoch);
            restarted.map_err(|error| NoFit::Error(LedgerError::from(error).into()))?;
        }
        None if first > 1 => return Err(NoFit::Gap { position: newest_before, first }),
        Some(_) | None => {}
    }
    Ok((replica, pending))
}

/// A plan as a snapshot has it.
#[derive(Debug)]
pub(super) struct Restored {
    pub replica: Replica,
    /// What the snapshot says of itself; `None` if there is none.
    pub header: Option<Header>,
    /// Results that had not left.
    pub pending: Vec<Pending>,
}

/// The plan as the newest snapshot has it that fits and is right in every byte.
pub(super) fn restore(
    snapshots: &Snapshots<RealDisk>,
    plan: &str,
    maker: &Arc<dyn Maker>,
    fits: impl FnMut(&Header) -> bool,
) -> Result<Restored, KeptError> {
    let newest = snapshots.newest_that(fits)?;
    for (name, error) in &newest.passed_over {
        warn!(plan, snapshot = name, %error, "a snapshot cannot be used");
    }
    let Some((name, header, bytes)) = newest.found else {
        let (replica, pending) = (Replica::new(Arc::clone(maker)), Vec::new());
        return Ok(Restored { replica, header: None, pending });
    };
    let unusable = |reason: String| {
        KeptError::State(format!("the snapshot `{name}` cannot be used: {reason}"))
    };
    let mut reader = snapshots.open(&name, bytes)?;
    let mut state = Pieces::new(move |into| {
        let chunk = reader.next_chunk().map_err(|error| error.to_string())?;
        chunk.iter().for_each(|chunk| into.extend_from_slice(chunk));
        Ok(chunk.is_some())
    });
    let pending = outbox::read(&mut state).map_err(|error| unusable(error.to_string()))?;
    let replica = Replica::restore(Arc::clone(maker), state).map_err(unusable)?;
    info!(plan, snapshot = name, position = header.position, bytes, "snapshot loaded");
    Ok(Restored { replica, header: Some(header), pending })
}
