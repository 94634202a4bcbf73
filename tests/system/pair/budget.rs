//! A budget of state in a pair: both nodes meet it at the same entry, and whoever acts keeps it.

use serde_json::Value;
use serde_json::json;

use crate::budget::EVENTS;
use crate::budget::MANY;
use crate::budget::SETTINGS;
use crate::budget::events;
use crate::node::SOON;
use crate::node::client;
use crate::node::client::Answer;
use crate::pair::nodes::Arbiter;
use crate::pair::nodes::Pair;
use crate::pair::nodes::Plot;

const PLAN: &str = "
define stream In (id long, pad string);
@primaryKey('id') define table Kept (id long, pad string);
from In insert into Kept;
";

const PLOT: Plot = Plot {
    arbiter: Arbiter::File,
    shown: "true",
    settings: SETTINGS,
    ha: "",
    plans: &[("kept.siddhi", PLAN)],
};

fn post(pair: &Pair, node: usize, path: &str, body: &Value) -> Answer {
    let body = body.to_string();
    client::ask(pair.nodes[node].address(), "POST", path, &[], Some(body.as_bytes()))
}

fn send(pair: &Pair, node: usize, first: u64) -> Answer {
    post(pair, node, "/api/v1/plans/kept/streams/In", &events(first))
}

fn query(pair: &Pair, node: usize, query: &str) -> Value {
    let answer = post(pair, node, "/api/v1/plans/kept/query", &json!({ "query": query }));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["rows"].clone()
}

/// Bytes of the plan's state at a node.
fn state(pair: &Pair, node: usize) -> Option<u64> {
    pair.try_get(node, "/api/v1/plans/kept")?.json()["state_bytes"].as_u64()
}

#[test]
fn both_nodes_meet_the_budget_at_the_same_entry_and_a_takeover_keeps_it() {
    let mut pair = Pair::start(PLOT);
    let active = pair.active();
    let other = 1 - active;
    let taken = (0..MANY).take_while(|part| send(&pair, active, part * EVENTS).status == 200);
    let taken = taken.count() as u64;
    assert!((10..MANY).contains(&taken), "{taken}");
    let full = state(&pair, active).expect("the node answers");
    assert!(full > 1 << 20, "{full}");
    pair.wait(SOON, "the other node counts the same", || {
        (state(&pair, other) == Some(full)).then_some(())
    });
    assert_eq!(send(&pair, other, 9000).json()["code"], "overloaded", "at either node");

    pair.kill(active);
    pair.wait(SOON, "the other one acts", || pair.acts(other).then_some(()));
    assert_eq!(send(&pair, other, 9000).json()["code"], "overloaded", "whoever acts");
    let count = "from Kept select count() as n";
    assert_eq!(query(&pair, other, count), json!([[taken * EVENTS]]));
    query(&pair, other, "delete Kept on Kept.id >= 1L");
    pair.wait(SOON, "it takes events again", || {
        (send(&pair, other, 9000).status == 200).then_some(())
    });
    assert_eq!(query(&pair, other, count), json!([[EVENTS + 1]]));

    pair.start_again(active);
    pair.wait_in_sync();
    pair.wait(SOON, "both count the same again", || {
        let both = [0, 1].map(|node| state(&pair, node));
        (both[0].is_some() && both[0] == both[1] && both[0] < Some(1 << 20)).then_some(())
    });
}
