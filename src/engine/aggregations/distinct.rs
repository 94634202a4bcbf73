//! Which values each cell of an aggregation has seen.

use crate::engine::aggregations::segments::Segments;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Values;
use crate::event::hash_cell;
use hashbrown::HashTable;

const CELL: usize = 0;
const VALUE: usize = 1;

/// Pairs of a cell and a value, each of them once.
pub struct Distinct {
    pairs: Segments,
    index: HashTable<(u64, u32)>,
}

impl Distinct {
    /// Nothing seen yet of a type.
    pub fn new(ty: DataType) -> Distinct {
        Distinct { pairs: Segments::new(vec![DataType::Long, ty]), index: HashTable::new() }
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.pairs.clear();
        self.index.clear();
    }

    /// Notes that a cell has seen a value; whether it had not.
    pub fn insert(&mut self, cell: u32, column: &Column, row: usize) -> bool {
        let hash = hash_of(cell, column, row);
        let pairs = &self.pairs;
        let same = |&(known, pair): &(u64, u32)| {
            known == hash && cell_of(pairs, pair) == cell && {
                let (values, place) = pairs.cell(pair, VALUE);
                values.same(place, column, row)
            }
        };
        if self.index.find(hash, same).is_some() {
            return false;
        }
        let pair = self.pairs.push(|columns| {
            columns[CELL].longs_mut().push(i64::from(cell));
            columns[VALUE].push_from(column, row);
        });
        self.index.insert_unique(hash, (hash, pair), |&(hash, _)| hash);
        true
    }

    /// Calls `take` with each pair in the order in which they came.
    pub fn each(&self, mut take: impl FnMut(u32, &Column, usize)) {
        for batch in self.pairs.batches() {
            let cells = batch.columns[CELL].longs();
            for (row, &cell) in cells.iter().enumerate() {
                take(cell as u32, &batch.columns[VALUE], row);
            }
        }
    }

    /// Writes all pairs.
    pub fn save(&self, state: &mut StateWriter) {
        self.pairs.save(state);
    }

    /// Takes what [`Distinct::save`] wrote, of so many cells.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub fn load(&mut self, state: &mut StateReader<'_>, cells: usize) -> Result<(), LoadError> {
        self.pairs.load(state)?;
        self.index.clear();
        let mut number = 0;
        for batch in self.pairs.batches() {
            let Values::Long(owners) = &batch.columns[CELL].values else {
                return Err(LoadError::Malformed);
            };
            for (row, &cell) in owners.iter().enumerate() {
                if usize::try_from(cell).map_or(true, |cell| cell >= cells) {
                    return Err(LoadError::Malformed);
                }
                let hash = hash_of(cell as u32, &batch.columns[VALUE], row);
                self.index.insert_unique(hash, (hash, number), |&(hash, _)| hash);
                number += 1;
            }
        }
        Ok(())
    }
}

fn cell_of(pairs: &Segments, pair: u32) -> u32 {
    let (cells, place) = pairs.cell(pair, CELL);
    cells.longs()[place] as u32
}

fn hash_of(cell: u32, column: &Column, row: usize) -> u64 {
    // Nulls hold the type's zero, and differ from it where they are compared.
    hash_cell(column, row, u64::from(cell))
}
