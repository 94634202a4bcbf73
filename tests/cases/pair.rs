//! A play through two replicas: after every entry the other one takes over.

use crate::logged::Nodes;
use crate::logged::Outside;
use crate::logged::Place;
use crate::logged::Seen;
use crate::logged::same;
use std::sync::Arc;
use twinflow::engine::pieces::Pieces;
use twinflow::event::Text;
use twinflow::event::Value;
use twinflow::event::codec::Encode;
use twinflow::event::codec::Malformed;
use twinflow::plan::logical::OnDemand;
use twinflow::replica::EngineMaker;
use twinflow::replica::LogEntry;
use twinflow::replica::Outcome;
use twinflow::replica::Output;
use twinflow::replica::Replica;

/// So often the standby is new and begins from a snapshot of the active.
const JOINS_EVERY: u64 = 3;

/// Bytes of a piece of saved state on its way.
const PIECE: usize = 61;

/// The two nodes: the first is active, the second follows.
pub struct Pair {
    active: Replica,
    standby: Replica,
    entries: u64,
    outside: Outside,
    kept: Option<(Vec<u8>, Place)>,
}

impl Pair {
    pub fn new() -> Pair {
        let [active, standby] = [0; 2].map(|_| Replica::new(Arc::new(EngineMaker)));
        Pair { active, standby, entries: 0, outside: Outside::default(), kept: None }
    }
}

fn apply(replica: &mut Replica, bytes: &[u8]) -> Result<(Outcome, Vec<Output>), String> {
    let entry = LogEntry::decode(&mut { bytes }).map_err(|malformed| malformed.to_string())?;
    let (mut outputs, mut notes) = (Vec::new(), Vec::new());
    let outcome = replica.apply(entry, &mut outputs, &mut notes).map_err(|broken| broken.0)?;
    Ok((outcome, outputs))
}

/// The parts of a state by name, to say where states differ.
fn sections(replica: &Replica) -> Vec<(String, Vec<u8>)> {
    let bytes = replica.machine().map(|machine| machine.freeze().to_bytes()).unwrap_or_default();
    let read = |mut from: &[u8]| -> Result<Vec<(String, Vec<u8>)>, Malformed> {
        let from = &mut from;
        u16::decode(from)?;
        let mut sections = Vec::new();
        for _ in 0..u32::decode(from)? {
            let name = Text::decode(from)?.to_string();
            let length = usize::decode(from)?;
            let (section, rest) = from.split_at_checked(length).ok_or(Malformed)?;
            sections.push((name, section.to_vec()));
            *from = rest;
        }
        Ok(sections)
    };
    read(&bytes).unwrap_or_default()
}

/// A replica in a state that was saved, which comes in many pieces.
pub fn restored(bytes: &[u8]) -> Result<Replica, String> {
    let pieces: Vec<Vec<u8>> = bytes.chunks(PIECE).map(<[u8]>::to_vec).collect();
    let mut pieces = pieces.into_iter();
    let state = Pieces::new(move |into| {
        let piece = pieces.next();
        piece.iter().for_each(|piece| into.extend_from_slice(piece));
        Ok(piece.is_some())
    });
    Replica::restore(Arc::new(EngineMaker), state)
}

impl Nodes for Pair {
    fn enter(&mut self, entry: LogEntry) -> Result<Outcome, String> {
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        let (outcome, outputs) = apply(&mut self.active, &bytes)?;
        self.outside.take(&outputs)?;
        let (followed, held_back) = apply(&mut self.standby, &bytes)?;
        if outcome != followed || !same(&outputs, &held_back) {
            return Err(format!("the standby has {held_back:?}, the active {outputs:?}"));
        }
        let states = [&self.active, &self.standby].map(|replica| replica.save());
        let [Some(active), Some(standby)] = &states else {
            return Err("there is no state".to_owned());
        };
        let machine = self.active.machine().ok_or("there is no machine")?;
        let (counted, written) = (machine.bytes(), machine.freeze().to_bytes().len());
        if counted != written as u64 {
            return Err(format!("{counted} bytes of state are counted, {written} are written"));
        }
        if active.fingerprint() != standby.fingerprint() {
            let parts = [&self.active, &self.standby].map(sections);
            let [active, standby] = &parts;
            let differ = active.iter().zip(standby).filter(|(a, b)| a != b);
            let named: Vec<&str> = differ.map(|((name, _), _)| name.as_str()).collect();
            return Err(format!("the states of active and standby differ in {named:?}"));
        }
        self.entries += 1;
        if self.entries.is_multiple_of(JOINS_EVERY) {
            self.active = restored(&standby.to_bytes())?;
        }
        std::mem::swap(&mut self.active, &mut self.standby);
        Ok(outcome)
    }

    fn ask(&mut self, query: &OnDemand) -> Result<Vec<Vec<Value>>, String> {
        let answer = self.active.ask(query);
        let other = self.standby.ask(query);
        if answer == other { answer } else { Err(format!("{answer:?} and {other:?}")) }
    }

    fn keep(&mut self) {
        self.kept = self.active.save().map(|saved| (saved.to_bytes(), self.outside.place()));
    }

    fn begin_anew(&mut self) -> Result<(), String> {
        [self.active, self.standby] = [0; 2].map(|_| Replica::new(Arc::new(EngineMaker)));
        self.outside.begin(Place::default());
        Ok(())
    }

    fn begin_from_kept(&mut self) -> Result<(), String> {
        let (state, place) = self.kept.as_ref().ok_or("nothing was kept")?;
        (self.active, self.standby) = (restored(state)?, restored(state)?);
        self.outside.begin(place.clone());
        Ok(())
    }

    fn seen(&self) -> &Seen {
        &self.outside.seen
    }
}
