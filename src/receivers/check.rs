//! Every `@source` of a plan, checked without touching anything outside.

use crate::language::diagnostic::Diagnostic;
use crate::plan::logical::Plan;
use crate::receivers::Setup;
use crate::receivers::build;
use crate::receivers::http::Paths;
use crate::topics::Topics;

/// What is wrong with the sources of a plan, or to be known of them, at its place in the text.
#[must_use]
pub fn check(plan: &Plan) -> Vec<Diagnostic> {
    let (topics, paths) = (Topics::new(), Paths::new());
    let sources = plan
        .streams
        .iter()
        .flat_map(|stream| stream.sources.iter().map(move |endpoint| (stream, endpoint)));
    let said = sources.map(|(stream, endpoint)| {
        let built = build(&Setup {
            plan: name_of(plan),
            name: "receiver",
            stream: &stream.name,
            schema: &stream.schema,
            endpoint,
            topics: &topics,
            paths: &paths,
        });
        built.map_or_else(|faults| faults, |built| built.warnings)
    });
    said.flatten().collect()
}

/// The plan's name; one that its file names has none in its text, so any good name stands for it.
fn name_of(plan: &Plan) -> &str {
    if plan.name.is_empty() { "plan" } else { &plan.name }
}
