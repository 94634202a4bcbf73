//! State as bytes: frozen in a moment, written by another thread, read back part by part.
//!
//! Saving copies what is small and shares what is large: sealed segments of rows go in as handles,
//! so that freezing takes time by the number of segments and not of rows. State is cut in sections,
//! one an operator, each under an id that survives small edits of the plan.
//!
//! The bytes never lie together: they are made and taken piece by piece, since state may fill most
//! of the memory there is. The length of a section stands before it, so all is gone through twice.

use crate::engine::pieces::Pieces;
use crate::event::Batch;
use crate::event::Map;
use crate::event::Text;
use crate::event::codec;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use crate::event::hash_bytes;
use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

/// The format of the whole; sections carry versions of their own. Since 2 a plan's state says what
/// of the plan each section belongs to.
const FORMAT: u16 = 2;

/// Bytes of a piece in which state is written.
pub(super) const PIECE: usize = 256 << 10;

/// Why saved state cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The bytes are damaged.
    Malformed,
    /// The state was written by a newer version.
    Newer {
        /// The version found.
        found: u16,
        /// The newest version known here.
        known: u16,
    },
    /// The state belongs to another plan.
    Other(String),
}

impl fmt::Display for LoadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Malformed => formatter.write_str("saved state is damaged"),
            LoadError::Newer { found, known } => {
                write!(
                    formatter,
                    "saved state has format {found}, this version knows up to {known}"
                )
            }
            LoadError::Other(what) => formatter.write_str(what),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<Malformed> for LoadError {
    fn from(_: Malformed) -> Self {
        LoadError::Malformed
    }
}

#[derive(Clone, Debug)]
enum Part {
    Bytes(Vec<u8>),
    Rows(Arc<Batch>),
    List(Arc<dyn Written>),
}

impl Part {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Part::Bytes(part) => out.extend_from_slice(part),
            Part::Rows(rows) => rows.encode(out),
            Part::List(list) => list.write(out),
        }
    }
}

/// What can be written later, by another thread.
trait Written: fmt::Debug + Send + Sync {
    fn write(&self, out: &mut Vec<u8>);
}

/// Hides what a list is of.
struct List<T>(Arc<Vec<T>>);

impl<T> fmt::Debug for List<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} records", self.0.len())
    }
}

impl<T: Encode + Send + Sync> Written for List<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

/// Takes state while the engine stands still, or only counts its bytes.
#[derive(Debug, Default)]
pub struct StateWriter {
    sections: Vec<(String, Vec<Part>)>,
    /// Where bytes are only counted: how many there are.
    counted: Option<u64>,
}

impl StateWriter {
    /// One that takes nothing and only counts: what is large is not gone through for that, save
    /// texts and records.
    pub fn counting() -> StateWriter {
        StateWriter { sections: Vec::new(), counted: Some(head(0).len() as u64) }
    }

    /// Begins the section of an operator; all that follows belongs to it.
    pub fn section(&mut self, id: impl Into<String>, version: u16) {
        match &mut self.counted {
            Some(bytes) => *bytes += section_head(&id.into(), 0).len() as u64,
            None => self.sections.push((id.into(), Vec::new())),
        }
        self.put(&version);
    }

    /// Appends something small by copy.
    ///
    /// # Panics
    /// If no section was begun.
    pub fn put<T: Encode>(&mut self, item: &T) {
        if let Some(bytes) = &mut self.counted {
            *bytes += item.encoded_bytes();
            return;
        }
        let (_, parts) = self.sections.last_mut().expect("a section is begun before state is put");
        if let Some(Part::Bytes(bytes)) = parts.last_mut() {
            return item.encode(bytes);
        }
        let mut bytes = Vec::new();
        item.encode(&mut bytes);
        parts.push(Part::Bytes(bytes));
    }

    /// Appends rows by handle; nothing is copied until the frozen state is written.
    ///
    /// # Panics
    /// If no section was begun.
    pub fn share(&mut self, rows: &Arc<Batch>) {
        if let Some(bytes) = &mut self.counted {
            *bytes += rows.encoded_bytes();
            return;
        }
        let (_, parts) = self.sections.last_mut().expect("a section is begun before state is put");
        parts.push(Part::Rows(Arc::clone(rows)));
    }

    /// As [`StateWriter::share`], for many of which it is known how many bytes they are together:
    /// to count them takes no time then.
    pub fn share_all<'a>(&mut self, all: impl Iterator<Item = &'a Arc<Batch>>, bytes: u64) {
        match &mut self.counted {
            Some(counted) => *counted += bytes,
            None => all.for_each(|rows| self.share(rows)),
        }
    }

    /// Appends records by handle; they are read back as a vector.
    ///
    /// # Panics
    /// If no section was begun.
    pub fn share_list<T: Encode + Send + Sync + 'static>(&mut self, records: &Arc<Vec<T>>) {
        if let Some(bytes) = &mut self.counted {
            *bytes += records.encoded_bytes();
            return;
        }
        let (_, parts) = self.sections.last_mut().expect("a section is begun before state is put");
        parts.push(Part::List(Arc::new(List(Arc::clone(records)))));
    }

    /// The bytes counted, as many as [`Frozen::measure`] would find; 0 where none were.
    pub fn counted(&self) -> u64 {
        self.counted.unwrap_or(0)
    }

    /// Ends the taking.
    pub fn freeze(self) -> Frozen {
        Frozen { sections: self.sections }
    }
}

/// State as it stood at one moment. The engine may go on; another thread may write it.
#[derive(Clone, Debug)]
pub struct Frozen {
    sections: Vec<(String, Vec<Part>)>,
}

/// What is known of frozen state once all of it was gone through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// How many bytes it is when written.
    pub bytes: u64,
    /// A number that equal states share.
    pub fingerprint: u64,
    /// Bytes of each section.
    lengths: Vec<u64>,
}

impl Frozen {
    /// Goes through all of the state, holding little of it at a time.
    pub fn measure(&self) -> Measure {
        let mut lengths = Vec::with_capacity(self.sections.len());
        let (mut head, mut fingerprint) = (head(self.sections.len()).len(), 0);
        for (id, parts) in &self.sections {
            let mut length = 0;
            let each = |piece: &[u8]| {
                length += piece.len() as u64;
                fingerprint = mix(fingerprint, hash_bytes(piece));
                Ok::<(), Infallible>(())
            };
            let Ok(()) = each_piece(parts, each);
            fingerprint = mix(fingerprint, mix(hash_bytes(id.as_bytes()), length));
            head += section_head(id, length).len();
            lengths.push(length);
        }
        Measure { bytes: head as u64 + lengths.iter().sum::<u64>(), fingerprint, lengths }
    }

    /// Writes the state piece by piece; the measure is its own.
    ///
    /// # Errors
    /// What `put` says.
    pub fn write<E>(
        &self,
        measure: &Measure,
        mut put: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        put(&head(self.sections.len()))?;
        for ((id, parts), length) in self.sections.iter().zip(&measure.lengths) {
            put(&section_head(id, *length))?;
            each_piece(parts, &mut put)?;
        }
        Ok(())
    }

    /// The state as bytes that are made while they are read, one part at a time.
    pub fn pieces(self: &Arc<Self>) -> Pieces {
        let (state, lengths) = (Arc::clone(self), self.measure().lengths);
        let mut begin = head(self.sections.len());
        let (mut section, mut part) = (0, 0);
        Pieces::new(move |into| {
            if !begin.is_empty() {
                into.append(&mut begin);
                return Ok(true);
            }
            let Some((id, parts)) = state.sections.get(section) else { return Ok(false) };
            if part == 0 {
                into.extend(section_head(id, lengths[section]));
            }
            match parts.get(part) {
                Some(next) => {
                    next.encode(into);
                    part += 1;
                }
                None => (section, part) = (section + 1, 0),
            }
            Ok(true)
        })
    }

    /// One section, to be read.
    fn section(self: &Arc<Self>, place: usize) -> Origin<'static> {
        let (state, mut left) = (Arc::clone(self), 0);
        let Ok(()) = each_piece(&self.sections[place].1, |piece| {
            left += piece.len() as u64;
            Ok::<(), Infallible>(())
        });
        let mut part = 0;
        let pieces = Pieces::new(move |into| {
            let Some(next) = state.sections[place].1.get(part) else { return Ok(false) };
            next.encode(into);
            part += 1;
            Ok(true)
        });
        Origin::Made { pieces, left }
    }

    /// The state as bytes, for one that is known to be small.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let Ok(()) = self.write(&self.measure(), |piece| {
            bytes.extend_from_slice(piece);
            Ok::<(), Infallible>(())
        });
        bytes
    }
}

fn head(sections: usize) -> Vec<u8> {
    let mut head = Vec::new();
    FORMAT.encode(&mut head);
    (sections as u32).encode(&mut head);
    head
}

fn section_head(id: &str, length: u64) -> Vec<u8> {
    let mut head = Vec::new();
    Text::from(id).encode(&mut head);
    length.encode(&mut head);
    head
}

/// Gives the bytes of a section; each piece but the last has [`PIECE`] of them.
fn each_piece<E>(parts: &[Part], mut put: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut bytes = Vec::with_capacity(2 * PIECE);
    for part in parts {
        part.encode(&mut bytes);
        let mut pieces = bytes.chunks_exact(PIECE);
        pieces.by_ref().try_for_each(&mut put)?;
        let left = pieces.remainder().len();
        bytes.drain(..bytes.len() - left);
    }
    if bytes.is_empty() { Ok(()) } else { put(&bytes) }
}

/// A number for two numbers in their order.
fn mix(one: u64, other: u64) -> u64 {
    let mut both = [0; 16];
    both[..8].copy_from_slice(&one.to_le_bytes());
    both[8..].copy_from_slice(&other.to_le_bytes());
    hash_bytes(&both)
}

/// Saved state, taken apart into sections.
#[derive(Debug)]
pub struct SavedState<'a> {
    /// Those at hand.
    sections: Map<String, Section<'a>>,
    coming: Option<Coming>,
}

/// A section at hand.
#[derive(Debug)]
enum Section<'a> {
    Bytes(Cow<'a, [u8]>),
    /// Which one of frozen state.
    Frozen(Arc<Frozen>, usize),
}

/// Sections that have not come yet.
#[derive(Debug)]
struct Coming {
    pieces: Pieces,
    count: u32,
}

impl Coming {
    /// The id and the length of the next section.
    fn next(&mut self) -> Result<Option<(Text, u64)>, LoadError> {
        let Some(count) = self.count.checked_sub(1) else { return Ok(None) };
        self.count = count;
        Ok(Some((self.pieces.get()?, self.pieces.get()?)))
    }
}

impl<'a> SavedState<'a> {
    /// Takes apart what [`Frozen::write`] wrote.
    ///
    /// # Errors
    /// If the bytes are damaged or of a newer format.
    pub fn parse(mut bytes: &'a [u8]) -> Result<SavedState<'a>, LoadError> {
        let from = &mut bytes;
        check_format(u16::decode(from)?)?;
        let mut sections = Map::default();
        for _ in 0..u32::decode(from)? {
            let id = Text::decode(from)?;
            let length = usize::decode(from)?;
            let bytes = Cow::Borrowed(codec::take(from, length)?);
            sections.insert(id.to_string(), Section::Bytes(bytes));
        }
        let saved = SavedState { sections, coming: None };
        if from.is_empty() { Ok(saved) } else { Err(LoadError::Malformed) }
    }

    /// State as it was frozen. Of each section the bytes are made one part at a time while it is
    /// read.
    pub fn of(frozen: &Arc<Frozen>) -> SavedState<'static> {
        let each = |(place, (id, _)): (usize, &(String, Vec<Part>))| {
            (id.clone(), Section::Frozen(Arc::clone(frozen), place))
        };
        let sections = frozen.sections.iter().enumerate().map(each).collect();
        SavedState { sections, coming: None }
    }

    /// Takes apart what [`Frozen::write`] wrote as it comes. Sections that are [loaded] in the
    /// order in which they were written are never held whole.
    ///
    /// [loaded]: SavedState::load
    ///
    /// # Errors
    /// If the first bytes are damaged, do not come, or are of a newer format.
    pub fn coming(mut pieces: Pieces) -> Result<SavedState<'static>, LoadError> {
        check_format(pieces.get()?)?;
        let count = pieces.get()?;
        Ok(SavedState { sections: Map::default(), coming: Some(Coming { pieces, count }) })
    }

    /// Whether there is a section of this id among those at hand.
    pub fn has(&self, id: &str) -> bool {
        self.sections.contains_key(id)
    }

    /// The section of an operator among those at hand, if its version is known.
    ///
    /// # Errors
    /// If the section is missing or was written by a newer version.
    pub fn section(&self, id: &str, version: u16) -> Result<StateReader<'_>, LoadError> {
        let section = self.sections.get(id).ok_or_else(|| {
            LoadError::Other(format!("saved state has nothing of `{id}`: it is of another plan"))
        })?;
        let mut reader = StateReader(match section {
            Section::Bytes(bytes) => Origin::Here(bytes),
            Section::Frozen(frozen, place) => frozen.section(*place),
        });
        reader.check(version)?;
        Ok(reader)
    }

    /// Has the section of an operator loaded, of which nothing may be left over.
    ///
    /// # Errors
    /// If the section is missing, damaged, or was written by a newer version; or what `load` says.
    pub fn load(
        &mut self,
        id: &str,
        version: u16,
        load: impl FnOnce(&mut StateReader<'_>) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        while !self.has(id)
            && let Some(coming) = &mut self.coming
            && let Some((found, left)) = coming.next()?
        {
            let pieces = &mut coming.pieces;
            if found == id {
                let mut reader = StateReader(Origin::Coming { pieces, left });
                reader.check(version)?;
                return whole(reader, load);
            }
            let bytes = Section::Bytes(Cow::Owned(pieces.take(left)?));
            self.sections.insert(found.to_string(), bytes);
        }
        whole(self.section(id, version)?, load)
    }

    /// Whether a section of this id is at hand or the next to come.
    ///
    /// # Errors
    /// If the next is damaged or does not come.
    pub fn is_next(&mut self, id: &str) -> Result<bool, LoadError> {
        if !self.has(id)
            && let Some(coming) = &mut self.coming
            && let Some((found, left)) = coming.next()?
        {
            let bytes = Section::Bytes(Cow::Owned(coming.pieces.take(left)?));
            self.sections.insert(found.to_string(), bytes);
        }
        Ok(self.has(id))
    }

    /// Sees to it that the rest, which nobody asked for, is whole, too.
    ///
    /// # Errors
    /// If it is damaged or does not come.
    pub fn end(self) -> Result<(), LoadError> {
        let Some(mut coming) = self.coming else { return Ok(()) };
        while let Some((_, length)) = coming.next()? {
            coming.pieces.skip(length)?;
        }
        if coming.pieces.peek()?.is_none() { Ok(()) } else { Err(LoadError::Malformed) }
    }
}

/// Reads a section, of which nothing may be left over.
///
/// # Errors
/// If something is left, or what `load` says.
pub fn whole(
    mut section: StateReader<'_>,
    load: impl FnOnce(&mut StateReader<'_>) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    load(&mut section)?;
    if section.is_at_end() { Ok(()) } else { Err(LoadError::Malformed) }
}

fn check_format(found: u16) -> Result<(), LoadError> {
    if found > FORMAT { Err(LoadError::Newer { found, known: FORMAT }) } else { Ok(()) }
}

/// The next item of a section of which so many bytes are left.
fn next<T: Encode>(pieces: &mut Pieces, left: &mut u64) -> Result<T, LoadError> {
    let before = pieces.position();
    let item = pieces.get_within(*left)?;
    *left -= pieces.position() - before;
    Ok(item)
}

/// Reads one section in the order in which it was written.
#[derive(Debug)]
pub struct StateReader<'a>(Origin<'a>);

/// Where a section is read from.
#[derive(Debug)]
enum Origin<'a> {
    Here(&'a [u8]),
    Coming { pieces: &'a mut Pieces, left: u64 },
    Made { pieces: Pieces, left: u64 },
}

impl StateReader<'_> {
    /// The next item.
    ///
    /// # Errors
    /// If the bytes are not of such an item.
    pub fn get<T: Encode>(&mut self) -> Result<T, LoadError> {
        match &mut self.0 {
            Origin::Here(bytes) => Ok(T::decode(bytes)?),
            Origin::Coming { pieces, left } => next(pieces, left),
            Origin::Made { pieces, left } => next(pieces, left),
        }
    }

    /// Rows that were put in by handle.
    ///
    /// # Errors
    /// If the bytes are no batch.
    pub fn rows(&mut self) -> Result<Arc<Batch>, LoadError> {
        Ok(Arc::new(self.get()?))
    }

    /// Whether everything has been read.
    pub fn is_at_end(&self) -> bool {
        matches!(
            self.0,
            Origin::Here([]) | Origin::Coming { left: 0, .. } | Origin::Made { left: 0, .. }
        )
    }

    fn check(&mut self, version: u16) -> Result<(), LoadError> {
        let found: u16 = self.get()?;
        if found > version {
            return Err(LoadError::Newer { found, known: version });
        }
        Ok(())
    }
}
