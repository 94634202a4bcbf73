//! Joins and output rates against a model on lists that shares nothing with the engine: whatever
//! join is made up, whatever comes, however it is cut and wherever the state is saved and loaded,
//! both give the same rows.

use std::collections::VecDeque;
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
const CASES: u64 = 1_500;

/// An event, or one side of a match.
#[derive(Clone, Copy, Debug)]
struct Row {
    stream: usize,
    key: Option<i32>,
    n: i32,
    time: Millis,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Span {
    None,
    Length(usize),
    Time(Millis),
    LengthBatch(usize),
    ExternalTime(Millis),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum On {
    All,
    Key,
    KeyAndMore,
    Less,
}

#[derive(Clone, Copy, Debug)]
struct Spec {
    /// Whether both sides read the same stream.
    same: bool,
    spans: [Span; 2],
    asks: [bool; 2],
    outer: [bool; 2],
    on: On,
    current: bool,
    expired: bool,
    aggregated: bool,
    /// `output last every n events`, or `all`.
    rate: Option<(usize, bool)>,
}

/// What a side holds.
#[derive(Clone, Debug, Default)]
struct Held {
    rows: VecDeque<Row>,
    open: Vec<Row>,
}

type Seen = (bool, Vec<Option<i64>>);

/// The model.
struct Model {
    spec: Spec,
    held: [Held; 2],
    /// Sum of the right side's values, how many were not null, how many rows.
    sums: (i64, i64, i64),
    seen: Vec<Seen>,
    waiting: Vec<Seen>,
}

impl Model {
    fn expire(&mut self, now: Millis) {
        loop {
            let due = |side: usize| match self.spec.spans[side] {
                Span::Time(span) => self.held[side].rows.front().map(|row| row.time + span),
                _ => None,
            };
            let next = (0..2).filter_map(|side| Some((due(side)?, side))).min();
            let Some((at, side)) = next.filter(|(at, _)| *at <= now) else { return };
            let Span::Time(span) = self.spec.spans[side] else { return };
            let mut gone = Vec::new();
            while self.held[side].rows.front().is_some_and(|row| row.time + span <= at) {
                gone.extend(self.held[side].rows.pop_front());
            }
            gone.into_iter().for_each(|row| self.ask(side, Some(row), true));
        }
    }

    fn take(&mut self, side: usize, row: Row) {
        let mut said: Vec<(Option<Row>, bool)> = Vec::new();
        let held = &mut self.held[side];
        match self.spec.spans[side] {
            Span::None if self.spec.aggregated || self.spec.expired => {
                said.extend([(Some(row), false), (Some(row), true), (None, false)]);
            }
            Span::None => said.push((Some(row), false)),
            Span::Length(most) => {
                if held.rows.len() == most {
                    said.push((held.rows.pop_front(), true));
                }
                held.rows.push_back(row);
                said.push((Some(row), false));
            }
            Span::Time(_) => {
                held.rows.push_back(row);
                said.push((Some(row), false));
            }
            Span::ExternalTime(span) => {
                while held.rows.front().is_some_and(|old| old.time + span <= row.time) {
                    said.push((held.rows.pop_front(), true));
                }
                held.rows.push_back(row);
                said.push((Some(row), false));
            }
            Span::LengthBatch(most) => {
                held.open.push(row);
                if held.open.len() == most {
                    said.extend(held.rows.drain(..).map(|old| (Some(old), true)));
                    said.push((None, false));
                    held.rows.extend(held.open.drain(..));
                    said.extend(held.rows.iter().map(|new| (Some(*new), false)));
                }
            }
        }
        for (row, leaves) in said {
            self.ask(side, row, leaves);
        }
    }

    /// A row of a side looks for its matches; no row is a reset.
    fn ask(&mut self, side: usize, row: Option<Row>, leaves: bool) {
        if !self.spec.asks[side] {
            return;
        }
        let Some(row) = row else {
            self.sums = (0, 0, 0);
            return;
        };
        let pair = |other: Option<Row>| match side {
            0 => [Some(row), other],
            _ => [other, Some(row)],
        };
        let mut matches: Vec<[Option<Row>; 2]> = self.held[1 - side]
            .rows
            .iter()
            .map(|other| pair(Some(*other)))
            .filter(|both| self.spec.suits(both))
            .collect();
        if matches.is_empty() && self.spec.outer[side] {
            matches.push(pair(None));
        }
        let sign = if leaves { -1 } else { 1 };
        let mut chunk = Vec::new();
        for [left, right] in matches {
            let left = left.map(|row| i64::from(row.n));
            let right = right.map(|row| i64::from(row.n));
            if let Some(n) = right {
                self.sums.0 += sign * n;
                self.sums.1 += sign;
            }
            self.sums.2 += sign;
            chunk.push(match self.spec.aggregated {
                true => {
                    let total = (self.sums.1 != 0).then_some(self.sums.0);
                    vec![left, total, Some(self.sums.2)]
                }
                false => vec![left, right],
            });
        }
        if self.spec.aggregated {
            chunk = chunk.pop().into_iter().collect();
        }
        if if leaves { self.spec.expired } else { self.spec.current } {
            chunk.into_iter().for_each(|row| self.put(leaves, row));
        }
    }

    fn put(&mut self, leaves: bool, row: Vec<Option<i64>>) {
        let Some((most, all)) = self.spec.rate else { return self.seen.push((leaves, row)) };
        self.waiting.push((leaves, row));
        if self.waiting.len() == most {
            let turn = std::mem::take(&mut self.waiting);
            self.seen.extend(turn.into_iter().skip(if all { 0 } else { most - 1 }));
        }
    }
}

impl Spec {
    fn suits(&self, both: &[Option<Row>; 2]) -> bool {
        let [Some(left), Some(right)] = both else { return false };
        let keys = left.key.is_some() && left.key == right.key;
        match self.on {
            On::All => true,
            On::Key => keys,
            On::KeyAndMore => keys && left.n != right.n,
            On::Less => left.n < right.n,
        }
    }

    fn plan(&self) -> String {
        let side = |side: usize| {
            let stream = if self.same || side == 0 { "A" } else { "B" };
            let window = match self.spans[side] {
                Span::None => String::new(),
                Span::Length(most) => format!("#window.length({most})"),
                Span::Time(span) => format!("#window.time({span} millisec)"),
                Span::LengthBatch(most) => format!("#window.lengthBatch({most})"),
                Span::ExternalTime(span) => format!("#window.externalTime(t, {span} millisec)"),
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
        let select = match self.aggregated {
            true => "l.n as a, sum(r.n) as b, count() as c",
            false => "l.n as a, r.n as b",
        };
        let rate = match self.rate {
            None => String::new(),
            Some((most, true)) => format!(" output every {most} events"),
            Some((most, false)) => format!(" output last every {most} events"),
        };
        let events = match (self.current, self.expired) {
            (true, true) => "all",
            (false, true) => "expired",
            _ => "current",
        };
        let attributes = "k int, n int, t long";
        format!(
            "define stream A ({attributes}); define stream B ({attributes});\n@info(name='q') \
             from {} {join} {}{on} select {select}{rate} insert {events} events into Out;",
            side(0),
            side(1)
        )
    }
}

fn spec(dice: &mut Dice) -> Spec {
    let span = |dice: &mut Dice| match dice.below(6) {
        0 => Span::None,
        1 => Span::Length(1 + dice.below(4) as usize),
        2 => Span::Time(5 + 10 * dice.below(4) as Millis),
        3 => Span::LengthBatch(1 + dice.below(4) as usize),
        4 => Span::ExternalTime(5 + 10 * dice.below(4) as Millis),
        _ => Span::Length(40),
    };
    let spans = [span(dice), span(dice)];
    let asks = *dice.pick(&[[true, true], [true, true], [true, false], [false, true]]);
    let (current, expired) = *dice.pick(&[(true, false), (true, true), (false, true)]);
    Spec {
        same: dice.below(5) == 0,
        spans,
        asks,
        outer: [dice.below(3) == 0, dice.below(3) == 0],
        on: *dice.pick(&[On::All, On::Key, On::Key, On::KeyAndMore, On::Less]),
        current,
        expired,
        aggregated: dice.below(2) == 0,
        rate: (dice.below(4) == 0).then(|| (1 + dice.below(4) as usize, dice.below(2) == 0)),
    }
}

fn rows(dice: &mut Dice) -> Vec<Row> {
    let mut time = 1000;
    (0..10 + dice.below(60))
        .map(|_| {
            time += *dice.pick(&[0, 0, 1, 3, 10, 25]);
            let key = (dice.below(8) > 0).then(|| dice.below(3) as i32);
            Row { stream: dice.below(2) as usize, key, n: dice.below(9) as i32, time }
        })
        .collect()
}

#[derive(Default)]
struct Rows(Vec<Seen>);

impl Outlet for Rows {
    fn stream(&mut self, _: StreamId, _: Millis, _: &Batch) {}
    fn query(&mut self, _: QueryId, _: Millis, rows: &Batch) {
        for row in 0..rows.len() {
            let values = rows.row(row);
            let number = |value: &Value| match value {
                Value::Int(number) => Some(i64::from(*number)),
                other => other.as_long(),
            };
            let values = values.iter().map(number).collect();
            self.0.push((rows.kind(row) == Kind::Expired, values));
        }
    }
    fn note(&mut self, note: Note) {
        panic!("{}", note.text);
    }
}

fn core(plan: &Arc<Plan>) -> PlanCore {
    let mut core = PlanCore::build(Arc::clone(plan), 7).expect("the plan runs");
    core.watch_query(0);
    core.start(1000);
    core
}

/// Runs the engine; rows of one stream and moment come in batches, cut at random, and now and then
/// another core goes on from the state of this one.
fn run(dice: &mut Dice, plan: &Arc<Plan>, rows: &[Row], end: Millis) -> Vec<Seen> {
    let mut seen = Rows::default();
    let mut running = core(plan);
    let streams = [plan.stream("A").expect("defined"), plan.stream("B").expect("defined")];
    let mut start = 0;
    while start < rows.len() {
        let Row { stream, time, .. } = rows[start];
        let most = 1 + dice.below(5) as usize;
        let same = |row: &&Row| row.stream == stream && row.time == time;
        let count = rows[start..].iter().take(most).take_while(same).count();
        let mut batch = Batch::new(&[DataType::Int, DataType::Int, DataType::Long]);
        for row in &rows[start..start + count] {
            let key = row.key.map_or(Value::Null, Value::Int);
            batch.push_row(time, &[key, Value::Int(row.n), Value::Long(time)]);
        }
        let input = Input::Rows { stream: streams[stream], batch: &batch };
        running.apply(&Entry { at: time, input }, &mut seen);
        start += count;
        if dice.below(8) == 0 {
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
        let rows = rows(&mut dice);
        let end = rows.last().map_or(0, |row| row.time) + *dice.pick(&[0, 10, 100]);
        let held = [Held::default(), Held::default()];
        let (seen, waiting) = (Vec::new(), Vec::new());
        let mut model = Model { spec, held, sums: (0, 0, 0), seen, waiting };
        for row in &rows {
            model.expire(row.time);
            match spec.same {
                true if row.stream == 0 => (0..2).for_each(|side| model.take(side, *row)),
                true => {}
                false => model.take(row.stream, *row),
            }
        }
        model.expire(end);
        let seen = run(&mut dice, &Arc::new(plan), &rows, end);
        assert_eq!(seen, model.seen, "SEED={seed} CASES=1\n{text}\n{rows:?}");
        found += seen.len();
    }
    assert!(found > 1000, "only {found} rows came out");
}
