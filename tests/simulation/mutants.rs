//! The protocol with a rule left out: the simulation has to notice, or it proves nothing.

use crate::entries::Flaw;
use crate::seeds;
use crate::world::Making;
use crate::world::Things;
use twinflow::ha::protocol::AckMode;
use twinflow::ha::protocol::Rules;

/// So many seeds may pass before a mutant has to be found.
const SEEDS: u64 = 2_000;

/// Found in every run of the tests; the others only when all are asked for.
const EVERY_TIME: [&str; 5] =
    ["prefix_by_epoch", "passive_applies_committed", "in_sync_checked", "doubt", "epoch_on_start"];

/// The world of a seed without a rule. Some rules matter only in some worlds: those are chosen
/// then.
pub fn making(name: &str, seed: u64) -> Making {
    let mut making = Making::of(seed, |settings| {
        let rules = Rules::without(name);
        settings.rules = rules.unwrap_or_else(|| panic!("no rule is named `{name}`"));
        match name {
            "lock_after_read" => settings.lock = true,
            "wait_after_start" => {
                settings.ack = AckMode::PeerDisk;
                settings.grant = 3 * settings.lease;
                settings.lock = false;
            }
            "doubt" => settings.ack = AckMode::Peer,
            "no_entries_while_standing" => {
                settings.ack = AckMode::Peer;
                settings.answer = settings.lease;
                settings.lock = false;
            }
            "no_grant_while_standing" | "recorded_incarnation_only" => settings.lock = false,
            "stand_writes_alone" => (settings.lock, settings.ack) = (false, AckMode::Peer),
            _ => {}
        }
    });
    match name {
        "no_entries_while_standing" => {
            (making.aim, making.cut_off, making.fault_every) = (1_000, 900, 8_000_000);
            making.flush = (200_000, 400_000);
        }
        "no_grant_while_standing" | "recorded_incarnation_only" => {
            (making.aim, making.cut_off) = (800, 300);
        }
        "old_epoch_refused" => (making.aim, making.cut_off) = (800, 200),
        "stand_writes_alone" => {
            (making.aim, making.deaf, making.fault_every) = (0, 500, 6_000_000);
            making.flush = (200_000, 400_000);
        }
        "blank_waits_for_lacking" | "whole_taken_back" => making.wipes = 500,
        "switch_waits_for_all" => making.switches = 500,
        _ => {}
    }
    making
}

/// Looks for the first seed that each mutant fails.
pub fn hunt(which: Option<&str>) {
    let mut missed = Vec::new();
    let wanted = |name: &&&str| match which {
        None => EVERY_TIME.contains(*name),
        Some("all") => true,
        Some(names) => names.split(',').any(|one| one == **name),
    };
    for name in Rules::NAMES.iter().filter(wanted) {
        let found = (1..=SEEDS).find_map(|seed| {
            let mutant = making(name, seed);
            let broken = seeds::walk(seed, mutant.clone(), false).err()?;
            // It has to be the rule that makes the difference, not the world.
            let mut whole = mutant;
            whole.settings.rules = Rules::default();
            if let Err(sound) = seeds::walk(seed, whole, false) {
                panic!("seed {seed} in the world of {name}, with every rule: {}", sound.0);
            }
            Some((seed, broken.0))
        });
        match found {
            Some((seed, broken)) => println!("{name}: found by seed {seed}: {broken}"),
            None => {
                println!("{name}: not found in {SEEDS} seeds");
                missed.push(*name);
            }
        }
    }
    assert!(missed.is_empty(), "rules that may be left out unnoticed: {missed:?}");
}

/// So many seeds with real entries may pass before a flaw has to be found.
const REAL_SEEDS: u64 = 50;

/// Looks for the first seed that notices each flaw.
pub fn hunt_flaws() {
    for flaw in Flaw::ALL {
        let found = (1..=REAL_SEEDS).find_map(|seed| {
            let making = Making { things: Things::Real, ..Making::of(seed, |_| {}) };
            let flawed = Making { flaw: Some(flaw), ..making };
            Some((seed, seeds::walk(seed, flawed, false).err()?.0))
        });
        let Some((seed, broken)) = found else {
            panic!("{flaw:?} is not noticed in {REAL_SEEDS} seeds");
        };
        println!("{flaw:?}: found by seed {seed}: {broken}");
    }
}
