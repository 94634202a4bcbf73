//! What each name of a plan stands for, in order of definition; no judgement.

use crate::event::Map;
use crate::event::Text;
use crate::language::tree::Span;
use crate::plan::logical::AggregationId;
use crate::plan::logical::StreamId;
use crate::plan::logical::TableId;
use crate::plan::logical::WindowId;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A stream.
    Stream(StreamId),
    /// A table.
    Table(TableId),
    /// A named window.
    Window(WindowId),
    /// An aggregation.
    Aggregation(AggregationId),
    /// Something that was refused; whoever uses it is not blamed for that.
    Broken,
}

/// A name that is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    /// What it stands for.
    pub(super) meaning: Meaning,
    /// Where it was given.
    pub(super) span: Span,
}

/// All names of one kind of place: the plan's own, or the inner streams of a partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    entries: Map<Text, Name>,
    order: Vec<Text>,
}

impl Names {
    /// What a name stands for, if it is known.
    pub(super) fn get(&self, name: &str) -> Option<Name> {
        self.entries.get(name).copied()
    }

    /// Gives a name a meaning; a name that had one keeps its place in the order.
    pub(super) fn set(&mut self, name: &str, meaning: Meaning, span: Span) {
        let name = Text::from(name);
        if self.entries.insert(name.clone(), Name { meaning, span }).is_none() {
            self.order.push(name);
        }
    }

    /// All names that `wanted` wants, in the order in which they were given.
    pub(super) fn all<'a>(
        &'a self,
        wanted: impl Fn(Meaning) -> bool + 'a,
    ) -> impl Iterator<Item = &'a str> {
        let known = move |name: &&Text| self.get(name).is_some_and(|name| wanted(name.meaning));
        self.order.iter().filter(known).map(Text::as_str)
    }
}
