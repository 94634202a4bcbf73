//! `and or not` and `is null`. Null counts as false, so that no result of these is ever null.
//!
//! A null row of a bool column holds false, so that only `is null` needs to look at null marks.

use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::expressions::Native;
use crate::engine::expressions::Operand;
use crate::engine::expressions::lift::Output;
use crate::engine::expressions::lift::marked;
use crate::event::Column;

/// `and`, `or`: both operands are computed for all rows, which is cheaper than to ask which rows
/// are settled. Faults of the right one where the left one settles the row are none.
struct Join<F> {
    left: Operand,
    right: Operand,
    output: Output<bool>,
    /// The value of the left operand that settles a row.
    settles: bool,
    join: F,
}

impl<F: Fn(bool, bool) -> bool + Send> Kernel for Join<F> {
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        let left = self.left.evaluate(frame, context);
        let before = context.faults.len();
        let right = self.right.evaluate(frame, context);
        context.pardon(before, |row| bool::rows(left)[row] == self.settles);
        let (output, _) = self.output.begin(frame.len());
        let pairs = bool::rows(left).iter().zip(bool::rows(right));
        for (result, (&left, &right)) in output.iter_mut().zip(pairs) {
            *result = (self.join)(left, right);
        }
        self.output.column()
    }
}

/// Makes the kernel of `left and right`.
pub fn and(left: Operand, right: Operand) -> Box<dyn Kernel> {
    let join = |left, right| left & right;
    Box::new(Join { left, right, output: Output::new(), settles: false, join })
}

/// Makes the kernel of `left or right`.
pub fn or(left: Operand, right: Operand) -> Box<dyn Kernel> {
    let join = |left, right| left | right;
    Box::new(Join { left, right, output: Output::new(), settles: true, join })
}

struct Not {
    operand: Operand,
    output: Output<bool>,
}

/// Makes the kernel of `not operand`: true for null.
pub fn not(operand: Operand) -> Box<dyn Kernel> {
    Box::new(Not { operand, output: Output::new() })
}

impl Kernel for Not {
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        let input = self.operand.evaluate(frame, context);
        let (output, _) = self.output.begin(frame.len());
        for (result, &value) in output.iter_mut().zip(bool::rows(input)) {
            *result = !value;
        }
        self.output.column()
    }
}

struct IsNull {
    operand: Operand,
    output: Output<bool>,
}

/// Makes the kernel of `operand is null`.
pub fn is_null(operand: Operand) -> Box<dyn Kernel> {
    Box::new(IsNull { operand, output: Output::new() })
}

impl Kernel for IsNull {
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        let input = self.operand.evaluate(frame, context);
        let (output, _) = self.output.begin(frame.len());
        output.fill(false);
        for row in marked(&input.nulls, output.len()) {
            output[row] = true;
        }
        self.output.column()
    }
}
