//! The shipped plans at work: a log is made up, written, followed through a rotation, taken apart
//! and watched, all by one node; the figures must be those of its text.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use crate::actors::handle::Handle;
use crate::actors::node;
use crate::config::Config;
use crate::event::Value;

const SSHD: &str = include_str!("../../plans/sshd.siddhi");
const GATE: &str = include_str!("../../plans/gate.siddhi");

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A plan with another folder for its files, and other words changed.
fn plan(text: &str, data: &Path, changes: &[(&str, &str)]) -> String {
    let mut text = text.replace("'data/", &format!("'{}/", data.display()));
    for (from, to) in changes {
        assert!(text.contains(from), "the plan has no {from}");
        text = text.replace(from, to);
    }
    text
}

/// Failures by address, as the plan saw them.
fn seen(handle: &Handle) -> BTreeMap<String, u64> {
    let Some(station) = handle.plan("sshd") else { return BTreeMap::new() };
    let version = station.version();
    let events = version.stream("Logins").unwrap().1.tail.newest(usize::MAX);
    let mut counts = BTreeMap::new();
    for piece in events.pieces {
        for row in piece.rows.clone() {
            let row = piece.batch.row(row);
            if row[..2] == [Value::from("Failed"), Value::from("password")] {
                *counts.entry(row[3].as_text().unwrap().to_owned()).or_default() += 1;
            }
        }
    }
    counts
}

/// Failures by address, as the text has them.
fn written(text: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in text.lines().filter(|line| line.contains("]: Failed password")) {
        let address = line.split(" from ").nth(1).unwrap().split(' ').next().unwrap();
        *counts.entry(address.to_owned()).or_default() += 1;
    }
    counts
}

#[actix::test]
async fn a_log_is_followed_from_its_making_to_the_alert() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut config = Config::default();
    config.node.data = data.clone();
    config.plans.folder = folder.path().join("plans");
    config.plans.settle = Duration::from_millis(30);
    config.tail.events = 100_000;
    config.tail.bytes = 64 << 20;
    fs::create_dir_all(&config.plans.folder).unwrap();
    let gate = plan(GATE, &data, &[("rate='20'", "rate='20000', count='6000'")]);
    // A poll that sees each change soon, and a wait that a test can bear.
    let quick = "type='file', file.polling.interval='2 ms', rotation.wait='50 ms',\n    file.uri";
    let sshd = plan(SSHD, &data, &[("type='file',\n    file.uri", quick)]);
    fs::write(config.plans.folder.join("sshd.siddhi"), sshd).unwrap();
    fs::write(config.plans.folder.join("gate.siddhi"), gate).unwrap();
    let handle = node::start(config).unwrap();

    let log = data.join("sshd.log");
    let lines = |path: &Path| fs::read_to_string(path).map_or(0, |text| text.lines().count());
    until("half of the log is written", || lines(&log) > 3_000).await;
    let old = data.join("sshd.log.old");
    fs::rename(&log, &old).unwrap();
    until("the log is written", || lines(&old) + lines(&log) == 6_000).await;
    let text = fs::read_to_string(&old).unwrap() + &fs::read_to_string(&log).unwrap();
    let wanted = written(&text);
    assert!(wanted.values().sum::<u64>() > 1_000, "{wanted:?}");
    until("all failures were seen", || seen(&handle) == wanted).await;

    let guessing = wanted.values().filter(|failures| **failures >= 10).count();
    let alerts = data.join("alerts.jsonl");
    until("every address that guesses is told of", || lines(&alerts) == guessing).await;
    for line in fs::read_to_string(&alerts).unwrap().lines() {
        assert!(line.contains("\"failures\":10,"), "{line}");
    }
    handle.stop().await;
}
