//! From tree to checked plan: says whether a plan makes sense; runs nothing.
//!
//! The result, [`logical::Plan`], is plain data in which every name is a number and every
//! expression is typed. What can be called, and with what, the checker asks of a
//! [`signature::Catalog`], so that a new function is known here without a line.

mod aggregating;
pub mod aggregation;
mod annotations;
pub mod answers;
mod batching;
mod buckets;
pub mod calendar;
mod calls;
mod canonical;
mod checker;
mod circles;
pub mod codes;
pub mod difference;
mod endpoints;
mod events;
pub mod expression;
mod external;
mod functions;
mod graph;
mod growth;
pub mod identity;
mod inputs;
mod joins;
pub mod known_annotations;
pub mod logical;
mod names;
mod on_demand;
mod outputs;
pub mod outside;
mod partitions;
pub mod pattern;
mod patterns;
mod predicates;
mod queries;
pub mod rate;
mod rates;
mod reach;
#[cfg(test)]
mod refused_plans;
#[cfg(test)]
mod right_plans;
mod scopes;
mod selections;
mod settings;
pub mod signature;
pub mod stores;
#[cfg(test)]
mod stores_tests;
mod streams;
mod tables;
pub mod terms;
#[cfg(test)]
mod testing;
mod types;
pub mod watermark;
pub mod zone;

pub use predicates::check_predicate;

use crate::language::diagnostic::Diagnostic;
use crate::language::tree;
use crate::language::tree::Definition;
use crate::language::tree::Element;
use crate::language::tree::OnDemandQuery;
use crate::language::tree::SourcePrefix;
use crate::plan::aggregation::Aggregation;
use crate::plan::checker::Checker;
use crate::plan::checker::presented;
use crate::plan::graph::Graph;
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
        if checker.has_enough() {
            break;
        }
        checker.define(definition);
    }
    checker.find_side_streams();
    checker.look_ahead(parsed);
    // These read streams, which may be defined behind them.
    let aggregations = parsed.definitions.iter().filter_map(|definition| match definition {
        Definition::Aggregation(aggregation) => Some(aggregation),
        _ => None,
    });
    for (id, aggregation) in aggregations.enumerate().take(checker.plan.aggregations.len()) {
        checker.aggregation(aggregation, id);
        checker.refuse_external_ins();
    }
    let mut number = 0;
    for element in &parsed.elements {
        if checker.has_enough() {
            break;
        }
        match element {
            Element::Query(query) => {
                number += 1;
                checker.query(query, number);
            }
            Element::Partition(partition) => checker.partition(partition, &mut number),
        }
    }
    checker.feed_aggregations();
    checker.watermarked_inputs();
    let graph = Graph::new(&checker.plan);
    checker.circles(&graph);
    let mut whole = !checker.diagnostics.iter().any(Diagnostic::is_error);
    if whole {
        checker.reach(&graph);
        whole = !checker.diagnostics.iter().any(Diagnostic::is_error);
    }
    if whole {
        checker.plan_growth(parsed);
        batching::mark(&mut checker.plan, &graph, catalog);
        checker.without_channels();
    }
    Checked { plan: whole.then_some(checker.plan), diagnostics: presented(checker.diagnostics) }
}

/// What checking an on-demand query gave.
#[derive(Clone, Debug)]
pub struct CheckedQuery {
    /// The checked query; absent if there is an error among the diagnostics.
    pub query: Option<logical::OnDemand>,
    /// What is wrong or worth knowing, in order of place.
    pub diagnostics: Vec<Diagnostic>,
}

/// Says whether an on-demand query makes sense for a plan.
pub fn check_query(
    tree: &OnDemandQuery,
    plan: &logical::Plan,
    catalog: &dyn Catalog,
) -> CheckedQuery {
    let mut checker = Checker::new("", catalog);
    checker.know(plan);
    let query = checker.on_demand(tree);
    let mut diagnostics = presented(checker.diagnostics);
    for diagnostic in diagnostics.iter_mut().filter(|each| each.code == codes::SCHEMA_MISMATCH) {
        // Its other place lies in the plan's text, not in the query's.
        diagnostic.secondary.clear();
    }
    let whole = !diagnostics.iter().any(Diagnostic::is_error);
    CheckedQuery { query: query.filter(|_| whole), diagnostics }
}

impl Checker<'_> {
    /// Notes which streams are filled by queries, for those who read them too early.
    fn look_ahead(&mut self, parsed: &tree::Plan) {
        let queries = parsed.elements.iter().flat_map(|element| match element {
            Element::Query(query) => std::slice::from_ref(query),
            Element::Partition(partition) => &partition.queries,
        });
        for target in queries.filter_map(|query| query.output.target()) {
            let name = &target.name.text;
            if target.prefix == SourcePrefix::None && self.filled_later.get(name).is_none() {
                self.filled_later.set(name, Meaning::Broken, target.span);
            }
        }
    }

    /// Takes sources and sinks away where the plan does not want them.
    fn without_channels(&mut self) {
        if !self.channels {
            for stream in &mut self.plan.streams {
                stream.sources.clear();
                stream.sinks.clear();
            }
        }
    }

    fn define(&mut self, definition: &Definition) {
        match definition {
            Definition::Stream(definition) => self.define_stream(definition),
            Definition::Table(definition) => self.define_table(definition),
            Definition::Window(definition) => self.define_window(definition),
            Definition::Trigger(definition) => self.define_trigger(definition),
            Definition::Aggregation(definition) => {
                let id = self.plan.aggregations.len();
                self.plan.aggregations.push(Aggregation::default());
                self.introduce(&definition.name, Meaning::Aggregation(id));
            }
            Definition::Function(definition) => self.define_function(definition),
        }
    }
}
