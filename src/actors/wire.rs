//! The way from a plan's thread to the other node of the pair, and to the pair's own thread.
//!
//! The link lives as long as the HA manager's present life; without one everything is as if the
//! other node could not be reached.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use actix::Message;
use actix::Recipient;
use bytes::Bytes;
use serde::Deserialize;
use serde::Serialize;
use tracing::error;

use crate::actors::pair::Tell;
use crate::actors::plan::Reply;
use crate::actors::plan::Stamp;
use crate::ha::link::Link;
use crate::ha::link::Shipped;
use crate::ha::link::freight::Freight;
use crate::ha::link::freight::Parcel;
use crate::ha::protocol::Plan;

/// Parcels that are to be ordered.
pub const FORWARDS: u16 = 1;
/// Parcels that say what became of such.
pub const REPLIES: u16 = 2;

/// Parcels that ask whether all before them has come.
pub const FENCES: u16 = 3;
/// Such parcels on their way back.
pub const FENCES_BACK: u16 = 4;

/// Parcels that tell the fingerprint of a state.
pub const FINGERPRINTS: u16 = 5;
/// Parcels that ask for a snapshot, since the states differ.
pub const RESYNCS: u16 = 6;

/// Parcels that say which results are known to have left.
pub const KNOWN: u16 = 7;

/// The pair's thread is to look at a plan's log.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Look(pub Plan);

/// A forwarded entry that is shorter is copied. Frames that come together lie in one block of at
/// least 64 KiB, and an entry that waits to be ordered would keep all of it.
const COPIED_BYTES: usize = 16 << 10;

/// The way to the other node.
#[derive(Default)]
pub struct Wire {
    link: Mutex<Option<Arc<Link>>>,
    pair: Mutex<Option<Recipient<Look>>>,
    manager: Mutex<Option<Recipient<Tell>>>,
    incarnation: AtomicU64,
}

/// What stands before an entry that is forwarded.
#[derive(Debug, Serialize, Deserialize)]
struct ForwardHead {
    plan: Plan,
    stamp: Stamp,
    /// The lowest number that is not answered.
    first: u64,
}

impl Wire {
    /// The link and the pair's thread from now on, in this life.
    pub fn set(
        &self,
        incarnation: u64,
        link: Arc<Link>,
        pair: Recipient<Look>,
        manager: Recipient<Tell>,
    ) {
        self.incarnation.store(incarnation, Ordering::Release);
        *lock(&self.link) = Some(link);
        *lock(&self.pair) = Some(pair);
        *lock(&self.manager) = Some(manager);
    }

    /// There is no link and no pair's thread any more.
    pub fn clear(&self) {
        *lock(&self.link) = None;
        *lock(&self.pair) = None;
        *lock(&self.manager) = None;
    }

    /// The life of this node in the pair.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::Acquire)
    }

    /// Tells the pair's thread something.
    pub fn tell(&self, tell: Tell) {
        if let Some(pair) = &*lock(&self.manager) {
            pair.do_send(tell);
        }
    }

    /// Calls the pair's attention to a log.
    pub fn look(&self, plan: Plan) {
        if let Some(pair) = &*lock(&self.pair) {
            pair.do_send(Look(plan));
        }
    }

    /// Sends freight, if there is room and a peer.
    pub fn ship(&self, freight: &Freight) -> Shipped {
        let link = lock(&self.link).clone();
        let Some(link) = link else { return Shipped::NoPeer };
        link.ship(freight).unwrap_or_else(|error| {
            error!(%error, "what was to go to the other node is too long");
            Shipped::NoPeer
        })
    }

    /// Forwards an entry to be ordered.
    pub fn forward(
        &self,
        plan: Plan,
        stamp: Stamp,
        first: u64,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Shipped {
        let mut bytes = to_bytes(&ForwardHead { plan, stamp, first });
        encode(&mut bytes);
        self.ship(&Freight::Parcel(Parcel { channel: FORWARDS, bytes: bytes.into() }))
    }

    /// Answers what was forwarded. What finds no room is asked for again.
    pub fn reply(&self, reply: &Reply) {
        let bytes = to_bytes(reply).into();
        self.ship(&Freight::Parcel(Parcel { channel: REPLIES, bytes }));
    }
}

/// An entry that the other node forwarded, for which plan, under which stamp and above which lowest
/// number that is not answered; `None` if the bytes are none.
#[must_use]
pub fn read_forward(bytes: &Bytes) -> Option<(Plan, Stamp, u64, Bytes)> {
    let head: (ForwardHead, &[u8]) = postcard::take_from_bytes(bytes).ok()?;
    let (ForwardHead { plan, stamp, first }, rest) = head;
    let is_short = rest.len() < COPIED_BYTES;
    let entry = if is_short { Bytes::copy_from_slice(rest) } else { bytes.slice_ref(rest) };
    Some((plan, stamp, first, entry))
}

/// The other node's answer; `None` if the bytes are none.
#[must_use]
pub fn read_reply(bytes: &Bytes) -> Option<Reply> {
    postcard::from_bytes(bytes).ok()
}

fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("plain values always have a form")
}

/// Only whole assignments are made.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_entry_that_waits_does_not_keep_the_block_it_came_in() {
        let stamp = Stamp { incarnation: 1, stint: 2, number: 3 };
        for (length, is_copied) in [(0, true), (100, true), (COPIED_BYTES, false)] {
            let mut frame = to_bytes(&ForwardHead { plan: Plan(7), stamp, first: 2 });
            frame.resize(frame.len() + length, b'e');
            let frame = Bytes::from(frame);
            let (plan, of, first, entry) = read_forward(&frame).unwrap();
            assert_eq!((plan, of, first), (Plan(7), stamp, 2));
            assert_eq!(entry, vec![b'e'; length]);
            let lies_in_it = frame.as_ptr_range().contains(&entry.as_ptr());
            assert_eq!(lies_in_it, !is_copied, "{length} bytes");
        }
    }
}
