//! Topics inside a node: a publisher of one plan speaks, receivers of other plans listen.
//!
//! Each listener has a bounded queue of its own. A message is put to all listeners of its topic or
//! to none, so that a repeat after a full queue doubles nothing. A listener that falls finds its
//! queue again by its name, and what it had taken but not finished lies in it still.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use crate::event::Batch;
use crate::event::Schema;

/// Events that may wait for one listener.
pub const EVENTS_MAX: usize = 65_536;
/// Bytes that may wait for one listener.
pub const BYTES_MAX: usize = 64 << 20;
/// How long a queue without its listener is kept.
const ORPHAN_TIME: Duration = Duration::from_secs(60);

/// What is said on a topic.
#[derive(Clone, Debug)]
pub enum Message {
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

impl Message {
    fn weight(&self) -> (usize, usize) {
        match self {
            Message::Rows { batch, .. } => (batch.len(), batch.bytes()),
            Message::Bytes(bytes) => (1, bytes.len()),
        }
    }
}

/// Why nothing was put to a topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nobody listens.
    #[error("nobody listens on topic `{0}`")]
    Nobody(String),
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
pub struct Topics(Arc<Mutex<HashMap<String, Vec<Queue>>>>);

struct Queue {
    listener: String,
    /// Number of the first message in it, counted from 1.
    first: u64,
    messages: VecDeque<Message>,
    events: usize,
    bytes: usize,
    wake: Option<Box<dyn Fn() + Send>>,
    orphan_since: Option<Instant>,
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
        }
    }

    fn has_room(&self, events: usize, bytes: usize) -> bool {
        self.messages.is_empty()
            || self.events + events <= EVENTS_MAX && self.bytes + bytes <= BYTES_MAX
    }

    /// Drops messages up to and with a number.
    fn forget(&mut self, last: u64) {
        while self.first <= last {
            let Some(message) = self.messages.pop_front() else {
                self.first = last + 1;
                return;
            };
            let (events, bytes) = message.weight();
            self.events -= events;
            self.bytes -= bytes;
            self.first += 1;
        }
    }
}

impl Topics {
    /// No topics yet.
    #[must_use]
    pub fn new() -> Topics {
        Topics::default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Queue>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens on a topic. A listener of this name that left without [`Listener::leave`] goes on
    /// where it was: after message `seen`, if that is known. `wake` is called when something comes.
    pub fn listen(
        &self,
        topic: &str,
        name: &str,
        seen: Option<u64>,
        wake: impl Fn() + Send + 'static,
    ) -> Listener {
        let mut topics = self.lock();
        let queues = topics.entry(topic.to_owned()).or_default();
        let at = queues.iter().position(|queue| queue.listener == name).unwrap_or_else(|| {
            queues.push(Queue::new(name));
            queues.len() - 1
        });
        let queue = &mut queues[at];
        queue.forget(seen.unwrap_or(0));
        queue.wake = Some(Box::new(wake));
        queue.orphan_since = None;
        let (topic, name) = (topic.to_owned(), name.to_owned());
        Listener { topics: self.clone(), topic, name, handed: seen.unwrap_or(0) }
    }

    /// Puts messages to all listeners of a topic, or to none.
    ///
    /// # Errors
    /// If nobody listens, or one of the listeners has no room.
    pub fn say(&self, topic: &str, messages: &[Message]) -> Result<(), Refused> {
        let mut topics = self.lock();
        let nobody = || Refused::Nobody(topic.to_owned());
        let queues = topics.get_mut(topic).ok_or_else(nobody)?;
        queues.retain(|queue| queue.orphan_since.is_none_or(|since| since.elapsed() < ORPHAN_TIME));
        if queues.is_empty() {
            return Err(nobody());
        }
        let weights = messages.iter().map(Message::weight);
        let (events, bytes) = weights.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        if let Some(full) = queues.iter().find(|queue| !queue.has_room(events, bytes)) {
            let (topic, listener) = (topic.to_owned(), full.listener.clone());
            return Err(Refused::Full { topic, listener });
        }
        for queue in queues {
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

/// The ear of one listener. Dropped without [`Listener::leave`] it leaves its queue for the next of
/// its name.
pub struct Listener {
    topics: Topics,
    topic: String,
    name: String,
    /// Number of the last message handed out.
    handed: u64,
}

impl Listener {
    /// Messages of about `events_max` events, at least one if there is one. Those of the call
    /// before count as finished now. With them comes the number of the last, and whether more wait.
    pub fn take(&mut self, events_max: usize) -> (Vec<Message>, u64, bool) {
        let mut topics = self.topics.lock();
        let queues = topics.get_mut(&self.topic);
        let Some(queue) =
            queues.and_then(|queues| queues.iter_mut().find(|queue| queue.listener == self.name))
        else {
            return (Vec::new(), self.handed, false);
        };
        queue.forget(self.handed);
        let mut events = 0;
        let mut taken = Vec::new();
        for message in &queue.messages {
            let (more, _) = message.weight();
            if !taken.is_empty() && events + more > events_max {
                break;
            }
            events += more;
            taken.push(message.clone());
        }
        self.handed = queue.first + taken.len() as u64 - 1;
        let more = taken.len() < queue.messages.len();
        (taken, self.handed, more)
    }

    /// How many events wait, those handed out and not finished among them.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let topics = self.topics.lock();
        let queues = topics.get(&self.topic).into_iter().flatten();
        queues.filter(|queue| queue.listener == self.name).map(|queue| queue.events).sum()
    }

    /// Ends listening: the queue goes, with what waits in it.
    pub fn leave(self) {
        let mut topics = self.topics.lock();
        if let Some(queues) = topics.get_mut(&self.topic) {
            queues.retain(|queue| queue.listener != self.name);
            if queues.is_empty() {
                topics.remove(&self.topic);
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut topics = self.topics.lock();
        for queue in topics.get_mut(&self.topic).into_iter().flatten() {
            if queue.listener == self.name {
                queue.wake = None;
                queue.orphan_since = Some(Instant::now());
            }
        }
    }
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topics = self.lock();
        f.debug_set().entries(topics.keys()).finish()
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({} on {})", self.name, self.topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;

    fn bytes(text: &str) -> Message {
        Message::Bytes(text.as_bytes().into())
    }

    fn texts(messages: &[Message]) -> Vec<String> {
        let text = |message: &Message| match message {
            Message::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            Message::Rows { .. } => panic!("no bytes"),
        };
        messages.iter().map(text).collect()
    }

    #[test]
    fn every_listener_hears_every_message_once_and_in_order() {
        let topics = Topics::new();
        let woken = Arc::new(AtomicUsize::new(0));
        let wake = Arc::clone(&woken);
        let mut left = topics.listen("t", "left", None, move || {
            wake.fetch_add(1, Ordering::Relaxed);
        });
        let mut right = topics.listen("t", "right", None, || {});
        topics.say("t", &[bytes("a"), bytes("b")]).unwrap();
        topics.say("t", &[bytes("c")]).unwrap();
        assert_eq!(woken.load(Ordering::Relaxed), 2);
        let (messages, mark, more) = left.take(2);
        assert_eq!((texts(&messages), mark, more), (vec!["a".into(), "b".into()], 2, true));
        let (messages, mark, more) = left.take(2);
        assert_eq!((texts(&messages), mark, more), (vec!["c".into()], 3, false));
        assert!(left.take(2).0.is_empty());
        assert_eq!(texts(&right.take(9).0), ["a", "b", "c"]);
    }

    #[test]
    fn who_falls_goes_on_where_it_was() {
        let topics = Topics::new();
        let mut listener = topics.listen("t", "l", None, || {});
        topics.say("t", &[bytes("a"), bytes("b"), bytes("c")]).unwrap();
        let (_, mark, _) = listener.take(1);
        listener.take(1);
        drop(listener);
        topics.say("t", &[bytes("d")]).unwrap();
        // Only `a` was finished.
        let mut listener = topics.listen("t", "l", Some(mark), || {});
        assert_eq!(texts(&listener.take(9).0), ["b", "c", "d"]);
        listener.leave();
        assert_eq!(topics.say("t", &[bytes("e")]), Err(Refused::Nobody("t".into())));
    }

    #[test]
    fn a_full_queue_refuses_for_all() {
        let topics = Topics::new();
        let mut fast = topics.listen("t", "fast", None, || {});
        let mut slow = topics.listen("t", "slow", None, || {});
        let batch = Batch { timestamps: vec![0; EVENTS_MAX], ..Batch::default() };
        let full = Message::Rows { schema: Arc::new(Schema::default()), batch: Arc::new(batch) };
        topics.say("t", std::slice::from_ref(&full)).unwrap();
        fast.take(9);
        fast.take(9);
        let refused = Refused::Full { topic: "t".into(), listener: "slow".into() };
        assert_eq!(topics.say("t", &[bytes("a")]), Err(refused));
        assert!(fast.take(9).0.is_empty());
        slow.take(9);
        slow.take(9);
        topics.say("t", &[bytes("a")]).unwrap();
        assert_eq!(texts(&fast.take(9).0), ["a"]);
        assert_eq!(slow.waiting(), 1);
    }
}
