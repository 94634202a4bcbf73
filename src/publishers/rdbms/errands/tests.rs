//! Errands at a table of SQLite in a file.

use std::sync::Arc;

use tempfile::TempDir;

use crate::event::DataType;
use crate::event::Schema;
use crate::event::Structure;
use crate::event::Value;
use crate::event::codec::Encode;
use crate::plan::logical::Role;
use crate::plan::outside::errand_schema;
use crate::publishers::Answered;
use crate::publishers::Parcel;
use crate::publishers::Publisher;
use crate::publishers::harness::Sink;
use crate::publishers::rdbms::errands::ask::BYTES_MAX;
use crate::publishers::rdbms::errands::ask::FOUND_MAX;
use crate::store::Session;
use crate::store::Stores;

struct Scene {
    _folder: TempDir,
    stores: Stores,
    sink: Sink,
    store: Box<dyn Publisher>,
    next: u64,
}

fn schema() -> Schema {
    Schema::new([("k", DataType::Text), ("n", DataType::Int)])
}

fn row(text: &str, number: Option<u64>, with: Vec<Value>, put: [Value; 2]) -> Vec<Value> {
    let number = number.map_or(Value::Null, |number| Value::Long(number as i64));
    let [k, n] = put;
    vec![text.into(), number, Value::Object(Arc::new(Structure::List(with))), k, n]
}

fn question(text: &str, number: u64, with: Vec<Value>) -> Vec<Value> {
    row(text, Some(number), with, [Value::Null, Value::Null])
}

fn by_key(number: u64, key: &str) -> Vec<Value> {
    question("ask 0 = 0 0", number, vec![key.into()])
}

fn insert(key: &str, n: i32) -> Vec<Value> {
    row("insert 0", None, Vec::new(), [key.into(), Value::Int(n)])
}

/// An update or insert of the whole row by its key.
fn upsert(key: &str, n: i32) -> Vec<Value> {
    let put = [Value::from(key), Value::Int(n)];
    row("upsert 2 0 0 1 1 = 0 0", None, put.to_vec(), put)
}

impl Scene {
    fn new() -> Scene {
        Scene::with(&[])
    }

    fn with(options: &[(&str, &str)]) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let stores = Stores::in_file("D", &folder.path().join("d.db"));
        let sink = Sink::new("rdbms", &errand_schema(&schema()))
            .option("datasource", "D")
            .option("table.name", "t")
            .option("external", "true")
            .option("primary.keys", "k");
        let sink = options.iter().fold(sink, |sink, (key, value)| sink.option(key, value));
        let sink = Sink { role: Role::Errands, stores: Some(stores.clone()), ..sink };
        let store = sink.build();
        Scene { _folder: folder, stores, sink, store, next: 1 }
    }

    fn session(&self) -> Session {
        self.stores.get("D").unwrap().session().unwrap()
    }

    fn parcel(&mut self, rows: &[Vec<Value>]) -> Parcel {
        let all: Vec<&[Value]> = rows.iter().map(Vec::as_slice).collect();
        let parcel = Parcel { publisher: "store:T".into(), ..self.sink.parcel(self.next, &all) };
        self.next += rows.len() as u64;
        parcel
    }

    /// Gives it something and takes what it answers, until all is done: the most bytes that it
    /// ever held, how often it stopped, and which questions were answered, in order.
    fn drain(&mut self, rows: &[Vec<Value>]) -> (usize, usize, Vec<u64>) {
        let parcel = self.parcel(rows);
        let (mut most, mut stops, mut numbers) = (0, 0, Vec::new());
        self.store.publish(&parcel).unwrap();
        loop {
            let flushed = self.store.flush();
            let answered = self.store.answers();
            let bytes = answered.iter().map(|one| one.answers.rows.bytes()).sum();
            most = most.max(bytes);
            numbers.extend(answered.iter().flat_map(|one| one.answers.numbers.clone()));
            match flushed {
                Ok(()) => break,
                Err(error) => assert!(error.busy, "{error}"),
            }
            assert!(!self.store.settled(self.next - 1), "some are still to be asked");
            stops += 1;
        }
        assert!(self.store.settled(self.next - 1) && self.store.answers().is_empty());
        numbers.sort_unstable();
        (most, stops, numbers)
    }

    fn send(&mut self, rows: &[Vec<Value>]) {
        let parcel = self.parcel(rows);
        self.store.publish(&parcel).unwrap();
        self.store.flush().unwrap();
    }

    /// What came back: `number: rows`, or why not.
    fn answers(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        for answered in self.store.answers() {
            let answers = answered.answers;
            assert!(answers.is_whole() && *answers.table == *"S");
            for (number, rows) in answers.found() {
                let rows: Vec<String> = rows.map(|row| shown(&answers.rows.row(row))).collect();
                let text = answers.failure.as_ref().map_or(rows.join(", "), ToString::to_string);
                all.push(format!("{number}: {text}"));
            }
        }
        all
    }

    fn table(&self) -> Vec<String> {
        let types = schema().types();
        let rows = self.session().query("SELECT k, n FROM t ORDER BY k", &[], &types).unwrap();
        (0..rows.len()).map(|row| shown(&rows.row(row))).collect()
    }
}

fn shown(values: &[Value]) -> String {
    let one = |value: &Value| {
        let mut text = String::new();
        value.write_text(&mut text);
        text
    };
    values.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[test]
fn questions_see_the_writes_before_them_and_not_those_after() {
    let mut scene = Scene::new();
    scene.send(&[
        by_key(1, "a"),
        insert("a", 1),
        insert("b", 2),
        by_key(2, "a"),
        upsert("a", 3),
        by_key(3, "b"),
        by_key(4, "a"),
        by_key(5, "x"),
    ]);
    assert_eq!(scene.answers(), ["1: ", "2: a 1", "3: b 2", "4: a 3", "5: "]);
    assert!(scene.store.settled(8) && scene.store.is_lost(), "a life begins with asking again");
    assert!(scene.answers().is_empty() && !scene.store.is_lost());
    assert_eq!(scene.table(), ["a 3", "b 2"]);
}

#[test]
fn questions_of_any_condition_are_answered() {
    let mut scene = Scene::new();
    let rows: Vec<_> = (0..20).map(|n| insert(&format!("k{n:02}"), n)).collect();
    scene.send(&rows);
    scene.send(&[
        question("ask 0 and > 1 0 not = 1 1", 1, vec![Value::Int(16), Value::Int(18)]),
        question("ask 0 and = 0 0 < 1 1", 2, vec!["k03".into(), Value::Int(3)]),
        question("ask 0 or = 0 0 null 1", 3, vec!["k05".into()]),
        question("ask 0 = 1 0", 4, vec![Value::Null]),
        question("ask 0 holds 0", 5, vec![Value::Bool(false)]),
        question("ask 0 = 1 0", 6, vec![Value::Double(7.0)]),
    ]);
    let mut answers = scene.answers();
    answers.sort();
    let expected = ["1: k17 17, k19 19", "2: ", "3: k05 5", "4: ", "5: ", "6: k07 7"];
    assert_eq!(answers, expected);
}

#[test]
fn what_finds_too_much_is_not_answered() {
    let mut scene = Scene::new();
    scene.send(&[]);
    scene.send(&[insert("a", 0)]);
    let sql = format!(
        "INSERT INTO t WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c \
         WHERE n < {FOUND_MAX}) SELECT 'k' || n, 7 FROM c"
    );
    scene.session().run(&sql).unwrap();
    let seven = Value::Int(7);
    scene.send(&[question("ask 0", 1, vec![]), question("ask 0 = 1 0", 2, vec![seven])]);
    let answers = scene.answers();
    assert!(answers[0].starts_with("1: more than 10000 rows"), "{}", answers[0]);
    assert!(answers[1].starts_with("2: k1 7, k10 7"), "{}", &answers[1][..40]);
    scene.session().run("INSERT INTO t VALUES ('more', 7)").unwrap();
    scene.send(&[question("ask 0 = 1 0", 3, vec![Value::Int(7)])]);
    assert!(scene.answers()[0].starts_with("3: more than 10000 rows"));
}

#[test]
fn many_questions_are_asked_together() {
    let mut scene = Scene::new();
    let rows: Vec<_> = (0..3_000).map(|n| insert(&format!("k{n}"), n)).collect();
    scene.send(&rows);
    let asked: Vec<_> = (0..1_300u64).map(|n| by_key(n + 1, &format!("k{}", n * 3))).collect();
    scene.send(&asked);
    let answers = scene.answers();
    assert_eq!(answers.len(), 1_300);
    assert_eq!((&*answers[0], &*answers[999]), ("1: k0 0", "1000: k2997 2997"));
    assert_eq!(answers[1_000], "1001: ");
}

#[test]
fn rows_are_changed_as_a_plan_says() {
    let mut scene = Scene::new();
    let none = || [Value::Null, Value::Null];
    scene.send(&[insert("a", 1), insert("b", 2), insert("c", 3)]);
    let (two, nine) = (Value::Int(2), Value::Int(9));
    scene.send(&[
        row("update 1 1 0 >= 1 1", None, vec![nine.clone(), two.clone()], none()),
        row("delete 0 not = 1 0", None, vec![nine], none()),
        row("upsert 1 1 0 = 0 1", None, vec![two, "d".into()], ["d".into(), Value::Int(5)]),
        row("upsert 1 1 0 = 0 1", None, vec![Value::Int(4), "b".into()], none()),
    ]);
    assert_eq!(scene.table(), ["b 4", "c 9", "d 5"]);
}

#[test]
fn sums_are_counted_once_and_what_does_not_fit_is_refused() {
    let mut scene = Scene::new();
    let none = || [Value::Null, Value::Null];
    let add = |key: &str, n: i32| {
        row("update 1 1 + int column 1 0 = 0 1", None, vec![Value::Int(n), key.into()], none())
    };
    let add_or_put = |key: &str, n: i32| {
        let put = [Value::from(key), Value::Int(n)];
        row("upsert 1 1 + int column 1 0 = 0 1", None, vec![Value::Int(n), key.into()], put)
    };
    scene.send(&[insert("a", 1), add("a", 2), add("b", 9), add_or_put("c", 5), add_or_put("c", 6)]);
    assert_eq!(scene.table(), ["a 3", "c 11"]);
    let parcel = scene.parcel(&[add("a", 4), add("a", 5)]);
    let later = |epoch| Parcel { epoch, ..parcel.clone() };
    for epoch in [1, 1, 2] {
        scene.store.publish(&later(epoch)).unwrap();
        scene.store.flush().unwrap();
        assert_eq!(scene.table(), ["a 12", "c 11"], "however often they are given");
    }
    let parcel = scene.parcel(&[add("a", 1), add("c", i32::MAX), add("a", 1)]);
    let parcel = Parcel { epoch: 2, ..parcel };
    scene.store.publish(&parcel).unwrap();
    assert!(scene.store.flush().unwrap_err().transient);
    assert_eq!(scene.store.publish(&parcel).unwrap_err().rows, Some(1..2));
    scene.store.publish(&parcel).unwrap();
    assert_eq!(scene.table(), ["a 14", "c 11"]);
    let nothing = row("update 1 1 + int column 1 0", None, vec![Value::Null], none());
    let parcel = Parcel { epoch: 2, ..scene.parcel(&[nothing]) };
    scene.store.publish(&parcel).unwrap();
    scene.store.flush().unwrap();
    assert_eq!(scene.table(), ["a null", "c null"]);
}

#[test]
fn writes_are_done_once_and_a_late_node_is_refused() {
    let mut scene = Scene::new();
    let first = scene.parcel(&[insert("a", 1), insert("b", 2), by_key(1, "a")]);
    let later = |epoch| Parcel { epoch, ..first.clone() };
    scene.store.publish(&later(1)).unwrap();
    scene.store.flush().unwrap();
    // The node that takes over does it again.
    let mut new = scene.sink.build();
    new.publish(&later(2)).unwrap();
    new.flush().unwrap();
    assert_eq!(new.answers().len(), 1);
    assert_eq!(scene.table(), ["a 1", "b 2"]);
    let next = scene.parcel(&[insert("c", 3)]);
    new.publish(&Parcel { epoch: 2, ..next.clone() }).unwrap();
    new.flush().unwrap();
    let more = Parcel { epoch: 1, ..next };
    scene.store.publish(&more).unwrap();
    let error = scene.store.flush().unwrap_err();
    assert!(error.deposed, "{error:?}");
}

#[test]
fn a_row_that_is_refused_is_left_out_and_all_others_are_done() {
    let mut scene = Scene::new();
    scene.send(&[insert("a", 1)]);
    let parcel = scene.parcel(&[insert("b", 2), insert("a", 3), insert("c", 4), by_key(1, "a")]);
    scene.store.publish(&parcel).unwrap();
    assert!(scene.store.flush().unwrap_err().transient);
    let error = scene.store.publish(&parcel).unwrap_err();
    assert_eq!((error.transient, error.rows), (false, Some(1..2)));
    scene.store.publish(&parcel).unwrap();
    scene.store.flush().unwrap();
    assert_eq!(scene.table(), ["a 1", "b 2", "c 4"]);
    assert_eq!(scene.answers(), ["1: a 1"]);
}

#[test]
fn what_was_done_before_a_parcel_is_given_up_is_not_lost() {
    let mut scene = Scene::new();
    scene.send(&[insert("a", 1)]);
    let nobody_knows = question("ask 0 like 0 0", 1, vec!["a".into()]);
    let rows = [by_key(2, "a"), insert("b", 2), nobody_knows, insert("c", 3), by_key(3, "c")];
    let parcel = scene.parcel(&rows);
    assert_eq!(scene.store.undone(&parcel), 1..5, "who asks is told otherwise");
    scene.store.publish(&parcel).unwrap();
    scene.store.flush().unwrap_err();
    assert_eq!(scene.store.publish(&parcel).unwrap_err().rows, Some(2..3));
    assert_eq!(scene.store.undone(&parcel), 3..5, "b is written");
    let asks = scene.parcel(&[by_key(4, "a")]);
    assert!(scene.store.undone(&asks).is_empty());
}

#[test]
fn what_is_given_up_is_answered_with_the_reason() {
    let mut scene = Scene::new();
    let parcel = scene.parcel(&[insert("b", 2), by_key(4, "a"), by_key(5, "b")]);
    scene.store.abandon(&parcel, "away");
    assert_eq!(scene.answers(), ["4: away", "5: away"]);
}

#[test]
fn kept_answers_are_given_until_the_plan_writes() {
    let mut scene = Scene::with(&[("cache.size", "10"), ("cache.policy", "lru")]);
    scene.send(&[insert("a", 1)]);
    scene.send(&[by_key(1, "a"), by_key(2, "b")]);
    assert_eq!(scene.answers(), ["1: a 1", "2: "]);
    scene.session().run("UPDATE t SET n = 2").unwrap();
    scene.session().run("INSERT INTO t VALUES ('b', 3)").unwrap();
    scene.send(&[by_key(3, "a"), by_key(4, "b"), by_key(5, "a")]);
    let mut answers = scene.answers();
    answers.sort();
    assert_eq!(answers, ["3: a 1", "4: b 3", "5: a 1"], "what was not found is asked again");
    scene.send(&[upsert("c", 4), by_key(6, "a")]);
    assert_eq!(scene.answers(), ["6: a 2"]);
    let mut plain = Scene::new();
    plain.send(&[insert("a", 1), by_key(1, "a")]);
    plain.session().run("UPDATE t SET n = 2").unwrap();
    plain.send(&[by_key(2, "a")]);
    assert_eq!(plain.answers(), ["1: a 1", "2: a 2"]);
}

/// Fills the table with so many rows of each of these numbers.
fn fill(scene: &mut Scene, numbers: i32, rows: usize) {
    scene.send(&[insert("a", 0)]);
    let sql = format!(
        "INSERT INTO t WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c \
         WHERE i + 1 < {}) SELECT printf('k%06d', i), 1 + i % {numbers} FROM c",
        rows * numbers as usize
    );
    scene.session().run(&sql).unwrap();
}

#[test]
fn a_question_finds_no_more_than_its_condition_says() {
    let mut scene = Scene::new();
    fill(&mut scene, 1, FOUND_MAX + 1);
    let last = |number, n, key: &str| {
        question("ask 0 and = 1 0 >= 0 1", number, vec![Value::Int(n), key.into()])
    };
    // One condition for all, and one for each, also of those with the same key.
    scene.send(&[last(1, 1, "k010000"), last(2, 2, "k010000")]);
    assert_eq!(scene.answers(), ["1: k010000 1", "2: "]);
    scene.send(&[last(3, 1, "k009999"), last(4, 1, "k010000"), last(5, 0, "a")]);
    let mut answers = scene.answers();
    answers.sort();
    assert_eq!(answers, ["3: k009999 1, k010000 1", "4: k010000 1", "5: a 0"]);
}

#[test]
fn more_than_one_statement_gives_is_asked_by_halves_and_answered_by_short_entries() {
    let mut scene = Scene::new();
    fill(&mut scene, 21, FOUND_MAX);
    let asked: Vec<_> =
        (1..=21).map(|n| question("ask 0 = 1 0", n, vec![Value::Int(n as i32)])).collect();
    scene.send(&asked);
    let answered = scene.store.answers();
    assert!(answered.len() > 1, "{}", answered.len());
    let mut found = Vec::new();
    for Answered { answers, .. } in &answered {
        assert!(answers.is_whole() && answers.rows.encoded_bytes() <= 4 << 20);
        assert_eq!(answers.failure, None);
        for (number, rows) in answers.found() {
            let is_own = |row| answers.rows.columns[1].value(row) == Value::Int(number as i32);
            assert!(rows.clone().all(is_own));
            found.push((number, rows.len()));
        }
    }
    found.sort_unstable();
    assert_eq!(found, (1..=21).map(|number| (number, FOUND_MAX)).collect::<Vec<_>>());
}

/// Bytes that are found before it stops, and what the last statement may add.
const HELD_MAX: usize = (32 << 20) + BYTES_MAX + (1 << 20);

/// A table of twelve rows of 4 MiB, with the numbers from 1 on.
fn long_rows() -> Scene {
    let mut scene = Scene::with(&[("indices", "n")]);
    scene.send(&[insert("a", 0)]);
    let sql = "INSERT INTO t WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c \
               WHERE i < 12) SELECT printf('%02d', i) || hex(zeroblob(2097152)), i FROM c";
    scene.session().run(sql).unwrap();
    scene
}

fn by_number(number: u64, n: i32) -> Vec<Value> {
    question("ask 0 = 1 0", number, vec![Value::Int(n)])
}

#[test]
fn what_many_questions_find_is_never_held_all_at_once() {
    let mut scene = long_rows();
    // Questions of two places of a plan, by turns.
    let by_turns = |n: u64| match n % 2 {
        0 => by_number(n, n as i32),
        _ => question("ask 0 and = 1 0 > 0 1", n, vec![Value::Int(n as i32), "".into()]),
    };
    let asked: Vec<_> = (1..=12).map(by_turns).collect();
    let (most, stops, numbers) = scene.drain(&asked);
    assert!(most < HELD_MAX && stops >= 1, "{most} bytes, {stops} stops");
    assert_eq!(numbers, (1..=12).collect::<Vec<u64>>(), "each once");
}

#[test]
fn a_parcel_that_goes_alone_stops_as_well_when_much_is_found() {
    let mut scene = long_rows();
    let mut rows: Vec<_> = (1..=12).map(|n| by_number(n, n as i32)).collect();
    // The key is there already.
    rows.push(insert("a", 1));
    let parcel = scene.parcel(&rows);
    let (mut stops, mut refused, mut numbers) = (0, 0, Vec::new());
    for _ in 0..20 {
        let done = scene.store.publish(&parcel).and_then(|()| scene.store.flush());
        let answered = scene.store.answers();
        let bytes: usize = answered.iter().map(|one| one.answers.rows.bytes()).sum();
        assert!(bytes < HELD_MAX, "{bytes}");
        numbers.extend(answered.iter().flat_map(|one| one.answers.numbers.clone()));
        match done {
            Ok(()) => break,
            Err(error) if error.busy => stops += 1,
            Err(error) => refused += usize::from(error.rows == Some(12..13)),
        }
    }
    assert!(scene.store.settled(13) && refused == 1 && stops >= 1, "{refused} {stops}");
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers, (1..=12).collect::<Vec<u64>>());
}

#[test]
fn rows_that_many_questions_find_are_said_once() {
    let mut scene = Scene::new();
    fill(&mut scene, 1, 100);
    let asked: Vec<_> = (1..=50).map(|n| question("ask 0 = 1 0", n, vec![Value::Int(1)])).collect();
    scene.send(&asked);
    let answered = scene.store.answers();
    assert_eq!((answered.len(), answered[0].answers.rows.len()), (1, 100));
    assert!(answered[0].answers.found().all(|(_, rows)| rows == (0..100)));
    assert_eq!(answered[0].answers.numbers.len(), 50);
}

#[test]
fn a_question_that_finds_too_many_bytes_is_not_answered() {
    let mut scene = Scene::new();
    let long = "x".repeat(BYTES_MAX);
    scene.send(&[insert(&long, 1), insert("b", 2)]);
    let by_number = |n: i32| question("ask 0 = 1 0", n as u64, vec![Value::Int(n)]);
    scene.send(&[by_number(1), by_number(2)]);
    let expected = ["2: b 2", "1: more than 16 MiB of the table are found by one row"];
    assert_eq!(scene.answers(), expected);
}

#[test]
fn a_question_that_is_refused_fails_alone() {
    let mut scene = Scene::new();
    scene.send(&[insert("a", 1), insert("b", 2), insert("c", 4)]);
    // SQLite takes it; nobody can read it as a number.
    scene.session().run("INSERT INTO t VALUES ('bad', 'word')").unwrap();
    scene.send(&[by_key(1, "a"), by_key(2, "b"), by_key(3, "bad"), by_key(4, "c")]);
    let mut answers = scene.answers();
    answers.sort();
    assert!(answers[2].starts_with("3: ") && answers[2].contains("no int"), "{}", answers[2]);
    answers.remove(2);
    assert_eq!(answers, ["1: a 1", "2: b 2", "4: c 4"]);
}

#[test]
fn questions_passed_are_asked_again_where_their_answers_got_lost() {
    let mut scene = Scene::new();
    scene.send(&[insert("a", 1)]);
    let rows = [by_key(1, "a"), insert("a", 2), by_key(2, "a"), insert("a", 3), insert("b", 4)];
    let parcel = scene.parcel(&rows);
    scene.store.publish(&parcel).unwrap();
    scene.store.flush().unwrap_err();
    scene.answers();
    assert_eq!(scene.store.publish(&parcel).unwrap_err().rows, Some(1..2));
    assert_eq!(scene.store.publish(&parcel).unwrap_err().rows, Some(3..4));
    assert_eq!(scene.answers(), ["1: a 1", "2: a 1"]);
    scene.store.answers_lost();
    scene.store.publish(&parcel).unwrap();
    assert_eq!(scene.answers(), ["1: a 1", "2: a 1"], "and no row is refused again");
    assert_eq!(scene.table(), ["a 1", "b 4"]);
}
