//! A replica's state as it stood after an entry: taken in a moment, written by another thread.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::state::Frozen;
use crate::event::Text;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use crate::event::codec::take;
use crate::event::hash_bytes;
use crate::replica::Copies;
use crate::replica::Deployment;
use crate::replica::Letters;
use crate::replica::LogEntry;
use crate::replica::Maker;
use crate::replica::Producers;
use crate::replica::Replica;

/// The version of the bytes; state of a newer one is refused.
const FORMAT: u8 = 1;
/// As `FORMAT`, with what is remembered of events that come on both nodes.
const FORMAT_WITH_COPIES: u8 = 2;
/// As `FORMAT`, with dead letters, and what is remembered of such events if there is any.
const FORMAT_WITH_LETTERS: u8 = 3;

/// A replica's state. The replica may go on while this is made into bytes.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The position of the last entry applied.
    pub position: u64,
    head: Vec<u8>,
    letters: Option<Letters>,
    copies: Option<Frozen>,
    machine: Frozen,
}

impl Saved {
    /// The state as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.clone();
        if let Some(letters) = &self.letters {
            letters.encode(&mut bytes);
            self.copies.is_some().encode(&mut bytes);
        }
        if let Some(copies) = &self.copies {
            let copies = copies.to_bytes();
            copies.len().encode(&mut bytes);
            bytes.extend(copies);
        }
        bytes.extend(self.machine.to_bytes());
        bytes
    }

    /// A number that two replicas in the same state share.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        hash_bytes(&self.to_bytes())
    }
}

impl Replica {
    /// The state as it stands; `None` before the plan was deployed.
    #[must_use]
    pub fn save(&self) -> Option<Saved> {
        let running = self.running.as_ref()?;
        let copies = (!self.copies.is_empty()).then(|| self.copies.freeze());
        let letters = (!self.letters.is_untouched()).then(|| self.letters.clone());
        let mut head = vec![match (&letters, &copies) {
            (None, None) => FORMAT,
            (None, Some(_)) => FORMAT_WITH_COPIES,
            (Some(_), _) => FORMAT_WITH_LETTERS,
        }];
        self.position.encode(&mut head);
        self.now.encode(&mut head);
        running.deployment.encode(&mut head);
        pairs(&self.given).encode(&mut head);
        self.producers.encode(&mut head);
        let marks: Vec<_> = self.marks.iter().map(|(of, at)| (of.clone(), at.clone())).collect();
        marks.encode(&mut head);
        let skipped: Vec<_> = self.skipped.iter().map(|(at, entry)| (*at, entry.clone())).collect();
        skipped.encode(&mut head);
        let machine = running.machine.freeze();
        Some(Saved { position: self.position, head, letters, copies, machine })
    }

    /// A replica in the state that [`Saved::to_bytes`] gave.
    ///
    /// # Errors
    /// If the bytes are damaged, or this program cannot run the plan in them; for people.
    pub fn restore(maker: Arc<dyn Maker>, bytes: &[u8]) -> Result<Self, String> {
        let parts = Parts::read(bytes).map_err(|malformed| malformed.to_string())?;
        let mut replica = Self::restored(maker, parts.deployment, parts.machine)?;
        replica.position = parts.position;
        replica.now = parts.now;
        replica.given = parts.given.into_iter().collect();
        replica.producers = parts.producers;
        replica.marks = parts.marks.into_iter().collect();
        replica.skipped = parts.skipped.into_iter().collect();
        replica.letters = parts.letters;
        if let Some(copies) = parts.copies {
            replica.copies = Copies::load(copies).map_err(|error| error.to_string())?;
        }
        Ok(replica)
    }
}

struct Parts<'a> {
    position: u64,
    now: i64,
    deployment: Deployment,
    given: Vec<(Text, u64)>,
    producers: Producers,
    marks: Vec<(Text, Text)>,
    skipped: Vec<(u64, Option<LogEntry>)>,
    letters: Letters,
    copies: Option<&'a [u8]>,
    machine: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read(mut from: &'a [u8]) -> Result<Self, Malformed> {
        let from = &mut from;
        let format = u8::decode(from)?;
        if !matches!(format, FORMAT | FORMAT_WITH_COPIES | FORMAT_WITH_LETTERS) {
            return Err(Malformed);
        }
        Ok(Self {
            position: u64::decode(from)?,
            now: i64::decode(from)?,
            deployment: Deployment::decode(from)?,
            given: Vec::decode(from)?,
            producers: Producers::decode(from)?,
            marks: Vec::decode(from)?,
            skipped: Vec::decode(from)?,
            letters: match format {
                FORMAT_WITH_LETTERS => Letters::decode(from)?,
                _ => Letters::default(),
            },
            copies: match format {
                FORMAT => None,
                FORMAT_WITH_COPIES => Some(block(from)?),
                _ => bool::decode(from)?.then(|| block(from)).transpose()?,
            },
            machine: from,
        })
    }
}

/// Bytes behind their length.
fn block<'a>(from: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = usize::decode(from)?;
    take(from, length)
}

fn pairs(map: &BTreeMap<Text, u64>) -> Vec<(Text, u64)> {
    map.iter().map(|(name, number)| (name.clone(), *number)).collect()
}
