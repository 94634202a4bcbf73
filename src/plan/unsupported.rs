//! Constructs that are checked as far as their names and types go and then refused as not supported
//! yet: aggregations, patterns and sequences.

use crate::event::DataType;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree::AggregationDefinition;
use crate::language::tree::AggregationPeriods;
use crate::language::tree::SingleInput;
use crate::language::tree::SourcePrefix;
use crate::language::tree::StateElement;
use crate::language::tree::StateElementKind;
use crate::language::tree::StateInput;
use crate::language::tree::StateInputKind;
use crate::language::tree::TimeUnit;
use crate::plan::annotations::Before;
use crate::plan::annotations::find;
use crate::plan::checker::Checker;
use crate::plan::codes;
use crate::plan::names::Meaning;
use crate::plan::scopes::Scope;

impl Checker<'_> {
    /// The body of `define aggregation`; its name is known already.
    pub(super) fn aggregation(&mut self, tree: &AggregationDefinition) {
        self.annotations(&tree.annotations, Before::Aggregation);
        if let Some(annotation) = find(&tree.annotations, "partitionById") {
            let message = "`@PartitionById` needs a shard id, which no setting gives";
            self.report(Diagnostic::error(codes::BAD_ANNOTATION, annotation.span, message));
        }
        let periods = match &tree.periods {
            AggregationPeriods::Range { from, to } => vec![from, to],
            AggregationPeriods::List(list) => list.iter().collect(),
        };
        for period in periods {
            if matches!(period.unit, TimeUnit::Week | TimeUnit::Millisecond) {
                let message = "an aggregation has no buckets of this length";
                let fault = Diagnostic::error(codes::BAD_AGGREGATION, period.span, message);
                self.report(fault.help("sec, min, hour, day, month or year"));
            }
        }
        if let Some(flow) = self.flow(&tree.input) {
            let types = flow.member.schema.types();
            let scope = Scope::new(vec![flow.member]);
            if let Some(by) = &tree.by
                && let Some(clock) = self.attribute(by, &scope)
                && !matches!(clock.ty, DataType::Long | DataType::Text)
            {
                let message =
                    format!("the time of an aggregation is long or string, not {}", clock.ty);
                self.report(Diagnostic::error(codes::BAD_AGGREGATION, by.span, message));
            }
            self.selection(Some(&tree.selection), tree.selection.span, &scope, &types);
        }
        self.not_supported(tree.span, "aggregations");
    }

    /// A pattern or sequence as the input of a query.
    pub(super) fn state(&mut self, input: &StateInput) {
        self.state_sources(&input.root);
        let what = match input.kind {
            StateInputKind::Pattern => "patterns",
            StateInputKind::Sequence => "sequences",
        };
        self.not_supported(input.span, what);
    }

    fn state_sources(&mut self, element: &StateElement) {
        match &element.kind {
            StateElementKind::Stream(stream) | StateElementKind::Count { stream, .. } => {
                self.state_source(&stream.input);
            }
            StateElementKind::Absent { input, .. } => self.state_source(input),
            StateElementKind::Logical { left, right, .. } => {
                self.state_sources(left);
                self.state_sources(right);
            }
            StateElementKind::Every(inner) => self.state_sources(inner),
            StateElementKind::Chain(elements) => {
                elements.iter().for_each(|element| self.state_sources(element));
            }
        }
    }

    fn state_source(&mut self, input: &SingleInput) {
        let name = &input.source;
        let known = match name.prefix {
            SourcePrefix::None => self.names.get(&name.name.text).map(|known| known.meaning),
            SourcePrefix::Inner | SourcePrefix::Fault => None,
        };
        if let Some(Meaning::Window(_)) = known {
            let word = &name.name.text;
            let message = format!("a pattern reads streams, but `{word}` is a window");
            self.report(Diagnostic::error(codes::WRONG_KIND, name.span, message));
            return;
        }
        self.source(name);
    }
}
