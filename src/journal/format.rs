//! The bytes of a journal, without any file: heads of segments and records, and how damage is told
//! from a write that never finished.
//!
//! A segment is a head and then records back to back. All numbers are little-endian.
//!
//! | segment head | bytes | | record | bytes |
//! |---|---|---|---|---|
//! | `twinjrnl` | 8 | | `TW`, so that no record begins with zeros | 2 |
//! | version of the format | 2 | | how many positions back the disk was synced | 2 |
//! | zero | 2 | | length of the body | 4 |
//! | CRC-32C of the other 36 bytes | 4 | | CRC-32C of the body | 4 |
//! | plan, see [`plan_id`] | 8 | | position | 8 |
//! | position of the first record | 8 | | epoch | 8 |
//! | epoch of the record before it | 8 | | CRC-32C of the 28 bytes before | 4 |
//! | | | | body | length |

/// The version of the format that this build writes.
pub const VERSION: u16 = 1;
/// Bytes of a segment before its first record.
pub const SEGMENT_HEAD: usize = 40;
/// Bytes of a record before its body.
pub const RECORD_HEAD: usize = 32;

const MAGIC: [u8; 8] = *b"twinjrnl";
const MARK: [u8; 2] = *b"TW";
/// Where a record has its position.
const POSITION: usize = 12;
/// What a disk writes wholly or not at all.
const SECTOR: u64 = 512;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHead {
    /// Whose journal it is.
    pub plan: u64,
    /// The position of its first record.
    pub first: u64,
    /// The epoch of the record before the first, 0 if there never was one.
    pub epoch_before: u64,
}

/// Why a segment's head cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadFault {
    /// Fewer bytes than a head has.
    Short,
    /// It is no journal, or its head is damaged.
    Damaged,
    /// A newer version wrote it, in this format.
    Newer(u16),
}

impl SegmentHead {
    /// The head as bytes.
    pub fn encode(&self) -> [u8; SEGMENT_HEAD] {
        let mut bytes = [0; SEGMENT_HEAD];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.plan.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.epoch_before.to_le_bytes());
        let check = segment_check(&bytes);
        bytes[12..16].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// Reads the head at the front of `bytes`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<SegmentHead, HeadFault> {
        let Some(bytes) = bytes.first_chunk::<SEGMENT_HEAD>() else {
            return Err(HeadFault::Short);
        };
        if bytes[..8] != MAGIC || u32_at(bytes, 12) != segment_check(bytes) {
            return Err(HeadFault::Damaged);
        }
        match u16::from_le_bytes([bytes[8], bytes[9]]) {
            VERSION => Ok(SegmentHead {
                plan: u64_at(bytes, 16),
                first: u64_at(bytes, 24),
                epoch_before: u64_at(bytes, 32),
            }),
            other => Err(HeadFault::Newer(other)),
        }
    }
}

fn segment_check(bytes: &[u8; SEGMENT_HEAD]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

/// A number for a plan that is the same on every node and in every version (FNV-1a of the names).
pub fn plan_id(tenant: &str, plan: &str) -> u64 {
    let bytes = tenant.bytes().chain([b'/']).chain(plan.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A record as it lies in a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its number in the plan's log, from 1, without gaps.
    pub position: u64,
    /// The epoch it was appended in; never falls from one record to the next.
    pub epoch: u64,
    /// What it holds; the journal does not look at it.
    pub body: &'a [u8],
}

/// The numbers before a record's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// Bytes of the body.
    pub length: u32,
    /// CRC-32C of the body.
    pub body_check: u32,
    /// The record's position.
    pub position: u64,
    /// The record's epoch.
    pub epoch: u64,
    /// The last position known to be synced when the record was made.
    pub synced: u64,
}

/// Appends a record's bytes. `synced` is the last position known to be on the disk for good: what
/// lies up to there can from now on be damaged, but not unfinished.
pub fn encode_record(out: &mut Vec<u8>, record: Record<'_>, synced: u64) {
    let length = u32::try_from(record.body.len()).expect("the caller limits a body to 32 bits");
    // Too far back for 16 bits means: nothing is known.
    let back = u16::try_from(record.position.saturating_sub(synced)).unwrap_or(u16::MAX);
    let start = out.len();
    out.extend_from_slice(&MARK);
    out.extend_from_slice(&back.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(record.body).to_le_bytes());
    out.extend_from_slice(&record.position.to_le_bytes());
    out.extend_from_slice(&record.epoch.to_le_bytes());
    let check = crc32c::crc32c(&out[start..]);
    out.extend_from_slice(&check.to_le_bytes());
    out.extend_from_slice(record.body);
}

impl RecordHead {
    /// Reads the head at the front of `bytes`; nothing if they are too few or the check is wrong.
    pub fn decode(bytes: &[u8]) -> Option<RecordHead> {
        let bytes = bytes.first_chunk::<RECORD_HEAD>()?;
        if bytes[..2] != MARK || u32_at(bytes, 28) != crc32c::crc32c(&bytes[..28]) {
            return None;
        }
        let position = u64_at(bytes, POSITION);
        let synced = match u16::from_le_bytes([bytes[2], bytes[3]]) {
            u16::MAX => 0,
            back => position.saturating_sub(u64::from(back)),
        };
        Some(RecordHead {
            length: u32_at(bytes, 4),
            body_check: u32_at(bytes, 8),
            position,
            epoch: u64_at(bytes, 20),
            synced,
        })
    }

    /// Bytes of head and body.
    pub fn bytes(&self) -> usize {
        RECORD_HEAD + self.length as usize
    }
}

/// What the next record must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its position.
    pub position: u64,
    /// The epoch of the record before, below which its own may not be.
    pub epoch: u64,
    /// The longest body, in bytes; a longer one is damage. Bounds what a reader allocates.
    pub body_max: u32,
}

/// What stands at the front of some bytes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The expected record, whole.
    Record {
        /// Its numbers.
        head: RecordHead,
        /// Where its body lies.
        body: (usize, usize),
    },
    /// The bytes end before the record does; with this many it would be whole, or be found damaged.
    Short(usize),
    /// No right record: why.
    Fault(&'static str),
}

/// Looks at the record at the front of `bytes`.
pub fn look(bytes: &[u8], expected: Expected) -> Found {
    if bytes.len() < RECORD_HEAD {
        return Found::Short(RECORD_HEAD);
    }
    let Some(head) = RecordHead::decode(bytes) else {
        return Found::Fault("the checksum of the record's head is wrong");
    };
    if head.position != expected.position {
        return Found::Fault("the record has another position than the one expected");
    }
    if head.epoch < expected.epoch {
        return Found::Fault("the record's epoch is below that of the record before");
    }
    if head.length > expected.body_max {
        return Found::Fault("the record is longer than a record may be");
    }
    let Some(body) = bytes.get(RECORD_HEAD..head.bytes()) else {
        return Found::Short(head.bytes());
    };
    if crc32c::crc32c(body) != head.body_check {
        return Found::Fault("the checksum of the record's body is wrong");
    }
    Found::Record { head, body: (RECORD_HEAD, head.bytes()) }
}

/// The records at the front of `bytes`, which begin after a segment's head.
pub fn records(bytes: &[u8], expected: Expected) -> Records<'_> {
    Records { bytes, offset: 0, expected }
}

/// Gives records until one is missing, unfinished or damaged.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    offset: usize,
    expected: Expected,
}

impl Records<'_> {
    /// Where the record after those given begins.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// What that record would have to be.
    pub fn expected(&self) -> Expected {
        self.expected
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let rest = &self.bytes[self.offset..];
        let Found::Record { head, body } = look(rest, self.expected) else {
            return None;
        };
        self.offset += head.bytes();
        self.expected.position += 1;
        self.expected.epoch = head.epoch;
        Some(Record { position: head.position, epoch: head.epoch, body: &rest[body.0..body.1] })
    }
}

/// What the bytes from the first wrong record to the end of the last segment are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Writes that never finished: nobody was told that they last. So many whole records lie
    /// between the torn ones.
    Torn {
        /// How many.
        beyond: usize,
    },
    /// Something that was whole once is damaged; the first whole record after it has this position.
    Damaged {
        /// The position.
        followed_by: u64,
    },
}

/// Judges the bytes from the first wrong record, at `offset` in its file, to the file's end.
///
/// Bytes with nothing right behind them are torn. With whole records behind them they are damaged,
/// unless the machine may have lost power (`doubtful`), which keeps some unsynced sectors and not
/// others: if no record behind them was made after these bytes were synced, and they hold a sector
/// that was never written, they are torn.
pub fn judge_tail(bytes: &[u8], offset: u64, expected: Expected, doubtful: bool) -> Tail {
    let mut beyond = 0;
    let mut next: Option<(usize, u64)> = None;
    let mut proven = false;
    let mut at = 1;
    while let Some(head) = find_record(bytes, &mut at, expected) {
        next.get_or_insert((at, head.position));
        proven |= head.synced >= expected.position;
        beyond += 1;
        at += head.bytes();
    }
    // A head whose check is right was written; only its body may lack a sector.
    let from = RecordHead::decode(bytes).map_or(0, |_| RECORD_HEAD);
    match next {
        None => Tail::Torn { beyond },
        Some((until, _))
            if doubtful
                && !proven
                && is_unwritten(&bytes[from.min(until)..until], offset + from as u64) =>
        {
            Tail::Torn { beyond }
        }
        Some((_, followed_by)) => Tail::Damaged { followed_by },
    }
}

/// Moves `at` to the next whole record of a position from the expected one on.
fn find_record(bytes: &[u8], at: &mut usize, expected: Expected) -> Option<RecordHead> {
    let records_max = (bytes.len() / RECORD_HEAD) as u64;
    let positions = expected.position..=expected.position.saturating_add(records_max);
    while *at + RECORD_HEAD <= bytes.len() {
        let rest = &bytes[*at..];
        // Mark and position rule out nearly all offsets without a checksum.
        if rest[..2] == MARK
            && positions.contains(&u64_at(rest, POSITION))
            && let Some(head) = RecordHead::decode(rest)
            && let Some(body) = rest.get(RECORD_HEAD..head.bytes())
            && crc32c::crc32c(body) == head.body_check
        {
            return Some(head);
        }
        *at += 1;
    }
    None
}

/// Whether the bytes, which begin at `offset` in their file, hold a sector of zeros, or at their
/// front the zero end of one: what a file shows where it grew and the sector was never written.
fn is_unwritten(bytes: &[u8], offset: u64) -> bool {
    let mut end = SECTOR - offset % SECTOR;
    let mut start = 0;
    while end <= bytes.len() as u64 {
        if bytes[start..end as usize].iter().all(|&byte| byte == 0) {
            return true;
        }
        start = end as usize;
        end += SECTOR;
    }
    false
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
