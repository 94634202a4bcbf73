//! Where publishers put what they give up, for the plan's thread to order it.
//!
//! It is apart from the plan's inbox, since the plan may be waiting for the very publisher that
//! gives something up. Each publisher puts in a bounded number and waits until they are safe.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::sync::oneshot;

use crate::actors::plan::Applied;
use crate::actors::plan::Misfit;
use crate::replica::Letter;

/// Told once a letter is safe, or why it is not.
pub type LetterTold = oneshot::Sender<Result<Applied, Misfit>>;

/// Letters that are not ordered yet.
#[derive(Debug, Default)]
pub struct LetterBox(Mutex<VecDeque<(Letter, LetterTold)>>);

impl LetterBox {
    /// Puts a letter in.
    pub fn put(&self, letter: Letter, told: LetterTold) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back((letter, told));
    }

    /// The oldest letter.
    #[must_use]
    pub fn take(&self) -> Option<(Letter, LetterTold)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}
