//! What the protocol knows of a plan's log: how far it goes, and which epochs wrote which stretch.

use crate::ha::protocol::words::Epoch;
use crate::ha::protocol::words::Position;
use serde::Deserialize;
use serde::Serialize;
use std::cmp::Ordering;

/// A stretch of a log that one epoch wrote: from here until the next span begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Position of its first entry.
    pub first: Position,
    /// The epoch its entries carry.
    pub epoch: Epoch,
}

/// A log as the other node needs to see it. Two logs that agree in epoch at a position agree in
/// all entries up to it, since one epoch has one writer, which only appends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Entries up to here are in a snapshot only.
    pub base: Position,
    /// Epoch of the entry at the base.
    pub base_epoch: Epoch,
    /// Who wrote the entries after the base; positions and epochs rise.
    pub spans: Vec<Span>,
    /// Position of the last entry.
    pub last: Position,
}

impl Shape {
    /// The epoch of the entry at a position from the base to the last; below the base unknown.
    pub fn epoch_at(&self, position: Position) -> Option<Epoch> {
        if position < self.base || position > self.last {
            return None;
        }
        let after = self.spans.partition_point(|span| span.first <= position);
        match after.checked_sub(1) {
            Some(index) if position > self.base => Some(self.spans[index].epoch),
            _ => Some(self.base_epoch),
        }
    }

    /// Where the span that holds a position begins.
    fn span_start(&self, position: Position) -> Position {
        let after = self.spans.partition_point(|span| span.first <= position);
        after.checked_sub(1).map_or(self.base, |index| self.spans[index].first)
    }

    /// Epoch and position of the last entry: of two logs the one that is greater here goes
    /// further.
    pub fn end(&self) -> (Epoch, Position) {
        (self.epoch_at(self.last).unwrap_or_default(), self.last)
    }

    /// Which log goes further.
    pub fn compare(&self, other: &Shape) -> Ordering {
        self.end().cmp(&other.end())
    }

    /// The last position up to which both logs are the same, if the journals reach back to it.
    pub fn common(&self, other: &Shape) -> Option<Position> {
        let floor = self.base.max(other.base);
        let mut position = self.last.min(other.last);
        loop {
            if position < floor {
                return None;
            }
            let mine = self.epoch_at(position)?;
            let theirs = other.epoch_at(position)?;
            let longer = match mine.cmp(&theirs) {
                Ordering::Equal => return Some(position),
                Ordering::Greater => self,
                Ordering::Less => other,
            };
            position = Position(longer.span_start(position).0.checked_sub(1)?);
        }
    }

    /// Appends entries of one epoch up to a position.
    pub fn extend(&mut self, epoch: Epoch, upto: Position) {
        if upto <= self.last {
            return;
        }
        let continues = match self.spans.last() {
            Some(span) => span.epoch == epoch,
            None => false,
        };
        if !continues {
            self.spans.push(Span { first: self.last.next(), epoch });
        }
        self.last = upto;
    }

    /// Forgets everything after a position, which is not below the base.
    pub fn cut(&mut self, after: Position) {
        assert!(after >= self.base, "nobody cuts below the base {}: {after}", self.base);
        if after < self.last {
            self.spans.retain(|span| span.first <= after);
            self.last = after;
        }
    }

    /// Forgets which epochs wrote the entries up to a position: a snapshot holds them.
    pub fn trim(&mut self, base: Position) {
        let Some(epoch) = self.epoch_at(base) else { return };
        let holding = self.spans.partition_point(|span| span.first <= base.next());
        self.spans.drain(..holding.saturating_sub(1));
        if let Some(first) = self.spans.first_mut() {
            first.first = first.first.max(base.next());
        }
        if base == self.last {
            self.spans.clear();
        }
        (self.base, self.base_epoch) = (base, epoch);
    }

    /// The spans of the entries after one position up to another.
    pub fn spans_between(&self, after: Position, upto: Position) -> Vec<Span> {
        let holding = self.spans.partition_point(|span| span.first <= after.next());
        self.spans[holding.saturating_sub(1)..]
            .iter()
            .map(|span| Span { first: span.first.max(after.next()), epoch: span.epoch })
            .filter(|span| span.first <= upto)
            .collect()
    }
}

/// A plan's log on this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanLog {
    /// Positions and epochs of the entries.
    pub shape: Shape,
    /// On disk, fsynced, up to here.
    pub synced: Position,
    /// Committed, as far as this node knows; applied.
    pub committed: Position,
    /// At the active: any entry up to here may have been committed before this epoch began.
    pub inherited: Position,
    /// The epoch of the active whose log this one is a prefix of; entries of another are not
    /// taken.
    pub follows: Epoch,
    /// It holds every committed entry, as far as this node knows; noted on its disk.
    pub whole: bool,
    /// It was applied beyond what the active has; nothing is done with it until the operator
    /// speaks.
    pub diverged: bool,
    /// Only a snapshot can bring it to where the peer's journal begins.
    pub needs_snapshot: bool,
    /// The operator gave up what parts from the active's log here.
    pub discarded: bool,
    /// The plan cannot take entries on this node, as its owner said.
    pub broken: bool,
}

impl PlanLog {
    /// Position of the last entry.
    pub fn last(&self) -> Position {
        self.shape.last
    }

    /// Every entry that may be committed, by this active or one before it, is not after this
    /// position.
    pub fn owed(&self) -> Position {
        self.committed.max(self.inherited)
    }

    /// Forgets everything after a position.
    pub fn cut(&mut self, after: Position) {
        self.shape.cut(after);
        self.synced = self.synced.min(after);
        self.committed = self.committed.min(after);
    }

    /// Starts anew after a snapshot that holds the entries up to its base.
    pub fn install(&mut self, base: Position, base_epoch: Epoch) {
        self.shape = Shape { base, base_epoch, spans: Vec::new(), last: base };
        self.synced = base;
        self.committed = base;
        self.follows = Epoch(0);
        self.needs_snapshot = false;
        self.diverged = false;
        self.discarded = false;
    }
}

#[cfg(test)]
mod tests {
    use super::Shape;
    use super::Span;
    use crate::ha::protocol::words::Epoch;
    use crate::ha::protocol::words::Position;
    use std::cmp::Ordering;

    /// A log written out: the epoch of each entry after the base.
    fn log(base: u64, base_epoch: u64, epochs: &[u64]) -> Shape {
        let mut shape = Shape {
            base: Position(base),
            base_epoch: Epoch(base_epoch),
            spans: Vec::new(),
            last: Position(base),
        };
        for (index, epoch) in epochs.iter().enumerate() {
            shape.extend(Epoch(*epoch), Position(base + 1 + index as u64));
        }
        shape
    }

    #[test]
    fn the_common_prefix_ends_where_the_epochs_part() {
        let ours = log(0, 0, &[1, 1, 1, 2, 2]);
        assert_eq!(ours.common(&log(0, 0, &[1, 1, 1, 2, 2])), Some(Position(5)));
        assert_eq!(ours.common(&log(0, 0, &[1, 1, 1, 3])), Some(Position(3)));
        assert_eq!(ours.common(&log(0, 0, &[1, 1, 1, 1, 1, 1])), Some(Position(3)));
        assert_eq!(ours.common(&log(0, 0, &[4])), Some(Position(0)));
        assert_eq!(ours.common(&log(0, 0, &[])), Some(Position(0)));
    }

    #[test]
    fn what_only_a_snapshot_holds_can_be_compared_at_its_base() {
        let ours = log(0, 0, &[1, 1, 1, 2, 2]);
        assert_eq!(ours.common(&log(4, 2, &[2, 3])), Some(Position(5)));
        assert_eq!(ours.common(&log(4, 3, &[3])), None, "parted below the base");
        assert_eq!(ours.common(&log(9, 3, &[])), None, "there is nothing in common to see");
    }

    #[test]
    fn cutting_and_trimming_keep_the_epochs_that_remain() {
        let mut shape = log(0, 0, &[1, 1, 2, 2, 3]);
        shape.cut(Position(3));
        assert_eq!(shape, log(0, 0, &[1, 1, 2]));
        shape.extend(Epoch(5), Position(4));
        shape.trim(Position(1));
        assert_eq!(shape, log(1, 1, &[1, 2, 5]));
        shape.trim(Position(2));
        assert_eq!(shape, log(2, 1, &[2, 5]));
        shape.trim(Position(4));
        assert_eq!(shape, log(4, 5, &[]));
        assert_eq!(shape.epoch_at(Position(4)), Some(Epoch(5)));
        assert_eq!(shape.epoch_at(Position(3)), None);
    }

    #[test]
    fn the_longer_log_is_the_one_of_the_later_epoch() {
        assert_eq!(log(0, 0, &[1, 2]).compare(&log(0, 0, &[1, 1, 1])), Ordering::Greater);
        assert_eq!(log(0, 0, &[1, 1]).compare(&log(0, 0, &[1, 1, 1])), Ordering::Less);
    }

    #[test]
    fn spans_between_two_positions_begin_and_end_there() {
        let shape = log(0, 0, &[1, 1, 2, 2, 3]);
        let span = |first, epoch| Span { first: Position(first), epoch: Epoch(epoch) };
        assert_eq!(shape.spans_between(Position(1), Position(4)), [span(2, 1), span(3, 2)]);
        assert_eq!(shape.spans_between(Position(4), Position(5)), [span(5, 3)]);
        assert_eq!(shape.spans_between(Position(5), Position(5)), []);
    }
}
