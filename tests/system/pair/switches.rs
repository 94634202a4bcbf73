//! The planned switch, and the node that does not act as a node to talk to.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

use crate::pair::accounts::Found;
use crate::pair::accounts::check;
use crate::pair::from_environment;
use crate::pair::load::At;
use crate::pair::load::Rate;
use crate::pair::nodes::Pair;
use crate::pair::nodes::Plot;
use crate::pair::say;

const WHILE: Duration = Duration::from_millis(300);

#[test]
fn a_planned_switch_loses_nothing_and_repeats_nothing_anywhere() {
    let switches = from_environment("SWITCHES", 4);
    let pair = Pair::start(Plot::default());
    let load = pair.load(Rate::default());
    let mut times = Vec::new();
    for _ in 0..switches {
        sleep(WHILE);
        let active = pair.wait_in_sync();
        let begun = Instant::now();
        let answer = pair.nodes[active].post("/api/v1/ha/switch", "");
        assert_eq!(answer.status, 200, "{}; {}", answer.text(), pair.tell());
        pair.wait(Duration::from_secs(5), "the other one acts", || {
            pair.acts(1 - active).then_some(())
        });
        times.push(begun.elapsed());
    }
    sleep(WHILE);
    pair.wait_in_sync();
    let report = load.stop();
    let found = check(&pair, &report);
    // What is on its way while a node hands over may come again under its id: ids are for that.
    let again = found.again;
    assert_eq!(Found { again: 0, ..found }, Found::default(), "a planned switch is not felt");
    assert_eq!(report.failed(), 0, "an answer took {:?}; {}", report.quantile(1.0), pair.tell());
    times.sort();
    say(&format!(
        "{switches} switches under load took {times:?}; the slowest answer took {:?}; \
         {again} parcels came again under their ids",
        report.quantile(1.0),
    ));
}

#[test]
fn a_node_that_is_told_to_end_hands_over_first() {
    let mut pair = Pair::start(Plot::default());
    let load = pair.load(Rate::default());
    for _ in 0..from_environment("SWITCHES", 3) {
        sleep(WHILE);
        let active = pair.wait_in_sync();
        pair.nodes[active].signal("TERM");
        pair.nodes[active].wait_for_end();
        pair.wait(Duration::from_secs(5), "the other one acts", || {
            pair.acts(1 - active).then_some(())
        });
        assert_eq!(pair.view(1 - active)["reason"], "handed over", "{}", pair.tell());
        pair.start_again(active);
    }
    pair.wait_in_sync();
    let found = check(&pair, &load.stop());
    assert_eq!((found.plain_repeated, found.uncertain), (0, 0), "it is a planned switch");
}

#[test]
fn who_only_knows_the_passive_is_served_as_well() {
    let mut pair = Pair::start(Plot::default());
    let active = pair.active();
    let load = pair.load(Rate { at: At::Only(1 - active), ..Rate::default() });
    let mut totals: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    let reads = Instant::now();
    while reads.elapsed() < Duration::from_secs(1) {
        let now = pair.totals(1 - active);
        for (key, (events, last)) in &totals {
            let (more, later) = now[key];
            assert!(more >= *events && later >= *last, "what was read goes back");
        }
        assert!(now.values().all(|(events, last)| events == last), "{now:?}");
        totals = now;
    }
    assert!(!totals.is_empty(), "it answered; {}", pair.tell());
    // Its clients notice nothing of the end of the other one but a pause.
    pair.kill(active);
    sleep(WHILE);
    pair.start_again(active);
    pair.wait_in_sync();
    let report = load.stop();
    let found = check(&pair, &report);
    say(&format!(
        "all at the passive, then it took over: {found:?}; half of the answers within {:?}, the \
         slowest {:?}, {} tries failed",
        report.quantile(0.5),
        report.quantile(1.0),
        report.failed(),
    ));
}
