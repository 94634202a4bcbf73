//! The arbiter of the simulated pair: one record; slow, stuck, away, or with answers that get
//! lost.

use twinflow::ha::protocol::ArbiterId;
use twinflow::ha::protocol::Asking;
use twinflow::ha::protocol::NodeId;
use twinflow::ha::protocol::Outcome;
use twinflow::ha::protocol::Record;
use twinflow::ha::protocol::RequestId;

/// The record and how the arbiter feels.
#[derive(Clone, Debug)]
pub struct Arbiter {
    pub record: Record,
    /// It answers at all.
    pub up: bool,
    /// Microseconds it takes longer.
    pub slow: u64,
    /// It takes questions in and does nothing about them for now.
    pub stuck: Option<Vec<Question>>,
}

/// Who asks, in which life, and what.
pub type Question = (NodeId, u64, RequestId, Asking);

impl Arbiter {
    pub fn new(lease: u64) -> Arbiter {
        Arbiter { record: Record::virgin(ArbiterId(42), lease), up: true, slow: 0, stuck: None }
    }

    /// Does what it is asked.
    pub fn answer(&mut self, asking: &Asking) -> Outcome {
        match asking {
            Asking::Read => Outcome::Read(self.record.clone()),
            Asking::Write { expected, record } => {
                let won = self.record.compare_and_set(*expected, record);
                let record = self.record.clone();
                if won { Outcome::Won(record) } else { Outcome::Lost(record) }
            }
        }
    }
}
