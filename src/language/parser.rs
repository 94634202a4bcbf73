//! The machine under the grammar: looking, taking, expecting, recovering and counting; it knows no
//! construct of the language.

use std::cell::Cell;

use crate::language::codes;
use crate::language::diagnostic::Diagnostic;
use crate::language::lexer::Lexed;
use crate::language::lexer::lex;
use crate::language::suggest::closest;
use crate::language::token::Keyword;
use crate::language::token::Token;
use crate::language::token::TokenKind;
use crate::language::tree::Identifier;
use crate::language::tree::Span;

/// How deep brackets, annotations and inner queries may be nested, in steps; a construct counts as
/// many as the stack it needs, a few thousand bytes each where nothing is optimised.
pub(super) const DEEPEST: usize = 256;
/// The steps of a side of an operator.
pub(super) const OPERAND_STEPS: usize = 1;
/// The steps of brackets in an expression or annotation.
pub(super) const BRACKET_STEPS: usize = 2;
/// The steps of the arguments of a call.
pub(super) const CALL_STEPS: usize = 4;
/// The steps of brackets in a pattern.
pub(super) const GROUP_STEPS: usize = 8;
/// The steps of a query inside another one.
pub(super) const QUERY_STEPS: usize = 16;
/// How often the grammar may look at one token without taking it. A construct needs a few dozen.
const MOST_LOOKS: u32 = 100_000;

/// How many messages a reader can use at once.
pub(super) const MOST_MESSAGES: usize = 100;

/// A construct could not be read. A message has been left; the caller may recover or pass it on.
#[derive(Debug)]
pub(super) struct Failed;

/// What reading a construct gives.
pub(super) type Read<T> = Result<T, Failed>;

/// Reads the tokens of one text.
pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    looks: Cell<u32>,
    /// Where the statement being read begins: one unreadable token in it explains the rest.
    statement: usize,
    pub(super) comments: Vec<Span>,
    diagnostics: Vec<Diagnostic>,
    /// Starts of the tokens that the lexer could not read, in order.
    unreadable: Vec<usize>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Parser<'a> {
        let Lexed { tokens, comments, diagnostics } = lex(text);
        let errors = tokens.iter().filter(|token| token.kind == TokenKind::Error);
        let unreadable = errors.map(|token| token.span.start).collect();
        Parser {
            text,
            tokens,
            at: 0,
            depth: 0,
            looks: Cell::new(0),
            statement: 0,
            comments,
            diagnostics,
            unreadable,
        }
    }

    /// All messages in order of place, and where the comments are.
    pub(super) fn into_messages(mut self) -> (Vec<Diagnostic>, Vec<Span>) {
        if !self.at(TokenKind::End) {
            let message = "the rest of the text could not be read";
            self.report(Diagnostic::error(codes::UNEXPECTED, self.here(), message));
        }
        let mut diagnostics = self.diagnostics;
        diagnostics.sort_by_key(|diagnostic| diagnostic.primary.span.start);
        if diagnostics.len() > MOST_MESSAGES {
            let place = diagnostics[MOST_MESSAGES].primary.span;
            diagnostics.truncate(MOST_MESSAGES);
            let message = "more errors follow; mend the ones before first";
            diagnostics.push(Diagnostic::error(codes::TOO_MANY, place, message));
        }
        (diagnostics, self.comments)
    }

    // Looking.

    /// The token after the next `ahead` ones; the end of the text stays the end.
    pub(super) fn peek(&self, ahead: usize) -> Token {
        self.looks.set(self.looks.get() + 1);
        let last = self.tokens.len() - 1;
        let at = if self.looks.get() > MOST_LOOKS { last } else { (self.at + ahead).min(last) };
        self.tokens[at]
    }

    pub(super) fn kind(&self) -> TokenKind {
        self.peek(0).kind
    }

    pub(super) fn at(&self, kind: TokenKind) -> bool {
        self.kind() == kind
    }

    pub(super) fn at_keyword(&self, keyword: Keyword) -> bool {
        self.peek(0).keyword == Some(keyword)
    }

    pub(super) fn at_keywords(&self, first: Keyword, second: Keyword) -> bool {
        self.at_keyword(first) && self.peek(1).keyword == Some(second)
    }

    /// Whether a name stands here: a word, keyword or not, or a quoted name.
    pub(super) fn at_name(&self) -> bool {
        matches!(self.kind(), TokenKind::Word | TokenKind::Quoted)
    }

    /// The place of the next token.
    pub(super) fn here(&self) -> Span {
        self.peek(0).span
    }

    /// The place right after the last token taken.
    pub(super) fn behind(&self) -> Span {
        Span::at(self.last_end())
    }

    /// From a place to the end of the last token taken.
    pub(super) fn since(&self, start: Span) -> Span {
        Span::new(start.start, self.last_end().max(start.start))
    }

    fn last_end(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |last| self.tokens[last].span.end)
    }

    pub(super) fn text_of(&self, span: Span) -> &'a str {
        &self.text[span.start..span.end]
    }

    /// How far reading has come, to see whether it goes on.
    pub(super) fn progress(&self) -> usize {
        self.at
    }

    /// Whether the next token stands on another line than the one before.
    pub(super) fn on_new_line(&self) -> bool {
        self.text[self.last_end()..self.here().start].contains('\n')
    }

    /// The token that follows a source and its handlers, which begin here; nothing is read.
    pub(super) fn behind_source(&self) -> Token {
        let last = self.tokens.len() - 1;
        let kind = |at: usize| self.tokens[at.min(last)].kind;
        let mut at =
            self.at + usize::from(matches!(kind(self.at), TokenKind::Hash | TokenKind::Bang));
        at += 1;
        loop {
            // `#name`, `#window.name`, `#namespace:name` before its brackets.
            while matches!(kind(at), TokenKind::Hash | TokenKind::Dot | TokenKind::Colon) {
                at += if kind(at + 1) == TokenKind::OpenSquare { 1 } else { 2 };
            }
            let mut open = 0_usize;
            loop {
                match kind(at) {
                    TokenKind::OpenRound | TokenKind::OpenSquare => open += 1,
                    TokenKind::CloseRound | TokenKind::CloseSquare if open > 0 => open -= 1,
                    _ if open == 0 => return self.tokens[at.min(last)],
                    TokenKind::End | TokenKind::Semicolon => return self.tokens[last],
                    _ => {}
                }
                at += 1;
                if open == 0 {
                    break;
                }
            }
        }
    }

    // Taking.

    pub(super) fn bump(&mut self) -> Token {
        let token = self.tokens[self.at];
        if token.kind != TokenKind::End {
            self.at += 1;
            self.looks.set(0);
        }
        token
    }

    pub(super) fn eat(&mut self, kind: TokenKind) -> bool {
        let found = self.at(kind);
        if found {
            self.bump();
        }
        found
    }

    pub(super) fn eat_keyword(&mut self, keyword: Keyword) -> bool {
        let found = self.at_keyword(keyword);
        if found {
            self.bump();
        }
        found
    }

    /// Takes a sign that must stand here; `role` says what it is for, as in `after the name`.
    pub(super) fn expect(&mut self, kind: TokenKind, role: &str) -> Read<Span> {
        if self.at(kind) {
            return Ok(self.bump().span);
        }
        let expected = format!("`{}` {role}", kind.text());
        // What is missing at the end of a line is missing there, not where the next one begins.
        let place = if self.on_new_line() { self.behind() } else { self.here() };
        self.unexpected_at(place, &expected)
    }

    /// Takes a keyword that must stand here, mending a slip in it.
    pub(super) fn expect_keyword(&mut self, keyword: Keyword, role: &str) -> Read<Span> {
        self.mend(&[keyword]);
        if self.at_keyword(keyword) {
            return Ok(self.bump().span);
        }
        let word = keyword.text();
        if matches!(keyword, Keyword::Into | Keyword::By) && self.at_name() {
            // `insert T`, `group symbol`: what is meant is plain.
            let place = Span::at(self.here().start);
            let message = format!("expected `{word}` {role}, found {}", self.found());
            let diagnostic = Diagnostic::error(codes::UNEXPECTED, self.here(), message);
            self.report(diagnostic.suggest(place, format!("{word} ")));
            return Ok(place);
        }
        self.unexpected(&format!("`{word}` {role}"))
    }

    /// Takes the bracket that closes another one; `more` names what else could stand here, as in
    /// "`,` or ".
    pub(super) fn expect_close(&mut self, kind: TokenKind, open: Span, more: &str) -> Read<Span> {
        if self.at(kind) {
            return Ok(self.bump().span);
        }
        let found = self.found();
        let close = kind.text();
        let diagnostic = if self.at_end_of_statement() {
            let message = format!("this `{}` is never closed", self.text_of(open));
            let diagnostic = Diagnostic::error(codes::UNCLOSED_BRACKET, open, message)
                .label("opened here")
                .also(self.behind(), format!("expected `{close}` before {found}"));
            match self.kind() {
                // `(a int;)`
                TokenKind::Semicolon if self.peek(1).kind == kind => {
                    let both = self.here().to(self.peek(1).span);
                    diagnostic.suggest(both, format!("{close};"))
                }
                TokenKind::Semicolon => diagnostic.suggest(self.behind(), close),
                _ => diagnostic,
            }
        } else {
            let message = format!("expected {more}`{close}`, found {found}");
            let diagnostic = Diagnostic::error(codes::UNEXPECTED, self.here(), message)
                .also(open, format!("`{close}` closes this one"));
            match self.on_new_line() && self.peek(0).keyword.is_some() {
                // What follows is the next clause.
                true => diagnostic.suggest(self.behind(), close),
                false => diagnostic,
            }
        };
        self.report(diagnostic);
        Err(Failed)
    }

    /// Whether a statement ends here, or ought to have ended.
    fn at_end_of_statement(&self) -> bool {
        matches!(self.kind(), TokenKind::End | TokenKind::Semicolon) || self.at_statement()
    }

    /// Takes a name; `role` says of what.
    pub(super) fn name(&mut self, role: &str) -> Read<Identifier> {
        if !self.at_name() {
            return self.unexpected(role);
        }
        let token = self.bump();
        let quoted = token.kind == TokenKind::Quoted;
        let text = self.text_of(token.span);
        let text = if quoted { &text[1..text.len() - 1] } else { text };
        Ok(Identifier { text: text.to_owned(), quoted, span: token.span })
    }

    /// If the next word is no keyword but nearly one of these, says so and reads it as that one.
    /// Only for places where no name can stand.
    pub(super) fn mend(&mut self, candidates: &[Keyword]) {
        let token = self.peek(0);
        if token.kind != TokenKind::Word || token.keyword.is_some() {
            return;
        }
        let word = self.text_of(token.span);
        let Some(close) = closest(word, candidates.iter().map(|keyword| keyword.text())) else {
            return;
        };
        self.tokens[self.at].keyword = Keyword::of(close);
        self.report(
            Diagnostic::error(
                codes::MISSPELT_KEYWORD,
                token.span,
                format!("expected `{close}`, found `{word}`"),
            )
            .help(format!("did you mean `{close}`?"))
            .suggest(token.span, close),
        );
    }

    // Telling.

    /// Leaves a message, unless an unreadable token before it in this statement explains it or
    /// another error stands at the same place.
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        let place = diagnostic.primary.span.start;
        let first = self.unreadable.partition_point(|start| *start < self.statement);
        let explained = self.unreadable.get(first).is_some_and(|start| *start <= place);
        let doubled = self.diagnostics.last().is_some_and(|last| {
            last.primary.span.start == place && last.is_error() && diagnostic.is_error()
        });
        if !explained && !doubled && self.diagnostics.len() <= MOST_MESSAGES {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Says what was expected here, and fails.
    pub(super) fn unexpected<T>(&mut self, expected: &str) -> Read<T> {
        let missing = self.at(TokenKind::End) || (self.on_new_line() && self.at_statement());
        let place = if missing { self.behind() } else { self.here() };
        self.unexpected_at(place, expected)
    }

    fn unexpected_at<T>(&mut self, place: Span, expected: &str) -> Read<T> {
        let message = format!("expected {expected}, found {}", self.found());
        self.report(Diagnostic::error(codes::UNEXPECTED, place, message));
        Err(Failed)
    }

    /// The next token for a message.
    pub(super) fn found(&self) -> String {
        const LONGEST: usize = 40;
        let token = self.peek(0);
        let text = self.text_of(token.span);
        let first = text.lines().next().unwrap_or_default();
        let short: String = first.chars().take(LONGEST).collect();
        let dots = if short.len() < text.len() { "…" } else { "" };
        match token.kind {
            TokenKind::End => "the end of the text".to_owned(),
            TokenKind::String => format!("the text {short}{dots}"),
            TokenKind::Script => "a body in braces".to_owned(),
            _ => format!("`{short}{dots}`"),
        }
    }

    // Bounds.

    /// Reads something that may hold its like, if that is not nested too deep.
    pub(super) fn nested<T>(
        &mut self,
        steps: usize,
        read: impl FnOnce(&mut Self) -> Read<T>,
    ) -> Read<T> {
        if self.depth + steps > DEEPEST {
            return self.too_deep(self.here(), "nested too deep");
        }
        self.depth += steps;
        let result = read(self);
        self.depth -= steps;
        result
    }

    /// Says that something is too much, and fails.
    pub(super) fn too_deep<T>(&mut self, span: Span, what: &str) -> Read<T> {
        let help = "split it into several queries; instead of a long `or`, use a table and `in`";
        self.report(Diagnostic::error(codes::TOO_DEEP, span, what).help(help));
        Err(Failed)
    }

    // Recovering.

    /// Notes that a statement begins here.
    pub(super) fn begin_statement(&mut self) {
        self.statement = self.here().start;
    }

    /// Whether a statement seems to begin here, whatever is unfinished before it.
    pub(super) fn at_statement(&self) -> bool {
        let next = self.peek(1);
        match self.peek(0).keyword {
            Some(Keyword::Define) => matches!(
                next.keyword,
                Some(
                    Keyword::Stream
                        | Keyword::Table
                        | Keyword::Window
                        | Keyword::Trigger
                        | Keyword::Aggregation
                        | Keyword::Function
                )
            ),
            Some(Keyword::Partition) => next.keyword == Some(Keyword::With),
            Some(Keyword::From) => self.on_new_line() && next.kind != TokenKind::Assign,
            _ => self.at(TokenKind::At) && self.on_new_line(),
        }
    }

    /// Skips the rest of a statement that failed, which began at `start` (see
    /// [`Parser::progress`]): to its `;` or to where another one begins.
    pub(super) fn skip_statement(&mut self, start: usize, inside_partition: bool) {
        while !matches!(self.kind(), TokenKind::End | TokenKind::Semicolon) {
            let ends = self.at_statement() || (inside_partition && self.at_partition_end());
            if ends && self.at > start {
                return;
            }
            self.bump();
        }
    }

    /// Whether an `end` stands here that closes a partition.
    pub(super) fn at_partition_end(&self) -> bool {
        let next = self.peek(1);
        self.at_keyword(Keyword::End)
            && (matches!(next.kind, TokenKind::Semicolon | TokenKind::End | TokenKind::At)
                || matches!(
                    next.keyword,
                    Some(Keyword::From | Keyword::Partition | Keyword::Define | Keyword::End)
                ))
    }

    /// Skips what cannot be read inside brackets, up to the one that closes them, and takes that.
    /// Fails if the statement ends before.
    pub(super) fn skip_to_close(&mut self, close: TokenKind) -> Read<()> {
        let mut open = 0_usize;
        loop {
            let kind = self.kind();
            match kind {
                TokenKind::End | TokenKind::Semicolon => return Err(Failed),
                _ if self.at_statement() => return Err(Failed),
                _ if kind == close && open == 0 => {
                    self.bump();
                    return Ok(());
                }
                TokenKind::OpenRound | TokenKind::OpenSquare => open += 1,
                TokenKind::CloseRound | TokenKind::CloseSquare => open = open.saturating_sub(1),
                _ => {}
            }
            self.bump();
        }
    }
}
