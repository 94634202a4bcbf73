//! Join with an external table: each row waits for its answer, and those behind it wait with it.

use crate::engine::build::BuildError;
use crate::engine::build::Builder;
use crate::engine::context::Context;
use crate::engine::external::asking::Asking;
use crate::engine::external::asking::asks;
use crate::engine::external::queue::Queue;
use crate::engine::external::queue::TOO_MANY;
use crate::engine::operator::Operator;
use crate::engine::operators::say_missing;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::logical::Lookup;
use crate::plan::logical::TableId;
use std::collections::BTreeSet;

/// Puts out the rows' own columns beside those of what was found. The matches of one row are one
/// chunk. Resets pass in their turn: they find nothing.
pub struct ExternalJoin {
    asking: Asking,
    queue: Queue,
    outer: bool,
    width: usize,
    own_base: usize,
    found_base: usize,
    missing: Option<[usize; 2]>,
}

impl ExternalJoin {
    /// For rows of the given columns.
    ///
    /// # Errors
    /// If the condition cannot be run.
    pub fn build(
        table: TableId,
        lookup: &Lookup,
        types: &[DataType],
        builder: &Builder<'_>,
    ) -> Result<ExternalJoin, BuildError> {
        let on = lookup.on.as_ref();
        Ok(ExternalJoin {
            asking: Asking::build(table, on, types, &lookup.types, builder)?,
            queue: Queue::new(1, types, &lookup.types),
            outer: lookup.outer,
            width: lookup.width,
            own_base: lookup.own_base(),
            found_base: lookup.found_base(),
            missing: lookup.missing,
        })
    }

    /// Puts out the rows at the front that have their answers.
    fn release(&mut self, context: &mut Context, output: &mut Batch) {
        let ready = context.released(self.queue.ready(false), 1);
        if ready == 0 {
            return self.queue.set_alarm(context);
        }
        let (rows, start) = self.queue.rows();
        let mut failed = vec![false; ready];
        let pairs = self.queue.pairs(0, &mut self.asking, &mut failed, context);
        // Which rows are put out, each with what it found, or with nothing.
        let mut asking: Vec<u32> = Vec::with_capacity(pairs.len());
        let mut found: Vec<Option<u32>> = Vec::with_capacity(pairs.len());
        let mut place = 0;
        for (row, failed) in failed.into_iter().enumerate() {
            let own = (start + row) as u32;
            let first = place;
            while let Some(pair) = pairs.get(place).filter(|pair| pair.asking == own) {
                asking.push(own);
                found.push(Some(pair.found));
                place += 1;
            }
            let stands = self.outer && !failed || rows.kind(start + row) == Kind::Reset;
            if stands && place == first {
                asking.push(own);
                found.push(None);
            }
        }
        if let Some(columns) = self.missing {
            say_missing(columns, found.iter().map(Option::is_none), output);
        }
        let columns = output.columns.iter_mut().skip(self.found_base);
        for (mine, theirs) in columns.zip(&self.queue.found().columns) {
            for found in &found {
                match found {
                    _ if mine.values.data_type().is_none() => {}
                    Some(row) => mine.push_from(theirs, *row as usize),
                    None => mine.push_null(),
                }
            }
        }
        let own = output.columns.iter_mut().skip(self.own_base).take(self.width);
        for (mine, theirs) in own.zip(&rows.columns) {
            mine.gather(theirs, &asking);
        }
        output.gather_heads(rows, &asking);
        // A chunk is the matches of one row, whatever chunk the row came in.
        output.continues.clear();
        for (place, pair) in asking.windows(2).enumerate() {
            if pair[0] == pair[1] {
                output.continues.set(place);
            }
        }
        self.queue.leave(ready);
        self.queue.set_alarm(context);
    }
}

impl Operator for ExternalJoin {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        let room = self.queue.room();
        let values = self.asking.values(input, context);
        for (row, with) in values.into_iter().enumerate() {
            let asks = asks(input, row);
            let with = if row < room { with } else { Err(TOO_MANY.into()) };
            let with = match with {
                Ok(with) => with,
                Err(_) if !asks => Vec::new(),
                Err(reason) => {
                    context.failed.push(input, row, reason);
                    continue;
                }
            };
            let number = context.errands.number(usize::from(asks));
            if asks {
                self.asking.ask(number, with, context);
            }
            self.queue.put(input, row, number, !asks, context.now);
        }
        self.release(context, output);
    }

    fn wake(&mut self, due: Millis, _slot: Slot, context: &mut Context, output: &mut Batch) {
        self.queue.expire(due);
        self.release(context, output);
    }

    fn asks(&self) -> Option<TableId> {
        Some(self.asking.table)
    }

    fn answered(&mut self, context: &mut Context, output: &mut Batch) {
        self.queue.take(context);
        self.release(context, output);
    }

    /// No row waits of a key that is forgotten.
    fn forget(&mut self, _slot: Slot) {}

    fn keys_in_use(&self, keys: &mut BTreeSet<Slot>) {
        self.queue.keys(keys);
    }

    fn held(&self) -> usize {
        self.queue.len()
    }

    fn save(&self, state: &mut StateWriter) {
        self.queue.save(state);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.queue.load(state)
    }
}
