//! Plans that nobody wrote, on input that nobody thought of: however the input is cut, and whether
//! or not the state is saved and loaded in between, the same must come out.

use crate::grammar;
use crate::logged;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use twinflow::plan::logical::Plan;
use twinflow::rehearsal::Act;
use twinflow::rehearsal::Dice;
use twinflow::rehearsal::Reading;
use twinflow::rehearsal::Step;
use twinflow::rehearsal::Verdict;
use twinflow::rehearsal::compare_ways;
use twinflow::rehearsal::written;

/// Plans tried; `CASES=n` tries more.
const CASES: u64 = 400;

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn no_cut_of_the_input_shows_in_the_results() {
    let first = setting("SEED", 1);
    let (mut rows, mut played) = (0, 0);
    for seed in first..first + setting("CASES", CASES) {
        let mut dice = Dice::new(seed);
        let text = grammar::plan(&mut dice);
        let reading = Reading::new("generated", &text);
        let plan = match (reading.verdict(), reading.plan) {
            (Verdict::Fit, Some(plan)) => plan,
            (Verdict::NotSupported, _) => continue,
            _ => panic!("seed {seed}: {:#?}\n{text}", reading.diagnostics),
        };
        let steps = grammar::input(&mut dice, &plan);
        match compare(&text, &plan, &steps, seed) {
            Ok(seen) => rows += seen,
            Err(_) => fail(seed, &text, &plan, steps),
        }
        played += 1;
    }
    assert!(played * 10 > setting("CASES", CASES) * 9, "only {played} plans could be played");
    assert!(rows as u64 > played * 20, "{played} plans gave only {rows} rows");
}

/// Plays in every way, also through a pair and from a journal; a panic is a difference too.
fn compare(text: &str, plan: &Arc<Plan>, steps: &[Step], seed: u64) -> Result<usize, String> {
    let played = catch_unwind(AssertUnwindSafe(|| {
        let rows = compare_ways(plan, steps, seed).map_err(|failure| failure.to_string())?;
        logged::compare(text, plan, steps, seed)?;
        Ok(rows)
    }));
    match played {
        Ok(compared) => compared,
        Err(_) => Err("the engine panicked".to_owned()),
    }
}

/// Leaves out what does not matter and shows the rest as a play.
fn fail(seed: u64, text: &str, plan: &Arc<Plan>, mut steps: Vec<Step>) {
    let fails = |steps: &[Step]| compare(text, plan, steps, seed).is_err();
    let mut place = 0;
    while place < steps.len() {
        let mut fewer = steps.clone();
        fewer.remove(place);
        let restorable = |steps: &[Step]| {
            let snapshot = steps.iter().position(|step| step.act == Act::Snapshot);
            let restore = steps.iter().position(|step| step.act == Act::Restore);
            restore.is_none_or(|restore| snapshot.is_some_and(|snapshot| snapshot < restore))
        };
        if restorable(&fewer) && fails(&fewer) {
            steps = fewer;
        } else {
            place += 1;
        }
    }
    let failure = compare(text, plan, &steps, seed).expect_err("it failed before");
    let play = written(plan, &steps);
    panic!("SEED={seed} CASES=1\n-- plan\n{text}-- play\n{play}-- expect\n\n{failure}");
}
