//! `apply`: advance the clock, take the input, run until quiet.
//!
//! Rows of a stream run through its readers in order of the plan's text, each reader's output at
//! once through its own readers. Where two such paths meet again the checker marks the stream, and
//! its rows run one by one; everywhere else a batch runs whole, and nobody can tell.

mod apart;
pub mod bounds;
mod carry;
mod clock;
mod event_time;
pub mod external;
mod persist;
mod query;
mod start;
mod steps;
pub mod stored;
mod watermarks;

pub use apart::Apart;
pub use carry::Carried;
pub use event_time::WatermarkState;

use crate::engine::context::Context;
use crate::engine::context::Fault;
use crate::engine::context::Level;
use crate::engine::context::Note;
use crate::engine::core::bounds::Allowance;
use crate::engine::core::bounds::Bounds;
use crate::engine::core::watermarks::Watermarks;
use crate::engine::cron::Cron;
use crate::engine::entry::Entry;
use crate::engine::entry::Input;
use crate::engine::entry::Outlet;
use crate::engine::library::Library;
use crate::engine::partition::Partition;
use crate::engine::pipeline::Cause;
use crate::engine::pipeline::Pipeline;
use crate::engine::pipeline::Target;
use crate::engine::timers::Timers;
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use crate::plan::identity::Identities;
use crate::plan::logical::AggregationId;
use crate::plan::logical::Origin;
use crate::plan::logical::OutputEvents;
use crate::plan::logical::PartitionId;
use crate::plan::logical::Plan;
use crate::plan::logical::QueryId;
use crate::plan::logical::Source;
use crate::plan::logical::StreamId;
use crate::plan::logical::TableId;
use crate::plan::logical::WindowId;
use std::sync::Arc;

/// A plan that runs.
pub struct PlanCore {
    plan: Arc<Plan>,
    /// What the plan may call.
    library: Library,
    streams: Vec<StreamNode>,
    pipelines: Vec<Pipeline>,
    partitions: Vec<Partition>,
    windows: Vec<WindowNode>,
    triggers: Vec<TriggerNode>,
    /// What of the plan holds state.
    identities: Box<Identities>,
    /// Who is woken by which operator id.
    operators: Vec<Address>,
    /// Steps that gather rows by sends.
    gatherers: Vec<(QueryId, usize, usize)>,
    /// Named windows that gather rows by sends.
    gathering_windows: Vec<WindowId>,
    /// Steps that ask external tables.
    askers: Vec<(TableId, QueryId, usize, usize)>,
    context: Context,
    /// Whether the events' own time moves the engine's clock, under playback or by watermarks.
    events_lead: bool,
    /// What waits for its time, where streams have watermarks.
    watermarks: Option<Box<Watermarks>>,
    /// Timers by the wall clock; apart from the others only where events move the engine's.
    wall_timers: Timers,
    /// The latest wall clock an entry brought.
    wall: Millis,
    /// Under playback with an idle time: when the clock is moved next, by the wall clock.
    idle_due: Option<Millis>,
    /// Rows put in since the plan was first started.
    rows: u64,
    /// Timers that drew chance when they fired, since the plan was first started.
    fired: u64,
    /// Whether the last row taken is followed by another one of its send.
    in_send: bool,
    /// One row at a time, for streams that run row by row; by stream.
    singles: Vec<Batch>,
    /// Rows that run at once, where those are not all of an entry; by stream.
    parts: Vec<Batch>,
    /// Rows that could not be computed by the readers of a stream with a fault stream.
    failed: Vec<Fault>,
    bounds: Bounds,
    allowance: Allowance,
}

struct StreamNode {
    readers: Vec<Reader>,
    watched: bool,
    by_row: bool,
    /// For each reader whether it takes batches though the stream runs row by row.
    apart: Vec<bool>,
}

#[derive(Clone, Copy)]
enum Reader {
    Query(QueryId, usize),
    Partition(PartitionId, usize),
}

struct WindowNode {
    readers: Vec<(QueryId, usize)>,
    output: OutputEvents,
    watched: bool,
    buffer: Batch,
    operator: u32,
}

struct TriggerNode {
    operator: u32,
    stream: StreamId,
    when: When,
}

/// When a trigger fires.
enum When {
    Start,
    Every(Millis),
    Cron(Box<Cron>),
}

/// What an operator id stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Address {
    Window(WindowId),
    Trigger(usize),
    Purge(PartitionId),
    Discard(AggregationId),
    Rate(QueryId),
    Step { query: QueryId, port: usize, step: usize },
}

impl PlanCore {
    /// The plan that runs.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Shows all rows of a stream to the outlet from now on.
    pub fn watch_stream(&mut self, stream: StreamId) {
        self.streams[stream].watched = true;
        match self.plan.streams[stream].origin {
            Origin::Changes(table) => {
                self.context.tables[table].as_mut().expect("nobody searches now").begin_telling();
            }
            Origin::Errands(table) => self.context.errands.watch(&self.plan, table),
            _ => {}
        }
    }

    /// Shows all rows that leave a query to the outlet from now on.
    pub fn watch_query(&mut self, query: QueryId) {
        self.pipelines[query].watched = true;
    }

    /// Shows all rows that a named window puts out to the outlet from now on.
    pub fn watch_window(&mut self, window: WindowId) {
        self.windows[window].watched = true;
    }

    /// The engine's clock.
    pub fn now(&self) -> Millis {
        self.context.now
    }

    /// How many rows the plan has taken.
    pub fn rows_taken(&self) -> u64 {
        self.rows
    }

    /// How many rows windows, aggregations and other steps hold, and how many wait for their event
    /// time; tables apart.
    pub fn held(&self) -> usize {
        let windows = self.context.windows.iter().flatten().map(|window| window.held());
        let aggregations = self.context.aggregations.iter().flatten().map(|each| each.held());
        let queries = self.pipelines.iter().map(Pipeline::held);
        let waiting = self.watermarks.iter().map(|marks| marks.held());
        queries.chain(windows).chain(aggregations).chain(waiting).sum()
    }

    /// How many groups the selections of all queries keep.
    pub fn groups(&self) -> usize {
        self.pipelines.iter().map(|pipeline| pipeline.selector.held_groups()).sum()
    }

    /// How many rows the tables hold.
    pub fn table_rows(&self) -> usize {
        self.context.tables.iter().flatten().map(|table| table.len()).sum()
    }

    /// What ended inside the plan so far, by reason.
    pub fn drops(&self) -> crate::engine::context::Drops {
        self.context.drops
    }

    /// How many rows the filters of each query left out so far, with the stream they came from.
    /// Filters behind a window or a join are not counted: what they leave out is held, or made.
    pub fn left_out(&self) -> impl Iterator<Item = (QueryId, StreamId, u64)> + '_ {
        let queries = self.plan.queries.iter().zip(&self.pipelines).enumerate();
        queries.flat_map(|(id, (query, pipeline))| {
            let ways = query.ports.iter().zip(&pipeline.ports);
            ways.enumerate().filter_map(move |(number, (port, way))| {
                let Source::Stream(stream) = port.source else { return None };
                if let Some(pattern) = &pipeline.pattern {
                    return Some((id, stream, pattern.step.left_out(number)));
                }
                let counts = way.steps.iter().filter_map(|step| step.left_out());
                counts.reduce(|one, other| one + other).map(|rows| (id, stream, rows))
            })
        })
    }

    /// Applies an entry: fires what is due, takes the input, runs until quiet.
    pub fn apply(&mut self, entry: &Entry<'_>, outlet: &mut dyn Outlet) {
        self.advance_wall(entry.at, outlet);
        match &entry.input {
            Input::Tick => {}
            Input::Rows { stream, batch } => {
                debug_assert!(batch.kinds.is_empty() && batch.slots.is_empty());
                self.take_rows(*stream, batch, outlet);
            }
            Input::Answers(answers) => self.take_answers(answers, outlet),
        }
        self.tell_changes(outlet);
    }

    fn take_rows(&mut self, stream: StreamId, batch: &Batch, outlet: &mut dyn Outlet) {
        if batch.is_empty() {
            return;
        }
        if let Some(marks) = &self.watermarks {
            if let Some(place) = marks.place(stream) {
                return self.take_waiting(place, batch, outlet);
            }
            // What has no event time comes when the clock stands.
            let mut stamped = batch.clone();
            stamped.timestamps.fill(self.context.now);
            return self.run_rows(stream, &stamped, outlet);
        }
        if self.plan.playback.is_some() {
            self.idle_due = self.idle_span().map(|(idle, _)| self.wall.saturating_add(idle));
        }
        self.run_rows(stream, batch, outlet);
    }

    /// Brings rows to the readers of a stream.
    fn deliver(&mut self, stream: StreamId, rows: &Batch, outlet: &mut dyn Outlet) {
        if self.enter(stream, rows, outlet) {
            for reader in 0..self.streams[stream].readers.len() {
                self.read(stream, reader, rows, outlet);
            }
        }
    }

    /// Shows rows of a stream to who watches it; says whether they go on to its readers.
    fn enter(&mut self, stream: StreamId, rows: &Batch, outlet: &mut dyn Outlet) -> bool {
        if !self.allowance.take_rows(rows.len()) {
            let name = self.plan.streams[stream].shown();
            self.drop_rows(&name, rows.len(), outlet);
            return false;
        }
        if self.streams[stream].watched {
            outlet.stream(stream, self.context.now, rows);
        }
        true
    }

    /// Brings rows of a stream to one of its readers.
    fn read(&mut self, stream: StreamId, reader: usize, rows: &Batch, outlet: &mut dyn Outlet) {
        match self.streams[stream].readers[reader] {
            Reader::Query(query, port) => self.run_query(query, port, Cause::Rows(rows), outlet),
            Reader::Partition(partition, route) => {
                self.run_partition(partition, route, rows, outlet);
            }
        }
        if !self.failed.is_empty() {
            self.divert(stream, rows, outlet);
        }
    }

    /// Sends rows that a reader could not compute to the fault stream.
    fn divert(&mut self, stream: StreamId, rows: &Batch, outlet: &mut dyn Outlet) {
        let failed = std::mem::take(&mut self.failed);
        let Some(target) = self.plan.streams[stream].fault else { return };
        let mut faults = Batch::new(&self.plan.streams[target].schema.types());
        for fault in failed {
            let row = fault.row.min(rows.len() - 1);
            let mut values = rows.row(row);
            let error = Structure::Error(Text::from(fault.message));
            values.push(Value::Object(Arc::new(error)));
            faults.push_row(rows.timestamps[row], &values);
        }
        self.deliver(target, &faults, outlet);
    }

    fn run_partition(
        &mut self,
        id: PartitionId,
        route: usize,
        rows: &Batch,
        outlet: &mut dyn Outlet,
    ) {
        let partition = &mut self.partitions[id];
        partition.route(route, rows, &mut self.context);
        let Some(routed) = partition.routes[route].routed.take() else { return };
        self.begin_keys(id);
        if !routed.is_empty() {
            for reader in 0..self.partitions[id].routes[route].readers.len() {
                let (query, port) = self.partitions[id].routes[route].readers[reader];
                self.run_query(query, port, Cause::Rows(&routed), outlet);
            }
        }
        self.partitions[id].routes[route].routed = Some(routed);
    }

    /// Lets patterns wait for absences of partition keys that have just appeared, and output rates
    /// begin their periods.
    fn begin_keys(&mut self, id: PartitionId) {
        let fresh = std::mem::take(&mut self.partitions[id].fresh);
        if fresh.is_empty() {
            return;
        }
        let births = &mut self.partitions[id].births;
        std::mem::swap(births, &mut self.context.births);
        for pipeline in self.pipelines.iter_mut().filter(|query| query.partition == Some(id)) {
            fresh.iter().for_each(|&slot| pipeline.begin(slot, &mut self.context));
        }
        std::mem::swap(&mut self.partitions[id].births, &mut self.context.births);
    }

    /// Runs a query and brings what it selects to its target.
    fn run_query(
        &mut self,
        query: QueryId,
        port: usize,
        cause: Cause<'_>,
        outlet: &mut dyn Outlet,
    ) {
        self.context.entropy.query = query as u64;
        // What a pattern reads is no port.
        let source = self.plan.queries[query].ports.get(port).map(|port| port.source);
        let by_stream =
            matches!(cause, Cause::Rows(_)) && !matches!(source, Some(Source::Window(_)));
        let pipeline = &mut self.pipelines[query];
        match pipeline.partition {
            None => pipeline.run(port, cause, &mut self.context),
            Some(partition) => {
                let births = &mut self.partitions[partition].births;
                std::mem::swap(births, &mut self.context.births);
                pipeline.run(port, cause, &mut self.context);
                std::mem::swap(births, &mut self.context.births);
            }
        }
        if !self.context.faults.is_empty() || !self.context.notes.is_empty() {
            self.report(query, outlet);
        }
        // They are of the rows at hand, not of those that the readers of this query are given.
        let mut failed = std::mem::take(&mut self.failed);
        if !self.context.failed.parts.is_empty() {
            self.report_failed(query, outlet);
        }
        if self.pipelines[query].selected.as_ref().is_some_and(|rows| !rows.is_empty()) {
            self.emit(query, outlet);
        }
        failed.append(&mut self.failed);
        if by_stream {
            self.failed = failed;
        } else if !failed.is_empty() {
            self.drop_failed(query, failed, outlet);
        }
    }

    fn emit(&mut self, query: QueryId, outlet: &mut dyn Outlet) {
        let pipeline = &mut self.pipelines[query];
        let Some(mut rows) = pipeline.selected.take() else { return };
        if pipeline.watched {
            outlet.query(query, self.context.now, &rows);
        }
        match &mut pipeline.target {
            Target::Nowhere => {}
            Target::Aggregation(id) => {
                let id = *id;
                let mut aggregation =
                    self.context.aggregations[id].take().expect("nobody reads it now");
                aggregation.take(&rows, &mut self.context);
                self.context.aggregations[id] = Some(aggregation);
                if !self.context.faults.is_empty() {
                    self.report(query, outlet);
                }
            }
            Target::Table(writer) => {
                writer.apply(&rows, &mut self.context);
                if !self.context.faults.is_empty() {
                    let what = format!("query `{}`", self.plan.queries[query].name);
                    self.report_store(&what, outlet);
                }
            }
            Target::Stream { stream, inner } => {
                // What leaves a window enters the next stream as something that arrives.
                let (stream, inner) = (*stream, *inner);
                rows.kinds.clear();
                if !inner {
                    rows.slots.clear();
                }
                self.deliver(stream, &rows, outlet);
            }
            Target::Window(window) => {
                let window = *window;
                rows.kinds.clear();
                rows.slots.clear();
                if self.allowance.take_rows(rows.len()) {
                    self.run_window(window, Cause::Rows(&rows), outlet);
                } else {
                    let plan = Arc::clone(&self.plan);
                    self.drop_rows(&plan.windows[window].name, rows.len(), outlet);
                }
            }
        }
        self.pipelines[query].selected = Some(rows);
    }

    /// Runs a named window and brings what it puts out to its readers.
    fn run_window(&mut self, id: WindowId, cause: Cause<'_>, outlet: &mut dyn Outlet) {
        let Some(mut window) = self.context.windows[id].take() else { return };
        let node = &mut self.windows[id];
        self.context.operator = node.operator;
        let mut output = std::mem::take(&mut node.buffer);
        output.clear();
        match cause {
            Cause::Rows(rows) => window.run(rows, &mut self.context, &mut output),
            Cause::Timer(_, due, slot) => window.wake(due, slot, &mut self.context, &mut output),
            Cause::SendEnd(_) => window.end_send(&mut self.context, &mut output),
            // Named windows have no output rate, and ask nobody.
            Cause::Rate(..) | Cause::Answered(_) => {}
        }
        self.context.windows[id] = Some(window);
        if !self.context.faults.is_empty() {
            let what = format!("window `{}`", self.plan.windows[id].name);
            self.report_store(&what, outlet);
        }
        let events = self.windows[id].output;
        if events != OutputEvents::All {
            // Resets pass only with all the rest, as in the reference.
            let wanted = if events.current() { Kind::Current } else { Kind::Expired };
            let kept: Vec<u32> = (0..output.len() as u32)
                .filter(|&row| output.kind(row as usize) == wanted)
                .collect();
            if kept.len() < output.len() {
                let mut filtered = Batch::new(&self.plan.windows[id].schema.types());
                filtered.gather(&output, &kept);
                output = filtered;
            }
        }
        if !output.is_empty() {
            if self.windows[id].watched {
                outlet.window(id, self.context.now, &output);
            }
            for reader in 0..self.windows[id].readers.len() {
                let (query, port) = self.windows[id].readers[reader];
                self.run_query(query, port, Cause::Rows(&output), outlet);
            }
        }
        self.windows[id].buffer = output;
    }

    /// Lets steps put out what they gathered, unless a send is still coming in.
    fn end_send(&mut self, outlet: &mut dyn Outlet) {
        self.end_send_in_windows(outlet);
        for gatherer in 0..self.gatherers.len() {
            let (query, port, step) = self.gatherers[gatherer];
            self.run_query(query, port, Cause::SendEnd(step), outlet);
        }
        // What these queries insert into named windows is of this send, too.
        if !self.gatherers.is_empty() {
            self.end_send_in_windows(outlet);
        }
    }

    fn end_send_in_windows(&mut self, outlet: &mut dyn Outlet) {
        for place in 0..self.gathering_windows.len() {
            self.run_window(self.gathering_windows[place], Cause::SendEnd(0), outlet);
        }
    }

    /// Counts rows that a named window or the writing of a table could not take: they have left
    /// their query, and the query that runs next must not be taken for the one that met them.
    fn report_store(&mut self, what: &str, outlet: &mut dyn Outlet) {
        let faults = std::mem::take(&mut self.context.faults);
        self.context.drops.fault += faults.len() as u64;
        for fault in faults {
            let text = format!("{what} could not take a row: {}", fault.message);
            outlet.note(Note { level: Level::Error, text });
        }
    }

    /// Hands out what the last run of a query had to say.
    fn report(&mut self, query: QueryId, outlet: &mut dyn Outlet) {
        for note in std::mem::take(&mut self.context.notes) {
            outlet.note(note);
        }
        let faults = std::mem::take(&mut self.context.faults);
        if faults.is_empty() {
            return;
        }
        self.context.drops.fault += faults.len() as u64;
        let query = &self.plan.queries[query];
        let diverts = query.ports.iter().any(|port| match port.source {
            Source::Stream(stream) => self.plan.streams[stream].fault.is_some(),
            Source::Window(_) => false,
        });
        if diverts {
            return self.failed.extend(faults);
        }
        for fault in faults {
            let name = &query.name;
            let text = format!("query `{name}` could not compute a row: {}", fault.message);
            outlet.note(Note { level: Level::Error, text });
        }
    }
}
