//! The link: one connection between the two nodes of a pair, over TCP.
//!
//! A [`Link`] runs among the tasks of the thread that starts it, so that whoever lives there hears
//! and says things without another thread being woken for it. It listens and dials until a
//! connection stands, makes sure of the peer ([`greeting`]), and begins anew whenever the
//! connection ends. What is sent while there is none is dropped: the protocol sends again what
//! matters. What comes is handed to a function; while that works, nothing is read or sent.
//!
//! Messages of the protocol overtake freight (entries, files), and freight is only sent as far as
//! the other end has room: whoever is handed freight is handed a [`Hold`] with it, and the room is
//! given back when that is dropped. So a heartbeat waits for at most one frame, however slowly the
//! other end takes entries.
//!
//! With TLS ([`tls`](crate::ha::tls)) both ends show certificates as well. Without it what travels
//! can be read, and changed by who sits on the way, though nobody without the secret can begin a
//! conversation: the link belongs into a network of its own then.

mod frame;
pub mod freight;
pub mod greeting;
mod keeper;
mod queue;
mod session;
#[cfg(test)]
mod tests;
mod wire;

use crate::ha::link::frame::FrameError;
use crate::ha::link::frame::Kind;
use crate::ha::link::freight::Freight;
use crate::ha::link::keeper::Keeper;
use crate::ha::link::queue::Amount;
use crate::ha::link::queue::Consumed;
use crate::ha::link::queue::Lane;
use crate::ha::link::queue::Queue;
use crate::ha::protocol::Incarnation;
use crate::ha::protocol::Message;
use crate::ha::protocol::NodeId;
use crate::ha::secret::Secret;
use crate::ha::tls::Tls;
use serde::Deserialize;
use serde::Serialize;
use std::io;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tokio::task::spawn_local;
use tracing::error;
use tracing::warn;

/// How much may wait in a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Bytes of frames.
    pub bytes: u64,
    /// Events in them.
    pub events: u64,
}

/// What a node says of itself to its peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Equal at both nodes.
    pub cluster: String,
    /// The node's name; not the peer's.
    pub name: String,
    /// Which of the two; not what the peer is.
    pub node: NodeId,
    /// This life.
    pub incarnation: Incarnation,
    /// What there is room for at this end: for entries, for files.
    pub windows: [Window; 2],
}

/// What a link needs to know.
#[derive(Clone, Debug)]
pub struct LinkSettings {
    /// Who this is.
    pub identity: Identity,
    /// Known to both nodes.
    pub secret: Secret,
    /// By which what travels is encrypted; `None` where it is not.
    pub tls: Option<Tls>,
    /// Where this node listens for the other.
    pub listen: SocketAddr,
    /// Where the other listens: `host:port`.
    pub peer: String,
    /// The longest pause before the peer is dialled again.
    pub reconnect: Duration,
    /// A peer that says nothing for so long, not even that it is there, has gone.
    pub idle: Duration,
    /// What may wait here to be sent, in each lane.
    pub outgoing: Window,
}

/// The peer, as it said of itself; it knows the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Which of the two it is.
    pub node: NodeId,
    /// Its life.
    pub incarnation: Incarnation,
    /// The other end of the connection.
    pub address: SocketAddr,
}

/// What a link tells. Of one connection always: joined, then what came, then lost.
#[derive(Debug)]
pub enum Heard {
    /// A connection stands.
    Joined(Peer),
    /// The peer said something.
    Message(Message),
    /// The peer sent freight. Dropping the hold makes room for more.
    Freight(Freight, Hold),
    /// The connection ended, for this reason; what was not sent is dropped.
    Lost(String),
    /// The peer, or who seems to be it, will not be talked to. Told once until it changes.
    Refused(String),
}

/// Room that freight takes up at this end, until this is dropped.
#[derive(Debug)]
pub struct Hold {
    consumed: Arc<Consumed>,
    lane: Lane,
    amount: Amount,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.consumed.consume(self.lane, self.amount);
    }
}

/// What became of freight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shipped {
    /// It will be sent, if the connection lasts.
    Queued,
    /// There is no room in its lane; it was dropped.
    Full,
    /// There is no connection; it was dropped.
    NoPeer,
}

/// What a link has done since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Messages handed to the kernel.
    pub messages_sent: u64,
    /// Messages dropped since too many waited.
    pub messages_dropped: u64,
    /// Frames of freight handed to the kernel.
    pub freight_sent: u64,
    /// Bytes of them.
    pub freight_bytes_sent: u64,
}

/// The link to the peer. It ends when this is dropped.
#[derive(Debug)]
pub struct Link {
    queue: Arc<Queue>,
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Link {
    /// Listens, and begins to keep a connection among the tasks of this thread, which has to run a
    /// [`LocalSet`]. `hear` is called on this thread.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn start(settings: LinkSettings, hear: impl Fn(Heard) + 'static) -> io::Result<Link> {
        let listener = TcpListener::bind(settings.listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        match &settings.tls {
            None if !address.ip().is_loopback() => warn!(
                listen = %address,
                "what travels between the nodes is not encrypted: only the secret guards the link; \
                 `ha.tls_certificate`, `ha.tls_key` and `ha.tls_authority` encrypt it"
            ),
            None => {}
            Some(tls) => tls.warn_of_doubt(),
        }
        let queue = Arc::new(Queue::new(settings.outgoing));
        let (stop, stopped) = oneshot::channel();
        let waiting = Arc::clone(&queue);
        let hear = move |heard| {
            // The link outlives whoever listens to it.
            if catch_unwind(AssertUnwindSafe(|| hear(heard))).is_err() {
                error!("what the peer said was not handled: the handler panicked");
            }
        };
        spawn_local(async move {
            let listener = tokio::net::TcpListener::from_std(listener)
                .expect("the listener is in order and the runtime looks after sockets");
            let keeper = Keeper::new(settings, waiting, Rc::new(hear));
            // Its tasks end with it, whatever else this thread does.
            let tasks = LocalSet::new();
            let kept = tasks.run_until(async {
                tokio::select! {
                    () = Rc::clone(&keeper).listen(listener) => {}
                    () = Rc::clone(&keeper).dial() => {}
                    _ = stopped => {}
                }
            });
            kept.await;
        });
        Ok(Link { queue, address, _stop: stop })
    }

    /// Where this node listens for the other.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a message ahead of all freight. Says whether there is a connection to send it on; if
    /// too many wait, the oldest is dropped.
    ///
    /// # Errors
    /// It is too long for a frame.
    pub fn send(&self, message: &Message) -> Result<bool, FrameError> {
        if !self.queue.is_open() {
            return Ok(false);
        }
        Ok(self.queue.send(frame::encode(Kind::Message, &[&message.encode()])?))
    }

    /// Sends freight after what waits in its lane. Nothing waits here: what finds no room is
    /// dropped.
    ///
    /// # Errors
    /// It is too long for a frame; entries and files can be sent in smaller pieces.
    pub fn ship(&self, freight: &Freight) -> Result<Shipped, FrameError> {
        if !self.queue.is_open() {
            return Ok(Shipped::NoPeer);
        }
        let lane = match freight {
            Freight::Piece(_) => Lane::Files,
            Freight::Entries(_) | Freight::Confirmed(_) | Freight::Parcel(_) => Lane::Entries,
        };
        Ok(self.queue.ship(lane, freight, freight.encode()?))
    }

    /// Whether it is worth while to ship more entries: less than so many bytes of them are shipped
    /// and not consumed at the other end, as far as it said, and both ends have room.
    pub fn has_room_for_entries(&self, most: u64) -> bool {
        self.queue.has_room(Lane::Entries, most)
    }

    /// Whether entries wait to be sent. Messages sent meanwhile overtake them; later ones do not.
    pub fn entries_wait(&self) -> bool {
        self.queue.waits(Lane::Entries)
    }

    /// What it has done.
    pub fn figures(&self) -> Figures {
        self.queue.figures()
    }
}
