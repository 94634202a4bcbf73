//! A window of batches that end by an attribute's clock, whatever a batch keeps of its rows.

use crate::engine::context::Context;
use crate::engine::operator::Operator;
use crate::engine::rows::Queues;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::Window;
use crate::engine::windows::WindowSetup;
use crate::engine::windows::arrivals::arrivals;
use crate::engine::windows::arrivals::leave_out;
use crate::engine::windows::periods::Closing;
use crate::engine::windows::periods::Periods;
use crate::event::Batch;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::signature::ArgumentFault;

/// The open batch of each slot, and the one that was put out before it.
pub(super) trait Batches: Send {
    /// Rows are at hand, each of which will be admitted.
    fn store(&mut self, rows: &Batch) {
        let _ = rows;
    }

    /// Takes a row of those at hand into the open batch of its slot.
    fn admit(&mut self, rows: &Batch, row: usize, now: Millis);

    /// Puts out the batch that ends: whole if it has not been put out yet, else only if something
    /// was added since.
    fn close(&mut self, slot: Slot, closing: Closing, output: &mut Batch);

    /// All rows at hand have been taken, or what was due has been put out.
    fn settle(&mut self) {}

    /// Drops the batches of a slot.
    fn forget(&mut self, slot: Slot);

    /// How many rows are held.
    fn held(&self) -> usize;

    /// Writes all batches.
    fn save(&self, state: &mut StateWriter);

    /// Takes what [`Batches::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError>;

    /// As [`Window::contents`].
    fn contents(&self, slot: Slot, into: &mut Batch);

    /// As [`Window::queued`].
    fn queued(&self, slot: Slot) -> Option<(&Queues, u64)> {
        let _ = slot;
        None
    }

    /// As [`Window::index_on`].
    fn index_on(&mut self, columns: &[usize]) -> Option<usize> {
        let _ = columns;
        None
    }
}

/// Ends batches by periods.
pub(super) struct PeriodBatches<B> {
    periods: Periods,
    batches: B,
    /// Whether rows carry the end of their batch in place of their time.
    replaces: bool,
    keep: Vec<bool>,
    /// One row whose time is replaced.
    replaced: Batch,
}

impl<B: Batches> PeriodBatches<B> {
    /// For arguments of which the attribute stands at `place`, and behind it what tells the
    /// periods; last, whether times are replaced.
    ///
    /// # Errors
    /// Which argument it cannot take.
    pub(super) fn new(
        setup: &WindowSetup<'_>,
        place: usize,
        make: impl FnOnce(&Periods) -> Result<B, ArgumentFault>,
    ) -> Result<PeriodBatches<B>, ArgumentFault> {
        let periods = Periods::new(setup, place)?;
        Ok(PeriodBatches {
            batches: make(&periods)?,
            periods,
            replaces: setup.flag(place + 4),
            keep: setup.keep.to_vec(),
            replaced: Batch::keeping(setup.types, setup.keep),
        })
    }

    fn take(&mut self, rows: &Batch, context: &mut Context, output: &mut Batch) {
        if !self.replaces {
            self.batches.store(rows);
        }
        for row in 0..rows.len() {
            let slot = rows.slot(row);
            if let Some(closing) = self.periods.note(rows, row, context) {
                self.batches.close(slot, closing, output);
            }
            if self.replaces {
                self.replaced.clear();
                self.replaced.extend(rows, row, row + 1);
                let time = self.periods.column();
                self.replaced.columns[time].longs_mut()[0] = self.periods.end(slot);
                self.batches.store(&self.replaced);
                self.batches.admit(&self.replaced, 0, context.now);
            } else {
                self.batches.admit(rows, row, context.now);
            }
        }
        self.batches.settle();
    }
}

impl<B: Batches> Operator for PeriodBatches<B> {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        leave_out(&self.keep, output);
        let rows = arrivals(input, Some(self.periods.column()), context);
        self.take(&rows, context, output);
    }

    fn wake(&mut self, due: Millis, slot: Slot, _context: &mut Context, output: &mut Batch) {
        let Some(closing) = self.periods.wake(due, slot) else { return };
        leave_out(&self.keep, output);
        self.batches.close(slot, closing, output);
        self.batches.settle();
    }

    fn forget(&mut self, slot: Slot) {
        self.batches.forget(slot);
        self.periods.forget(slot);
    }

    fn held(&self) -> usize {
        self.batches.held()
    }

    fn save(&self, state: &mut StateWriter) {
        self.periods.save(state);
        self.batches.save(state);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.periods.load(state)?;
        self.batches.load(state)
    }
}

impl<B: Batches> Window for PeriodBatches<B> {
    fn contents(&self, slot: Slot, into: &mut Batch) {
        self.batches.contents(slot, into);
    }

    fn queued(&self, slot: Slot) -> Option<(&Queues, u64)> {
        self.batches.queued(slot)
    }

    fn index_on(&mut self, columns: &[usize]) -> Option<usize> {
        self.batches.index_on(columns)
    }
}
