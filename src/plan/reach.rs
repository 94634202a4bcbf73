//! How far, and in how many ways, one event can run through a plan: both have a bound.
//!
//! Queries run inside of each other, from the stream that an event enters to the last one that it
//! reaches. A long chain of them would use up the stack of whoever runs the plan, and streams that
//! part and meet again and again double the work each time.

use crate::event::Map;
use crate::language::diagnostic::Diagnostic;
use crate::plan::checker::Checker;
use crate::plan::codes;
use crate::plan::graph::Graph;
use crate::plan::graph::Node;

/// Through how many queries an event can pass one after the other.
const MOST_IN_A_CHAIN: usize = 250;

/// How many runs of queries one event can set off.
const MOST_RUNS: u64 = 1_000_000;

/// What can come of one event.
#[derive(Clone, Copy, Debug, Default)]
struct Reach {
    /// How many queries follow one after the other at most.
    chain: usize,
    /// How often queries run, if each lets the event pass.
    runs: u64,
}

impl Checker<'_> {
    /// Says if an event can run too far through the plan, which must be without circles.
    pub(super) fn reach(&mut self, graph: &Graph) {
        let reach = reaches(graph, self.plan.streams.len());
        for id in 0..self.plan.streams.len() {
            let Reach { chain, runs } = reach[&Node::Stream(id)];
            let what = if chain > MOST_IN_A_CHAIN {
                format!(
                    "through {chain} queries one after the other; {MOST_IN_A_CHAIN} is the most"
                )
            } else if runs > MOST_RUNS {
                format!("by more than {MOST_RUNS} different ways")
            } else {
                continue;
            };
            let first = graph.next(Node::Stream(id)).iter().find_map(|next| match next {
                Node::Query(query) => Some(self.targets[*query]),
                Node::Stream(_) | Node::Window(_) | Node::Table(_) | Node::Aggregation(_) => None,
            });
            let name = self.plan.streams[id].shown();
            let message = format!("an event of `{name}` runs {what}");
            let span = first.unwrap_or(self.plan.streams[id].span);
            self.report(Diagnostic::error(codes::TOO_FAR, span, message).help(
                "let fewer queries do the work, or make two plans of it that meet by a sink and a \
                 source of the type `inMemory`",
            ));
            // What flows into this stream runs further still.
            return;
        }
    }
}

/// What comes of an event, for all streams and all that can be reached from them.
fn reaches(graph: &Graph, streams: usize) -> Map<Node, Reach> {
    let mut known: Map<Node, Reach> = Map::default();
    for stream in 0..streams {
        // A walk into the depth whose path lies in a vector: plans can be long chains.
        let mut path = vec![(Node::Stream(stream), 0)];
        while let Some((node, at)) = path.last_mut() {
            let node = *node;
            if known.contains_key(&node) {
                path.pop();
                continue;
            }
            if let Some(next) = graph.next(node).get(*at) {
                *at += 1;
                path.push((*next, 0));
                continue;
            }
            let own = usize::from(matches!(node, Node::Query(_)));
            let mut reach = Reach { chain: own, runs: own as u64 };
            for next in graph.next(node) {
                let further = known[next];
                reach.chain = reach.chain.max(own + further.chain);
                reach.runs = reach.runs.saturating_add(further.runs);
            }
            known.insert(node, reach);
            path.pop();
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language;
    use crate::plan::check;
    use crate::plan::testing::TestCatalog;

    fn problems(text: &str) -> Vec<Diagnostic> {
        let parsed = language::parse(text);
        assert!(!parsed.has_errors());
        check(&parsed.tree, text, &TestCatalog).diagnostics
    }

    fn chain(links: usize) -> String {
        let link = |n: usize| format!("from S{n} select a insert into S{};\n", n + 1);
        let links: String = (0..links).map(link).collect();
        format!("define stream S0 (a int);\n{links}")
    }

    /// Streams that part and meet again.
    fn meshes(rows: usize) -> String {
        let row = |n: usize| format!("from S{n} select a insert into S{};\n", n + 1).repeat(2);
        let rows: String = (0..rows).map(row).collect();
        format!("define stream S0 (a int);\n{rows}")
    }

    #[test]
    fn a_chain_has_an_end() {
        assert!(problems(&chain(MOST_IN_A_CHAIN)).is_empty());
        for links in [MOST_IN_A_CHAIN + 1, 20_000] {
            let found = problems(&chain(links));
            assert_eq!(found.len(), 1);
            let text = format!("`S0` runs through {links} queries one after the other; 250 is");
            assert!(found[0].message.contains(&text), "{}", found[0].message);
            assert_eq!(found[0].code, codes::TOO_FAR);
        }
    }

    #[test]
    fn ways_do_not_double_without_end() {
        // Two runs, and after each of them all that the rows below make.
        assert!(problems(&meshes(18)).is_empty());
        for rows in [19, 200] {
            let found = problems(&meshes(rows));
            assert_eq!(found.len(), 1);
            assert!(found[0].message.contains("by more than 1000000 different ways"));
        }
    }
}
