//! Typed expressions as kernels that compute a column at a time.

mod arithmetic;
pub mod by_row;
mod comparison;
mod compile;
pub(crate) mod leaf;
pub mod lift;
mod logic;
pub(crate) mod native;
pub mod number_text;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use crate::engine::context::Context;
use crate::event::Column;
use crate::event::Millis;
use smallvec::SmallVec;

pub use arithmetic::Number;
pub use compile::CompileIn;
pub use compile::compile;
pub use compile::compile_with;
pub use lift::Operand;
pub use native::Native;

/// The rows an expression is computed for: groups of columns of equal length. A selection sees the
/// input's columns, then those of its aggregates, then its own outputs; a join the one side's, then
/// the other's.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// The groups of columns. A column is named by group and place.
    pub parts: [&'a [Column]; 3],
    /// Each row's own time.
    pub timestamps: &'a [Millis],
}

impl<'a> Frame<'a> {
    /// A frame of one group of columns.
    pub fn new(columns: &'a [Column], timestamps: &'a [Millis]) -> Frame<'a> {
        Frame { parts: [columns, &[], &[]], timestamps }
    }

    /// How many rows.
    #[inline]
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }
}

/// Computes a column. Kernels own the memory of their results and use it again, so that a call
/// allocates nothing once warm.
pub trait Kernel: Send {
    /// The values for all rows of the frame. The column may be longer than the frame; what is
    /// beyond means nothing.
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column;
}

/// Room for what several expressions give.
///
/// One expression is common, and goes without the list: a list made for a call is written in parts
/// and read back as a whole, which stalls the processor for longer than all the rest takes.
#[derive(Default)]
pub struct Columns<'a> {
    one: Option<&'a Column>,
    many: SmallVec<[&'a Column; 4]>,
}

impl<'a> Columns<'a> {
    /// The values of expressions for all rows of a frame.
    #[inline]
    pub fn evaluate(
        &mut self,
        kernels: &'a mut [Box<dyn Kernel>],
        frame: &Frame<'a>,
        context: &mut Context,
    ) -> &[&'a Column] {
        if let [kernel] = kernels {
            return std::slice::from_ref(self.one.insert(kernel.evaluate(frame, context)));
        }
        self.many.extend(kernels.iter_mut().map(|kernel| kernel.evaluate(frame, context)));
        &self.many
    }
}
