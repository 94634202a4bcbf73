//! Plan by plan: one that the other node lacks stays down there and harms no other.

use crate::ha::protocol::AckMode;
use crate::ha::protocol::Action;
use crate::ha::protocol::Alarm;
use crate::ha::protocol::Input;
use crate::ha::protocol::Journal;
use crate::ha::protocol::LogStart;
use crate::ha::protocol::NodeId;
use crate::ha::protocol::Plan;
use crate::ha::protocol::PlanSet;
use crate::ha::protocol::Position;
use crate::ha::protocol::Refusal;
use crate::ha::protocol::Rules;
use crate::ha::protocol::Settings;
use crate::ha::protocol::Waiting;
use crate::ha::protocol::Word;
use crate::ha::protocol::tests::pair::PLAN;
use crate::ha::protocol::tests::pair::Pair;

const SECOND: Plan = Plan(2);

/// A pair with two plans, of which B cannot take the second.
fn broken_at_b() -> Pair {
    broken_at_b_with(Rules::default())
}

fn broken_at_b_with(rules: Rules) -> Pair {
    let mut pair = Pair::new(Settings { lock: true, rules, ..Settings::default() });
    pair.give(NodeId::A, Input::PlanAdded { plan: SECOND, log: LogStart::default() });
    pair.run(500);
    pair.append(NodeId::A, SECOND, 3);
    assert_eq!(pair.committed(NodeId::A, SECOND), 3, "a new plan is followed at once");
    pair.give(NodeId::B, Input::PlanBroken { plan: SECOND, broken: true });
    pair.run(500);
    pair.append(NodeId::A, SECOND, 4);
    pair.sync(NodeId::A, SECOND, 7);
    pair
}

#[test]
fn a_plan_that_the_other_lacks_goes_on_alone_and_the_others_do_not() {
    let mut pair = broken_at_b();
    assert_eq!(pair.committed(NodeId::A, SECOND), 7, "by this disk alone");
    let peer = pair.records[0].in_sync.clone().expect("B is in sync");
    assert_eq!(peer.lacks, PlanSet::from([SECOND]));
    pair.append(NodeId::A, PLAN, 5);
    assert_eq!(pair.committed(NodeId::A, PLAN), 5, "without any fsync, since B has it");
    assert_eq!(
        pair.member(NodeId::A).switch_refusal(pair.now),
        Some(Refusal::PeerNotInSync),
        "a switch would stop the second plan"
    );
}

#[test]
fn a_plan_that_is_lacking_stays_down_until_its_entries_come() {
    let mut pair = broken_at_b();
    pair.kill(NodeId::A);
    pair.wait_until_acts(NodeId::B, 400);
    assert!(pair.member(NodeId::B).may_append(pair.now, PLAN));
    assert!(!pair.member(NodeId::B).may_append(pair.now, SECOND));
    assert_eq!(pair.member(NodeId::B).status(pair.now).down, PlanSet::from([SECOND]));
    pair.give(NodeId::B, Input::PlanBroken { plan: SECOND, broken: false });
    pair.run(2_000);
    pair.start(NodeId::A, Journal::Sound);
    pair.run(3_000);
    assert_eq!(pair.last(NodeId::B, SECOND), 7, "taken from A, who had them");
    assert!(pair.member(NodeId::B).may_append(pair.now, SECOND));
    pair.append(NodeId::B, SECOND, 1);
    assert_eq!(pair.committed(NodeId::B, SECOND), 8);
    assert_eq!(pair.records[0].in_sync.as_ref().map(|peer| peer.lacks.len()), Some(0));
}

/// What stays down need not be on disk: of a journal that fails for good nobody could say so.
#[test]
fn a_journal_that_fails_for_good_keeps_no_other_plan_from_going_on() {
    let mut pair = broken_at_b();
    pair.failed = Some((NodeId::B, SECOND));
    pair.kill(NodeId::A);
    pair.wait_until_acts(NodeId::B, 400);
    assert!(pair.member(NodeId::B).may_append(pair.now, PLAN));
    assert!(!pair.member(NodeId::B).may_append(pair.now, SECOND));
    // What would run has to be on disk.
    let mut pair = broken_at_b();
    pair.failed = Some((NodeId::B, PLAN));
    pair.kill(NodeId::A);
    pair.run(5_000);
    assert!(!pair.acts(NodeId::B));
}

#[test]
fn a_journal_that_fails_for_good_does_not_stand_against_the_operators_word() {
    let mut pair = broken_at_b();
    pair.kill(NodeId::B);
    pair.run(3_000);
    pair.append(NodeId::A, PLAN, 5);
    pair.kill(NodeId::A);
    pair.start(NodeId::B, Journal::Sound);
    pair.give(NodeId::B, Input::PlanBroken { plan: SECOND, broken: true });
    pair.failed = Some((NodeId::B, SECOND));
    pair.run(3_000);
    assert!(!pair.acts(NodeId::B), "A has gone on alone");
    pair.give(NodeId::B, Input::Operator(Word::Promote { force: true }));
    pair.wait_until_acts(NodeId::B, 500);
    assert!(pair.member(NodeId::B).may_append(pair.now, PLAN));
}

#[test]
fn only_the_operator_gives_up_entries_that_were_on_a_lost_disk() {
    let mut pair = broken_at_b();
    pair.kill(NodeId::A);
    pair.wait_until_acts(NodeId::B, 400);
    pair.give(NodeId::B, Input::PlanBroken { plan: SECOND, broken: false });
    pair.disks[0].clear();
    pair.start(NodeId::A, Journal::Blank);
    pair.run(10_000);
    assert!(!pair.member(NodeId::B).may_append(pair.now, SECOND), "A's disk is a blank one");
    assert!(pair.member(NodeId::B).may_append(pair.now, PLAN));
    let generation = pair.records[0].generation;
    let answer = pair.word(NodeId::B, Word::GiveUpTail { plan: PLAN });
    assert_eq!(answer, [Action::Refused(Refusal::NothingToDo)]);
    assert_eq!(pair.word(NodeId::B, Word::GiveUpTail { plan: SECOND }), [Action::Accepted]);
    assert!(pair.member(NodeId::B).may_append(pair.now, SECOND));
    assert_ne!(pair.records[0].generation, generation, "entries may be missing");
}

/// The other node has everything but one plan: with that alone nobody may go on as if nothing were
/// missing.
#[test]
fn a_blank_active_does_not_start_from_a_node_that_lacks_a_plan() {
    let mut pair = broken_at_b();
    pair.append(NodeId::A, PLAN, 5);
    pair.kill(NodeId::A);
    pair.disks[0].clear();
    // So quickly back that the passive has not stood yet.
    pair.start(NodeId::A, Journal::Blank);
    let wait = |(_, action): &(NodeId, Action)| {
        matches!(action, Action::Alarm(Alarm::Waits(Waiting::Blank)))
    };
    pair.wait_until_acts(NodeId::B, 4_000);
    assert!(pair.said.iter().any(wait), "it says why it does not start");
    assert_eq!(pair.last(NodeId::B, PLAN), 5);
    assert!(pair.member(NodeId::B).may_append(pair.now, PLAN));
    pair.give(NodeId::B, Input::PlanBroken { plan: SECOND, broken: false });
    pair.run(5_000);
    assert!(!pair.member(NodeId::B).may_append(pair.now, SECOND), "it lacks four entries");
}

/// A, whose disk is gone with the only whole copy of the second plan, acts again, and B, which has
/// less of it, follows.
fn only_copy_lost(rules: Rules) -> Pair {
    let mut pair = broken_at_b_with(rules);
    pair.kill(NodeId::A);
    pair.wait_until_acts(NodeId::B, 400);
    pair.give(NodeId::B, Input::PlanBroken { plan: SECOND, broken: false });
    pair.disks[0].clear();
    pair.start(NodeId::A, Journal::Blank);
    pair.give(NodeId::A, Input::PlanAdded { plan: SECOND, log: LogStart::default() });
    pair.run(3_000);
    pair.kill(NodeId::B);
    pair.wait_until_acts(NodeId::A, 400);
    pair.start(NodeId::B, Journal::Sound);
    pair.run(5_000);
    assert!(pair.member(NodeId::A).may_append(pair.now, PLAN));
    pair
}

#[test]
fn a_short_copy_is_not_whole_again_after_another_change_of_roles() {
    let mut pair = only_copy_lost(Rules::default());
    let generation = pair.records[0].generation;
    assert!(!pair.member(NodeId::A).may_append(pair.now, SECOND), "four entries are gone");
    assert_eq!(pair.last(NodeId::A, SECOND), 3, "what is left of it is here, though");
    assert_eq!(pair.word(NodeId::A, Word::GiveUpTail { plan: SECOND }), [Action::Accepted]);
    assert!(pair.member(NodeId::A).may_append(pair.now, SECOND));
    assert_ne!(pair.records[0].generation, generation, "and now it is said");
    pair.append(NodeId::A, SECOND, 1);
    pair.run(500);
    assert_eq!(pair.committed(NodeId::B, SECOND), 4, "the other one follows");
    let careless = only_copy_lost(Rules::without("whole_taken_back").expect("a rule"));
    assert!(careless.member(NodeId::A).may_append(careless.now, SECOND), "in silence");
    assert_eq!(careless.last(NodeId::A, SECOND), 3);
}

/// What is down at the holder is not lacking at a node that has all of it, whatever the record
/// says.
#[test]
fn a_node_with_the_whole_copy_runs_what_was_down_at_the_other() {
    let mut pair = broken_at_b();
    pair.kill(NodeId::A);
    pair.wait_until_acts(NodeId::B, 400);
    pair.tails_lost = true;
    pair.start(NodeId::A, Journal::Sound);
    pair.run(3_000);
    let peer = pair.records[0].in_sync.clone().expect("A is in sync");
    assert_eq!(peer.lacks, PlanSet::from([SECOND]), "B knows nothing of it");
    pair.kill(NodeId::B);
    pair.wait_until_acts(NodeId::A, 400);
    assert!(pair.member(NodeId::A).may_append(pair.now, SECOND));
    assert_eq!(pair.last(NodeId::A, SECOND), 7);
}

/// A was asked for the second plan, and its answer comes when it has written more.
#[test]
fn a_tail_that_was_shown_to_an_earlier_stint_is_not_taken_for_all() {
    let mut pair = broken_at_b();
    pair.kill(NodeId::A);
    pair.wait_until_acts(NodeId::B, 400);
    pair.tails_lost = true;
    pair.start(NodeId::A, Journal::Sound);
    pair.said.clear();
    pair.run(3_000);
    let shown = pair.said.iter().find_map(|(_, action)| match action {
        Action::Ship { message, plan: SECOND, .. } => Some(message.clone()),
        _ => None,
    });
    let shown = Input::Heard(shown.expect("A has shown its tail"));
    // B is stopped; A stands, adds entries, and is followed by B but for this plan.
    let sleeper = pair.members[1].take();
    pair.wait_until_acts(NodeId::A, 400);
    pair.append(NodeId::A, SECOND, 3);
    pair.sync(NodeId::A, SECOND, 10);
    pair.members[1] = sleeper;
    pair.run(3_000);
    assert_eq!(pair.committed(NodeId::A, SECOND), 10);
    let peer = pair.records[0].in_sync.clone().expect("B is in sync");
    assert_eq!(peer.lacks, PlanSet::from([SECOND]), "it is still broken there");
    pair.kill(NodeId::A);
    pair.wait_until_acts(NodeId::B, 400);
    pair.give(NodeId::B, shown);
    pair.run(500);
    assert!(!pair.member(NodeId::B).may_append(pair.now, SECOND), "it lacks three more");
}

#[test]
fn the_mode_says_when_a_producer_is_answered() {
    let answered = |ack, b_syncs: bool, a_syncs: bool| {
        let mut pair = Pair::new(Settings { ack, ..Settings::default() });
        pair.said.clear();
        pair.append(NodeId::A, PLAN, 10);
        if a_syncs {
            pair.sync(NodeId::A, PLAN, 10);
        }
        if b_syncs {
            pair.sync(NodeId::B, PLAN, 10);
            pair.run(100);
        }
        let answer = |(_, action): &(NodeId, Action)| matches!(action, Action::Answer { .. });
        pair.said.iter().any(answer)
    };
    assert!(answered(AckMode::Memory, false, false));
    assert!(!answered(AckMode::Disk, true, false));
    assert!(answered(AckMode::Disk, false, true));
    assert!(answered(AckMode::Peer, false, false));
    assert!(!answered(AckMode::PeerDisk, true, false));
    assert!(!answered(AckMode::PeerDisk, false, true));
    assert!(answered(AckMode::PeerDisk, true, true));
}

/// What was answered once does not keep later producers waiting after the log was cut.
#[test]
fn producers_are_answered_also_below_what_was_answered_before_a_cut() {
    let settings = Settings { ack: AckMode::Disk, lock: true, ..Settings::default() };
    let mut pair = Pair::new(settings);
    pair.linked = false;
    pair.append(NodeId::A, PLAN, 10);
    pair.sync(NodeId::A, PLAN, 10);
    pair.arbiter_is_up = false;
    pair.run(2_000);
    // A is stopped; B stands, and A learns of it.
    let sleeper = pair.members[0].take();
    pair.arbiter_is_up = true;
    pair.wait_until_acts(NodeId::B, 3_000);
    pair.members[0] = sleeper;
    pair.linked = true;
    pair.run(3_000);
    assert_eq!(pair.last(NodeId::A, PLAN), 0, "the passive had nothing of it");
    pair.word(NodeId::B, Word::Switch);
    pair.wait_until_acts(NodeId::A, 500);
    pair.append(NodeId::A, PLAN, 1);
    pair.said.clear();
    pair.sync(NodeId::A, PLAN, 1);
    let answer = Action::Answer { plan: PLAN, upto: Position(1) };
    assert!(pair.said.contains(&(NodeId::A, answer)));
}

#[test]
fn a_new_plan_waits_for_the_peer_and_an_old_one_leaves() {
    let mut pair = Pair::new(Settings::default());
    pair.linked = false;
    pair.give(NodeId::A, Input::PlanAdded { plan: SECOND, log: LogStart::default() });
    pair.append(NodeId::A, SECOND, 2);
    pair.sync(NodeId::A, SECOND, 2);
    assert_eq!(pair.committed(NodeId::A, SECOND), 0, "B is in sync, so B must have it");
    pair.linked = true;
    pair.run(200);
    assert_eq!(pair.committed(NodeId::A, SECOND), 2);
    for node in [NodeId::A, NodeId::B] {
        pair.give(node, Input::PlanRemoved { plan: SECOND });
    }
    pair.run(500);
    assert!(pair.member(NodeId::B).log(SECOND).is_none());
    assert!(pair.records[0].in_sync.is_some());
}
