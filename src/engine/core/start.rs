//! From a checked plan to one that runs.

use crate::engine::aggregations::RunningAggregation;
use crate::engine::build::BuildError;
use crate::engine::build::Builder;
use crate::engine::context::Context;
use crate::engine::context::Entropy;
use crate::engine::core::Address;
use crate::engine::core::PlanCore;
use crate::engine::core::Reader;
use crate::engine::core::StreamNode;
use crate::engine::core::TriggerNode;
use crate::engine::core::When;
use crate::engine::core::WindowNode;
use crate::engine::core::bounds::Allowance;
use crate::engine::core::bounds::Bounds;
use crate::engine::core::watermarks::Watermarks;
use crate::engine::cron::Cron;
use crate::engine::identity::identities;
use crate::engine::library::Library;
use crate::engine::pipeline::Pipeline;
use crate::engine::tables::MemoryTable;
use crate::engine::timers::Timer;
use crate::engine::timers::Timers;
use crate::event::Batch;
use crate::event::Millis;
use crate::plan::logical::Output;
use crate::plan::logical::Plan;
use crate::plan::logical::Query;
use crate::plan::logical::Source;
use crate::plan::logical::Table;
use crate::plan::logical::TriggerTime;
use std::sync::Arc;

impl PlanCore {
    /// Makes a plan ready to run. `secret` is what chance is drawn from; it is drawn once, when the
    /// plan is first deployed, and kept.
    ///
    /// # Errors
    /// If a part of the plan cannot be run.
    pub fn build(plan: Arc<Plan>, secret: u64) -> Result<PlanCore, BuildError> {
        PlanCore::build_with(plan, secret, Library::standard())
    }

    /// As [`PlanCore::build`], for a plan that was checked with this library.
    ///
    /// # Errors
    /// If a part of the plan cannot be run.
    pub fn build_with(
        plan: Arc<Plan>,
        secret: u64,
        library: Library,
    ) -> Result<PlanCore, BuildError> {
        let builder = Builder::new(&plan, &library);
        let mut operators = Vec::new();
        let mut windows = Vec::new();
        let mut context =
            Context { entropy: Entropy { secret, ..Entropy::default() }, ..Context::default() };
        for (id, window) in plan.windows.iter().enumerate() {
            windows.push(WindowNode {
                readers: Vec::new(),
                output: window.output,
                watched: false,
                buffer: Batch::new(&window.schema.types()),
                operator: operators.len() as u32,
            });
            operators.push(Address::Window(id));
            context.windows.push(Some(builder.named_window(window)?));
        }
        context.tables = plan.tables.iter().map(|table| Some(Box::new(in_memory(table)))).collect();
        let aggregations = plan.aggregations.iter();
        let aggregations = aggregations.map(|each| Some(Box::new(RunningAggregation::new(each))));
        context.aggregations = aggregations.collect();
        let mut triggers = Vec::new();
        for (id, trigger) in plan.triggers.iter().enumerate() {
            let when = match &trigger.when {
                TriggerTime::Start => When::Start,
                TriggerTime::Every(period) => When::Every((*period).max(1)),
                TriggerTime::Cron(text) => {
                    let cron = Cron::parse(text);
                    let fault = |message| BuildError { message, not_supported: false };
                    When::Cron(Box::new(cron.map_err(fault)?))
                }
            };
            let operator = operators.len() as u32;
            triggers.push(TriggerNode { operator, stream: trigger.stream, when });
            operators.push(Address::Trigger(id));
        }
        let mut partitions = Vec::new();
        for id in 0..plan.partitions.len() {
            operators.push(Address::Purge(id));
            partitions.push(builder.partition(id)?);
        }
        operators.extend((0..plan.aggregations.len()).map(Address::Discard));
        let mut pipelines: Vec<Pipeline> = Vec::new();
        let mut gatherers = Vec::new();
        let mut askers = Vec::new();
        for (id, query) in plan.queries.iter().enumerate() {
            let mut next = operators.len() as u32;
            let pipeline = builder.query(query, &mut next)?;
            for (port, way) in pipeline.ports.iter().enumerate() {
                for (step, operator) in way.steps.iter().enumerate() {
                    operators.push(Address::Step { query: id, port, step });
                    if let Some(table) = operator.asks() {
                        askers.push((table, id, port, step));
                    }
                    if operator.gathers_sends() {
                        gatherers.push((id, port, step));
                    }
                }
            }
            let states = pipeline.pattern.as_ref().map_or(0, |pattern| pattern.step.states());
            let port = pipeline.ports.len();
            operators.extend((0..states).map(|step| Address::Step { query: id, port, step }));
            if pipeline.limiter.is_some() {
                operators.push(Address::Rate(id));
            }
            pipelines.push(pipeline);
        }
        let gathers =
            |id: &usize| context.windows[*id].as_ref().is_some_and(|window| window.gathers_sends());
        let gathering_windows = (0..context.windows.len()).filter(gathers).collect();
        let mut core = PlanCore {
            streams: Vec::new(),
            singles: plan.streams.iter().map(|each| Batch::new(&each.schema.types())).collect(),
            parts: plan.streams.iter().map(|each| Batch::new(&each.schema.types())).collect(),
            pipelines,
            partitions,
            windows,
            triggers,
            identities: Box::new(identities(&plan, &library)),
            operators,
            events_lead: plan.playback.is_some() || plan.has_watermarks(),
            watermarks: Watermarks::new(&plan),
            gatherers,
            gathering_windows,
            askers,
            context,
            wall_timers: Timers::default(),
            wall: 0,
            idle_due: None,
            rows: 0,
            fired: 0,
            in_send: false,
            failed: Vec::new(),
            bounds: Bounds::default(),
            allowance: Allowance::new(Bounds::default(), 0),
            plan,
            library,
        };
        core.connect();
        Ok(core)
    }

    /// Tells streams and windows who reads them, in order of the plan's text.
    fn connect(&mut self) {
        let by_row = |stream: &crate::plan::logical::Stream| stream.row_by_row;
        self.streams = self
            .plan
            .streams
            .iter()
            .map(|stream| StreamNode {
                readers: Vec::new(),
                watched: false,
                by_row: by_row(stream) || stream.fault.is_some(),
                apart: Vec::new(),
            })
            .collect();
        // An aggregation knows a row before any query asks it.
        let queries = || self.plan.queries.iter().enumerate();
        let first = queries().filter(feeds_aggregation);
        for (query_id, query) in first.chain(queries().filter(|each| !feeds_aggregation(each))) {
            for (port_id, port) in query.ports.iter().enumerate() {
                let stream = match port.source {
                    Source::Window(window) => {
                        self.windows[window].readers.push((query_id, port_id));
                        continue;
                    }
                    Source::Stream(stream) => stream,
                };
                let route = query.partition.and_then(|partition| {
                    let routes = &self.partitions[partition].routes;
                    let route = routes.iter().position(|route| route.stream == stream)?;
                    Some((partition, route))
                });
                let node = &mut self.streams[stream];
                let readers = &mut node.readers;
                match route {
                    None => {
                        readers.push(Reader::Query(query_id, port_id));
                        node.apart.push(self.plan.streams[stream].apart.contains(&query_id));
                    }
                    // A partition reads a stream once, and tells all its queries.
                    Some((partition, route)) => {
                        let known = readers.iter().any(|reader| {
                            matches!(reader, Reader::Partition(other, _) if *other == partition)
                        });
                        if !known {
                            readers.push(Reader::Partition(partition, route));
                            node.apart.push(false);
                        }
                    }
                }
            }
        }
    }

    /// Lets patterns wait for absences from now on, and output rates begin their periods.
    pub(super) fn begin_patterns(&mut self) {
        for pipeline in &mut self.pipelines {
            if pipeline.partition.is_none() {
                pipeline.begin(0, &mut self.context);
            }
        }
    }

    /// Starts the plan's clock at the wall clock `at`. What is to happen at the start happens when
    /// the first entry is applied.
    pub fn start(&mut self, at: Millis) {
        self.wall = at;
        if !self.events_lead {
            self.context.now = at;
        }
        if let Some(marks) = &mut self.watermarks {
            marks.start(at);
        }
        self.idle_due = self.idle_span().map(|(idle, _)| at.saturating_add(idle));
        for trigger in 0..self.triggers.len() {
            let node = &self.triggers[trigger];
            if matches!(node.when, When::Start) {
                let timer = Timer { due: at, operator: node.operator, birth: 0, slot: 0 };
                self.set_wall_timer(timer);
            } else {
                self.set_trigger(trigger, at);
            }
        }
        // Where events move the clock it begins with the first one.
        if !self.events_lead {
            self.begin_patterns();
        }
        for (operator, address) in self.operators.clone().into_iter().enumerate() {
            let interval = match address {
                Address::Purge(partition) => {
                    self.partitions[partition].purge.map(|purge| purge.interval)
                }
                Address::Discard(id) => {
                    self.plan.aggregations[id].purge.as_ref().map(|purge| purge.interval)
                }
                Address::Window(_)
                | Address::Trigger(_)
                | Address::Rate(_)
                | Address::Step { .. } => None,
            };
            if let Some(interval) = interval {
                let due = at.saturating_add(interval);
                let timer = Timer { due, operator: operator as u32, birth: 0, slot: 0 };
                self.set_wall_timer(timer);
            }
        }
    }
}

/// A table without rows; one that is external never has any.
fn in_memory(table: &Table) -> MemoryTable {
    let (types, keys) = (table.schema.types(), &table.primary_key);
    match table.changes {
        _ if table.is_external => MemoryTable::new(types, &[], &[]),
        None => MemoryTable::new(types, keys, &table.indexes),
        Some(_) => MemoryTable::in_store(types, keys, &table.indexes),
    }
}

/// Whether a query is an aggregation's own.
fn feeds_aggregation((_, query): &(usize, &Query)) -> bool {
    matches!(query.output, Output::Aggregate(_))
}
