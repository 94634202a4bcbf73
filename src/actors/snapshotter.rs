//! The snapshotter: takes a snapshot of each plan from time to time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::actors::clock;
use crate::actors::gate::Part;
use crate::actors::office::Office;
use crate::actors::plan::Station;
use crate::actors::rounds::Round;

/// Takes snapshots.
#[derive(Debug)]
pub struct Snapshotter {
    office: Arc<Office>,
    /// When each plan is due, by the clock that only goes forward.
    due: BTreeMap<String, Duration>,
}

impl Snapshotter {
    /// A snapshotter of the node's plans.
    #[must_use]
    pub fn new(office: &Arc<Office>) -> Self {
        Self { office: Arc::clone(office), due: BTreeMap::new() }
    }
}

impl Snapshotter {
    /// In a pair the node that follows takes the snapshots for both, so that the plans of the one
    /// that acts never stand still for them.
    fn keep(&self, station: &Station) {
        match &self.office.around.pair {
            Some(pair) if pair.gate.part() == Part::Active && pair.is_in_sync() => {
                station.compare();
            }
            Some(pair) => {
                if let Some(name) = station.keep_snapshot() {
                    pair.share_snapshot(&station.name, name);
                }
            }
            None => drop(station.keep_snapshot()),
        }
    }
}

impl Round for Snapshotter {
    const NAME: &'static str = "snapshotter";
    const EVERY: Duration = Duration::from_millis(500);

    fn go(&mut self) {
        let (now, interval) = (clock::elapsed(), self.office.config.persistence.interval);
        let slots = self.office.slots();
        self.due.retain(|plan, _| slots.iter().any(|slot| *slot.station.name == **plan));
        for slot in slots {
            let name = slot.station.name.to_string();
            let due = self.due.entry(name).or_insert(now + interval);
            if *due <= now {
                *due = now + interval;
                self.keep(&slot.station);
            }
        }
    }
}
