//! Topics inside a node: a publisher of one plan speaks, receivers of other plans listen.
//!
//! Each listener has a bounded queue of its own, from the moment its plan is deployed: what is said
//! before it opens waits for it. A message is put to all listeners of its topic or to none, so that
//! a repeat after a full queue doubles nothing, and stays in a queue until the listener says that
//! it is finished with it. Who spoke learns by a receipt whether all are finished, or whether a
//! queue went with it.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crate::event::Batch;
use crate::event::Schema;

/// Events that may wait for one listener.
pub const EVENTS_MAX: usize = 65_536;
/// Bytes that may wait for one listener.
pub const BYTES_MAX: usize = 64 << 20;
/// How long a queue is kept whose listener fell and did not come back.
const ORPHAN_TIME: Duration = Duration::from_secs(60);
/// How long nothing is said at most while plans are still being deployed.
const GATHER_TIME: Duration = Duration::from_secs(60);

/// What is said on a topic.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it says.
    pub content: Content,
    /// Who says it, if the speaker counts what it says.
    pub origin: Option<Origin>,
}

/// What a message says.
#[derive(Clone, Debug)]
pub enum Content {
    /// Rows as they are.
    Rows {
        /// Their attributes.
        schema: Arc<Schema>,
        /// The rows.
        batch: Arc<Batch>,
    },
    /// What a mapper made of rows.
    Bytes(Arc<[u8]>),
}

/// Who says a message, and where it stands in all that is said by that one.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The speaker, the same on both nodes of a pair and after a restart.
    pub producer: Arc<str>,
    /// The number of the message's last row; each is above that of the message before.
    pub last: u64,
    /// By which the speaker learns what becomes of it.
    pub receipt: Arc<Receipt>,
}

/// What became of messages.
#[derive(Debug)]
pub struct Receipt {
    /// So many of them lie in queues.
    open: AtomicUsize,
    /// Whether a queue went with a message of this speaker; nothing more is said until it looks.
    lost: Arc<AtomicBool>,
}

impl Receipt {
    /// Of messages to be said by the speaker that this mark belongs to.
    #[must_use]
    pub fn new(lost: &Arc<AtomicBool>) -> Arc<Self> {
        Arc::new(Self { open: AtomicUsize::new(0), lost: Arc::clone(lost) })
    }

    /// Whether all listeners are finished with it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0 && !self.lost.load(Ordering::Acquire)
    }
}

impl From<Content> for Message {
    fn from(content: Content) -> Self {
        Self { content, origin: None }
    }
}

impl Message {
    fn weight(&self) -> (usize, usize) {
        match &self.content {
            Content::Rows { batch, .. } => (batch.len(), batch.bytes()),
            Content::Bytes(bytes) => (1, bytes.len()),
        }
    }

    /// It lies in one queue more.
    fn lie_down(&self) {
        if let Some(origin) = &self.origin {
            origin.receipt.open.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// One listener is finished with it, or its queue goes.
    fn rise(&self, is_lost: bool) {
        if let Some(origin) = &self.origin {
            if is_lost {
                origin.receipt.lost.store(true, Ordering::Release);
            }
            origin.receipt.open.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn is_after_a_loss(&self) -> bool {
        self.origin.as_ref().is_some_and(|origin| origin.receipt.lost.load(Ordering::Acquire))
    }
}

/// Why nothing was put to a topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nobody listens.
    #[error("nobody listens on topic `{0}`")]
    Nobody(String),
    /// The plans of the node are not all there yet.
    #[error("the plans of the node are still being deployed")]
    Early,
    /// A queue went with messages said before: these must be said again first.
    #[error("a listener left before it was finished with what was said")]
    Lost,
    /// A listener is behind.
    #[error("listener `{listener}` of topic `{topic}` is behind: its queue is full")]
    Full {
        /// The topic.
        topic: String,
        /// Who is behind.
        listener: String,
    },
}

/// The topics of one node; clones are the same topics.
#[derive(Clone, Default)]
pub struct Topics(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    queues: HashMap<String, Vec<Queue>>,
    /// Since when plans are being deployed, while they are.
    gathering: Option<Instant>,
}

struct Queue {
    listener: String,
    /// Number of the first message in it, counted from 1.
    first: u64,
    messages: VecDeque<Message>,
    events: usize,
    bytes: usize,
    /// Calling or dropping it may lead back here: not to be dropped under the lock.
    wake: Option<Box<dyn Fn() + Send>>,
    orphan_since: Option<Instant>,
    /// So many keep it, whether or not somebody listens.
    attendances: usize,
}

impl Queue {
    fn new(listener: &str) -> Queue {
        Queue {
            listener: listener.to_owned(),
            first: 1,
            messages: VecDeque::new(),
            events: 0,
            bytes: 0,
            wake: None,
            orphan_since: None,
            attendances: 0,
        }
    }

    fn has_room(&self, events: usize, bytes: usize) -> bool {
        self.messages.is_empty()
            || self.events + events <= EVENTS_MAX && self.bytes + bytes <= BYTES_MAX
    }

    /// Drops messages up to and with a number.
    fn forget(&mut self, last: u64) {
        while self.first <= last
            && let Some(message) = self.messages.pop_front()
        {
            let (events, bytes) = message.weight();
            self.events -= events;
            self.bytes -= bytes;
            self.first += 1;
            message.rise(false);
        }
    }

    /// Drops all messages unfinished.
    fn lose(&mut self) {
        self.first += self.messages.len() as u64;
        self.messages.drain(..).for_each(|message| message.rise(true));
        (self.events, self.bytes) = (0, 0);
    }

    fn is_stale(&self) -> bool {
        self.orphan_since.is_some_and(|since| since.elapsed() >= ORPHAN_TIME)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.lose();
    }
}

impl State {
    fn queue(&mut self, topic: &str, listener: &str) -> Option<&mut Queue> {
        self.queues.get_mut(topic)?.iter_mut().find(|queue| queue.listener == listener)
    }

    fn queue_or_new(&mut self, topic: &str, listener: &str) -> &mut Queue {
        let queues = self.queues.entry(topic.to_owned()).or_default();
        let at = queues.iter().position(|queue| queue.listener == listener).unwrap_or_else(|| {
            queues.push(Queue::new(listener));
            queues.len() - 1
        });
        &mut queues[at]
    }

    /// Takes a queue out; the caller drops it once the lock is free.
    fn remove(&mut self, topic: &str, listener: &str) -> Option<Queue> {
        let queues = self.queues.get_mut(topic)?;
        let at = queues.iter().position(|queue| queue.listener == listener)?;
        let mut queue = queues.remove(at);
        // Whoever speaks next must see what was lost.
        queue.lose();
        if queues.is_empty() {
            self.queues.remove(topic);
        }
        Some(queue)
    }
}

impl Topics {
    /// No topics yet.
    #[must_use]
    pub fn new() -> Topics {
        Topics::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nothing is said until all who are to listen are there.
    pub fn gather(&self) {
        self.lock().gathering = Some(Instant::now());
    }

    /// All who are to listen at the start are there.
    pub fn gathered(&self) {
        self.lock().gathering = None;
    }

    /// Has a queue for a listener from now on, also while it does not listen.
    #[must_use]
    pub fn attend(&self, topic: &str, name: &str) -> Attendance {
        self.lock().queue_or_new(topic, name).attendances += 1;
        Attendance { topics: self.clone(), topic: topic.to_owned(), name: name.to_owned() }
    }

    /// Listens on a topic, beginning with all that its listener of this name was not finished with.
    /// `wake` is called when something comes.
    pub fn listen(&self, topic: &str, name: &str, wake: impl Fn() + Send + 'static) -> Listener {
        let mut before = None;
        let mut state = self.lock();
        let queue = state.queue_or_new(topic, name);
        std::mem::swap(&mut before, &mut queue.wake);
        queue.wake = Some(Box::new(wake));
        queue.orphan_since = None;
        let handed = queue.first - 1;
        drop(state);
        drop(before);
        let (topic, name) = (topic.to_owned(), name.to_owned());
        Listener { topics: self.clone(), topic, name, handed, has_left: false }
    }

    /// Puts messages to all listeners of a topic, or to none.
    ///
    /// # Errors
    /// If nobody listens, one of the listeners has no room, or what was said before has to be said
    /// again first.
    pub fn say(&self, topic: &str, messages: &[Message]) -> Result<(), Refused> {
        // Dropped after the lock is free.
        let mut gone = Vec::new();
        let mut state = self.lock();
        if state.gathering.is_some_and(|since| since.elapsed() < GATHER_TIME) {
            return Err(Refused::Early);
        }
        let nobody = || Refused::Nobody(topic.to_owned());
        let listeners = state.queues.get(topic).ok_or_else(nobody)?.iter();
        let stale = listeners.filter(|queue| queue.is_stale()).map(|queue| queue.listener.clone());
        for listener in stale.collect::<Vec<_>>() {
            gone.extend(state.remove(topic, &listener));
        }
        if messages.iter().any(Message::is_after_a_loss) {
            return Err(Refused::Lost);
        }
        let queues = state.queues.get_mut(topic).ok_or_else(nobody)?;
        let weights = messages.iter().map(Message::weight);
        let (events, bytes) = weights.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        if let Some(full) = queues.iter().find(|queue| !queue.has_room(events, bytes)) {
            let (topic, listener) = (topic.to_owned(), full.listener.clone());
            return Err(Refused::Full { topic, listener });
        }
        for queue in queues {
            messages.iter().for_each(Message::lie_down);
            queue.messages.extend(messages.iter().cloned());
            queue.events += events;
            queue.bytes += bytes;
            if let Some(wake) = &queue.wake {
                wake();
            }
        }
        Ok(())
    }
}

/// Keeps the queue of one listener, whether or not it listens.
#[derive(Debug)]
pub struct Attendance {
    topics: Topics,
    topic: String,
    name: String,
}

impl Drop for Attendance {
    fn drop(&mut self) {
        let mut gone = None;
        let mut state = self.topics.lock();
        let Some(queue) = state.queue(&self.topic, &self.name) else { return };
        queue.attendances = queue.attendances.saturating_sub(1);
        if queue.attendances == 0 && queue.wake.is_none() {
            gone = state.remove(&self.topic, &self.name);
        }
        drop(state);
        drop(gone);
    }
}

/// The ear of one listener. Dropped without [`Listener::leave`] it leaves its queue, with all that
/// it was not finished with, for the next of its name.
pub struct Listener {
    topics: Topics,
    topic: String,
    name: String,
    /// Number of the last message handed out.
    handed: u64,
    has_left: bool,
}

impl Listener {
    /// The next messages, of about `events_max` events, at least one if there is one. With them
    /// comes the number of the last, and whether more wait.
    pub fn take(&mut self, events_max: usize) -> (Vec<Message>, u64, bool) {
        let mut state = self.topics.lock();
        let Some(queue) = state.queue(&self.topic, &self.name) else {
            return (Vec::new(), self.handed, false);
        };
        let before = usize::try_from(self.handed + 1 - queue.first).unwrap_or(usize::MAX);
        let mut events = 0;
        let mut taken = Vec::new();
        for message in queue.messages.iter().skip(before) {
            let (more, _) = message.weight();
            if !taken.is_empty() && events + more > events_max {
                break;
            }
            events += more;
            taken.push(message.clone());
        }
        self.handed += taken.len() as u64;
        let more = before + taken.len() < queue.messages.len();
        (taken, self.handed, more)
    }

    /// It is finished with all messages up to this number, of those that were handed to it.
    pub fn finish(&self, number: u64) {
        let mut state = self.topics.lock();
        if let Some(queue) = state.queue(&self.topic, &self.name) {
            queue.forget(number.min(self.handed));
        }
    }

    /// How many events wait, those handed out and not finished among them.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let mut state = self.topics.lock();
        state.queue(&self.topic, &self.name).map_or(0, |queue| queue.events)
    }

    /// Ends listening: what it was not finished with is lost to it, and who spoke learns that.
    pub fn leave(mut self) {
        self.has_left = true;
        let (mut gone, mut wake) = (None, None);
        let mut state = self.topics.lock();
        if let Some(queue) = state.queue(&self.topic, &self.name) {
            queue.lose();
            std::mem::swap(&mut wake, &mut queue.wake);
            if queue.attendances == 0 {
                gone = state.remove(&self.topic, &self.name);
            }
        }
        drop(state);
        drop((gone, wake));
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.has_left {
            return;
        }
        let mut wake = None;
        let mut state = self.topics.lock();
        if let Some(queue) = state.queue(&self.topic, &self.name) {
            std::mem::swap(&mut wake, &mut queue.wake);
            queue.orphan_since = Some(Instant::now());
        }
        drop(state);
        drop(wake);
    }
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_set().entries(state.queues.keys()).finish()
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({} on {})", self.name, self.topic)
    }
}

#[cfg(test)]
mod tests;
