//! The bytes of a snapshot, without any file: a head, the state in chunks, a tail.
//!
//! All numbers are little-endian. `check` is a CRC-32C of all bytes of the file before it that are
//! no checksum of a chunk or of the tail, so that a chunk lost or in the wrong place is seen.
//!
//! | head | bytes | | chunk | bytes | | tail | bytes |
//! |---|---|---|---|---|---|---|---|
//! | `twinsnap` | 8 | | length, not 0 | 4 | | zero | 4 |
//! | version of the format | 2 | | check | 4 | | bytes of the state | 8 |
//! | length of the whole head | 2 | | state | length | | check | 4 |
//! | position, epoch, fingerprints | 8 each | | | | | | |
//! | created | 8 | | | | | | |
//! | tenant and plan: length, bytes | 2 + n each | | | | | | |
//! | check | 4 | | | | | | |

/// The version of the format that this build writes.
pub const VERSION: u16 = 1;
/// The longest chunk in bytes; bounds what a reader allocates.
pub const CHUNK_MAX: usize = 1 << 20;
/// Bytes of a chunk before its state.
pub const CHUNK_HEAD: usize = 8;
/// Bytes of the tail.
pub const TAIL: usize = 16;
/// The longest head: two names of at most so many bytes and the fixed part.
pub const HEAD_MAX: usize = HEAD_FIXED + 2 * NAME_MAX;
/// The longest name of a plan or tenant in bytes.
pub const NAME_MAX: usize = 100;

const MAGIC: [u8; 8] = *b"twinsnap";
/// Magic, version, length, five numbers, two lengths, check.
const HEAD_FIXED: usize = 8 + 2 + 2 + 5 * 8 + 2 * 2 + 4;
/// Magic, version and length, which say how long the head is.
const HEAD_START: usize = 12;

/// What a snapshot says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose plan it is.
    pub tenant: String,
    /// The plan.
    pub plan: String,
    /// The last position of the plan's log that the state contains.
    pub position: u64,
    /// The epoch of the entry at that position.
    pub epoch: u64,
    /// A fingerprint of the plan's state, by which copies are compared: two nodes of the same
    /// program in the same state give the same. Results that wait in front of the state are not in
    /// it, since how far they have left is another matter at each node. It says nothing of damage;
    /// for that there are the checks.
    pub state_fingerprint: u64,
    /// A fingerprint of the plan's text.
    pub text_fingerprint: u64,
    /// When it was made, in milliseconds since 1970 by the maker's clock.
    pub created: i64,
}

/// How a snapshot lies to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The log holds the entry that the state ends with, or begins right after it.
    OnLog,
    /// Its history is the log's or a later one, and it goes further: the log begins anew after it.
    Beyond,
    /// The log no longer holds what follows it.
    Before,
    /// The log has other entries there, of a later epoch: its history was given up.
    GivenUp,
}

impl Header {
    /// How the snapshot lies to a log: `epoch_at` is the epoch of the log's entry at the snapshot's
    /// position, if the log reaches there, `first` the first position it holds, `end` the epoch
    /// and the position of its last entry.
    pub fn fit(&self, epoch_at: Option<u64>, first: u64, end: (u64, u64)) -> Fit {
        if epoch_at == Some(self.epoch) {
            Fit::OnLog
        } else if (self.epoch, self.position) > end {
            Fit::Beyond
        } else if self.position + 1 < first {
            Fit::Before
        } else {
            Fit::GivenUp
        }
    }
}

/// Why bytes are no snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They end too early.
    Short,
    /// They are not what was written.
    Damaged(&'static str),
    /// A newer version wrote them, in this format.
    Newer(u16),
}

/// The head as bytes, and the check to go on with.
pub fn encode_head(header: &Header) -> (Vec<u8>, u32) {
    let mut out = Vec::with_capacity(HEAD_MAX);
    let length = HEAD_FIXED + header.tenant.len() + header.plan.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&short(length).to_le_bytes());
    let Header { position, epoch, state_fingerprint, text_fingerprint, .. } = *header;
    for number in [position, epoch, state_fingerprint, text_fingerprint] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&header.created.to_le_bytes());
    for name in [&header.tenant, &header.plan] {
        out.extend_from_slice(&short(name.len()).to_le_bytes());
        out.extend_from_slice(name.as_bytes());
    }
    let check = crc32c::crc32c(&out);
    out.extend_from_slice(&check.to_le_bytes());
    (out, check)
}

/// Reads the head at the front of `bytes`, of which [`HEAD_MAX`] are enough; gives its length and
/// the check to go on with.
///
/// # Errors
/// What is wrong with it.
pub fn decode_head(bytes: &[u8]) -> Result<(Header, usize, u32), Fault> {
    if bytes.len() < HEAD_START {
        return Err(Fault::Short);
    }
    if bytes[..8] != MAGIC {
        return Err(Fault::Damaged("it does not begin as a snapshot does"));
    }
    let length = usize::from(u16_at(bytes, 10));
    let head = bytes.get(..length).ok_or(Fault::Short)?;
    let Some((content, check)) = head.split_last_chunk::<4>() else {
        return Err(Fault::Damaged("the length of its head is wrong"));
    };
    let check = u32::from_le_bytes(*check);
    if check != crc32c::crc32c(content) {
        return Err(Fault::Damaged("the checksum of its head is wrong"));
    }
    match u16_at(bytes, 8) {
        VERSION => {}
        newer => return Err(Fault::Newer(newer)),
    }
    let fields = || {
        let mut rest = content.get(HEAD_START..)?;
        let mut number = || {
            let (bytes, left) = rest.split_first_chunk::<8>()?;
            rest = left;
            Some(u64::from_le_bytes(*bytes))
        };
        let (position, epoch) = (number()?, number()?);
        let (state_fingerprint, text_fingerprint) = (number()?, number()?);
        let created = number()?.cast_signed();
        let (tenant, rest) = name(rest)?;
        let (plan, rest) = name(rest)?;
        let whole = rest.is_empty();
        whole.then_some(Header {
            tenant,
            plan,
            position,
            epoch,
            state_fingerprint,
            text_fingerprint,
            created,
        })
    };
    let header = fields().ok_or(Fault::Damaged("the fields of its head do not fit"))?;
    Ok((header, length, check))
}

/// Appends a chunk.
///
/// # Panics
/// If the state is empty or longer than [`CHUNK_MAX`].
pub fn encode_chunk(out: &mut Vec<u8>, state: &[u8], check: u32) -> u32 {
    assert!((1..=CHUNK_MAX).contains(&state.len()), "a chunk has 1 to {CHUNK_MAX} bytes");
    let length = (state.len() as u32).to_le_bytes();
    let check = crc32c::crc32c_append(crc32c::crc32c_append(check, &length), state);
    out.extend_from_slice(&length);
    out.extend_from_slice(&check.to_le_bytes());
    out.extend_from_slice(state);
    check
}

/// Appends the tail.
pub fn encode_tail(out: &mut Vec<u8>, state_bytes: u64, check: u32) {
    let start = out.len();
    out.extend_from_slice(&0u32.to_le_bytes());
    out.extend_from_slice(&state_bytes.to_le_bytes());
    let check = crc32c::crc32c_append(check, &out[start..]);
    out.extend_from_slice(&check.to_le_bytes());
}

/// What stands behind the head or a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A chunk with so many bytes of state.
    Chunk(usize),
    /// The tail.
    Tail,
}

/// Reads the length at the front of `bytes`.
///
/// # Errors
/// If there are fewer than four bytes, or it cannot be.
pub fn decode_next(bytes: &[u8]) -> Result<Next, Fault> {
    let length = bytes.first_chunk::<4>().ok_or(Fault::Short)?;
    match u32::from_le_bytes(*length) as usize {
        0 => Ok(Next::Tail),
        length if length <= CHUNK_MAX => Ok(Next::Chunk(length)),
        _ => Err(Fault::Damaged("a chunk is longer than a chunk may be")),
    }
}

/// Checks a whole chunk; gives the check to go on with.
///
/// # Errors
/// If it is not what was written.
pub fn check_chunk(chunk: &[u8], check: u32) -> Result<u32, Fault> {
    let Some((head, state)) = chunk.split_first_chunk::<CHUNK_HEAD>() else {
        return Err(Fault::Short);
    };
    let check = crc32c::crc32c_append(crc32c::crc32c_append(check, &head[..4]), state);
    if check == u32_at(head, 4) {
        Ok(check)
    } else {
        Err(Fault::Damaged("the checksum of a chunk is wrong"))
    }
}

/// Reads the bytes of state that a tail speaks of. Without the check so far it can only be seen
/// whether it looks like a tail.
///
/// # Errors
/// If it is no tail, or the check is wrong.
pub fn decode_tail(tail: &[u8], check: Option<u32>) -> Result<u64, Fault> {
    let tail = tail.first_chunk::<TAIL>().ok_or(Fault::Short)?;
    if u32_at(tail, 0) != 0 {
        return Err(Fault::Damaged("it does not end as a snapshot does"));
    }
    let wrong = |check| crc32c::crc32c_append(check, &tail[..12]) != u32_at(tail, 12);
    if check.is_some_and(wrong) {
        return Err(Fault::Damaged("the checksum of the whole is wrong"));
    }
    Ok(u64::from_le_bytes(tail[4..12].try_into().expect("eight bytes")))
}

/// The least bytes of a file whose head is so long and whose state has so many bytes.
pub fn file_bytes_min(head: usize, state: u64) -> u64 {
    let chunks = state.div_ceil(CHUNK_MAX as u64);
    (head + TAIL) as u64 + state.saturating_add(chunks.saturating_mul(CHUNK_HEAD as u64))
}

fn name(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (name, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    Some((String::from_utf8(name.to_vec()).ok()?, rest))
}

fn short(length: usize) -> u16 {
    u16::try_from(length).expect("names were checked to be short")
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
