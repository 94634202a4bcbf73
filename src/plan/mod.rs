//! From tree to checked plan: says whether a plan makes sense; runs nothing.
//!
//! The result, [`logical::Plan`], is plain data in which every name is a number and every
//! expression is typed. What can be called, and with what, the checker asks of a
//! [`signature::Catalog`], so that a new function is known here without a line.

mod annotations;
mod calls;
mod checker;
pub mod codes;
mod endpoints;
pub mod expression;
mod inputs;
mod joins;
pub mod logical;
mod names;
mod outputs;
mod partitions;
mod queries;
mod scopes;
mod selections;
mod settings;
pub mod signature;
mod streams;
mod tables;
#[cfg(test)]
mod testing;
mod types;

use crate::language::diagnostic::Diagnostic;
use crate::language::tree;
use crate::language::tree::Definition;
use crate::language::tree::Element;
use crate::plan::checker::Checker;
use crate::plan::names::Meaning;
use crate::plan::signature::Catalog;

/// What checking a plan gave.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The checked plan; absent if there is an error among the diagnostics.
    pub plan: Option<logical::Plan>,
    /// What is wrong or worth knowing, in order of place.
    pub diagnostics: Vec<Diagnostic>,
}

impl Checked {
    /// Whether all that stands against the plan is that the engine cannot run it yet.
    pub fn is_unsupported_only(&self) -> bool {
        let mut errors = self.diagnostics.iter().filter(|each| each.is_error()).peekable();
        errors.peek().is_some() && errors.all(|each| each.not_supported)
    }
}

/// Says whether a plan makes sense. `text` is what the tree was read from; `catalog` knows what can
/// be called. Parts that could not be read are passed over: the parser has spoken of them.
pub fn check(parsed: &tree::Plan, text: &str, catalog: &dyn Catalog) -> Checked {
    let mut checker = Checker::new(text, catalog);
    checker.settings(&parsed.annotations);
    for definition in &parsed.definitions {
        checker.define(definition);
    }
    let mut number = 0;
    for element in &parsed.elements {
        match element {
            Element::Query(query) => {
                number += 1;
                checker.query(query, number);
            }
            Element::Partition(partition) => checker.partition(partition, &mut number),
        }
    }
    if !checker.channels {
        for stream in &mut checker.plan.streams {
            stream.sources.clear();
            stream.sinks.clear();
        }
    }
    let mut diagnostics = checker.diagnostics;
    diagnostics.sort_by_key(|each| (each.primary.span.start, each.primary.span.end));
    let plan = (!diagnostics.iter().any(Diagnostic::is_error)).then_some(checker.plan);
    Checked { plan, diagnostics }
}

impl Checker<'_> {
    fn define(&mut self, definition: &Definition) {
        match definition {
            Definition::Stream(definition) => self.define_stream(definition),
            Definition::Table(definition) => self.define_table(definition),
            Definition::Window(definition) => self.define_window(definition),
            Definition::Trigger(definition) => self.define_trigger(definition),
            Definition::Aggregation(definition) => {
                self.introduce(&definition.name, Meaning::Aggregation);
                self.not_supported(definition.span, "aggregations");
            }
            Definition::Function(definition) => {
                self.functions.push(definition.name.text.clone());
                self.not_supported(definition.span, "functions defined in a plan");
            }
        }
    }
}
