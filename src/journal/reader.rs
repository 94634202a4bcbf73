//! Reads the records of a journal in bulk, also on another thread while it is written to.

use crate::disk::Disk;
use crate::journal::JournalError;
use crate::journal::format::Expected;
use crate::journal::format::Record;
use crate::journal::shared::Shared;
use crate::journal::walk::Step;
use crate::journal::walk::Walk;
use std::path::PathBuf;
use std::sync::Arc;

/// Reads records that were flushed.
#[derive(Debug)]
pub struct Reader<D: Disk>(pub(crate) Arc<Shared<D>>);

impl<D: Disk> Clone for Reader<D> {
    fn clone(&self) -> Self {
        Reader(Arc::clone(&self.0))
    }
}

impl<D: Disk> Reader<D> {
    /// The records from a position on. One that is not there yet will be given once it is.
    ///
    /// # Errors
    /// The position was released, or the journal is poisoned.
    pub fn read(&self, from: u64) -> Result<Records<D>, JournalError> {
        let state = self.0.state()?;
        let first = state.segments[0].first;
        if from < first {
            return Err(JournalError::Released { asked: from, first });
        }
        Ok(Records { shared: Arc::clone(&self.0), from, cuts: state.cuts, walk: None })
    }

    /// The first and the last position that can be read; the last is below the first if there is
    /// none.
    pub fn span(&self) -> (u64, u64) {
        let state = self.0.look();
        (state.segments[0].first, state.written)
    }
}

/// Records in order. Ends where the journal ends, and goes on when it does.
#[derive(Debug)]
pub struct Records<D: Disk> {
    shared: Arc<Shared<D>>,
    /// The next position to give.
    from: u64,
    cuts: u64,
    walk: Option<(PathBuf, Walk<D::File>)>,
}

impl<D: Disk> Records<D> {
    /// The next record; nothing while there is none. It lives until the next call.
    ///
    /// # Errors
    /// [`JournalError::Changed`] if records were cut off since the reading began,
    /// [`JournalError::Released`] if what comes next is gone, [`JournalError::Damaged`], what the
    /// system says, or the journal is poisoned.
    pub fn read_next(&mut self) -> Result<Option<Record<'_>>, JournalError> {
        loop {
            if self.walk.is_none() && !self.enter()? {
                return Ok(None);
            }
            match self.step()? {
                // Behind the nearest mark some records come before the one asked for.
                Step::Record if self.position() < Some(self.from) => {}
                Step::Record => break,
                Step::End if self.extend()? => {}
                Step::End if self.walk.is_none() => {}
                Step::End => return Ok(None),
                Step::Short(what) | Step::Fault(what) => return Err(self.damaged(what)),
            }
        }
        self.from += 1;
        Ok(self.walk.as_ref().and_then(|(_, walk)| walk.record()).map(|(_, record)| record))
    }

    /// Opens the segment of the next position; false if the position is not written yet.
    fn enter(&mut self) -> Result<bool, JournalError> {
        let (segment, written) = {
            let state = self.shared.state()?;
            self.check_cuts(state.cuts)?;
            let first = state.segments[0].first;
            if self.from < first {
                return Err(JournalError::Released { asked: self.from, first });
            }
            let after = state.segments.partition_point(|segment| segment.first <= self.from);
            let segment = &state.segments[after - 1];
            let parts = (segment.path.clone(), segment.nearest(self.from), segment.bytes);
            (parts, state.written)
        };
        if self.from > written {
            return Ok(false);
        }
        let (path, mark, end) = segment;
        let file = match self.shared.disk.open(&path) {
            Ok(file) => file,
            Err(error) => {
                // It may have been released or cut off since.
                let state = self.shared.state()?;
                self.check_cuts(state.cuts)?;
                let first = state.segments[0].first;
                if self.from < first {
                    return Err(JournalError::Released { asked: self.from, first });
                }
                return Err(JournalError::io("open", &path, error));
            }
        };
        let expected = Expected {
            position: mark.position,
            epoch: mark.epoch_before,
            body_max: self.shared.body_max,
        };
        self.walk = Some((path, Walk::new(file, mark.offset, end, expected)));
        Ok(true)
    }

    fn step(&mut self) -> Result<Step, JournalError> {
        let (path, walk) = self.walk.as_mut().expect("entered before");
        let step = walk.step().map_err(|error| JournalError::io("read", path, error))?;
        // What was read before a cut was begun is right; later it may be anything.
        let cuts = self.shared.state()?.cuts;
        self.check_cuts(cuts)?;
        Ok(step)
    }

    /// At the end of what was known: true if the segment has grown. Leaves a segment that has a
    /// successor.
    fn extend(&mut self) -> Result<bool, JournalError> {
        let state = self.shared.state()?;
        self.check_cuts(state.cuts)?;
        let (path, walk) = self.walk.as_mut().expect("entered before");
        match state.segments.iter().position(|segment| segment.path == *path) {
            Some(index) if state.segments[index].bytes > walk.end => {
                walk.end = state.segments[index].bytes;
                Ok(true)
            }
            Some(index) if index + 1 == state.segments.len() => Ok(false),
            _ => {
                drop(state);
                self.walk = None;
                Ok(false)
            }
        }
    }

    fn check_cuts(&self, now: u64) -> Result<(), JournalError> {
        if now == self.cuts { Ok(()) } else { Err(JournalError::Changed) }
    }

    fn position(&self) -> Option<u64> {
        let (_, walk) = self.walk.as_ref()?;
        walk.record().map(|(head, _)| head.position)
    }

    fn damaged(&self, what: &str) -> JournalError {
        let (path, walk) = self.walk.as_ref().expect("a fault was found in it");
        let position = walk.expected.position;
        let what = format!("expected the record of position {position}, but {what}");
        JournalError::Damaged { file: path.clone(), offset: walk.offset(), what }
    }
}
