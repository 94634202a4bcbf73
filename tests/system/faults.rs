//! Actors that fall are raised again; the others go on, and nothing accepted is lost.

use serde_json::Value;
use serde_json::json;

use crate::node::Node;
use crate::node::SOON;

const FAULTS: &str = "[testing]\nfaults = true\n";

/// Two plans in a row, joined by a topic, so that an event passes every kind of actor.
const FIRST: &str = "
define stream In (n long);
@sink(type='inMemory', topic='between', on.error='WAIT', @map(type='passThrough'))
define stream Out (n long);
from In select n insert into Out;
";
const SECOND: &str = "
@source(type='inMemory', topic='between', @map(type='passThrough'))
define stream In (n long);
from In select n * 10L as n insert into Out;
";
const BYSTANDER: &str = "define stream In (n long); from In select n insert into Out;";

fn actors(node: &Node) -> Vec<Value> {
    node.get("/api/v1/status").json()["actors"].as_array().cloned().unwrap_or_default()
}

fn restarts(node: &Node, name: &str) -> Option<u64> {
    let actors = actors(node);
    let actor = actors.iter().find(|actor| actor["name"] == name)?;
    (actor["state"] == "running").then(|| actor["restarts"].as_u64()).flatten()
}

#[test]
fn nothing_accepted_is_lost_when_actors_fall() {
    let plans = [("a.siddhi", FIRST), ("b.siddhi", SECOND), ("c.siddhi", BYSTANDER)];
    let node = Node::start(&plans, FAULTS);
    plans.iter().for_each(|(file, _)| drop(node.wait_for_plan(&file[..1])));
    node.wait(SOON, "all actors are at work", || {
        actors(&node).iter().all(|actor| actor["state"] == "running").then_some(())
    });
    let victims = [
        "plans/a/core",
        "plans/a/publisher:Out:1",
        "plans/b/receiver:In:1",
        "plans/b/core",
        "deployer",
        "plans/a",
        "plans/b/core",
        "plans/a/publisher:Out:1",
    ];
    let mut sent = 0;
    let mut send = |events: i64| {
        for _ in 0..events {
            sent += 1;
            let path = "/api/v1/plans/a/streams/In?ack=accepted";
            let answer = node.post(path, json!({ "n": sent }).to_string());
            assert_eq!(answer.status, 202, "{}", answer.text());
        }
    };
    for victim in victims {
        send(5);
        let before = node.wait(SOON, &format!("{victim} is at work"), || restarts(&node, victim));
        let fall = node.post(&format!("/api/v1/faults/{victim}"), "");
        assert_eq!(fall.status, 202, "{}", fall.text());
        send(5);
        node.send("c", "In", &json!({ "n": 1 }));
        node.wait(SOON, &format!("{victim} is raised again"), || {
            restarts(&node, victim).filter(|now| *now > before)
        });
    }
    send(1);
    let expected: Vec<Value> = (1..=sent).map(|n| json!({ "n": n * 10 })).collect();
    node.wait(SOON, "all events have passed", || {
        (node.events_in("b") >= expected.len() as u64).then_some(())
    });
    // A publisher that falls may repeat the parcel at hand, but loses none and keeps the order.
    let mut results = node.events("b", "Out");
    results.dedup();
    assert_eq!(results, expected);
    assert_eq!(node.events("c", "Out").len(), victims.len());
    let metrics = node.get("/metrics").text();
    assert!(
        metrics.contains("twinflow_actor_restarts_total{actor=\"plans/a/core\"} 1"),
        "{metrics}"
    );
}

#[test]
fn the_server_itself_is_raised_again_on_the_same_address() {
    let node = Node::start(&[("c.siddhi", BYSTANDER)], FAULTS);
    node.wait_for_plan("c");
    node.send("c", "In", &json!({ "n": 1 }));
    assert_eq!(node.post("/api/v1/faults/http", "").status, 202);
    node.wait(SOON, "the server is back", || {
        let stream = std::net::TcpStream::connect(node.address());
        drop(stream.ok()?);
        std::panic::catch_unwind(|| restarts(&node, "http")).ok().flatten().filter(|now| *now > 0)
    });
    assert_eq!(node.events("c", "Out"), [json!({ "n": 1 })]);
}

#[test]
fn faults_cannot_be_injected_unless_that_is_wanted() {
    let node = Node::start(&[], "");
    assert_eq!(node.post("/api/v1/faults/deployer", "").status, 404);
    let known = Node::start(&[], FAULTS);
    let problem = known.post("/api/v1/faults/deployr", "").json();
    assert_eq!(problem["code"], "unknown-actor");
    assert!(problem["detail"].as_str().unwrap().contains("`deployer`"), "{problem}");
}
