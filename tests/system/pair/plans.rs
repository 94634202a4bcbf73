//! Plans that change or fall while the pair does.

use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::node::SOON;
use crate::node::client;
use crate::pair::accounts::check;
use crate::pair::load::Rate;
use crate::pair::nodes::Arbiter;
use crate::pair::nodes::Pair;
use crate::pair::nodes::Plot;
use crate::pair::say;

const WHILE: Duration = Duration::from_millis(400);

const TEXTS: &str = "
@onerror(action='stream')
define stream In (text string);
@primaryKey('text') define table Seen (text string);
@primaryKey('text') define table Bad (text string);
from In select text update or insert into Seen on Seen.text == text;
from !In select text update or insert into Bad on Bad.text == text;
";

const POISON: Plot = Plot {
    arbiter: Arbiter::File,
    shown: "true",
    settings: "[testing]\nfaults = true\n",
    ha: "",
    plans: &[("texts.siddhi", TEXTS)],
};

fn texts(pair: &Pair, node: usize, table: &str) -> Value {
    let address = pair.nodes[node].address();
    let query = json!({ "query": format!("from {table} select text order by text") }).to_string();
    let (path, time) = ("/api/v1/plans/texts/query", Duration::from_secs(2));
    let answer = client::ask_within(address, time, "POST", path, &[], Some(query.as_bytes()));
    answer.map_or(Value::Null, |answer| answer.json()["rows"].clone())
}

fn send(pair: &Pair, node: usize, text: &str) -> u16 {
    let (path, body) = ("/api/v1/plans/texts/streams/In", json!({ "text": text }).to_string());
    client::ask(pair.nodes[node].address(), "POST", path, &[], Some(body.as_bytes())).status
}

fn wait_for_texts(pair: &Pair, table: &str, expected: &Value) {
    for node in 0..2 {
        pair.wait(SOON, &format!("`{table}` at node {node} is {expected}"), || {
            (texts(pair, node, table) == *expected).then_some(())
        });
    }
}

#[test]
fn an_event_over_which_the_plan_panics_is_put_aside_at_both_nodes() {
    let pair = Pair::start(POISON);
    let active = pair.active();
    let load = pair.load(Rate::default());
    let epoch = pair.epoch(active);
    assert_eq!(send(&pair, active, "before"), 200);
    for node in [active, 1 - active] {
        let refused = send(&pair, node, "twinflow:panic");
        assert!(refused >= 400, "it was answered with {refused}");
    }
    assert_eq!(send(&pair, 1 - active, "later"), 200);
    wait_for_texts(&pair, "Seen", &json!([["before"], ["later"]]));
    wait_for_texts(&pair, "Bad", &json!([["twinflow:panic"]]));
    assert_eq!(pair.epoch(active), epoch, "no reason to take over; {}", pair.tell());
    pair.wait_in_sync();
    check(&pair, &load.stop());
}

#[test]
fn an_event_that_ends_the_process_is_put_aside_before_it_has_ended_both_for_good() {
    let mut pair = Pair::start(POISON);
    let active = pair.active();
    assert_eq!(send(&pair, active, "before"), 200);
    let body = json!({ "text": "twinflow:abort" }).to_string();
    let path = "/api/v1/plans/texts/streams/In";
    client::send_and_leave(pair.nodes[active].address(), path, body.as_bytes());
    // Each node ends over it until it has noticed; a service manager starts it again.
    for _ in 0..200 {
        for node in 0..2 {
            if pair.nodes[node].has_ended() {
                pair.nodes[node].start_again_unheard();
            }
        }
        sleep(Duration::from_millis(50));
        let both = (0..2).all(|node| texts(&pair, node, "Bad") == json!([["twinflow:abort"]]));
        if both {
            break;
        }
    }
    wait_for_texts(&pair, "Bad", &json!([["twinflow:abort"]]));
    assert_eq!(send(&pair, pair.active(), "later"), 200);
    wait_for_texts(&pair, "Seen", &json!([["before"], ["later"]]));
    pair.wait_in_sync();
    // The skip is in the log of both.
    for node in 0..2 {
        pair.kill(node);
        pair.start_again(node);
        pair.wait_in_sync();
    }
    wait_for_texts(&pair, "Seen", &json!([["before"], ["later"]]));
}

#[test]
fn a_version_deployed_while_a_node_takes_over_runs_on_both() {
    let mut pair = Pair::start(Plot::default());
    let load = pair.load(Rate::default());
    sleep(WHILE);
    let active = pair.wait_in_sync();
    let new = "define stream Extra (n int);\ndefine stream In ";
    let text = pair.plan().replace("define stream In ", new);
    for node in 0..2 {
        pair.nodes[node].put("count.siddhi", &text);
    }
    pair.kill(active);
    sleep(WHILE);
    pair.start_again(active);
    pair.wait_in_sync();
    for node in 0..2 {
        pair.wait(SOON, "the new version runs", || {
            let document = pair.try_get(node, "/api/v1/plans/count")?.json();
            let streams = document["streams"].to_string();
            (document["version"] == 2 && streams.contains("Extra")).then_some(())
        });
    }
    sleep(WHILE);
    let report = load.stop();
    say(&format!("deployed while it failed over: {:?}", check(&pair, &report)));
}
