//! Streams that feed themselves, for which there would be no end.

use crate::event::Map;
use crate::language::diagnostic::Diagnostic;
use crate::plan::checker::Checker;
use crate::plan::codes;
use crate::plan::graph::Graph;
use crate::plan::graph::Node;

impl Checker<'_> {
    /// Says which streams and windows feed themselves, by way of which others.
    pub(super) fn circles(&mut self, graph: &Graph) {
        // A walk into the depth whose path lies in a vector: plans can be long chains.
        let mut done: Map<Node, bool> = Map::default();
        for stream in 0..self.plan.streams.len() {
            let start = Node::Stream(stream);
            if done.contains_key(&start) {
                continue;
            }
            done.insert(start, false);
            let mut path = vec![(start, 0)];
            while let Some((node, at)) = path.last_mut() {
                let Some(next) = graph.next(*node).get(*at).copied() else {
                    done.insert(*node, true);
                    path.pop();
                    continue;
                };
                *at += 1;
                match done.get(&next) {
                    Some(true) => {}
                    Some(false) => {
                        let from = path.iter().position(|(node, _)| *node == next);
                        let circle: Vec<Node> =
                            path[from.unwrap_or(0)..].iter().map(|(node, _)| *node).collect();
                        self.circle(&circle);
                    }
                    None => {
                        done.insert(next, false);
                        path.push((next, 0));
                    }
                }
            }
        }
    }

    fn circle(&mut self, circle: &[Node]) {
        let mut names: Vec<String> = circle.iter().filter_map(|node| self.name_of(*node)).collect();
        let queries = circle.iter().filter_map(|node| match node {
            Node::Query(id) => Some(self.targets[*id]),
            Node::Stream(_) | Node::Window(_) | Node::Table(_) | Node::Aggregation(_) => None,
        });
        let mut places: Vec<_> = queries.collect();
        // It is closed by the query that stands last.
        places.sort_by_key(|place| place.start);
        let (Some(last), Some(first)) = (places.pop(), names.first().cloned()) else { return };
        names.push(first.clone());
        let way =
            if names.len() > 2 { format!(": {}", names.join(" → ")) } else { String::new() };
        let message = format!("{first} feeds itself{way}");
        let mut diagnostic = Diagnostic::error(codes::CIRCLE, last, message)
            .label("closes the circle")
            .help("let the last query insert into another stream");
        for place in places {
            diagnostic = diagnostic.also(place, "on the way");
        }
        self.report(diagnostic);
    }

    fn name_of(&self, node: Node) -> Option<String> {
        Some(match node {
            Node::Stream(id) => format!("`{}`", self.plan.streams[id].shown()),
            Node::Window(id) => format!("`{}`", self.plan.windows[id].name),
            Node::Table(_) | Node::Aggregation(_) | Node::Query(_) => return None,
        })
    }
}
