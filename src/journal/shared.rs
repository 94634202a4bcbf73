//! What the writer of a journal shares with the thread that syncs it and with its readers.

use crate::disk::Disk;
use crate::disk::DiskFile;
use crate::journal::JournalError;
use crate::journal::segment::Segment;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

#[derive(Debug)]
pub(crate) struct Shared<D: Disk> {
    pub(crate) disk: D,
    pub(crate) folder: PathBuf,
    pub(crate) body_max: u32,
    state: Mutex<State<D::File>>,
    /// Held through an fsync, so that who comes second finds it done.
    syncing: Mutex<()>,
}

#[derive(Debug)]
pub(crate) struct State<F> {
    /// Ascending, without gaps, never empty; the last one is written to.
    pub(crate) segments: Vec<Segment>,
    /// The last segment's file.
    pub(crate) file: Arc<F>,
    /// The last position written.
    pub(crate) written: u64,
    /// The last position synced.
    pub(crate) synced: u64,
    /// Up to here the last segment's bytes are synced.
    pub(crate) synced_bytes: u64,
    /// Raised whenever records are cut off.
    pub(crate) cuts: u64,
    pub(crate) poison: Option<Arc<JournalError>>,
}

impl<D: Disk> Shared<D> {
    pub(crate) fn new(disk: D, folder: &Path, body_max: u32, state: State<D::File>) -> Shared<D> {
        let folder = folder.to_owned();
        Shared { disk, folder, body_max, state: Mutex::new(state), syncing: Mutex::new(()) }
    }

    /// The state, unless an error has made it doubtful.
    pub(crate) fn state(&self) -> Result<MutexGuard<'_, State<D::File>>, JournalError> {
        let state = self.look();
        match &state.poison {
            Some(reason) => Err(JournalError::Poisoned(Arc::clone(reason))),
            None => Ok(state),
        }
    }

    /// The state, whatever happened. Its fields are changed together, by assignments that cannot
    /// fail, so a lock that a panic left behind is good.
    pub(crate) fn look(&self) -> MutexGuard<'_, State<D::File>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all use of the journal, for an error that leaves the disk's content unknown.
    pub(crate) fn poison(&self, error: JournalError) -> JournalError {
        let mut state = self.look();
        state.poison.get_or_insert_with(|| Arc::new(error.clone()));
        error
    }

    /// Poisons if the operation failed.
    pub(crate) fn guard<T>(
        &self,
        doing: &'static str,
        file: &Path,
        result: std::io::Result<T>,
    ) -> Result<T, JournalError> {
        result.map_err(|error| self.poison(JournalError::io(doing, file, error)))
    }

    /// Makes everything written last, unless `upto` does already; gives the last position synced.
    pub(crate) fn sync(&self, upto: u64) -> Result<u64, JournalError> {
        let _turn = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, target, bytes, cuts, path) = {
            let state = self.state()?;
            if state.synced >= upto.min(state.written) {
                return Ok(state.synced);
            }
            let segment = state.segments.last().expect("never empty");
            let (bytes, path) = (segment.bytes, segment.path.clone());
            (Arc::clone(&state.file), state.written, bytes, state.cuts, path)
        };
        self.guard("sync", &path, file.sync())?;
        let mut state = self.state()?;
        // After a cut the same positions hold other records; the cut has synced what it left.
        if state.cuts == cuts {
            state.synced = state.synced.max(target);
            if state.segments.last().is_some_and(|segment| segment.path == path) {
                state.synced_bytes = bytes;
            }
        }
        Ok(state.synced)
    }

    /// Removes the segments that hold only positions below this one; gives the bytes freed.
    pub(crate) fn release_before(&self, position: u64) -> Result<u64, JournalError> {
        let mut freed = 0;
        loop {
            let oldest = {
                let mut state = self.state()?;
                let old = state.segments.len() > 1 && state.segments[0].next <= position;
                if !old {
                    return Ok(freed);
                }
                state.segments.remove(0)
            };
            // One by one, each for good, so that whatever happens no gap is left behind.
            self.guard("remove", &oldest.path, self.disk.remove(&oldest.path))?;
            self.guard("sync", &self.folder, self.disk.sync_folder(&self.folder))?;
            freed += oldest.bytes;
        }
    }
}

/// Does for a journal what may take long, on a thread of its own, while the journal is written to.
#[derive(Debug)]
pub struct Syncer<D: Disk>(pub(crate) Arc<Shared<D>>);

impl<D: Disk> Clone for Syncer<D> {
    fn clone(&self) -> Self {
        Syncer(Arc::clone(&self.0))
    }
}

impl<D: Disk> Syncer<D> {
    /// Makes records last, at least up to a position as far as it was flushed; returns the last
    /// position that is synced. One fsync covers all that was flushed before it began, so the next
    /// call for a position below returns at once.
    ///
    /// # Errors
    /// The fsync failed, or the journal is poisoned.
    pub fn sync(&self, upto: u64) -> Result<u64, JournalError> {
        self.0.sync(upto)
    }

    /// The last position flushed.
    pub fn written(&self) -> u64 {
        self.0.look().written
    }

    /// The last position synced.
    pub fn synced(&self) -> u64 {
        self.0.look().synced
    }

    /// Removes whole segments that hold only positions below this one; returns the bytes freed.
    ///
    /// # Errors
    /// A file cannot be removed, or the journal is poisoned.
    pub fn release_before(&self, position: u64) -> Result<u64, JournalError> {
        self.0.release_before(position)
    }
}
