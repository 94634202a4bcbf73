//! What a receiver has taken of each producer on its topic, as its mark says it.
//!
//! The mark is a text: on the first line how many messages with rows were taken in all, on each
//! further one a number and the producer of whom it was the last, in the order in which they were
//! heard. It stands in the plan's log with the rows, so a message said again is known after a
//! restart and on the other node of a pair, too.

use std::fmt::Write as _;
use std::sync::Arc;

/// How many producers are remembered; the one that was silent for longest is forgotten first.
const PRODUCERS_MAX: usize = 64;

/// The last number of each producer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Messages with rows that were taken.
    pub count: u64,
    /// Who was heard last stands last.
    last: Vec<(Arc<str>, u64)>,
}

impl Heard {
    /// What a mark says; one in another form says nothing.
    #[must_use]
    pub fn read(mark: &str) -> Self {
        let mut lines = mark.lines();
        let count = lines.next().and_then(|line| line.strip_prefix("taken ")?.parse().ok());
        let Some(count) = count else { return Self::default() };
        let last = lines.filter_map(|line| {
            let (number, producer) = line.split_once(' ')?;
            Some((producer.into(), number.parse().ok()?))
        });
        Self { count, last: last.collect() }
    }

    /// The mark.
    #[must_use]
    pub fn mark(&self) -> String {
        let mut text = format!("taken {}\n", self.count);
        for (producer, number) in &self.last {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{number} {producer}");
        }
        text
    }

    /// Takes note of a message; `false` if it was taken before.
    pub fn take(&mut self, producer: &Arc<str>, number: u64) -> bool {
        match self.last.iter().position(|(of, _)| of == producer) {
            Some(at) if self.last[at].1 >= number => return false,
            // Mostly it is the same as before.
            Some(at) if at + 1 == self.last.len() => self.last[at].1 = number,
            Some(at) => {
                let (producer, _) = self.last.remove(at);
                self.last.push((producer, number));
            }
            None => {
                if self.last.len() == PRODUCERS_MAX {
                    self.last.remove(0);
                }
                self.last.push((Arc::clone(producer), number));
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_again_is_known_also_from_the_mark() {
        let (a, b): (Arc<str>, Arc<str>) = ("p/publisher:A:1/7".into(), "p/publisher:B:1/7".into());
        let mut heard = Heard::default();
        assert!(heard.take(&a, 3) && heard.take(&b, 1) && heard.take(&a, 9));
        assert!(!heard.take(&a, 9) && !heard.take(&a, 4));
        heard.count = 3;
        let mark = heard.mark();
        assert_eq!(mark, "taken 3\n1 p/publisher:B:1/7\n9 p/publisher:A:1/7\n");
        let mut again = Heard::read(&mark);
        assert_eq!(again, heard);
        assert!(!again.take(&b, 1) && again.take(&b, 2));
        assert_eq!(Heard::read("17"), Heard::default(), "the mark of an earlier release");
    }

    #[test]
    fn the_one_that_was_silent_for_longest_is_forgotten_first() {
        let mut heard = Heard::default();
        let name = |n: usize| -> Arc<str> { n.to_string().into() };
        (0..PRODUCERS_MAX).for_each(|n| assert!(heard.take(&name(n), 5)));
        assert!(heard.take(&name(0), 6) && heard.take(&"new".into(), 1));
        assert!(!heard.take(&name(0), 6));
        assert_eq!(heard.last.len(), PRODUCERS_MAX);
        assert!(heard.take(&name(1), 5), "forgotten");
    }
}
