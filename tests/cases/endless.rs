//! Plans that multiply rows or time: whatever they say, what one entry sets off has an end.

use std::sync::Arc;
use twinflow::engine::context::Level;
use twinflow::engine::context::Note;
use twinflow::engine::core::PlanCore;
use twinflow::engine::core::bounds::Bounds;
use twinflow::engine::entry::Entry;
use twinflow::engine::entry::Input;
use twinflow::engine::entry::Outlet;
use twinflow::event::Batch;
use twinflow::event::DataType;
use twinflow::event::Millis;
use twinflow::event::Value;
use twinflow::plan::logical::QueryId;
use twinflow::plan::logical::StreamId;
use twinflow::rehearsal::Reading;

/// Counts rows of the watched streams and keeps the notes.
#[derive(Default)]
struct Seen {
    rows: usize,
    latest: Vec<Millis>,
    notes: Vec<Note>,
}

impl Outlet for Seen {
    fn stream(&mut self, _: StreamId, now: Millis, rows: &Batch) {
        self.rows += rows.len();
        self.latest.push(now);
    }
    fn query(&mut self, _: QueryId, _: Millis, _: &Batch) {}
    fn note(&mut self, note: Note) {
        self.notes.push(note);
    }
}

fn core(text: &str, watched: &str) -> PlanCore {
    let reading = Reading::new("plan", text);
    let plan = reading.plan.unwrap_or_else(|| panic!("{:?}", reading.diagnostics));
    let watched = plan.stream(watched).expect("a stream of the plan");
    let mut core = PlanCore::build(Arc::clone(&plan), 1).expect("the plan runs");
    core.watch_stream(watched);
    core.start(0);
    core
}

fn tick(core: &mut PlanCore, at: Millis) -> Seen {
    let mut seen = Seen::default();
    core.apply(&Entry { at, input: Input::Tick }, &mut seen);
    seen
}

fn feed(core: &mut PlanCore, stream: &str, at: Millis, rows: i32) -> Seen {
    let stream = core.plan().stream(stream).expect("a stream of the plan");
    let mut batch = Batch::new(&[DataType::Int]);
    (0..rows).for_each(|row| batch.push_row(at, &[Value::Int(row)]));
    let mut seen = Seen::default();
    core.apply(&Entry { at, input: Input::Rows { stream, batch: &batch } }, &mut seen);
    seen
}

/// Each query doubles what it gets once its window is full.
fn doubling(queries: usize) -> String {
    let query = |n: usize| {
        format!("from S{n}#window.length(1) select a insert all events into S{};\n", n + 1)
    };
    let queries: String = (0..queries).map(query).collect();
    format!("define stream S0 (a int);\n{queries}")
}

#[test]
fn rows_that_multiply_are_cut_off_and_counted() {
    let mut core = core(&doubling(40), "S1");
    core.set_bounds(Bounds { rows: 10_000, ..Bounds::default() });
    let seen = feed(&mut core, "S0", 1, 100);
    // The first query puts out 199 rows for 100; 40 queries would put out more than can be.
    assert_eq!(seen.rows, 199);
    let [note] = &seen.notes[..] else { panic!("{:?}", seen.notes) };
    assert_eq!(note.level, Level::Error);
    assert!(note.text.contains("more than 10000 rows in this plan"), "{}", note.text);
    let dropped = core.drops().fault;
    assert!(dropped > 0);
    // The next entry has its own measure.
    assert_eq!(feed(&mut core, "S0", 2, 1).rows, 2);
    assert!(core.drops().fault > dropped);
}

#[test]
fn groups_of_rows_that_never_stay_are_not_kept() {
    let conditions = ["expression('sum(a) < 0')", "expressionBatch('sum(a) < 0')"];
    for window in conditions {
        let query = "select a, sum(a) as total group by a insert into B;";
        let plan = format!("define stream A (a int);\nfrom A#window.{window} {query}");
        let mut core = core(&plan, "B");
        assert_eq!(feed(&mut core, "A", 1, 5_000).rows, 5_000);
        assert!(core.groups() < 100, "{window}: {} groups", core.groups());
    }
}

#[test]
fn bounds_leave_what_is_usual_alone() {
    let mut core = core(&doubling(8), "S8");
    let seen = feed(&mut core, "S0", 1, 1_000);
    assert!(seen.notes.is_empty() && core.drops().fault == 0);
    assert!(seen.rows > 1_000 * 128);
}

#[test]
fn a_named_window_is_guarded_too() {
    let plan = "define stream A (a int);\ndefine window W (a int) length(2);\n\
                from A select a insert into W;\nfrom W select a insert into B;";
    let mut core = core(plan, "B");
    core.set_bounds(Bounds { rows: 15, ..Bounds::default() });
    let seen = feed(&mut core, "A", 1, 10);
    assert_eq!((seen.rows, core.drops().fault), (0, 10));
    assert!(seen.notes[0].text.starts_with("rows for `W` are dropped"));
}

#[test]
fn a_trigger_does_not_make_up_for_ages() {
    let year = 365 * 24 * 3_600_000_i64;
    let mut core = core("define trigger T at every 7 millisec;", "T");
    core.set_bounds(Bounds { firings: 100, ..Bounds::default() });
    let seen = tick(&mut core, year);
    assert_eq!(seen.rows, 101);
    assert_eq!((seen.latest[0], seen.latest[100]), (7, 707));
    assert!(seen.notes[0].text.contains("trigger `T` leaves out what it has missed"));
    // It goes on at the moments at which it would have fired anyway.
    let next = (year / 7 + 1) * 7;
    assert_eq!(core.next_deadline(), Some(next));
    let seen = tick(&mut core, next);
    assert_eq!((seen.rows, seen.latest[0]), (1, next));
    assert!(seen.notes.is_empty());
}

#[test]
fn a_calendar_does_not_make_up_for_ages() {
    let mut core = core("define trigger T at '* * * * * ?';", "T");
    core.set_bounds(Bounds { firings: 10, ..Bounds::default() });
    assert_eq!(tick(&mut core, 86_400_500).rows, 11);
    assert_eq!(core.next_deadline(), Some(86_401_000));
}

#[test]
fn purges_that_were_missed_are_made_up_for_by_one() {
    let plan = "define stream A (a int);\n\
                @purge(enable='true', interval='1 millisec', idle.period='1 hour')\n\
                partition with (a of A) begin from A select a, count() as c insert into B; end;";
    let mut core = core(plan, "B");
    core.set_bounds(Bounds { firings: 10, ..Bounds::default() });
    feed(&mut core, "A", 1, 5);
    let tick_at = 3_600_000 * 1_000;
    tick(&mut core, tick_at);
    assert_eq!(core.next_deadline(), Some(tick_at + 1));
    // The keys are gone: a count begins anew, and slots are given again.
    let seen = feed(&mut core, "A", tick_at, 5);
    assert_eq!(seen.rows, 5);
}

#[test]
fn an_idle_clock_is_moved_in_one_go() {
    let plan = "@app:playback(idle.time='1 millisec', increment='2 millisec')\n\
                define stream A (a int);\n\
                from A#window.time(1 hour) select a insert expired events into B;";
    let mut core = core(plan, "B");
    feed(&mut core, "A", 1_000, 3);
    let years = 100 * 365 * 24 * 3_600_000_i64;
    let seen = tick(&mut core, years);
    assert_eq!((seen.rows, seen.latest[0]), (3, 3_601_000));
    assert_eq!(core.next_deadline(), Some(years + 1));
    // The clock was idle before the rows, too, and went ahead of them.
    assert_eq!(core.now(), 2 * years);
}

#[test]
fn the_longest_chain_fits_a_small_stack() {
    let query = |n: usize| format!("from S{n}[a >= 0] select a insert into S{};\n", n + 1);
    let queries: String = (0..250).map(query).collect();
    let text = format!("define stream S0 (a int);\n{queries}");
    // Half of what threads usually get.
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    let rows = thread.spawn(move || feed(&mut core(&text, "S250"), "S0", 1, 3).rows);
    assert_eq!(rows.expect("a thread").join().expect("the stack holds"), 3);
}
