//! How many bytes a plan's state takes, counted at moments that follow from its log alone.
//!
//! To count is to go through the state, so it is done after some growth only: of what came, of the
//! rows that are held, or of time, each measured by what was counted before. When that is depends
//! on the log and on nothing else and is part of the state; so the nodes of a pair, and whoever
//! applies the log again, count the same after the same entry.

use crate::event::Millis;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use crate::replica::Body;
use crate::replica::LogEntry;
use crate::replica::Replica;
use crate::replica::apply::Running;

/// A share of what was counted before; so much more may come uncounted.
const SHARE: u64 = 8;
/// Bytes of rows that may always come uncounted.
const BYTES_MIN: u64 = 1 << 20;
/// Rows that may always come to be held uncounted.
const ROWS_MIN: u64 = 10_000;
/// Milliseconds of the log's time for which what was counted is always good enough.
const TIME_MIN: Millis = 1000;
/// Bytes that make it good enough for a millisecond longer.
const PACE: u64 = 1 << 17;

/// What was counted of a plan's state, and what came since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bytes of the state, as a snapshot would hold it.
    bytes: u64,
    /// Rows in windows, tables and pending matches.
    rows: u64,
    /// When that was, by the log's time.
    at: Millis,
    /// Bytes of rows that came since.
    came: u64,
}

impl Tally {
    /// Bytes of the plan's state when it was counted last, as a snapshot would hold them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Rows came; they need not be kept.
    pub(super) fn take(&mut self, bytes: u64) {
        self.came += bytes;
    }

    /// Whether it is time to count, where so many rows are held now.
    pub(super) fn is_due(&self, now: Millis, rows: u64) -> bool {
        self.came >= BYTES_MIN.max(self.bytes / SHARE)
            || rows.saturating_sub(self.rows) >= ROWS_MIN.max(self.rows / SHARE)
            || now >= self.due()
    }

    /// When it is time to count again although nothing comes, by the log's time.
    #[must_use]
    pub fn due(&self) -> Millis {
        let pause = Millis::try_from(self.bytes / PACE).unwrap_or(Millis::MAX);
        self.at.saturating_add(pause.max(TIME_MIN))
    }

    /// It was counted.
    pub(super) fn count(&mut self, now: Millis, bytes: u64, rows: u64) {
        *self = Self { bytes, rows, at: now, came: 0 };
    }
}

/// What an entry means for the count.
pub(super) struct News {
    /// Bytes of rows that it brings.
    came: u64,
    /// Whether it is counted whatever came: another machine takes over, or the nodes are about to
    /// compare their states. So they also agree after states were taken that had no count.
    is_needed: bool,
}

impl News {
    pub(super) fn of(entry: &LogEntry) -> Self {
        let came = match &entry.body {
            Body::Answers(answers) => answers.rows.encoded_bytes(),
            body => body.rows().map_or(0, |(_, batch)| batch.encoded_bytes()),
        };
        Self { came, is_needed: matches!(entry.body, Body::Deploy(_) | Body::Compare) }
    }
}

impl Replica {
    /// What was counted last of the plan's state.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// How many results a publisher was ever given.
    #[must_use]
    pub fn given(&self, publisher: &str) -> u64 {
        self.given.get(publisher).copied().unwrap_or(0)
    }

    /// An entry was applied: counts the state, if it is time to or the entry wants it.
    pub(super) fn count(&mut self, News { came, is_needed }: News) {
        let Some(Running { machine, .. }) = &self.running else { return };
        self.tally.take(came);
        let rows = machine.held() as u64;
        if is_needed || self.tally.is_due(self.now, rows) {
            self.tally.count(self.now, machine.bytes(), rows);
        }
    }
}

impl Encode for Tally {
    fn encode(&self, out: &mut Vec<u8>) {
        ((self.bytes, self.rows), (self.at, self.came)).encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let ((bytes, rows), (at, came)) = Encode::decode(from)?;
        Ok(Self { bytes, rows, at, came })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_when_a_share_of_it_came_or_is_held_or_time_has_passed() {
        let mut tally = Tally::default();
        assert!(tally.is_due(1000, 0), "never counted");
        tally.count(5000, 80 << 20, 800_000);
        assert!(!tally.is_due(5000, 800_000));
        tally.take((10 << 20) - 1);
        assert!(!tally.is_due(5639, 899_999));
        assert!(tally.is_due(5639, 900_000), "an eighth more rows");
        assert!(tally.is_due(6000, 0), "a second");
        tally.take(1);
        assert!(tally.is_due(5639, 0), "an eighth more bytes");
        tally.count(5000, 1 << 30, 0);
        assert_eq!(tally.due(), 5000 + 8192, "what is large is counted seldom");
        tally.take((1 << 27) - 1);
        assert!(!tally.is_due(13_191, 9_999));
        assert!(tally.is_due(13_191, 10_000) && tally.is_due(13_192, 0));
    }

    #[test]
    fn little_is_not_counted_each_time() {
        let mut tally = Tally::default();
        tally.count(0, 100, 1);
        tally.take((1 << 20) - 1);
        assert!(!tally.is_due(999, 10_000));
        assert!(tally.is_due(999, 10_001));
    }
}
