//! Queries: names, input, selection and output put together.

use crate::event::DataType;
use crate::event::Text;
use crate::event::Value;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree;
use crate::language::tree::EventKind;
use crate::language::tree::Input;
use crate::language::tree::RateKind;
use crate::language::tree::SingleInput;
use crate::language::tree::Span;
use crate::plan::annotations::Before;
use crate::plan::annotations::info_name;
use crate::plan::checker::Checker;
use crate::plan::codes;
use crate::plan::expression::Expr;
use crate::plan::logical::OutputEvents;
use crate::plan::logical::Port;
use crate::plan::logical::Query;
use crate::plan::logical::Selection;
use crate::plan::logical::Source;
use crate::plan::logical::Stage;
use crate::plan::logical::WindowCall;
use crate::plan::names::Meaning;
use crate::plan::pattern::Pattern;
use crate::plan::scopes::Scope;

/// How many outputs all queries of a plan have at most. As `select *` is short to write, a plan of
/// a few megabytes could ask for gigabytes.
const MOST_COLUMNS: usize = 200_000;

/// What a query reads, ready for its selection.
pub(super) struct Reading {
    /// The ways in.
    pub(super) ports: Vec<Port>,
    /// The names its selection can use.
    pub(super) scope: Scope,
    /// The types of the columns; of a pattern they are known when the selection has been read.
    pub(super) types: Vec<DataType>,
    /// The pattern that the ways in lead to.
    pub(super) pattern: Option<Box<Pattern>>,
}

impl Checker<'_> {
    /// A query; `number` counts all queries of the plan from 1.
    pub(super) fn query(&mut self, tree: &tree::Query, number: usize) {
        self.annotations(&tree.annotations, Before::Query);
        let name = self.query_name(tree, number);
        let mut reading = self.input(&tree.input);
        let span = tree.selection.as_ref().map_or(tree.input.span(), |selection| selection.span);
        let selection = reading.as_mut().and_then(|reading| self.selection_of(reading, tree, span));
        let columns = selection.as_ref().map_or(0, |selection| selection.schema.len());
        if self.columns + columns > MOST_COLUMNS {
            let message = format!("the plan's queries have more than {MOST_COLUMNS} outputs");
            self.report(Diagnostic::error(codes::TOO_WIDE, span, message));
            self.exhausted = true;
            return;
        }
        self.columns += columns;
        let output = self.output(&tree.output, selection.as_ref(), span);
        let (Some(mut reading), Some(selection), Some(output)) = (reading, selection, output)
        else {
            return;
        };
        let rate = tree.rate.as_ref();
        let events = match (rate.map(|rate| rate.kind), tree.output.events) {
            (Some(RateKind::Snapshot), None) => OutputEvents::All,
            (_, events) => events.map_or(OutputEvents::Current, output_events),
        };
        let rate = match rate.map(|rate| self.rate(rate, events, tree.output.span)) {
            Some(None) => return,
            rate => rate.flatten(),
        };
        if !selection.aggregates.is_empty() || events != OutputEvents::Current {
            expire_at_once(&mut reading.ports, &reading.types, tree.input.span());
        }
        self.selection_growth(tree, &reading.ports, &selection);
        self.rate_growth(tree, rate, &reading.ports, &selection);
        self.targets.push(tree.output.span);
        let query = Query {
            name,
            ports: reading.ports,
            pattern: reading.pattern,
            selection,
            output,
            events,
            rate,
            partition: self.partition,
            span: tree.span,
        };
        self.external_tables(&query, tree.input.span(), tree.output.span);
        self.plan.queries.push(query);
    }

    fn input(&mut self, input: &Input) -> Option<Reading> {
        match input {
            Input::Stream(input) => self.single(input),
            Input::Join(join) => self.join(join),
            Input::State(state) => self.pattern(state),
            Input::Anonymous(query) => {
                self.not_supported(query.span, "queries in place of a stream");
                None
            }
        }
    }

    /// The selection of a query.
    fn selection_of(
        &mut self,
        reading: &mut Reading,
        tree: &tree::Query,
        span: Span,
    ) -> Option<Selection> {
        let selection = tree.selection.as_ref();
        if let Some(pattern) = &mut reading.pattern {
            // What is read of the events is known when all has been asked for.
            let mark = self.mark();
            self.selection(selection, span, &reading.scope, &[]);
            self.take_back(&mark);
            pattern.captures = reading.scope.captures();
            reading.types = pattern.types();
            reading.scope.width = reading.types.len();
        }
        self.selection(selection, span, &reading.scope, &reading.types)
    }

    fn single(&mut self, input: &SingleInput) -> Option<Reading> {
        let flow = self.flow(input)?;
        let types = flow.member.schema.types();
        let scope = Scope::new(vec![flow.member]);
        let port = Port { source: flow.source, stages: flow.stages, is_silent: false };
        Some(Reading { ports: vec![port], scope, types, pattern: None })
    }

    fn query_name(&mut self, tree: &tree::Query, number: usize) -> Text {
        let Some(name) = info_name(&tree.annotations) else {
            return Text::from(format!("query_{number}"));
        };
        let known = self.query_names.get(name.value.as_str());
        if let Some(first) = known.map(|known| known.span) {
            let message = format!("there is a query `{}` already", name.value);
            let diagnostic = Diagnostic::error(codes::QUERY_NAME_TAKEN, name.span, message)
                .also(first, "first here");
            self.report(diagnostic);
        } else {
            self.query_names.set(&name.value, Meaning::Broken, name.span);
        }
        Text::from(name.value.as_str())
    }
}

/// Which rows the words before `events` mean.
pub(super) fn output_events(kind: EventKind) -> OutputEvents {
    match kind {
        EventKind::Current => OutputEvents::Current,
        EventKind::Expired => OutputEvents::Expired,
        EventKind::All => OutputEvents::All,
    }
}

/// Puts a window that holds nothing before a lookup without window: in a join a row without window
/// is expired at once, so that aggregates begin anew with each row. Where neither aggregates nor
/// expired rows are asked for, nobody can tell.
fn expire_at_once(ports: &mut [Port], types: &[DataType], span: Span) {
    for Port { source, stages, .. } in ports {
        let has_window = stages.iter().any(|stage| matches!(stage, Stage::Window(_)));
        let Some(Stage::Lookup(lookup)) = stages.last() else { continue };
        if has_window || matches!(source, Source::Window(_)) {
            continue;
        }
        let own = lookup.own_base()..lookup.own_base() + lookup.width;
        let call = WindowCall {
            name: "length".to_owned(),
            arguments: vec![Expr::constant(Value::Int(0))],
            types: types[own].to_vec(),
            names: Vec::new(),
            predicate: None,
            span,
        };
        stages.insert(stages.len() - 1, Stage::Window(call));
    }
}
