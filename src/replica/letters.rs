//! Dead letters: what could not be handled, kept in the plan's state until it is taken up again.
//!
//! They are part of the state because everything else about them follows: they survive what the
//! plan survives, both nodes of a pair have the same, and taking one up is an entry like any other.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::pieces::Pieces;
use crate::engine::state::LoadError;
use crate::event::Batch;
use crate::event::Millis;
use crate::event::Text;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;

/// Bytes that a letter counts besides its payload.
const LETTER_BYTES: usize = 128;

/// By whom something was put aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LetterKind {
    /// A receiver could not read it as events.
    Receiver,
    /// A publisher could not carry it.
    Publisher,
    /// A store did not take it.
    Store,
    /// The plan could not process it.
    Plan,
}

/// What could not be handled.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// When it was put aside, in milliseconds since 1970.
    pub at: Millis,
    /// By whom.
    pub kind: LetterKind,
    /// Its name in the plan: of a receiver, a publisher or a store; of the plan, the stream's.
    pub place: Text,
    /// The stream it was for, or came from.
    pub stream: Text,
    /// Why, in a word: the `reason` of the metric `dead_letters`.
    pub reason: Text,
    /// Why, in a sentence.
    pub message: Text,
    /// What was put aside.
    pub payload: Payload,
}

/// What was put aside.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// A message as it came.
    Message(Vec<u8>),
    /// Rows of a stream.
    Rows {
        /// The number of the first among all that its publisher was given; 0 where no publisher
        /// was.
        first: u64,
        /// The names of the stream's attributes.
        names: Vec<Text>,
        /// The rows.
        batch: Arc<Batch>,
    },
}

/// How much is kept at most; the oldest go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Letters.
    pub letters: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// How long one is kept, in milliseconds.
    pub age: Millis,
}

/// How a letter was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// It was taken up again.
    Replayed,
    /// Somebody decided that it is not needed.
    Discarded,
    /// It was the oldest when there was no room, or was too old.
    Expired,
}

/// What changed among the letters.
#[derive(Clone, Debug, PartialEq)]
pub enum LetterNews {
    /// A letter came, under this number.
    Came(u64, Arc<Letter>),
    /// A letter was closed.
    Closed(u64),
}

/// Events in letters that were closed, since the plan was first deployed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// Taken up again.
    pub replayed: u64,
    /// Not needed.
    pub discarded: u64,
    /// Gone for want of room, or of age.
    pub expired: u64,
}

/// The letters of one plan.
#[derive(Clone, Debug, Default)]
pub struct Letters {
    open: BTreeMap<u64, Arc<Letter>>,
    /// Bytes and events of those.
    bytes: u64,
    events: u64,
    /// The number of the last letter; the first is 1.
    given: u64,
    bounds: Bounds,
    /// The number of the last result of each publisher that stands in a letter.
    aside: BTreeMap<Text, u64>,
    closed: Closed,
    /// What nobody has asked for yet; no part of the state.
    news: Vec<LetterNews>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { letters: 10_000, bytes: 16 << 20, age: 30 * 24 * 3_600_000 }
    }
}

impl LetterKind {
    /// All, by the number that stands for each in bytes.
    pub const ALL: [Self; 4] = [Self::Receiver, Self::Publisher, Self::Store, Self::Plan];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Receiver => "receiver",
            Self::Publisher => "publisher",
            Self::Store => "store",
            Self::Plan => "plan",
        }
    }
}

impl Letter {
    /// The events in it; 1 for a message that could not be read.
    #[must_use]
    pub fn events(&self) -> u64 {
        match &self.payload {
            Payload::Message(_) => 1,
            Payload::Rows { batch, .. } => batch.len() as u64,
        }
    }

    /// The room it takes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let payload = match &self.payload {
            Payload::Message(message) => message.len(),
            Payload::Rows { names, batch, .. } => {
                batch.bytes() + names.iter().map(|name| name.len()).sum::<usize>()
            }
        };
        LETTER_BYTES + self.message.len() + payload
    }
}

impl Letters {
    /// Those that are open, by number.
    #[must_use]
    pub fn open(&self) -> &BTreeMap<u64, Arc<Letter>> {
        &self.open
    }

    /// Bytes of those that are open.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Events in those that are open.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// What became of the others.
    #[must_use]
    pub fn closed(&self) -> Closed {
        self.closed
    }

    /// The number of the last result of each publisher that was put aside.
    #[must_use]
    pub fn aside(&self) -> &BTreeMap<Text, u64> {
        &self.aside
    }

    /// What changed since somebody asked last.
    pub fn take_news(&mut self) -> Vec<LetterNews> {
        std::mem::take(&mut self.news)
    }

    /// How much is kept.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// From now on so much is kept.
    pub fn bind(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// Keeps a letter; `false` if all its results stand in letters already.
    pub fn put(&mut self, mut letter: Letter) -> bool {
        if let Payload::Rows { first, batch, .. } = &mut letter.payload
            && *first > 0
        {
            let (place, last) = (letter.place.clone(), *first + batch.len() as u64 - 1);
            let aside = self.aside.entry(place).or_default();
            if last <= *aside {
                return false;
            }
            if *first <= *aside {
                let known = usize::try_from(*aside + 1 - *first).unwrap_or(usize::MAX);
                let mut rest = batch.empty_like(batch.len() - known);
                rest.extend(batch, known, batch.len());
                (*first, *batch) = (*aside + 1, Arc::new(rest));
            }
            *aside = last;
        }
        self.given += 1;
        if letter.bytes() as u64 > self.bounds.bytes || self.bounds.letters == 0 {
            // It alone is too much; the others need not go for it.
            self.closed.expired += letter.events();
            return true;
        }
        let letter = Arc::new(letter);
        self.bytes += letter.bytes() as u64;
        self.events += letter.events();
        self.news.push(LetterNews::Came(self.given, Arc::clone(&letter)));
        self.open.insert(self.given, letter);
        while self.open.len() as u64 > self.bounds.letters || self.bytes > self.bounds.bytes {
            let Some((oldest, _)) = self.open.first_key_value() else { break };
            self.close(*oldest, Closing::Expired);
        }
        true
    }

    /// Closes a letter; `None` if it is not open.
    pub fn close(&mut self, number: u64, closing: Closing) -> Option<Arc<Letter>> {
        let letter = self.open.remove(&number)?;
        self.bytes -= letter.bytes() as u64;
        self.events -= letter.events();
        *match closing {
            Closing::Replayed => &mut self.closed.replayed,
            Closing::Discarded => &mut self.closed.discarded,
            Closing::Expired => &mut self.closed.expired,
        } += letter.events();
        self.news.push(LetterNews::Closed(number));
        Some(letter)
    }

    /// Writes them piece by piece, a letter at a time: one may be all that the bounds allow.
    ///
    /// # Errors
    /// What `put` says.
    pub fn write<E>(&self, mut put: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        put(&(self.open.len() as u32).to_le_bytes())?;
        let mut bytes = Vec::new();
        for (number, letter) in &self.open {
            bytes.clear();
            number.encode(&mut bytes);
            letter.encode(&mut bytes);
            put(&bytes)?;
        }
        bytes.clear();
        self.given.encode(&mut bytes);
        self.bounds.encode(&mut bytes);
        let aside: Vec<_> = self.aside.iter().map(|(of, last)| (of.clone(), *last)).collect();
        aside.encode(&mut bytes);
        let Closed { replayed, discarded, expired } = self.closed;
        [replayed, discarded, expired].iter().for_each(|count| count.encode(&mut bytes));
        put(&bytes)
    }

    /// Those that [`Letters::write`] wrote.
    ///
    /// # Errors
    /// If the bytes are damaged or do not come.
    pub fn read(from: &mut Pieces) -> Result<Self, LoadError> {
        let mut letters = Self::default();
        for _ in 0..from.get::<u32>()? {
            let (number, letter): (u64, Letter) = (from.get()?, from.get()?);
            letters.bytes += letter.bytes() as u64;
            letters.events += letter.events();
            letters.open.insert(number, Arc::new(letter));
        }
        letters.given = from.get()?;
        letters.bounds = from.get()?;
        letters.aside = from.get::<Vec<_>>()?.into_iter().collect();
        letters.closed =
            Closed { replayed: from.get()?, discarded: from.get()?, expired: from.get()? };
        Ok(letters)
    }

    /// Closes those that are too old.
    pub fn expire(&mut self, now: Millis) {
        while let Some((oldest, letter)) = self.open.first_key_value()
            && now.saturating_sub(letter.at) > self.bounds.age
        {
            self.close(*oldest, Closing::Expired);
        }
    }
}

impl Encode for LetterKind {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        Self::ALL.get(usize::from(u8::decode(from)?)).copied().ok_or(Malformed)
    }
}

impl Encode for Payload {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Message(message) => {
                out.push(0);
                message.encode(out);
            }
            Self::Rows { first, names, batch } => {
                out.push(1);
                first.encode(out);
                names.encode(out);
                Batch::encode(batch, out);
            }
        }
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        match u8::decode(from)? {
            0 => Ok(Self::Message(Vec::decode(from)?)),
            1 => Ok(Self::Rows {
                first: u64::decode(from)?,
                names: Vec::decode(from)?,
                batch: Arc::new(Batch::decode(from)?),
            }),
            _ => Err(Malformed),
        }
    }
}

impl Encode for Letter {
    fn encode(&self, out: &mut Vec<u8>) {
        self.at.encode(out);
        self.kind.encode(out);
        [&self.place, &self.stream, &self.reason, &self.message]
            .into_iter()
            .for_each(|text| text.encode(out));
        self.payload.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let letter = Self {
            at: Millis::decode(from)?,
            kind: LetterKind::decode(from)?,
            place: Text::decode(from)?,
            stream: Text::decode(from)?,
            reason: Text::decode(from)?,
            message: Text::decode(from)?,
            payload: Payload::decode(from)?,
        };
        // A letter of no rows is none, and its numbers would go backwards.
        if letter.events() == 0 { Err(Malformed) } else { Ok(letter) }
    }
}

impl Encode for Bounds {
    fn encode(&self, out: &mut Vec<u8>) {
        self.letters.encode(out);
        self.bytes.encode(out);
        self.age.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let (letters, bytes) = (u64::decode(from)?, u64::decode(from)?);
        Ok(Self { letters, bytes, age: Millis::decode(from)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DataType;
    use crate::event::Value;
    use std::convert::Infallible;

    fn message(at: Millis, length: usize) -> Letter {
        Letter {
            at,
            kind: LetterKind::Receiver,
            place: "receiver:In:1".into(),
            stream: "In".into(),
            reason: "unreadable".into(),
            message: "".into(),
            payload: Payload::Message(vec![b'x'; length]),
        }
    }

    fn results(first: u64, values: &[i64]) -> Letter {
        let mut batch = Batch::new(&[DataType::Long]);
        values.iter().for_each(|value| batch.push_row(1, &[Value::Long(*value)]));
        let (names, batch) = (vec!["n".into()], Arc::new(batch));
        let payload = Payload::Rows { first, names, batch };
        let (kind, place) = (LetterKind::Publisher, "publisher:Out:1".into());
        Letter { kind, place, payload, ..message(1, 0) }
    }

    fn open(letters: &Letters) -> Vec<u64> {
        letters.open().keys().copied().collect()
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_or_they_are_too_large_or_too_old() {
        let mut letters = Letters::default();
        letters.bind(Bounds { letters: 3, bytes: 2000, age: 100 });
        (0..5).for_each(|at| assert!(letters.put(message(at, 10))));
        assert_eq!(open(&letters), [3, 4, 5]);
        letters.put(message(5, 1700));
        assert_eq!(open(&letters), [5, 6], "two went to make room");
        letters.put(message(6, 5000));
        assert_eq!(open(&letters), [5, 6], "what alone is too much drives out nobody");
        letters.expire(104);
        assert_eq!(open(&letters), [5, 6], "not older than allowed");
        letters.expire(105);
        assert_eq!(open(&letters), [6]);
        assert_eq!(letters.closed().expired, 6);
        letters.expire(1000);
        assert_eq!((letters.bytes(), letters.events(), open(&letters)), (0, 0, vec![]));
        assert_eq!(letters.closed().expired, 7, "all seven that came");
    }

    #[test]
    fn a_result_stands_in_one_letter_only() {
        let mut letters = Letters::default();
        assert!(letters.put(results(1, &[10, 20])));
        assert!(!letters.put(results(1, &[10, 20])), "said again");
        assert!(letters.put(results(2, &[20, 30])), "the one half is new");
        let Payload::Rows { first, batch, .. } = &letters.open()[&2].payload else { panic!() };
        assert_eq!((*first, batch.row(0)), (3, vec![Value::Long(30)]));
        assert_eq!((letters.events(), letters.aside()["publisher:Out:1"]), (3, 3));
        letters.close(1, Closing::Replayed).unwrap();
        assert!(letters.close(1, Closing::Replayed).is_none(), "only once");
        letters.close(2, Closing::Discarded).unwrap();
        assert_eq!(letters.closed(), Closed { replayed: 2, discarded: 1, expired: 0 });
        assert!(!letters.put(results(3, &[30])), "also when the letter is closed");
    }

    #[test]
    fn letters_come_back_from_their_bytes() {
        let mut letters = Letters::default();
        letters.bind(Bounds { letters: 9, bytes: 9999, age: 7 });
        letters.put(message(4, 3));
        letters.put(results(8, &[1, 2]));
        letters.close(1, Closing::Discarded);
        let written = |letters: &Letters| {
            let mut bytes = Vec::new();
            let put = |piece: &[u8]| {
                bytes.extend_from_slice(piece);
                Ok::<(), Infallible>(())
            };
            let Ok(()) = letters.write(put);
            bytes
        };
        let bytes = written(&letters);
        let again = Letters::read(&mut Pieces::of(&bytes[..])).unwrap();
        assert_eq!(bytes, written(&again));
        assert_eq!((again.bytes(), again.events()), (letters.bytes(), 2));
        assert_eq!((again.open(), again.bounds), (letters.open(), letters.bounds));
        for end in 0..bytes.len() {
            assert!(Letters::read(&mut Pieces::of(&bytes[..end])).is_err(), "{end}");
        }
    }

    #[test]
    fn news_are_told_once() {
        let mut letters = Letters::default();
        letters.put(message(1, 1));
        letters.close(1, Closing::Discarded);
        let came = LetterNews::Came(1, Arc::new(message(1, 1)));
        assert_eq!(letters.take_news(), [came, LetterNews::Closed(1)]);
        assert!(letters.take_news().is_empty());
    }
}
