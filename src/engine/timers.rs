//! Deadlines of operators, in the one order in which they fire.
//!
//! Timers fire in order of due time; at equal due time in order of the plan's text, then of the
//! first appearance of the partition key.

use crate::event::Millis;
use crate::event::Slot;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// One deadline. The fields stand in the order by which timers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// When it fires.
    pub due: Millis,
    /// The operator to wake; ids rise in order of the plan's text.
    pub operator: u32,
    /// When the partition key first appeared, as a count.
    pub birth: u64,
    /// The partition key to wake.
    pub slot: Slot,
}

/// All deadlines of a plan. The same deadline set twice fires once.
#[derive(Clone, Debug, Default)]
pub struct Timers {
    heap: BinaryHeap<Reverse<Timer>>,
}

impl Timers {
    /// Sets a deadline.
    pub fn set(&mut self, timer: Timer) {
        self.heap.push(Reverse(timer));
    }

    /// Takes all timers out.
    pub fn drain(&mut self) -> impl Iterator<Item = Timer> + '_ {
        self.heap.drain().map(|Reverse(timer)| timer)
    }

    /// The earliest deadline.
    #[inline]
    pub fn next_due(&self) -> Option<Millis> {
        self.heap.peek().map(|Reverse(timer)| timer.due)
    }

    /// Takes the first timer that is due at or before `now`.
    pub fn take_due(&mut self, now: Millis) -> Option<Timer> {
        let Reverse(first) = *self.heap.peek()?;
        if first.due > now {
            return None;
        }
        while self.heap.peek() == Some(&Reverse(first)) {
            self.heap.pop();
        }
        Some(first)
    }
}

impl Encode for Timers {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut timers: Vec<Timer> = self.heap.iter().map(|Reverse(timer)| *timer).collect();
        timers.sort_unstable();
        timers.dedup();
        (timers.len() as u32).encode(out);
        for timer in timers {
            (timer.due, timer.operator).encode(out);
            (timer.birth, timer.slot).encode(out);
        }
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let mut timers = Timers::default();
        for _ in 0..u32::decode(from)? {
            let (due, operator) = <(Millis, u32)>::decode(from)?;
            let (birth, slot) = <(u64, Slot)>::decode(from)?;
            timers.set(Timer { due, operator, birth, slot });
        }
        Ok(timers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_in_order_and_once() {
        let mut timers = Timers::default();
        let timer = |due, operator, birth| Timer { due, operator, birth, slot: 0 };
        for each in [timer(5, 2, 0), timer(5, 1, 9), timer(3, 7, 0), timer(5, 1, 4), timer(5, 1, 4)]
        {
            timers.set(each);
        }
        let mut bytes = Vec::new();
        timers.encode(&mut bytes);
        let mut read = Timers::decode(&mut bytes.as_slice()).expect("own bytes");
        let fired: Vec<Timer> = std::iter::from_fn(|| read.take_due(5)).collect();
        assert_eq!(fired, [timer(3, 7, 0), timer(5, 1, 4), timer(5, 1, 9), timer(5, 2, 0)]);
        assert_eq!(timers.take_due(2), None);
    }
}
