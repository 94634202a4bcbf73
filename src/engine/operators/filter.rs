//! `[condition]`: keeps the rows for which the condition is true.

use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::operator::Operator;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Slot;

/// Keeps rows. Resets pass always: they are no rows but news of the window before.
pub struct Filter {
    condition: Box<dyn Kernel>,
    kept: Vec<u32>,
    counts: bool,
    left_out: u64,
}

impl Filter {
    /// Keeps rows for which `condition`, of type bool, is true. Where it `counts`, what it leaves
    /// out ends here, and is told by [`Operator::left_out`].
    pub fn new(condition: Box<dyn Kernel>, counts: bool) -> Filter {
        Filter { condition, kept: Vec::new(), counts, left_out: 0 }
    }
}

impl Operator for Filter {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        let frame = Frame::new(&input.columns, &input.timestamps);
        let faults = context.faults.len();
        let passes = &self.condition.evaluate(&frame, context).bools()[..input.len()];
        // Written without a branch: whether a row passes cannot be foretold.
        self.kept.resize(input.len(), 0);
        let mut count = 0;
        if input.kinds.is_empty() {
            for (row, &passes) in passes.iter().enumerate() {
                self.kept[count] = row as u32;
                count += usize::from(passes);
            }
        } else {
            for (row, (&passes, &kind)) in passes.iter().zip(&input.kinds).enumerate() {
                self.kept[count] = row as u32;
                count += usize::from(passes | (kind == Kind::Reset));
            }
        }
        // Rows that could not be computed do not pass either, and are counted as faults.
        if context.faults.len() > faults {
            context.one_fault_a_row(faults);
            let failed = &context.faults[faults..];
            self.kept.truncate(count);
            self.kept.retain(|&row| {
                failed.binary_search_by_key(&(row as usize), |fault| fault.row).is_err()
            });
            count = self.kept.len();
        }
        let faults = context.faults.len() - faults;
        self.left_out += (input.len() - count).saturating_sub(faults) as u64;
        output.gather(input, &self.kept[..count]);
    }

    fn forget(&mut self, _slot: Slot) {}

    fn left_out(&self) -> Option<u64> {
        self.counts.then_some(self.left_out)
    }

    fn version(&self) -> u16 {
        2
    }

    fn save(&self, state: &mut StateWriter) {
        state.put(&self.left_out);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.left_out = state.get()?;
        Ok(())
    }
}
