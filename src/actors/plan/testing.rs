//! A plan for tests of the actors: a machine that can be told to panic, and what is around it.

use std::sync::Arc;

use crate::actors::plan::*;
use crate::actors::tree::Inbox;
use crate::actors::tree::Limits;
use crate::engine::core::Carried;
use crate::engine::library::Library;
use crate::engine::state::Frozen;
use crate::engine::state::SavedState;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Millis;
use crate::event::Value;
use crate::plan::logical::OnDemand;
use crate::plan::logical::Plan;
use crate::plan::logical::StreamId;
use crate::publishers::Parcel;
use crate::replica::Builder;
use crate::replica::Machine;
use crate::replica::Results;
use crate::telemetry::metrics::Metrics;

pub(crate) const POISON: i64 = 13;

/// Puts the sum so far into `Out` for every row of `In`; falls over the unlucky number.
pub(crate) struct Adder {
    plan: Arc<Plan>,
    sum: i64,
    timers: Vec<Millis>,
}

pub(crate) struct AdderBuilder(Arc<Plan>);

impl Builder for AdderBuilder {
    fn start(&self, _: Millis) -> Result<Box<dyn Machine>, String> {
        Ok(Box::new(Adder { plan: Arc::clone(&self.0), sum: 0, timers: Vec::new() }))
    }

    fn load(&self, mut state: SavedState<'_>) -> Result<Box<dyn Machine>, String> {
        let mut sum = 0;
        let read = |state: &mut StateReader<'_>| state.get().map(|found: i64| sum = found);
        state.load("sum", 1, read).unwrap();
        Ok(Box::new(Adder { plan: Arc::clone(&self.0), sum, timers: Vec::new() }))
    }

    fn carry(&self, _: &SavedState<'_>, at: Millis) -> Result<(Box<dyn Machine>, Carried), String> {
        Ok((self.start(at)?, Carried::default()))
    }
}

impl Adder {
    fn put_out(&mut self, at: Millis, results: &mut Results) {
        let out = self.plan.stream("Out").unwrap();
        let mut batch = Batch::new(&[DataType::Long]);
        batch.push_row(at, &[Value::Long(self.sum)]);
        results.take(&self.plan, out, &batch);
    }
}

impl Machine for Adder {
    fn apply(&mut self, at: Millis, rows: Option<(StreamId, &Batch)>, results: &mut Results) {
        let due = self.timers.iter().filter(|timer| **timer <= at).count();
        for _ in 0..due {
            self.put_out(at, results);
        }
        self.timers.retain(|timer| *timer > at);
        for row in rows.iter().flat_map(|(_, batch)| (0..batch.len()).map(|row| batch.row(row))) {
            let number = row[0].as_long().unwrap();
            assert_ne!(number, POISON, "an unlucky number");
            self.sum += number;
            if number == 0 {
                self.timers.push(at + 1);
            }
            self.put_out(at, results);
        }
    }

    fn ask(&mut self, _: &OnDemand) -> Result<Vec<Vec<Value>>, String> {
        Err("an adder answers no questions".to_owned())
    }

    fn next_due(&self) -> Option<Millis> {
        self.timers.iter().min().copied()
    }

    fn freeze(&self) -> Frozen {
        let mut state = StateWriter::default();
        state.section("sum", 1);
        state.put(&self.sum);
        state.freeze()
    }

    fn held(&self) -> usize {
        0
    }

    fn bytes(&self) -> u64 {
        self.freeze().measure().bytes
    }
}

pub(crate) const TEXT: &str = "define stream In (n long);\n\
    @sink(type='log') define stream Out (n long);\nfrom In select n insert into Out;";

pub(crate) fn plan(text: &str) -> Arc<Plan> {
    let parsed = crate::language::parse(text);
    let checked = crate::plan::check(&parsed.tree, text, &Library::standard());
    Arc::new(checked.plan.unwrap_or_else(|| panic!("{:?}", checked.diagnostics)))
}

pub(crate) struct Scene {
    pub(crate) metrics: Metrics,
    pub(crate) tails: Tails,
    pub(crate) out: Inbox<Parcel>,
    pub(crate) end: Option<Arc<PublisherEnd>>,
    pub(crate) versions: u64,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let out = Inbox::new(Limits { events: 1 << 20, bytes: 1 << 30 });
        Self { metrics: Metrics::new("test"), tails: Tails::default(), out, end: None, versions: 0 }
    }

    /// A version whose `Out` goes to the scene's publisher.
    pub(crate) fn version(
        &mut self,
        text: &str,
        builder: impl Fn(Arc<Plan>) -> Arc<dyn Builder>,
    ) -> Version {
        let plan = plan(text);
        self.versions += 1;
        let unpublished = self.metrics.dead_letters("adder", "publisher");
        let name = "publisher:Out:1".to_owned();
        let end = || {
            let confirmed = Confirmed::in_memory();
            Arc::new(PublisherEnd::new(name, self.out.clone(), unpublished, confirmed))
        };
        let end = self.end.get_or_insert_with(end);
        let streams = plan.streams.iter().map(|stream| {
            let name: Arc<str> = stream.name.as_str().into();
            let ends = if &*name == "Out" { vec![Arc::clone(end)] } else { Vec::new() };
            let tail = self.tails.of(&name, TailLimits { events: 100, bytes: 1 << 20 });
            StreamFront::new("adder", name, &stream.schema, tail, ends, &self.metrics)
        });
        Version {
            number: self.versions,
            name: "adder".into(),
            text: text.into(),
            kept_text: text.into(),
            warnings: Vec::new(),
            deployed_ms: 0,
            streams: streams.collect(),
            secret: 7,
            builder: builder(Arc::clone(&plan)),
            plan,
        }
    }

    pub(crate) fn adder(&mut self) -> Arc<Station> {
        let version = self.version(TEXT, |plan| Arc::new(AdderBuilder(plan)));
        let limits = Limits { events: 1000, bytes: 1 << 20 };
        self.station(version, limits)
    }

    /// A plan of which nothing is kept.
    pub(crate) fn station(&self, version: Version, limits: Limits) -> Arc<Station> {
        let (version, inbox) = (Arc::new(version), Inbox::new(limits));
        Arc::new(Station::new(version, inbox, Kept::nothing(), &self.metrics).unwrap())
    }

    /// Everything that was handed to the publisher so far, checked to be numbered without a gap.
    pub(crate) fn published(&self) -> Vec<i64> {
        let mut all = Vec::new();
        while let Some(taken) = self.out.take() {
            let parcel = taken.message;
            all.extend((0..parcel.batch.len()).map(|row| {
                let value = parcel.batch.row(row)[0].as_long().unwrap();
                (parcel.number + row as u64, value)
            }));
        }
        for pair in all.windows(2) {
            assert_eq!(pair[0].0 + 1, pair[1].0, "numbers of parcels have no gap");
        }
        all.into_iter().map(|(_, value)| value).collect()
    }
}

pub(crate) fn rows(values: &[i64]) -> Batch {
    let mut batch = Batch::new(&[DataType::Long]);
    values.iter().for_each(|n| batch.push_row(0, &[Value::Long(*n)]));
    batch
}

pub(crate) async fn send(station: &Station, values: &[i64]) -> Result<Applied, Misfit> {
    let version = station.version();
    let (stream, _) = version.stream("In").unwrap();
    station.put_and_ask(&version, stream, rows(values)).await.unwrap().await.unwrap()
}
