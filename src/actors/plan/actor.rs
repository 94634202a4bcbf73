//! The plan actor: takes work from the inbox to the desk, in a thread of its own.
//!
//! It waits for three things: work, room at a publisher, and the next moment a timer is due.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use prometheus_client::metrics::gauge::Gauge;
use tracing::error;
use tracing::info;

use crate::actors::clock;
use crate::actors::plan::Desk;
use crate::actors::plan::Station;
use crate::actors::plan::Stuck;
use crate::actors::tree::Control;
use crate::actors::tree::Exit;
use crate::actors::tree::Lifeline;
use crate::replica::Broken;
use crate::telemetry::metrics::Metrics;

/// How long it works before it looks at its other messages.
const SHIFT: Duration = Duration::from_millis(10);
/// How long it waits before it looks for room at a publisher again.
const ROOM_PAUSE: Duration = Duration::from_millis(1);
/// How long it waits before it looks for rows of a store again.
const LOAD_PAUSE: Duration = Duration::from_millis(5);
/// How long it waits before it tries the disk again.
const DISK_PAUSE: Duration = Duration::from_secs(1);
/// How much is ordered before what was ordered is written.
const ORDERED_AT_ONCE: usize = 256;
/// The longest sleep until a timer; then it looks at the clock again, which may have been set.
const SLEEP_MAX_MS: u64 = 60_000;

/// Works at the desk of a plan.
#[derive(Debug)]
pub struct PlanActor {
    station: Arc<Station>,
    lifeline: Lifeline,
    stopping: bool,
    waiting: Option<SpawnHandle>,
    timer: Option<SpawnHandle>,
    disk_failed: bool,
    depth: Gauge,
}

/// The rest of a shift's work.
#[derive(Message)]
#[rtype(result = "()")]
struct WorkOn;

/// Why a shift ended.
enum Pause {
    /// Nothing waits.
    Idle,
    /// A publisher has no room, or too much is not safe yet.
    NoRoom,
    /// Rows of a store are to come before anything else.
    Loading,
    /// There is more, but others want to be heard.
    Shift,
    /// The plan cannot go on, at least for now.
    Stuck(Stuck),
}

impl PlanActor {
    /// An actor for the plan of this station.
    #[must_use]
    pub fn new(station: Arc<Station>, lifeline: Lifeline, metrics: &Metrics) -> Self {
        let depth = metrics.queue_depth(&station.name, "inbox");
        Self {
            station,
            lifeline,
            stopping: false,
            waiting: None,
            timer: None,
            disk_failed: false,
            depth,
        }
    }

    fn work(&mut self, ctx: &mut Context<Self>) {
        for handle in [self.waiting.take(), self.timer.take()].into_iter().flatten() {
            ctx.cancel_future(handle);
        }
        let pause = self.shift();
        self.depth.set(i64::try_from(self.station.inbox.events()).unwrap_or(i64::MAX));
        match pause {
            Pause::Shift => ctx.notify(WorkOn),
            Pause::NoRoom => {
                self.waiting = Some(ctx.run_later(ROOM_PAUSE, |this, ctx| this.work(ctx)));
            }
            Pause::Loading => {
                self.waiting = Some(ctx.run_later(LOAD_PAUSE, |this, ctx| this.work(ctx)));
            }
            Pause::Idle if self.stopping && self.station.desk().is_done() => {
                self.end(Exit::Asked, ctx);
            }
            Pause::Idle => {
                let station = Arc::clone(&self.station);
                let arrived = async move { station.inbox.arrived().await };
                let arrived = arrived.into_actor(self).map(|(), this, ctx| this.work(ctx));
                self.waiting = Some(ctx.spawn(arrived));
                self.set_timer(ctx);
            }
            Pause::Stuck(Stuck::Log(error)) if error.is_transient() => {
                if !std::mem::replace(&mut self.disk_failed, true) {
                    self.station.desk().tell_broken(true);
                    let reason = error.to_string();
                    error!(plan = %self.station.name, reason, "the plan waits for its disk");
                }
                self.waiting = Some(ctx.run_later(DISK_PAUSE, Self::try_disk));
            }
            Pause::Stuck(stuck) => {
                let reason = match stuck {
                    Stuck::Broken(Broken(reason)) => reason,
                    Stuck::Log(error) => error.to_string(),
                };
                self.give_up(reason, ctx);
            }
        }
    }

    fn shift(&mut self) -> Pause {
        let mut desk = self.station.desk();
        if let Err(stuck) = desk.look_at_disk() {
            return Pause::Stuck(stuck);
        }
        let began = clock::elapsed();
        let pause = loop {
            if !desk.deliver() {
                match desk.order_letters_alone() {
                    Ok(()) => break Pause::NoRoom,
                    Err(stuck) => break Pause::Stuck(stuck),
                }
            }
            match desk.apply_next() {
                Ok(true) => {}
                Ok(false) => match self.order(&mut desk) {
                    Ok(true) => {}
                    // Where there is no room an arrival is no reason to look again.
                    Ok(false) if !desk.ledger().has_room() => break Pause::NoRoom,
                    Ok(false) if desk.must_load() && !self.stopping => break Pause::Loading,
                    Ok(false) => break Pause::Idle,
                    Err(stuck) => break Pause::Stuck(stuck),
                },
                Err(stuck) => break Pause::Stuck(stuck),
            }
            if clock::elapsed().saturating_sub(began) > SHIFT {
                break Pause::Shift;
            }
        };
        desk.show();
        pause
    }

    /// Orders what has come, until something is safe to apply; `false` when nothing more can be
    /// done for now.
    fn order(&self, desk: &mut Desk) -> Result<bool, Stuck> {
        if !desk.orders() {
            return Ok(desk.follow(&self.station.inbox));
        }
        desk.answer_early();
        if desk.must_load() {
            return desk.load();
        }
        desk.order_open();
        if desk.due_in() == Some(0) {
            desk.tick();
        }
        desk.order_letters();
        let mirrored = desk.ledger().mirrored().cloned();
        let mut ordered =
            mirrored.map_or(0, |mirrored| desk.take_arrivals(&mirrored, ORDERED_AT_ONCE / 2));
        while ordered < ORDERED_AT_ONCE && desk.ledger().has_room() {
            let Some(work) = self.station.inbox.take() else { break };
            desk.take(work);
            ordered += 1;
            if desk.can_apply() {
                return Ok(true);
            }
        }
        desk.flush()?;
        Ok(ordered > 0 || desk.can_apply())
    }

    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        let due = self.station.desk().due_in();
        self.timer = due.map(|wait| {
            let wait = Duration::from_millis(wait.clamp(1, SLEEP_MAX_MS));
            ctx.run_later(wait, |this, ctx| this.work(ctx))
        });
    }

    /// Opens the journal again.
    fn try_disk(&mut self, ctx: &mut Context<Self>) {
        let reopened = self.station.desk().reopen();
        match reopened {
            Ok(()) => {
                self.disk_failed = false;
                self.station.desk().tell_broken(false);
                info!(plan = %self.station.name, "the disk works again");
            }
            Err(error) if error.is_transient() => {
                self.waiting = Some(ctx.run_later(DISK_PAUSE, Self::try_disk));
                return;
            }
            Err(error) => return self.give_up(error.to_string(), ctx),
        }
        self.work(ctx);
    }

    /// The plan cannot go on in this process.
    fn give_up(&mut self, reason: String, ctx: &mut Context<Self>) {
        error!(plan = %self.station.name, reason, "the plan cannot go on");
        self.station.inbox.close();
        self.end(Exit::permanent(reason), ctx);
    }

    fn end(&mut self, exit: Exit, ctx: &mut Context<Self>) {
        self.lifeline.end(exit);
        ctx.stop();
    }
}

impl Actor for PlanActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.work(ctx);
    }
}

impl Handler<WorkOn> for PlanActor {
    type Result = ();

    fn handle(&mut self, _: WorkOn, ctx: &mut Self::Context) {
        self.work(ctx);
    }
}

impl Handler<Control> for PlanActor {
    type Result = ();

    fn handle(&mut self, control: Control, ctx: &mut Self::Context) {
        match control {
            Control::Stop => {
                self.stopping = true;
                self.work(ctx);
            }
            Control::Fall => Control::fall(),
        }
    }
}
