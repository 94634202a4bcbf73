//! Tables that are kept in a store: their changes are numbered results, and rows that the store had
//! come first.

use std::sync::Arc;

use crate::engine::pieces::Pieces;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Millis;
use crate::event::Text;
use crate::event::Value;
use crate::event::codec::Encode;
use crate::replica::*;

const PLAN: &str = "
    define stream In (k string, n long);
    define stream Gone (k string);
    define stream Moved (k string, other string);
    define stream Bare (n long);
    define trigger Begin at 'start';
    @store(type='rdbms', datasource='D')
    @primaryKey('k') define table Keyed (k string, n long);
    @store(type='rdbms', datasource='D') define table Plain (n long);
    define table Memory (n long);
    from In select k, n update or insert into Keyed on Keyed.k == k;
    from Gone delete Keyed on Keyed.k == k;
    from Moved update Keyed set Keyed.k = other on Keyed.k == k;
    from Bare insert into Plain;
    from Bare insert into Memory;
    from Begin select 'start' as k, 0L as n insert into Keyed;";

/// A row of a publisher's: its name, its number, and the row as text.
type Told = (String, u64, String);

struct Scene {
    replica: Replica,
    told: Vec<Told>,
}

fn deploy(at: Millis, text: &str, number: u64) -> LogEntry {
    let deployment = Deployment { number, text: text.into(), secret: 7 };
    LogEntry::new(at, Body::Deploy(deployment))
}

fn rows(at: Millis, stream: &str, rows: &[&[Value]]) -> LogEntry {
    let types: Vec<DataType> = rows[0].iter().filter_map(Value::data_type).collect();
    let mut batch = Batch::new(&types);
    rows.iter().for_each(|row| batch.push_row(at, row));
    let (stream, sending, mark, copied) = (stream.into(), None, None, None);
    LogEntry::new(at, Body::Rows { stream, sending, mark, copied, batch })
}

fn load(table: &str, rows: &[&[Value]], is_first: bool, is_last: bool) -> LogEntry {
    let types: &[DataType] = match table {
        "Keyed" => &[DataType::Text, DataType::Long],
        _ => &[DataType::Long, DataType::Long],
    };
    let mut batch = Batch::new(types);
    rows.iter().for_each(|row| batch.push_row(0, row));
    LogEntry::new(5, Body::Load { table: table.into(), is_first, is_last, batch })
}

fn keyed(k: &str, n: i64) -> [Value; 2] {
    [k.into(), Value::Long(n)]
}

fn shown(value: &Value) -> String {
    match value {
        Value::Int(number) => number.to_string(),
        Value::Long(number) => number.to_string(),
        Value::Text(text) => text.to_string(),
        Value::Null => "null".to_owned(),
        other => format!("{other:?}"),
    }
}

impl Scene {
    fn new() -> Self {
        Self { replica: Replica::new(Arc::new(EngineMaker)), told: Vec::new() }
    }

    fn apply(&mut self, entry: LogEntry) -> Outcome {
        let (mut outputs, mut notes) = (Vec::new(), Vec::new());
        let outcome = self.replica.apply(entry, &mut outputs, &mut notes).unwrap();
        for Output { rows, publishers, .. } in outputs {
            for (name, first) in publishers {
                for row in 0..rows.len() {
                    let shown: Vec<String> = rows.row(row).iter().map(shown).collect();
                    self.told.push((name.to_string(), first + row as u64, shown.join(" ")));
                }
            }
        }
        outcome
    }

    fn all(&mut self, entries: Vec<LogEntry>) {
        for entry in entries {
            let shown = format!("{entry:?}");
            assert_eq!(self.apply(entry), Outcome::Done, "{shown}");
        }
    }

    fn move_on(&mut self) {
        let saved = self.replica.save().unwrap();
        self.replica =
            Replica::restore(Arc::new(EngineMaker), Pieces::of(saved.to_bytes())).unwrap();
        assert_eq!(self.replica.save().unwrap().fingerprint(), saved.fingerprint());
    }

    fn of(&self, publisher: &str) -> Vec<(u64, &str)> {
        let told = self.told.iter().filter(|(name, ..)| name == publisher);
        told.map(|(_, number, row)| (*number, row.as_str())).collect()
    }

    fn unloaded(&self) -> Vec<String> {
        self.replica.unloaded().iter().map(ToString::to_string).collect()
    }
}

/// The plan at work, with stores that were empty.
fn begun() -> Vec<LogEntry> {
    vec![deploy(1, PLAN, 1), load("Keyed", &[], true, true), load("Plain", &[], true, true)]
}

fn entries() -> Vec<LogEntry> {
    let write = Body::Write { query: "delete Keyed on Keyed.k == 'b'".into(), sending: None };
    let mut entries = begun();
    entries.extend([
        rows(10, "In", &[&keyed("a", 1), &keyed("b", 2), &keyed("a", 3)]),
        rows(11, "Moved", &[&["a".into(), "c".into()]]),
        rows(12, "Bare", &[&[Value::Long(7)], &[Value::Long(8)]]),
        LogEntry::new(13, write),
        rows(14, "Gone", &[&["start".into()], &["nobody".into()]]),
    ]);
    entries
}

#[test]
fn changes_are_numbered_results_in_order_and_only_of_tables_with_a_store() {
    let mut scene = Scene::new();
    scene.all(entries());
    assert_eq!(
        scene.of("store:Keyed"),
        [
            (1, "0 start 0"),
            (2, "0 a 1"),
            (3, "0 b 2"),
            (4, "1 a 3"),
            (5, "2 a null"),
            (6, "0 c 3"),
            (7, "2 b null"),
            (8, "2 start null"),
        ]
    );
    assert_eq!(scene.of("store:Plain"), [(1, "0 7 1"), (2, "0 8 2")], "each row has a number");
    assert_eq!(scene.told.len(), 10);
}

#[test]
fn saved_after_every_entry_it_says_the_same() {
    let (mut one, mut other) = (Scene::new(), Scene::new());
    for entry in entries() {
        one.apply(entry.clone());
        other.apply(entry);
        other.move_on();
        assert_eq!(one.unloaded(), other.unloaded());
    }
    assert_eq!(one.told, other.told);
}

#[test]
fn rows_of_a_store_come_before_anything_else_and_are_no_changes() {
    let mut scene = Scene::new();
    scene.all(vec![deploy(1, PLAN, 1)]);
    assert_eq!(scene.unloaded(), ["Keyed", "Plain"]);
    scene.all(vec![load("Keyed", &[&keyed("lost", 1)], true, false)]);
    scene.move_on();
    // Another node took over and began anew.
    scene.all(vec![
        load("Keyed", &[&keyed("x", 1)], true, false),
        load("Keyed", &[&keyed("y", 2)], false, true),
    ]);
    assert_eq!(scene.unloaded(), ["Plain"]);
    scene.all(vec![load("Plain", &[&[Value::Long(5), Value::Long(41)]], true, true)]);
    assert_eq!(scene.of("store:Keyed"), [(1, "0 start 0")], "what happens at the start is last");
    scene.all(vec![
        rows(10, "Bare", &[&[Value::Long(6)]]),
        rows(10, "In", &[&keyed("x", 9), &keyed("lost", 2)]),
    ]);
    assert_eq!(scene.of("store:Plain"), [(1, "0 6 42")], "numbers go on");
    assert_eq!(scene.of("store:Keyed")[1..], [(2, "1 x 9"), (3, "0 lost 2")]);
    assert!(matches!(scene.apply(load("Keyed", &[], true, true)), Outcome::Refused(_)));
    let other = load("Memory", &[], true, true);
    assert!(matches!(scene.apply(other), Outcome::Refused(_)));
}

#[test]
fn a_version_asks_only_the_stores_of_tables_that_it_adds_or_changes() {
    let mut scene = Scene::new();
    scene.all(entries());
    let added = "@store(type='rdbms', datasource='D') define table More (n long); define trigger";
    let next = PLAN.replacen("define trigger", added, 1);
    scene.all(vec![deploy(20, &next, 2)]);
    assert_eq!(scene.unloaded(), ["More"]);
    scene.all(vec![load("More", &[], true, true)]);
    let moved = next.replacen("datasource='D'", "datasource='E'", 1);
    scene.all(vec![deploy(30, &moved, 3)]);
    assert_eq!(scene.unloaded().len(), 1, "another place is another table");
    let told = scene.told.len();
    scene.all(vec![rows(31, "Bare", &[&[Value::Long(1)]])]);
    assert_eq!(scene.told[told..], [("store:Plain".to_owned(), 3, "0 1 3".to_owned())]);
}

#[test]
fn an_update_that_is_undone_is_no_change() {
    let text = "define stream In (k string, n long); define stream Same (n long);
        @store(type='rdbms', datasource='D')
        @primaryKey('k') define table Keyed (k string, n long);
        from In insert into Keyed;
        from Same update Keyed set Keyed.k = 'same' on Keyed.n >= n;";
    let mut scene = Scene::new();
    scene.all(vec![
        deploy(1, text, 1),
        load("Keyed", &[], true, true),
        rows(2, "In", &[&keyed("a", 1), &keyed("b", 2)]),
        rows(3, "Same", &[&[Value::Long(0)], &[Value::Long(2)]]),
    ]);
    let told = scene.of("store:Keyed");
    assert_eq!(told[2..], [(3, "2 b null"), (4, "0 same 2")], "only one row may be called so");
}

#[test]
fn pieces_are_read_back_from_their_bytes() {
    let entry = load("Keyed", &[&keyed("x", 1), &keyed("y", 2)], true, false);
    let mut bytes = Vec::new();
    entry.encode(&mut bytes);
    assert_eq!(LogEntry::events(&bytes), 2);
    let again = LogEntry::decode(&mut &bytes[..]).unwrap();
    assert_eq!(format!("{again:?}"), format!("{entry:?}"));
    assert!((0..bytes.len()).all(|end| LogEntry::decode(&mut &bytes[..end]).is_err()));
}

#[test]
fn of_errands_put_aside_those_that_write_are_done_again_at_the_end() {
    let text = "define stream In (k string, n long); define stream Ask (k string);
        @store(type='rdbms', datasource='D', external='true')
        @primaryKey('k') define table T (k string, n long);
        from In insert into T;
        from Ask join T on T.k == Ask.k select T.n as n insert into Found;";
    let mut replica = Replica::new(Arc::new(EngineMaker));
    let mut apply = |entry: LogEntry| {
        let mut outputs = Vec::new();
        let outcome = replica.apply(entry, &mut outputs, &mut Vec::new()).unwrap();
        let errands = outputs.into_iter().filter_map(|output| {
            let (publisher, first) = output.publishers.first()?.clone();
            Some((publisher, first, output.rows))
        });
        (outcome, errands.collect::<Vec<_>>())
    };
    apply(deploy(1, text, 1));
    let mut aside = Batch::default();
    for entry in [
        rows(2, "In", &[&keyed("a", 1)]),
        rows(3, "Ask", &[&["a".into()]]),
        rows(4, "In", &[&keyed("b", 2)]),
        rows(5, "Ask", &[&["b".into()]]),
    ] {
        let (_, errands) = apply(entry);
        let (_, _, rows) = &errands[0];
        if aside.columns.is_empty() {
            aside = rows.empty_like(4);
        }
        aside.extend(rows, 0, rows.len());
    }
    let count = |n: usize| (0..n).map(|_| Text::from("x")).collect();
    let payload = Payload::Rows { first: 1, names: count(5), batch: Arc::new(aside.clone()) };
    let letter = Letter {
        at: 5,
        kind: LetterKind::Store,
        place: "store:T".into(),
        stream: "T".into(),
        reason: "publisher".into(),
        message: "away".into(),
        payload,
    };
    let bounds = Bounds::default();
    let (letters, rows) = (vec![letter], None);
    let put = PutAside { letters, bounds, rows, sending: None, mark: None, copied: None };
    apply(LogEntry::new(6, Body::PutAside(Box::new(put))));
    let take_up = Body::TakeUp { letters: vec![1], rows: None, sending: None };
    let (outcome, errands) = apply(LogEntry::new(7, take_up));
    assert_eq!(outcome, Outcome::Done);
    let (publisher, first, rows) = &errands[0];
    assert_eq!((&**publisher, *first, rows.len(), errands.len()), ("store:T", 5, 2, 1));
    assert_eq!([rows.row(0), rows.row(1)], [aside.row(0), aside.row(2)]);
}
