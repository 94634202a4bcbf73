//! What happens seldom: both machines down, a foreign arbiter, no arbiter, lost answers.

use crate::ha::protocol::Action;
use crate::ha::protocol::Alarm;
use crate::ha::protocol::ArbiterId;
use crate::ha::protocol::Input;
use crate::ha::protocol::Journal;
use crate::ha::protocol::NodeId;
use crate::ha::protocol::Position;
use crate::ha::protocol::Record;
use crate::ha::protocol::Refusal;
use crate::ha::protocol::Rules;
use crate::ha::protocol::Settings;
use crate::ha::protocol::SettingsError;
use crate::ha::protocol::Word;
use crate::ha::protocol::tests::pair::PLAN;
use crate::ha::protocol::tests::pair::Pair;

#[test]
fn an_active_that_lost_power_takes_the_tail_from_the_passive() {
    let mut pair = Pair::new(Settings { lock: true, ..Settings::default() });
    pair.append(NodeId::A, PLAN, 10);
    pair.sync(NodeId::A, PLAN, 4);
    let generation = pair.records[0].generation;
    // So quickly back that the passive has not stood yet.
    pair.lose_power(NodeId::A);
    pair.start(NodeId::A, Journal::Doubtful);
    pair.wait_until_acts(NodeId::A, 1_000);
    assert_eq!(pair.last(NodeId::A, PLAN), 10);
    pair.run(500);
    assert_eq!(pair.committed(NodeId::A, PLAN), 10);
    assert_eq!(pair.records[0].generation, generation, "nothing was lost");
}

#[test]
fn two_doubtful_nodes_go_on_with_the_longer_log_and_say_so() {
    let mut pair = Pair::new(Settings::default());
    pair.append(NodeId::A, PLAN, 10);
    pair.sync(NodeId::A, PLAN, 4);
    pair.sync(NodeId::B, PLAN, 6);
    let generation = pair.records[0].generation;
    pair.lose_power(NodeId::A);
    pair.lose_power(NodeId::B);
    pair.start(NodeId::A, Journal::Doubtful);
    pair.run(10_000);
    assert!(!pair.acts(NodeId::A), "by itself it cannot know");
    pair.start(NodeId::B, Journal::Doubtful);
    pair.wait_until_acts(NodeId::A, 2_000);
    assert_eq!(pair.last(NodeId::A, PLAN), 6);
    assert!(pair.alarms().contains(&Alarm::BothDoubtful));
    assert_ne!(pair.records[0].generation, generation);
}

#[test]
fn a_blank_node_leaves_the_first_claim_to_one_with_data() {
    let mut pair = Pair::new(Settings::default());
    pair.append(NodeId::A, PLAN, 10);
    pair.sync(NodeId::A, PLAN, 10);
    for node in [NodeId::A, NodeId::B] {
        pair.kill(node);
    }
    pair.records[0] = Record::virgin(ArbiterId(99), pair.settings.lease);
    pair.disks[1].clear();
    pair.start(NodeId::B, Journal::Blank);
    pair.run(500);
    pair.start(NodeId::A, Journal::Sound);
    pair.run(4_000);
    assert!(pair.acts(NodeId::A));
    assert_eq!(pair.last(NodeId::B, PLAN), 10);
}

#[test]
fn another_arbiter_counts_as_none_until_the_operator_speaks() {
    let mut pair = Pair::new(Settings::default());
    pair.append(NodeId::A, PLAN, 10);
    pair.records[0] = Record::virgin(ArbiterId(99), pair.settings.lease);
    pair.said.clear();
    pair.run(5_000);
    assert!(pair.acts(NodeId::A), "by the grant");
    assert_eq!(pair.records[0].holder, None, "nobody claims it");
    let alarm = |alarm: &Alarm| matches!(alarm, Alarm::ArbiterChanged { .. });
    assert!(pair.alarms().iter().any(alarm));
}

#[test]
fn a_hand_over_that_never_lands_is_taken_back() {
    let mut pair = Pair::new(Settings::default());
    let epoch = pair.records[0].epoch;
    pair.arbiter_is_up = false;
    pair.give(NodeId::A, Input::Operator(Word::Switch));
    assert!(!pair.acts(NodeId::A), "from sending it on it must not act");
    pair.arbiter_is_up = true;
    pair.wait_until_acts(NodeId::A, 2_000);
    assert!(pair.records[0].epoch > epoch);
    assert!(!pair.acts(NodeId::B));
}

#[test]
fn a_switch_that_takes_too_long_is_called_off() {
    let mut pair = Pair::new(Settings::default());
    pair.linked = false;
    pair.append(NodeId::A, PLAN, 1);
    pair.said.clear();
    pair.give(NodeId::A, Input::Operator(Word::Switch));
    assert!(!pair.member(NodeId::A).may_append(pair.now, PLAN), "it takes nothing meanwhile");
    pair.run(1_200);
    let said = |wanted: &Action| pair.said.iter().any(|(_, action)| action == wanted);
    assert!(said(&Action::Undrain) && said(&Action::Refused(Refusal::TooSlow)));
    assert!(pair.member(NodeId::A).may_append(pair.now, PLAN));
}

#[test]
fn a_bare_pair_obeys_only_the_operator() {
    let mut pair = Pair::new(Settings { bare: true, ..Settings::default() });
    assert!(!pair.acts(NodeId::A) && !pair.acts(NodeId::B));
    pair.word(NodeId::A, Word::Promote { force: false });
    assert!(pair.acts(NodeId::A));
    pair.run(3_000);
    pair.append(NodeId::A, PLAN, 5);
    pair.run(100);
    assert_eq!(pair.committed(NodeId::B, PLAN), 5);
    let answer = pair.word(NodeId::B, Word::Promote { force: true });
    assert!(answer.contains(&Action::Refused(Refusal::HolderAnswers)), "{answer:?}");

    pair.word(NodeId::A, Word::Switch);
    pair.wait_until_acts(NodeId::B, 500);
    assert!(!pair.acts(NodeId::A));
    pair.run(3_000);
    pair.append(NodeId::B, PLAN, 5);
    pair.run(100);
    assert_eq!(pair.committed(NodeId::A, PLAN), 10);

    pair.kill(NodeId::B);
    pair.run(20_000);
    assert!(!pair.acts(NodeId::A), "it never promotes itself");
    pair.word(NodeId::A, Word::Promote { force: true });
    pair.wait_until_acts(NodeId::A, 3_000);
    pair.append(NodeId::A, PLAN, 1);
    pair.start(NodeId::B, Journal::Sound);
    pair.run(3_000);
    assert!(!pair.acts(NodeId::B), "it follows the newer epoch");
    assert_eq!(pair.last(NodeId::B, PLAN), 11);
}

#[test]
fn a_snapshot_brings_a_blank_node_to_where_the_journal_begins() {
    let mut pair = Pair::new(Settings::default());
    pair.kill(NodeId::B);
    pair.run(2_000);
    pair.append(NodeId::A, PLAN, 100);
    pair.sync(NodeId::A, PLAN, 100);
    pair.give(NodeId::A, Input::Trimmed { plan: PLAN, base: Position(60) });
    pair.disks[1].clear();
    pair.start(NodeId::B, Journal::Blank);
    pair.run(500);
    assert!(pair.said.contains(&(NodeId::A, Action::SendSnapshot { plan: PLAN })));
    let base_epoch = pair.records[0].epoch;
    let base = Position(80);
    pair.give(NodeId::B, Input::SnapshotArrived { plan: PLAN, base, base_epoch });
    pair.run(3_000);
    assert_eq!(pair.last(NodeId::B, PLAN), 100);
    assert!(pair.records[0].in_sync.is_some());
    let old = Input::SnapshotArrived { plan: PLAN, base: Position(90), base_epoch };
    pair.give(NodeId::B, old);
    assert_eq!(pair.last(NodeId::B, PLAN), 100, "a late one does no harm");
}

/// The operator's word is given up while everything is brought to disk for it. Without the word the
/// stand would go on with the old generation, as if nothing were lost.
#[test]
fn a_forced_promotion_that_was_given_up_does_not_land() {
    let mut pair = Pair::new(Settings { lock: true, lease: 1_500, ..Settings::default() });
    pair.kill(NodeId::B);
    pair.run(3_000);
    pair.append(NodeId::A, PLAN, 5);
    pair.kill(NodeId::A);
    pair.start(NodeId::B, Journal::Sound);
    pair.run(3_000);
    let before = pair.records[0].clone();
    pair.arbiter_is_up = false;
    pair.syncs = Some(Vec::new());
    pair.said.clear();
    pair.give(NodeId::B, Input::Operator(Word::Promote { force: true }));
    pair.run(2_500);
    pair.arbiter_is_up = true;
    pair.run(1_100);
    let refused = (NodeId::B, Action::Refused(Refusal::NoArbiter));
    assert!(pair.said.contains(&refused), "it took too long");
    let under_way = pair.syncs.take().unwrap_or_default();
    assert!(!under_way.is_empty(), "the stand had begun");
    for (node, token) in under_way {
        pair.give(node, Input::SyncedAll { token });
    }
    pair.run(500);
    assert!(!pair.acts(NodeId::B));
    assert_eq!(pair.records[0], before);
    pair.give(NodeId::B, Input::Operator(Word::Promote { force: true }));
    pair.wait_until_acts(NodeId::B, 500);
    assert_ne!(pair.records[0].generation, before.generation);
}

/// Entries that are waiting to be sent are overtaken by heartbeats: their answers say nothing of
/// what got lost. Once none wait, they do.
#[test]
fn entries_that_wait_to_be_sent_are_not_sent_again() {
    let mut pair = Pair::new(Settings::default());
    let shipped = |pair: &Pair| {
        pair.said.iter().filter(|(_, action)| matches!(action, Action::Ship { .. })).count()
    };
    pair.entries_lost = true;
    pair.give(NodeId::A, Input::EntriesWait(true));
    pair.said.clear();
    pair.append(NodeId::A, PLAN, 10);
    pair.run(500);
    assert_eq!(shipped(&pair), 1, "they wait");
    pair.give(NodeId::A, Input::EntriesWait(false));
    pair.entries_lost = false;
    pair.run(200);
    assert_eq!(shipped(&pair), 2, "they were lost");
    assert_eq!(pair.committed(NodeId::A, PLAN), 10);
}

#[test]
fn entries_that_found_no_room_are_sent_when_the_follower_is_heard() {
    let mut pair = Pair::new(Settings::default());
    pair.entries_lost = true;
    pair.append(NodeId::A, PLAN, 10);
    pair.give(NodeId::A, Input::NotShipped { plan: PLAN, after: Position(0) });
    pair.said.clear();
    pair.append(NodeId::A, PLAN, 10);
    let ship = |(_, action): &(NodeId, Action)| matches!(action, Action::Ship { .. });
    assert!(!pair.said.iter().any(ship), "it would only leave a gap");
    pair.entries_lost = false;
    pair.run(100);
    assert_eq!(pair.committed(NodeId::A, PLAN), 20);
}

/// A passive does not show, or stand with, what its disk did not take.
#[test]
fn what_could_not_be_written_is_not_counted() {
    let mut pair = Pair::new(Settings { lock: true, ..Settings::default() });
    pair.append(NodeId::A, PLAN, 10);
    pair.run(100);
    pair.append(NodeId::A, PLAN, 5);
    pair.give(NodeId::B, Input::Unwritten { plan: PLAN, after: Position(10) });
    let log = pair.member(NodeId::B).log(PLAN).cloned().expect("the plan is there");
    assert_eq!((log.last(), log.broken), (Position(10), true));
    assert!(log.committed <= Position(10));
    pair.give(NodeId::B, Input::PlanBroken { plan: PLAN, broken: false });
    pair.run(3_000);
    assert_eq!(pair.last(NodeId::B, PLAN), 15, "it comes again");
    assert_eq!(pair.committed(NodeId::B, PLAN), 15);
}

#[test]
fn times_that_cannot_keep_the_promises_are_refused() {
    let fault = |settings: Settings| settings.check().expect_err("these do not fit");
    let good = Settings::default();
    assert!(matches!(
        fault(Settings { grant: 3_000, ..good.clone() }),
        SettingsError::GrantAboveLease { .. }
    ));
    assert!(matches!(fault(Settings { margin: 0, ..good.clone() }), SettingsError::Margin(0)));
    assert!(matches!(
        fault(Settings { renew: 1_000, ..good.clone() }),
        SettingsError::RenewTooSeldom { .. }
    ));
    assert!(matches!(
        fault(Settings { heartbeat: 500, ..good }),
        SettingsError::HeartbeatTooSeldom { .. }
    ));
}

#[test]
fn each_rule_can_be_left_out_by_its_name() {
    for name in Rules::NAMES {
        assert_ne!(Rules::without(name), Some(Rules::default()), "{name}");
    }
    assert_eq!(Rules::without("no such rule"), None);
    assert!(Rules::NAMES.len() >= 20);
}
