//! Rows that wait for answers: order, what counts of an answer, failing, and state.

use crate::engine::context::Note;
use crate::engine::core::PlanCore;
use crate::engine::entry::Entry;
use crate::engine::entry::Input;
use crate::engine::entry::Outlet;
use crate::engine::external::WAIT_MAX;
use crate::engine::library::Library;
use crate::engine::pieces::Pieces;
use crate::engine::state::SavedState;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::Millis;
use crate::event::Structure;
use crate::event::Value;
use crate::language;
use crate::plan;
use crate::plan::answers::Answers;
use crate::plan::logical::Origin;
use crate::plan::logical::Plan;
use crate::plan::logical::QueryId;
use crate::plan::logical::StreamId;
use crate::replica::Builder;
use crate::replica::EngineBuilder;
use std::sync::Arc;

const HEAD: &str = "define stream S (k string, n int);
    define stream W (k string, v double);
    @store(type='rdbms', datasource='D', external='true') @primaryKey('k')
    define table T (k string, v double); ";

/// A plan whose errands are kept, and whose results are shown as text.
struct Scene {
    plan: Arc<Plan>,
    core: PlanCore,
    seen: Seen,
    now: Millis,
}

#[derive(Default)]
struct Seen {
    plan: Option<Arc<Plan>>,
    /// What is to be done, with the question's number and the parameters.
    errands: Vec<(String, Option<u64>, Vec<Value>)>,
    out: Vec<String>,
}

impl Outlet for Seen {
    fn stream(&mut self, stream: StreamId, _: Millis, rows: &Batch) {
        let plan = self.plan.as_ref().unwrap();
        for row in 0..rows.len() {
            let mut values = rows.row(row);
            if matches!(plan.streams[stream].origin, Origin::Errands(_)) {
                let Value::Object(with) = values.remove(2) else { panic!() };
                let Structure::List(with) = &*with else { panic!() };
                let number = values[1].as_long().map(i64::cast_unsigned);
                self.errands.push((values[0].as_text().unwrap().to_owned(), number, with.clone()));
                continue;
            }
            let text: Vec<String> = values.iter().map(shown).collect();
            self.out.push(format!("{} {}", plan.streams[stream].shown(), text.join(" ")));
        }
    }

    fn query(&mut self, _: QueryId, _: Millis, _: &Batch) {}

    fn note(&mut self, note: Note) {
        self.out.push(format!("note {}", note.text));
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Object(object) => match &**object {
            Structure::Error(text) => format!("`{text}`"),
            other => format!("{other:?}"),
        },
        other => {
            let mut text = String::new();
            other.write_text(&mut text);
            text
        }
    }
}

impl Scene {
    fn new(queries: &str) -> Scene {
        let mut scene = Scene::built(&format!("{HEAD}{queries}"));
        scene.core.start(0);
        scene
    }

    /// Not started.
    fn built(text: &str) -> Scene {
        let parsed = language::parse(text);
        let checked = plan::check(&parsed.tree, text, &Library::standard());
        let plan = Arc::new(checked.plan.unwrap_or_else(|| panic!("{:?}", checked.diagnostics)));
        let core = PlanCore::build(Arc::clone(&plan), 7).unwrap();
        let seen = Seen { plan: Some(Arc::clone(&plan)), ..Seen::default() };
        let mut scene = Scene { plan, core, seen, now: 0 };
        scene.watch();
        scene
    }

    fn watch(&mut self) {
        for (id, stream) in self.plan.streams.iter().enumerate() {
            let is_inside = matches!(stream.origin, Origin::Defined | Origin::Inner(_));
            if !is_inside || stream.name == "O" {
                self.core.watch_stream(id);
            }
        }
    }

    fn send(&mut self, stream: &str, rows: &[&[Value]]) {
        let id = self.plan.stream(stream).unwrap();
        let mut batch = Batch::new(&self.plan.streams[id].schema.types());
        rows.iter().for_each(|row| batch.push_row(self.now, row));
        let input = Input::Rows { stream: id, batch: &batch };
        self.core.apply(&Entry { at: self.now, input }, &mut self.seen);
    }

    /// Rows of `S`.
    fn ask(&mut self, rows: &[(&str, i32)]) {
        let rows: Vec<[Value; 2]> =
            rows.iter().map(|(key, n)| [Value::from(*key), Value::Int(*n)]).collect();
        let rows: Vec<&[Value]> = rows.iter().map(|row| &row[..]).collect();
        self.send("S", &rows);
    }

    fn wait(&mut self, time: Millis) {
        self.now += time;
        self.core.apply(&Entry { at: self.now, input: Input::Tick }, &mut self.seen);
    }

    /// Answers questions with rows of the table.
    fn answer(&mut self, answers: &[(u64, &[(&str, f64)])], failure: Option<&str>) {
        let mut rows = Batch::new(&self.plan.tables[0].schema.types());
        for (key, v) in answers.iter().flat_map(|(_, rows)| *rows) {
            rows.push_row(0, &[Value::from(*key), Value::Double(*v)]);
        }
        let counts = answers.iter().map(|(_, rows)| rows.len() as u32);
        let starts =
            counts.clone().scan(0, |next, count| Some(std::mem::replace(next, *next + count)));
        let answers = Answers {
            table: "T".into(),
            numbers: answers.iter().map(|(number, _)| *number).collect(),
            starts: starts.collect(),
            counts: counts.collect(),
            rows,
            failure: failure.map(Into::into),
        };
        self.take(answers);
    }

    fn take(&mut self, answers: Answers) {
        let answers = Arc::new(answers);
        let entry = Entry { at: self.now, input: Input::Answers(&answers) };
        self.core.apply(&entry, &mut self.seen);
    }

    /// Goes on in an engine that took the saved state.
    fn change_engine(&mut self) {
        let bytes = self.core.freeze().to_bytes();
        let mut fresh = PlanCore::build(Arc::clone(&self.plan), 7).unwrap();
        fresh.load(&bytes).unwrap();
        assert_eq!(fresh.held(), self.core.held());
        self.core = fresh;
        self.watch();
    }

    #[track_caller]
    fn expect(&mut self, lines: &[&str]) {
        assert_eq!(std::mem::take(&mut self.seen.out), lines);
    }

    fn errands(&mut self) -> Vec<(String, Option<u64>, Vec<Value>)> {
        std::mem::take(&mut self.seen.errands)
    }
}

const JOIN: &str =
    "from S join T on S.k == T.k and T.v > 1.0 select S.k as k, S.n as n, T.v as v insert into O;";

#[test]
fn rows_wait_for_their_answers_and_leave_in_order() {
    let mut scene = Scene::new(JOIN);
    scene.ask(&[("a", 1), ("b", 2)]);
    scene.ask(&[("c", 3)]);
    scene.expect(&[]);
    let errands = scene.errands();
    let texts: Vec<_> = errands.iter().map(|errand| (&*errand.0, errand.1)).collect();
    let text = "ask 0 and = 0 0 > 1 1";
    assert_eq!(texts, [(text, Some(1)), (text, Some(2)), (text, Some(3))]);
    assert_eq!(errands[1].2[0].as_text(), Some("b"));
    scene.answer(&[(2, &[("b", 20.0)])], None);
    scene.expect(&[]);
    // What the database gives may be more than was asked for.
    scene.answer(&[(1, &[("A", 5.0), ("a", 10.0), ("a", 0.5)]), (3, &[])], None);
    scene.expect(&["O a 1 10.0", "O b 2 20.0"]);
    assert_eq!(scene.core.held(), 0);
}

#[test]
fn one_answer_counts_and_others_have_no_effect() {
    let mut scene = Scene::new(JOIN);
    scene.ask(&[("a", 1), ("b", 2)]);
    scene.answer(&[(2, &[("b", 2.0)])], None);
    scene.answer(&[(2, &[("b", 3.0)]), (7, &[("b", 3.0)])], None);
    scene.answer(&[(1, &[])], None);
    scene.expect(&["O b 2 2.0"]);
    scene.answer(&[(1, &[("a", 9.0)])], None);
    scene.expect(&[]);
}

#[test]
fn what_waits_goes_on_in_another_engine() {
    let mut scene = Scene::new(JOIN);
    scene.ask(&[("a", 1), ("b", 2), ("c", 3)]);
    scene.answer(&[(2, &[("b", 2.0)])], None);
    scene.change_engine();
    scene.answer(&[(1, &[("a", 3.0)])], None);
    scene.expect(&["O a 1 3.0", "O b 2 2.0"]);
    scene.change_engine();
    scene.ask(&[("d", 4)]);
    assert_eq!(scene.errands().last().unwrap().1, Some(4));
    scene.answer(&[(4, &[("d", 4.0)]), (3, &[("c", 5.0)])], None);
    scene.expect(&["O c 3 5.0", "O d 4 4.0"]);
}

#[test]
fn a_row_without_match_stands_in_an_outer_join() {
    let mut scene = Scene::new(
        "from S left outer join T on S.k == T.k select S.k as k, T.v as v insert into O;",
    );
    scene.ask(&[("a", 1), ("b", 2)]);
    scene.answer(&[(1, &[]), (2, &[("b", 2.0), ("b", 3.0)])], None);
    scene.expect(&["O a null", "O b 2.0", "O b 3.0"]);
}

#[test]
fn a_row_fails_that_gets_no_answer_or_cannot_get_one() {
    let mut scene = Scene::new(JOIN);
    scene.ask(&[("a", 1)]);
    scene.wait(WAIT_MAX - 1);
    scene.ask(&[("b", 2)]);
    scene.expect(&[]);
    scene.wait(1);
    let late = "no answer of the table's store came within 60 s";
    scene.expect(&[&format!("note query `query_1` could not compute 1 rows: {late}")]);
    scene.answer(&[(1, &[("a", 3.0)])], None);
    scene.expect(&[]);
    scene.answer(&[(2, &[])], Some("no"));
    scene.expect(&["note query `query_1` could not compute 1 rows: no"]);
    assert_eq!((scene.core.drops().fault, scene.core.held()), (2, 0));
    scene.ask(&[("c", 3)]);
    scene.wait(WAIT_MAX);
    assert_eq!(scene.core.drops().fault, 3);
}

#[test]
fn rows_that_fail_go_to_the_fault_stream_whole() {
    let text = "@OnError(action='STREAM') define stream F (x int, k string, y int);
        @store(type='rdbms', datasource='D', external='true') define table U (k string);
        from F[k == U.k in U] select k insert into O;
        from !F select x, k, y, _error insert into P;";
    let mut scene = Scene::new(text);
    let row = [Value::Int(1), Value::from("a"), Value::Int(2)];
    scene.send("F", &[&row]);
    scene.wait(WAIT_MAX);
    let late = "`no answer of the table's store came within 60 s`";
    let fault = format!("!F 1 a 2 {late}");
    scene.expect(&[&fault, &format!("P 1 a 2 {late}")]);
}

#[test]
fn a_filter_asks_and_passes_what_it_finds() {
    let mut scene = Scene::new(
        "from S[n > 1 and not (k == T.k in T)]#window.length(2) select k, count() as c
         insert into O;",
    );
    scene.ask(&[("a", 1), ("b", 2), ("c", 3)]);
    let errands = scene.errands();
    assert_eq!((errands.len(), &*errands[0].0), (3, "ask 0 = 0 0"));
    scene.answer(&[(1, &[]), (2, &[("b", 1.0)]), (3, &[("x", 1.0)])], None);
    scene.expect(&["O c 1"]);
    let left_out: Vec<u64> = scene.core.left_out().map(|each| each.2).collect();
    assert_eq!(left_out, [2]);
}

#[test]
fn writes_leave_in_order_with_questions() {
    let mut scene = Scene::new(&format!(
        "{JOIN} from W select k, v insert into T;
         from W[v > 1.0] select k, v update or insert into T set T.v = v on T.k == k;
         from W[v < 0.0] delete T on T.k == k and T.v != v;"
    ));
    scene.ask(&[("a", 1)]);
    scene.send("W", &[&[Value::from("a"), Value::Double(2.0)]]);
    scene.send("W", &[&[Value::from("b"), Value::Double(-1.0)]]);
    let texts: Vec<String> = scene.errands().into_iter().map(|errand| errand.0).collect();
    let expected = [
        "ask 0 and = 0 0 > 1 1",
        "insert 0",
        "upsert 1 1 1 = 0 0",
        "insert 0",
        "delete 0 and = 0 0 != 1 1",
    ];
    assert_eq!(texts, expected);
    assert_eq!(scene.core.table_rows(), 0, "nothing is kept");
}

#[test]
fn where_paths_meet_rows_that_waited_leave_one_by_one() {
    let mut scene = Scene::new(
        "from S join T on S.k == T.k select S.k as k, T.v as v insert into A;
         from A select k insert into O; from A select k insert into O;",
    );
    scene.ask(&[("a", 1), ("b", 2)]);
    scene.answer(&[(1, &[("a", 1.0)]), (2, &[("b", 1.0)])], None);
    let out: Vec<String> = std::mem::take(&mut scene.seen.out);
    let out: Vec<&String> = out.iter().filter(|line| line.starts_with('O')).collect();
    assert_eq!(out, ["O a", "O a", "O b", "O b"]);
}

const IN_PARTITION: &str = "@purge(enable='true', interval='1 sec', idle.period='2 sec')
    partition with (k of S) begin
        from S join T on S.k == T.k select S.k as k, S.n as n, T.v as v insert into #I;
        from #I select k, n, v, count() as c insert into O;
    end;";

#[test]
fn in_a_partition_all_keys_wait_in_one_line_and_keep_their_state() {
    let mut scene = Scene::new(IN_PARTITION);
    scene.ask(&[("a", 1), ("b", 2), ("a", 3), ("c", 4)]);
    scene.answer(&[(3, &[("a", 3.0)]), (2, &[("b", 2.0)])], None);
    scene.expect(&[]);
    scene.change_engine();
    scene.answer(&[(1, &[("a", 1.0), ("a", 1.5)]), (4, &[])], None);
    // What one row finds is one chunk, of which a count gives the last.
    scene.expect(&["O a 1 1.5 2", "O b 2 2.0 1", "O a 3 3.0 3"]);
    assert_eq!(scene.core.drops().fault, 0);
}

#[test]
fn a_key_is_not_purged_while_a_row_of_it_waits() {
    let mut scene = Scene::new(IN_PARTITION);
    scene.ask(&[("z", 0)]);
    scene.answer(&[(1, &[("z", 0.0)])], None);
    scene.expect(&["O z 0 0.0 1"]);
    scene.ask(&[("a", 1)]);
    scene.answer(&[(2, &[("a", 1.0)])], None);
    scene.expect(&["O a 1 1.0 1"]);
    scene.ask(&[("a", 2)]);
    (0..10).for_each(|_| scene.wait(1_000));
    // `z` is purged by now, and another key has its number.
    scene.ask(&[("b", 1)]);
    scene.answer(&[(4, &[("b", 7.0)])], None);
    scene.expect(&[]);
    scene.answer(&[(3, &[("a", 2.0)])], None);
    scene.expect(&["O a 2 2.0 2", "O b 1 7.0 1"]);
    (0..10).for_each(|_| scene.wait(1_000));
    scene.ask(&[("a", 3)]);
    scene.answer(&[(5, &[("a", 3.0)])], None);
    scene.expect(&["O a 3 3.0 1"]);
}

#[test]
fn a_row_in_a_partition_fails_in_time_though_the_key_before_it_is_purged() {
    let mut scene = Scene::new(IN_PARTITION);
    scene.ask(&[("a", 1)]);
    scene.wait(1_000);
    scene.ask(&[("b", 2)]);
    // The line is to be woken for `a`, which has left and is purged by then.
    scene.answer(&[(1, &[("a", 1.0)])], None);
    scene.expect(&["O a 1 1.0 1"]);
    (0..29).for_each(|_| scene.wait(1_000));
    // This one gets the number that `a` had.
    scene.ask(&[("c", 3)]);
    (30..60).for_each(|_| scene.wait(1_000));
    scene.expect(&[]);
    scene.wait(1_000);
    let late = "no answer of the table's store came within 60 s";
    scene.expect(&[&format!("note query `query_1` could not compute 1 rows: {late}")]);
    scene.answer(&[(3, &[("c", 3.0)])], None);
    scene.expect(&["O c 3 3.0 1"]);
    assert_eq!(scene.core.drops().fault, 1);
}

#[test]
fn a_filter_in_a_partition_asks_and_keeps_keys_apart() {
    let mut scene = Scene::new(
        "partition with (k of S) begin
             from S[k == T.k in T]#window.lengthBatch(2) select k, sum(n) as n insert into O;
         end;",
    );
    scene.ask(&[("a", 1), ("b", 10), ("a", 2), ("b", 20), ("c", 5)]);
    let all: Vec<(u64, &[(&str, f64)])> =
        vec![(1, &[("a", 1.0)]), (2, &[("b", 1.0)]), (3, &[("a", 1.0)]), (4, &[("b", 1.0)])];
    scene.answer(&all, None);
    scene.expect(&["O a 3", "O b 30"]);
}

/// A row of `S` of which a query reads the key, and one of which it cannot.
const WHOLE: &str = "{\"k\": \"b\"}";
const BROKEN: &str = "{";

#[test]
fn the_end_of_a_chunk_that_cannot_be_asked_for_holds_up_nobody() {
    let queries = "from S#window.lengthBatch(2) select k, n insert into M;
        from M[json:getString(k, '$.k') == T.k in T] select n insert into O;";
    let mut scene = Scene::new(queries);
    scene.ask(&[(WHOLE, 1), (BROKEN, 2)]);
    scene.answer(&[(1, &[("b", 1.0)])], None);
    assert_eq!((scene.core.held(), scene.core.drops().fault), (0, 1));
    assert_eq!(scene.seen.out.last().unwrap(), "O 1");
    // Rows of a chunk leave together, also around one that is not among them.
    let queries = queries.replace("(2)", "(3)");
    let mut scene = Scene::new(&queries);
    scene.ask(&[(WHOLE, 1), (BROKEN, 2), (WHOLE, 3)]);
    scene.seen.out.clear();
    scene.answer(&[(1, &[("b", 1.0)])], None);
    scene.expect(&[]);
    scene.wait(WAIT_MAX);
    assert_eq!(scene.seen.out.last().unwrap(), "O 1", "the other was waited for in vain");
    assert_eq!((scene.core.held(), scene.core.drops().fault), (0, 2));
}

#[test]
fn state_is_the_same_whatever_has_left_since_it_was_loaded() {
    let found = [("k", 2.0)];
    let answers = |numbers: std::ops::RangeInclusive<u64>| -> Vec<(u64, &[(&str, f64)])> {
        numbers.map(|number| (number, &found[..])).collect()
    };
    let mut scenes = [Scene::new(JOIN), Scene::new(JOIN)];
    for (place, scene) in scenes.iter_mut().enumerate() {
        scene.ask(&[("k", 1); 5_000]);
        scene.answer(&answers(1..=3_000), None);
        if place == 1 {
            scene.change_engine();
        }
        scene.answer(&answers(3_001..=4_500), None);
        scene.answer(&answers(4_600..=4_700), None);
    }
    let [one, other] = scenes.map(|scene| (scene.core.state_bytes(), scene.core.freeze()));
    assert_eq!(one.0, other.0);
    assert!(one.1.to_bytes() == other.1.to_bytes());
    assert!(one.0 < 100_000, "what has left counts for nothing: {}", one.0);
}

#[test]
fn a_row_that_fails_at_its_first_question_leaves_the_second_of_others_alone() {
    let mut scene = Scene::new(
        "from S[json:getString(k, '$.k') == T.k in T or n == T.v in T] select n insert into O;",
    );
    scene.ask(&[(BROKEN, 1), (WHOLE, 2)]);
    let errands = scene.errands();
    let numbers: Vec<_> = errands.iter().map(|errand| errand.1).collect();
    assert_eq!(numbers, [Some(1), Some(2)]);
    assert_eq!(errands[0].2[0].as_text(), Some("b"));
    assert_eq!(errands[1].2[0].as_double(), Some(2.0));
}

#[test]
fn a_number_is_never_given_to_another_question() {
    let mut scene = Scene::new(JOIN);
    scene.ask(&[("a", 1), ("b", 2)]);
    let without = "define stream S (k string, n int); from S select k insert into O;";
    let mut next = Scene::built(without);
    next.core.adopt(&SavedState::of(&Arc::new(scene.core.freeze())), 0).unwrap();
    for is_coming in [false, true] {
        let bytes = next.core.freeze().to_bytes();
        next = Scene::built(without);
        let state = match is_coming {
            true => SavedState::coming(Pieces::of(bytes.clone())),
            false => SavedState::parse(&bytes),
        };
        next.core.take_state(state.unwrap()).unwrap();
    }
    scene = Scene::built(&format!("{HEAD}{JOIN}"));
    scene.core.adopt(&SavedState::of(&Arc::new(next.core.freeze())), 0).unwrap();
    scene.ask(&[("a", 1)]);
    assert_eq!(scene.errands()[0].1, Some(3));
}

#[test]
fn numbers_go_on_where_all_other_state_is_lost() {
    let mut state = StateWriter::default();
    state.section("errands", 1);
    state.put(&7u64);
    state.section("identity", 1);
    let plan = Scene::new(JOIN).plan;
    let builder = EngineBuilder { plan, secret: 7 };
    let (machine, carried) = builder.carry(&SavedState::of(&Arc::new(state.freeze())), 0).unwrap();
    assert_eq!(carried.dropped[0].what, "all state");
    let saved = machine.freeze().to_bytes();
    let saved = SavedState::parse(&saved).unwrap();
    assert_eq!(saved.section("errands", 1).unwrap().get::<u64>(), Ok(7));
}

#[test]
fn rows_that_several_questions_found_are_kept_once() {
    let text = "from S join T on T.v > 0.0 select S.n as n, T.v as v insert into O;";
    let mut scene = Scene::new(text);
    scene.ask(&[("a", 1), ("b", 2), ("c", 3), ("d", 4)]);
    let before = scene.core.state_bytes();
    let mut rows = Batch::new(&scene.plan.tables[0].schema.types());
    let key = "k".repeat(1_000);
    rows.push_row(0, &[Value::from(&*key), Value::Double(1.0)]);
    let (numbers, starts, counts) = (vec![2, 3, 4], vec![0; 3], vec![1; 3]);
    let table = "T".into();
    scene.take(Answers { table, numbers, starts, counts, rows, failure: None });
    let more = scene.core.state_bytes() - before;
    assert!((1_000..1_500).contains(&more), "{more}");
    scene.change_engine();
    assert_eq!(scene.core.state_bytes() - before, more);
    scene.answer(&[(1, &[])], None);
    scene.expect(&["O 2 1.0", "O 3 1.0", "O 4 1.0"]);
}

#[test]
fn rows_that_fail_after_they_waited_are_not_taken_for_those_of_others() {
    let mut scene = Scene::new(
        "@OnError(action='STREAM') define stream F (k string, n int);
         @OnError(action='STREAM') define stream O (k string, n int);
         from F join T on T.v > 0.0 select json:getString(F.k, '$.k') as k, F.n as n insert into O;
         from O select n insert into P; from !F select n insert into Q;
         from !O select n insert into R;",
    );
    for (key, n) in [(BROKEN, 1), (WHOLE, 2)] {
        scene.send("F", &[&[Value::from(key), Value::Int(n)]]);
    }
    scene.answer(&[(2, &[("b", 1.0)])], None);
    scene.answer(&[(1, &[("b", 1.0)])], None);
    let out = std::mem::take(&mut scene.seen.out);
    let note = "note query `query_1` could not compute a row: ";
    assert!(out.iter().any(|line| line.starts_with(note)), "{out:?}");
    assert!(out.contains(&"P 2".to_owned()), "{out:?}");
    assert!(!out.iter().any(|line| line.starts_with('!')), "{out:?}");
}
