//! State as bytes: frozen in a moment, written by another thread, read back part by part.
//!
//! Saving copies what is small and shares what is large: sealed segments of rows go in as handles,
//! so that freezing takes time by the number of segments and not of rows. State is cut in sections,
//! one an operator, each under an id that survives small edits of the plan.

use crate::event::Batch;
use crate::event::Map;
use crate::event::codec;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use std::fmt;
use std::sync::Arc;

/// The format of the whole; sections carry versions of their own. Since 2 a plan's state says what
/// of the plan each section belongs to.
const FORMAT: u16 = 2;

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

/// Takes state while the engine stands still.
#[derive(Debug, Default)]
pub struct StateWriter {
    sections: Vec<(String, Vec<Part>)>,
}

impl StateWriter {
    /// Begins the section of an operator; all that follows belongs to it.
    pub fn section(&mut self, id: impl Into<String>, version: u16) {
        self.sections.push((id.into(), Vec::new()));
        self.put(&version);
    }

    /// Appends something small by copy.
    ///
    /// # Panics
    /// If no section was begun.
    pub fn put<T: Encode>(&mut self, item: &T) {
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
        let (_, parts) = self.sections.last_mut().expect("a section is begun before state is put");
        parts.push(Part::Rows(Arc::clone(rows)));
    }

    /// Appends records by handle; they are read back as a vector.
    ///
    /// # Panics
    /// If no section was begun.
    pub fn share_list<T: Encode + Send + Sync + 'static>(&mut self, records: &Arc<Vec<T>>) {
        let (_, parts) = self.sections.last_mut().expect("a section is begun before state is put");
        parts.push(Part::List(Arc::new(List(Arc::clone(records)))));
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

impl Frozen {
    /// The state as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        FORMAT.encode(&mut out);
        (self.sections.len() as u32).encode(&mut out);
        for (id, parts) in &self.sections {
            crate::event::Text::from(id.as_str()).encode(&mut out);
            let mark = out.len();
            0u64.encode(&mut out);
            for part in parts {
                match part {
                    Part::Bytes(bytes) => out.extend_from_slice(bytes),
                    Part::Rows(rows) => rows.encode(&mut out),
                    Part::List(list) => list.write(&mut out),
                }
            }
            let length = (out.len() - mark - 8) as u64;
            out[mark..mark + 8].copy_from_slice(&length.to_le_bytes());
        }
        out
    }
}

/// Saved state, taken apart into sections.
#[derive(Debug)]
pub struct SavedState<'a> {
    sections: Map<String, &'a [u8]>,
}

impl<'a> SavedState<'a> {
    /// Takes apart what [`Frozen::to_bytes`] wrote.
    ///
    /// # Errors
    /// If the bytes are damaged or of a newer format.
    pub fn parse(mut bytes: &'a [u8]) -> Result<SavedState<'a>, LoadError> {
        let from = &mut bytes;
        let found = u16::decode(from)?;
        if found > FORMAT {
            return Err(LoadError::Newer { found, known: FORMAT });
        }
        let mut sections = Map::default();
        for _ in 0..u32::decode(from)? {
            let id = crate::event::Text::decode(from)?;
            let length = usize::decode(from)?;
            sections.insert(id.to_string(), codec::take(from, length)?);
        }
        if from.is_empty() { Ok(SavedState { sections }) } else { Err(LoadError::Malformed) }
    }

    /// Whether there is a section of this id.
    pub fn has(&self, id: &str) -> bool {
        self.sections.contains_key(id)
    }

    /// The section of an operator, if its version is known.
    ///
    /// # Errors
    /// If the section is missing or was written by a newer version.
    pub fn section(&self, id: &str, version: u16) -> Result<StateReader<'a>, LoadError> {
        let bytes = self.sections.get(id).ok_or_else(|| {
            LoadError::Other(format!("saved state has nothing of `{id}`: it is of another plan"))
        })?;
        let mut reader = StateReader { bytes };
        let found: u16 = reader.get()?;
        if found > version {
            return Err(LoadError::Newer { found, known: version });
        }
        Ok(reader)
    }
}

/// Reads one section in the order in which it was written.
#[derive(Debug)]
pub struct StateReader<'a> {
    bytes: &'a [u8],
}

impl StateReader<'_> {
    /// The next item.
    ///
    /// # Errors
    /// If the bytes are not of such an item.
    pub fn get<T: Encode>(&mut self) -> Result<T, LoadError> {
        Ok(T::decode(&mut self.bytes)?)
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
        self.bytes.is_empty()
    }
}
