//! Checks a plan as deployment does: the language, the engine, and every way in and out.
//!
//! A checker that panics refuses the plan; the node and its other plans never notice.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;

use tracing::error;

use crate::actors::edges;
use crate::actors::tree::last_panic;
use crate::actors::tree::note_panics;
use crate::engine::core::PlanCore;
use crate::language;
use crate::language::diagnostic::Diagnostic;
use crate::language::source::Source;
use crate::language::tree::AnnotationElement;
use crate::language::tree::Span;
use crate::language::variables;
use crate::plan::logical::Plan;
use crate::rehearsal::Reading;
use crate::store::Stores;

/// The engine cannot run a part of a plan that the checker let pass.
const CANNOT_RUN: &str = "E0002";
/// The checker itself failed.
const CHECKER_FELL: &str = "E0003";

/// Reads and checks a text under the name that messages show; `${name}` is replaced by the
/// environment's value. Nobody asks whether the node has the stores that are named.
#[must_use]
pub fn check(name: &str, text: &str) -> Reading {
    check_for(name, text, None)
}

/// As [`check`], for a node with these stores.
#[must_use]
pub fn check_for(name: &str, text: &str, stores: Option<&Stores>) -> Reading {
    note_panics();
    let text = variables::substitute(text, |name| std::env::var(name).ok());
    match catch_unwind(AssertUnwindSafe(|| check_whole(name, &text, stores))) {
        Ok(reading) => reading,
        Err(_) => {
            let note = last_panic();
            error!(plan = name, note, "the checker panicked over a plan");
            let message = format!("this plan cannot be checked, which is our fault: {note}");
            let whole = Diagnostic::error(CHECKER_FELL, Span::new(0, 0), message);
            Reading { source: Source::new(name, text), diagnostics: vec![whole], plan: None }
        }
    }
}

/// A plan's text as its log keeps it: `${name}` is replaced by the environment's value, but in the
/// options of sources and sinks, which may be secret and differ from node to node.
#[must_use]
pub fn text_to_keep(text: &str) -> String {
    variables::substitute_outside_options(text, |name| std::env::var(name).ok())
}

fn check_whole(name: &str, text: &str, stores: Option<&Stores>) -> Reading {
    let mut reading = Reading::new(name, text);
    if let Some(plan) = reading.plan.clone() {
        reading.diagnostics.extend(cannot_run(&plan));
        reading.diagnostics.extend(edges::check(&plan, stores));
        let key = |each: &Diagnostic| (each.primary.span.start, each.primary.span.end);
        reading.diagnostics.sort_by_key(key);
        if reading.diagnostics.iter().any(Diagnostic::is_error) {
            reading.plan = None;
        }
    }
    reading
}

fn cannot_run(plan: &Arc<Plan>) -> Option<Diagnostic> {
    let error = PlanCore::build(Arc::clone(plan), 0).err()?;
    let whole = Span::new(0, 0);
    let mut diagnostic = Diagnostic::error(CANNOT_RUN, whole, error.message);
    diagnostic.not_supported = error.not_supported;
    Some(diagnostic)
}

/// The name that a text gives its plan, also where the rest of it is broken.
#[must_use]
pub fn name_inside(text: &str) -> Option<String> {
    let parsed = catch_unwind(AssertUnwindSafe(|| language::parse(text))).ok()?;
    let is_of = |text: &str, word: &str| text.eq_ignore_ascii_case(word);
    let naming = parsed.tree.annotations.iter().find(|annotation| {
        let space = annotation.namespace.as_ref().map_or("", |space| &space.text);
        (is_of(space, "app") || is_of(space, "plan")) && is_of(&annotation.name.text, "name")
    })?;
    naming.elements.iter().find_map(|element| match element {
        AnnotationElement::Property { value, .. } => Some(value.value.clone()),
        AnnotationElement::Annotation(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_inside_is_found_also_in_a_broken_plan() {
        assert_eq!(name_inside("@app:name('a')\ndefine stream S (a int);").as_deref(), Some("a"));
        assert_eq!(name_inside("@Plan:name(\"b\")\ndefine stream S (").as_deref(), Some("b"));
        assert_eq!(name_inside("@app:description('c') define stream S (a int);"), None);
        assert_eq!(name_inside("not a plan"), None);
    }

    #[test]
    fn what_cannot_run_is_refused_with_a_place() {
        let reading = check("x", "define stream S (a int);\nfrom S select b insert into T;");
        assert!(reading.plan.is_none());
        let place = reading.source.place(reading.diagnostics[0].primary.span.start);
        assert_eq!((place.line, place.column), (2, 15));
    }

    #[test]
    fn a_plan_named_by_its_file_may_take_requests() {
        let reading = check("x", "@source(type='http')\ndefine stream S (a int);");
        assert!(reading.plan.is_some(), "{:?}", reading.diagnostics);
    }

    #[test]
    fn an_unknown_way_in_or_out_is_refused_at_its_place() {
        let text = "@source(type='telepathy', @map(type='json'))\n\
                    define stream S (a int);\n\
                    @sink(type='telepathy', @map(type='json'))\n\
                    define stream T (a int);\n\
                    from S select a insert into T;";
        let reading = check("x", text);
        assert!(reading.plan.is_none());
        let lines = reading.diagnostics.iter().filter(|each| each.is_error());
        let lines: Vec<_> =
            lines.map(|each| reading.source.place(each.primary.span.start).line).collect();
        assert_eq!(lines, [1, 3]);
    }
}
