//! The journal on real files.

use crate::disk::RealDisk;
use crate::journal::Journal;
use crate::journal::JournalError;
use crate::journal::Opened;
use crate::journal::Options;
use crate::journal::format::plan_id;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use tempfile::TempDir;

fn options() -> Options {
    Options { segment_bytes_max: 4096, ..Options::new(plan_id("default", "P")) }
}

fn open(folder: &Path) -> (Journal<RealDisk>, Opened) {
    Journal::open(RealDisk, folder, options()).unwrap()
}

/// A journal of so many records in epoch 1, all flushed, one flush each, and some synced.
fn filled(records: u64) -> (TempDir, Journal<RealDisk>) {
    let place = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(place.path());
    for number in 0..records {
        put(&mut journal, 1);
        journal.flush().unwrap();
        if number % 10 == 9 {
            journal.sync().unwrap();
        }
    }
    (place, journal)
}

fn put(journal: &mut Journal<RealDisk>, epoch: u64) -> u64 {
    let body = body(journal.last() + 1, epoch);
    journal.append(epoch, &body).unwrap()
}

fn body(position: u64, epoch: u64) -> Vec<u8> {
    let text = format!("record {position} of epoch {epoch} ");
    text.bytes().cycle().take(100 + position as usize % 50).collect()
}

/// Position and epoch of all records from a position on; their bodies are checked.
fn read(journal: &Journal<RealDisk>, from: u64) -> Result<Vec<(u64, u64)>, JournalError> {
    let mut records = journal.reader().read(from)?;
    let mut found = Vec::new();
    while let Some(record) = records.read_next()? {
        assert_eq!(record.body, body(record.position, record.epoch));
        found.push((record.position, record.epoch));
    }
    Ok(found)
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn change(file: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    edit(&mut bytes);
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_new_journal_is_empty() {
    let place = tempfile::tempdir().unwrap();
    let (journal, opened) = open(&place.path().join("deep/er"));
    assert_eq!((opened.first, opened.last, opened.last_epoch, opened.torn), (1, 0, 0, None));
    assert_eq!((journal.first(), journal.last(), journal.last_epoch()), (1, 0, 0));
    assert_eq!(journal.epoch_spans(), []);
    assert_eq!(journal.epoch_at(0), Some(0));
    assert_eq!(read(&journal, 1).unwrap(), []);
}

#[test]
fn records_come_back_in_order_over_many_segments() {
    let (place, mut journal) = filled(200);
    for _ in 0..50 {
        put(&mut journal, 3);
    }
    assert_eq!(journal.last(), 250);
    assert_eq!(read(&journal, 1).unwrap().len(), 200, "what is not flushed is not read");
    assert_eq!(journal.flush().unwrap(), 250);
    let expected: Vec<(u64, u64)> =
        (1..=250).map(|position| (position, if position > 200 { 3 } else { 1 })).collect();
    assert!(segments(place.path()).len() > 5);
    for from in [1, 2, 30, 199, 200, 201, 250, 251, 300] {
        let wanted = expected.iter().copied().filter(|&(position, _)| position >= from);
        assert_eq!(read(&journal, from).unwrap(), wanted.collect::<Vec<_>>(), "from {from}");
    }
    let bytes = journal.bytes();
    drop(journal);
    let (journal, opened) = open(place.path());
    assert_eq!((opened.first, opened.last, opened.last_epoch), (1, 250, 3));
    assert_eq!((opened.bytes, opened.torn), (bytes, None));
    assert_eq!(opened.segments, segments(place.path()).len());
    assert_eq!(read(&journal, 1).unwrap(), expected);
    assert_eq!(journal.epoch_spans(), [(1, 1), (201, 3)]);
    assert_eq!(journal.syncer().synced(), 250, "opening leaves all synced");
}

#[test]
fn a_reader_follows_what_is_appended() {
    let (_place, mut journal) = filled(3);
    let mut records = journal.reader().read(2).unwrap();
    let mut next = || records.read_next().unwrap().map(|record| record.position);
    assert_eq!([next(), next(), next(), next()], [Some(2), Some(3), None, None]);
    for position in 4..200 {
        put(&mut journal, 1);
        journal.flush().unwrap();
        assert_eq!([next(), next()], [Some(position), None]);
    }
}

#[test]
fn one_fsync_serves_all_that_was_flushed_before() {
    let (_place, mut journal) = filled(3);
    let syncer = journal.syncer();
    assert_eq!((syncer.written(), syncer.synced()), (3, 0));
    put(&mut journal, 1);
    assert_eq!(syncer.sync(1).unwrap(), 3);
    journal.flush().unwrap();
    assert_eq!(syncer.sync(3).unwrap(), 3, "nothing to do for 3");
    assert_eq!(syncer.sync(4).unwrap(), 4);
    assert_eq!(syncer.sync(u64::MAX).unwrap(), 4);
    put(&mut journal, 1);
    assert_eq!(journal.sync().unwrap(), 5);
}

#[test]
fn a_full_segment_waits_for_the_syncer_up_to_twice_its_size() {
    let (place, mut journal) = filled(0);
    let mut fill = |until: u64| {
        while journal.bytes() < until {
            put(&mut journal, 1);
            journal.flush().unwrap();
        }
        (journal.syncer().sync(0).unwrap(), segments(place.path()).len())
    };
    assert_eq!(fill(8000), (0, 1), "4096 is the limit, but nothing is synced");
    let (synced, segments_now) = fill(8500);
    assert_eq!(segments_now, 2, "twice the limit");
    assert!(synced > 40, "all of the first is synced then");
    fill(13000);
    journal.sync().unwrap();
    put(&mut journal, 1);
    journal.flush().unwrap();
    assert_eq!(segments(place.path()).len(), 3, "there was nothing left to sync");
}

#[test]
fn syncing_and_reading_go_on_while_the_journal_grows() {
    let (_place, mut journal) = filled(1);
    let (syncer, reader) = (journal.syncer(), journal.reader());
    std::thread::scope(|scope| {
        scope.spawn(move || while syncer.sync(u64::MAX).unwrap() < 2000 {});
        scope.spawn(move || {
            let mut records = reader.read(1).unwrap();
            let mut last = 0;
            while last < 2000 {
                if let Some(record) = records.read_next().unwrap() {
                    assert_eq!(record.position, last + 1);
                    assert_eq!(record.body, body(record.position, 1));
                    last += 1;
                }
            }
        });
        while journal.last() < 2000 {
            put(&mut journal, 1);
            journal.flush().unwrap();
        }
    });
    assert_eq!(journal.syncer().synced(), 2000);
}

#[test]
fn a_cut_is_for_good_and_readers_learn_of_it() {
    for cut in [0, 1, 27, 28, 29, 30, 31, 32, 33, 100, 149, 150] {
        let (place, mut journal) = filled(150);
        put(&mut journal, 2);
        let mut records = journal.reader().read(1).unwrap();
        assert_eq!(records.read_next().unwrap().unwrap().position, 1);
        journal.truncate_after(cut).unwrap();
        assert!(matches!(records.read_next(), Err(JournalError::Changed)));
        assert_eq!((journal.last(), journal.syncer().written()), (cut, cut));
        assert_eq!(journal.last_epoch(), u64::from(cut > 0));
        drop(journal);
        let (mut journal, opened) = open(place.path());
        assert_eq!((opened.last, opened.torn), (cut, None));
        put(&mut journal, 5);
        journal.flush().unwrap();
        let mut expected: Vec<(u64, u64)> = (1..=cut).map(|position| (position, 1)).collect();
        expected.push((cut + 1, 5));
        assert_eq!(read(&journal, 1).unwrap(), expected);
        assert_eq!(journal.epoch_at(cut + 1), Some(5));
        assert_eq!(journal.epoch_at(cut), Some(u64::from(cut > 0)));
    }
}

#[test]
fn a_cut_may_fall_into_what_is_not_flushed() {
    let (_place, mut journal) = filled(2);
    for _ in 0..3 {
        put(&mut journal, 4);
    }
    journal.truncate_after(4).unwrap();
    assert_eq!(read(&journal, 1).unwrap(), [(1, 1), (2, 1), (3, 4), (4, 4)]);
    journal.truncate_after(9).unwrap();
    assert_eq!(journal.last(), 4);
}

#[test]
fn whole_segments_are_released() {
    let (place, mut journal) = filled(200);
    let before = journal.bytes();
    let mut old = journal.reader().read(1).unwrap();
    assert_eq!(old.read_next().unwrap().unwrap().position, 1);
    let freed = journal.release_before(100).unwrap();
    assert_eq!(journal.bytes(), before - freed);
    let first = journal.first();
    assert!(first > 60 && first <= 100, "{first}");
    assert!(matches!(
        journal.reader().read(first - 1),
        Err(JournalError::Released { asked, first: f }) if asked + 1 == first && f == first
    ));
    assert_eq!(read(&journal, first).unwrap().len() as u64, 201 - first);
    assert_eq!(journal.epoch_at(first - 1), Some(1), "the one before the first is still known");
    assert_eq!(journal.epoch_at(first - 2), None);
    assert!(matches!(journal.truncate_after(first - 2), Err(JournalError::Outside { .. })));
    let released = loop {
        match old.read_next() {
            Ok(Some(_)) => {}
            other => break other.map(|record| record.map(|record| record.position)),
        }
    };
    assert!(matches!(released, Err(JournalError::Released { .. })), "{released:?}");
    assert!(journal.release_before(u64::MAX).unwrap() > 0);
    assert_eq!(segments(place.path()).len(), 1, "the last is kept");
    drop(journal);
    let (journal, opened) = open(place.path());
    assert_eq!((opened.first, opened.last), (journal.first(), 200));
    assert_eq!(journal.epoch_spans(), [(journal.first(), 1)]);
}

#[test]
fn a_journal_goes_on_after_a_position_from_elsewhere() {
    let (place, mut journal) = filled(100);
    let mut records = journal.reader().read(50).unwrap();
    journal.restart_after(5000, 7).unwrap();
    assert!(matches!(records.read_next(), Err(JournalError::Changed)));
    assert_eq!((journal.first(), journal.last(), journal.last_epoch()), (5001, 5000, 7));
    assert!(matches!(journal.append(6, b""), Err(JournalError::EpochFell { given: 6, last: 7 })));
    drop(journal);
    let (mut journal, opened) = open(place.path());
    assert_eq!((opened.first, opened.last, opened.last_epoch), (5001, 5000, 7));
    assert_eq!(journal.epoch_at(5000), Some(7));
    assert_eq!(put(&mut journal, 7), 5001);
    journal.flush().unwrap();
    assert_eq!(read(&journal, 5001).unwrap(), [(5001, 7)]);
}

#[test]
fn a_torn_tail_is_cut_and_reported() {
    let (place, journal) = filled(10);
    drop(journal);
    let file = segments(place.path()).pop().unwrap();
    let whole = fs::read(&file).unwrap();
    let last = 32 + body(10, 1).len();
    for lost in 1..last {
        change(&file, |bytes| bytes.truncate(whole.len() - lost));
        let (journal, opened) = open(place.path());
        let torn = opened.torn.unwrap();
        let expected = ((last - lost) as u64, (whole.len() - last) as u64, 0);
        assert_eq!((torn.bytes, torn.offset, torn.beyond), expected);
        assert!(torn.is_unfinished, "{lost} bytes of the last record are missing");
        assert_eq!((opened.last, torn.file.as_path()), (9, file.as_path()));
        assert_eq!(read(&journal, 1).unwrap().len(), 9);
        fs::write(&file, &whole).unwrap();
    }
    for at in whole.len() - last..whole.len() {
        change(&file, |bytes| bytes[at] ^= 1);
        let torn = open(place.path()).1.torn.unwrap();
        assert_eq!(torn.bytes, last as u64, "byte {at} of the very end is wrong");
        assert!(!torn.is_unfinished, "it was whole once: byte {at}");
        fs::write(&file, &whole).unwrap();
    }
}

#[test]
fn a_segment_whose_head_was_never_finished_is_removed() {
    for head in [0, 1, 39, 40] {
        let (place, journal) = filled(100);
        drop(journal);
        let file = place.path().join("00000000000000000101.log");
        fs::write(&file, vec![0; head]).unwrap();
        let (_, opened) = open(place.path());
        assert_eq!(opened.last, 100);
        assert_eq!(opened.torn.unwrap().bytes, head as u64);
        assert!(!file.exists());
    }
}

#[test]
fn damage_in_the_middle_names_file_and_offset_and_cuts_nothing() {
    let (place, mut journal) = filled(200);
    journal.sync().unwrap();
    drop(journal);
    let files = segments(place.path());
    let mut errors = 0;
    for file in &files {
        let whole = fs::read(file).unwrap();
        let is_last = Some(file) == files.last();
        let end = if is_last { whole.len() - 200 } else { whole.len() };
        for at in (0..end).step_by(37) {
            change(file, |bytes| bytes[at] ^= 0x10);
            let error = Journal::open(RealDisk, place.path(), options()).unwrap_err();
            match &error {
                JournalError::Damaged { file: named, offset, .. } => {
                    assert_eq!(named, file);
                    assert!(*offset as usize <= at && at < *offset as usize + 32 + 150, "{error}");
                }
                other => panic!("{other}"),
            }
            assert_eq!(fs::read(file).unwrap().len(), whole.len());
            fs::write(file, &whole).unwrap();
            errors += 1;
        }
    }
    assert!(errors > 500, "{errors}");
}

#[test]
fn a_missing_segment_is_damage() {
    let (place, journal) = filled(200);
    drop(journal);
    let files = segments(place.path());
    fs::remove_file(&files[2]).unwrap();
    let error = Journal::open(RealDisk, place.path(), options()).unwrap_err();
    assert!(error.to_string().contains("a segment is missing"), "{error}");
    assert!(error.to_string().contains(files[3].to_str().unwrap()), "{error}");
}

#[test]
fn another_plans_journal_and_a_newer_format_are_refused() {
    let (place, journal) = filled(2);
    drop(journal);
    let other = Options::new(plan_id("default", "Q"));
    let error = Journal::open(RealDisk, place.path(), other).unwrap_err();
    assert!(matches!(error, JournalError::Foreign { .. }), "{error}");
    change(&segments(place.path())[0], |bytes| {
        bytes[8] = 9;
        let check = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..40]);
        bytes[12..16].copy_from_slice(&check.to_le_bytes());
    });
    let error = Journal::open(RealDisk, place.path(), options()).unwrap_err();
    assert!(matches!(error, JournalError::Newer { found: 9, known: 1, .. }), "{error}");
}

#[test]
fn what_cannot_be_appended_changes_nothing() {
    let (_place, mut journal) = filled(2);
    let short = Options { record_bytes_max: 10, ..options() };
    let place = tempfile::tempdir().unwrap();
    let (mut small, _) = Journal::open(RealDisk, place.path(), short).unwrap();
    assert!(matches!(
        small.append(1, &[0; 11]),
        Err(JournalError::TooLong { bytes: 11, limit: 10 })
    ));
    assert_eq!(small.append(1, &[0; 10]).unwrap(), 1);
    assert!(matches!(journal.append(0, b""), Err(JournalError::EpochFell { given: 0, last: 1 })));
    assert_eq!(put(&mut journal, 1), 3);
}

#[test]
fn foreign_files_in_the_folder_are_left_alone() {
    let (place, journal) = filled(1);
    drop(journal);
    for name in ["notes.txt", "1.log", "00000000000000000000.log", "00000000000000000001.log.bak"] {
        fs::write(place.path().join(name), "mine").unwrap();
    }
    let (mut journal, opened) = open(place.path());
    assert_eq!(opened.last, 1);
    journal.restart_after(10, 1).unwrap();
    assert_eq!(segments(place.path()).len(), 5);
}
