//! Dead letters of a real node: kept through a kill, taken up once, mended, bounded, and the same
//! by command.

use std::fs;
use std::process::Command;
use std::process::Output;

use serde_json::Value;
use serde_json::json;

use crate::node::Node;
use crate::node::SOON;
use crate::node::client;
use crate::node::client::Answer;

const PLAN: &str = "
@source(type='file', file.uri='in.csv', idle.flush='50 ms', file.polling.interval='5 ms',
    @map(type='csv', header='true'))
define stream In (name string, n int);
@sink(type='file', file.uri='out/all.jsonl', on.error='STORE', @map(type='json'))
define stream Out (name string, n int);
from In select name, n insert into Out;
";

const PATH: &str = "/api/v1/plans/orders/dead-letters";

fn letters(node: &Node, query: &str) -> Value {
    node.get(&format!("{PATH}{query}")).json()["dead_letters"].clone()
}

fn ids(node: &Node, query: &str) -> Vec<u64> {
    let letters = letters(node, query);
    let ids = letters.as_array().into_iter().flatten().map(|letter| letter["id"].as_u64());
    ids.flatten().collect()
}

fn wait_for(node: &Node, expected: &[u64]) {
    node.wait(SOON, &format!("the letters are {expected:?}"), || {
        (ids(node, "") == *expected).then_some(())
    });
}

fn delete(node: &Node, path: &str) -> Answer {
    client::ask(node.address(), "DELETE", path, &[], None)
}

fn code(answer: &Answer) -> (u16, Value) {
    (answer.status, answer.json()["code"].clone())
}

fn out(node: &Node) -> String {
    fs::read_to_string(node.folder().join("out/all.jsonl")).unwrap_or_default()
}

fn figure(node: &Node, name: &str) -> u64 {
    let text = node.get("/metrics").text();
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("{name} is not in\n{text}"))
}

fn command(node: &Node, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_twinflow"))
        .arg("dead-letters")
        .args(arguments)
        .env("TWINFLOW_NODE", format!("http://{}", node.address()))
        .current_dir(node.folder())
        .output()
        .expect("the program was built with the tests")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// A node whose publisher cannot make its folder.
fn blocked(settings: &str) -> Node {
    let node = Node::start(&[], settings);
    fs::write(node.folder().join("out"), "in the way").expect("a file");
    node.put("orders.siddhi", PLAN);
    node.wait_for_plan("orders");
    node
}

#[test]
fn letters_outlive_a_kill_and_are_taken_up_once() {
    let mut node = blocked("");
    fs::write(node.folder().join("in.csv"), "name,n\na,1\nb,x\nc,3\n").unwrap();
    wait_for(&node, &[2, 1]);
    let before = letters(&node, "");
    assert_eq!(before[1]["place"], "receiver:In:1");
    assert_eq!(before[1]["reason"], "unreadable");
    assert!(before[1]["message"].as_str().unwrap().contains("expected int, found `x`"));
    assert_eq!((&before[0]["place"], &before[0]["events"]), (&json!("publisher:Out:1"), &json!(2)));
    node.kill_and_start();
    wait_for(&node, &[2, 1]);
    assert_eq!(letters(&node, ""), before, "the same, and none of them twice");

    // The head of the file comes along, so that the line can be read alone.
    let one = node.get(&format!("{PATH}/1")).json();
    assert_eq!(one["input"], "name,n\nb,x");
    let answer = node.post(&format!("{PATH}/1/replay"), "");
    assert_eq!(code(&answer), (422, json!("wrong-type")));
    let answer = node.post(&format!("{PATH}/1/replay"), "name,n\nb,2\nbb,22\n");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = node.post(&format!("{PATH}/1/replay"), "name,n\nb,2\n");
    assert_eq!(code(&answer), (404, json!("unknown-dead-letter")));
    node.wait(SOON, "the mended events came through", || {
        (node.events_in("orders") >= 2).then_some(())
    });
    wait_for(&node, &[3, 2]);

    // The rows of a publisher cannot be mended; now they can leave.
    let answer = node.post(&format!("{PATH}/2/replay"), "{}");
    assert_eq!(code(&answer), (409, json!("not-replayed")));
    fs::remove_file(node.folder().join("out")).unwrap();
    let rows = node.get(&format!("{PATH}/2")).json()["rows"].clone();
    assert_eq!((&rows[1]["number"], &rows[1]["event"]), (&json!(2), &json!({"name": "c", "n": 3})));
    let answer = node.post(&format!("{PATH}/replay?kind=publisher"), "").json();
    assert_eq!(answer, json!({ "plan": "orders", "closed": 2, "refused": [] }));
    let line = |name: &str, n: i32| format!("{{\"event\":{{\"name\":\"{name}\",\"n\":{n}}}}}\n");
    let expected = [line("a", 1), line("c", 3), line("b", 2), line("bb", 22)].concat();
    node.wait(SOON, "all have left", || (out(&node) == expected).then_some(()));
    node.kill_and_start();
    node.wait_for_plan("orders");
    wait_for(&node, &[]);
    assert_eq!(out(&node), expected, "a restart repeats none");
    let closed = "twinflow_dead_letters_closed_total{plan=\"orders\",how=\"replayed\"}";
    node.wait(SOON, "the figures are back", || (figure(&node, closed) == 5).then_some(()));
    assert_eq!(figure(&node, "twinflow_dead_letters_kept{plan=\"orders\"}"), 0);
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn a_flood_is_bounded_and_every_event_is_accounted_for() {
    let settings = "[dead_letters]\nletters = 50\n[queues]\npublisher_events = 1024\n";
    let node = blocked(settings);
    let lines = 4000;
    let line = |n: u32| if n.is_multiple_of(2) { format!("a,{n}\n") } else { format!("b,x{n}\n") };
    let text: String = (0..lines).map(line).collect();
    fs::write(node.folder().join("in.csv"), format!("name,n\n{text}")).unwrap();
    let (dead, half) =
        ("twinflow_dead_letters_total{plan=\"orders\",reason=", u64::from(lines / 2));
    node.wait(SOON, "all have come to their end", || {
        let counted = |reason: &str| figure(&node, &format!("{dead}\"{reason}\"}}"));
        let kept = figure(&node, "twinflow_dead_letters_kept{plan=\"orders\"}");
        let expired = "twinflow_dead_letters_closed_total{plan=\"orders\",how=\"expired\"}";
        let all = counted("unreadable") == half && counted("publisher") == half;
        (all && kept + figure(&node, expired) == 2 * half).then_some(())
    });
    assert_eq!(ids(&node, "?limit=1000").len(), 50);
    let document = node.get(PATH).json();
    assert_eq!(document["kept"], 50);
    assert!(document["kept_bytes"].as_u64().unwrap() > 50);
    // Reading on by number.
    let all = ids(&node, "?limit=1000");
    assert_eq!(ids(&node, &format!("?limit=3&before={}", all[9])), all[10..13]);
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn what_is_asked_for_wrongly_is_told() {
    let node = blocked("");
    for (path, expected) in [
        ("?kind=reciever", (400, "bad-parameter")),
        ("?limit=x", (400, "bad-parameter")),
        ("/7", (404, "unknown-dead-letter")),
        ("/seven", (404, "unknown-dead-letter")),
    ] {
        let (status, code_of) = code(&node.get(&format!("{PATH}{path}")));
        assert_eq!((status, code_of.as_str().unwrap()), expected, "{path}");
    }
    assert_eq!(code(&delete(&node, PATH)), (400, json!("bad-parameter")), "which are meant?");
    assert_eq!(code(&delete(&node, &format!("{PATH}/7"))), (404, json!("unknown-dead-letter")));
    assert_eq!(code(&node.post(&format!("{PATH}/replay"), "")), (400, json!("bad-parameter")));
    let other = "/api/v1/plans/other/dead-letters";
    assert_eq!(code(&node.get(other)), (404, json!("unknown-plan")));
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn the_command_lists_shows_mends_and_discards() {
    let node = blocked("");
    fs::write(node.folder().join("in.csv"), "name,n\na,y\nb,x\nc,z\n").unwrap();
    wait_for(&node, &[3, 2, 1]);
    let listed = said(&command(&node, &["list", "orders", "--limit", "2"]));
    assert!(listed.starts_with("3  receiver:In:1  unreadable  1 events  "), "{listed}");
    assert!(listed.ends_with("2 of 3 dead letters kept\n"), "{listed}");
    let none = said(&command(&node, &["list", "orders", "--kind", "publisher"]));
    assert_eq!(none, "0 of 3 dead letters kept\n");
    let input = command(&node, &["show", "orders", "2", "--input"]);
    assert_eq!(said(&input), "name,n\nb,x");
    fs::write(node.folder().join("mended"), "name,n\nb,2").unwrap();
    let replayed = command(&node, &["replay", "orders", "2", "--input", "mended"]);
    assert!(replayed.status.success(), "{}", said(&replayed));
    assert!(said(&replayed).starts_with("2  replayed at entry "), "{}", said(&replayed));
    node.wait(SOON, "it came through", || (node.events_in("orders") == 1).then_some(()));
    let again = command(&node, &["replay", "orders", "2", "3"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("2  stays: the plan keeps no dead letter 2"), "{}", said(&again));
    assert!(said(&again).contains("3  stays: "), "{}", said(&again));
    let discarded = command(&node, &["discard", "orders", "--place", "receiver:In:1"]);
    assert_eq!(said(&discarded), "discarded 2\n");
    assert_eq!(command(&node, &["discard", "orders"]).status.code(), Some(1));
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn what_a_query_cannot_compute_is_kept_and_enters_again_under_a_new_version() {
    let plan = |read: &str| {
        format!(
            "@OnError(action='STORE') define stream In (name string, n int);
             @primaryKey('n') define table Seen (n int, size int);
             from In select n, {read} as size insert into Seen;"
        )
    };
    let first = plan("str:length(name)");
    let mut node =
        Node::start(&[("orders.siddhi", first.as_str())], "[dead_letters]\nletters = 2\n");
    node.wait_for_plan("orders");
    let seen = |node: &Node| {
        let rows = node.query("orders", "from Seen select n, size order by n");
        rows["rows"].clone()
    };
    node.send("orders", "In", &json!([{"name": null, "n": 1}, {"name": "ab", "n": 2}]));
    node.send("orders", "In", &json!([{"name": null, "n": 3}, {"name": null, "n": 4}]));
    // The settings say how many are kept.
    wait_for(&node, &[3, 2]);
    let before = letters(&node, "");
    let words = ["kind", "place", "stream", "reason"].map(|word| before[0][word].clone());
    assert_eq!(words, ["plan", "In", "In", "fault"].map(|word| json!(word)));
    assert!(before[0]["message"].as_str().unwrap().contains("length"), "{before}");
    assert_eq!(seen(&node), json!([[2, 2]]));
    node.kill_and_start();
    wait_for(&node, &[3, 2]);
    assert_eq!(letters(&node, ""), before, "the same, and none of them twice");
    assert_eq!(delete(&node, &format!("{PATH}/2")).status, 200);
    node.put("orders.siddhi", plan("ifThenElse(name is null, 0, str:length(name))"));
    // Under the version before it fails again, which leaves another letter.
    node.wait(SOON, "the row came through", || {
        node.post(&format!("{PATH}/replay?all=true"), "");
        (seen(&node) == json!([[2, 2], [4, 0]])).then_some(())
    });
    wait_for(&node, &[]);
    assert_eq!(node.stop(), Some(0));
}
