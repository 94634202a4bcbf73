//! Goes through one segment from an offset on, record by record, reading large pieces.

use crate::disk::DiskFile;
use crate::journal::format;
use crate::journal::format::Expected;
use crate::journal::format::Found;
use crate::journal::format::Record;
use crate::journal::format::RecordHead;
use std::io;

/// Bytes read at once.
const PIECE: usize = 1 << 20;

/// What the next step found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A record; [`Walk::record`] gives it.
    Record,
    /// The end, exactly after a record.
    End,
    /// The file ends inside the expected record.
    Short(&'static str),
    /// Something else than the expected record.
    Fault(&'static str),
}

/// A place in a segment.
#[derive(Debug)]
pub(crate) struct Walk<F> {
    file: F,
    /// The file up to here is looked at.
    pub(crate) end: u64,
    pub(crate) expected: Expected,
    buffer: Vec<u8>,
    /// Where in the buffer the next record begins.
    start: usize,
    /// Where in the file the buffer begins.
    base: u64,
    current: Option<(RecordHead, usize)>,
}

impl<F: DiskFile> Walk<F> {
    /// Begins at `offset`, before the `expected` record, and goes no further than `end`.
    pub(crate) fn new(file: F, offset: u64, end: u64, expected: Expected) -> Walk<F> {
        let (buffer, start, current) = (Vec::new(), 0, None);
        Walk { file, end, expected, buffer, start, base: offset, current }
    }

    /// Where in the file the next record begins.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    /// Moves to the next record.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        self.current = None;
        loop {
            if self.offset() >= self.end {
                return Ok(Step::End);
            }
            match format::look(&self.buffer[self.start..], self.expected) {
                Found::Record { head, body } => {
                    self.current = Some((head, self.start + body.0));
                    self.start += head.bytes();
                    self.expected.position += 1;
                    self.expected.epoch = head.epoch;
                    return Ok(Step::Record);
                }
                Found::Fault(what) => return Ok(Step::Fault(what)),
                Found::Short(bytes) => {
                    if self.offset() + bytes as u64 > self.end {
                        return Ok(Step::Short("the file ends inside the record"));
                    }
                    if !self.fill(bytes)? {
                        return Ok(Step::Short("the file is shorter than it was"));
                    }
                }
            }
        }
    }

    /// The record that [`Walk::step`] moved to, with its numbers.
    pub(crate) fn record(&self) -> Option<(RecordHead, Record<'_>)> {
        let (head, body) = self.current?;
        let body = &self.buffer[body..body + head.length as usize];
        Some((head, Record { position: head.position, epoch: head.epoch, body }))
    }

    /// All bytes from the next record to the end.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn rest(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.end - self.offset()).unwrap_or(usize::MAX)];
        let count = self.file.read_at(&mut bytes, self.offset())?;
        bytes.truncate(count);
        Ok(bytes)
    }

    pub(crate) fn into_file(self) -> F {
        self.file
    }

    /// Reads on until `needed` bytes from the next record on are there; false if the file ends.
    fn fill(&mut self, needed: usize) -> io::Result<bool> {
        self.buffer.drain(..self.start);
        self.base += self.start as u64;
        self.start = 0;
        let have = self.buffer.len();
        let left = usize::try_from(self.end - self.base).unwrap_or(usize::MAX);
        // `needed` is at most what is left: a false length allocates no more than the file has.
        self.buffer.resize(needed.max(PIECE).min(left), 0);
        let count = self.file.read_at(&mut self.buffer[have..], self.base + have as u64)?;
        self.buffer.truncate(have + count);
        Ok(self.buffer.len() >= needed)
    }
}
