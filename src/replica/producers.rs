//! The last number of each producer, so that what is sent twice counts once.

use std::collections::BTreeMap;

use crate::event::Text;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use crate::replica::Sending;

/// How many producers are remembered; the one that was silent for longest is forgotten first.
const PRODUCERS_MAX: usize = 10_000;

/// The last number of each producer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    last: BTreeMap<Text, (u64, u64)>,
    /// By the order in which they were last heard.
    heard: BTreeMap<u64, Text>,
    sends: u64,
}

impl Producers {
    /// Whether a send was taken before.
    #[must_use]
    pub fn has_taken(&self, sending: &Sending) -> bool {
        self.last(&sending.producer).is_some_and(|last| sending.sequence <= last)
    }

    /// Takes note of a send; `false` if it was taken before.
    pub fn take(&mut self, sending: &Sending) -> bool {
        if let Some((sequence, heard)) = self.last.get(&sending.producer) {
            if sending.sequence <= *sequence {
                return false;
            }
            self.heard.remove(heard);
        }
        self.sends += 1;
        self.heard.insert(self.sends, sending.producer.clone());
        self.last.insert(sending.producer.clone(), (sending.sequence, self.sends));
        if self.last.len() > PRODUCERS_MAX
            && let Some((_, silent)) = self.heard.pop_first()
        {
            self.last.remove(&silent);
        }
        true
    }

    /// The last number taken of a producer.
    #[must_use]
    pub fn last(&self, producer: &str) -> Option<u64> {
        self.last.get(producer).map(|(sequence, _)| *sequence)
    }
}

impl Encode for Producers {
    fn encode(&self, out: &mut Vec<u8>) {
        let known: Vec<(Text, u64)> =
            self.heard.values().map(|producer| (producer.clone(), self.last[producer].0)).collect();
        known.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let mut producers = Self::default();
        for (producer, sequence) in Vec::<(Text, u64)>::decode(from)? {
            producers.take(&Sending { producer, sequence });
        }
        Ok(producers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sending(producer: &str, sequence: u64) -> Sending {
        Sending { producer: producer.into(), sequence }
    }

    #[test]
    fn what_is_sent_again_is_not_taken_again() {
        let mut producers = Producers::default();
        assert!(producers.take(&sending("a", 1)));
        assert!(!producers.take(&sending("a", 1)));
        assert!(producers.take(&sending("b", 1)));
        assert!(producers.take(&sending("a", 5)), "numbers may leave gaps");
        assert!(!producers.take(&sending("a", 4)));
        let mut bytes = Vec::new();
        producers.encode(&mut bytes);
        let mut again = Producers::decode(&mut &bytes[..]).unwrap();
        assert_eq!((again.last("a"), again.last("b")), (Some(5), Some(1)));
        assert!(!again.take(&sending("a", 5)));
    }

    #[test]
    fn the_one_that_was_silent_for_longest_is_forgotten_first() {
        let mut producers = Producers::default();
        for producer in 0..PRODUCERS_MAX {
            assert!(producers.take(&sending(&producer.to_string(), 7)));
        }
        assert!(producers.take(&sending("0", 8)), "heard again");
        assert!(producers.take(&sending("new", 1)));
        assert_eq!((producers.last("0"), producers.last("1")), (Some(8), None));
        assert_eq!(producers.last.len(), PRODUCERS_MAX);
        assert_eq!(producers.heard.len(), PRODUCERS_MAX);
    }
}
