//! The bytes of a journal: any bytes are survived, holes are told from damage, version 1 stays.

use crate::disk::Disk;
use crate::disk::DiskFile;
use crate::disk::rehearsed::RehearsedDisk;
use crate::journal::Journal;
use crate::journal::JournalError;
use crate::journal::Options;
use crate::journal::format::Expected;
use crate::journal::format::Found;
use crate::journal::format::HeadFault;
use crate::journal::format::RECORD_HEAD;
use crate::journal::format::Record;
use crate::journal::format::SEGMENT_HEAD;
use crate::journal::format::SegmentHead;
use crate::journal::format::Tail;
use crate::journal::format::encode_record;
use crate::journal::format::judge_tail;
use crate::journal::format::look;
use crate::journal::format::plan_id;
use crate::journal::format::records;
use proptest::prelude::*;
use std::path::Path;

/// A segment as version 1 wrote it.
const SAMPLE: &[u8] = include_bytes!("../../tests/formats/journal-v1.log");

const FOLDER: &str = "/j";

fn expected(position: u64) -> Expected {
    Expected { position, epoch: 1, body_max: 1 << 20 }
}

/// Ten records from position 1 of 1000 bytes each, made when so much was synced.
fn ten(synced: impl Fn(u64) -> u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for position in 1..=10 {
        let body = [position as u8; 1000 - RECORD_HEAD];
        encode_record(&mut bytes, Record { position, epoch: 1, body: &body }, synced(position));
    }
    bytes
}

/// The journal of the sample, made by today's code.
fn sample_journal(disk: &RehearsedDisk) {
    let options = Options::new(plan_id("default", "Sample"));
    let (mut journal, _) = Journal::open(disk.clone(), Path::new(FOLDER), options).unwrap();
    journal.restart_after(41, 2).unwrap();
    journal.append(2, b"the first").unwrap();
    journal.append(3, b"").unwrap();
    journal.sync().unwrap();
    journal.append(3, &[0xff; 40]).unwrap();
    journal.flush().unwrap();
}

#[test]
fn a_sample_of_version_1_is_read() {
    let disk = RehearsedDisk::new(0);
    disk.create_folder(Path::new(FOLDER)).unwrap();
    let path = Path::new(FOLDER).join("00000000000000000042.log");
    disk.create(&path).unwrap().write_at(SAMPLE, 0).unwrap();
    let options = Options::new(plan_id("default", "Sample"));
    let (journal, opened) = Journal::open(disk, Path::new(FOLDER), options).unwrap();
    assert_eq!((opened.first, opened.last, opened.torn), (42, 44, None));
    assert_eq!(journal.epoch_at(41), Some(2));
    assert_eq!(journal.epoch_spans(), [(42, 2), (43, 3)]);
    let mut records = journal.reader().read(42).unwrap();
    for (position, epoch, body) in [(42, 2, &b"the first"[..]), (43, 3, b""), (44, 3, &[0xff; 40])]
    {
        assert_eq!(records.read_next().unwrap(), Some(Record { position, epoch, body }));
    }
    assert_eq!(records.read_next().unwrap(), None);
}

#[test]
fn what_is_written_today_is_version_1() {
    let disk = RehearsedDisk::new(0);
    sample_journal(&disk);
    let path = Path::new(FOLDER).join("00000000000000000042.log");
    assert_eq!(disk.content(&path).unwrap(), SAMPLE);
}

#[test]
fn a_hole_that_power_loss_left_is_told_from_damage() {
    let unsynced = ten(|_| 0);
    let hole = |bytes: &[u8]| {
        // Sector 4 begins inside record 3, at byte 48 of it.
        let mut bytes = bytes.to_vec();
        bytes[2048..2560].fill(0);
        bytes
    };
    let judge = |bytes: &[u8], doubtful| judge_tail(&bytes[2000..], 2000, expected(3), doubtful);
    let torn = Tail::Torn { beyond: 7 };
    let damaged = Tail::Damaged { followed_by: 4 };
    assert_eq!(judge(&hole(&unsynced), true), torn);
    assert_eq!(judge(&hole(&unsynced), false), damaged, "without a loss of power nothing is lost");
    let synced_before = ten(|_| 2);
    assert_eq!(judge(&hole(&synced_before), true), torn, "only what lies before was synced");
    let synced_later = ten(|position| if position > 8 { 3 } else { 0 });
    assert_eq!(judge(&hole(&synced_later), true), damaged, "it was whole when 9 was written");
    let mut flipped = unsynced.clone();
    flipped[2100] ^= 1;
    assert_eq!(judge(&flipped, true), damaged, "no sector is missing");
    let mut last = unsynced.clone();
    last[9999] ^= 1;
    assert_eq!(judge_tail(&last[9000..], 9000, expected(10), false), Tail::Torn { beyond: 0 });
}

#[test]
fn a_length_beyond_the_limit_is_damage_and_not_an_allocation() {
    let mut bytes = Vec::new();
    encode_record(&mut bytes, Record { position: 1, epoch: 1, body: &[7; 100] }, 0);
    let limit = |body_max| look(&bytes, Expected { body_max, ..expected(1) });
    assert!(matches!(limit(99), Found::Fault(_)));
    assert!(matches!(limit(100), Found::Record { .. }));
    assert_eq!(look(&bytes[..40], expected(1)), Found::Short(132));
}

#[test]
fn heads_of_segments_are_checked() {
    let head = SegmentHead { plan: 7, first: 8, epoch_before: 9 };
    let bytes = head.encode();
    assert_eq!(SegmentHead::decode(&bytes), Ok(head));
    assert_eq!(SegmentHead::decode(&bytes[..39]), Err(HeadFault::Short));
    for at in 0..SEGMENT_HEAD {
        let mut bytes = bytes;
        bytes[at] ^= 1;
        assert_eq!(SegmentHead::decode(&bytes), Err(HeadFault::Damaged), "byte {at}");
    }
}

#[test]
fn a_full_disk_says_so_and_the_journal_goes_on_once_there_is_room() {
    for room in 0..3000 {
        let disk = RehearsedDisk::new(room);
        let options = Options { segment_bytes_max: 1000, ..Options::new(1) };
        disk.set_room(40 + room);
        let (mut journal, _) = Journal::open(disk.clone(), Path::new(FOLDER), options).unwrap();
        let mut written = 0;
        let error = loop {
            journal.append(1, &[5; 300]).unwrap();
            match journal.flush() {
                Ok(last) => written = last,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, JournalError::Full { .. }), "{error}");
        assert!(error.to_string().starts_with("the disk is full: cannot "), "{error}");
        let again = journal.flush().unwrap_err();
        assert!(again.is_full() && matches!(again, JournalError::Poisoned(_)), "{again}");
        drop(journal);
        // What is there can be opened while the disk is full, and written to when it is not.
        let (journal, opened) = Journal::open(disk.clone(), Path::new(FOLDER), options).unwrap();
        assert_eq!(opened.last, written);
        drop(journal);
        disk.set_room(u64::MAX);
        let (mut journal, _) = Journal::open(disk.clone(), Path::new(FOLDER), options).unwrap();
        assert_eq!(journal.append(1, &[6; 300]).unwrap(), written + 1);
        assert_eq!(journal.sync().unwrap(), written + 1);
    }
}

/// Right records with bytes changed, dropped and put in: closer to trouble than any bytes.
fn mangled() -> impl Strategy<Value = Vec<u8>> {
    let change =
        (any::<prop::sample::Index>(), 0usize..3, prop::collection::vec(any::<u8>(), 0..40));
    prop::collection::vec(change, 0..6).prop_map(|changes| {
        let mut bytes = SAMPLE[SEGMENT_HEAD..].repeat(3);
        for (place, kind, with) in changes {
            let at = place.index(bytes.len().max(1)).min(bytes.len());
            let end = (at + with.len()).min(bytes.len());
            match kind {
                0 => bytes[at..end].copy_from_slice(&with[..end - at]),
                1 => drop(bytes.splice(at..at, with)),
                _ => drop(bytes.drain(at..end)),
            }
        }
        bytes
    })
}

proptest! {
    #[test]
    fn any_bytes_are_survived(
        bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..300), mangled()],
        position in 40u64..46,
        offset in 0u64..2000,
        doubtful: bool,
    ) {
        let expected = Expected { position, epoch: 0, body_max: 1 << 20 };
        let mut found = records(&bytes, expected);
        let bodies: usize = found.by_ref().map(|record| record.body.len() + RECORD_HEAD).sum();
        prop_assert_eq!(bodies, found.offset());
        prop_assert!(found.expected().position - position <= 9);
        judge_tail(&bytes[found.offset()..], offset, found.expected(), doubtful);
        let _ = SegmentHead::decode(&bytes);
    }

    #[test]
    fn any_file_is_opened_or_refused(bytes in mangled(), doubtful: bool, head: bool) {
        let disk = RehearsedDisk::new(0);
        disk.create_folder(Path::new(FOLDER)).unwrap();
        let path = Path::new(FOLDER).join("00000000000000000042.log");
        let front = if head { &SAMPLE[..SEGMENT_HEAD] } else { &[] };
        disk.create(&path).unwrap().write_at(&[front, &bytes].concat(), 0).unwrap();
        let plan = plan_id("default", "Sample");
        let options = Options { doubtful, ..Options::new(plan) };
        match Journal::open(disk, Path::new(FOLDER), options) {
            Ok((journal, opened)) => {
                let mut records = journal.reader().read(opened.first).unwrap();
                while records.read_next().unwrap().is_some() {}
            }
            Err(error) => {
                let is_damage = matches!(error, JournalError::Damaged { .. });
                prop_assert!(is_damage, "{}", error);
            }
        }
    }
}
