//! The log of a plan on disk: records with dense positions, appended, synced, read, cut, released.
//!
//! A journal is a folder of segments named by the position of their first record. Its records are
//! opaque bytes under a position and an epoch. There are three stages on a record's way:
//!
//! 1. [`Journal::append`] puts it into a buffer: it survives nothing;
//! 2. [`Journal::flush`] hands the buffer to the system in one write: it survives the end of the
//!    process;
//! 3. [`Syncer::sync`] makes what was flushed last: it survives the loss of power. This may run on
//!    another thread while the plan goes on appending; one fsync serves all that was flushed
//!    before it began.
//!
//! Readers follow on threads of their own and see what was flushed.
//!
//! **Damage.** When a journal is opened, all its records are checked. Bytes at the very end that
//! are no whole record are a write that never finished: they are cut off, and [`Opened::torn`]
//! says so. Where no power was lost, such a write leaves a file that ends inside the record, and
//! nobody was told of it. A last record of which all bytes are there, and wrong, has decayed then:
//! [`Torn::is_unfinished`] tells the two apart, and where there is another copy, it had better be
//! asked. Anything else that is wrong is an error that names file and offset; nothing is cut.
//!
//! Losing power may keep a later write and
//! lose an earlier one. So each record says how far the disk was synced when it was made, and with
//! [`Options::doubtful`] a hole of unwritten sectors that no record behind it claims to be synced
//! counts as the end, with all that follows.
//!
//! **After a failed write or fsync** nobody knows what is on the disk. Every later call fails until
//! the journal is opened again, which takes what is whole and writes again what nothing proves to
//! have been synced.

mod error;
pub mod format;
#[cfg(test)]
mod format_tests;
mod reader;
mod recovery;
#[cfg(test)]
mod rehearsal_tests;
mod segment;
mod shared;
#[cfg(test)]
mod tests;
mod walk;
mod writer;

pub use error::JournalError;
pub use reader::Reader;
pub use reader::Records;
pub use shared::Syncer;
pub use writer::Journal;

use std::path::PathBuf;
use std::time::Duration;

/// How a journal is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whose journal it is, see [`format::plan_id`].
    pub plan: u64,
    /// A segment that would grow beyond so many bytes is followed by a new one, or at twice as
    /// many if much of it is not synced yet. One flush is never divided.
    pub segment_bytes_max: u64,
    /// The longest body of a record in bytes. Lowering it makes longer ones unreadable.
    pub record_bytes_max: u32,
    /// Whether the machine may have lost power since the journal was written: then unsynced sectors
    /// may be missing before others that are there.
    pub doubtful: bool,
}

impl Options {
    /// The usual ones: segments of 64 MiB, records of at most 256 MiB, power may have been lost.
    pub fn new(plan: u64) -> Options {
        Options { plan, segment_bytes_max: 64 << 20, record_bytes_max: 256 << 20, doubtful: true }
    }
}

/// What was found when a journal was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The first position held; if there is none, the one the next record gets.
    pub first: u64,
    /// The last position held; if there is none, the one before the first.
    pub last: u64,
    /// The epoch of the last record, 0 if there never was one.
    pub last_epoch: u64,
    /// How many segments there are.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The unfinished write that was cut off.
    pub torn: Option<Torn>,
    /// How long the opening took.
    pub took: Duration,
}

/// A write that never finished and was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The file.
    pub file: PathBuf,
    /// Where the cut is, in bytes from the file's front.
    pub offset: u64,
    /// How many bytes were cut off.
    pub bytes: u64,
    /// How many whole records were among them, behind a hole. None of them was ever synced.
    pub beyond: usize,
    /// The file ends inside what was cut off, as the end of a process leaves it. Otherwise all its
    /// bytes are there, and some are wrong: power was lost, or the last record has decayed, which
    /// may have been acknowledged.
    pub is_unfinished: bool,
}
