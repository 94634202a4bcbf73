//! What a name can mean over a pattern: attributes of the events that its states took.

use crate::event::Schema;
use crate::event::Text;
use crate::language::tree::AttributeReference;
use crate::language::tree::EventIndexKind;
use crate::language::tree::EventReference;
use crate::language::tree::SourcePrefix;
use crate::plan::pattern::Capture;
use crate::plan::pattern::StateId;
use crate::plan::pattern::What;
use crate::plan::pattern::Which;
use crate::plan::scopes::Found;
use std::cell::RefCell;
use std::rc::Rc;

/// The states of a pattern as expressions see them. Each thing that is read gets a column when it
/// is first asked for.
#[derive(Clone, Debug)]
pub(super) struct Events {
    states: Rc<Vec<EventSource>>,
    /// The state whose filter asks; `None` where the whole match is asked.
    own: Option<StateId>,
    captures: RefCell<Vec<Capture>>,
}

/// A state by what it can be named.
#[derive(Clone, Debug)]
pub(super) struct EventSource {
    /// Its reference, or else the name of its stream.
    pub(super) name: Text,
    /// The prefix that belongs to the name.
    pub(super) prefix: SourcePrefix,
    /// The attributes of its events.
    pub(super) schema: Rc<Schema>,
    /// Whether it takes several events.
    pub(super) counts: bool,
    /// Whether it waits for an event not to come.
    pub(super) is_absent: bool,
}

impl Events {
    /// Over all states.
    pub(super) fn new(states: Rc<Vec<EventSource>>, own: Option<StateId>) -> Events {
        Events { states, own, captures: RefCell::default() }
    }

    /// What was read so far, one a column.
    pub(super) fn captures(&self) -> Vec<Capture> {
        self.captures.borrow().clone()
    }

    /// Looks for an attribute.
    pub(super) fn find(&self, reference: &AttributeReference) -> Found {
        let name = reference.name.text.as_str();
        let Some(source) = &reference.source else { return self.find_name(name) };
        let Some(state) = self.state(source) else { return Found::NoSource };
        if self.comes_later(state) {
            return Found::Later;
        }
        let Some(place) = self.states[state].schema.position(name) else {
            return Found::NoAttribute;
        };
        self.attribute(state, which(source), place)
    }

    /// The column that says whether an event is missing; for `e1 is null`.
    pub(super) fn missing(&self, source: &EventReference) -> Option<Found> {
        self.whole(source, What::Missing)
    }

    /// The column that holds an event's own time.
    pub(super) fn time(&self, source: &EventReference) -> Option<Found> {
        self.whole(source, What::Time)
    }

    fn whole(&self, source: &EventReference, what: What) -> Option<Found> {
        let state = self.state(source)?;
        if self.comes_later(state) {
            return Some(Found::Later);
        }
        Some(self.column(Capture { state, event: which(source), what }))
    }

    /// Whether a name before a point means a state.
    pub(super) fn knows(&self, source: &EventReference) -> bool {
        self.state(source).is_some()
    }

    /// Columns of all attributes of all states, with their names; for `select *`.
    pub(super) fn all(&self) -> Vec<(Text, Found)> {
        let places =
            self.states.iter().enumerate().flat_map(|(state, source)| {
                (0..source.schema.len()).map(move |place| (state, place))
            });
        places
            .map(|(state, place)| {
                let name = self.states[state].schema.attributes[place].name.clone();
                (name, self.attribute(state, Which::Latest, place))
            })
            .collect()
    }

    /// Names of states, for suggestions.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let named = self.states.iter().filter(|state| !state.is_absent);
        named.map(|state| state.name.as_str())
    }

    /// Names of attributes, for suggestions; of one state if it is named.
    pub(super) fn attribute_names(&self, source: Option<&EventReference>) -> Vec<&str> {
        match source.and_then(|source| self.state(source)).or(self.own) {
            Some(state) => self.states[state].schema.names().collect(),
            None => self.states.iter().flat_map(|state| state.schema.names()).collect(),
        }
    }

    fn state(&self, source: &EventReference) -> Option<StateId> {
        self.states
            .iter()
            .position(|state| state.prefix == source.prefix && state.name == source.name.text)
    }

    /// Whether no event of a state can be there when the filter is asked.
    fn comes_later(&self, state: StateId) -> bool {
        self.own.is_some_and(|own| state > own)
    }

    /// Looks for an attribute that is named alone.
    pub(super) fn find_name(&self, name: &str) -> Found {
        if let Some(own) = self.own {
            return match self.states[own].schema.position(name) {
                Some(place) => self.attribute(own, Which::Latest, place),
                None => Found::NoAttribute,
            };
        }
        let mut holders =
            self.states.iter().enumerate().filter_map(|(state, source)| {
                source.schema.position(name).map(|place| (state, place))
            });
        let Some((state, place)) = holders.next() else { return Found::NoAttribute };
        let others: Vec<StateId> = holders.map(|(state, _)| state).collect();
        if others.is_empty() {
            return self.attribute(state, Which::Latest, place);
        }
        let all = std::iter::once(state).chain(others);
        Found::Ambiguous(all.map(|state| self.states[state].name.clone()).collect())
    }

    /// An attribute of an event; over a whole match all events of a counting state are meant if no
    /// number says which.
    fn attribute(&self, state: StateId, event: Which, place: usize) -> Found {
        let source = &self.states[state];
        let ty = source.schema.attributes[place].ty;
        let all = source.counts && self.own.is_none() && event == Which::Latest;
        let what = if all { What::List(place) } else { What::Attribute(place, ty) };
        self.column(Capture { state, event, what })
    }

    fn column(&self, capture: Capture) -> Found {
        let mut captures = self.captures.borrow_mut();
        let ty = capture.what.data_type();
        let place = captures.iter().position(|known| *known == capture).unwrap_or_else(|| {
            captures.push(capture);
            captures.len() - 1
        });
        Found::Column(place, ty)
    }
}

fn which(source: &EventReference) -> Which {
    match source.index.as_ref().map(|index| index.kind) {
        None => Which::Latest,
        Some(EventIndexKind::FromFirst(count)) => Which::FromFirst(count),
        Some(EventIndexKind::FromLast(count)) => Which::FromLast(count),
    }
}
