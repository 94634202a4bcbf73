//! What a process does with its member's wishes, and what happens to processes and machines.

use crate::entries::Entry;
use crate::entries::Fallen;
use crate::entries::Order;
use crate::entries::Saved;
use crate::faults::Mend;
use crate::world::Event;
use crate::world::Job;
use crate::world::PLANS;
use crate::world::Parcel;
use crate::world::Things;
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
use twinflow::ha::protocol::PlanSet;
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
        self.perform_all(node, &mut actions, parcel);
        self.scratch = actions;
    }

    /// Does what is wished, until the process falls.
    fn perform_all(&mut self, node: NodeId, actions: &mut Vec<Action>, parcel: Option<&Parcel>) {
        for action in actions.drain(..) {
            if let Err(fallen) = self.perform(node, action, parcel) {
                return self.fell(node, fallen);
            }
        }
    }

    fn perform(
        &mut self,
        node: NodeId,
        action: Action,
        parcel: Option<&Parcel>,
    ) -> Result<(), Fallen> {
        let life = self.host(node).life;
        match action {
            Action::Send(message) => self.post(node, message, Position(0), Vec::new()),
            Action::Ship { message, plan, after, upto } => {
                let entries = self.host(node).entries.read(plan, after, upto)?;
                self.post(node, message, after, entries);
            }
            Action::Ask { request, asking } => self.ask(node, life, request, asking),
            Action::TestLock { version } => {
                let free = self.host(node.other()).member.is_none();
                let delay = self.disk.spread(50, 50_000);
                self.after(delay, Event::Lock { node, life, version, free });
            }
            Action::SyncAll { token, besides } => {
                self.begin_sync(node, Some(token), &besides)?;
            }
            Action::OpenLog { plan } => self.host_mut(node).entries.open(plan)?,
            Action::Append { plan, after, upto } => {
                self.write(node, plan, (after, upto), parcel)?
            }
            Action::Cut { plan, after } => self.cut(node, plan, after)?,
            Action::Commit { plan, upto } => self.commit(node, plan, upto)?,
            Action::Answer { plan, upto } => self.answer(node, plan, upto),
            Action::SendSnapshot { plan } => self.send_snapshot(node, plan)?,
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
                (host.doubt, host.decayed, host.blank) = (false, false, false);
            }
            Action::Whole { plan, whole } => self.host_mut(node).entries.note_whole(plan, whole),
            Action::RememberArbiter(id) => self.host_mut(node).arbiter = Some(id),
            Action::Alarm(alarm) => self.alarm(node, alarm),
        }
        Ok(())
    }

    fn send_snapshot(&mut self, node: NodeId, plan: Plan) -> Result<(), Fallen> {
        let host = self.host(node);
        let received = host.outgoing[index(plan)].0;
        let Some(saved) = host.entries.saved(plan, received)? else { return Ok(()) };
        if self.network.peer[node.index()] {
            let generation = self.history.generations;
            let (delays, times) = self.network.send();
            for delay in &delays[..times] {
                let (to, saved) = (node.other(), saved.clone());
                self.after(delay * 10, Event::Snapshot { to, plan, saved, generation });
            }
        }
        Ok(())
    }

    fn post(&mut self, from: NodeId, message: Message, after: Position, entries: Vec<Entry>) {
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
    ) -> Result<(), Fallen> {
        let parcel = parcel.expect("entries come with the message");
        let from = (after.0 - parcel.after.0) as usize;
        let to = (upto.0 - parcel.after.0) as usize;
        self.host_mut(node).entries.write(plan, after, &parcel.entries[from..to])?;
        self.flush_soon(node);
        Ok(())
    }

    fn cut(&mut self, node: NodeId, plan: Plan, after: Position) -> Result<(), Fallen> {
        self.aim_at_disk(node, 100, 6);
        let host = self.host_mut(node);
        let (applied, _) = host.entries.state(plan);
        let last = host.entries.last(plan);
        host.entries.cut(plan, after)?;
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
        Ok(())
    }

    /// Numbers and writes what was ordered as the active.
    pub fn append(&mut self, node: NodeId, plan: Plan, order: Order) {
        let time = self.time(node).0;
        let host = self.host_mut(node);
        let Some(epoch) = host.member.as_ref().and_then(Member::epoch) else { return };
        let after = host.entries.last(plan);
        let at = host.wall.saturating_add_unsigned(time);
        let made = host.entries.make(plan, epoch, order, at);
        if let Err(fallen) = host.entries.write(plan, after, &made) {
            return self.fell(node, fallen);
        }
        let last = Position(after.0 + made.len() as u64);
        if let Order::Send(producer, sequence) = order {
            self.workload.took(node, plan, last, (producer, sequence));
        }
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

    /// Begins an fsync of everything that is written, but of these plans.
    pub fn begin_sync(
        &mut self,
        node: NodeId,
        token: Option<u64>,
        besides: &PlanSet,
    ) -> Result<(), Fallen> {
        self.jobs += 1;
        let job = self.jobs;
        let slow = if self.faults.slow_disk[node.index()] { 50 } else { 1 };
        let delay = self.disk.spread(100, self.making.fsync) * slow;
        let early = self.making.things == Things::Real && self.disk.below(2) == 0;
        let host = self.host_mut(node);
        if token.is_none() {
            host.flushing = false;
        }
        let plans = PLANS.iter().filter(|plan| !besides.contains(plan));
        let reach: Vec<_> = plans.map(|plan| (*plan, host.entries.last(*plan))).collect();
        for (plan, upto) in reach.iter().filter(|_| early) {
            host.entries.sync(*plan, *upto)?;
        }
        host.jobs.insert(job, Job { token, reach, early });
        let life = host.life;
        self.after(delay, Event::Synced { node, life, job });
        Ok(())
    }

    /// An fsync is done.
    pub fn end_sync(&mut self, node: NodeId, job: u64) {
        let Some(job) = self.host_mut(node).jobs.remove(&job) else { return };
        let Job { token, reach, early } = job;
        for (plan, upto) in reach {
            if upto > Position(0) {
                let entries = &mut self.host_mut(node).entries;
                let done = if early { Ok(()) } else { entries.sync(plan, upto) };
                if let Err(fallen) = done {
                    return self.fell(node, fallen);
                }
                self.give(node, Input::Synced { plan, upto }, None);
            }
        }
        if let Some(token) = token {
            self.give(node, Input::SyncedAll { token }, None);
        }
    }

    /// A snapshot file is here; the member says whether it is of use.
    pub fn snapshot_arrives(&mut self, node: NodeId, plan: Plan, saved: &Saved, generation: u64) {
        let Saved { base, base_epoch, .. } = *saved;
        let member = self.host(node).member.as_ref();
        if member.is_none_or(|member| member.log(plan).is_none()) {
            return;
        }
        self.aim_at_disk(node, 100, 12);
        match self.host_mut(node).entries.receive(plan, saved) {
            Ok(true) => {}
            Ok(false) => return self.faults.count("damaged snapshot refused"),
            Err(fallen) => return self.fell(node, fallen),
        }
        let input = Input::SnapshotArrived { plan, base, base_epoch };
        let now = self.time(node);
        let mut actions = Vec::new();
        if let Some(member) = &mut self.host_mut(node).member {
            member.handle(now, input, &mut actions);
        }
        if actions.iter().any(|action| matches!(action, Action::Install { .. })) {
            self.tell(|| format!("{node} takes a snapshot of plan {plan} at {base}"));
            self.check_state(plan, base, saved.digest);
            let current = generation == self.history.generations;
            let host = self.host_mut(node);
            if let Err(fallen) = host.entries.install(plan, saved) {
                return self.fell(node, fallen);
            }
            host.verified[index(plan)] = base.0;
            if saved.file.is_some() && current {
                // Whoever sent it saw to it that its results were received.
                let received = &mut host.outgoing[index(plan)].0;
                *received = (*received).max(base);
            }
            self.workload.forget_after(node, plan, Position(0));
            for job in self.host_mut(node).jobs.values_mut() {
                job.reach.retain(|(of, _)| *of != plan);
            }
        }
        self.perform_all(node, &mut actions, None);
    }

    /// Both nodes save their states and drop old entries.
    pub fn save(&mut self) {
        for node in [NodeId::A, NodeId::B] {
            for plan in PLANS {
                let host = self.host_mut(node);
                if host.member.is_none() || host.paused {
                    continue;
                }
                self.aim_at_disk(node, 60, 12);
                let host = self.host_mut(node);
                let received = host.outgoing[index(plan)].0;
                match host.entries.save(plan, received) {
                    Ok(Some(base)) => self.give(node, Input::Trimmed { plan, base }, None),
                    Ok(None) => {}
                    Err(fallen) => self.fell(node, fallen),
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
        if self.host(node).member.is_some() {
            return;
        }
        let settings = self.making.settings.clone();
        let now = self.time(node);
        self.lives += 1;
        let life = self.lives;
        self.aim_at_disk(node, 60, 24);
        let host = self.host_mut(node);
        host.life = life;
        let received = PLANS.map(|plan| (plan, host.outgoing[index(plan)].0));
        let found = match host.entries.start(&received) {
            Ok(found) => found,
            Err(fallen) => return self.fell(node, fallen),
        };
        self.found(node, found.torn, found.is_decayed);
        let host = self.host_mut(node);
        let journal = match (host.blank, host.decayed, host.doubt) {
            (true, ..) => Journal::Blank,
            (false, true, _) => Journal::Decayed,
            (false, false, true) => Journal::Doubtful,
            (false, false, false) => Journal::Sound,
        };
        let plans = found.logs;
        let incarnation = Incarnation(life);
        let arbiter = host.arbiter;
        let ends: Vec<_> = plans.iter().map(|(_, log)| log.shape.end()).collect();
        let start = Start { node, incarnation, journal, arbiter, plans };
        host.member = Some(Member::new(settings, start, now));
        self.tell(|| format!("{node} starts, life {life}, {journal:?}, logs {ends:?}"));
        self.after(0, Event::Tick { node, life });
        self.flush_soon(node);
    }

    /// A process has opened what is there, and nothing in it was damaged.
    fn found(&mut self, node: NodeId, torn: bool, is_decayed: bool) {
        if torn {
            self.faults.count("torn write cut off");
        }
        if is_decayed {
            self.found_decayed(node);
        }
        for plan in PLANS {
            let host = self.host_mut(node);
            host.flipped = false;
            let last = host.entries.last(plan).0;
            let verified = &mut host.verified[index(plan)];
            host.dirty |= *verified > last;
            *verified = (*verified).min(last);
            let (at, state) = host.entries.state(plan);
            if let Some(state) = state {
                self.check_state(plan, at, state);
            }
        }
    }

    /// A write that never finished leaves a file that ends inside it, unless power was lost, and
    /// then the node doubts what it has anyway. Else the last entry has decayed.
    pub fn found_decayed(&mut self, node: NodeId) {
        let host = self.host_mut(node);
        host.decayed |= !host.blank && !host.doubt;
    }

    /// The node's process cannot go on.
    pub fn fell(&mut self, node: NodeId, fallen: Fallen) {
        self.tell(|| format!("{node} falls: {fallen:?}"));
        match fallen {
            Fallen::Wrong(what) => self.violate(format!("{node}: {what}")),
            Fallen::Ended if self.host(node).falls_with_power && self.may_lose_power(node) => {
                self.faults.count("power lost in a write");
                self.lose_power(node);
            }
            Fallen::Ended => {
                self.faults.count("ended in a write");
                self.kill(node);
            }
            Fallen::Damaged(_) => {
                self.faults.count("damage noticed");
                self.give_up_disk(node);
            }
        }
        let back = self.disk.spread(1_000, 2_000_000);
        self.after(back, Event::Mend(Mend::Start(node)));
    }

    /// The node's process ends at once.
    pub fn kill(&mut self, node: NodeId) {
        let host = self.host_mut(node);
        if host.member.take().is_none() {
            return host.entries.lose_process();
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
        host.flipped = false;
        host.arbiter = None;
        self.tell(|| format!("{node} has a blank disk"));
    }
}
