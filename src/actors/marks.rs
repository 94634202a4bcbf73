//! Whose data lies in a folder: the log of deployments and the number by which it knows the plan.
//!
//! A plan that was undeployed and one that has its name later are different plans, and a folder of
//! data may come from another node, or from before there was a log. So data that is there is only
//! used if its mark says that it is the plan's, or if the plan was deployed by the node that had
//! it.

use std::fs;
use std::io;
use std::path::Path;

use crate::actors::plan::Folders;
use crate::actors::plan_folder::writing;

/// The file of a mark, in the folder of the plan's log.
const FILE: &str = "number";

/// A plan as a log of deployments knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which log.
    pub log: u64,
    /// The plan's number in it.
    pub number: u32,
}

/// What lies in the folders of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lying {
    /// Nothing.
    Nothing,
    /// Data of a plan that this log knows, or has known.
    Marked(Mark),
    /// Data without a mark, from before there was one.
    Unmarked,
}

/// Looks at what lies in the folders of a plan.
///
/// # Errors
/// If that cannot be told.
pub fn look(folders: &Folders) -> io::Result<Lying> {
    match fs::read_to_string(folders.journal.join(FILE)) {
        Ok(text) => Ok(parse(&text).map_or(Lying::Unmarked, Lying::Marked)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let is_there = folders.journal.try_exists()? || folders.snapshots.try_exists()?;
            Ok(if is_there { Lying::Unmarked } else { Lying::Nothing })
        }
        Err(error) => Err(error),
    }
}

/// Marks the folder of a plan's log, which is made if it is not there.
///
/// # Errors
/// If the disk refuses.
pub fn set(folders: &Folders, mark: Mark) -> io::Result<()> {
    fs::create_dir_all(&folders.journal)?;
    let text = format!("{:016x} {}\n", mark.log, mark.number);
    writing::write(&folders.journal, FILE, text.as_bytes())
}

/// Puts data aside that is not the plan's, under a name that no plan can have.
///
/// # Errors
/// If the disk refuses.
pub fn put_aside(folders: &Folders, plan: &str, now: i64) -> io::Result<()> {
    for folder in [&folders.snapshots, &folders.journal] {
        match fs::rename(folder, folder.with_file_name(format!(".{plan}.{now}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The names of all plans of which data lies below the folder of data.
#[must_use]
pub fn plans(data: &Path) -> std::collections::BTreeSet<String> {
    let any = Folders::of(data, "any");
    let parents = [any.journal, any.snapshots];
    let entries = parents.iter().filter_map(|folder| fs::read_dir(folder.parent()?).ok());
    let names = entries.flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| !name.starts_with('.')).collect()
}

fn parse(text: &str) -> Option<Mark> {
    let (log, number) = text.trim_end().split_once(' ')?;
    Some(Mark { log: u64::from_str_radix(log, 16).ok()?, number: number.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_says_whose_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let folders = Folders::of(folder.path(), "a");
        assert_eq!(look(&folders).unwrap(), Lying::Nothing);
        fs::create_dir_all(&folders.snapshots).unwrap();
        assert_eq!(look(&folders).unwrap(), Lying::Unmarked);
        let mark = Mark { log: 0xfeed, number: 7 };
        set(&folders, mark).unwrap();
        assert_eq!(look(&folders).unwrap(), Lying::Marked(mark));
        assert_eq!(plans(folder.path()).into_iter().collect::<Vec<_>>(), ["a"]);
        put_aside(&folders, "a", 5).unwrap();
        assert_eq!(look(&folders).unwrap(), Lying::Nothing);
        assert!(plans(folder.path()).is_empty());
        fs::create_dir_all(&folders.journal).unwrap();
        fs::write(folders.journal.join(FILE), "odd").unwrap();
        assert_eq!(look(&folders).unwrap(), Lying::Unmarked);
    }
}
