//! Changes the folder of plans as a careful editor does: whole files, by renaming.

use std::fs;
use std::io;
use std::io::Write as _;
use std::path::Path;

/// Puts a plan file into the folder: it is there whole, or as it was before. It is on the disk when
/// this returns.
///
/// # Errors
/// If the folder cannot be written to.
pub fn write(folder: &Path, file: &str, text: &str) -> io::Result<()> {
    // Hidden files are no plans, and this name is as long as the file's at most.
    let draft = folder.join(".twinflow.tmp");
    let written = fs::File::create(&draft).and_then(|mut open| {
        open.write_all(text.as_bytes())?;
        open.sync_all()
    });
    let placed = written.and_then(|()| fs::rename(&draft, folder.join(file)));
    if placed.is_err() {
        // What went wrong before matters more.
        let _ = fs::remove_file(&draft);
    }
    placed.and_then(|()| sync(folder))
}

/// Takes plan files out of the folder; one that is gone already is no fault.
///
/// # Errors
/// If one cannot be removed; those before it are gone.
pub fn remove(folder: &Path, files: &[String]) -> io::Result<()> {
    for file in files {
        match fs::remove_file(folder.join(file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    sync(folder)
}

/// A renamed or removed file is so after a power loss, too.
fn sync(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_put_whole_replaced_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.siddhi", "one").unwrap();
        write(folder.path(), "a.siddhi", "two").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("a.siddhi")).unwrap(), "two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        remove(folder.path(), &["a.siddhi".to_owned(), "b.siddhi".to_owned()]).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_be_written_leaves_what_was() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a.siddhi")).unwrap();
        assert!(write(folder.path(), "a.siddhi", "one").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write(&folder.path().join("nowhere"), "a.siddhi", "one").is_err());
    }
}
