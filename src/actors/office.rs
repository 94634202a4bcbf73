//! What runs on this node and what was refused: carries out what the log of deployments says.
//!
//! Steps of one plan are done one after the other, in order; steps of different plans do not wait
//! for each other, so that a plan that is stuck holds up nobody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use actix::prelude::*;
use tracing::error;
use tracing::field::display;
use tracing::info;
use tracing::warn;

use crate::actors::deployments::Deployments;
use crate::actors::edges::Ports;
use crate::actors::gate::Part;
use crate::actors::pair::ManagerSlot;
use crate::actors::plan::hold;
use crate::actors::slot::Draft;
use crate::actors::slot::Slot;
use crate::actors::tree::AddChild;
use crate::actors::tree::RemoveChild;
use crate::actors::tree::State;
use crate::actors::tree::Supervisor;
use crate::actors::tree::Surroundings;
use crate::catalogue::LOG;
use crate::config::Config;
use crate::ha::arbiter::lock::NodeLock;
use crate::ha::protocol::Plan;
use crate::language::render;
use crate::language::render::Colour;
use crate::rehearsal::Reading;
use crate::store::Stores;

/// Shared by all who ask or change what runs on this node.
#[derive(Debug)]
pub struct Office {
    /// The settings.
    pub config: Config,
    /// Registry and metrics.
    pub around: Surroundings,
    /// The log that says which plans run.
    pub deployments: Arc<Deployments>,
    /// Where the plans of this node meet.
    pub ports: Ports,
    /// Keeps other nodes out of the folder of data.
    _lock: NodeLock,
    slots: RwLock<BTreeMap<String, Arc<Slot>>>,
    refused: Mutex<BTreeMap<String, RefusedFile>>,
    ready: AtomicBool,
    /// Plans that were given up from outside, and why.
    given_up: Mutex<BTreeMap<String, String>>,
    /// The supervisor of all plans, once it has started.
    plans: Mutex<Option<Addr<Supervisor>>>,
    /// One a plan: who holds it may change the plan.
    turns: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Who holds it may change the folder of plans.
    pub(super) edits: tokio::sync::Mutex<()>,
    /// The HA manager, in a pair.
    manager: ManagerSlot,
}

/// A file that is not deployed, and why.
#[derive(Debug, Clone)]
pub struct RefusedFile {
    /// Its name in the folder of plans.
    pub file: String,
    /// The plan it is about, as far as one can tell.
    pub plan: String,
    /// Why, in one sentence.
    pub reason: String,
    /// What the check found, if it came to that.
    pub reading: Option<Arc<Reading>>,
}

impl Office {
    /// An office in which nothing runs yet; `lock` is held as long as it is there.
    #[must_use]
    pub fn new(
        config: Config,
        around: Surroundings,
        lock: NodeLock,
        deployments: Arc<Deployments>,
    ) -> Self {
        let stores = Stores::counted(&config.stores, |store| around.metrics.store(store));
        deployments.know_stores(stores.clone());
        // Its connections end with the process: a thread that drives actors cannot close them.
        std::mem::forget(stores.clone());
        let office = Self {
            _lock: lock,
            config,
            around,
            deployments,
            ports: Ports { stores, ..Ports::default() },
            slots: RwLock::default(),
            refused: Mutex::default(),
            ready: AtomicBool::new(false),
            given_up: Mutex::default(),
            plans: Mutex::default(),
            turns: Mutex::default(),
            edits: tokio::sync::Mutex::default(),
            manager: ManagerSlot::default(),
        };
        office.ports.topics.gather();
        // Every figure is there from the start.
        office.count_plans();
        office
    }

    /// Where the HA manager at work is found.
    #[must_use]
    pub fn manager(&self) -> ManagerSlot {
        Arc::clone(&self.manager)
    }

    /// The plan of this name, if it is deployed.
    #[must_use]
    pub fn slot(&self, plan: &str) -> Option<Arc<Slot>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).get(plan).cloned()
    }

    /// All deployed plans, by name.
    #[must_use]
    pub fn slots(&self) -> Vec<Arc<Slot>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// All refused files, by file name.
    #[must_use]
    pub fn refused(&self) -> Vec<RefusedFile> {
        lock(&self.refused).values().cloned().collect()
    }

    /// Whether the plans that lay in the folder at the start have been dealt with.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Whether the log of deployments says by now what runs. In a pair that takes an active node,
    /// and everything that is committed there.
    pub(super) fn knows_what_runs(&self) -> bool {
        let Some(pair) = &self.around.pair else { return true };
        let Some(log) = pair.log(Plan(LOG)) else { return false };
        if pair.gate.part() == Part::Undecided || !log.mirrored.follows() {
            return false;
        }
        // All that the active holds counts, and so does all that a log holds which follows it.
        let held = hold(&log.journal);
        held.as_ref().is_some_and(|journal| journal.last() <= self.deployments.position())
    }

    /// Whether it was not ready before.
    pub(super) fn set_ready(&self) -> bool {
        let is_new = !self.ready.swap(true, Ordering::AcqRel);
        if is_new {
            self.ports.topics.gathered();
            info!(plans = self.slots().len(), "ready");
        }
        is_new
    }

    /// Where plans are started; set again if that supervisor is ever raised anew.
    pub(super) fn set_plans(&self, plans: Addr<Supervisor>) {
        *lock(&self.plans) = Some(plans);
    }

    /// The plans' groups, for a supervisor that has to start them again.
    pub(super) fn groups(&self) -> Vec<crate::actors::tree::ChildSpec> {
        self.slots().iter().map(Slot::group).collect()
    }

    /// Whose turn it is to change a plan: turns are taken in the order of asking.
    pub(super) fn turn(&self, plan: &str) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(lock(&self.turns).entry(plan.to_owned()).or_default())
    }

    /// Waits until all turns taken so far are over.
    pub(super) async fn after_all_turns(&self) {
        let turns: Vec<_> = lock(&self.turns).values().cloned().collect();
        for turn in turns {
            drop(turn.lock().await);
        }
    }

    /// A file refused before is so no longer.
    pub(super) fn accept(&self, file: &str) {
        lock(&self.refused).remove(file);
        self.count_plans();
    }

    /// A plan lies in another file now.
    pub(super) fn moved(&self, plan: &str, file: &str) {
        info!(plan, file, "the plan lies in another file now");
        if let Some(slot) = self.slot(plan) {
            slot.moved(file);
        }
    }

    /// Deploys a plan, or brings a new version of it in; the caller has the plan's turn. If it
    /// cannot be started, its file is refused and nothing of this name runs.
    pub(super) async fn deploy(&self, draft: Draft, reading: Arc<Reading>) {
        let (file, plan) = (draft.file.clone(), draft.name.to_string());
        let done = self.bring_in(draft).await;
        if let Err(reason) = &done {
            error!(plan, file, reason, "the plan could not be started");
            self.undeploy(&plan).await;
            let (reason, reading) = (reason.clone(), Some(reading));
            self.refuse(RefusedFile { file, plan, reason, reading });
        } else if !reading.diagnostics.is_empty() {
            let told = render::text(&reading.source, &reading.diagnostics, Colour::Never);
            let report = format!("\n{}", told.trim_end());
            warn!(plan, file, report = %report, "deployed with warnings");
        }
        self.count_plans();
    }

    async fn bring_in(&self, draft: Draft) -> Result<(), String> {
        let (plan, file) = (draft.name.to_string(), draft.file.clone());
        let warnings = draft.warnings.len();
        match self.slot(&plan) {
            Some(slot) if !slot.station.inbox.is_closed() => {
                slot.update(draft).await.map_err(|closed| closed.to_string())?;
                info!(plan, file, version = slot.station.version().number, warnings, "updated");
            }
            stopped => {
                if stopped.is_some() {
                    self.undeploy(&plan).await;
                }
                let claimed = self.claim(&plan, draft.mark, draft.kept_by.as_deref());
                claimed.map_err(|error| format!("what is kept of it cannot be used: {error}"))?;
                self.around.metrics.keep(&plan);
                let slot = Slot::new(draft.clone(), &self.config, &self.around, &self.ports)?;
                self.slots
                    .write()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(plan.clone(), Arc::clone(&slot));
                if let Some(plans) = self.plans() {
                    let _ = plans.send(AddChild(slot.group())).await;
                }
                info!(plan, file, warnings, "deployed");
                let version = slot.station.version();
                if version.kept_text != draft.kept_text || version.number < draft.version {
                    info!(plan, file, "the version kept runs first");
                    slot.update(draft).await.map_err(|closed| closed.to_string())?;
                }
            }
        }
        Ok(())
    }

    /// Stops a plan and forgets it; the caller has the plan's turn.
    pub(super) async fn undeploy(&self, plan: &str) {
        let slot = self.slots.write().unwrap_or_else(PoisonError::into_inner).remove(plan);
        if let Some(slot) = slot {
            if let Some(plans) = self.plans() {
                let _ = plans.send(RemoveChild(plan.to_owned())).await;
            }
            slot.close();
        }
        lock(&self.given_up).remove(plan);
        self.around.metrics.let_go(plan);
        self.count_plans();
    }

    /// A file is not deployed; whatever ran from it runs on.
    pub(super) fn refuse(&self, refused: RefusedFile) {
        let RefusedFile { file, plan, reason, reading } = &refused;
        let what = reading.as_ref().map_or(String::new(), |reading| {
            format!("\n{}", render::text(&reading.source, &reading.diagnostics, Colour::Never))
        });
        let runs = self.slot(plan).is_some();
        let rest = if runs { "; the version before keeps running" } else { "" };
        // Last, since it takes lines of its own.
        let report = Some(what.trim_end()).filter(|what| !what.is_empty()).map(display);
        warn!(file, plan, report, "refused: {reason}{rest}");
        let file = file.clone();
        lock(&self.refused).insert(file, refused);
        self.count_plans();
    }

    fn plans(&self) -> Option<Addr<Supervisor>> {
        lock(&self.plans).clone()
    }

    /// A plan is given up from outside, since it does not answer itself.
    pub(super) fn give_up(&self, plan: &str, reason: &str) {
        lock(&self.given_up).insert(plan.to_owned(), reason.to_owned());
        self.count_plans();
    }

    /// Whether the actors of a plan have been given up, and why.
    #[must_use]
    pub fn failure(&self, plan: &str) -> Option<String> {
        if let Some(reason) = lock(&self.given_up).get(plan) {
            return Some(reason.clone());
        }
        let status = self.around.registry.one(&format!("plans/{plan}"))?;
        (status.state == State::Failed).then(|| status.last_exit.unwrap_or_default())
    }

    fn count_plans(&self) {
        let slots = self.slots();
        let failed = slots.iter().filter(|slot| self.failure(&slot.station.name).is_some()).count();
        let count = |state, plans: usize| {
            self.around.metrics.plans(state).set(i64::try_from(plans).unwrap_or(i64::MAX));
        };
        count("running", slots.len() - failed);
        count("failed", failed);
        count("refused", lock(&self.refused).len());
    }
}

/// What these locks guard is changed by whole assignments only.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
