//! Records and messages as bytes, and back from any bytes without a panic.
//!
//! The form is that of the crate `postcard`: numbers of variable length, fields in their order and
//! no names. So a field that is added, or changes its place, is another form: whoever changes
//! [`Record`] or [`Message`] raises the version that goes before the bytes on disk and on the
//! wire. A test holds samples of both.

use crate::ha::protocol::message::Message;
use crate::ha::protocol::record::Record;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes that are no record or no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// They do not say what they should.
    #[error("{length} bytes are no {what}: {reason}")]
    Malformed {
        /// What was expected.
        what: &'static str,
        /// How many bytes there are.
        length: usize,
        /// What is wrong with them.
        reason: String,
    },
    /// There is more than one.
    #[error("{extra} of {length} bytes are left after a {what}")]
    Trailing {
        /// What was expected.
        what: &'static str,
        /// How many bytes there are.
        length: usize,
        /// How many are left over.
        extra: usize,
    },
}

impl Record {
    /// The record as bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// The record that these bytes hold.
    ///
    /// # Errors
    /// They hold none, or more than one.
    pub fn decode(bytes: &[u8]) -> Result<Record, CodecError> {
        decode("record", bytes)
    }
}

impl Message {
    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// The message that these bytes hold.
    ///
    /// # Errors
    /// They hold none, or more than one.
    pub fn decode(bytes: &[u8]) -> Result<Message, CodecError> {
        decode("message", bytes)
    }
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("lists have a length and a Vec takes everything")
}

fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, CodecError> {
    let length = bytes.len();
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(CodecError::Trailing { what, length, extra: rest.len() }),
        Err(error) => Err(CodecError::Malformed { what, length, reason: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ha::protocol::ArbiterId;
    use crate::ha::protocol::Body;
    use crate::ha::protocol::Epoch;
    use crate::ha::protocol::Followed;
    use crate::ha::protocol::Generation;
    use crate::ha::protocol::InSync;
    use crate::ha::protocol::Incarnation;
    use crate::ha::protocol::Moment;
    use crate::ha::protocol::NodeId;
    use crate::ha::protocol::Offered;
    use crate::ha::protocol::Plan;
    use crate::ha::protocol::PlanSet;
    use crate::ha::protocol::Position;
    use crate::ha::protocol::Progress;
    use crate::ha::protocol::Shape;
    use crate::ha::protocol::Span;
    use crate::ha::protocol::Version;
    use proptest::prelude::*;

    fn record() -> Record {
        let generation =
            Generation { epoch: Epoch(3), node: NodeId::B, incarnation: Incarnation(700) };
        Record {
            arbiter: ArbiterId(0x1234_5678_9abc_def0),
            version: Version(41),
            epoch: Epoch(4),
            generation: Some(generation),
            holder: Some(NodeId::A),
            holder_lacks: PlanSet::from([Plan(9)]),
            lease: 2_000,
            in_sync: Some(InSync {
                incarnation: Incarnation(701),
                lacks: PlanSet::from([Plan(1), Plan(300)]),
            }),
        }
    }

    fn shape() -> Shape {
        let spans = vec![
            Span { first: Position(6), epoch: Epoch(1) },
            Span { first: Position(9), epoch: Epoch(4) },
        ];
        Shape { base: Position(5), base_epoch: Epoch(1), spans, last: Position(1_000) }
    }

    fn messages() -> Vec<Message> {
        let epoch = Epoch(4);
        let to = Incarnation(8);
        let generation = Generation { epoch, node: NodeId::A, incarnation: to };
        let offered = Offered { plan: Plan(1), committed: Position(7), shape: Some(shape()) };
        let progress = [
            Progress::Follows { matched: Position(9), synced: Position(8) },
            Progress::Apart,
            Progress::NeedsSnapshot,
            Progress::Broken,
        ];
        let plans: Vec<_> =
            progress.into_iter().map(|progress| Followed { plan: Plan(2), progress }).collect();
        let bodies = [
            Body::Heartbeat { epoch, generation, sent: Moment(99), plans: vec![offered] },
            Body::Heard { epoch, to, sent: Moment(99), grant: 1_500, plans: plans.clone() },
            Body::Entries {
                epoch,
                plan: Plan(2),
                after: Position(3),
                upto: Position(9),
                spans: shape().spans,
                committed: Position(2),
            },
            Body::Taken { epoch, to, plan: plans[0] },
            Body::TailRequest { asked: Moment(98), plans: vec![(Plan(1), shape())], all: true },
            Body::Tail {
                to,
                asked: Moment(98),
                plan: Plan(1),
                doubtful: false,
                whole: true,
                shape: shape(),
                after: Position(1),
                upto: Position(4),
                plans: 3,
            },
            Body::YourTurn { epoch, version: Version(9) },
            Body::Leaving,
        ];
        bodies.map(|body| Message { from: Incarnation(7), body }).to_vec()
    }

    #[test]
    fn what_was_encoded_comes_back() {
        assert_eq!(Record::decode(&record().encode()), Ok(record()));
        for message in messages() {
            assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
    }

    /// If this fails, files and peers of an older build are not understood any more: raise the
    /// versions that go before these bytes.
    #[test]
    fn the_form_is_that_of_the_samples() {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let samples: Vec<String> =
            messages().iter().map(Message::encode).chain([record().encode()]).map(hex).collect();
        assert_eq!(
            samples,
            [
                "070004040008630101070105010206010904e807",
                "0701040863dc0b0402000908020102020203",
                "070204020309020601090402",
                "0703040802000908",
                "070462010105010206010904e80701",
                "0705086201000105010206010904e807010403",
                "07060409",
                "0707",
                "f0bdf3d589cf959a122904010301bc0501000109d00f01bd050201ac02",
            ]
        );
    }

    #[test]
    fn what_is_cut_short_or_too_long_is_refused() {
        for message in messages() {
            let mut bytes = message.encode();
            for end in 0..bytes.len() {
                assert!(Message::decode(&bytes[..end]).is_err(), "{message:?} cut to {end}");
            }
            bytes.push(0);
            let trailing = Message::decode(&bytes).unwrap_err().to_string();
            assert!(trailing.contains("1 of"), "{trailing}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_096, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(message) = Message::decode(&bytes) {
                prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
            }
            if let Ok(record) = Record::decode(&bytes) {
                prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
            }
        }

        #[test]
        fn flipped_bytes_are_read_or_refused(
            which in 0..8_usize, at in any::<prop::sample::Index>(), to in any::<u8>(),
        ) {
            let mut bytes = messages()[which].encode();
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(message) = Message::decode(&bytes) {
                prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
            }
        }
    }
}
