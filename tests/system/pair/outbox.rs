//! Results that wait because their receiver is away go with the snapshots, from node to node, too.

use std::time::Duration;

use crate::pair::accounts::check;
use crate::pair::load::Rate;
use crate::pair::nodes::Pair;
use crate::pair::nodes::Plot;
use crate::pair::say;

/// How long a load goes on before and after something happens to the pair.
const WHILE: Duration = Duration::from_millis(400);

fn snapshot(pair: &Pair, node: usize) {
    let answer = pair.nodes[node].post("/api/v1/plans/count/snapshots", "");
    assert_eq!(answer.status, 201, "{}; {}", answer.text(), pair.tell());
}

#[test]
fn results_that_wait_behind_a_snapshot_of_the_passive_survive_kills() {
    let mut pair = Pair::start(Plot::default());
    let load = pair.load(Rate::default());
    std::thread::sleep(WHILE);
    pair.receiver.close(true);
    let taken = pair.receiver.book().results.len();
    std::thread::sleep(WHILE);
    let active = pair.wait_in_sync();
    snapshot(&pair, 1 - active);
    std::thread::sleep(WHILE);
    snapshot(&pair, 1 - active);
    std::thread::sleep(WHILE);
    pair.kill(active);
    std::thread::sleep(WHILE);
    assert_eq!(pair.active(), 1 - active);
    // The one that took over begins anew from its snapshot, and so does the other.
    pair.kill(1 - active);
    for node in [1 - active, active] {
        pair.start_again(node);
    }
    pair.wait_in_sync();
    std::thread::sleep(WHILE);
    let waited = pair.receiver.book().results.len();
    assert!(waited <= taken + 1, "the receiver was away: {taken} results, then {waited}");
    pair.receiver.close(false);
    let report = load.stop();
    let found = check(&pair, &report);
    say(&format!(
        "{} requests, the receiver away while both nodes were killed: {found:?}",
        report.requests(),
    ));
}
