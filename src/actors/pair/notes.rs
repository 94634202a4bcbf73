//! What a node has to remember of the pair over the end of its process, in a small file.

use std::fs::File;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::ha::protocol::ArbiterId;
use crate::ha::protocol::Incarnation;
use crate::ha::protocol::Journal;

/// The version of the file.
const FORMAT: u32 = 1;

/// What is remembered; each change is on disk before anything follows from it.
#[derive(Debug)]
pub struct Notes {
    path: PathBuf,
    kept: Kept,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    format: u32,
    /// The last life.
    incarnation: u64,
    /// The arbiter that is obeyed, in hexadecimal digits.
    arbiter: Option<String>,
    /// The journals are in doubt until this is taken back.
    doubtful: bool,
    /// A record was found decayed, and the doubt has not ended.
    #[serde(default)]
    decayed: bool,
    /// The disk was new, and its journals never whole.
    blank: bool,
    /// The boot of the machine in which this was written.
    boot: String,
    /// The process ended in order.
    ended: bool,
}

impl Notes {
    /// Reads the notes at the start of a process, and begins a new life. `has_logs`: there are
    /// journals, perhaps from before this node was one of a pair.
    ///
    /// # Errors
    /// If the file cannot be read or written, or is not one of these.
    pub fn begin(path: &Path, has_logs: bool, now_ms: i64) -> io::Result<Self> {
        let boot = boot_id();
        let mut kept = match std::fs::read(path) {
            Ok(text) => {
                let kept: Kept = serde_json::from_slice(&text).map_err(io::Error::other)?;
                if kept.format != FORMAT {
                    let what = format!("it has the format {}, expected {FORMAT}", kept.format);
                    return Err(io::Error::other(what));
                }
                let cut_off = !kept.ended && (kept.boot != boot || boot.is_empty());
                Kept { doubtful: kept.doubtful || cut_off, ..kept }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept {
                format: FORMAT,
                incarnation: 0,
                arbiter: None,
                doubtful: false,
                decayed: false,
                blank: !has_logs,
                boot: String::new(),
                ended: true,
            },
            Err(error) => return Err(error),
        };
        let now = u64::try_from(now_ms).unwrap_or(0);
        kept.incarnation = now.max(kept.incarnation + 1);
        (kept.boot, kept.ended) = (boot, false);
        let notes = Self { path: path.to_owned(), kept };
        notes.save()?;
        Ok(notes)
    }

    /// One more life in this process.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin_again(&mut self) -> io::Result<()> {
        self.kept.incarnation += 1;
        self.save()
    }

    /// This life.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        Incarnation(self.kept.incarnation)
    }

    /// What the journals are worth.
    #[must_use]
    pub fn journal(&self) -> Journal {
        let Kept { blank, decayed, doubtful, .. } = self.kept;
        match (blank, decayed, doubtful) {
            (true, ..) => Journal::Blank,
            (false, true, _) => Journal::Decayed,
            (false, false, true) => Journal::Doubtful,
            (false, false, false) => Journal::Sound,
        }
    }

    /// The arbiter that is obeyed.
    #[must_use]
    pub fn arbiter(&self) -> Option<ArbiterId> {
        let text = self.kept.arbiter.as_deref()?;
        u128::from_str_radix(text, 16).ok().map(ArbiterId)
    }

    /// This arbiter is obeyed from now on.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn remember_arbiter(&mut self, arbiter: ArbiterId) -> io::Result<()> {
        self.kept.arbiter = Some(format!("{:032x}", arbiter.0));
        self.save()
    }

    /// The last record of a journal was found to be wrong. After a loss of power that is no more
    /// than a write that never finished, which is doubted anyway.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn decayed(&mut self) -> io::Result<()> {
        self.kept.decayed |= !self.kept.doubtful;
        self.save()
    }

    /// The journals are good.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn doubt_over(&mut self) -> io::Result<()> {
        let Kept { blank, decayed, doubtful, .. } = &mut self.kept;
        (*blank, *decayed, *doubtful) = (false, false, false);
        self.save()
    }

    /// The process ends in order, with everything on disk.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn end(&mut self) -> io::Result<()> {
        self.kept.ended = true;
        self.save()
    }

    fn save(&self) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(&self.kept)?;
        let temporary = self.path.with_extension("new");
        let mut file = File::create(&temporary)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &self.path)?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

/// Names the present boot of the machine; empty where the system does not say.
fn boot_id() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_rise_and_a_new_disk_is_blank_until_the_doubt_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pair.json");
        let mut first = Notes::begin(&path, false, 1_000).unwrap();
        assert_eq!((first.incarnation(), first.journal()), (Incarnation(1_000), Journal::Blank));
        first.remember_arbiter(ArbiterId(0xab)).unwrap();
        let mut second = Notes::begin(&path, true, 5).unwrap();
        assert_eq!((second.incarnation(), second.journal()), (Incarnation(1_001), Journal::Blank));
        assert_eq!(second.arbiter(), Some(ArbiterId(0xab)));
        second.doubt_over().unwrap();
        assert_eq!(Notes::begin(&path, true, 5).unwrap().journal(), Journal::Sound);
    }

    #[test]
    fn another_boot_leaves_a_doubt_unless_the_process_ended_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pair.json");
        let reboot = || {
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, text.replace(&boot_id(), "another")).unwrap();
        };
        let mut notes = Notes::begin(&path, true, 1).unwrap();
        assert_eq!(notes.journal(), Journal::Sound, "a node that was alone before");
        notes.end().unwrap();
        reboot();
        assert_eq!(Notes::begin(&path, true, 1).unwrap().journal(), Journal::Sound);
        reboot();
        assert_eq!(Notes::begin(&path, true, 1).unwrap().journal(), Journal::Doubtful);
        let mut again = Notes::begin(&path, true, 1).unwrap();
        assert_eq!(again.journal(), Journal::Doubtful, "as long as nobody ends it");
        again.decayed().unwrap();
        assert_eq!(again.journal(), Journal::Doubtful, "a torn end is what loss of power leaves");
        again.doubt_over().unwrap();
        let mut sound = Notes::begin(&path, true, 1).unwrap();
        assert_eq!(sound.journal(), Journal::Sound);
        sound.decayed().unwrap();
        let mut decayed = Notes::begin(&path, true, 1).unwrap();
        assert_eq!(decayed.journal(), Journal::Decayed);
        decayed.doubt_over().unwrap();
        assert_eq!(Notes::begin(&path, true, 1).unwrap().journal(), Journal::Sound);
        std::fs::write(&path, "{}").unwrap();
        assert!(Notes::begin(&path, true, 1).is_err());
    }
}
