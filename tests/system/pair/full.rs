//! The disk of one node is full for a while, or fails for good where one plan's journal lies.

use std::fs;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use twinflow::journal::format::SEGMENT_HEAD;

use crate::node::SOON;
use crate::node::client;
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

const FIRST: &str = "define stream A (n int);\nfrom A[n > 1] select n insert into B;\n";
const SECOND: &str = "define stream A (n int);\nfrom A[n > 2] select n insert into B;\n";

/// The version of the plan `extra` that runs at a node.
fn version(pair: &Pair, node: usize) -> Option<u64> {
    let document = pair.try_get(node, "/api/v1/plans/extra")?.json();
    document["version"].as_u64().filter(|_| document["state"] == "running")
}

/// Plans are deployed and changed while the disk of a node is full.
fn deployed_on_a_full_disk(of_active: bool) {
    let mut pair = Pair::start(Plot { arbiter: Arbiter::Witness, ..Plot::default() });
    let mut victim = 0;
    for (number, text) in [(1, FIRST), (2, SECOND)] {
        let active = pair.wait_in_sync();
        victim = if of_active { active } else { 1 - active };
        fill_disk(&pair, victim, true);
        pair.nodes[active].put("extra.siddhi", text);
        pair.wait(SOON, "the plan runs at the other node", || {
            (version(&pair, 1 - victim) == Some(number)).then_some(())
        });
        fill_disk(&pair, victim, false);
        pair.wait(SOON, "the plan runs at both", || {
            (version(&pair, victim) == Some(number)).then_some(())
        });
        pair.wait_in_sync();
    }
    // Nothing is missing at the one whose disk was full.
    pair.kill(1 - victim);
    pair.wait(SOON, "it acts", || pair.acts(victim).then_some(()));
    assert_eq!(version(&pair, victim), Some(2));
    pair.nodes[victim].put("extra.siddhi", FIRST);
    pair.wait(SOON, "a change runs", || (version(&pair, victim) == Some(3)).then_some(()));
}

#[test]
fn plans_are_deployed_while_the_disk_of_the_active_is_full() {
    deployed_on_a_full_disk(true);
}

#[test]
fn plans_are_deployed_while_the_disk_of_the_passive_is_full() {
    deployed_on_a_full_disk(false);
}

const TEXTS: &str = "
define stream In (text string);
@primaryKey('text') define table Seen (text string);
from In select text update or insert into Seen on Seen.text == text;
";

fn send_text(pair: &Pair, node: usize, text: &str) {
    let (path, body) = ("/api/v1/plans/texts/streams/In", json!({ "text": text }).to_string());
    let answer = client::ask(pair.nodes[node].address(), "POST", path, &[], Some(body.as_bytes()));
    assert_eq!(answer.status, 200, "{}; {}", answer.text(), pair.tell());
}

/// Turns a bit of the oldest entry of a plan's journal around.
fn damage_journal(pair: &Pair, node: usize, plan: &str) {
    let folder = pair.nodes[node].folder().join("data/journal/default").join(plan);
    let files = fs::read_dir(folder).expect("the journal").map(|file| file.expect("a file").path());
    let oldest = files.filter(|file| file.extension().is_some_and(|end| end == "log")).min();
    let oldest = oldest.expect("a segment");
    let mut file = fs::File::options().read(true).write(true).open(oldest).expect("a segment");
    let place = SeekFrom::Start(SEGMENT_HEAD as u64 + 40);
    let mut byte = [0];
    file.seek(place).and_then(|_| file.read_exact(&mut byte)).expect("it is so long");
    file.seek(place).and_then(|_| file.write_all(&[byte[0] ^ 1])).expect("it can be written");
}

/// How a node sees a plan in the pair.
fn state(pair: &Pair, node: usize, plan: &str) -> Option<Value> {
    let view = pair.view(node);
    view["plans"].as_array()?.iter().find(|state| state["plan"] == plan).cloned()
}

/// The passive has lost a plan's journal for good. Then the active ends: all other plans go on.
#[test]
fn a_plan_whose_journal_fails_for_good_keeps_no_other_down() {
    let plans = &[("texts.siddhi", TEXTS)];
    let mut pair = Pair::start(Plot { arbiter: Arbiter::Witness, plans, ..Plot::default() });
    let active = pair.wait_in_sync();
    let victim = 1 - active;
    for number in 0..20 {
        send_text(&pair, active, &format!("text {number}"));
    }
    damage_journal(&pair, victim, "texts");
    fill_disk(&pair, victim, true);
    send_text(&pair, active, "one that does not fit");
    fill_disk(&pair, victim, false);
    pair.wait(SOON, "the plan is given up there", || {
        let plan = pair.try_get(victim, "/api/v1/plans/texts")?.json();
        (plan["state"] == "failed").then_some(())
    });
    pair.wait(SOON, "only that plan is lacking there", || {
        let lacks = |plan| Some(state(&pair, active, plan)?["peer_lacks"] == true);
        (pair.view(active)["in_sync"] == true && lacks("texts")? && !lacks("count")?).then_some(())
    });
    pair.kill(active);
    pair.wait(SOON, "the other node acts", || pair.acts(victim).then_some(()));
    assert_eq!(state(&pair, victim, "texts").expect("its log")["down"], true);
    let load = pair.load(Rate::default());
    pair.wait(SOON, "events are taken", || (load.acked() > 50).then_some(()));
    pair.start_again(active);
    pair.wait(SOON, "it has all but that plan", || {
        (pair.view(victim)["in_sync"] == true).then_some(())
    });
    check(&pair, &load.stop());
}
