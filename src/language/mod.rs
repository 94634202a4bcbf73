//! From text to tree. Reading never fails: it always gives a tree, and messages for people.

pub mod codes;
pub mod diagnostic;
pub mod format;
mod grammar;
mod lexer;
mod parser;
pub mod render;
pub mod source;
pub mod suggest;
#[cfg(test)]
mod tests;
mod token;
pub mod tree;
pub mod variables;

use crate::language::diagnostic::Diagnostic;
use crate::language::parser::Parser;
use crate::language::tree::Expression;
use crate::language::tree::OnDemandQuery;
use crate::language::tree::Plan;
use crate::language::tree::Span;

/// What reading a plan gave.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What could be understood; whole when there is no error among the diagnostics.
    pub tree: Plan,
    /// What is wrong, in order of place.
    pub diagnostics: Vec<Diagnostic>,
    /// The comments, in order; `--` and `/* */` included in their spans.
    pub comments: Vec<Span>,
}

/// What reading an on-demand query gave.
#[derive(Clone, Debug)]
pub struct ParsedQuery {
    /// The query; absent when too little of it could be understood.
    pub tree: Option<OnDemandQuery>,
    /// What is wrong, in order of place.
    pub diagnostics: Vec<Diagnostic>,
    /// The comments, in order.
    pub comments: Vec<Span>,
}

/// What reading an expression gave.
#[derive(Clone, Debug)]
pub struct ParsedExpression {
    /// The expression; absent when too little of it could be understood.
    pub tree: Option<Expression>,
    /// What is wrong, in order of place.
    pub diagnostics: Vec<Diagnostic>,
}

/// What cutting a text into tokens gave.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Where each token stands, in order; comments and space are none.
    pub spans: Vec<Span>,
    /// What is wrong, in order of place.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    /// Whether the plan must be refused.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

impl ParsedQuery {
    /// Whether the query must be refused.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Cuts a text into tokens.
pub fn tokens(text: &str) -> Tokens {
    let mut lexed = lexer::lex(text);
    // The last one is the end of the text.
    lexed.tokens.pop();
    let spans = lexed.tokens.into_iter().map(|token| token.span).collect();
    Tokens { spans, diagnostics: lexed.diagnostics }
}

/// Reads a plan.
pub fn parse(text: &str) -> Parsed {
    let mut parser = Parser::new(text);
    let tree = grammar::plan(&mut parser, text.len());
    let (diagnostics, comments) = parser.into_messages();
    Parsed { tree, diagnostics, comments }
}

/// Reads an expression that stands in a text of its own, as in `#window.expression('..')`, or a
/// span of time, as in `@purge(interval='5 min')`. Places count from the start of that text.
pub fn parse_expression(text: &str) -> ParsedExpression {
    let mut parser = Parser::new(text);
    let tree = grammar::whole_expression(&mut parser);
    let (diagnostics, _) = parser.into_messages();
    ParsedExpression { tree, diagnostics }
}

/// Reads an on-demand query.
pub fn parse_query(text: &str) -> ParsedQuery {
    let mut parser = Parser::new(text);
    let tree = grammar::on_demand_query(&mut parser);
    let (diagnostics, comments) = parser.into_messages();
    ParsedQuery { tree, diagnostics, comments }
}
