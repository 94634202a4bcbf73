//! Keeps one connection to the peer: listens, dials, greets, settles which one, begins anew.

use crate::ha::link::Heard;
use crate::ha::link::LinkSettings;
use crate::ha::link::Peer;
use crate::ha::link::greeting;
use crate::ha::link::greeting::GreetingError;
use crate::ha::link::greeting::Hello;
use crate::ha::link::greeting::Origin;
use crate::ha::link::queue::Queue;
use crate::ha::link::session::Session;
use crate::ha::link::wire;
use crate::ha::link::wire::Wire;
use crate::ha::protocol::Incarnation;
use crate::ha::protocol::NodeId;
use socket2::SockRef;
use std::cell::Cell;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::task::spawn_local;
use tokio::time::sleep;
use tokio::time::timeout;
use tracing::debug;
use tracing::info;
use tracing::warn;

/// Who has not greeted within this time is cut off; also the time to connect.
const GREETING_TIME: Duration = Duration::from_secs(5);
/// Greetings of callers under way at once; more are closed.
const GREETINGS_MAX: usize = 8;
/// Different troubles remembered as told.
const TOLD_MAX: usize = 32;
/// First pause before the peer is dialled again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The kernel holds at most so many bytes that are not on their way yet, so that a message is not
/// stuck behind what was sent before it.
const UNSENT_BYTES_MAX: u32 = 128 << 10;

/// Lives on one thread; nothing here is shared with another but the queue.
pub(super) struct Keeper {
    settings: LinkSettings,
    queue: Arc<Queue>,
    hear: Rc<dyn Fn(Heard)>,
    current: RefCell<Option<Current>>,
    /// The newest life of the peer that proved itself.
    newest: Cell<Option<Incarnation>>,
    /// The number of the newest connection, as node A counts.
    settled: Cell<u64>,
    greetings: Cell<usize>,
    /// The connection came or went.
    changed: Notify,
    /// The troubles told since there was a connection, so that each is told once.
    told: RefCell<BTreeSet<String>>,
}

struct Current {
    number: u64,
    task: AbortHandle,
}

/// A greeting under way, counted until it ends.
struct Greeting<'a>(&'a Cell<usize>);

impl Drop for Greeting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Keeper {
    pub(super) fn new(
        settings: LinkSettings,
        queue: Arc<Queue>,
        hear: Rc<dyn Fn(Heard)>,
    ) -> Rc<Keeper> {
        Rc::new(Keeper {
            settings,
            queue,
            hear,
            current: RefCell::default(),
            newest: Cell::default(),
            settled: Cell::default(),
            greetings: Cell::default(),
            changed: Notify::new(),
            told: RefCell::default(),
        })
    }

    /// Takes calls for as long as it is let.
    pub(super) async fn listen(self: Rc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, from)) if self.greetings.get() < GREETINGS_MAX => {
                    self.greetings.set(self.greetings.get() + 1);
                    let keeper = Rc::clone(&self);
                    spawn_local(async move {
                        let counted = Greeting(&keeper.greetings);
                        let greeted = keeper.greet(stream, Origin::Accepted).await;
                        drop(counted);
                        if let Err(error) = greeted {
                            keeper.tell(from, &error);
                        }
                    });
                }
                Ok((_, from)) => debug!(%from, "too many callers at once; this one is closed"),
                Err(error) => {
                    // Out of files, as a rule; looking again at once would only burn the processor.
                    warn!(%error, "a connection of the peer could not be accepted");
                    sleep(FIRST_PAUSE).await;
                }
            }
        }
    }

    /// Dials whenever there is no connection, for as long as it is let.
    pub(super) async fn dial(self: Rc<Self>) {
        let mut pause = FIRST_PAUSE;
        loop {
            if self.queue.is_open() {
                pause = FIRST_PAUSE;
                self.changed.notified().await;
                continue;
            }
            if let Err(error) = self.dial_once().await {
                self.tell(&self.settings.peer, &error);
            }
            if self.queue.is_open() {
                continue;
            }
            // A connection of the other's making ends the pause.
            let _ = timeout(pause, self.changed.notified()).await;
            pause = (pause * 2).min(self.settings.reconnect);
        }
    }

    async fn dial_once(self: &Rc<Self>) -> Result<(), GreetingError> {
        let connect = TcpStream::connect(self.settings.peer.as_str());
        let stream = timeout(GREETING_TIME, connect).await.map_err(|_| late())??;
        self.greet(stream, Origin::Dialled).await
    }

    async fn greet(
        self: &Rc<Self>,
        stream: TcpStream,
        origin: Origin,
    ) -> Result<(), GreetingError> {
        let address = stream.peer_addr()?;
        stream.set_nodelay(true)?;
        #[cfg(target_os = "linux")]
        SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
        let me = &self.settings.identity;
        let greeting = async {
            let newest = self.newest.get();
            let secret = &self.settings.secret;
            let tls = self.settings.tls.as_ref();
            let mut wire = wire::open(stream, origin, tls, &self.settings.peer).await?;
            let hello = greeting::greet(&mut wire, origin, me, secret, newest).await?;
            // Node A counts the connections; node B hears the number.
            let number = match me.node {
                NodeId::A => {
                    let number = self.settled.get() + 1;
                    self.settled.set(number);
                    greeting::settle(&mut wire, number).await?;
                    number
                }
                NodeId::B => greeting::settled(&mut wire).await?,
            };
            Ok::<_, GreetingError>((wire, hello, number))
        };
        let greeted = timeout(GREETING_TIME, greeting).await.map_err(|_| late())?;
        let (wire, hello, number) = greeted.map_err(GreetingError::explained)?;
        self.adopt(wire, address, hello, number);
        Ok(())
    }

    /// Takes this connection in place of the one there is, unless that one is newer.
    fn adopt(self: &Rc<Self>, wire: Wire, address: SocketAddr, hello: Hello, number: u64) {
        let same_life = self.newest.get() == Some(hello.incarnation);
        if self.newest.get() > Some(hello.incarnation) {
            return;
        }
        if let Some(current) = self.current.take() {
            if same_life && current.number > number {
                self.current.replace(Some(current));
                return;
            }
            current.task.abort();
            // As a rule both have dialled at once: nothing is wrong.
            let reason = "a newer connection takes its place";
            debug!("a connection to the peer ends: {reason}");
            self.end(reason);
        }
        self.newest.set(Some(hello.incarnation));
        self.told.borrow_mut().clear();
        self.queue.open(hello.windows);
        let Hello { name, node, incarnation, .. } = hello;
        info!(peer = name, %address, %incarnation, "the peer is connected");
        (self.hear)(Heard::Joined(Peer { name, node, incarnation, address }));
        let session = Session {
            queue: Arc::clone(&self.queue),
            hear: Rc::clone(&self.hear),
            windows: self.settings.identity.windows,
            idle: self.settings.idle,
        };
        let keeper = Rc::clone(self);
        let task = spawn_local(async move {
            let ended = session.run(wire).await;
            keeper.current.take();
            keeper.lost(&ended.to_string());
            keeper.changed.notify_waiters();
        });
        self.current.replace(Some(Current { number, task: task.abort_handle() }));
        self.changed.notify_waiters();
    }

    fn lost(&self, reason: &str) {
        warn!("the link to the peer is lost: {reason}");
        self.end(reason);
    }

    fn end(&self, reason: &str) {
        self.queue.close();
        (self.hear)(Heard::Lost(reason.to_owned()));
    }

    /// Tells a trouble, once until a connection comes about.
    fn tell(&self, with: impl std::fmt::Display, error: &GreetingError) {
        let trouble = error.to_string();
        let mut told = self.told.borrow_mut();
        if told.len() >= TOLD_MAX {
            told.clear();
        }
        if !told.insert(trouble.clone()) {
            debug!("no link with {with}: {trouble}");
            return;
        }
        drop(told);
        if matches!(error, GreetingError::Refused(_) | GreetingError::RefusedByPeer(_)) {
            warn!("no link with {with}: {trouble}");
            (self.hear)(Heard::Refused(trouble));
        } else {
            info!("no link with {with} yet: {trouble}");
        }
    }
}

fn late() -> GreetingError {
    GreetingError::Io(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))
}
