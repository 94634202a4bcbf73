//! The lines of a replay: what stands in one that is read, and how one is written.

use crate::event::Batch;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use crate::mappers::json::write_cell;
use crate::mappers::json::write_text;
use crate::mappers::json::write_value;
use std::io::Write;
use std::sync::Arc;

/// A line of standard input.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    /// The moment.
    pub(super) at: Millis,
    /// Where rows go.
    pub(super) stream: Option<String>,
    /// The rows of one send.
    pub(super) rows: Option<Vec<Vec<serde_json::Value>>>,
    /// The rows' own times.
    pub(super) timestamps: Option<Vec<Millis>>,
    /// A question.
    pub(super) query: Option<String>,
    /// Keep the state.
    #[serde(default)]
    pub(super) snapshot: bool,
    /// Begin anew.
    #[serde(default)]
    pub(super) restart: bool,
    /// Take the state that was kept.
    #[serde(default)]
    pub(super) restore: bool,
}

/// What a line asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Deed {
    Move,
    Send { stream: String, rows: Vec<Vec<serde_json::Value>>, timestamps: Option<Vec<Millis>> },
    Query(String),
    Snapshot,
    Restart,
    Restore,
}

/// Reads a line: the moment, and what happens then.
pub(super) fn read(line: &[u8]) -> Result<(Millis, Deed), String> {
    let line: Line =
        serde_json::from_slice(line).map_err(|error| format!("not a line of a replay: {error}"))?;
    let at = line.at;
    let mut deeds = Vec::new();
    match (line.stream, line.rows) {
        (Some(stream), Some(rows)) => {
            let timestamps = line.timestamps;
            if timestamps.as_ref().is_some_and(|times| times.len() != rows.len()) {
                return Err("`timestamps` must have as many elements as `rows`".to_owned());
            }
            deeds.push(Deed::Send { stream, rows, timestamps });
        }
        (None, None) if line.timestamps.is_none() => {}
        _ => return Err("`stream` and `rows` go together".to_owned()),
    }
    deeds.extend(line.query.map(Deed::Query));
    let simple = [
        (line.snapshot, Deed::Snapshot),
        (line.restart, Deed::Restart),
        (line.restore, Deed::Restore),
    ];
    deeds.extend(simple.into_iter().filter(|(asked, _)| *asked).map(|(_, deed)| deed));
    match deeds.len() {
        0 => Ok((at, Deed::Move)),
        1 => Ok((at, deeds.remove(0))),
        _ => {
            Err("a line has one of `stream`, `query`, `snapshot`, `restart`, `restore`".to_owned())
        }
    }
}

/// A JSON value as the engine has it; the types that JSON does not tell are settled later.
pub(super) fn value(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => i32::try_from(whole).map_or(Value::Long(whole), Value::Int),
            (None, Some(float)) => Value::Double(float),
            (None, None) => Value::Null,
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(elements) => {
            Value::Object(Arc::new(Structure::List(elements.iter().map(value).collect())))
        }
        Json::Object(entries) => {
            let entries = entries.iter().map(|(name, json)| (Text::from(name), value(json)));
            Value::Object(Arc::new(Structure::Map(entries.collect())))
        }
    }
}

/// Rows that passed through a stream or left a named window, a line each; resets are no rows.
pub(super) fn stream_rows(out: &mut Vec<u8>, at: Millis, stream: &str, rows: &Batch) {
    for row in (0..rows.len()).filter(|&row| rows.kind(row) != Kind::Reset) {
        begin(out, at, b"stream", stream);
        data(out, rows, row);
    }
}

/// Rows that left a query, a line each; resets are no rows.
pub(super) fn query_rows(out: &mut Vec<u8>, at: Millis, query: &str, rows: &Batch) {
    for row in 0..rows.len() {
        let kind = match rows.kind(row) {
            Kind::Current => "current",
            Kind::Expired => "expired",
            Kind::Reset => continue,
        };
        begin(out, at, b"query", query);
        put(out, format_args!(",\"kind\":\"{kind}\""));
        data(out, rows, row);
    }
}

/// The answer to a question.
pub(super) fn result(out: &mut Vec<u8>, at: Millis, rows: &[Vec<Value>]) {
    put(out, format_args!("{{\"at\":{at},\"result\":["));
    for (place, row) in rows.iter().enumerate() {
        out.extend_from_slice(if place > 0 { b",[" } else { b"[" });
        for (place, value) in row.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            write_value(value, out);
        }
        out.push(b']');
    }
    out.extend_from_slice(b"]}\n");
}

/// That a question could not be answered.
pub(super) fn error(out: &mut Vec<u8>, at: Millis, error: &serde_json::Value) {
    put(out, format_args!("{{\"at\":{at},\"error\":{error}}}\n"));
}

fn begin(out: &mut Vec<u8>, at: Millis, key: &[u8], name: &str) {
    put(out, format_args!("{{\"at\":{at},\""));
    out.extend_from_slice(key);
    out.extend_from_slice(b"\":");
    write_text(name, out);
}

fn data(out: &mut Vec<u8>, rows: &Batch, row: usize) {
    put(out, format_args!(",\"timestamp\":{},\"data\":[", rows.timestamps[row]));
    for (place, column) in rows.columns.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        match column.is_null(row) {
            true => out.extend_from_slice(b"null"),
            false => write_cell(column, row, out),
        }
    }
    out.extend_from_slice(b"]}\n");
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DataType;

    fn shown(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_asks_for_one_thing() {
        assert_eq!(read(br#"{"at":5}"#), Ok((5, Deed::Move)));
        assert_eq!(read(br#"{"at":5,"snapshot":true}"#), Ok((5, Deed::Snapshot)));
        assert_eq!(read(br#"{"at":5,"restore":true,"restart":false}"#), Ok((5, Deed::Restore)));
        let sent = Deed::Send { stream: "S".to_owned(), rows: vec![vec![]], timestamps: None };
        assert_eq!(read(br#"{"at":1,"stream":"S","rows":[[]]}"#), Ok((1, sent)));
        for wrong in [
            &br#"{"stream":"S","rows":[[]]}"#[..],
            br#"{"at":1,"stream":"S"}"#,
            br#"{"at":1,"rows":[[1]]}"#,
            br#"{"at":1,"timestamps":[1]}"#,
            br#"{"at":1,"stream":"S","rows":[[1]],"timestamps":[1,2]}"#,
            br#"{"at":1,"query":"from T","snapshot":true}"#,
            br#"{"at":1,"streams":"S"}"#,
            b"{\"at\":1",
            b"\xff",
        ] {
            assert!(read(wrong).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
    }

    #[test]
    fn rows_are_written_with_kinds_and_floats_with_points() {
        let mut rows = Batch::new(&[DataType::Double, DataType::Text]);
        rows.push_row(7, &[Value::Double(700.0), Value::from("a\"")]);
        rows.push_nulls(8, Kind::Reset, 0);
        rows.push_nulls(9, Kind::Expired, 0);
        let lines = shown(|out| query_rows(out, 10, "q", &rows));
        let expected = concat!(
            r#"{"at":10,"query":"q","kind":"current","timestamp":7,"data":[700.0,"a\""]}"#,
            "\n",
            r#"{"at":10,"query":"q","kind":"expired","timestamp":9,"data":[null,null]}"#,
            "\n"
        );
        assert_eq!(lines, expected);
        let line = shown(|out| result(out, 3, &[vec![Value::Int(1), Value::Null], vec![]]));
        assert_eq!(line, "{\"at\":3,\"result\":[[1,null],[]]}\n");
    }

    #[test]
    fn whole_numbers_are_told_from_floats() {
        let json: serde_json::Value = serde_json::from_str("[1,5000000000,1.0,null]").unwrap();
        let list = vec![Value::Int(1), Value::Long(5_000_000_000), Value::Double(1.0), Value::Null];
        assert_eq!(value(&json), Value::Object(Arc::new(Structure::List(list))));
    }
}
