//! What a publisher does when it can do no more for now: it waits for what will come next.

use std::time::Duration;

use actix::prelude::*;
use tokio::time::timeout;

use crate::actors::clock;
use crate::actors::publisher::PublisherActor;
use crate::actors::publisher::WorkOn;
use crate::actors::tree::Exit;
use crate::publishers::Built;

/// How long it waits for a place that takes no more for now.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// How often it looks whether what was published has settled.
pub(super) const SETTLE_PAUSE: Duration = Duration::from_millis(3);
/// How long it waits for that, or for a busy place, once it is told to stop. What has not left by
/// then is kept with the plan.
pub(super) const LINGER: Duration = Duration::from_secs(3);
/// How often a publisher of the passive looks what the active published.
const HELD_PAUSE: Duration = Duration::from_millis(20);

/// Why it can do no more for now.
pub(super) enum Pause {
    /// Nothing waits.
    Idle,
    /// Its other messages are to have their turn.
    Shift,
    /// It failed, and tries again after this time.
    Later(Duration),
    /// The place takes no more for now.
    Busy,
    /// What was published has not settled yet.
    Unsettled,
    /// This node may not publish now.
    Held,
    /// The other node does not know yet that the parcel before has left.
    Untold,
}

impl PublisherActor {
    /// Works on when it makes sense, or ends.
    pub(super) fn pause(&mut self, pause: Pause, built: &mut Built, ctx: &mut Context<Self>) {
        let lingers = |since: Duration| clock::elapsed().saturating_sub(since) < LINGER;
        match pause {
            Pause::Idle | Pause::Held if self.stopping.is_some() => self.end(built, ctx),
            Pause::Busy | Pause::Unsettled if self.stopping.is_some_and(|at| !lingers(at)) => {
                self.end(built, ctx);
            }
            Pause::Shift => ctx.notify(WorkOn),
            Pause::Later(wait) => {
                self.waiting = Some(ctx.run_later(wait, |this, ctx| this.work(ctx)));
            }
            Pause::Busy => {
                self.waiting = Some(ctx.run_later(BUSY_PAUSE, |this, ctx| this.work(ctx)));
            }
            Pause::Held => {
                let mut changes = self.job.gate.changes();
                // Results that the other node published are dropped in time.
                let look = async move { drop(timeout(HELD_PAUSE, changes.changed()).await) };
                let look = look.into_actor(self).map(|(), this, ctx| this.work(ctx));
                self.waiting = Some(ctx.spawn(look));
            }
            Pause::Untold => {
                let learning = self.job.station.mirrored().map(|mirrored| mirrored.learning());
                if self.is_known() {
                    // It became known before this began to listen.
                    return ctx.notify(WorkOn);
                }
                let look = async move {
                    if let Some(mut learning) = learning {
                        drop(timeout(HELD_PAUSE, learning.changed()).await);
                    }
                };
                let look = look.into_actor(self).map(|(), this, ctx| this.work(ctx));
                self.waiting = Some(ctx.spawn(look));
            }
            Pause::Unsettled => {
                let inbox = self.job.end.inbox.clone();
                let look = async move { drop(timeout(SETTLE_PAUSE, inbox.arrived()).await) };
                let look = look.into_actor(self).map(|(), this, ctx| this.work(ctx));
                self.waiting = Some(ctx.spawn(look));
            }
            Pause::Idle => {
                let may_act = self.job.gate.begin().is_some();
                let (inbox, rest) = (self.job.end.inbox.clone(), built.publisher.rest(may_act));
                let arrived = async move {
                    match rest {
                        Some(rest) => drop(timeout(rest, inbox.arrived()).await),
                        None => inbox.arrived().await,
                    }
                };
                let arrived = arrived.into_actor(self).map(|(), this, ctx| this.work(ctx));
                self.waiting = Some(ctx.spawn(arrived));
            }
        }
    }

    fn end(&mut self, built: &mut Built, ctx: &mut Context<Self>) {
        built.publisher.close();
        self.lifeline.end(Exit::Asked);
        ctx.stop();
    }
}
