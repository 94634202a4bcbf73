//! What stands after `from`: single sources with their handlers, joins, inner queries.

use crate::language::codes;
use crate::language::diagnostic::Diagnostic;
use crate::language::parser::DEEPEST;
use crate::language::parser::Failed;
use crate::language::parser::Parser;
use crate::language::parser::QUERY_STEPS;
use crate::language::parser::Read;
use crate::language::token::Keyword;
use crate::language::token::TokenKind;
use crate::language::tree::AggregationRange;
use crate::language::tree::Expression;
use crate::language::tree::Handler;
use crate::language::tree::HandlerKind;
use crate::language::tree::Input;
use crate::language::tree::JoinInput;
use crate::language::tree::JoinKind;
use crate::language::tree::JoinSide;
use crate::language::tree::OutputKind;
use crate::language::tree::SingleInput;
use crate::language::tree::SourceName;
use crate::language::tree::Span;

/// Where a source stands, which decides about its windows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum InputPlace {
    Query,
    Join,
    Pattern,
}

impl Parser<'_> {
    /// What a query reads.
    pub(super) fn input(&mut self) -> Read<Input> {
        if self.at(TokenKind::OpenRound) && self.at_inner_query() {
            return self.inner_query();
        }
        if self.at(TokenKind::OpenRound) || self.at_prefix_word() {
            return Ok(Input::State(self.state_input()?));
        }
        if !self.at_name() && !matches!(self.kind(), TokenKind::Hash | TokenKind::Bang) {
            return self.unexpected("the name of a stream after `from`");
        }
        if self.at_name() && self.peek(1).kind == TokenKind::Assign {
            return Ok(Input::State(self.state_input()?));
        }
        let behind = self.behind_source();
        match (behind.kind, behind.keyword) {
            (
                TokenKind::Arrow
                | TokenKind::Comma
                | TokenKind::Less
                | TokenKind::Star
                | TokenKind::Plus
                | TokenKind::Question,
                _,
            )
            | (_, Some(Keyword::And | Keyword::Or | Keyword::Within)) => {
                Ok(Input::State(self.state_input()?))
            }
            _ => self.stream_or_join(),
        }
    }

    /// Whether `(from ..` stands here, with one bracket or several.
    fn at_inner_query(&self) -> bool {
        // More brackets than may be nested end in a message whichever way they are read.
        let mut ahead = 1;
        while ahead <= DEEPEST && self.peek(ahead).kind == TokenKind::OpenRound {
            ahead += 1;
        }
        self.peek(ahead).keyword == Some(Keyword::From)
            && matches!(
                self.peek(ahead + 1).kind,
                TokenKind::Word
                    | TokenKind::Quoted
                    | TokenKind::OpenRound
                    | TokenKind::Hash
                    | TokenKind::Bang
            )
    }

    fn inner_query(&mut self) -> Read<Input> {
        let open = self.bump().span;
        let input = self.nested(QUERY_STEPS, |parser| {
            if parser.at(TokenKind::OpenRound) {
                return parser.inner_query();
            }
            let start = parser.here();
            let query = parser.query(Vec::new(), start)?;
            if query.output.kind != OutputKind::Return {
                let message = "an inner query ends with `return`";
                let span = query.output.span;
                parser.report(Diagnostic::error(codes::UNEXPECTED, span, message));
            }
            Ok(Input::Anonymous(Box::new(query)))
        })?;
        self.expect_close(TokenKind::CloseRound, open, "")?;
        Ok(input)
    }

    fn stream_or_join(&mut self) -> Read<Input> {
        let start = self.here();
        let left = self.single_input(InputPlace::Query)?;
        if !self.at_join() {
            self.check_no_alias(&left);
            return Ok(Input::Stream(left));
        }
        self.check_windows(&left, InputPlace::Join);
        let mut left = self.join_side(left);
        let kind = self.join_kind()?;
        let right = self.single_input(InputPlace::Join)?;
        let mut right = self.join_side(right);
        if left.unidirectional && right.unidirectional {
            let message = "only one side of a join can be unidirectional";
            self.report(Diagnostic::error(codes::UNEXPECTED, right.span, message));
            left.unidirectional = false;
            right.unidirectional = false;
        }
        if self.at_join() {
            let message = "a join has two sides";
            let diagnostic = Diagnostic::error(codes::UNEXPECTED, self.here(), message);
            self.report(diagnostic.help("insert its result into a stream and join that one"));
            return Err(Failed);
        }
        self.mend(&[Keyword::On, Keyword::Within, Keyword::Select, Keyword::Insert]);
        let on = match self.eat_keyword(Keyword::On) {
            true => Some(self.expression()?),
            false => None,
        };
        let range = self.opt_aggregation_range()?;
        let span = self.since(start);
        Ok(Input::Join(Box::new(JoinInput { left, kind, right, on, range, span })))
    }

    /// Only the sides of a join have another name.
    pub(super) fn check_no_alias(&mut self, input: &SingleInput) {
        let Some(alias) = &input.alias else { return };
        let message = "only the sides of a join can have another name";
        let diagnostic = Diagnostic::error(codes::ALIAS_PLACE, alias.span, message);
        self.report(diagnostic.help(format!("use `{}` itself", input.source.name.text)));
    }

    fn at_join(&self) -> bool {
        matches!(
            self.peek(0).keyword,
            Some(
                Keyword::Join
                    | Keyword::Inner
                    | Keyword::Outer
                    | Keyword::Left
                    | Keyword::Right
                    | Keyword::Full
                    | Keyword::Unidirectional
            )
        )
    }

    fn join_side(&mut self, input: SingleInput) -> JoinSide {
        let unidirectional = self.eat_keyword(Keyword::Unidirectional);
        let span = self.since(input.span);
        JoinSide { input, unidirectional, span }
    }

    fn join_kind(&mut self) -> Read<JoinKind> {
        let start = self.here();
        let kind = match self.peek(0).keyword {
            Some(Keyword::Left) => JoinKind::LeftOuter,
            Some(Keyword::Right) => JoinKind::RightOuter,
            Some(Keyword::Full | Keyword::Outer) => JoinKind::FullOuter,
            _ => JoinKind::Inner,
        };
        let word = self.text_of(start);
        if matches!(self.peek(0).keyword, Some(Keyword::Left | Keyword::Right | Keyword::Full)) {
            self.bump();
            if self.at_keyword(Keyword::Join) {
                let message = format!("expected `{word} outer join`, found `{word} join`");
                let place = self.behind();
                let diagnostic = Diagnostic::error(codes::UNEXPECTED, place, message);
                self.report(diagnostic.label("`outer` is missing").suggest(place, " outer"));
            } else {
                self.expect_keyword(Keyword::Outer, &format!("after `{word}`"))?;
            }
        } else if !self.eat_keyword(Keyword::Outer) {
            self.eat_keyword(Keyword::Inner);
        }
        self.expect_keyword(Keyword::Join, "between the sides of a join")?;
        Ok(kind)
    }

    /// `within .. per ..`, if it stands here.
    pub(super) fn opt_aggregation_range(&mut self) -> Read<Option<AggregationRange>> {
        let start = self.here();
        if !self.eat_keyword(Keyword::Within) {
            return Ok(None);
        }
        let from = self.expression()?;
        let end = match self.eat(TokenKind::Comma) {
            true => Some(self.expression()?),
            false => None,
        };
        self.expect_keyword(Keyword::Per, "and the length of the buckets after `within`")?;
        let per = self.expression()?;
        Ok(Some(AggregationRange { start: from, end, per, span: self.since(start) }))
    }

    /// A source with its handlers and, outside of patterns, its other name.
    pub(super) fn single_input(&mut self, place: InputPlace) -> Read<SingleInput> {
        let start = self.here();
        if self.at_clause() {
            return self.unexpected("the name of a stream");
        }
        let source = self.source_name("the name of a stream")?;
        let mut handlers = Vec::new();
        while matches!(self.kind(), TokenKind::OpenSquare | TokenKind::Hash) {
            handlers.push(self.handler()?);
        }
        let mut alias = None;
        if place != InputPlace::Pattern && self.eat_keyword(Keyword::As) {
            alias = Some(self.name("another name after `as`")?);
        }
        let input = SingleInput { source, handlers, alias, span: self.since(start) };
        self.check_windows(&input, place);
        Ok(input)
    }

    /// `S`, `#S` or `!S`; `role` says what for.
    pub(super) fn source_name(&mut self, role: &str) -> Read<SourceName> {
        let start = self.here();
        let prefix = self.source_prefix();
        let name = self.name(role)?;
        Ok(SourceName { prefix, name, span: self.since(start) })
    }

    fn handler(&mut self) -> Read<Handler> {
        let start = self.here();
        let hash = self.eat(TokenKind::Hash);
        let kind = if self.at(TokenKind::OpenSquare) {
            let open = self.bump().span;
            HandlerKind::Filter(self.filter(open)?)
        } else if hash && self.at_keyword(Keyword::Window) && self.peek(1).kind == TokenKind::Dot {
            self.bump();
            self.bump();
            HandlerKind::Window(self.call()?)
        } else {
            HandlerKind::Function(self.call()?)
        };
        Ok(Handler { kind, span: self.since(start) })
    }

    fn filter(&mut self, open: Span) -> Read<Expression> {
        self.bracketed(TokenKind::CloseSquare, open)
    }

    fn check_windows(&mut self, input: &SingleInput, place: InputPlace) {
        let is_window = |handler: &&Handler| matches!(handler.kind, HandlerKind::Window(_));
        let mut windows = input.handlers.iter().filter(is_window);
        let Some(first) = windows.next() else { return };
        let last = input.handlers.last();
        let fault = if place == InputPlace::Pattern {
            let help = "put the window into a query of its own, before the pattern";
            Some((first.span, "a source of a pattern has no window", help))
        } else if let Some(second) = windows.next() {
            let help = "insert into a stream and put the second window on that";
            Some((second.span, "a source has at most one window", help))
        } else {
            let after = last.filter(|last| place == InputPlace::Join && !is_window(last));
            let help = "put it before the window";
            after.map(|last| (last.span, "nothing stands after the window in a join", help))
        };
        if let Some((span, message, help)) = fault {
            self.report(Diagnostic::error(codes::WINDOW_PLACE, span, message).help(help));
        }
    }

    /// Whether `every` or `not` stands here as such and not as the name of a stream.
    pub(super) fn at_prefix_word(&self) -> bool {
        if !matches!(self.peek(0).keyword, Some(Keyword::Every | Keyword::Not)) {
            return false;
        }
        let next = self.peek(1);
        let after = self.peek(2).kind;
        match next.kind {
            TokenKind::OpenRound | TokenKind::Bang | TokenKind::Quoted => true,
            // `every #inner`, but not `every#function(..)` or `every#window.length(5)`.
            TokenKind::Hash => !matches!(
                self.peek(3).kind,
                TokenKind::OpenRound | TokenKind::Dot | TokenKind::Colon
            ),
            TokenKind::Word => {
                !is_clause(next.keyword)
                    || matches!(
                        after,
                        TokenKind::Assign
                            | TokenKind::Arrow
                            | TokenKind::Comma
                            | TokenKind::OpenSquare
                    )
            }
            _ => false,
        }
    }
}

/// Whether a word goes on with a query after the name of a source.
fn is_clause(keyword: Option<Keyword>) -> bool {
    matches!(
        keyword,
        Some(
            Keyword::Select
                | Keyword::Output
                | Keyword::Insert
                | Keyword::Delete
                | Keyword::Update
                | Keyword::Return
                | Keyword::Join
                | Keyword::Inner
                | Keyword::Outer
                | Keyword::Left
                | Keyword::Right
                | Keyword::Full
                | Keyword::Unidirectional
                | Keyword::As
                | Keyword::And
                | Keyword::Or
                | Keyword::Within
        )
    )
}
