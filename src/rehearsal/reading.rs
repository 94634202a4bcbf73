//! A plan's text, read and checked against the engine's library.

use crate::engine::library::Library;
use crate::language;
use crate::language::diagnostic::Diagnostic;
use crate::language::source::Source;
use crate::plan;
use crate::plan::logical::Plan;
use std::sync::Arc;

/// What became of a plan's text.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The text, by which the places of messages are found.
    pub source: Source,
    /// What is wrong or worth knowing, in order of place.
    pub diagnostics: Vec<Diagnostic>,
    /// The plan, unless something is wrong.
    pub plan: Option<Arc<Plan>>,
}

/// Whether a plan can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can.
    Fit,
    /// It is right as far as can be seen, but uses what the engine cannot run yet.
    NotSupported,
    /// It is wrong.
    Refused,
}

impl Reading {
    /// Reads and checks a text under the name that messages show.
    pub fn new(name: &str, text: &str) -> Reading {
        let source = Source::new(name, text);
        let parsed = language::parse(text);
        let broken = parsed.has_errors();
        let checked = plan::check(&parsed.tree, text, &Library::standard());
        let mut diagnostics = parsed.diagnostics;
        diagnostics.extend(checked.diagnostics);
        diagnostics.sort_by_key(|each| (each.primary.span.start, each.primary.span.end));
        let plan = checked.plan.filter(|_| !broken).map(Arc::new);
        Reading { source, diagnostics, plan }
    }

    /// Whether the plan can run.
    pub fn verdict(&self) -> Verdict {
        let mut errors = self.diagnostics.iter().filter(|each| each.is_error());
        match &self.plan {
            Some(_) => Verdict::Fit,
            None if errors.all(|error| error.not_supported) => Verdict::NotSupported,
            None => Verdict::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_plan_is_told_from_one_that_is_ahead_of_the_engine() {
        let verdict = |text| Reading::new("x", text).verdict();
        assert_eq!(
            verdict("define stream S (a int); from S select a insert into T;"),
            Verdict::Fit
        );
        assert_eq!(verdict("define stream S (a int); from T select a insert"), Verdict::Refused);
        let ahead =
            "define stream S (a int); from (from S select a return) select a insert into T;";
        assert_eq!(verdict(ahead), Verdict::NotSupported);
    }
}
