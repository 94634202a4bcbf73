//! Where expressions begin: constants, columns, and numbers made wider.

use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::expressions::Native;
use crate::engine::expressions::Operand;
use crate::engine::expressions::lift::map;
use crate::engine::expressions::native::for_type;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Value;
use crate::plan::signature::ArgumentFault;

/// The same value for every row. Its column is filled when more rows come than ever before.
struct Constant {
    value: Value,
    column: Column,
}

/// Makes the kernel of a constant; a null constant is a column of nulls.
pub fn constant(value: &Value, ty: DataType) -> Box<dyn Kernel> {
    Box::new(Constant { value: value.clone(), column: Column::new(ty) })
}

impl Kernel for Constant {
    #[inline]
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, _: &mut Context) -> &'a Column {
        while self.column.len() < frame.len() {
            self.column.push(&self.value);
        }
        &self.column
    }
}

/// A column of the frame, as it is.
struct Place(Operand);

/// Makes the kernel that gives a column of the frame.
pub fn column(part: usize, index: usize) -> Box<dyn Kernel> {
    Box::new(Place(Operand::Column { part, index }))
}

/// Makes the kernel that gives what an operand gives.
pub fn unchanged(operand: Operand) -> Box<dyn Kernel> {
    match operand {
        Operand::Kernel(kernel) => kernel,
        column => Box::new(Place(column)),
    }
}

impl Kernel for Place {
    #[inline]
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        self.0.evaluate(frame, context)
    }
}

/// Makes the kernel that widens values as [`Value::widened`] does.
///
/// # Errors
/// If the one type does not widen to the other.
pub fn widen(
    from: DataType,
    to: DataType,
    operand: Operand,
) -> Result<Box<dyn Kernel>, ArgumentFault> {
    Ok(match (from, to) {
        (DataType::Int, DataType::Long) => map(operand, |&value: &i32| i64::from(value)),
        (DataType::Int, DataType::Float) => map(operand, |&value: &i32| value as f32),
        (DataType::Int, DataType::Double) => map(operand, |&value: &i32| f64::from(value)),
        (DataType::Long, DataType::Float) => map(operand, |&value: &i64| value as f32),
        (DataType::Long, DataType::Double) => map(operand, |&value: &i64| value as f64),
        (DataType::Float, DataType::Double) => map(operand, |&value: &f32| f64::from(value)),
        (from, DataType::Object) => for_type!(from, T => boxed::<T>(operand)),
        (from, to) => {
            let message = format!("`{from}` does not widen to `{to}`");
            return Err(ArgumentFault { argument: None, message, not_supported: false });
        }
    })
}

fn boxed<A: Native>(operand: Operand) -> Box<dyn Kernel> {
    map(operand, |value: &A| value.clone().into_value())
}
