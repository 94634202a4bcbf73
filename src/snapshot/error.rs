//! What can go wrong with snapshots, by what their user can do about it.

use crate::snapshot::format;
use crate::snapshot::format::Fault;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use thiserror::Error;

/// Why a snapshot cannot be written, taken or removed.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The disk has no room; nothing is left of what was being written.
    #[error("the disk is full: cannot {doing} `{}`", file.display())]
    Full {
        /// What was tried.
        doing: &'static str,
        /// On which file or folder.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused an operation.
    #[error("cannot {doing} `{}`", file.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file or folder.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A plan or tenant cannot be called so.
    #[error("`{name}` cannot be in a file's name: use 1 to 100 letters, digits, `_`, `-`, `.`")]
    Name {
        /// The name given.
        name: String,
    },
    /// The file is not what was written.
    #[error("`{}` is damaged at byte {offset}: {what}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where in it, in bytes from its front.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The file is the snapshot of another plan.
    #[error("`{}` is a snapshot of `{tenant}/{plan}`", file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// Whose snapshot it is.
        tenant: String,
        /// Of which plan.
        plan: String,
    },
    /// A newer version wrote the file.
    #[error(
        "`{}` has format {found}, this version knows {known}: run the newer version",
        file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u16,
        /// The newest format known here.
        known: u16,
    },
    /// The state is longer than is allowed.
    #[error("`{}` holds more than {limit} bytes of state", file.display())]
    TooLong {
        /// The file.
        file: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
}

impl SnapshotError {
    pub(crate) fn io(doing: &'static str, file: &Path, source: io::Error) -> SnapshotError {
        let file = file.to_owned();
        if crate::disk::is_full(&source) {
            return SnapshotError::Full { doing, file, source };
        }
        SnapshotError::Io { doing, file, source }
    }

    pub(crate) fn fault(file: &Path, offset: u64, fault: Fault) -> SnapshotError {
        let file = file.to_owned();
        match fault {
            Fault::Short => SnapshotError::Damaged { file, offset, what: "it ends too early" },
            Fault::Damaged(what) => SnapshotError::Damaged { file, offset, what },
            Fault::Newer(found) => SnapshotError::Newer { file, found, known: format::VERSION },
        }
    }

    /// Whether the disk is full.
    pub fn is_full(&self) -> bool {
        matches!(self, SnapshotError::Full { .. })
    }
}
