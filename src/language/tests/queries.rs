//! Generated queries: inputs, patterns, selections, outputs, on-demand queries.

use crate::language::tests::dice::Dice;
use crate::language::tree::AggregationRange;
use crate::language::tree::Assignment;
use crate::language::tree::Count;
use crate::language::tree::EventKind;
use crate::language::tree::ExpressionKind;
use crate::language::tree::Handler;
use crate::language::tree::HandlerKind;
use crate::language::tree::Input;
use crate::language::tree::JoinInput;
use crate::language::tree::JoinKind;
use crate::language::tree::JoinSide;
use crate::language::tree::LogicalOperator;
use crate::language::tree::OnDemandKind;
use crate::language::tree::OnDemandQuery;
use crate::language::tree::Order;
use crate::language::tree::OrderBy;
use crate::language::tree::Output;
use crate::language::tree::OutputKind;
use crate::language::tree::OutputRate;
use crate::language::tree::Query;
use crate::language::tree::RateKind;
use crate::language::tree::RateTrigger;
use crate::language::tree::SelectItem;
use crate::language::tree::SelectItems;
use crate::language::tree::Selection;
use crate::language::tree::SingleInput;
use crate::language::tree::Span;
use crate::language::tree::StateElement;
use crate::language::tree::StateElementKind;
use crate::language::tree::StateInput;
use crate::language::tree::StateInputKind;
use crate::language::tree::StateStream;

const SPAN: Span = Span { start: 0, end: 0 };

impl Dice<'_> {
    pub(super) fn query(&mut self) -> Query {
        let annotations = self.some(0, Dice::annotation);
        Query { annotations, output: self.output(), ..self.bare_query() }
    }

    /// A query without annotations that returns its results.
    fn bare_query(&mut self) -> Query {
        Query {
            annotations: Vec::new(),
            input: self.input(),
            selection: self.maybe(Dice::selection),
            rate: self.maybe(Dice::output_rate),
            output: Output { kind: OutputKind::Return, events: self.events(), span: SPAN },
            span: SPAN,
        }
    }

    fn input(&mut self) -> Input {
        match self.below(8) {
            0..=2 => Input::Stream(self.single_input(true)),
            3 | 4 => Input::Join(Box::new(self.join())),
            5 => Input::State(self.pattern()),
            6 => Input::State(self.sequence()),
            _ => self.deeper(
                |dice| Input::Stream(dice.single_input(false)),
                |dice| Input::Anonymous(Box::new(dice.bare_query())),
            ),
        }
    }

    pub(super) fn single_input(&mut self, window: bool) -> SingleInput {
        let mut handlers = self.some(0, Dice::handler);
        if window && self.flip() {
            let kind = HandlerKind::Window(self.call());
            handlers.push(Handler { kind, span: SPAN });
        }
        SingleInput { source: self.source_name(), handlers, alias: None, span: SPAN }
    }

    fn handler(&mut self) -> Handler {
        let kind = match self.flip() {
            true => HandlerKind::Function(self.call()),
            false => HandlerKind::Filter(self.expression()),
        };
        Handler { kind, span: SPAN }
    }

    fn join(&mut self) -> JoinInput {
        let mut left = self.join_side();
        let mut right = self.join_side();
        match self.below(4) {
            2 => left.unidirectional = true,
            3 => right.unidirectional = true,
            _ => {}
        }
        let kinds =
            [JoinKind::Inner, JoinKind::LeftOuter, JoinKind::RightOuter, JoinKind::FullOuter];
        JoinInput {
            left,
            kind: self.pick(&kinds),
            right,
            on: self.maybe(Dice::expression),
            range: self.maybe(Dice::aggregation_range),
            span: SPAN,
        }
    }

    fn join_side(&mut self) -> JoinSide {
        let mut input = self.single_input(true);
        input.alias = self.maybe(Dice::name);
        JoinSide { input, unidirectional: false, span: SPAN }
    }

    fn aggregation_range(&mut self) -> AggregationRange {
        AggregationRange {
            start: self.expression(),
            end: self.maybe(Dice::expression),
            per: self.expression(),
            span: SPAN,
        }
    }

    fn pattern(&mut self) -> StateInput {
        let root = match self.below(4) {
            0 => self.every_or(Dice::state_part),
            _ => element(StateElementKind::Chain(
                self.some(2, |dice| dice.every_or(Dice::state_part)),
            )),
        };
        let within = self.maybe(Dice::time);
        StateInput { kind: StateInputKind::Pattern, root, within, span: SPAN }
    }

    fn sequence(&mut self) -> StateInput {
        let mut parts = vec![self.every_or(Dice::state_part)];
        parts.extend(self.some(1, Dice::state_part));
        let root = element(StateElementKind::Chain(parts));
        let within = self.maybe(Dice::time);
        StateInput { kind: StateInputKind::Sequence, root, within, span: SPAN }
    }

    fn every_or(&mut self, make: impl Fn(&mut Self) -> StateElement) -> StateElement {
        let every = self.flip();
        let inner = make(self);
        if every { element(StateElementKind::Every(Box::new(inner))) } else { inner }
    }

    /// A part of a chain, without any `every`.
    fn state_part(&mut self) -> StateElement {
        let kind = match self.below(7) {
            0..=2 => StateElementKind::Stream(self.state_stream()),
            3 => StateElementKind::Count { stream: self.state_stream(), count: self.count() },
            4 => self.logical(),
            5 => self.absent(true),
            _ => self.deeper(
                |dice| StateElementKind::Stream(dice.state_stream()),
                |dice| StateElementKind::Chain(dice.some(2, Dice::state_part)),
            ),
        };
        element(kind)
    }

    fn state_stream(&mut self) -> StateStream {
        let reference = self.maybe(Dice::name);
        StateStream { reference, input: self.single_input(false), span: SPAN }
    }

    fn count(&mut self) -> Count {
        let min = u32::from(self.below(3));
        let max = self.maybe(|dice| min + u32::from(dice.below(3)));
        Count { min, max, span: SPAN }
    }

    fn logical(&mut self) -> StateElementKind {
        let operator = self.pick(&[LogicalOperator::And, LogicalOperator::Or]);
        let timed = operator == LogicalOperator::Or || self.flip();
        let left = StateElementKind::Stream(self.state_stream());
        let right = match self.flip() {
            true => self.absent(timed),
            false => StateElementKind::Stream(self.state_stream()),
        };
        let mut sides = [Box::new(element(left)), Box::new(element(right))];
        if self.flip() {
            sides.reverse();
        }
        let [left, right] = sides;
        StateElementKind::Logical { left, operator, right }
    }

    fn absent(&mut self, timed: bool) -> StateElementKind {
        let input = self.single_input(false);
        StateElementKind::Absent { input, duration: timed.then(|| self.time()) }
    }

    fn selection(&mut self) -> Selection {
        Selection {
            having: self.maybe(Dice::expression),
            order_by: self.some(0, |dice| OrderBy {
                attribute: dice.attribute_reference(),
                order: dice.pick(&[Order::Ascending, Order::Descending]),
                span: SPAN,
            }),
            limit: self.maybe(Dice::expression),
            offset: self.maybe(Dice::expression),
            ..self.plain_selection()
        }
    }

    /// Items and `group by` alone.
    pub(super) fn plain_selection(&mut self) -> Selection {
        let items = match self.below(4) {
            0 => SelectItems::All,
            _ => SelectItems::List(self.some(1, Dice::select_item)),
        };
        let group_by = self.some(0, Dice::attribute_reference);
        Selection {
            items,
            group_by,
            having: None,
            order_by: Vec::new(),
            limit: None,
            offset: None,
            span: SPAN,
        }
    }

    fn select_item(&mut self) -> SelectItem {
        let expression = self.expression();
        let plain = matches!(expression.kind, ExpressionKind::Attribute(_));
        let name = (!plain || self.flip()).then(|| self.name());
        SelectItem { expression, name, span: SPAN }
    }

    fn output_rate(&mut self) -> OutputRate {
        let kinds = [RateKind::All, RateKind::First, RateKind::Last, RateKind::Snapshot];
        let kind = self.pick(&kinds);
        let every = match kind == RateKind::Snapshot || self.flip() {
            true => RateTrigger::Time(self.time()),
            false => RateTrigger::Events(i32::from(self.below(200))),
        };
        OutputRate { kind, every, span: SPAN }
    }

    pub(super) fn events(&mut self) -> Option<EventKind> {
        let kinds = [EventKind::Current, EventKind::Expired, EventKind::All];
        self.maybe(|dice| dice.pick(&kinds))
    }

    fn output(&mut self) -> Output {
        let target = self.source_name();
        let kind = match self.below(6) {
            0 | 1 => OutputKind::Insert { target },
            2 => OutputKind::Delete { target, on: self.maybe(Dice::expression) },
            3 => OutputKind::Update { target, set: self.set(), on: self.expression() },
            4 => OutputKind::UpdateOrInsert { target, set: self.set(), on: self.expression() },
            _ => OutputKind::Return,
        };
        Output { kind, events: self.events(), span: SPAN }
    }

    fn set(&mut self) -> Vec<Assignment> {
        self.some(0, |dice| Assignment {
            attribute: dice.attribute_reference(),
            value: dice.expression(),
            span: SPAN,
        })
    }

    pub(super) fn on_demand_query(&mut self) -> OnDemandQuery {
        let target = self.source_name();
        let kind = match self.below(5) {
            0 => OnDemandKind::Find {
                source: self.name(),
                alias: self.maybe(Dice::name),
                on: self.maybe(Dice::expression),
                range: self.maybe(Dice::aggregation_range),
            },
            1 => OnDemandKind::Insert { target },
            2 => OnDemandKind::Delete { target, on: self.maybe(Dice::expression) },
            3 => OnDemandKind::Update { target, set: self.set(), on: self.expression() },
            _ => OnDemandKind::UpdateOrInsert { target, set: self.set(), on: self.expression() },
        };
        let needed =
            matches!(kind, OnDemandKind::Insert { .. } | OnDemandKind::UpdateOrInsert { .. });
        let selection = (needed || self.flip()).then(|| self.selection());
        OnDemandQuery { kind, selection, span: SPAN }
    }
}

fn element(kind: StateElementKind) -> StateElement {
    StateElement { kind, span: SPAN }
}
