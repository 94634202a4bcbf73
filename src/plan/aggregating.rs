//! `define aggregation`: what it keeps for each bucket and group.

use crate::event::Attribute;
use crate::event::DataType;
use crate::event::Schema;
use crate::event::Text;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree::AggregationDefinition;
use crate::language::tree::AggregationPeriods;
use crate::language::tree::Call;
use crate::language::tree::Expression;
use crate::language::tree::ExpressionKind;
use crate::language::tree::HandlerKind;
use crate::language::tree::Identifier;
use crate::language::tree::SelectItems;
use crate::language::tree::Span;
use crate::language::tree::TimeUnit;
use crate::plan::aggregation::Aggregation;
use crate::plan::aggregation::BUCKET;
use crate::plan::aggregation::Clock;
use crate::plan::aggregation::Running;
use crate::plan::aggregation::RunningKind;
use crate::plan::aggregation::Shown;
use crate::plan::annotations::Before;
use crate::plan::calendar::Period;
use crate::plan::calls::full_name;
use crate::plan::checker::Checker;
use crate::plan::codes;
use crate::plan::expression::Expr;
use crate::plan::inputs::Flow;
use crate::plan::logical::AggregationId;
use crate::plan::logical::Output;
use crate::plan::logical::OutputEvents;
use crate::plan::logical::Port;
use crate::plan::logical::Query;
use crate::plan::logical::Selection;
use crate::plan::logical::Source;
use crate::plan::names::Meaning;
use crate::plan::scopes::Scope;
use crate::plan::selections::output_name;
use crate::plan::signature::Callable;
use crate::plan::types::Place;

/// An aggregation in the making.
struct Making<'a> {
    scope: &'a Scope,
    /// What its rows hold: time, group keys, what running values take in.
    columns: Vec<Expr>,
    /// Where the group keys stand among them.
    groups: Vec<Expr>,
    first_group: usize,
    running: Vec<Running>,
}

impl Checker<'_> {
    /// The body of `define aggregation`; its name is known already.
    pub(super) fn aggregation(&mut self, tree: &AggregationDefinition, id: AggregationId) {
        self.annotations(&tree.annotations, Before::Aggregation);
        let periods = self.periods(&tree.periods);
        let purge = self.discard(&tree.annotations, periods.as_deref());
        let made = self.aggregated(tree, id);
        let (Some(periods), Some(purge), Some((aggregation, query))) = (periods, purge, made)
        else {
            self.names.set(&tree.name.text, Meaning::Broken, tree.name.span);
            return;
        };
        let aggregation = Aggregation {
            name: Text::from(tree.name.text.as_str()),
            periods,
            purge,
            zone: self.zone.clone(),
            span: tree.name.span,
            ..aggregation
        };
        self.aggregation_growth(&aggregation, tree);
        self.plan.aggregations[id] = aggregation;
        self.aggregating.push((id, query));
    }

    /// Puts the queries that feed aggregations behind those of the plan's text.
    pub(super) fn feed_aggregations(&mut self) {
        for (id, query) in std::mem::take(&mut self.aggregating) {
            self.plan.aggregations[id].query = self.plan.queries.len();
            self.targets.push(query.span);
            self.plan.queries.push(query);
        }
    }

    fn aggregated(
        &mut self,
        tree: &AggregationDefinition,
        id: AggregationId,
    ) -> Option<(Aggregation, Query)> {
        let flow = self.flow(&tree.input)?;
        self.only_rows(tree, &flow)?;
        let types = flow.member.schema.types();
        let scope = Scope::new(vec![flow.member]);
        let (clock, mut columns) = match &tree.by {
            None => (Clock::Arrival, Vec::new()),
            Some(by) => {
                let time = self.attribute(by, &scope)?;
                let clock = match time.ty {
                    DataType::Long => Clock::Long,
                    DataType::Text => Clock::Text,
                    ty => {
                        let message =
                            format!("the time of an aggregation is long or string, not {ty}");
                        let fault = Diagnostic::error(codes::BAD_AGGREGATION, by.span, message);
                        self.report(fault.help(
                            "milliseconds since 1970 as a long, or a text as \
                             '2024-06-01 04:05:50 +02:00'",
                        ));
                        return None;
                    }
                };
                (clock, vec![time])
            }
        };
        let select = &tree.selection;
        if self.too_long(select.group_by.len(), "group keys", select.span) {
            return None;
        }
        let groups: Vec<Option<Expr>> =
            select.group_by.iter().map(|key| self.attribute(key, &scope)).collect();
        let groups: Vec<Expr> = groups.into_iter().collect::<Option<_>>()?;
        let first_group = columns.len();
        columns.extend(groups.iter().cloned());
        let mut making =
            Making { scope: &scope, columns, groups, first_group, running: Vec::new() };
        let (outputs, schema) = match &select.items {
            SelectItems::All => self.keep_all(&mut making, select.span)?,
            SelectItems::List(items) => {
                if self.too_long(items.len(), "outputs", select.span) {
                    return None;
                }
                let mut kept = Vec::new();
                for item in items {
                    let shown = self.kept(&item.expression, &mut making);
                    // The parser has asked for a name.
                    kept.push(output_name(item).and_then(|name| Some((name, shown?))));
                }
                self.named(kept.into_iter().collect::<Option<_>>()?)?
            }
        };
        let aggregation = Aggregation {
            clock,
            groups: making.groups.iter().map(|key| key.ty).collect(),
            running: making.running,
            outputs,
            schema,
            ..Aggregation::default()
        };
        let port = Port { source: flow.source, stages: flow.stages, is_silent: false };
        let query = feeding(tree, port, making.columns, types, id);
        Some((aggregation, query))
    }

    /// Says that an aggregation reads the rows of a stream as they come, if it does not.
    fn only_rows(&mut self, tree: &AggregationDefinition, flow: &Flow) -> Option<()> {
        let name = &tree.input.source;
        if let Source::Window(_) = flow.source {
            let message =
                format!("an aggregation reads a stream, but `{}` is a window", name.name.text);
            self.report(Diagnostic::error(codes::WRONG_KIND, name.span, message));
            return None;
        }
        let is_window = |kind: &HandlerKind| matches!(kind, HandlerKind::Window(_));
        let window = tree.input.handlers.iter().find(|handler| is_window(&handler.kind));
        let Some(window) = window.map(|handler| handler.span) else { return Some(()) };
        let message = "an aggregation has buckets in place of a window";
        let fault = Diagnostic::error(codes::BAD_AGGREGATION, window, message);
        self.report(fault.help("take the window out").suggest(window, ""));
        None
    }

    /// The lengths of the buckets, the shortest first.
    fn periods(&mut self, tree: &AggregationPeriods) -> Option<Vec<Period>> {
        let mut read = |unit: TimeUnit, span: Span| {
            let period = period(unit);
            if period.is_none() {
                let message = "an aggregation has no buckets of this length";
                let fault = Diagnostic::error(codes::BAD_AGGREGATION, span, message);
                self.report(fault.help("sec, min, hour, day, month or year"));
            }
            period
        };
        match tree {
            AggregationPeriods::List(list) => {
                let all: Vec<Option<Period>> =
                    list.iter().map(|each| read(each.unit, each.span)).collect();
                let mut all: Vec<Period> = all.into_iter().collect::<Option<_>>()?;
                all.sort_unstable();
                all.dedup();
                Some(all)
            }
            AggregationPeriods::Range { from, to } => {
                let (first, last) = (read(from.unit, from.span), read(to.unit, to.span));
                let (first, last) = (first?, last?);
                if first > last {
                    let message = "the longest buckets stand before the shortest";
                    let span = from.span.to(to.span);
                    let fault = Diagnostic::error(codes::BAD_AGGREGATION, span, message);
                    let turned = format!("{} ... {}", last.keyword(), first.keyword());
                    self.report(fault.help(format!("write `{turned}`")).suggest(span, turned));
                    return None;
                }
                Some(Period::ALL.into_iter().filter(|each| (first..=last).contains(each)).collect())
            }
        }
    }

    /// `select *`: the latest value of each attribute.
    fn keep_all(&mut self, making: &mut Making<'_>, span: Span) -> Option<(Vec<Shown>, Schema)> {
        let member = making.scope.members().next()?;
        if member.schema.position(BUCKET).is_some() {
            return self.bucket_is_taken(span);
        }
        let mut schema = bucket_alone();
        let attributes = member.schema.attributes.clone();
        schema.attributes.extend(attributes.iter().cloned());
        let columns = attributes.iter().enumerate();
        let kept =
            columns.map(|(column, attribute)| making.plain(Expr::column(column, attribute.ty)));
        Some((kept.collect(), schema))
    }

    /// What is to be kept for one output, and the type of what it shows.
    fn kept(&mut self, tree: &Expression, making: &mut Making<'_>) -> Option<(Shown, DataType)> {
        if let ExpressionKind::Call(call) = &tree.kind
            && self.catalog.aggregator(&full_name(call)).is_some()
        {
            return self.aggregate_kept(call, making);
        }
        let mut place = Place::plain(making.scope, "inside of an output of an aggregation");
        let expr = self.expression(tree, &mut place)?;
        let ty = expr.ty;
        Some((making.plain(expr), ty))
    }

    fn aggregate_kept(
        &mut self,
        call: &Call,
        making: &mut Making<'_>,
    ) -> Option<(Shown, DataType)> {
        let name = full_name(call);
        let signature = self.catalog.aggregator(&name)?;
        let mut place = Place::plain(making.scope, "inside of another aggregator");
        let arguments = self.arguments(call, &mut place)?;
        let fit = self.fit(Callable::Aggregator, call, signature, arguments, &[])?;
        let argument = fit.arguments.into_iter().next();
        let count = Running { kind: RunningKind::Count, input: None, ty: DataType::Long };
        let running = match (name.as_str(), argument) {
            ("count", _) => making.keep(count),
            ("sum", Some(argument)) => making.take(RunningKind::Sum, argument.widened(fit.ty)),
            ("min", Some(argument)) => making.take(RunningKind::Least, argument),
            ("max", Some(argument)) => making.take(RunningKind::Greatest, argument),
            ("distinctCount", Some(argument)) => making.take(RunningKind::Distinct, argument),
            ("avg", Some(argument)) => {
                let whole = matches!(argument.ty, DataType::Int | DataType::Long);
                let ty = if whole { DataType::Long } else { DataType::Double };
                let sum = making.take(RunningKind::Sum, argument.widened(ty));
                let count = making.keep(count);
                return Some((Shown::Mean { sum, count }, DataType::Double));
            }
            _ => {
                let message = format!("`{name}` cannot be kept bucket by bucket");
                let fault = Diagnostic::error(codes::BAD_AGGREGATION, call.span, message);
                let help = "sum, count, avg, min, max and distinctCount of plain values can";
                self.report(fault.help(help));
                return None;
            }
        };
        Some((Shown::Running(running), fit.ty))
    }

    /// Gives outputs their names.
    fn named(
        &mut self,
        kept: Vec<(&Identifier, (Shown, DataType))>,
    ) -> Option<(Vec<Shown>, Schema)> {
        let mut schema = bucket_alone();
        let mut outputs = Vec::new();
        for (place, (name, (shown, ty))) in kept.iter().enumerate() {
            if name.text == BUCKET {
                return self.bucket_is_taken(name.span);
            }
            if let Some((first, _)) = kept[..place].iter().find(|(each, _)| each.text == name.text)
            {
                let message = format!("two outputs are called `{}`", name.text);
                let diagnostic = Diagnostic::error(codes::OUTPUT_TAKEN, name.span, message)
                    .also(first.span, "first here")
                    .help("give one of them another name with `as`");
                self.report(diagnostic);
                return None;
            }
            schema.attributes.push(Attribute { name: name.text.as_str().into(), ty: *ty });
            outputs.push(*shown);
        }
        Some((outputs, schema))
    }

    fn bucket_is_taken<T>(&mut self, span: Span) -> Option<T> {
        let message = format!("`{BUCKET}` is the start of the bucket, which is there by itself");
        let fault = Diagnostic::error(codes::OUTPUT_TAKEN, span, message);
        self.report(fault.help("give it another name with `as`"));
        None
    }
}

impl Making<'_> {
    /// Keeps a plain value: as the group key that it is, or that of the latest row.
    fn plain(&mut self, expr: Expr) -> Shown {
        match self.groups.iter().position(|key| *key == expr) {
            Some(group) => Shown::Group(group),
            None => Shown::Running(self.take(RunningKind::Latest, expr)),
        }
    }

    /// A running value that takes in an expression.
    fn take(&mut self, kind: RunningKind, expr: Expr) -> usize {
        let ty = expr.ty;
        let first = self.first_group + self.groups.len();
        let known = self.columns[first..].iter().position(|column| *column == expr);
        let input = known.map_or(self.columns.len(), |known| first + known);
        if known.is_none() {
            self.columns.push(expr);
        }
        self.keep(Running { kind, input: Some(input), ty })
    }

    fn keep(&mut self, running: Running) -> usize {
        let known = self.running.iter().position(|each| *each == running);
        known.unwrap_or_else(|| {
            self.running.push(running);
            self.running.len() - 1
        })
    }
}

/// The query that makes the rows of an aggregation.
fn feeding(
    tree: &AggregationDefinition,
    port: Port,
    outputs: Vec<Expr>,
    input: Vec<DataType>,
    id: AggregationId,
) -> Query {
    // Nobody calls them by name.
    let schema =
        Schema::new(outputs.iter().enumerate().map(|(place, expr)| (place.to_string(), expr.ty)));
    Query {
        name: Text::from(format!("aggregation {}", tree.name.text)),
        ports: vec![port],
        pattern: None,
        selection: Selection { input, outputs, schema, ..Selection::default() },
        output: Output::Aggregate(id),
        events: OutputEvents::Current,
        rate: None,
        partition: None,
        span: tree.span,
    }
}

/// The attributes of an aggregation before its outputs.
fn bucket_alone() -> Schema {
    Schema::new([(BUCKET, DataType::Long)])
}

fn period(unit: TimeUnit) -> Option<Period> {
    Some(match unit {
        TimeUnit::Second => Period::Second,
        TimeUnit::Minute => Period::Minute,
        TimeUnit::Hour => Period::Hour,
        TimeUnit::Day => Period::Day,
        TimeUnit::Month => Period::Month,
        TimeUnit::Year => Period::Year,
        TimeUnit::Week | TimeUnit::Millisecond => return None,
    })
}
