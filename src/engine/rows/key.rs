//! Keys as bytes, for maps that hold them.

use crate::event::Batch;
use crate::event::Column;
use crate::event::Values;
use crate::event::codec::Encode;

/// Writes the values of a key so that different keys differ.
pub fn write_key(columns: &[usize], batch: &Batch, row: usize, into: &mut Vec<u8>) {
    into.clear();
    for &column in columns {
        write_value(&batch.columns[column], row, into);
    }
}

/// Writes one value of a key.
pub fn write_value(column: &Column, row: usize, into: &mut Vec<u8>) {
    if column.is_null(row) {
        return into.push(0);
    }
    into.push(1);
    match &column.values {
        Values::Absent => {}
        Values::Int(values) => values[row].encode(into),
        Values::Long(values) => values[row].encode(into),
        Values::Float(values) => values[row].encode(into),
        Values::Double(values) => values[row].encode(into),
        Values::Bool(values) => values[row].encode(into),
        Values::Text(values) => values[row].encode(into),
        Values::Object(values) => values[row].encode(into),
    }
}
