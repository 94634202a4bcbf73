//! Rows on their way to a table: gathered from many parcels, as the table's columns.

use crate::event::Batch;
use crate::event::Column;
use crate::event::Map;
use crate::event::Values;
use crate::event::codec::Encode;
use crate::plan::stores::Change;

/// What is to be done with a table's rows, in this order.
#[derive(Debug, Default)]
pub struct Net {
    /// Rows to be deleted, by their keys.
    pub deletes: Batch,
    /// Rows to be put in place of those of their keys, or added.
    pub upserts: Batch,
}

/// The rows of changes from `start` on as what comes of them in the end: within a transaction only
/// the last change of a row can be seen. `key` are columns of the table.
pub fn net(changes: &Batch, start: usize, key: &[usize]) -> Net {
    let codes = changes.columns[0].ints();
    let (delete, insert) = (Change::Delete.code(), Change::Insert.code());
    let table = &changes.columns[1..];
    let rows = start..changes.len();
    if codes[start..].iter().all(|&code| code == insert) {
        // New rows have keys that no other row has.
        let mut upserts = empty(table);
        for (mine, theirs) in upserts.columns.iter_mut().zip(table) {
            mine.extend(theirs, rows.start, rows.end);
        }
        upserts.timestamps.extend_from_slice(&changes.timestamps[rows]);
        return Net { upserts, deletes: Batch::default() };
    }
    let mut last: Map<Vec<u8>, u32> = Map::default();
    for row in rows {
        let mut name = Vec::new();
        key.iter().for_each(|&column| table[column].value(row).encode(&mut name));
        last.insert(name, row as u32);
    }
    let mut rows: Vec<u32> = last.into_values().collect();
    rows.sort_unstable();
    let (deletes, upserts) = rows.into_iter().partition(|&row| codes[row as usize] == delete);
    Net { deletes: gathered(changes, table, deletes), upserts: gathered(changes, table, upserts) }
}

fn gathered(changes: &Batch, table: &[Column], rows: Vec<u32>) -> Batch {
    let mut batch = empty(table);
    for (mine, theirs) in batch.columns.iter_mut().zip(table) {
        mine.gather(theirs, &rows);
    }
    batch.timestamps.extend(rows.iter().map(|&row| changes.timestamps[row as usize]));
    batch
}

fn empty(columns: &[Column]) -> Batch {
    Batch {
        columns: columns.iter().map(|column| column.empty_like(0)).collect(),
        ..Batch::default()
    }
}

/// The rows with the events' own time as the first column.
pub fn with_time(mut rows: Batch) -> Batch {
    let mut time = Column::new(crate::event::DataType::Long);
    time.longs_mut().extend_from_slice(&rows.timestamps);
    rows.columns.insert(0, time);
    rows
}

/// Whether rows have columns of these types.
pub fn fits(rows: &Batch, types: &[crate::event::DataType]) -> bool {
    let of = |column: &Column| match &column.values {
        Values::Absent => None,
        values => values.data_type(),
    };
    rows.columns.len() == types.len()
        && rows.columns.iter().zip(types).all(|(column, ty)| of(column) == Some(*ty))
}
