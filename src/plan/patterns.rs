//! Patterns and sequences from tree to states: who is followed by whom, and what each waits for.

use crate::event::Millis;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree::Count;
use crate::language::tree::HandlerKind;
use crate::language::tree::LogicalOperator;
use crate::language::tree::SingleInput;
use crate::language::tree::SourcePrefix;
use crate::language::tree::Span;
use crate::language::tree::StateElement;
use crate::language::tree::StateElementKind;
use crate::language::tree::StateInput;
use crate::language::tree::StateInputKind;
use crate::language::tree::TimeLiteral;
use crate::plan::checker::Checker;
use crate::plan::codes;
use crate::plan::events::EventSource;
use crate::plan::events::Events;
use crate::plan::joins::both;
use crate::plan::logical::Port;
use crate::plan::logical::Source;
use crate::plan::names::Meaning;
use crate::plan::pattern::Absence;
use crate::plan::pattern::Pattern;
use crate::plan::pattern::Role;
use crate::plan::pattern::Side;
use crate::plan::pattern::State;
use crate::plan::pattern::StateId;
use crate::plan::queries::Reading;
use crate::plan::scopes::Scope;
use crate::plan::types::Place;
use std::rc::Rc;

/// How many states a pattern has at most.
const MOST_STATES: usize = 100;

/// A pattern while its states are laid out.
#[derive(Default)]
pub(super) struct Layout<'t> {
    sequence: bool,
    pub(super) states: Vec<State>,
    /// What each state reads, as it is written.
    inputs: Vec<&'t SingleInput>,
    /// How each can be named.
    names: Vec<EventSource>,
    sources: Vec<Source>,
    parts: Vec<StateId>,
    begun: Vec<StateId>,
    /// Each `every` with the last state of what it repeats.
    pub(super) everies: Vec<(StateId, Span)>,
    /// Where each state stands.
    pub(super) spans: Vec<Span>,
    /// Whether a source is unknown.
    broken: bool,
}

/// The first and the last state of a part, as others are joined to it.
#[derive(Clone, Copy)]
struct Ends {
    first: StateId,
    last: StateId,
}

impl Checker<'_> {
    /// A pattern or sequence as the input of a query.
    pub(super) fn pattern(&mut self, input: &StateInput) -> Option<Reading> {
        let sequence = input.kind == StateInputKind::Sequence;
        let mut layout = Layout { sequence, ..Layout::default() };
        let whole = self.part(&input.root, true, true, &mut layout);
        if layout.states.len() > MOST_STATES {
            let message = format!("a pattern has at most {MOST_STATES} states");
            self.report(Diagnostic::error(codes::TOO_WIDE, input.span, message));
            return None;
        }
        layout.end(whole);
        if layout.broken {
            return None;
        }
        let names = Rc::new(std::mem::take(&mut layout.names));
        let mut sound = true;
        for state in 0..layout.states.len() {
            sound &= self.state_filter(state, &mut layout, &names).is_some();
        }
        if !sound {
            return None;
        }
        self.pattern_growth(&layout, input.within.is_some());
        let ports = layout.sources.iter();
        let ports =
            ports.map(|&source| Port { source, stages: Vec::new(), is_silent: false }).collect();
        let pattern = Pattern {
            sequence,
            states: layout.states,
            parts: layout.parts,
            begun: layout.begun,
            within: input.within.as_ref().map(TimeLiteral::milliseconds),
            captures: Vec::new(),
        };
        let scope = Scope::of_events(Events::new(names, None));
        Some(Reading { ports, scope, types: Vec::new(), pattern: Some(Box::new(pattern)) })
    }

    /// Lays out a part. `outer` says that it is no part of an `every`.
    fn part<'t>(
        &mut self,
        element: &'t StateElement,
        is_start: bool,
        outer: bool,
        layout: &mut Layout<'t>,
    ) -> Ends {
        match &element.kind {
            StateElementKind::Stream(stream) => {
                let name = stream.reference.as_ref().map(|name| name.text.as_str());
                let id = self.state(&stream.input, name, Role::One, is_start, layout);
                layout.part_at(id, element.span, outer);
                Ends { first: id, last: id }
            }
            StateElementKind::Count { stream, count } => {
                let name = stream.reference.as_ref().map(|name| name.text.as_str());
                let &Count { min, max, .. } = count;
                let role = Role::Count { min, max };
                let id = self.state(&stream.input, name, role, is_start, layout);
                layout.part_at(id, element.span, outer);
                Ends { first: id, last: id }
            }
            StateElementKind::Absent { input, duration } => {
                let wait = duration.as_ref().map_or(0, TimeLiteral::milliseconds);
                let id = self.state(input, None, Role::Absent(wait), is_start, layout);
                layout.part_at(id, element.span, outer);
                Ends { first: id, last: id }
            }
            StateElementKind::Logical { left, operator, right } => {
                let and = *operator == LogicalOperator::And;
                let base = layout.states.len();
                // What must not come stands first, whichever was written first.
                let absent =
                    |side: &StateElement| matches!(side.kind, StateElementKind::Absent { .. });
                let (first, second) = match absent(right) && !absent(left) {
                    true => (right, left),
                    false => (left, right),
                };
                self.state_side(second, and, base + 1, is_start, layout);
                self.state_side(first, and, base, is_start, layout);
                layout.part_at(base, second.span, outer);
                layout.begun.push(base + 1);
                layout.spans.push(first.span);
                Ends { first: base + 1, last: base }
            }
            StateElementKind::Every(inner) => {
                let base = layout.states.len();
                let ends = self.part(inner, is_start, false, layout);
                for id in layout.both_sides(ends.last) {
                    layout.states[id].again = Some(ends.first);
                }
                for state in &mut layout.states[base..] {
                    state.rearms = Some(ends.first);
                }
                if outer {
                    layout.parts.push(ends.first);
                }
                layout.everies.push((ends.last, element.span));
                ends
            }
            StateElementKind::Chain(elements) => {
                let mut elements = elements.iter();
                let first = elements.next().expect("a chain has at least two parts");
                let mut ends = self.part(first, is_start, outer, layout);
                for element in elements {
                    let next = self.part(element, false, outer, layout);
                    layout.join(ends, next);
                    ends.last = next.last;
                }
                ends
            }
        }
    }

    /// One side of `and` or `or`.
    fn state_side<'t>(
        &mut self,
        element: &'t StateElement,
        and: bool,
        partner: StateId,
        is_start: bool,
        layout: &mut Layout<'t>,
    ) {
        let role = |absence| Role::Side(Side { and, partner, absence });
        match &element.kind {
            StateElementKind::Absent { input, duration } => {
                let absence = match duration {
                    Some(time) => Absence::For(time.milliseconds()),
                    None => Absence::Always,
                };
                self.state(input, None, role(absence), is_start, layout);
            }
            StateElementKind::Stream(stream) | StateElementKind::Count { stream, .. } => {
                let name = stream.reference.as_ref().map(|name| name.text.as_str());
                self.state(&stream.input, name, role(Absence::No), is_start, layout);
            }
            // The grammar has nothing else there.
            StateElementKind::Logical { .. }
            | StateElementKind::Every(_)
            | StateElementKind::Chain(_) => layout.broken = true,
        }
    }

    /// One state; its filter is read when all are known.
    fn state<'t>(
        &mut self,
        input: &'t SingleInput,
        name: Option<&str>,
        role: Role,
        is_start: bool,
        layout: &mut Layout<'t>,
    ) -> StateId {
        let id = layout.states.len();
        let mut port = 0;
        let mut schema = Rc::default();
        match self.state_source(input) {
            Some((source, attributes)) => {
                schema = attributes;
                let known = layout.sources.iter().position(|known| *known == source);
                port = known.unwrap_or_else(|| {
                    layout.sources.push(source);
                    layout.sources.len() - 1
                });
            }
            None => layout.broken = true,
        }
        let counts = matches!(role, Role::Count { .. });
        let is_absent = matches!(role, Role::Absent(_))
            || matches!(role, Role::Side(side) if side.absence != Absence::No);
        let prefix = if name.is_some() { SourcePrefix::None } else { input.source.prefix };
        let name = name.unwrap_or(&input.source.name.text).into();
        layout.names.push(EventSource { name, prefix, schema, counts, is_absent });
        layout.inputs.push(input);
        layout.states.push(State {
            port,
            role,
            filter: None,
            reads: Vec::new(),
            is_start,
            next: None,
            again: None,
            rearms: None,
            ends: false,
            leads: false,
            restarts: None,
        });
        id
    }

    fn state_source(&mut self, input: &SingleInput) -> Option<(Source, Rc<crate::event::Schema>)> {
        let name = &input.source;
        let known = match name.prefix {
            SourcePrefix::None => self.names.get(&name.name.text).map(|known| known.meaning),
            SourcePrefix::Inner | SourcePrefix::Fault => None,
        };
        if let Some(Meaning::Window(_)) = known {
            let word = &name.name.text;
            let message = format!("a pattern reads streams, but `{word}` is a window");
            let fault = Diagnostic::error(codes::WRONG_KIND, name.span, message);
            self.report(fault.help(format!("insert from `{word}` into a stream and read that")));
            return None;
        }
        self.source(name)
    }

    /// Reads the filters of a state, joined by `and`.
    fn state_filter(
        &mut self,
        id: StateId,
        layout: &mut Layout<'_>,
        names: &Rc<Vec<EventSource>>,
    ) -> Option<()> {
        let mut scope = Scope::of_events(Events::new(Rc::clone(names), Some(id)));
        // How many columns there are is known only when all have been asked for.
        let mark = self.mark();
        self.filters_of(layout.inputs[id], &scope);
        self.take_back(&mark);
        scope.width = scope.captures().len();
        let filter = self.filters_of(layout.inputs[id], &scope)?;
        layout.states[id].filter = filter;
        layout.states[id].reads = scope.captures();
        Some(())
    }

    fn filters_of(
        &mut self,
        input: &SingleInput,
        scope: &Scope,
    ) -> Option<Option<crate::plan::expression::Expr>> {
        let mut all = None;
        for handler in &input.handlers {
            match &handler.kind {
                HandlerKind::Filter(condition) => {
                    let mut place = Place::plain(scope, "in a filter");
                    let condition = self.condition(condition, &mut place, "a filter")?;
                    all = Some(both(all, condition));
                }
                HandlerKind::Function(_) => {
                    self.not_supported(handler.span, "stream functions inside of a pattern");
                    return None;
                }
                // The grammar has refused it.
                HandlerKind::Window(_) => return None,
            }
        }
        Some(all)
    }
}

impl Layout<'_> {
    /// Notes a state as one by which a part begins; the order is that of the text.
    fn part_at(&mut self, id: StateId, span: Span, outer: bool) {
        if outer {
            self.parts.push(id);
        }
        self.begun.push(id);
        self.spans.push(span);
    }

    fn both_sides(&self, id: StateId) -> Vec<StateId> {
        std::iter::once(id).chain(self.states[id].partner()).collect()
    }

    /// Lets one part be followed by another.
    fn join(&mut self, ends: Ends, next: Ends) {
        for id in self.both_sides(ends.last) {
            self.states[id].next = Some(next.first);
        }
        let state = &self.states[ends.last];
        if self.sequence && state.is_start && matches!(state.role, Role::Count { min: 0, .. }) {
            self.states[next.first].restarts = Some(ends.last);
        }
    }

    fn end(&mut self, whole: Ends) {
        for id in self.both_sides(whole.last) {
            self.states[id].ends = true;
        }
        self.states[whole.first].leads = whole.first != whole.last;
    }

    /// Whether it is a sequence, in which nothing waits for long.
    pub(super) fn is_sequence(&self) -> bool {
        self.sequence
    }

    /// For how long a match can wait at a state or behind it: nothing if without bound.
    pub(super) fn patience(&self, from: StateId) -> Option<Millis> {
        let mut wait: Millis = 0;
        let mut at = Some(from);
        while let Some(id) = at {
            match self.states[id].role {
                Role::Absent(time) => wait = wait.saturating_add(time),
                _ => return None,
            }
            at = self.states[id].next;
        }
        Some(wait)
    }
}
