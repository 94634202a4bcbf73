//! The journal through thousands of kills, power losses and failing disks, against a model.

use crate::disk::Disk;
use crate::disk::rehearsed::Failure;
use crate::disk::rehearsed::RehearsedDisk;
use crate::journal::Journal;
use crate::journal::JournalError;
use crate::journal::Options;
use proptest::prelude::*;
use std::path::Path;

const FOLDER: &str = "/data/journal/P";

#[derive(Clone, Debug)]
enum Deed {
    /// Append records of these lengths, in the epoch raised by one or not.
    Append(Vec<usize>, bool),
    Flush,
    Sync,
    /// Cut off this share of the records, in 1/256.
    Truncate(u8),
    Release(u8),
    /// Go on far behind, as after a snapshot from elsewhere.
    Restart,
    /// A later operation of the disk fails.
    Fail(u64, bool),
    /// So many bytes are left on the disk.
    Full(u64),
    Reopen,
    Kill,
    LosePower,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        8 => (prop::collection::vec(0usize..900, 1..6), prop::bool::weighted(0.1))
            .prop_map(|(lengths, raises)| Deed::Append(lengths, raises)),
        6 => Just(Deed::Flush),
        3 => Just(Deed::Sync),
        1 => any::<u8>().prop_map(Deed::Truncate),
        1 => any::<u8>().prop_map(Deed::Release),
        1 => prop::bool::weighted(0.3).prop_map(|r| if r { Deed::Restart } else { Deed::Flush }),
        1 => (0u64..12, any::<bool>()).prop_map(|(after, ends)| Deed::Fail(after, ends)),
        1 => (0u64..3000).prop_map(Deed::Full),
        1 => Just(Deed::Reopen),
        1 => Just(Deed::Kill),
        2 => Just(Deed::LosePower),
    ];
    prop::collection::vec(deed, 1..60)
}

/// What the journal must hold.
#[derive(Debug, Default)]
struct Model {
    /// The position before the first record it may hold, and the epoch of that.
    base: (u64, u64),
    records: Vec<(u64, Vec<u8>)>,
    /// Records up to here must outlive the process.
    written: u64,
    /// Records up to here must outlive the machine.
    synced: u64,
    /// Below this the journal may have released.
    released: u64,
    /// A restart failed: it may have happened, or only have emptied the journal.
    maybe_restarted: Option<(u64, u64)>,
    count: u64,
}

impl Model {
    fn last(&self) -> u64 {
        self.base.0 + self.records.len() as u64
    }

    fn epoch(&self) -> u64 {
        self.records.last().map_or(self.base.1, |record| record.0)
    }

    fn cut(&mut self, last: u64) {
        self.records.truncate((last - self.base.0) as usize);
        self.written = self.written.min(last);
        self.synced = self.synced.min(last);
    }

    fn restart(&mut self, position: u64, epoch: u64) {
        self.base = (position, epoch);
        self.records.clear();
        self.written = position;
        self.synced = position;
        self.released = 0;
    }
}

struct Rehearsal {
    disk: RehearsedDisk,
    journal: Option<Journal<RehearsedDisk>>,
    model: Model,
    /// Power was lost and the journal not opened since.
    doubtful: bool,
}

impl Rehearsal {
    fn new(seed: u64) -> Rehearsal {
        let (journal, model) = (None, Model::default());
        let mut new = Rehearsal { disk: RehearsedDisk::new(seed), journal, model, doubtful: false };
        new.open();
        new
    }

    fn options(&self) -> Options {
        let doubtful = self.doubtful;
        Options { segment_bytes_max: 6000, doubtful, ..Options::new(1) }
    }

    fn does(&mut self, deed: &Deed) {
        match deed {
            Deed::Fail(after, ends) => {
                let failure = if *ends { Failure::End } else { Failure::Error };
                self.disk.fail_after(*after, failure);
            }
            Deed::Full(left) => self.disk.set_room(self.disk.used() + left),
            Deed::Reopen => self.open(),
            Deed::Kill => self.dies(false),
            Deed::LosePower => self.dies(true),
            _ => {
                let done = self.works(deed);
                if let Err(error) = done {
                    self.is_poisoned(&error);
                    // Room is made, the disk is well again or the process begins anew.
                    if self.disk.list(Path::new(FOLDER)).is_err() {
                        self.dies(false);
                    } else {
                        self.disk.set_room(u64::MAX);
                        self.open();
                    }
                }
            }
        }
    }

    fn works(&mut self, deed: &Deed) -> Result<(), JournalError> {
        let journal = self.journal.as_mut().expect("open between deeds");
        let model = &mut self.model;
        let share =
            |share: u8| model.last() - (model.last() - model.base.0) * u64::from(share) / 255;
        match deed {
            Deed::Append(lengths, raises) => {
                let epoch = model.epoch() + u64::from(*raises);
                for &length in lengths {
                    model.count += 1;
                    let body: Vec<u8> =
                        (0..length).map(|n| (n as u64 * model.count) as u8).collect();
                    assert_eq!(journal.append(epoch, &body)?, model.last() + 1);
                    model.records.push((epoch, body));
                }
            }
            Deed::Flush => model.written = journal.flush()?,
            Deed::Sync => {
                let syncer = journal.syncer();
                let synced = syncer.sync(u64::MAX)?;
                assert_eq!(synced, model.written);
                model.synced = synced;
            }
            Deed::Truncate(part) => {
                let to = share(*part).max(journal.first() - 1);
                let (written, synced) = (model.written, model.synced);
                model.written = written.min(to);
                model.synced = synced.min(to);
                let buffered = to > written;
                journal.truncate_after(to)?;
                if to < model.last() {
                    model.cut(to);
                    (model.written, model.synced) = (to, to);
                } else {
                    assert!(!buffered || journal.last() == to);
                    (model.written, model.synced) = (written, synced);
                }
            }
            Deed::Release(part) => {
                let before = share(*part);
                model.released = model.released.max(before);
                journal.release_before(before)?;
            }
            Deed::Restart => {
                let (position, epoch) = (model.last() + 1000, model.epoch() + 1);
                model.maybe_restarted = Some((position, epoch));
                (model.written, model.synced) = (model.base.0, model.base.0);
                journal.restart_after(position, epoch)?;
                model.maybe_restarted = None;
                model.restart(position, epoch);
            }
            _ => unreachable!("done elsewhere"),
        }
        assert_eq!((journal.last(), journal.last_epoch()), (model.last(), model.epoch()));
        Ok(())
    }

    fn is_poisoned(&mut self, error: &JournalError) {
        assert!(!matches!(error, JournalError::Poisoned(_)), "the first error is the real one");
        let journal = self.journal.as_mut().expect("open between deeds");
        let poisoned = |error| matches!(error, JournalError::Poisoned(_));
        assert!(poisoned(journal.append(u64::MAX, b"x").unwrap_err()));
        assert!(poisoned(journal.flush().unwrap_err()));
        assert!(poisoned(journal.syncer().sync(0).unwrap_err()));
        assert!(poisoned(journal.reader().read(u64::MAX).unwrap_err()));
        assert!(poisoned(journal.truncate_after(0).unwrap_err()));
        assert!(poisoned(journal.release_before(0).unwrap_err()));
    }

    fn dies(&mut self, power: bool) {
        self.journal = None;
        if power {
            self.disk = self.disk.lose_power();
            self.model.written = self.model.synced;
            self.doubtful = true;
        } else {
            self.disk = self.disk.kill();
        }
        self.disk.set_room(u64::MAX);
        self.open();
    }

    /// Opens the journal and holds what is found against the model.
    fn open(&mut self) {
        self.journal = None;
        let mut tries = 0;
        let (journal, opened) = loop {
            match Journal::open(self.disk.clone(), Path::new(FOLDER), self.options()) {
                Ok(found) => break found,
                Err(JournalError::Io { .. } | JournalError::Full { .. }) if tries < 2 => {
                    // A failure that was told earlier, or no room.
                    self.disk = self.disk.kill();
                    self.disk.set_room(u64::MAX);
                    tries += 1;
                }
                Err(error) => panic!("{error}"),
            }
        };
        // Whatever ended a write but the loss of power: it is not taken for decay.
        let unfinished = opened.torn.as_ref().is_none_or(|torn| torn.is_unfinished);
        assert!(self.doubtful || unfinished, "{opened:?}");
        self.doubtful = false;
        let model = &mut self.model;
        if let Some((position, epoch)) = model.maybe_restarted.take() {
            if opened.first == position + 1 {
                model.restart(position, epoch);
            } else if (opened.first, opened.last) == (1, 0) {
                model.restart(0, 0);
            }
        }
        assert!(opened.last >= model.written, "{opened:?}\n{model:?}");
        assert!(opened.last <= model.last(), "{opened:?}");
        assert!(opened.first <= model.released.max(model.base.0 + 1), "{opened:?}");
        assert!(opened.first > model.base.0, "{opened:?}");
        model.cut(opened.last);
        (model.written, model.synced) = (opened.last, opened.last);
        let mut records = journal.reader().read(opened.first).unwrap();
        let mut next = opened.first;
        while let Some(record) = records.read_next().unwrap() {
            let (epoch, body) = &model.records[(next - model.base.0 - 1) as usize];
            assert_eq!((record.position, record.epoch), (next, *epoch));
            assert!(record.body == body);
            assert_eq!(journal.epoch_at(next), Some(*epoch));
            next += 1;
        }
        assert_eq!(next, opened.last + 1);
        assert_eq!((journal.last(), journal.last_epoch()), (model.last(), model.epoch()));
        self.journal = Some(journal);
    }
}

fn cases() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn what_was_synced_is_kept_and_nothing_is_invented(seed: u64, deeds in deeds()) {
        let mut rehearsal = Rehearsal::new(seed);
        for deed in &deeds {
            rehearsal.does(deed);
        }
        rehearsal.dies(true);
        rehearsal.dies(false);
    }

    #[test]
    fn damage_in_the_middle_is_always_an_error(
        seed: u64,
        lengths in prop::collection::vec(0usize..900, 2..40),
        syncs in prop::collection::vec(prop::bool::weighted(0.2), 40),
        place: prop::sample::Index,
        bit in 0u32..8,
        doubtful: bool,
    ) {
        let disk = RehearsedDisk::new(seed);
        let options = Options { segment_bytes_max: 6000, doubtful, ..Options::new(1) };
        let (mut journal, _) = Journal::open(disk.clone(), Path::new(FOLDER), options).unwrap();
        for (length, syncs) in lengths.iter().zip(syncs) {
            journal.append(1, &vec![0x5a; *length]).unwrap();
            journal.flush().unwrap();
            if syncs {
                journal.sync().unwrap();
            }
        }
        journal.sync().unwrap();
        drop(journal);
        // Any byte but those of the last record.
        let last = 32 + lengths.last().unwrap();
        let files = disk.list(Path::new(FOLDER)).unwrap();
        let sizes: Vec<usize> = files
            .iter()
            .map(|name| disk.content(&Path::new(FOLDER).join(name)).unwrap().len())
            .collect();
        let mut at = place.index(sizes.iter().sum::<usize>() - last);
        let mut index = 0;
        while at >= sizes[index] {
            at -= sizes[index];
            index += 1;
        }
        let damaged = Path::new(FOLDER).join(&files[index]);
        disk.flip(&damaged, at as u64, 1 << bit);
        match Journal::open(disk.clone(), Path::new(FOLDER), options) {
            Err(JournalError::Damaged { file, offset, .. }) => {
                prop_assert_eq!(file, damaged.clone());
                prop_assert!(offset <= at as u64 && at as u64 - offset < 32 + 900);
            }
            other => prop_assert!(false, "{:?} {:?}", damaged, other.map(|found| found.1)),
        }
        prop_assert_eq!(disk.content(&damaged).unwrap().len(), sizes[index], "nothing is cut");
    }
}
