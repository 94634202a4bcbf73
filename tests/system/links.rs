//! Links between plans of a node: however often the node is killed, each result of one plan counts
//! once in every plan that listens.

use std::thread;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::node::Node;
use crate::node::SOON;

const SAYS: &str = "
define stream In (n long);
@primaryKey('n') define table Seen (n long, times long);
@sink(type='inMemory', topic='numbers')
define stream Out (n long);
from In select n insert into Out;
from In select n, 1L as times update or insert into Seen set Seen.times = Seen.times + times
    on Seen.n == n;
";

/// A plan that counts what it hears, and says it on.
fn hears(topic: &str, mapper: &str, on: &str) -> String {
    format!(
        "@source(type='inMemory', topic='{topic}', @map(type='{mapper}'))
        define stream In (n long);
        @primaryKey('n') define table Seen (n long, times long);
        @sink(type='inMemory', topic='{on}', @map(type='json'))
        define stream Out (n long);
        from In select n insert into Out;
        from In select n, 1L as times update or insert into Seen
            set Seen.times = Seen.times + times on Seen.n == n;"
    )
}

/// What a plan has seen, and how often each.
fn seen(node: &Node, plan: &str) -> Vec<(i64, i64)> {
    let rows = node.query(plan, "from Seen select n, times")["rows"].clone();
    let pair = |row: &Value| (row[0].as_i64().expect("n"), row[1].as_i64().expect("times"));
    let mut rows: Vec<_> = rows.as_array().expect("rows").iter().map(pair).collect();
    rows.sort_unstable();
    rows
}

#[test]
fn each_result_counts_once_in_all_who_listen_however_often_the_node_is_killed() {
    // One says, two hear it, and each says it on to another.
    let plans = [
        ("a.siddhi", SAYS.to_owned()),
        ("b.siddhi", hears("numbers", "passThrough", "on")),
        ("c.siddhi", hears("numbers", "passThrough", "elsewhere")),
        ("d.siddhi", hears("on", "json", "elsewhere")),
        ("e.siddhi", hears("elsewhere", "json", "nowhere")),
    ];
    let plans = plans.each_ref().map(|(file, text)| (*file, &**text));
    let mut node = Node::start(&plans, "");
    let mut n = 0;
    for life in 1..=8 {
        node.wait_for_plan("a");
        for batch in 0..40 {
            let events: Vec<_> = (0..=batch % 4)
                .map(|_| {
                    n += 1;
                    json!({ "n": n })
                })
                .collect();
            let path = "/api/v1/plans/a/streams/In?ack=accepted";
            assert_eq!(node.post(path, json!(events).to_string()).status, 202);
        }
        if life % 3 == 0 {
            for plan in ["a", "b", "c"] {
                let answer = node.post(&format!("/api/v1/plans/{plan}/snapshots"), "");
                assert_eq!(answer.status, 201, "{}", answer.text());
            }
        }
        thread::sleep(Duration::from_millis(life * 4));
        node.kill_and_start();
    }
    node.wait_for_plan("a");
    // Answered once it is applied; what went before is then, too.
    node.send("a", "In", &json!({ "n": n + 1 }));
    let said = seen(&node, "a");
    assert!(said.len() > 1 && said.iter().all(|(_, times)| *times == 1), "{said:?}");
    let twice: Vec<_> = said.iter().map(|(n, _)| (*n, 2)).collect();
    for (plan, expected) in [("b", &said), ("c", &said), ("d", &said), ("e", &twice)] {
        node.wait_for_plan(plan);
        let last = || seen(&node, plan).last().copied() == expected.last().copied();
        node.wait(SOON, "the last has come", || last().then_some(()));
        assert_eq!(seen(&node, plan), *expected, "{plan}");
    }
}

#[test]
fn what_a_plan_says_waits_for_a_listener_that_is_replaced() {
    // How the mapper is written makes the source another one.
    let plan = |mapper: &str| hears("numbers", mapper, "nowhere").replace("'json'", "'text'");
    let node = Node::start(&[("a.siddhi", SAYS), ("b.siddhi", &plan("passThrough"))], "");
    node.wait_for_plan("a");
    node.wait_for_plan("b");
    let wait_for = |version: u64| {
        node.wait(SOON, "the next version runs", || {
            (node.get("/api/v1/plans/b").json()["version"] == version).then_some(())
        });
    };
    for n in 1..=300 {
        node.send("a", "In", &json!({ "n": n }));
        match n {
            100 => node.put("b.siddhi", plan("PassThrough")),
            200 => {
                wait_for(2);
                node.put("b.siddhi", plan("passthrough"));
            }
            _ => {}
        }
    }
    wait_for(3);
    node.wait(SOON, "all have come", || (seen(&node, "b").len() >= 300).then_some(()));
    assert_eq!(seen(&node, "b"), (1..=300).map(|n| (n, 1)).collect::<Vec<_>>());
}
