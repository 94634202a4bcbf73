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
pub fn write(folder: &Path, file: &str, text: &[u8]) -> io::Result<()> {
    // Hidden files are no plans, and this name is as long as the file's at most.
    let draft = folder.join(".twinflow.tmp");
    let written = fs::File::create(&draft).and_then(|mut open| {
        open.write_all(text)?;
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

/// Renames a plan file to where no plan lies and nothing lay before; returns that name.
///
/// # Errors
/// If it cannot be renamed.
pub fn put_aside(folder: &Path, file: &str) -> io::Result<String> {
    let names = (1..).map(|count: u32| match count {
        1 => format!("{file}.conflict"),
        _ => format!("{file}.conflict.{count}"),
    });
    let is_free = |name: &String| folder.join(name).symlink_metadata().is_err();
    let name = names.into_iter().find(is_free).expect("numbers do not end");
    fs::rename(folder.join(file), folder.join(&name))?;
    sync(folder)?;
    Ok(name)
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
        write(folder.path(), "a.siddhi", b"one").unwrap();
        write(folder.path(), "a.siddhi", b"two").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("a.siddhi")).unwrap(), "two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        remove(folder.path(), &["a.siddhi".to_owned(), "b.siddhi".to_owned()]).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_put_aside_takes_the_place_of_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.siddhi.conflict", "a.siddhi.conflict.2", "a.siddhi.conflict.3"] {
            fs::write(folder.path().join("a.siddhi"), name).unwrap();
            assert_eq!(put_aside(folder.path(), "a.siddhi").unwrap(), name);
            assert_eq!(fs::read_to_string(folder.path().join(name)).unwrap(), name);
        }
        assert!(put_aside(folder.path(), "a.siddhi").is_err(), "it is not there any more");
    }

    #[test]
    fn what_cannot_be_written_leaves_what_was() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a.siddhi")).unwrap();
        assert!(write(folder.path(), "a.siddhi", b"one").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write(&folder.path().join("nowhere"), "a.siddhi", b"one").is_err());
    }
}
