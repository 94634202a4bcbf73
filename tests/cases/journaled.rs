//! A play from the journal: now and then the process is lost, or the machine loses power, and
//! what is on the disk is applied again, after a snapshot if there is one.

use crate::logged::Nodes;
use crate::logged::Outside;
use crate::logged::Place;
use crate::logged::Seen;
use crate::pair::restored;
use std::path::Path;
use std::sync::Arc;
use twinflow::disk::rehearsed::RehearsedDisk;
use twinflow::event::Value;
use twinflow::event::codec::Encode;
use twinflow::event::hash_bytes;
use twinflow::journal::Journal;
use twinflow::journal::Options;
use twinflow::plan::logical::OnDemand;
use twinflow::rehearsal::Dice;
use twinflow::replica::EngineMaker;
use twinflow::replica::LogEntry;
use twinflow::replica::Outcome;
use twinflow::replica::Replica;
use twinflow::snapshot::Header;
use twinflow::snapshot::Snapshots;

/// A node with a journal and snapshots on a rehearsed disk.
pub struct Journaled {
    disk: RehearsedDisk,
    dice: Dice,
    /// Which log this is; each has its own files and is an epoch of its own.
    log: u64,
    journal: Option<Journal<RehearsedDisk>>,
    replica: Replica,
    outside: Outside,
    /// Where results stood at the snapshot taken last in this log.
    snapshot: Option<Place>,
    /// What the play kept, with its position.
    kept: Option<(Vec<u8>, u64, Place)>,
}

impl Journaled {
    pub fn new(seed: u64) -> Journaled {
        Journaled {
            disk: RehearsedDisk::new(seed),
            dice: Dice::new(seed),
            log: 1,
            journal: None,
            replica: Replica::new(Arc::new(EngineMaker)),
            outside: Outside::default(),
            snapshot: None,
            kept: None,
        }
    }

    fn journal(&mut self) -> Result<&mut Journal<RehearsedDisk>, String> {
        if self.journal.is_none() {
            let folder = format!("/data/journal/{}", self.log);
            let options = Options { segment_bytes_max: 4_000, ..Options::new(self.log) };
            let opened = Journal::open(self.disk.clone(), Path::new(&folder), options);
            let (journal, opened) = opened.map_err(|error| error.to_string())?;
            if let Some(torn) = opened.torn {
                return Err(format!("{torn:?}, though all was written"));
            }
            self.journal = Some(journal);
        }
        self.journal.as_mut().ok_or_else(|| "it was opened".to_owned())
    }

    fn snapshots(&self) -> Result<Snapshots<RehearsedDisk>, String> {
        let plan = format!("log{}", self.log);
        let snapshots = Snapshots::new(self.disk.clone(), Path::new("/data"), "default", &plan);
        snapshots.map_err(|error| error.to_string())
    }

    fn apply(&mut self, bytes: &[u8]) -> Result<Outcome, String> {
        let entry = LogEntry::decode(&mut { bytes }).map_err(|malformed| malformed.to_string())?;
        let (mut outputs, mut notes) = (Vec::new(), Vec::new());
        let outcome = self.replica.apply(entry, &mut outputs, &mut notes);
        self.outside.take(&outputs)?;
        outcome.map_err(|broken| broken.0)
    }

    fn take_snapshot(&mut self, state: &[u8], position: u64) -> Result<(), String> {
        let header = Header {
            tenant: "default".to_owned(),
            plan: format!("log{}", self.log),
            position,
            epoch: self.log,
            state_fingerprint: hash_bytes(state),
            text_fingerprint: 0,
            created: 0,
        };
        let snapshots = self.snapshots()?;
        let write = || {
            let mut writer = snapshots.write(&header)?;
            writer.put(state)?;
            writer.finish()?;
            snapshots.prune()
        };
        write().map_err(|error| error.to_string())?;
        self.snapshot = Some(self.outside.place());
        Ok(())
    }

    /// The process begins again with what the disk holds.
    fn begin_again(&mut self) -> Result<(), String> {
        self.journal = None;
        let newest = self.snapshots()?.newest_valid().map_err(|error| error.to_string())?;
        self.replica = match newest.found {
            None => Replica::new(Arc::new(EngineMaker)),
            Some((name, _, bytes)) => {
                let opened = self.snapshots()?.open(&name, bytes);
                let state = opened.and_then(|mut reader| reader.read_all());
                restored(&state.map_err(|error| error.to_string())?)?
            }
        };
        let position = self.replica.position();
        self.outside.go_back(self.snapshot.clone().unwrap_or_default());
        let mut records =
            self.journal()?.reader().read(position + 1).map_err(|error| error.to_string())?;
        while let Some(record) = records.read_next().map_err(|error| error.to_string())? {
            let body = record.body.to_vec();
            self.apply(&body)?;
        }
        Ok(())
    }
}

impl Nodes for Journaled {
    fn enter(&mut self, entry: LogEntry) -> Result<Outcome, String> {
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        let log = self.log;
        let position = self.replica.position() + 1;
        let loses_power = self.dice.below(2) == 0;
        let journal = self.journal()?;
        let written = journal.append(log, &bytes).and_then(|appended| {
            if loses_power {
                journal.sync()?
            } else {
                journal.flush()?
            };
            Ok(appended)
        });
        let written = written.map_err(|error| error.to_string())?;
        if written != position {
            return Err(format!("entry {position} was written as {written}"));
        }
        let outcome = self.apply(&bytes)?;
        if self.dice.below(5) == 0 {
            let state = self.replica.save().ok_or("there is no state")?.to_bytes();
            self.take_snapshot(&state, position)?;
        }
        if self.dice.below(3) == 0 {
            self.disk = if loses_power { self.disk.lose_power() } else { self.disk.kill() };
            let place = self.outside.place();
            self.begin_again()?;
            if (self.replica.position(), self.outside.place()) != (position, place) {
                return Err(format!("entry {position} is gone, or its results are"));
            }
        }
        Ok(outcome)
    }

    fn ask(&mut self, query: &OnDemand) -> Result<Vec<Vec<Value>>, String> {
        self.replica.ask(query)
    }

    fn keep(&mut self) {
        let (position, place) = (self.replica.position(), self.outside.place());
        self.kept = self.replica.save().map(|saved| (saved.to_bytes(), position, place));
    }

    fn begin_anew(&mut self) -> Result<(), String> {
        self.log += 1;
        (self.journal, self.snapshot) = (None, None);
        self.replica = Replica::new(Arc::new(EngineMaker));
        self.outside.begin(Place::default());
        Ok(())
    }

    fn begin_from_kept(&mut self) -> Result<(), String> {
        let (state, position, place) = self.kept.clone().ok_or("nothing was kept")?;
        self.begin_anew()?;
        self.outside.begin(place);
        self.take_snapshot(&state, position)?;
        let log = self.log;
        let restarted = self.journal()?.restart_after(position, log);
        restarted.map_err(|error| error.to_string())?;
        self.begin_again()
    }

    fn seen(&self) -> &Seen {
        &self.outside.seen
    }
}
