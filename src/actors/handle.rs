//! The face of a node for `http`, `cli` and embedders: what runs, what was refused, what goes in.
//!
//! A handle is cheap to clone and may be used from any thread. To send events: [`Handle::plan`]
//! gives the plan's [`Station`]; its [`Station::version`] knows the streams and their schemas;
//! fill a [`Batch`](crate::event::Batch) of that schema and [`Station::put`] it, or
//! [`Station::put_and_ask`] to hear when it is applied. Events come back through the stream's
//! [`Tail`](crate::actors::plan::Tail).

use std::sync::Arc;
use std::sync::PoisonError;

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::actors::checking;
use crate::actors::gate::Part;
use crate::actors::office::Office;
use crate::actors::office::RefusedFile;
use crate::actors::pair::AskStatus;
use crate::actors::pair::HaManager;
use crate::actors::pair::PairStatus;
use crate::actors::pair::Wish;
use crate::actors::plan::Station;
use crate::actors::plan::Version;
use crate::actors::slot::CORE;
use crate::actors::tree::ActorStatus;
use crate::actors::tree::AddChild;
use crate::actors::tree::ChildSpec;
use crate::actors::tree::Registry;
use crate::actors::tree::StopAll;
use crate::actors::tree::Supervisor;
use crate::config::Config;
use crate::ha::protocol::Refusal;
use crate::ha::protocol::Word;
use crate::receivers::http::Paths;
use crate::rehearsal::Reading;
use crate::store::Stores;
use crate::telemetry::metrics::Metrics;

/// A node that runs.
#[derive(Debug, Clone)]
pub struct Handle {
    office: Arc<Office>,
    root: Addr<Supervisor>,
}

/// A plan as people see it: what runs, and what was refused under its name.
#[derive(Debug, Clone)]
pub struct PlanView {
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: PlanState,
    /// The file it lies in.
    pub file: String,
    /// The version that runs, or ran until the plan failed; `None` if none ever did.
    pub version: Option<Arc<Version>>,
    /// Why it takes no step at present, though it runs.
    pub held_up: Option<String>,
    /// Events that wait for it.
    pub waiting: usize,
    /// Bytes of its state, when they were counted last, and how many it may have.
    pub state_bytes: (u64, u64),
    /// A file that wants to be this plan and was refused; a version from before may be running.
    pub refused: Option<RefusedFile>,
}

/// How a plan is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanState {
    /// At work.
    Running,
    /// Its actors were given up, for this reason.
    Failed(String),
    /// No version of it was ever taken.
    Refused,
}

impl Handle {
    pub(super) fn new(office: Arc<Office>, root: Addr<Supervisor>) -> Self {
        Self { office, root }
    }

    /// The node's settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.office.config
    }

    /// The node's name.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.office.config.node.name
    }

    /// Whether the plans that lay in the folder at the start have been dealt with.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.office.is_ready()
    }

    /// A deployed plan.
    #[must_use]
    pub fn plan(&self, name: &str) -> Option<Arc<Station>> {
        self.office.slot(name).map(|slot| Arc::clone(&slot.station))
    }

    /// All plans by name, also those that were refused.
    #[must_use]
    pub fn plans(&self) -> Vec<PlanView> {
        let mut refused = self.office.refused();
        let mut views: Vec<_> = Vec::new();
        for slot in self.office.slots() {
            let name = slot.station.name.to_string();
            let mine = refused.iter().position(|refused| refused.plan == name);
            let state = self.office.failure(&name).map_or(PlanState::Running, PlanState::Failed);
            views.push(PlanView {
                state,
                file: slot.file(),
                version: Some(slot.station.version()),
                held_up: self.held_up(&slot.station),
                waiting: slot.station.inbox.events(),
                state_bytes: (slot.station.budget.bytes(), slot.station.budget.max()),
                refused: mine.map(|index| refused.remove(index)),
                name,
            });
        }
        views.extend(refused.into_iter().map(|refused| PlanView {
            name: refused.plan.clone(),
            state: PlanState::Refused,
            file: refused.file.clone(),
            version: None,
            held_up: None,
            waiting: 0,
            state_bytes: (0, 0),
            refused: Some(refused),
        }));
        views.sort_by(|one, other| (&one.name, &one.file).cmp(&(&other.name, &other.file)));
        views
    }

    /// Why a plan that runs takes no step: it waits for something, or has too much state.
    fn held_up(&self, station: &Station) -> Option<String> {
        let core = self.registry().one(&format!("plans/{}/{CORE}", station.name));
        let waits = core.map(|core| core.detail).filter(|detail| !detail.is_empty());
        waits.or_else(|| station.budget.complaint())
    }

    /// The stores of the node.
    #[must_use]
    pub fn stores(&self) -> &Stores {
        &self.office.ports.stores
    }

    /// The paths at which plans take requests by `@source(type='http')`.
    #[must_use]
    pub fn paths(&self) -> &Paths {
        &self.office.ports.paths
    }

    /// Checks a plan's text as a deployment would, and deploys nothing.
    #[must_use]
    pub fn check(&self, name: &str, text: &str) -> Reading {
        checking::check_for(name, text, Some(&self.office.ports.stores))
    }

    /// Whose turn it is to change the folder of plans.
    pub(super) fn edits(&self) -> &tokio::sync::Mutex<()> {
        &self.office.edits
    }

    /// Every actor of the node.
    #[must_use]
    pub fn actors(&self) -> Vec<ActorStatus> {
        self.office.around.registry.all()
    }

    /// The registry of actors, by which tests make one fall.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.office.around.registry
    }

    /// The node's figures.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.office.around.metrics
    }

    /// Starts one more actor under the root, such as the web server; it stops before the plans if
    /// its rank is above theirs.
    pub async fn add(&self, child: ChildSpec) {
        // A root that has ended starts nothing any more.
        let _ = self.root.send(AddChild(child)).await;
    }

    /// Whether this node may act now: it is alone, or the active one of a pair.
    #[must_use]
    pub fn may_act(&self) -> bool {
        self.office.around.gate.is_open()
    }

    /// What this node is for the outside.
    #[must_use]
    pub fn part(&self) -> Part {
        self.office.around.gate.part()
    }

    /// The pair as this node sees it; `None` if it is alone.
    pub async fn pair(&self) -> Option<PairStatus> {
        self.manager()?.send(AskStatus).await.ok()
    }

    /// Says the operator's word to the pair, and waits until it is done.
    ///
    /// # Errors
    /// Why it is not done; `None` if this node is alone or the pair is not at work.
    pub async fn wish(&self, word: Word) -> Result<(), Option<Refusal>> {
        let (told, answer) = oneshot::channel();
        let manager = self.manager().ok_or(None)?;
        manager.send(Wish { word, told }).await.map_err(|_| None)?;
        answer.await.map_err(|_| None)?.map_err(Some)
    }

    /// The number under which the pair knows a plan; `None` if this node is alone or has none of
    /// that name.
    #[must_use]
    pub fn number(&self, plan: &str) -> Option<crate::ha::protocol::Plan> {
        let log = self.office.around.pair.as_ref()?.named(plan)?;
        Some(log.mirrored.plan)
    }

    fn manager(&self) -> Option<Addr<HaManager>> {
        let slot = self.office.manager();
        let manager = slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
        manager.filter(Addr::connected)
    }

    /// Stops the node in order: receivers first, then plans finish what they took, then publishers
    /// publish what is left. Returns when all have ended or their time is over.
    pub async fn stop(&self) {
        // A root that has ended already has nothing left to stop.
        let _ = self.root.send(StopAll).await;
    }
}
