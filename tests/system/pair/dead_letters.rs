//! Dead letters of a pair: the same at both nodes, and taken up once whoever ends meanwhile.

use serde_json::Value;
use serde_json::json;

use crate::node::SOON;
use crate::node::client;
use crate::node::client::Answer;
use crate::pair::nodes::Arbiter;
use crate::pair::nodes::Pair;
use crate::pair::nodes::Plot;

/// What comes here goes on as it is, so that the other plan may find it unreadable.
const SAYS: &str = "
@sink(type='inMemory', topic='t', @map(type='text', @payload('{{text}}')))
define stream In (text string);
";

const HEARS: &str = "
@source(type='inMemory', topic='t', @map(type='json'))
define stream Heard (n int);
@sink(type='file', file.uri='twinflow.toml/lost', on.error='STORE', @map(type='json'))
define stream Out (n int);
@primaryKey('n') define table Seen (n int, times long);
from Heard select n, count() as times group by n update or insert into Seen
    set Seen.times = times on Seen.n == n;
from Heard select n insert into Out;
";

const PLOT: Plot = Plot {
    arbiter: Arbiter::File,
    shown: "true",
    settings: "",
    ha: "",
    plans: &[("says.siddhi", SAYS), ("hears.siddhi", HEARS)],
};

const PATH: &str = "/api/v1/plans/hears/dead-letters";

fn letters(pair: &Pair, node: usize) -> Value {
    pair.try_get(node, PATH).map_or(Value::Null, |answer| answer.json()["dead_letters"].clone())
}

fn ids(pair: &Pair, node: usize) -> Option<Vec<u64>> {
    let letters = letters(pair, node);
    Some(letters.as_array()?.iter().filter_map(|letter| letter["id"].as_u64()).collect())
}

fn wait_for(pair: &Pair, node: usize, expected: &[u64]) {
    pair.wait(SOON, &format!("the letters at node {node} are {expected:?}"), || {
        (ids(pair, node)? == expected).then_some(())
    });
}

fn send(pair: &Pair, node: usize, text: &str) {
    let (path, body) = ("/api/v1/plans/says/streams/In", json!({ "text": text }).to_string());
    let answer = client::ask(pair.nodes[node].address(), "POST", path, &[], Some(body.as_bytes()));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn replay(pair: &Pair, node: usize, id: u64, body: &str) -> Answer {
    let path = format!("{PATH}/{id}/replay");
    client::ask(pair.nodes[node].address(), "POST", &path, &[], Some(body.as_bytes()))
}

fn seen(pair: &Pair, node: usize) -> Value {
    let query = json!({ "query": "from Seen select n, times order by n" }).to_string();
    let path = "/api/v1/plans/hears/query";
    let answer = client::ask(pair.nodes[node].address(), "POST", path, &[], Some(query.as_bytes()));
    answer.json()["rows"].clone()
}

#[test]
fn letters_are_the_same_at_both_nodes_and_taken_up_once_after_a_kill() {
    let mut pair = Pair::start(PLOT);
    let active = pair.active();
    let other = 1 - active;
    send(&pair, active, "no number");
    wait_for(&pair, active, &[1]);
    send(&pair, other, "nor this");
    send(&pair, active, "{\"event\":{\"n\":7}}");
    for node in [active, other] {
        wait_for(&pair, node, &[3, 2, 1]);
    }
    let all = letters(&pair, active);
    assert_eq!(letters(&pair, other), all, "also with the same times and reasons");
    assert_eq!((&all[0]["kind"], &all[2]["kind"]), (&json!("publisher"), &json!("receiver")));

    pair.kill(active);
    pair.wait(SOON, "the other one acts", || pair.acts(other).then_some(()));
    assert_eq!(letters(&pair, other), all, "none is lost, and none is there twice");
    let answer = replay(&pair, other, 1, "{\"event\":{\"n\":1}}");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = replay(&pair, other, 1, "{\"event\":{\"n\":1}}");
    assert_eq!(answer.status, 404, "{}", answer.text());
    // Its result cannot leave either.
    wait_for(&pair, other, &[4, 3, 2]);

    pair.start_again(active);
    pair.wait_in_sync();
    wait_for(&pair, active, &[4, 3, 2]);
    assert_eq!(letters(&pair, active), letters(&pair, other));
    // At the node that follows: forwarded, and done once although both are asked.
    let follower = 1 - pair.active();
    let statuses = [replay(&pair, follower, 2, "{\"event\":{\"n\":2}}"), {
        let answer = replay(&pair, 1 - follower, 2, "{\"event\":{\"n\":2}}");
        assert!([404, 409].contains(&answer.status), "{}", answer.text());
        replay(&pair, follower, 3, "")
    }]
    .map(|answer| answer.status);
    assert_eq!(statuses, [200, 200]);
    for node in [active, other] {
        wait_for(&pair, node, &[6, 5, 4]);
    }
    let once = json!([[1, 1], [2, 1], [7, 1]]);
    for node in [active, other] {
        pair.wait(SOON, "each came through once", || (seen(&pair, node) == once).then_some(()));
    }
    assert_eq!(letters(&pair, active), letters(&pair, other));
}

#[test]
fn a_node_that_comes_back_with_an_empty_disk_has_the_letters_too() {
    let mut pair = Pair::start(PLOT);
    let active = pair.active();
    send(&pair, active, "no number");
    for node in [0, 1] {
        wait_for(&pair, node, &[1]);
    }
    // The log alone does not lead to the letter any more: it comes with the state.
    let snapshots = "/api/v1/plans/hears/snapshots";
    for _ in 0..2 {
        let address = pair.nodes[active].address();
        assert_eq!(client::ask(address, "POST", snapshots, &[], Some(b"")).status, 201);
        send(&pair, active, "{\"event\":{\"n\":7}}");
    }
    pair.wait(SOON, "the results are letters", || (ids(&pair, active)? == [3, 2, 1]).then_some(()));
    let follower = 1 - active;
    pair.kill(follower);
    std::fs::remove_dir_all(pair.nodes[follower].folder().join("data")).unwrap();
    pair.start_again(follower);
    pair.wait_in_sync();
    wait_for(&pair, follower, &[3, 2, 1]);
    assert_eq!(letters(&pair, follower), letters(&pair, active));
    assert_eq!(replay(&pair, follower, 1, "{\"event\":{\"n\":1}}").status, 200);
}
