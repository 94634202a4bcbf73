//! The state of a plan in files: written whole or not at all, checked before it is taken, the
//! latest two kept.
//!
//! A snapshot is `<data>/snapshots/<tenant>/<plan>/<TIMESTAMP>_<PLAN>` and holds the plan's state
//! after a position of its log. It is written under a temporary name, synced, and then renamed, so
//! that a name without `.part` always stands for a whole snapshot; only decay can make it wrong,
//! and a checksum shows that. Then the one before it serves, with more of the journal.
//!
//! Files of other names in the folder are left alone.

mod error;
mod folder;
pub mod format;
mod reader;
#[cfg(test)]
mod rehearsal_tests;
#[cfg(test)]
mod tests;
mod writer;

pub use error::SnapshotError;
pub use folder::Listed;
pub use folder::Newest;
pub use folder::Snapshots;
pub use format::Fit;
pub use format::Header;
pub use reader::SnapshotReader;
pub use writer::SnapshotReceiver;
pub use writer::SnapshotWriter;
