//! How many events a second one thread takes, workload by workload, beside a loop written by hand.
//!
//! `cargo bench --bench throughput -- [--events N] [--runs N] [WORKLOAD …]` prints one table.
//! Events lie ready in memory before the clock starts, one event a call in portions of a thousand;
//! the column `filled` counts the filling of batches too.
//! The *limit* reads the same batches and writes the same output columns, knows the
//! query by heart and has no engine; the ratio to it is the figure we steer by. The number of rows
//! that come out is asserted.

#![expect(clippy::print_stdout, reason = "what is measured is printed")]

mod generator;
mod limits;
mod workloads;

use std::time::Instant;
use twinflow::engine::context::Note;
use twinflow::engine::core::PlanCore;
use twinflow::engine::entry::Entry;
use twinflow::engine::entry::Input;
use twinflow::engine::entry::Outlet;
use twinflow::event::Batch;
use twinflow::event::Millis;
use twinflow::plan::logical::QueryId;
use twinflow::plan::logical::StreamId;
use workloads::Workload;

/// Rows of a batch where events come in batches.
const BATCH: usize = 1024;

struct Settings {
    events: usize,
    runs: usize,
    only: Vec<String>,
    /// Play batches of this many rows and nothing else.
    profile: Option<usize>,
    /// Count the thread's time.
    cpu: bool,
}

fn main() {
    let settings = settings();
    println!(
        "{:<14} {:>23} {:>23} {:>8} {:>8} {:>6}  {:>9}",
        "workload", "batches of 1024", "one event a call", "filled", "limit", "ratio", "rows out"
    );
    println!(
        "{:<14} {:>23} {:>23} {:>8} {:>8}   (million events a second: median, least..most)",
        "", "", "", "", ""
    );
    for workload in workloads::ALL {
        if settings.only.is_empty()
            || settings.only.iter().any(|name| workload.name.starts_with(name))
        {
            measure(workload, &settings);
        }
    }
}

fn settings() -> Settings {
    let mut settings =
        Settings { events: 2_000_000, runs: 5, only: Vec::new(), profile: None, cpu: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a number");
        match word.as_str() {
            "--events" => settings.events = number(),
            "--runs" => settings.runs = number(),
            "--batches" => settings.profile = Some(BATCH),
            "--singles" => settings.profile = Some(1),
            "--cpu" => settings.cpu = true,
            "--bench" => {}
            name => settings.only.push(name.to_owned()),
        }
    }
    settings
}

fn measure(workload: &Workload, settings: &Settings) {
    let events = settings.events;
    if let Some(rows) = settings.profile {
        let speeds = match rows {
            1 => runs(settings, |clock| fresh(workload, settings, clock)),
            _ => {
                let batches: Vec<_> = (workload.events)(events, rows).collect();
                runs(settings, |clock| clock.time(|| play(workload, &batches)))
            }
        };
        return println!("{:<14} {:>23}", workload.name, show(&speeds));
    }
    let batched: Vec<_> = (workload.events)(events, BATCH).collect();
    let mut rows = 0;
    let in_batches = runs(settings, |clock| rows = clock.time(|| play(workload, &batched)));
    // Batches of two streams come in another order than single events, and others meet.
    let alike = workload.streams.len() == 1;
    if events == 2_000_000 && alike {
        assert_eq!(rows, workload.rows_out, "{}: rows out", workload.name);
    }
    let filled = runs(settings, |clock| {
        clock.time(|| play(workload, &(workload.events)(events, BATCH).collect::<Vec<_>>()));
    });
    let mut limit_rows = 0;
    let limit = runs(settings, |clock| limit_rows = clock.time(|| (workload.limit)(&batched)));
    assert_eq!(limit_rows, rows, "{}: rows out of the limit", workload.name);
    drop(batched);

    let mut single_rows = 0;
    let one_by_one = runs(settings, |clock| single_rows = fresh(workload, settings, clock));
    let wanted = if alike || events != 2_000_000 { rows } else { workload.rows_out };
    if alike || events == 2_000_000 {
        assert_eq!(single_rows, wanted, "{}: rows out, one event a call", workload.name);
    }
    println!(
        "{:<14} {:>23} {:>23} {:>8.1} {:>8.1} {:>6.2}  {:>9}",
        workload.name,
        show(&in_batches),
        show(&one_by_one),
        median(&filled),
        median(&limit),
        median(&in_batches) / median(&limit),
        single_rows
    );
}

/// Counts the time of what is measured, and of nothing else.
struct Clock {
    cpu: bool,
    spent: f64,
}

impl Clock {
    fn time<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let (start, cpu) = (Instant::now(), self.cpu.then(thread_seconds));
        let result = run();
        self.spent += match cpu {
            Some(cpu) => thread_seconds() - cpu,
            None => start.elapsed().as_secs_f64(),
        };
        result
    }
}

/// Million events a second of each run after one that does not count.
fn runs<T>(settings: &Settings, mut run: impl FnMut(&mut Clock) -> T) -> Vec<f64> {
    let mut speed = || {
        let mut clock = Clock { cpu: settings.cpu, spent: 0.0 };
        run(&mut clock);
        settings.events as f64 / clock.spent / 1e6
    };
    speed();
    let mut speeds: Vec<f64> = (0..settings.runs).map(|_| speed()).collect();
    speeds.sort_by(f64::total_cmp);
    speeds
}

/// Seconds this thread has run, as the kernel counts them.
fn thread_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0) / 1e9
}

fn median(speeds: &[f64]) -> f64 {
    speeds[speeds.len() / 2]
}

fn show(speeds: &[f64]) -> String {
    format!("{:.1} ({:.1}..{:.1})", median(speeds), speeds[0], speeds[speeds.len() - 1])
}

/// Counts rows and does nothing else.
struct Counter(usize);

impl Outlet for Counter {
    fn stream(&mut self, _: StreamId, _: Millis, rows: &Batch) {
        self.0 += rows.len();
    }
    fn query(&mut self, _: QueryId, _: Millis, _: &Batch) {}
    fn note(&mut self, _: Note) {}
}

/// A plan that takes batches and counts what comes out.
struct Player {
    core: PlanCore,
    streams: Vec<StreamId>,
    /// Batches taken.
    turn: usize,
    counter: Counter,
}

impl Player {
    fn new(workload: &Workload) -> Player {
        let mut core = workloads::core(workload);
        let plan = core.plan().clone();
        for name in workload.watch {
            core.watch_stream(plan.stream(name).expect("a stream of the plan"));
        }
        let stream = |name: &&str| plan.stream(name).expect("the workload reads it");
        let streams = workload.streams.iter().map(stream).collect();
        Player { core, streams, turn: 0, counter: Counter(0) }
    }

    fn take(&mut self, batches: &[Batch]) {
        for batch in batches {
            let stream = self.streams[self.turn % self.streams.len()];
            self.turn += 1;
            let entry = Entry { at: batch.timestamps[0], input: Input::Rows { stream, batch } };
            self.core.apply(&entry, &mut self.counter);
        }
    }
}

/// Runs a plan over ready batches.
fn play(workload: &Workload, batches: &[Batch]) -> usize {
    let mut player = Player::new(workload);
    player.take(batches);
    player.counter.0
}

/// Runs a plan over single events. The clock stands still while the next thousand are made: they
/// are as fresh in the cache as events that have just been received.
fn fresh(workload: &Workload, settings: &Settings, clock: &mut Clock) -> usize {
    let mut player = Player::new(workload);
    let mut events = (workload.events)(settings.events, 1);
    loop {
        let ready: Vec<Batch> = events.by_ref().take(BATCH).collect();
        if ready.is_empty() {
            return player.counter.0;
        }
        clock.time(|| player.take(&ready));
    }
}

/// Builds a plan from its text.
fn build(text: &str) -> PlanCore {
    let parsed = twinflow::language::parse(text);
    assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
    let library = twinflow::engine::library::Library::standard();
    let checked = twinflow::plan::check(&parsed.tree, text, &library);
    let plan = checked.plan.unwrap_or_else(|| panic!("{:?}", checked.diagnostics));
    let mut core = PlanCore::build(plan.into(), 42).expect("the plan runs");
    core.start(1_700_000_000_000);
    core
}
