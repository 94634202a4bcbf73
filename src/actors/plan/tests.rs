//! Desk, actor and cut, on a machine that can be told to panic.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use crate::actors::clock;
use crate::actors::plan::testing::POISON;
use crate::actors::plan::testing::Scene;
use crate::actors::plan::testing::rows;
use crate::actors::plan::testing::send;
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
use crate::event::Value;
use crate::replica::Builder;
use crate::replica::EngineBuilder;
use crate::telemetry::metrics::Metrics;

fn start(station: &Arc<Station>, metrics: &Metrics) -> (Addr<Supervisor>, Registry) {
    let around = Surroundings::alone(metrics.clone());
    let (station, metrics) = (Arc::clone(station), metrics.clone());
    let spec = ChildSpec {
        name: "core".to_owned(),
        kind: "plan",
        rank: 0,
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
    assert_eq!(send(&station, &[1, 2]).await, Ok(Applied { position: 2, is_repeated: false }));
    assert_eq!(send(&station, &[3]).await, Ok(Applied { position: 3, is_repeated: false }));
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
                @sink(type='log') define stream Out (n long);\n\
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
    assert_eq!(told.await.unwrap(), Err(Misfit::Changed { what: "the stream `In`".to_owned() }));
    root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn tables_are_asked_and_written_in_line_with_the_events() {
    let mut scene = Scene::new();
    let text = "define stream In (n long);\n@PrimaryKey('n')\ndefine table T (n long);\n\
                from In[n > 0] select n insert into T;\nfrom In select n insert into Out;";
    let engine = |plan| -> Arc<dyn Builder> { Arc::new(EngineBuilder { plan, secret: 7 }) };
    let version = scene.version(text, engine);
    let station = scene.station(version, Limits { events: 1000, bytes: 1 << 20 });
    let (root, _) = start(&station, &scene.metrics);
    let version = station.version();
    let (stream, _) = version.stream("In").unwrap();
    station.put(&version, stream, rows(&[3, 1])).await.unwrap();
    let answer = station.ask("from T select n order by n").await.unwrap();
    assert_eq!(answer.rows, [[Value::Long(1)], [Value::Long(3)]]);
    assert_eq!(answer.schema.names().collect::<Vec<_>>(), ["n"]);
    station.put(&version, stream, rows(&[3])).await.unwrap();
    station.ask("delete T on T.n == 1").await.unwrap();
    let taken = "dropped_total{plan=\"adder\",stream=\"\",query=\"\",reason=\"key_taken\"} 1\n";
    assert!(scene.metrics.print().contains(taken), "{}", scene.metrics.print());
    assert_eq!(station.ask("from T select n").await.unwrap().rows, [[Value::Long(3)]]);
    let refused = station.ask("from T select m").await.unwrap_err();
    assert!(matches!(refused, AskError::Refused { diagnostics, .. } if !diagnostics.is_empty()));
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
