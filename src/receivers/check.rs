//! Every `@source` of a plan, checked without touching anything outside.

use crate::language::diagnostic::Diagnostic;
use crate::plan::logical::Plan;
use crate::receivers::Setup;
use crate::receivers::build;
use crate::receivers::http::Paths;
use crate::topics::Topics;

/// What is wrong with the sources of a plan, at their places in its text.
#[must_use]
pub fn check(plan: &Plan) -> Vec<Diagnostic> {
    let (topics, paths) = (Topics::new(), Paths::new());
    let sources = plan
        .streams
        .iter()
        .flat_map(|stream| stream.sources.iter().map(move |endpoint| (stream, endpoint)));
    let faults = sources.filter_map(|(stream, endpoint)| {
        build(&Setup {
            plan: &plan.name,
            stream: &stream.name,
            schema: &stream.schema,
            endpoint,
            topics: &topics,
            paths: &paths,
        })
        .err()
    });
    faults.flatten().collect()
}
