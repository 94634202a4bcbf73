//! The functions `map:…` that read and write XML: an element is a key, and what stands in it its
//! value. Attributes are passed over.

use crate::engine::expressions::by_row::Trouble;
use crate::engine::functions::FunctionDefinition;
use crate::engine::functions::map::entries;
use crate::engine::functions::takes;
use crate::event::DataType;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use crate::plan::signature::Parameter;
use std::sync::Arc;

/// How deep elements may lie in each other.
const DEEPEST: usize = 64;

const MAP: Parameter = Parameter::any("map", &[DataType::Object]);

/// All of them, in the order of the manual.
pub const ALL: &[FunctionDefinition] = &[
    FunctionDefinition::new(
        "map:createFromXML",
        "The map of the elements in the root element of a text of XML. What is a whole number, a \
         number, `true` or `false` is a value of that type; an element with others in it is a map.",
        &[takes(&[Parameter::any("xml", &[DataType::Text])], DataType::Object)],
        |setup| {
            setup.by_row(|row| {
                let text = row.needed::<Text>(0)?;
                Ok(Some(read(text)?))
            })
        },
        "define stream Lines (line string);
from Lines select map:createFromXML(line) as event insert into Events;",
    ),
    FunctionDefinition::new(
        "map:toXML",
        "The map as a text of XML, an element a key; in a root element if one is named.",
        &[takes(&[MAP, Parameter::any("root", &[DataType::Text]).optional()], DataType::Text)],
        |setup| {
            setup.by_row(|row| {
                let map = row.needed::<Value>(0)?;
                entries(map)?;
                let mut out = String::new();
                match row.count() {
                    1 => write(map, DEEPEST, &mut out)?,
                    _ => element(row.needed::<Text>(1)?, map, DEEPEST, &mut out)?,
                }
                Ok(Some(Text::from(out)))
            })
        },
        "define stream Events (event object);
from Events select map:toXML(event, 'event') as line insert into Lines;",
    ),
];

/// Writes what stands in an element.
fn write(value: &Value, depth: usize, out: &mut String) -> Result<(), Trouble> {
    if let Ok(entries) = entries(value) {
        if depth == 0 {
            return Err(format!("maps lie more than {DEEPEST} deep in each other").into());
        }
        return entries.iter().try_for_each(|(key, value)| element(key, value, depth - 1, out));
    }
    let mut text = String::new();
    if !value.is_null() {
        value.write_text(&mut text);
    }
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            letter => out.push(letter),
        }
    }
    Ok(())
}

fn element(name: &str, value: &Value, depth: usize, out: &mut String) -> Result<(), Trouble> {
    let is_name = |letter: char| letter.is_alphanumeric() || "_-.:".contains(letter);
    let begins = |letter: char| letter.is_alphabetic() || letter == '_';
    if !name.starts_with(begins) || !name.chars().all(is_name) {
        return Err(format!("`{name}` cannot be the name of an element").into());
    }
    out.extend(["<", name, ">"]);
    write(value, depth, out)?;
    out.extend(["</", name, ">"]);
    Ok(())
}

/// Reads a text with one root element; gives what stands in that.
fn read(text: &str) -> Result<Value, Trouble> {
    let mut reader = Reader { rest: text };
    reader.skip()?;
    let Some((_, value)) = reader.element(DEEPEST)? else {
        return Err("expected an element, as in `<a>1</a>`".into());
    };
    reader.skip()?;
    if !reader.rest.is_empty() {
        return Err("expected nothing behind the root element".into());
    }
    Ok(match value {
        Value::Object(_) => value,
        _ => map(Vec::new()),
    })
}

fn map(entries: Vec<(Text, Value)>) -> Value {
    Value::Object(Arc::new(Structure::Map(entries)))
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Takes what stands before a mark, and the mark.
    fn until(&mut self, mark: &str) -> Result<&'a str, Trouble> {
        let (before, after) =
            self.rest.split_once(mark).ok_or_else(|| format!("expected `{mark}`"))?;
        self.rest = after;
        Ok(before)
    }

    /// Passes over space, comments, and what is meant for programs.
    fn skip(&mut self) -> Result<(), Trouble> {
        loop {
            self.rest = self.rest.trim_start();
            let end = match self.rest {
                rest if rest.starts_with("<!--") => "-->",
                rest if rest.starts_with("<?") => "?>",
                rest if rest.starts_with("<!") && !rest.starts_with("<![CDATA[") => ">",
                _ => return Ok(()),
            };
            self.until(end)?;
        }
    }

    /// Reads an element, if one begins here.
    fn element(&mut self, depth: usize) -> Result<Option<(Text, Value)>, Trouble> {
        if !self.rest.starts_with('<') || self.rest.starts_with("</") {
            return Ok(None);
        }
        if depth == 0 {
            return Err(format!("elements lie more than {DEEPEST} deep in each other").into());
        }
        self.rest = &self.rest[1..];
        let head = self.head()?;
        let (head, is_empty) = match head.strip_suffix('/') {
            Some(head) => (head, true),
            None => (head, false),
        };
        let name = head.split_whitespace().next().unwrap_or_default();
        if name.is_empty() {
            return Err("expected the name of an element".into());
        }
        let name = Text::from(name);
        if is_empty {
            return Ok(Some((name, Value::from(""))));
        }
        let value = self.content(depth - 1)?;
        let end = self.until(">")?;
        if end.trim_start_matches("</").trim_end() != name.as_str() {
            return Err(format!("expected `</{name}>`, found `{end}>`").into());
        }
        Ok(Some((name, value)))
    }

    /// Takes the rest of a tag; a `>` in quotes does not end it.
    fn head(&mut self) -> Result<&'a str, Trouble> {
        let mut quote = None;
        for (at, letter) in self.rest.char_indices() {
            match (quote, letter) {
                (None, '>') => {
                    let head = &self.rest[..at];
                    self.rest = &self.rest[at + 1..];
                    return Ok(head);
                }
                (None, '"' | '\'') => quote = Some(letter),
                (Some(open), letter) if open == letter => quote = None,
                _ => {}
            }
        }
        Err("expected `>`".into())
    }

    /// Reads what stands in an element.
    fn content(&mut self, depth: usize) -> Result<Value, Trouble> {
        let (mut text, mut made) = (String::new(), Vec::new());
        loop {
            if let Some(rest) = self.rest.strip_prefix("<![CDATA[") {
                self.rest = rest;
                text.push_str(self.until("]]>")?);
            } else if self.rest.starts_with("<!") || self.rest.starts_with("<?") {
                self.skip()?;
            } else if let Some((name, value)) = self.element(depth)? {
                match made.iter_mut().find(|(known, _): &&mut (Text, Value)| *known == name) {
                    Some((_, old)) => *old = value,
                    None => made.push((name, value)),
                }
            } else if self.rest.starts_with("</") {
                return Ok(if made.is_empty() { typed(&text) } else { map(made) });
            } else {
                let end = self.rest.find('<').ok_or("expected the end of an element")?;
                unescape(&self.rest[..end], &mut text)?;
                self.rest = &self.rest[end..];
            }
        }
    }
}

fn unescape(mut text: &str, out: &mut String) -> Result<(), Trouble> {
    while let Some((before, after)) = text.split_once('&') {
        out.push_str(before);
        let (name, rest) = after.split_once(';').ok_or("expected `;` behind `&`")?;
        let letter = match name {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            name => name.strip_prefix('#').and_then(|number| {
                let code = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => number.parse(),
                };
                code.ok().and_then(char::from_u32)
            }),
        };
        out.push(letter.ok_or_else(|| format!("`&{name};` is not known"))?);
        text = rest;
    }
    out.push_str(text);
    Ok(())
}

/// A text as the value that it looks like.
fn typed(text: &str) -> Value {
    let trimmed = text.trim();
    let looks = trimmed.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    match trimmed {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ if !looks => Value::from(text),
        _ => match (trimmed.parse(), trimmed.parse()) {
            (Ok(whole), _) => Value::Long(whole),
            (_, Ok(number)) if f64::is_finite(number) => Value::Double(number),
            _ => Value::from(text),
        },
    }
}
