//! Desk, actor and cut, on a machine that can be told to panic.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use crate::actors::clock;
use crate::actors::plan::*;
use crate::actors::tree::ChildSpec;
use crate::actors::tree::Control;
use crate::actors::tree::Inbox;
use crate::actors::tree::Limits;
use crate::actors::tree::Policy;
use crate::actors::tree::Registry;
use crate::actors::tree::StopAll;
use crate::actors::tree::Supervisor;
use crate::actors::tree::Surroundings;
use crate::actors::tree::WhenGivenUp;
use crate::engine::library::Library;
use crate::engine::state::Frozen;
use crate::engine::state::SavedState;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Millis;
use crate::event::Value;
use crate::plan::logical::Plan;
use crate::plan::logical::StreamId;
use crate::publishers::Parcel;
use crate::telemetry::metrics::Direction;
use crate::telemetry::metrics::Metrics;

const POISON: i64 = 13;

/// Puts the sum so far into `Out` for every row of `In`; falls over the unlucky number.
struct Adder {
    plan: Arc<Plan>,
    sum: i64,
    timers: Vec<Millis>,
}

struct AdderBuilder(Arc<Plan>);

impl Builder for AdderBuilder {
    fn start(&self, _: Millis) -> Result<Box<dyn Machine>, String> {
        Ok(Box::new(Adder { plan: Arc::clone(&self.0), sum: 0, timers: Vec::new() }))
    }

    fn load(&self, state: &Frozen) -> Result<Box<dyn Machine>, String> {
        let bytes = state.to_bytes();
        let saved = SavedState::parse(&bytes).unwrap();
        let sum = saved.section("sum", 1).unwrap().get::<i64>().unwrap();
        Ok(Box::new(Adder { plan: Arc::clone(&self.0), sum, timers: Vec::new() }))
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
}

const TEXT: &str = "define stream In (n long);\nfrom In select n insert into Out;";

fn plan(text: &str) -> Arc<Plan> {
    let parsed = crate::language::parse(text);
    let checked = crate::plan::check(&parsed.tree, text, &Library::standard());
    Arc::new(checked.plan.unwrap_or_else(|| panic!("{:?}", checked.diagnostics)))
}

struct Scene {
    metrics: Metrics,
    tails: Tails,
    out: Inbox<Parcel>,
    end: Option<Arc<PublisherEnd>>,
    versions: u64,
}

impl Scene {
    fn new() -> Self {
        let out = Inbox::new(Limits { events: 1 << 20, bytes: 1 << 30 });
        Self { metrics: Metrics::new("test"), tails: Tails::default(), out, end: None, versions: 0 }
    }

    /// A version whose `Out` goes to the scene's publisher.
    fn version(&mut self, text: &str, builder: impl Fn(Arc<Plan>) -> Arc<dyn Builder>) -> Version {
        let plan = plan(text);
        self.versions += 1;
        let unpublished = self.metrics.dead_letters("adder", "publisher");
        let name = "publisher:Out:1".to_owned();
        let end = || Arc::new(PublisherEnd::new(name, self.out.clone(), unpublished));
        let end = self.end.get_or_insert_with(end);
        let streams = plan.streams.iter().map(|stream| {
            let name: Arc<str> = stream.name.as_str().into();
            let ends = if &*name == "Out" { vec![Arc::clone(end)] } else { Vec::new() };
            StreamFront {
                tail: self.tails.of(&name, TailLimits { events: 100, bytes: 1 << 20 }),
                schema: Arc::new(stream.schema.clone()),
                publishers: ends,
                taken: self.metrics.events("adder", &name, Direction::In),
                put_out: self.metrics.events("adder", &name, Direction::Out),
                latency: self.metrics.latency("adder", &name),
                name,
            }
        });
        Version {
            number: self.versions,
            name: "adder".into(),
            file: "adder.siddhi".to_owned(),
            text: text.into(),
            warnings: Vec::new(),
            deployed_ms: 0,
            streams: streams.collect(),
            builder: builder(Arc::clone(&plan)),
            plan,
        }
    }

    fn adder(&mut self) -> Arc<Station> {
        let version = self.version(TEXT, |plan| Arc::new(AdderBuilder(plan)));
        let limits = Limits { events: 1000, bytes: 1 << 20 };
        Arc::new(Station::new(Arc::new(version), limits, &self.metrics).unwrap())
    }

    /// Everything that was handed to the publisher so far, checked to be numbered without a gap.
    fn published(&self) -> Vec<i64> {
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

fn rows(values: &[i64]) -> Batch {
    let mut batch = Batch::new(&[DataType::Long]);
    values.iter().for_each(|n| batch.push_row(0, &[Value::Long(*n)]));
    batch
}

async fn send(station: &Station, values: &[i64]) -> Result<Applied, Misfit> {
    let version = station.version();
    let (stream, _) = version.stream("In").unwrap();
    station.put_and_ask(&version, stream, rows(values)).await.unwrap().await.unwrap()
}

fn start(station: &Arc<Station>, metrics: &Metrics) -> (Addr<Supervisor>, Registry) {
    let around = Surroundings { registry: Registry::default(), metrics: metrics.clone() };
    let (station, metrics) = (Arc::clone(station), metrics.clone());
    let spec = ChildSpec {
        name: "core".to_owned(),
        kind: "plan",
        policy: Policy { backoff_first: Duration::from_millis(1), ..Policy::FIRM },
        when_given_up: WhenGivenUp::Leave,
        grace: Duration::from_secs(5),
        start: Box::new(move |lifeline| {
            PlanActor::new(Arc::clone(&station), lifeline, &metrics).start().recipient()
        }),
    };
    let registry = around.registry.clone();
    (Supervisor::root("", around, vec![spec]).start(), registry)
}

#[actix::test]
async fn rows_are_applied_in_order_and_answered() {
    let mut scene = Scene::new();
    let station = scene.adder();
    let (root, _) = start(&station, &scene.metrics);
    assert_eq!(send(&station, &[1, 2]).await, Ok(Applied { position: 1 }));
    assert_eq!(send(&station, &[3]).await, Ok(Applied { position: 2 }));
    assert_eq!(scene.published(), [1, 3, 6]);
    let version = station.version();
    assert_eq!(version.stream("Out").unwrap().1.tail.latest(), 3);
    let text = scene.metrics.print();
    assert!(text.contains("stream=\"In\",direction=\"in\"} 3\n"), "{text}");
    assert!(text.contains("stream=\"Out\",direction=\"out\"} 3\n"), "{text}");
    root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn rows_a_machine_falls_over_are_put_aside_and_nothing_else_is_lost() {
    let mut scene = Scene::new();
    let station = scene.adder();
    let (root, registry) = start(&station, &scene.metrics);
    send(&station, &[1]).await.unwrap();
    let misfit = send(&station, &[100, POISON]).await.unwrap_err();
    assert!(matches!(&misfit, Misfit::Poison { note } if note.contains("an unlucky number")));
    send(&station, &[2]).await.unwrap();
    assert_eq!(scene.published(), [1, 3], "as if the bad rows had never come");
    assert!(
        scene.metrics.print().contains("dead_letters_total{plan=\"adder\",reason=\"poison\"} 2")
    );
    assert_eq!(registry.one("core").unwrap().restarts, 0, "the actor never fell");
    root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn a_machine_is_rebuilt_from_its_frozen_state_too() {
    let mut scene = Scene::new();
    let station = scene.adder();
    let (root, _) = start(&station, &scene.metrics);
    for _ in 0..1500 {
        send(&station, &[1]).await.unwrap();
    }
    send(&station, &[POISON]).await.unwrap_err();
    send(&station, &[0]).await.unwrap();
    assert_eq!(scene.published().last(), Some(&1500));
    root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn timers_fire_once_also_when_the_machine_is_rebuilt() {
    let mut scene = Scene::new();
    let station = scene.adder();
    let (root, _) = start(&station, &scene.metrics);
    send(&station, &[5, 0]).await.unwrap();
    let fired = station.version();
    let (_, out) = fired.stream("Out").unwrap();
    out.tail.beyond(2).await;
    send(&station, &[POISON]).await.unwrap_err();
    send(&station, &[1]).await.unwrap();
    assert_eq!(scene.published(), [5, 5, 5, 6], "two rows, one timer, one row");
    root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn an_actor_that_falls_loses_nothing() {
    let mut scene = Scene::new();
    let station = scene.adder();
    let (root, registry) = start(&station, &scene.metrics);
    for n in 1..=4u64 {
        send(&station, &[1]).await.unwrap();
        assert!(registry.send("core", Control::Fall));
        send(&station, &[1]).await.unwrap();
        assert_eq!(registry.one("core").unwrap().restarts, n);
    }
    assert_eq!(scene.published(), [1, 2, 3, 4, 5, 6, 7, 8]);
    root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn what_was_accepted_before_the_end_is_finished() {
    let mut scene = Scene::new();
    let station = scene.adder();
    let version = station.version();
    let (stream, _) = version.stream("In").unwrap();
    for _ in 0..10 {
        station.put(&version, stream, rows(&[1])).await.unwrap();
    }
    let (root, _) = start(&station, &scene.metrics);
    station.inbox.close();
    root.send(StopAll).await.unwrap();
    assert_eq!(scene.published().len(), 10);
    assert_eq!(station.put(&version, stream, rows(&[1])).await, Err(Closed));
}

#[actix::test]
async fn a_full_publisher_makes_the_plan_wait_and_drops_nothing() {
    let mut scene = Scene::new();
    scene.out = Inbox::new(Limits { events: 2, bytes: 1 << 20 });
    let station = scene.adder();
    let (root, _) = start(&station, &scene.metrics);
    let version = station.version();
    let (stream, _) = version.stream("In").unwrap();
    for _ in 0..50 {
        station.put(&version, stream, rows(&[1])).await.unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 50 {
        scene.out.arrived().await;
        seen.extend(scene.published());
    }
    assert_eq!(seen, (1..=50).collect::<Vec<_>>());
    root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn the_cut_gives_everything_before_to_the_old_version_and_after_to_the_new() {
    let mut scene = Scene::new();
    let station = scene.adder();
    let old = station.version();
    let (stream, _) = old.stream("In").unwrap();
    // In the queue: 1, 2, the cut, and 3 made for the old version.
    station.put(&old, stream, rows(&[1])).await.unwrap();
    station.put(&old, stream, rows(&[2])).await.unwrap();
    let text = "define stream Other (a string);\ndefine stream In (n long);\n\
                from In select n * 100 as n insert into Out;";
    let engine = |plan| -> Arc<dyn Builder> { Arc::new(EngineBuilder { plan, secret: 7 }) };
    let new = Arc::new(scene.version(text, engine));
    let switching = actix::spawn({
        let (station, new) = (Arc::clone(&station), Arc::clone(&new));
        async move { station.switch(new).await }
    });
    tokio::task::yield_now().await;
    station.put(&old, stream, rows(&[3])).await.unwrap();
    let (root, _) = start(&station, &scene.metrics);
    switching.await.unwrap().unwrap();
    assert_eq!(station.version().number, 2);
    send(&station, &[4]).await.unwrap();
    assert_eq!(scene.published(), [1, 3, 300, 400]);
    // Rows for a stream that the next version does not know any more.
    let text = "define stream In (n string);\nfrom In select 1L as n insert into Out;";
    let (stream, _) = new.stream("In").unwrap();
    station.switch(Arc::new(scene.version(text, engine))).await.unwrap();
    let told = station.put_and_ask(&new, stream, rows(&[5])).await.unwrap();
    assert_eq!(told.await.unwrap(), Err(Misfit::Changed { stream: "In".to_owned() }));
    root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn latency_is_counted_from_acceptance() {
    let mut scene = Scene::new();
    let station = scene.adder();
    let (root, _) = start(&station, &scene.metrics);
    let began = clock::elapsed();
    send(&station, &[1]).await.unwrap();
    let most = (clock::elapsed() - began).as_secs_f64();
    let text = scene.metrics.print();
    let sum = "twinflow_latency_seconds_sum{plan=\"adder\",stream=\"In\"} ";
    let sum = text.lines().find_map(|line| line.strip_prefix(sum)).unwrap();
    let sum: f64 = sum.parse().unwrap();
    assert!((0.0..=most).contains(&sum), "{sum} of {most}");
    root.send(StopAll).await.unwrap();
}
