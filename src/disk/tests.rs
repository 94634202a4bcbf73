//! The machine's files do what the trait says.

use crate::disk::Disk;
use crate::disk::DiskFile;
use crate::disk::RealDisk;
use std::io::ErrorKind;

#[test]
fn real_files_are_made_written_read_cut_renamed_and_removed() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("a/b");
    let disk = RealDisk;
    assert_eq!(disk.list(&folder).unwrap_err().kind(), ErrorKind::NotFound);
    disk.create_folder(&folder).unwrap();
    disk.create_folder(&folder).unwrap();
    let file = disk.create(&folder.join("one")).unwrap();
    assert_eq!(disk.create(&folder.join("one")).unwrap_err().kind(), ErrorKind::AlreadyExists);
    file.write_at(b"hello world", 0).unwrap();
    file.write_at(b"W", 6).unwrap();
    file.sync().unwrap();
    let mut buffer = [0; 20];
    assert_eq!(file.read_at(&mut buffer, 6).unwrap(), 5);
    assert_eq!(&buffer[..5], b"World");
    file.truncate(5).unwrap();
    assert_eq!(file.length().unwrap(), 5);
    disk.create(&folder.join("two")).unwrap();
    disk.create_folder(&folder.join("three")).unwrap();
    disk.rename(&folder.join("one"), &folder.join("two")).unwrap();
    disk.sync_folder(&folder).unwrap();
    assert_eq!(disk.list(&folder).unwrap(), ["two"]);
    assert_eq!(disk.open(&folder.join("two")).unwrap().length().unwrap(), 5);
    disk.remove(&folder.join("two")).unwrap();
    assert_eq!(disk.open(&folder.join("two")).unwrap_err().kind(), ErrorKind::NotFound);
}
