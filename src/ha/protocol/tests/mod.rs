//! The protocol played by hand.

mod pair;
mod plans;
mod rare;

use crate::ha::protocol::AckMode;
use crate::ha::protocol::Action;
use crate::ha::protocol::Asking;
use crate::ha::protocol::Incarnation;
use crate::ha::protocol::Input;
use crate::ha::protocol::Journal;
use crate::ha::protocol::NodeId;
use crate::ha::protocol::Outcome;
use crate::ha::protocol::Refusal;
use crate::ha::protocol::Settings;
use crate::ha::protocol::Word;
use pair::PLAN;
use pair::Pair;
use pair::STEP;

fn on_one_machine() -> Settings {
    Settings { lock: true, ..Settings::default() }
}

#[test]
fn the_default_times_fit_together() {
    assert_eq!(Settings::default().check(), Ok(()));
}

#[test]
fn the_first_one_acts_and_the_second_is_soon_in_sync() {
    let mut pair = Pair::new(Settings::default());
    assert!(pair.acts(NodeId::A) && !pair.acts(NodeId::B));
    let peer = pair.records[0].in_sync.clone().expect("B is in sync");
    assert_eq!((peer.incarnation, peer.lacks.len()), (Incarnation(2), 0));
    pair.append(NodeId::A, PLAN, 10);
    assert_eq!(
        pair.committed(NodeId::A, PLAN),
        10,
        "what both have is committed, without any fsync"
    );
    pair.run(100);
    assert_eq!(pair.committed(NodeId::B, PLAN), 10);
}

#[test]
fn alone_an_entry_is_committed_once_it_is_on_disk() {
    let mut pair = Pair::new(Settings::default());
    pair.kill(NodeId::B);
    pair.append(NodeId::A, PLAN, 10);
    pair.run(500);
    assert_eq!(pair.committed(NodeId::A, PLAN), 0, "the other one is waited for at first");
    pair.run(1_000);
    assert_eq!(pair.records[0].in_sync, None);
    assert_eq!(pair.committed(NodeId::A, PLAN), 10, "going alone puts everything on disk");
    pair.append(NodeId::A, PLAN, 10);
    assert_eq!(pair.committed(NodeId::A, PLAN), 10);
    pair.sync(NodeId::A, PLAN, 17);
    assert_eq!(pair.committed(NodeId::A, PLAN), 17);
}

#[test]
fn the_disk_is_waited_for_alone_and_where_the_mode_says_so() {
    let awaits =
        |pair: &Pair| [NodeId::A, NodeId::B].map(|node| pair.member(node).needs_disk(PLAN));
    for (ack, both) in [
        (AckMode::Memory, [false, false]),
        (AckMode::Peer, [false, false]),
        (AckMode::Disk, [true, false]),
        (AckMode::PeerDisk, [true, true]),
    ] {
        let mut pair = Pair::new(Settings { ack, ..Settings::default() });
        assert_eq!(awaits(&pair), both, "{ack:?}");
        pair.kill(NodeId::B);
        pair.run(1_500);
        assert_eq!(pair.records[0].in_sync, None);
        assert!(pair.member(NodeId::A).needs_disk(PLAN), "{ack:?}");
        pair.start(NodeId::B, Journal::Sound);
        let mut named = false;
        while pair.records[0].in_sync.is_none() {
            let waits = pair.member(NodeId::A).needs_disk(PLAN);
            assert!(waits, "the record still says that nobody else has the plan: {ack:?}");
            pair.run(STEP);
            named = true;
        }
        assert!(named);
    }
}

#[test]
fn a_killed_active_is_replaced_in_well_under_a_second() {
    let mut pair = Pair::new(on_one_machine());
    pair.append(NodeId::A, PLAN, 10);
    pair.kill(NodeId::A);
    let took = pair.wait_until_acts(NodeId::B, 300);
    assert!(took >= 100, "a short silence is no death: {took} ms");
    pair.sync(NodeId::B, PLAN, 10);
    assert_eq!(pair.committed(NodeId::B, PLAN), 10, "every entry held counts");
}

#[test]
fn without_the_lock_the_lease_is_waited_for() {
    let mut pair = Pair::new(Settings::default());
    pair.kill(NodeId::A);
    let took = pair.wait_until_acts(NodeId::B, 2_500);
    assert!(took >= 1_500, "{took} ms");
}

#[test]
fn a_stall_of_half_a_second_changes_nothing() {
    for settings in [Settings::default(), on_one_machine()] {
        let mut pair = Pair::new(settings);
        for stalled in [NodeId::A, NodeId::B] {
            let epoch = pair.records[0].epoch;
            for _ in 0..500 / STEP {
                pair.now = pair.now.plus(STEP);
                // What is sent to the stalled one waits in its socket; here it is lost, which is
                // worse.
                let still = pair.members[stalled.index()].take();
                let mut actions = Vec::new();
                let now = pair.now;
                if let Some(member) = &mut pair.members[stalled.other().index()] {
                    member.handle(now, Input::Tick, &mut actions);
                }
                pair.members[stalled.index()] = still;
                for action in actions {
                    if let Action::Ask { request, asking: Asking::Read } = action {
                        let outcome = Outcome::Read(pair.records[0].clone());
                        let input = Input::Arbiter { request, outcome };
                        let mut more = Vec::new();
                        if let Some(member) = &mut pair.members[stalled.other().index()] {
                            member.handle(now, input, &mut more);
                        }
                    }
                }
            }
            assert!(pair.acts(NodeId::A), "{stalled} stalled: A still has the right to act");
            pair.run(1_000);
            assert_eq!(pair.records[0].epoch, epoch, "{stalled} stalled");
            assert!(pair.records[0].in_sync.is_some());
        }
    }
}

#[test]
fn losing_only_the_arbiter_changes_nothing() {
    let mut pair = Pair::new(Settings::default());
    pair.arbiter_is_up = false;
    pair.run(20_000);
    assert!(pair.acts(NodeId::A));
    pair.append(NodeId::A, PLAN, 3);
    assert_eq!(pair.committed(NodeId::A, PLAN), 3);
    pair.kill(NodeId::B);
    pair.run(2_000);
    assert!(!pair.acts(NodeId::A), "arbiter and peer both gone, and not alone: it stops");
}

#[test]
fn a_switch_loses_nothing_and_is_quick() {
    let mut pair = Pair::new(Settings::default());
    pair.append(NodeId::A, PLAN, 10);
    pair.give(NodeId::A, Input::Operator(Word::Switch));
    assert!(!pair.acts(NodeId::A));
    assert!(pair.wait_until_acts(NodeId::B, 50) <= 50);
    assert_eq!(pair.last(NodeId::B, PLAN), 10);
    pair.run(500);
    pair.append(NodeId::B, PLAN, 1);
    assert_eq!(pair.committed(NodeId::B, PLAN), 11, "A follows");
}

#[test]
fn a_switch_is_refused_while_nobody_could_take_over() {
    let mut pair = Pair::new(Settings::default());
    pair.kill(NodeId::B);
    pair.run(3_000);
    pair.give(NodeId::A, Input::Operator(Word::Switch));
    let refused = (NodeId::A, Action::Refused(Refusal::PeerNotInSync));
    assert_eq!(pair.said.pop(), Some(refused));
    assert!(pair.acts(NodeId::A));
}

#[test]
fn only_force_promotes_a_node_that_may_lack_entries() {
    let mut pair = Pair::new(on_one_machine());
    pair.kill(NodeId::B);
    pair.run(3_000);
    pair.append(NodeId::A, PLAN, 5);
    pair.start(NodeId::B, Journal::Sound);
    let refused = pair.word(NodeId::B, Word::Promote { force: true });
    let live = [Refusal::LockHeld, Refusal::HolderAnswers].map(Action::Refused);
    assert!(refused.iter().any(|said| live.contains(said)), "{refused:?}");

    pair.kill(NodeId::B);
    pair.run(3_000);
    pair.kill(NodeId::A);
    pair.start(NodeId::B, Journal::Sound);
    pair.run(10_000);
    assert!(!pair.acts(NodeId::B), "it may lack entries");
    let answer = pair.word(NodeId::B, Word::Promote { force: false });
    assert!(answer.contains(&Action::Refused(Refusal::MayLackEntries)), "{answer:?}");
    let generation = pair.records[0].generation;
    pair.give(NodeId::B, Input::Operator(Word::Promote { force: true }));
    pair.wait_until_acts(NodeId::B, 500);
    assert_ne!(pair.records[0].generation, generation);
}
