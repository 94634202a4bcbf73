//! What goes wrong, how often, and what is done about it; among it faults aimed at the moments
//! when a write that decides something is under way.

use crate::chance::Chance;
use crate::entries::Order;
use crate::world::Event;
use crate::world::PLANS;
use crate::world::World;
use std::collections::BTreeMap;
use twinflow::ha::protocol::AckMode;
use twinflow::ha::protocol::Asking;
use twinflow::ha::protocol::Input;
use twinflow::ha::protocol::NodeId;
use twinflow::ha::protocol::Plan;
use twinflow::ha::protocol::Word;

/// Chance of faults, and what there was of them.
#[derive(Clone, Debug)]
pub struct Faults {
    pub chance: Chance,
    pub counts: BTreeMap<&'static str, u64>,
    pub slow_disk: [bool; 2],
    pub over: bool,
}

/// A fault ends.
#[derive(Clone, Debug)]
pub enum Mend {
    Peer(usize),
    Ask(usize),
    Reply(usize),
    Arbiter,
    Slow,
    Stuck,
    Start(NodeId),
    Continue(NodeId),
    Disk(usize),
    Plan(NodeId, Plan),
    Kill(NodeId),
    Power(NodeId),
    CutOff(NodeId),
    Switch,
    Link,
}

/// Both.
pub const NODES: [NodeId; 2] = [NodeId::A, NodeId::B];

impl Faults {
    pub fn new(seed: u64) -> Faults {
        Faults {
            chance: Chance::new(seed, 6),
            counts: BTreeMap::new(),
            slow_disk: [false; 2],
            over: false,
        }
    }

    /// Counts a kind of fault.
    pub fn count(&mut self, kind: &'static str) {
        *self.counts.entry(kind).or_default() += 1;
    }
}

impl World {
    /// Something goes wrong.
    pub fn fault(&mut self) {
        if self.faults.over {
            return;
        }
        let next = self.faults.chance.spread(20_000, self.making.fault_every);
        self.after(next, Event::Fault);
        let node = self.faults.chance.pick(&NODES);
        let side = self.faults.chance.below(2) as usize;
        let short = self.faults.chance.spread(20_000, 6_000_000);
        let kind = self.faults.chance.below(1_000);
        if kind < self.making.cut_off {
            return self.fault_cut_off(self.arbiter.record.holder.unwrap_or(node));
        }
        if kind < self.making.cut_off + self.making.deaf {
            return self.fault_deaf(self.arbiter.record.holder.unwrap_or(node));
        }
        if kind < self.making.cut_off + self.making.deaf + self.making.switches {
            return self.fault_switch();
        }
        if kind < self.making.wipes {
            self.fault_plan(node, short);
            return self.fault_wipe(self.arbiter.record.holder.unwrap_or(node), short / 64);
        }
        match self.faults.chance.below(114) {
            0..=5 => {
                self.strike("link cut both ways", |world| world.network.peer = [false; 2]);
                self.after(short, Event::Mend(Mend::Link));
            }
            6..=9 => self.fault_cut_off(node),
            10..=13 => {
                self.strike("link cut one way", |world| world.network.peer[side] = false);
                self.after(short, Event::Mend(Mend::Peer(side)));
            }
            14..=19 => {
                self.strike("arbiter not reached", |world| world.network.ask[side] = false);
                self.after(short, Event::Mend(Mend::Ask(side)));
            }
            20..=25 => {
                self.strike("arbiter's answers lost", |world| world.network.reply[side] = false);
                self.after(short, Event::Mend(Mend::Reply(side)));
            }
            26..=30 => {
                self.strike("arbiter away", |world| world.arbiter.up = false);
                let long = self.faults.chance.spread(100_000, 15_000_000);
                self.after(long, Event::Mend(Mend::Arbiter));
            }
            31..=35 => {
                let slow = self.faults.chance.spread(10_000, 3_000_000);
                self.strike("arbiter slow", |world| world.arbiter.slow = slow);
                self.after(short, Event::Mend(Mend::Slow));
            }
            36..=47 => self.fault_kill(node, short),
            48..=55 => self.fault_power(node, short),
            56..=67 => self.fault_pause(node, short / 2),
            68..=75 => {
                let rate = self.clocks.range(9, 12);
                let time = self.host(node).time(self.now).0 * 1_000;
                let now = self.now;
                self.strike("clock rate", |world| world.host_mut(node).clock = (time, now, rate));
            }
            76..=85 => self.fault_switch(),
            86..=90 => {
                self.strike("disk slow", |world| world.faults.slow_disk[side] = true);
                self.after(short, Event::Mend(Mend::Disk(side)));
            }
            91..=93 => self.fault_plan(node, short),
            94..=96 => self.fault_wipe(node, short),
            97..=98 => {
                self.fault_kill(node, short);
                let later = self.faults.chance.spread(20_000, 3_000_000);
                self.fault_kill(node.other(), later);
            }
            99 if self.faults.chance.below(3) == 0 => self.fault_rare(node, short),
            100..=102 => self.fault_deployment(),
            103..=105 => {
                self.strike("arbiter stuck", |world| world.arbiter.stuck = Some(Vec::new()));
                self.after(short, Event::Mend(Mend::Stuck));
            }
            106..=107 => {
                let jump = self.faults.chance.spread(1, 600_000) as i64;
                let jump = if self.faults.chance.below(2) == 0 { jump } else { -jump };
                self.strike("clock jumps", |world| world.host_mut(node).wall += jump);
            }
            108..=110 => self.fault_disk(node),
            111..=113 => self.fault_flip(node),
            _ => {}
        }
    }

    /// Lets something happen, and counts it.
    pub fn strike(&mut self, kind: &'static str, fault: impl FnOnce(&mut World)) {
        self.faults.count(kind);
        self.tell(|| format!("fault: {kind}"));
        fault(self);
    }

    fn fault_kill(&mut self, node: NodeId, back: u64) {
        if self.host(node).member.is_some() {
            self.strike("killed", |world| world.kill(node));
            self.after(back, Event::Mend(Mend::Start(node)));
        }
    }

    fn fault_power(&mut self, node: NodeId, back: u64) {
        if !self.may_lose_power(node) || self.host(node).member.is_none() {
            return;
        }
        self.strike("power lost", |world| world.lose_power(node));
        self.after(back, Event::Mend(Mend::Start(node)));
    }

    /// A node loses power, is back at once and can be heard, but hears nobody; the other takes
    /// over, and falls.
    fn fault_deaf(&mut self, node: NodeId) {
        let lease = self.making.settings.lease * 1_000;
        let (side, other) = (node.index(), node.other());
        let back = self.faults.chance.range(10_000, 300_000);
        self.fault_power(node, back);
        let time = self.faults.chance.range(2 * lease, 4 * lease);
        self.strike("back from a power loss, deaf", |world| {
            world.network.peer[other.index()] = false;
            world.network.ask[side] = false;
        });
        self.after(time, Event::Mend(Mend::Link));
        let reach = self.faults.chance.range(lease, 3 * lease);
        self.after(reach, Event::Mend(Mend::Ask(side)));
        let end = self.faults.chance.range(lease, 2 * lease);
        self.after(end, Event::Mend(Mend::Kill(other)));
        self.after(end + 4 * lease, Event::Mend(Mend::Start(other)));
    }

    pub fn needs_both_disks(&self) -> bool {
        self.making.settings.ack == AckMode::PeerDisk
    }

    fn fault_pause(&mut self, node: NodeId, time: u64) {
        let host = self.host_mut(node);
        if host.member.is_some() && !host.paused {
            self.strike("stopped for a while", |world| world.host_mut(node).paused = true);
            self.after(time, Event::Mend(Mend::Continue(node)));
        }
    }

    fn fault_switch(&mut self) {
        for node in NODES {
            let host = self.host(node);
            if host.paused || host.member.as_ref().is_none_or(|member| member.epoch().is_none()) {
                continue;
            }
            self.strike("switch asked for", |world| {
                world.give(node, Input::Operator(Word::Switch), None);
            });
            return;
        }
    }

    /// A new version of a plan is deployed at the active, and perhaps it does not stay so.
    fn fault_deployment(&mut self) {
        let plan = self.faults.chance.pick(&PLANS);
        for node in NODES {
            let time = self.time(node);
            let host = self.host(node);
            let member = host.member.as_ref().filter(|_| !host.paused);
            if !member.is_some_and(|member| member.may_append(time, plan)) {
                continue;
            }
            self.workload.versions += 1;
            let order = Order::Deploy(self.workload.versions);
            self.strike("new version deployed", |world| world.append(node, plan, order));
            return self.aim_at_deployment(node);
        }
    }

    /// Something was just deployed: now and then the active does not stay so.
    pub fn aim_at_deployment(&mut self, node: NodeId) {
        if self.faults.over || self.faults.chance.below(2) == 0 {
            return;
        }
        self.faults.count("aimed at a deployment");
        let soon = self.faults.chance.spread(10, 100_000);
        let mend = match self.faults.chance.below(5) {
            0 | 1 => Mend::Switch,
            2 => Mend::Kill(node),
            3 => Mend::Power(node),
            _ => Mend::CutOff(node),
        };
        self.after(soon, Event::Mend(mend));
    }

    /// A node is alone with itself for about as long as a lease.
    fn fault_cut_off(&mut self, node: NodeId) {
        let lease = self.making.settings.lease * 1_000;
        let time = self.faults.chance.range(lease / 2, 4 * lease);
        let side = node.index();
        self.strike("node cut off", |world| {
            world.network.peer = [false; 2];
            world.network.ask[side] = false;
        });
        self.after(time, Event::Mend(Mend::Link));
        self.after(time, Event::Mend(Mend::Ask(side)));
        if self.faults.chance.below(3) == 0 {
            // And the other one falls, and is soon back.
            let soon = self.faults.chance.spread(10_000, lease);
            let back = soon + self.faults.chance.spread(20_000, lease);
            self.after(soon, Event::Mend(Mend::Kill(node.other())));
            self.after(back, Event::Mend(Mend::Start(node.other())));
        }
    }

    fn fault_plan(&mut self, node: NodeId, time: u64) {
        let plan = self.faults.chance.pick(&PLANS);
        let host = self.host(node);
        let passive = host.member.as_ref().is_some_and(|member| member.epoch().is_none());
        if passive && !host.paused {
            self.strike("plan broken", |world| {
                world.give(node, Input::PlanBroken { plan, broken: true }, None);
            });
            self.after(time * 4, Event::Mend(Mend::Plan(node, plan)));
        }
    }

    fn fault_wipe(&mut self, node: NodeId, back: u64) {
        let often = self.making.wipes > 0;
        let only_copy = self.has_more(node) && (often || self.faults.chance.below(4) == 0);
        if only_copy {
            self.faults.count("only copy lost");
        }
        if self.may_lose_disk(node) || only_copy {
            // With the only copy of a plan its entries are gone; but not in silence.
            self.history.loss_allowed |= only_copy;
            self.host_mut(node.other()).dirty = false;
            self.strike("disk lost", |world| world.wipe(node));
            self.after(back, Event::Mend(Mend::Start(node)));
        }
    }

    /// What may lose entries: both machines at once, or the operator's word.
    fn fault_rare(&mut self, node: NodeId, back: u64) {
        let is_damaged = self.hosts.iter().any(|host| host.flipped) && self.needs_both_disks();
        if self.faults.chance.below(2) == 0 && !is_damaged {
            self.history.loss_allowed |= !self.needs_both_disks();
            self.strike("power lost on both", |world| {
                world.lose_power(node);
                world.lose_power(node.other());
            });
            let later = self.faults.chance.spread(20_000, 3_000_000);
            self.after(back, Event::Mend(Mend::Start(node)));
            self.after(later, Event::Mend(Mend::Start(node.other())));
        } else if self.host(node.other()).member.is_none() {
            self.force(node);
        }
    }

    /// The operator vouches for the end of the other node.
    pub fn force(&mut self, node: NodeId) {
        if self.host(node).paused || self.host(node).member.is_none() {
            return;
        }
        self.history.loss_allowed = true;
        self.strike("promotion forced", |world| {
            let word = Word::Promote { force: true };
            world.give(node, Input::Operator(word), None);
        });
    }

    /// A write that decides something is about to be sent: it may be held up, and worse. Gives the
    /// microseconds it takes longer.
    pub fn aim_at(&mut self, node: NodeId, asking: &Asking) -> u64 {
        let Asking::Write { record, .. } = asking else { return 0 };
        let now = &self.arbiter.record;
        let decides = record.epoch != now.epoch
            || record.in_sync != now.in_sync
            || record.holder != now.holder;
        if !decides || self.faults.over || !self.faults.chance.permille(self.making.aim) {
            return 0;
        }
        self.faults.count("aimed at a write");
        if now.holder == Some(node.other()) && self.faults.chance.below(2) == 0 {
            return self.aim_at_stand(node);
        }
        let mut held_up = 0;
        for _ in 0..self.faults.chance.range(1, 4) {
            let soon = self.faults.chance.spread(10, 3_000_000);
            let later = soon + self.faults.chance.spread(1_000, 2_000_000);
            let whom = self.faults.chance.pick(&NODES);
            match self.faults.chance.below(9) {
                0 | 1 => held_up = self.faults.chance.spread(10_000, 8_000_000),
                2 => {
                    self.network.reply[node.index()] = false;
                    self.after(later, Event::Mend(Mend::Reply(node.index())));
                }
                3 => {
                    self.after(soon, Event::Mend(Mend::Kill(whom)));
                    self.after(later, Event::Mend(Mend::Start(whom)));
                }
                4 => {
                    self.after(soon, Event::Mend(Mend::Power(whom)));
                    self.after(later, Event::Mend(Mend::Start(whom)));
                }
                5 => self.after(soon / 10, Event::Mend(Mend::Link)),
                6 => {
                    self.network.peer = [false; 2];
                    self.after(later, Event::Mend(Mend::Link));
                }
                7 => {
                    self.network.ask[node.index()] = false;
                    self.after(later, Event::Mend(Mend::Ask(node.index())));
                }
                _ => self.fault_pause(whom, soon),
            }
        }
        held_up
    }

    /// A stand is about to be sent: it is held up, and meanwhile the holder, without its arbiter,
    /// is heard again. Perhaps the candidate does not live to see the outcome, or not for long.
    fn aim_at_stand(&mut self, node: NodeId) -> u64 {
        let other = node.other();
        let longest = self.faults.chance.pick(&[200_000, 300_000, 2_000_000]);
        let held_up = self.faults.chance.range(60_000, longest);
        let later = held_up + self.faults.chance.spread(500_000, 3_000_000);
        self.network.ask[other.index()] = false;
        self.after(later, Event::Mend(Mend::Ask(other.index())));
        let heard = self.faults.chance.spread(200, held_up / 2);
        self.after(heard, Event::Mend(Mend::Link));
        self.after(heard, Event::Mend(Mend::Continue(other)));
        match self.faults.chance.below(3) {
            0 => {
                let soon = self.faults.chance.range(1_000, 20_000);
                let back = self.faults.chance.range(30_000, 300_000);
                self.after(soon, Event::Mend(Mend::Kill(node)));
                self.after(back, Event::Mend(Mend::Start(node)));
            }
            1 => {
                let end = held_up + self.faults.chance.spread(2_000, 200_000);
                let back = end + self.faults.chance.range(10_000, 1_000_000);
                self.after(end, Event::Mend(Mend::Power(node)));
                self.after(back, Event::Mend(Mend::Start(node)));
            }
            _ => {}
        }
        held_up
    }

    /// A fault ends, or one that was planned begins.
    pub fn mend(&mut self, mend: Mend) {
        match mend {
            Mend::Peer(side) => self.network.peer[side] = true,
            Mend::Link => self.network.peer = [true; 2],
            Mend::Ask(side) => self.network.ask[side] = true,
            Mend::Reply(side) => self.network.reply[side] = true,
            Mend::Arbiter => self.arbiter.up = true,
            Mend::Slow => self.arbiter.slow = 0,
            Mend::Stuck => self.arbiter_goes_on(),
            Mend::Start(node) => self.start(node),
            Mend::Continue(node) => self.resume(node),
            Mend::Disk(side) => self.faults.slow_disk[side] = false,
            Mend::Plan(node, plan) => {
                self.give(node, Input::PlanBroken { plan, broken: false }, None);
            }
            Mend::Kill(node) if !self.faults.over => self.fault_kill(node, 6_000_000),
            Mend::Power(node) if !self.faults.over => self.fault_power(node, 6_000_000),
            Mend::CutOff(node) if !self.faults.over => self.fault_cut_off(node),
            Mend::Switch if !self.faults.over => self.fault_switch(),
            Mend::Kill(_) | Mend::Power(_) | Mend::CutOff(_) | Mend::Switch => {}
        }
    }

    /// A stopped process goes on, and finds everything that came meanwhile.
    pub fn resume(&mut self, node: NodeId) {
        let host = self.host_mut(node);
        if !host.paused {
            return;
        }
        host.paused = false;
        let waiting = std::mem::take(&mut host.waiting);
        let life = host.life;
        self.tell(|| format!("{node} goes on"));
        for event in waiting {
            let host = self.host(node);
            if host.member.is_some() && host.life == life {
                self.happen_at(node, event);
                self.check();
            }
        }
    }

    /// Everything works again, and nothing goes wrong any more.
    pub fn heal(&mut self) {
        self.tell(|| "the faults are over".to_owned());
        self.faults.over = true;
        self.faults.slow_disk = [false; 2];
        self.network.heal();
        self.arbiter.up = true;
        self.arbiter.slow = 0;
        self.arbiter_goes_on();
        for node in NODES {
            self.host_mut(node).entries.arm(None);
            self.resume(node);
            if self.host(node).flipped {
                // What has decayed is noticed now, and not when all is quiet.
                self.kill(node);
            }
            self.start(node);
            for plan in PLANS {
                self.give(node, Input::PlanBroken { plan, broken: false }, None);
            }
        }
    }
}
