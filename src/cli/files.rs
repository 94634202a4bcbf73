//! Plan files on the command line: named one by one, or all that lie in a folder.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

/// Files with these endings are plans; hidden files are not.
const ENDINGS: [&str; 2] = ["siddhi", "siddhiql"];

/// The plan files at a path, by name: the file itself, whatever its ending, or those in the folder.
///
/// # Errors
/// If there is nothing at the path, or the folder cannot be read.
pub(super) fn plans_at(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let ends = file.extension().is_some_and(|end| ENDINGS.iter().any(|known| end == *known));
        let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes()[0] == b'.');
        if ends && !hidden {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// The plan files at all these paths; what could not be read is complained of, and `None`.
pub(super) fn plans_at_all(paths: &[PathBuf]) -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut whole = true;
    for path in paths {
        match plans_at(path) {
            Ok(found) => files.extend(found),
            Err(error) => {
                eprintln!("error: cannot read `{}`: {error}", path.display());
                whole = false;
            }
        }
    }
    whole.then_some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_the_plans_in_it() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.siddhi", "a.siddhiql", "c.test", ".d.siddhi"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let found = plans_at(folder.path()).unwrap();
        let names: Vec<_> = found.iter().map(|file| file.file_name().unwrap()).collect();
        assert_eq!(names, ["a.siddhiql", "b.siddhi"]);
        let named = folder.path().join("c.test");
        assert_eq!(plans_at(&named).unwrap(), [named]);
        assert!(plans_at(&folder.path().join("nothing")).is_err());
    }
}
