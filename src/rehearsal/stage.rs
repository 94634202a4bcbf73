//! A plan that runs on a virtual clock: time is part of the input.

use crate::engine::build::BuildError;
use crate::engine::core::PlanCore;
use crate::engine::entry::Entry;
use crate::engine::entry::Input;
use crate::engine::entry::Outlet;
use crate::engine::library::Library;
use crate::engine::state::LoadError;
use crate::engine::state::SavedState;
use crate::event::Batch;
use crate::event::Millis;
use crate::event::Value;
use crate::language;
use crate::language::diagnostic::Diagnostic;
use crate::plan;
use crate::plan::logical::Plan;
use crate::plan::logical::QueryId;
use crate::plan::logical::StreamId;
use crate::plan::logical::WindowId;
use std::fmt;
use std::sync::Arc;

/// From where a rehearsed plan draws chance: the same always, so that a play can be repeated.
pub const SECRET: u64 = 0x7265_6865_6172_7361;

/// The code of what was found only when a query was made ready to run.
const CANNOT_RUN: &str = "E0001";

/// A plan that runs, with its snapshots. A time before the latest one counts as that.
pub struct Stage {
    plan: Arc<Plan>,
    core: PlanCore,
    at: Millis,
    snapshots: Vec<Vec<u8>>,
    streams: Vec<StreamId>,
    queries: Vec<QueryId>,
    windows: Vec<WindowId>,
}

/// Why a snapshot could not be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoSnapshot {
    /// None was taken.
    None,
    /// The state does not fit the plan.
    Broken(LoadError),
}

impl fmt::Display for NoSnapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoSnapshot::None => formatter.write_str("no snapshot was taken before"),
            NoSnapshot::Broken(error) => write!(formatter, "the snapshot cannot be read: {error}"),
        }
    }
}

impl std::error::Error for NoSnapshot {}

/// Why an on-demand query was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stable code of the fault.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// Whether it is right but not supported yet.
    pub not_supported: bool,
}

impl Refusal {
    fn of(diagnostic: &Diagnostic) -> Refusal {
        Refusal {
            code: diagnostic.code,
            message: diagnostic.message.clone(),
            not_supported: diagnostic.not_supported,
        }
    }
}

impl Stage {
    /// Makes a plan ready to start, watching the streams and queries named by number.
    ///
    /// # Errors
    /// If a part of the plan cannot be run.
    pub fn new(
        plan: Arc<Plan>,
        streams: Vec<StreamId>,
        queries: Vec<QueryId>,
    ) -> Result<Stage, BuildError> {
        let core = PlanCore::build(Arc::clone(&plan), SECRET)?;
        let (snapshots, windows) = (Vec::new(), Vec::new());
        Ok(Stage { plan, core, at: Millis::MIN, snapshots, streams, queries, windows })
    }

    /// Watches what named windows put out, too; said before the start.
    pub fn watch_windows(&mut self, windows: Vec<WindowId>) {
        self.windows = windows;
    }

    /// Starts the plan; what is to happen at the start happens. Called once, before all else.
    pub fn start(&mut self, at: Millis, outlet: &mut dyn Outlet) {
        self.at = at;
        self.begin(outlet);
    }

    /// The plan that runs.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The present moment.
    pub fn at(&self) -> Millis {
        self.at
    }

    /// The plan itself, to look at.
    pub fn core(&self) -> &PlanCore {
        &self.core
    }

    fn begin(&mut self, outlet: &mut dyn Outlet) {
        self.watch();
        self.core.start(self.at);
        self.move_to(self.at, outlet);
    }

    /// Moves the clock; what is due by then fires at its due time.
    pub fn move_to(&mut self, at: Millis, outlet: &mut dyn Outlet) {
        self.at = self.at.max(at);
        self.core.apply(&Entry { at: self.at, input: Input::Tick }, outlet);
    }

    /// Moves the clock and brings rows to a stream, all of one send or with marks where sends end.
    pub fn feed(&mut self, at: Millis, stream: StreamId, rows: &Batch, outlet: &mut dyn Outlet) {
        self.at = self.at.max(at);
        self.core.apply(&Entry { at: self.at, input: Input::Rows { stream, batch: rows } }, outlet);
    }

    /// Moves the clock and keeps the state as it stands then.
    pub fn snapshot(&mut self, at: Millis, outlet: &mut dyn Outlet) {
        self.move_to(at, outlet);
        self.snapshots.push(self.core.freeze().to_bytes());
    }

    /// Moves the clock and puts a fresh engine in place of the present one; snapshots stay.
    ///
    /// # Errors
    /// If a part of the plan cannot be run, which [`Stage::new`] would have said.
    pub fn restart(&mut self, at: Millis, outlet: &mut dyn Outlet) -> Result<(), BuildError> {
        self.move_to(at, outlet);
        self.core = PlanCore::build(Arc::clone(&self.plan), SECRET)?;
        self.begin(outlet);
        Ok(())
    }

    /// Moves the clock and takes the newest snapshot's state in place of the present one. Timers of
    /// the snapshot that fell due since fire at their due times.
    ///
    /// # Errors
    /// If there is no snapshot, or it is damaged.
    pub fn restore(&mut self, at: Millis, outlet: &mut dyn Outlet) -> Result<(), NoSnapshot> {
        self.move_to(at, outlet);
        let snapshot = self.snapshots.last().ok_or(NoSnapshot::None)?;
        self.core.load(snapshot).map_err(NoSnapshot::Broken)?;
        self.move_to(at, outlet);
        Ok(())
    }

    /// Moves the clock and answers an on-demand query.
    ///
    /// # Errors
    /// If the query is wrong or cannot be run.
    pub fn query(
        &mut self,
        at: Millis,
        text: &str,
        outlet: &mut dyn Outlet,
    ) -> Result<Vec<Vec<Value>>, Refusal> {
        self.move_to(at, outlet);
        let parsed = language::parse_query(text);
        let refusal = |diagnostics: &[Diagnostic]| {
            diagnostics.iter().find(|each| each.is_error()).map(Refusal::of)
        };
        if let Some(refusal) = refusal(&parsed.diagnostics) {
            return Err(refusal);
        }
        let tree = parsed.tree.as_ref().expect("what has no tree has an error");
        let checked = plan::check_query(tree, &self.plan, &Library::standard());
        if let Some(refusal) = refusal(&checked.diagnostics) {
            return Err(refusal);
        }
        let query = checked.query.as_ref().expect("what is not whole has an error");
        let answer = self.core.query(query).map_err(|error| Refusal {
            code: CANNOT_RUN,
            message: error.message,
            not_supported: error.not_supported,
        });
        self.core.tell_changes(outlet);
        answer
    }

    /// Saves the state and loads it into a fresh engine, which goes on in place of this one.
    ///
    /// # Errors
    /// If the fresh engine refuses what this one saved.
    pub fn change_engine(&mut self) -> Result<(), NoSnapshot> {
        let bytes = self.core.freeze().to_bytes();
        let fresh = PlanCore::build(Arc::clone(&self.plan), SECRET);
        let mut fresh =
            fresh.map_err(|error| NoSnapshot::Broken(LoadError::Other(error.message)))?;
        fresh.load(&bytes).map_err(NoSnapshot::Broken)?;
        self.core = fresh;
        self.watch();
        Ok(())
    }

    /// Lets a new version of the plan take over, which is the same.
    ///
    /// # Errors
    /// If it refuses what this one saved, or does not keep all of it.
    pub fn change_version(&mut self) -> Result<(), NoSnapshot> {
        let state = SavedState::of(&Arc::new(self.core.freeze()));
        let fresh = PlanCore::build(Arc::clone(&self.plan), SECRET);
        let mut fresh =
            fresh.map_err(|error| NoSnapshot::Broken(LoadError::Other(error.message)))?;
        let carried = fresh.adopt(&state, self.at).map_err(NoSnapshot::Broken)?;
        if let Some(lost) = carried.dropped.first() {
            let what = format!("the same plan does not keep the {lost}");
            return Err(NoSnapshot::Broken(LoadError::Other(what)));
        }
        self.core = fresh;
        self.watch();
        Ok(())
    }

    fn watch(&mut self) {
        self.streams.iter().for_each(|&stream| self.core.watch_stream(stream));
        self.queries.iter().for_each(|&query| self.core.watch_query(query));
        self.windows.iter().for_each(|&window| self.core.watch_window(window));
    }
}
