//! The pair in one thread, from a seed: messages late, lost and doubled, links cut, processes
//! killed and stopped, machines without power, clocks that disagree, an arbiter that is slow,
//! stuck or away.
//!
//! `SEEDS=n` runs n of them, `BASE=n` begins there, `SEED=n` tells the walk of one, `MUTANT=name`
//! leaves out that rule, `WORLD=name` only chooses that mutant's worlds, `MUTANTS=all` tries every
//! mutant.

#![allow(clippy::unwrap_used, reason = "a test may stop at once")]
#![allow(clippy::print_stdout, reason = "the report is for people")]

mod arbiter;
mod chance;
mod checks;
mod entries;
mod faults;
mod hosting;
mod mutants;
mod network;
mod quiet;
mod results;
mod seeds;
mod workload;
mod world;

use twinflow::ha::protocol::Rules;
use world::Making;

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number: `{text}`")),
        Err(_) => default,
    }
}

fn making(seed: u64) -> Making {
    if let Ok(name) = std::env::var("WORLD") {
        let mut making = mutants::making(&name, seed);
        making.settings.rules = Rules::default();
        return making;
    }
    match std::env::var("MUTANT") {
        Ok(name) => mutants::making(&name, seed),
        Err(_) => Making::of(seed, |_| {}),
    }
}

#[test]
fn every_seed_keeps_the_promises() {
    if let Ok(seed) = std::env::var("SEED") {
        let seed = seed.parse().expect("SEED is a number");
        let making = making(seed);
        println!("{making:?}");
        let walk = seeds::walk(seed, making, true);
        let walk = walk.unwrap_or_else(|broken| panic!("seed {seed}: {}", broken.0));
        return println!("{}", seeds::report(&[walk]));
    }
    let (base, seeds) = (number("BASE", 1), number("SEEDS", 500));
    let mut walks = Vec::new();
    let mut failures = Vec::new();
    for seed in base..base + seeds {
        match seeds::walk(seed, making(seed), false) {
            Ok(walk) => walks.push(walk),
            Err(broken) => {
                println!("seed {seed}: {}", broken.0);
                failures.push(seed);
            }
        }
    }
    println!("seeds {base} to {}:\n{}", base + seeds - 1, seeds::report(&walks));
    assert!(failures.is_empty(), "broken promises; see each with SEED=n: {failures:?}");
}

/// A seed that fails has to fail again.
#[test]
fn a_seed_gives_the_same_walk_every_time() {
    for seed in 1..=5 {
        let walks = [0; 2].map(|_| seeds::walk(seed, making(seed), false).expect("it is sound"));
        let [once, again] = walks.map(|walk| (walk.events, walk.answered, walk.counts));
        assert_eq!(once, again, "seed {seed}");
    }
}

#[test]
fn mutants_are_found() {
    mutants::hunt(std::env::var("MUTANTS").ok().as_deref());
}
