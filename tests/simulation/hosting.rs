//! What a process does with its member's wishes, and what happens to processes and machines.

use crate::entries::Entries;
use crate::entries::Saved;
use crate::world::Event;
use crate::world::Job;
use crate::world::PLANS;
use crate::world::Parcel;
use crate::world::World;
use std::mem;
use std::rc::Rc;
use twinflow::ha::protocol::Action;
use twinflow::ha::protocol::Alarm;
use twinflow::ha::protocol::Asking;
use twinflow::ha::protocol::Incarnation;
use twinflow::ha::protocol::Input;
use twinflow::ha::protocol::Journal;
use twinflow::ha::protocol::Member;
use twinflow::ha::protocol::Message;
use twinflow::ha::protocol::NodeId;
use twinflow::ha::protocol::Plan;
use twinflow::ha::protocol::Position;
use twinflow::ha::protocol::Start;

/// Which of the plans.
pub fn index(plan: Plan) -> usize {
    PLANS.iter().position(|known| *known == plan).expect("one of the plans")
}

impl World {
    /// Hands an input to a member and does what it wishes.
    pub fn give(&mut self, node: NodeId, input: Input, parcel: Option<&Parcel>) {
        let now = self.time(node);
        let mut actions = mem::take(&mut self.scratch);
        if let Some(member) = &mut self.host_mut(node).member {
            member.handle(now, input, &mut actions);
        }
        for action in actions.drain(..) {
            self.perform(node, action, parcel);
        }
        self.scratch = actions;
    }

    fn perform(&mut self, node: NodeId, action: Action, parcel: Option<&Parcel>) {
        let life = self.host(node).life;
        match action {
            Action::Send(message) => self.post(node, message, Position(0), Vec::new()),
            Action::Ship { message, plan, after, upto } => {
                let entries = self.host(node).entries.read(plan, after, upto);
                self.post(node, message, after, entries);
            }
            Action::Ask { request, asking } => self.ask(node, life, request, asking),
            Action::TestLock { version } => {
                let free = self.host(node.other()).member.is_none();
                let delay = self.disk.spread(50, 50_000);
                self.after(delay, Event::Lock { node, life, version, free });
            }
            Action::SyncAll { token } => self.begin_sync(node, Some(token)),
            Action::OpenLog { plan } => self.host_mut(node).entries.open(plan),
            Action::Append { plan, after, upto } => self.write(node, plan, (after, upto), parcel),
            Action::Cut { plan, after } => self.cut(node, plan, after),
            Action::Commit { plan, upto } => self.commit(node, plan, upto),
            Action::Answer { plan, upto } => self.answer(node, plan, upto),
            Action::SendSnapshot { plan } => {
                let saved = self.host(node).entries.saved(plan);
                if self.network.peer[node.index()] {
                    let (delays, times) = self.network.send();
                    for delay in &delays[..times] {
                        let to = node.other();
                        self.after(delay * 10, Event::Snapshot { to, plan, saved });
                    }
                }
            }
            Action::Install { .. } => self.faults.count("snapshot installed"),
            Action::Role { role, epoch, generation, down, reason } => {
                self.tell(|| {
                    format!("{node} {role:?} {epoch} {generation:?} {down:?}: {reason:?}")
                });
                self.role_changed(node, role, generation, reason);
            }
            Action::Drain => {
                let delay = self.disk.spread(100, 100_000);
                self.after(delay, Event::Drained { node, life });
            }
            Action::Undrain | Action::Accepted => {}
            Action::Refused(refusal) => self.tell(|| format!("{node} refuses: {refusal}")),
            Action::DoubtOver => {
                let host = self.host_mut(node);
                (host.doubt, host.blank) = (false, false);
            }
            Action::Whole { plan } => self.host_mut(node).entries.whole(plan),
            Action::RememberArbiter(id) => self.host_mut(node).arbiter = Some(id),
            Action::Alarm(alarm) => self.alarm(node, alarm),
        }
    }

    fn post(
        &mut self,
        from: NodeId,
        message: Message,
        after: Position,
        entries: Vec<crate::entries::Entry>,
    ) {
        if !self.network.peer[from.index()] {
            return;
        }
        let (delays, times) = self.network.send_to_peer(from.index(), self.now);
        let published = self.host(from).outgoing.map(|(received, _)| received);
        let generation = self.history.generations;
        let parcel = Rc::new(Parcel { message, after, entries, published, generation });
        for delay in &delays[..times] {
            self.after(*delay, Event::Message { to: from.other(), parcel: Rc::clone(&parcel) });
        }
    }

    fn ask(
        &mut self,
        node: NodeId,
        life: u64,
        request: twinflow::ha::protocol::RequestId,
        asking: Asking,
    ) {
        let aimed = self.aim_at(node, &asking);
        if !self.network.ask[node.index()] && aimed == 0 {
            return;
        }
        let slow = self.arbiter.slow + aimed;
        let (delays, times) = self.network.send();
        for delay in &delays[..times] {
            let asking = asking.clone();
            self.after(delay + slow, Event::Asked { node, life, request, asking });
        }
    }

    fn write(
        &mut self,
        node: NodeId,
        plan: Plan,
        (after, upto): (Position, Position),
        parcel: Option<&Parcel>,
    ) {
        let parcel = parcel.expect("entries come with the message");
        let from = (after.0 - parcel.after.0) as usize;
        let to = (upto.0 - parcel.after.0) as usize;
        self.host_mut(node).entries.write(plan, after, &parcel.entries[from..to]);
        self.flush_soon(node);
    }

    fn cut(&mut self, node: NodeId, plan: Plan, after: Position) {
        let host = self.host_mut(node);
        let (applied, _) = host.entries.state(plan);
        let last = host.entries.last(plan);
        host.entries.cut(plan, after);
        host.verified[index(plan)] = host.verified[index(plan)].min(after.0);
        for job in host.jobs.values_mut() {
            for (_, upto) in job.reach.iter_mut().filter(|(of, _)| *of == plan) {
                *upto = (*upto).min(after);
            }
        }
        self.workload.forget_after(node, plan, after);
        self.tell(|| format!("{node} cuts plan {plan} after {after}, it had {last}"));
        if applied > after {
            self.violate(format!("{node} cuts plan {plan} after {after}, but applied {applied}"));
        }
    }

    /// Numbers and writes entries as the active.
    pub fn append(&mut self, node: NodeId, plan: Plan, entries: &[(u32, u64)]) {
        let host = self.host_mut(node);
        let Some(epoch) = host.member.as_ref().and_then(Member::epoch) else { return };
        let after = host.entries.last(plan);
        let entry = |(producer, sequence): &(u32, u64)| {
            let (producer, sequence) = (*producer, *sequence);
            crate::entries::Entry { epoch, producer, sequence }
        };
        let made: Vec<_> = entries.iter().map(entry).collect();
        host.entries.write(plan, after, &made);
        let last = Position(after.0 + made.len() as u64);
        self.workload.took(node, plan, after, entries);
        self.flush_soon(node);
        self.give(node, Input::Appended { plan, last }, None);
    }

    fn flush_soon(&mut self, node: NodeId) {
        let (least, most) = self.making.flush;
        let host = self.host_mut(node);
        if !host.flushing {
            host.flushing = true;
            let life = host.life;
            let delay = self.disk.range(least, most);
            self.after(delay, Event::Flush { node, life });
        }
    }

    /// Begins an fsync of everything that is written.
    pub fn begin_sync(&mut self, node: NodeId, token: Option<u64>) {
        self.jobs += 1;
        let job = self.jobs;
        let slow = if self.faults.slow_disk[node.index()] { 50 } else { 1 };
        let delay = self.disk.spread(100, self.making.fsync) * slow;
        let host = self.host_mut(node);
        if token.is_none() {
            host.flushing = false;
        }
        let reach = PLANS.iter().map(|plan| (*plan, host.entries.last(*plan))).collect();
        host.jobs.insert(job, Job { token, reach });
        let life = host.life;
        self.after(delay, Event::Synced { node, life, job });
    }

    /// An fsync is done.
    pub fn end_sync(&mut self, node: NodeId, job: u64) {
        let Some(Job { token, reach }) = self.host_mut(node).jobs.remove(&job) else { return };
        for (plan, upto) in reach {
            if upto > Position(0) {
                self.host_mut(node).entries.synced(plan, upto);
                self.give(node, Input::Synced { plan, upto }, None);
            }
        }
        if let Some(token) = token {
            self.give(node, Input::SyncedAll { token }, None);
        }
    }

    /// A snapshot file is here; the member says whether it is of use.
    pub fn snapshot_arrives(&mut self, node: NodeId, plan: Plan, saved: Saved) {
        let Saved { base, base_epoch, .. } = saved;
        let input = Input::SnapshotArrived { plan, base, base_epoch };
        let now = self.time(node);
        let mut actions = Vec::new();
        if let Some(member) = &mut self.host_mut(node).member {
            member.handle(now, input, &mut actions);
        }
        for action in actions {
            if let Action::Install { plan, base } = action {
                self.tell(|| format!("{node} takes a snapshot of plan {plan} at {base}"));
                self.check_state(plan, base, saved.digest);
                let host = self.host_mut(node);
                host.entries.install(plan, saved);
                host.verified[index(plan)] = base.0;
                self.workload.forget_after(node, plan, Position(0));
                for job in self.host_mut(node).jobs.values_mut() {
                    job.reach.retain(|(of, _)| *of != plan);
                }
            }
            self.perform(node, action, None);
        }
    }

    /// Both nodes save their states and drop old entries.
    pub fn save(&mut self) {
        for node in [NodeId::A, NodeId::B] {
            for plan in PLANS {
                let host = self.host_mut(node);
                if host.member.is_none() || host.paused {
                    continue;
                }
                if let Some(base) = host.entries.save(plan) {
                    self.give(node, Input::Trimmed { plan, base }, None);
                }
            }
        }
        self.after(4_000_000, Event::Save);
    }

    fn alarm(&mut self, node: NodeId, alarm: Alarm) {
        self.tell(|| format!("{node} says: {alarm}"));
        match alarm {
            Alarm::AppliedBeyond { plan, .. } => {
                if self.history.loss_allowed {
                    self.after(300_000, Event::Discard { node, plan });
                } else {
                    self.violate(format!("{node} says: {alarm}"));
                }
            }
            Alarm::BothDoubtful => self.history.both_doubtful = true,
            Alarm::ArbiterChanged { .. } => self.violate(format!("{node} says: {alarm}")),
            Alarm::Waits(_) | Alarm::Doubtful | Alarm::OldIncarnation { .. } => {}
        }
    }

    /// Starts the node's process.
    pub fn start(&mut self, node: NodeId) {
        let settings = self.making.settings.clone();
        let now = self.time(node);
        self.lives += 1;
        let life = self.lives;
        let host = self.host_mut(node);
        if host.member.is_some() {
            return;
        }
        host.life = life;
        let journal = match (host.blank, host.doubt) {
            (true, _) => Journal::Blank,
            (false, true) => Journal::Doubtful,
            (false, false) => Journal::Sound,
        };
        let plans = host.entries.found();
        let incarnation = Incarnation(life);
        let arbiter = host.arbiter;
        let ends: Vec<_> = plans.iter().map(|(_, log)| log.shape.end()).collect();
        let start = Start { node, incarnation, journal, arbiter, plans };
        host.member = Some(Member::new(settings, start, now));
        self.tell(|| format!("{node} starts, life {life}, {journal:?}, logs {ends:?}"));
        self.after(0, Event::Tick { node, life });
        self.flush_soon(node);
    }

    /// The node's process ends at once.
    pub fn kill(&mut self, node: NodeId) {
        let host = self.host_mut(node);
        if host.member.take().is_none() {
            return;
        }
        host.paused = false;
        host.waiting.clear();
        host.jobs.clear();
        host.flushing = false;
        host.entries.lose_process();
        for (_, out) in &mut host.outgoing {
            *out = false;
        }
        self.workload.forget(node);
        self.tell(|| format!("{node} is killed"));
    }

    /// The node's machine ends at once and comes back with another clock.
    pub fn lose_power(&mut self, node: NodeId) {
        self.kill(node);
        let clock = (self.clocks.range(1_000_000, 100_000_000), self.now, self.clocks.range(9, 12));
        let mut disk = self.disk.clone();
        let host = self.host_mut(node);
        host.clock = clock;
        host.doubt = true;
        let lost = host.entries.lose_power(&mut disk);
        host.dirty |= lost;
        for plan in PLANS {
            let last = host.entries.last(plan).0;
            host.verified[index(plan)] = host.verified[index(plan)].min(last);
        }
        self.disk = disk;
        self.tell(|| format!("{node} loses power, and entries: {lost}"));
    }

    /// The node's disk is exchanged for a blank one.
    pub fn wipe(&mut self, node: NodeId) {
        self.kill(node);
        let host = self.host_mut(node);
        host.entries.lose_disk();
        host.verified = [0; PLANS.len()];
        host.outgoing = Default::default();
        host.blank = true;
        host.dirty = true;
        host.arbiter = None;
        self.tell(|| format!("{node} has a blank disk"));
    }
}
