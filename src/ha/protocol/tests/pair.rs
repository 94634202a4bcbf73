//! Two members, an arbiter that answers at once, and a clock that steps: for tests played by hand.

use crate::ha::protocol::Action;
use crate::ha::protocol::Alarm;
use crate::ha::protocol::ArbiterId;
use crate::ha::protocol::Asking;
use crate::ha::protocol::Body;
use crate::ha::protocol::Incarnation;
use crate::ha::protocol::Input;
use crate::ha::protocol::Journal;
use crate::ha::protocol::LogStart;
use crate::ha::protocol::Member;
use crate::ha::protocol::Message;
use crate::ha::protocol::Moment;
use crate::ha::protocol::NodeId;
use crate::ha::protocol::Outcome;
use crate::ha::protocol::Plan;
use crate::ha::protocol::PlanLog;
use crate::ha::protocol::Position;
use crate::ha::protocol::Record;
use crate::ha::protocol::Settings;
use crate::ha::protocol::Start;
use crate::ha::protocol::Word;
use std::collections::VecDeque;

pub const PLAN: Plan = Plan(1);
pub const STEP: u64 = 5;

/// Both nodes with one clock; nothing is late, and fsync is quick.
pub struct Pair {
    pub settings: Settings,
    pub now: Moment,
    pub members: [Option<Member>; 2],
    /// What a node's process left behind.
    pub disks: [Vec<(Plan, LogStart)>; 2],
    pub lives: u64,
    /// One arbiter for both or, without any, a file for each.
    pub records: Vec<Record>,
    pub arbiter_is_up: bool,
    pub linked: bool,
    /// What one node shows the other of its logs gets lost.
    pub tails_lost: bool,
    /// Entries that the active sends get lost.
    pub entries_lost: bool,
    /// Fsyncs of everything take long: these are under way.
    pub syncs: Option<Vec<(NodeId, u64)>>,
    /// A journal that cannot be fsynced any more.
    pub failed: Option<(NodeId, Plan)>,
    pub said: Vec<(NodeId, Action)>,
}

impl Pair {
    /// A acts and B is in sync; but for a bare pair, where the operator has not spoken yet.
    pub fn new(settings: Settings) -> Pair {
        settings.check().expect("settings that fit");
        let record = |id| Record::virgin(ArbiterId(id), settings.lease);
        let records = if settings.bare { vec![record(7), record(8)] } else { vec![record(7)] };
        let mut pair = Pair {
            settings,
            now: Moment(1_000),
            members: [None, None],
            disks: [vec![(PLAN, LogStart::default())], vec![(PLAN, LogStart::default())]],
            lives: 0,
            records,
            arbiter_is_up: true,
            linked: true,
            tails_lost: false,
            entries_lost: false,
            syncs: None,
            failed: None,
            said: Vec::new(),
        };
        pair.start(NodeId::A, Journal::Blank);
        pair.run(1_500);
        pair.start(NodeId::B, Journal::Blank);
        pair.run(3_000);
        pair
    }

    pub fn record(&mut self, node: NodeId) -> &mut Record {
        let index = node.index().min(self.records.len() - 1);
        &mut self.records[index]
    }

    /// Starts a process on what the last one left.
    pub fn start(&mut self, node: NodeId, journal: Journal) {
        self.lives += 1;
        let plans = self.disks[node.index()].clone();
        let incarnation = Incarnation(self.lives);
        let start = Start { node, incarnation, journal, arbiter: None, plans };
        self.members[node.index()] = Some(Member::new(self.settings.clone(), start, self.now));
    }

    /// Ends a process; its journals keep what was written.
    pub fn kill(&mut self, node: NodeId) {
        if let Some(member) = self.members[node.index()].take() {
            let left = |(plan, log): (&Plan, &PlanLog)| {
                let (shape, synced, whole) = (log.shape.clone(), log.synced, log.whole);
                (*plan, LogStart { shape, synced, applied: Position(0), whole })
            };
            self.disks[node.index()] = member.logs.iter().map(left).collect();
        }
    }

    /// Ends a machine; its journals keep what was fsynced.
    pub fn lose_power(&mut self, node: NodeId) {
        self.kill(node);
        for (_, log) in &mut self.disks[node.index()] {
            log.shape.cut(log.synced);
        }
    }

    pub fn member(&self, node: NodeId) -> &Member {
        self.members[node.index()].as_ref().expect("it runs")
    }

    pub fn give(&mut self, node: NodeId, input: Input) {
        let mut waiting = VecDeque::from([(node, input)]);
        while let Some((node, input)) = waiting.pop_front() {
            let Some(member) = &mut self.members[node.index()] else { continue };
            let mut actions = Vec::new();
            member.handle(self.now, input, &mut actions);
            for action in actions {
                self.said.push((node, action.clone()));
                match action {
                    Action::Send(Message { body: Body::Tail { .. }, .. })
                    | Action::Ship { message: Message { body: Body::Tail { .. }, .. }, .. }
                        if self.tails_lost => {}
                    Action::Ship {
                        message: Message { body: Body::Entries { .. }, .. }, ..
                    } if self.entries_lost => {}
                    Action::Send(message) | Action::Ship { message, .. } if self.linked => {
                        waiting.push_back((node.other(), Input::Heard(message)));
                    }
                    Action::Ask { request, asking } if self.arbiter_is_up => {
                        let outcome = self.ask(node, asking);
                        waiting.push_back((node, Input::Arbiter { request, outcome }));
                    }
                    Action::TestLock { version } => {
                        let free = self.members[node.other().index()].is_none();
                        waiting.push_back((node, Input::LockTested { version, free }));
                    }
                    Action::SyncAll { token, .. } if self.syncs.is_some() => {
                        self.syncs.get_or_insert_default().push((node, token));
                    }
                    Action::SyncAll { besides, .. }
                        if self
                            .failed
                            .is_some_and(|(of, plan)| of == node && !besides.contains(&plan)) => {}
                    Action::SyncAll { token, .. } => {
                        for (plan, log) in &self.member(node).logs {
                            let (plan, upto) = (*plan, log.last());
                            waiting.push_back((node, Input::Synced { plan, upto }));
                        }
                        waiting.push_back((node, Input::SyncedAll { token }));
                    }
                    Action::Drain => waiting.push_back((node, Input::Drained)),
                    _ => {}
                }
            }
        }
    }

    fn ask(&mut self, node: NodeId, asking: Asking) -> Outcome {
        let kept = self.record(node);
        match asking {
            Asking::Read => Outcome::Read(kept.clone()),
            Asking::Write { expected, record } => {
                let won = kept.compare_and_set(expected, &record);
                if won { Outcome::Won(kept.clone()) } else { Outcome::Lost(kept.clone()) }
            }
        }
    }

    pub fn run(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds / STEP {
            self.now = self.now.plus(STEP);
            for node in [NodeId::A, NodeId::B] {
                self.give(node, Input::Tick);
            }
        }
    }

    pub fn append(&mut self, node: NodeId, plan: Plan, entries: u64) {
        let last = self.last(node, plan);
        assert!(self.member(node).may_append(self.now, plan));
        self.give(node, Input::Appended { plan, last: Position(last + entries) });
    }

    pub fn sync(&mut self, node: NodeId, plan: Plan, upto: u64) {
        self.give(node, Input::Synced { plan, upto: Position(upto) });
    }

    pub fn last(&self, node: NodeId, plan: Plan) -> u64 {
        self.member(node).log(plan).expect("the plan is there").last().0
    }

    pub fn committed(&self, node: NodeId, plan: Plan) -> u64 {
        self.member(node).log(plan).expect("the plan is there").committed.0
    }

    pub fn acts(&self, node: NodeId) -> bool {
        self.members[node.index()].as_ref().is_some_and(|member| member.may_act(self.now))
    }

    pub fn wait_until_acts(&mut self, node: NodeId, at_most: u64) -> u64 {
        let began = self.now;
        while !self.acts(node) {
            self.run(STEP);
            assert!(self.now.since(began) <= at_most, "it takes more than {at_most} ms");
        }
        self.now.since(began)
    }

    pub fn word(&mut self, node: NodeId, word: Word) -> Vec<Action> {
        self.said.clear();
        self.give(node, Input::Operator(word));
        self.run(100);
        let answer = |action: &Action| matches!(action, Action::Refused(_) | Action::Accepted);
        self.said.iter().map(|(_, action)| action.clone()).filter(answer).collect()
    }

    pub fn alarms(&mut self) -> Vec<Alarm> {
        let said = std::mem::take(&mut self.said);
        let alarm = |(_, action)| match action {
            Action::Alarm(alarm) => Some(alarm),
            _ => None,
        };
        said.into_iter().filter_map(alarm).collect()
    }
}
