//! What of a plan holds state, and by what it is known again in another version of the plan.
//!
//! Nothing is guessed. What has a name is the same if the name and all that decides about its state
//! are the same; what has none is the same if its whole text is. Where it stands in the plan, how
//! it is laid out and what comments say makes no difference.

use crate::event::Text;
use crate::event::Value;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use crate::event::hash_bytes;
use crate::plan::canonical::Canonical;
use crate::plan::logical::AggregationId;
use crate::plan::logical::Findable;
use crate::plan::logical::Output;
use crate::plan::logical::PartitionId;
use crate::plan::logical::Plan;
use crate::plan::logical::Query;
use crate::plan::logical::QueryId;
use crate::plan::logical::Source;
use crate::plan::logical::Stage;
use crate::plan::logical::WindowCall;
use crate::plan::stores::place_of;

/// What of a plan holds state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identities {
    /// `@app:playback`: whether events move the clock, and its idle time.
    pub playback: Option<Option<(i64, i64)>>,
    /// Tables, named windows, triggers, aggregations, partitions, those queries that hold state and
    /// watermarks, each kind in order of text.
    pub units: Vec<Unit>,
}

/// What moves the clock of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Arrival.
    Arrival,
    /// `@app:playback`: the events' own time, as they come.
    Events,
    /// `@watermark`: the watermarks of streams.
    Watermarks,
}

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A table.
    Table,
    /// A named window.
    Window,
    /// A trigger.
    Trigger,
    /// A partition: the numbers of its keys.
    Partition,
    /// A query: the rows of its window, and its aggregates.
    Query,
    /// What the output rate of a query holds back.
    Rate,
    /// An aggregation: its buckets.
    Aggregation,
    /// The watermark of a stream, and the rows that wait for it.
    Watermark,
}

/// Something that holds state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// What it is.
    pub kind: Kind,
    /// Its position among those of its kind in the plan.
    pub id: usize,
    /// Its name, or for people where it has none.
    pub name: Text,
    /// Whether the plan gives it that name.
    pub is_named: bool,
    /// All of it, names apart.
    pub whole: u64,
    /// The queries with names inside a partition.
    pub inside: Vec<Text>,
    /// What decides about its rows; `None` for a query that holds none.
    pub rows: Option<Vec<Aspect>>,
    /// What decides about its aggregates, beyond its rows; `None` if it has none.
    pub groups: Option<Vec<Aspect>>,
    /// What decides about its timers only.
    pub rhythm: u64,
    /// The position in [`Identities::units`] of the partition it stands in.
    pub partition: Option<usize>,
    /// Positions of the tables and named windows on whose rows its aggregates rest.
    pub rests_on: Vec<usize>,
    /// The position of the named window whose leaving rows its aggregates take back.
    pub takes_back: Option<usize>,
    /// Its windows, where it is a query.
    pub windows: Vec<Held>,
}

/// One thing that must be the same: what it is called, for people, and the hash of what it is.
pub type Aspect = (Text, u64);

/// What a window of a query keeps of its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The port of the query.
    pub port: usize,
    /// The step of the port.
    pub step: usize,
    /// Whether it keeps rows to put them out when they leave.
    pub expired: bool,
    /// The columns that are kept.
    pub keep: Vec<bool>,
    /// The columns that are kept of rows which leave.
    pub leaving: Vec<bool>,
}

impl Kind {
    /// The same number for the same kind.
    pub fn tag(self) -> u8 {
        KINDS.iter().zip(0..).find(|(kind, _)| **kind == self).expect("all are listed").1
    }
}

impl Identities {
    /// What of `plan` holds state; `held` says what a window of a query keeps, which is for the
    /// engine to know.
    pub fn of(plan: &Plan, held: &dyn Fn(&Query, usize, usize) -> Held) -> Identities {
        let mut units = Vec::new();
        for (id, table) in plan.tables.iter().enumerate() {
            let attributes = Canonical::hash(plan, |text| text.schema(&table.schema));
            let keys = hash_of(&(&table.primary_key, &table.indexes));
            let mut rows = vec![("attributes".into(), attributes), ("keys".into(), keys)];
            if let Some(store) = table.changes.and_then(|of| plan.streams[of].store.as_ref()) {
                rows.push(("store".into(), hash_of(&place_of(store))));
            }
            units.push(Unit::named(Kind::Table, id, &table.name, rows));
        }
        for (id, window) in plan.windows.iter().enumerate() {
            let attributes = Canonical::hash(plan, |text| text.schema(&window.schema));
            let call = Canonical::hash(plan, |text| text.window(&window.call));
            let rows = vec![("attributes".into(), attributes), ("window".into(), call)];
            units.push(Unit::named(Kind::Window, id, &window.name, rows));
        }
        for (id, trigger) in plan.triggers.iter().enumerate() {
            let name = &plan.streams[trigger.stream].name;
            let rows = vec![("time".into(), hash_of(&trigger.when))];
            units.push(Unit::named(Kind::Trigger, id, name, rows));
        }
        let first_aggregation = units.len();
        units.extend((0..plan.aggregations.len()).map(|id| aggregation(plan, id)));
        let partitions = units.len();
        units.extend((0..plan.partitions.len()).map(|id| partition(plan, id)));
        let in_units = |with| match with {
            Findable::Table(table) | Findable::External(table) => Some(table),
            Findable::Window(window) => Some(plan.tables.len() + window),
            Findable::Aggregation(aggregation) => Some(first_aggregation + aggregation),
            // Its rows are the query's own.
            Findable::Port(_) => None,
        };
        for (id, query) in plan.queries.iter().enumerate() {
            let mut unit = Unit {
                is_named: !query.is_unnamed(id),
                whole: Canonical::hash(plan, |text| text.query(query)),
                partition: query.partition.map(|partition| partitions + partition),
                windows: windows_of(query, held),
                ..Unit::named(Kind::Query, id, &shown_name(plan, id), Vec::new())
            };
            let holds = !unit.windows.is_empty() || query.pattern.is_some();
            unit.rows = holds.then(|| rows_of(plan, query));
            if !query.selection.aggregates.is_empty() {
                unit.groups = Some(groups_of(plan, query));
                unit.rest(query, &in_units);
            }
            let rate = query.rate.map(|_| rate(&unit, query, &in_units));
            let query = (unit.rows.is_some() || unit.groups.is_some()).then_some(unit);
            // It rests on what the query holds itself.
            let own = query.is_some().then_some(units.len());
            units.extend(query);
            units.extend(rate.map(|mut rate: Unit| {
                rate.rests_on.extend(own);
                rate
            }));
        }
        for (id, stream) in plan.streams.iter().enumerate() {
            if let Some(watermark) = &stream.watermark {
                let attributes = Canonical::hash(plan, |text| text.schema(&stream.schema));
                let time = hash_of(&watermark.attribute);
                let rows = vec![("attributes".into(), attributes), ("event time".into(), time)];
                units.push(Unit::named(Kind::Watermark, id, &stream.name, rows));
            }
        }
        let playback = plan.playback.map(|playback| playback.idle);
        Identities { playback, units }
    }
}

impl Identities {
    /// What moves the plan's clock.
    pub fn clock(&self) -> Clock {
        match self.playback {
            Some(_) => Clock::Events,
            None if self.units.iter().any(|unit| unit.kind == Kind::Watermark) => Clock::Watermarks,
            None => Clock::Arrival,
        }
    }
}

impl Unit {
    fn named(kind: Kind, id: usize, name: &str, rows: Vec<Aspect>) -> Unit {
        Unit {
            kind,
            id,
            name: name.into(),
            is_named: true,
            whole: 0,
            inside: Vec::new(),
            rows: Some(rows),
            groups: None,
            rhythm: 0,
            partition: None,
            rests_on: Vec::new(),
            takes_back: None,
            windows: Vec::new(),
        }
    }

    /// Notes whose rows its aggregates rest on: those that leave are looked up once more, to be
    /// taken back.
    fn rest(&mut self, query: &Query, in_units: &dyn Fn(Findable) -> Option<usize>) {
        for port in &query.ports {
            if let Source::Window(window) = port.source {
                self.takes_back = in_units(Findable::Window(window));
                self.rests_on.extend(self.takes_back);
            }
            if self.rows.is_some() {
                let lookups = port.stages.iter().filter_map(|stage| match stage {
                    Stage::Lookup(lookup) => in_units(lookup.with),
                    _ => None,
                });
                self.rests_on.extend(lookups);
            }
        }
    }
}

impl Query {
    /// Whether the plan gives it no name; `id` is its own.
    fn is_unnamed(&self, id: QueryId) -> bool {
        self.name == format!("query_{}", id + 1)
    }
}

/// The name of a query; for one without, what people find it by.
fn shown_name(plan: &Plan, id: QueryId) -> Text {
    let query = &plan.queries[id];
    if !query.is_unnamed(id) {
        return query.name.clone();
    }
    let from = query.ports.first().map(|port| match port.source {
        Source::Stream(stream) => plan.streams[stream].shown(),
        Source::Window(window) => plan.windows[window].name.to_string(),
    });
    let into = match &query.output {
        Output::Stream(stream) => Some(plan.streams[*stream].shown()),
        Output::Window(window) => Some(plan.windows[*window].name.to_string()),
        Output::Aggregate(id) => Some(plan.aggregations[*id].name.to_string()),
        Output::Insert(table)
        | Output::Delete(table, _)
        | Output::Update(table, ..)
        | Output::UpdateOrInsert(table, ..) => Some(plan.tables[*table].name.to_string()),
        Output::Return => None,
    };
    let ends = [from.map(|from| format!("from {from}")), into.map(|into| format!("into {into}"))];
    ends.into_iter().flatten().collect::<Vec<_>>().join(" ").into()
}

fn aggregation(plan: &Plan, id: AggregationId) -> Unit {
    let aggregation = &plan.aggregations[id];
    let query = &plan.queries[aggregation.query];
    let input = Canonical::hash(plan, |text| {
        for port in &query.ports {
            text.source(port.source);
            port.stages.iter().for_each(|stage| text.stage(stage));
        }
    });
    let kept = Canonical::hash(plan, |text| {
        text.exprs(&query.selection.outputs);
        text.debug(&(aggregation.clock, &aggregation.groups, &aggregation.running));
    });
    let rows = vec![
        ("input".into(), input),
        ("what is aggregated".into(), kept),
        ("lengths of buckets".into(), hash_of(&aggregation.periods)),
        ("time zone".into(), hash_of(&aggregation.zone)),
    ];
    let rhythm = hash_of(&aggregation.purge.as_ref().map(|discard| discard.interval));
    Unit { rhythm, ..Unit::named(Kind::Aggregation, id, &aggregation.name, rows) }
}

/// What the output rate of a query holds back, known by all of the query.
fn rate(of: &Unit, query: &Query, in_units: &dyn Fn(Findable) -> Option<usize>) -> Unit {
    let rows = vec![("query".into(), of.whole)];
    let sources = query.ports.iter().filter_map(|port| match port.source {
        Source::Stream(_) => None,
        Source::Window(window) => in_units(Findable::Window(window)),
    });
    Unit {
        is_named: of.is_named,
        whole: of.whole,
        partition: of.partition,
        rests_on: sources.collect(),
        ..Unit::named(Kind::Rate, of.id, &of.name, rows)
    }
}

fn partition(plan: &Plan, id: PartitionId) -> Unit {
    let partition = &plan.partitions[id];
    let mut keys: Vec<u64> = Vec::new();
    let mut streams: Vec<&str> = Vec::new();
    for key in &partition.keys {
        keys.push(Canonical::hash(plan, |text| text.key(key)));
        streams.push(&plan.streams[key.stream].name);
    }
    // In which order the streams stand says nothing.
    keys.sort_unstable();
    let mut queries: Vec<u64> = Vec::new();
    let mut inside = Vec::new();
    for (id, query) in plan.queries.iter().enumerate().filter(|(_, of)| of.partition == Some(id)) {
        queries.push(Canonical::hash(plan, |text| text.query(query)));
        if !query.is_unnamed(id) {
            inside.push(query.name.clone());
        }
    }
    let is_named = !partition.name.is_empty();
    let name =
        if is_named { partition.name.clone() } else { format!("of {}", streams.join(", ")).into() };
    let rows = vec![("keys".into(), hash_of(&keys))];
    Unit {
        is_named,
        inside,
        whole: hash_of(&(keys, queries)),
        rhythm: hash_of(&partition.purge),
        ..Unit::named(Kind::Partition, id, &name, rows)
    }
}

/// The windows of a query that can hold rows.
fn windows_of(query: &Query, held: &dyn Fn(&Query, usize, usize) -> Held) -> Vec<Held> {
    let mut windows = Vec::new();
    for (number, port) in query.ports.iter().enumerate() {
        for (step, stage) in port.stages.iter().enumerate() {
            let nothing = matches!(stage, Stage::Window(call) if holds_nothing(call));
            if stage.holds_rows() && !nothing {
                windows.push(Held { port: number, step, ..held(query, number, step) });
            }
        }
    }
    windows
}

/// A window that stands for none, as joins without a window have it.
fn holds_nothing(call: &WindowCall) -> bool {
    let none = |value: &Value| matches!(value, Value::Int(0));
    call.name == "length"
        && call.arguments.first().and_then(|count| count.as_constant()).is_some_and(none)
}

/// What decides about the rows in the windows of a query: all up to them.
fn rows_of(plan: &Plan, query: &Query) -> Vec<Aspect> {
    let input = Canonical::hash(plan, |text| {
        query.ports.iter().for_each(|port| text.source(port.source));
    });
    let mut filters = Canonical::new(plan);
    let mut windows = Canonical::new(plan);
    for port in &query.ports {
        for stage in &port.stages[..behind_windows(&port.stages)] {
            match stage {
                Stage::Window(call) => windows.window(call),
                _ => filters.stage(stage),
            }
            // How they stand to each other.
            filters.word(if stage.holds_rows() { "window" } else { "step" });
        }
        filters.word("end");
        windows.word("end");
    }
    if let Some(pattern) = &query.pattern {
        let pattern = Canonical::hash(plan, |text| text.pattern(pattern));
        return vec![("input".into(), input), ("pattern".into(), pattern)];
    }
    vec![
        ("input".into(), input),
        ("what stands before the window".into(), filters.hashed()),
        ("window".into(), windows.hashed()),
    ]
}

/// What decides about the aggregates of a query, beyond its windows.
fn groups_of(plan: &Plan, query: &Query) -> Vec<Aspect> {
    let input = Canonical::hash(plan, |text| {
        query.ports.iter().for_each(|port| text.source(port.source));
    });
    let steps = Canonical::hash(plan, |text| {
        for port in &query.ports {
            port.stages.iter().for_each(|stage| text.stage(stage));
            text.word("end");
        }
        query.pattern.iter().for_each(|pattern| text.pattern(pattern));
        text.debug(&query.selection.input);
    });
    let selection = &query.selection;
    vec![
        ("input".into(), input),
        ("what stands before the selection".into(), steps),
        (
            "what is aggregated".into(),
            Canonical::hash(plan, |text| text.aggregates(&selection.aggregates)),
        ),
        ("group by".into(), Canonical::hash(plan, |text| text.exprs(&selection.group_by))),
        ("which events are put out".into(), hash_of(&query.events)),
    ]
}

fn behind_windows(stages: &[Stage]) -> usize {
    stages.iter().rposition(Stage::holds_rows).map_or(0, |last| last + 1)
}

fn hash_of<T: std::fmt::Debug>(value: &T) -> u64 {
    hash_bytes(format!("{value:?}").as_bytes())
}

const KINDS: [Kind; 8] = [
    Kind::Table,
    Kind::Window,
    Kind::Trigger,
    Kind::Partition,
    Kind::Query,
    Kind::Aggregation,
    Kind::Rate,
    Kind::Watermark,
];

impl Encode for Identities {
    fn encode(&self, out: &mut Vec<u8>) {
        self.playback.encode(out);
        self.units.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let identities = Identities { playback: Encode::decode(from)?, units: Vec::decode(from)? };
        let count = identities.units.len();
        let sound = |unit: &Unit| {
            let others = unit.partition.iter().chain(&unit.rests_on).chain(&unit.takes_back);
            others.into_iter().all(|&other| other < count)
        };
        if identities.units.iter().all(sound) { Ok(identities) } else { Err(Malformed) }
    }
}

impl Encode for Unit {
    fn encode(&self, out: &mut Vec<u8>) {
        (usize::from(self.kind.tag()), self.id).encode(out);
        (self.name.clone(), self.is_named).encode(out);
        self.whole.encode(out);
        self.inside.encode(out);
        self.rows.encode(out);
        self.groups.encode(out);
        self.rhythm.encode(out);
        self.partition.encode(out);
        self.rests_on.encode(out);
        self.takes_back.encode(out);
        self.windows.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let (kind, id) = <(usize, usize)>::decode(from)?;
        let (name, is_named) = <(Text, bool)>::decode(from)?;
        Ok(Unit {
            kind: *KINDS.get(kind).ok_or(Malformed)?,
            id,
            name,
            is_named,
            whole: Encode::decode(from)?,
            inside: Encode::decode(from)?,
            rows: Encode::decode(from)?,
            groups: Encode::decode(from)?,
            rhythm: Encode::decode(from)?,
            partition: Encode::decode(from)?,
            rests_on: Encode::decode(from)?,
            takes_back: Encode::decode(from)?,
            windows: Encode::decode(from)?,
        })
    }
}

impl Encode for Held {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.port, self.step).encode(out);
        self.expired.encode(out);
        self.keep.encode(out);
        self.leaving.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let (port, step) = Encode::decode(from)?;
        Ok(Held {
            port,
            step,
            expired: Encode::decode(from)?,
            keep: Encode::decode(from)?,
            leaving: Encode::decode(from)?,
        })
    }
}
