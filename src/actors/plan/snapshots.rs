//! Takes snapshots of a plan: its state in a moment, then into a file while the plan goes on.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tracing::info;
use tracing::warn;

use crate::actors::clock;
use crate::actors::plan::LedgerError;
use crate::actors::plan::Station;
use crate::actors::plan::kept::TENANT;
use crate::actors::plan::outbox;
use crate::disk::RealDisk;
use crate::event::hash_bytes;
use crate::snapshot::Header;
use crate::snapshot::SnapshotError;
use crate::snapshot::Snapshots;
use crate::telemetry::metrics::Metrics;

/// How long a snapshot waits for the plan to be between two entries.
const DESK_TIME: Duration = Duration::from_secs(2);

/// The snapshots of a plan, and what is known of the last one.
#[derive(Debug)]
pub struct SnapshotDesk {
    snapshots: Option<Snapshots<RealDisk>>,
    /// Held while one is taken: there is one at a time.
    last: Mutex<Option<SnapshotTaken>>,
    pause: Gauge<f64, std::sync::atomic::AtomicU64>,
}

/// A snapshot that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotTaken {
    /// The file's name.
    pub name: String,
    /// The last position of the plan's log that it holds.
    pub position: u64,
    /// Bytes of state.
    pub bytes: u64,
    /// How long the plan stood still.
    pub pause: Duration,
    /// How long it took in all.
    pub took: Duration,
}

/// Why a snapshot could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotFailure {
    /// Nothing is kept of this node's plans.
    #[error("nothing is kept on disk: `persistence.enabled` is false")]
    NotKept,
    /// The plan has not applied anything yet.
    #[error("the plan has not started yet")]
    NotStarted,
    /// The plan is at one entry for too long.
    #[error("the plan is busy with one entry for longer than {DESK_TIME:?}; try again later")]
    Busy,
    /// The log is being opened or put in place, and nobody can say which entry the state ends with.
    #[error("the plan's log does not reach to its state at this moment; try again later")]
    NoPlace,
    /// The file.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// What the snapshot makes needless could not be removed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl SnapshotDesk {
    /// The snapshots of a plan; `None` where nothing is kept.
    #[must_use]
    pub fn new(snapshots: Option<Snapshots<RealDisk>>, plan: &Arc<str>, metrics: &Metrics) -> Self {
        let pause = metrics.snapshot_pause(plan);
        Self { snapshots, last: Mutex::new(None), pause }
    }

    /// The last snapshot that this process took.
    #[must_use]
    pub fn last(&self) -> Option<SnapshotTaken> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The snapshots on disk, if any are kept.
    #[must_use]
    pub fn kept(&self) -> Option<&Snapshots<RealDisk>> {
        self.snapshots.as_ref()
    }
}

impl Station {
    /// Takes a snapshot, on the thread of the caller; prunes all but the latest two, and releases
    /// what of the log they make needless.
    ///
    /// # Errors
    /// If nothing is kept, or the disk refuses; the plan goes on.
    pub fn take_snapshot(&self) -> Result<SnapshotTaken, SnapshotFailure> {
        let snapshots = self.snapshots.snapshots.as_ref().ok_or(SnapshotFailure::NotKept)?;
        let mut last = self.snapshots.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (saved, epoch, pending, pause, began) = {
            let desk = self.desk_within(DESK_TIME).ok_or(SnapshotFailure::Busy)?;
            let began = clock::elapsed();
            let (saved, epoch, pending) = desk.save().ok_or(SnapshotFailure::NotStarted)?;
            let epoch = epoch.ok_or(SnapshotFailure::NoPlace)?;
            (saved, epoch, pending, clock::elapsed().saturating_sub(began), began)
        };
        let extent = saved.extent();
        let header = Header {
            tenant: TENANT.to_owned(),
            plan: self.name.to_string(),
            position: saved.position,
            epoch,
            state_fingerprint: extent.fingerprint,
            text_fingerprint: hash_bytes(self.version().text.as_bytes()),
            created: clock::now_ms(),
        };
        let mut writer = snapshots.write(&header)?;
        let front = outbox::write(&pending, |piece| writer.put(piece))?;
        saved.write(&extent, |piece| writer.put(piece))?;
        let name = writer.finish()?;
        self.prune(snapshots)?;
        self.snapshots.pause.set(pause.as_secs_f64());
        let took = clock::elapsed().saturating_sub(began);
        let bytes = front + extent.bytes;
        let taken = SnapshotTaken { name, position: saved.position, bytes, pause, took };
        info!(
            plan = %self.name, snapshot = taken.name, position = taken.position,
            bytes = taken.bytes, ?pause, ?took, "snapshot taken"
        );
        *last = Some(taken.clone());
        Ok(taken)
    }

    /// Keeps the latest two, and what of the log they need.
    fn prune(&self, snapshots: &Snapshots<RealDisk>) -> Result<(), SnapshotFailure> {
        snapshots.prune()?;
        if let Some(position) = snapshots.older_of_two()? {
            let mut desk = self.desk_within(DESK_TIME).ok_or(SnapshotFailure::Busy)?;
            desk.release_before(position + 1)?;
        }
        Ok(())
    }

    /// Has the two nodes of a pair compare their states of this plan.
    pub fn compare(&self) {
        if let Some(mut desk) = self.desk_within(DESK_TIME) {
            desk.compare();
        }
        self.inbox.nudge();
    }

    /// A snapshot came from the other node: the oldest has to go.
    pub fn keep_two_snapshots(&self) {
        if let Some(snapshots) = self.snapshots.kept()
            && let Err(error) = self.prune(snapshots)
        {
            warn!(plan = %self.name, %error, "old snapshots could not be removed");
        }
    }

    /// Takes a snapshot if anything was applied since the last one; gives its name.
    pub fn keep_snapshot(&self) -> Option<String> {
        let snapshots = self.snapshots.kept()?;
        let Some(position) = self.desk_within(DESK_TIME).map(|desk| desk.position()) else {
            warn!(plan = %self.name, "no snapshot: the plan is at one entry for too long");
            return None;
        };
        let newest = match snapshots.list() {
            Ok(listed) => listed.into_iter().find_map(|each| each.header.ok()),
            Err(_) => None,
        };
        if newest.is_some_and(|newest| newest.position >= position) {
            return None;
        }
        match self.take_snapshot() {
            Ok(taken) => Some(taken.name),
            Err(SnapshotFailure::NotStarted) => None,
            Err(error) => {
                warn!(plan = %self.name, %error, "no snapshot; the next one is tried in time");
                None
            }
        }
    }
}
