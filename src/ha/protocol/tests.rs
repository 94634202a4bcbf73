//! The protocol played by hand: two members, an arbiter that answers at once, a clock that steps.

use crate::ha::protocol::Action;
use crate::ha::protocol::ArbiterId;
use crate::ha::protocol::Asking;
use crate::ha::protocol::Incarnation;
use crate::ha::protocol::Input;
use crate::ha::protocol::Journal;
use crate::ha::protocol::LogStart;
use crate::ha::protocol::Member;
use crate::ha::protocol::Moment;
use crate::ha::protocol::NodeId;
use crate::ha::protocol::Outcome;
use crate::ha::protocol::Plan;
use crate::ha::protocol::Position;
use crate::ha::protocol::Record;
use crate::ha::protocol::Refusal;
use crate::ha::protocol::Settings;
use crate::ha::protocol::Start;
use crate::ha::protocol::Word;
use std::collections::VecDeque;

const PLAN: Plan = Plan(1);
const STEP: u64 = 5;

/// Both nodes on one machine with one clock; nothing is late, and fsync is quick.
struct Pair {
    settings: Settings,
    now: Moment,
    members: [Option<Member>; 2],
    lives: u64,
    record: Record,
    arbiter_is_up: bool,
    said: Vec<(NodeId, Action)>,
}

impl Pair {
    fn new(settings: Settings) -> Pair {
        settings.check().expect("settings that fit");
        let record = Record::virgin(ArbiterId(7), settings.lease);
        let members = [None, None];
        let now = Moment(1_000);
        let said = Vec::new();
        let mut pair = Pair { settings, now, members, lives: 0, record, arbiter_is_up: true, said };
        pair.start(NodeId::A, Journal::Blank, LogStart::default());
        pair.run(500);
        pair.start(NodeId::B, Journal::Blank, LogStart::default());
        pair.run(3_000);
        pair
    }

    fn start(&mut self, node: NodeId, journal: Journal, log: LogStart) {
        self.lives += 1;
        let start = Start {
            node,
            incarnation: Incarnation(self.lives),
            journal,
            arbiter: None,
            plans: vec![(PLAN, log)],
        };
        self.members[node.index()] = Some(Member::new(self.settings.clone(), start, self.now));
    }

    fn member(&self, node: NodeId) -> &Member {
        self.members[node.index()].as_ref().expect("it runs")
    }

    fn give(&mut self, node: NodeId, input: Input) {
        let mut waiting = VecDeque::from([(node, input)]);
        while let Some((node, input)) = waiting.pop_front() {
            let Some(member) = &mut self.members[node.index()] else { continue };
            let mut actions = Vec::new();
            member.handle(self.now, input, &mut actions);
            for action in actions {
                self.said.push((node, action.clone()));
                match action {
                    Action::Send(message) | Action::Ship { message, .. } => {
                        waiting.push_back((node.other(), Input::Heard(message)));
                    }
                    Action::Ask { request, asking } if self.arbiter_is_up => {
                        let outcome = match asking {
                            Asking::Read => Outcome::Read(self.record.clone()),
                            Asking::Write { expected, record } => {
                                let won = self.record.compare_and_set(expected, &record);
                                let record = self.record.clone();
                                if won { Outcome::Won(record) } else { Outcome::Lost(record) }
                            }
                        };
                        waiting.push_back((node, Input::Arbiter { request, outcome }));
                    }
                    Action::TestLock { version } => {
                        let free = self.members[node.other().index()].is_none();
                        waiting.push_back((node, Input::LockTested { version, free }));
                    }
                    Action::SyncAll { token } => {
                        waiting.push_back((node, Input::SyncedAll { token }));
                    }
                    Action::Drain => waiting.push_back((node, Input::Drained)),
                    _ => {}
                }
            }
        }
    }

    fn run(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds / STEP {
            self.now = self.now.plus(STEP);
            for node in [NodeId::A, NodeId::B] {
                self.give(node, Input::Tick);
            }
        }
    }

    fn append(&mut self, node: NodeId, entries: u64) {
        let last = self.member(node).log(PLAN).expect("the plan is there").last();
        assert!(self.member(node).may_append(self.now, PLAN));
        self.give(node, Input::Appended { plan: PLAN, last: Position(last.0 + entries) });
    }

    fn committed(&self, node: NodeId) -> u64 {
        self.member(node).log(PLAN).expect("the plan is there").committed.0
    }

    fn acts(&self, node: NodeId) -> bool {
        self.members[node.index()].as_ref().is_some_and(|member| member.may_act(self.now))
    }

    fn wait_until_acts(&mut self, node: NodeId, at_most: u64) -> u64 {
        let began = self.now;
        while !self.acts(node) {
            self.run(STEP);
            assert!(self.now.since(began) <= at_most, "it takes more than {at_most} ms");
        }
        self.now.since(began)
    }
}

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
    let peer = pair.record.in_sync.clone().expect("B is in sync");
    assert_eq!((peer.incarnation, peer.lacks.len()), (Incarnation(2), 0));
    pair.append(NodeId::A, 10);
    assert_eq!(pair.committed(NodeId::A), 10, "what both have is committed, without any fsync");
    pair.run(100);
    assert_eq!(pair.committed(NodeId::B), 10);
}

#[test]
fn alone_an_entry_is_committed_once_it_is_on_disk() {
    let mut pair = Pair::new(Settings::default());
    pair.members[1] = None;
    pair.append(NodeId::A, 10);
    pair.run(500);
    assert_eq!(pair.committed(NodeId::A), 0, "the other one is waited for at first");
    pair.give(NodeId::A, Input::Synced { plan: PLAN, upto: Position(7) });
    pair.run(1_000);
    assert_eq!(pair.record.in_sync, None);
    assert_eq!(pair.committed(NodeId::A), 7);
}

#[test]
fn a_killed_active_is_replaced_in_well_under_a_second() {
    let mut pair = Pair::new(on_one_machine());
    pair.append(NodeId::A, 10);
    pair.members[0] = None;
    let took = pair.wait_until_acts(NodeId::B, 300);
    assert!(took >= 100, "a short silence is no death: {took} ms");
    pair.give(NodeId::B, Input::Synced { plan: PLAN, upto: Position(10) });
    assert_eq!(pair.committed(NodeId::B), 10, "every entry held counts");
}

#[test]
fn without_the_lock_the_lease_is_waited_for() {
    let mut pair = Pair::new(Settings::default());
    pair.members[0] = None;
    let took = pair.wait_until_acts(NodeId::B, 2_500);
    assert!(took >= 1_500, "{took} ms");
}

#[test]
fn a_stall_of_half_a_second_changes_nothing() {
    for settings in [Settings::default(), on_one_machine()] {
        let mut pair = Pair::new(settings);
        for stalled in [NodeId::A, NodeId::B] {
            let epoch = pair.record.epoch;
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
                        let outcome = Outcome::Read(pair.record.clone());
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
            assert_eq!(pair.record.epoch, epoch, "{stalled} stalled");
            assert!(pair.record.in_sync.is_some());
        }
    }
}

#[test]
fn losing_only_the_arbiter_changes_nothing() {
    let mut pair = Pair::new(Settings::default());
    pair.arbiter_is_up = false;
    pair.run(20_000);
    assert!(pair.acts(NodeId::A));
    pair.append(NodeId::A, 3);
    assert_eq!(pair.committed(NodeId::A), 3);
    pair.members[1] = None;
    pair.run(2_000);
    assert!(!pair.acts(NodeId::A), "arbiter and peer both gone, and not alone: it stops");
}

#[test]
fn a_switch_loses_nothing_and_is_quick() {
    let mut pair = Pair::new(Settings::default());
    pair.append(NodeId::A, 10);
    pair.give(NodeId::A, Input::Operator(Word::Switch));
    assert!(!pair.acts(NodeId::A));
    assert!(pair.wait_until_acts(NodeId::B, 50) <= 50);
    assert_eq!(pair.member(NodeId::B).log(PLAN).map(|log| log.last()), Some(Position(10)));
    pair.run(500);
    pair.append(NodeId::B, 1);
    assert_eq!(pair.committed(NodeId::B), 11, "A follows");
}

#[test]
fn a_switch_is_refused_while_nobody_could_take_over() {
    let mut pair = Pair::new(Settings::default());
    pair.members[1] = None;
    pair.run(3_000);
    pair.give(NodeId::A, Input::Operator(Word::Switch));
    let refused = (NodeId::A, Action::Refused(Refusal::PeerNotInSync));
    assert_eq!(pair.said.pop(), Some(refused));
    assert!(pair.acts(NodeId::A));
}

#[test]
fn only_force_promotes_a_node_that_may_lack_entries() {
    let mut pair = Pair::new(on_one_machine());
    pair.members[1] = None;
    pair.run(3_000);
    pair.append(NodeId::A, 5);
    pair.start(NodeId::B, Journal::Sound, LogStart::default());
    pair.give(NodeId::B, Input::Operator(Word::Promote { force: true }));
    pair.run(100);
    let refusals = |pair: &mut Pair| -> Vec<Action> {
        let said = std::mem::take(&mut pair.said);
        let refused = said.into_iter().filter(|(_, said)| matches!(said, Action::Refused(_)));
        refused.map(|(_, said)| said).collect()
    };
    let refused = refusals(&mut pair);
    let live = [Refusal::LockHeld, Refusal::HolderAnswers].map(Action::Refused);
    assert!(refused.iter().any(|said| live.contains(said)), "{refused:?}");

    pair.members[1] = None;
    pair.run(3_000);
    pair.members[0] = None;
    pair.start(NodeId::B, Journal::Sound, LogStart::default());
    pair.run(10_000);
    assert!(!pair.acts(NodeId::B), "it may lack entries");
    pair.give(NodeId::B, Input::Operator(Word::Promote { force: false }));
    pair.run(100);
    assert_eq!(refusals(&mut pair), [Action::Refused(Refusal::MayLackEntries)]);
    let generation = pair.record.generation;
    pair.give(NodeId::B, Input::Operator(Word::Promote { force: true }));
    pair.wait_until_acts(NodeId::B, 500);
    assert_ne!(pair.record.generation, generation);
}
