//! Whether this node may act: order entries, pull from sources, begin to publish.
//!
//! A node alone always may. In a pair the HA manager opens and closes the gate, and everybody
//! about to act looks at it directly before: what is open now may be closed a moment later, since
//! a lease runs out by itself.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use crate::actors::clock;

/// What this node is for the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It orders and publishes.
    Active,
    /// Another one does, and can be reached.
    Passive,
    /// Nobody is known to; what comes is held.
    Undecided,
}

/// Opens and closes for all who act.
#[derive(Debug)]
pub struct Gate {
    /// Until when emissions may begin, by [`clock::boot_ms`].
    until: AtomicU64,
    draining: AtomicBool,
    /// Whether another node may go on where this one stops.
    followed: AtomicBool,
    in_flight: AtomicUsize,
    role: Mutex<RoleNow>,
    changed: watch::Sender<u64>,
}

/// The role as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleNow {
    /// What this node is.
    pub part: Part,
    /// The epoch it acts in; 0 where there is no pair.
    pub epoch: u64,
    /// The history that results are part of; empty where there is no pair.
    pub generation: Arc<str>,
    /// Whoever acted before may have begun to publish what is not known to have left.
    pub unsure: bool,
}

/// An emission may begin. While this is held it counts as being under way.
#[derive(Debug)]
pub struct Permit<'a> {
    gate: &'a Gate,
    /// The role in which it begins.
    pub role: RoleNow,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.gate.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Gate {
    /// The gate of a node without a peer: always open. `unsure` says that an earlier process may
    /// have been ended while it published.
    #[must_use]
    pub fn solo(unsure: bool) -> Self {
        let role = RoleNow { part: Part::Active, epoch: 0, generation: "".into(), unsure };
        Self::new(u64::MAX, role)
    }

    /// The gate of a node of a pair whose role is not decided yet.
    #[must_use]
    pub fn closed() -> Self {
        let (part, generation) = (Part::Undecided, "".into());
        Self::new(0, RoleNow { part, epoch: 0, generation, unsure: true })
    }

    fn new(until: u64, role: RoleNow) -> Self {
        Self {
            until: AtomicU64::new(until),
            draining: AtomicBool::new(false),
            followed: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            role: Mutex::new(role),
            changed: watch::Sender::new(0),
        }
    }

    /// Whether this node may act now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let until = self.until.load(Ordering::Acquire);
        let open = until == u64::MAX || clock::boot_ms() < until;
        open && !self.draining.load(Ordering::Acquire)
    }

    /// Begins an emission, if that may be now.
    #[must_use]
    pub fn begin(&self) -> Option<Permit<'_>> {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        let permit = Permit { gate: self, role: self.role() };
        // Counted first, so that who waits for the last emission cannot overlook this one.
        self.is_open().then_some(permit)
    }

    /// Whether an emission is under way.
    #[must_use]
    pub fn is_emitting(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) > 0
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> RoleNow {
        self.role.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What this node is for the outside.
    #[must_use]
    pub fn part(&self) -> Part {
        self.role.lock().unwrap_or_else(PoisonError::into_inner).part
    }

    /// Changes with the role and with the opening of the gate.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// How often the role or the opening of the gate have changed.
    #[must_use]
    pub fn turns(&self) -> u64 {
        *self.changed.borrow()
    }

    /// Sets until when emissions may begin. Says whether that opened the gate.
    pub fn open_until(&self, until: u64) -> bool {
        let was_open = self.is_open();
        self.until.store(until, Ordering::Release);
        let is_open = self.is_open();
        if was_open != is_open {
            self.tell();
        }
        is_open && !was_open
    }

    /// Whether another node may go on where this one stops, without a word of this one.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.followed.load(Ordering::Acquire)
    }

    /// Sets whether another node may.
    pub fn follow(&self, followed: bool) {
        self.followed.store(followed, Ordering::Release);
    }

    /// Nothing more begins, or things may begin again.
    pub fn drain(&self, draining: bool) {
        if self.draining.swap(draining, Ordering::AcqRel) != draining {
            self.tell();
        }
    }

    /// Sets the role.
    pub fn set_role(&self, role: RoleNow) {
        let mut now = self.role.lock().unwrap_or_else(PoisonError::into_inner);
        if *now != role {
            *now = role;
            drop(now);
            self.tell();
        }
    }

    fn tell(&self) {
        self.changed.send_modify(|times| *times += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_open_as_long_as_it_was_said_and_not_while_it_drains() {
        let gate = Gate::closed();
        assert!(!gate.is_open() && gate.begin().is_none());
        let changes = gate.changes();
        gate.open_until(clock::boot_ms() + 60_000);
        assert!(changes.has_changed().unwrap());
        let permit = gate.begin().unwrap();
        assert!(gate.is_emitting());
        gate.drain(true);
        assert!(gate.begin().is_none() && gate.is_emitting(), "what began goes on");
        drop(permit);
        assert!(!gate.is_emitting());
        gate.drain(false);
        assert!(gate.is_open());
        gate.open_until(clock::boot_ms().saturating_sub(1));
        assert!(!gate.is_open(), "it closes by itself");
    }

    #[test]
    fn a_node_alone_always_may() {
        let gate = Gate::solo(false);
        assert!(gate.is_open());
        assert_eq!(gate.begin().unwrap().role.part, Part::Active);
    }
}
