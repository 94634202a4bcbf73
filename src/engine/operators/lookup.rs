//! Join: each row with what is found at that moment in a table, a named window, an aggregation or
//! the window of the other side.

use crate::engine::build::BuildError;
use crate::engine::build::Builder;
use crate::engine::context::Context;
use crate::engine::operator::Operator;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::tables::Finder;
use crate::engine::tables::Pairs;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Slot;
use crate::event::Value;
use crate::plan::logical::Lookup;

/// Puts out the rows' own columns beside those of what was found. The matches of one row are one
/// chunk. Resets pass: they find nothing.
pub struct LookupStep {
    finder: Finder,
    outer: bool,
    /// How many columns the rows have, and from where on these and those found stand.
    width: usize,
    own_base: usize,
    found_base: usize,
    found_width: usize,
    /// The columns that say whether the row is missing, and whether what is found is.
    missing: Option<[usize; 2]>,
    pairs: Pairs,
    /// The pairs with those rows put in that found nothing but are put out.
    padded: Vec<(u32, Option<u32>)>,
}

impl LookupStep {
    /// For rows of the given columns.
    ///
    /// # Errors
    /// If the condition cannot be run.
    pub fn build(
        lookup: &Lookup,
        types: &[DataType],
        builder: &Builder<'_>,
    ) -> Result<LookupStep, BuildError> {
        let on = lookup.on.as_ref();
        Ok(LookupStep {
            finder: Finder::build(lookup.with, &lookup.types, on, types, builder)?.within(
                lookup.buckets.as_ref(),
                types.len(),
                builder,
            )?,
            outer: lookup.outer,
            width: lookup.width,
            own_base: lookup.own_base(),
            found_base: lookup.found_base(),
            found_width: lookup.types.len(),
            missing: lookup.missing,
            pairs: Pairs::default(),
            padded: Vec::new(),
        })
    }

    /// Puts out every asking row that stands without a match too, with nulls.
    fn pad(&mut self, input: &Batch, context: &Context, output: &mut Batch) {
        self.padded.clear();
        let mut place = 0;
        for row in 0..input.len() as u32 {
            let first = place;
            while self.pairs.asking.get(place) == Some(&row) {
                self.padded.push((row, Some(self.pairs.found[place])));
                place += 1;
            }
            let stands = self.outer || input.kind(row as usize) == Kind::Reset;
            if stands && place == first {
                self.padded.push((row, None));
            }
        }
        self.pairs.asking.clear();
        self.pairs.asking.extend(self.padded.iter().map(|(row, _)| *row));
        for column in 0..self.found_width {
            let into = &mut output.columns[self.found_base + column];
            for (_, found) in &self.padded {
                match found {
                    _ if into.values.data_type().is_none() => {}
                    Some(found) => self.finder.gather(context, column, &[*found], into),
                    None => into.push_null(),
                }
            }
        }
    }
}

/// Says of each row whether it is missing, which it is not, and whether what it should have found
/// is. Columns that nobody reads stay absent.
pub fn say_missing(
    [own, found]: [usize; 2],
    lacks: impl Iterator<Item = bool>,
    output: &mut Batch,
) {
    for lacks in lacks {
        output.columns[own].push(&Value::Bool(false));
        output.columns[found].push(&Value::Bool(lacks));
    }
}

impl Operator for LookupStep {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        self.pairs.clear();
        self.padded.clear();
        self.finder.find(input, 0..input.len(), context, &mut self.pairs);
        if self.outer || input.kinds.contains(&Kind::Reset) {
            self.pad(input, context, output);
        } else if self.pairs.asking.is_empty() {
            return;
        } else {
            for column in 0..self.found_width {
                let into = &mut output.columns[self.found_base + column];
                if into.values.data_type().is_some() {
                    self.finder.gather(context, column, &self.pairs.found, into);
                }
            }
        }
        let rows = &self.pairs.asking;
        if let Some(columns) = self.missing {
            // Where nothing was put in all rows have found something.
            let lacks = |place: usize| self.padded.get(place).is_some_and(|pair| pair.1.is_none());
            say_missing(columns, (0..rows.len()).map(lacks), output);
        }
        let own = output.columns.iter_mut().skip(self.own_base).take(self.width);
        for (mine, theirs) in own.zip(&input.columns) {
            mine.gather(theirs, rows);
        }
        output.gather_heads(input, rows);
        // A chunk is the matches of one row, whatever chunk the row came in.
        output.continues.clear();
        for (place, pair) in rows.windows(2).enumerate() {
            if pair[0] == pair[1] {
                output.continues.set(place);
            }
        }
    }

    fn forget(&mut self, _slot: Slot) {}

    fn save(&self, _state: &mut StateWriter) {}

    fn load(&mut self, _state: &mut StateReader<'_>) -> Result<(), LoadError> {
        Ok(())
    }
}
