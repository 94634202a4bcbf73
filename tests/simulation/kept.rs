//! What a plan keeps on the rehearsed disk, as a node has to keep it: its journal, its snapshots,
//! and what is made of them at a start.

use crate::chance::Chance;
use crate::entries::Body;
use crate::entries::Entry;
use crate::entries::Fallen;
use crate::entries::Flaw;
use crate::entries::Saved;
use std::path::Path;
use std::path::PathBuf;
use std::rc::Rc;
use twinflow::disk::Disk;
use twinflow::disk::DiskFile;
use twinflow::disk::rehearsed::RehearsedDisk;
use twinflow::ha::protocol::Epoch;
use twinflow::ha::protocol::Plan;
use twinflow::ha::protocol::Position;
use twinflow::journal::Journal;
use twinflow::journal::JournalError;
use twinflow::journal::Options;
use twinflow::journal::format;
use twinflow::journal::format::Expected;
use twinflow::journal::format::SEGMENT_HEAD;
use twinflow::journal::format::SegmentHead;
use twinflow::replica;
use twinflow::replica::Extent;
use twinflow::snapshot::Fit;
use twinflow::snapshot::Header;
use twinflow::snapshot::SnapshotError;
use twinflow::snapshot::SnapshotReceiver;
use twinflow::snapshot::Snapshots;

const DATA: &str = "/data";
const TENANT: &str = "default";
/// Small, so that there are many.
const SEGMENT_BYTES: u64 = 12 << 10;

/// The files of a plan, in one life of the process.
#[derive(Debug)]
pub struct Kept {
    disk: RehearsedDisk,
    name: String,
    folder: PathBuf,
    journal: Journal<RehearsedDisk>,
    snapshots: Snapshots<RehearsedDisk>,
    /// A snapshot that has come and was found right.
    incoming: Option<SnapshotReceiver<RehearsedDisk>>,
    flaw: Option<Flaw>,
}

/// What a start finds.
#[derive(Debug, Default)]
pub struct Start {
    /// The state to begin from, and its fingerprint.
    pub state: Option<(Vec<u8>, u64)>,
    /// A write that never finished was cut off the journal.
    pub torn: bool,
    /// All bytes of what was cut off were there, and some were wrong.
    pub is_decayed: bool,
}

impl Kept {
    /// Opens what there is, or begins it. Results of entries after `received` have to be had again.
    pub fn open(
        disk: &RehearsedDisk,
        plan: Plan,
        received: u64,
        unsure: bool,
        flaw: Option<Flaw>,
    ) -> Result<(Kept, Start), Fallen> {
        let received = if flaw == Some(Flaw::NewestSnapshot) { u64::MAX } else { received };
        let name = format!("P{}", plan.0);
        let folder = Path::new(DATA).join("journal").join(TENANT).join(&name);
        let options = Options {
            segment_bytes_max: SEGMENT_BYTES,
            doubtful: unsure,
            ..Options::new(format::plan_id(TENANT, &name))
        };
        let opened = Journal::open(disk.clone(), &folder, options);
        let (mut journal, opened) = opened.map_err(|error| journal_fell(&error, &folder))?;
        let snapshots = Snapshots::new(disk.clone(), Path::new(DATA), TENANT, &name);
        let snapshots = snapshots.map_err(|error| Fallen::Wrong(error.to_string()))?;
        let state = state(&snapshots, &mut journal, received, &folder)?;
        let is_decayed = opened.torn.as_ref().is_some_and(|torn| !torn.is_unfinished);
        let start = Start { state, torn: opened.torn.is_some(), is_decayed };
        let (disk, incoming) = (disk.clone(), None);
        Ok((Kept { disk, name, folder, journal, snapshots, incoming, flaw }, start))
    }

    fn fell(&self, error: &JournalError) -> Fallen {
        journal_fell(error, &self.folder)
    }

    /// The entry before the first that the journal holds, and its epoch.
    pub fn base(&self) -> (Position, Epoch) {
        let base = self.journal.first() - 1;
        (Position(base), Epoch(self.journal.epoch_at(base).unwrap_or(0)))
    }

    pub fn last(&self) -> u64 {
        self.journal.last()
    }

    pub fn epoch_spans(&self) -> Vec<(Position, Epoch)> {
        let spans = self.journal.epoch_spans().into_iter();
        spans.map(|(first, epoch)| (Position(first), Epoch(epoch))).collect()
    }

    pub fn write(&mut self, after: u64, entries: &[Entry]) -> Result<(), Fallen> {
        for (position, entry) in (after + 1..).zip(entries) {
            let Body::Bytes(bytes) = &entry.body else {
                return Err(Fallen::Wrong("a bare entry for a real journal".to_owned()));
            };
            match self.journal.append(entry.epoch.0, bytes) {
                Ok(appended) if appended == position => {}
                Ok(appended) => {
                    let what = format!("entry {position} was written as {appended}");
                    return Err(Fallen::Wrong(what));
                }
                Err(error) => return Err(self.fell(&error)),
            }
        }
        self.journal.flush().map(drop).map_err(|error| self.fell(&error))
    }

    pub fn read(&self, after: u64, upto: u64) -> Result<Vec<Entry>, Fallen> {
        let mut entries = Vec::new();
        let mut records =
            self.journal.reader().read(after + 1).map_err(|error| self.fell(&error))?;
        while after + (entries.len() as u64) < upto {
            let Some(record) = records.read_next().map_err(|error| self.fell(&error))? else {
                return Err(Fallen::Wrong(format!("the journal ends before entry {upto}")));
            };
            let (epoch, body) = (Epoch(record.epoch), Body::Bytes(record.body.into()));
            entries.push(Entry { epoch, body });
        }
        Ok(entries)
    }

    pub fn cut(&mut self, after: u64) -> Result<(), Fallen> {
        self.journal.truncate_after(after).map_err(|error| self.fell(&error))
    }

    pub fn sync(&self, upto: u64) -> Result<(), Fallen> {
        if self.flaw == Some(Flaw::NoSync) {
            return Ok(());
        }
        self.journal.syncer().sync(upto).map(drop).map_err(|error| self.fell(&error))
    }

    /// Takes a snapshot, if there is something new, and forgets what it makes needless. There is
    /// at most one whose results are not all received: a start may have to go back before them.
    pub fn save(&mut self, saved: &replica::Saved, received: u64) -> Result<(), Fallen> {
        let listed = self.snapshots.list().map_err(|error| snapshot_fell(&error))?;
        let newest = listed.into_iter().find_map(|listed| listed.header.ok());
        if newest
            .is_some_and(|newest| newest.position >= saved.position || newest.position > received)
        {
            return Ok(());
        }
        let extent = saved.extent();
        let epoch = self.journal.epoch_at(saved.position).ok_or_else(|| {
            Fallen::Wrong(format!("the journal has no entry {} to be saved", saved.position))
        })?;
        let header = Header {
            tenant: TENANT.to_owned(),
            plan: self.name.clone(),
            position: saved.position,
            epoch,
            state_fingerprint: extent.fingerprint,
            text_fingerprint: 0,
            created: 0,
        };
        match self.write_snapshot(&header, saved, &extent) {
            Ok(Some(older)) => {
                let released = self.journal.release_before(older + 1);
                released.map(drop).map_err(|error| self.fell(&error))
            }
            Ok(None) => Ok(()),
            // The next one is tried in time, if there still is a process.
            Err(error) if self.disk.list(&self.folder).is_err() => Err(snapshot_fell(&error)),
            Err(_) => Ok(()),
        }
    }

    fn write_snapshot(
        &self,
        header: &Header,
        saved: &replica::Saved,
        extent: &Extent,
    ) -> Result<Option<u64>, SnapshotError> {
        let mut writer = self.snapshots.write(header)?;
        saved.write(extent, |piece| writer.put(piece))?;
        writer.finish()?;
        self.snapshots.prune()?;
        self.snapshots.older_of_two()
    }

    /// The newest snapshot of which all results were received, as a file.
    pub fn newest(&self, received: u64) -> Result<Option<Saved>, Fallen> {
        let early = self.flaw == Some(Flaw::SendsEarly);
        let received = if early { u64::MAX } else { received };
        let listed = self.snapshots.list().map_err(|error| snapshot_fell(&error))?;
        let fits = listed.into_iter().find_map(|listed| {
            let header = listed.header.ok()?;
            let is_ours = self.journal.epoch_at(header.position) == Some(header.epoch);
            (header.position <= received && is_ours).then_some((listed.name, header))
        });
        let Some((name, header)) = fits else { return Ok(None) };
        let file = self.snapshots.open_file(&name).map_err(|error| snapshot_fell(&error))?;
        let read = || -> std::io::Result<Rc<[u8]>> {
            let mut bytes = vec![0; file.length()? as usize];
            file.read_at(&mut bytes, 0)?;
            Ok(bytes.into())
        };
        let bytes = read().map_err(|_| Fallen::Ended)?;
        let (base, base_epoch) = (Position(header.position), Epoch(header.epoch));
        let digest = header.state_fingerprint;
        Ok(Some(Saved { base, base_epoch, digest, file: Some((name, bytes)) }))
    }

    /// Takes the file of a snapshot in; false if it is not right.
    pub fn receive(&mut self, saved: &Saved) -> Result<bool, Fallen> {
        let Some((name, bytes)) = &saved.file else { return Ok(false) };
        self.incoming = None;
        let received = self.snapshots.receive(name).and_then(|mut receiver| {
            let (front, rest) = bytes.split_at(bytes.len() / 2);
            receiver.put(front)?;
            receiver.put(rest)?;
            let header = receiver.check()?;
            Ok((receiver, header))
        });
        match received {
            Ok((receiver, header)) => {
                let is_it = (header.position, header.epoch) == (saved.base.0, saved.base_epoch.0);
                self.incoming = is_it.then_some(receiver);
                Ok(is_it)
            }
            Err(error) if self.disk.list(&self.folder).is_err() => Err(snapshot_fell(&error)),
            Err(_) => Ok(false),
        }
    }

    /// Puts the snapshot that has come in the place of all else.
    pub fn install(&mut self) -> Result<(Header, Vec<u8>), Fallen> {
        let receiver = self.incoming.take();
        let receiver = receiver.ok_or_else(|| Fallen::Wrong("no snapshot came".to_owned()))?;
        let (_, header) = receiver.finish().map_err(|error| snapshot_fell(&error))?;
        let restarted = self.journal.restart_after(header.position, header.epoch);
        restarted.map_err(|error| self.fell(&error))?;
        let newest = self.snapshots.newest_valid().map_err(|error| snapshot_fell(&error))?;
        let Some((name, found, bytes)) = newest.found.filter(|(_, found, _)| *found == header)
        else {
            return Err(Fallen::Wrong("the snapshot that came is not the newest".to_owned()));
        };
        let read = self.snapshots.open(&name, bytes).and_then(|mut reader| reader.read_all());
        Ok((found, read.map_err(|error| snapshot_fell(&error))?))
    }

    /// A byte that was synced: of a snapshot, or of the journal, with or without its last synced
    /// record.
    pub fn place_to_damage(&self, disk: &mut Chance, with_last: bool) -> Option<(PathBuf, u64)> {
        let mut places = Vec::new();
        for name in self.disk.list(self.snapshots.folder()).unwrap_or_default() {
            let path = self.snapshots.folder().join(name);
            let bytes = self.disk.content(&path)?.len() as u64;
            places.extend((bytes > 0).then_some((path, bytes)));
        }
        let synced = self.journal.syncer().synced() + u64::from(with_last);
        for name in self.disk.list(&self.folder).unwrap_or_default() {
            let path = self.folder.join(name);
            let bytes = self.disk.content(&path)?;
            let head = SegmentHead::decode(&bytes).ok()?;
            let expected =
                Expected { position: head.first, epoch: head.epoch_before, body_max: u32::MAX };
            let mut records = format::records(&bytes[SEGMENT_HEAD..], expected);
            let mut end = 0;
            while records.next().is_some_and(|record| record.position < synced) {
                end = SEGMENT_HEAD + records.offset();
            }
            places.extend((end > 0).then_some((path, end as u64)));
        }
        let (path, bytes) = places.get(disk.below(places.len() as u64) as usize)?;
        Some((path.clone(), disk.below(*bytes)))
    }
}

/// The state of the newest snapshot that is right and from which everything after can be had.
fn state(
    snapshots: &Snapshots<RehearsedDisk>,
    journal: &mut Journal<RehearsedDisk>,
    received: u64,
    folder: &Path,
) -> Result<Option<(Vec<u8>, u64)>, Fallen> {
    let listed = snapshots.list().map_err(|error| snapshot_fell(&error))?;
    let sound = listed.into_iter().filter_map(|each| Some((each.name, each.header.ok()?)));
    let is_late = |(_, header): &(String, Header)| header.position > received;
    // Results up to a snapshot cannot be had again from it: the older one may have to serve.
    let mut sound: Vec<_> = sound.collect();
    sound.sort_by_key(is_late);
    let mut damaged = None;
    for listed in sound {
        if is_late(&listed) && journal.first() == 1 {
            break;
        }
        if let Some(damaged) = damaged.take_if(|_| is_late(&listed)) {
            return Err(Fallen::Damaged(damaged));
        }
        let (name, header) = listed;
        let read = snapshots.open(&name, u64::MAX).and_then(|mut reader| reader.read_all());
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error @ SnapshotError::Damaged { .. }) => {
                damaged.get_or_insert(error.to_string());
                continue;
            }
            Err(error) => return Err(snapshot_fell(&error)),
        };
        let (position, epoch) = (header.position, header.epoch);
        let end = (journal.last_epoch(), journal.last());
        match header.fit(journal.epoch_at(position), journal.first(), end) {
            Fit::OnLog => {}
            Fit::Beyond => {
                let restarted = journal.restart_after(position, epoch);
                restarted.map_err(|error| journal_fell(&error, folder))?;
            }
            Fit::Before | Fit::GivenUp => continue,
        }
        return Ok(Some((bytes, header.state_fingerprint)));
    }
    if journal.first() > 1 {
        let (folder, first) = (folder.display(), journal.first());
        let what = format!("`{folder}` begins at {first}, and no snapshot goes so far");
        return Err(Fallen::Damaged(what));
    }
    Ok(None)
}

fn journal_fell(error: &JournalError, folder: &Path) -> Fallen {
    match error {
        JournalError::Damaged { file, .. } if file.starts_with(folder) => {
            Fallen::Damaged(error.to_string())
        }
        JournalError::Poisoned(reason) => journal_fell(reason, folder),
        JournalError::Io { .. } => Fallen::Ended,
        _ => Fallen::Wrong(error.to_string()),
    }
}

fn snapshot_fell(error: &SnapshotError) -> Fallen {
    match error {
        SnapshotError::Io { .. } => Fallen::Ended,
        SnapshotError::Damaged { .. } => Fallen::Damaged(error.to_string()),
        _ => Fallen::Wrong(error.to_string()),
    }
}
