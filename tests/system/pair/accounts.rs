//! Checks from outside what a pair did: everything that was answered counts once, nothing is seen
//! twice, and nothing out of order.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::pair::load::Report;
use crate::pair::load::counts;
use crate::pair::load::firsts;
use crate::pair::load::number;
use crate::pair::nodes::Pair;

/// How long results may take that are still to come.
const SETTLE: Duration = Duration::from_secs(60);

/// A result as the plan that counts says it: key, number of the event under its key, and the count.
type Row = (u64, u64, u64);

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Results that the receiver with ids got under a second id.
    pub repeated: u64,
    /// Rows that the receiver without ids has more than once.
    pub plain_repeated: u64,
    /// Stretches of such rows.
    pub plain_stretches: u64,
    /// Parcels that the nodes say may have been repeated there.
    pub uncertain: u64,
    /// So often something came again under an id that was known.
    pub again: u64,
}

/// Compares what a pair did with what was sent, and says what is not wrong and yet to be known.
///
/// # Panics
/// If something answered was lost, counted twice, or came out of order; if one receiver saw under a
/// new id what it had seen, or the other one more often than the nodes admit.
pub fn check(pair: &Pair, report: &Report) -> Found {
    let events = report.rate.events;
    let mut totals = BTreeMap::new();
    let mut marked = BTreeSet::new();
    for (sender, sent) in (0..).zip(&report.senders) {
        totals.extend(counts(sender, sent.requests, events).map(|(key, all)| (key, (all, all))));
        marked.extend(firsts(sender, sent.requests, events));
    }
    for node in 0..2 {
        let mut seen = BTreeMap::new();
        let end = std::time::Instant::now() + SETTLE;
        while seen != totals && std::time::Instant::now() < end {
            seen = pair.totals(node);
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(seen, totals, "the totals at node {node}; {}", pair.tell());
    }
    let mut found = Found { uncertain: pair.uncertain(), ..Found::default() };
    check_aware(pair, &marked, &mut found);
    check_plain(pair, &totals, &marked, &mut found);
    let Found { plain_repeated, uncertain, .. } = found;
    assert!(plain_repeated <= uncertain * events, "more than parcels of {events}: {found:?}");
    found
}

fn check_aware(pair: &Pair, marked: &BTreeSet<(u64, u64)>, found: &mut Found) {
    pair.wait(SETTLE, "all results are at the receiver with ids", || {
        (pair.receiver.book().results.len() >= marked.len()).then_some(())
    });
    let book = pair.receiver.book();
    assert_eq!(book.changed, Vec::<String>::new(), "results that changed under their id");
    let mut last = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for result in &book.results {
        let (k, seq, n) = row(&result.event);
        assert_eq!(seq, n, "{} counts what was lost or repeated: {}", result.id, result.event);
        if !seen.insert((k, seq)) {
            found.repeated += 1;
            continue;
        }
        let before = last.insert(k, seq).unwrap_or(0);
        assert!(before < seq, "{} comes after {before}: {}", result.id, result.event);
    }
    assert_eq!(seen, *marked, "results of all that was answered, and of nothing else");
    found.again = book.again;
    assert_eq!(found.repeated, 0, "results under a second id; {}", pair.tell());
}

fn check_plain(
    pair: &Pair,
    totals: &BTreeMap<u64, (u64, u64)>,
    marked: &BTreeSet<(u64, u64)>,
    found: &mut Found,
) {
    let (mut last, mut rows, mut torn) = (BTreeMap::new(), Vec::new(), 0);
    let all: u64 = totals.values().map(|(all, _)| all).sum();
    let all = if pair.shows_all { all } else { marked.len() as u64 };
    let next = |key: u64, before: u64| match pair.shows_all {
        true => Some(before + 1),
        false => marked.range((key, before + 1)..(key + 1, 0)).next().map(|(_, seq)| *seq),
    };
    let seen = |line: &str| {
        // A process can be killed in the middle of a line, which is then written again.
        let document = serde_json::from_str::<Value>(line).ok()?;
        Some(row(document.get("event").unwrap_or(&document)))
    };
    pair.wait(SETTLE, "all results are at the receiver without ids", || {
        let text = pair.plain();
        let enough = text.lines().count() as u64 >= all;
        let all_seen = || text.lines().filter_map(seen).collect::<BTreeSet<Row>>().len() as u64;
        (enough && all_seen() >= all).then_some(())
    });
    for line in pair.plain().lines() {
        match seen(line) {
            Some(row) => rows.push(row),
            None => torn += 1,
        }
    }
    let mut repeats = false;
    for (k, seq, n) in rows {
        assert_eq!(seq, n, "key {k}: it counts what was lost or repeated");
        let before = last.get(&k).copied().unwrap_or(0);
        if seq <= before {
            found.plain_repeated += 1;
            found.plain_stretches += u64::from(!std::mem::replace(&mut repeats, true));
            continue;
        }
        repeats = false;
        assert_eq!(Some(seq), next(k, before), "key {k}: one is missing after {before}");
        last.insert(k, seq);
    }
    for key in totals.keys() {
        let before = last.get(key).copied().unwrap_or(0);
        let rest = next(*key, before).filter(|seq| *seq <= totals[key].0);
        assert_eq!(rest, None, "key {key}: one is missing at the end");
    }
    let Found { plain_stretches, uncertain, .. } = *found;
    assert!(
        plain_stretches + torn <= uncertain,
        "{plain_stretches} stretches of rows were repeated, {torn} torn, and the nodes admit \
         {uncertain} parcels"
    );
}

fn row(event: &Value) -> Row {
    (number(&event["k"]), number(&event["seq"]), number(&event["n"]))
}
