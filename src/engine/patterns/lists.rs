//! Where the matches of one partition key wait.

use crate::engine::patterns::queue::Queue;
use crate::engine::patterns::store::Match;
use crate::event::Millis;
use crate::plan::pattern::StateId;
use std::collections::VecDeque;

/// The matches of one partition key, by state.
#[derive(Debug)]
pub struct Lists {
    /// By state.
    pub states: Vec<Waiting>,
    /// Whether the key has begun to wait for absences.
    pub started: bool,
    /// No match is too old at a time from the first to the second.
    pub calm: (Millis, Millis),
}

/// The matches that wait at one state.
#[derive(Debug)]
pub struct Waiting {
    /// Those that the next row is shown to.
    pub pending: Queue,
    /// Those that came since, and will be shown to rows after the next.
    pub fresh: VecDeque<Match>,
    /// Whether the empty match was put here once.
    pub initialized: bool,
    /// Whether it still waits for an absence.
    pub active: bool,
    /// Whether an empty match is to be put here again.
    pub restart: bool,
    /// Of an absence: when it is looked at next. Of an absent side: when an event last came.
    pub last: Millis,
}

impl Lists {
    /// Nothing waits; `indexed` says by state whether matches are found by hash.
    pub fn new(indexed: impl Iterator<Item = bool>) -> Lists {
        let states = indexed.map(|indexed| Waiting {
            pending: Queue::new(indexed),
            fresh: VecDeque::new(),
            initialized: false,
            active: true,
            restart: false,
            last: 0,
        });
        Lists { states: states.collect(), started: false, calm: (Millis::MIN, Millis::MAX) }
    }

    /// Narrows the times at which no match is too old.
    #[inline]
    pub fn narrow(&mut self, (first, last): (Millis, Millis), within: Millis) {
        self.calm.0 = self.calm.0.max(last.saturating_sub(within));
        self.calm.1 = self.calm.1.min(first.saturating_add(within));
    }

    /// Whether no match came to a state since the last row, and none is to be put there again.
    #[inline]
    pub fn is_ripe(&self, id: StateId) -> bool {
        self.states[id].fresh.is_empty() && !self.states[id].restart
    }

    /// Whether no match is too old at a time.
    #[inline]
    pub fn is_calm(&self, at: Millis) -> bool {
        self.calm.0 <= at && at <= self.calm.1
    }
}
