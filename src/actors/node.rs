//! Starts a node and stops it.
//!
//! ```text
//! node
//! ├─ deployer              watches the folder of plans and the log of deployments
//! ├─ watchman              gives up a plan that does not come to the end of an entry
//! ├─ ha                    in a pair: who acts, what is committed, the link to the other node
//! ├─ snapshotter           keeps the state of each plan on disk, from time to time
//! └─ plans
//!    └─ a plan (each)      a group of its own: what happens in it stays in it
//!       ├─ publisher …
//!       ├─ core            the plan itself, in a thread of its own
//!       └─ receiver …
//! ```

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use actix::prelude::*;
use tracing::info;
use tracing::warn;

use crate::actors::clock;
use crate::actors::deployer::Deployer;
use crate::actors::deployments::Deployments;
use crate::actors::deployments::DeploymentsError;
use crate::actors::deployments::SoloLog;
use crate::actors::handle::Handle;
use crate::actors::office::Office;
use crate::actors::pair;
use crate::actors::pair::Hub;
use crate::actors::plan::Folders;
use crate::actors::plan_folder::known::Known;
use crate::actors::rounds;
use crate::actors::snapshotter::Snapshotter;
use crate::actors::threads::Thread;
use crate::actors::tree::ChildSpec;
use crate::actors::tree::Policy;
use crate::actors::tree::Supervisor;
use crate::actors::tree::Surroundings;
use crate::actors::tree::WhenGivenUp;
use crate::actors::watchman::Watchman;
use crate::catalogue::NAME;
use crate::config::Config;
use crate::ha::arbiter::lock::LockError;
use crate::ha::arbiter::lock::NodeLock;
use crate::telemetry::metrics::Metrics;

/// How long all plans together may take to stop.
const GRACE: Duration = Duration::from_secs(40);
/// The deployer and the plans' supervisor must not stay down: too many falls end nothing, the waits
/// just grow.
const ALWAYS: Policy = Policy { falls_max: None, ..Policy::FIRM };

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A folder it needs cannot be made.
    #[error("cannot make the folder `{folder}` (`{setting}`): {error}")]
    Folder {
        /// The folder.
        folder: String,
        /// The setting that names it.
        setting: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// Another node works with the same data.
    #[error("`node.data` cannot be used: {0}")]
    InUse(#[source] LockError),
    /// The node cannot be one of a pair.
    #[error(transparent)]
    Pair(#[from] pair::PairError),
    /// Nobody knows which plans are to run.
    #[error(transparent)]
    Deployments(#[from] DeploymentsError),
}

/// Starts a node; the caller runs in an actix system, which must go on running.
///
/// # Errors
/// If a folder that it needs cannot be made or is in use, or the log of deployments is damaged.
pub fn start(config: Config) -> Result<Handle, StartError> {
    make(&config.node.data, "node.data")?;
    make(&config.plans.folder, "plans.folder")?;
    // Two nodes on one folder would write one journal.
    let lock = NodeLock::take(&config.node.data.join("lock")).map_err(StartError::InUse)?;
    let _begins_now = clock::elapsed();
    let metrics = Metrics::new(&config.node.name);
    let (around, pair) = if config.ha.enabled {
        let pair = pair::prepare(&config, &metrics)?;
        (Surroundings::paired(metrics, Arc::clone(pair.hub())), Some(pair))
    } else {
        (Surroundings::alone(metrics), None)
    };
    info!(node = config.node.name, plans = %config.plans.folder.display(), "starting");
    let deployments = deployments(&config, around.pair.as_deref())?;
    let office = Arc::new(Office::new(config, around.clone(), lock, deployments));
    // First, so that it ends last: what plans finish at the end it commits.
    let mut children = Vec::from_iter(pair.map(|of| pair::child(of, ALWAYS, office.manager())));
    children.extend([plans(&office), deployer(&office)]);
    let watched = Arc::clone(&office);
    children.push(rounds::child(1, ALWAYS, move || Watchman::new(&watched)));
    if office.config.persistence.enabled {
        let kept = Arc::clone(&office);
        children.push(rounds::child(1, ALWAYS, move || Snapshotter::new(&kept)));
    } else {
        warn!("nothing is kept on disk (`persistence.enabled` is false): a restart begins empty");
    }
    let root = Supervisor::root("", around, children).start();
    Ok(Handle::new(office, root))
}

/// The log of deployments, as it was when the node ended.
fn deployments(config: &Config, pair: Option<&Hub>) -> Result<Arc<Deployments>, DeploymentsError> {
    let data = config.persistence.enabled.then_some(config.node.data.as_path());
    let deployments = Arc::new(Deployments::open(data)?);
    match pair {
        Some(pair) => pair::deployments::start(pair, &config.node.data, &deployments)?,
        None => SoloLog::start(data.map(|data| Folders::of(data, NAME).journal), &deployments)?,
    }
    Ok(deployments)
}

fn make(folder: &Path, setting: &'static str) -> Result<(), StartError> {
    std::fs::create_dir_all(folder).map_err(|error| {
        let folder = folder.display().to_string();
        StartError::Folder { folder, setting, error }
    })
}

fn plans(office: &Arc<Office>) -> ChildSpec {
    let office = Arc::clone(office);
    ChildSpec {
        name: "plans".to_owned(),
        kind: "plans",
        rank: 0,
        policy: ALWAYS,
        when_given_up: WhenGivenUp::Leave,
        grace: GRACE,
        start: Box::new(move |lifeline| {
            let (around, groups) = (office.around.clone(), office.groups());
            let plans = Supervisor::below("plans", around, groups, lifeline).start();
            office.set_plans(plans.clone());
            plans.recipient()
        }),
    }
}

fn deployer(office: &Arc<Office>) -> ChildSpec {
    let config = &office.config;
    let records = config.persistence.enabled.then(|| {
        // What this node has of the folder is no part of the log, but goes with it.
        Folders::of(&config.node.data, NAME).journal.join("folder")
    });
    let stores = office.ports.stores.clone();
    let known = Arc::new(Mutex::new(Known::new(config.plans.clone(), records, stores)));
    let (office, thread) = (Arc::clone(office), Thread::start());
    ChildSpec {
        name: "deployer".to_owned(),
        kind: "deployer",
        rank: 1,
        policy: ALWAYS,
        when_given_up: WhenGivenUp::Leave,
        grace: Duration::from_secs(5),
        start: Box::new(move |lifeline| {
            let (office, known) = (Arc::clone(&office), Arc::clone(&known));
            let actor = move |_: &mut Context<_>| Deployer::new(office, known, lifeline);
            Deployer::start_in_arbiter(&thread.handle(), actor).recipient()
        }),
    }
}
