//! Finds out, when a journal is opened, what of it is there: cuts off writes that never finished,
//! refuses damage.

use crate::disk::Disk;
use crate::disk::DiskFile;
use crate::journal::JournalError;
use crate::journal::Options;
use crate::journal::Torn;
use crate::journal::format;
use crate::journal::format::Expected;
use crate::journal::format::HeadFault;
use crate::journal::format::SEGMENT_HEAD;
use crate::journal::format::SegmentHead;
use crate::journal::format::Tail;
use crate::journal::segment;
use crate::journal::segment::Mark;
use crate::journal::segment::Segment;
use crate::journal::walk::Step;
use crate::journal::walk::Walk;
use std::io;
use std::path::Path;

/// Bytes written again at once.
const PIECE: usize = 1 << 20;

/// A journal as it was found.
pub(crate) struct Recovered<F> {
    pub(crate) segments: Vec<Segment>,
    /// The last segment's file.
    pub(crate) file: F,
    /// The epoch of the last record.
    pub(crate) epoch: u64,
    /// Where epochs begin: the first position and the epoch, ascending.
    pub(crate) spans: Vec<(u64, u64)>,
    pub(crate) torn: Option<Torn>,
}

/// Goes through all segments of a folder, makes one if there is none, and leaves everything synced.
pub(crate) fn recover<D: Disk>(
    disk: &D,
    folder: &Path,
    options: &Options,
) -> Result<Recovered<D::File>, JournalError> {
    let failed = |doing| move |error: io::Error| JournalError::io(doing, folder, error);
    disk.create_folder(folder).map_err(failed("create"))?;
    let names = disk.list(folder).map_err(failed("list"))?;
    let mut firsts: Vec<u64> = names.iter().filter_map(|name| segment::first_of(name)).collect();
    let mut scan = Scan { folder, options, spans: Vec::new(), epoch: 0, proven: 0, torn: None };
    let unfinished = scan.drop_unfinished(disk, &mut firsts)?;
    let mut segments: Vec<Segment> = Vec::with_capacity(firsts.len() + 1);
    let mut file = None;
    for (index, &first) in firsts.iter().enumerate() {
        if let Some(before) = segments.last()
            && before.next != first
        {
            let what = format!(
                "it begins at position {first}, but the segment before it, `{}`, is followed by \
                 position {}; a segment is missing",
                before.path.display(),
                before.next
            );
            return Err(JournalError::Damaged {
                file: folder.join(segment::name(first)),
                offset: 0,
                what,
            });
        }
        // A segment that has, or had, a successor was synced before that one was made.
        let is_open = index + 1 == firsts.len() && !unfinished;
        let (segment, opened) = scan.segment(disk, first, index == 0, is_open)?;
        segments.push(segment);
        file = Some(opened);
    }
    let file = match (file, segments.last()) {
        (Some(file), Some(segment)) => {
            scan.settle(segment, &file)?;
            file
        }
        _ => {
            let segment = Segment::empty(folder, 1, 0);
            let file = create(disk, folder, &segment, options.plan)?;
            segments.push(segment);
            file
        }
    };
    disk.sync_folder(folder).map_err(failed("sync"))?;
    Ok(Recovered { segments, file, epoch: scan.epoch, spans: scan.spans, torn: scan.torn })
}

/// Makes the file of a segment without records, for good.
pub(crate) fn create<D: Disk>(
    disk: &D,
    folder: &Path,
    segment: &Segment,
    plan: u64,
) -> Result<D::File, JournalError> {
    let failed = |doing| move |error: io::Error| JournalError::io(doing, &segment.path, error);
    let head = SegmentHead { plan, first: segment.first, epoch_before: segment.epoch_before };
    let file = disk.create(&segment.path).map_err(failed("create"))?;
    file.write_at(&head.encode(), 0).map_err(failed("write"))?;
    file.sync().map_err(failed("sync"))?;
    disk.sync_folder(folder).map_err(|error| JournalError::io("sync", folder, error))?;
    Ok(file)
}

struct Scan<'a> {
    folder: &'a Path,
    options: &'a Options,
    spans: Vec<(u64, u64)>,
    epoch: u64,
    /// The last position that a record says was synced.
    proven: u64,
    torn: Option<Torn>,
}

impl Scan<'_> {
    /// A last segment whose head was never finished holds no record, since records come after the
    /// head was synced: it is removed. True if there was one.
    fn drop_unfinished<D: Disk>(
        &mut self,
        disk: &D,
        firsts: &mut Vec<u64>,
    ) -> Result<bool, JournalError> {
        let Some(&first) = firsts.last() else {
            return Ok(false);
        };
        let path = self.folder.join(segment::name(first));
        let failed = |doing| move |error: io::Error| (doing, error);
        let look = || -> Result<Option<u64>, (&'static str, io::Error)> {
            let file = disk.open(&path).map_err(failed("open"))?;
            let length = file.length().map_err(failed("read"))?;
            let mut head = [0; SEGMENT_HEAD];
            let count = file.read_at(&mut head, 0).map_err(failed("read"))?;
            let is_whole = !matches!(
                SegmentHead::decode(&head[..count]),
                Err(HeadFault::Short | HeadFault::Damaged)
            );
            if is_whole || length > SEGMENT_HEAD as u64 {
                return Ok(None);
            }
            disk.remove(&path).map_err(failed("remove"))?;
            disk.sync_folder(self.folder).map_err(failed("sync"))?;
            Ok(Some(length))
        };
        match look() {
            Ok(None) => Ok(false),
            Ok(Some(bytes)) => {
                firsts.pop();
                self.torn =
                    Some(Torn { file: path, offset: 0, bytes, beyond: 0, is_unfinished: true });
                Ok(true)
            }
            Err((doing, error)) => Err(JournalError::io(doing, &path, error)),
        }
    }

    fn segment<D: Disk>(
        &mut self,
        disk: &D,
        first: u64,
        is_oldest: bool,
        is_open: bool,
    ) -> Result<(Segment, D::File), JournalError> {
        let path = self.folder.join(segment::name(first));
        let failed = |doing| {
            let path = &path;
            move |error: io::Error| JournalError::io(doing, path, error)
        };
        let file = disk.open(&path).map_err(failed("open"))?;
        let length = file.length().map_err(failed("read"))?;
        let head = self.head(&path, &file, first)?;
        if is_oldest {
            self.epoch = head.epoch_before;
        } else if self.epoch != head.epoch_before {
            let (said, was) = (head.epoch_before, self.epoch);
            let what = format!("it follows a record of epoch {said}, but that record has {was}");
            return Err(JournalError::Damaged { file: path, offset: 0, what });
        }
        let mut segment = Segment::empty(self.folder, first, self.epoch);
        let body_max = self.options.record_bytes_max;
        let expected = Expected { position: first, epoch: self.epoch, body_max };
        let mut walk = Walk::new(file, SEGMENT_HEAD as u64, length, expected);
        loop {
            let (offset, before) = (walk.offset(), walk.expected);
            let step = walk.step().map_err(failed("read"))?;
            let is_short = matches!(step, Step::Short(_));
            match step {
                Step::Record => {
                    let epoch_before = before.epoch;
                    segment.mark(Mark { position: before.position, offset, epoch_before });
                    if let Some((head, _)) = walk.record() {
                        if head.epoch != before.epoch || self.spans.is_empty() {
                            self.spans.push((head.position, head.epoch));
                        }
                        self.proven = self.proven.max(head.synced);
                    }
                }
                Step::End => break,
                Step::Short(what) | Step::Fault(what) => {
                    let fault = Fault { path: &path, offset, what, is_short, is_open };
                    self.torn = Some(self.judge(&fault, &walk)?);
                    break;
                }
            }
        }
        segment.next = walk.expected.position;
        segment.bytes = walk.offset();
        self.epoch = walk.expected.epoch;
        let file = walk.into_file();
        if segment.bytes < length {
            file.truncate(segment.bytes).map_err(failed("cut"))?;
        }
        Ok((segment, file))
    }

    fn head<F: DiskFile>(
        &self,
        path: &Path,
        file: &F,
        first: u64,
    ) -> Result<SegmentHead, JournalError> {
        let mut bytes = [0; SEGMENT_HEAD];
        let count = file.read_at(&mut bytes, 0).map_err(|e| JournalError::io("read", path, e))?;
        let damaged =
            |what: String| Err(JournalError::Damaged { file: path.to_owned(), offset: 0, what });
        match SegmentHead::decode(&bytes[..count]) {
            Ok(head) if head.plan != self.options.plan => {
                Err(JournalError::Foreign { file: path.to_owned() })
            }
            Ok(head) if head.first != first => damaged(format!(
                "it says that it begins at position {}, its name {first}",
                head.first
            )),
            Ok(head) => Ok(head),
            Err(HeadFault::Newer(found)) => {
                let known = format::VERSION;
                Err(JournalError::Newer { file: path.to_owned(), found, known })
            }
            Err(HeadFault::Short) => {
                damaged(format!("it ends after {count} bytes, its head has {SEGMENT_HEAD}"))
            }
            Err(HeadFault::Damaged) => damaged("the checksum of its head is wrong".to_owned()),
        }
    }

    /// Torn bytes at the end of the last segment are cut off; all else is an error.
    fn judge<F: DiskFile>(&self, fault: &Fault<'_>, walk: &Walk<F>) -> Result<Torn, JournalError> {
        let Fault { path, offset, what, is_short, is_open } = *fault;
        let position = walk.expected.position;
        let error = |after: String| {
            let what = format!("expected the record of position {position}, but {what}; {after}");
            Err(JournalError::Damaged { file: path.to_owned(), offset, what })
        };
        if !is_open {
            return error("this is not the end of the journal".to_owned());
        }
        let rest = walk.rest().map_err(|error| JournalError::io("read", path, error))?;
        match format::judge_tail(&rest, offset, walk.expected, self.options.doubtful) {
            Tail::Torn { beyond } => {
                let bytes = walk.end - offset;
                let is_unfinished = is_short && beyond == 0;
                Ok(Torn { file: path.to_owned(), offset, bytes, beyond, is_unfinished })
            }
            Tail::Damaged { followed_by } => {
                error(format!("the record of position {followed_by} behind it is whole"))
            }
        }
    }

    /// Makes the last segment last. What no record says was synced is written again first: if an
    /// fsync failed, the system may show bytes that are not on the disk, and would not write them.
    fn settle<F: DiskFile>(&self, segment: &Segment, file: &F) -> Result<(), JournalError> {
        let failed = |doing| move |error: io::Error| JournalError::io(doing, &segment.path, error);
        let is_head_proven = self.proven >= segment.first;
        let mut at =
            if is_head_proven { segment.nearest(self.proven.saturating_add(1)).offset } else { 0 };
        let mut piece = vec![0; PIECE];
        while at < segment.bytes {
            let wanted = (segment.bytes - at).min(PIECE as u64) as usize;
            let count = file.read_at(&mut piece[..wanted], at).map_err(failed("read"))?;
            if count == 0 {
                break;
            }
            file.write_at(&piece[..count], at).map_err(failed("write"))?;
            at += count as u64;
        }
        file.sync().map_err(failed("sync"))
    }
}

#[derive(Clone, Copy)]
struct Fault<'a> {
    path: &'a Path,
    offset: u64,
    what: &'static str,
    /// Whether the file ends inside the record.
    is_short: bool,
    /// Whether this is the segment that was written to last.
    is_open: bool,
}
