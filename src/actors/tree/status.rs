//! What every actor shows of itself, in one shared registry.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use actix::prelude::*;

use crate::actors::clock;
use crate::actors::tree::Control;

/// Where an actor is in its life.
///
/// ```text
/// Running ──falls──► Waiting ──backoff over──► Running
///    │                  └──told to stop──┐
///    ├──told to stop──► Stopping ────────┴──► Stopped
///    └──too many falls, or no cure──────────► Failed
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// At work.
    Running,
    /// Fell and will be raised again after a wait.
    Waiting,
    /// Finishing what it has.
    Stopping,
    /// Ended in order.
    Stopped,
    /// Given up; see the last exit.
    Failed,
}

/// One actor as seen from outside.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ActorStatus {
    /// Its place in the tree, as in `plans/alerts/publisher:Alerts:1`.
    pub name: String,
    /// What kind of actor it is.
    pub kind: &'static str,
    /// Where it is in its life.
    pub state: State,
    /// How often it was raised again since it was first started.
    pub restarts: u64,
    /// How its last life ended.
    pub last_exit: Option<String>,
    /// Since when it is in this state, in milliseconds since 1970.
    pub since_ms: i64,
    /// What it says of itself, such as the place a receiver reads from.
    pub detail: String,
}

/// The status of all actors of a node; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Mutex<BTreeMap<String, Slot>>>);

/// An actor's way to say something of itself; clones speak for the same actor.
#[derive(Debug, Clone)]
pub struct Voice {
    registry: Registry,
    name: String,
}

impl Voice {
    /// Shows what the actor does, in place of what it said before.
    pub fn say(&self, detail: impl Into<String>) {
        self.registry.detail(&self.name, detail);
    }
}

/// Who may write an entry: a supervisor that was replaced no longer can.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Entry(u64);

#[derive(Debug)]
struct Slot {
    entry: Entry,
    status: ActorStatus,
    control: Option<Recipient<Control>>,
}

impl Registry {
    /// All actors, by name.
    #[must_use]
    pub fn all(&self) -> Vec<ActorStatus> {
        self.slots().values().map(|slot| slot.status.clone()).collect()
    }

    /// One actor.
    #[must_use]
    pub fn one(&self, name: &str) -> Option<ActorStatus> {
        self.slots().get(name).map(|slot| slot.status.clone())
    }

    /// Sends a control to an actor; `false` when there is no such actor at work.
    #[must_use]
    pub fn send(&self, name: &str, control: Control) -> bool {
        let recipient = self.slots().get(name).and_then(|slot| slot.control.clone());
        recipient.is_some_and(|recipient| recipient.try_send(control).is_ok())
    }

    /// Lets the actor of this name say something of itself.
    #[must_use]
    pub fn voice(&self, name: impl Into<String>) -> Voice {
        Voice { registry: self.clone(), name: name.into() }
    }

    fn detail(&self, name: &str, detail: impl Into<String>) {
        if let Some(slot) = self.slots().get_mut(name) {
            slot.status.detail = detail.into();
        }
    }

    pub(super) fn enter(&self, name: &str, kind: &'static str) -> Entry {
        let status = ActorStatus {
            name: name.to_owned(),
            kind,
            state: State::Waiting,
            restarts: 0,
            last_exit: None,
            since_ms: clock::now_ms(),
            detail: String::new(),
        };
        let mut slots = self.slots();
        let entry = Entry(slots.get(name).map_or(0, |before| before.entry.0) + 1);
        slots.insert(name.to_owned(), Slot { entry, status, control: None });
        entry
    }

    pub(super) fn leave(&self, name: &str, entry: Entry) {
        let below = format!("{name}/");
        let mut slots = self.slots();
        if slots.get(name).is_some_and(|slot| slot.entry == entry) {
            slots.retain(|other, _| other != name && !other.starts_with(&below));
        }
    }

    pub(super) fn running(
        &self,
        name: &str,
        entry: Entry,
        control: Recipient<Control>,
        restarts: u64,
    ) {
        self.change(name, entry, State::Running, |slot| {
            slot.control = Some(control);
            slot.status.restarts = restarts;
        });
    }

    pub(super) fn stopping(&self, name: &str, entry: Entry) {
        self.change(name, entry, State::Stopping, |_| {});
    }

    pub(super) fn ended(&self, name: &str, entry: Entry, state: State, exit: String) {
        self.change(name, entry, state, |slot| {
            slot.control = None;
            slot.status.last_exit = Some(exit);
        });
    }

    fn change(&self, name: &str, entry: Entry, state: State, change: impl FnOnce(&mut Slot)) {
        if let Some(slot) = self.slots().get_mut(name)
            && slot.entry == entry
        {
            slot.status.state = state;
            slot.status.since_ms = clock::now_ms();
            change(slot);
        }
    }

    /// A panic while the lock was held leaves whole values: each change is a plain assignment.
    fn slots(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
