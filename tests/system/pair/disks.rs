//! A node has lost its disk, or comes late.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use crate::pair::accounts::check;
use crate::pair::load::Rate;
use crate::pair::nodes::Pair;
use crate::pair::nodes::Plot;
use crate::pair::say;

const WHILE: Duration = Duration::from_millis(400);

#[test]
fn a_node_that_lost_its_disk_gets_everything_from_the_other() {
    let mut pair = Pair::start(Plot::default());
    let load = pair.load(Rate::default());
    sleep(WHILE);
    let active = pair.wait_in_sync();
    // The log is shorter than the history: without the snapshot it would not do.
    let taken = pair.nodes[active].post("/api/v1/plans/count/snapshots", "");
    assert_eq!(taken.status, 201, "{}", taken.text());
    pair.kill(1 - active);
    fs::remove_dir_all(pair.nodes[1 - active].folder().join("data")).expect("its data");
    sleep(WHILE);
    pair.start_again(1 - active);
    pair.wait_in_sync();
    // It can take over at once.
    let epoch = pair.epoch(active);
    pair.kill(active);
    pair.wait(Duration::from_secs(10), "results come from it", || pair.receiver.first_above(epoch));
    fs::remove_dir_all(pair.nodes[active].folder().join("data")).expect("its data");
    pair.start_again(active);
    pair.wait_in_sync();
    let report = load.stop();
    say(&format!("both disks lost, one after the other: {:?}", check(&pair, &report)));
}

#[test]
fn a_node_that_comes_late_catches_up_under_load() {
    let mut pair = Pair::start(Plot::default());
    let active = pair.wait_in_sync();
    pair.kill(1 - active);
    fs::remove_dir_all(pair.nodes[1 - active].folder().join("data")).expect("its data");
    let load = pair.load(Rate { requests: 300.0, events: 50, ..Rate::default() });
    sleep(Duration::from_secs(3));
    let before = load.acked();
    let begun = std::time::Instant::now();
    pair.start_again(1 - active);
    pair.wait_in_sync();
    let took = begun.elapsed();
    let report = load.stop();
    let found = check(&pair, &report);
    say(&format!("late by {before} requests of 50 events: in sync after {took:?}; {found:?}"));
}
