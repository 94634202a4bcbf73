//! Patterns and sequences as plain data: states, by whom each is followed, and what is read of the
//! events that they took.
//!
//! A *match* on its way holds the events taken so far. It waits at a state for the next one. States
//! are numbered in order of text, but that the right side of `and` and `or` comes before the left.

use crate::event::DataType;
use crate::event::Millis;
use crate::plan::expression::Expr;

/// Position in [`Pattern::states`].
pub type StateId = usize;

/// A pattern or sequence: what stands between a query's ports and its selection.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// Whether a row that no match takes ends those that wait: `,` in place of `->`.
    pub sequence: bool,
    /// The states.
    pub states: Vec<State>,
    /// States in the order in which a sequence readies them before each row: the first of each part
    /// of the chain.
    pub parts: Vec<StateId>,
    /// States in the order in which the plan's start puts an empty match to them.
    pub begun: Vec<StateId>,
    /// The longest time between the first event of a match and any other.
    pub within: Option<Millis>,
    /// What the selection stands over, one a column.
    pub captures: Vec<Capture>,
}

/// Where a match waits for an event.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The port of the query whose rows it looks at.
    pub port: usize,
    /// What it waits for.
    pub role: Role,
    /// What a row must fulfil; stands over `reads`.
    pub filter: Option<Expr>,
    /// The columns of the filter.
    pub reads: Vec<Capture>,
    /// Whether it can take the first event of a match.
    pub is_start: bool,
    /// To which state a match goes on.
    pub next: Option<StateId>,
    /// To which state a new match goes when this one has taken its event: the first of an `every`
    /// whose last this is.
    pub again: Option<StateId>,
    /// To which state a new match goes when one that waits here is too old: the first of the
    /// `every` around.
    pub rearms: Option<StateId>,
    /// Whether a match is whole here.
    pub ends: bool,
    /// Whether it is the first of all, and others follow.
    pub leads: bool,
    /// The state, a count from 0 at the start of a sequence, that begins anew when this takes an
    /// event or leaves one.
    pub restarts: Option<StateId>,
}

/// What a state waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// One event.
    One,
    /// Several.
    Count {
        /// At least so many.
        min: u32,
        /// At most so many.
        max: Option<u32>,
    },
    /// One side of `and` or `or`.
    Side(Side),
    /// That no event comes for a time.
    Absent(Millis),
}

/// One side of `and` or `or`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// Whether both sides are needed.
    pub and: bool,
    /// The other side.
    pub partner: StateId,
    /// Whether an event must come or must not.
    pub absence: Absence,
}

/// Whether an event must come or must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// It must come.
    No,
    /// It must not come before the other side has what it waits for.
    Always,
    /// It must not come for this time.
    For(Millis),
}

/// Something that is read of a match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The state whose events are meant.
    pub state: StateId,
    /// Which of them.
    pub event: Which,
    /// What of it.
    pub what: What,
}

/// Which event of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The last; in the filter of the state itself the row at hand.
    Latest,
    /// Counted from the first, which is 0; the row at hand counts.
    FromFirst(u32),
    /// Counted from the last, which is 0; the row at hand does not count.
    FromLast(u32),
}

/// What of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// An attribute.
    Attribute(usize, DataType),
    /// An attribute of all events of the state, as a list.
    List(usize),
    /// Its own time.
    Time,
    /// Whether there is none.
    Missing,
}

impl What {
    /// The type of its values.
    pub fn data_type(self) -> DataType {
        match self {
            What::Attribute(_, ty) => ty,
            What::List(_) => DataType::Object,
            What::Time => DataType::Long,
            What::Missing => DataType::Bool,
        }
    }
}

impl Pattern {
    /// Types of the columns that the selection stands over.
    pub fn types(&self) -> Vec<DataType> {
        self.captures.iter().map(|capture| capture.what.data_type()).collect()
    }

    /// All filters, in order of state.
    pub fn filters(&self) -> impl Iterator<Item = &Expr> {
        self.states.iter().filter_map(|state| state.filter.as_ref())
    }

    /// Whether time alone can make something happen.
    pub fn is_timed(&self) -> bool {
        self.states.iter().any(|state| state.wait().is_some())
    }

    /// Calls `visit` with everything that is read of matches.
    pub fn each_capture(&self, mut visit: impl FnMut(&Capture)) {
        self.states.iter().flat_map(|state| &state.reads).for_each(&mut visit);
        self.captures.iter().for_each(visit);
    }
}

impl State {
    /// How long no event may come, if that is what it waits for.
    pub fn wait(&self) -> Option<Millis> {
        match self.role {
            Role::Absent(wait) => Some(wait),
            Role::Side(Side { absence: Absence::For(wait), .. }) => Some(wait),
            _ => None,
        }
    }

    /// Whether it waits for an event not to come.
    pub fn is_absent(&self) -> bool {
        match self.role {
            Role::Absent(_) => true,
            Role::Side(side) => side.absence != Absence::No,
            Role::One | Role::Count { .. } => false,
        }
    }

    /// The other side of `and` or `or`.
    pub fn partner(&self) -> Option<StateId> {
        match self.role {
            Role::Side(side) => Some(side.partner),
            _ => None,
        }
    }

    /// Whether it takes several events.
    pub fn counts(&self) -> bool {
        matches!(self.role, Role::Count { .. })
    }
}
