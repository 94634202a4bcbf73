//! How far each publisher has come, kept in a small file, so that a restart repeats little.
//!
//! The file only grows: each line of it is a publisher's name and a number, with a checksum. When
//! it has grown large it is written anew. A line cut short by a crash is passed over: then the
//! publisher sends one parcel again, under the same number.

use std::collections::BTreeMap;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use tracing::warn;

/// Bytes after which the file is written anew.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// How far one publisher has come.
#[derive(Debug, Default)]
pub struct Confirmed {
    /// Shared with the file, which the other node of a pair may raise, too.
    last: Arc<AtomicU64>,
    file: Option<(String, Arc<ConfirmedFile>)>,
}

/// The file of one plan.
#[derive(Debug)]
pub struct ConfirmedFile {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    bytes: u64,
    last: BTreeMap<String, Arc<AtomicU64>>,
    has_failed: bool,
}

impl Confirmed {
    /// Kept nowhere.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// Goes on from what the file says of this publisher.
    #[must_use]
    pub fn in_file(publisher: &str, file: &Arc<ConfirmedFile>) -> Self {
        let last = file.counter(publisher);
        Self { last, file: Some((publisher.to_owned(), Arc::clone(file))) }
    }

    /// The number of the last result that is done with; 0 before the first.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    /// All results up to this number are done with.
    pub fn confirm(&self, number: u64) {
        match &self.file {
            Some((publisher, file)) => file.raise(publisher, number),
            None => drop(self.last.fetch_max(number, Ordering::AcqRel)),
        }
    }
}

impl ConfirmedFile {
    /// Opens the file, or begins it.
    ///
    /// # Errors
    /// If it cannot be read or written.
    pub fn open(path: &Path) -> io::Result<Arc<Self>> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut last: BTreeMap<String, Arc<AtomicU64>> = BTreeMap::new();
        for (publisher, number) in text.split(|byte| *byte == b'\n').filter_map(read_line) {
            last.entry(publisher).or_default().fetch_max(number, Ordering::AcqRel);
        }
        let (file, bytes) = write_anew(path, &last)?;
        let state = Mutex::new(State { file, bytes, last, has_failed: false });
        Ok(Arc::new(Self { path: path.to_owned(), state }))
    }

    fn counter(&self, publisher: &str) -> Arc<AtomicU64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(state.last.entry(publisher.to_owned()).or_default())
    }

    /// The last number of every publisher that is done with.
    #[must_use]
    pub fn all(&self) -> Vec<(String, u64)> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let number = |last: &Arc<AtomicU64>| last.load(Ordering::Acquire);
        state.last.iter().map(|(publisher, last)| (publisher.clone(), number(last))).collect()
    }

    /// All results of a publisher up to this number are done with.
    pub fn raise(&self, publisher: &str, number: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let last = state.last.entry(publisher.to_owned()).or_default();
        if last.fetch_max(number, Ordering::AcqRel) >= number {
            return;
        }
        let line = line(publisher, number);
        let mut done = state.file.write_all(line.as_bytes());
        state.bytes += line.len() as u64;
        if done.is_ok() && state.bytes > FILE_BYTES_MAX {
            done = write_anew(&self.path, &state.last)
                .map(|(file, bytes)| (state.file, state.bytes) = (file, bytes));
        }
        if let Err(error) = done
            && !std::mem::replace(&mut state.has_failed, true)
        {
            let file = self.path.display();
            warn!(%file, %error, "cannot note what has left; a restart would repeat it");
        }
    }
}

/// Writes the file under a temporary name and puts it in place.
fn write_anew(path: &Path, last: &BTreeMap<String, Arc<AtomicU64>>) -> io::Result<(File, u64)> {
    let line = |(publisher, last): (&String, &Arc<AtomicU64>)| {
        line(publisher, last.load(Ordering::Acquire))
    };
    let text: String = last.iter().map(line).collect();
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    std::fs::rename(&temporary, path)?;
    Ok((OpenOptions::new().append(true).open(path)?, text.len() as u64))
}

fn line(publisher: &str, number: u64) -> String {
    let text = format!("{number} {publisher}");
    format!("{:08x} {text}\n", crc32c::crc32c(text.as_bytes()))
}

fn read_line(line: &[u8]) -> Option<(String, u64)> {
    let (sum, text) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    if u32::from_str_radix(sum, 16).ok()? != crc32c::crc32c(text.as_bytes()) {
        return None;
    }
    let (number, publisher) = text.split_once(' ')?;
    Some((publisher.to_owned(), number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_left_is_known_after_a_restart_also_with_a_line_cut_short() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("confirmed");
        let file = ConfirmedFile::open(&path).unwrap();
        let alerts = Confirmed::in_file("publisher:Alerts:1", &file);
        assert_eq!(alerts.last(), 0);
        for number in 1..=20_000 {
            alerts.confirm(number);
        }
        alerts.confirm(7);
        Confirmed::in_file("publisher:B:1", &file).confirm(3);
        assert!(std::fs::metadata(&path).unwrap().len() <= FILE_BYTES_MAX + 100);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend(&line("publisher:B:1", 9).as_bytes()[..20]);
        std::fs::write(&path, bytes).unwrap();
        let again = ConfirmedFile::open(&path).unwrap();
        assert_eq!(Confirmed::in_file("publisher:Alerts:1", &again).last(), 20_000);
        assert_eq!(Confirmed::in_file("publisher:B:1", &again).last(), 3);
        assert_eq!(Confirmed::in_file("publisher:C:1", &again).last(), 0);
    }
}
