//! Streams with `@watermark` against a model on lists that shares nothing with the engine, and
//! against the same rows in order: however they come within the bound on lateness, however they are
//! cut and wherever the state is saved and loaded, the same must come out.

use std::sync::Arc;
use twinflow::engine::context::Note;
use twinflow::engine::entry::Outlet;
use twinflow::event::Batch;
use twinflow::event::DataType;
use twinflow::event::Millis;
use twinflow::event::Value;
use twinflow::plan::logical::Plan;
use twinflow::plan::logical::QueryId;
use twinflow::plan::logical::StreamId;
use twinflow::rehearsal::Dice;
use twinflow::rehearsal::Reading;
use twinflow::rehearsal::Stage;

/// Inputs tried by each test; `CASES=n` tries more.
const CASES: u64 = 1_200;

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

fn plan(text: &str) -> Arc<Plan> {
    let reading = Reading::new("plan", text);
    reading.plan.unwrap_or_else(|| panic!("{:?}\n{text}", reading.diagnostics))
}

/// Makes up a watermark of a stream with a long `t`, or none.
pub fn watermark(dice: &mut Dice) -> String {
    if dice.below(5) == 0 {
        return String::new();
    }
    let lateness = *dice.pick(&[0, 5, 15, 40]);
    let mut text = format!("@watermark(attribute='t', lateness='{lateness} millisec'");
    let options = ["idle='20 millisec'", "ahead='5 millisec'", "late.stream='Side'"];
    let more = ["ahead.stream='Side'", "buffer.size='2'"];
    for option in options.iter().chain(&more) {
        if dice.below(2) == 0 {
            text.push_str(&format!(", {option}"));
        }
    }
    text.push_str(") ");
    text
}

/// Rows as they pass streams: stream, clock, own time, values.
#[derive(Default)]
struct Seen(Vec<(StreamId, Millis, Millis, Vec<Value>)>);

impl Outlet for Seen {
    fn stream(&mut self, stream: StreamId, now: Millis, rows: &Batch) {
        let row = |row: usize| (stream, now, rows.timestamps[row], rows.row(row));
        self.0.extend((0..rows.len()).map(row));
    }
    fn query(&mut self, _: QueryId, _: Millis, _: &Batch) {}
    fn note(&mut self, _: Note) {}
}

/// A row that comes: when, to which stream, its number and its event time.
#[derive(Clone, Copy, Debug)]
struct Coming {
    at: Millis,
    stream: StreamId,
    n: i32,
    time: Option<Millis>,
}

/// A plan that takes rows, cut at random, saved and loaded at random.
struct Player {
    stage: Stage,
    seen: Seen,
    dice: Dice,
    /// Whether new versions take over, with which counts begin anew.
    carries: bool,
    open: Option<(Millis, StreamId, Batch)>,
}

impl Player {
    fn new(plan: &Arc<Plan>, watched: Vec<StreamId>, seed: u64) -> Player {
        let mut stage = Stage::new(Arc::clone(plan), watched, Vec::new()).expect("it runs");
        let mut seen = Seen::default();
        stage.start(0, &mut seen);
        Player { stage, seen, dice: Dice::new(seed), carries: seed.is_multiple_of(2), open: None }
    }

    fn close(&mut self) {
        if let Some((at, stream, batch)) = self.open.take() {
            self.stage.feed(at, stream, &batch, &mut self.seen);
            match self.dice.below(6) {
                0 => self.stage.change_engine().expect("it loads what it saved"),
                1 if self.carries => self.stage.change_version().expect("it is the same plan"),
                2 => self.stage.move_to(at, &mut self.seen),
                _ => {}
            }
        }
    }

    fn feed(&mut self, at: Millis, stream: StreamId, own: Millis, values: &[Value]) {
        let fits = self.open.as_ref().is_some_and(|(when, of, _)| (*when, *of) == (at, stream));
        if !fits || self.dice.below(3) == 0 {
            self.close();
            let types = self.stage.plan().streams[stream].schema.types();
            self.open = Some((at, stream, Batch::new(&types)));
        }
        if let Some((.., batch)) = &mut self.open {
            batch.push_row(own, values);
        }
    }

    fn end(&mut self, at: Millis) {
        self.close();
        self.stage.move_to(at, &mut self.seen);
    }
}

/// Queries whose results depend on time, over `S` and `R`; each fills a stream of its own.
const QUERIES: &[&str] = &[
    "from S#window.time(50 millisec) select sum(n) as x, count() as c, t insert all events \
     into OUT;",
    "from S#window.timeBatch(40 millisec) select k, sum(n) as x group by k insert into OUT;",
    "from R#window.session(25 millisec, k) select k, sum(n) as x insert expired events into OUT;",
    "from S#window.externalTimeBatch(t, 60 millisec) select count() as c insert into OUT;",
    "from S#window.lengthBatch(3) select n, t insert all events into OUT;",
    "from every a=S -> b=R[k == a.k] within 40 millisec select a.n as a, b.n as b insert into OUT;",
    "from every a=S -> not R[k == a.k] for 30 millisec select a.n as a insert into OUT;",
    "from not S for 35 millisec select 1 as one insert into OUT;",
    "from every a=S, b=S+, c=R select a.n as a, b[last].n as b, c.n as c insert into OUT;",
    "from S select k, n output last every 45 millisec insert into OUT;",
    "from R select k, sum(n) as x group by k output snapshot every 55 millisec insert into OUT;",
    "from S#window.time(30 millisec) as s join R#window.time(60 millisec) as r on s.k == r.k \
     select s.n as s, r.n as r insert all events into OUT;",
    "partition with (k of S, k of R) begin from S#window.time(45 millisec) select k, sum(n) as x \
     insert all events into OUT; end;",
    "from S[n % 2 == 0] select n, eventTimestamp() as own, currentTimeMillis() as now \
     insert into OUT;",
    "from R#window.delay(20 millisec) select n, t insert into OUT;",
];

#[test]
fn rows_out_of_order_within_the_bound_give_what_rows_in_order_give() {
    let first = setting("SEED", 1);
    let mut rows = 0;
    for seed in first..first + setting("CASES", CASES) {
        let mut dice = Dice::new(seed);
        let lateness = *dice.pick(&[0, 1, 15, 60, 200]);
        let mut queries = String::new();
        for number in 0..1 + dice.below(3) {
            queries.push_str(&dice.pick(QUERIES).replace("OUT", &format!("O{number}")));
            queries.push('\n');
        }
        let text = |before: &str, mark: &str| {
            let define = |name| format!("{mark} define stream {name} (k string, n int, t long);\n");
            format!("{before}{}{}{queries}", define("S"), define("R"))
        };
        let mark = format!("@watermark(attribute='t', lateness='{lateness} millisec')");
        let marked = plan(&text("", &mark));
        let ordered = plan(&text("@app:playback ", ""));
        let mut time = 1_000;
        let mut coming: Vec<(Millis, StreamId, Vec<Value>)> = Vec::new();
        for n in 0..8 + dice.below(30) as i32 {
            time += *dice.pick(&[0, 0, 1, 5, 12, 40, 90]);
            let values =
                vec![Value::from(*dice.pick(&["a", "b", "c"])), Value::Int(n), Value::Long(time)];
            // It comes as late as it may.
            let late = dice.below(lateness as u64 + 1) as Millis;
            coming.push((time + late, dice.below(2) as StreamId, values));
        }
        coming.sort_by_key(|(at, ..)| *at);
        let of = |(_, _, values): &(Millis, StreamId, Vec<Value>)| values[2].as_long().expect("t");
        let watched = (2..marked.streams.len()).collect::<Vec<_>>();
        let mut player = Player::new(&marked, watched.clone(), seed);
        for (at, stream, values) in &coming {
            player.feed(*at, *stream, *at, values);
        }
        // Those of one moment stay in the order in which they came.
        coming.sort_by_key(of);
        let mut reference = Player::new(&ordered, watched, seed);
        for row @ (_, stream, values) in &coming {
            reference.feed(of(row), *stream, of(row), values);
        }
        let far = 10_000;
        let values = |time| [Value::from("z"), Value::Int(-1), Value::Long(time)];
        for stream in 0..2 {
            reference.feed(far, stream, far, &values(far));
            player.feed(far, stream, far, &values(far + lateness));
        }
        reference.end(far);
        player.end(far);
        let before = |seen: Seen| {
            let rows = seen.0.into_iter().filter(|(_, now, ..)| *now < far);
            rows.collect::<Vec<_>>()
        };
        let (found, wanted) = (before(player.seen), before(reference.seen));
        rows += wanted.len();
        for stream in 2..marked.streams.len() {
            let of = |rows: &[(StreamId, Millis, Millis, Vec<Value>)]| {
                let rows = rows.iter().filter(|row| row.0 == stream);
                rows.map(|row| format!("{row:?}")).collect::<Vec<_>>()
            };
            let (found, wanted) = (of(&found), of(&wanted));
            assert_eq!(found, wanted, "SEED={seed} CASES=1\n{}\n{coming:?}", text("", &mark));
        }
    }
    assert!(rows as u64 > setting("CASES", CASES) * 10, "only {rows} rows came out");
}

/// A stream as the model sees it.
#[derive(Clone, Debug)]
struct Stream {
    lateness: Millis,
    idle: Option<Millis>,
    ahead: Option<Millis>,
    buffer: usize,
    newest: Option<Millis>,
    heard: Millis,
    is_idle: bool,
    /// Rows put aside: too late, too far ahead, without a time.
    aside: [u64; 3],
}

/// What must be seen: the stream (0 and 1 let rows go, 2 takes late ones, 3 odd ones), the clock,
/// the row's own time and its number.
type Line = (StreamId, Millis, Millis, i32);

/// The model: lists that are searched from the beginning, and a clock that goes step by step.
struct Model {
    streams: Vec<Stream>,
    /// Whether rows that are late, or ahead, go to a side stream.
    sides: [bool; 2],
    waiting: Vec<(Millis, usize, StreamId, i32)>,
    count: usize,
    wall: Millis,
    reached: Option<Millis>,
    clock: Millis,
    begun: bool,
    /// Since when all are idle: the moment, and where the watermark stood.
    all_idle: Option<(Millis, Millis)>,
    lines: Vec<Line>,
}

impl Model {
    fn settle(&mut self) {
        let awake: Vec<&Stream> = self.streams.iter().filter(|each| !each.is_idle).collect();
        if awake.is_empty() {
            let newest = self.streams.iter().filter_map(|each| each.newest).max();
            if let (None, Some(newest)) = (self.all_idle, newest) {
                let reached = self.reached.unwrap_or(newest).max(newest);
                self.reached = Some(reached);
                self.all_idle = Some((self.wall, reached));
            }
            return;
        }
        self.all_idle = None;
        let own = |each: &&Stream| each.newest.map(|newest| newest - each.lateness);
        // One without any is waited for.
        let own: Option<Vec<Millis>> = awake.iter().map(own).collect();
        self.reached = self.reached.max(own.and_then(|own| own.into_iter().min()));
    }

    fn let_go(&mut self) {
        let Some(reached) = self.reached else { return };
        self.waiting.sort();
        while self.waiting.first().is_some_and(|(time, ..)| *time <= reached) {
            let (time, _, stream, n) = self.waiting.remove(0);
            self.begun = true;
            self.lines.push((stream, time, time, n));
        }
        if self.begun {
            self.clock = reached;
        }
    }

    fn advance(&mut self, to: Millis) {
        while self.wall < to {
            self.wall += 1;
            if let Some((since, reached)) = self.all_idle {
                self.reached = self.reached.max(Some(reached + self.wall - since));
            }
            let wall = self.wall;
            for stream in &mut self.streams {
                stream.is_idle |= stream.idle.is_some_and(|idle| wall - stream.heard >= idle);
            }
            self.settle();
            self.let_go();
        }
    }

    fn take(&mut self, row: &Coming) {
        let place = row.stream;
        let Some(time) = row.time else {
            self.streams[place].aside[2] += 1;
            return;
        };
        let stream = &mut self.streams[place];
        let is_ahead = stream.ahead.is_some_and(|ahead| time > row.at + ahead);
        if is_ahead || self.reached.is_some_and(|reached| time < reached) {
            let kind = usize::from(is_ahead);
            stream.aside[kind] += 1;
            if self.sides[kind] {
                self.lines.push((2 + kind, self.clock, time, row.n));
            }
            return;
        }
        stream.newest = stream.newest.max(Some(time));
        stream.heard = row.at;
        stream.is_idle = false;
        let buffer = stream.buffer;
        self.waiting.push((time, self.count, place, row.n));
        self.count += 1;
        self.settle();
        self.let_go();
        loop {
            let of: Vec<Millis> =
                self.waiting.iter().filter(|each| each.2 == place).map(|each| each.0).collect();
            if of.len() <= buffer {
                return;
            }
            self.reached = self.reached.max(of.into_iter().min());
            self.let_go();
        }
    }
}

/// Makes up two streams: their definitions, and the model of them.
fn streams(dice: &mut Dice) -> (String, Model) {
    let sides = [dice.below(2) == 0, dice.below(2) == 0];
    let (mut text, mut streams) = (String::new(), Vec::new());
    for name in ["A", "B"] {
        let stream = Stream {
            lateness: *dice.pick(&[0, 5, 40, 150]),
            idle: *dice.pick(&[None, Some(30), Some(100), Some(700)]),
            ahead: *dice.pick(&[None, Some(0), Some(50), Some(400)]),
            buffer: *dice.pick(&[1, 2, 5, 1_000_000]),
            newest: None,
            heard: 0,
            is_idle: false,
            aside: [0; 3],
        };
        text.push_str(&format!(
            "@watermark(attribute='t', lateness='{} millisec'",
            stream.lateness
        ));
        for (key, time) in [("idle", stream.idle), ("ahead", stream.ahead)] {
            if let Some(time) = time {
                text.push_str(&format!(", {key}='{time} millisec'"));
            }
        }
        for (key, side) in ["late.stream='Late'", "ahead.stream='Odd'"].iter().zip(sides) {
            text.push_str(&if side { format!(", {key}") } else { String::new() });
        }
        text.push_str(&format!(", buffer.size='{}')\n", stream.buffer));
        text.push_str(&format!("define stream {name} (n int, t long);\n"));
        streams.push(stream);
    }
    text.push_str("define stream Late (n int, t long); define stream Odd (n int, t long);\n");
    text.push_str("from A select n insert into O; from B select n insert into O;\n");
    let model = Model {
        streams,
        sides,
        waiting: Vec::new(),
        count: 0,
        wall: 0,
        reached: None,
        clock: 0,
        begun: false,
        all_idle: None,
        lines: Vec::new(),
    };
    (text, model)
}

#[test]
fn what_waits_leaves_and_is_put_aside_as_the_model_says() {
    let first = setting("SEED", 1);
    let (mut released, mut aside, mut hurried) = (0, 0, 0);
    for seed in first..first + setting("CASES", CASES) {
        let mut dice = Dice::new(seed ^ 0x5eed);
        let (text, mut model) = streams(&mut dice);
        let plan = plan(&text);
        let types = plan.streams[0].schema.types();
        assert_eq!(types, [DataType::Int, DataType::Long]);
        let mut player = Player::new(&plan, vec![0, 1, 2, 3], seed);
        let mut at = 1_000;
        let rows = 10 + dice.below(40) as i32;
        let mut told = 0;
        for n in 0..rows {
            at += *dice.pick(&[0, 0, 0, 3, 10, 60, 250]);
            let way = *dice.pick(&[-300, -100, -60, -20, -7, -1, 0, 0, 1, 8, 60, 500]);
            let time = (dice.below(25) > 0).then_some(at + way);
            let row = Coming { at, stream: dice.below(2) as StreamId, n, time };
            if dice.below(8) == 0 {
                player.end(at);
            }
            player.feed(
                at,
                row.stream,
                at,
                &[Value::Int(n), row.time.map_or(Value::Null, Value::Long)],
            );
            model.advance(at);
            model.take(&row);
            told += 1;
        }
        let end = at + *dice.pick(&[0, 20, 150, 2_000]);
        player.end(end);
        model.advance(end);
        let Player { stage, seen, carries: player_carries, .. } = player;
        let seen: Vec<Line> = seen
            .0
            .into_iter()
            .map(|(stream, now, own, values)| {
                (stream, now, own, values[0].as_long().expect("a number") as i32)
            })
            .collect();
        assert_eq!(seen, model.lines, "SEED={seed} CASES=1\n{text}");
        let core = stage.core();
        let gone = seen.iter().filter(|line| line.0 < 2).count();
        assert_eq!(core.held(), model.waiting.len(), "SEED={seed} CASES=1\n{text}");
        released += gone;
        if player_carries {
            continue;
        }
        // Nothing vanishes.
        let put: Vec<[u64; 2]> = core.watermarks().map(|each| [each.late, each.ahead]).collect();
        let wanted = model.streams.iter().map(|each| [each.aside[0], each.aside[1]]);
        assert_eq!(put, wanted.collect::<Vec<_>>(), "SEED={seed} CASES=1\n{text}");
        let timeless = core.drops().fault;
        assert_eq!(timeless, model.streams.iter().map(|each| each.aside[2]).sum::<u64>());
        let put: u64 = put.iter().flatten().sum();
        assert_eq!(gone as u64 + core.held() as u64 + put + timeless, told, "SEED={seed}");
        aside += put;
        hurried += core.watermarks().map(|each| each.hurried).sum::<u64>();
    }
    assert!(released > 10_000 && aside > 1_000 && hurried > 100, "{released} {aside} {hurried}");
}
