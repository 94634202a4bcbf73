//! JSON as text to values and back, and the paths by which parts of it are named.

use crate::engine::expressions::by_row::Trouble;
use crate::engine::expressions::number_text::value_text;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use std::fmt::Write;
use std::sync::Arc;

/// How deep brackets may stand in each other.
const DEEPEST: usize = 64;

/// Reads a text of JSON; texts in it may stand in single quotes, which a plan can write.
///
/// # Errors
/// What is wrong with it, and at which byte.
pub fn read(text: &str) -> Result<Value, Trouble> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(DEEPEST)?;
    reader.space();
    if reader.at < text.len() { Err(reader.wrong("the end")) } else { Ok(value) }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Whether this sign stands next, which is passed then.
    fn sign(&mut self, sign: u8) -> bool {
        self.space();
        let found = self.peek() == Some(sign);
        self.at += usize::from(found);
        found
    }

    fn wrong(&self, expected: &str) -> Trouble {
        format!("no JSON: expected {expected} at byte {}", self.at).into()
    }

    fn value(&mut self, depth: usize) -> Result<Value, Trouble> {
        if depth == 0 {
            return Err(format!("JSON with more than {DEEPEST} brackets in each other").into());
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(quote @ (b'"' | b'\'')) => Ok(Value::Text(self.quoted(quote)?)),
            _ => self.word(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Trouble> {
        self.at += 1;
        let mut entries: Vec<(Text, Value)> = Vec::new();
        if !self.sign(b'}') {
            loop {
                self.space();
                let key = match self.peek() {
                    Some(quote @ (b'"' | b'\'')) => self.quoted(quote)?,
                    _ => return Err(self.wrong("a key in quotes")),
                };
                if !self.sign(b':') {
                    return Err(self.wrong("`:`"));
                }
                let value = self.value(depth - 1)?;
                put(&mut entries, key, value);
                if self.sign(b'}') {
                    break;
                }
                if !self.sign(b',') {
                    return Err(self.wrong("`,` or `}`"));
                }
            }
        }
        Ok(Value::Object(Arc::new(Structure::Map(entries))))
    }

    fn list(&mut self, depth: usize) -> Result<Value, Trouble> {
        self.at += 1;
        let mut values = Vec::new();
        if !self.sign(b']') {
            loop {
                values.push(self.value(depth - 1)?);
                if self.sign(b']') {
                    break;
                }
                if !self.sign(b',') {
                    return Err(self.wrong("`,` or `]`"));
                }
            }
        }
        Ok(Value::Object(Arc::new(Structure::List(values))))
    }

    fn quoted(&mut self, quote: u8) -> Result<Text, Trouble> {
        self.at += 1;
        let mut out = Text::new();
        loop {
            let rest = &self.text[self.at..];
            let stop = |byte: &u8| *byte == quote || *byte == b'\\';
            let Some(length) = rest.bytes().position(|byte| stop(&byte)) else {
                return Err(self.wrong("the end of a text"));
            };
            out.push_str(&rest[..length]);
            self.at += length + 1;
            if rest.as_bytes()[length] == quote {
                return Ok(out);
            }
            let escape = self.peek().ok_or_else(|| self.wrong("an escape"))?;
            self.at += 1;
            out.push(match escape {
                b'n' => '\n',
                b't' => '\t',
                b'r' => '\r',
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'u' => self.unicode()?,
                b'"' | b'\'' | b'\\' | b'/' => char::from(escape),
                _ => return Err(self.wrong("an escape")),
            });
        }
    }

    fn unicode(&mut self) -> Result<char, Trouble> {
        let first = self.unit()?;
        if !(0xd800..0xdc00).contains(&first) {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        if !self.text[self.at..].starts_with("\\u") {
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        self.at += 2;
        let second = self.unit()?;
        let whole = 0x1_0000 + ((first - 0xd800) << 10) + second.wrapping_sub(0xdc00);
        Ok(char::from_u32(whole).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn unit(&mut self) -> Result<u32, Trouble> {
        let digits = self.text.get(self.at..self.at + 4);
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or_else(|| self.wrong("four hexadecimal digits"))?;
        self.at += 4;
        Ok(unit)
    }

    fn word(&mut self) -> Result<Value, Trouble> {
        let rest = &self.text[self.at..];
        let ends =
            |byte: u8| matches!(byte, b',' | b']' | b'}' | b':') || byte.is_ascii_whitespace();
        let length = rest.bytes().position(ends).unwrap_or(rest.len());
        let word = &rest[..length];
        let value = match word {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            _ => number(word).ok_or_else(|| self.wrong("a value"))?,
        };
        self.at += length;
        Ok(value)
    }
}

/// An int if it fits, else a long, else a double.
fn number(word: &str) -> Option<Value> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    if !digits.bytes().next()?.is_ascii_digit() {
        return None;
    }
    if let Ok(whole) = word.parse::<i64>() {
        return Some(i32::try_from(whole).map_or(Value::Long(whole), Value::Int));
    }
    let plain =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    word.bytes().all(plain).then(|| word.parse().ok().map(Value::Double))?
}

/// Sets the value of a key; a new key comes last.
pub fn put(entries: &mut Vec<(Text, Value)>, key: Text, value: Value) {
    match entries.iter_mut().find(|(known, _)| *known == key) {
        Some((_, old)) => *old = value,
        None => entries.push((key, value)),
    }
}

/// Appends a value as JSON.
pub fn write(value: &Value, out: &mut Text) {
    match value {
        Value::Text(text) => write_text(text, out),
        Value::Float(value) if !value.is_finite() => out.push_str("null"),
        Value::Double(value) if !value.is_finite() => out.push_str("null"),
        Value::Object(object) => match &**object {
            Structure::List(values) | Structure::Set(values) => {
                out.push('[');
                for (place, value) in values.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    write(value, out);
                }
                out.push(']');
            }
            Structure::Map(entries) => {
                out.push('{');
                for (place, (key, value)) in entries.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    write_text(key, out);
                    out.push(':');
                    write(value, out);
                }
                out.push('}');
            }
            Structure::Error(message) => write_text(message, out),
        },
        plain => out.push_str(&value_text(plain)),
    }
}

fn write_text(text: &str, out: &mut Text) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                write!(out, "\\u{:04x}", u32::from(control)).expect("texts take everything");
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// `.name`
    Key(Text),
    /// `[3]`; from the end if negative.
    Index(i64),
    /// `[*]` or `.*`
    All,
    /// `..name`
    Deep(Text),
}

/// A path such as `$.events[0].name`.
#[derive(Clone, Debug)]
pub struct Path(Vec<Step>);

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Path, String> {
        let wrong = |what: &str| format!("the path '{text}' cannot be read: {what}");
        let mut rest =
            text.trim().strip_prefix('$').ok_or_else(|| wrong("it begins without `$`"))?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix('[') {
                let (inside, behind) =
                    inside.split_once(']').ok_or_else(|| wrong("a `[` is never closed"))?;
                let inside = inside.trim();
                let quoted = ['\'', '"'].into_iter().find_map(|quote| {
                    inside.strip_prefix(quote).and_then(|inside| inside.strip_suffix(quote))
                });
                steps.push(match (quoted, inside.parse::<i64>()) {
                    (Some(name), _) => Step::Key(name.into()),
                    (None, Ok(index)) => Step::Index(index),
                    (None, Err(_)) if inside == "*" => Step::All,
                    _ => return Err(wrong("expected an index, `*` or a key in quotes in `[]`")),
                });
                rest = behind;
                continue;
            }
            let behind = rest.strip_prefix('.').ok_or_else(|| wrong("expected `.` or `[`"))?;
            let (deep, behind) = match behind.strip_prefix('.') {
                Some(behind) => (true, behind),
                None => (false, behind),
            };
            let length = behind.find(['.', '[']).unwrap_or(behind.len());
            let (name, behind) = behind.split_at(length);
            steps.push(match (name, deep) {
                ("", _) => return Err(wrong("a name is missing")),
                ("*", false) => Step::All,
                (name, false) => Step::Key(name.into()),
                (name, true) => Step::Deep(name.into()),
            });
            rest = behind;
        }
        Ok(Path(steps))
    }

    /// What the path names: the one value there, or a list if it may name several; `None` if there
    /// is nothing.
    pub fn find(&self, root: &Value) -> Option<Value> {
        let mut found = vec![root];
        for step in &self.0 {
            found = found.into_iter().flat_map(|value| step.of(value)).collect();
        }
        if self.0.iter().any(|step| matches!(step, Step::All | Step::Deep(_))) {
            let values = found.into_iter().cloned().collect();
            return Some(Value::Object(Arc::new(Structure::List(values))));
        }
        found.first().map(|value| (*value).clone())
    }

    /// The root with what the path names changed by `change`; `None` if there is nothing, or if the
    /// path may name several things.
    pub fn change(&self, root: &Value, change: &dyn Fn(&Value) -> Option<Value>) -> Option<Value> {
        changed(&self.0, root, change)
    }
}

impl Step {
    fn of<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let Value::Object(object) = value else { return Vec::new() };
        match (self, &**object) {
            (Step::Key(name), Structure::Map(entries)) => {
                entries.iter().filter(|(key, _)| key == name).map(|(_, value)| value).collect()
            }
            (Step::Index(index), Structure::List(values)) => {
                place(*index, values.len()).map(|at| &values[at]).into_iter().collect()
            }
            (Step::All, Structure::List(values)) => values.iter().collect(),
            (Step::All, Structure::Map(entries)) => {
                entries.iter().map(|(_, value)| value).collect()
            }
            (Step::Deep(name), _) => {
                let mut found = Vec::new();
                deep(name, value, &mut found);
                found
            }
            _ => Vec::new(),
        }
    }
}

fn place(index: i64, length: usize) -> Option<usize> {
    let index = if index < 0 { index + length as i64 } else { index };
    usize::try_from(index).ok().filter(|at| *at < length)
}

fn deep<'v>(name: &Text, value: &'v Value, found: &mut Vec<&'v Value>) {
    let Value::Object(object) = value else { return };
    match &**object {
        Structure::Map(entries) => {
            for (key, value) in entries {
                if key == name {
                    found.push(value);
                }
                deep(name, value, found);
            }
        }
        Structure::List(values) | Structure::Set(values) => {
            values.iter().for_each(|value| deep(name, value, found));
        }
        Structure::Error(_) => {}
    }
}

fn changed(
    steps: &[Step],
    value: &Value,
    change: &dyn Fn(&Value) -> Option<Value>,
) -> Option<Value> {
    let Some((step, rest)) = steps.split_first() else { return change(value) };
    let Value::Object(object) = value else { return None };
    let object = match (step, &**object) {
        (Step::Key(name), Structure::Map(entries)) => {
            let at = entries.iter().position(|(key, _)| key == name)?;
            let new = changed(rest, &entries[at].1, change)?;
            let mut entries = entries.clone();
            entries[at].1 = new;
            Structure::Map(entries)
        }
        (Step::Index(index), Structure::List(values)) => {
            let at = place(*index, values.len())?;
            let new = changed(rest, &values[at], change)?;
            let mut values = values.clone();
            values[at] = new;
            Structure::List(values)
        }
        _ => return None,
    };
    Some(Value::Object(Arc::new(object)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &Value) -> String {
        let mut out = Text::new();
        write(value, &mut out);
        out.to_string()
    }

    #[test]
    fn what_is_read_is_written_again() {
        let text = r#"{"b":[1,-2.5,4294967296,"x\n\"é"],"a":{"n":null,"t":true}}"#;
        assert_eq!(written(&read(text).expect("it is JSON")), text);
        assert_eq!(written(&read("{'a' : 'b'}").expect("it is JSON")), r#"{"a":"b"}"#);
        assert_eq!(read(r#""\u00e9\ud83d\ude00""#), Ok(Value::from("é😀")));
        assert_eq!(read("1e3"), Ok(Value::Double(1000.0)));
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        for text in ["", "{", "[1,", "{a:1}", "nul", "1 2", "'a", "\"\\x\"", "+1", "inf", "NaN"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&"[".repeat(100_000)).is_err());
        assert_eq!(read("[1,]").expect_err("refused"), "no JSON: expected a value at byte 3");
    }

    #[test]
    fn paths_name_parts() {
        let root = read("{'a': [{'b': 1}, {'b': 2}], 'c d': 3}").expect("it is JSON");
        let find = |path: &str| {
            let path = Path::parse(path).expect("it can be read");
            path.find(&root).map(|value| written(&value))
        };
        assert_eq!(find("$.a[1].b").as_deref(), Some("2"));
        assert_eq!(find("$.a[-1]['b']").as_deref(), Some("2"));
        assert_eq!(find("$['c d']").as_deref(), Some("3"));
        assert_eq!(find("$.a[*].b").as_deref(), Some("[1,2]"));
        assert_eq!(find("$..b").as_deref(), Some("[1,2]"));
        assert_eq!(find("$.a[2]"), None);
        assert_eq!(find("$.c.x"), None);
        for path in ["a", "$a", "$.", "$[", "$[?(@.b > 1)]"] {
            assert!(Path::parse(path).is_err(), "{path}");
        }
    }
}
