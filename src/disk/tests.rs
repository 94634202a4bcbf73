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

mod rehearsed {
    //! The rehearsed disk keeps what it must, and loses what it may.

    use crate::disk::Disk;
    use crate::disk::DiskFile;
    use crate::disk::is_full;
    use crate::disk::rehearsed::Failure;
    use crate::disk::rehearsed::RehearsedDisk;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn disk(seed: u64) -> RehearsedDisk {
        let disk = RehearsedDisk::new(seed);
        disk.create_folder(Path::new("/d/e")).unwrap();
        disk
    }

    #[test]
    fn a_kill_keeps_what_was_written_and_ends_the_handles() {
        let disk = disk(1);
        let file = disk.create(Path::new("/d/e/f")).unwrap();
        file.write_at(b"abc", 2).unwrap();
        let next = disk.kill();
        assert!(file.write_at(b"x", 0).is_err() && file.sync().is_err());
        assert!(disk.list(Path::new("/d/e")).is_err());
        assert_eq!(next.list(Path::new("/d/e")).unwrap(), ["f"]);
        assert_eq!(next.content(Path::new("/d/e/f")).unwrap(), b"\0\0abc");
    }

    #[test]
    fn power_loss_keeps_what_was_synced_and_some_of_the_rest() {
        let path = Path::new("/d/e/f");
        let mut outcomes = BTreeSet::new();
        for seed in 0..200 {
            let disk = disk(seed);
            let file = disk.create(path).unwrap();
            file.write_at(&[1; 700], 0).unwrap();
            file.sync().unwrap();
            disk.sync_folder(Path::new("/d/e")).unwrap();
            file.write_at(&[2; 2000], 700).unwrap();
            disk.create(Path::new("/d/e/g")).unwrap();
            let next = disk.lose_power();
            let content = next.content(path).unwrap();
            assert!(content[..700] == [1; 700], "synced bytes are there");
            assert!(content[700..].iter().all(|&byte| byte == 0 || byte == 2));
            let sectors: Vec<u8> =
                content[700..].chunks(512).map(|sector| *sector.last().unwrap()).collect();
            outcomes.insert((
                content.len().min(2700),
                sectors,
                next.list(path.parent().unwrap()).unwrap(),
            ));
        }
        let lengths: BTreeSet<usize> = outcomes.iter().map(|outcome| outcome.0).collect();
        assert!(lengths.contains(&700) && lengths.contains(&2700) && lengths.len() > 10);
        assert!(outcomes.iter().any(|(_, sectors, _)| sectors.windows(2).any(|w| w == [0, 2])));
        assert!(outcomes.iter().any(|(_, _, names)| names.len() == 1));
        assert!(outcomes.iter().any(|(_, _, names)| names.len() == 2));
    }

    #[test]
    fn a_sync_that_failed_is_not_made_good_by_a_second() {
        let path = Path::new("/d/e/f");
        let lost = (0..50).filter(|&seed| {
            let disk = disk(seed);
            let file = disk.create(path).unwrap();
            disk.sync_folder(Path::new("/d/e")).unwrap();
            file.write_at(&[1; 5000], 0).unwrap();
            disk.fail_after(0, Failure::Error);
            assert!(file.sync().is_err());
            file.sync().unwrap();
            assert_eq!(disk.content(path).unwrap(), [1; 5000]);
            disk.lose_power().content(path).unwrap() != [1; 5000]
        });
        assert!(lost.count() > 40);
    }

    #[test]
    fn operations_fail_when_told() {
        let disk = disk(3);
        let file = disk.create(Path::new("/d/e/f")).unwrap();
        disk.fail_after(1, Failure::End);
        file.write_at(b"abc", 0).unwrap();
        assert!(file.write_at(b"def", 3).is_err());
        assert!(file.length().is_err(), "the process has ended");
        let next = disk.kill();
        assert!(next.content(Path::new("/d/e/f")).unwrap().starts_with(b"abc"));
        assert_eq!(next.operations(), 3);
        next.set_room(8);
        let file = next.open(Path::new("/d/e/f")).unwrap();
        assert!(is_full(&file.write_at(&[9; 20], 0).unwrap_err()));
        assert_eq!(next.used(), 8);
        file.write_at(&[7; 8], 0).unwrap();
    }

    #[test]
    fn the_same_seed_loses_the_same() {
        let run = || {
            let disk = disk(9);
            let file = disk.create(Path::new("/d/e/f")).unwrap();
            disk.sync_folder(Path::new("/d/e")).unwrap();
            file.write_at(&[1; 9000], 0).unwrap();
            disk.lose_power().content(Path::new("/d/e/f"))
        };
        assert_eq!(run(), run());
    }
}
