//! `name:value` pairs: the default form of the text mapper, and the key-value mapper's.
//!
//! A value is bare, or stands in quotes with backslash escapes; `null` without quotes is null. A
//! line's end separates as the separator does, and blanks around names and values do not count.

use crate::event::Batch;
use crate::event::Column;
use crate::event::Kind;
use crate::event::Schema;
use crate::event::Values;
use crate::mappers::Arrival;
use crate::mappers::Decoder;
use crate::mappers::message::DecodeError;
use crate::mappers::message::Decoded;
use crate::mappers::message::Fault;
use crate::mappers::message::cut_back;
use crate::mappers::message::join_send;
use crate::mappers::message::snippet;
use crate::mappers::plain;
use crate::mappers::utf8;

/// Reads events written as pairs.
#[derive(Debug)]
pub struct PairDecoder {
    /// The stream.
    pub schema: Schema,
    /// The name of each attribute in a message.
    pub names: Vec<String>,
    /// What stands between a name and its value.
    pub colon: String,
    /// What stands between two pairs.
    pub comma: String,
    /// The line between two events of a message; `None`: a message is one event.
    pub delimiter: Option<String>,
    /// A missing attribute is an error, not null.
    pub fail_on_missing: bool,
    /// An unknown name is an error, not passed over.
    pub fail_on_unknown: bool,
    /// The event's number at which an attribute was last filled.
    filled: Vec<u64>,
    event: u64,
    scratch: String,
}

/// A value as it stands.
struct Raw<'a> {
    text: &'a str,
    quoted: bool,
}

impl PairDecoder {
    /// Reads pairs named like the attributes of a stream; strict.
    pub fn new(schema: &Schema, colon: &str, comma: &str) -> PairDecoder {
        PairDecoder {
            names: schema.names().map(str::to_owned).collect(),
            filled: vec![0; schema.len()],
            schema: schema.clone(),
            colon: colon.to_owned(),
            comma: comma.to_owned(),
            delimiter: None,
            fail_on_missing: true,
            fail_on_unknown: true,
            event: 0,
            scratch: String::new(),
        }
    }

    fn is_blank(&self, character: char) -> bool {
        character.is_whitespace() && !self.comma.contains(character)
    }

    /// The first byte from `at` on that is no blank.
    fn after_blanks(&self, text: &str, at: usize) -> usize {
        let rest = &text[at..];
        at + rest.len() - rest.trim_start_matches(|c| self.is_blank(c)).len()
    }

    /// Reads the pairs of one event, which begins at byte `offset` of its message.
    fn event(
        &mut self,
        text: &str,
        index: usize,
        offset: usize,
        columns: &mut [Column],
    ) -> Result<(), DecodeError> {
        self.event += 1;
        let mut at = self.after_blanks(text, 0);
        if at == text.len() {
            return Err(DecodeError::new(index, Fault::Empty, offset, "expected an event"));
        }
        while at < text.len() {
            let line_end = text[at..].find('\n').map_or(text.len(), |end| at + end);
            let Some(colon) = text[at..line_end].find(&self.colon) else {
                let found = snippet(text.as_bytes(), at);
                let message = format!("expected a name and `{}`, found `{found}`", self.colon);
                return Err(DecodeError::new(index, Fault::Syntax, offset + at, message));
            };
            let name = text[at..at + colon].trim();
            let attribute = self.names.iter().position(|known| known == name);
            if attribute.is_none() && self.fail_on_unknown {
                let message = format!("`{name}` is no attribute of the stream");
                let error = DecodeError::new(index, Fault::Unknown, offset + at, message);
                return Err(DecodeError { attribute: Some(name.to_owned()), ..error });
            }
            let start = at + colon + self.colon.len();
            let mut scratch = std::mem::take(&mut self.scratch);
            let (raw, end) = self.value(text, start, &mut scratch).map_err(|at| {
                let message = "expected a closing quote, with `\\` before quotes inside";
                DecodeError::new(index, Fault::Syntax, offset + at, message)
            })?;
            if let Some(attribute) = attribute {
                self.fill(attribute, &raw, (index, offset + at), &mut columns[attribute])?;
            }
            self.scratch = scratch;
            at = self.separator(text, end).ok_or_else(|| {
                let found = snippet(text.as_bytes(), end);
                let message = format!("expected `{}`, found `{found}`", self.comma);
                DecodeError::new(index, Fault::Syntax, offset + end, message)
            })?;
        }
        self.complete(index, offset, columns)
    }

    /// The value that begins at `at`, and where it ends; the error is the place of the fault.
    fn value<'a>(
        &self,
        text: &'a str,
        at: usize,
        scratch: &'a mut String,
    ) -> Result<(Raw<'a>, usize), usize> {
        let blanks = text[at..].bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let start = if self.comma.contains([' ', '\t']) { at } else { at + blanks };
        let quote = text[start..].chars().next().filter(|first| matches!(first, '"' | '\''));
        let Some(quote) = quote else {
            let rest = &text[start..];
            let line = rest.find('\n').unwrap_or(rest.len());
            let length = rest[..line].find(&self.comma).unwrap_or(line);
            return Ok((Raw { text: rest[..length].trim(), quoted: false }, start + length));
        };
        scratch.clear();
        let mut characters = text[start + 1..].char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                _ if character == quote => {
                    return Ok((Raw { text: scratch, quoted: true }, start + at + 2));
                }
                '\\' => match characters.next() {
                    Some((_, 'n')) => scratch.push('\n'),
                    Some((_, 'r')) => scratch.push('\r'),
                    Some((_, escaped)) => scratch.push(escaped),
                    None => return Err(text.len()),
                },
                _ => scratch.push(character),
            }
        }
        Err(text.len())
    }

    /// Goes over what separates two pairs; `None` if nothing does.
    fn separator(&self, text: &str, end: usize) -> Option<usize> {
        let at = self.after_blanks(text, end);
        if at == text.len() {
            return Some(at);
        }
        match text[at..].strip_prefix(self.comma.as_str()) {
            Some(rest) => Some(self.after_blanks(text, text.len() - rest.len())),
            None => text[end..at].contains('\n').then_some(at),
        }
    }

    fn fill(
        &mut self,
        attribute: usize,
        raw: &Raw<'_>,
        (index, offset): (usize, usize),
        column: &mut Column,
    ) -> Result<(), DecodeError> {
        let definition = &self.schema.attributes[attribute];
        if std::mem::replace(&mut self.filled[attribute], self.event) == self.event {
            let what = " stands twice";
            return Err(DecodeError::of(index, Fault::Duplicate, offset, &definition.name, what));
        }
        if !raw.quoted && raw.text == "null" {
            column.push_null();
            return Ok(());
        }
        plain::read(definition.ty, raw.text, column)
            .map_err(|fault| DecodeError::of_text(index, fault, offset, definition, raw.text))
    }

    fn complete(
        &self,
        index: usize,
        offset: usize,
        columns: &mut [Column],
    ) -> Result<(), DecodeError> {
        for (attribute, filled) in self.filled.iter().enumerate() {
            if *filled == self.event {
                continue;
            }
            if self.fail_on_missing {
                let name = &self.schema.attributes[attribute].name;
                return Err(DecodeError::of(index, Fault::Missing, offset, name, " is missing"));
            }
            columns[attribute].push_null();
        }
        Ok(())
    }

    fn message(
        &mut self,
        text: &str,
        arrival: &Arrival,
        into: &mut Batch,
    ) -> Result<(), DecodeError> {
        let start = into.len();
        for (offset, event) in events(text, self.delimiter.clone().as_deref()) {
            let index = into.len() - start;
            if index >= arrival.rows_max {
                return Err(DecodeError::too_many(index, offset));
            }
            self.event(event, index, offset, &mut into.columns)?;
            into.push_head(arrival.at, Kind::Current, 0);
        }
        Ok(())
    }
}

impl Decoder for PairDecoder {
    fn decode(
        &mut self,
        message: &[u8],
        arrival: &Arrival,
        into: &mut Batch,
    ) -> Result<Decoded, DecodeError> {
        let text = utf8(message)?;
        let start = into.len();
        match self.message(text, arrival, into) {
            Ok(()) => {
                join_send(into, start);
                Ok(Decoded { rows: into.len() - start, unmatched: 0 })
            }
            Err(error) => {
                cut_back(into, start);
                Err(error)
            }
        }
    }
}

/// The events of a message with the byte where each begins: what stands between lines that are the
/// delimiter, without the last line's end.
pub fn events<'a>(
    text: &'a str,
    delimiter: Option<&'a str>,
) -> impl Iterator<Item = (usize, &'a str)> {
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let start = next?;
        let rest = &text[start..];
        let Some(delimiter) = delimiter else {
            next = None;
            return Some((start, rest));
        };
        let mut at = 0;
        for line in rest.split_inclusive('\n') {
            let after = at + line.len();
            if line.trim_end_matches(['\n', '\r']) == delimiter {
                // A delimiter at the very end begins no further event.
                next = Some(start + after).filter(|next| !text[*next..].trim().is_empty());
                return Some((start, rest[..at].trim_end_matches(['\n', '\r'])));
            }
            at = after;
        }
        next = None;
        Some((start, rest.trim_end_matches(['\n', '\r'])))
    })
}

/// Appends a value as a pair holds it: texts in quotes, all else bare.
pub fn write_value(column: &Column, row: usize, into: &mut Vec<u8>) {
    if !matches!(column.values, Values::Text(_) | Values::Object(_)) || column.is_null(row) {
        return plain::write(column, row, into);
    }
    let mut bytes = Vec::new();
    plain::write(column, row, &mut bytes);
    write_quoted(&bytes, into);
}

/// Appends a text in quotes with what would end it escaped.
pub fn write_quoted(text: &[u8], into: &mut Vec<u8>) {
    into.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => into.extend_from_slice(&[b'\\', byte]),
            b'\n' => into.extend_from_slice(b"\\n"),
            b'\r' => into.extend_from_slice(b"\\r"),
            _ => into.push(byte),
        }
    }
    into.push(b'"');
}
