//! Characters to tokens. It never stops: what it cannot read becomes a message and a token.

use crate::language::codes;
use crate::language::diagnostic::Diagnostic;
use crate::language::parser::MOST_MESSAGES;
use crate::language::token::Keyword;
use crate::language::token::Token;
use crate::language::token::TokenKind;
use crate::language::tree::Span;
use crate::language::variables;

/// What the lexer makes of a text.
pub(super) struct Lexed {
    /// All tokens; the last one is [`TokenKind::End`] and there is no other of that kind.
    pub(super) tokens: Vec<Token>,
    /// Where the comments are.
    pub(super) comments: Vec<Span>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// Cuts a text into tokens.
pub(super) fn lex(text: &str) -> Lexed {
    let mut lexer = Lexer {
        text,
        bytes: text.as_bytes(),
        at: 0,
        lexed: Lexed { tokens: Vec::new(), comments: Vec::new(), diagnostics: Vec::new() },
    };
    if text.starts_with('\u{feff}') {
        lexer.at = '\u{feff}'.len_utf8();
    }
    while lexer.at < text.len() {
        lexer.next();
    }
    lexer.push(TokenKind::End, text.len());
    lexer.lexed
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    lexed: Lexed,
}

impl Lexer<'_> {
    fn next(&mut self) {
        let start = self.at;
        let rest = &self.bytes[start..];
        match rest[0] {
            b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c => self.at += 1,
            b'-' if rest.starts_with(b"--") => self.line_comment(start),
            b'/' if rest.starts_with(b"/*") => self.block_comment(start),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word(start),
            b'0'..=b'9' => self.number(start),
            b'.' if rest.get(1).is_some_and(u8::is_ascii_digit) => self.number(start),
            b'"' if rest.starts_with(b"\"\"\"") => self.long_text(start),
            b'"' | b'\'' => self.short_text(start, rest[0]),
            b'`' => self.quoted_name(start),
            b'{' => self.script(start),
            b'$' if rest.get(1) == Some(&b'{') => self.variable(start),
            _ => self.sign(start),
        }
    }

    fn push(&mut self, kind: TokenKind, start: usize) {
        let span = Span::new(start, self.at);
        self.lexed.tokens.push(Token { kind, keyword: None, span });
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        if self.lexed.diagnostics.len() <= MOST_MESSAGES {
            self.lexed.diagnostics.push(diagnostic);
        }
    }

    /// Moves to the first byte from here on that fails the test, or to the end.
    fn skip_while(&mut self, test: impl Fn(u8) -> bool) {
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().position(|byte| !test(*byte)).unwrap_or(rest.len());
    }

    fn find(&self, from: usize, what: &str) -> Option<usize> {
        self.text.get(from..)?.find(what).map(|at| from + at)
    }

    fn line_comment(&mut self, start: usize) {
        self.skip_while(|byte| byte != b'\n' && byte != b'\r');
        self.lexed.comments.push(Span::new(start, self.at));
    }

    fn block_comment(&mut self, start: usize) {
        let end = self.find(start + 2, "*/");
        self.at = end.map_or(self.text.len(), |end| end + 2);
        self.lexed.comments.push(Span::new(start, self.at));
        if end.is_none() {
            let opening = Span::new(start, start + 2);
            self.report(
                Diagnostic::error(codes::UNCLOSED_COMMENT, opening, "this comment never ends")
                    .label("begins here")
                    .help("close it with `*/`"),
            );
        }
    }

    fn word(&mut self, start: usize) {
        self.skip_while(is_word);
        let keyword = Keyword::of(&self.text[start..self.at]);
        let span = Span::new(start, self.at);
        self.lexed.tokens.push(Token { kind: TokenKind::Word, keyword, span });
    }

    fn quoted_name(&mut self, start: usize) {
        self.at += 1;
        self.skip_while(|byte| byte != b'`' && byte != b'\n' && byte != b'\r');
        let span = Span::new(start, self.at);
        if self.bytes.get(self.at) != Some(&b'`') {
            self.report(
                Diagnostic::error(
                    codes::UNCLOSED_TEXT,
                    span,
                    "this name has no closing back-quote",
                )
                .help("close it with a back-quote on the same line"),
            );
            return self.push(TokenKind::Error, start);
        }
        self.at += 1;
        if span.len() > 1 {
            return self.push(TokenKind::Quoted, start);
        }
        let span = Span::new(start, self.at);
        self.report(Diagnostic::error(codes::UNEXPECTED, span, "a name cannot be empty"));
        self.push(TokenKind::Error, start);
    }

    fn short_text(&mut self, start: usize, quote: u8) {
        self.at += 1;
        self.skip_while(|byte| byte != quote && byte != b'\n' && byte != b'\r');
        if self.bytes.get(self.at) == Some(&quote) {
            self.at += 1;
            return self.text_token(start);
        }
        let quote = char::from(quote);
        self.report(
            Diagnostic::error(
                codes::UNCLOSED_TEXT,
                Span::new(start, self.at),
                "this text has no closing quote",
            )
            .label(format!("no {quote} up to the end of the line"))
            .help("a text that holds a quote stands in the other kind, or in \"\"\"..\"\"\""),
        );
        self.push(TokenKind::Error, start);
    }

    fn long_text(&mut self, start: usize) {
        let Some(end) = self.find(start + 3, "\"\"\"") else {
            self.at = self.text.len();
            self.report(
                Diagnostic::error(
                    codes::UNCLOSED_TEXT,
                    Span::new(start, start + 3),
                    "this text has no closing quotes",
                )
                .label("begins here")
                .help("close it with \"\"\""),
            );
            return self.push(TokenKind::Error, start);
        };
        self.at = end + 3;
        self.text_token(start);
    }

    /// A text that is closed; variables in it should have been replaced before.
    fn text_token(&mut self, start: usize) {
        let mut from = start;
        while let Some(at) = self.text[from..self.at].find("${").map(|at| from + at) {
            from = at + 2;
            let Some(length) = variables::length(&self.text[at..self.at]) else { continue };
            self.report_variable(Span::new(at, at + length));
            from = at + length;
        }
        self.push(TokenKind::String, start);
    }

    fn variable(&mut self, start: usize) {
        if let Some(length) = variables::length(&self.text[start..]) {
            self.at += length;
            self.report_variable(Span::new(start, self.at));
            return self.push(TokenKind::Error, start);
        }
        self.sign(start);
    }

    fn report_variable(&mut self, span: Span) {
        let name = &self.text[span.start + 2..span.end - 1];
        let message = format!("the variable `{name}` has no value");
        let help = format!("set {name} in the environment, or write its value here");
        self.report(Diagnostic::error(codes::VARIABLE_LEFT, span, message).help(help));
    }

    /// The body of a function. Braces in it are counted, but for those in `".."` and after `//`.
    fn script(&mut self, start: usize) {
        let mut open = 0_usize;
        while let Some(byte) = self.bytes.get(self.at).copied() {
            self.at += 1;
            match byte {
                b'{' => open += 1,
                b'}' => open -= 1,
                b'"' => self.skip_script_text(),
                b'/' if self.bytes.get(self.at) == Some(&b'/') => {
                    self.skip_while(|byte| byte != b'\n' && byte != b'\r');
                }
                _ => {}
            }
            if open == 0 {
                return self.push(TokenKind::Script, start);
            }
        }
        let opening = Span::new(start, start + 1);
        self.report(
            Diagnostic::error(codes::UNCLOSED_BODY, opening, "this `{` is never closed")
                .label("begins here")
                .help("braces in a function body must be balanced"),
        );
        self.push(TokenKind::Error, start);
    }

    /// After a `"` in a function body: past its partner, if that stands on the same line.
    fn skip_script_text(&mut self) {
        let start = self.at;
        self.skip_while(|byte| byte != b'"' && byte != b'\n' && byte != b'\r');
        if self.bytes.get(self.at) == Some(&b'"') {
            self.at += 1;
        } else {
            self.at = start;
        }
    }

    fn sign(&mut self, start: usize) {
        use TokenKind as T;
        const LONG: [(&[u8], TokenKind); 9] = [
            (b"...", T::Ellipsis),
            (b"->", T::Arrow),
            (b"<=", T::LessOrEqual),
            (b">=", T::GreaterOrEqual),
            (b"<>", T::Foreign),
            (b"==", T::Equal),
            (b"!=", T::NotEqual),
            (b"&&", T::Foreign),
            (b"||", T::Foreign),
        ];
        let rest = &self.bytes[start..];
        if let Some((sign, kind)) = LONG.into_iter().find(|(sign, _)| rest.starts_with(sign)) {
            self.at += sign.len();
            return self.push(kind, start);
        }
        let kind = match rest[0] {
            b':' => T::Colon,
            b';' => T::Semicolon,
            b'.' => T::Dot,
            b'(' => T::OpenRound,
            b')' => T::CloseRound,
            b'[' => T::OpenSquare,
            b']' => T::CloseSquare,
            b',' => T::Comma,
            b'=' => T::Assign,
            b'*' => T::Star,
            b'+' => T::Plus,
            b'?' => T::Question,
            b'-' => T::Minus,
            b'/' => T::Slash,
            b'%' => T::Percent,
            b'<' => T::Less,
            b'>' => T::Greater,
            b'!' => T::Bang,
            b'@' => T::At,
            b'#' => T::Hash,
            _ => return self.unknown(start),
        };
        self.at += 1;
        self.push(kind, start);
    }

    /// A run of characters that mean nothing, reported once.
    fn unknown(&mut self, start: usize) {
        let rest = &self.text[start..];
        let first = rest.chars().next().expect("a character stands here");
        if first.is_whitespace() || first == '\u{feff}' {
            self.at += first.len_utf8();
            return;
        }
        let meant = match first {
            '‘' | '’' | '“' | '”' | '´' => Some("'"),
            '–' | '—' | '−' => Some("-"),
            '≤' => Some("<="),
            '≥' => Some(">="),
            '≠' => Some("!="),
            '→' => Some("->"),
            _ => None,
        };
        let run = rest.find(|c: char| c.is_ascii() && !is_odd(c)).unwrap_or(rest.len());
        self.at += if meant.is_some() { first.len_utf8() } else { run.max(first.len_utf8()) };
        let span = Span::new(start, self.at);
        let shown: String = rest[..span.len()].chars().take(10).flat_map(show).collect();
        let message = format!("`{shown}` has no meaning here");
        let mut diagnostic = Diagnostic::error(codes::UNKNOWN_CHARACTER, span, message);
        diagnostic = match meant {
            Some(sign) => diagnostic.help(format!("write {sign}")).suggest(span, sign),
            None if first.is_alphabetic() => {
                diagnostic.help("names consist of letters a to z, digits and _; texts need quotes")
            }
            None => diagnostic,
        };
        self.report(diagnostic);
        self.push(TokenKind::Error, start);
    }

    fn number(&mut self, start: usize) {
        self.skip_while(|byte| byte.is_ascii_digit());
        let mut real = false;
        if self.bytes.get(self.at) == Some(&b'.') && !self.bytes[self.at..].starts_with(b"..") {
            self.at += 1;
            real = true;
            self.skip_while(|byte| byte.is_ascii_digit());
        }
        let point_last = real && self.bytes[self.at - 1] == b'.';
        let exponent = self.exponent();
        let suffix = self.at;
        self.skip_while(is_word);
        let kind = match &self.text[suffix..self.at] {
            "" if point_last && !exponent => return self.bad_number(start, true),
            "" if real || exponent => TokenKind::Double,
            "" => TokenKind::Int,
            "l" | "L" if !real && !exponent => TokenKind::Long,
            "f" | "F" => TokenKind::Float,
            "d" | "D" => TokenKind::Double,
            // `5sec`, `10insert`: two words that touch.
            word if !real && !exponent && Keyword::of(word).is_some() => {
                self.at = suffix;
                TokenKind::Int
            }
            _ => return self.bad_number(start, false),
        };
        self.push(kind, start);
    }

    /// Reads `e5`, `E-5` and so on, if it stands here, and tells whether it did.
    fn exponent(&mut self) -> bool {
        let rest = &self.bytes[self.at..];
        if !matches!(rest.first(), Some(b'e' | b'E')) {
            return false;
        }
        let sign = usize::from(matches!(rest.get(1), Some(b'+' | b'-')));
        if !rest.get(1 + sign).is_some_and(u8::is_ascii_digit) {
            return false;
        }
        self.at += 1 + sign;
        self.skip_while(|byte| byte.is_ascii_digit());
        true
    }

    fn bad_number(&mut self, start: usize, point_last: bool) {
        let span = Span::new(start, self.at);
        let text = &self.text[start..self.at];
        let message = format!("`{}` is not a number", text.chars().take(40).collect::<String>());
        let diagnostic = Diagnostic::error(codes::MALFORMED_NUMBER, span, message);
        self.report(if point_last {
            diagnostic.label("a digit must follow the point").suggest(span, format!("{text}0"))
        } else {
            diagnostic
                .help("numbers: 5, 5L, 5f, 5.0, .5, 5e3, 5D; a name cannot begin with a digit")
        });
        self.push(TokenKind::Error, start);
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// ASCII characters that begin no token.
fn is_odd(c: char) -> bool {
    (c.is_ascii_control() && !c.is_ascii_whitespace()) || "$&\\^|}~".contains(c)
}

/// A character fit for a message: control characters by number.
fn show(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}
