//! What the pair's thread and the plans share: the logs by name and by number, the gate, the wire.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::Weak;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use crate::actors::gate::Gate;
use crate::actors::pair::Tell;
use crate::actors::plan::ConfirmedFile;
use crate::actors::plan::Folders;
use crate::actors::plan::Journaled;
use crate::actors::plan::Kept;
use crate::actors::plan::KeptError;
use crate::actors::plan::Mirrored;
use crate::actors::plan::Pace;
use crate::actors::plan::SharedJournal;
use crate::actors::plan::Station;
use crate::actors::plan::hold;
use crate::actors::wire::Wire;
use crate::disk::RealDisk;
use crate::ha::protocol::LogStart;
use crate::ha::protocol::Plan;
use crate::ha::protocol::Position;
use crate::snapshot::Snapshots;

/// Marks a journal that holds every committed entry.
const WHOLE: &str = "whole";

/// Shared by the HA manager and all plans of a node of a pair.
#[derive(Debug)]
pub struct Hub {
    /// Whether this node may act.
    pub gate: Arc<Gate>,
    /// The way to the other node and to the manager.
    pub wire: Arc<Wire>,
    /// This node in the pair: `a` or `b`.
    pub node: Arc<str>,
    data: PathBuf,
    logs: Mutex<BTreeMap<Plan, Arc<Log>>>,
    manager: Mutex<Option<actix::Recipient<Tell>>>,
    in_sync: AtomicBool,
    /// The last record of a journal was found to be wrong.
    is_decayed: AtomicBool,
    /// What is kept of plans that are not deployed yet.
    shelf: Mutex<BTreeMap<Plan, Kept>>,
}

/// A plan's log in the pair.
pub struct Log {
    /// The plan's name.
    pub name: Arc<str>,
    /// What the pair says to it.
    pub mirrored: Arc<Mirrored>,
    /// Its journal.
    pub journal: SharedJournal,
    /// Its snapshots.
    pub snapshots: Snapshots<RealDisk>,
    /// Wakes the plan's thread.
    pub nudge: Box<dyn Fn() + Send + Sync>,
    /// When its journal is synced.
    pub pace: Arc<Pace>,
    /// How far it was applied when it was opened.
    applied: u64,
    folder: PathBuf,
    station: Mutex<Weak<Station>>,
}

impl Hub {
    /// A hub without logs, of this node of the pair, whose data lie in this folder.
    #[must_use]
    pub fn new(node: &str, data: PathBuf) -> Self {
        Self {
            node: node.into(),
            gate: Arc::new(Gate::closed()),
            wire: Arc::default(),
            data,
            logs: Mutex::default(),
            manager: Mutex::default(),
            in_sync: AtomicBool::new(false),
            is_decayed: AtomicBool::new(false),
            shelf: Mutex::default(),
        }
    }

    /// The manager from now on.
    pub(super) fn set_manager(&self, manager: Option<actix::Recipient<Tell>>) {
        *lock(&self.manager) = manager;
    }

    /// Tells the manager; `false` if there is none at present.
    pub fn tell(&self, tell: Tell) -> bool {
        let manager = lock(&self.manager).clone();
        manager.inspect(|manager| manager.do_send(tell)).is_some()
    }

    /// Opens what is kept of a plan and brings its log into the pair; it waits on the shelf until
    /// the plan is deployed.
    ///
    /// # Errors
    /// If what is kept cannot be used.
    pub fn shelve(&self, number: Plan, name: &str) -> Result<(), KeptError> {
        let kept = self.open(number, name)?;
        lock(&self.shelf).insert(number, kept);
        Ok(())
    }

    /// What is kept of a plan: from the shelf, or opened now. Its log is in the pair from then on.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn kept(&self, number: Plan, name: &str) -> Result<Kept, KeptError> {
        let shelved = lock(&self.shelf).remove(&number);
        match shelved.filter(|_| self.log(number).is_some_and(|log| *log.name == *name)) {
            Some(kept) => Ok(kept),
            None => self.open(number, name),
        }
    }

    fn open(&self, number: Plan, name: &str) -> Result<Kept, KeptError> {
        let mut kept = Kept::open(&self.data, name)?;
        if kept.is_decayed {
            self.set_decayed();
        }
        let (waker, results) = (kept.waker.clone(), kept.confirmed.clone());
        let snapshots = kept.snapshots.as_ref().expect("an open one has snapshots");
        let (applied, journal) = (kept.replica.position(), kept.ledger.journal());
        let wake = move || waker.wake();
        let log = self.log_of(number, name, (applied, results), (journal, snapshots), wake);
        let mirrored = self.attach(log);
        kept.waker.mirror(&mirrored);
        kept.ledger.mirror(mirrored);
        Ok(kept)
    }

    /// Brings a log into the pair that is no plan's. `nudge` wakes the thread that applies it.
    pub fn attach_log(
        &self,
        number: Plan,
        name: &str,
        applied: u64,
        (journal, snapshots): (&SharedJournal, &Snapshots<RealDisk>),
        nudge: impl Fn() + Send + Sync + 'static,
    ) -> Arc<Mirrored> {
        let log = self.log_of(number, name, (applied, None), (journal, snapshots), nudge);
        self.attach(log)
    }

    fn log_of(
        &self,
        number: Plan,
        name: &str,
        (applied, results): (u64, Option<Arc<ConfirmedFile>>),
        (journal, snapshots): (&SharedJournal, &Snapshots<RealDisk>),
        nudge: impl Fn() + Send + Sync + 'static,
    ) -> Log {
        let (gate, wire) = (Arc::clone(&self.gate), Arc::clone(&self.wire));
        let pace = hold(journal).as_ref().map(Journaled::pace).unwrap_or_default();
        Log {
            name: name.into(),
            mirrored: Arc::new(Mirrored::new(number, applied, results, gate, wire)),
            journal: Arc::clone(journal),
            snapshots: snapshots.clone(),
            nudge: Box::new(nudge),
            pace,
            applied,
            folder: Folders::of(&self.data, name).journal,
            station: Mutex::default(),
        }
    }

    fn attach(&self, log: Log) -> Arc<Mirrored> {
        let (number, mirrored) = (log.mirrored.plan, Arc::clone(&log.mirrored));
        lock(&self.logs).insert(number, Arc::new(log));
        self.tell(Tell::Attached(number));
        mirrored
    }

    /// Whether the other node follows closely, at the active.
    #[must_use]
    pub fn is_in_sync(&self) -> bool {
        self.in_sync.load(Ordering::Acquire)
    }

    pub(super) fn set_in_sync(&self, in_sync: bool) {
        self.in_sync.store(in_sync, Ordering::Release);
    }

    /// The last record of a journal was found to be wrong.
    pub fn set_decayed(&self) {
        self.is_decayed.store(true, Ordering::Release);
    }

    /// Whether that happened since it was asked last.
    pub(super) fn take_decayed(&self) -> bool {
        self.is_decayed.swap(false, Ordering::AcqRel)
    }

    /// A snapshot was taken here that the other node shall have, too.
    pub fn share_snapshot(&self, plan: &str, name: String) {
        if let Some(log) = self.named(plan) {
            self.tell(Tell::Share(log.mirrored.plan, name));
        }
    }

    /// The plan's station, once it is there.
    pub fn set_station(&self, number: Plan, station: &Arc<Station>) {
        if let Some(log) = self.log(number) {
            *lock(&log.station) = Arc::downgrade(station);
        }
    }

    /// The plan was undeployed.
    pub fn detach(&self, number: Plan) {
        lock(&self.logs).remove(&number);
        lock(&self.shelf).remove(&number);
        self.tell(Tell::Detached(number));
    }

    /// A log by its number.
    #[must_use]
    pub fn log(&self, number: Plan) -> Option<Arc<Log>> {
        lock(&self.logs).get(&number).cloned()
    }

    /// A log by the plan's name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Arc<Log>> {
        lock(&self.logs).values().find(|log| *log.name == *name).cloned()
    }

    /// All logs.
    #[must_use]
    pub fn logs(&self) -> Vec<Arc<Log>> {
        lock(&self.logs).values().cloned().collect()
    }
}

impl Log {
    /// The plan's station; `None` before the plan has started and after its end.
    #[must_use]
    pub fn station(&self) -> Option<Arc<Station>> {
        lock(&self.station).upgrade()
    }

    /// The log as the protocol finds it when it begins.
    #[must_use]
    pub fn start(&self) -> Option<LogStart> {
        let held = hold(&self.journal);
        let journal = held.as_ref()?;
        let applied = self.applied.max(self.mirrored.committed());
        Some(LogStart {
            shape: journal.shape(),
            synced: Position(journal.safe()),
            applied: Position(applied),
            whole: self.folder.join(WHOLE).exists(),
        })
    }

    /// Notes whether it holds every committed entry.
    ///
    /// # Errors
    /// What the system says.
    pub fn note_whole(&self, whole: bool) -> std::io::Result<()> {
        let path = self.folder.join(WHOLE);
        if path.exists() == whole {
            return Ok(());
        }
        if whole {
            std::fs::File::create(&path)?.sync_all()?;
        } else {
            std::fs::remove_file(&path)?;
        }
        std::fs::File::open(&self.folder)?.sync_all()
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log({} {})", self.mirrored.plan, self.name)
    }
}

/// Only whole assignments are made.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
