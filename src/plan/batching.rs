//! Decides for each stream whether its rows may run through the plan in batches.
//!
//! Batches are an optimisation that must not be seen. A batch runs through one query after the
//! other, so two paths that meet again see the rows in another order than if each row had gone all
//! the way alone. A stream from which that can happen runs row by row; so does one of which this is
//! not sure.

use crate::event::Set;
use crate::plan::expression::Node as ExprNode;
use crate::plan::graph::Graph;
use crate::plan::graph::Node;
use crate::plan::graph::expressions;
use crate::plan::logical::Plan;
use crate::plan::logical::Query;
use crate::plan::signature::Catalog;
use crate::plan::signature::Trait;

/// How much of a plan is looked through from one stream before it is given up as unsure.
const MOST_NODES: usize = 1_000;

/// How much is looked through for all streams together, so that no plan takes long to check.
const MOST_STEPS: usize = 2_000_000;

/// Marks the streams whose rows must run one by one.
pub(super) fn mark(plan: &mut Plan, graph: &Graph, catalog: &dyn Catalog) {
    let counts = |query| counts_rows(plan, query, catalog);
    let counting: Vec<bool> = plan.queries.iter().map(counts).collect();
    let mut left = MOST_STEPS;
    let streams = 0..plan.streams.len();
    let marks: Vec<bool> =
        streams.map(|stream| shows(plan, graph, &counting, stream, &mut left)).collect();
    for (stream, mark) in plan.streams.iter_mut().zip(marks) {
        stream.row_by_row = mark;
    }
}

/// Whether a batch of a stream could be seen in the results; `left` counts the steps left.
fn shows(plan: &Plan, graph: &Graph, counting: &[bool], stream: usize, left: &mut usize) -> bool {
    let start = Node::Stream(stream);
    let mut reached: Set<Node> = Set::default();
    reached.insert(start);
    let mut queries = Vec::new();
    let mut open = vec![start];
    while let Some(node) = open.pop() {
        match node {
            Node::Stream(id) if plan.streams[id].fault.is_some() => return true,
            Node::Query(id) if counting[id] => return true,
            // What is due must happen between two rows.
            Node::Query(id) if is_timed(&plan.queries[id]) => return true,
            Node::Query(id) => queries.push(id),
            Node::Stream(_) | Node::Window(_) | Node::Table(_) | Node::Aggregation(_) => {}
        }
        for next in graph.next(node) {
            if !reached.insert(*next) || reached.len() > MOST_NODES || *left == 0 {
                return true;
            }
            *left -= 1;
            open.push(*next);
        }
    }
    // What is looked into must not change while a batch passes.
    queries.iter().any(|query| graph.read(*query).iter().any(|store| reached.contains(store)))
}

fn is_timed(query: &Query) -> bool {
    query.pattern.as_ref().is_some_and(|pattern| pattern.is_timed())
}

fn counts_rows(plan: &Plan, query: &Query, catalog: &dyn Catalog) -> bool {
    let mut counts = false;
    expressions(plan, query, &mut |expr| {
        if let ExprNode::Call { name, .. } = &expr.node {
            let signature = catalog.function(name);
            counts |= signature.is_some_and(|signature| signature.has(Trait::Counts));
        }
    });
    counts
}

#[cfg(test)]
mod tests {
    use crate::plan::testing::checked;

    /// The streams of a plan that run row by row.
    fn marked(plan: &str) -> Vec<String> {
        let plan = checked(plan);
        let streams = plan.streams.iter().filter(|stream| stream.row_by_row);
        streams.map(|stream| stream.name.to_string()).collect()
    }

    const HEAD: &str = "define stream S (a int); define stream R (a int); \
        define table T (a int); define window W (a int) length(5); ";

    #[track_caller]
    fn runs_row_by_row(queries: &str, streams: &[&str]) {
        assert_eq!(marked(&format!("{HEAD}{queries}")), streams, "{queries}");
    }

    #[test]
    fn chains_and_forks_that_never_meet_run_in_batches() {
        runs_row_by_row("from S select a insert into A; from A select a insert into B;", &[]);
        runs_row_by_row("from S select a insert into A; from S select a insert into B;", &[]);
        runs_row_by_row("from S select a insert into W; from W select a insert into B;", &[]);
    }

    #[test]
    fn paths_that_meet_run_row_by_row() {
        runs_row_by_row("from S select a insert into A; from S select a insert into A;", &["S"]);
        runs_row_by_row(
            "from S select a insert into A; from A select a insert into B; \
             from S select a insert into B;",
            &["S"],
        );
        runs_row_by_row("from S insert into T; from S insert into T;", &["S"]);
        runs_row_by_row(
            "from R select a insert into S; from S select a insert into A; \
             from S select a insert into A;",
            &["S", "R"],
        );
    }

    #[test]
    fn a_table_written_and_read_from_one_stream_runs_row_by_row() {
        let read = "from S[a == T.a in T] select a insert into A;";
        runs_row_by_row(&format!("from S insert into T; {read}"), &["S"]);
        runs_row_by_row(&format!("from R insert into T; {read}"), &[]);
        runs_row_by_row("from S[not (a == T.a in T)] insert into T;", &["S"]);
        let join = "from S join T on S.a == T.a select S.a as a insert into A;";
        runs_row_by_row(&format!("from S delete T on T.a == a; {join}"), &["S"]);
        runs_row_by_row(&format!("from R insert into T; {join}"), &[]);
        runs_row_by_row(
            "from S insert into W; from S unidirectional join W on S.a == W.a \
             select S.a as a insert into A;",
            &["S"],
        );
    }

    #[test]
    fn queries_in_partitions_count() {
        runs_row_by_row(
            "partition with (a of S) begin from S select a insert into #I; \
             from #I select a insert into A; from S select a insert into A; end;",
            &["S"],
        );
    }

    #[test]
    fn chance_and_faults_run_row_by_row() {
        runs_row_by_row("from S select UUID() as id insert into A; from R insert into B;", &["S"]);
        let faulty = "@OnError(action='STREAM') define stream S (a int); define stream R (a int); \
             from R insert into S; from S insert into A;";
        assert_eq!(marked(faulty), ["S", "R"]);
    }
}
