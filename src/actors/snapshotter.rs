//! The snapshotter: takes a snapshot of each plan from time to time, in a thread of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use crate::actors::clock;
use crate::actors::office::Office;
use crate::actors::tree::Control;
use crate::actors::tree::Exit;
use crate::actors::tree::Lifeline;

/// How often it looks whether a plan is due.
const LOOK: Duration = Duration::from_millis(500);

/// Takes snapshots.
#[derive(Debug)]
pub struct Snapshotter {
    office: Arc<Office>,
    lifeline: Lifeline,
    /// When each plan is due, by the clock that only goes forward.
    due: BTreeMap<String, Duration>,
}

impl Snapshotter {
    /// A snapshotter of the node's plans.
    #[must_use]
    pub fn new(office: Arc<Office>, lifeline: Lifeline) -> Self {
        Self { office, lifeline, due: BTreeMap::new() }
    }

    fn look(&mut self) {
        let (now, interval) = (clock::elapsed(), self.office.config.persistence.interval);
        let slots = self.office.slots();
        self.due.retain(|plan, _| slots.iter().any(|slot| *slot.station.name == **plan));
        for slot in slots {
            let name = slot.station.name.to_string();
            let due = self.due.entry(name).or_insert(now + interval);
            if *due <= now {
                *due = now + interval;
                slot.station.keep_snapshot();
            }
        }
    }
}

impl Actor for Snapshotter {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(LOOK, |this, _| this.look());
    }
}

impl Handler<Control> for Snapshotter {
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
