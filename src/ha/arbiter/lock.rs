//! A kernel lock on a file: while a process holds it, it lives; when the process ends, also by
//! `kill -9`, the kernel sets it free.
//!
//! On one machine this is how a passive learns at once that the active's process has ended, without
//! waiting for a lease. Three things make it a proof, and the first two are the caller's:
//!
//! 1. A node takes its own lock ([`NodeLock::take`]) before its first write to the arbiter.
//! 2. The other's lock is tested *after* the record was read, and only the version that was read
//!    may be written on the strength of it: a lock tested before may have been free only because
//!    the other had not started yet.
//! 3. Only a file that is there proves something: the holder makes it and it is never removed. A
//!    file that is missing, because it was removed or the path is wrong, counts as held.
//!
//! A stopped process (`SIGSTOP`) still holds its lock, rightly: it may go on.

use crate::ha::protocol::NodeId;
use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// A test by the other node holds the lock for an instant: so many more attempts to take it.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(4);

/// A lock that this process holds until it ends or drops this.
#[derive(Debug)]
pub struct NodeLock {
    file: File,
    path: PathBuf,
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody lives.
    #[error("another process holds `{}`; is the same node running twice?", path.display())]
    Held {
        /// Which file.
        path: PathBuf,
    },
    /// There is no such thing to be had here.
    #[error("`{}` cannot be locked: {error}", path.display())]
    System {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// The lock's file of a node, beside the arbiter's file.
pub fn lock_file(arbiter: &Path, node: NodeId) -> PathBuf {
    let mut name = arbiter.as_os_str().to_owned();
    name.push(match node {
        NodeId::A => ".a.lock",
        NodeId::B => ".b.lock",
    });
    PathBuf::from(name)
}

impl NodeLock {
    /// Takes the lock; makes the file if there is none. Waits a fifth of a second at most.
    ///
    /// # Errors
    /// Another process holds it, or the file cannot be made or locked.
    pub fn take(path: &Path) -> Result<NodeLock, LockError> {
        let system = |error| LockError::System { path: path.to_owned(), error };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        for attempt in 0.. {
            // Opened anew each time: somebody may have replaced the file.
            let file = options.open(path).map_err(system)?;
            match file.try_lock() {
                Ok(()) => {
                    let lock = NodeLock { file, path: path.to_owned() };
                    if lock.is_intact() {
                        return Ok(lock);
                    }
                }
                Err(TryLockError::Error(error)) => return Err(system(error)),
                Err(TryLockError::WouldBlock) => {}
            }
            if attempt == ATTEMPTS {
                break;
            }
            thread::sleep(PAUSE);
        }
        Err(LockError::Held { path: path.to_owned() })
    }

    /// Whether the file at the path is still the one that is locked. If somebody removed it, the
    /// lock protects nothing any more, and its holder should end.
    pub fn is_intact(&self) -> bool {
        let identity = |found: std::fs::Metadata| (found.dev(), found.ino());
        let mine = self.file.metadata().map(identity);
        let there = std::fs::metadata(&self.path).map(identity);
        matches!((mine, there), (Ok(mine), Ok(there)) if mine == there)
    }
}

/// Whether nobody holds the lock of this file, so that the process that last did has ended. A file
/// that is missing or cannot be opened proves nothing.
pub fn is_free(path: &Path) -> bool {
    let Ok(file) = OpenOptions::new().read(true).write(true).open(path) else {
        return false;
    };
    // Shared, so that two tests at once do not see each other. Closing the file sets it free.
    file.try_lock_shared().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_free_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = lock_file(&folder.path().join("arbiter.db"), NodeId::B);
        assert_eq!(path.file_name().unwrap(), "arbiter.db.b.lock");
        assert!(!is_free(&path), "a missing file proves nothing");
        let lock = NodeLock::take(&path).unwrap();
        assert!(!is_free(&path));
        let second = NodeLock::take(&path).unwrap_err();
        assert!(second.to_string().contains("running twice"), "{second}");
        drop(lock);
        assert!(is_free(&path));
        assert!(is_free(&path), "the test leaves it free");
        NodeLock::take(&path).unwrap();
    }

    #[test]
    fn a_removed_file_is_noticed_by_the_holder_and_proves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = NodeLock::take(&path).unwrap();
        assert!(lock.is_intact());
        std::fs::remove_file(&path).unwrap();
        assert!(!lock.is_intact());
        assert!(!is_free(&path));
        std::fs::write(&path, "").unwrap();
        assert!(!lock.is_intact(), "another file of the same name");
    }

    #[test]
    fn a_test_never_keeps_the_holder_from_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        drop(NodeLock::take(&path).unwrap());
        let taken = std::sync::atomic::AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !taken.load(std::sync::atomic::Ordering::Acquire) {
                    is_free(&path);
                    thread::yield_now();
                }
            });
            for _ in 0..100 {
                let result = NodeLock::take(&path);
                if result.is_err() {
                    taken.store(true, std::sync::atomic::Ordering::Release);
                }
                result.unwrap();
            }
            taken.store(true, std::sync::atomic::Ordering::Release);
        });
    }
}
