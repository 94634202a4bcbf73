//! From a checked pattern to one that runs.

use crate::engine::build::BuildError;
use crate::engine::build::Builder;
use crate::engine::patterns::PatternStep;
use crate::engine::patterns::PortStates;
use crate::engine::patterns::Shape;
use crate::engine::patterns::filter::Filter;
use crate::engine::patterns::store::Store;
use crate::engine::patterns::stretches::Stretches;
use crate::event::DataType;
use crate::plan::pattern::Capture;
use crate::plan::pattern::Pattern;
use crate::plan::pattern::Role;
use crate::plan::pattern::State;
use crate::plan::pattern::StateId;
use crate::plan::pattern::What;

impl PatternStep {
    /// Makes a pattern whose ports have columns of the types named.
    ///
    /// # Errors
    /// If an expression cannot be run.
    pub fn build(
        pattern: &Pattern,
        ports: &[Vec<DataType>],
        builder: &Builder<'_>,
    ) -> Result<PatternStep, BuildError> {
        let counts = |id: StateId| pattern.states[id].counts();
        let mut filters = Vec::new();
        for (id, state) in pattern.states.iter().enumerate() {
            let indexed = !pattern.sequence
                && !state.is_start
                && matches!(state.role, Role::One | Role::Absent(_));
            let width = ports[state.port].len();
            filters.push(Filter::build(id, state, width, indexed, &counts, builder)?);
        }
        let events = pattern.states.iter().enumerate().map(|(id, state)| {
            let types = ports[state.port].clone();
            let keep = kept(pattern, id, types.len());
            (types, keep, state.counts())
        });
        let starts = pattern.states.iter().enumerate().filter(|(_, state)| state.is_start);
        let starts: Vec<StateId> = starts.map(|(id, _)| id).collect();
        let steady = |&id: &StateId| match pattern.states[id].role {
            Role::One | Role::Absent(_) => true,
            Role::Count { min, .. } => min > 0,
            Role::Side(_) => false,
        };
        let shape = Shape {
            sequence: pattern.sequence,
            ports: (0..ports.len()).map(|port| PortStates::of(&pattern.states, port)).collect(),
            states: pattern.states.clone(),
            parts: pattern.parts.clone(),
            begun: pattern.begun.clone(),
            within: pattern.within,
            captures: pattern.captures.clone(),
            in_order: starts.iter().all(steady),
            starts,
            first_operator: 0,
        };
        Ok(PatternStep {
            store: Store::new(events),
            stretches: Stretches::of(pattern, &filters),
            filters,
            slots: Vec::new(),
            candidates: Vec::new(),
            numbers: Vec::new(),
            left_out: vec![0; ports.len()],
            shape,
        })
    }
}

impl PortStates {
    fn of(states: &[State], port: usize) -> PortStates {
        let states = states.iter().enumerate().filter(|(_, state)| state.port == port);
        PortStates { states: states.map(|(id, _)| id).collect() }
    }
}

/// The columns of a state's events that somebody reads later.
fn kept(pattern: &Pattern, id: StateId, width: usize) -> Vec<bool> {
    let mut keep = vec![false; width];
    pattern.each_capture(|capture| mark(capture, id, &mut keep));
    keep
}

fn mark(capture: &Capture, id: StateId, keep: &mut [bool]) {
    if let What::Attribute(column, _) | What::List(column) = capture.what
        && capture.state == id
    {
        keep[column] = true;
    }
}

/// The columns of a port's rows that the pattern reads.
pub fn reads(pattern: &Pattern, port: usize, width: usize) -> Vec<bool> {
    let mut read = vec![false; width];
    for (id, _) in pattern.states.iter().enumerate().filter(|(_, state)| state.port == port) {
        pattern.each_capture(|capture| mark(capture, id, &mut read));
    }
    read
}
