//! What external tables were found to hold, as the log of a plan has it.

use crate::event::Batch;
use crate::event::Text;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;

/// What a database says to questions about a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// The table's name.
    pub table: Text,
    /// The numbers of the questions.
    pub numbers: Vec<u64>,
    /// How many rows each question found.
    pub counts: Vec<u32>,
    /// The rows found, question by question, in columns of the table.
    pub rows: Batch,
    /// Why nothing was found, where the table could not be asked: who asked fails.
    pub failure: Option<Text>,
}

impl Answers {
    /// Whether numbers and rows belong together.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let found: u64 = self.counts.iter().map(|&count| u64::from(count)).sum();
        self.numbers.len() == self.counts.len() && found == self.rows.len() as u64
    }
}

impl Encode for Answers {
    fn encode(&self, out: &mut Vec<u8>) {
        self.table.encode(out);
        self.numbers.encode(out);
        self.counts.encode(out);
        self.rows.encode(out);
        self.failure.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Self {
            table: Text::decode(from)?,
            numbers: Vec::decode(from)?,
            counts: Vec::decode(from)?,
            rows: Batch::decode(from)?,
            failure: Option::decode(from)?,
        })
    }
}
