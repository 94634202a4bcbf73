//! What of a plan outlives its actors and its versions: inbox, desk, tails and the current version.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::TryLockError;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::sync::watch;

use crate::actors::clock;
use crate::actors::gate::Part;
use crate::actors::plan::Applied;
use crate::actors::plan::Budget;
use crate::actors::plan::Busy;
use crate::actors::plan::DeadLetters;
use crate::actors::plan::Desk;
use crate::actors::plan::Kept;
use crate::actors::plan::LetterBox;
use crate::actors::plan::Mirrored;
use crate::actors::plan::Misfit;
use crate::actors::plan::Posted;
use crate::actors::plan::Rows;
use crate::actors::plan::SnapshotDesk;
use crate::actors::plan::Standing;
use crate::actors::plan::Switch;
use crate::actors::plan::Tail;
use crate::actors::plan::TailLimits;
use crate::actors::plan::Version;
use crate::actors::plan::Work;
use crate::actors::plan::outside::Askers;
use crate::actors::tree::Inbox;
use crate::actors::tree::PutError;
use crate::event::Batch;
use crate::plan::answers::Answers;
use crate::plan::logical::StreamId;
use crate::replica::Broken;
use crate::replica::Copied;
use crate::replica::Letter;
use crate::replica::Mark;
use crate::replica::Sending;
use crate::telemetry::metrics::Metrics;

/// How long a receiver waits for a look at its plan's state.
const LOOK_TIME: Duration = Duration::from_millis(20);

/// A plan as the rest of the node knows it.
#[derive(Debug)]
pub struct Station {
    /// The plan's name.
    pub name: Arc<str>,
    /// What waits for the plan.
    pub inbox: Inbox<Work>,
    /// Since when the plan is at an entry.
    pub busy: Arc<Busy>,
    /// How much state the plan may have, and has.
    pub budget: Arc<Budget>,
    /// What could not be handled.
    pub dead_letters: Arc<DeadLetters>,
    /// Where publishers put what they give up.
    letter_box: Arc<LetterBox>,
    /// What is kept of the plan's state.
    pub snapshots: SnapshotDesk,
    /// The position of the last entry applied.
    applied: Arc<watch::Sender<u64>>,
    /// What the pair says to the plan's log, on a node of a pair.
    mirrored: Option<Arc<Mirrored>>,
    /// Who asks the stores of its tables.
    pub(super) askers: Askers,
    desk: Mutex<Desk>,
    current: RwLock<Arc<Version>>,
}

/// The tails of a plan's streams by name; they go on across versions.
#[derive(Debug, Default)]
pub struct Tails(BTreeMap<Arc<str>, Arc<Tail>>);

/// The plan takes nothing any more: it was undeployed, or it broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the plan takes no more events")]
pub struct Closed;

impl Station {
    /// A plan that starts with what is kept of it.
    ///
    /// # Errors
    /// If the plan's code panics at the start.
    pub fn new(
        version: Arc<Version>,
        inbox: Inbox<Work>,
        kept: Kept,
        metrics: &Metrics,
    ) -> Result<Self, Broken> {
        let snapshots = SnapshotDesk::new(kept.snapshots.clone(), &version.name, metrics);
        let desk = Desk::new(Arc::clone(&version), kept, metrics)?;
        Ok(Self {
            name: Arc::clone(&version.name),
            inbox,
            busy: Arc::clone(desk.busy()),
            budget: Arc::clone(desk.budget()),
            dead_letters: Arc::clone(desk.dead_letters()),
            letter_box: Arc::clone(desk.letter_box()),
            snapshots,
            applied: Arc::clone(desk.applied()),
            mirrored: desk.ledger().mirrored().cloned(),
            askers: Askers::default(),
            desk: Mutex::new(desk),
            current: RwLock::new(version),
        })
    }

    /// The position of the last entry applied here.
    #[must_use]
    pub fn position(&self) -> u64 {
        *self.applied.borrow()
    }

    /// Entries that are known to be committed and not applied here yet.
    #[must_use]
    pub fn lag(&self) -> u64 {
        let committed = self.mirrored.as_ref().map_or(0, |mirrored| mirrored.committed());
        committed.saturating_sub(self.position())
    }

    /// The number of the last event of a stream of which every result has left, where the other
    /// node of a pair publishes them; on the node that publishes whatever is shown is on its way.
    #[must_use]
    pub fn left(&self, stream: &str) -> u64 {
        let follows = |mirrored: &Arc<Mirrored>| mirrored.gate.part() != Part::Active;
        if !self.mirrored.as_ref().is_some_and(follows) {
            return u64::MAX;
        }
        self.version().stream(stream).map_or(u64::MAX, |(_, front)| front.left())
    }

    /// A publisher is done with a parcel: the other node of a pair need not hold it any more.
    /// `is_awaited` says that the next one is not begun before the other node knows.
    pub fn published(&self, is_awaited: bool) {
        if let Some(mirrored) = &self.mirrored {
            mirrored.results_left(is_awaited);
        }
    }

    /// The pair's side of the plan's log, on a node of a pair.
    #[must_use]
    pub fn mirrored(&self) -> Option<&Arc<Mirrored>> {
        self.mirrored.as_ref()
    }

    /// Waits until the entry at a position was applied here.
    pub async fn reaches(&self, position: u64) {
        let mut applied = self.applied.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = applied.wait_for(|upto| *upto >= position).await;
    }

    /// The version that new events are made for.
    #[must_use]
    pub fn version(&self) -> Arc<Version> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The plan at work; only its actor works at it.
    ///
    /// A panic while it was held leaves it whole: the machine is rebuilt before anything else can
    /// panic, and results are handed over one by one.
    pub fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The plan at work, for those who cannot wait for an entry that takes long.
    #[must_use]
    pub fn desk_within(&self, time: Duration) -> Option<MutexGuard<'_, Desk>> {
        let end = clock::elapsed() + time;
        loop {
            match self.desk.try_lock() {
                Ok(desk) => return Some(desk),
                Err(TryLockError::Poisoned(desk)) => return Some(desk.into_inner()),
                Err(TryLockError::WouldBlock) if clock::elapsed() >= end => return None,
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_micros(200)),
            }
        }
    }

    /// How far a receiver has come, as the plan's log says; `None` while that is not known.
    #[must_use]
    pub fn place_of(&self, receiver: &str) -> Option<Option<String>> {
        let desk = self.desk_within(LOOK_TIME)?;
        desk.knows_places().then(|| desk.place_of(receiver).map(str::to_owned))
    }

    /// Where this node's receiver goes on that gets every event on both nodes; `None` while that is
    /// not known.
    #[must_use]
    pub fn standing_of(&self, receiver: &str, node: &str) -> Option<Standing> {
        self.desk_within(LOOK_TIME)?.standing_of(receiver, node)
    }

    /// Puts rows in, waiting for room and for as long as the plan has too much state.
    ///
    /// # Errors
    /// If the plan takes nothing any more.
    pub async fn put(
        &self,
        version: &Arc<Version>,
        stream: StreamId,
        batch: Batch,
    ) -> Result<(), Closed> {
        let rows = rows(version, stream, batch, None);
        self.budget.room().await;
        self.inbox.put(Work::Rows(Box::new(rows))).await.map_err(|_| Closed)
    }

    /// Puts in what a receiver brought if there is room now; `told` is told once it is applied.
    ///
    /// # Errors
    /// If there is no room or too much state, or the plan takes nothing any more; all of it comes
    /// back.
    pub fn put_now(
        &self,
        version: &Arc<Version>,
        stream: StreamId,
        brought: Brought,
        told: Option<oneshot::Sender<Result<Applied, Misfit>>>,
    ) -> Result<(), Box<Brought>> {
        if self.budget.is_exceeded() {
            return Err(Box::new(brought));
        }
        let rows = brought.rows(version, stream, told);
        self.inbox.try_put(Work::Rows(Box::new(rows))).map_err(|error| match error {
            PutError::Full(Work::Rows(rows)) | PutError::Closed(Work::Rows(rows)) => {
                let Rows { batch, letters, mark, copied, .. } = *rows;
                Box::new(Brought { batch, letters, mark, copied })
            }
            _ => unreachable!("what comes back is what was put in"),
        })
    }

    /// Puts in what a receiver brought, waiting for room; the answer comes when it was applied.
    ///
    /// # Errors
    /// If the plan takes nothing any more.
    pub async fn bring(
        &self,
        version: &Arc<Version>,
        stream: StreamId,
        brought: Brought,
    ) -> Result<oneshot::Receiver<Result<Applied, Misfit>>, Closed> {
        let (tell, told) = oneshot::channel();
        let rows = brought.rows(version, stream, Some(tell));
        self.budget.room().await;
        self.inbox.put(Work::Rows(Box::new(rows))).await.map_err(|_| Closed)?;
        Ok(told)
    }

    /// Puts aside what a publisher gives up; the answer comes when it is safe in the plan's log.
    #[must_use]
    pub fn put_aside(&self, letter: Letter) -> oneshot::Receiver<Result<Applied, Misfit>> {
        let (tell, told) = oneshot::channel();
        self.letter_box.put(Posted::Letter(letter), tell);
        self.inbox.nudge();
        told
    }

    /// Brings what an external table was found to hold; the answer comes when it is safe in the
    /// plan's log.
    #[must_use]
    pub fn bring_answers(
        &self,
        answers: Arc<Answers>,
    ) -> oneshot::Receiver<Result<Applied, Misfit>> {
        let (tell, told) = oneshot::channel();
        self.letter_box.put(Posted::Answers(answers), tell);
        self.inbox.nudge();
        told
    }

    /// What publishers brought and nobody has ordered yet, the oldest of it.
    #[cfg(test)]
    pub(crate) fn posted(
        &self,
    ) -> Option<(crate::actors::plan::Posted, crate::actors::plan::LetterTold)> {
        self.letter_box.take()
    }

    /// As [`Station::put`]; the answer comes when the rows have been applied.
    ///
    /// # Errors
    /// If the plan takes nothing any more.
    pub async fn put_and_ask(
        &self,
        version: &Arc<Version>,
        stream: StreamId,
        batch: Batch,
    ) -> Result<oneshot::Receiver<Result<Applied, Misfit>>, Closed> {
        self.put_once(version, stream, batch, None).await
    }

    /// As [`Station::put_and_ask`], for a sender that numbers what it sends.
    ///
    /// # Errors
    /// If the plan takes nothing any more.
    pub async fn put_once(
        &self,
        version: &Arc<Version>,
        stream: StreamId,
        batch: Batch,
        sending: Option<Sending>,
    ) -> Result<oneshot::Receiver<Result<Applied, Misfit>>, Closed> {
        let (tell, told) = oneshot::channel();
        let rows = Rows { sending, ..rows(version, stream, batch, Some(tell)) };
        self.budget.room().await;
        self.inbox.put(Work::Rows(Box::new(rows))).await.map_err(|_| Closed)?;
        Ok(told)
    }

    /// Makes the cut: what is put in before goes to the old version, what comes after to this one.
    /// Returns when the new version has taken over.
    ///
    /// # Errors
    /// If the plan takes nothing any more.
    pub async fn switch(&self, version: Arc<Version>) -> Result<(), Closed> {
        let (tell, told) = oneshot::channel();
        let switch = Switch { version: Arc::clone(&version), told: tell };
        let early = self.desk().switch_while_loading(switch);
        match early {
            Ok(()) => self.inbox.nudge(),
            Err(switch) => self.inbox.put(Work::Switch(switch)).await.map_err(|_| Closed)?,
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = version;
        told.await.map_err(|_| Closed)
    }
}

/// Rows as a message, accepted now.
fn rows(
    version: &Arc<Version>,
    stream: StreamId,
    batch: Batch,
    told: Option<oneshot::Sender<Result<Applied, Misfit>>>,
) -> Rows {
    let (version, accepted) = (Arc::clone(version), clock::elapsed());
    let letters = Vec::new();
    let (sending, mark, copied) = (None, None, None);
    Rows { version, stream, batch, letters, sending, mark, copied, accepted, told }
}

/// What a receiver brings to its stream at once.
#[derive(Debug)]
pub struct Brought {
    /// Rows; may be none.
    pub batch: Batch,
    /// What could not be read as rows.
    pub letters: Vec<Letter>,
    /// Where the receiver stands after all of it.
    pub mark: Option<Mark>,
    /// What makes rows known that come on both nodes of a pair.
    pub copied: Option<Copied>,
}

impl Brought {
    fn rows(
        self,
        version: &Arc<Version>,
        stream: StreamId,
        told: Option<oneshot::Sender<Result<Applied, Misfit>>>,
    ) -> Rows {
        let Self { batch, letters, mark, copied } = self;
        Rows { letters, mark, copied, ..rows(version, stream, batch, told) }
    }
}

impl Tails {
    /// The tail of a stream, the same for all versions of the plan.
    pub fn of(&mut self, stream: &Arc<str>, limits: TailLimits) -> Arc<Tail> {
        let tail = self.0.entry(Arc::clone(stream)).or_insert_with(|| Arc::new(Tail::new(limits)));
        Arc::clone(tail)
    }
}
