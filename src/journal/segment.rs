//! One file of a journal: its name, what it holds, and where in it a position is found.

use crate::journal::format::SEGMENT_HEAD;
use std::path::Path;
use std::path::PathBuf;

/// A note of where a record begins is kept about every so many bytes.
const MARK_EVERY: u64 = 64 << 10;

/// What is known of a segment.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    /// The position of its first record.
    pub(crate) first: u64,
    /// The position after its last record.
    pub(crate) next: u64,
    /// The epoch of the record before the first.
    pub(crate) epoch_before: u64,
    /// The length in bytes, as far as it was written.
    pub(crate) bytes: u64,
    /// Some positions with their offsets and the epoch before, ascending.
    marks: Vec<Mark>,
}

/// Where a record begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) position: u64,
    pub(crate) offset: u64,
    pub(crate) epoch_before: u64,
}

impl Segment {
    /// A segment without records.
    pub(crate) fn empty(folder: &Path, first: u64, epoch_before: u64) -> Segment {
        let path = folder.join(name(first));
        let bytes = SEGMENT_HEAD as u64;
        Segment { path, first, next: first, epoch_before, bytes, marks: Vec::new() }
    }

    /// Notes where a record begins, if the last note is far enough back.
    pub(crate) fn mark(&mut self, mark: Mark) {
        if self.marks.last().is_none_or(|last| last.offset + MARK_EVERY <= mark.offset) {
            self.marks.push(mark);
        }
    }

    /// The last note at or before a position.
    pub(crate) fn nearest(&self, position: u64) -> Mark {
        let after = self.marks.partition_point(|mark| mark.position <= position);
        match after.checked_sub(1) {
            Some(index) => self.marks[index],
            None => Mark {
                position: self.first,
                offset: SEGMENT_HEAD as u64,
                epoch_before: self.epoch_before,
            },
        }
    }

    /// Forgets what lies at or after a position that begins at `offset`.
    pub(crate) fn cut(&mut self, next: u64, offset: u64) {
        self.marks.retain(|mark| mark.offset < offset);
        self.next = next;
        self.bytes = offset;
    }
}

/// The name of the segment whose first record has this position.
pub(crate) fn name(first: u64) -> String {
    format!("{first:020}.log")
}

/// The position in a segment's name; nothing if it is no such name.
pub(crate) fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    let fits = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if fits { digits.parse().ok().filter(|&first| first > 0) } else { None }
}
