//! Files as the journal and the snapshots need them: few operations, and exact words on what lasts.
//!
//! What is *written* survives the end of the process, also a `kill -9`. What is *synced* survives
//! the loss of power. A file that was created, renamed or removed is so for good only after its
//! folder was synced too. [`RealDisk`] is the machine's.
//! [`RehearsedDisk`](rehearsed::RehearsedDisk) lies in memory and fails when told, so that
//! tests lose power a thousand times a second.

mod real;
pub mod rehearsed;
#[cfg(test)]
mod tests;

pub use real::RealDisk;

use std::fmt;
use std::io;
use std::path::Path;

/// A place for files. Clones are handles to the same place.
pub trait Disk: Clone + fmt::Debug + Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;

    /// Makes a new, empty file for reading and writing.
    ///
    /// # Errors
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists) if there is one, or what the system says.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens a file that exists, for reading and writing.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, path: &Path) -> io::Result<Self::File>;

    /// The names of the files in a folder, sorted; folders in it are left out, as are names that
    /// are not Unicode.
    ///
    /// # Errors
    /// What the system says; [`NotFound`](io::ErrorKind::NotFound) if there is no such folder.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Makes the folder and those above it, where they are missing, so that they last.
    ///
    /// # Errors
    /// What the system says.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Gives a file another name in the same folder, in place of a file of that name.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes what was created, renamed and removed in the folder last.
    ///
    /// # Errors
    /// What the system says.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// An open file; it may be used by several threads.
pub trait DiskFile: fmt::Debug + Send + Sync + 'static {
    /// Writes all bytes at an offset. After an error any part of them may be there.
    ///
    /// # Errors
    /// What the system says.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Reads at an offset until the buffer is full or the file ends; returns how many bytes.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn length(&self) -> io::Result<u64>;

    /// Cuts the file off after so many bytes.
    ///
    /// # Errors
    /// What the system says.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Makes what was written so far last.
    ///
    /// # Errors
    /// What the system says. Afterwards nobody knows what of the unsynced bytes is on the disk, and
    /// a second call may wrongly succeed.
    fn sync(&self) -> io::Result<()>;
}

/// Whether there is no room: the disk is full, or the quota is used up.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
