//! A plan whose state has reached its budget: senders are told, sources wait, nothing is lost, and
//! it goes on when it has less.

use std::fs::OpenOptions;
use std::io::Write as _;

use serde_json::Value;
use serde_json::json;

use crate::node::Node;
use crate::node::SOON;
use crate::node::client::Answer;

const PLAN: &str = "
@source(type='file', file.uri='in.csv', idle.flush='20 ms', file.polling.interval='5 ms',
    @map(type='csv'))
define stream Line (id long, pad string);
define stream In (id long, pad string);
@primaryKey('id') define table Kept (id long, pad string);
from Line insert into Kept;
from In insert into Kept;
";

pub const SETTINGS: &str = "[plans]\nstate_bytes_max = '1MiB'\n";

/// Events of a request.
pub const EVENTS: u64 = 10;
/// More requests than could ever be taken: some ten are the budget.
pub const MANY: u64 = 100;

/// Ten events, from a number on.
pub fn events(first: u64) -> Value {
    let pad = "x".repeat(10_000);
    (first..first + EVENTS).map(|id| json!({ "id": id, "pad": pad })).collect()
}

fn send(node: &Node, first: u64) -> Answer {
    node.post("/api/v1/plans/kept/streams/In", events(first).to_string())
}

/// Sends until the plan takes nothing more; gives how many events were taken.
fn fill(node: &Node) -> u64 {
    let taken = (0..MANY).take_while(|part| send(node, part * EVENTS).status == 200).count();
    assert!((10..MANY).contains(&(taken as u64)), "{taken}");
    taken as u64 * EVENTS
}

fn append(node: &Node, text: &str) {
    let path = node.folder().join("in.csv");
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("a file");
    file.write_all(text.as_bytes()).expect("room");
}

fn ids(node: &Node) -> Vec<u64> {
    let answer = node.query("kept", "from Kept select id order by id");
    let rows = answer["rows"].as_array().into_iter().flatten();
    rows.filter_map(|row| row[0].as_u64()).collect()
}

fn figure(node: &Node, name: &str) -> u64 {
    let text = node.get("/metrics").text();
    let name = format!("{name}{{plan=\"kept\"}}");
    let found = text.lines().find_map(|line| line.strip_prefix(&name)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("{name} is not in\n{text}"))
}

#[test]
fn a_plan_at_its_budget_takes_nothing_and_loses_nothing_until_it_has_less() {
    let mut node = Node::start(&[("kept.siddhi", PLAN)], SETTINGS);
    node.wait_for_plan("kept");
    append(&node, "9000,from the file\n");
    node.wait(SOON, "the first line came", || (ids(&node) == [9000]).then_some(()));
    let taken = fill(&node);

    let refused = send(&node, taken);
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("overloaded")));
    assert!(refused.text().contains("`plans.state_bytes_max`"), "{}", refused.text());
    assert!(refused.header("Retry-After").is_some());
    let expected: Vec<u64> = (0..taken).chain([9000]).collect();
    assert_eq!(ids(&node), expected, "what was answered is there, and nothing else");
    let plan = node.get("/api/v1/plans/kept").json();
    let bytes = plan["state_bytes"].as_u64().expect("a count");
    assert!(bytes > 1 << 20 && plan["state_bytes_max"] == 1 << 20, "{plan}");
    assert_eq!(figure(&node, "twinflow_state_bytes"), bytes);
    assert_eq!(figure(&node, "twinflow_state_bytes_max"), 1 << 20);
    assert!(node.log().contains("takes no more events"), "{}", node.log());

    // A restart finds the same, and a line waits in its file.
    append(&node, "9001,waits\n");
    node.kill_and_start();
    node.wait(SOON, "the log was applied again, and counted the same", || {
        (node.get("/api/v1/plans/kept").json()["state_bytes"] == bytes).then_some(())
    });
    assert_eq!(send(&node, taken).status, 503);
    let query = json!({ "query": "select 7L as id, 'x' as pad insert into Kept" }).to_string();
    let insert = node.post("/api/v1/plans/kept/query", query);
    assert_eq!(insert.json()["code"], "overloaded", "{}", insert.text());
    assert_eq!(ids(&node), expected);

    // Less is made by a query, and all goes on.
    node.query("kept", "delete Kept on Kept.id < 9000L");
    node.wait(SOON, "the line came", || (ids(&node) == [9000, 9001]).then_some(()));
    assert_eq!(send(&node, 0).status, 200);
    assert_eq!(ids(&node).len() as u64, EVENTS + 2);
    assert!(node.log().contains("takes events again"), "{}", node.log());
}
