//! The newest events of a stream, in bounded memory, for looking back and for following live.
//!
//! Events are numbered as the plan's log counts them, also across versions and restarts, and on
//! both nodes of a pair alike: a follower may go on at the other node, with the same ids. A
//! follower keeps no queue here: it holds a number and reads on from it, and is told how many
//! events it missed when it was too slow. So followers cost nothing and cannot hold up a plan.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use crate::event::Batch;
use crate::event::Schema;

/// How much a tail keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailLimits {
    /// Events.
    pub events: usize,
    /// Bytes.
    pub bytes: usize,
}

/// The newest events of one stream.
#[derive(Debug)]
pub struct Tail {
    limits: TailLimits,
    label: AtomicI64,
    ring: Mutex<Ring>,
    latest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    pieces: VecDeque<Piece>,
    events: usize,
    bytes: usize,
    /// The number of the newest event; 0 before the first.
    latest: u64,
}

/// Some events in a row.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The number of the first one.
    pub first: u64,
    /// The attributes.
    pub schema: Arc<Schema>,
    /// Holds the events.
    pub batch: Arc<Batch>,
    /// Where they are in the batch.
    pub rows: Range<usize>,
}

/// What a look into a tail found.
#[derive(Debug, Clone, Default)]
pub struct Events {
    /// How many events were asked for that are kept no longer.
    pub missed: u64,
    /// The events, oldest first.
    pub pieces: Vec<Piece>,
    /// The number of the last one, or of the one asked to read on from; where to read on.
    pub last: u64,
}

impl Tail {
    /// An empty tail.
    #[must_use]
    pub fn new(limits: TailLimits) -> Self {
        let ring = Mutex::new(Ring::default());
        Self { limits, label: AtomicI64::new(0), ring, latest: watch::Sender::new(0) }
    }

    /// Tells this tail from that of a plan of the same name before, whose numbers meant other
    /// events.
    #[must_use]
    pub fn label(&self) -> i64 {
        self.label.load(Ordering::Acquire)
    }

    /// From now on its events are named so.
    pub fn set_label(&self, label: i64) {
        self.label.store(label, Ordering::Release);
    }

    /// Goes on after so many events, which are not kept here.
    pub fn begin(&self, passed: u64) {
        let mut ring = self.ring();
        if ring.latest != passed {
            *ring = Ring { latest: passed, ..Ring::default() };
            drop(ring);
            self.latest.send_replace(passed);
        }
    }

    /// Whether it keeps anything at all.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.limits.events > 0
    }

    /// Takes in the next events; the oldest leave. `first` is the number of the first one.
    pub fn push(&self, first: u64, schema: &Arc<Schema>, batch: &Arc<Batch>) {
        let mut ring = self.ring();
        if first != ring.latest + 1 {
            // What was kept does not lead up to these.
            *ring = Ring { latest: first.saturating_sub(1), ..Ring::default() };
        }
        ring.latest += batch.len() as u64;
        ring.add(Piece::newest(first, schema, batch, self.limits.events));
        while ring.overflows(self.limits) {
            ring.drop_oldest();
        }
        let latest = ring.latest;
        drop(ring);
        self.latest.send_replace(latest);
    }

    /// The newest events, at most `count`.
    #[must_use]
    pub fn newest(&self, count: usize) -> Events {
        let ring = self.ring();
        let kept = u64::try_from(ring.events.min(count)).unwrap_or(u64::MAX);
        ring.after(ring.latest.saturating_sub(kept), count)
    }

    /// The events after the one with this number, oldest first, at most `count`.
    #[must_use]
    pub fn after(&self, number: u64, count: usize) -> Events {
        self.ring().after(number, count)
    }

    /// The number of the newest event; 0 before the first.
    #[must_use]
    pub fn latest(&self) -> u64 {
        self.ring().latest
    }

    /// Waits until there is an event after the one with this number.
    pub async fn beyond(&self, number: u64) {
        let mut latest = self.latest.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = latest.wait_for(|latest| *latest > number).await;
    }

    /// Every change leaves a whole ring, so a panic elsewhere does no harm here.
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn add(&mut self, piece: Piece) {
        self.events += piece.rows.len();
        self.bytes += piece.batch.bytes();
        self.pieces.push_back(piece);
    }

    /// Whether the oldest piece is more than what must be kept.
    fn overflows(&self, limits: TailLimits) -> bool {
        let Some(oldest) = self.pieces.front() else {
            return false;
        };
        self.events - oldest.rows.len() >= limits.events.max(1) || self.bytes > limits.bytes
    }

    fn drop_oldest(&mut self) {
        if let Some(piece) = self.pieces.pop_front() {
            self.events -= piece.rows.len();
            self.bytes -= piece.batch.bytes();
        }
    }

    fn after(&self, number: u64, count: usize) -> Events {
        let wanted = number.min(self.latest) + 1;
        let oldest = self.pieces.front().map_or(self.latest + 1, |piece| piece.first);
        let from = wanted.max(oldest);
        let mut events =
            Events { missed: from - wanted, pieces: Vec::new(), last: from.saturating_sub(1) };
        let mut room = count;
        let start = self.pieces.partition_point(|piece| piece.end() <= from);
        for piece in self.pieces.range(start..) {
            if room == 0 {
                break;
            }
            let piece = piece.cut(from, room);
            room -= piece.rows.len();
            events.last = piece.end() - 1;
            events.pieces.push(piece);
        }
        events
    }
}

impl Piece {
    /// The whole batch, or its newest rows when it is longer than what is kept anyway.
    fn newest(first: u64, schema: &Arc<Schema>, batch: &Arc<Batch>, events_max: usize) -> Self {
        let schema = Arc::clone(schema);
        if batch.len() <= events_max.max(1) {
            return Self { first, schema, batch: Arc::clone(batch), rows: 0..batch.len() };
        }
        let start = batch.len() - events_max.max(1);
        let mut newest = Batch::new(&schema.types());
        newest.extend(batch, start, batch.len());
        let rows = 0..newest.len();
        Self { first: first + start as u64, schema, batch: Arc::new(newest), rows }
    }

    /// The number after the last event.
    fn end(&self) -> u64 {
        self.first + self.rows.len() as u64
    }

    /// From the event with number `from` on, at most `count`.
    fn cut(&self, from: u64, count: usize) -> Self {
        let skip = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let start = (self.rows.start + skip).min(self.rows.end);
        let end = self.rows.end.min(start + count);
        let first = self.first + (start - self.rows.start) as u64;
        Self { first, rows: start..end, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DataType;
    use crate::event::Value;

    fn schema() -> Arc<Schema> {
        Arc::new(Schema::new([("n", DataType::Long)]))
    }

    fn push(tail: &Tail, values: Range<i64>) {
        let mut batch = Batch::new(&[DataType::Long]);
        values.for_each(|n| batch.push_row(n, &[Value::Long(n)]));
        tail.push(tail.latest() + 1, &schema(), &Arc::new(batch));
    }

    fn tail(events: usize) -> Tail {
        Tail::new(TailLimits { events, bytes: 1 << 20 })
    }

    fn show(events: &Events) -> (u64, Vec<(u64, i64)>, u64) {
        let rows = events.pieces.iter().flat_map(|piece| {
            let numbers = piece.first..;
            numbers.zip(piece.rows.clone().map(|row| piece.batch.timestamps[row]))
        });
        (events.missed, rows.collect(), events.last)
    }

    #[test]
    fn it_gives_the_newest_and_forgets_the_oldest() {
        let tail = tail(4);
        assert_eq!(show(&tail.newest(10)), (0, vec![], 0));
        push(&tail, 1..3);
        push(&tail, 3..6);
        assert_eq!(show(&tail.newest(2)), (0, vec![(4, 4), (5, 5)], 5));
        push(&tail, 6..8);
        assert_eq!(show(&tail.newest(9)).1.first(), Some(&(3, 3)), "whole batches leave");
        push(&tail, 8..100);
        assert_eq!(show(&tail.newest(2)), (0, vec![(98, 98), (99, 99)], 99));
        assert_eq!(tail.newest(1000).pieces.iter().map(|p| p.rows.len()).sum::<usize>(), 4);
    }

    #[test]
    fn a_reader_goes_on_where_it_was_and_learns_what_it_missed() {
        let tail = tail(3);
        push(&tail, 1..4);
        assert_eq!(show(&tail.after(1, 1)), (0, vec![(2, 2)], 2));
        assert_eq!(show(&tail.after(2, 10)), (0, vec![(3, 3)], 3));
        assert_eq!(show(&tail.after(3, 10)), (0, vec![], 3));
        push(&tail, 4..7);
        assert_eq!(show(&tail.after(1, 10)), (2, vec![(4, 4), (5, 5), (6, 6)], 6));
        assert_eq!(show(&tail.after(99, 10)), (0, vec![], 6), "a number of the future");
    }

    #[test]
    fn memory_is_bounded_in_bytes() {
        let tail = Tail::new(TailLimits { events: 1000, bytes: 100 });
        for n in 0..100 {
            push(&tail, n..n + 1);
        }
        let kept: usize = tail.newest(1000).pieces.iter().map(|piece| piece.batch.bytes()).sum();
        assert!((1..=100).contains(&kept), "{kept}");
    }

    #[actix::test]
    async fn a_follower_is_woken_by_the_next_event() {
        let tail = Arc::new(tail(10));
        push(&tail, 1..3);
        tail.beyond(1).await;
        let waiting = actix::spawn({
            let tail = Arc::clone(&tail);
            async move {
                tail.beyond(2).await;
                tail.after(2, 10).last
            }
        });
        tokio::task::yield_now().await;
        push(&tail, 3..4);
        assert_eq!(waiting.await.unwrap(), 3);
    }
}
