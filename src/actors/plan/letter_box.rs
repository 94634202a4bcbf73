//! Where publishers put what they give up or were answered, for the plan's thread to order it.
//!
//! It is apart from the plan's inbox, since the plan may be waiting for the very publisher that
//! gives something up. Each publisher puts in a bounded number and waits until they are safe.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::sync::oneshot;

use crate::actors::plan::Applied;
use crate::actors::plan::Misfit;
use crate::plan::answers::Answers;
use crate::replica::Letter;

/// Told once a letter is safe, or why it is not.
pub type LetterTold = oneshot::Sender<Result<Applied, Misfit>>;

/// What a publisher brings to the plan's log.
#[derive(Debug)]
pub enum Posted {
    /// A dead letter.
    Letter(Letter),
    /// What an external table was found to hold.
    Answers(Arc<Answers>),
}

/// What is not ordered yet.
#[derive(Debug, Default)]
pub struct LetterBox(Mutex<VecDeque<(Posted, LetterTold)>>);

impl LetterBox {
    /// Puts something in.
    pub fn put(&self, letter: Posted, told: LetterTold) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back((letter, told));
    }

    /// The oldest of what was put in.
    #[must_use]
    pub fn take(&self) -> Option<(Posted, LetterTold)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}
