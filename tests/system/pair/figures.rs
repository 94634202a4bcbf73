//! What the pair costs: the time until an answer, and processor time beside one node alone.

use std::fs;
use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

use tempfile::TempDir;

use crate::node::Node;
use crate::node::SOON;
use crate::pair::accounts::check;
use crate::pair::from_environment;
use crate::pair::load::At;
use crate::pair::load::Load;
use crate::pair::load::Rate;
use crate::pair::load::Report;
use crate::pair::nodes::Pair;
use crate::pair::nodes::Plot;
use crate::pair::nodes::plan;
use crate::pair::receiver::Receiver;
use crate::pair::say;

/// Ticks a second in which the kernel counts.
const TICKS: f64 = 100.0;

/// Seconds of processor time that a process has used.
fn processor_time(node: &Node) -> f64 {
    let path = format!("/proc/{}/stat", node.process());
    let stat = fs::read_to_string(path).expect("the process is there");
    // The name before the last parenthesis may hold anything.
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a part").split_whitespace().collect();
    let ticks = |place: usize| fields[place].parse::<f64>().expect("a count");
    (ticks(11) + ticks(12)) / TICKS
}

/// Microseconds of processor time for each event of a load, after a while in which it gets going.
fn cost(node: &Node, load: Load, seconds: f64) -> (f64, Report) {
    sleep(Duration::from_secs(1));
    let (acked, used, begun) = (load.acked(), processor_time(node), Instant::now());
    sleep(Duration::from_secs_f64(seconds).saturating_sub(begun.elapsed()));
    let (requests, used) = (load.acked() - acked, processor_time(node) - used);
    let report = load.stop();
    (used * 1e6 / (requests * report.rate.events) as f64, report)
}

#[test]
fn what_the_pair_costs_beside_a_node_alone() {
    let seconds = from_environment("SECONDS", 2.0);
    let requests = from_environment("RATE", 50.0);
    let rate = Rate { requests, events: 100, senders: 8, at: At::First(0), ..Rate::default() };
    let (receiver, folder) = (Receiver::start(), TempDir::new().expect("a folder"));
    let text = plan(&folder.path().join("plain.jsonl"), receiver.address, "first");
    let alone = Node::start(&[("count.siddhi", &text)], "");
    alone.wait(SOON, "it runs", || {
        (alone.get("/api/v1/plans/count").json()["state"] == "running").then_some(())
    });
    let load = Load::start([alone.address(); 2], "count", rate);
    let (cost_alone, of_alone) = cost(&alone, load, seconds);
    drop(alone);
    let pair = Pair::start(Plot { shown: "first", ..Plot::default() });
    let active = pair.active();
    let load = pair.load(Rate { at: At::First(active), ..rate });
    let (cost_active, of_pair) = cost(&pair.nodes[active], load, seconds);
    let found = check(&pair, &of_pair);
    assert_eq!((found.again, found.plain_repeated, of_pair.failed()), (0, 0, 0), "{found:?}");
    let times = |report: &Report| {
        let [half, most, all] = [0.5, 0.99, 1.0].map(|share| report.quantile(share));
        format!("half of the answers within {half:?}, 99 of 100 within {most:?}, all {all:?}")
    };
    say(&format!(
        "{requests} requests a second of 100 events for {seconds} s: alone {cost_alone:.2} µs of \
         processor time an event, {}; the active of a pair {cost_active:.2} µs ({:.2} times), {}",
        times(&of_alone),
        cost_active / cost_alone,
        times(&of_pair),
    ));
}
