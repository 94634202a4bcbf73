//! Rows by key: the primary key and the indexes of a table.

use crate::engine::tables::RowNumber;
use crate::engine::tables::SEGMENT_ROWS;
use crate::engine::tables::SEGMENT_SHIFT;
use crate::event::Batch;
use crate::event::Column;
use crate::event::hash_cell;
use hashbrown::HashTable;
use std::sync::Arc;

/// Rows that are equal in some columns, in order of number.
pub struct Index {
    columns: Vec<usize>,
    groups: HashTable<Group>,
}

struct Group {
    hash: u64,
    rows: Rows,
}

/// Most keys have one row.
enum Rows {
    One(RowNumber),
    Many(Vec<RowNumber>),
}

impl Rows {
    fn as_slice(&self) -> &[RowNumber] {
        match self {
            Rows::One(row) => std::slice::from_ref(row),
            Rows::Many(rows) => rows,
        }
    }
}

fn cell(segments: &[Arc<Batch>], row: RowNumber, column: usize) -> (&Column, usize) {
    let row = row as usize;
    (&segments[row >> SEGMENT_SHIFT].columns[column], row & (SEGMENT_ROWS - 1))
}

#[inline]
fn hash_row<'a>(keys: impl Iterator<Item = (&'a Column, usize)>) -> u64 {
    keys.fold(0, |hash, (key, row)| hash_cell(key, row, hash))
}

impl Index {
    pub fn new(columns: Vec<usize>) -> Index {
        Index { columns, groups: HashTable::new() }
    }

    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    pub fn clear(&mut self) {
        self.groups.clear();
    }

    fn hash_of(&self, segments: &[Arc<Batch>], row: RowNumber) -> u64 {
        hash_row(self.columns.iter().map(|&column| cell(segments, row, column)))
    }

    fn same(&self, segments: &[Arc<Batch>], group: &Group, row: RowNumber) -> bool {
        let known = group.rows.as_slice()[0];
        self.columns.iter().all(|&column| {
            let (mine, place) = cell(segments, known, column);
            let (theirs, other) = cell(segments, row, column);
            mine.same(place, theirs, other)
        })
    }

    /// Takes a row in that lies in the segments.
    pub fn add(&mut self, segments: &[Arc<Batch>], row: RowNumber) {
        let hash = self.hash_of(segments, row);
        let mut groups = std::mem::take(&mut self.groups);
        let same = |group: &Group| group.hash == hash && self.same(segments, group, row);
        match groups.find_mut(hash, same) {
            Some(group) => match &mut group.rows {
                Rows::One(first) => {
                    let mut rows = vec![*first, row];
                    rows.sort_unstable();
                    group.rows = Rows::Many(rows);
                }
                Rows::Many(rows) => {
                    let place = rows.partition_point(|&other| other < row);
                    rows.insert(place, row);
                }
            },
            None => {
                let group = Group { hash, rows: Rows::One(row) };
                groups.insert_unique(hash, group, |group| group.hash);
            }
        }
        self.groups = groups;
    }

    /// Takes a row out, before its cells change.
    pub fn remove(&mut self, segments: &[Arc<Batch>], row: RowNumber) {
        let hash = self.hash_of(segments, row);
        let holds =
            |group: &Group| group.hash == hash && group.rows.as_slice().binary_search(&row).is_ok();
        if let Ok(mut entry) = self.groups.find_entry(hash, holds) {
            match &mut entry.get_mut().rows {
                Rows::Many(rows) if rows.len() > 1 => rows.retain(|&other| other != row),
                _ => {
                    entry.remove();
                }
            }
        }
    }

    /// The rows whose key equals row `row` of the probe's columns, which are of the key's types. A
    /// null key is equal to a null key; conditions ask for nulls nowhere else than in a primary
    /// key.
    #[inline]
    pub fn find(&self, segments: &[Arc<Batch>], probe: &[&Column], row: usize) -> &[RowNumber] {
        let hash = hash_row(probe.iter().map(|&column| (column, row)));
        let same = |group: &Group| {
            group.hash == hash && {
                let known = group.rows.as_slice()[0];
                self.columns.iter().zip(probe).all(|(&column, theirs)| {
                    let (mine, place) = cell(segments, known, column);
                    mine.same(place, theirs, row)
                })
            }
        };
        self.groups.find(hash, same).map_or(&[], |group| group.rows.as_slice())
    }
}
