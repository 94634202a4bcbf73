//! Partitions: how streams are divided, and the queries inside.

use crate::language::codes;
use crate::language::diagnostic::Diagnostic;
use crate::language::parser::Failed;
use crate::language::parser::Parser;
use crate::language::parser::Read;
use crate::language::token::Keyword;
use crate::language::token::TokenKind;
use crate::language::tree::Annotation;
use crate::language::tree::Partition;
use crate::language::tree::PartitionKey;
use crate::language::tree::PartitionKeyKind;
use crate::language::tree::Query;
use crate::language::tree::RangeCondition;
use crate::language::tree::Span;

impl Parser<'_> {
    /// `partition with (..) begin .. end`; `start` is where the statement begins.
    pub(super) fn partition(
        &mut self,
        annotations: Vec<Annotation>,
        start: Span,
    ) -> Read<Partition> {
        self.expect_keyword(Keyword::Partition, "at the start of a partition")?;
        self.expect_keyword(Keyword::With, "after `partition`")?;
        let keys = self.partition_keys();
        if keys.is_err() {
            // The queries can be read whatever the keys are.
            self.skip_to_begin();
        }
        let begin = if self.at_keyword(Keyword::From) || self.at(TokenKind::At) {
            let place = self.behind();
            let message = format!("expected `begin`, found {}", self.found());
            let diagnostic = Diagnostic::error(codes::UNEXPECTED, place, message);
            self.report(diagnostic.label("`begin` is missing here").suggest(place, " begin"));
            place
        } else {
            self.expect_keyword(Keyword::Begin, "before the queries of a partition")?
        };
        let queries = self.partition_queries(begin)?;
        Ok(Partition { annotations, keys: keys?, queries, span: self.since(start) })
    }

    fn partition_keys(&mut self) -> Read<Vec<PartitionKey>> {
        let open = self.expect(TokenKind::OpenRound, "before the keys of a partition")?;
        let mut keys = vec![self.partition_key()?];
        while self.eat(TokenKind::Comma) {
            keys.push(self.partition_key()?);
        }
        self.expect_close(TokenKind::CloseRound, open, "`,` or ")?;
        Ok(keys)
    }

    fn skip_to_begin(&mut self) {
        while !self.at_keyword(Keyword::Begin)
            && !matches!(self.kind(), TokenKind::Semicolon | TokenKind::End)
        {
            self.bump();
        }
    }

    fn partition_key(&mut self) -> Read<PartitionKey> {
        let start = self.here();
        let condition = self.expression()?;
        let kind = if self.at_keyword(Keyword::As) {
            let mut ranges = Vec::new();
            let mut next = condition;
            loop {
                let from = next.span;
                self.expect_keyword(Keyword::As, "and the name of the range")?;
                let label = self.string("the name of the range in quotes")?;
                ranges.push(RangeCondition { condition: next, label, span: self.since(from) });
                if !self.eat_keyword(Keyword::Or) {
                    break PartitionKeyKind::Ranges(ranges);
                }
                next = self.expression()?;
            }
        } else {
            PartitionKeyKind::Value(condition)
        };
        self.expect_keyword(Keyword::Of, "and the name of a stream")?;
        let stream = self.name("the name of a stream after `of`")?;
        Ok(PartitionKey { kind, stream, span: self.since(start) })
    }

    /// Queries up to `end`. One that cannot be read is left out, the others are kept.
    fn partition_queries(&mut self, begin: Span) -> Read<Vec<Query>> {
        let mut queries = Vec::new();
        let mut failed = false;
        loop {
            while self.eat(TokenKind::Semicolon) {}
            if self.at_keyword(Keyword::End) {
                break;
            }
            if self.at(TokenKind::End) {
                let message = "this partition has no `end`";
                let diagnostic = Diagnostic::error(codes::UNCLOSED_BRACKET, begin, message);
                self.report(diagnostic.label("begins here"));
                return Ok(queries);
            }
            self.begin_statement();
            let start = self.progress();
            match self.partition_query() {
                Ok(query) => queries.push(query),
                Err(_) => {
                    failed = true;
                    self.skip_statement(start, true);
                }
            }
        }
        self.bump();
        if queries.is_empty() && !failed {
            let message = "a partition needs at least one query";
            self.report(Diagnostic::error(codes::UNEXPECTED, begin, message));
        }
        Ok(queries)
    }

    fn partition_query(&mut self) -> Read<Query> {
        let start = self.here();
        let mut annotations = Vec::new();
        while self.at(TokenKind::At) {
            annotations.push(self.annotation()?);
        }
        self.mend(&[Keyword::From, Keyword::End]);
        if self.at_keyword(Keyword::Define) {
            let message = "a definition cannot stand inside a partition";
            let diagnostic = Diagnostic::error(codes::LATE_DEFINITION, self.here(), message);
            self.report(diagnostic.help("move it up, before the first query"));
            return Err(Failed);
        }
        if !self.at_keyword(Keyword::From) {
            return self.unexpected("`from` or `end`");
        }
        let query = self.query(annotations, start)?;
        if self.at(TokenKind::Semicolon) || self.at_keyword(Keyword::End) {
            return Ok(query);
        }
        if self.at_keyword(Keyword::From) || self.at(TokenKind::At) {
            self.missing_semicolon();
            return Ok(query);
        }
        self.misplaced("`;` or `end`")
    }
}
