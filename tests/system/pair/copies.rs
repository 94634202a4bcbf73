//! Receivers that get every event on both nodes: each counts once, whichever node is killed.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use crate::node::SOON;
use crate::node::client;
use crate::pair::from_environment;
use crate::pair::nodes::Pair;
use crate::pair::nodes::Plot;
use crate::pair::say;

/// By an id, by what they say alone, and pushed to.
const PLAN: &str = "
@source(type='file', file.uri='named.csv', file.polling.interval='5 ms', @map(type='csv'),
    events.duplicated.in.cluster='true', events.duplicated.id='id',
    events.duplicated.window='WINDOW')
define stream Named (id string, n long);
@source(type='file', file.uri='plain.csv', file.polling.interval='5 ms', @map(type='csv'),
    event.duplicated.in.cluster='true', events.duplicated.window='WINDOW')
define stream Plain (n long);
@source(type='http', path='/pushed', events.duplicated.in.cluster='true',
    events.duplicated.id='n', events.duplicated.window='WINDOW')
define stream Pushed (n long);
@primaryKey('way', 'n') define table Seen (way string, n long, times long);
from Named select 'named' as way, n insert into All;
from Plain select 'plain' as way, n insert into All;
from Pushed select 'pushed' as way, n insert into All;
from All select way, n, 1L as times update or insert into Seen set Seen.times = Seen.times + times
    on Seen.way == way and Seen.n == n;
";

/// Equal events come, too: so many different ones without ids.
const KINDS: i64 = 7;

const ANSWER: Duration = Duration::from_secs(2);

/// A pair whose plan remembers events for so long.
fn start(plan: &'static str) -> Pair {
    let plans: &'static [(&'static str, &'static str)] =
        Box::leak(Box::new([("both.siddhi", plan)]));
    Pair::start(Plot { plans, ..Plot::default() })
}

fn plan(window: &str) -> &'static str {
    Box::leak(PLAN.replace("WINDOW", window).into_boxed_str())
}

/// What comes from outside to both nodes.
#[derive(Default)]
struct Outside {
    sent: i64,
    /// How often each event has to count.
    expected: BTreeMap<(String, i64), i64>,
}

impl Outside {
    /// So many more events reach both nodes, one of them a moment later.
    fn send(&mut self, pair: &Pair, count: i64) {
        let next: Vec<i64> = (self.sent + 1..=self.sent + count).collect();
        self.sent += count;
        let first = usize::try_from(self.sent % 2).expect("0 or 1");
        for node in [first, 1 - first] {
            let named: String = next.iter().map(|n| format!("event-{n},{n}\n")).collect();
            append(pair, node, "named.csv", &named);
            let plain: String = next.iter().map(|n| format!("{}\n", n % KINDS)).collect();
            append(pair, node, "plain.csv", &plain);
        }
        for n in next {
            *self.expected.entry(("named".to_owned(), n)).or_default() += 1;
            *self.expected.entry(("plain".to_owned(), n % KINDS)).or_default() += 1;
        }
    }

    /// An event is pushed to both nodes, again until one of them has taken it.
    fn push(&mut self, pair: &Pair, n: i64) {
        pair.wait(SOON, "an event is taken", || {
            let taken = [0, 1].map(|node| push(pair, node, n));
            taken.contains(&true).then_some(())
        });
        self.expected.insert(("pushed".to_owned(), n), 1);
    }

    fn check(&self, pair: &Pair) {
        for node in 0..2 {
            let complete = || seen(pair, node).filter(|seen| seen.len() >= self.expected.len());
            let what = format!("all is seen at {node}");
            pair.wait(SOON, &what, || complete().filter(|seen| *seen == self.expected));
        }
        // Copies may come later than what they are copies of.
        sleep(Duration::from_millis(300));
        for node in 0..2 {
            assert_eq!(seen(pair, node).as_ref(), Some(&self.expected), "{}", pair.tell());
        }
    }
}

fn append(pair: &Pair, node: usize, file: &str, text: &str) {
    let path = pair.nodes[node].folder().join(file);
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("a file");
    file.write_all(text.as_bytes()).expect("it is written");
}

fn push(pair: &Pair, node: usize, n: i64) -> bool {
    let (address, body) = (pair.nodes[node].address(), json!({ "n": n }).to_string());
    let path = "/api/v1/receivers/pushed";
    let answer = client::ask_within(address, ANSWER, "POST", path, &[], Some(body.as_bytes()));
    answer.is_ok_and(|answer| answer.status == 202)
}

/// How often each event counts at a node; `None` if it does not say.
fn seen(pair: &Pair, node: usize) -> Option<BTreeMap<(String, i64), i64>> {
    let query = json!({ "query": "from Seen select way, n, times" }).to_string();
    let (path, address) = ("/api/v1/plans/both/query", pair.nodes[node].address());
    let answer = client::ask_within(address, ANSWER, "POST", path, &[], Some(query.as_bytes()));
    let rows = answer.ok()?.json()["rows"].as_array()?.clone();
    rows.iter()
        .map(|row| Some(((row[0].as_str()?.to_owned(), row[1].as_i64()?), row[2].as_i64()?)))
        .collect()
}

fn copies_left_out(pair: &Pair, node: usize) -> u64 {
    let metrics = pair.try_get(node, "/metrics").map_or(String::new(), |answer| answer.text());
    let lines = metrics.lines().filter(|line| line.contains("reason=\"copy\""));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[test]
fn what_comes_on_both_nodes_counts_once_whichever_is_killed() {
    let mut pair = start(plan("10 min"));
    let mut outside = Outside::default();
    for round in 0..from_environment("KILLS", 4) {
        let active = pair.wait_in_sync();
        let target = if round % 4 == 3 { 1 - active } else { active };
        for step in 0..12 {
            outside.send(&pair, 5);
            outside.push(&pair, 100 * round + step);
            if step == 6 {
                match round % 4 {
                    2 => drop(pair.nodes[active].post("/api/v1/ha/switch", "")),
                    _ => pair.kill(target),
                }
            }
        }
        if round % 4 != 2 {
            pair.start_again(target);
        }
    }
    pair.wait_in_sync();
    outside.send(&pair, 5);
    outside.push(&pair, 1_000_000);
    outside.check(&pair);
    let left_out = (0..2).map(|node| copies_left_out(&pair, node)).max();
    assert!(left_out > Some(0), "{}", pair.tell());
    say(&format!("{} events to both nodes, {left_out:?} copies left out", outside.sent));
}

#[test]
fn a_source_that_was_away_for_longer_than_events_are_remembered_brings_none_twice() {
    let mut pair = start(plan("1 sec"));
    let mut outside = Outside::default();
    for both_end in [false, true] {
        let active = pair.wait_in_sync();
        outside.send(&pair, 20);
        outside.check(&pair);
        pair.kill(1 - active);
        for _ in 0..8 {
            outside.send(&pair, 20);
            sleep(Duration::from_millis(300));
        }
        if both_end {
            pair.kill(active);
            outside.send(&pair, 20);
            pair.start_again(active);
        }
        pair.start_again(1 - active);
        pair.wait_in_sync();
        outside.check(&pair);
        outside.send(&pair, 20);
        outside.check(&pair);
    }
}

#[test]
fn a_reader_may_ask_for_the_active_node() {
    let pair = Pair::start(Plot::default());
    let active = pair.wait_in_sync();
    let names = ["node-a", "node-b"];
    let ask = |node: usize, path: &str, body: Option<&str>| {
        let address = pair.nodes[node].address();
        let method = if body.is_some() { "POST" } else { "GET" };
        client::ask(address, method, path, &[], body.map(str::as_bytes))
    };
    let query = "from Totals select k";
    let reads = [
        ("/api/v1/plans/count/query?node=", Some(query)),
        ("/api/v1/plans/count/streams/In/events?node=", None),
        ("/api/v1/plans/count/streams/In/tail?node=", None),
    ];
    for (path, body) in reads {
        let refused = ask(1 - active, &format!("{path}active"), body);
        let document = refused.json();
        assert_eq!((refused.status, &document["code"]), (421, &json!("not-active")), "{path}");
        assert_eq!(document["active"], names[active]);
        assert!(document["detail"].as_str().is_some_and(|text| text.contains(names[1 - active])));
        if path.contains("/tail") {
            continue;
        }
        assert_eq!(ask(active, &format!("{path}active"), body).status, 200, "{path}");
        assert_eq!(ask(1 - active, &format!("{path}any"), body).status, 200, "{path}");
        assert_eq!(ask(active, &format!("{path}other"), body).status, 400, "{path}");
    }
}

#[test]
fn a_line_that_cannot_be_read_is_a_letter_of_each_node() {
    let mut pair = start(plan("10 min"));
    let active = pair.wait_in_sync();
    for node in [active, 1 - active] {
        append(&pair, node, "named.csv", "event-1,one\n");
    }
    let path = "/api/v1/plans/both/dead-letters";
    let letters = |pair: &Pair, node: usize| {
        let answer = pair.try_get(node, path).map(|answer| answer.json());
        answer.map(|answer| answer["dead_letters"].clone()).unwrap_or_default()
    };
    for node in 0..2 {
        pair.wait(SOON, "both lines are letters", || {
            (letters(&pair, node).as_array()?.len() == 2).then_some(())
        });
    }
    let all = letters(&pair, active);
    assert_eq!(letters(&pair, 1 - active), all, "in the same order, with the same times");
    assert_eq!(
        (&all[0]["sample"], &all[1]["sample"]),
        (&json!("event-1,one"), &json!("event-1,one"))
    );
    pair.kill(active);
    pair.wait(SOON, "the other one acts", || pair.acts(1 - active).then_some(()));
    assert_eq!(letters(&pair, 1 - active), all, "none is lost, and none is there more often");
    let ask = |pair: &Pair, method: &str, path: &str, body: &str| {
        let address = pair.nodes[1 - active].address();
        let answer = client::ask_within(address, ANSWER, method, path, &[], Some(body.as_bytes()));
        answer.expect("it answers").status
    };
    assert_eq!(ask(&pair, "POST", &format!("{path}/1/replay"), "event-1,1"), 200);
    assert_eq!(ask(&pair, "DELETE", &format!("{path}/2"), ""), 200);
    pair.start_again(active);
    pair.wait_in_sync();
    for node in 0..2 {
        let once = BTreeMap::from([(("named".to_owned(), 1), 1)]);
        let what = format!("the mended event counts once at {node}");
        pair.wait(SOON, &what, || (seen(&pair, node)? == once).then_some(()));
        assert_eq!(letters(&pair, node), json!([]));
    }
}
