//! A live tail: the body of an answer that goes on as events come, as server-sent events.
//!
//! Nothing is queued for a follower: it holds a number and reads on from there when its connection
//! can take more, so a slow one costs nothing and learns how many events it missed.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use actix_web::body::BodySize;
use actix_web::body::MessageBody;
use actix_web::web::Bytes;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::actors::plan::Station;
use crate::actors::plan::Tail;
use crate::http::events;
use crate::http::events::Place;

/// Events written at once.
const EVENTS_MAX: usize = 256;
/// How often it is looked whether the plan is still there.
const LOOK: Duration = Duration::from_secs(1);
/// After this many quiet looks a comment is sent, so that nobody takes the connection for dead.
const QUIET_LOOKS: usize = 10;

/// One who follows a stream.
pub struct Follower {
    tail: Arc<Tail>,
    /// The stream's name.
    stream: String,
    station: Arc<Station>,
    closing: watch::Receiver<bool>,
    place: Place,
    begun: bool,
    ended: bool,
    quiet: usize,
    _seat: Seat,
}

/// One of a bounded number of followers.
pub struct Seat(Arc<AtomicUsize>);

impl Seat {
    /// Takes a seat; `None` when all are taken.
    pub fn take(taken: &Arc<AtomicUsize>, seats: usize) -> Option<Self> {
        let more = |count| (count < seats).then_some(count + 1);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(Arc::clone(taken)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Follower {
    /// One who follows from a place on, until the plan or the node (`closing`) ends.
    pub fn new(
        (tail, stream): (Arc<Tail>, String),
        station: Arc<Station>,
        closing: watch::Receiver<bool>,
        place: Place,
        seat: Seat,
    ) -> Self {
        let (begun, ended, quiet) = (false, false, 0);
        Self { tail, stream, station, closing, place, begun, ended, quiet, _seat: seat }
    }

    /// The next piece of the body; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.begun {
            self.begun = true;
            return Some(Bytes::from_static(b"retry: 1000\n\n"));
        }
        loop {
            if self.ended || *self.closing.borrow() {
                return None;
            }
            if let Some(piece) = self.piece() {
                self.quiet = 0;
                return Some(piece);
            }
            if self.station.inbox.is_closed() {
                self.ended = true;
                return Some(Bytes::from_static(
                    b"event: end\ndata: {\"reason\":\"plan ended\"}\n\n",
                ));
            }
            let Place::After(last) = self.place else {
                continue;
            };
            tokio::select! {
                () = self.tail.beyond(last) => {}
                // An error means that the node has ended, which the next turn sees as well.
                _ = self.closing.changed() => {}
                () = sleep(LOOK) => {
                    self.quiet += 1;
                    if self.quiet >= QUIET_LOOKS {
                        self.quiet = 0;
                        return Some(Bytes::from_static(b": nothing new\n\n"));
                    }
                }
            }
        }
    }

    /// What there is to tell at present, if anything.
    fn piece(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        let label = self.tail.label();
        let last = match self.place {
            Place::After(last) => last,
            Place::Elsewhere => {
                out.extend_from_slice(b"event: gap\ndata: {\"missed\":null}\n\n");
                0
            }
        };
        let found = self.tail.after(last, EVENTS_MAX);
        if found.missed > 0 && out.is_empty() {
            let id = events::id(label, last + found.missed);
            let gap = format!("id: {id}\nevent: gap\ndata: {{\"missed\":{}}}\n\n", found.missed);
            out.extend_from_slice(gap.as_bytes());
        }
        events::write_stream(label, &found, self.station.left(&self.stream), &mut out);
        self.place = Place::After(found.last);
        (!out.is_empty()).then(|| out.into())
    }
}

type Turn = Pin<Box<dyn Future<Output = (Follower, Option<Bytes>)>>>;

/// What a follower is told, as the body of an answer.
pub struct Told(Option<Turn>);

impl Told {
    /// The body for a follower.
    pub fn to(follower: Follower) -> Self {
        Self(Some(Box::pin(turn(follower))))
    }
}

async fn turn(mut follower: Follower) -> (Follower, Option<Bytes>) {
    let piece = follower.next().await;
    (follower, piece)
}

impl MessageBody for Told {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let Some(turn_at_hand) = &mut self.0 else {
            return Poll::Ready(None);
        };
        match turn_at_hand.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready((follower, Some(piece))) => {
                self.0 = Some(Box::pin(turn(follower)));
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready((_, None)) => {
                self.0 = None;
                Poll::Ready(None)
            }
        }
    }
}
