//! Joins and output rates against a model on lists that shares nothing with the engine: whatever
//! join is made up, whatever comes, however it is cut and wherever the state is saved and loaded,
//! both give the same rows.

use crate::join_snapshot::Group;
use crate::join_snapshot::Present;
use crate::join_snapshot::View;
use crate::window_model::lists::Lists;
use crate::window_model::lists::Row;
use crate::window_model::lists::Word;
use crate::window_model::windows::Window;
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
use twinflow::event::Value;
use twinflow::language;
use twinflow::plan::check;
use twinflow::plan::logical::Plan;
use twinflow::plan::logical::QueryId;
use twinflow::plan::logical::StreamId;
use twinflow::rehearsal::Dice;

/// Joins tried; `CASES=n` tries more.
const CASES: u64 = 2_500;

/// When all plans begin.
const BEGIN: Millis = 1000;

/// An event of one of the two streams.
#[derive(Clone, Debug)]
struct Event {
    stream: usize,
    row: Rc<Row>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum On {
    All,
    Key,
    KeyAndMore,
    Less,
}

/// How often rows leave.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rate {
    Always,
    /// Of so many events all, or the last.
    Events(usize, bool),
    /// Of each period all, or the last.
    Period(Millis, bool),
    /// The first, and then none for so long.
    First(Millis),
    /// At the end of each period all that is there.
    Snapshot(Millis),
}

#[derive(Clone, Debug)]
struct Spec {
    /// Whether both sides read the same stream.
    same: bool,
    windows: [Window; 2],
    asks: [bool; 2],
    outer: [bool; 2],
    on: On,
    current: bool,
    expired: bool,
    aggregated: bool,
    /// Whether nothing is selected but aggregates.
    bare: bool,
    /// Whether by the key of the left side, or of the right.
    group: Option<usize>,
    rate: Rate,
    partitioned: bool,
}

/// Both sides of a match.
type Both = [Option<Rc<Row>>; 2];

/// Sums of the right side's values: of whole numbers, and how many there were, of others, and how
/// many, and how many rows.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    whole: (i64, i64),
    real: (f64, i64),
    rows: i64,
}

type Seen = (bool, Vec<Option<f64>>);

/// What a partition key holds.
struct Key {
    key: Option<i32>,
    sides: [Lists; 2],
    groups: Vec<(Group, Sums)>,
    waiting: Vec<Seen>,
    present: Present,
}

/// The model.
struct Model {
    spec: Spec,
    keys: Vec<Key>,
    /// When a period ends, or may begin.
    period: Option<Millis>,
    seen: Vec<Seen>,
}

impl Model {
    fn advance(&mut self, now: Millis) {
        loop {
            let keys = self.keys.iter().enumerate();
            let dues = keys.flat_map(|(place, key)| {
                let due = move |side: usize| Some((key.sides[side].due()?, side, place));
                [0, 1].into_iter().filter_map(due)
            });
            let due = dues.min().filter(|(due, ..)| *due <= now);
            let end = match self.spec.rate {
                Rate::Period(..) | Rate::Snapshot(_) => self.period.filter(|end| *end <= now),
                _ => None,
            };
            match (due, end) {
                (None, None) => return,
                // What is due at the end of a period is of it.
                (Some((due, side, place)), end) if end.is_none_or(|end| due <= end) => {
                    let said = self.keys[place].sides[side].wake(due);
                    said.into_iter().flatten().for_each(|word| self.ask(place, side, word, due));
                }
                _ => self.end_period(),
            }
        }
    }

    fn end_period(&mut self) {
        if let Rate::Snapshot(period) = self.spec.rate {
            self.period = self.period.map(|end| end + period);
            let shown = self.keys.iter().flat_map(|key| key.present.show(self.spec.view()));
            return self.seen.extend(shown.map(|row| (false, row)));
        }
        let Rate::Period(period, all) = self.spec.rate else { return };
        self.period = self.period.map(|end| end + period);
        for key in &mut self.keys {
            let turn = std::mem::take(&mut key.waiting);
            let skipped = if all { 0 } else { turn.len().saturating_sub(1) };
            self.seen.extend(turn.into_iter().skip(skipped));
        }
    }

    fn take(&mut self, event: &Event) {
        let key = if self.spec.partitioned { event.row.p } else { Some(0) };
        let is_read = event.stream == 0 || !self.spec.same;
        if key.is_none() || !is_read {
            return;
        }
        let place = self.keys.iter().position(|known| known.key == key).unwrap_or_else(|| {
            let sides = self.spec.windows.map(|window| {
                // Without a window a row leaves as soon as it has come.
                Lists::new(if window == Window::None { Window::Length(0) } else { window })
            });
            let (groups, waiting) = (Vec::new(), Vec::new());
            self.keys.push(Key { key, sides, groups, waiting, present: Present::default() });
            self.keys.len() - 1
        });
        let sides = match (self.spec.same, event.stream) {
            (true, _) => 0..2,
            (false, side) => side..side + 1,
        };
        for side in sides {
            let said = self.keys[place].sides[side].take(Rc::clone(&event.row), event.row.at);
            said.into_iter().flatten().for_each(|word| self.ask(place, side, word, event.row.at));
        }
    }

    /// A row of a side looks for its matches.
    fn ask(&mut self, place: usize, side: usize, word: Word, now: Millis) {
        if !self.spec.asks[side] {
            return;
        }
        let (row, leaves) = match word {
            Word::Comes(row, _) => (row, false),
            Word::Leaves(row, _) => (row, true),
            Word::Anew => return self.keys[place].groups.clear(),
        };
        let pair = |other: Option<Rc<Row>>| match side {
            0 => [Some(Rc::clone(&row)), other],
            _ => [other, Some(Rc::clone(&row))],
        };
        let found = self.keys[place].sides[1 - side].found();
        let mut matches: Vec<Both> = found.map(|other| pair(Some(Rc::clone(other)))).collect();
        matches.retain(|both| self.spec.suits(both));
        if matches.is_empty() && self.spec.outer[side] {
            matches.push(pair(None));
        }
        let (snapshot, view) = (matches!(self.spec.rate, Rate::Snapshot(_)), self.spec.view());
        let mut chunk: Vec<(Group, Vec<Option<f64>>)> = Vec::new();
        for both in matches {
            let group = self.spec.group.and_then(|side| both[side].as_ref()?.k);
            let values = self.values(place, group, &both, leaves);
            if snapshot {
                self.keys[place].present.take(view, group, values, leaves);
                continue;
            }
            let known = chunk.iter().position(|(known, _)| *known == group);
            match known.filter(|_| self.spec.aggregated || self.spec.group.is_some()) {
                Some(known) => chunk[known].1 = values,
                None => chunk.push((group, values)),
            }
        }
        if if leaves { self.spec.expired } else { self.spec.current } {
            chunk.into_iter().for_each(|(_, row)| self.put(place, (leaves, row), now));
        }
    }

    /// What is selected of a match.
    fn values(
        &mut self,
        place: usize,
        group: Group,
        both: &Both,
        leaves: bool,
    ) -> Vec<Option<f64>> {
        let [left, right] = both;
        let n = |row: &Option<Rc<Row>>| row.as_ref().and_then(|row| row.n);
        let v = right.as_ref().and_then(|row| row.v);
        if !self.spec.aggregated {
            return vec![n(left).map(f64::from), n(right).map(f64::from), v];
        }
        let groups = &mut self.keys[place].groups;
        let known = groups.iter().position(|(known, _)| *known == group).unwrap_or_else(|| {
            groups.push((group, Sums::default()));
            groups.len() - 1
        });
        let sums = &mut groups[known].1;
        let sign = if leaves { -1 } else { 1 };
        sums.rows += sign;
        if let Some(n) = n(right) {
            sums.whole = (sums.whole.0 + sign * i64::from(n), sums.whole.1 + sign);
        }
        if let Some(v) = v {
            sums.real = (sums.real.0 + sign as f64 * v, sums.real.1 + sign);
        }
        let total = (sums.whole.1 != 0).then_some(sums.whole.0 as f64);
        let mean = (sums.real.1 != 0).then(|| sums.real.0 / sums.real.1 as f64);
        let own = (!self.spec.bare).then(|| n(left).map(f64::from));
        own.into_iter().chain([total, Some(sums.rows as f64), mean]).collect()
    }

    fn put(&mut self, place: usize, row: Seen, now: Millis) {
        let waiting = &mut self.keys[place].waiting;
        match self.spec.rate {
            Rate::Always => self.seen.push(row),
            Rate::Events(most, all) => {
                waiting.push(row);
                if waiting.len() == most {
                    let turn = std::mem::take(waiting);
                    self.seen.extend(turn.into_iter().skip(if all { 0 } else { most - 1 }));
                }
            }
            Rate::Period(..) => waiting.push(row),
            Rate::Snapshot(_) => unreachable!("it looks at matches"),
            Rate::First(period) => {
                if self.period.is_none_or(|begins| now >= begins) {
                    self.period = Some(now + period);
                    self.seen.push(row);
                }
            }
        }
    }
}

impl Spec {
    fn view(&self) -> View {
        View {
            own: match (self.aggregated, self.bare) {
                (false, _) => 3,
                (true, bare) => usize::from(!bare),
            },
            once: self.group.is_some() && self.aggregated,
        }
    }

    fn suits(&self, both: &Both) -> bool {
        let [Some(left), Some(right)] = both else { return false };
        let keys = left.k.is_some() && left.k == right.k;
        let numbers = left.n.zip(right.n);
        match self.on {
            On::All => true,
            On::Key => keys,
            On::KeyAndMore => keys && numbers.is_some_and(|(left, right)| left != right),
            On::Less => numbers.is_some_and(|(left, right)| left < right),
        }
    }

    fn plan(&self) -> String {
        let side = |side: usize| {
            let stream = if self.same || side == 0 { "A" } else { "B" };
            let window = match self.windows[side] {
                Window::None => String::new(),
                window => format!("#window.{}", window.text()),
            };
            let one = if self.asks[1 - side] { "" } else { " unidirectional" };
            format!("{stream}{window} as {}{one}", ["l", "r"][side])
        };
        let join = match self.outer {
            [false, false] => "join",
            [true, false] => "left outer join",
            [false, true] => "right outer join",
            [true, true] => "full outer join",
        };
        let on = match self.on {
            On::All => "",
            On::Key => " on l.k == r.k",
            On::KeyAndMore => " on r.k == l.k and l.n != r.n",
            On::Less => " on l.n < r.n",
        };
        let select = match (self.aggregated, self.bare) {
            (true, true) => "sum(r.n) as b, count() as c, avg(r.v) as d",
            (true, false) => "l.n as a, sum(r.n) as b, count() as c, avg(r.v) as d",
            (false, _) => "l.n as a, r.n as b, r.v as c",
        };
        let group = self.group.map_or("", |side| [" group by l.k", " group by r.k"][side]);
        let rate = match self.rate {
            Rate::Always => String::new(),
            Rate::Events(most, true) => format!(" output every {most} events"),
            Rate::Events(most, false) => format!(" output last every {most} events"),
            Rate::Period(period, true) => format!(" output every {period} millisec"),
            Rate::Period(period, false) => format!(" output last every {period} millisec"),
            Rate::First(period) => format!(" output first every {period} millisec"),
            Rate::Snapshot(period) => format!(" output snapshot every {period} millisec"),
        };
        let events = match (self.current, self.expired) {
            (true, true) => "all",
            (false, true) => "expired",
            _ => "current",
        };
        let attributes = "p int, k string, n int, v double, t long";
        let query = format!(
            "@info(name='q') from {} {join} {}{on} select {select}{group}{rate} \
             insert {events} events into Out;",
            side(0),
            side(1)
        );
        let query = match self.partitioned {
            true => format!("partition with (p of A, p of B) begin {query} end;"),
            false => query,
        };
        format!("define stream A ({attributes}); define stream B ({attributes});\n{query}")
    }
}

fn window(dice: &mut Dice) -> Window {
    let span = 5 + 10 * dice.below(4) as Millis;
    let most = 1 + dice.below(4) as usize;
    let either = dice.below(2) == 0;
    match dice.below(16) {
        0 | 1 => Window::None,
        2 => Window::Length(most),
        3 | 4 => Window::Time(span),
        5 => Window::LengthBatch(most, either),
        6 => Window::ExternalTime(span),
        7 => Window::TimeBatch(span, None, either),
        8 => Window::TimeLength(span, most),
        9 => Window::Sort(most, either),
        10 => Window::Delay(span),
        11 => *dice.pick(&[Window::UniqueEver, Window::UniqueFirst]),
        12 => Window::UniqueLength(most),
        13 => Window::UniqueLengthBatch(most, either),
        14 => Window::Frequent(most),
        _ => Window::Length(40),
    }
}

fn spec(dice: &mut Dice) -> Spec {
    let windows = [window(dice), window(dice)];
    let asks = *dice.pick(&[[true, true], [true, true], [true, false], [false, true]]);
    let (current, expired) = *dice.pick(&[(true, false), (true, true), (false, true)]);
    let aggregated = dice.below(2) == 0;
    let grouped = dice.below(3) == 0;
    let group = grouped.then(|| dice.below(2) as usize);
    let partitioned = dice.below(4) == 0;
    let period = 10 + 10 * dice.below(4) as Millis;
    let rate = match dice.below(9) {
        0 | 1 if !partitioned => Rate::Snapshot(period),
        _ if grouped => Rate::Always,
        2 | 3 => Rate::Events(1 + dice.below(4) as usize, dice.below(2) == 0),
        4 if !partitioned => Rate::Period(period, dice.below(2) == 0),
        5 if !partitioned => Rate::First(period),
        _ => Rate::Always,
    };
    let on = *dice.pick(&[On::All, On::Key, On::Key, On::KeyAndMore, On::Less]);
    let outer = [dice.below(3) == 0, dice.below(3) == 0];
    let same = dice.below(5) == 0;
    let snapshot = matches!(rate, Rate::Snapshot(_));
    Spec {
        same,
        windows,
        asks,
        outer,
        on,
        // A snapshot must see both.
        current: current || snapshot,
        expired: expired || snapshot,
        aggregated,
        bare: aggregated && dice.below(3) == 0,
        group,
        rate,
        partitioned,
    }
}

fn rows(dice: &mut Dice) -> Vec<Event> {
    let mut at = BEGIN;
    let rows = (0..10 + dice.below(60) as i32).map(|i| {
        at += *dice.pick(&[0, 0, 1, 3, 10, 25]);
        let row = Row {
            i,
            p: (dice.below(10) > 0).then(|| dice.below(2) as i32),
            k: (dice.below(8) > 0).then(|| *dice.pick(&["a", "b", "c"])),
            n: (dice.below(12) > 0).then(|| dice.below(9) as i32),
            v: (dice.below(8) > 0).then(|| dice.below(40) as f64 / 4.0 - 2.0),
            b: None,
            t: Some(at),
            own: at,
            at,
            ends_send: true,
        };
        Event { stream: dice.below(2) as usize, row: Rc::new(row) }
    });
    rows.collect()
}

#[derive(Default)]
struct Rows(Vec<Seen>);

impl Outlet for Rows {
    fn stream(&mut self, _: StreamId, _: Millis, _: &Batch) {}
    fn query(&mut self, _: QueryId, _: Millis, rows: &Batch) {
        for row in 0..rows.len() {
            let values = rows.row(row);
            let values = values.iter().map(Value::as_double).collect();
            self.0.push((rows.kind(row) == Kind::Expired, values));
        }
    }
    fn note(&mut self, note: Note) {
        panic!("{}", note.text);
    }
}

fn core(plan: &Arc<Plan>) -> PlanCore {
    let mut core = PlanCore::build(Arc::clone(plan), 7).expect("the plan runs");
    core.watch_query(plan.query("q").expect("it has this name"));
    core.start(BEGIN);
    core
}

/// Runs the engine; rows of one stream and moment come in batches, cut at random, and now and then
/// another core goes on from the state of this one.
fn run(dice: &mut Dice, plan: &Arc<Plan>, events: &[Event], end: Millis) -> Vec<Seen> {
    let mut seen = Rows::default();
    let mut running = core(plan);
    let streams = [plan.stream("A").expect("defined"), plan.stream("B").expect("defined")];
    let (mut start, snapshot) = (0, dice.below(events.len() as u64) as usize);
    while start < events.len() {
        let (stream, at) = (events[start].stream, events[start].row.at);
        let most = 1 + dice.below(5) as usize;
        let same = |event: &&Event| event.stream == stream && event.row.at == at;
        let count = events[start..].iter().take(most).take_while(same).count();
        let mut batch = Batch::new(&[
            DataType::Int,
            DataType::Text,
            DataType::Int,
            DataType::Double,
            DataType::Long,
        ]);
        for Event { row, .. } in &events[start..start + count] {
            let number = |number: Option<i32>| number.map_or(Value::Null, Value::Int);
            let text = row.k.map_or(Value::Null, Value::from);
            let real = row.v.map_or(Value::Null, Value::Double);
            batch.push_row(at, &[number(row.p), text, number(row.n), real, Value::Long(at)]);
        }
        let input = Input::Rows { stream: streams[stream], batch: &batch };
        running.apply(&Entry { at, input }, &mut seen);
        start += count;
        if (start - count..start).contains(&snapshot) || dice.below(12) == 0 {
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
fn the_engine_joins_what_lists_join() {
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
        let events = rows(&mut dice);
        let end = events.last().map_or(0, |event| event.row.at) + *dice.pick(&[0, 10, 100]);
        let period = match spec.rate {
            Rate::Period(period, _) | Rate::Snapshot(period) => Some(BEGIN + period),
            _ => None,
        };
        let mut model = Model { spec, keys: Vec::new(), period, seen: Vec::new() };
        for event in &events {
            model.advance(event.row.at);
            model.take(event);
        }
        model.advance(end);
        let seen = run(&mut dice, &Arc::new(plan), &events, end);
        let same = seen.iter().zip(&model.seen).take_while(|(one, other)| one == other).count();
        assert!(
            seen == model.seen,
            "SEED={seed} CASES=1\n{text}\n{events:?}\nrow {same}: engine {:?}\n model {:?}",
            seen.get(same),
            model.seen.get(same)
        );
        found += seen.len();
    }
    assert!(found > 1000, "only {found} rows came out");
}
