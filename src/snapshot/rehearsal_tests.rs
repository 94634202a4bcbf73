//! Snapshots through kills, power losses and failing disks; any bytes; the sample of version 1.

use crate::disk::Disk;
use crate::disk::DiskFile;
use crate::disk::rehearsed::Failure;
use crate::disk::rehearsed::RehearsedDisk;
use crate::snapshot::Header;
use crate::snapshot::SnapshotError;
use crate::snapshot::Snapshots;
use crate::snapshot::format;
use proptest::prelude::*;
use std::path::Path;

/// A snapshot as version 1 wrote it.
const SAMPLE: &[u8] = include_bytes!("../../tests/formats/snapshot-v1");

fn snapshots(disk: &RehearsedDisk) -> Snapshots<RehearsedDisk> {
    Snapshots::new(disk.clone(), Path::new("/data"), "default", "Sample").unwrap()
}

fn header(position: u64) -> Header {
    Header {
        tenant: "default".to_owned(),
        plan: "Sample".to_owned(),
        position,
        epoch: 2,
        state_fingerprint: 0x0102_0304_0506_0708,
        text_fingerprint: 0x1112_1314_1516_1718,
        created: 1_700_000_000_000,
    }
}

fn state(position: u64) -> Vec<u8> {
    (0..1500).map(|n| (n * position) as u8).collect()
}

fn write(snapshots: &Snapshots<RehearsedDisk>, position: u64) -> Result<String, SnapshotError> {
    let mut writer = snapshots.write(&header(position))?;
    writer.put(&state(position))?;
    writer.finish()
}

fn put_file(disk: &RehearsedDisk, bytes: &[u8]) -> Snapshots<RehearsedDisk> {
    let snapshots = snapshots(disk);
    disk.create_folder(snapshots.folder()).unwrap();
    let path = snapshots.folder().join("1700000000000_Sample");
    disk.create(&path).unwrap().write_at(bytes, 0).unwrap();
    snapshots
}

#[test]
fn a_sample_of_version_1_is_read_and_would_be_written_so_today() {
    let snapshots = put_file(&RehearsedDisk::new(0), SAMPLE);
    let (name, found, bytes) = snapshots.newest_valid().unwrap().found.unwrap();
    assert_eq!((found, bytes), (header(77), 1500));
    assert_eq!(snapshots.open(&name, 1500).unwrap().read_all().unwrap(), state(77));

    let disk = RehearsedDisk::new(0);
    let snapshots = self::snapshots(&disk);
    let name = write(&snapshots, 77).unwrap();
    assert_eq!(disk.content(&snapshots.folder().join(name)).unwrap(), SAMPLE);
}

#[test]
fn a_full_disk_says_so_and_leaves_nothing() {
    let disk = RehearsedDisk::new(0);
    let snapshots = snapshots(&disk);
    write(&snapshots, 1).unwrap();
    let used = disk.used();
    for room in (0..1600).step_by(7) {
        disk.set_room(used + room);
        let error = write(&snapshots, 2).unwrap_err();
        assert!(error.is_full() && error.to_string().contains("the disk is full"), "{error}");
        assert_eq!(disk.used(), used);
    }
    assert_eq!(snapshots.newest_valid().unwrap().found.unwrap().1.position, 1);
}

/// One snapshot that lasts and two whose names do not yet: the folder's sync failed.
fn two_that_may_go(seed: u64) -> (RehearsedDisk, Snapshots<RehearsedDisk>) {
    let disk = RehearsedDisk::new(seed);
    let here = snapshots(&disk);
    write(&here, 1).unwrap();
    for position in [2, 3] {
        // Create, head, chunk, tail, sync and rename go well.
        disk.fail_after(6, Failure::Error);
        let error = write(&here, position).unwrap_err().to_string();
        assert!(error.starts_with("cannot sync") && error.ends_with("Sample`"), "{error}");
    }
    (disk, here)
}

fn newest(disk: &RehearsedDisk) -> u64 {
    snapshots(disk).newest_valid().unwrap().found.map_or(0, |found| found.1.position)
}

#[test]
fn only_what_lasts_lets_the_journal_be_released() {
    for seed in 0..50 {
        let (disk, here) = two_that_may_go(seed);
        let released = here.older_of_two().unwrap().unwrap();
        assert!(newest(&disk.lose_power()) >= released);
    }
}

#[test]
fn only_what_lasts_replaces_what_is_pruned() {
    for seed in 0..50 {
        for operations in 0..3 {
            let (disk, here) = two_that_may_go(seed);
            disk.fail_after(operations, Failure::End);
            assert!(here.prune().is_err());
            assert!(newest(&disk.lose_power()) >= 1, "after {operations} operations");
        }
    }
}

#[derive(Clone, Debug)]
enum Deed {
    Write,
    Prune,
    Release,
    Fail(u64, bool),
    Kill,
    LosePower,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        4 => Just(Deed::Write),
        2 => Just(Deed::Prune),
        2 => Just(Deed::Release),
        2 => (0u64..10, any::<bool>()).prop_map(|(after, ends)| Deed::Fail(after, ends)),
        1 => Just(Deed::Kill),
        2 => Just(Deed::LosePower),
    ];
    prop::collection::vec(deed, 1..40)
}

proptest! {
    #[test]
    fn a_finished_snapshot_lasts_and_the_journal_is_never_released_too_far(
        seed: u64,
        deeds in deeds(),
    ) {
        let mut disk = RehearsedDisk::new(seed);
        let mut here = snapshots(&disk);
        // Positions written, finished, released.
        let (mut tried, mut finished, mut released) = (0, 0, 0);
        for deed in deeds.iter().chain(&[Deed::LosePower]) {
            let failed = match deed {
                Deed::Write => {
                    tried += 1;
                    let done = write(&here, tried);
                    if done.is_ok() {
                        finished = tried;
                    }
                    done.is_err()
                }
                Deed::Prune => here.prune().is_err(),
                Deed::Release => match here.older_of_two() {
                    Ok(position) => {
                        released = released.max(position.unwrap_or(0));
                        false
                    }
                    Err(_) => true,
                },
                Deed::Fail(after, ends) => {
                    let failure = if *ends { Failure::End } else { Failure::Error };
                    disk.fail_after(*after, failure);
                    false
                }
                Deed::Kill | Deed::LosePower => true,
            };
            if failed && here.list().is_err() || matches!(deed, Deed::Kill | Deed::LosePower) {
                let loses = matches!(deed, Deed::LosePower);
                disk = if loses { disk.lose_power() } else { disk.kill() };
                here = snapshots(&disk);
            }
            let newest = here.newest_valid().unwrap();
            prop_assert!(newest.passed_over.is_empty(), "a name stands for a whole snapshot");
            let position = newest.found.map_or(0, |(name, header, _)| {
                let read = here.open(&name, u64::MAX).unwrap().read_all().unwrap();
                assert_eq!(read, state(header.position));
                header.position
            });
            prop_assert!((finished..=tried).contains(&position), "{} {}", finished, position);
            prop_assert!(released <= position);
        }
        let pruned = here.prune().unwrap();
        prop_assert!(pruned.len() <= deeds.len() + 2);
        if disk.list(here.folder()).is_ok() {
            let names = disk.list(here.folder()).unwrap();
            prop_assert!(names.len() <= 2 && names.iter().all(|n| n.ends_with("_Sample")));
        }
        // The one before the newest serves if that decays, with the journal since.
        if let [newest, older] = here.list().unwrap().as_slice() {
            let path = here.folder().join(&newest.name);
            let bytes = disk.content(&path).unwrap().len() as u64;
            disk.flip(&path, seed % bytes, 0x20);
            let found = here.newest_valid().unwrap();
            prop_assert_eq!(&found.passed_over[0].0, &newest.name);
            let (name, header, _) = found.found.unwrap();
            prop_assert_eq!(&name, &older.name);
            prop_assert!(header.position >= released);
        }
    }

    #[test]
    fn any_file_is_read_or_refused(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..20)).prop_map(
                |(place, with)| {
                    let mut bytes = SAMPLE.to_vec();
                    let at = place.index(bytes.len());
                    bytes.splice(at..(at + with.len()).min(bytes.len()), with);
                    bytes
                },
            ),
        ],
    ) {
        let is_sample = bytes == SAMPLE;
        let _ = format::decode_head(&bytes);
        let _ = format::decode_tail(&bytes, None);
        let here = put_file(&RehearsedDisk::new(0), &bytes);
        prop_assert_eq!(here.newest_valid().unwrap().found.is_some(), is_sample);
        prop_assert_eq!(here.list().unwrap().len(), 1);
    }
}

#[test]
fn a_length_that_cannot_be_is_no_allocation() {
    let mut bytes = SAMPLE.to_vec();
    let (_, head, _) = format::decode_head(&bytes).unwrap();
    bytes[head..head + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let here = put_file(&RehearsedDisk::new(0), &bytes);
    let reason = here.newest_valid().unwrap().passed_over.remove(0).1.to_string();
    assert!(reason.contains("longer than a chunk may be"), "{reason}");
}
