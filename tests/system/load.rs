//! Under load a node's memory stays flat, and who sends too much is told to wait.

use std::io::Read;
use std::io::Write;
use std::time::Duration;

use serde_json::json;

use crate::node::Node;
use crate::node::client;

const FILTER: &str = "
define stream In (name string, n long);
from In[n > 50] select name, n * 2L as n insert into Out;
from In#window.length(1000) select name, sum(n) as total group by name insert into Totals;
";
const ROWS: usize = 200;

fn request(length: usize) -> Vec<u8> {
    let rows = (0..length).map(|n| json!({ "name": format!("s{}", n % 100), "n": n % 100 }));
    let body = serde_json::Value::Array(rows.collect()).to_string();
    let head = format!(
        "POST /api/v1/plans/p/streams/In?ack=accepted HTTP/1.1\r\nHost: localhost\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head, body].concat().into_bytes()
}

/// Sends requests one after the other on one connection.
fn send(node: &Node, request: &[u8], requests: usize) {
    let mut stream = client::connect(node.address());
    let mut buffer = [0; 4096];
    for _ in 0..requests {
        stream.write_all(request).expect("the node reads");
        let mut length = 0;
        while !buffer[..length].ends_with(b"}") {
            length += stream.read(&mut buffer[length..]).expect("the node answers");
        }
        assert!(buffer.starts_with(b"HTTP/1.1 202"), "{}", String::from_utf8_lossy(&buffer));
    }
}

/// After the queues, the tails and what is kept for a rebuild have filled, nothing grows: what
/// passes then would show, were as little as a fifth of it kept.
#[test]
fn memory_stays_flat_under_load() {
    let node = Node::start(&[("p.siddhi", FILTER)], "[queues]\ninbox_events = 4096\n");
    node.wait_for_plan("p");
    let request = request(ROWS);
    // Connections go to the server's threads in turn, and each has memory of its own to fill.
    (0..8).for_each(|_| send(&node, &request, 300));
    let early = node.memory_kib();
    send(&node, &request, 6000);
    let late = node.memory_kib();
    let passed = 6000 * request.len() as u64 / 1024;
    assert!(late < early + passed / 5, "{early} KiB, then {late} after {passed} KiB have passed");
    let expected = (8 * 300 + 6000) * ROWS as u64;
    node.wait(Duration::from_secs(20), "all is applied", || {
        (node.events_in("p") == expected).then_some(())
    });
}

/// A plan whose results nobody takes has no room in the end; then it says so and takes nothing.
#[test]
fn a_plan_without_room_says_so() {
    let blocked = "
        define stream In (name string, n long);
        @sink(type='http', publisher.url='http://127.0.0.1:9/', on.error='WAIT')
        define stream Out (name string, n long);
        from In select name, n insert into Out;
    ";
    let settings = "[queues]\ninbox_events = 1024\npublisher_events = 1024\n";
    let node = Node::start(&[("p.siddhi", blocked)], settings);
    node.wait_for_plan("p");
    let rows: Vec<_> = (0..ROWS).map(|n| json!({ "name": "a", "n": n })).collect();
    let body = json!(rows).to_string();
    let mut accepted = 0;
    let refused = loop {
        let answer = node.post("/api/v1/plans/p/streams/In?ack=accepted", &body);
        if answer.status != 202 {
            break answer;
        }
        accepted += ROWS as u64;
        assert!(accepted < 20_000, "it never fills");
    };
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("overloaded")));
    assert_eq!(refused.header("retry-after"), Some("1"));
    let plan = node.get("/api/v1/plans/p").json();
    let taken = plan["events_in"].as_u64().unwrap();
    assert!(taken <= accepted, "{taken} of {accepted}");
    assert_eq!(node.get("/health/live").status, 200, "the node itself is well");
}
