//! Windows and aggregates against a model on lists that shares nothing with the engine: whatever
//! query is made up, whatever comes, however it is cut and wherever the state is saved and loaded,
//! both give the same rows.

pub mod lists;
mod selection;
mod sessions;
pub mod windows;

use lists::Lists;
use lists::Row;
use selection::AGGREGATES;
use selection::Cell;
use selection::Groups;
use selection::Key;
use selection::Seen;
use selection::Selection;
use std::rc::Rc;
use std::sync::Arc;
use twinflow::engine::context::Note;
use twinflow::engine::core::PlanCore;
use twinflow::engine::entry::Entry;
use twinflow::engine::entry::Input;
use twinflow::engine::entry::Outlet;
use twinflow::engine::library::Library;
use twinflow::event::Batch;
use twinflow::event::DataType;
use twinflow::event::Kind;
use twinflow::event::Millis;
use twinflow::event::Structure;
use twinflow::event::Value;
use twinflow::language;
use twinflow::plan::check;
use twinflow::plan::logical::Plan;
use twinflow::plan::logical::QueryId;
use twinflow::plan::logical::StreamId;
use twinflow::rehearsal::Dice;
use windows::Condition;
use windows::Start;
use windows::Window;

/// Queries tried; `CASES=n` tries more.
const CASES: u64 = 3_000;

const KEYS: &[&str] = &["a", "b", "c", "null", ""];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Query,
    Partition,
    /// The window is a named one.
    Named,
}

#[derive(Clone, Debug)]
struct Spec {
    window: Window,
    place: Place,
    selection: Selection,
}

/// The model: what each partition key holds, in order of their coming.
struct Model {
    spec: Spec,
    keys: Vec<(Option<i32>, Lists, Groups)>,
    /// Whose rows of a send are still coming.
    gathering: Option<usize>,
    seen: Vec<Seen>,
}

impl Model {
    fn say(&mut self, place: usize, said: impl FnOnce(&mut Lists) -> Vec<lists::Chunk>) {
        let (_, window, groups) = &mut self.keys[place];
        for chunk in said(window) {
            self.spec.selection.select(chunk, groups, &mut self.seen);
        }
    }

    fn advance(&mut self, now: Millis) {
        loop {
            let dues = self.keys.iter().enumerate();
            let due = dues.filter_map(|(place, (_, window, _))| Some((window.due()?, place))).min();
            let Some((due, place)) = due.filter(|(due, _)| *due <= now) else { return };
            self.say(place, |window| window.wake(due));
        }
    }

    fn take(&mut self, row: &Rc<Row>) {
        let key = if self.spec.place == Place::Partition { row.p } else { Some(0) };
        let misses = self.spec.misses(row);
        if key.is_some() {
            let place = self.keys.iter().position(|known| known.0 == key).unwrap_or_else(|| {
                self.keys.push((key, Lists::new(self.spec.window), Groups::default()));
                self.keys.len() - 1
            });
            if let Some(other) = self.gathering.filter(|other| *other != place) {
                self.say(other, |window| window.end_send(row.at));
            }
            self.gathering = matches!(self.spec.window, Window::Batch(_)).then_some(place);
            if !misses {
                self.say(place, |window| window.take(Rc::clone(row), row.at));
            }
        }
        if row.ends_send
            && let Some(place) = self.gathering.take()
        {
            self.say(place, |window| window.end_send(row.at));
        }
    }
}

impl Spec {
    /// Whether a row lacks what the window goes by.
    fn misses(&self, row: &Row) -> bool {
        match self.window {
            Window::ExternalTime(_) | Window::ExternalTimeBatch(..) => row.t.is_none(),
            Window::Session(_, true, _) => row.k.is_none(),
            _ => false,
        }
    }

    fn plan(&self) -> String {
        let columns = "i int, p int, k string, n int, v double, b bool, t long";
        let mut text = format!("define stream S ({columns});\n");
        let window = self.window.text();
        let from = match (self.place, window.is_empty()) {
            (Place::Named, false) => {
                text.push_str(&format!("define window W ({columns}) {window};\n"));
                text.push_str("from S insert into W;\n");
                "W".to_owned()
            }
            (_, true) => "S".to_owned(),
            (_, false) => format!("S#window.{window}"),
        };
        let events = match (self.selection.current, self.selection.expired) {
            (true, true) => "all",
            (false, true) => "expired",
            _ => "current",
        };
        let select = self.selection.text();
        let query =
            format!("@info(name='q') from {from} {select} insert {events} events into Out;");
        text.push_str(&match self.place {
            Place::Partition => format!("partition with (p of S) begin\n{query}\nend;"),
            Place::Query | Place::Named => query,
        });
        text
    }
}

fn condition(dice: &mut Dice) -> Condition {
    match dice.below(4) {
        0 => Condition::Count(1 + dice.below(4) as usize),
        1 => Condition::Sum(2 + dice.below(12) as i64),
        2 => Condition::SameKey,
        _ => Condition::Within(5 + 10 * dice.below(4) as Millis),
    }
}

fn window(dice: &mut Dice) -> Window {
    let span = 5 + 10 * dice.below(5) as Millis;
    let most = 1 + dice.below(4) as usize;
    let start = (dice.below(2) == 0).then(|| dice.below(40) as Millis);
    let either = dice.below(2) == 0;
    match dice.below(24) {
        0 => Window::None,
        1 => Window::Length(most - dice.below(2) as usize),
        2 => Window::LengthBatch(most, either),
        3 => Window::LengthBatch(0, false),
        4 => Window::Time(span),
        5 => Window::TimeBatch(span, start, either),
        6 => Window::TimeLength(span, most - dice.below(2) as usize),
        7 => Window::ExternalTime(span),
        8 => {
            let timeout = start.filter(|_| either).map(|_| 5 + 10 * dice.below(3) as Millis);
            Window::ExternalTimeBatch(span, start.map_or(Start::First, Start::At), timeout)
        }
        9 => Window::Delay(span),
        10 => Window::Batch(either.then_some(most)),
        11 => Window::Session(span, either, 0),
        12 => Window::Session(span, true, 1 + dice.below(span as u64) as Millis),
        13 => Window::Sort(most, either),
        14 => Window::Cron,
        15 => Window::Expression(condition(dice)),
        16 => Window::ExpressionBatch(condition(dice), either, dice.below(2) == 0),
        17 => Window::Frequent(most),
        18 => {
            let (support, error) = *dice.pick(&[(0.5, 0.25), (0.3, 0.1), (0.9, 0.5), (0.2, 0.2)]);
            Window::LossyFrequent(support, error)
        }
        19 => *dice.pick(&[Window::UniqueEver, Window::UniqueFirst]),
        20 => Window::UniqueLength(most),
        21 => Window::UniqueTime(span),
        22 => Window::UniqueLengthBatch(most, either),
        _ => Window::UniqueTimeBatch(span, start, either),
    }
}

fn spec(dice: &mut Dice) -> Spec {
    let window = window(dice);
    let place = match dice.below(4) {
        0 | 1 => Place::Query,
        2 if !matches!(window, Window::Batch(_) | Window::None) => Place::Named,
        _ => Place::Partition,
    };
    // Of these, rows leave that never came, or that come only after.
    let owes = matches!(
        window,
        Window::LossyFrequent(..) | Window::Expression(_) | Window::ExpressionBatch(..)
    );
    let fitting: Vec<_> = AGGREGATES.iter().filter(|each| each.owes || !owes).copied().collect();
    let aggregates: Vec<_> = (0..dice.below(4)).map(|_| *dice.pick(&fitting)).collect();
    let numeric = aggregates.first().is_some_and(|first| {
        ["sum", "avg", "count", "min", "max", "std"].iter().any(|name| first.text.starts_with(name))
    });
    let (current, expired) = *dice.pick(&[(true, false), (true, true), (false, true)]);
    let orders = dice.below(5) == 0;
    let selection = Selection {
        key: *dice.pick(&[Key::None, Key::One, Key::One, Key::Two]),
        aggregates,
        having: (dice.below(4) == 0).then(|| (numeric, dice.below(5) as i32)),
        order: orders.then(|| dice.below(2) == 0),
        offset: if dice.below(8) == 0 { 1 } else { 0 },
        limit: (dice.below(8) == 0).then(|| 1 + dice.below(2) as usize),
        current,
        expired,
    };
    Spec { window, place, selection }
}

fn rows(dice: &mut Dice, window: Window) -> Vec<Rc<Row>> {
    let steps: &[Millis] = match window {
        Window::Cron => &[0, 0, 10, 300, 700, 1000, 2500],
        _ => &[0, 0, 0, 1, 3, 10, 25, 60],
    };
    let mut at = 1000;
    let count = 10 + dice.below(60) as i32;
    let rows = (0..count).map(|i| {
        let ends_send = i + 1 == count || dice.below(3) > 0;
        let now = at;
        if ends_send {
            at += *dice.pick(steps);
        }
        let key = *dice.pick(KEYS);
        let lag = *dice.pick(&[0, 0, 0, 0, 0, 2, 10, 40]);
        let shift = *dice.pick(&[0, 0, 0, -5, 7, -20]);
        Rc::new(Row {
            i,
            p: (dice.below(12) > 0).then(|| dice.below(3) as i32),
            k: (dice.below(10) > 0).then_some(key),
            n: (dice.below(8) > 0).then(|| dice.below(9) as i32 - 2),
            v: (dice.below(8) > 0).then(|| dice.below(40) as f64 / 4.0 - 2.0),
            b: (dice.below(8) > 0).then(|| dice.below(3) > 0),
            t: (dice.below(12) > 0).then_some(now + shift),
            own: now - lag,
            at: now,
            ends_send,
        })
    });
    rows.collect()
}

#[derive(Default)]
struct Rows(Vec<Seen>);

impl Outlet for Rows {
    fn stream(&mut self, _: StreamId, _: Millis, _: &Batch) {}
    fn query(&mut self, _: QueryId, _: Millis, rows: &Batch) {
        for row in 0..rows.len() {
            let values = rows.row(row).iter().map(cell).collect();
            self.0.push((rows.kind(row) == Kind::Expired, rows.timestamps[row], values));
        }
    }
    fn note(&mut self, note: Note) {
        let known = ["is null"].iter().any(|text| note.text.contains(text));
        assert!(known, "{}", note.text);
    }
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Int(number) => Cell::Whole(i64::from(*number)),
        Value::Long(number) => Cell::Whole(*number),
        Value::Float(number) => Cell::Real(f64::from(*number)),
        Value::Double(number) => Cell::Real(*number),
        Value::Bool(flag) => Cell::Flag(*flag),
        Value::Text(text) => Cell::Text(text.to_string()),
        Value::Object(object) => match &**object {
            Structure::Set(values) => Cell::Set(values.iter().map(cell).collect()),
            Structure::List(values) => Cell::List(values.iter().map(cell).collect()),
            Structure::Map(entries) => Cell::Map(
                entries.iter().map(|(key, value)| (key.to_string(), cell(value))).collect(),
            ),
            Structure::Error(text) => Cell::Text(text.to_string()),
        },
    }
}

fn core(plan: &Arc<Plan>) -> PlanCore {
    let mut core = PlanCore::build(Arc::clone(plan), 7).expect("the plan runs");
    core.watch_query(plan.query("q").expect("it has this name"));
    core.start(1000);
    core
}

/// Runs the engine; rows of one moment come in batches, cut at random, and now and then another
/// core goes on from the state of this one.
fn run(dice: &mut Dice, plan: &Arc<Plan>, rows: &[Rc<Row>], end: Millis) -> Vec<Seen> {
    let mut seen = Rows::default();
    let mut running = core(plan);
    let stream = plan.stream("S").expect("defined");
    let (mut start, snapshot) = (0, dice.below(rows.len() as u64) as usize);
    while start < rows.len() {
        let at = rows[start].at;
        let most = 1 + dice.below(5) as usize;
        let count = rows[start..].iter().take(most).take_while(|row| row.at == at).count();
        let mut batch = Batch::new(&[
            DataType::Int,
            DataType::Int,
            DataType::Text,
            DataType::Int,
            DataType::Double,
            DataType::Bool,
            DataType::Long,
        ]);
        let number = |number: Option<i32>| number.map_or(Value::Null, Value::Int);
        for (place, row) in rows[start..start + count].iter().enumerate() {
            let values = [
                Value::Int(row.i),
                number(row.p),
                row.k.map_or(Value::Null, Value::from),
                number(row.n),
                row.v.map_or(Value::Null, Value::Double),
                row.b.map_or(Value::Null, Value::Bool),
                row.t.map_or(Value::Null, Value::Long),
            ];
            batch.push_row(row.own, &values);
            if !row.ends_send {
                batch.send_continues.set(place);
            }
        }
        running.apply(&Entry { at, input: Input::Rows { stream, batch: &batch } }, &mut seen);
        start += count;
        if (start - count..start).contains(&snapshot) || dice.below(20) == 0 {
            let state = running.freeze().to_bytes();
            running = core(plan);
            running.load(&state).expect("its own state");
            assert_eq!(state, running.freeze().to_bytes(), "loaded state is what was saved");
        }
    }
    running.apply(&Entry { at: end, input: Input::Tick }, &mut seen);
    seen.0
}

#[test]
fn the_engine_gives_what_lists_give() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let first = setting("SEED").unwrap_or(1);
    let mut found = 0;
    for seed in first..first + setting("CASES").unwrap_or(CASES) {
        let mut dice = Dice::new(seed);
        let spec = spec(&mut dice);
        let text = spec.plan();
        let parsed = language::parse(&text);
        let checked = check(&parsed.tree, &text, &Library::standard());
        let plan = checked.plan.unwrap_or_else(|| panic!("{text}\n{:?}", checked.diagnostics));
        let rows = rows(&mut dice, spec.window);
        let end = rows.last().map_or(0, |row| row.at) + *dice.pick(&[0, 10, 100, 3000]);
        let mut model = Model { spec, keys: Vec::new(), gathering: None, seen: Vec::new() };
        for row in &rows {
            model.advance(row.at);
            model.take(row);
        }
        model.advance(end);
        let seen = run(&mut dice, &Arc::new(plan), &rows, end);
        let same = seen.iter().zip(&model.seen).take_while(|(one, other)| one == other).count();
        let rest = |rows: &[Seen]| format!("{:?}", rows.get(same));
        assert!(
            seen == model.seen,
            "SEED={seed} CASES=1\n{text}\n{rows:?}\nrow {same}: engine {}\n model {}",
            rest(&seen),
            rest(&model.seen)
        );
        found += seen.len();
    }
    assert!(found > 10_000, "only {found} rows came out");
}
