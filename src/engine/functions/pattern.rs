//! Regular expressions as Java writes them, run by an engine that takes time in proportion to the
//! text; constant ones are compiled once, when the plan is.

use crate::engine::expressions::by_row::Trouble;
use crate::event::Text;
use crate::plan::expression::Expr;
use crate::plan::signature::ArgumentFault;
use regex::Captures;
use regex::Regex;
use regex::RegexBuilder;

/// The most memory that a compiled expression may take, in bytes.
const LARGEST: usize = 1 << 20;

/// A regular expression that is an argument: known when the plan is compiled, or named by each row.
pub struct Pattern {
    fixed: bool,
    /// The expression compiled last, and its text.
    known: Option<(Text, Regex)>,
    wrapped: bool,
}

impl Pattern {
    /// The pattern that stands at `place` of the arguments. A `whole` one matches only from the
    /// first to the last character.
    ///
    /// # Errors
    /// That a constant is no regular expression, or none that can be run.
    pub fn new(arguments: &[Expr], place: usize, whole: bool) -> Result<Pattern, ArgumentFault> {
        let mut pattern = Pattern { fixed: false, known: None, wrapped: whole };
        let constant = arguments.get(place).and_then(|argument| argument.as_constant());
        if let Some(text) = constant.and_then(|value| value.as_text()) {
            pattern.known = Some((text.into(), compiled(text, whole).map_err(at(place))?));
            pattern.fixed = true;
        }
        Ok(pattern)
    }

    /// The pattern whose text a row gives.
    ///
    /// # Errors
    /// That it is no regular expression, or none that can be run.
    pub fn of(&mut self, text: &Text) -> Result<&Regex, Trouble> {
        let stale = !self.fixed && self.known.as_ref().is_none_or(|(known, _)| known != text);
        if stale {
            self.known =
                Some((text.clone(), compiled(text, self.wrapped).map_err(|(why, _)| why)?));
        }
        Ok(&self.known.as_ref().expect("it was compiled above").1)
    }
}

fn at(place: usize) -> impl Fn((String, bool)) -> ArgumentFault {
    move |(message, not_supported)| ArgumentFault { argument: Some(place), message, not_supported }
}

/// Compiles an expression, or says why that is not possible, and whether Java would have done it.
pub fn compiled(text: &str, whole: bool) -> Result<Regex, (String, bool)> {
    let translated = translated(text);
    let source = if whole { format!("^(?:{translated})$") } else { translated };
    RegexBuilder::new(&source).size_limit(LARGEST).build().map_err(|error| {
        let error = error.to_string();
        let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ").trim();
        let ahead = reason.contains("look-around") || reason.contains("backreference");
        let message = format!("the regular expression '{text}' cannot be read: {reason}");
        (message, ahead)
    })
}

/// The expression in the words of the engine: Java's classes hold ASCII alone, and `\Q..\E` quotes.
fn translated(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut characters = text.chars().peekable();
    // How many `[` are open.
    let mut depth = 0usize;
    while let Some(character) = characters.next() {
        match character {
            '[' => {
                depth += 1;
                out.push('[');
            }
            ']' => {
                depth = depth.saturating_sub(1);
                out.push(']');
            }
            '\\' => match characters.next() {
                Some('Q') => quote(&mut characters, &mut out),
                Some('d') => class("0-9", depth, &mut out),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => class("a-zA-Z0-9_", depth, &mut out),
                Some('W') => out.push_str("[^a-zA-Z0-9_]"),
                Some('s') => class(r"\t\n\x0B\f\r ", depth, &mut out),
                Some('S') => out.push_str(r"[^\t\n\x0B\f\r ]"),
                Some('Z') => out.push_str(r"(?:\r?\n)?\z"),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            other => out.push(other),
        }
    }
    out
}

fn class(members: &str, depth: usize, out: &mut String) {
    if depth > 0 {
        out.push_str(members);
    } else {
        out.extend(["[", members, "]"]);
    }
}

fn quote(characters: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    let mut quoted = String::new();
    while let Some(character) = characters.next() {
        if character == '\\' && characters.peek() == Some(&'E') {
            characters.next();
            break;
        }
        quoted.push(character);
    }
    out.push_str(&regex::escape(&quoted));
}

/// Appends a replacement as Java reads it: `$1` and `${name}` stand for groups, a backslash for the
/// character behind it.
///
/// # Errors
/// If it names a group that the expression does not have.
pub fn replace(
    replacement: &str,
    captures: &Captures<'_>,
    out: &mut String,
) -> Result<(), Trouble> {
    let mut rest = replacement;
    while let Some(at) = rest.find(['$', '\\']) {
        out.push_str(&rest[..at]);
        let (sign, behind) = rest[at..].split_at(1);
        if sign == "\\" {
            let mut characters = behind.chars();
            out.extend(characters.next());
            rest = characters.as_str();
            continue;
        }
        rest = match behind.strip_prefix('{').and_then(|behind| behind.split_once('}')) {
            Some((name, behind)) => {
                let group = captures.name(name);
                out.push_str(group.map_or("", |group| group.as_str()));
                behind
            }
            None => numbered(behind, captures, out)?,
        };
    }
    out.push_str(rest);
    Ok(())
}

/// A group by its number, of which as many digits count as there are groups for; gives what is
/// behind it.
fn numbered<'t>(
    text: &'t str,
    captures: &Captures<'_>,
    out: &mut String,
) -> Result<&'t str, Trouble> {
    let mut number = None;
    let mut length = 0;
    for digit in text.bytes().take_while(u8::is_ascii_digit) {
        let longer = number.unwrap_or(0) * 10 + usize::from(digit - b'0');
        if number.is_some() && longer >= captures.len() {
            break;
        }
        number = Some(longer);
        length += 1;
    }
    match number {
        Some(number) if number < captures.len() => {
            out.push_str(captures.get(number).map_or("", |group| group.as_str()));
            Ok(&text[length..])
        }
        Some(number) => Err(format!("the regular expression has no group {number}").into()),
        None => Err("a `$` in a replacement stands before the number of a group".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        compiled(pattern, true).expect("it can be read").is_match(text)
    }

    #[test]
    fn classes_hold_ascii_and_quotes_quote() {
        assert!(matches(r"\d+", "12"));
        assert!(!matches(r"\d+", "١٢"));
        assert!(matches(r"[\d.]+", "1.2"));
        assert!(matches(r"[^\d]+", "ab"));
        assert!(matches(r"[a\D]+", "ab"));
        assert!(!matches(r"\w", "ü"));
        assert!(matches(r"\Qa.b\E+", "a.bb"));
        assert!(!matches(r"\Qa.b\E", "axb"));
        assert!(matches("a|bc", "bc"));
        assert!(!matches("a|bc", "abc"));
    }

    #[test]
    fn what_cannot_be_run_is_told_from_what_is_wrong() {
        assert!(compiled("a(?=b)", false).expect_err("refused").1);
        assert!(compiled(r"(a)\1", false).expect_err("refused").1);
        assert!(!compiled("a(", false).expect_err("refused").1);
    }

    fn replaced(pattern: &str, text: &str, replacement: &str) -> Result<String, Trouble> {
        let regex = compiled(pattern, false).expect("it can be read");
        let captures = regex.captures(text).expect("it is found");
        let mut out = String::new();
        replace(replacement, &captures, &mut out).map(|()| out)
    }

    #[test]
    fn replacements_name_groups() {
        assert_eq!(replaced("(a)(b)", "ab", "$2-$1"), Ok("b-a".into()));
        assert_eq!(replaced("(a)(b)", "ab", "$12"), Ok("a2".into()));
        assert_eq!(replaced("(?<x>a)b", "ab", r"${x}\$1\\"), Ok(r"a$1\".into()));
        assert!(replaced("(a)", "a", "$3").is_err());
        assert!(replaced("(a)", "a", "$").is_err());
    }
}
