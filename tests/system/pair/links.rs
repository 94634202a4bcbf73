//! Links between plans of a pair: what one plan says to another counts once there, whichever node
//! goes on with them.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::node::SOON;
use crate::node::client;
use crate::pair::from_environment;
use crate::pair::nodes::Arbiter;
use crate::pair::nodes::Pair;
use crate::pair::nodes::Plot;

const SAYS: &str = "
define stream In (n long);
@primaryKey('n') define table Seen (n long, times long);
@sink(type='inMemory', topic='numbers')
define stream Out (n long);
from In select n insert into Out;
from In select n, 1L as times update or insert into Seen set Seen.times = Seen.times + times
    on Seen.n == n;
";
const HEARS: &str = "
@source(type='inMemory', topic='numbers')
define stream In (n long);
@primaryKey('n') define table Seen (n long, times long);
from In select n, 1L as times update or insert into Seen set Seen.times = Seen.times + times
    on Seen.n == n;
";

const LINKED: Plot = Plot {
    arbiter: Arbiter::File,
    shown: "true",
    settings: "",
    ha: "",
    plans: &[("says.siddhi", SAYS), ("one.siddhi", HEARS), ("two.siddhi", HEARS)],
};

const ANSWER: Duration = Duration::from_secs(2);

/// What a plan has seen at a node, and how often each; `None` if the node does not say.
fn seen(pair: &Pair, node: usize, plan: &str) -> Option<BTreeSet<(i64, i64)>> {
    let query = json!({ "query": "from Seen select n, times" }).to_string();
    let (path, address) = (format!("/api/v1/plans/{plan}/query"), pair.nodes[node].address());
    let answer = client::ask_within(address, ANSWER, "POST", &path, &[], Some(query.as_bytes()));
    let pair = |row: &Value| Some((row[0].as_i64()?, row[1].as_i64()?));
    answer.ok()?.json()["rows"].as_array()?.iter().map(pair).collect()
}

fn send(pair: &Pair, node: usize, n: i64, query: &str) -> Option<u16> {
    let (path, body) = (format!("/api/v1/plans/says/streams/In{query}"), json!({ "n": n }));
    let (address, body) = (pair.nodes[node].address(), body.to_string());
    let answer = client::ask_within(address, ANSWER, "POST", &path, &[], Some(body.as_bytes()));
    Some(answer.ok()?.status)
}

#[test]
fn each_result_counts_once_in_the_plans_that_listen_whichever_node_goes_on() {
    let mut pair = Pair::start(LINKED);
    let mut n = 0;
    for round in 0..from_environment("KILLS", 4) {
        let active = pair.wait_in_sync();
        for _ in 0..60 {
            n += 1;
            // What is not answered may be there or not: the plan that says it knows.
            send(&pair, active, n, "?ack=accepted");
        }
        if round % 3 == 2 {
            pair.nodes[active].post("/api/v1/ha/switch", "");
        } else {
            pair.kill(active);
            pair.start_again(active);
        }
    }
    let active = pair.wait_in_sync();
    n += 1;
    assert_eq!(send(&pair, active, n, ""), Some(200));
    let said = seen(&pair, active, "says").expect("it answers");
    assert!(said.len() > 60 && said.iter().all(|(_, times)| *times == 1), "{said:?}");
    for node in 0..2 {
        for plan in ["says", "one", "two"] {
            let last = || seen(&pair, node, plan).filter(|seen| seen.contains(&(n, 1)));
            let found = pair.wait(SOON, &format!("the last is in `{plan}` at {node}"), last);
            assert_eq!(found, said, "`{plan}` at {node}; {}", pair.tell());
        }
    }
}
