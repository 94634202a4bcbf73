//! The text of a function as tokens.

use crate::event::Text;
use crate::plan::signature::ScriptFault;

/// A token and the byte at which it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it begins in the body.
    pub at: usize,
    /// Whether a line begins between the token before and this one.
    pub fresh: bool,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A number.
    Number(f64),
    /// A text in quotes.
    Text(Text),
    /// A name or keyword.
    Word(Text),
    /// `/pattern/flags`
    Regex(Text, Text),
    /// A sign.
    Sign(&'static str),
    /// The end of the body.
    End,
}

/// All signs, longer ones before those that they begin with.
const SIGNS: &[&str] = &[
    ">>>=", "...", "===", "!==", ">>>", "<<=", ">>=", "**=", "=>", "==", "!=", "<=", ">=", "&&",
    "||", "??", "?.", "++", "--", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<", ">>", "**",
    "{", "}", "(", ")", "[", "]", ";", ",", "<", ">", "+", "-", "*", "/", "%", "&", "|", "^", "!",
    "~", "?", ":", "=", ".",
];

/// Words behind which an expression begins, so that a `/` there opens a pattern.
const BEFORE_VALUES: &[&str] = &["return", "typeof", "case", "in", "of", "else", "do", "throw"];

/// How deep templates may stand in each other.
const DEEPEST: usize = 8;

/// Takes a body apart.
///
/// # Errors
/// The first thing that is no token.
pub fn tokens(text: &str) -> Result<Vec<Token>, ScriptFault> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new(), fresh: false };
    lexer.run(text.len(), DEEPEST)?;
    lexer.push(text.len(), Kind::End);
    Ok(lexer.tokens)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    tokens: Vec<Token>,
    fresh: bool,
}

impl Lexer<'_> {
    fn push(&mut self, at: usize, kind: Kind) {
        let fresh = std::mem::take(&mut self.fresh);
        self.tokens.push(Token { kind, at, fresh });
    }

    fn fault<T>(&self, at: usize, message: impl Into<String>) -> Result<T, ScriptFault> {
        Err(ScriptFault::at(at, message))
    }

    /// Reads tokens up to a byte.
    fn run(&mut self, end: usize, depth: usize) -> Result<(), ScriptFault> {
        loop {
            self.space()?;
            if self.at >= end {
                return Ok(());
            }
            self.token(depth)?;
        }
    }

    fn space(&mut self) -> Result<(), ScriptFault> {
        loop {
            let rest = &self.text[self.at..];
            let Some(first) = rest.chars().next() else { return Ok(()) };
            if first.is_whitespace() || first == '\u{feff}' {
                self.fresh |= first == '\n';
                self.at += first.len_utf8();
            } else if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if let Some(inside) = rest.strip_prefix("/*") {
                let Some(length) = inside.find("*/") else {
                    return self.fault(self.at, "this comment never ends");
                };
                self.fresh |= inside[..length].contains('\n');
                self.at += length + 4;
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self, depth: usize) -> Result<(), ScriptFault> {
        let (start, rest) = (self.at, &self.text[self.at..]);
        let first = rest.chars().next().expect("the end was seen before");
        match first {
            '"' | '\'' => {
                let text = self.quoted(first)?;
                self.push(start, Kind::Text(text));
            }
            '`' => self.template(depth)?,
            '0'..='9' => self.number()?,
            '.' if rest[1..].starts_with(|next: char| next.is_ascii_digit()) => self.number()?,
            _ if first.is_alphabetic() || first == '_' || first == '$' => {
                let stays = |each: char| each.is_alphanumeric() || each == '_' || each == '$';
                let length = rest.find(|each| !stays(each)).unwrap_or(rest.len());
                self.at += length;
                self.push(start, Kind::Word(rest[..length].into()));
            }
            '/' if self.value_may_begin() => self.regex()?,
            _ => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(sign) => {
                    self.at += sign.len();
                    self.push(start, Kind::Sign(sign));
                }
                None => return self.fault(start, format!("`{first}` means nothing here")),
            },
        }
        Ok(())
    }

    fn value_may_begin(&self) -> bool {
        match self.tokens.last().map(|token| &token.kind) {
            None => true,
            Some(Kind::Sign(sign)) => !matches!(*sign, ")" | "]" | "}" | "++" | "--"),
            Some(Kind::Word(word)) => BEFORE_VALUES.contains(&word.as_str()),
            Some(_) => false,
        }
    }

    fn number(&mut self) -> Result<(), ScriptFault> {
        let (start, rest) = (self.at, &self.text[self.at..]);
        for (prefixes, base) in [(["0x", "0X"], 16), (["0b", "0B"], 2), (["0o", "0O"], 8)] {
            if prefixes.iter().any(|prefix| rest.starts_with(prefix)) {
                let digits = &rest[2..];
                let length = digits.find(|each: char| !each.is_ascii_alphanumeric());
                let length = length.unwrap_or(digits.len());
                let number = u64::from_str_radix(&digits[..length], base);
                let Ok(number) = number else { return self.fault(start, "this is no number") };
                self.at += length + 2;
                self.push(start, Kind::Number(number as f64));
                return Ok(());
            }
        }
        let bytes = rest.as_bytes();
        let mut length = 0;
        while let Some(byte) = bytes.get(length) {
            let sign = matches!(byte, b'+' | b'-') && matches!(bytes[length - 1], b'e' | b'E');
            if !sign && !byte.is_ascii_alphanumeric() && *byte != b'.' {
                break;
            }
            length += 1;
        }
        let Ok(number) = rest[..length].parse::<f64>() else {
            return self.fault(start, "this is no number");
        };
        self.at += length;
        self.push(start, Kind::Number(number));
        Ok(())
    }

    /// The text up to its closing quote.
    fn quoted(&mut self, quote: char) -> Result<Text, ScriptFault> {
        let start = self.at;
        self.at += 1;
        let mut out = Text::new();
        loop {
            let Some(next) = self.text[self.at..].chars().next() else {
                return self.fault(start, "this text never ends");
            };
            self.at += next.len_utf8();
            match next {
                '\n' => return self.fault(start, "this text never ends"),
                '\\' => self.escape(&mut out)?,
                _ if next == quote => return Ok(out),
                _ => out.push(next),
            }
        }
    }

    fn escape(&mut self, out: &mut Text) -> Result<(), ScriptFault> {
        let start = self.at;
        let Some(next) = self.text[self.at..].chars().next() else {
            return self.fault(start, "this text never ends");
        };
        self.at += next.len_utf8();
        match next {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'v' => out.push('\u{b}'),
            '0' => out.push('\0'),
            '\n' => {}
            'x' | 'u' => {
                let length = if next == 'x' { 2 } else { 4 };
                let digits = self.text.get(self.at..self.at + length);
                let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                let Some(character) = code.and_then(char::from_u32) else {
                    return self.fault(start, "expected the number of a character");
                };
                self.at += length;
                out.push(character);
            }
            other => out.push(other),
        }
        Ok(())
    }

    /// A template becomes what it stands for: texts and expressions in brackets, added up.
    fn template(&mut self, depth: usize) -> Result<(), ScriptFault> {
        let start = self.at;
        if depth == 0 {
            return self.fault(start, "templates stand too deep in each other");
        }
        self.at += 1;
        self.push(start, Kind::Sign("("));
        let mut out = Text::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(next) = rest.chars().next() else {
                return self.fault(start, "this template never ends");
            };
            if rest.starts_with("${") {
                self.push(self.at, Kind::Text(std::mem::take(&mut out)));
                self.push(self.at, Kind::Sign("+"));
                self.push(self.at, Kind::Sign("("));
                self.at += 2;
                self.inside(start, depth)?;
                self.push(self.at, Kind::Sign(")"));
                self.push(self.at, Kind::Sign("+"));
                continue;
            }
            self.at += next.len_utf8();
            match next {
                '`' => break,
                '\\' => self.escape(&mut out)?,
                _ => out.push(next),
            }
        }
        self.push(self.at, Kind::Text(out));
        self.push(self.at, Kind::Sign(")"));
        Ok(())
    }

    /// The tokens of an expression in a template, up to the brace that closes it.
    fn inside(&mut self, start: usize, depth: usize) -> Result<(), ScriptFault> {
        let mut open = 0;
        loop {
            self.space()?;
            match self.text.as_bytes().get(self.at) {
                None => return self.fault(start, "this template never ends"),
                Some(b'}') if open == 0 => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'}') => open -= 1,
                Some(b'{') => open += 1,
                Some(_) => {}
            }
            self.token(depth - 1)?;
        }
    }

    fn regex(&mut self) -> Result<(), ScriptFault> {
        let start = self.at;
        let (mut escaped, mut class) = (false, false);
        let rest = &self.text[start + 1..];
        for (length, next) in rest.char_indices() {
            match next {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '[' => class = true,
                ']' => class = false,
                '/' if !class => {
                    let flags = &rest[length + 1..];
                    let more = flags.find(|each: char| !each.is_ascii_alphabetic());
                    let flags = &flags[..more.unwrap_or(flags.len())];
                    self.at = start + length + 2 + flags.len();
                    self.push(start, Kind::Regex(rest[..length].into(), flags.into()));
                    return Ok(());
                }
                _ => {}
            }
        }
        self.fault(start, "this regular expression never ends")
    }
}
