//! Notes on disk which entry is being applied after a crash, to find the one that ends the process.
//!
//! A panic is caught; an abort or an endless loop is not, and the entry would end the process again
//! after every restart, and the standby too. So while a node applies what it finds in its log it
//! notes each position first. A position at which the process ended twice is skipped.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Ends of the process at one position after which it is skipped.
const DEATHS_MAX: u32 = 2;

/// The note of a plan.
#[derive(Debug)]
pub struct Suspect {
    file: File,
    /// The position at which the process ended before, and how often.
    last: Option<(u64, u32)>,
}

impl Suspect {
    /// Reads the note, or begins one.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut note = [0; NOTE];
        let last = match file.read_exact_at(&mut note, 0) {
            Ok(()) => read(&note).map(|(position, deaths)| (position, deaths + 1)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error),
        };
        Ok(Self { file, last })
    }

    /// The position that has to be skipped, if there is one.
    #[must_use]
    pub fn guilty(&self) -> Option<u64> {
        self.last.filter(|(_, deaths)| *deaths >= DEATHS_MAX).map(|(position, _)| position)
    }

    /// An entry is about to be applied.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn begin(&self, position: u64) -> io::Result<()> {
        let deaths =
            self.last.filter(|(last, _)| *last == position).map_or(0, |(_, deaths)| deaths);
        self.write(position, deaths)
    }

    /// What was found in the log has been applied: a later end is nobody's fault yet.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn clear(&mut self) -> io::Result<()> {
        self.last = None;
        self.write(0, 0)
    }

    /// In one write to the system: it outlives the process.
    fn write(&self, position: u64, deaths: u32) -> io::Result<()> {
        let mut note = [0; NOTE];
        note[..8].copy_from_slice(&position.to_le_bytes());
        note[8..12].copy_from_slice(&deaths.to_le_bytes());
        let check = crc32c::crc32c(&note[..12]);
        note[12..].copy_from_slice(&check.to_le_bytes());
        self.file.write_all_at(&note, 0)
    }
}

/// Bytes of a note.
const NOTE: usize = 16;

fn read(note: &[u8; NOTE]) -> Option<(u64, u32)> {
    let position = u64::from_le_bytes(note[..8].try_into().ok()?);
    let deaths = u32::from_le_bytes(note[8..12].try_into().ok()?);
    let check = u32::from_le_bytes(note[12..].try_into().ok()?);
    (check == crc32c::crc32c(&note[..12]) && position > 0).then_some((position, deaths))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_at_which_the_process_ended_twice_is_guilty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("applying");
        let open = || Suspect::open(&path).unwrap();
        assert_eq!(open().guilty(), None);
        open().begin(6).unwrap();
        open().begin(7).unwrap();
        let second = open();
        assert_eq!(second.guilty(), None, "once is not enough");
        second.begin(6).unwrap();
        second.begin(7).unwrap();
        assert_eq!(open().guilty(), Some(7));
        // What is cleared is forgiven, and so is what ended elsewhere in between.
        open().clear().unwrap();
        assert_eq!(open().guilty(), None);
        open().begin(7).unwrap();
        open().begin(8).unwrap();
        open().begin(7).unwrap();
        assert_eq!(open().guilty(), None);
        std::fs::write(&path, [1; NOTE]).unwrap();
        assert_eq!(open().guilty(), None, "a damaged note accuses nobody");
    }
}
