//! Who sets off whom in a plan: streams and windows their queries, queries their targets.

use crate::event::Map;
use crate::plan::aggregation::Buckets;
use crate::plan::expression::Expr;
use crate::plan::expression::Node as ExprNode;
use crate::plan::logical::AggregationId;
use crate::plan::logical::Findable;
use crate::plan::logical::KeyBy;
use crate::plan::logical::Output;
use crate::plan::logical::Plan;
use crate::plan::logical::Query;
use crate::plan::logical::QueryId;
use crate::plan::logical::Source;
use crate::plan::logical::Stage;
use crate::plan::logical::StreamId;
use crate::plan::logical::TableId;
use crate::plan::logical::WindowId;

/// Something that rows pass or stay in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// A stream.
    Stream(StreamId),
    /// A named window.
    Window(WindowId),
    /// A table; it sets nothing off.
    Table(TableId),
    /// An aggregation; it sets nothing off.
    Aggregation(AggregationId),
    /// A query.
    Query(QueryId),
}

/// The edges of a plan.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    /// Whom each node sets off, in order of text.
    next: Map<Node, Vec<Node>>,
    /// What each query looks into, by query.
    read: Vec<Vec<Node>>,
}

impl Graph {
    /// The graph of a checked plan.
    pub(super) fn new(plan: &Plan) -> Graph {
        let mut graph = Graph::default();
        for (id, stream) in plan.streams.iter().enumerate() {
            let watermark = stream.watermark.as_ref();
            let aside = watermark.map(|each| [each.late_stream, each.ahead_stream]);
            for side in aside.into_iter().flatten().chain([stream.fault]).flatten() {
                graph.edge(Node::Stream(id), Node::Stream(side));
            }
        }
        for (id, query) in plan.queries.iter().enumerate() {
            for port in &query.ports {
                graph.edge(source(port.source), Node::Query(id));
            }
            if let Some(target) = target(&query.output) {
                graph.edge(Node::Query(id), target);
            }
            graph.read.push(stores(plan, query));
        }
        graph
    }

    fn edge(&mut self, from: Node, to: Node) {
        self.next.entry(from).or_default().push(to);
    }

    /// Whom a node sets off.
    pub(super) fn next(&self, node: Node) -> &[Node] {
        self.next.get(&node).map_or(&[], Vec::as_slice)
    }

    /// The tables, windows and aggregations that a query looks into.
    pub(super) fn read(&self, query: QueryId) -> &[Node] {
        &self.read[query]
    }
}

fn source(source: Source) -> Node {
    match source {
        Source::Stream(id) => Node::Stream(id),
        Source::Window(id) => Node::Window(id),
    }
}

/// What is looked into; a port's window is filled by its own query.
fn store(findable: Findable) -> Option<Node> {
    match findable {
        Findable::Table(id) | Findable::External(id) => Some(Node::Table(id)),
        Findable::Window(id) => Some(Node::Window(id)),
        Findable::Aggregation(id) => Some(Node::Aggregation(id)),
        Findable::Port(_) => None,
    }
}

fn target(output: &Output) -> Option<Node> {
    Some(match output {
        Output::Stream(id) => Node::Stream(*id),
        Output::Window(id) => Node::Window(*id),
        Output::Aggregate(id) => Node::Aggregation(*id),
        Output::Insert(id) | Output::Delete(id, _) => Node::Table(*id),
        Output::Update(id, ..) | Output::UpdateOrInsert(id, ..) => Node::Table(*id),
        Output::Return => return None,
    })
}

/// What a query looks into, by lookups and by `in`.
fn stores(plan: &Plan, query: &Query) -> Vec<Node> {
    let mut found = Vec::new();
    for stage in query.ports.iter().flat_map(|port| &port.stages) {
        if let Stage::Lookup(lookup) = stage {
            found.extend(store(lookup.with));
        }
    }
    expressions(plan, query, &mut |expr| {
        if let ExprNode::In(with, ..) = &expr.node {
            found.extend(store(*with));
        }
    });
    found
}

/// Every expression of a query, those inside of others too, and the keys of its partition.
pub(super) fn expressions(plan: &Plan, query: &Query, visit: &mut impl FnMut(&Expr)) {
    let mut all: Vec<&Expr> = Vec::new();
    for stage in query.ports.iter().flat_map(|port| &port.stages) {
        match stage {
            Stage::Filter(condition) => all.push(condition),
            Stage::Window(call) => all.extend(&call.arguments),
            Stage::Function(call) => all.extend(&call.arguments),
            Stage::Lookup(lookup) => {
                all.extend(&lookup.on);
                all.extend(lookup.buckets.iter().flat_map(Buckets::exprs));
            }
        }
    }
    all.extend(query.pattern.iter().flat_map(|pattern| pattern.filters()));
    let selection = &query.selection;
    all.extend(selection.aggregates.iter().flat_map(|aggregate| &aggregate.arguments));
    all.extend(selection.outputs.iter().chain(&selection.group_by).chain(&selection.having));
    all.extend(selection.order_by.iter().map(|(key, _)| key));
    match &query.output {
        Output::Delete(_, on) => all.extend(on),
        Output::Update(_, on, set) | Output::UpdateOrInsert(_, on, set) => {
            all.extend(on);
            all.extend(set.iter().map(|assignment| &assignment.value));
        }
        Output::Stream(_)
        | Output::Window(_)
        | Output::Aggregate(_)
        | Output::Insert(_)
        | Output::Return => {}
    }
    for key in query.partition.iter().flat_map(|id| &plan.partitions[*id].keys) {
        match &key.by {
            KeyBy::Value(value) => all.push(value),
            KeyBy::Ranges(ranges) => all.extend(ranges.iter().map(|(condition, _)| condition)),
        }
    }
    all.into_iter().for_each(|expr| expr.walk(visit));
}
