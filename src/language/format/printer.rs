//! Words, gaps and groups on their way to a page; puts the comments back where they were.
//!
//! The formatter says what it prints word by word. The printer follows along in the tokens of the
//! source, as far as there is one, and so knows which comments stand before each word. At the end
//! it decides which groups fit on a line.

use crate::language::format::layout::Piece;
use crate::language::format::layout::lay_out;
use crate::language::lexer::lex;
use crate::language::token::Keyword;
use crate::language::token::Token;
use crate::language::token::TokenKind;
use crate::language::tree::Span;

/// What stands between two words; of several the greatest wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gap {
    Nothing,
    Space,
    /// Nothing, or a new line if the group does not fit.
    SoftNothing,
    /// A blank, or a new line if the group does not fit.
    Soft,
    Line,
    /// An empty line.
    Blank,
}

/// Collects what is printed.
pub(super) struct Printer<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    /// The first token that has not been printed.
    next_token: usize,
    comments: &'a [Span],
    next_comment: usize,
    pieces: Vec<Piece>,
    /// Whether a `--` comment was the last thing printed: nothing else fits on its line.
    line_taken: bool,
    /// Starts and ends of groups that come before the gap to the next word.
    before_gap: Vec<Piece>,
    gap: Gap,
    /// Whether the gap lies between statements, where the author's empty lines are kept.
    between_statements: bool,
    /// Those that come after it.
    after_gap: Vec<Piece>,
}

impl<'a> Printer<'a> {
    /// Prints with the comments of a source.
    pub(super) fn with_source(text: &'a str, comments: &'a [Span]) -> Printer<'a> {
        let mut printer = Printer::without_source();
        printer.text = text;
        printer.tokens = lex(text).tokens;
        printer.comments = comments;
        printer
    }

    /// Prints without any comments.
    pub(super) fn without_source() -> Printer<'a> {
        Printer {
            text: "",
            tokens: Vec::new(),
            next_token: 0,
            comments: &[],
            next_comment: 0,
            pieces: Vec::new(),
            line_taken: false,
            before_gap: Vec::new(),
            gap: Gap::Nothing,
            between_statements: true,
            after_gap: Vec::new(),
        }
    }

    /// A keyword or sign.
    pub(super) fn word(&mut self, text: &str) {
        let place = self.find(text);
        // A comment before `,` or `;` is printed after it: it is about what stands before.
        if !matches!(text, "," | ";") {
            self.comments_before(place.map_or(0, |token| token.span.start), text);
        }
        if self.between_statements
            && let Some(token) = place
        {
            self.keep_blank(token.span.start);
        }
        self.push_text(text.to_owned());
    }

    /// Several keywords with a blank between them.
    pub(super) fn words(&mut self, text: &str) {
        for (at, word) in text.split(' ').enumerate() {
            if at > 0 {
                self.gap(Gap::Space);
            }
            self.word(word);
        }
    }

    /// A name or constant that stands in the source.
    pub(super) fn leaf(&mut self, text: String, span: Span) {
        self.comments_before(span.start, &text);
        if !self.tokens.is_empty() {
            let rest = &self.tokens[self.next_token..];
            self.next_token += rest.partition_point(|token| token.span.start < span.end);
        }
        self.push_text(text);
    }

    /// What stands before the next word.
    pub(super) fn gap(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }

    /// The end of a statement: a new line or more before the next one.
    pub(super) fn gap_between_statements(&mut self, gap: Gap) {
        self.gap(gap);
        self.between_statements = true;
    }

    /// Begins a group: either all its soft gaps are new lines or none.
    pub(super) fn open(&mut self) {
        self.structure(Piece::Open);
    }

    pub(super) fn close(&mut self) {
        self.structure(Piece::Close);
    }

    /// New lines from here on begin further right.
    pub(super) fn indent(&mut self) {
        self.structure(Piece::Indent);
    }

    pub(super) fn dedent(&mut self) {
        self.structure(Piece::Dedent);
    }

    /// `(`, the items with commas between, `)`; one item a line if they do not fit.
    pub(super) fn list<T>(&mut self, items: &[T], mut print: impl FnMut(&mut Self, &T)) {
        self.word("(");
        if items.is_empty() {
            return self.word(")");
        }
        self.open();
        self.indent();
        self.gap(Gap::SoftNothing);
        self.items(items, &mut print);
        self.dedent();
        self.gap(Gap::SoftNothing);
        self.word(")");
        self.close();
    }

    /// Items with commas and soft gaps between.
    pub(super) fn items<T>(&mut self, items: &[T], mut print: impl FnMut(&mut Self, &T)) {
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.word(",");
                self.gap(Gap::Soft);
            }
            print(self, item);
        }
    }

    /// Everything printed, as text.
    pub(super) fn finish(mut self) -> String {
        self.gap_between_statements(Gap::Line);
        self.comments_before(usize::MAX, "");
        self.pieces.append(&mut self.before_gap);
        lay_out(&self.pieces)
    }

    fn structure(&mut self, piece: Piece) {
        if self.gap == Gap::Nothing {
            self.before_gap.push(piece);
        } else {
            self.after_gap.push(piece);
        }
    }

    fn push_text(&mut self, text: String) {
        self.push_gap();
        self.pieces.push(Piece::Text(text));
        self.line_taken = false;
    }

    fn push_gap(&mut self) {
        self.pieces.append(&mut self.before_gap);
        let gap = std::mem::replace(&mut self.gap, Gap::Nothing);
        self.between_statements = false;
        // Nothing stands before the first word.
        if !self.pieces.is_empty() {
            self.pieces.extend(match gap {
                Gap::Nothing => None,
                Gap::Space => Some(Piece::Space),
                Gap::SoftNothing => Some(Piece::Break { flat: "" }),
                Gap::Soft => Some(Piece::Break { flat: " " }),
                Gap::Line => Some(Piece::Line { blank: false }),
                Gap::Blank => Some(Piece::Line { blank: true }),
            });
        }
        self.pieces.append(&mut self.after_gap);
    }

    /// The token of the source that a word is, which is the next one but for tokens that the
    /// formatter leaves out.
    fn find(&mut self, text: &str) -> Option<Token> {
        for (ahead, token) in self.tokens[self.next_token..].iter().enumerate() {
            if self.text[token.span.start..token.span.end].eq_ignore_ascii_case(text) {
                self.next_token += ahead + 1;
                return Some(*token);
            }
            let left_out =
                matches!(
                    token.kind,
                    TokenKind::OpenRound
                        | TokenKind::CloseRound
                        | TokenKind::Semicolon
                        | TokenKind::Hash
                        | TokenKind::Plus
                ) || matches!(token.keyword, Some(Keyword::Inner | Keyword::Asc | Keyword::All));
            if !left_out {
                break;
            }
        }
        None
    }

    /// Prints the comments that stand before a place of the source and have not been printed.
    fn comments_before(&mut self, place: usize, next_word: &str) {
        while let Some(span) = self.comments.get(self.next_comment).copied() {
            if span.start >= place {
                return;
            }
            self.next_comment += 1;
            self.comment(span, next_word);
        }
    }

    fn comment(&mut self, span: Span, next_word: &str) {
        let text = self.text[span.start..span.end].trim_end().to_owned();
        let to_line_end = text.starts_with("--");
        let (breaks, at_start) = self.breaks_before(span.start);
        let statements = self.between_statements;
        let line_taken = std::mem::replace(&mut self.line_taken, to_line_end);
        if breaks > 0 || at_start || line_taken || self.pieces.is_empty() {
            self.gap(if statements && breaks > 1 { Gap::Blank } else { Gap::Line });
            let after_gap = std::mem::take(&mut self.after_gap);
            self.push_gap();
            self.after_gap = after_gap;
            self.pieces.push(Piece::Text(text));
            self.gap = Gap::Line;
            self.between_statements = statements;
            return;
        }
        let opened =
            matches!(self.pieces.last(), Some(Piece::Text(last)) if last.ends_with(['(', '[']));
        if to_line_end || !opened {
            self.pieces.push(Piece::Space);
        }
        self.pieces.push(if to_line_end { Piece::Comment(text) } else { Piece::Text(text) });
        if to_line_end {
            self.gap(Gap::Line);
        } else if !matches!(next_word, ")" | "]" | "," | ";" | "") {
            self.gap(if self.gap == Gap::SoftNothing { Gap::Soft } else { Gap::Space });
        }
    }

    /// Keeps the author's empty line before a statement.
    fn keep_blank(&mut self, place: usize) {
        if self.breaks_before(place).0 > 1 {
            self.gap(Gap::Blank);
        }
    }

    /// How many line ends directly precede a place, and whether only blanks do.
    fn breaks_before(&self, place: usize) -> (usize, bool) {
        let before = &self.text[..place];
        let blanks = &before[before.trim_end().len()..];
        (blanks.matches('\n').count(), blanks.len() == before.len())
    }
}
