//! The network between the nodes, and to the witness, is cut, stalled in one way, and flaps.

use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

use crate::pair::accounts::check;
use crate::pair::from_environment;
use crate::pair::load::At;
use crate::pair::load::Rate;
use crate::pair::nodes::Arbiter;
use crate::pair::nodes::Pair;
use crate::pair::nodes::Plot;
use crate::pair::say;

const WHILE: Duration = Duration::from_millis(400);
const CUT: Duration = Duration::from_secs(3);

/// Cuts and stalls while both nodes reach the arbiter: the active goes on alone.
fn the_active_goes_on(arbiter: Arbiter, cut: (bool, bool)) {
    let pair = Pair::start(Plot { arbiter, ..Plot::default() });
    let active = pair.active();
    let load = pair.load(Rate { at: At::Both, ..Rate::default() });
    sleep(WHILE);
    let (epoch, before) = (pair.epoch(active), load.acked());
    pair.stall_link(cut.0, cut.1);
    sleep(CUT);
    assert!(pair.acts(active), "{}", pair.tell());
    assert!(load.acked() > before, "nothing was taken any more; {}", pair.tell());
    pair.stall_link(false, false);
    pair.cut_link();
    pair.wait_in_sync();
    assert!(pair.acts(active), "{}", pair.tell());
    assert_eq!(pair.epoch(active), epoch, "somebody took over; {}", pair.tell());
    sleep(WHILE);
    let report = load.stop();
    let found = check(&pair, &report);
    assert_eq!((found.plain_repeated, found.again), (0, 0), "nobody took over: {found:?}");
    say(&format!(
        "cut {cut:?} for {CUT:?}: the slowest answer took {:?}, {} tries failed",
        report.quantile(1.0),
        report.failed(),
    ));
}

#[test]
fn nodes_that_are_cut_apart_do_not_both_act() {
    the_active_goes_on(Arbiter::File, (true, true));
}

#[test]
fn a_stall_in_one_way_changes_nothing_but_that_the_active_is_alone() {
    the_active_goes_on(Arbiter::Witness, (true, false));
}

#[test]
fn a_stall_in_the_other_way_changes_nothing_either() {
    the_active_goes_on(Arbiter::Witness, (false, true));
}

#[test]
fn a_network_that_flaps_loses_nothing() {
    let pair = Pair::start(Plot::default());
    let active = pair.active();
    let load = pair.load(Rate::default());
    let flaps = from_environment("FLAPS", 12);
    for flap in 0..flaps {
        sleep(Duration::from_millis(40 + 37 * (flap % 5)));
        pair.stall_link(flap % 2 == 0, flap % 3 == 0);
        sleep(Duration::from_millis(30 + 29 * (flap % 7)));
        pair.stall_link(false, false);
        if flap % 3 > 0 {
            pair.cut_link();
        }
    }
    pair.wait_in_sync();
    assert!(pair.acts(active), "{}", pair.tell());
    sleep(WHILE);
    let report = load.stop();
    let found = check(&pair, &report);
    assert_eq!((found.plain_repeated, found.again), (0, 0), "nobody took over: {found:?}");
    say(&format!(
        "{flaps} flaps: the slowest answer took {:?}, {} tries failed",
        report.quantile(1.0),
        report.failed(),
    ));
}

#[test]
fn a_node_that_is_cut_off_is_replaced_and_begins_nothing_more() {
    let cuts = from_environment("CUTS", 1);
    let pair = Pair::start(Plot { arbiter: Arbiter::Witness, ..Plot::default() });
    let load = pair.load(Rate { answer: Duration::from_millis(500), ..Rate::default() });
    let mut times = Vec::new();
    for _ in 0..cuts {
        sleep(WHILE);
        let active = pair.wait_in_sync();
        let epoch = pair.epoch(active);
        let cut = Instant::now();
        pair.stall_link(true, true);
        pair.stall_arbiter(active, true);
        let first = pair.wait(Duration::from_secs(10), "the other node takes over", || {
            pair.receiver.first_above(epoch)
        });
        times.push(first - cut);
        assert!(!pair.acts(active), "both act; {}", pair.tell());
        let book = pair.receiver.book();
        let late = book.results.iter().filter(|result| result.epoch == epoch && result.at > first);
        assert!(late.count() <= 1, "both acted; {}", pair.tell());
        drop(book);
        pair.stall_link(false, false);
        pair.cut_link();
        pair.stall_arbiter(active, false);
        pair.wait_in_sync();
    }
    sleep(WHILE);
    let report = load.stop();
    let found = check(&pair, &report);
    times.sort();
    say(&format!("{cuts} nodes cut off: {found:?}; from cut to result {times:?}"));
}
