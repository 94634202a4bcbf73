//! A replica's state as it stood after an entry: taken in a moment, written by another thread.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use crate::engine::pieces::Pieces;
use crate::engine::state::Frozen;
use crate::engine::state::LoadError;
use crate::engine::state::Measure;
use crate::engine::state::SavedState;
use crate::event::Text;
use crate::event::codec::Encode;
use crate::event::hash_bytes;
use crate::replica::Copies;
use crate::replica::Deployment;
use crate::replica::Letters;
use crate::replica::LogEntry;
use crate::replica::Maker;
use crate::replica::Producers;
use crate::replica::Replica;
use crate::replica::Tally;

/// The version of the bytes that is written; state of a newer one is refused.
const FORMAT: u8 = 4;
/// Before there were dead letters, with what is remembered of events that come on both nodes.
const WITH_COPIES: u8 = 2;
/// With neither.
const PLAIN: u8 = 1;

/// A replica's state. The replica may go on while this is made into bytes.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The position of the last entry applied.
    pub position: u64,
    head: Vec<u8>,
    letters: Letters,
    copies: Option<Frozen>,
    machine: Frozen,
}

/// What is known of saved state once all of it was gone through.
#[derive(Clone, Debug)]
pub struct Extent {
    /// How many bytes it is when written.
    pub bytes: u64,
    /// A number that two replicas in the same state share: of all that is written.
    pub fingerprint: u64,
    copies: Option<Measure>,
    machine: Measure,
}

impl Saved {
    /// Goes through all of the state, holding little of it at a time.
    #[must_use]
    pub fn extent(&self) -> Extent {
        let (mut bytes, mut prints) = (0, Vec::new());
        let Ok(()) = self.write_front(|piece| {
            bytes += piece.len() as u64;
            prints.push(hash_bytes(piece));
            Ok::<(), Infallible>(())
        });
        let copies = self.copies.as_ref().map(Frozen::measure);
        let machine = self.machine.measure();
        if let Some(copies) = &copies {
            bytes += size_of::<u64>() as u64 + copies.bytes;
            prints.push(copies.fingerprint);
        }
        bytes += machine.bytes;
        prints.push(machine.fingerprint);
        let mut of_all = Vec::new();
        prints.encode(&mut of_all);
        Extent { bytes, fingerprint: hash_bytes(&of_all), copies, machine }
    }

    /// Writes the state piece by piece; the extent is its own.
    ///
    /// # Errors
    /// What `put` says.
    pub fn write<E>(
        &self,
        extent: &Extent,
        mut put: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.write_front(&mut put)?;
        if let Some((copies, measure)) = self.copies.as_ref().zip(extent.copies.as_ref()) {
            put(&measure.bytes.to_le_bytes())?;
            copies.write(measure, &mut put)?;
        }
        self.machine.write(&extent.machine, put)
    }

    /// Writes what is neither of the copies nor of the machine. The pieces are the same wherever
    /// the state is.
    fn write_front<E>(&self, mut put: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        put(&self.head)?;
        self.letters.write(&mut put)?;
        put(&[u8::from(self.copies.is_some())])
    }

    /// The state as bytes, for one that is known to be small.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let Ok(()) = self.write(&self.extent(), |piece| {
            bytes.extend_from_slice(piece);
            Ok::<(), Infallible>(())
        });
        bytes
    }

    /// A number that two replicas in the same state share.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.extent().fingerprint
    }
}

impl Replica {
    /// The state as it stands; `None` before the plan was deployed.
    #[must_use]
    pub fn save(&self) -> Option<Saved> {
        let running = self.running.as_ref()?;
        let copies = (!self.copies.is_empty()).then(|| self.copies.freeze());
        let letters = self.letters.clone();
        let mut head = vec![FORMAT];
        self.position.encode(&mut head);
        self.now.encode(&mut head);
        running.deployment.encode(&mut head);
        pairs(&self.given).encode(&mut head);
        self.producers.encode(&mut head);
        let marks: Vec<_> = self.marks.iter().map(|(of, at)| (of.clone(), at.clone())).collect();
        marks.encode(&mut head);
        let skipped: Vec<_> = self.skipped.iter().map(|(at, entry)| (*at, entry.clone())).collect();
        skipped.encode(&mut head);
        self.tally.encode(&mut head);
        let machine = running.machine.freeze();
        Some(Saved { position: self.position, head, letters, copies, machine })
    }

    /// A replica in the state that [`Saved::write`] wrote.
    ///
    /// # Errors
    /// If the bytes are damaged or do not come, or this program cannot run the plan in them; for
    /// people.
    pub fn restore(maker: Arc<dyn Maker>, mut state: Pieces) -> Result<Self, String> {
        let told = |error: LoadError| error.to_string();
        let parts = Parts::read(&mut state).map_err(told)?;
        let machine = SavedState::coming(state).map_err(told)?;
        let mut replica = Self::restored(maker, parts.deployment, machine)?;
        replica.position = parts.position;
        replica.now = parts.now;
        replica.given = parts.given.into_iter().collect();
        replica.producers = parts.producers;
        replica.marks = parts.marks.into_iter().collect();
        replica.skipped = parts.skipped.into_iter().collect();
        replica.tally = parts.tally;
        replica.letters = parts.letters;
        replica.copies = parts.copies.unwrap_or_default();
        Ok(replica)
    }
}

struct Parts {
    position: u64,
    now: i64,
    deployment: Deployment,
    given: Vec<(Text, u64)>,
    producers: Producers,
    marks: Vec<(Text, Text)>,
    skipped: Vec<(u64, Option<LogEntry>)>,
    tally: Tally,
    letters: Letters,
    copies: Option<Copies>,
}

impl Parts {
    fn read(from: &mut Pieces) -> Result<Self, LoadError> {
        let format = from.get::<u8>()?;
        if format > FORMAT {
            return Err(LoadError::Newer { found: format.into(), known: FORMAT.into() });
        }
        if format < PLAIN {
            return Err(LoadError::Malformed);
        }
        Ok(Self {
            position: from.get()?,
            now: from.get()?,
            deployment: from.get()?,
            given: from.get()?,
            producers: from.get()?,
            marks: from.get()?,
            skipped: from.get()?,
            tally: if format < FORMAT { Tally::default() } else { from.get()? },
            letters: match format {
                PLAIN | WITH_COPIES => Letters::default(),
                _ => Letters::read(from)?,
            },
            copies: match format {
                PLAIN => None,
                WITH_COPIES => Some(copies(from)?),
                _ => from.get::<bool>()?.then(|| copies(from)).transpose()?,
            },
        })
    }
}

/// What is remembered of events that come on both nodes, behind the length of its bytes.
fn copies(from: &mut Pieces) -> Result<Copies, LoadError> {
    let length = from.get()?;
    Copies::load(&from.take(length)?)
}

fn pairs(map: &BTreeMap<Text, u64>) -> Vec<(Text, u64)> {
    map.iter().map(|(name, number)| (name.clone(), *number)).collect()
}
