//! Whether memory stays flat while ever new keys come: of a partition with purge, and of a pattern
//! that begins with each event.
//!
//! `cargo bench --bench memory -- [EVENTS] [NAME …]` prints the resident memory at each tenth of
//! the way, and how the end compares with a quarter of the way. A hundred events come in each
//! millisecond of the plan's clock, and no key comes twice.

#![expect(clippy::print_stdout, reason = "what is measured is printed")]

use std::time::Instant;
use twinflow::engine::core::PlanCore;
use twinflow::engine::entry::Entry;
use twinflow::engine::entry::Input;
use twinflow::engine::entry::Nowhere;
use twinflow::engine::library::Library;
use twinflow::event::Batch;
use twinflow::event::DataType;
use twinflow::event::Kind;

const BATCH: usize = 1_000;
/// Events that come in a millisecond.
const RATE: i64 = 100;

/// What is kept of a key is dropped after two seconds, or when its second is over: so some two
/// hundred thousand keys, or a hundred thousand matches, are there at once.
const PLANS: &[(&str, &str)] = &[
    (
        "partition",
        "define stream S (k long, n long);
         @purge(enable='true', interval='500 millisec', idle.period='2 sec')
         partition with (k of S) begin
         from S#window.length(2) select k, sum(n) as total, avg(n) as mean insert into Out;
         end;",
    ),
    (
        "pattern",
        "define stream S (k long, n long);
         from every e1=S[n >= 0] -> e2=S[k == e1.k and n < 0] within 1 sec
         select e1.k as k, e2.n as n insert into Out;",
    ),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let events = words.iter().find_map(|word| word.parse().ok()).unwrap_or(20_000_000);
    let names: Vec<&String> = words.iter().filter(|word| word.parse::<i64>().is_err()).collect();
    for (name, plan) in PLANS {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            soak(name, plan, events);
        }
    }
}

fn soak(name: &str, text: &str, events: i64) {
    let parsed = twinflow::language::parse(text);
    let checked = twinflow::plan::check(&parsed.tree, text, &Library::standard());
    let plan = checked.plan.unwrap_or_else(|| panic!("{:?}", checked.diagnostics));
    let mut core = PlanCore::build(plan.into(), 42).expect("the plan runs");
    core.start(0);
    let stream = core.plan().stream("S").expect("defined");
    let mut batch = Batch::new(&[DataType::Long, DataType::Long]);
    let (mut next, mut sizes) = (0, Vec::new());
    let start = Instant::now();
    print!("{name:<10}");
    while next < events {
        batch.clear();
        let at = next / RATE;
        for _ in 0..BATCH {
            batch.columns[0].longs_mut().push(next);
            batch.columns[1].longs_mut().push(next % 7);
            batch.push_head(next / RATE, Kind::Current, 0);
            next += 1;
        }
        core.apply(&Entry { at, input: Input::Rows { stream, batch: &batch } }, &mut Nowhere);
        // Forty times in all, of which every fourth is shown.
        if next * 40 / events > sizes.len() as i64 {
            sizes.push(resident());
            if sizes.len().is_multiple_of(4) {
                print!(" {:>6.1}", resident());
            }
        }
    }
    let speed = events as f64 / start.elapsed().as_secs_f64() / 1e6;
    let (quarter, end) = (sizes[9], sizes[sizes.len() - 1]);
    println!(
        " MiB; end / quarter {:.3}; {speed:.2} M events/s; held {}",
        end / quarter,
        core.held()
    );
}

/// Resident memory of this process, in MiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kibibytes.unwrap_or(f64::NAN) / 1024.0
}
