//! Snapshots on real files.

use crate::disk::DiskFile;
use crate::disk::RealDisk;
use crate::snapshot::Header;
use crate::snapshot::SnapshotError;
use crate::snapshot::Snapshots;
use crate::snapshot::format;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn place() -> (TempDir, Snapshots<RealDisk>) {
    let place = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::new(RealDisk, place.path(), "default", "Logins").unwrap();
    (place, snapshots)
}

fn header(position: u64, created: i64) -> Header {
    Header {
        tenant: "default".to_owned(),
        plan: "Logins".to_owned(),
        position,
        epoch: 3,
        state_fingerprint: 0xfeed,
        text_fingerprint: 0xbeef,
        created,
    }
}

fn state(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n * 31 + n / 251) as u8).collect()
}

fn put(snapshots: &Snapshots<RealDisk>, position: u64, created: i64, bytes: usize) -> String {
    let mut writer = snapshots.write(&header(position, created)).unwrap();
    // In uneven pieces, as a plan gives it.
    for piece in state(bytes).chunks(1 + bytes / 3) {
        writer.put(piece).unwrap();
    }
    writer.finish().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn spoil(snapshots: &Snapshots<RealDisk>, name: &str, at: usize) {
    let path = snapshots.folder().join(name);
    let mut bytes = fs::read(&path).unwrap();
    bytes[at] ^= 4;
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_written_is_read() {
    let (place, snapshots) = place();
    for (index, bytes) in
        [0, 1, 1000, format::CHUNK_MAX, format::CHUNK_MAX + 1, 3 * format::CHUNK_MAX + 7]
            .into_iter()
            .enumerate()
    {
        let created = 1_700_000_000_000 + index as i64;
        let name = put(&snapshots, 10, created, bytes);
        assert_eq!(name, format!("{created}_Logins"));
        assert!(place.path().join("snapshots/default/Logins").join(&name).exists());
        let newest = snapshots.newest_valid().unwrap();
        assert_eq!(newest.found, Some((name.clone(), header(10, created), bytes as u64)));
        let mut reader = snapshots.open(&name, u64::MAX).unwrap();
        assert_eq!(reader.header(), &header(10, created));
        assert!(reader.read_all().unwrap() == state(bytes));
        if bytes > 0 {
            let mut reader = snapshots.open(&name, bytes as u64 - 1).unwrap();
            let error = reader.read_all().unwrap_err();
            assert!(matches!(error, SnapshotError::TooLong { .. }), "{error}");
        }
    }
}

#[test]
fn a_later_snapshot_has_always_a_larger_stamp() {
    let (_place, snapshots) = place();
    assert_eq!(put(&snapshots, 1, 5, 10), "0000000000005_Logins");
    assert_eq!(put(&snapshots, 2, 5, 10), "0000000000006_Logins");
    assert_eq!(put(&snapshots, 3, 2, 10), "0000000000007_Logins", "the clock went back");
    let one = snapshots.write(&header(4, 100)).unwrap();
    let two = snapshots.write(&header(5, 100)).unwrap();
    assert_eq!(two.finish().unwrap(), "0000000000101_Logins");
    assert_eq!(one.finish().unwrap(), "0000000000100_Logins");
    let stamps: Vec<u64> = snapshots.list().unwrap().iter().map(|listed| listed.stamp).collect();
    assert_eq!(stamps, [101, 100, 7, 6, 5]);
}

#[test]
fn no_byte_can_change_unseen() {
    let (_place, snapshots) = place();
    let older = put(&snapshots, 1, 1, 50);
    let name = put(&snapshots, 2, 2, 100);
    let path = snapshots.folder().join(&name);
    let whole = fs::read(&path).unwrap();
    let passed_over = |what: &str| {
        let newest = snapshots.newest_valid().unwrap();
        assert_eq!(newest.found.unwrap().0, older, "{what}");
        assert_eq!(newest.passed_over.len(), 1);
        let (passed, reason) = &newest.passed_over[0];
        assert_eq!(passed, &name);
        assert!(reason.to_string().contains(path.to_str().unwrap()), "{reason}");
    };
    for at in 0..whole.len() {
        spoil(&snapshots, &name, at);
        passed_over(&format!("byte {at}"));
        fs::write(&path, &whole).unwrap();
    }
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        passed_over(&format!("length {length}"));
    }
    fs::write(&path, [whole.as_slice(), b"x"].concat()).unwrap();
    passed_over("a byte more");
    fs::write(&path, &whole).unwrap();
    assert_eq!(snapshots.newest_valid().unwrap().found.unwrap().0, name);
}

#[test]
fn the_latest_two_are_kept() {
    let (_place, snapshots) = place();
    assert!(snapshots.prune().unwrap().is_empty(), "no folder yet");
    assert_eq!(snapshots.older_of_two().unwrap(), None);
    let names_made: Vec<String> = (1..=5).map(|n| put(&snapshots, n * 10, n as i64, 20)).collect();
    let removed = snapshots.prune().unwrap();
    assert_eq!(removed, [&*names_made[2], &*names_made[1], &*names_made[0]]);
    assert_eq!(names(snapshots.folder()), names_made[3..]);
    assert_eq!(snapshots.older_of_two().unwrap(), Some(40));
}

#[test]
fn good_ones_are_kept_before_damaged_ones() {
    let (_place, snapshots) = place();
    let made: Vec<String> = (1..=4).map(|n| put(&snapshots, n * 10, n as i64, 20)).collect();
    for name in &made[1..] {
        spoil(&snapshots, name, 30);
    }
    assert_eq!(snapshots.older_of_two().unwrap(), None, "one good one is not two");
    snapshots.prune().unwrap();
    assert_eq!(names(snapshots.folder()), [&*made[0], &*made[3]]);
    let newer = put(&snapshots, 50, 5, 20);
    snapshots.prune().unwrap();
    assert_eq!(names(snapshots.folder()), [&*made[0], &*newer]);
    assert_eq!(snapshots.older_of_two().unwrap(), Some(10));
}

#[test]
fn what_was_left_half_written_goes_and_strangers_stay() {
    let (_place, snapshots) = place();
    put(&snapshots, 1, 1, 20);
    let strangers = [
        "0000000000001_Other",
        "0000000000009_Logins.part.part",
        "12_Logins",
        "notes",
        "x000000000001_Logins",
    ];
    for name in strangers.iter().chain(&["0000000000009_Logins.part"]) {
        fs::write(snapshots.folder().join(name), "mine").unwrap();
    }
    let mut writer = snapshots.write(&header(2, 2)).unwrap();
    writer.put(&[0; 10]).unwrap();
    assert_eq!(snapshots.prune().unwrap(), ["0000000000009_Logins.part"]);
    writer.finish().unwrap();
    let dropped = snapshots.write(&header(3, 3)).unwrap();
    assert!(snapshots.folder().join("0000000000003_Logins.part").exists());
    drop(dropped);
    let mut left: Vec<&str> = strangers.to_vec();
    left.extend(["0000000000001_Logins", "0000000000002_Logins"]);
    left.sort_unstable();
    assert_eq!(names(snapshots.folder()), left);
}

#[test]
fn a_snapshot_is_taken_over_from_another_node() {
    let (_here, here) = place();
    let (_there, there) = place();
    let name = put(&here, 77, 9, 3000);
    let file = here.open_file(&name).unwrap();
    let mut bytes = vec![0; file.length().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();

    let mut receiver = there.receive(&name).unwrap();
    receiver.put(&bytes[..100]).unwrap();
    assert!(receiver.finish().is_err(), "it is not whole");
    assert!(names(there.folder()).is_empty());

    let mut receiver = there.receive(&name).unwrap();
    receiver.put(&bytes[..100]).unwrap();
    receiver.put(&bytes[100..]).unwrap();
    assert_eq!(receiver.finish().unwrap(), (name.clone(), header(77, 9)));
    assert_eq!(fs::read(there.folder().join(&name)).unwrap(), bytes);
    // Another one of that name comes later, whatever its maker's clock said.
    put(&there, 10, 50, 40);
    let mut receiver = there.receive(&name).unwrap();
    receiver.put(&bytes).unwrap();
    assert_eq!(receiver.check().unwrap(), header(77, 9));
    assert_eq!(there.newest_valid().unwrap().found.unwrap().1, header(10, 50), "not wanted yet");
    let (later, found) = receiver.finish().unwrap();
    assert_eq!(found, header(77, 9));
    assert_eq!(there.newest_valid().unwrap().found.unwrap().1, header(77, 9));
    // What came is what stays, under whatever name it lies here.
    there.keep_only(&later).unwrap();
    assert_eq!(names(there.folder()), [later]);
    assert_eq!(there.newest_valid().unwrap().found.unwrap().1, header(77, 9));
    for bad in ["../x", "0000000000009_Other", "9_Logins", ""] {
        assert!(matches!(there.receive(bad), Err(SnapshotError::Name { .. })), "{bad}");
    }
}

#[test]
fn another_plans_snapshot_is_passed_over() {
    let (place, snapshots) = place();
    put(&snapshots, 1, 1, 20);
    let other = Snapshots::new(RealDisk, place.path(), "default", "Logouts").unwrap();
    fs::create_dir_all(other.folder()).unwrap();
    let file = other.folder().join("0000000000001_Logouts");
    fs::copy(snapshots.folder().join("0000000000001_Logins"), file).unwrap();
    let newest = other.newest_valid().unwrap();
    assert!(newest.found.is_none());
    assert!(matches!(newest.passed_over[0].1, SnapshotError::Foreign { .. }));
    assert!(matches!(other.write(&header(1, 1)), Err(SnapshotError::Foreign { .. })));
}

#[test]
fn names_that_would_leave_the_folder_are_refused() {
    let long = "x".repeat(101);
    for name in ["", ".", "..", "a/b", "a b", "é", long.as_str()] {
        let error = Snapshots::new(RealDisk, Path::new("/data"), "default", name).unwrap_err();
        assert!(matches!(error, SnapshotError::Name { .. }), "{name}");
        assert!(Snapshots::new(RealDisk, Path::new("/data"), name, "P").is_err());
    }
    let long = "x".repeat(100);
    assert!(Snapshots::new(RealDisk, Path::new("/data"), "default", &long).is_ok());
}
