//! The arbiter: where the record of the pair lies, so that at most one node acts.
//!
//! A [`RecordStore`] keeps the record in some place and may block for as long as it likes. An
//! [`Arbiter`] asks it from a thread of its own, one question at a time, so that a stuck store
//! never holds up anybody: it is silent, that is all. The times by which the protocol gives up
//! waiting are the protocol's own.
//!
//! | store | where | for |
//! |-------|-------|-----|
//! | [`sqlite`] | one row in a file of SQLite | both nodes on one machine |
//! | [`sql`] | a row in a database server | two machines that have such a server |
//! | [`witness`] | a third process, `twinflow witness` | two machines and a third one |
//!
//! [`lock`] is the proof that a process on the same machine has ended.

pub mod exchange;
pub mod lock;
pub mod record_file;
pub mod server;
pub mod sql;
pub mod sqlite;
#[cfg(test)]
mod tests;
mod wire;
pub mod witness;

use crate::ha::protocol::ArbiterId;
use crate::ha::protocol::Asking;
use crate::ha::protocol::Outcome;
use crate::ha::protocol::Record;
use crate::ha::protocol::RequestId;
use crate::ha::protocol::Version;
use crate::ha::secret;
use std::fmt;
use std::io;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use tracing::info;
use tracing::warn;

/// What a store needs to know of the pair whose record it keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The name of the cluster; a store that belongs to another one is refused.
    pub cluster: String,
    /// For a record that is made anew: how long a candidate waits, in milliseconds.
    pub lease: u64,
}

/// A place that keeps the record.
///
/// Both calls may block, and may end without an answer. A write that ended in an error may have
/// been taken, or be taken later, also after this process has ended.
pub trait RecordStore: Send + 'static {
    /// The record as it is. Makes it if this store never held one.
    ///
    /// # Errors
    /// The store cannot be reached, is damaged, or is not this pair's.
    fn read(&mut self) -> Result<Record, ArbiterError>;

    /// Takes the proposed record if the version is still the expected one, and makes it last
    /// before it answers.
    ///
    /// # Errors
    /// As for a read; nobody knows whether it was taken.
    fn write(&mut self, expected: Version, proposed: &Record) -> Result<Written, ArbiterError>;

    /// Where it is, for people.
    fn place(&self) -> String;
}

impl RecordStore for Box<dyn RecordStore> {
    fn read(&mut self) -> Result<Record, ArbiterError> {
        (**self).read()
    }

    fn write(&mut self, expected: Version, proposed: &Record) -> Result<Written, ArbiterError> {
        (**self).write(expected, proposed)
    }

    fn place(&self) -> String {
        (**self).place()
    }
}

/// The answer to a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was taken; the record as it is now.
    Won(Record),
    /// Somebody wrote before, or it is another store; the record as it is now.
    Lost(Record),
}

/// Why a store did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ArbiterError {
    /// It may answer later.
    #[error("the arbiter `{place}` does not answer: {reason}")]
    Unreachable {
        /// Where it is.
        place: String,
        /// What is known of the cause.
        reason: String,
    },
    /// What it holds is not what a store wrote.
    #[error(
        "the arbiter's file `{}` is damaged: {reason}; stop both nodes, move it away, start one \
         node and say `twinflow ha promote` there", path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What the row in a database holds is not what a store wrote.
    #[error(
        "the row of the arbiter `{place}` is damaged: {reason}; stop both nodes, delete it, start \
         one node and say `twinflow ha promote` there"
    )]
    DamagedRow {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It was taken away while in use.
    #[error(
        "the arbiter's file `{}` was removed or replaced while in use; put it back as it was, or \
         stop both nodes, start one and say `twinflow ha promote` there", path.display()
    )]
    Replaced {
        /// Which file.
        path: PathBuf,
    },
    /// It keeps another pair's record.
    #[error(
        "the arbiter `{place}` belongs to the cluster `{theirs}`, this node to `{ours}`; give each \
         pair an arbiter of its own, or both nodes the same `ha.cluster`"
    )]
    Foreign {
        /// Where it is.
        place: String,
        /// The cluster it was made for.
        theirs: String,
        /// The cluster of this node.
        ours: String,
    },
    /// The two do not know the same secret.
    #[error(
        "the arbiter `{place}` and this node do not know the same secret; compare `ha.secret_file` \
         with the witness's `--secret-file`"
    )]
    Secret {
        /// Where it is.
        place: String,
    },
}

/// A system's error in the words of an arbiter's.
fn unreachable(place: &str, reason: impl fmt::Display) -> ArbiterError {
    ArbiterError::Unreachable { place: place.to_owned(), reason: reason.to_string() }
}

/// An id that no other store has.
fn random_id() -> io::Result<ArbiterId> {
    let nonce = secret::nonce()?;
    let half = nonce.first_chunk::<16>().expect("16 of 32");
    Ok(ArbiterId(u128::from_le_bytes(*half)))
}

/// Asks a store from a thread of its own.
#[derive(Debug)]
pub struct Arbiter {
    questions: mpsc::Sender<(RequestId, Asking)>,
    busy: Arc<AtomicBool>,
    answer: AnswerTo,
}

/// Where answers go; called from the arbiter's thread or from the one that asks.
#[derive(Clone)]
struct AnswerTo(Arc<dyn Fn(RequestId, Outcome) + Send + Sync>);

impl fmt::Debug for AnswerTo {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("AnswerTo")
    }
}

impl Arbiter {
    /// Starts the thread. It ends when the arbiter is dropped and the store has answered.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        store: impl RecordStore,
        answer: impl Fn(RequestId, Outcome) + Send + Sync + 'static,
    ) -> io::Result<Arbiter> {
        let (questions, asked) = mpsc::channel();
        let busy = Arc::new(AtomicBool::new(false));
        let answer = AnswerTo(Arc::new(answer));
        let clerk = Clerk { store, busy: Arc::clone(&busy), answer: answer.clone(), told: None };
        std::thread::Builder::new().name("arbiter".to_owned()).spawn(move || clerk.work(&asked))?;
        Ok(Arbiter { questions, busy, answer })
    }

    /// Asks; every question is answered once, by its id. Never waits: while the store is still at
    /// the question before, the answer is [`Outcome::Silent`] at once, and this one is never
    /// carried out.
    pub fn ask(&self, request: RequestId, asking: Asking) {
        let was_busy = self.busy.swap(true, Ordering::AcqRel);
        if was_busy || self.questions.send((request, asking)).is_err() {
            (self.answer.0)(request, Outcome::Silent);
        }
    }
}

struct Clerk<S> {
    store: S,
    busy: Arc<AtomicBool>,
    answer: AnswerTo,
    /// The trouble that was told last, so that it is told once.
    told: Option<String>,
}

impl<S: RecordStore> Clerk<S> {
    fn work(mut self, asked: &mpsc::Receiver<(RequestId, Asking)>) {
        while let Ok((request, asking)) = asked.recv() {
            // A store that panics is one that does not answer.
            let done = catch_unwind(AssertUnwindSafe(|| self.ask_store(&asking)));
            let outcome = match done {
                Ok(Ok(outcome)) => {
                    self.tell_well();
                    outcome
                }
                Ok(Err(error)) => {
                    self.tell_trouble(&error.to_string());
                    Outcome::Silent
                }
                Err(_) => {
                    self.tell_trouble("the arbiter's store panicked");
                    Outcome::Silent
                }
            };
            // Before the answer, for who hears it may ask again at once.
            self.busy.store(false, Ordering::Release);
            (self.answer.0)(request, outcome);
        }
    }

    fn ask_store(&mut self, asking: &Asking) -> Result<Outcome, ArbiterError> {
        match asking {
            Asking::Read => self.store.read().map(Outcome::Read),
            Asking::Write { expected, record } => {
                Ok(match self.store.write(*expected, record)? {
                    Written::Won(record) => Outcome::Won(record),
                    Written::Lost(record) => Outcome::Lost(record),
                })
            }
        }
    }

    fn tell_well(&mut self) {
        if self.told.take().is_some() {
            info!(arbiter = self.store.place(), "the arbiter answers again");
        }
    }

    fn tell_trouble(&mut self, trouble: &str) {
        if self.told.as_deref() != Some(trouble) {
            warn!("{trouble}");
            self.told = Some(trouble.to_owned());
        }
    }
}
