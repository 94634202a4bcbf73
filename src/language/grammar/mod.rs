//! The grammar, one function a construct, in the order in which a plan is written.
//!
//! A function takes what it is named after and fails with a message if that is not there. One whose
//! name begins with `opt_` may take nothing. Every failure ends at the nearest statement.

mod annotations;
mod definitions;
mod expressions;
mod inputs;
mod literals;
mod on_demand;
mod outputs;
mod partitions;
mod patterns;
mod queries;
mod selection;

use crate::language::codes;
use crate::language::diagnostic::Diagnostic;
use crate::language::parser::Failed;
use crate::language::parser::Parser;
use crate::language::parser::Read;
use crate::language::token::Keyword;
use crate::language::token::TokenKind;
use crate::language::tree::Annotation;
use crate::language::tree::Element;
use crate::language::tree::Expression;
use crate::language::tree::Plan;
use crate::language::tree::Span;

pub(super) use on_demand::on_demand_query;

/// Words with which a statement begins.
const STARTS: &[Keyword] = &[Keyword::Define, Keyword::From, Keyword::Partition];

/// Reads a whole plan.
pub(super) fn plan(parser: &mut Parser<'_>, length: usize) -> Plan {
    let mut plan = Plan { span: Span::new(0, length), ..Plan::default() };
    let mut failed = false;
    loop {
        while parser.eat(TokenKind::Semicolon) {}
        if parser.at(TokenKind::End) {
            break;
        }
        parser.begin_statement();
        let start = parser.progress();
        let read = parser.statement(&mut plan);
        if read.and_then(|()| parser.separator()).is_err() {
            failed = true;
            parser.skip_statement(start, false);
        }
    }
    if plan.definitions.is_empty() && !failed {
        let message = "a plan needs at least one definition";
        let diagnostic = Diagnostic::error(codes::NO_DEFINITION, Span::at(0), message);
        let help = "begin with `define stream Name (attribute type, ..);`";
        parser.report(diagnostic.help(help));
    }
    plan
}

/// Reads an expression that is all there is; nothing if it cannot be read.
pub(super) fn whole_expression(parser: &mut Parser<'_>) -> Option<Expression> {
    let expression = parser.expression().ok()?;
    if !parser.at(TokenKind::End) {
        return parser.unexpected::<Expression>("the end of the expression").ok();
    }
    Some(expression)
}

impl Parser<'_> {
    /// One definition, query or partition with its annotations, up to its `;`.
    fn statement(&mut self, plan: &mut Plan) -> Read<()> {
        let annotations = self.leading_annotations(plan)?;
        let start = annotations.first().map_or(self.here(), |first: &Annotation| first.span);
        self.mend(STARTS);
        if self.at_keyword(Keyword::Define) {
            let place = self.here();
            let definition = self.definition(annotations, start)?;
            if let Some(first) = plan.elements.first() {
                self.report(
                    Diagnostic::error(
                        codes::LATE_DEFINITION,
                        place,
                        "a definition must stand before the first query",
                    )
                    .also(Span::at(first.span().start), "the first query or partition")
                    .help("move it up, before the first query"),
                );
            }
            plan.definitions.push(definition);
        } else if self.at_keyword(Keyword::Partition) {
            let partition = self.partition(annotations, start)?;
            plan.elements.push(Element::Partition(partition));
        } else if self.at_keyword(Keyword::From) {
            let query = self.query(annotations, start)?;
            plan.elements.push(Element::Query(query));
        } else if self.at_keyword(Keyword::Select) {
            let message = "a query begins with `from`, found `select`";
            let diagnostic = Diagnostic::error(codes::UNEXPECTED, self.here(), message);
            self.report(diagnostic.help("as in: from S select a insert into T;"));
            return Err(Failed);
        } else if !self.at(TokenKind::End) || !annotations.is_empty() {
            return self.unexpected("`define`, `from`, `partition` or `@`");
        }
        Ok(())
    }

    /// Annotations before a statement; those of the plan go to the plan.
    fn leading_annotations(&mut self, plan: &mut Plan) -> Read<Vec<Annotation>> {
        let mut annotations = Vec::new();
        while self.at(TokenKind::At) {
            let annotation = self.annotation()?;
            if !of_plan(&annotation) {
                annotations.push(annotation);
                continue;
            }
            let late = !annotations.is_empty()
                || !plan.definitions.is_empty()
                || !plan.elements.is_empty();
            if late {
                self.report(
                    Diagnostic::error(
                        codes::LATE_PLAN_ANNOTATION,
                        annotation.span,
                        "an annotation of the plan must stand at its head",
                    )
                    .help("move it to the first line"),
                );
            }
            if self.at(TokenKind::Semicolon) {
                let span = self.bump().span;
                let message = "no `;` stands after an annotation";
                let diagnostic = Diagnostic::error(codes::UNEXPECTED, span, message);
                self.report(diagnostic.help("take it out").suggest(span, ""));
            }
            plan.annotations.push(annotation);
        }
        Ok(annotations)
    }

    /// The `;` after a statement, which the last one may go without.
    fn separator(&mut self) -> Read<()> {
        if self.eat(TokenKind::Semicolon) || self.at(TokenKind::End) {
            return Ok(());
        }
        self.mend(STARTS);
        let begins = STARTS.iter().any(|keyword| self.at_keyword(*keyword));
        if begins || self.at(TokenKind::At) {
            self.missing_semicolon();
            return Ok(());
        }
        self.misplaced("`;`")
    }

    /// Whether a clause of a query begins here, so that something before it is missing. No name
    /// that looks like its first word can stand before its second.
    fn at_clause(&self) -> bool {
        let next = self.peek(1);
        let before_operand = next.kind == TokenKind::Quoted
            || (next.kind == TokenKind::Word && next.keyword.is_none())
            || self.at_number(1);
        match self.peek(0).keyword {
            Some(Keyword::Insert) => next.keyword == Some(Keyword::Into),
            Some(Keyword::Group | Keyword::Order) => next.keyword == Some(Keyword::By),
            Some(Keyword::Select | Keyword::Having | Keyword::Limit | Keyword::Offset) => {
                before_operand
            }
            _ => false,
        }
    }

    fn missing_semicolon(&mut self) {
        let place = self.behind();
        let message = format!("expected `;`, found {}", self.found());
        self.report(
            Diagnostic::error(codes::MISSING_SEMICOLON, place, message)
                .label("`;` is missing here")
                .suggest(place, ";"),
        );
    }

    /// Fails at something that is not what was expected, with advice if it is a clause of a query
    /// that belongs elsewhere.
    fn misplaced<T>(&mut self, expected: &str) -> Read<T> {
        let order = "select, group by, having, order by, limit, offset, output, insert into";
        let clause = match self.peek(0).keyword {
            Some(Keyword::Select) => "`select`",
            Some(Keyword::Group) => "`group by`",
            Some(Keyword::Having) => "`having`",
            Some(Keyword::Order) => "`order by`",
            Some(Keyword::Limit) => "`limit`",
            Some(Keyword::Offset) => "`offset`",
            Some(Keyword::Output) => "`output`",
            _ => return self.unexpected(expected),
        };
        let message = format!("{clause} cannot stand here; expected {expected}");
        let diagnostic = Diagnostic::error(codes::UNEXPECTED, self.here(), message);
        self.report(diagnostic.help(format!("the order is: {order}")));
        Err(Failed)
    }
}

/// Whether an annotation speaks of the plan: `@app:name` and, in older plans, `@Plan:name`.
fn of_plan(annotation: &Annotation) -> bool {
    annotation.namespace.as_ref().is_some_and(|namespace| {
        ["app", "plan"].iter().any(|known| namespace.text.eq_ignore_ascii_case(known))
    })
}
