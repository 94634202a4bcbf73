//! Patterns against a model on lists that shares nothing with the engine: whatever pattern is made
//! up, whatever comes, however it is cut and wherever the state is saved and loaded, both give the
//! same matches.

use std::fmt::Write;
use std::sync::Arc;
use twinflow::engine::context::Note;
use twinflow::engine::core::PlanCore;
use twinflow::engine::entry::Entry;
use twinflow::engine::entry::Input;
use twinflow::engine::entry::Outlet;
use twinflow::engine::library::Library;
use twinflow::event::Batch;
use twinflow::event::DataType;
use twinflow::event::Millis;
use twinflow::event::Value;
use twinflow::language;
use twinflow::plan::check;
use twinflow::plan::logical::Plan;
use twinflow::plan::logical::QueryId;
use twinflow::plan::logical::StreamId;
use twinflow::rehearsal::Dice;

/// Patterns tried; `CASES=n` tries more.
const CASES: u64 = 1_500;

/// An event: its number is its place in the list of all.
#[derive(Clone, Copy, Debug)]
struct Row {
    stream: usize,
    key: i32,
    n: i32,
    time: Millis,
}

/// What an event must fulfil.
#[derive(Clone, Copy, Debug)]
struct Wish {
    stream: usize,
    least: i32,
    /// Whether its key must be that of the first event of the match.
    same_key: bool,
    /// By how much its `n` must be above that of the event before.
    above: Option<i32>,
}

#[derive(Clone, Debug)]
enum Part {
    One(Wish),
    Count(Wish, usize, usize),
    Sides(Wish, Wish, bool),
}

#[derive(Clone, Debug)]
struct Spec {
    sequence: bool,
    parts: Vec<Part>,
    /// How many parts at the start are repeated.
    every: usize,
    within: Option<Millis>,
}

/// A match on its way: by part and side the numbers of its events.
#[derive(Clone, Debug, Default)]
struct Draft {
    taken: Vec<[Vec<usize>; 2]>,
    /// The event that it took last; none is taken twice, but by both sides of an `and`.
    last: Option<usize>,
}

/// A match as it is put out: each event that the query selects.
type Match = Vec<Option<usize>>;

impl Wish {
    fn suits(&self, row: &Row, draft: &Draft, rows: &[Row]) -> bool {
        let first = draft.taken.iter().flatten().find_map(|events| events.first());
        let same = first.is_some_and(|&first| rows[first].key == row.key);
        let before = draft.taken.iter().flatten().flatten().last();
        let above = self
            .above
            .is_none_or(|above| before.is_some_and(|&before| row.n >= rows[before].n + above));
        row.stream == self.stream && row.n >= self.least && (!self.same_key || same) && above
    }

    fn text(&self, of_key: Option<&str>, before: &str) -> String {
        let key = match of_key {
            Some(first) if self.same_key => format!(" and k == {first}.k"),
            _ => String::new(),
        };
        let above = match self.above {
            // A comparison of two events, and one of something that has to be computed.
            Some(0) => format!(" and n >= {before}.n"),
            Some(above) => format!(" and n >= {before}.n + {above}"),
            None => String::new(),
        };
        format!("{}[n >= {}{key}{above}]", ["S", "R"][self.stream], self.least)
    }
}

impl Draft {
    fn empty(parts: usize) -> Draft {
        Draft { taken: vec![Default::default(); parts], last: None }
    }

    fn is_done(&self, spec: &Spec, part: usize) -> bool {
        let [left, right] = &self.taken[part];
        match spec.parts[part] {
            Part::One(_) => !left.is_empty(),
            Part::Count(_, min, _) => left.len() >= min,
            Part::Sides(_, _, true) => !left.is_empty() && !right.is_empty(),
            Part::Sides(_, _, false) => !left.is_empty() || !right.is_empty(),
        }
    }

    fn is_whole(&self, spec: &Spec) -> bool {
        (0..spec.parts.len()).all(|part| self.is_done(spec, part))
    }

    /// Whether the next event may be one of a part.
    fn waits_at(&self, spec: &Spec, part: usize) -> bool {
        let before = (0..part).all(|part| self.is_done(spec, part));
        let after = self.taken[part + 1..].iter().flatten().all(Vec::is_empty);
        let room = match spec.parts[part] {
            Part::Count(_, _, max) => self.taken[part][0].len() < max,
            _ => !self.is_done(spec, part),
        };
        before && after && room
    }

    fn start(&self, rows: &[Row]) -> Option<Millis> {
        let all = self.taken.iter().flatten().flatten();
        all.min().map(|&first| rows[first].time)
    }

    fn shown(&self, spec: &Spec) -> Match {
        let mut shown = Vec::new();
        for (part, [left, right]) in spec.parts.iter().zip(&self.taken) {
            match part {
                Part::One(_) => shown.push(left.first().copied()),
                Part::Count(..) => shown.extend((0..4).map(|place| left.get(place).copied())),
                Part::Sides(..) => {
                    shown.extend([left.first().copied(), right.first().copied()]);
                }
            }
        }
        shown
    }
}

/// The matches of a pattern: what each event does to all that is on its way, part by part.
fn matches_of_pattern(spec: &Spec, rows: &[Row]) -> Vec<Match> {
    let mut found = Vec::new();
    let mut drafts = vec![Draft::empty(spec.parts.len())];
    for (number, row) in rows.iter().enumerate() {
        if let Some(within) = spec.within {
            let old = |draft: &Draft| {
                draft.start(rows).is_some_and(|start| (row.time - start).abs() > within)
            };
            let (gone, stay): (Vec<Draft>, Vec<Draft>) = drafts.into_iter().partition(old);
            drafts = stay;
            // One that was too old inside of what is repeated lets it begin again.
            let inside = |draft: &Draft| {
                let at = (0..spec.parts.len()).find(|&part| draft.waits_at(spec, part));
                at.is_some_and(|part| part < spec.every)
            };
            if gone.iter().any(inside) {
                drafts.push(Draft::empty(spec.parts.len()));
            }
        }
        for part in (0..spec.parts.len()).rev() {
            let mut begun = Vec::new();
            for draft in &mut drafts {
                if draft.last == Some(number) || !draft.waits_at(spec, part) {
                    continue;
                }
                let repeats = |draft: &Draft| {
                    spec.every > 0 && (0..spec.every).all(|part| draft.is_done(spec, part))
                };
                let before = repeats(draft);
                let took = take(spec, part, number, rows, draft);
                if took && !before && repeats(draft) {
                    begun.push(Draft::empty(spec.parts.len()));
                }
            }
            let (whole, rest): (Vec<Draft>, Vec<Draft>) =
                drafts.into_iter().partition(|draft| draft.is_whole(spec));
            found.extend(whole.iter().map(|draft| draft.shown(spec)));
            drafts = rest;
            begun.iter_mut().for_each(|draft| draft.last = Some(number));
            drafts.extend(begun);
        }
    }
    found
}

/// Gives a draft an event of a part, if it suits.
fn take(spec: &Spec, part: usize, number: usize, rows: &[Row], draft: &mut Draft) -> bool {
    let row = &rows[number];
    let mut took = [false; 2];
    match spec.parts[part] {
        Part::One(wish) | Part::Count(wish, ..) => took[0] = wish.suits(row, draft, rows),
        Part::Sides(left, right, and) => {
            let [has_left, has_right] = [0, 1].map(|side| !draft.taken[part][side].is_empty());
            took[0] = !has_left && left.suits(row, draft, rows);
            took[1] = !has_right && (and || !took[0]) && right.suits(row, draft, rows);
        }
    }
    for (side, _) in took.iter().enumerate().filter(|(_, took)| **took) {
        draft.taken[part][side].push(number);
        draft.last = Some(number);
    }
    took != [false; 2]
}

/// The matches of a sequence of single events: runs without a gap among the rows of the streams
/// that it names.
fn matches_of_sequence(spec: &Spec, rows: &[Row]) -> Vec<Match> {
    let wishes: Vec<Wish> = spec
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::One(wish) => Some(*wish),
            Part::Count(..) | Part::Sides(..) => None,
        })
        .collect();
    let named = |number: &usize| wishes.iter().any(|wish| wish.stream == rows[*number].stream);
    let numbers: Vec<usize> = (0..rows.len()).filter(named).collect();
    let mut found = Vec::new();
    let starts = if spec.every > 0 { numbers.len() } else { 1 };
    for run in numbers.windows(wishes.len()).take(starts) {
        let mut draft = Draft::empty(spec.parts.len());
        for (place, (&number, wish)) in run.iter().zip(&wishes).enumerate() {
            let age = rows[number].time - rows[run[0]].time;
            let old = spec.within.is_some_and(|within| age > within);
            if !old && wish.suits(&rows[number], &draft, rows) {
                draft.taken[place][0].push(number);
            }
        }
        if draft.is_whole(spec) {
            found.push(draft.shown(spec));
        }
    }
    found
}

fn wish(dice: &mut Dice, is_first: bool) -> Wish {
    Wish {
        stream: dice.below(2) as usize,
        least: *dice.pick(&[0, 1, 2, 3]),
        same_key: !is_first && dice.below(2) == 0,
        above: None,
    }
}

fn spec(dice: &mut Dice) -> Spec {
    let sequence = dice.below(4) == 0;
    let count = 2 + dice.below(3) as usize;
    let every = match dice.below(4) {
        0 => 0,
        1 if !sequence => 2,
        _ => 1,
    };
    let within = (dice.below(2) == 0).then(|| *dice.pick(&[0, 5, 20, 60]));
    let one_stream = sequence && dice.below(3) > 0;
    let mut parts = Vec::new();
    for place in 0..count {
        let mut first = wish(dice, place == 0);
        if one_stream {
            first.stream = 0;
        }
        if sequence && place > 0 {
            first.above = *dice.pick(&[None, Some(0), Some(1)]);
        }
        // A count that is repeated and too old begins again more than once; plays show that.
        let steady = within.is_some() && place < every;
        let part = match dice.below(6) {
            0 | 1 if !sequence && !steady => {
                let min = *dice.pick(&[1, 2, 2, 3]);
                let min = if place > 0 && dice.below(4) == 0 { 0 } else { min };
                Part::Count(first, min, min.max(1) + dice.below(2) as usize)
            }
            2 if !sequence && place >= every => {
                // Neither side can look at the other.
                let (mut left, mut right) = (first, wish(dice, place == 0));
                if place == 0 {
                    (left.same_key, right.same_key) = (false, false);
                }
                Part::Sides(left, right, dice.below(2) == 0)
            }
            _ => Part::One(first),
        };
        parts.push(part);
    }
    Spec { sequence, parts, every: every.min(count), within }
}

impl Spec {
    /// The query, and how many columns it selects.
    fn query(&self) -> (String, usize) {
        let (mut text, mut items) = (String::new(), Vec::new());
        // Keys are those of the first event; where that may be either of two, none is asked for.
        let first = match self.parts[0] {
            Part::One(_) => Some("a0"),
            Part::Count(..) => Some("a0[0]"),
            Part::Sides(..) => None,
        };
        for (place, part) in self.parts.iter().enumerate() {
            if place > 0 {
                text.push_str(if self.sequence { ", " } else { " -> " });
            }
            if place == 0 && self.every > 0 {
                text.push_str(if self.every > 1 { "every (" } else { "every " });
            }
            let of_key = first.filter(|_| place > 0);
            let _ = match part {
                Part::One(wish) => {
                    items.push(format!("a{place}.i"));
                    let before = format!("a{}", place.saturating_sub(1));
                    write!(text, "a{place}={}", wish.text(of_key, &before))
                }
                Part::Count(wish, min, max) => {
                    items.extend((0..4).map(|at| format!("a{place}[{at}].i")));
                    write!(text, "a{place}={}<{min}:{max}>", wish.text(of_key, ""))
                }
                Part::Sides(left, right, and) => {
                    items.extend([format!("a{place}.i"), format!("b{place}.i")]);
                    let word = if *and { "and" } else { "or" };
                    let [left, right] = [left, right].map(|wish| wish.text(of_key, ""));
                    write!(text, "a{place}={left} {word} b{place}={right}")
                }
            };
            if self.every > 1 && place + 1 == self.every {
                text.push(')');
            }
        }
        if let Some(within) = self.within {
            let _ = write!(text, " within {within} millisec");
        }
        let named = items.iter().enumerate().map(|(at, item)| format!("{item} as c{at}"));
        let select = named.collect::<Vec<_>>().join(", ");
        (format!("from {text}\nselect {select} insert into Out;"), items.len())
    }
}

/// Few events for a pattern, which may have many matches; for a sequence so many that a batch can
/// hold several of its matches.
fn rows(dice: &mut Dice, sequence: bool) -> Vec<Row> {
    let mut time = 1_000;
    let streams = if sequence { *dice.pick(&[2, 20]) } else { 2 };
    let mut row = || {
        time += *dice.pick(&[0, 1, 1, 3, 8, 25]);
        let stream = usize::from(dice.below(streams) == 1);
        Row { stream, key: dice.below(2) as i32, n: dice.below(5) as i32, time }
    };
    (0..if sequence { 60 } else { 14 }).map(|_| row()).collect()
}

/// Keeps what comes out.
struct Keeper {
    out: StreamId,
    found: Vec<Match>,
    times: Vec<Millis>,
}

impl Outlet for Keeper {
    fn stream(&mut self, stream: StreamId, _: Millis, rows: &Batch) {
        if stream == self.out {
            let number = |value: Value| value.as_long().map(|number| number as usize);
            let shown = |row| rows.row(row).into_iter().map(number).collect();
            self.found.extend((0..rows.len()).map(shown));
            self.times.extend(&rows.timestamps);
        }
    }
    fn query(&mut self, _: QueryId, _: Millis, _: &Batch) {}
    fn note(&mut self, note: Note) {
        panic!("{}", note.text);
    }
}

fn core(plan: &Arc<Plan>) -> PlanCore {
    PlanCore::build(Arc::clone(plan), 1).expect("the plan runs")
}

/// What the engine gives, cut by chance and saved and loaded once.
fn run(dice: &mut Dice, plan: &Arc<Plan>, rows: &[Row]) -> Vec<Match> {
    let streams = ["S", "R"].map(|name| plan.stream(name).expect("it is defined"));
    let out = plan.stream("Out").expect("it is filled");
    let mut engine = core(plan);
    engine.watch_stream(out);
    engine.start(0);
    let mut keeper = Keeper { out, found: Vec::new(), times: Vec::new() };
    let saved_at = dice.below(rows.len() as u64) as usize;
    let mut from = 0;
    while from < rows.len() {
        let of_stream = rows[from..].iter().take_while(|row| row.stream == rows[from].stream);
        let most = of_stream.count();
        let count = 1 + dice.below(most as u64) as usize;
        let mut batch = Batch::new(&[DataType::Int, DataType::Int, DataType::Int]);
        for (number, row) in rows.iter().enumerate().skip(from).take(count) {
            let values = [Value::Int(row.key), Value::Int(row.n), Value::Int(number as i32)];
            batch.push_row(row.time, &values);
        }
        let at = rows[from + count - 1].time;
        let input = Input::Rows { stream: streams[rows[from].stream], batch: &batch };
        engine.apply(&Entry { at, input }, &mut keeper);
        if (from..from + count).contains(&saved_at) {
            let bytes = engine.freeze().to_bytes();
            engine = core(plan);
            engine.watch_stream(out);
            engine.load(&bytes).expect("own state");
            assert_eq!(engine.freeze().to_bytes(), bytes, "a state loaded is the state saved");
        }
        from += count;
    }
    for (found, &time) in keeper.found.iter().zip(&keeper.times) {
        let last = found.iter().flatten().max().expect("a match has events");
        assert_eq!(time, rows[*last].time, "a match bears the time of its last event");
    }
    keeper.found
}

#[test]
fn the_engine_finds_the_matches_that_a_list_finds() {
    let setting = |name: &str, otherwise| {
        std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
    };
    let first: u64 = setting("SEED", 1);
    let mut all = 0;
    for seed in first..first + setting("CASES", CASES) {
        let mut dice = Dice::new(seed);
        let mut spec = spec(&mut dice);
        if matches!(spec.parts[0], Part::Sides(..)) {
            for part in &mut spec.parts {
                match part {
                    Part::One(wish) | Part::Count(wish, ..) => wish.same_key = false,
                    Part::Sides(left, right, _) => {
                        (left.same_key, right.same_key) = (false, false);
                    }
                }
            }
        }
        let (query, _) = spec.query();
        let text = format!(
            "define stream S (k int, n int, i int); define stream R (k int, n int, i int);\n{query}"
        );
        let parsed = language::parse(&text);
        assert!(!parsed.has_errors(), "SEED={seed} {:?}\n{text}", parsed.diagnostics);
        let checked = check(&parsed.tree, &text, &Library::standard());
        let plan = checked.plan.unwrap_or_else(|| panic!("{seed}: {:?}", checked.diagnostics));
        let rows = rows(&mut dice, spec.sequence);
        let mut wanted = match spec.sequence {
            true => matches_of_sequence(&spec, &rows),
            false => matches_of_pattern(&spec, &rows),
        };
        let mut found = run(&mut dice, &Arc::new(plan), &rows);
        let ends: Vec<_> = found.iter().map(|each| each.iter().flatten().max()).collect();
        assert!(ends.is_sorted(), "SEED={seed} {found:?}\n{text}");
        wanted.sort();
        found.sort();
        assert_eq!(found, wanted, "SEED={seed} CASES=1\n{text}\n{rows:#?}");
        all += found.len();
    }
    assert!(all > 1_000, "only {all} matches");
}
