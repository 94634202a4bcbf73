//! A replica is a function of its log: saved, taken back or repeated, it says the same.

mod letter_tests;
mod saved_tests;

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;

use crate::engine::context::Note;
use crate::engine::core::Carried;
use crate::engine::pieces::Pieces;
use crate::engine::state::SavedState;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Millis;
use crate::event::Text;
use crate::event::Value;
use crate::event::codec::Encode;
use crate::plan::logical::OnDemand;
use crate::plan::logical::StreamId;
use crate::replica::*;

const PLAN: &str = "
    @onerror(action='stream')
    @sink(type='log') define stream In (n long);
    @primaryKey('n') define table Seen (n long);
    @sink(type='log') define stream Sums (total long);
    @sink(type='log') define stream Bad (n long);
    from In#window.time(100) select sum(n) as total insert all events into Sums;
    from In select n update or insert into Seen on Seen.n == n;
    from !In select n insert into Bad;";

fn restored(saved: &Saved) -> Replica {
    Replica::restore(Arc::new(FragileMaker), Pieces::of(saved.to_bytes())).unwrap()
}

/// The number over which [`Fragile`] falls.
const POISON: i64 = 13;

/// The engine, but a row with an unlucky number makes it panic half way.
struct Fragile(Box<dyn Machine>, StreamId);

struct FragileBuilder(Arc<dyn Builder>, StreamId);

struct FragileMaker;

impl Maker for FragileMaker {
    fn make(&self, deployment: &Deployment) -> Result<Made, String> {
        let Made { plan, builder } = EngineMaker.make(deployment)?;
        let stream = plan.stream("In").unwrap();
        Ok(Made { plan, builder: Arc::new(FragileBuilder(builder, stream)) })
    }
}

impl Builder for FragileBuilder {
    fn start(&self, at: Millis) -> Result<Box<dyn Machine>, String> {
        Ok(Box::new(Fragile(self.0.start(at)?, self.1)))
    }
    fn load(&self, state: SavedState<'_>) -> Result<Box<dyn Machine>, String> {
        Ok(Box::new(Fragile(self.0.load(state)?, self.1)))
    }
    fn carry(
        &self,
        state: &SavedState<'_>,
        at: Millis,
    ) -> Result<(Box<dyn Machine>, Carried), String> {
        let (machine, carried) = self.0.carry(state, at)?;
        Ok((Box::new(Fragile(machine, self.1)), carried))
    }
}

impl Machine for Fragile {
    fn apply(&mut self, at: Millis, rows: Option<(StreamId, &Batch)>, results: &mut Results) {
        self.0.apply(at, rows, results);
        for row in rows
            .iter()
            .filter(|(stream, _)| *stream == self.1)
            .flat_map(|(_, batch)| (0..batch.len()).map(|row| batch.row(row)[0].as_long().unwrap()))
        {
            assert_ne!(row, POISON, "an unlucky number");
        }
    }
    fn ask(&mut self, query: &OnDemand) -> Result<Vec<Vec<Value>>, String> {
        self.0.ask(query)
    }
    fn next_due(&self) -> Option<Millis> {
        self.0.next_due()
    }
    fn freeze(&self) -> crate::engine::state::Frozen {
        self.0.freeze()
    }
    fn held(&self) -> usize {
        self.0.held()
    }
    fn bytes(&self) -> u64 {
        self.0.bytes()
    }
}

fn deploy(at: Millis) -> LogEntry {
    let deployment = Deployment { number: 1, text: PLAN.into(), secret: 7 };
    LogEntry::new(at, Body::Deploy(deployment))
}

fn rows(at: Millis, values: &[i64]) -> LogEntry {
    let mut batch = Batch::new(&[DataType::Long]);
    values.iter().for_each(|n| batch.push_row(at, &[Value::Long(*n)]));
    let (stream, sending, mark, copied) = ("In".into(), None, None, None);
    LogEntry::new(at, Body::Rows { stream, sending, mark, copied, batch })
}

fn sent(at: Millis, producer: &str, sequence: u64, values: &[i64]) -> LogEntry {
    let mut entry = rows(at, values);
    if let Body::Rows { sending, mark, .. } = &mut entry.body {
        *sending = Some(Sending::new(producer, sequence));
        *mark = Some(Mark { receiver: producer.into(), place: sequence.to_string().into() });
    }
    entry
}

/// A replica, and all that its publishers were given: name, number, value.
struct Scene {
    replica: Replica,
    published: Vec<(Text, u64, i64)>,
    notes: Vec<Note>,
}

impl Scene {
    fn new() -> Self {
        let replica = Replica::new(Arc::new(FragileMaker));
        Self { replica, published: Vec::new(), notes: Vec::new() }
    }

    fn apply(&mut self, entry: LogEntry) -> Outcome {
        let mut outputs = Vec::new();
        let outcome = self.replica.apply(entry, &mut outputs, &mut self.notes).unwrap();
        for output in outputs {
            for (publisher, first) in output.publishers {
                for row in 0..output.rows.len() {
                    let value = output.rows.row(row)[0].as_long().unwrap_or(-1);
                    self.published.push((publisher.clone(), first + row as u64, value));
                }
            }
        }
        outcome
    }

    /// Saves the state and goes on in another replica.
    fn move_on(&mut self) {
        let saved = self.replica.save().unwrap();
        self.replica = restored(&saved);
        assert_eq!(self.replica.save().unwrap().fingerprint(), saved.fingerprint());
        assert_eq!(self.replica.position(), saved.position);
    }

    fn sums(&self) -> Vec<(u64, i64)> {
        let of = |(name, number, value): &(Text, u64, i64)| {
            (name == "publisher:Sums:1").then_some((*number, *value))
        };
        self.published.iter().filter_map(of).collect()
    }

    fn bad(&self) -> Vec<i64> {
        let bad = self.published.iter().filter(|(name, _, _)| name == "publisher:Bad:1");
        bad.map(|(_, _, value)| *value).collect()
    }
}

fn entries() -> Vec<LogEntry> {
    let write = Body::Write { query: "delete Seen on Seen.n == 2".into(), sending: None };
    vec![
        deploy(1000),
        rows(1001, &[1, 2]),
        sent(1050, "web", 5, &[3]),
        LogEntry::new(1060, write),
        sent(1061, "web", 5, &[3]),
        LogEntry::new(1101, Body::Tick),
        rows(1099, &[4]),
        LogEntry::new(1300, Body::Tick),
    ]
}

#[test]
fn results_are_numbered_by_publisher_and_repeated_sends_have_no_effect() {
    let mut scene = Scene::new();
    let outcomes: Vec<_> = entries().into_iter().map(|entry| scene.apply(entry)).collect();
    assert_eq!(outcomes[4], Outcome::Repeated);
    assert!(outcomes.iter().enumerate().all(|(at, o)| at == 4 || *o == Outcome::Done));
    let sums: Vec<_> = scene.sums();
    let values: Vec<i64> = sums.iter().map(|(_, value)| *value).collect();
    assert_eq!(values, [1, 3, 6, 3, 7, 4, -1], "an empty window has no sum");
    assert!(sums.iter().map(|(number, _)| *number).eq(1..=7));
    assert_eq!(scene.replica.last_of("web"), Some(5));
    assert_eq!(scene.replica.place_of("web"), Some(&"5".into()));
}

#[test]
fn saved_after_every_entry_it_says_the_same() {
    let (mut one, mut other) = (Scene::new(), Scene::new());
    for entry in entries() {
        let outcome = one.apply(entry.clone());
        assert_eq!(other.apply(entry), outcome);
        other.move_on();
        let fingerprint = |scene: &Scene| scene.replica.save().unwrap().fingerprint();
        assert_eq!(fingerprint(&one), fingerprint(&other));
    }
    assert_eq!(one.published, other.published);
}

/// Applies an entry that makes the plan fall, then takes it back; gives what is left of it.
fn fall(scene: &mut Scene, entry: LogEntry) -> LogEntry {
    let position = scene.replica.position();
    let fell = catch_unwind(AssertUnwindSafe(|| scene.apply(entry)));
    assert!(fell.is_err());
    let back = scene.replica.take_back().unwrap().unwrap();
    assert!(matches!(back.body, Body::Rows { .. }));
    assert_eq!(scene.replica.position(), position);
    back
}

#[test]
fn an_entry_it_fell_over_is_skipped_and_its_rows_go_to_the_fault_stream() {
    let mut scene = Scene::new();
    let mut plain = Scene::new();
    let bad = sent(1100, "web", 9, &[8, POISON]);
    for entry in entries().into_iter().take(4) {
        plain.apply(entry.clone());
        scene.apply(entry);
    }
    let back = fall(&mut scene, bad.clone());
    assert_eq!(scene.published, plain.published, "nothing of it left");
    assert_eq!(scene.replica.last_of("web"), Some(5), "it may be sent again");
    let machine = |scene: &Scene| scene.replica.machine().unwrap().freeze().to_bytes();
    assert_eq!(machine(&scene), machine(&plain), "as if it had never come");

    let skip = Body::Skip { position: 5, reason: "an unlucky number".into() };
    scene.replica.skip(5);
    assert_eq!(scene.apply(back), Outcome::Skipped);
    plain.replica.skip(5);
    assert_eq!(plain.apply(bad.clone()), Outcome::Skipped);
    let save = |scene: &Scene| scene.replica.save().unwrap().fingerprint();
    assert_eq!(save(&scene), save(&plain), "as where it was known before that it is skipped");
    scene.move_on();
    assert_eq!(scene.replica.place_of("web"), Some(&"9".into()), "its source goes on after it");
    scene.apply(rows(1100, &[1]));
    scene.move_on();
    assert_eq!(scene.bad(), [] as [i64; 0]);
    scene.apply(LogEntry::new(1100, skip));
    assert_eq!(scene.bad(), [8, POISON]);
    // What is rebuilt later has the skip in its past.
    fall(&mut scene, bad);
    scene.apply(rows(1100, &[1]));
    assert_eq!(scene.sums().last().unwrap().1, 1 + 2 + 3 + 1 + 1);
}

#[test]
fn an_entry_it_gives_back_and_skips_moves_its_source_on() {
    let mut scene = Scene::new();
    scene.apply(deploy(1000));
    let bad = sent(1001, "web", 9, &[POISON]);
    let fell = catch_unwind(AssertUnwindSafe(|| scene.apply(bad.clone())));
    assert!(fell.is_err());
    let back = scene.replica.take_back().unwrap().unwrap();
    scene.replica.skip(2);
    assert_eq!(scene.apply(back), Outcome::Skipped);
    assert_eq!(scene.replica.place_of("web"), Some(&"9".into()), "its source goes on after it");
    // A node that knows before that it would fall comes to the same.
    let mut other = Scene::new();
    other.apply(deploy(1000));
    other.replica.skip(2);
    assert_eq!(other.apply(bad), Outcome::Skipped);
    let marks = |scene: &Scene| scene.replica.place_of("web").cloned();
    assert_eq!(marks(&scene), marks(&other));
}

/// Rows that a node's receiver of both brings, which stood at `after`.
fn copied(at: Millis, node: &str, (after, place): (&str, &str), values: &[i64]) -> LogEntry {
    let mut entry = rows(at, values);
    if let Body::Rows { mark, copied, .. } = &mut entry.body {
        let receiver = format!("receiver:In:1@{node}").into();
        *mark = Some(Mark { receiver, place: place.into() });
        *copied = Some(Box::new(Copied {
            receiver: "receiver:In:1".into(),
            node: node.into(),
            id: Some(0),
            window: 10_000,
            after: Some(after.into()).filter(|after: &Text| !after.is_empty()),
            has_passed: false,
        }));
    }
    entry
}

/// As a receiver of both nodes brings them to the plan: some of it poison.
fn twice() -> Vec<LogEntry> {
    vec![
        deploy(1000),
        copied(1001, "a", ("", "2"), &[1, 2]),
        copied(1001, "b", ("", "1"), &[1]),
        copied(1002, "b", ("1", "3"), &[2, POISON]),
        copied(1003, "a", ("2", "4"), &[POISON, 4]),
        copied(1004, "b", ("3", "4"), &[4]),
        copied(1004, "b", ("3", "4"), &[4]),
        copied(1005, "a", ("4", "5"), &[5]),
    ]
}

const WITH_SOURCE: &str = "@source(type='http', events.duplicated.in.cluster='true')";

fn copied_deploy(text: &str) -> LogEntry {
    let text = text.replacen("@sink", &format!("{WITH_SOURCE} @sink"), 1).as_str().into();
    LogEntry::new(1000, Body::Deploy(Deployment { number: 1, text, secret: 7 }))
}

#[test]
fn what_both_nodes_bring_counts_once_also_where_the_plan_falls() {
    let run = |moves_on: bool, knows_before: bool| {
        let mut scene = Scene::new();
        let mut outcomes = Vec::new();
        for (at, entry) in twice().into_iter().enumerate() {
            let entry = if at == 0 { copied_deploy(PLAN) } else { entry };
            let position = scene.replica.position() + 1;
            if knows_before && position == 4 {
                scene.replica.skip(position);
            }
            let applied = catch_unwind(AssertUnwindSafe(|| scene.apply(entry)));
            outcomes.push(applied.unwrap_or_else(|_| {
                let back = scene.replica.take_back().unwrap().unwrap();
                scene.replica.skip(position);
                scene.apply(back)
            }));
            if moves_on {
                scene.move_on();
            }
        }
        scene.apply(LogEntry::new(1006, Body::Skip { position: 4, reason: "bad".into() }));
        let left_out: u64 = scene.replica.take_left_out().values().sum();
        (outcomes, scene.sums(), scene.bad(), scene.replica.save().unwrap().fingerprint(), left_out)
    };
    let plain = run(false, false);
    let (outcomes, sums, bad, _, left_out) = &plain;
    assert_eq!(outcomes[3], Outcome::Skipped);
    assert!(matches!(outcomes[6], Outcome::Refused(_)), "it does not go on where it was");
    let values: Vec<i64> = sums.iter().map(|(_, value)| *value).collect();
    assert_eq!(values, [1, 3, 7, 12]);
    assert_eq!((&**bad, *left_out), (&[POISON][..], 4), "the poison's copy is one, too");
    assert_eq!(run(false, true), plain);
    let (outcomes, sums, bad, fingerprint, _) = run(true, false);
    assert_eq!((&outcomes, &sums, &bad, fingerprint), (&plain.0, &plain.1, &plain.2, plain.3));
}

#[test]
fn a_version_without_the_source_forgets_what_it_brought() {
    let mut scene = Scene::new();
    scene.apply(copied_deploy(PLAN));
    scene.apply(twice().remove(1));
    assert!(!scene.replica.copies.is_empty());
    scene.move_on();
    assert!(!scene.replica.copies.is_empty());
    scene.apply(next_version(1002));
    assert!(scene.replica.copies.is_empty());
}

/// A version that begins like the plan and has one more query.
fn next_version(at: Millis) -> LogEntry {
    let text = format!("{PLAN} from In#window.length(3) select n insert all events into More;");
    LogEntry::new(at, Body::Deploy(Deployment { number: 2, text: text.as_str().into(), secret: 8 }))
}

#[test]
fn a_version_that_takes_over_goes_on_with_what_is_the_same() {
    let mut alone = Scene::new();
    entries().into_iter().for_each(|entry| drop(alone.apply(entry)));
    for place in 2..entries().len() {
        for moves_on in [false, true] {
            let mut scene = Scene::new();
            for (at, entry) in entries().into_iter().enumerate() {
                if at == place {
                    scene.apply(next_version(entry.at));
                    let Takeover { carried, ended } = scene.replica.take_takeover().unwrap();
                    assert_eq!((carried.kept.len(), carried.dropped.len(), ended), (3, 0, 0));
                    assert_eq!(scene.replica.take_takeover(), None);
                }
                if at == place + 1 {
                    // The state of the version that took over is what it goes back to.
                    fall(&mut scene, rows(entry.at, &[POISON]));
                }
                scene.apply(entry);
                if moves_on {
                    scene.move_on();
                }
            }
            assert_eq!(scene.sums(), alone.sums(), "taken over before entry {place}");
        }
    }
}

#[test]
fn rows_that_a_version_does_not_keep_end_and_are_counted() {
    let mut scene = Scene::new();
    scene.apply(deploy(1000));
    scene.apply(rows(1001, &[1, 2]));
    let held = scene.replica.machine().unwrap().held();
    let text = PLAN.replace("time(100)", "time(200)");
    let deployment = Deployment { number: 2, text: text.as_str().into(), secret: 8 };
    scene.apply(LogEntry::new(1002, Body::Deploy(deployment)));
    let Takeover { carried, ended } = scene.replica.take_takeover().unwrap();
    assert_eq!(carried.kept, ["table `Seen`"]);
    assert_eq!((held, ended), (4, 2), "the table's rows stay");
    scene.apply(rows(1003, &[5]));
    assert_eq!(scene.sums().last(), Some(&(3, 5)), "numbers go on, sums begin anew");
}

#[test]
fn what_cannot_be_run_is_refused_and_a_log_without_a_plan_is_broken() {
    let mut scene = Scene::new();
    let mut none = Vec::new();
    let early = scene.replica.apply(rows(1, &[1]), &mut none, &mut Vec::new());
    assert!(early.unwrap_err().0.contains("deployment"));
    scene.apply(deploy(1));
    let other = Batch::new(&[DataType::Text]);
    let (stream, sending, mark, copied) = ("In".into(), None, None, None);
    let body = Body::Rows { stream, sending, mark, copied, batch: other };
    assert!(matches!(scene.apply(LogEntry::new(2, body)), Outcome::Refused(_)));
    let write = Body::Write { query: "delete Nowhere on Nowhere.n == 2".into(), sending: None };
    assert!(matches!(scene.apply(LogEntry::new(2, write)), Outcome::Refused(_)));
    let deployment = Deployment { number: 2, text: "define".into(), secret: 0 };
    let entry = LogEntry::new(3, Body::Deploy(deployment));
    assert!(scene.replica.apply(entry, &mut none, &mut Vec::new()).is_err());
}

#[test]
fn entries_are_read_back_from_their_bytes_and_damage_is_no_entry() {
    let mut all = entries();
    all.extend(twice());
    all.push(LogEntry::new(5, Body::Skip { position: 3, reason: "why".into() }));
    all.push(LogEntry::new(6, Body::PutAside(Box::new(letter_tests::aside(Some(&[1]))))));
    all.push(LogEntry::new(6, Body::PutAside(Box::new(letter_tests::aside(None)))));
    let known = letter_tests::known("a", Some(&[1]), Some("6"));
    all.push(LogEntry::new(6, Body::PutAside(Box::new(known))));
    let batch = Batch::new(&[DataType::Long]);
    let (sending, rows) = (Some(Sending::new("web", 4)), Some(("In".into(), batch)));
    all.push(LogEntry::new(
        7,
        Body::TakeUp { letters: vec![3, 4], rows, sending: sending.clone() },
    ));
    all.push(LogEntry::new(7, Body::TakeUp { letters: vec![3, 4], rows: None, sending: None }));
    all.push(LogEntry::new(8, Body::Discard { letters: vec![3], sending }));
    for entry in all {
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        let again = LogEntry::decode(&mut &bytes[..]).unwrap();
        assert_eq!(format!("{again:?}"), format!("{entry:?}"));
        let deploys = matches!(entry.body, Body::Deploy(_));
        assert_eq!(LogEntry::deployment(&bytes).unwrap().is_some(), deploys);
        let skips = matches!(entry.body, Body::Skip { .. });
        assert_eq!(LogEntry::skipped(&bytes).unwrap().is_some(), skips);
        for end in 0..bytes.len() {
            assert!(LogEntry::decode(&mut &bytes[..end]).is_err(), "{end} of {}", bytes.len());
        }
    }
}
