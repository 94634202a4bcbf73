//! A plan printed in house style. Reading it again gives the same tree; all comments are kept.
//!
//! One clause a line, four blanks a step, lines of 100 characters; what does not fit takes a line
//! for each of its parts. Brackets stand only where they change the meaning.

mod definitions;
mod expressions;
mod inputs;
mod layout;
mod printer;
mod queries;

use crate::language::Parsed;
use crate::language::ParsedQuery;
use crate::language::format::printer::Gap;
use crate::language::format::printer::Printer;
use crate::language::tree::Element;
use crate::language::tree::Expression;
use crate::language::tree::OnDemandQuery;
use crate::language::tree::Plan;

/// A plan in house style with its comments; `text` is what was read. Nothing if the plan has
/// errors: what could not be read cannot be printed.
pub fn format(parsed: &Parsed, text: &str) -> Option<String> {
    if parsed.has_errors() {
        return None;
    }
    let mut printer = Printer::with_source(text, &parsed.comments);
    printer.plan(&parsed.tree);
    Some(printer.finish())
}

/// An on-demand query in house style with its comments; nothing if it has errors.
pub fn format_query(parsed: &ParsedQuery, text: &str) -> Option<String> {
    let tree = parsed.tree.as_ref().filter(|_| !parsed.has_errors())?;
    let mut printer = Printer::with_source(text, &parsed.comments);
    printer.on_demand(tree);
    printer.word(";");
    Some(printer.finish())
}

/// A tree in house style, without comments.
pub fn plan(tree: &Plan) -> String {
    let mut printer = Printer::without_source();
    printer.plan(tree);
    printer.finish()
}

/// An on-demand query in house style, without comments.
pub fn on_demand_query(tree: &OnDemandQuery) -> String {
    let mut printer = Printer::without_source();
    printer.on_demand(tree);
    printer.word(";");
    printer.finish()
}

/// An expression as it would be written, for messages; long ones take several lines.
pub fn expression(tree: &Expression) -> String {
    let mut printer = Printer::without_source();
    printer.expression(tree);
    printer.finish().trim_end().to_owned()
}

impl Printer<'_> {
    fn plan(&mut self, plan: &Plan) {
        for annotation in &plan.annotations {
            self.annotation(annotation);
            self.gap_between_statements(Gap::Line);
        }
        if !plan.annotations.is_empty() {
            self.gap_between_statements(Gap::Blank);
        }
        for definition in &plan.definitions {
            if !definition.annotations().is_empty() {
                self.gap_between_statements(Gap::Blank);
            }
            self.definition(definition);
            self.word(";");
            self.gap_between_statements(Gap::Line);
        }
        for element in &plan.elements {
            self.gap_between_statements(Gap::Blank);
            match element {
                Element::Query(query) => self.query(query),
                Element::Partition(partition) => self.partition(partition),
            }
            self.word(";");
        }
    }
}
