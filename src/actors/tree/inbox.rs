//! A bounded queue that outlives the actor reading it.
//!
//! It is bounded twice, in events and in bytes; who puts waits until there is room, in the order of
//! asking. What was taken out keeps its room until it is dropped, so that work in progress counts.

use std::fmt;
use std::sync::Arc;

use crossbeam_channel::Receiver;
use crossbeam_channel::Sender;
use tokio::sync::Notify;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::sync::TryAcquireError;

/// Messages that may wait, however small: a message counts as at least this share of the events.
const MESSAGES_MAX: usize = 4096;
/// Bytes are counted in these units, since a semaphore's counts end at 2^32.
const BYTES_UNIT: usize = 64;

/// How much may wait in an inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Events.
    pub events: usize,
    /// Bytes.
    pub bytes: usize,
}

/// What a message weighs.
pub trait Weigh {
    /// How many events it carries; none for a mere question.
    fn events(&self) -> usize;
    /// About how many bytes it takes.
    fn bytes(&self) -> usize;
}

/// Both ends of a bounded queue; clones share it.
pub struct Inbox<T>(Arc<Inner<T>>);

struct Inner<T> {
    sender: Sender<Taken<T>>,
    receiver: Receiver<Taken<T>>,
    limits: Limits,
    events: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    arrived: Notify,
}

/// A message taken out of an inbox; its room is free again once this is dropped.
pub struct Taken<T> {
    /// The message.
    pub message: T,
    events: usize,
    room: Room,
}

/// The room of a message, free again once this is dropped.
#[derive(Debug)]
pub struct Room(#[expect(dead_code, reason = "held for its drop")] [OwnedSemaphorePermit; 2]);

/// Why a message was not taken; it is handed back.
#[derive(Debug, PartialEq, Eq)]
pub enum PutError<T> {
    /// There is no room at present.
    Full(T),
    /// Nothing is taken any more.
    Closed(T),
}

impl<T: Weigh> Inbox<T> {
    /// An empty inbox.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let (sender, receiver) = crossbeam_channel::bounded(MESSAGES_MAX);
        Self(Arc::new(Inner {
            sender,
            receiver,
            limits,
            events: Arc::new(Semaphore::new(limits.events.min(Semaphore::MAX_PERMITS))),
            bytes: Arc::new(Semaphore::new(limits.bytes.div_ceil(BYTES_UNIT))),
            arrived: Notify::new(),
        }))
    }

    /// Puts a message in, waiting for room; a message larger than the inbox waits for all of it.
    ///
    /// # Errors
    /// When the inbox is closed; the message comes back.
    pub async fn put(&self, message: T) -> Result<(), PutError<T>> {
        let (events, bytes) = self.weigh(&message);
        let events_room = Arc::clone(&self.0.events).acquire_many_owned(events).await;
        let bytes_room = Arc::clone(&self.0.bytes).acquire_many_owned(bytes).await;
        match (events_room, bytes_room) {
            (Ok(one), Ok(other)) => {
                self.deliver(message, Room([one, other]));
                Ok(())
            }
            _ => Err(PutError::Closed(message)),
        }
    }

    /// Puts a message in if there is room now.
    ///
    /// # Errors
    /// When there is no room, or the inbox is closed; the message comes back.
    pub fn try_put(&self, message: T) -> Result<(), PutError<T>> {
        let (events, bytes) = self.weigh(&message);
        let room = Arc::clone(&self.0.events).try_acquire_many_owned(events).and_then(|one| {
            Ok(Room([one, Arc::clone(&self.0.bytes).try_acquire_many_owned(bytes)?]))
        });
        match room {
            Ok(room) => {
                self.deliver(message, room);
                Ok(())
            }
            Err(TryAcquireError::NoPermits) => Err(PutError::Full(message)),
            Err(TryAcquireError::Closed) => Err(PutError::Closed(message)),
        }
    }

    fn deliver(&self, message: T, room: Room) {
        let events = message.events();
        let sent = self.0.sender.try_send(Taken { message, events, room });
        assert!(sent.is_ok(), "room for the events is room for the message, see `weigh`");
        self.0.arrived.notify_one();
    }

    fn weigh(&self, message: &T) -> (u32, u32) {
        let Limits { events, bytes } = self.0.limits;
        let least = events.div_ceil(MESSAGES_MAX).max(1);
        let events = message.events().clamp(least, events.max(least));
        let bytes = message.bytes().min(bytes).div_ceil(BYTES_UNIT);
        let fit = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        (fit(events), fit(bytes))
    }
}

impl<T> Inbox<T> {
    /// The oldest message, if there is one.
    #[must_use]
    pub fn take(&self) -> Option<Taken<T>> {
        self.0.receiver.try_recv().ok()
    }

    /// Waits until a message may be there; for one reader.
    pub async fn arrived(&self) {
        if self.0.receiver.is_empty() {
            self.0.arrived.notified().await;
        }
    }

    /// Wakes the reader, also where nothing arrived.
    pub fn nudge(&self) {
        self.0.arrived.notify_one();
    }

    /// Messages that wait.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.0.receiver.len()
    }

    /// Room taken, in events, by what waits and what is being worked on.
    #[must_use]
    pub fn events(&self) -> usize {
        self.0.limits.events.saturating_sub(self.0.events.available_permits())
    }

    /// Whether it holds as much as half of what it may.
    #[must_use]
    pub fn is_half_full(&self) -> bool {
        let bytes = self.0.limits.bytes.div_ceil(BYTES_UNIT);
        self.events() * 2 >= self.0.limits.events || self.0.bytes.available_permits() * 2 <= bytes
    }

    /// Takes nothing more; who waits to put gets its message back, what is inside stays.
    pub fn close(&self) {
        self.0.events.close();
        self.0.bytes.close();
        self.0.arrived.notify_one();
    }

    /// Whether [`Inbox::close`] was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.events.is_closed()
    }
}

impl<T> Taken<T> {
    /// The message apart from its room.
    pub fn split(self) -> (T, Room) {
        (self.message, self.room)
    }

    /// How many events the message carries.
    #[must_use]
    pub fn events(&self) -> usize {
        self.events
    }
}

impl<T> Clone for Inbox<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Inbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("messages", &self.messages()).finish_non_exhaustive()
    }
}

impl<T: fmt::Debug> fmt::Debug for Taken<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Load(usize, usize);

    impl Weigh for Load {
        fn events(&self) -> usize {
            self.0
        }
        fn bytes(&self) -> usize {
            self.1
        }
    }

    fn inbox() -> Inbox<Load> {
        Inbox::new(Limits { events: 10, bytes: 1024 })
    }

    #[test]
    fn it_is_bounded_in_events_and_in_bytes() {
        let inbox = inbox();
        inbox.try_put(Load(6, 64)).unwrap();
        assert_eq!(inbox.try_put(Load(5, 64)), Err(PutError::Full(Load(5, 64))));
        inbox.try_put(Load(4, 64)).unwrap();
        assert_eq!((inbox.events(), inbox.messages()), (10, 2));
        let first = inbox.take().unwrap();
        assert_eq!(inbox.try_put(Load(1, 64)), Err(PutError::Full(Load(1, 64))), "still worked on");
        drop(first);
        inbox.try_put(Load(1, 64)).unwrap();
        assert_eq!(inbox.try_put(Load(1, 1000)), Err(PutError::Full(Load(1, 1000))));
    }

    #[test]
    fn it_is_bounded_in_messages_too() {
        let inbox = Inbox::new(Limits { events: 100_000, bytes: 1 << 30 });
        let mut taken = 0;
        while inbox.try_put(Load(0, 0)).is_ok() {
            taken += 1;
        }
        assert!((1000..=MESSAGES_MAX).contains(&taken), "{taken}");
    }

    #[test]
    fn a_message_larger_than_the_inbox_gets_all_of_it() {
        let inbox = inbox();
        inbox.try_put(Load(1000, 1 << 20)).unwrap();
        assert_eq!(inbox.try_put(Load(1, 1)), Err(PutError::Full(Load(1, 1))));
        assert_eq!(inbox.take().unwrap().message, Load(1000, 1 << 20));
        inbox.try_put(Load(1, 1)).unwrap();
    }

    #[actix::test]
    async fn who_puts_into_a_full_inbox_waits_for_room() {
        let inbox = inbox();
        inbox.put(Load(10, 0)).await.unwrap();
        let waiting = actix::spawn({
            let inbox = inbox.clone();
            async move { inbox.put(Load(3, 0)).await }
        });
        inbox.arrived().await;
        assert_eq!(inbox.take().unwrap().message, Load(10, 0));
        assert_eq!(waiting.await.unwrap(), Ok(()));
        inbox.arrived().await;
        assert_eq!(inbox.take().unwrap().message, Load(3, 0));
    }

    #[actix::test]
    async fn a_closed_inbox_hands_back_but_keeps_what_it_has() {
        let inbox = inbox();
        inbox.put(Load(10, 0)).await.unwrap();
        let waiting = actix::spawn({
            let inbox = inbox.clone();
            async move { inbox.put(Load(3, 0)).await }
        });
        tokio::task::yield_now().await;
        inbox.close();
        assert_eq!(waiting.await.unwrap(), Err(PutError::Closed(Load(3, 0))));
        assert_eq!(inbox.try_put(Load(1, 1)), Err(PutError::Closed(Load(1, 1))));
        assert_eq!(inbox.take().unwrap().message, Load(10, 0));
        assert!(inbox.is_closed() && inbox.take().is_none());
    }
}
