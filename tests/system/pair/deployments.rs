//! Plans dropped, changed and deleted at one node of a pair, and what the other makes of it.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::node::SOON;
use crate::node::client;
use crate::pair::nodes::Pair;
use crate::pair::nodes::Plot;

const FIRST: &str = "define stream A (n int);\nfrom A[n > 1] select n insert into B;\n";
const SECOND: &str = "define stream A (n int);\nfrom A[n > 2] select n insert into B;\n";
const THIRD: &str = "define stream A (n int);\nfrom A[n > 3] select n insert into B;\n";

fn text(pair: &Pair, node: usize, file: &str) -> Option<String> {
    fs::read_to_string(pair.nodes[node].plan_file(file)).ok()
}

/// The version of the plan `extra` that runs at a node.
fn version(pair: &Pair, node: usize) -> Option<u64> {
    let document = pair.try_get(node, "/api/v1/plans/extra")?.json();
    document["version"].as_u64().filter(|_| document["state"] == "running")
}

/// Waits until this version runs at both nodes, from this text in both folders.
fn wait_for(pair: &Pair, number: u64, expected: &str) {
    for node in 0..2 {
        pair.wait(SOON, &format!("version {number} at node {node}"), || {
            let same = text(pair, node, "extra.siddhi").is_some_and(|found| found == expected);
            (same && version(pair, node) == Some(number)).then_some(())
        });
    }
}

fn wait_until_gone(pair: &Pair) {
    for node in 0..2 {
        pair.wait(SOON, &format!("the plan is gone at node {node}"), || {
            let status = pair.try_get(node, "/api/v1/plans/extra")?.status;
            (status == 404 && text(pair, node, "extra.siddhi").is_none()).then_some(())
        });
    }
}

fn send(pair: &Pair, node: usize, n: u64) -> u16 {
    let (path, body) = ("/api/v1/plans/extra/streams/A", json!({ "n": n }).to_string());
    client::ask(pair.nodes[node].address(), "POST", path, &[], Some(body.as_bytes())).status
}

#[test]
fn a_file_at_either_node_is_a_plan_at_both() {
    let pair = Pair::start(Plot::default());
    let active = pair.active();
    pair.nodes[1 - active].put("extra.siddhi", FIRST);
    wait_for(&pair, 1, FIRST);
    assert_eq!((send(&pair, 0, 5), send(&pair, 1, 5)), (200, 200));
    pair.nodes[active].put("extra.siddhi", SECOND);
    wait_for(&pair, 2, SECOND);
    pair.nodes[1 - active].put("extra.siddhi", THIRD);
    wait_for(&pair, 3, THIRD);
    assert_eq!((send(&pair, 0, 5), send(&pair, 1, 5)), (200, 200));
    fs::remove_file(pair.nodes[1 - active].plan_file("extra.siddhi")).expect("it is there");
    wait_until_gone(&pair);
    pair.nodes[active].put("extra.siddhi", FIRST);
    wait_for(&pair, 1, FIRST);
    pair.wait_in_sync();
}

#[test]
fn a_node_that_was_down_takes_over_what_was_deployed_and_deleted_meanwhile() {
    let mut pair = Pair::start(Plot::default());
    let active = pair.active();
    let passive = 1 - active;
    pair.nodes[active].put("extra.siddhi", FIRST);
    wait_for(&pair, 1, FIRST);
    pair.kill(passive);
    pair.nodes[active].put("extra.siddhi", SECOND);
    pair.wait(SOON, "the new version runs", || (version(&pair, active) == Some(2)).then_some(()));
    pair.start_again(passive);
    // What lies in its folder is what this node wrote there itself: it is old, not a wish.
    wait_for(&pair, 2, SECOND);
    pair.kill(passive);
    fs::remove_file(pair.nodes[active].plan_file("extra.siddhi")).expect("it is there");
    pair.wait(SOON, "the plan is gone", || {
        let status = pair.try_get(active, "/api/v1/plans/extra")?.status;
        (status == 404).then_some(())
    });
    pair.start_again(passive);
    wait_until_gone(&pair);
    pair.wait_in_sync();
}

#[test]
fn a_file_deleted_while_its_node_was_down_is_a_wish_and_a_folder_that_is_gone_is_none() {
    let mut pair = Pair::start(Plot::default());
    let active = pair.active();
    let passive = 1 - active;
    pair.nodes[active].put("extra.siddhi", FIRST);
    wait_for(&pair, 1, FIRST);
    pair.kill(passive);
    let folder = pair.nodes[passive].folder().join("plans");
    fs::remove_dir_all(&folder).expect("it is there");
    pair.start_again(passive);
    wait_for(&pair, 1, FIRST);
    pair.wait_in_sync();
    // Only what the node has noted to have written can be missed by it.
    let notes = pair.nodes[passive].folder().join("data/journal/default/.deployments/folder");
    pair.wait(SOON, "the node has noted what it wrote", || {
        let noted = fs::read(&notes).ok()?;
        let noted = String::from_utf8_lossy(&noted).contains("extra.siddhi");
        noted.then_some(())
    });
    pair.kill(passive);
    fs::remove_file(folder.join("extra.siddhi")).expect("it is there");
    pair.start_again(passive);
    wait_until_gone(&pair);
}

#[test]
fn a_blank_standby_gets_every_plan_with_its_state() {
    let mut pair = Pair::start(Plot::default());
    let active = pair.active();
    let passive = 1 - active;
    pair.nodes[active].put("extra.siddhi", FIRST);
    wait_for(&pair, 1, FIRST);
    for n in 0..20 {
        assert_eq!(send(&pair, n as usize % 2, n), 200);
    }
    pair.kill(passive);
    for folder in ["plans", "data"] {
        fs::remove_dir_all(pair.nodes[passive].folder().join(folder)).expect("it is there");
    }
    pair.start_again(passive);
    wait_for(&pair, 1, FIRST);
    pair.wait_in_sync();
    pair.kill(active);
    pair.wait(Duration::from_secs(10), "the other one acts", || pair.acts(passive).then_some(()));
    assert_eq!(send(&pair, passive, 7), 200);
}

#[test]
fn of_two_changes_made_at_once_one_runs_and_the_other_is_kept_beside() {
    let pair = Pair::start(Plot::default());
    pair.nodes[0].put("extra.siddhi", FIRST);
    wait_for(&pair, 1, FIRST);
    pair.nodes[0].put("extra.siddhi", SECOND);
    pair.nodes[1].put("extra.siddhi", THIRD);
    let (running, other) = pair.wait(SOON, "both nodes run the same second version", || {
        let texts = [0, 1].map(|node| text(&pair, node, "extra.siddhi"));
        let one = texts[0].clone().filter(|one| texts[1].as_ref() == Some(one))?;
        let both = (0..2).all(|node| version(&pair, node) == Some(2));
        let other = if one == SECOND { THIRD } else { SECOND };
        both.then_some((one, other))
    });
    assert_ne!(running, FIRST);
    pair.wait(SOON, "the other text is kept", || {
        let kept = (0..2).any(|node| {
            text(&pair, node, "extra.siddhi.conflict").is_some_and(|kept| kept == other)
        });
        kept.then_some(())
    });
}

#[test]
fn a_plan_dropped_while_a_node_takes_over_runs_on_both() {
    let mut pair = Pair::start(Plot::default());
    let active = pair.active();
    let passive = 1 - active;
    pair.kill(active);
    pair.nodes[passive].put("extra.siddhi", FIRST);
    pair.wait(SOON, "it runs", || (version(&pair, passive) == Some(1)).then_some(()));
    pair.start_again(active);
    wait_for(&pair, 1, FIRST);
    pair.wait_in_sync();
}
