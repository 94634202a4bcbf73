//! Writes a snapshot under a temporary name and gives it its own when it is whole and synced.

use crate::disk::Disk;
use crate::disk::DiskFile;
use crate::snapshot::SnapshotError;
use crate::snapshot::Snapshots;
use crate::snapshot::folder::PART;
use crate::snapshot::folder::Reserved;
use crate::snapshot::format;
use crate::snapshot::format::CHUNK_MAX;
use crate::snapshot::format::Header;
use crate::snapshot::reader::SnapshotReader;
use std::path::PathBuf;

/// Bytes that are written before they are synced: a gigabyte at once would keep the disk from the
/// journals for as long as it takes.
const UNSYNCED_MAX: u64 = 16 << 20;

/// A snapshot being written. Dropped before [`SnapshotWriter::finish`], it leaves nothing.
#[derive(Debug)]
pub struct SnapshotWriter<D: Disk> {
    part: Part<D>,
    check: u32,
    /// Bytes of state put so far.
    state_bytes: u64,
    /// State that makes no whole chunk yet.
    open: Vec<u8>,
    /// A chunk as it is written.
    chunk: Vec<u8>,
}

impl<D: Disk> SnapshotWriter<D> {
    pub(crate) fn begin(
        snapshots: &Snapshots<D>,
        reserved: Reserved,
        header: &Header,
    ) -> Result<Self, SnapshotError> {
        let mut part = Part::begin(snapshots, reserved)?;
        let (head, check) = format::encode_head(header);
        part.write(&head)?;
        let (open, chunk) = (Vec::new(), Vec::new());
        Ok(SnapshotWriter { part, check, state_bytes: 0, open, chunk })
    }

    /// Appends state.
    ///
    /// # Errors
    /// [`SnapshotError::Full`] or what the system says.
    pub fn put(&mut self, mut state: &[u8]) -> Result<(), SnapshotError> {
        self.state_bytes += state.len() as u64;
        while !state.is_empty() {
            if self.open.is_empty() && state.len() >= CHUNK_MAX {
                let (chunk, rest) = state.split_at(CHUNK_MAX);
                self.write_chunk(chunk)?;
                state = rest;
                continue;
            }
            let (front, rest) = state.split_at(state.len().min(CHUNK_MAX - self.open.len()));
            self.open.extend_from_slice(front);
            state = rest;
            if self.open.len() == CHUNK_MAX {
                self.close_chunk()?;
            }
        }
        Ok(())
    }

    /// Ends the snapshot, makes it last and gives it its name, which is returned.
    ///
    /// # Errors
    /// [`SnapshotError::Full`] or what the system says; there is no snapshot then.
    pub fn finish(mut self) -> Result<String, SnapshotError> {
        if !self.open.is_empty() {
            self.close_chunk()?;
        }
        let mut tail = Vec::new();
        format::encode_tail(&mut tail, self.state_bytes, self.check);
        self.part.write(&tail)?;
        self.part.sync()?;
        self.part.publish()
    }

    fn close_chunk(&mut self) -> Result<(), SnapshotError> {
        let state = std::mem::take(&mut self.open);
        let written = self.write_chunk(&state);
        self.open = state;
        self.open.clear();
        written
    }

    fn write_chunk(&mut self, state: &[u8]) -> Result<(), SnapshotError> {
        self.chunk.clear();
        self.check = format::encode_chunk(&mut self.chunk, state, self.check);
        self.part.write(&self.chunk)
    }
}

/// The file of a snapshot that another node made, coming in. Dropped before
/// [`SnapshotReceiver::finish`], it leaves nothing.
#[derive(Debug)]
pub struct SnapshotReceiver<D: Disk> {
    part: Part<D>,
    /// What it says of itself, once all of it was found right.
    checked: Option<Header>,
}

impl<D: Disk> SnapshotReceiver<D> {
    pub(crate) fn begin(
        snapshots: &Snapshots<D>,
        reserved: Reserved,
    ) -> Result<Self, SnapshotError> {
        Ok(SnapshotReceiver { part: Part::begin(snapshots, reserved)?, checked: None })
    }

    /// Appends bytes of the file.
    ///
    /// # Errors
    /// [`SnapshotError::Full`] or what the system says.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.checked = None;
        self.part.write(bytes)
    }

    /// Checks the whole file and makes it last, still without its name: whoever does not want it
    /// after all drops this, and a restart does not find it.
    ///
    /// # Errors
    /// The file is damaged or another plan's, or what the system says.
    pub fn check(&mut self) -> Result<Header, SnapshotError> {
        let part = &mut self.part;
        part.sync()?;
        let reader = part.reader()?;
        part.snapshots.check_owner(&part.path, reader.header())?;
        let (header, _) = reader.verify()?;
        self.checked = Some(header.clone());
        Ok(header)
    }

    /// Checks the whole file, if that was not done, and gives it its name, which is returned with
    /// what the snapshot says of itself.
    ///
    /// # Errors
    /// The file is damaged or another plan's, or what the system says; there is no snapshot then.
    pub fn finish(mut self) -> Result<(String, Header), SnapshotError> {
        let header = match self.checked.take() {
            Some(header) => header,
            None => self.check()?,
        };
        Ok((self.part.publish()?, header))
    }
}

/// A file under its temporary name.
#[derive(Debug)]
struct Part<D: Disk> {
    snapshots: Snapshots<D>,
    reserved: Reserved,
    path: PathBuf,
    file: D::File,
    /// Bytes written.
    offset: u64,
    /// Bytes that are surely on the disk.
    synced: u64,
    is_published: bool,
}

impl<D: Disk> Part<D> {
    fn begin(snapshots: &Snapshots<D>, reserved: Reserved) -> Result<Part<D>, SnapshotError> {
        let (disk, folder) = (snapshots.disk(), snapshots.folder());
        let path = folder.join(format!("{}{}", reserved.name(), PART));
        let make = || {
            disk.create_folder(folder)?;
            if disk.open(&path).is_ok() {
                disk.remove(&path)?; // An earlier life left it; nobody else writes to the name.
            }
            disk.create(&path)
        };
        let file = make().map_err(|error| SnapshotError::io("create", &path, error))?;
        let snapshots = snapshots.clone();
        Ok(Part { snapshots, reserved, path, file, offset: 0, synced: 0, is_published: false })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let written = self.file.write_at(bytes, self.offset);
        written.map_err(|error| SnapshotError::io("write", &self.path, error))?;
        self.offset += bytes.len() as u64;
        if self.offset - self.synced >= UNSYNCED_MAX { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<(), SnapshotError> {
        self.file.sync().map_err(|error| SnapshotError::io("sync", &self.path, error))?;
        self.synced = self.offset;
        Ok(())
    }

    fn reader(&self) -> Result<SnapshotReader<D::File>, SnapshotError> {
        let opened = self.snapshots.disk().open(&self.path);
        let file = opened.map_err(|error| SnapshotError::io("open", &self.path, error))?;
        SnapshotReader::new(file, &self.path, u64::MAX)
    }

    fn publish(&mut self) -> Result<String, SnapshotError> {
        let (disk, folder) = (self.snapshots.disk(), self.snapshots.folder());
        let path = folder.join(self.reserved.name());
        let renamed = disk.rename(&self.path, &path);
        renamed.map_err(|error| SnapshotError::io("rename", &self.path, error))?;
        self.is_published = true;
        self.snapshots.sync_folder()?;
        Ok(self.reserved.name().to_owned())
    }
}

impl<D: Disk> Drop for Part<D> {
    fn drop(&mut self) {
        if !self.is_published {
            // If that fails too, pruning removes it.
            let _ = self.snapshots.disk().remove(&self.path);
        }
    }
}
