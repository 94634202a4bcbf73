//! An answer in one of its forms, written as it comes.

use serde_json::json;

use crate::event::Value;
use crate::http::problem::Refusal;
use crate::mappers::json::write_value;
use crate::store::End;
use crate::store::Part;

/// A form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One document.
    Json,
    /// A document a line.
    Lines,
    /// RFC 4180, with a line of names first.
    Csv,
}

impl Form {
    /// By its word in a request.
    pub(super) fn named(word: &str) -> Form {
        match word {
            "csv" => Form::Csv,
            "jsonl" => Form::Lines,
            _ => Form::Json,
        }
    }
}

/// Writes an answer.
#[derive(Debug)]
pub(super) struct Writer {
    form: Form,
    rows: usize,
}

impl Writer {
    pub(super) fn new(form: Form) -> Writer {
        Writer { form, rows: 0 }
    }

    /// Whether a row was written.
    pub(super) fn has_rows(&self) -> bool {
        self.rows > 0
    }

    /// The media type of the answer.
    pub(super) fn media_type(&self) -> &'static str {
        match self.form {
            Form::Json => "application/json",
            Form::Lines => "application/jsonl",
            Form::Csv => "text/csv; charset=utf-8; header=present",
        }
    }

    /// Appends a part.
    pub(super) fn part(&mut self, part: &Part, out: &mut Vec<u8>) {
        match part {
            Part::Columns(columns) => {
                let shown = columns.iter().map(|column| {
                    json!({
                        "name": column.name,
                        "type": column.ty,
                    })
                });
                let columns_json = serde_json::Value::Array(shown.collect());
                match self.form {
                    Form::Json => {
                        let head = format!("{{\"columns\":{columns_json},\"rows\":[");
                        out.extend_from_slice(head.as_bytes());
                    }
                    Form::Lines => {
                        out.extend_from_slice(
                            format!("{{\"columns\":{columns_json}}}\n").as_bytes(),
                        );
                    }
                    Form::Csv => {
                        let names = columns.iter().map(|column| column.name.as_str());
                        write_line(names.map(Some), out);
                    }
                }
            }
            Part::Rows(rows) => rows.iter().for_each(|row| self.row(row, out)),
        }
    }

    fn row(&mut self, row: &[Value], out: &mut Vec<u8>) {
        if self.form == Form::Csv {
            let text = |value: &Value| {
                let mut text = String::new();
                value.write_text(&mut text);
                (!value.is_null()).then_some(text)
            };
            let texts: Vec<_> = row.iter().map(text).collect();
            write_line(texts.iter().map(Option::as_deref), out);
        } else {
            if self.form == Form::Json && self.rows > 0 {
                out.push(b',');
            }
            if self.form == Form::Json {
                out.push(b'\n');
            }
            out.push(b'[');
            for (index, value) in row.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(value, out);
            }
            out.push(b']');
            if self.form == Form::Lines {
                out.push(b'\n');
            }
        }
        self.rows += 1;
    }

    /// Appends how it ended.
    pub(super) fn end(&self, end: End, out: &mut Vec<u8>) {
        let rows = self.rows;
        let how = match end {
            End::Whole => json!({ "complete": true }),
            End::Cut => json!({
                "complete": false,
                "cut": format!("there are more than the {rows} rows of `limit`"),
            }),
        };
        self.close(&how, out);
    }

    /// Appends why it did not go on.
    pub(super) fn fail(&self, refusal: &Refusal, out: &mut Vec<u8>) {
        self.close(&json!({ "complete": false, "error": refusal.document() }), out);
    }

    fn close(&self, how: &serde_json::Value, out: &mut Vec<u8>) {
        let how = how.to_string();
        match self.form {
            Form::Json => {
                out.extend_from_slice(b"\n],");
                // Without the bracket that the document opened with.
                out.extend_from_slice(&how.as_bytes()[1..]);
                out.push(b'\n');
            }
            Form::Lines => {
                out.extend_from_slice(how.as_bytes());
                out.push(b'\n');
            }
            Form::Csv => {}
        }
    }
}

/// A null is nothing, an empty text a pair of quotes.
fn write_line<'a>(cells: impl Iterator<Item = Option<&'a str>>, out: &mut Vec<u8>) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let Some(cell) = cell else { continue };
        if cell.is_empty() || cell.contains(['"', ',', '\r', '\n']) || cell.trim() != cell {
            out.push(b'"');
            out.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
            out.push(b'"');
        } else {
            out.extend_from_slice(cell.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}
