//! What is read of a match: values of the events that it took, and of the row at hand.

use crate::engine::patterns::store::HERE;
use crate::engine::patterns::store::Match;
use crate::engine::patterns::store::NO_TIME;
use crate::engine::patterns::store::NONE;
use crate::engine::patterns::store::Store;
use crate::event::Batch;
use crate::event::Column;
use crate::event::Structure;
use crate::event::Value;
use crate::plan::pattern::Capture;
use crate::plan::pattern::StateId;
use crate::plan::pattern::What;
use crate::plan::pattern::Which;
use std::sync::Arc;

/// Reads matches.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// The matches.
    pub store: &'a Store,
    /// The row at hand.
    pub here: Option<(&'a Batch, usize)>,
    /// The state whose filter reads: the row at hand is its newest event.
    pub own: Option<StateId>,
}

/// Where an event lies.
enum Event {
    Kept(u32),
    Here,
    Nowhere,
}

impl Reader<'_> {
    /// The place of an event that the match holds.
    #[inline]
    pub fn place(&self, of: Match, capture: &Capture) -> Option<u32> {
        match self.find(of, capture) {
            Event::Kept(place) => Some(place),
            Event::Here | Event::Nowhere => None,
        }
    }

    #[inline]
    fn find(&self, of: Match, capture: &Capture) -> Event {
        let own = self.own == Some(capture.state);
        if own && capture.event == Which::Latest {
            return Event::Here;
        }
        if !self.store.events[capture.state].counts {
            let first =
                matches!(capture.event, Which::Latest | Which::FromFirst(0) | Which::FromLast(0));
            if own && capture.event == Which::FromFirst(0) {
                return Event::Here;
            }
            return match self.store.taken(of, capture.state) {
                HERE if first && !own => Event::Here,
                taken if first && !own && taken < HERE => Event::Kept(taken),
                _ => Event::Nowhere,
            };
        }
        let chain = self.store.chain(of, capture.state);
        let place = match capture.event {
            Which::Latest => chain.len().checked_sub(1),
            Which::FromFirst(count) if own && count as usize == chain.len() => {
                return Event::Here;
            }
            Which::FromFirst(count) => Some(count as usize),
            Which::FromLast(count) => chain.len().checked_sub(1 + count as usize),
        };
        match place.and_then(|place| chain.get(place)) {
            Some(&place) => Event::Kept(place),
            None => Event::Nowhere,
        }
    }

    /// Appends what is read of a match to a column.
    pub fn push(&self, of: Match, capture: &Capture, into: &mut Column) {
        match capture.what {
            What::Attribute(column, _) => match (self.find(of, capture), self.here) {
                (Event::Kept(place), _) => {
                    let (values, row) = self.store.value(capture.state, place, column);
                    into.push_from(values, row);
                }
                (Event::Here, Some((batch, row))) => into.push_from(&batch.columns[column], row),
                _ => into.push_null(),
            },
            What::List(column) => into.push(&self.list(of, capture.state, column)),
            What::Time => into.push(&match (self.find(of, capture), self.here) {
                (Event::Kept(place), _) => {
                    Value::Long(self.store.events[capture.state].rows.timestamp(place))
                }
                (Event::Here, Some((batch, row))) => Value::Long(batch.timestamps[row]),
                _ => Value::Null,
            }),
            What::Missing => {
                let missing = matches!(self.find(of, capture), Event::Nowhere);
                into.push(&Value::Bool(missing));
            }
        }
    }

    /// An attribute of all events of a counting state.
    fn list(&self, of: Match, state: StateId, column: usize) -> Value {
        if self.store.taken(of, state) == NONE {
            return Value::Null;
        }
        let values = self.store.chain(of, state).iter().map(|&place| {
            let (values, row) = self.store.value(state, place, column);
            values.value(row)
        });
        Value::Object(Arc::new(Structure::List(values.collect())))
    }

    /// The time of a match as its result bears it.
    pub fn time(&self, of: Match) -> i64 {
        self.store.time(of).max(NO_TIME)
    }
}
