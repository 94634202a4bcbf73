//! Follows one growing file line by line, through rotation and truncation; decodes nothing.
//!
//! ```text
//!            ┌────────── no file yet ──────────┐
//!            ▼                                 │
//!  open at the path ─► read to the end ─► at the end ─► idle long enough: what is left is a line
//!            ▲                                 │
//!            ├── shorter, or begins otherwise ─┤ truncated or written anew: from its beginning
//!            └── another file at the path ─────┘ rotated: after a while without growth
//! ```
//!
//! A file is told by device and inode, not by name, so a renamed one is read to its end. Who writes
//! the log may go on with the old file for a moment after the new one is there; the old one is left
//! only when it has not grown for a while.

use std::fs;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use crate::event::hash_bytes;

/// Bytes read at once, where little comes and where much comes.
const BLOCK_MIN: usize = 8 * 1024;
const BLOCK_MAX: usize = 256 * 1024;
/// So many bytes of a file's beginning tell whether it was written anew.
const HEAD: usize = 256;

/// What is followed, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file.
    pub path: PathBuf,
    /// Whether to begin at the end of what is there at first.
    pub from_end: bool,
    /// Whether to go on at the end; else the end is the end.
    pub follow: bool,
    /// After so long without growth a last line without end counts as a line.
    pub idle_flush: Duration,
    /// After so long without growth a file that was rotated is left.
    pub rotation_wait: Duration,
    /// A longer line is no line.
    pub line_bytes_max: usize,
}

/// What [`Follower::piece`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// A line without its end; where it lies, see [`Follower::bytes`].
    Line(Range<usize>),
    /// The beginning of a line that is too long; the rest is passed over.
    TooLong(Range<usize>),
}

/// What [`Follower::advance`] did.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// There may be lines now.
    Read,
    /// A file was begun at its beginning.
    Began,
    /// A file was begun in its middle.
    Resumed,
    /// Nothing, for now.
    Idle,
    /// Nothing, for good.
    End,
}

/// A place in a file that can be found again, also when the file was renamed meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    device: u64,
    inode: u64,
    offset: u64,
    head_length: usize,
    head_hash: u64,
}

impl Place {
    /// As a text that [`Place::parse`] reads.
    pub fn print(&self) -> String {
        let Place { device, inode, offset, head_length, head_hash } = self;
        format!("{device}:{inode}:{offset}:{head_length}:{head_hash:x}")
    }

    /// Reads a printed place.
    pub fn parse(text: &str) -> Option<Place> {
        let mut parts = text.split(':');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (device, inode, offset) = (number()?, number()?, number()?);
        let head_length = usize::try_from(number()?).ok().filter(|length| *length <= HEAD)?;
        let head_hash = u64::from_str_radix(parts.next()?, 16).ok()?;
        Some(Place { device, inode, offset, head_length, head_hash })
    }
}

/// Follows one file.
#[derive(Debug)]
pub struct Follower {
    settings: Settings,
    current: Option<Current>,
    /// Bytes read; those before `at` are done with.
    buffer: Vec<u8>,
    at: usize,
    /// Up to here the buffer was searched for a line's end.
    searched: usize,
    /// In the rest of a line that is too long.
    skipping: bool,
    /// What is left counts as a line.
    flush: bool,
    /// Where to begin; `None` once begun.
    beginning: Option<Option<Place>>,
}

#[derive(Debug)]
struct Current {
    file: File,
    device: u64,
    inode: u64,
    /// Where the buffer ends in the file.
    read: u64,
    /// Bytes to read at once.
    block: usize,
    head: Vec<u8>,
    grew: Instant,
    /// Since when another file stands at the path.
    rotated: Option<Instant>,
}

impl Follower {
    /// Begins where it was left, or anew.
    pub fn new(settings: Settings, place: Option<Place>) -> Follower {
        Follower {
            settings,
            current: None,
            buffer: Vec::new(),
            at: 0,
            searched: 0,
            skipping: false,
            flush: false,
            beginning: Some(place),
        }
    }

    /// Bytes of a piece; valid until [`Follower::advance`].
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// Where the next line begins; `None` before a file was found.
    pub fn place(&self) -> Option<Place> {
        let current = self.current.as_ref()?;
        Some(Place {
            device: current.device,
            inode: current.inode,
            offset: current.read - (self.buffer.len() - self.at) as u64,
            head_length: current.head.len(),
            head_hash: hash_bytes(&current.head),
        })
    }

    /// How far it has come, for people.
    pub fn detail(&self) -> String {
        let path = self.settings.path.display();
        match self.place() {
            Some(place) => format!("`{path}` at byte {}", place.offset),
            None => format!("waits for `{path}`"),
        }
    }

    /// The next line of what was read; empty lines are passed over.
    pub fn piece(&mut self) -> Option<Piece> {
        loop {
            let found = memchr::memchr(b'\n', &self.buffer[self.searched..]);
            let (end, next) = match found {
                Some(offset) => (self.searched + offset, self.searched + offset + 1),
                None if std::mem::take(&mut self.flush) => (self.buffer.len(), self.buffer.len()),
                None => return self.unfinished(),
            };
            let start = std::mem::replace(&mut self.at, next);
            self.searched = next;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            let end = end - usize::from(self.buffer[start..end].ends_with(b"\r"));
            if end - start > self.settings.line_bytes_max {
                return Some(Piece::TooLong(start..end));
            }
            if end > start {
                return Some(Piece::Line(start..end));
            }
            if next == self.buffer.len() && found.is_none() {
                return None;
            }
        }
    }

    /// No line's end in what was read: a line may still come, unless it is too long already.
    fn unfinished(&mut self) -> Option<Piece> {
        self.searched = self.buffer.len();
        let start = self.at;
        if self.skipping {
            self.at = self.buffer.len();
        } else if self.buffer.len() - start > self.settings.line_bytes_max {
            self.at = self.buffer.len();
            self.skipping = true;
            return Some(Piece::TooLong(start..self.at));
        }
        None
    }

    /// Reads on, or finds out why there is nothing to read.
    ///
    /// # Errors
    /// If the file is there but cannot be opened or read.
    pub fn advance(&mut self, now: Instant) -> io::Result<Step> {
        self.buffer.drain(..self.at);
        self.searched -= self.at;
        self.at = 0;
        let Some(current) = &mut self.current else {
            return self.open(now);
        };
        if current.was_written_anew()? {
            if self.take_rest() {
                return Ok(Step::Read);
            }
            return self.begin_again(now);
        }
        if current.read_block(&mut self.buffer, now)? {
            return Ok(Step::Read);
        }
        if !self.settings.follow {
            return Ok(if self.take_rest() { Step::Read } else { Step::End });
        }
        let quiet = |since: Instant| now.saturating_duration_since(since);
        if quiet(current.grew) >= self.settings.idle_flush && self.take_rest() {
            return Ok(Step::Read);
        }
        self.look_for_rotation(now)
    }

    /// Lets what is left count as a line; `false` if nothing is left.
    fn take_rest(&mut self) -> bool {
        self.flush = !self.buffer.is_empty();
        self.flush
    }

    /// At the end of the current file: whether another one stands at the path by now.
    fn look_for_rotation(&mut self, now: Instant) -> io::Result<Step> {
        let Some(current) = &mut self.current else {
            return Ok(Step::Idle);
        };
        let other = match fs::metadata(&self.settings.path) {
            Ok(found) => (found.dev(), found.ino()) != (current.device, current.inode),
            // It was moved away, and the new one is not there yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if !other {
            current.rotated = None;
            return Ok(Step::Idle);
        }
        let since = (*current.rotated.get_or_insert(now)).max(current.grew);
        if now.saturating_duration_since(since) < self.settings.rotation_wait {
            return Ok(Step::Idle);
        }
        if self.take_rest() {
            return Ok(Step::Read);
        }
        self.current = None;
        self.open(now)
    }

    fn open(&mut self, now: Instant) -> io::Result<Step> {
        self.skipping = false;
        let path = &self.settings.path;
        if let Some(Some(place)) = self.beginning
            && let Some(current) = find(path, &place, now)?
        {
            self.beginning = None;
            self.current = Some(current);
            return Ok(Step::Resumed);
        }
        let Some(mut current) = Current::open(path, now)? else {
            if !self.settings.follow {
                return Err(io::Error::from(io::ErrorKind::NotFound));
            }
            // What appears later is read from its beginning.
            self.beginning = None;
            return Ok(Step::Idle);
        };
        let at_first = matches!(self.beginning.take(), Some(None));
        let mut step = Step::Began;
        if at_first && self.settings.from_end {
            current.read = current.file.metadata()?.len();
            current.head = current.read_head(HEAD)?;
            step = if current.read > 0 { Step::Resumed } else { Step::Began };
        }
        self.current = Some(current);
        Ok(step)
    }

    fn begin_again(&mut self, now: Instant) -> io::Result<Step> {
        self.skipping = false;
        if let Some(current) = &mut self.current {
            current.read = 0;
            current.head.clear();
            current.grew = now;
        }
        Ok(Step::Began)
    }

    /// The first line of the current file, for decoders that must see it; without its end.
    pub fn head_line(&self) -> io::Result<Vec<u8>> {
        let Some(current) = &self.current else {
            return Ok(Vec::new());
        };
        let mut line = vec![0; self.settings.line_bytes_max];
        let length = read_at(&current.file, &mut line, 0)?;
        line.truncate(length);
        if let Some(end) = memchr::memchr(b'\n', &line) {
            line.truncate(end);
        }
        Ok(line)
    }
}

/// Finds the file of a place: at its path, or renamed beside it.
fn find(path: &Path, place: &Place, now: Instant) -> io::Result<Option<Current>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let beside = match fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect(),
        Err(_) => Vec::new(),
    };
    for candidate in std::iter::once(path.to_owned()).chain(beside) {
        let Ok(found) = fs::metadata(&candidate) else { continue };
        if (found.dev(), found.ino()) != (place.device, place.inode) || !found.is_file() {
            continue;
        }
        let Some(mut current) = Current::open(&candidate, now)? else { continue };
        let head = current.read_head(place.head_length)?;
        if hash_bytes(&head) == place.head_hash && found.len() >= place.offset {
            current.read = place.offset;
            current.head = head;
            return Ok(Some(current));
        }
    }
    Ok(None)
}

impl Current {
    /// Opens a file; `None` if there is none.
    fn open(path: &Path, now: Instant) -> io::Result<Option<Current>> {
        let opened = fs::metadata(path).and_then(|found| match found.is_file() {
            // Opening a pipe would wait for somebody to write.
            false => Err(io::Error::other("not a regular file")),
            true => File::open(path),
        });
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let found = file.metadata()?;
        let (device, inode) = (found.dev(), found.ino());
        let (read, block, head) = (0, BLOCK_MIN, Vec::new());
        let current = Current { file, device, inode, read, block, head, grew: now, rotated: None };
        Ok(Some(current))
    }

    /// Whether the file is shorter than what was read of it, or begins otherwise.
    fn was_written_anew(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() < self.read || self.read_head(self.head.len())? != self.head)
    }

    fn read_head(&self, length: usize) -> io::Result<Vec<u8>> {
        let mut head = vec![0; length];
        let found = read_at(&self.file, &mut head, 0)?;
        head.truncate(found);
        Ok(head)
    }

    /// Appends what can be read at once; `false` at the end.
    fn read_block(&mut self, buffer: &mut Vec<u8>, now: Instant) -> io::Result<bool> {
        let start = buffer.len();
        buffer.resize(start + self.block, 0);
        let result = read_at(&self.file, &mut buffer[start..], self.read);
        buffer.truncate(start + *result.as_ref().unwrap_or(&0));
        let length = result?;
        let is_full = length == self.block;
        self.block = if is_full { (self.block * 4).min(BLOCK_MAX) } else { BLOCK_MIN };
        if length == 0 {
            return Ok(false);
        }
        if self.read == self.head.len() as u64 && self.head.len() < HEAD {
            let more = length.min(HEAD - self.head.len());
            self.head.extend_from_slice(&buffer[start..start + more]);
        }
        self.read += length as u64;
        self.grew = now;
        Ok(true)
    }
}

/// Fills as much as the file has, unless a signal comes between.
fn read_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(into, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
