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
}

impl Filter {
    /// Keeps rows for which `condition`, of type bool, is true.
    pub fn new(condition: Box<dyn Kernel>) -> Filter {
        Filter { condition, kept: Vec::new() }
    }
}

impl Operator for Filter {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        let frame = Frame::new(&input.columns, &input.timestamps);
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
        output.gather(input, &self.kept[..count]);
    }

    fn forget(&mut self, _slot: Slot) {}

    fn save(&self, _state: &mut StateWriter) {}

    fn load(&mut self, _state: &mut StateReader<'_>) -> Result<(), LoadError> {
        Ok(())
    }
}
