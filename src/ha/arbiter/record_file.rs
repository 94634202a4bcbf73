//! The file in which a witness keeps the record: written whole, synced, then renamed into place.

use crate::ha::protocol::Record;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

/// Opens every file; the last byte is the version of the form.
const MAGIC: &[u8; 8] = b"TWRECRD\x01";
/// Far above what a record with all plans of a node takes.
const BYTES_MAX: u64 = 16 << 20;

/// What a witness keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The cluster whose record it is.
    pub cluster: String,
    /// The record.
    pub record: Record,
}

/// The file.
#[derive(Debug)]
pub struct RecordFile {
    path: PathBuf,
}

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordFileError {
    /// It is not what a witness wrote.
    #[error("`{}` is damaged or no witness's file: {reason}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system refuses.
    #[error("`{}`: {error}", path.display())]
    System {
        /// Which file.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
}

impl RecordFile {
    /// The file at this path; nothing is opened yet.
    pub fn new(path: &Path) -> RecordFile {
        RecordFile { path: path.to_owned() }
    }

    /// What it holds; `None` if there is no file.
    ///
    /// # Errors
    /// It is damaged or cannot be read.
    pub fn load(&self) -> Result<Option<Kept>, RecordFileError> {
        let read = fs::metadata(&self.path).and_then(|found| match found.len() {
            length if length > BYTES_MAX => Ok(None),
            _ => fs::read(&self.path).map(Some),
        });
        match read {
            Ok(Some(bytes)) => decode(&bytes).map(Some).map_err(|reason| self.damaged(&reason)),
            Ok(None) => Err(self.damaged("it is too large")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(RecordFileError::System { path: self.path.clone(), error }),
        }
    }

    /// Writes it so that it lasts. After an error either state may last.
    ///
    /// # Errors
    /// The system refuses.
    pub fn store(&self, kept: &Kept) -> io::Result<()> {
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let mut file = File::create(&beside)?;
        file.write_all(&encode(kept))?;
        file.sync_all()?;
        drop(file);
        fs::rename(&beside, &self.path)?;
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder)?.sync_all()
    }

    fn damaged(&self, reason: &str) -> RecordFileError {
        RecordFileError::Damaged { path: self.path.clone(), reason: reason.to_owned() }
    }
}

/// Magic, checksum of the rest, length of the cluster's name, the name, the record.
fn encode(kept: &Kept) -> Vec<u8> {
    let length = u32::try_from(kept.cluster.len()).expect("a name is short");
    let mut rest = length.to_le_bytes().to_vec();
    rest.extend(kept.cluster.as_bytes());
    rest.extend(kept.record.encode());
    let mut bytes = MAGIC.to_vec();
    bytes.extend(crc32c::crc32c(&rest).to_le_bytes());
    bytes.extend(rest);
    bytes
}

fn decode(bytes: &[u8]) -> Result<Kept, String> {
    let Some(bytes) = bytes.strip_prefix(MAGIC) else {
        return Err("it does not begin as one".to_owned());
    };
    let parts = bytes.split_first_chunk::<4>();
    let (checksum, rest) = parts.ok_or("it ends too soon")?;
    if crc32c::crc32c(rest) != u32::from_le_bytes(*checksum) {
        return Err("its checksum does not fit".to_owned());
    }
    let (length, rest) = rest.split_first_chunk::<4>().ok_or("it ends too soon")?;
    let length = u32::from_le_bytes(*length) as usize;
    let (name, body) = rest.split_at_checked(length).ok_or("it ends too soon")?;
    let cluster = std::str::from_utf8(name).map_err(|error| error.to_string())?.to_owned();
    let record = Record::decode(body).map_err(|error| error.to_string())?;
    Ok(Kept { cluster, record })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ha::protocol::ArbiterId;

    fn kept() -> Kept {
        Kept { cluster: "gate".to_owned(), record: Record::virgin(ArbiterId(7), 2_000) }
    }

    #[test]
    fn what_was_stored_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let file = RecordFile::new(&folder.path().join("record"));
        assert_eq!(file.load().unwrap(), None);
        file.store(&kept()).unwrap();
        let mut next = kept();
        next.record.version = next.record.version.next();
        file.store(&next).unwrap();
        assert_eq!(file.load().unwrap(), Some(next));
    }

    #[test]
    fn every_flipped_byte_is_noticed_and_the_file_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        let file = RecordFile::new(&path);
        let good = encode(&kept());
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x10;
            assert!(decode(&bytes).is_err(), "byte {at}");
            assert!(decode(&good[..at]).is_err(), "cut to {at}");
        }
        fs::write(&path, &good[..good.len() - 1]).unwrap();
        let error = file.load().unwrap_err().to_string();
        assert!(error.contains("checksum") && error.contains("record`"), "{error}");
    }

    #[test]
    fn the_form_is_that_of_the_sample() {
        let bytes = encode(&kept());
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "5457524543524401091f114b0400000067617465070000000000d00f00");
    }
}
