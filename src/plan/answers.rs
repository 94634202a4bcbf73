//! What external tables were found to hold, as the log of a plan has it.

use crate::event::Batch;
use crate::event::Text;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use std::ops::Range;

/// What a database says to questions about a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// The table's name.
    pub table: Text,
    /// The numbers of the questions.
    pub numbers: Vec<u64>,
    /// Where the rows that each question found begin.
    pub starts: Vec<u32>,
    /// How many rows each question found.
    pub counts: Vec<u32>,
    /// The rows found, in columns of the table; several questions may have found the same.
    pub rows: Batch,
    /// Why nothing was found, where the table could not be asked: who asked fails.
    pub failure: Option<Text>,
}

impl Answers {
    /// Whether numbers and rows belong together.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let count = self.numbers.len();
        let ends = self.starts.iter().zip(&self.counts);
        let mut ends = ends.map(|(&start, &count)| u64::from(start) + u64::from(count));
        self.starts.len() == count
            && self.counts.len() == count
            && ends.all(|end| end <= self.rows.len() as u64)
    }

    /// The number of each question with the rows that it found.
    pub fn found(&self) -> impl Iterator<Item = (u64, Range<usize>)> + '_ {
        let rows = self.starts.iter().zip(&self.counts);
        let rows = rows.map(|(&start, &count)| start as usize..start as usize + count as usize);
        self.numbers.iter().copied().zip(rows)
    }

    /// Adds a question that found so many rows from this one on.
    pub fn add(&mut self, number: u64, start: usize, count: usize) {
        self.numbers.push(number);
        self.starts.push(start as u32);
        self.counts.push(count as u32);
    }
}

impl Encode for Answers {
    fn encode(&self, out: &mut Vec<u8>) {
        self.table.encode(out);
        self.numbers.encode(out);
        self.starts.encode(out);
        self.counts.encode(out);
        self.rows.encode(out);
        self.failure.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Self {
            table: Text::decode(from)?,
            numbers: Vec::decode(from)?,
            starts: Vec::decode(from)?,
            counts: Vec::decode(from)?,
            rows: Batch::decode(from)?,
            failure: Option::decode(from)?,
        })
    }
}
