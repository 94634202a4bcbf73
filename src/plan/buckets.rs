//! Which buckets of an aggregation are read, how long they are kept, and what grows.

use crate::event::DataType;
use crate::event::Millis;
use crate::event::Value;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree::AggregationDefinition;
use crate::language::tree::AggregationRange;
use crate::language::tree::Annotation;
use crate::language::tree::AnnotationElement;
use crate::language::tree::Expression;
use crate::language::tree::PropertyKey;
use crate::language::tree::Span;
use crate::language::tree::StringLiteral;
use crate::plan::aggregation::Aggregation;
use crate::plan::aggregation::Buckets;
use crate::plan::aggregation::Discard;
use crate::plan::aggregation::RunningKind;
use crate::plan::annotations::find;
use crate::plan::annotations::is;
use crate::plan::annotations::value;
use crate::plan::calendar;
use crate::plan::calendar::Period;
use crate::plan::checker::Checker;
use crate::plan::codes;
use crate::plan::expression::Expr;
use crate::plan::logical::Findable;
use crate::plan::scopes::Scope;
use crate::plan::types::Place;

const SECOND: Millis = 1_000;
const HOUR: Millis = 3_600 * SECOND;
const DAY: Millis = 24 * HOUR;

impl Checker<'_> {
    /// The buckets that are asked for, by what `asking` knows: an aggregation needs them, and
    /// nothing else has any. `place` is where it is named.
    pub(super) fn buckets(
        &mut self,
        with: Findable,
        range: Option<&AggregationRange>,
        asking: &Scope,
        place: Span,
    ) -> Option<Option<Buckets>> {
        let id = match (with, range) {
            (Findable::Aggregation(id), _) => id,
            (_, None) => return Some(None),
            (_, Some(range)) => {
                let message = "only aggregations have buckets to choose from";
                let fault = Diagnostic::error(codes::BAD_RANGE, range.span, message);
                self.report(fault.help("take `within .. per ..` out").suggest(range.span, ""));
                return None;
            }
        };
        let Some(range) = range else {
            let message = "it is not said which buckets of the aggregation are meant";
            let fault = Diagnostic::error(codes::BAD_RANGE, place, message);
            self.report(fault.help("for example: within '2024-06-** **:**:**' per 'days'"));
            return None;
        };
        let mut inside = Place::plain(asking, "in `within` or `per`");
        let start = self.expression(&range.start, &mut inside);
        let end = range.end.as_ref().map(|end| self.expression(end, &mut inside));
        let per = self.expression(&range.per, &mut inside);
        let (start, per) = (start?, per?);
        let end = match end {
            Some(end) => Some(end?),
            None => None,
        };
        let right = match (&end, &range.end) {
            (Some(end), Some(tree)) => self.two_moments([&start, end], [&range.start, tree]),
            _ => self.one_span(&start, range.start.span),
        };
        let known = self.known_period(&per, range.per.span, id);
        (right && known).then_some(Some(Buckets { start, end, per }))
    }

    fn one_span(&mut self, start: &Expr, span: Span) -> bool {
        if start.ty != DataType::Text {
            let message = format!("`within` alone takes a text with stars, not {}", start.ty);
            let fault = Diagnostic::error(codes::BAD_RANGE, span, message);
            self.report(fault.help("for two moments write both: within start, end"));
            return false;
        }
        let text = start.as_constant().and_then(Value::as_text);
        if text.is_some_and(|text| calendar::span(text).is_none()) {
            let message = "this text names no span of time";
            let fault = Diagnostic::error(codes::BAD_RANGE, span, message);
            self.report(fault.help(
                "stars stand at the end and for whole fields, as in '2024-06-** **:**:**' or \
                 '2024-06-01 04:**:** +02:00'",
            ));
            return false;
        }
        true
    }

    fn two_moments(&mut self, exprs: [&Expr; 2], trees: [&Expression; 2]) -> bool {
        let mut moments = [None; 2];
        for ((expr, tree), moment) in exprs.into_iter().zip(trees).zip(&mut moments) {
            if !matches!(expr.ty, DataType::Long | DataType::Text) {
                let message = format!("a moment is long or string, not {}", expr.ty);
                let mut fault = Diagnostic::error(codes::BAD_RANGE, tree.span, message);
                if let Some(Value::Int(number)) = expr.as_constant() {
                    let long = format!("{number}L");
                    fault = fault.help(format!("write `{long}`")).suggest(tree.span, long);
                }
                self.report(fault);
                return false;
            }
            let Some(value) = expr.as_constant() else { continue };
            *moment = value.as_long().or_else(|| value.as_text().and_then(calendar::moment));
            if moment.is_none() {
                let message = "this text names no moment";
                let fault = Diagnostic::error(codes::BAD_RANGE, tree.span, message);
                self.report(fault.help("as in '2024-06-01 04:05:50' or with ' +02:00' behind"));
                return false;
            }
        }
        if let [Some(start), Some(end)] = moments
            && start >= end
        {
            let message = "`within` ends before it begins";
            self.report(Diagnostic::error(
                codes::BAD_RANGE,
                trees[0].span.to(trees[1].span),
                message,
            ));
            return false;
        }
        true
    }

    fn known_period(&mut self, per: &Expr, span: Span, id: usize) -> bool {
        if per.ty != DataType::Text {
            let message = format!("`per` takes the name of a length, not {}", per.ty);
            let fault = Diagnostic::error(codes::BAD_RANGE, span, message);
            self.report(fault.help("for example: per 'seconds'"));
            return false;
        }
        let aggregation = &self.plan.aggregations[id];
        let Some(text) = per.as_constant().and_then(Value::as_text) else { return true };
        if Period::named(text).is_some_and(|period| aggregation.periods.contains(&period)) {
            return true;
        }
        let names: Vec<String> =
            aggregation.periods.iter().map(|period| format!("'{}'", period.name())).collect();
        let message = format!("`{}` has no buckets per '{text}'", aggregation.name);
        let fault = Diagnostic::error(codes::BAD_RANGE, span, message);
        let fault = match names.as_slice() {
            [only] => fault.suggest(span, only.as_str()),
            _ => fault,
        };
        self.report(fault.help(format!("it has {}", names.join(", "))));
        false
    }

    /// What the annotations before an aggregation say: how long buckets stay. The inner nothing
    /// means for ever.
    pub(super) fn discard(
        &mut self,
        annotations: &[Annotation],
        periods: Option<&[Period]>,
    ) -> Option<Option<Discard>> {
        if let Some(annotation) = find(annotations, "partitionById") {
            let message = "`@PartitionById` needs a shard id, which no setting gives";
            let fault = Diagnostic::error(codes::BAD_ANNOTATION, annotation.span, message);
            self.report(fault.help("a pair of nodes keeps every aggregation whole; take it out"));
        }
        for name in ["store", "persistedAggregation"] {
            let wanted = find(annotations, name)
                .filter(|found| value(found, "enable").is_none_or(|text| self.switch(text)));
            if let Some(annotation) = wanted {
                self.not_supported(annotation.span, "aggregations in outside stores");
            }
        }
        let periods = periods?;
        let mut discard = Discard {
            interval: 900 * SECOND,
            retention: periods.iter().map(|&period| usual(period)).collect(),
        };
        let Some(purge) = find(annotations, "purge") else { return Some(Some(discard)) };
        let before = self.diagnostics.len();
        let mut enabled = true;
        for element in &purge.elements {
            match element {
                AnnotationElement::Property { key: Some(key), value, .. }
                    if key.text.eq_ignore_ascii_case("enable") =>
                {
                    enabled = self.switch(value);
                }
                AnnotationElement::Property { key: Some(key), value, .. }
                    if key.text.eq_ignore_ascii_case("interval") =>
                {
                    discard.interval = self.duration(value).unwrap_or(discard.interval);
                }
                AnnotationElement::Annotation(inner) if is(inner, "retentionPeriod") => {
                    self.retention(inner, periods, &mut discard.retention);
                }
                AnnotationElement::Property { span, .. } => self.no_part_of_purge(*span),
                AnnotationElement::Annotation(inner) => self.no_part_of_purge(inner.span),
            }
        }
        let whole = self.diagnostics.len() == before;
        whole.then_some(enabled.then_some(discard))
    }

    fn no_part_of_purge(&mut self, span: Span) {
        let message = "`@purge` of an aggregation has no such part";
        self.report(Diagnostic::error(codes::UNKNOWN_KEY, span, message).help(
            "@purge(enable='true', interval='15 min', @retentionPeriod(sec='120 sec', min='all'))",
        ));
    }

    fn retention(
        &mut self,
        annotation: &Annotation,
        periods: &[Period],
        kept: &mut [Option<Millis>],
    ) {
        for element in &annotation.elements {
            match element {
                AnnotationElement::Property { key: Some(key), value, .. } => {
                    let place = Period::named(&key.text)
                        .and_then(|period| periods.iter().position(|each| *each == period));
                    match place {
                        Some(place) => self.retained(value, periods[place], &mut kept[place]),
                        None => self.no_such_period(key, periods),
                    }
                }
                AnnotationElement::Property { span, .. } => self.no_part_of_purge(*span),
                AnnotationElement::Annotation(inner) => self.no_part_of_purge(inner.span),
            }
        }
    }

    fn no_such_period(&mut self, key: &PropertyKey, periods: &[Period]) {
        let names: Vec<&str> = periods.iter().map(|period| period.keyword()).collect();
        let message = format!("the aggregation has no buckets of the length `{}`", key.text);
        let fault = Diagnostic::error(codes::UNKNOWN_KEY, key.span, message);
        self.report(fault.help(format!("it has {}", names.join(", "))));
    }

    fn retained(&mut self, text: &StringLiteral, period: Period, kept: &mut Option<Millis>) {
        if text.value.eq_ignore_ascii_case("all") {
            *kept = None;
            return;
        }
        let Some(wanted) = self.duration(text) else { return };
        let (least, shown) = least(period);
        if wanted < least {
            let message = format!("buckets of a {} stay for {shown} at least", period.keyword());
            let fault = Diagnostic::error(codes::BAD_ANNOTATION, text.span, message);
            self.report(fault.suggest(text.span, format!("'{shown}'")));
            return;
        }
        *kept = Some(wanted);
    }

    /// Warns of what an aggregation keeps without bound.
    pub(super) fn aggregation_growth(
        &mut self,
        aggregation: &Aggregation,
        tree: &AggregationDefinition,
    ) {
        let forever = |place: usize| {
            aggregation.purge.as_ref().is_none_or(|discard| discard.retention[place].is_none())
        };
        let stays = aggregation.periods.iter().enumerate().filter(|(place, _)| forever(*place));
        let stays: Vec<Period> = stays.map(|(_, period)| *period).collect();
        let Some(shortest) = stays.first() else { return };
        let name = &aggregation.name;
        let help = "say how long buckets stay: `@purge(enable='true', interval='15 min', \
                    @retentionPeriod(..))` before `define aggregation`";
        let free = aggregation.groups.iter().any(|ty| *ty != DataType::Bool);
        let sets = aggregation.running.iter().any(|each| each.kind == RunningKind::Distinct);
        let (span, message) = if *shortest < Period::Day {
            let length = shortest.keyword();
            (tree.name.span, format!("`{name}` keeps its buckets of a {length} for ever"))
        } else if free && let Some(key) = tree.selection.group_by.first() {
            let length = shortest.name();
            (key.span, format!("`{name}` keeps the groups of all {length} for ever"))
        } else if sets {
            let length = shortest.name();
            let message = format!("`{name}` keeps the different values of all {length} for ever");
            (tree.selection.span, message)
        } else {
            return;
        };
        self.report(Diagnostic::warning(codes::GROWS, span, message).help(help));
    }
}

/// How long buckets stay where nothing is said; `None`: for ever.
fn usual(period: Period) -> Option<Millis> {
    match period {
        Period::Second => Some(120 * SECOND),
        Period::Minute => Some(24 * HOUR),
        Period::Hour => Some(30 * DAY),
        Period::Day => Some(365 * DAY),
        Period::Month | Period::Year => None,
    }
}

/// How long buckets stay at least, so that what comes late still finds them.
fn least(period: Period) -> (Millis, &'static str) {
    match period {
        Period::Second => (120 * SECOND, "120 sec"),
        Period::Minute => (2 * HOUR, "120 min"),
        Period::Hour => (25 * HOUR, "25 hours"),
        Period::Day => (32 * DAY, "32 days"),
        Period::Month => (13 * 30 * DAY, "13 months"),
        Period::Year => (0, "1 millisec"),
    }
}
