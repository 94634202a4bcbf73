//! Queries: what they read, compute, hold back and put out.

use crate::language::parser::Parser;
use crate::language::parser::Read;
use crate::language::token::Keyword;
use crate::language::tree::Annotation;
use crate::language::tree::Input;
use crate::language::tree::Query;
use crate::language::tree::Span;

/// What may follow the input of a query.
const AFTER_INPUT: &[Keyword] = &[
    Keyword::Select,
    Keyword::Output,
    Keyword::Insert,
    Keyword::Delete,
    Keyword::Update,
    Keyword::Return,
];
/// What may follow a single source.
const AFTER_SOURCE: &[Keyword] = &[
    Keyword::Select,
    Keyword::Output,
    Keyword::Insert,
    Keyword::Delete,
    Keyword::Update,
    Keyword::Return,
    Keyword::Join,
    Keyword::Unidirectional,
];

impl Parser<'_> {
    /// `from .. select .. output .. insert into ..`; `start` is where the statement begins.
    pub(super) fn query(&mut self, annotations: Vec<Annotation>, start: Span) -> Read<Query> {
        self.expect_keyword(Keyword::From, "at the start of a query")?;
        let input = self.input()?;
        self.mend(if matches!(input, Input::Stream(_)) { AFTER_SOURCE } else { AFTER_INPUT });
        let selection = match self.at_keyword(Keyword::Select) {
            true => Some(self.selection()?),
            false => None,
        };
        let rate = self.opt_output_rate()?;
        let output = self.output()?;
        Ok(Query { annotations, input, selection, rate, output, span: self.since(start) })
    }
}
