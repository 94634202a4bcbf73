//! The watchman: finds a plan that does not come to the end of an entry, and gives it up.
//!
//! A thread cannot be taken away from what it runs, so the plan's own thread stays where it is. But
//! the plan takes nothing more, says why, and the node and its other plans go on; after a restart
//! the entry is the suspect.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tracing::error;

use crate::actors::office::Office;
use crate::actors::tree::Control;
use crate::actors::tree::Exit;
use crate::actors::tree::Lifeline;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(250);

/// Looks after plans.
#[derive(Debug)]
pub struct Watchman {
    office: Arc<Office>,
    lifeline: Lifeline,
}

impl Watchman {
    /// A watchman of the node's plans.
    #[must_use]
    pub fn new(office: Arc<Office>, lifeline: Lifeline) -> Self {
        Self { office, lifeline }
    }

    fn look(&self) {
        let limit = self.office.config.plans.entry_time_max;
        for slot in self.office.slots() {
            let station = &slot.station;
            let busy = station.busy.busy_for().filter(|busy| *busy > limit);
            if busy.is_none() || station.inbox.is_closed() {
                continue;
            }
            let reason = format!(
                "it did not come to the end of an entry within {limit:?} (`plans.entry_time_max`); \
                 an endless loop? Change the plan, or restart the node to skip the entry"
            );
            error!(plan = %station.name, reason, "the plan is given up");
            station.inbox.close();
            self.office.give_up(&station.name, &reason);
        }
    }
}

impl Actor for Watchman {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(LOOK, |this, _| this.look());
    }
}

impl Handler<Control> for Watchman {
    type Result = ();

    fn handle(&mut self, control: Control, ctx: &mut Self::Context) {
        match control {
            Control::Stop => {
                self.lifeline.end(Exit::Asked);
                ctx.stop();
            }
            Control::Fall => Control::fall(),
        }
    }
}
