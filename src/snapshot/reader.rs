//! Reads a snapshot piece by piece, checking all of it on the way.

use crate::disk::DiskFile;
use crate::snapshot::SnapshotError;
use crate::snapshot::format;
use crate::snapshot::format::CHUNK_HEAD;
use crate::snapshot::format::Fault;
use crate::snapshot::format::HEAD_MAX;
use crate::snapshot::format::Header;
use crate::snapshot::format::Next;
use crate::snapshot::format::TAIL;
use std::path::Path;
use std::path::PathBuf;

/// Gives the state of a snapshot in chunks. Only when the last was given is all known to be right.
#[derive(Debug)]
pub struct SnapshotReader<F> {
    file: F,
    path: PathBuf,
    header: Header,
    length: u64,
    /// Where the next chunk begins.
    offset: u64,
    check: u32,
    /// Bytes of state given so far.
    given: u64,
    limit: u64,
    buffer: Vec<u8>,
    is_done: bool,
}

impl<F: DiskFile> SnapshotReader<F> {
    /// Reads the head. State beyond `limit` bytes is refused.
    pub(crate) fn new(file: F, path: &Path, limit: u64) -> Result<Self, SnapshotError> {
        let failed = |error| SnapshotError::io("read", path, error);
        let length = file.length().map_err(failed)?;
        let mut bytes = [0; HEAD_MAX];
        let count = file.read_at(&mut bytes, 0).map_err(failed)?;
        let (header, head, check) = format::decode_head(&bytes[..count])
            .map_err(|fault| SnapshotError::fault(path, 0, fault))?;
        Ok(SnapshotReader {
            file,
            path: path.to_owned(),
            header,
            length,
            offset: head as u64,
            check,
            given: 0,
            limit,
            buffer: Vec::new(),
            is_done: false,
        })
    }

    /// What the snapshot says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next piece of state; nothing after the last, and then all of the file was right.
    ///
    /// # Errors
    /// The file is damaged or too long, or what the system says.
    pub fn next_chunk(&mut self) -> Result<Option<&[u8]>, SnapshotError> {
        if self.is_done {
            return Ok(None);
        }
        self.read(CHUNK_HEAD)?;
        match format::decode_next(&self.buffer).map_err(|fault| self.fault(fault))? {
            Next::Chunk(length) => {
                self.given += length as u64;
                if self.given > self.limit {
                    let file = self.path.clone();
                    return Err(SnapshotError::TooLong { file, limit: self.limit });
                }
                self.read(CHUNK_HEAD + length)?;
                self.check = format::check_chunk(&self.buffer, self.check)
                    .map_err(|fault| self.fault(fault))?;
                self.offset += self.buffer.len() as u64;
                Ok(Some(&self.buffer[CHUNK_HEAD..]))
            }
            Next::Tail => {
                self.read(TAIL)?;
                let bytes = format::decode_tail(&self.buffer, Some(self.check))
                    .map_err(|fault| self.fault(fault))?;
                if bytes != self.given || self.offset + TAIL as u64 != self.length {
                    return Err(self.fault(Fault::Damaged("its length is wrong")));
                }
                self.is_done = true;
                Ok(None)
            }
        }
    }

    /// All of the state that was not given yet.
    ///
    /// # Errors
    /// As [`SnapshotReader::next_chunk`].
    pub fn read_all(&mut self) -> Result<Vec<u8>, SnapshotError> {
        // The file's length bounds the state's: a false number in it allocates nothing.
        let bytes = self.length.saturating_sub(self.offset).min(self.limit);
        let mut state = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        while let Some(chunk) = self.next_chunk()? {
            state.extend_from_slice(chunk);
        }
        Ok(state)
    }

    /// Goes to the end, to see whether all is right; gives the bytes of state.
    pub(crate) fn verify(mut self) -> Result<(Header, u64), SnapshotError> {
        while self.next_chunk()?.is_some() {}
        Ok((self.header, self.given))
    }

    /// Looks at head, tail and length only.
    pub(crate) fn glance(self) -> Result<Header, SnapshotError> {
        let mut tail = [0; TAIL];
        let at = self.length.saturating_sub(TAIL as u64);
        let read = self.file.read_at(&mut tail, at);
        let count = read.map_err(|error| SnapshotError::io("read", &self.path, error))?;
        let state = format::decode_tail(&tail[..count], None);
        let state = state.map_err(|fault| SnapshotError::fault(&self.path, at, fault))?;
        if self.length < format::file_bytes_min(self.offset as usize, state) {
            return Err(SnapshotError::fault(&self.path, at, Fault::Short));
        }
        Ok(self.header)
    }

    fn read(&mut self, bytes: usize) -> Result<(), SnapshotError> {
        self.buffer.resize(bytes, 0);
        let read = self.file.read_at(&mut self.buffer, self.offset);
        let count = read.map_err(|error| SnapshotError::io("read", &self.path, error))?;
        if count < bytes { Err(self.fault(Fault::Short)) } else { Ok(()) }
    }

    fn fault(&self, fault: Fault) -> SnapshotError {
        SnapshotError::fault(&self.path, self.offset, fault)
    }
}
