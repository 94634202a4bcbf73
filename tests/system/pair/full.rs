//! The disk of one node is full for a while.

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::pair::accounts::check;
use crate::pair::load::Rate;
use crate::pair::nodes::Arbiter;
use crate::pair::nodes::Pair;
use crate::pair::nodes::Plot;
use crate::pair::say;

const WHILE: Duration = Duration::from_millis(400);

/// From now on no file of a node may grow, or they may again.
fn fill_disk(pair: &Pair, node: usize, full: bool) {
    let process = pair.nodes[node].process().to_string();
    let limit = if full { "--fsize=0:unlimited" } else { "--fsize=unlimited:unlimited" };
    let set = Command::new("prlimit").args(["--pid", &process, limit]).status();
    assert!(set.expect("`prlimit` is part of every Linux").success());
}

fn on_a_full_disk(of_active: bool) {
    // The witness has a disk of its own.
    let pair = Pair::start(Plot { arbiter: Arbiter::Witness, ..Plot::default() });
    let load = pair.load(Rate::default());
    sleep(WHILE);
    let active = pair.wait_in_sync();
    let victim = if of_active { active } else { 1 - active };
    fill_disk(&pair, victim, true);
    sleep(Duration::from_millis(500));
    let before = load.acked();
    pair.wait(Duration::from_secs(10), "events are taken in spite of it", || {
        (load.acked() > before + 50).then_some(())
    });
    fill_disk(&pair, victim, false);
    pair.wait_in_sync();
    sleep(WHILE);
    let report = load.stop();
    let found = check(&pair, &report);
    say(&format!(
        "disk full at the {}: {found:?}; the slowest answer took {:?}",
        if of_active { "active" } else { "passive" },
        report.quantile(1.0),
    ));
}

#[test]
fn the_active_whose_disk_is_full_is_replaced() {
    on_a_full_disk(true);
}

#[test]
fn the_passive_whose_disk_is_full_is_left_behind_and_comes_back() {
    on_a_full_disk(false);
}
