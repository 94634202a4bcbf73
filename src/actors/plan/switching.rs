//! A new version on a node of a pair: its entry comes by the log, whoever ordered it, and what runs
//! it is brought by the deployer here. Either may come first, and roles may change in between.
//!
//! An entry whose version nobody has brought yet waits, for its ways out are not there, and so does
//! a state that a snapshot brought beyond the version at work. A version that is brought is ordered
//! by the node that orders, unless its entry is in the log already.

use std::sync::Arc;

use tracing::info;

use crate::actors::plan::Desk;
use crate::actors::plan::Switch;
use crate::actors::plan::Told;
use crate::actors::plan::Version;
use crate::actors::plan::Waiting;
use crate::actors::tree::Room;
use crate::replica::Body;
use crate::replica::LogEntry;

impl Desk {
    /// Takes a version that was brought: orders it, or has it meet its entry that another node has
    /// ordered.
    pub(super) fn take_switch(&mut self, switch: Switch, room: Option<Room>) {
        self.versions.remember(&switch.version);
        self.ordering = Arc::clone(&switch.version);
        self.order_switch(switch, room);
    }

    pub(super) fn order_switch(&mut self, switch: Switch, room: Option<Room>) {
        let number = switch.version.number;
        if self.stalled_at() == Some(number) || self.is_beyond(&switch.version) {
            return self.keep_switch(switch);
        }
        let body = Body::Deploy(self.deployment_of(&switch.version));
        self.order(body, Told::Deployer(switch), room);
    }

    /// Keeps a version for its entry, which another node orders.
    pub(super) fn keep_switch(&mut self, switch: Switch) {
        let is_late = self.is_beyond(&switch.version);
        self.follow.switches.push_back(switch);
        if is_late {
            self.adopt_switches();
        }
    }

    /// Whether an entry can be applied here now: a version has to be brought by the deployer first,
    /// so that its ways out are there. Gives who is to be told of it.
    pub(super) fn admit(&mut self, waiting: Waiting) -> Option<Waiting> {
        let Some(LogEntry { body: Body::Deploy(deployment), .. }) = &waiting.entry else {
            return Some(waiting);
        };
        let is_own = !matches!(waiting.told, Told::Nobody);
        if self.ledger.mirrored().is_none() || is_own || deployment.number <= self.version.number {
            return Some(waiting);
        }
        let number = deployment.number;
        let switches = &mut self.follow.switches;
        let place = switches.iter().position(|switch| switch.version.number == number);
        let kept = place.and_then(|place| switches.remove(place));
        // This node may have ordered it a second time before it came to the first.
        match kept.or_else(|| self.ledger.take_switch(number)) {
            Some(switch) => Some(Waiting { told: Told::Deployer(switch), ..waiting }),
            None => {
                let (plan, version) = (&self.version.name, number);
                info!(%plan, version, "waiting for the new version to be deployed here, too");
                self.follow.stalled = Some(waiting);
                None
            }
        }
    }

    /// Whether something can be applied now: it is safe, and no version has to be brought before.
    #[must_use]
    pub fn can_apply(&self) -> bool {
        self.follow.stalled.is_none() && !self.is_ahead() && self.ledger.is_safe()
    }

    /// Whether a snapshot brought the state to a version that nobody has brought here yet: where
    /// its results go is not known.
    pub(super) fn is_ahead(&self) -> bool {
        let text = &*self.version.kept_text;
        let is_later = self.replica.deployment().is_some_and(|deployment| {
            deployment.number > self.version.number && *deployment.text != *text
        });
        is_later && self.ledger.mirrored().is_some()
    }

    /// Goes on from a state that a snapshot brought, with results that had not left. Of a version's
    /// entry before it this node hears no more: whoever brings that version is told now, and its
    /// ways out are used.
    pub(super) fn adopt_switches(&mut self) {
        let switches = std::mem::take(&mut self.follow.switches);
        for switch in switches {
            let number = switch.version.number;
            if !self.is_beyond(&switch.version) {
                self.follow.switches.push_back(switch);
                continue;
            }
            if number > self.version.number {
                self.version = Arc::clone(&switch.version);
                info!(plan = %self.version.name, version = number, "new version took over before");
            }
            // Who brought it may have gone meanwhile.
            let _ = switch.told.send(());
        }
        self.begin_tails();
        self.begin_letters();
        if !self.is_ahead() {
            let pending = std::mem::take(&mut self.follow.pending);
            self.send_pending(pending);
        }
    }

    /// Whether the state is of this version or of one after it, as another node ordered it.
    fn is_beyond(&self, version: &Version) -> bool {
        let is_beyond = self.replica.deployment().is_some_and(|of| {
            let is_same = of.number == version.number && *of.text == *version.kept_text;
            is_same || of.number > version.number
        });
        is_beyond && self.ledger.mirrored().is_some()
    }

    /// The version whose entry waits for it.
    fn stalled_at(&self) -> Option<u64> {
        match &self.follow.stalled.as_ref()?.entry.as_ref()?.body {
            Body::Deploy(deployment) => Some(deployment.number),
            _ => None,
        }
    }
}
