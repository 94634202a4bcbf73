//! Joins: the names both sides bring, who sets the join off, and what each side finds in the other.

use crate::event::DataType;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree::Handler;
use crate::language::tree::HandlerKind;
use crate::language::tree::JoinInput;
use crate::language::tree::JoinKind;
use crate::language::tree::JoinSide;
use crate::language::tree::SourcePrefix;
use crate::plan::checker::Checker;
use crate::plan::codes;
use crate::plan::expression::Expr;
use crate::plan::expression::Node;
use crate::plan::graph::Node as GraphNode;
use crate::plan::inputs::Flow;
use crate::plan::logical::Findable;
use crate::plan::logical::Lookup;
use crate::plan::logical::Port;
use crate::plan::logical::Source;
use crate::plan::logical::Stage;
use crate::plan::names::Meaning;
use crate::plan::queries::Reading;
use crate::plan::scopes::Member;
use crate::plan::scopes::Scope;
use crate::plan::types::Place;

/// One side of a join, read.
enum Side<'t> {
    /// A stream or named window with its steps.
    Flow(Flow),
    /// A table or aggregation.
    Store(Store<'t>),
}

/// A side whose rows are looked up.
struct Store<'t> {
    with: Findable,
    member: Member,
    side: &'t JoinSide,
}

impl Checker<'_> {
    /// A join as the input of a query.
    pub(super) fn join(&mut self, join: &JoinInput) -> Option<Reading> {
        let left = self.side(&join.left);
        let right = self.side(&join.right);
        let (left, right) = (left?, right?);
        self.distinct_names(join, &left, &right);
        match (left, right) {
            (Side::Store(_), Side::Store(_)) => {
                let message = "a join needs a stream or window whose rows set it off";
                self.report(Diagnostic::error(codes::BAD_JOIN, join.span, message));
                None
            }
            (Side::Flow(flow), Side::Store(store)) => {
                self.one_way(join, &join.right);
                self.lookup(join, flow, store, true)
            }
            (Side::Store(store), Side::Flow(flow)) => {
                self.one_way(join, &join.left);
                self.lookup(join, flow, store, false)
            }
            (Side::Flow(left), Side::Flow(right)) => self.two_flows(join, left, right),
        }
    }

    fn side<'t>(&mut self, side: &'t JoinSide) -> Option<Side<'t>> {
        let name = &side.input.source;
        let known = match name.prefix {
            SourcePrefix::None => self.names.get(&name.name.text).map(|known| known.meaning),
            SourcePrefix::Inner | SourcePrefix::Fault => None,
        };
        match known {
            Some(Meaning::Table(id)) => {
                let schema = self.shared_schema(GraphNode::Table(id));
                let own = side.input.alias.as_ref().unwrap_or(&name.name);
                let member = Member::new(&own.text, schema, 0);
                let with = self.table_found(id);
                Some(Side::Store(Store { with, member, side }))
            }
            Some(Meaning::Aggregation(id)) => {
                let schema = self.shared_schema(GraphNode::Aggregation(id));
                let own = side.input.alias.as_ref().unwrap_or(&name.name);
                let member = Member::new(&own.text, schema, 0);
                Some(Side::Store(Store { with: Findable::Aggregation(id), member, side }))
            }
            _ => self.flow(&side.input).map(Side::Flow),
        }
    }

    /// The filters behind a table or window, joined to the condition before them.
    fn store_filters(&mut self, store: &Store<'_>, on: Option<Expr>) -> Option<Option<Expr>> {
        let scope = Scope::new(vec![store.member.clone()]);
        let mut all = on;
        for handler in &store.side.input.handlers {
            let HandlerKind::Filter(condition) = &handler.kind else {
                let message = "only filters can stand behind a table or aggregation";
                self.report(Diagnostic::error(codes::BAD_JOIN, handler.span, message));
                return None;
            };
            let mut place = Place::plain(&scope, "in a filter");
            let condition = self.condition(condition, &mut place, "a filter")?;
            all = Some(both(all, condition));
        }
        Some(all)
    }

    fn distinct_names(&mut self, join: &JoinInput, left: &Side<'_>, right: &Side<'_>) {
        let (left, right) = (left.member(), right.member());
        if left.name == right.name && left.prefix == right.prefix {
            let name = left.name.clone().unwrap_or_default();
            let message = format!("both sides of the join are called `{name}`");
            let input = &join.right.input;
            let span = input.alias.as_ref().map_or(input.source.span, |alias| alias.span);
            let fault = Diagnostic::error(codes::BAD_JOIN, span, message);
            self.report(fault.help(format!("give each a name: `{name} as a join {name} as b`")));
        }
    }

    /// Says that a table sets nothing off, if it is said to.
    fn one_way(&mut self, join: &JoinInput, table: &JoinSide) {
        if table.unidirectional {
            let name = &table.input.source.name.text;
            let what = match self.names.get(name).map(|known| known.meaning) {
                Some(Meaning::Aggregation(_)) => "an aggregation",
                _ => "a table",
            };
            let message = format!("`{name}` is {what}, whose rows set off no join");
            let fault = Diagnostic::error(codes::BAD_JOIN, table.span, message);
            self.report(fault.also(join.span, "only the other side sets it off"));
        }
    }

    /// Two sides that both have rows of their own.
    fn two_flows(&mut self, join: &JoinInput, left: Flow, mut right: Flow) -> Option<Reading> {
        let (left_stands, right_stands) =
            (self.stands_as_side(&join.left, &left), self.stands_as_side(&join.right, &right));
        let width = left.member.schema.len();
        right.member.base = width;
        let scope = Scope::new(vec![left.member.clone(), right.member.clone()]);
        let on = self.join_condition(join, &scope)?;
        if !left_stands || !right_stands {
            return None;
        }
        if let Some(range) = &join.range {
            let message = "only aggregations have buckets to choose from";
            self.report(Diagnostic::error(codes::BAD_RANGE, range.span, message));
        }
        let mut types: Vec<DataType> =
            scope.members().flat_map(|member| member.schema.types()).collect();
        let same = matches!(
            (left.source, right.source),
            (Source::Window(one), Source::Window(other)) if one == other
        );
        let left_asks = !join.right.unidirectional;
        let right_asks = !(join.left.unidirectional || same && left_asks);
        let (left_outer, right_outer) = match join.kind {
            JoinKind::Inner => (false, false),
            JoinKind::LeftOuter => (true, false),
            JoinKind::RightOuter => (false, true),
            JoinKind::FullOuter => (true, true),
        };
        let missing = (left_outer || right_outer).then(|| may_be_missing(&mut types));
        let asks = |asking: &Flow, found: &Flow, port, outer, found_first| {
            let (own, theirs) = (asking.member.schema.len(), found.member.schema.types());
            // The condition is over left and right; the one that asks comes first.
            let turned = |index: usize| match found_first {
                true if index < width => index + own,
                true => index - width,
                false => index,
            };
            let mut on = on.clone();
            on.iter_mut().for_each(|on| on.map_columns(&turned));
            let with = match found.source {
                Source::Stream(_) => Findable::Port(port),
                Source::Window(id) => {
                    // What its filters leave out is not found either.
                    for stage in &found.stages {
                        let Stage::Filter(condition) = stage else { continue };
                        let mut condition = condition.clone();
                        condition.map_columns(&|index| index + own);
                        on = Some(both(on, condition));
                    }
                    Findable::Window(id)
                }
            };
            let buckets = None;
            Stage::Lookup(Lookup {
                with,
                buckets,
                on,
                outer,
                width: own,
                types: theirs,
                missing: missing.map(|[left, right]| match found_first {
                    true => [right, left],
                    false => [left, right],
                }),
                found_first,
            })
        };
        let lookups = [
            left_asks.then(|| asks(&left, &right, 1, left_outer, false)),
            right_asks.then(|| asks(&right, &left, 0, right_outer, true)),
        ];
        let members = [left.member.clone(), right.member.clone()].into_iter().enumerate();
        let members =
            members.map(|(side, member)| member.with_missing(missing.map(|columns| columns[side])));
        let mut scope = Scope::new(members.collect());
        scope.width = types.len();
        let mut ports = Vec::new();
        for (flow, lookup) in [left, right].into_iter().zip(lookups) {
            let (source, mut stages) = (flow.source, flow.stages);
            let is_silent = lookup.is_none();
            // A named window holds its rows without a way into the query.
            if is_silent && matches!(source, Source::Window(_)) {
                continue;
            }
            stages.extend(lookup);
            ports.push(Port { source, stages, is_silent });
        }
        Some(Reading { ports, scope, types, pattern: None })
    }

    /// Whether what stands behind a named window leaves what is found in it as it is. What stands
    /// behind the window of a stream the parser refuses.
    fn stands_as_side(&mut self, side: &JoinSide, flow: &Flow) -> bool {
        let filters = |each: &&Handler| matches!(each.kind, HandlerKind::Filter(_));
        let mut others = side.input.handlers.iter().filter(|each| !filters(each));
        let Some(wrong) = others.next().filter(|_| matches!(flow.source, Source::Window(_))) else {
            return true;
        };
        let message = "only filters can stand behind a named window in a join";
        let fault = Diagnostic::error(codes::BAD_JOIN, wrong.span, message);
        self.report(fault.help("do it in a query of its own, whose stream is then joined"));
        false
    }

    /// A flow whose rows are looked up in a store; `flow_first` says which was named first.
    fn lookup(
        &mut self,
        join: &JoinInput,
        mut flow: Flow,
        mut store: Store<'_>,
        flow_first: bool,
    ) -> Option<Reading> {
        let asking = Scope::new(vec![flow.member.clone()]);
        let place = store.side.span;
        let buckets = self.buckets(store.with, join.range.as_ref(), &asking, place);
        let width = flow.member.schema.len();
        store.member.base = width;
        let table_types = store.member.schema.types();
        let mut types = flow.member.schema.types();
        types.extend(&table_types);
        let table = store.member.clone();
        let members = if flow_first { vec![flow.member, table] } else { vec![table, flow.member] };
        let scope = Scope::new(members);
        let on = self.join_condition(join, &scope)?;
        let on = self.store_filters(&store, on)?;
        let outer = match join.kind {
            JoinKind::Inner => false,
            JoinKind::LeftOuter => flow_first,
            JoinKind::RightOuter => !flow_first,
            JoinKind::FullOuter => true,
        };
        let with = store.with;
        let (buckets, found_first) = (buckets?, false);
        let missing = outer.then(|| may_be_missing(&mut types));
        let members = scope.members().cloned().map(|member| match member.base {
            0 => member,
            _ => member.with_missing(missing.map(|[_, found]| found)),
        });
        let mut scope = Scope::new(members.collect());
        scope.width = types.len();
        let types_found = table_types;
        let lookup =
            Lookup { with, buckets, on, outer, width, types: types_found, missing, found_first };
        flow.stages.push(Stage::Lookup(lookup));
        let port = Port { source: flow.source, stages: flow.stages, is_silent: false };
        Some(Reading { ports: vec![port], scope, types, pattern: None })
    }

    fn join_condition(&mut self, join: &JoinInput, scope: &Scope) -> Option<Option<Expr>> {
        let Some(on) = &join.on else { return Some(None) };
        let mut place = Place::plain(scope, "in the condition of a join");
        self.condition(on, &mut place, "the condition of a join").map(Some)
    }
}

/// Adds the columns that say of each side whether it is missing, and says where they are.
fn may_be_missing(types: &mut Vec<DataType>) -> [usize; 2] {
    types.extend([DataType::Bool; 2]);
    [types.len() - 2, types.len() - 1]
}

impl Side<'_> {
    fn member(&self) -> &Member {
        match self {
            Side::Flow(flow) => &flow.member,
            Side::Store(store) => &store.member,
        }
    }
}

impl Lookup {
    /// Where the first of the rows' own columns stands in what is left.
    pub fn own_base(&self) -> usize {
        if self.found_first { self.types.len() } else { 0 }
    }

    /// Where the first column of what is found stands.
    pub fn found_base(&self) -> usize {
        if self.found_first { 0 } else { self.width }
    }
}

/// Two conditions as one.
pub(super) fn both(first: Option<Expr>, second: Expr) -> Expr {
    let ty = second.ty;
    match first {
        None => second,
        Some(first) => Expr { node: Node::And(Box::new(first), Box::new(second)), ty },
    }
}
