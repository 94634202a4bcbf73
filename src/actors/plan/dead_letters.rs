//! What a plan could not handle, kept for people: the newest few, with the reason.
//!
//! All of it is counted in the metrics; this is to look at. Memory is bounded.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::actors::clock;
use crate::event::Millis;

/// Letters kept.
const LETTERS_MAX: usize = 100;
/// Characters kept of a message and of a sample.
const CHARACTERS_MAX: usize = 300;

/// Something that was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// When, in milliseconds since 1970.
    pub at: Millis,
    /// Why, in a word: the `reason` of the metric `dead_letters`.
    pub reason: &'static str,
    /// The stream it was for, or came from.
    pub stream: String,
    /// How many events; 1 for an input that could not be read.
    pub events: usize,
    /// What went wrong.
    pub message: String,
    /// The beginning of it.
    pub sample: String,
}

/// The newest dead letters of one plan.
#[derive(Debug, Default)]
pub struct DeadLetters(Mutex<VecDeque<DeadLetter>>);

impl DeadLetters {
    /// Puts something aside, now.
    pub fn put(
        &self,
        reason: &'static str,
        stream: &str,
        events: usize,
        message: &str,
        sample: &str,
    ) {
        let short = |text: &str| text.chars().take(CHARACTERS_MAX).collect();
        let letter = DeadLetter {
            at: clock::now_ms(),
            reason,
            stream: stream.to_owned(),
            events,
            message: short(message),
            sample: short(sample),
        };
        let mut letters = self.letters();
        if letters.len() == LETTERS_MAX {
            letters.pop_front();
        }
        letters.push_back(letter);
    }

    /// The newest letters, newest first.
    #[must_use]
    pub fn newest(&self, count: usize) -> Vec<DeadLetter> {
        self.letters().iter().rev().take(count).cloned().collect()
    }

    fn letters(&self) -> MutexGuard<'_, VecDeque<DeadLetter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_none_is_long() {
        let letters = DeadLetters::default();
        for n in 0..250 {
            letters.put("unreadable", "S", 1, &n.to_string(), &"ä".repeat(1000));
        }
        let kept = letters.newest(1000);
        assert_eq!(kept.len(), LETTERS_MAX);
        assert_eq!((kept[0].message.as_str(), kept[99].message.as_str()), ("249", "150"));
        assert_eq!(kept[0].sample.chars().count(), CHARACTERS_MAX);
        assert_eq!(letters.newest(2).len(), 2);
    }
}
