//! What travels in bulk: entries with their message, pieces of files, confirmed results, parcels.

use crate::ha::link::frame;
use crate::ha::link::frame::FREIGHT_BYTES_MAX;
use crate::ha::link::frame::FrameError;
use crate::ha::link::frame::Kind;
use crate::ha::protocol::Body;
use crate::ha::protocol::Epoch;
use crate::ha::protocol::Generation;
use crate::ha::protocol::Incarnation;
use crate::ha::protocol::Message;
use crate::ha::protocol::Plan;
use crate::ha::protocol::Position;
use crate::ha::protocol::Span;
use bytes::Bytes;
use serde::Deserialize;
use serde::Serialize;

/// The most entries of one frame; each costs memory beside its bytes.
pub const ENTRIES_MAX: usize = 1 << 16;

/// Freight of one frame; the lane it takes is that of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freight {
    /// A message of the protocol and the entries that travel with it.
    Entries(Entries),
    /// A piece of a file, a snapshot as a rule.
    Piece(Piece),
    /// Results that the active published, so that the passive need not hold them.
    Confirmed(Vec<Confirmed>),
    /// Bytes for whoever listens on the channel at the other end.
    Parcel(Parcel),
}

/// A message of the protocol and the entries that travel with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entries {
    /// The message, which is about them.
    pub message: Message,
    /// Whose they are.
    pub plan: Plan,
    /// Position of the first.
    pub first: Position,
    /// The entries in order, without a gap.
    pub entries: Vec<Entry>,
    /// Events in all of them, for the bounds of the queues.
    pub events: u64,
}

/// An entry as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// It was appended in this epoch.
    pub epoch: Epoch,
    /// Its bytes, which the link does not look into.
    pub body: Bytes,
}

/// A piece of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Whose file.
    pub plan: Plan,
    /// Its name, without a folder.
    pub file: String,
    /// Where in the file the piece begins, in bytes.
    pub offset: u64,
    /// How long the whole file is, in bytes.
    pub length: u64,
    /// The piece.
    pub bytes: Bytes,
}

/// A publisher's results up to a number have left for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// Of this plan,
    pub plan: Plan,
    /// of this history,
    pub generation: Generation,
    /// by this publisher,
    pub publisher: String,
    /// up to this number.
    pub upto: u64,
}

/// Bytes for whoever listens on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// The ends agree on what it means.
    pub channel: u16,
    /// What was sent.
    pub bytes: Bytes,
}

#[derive(Serialize, Deserialize)]
struct EntriesHead {
    message: Message,
    plan: Plan,
    first: Position,
    events: u64,
    /// Neighbours of one epoch are told once: how many, and which.
    epochs: Vec<(u32, Epoch)>,
    lengths: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
struct PieceHead {
    plan: Plan,
    file: String,
    offset: u64,
    length: u64,
}

impl Freight {
    /// Events in it, for the bounds of the queues.
    pub fn events(&self) -> u64 {
        match self {
            Freight::Entries(entries) => entries.events,
            Freight::Piece(_) | Freight::Confirmed(_) | Freight::Parcel(_) => 0,
        }
    }

    /// The frame.
    pub(super) fn encode(&self) -> Result<Vec<u8>, FrameError> {
        match self {
            Freight::Entries(entries) => {
                let head = entries.head();
                let bodies = entries.entries.iter().map(|entry| entry.body.as_ref());
                let length = (head.len() as u32).to_le_bytes();
                let parts: Vec<&[u8]> = [&length[..], &head].into_iter().chain(bodies).collect();
                frame::encode(Kind::Entries, &parts)
            }
            Freight::Piece(piece) => {
                let Piece { plan, file, offset, length, bytes } = piece;
                let (plan, offset, length) = (*plan, *offset, *length);
                let head = to_bytes(&PieceHead { plan, file: file.clone(), offset, length });
                let length = (head.len() as u32).to_le_bytes();
                frame::encode(Kind::Piece, &[&length, &head, bytes])
            }
            Freight::Confirmed(confirmed) => {
                frame::encode(Kind::Confirmed, &[&to_bytes(confirmed)])
            }
            Freight::Parcel(parcel) => {
                frame::encode(Kind::Parcel, &[&parcel.channel.to_le_bytes(), &parcel.bytes])
            }
        }
    }

    /// The freight in a frame's body; `None` if this kind is none.
    pub(super) fn decode(kind: Kind, body: Bytes) -> Result<Option<Freight>, FrameError> {
        Ok(Some(match kind {
            Kind::Entries => Freight::Entries(Entries::decode(body)?),
            Kind::Piece => {
                let (head, bytes) = split::<PieceHead>(body)?;
                let PieceHead { plan, file, offset, length } = head;
                if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > length) {
                    return Err(malformed("a piece beyond the end of its file"));
                }
                Freight::Piece(Piece { plan, file, offset, length, bytes })
            }
            Kind::Confirmed => Freight::Confirmed(from_bytes(&body)?),
            Kind::Parcel => {
                let channel = body.first_chunk().ok_or_else(|| malformed("no channel"))?;
                let channel = u16::from_le_bytes(*channel);
                Freight::Parcel(Parcel { channel, bytes: body.slice(2..) })
            }
            _ => return Ok(None),
        }))
    }
}

impl Entries {
    /// Entries of a plan from a position on, with the message that is about them; `events` counts
    /// those in one of them.
    pub fn of(
        (from, epoch): (Incarnation, Epoch),
        plan: Plan,
        first: Position,
        entries: Vec<Entry>,
        committed: Position,
        events: impl Fn(&[u8]) -> u64,
    ) -> Entries {
        let after = Position(first.0.saturating_sub(1));
        let upto = Position(after.0 + entries.len() as u64);
        let spans = spans_of(first, &entries);
        let body = Body::Entries { epoch, plan, after, upto, spans, committed };
        let events = entries.iter().map(|entry| events(&entry.body)).sum();
        Entries { message: Message { from, body }, plan, first, entries, events }
    }

    fn head(&self) -> Vec<u8> {
        let mut epochs: Vec<(u32, Epoch)> = Vec::new();
        for entry in &self.entries {
            match epochs.last_mut() {
                Some((count, epoch)) if *epoch == entry.epoch => *count += 1,
                _ => epochs.push((1, entry.epoch)),
            }
        }
        // What does not fit into 32 bits is far too long for a frame, which is found below.
        let length = |entry: &Entry| u32::try_from(entry.body.len()).unwrap_or(u32::MAX);
        to_bytes(&EntriesHead {
            message: self.message.clone(),
            plan: self.plan,
            first: self.first,
            events: self.events,
            epochs,
            lengths: self.entries.iter().map(length).collect(),
        })
    }

    fn decode(body: Bytes) -> Result<Entries, FrameError> {
        let (head, mut bodies) = split::<EntriesHead>(body)?;
        let EntriesHead { message, plan, first, events, epochs, lengths } = head;
        let told: u64 = epochs.iter().map(|(count, _)| u64::from(*count)).sum();
        if lengths.len() > ENTRIES_MAX {
            return Err(malformed("more entries than a frame may hold"));
        }
        if told != lengths.len() as u64 {
            return Err(malformed("as many epochs as entries are needed"));
        }
        if first.0.checked_add(told).is_none() {
            return Err(malformed("positions beyond the last"));
        }
        let epochs = epochs
            .into_iter()
            .flat_map(|(count, epoch)| std::iter::repeat_n(epoch, count as usize));
        let mut entries = Vec::with_capacity(lengths.len());
        for (length, epoch) in lengths.into_iter().zip(epochs) {
            let length = length as usize;
            if length > bodies.len() {
                return Err(malformed("entries end too soon"));
            }
            entries.push(Entry { epoch, body: bodies.split_to(length) });
        }
        if !bodies.is_empty() {
            return Err(malformed("bytes are left after the entries"));
        }
        Ok(Entries { message, plan, first, entries, events })
    }
}

fn spans_of(first: Position, entries: &[Entry]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for (position, entry) in (first.0..).zip(entries) {
        if spans.last().is_none_or(|span| span.epoch != entry.epoch) {
            spans.push(Span { first: Position(position), epoch: entry.epoch });
        }
    }
    spans
}

/// A body of a head's length, the head and the rest.
fn split<T: serde::de::DeserializeOwned>(mut body: Bytes) -> Result<(T, Bytes), FrameError> {
    let length = body.first_chunk().ok_or_else(|| malformed("no head"))?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > FREIGHT_BYTES_MAX || body.len() < 4 + length {
        return Err(malformed("a head that ends too soon"));
    }
    let head = from_bytes(&body[4..4 + length])?;
    Ok((head, body.split_off(4 + length)))
}

pub(super) fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("lists have a length and a Vec takes everything")
}

pub(super) fn from_bytes<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(malformed("bytes are left over")),
        Err(error) => Err(malformed(&error.to_string())),
    }
}

fn malformed(reason: &str) -> FrameError {
    FrameError::Body(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ha::link::frame::HEAD_BYTES;
    use crate::ha::protocol::NodeId;
    use proptest::prelude::*;

    fn entries(bodies: &[(u64, &'static [u8])]) -> Entries {
        let first = Position(7);
        let entries: Vec<_> = bodies
            .iter()
            .map(|(epoch, body)| Entry { epoch: Epoch(*epoch), body: Bytes::from_static(body) })
            .collect();
        let (by, committed) = ((Incarnation(4), Epoch(9)), Position(5));
        Entries::of(by, Plan(3), first, entries, committed, |_| 10)
    }

    fn samples() -> Vec<Freight> {
        let generation =
            Generation { epoch: Epoch(2), node: NodeId::A, incarnation: Incarnation(1) };
        vec![
            Freight::Entries(entries(&[(1, b"one"), (1, b""), (2, b"three"), (1, b"four")])),
            Freight::Entries(entries(&[])),
            Freight::Piece(Piece {
                plan: Plan(1),
                file: "2026_gate".to_owned(),
                offset: 10,
                length: 14,
                bytes: Bytes::from_static(b"tail"),
            }),
            Freight::Confirmed(vec![Confirmed {
                plan: Plan(1),
                generation,
                publisher: "publisher:Alerts:1".to_owned(),
                upto: 9,
            }]),
            Freight::Parcel(Parcel { channel: 513, bytes: Bytes::from_static(b"ask") }),
        ]
    }

    fn kind(frame: &[u8]) -> Kind {
        frame::Head::decode(frame.first_chunk().unwrap()).unwrap().kind
    }

    #[test]
    fn freight_comes_back() {
        for freight in samples() {
            let frame = freight.encode().unwrap();
            let body = Bytes::copy_from_slice(&frame[HEAD_BYTES..]);
            assert_eq!(Freight::decode(kind(&frame), body), Ok(Some(freight)));
        }
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        for freight in samples() {
            let frame = freight.encode().unwrap();
            let body = Bytes::copy_from_slice(&frame[HEAD_BYTES..]);
            for end in 0..body.len() {
                let short = Freight::decode(kind(&frame), body.slice(..end));
                // A parcel, and a piece, may be shorter: their length is that of the frame.
                let shorter = matches!(freight, Freight::Parcel(_) | Freight::Piece(_));
                assert!(short.is_err() || shorter, "{freight:?} cut to {end}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_096, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..300), short in any::<bool>(),
        ) {
            let mut bytes = bytes;
            if short && bytes.len() > 4 {
                // A head's length that fits, so that what follows is looked at.
                let length = (bytes.len() as u32 - 4) / 2;
                bytes[..4].copy_from_slice(&length.to_le_bytes());
            }
            for kind in [Kind::Entries, Kind::Piece, Kind::Confirmed, Kind::Parcel] {
                if let Ok(Some(freight)) = Freight::decode(kind, Bytes::copy_from_slice(&bytes)) {
                    let frame = freight.encode().unwrap();
                    let body = Bytes::copy_from_slice(&frame[HEAD_BYTES..]);
                    prop_assert_eq!(Freight::decode(kind, body), Ok(Some(freight)));
                }
            }
        }

        #[test]
        fn changed_bytes_are_read_or_refused(
            which in 0..5_usize, at in any::<prop::sample::Index>(), to in any::<u8>(),
        ) {
            let mut frame = samples()[which].encode().unwrap();
            let kind = kind(&frame);
            let at = HEAD_BYTES + at.index(frame.len() - HEAD_BYTES);
            frame[at] = to;
            let body = Bytes::copy_from_slice(&frame[HEAD_BYTES..]);
            if let Ok(Some(freight)) = Freight::decode(kind, body) {
                prop_assert!(freight.encode().is_ok());
            }
        }
    }
}
