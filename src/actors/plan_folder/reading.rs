//! Looks into the folder of plans: lists plan files, and reads one within limits.

use std::fs;
use std::io;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::SystemTime;

use crate::actors::plan_folder::settle::Listing;
use crate::actors::plan_folder::settle::Signature;
use crate::catalogue::ENDINGS;

/// What tells a folder from another one that lies in its place later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
    made: Option<SystemTime>,
}

/// Which folder lies there.
///
/// # Errors
/// If none does.
pub fn identity(folder: &Path) -> io::Result<Identity> {
    let metadata = fs::metadata(folder)?;
    let (device, inode) = (metadata.dev(), metadata.ino());
    Ok(Identity { device, inode, made: metadata.created().ok() })
}

/// What reading a file gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Reading {
    /// Its text.
    Text(String),
    /// It cannot be a plan, and why.
    Unreadable(String),
    /// It is not as it was listed: it is being written, or gone.
    Moving,
}

/// The plan files of a folder: hidden files are none.
///
/// # Errors
/// If the folder cannot be listed.
pub fn list(folder: &Path) -> io::Result<Listing> {
    let mut listing = Listing::new();
    for entry in fs::read_dir(folder)? {
        let Ok(name) = entry?.file_name().into_string() else {
            continue;
        };
        if !name.starts_with('.') && ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            listing.extend(signature(&folder.join(&name)).map(|signature| (name, signature)));
        }
    }
    Ok(listing)
}

/// Reads a plan file that was listed with this signature.
#[must_use]
pub fn read(folder: &Path, name: &str, listed: &Signature, bytes_max: usize) -> Reading {
    let path = folder.join(name);
    let unreadable = |reason: String| Reading::Unreadable(reason);
    if let Some(reason) = leaves(folder, &path) {
        return unreadable(reason);
    }
    match fs::metadata(&path) {
        Ok(metadata) if !metadata.is_file() => {
            return unreadable("expected a file, found something else of this name".to_owned());
        }
        Ok(metadata) if metadata.len() > bytes_max as u64 => {
            let length = metadata.len();
            return unreadable(format!(
                "the file has {length} bytes, at most {bytes_max} are read \
                 (`plans.file_bytes_max`)"
            ));
        }
        Ok(_) => {}
        Err(error) => return unreadable(format!("the file cannot be read: {error}")),
    }
    let mut bytes = Vec::new();
    let limit = bytes_max as u64 + 1;
    let read = fs::File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    if let Err(error) = read {
        return unreadable(format!("the file cannot be read: {error}"));
    }
    if signature(&path).as_ref() != Some(listed) {
        return Reading::Moving;
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => unreadable("the file is binary, not text".to_owned()),
        Ok(text) if text.trim().is_empty() => unreadable("the file is empty".to_owned()),
        Ok(text) => Reading::Text(text),
        Err(error) => {
            let place = error.utf8_error().valid_up_to();
            unreadable(format!("the file is not UTF-8 text: byte {place} is out of place"))
        }
    }
}

/// The state of a file, symbolic links followed; of a link that leads nowhere, of the link.
pub(super) fn signature(path: &Path) -> Option<Signature> {
    let metadata = fs::metadata(path).or_else(|_| fs::symlink_metadata(path)).ok()?;
    let modified_ns =
        i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    Some(Signature { length: metadata.len(), modified_ns, inode: metadata.ino() })
}

/// Why a symbolic link is not followed: it would show files from anywhere on the machine.
fn leaves(folder: &Path, path: &Path) -> Option<String> {
    if !fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
        return None;
    }
    match (folder.canonicalize(), path.canonicalize()) {
        (Ok(folder), Ok(target)) if target.starts_with(&folder) => None,
        (Ok(_), Ok(_)) => Some(
            "the file is a symbolic link that leads out of the folder of plans; copy the plan here"
                .to_owned(),
        ),
        (_, Err(error)) => {
            Some(format!("the file is a symbolic link that cannot be read: {error}"))
        }
        (Err(error), _) => Some(format!("the folder of plans cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn reading(folder: &Path, name: &str) -> Reading {
        let listing = list(folder).unwrap();
        read(folder, name, &listing[name], 1000)
    }

    fn refused(folder: &Path, name: &str) -> String {
        match reading(folder, name) {
            Reading::Unreadable(reason) => reason,
            other => panic!("{name} should be refused: {other:?}"),
        }
    }

    #[test]
    fn only_plan_files_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.siddhi", "b.siddhiql", "c.txt", ".d.siddhi", "e.siddhi~", "f.test"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        symlink("nowhere", folder.path().join("g.siddhi")).unwrap();
        let listing = list(folder.path()).unwrap();
        assert_eq!(listing.keys().collect::<Vec<_>>(), ["a.siddhi", "b.siddhiql", "g.siddhi"]);
    }

    #[test]
    fn what_cannot_be_a_plan_is_refused_with_a_reason() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        write("large.siddhi", &[b'x'; 1001]);
        write("binary.siddhi", b"define \0 stream");
        write("latin.siddhi", b"-- caf\xe9");
        write("empty.siddhi", b" \n");
        fs::create_dir(folder.path().join("folder.siddhi")).unwrap();
        fs::write(outside.path().join("plan"), "secret").unwrap();
        symlink(outside.path().join("plan"), folder.path().join("out.siddhi")).unwrap();
        symlink("nowhere", folder.path().join("dangling.siddhi")).unwrap();
        for (name, part) in [
            ("large.siddhi", "has 1001 bytes, at most 1000"),
            ("binary.siddhi", "binary"),
            ("latin.siddhi", "byte 6 is out of place"),
            ("empty.siddhi", "empty"),
            ("folder.siddhi", "expected a file"),
            ("out.siddhi", "leads out of the folder of plans"),
            ("dangling.siddhi", "symbolic link that cannot be read"),
        ] {
            let reason = refused(folder.path(), name);
            assert!(reason.contains(part), "{name}: {reason}");
        }
    }

    #[test]
    fn a_link_inside_the_folder_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("..data")).unwrap();
        fs::write(folder.path().join("..data/plan.siddhi"), "text").unwrap();
        symlink("..data/plan.siddhi", folder.path().join("plan.siddhi")).unwrap();
        assert_eq!(reading(folder.path(), "plan.siddhi"), Reading::Text("text".to_owned()));
    }

    #[test]
    fn a_file_that_is_not_as_it_was_listed_is_moving() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.siddhi"), "one").unwrap();
        let listed = list(folder.path()).unwrap().remove("a.siddhi").unwrap();
        fs::write(folder.path().join("a.siddhi"), "longer").unwrap();
        assert_eq!(read(folder.path(), "a.siddhi", &listed, 1000), Reading::Moving);
    }
}
