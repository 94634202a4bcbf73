//! What waits to be sent: messages before freight, freight as far as the peer has room for it.
//!
//! There are three lanes. Messages of the protocol go first, always. Entries (with confirmed
//! results and parcels) and pieces of files take turns, each lane in order. Who receives freight
//! tells, once it was consumed, that there is room again; so the receiving end never stops reading,
//! and a heartbeat is never stuck behind entries that nobody takes.

use crate::ha::link::Figures;
use crate::ha::link::Shipped;
use crate::ha::link::Window;
use crate::ha::link::frame;
use crate::ha::link::frame::Kind;
use crate::ha::link::freight::Freight;
use crate::ha::link::freight::to_bytes;
use serde::Deserialize;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use tokio::sync::Notify;

/// Messages that wait; beyond that the oldest is dropped, since a newer one says more.
const MESSAGES_MAX: usize = 1_024;
/// Bytes of them.
const MESSAGES_BYTES_MAX: usize = 16 << 20;

/// A lane of freight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Lane {
    Entries,
    Files,
}

/// Both lanes, in the order of their indexes.
pub(super) const LANES: [Lane; 2] = [Lane::Entries, Lane::Files];

impl Lane {
    pub(super) fn of(kind: Kind) -> Lane {
        if kind == Kind::Piece { Lane::Files } else { Lane::Entries }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// How much of a lane was sent or consumed on this connection, ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Amount {
    pub bytes: u64,
    pub events: u64,
}

impl Amount {
    fn add(&mut self, other: Amount) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.events = self.events.saturating_add(other.events);
    }

    fn less(self, other: Amount) -> Amount {
        Amount {
            bytes: self.bytes.saturating_sub(other.bytes),
            events: self.events.saturating_sub(other.events),
        }
    }
}

/// What was consumed at this end of one connection, and what the peer was told of it.
#[derive(Debug, Default)]
pub(super) struct Consumed {
    lanes: Mutex<[Consumption; 2]>,
    wake: Arc<Notify>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Consumption {
    received: Amount,
    consumed: Amount,
    told: Amount,
}

impl Consumed {
    pub(super) fn new(wake: Arc<Notify>) -> Consumed {
        Consumed { lanes: Mutex::default(), wake }
    }

    fn lanes(&self) -> MutexGuard<'_, [Consumption; 2]> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that freight arrived. Says whether the peer kept to the window.
    pub(super) fn arrive(&self, lane: Lane, amount: Amount, window: Window) -> bool {
        let mut lanes = self.lanes();
        let lane = &mut lanes[lane.index()];
        let held = lane.received.less(lane.consumed);
        lane.received.add(amount);
        fits(held, amount, window)
    }

    pub(super) fn consume(&self, lane: Lane, amount: Amount) {
        self.lanes()[lane.index()].consumed.add(amount);
        self.wake.notify_one();
    }

    /// A lane whose consumption is worth telling: an eighth of the window; or anything, where it
    /// costs little. So what comes one by one is not told one by one.
    fn news(&self, windows: &[Window; 2], along: bool) -> Option<(Lane, Amount)> {
        let mut lanes = self.lanes();
        for lane in LANES {
            let (state, window) = (&mut lanes[lane.index()], windows[lane.index()]);
            let untold = state.consumed.less(state.told);
            let much = untold.bytes >= window.bytes / 8 || untold.events >= window.events / 8;
            if untold != Amount::default() && (much || along) {
                state.told = state.consumed;
                return Some((lane, state.consumed));
            }
        }
        None
    }

    /// Whether the peer was not told of all that was consumed.
    pub(super) fn is_untold(&self) -> bool {
        self.lanes().iter().any(|lane| lane.consumed != lane.told)
    }
}

/// Whether freight may be sent: it fits, or nothing else is on its way.
fn fits(held: Amount, amount: Amount, window: Window) -> bool {
    held == Amount::default()
        || held.bytes.saturating_add(amount.bytes) <= window.bytes
            && held.events.saturating_add(amount.events) <= window.events
}

/// The queue of one link, over all its connections.
#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    pub wake: Arc<Notify>,
}

#[derive(Debug)]
struct Inner {
    open: bool,
    messages: VecDeque<Vec<u8>>,
    message_bytes: usize,
    lanes: [Waiting; 2],
    /// The lane whose turn it is.
    turn: usize,
    /// What may wait in each lane.
    bound: Window,
    figures: Figures,
}

#[derive(Debug, Default)]
struct Waiting {
    frames: VecDeque<(Vec<u8>, Amount)>,
    waiting: Amount,
    /// What the peer has room for.
    window: Window,
    sent: Amount,
    consumed: Amount,
}

impl Queue {
    pub(super) fn new(bound: Window) -> Queue {
        let inner = Inner {
            open: false,
            messages: VecDeque::new(),
            message_bytes: 0,
            lanes: Default::default(),
            turn: 0,
            bound,
            figures: Figures::default(),
        };
        Queue { inner: Mutex::new(inner), wake: Arc::new(Notify::new()) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection begins: nothing of the one before is sent on it.
    pub(super) fn open(&self, windows: [Window; 2]) {
        let mut inner = self.inner();
        inner.clear();
        inner.open = true;
        for (lane, window) in inner.lanes.iter_mut().zip(windows) {
            lane.window = window;
        }
    }

    /// The connection ended.
    pub(super) fn close(&self) {
        let mut inner = self.inner();
        inner.clear();
        inner.open = false;
    }

    pub(super) fn is_open(&self) -> bool {
        self.inner().open
    }

    /// Whether anything waits in a lane.
    pub(super) fn waits(&self, lane: Lane) -> bool {
        !self.inner().lanes[lane.index()].frames.is_empty()
    }

    /// Whether of a lane less than so many bytes, and than there is room for, wait here, are on
    /// their way or wait at the peer.
    pub(super) fn has_room(&self, lane: Lane, most: u64) -> bool {
        let inner = self.inner();
        let (bound, lane) = (inner.bound, &inner.lanes[lane.index()]);
        let mut held = lane.sent.less(lane.consumed);
        held.add(lane.waiting);
        held == Amount::default()
            || held.bytes < most.min(bound.bytes).min(lane.window.bytes)
                && held.events < bound.events.min(lane.window.events)
    }

    pub(super) fn figures(&self) -> Figures {
        self.inner().figures
    }

    pub(super) fn send(&self, frame: Vec<u8>) -> bool {
        let mut inner = self.inner();
        if !inner.open {
            return false;
        }
        inner.message_bytes += frame.len();
        inner.messages.push_back(frame);
        while inner.messages.len() > MESSAGES_MAX || inner.message_bytes > MESSAGES_BYTES_MAX {
            let dropped = inner.messages.pop_front().expect("too many are not none");
            inner.message_bytes -= dropped.len();
            inner.figures.messages_dropped += 1;
        }
        drop(inner);
        self.wake.notify_one();
        true
    }

    pub(super) fn ship(&self, lane: Lane, freight: &Freight, frame: Vec<u8>) -> Shipped {
        let amount = Amount { bytes: frame.len() as u64, events: freight.events() };
        let mut inner = self.inner();
        if !inner.open {
            return Shipped::NoPeer;
        }
        let bound = inner.bound;
        let waiting = &mut inner.lanes[lane.index()];
        if !fits(waiting.waiting, amount, bound) {
            return Shipped::Full;
        }
        waiting.waiting.add(amount);
        waiting.frames.push_back((frame, amount));
        drop(inner);
        self.wake.notify_one();
        Shipped::Queued
    }

    /// The peer consumed so much of a lane. Says whether that can be.
    pub(super) fn consumed(&self, lane: Lane, amount: Amount) -> bool {
        let mut inner = self.inner();
        let lane = &mut inner.lanes[lane.index()];
        let possible = amount.bytes <= lane.sent.bytes && amount.events <= lane.sent.events;
        lane.consumed = amount;
        drop(inner);
        self.wake.notify_one();
        possible
    }

    /// The next frame to be sent, if there is one that may be. `along` says that it costs little to
    /// tell the peer of what was consumed: other frames are sent with it, or it is late.
    pub(super) fn next(
        &self,
        consumed: &Consumed,
        windows: &[Window; 2],
        along: bool,
    ) -> Option<Vec<u8>> {
        let mut inner = self.inner();
        if let Some(frame) = inner.messages.pop_front() {
            inner.message_bytes -= frame.len();
            inner.figures.messages_sent += 1;
            return Some(frame);
        }
        if let Some(news) = consumed.news(windows, along) {
            let frame = frame::encode(Kind::Credit, &[&to_bytes(&news)]);
            return Some(frame.expect("four numbers are short"));
        }
        for turn in [inner.turn, 1 - inner.turn] {
            let lane = &mut inner.lanes[turn];
            let held = lane.sent.less(lane.consumed);
            if lane.frames.front().is_some_and(|(_, amount)| fits(held, *amount, lane.window)) {
                let (frame, amount) = lane.frames.pop_front().expect("it was looked at");
                lane.waiting = lane.waiting.less(amount);
                lane.sent.add(amount);
                inner.turn = 1 - turn;
                inner.figures.freight_sent += 1;
                inner.figures.freight_bytes_sent += amount.bytes;
                return Some(frame);
            }
        }
        None
    }
}

impl Inner {
    fn clear(&mut self) {
        self.messages.clear();
        self.message_bytes = 0;
        self.lanes = Default::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ha::link::freight::Parcel;
    use crate::ha::link::freight::Piece;
    use crate::ha::protocol::Plan;
    use bytes::Bytes;

    const WIDE: Window = Window { bytes: 1 << 20, events: 1 << 20 };

    fn parcel(size: usize) -> Freight {
        Freight::Parcel(Parcel { channel: 1, bytes: Bytes::from(vec![0; size]) })
    }

    fn piece(size: usize) -> Freight {
        let bytes = Bytes::from(vec![0; size]);
        let (file, length) = ("f".to_owned(), size as u64);
        Freight::Piece(Piece { plan: Plan(1), file, offset: 0, length, bytes })
    }

    fn ship(queue: &Queue, freight: &Freight) -> Shipped {
        let frame = freight.encode().unwrap();
        let head = frame::Head::decode(frame.first_chunk().unwrap()).unwrap();
        queue.ship(Lane::of(head.kind), freight, frame)
    }

    fn kind(frame: &[u8]) -> Kind {
        frame::Head::decode(frame.first_chunk().unwrap()).unwrap().kind
    }

    fn drain(queue: &Queue, consumed: &Consumed) -> Vec<Kind> {
        let next = || queue.next(consumed, &[WIDE; 2], false);
        std::iter::from_fn(next).map(|frame| kind(&frame)).collect()
    }

    #[test]
    fn messages_go_first_and_the_lanes_take_turns() {
        let queue = Queue::new(WIDE);
        queue.open([WIDE; 2]);
        for _ in 0..3 {
            assert_eq!(ship(&queue, &piece(10)), Shipped::Queued);
            assert_eq!(ship(&queue, &parcel(10)), Shipped::Queued);
        }
        assert!(queue.send(frame::encode(Kind::Message, &[b"m"]).unwrap()));
        let (m, p, f) = (Kind::Message, Kind::Parcel, Kind::Piece);
        assert_eq!(drain(&queue, &Consumed::default()), [m, p, f, p, f, p, f]);
    }

    #[test]
    fn a_lane_waits_for_room_at_the_peer_and_holds_up_nothing_else() {
        let narrow = Window { bytes: 150, events: 10 };
        let queue = Queue::new(WIDE);
        let consumed = Consumed::default();
        queue.open([narrow, WIDE]);
        for _ in 0..3 {
            ship(&queue, &parcel(86)); // 100 bytes with head and channel
        }
        ship(&queue, &piece(1));
        assert_eq!(drain(&queue, &consumed), [Kind::Parcel, Kind::Piece]);
        assert!(queue.consumed(Lane::Entries, Amount { bytes: 100, events: 0 }));
        assert_eq!(drain(&queue, &consumed), [Kind::Parcel]);
        assert!(!queue.consumed(Lane::Entries, Amount { bytes: 999, events: 0 }), "never sent");
    }

    #[test]
    fn there_is_room_until_as_much_is_in_flight_as_is_wanted_or_fits() {
        let narrow = Window { bytes: 250, events: 10 };
        let (queue, consumed) = (Queue::new(WIDE), Consumed::default());
        queue.open([narrow, WIDE]);
        assert!(queue.has_room(Lane::Entries, 0), "one may always go");
        ship(&queue, &parcel(86));
        assert!(!queue.has_room(Lane::Entries, 100) && queue.has_room(Lane::Entries, 101));
        assert_eq!(drain(&queue, &consumed), [Kind::Parcel]);
        assert!(!queue.has_room(Lane::Entries, 100), "it is sent, and still in flight");
        ship(&queue, &parcel(86));
        ship(&queue, &parcel(86));
        assert!(!queue.has_room(Lane::Entries, 1_000), "the peer has no more room");
        assert!(queue.consumed(Lane::Entries, Amount { bytes: 100, events: 0 }));
        assert!(queue.has_room(Lane::Entries, 1_000));
        assert!(queue.has_room(Lane::Files, 0), "a lane of its own");
    }

    #[test]
    fn what_is_larger_than_the_window_goes_alone() {
        let queue = Queue::new(WIDE);
        let consumed = Consumed::default();
        queue.open([Window { bytes: 10, events: 1 }, WIDE]);
        ship(&queue, &parcel(100));
        ship(&queue, &parcel(1));
        assert_eq!(drain(&queue, &consumed), [Kind::Parcel]);
        assert!(queue.consumed(Lane::Entries, Amount { bytes: 114, events: 0 }));
        assert_eq!(drain(&queue, &consumed), [Kind::Parcel]);
    }

    #[test]
    fn the_queue_is_bounded_and_a_new_connection_begins_empty() {
        let queue = Queue::new(Window { bytes: 250, events: 10 });
        assert_eq!(ship(&queue, &parcel(1)), Shipped::NoPeer);
        assert!(!queue.send(Vec::new()));
        queue.open([WIDE; 2]);
        assert_eq!(ship(&queue, &parcel(86)), Shipped::Queued);
        assert_eq!(ship(&queue, &parcel(86)), Shipped::Queued);
        assert_eq!(ship(&queue, &parcel(86)), Shipped::Full);
        assert_eq!(ship(&queue, &piece(86)), Shipped::Queued, "a lane of its own");
        for number in 0..=MESSAGES_MAX {
            queue.send(frame::encode(Kind::Message, &[&number.to_le_bytes()]).unwrap());
        }
        assert_eq!(queue.figures().messages_dropped, 1);
        let first = queue.next(&Consumed::default(), &[WIDE; 2], false).unwrap();
        assert!(first.ends_with(&1_usize.to_le_bytes()), "the oldest was dropped");
        queue.close();
        queue.open([WIDE; 2]);
        assert_eq!(drain(&queue, &Consumed::default()), []);
    }

    #[test]
    fn consumption_is_told_when_it_is_worth_it() {
        let windows = [Window { bytes: 800, events: 800 }, WIDE];
        let consumed = Consumed::default();
        let amount = |bytes| Amount { bytes, events: 0 };
        for _ in 0..3 {
            assert!(consumed.arrive(Lane::Entries, amount(60), windows[0]));
        }
        assert!(!consumed.arrive(Lane::Entries, amount(700), windows[0]), "beyond the window");
        consumed.consume(Lane::Entries, amount(60));
        assert_eq!(consumed.news(&windows, false), None);
        consumed.consume(Lane::Entries, amount(60));
        assert_eq!(consumed.news(&windows, false), Some((Lane::Entries, amount(120))));
        assert_eq!(consumed.news(&windows, true), None);
        consumed.consume(Lane::Entries, amount(10));
        assert_eq!(consumed.news(&windows, false), None, "it is little");
        assert!(consumed.is_untold());
        assert_eq!(consumed.news(&windows, true), Some((Lane::Entries, amount(130))));
        assert!(!consumed.is_untold());
    }
}
