//! How long a plan stands still while its state is frozen: a window of a gigabyte.
//!
//! `cargo bench --bench freeze -- [ROWS]` fills a window, freezes it a few times with rows coming
//! in between, counts its bytes, which a node does now and then, and turns the last frozen state
//! into bytes, which it does on another thread.

#![expect(clippy::print_stdout, reason = "what is measured is printed")]

use std::time::Instant;
use twinflow::engine::core::PlanCore;
use twinflow::engine::entry::Entry;
use twinflow::engine::entry::Input;
use twinflow::engine::entry::Nowhere;
use twinflow::engine::library::Library;
use twinflow::event::Batch;
use twinflow::event::Kind;
use twinflow::event::Text;

const BATCH: usize = 1024;

fn main() {
    let given = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let rows: usize = given.unwrap_or(22_000_000);
    let text = format!(
        "define stream S (symbol string, price double, volume long, ts long);
         from S#window.length({rows})
         select symbol, price, volume, ts insert all events into Out;"
    );
    let parsed = twinflow::language::parse(&text);
    let checked = twinflow::plan::check(&parsed.tree, &text, &Library::standard());
    let plan = checked.plan.unwrap_or_else(|| panic!("{:?}", checked.diagnostics));
    let mut core = PlanCore::build(plan.into(), 42).expect("the plan runs");
    core.start(0);
    let stream = core.plan().stream("S").expect("defined");
    let mut bytes = 0;
    let mut next = 0;
    let mut feed = |core: &mut PlanCore| {
        let mut batch = Batch::new(&core.plan().streams[stream].schema.types());
        for _ in 0..BATCH {
            batch.columns[0].texts_mut().push(Text::from(format!("S{:03}", next % 1000)));
            batch.columns[1].doubles_mut().push(next as f64);
            batch.columns[2].longs_mut().push(next);
            batch.columns[3].longs_mut().push(next);
            batch.push_head(next, Kind::Current, 0);
            next += 1;
        }
        bytes = batch.bytes() / BATCH;
        core.apply(&Entry { at: 0, input: Input::Rows { stream, batch: &batch } }, &mut Nowhere);
    };
    for _ in 0..rows.div_ceil(BATCH) {
        feed(&mut core);
    }
    let mut pauses: Vec<f64> = Vec::new();
    let mut frozen = core.freeze();
    for _ in 0..5 {
        feed(&mut core);
        let start = Instant::now();
        frozen = core.freeze();
        pauses.push(start.elapsed().as_secs_f64() * 1e3);
    }
    pauses.sort_by(f64::total_cmp);
    let start = Instant::now();
    let counted = core.state_bytes();
    let counting = start.elapsed().as_secs_f64() * 1e3;
    let start = Instant::now();
    let written = frozen.to_bytes().len();
    println!(
        "{} rows held, {:.2} GB by logical count: freeze {:.2} ms (median of 5, most {:.2} ms); \
         its {counted} bytes counted in {counting:.2} ms; written out {:.2} GB in {:.1} s",
        core.held(),
        (core.held() * bytes) as f64 / 1e9,
        pauses[2],
        pauses[4],
        written as f64 / 1e9,
        start.elapsed().as_secs_f64()
    );
}
