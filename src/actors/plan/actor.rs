//! The plan actor: takes work from the inbox to the desk, in a thread of its own.
//!
//! It waits for three things: work, room at a publisher, and the next moment a timer is due.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use prometheus_client::metrics::gauge::Gauge;
use tracing::error;

use crate::actors::clock;
use crate::actors::plan::Broken;
use crate::actors::plan::Station;
use crate::actors::tree::Control;
use crate::actors::tree::Exit;
use crate::actors::tree::Lifeline;
use crate::telemetry::metrics::Metrics;

/// How long it works before it looks at its other messages.
const SHIFT: Duration = Duration::from_millis(10);
/// How long it waits before it looks for room at a publisher again.
const ROOM_PAUSE: Duration = Duration::from_millis(1);
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
    /// A publisher has no room.
    NoRoom,
    /// There is more, but others want to be heard.
    Shift,
    /// The plan cannot go on.
    Broken(Broken),
}

impl PlanActor {
    /// An actor for the plan of this station.
    #[must_use]
    pub fn new(station: Arc<Station>, lifeline: Lifeline, metrics: &Metrics) -> Self {
        let depth = metrics.queue_depth(&station.name, "inbox");
        Self { station, lifeline, stopping: false, waiting: None, timer: None, depth }
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
            Pause::Idle if self.stopping => self.end(Exit::Asked, ctx),
            Pause::Idle => {
                let station = Arc::clone(&self.station);
                let arrived = async move { station.inbox.arrived().await };
                let arrived = arrived.into_actor(self).map(|(), this, ctx| this.work(ctx));
                self.waiting = Some(ctx.spawn(arrived));
                self.set_timer(ctx);
            }
            Pause::Broken(Broken(reason)) => {
                error!(plan = %self.station.name, reason, "the plan cannot go on");
                self.station.inbox.close();
                self.end(Exit::permanent(reason), ctx);
            }
        }
    }

    fn shift(&mut self) -> Pause {
        let mut desk = self.station.desk();
        let began = clock::elapsed();
        let pause = loop {
            if !desk.deliver() {
                break Pause::NoRoom;
            }
            let done = match desk.due_in() {
                Some(0) => desk.tick(),
                _ => match self.station.inbox.take() {
                    Some(work) => desk.work(work),
                    None => break Pause::Idle,
                },
            };
            if let Err(broken) = done {
                break Pause::Broken(broken);
            }
            if clock::elapsed().saturating_sub(began) > SHIFT {
                break Pause::Shift;
            }
        };
        desk.show();
        pause
    }

    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        let due = self.station.desk().due_in();
        self.timer = due.map(|wait| {
            let wait = Duration::from_millis(wait.clamp(1, SLEEP_MAX_MS));
            ctx.run_later(wait, |this, ctx| this.work(ctx))
        });
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
