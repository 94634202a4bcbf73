//! What a node says that cannot do yet what it is asked for: that it is so, and not that there is
//! nothing, or nothing at all; and while one plan waits, all else is there.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::node::Node;
use crate::node::SOON;
use crate::node::client;

/// A plan that waits for a database which is not there, beside one that waits for nothing.
const WAITS: &str = "@app:name('waits') define stream In (k int);
    @source(type='http', path='/waits') define stream Web (k int);
    @store(type='rdbms', datasource='gone', table.name='kept')
    @primaryKey('k') define table Kept (k int);
    from In select k update or insert into Kept on Kept.k == k;";
const RUNS: &str = "@app:name('runs') define stream In (k int);
    from In select k insert into Out;";
const GONE: &str = "[stores.gone]\nurl = 'mysql://127.0.0.1:9/db'\n";
const IN: &str = "/api/v1/plans/waits/streams/In";

/// A node with a plan that waits.
fn waiting_node(http: &str) -> Node {
    let settings = format!("[http]\n{http}\n{GONE}");
    let node = Node::start(&[("waits.siddhi", WAITS), ("runs.siddhi", RUNS)], &settings);
    node.wait_for_plan("runs");
    node.wait(SOON, "the plan says what it waits for", || {
        let plan = node.get("/api/v1/plans/waits").json();
        plan["held_up"].as_str()?.contains("waits for table Kept").then_some(())
    });
    node
}

/// One node of a pair, alone, with this arbiter.
fn half_of_a_pair(arbiter: &str) -> (Node, TempDir) {
    let secret = TempDir::new().expect("a folder");
    std::fs::write(secret.path().join("secret"), "the secret of this test").expect("a file");
    let settings = format!(
        "[ha]\nenabled = true\nnode = 'a'\nlisten = '127.0.0.1:0'\npeer = '127.0.0.1:9'\n\
         secret_file = '{}'\narbiter = '{arbiter}'\n",
        secret.path().join("secret").display(),
    );
    (Node::start(&[("runs.siddhi", RUNS)], &settings), secret)
}

#[test]
fn what_a_node_of_a_pair_waits_for_is_said_until_that_is_over() {
    let alarm = |node: &Node| node.get("/api/v1/ha").json()["alarm"].clone();
    let says = |node: &Node, what: &str| {
        node.wait(SOON, &format!("it says: {what}"), || {
            alarm(node).as_str()?.contains(what).then_some(())
        });
    };
    let (node, _secret) = half_of_a_pair("witness:127.0.0.1:9");
    says(&node, "the arbiter does not answer");
    let (node, _secret) = half_of_a_pair("none");
    says(&node, "there is no arbiter; say `twinflow ha promote`");
    let promoted = node.post("/api/v1/ha/promote?force=true", "");
    assert_eq!(promoted.status, 200, "{}", promoted.text());
    assert_eq!(alarm(&node), json!(null));
    node.wait_for_plan("runs");
}

#[test]
fn a_node_that_has_not_read_its_plans_does_not_say_that_there_are_none() {
    // Without an arbiter no plan is known until somebody says which node is to act.
    let (node, _secret) = half_of_a_pair("none");
    let asked = [
        ("POST", "/api/v1/plans/runs/streams/In"),
        ("POST", "/api/v1/plans/runs/query"),
        ("GET", "/api/v1/plans/runs"),
        ("GET", "/api/v1/plans/runs/snapshots"),
        ("POST", "/api/v1/receivers/in"),
    ];
    for (method, path) in asked {
        let body = (method == "POST").then_some(&b"{\"k\": 1}"[..]);
        let answer = client::ask(node.address(), method, path, &[], body);
        let found = (answer.status, answer.json()["code"].clone(), answer.header("retry-after"));
        assert_eq!(found, (503, json!("not-ready"), Some("1")), "{path}: {}", answer.text());
    }
}

#[test]
fn who_sends_to_a_plan_that_waits_is_told_so_in_time() {
    let node = waiting_node("answer_time_max = '1s'");
    let answer = node.post(&format!("{IN}?ack=applied"), "{\"k\": 1}");
    let found = (answer.status, answer.json()["code"].clone(), answer.header("retry-after"));
    assert_eq!(found, (503, json!("not-in-time"), Some("1")), "{}", answer.text());
    let source = node.post("/api/v1/receivers/waits", "{\"k\": 1}");
    assert_eq!((source.status, &source.json()["code"]), (503, &json!("not-in-time")));
    let query = node.post("/api/v1/plans/waits/query", "from Kept select k");
    assert_eq!((query.status, &query.json()["code"]), (503, &json!("not-in-time")));
    let headers = [("Twinflow-At-Least", "1000000")];
    let path = "/api/v1/plans/runs/streams/Out/events";
    let events = client::ask(node.address(), "GET", path, &headers, None);
    assert_eq!((events.status, &events.json()["code"]), (503, &json!("not-in-time")));
}

#[test]
fn a_plan_that_waits_is_no_plan_of_which_all_is_well() {
    let node = waiting_node("");
    let status = Command::new(env!("CARGO_BIN_EXE_twinflow"))
        .args(["status", "--node", &format!("http://{}", node.address())])
        .output()
        .expect("the program was built with the tests");
    let text = String::from_utf8_lossy(&status.stdout);
    let line = text.lines().find(|line| line.contains("waits  running"));
    assert!(line.is_some_and(|line| line.contains("waits for table Kept: ")), "{text}");
    assert_eq!(status.status.code(), Some(1), "{text}");
    let plan = node.get("/api/v1/plans/runs").json();
    assert_eq!((&plan["state"], &plan["held_up"]), (&json!("running"), &json!(null)));
}

/// Sends events to the plan that waits, and reads no answer.
fn send(node: &Node) -> TcpStream {
    let mut stream = client::connect(node.address());
    let head = format!("POST {IN} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\n");
    stream.write_all(format!("{head}{{\"k\": 1}}").as_bytes()).expect("the node reads");
    stream
}

#[test]
fn the_rest_of_the_node_is_within_reach_while_more_wait_than_may_connect() {
    let node = waiting_node("connections_max = 16");
    let mut clients: Vec<_> = (0..40).map(|_| send(&node)).collect();
    for path in ["/health/live", "/health/ready", "/metrics", "/api/v1/plans"] {
        assert_eq!(node.get(path).status, 200, "{path}");
    }
    node.send("runs", "In", &json!({"k": 1}));
    // New ones are refused at once, and nothing of them is taken.
    let full = || {
        let answer = node.post(IN, "{\"k\": 1}").json();
        (answer["code"] == "overloaded").then_some(())
    };
    node.wait(SOON, "those who come later are refused", full);
    // Whoever hangs up frees its place; a refused one has its answer already.
    clients.iter_mut().for_each(|client| {
        client.set_nonblocking(true).expect("a socket");
        let _ = client.read(&mut [0; 16]);
    });
    drop(clients);
    let short = Duration::from_secs(4);
    node.wait(SOON, "their places are free", || {
        let headers = [("Content-Type", "application/json")];
        let sent = client::ask_within(node.address(), short, "POST", IN, &headers, Some(b"{}"));
        // What is judged before anything waits is told: it was not refused for lack of room.
        (sent.ok()?.json()["code"] == "missing-attribute").then_some(())
    });
}
