//! Values as they stand in a play: `'text'`, `5`, `1.5`, `true`, `null`, `['a', 'b']`.

use crate::event::Millis;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use std::sync::Arc;

/// Values of a row, and the time given to it, if one is.
pub(super) type WrittenRow = (Vec<Value>, Option<Millis>);

/// Reads one line, piece by piece.
pub(super) struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(line: &'a str) -> Scanner<'a> {
        Scanner { rest: line.trim_start() }
    }

    /// What has not been read.
    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    /// Whether nothing but a remark is left.
    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty() || self.rest.starts_with('#')
    }

    /// Takes a sign if it comes next.
    pub(super) fn eat(&mut self, sign: char) -> bool {
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    /// Takes a word if it comes next: letters, digits, `_`, `.`, `-`, or anything in backticks.
    /// A fault stream's `!` belongs to its name.
    pub(super) fn word(&mut self) -> Option<&'a str> {
        if let Some(quoted) = self.rest.strip_prefix('`') {
            let (word, rest) = quoted.split_once('`')?;
            self.rest = rest.trim_start();
            return Some(word);
        }
        let mark = usize::from(self.rest.starts_with('!'));
        let is_word = |c: char| c.is_alphanumeric() || "_.-".contains(c);
        let length = self.rest[mark..].find(|c| !is_word(c)).map(|at| at + mark);
        let (word, rest) = self.rest.split_at(length.unwrap_or(self.rest.len()));
        if word.len() == mark {
            return None;
        }
        self.rest = rest.trim_start();
        Some(word)
    }

    /// Takes a time behind `@`.
    pub(super) fn moment(&mut self) -> Result<Option<Millis>, String> {
        if !self.eat('@') {
            return Ok(None);
        }
        let digits = |c: char| !(c.is_ascii_digit() || c == '_' || c == '-');
        let length = self.rest.find(digits).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(length);
        self.rest = rest.trim_start();
        let time = number.replace('_', "").parse();
        time.map(Some).map_err(|_| "expected a time in milliseconds after `@`".to_owned())
    }

    /// Takes rows parted by `;`, each of values parted by `,` and with its time behind `@` if it
    /// has one of its own.
    pub(super) fn rows(&mut self) -> Result<Vec<WrittenRow>, String> {
        let mut rows = Vec::new();
        loop {
            let mut values = Vec::new();
            while !(self.is_at_end() || self.rest.starts_with([';', '@'])) {
                if !values.is_empty() && !self.eat(',') {
                    return Err(format!("expected `,` or `;` before `{}`", self.rest));
                }
                values.push(self.value()?);
            }
            rows.push((values, self.moment()?));
            if !self.eat(';') {
                break;
            }
        }
        if self.is_at_end() { Ok(rows) } else { Err(format!("did not expect `{}`", self.rest)) }
    }

    fn value(&mut self) -> Result<Value, String> {
        for quote in ['\'', '"'] {
            if let Some(text) = self.rest.strip_prefix(quote) {
                let (text, rest) = text.split_once(quote).ok_or("a text is not closed")?;
                self.rest = rest.trim_start();
                return Ok(Value::Text(Text::from(text)));
            }
        }
        if self.eat('[') {
            let mut values = Vec::new();
            while !self.eat(']') {
                if self.is_at_end() || (!values.is_empty() && !self.eat(',')) {
                    return Err("a list ends with `]`".to_owned());
                }
                values.push(self.value()?);
            }
            return Ok(Value::Object(Arc::new(Structure::List(values))));
        }
        let length = self.rest.find([',', ';', '@', '#', ']']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        let word = word.trim_end();
        match word {
            "null" => return Ok(Value::Null),
            "true" => return Ok(Value::Bool(true)),
            "false" => return Ok(Value::Bool(false)),
            _ => {}
        }
        let plain = word.replace('_', "");
        if let Ok(whole) = plain.parse::<i64>() {
            return Ok(i32::try_from(whole).map_or(Value::Long(whole), Value::Int));
        }
        match plain.parse::<f64>() {
            Ok(float) => Ok(Value::Double(float)),
            Err(_) => Err(format!(
                "`{word}` is no value; texts stand in quotes, absent values are `null`"
            )),
        }
    }
}

/// Appends a value as it would be written in a play.
pub(super) fn write(value: &Value, into: &mut String) {
    match value {
        Value::Text(text) => {
            let quote = if text.contains('\'') { '"' } else { '\'' };
            into.push(quote);
            into.push_str(text);
            into.push(quote);
        }
        Value::Object(structure) => match &**structure {
            Structure::Set(values) | Structure::List(values) => {
                into.push('[');
                write_all(values, into);
                into.push(']');
            }
            Structure::Map(entries) => {
                into.push('{');
                for (place, (name, value)) in entries.iter().enumerate() {
                    into.push_str(if place > 0 { ", " } else { "" });
                    into.push_str(name);
                    into.push_str(": ");
                    write(value, into);
                }
                into.push('}');
            }
            Structure::Error(text) => write(&Value::Text(text.clone()), into),
        },
        _ => value.write_text(into),
    }
}

/// Appends values with `, ` between them.
pub(super) fn write_all(values: &[Value], into: &mut String) {
    for (place, value) in values.iter().enumerate() {
        into.push_str(if place > 0 { ", " } else { "" });
        write(value, into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(line: &str) -> Result<Vec<WrittenRow>, String> {
        Scanner::new(line).rows()
    }

    #[test]
    fn rows_hold_values_of_all_kinds() {
        let row = vec![
            Value::from("a;b, 'c'"),
            Value::Int(-5),
            Value::Long(5_000_000_000),
            Value::Double(1.5),
            Value::Bool(true),
            Value::Null,
            Value::Object(Arc::new(Structure::List(vec![Value::from("x"), Value::Int(1)]))),
        ];
        let line = r#""a;b, 'c'", -5, 5_000_000_000, 1.5, true, null, ['x', 1]  # so it is"#;
        assert_eq!(rows(line), Ok(vec![(row.clone(), None)]));
        let mut shown = String::new();
        write_all(&row, &mut shown);
        assert_eq!(shown, r#""a;b, 'c'", -5, 5000000000, 1.5, true, null, ['x', 1]"#);
    }

    #[test]
    fn rows_of_one_send_stand_on_one_line() {
        let expected = vec![(vec![Value::Int(1)], Some(900)), (vec![Value::Int(2)], None)];
        assert_eq!(rows("1 @900; 2"), Ok(expected));
        assert_eq!(rows(""), Ok(vec![(vec![], None)]));
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for line in ["'a", "1 2", "1, x", "[1", "1 @x", "1, 2] "] {
            assert!(rows(line).is_err(), "{line}");
        }
    }
}
