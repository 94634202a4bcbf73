//! Decides for each stream whether its rows may run through the plan in batches.
//!
//! Batches are an optimisation that must not be seen. A batch runs through one query after the
//! other, so two paths that meet again see the rows in another order than if each row had gone all
//! the way alone. A stream from which that can happen runs row by row; so does one of which this is
//! not sure. Its readers whose paths meet no others take batches all the same.

use crate::event::Set;
use crate::plan::expression::Node as ExprNode;
use crate::plan::graph::Graph;
use crate::plan::graph::Node;
use crate::plan::graph::expressions;
use crate::plan::logical::PartitionId;
use crate::plan::logical::Plan;
use crate::plan::logical::Query;
use crate::plan::logical::QueryId;
use crate::plan::signature::Catalog;
use crate::plan::signature::Trait;

/// How much of a plan is looked through from one stream before it is given up as unsure.
const MOST_NODES: usize = 1_000;

/// How much is looked through for all streams together, so that no plan takes long to check.
const MOST_STEPS: usize = 2_000_000;

/// Marks the streams whose rows must run one by one, and their readers that need not.
pub(super) fn mark(plan: &mut Plan, graph: &Graph, catalog: &dyn Catalog) {
    let counts = |query| counts_rows(plan, query, catalog);
    let counting: Vec<bool> = plan.queries.iter().map(counts).collect();
    let mut left = MOST_STEPS;
    let mut marks = Vec::new();
    for stream in 0..plan.streams.len() {
        let start = Node::Stream(stream);
        let all = Reach::new(plan, graph, &counting, start, &mut left);
        // Where rows of this stream fail, each of its readers feeds the fault stream.
        let apart = match all.shows && plan.streams[stream].fault.is_none() {
            true => apart(plan, graph, &counting, start, &mut left),
            false => Vec::new(),
        };
        marks.push((all.shows, apart));
    }
    for (stream, (shows, apart)) in plan.streams.iter_mut().zip(marks) {
        stream.row_by_row = shows;
        stream.apart = apart;
    }
}

/// The readers of a stream that runs row by row whose own paths neither show a batch nor meet
/// those of the others.
fn apart(
    plan: &Plan,
    graph: &Graph,
    counting: &[bool],
    start: Node,
    left: &mut usize,
) -> Vec<QueryId> {
    let readers = graph.next(start);
    let follow = |reader: &Node| Reach::new(plan, graph, counting, *reader, left);
    let reaches: Vec<Reach> = readers.iter().map(follow).collect();
    if !reaches.iter().all(|reach| reach.is_whole) {
        return Vec::new();
    }
    let is_apart = |place: usize| {
        let mut others = (0..reaches.len()).filter(|other| *other != place);
        !reaches[place].shows && !others.any(|other| reaches[place].meets(&reaches[other]))
    };
    let queries = readers.iter().enumerate().filter_map(|(place, reader)| match reader {
        Node::Query(query) if plan.queries[*query].partition.is_none() => Some((place, *query)),
        _ => None,
    });
    queries.filter(|(place, _)| is_apart(*place)).map(|(_, query)| query).collect()
}

/// What rows come to from one place in a plan.
struct Reach {
    nodes: Set<Node>,
    /// What the queries among them look into.
    read: Set<Node>,
    /// The partitions in which they stand.
    partitions: Set<PartitionId>,
    /// Whether a batch could be seen in the results.
    shows: bool,
    /// Whether all of it was looked at.
    is_whole: bool,
}

impl Reach {
    /// Follows the paths from a node; `left` counts the steps left.
    fn new(plan: &Plan, graph: &Graph, counting: &[bool], start: Node, left: &mut usize) -> Reach {
        let mut reach = Reach {
            nodes: Set::default(),
            read: Set::default(),
            partitions: Set::default(),
            shows: false,
            is_whole: true,
        };
        reach.nodes.insert(start);
        let mut open = vec![start];
        while let Some(node) = open.pop() {
            match node {
                Node::Stream(id) => reach.shows |= plan.streams[id].fault.is_some(),
                Node::Query(id) => {
                    // What is due must happen between two rows.
                    reach.shows |= counting[id] || is_timed(&plan.queries[id]);
                    reach.read.extend(graph.read(id));
                    reach.partitions.extend(plan.queries[id].partition);
                }
                Node::Window(_) | Node::Table(_) | Node::Aggregation(_) => {}
            }
            for next in graph.next(node) {
                if reach.nodes.len() > MOST_NODES || *left == 0 {
                    return Reach { shows: true, is_whole: false, ..reach };
                }
                *left -= 1;
                if reach.nodes.insert(*next) {
                    open.push(*next);
                } else {
                    reach.shows = true;
                }
            }
        }
        // What is looked into must not change while a batch passes.
        reach.shows |= !reach.nodes.is_disjoint(&reach.read);
        reach
    }

    /// Whether what one does could be seen by the other.
    fn meets(&self, other: &Reach) -> bool {
        !self.nodes.is_disjoint(&other.nodes)
            || !self.nodes.is_disjoint(&other.read)
            || !self.read.is_disjoint(&other.nodes)
            || !self.partitions.is_disjoint(&other.partitions)
    }
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

    /// The queries that take batches of `S` though it runs row by row, by their place.
    #[track_caller]
    fn stand_apart(queries: &str, places: &[usize]) {
        let plan = checked(&format!("{HEAD}{queries}"));
        assert!(plan.streams[0].row_by_row, "{queries}");
        assert_eq!(plan.streams[0].apart, places, "{queries}");
    }

    #[test]
    fn readers_that_meet_nothing_take_batches_beside_others_that_do() {
        let meet = "from S select a insert into A; from S select a insert into A; ";
        stand_apart(&format!("{meet}from S select a insert into B;"), &[2]);
        stand_apart(&format!("{meet}from S select a insert into B; from B insert into R;"), &[2]);
        stand_apart(&format!("{meet}from S#window.length(2) select a insert into B;"), &[2]);
        // Its rows meet those of the others further on, or the same table.
        stand_apart(&format!("{meet}from S select a insert into B; from B insert into A;"), &[]);
        stand_apart("from S insert into T; from S[a == T.a in T] insert into B;", &[]);
        stand_apart(
            "from S insert into T; from S[a == T.a in T] insert into B; from S insert into R;",
            &[2],
        );
        // Chance follows the row.
        stand_apart(&format!("{meet}from S select UUID() as id insert into B;"), &[]);
    }

    #[test]
    fn readers_do_not_stand_apart_where_they_share_a_partition() {
        let meet = "from S select a insert into A; from S select a insert into A; ";
        stand_apart(
            &format!(
                "{meet}from S select a insert into B; partition with (a of S, a of B) begin \
                 from S select a insert into C; from B select a insert into D; end;"
            ),
            &[],
        );
    }

    #[test]
    fn chance_and_faults_run_row_by_row() {
        runs_row_by_row("from S select UUID() as id insert into A; from R insert into B;", &["S"]);
        let faulty = "@OnError(action='STREAM') define stream S (a int); define stream R (a int); \
             from R insert into S; from S insert into A;";
        assert_eq!(marked(faulty), ["S", "R"]);
        let plan = checked(
            "@OnError(action='STREAM') define stream S (a int); \
             from S select a insert into A; from S select a insert into B;",
        );
        assert!(plan.streams[0].row_by_row && plan.streams[0].apart.is_empty());
    }
}
