//! Rows as JSON: `{"event":{…}}`, or a template whose attributes come escaped.

use crate::event::Batch;
use crate::event::Column;
use crate::event::Schema;
use crate::event::Structure;
use crate::event::Value;
use crate::event::Values;
use crate::mappers::Encoder;
use crate::mappers::message::Messages;
use crate::mappers::plain;
use crate::mappers::template::Part;
use crate::mappers::template::Template;
use std::ops::Range;

/// Writes JSON events of one stream.
#[derive(Debug)]
pub struct JsonEncoder {
    pub(super) shape: Shape,
    /// `enclosing.element`: objects around each message.
    pub(super) enclosing: Vec<String>,
    /// All rows of a chunk as one array.
    pub(super) grouped: bool,
}

/// What one row looks like.
#[derive(Debug)]
pub(super) enum Shape {
    /// `{"event":{"a":1}}`: each attribute with what stands before it.
    Event(Vec<Vec<u8>>),
    /// The words and attributes of `@payload`; an attribute inside of quotes is marked.
    Payload(Vec<(Part, bool)>),
}

impl JsonEncoder {
    /// Writes `{"event":{…}}`, a message a row.
    pub fn plain(schema: &Schema) -> JsonEncoder {
        JsonEncoder { shape: Shape::event(schema), enclosing: Vec::new(), grouped: false }
    }

    fn row(&self, batch: &Batch, row: usize, into: &mut Vec<u8>) {
        match &self.shape {
            Shape::Event(heads) => {
                into.extend_from_slice(b"{\"event\":");
                into.push(b'{');
                for (head, column) in heads.iter().zip(&batch.columns) {
                    into.extend_from_slice(head);
                    write_cell(column, row, into);
                }
                into.extend_from_slice(b"}}");
            }
            Shape::Payload(parts) => {
                for (part, quoted) in parts {
                    match part {
                        Part::Words(words) => into.extend_from_slice(words.as_bytes()),
                        Part::Attribute(at) => {
                            write_part(&batch.columns[*at], row, *quoted, into);
                        }
                    }
                }
            }
        }
    }

    fn open(&self, into: &mut Vec<u8>) {
        for name in &self.enclosing {
            into.push(b'{');
            write_text(name, into);
            into.push(b':');
        }
    }

    fn close(&self, into: &mut Vec<u8>) {
        into.extend(self.enclosing.iter().map(|_| b'}'));
    }
}

impl Encoder for JsonEncoder {
    fn encode(&mut self, batch: &Batch, rows: Range<usize>, into: &mut Messages) {
        let mut row = rows.start;
        while row < rows.end {
            let end = if self.grouped { batch.chunk_end(row).min(rows.end) } else { row + 1 };
            self.open(into.buffer());
            if self.grouped {
                into.buffer().push(b'[');
            }
            for at in row..end {
                if at > row {
                    into.buffer().push(b',');
                }
                self.row(batch, at, into.buffer());
            }
            if self.grouped {
                into.buffer().push(b']');
            }
            self.close(into.buffer());
            into.end(row..end);
            row = end;
        }
    }
}

impl Shape {
    pub(super) fn event(schema: &Schema) -> Shape {
        let head = |(index, name): (usize, &str)| {
            let mut head = if index == 0 { Vec::new() } else { vec![b','] };
            write_text(name, &mut head);
            head.push(b':');
            head
        };
        Shape::Event(schema.names().enumerate().map(head).collect())
    }

    /// Finds out which attributes stand inside of quotes: there only their characters are written,
    /// escaped; outside they are written as JSON values, texts with quotes.
    pub(super) fn payload(template: &Template) -> Shape {
        let mut inside = false;
        let mut escaped = false;
        let parts = template.parts().iter().map(|part| {
            if let Part::Words(words) = part {
                for character in words.chars() {
                    match character {
                        '"' if !escaped => inside = !inside,
                        _ => {}
                    }
                    escaped = character == '\\' && !escaped;
                }
            }
            (part.clone(), inside)
        });
        Shape::Payload(parts.collect())
    }
}

fn write_part(column: &Column, row: usize, quoted: bool, into: &mut Vec<u8>) {
    if !quoted {
        return write_cell(column, row, into);
    }
    let mut bytes = Vec::new();
    plain::write(column, row, &mut bytes);
    let text = String::from_utf8(bytes).expect("printed values are UTF-8");
    write_escaped(&text, into);
}

/// Appends the value of a row as JSON.
pub fn write_cell(column: &Column, row: usize, into: &mut Vec<u8>) {
    if column.is_null(row) {
        return into.extend_from_slice(b"null");
    }
    match &column.values {
        Values::Text(values) => write_text(&values[row], into),
        Values::Object(values) => write_value(&values[row], into),
        _ => plain::write(column, row, into),
    }
}

/// Appends any value as JSON.
pub fn write_value(value: &Value, into: &mut Vec<u8>) {
    match value {
        Value::Null => into.extend_from_slice(b"null"),
        Value::Int(value) => plain::write_int(i64::from(*value), into),
        Value::Long(value) => plain::write_int(*value, into),
        Value::Float(value) => plain::write_float(*value, into),
        Value::Double(value) => plain::write_double(*value, into),
        Value::Bool(value) => into.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Text(text) => write_text(text, into),
        Value::Object(structure) => match &**structure {
            Structure::Set(values) | Structure::List(values) => {
                into.push(b'[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        into.push(b',');
                    }
                    write_value(value, into);
                }
                into.push(b']');
            }
            Structure::Map(entries) => {
                into.push(b'{');
                for (index, (name, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        into.push(b',');
                    }
                    write_text(name, into);
                    into.push(b':');
                    write_value(value, into);
                }
                into.push(b'}');
            }
            Structure::Error(text) => write_text(text, into),
        },
    }
}

/// Appends a text in quotes.
pub fn write_text(text: &str, into: &mut Vec<u8>) {
    into.push(b'"');
    write_escaped(text, into);
    into.push(b'"');
}

/// Appends a text as it stands between quotes.
pub fn write_escaped(text: &str, into: &mut Vec<u8>) {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 => b"",
            _ => continue,
        };
        into.extend_from_slice(&text.as_bytes()[from..at]);
        from = at + 1;
        if escape.is_empty() {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            into.extend_from_slice(b"\\u00");
            into.push(HEX[usize::from(byte >> 4)]);
            into.push(HEX[usize::from(byte & 15)]);
        } else {
            into.extend_from_slice(escape);
        }
    }
    into.extend_from_slice(&text.as_bytes()[from..]);
}
