//! The engine as a replica sees it: something that takes rows and time and gives rows.

use std::sync::Arc;

use crate::engine::context::Drops;
use crate::engine::context::Note;
use crate::engine::core::Carried;
use crate::engine::core::PlanCore;
use crate::engine::core::WatermarkState;
use crate::engine::core::stored::Piece;
use crate::engine::entry::Entry;
use crate::engine::entry::Input;
use crate::engine::entry::Outlet;
use crate::engine::state::Frozen;
use crate::engine::state::SavedState;
use crate::event::Batch;
use crate::event::Millis;
use crate::event::Value;
use crate::plan::answers::Answers;
use crate::plan::difference::Dropped;
use crate::plan::logical::OnDemand;
use crate::plan::logical::Origin;
use crate::plan::logical::Plan;
use crate::plan::logical::QueryId;
use crate::plan::logical::StreamId;
use crate::plan::logical::TableId;

/// A plan that runs. The same inputs give the same results and the same state.
pub trait Machine: Send {
    /// Lets time pass up to `at`, by the wall clock, then takes rows, if there are any.
    fn apply(&mut self, at: Millis, rows: Option<(StreamId, &Batch)>, results: &mut Results);
    /// Lets time pass up to `at`, then takes what an external table was found to hold.
    fn answer(&mut self, at: Millis, _answers: &Arc<Answers>, results: &mut Results) {
        self.apply(at, None, results);
    }
    /// Answers a query on the state as it stands, or writes to a table, which gives no rows.
    ///
    /// # Errors
    /// If a part of the query cannot be run; the state is then as it was.
    fn ask(&mut self, query: &OnDemand) -> Result<Vec<Vec<Value>>, String>;
    /// Its clock, if that is another than the wall's.
    fn clock(&self) -> Option<Millis> {
        None
    }
    /// When it wants to be told that time has passed even if nothing comes.
    fn next_due(&self) -> Option<Millis>;
    /// Its state as it stands.
    fn freeze(&self) -> Frozen;
    /// Rows in windows, tables and pending matches.
    fn held(&self) -> usize;
    /// Bytes of its state, as a snapshot would hold it.
    fn bytes(&self) -> u64;
    /// Tables whose stores have not been asked for their rows yet.
    fn unloaded(&self) -> Vec<TableId> {
        Vec::new()
    }
    /// Takes rows that a table's store had.
    fn fill(&mut self, _table: TableId, _piece: Piece<'_>) {}
    /// How rows of a table stand of which its store was told these changes.
    fn as_it_is(&self, _table: TableId, told: &Batch) -> Batch {
        told.clone()
    }
    /// How many rows have ended inside the plan since its start; always in the same order.
    fn drops(&self) -> Vec<Ended> {
        Vec::new()
    }
    /// How its streams with a watermark stand; always in the same order.
    fn watermarks(&self) -> Vec<WatermarkState> {
        Vec::new()
    }
}

/// Rows that ended inside a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Why, in a word that the metrics show.
    pub reason: &'static str,
    /// The stream they came from, if it is of one.
    pub stream: Option<StreamId>,
    /// The query that let them end, if it is one.
    pub query: Option<QueryId>,
    /// How many.
    pub rows: u64,
}

/// Makes machines of one plan.
pub trait Builder: Send + Sync {
    /// A machine that starts at this moment.
    ///
    /// # Errors
    /// If a part of the plan cannot be run.
    fn start(&self, at: Millis) -> Result<Box<dyn Machine>, String>;
    /// A machine with the state that [`Machine::freeze`] gave.
    ///
    /// # Errors
    /// If the state does not fit the plan, or does not come.
    fn load(&self, state: SavedState<'_>) -> Result<Box<dyn Machine>, String>;
    /// A machine that takes over from one of another version of the plan at this moment: it keeps
    /// of that one's state what is surely the same, and starts with the rest.
    ///
    /// # Errors
    /// If a part of the plan cannot be run.
    fn carry(
        &self,
        state: &SavedState<'_>,
        at: Millis,
    ) -> Result<(Box<dyn Machine>, Carried), String>;
    /// One that draws chance from another secret; `None` if it draws none.
    fn with_secret(&self, _secret: u64) -> Option<Arc<dyn Builder>> {
        None
    }
}

/// Makes the engine's machines of a checked plan.
#[derive(Debug)]
pub struct EngineBuilder {
    /// The plan.
    pub plan: Arc<Plan>,
    /// What chance is drawn from.
    pub secret: u64,
}

struct Engine(PlanCore);

impl EngineBuilder {
    fn build(&self) -> Result<PlanCore, String> {
        let mut core =
            PlanCore::build(Arc::clone(&self.plan), self.secret).map_err(|error| error.message)?;
        for (id, stream) in self.plan.streams.iter().enumerate() {
            if !matches!(stream.origin, Origin::Inner(_)) {
                core.watch_stream(id);
            }
        }
        Ok(core)
    }
}

impl Builder for EngineBuilder {
    fn start(&self, at: Millis) -> Result<Box<dyn Machine>, String> {
        let mut core = self.build()?;
        core.start(at);
        Ok(Box::new(Engine(core)))
    }

    fn load(&self, state: SavedState<'_>) -> Result<Box<dyn Machine>, String> {
        let mut core = self.build()?;
        core.take_state(state).map_err(|error| error.to_string())?;
        Ok(Box::new(Engine(core)))
    }

    fn carry(
        &self,
        state: &SavedState<'_>,
        at: Millis,
    ) -> Result<(Box<dyn Machine>, Carried), String> {
        let mut core = self.build()?;
        match core.adopt(state, at) {
            Ok(carried) => Ok((Box::new(Engine(core)), carried)),
            // Events go on being taken all the same.
            Err(error) => {
                let lost = Dropped { what: "all state".to_owned(), why: error.to_string() };
                let carried = Carried { dropped: vec![lost], ..Carried::default() };
                let mut core = self.build()?;
                core.start_after(state, at).map_err(|error| error.to_string())?;
                Ok((Box::new(Engine(core)), carried))
            }
        }
    }

    fn with_secret(&self, secret: u64) -> Option<Arc<dyn Builder>> {
        Some(Arc::new(Self { plan: Arc::clone(&self.plan), secret }))
    }
}

impl Machine for Engine {
    fn apply(&mut self, at: Millis, rows: Option<(StreamId, &Batch)>, results: &mut Results) {
        let input = match rows {
            Some((stream, batch)) => Input::Rows { stream, batch },
            None => Input::Tick,
        };
        let plan = Arc::clone(self.0.plan());
        self.0.apply(&Entry { at, input }, &mut Gather { plan: &plan, results });
    }

    fn answer(&mut self, at: Millis, answers: &Arc<Answers>, results: &mut Results) {
        let plan = Arc::clone(self.0.plan());
        let entry = Entry { at, input: Input::Answers(answers) };
        self.0.apply(&entry, &mut Gather { plan: &plan, results });
    }

    fn ask(&mut self, query: &OnDemand) -> Result<Vec<Vec<Value>>, String> {
        self.0.query(query).map_err(|error| error.message)
    }

    fn clock(&self) -> Option<Millis> {
        Some(self.0.now())
    }

    fn next_due(&self) -> Option<Millis> {
        self.0.next_deadline()
    }

    fn freeze(&self) -> Frozen {
        self.0.freeze()
    }

    fn held(&self) -> usize {
        self.0.held() + self.0.table_rows()
    }

    fn bytes(&self) -> u64 {
        self.0.state_bytes()
    }

    fn unloaded(&self) -> Vec<TableId> {
        self.0.unloaded().collect()
    }

    fn fill(&mut self, table: TableId, piece: Piece<'_>) {
        self.0.fill_table(table, piece);
    }

    fn as_it_is(&self, table: TableId, told: &Batch) -> Batch {
        self.0.as_it_is(table, told)
    }

    fn drops(&self) -> Vec<Ended> {
        let Drops { key_taken, no_key, fault, late } = self.0.drops();
        let inside =
            [("key_taken", key_taken), ("no_key", no_key), ("fault", fault), ("late", late)];
        let inside = inside.map(|(reason, rows)| Ended { reason, stream: None, query: None, rows });
        let filters = self.0.left_out().map(|(query, stream, rows)| Ended {
            reason: "filter",
            stream: Some(stream),
            query: Some(query),
            rows,
        });
        let plan = self.0.plan();
        let aside = self.0.watermarks().flat_map(|state| {
            let watermark = plan.streams[state.stream].watermark.as_ref();
            let (late, ahead) =
                watermark.map_or((None, None), |each| (each.late_stream, each.ahead_stream));
            // What went to a side stream has not ended.
            let ended = |reason, side: Option<StreamId>, rows| {
                let (stream, query) = (Some(state.stream), None);
                side.is_none().then_some(Ended { reason, stream, query, rows })
            };
            [ended("late", late, state.late), ended("ahead", ahead, state.ahead)]
        });
        inside.into_iter().chain(filters).chain(aside.flatten()).collect()
    }

    fn watermarks(&self) -> Vec<WatermarkState> {
        self.0.watermarks().collect()
    }
}

struct Gather<'a> {
    plan: &'a Plan,
    results: &'a mut Results,
}

impl Outlet for Gather<'_> {
    fn stream(&mut self, stream: StreamId, _: Millis, rows: &Batch) {
        self.results.take(self.plan, stream, rows);
    }

    fn query(&mut self, _: QueryId, _: Millis, _: &Batch) {}

    fn note(&mut self, note: Note) {
        self.results.notes.push(note);
    }
}

/// What passed through the streams while an input was applied, gathered by stream.
#[derive(Debug, Default)]
pub struct Results {
    /// By stream; empty columns until the first row.
    rows: Vec<Option<Batch>>,
    /// Streams with rows, in order of the first one.
    touched: Vec<StreamId>,
    /// Lines for the log.
    pub notes: Vec<Note>,
}

impl Results {
    /// Takes rows that passed through a stream; copies them.
    pub fn take(&mut self, plan: &Plan, stream: StreamId, rows: &Batch) {
        if rows.is_empty() {
            return;
        }
        if self.rows.len() <= stream {
            self.rows.resize_with(plan.streams.len(), || None);
        }
        let into = self.rows[stream].get_or_insert_with(|| {
            self.touched.push(stream);
            Batch::new(&plan.streams[stream].schema.types())
        });
        into.extend(rows, 0, rows.len());
    }

    /// The rows by stream, as they stand.
    pub fn rows(&self) -> impl Iterator<Item = (StreamId, &Batch)> + '_ {
        self.touched.iter().filter_map(|&stream| Some((stream, self.rows[stream].as_ref()?)))
    }

    /// The rows by stream, leaving nothing.
    pub fn drain(&mut self) -> impl Iterator<Item = (StreamId, Batch)> + '_ {
        let rows = &mut self.rows;
        self.touched.drain(..).filter_map(|stream| Some((stream, rows[stream].take()?)))
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.rows.iter_mut().for_each(|rows| *rows = None);
        self.touched.clear();
        self.notes.clear();
    }
}
