//! Makes a node one of a pair: its locks, its notes, and the HA manager in the tree.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use actix::prelude::*;

use crate::actors::clock;
use crate::actors::pair::HaManager;
use crate::actors::pair::Hub;
use crate::actors::pair::manager::Estate;
use crate::actors::pair::notes::Notes;
use crate::actors::threads::Thread;
use crate::actors::tree::ChildSpec;
use crate::actors::tree::Policy;
use crate::actors::tree::WhenGivenUp;
use crate::config::Config;
use crate::ha::arbiter::lock::LockError;
use crate::ha::arbiter::lock::NodeLock;
use crate::ha::secret::SecretError;
use crate::ha::settings;
use crate::ha::tls::TlsError;
use crate::telemetry::metrics::Metrics;

/// The file of notes in the folder of data.
const NOTES: &str = "pair.json";
/// How long the manager may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// The address of the manager at work; empty between two lives.
pub type ManagerSlot = Arc<Mutex<Option<Addr<HaManager>>>>;

/// Why a node cannot be one of a pair.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// Another process is this node.
    #[error("the lock beside the arbiter's file cannot be taken: {0}")]
    Lock(#[from] LockError),
    /// The secret cannot be used.
    #[error("`ha.secret_file`: {0}")]
    Secret(#[from] SecretError),
    /// No TLS can be spoken, though the settings ask for it.
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// The notes cannot be used.
    #[error("`{}` cannot be used: {error}", file.display())]
    Notes {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        error: io::Error,
    },
}

/// All that outlives the manager.
#[derive(Debug)]
pub struct Prepared(Arc<Estate>);

impl Prepared {
    /// Where the plans meet the pair.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.0.hub
    }
}

/// Takes the node's lock and reads its notes.
///
/// # Errors
/// What is in the way.
pub fn prepare(config: &Config, metrics: &Metrics) -> Result<Prepared, PairError> {
    settings::secret(&config.ha)?;
    settings::tls(&config.ha)?;
    let (mut lock, mut peer_lock) = (None, None);
    if let Some([mine, other]) = settings::lock_files(&config.ha) {
        lock = Some(NodeLock::take(&mine)?);
        peer_lock = Some(other);
    }
    let data = &config.node.data;
    let journals = std::fs::read_dir(data.join("journal").join("default"));
    let has_logs = journals.is_ok_and(|mut journals| journals.next().is_some());
    let file = data.join(NOTES);
    let notes = Notes::begin(&file, has_logs, clock::now_ms())
        .map_err(|error| PairError::Notes { file, error })?;
    let node = settings::node(&config.ha).to_string().to_lowercase();
    let hub = Arc::new(Hub::new(&node, data.clone()));
    Ok(Prepared(Arc::new(Estate::new(
        config.clone(),
        metrics.clone(),
        hub,
        (lock, peer_lock),
        notes,
    ))))
}

/// The manager as a child that is raised again however often it falls.
#[must_use]
pub fn child(prepared: Prepared, policy: Policy, manager: ManagerSlot) -> ChildSpec {
    let thread = Thread::start();
    ChildSpec {
        name: "ha".to_owned(),
        kind: "ha",
        rank: 0,
        policy,
        when_given_up: WhenGivenUp::Leave,
        grace: GRACE,
        start: Box::new(move |lifeline| {
            let estate = Arc::clone(&prepared.0);
            let actor = move |_: &mut Context<_>| HaManager::new(estate, lifeline);
            let address = HaManager::start_in_arbiter(&thread.handle(), actor);
            *manager.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                Some(address.clone());
            address.recipient()
        }),
    }
}
