//! The pair with its default times in a world where one thing goes wrong: how long a takeover
//! takes, and what is no takeover at all.

use crate::world::Event;
use crate::world::Making;
use crate::world::Violation;
use crate::world::World;
use twinflow::ha::protocol::AckMode;
use twinflow::ha::protocol::Input;
use twinflow::ha::protocol::NodeId;
use twinflow::ha::protocol::Settings;
use twinflow::ha::protocol::Word;

const SEEDS: u64 = 40;

/// A world with the times that users have, and no faults; both nodes have found each other.
fn quiet(seed: u64, lock: bool) -> (World, NodeId) {
    let making = Making::of(seed, |settings| {
        *settings = Settings { lock, ack: AckMode::Peer, ..Settings::default() };
    });
    let mut world = World::new(seed, making, std::env::var("SEED").is_ok());
    world.heal();
    go(&mut world, 4_000 + seed * 13 % 500);
    let active = if world.acts(NodeId::A) { NodeId::A } else { NodeId::B };
    assert!(world.acts(active) && world.arbiter.record.in_sync.is_some());
    (world, active)
}

fn go(world: &mut World, milliseconds: u64) {
    let end = world.now + milliseconds * 1_000;
    world.run_until(end).unwrap_or_else(|Violation(broken)| panic!("{broken}"));
}

/// Milliseconds until the node acts.
fn until_acts(world: &mut World, node: NodeId, at_most: u64) -> u64 {
    let began = world.now;
    while !world.acts(node) {
        go(world, 1);
        let waited = (world.now - began) / 1_000;
        assert!(waited <= at_most, "it takes more than {at_most} ms");
    }
    (world.now - began) / 1_000
}

fn show(what: &str, mut times: Vec<u64>) {
    times.sort_unstable();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{what}: {median} ms in the median, {worst} ms at worst, of {} times", times.len());
}

#[test]
fn a_killed_active_is_replaced_quickly() {
    for (lock, at_most) in [(true, 500), (false, 2_800)] {
        let times = (1..=SEEDS).map(|seed| {
            let (mut world, active) = quiet(seed, lock);
            world.kill(active);
            until_acts(&mut world, active.other(), at_most)
        });
        let what = if lock { "kill, with the kernel lock" } else { "kill, without it" };
        show(what, times.collect());
    }
}

#[test]
fn a_node_that_is_cut_off_is_replaced_after_its_lease() {
    let times = (1..=SEEDS).map(|seed| {
        let (mut world, active) = quiet(seed, false);
        world.network.peer = [false; 2];
        world.network.ask[active.index()] = false;
        until_acts(&mut world, active.other(), 2_800)
    });
    show("cut off", times.collect());
}

#[test]
fn a_switch_takes_a_moment() {
    let times = (1..=SEEDS).map(|seed| {
        let (mut world, active) = quiet(seed, false);
        world.give(active, Input::Operator(Word::Switch), None);
        let took = until_acts(&mut world, active.other(), 250);
        go(&mut world, 2_000);
        assert!(world.acts(active.other()) && world.history.switches == 1);
        took
    });
    show("switch, with up to 100 ms for what is in flight", times.collect());
}

#[test]
fn a_stall_is_no_takeover() {
    for lock in [true, false] {
        for seed in 1..=SEEDS {
            let (mut world, active) = quiet(seed, lock);
            let epoch = world.arbiter.record.epoch;
            let stalled = if seed % 2 == 0 { active } else { active.other() };
            for _ in 0..4 {
                world.host_mut(stalled).paused = true;
                go(&mut world, 500);
                assert!(world.acts(active), "{stalled} stalls, and {active} may not act");
                world.resume(stalled);
                go(&mut world, 700);
            }
            assert_eq!(world.arbiter.record.epoch, epoch, "seed {seed}: somebody took over");
            assert!(world.arbiter.record.in_sync.is_some(), "seed {seed}");
        }
    }
}

#[test]
fn an_hour_without_the_arbiter_changes_nothing() {
    let (mut world, active) = quiet(1, false);
    let epoch = world.arbiter.record.epoch;
    world.arbiter.up = false;
    let answered = world.workload.answered;
    for _ in 0..3_600 {
        go(&mut world, 1_000);
        assert!(world.acts(active));
    }
    assert!(world.workload.answered > answered + 100_000, "producers are answered all along");
    world.arbiter.up = true;
    go(&mut world, 2_000);
    assert_eq!(world.arbiter.record.epoch, epoch);
}

/// Both machines go down and come up in any order: with sound journals either goes on alone.
#[test]
fn whoever_comes_first_after_both_were_killed_goes_on() {
    for seed in 1..=SEEDS {
        let (mut world, active) = quiet(seed, true);
        world.kill(active);
        world.kill(active.other());
        go(&mut world, 1_000);
        let first = if seed % 2 == 0 { active } else { active.other() };
        world.start(first);
        until_acts(&mut world, first, 4_000);
        let back = Event::Mend(crate::faults::Mend::Start(first.other()));
        world.after(100_000, back);
        go(&mut world, 4_000);
        assert!(world.arbiter.record.in_sync.is_some(), "seed {seed}: the second one follows");
    }
}
