//! The arbiter is gone for a while.

use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

use crate::node::SOON;
use crate::pair::accounts::check;
use crate::pair::from_environment;
use crate::pair::load::Rate;
use crate::pair::nodes::Pair;
use crate::pair::nodes::Plot;
use crate::pair::say;

const WHILE: Duration = Duration::from_millis(400);

#[test]
fn while_both_nodes_live_nobody_misses_the_witness_and_later_it_is_asked_again() {
    let mut pair = Pair::start(Plot { witness: true, ..Plot::default() });
    let load = pair.load(Rate::default());
    sleep(WHILE);
    let active = pair.wait_in_sync();
    let epoch = pair.epoch(active);
    pair.kill_witness();
    // Longer than a lease.
    sleep(Duration::from_secs(4));
    assert!(pair.acts(active), "{}", pair.tell());
    assert_eq!(pair.epoch(active), epoch);
    pair.start_witness();
    sleep(Duration::from_secs(1));
    pair.wait_in_sync();
    assert_eq!(pair.epoch(active), epoch, "{}", pair.tell());
    pair.kill(active);
    pair.wait(SOON, "the other node takes over", || pair.receiver.first_above(epoch));
    pair.start_again(active);
    pair.wait_in_sync();
    let report = load.stop();
    let found = check(&pair, &report);
    say(&format!("witness gone for 4 s, then the active killed: {found:?}"));
}

#[test]
fn kills_are_found_out_by_the_witness_in_the_time_of_a_lease() {
    let kills = from_environment("KILLS", 1);
    let mut pair = Pair::start(Plot { witness: true, ..Plot::default() });
    let load = pair.load(Rate::default());
    let mut times = Vec::new();
    for _ in 0..kills {
        sleep(WHILE);
        let active = pair.wait_in_sync();
        let epoch = pair.epoch(active);
        pair.kill(active);
        let killed = Instant::now();
        let first =
            pair.wait(SOON, "the other node's first result", || pair.receiver.first_above(epoch));
        times.push(first - killed);
        pair.start_again(active);
    }
    pair.wait_in_sync();
    let report = load.stop();
    let found = check(&pair, &report);
    times.sort();
    say(&format!("witness, {kills} kills: {found:?}; from kill to result {times:?}"));
}
