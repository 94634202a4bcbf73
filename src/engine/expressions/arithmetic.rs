//! `+ - * / %`: whole numbers wrap as Java's do, a division by zero gives null for every type.

use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::expressions::Native;
use crate::engine::expressions::Operand;
use crate::engine::expressions::leaf;
use crate::engine::expressions::lift::map;
use crate::engine::expressions::lift::try_map;
use crate::engine::expressions::lift::try_zip;
use crate::engine::expressions::lift::zip;
use crate::event::Column;
use crate::event::Value;
use crate::plan::expression::Arithmetic;

/// A type one can calculate with.
pub trait Number: Native + Copy {
    /// Zero, by which nothing is divided.
    const ZERO: Self;
    /// `self + other`
    fn plus(self, other: Self) -> Self;
    /// `self - other`
    fn minus(self, other: Self) -> Self;
    /// `self * other`
    fn times(self, other: Self) -> Self;
    /// `self / other`; `other` is not zero
    fn over(self, other: Self) -> Self;
    /// `self % other`; `other` is not zero
    fn rest(self, other: Self) -> Self;
    /// The number as a double.
    fn to_double(self) -> f64;
    /// The number's place among all numbers of its type, and back.
    fn to_rank(self) -> i64;
    /// The number at a place that [`Number::to_rank`] gave.
    fn from_rank(rank: i64) -> Self;
}

macro_rules! whole_number {
    ($($ty:ty),*) => {$(
        impl Number for $ty {
            const ZERO: Self = 0;
            #[inline]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline]
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline]
            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline]
            fn over(self, other: Self) -> Self {
                self.wrapping_div(other)
            }
            #[inline]
            fn rest(self, other: Self) -> Self {
                self.wrapping_rem(other)
            }
            #[inline]
            fn to_double(self) -> f64 {
                self as f64
            }
            fn to_rank(self) -> i64 {
                i64::from(self)
            }
            fn from_rank(rank: i64) -> Self {
                rank as $ty
            }
        }
    )*};
}
whole_number!(i32, i64);

macro_rules! float_number {
    ($($ty:ty, $bits:ty;)*) => {$(
        impl Number for $ty {
            const ZERO: Self = 0.0;
            #[inline]
            fn plus(self, other: Self) -> Self {
                self + other
            }
            #[inline]
            fn minus(self, other: Self) -> Self {
                self - other
            }
            #[inline]
            fn times(self, other: Self) -> Self {
                self * other
            }
            #[inline]
            fn over(self, other: Self) -> Self {
                self / other
            }
            #[inline]
            fn rest(self, other: Self) -> Self {
                self % other
            }
            #[inline]
            fn to_double(self) -> f64 {
                f64::from(self)
            }
            // Bits of positive floats rise with the number, those of negative ones fall.
            fn to_rank(self) -> i64 {
                let bits = self.to_bits() as $bits;
                i64::from(if bits < 0 { bits ^ <$bits>::MAX } else { bits })
            }
            fn from_rank(rank: i64) -> Self {
                let bits = rank as $bits;
                <$ty>::from_bits((if bits < 0 { bits ^ <$bits>::MAX } else { bits }) as _)
            }
        }
    )*};
}
float_number!(f32, i32; f64, i64;);

/// An operand that may be known beforehand.
pub enum Side<T> {
    /// The same for every row.
    Known(T),
    /// Computed for every row.
    Computed(Operand),
}

/// Makes the kernel of an arithmetic operator on two operands of one type.
pub fn arithmetic<T: Number>(
    operator: Arithmetic,
    left: Side<T>,
    right: Side<T>,
) -> Box<dyn Kernel> {
    match operator {
        Arithmetic::Add => total(left, right, T::plus),
        Arithmetic::Subtract => total(left, right, T::minus),
        Arithmetic::Multiply => total(left, right, T::times),
        Arithmetic::Divide => division(left, right, T::over),
        Arithmetic::Remainder => division(left, right, T::rest),
    }
}

/// An operator that has a result for all operands.
fn total<T: Number>(
    left: Side<T>,
    right: Side<T>,
    compute: impl Fn(T, T) -> T + Copy + Send + 'static,
) -> Box<dyn Kernel> {
    match (left, right) {
        (Side::Known(left), Side::Known(right)) => {
            leaf::constant(&compute(left, right).into_value(), T::TYPE)
        }
        (Side::Known(left), Side::Computed(right)) => {
            map(right, move |&right: &T| compute(left, right))
        }
        (Side::Computed(left), Side::Known(right)) => {
            map(left, move |&left: &T| compute(left, right))
        }
        (Side::Computed(left), Side::Computed(right)) => {
            zip(left, right, move |&left: &T, &right: &T| compute(left, right))
        }
    }
}

/// An operator that gives null where the right operand is zero.
fn division<T: Number>(
    left: Side<T>,
    right: Side<T>,
    compute: impl Fn(T, T) -> T + Copy + Send + 'static,
) -> Box<dyn Kernel> {
    let guarded = move |left: T, right: T| (right != T::ZERO).then(|| compute(left, right));
    match (left, right) {
        (Side::Known(left), Side::Known(right)) => {
            let value = guarded(left, right).map_or(Value::Null, T::into_value);
            leaf::constant(&value, T::TYPE)
        }
        (Side::Computed(left), Side::Known(right)) if right == T::ZERO => {
            Box::new(Nothing { operand: left, nothing: leaf::constant(&Value::Null, T::TYPE) })
        }
        (Side::Computed(left), Side::Known(right)) => {
            map(left, move |&left: &T| compute(left, right))
        }
        (Side::Known(left), Side::Computed(right)) => {
            try_map(right, move |&right: &T| guarded(left, right))
        }
        (Side::Computed(left), Side::Computed(right)) => {
            try_zip(left, right, move |&left: &T, &right: &T| guarded(left, right))
        }
    }
}

/// A division by a constant zero. The operand is still computed: a call in it may draw chance.
struct Nothing {
    operand: Operand,
    nothing: Box<dyn Kernel>,
}

impl Kernel for Nothing {
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        self.operand.evaluate(frame, context);
        self.nothing.evaluate(frame, context)
    }
}
