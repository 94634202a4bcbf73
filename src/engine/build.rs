//! Checked plan to running parts: the only reader of the plan's structure here.

use crate::engine::aggregators::Aggregator;
use crate::engine::aggregators::AggregatorSetup;
use crate::engine::expressions::Kernel;
use crate::engine::expressions::compile_with;
use crate::engine::external::ExternalFilter;
use crate::engine::external::ExternalJoin;
use crate::engine::external::ExternalWriter;
use crate::engine::library::Library;
use crate::engine::needs;
use crate::engine::operators::Filter;
use crate::engine::operators::LookupStep;
use crate::engine::partition::Partition;
use crate::engine::partition::Route;
use crate::engine::partition::RouteBy;
use crate::engine::patterns;
use crate::engine::patterns::PatternStep;
use crate::engine::pipeline::PatternWay;
use crate::engine::pipeline::Pipeline;
use crate::engine::pipeline::Step;
use crate::engine::pipeline::Target;
use crate::engine::pipeline::Way;
use crate::engine::rates::Limiter;
use crate::engine::selector::Incoming;
use crate::engine::selector::Selector;
use crate::engine::tables::TableWriter;
use crate::engine::tables::membership;
use crate::engine::windows::Window;
use crate::engine::windows::WindowSetup;
use crate::event::Batch;
use crate::event::DataType;
use crate::plan::aggregation::Shown;
use crate::plan::expression::Expr;
use crate::plan::logical::AggregationId;
use crate::plan::logical::Findable;
use crate::plan::logical::KeyBy;
use crate::plan::logical::Lookup;
use crate::plan::logical::NamedWindow;
use crate::plan::logical::Origin;
use crate::plan::logical::Output;
use crate::plan::logical::PartitionId;
use crate::plan::logical::Plan;
use crate::plan::logical::Port;
use crate::plan::logical::Query;
use crate::plan::logical::Rate;
use crate::plan::logical::RateKind;
use crate::plan::logical::Source;
use crate::plan::logical::Stage;
use crate::plan::logical::TableId;
use crate::plan::logical::WindowCall;
use crate::plan::outside::Act;
use crate::plan::outside::external_ins;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Trait;
use std::borrow::Cow;
use std::fmt;

/// A plan that was checked cannot be run all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    /// What is wrong.
    pub message: String,
    /// Whether it is right but not supported yet.
    pub not_supported: bool,
}

impl fmt::Display for BuildError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for BuildError {}

impl From<ArgumentFault> for BuildError {
    fn from(fault: ArgumentFault) -> BuildError {
        BuildError { message: fault.message, not_supported: fault.not_supported }
    }
}

/// Makes running parts of a plan.
pub struct Builder<'a> {
    plan: &'a Plan,
    library: &'a Library,
}

impl<'a> Builder<'a> {
    /// For the parts of `plan`, which was checked with `library`.
    pub fn new(plan: &'a Plan, library: &'a Library) -> Builder<'a> {
        Builder { plan, library }
    }

    /// Makes an expression over groups of so many columns.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn kernel(&self, expr: &Expr, layout: &[usize]) -> Result<Box<dyn Kernel>, BuildError> {
        let compile_in = |with: Findable, condition: &Expr, width: usize, _: &[usize]| {
            membership(with, condition, width, self).map_err(|error| ArgumentFault {
                argument: None,
                message: error.message,
                not_supported: error.not_supported,
            })
        };
        Ok(compile_with(expr, layout, self.library, &compile_in)?)
    }

    /// Makes several expressions over the same columns.
    ///
    /// # Errors
    /// If one of them cannot be run.
    pub fn kernels(
        &self,
        exprs: &[Expr],
        layout: &[usize],
    ) -> Result<Vec<Box<dyn Kernel>>, BuildError> {
        exprs.iter().map(|expr| self.kernel(expr, layout)).collect()
    }

    /// Makes an aggregator.
    ///
    /// # Errors
    /// If there is none of that name, or it does not take the arguments.
    pub fn aggregator(
        &self,
        name: &str,
        setup: &AggregatorSetup<'_>,
    ) -> Result<Box<dyn Aggregator>, BuildError> {
        let definition = self.library.find_aggregator(name);
        let definition = definition.ok_or_else(|| unknown("aggregator", name))?;
        Ok((definition.build)(setup)?)
    }

    /// Types of the columns of something that can be looked up.
    pub fn findable_types(&self, with: Findable) -> Vec<DataType> {
        match with {
            Findable::Table(table) | Findable::External(table) => {
                self.plan.tables[table].schema.types()
            }
            Findable::Window(window) => self.plan.windows[window].schema.types(),
            Findable::Aggregation(id) => self.plan.aggregations[id].schema.types(),
            // Only joins look into a port, and they know what they find there.
            Findable::Port(_) => Vec::new(),
        }
    }

    /// The columns of each index of a table, the primary key first.
    pub fn index_columns(&self, table: TableId) -> Vec<Vec<usize>> {
        let table = &self.plan.tables[table];
        let key = (!table.primary_key.is_empty()).then(|| table.primary_key.clone());
        key.into_iter().chain(table.indexes.iter().map(|&column| vec![column])).collect()
    }

    /// The columns in which an aggregation shows its group keys; none if it has no keys, does not
    /// show all of them, or has floating ones, which are not the same whenever they are equal.
    pub fn group_columns(&self, aggregation: AggregationId) -> Option<Vec<usize>> {
        let aggregation = &self.plan.aggregations[aggregation];
        let floats = [DataType::Float, DataType::Double, DataType::Object];
        let keys = &aggregation.groups;
        if keys.is_empty() || keys.iter().any(|ty| floats.contains(ty)) {
            return None;
        }
        let place = |key| aggregation.outputs.iter().position(|each| *each == Shown::Group(key));
        // The start of the bucket stands before them.
        (0..keys.len()).map(|key| place(key).map(|place| place + 1)).collect()
    }

    /// Makes a named window.
    ///
    /// # Errors
    /// If the window cannot be run.
    pub fn named_window(&self, window: &NamedWindow) -> Result<Box<dyn Window>, BuildError> {
        let keep = vec![true; window.schema.len()];
        self.window(&window.call, &keep, &keep, true, true)
    }

    fn window(
        &self,
        call: &WindowCall,
        keep: &[bool],
        leaving: &[bool],
        expired: bool,
        findable: bool,
    ) -> Result<Box<dyn Window>, BuildError> {
        let definition = self.library.find_window(&call.name);
        let definition = definition.ok_or_else(|| unknown("window", &call.name))?;
        let setup = WindowSetup {
            library: self.library,
            arguments: &call.arguments,
            types: &call.types,
            names: &call.names,
            predicate: call.predicate.as_ref(),
            keep,
            leaving,
            expired,
            findable,
        };
        Ok((definition.build)(&setup)?)
    }

    /// Makes a query whose steps are numbered from `next_operator`, which is moved on.
    ///
    /// # Errors
    /// If a part of it cannot be run.
    pub fn query(&self, query: &Query, next_operator: &mut u32) -> Result<Pipeline, BuildError> {
        let mut ports = Vec::new();
        let (mut expired, mut windowed, mut owes) = (false, false, false);
        for (number, port) in query.ports.iter().enumerate() {
            if let Source::Window(window) = port.source {
                windowed = true;
                let window = &self.plan.windows[window];
                expired |= window.output.expired();
                owes |= !window.output.current();
                owes |= self.library.window_has(&window.call.name, Trait::Owes);
            }
            for stage in &port.stages {
                if let Stage::Window(call) = stage {
                    windowed = true;
                    expired |= wants_expired(query, call, self.library);
                    owes |= self.library.window_has(&call.name, Trait::Owes);
                }
            }
            let first_operator = *next_operator;
            // Rows of a named window are held there, whoever reads them.
            let counts = matches!(port.source, Source::Stream(_));
            let types = self.source_types(port.source);
            let way = self.way(query, number, types, counts)?;
            *next_operator += way.steps.len() as u32;
            ports.push(Way { first_operator, ..way });
        }
        let outputs = query.selection.schema.types();
        let mut selection = Cow::Borrowed(&query.selection);
        let limiter = match &query.rate {
            Some(rate) => {
                // The rate looks at the groups, whose keys stand behind the outputs.
                let keys = query.selection.group_by.clone();
                selection.to_mut().outputs.extend(keys);
                let windowed = query.ports.iter().any(Port::has_window);
                let operator = std::mem::replace(next_operator, *next_operator + 1);
                Some(Box::new(Limiter::build(rate, query, windowed, operator)))
            }
            None => None,
        };
        let mut stages = query.ports.iter().flat_map(|port| &port.stages);
        let joins = stages.any(|stage| matches!(stage, Stage::Lookup(_)));
        let incoming = Incoming { expired, windowed, balanced: !joins && !owes };
        let selector = Selector::build(&selection, query.events, incoming, self)?;
        let shows = matches!(query.rate, Some(Rate { kind: RateKind::Snapshot, .. }));
        let selector = if shows { selector.row_by_row() } else { selector };
        Ok(Pipeline {
            ports,
            pattern: self.pattern(query, next_operator)?,
            selector,
            limiter,
            selected: Some(Box::new(Batch::new(&outputs))),
            target: self.target(&query.output, &outputs)?,
            partition: query.partition,
            watched: false,
        })
    }

    /// The pattern of a query, each state of which is an operator to timers.
    fn pattern(
        &self,
        query: &Query,
        next_operator: &mut u32,
    ) -> Result<Option<Box<PatternWay>>, BuildError> {
        let Some(pattern) = &query.pattern else { return Ok(None) };
        let ports = query.ports.iter().map(|port| self.source_types(port.source));
        let mut step = PatternStep::build(pattern, &ports.collect::<Vec<_>>(), self)?;
        step.set_first_operator(*next_operator);
        *next_operator += step.states() as u32;
        Ok(Some(Box::new(PatternWay { step, buffer: Batch::new(&pattern.types()) })))
    }

    fn source_types(&self, source: Source) -> Vec<DataType> {
        match source {
            Source::Stream(stream) => self.plan.streams[stream].schema.types(),
            Source::Window(window) => self.plan.windows[window].schema.types(),
        }
    }

    fn way(
        &self,
        query: &Query,
        number: usize,
        source: Vec<DataType>,
        counts: bool,
    ) -> Result<Way, BuildError> {
        let Port { stages, is_silent, .. } = &query.ports[number];
        let types = types_along(source, stages);
        let (needs, leaving) = needs::kept(query, number, &types, self.library);
        let findable = query.lookup_into(number).is_some();
        let mut steps: Vec<Step> = Vec::new();
        let mut buffers = Vec::new();
        let mut side = None;
        for (place, stage) in stages.iter().enumerate() {
            let (before, after) = (&types[place], &types[place + 1]);
            let keep = &needs[place + 1];
            buffers.push(Batch::keeping(after, keep));
            steps.push(match stage {
                Stage::Filter(condition) if !external_ins(condition).is_empty() => {
                    let counts = counts && stages[..place].iter().all(passes_rows);
                    let filter = ExternalFilter::build(condition, before, counts, self)?;
                    Step::Plain(Box::new(filter))
                }
                Stage::Filter(condition) => {
                    let counts = counts && stages[..place].iter().all(passes_rows);
                    let condition = self.kernel(condition, &[before.len()])?;
                    Step::Plain(Box::new(Filter::new(condition, counts)))
                }
                Stage::Window(call) => {
                    let expired = !is_silent && wants_expired(query, call, self.library);
                    let window = self.window(call, keep, &leaving[place + 1], expired, findable)?;
                    side = findable.then_some(place);
                    if findable { Step::Side(Some(window)) } else { Step::Plain(window) }
                }
                Stage::Function(call) => {
                    let definition = self.library.find_stream_function(&call.name);
                    let definition =
                        definition.ok_or_else(|| unknown("stream function", &call.name))?;
                    Step::Plain((definition.build)(call, self.library)?)
                }
                Stage::Lookup(lookup @ Lookup { with: Findable::External(table), .. }) => {
                    Step::Plain(Box::new(ExternalJoin::build(*table, lookup, before, self)?))
                }
                Stage::Lookup(lookup) => {
                    Step::Plain(Box::new(LookupStep::build(lookup, before, self)?))
                }
            });
        }
        Ok(Way { steps, buffers, first_operator: 0, is_silent: *is_silent, side })
    }

    /// Which columns of its source a query reads.
    fn reads(&self, query: &Query, port: usize, source: &[DataType]) -> Vec<bool> {
        let types = types_along(source.to_vec(), &query.ports[port].stages);
        needs::kept(query, port, &types, self.library).0.swap_remove(0)
    }

    fn target(&self, output: &Output, outputs: &[DataType]) -> Result<Target, BuildError> {
        Ok(match output {
            Output::Stream(stream) => {
                let inner = matches!(self.plan.streams[*stream].origin, Origin::Inner(_));
                Target::Stream { stream: *stream, inner }
            }
            Output::Window(window) => Target::Window(*window),
            Output::Aggregate(aggregation) => Target::Aggregation(*aggregation),
            Output::Return => Target::Nowhere,
            _ => {
                let writer = self.table_writer(output, outputs)?;
                Target::Table(Box::new(writer.expect("the rest are writes")))
            }
        })
    }

    /// What writes to a table; `None` if the output is no table.
    ///
    /// # Errors
    /// If a condition or assignment cannot be run.
    pub fn table_writer(
        &self,
        output: &Output,
        outputs: &[DataType],
    ) -> Result<Option<TableWriter>, BuildError> {
        let external = |table: TableId, act, on, sets| {
            ExternalWriter::build(table, act, on, sets, outputs, self)
                .map(|writer| Some(TableWriter::external(table, writer)))
        };
        let is_external = |table: &TableId| self.plan.tables[*table].is_external;
        match output {
            Output::Insert(table) if is_external(table) => {
                return external(*table, Act::Insert, None, &[]);
            }
            Output::Delete(table, on) if is_external(table) => {
                return external(*table, Act::Delete, on.as_ref(), &[]);
            }
            Output::Update(table, on, sets) if is_external(table) => {
                return external(*table, Act::Update, on.as_ref(), sets);
            }
            Output::UpdateOrInsert(table, on, sets) if is_external(table) => {
                return external(*table, Act::UpdateOrInsert, on.as_ref(), sets);
            }
            _ => {}
        }
        Ok(Some(match output {
            Output::Insert(table) => TableWriter::insert(*table),
            Output::Delete(table, on) => TableWriter::delete(*table, on.as_ref(), outputs, self)?,
            Output::Update(table, on, sets) => {
                TableWriter::update(*table, on.as_ref(), sets, false, outputs, self)?
            }
            Output::UpdateOrInsert(table, on, sets) => {
                TableWriter::update(*table, on.as_ref(), sets, true, outputs, self)?
            }
            Output::Stream(_) | Output::Window(_) | Output::Aggregate(_) | Output::Return => {
                return Ok(None);
            }
        }))
    }

    /// Makes a partition.
    ///
    /// # Errors
    /// If a key cannot be computed.
    pub fn partition(&self, id: PartitionId) -> Result<Partition, BuildError> {
        let partition = &self.plan.partitions[id];
        let mut routes: Vec<Route> = Vec::new();
        for (query_id, query) in self.plan.queries.iter().enumerate() {
            for (port, way) in query.ports.iter().enumerate() {
                let Source::Stream(stream) = way.source else { continue };
                if query.partition != Some(id)
                    || matches!(self.plan.streams[stream].origin, Origin::Inner(_))
                {
                    continue;
                }
                let types = self.plan.streams[stream].schema.types();
                let read = match &query.pattern {
                    Some(pattern) => patterns::reads(pattern, port, types.len()),
                    None => self.reads(query, port, &types),
                };
                let route = match routes.iter().position(|route| route.stream == stream) {
                    Some(known) => &mut routes[known],
                    None => {
                        let (by, readers, reads) = (None, Vec::new(), vec![false; types.len()]);
                        routes.push(Route { stream, by, readers, reads, routed: None });
                        routes.last_mut().expect("just pushed")
                    }
                };
                route.readers.push((query_id, port));
                route.reads.iter_mut().zip(read).for_each(|(reads, read)| *reads |= read);
                route.routed = Some(Box::new(Batch::keeping(&types, &route.reads)));
            }
        }
        for key in &partition.keys {
            let width = [self.plan.streams[key.stream].schema.len()];
            let by = match &key.by {
                KeyBy::Value(expr) => RouteBy::Value(self.kernel(expr, &width)?),
                KeyBy::Ranges(ranges) => RouteBy::Ranges(
                    ranges
                        .iter()
                        .map(|(expr, label)| Ok((self.kernel(expr, &width)?, label.clone())))
                        .collect::<Result<Vec<_>, BuildError>>()?,
                ),
            };
            if let Some(route) = routes.iter_mut().find(|route| route.stream == key.stream) {
                route.by = Some(by);
            }
        }
        Ok(Partition::new(routes, partition.purge))
    }
}

/// Types of the columns before each stage, and after the last.
pub(super) fn types_along(source: Vec<DataType>, stages: &[Stage]) -> Vec<Vec<DataType>> {
    let mut types = vec![source];
    for stage in stages {
        let mut after = types[types.len() - 1].clone();
        match stage {
            Stage::Filter(_) | Stage::Window(_) => {}
            Stage::Function(call) => after.extend(call.added.types()),
            Stage::Lookup(lookup) => {
                let place = lookup.found_base();
                after.splice(place..place, lookup.types.iter().copied());
                after.extend(lookup.missing.iter().flatten().map(|_| DataType::Bool));
            }
        }
        types.push(after);
    }
    types
}

/// Whether a query reads the rows that leave its window: it puts them out, or an aggregate must
/// take them back, as no reset does that for it. A batch that leaves without another in its place
/// brings no reset either; in a join the other side may ask before the next one does.
pub(super) fn wants_expired(query: &Query, call: &WindowCall, library: &Library) -> bool {
    let resets = query.ports.len() == 1 && library.window_has(&call.name, Trait::StartsAnew);
    query.events.expired() || !query.selection.aggregates.is_empty() && !resets
}

/// Whether a stage gives each row it takes, or leaves it out for good.
fn passes_rows(stage: &Stage) -> bool {
    match stage {
        Stage::Filter(_) | Stage::Function(_) => true,
        Stage::Window(_) | Stage::Lookup(_) => false,
    }
}

fn unknown(what: &str, name: &str) -> BuildError {
    BuildError { message: format!("there is no {what} `{name}`"), not_supported: false }
}
