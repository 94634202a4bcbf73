//! Events of a tail as JSON and as server-sent events, written straight from columns.
//!
//! An event's id is `<label>-<number>`: the number counts the events of the stream as the plan's
//! log does, the same on both nodes of a pair and after a restart; the label tells the plan from
//! one of its name before, whose numbers meant other events.

use crate::actors::plan::Events;
use crate::actors::plan::Tail;
use crate::event::Batch;
use crate::event::Schema;
use crate::mappers::json::write_cell;
use crate::mappers::json::write_text;

/// Where a reader of a tail stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// After the event with this number.
    After(u64),
    /// At an event of another plan; nobody knows how many followed it.
    Elsewhere,
}

/// Finds the place that an id names; `None` if it is no id.
pub fn place(id: &str, tail: &Tail) -> Option<Place> {
    let (label, number) = id.split_once('-')?;
    let (label, number): (i64, u64) = (label.parse().ok()?, number.parse().ok()?);
    let ours = label == tail.label() && number <= tail.latest();
    Some(if ours { Place::After(number) } else { Place::Elsewhere })
}

/// The id of the event with this number.
pub fn id(label: i64, number: u64) -> String {
    format!("{label}-{number}")
}

/// Appends the events as a JSON array of `{"id":…,"timestamp":…,"event":{…}}`, oldest first. Those
/// after the number `left` are marked as not confirmed.
pub fn write_array(label: i64, events: &Events, left: u64, into: &mut Vec<u8>) {
    into.push(b'[');
    let start = into.len();
    each(events, |number, schema, batch, row| {
        if into.len() > start {
            into.push(b',');
        }
        into.extend_from_slice(b"{\"id\":");
        write_text(&id(label, number), into);
        into.push(b',');
        write_body(schema, batch, row, number <= left, into);
        into.push(b'}');
    });
    into.push(b']');
}

/// Appends the events in the form of server-sent events, oldest first, marked in the same way.
pub fn write_stream(label: i64, events: &Events, left: u64, into: &mut Vec<u8>) {
    each(events, |number, schema, batch, row| {
        into.extend_from_slice(b"id: ");
        into.extend_from_slice(id(label, number).as_bytes());
        into.extend_from_slice(b"\ndata: {");
        write_body(schema, batch, row, number <= left, into);
        into.extend_from_slice(b"}\n\n");
    });
}

fn each(events: &Events, mut write: impl FnMut(u64, &Schema, &Batch, usize)) {
    for piece in &events.pieces {
        for (number, row) in (piece.first..).zip(piece.rows.clone()) {
            write(number, &piece.schema, &piece.batch, row);
        }
    }
}

fn write_body(schema: &Schema, batch: &Batch, row: usize, is_confirmed: bool, into: &mut Vec<u8>) {
    if !is_confirmed {
        into.extend_from_slice(b"\"confirmed\":false,");
    }
    into.extend_from_slice(b"\"timestamp\":");
    into.extend_from_slice(batch.timestamps[row].to_string().as_bytes());
    into.extend_from_slice(b",\"event\":{");
    for (index, (name, column)) in schema.names().zip(&batch.columns).enumerate() {
        if index > 0 {
            into.push(b',');
        }
        write_text(name, into);
        into.push(b':');
        write_cell(column, row, into);
    }
    into.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::plan::TailLimits;
    use crate::event::DataType;
    use crate::event::Value;
    use std::sync::Arc;

    fn tail() -> Tail {
        let schema = Arc::new(Schema::new([("n", DataType::Long), ("say \"x\"", DataType::Text)]));
        let mut batch = Batch::new(&schema.types());
        batch.push_row(5, &[Value::Long(1), Value::Text("a\nb".into())]);
        batch.push_row(6, &[Value::Null, Value::Null]);
        let tail = Tail::new(TailLimits { events: 10, bytes: 1 << 20 });
        tail.push(1, &schema, &Arc::new(batch));
        tail
    }

    #[test]
    fn events_are_written_as_json() {
        let (tail, mut out) = (tail(), Vec::new());
        write_array(7, &tail.newest(10), 1, &mut out);
        let expected = concat!(
            r#"[{"id":"7-1","timestamp":5,"event":{"n":1,"say \"x\"":"a\nb"}},"#,
            r#"{"id":"7-2","confirmed":false,"timestamp":6,"event":{"n":null,"say \"x\"":null}}]"#,
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_server_sent_event_is_one_line_of_data() {
        let (tail, mut out) = (tail(), Vec::new());
        write_stream(7, &tail.after(0, 1), u64::MAX, &mut out);
        let expected = "id: 7-1\ndata: {\"timestamp\":5,\"event\":{\"n\":1,\"say \\\"x\\\"\":\
                        \"a\\nb\"}}\n\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn an_id_names_a_place_in_this_process_only() {
        let tail = tail();
        let here = |number| place(&id(tail.label(), number), &tail);
        assert_eq!(here(1), Some(Place::After(1)));
        assert_eq!(here(3), Some(Place::Elsewhere), "a number of the future");
        assert_eq!(place(&id(tail.label() + 1, 1), &tail), Some(Place::Elsewhere));
        for not in ["", "7", "-", "a-b", "1-", "1--2"] {
            assert_eq!(place(not, &tail), None, "{not}");
        }
    }
}
