//! How far each publisher has come, kept in a small file, so that a restart repeats little.
//!
//! The file only grows: each line of it is a publisher's name and a number, with a checksum. When
//! it has grown large it is written anew. A line cut short by a crash is passed over: then the
//! publisher sends one parcel again, under the same number. In a pair it also says in which history
//! results have these numbers: in another one they are others.

use std::collections::BTreeMap;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use tracing::warn;

/// Bytes after which the file is written anew.
const FILE_BYTES_MAX: u64 = 256 << 10;
/// Stands in place of a publisher's name before the number of the history.
const HISTORY: &str = "history";

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
    /// The history of the pair that the numbers are of; 0 while that is not known.
    history: u64,
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
        let mut history = 0;
        for (name, number) in text.split(|byte| *byte == b'\n').filter_map(read_line) {
            if name == HISTORY {
                history = number;
            } else {
                last.entry(name).or_default().fetch_max(number, Ordering::AcqRel);
            }
        }
        let (file, bytes) = write_anew(path, history, &last)?;
        let state = Mutex::new(State { file, bytes, last, history, has_failed: false });
        Ok(Arc::new(Self { path: path.to_owned(), state }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counter(&self, publisher: &str) -> Arc<AtomicU64> {
        let mut state = self.state();
        Arc::clone(state.last.entry(publisher.to_owned()).or_default())
    }

    /// The last number of every publisher that is done with.
    #[must_use]
    pub fn all(&self) -> Vec<(String, u64)> {
        let state = self.state();
        let number = |last: &Arc<AtomicU64>| last.load(Ordering::Acquire);
        state.last.iter().map(|(publisher, last)| (publisher.clone(), number(last))).collect()
    }

    /// All results of a publisher up to this number are done with.
    pub fn raise(&self, publisher: &str, number: u64) {
        self.raise_held(&mut self.state(), publisher, number);
    }

    /// The same in this history; of others that left in the history before nothing is known in it.
    pub fn raise_in(&self, history: u64, publisher: &str, number: u64) {
        let mut state = self.state();
        if state.history != history {
            if state.history != 0 {
                state.last.values().for_each(|last| last.store(0, Ordering::Release));
            }
            self.begin_held(&mut state, history);
        }
        self.raise_held(&mut state, publisher, number);
    }

    /// From now on results are of this history: of those before it holds what the plan's state has
    /// given each publisher, up to the number `given`. Says whether it was another history before.
    pub fn begin(&self, history: u64, given: impl Fn(&str) -> u64) -> bool {
        let mut state = self.state();
        let is_another = state.history != history;
        if is_another {
            for (publisher, last) in &state.last {
                last.fetch_min(given(publisher), Ordering::AcqRel);
            }
            self.begin_held(&mut state, history);
        }
        is_another
    }

    /// The history that the numbers are of; 0 while that is not known.
    #[must_use]
    pub fn history(&self) -> u64 {
        self.state().history
    }

    fn begin_held(&self, state: &mut State, history: u64) {
        state.history = history;
        let done = self.write_held(state);
        self.note(state, done);
    }

    fn write_held(&self, state: &mut State) -> io::Result<()> {
        let (file, bytes) = write_anew(&self.path, state.history, &state.last)?;
        (state.file, state.bytes) = (file, bytes);
        Ok(())
    }

    fn raise_held(&self, state: &mut State, publisher: &str, number: u64) {
        let last = state.last.entry(publisher.to_owned()).or_default();
        if last.fetch_max(number, Ordering::AcqRel) >= number {
            return;
        }
        let line = line(publisher, number);
        let mut done = state.file.write_all(line.as_bytes());
        state.bytes += line.len() as u64;
        if done.is_ok() && state.bytes > FILE_BYTES_MAX {
            done = self.write_held(state);
        }
        self.note(state, done);
    }

    fn note(&self, state: &mut State, done: io::Result<()>) {
        if let Err(error) = done
            && !std::mem::replace(&mut state.has_failed, true)
        {
            let file = self.path.display();
            warn!(%file, %error, "cannot note what has left; a restart would repeat it");
        }
    }
}

/// Writes the file under a temporary name and puts it in place.
fn write_anew(
    path: &Path,
    history: u64,
    last: &BTreeMap<String, Arc<AtomicU64>>,
) -> io::Result<(File, u64)> {
    let of = |(publisher, last): (&String, &Arc<AtomicU64>)| {
        line(publisher, last.load(Ordering::Acquire))
    };
    let first = (history != 0).then(|| line(HISTORY, history));
    let text: String = first.into_iter().chain(last.iter().map(of)).collect();
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

    #[test]
    fn in_another_history_only_what_the_state_has_given_has_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("confirmed");
        let file = ConfirmedFile::open(&path).unwrap();
        file.raise_in(1, "publisher:A:1", 1_000);
        file.raise_in(1, "publisher:B:1", 7);
        let given = |publisher: &str| if publisher == "publisher:A:1" { 500 } else { 9 };
        assert!(!file.begin(1, given), "the history goes on");
        assert_eq!(Confirmed::in_file("publisher:A:1", &file).last(), 1_000);
        assert!(file.begin(2, given));
        let all = || [("publisher:A:1".to_owned(), 500), ("publisher:B:1".to_owned(), 7)];
        assert_eq!((file.history(), file.all()), (2, all().to_vec()));
        let again = ConfirmedFile::open(&path).unwrap();
        assert_eq!((again.history(), again.all()), (2, all().to_vec()));
        // The other node tells what left in its history.
        let counter = Confirmed::in_file("publisher:B:1", &again);
        again.raise_in(3, "publisher:A:1", 400);
        assert_eq!(Confirmed::in_file("publisher:A:1", &again).last(), 400);
        assert_eq!(counter.last(), 0, "it has said nothing of this one");
        again.raise_in(3, "publisher:B:1", 2);
        again.raise_in(3, "publisher:A:1", 300);
        assert_eq!((counter.last(), Confirmed::in_file("publisher:A:1", &again).last()), (2, 400));
        let third = ConfirmedFile::open(&path).unwrap();
        assert_eq!((third.history(), third.all()), (3, again.all()));
    }
}
