//! How many events a second one thread takes, workload by workload, beside a loop written by hand.
//!
//! `cargo bench --bench throughput -- [--events N] [--runs N] [WORKLOAD …]` prints one table.
//! Events lie ready in memory before the clock starts; the column `filled` counts the filling of
//! batches too. The *limit* reads the same batches and writes the same output columns, knows the
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
        let batches = (workload.fill)(events, rows);
        let speeds = runs(settings, events, || {
            play(workload, &batches);
        });
        return println!("{:<14} {:>23}", workload.name, show(&speeds));
    }
    let batched = (workload.fill)(events, BATCH);
    let mut rows = 0;
    let in_batches = runs(settings, events, || rows = play(workload, &batched));
    if events == 2_000_000 {
        assert_eq!(rows, workload.rows_out, "{}: rows out", workload.name);
    }
    let filled = runs(settings, events, || {
        play(workload, &(workload.fill)(events, BATCH));
    });
    let mut limit_rows = 0;
    let limit = runs(settings, events, || limit_rows = (workload.limit)(&batched));
    assert_eq!(limit_rows, rows, "{}: rows out of the limit", workload.name);
    drop(batched);

    let singles = (workload.fill)(events, 1);
    let mut single_rows = 0;
    let one_by_one = runs(settings, events, || single_rows = play(workload, &singles));
    assert_eq!(single_rows, rows, "{}: rows out, one event a call", workload.name);
    println!(
        "{:<14} {:>23} {:>23} {:>8.1} {:>8.1} {:>6.2}  {:>9}",
        workload.name,
        show(&in_batches),
        show(&one_by_one),
        median(&filled),
        median(&limit),
        median(&in_batches) / median(&limit),
        rows
    );
}

/// Million events a second of each run after one that does not count.
fn runs(settings: &Settings, events: usize, mut run: impl FnMut()) -> Vec<f64> {
    run();
    let mut speeds: Vec<f64> = (0..settings.runs)
        .map(|_| {
            let (start, cpu) = (Instant::now(), thread_seconds());
            run();
            let wall = start.elapsed().as_secs_f64();
            let spent = if settings.cpu { thread_seconds() - cpu } else { wall };
            events as f64 / spent / 1e6
        })
        .collect();
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

/// Runs a plan over ready batches and counts what comes out.
fn play(workload: &Workload, batches: &[(&'static str, Batch)]) -> usize {
    let mut core = workloads::core(workload);
    let plan = core.plan().clone();
    for name in workload.watch {
        core.watch_stream(plan.stream(name).expect("a stream of the plan"));
    }
    let mut counter = Counter(0);
    let mut known: Option<(&str, StreamId)> = None;
    for (name, batch) in batches {
        let stream = match known {
            Some((same, stream)) if std::ptr::eq(same, *name) => stream,
            _ => plan.stream(name).expect("a stream of the plan"),
        };
        known = Some((name, stream));
        let at = batch.timestamps[0];
        core.apply(&Entry { at, input: Input::Rows { stream, batch } }, &mut counter);
    }
    counter.0
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
