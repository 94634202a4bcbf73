//! Entries as they are: log entries in a journal on a disk that loses power, applied by the
//! replica with the engine, the state in snapshot files.

use crate::chance::Chance;
use crate::entries::Applied;
use crate::entries::Body;
use crate::entries::DiskFault;
use crate::entries::Emission;
use crate::entries::Entries;
use crate::entries::Entry;
use crate::entries::Fallen;
use crate::entries::Flaw;
use crate::entries::Found;
use crate::entries::Order;
use crate::entries::Saved;
use crate::kept::Kept;
use crate::kept::Start;
use crate::orders;
use std::collections::BTreeMap;
use std::rc::Rc;
use twinflow::disk::rehearsed::Failure;
use twinflow::disk::rehearsed::RehearsedDisk;
use twinflow::engine::pieces::Pieces;
use twinflow::event::codec::Encode;
use twinflow::ha::protocol::Epoch;
use twinflow::ha::protocol::LogStart;
use twinflow::ha::protocol::Plan;
use twinflow::ha::protocol::Position;
use twinflow::ha::protocol::Shape;
use twinflow::ha::protocol::Span;
use twinflow::replica::LogEntry;
use twinflow::replica::Outcome;
use twinflow::replica::Replica;
use twinflow::snapshot::Header;

/// A digest of the state is made after every so many entries.
const DIGEST_EVERY: u64 = 8;

/// A node's disk, and the process on it, if one runs.
#[derive(Debug)]
pub struct Real {
    seed: u64,
    flaw: Option<Flaw>,
    disk: RehearsedDisk,
    /// The plans that have logs, and whether the logs hold every committed entry.
    whole: BTreeMap<Plan, bool>,
    /// Logs that were not opened since power was lost.
    unsure: BTreeMap<Plan, bool>,
    plans: BTreeMap<Plan, Live>,
}

/// A plan of a running process.
#[derive(Debug)]
struct Live {
    kept: Kept,
    replica: Replica,
    /// The entries after the base, as they were written or found.
    entries: Vec<Entry>,
    base: Position,
    base_epoch: Epoch,
    /// Results that are not yet received, by the entry's position.
    results: BTreeMap<u64, Rc<[Emission]>>,
    /// The position of the last entry applied, and a digest of the state, if one was made.
    state: (Position, Option<u64>),
}

impl Live {
    fn last(&self) -> Position {
        Position(self.base.0 + self.entries.len() as u64)
    }

    fn index(&self, position: Position) -> usize {
        (position.0 - self.base.0) as usize
    }

    /// Forgets entries that the journal has released.
    fn release(&mut self) -> Option<Position> {
        let (base, base_epoch) = self.kept.base();
        if base <= self.base {
            return None;
        }
        let index = self.index(base);
        self.entries.drain(..index);
        (self.base, self.base_epoch) = (base, base_epoch);
        Some(base)
    }

    fn apply_next(&mut self) -> Result<Applied, Fallen> {
        let position = self.state.0.next();
        let entry = self.entries[self.index(position) - 1].clone();
        let Body::Bytes(bytes) = &entry.body else {
            return Err(Fallen::Wrong("a bare entry in a real journal".to_owned()));
        };
        let wrong = |what: &str| Fallen::Wrong(format!("entry {position}: {what}"));
        let decoded = LogEntry::decode(&mut &bytes[..]).map_err(|_| wrong("it is no entry"))?;
        let mut outputs = Vec::new();
        let applied = self.replica.apply(decoded, &mut outputs, &mut Vec::new());
        match applied {
            Ok(Outcome::Done | Outcome::Repeated) => {}
            Ok(other) => return Err(wrong(&format!("{other:?}"))),
            Err(broken) => return Err(wrong(&broken.0)),
        }
        let plan = self.replica.plan().ok_or_else(|| wrong("no plan runs"))?;
        let (emissions, missed) = orders::emissions(plan, &outputs).map_err(|e| wrong(&e))?;
        let emissions: Rc<[Emission]> = emissions.into();
        self.results.insert(position.0, Rc::clone(&emissions));
        let mut state = None;
        if position.0.is_multiple_of(DIGEST_EVERY) {
            let saved = self.replica.save().ok_or_else(|| wrong("there is no state"))?;
            state = Some(saved.fingerprint());
        }
        self.state = (position, state);
        Ok(Applied { position, entry, state, emissions, missed })
    }
}

impl Real {
    pub fn new(seed: u64, flaw: Option<Flaw>) -> Real {
        let disk = RehearsedDisk::new(seed);
        let (whole, unsure, plans) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Real { seed, flaw, disk, whole, unsure, plans }
    }

    fn live(&self, plan: Plan) -> &Live {
        &self.plans[&plan]
    }

    fn live_mut(&mut self, plan: Plan) -> &mut Live {
        self.plans.get_mut(&plan).expect("the plan's log was opened")
    }

    /// Opens journal and snapshots of a plan; says what was cut off.
    fn load(&mut self, plan: Plan, received: Position) -> Result<(LogStart, Start), Fallen> {
        let unsure = self.unsure.get(&plan).copied().unwrap_or(false);
        let (kept, mut found) = Kept::open(&self.disk, plan, received.0, unsure, self.flaw)?;
        self.unsure.insert(plan, false);
        let (base, base_epoch) = kept.base();
        let entries = kept.read(base.0, kept.last())?;
        let last = Position(kept.last());
        let spans = kept.epoch_spans();
        let spans = spans.into_iter().map(|(first, epoch)| Span { first, epoch }).collect();
        let replica = match found.state.take() {
            None => Replica::new(orders::maker()),
            Some((state, fingerprint)) => {
                let wrong = |what| Fallen::Wrong(format!("a snapshot of plan {plan}: {what}"));
                let replica =
                    Replica::restore(orders::maker(), Pieces::of(state)).map_err(wrong)?;
                let saved = replica.save().map(|saved| saved.fingerprint());
                if saved != Some(fingerprint) {
                    return Err(wrong("its state is another once it is loaded".to_owned()));
                }
                replica
            }
        };
        let applied = Position(replica.position());
        let digest = Some(replica.save().map_or(0, |saved| saved.fingerprint()));
        let state = (applied, digest);
        let results = BTreeMap::new();
        let live = Live { kept, replica, entries, base, base_epoch, results, state };
        self.plans.insert(plan, live);
        let shape = Shape { base, base_epoch, spans, last };
        let whole = *self.whole.entry(plan).or_default();
        Ok((LogStart { shape, synced: last, applied, whole }, found))
    }
}

impl Entries for Real {
    fn start(&mut self, received: &[(Plan, Position)]) -> Result<Found, Fallen> {
        self.plans.clear();
        let mut found = Found::default();
        for plan in self.whole.keys().copied().collect::<Vec<_>>() {
            let upto = received.iter().find(|(of, _)| *of == plan).map(|(_, upto)| *upto);
            let (log, start) = self.load(plan, upto.unwrap_or_default())?;
            found.torn |= start.torn;
            found.is_decayed |= start.is_decayed;
            found.logs.push((plan, log));
        }
        Ok(found)
    }

    fn open(&mut self, plan: Plan) -> Result<(), Fallen> {
        if !self.plans.contains_key(&plan) {
            self.load(plan, Position(0))?;
        }
        Ok(())
    }

    fn make(&mut self, plan: Plan, epoch: Epoch, order: Order, at: i64) -> Vec<Entry> {
        let is_first = self.live(plan).last() == Position(0);
        let entry = |entry: LogEntry| {
            let mut bytes = Vec::new();
            entry.encode(&mut bytes);
            Entry { epoch, body: Body::Bytes(bytes.into()) }
        };
        orders::entries(order, is_first, at).into_iter().map(entry).collect()
    }

    fn write(&mut self, plan: Plan, after: Position, entries: &[Entry]) -> Result<(), Fallen> {
        let live = self.live_mut(plan);
        assert_eq!(live.last(), after, "entries are written where the log ends");
        live.kept.write(after.0, entries)?;
        live.entries.extend_from_slice(entries);
        Ok(())
    }

    fn read(&self, plan: Plan, after: Position, upto: Position) -> Result<Vec<Entry>, Fallen> {
        let read = self.live(plan).kept.read(after.0, upto.0)?;
        if read != self.held(plan, after, upto) {
            let what = format!("plan {plan} reads other entries after {after} than it wrote");
            return Err(Fallen::Wrong(what));
        }
        Ok(read)
    }

    fn held(&self, plan: Plan, after: Position, upto: Position) -> &[Entry] {
        let Some(live) = self.plans.get(&plan) else { return &[] };
        &live.entries[live.index(after)..live.index(upto)]
    }

    fn cut(&mut self, plan: Plan, after: Position) -> Result<(), Fallen> {
        let live = self.live_mut(plan);
        live.kept.cut(after.0)?;
        let index = live.index(after);
        live.entries.truncate(index);
        Ok(())
    }

    fn base(&self, plan: Plan) -> Position {
        self.plans.get(&plan).map(|live| live.base).unwrap_or_default()
    }

    fn last(&self, plan: Plan) -> Position {
        self.plans.get(&plan).map(Live::last).unwrap_or_default()
    }

    fn sync(&mut self, plan: Plan, upto: Position) -> Result<(), Fallen> {
        match self.plans.get_mut(&plan) {
            Some(live) => live.kept.sync(upto.0),
            None => Ok(()),
        }
    }

    fn apply(&mut self, plan: Plan, upto: Position) -> Result<Vec<Applied>, Fallen> {
        let live = self.live_mut(plan);
        let upto = upto.min(live.last());
        let mut applied = Vec::new();
        while live.state.0 < upto {
            applied.push(live.apply_next()?);
        }
        Ok(applied)
    }

    fn state(&self, plan: Plan) -> (Position, Option<u64>) {
        self.plans.get(&plan).map(|live| live.state).unwrap_or_default()
    }

    fn last_of(&self, plan: Plan, producer: u32) -> Option<u64> {
        let last = |live: &Live| live.replica.last_of(&orders::producer(producer));
        Some(self.plans.get(&plan).and_then(last).unwrap_or_default())
    }

    fn results(&self, plan: Plan, after: Position, upto: Position) -> Option<Vec<Emission>> {
        let mut all = Vec::new();
        for position in after.0 + 1..=upto.0 {
            all.extend_from_slice(self.live(plan).results.get(&position)?);
        }
        Some(all)
    }

    fn received(&mut self, plan: Plan, upto: Position) {
        if let Some(live) = self.plans.get_mut(&plan) {
            live.results = live.results.split_off(&(upto.0 + 1));
        }
    }

    fn save(&mut self, plan: Plan, received: Position) -> Result<Option<Position>, Fallen> {
        let Some(live) = self.plans.get_mut(&plan) else { return Ok(None) };
        let Some(saved) = live.replica.save() else { return Ok(None) };
        live.kept.save(&saved, received.0)?;
        Ok(live.release())
    }

    fn note_whole(&mut self, plan: Plan, whole: bool) {
        self.whole.insert(plan, whole);
    }

    fn saved(&self, plan: Plan, received: Position) -> Result<Option<Saved>, Fallen> {
        self.live(plan).kept.newest(received.0)
    }

    fn receive(&mut self, plan: Plan, saved: &Saved) -> Result<bool, Fallen> {
        self.live_mut(plan).kept.receive(saved)
    }

    fn install(&mut self, plan: Plan, saved: &Saved) -> Result<(), Fallen> {
        let live = self.live_mut(plan);
        let (header, state) = live.kept.install()?;
        let Header { position, epoch, .. } = header;
        let replica = Replica::restore(orders::maker(), Pieces::of(state));
        live.replica = replica.map_err(|what| Fallen::Wrong(format!("a snapshot sent: {what}")))?;
        live.entries.clear();
        live.results.clear();
        (live.base, live.base_epoch) = (Position(position), Epoch(epoch));
        live.state = (Position(position), Some(saved.digest));
        Ok(())
    }

    fn lose_process(&mut self) {
        self.plans.clear();
        self.disk = self.disk.kill();
    }

    fn lose_power(&mut self, _: &mut Chance) -> bool {
        self.plans.clear();
        self.disk = self.disk.lose_power();
        self.unsure = self.whole.keys().map(|plan| (*plan, true)).collect();
        // What is gone is seen when it is opened.
        true
    }

    fn lose_disk(&mut self) {
        self.plans.clear();
        self.whole.clear();
        self.unsure.clear();
        self.seed += 1;
        self.disk = RehearsedDisk::new(self.seed);
    }

    fn arm(&mut self, fault: Option<DiskFault>) -> bool {
        match fault {
            Some(DiskFault::EndAt(writes)) => self.disk.fail_after(writes, Failure::End),
            Some(DiskFault::ErrorAt(writes)) => self.disk.fail_after(writes, Failure::Error),
            None => self.disk.fail_after(u64::MAX / 2, Failure::Error),
        }
        true
    }

    fn flip(&mut self, disk: &mut Chance, with_last: bool) -> Option<String> {
        let plans: Vec<Plan> = self.plans.keys().copied().collect();
        if plans.is_empty() {
            return None;
        }
        let place = self.live(disk.pick(&plans)).kept.place_to_damage(disk, with_last)?;
        let bits = 1 << disk.below(8);
        self.disk.flip(&place.0, place.1, bits);
        Some(place.0.display().to_string())
    }
}
