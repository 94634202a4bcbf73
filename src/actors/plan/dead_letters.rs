//! What a plan could not handle, for people: the dead letters that are kept in its state, as this
//! node has applied its log, and the newest of what was only counted.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::actors::clock;
use crate::event::Millis;
use crate::replica::Closed;
use crate::replica::Letter;
use crate::replica::LetterKind;
use crate::replica::LetterNews;
use crate::replica::Letters;

/// What was only counted: so many are shown.
const LETTERS_MAX: usize = 100;
/// Characters shown of a message and of a sample.
pub const CHARACTERS_MAX: usize = 300;

/// Something that was counted and is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// When, in milliseconds since 1970.
    pub at: Millis,
    /// Why, in a word: the `reason` of the metric `dead_letters`.
    pub reason: &'static str,
    /// The stream it was for, or came from.
    pub stream: String,
    /// How many events.
    pub events: usize,
    /// What went wrong.
    pub message: String,
    /// The beginning of it.
    pub sample: String,
}

/// Which letters are meant; what is left out says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// By whom they were put aside.
    pub kind: Option<LetterKind>,
    /// The name of the receiver, publisher or store.
    pub place: Option<String>,
    /// Why, in a word.
    pub reason: Option<String>,
    /// Only those with lower numbers.
    pub before: Option<u64>,
}

/// The sizes of what is kept, and what became of what was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LetterFigures {
    /// Letters that are open.
    pub letters: u64,
    /// Events in them.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Events in letters that were closed.
    pub closed: Closed,
}

/// The dead letters of one plan.
#[derive(Debug, Default)]
pub struct DeadLetters(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    open: BTreeMap<u64, Arc<Letter>>,
    figures: LetterFigures,
    counted: VecDeque<Counted>,
}

impl Filter {
    /// Whether a letter is meant.
    #[must_use]
    pub fn takes(&self, letter: &Letter) -> bool {
        self.kind.is_none_or(|kind| kind == letter.kind)
            && self.place.as_ref().is_none_or(|place| **place == *letter.place)
            && self.reason.as_ref().is_none_or(|reason| **reason == *letter.reason)
    }
}

impl DeadLetters {
    /// Takes note of something that was counted and is not kept, now.
    pub fn count(
        &self,
        reason: &'static str,
        stream: &str,
        events: usize,
        message: &str,
        sample: &str,
    ) {
        let counted = Counted {
            at: clock::now_ms(),
            reason,
            stream: stream.to_owned(),
            events,
            message: shortened(message),
            sample: shortened(sample),
        };
        let mut inner = self.inner();
        if inner.counted.len() == LETTERS_MAX {
            inner.counted.pop_front();
        }
        inner.counted.push_back(counted);
    }

    /// The newest of what was only counted, newest first.
    #[must_use]
    pub fn counted(&self, most: usize) -> Vec<Counted> {
        self.inner().counted.iter().rev().take(most).cloned().collect()
    }

    /// The newest letters that are open and meant, newest first.
    #[must_use]
    pub fn open(&self, filter: &Filter, most: usize) -> Vec<(u64, Arc<Letter>)> {
        let inner = self.inner();
        let before = inner.open.range(..filter.before.unwrap_or(u64::MAX)).rev();
        let meant = before.filter(|(_, letter)| filter.takes(letter)).take(most);
        meant.map(|(number, letter)| (*number, Arc::clone(letter))).collect()
    }

    /// An open letter.
    #[must_use]
    pub fn letter(&self, number: u64) -> Option<Arc<Letter>> {
        self.inner().open.get(&number).map(Arc::clone)
    }

    /// How much is kept.
    #[must_use]
    pub fn figures(&self) -> LetterFigures {
        self.inner().figures
    }

    /// Follows the plan's state.
    pub fn follow(&self, news: Vec<LetterNews>, letters: &Letters) {
        let mut inner = self.inner();
        for news in news {
            match news {
                LetterNews::Came(number, letter) => drop(inner.open.insert(number, letter)),
                LetterNews::Closed(number) => drop(inner.open.remove(&number)),
            }
        }
        inner.figures = figures(letters);
    }

    /// Another state took the place of the plan's.
    pub fn begin(&self, letters: &Letters) {
        let mut inner = self.inner();
        inner.open.clone_from(letters.open());
        inner.figures = figures(letters);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The beginning of a text.
#[must_use]
pub fn shortened(text: &str) -> String {
    text.chars().take(CHARACTERS_MAX).collect()
}

fn figures(letters: &Letters) -> LetterFigures {
    LetterFigures {
        letters: letters.open().len() as u64,
        events: letters.events(),
        bytes: letters.bytes(),
        closed: letters.closed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::Payload;

    #[test]
    fn the_newest_are_shown_and_none_is_long() {
        let letters = DeadLetters::default();
        for n in 0..250 {
            letters.count("publisher", "S", 1, &n.to_string(), &"ä".repeat(1000));
        }
        let shown = letters.counted(1000);
        assert_eq!(shown.len(), LETTERS_MAX);
        assert_eq!((shown[0].message.as_str(), shown[99].message.as_str()), ("249", "150"));
        assert_eq!(shown[0].sample.chars().count(), CHARACTERS_MAX);
        assert_eq!(letters.counted(2).len(), 2);
    }

    fn letter(place: &str) -> Letter {
        Letter {
            at: 1,
            kind: LetterKind::Receiver,
            place: place.into(),
            stream: "In".into(),
            reason: "unreadable".into(),
            message: "no".into(),
            payload: Payload::Message(b"x".to_vec()),
        }
    }

    #[test]
    fn the_state_is_followed_and_filtered() {
        let (view, mut letters) = (DeadLetters::default(), Letters::default());
        for place in ["receiver:A:1", "receiver:B:1", "receiver:A:1"] {
            letters.put(letter(place));
        }
        view.follow(letters.take_news(), &letters);
        let numbers = |filter: &Filter, most| {
            view.open(filter, most).into_iter().map(|(number, _)| number).collect::<Vec<_>>()
        };
        let of_a = Filter { place: Some("receiver:A:1".to_owned()), ..Filter::default() };
        assert_eq!(numbers(&of_a, 9), [3, 1]);
        assert_eq!(numbers(&Filter { before: Some(3), ..Filter::default() }, 1), [2]);
        let of_publishers = Filter { kind: Some(LetterKind::Publisher), ..Filter::default() };
        assert!(numbers(&of_publishers, 9).is_empty());
        letters.close(3, crate::replica::Closing::Discarded);
        view.follow(letters.take_news(), &letters);
        assert!(view.letter(3).is_none() && view.letter(1).is_some());
        assert_eq!((view.figures().letters, view.figures().closed.discarded), (2, 1));
        view.begin(&Letters::default());
        assert!(numbers(&Filter::default(), 9).is_empty());
    }
}
