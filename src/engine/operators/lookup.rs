//! Join of a stream with a table, named window or aggregation: each row with what is found at that
//! moment.

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
use crate::event::Slot;
use crate::plan::logical::Lookup;

/// Puts out the stream's columns, then those of what was found. The matches of one row are one
/// chunk.
pub struct LookupStep {
    finder: Finder,
    outer: bool,
    width: usize,
    pairs: Pairs,
    /// With an outer join: the pairs with those rows put in that found nothing.
    padded: Vec<(u32, Option<u32>)>,
}

impl LookupStep {
    /// For a stream of the given columns.
    ///
    /// # Errors
    /// If the condition cannot be run.
    pub fn build(
        lookup: &Lookup,
        types: &[DataType],
        builder: &Builder<'_>,
    ) -> Result<LookupStep, BuildError> {
        Ok(LookupStep {
            finder: Finder::build(lookup.with, lookup.on.as_ref(), types, builder)?.within(
                lookup.buckets.as_ref(),
                types.len(),
                builder,
            )?,
            outer: lookup.outer,
            width: lookup.width,
            pairs: Pairs::default(),
            padded: Vec::new(),
        })
    }

    /// Puts out every asking row, with nulls where nothing was found.
    fn run_outer(&mut self, input: &Batch, context: &Context, output: &mut Batch) {
        self.padded.clear();
        let mut place = 0;
        for row in 0..input.len() as u32 {
            let first = place;
            while self.pairs.asking.get(place) == Some(&row) {
                self.padded.push((row, Some(self.pairs.found[place])));
                place += 1;
            }
            if place == first {
                self.padded.push((row, None));
            }
        }
        self.pairs.asking.clear();
        self.pairs.asking.extend(self.padded.iter().map(|(row, _)| *row));
        for column in self.width..output.columns.len() {
            for (_, found) in &self.padded {
                match found {
                    Some(found) => self.finder.gather(
                        context,
                        column - self.width,
                        &[*found],
                        &mut output.columns[column],
                    ),
                    None => output.columns[column].push_null(),
                }
            }
        }
    }
}

impl Operator for LookupStep {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        self.pairs.clear();
        self.finder.find(input, 0..input.len(), context, &mut self.pairs);
        if self.outer {
            self.run_outer(input, context, output);
        } else {
            for column in self.width..output.columns.len() {
                let into = &mut output.columns[column];
                self.finder.gather(context, column - self.width, &self.pairs.found, into);
            }
        }
        let rows = &self.pairs.asking;
        for (mine, theirs) in output.columns.iter_mut().zip(&input.columns).take(self.width) {
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
