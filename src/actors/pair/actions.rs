//! What the protocol wishes, done in the order of the wishes.

use tracing::error;
use tracing::info;
use tracing::warn;

use crate::actors::clock;
use crate::actors::gate::Part;
use crate::actors::gate::RoleNow;
use crate::actors::pair::HaManager;
use crate::actors::pair::Tell;
use crate::ha::arbiter::lock;
use crate::ha::link::freight::Entries;
use crate::ha::protocol::Action;
use crate::ha::protocol::Alarm;
use crate::ha::protocol::Body;
use crate::ha::protocol::Epoch;
use crate::ha::protocol::Generation;
use crate::ha::protocol::Message;
use crate::ha::protocol::PlanSet;
use crate::ha::protocol::Reason;
use crate::ha::protocol::Refusal;
use crate::ha::protocol::Role;
use crate::ha::protocol::Word;

impl HaManager {
    pub(super) fn perform(&mut self, action: Action, freight: Option<&Entries>) {
        match action {
            // What could not be written was not taken, and is not here to be applied.
            Action::Send(Message { body: Body::Taken { plan, .. }, .. })
                if self.unwritten.contains_key(&plan.plan) => {}
            Action::Commit { plan, .. } if self.unwritten.contains_key(&plan) => {}
            Action::Send(message) => {
                if let Some(life) = &self.life
                    && let Err(error) = life.link.send(&message)
                {
                    error!(%error, "a message to the other node is too long");
                }
            }
            Action::Ship { message, plan, after, upto } => self.ship(message, plan, after, upto),
            Action::Ask { request, asking } => self.ask(request, asking),
            Action::TestLock { version } => {
                let free = self.estate.peer_lock.as_deref().is_some_and(lock::is_free);
                self.estate.hub.tell(Tell::Lock(version, free));
            }
            Action::SyncAll { token, besides } => self.sync_all(token, besides),
            // Logs are opened with their plans: what is said of others is not passed on.
            Action::OpenLog { plan } => error!(%plan, "the log of an unknown plan was passed on"),
            Action::Append { plan, after, upto } => {
                if let Some(freight) = freight {
                    self.write(plan, after, upto, freight);
                    if self.hub().log(plan).is_some_and(|log| log.mirrored.is_broken()) {
                        self.unwritten.entry(plan).or_insert(after);
                    }
                }
            }
            Action::Cut { plan, after } => self.cut(plan, after),
            Action::Commit { plan, upto } => {
                if let Some(log) = self.estate.hub.log(plan) {
                    log.mirrored.commit(upto.0);
                    self.nudged.insert(plan);
                }
            }
            Action::Answer { plan, upto } => {
                if let Some(log) = self.estate.hub.log(plan) {
                    log.mirrored.answer(upto.0);
                    self.nudged.insert(plan);
                }
            }
            Action::SendSnapshot { plan } => {
                if let Some(life) = &self.life {
                    life.files.send_newest(plan);
                }
            }
            Action::Install { plan, base } => self.install(plan, base),
            Action::Role { role, epoch, generation, down, reason } => {
                self.change_role(role, epoch, generation, &down, reason);
            }
            Action::Drain => self.drain(),
            Action::Undrain => self.undrain(),
            Action::DoubtOver => {
                let done = self.estate.notes().doubt_over();
                self.noted(done);
            }
            Action::Whole { plan, whole } => {
                self.marks.insert(plan, whole);
                self.note_marks();
            }
            Action::RememberArbiter(arbiter) => {
                let done = self.estate.notes().remember_arbiter(arbiter);
                self.noted(done);
            }
            Action::Accepted => self.accepted(),
            Action::Refused(refusal) => self.refused(refusal),
            Action::Alarm(alarm) => self.alarm(&alarm),
        }
    }

    /// Notes which logs are whole; what the disk refuses is tried again.
    pub(super) fn note_marks(&mut self) {
        for (plan, whole) in std::mem::take(&mut self.marks) {
            let Some(log) = self.estate.hub.log(plan) else { continue };
            let done = log.note_whole(whole);
            if done.is_err() {
                self.marks.insert(plan, whole);
            }
            self.noted(done);
        }
    }

    fn noted(&self, done: std::io::Result<()>) {
        if let Err(error) = done {
            error!(%error, "what has to be remembered of the pair cannot be noted on disk");
        }
    }

    fn change_role(
        &mut self,
        role: Role,
        epoch: Epoch,
        generation: Option<Generation>,
        down: &PlanSet,
        reason: Reason,
    ) {
        if role == Role::Active || reason == Reason::NewerEpoch {
            self.status.waits = None;
        }
        let hub = self.hub();
        hub.gate.drain(false);
        self.fences.forget();
        let why = describe(reason);
        let generation: std::sync::Arc<str> =
            generation.map_or_else(String::new, |generation| generation.to_string()).into();
        match role {
            Role::Active => {
                // Whoever handed over had published everything it knew of.
                let unsure = reason != Reason::HandedOver;
                info!(%epoch, %generation, reason = why, "this node is active");
                if !matches!(reason, Reason::Started | Reason::TailTaken) {
                    self.status.failover = Some((clock::now_ms(), why.to_owned()));
                }
                let role = RoleNow { part: Part::Active, epoch: epoch.0, generation, unsure };
                hub.gate.set_role(role);
            }
            Role::Passive => {
                // Who orders now has yet to say so: what was forwarded before would be dropped.
                self.status.heard_active = None;
                hub.gate.open_until(0);
                info!(%epoch, reason = why, "this node is passive");
                let (part, unsure) = (Part::Undecided, true);
                hub.gate.set_role(RoleNow { part, epoch: epoch.0, generation, unsure });
            }
        }
        for log in hub.logs() {
            let appends = role == Role::Active && !down.contains(&log.mirrored.plan);
            self.let_append(&log, appends.then_some(epoch.0));
            if role == Role::Active && !appends {
                warn!(plan = %log.name, "the plan stays down here: only the other node has all of \
                    its entries");
            }
            (log.nudge)();
        }
        let (done, wait) =
            std::mem::take(&mut self.wishes).into_iter().partition(|wish| match wish.word {
                Word::Switch | Word::Leave => role == Role::Passive,
                Word::Promote { .. } => role == Role::Active,
                Word::GiveUpTail { .. } | Word::Discard { .. } => false,
            });
        self.wishes = wait;
        self.ease_syncs();
        let done: Vec<crate::actors::pair::Wish> = done;
        for wish in done {
            let _ = wish.told.send(Ok(()));
        }
    }

    fn accepted(&mut self) {
        // A switch and a promotion are done once the role has changed.
        let last = self
            .wishes
            .pop_if(|wish| matches!(wish.word, Word::GiveUpTail { .. } | Word::Discard { .. }));
        if let Some(wish) = last {
            let _ = wish.told.send(Ok(()));
        }
    }

    fn refused(&mut self, refusal: Refusal) {
        if let Some(wish) = self.wishes.pop() {
            warn!(word = ?wish.word, %refusal, "the operator's word is refused");
            let _ = wish.told.send(Err(refusal));
        }
    }

    fn alarm(&mut self, alarm: &Alarm) {
        let text = alarm.to_string();
        match alarm {
            Alarm::AppliedBeyond { .. } | Alarm::ArbiterChanged { .. } | Alarm::BothDoubtful => {
                error!("{text}");
            }
            Alarm::Waits(_) => {
                warn!("{text}");
                self.status.waits = Some(text);
                return;
            }
            Alarm::Doubtful | Alarm::OldIncarnation { .. } => warn!("{text}"),
        }
        self.status.alarm = Some(text);
    }
}

/// Why a role changed, for people.
fn describe(reason: Reason) -> &'static str {
    match reason {
        Reason::Started => "it started",
        Reason::LeaseRanOut => "the other node's lease ran out",
        Reason::HolderEnded => "the other node's process ended",
        Reason::HandedOver => "handed over",
        Reason::Operator => "the operator said so",
        Reason::NewerEpoch => "another node is active",
        Reason::TailTaken => "plans that were down have all their entries",
    }
}
