//! What a large state costs: its snapshots, a restart, and a node that joins and has nothing.
//!
//! `cargo bench --bench state -- [alone|pair|log] [--rows N] [--requests N]` starts nodes of its
//! own, fills a window with so many rows (23 million are a gigabyte), and measures under a steady
//! load of 100 events a request; `log` lets the node join by the log instead of a snapshot. Memory
//! is that of the process: before, and the most in between.

#![expect(clippy::print_stdout, reason = "what is measured is printed")]

#[path = "../../tests/system/pair/load.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod load;
#[path = "../../tests/system/node.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod node;
#[path = "../pair.rs"]
mod pair;
mod watch;

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

use load::At;
use load::Load;
use load::Rate;
use load::Report;
use node::Node;
use pair::PATIENCE;
use pair::Pair;
use watch::Memory;

const PLAN: &str = "
define stream Fill (k int, seq long, symbol string, price double, volume long);
define stream In (k int, seq long, first bool);
define window Kept (k int, seq long, symbol string, price double, volume long) length({rows});
define stream Told (k int, n long);
from Fill insert into Kept;
from In select k, seq, 'live' as symbol, 0.0 as price, 0L as volume insert into Kept;
from In select k, count() as n group by k insert into Told;
";
/// Rows of a request that fills the window.
const ROWS_A_REQUEST: usize = 5_000;
/// Events of a request of the load.
const EVENTS: u64 = 100;
/// How long a load goes on before and after what is measured.
const WHILE: Duration = Duration::from_secs(3);
/// Snapshots come when they are asked for.
const SETTINGS: &str = "[persistence]\ninterval = '24h'\n";

#[derive(Clone, Copy)]
struct Settings {
    alone: bool,
    pair: bool,
    /// The node that joins takes all from the log.
    log: bool,
    rows: usize,
    requests: f64,
}

fn main() {
    let settings = settings();
    if settings.alone {
        alone(settings);
    }
    if settings.pair {
        of_a_pair(settings);
    }
}

fn settings() -> Settings {
    let mut settings =
        Settings { alone: true, pair: true, log: false, rows: 23_000_000, requests: 200.0 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a number");
        match word.as_str() {
            "alone" => settings.pair = false,
            "pair" => settings.alone = false,
            "log" => (settings.alone, settings.log) = (false, true),
            "--rows" => settings.rows = number() as usize,
            "--requests" => settings.requests = number(),
            // What `cargo bench` adds by itself.
            "--bench" => {}
            other => panic!("expected alone, pair, log, --rows or --requests, found {other}"),
        }
    }
    settings
}

fn plan(settings: Settings) -> String {
    PLAN.replace("{rows}", &settings.rows.to_string())
}

fn alone(settings: Settings) {
    println!("a node alone, `{}` rows in a window:", settings.rows);
    let mut node = Node::start(&[("big.siddhi", &plan(settings))], SETTINGS);
    node.wait_for_plan("big");
    fill(&node, settings.rows);
    let load = load(settings, [node.address(); 2], At::Only(0));
    sleep(WHILE);
    for _ in 0..3 {
        snapshot(&node);
        sleep(WHILE);
    }
    tell_load(&load.stop());
    node.kill();
    let begun = Instant::now();
    node.start_again();
    node.wait(PATIENCE, "the window is there again", || {
        (rows(&node) == settings.rows as u64).then_some(())
    });
    let memory = Memory::of(&node);
    println!(
        "killed and started again: all rows are there after {:.1} s, memory {} MiB, at most {} MiB",
        begun.elapsed().as_secs_f64(),
        memory.now,
        memory.most
    );
}

fn of_a_pair(settings: Settings) {
    println!("a pair, `{}` rows in a window:", settings.rows);
    let (mut pair, active) = Pair::start("big.siddhi", &plan(settings), SETTINGS);
    fill(&pair.nodes[active], settings.rows);
    pair.wait_in_sync();
    let addresses = [pair.nodes[0].address(), pair.nodes[1].address()];
    let load = load(settings, addresses, At::Only(active));
    sleep(WHILE);
    // After two of them what is before is forgotten, so that who has nothing needs the newest.
    let places = [("passive", 1 - active), ("active", active)];
    for (who, place) in places.into_iter().filter(|_| !settings.log) {
        println!("two snapshots of the {who}:");
        (0..2).for_each(|_| snapshot(&pair.nodes[place]));
    }
    sleep(WHILE);
    pair.nodes[1 - active].kill();
    fs::remove_dir_all(pair.nodes[1 - active].folder().join("data")).expect("its data");
    tell_load(&load.stop());
    let alone = || pair.nodes[active].get("/api/v1/ha").json()["in_sync"] == false;
    pair.nodes[active].wait(PATIENCE, "it goes on alone", || alone().then_some(()));
    let load = self::load(settings, addresses, At::Only(active));
    sleep(WHILE);
    let begun = join(&mut pair.nodes, active, settings);
    sleep(WHILE);
    let report = load.stop();
    tell_load(&report);
    let times = report.senders.iter().flat_map(|sent| sent.times.iter().zip(&sent.answered));
    let (slowest, at) = times.max().expect("there were answers");
    let after = at.saturating_duration_since(begun);
    println!("the slowest answer took {slowest:?} and came {after:?} after the node had begun");
}

/// The node that does not act begins with nothing; gives when.
fn join(nodes: &mut [Node; 2], active: usize, settings: Settings) -> Instant {
    Memory::forget(&nodes[active]);
    let before = Memory::of(&nodes[active]);
    let begun = Instant::now();
    nodes[1 - active].start_again();
    let [active, passive] =
        if active == 0 { [&nodes[0], &nodes[1]] } else { [&nodes[1], &nodes[0]] };
    let late = |node: &Node| node.get("/api/v1/ha").json();
    active.wait(PATIENCE, "the other node is in sync", || {
        (late(active)["in_sync"] == true).then_some(())
    });
    let in_sync = begun.elapsed();
    // A second's worth of entries.
    let close = settings.requests as u64;
    passive.wait(PATIENCE, "the other node has applied all but a second of it", || {
        let last =
            late(active)["plans"].as_array()?.iter().find(|plan| plan["plan"] == "big")?["last"]
                .as_u64()?;
        let applied = position(passive)?;
        (last.saturating_sub(applied) < close).then_some(())
    });
    let caught_up = begun.elapsed();
    let rows = rows(passive);
    let (of_active, of_passive) = (Memory::of(active), Memory::of(passive));
    println!(
        "an empty node joins: in sync after {:.1} s, less than a second behind after {:.1} s with \
         {rows} rows; memory of the active {} MiB, at most {} MiB; of the passive {} MiB, at most \
         {} MiB",
        in_sync.as_secs_f64(),
        caught_up.as_secs_f64(),
        before.now,
        of_active.most,
        of_passive.now,
        of_passive.most,
    );
    assert_eq!(rows, settings.rows as u64);
    begun
}

fn load(settings: Settings, addresses: [SocketAddr; 2], at: At) -> Load {
    let answer = Duration::from_secs(60);
    let rate = Rate { requests: settings.requests, events: EVENTS, senders: 8, at, answer };
    Load::start(addresses, "big", rate)
}

fn tell_load(report: &Report) {
    let [half, most, all] = [0.5, 0.99, 1.0].map(|share| report.quantile(share));
    println!(
        "{} requests of {EVENTS} events, {} refused or lost: half of the answers within {half:?}, \
         99 of 100 within {most:?}, all within {all:?}",
        report.requests(),
        report.failed(),
    );
}

/// Takes a snapshot and tells what it cost.
fn snapshot(node: &Node) {
    Memory::forget(node);
    let before = Memory::of(node);
    let path = "/api/v1/plans/big/snapshots";
    let taken = node::client::ask_within(node.address(), PATIENCE, "POST", path, &[], Some(b""));
    let taken = taken.expect("an answer").json();
    let after = Memory::of(node);
    let figure = |name: &str| taken[name].as_f64().unwrap_or_else(|| panic!("{taken}"));
    println!(
        "a snapshot of {:.2} GB: the plan stood still for {:.2} ms, {:.1} s in all; memory {} MiB, \
         at most {} MiB",
        figure("bytes") / 1e9,
        figure("pause_seconds") * 1e3,
        figure("seconds"),
        before.now,
        after.most
    );
}

/// Fills the window.
fn fill(node: &Node, rows: usize) {
    let begun = Instant::now();
    let mut next = 0;
    let mut body = String::new();
    while next < rows {
        body.clear();
        body.push('[');
        for number in next..rows.min(next + ROWS_A_REQUEST) {
            let comma = if number == next { "" } else { "," };
            write!(
                body,
                "{comma}{{\"k\":{},\"seq\":{number},\"symbol\":\"S{:03}\",\"price\":{number}.5,\
                 \"volume\":{number}}}",
                number % 100,
                number % 1000
            )
            .expect("a String takes everything");
        }
        body.push(']');
        let answer = node.post("/api/v1/plans/big/streams/Fill", &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        next += ROWS_A_REQUEST;
    }
    println!(
        "filled in {:.1} s, memory {} MiB",
        begun.elapsed().as_secs_f64(),
        Memory::of(node).now
    );
}

/// The rows in the window, as the metrics say; 0 while there is no plan.
fn rows(node: &Node) -> u64 {
    let metrics = node.get("/metrics").text();
    let line = metrics.lines().find(|line| line.starts_with("twinflow_held_rows{plan=\"big\"}"));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

/// The last position of the plan's log that a node has applied.
fn position(node: &Node) -> Option<u64> {
    let read = node.get("/api/v1/plans/big/streams/Told/events?limit=1");
    read.header("Twinflow-Position")?.parse().ok()
}
