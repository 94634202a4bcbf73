//! Results that wait go from node to node with the snapshots; what has left is known at both.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::node::SOON;
use crate::node::client;
use crate::pair::accounts::check;
use crate::pair::load::Rate;
use crate::pair::nodes::Pair;
use crate::pair::nodes::Plot;
use crate::pair::say;

/// How long a load goes on before and after something happens to the pair.
const WHILE: Duration = Duration::from_millis(400);

fn snapshot(pair: &Pair, node: usize) {
    let answer = pair.nodes[node].post("/api/v1/plans/count/snapshots", "");
    assert_eq!(answer.status, 201, "{}; {}", answer.text(), pair.tell());
}

#[test]
fn results_that_wait_behind_a_snapshot_of_the_passive_survive_kills() {
    let mut pair = Pair::start(Plot::default());
    let load = pair.load(Rate::default());
    std::thread::sleep(WHILE);
    pair.receiver.close(true);
    let taken = pair.receiver.book().results.len();
    std::thread::sleep(WHILE);
    let active = pair.wait_in_sync();
    snapshot(&pair, 1 - active);
    std::thread::sleep(WHILE);
    snapshot(&pair, 1 - active);
    std::thread::sleep(WHILE);
    pair.kill(active);
    std::thread::sleep(WHILE);
    assert_eq!(pair.active(), 1 - active);
    // The one that took over begins anew from its snapshot, and so does the other.
    pair.kill(1 - active);
    for node in [1 - active, active] {
        pair.start_again(node);
    }
    pair.wait_in_sync();
    std::thread::sleep(WHILE);
    let waited = pair.receiver.book().results.len();
    assert!(waited <= taken + 1, "the receiver was away: {taken} results, then {waited}");
    pair.receiver.close(false);
    let report = load.stop();
    let found = check(&pair, &report);
    say(&format!(
        "{} requests, the receiver away while both nodes were killed: {found:?}",
        report.requests(),
    ));
}

fn send(pair: &Pair, node: usize, seq: usize) {
    let body = json!({ "k": 1, "seq": seq, "first": false }).to_string();
    let path = "/api/v1/plans/count/streams/In";
    let answer = client::ask(pair.nodes[node].address(), "POST", path, &[], Some(body.as_bytes()));
    assert_eq!(answer.status, 200, "{}; {}", answer.text(), pair.tell());
}

/// The numbers of the events of which the receiver without ids has the results.
fn wait_for_plain(pair: &Pair, events: usize) -> Vec<u64> {
    let seen = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        line["event"]["seq"].as_u64().or_else(|| line["seq"].as_u64())
    };
    pair.wait(SOON, &format!("the results of {events} events"), || {
        let seen: Vec<u64> = pair.plain().lines().filter_map(seen).collect();
        (seen.last() == Some(&(events as u64))).then_some(seen)
    })
}

/// A blank standby is told at once what has left, before it knows of any plan. Nothing leaves from
/// then on by which it could be told again.
#[test]
fn what_left_before_a_blank_standby_came_does_not_leave_again() {
    const EVENTS: usize = 20;
    let mut pair = Pair::start(Plot::default());
    let active = pair.active();
    let other = 1 - active;
    for seq in 1..=EVENTS {
        send(&pair, active, seq);
    }
    wait_for_plain(&pair, EVENTS);
    pair.kill(other);
    fs::remove_dir_all(pair.nodes[other].folder().join("data")).expect("its data");
    pair.start_again(other);
    pair.wait_in_sync();
    pair.kill(active);
    pair.wait(SOON, "the other node acts", || pair.acts(other).then_some(()));
    send(&pair, other, EVENTS + 1);
    let expected: Vec<u64> = (1..=EVENTS as u64 + 1).collect();
    assert_eq!(wait_for_plain(&pair, EVENTS + 1), expected, "each once");
}

/// Its receiver is never there: nobody listens at the port of "discard".
const STUCK: &str = "
define stream In (text string);
@sink(type='http', publisher.url='http://127.0.0.1:9/', on.error='WAIT', @map(type='json'))
define stream Out (text string);
from In select text insert into Out;
";

/// What waits for one plan at the active is not to fill the link, which is every plan's.
#[test]
fn a_plan_that_waits_for_its_receiver_keeps_no_other_from_being_forwarded() {
    let plans = &[("stuck.siddhi", STUCK)];
    let settings = "[queues]\npublisher_bytes = '1MiB'";
    let pair = Pair::start(Plot { plans, settings, ..Plot::default() });
    let other = 1 - pair.active();
    let body = json!({ "text": "t".repeat(100_000) }).to_string();
    for _ in 0..300 {
        let address = pair.nodes[other].address();
        client::send_and_leave(address, "/api/v1/plans/stuck/streams/In", body.as_bytes());
    }
    // Time enough for what was not answered to be sent again.
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(pair.view(1 - other)["may_act"], true);
    send(&pair, other, 1);
    wait_for_plain(&pair, 1);
}
