//! Results that have not left when a node is killed are kept with its snapshots, since the log
//! before them is not applied again: all of them leave, each once.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::json;

use crate::node::Node;
use crate::node::SOON;
use crate::pair::load::number;
use crate::pair::receiver::Receiver;

const PLAN: &str = "
@app:name('told')
define stream In (id long, pad string);
@sink(type='http', publisher.url='http://{receiver}/', on.error='WAIT', @map(type='json'))
define stream Out (id long, n long);
from In select id, count() as n insert into Out;
";

/// Bytes of an event: a few fill a file of the journal, which holds 64 MiB.
const PAD: usize = 7 << 20;

fn plan(receiver: SocketAddr) -> String {
    PLAN.replace("{receiver}", &receiver.to_string())
}

/// Sends events with these numbers, each in a request of its own.
fn send(node: &Node, ids: std::ops::Range<u64>, pad: &str) {
    for id in ids {
        node.send("told", "In", &json!([{ "id": id, "pad": pad }]));
    }
}

fn snapshot(node: &Node) -> u64 {
    let answer = node.post("/api/v1/plans/told/snapshots", "");
    assert_eq!(answer.status, 201, "{}", answer.text());
    number(&answer.json()["position"])
}

/// The position of the first entry that the node's journal holds.
fn first_held(node: &Node) -> u64 {
    let folder = node.folder().join("data/journal/default/told");
    let names = std::fs::read_dir(folder).expect("the journal").filter_map(|file| {
        let name = file.ok()?.file_name().into_string().ok()?;
        name.strip_suffix(".log")?.parse::<u64>().ok()
    });
    names.min().expect("a file of the journal")
}

/// Waits for the results of so many events, and looks whether each came once and in order.
fn check(node: &Node, receiver: &Receiver, events: u64) {
    node.wait(SOON, "all results came", || {
        (receiver.book().results.len() as u64 >= events).then_some(())
    });
    let book = receiver.book();
    let rows: Vec<(u64, u64)> = book
        .results
        .iter()
        .map(|result| (number(&result.event["id"]), number(&result.event["n"])))
        .collect();
    let expected: Vec<(u64, u64)> = (0..events).map(|id| (id, id + 1)).collect();
    assert_eq!(rows, expected, "each result once, in order, and none under a second id");
    assert_eq!(book.changed, Vec::<String>::new());
    let ids: BTreeSet<&str> = book.results.iter().map(|result| result.id.as_str()).collect();
    assert_eq!(ids.len() as u64, events);
}

#[test]
fn results_that_wait_behind_a_snapshot_survive_a_kill() {
    let receiver = Receiver::start();
    receiver.close(true);
    let text = plan(receiver.address);
    let mut node = Node::start(&[("told.siddhi", &text)], "");
    node.wait_for_plan("told");
    let pad = "x".repeat(PAD);
    send(&node, 0..20, "");
    send(&node, 20..32, &pad);
    let first = snapshot(&node);
    send(&node, 32..34, "");
    let second = snapshot(&node);
    assert!(first < second);
    let held = first_held(&node);
    assert!(held > 20, "the log of the first results is gone: it begins at {held}");
    send(&node, 34..40, "");
    assert_eq!(receiver.book().results.len(), 0, "nobody took anything yet");
    for _ in 0..2 {
        // Once more: what a snapshot held is held by the next one, too.
        node.kill_and_start();
        node.wait_for_plan("told");
        snapshot(&node);
    }
    receiver.close(false);
    check(&node, &receiver, 40);
    node.kill_and_start();
    node.wait_for_plan("told");
    send(&node, 40..41, "");
    check(&node, &receiver, 41);
    assert!(receiver.book().again <= 1, "what had left leaves again");
}
