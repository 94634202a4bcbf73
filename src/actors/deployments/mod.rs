//! The log of deployments at work: what is committed in it is applied to the catalogue of plans,
//! and whoever follows the catalogue is woken.
//!
//! ```text
//! folder, http ─► Deployments::offer ─► DeploymentLog: orders
//!                                             │
//!              catalogue ◄─ Deployments::committed
//! ```
//!
//! Where entries are ordered, and when they count, is behind [`DeploymentLog`]. A single node has
//! [`SoloLog`]. A pair puts a log in its place that is mirrored like those of plans:
//!
//! - It is the log [`LOG`](crate::catalogue::LOG) of the protocol, with the files of a plan called
//!   [`NAME`](crate::catalogue::NAME); its bodies are the bytes of an
//!   [`Entry`](crate::catalogue::Entry).
//! - [`Deployments::open`] has read the newest snapshot; the log calls [`Deployments::committed`]
//!   for every entry after [`Deployments::position`], in order, as it learns that it is committed:
//!   those it finds in its journal, later those that come. A position that was applied is passed
//!   over.
//! - Its `offer` on the active calls [`Deployments::examine`], appends the entry that this gives
//!   and answers with its position once it is committed. On the passive it sends the entry to the
//!   active and answers what that answers. It may also append what came from the passive without a
//!   check of the catalogue: an entry that does not fit has no effect, and the same on both nodes.
//! - [`Deployments::save`] writes a snapshot and tells what may be released; a node that joins
//!   takes one over with [`Deployments::install`].

mod error;
mod solo;
#[cfg(test)]
mod tests;

pub use error::DeploymentsError;
pub use error::NotOrdered;
pub use solo::SoloLog;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;

use tokio::sync::watch;
use tracing::info;
use tracing::warn;

use crate::actors::checking;
use crate::actors::clock;
use crate::actors::plan::TENANT;
use crate::catalogue::Applied;
use crate::catalogue::Catalogue;
use crate::catalogue::Change;
use crate::catalogue::Entry;
use crate::catalogue::Misfit;
use crate::catalogue::NAME;
use crate::catalogue::PlanText;
use crate::disk::RealDisk;
use crate::event::hash_bytes;
use crate::snapshot::Header;
use crate::snapshot::SnapshotError;
use crate::snapshot::Snapshots;
use crate::store::Stores;

/// Of so many entries it is known what they did.
const OUTCOMES_MAX: usize = 1024;

/// The answer to an offer: the position at which the entry is committed.
pub type Ordered = Pin<Box<dyn Future<Output = Result<u64, NotOrdered>> + Send>>;

/// Orders entries of the log of deployments; see the room's text for what a pair has to do.
pub trait DeploymentLog: fmt::Debug + Send + Sync {
    /// Wants an entry in the log. The answer comes once it is committed; it may have been given to
    /// [`Deployments::committed`] before that, or is soon.
    fn offer(&self, entry: Entry) -> Ordered;
}

/// The catalogue of plans and the log that changes it.
#[derive(Debug)]
pub struct Deployments {
    state: Mutex<State>,
    log: OnceLock<Arc<dyn DeploymentLog>>,
    snapshots: Option<Snapshots<RealDisk>>,
    /// The snapshot from which this began.
    restored: Option<Header>,
    position: watch::Sender<u64>,
    /// The stores of this node, once they are known.
    stores: OnceLock<Stores>,
}

#[derive(Debug, Default)]
struct State {
    catalogue: Arc<Catalogue>,
    /// What the latest entries did.
    outcomes: BTreeMap<u64, Result<Applied, Misfit>>,
    /// The position of the last snapshot.
    saved: u64,
}

impl Deployments {
    /// The catalogue as the newest snapshot below the folder of data has it; `None` where nothing
    /// is kept.
    ///
    /// # Errors
    /// If a snapshot is there that cannot be used.
    pub fn open(data: Option<&Path>) -> Result<Self, DeploymentsError> {
        let snapshots =
            data.map(|data| Snapshots::new(RealDisk, data, TENANT, NAME)).transpose()?;
        let mut state = State::default();
        let mut restored = None;
        if let Some(snapshots) = &snapshots
            && let Some((header, catalogue)) = restore(snapshots)?
        {
            state.saved = catalogue.position();
            state.catalogue = Arc::new(catalogue);
            restored = Some(header);
        }
        let position = watch::Sender::new(state.catalogue.position());
        let (log, stores) = (OnceLock::new(), OnceLock::new());
        Ok(Self { state: Mutex::new(state), log, snapshots, restored, position, stores })
    }

    /// What the snapshot says of itself from which this began.
    #[must_use]
    pub fn restored(&self) -> Option<&Header> {
        self.restored.as_ref()
    }

    /// Entries are ordered here from now on. A second call has no effect.
    pub fn attach(&self, log: Arc<dyn DeploymentLog>) {
        let _ = self.log.set(log);
    }

    /// From now on plans are refused that name other stores. A second call has no effect.
    pub fn know_stores(&self, stores: Stores) {
        let _ = self.stores.set(stores);
    }

    /// The catalogue after the last committed entry.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.state().catalogue)
    }

    /// The position of the last entry applied.
    #[must_use]
    pub fn position(&self) -> u64 {
        *self.position.borrow()
    }

    /// Tells when more is applied.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.position.subscribe()
    }

    /// Applies the entry that is committed at a position.
    ///
    /// # Errors
    /// If it is not the next one, or this program cannot read it; nothing was applied.
    pub fn committed(&self, position: u64, bytes: &[u8]) -> Result<(), DeploymentsError> {
        {
            let mut state = self.state();
            let next = state.catalogue.position() + 1;
            if position < next {
                return Ok(());
            }
            if position > next {
                return Err(DeploymentsError::Gap { position, next });
            }
            let entry =
                Entry::from_bytes(bytes).map_err(|_| DeploymentsError::Unreadable { position })?;
            let outcome = Arc::make_mut(&mut state.catalogue).apply(&entry);
            if let Err(misfit) = &outcome {
                let plan = &entry.plan;
                info!(%plan, position, %misfit, "an entry of the deployments has no effect");
            }
            state.outcomes.insert(position, outcome);
            if state.outcomes.len() > OUTCOMES_MAX {
                state.outcomes.pop_first();
            }
        }
        self.position.send_replace(position);
        Ok(())
    }

    /// Takes over a catalogue from elsewhere, if it goes further than this one.
    ///
    /// # Errors
    /// If the bytes are none.
    pub fn install(&self, bytes: &[u8]) -> Result<(), DeploymentsError> {
        let catalogue = Catalogue::from_bytes(bytes).map_err(|_| DeploymentsError::Snapshot)?;
        let position = catalogue.position();
        {
            let mut state = self.state();
            if position <= state.catalogue.position() {
                return Ok(());
            }
            state.catalogue = Arc::new(catalogue);
        }
        self.position.send_replace(position);
        Ok(())
    }

    /// Makes of an entry that came from elsewhere what may be appended: the text is checked, and
    /// variables outside options are replaced as this node has them.
    ///
    /// # Errors
    /// If it would have no effect, or its text has errors.
    pub fn examine(&self, mut entry: Entry) -> Result<Entry, NotOrdered> {
        self.catalogue().check(&entry)?;
        if let Change::Deploy { file, text, .. } | Change::Update { file, text, .. } =
            &mut entry.change
        {
            let reading = checking::check_for(file, &text.source, self.stores.get());
            if reading.plan.is_none() {
                return Err(NotOrdered::Unsound(Box::new(reading)));
            }
            *text = PlanText {
                kept: checking::text_to_keep(&text.source).into(),
                source: text.source.clone(),
            };
            self.catalogue().check(&entry)?;
        }
        entry.at = clock::now_ms();
        Ok(entry)
    }

    /// Wants a change; the answer comes when it is committed and applied to the catalogue.
    ///
    /// # Errors
    /// If it is not ordered, or without effect since another came first.
    pub async fn offer(&self, entry: Entry) -> Result<Applied, NotOrdered> {
        let log = self.log.get().ok_or_else(|| {
            NotOrdered::Unavailable("the node has not started its log of deployments".to_owned())
        })?;
        let position = log.offer(entry).await?;
        let mut applied = self.position.subscribe();
        // The sender lives as long as this.
        let _ = applied.wait_for(|upto| *upto >= position).await;
        let outcome = self.state().outcomes.get(&position).cloned();
        let unknown =
            || NotOrdered::Unavailable("what became of the change is not known".to_owned());
        Ok(outcome.ok_or_else(unknown)??)
    }

    /// How many entries were applied since the last snapshot.
    #[must_use]
    pub fn unsaved(&self) -> u64 {
        let state = self.state();
        state.catalogue.position().saturating_sub(state.saved)
    }

    /// Writes a snapshot of the catalogue, to be kept under this epoch; tells the first position of
    /// the log that is still needed, where anything is kept.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn save(&self, epoch: u64) -> Result<Option<u64>, SnapshotError> {
        let Some(snapshots) = &self.snapshots else { return Ok(None) };
        let catalogue = self.catalogue();
        let state = catalogue.to_bytes();
        let header = Header {
            tenant: TENANT.to_owned(),
            plan: NAME.to_owned(),
            position: catalogue.position(),
            epoch,
            state_fingerprint: hash_bytes(&state),
            text_fingerprint: 0,
            created: clock::now_ms(),
        };
        let mut writer = snapshots.write(&header)?;
        writer.put(&state)?;
        writer.finish()?;
        snapshots.prune()?;
        self.state().saved = catalogue.position();
        Ok(snapshots.older_of_two()?.map(|position| position + 1))
    }

    /// What is guarded is whole between the calls that change it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The catalogue of the newest snapshot that is right in every byte.
fn restore(
    snapshots: &Snapshots<RealDisk>,
) -> Result<Option<(Header, Catalogue)>, DeploymentsError> {
    let newest = snapshots.newest_valid()?;
    for (name, error) in &newest.passed_over {
        warn!(snapshot = name, %error, "a snapshot of the deployments cannot be used");
    }
    let Some((name, header, bytes)) = newest.found else { return Ok(None) };
    let state = snapshots.open(&name, bytes)?.read_all()?;
    let catalogue = Catalogue::from_bytes(&state).map_err(|_| DeploymentsError::Snapshot)?;
    Ok(Some((header, catalogue)))
}
