//! The log of deployments of a single node: an entry counts once this node's disk has it.
//!
//! One thread orders: it checks an entry against the catalogue, writes it, makes it last and has it
//! applied, and only then takes the next. Deployments are rare; that they wait for each other makes
//! all simple.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Weak;
use std::thread;

use crossbeam_channel::Receiver;
use crossbeam_channel::Sender;
use tokio::sync::oneshot;
use tracing::error;
use tracing::warn;

use crate::actors::deployments::DeploymentLog;
use crate::actors::deployments::Deployments;
use crate::actors::deployments::DeploymentsError;
use crate::actors::deployments::NotOrdered;
use crate::actors::deployments::Ordered;
use crate::actors::plan::TENANT;
use crate::catalogue::Entry;
use crate::catalogue::NAME;
use crate::disk::RealDisk;
use crate::journal::Journal;
use crate::journal::JournalError;
use crate::journal::Options;
use crate::journal::format::plan_id;

/// A snapshot is written after so many entries.
const SNAPSHOT_EVERY: u64 = 64;
/// Offers that may wait.
const WAITING_MAX: usize = 1024;

/// The log of deployments where nobody else has a copy.
#[derive(Debug)]
pub struct SoloLog {
    offers: Sender<Offer>,
}

struct Offer {
    entry: Entry,
    told: oneshot::Sender<Result<u64, NotOrdered>>,
}

/// What the thread works with; without a folder nothing is kept.
struct Desk {
    folder: Option<PathBuf>,
    journal: Option<Journal<RealDisk>>,
}

impl SoloLog {
    /// Opens the log in its folder, or one in memory, has the deployments apply what it holds, and
    /// orders from now on.
    ///
    /// # Errors
    /// If the journal cannot be used.
    pub fn start(
        folder: Option<PathBuf>,
        deployments: &Arc<Deployments>,
    ) -> Result<(), DeploymentsError> {
        let mut desk = Desk { folder, journal: None };
        desk.open(deployments)?;
        let (offers, waiting) = crossbeam_channel::bounded(WAITING_MAX);
        let keeper = Arc::downgrade(deployments);
        thread::Builder::new()
            .name("deployments".to_owned())
            .spawn(move || desk.keep_ordering(&waiting, &keeper))
            .map_err(DeploymentsError::Thread)?;
        deployments.attach(Arc::new(Self { offers }));
        Ok(())
    }
}

impl DeploymentLog for SoloLog {
    fn offer(&self, entry: Entry) -> Ordered {
        let (told, answer) = oneshot::channel();
        let is_taken = self.offers.try_send(Offer { entry, told }).is_ok();
        Box::pin(async move {
            let unavailable = |what: &str| NotOrdered::Unavailable(what.to_owned());
            if !is_taken {
                return Err(unavailable("too many changes wait already"));
            }
            answer.await.unwrap_or_else(|_| Err(unavailable("the log of deployments has ended")))
        })
    }
}

impl Desk {
    /// Opens the journal and has applied what it holds further than the catalogue.
    fn open(&mut self, deployments: &Deployments) -> Result<(), DeploymentsError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        self.journal = None;
        let options = Options::new(plan_id(TENANT, NAME));
        let (mut journal, opened) = Journal::open(RealDisk, folder, options)?;
        if let Some(torn) = &opened.torn {
            let (file, bytes) = (torn.file.display(), torn.bytes);
            warn!(%file, bytes, "a write that never finished was cut off the log of deployments");
        }
        let applied = deployments.position();
        if opened.last < applied {
            // The snapshot holds more: the log goes on after it.
            journal.restart_after(applied, opened.last_epoch.max(1))?;
        }
        let mut records = journal.reader().read(applied + 1)?;
        while let Some(record) = records.read_next()? {
            deployments.committed(record.position, record.body)?;
        }
        self.journal = Some(journal);
        Ok(())
    }

    fn keep_ordering(mut self, waiting: &Receiver<Offer>, deployments: &Weak<Deployments>) {
        while let Ok(Offer { entry, told }) = waiting.recv() {
            let Some(deployments) = deployments.upgrade() else { return };
            let answer = self.order(&entry, &deployments);
            // Who offered may have gone meanwhile.
            let _ = told.send(answer);
            if deployments.unsaved() >= SNAPSHOT_EVERY {
                self.save(&deployments);
            }
        }
    }

    fn order(&mut self, entry: &Entry, deployments: &Deployments) -> Result<u64, NotOrdered> {
        let unavailable = |error: DeploymentsError| {
            error!(%error, "a deployment could not be kept");
            NotOrdered::Unavailable(error.to_string())
        };
        if self.folder.is_some() && self.journal.is_none() {
            self.open(deployments).map_err(unavailable)?;
        }
        deployments.catalogue().check(entry)?;
        let bytes = entry.to_bytes();
        let position = match self.append(&bytes, deployments) {
            Ok(position) => position,
            Err(error @ JournalError::TooLong { .. }) => {
                return Err(NotOrdered::Refused(error.to_string()));
            }
            Err(error) => {
                // Nobody knows whether it is there; what is there after opening again counts.
                self.journal = None;
                return Err(unavailable(error.into()));
            }
        };
        deployments.committed(position, &bytes).map_err(unavailable)?;
        Ok(position)
    }

    fn append(&mut self, bytes: &[u8], deployments: &Deployments) -> Result<u64, JournalError> {
        let Some(journal) = &mut self.journal else { return Ok(deployments.position() + 1) };
        let position = journal.append(journal.last_epoch().max(1), bytes)?;
        journal.sync()?;
        Ok(position)
    }

    fn save(&mut self, deployments: &Deployments) {
        let Some(journal) = &mut self.journal else { return };
        let needed = deployments.save(journal.last_epoch());
        let released = match needed {
            Ok(Some(position)) => journal.release_before(position).map_err(Into::into),
            Ok(None) => return,
            Err(error) => Err(DeploymentsError::from(error)),
        };
        if let Err(error) = released {
            warn!(%error, "no snapshot of the deployments; the next one is tried later");
        }
    }
}
