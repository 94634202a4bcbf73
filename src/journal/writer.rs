//! Appends to a journal, cuts it, releases what is needless.

use crate::disk::Disk;
use crate::disk::DiskFile;
use crate::journal::JournalError;
use crate::journal::Opened;
use crate::journal::Options;
use crate::journal::Reader;
use crate::journal::Syncer;
use crate::journal::format;
use crate::journal::format::Record;
use crate::journal::format::SEGMENT_HEAD;
use crate::journal::recovery;
use crate::journal::segment::Mark;
use crate::journal::segment::Segment;
use crate::journal::shared::Shared;
use crate::journal::shared::State;
use crate::journal::walk::Step;
use crate::journal::walk::Walk;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// A buffer that one large record has made longer than this is not kept.
const BUFFER_KEPT: usize = 8 << 20;

/// A full segment may grow to twice its size until its unsynced part is at most one in so many.
const EASY: u64 = 64;

/// The log of one plan on disk; the only one that writes to its folder.
#[derive(Debug)]
pub struct Journal<D: Disk> {
    shared: Arc<Shared<D>>,
    options: Options,
    /// Records appended and not flushed yet.
    buffer: Vec<u8>,
    /// Where records begin in the buffer.
    marks: Vec<Mark>,
    next: u64,
    epoch: u64,
    /// Where epochs begin: the first position and the epoch, ascending.
    spans: Vec<(u64, u64)>,
}

impl<D: Disk> Journal<D> {
    /// Opens the journal in a folder, or begins one. A write that never finished is cut off and
    /// reported; everything else that is there is synced when this returns.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] with file and offset if something that was whole is not any more,
    /// [`JournalError::Foreign`], [`JournalError::Newer`], or what the system says.
    pub fn open(
        disk: D,
        folder: &Path,
        options: Options,
    ) -> Result<(Journal<D>, Opened), JournalError> {
        let begun = Instant::now();
        let found = recovery::recover(&disk, folder, &options)?;
        let last = found.segments.last().expect("one was made if there was none");
        let (next, bytes) = (last.next, last.bytes);
        let opened = Opened {
            first: found.segments[0].first,
            last: next - 1,
            last_epoch: found.epoch,
            segments: found.segments.len(),
            bytes: found.segments.iter().map(|segment| segment.bytes).sum(),
            torn: found.torn,
            took: begun.elapsed(),
        };
        let state = State {
            segments: found.segments,
            file: Arc::new(found.file),
            written: next - 1,
            synced: next - 1,
            synced_bytes: bytes,
            cuts: 0,
            poison: None,
        };
        let shared = Arc::new(Shared::new(disk, folder, options.record_bytes_max, state));
        let (buffer, marks) = (Vec::new(), Vec::new());
        let (epoch, spans) = (found.epoch, found.spans);
        Ok((Journal { shared, options, buffer, marks, next, epoch, spans }, opened))
    }

    /// Adds a record and returns its position. It is in memory only until [`Journal::flush`].
    ///
    /// # Errors
    /// The epoch is below that of the last record, the body is too long, or the journal is
    /// poisoned. The first two change nothing.
    pub fn append(&mut self, epoch: u64, body: &[u8]) -> Result<u64, JournalError> {
        let synced = self.shared.state()?.synced;
        if epoch < self.epoch {
            return Err(JournalError::EpochFell { given: epoch, last: self.epoch });
        }
        let limit = self.options.record_bytes_max;
        if body.len() > limit as usize {
            return Err(JournalError::TooLong { bytes: body.len(), limit });
        }
        let position = self.next;
        let offset = self.buffer.len() as u64;
        self.marks.push(Mark { position, offset, epoch_before: self.epoch });
        format::encode_record(&mut self.buffer, Record { position, epoch, body }, synced);
        if epoch != self.epoch || self.spans.is_empty() {
            self.spans.push((position, epoch));
        }
        self.epoch = epoch;
        self.next += 1;
        Ok(position)
    }

    /// Writes all records appended in one write, so that they survive the end of the process, and
    /// returns the last position written. Begins a new segment when the last one is full, which
    /// first syncs the old one: soon done if someone calls [`Syncer::sync`] now and then, also
    /// where nobody waits for it.
    ///
    /// # Errors
    /// [`JournalError::Full`] or what the system says; the journal is poisoned then.
    pub fn flush(&mut self) -> Result<u64, JournalError> {
        let (held, unsynced, written) = {
            let state = self.shared.state()?;
            let held = state.segments.last().expect("never empty").bytes;
            (held, held - state.synced_bytes, state.written)
        };
        if self.buffer.is_empty() {
            return Ok(written);
        }
        let would_hold = held + self.buffer.len() as u64;
        let limit = self.options.segment_bytes_max;
        let is_full = held > SEGMENT_HEAD as u64 && would_hold > limit;
        // The segment is synced before the next begins. With little to sync that is soon done.
        let is_easy = unsynced <= limit / EASY || would_hold > 2 * limit;
        if is_full && is_easy {
            self.begin_segment()?;
        }
        let (file, path, offset) = {
            let state = self.shared.state()?;
            let segment = state.segments.last().expect("never empty");
            (Arc::clone(&state.file), segment.path.clone(), segment.bytes)
        };
        self.shared.guard("write", &path, file.write_at(&self.buffer, offset))?;
        let mut state = self.shared.state()?;
        state.written = self.next - 1;
        let segment = state.segments.last_mut().expect("never empty");
        segment.bytes += self.buffer.len() as u64;
        segment.next = self.next;
        for mark in self.marks.drain(..) {
            segment.mark(Mark { offset: offset + mark.offset, ..mark });
        }
        drop(state);
        self.clear_buffer();
        Ok(self.next - 1)
    }

    /// Flushes and syncs everything; returns the last position. For a thread that may wait; see
    /// [`Journal::syncer`] for those that may not.
    ///
    /// # Errors
    /// As [`Journal::flush`] and [`Syncer::sync`].
    pub fn sync(&mut self) -> Result<u64, JournalError> {
        let written = self.flush()?;
        self.shared.sync(written)
    }

    /// A handle for the thread that syncs.
    pub fn syncer(&self) -> Syncer<D> {
        Syncer(Arc::clone(&self.shared))
    }

    /// A handle for reading, on any thread.
    pub fn reader(&self) -> Reader<D> {
        Reader(Arc::clone(&self.shared))
    }

    /// Cuts off all records after a position, also those not flushed yet, for good. What is left is
    /// synced.
    ///
    /// # Errors
    /// The position lies before the journal, or the system refuses, which poisons it.
    pub fn truncate_after(&mut self, position: u64) -> Result<(), JournalError> {
        let (first, last) = (self.first(), self.last());
        let written = self.shared.state()?.written;
        if position >= last {
            return Ok(());
        }
        if position + 1 < first {
            return Err(JournalError::Outside { asked: position, first, last });
        }
        if position > written {
            self.flush()?;
        }
        self.clear_buffer();
        let offset = self.offset_after(position)?;
        let (kept, removed) = {
            let mut state = self.shared.state()?;
            // Readers see this before any file changes.
            state.cuts += 1;
            let kept = state.segments.partition_point(|segment| segment.first <= position + 1);
            let removed = state.segments.split_off(kept);
            let segment = state.segments.last_mut().expect("the first begins there or before");
            segment.cut(position + 1, offset);
            let path = segment.path.clone();
            state.written = position;
            state.synced = state.synced.min(position);
            state.synced_bytes = state.synced_bytes.min(offset);
            (path, removed)
        };
        self.remove(removed)?;
        let guard = |doing, result| self.shared.guard(doing, &kept, result);
        let file = self
            .shared
            .disk
            .open(&kept)
            .map_err(|error| self.shared.poison(JournalError::io("open", &kept, error)))?;
        guard("cut", file.truncate(offset))?;
        guard("sync", file.sync())?;
        self.epoch = self.epoch_at(position).unwrap_or(0);
        self.spans.retain(|&(start, _)| start <= position);
        self.next = position + 1;
        let mut state = self.shared.state()?;
        state.file = Arc::new(file);
        state.synced = position;
        state.synced_bytes = offset;
        Ok(())
    }

    /// Drops everything and goes on after a position that came from elsewhere, as when a snapshot
    /// was taken over: the next record gets `position + 1`, and `epoch` counts as that of the
    /// record before it. If this is interrupted, the journal may be left with fewer records or
    /// none, or with all it had: whoever holds a snapshot beyond [`Opened::last`], or one of a
    /// later epoch than [`Journal::epoch_at`] says of its position, calls this again.
    ///
    /// # Errors
    /// The system refuses, which poisons the journal.
    pub fn restart_after(&mut self, position: u64, epoch: u64) -> Result<(), JournalError> {
        let segment = Segment::empty(&self.shared.folder, position + 1, epoch);
        let removed = {
            let mut state = self.shared.state()?;
            state.cuts += 1;
            state.written = position;
            state.synced = position;
            state.synced_bytes = segment.bytes;
            std::mem::replace(&mut state.segments, vec![segment.clone()])
        };
        self.clear_buffer();
        self.remove(removed)?;
        self.create(&segment)?;
        self.spans.clear();
        self.epoch = epoch;
        self.next = position + 1;
        Ok(())
    }

    /// Removes whole segments that hold only positions below this one; returns the bytes freed.
    ///
    /// # Errors
    /// The system refuses, which poisons the journal.
    pub fn release_before(&mut self, position: u64) -> Result<u64, JournalError> {
        self.shared.release_before(position)
    }

    /// The first position held; while there is none, the one the next record gets.
    pub fn first(&self) -> u64 {
        self.shared.look().segments[0].first
    }

    /// The last position appended; while there is none, the one before the first.
    pub fn last(&self) -> u64 {
        self.next - 1
    }

    /// The epoch of the last record, held or not; 0 if there never was one.
    pub fn last_epoch(&self) -> u64 {
        self.epoch
    }

    /// The epoch of the record at a position, which may also be the one just before the first held;
    /// nothing for others.
    pub fn epoch_at(&self, position: u64) -> Option<u64> {
        let (first, before) = self.front();
        if position + 1 < first || position > self.last() {
            return None;
        }
        if position + 1 == first {
            return Some(before);
        }
        let after = self.spans.partition_point(|&(start, _)| start <= position);
        after.checked_sub(1).map(|index| self.spans[index].1)
    }

    /// Where epochs begin among the records held: the first position of each and the epoch.
    pub fn epoch_spans(&self) -> Vec<(u64, u64)> {
        let (first, _) = self.front();
        let skip = self.spans.partition_point(|&(start, _)| start <= first).saturating_sub(1);
        let spans = self.spans[skip..].iter().map(|&(start, epoch)| (start.max(first), epoch));
        // After a release nothing may be left of a span but the last epoch.
        spans.filter(|&(start, _)| start <= self.last()).collect()
    }

    /// The bytes of all segments and of what is not flushed yet.
    pub fn bytes(&self) -> u64 {
        let state = self.shared.look();
        let written: u64 = state.segments.iter().map(|segment| segment.bytes).sum();
        written + self.buffer.len() as u64
    }

    fn front(&self) -> (u64, u64) {
        let state = self.shared.look();
        (state.segments[0].first, state.segments[0].epoch_before)
    }

    fn clear_buffer(&mut self) {
        self.marks.clear();
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEPT);
    }

    /// Where the record after a written position begins.
    fn offset_after(&self, position: u64) -> Result<u64, JournalError> {
        let (path, mark, end) = {
            let state = self.shared.state()?;
            let after = state.segments.partition_point(|segment| segment.first <= position + 1);
            let segment = &state.segments[after - 1];
            (segment.path.clone(), segment.nearest(position + 1), segment.bytes)
        };
        let failed = |doing| {
            let path = &path;
            move |error| JournalError::io(doing, path, error)
        };
        let file = self.shared.disk.open(&path).map_err(failed("open"))?;
        let expected = format::Expected {
            position: mark.position,
            epoch: mark.epoch_before,
            body_max: self.options.record_bytes_max,
        };
        let mut walk = Walk::new(file, mark.offset, end, expected);
        while walk.expected.position <= position {
            let offset = walk.offset();
            match walk.step().map_err(failed("read"))? {
                Step::Record => {}
                _ => {
                    let what = format!("no record of position {}", walk.expected.position);
                    return Err(JournalError::Damaged { file: path, offset, what });
                }
            }
        }
        Ok(walk.offset())
    }

    /// Removes segments, the newest first and each for good, so that no gap is ever left behind.
    fn remove(&self, segments: Vec<Segment>) -> Result<(), JournalError> {
        let (disk, folder) = (&self.shared.disk, &self.shared.folder);
        for segment in segments.iter().rev() {
            self.shared.guard("remove", &segment.path, disk.remove(&segment.path))?;
            self.shared.guard("sync", folder, disk.sync_folder(folder))?;
        }
        Ok(())
    }

    fn begin_segment(&mut self) -> Result<(), JournalError> {
        // What is in the last segment but one is taken for good when the journal is opened.
        let written = self.shared.sync(u64::MAX)?;
        let epoch_before = self.epoch_at(written).unwrap_or(0);
        let segment = Segment::empty(&self.shared.folder, written + 1, epoch_before);
        self.create(&segment)?;
        let mut state = self.shared.state()?;
        state.synced_bytes = segment.bytes;
        state.segments.push(segment);
        Ok(())
    }

    fn create(&self, segment: &Segment) -> Result<(), JournalError> {
        let Shared { disk, folder, .. } = &*self.shared;
        let created = recovery::create(disk, folder, segment, self.options.plan);
        let file = created.map_err(|error| self.shared.poison(error))?;
        self.shared.state()?.file = Arc::new(file);
        Ok(())
    }
}
