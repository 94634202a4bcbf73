//! `== != < <= > >=`: false wherever null stands on a side.

use crate::engine::expressions::Kernel;
use crate::engine::expressions::Native;
use crate::engine::expressions::arithmetic::Side;
use crate::engine::expressions::leaf;
use crate::engine::expressions::lift::test;
use crate::engine::expressions::lift::test_pair;
use crate::event::DataType;
use crate::event::Text;
use crate::event::Value;
use crate::plan::expression::Comparison;

/// Makes the kernel of a comparison of two operands of one type that has an order.
pub fn compare<T: Native + PartialOrd>(
    operator: Comparison,
    left: Side<T>,
    right: Side<T>,
) -> Box<dyn Kernel> {
    match operator {
        Comparison::Equal => between(left, right, |left: &T, right: &T| left == right),
        Comparison::NotEqual => between(left, right, |left: &T, right: &T| left != right),
        Comparison::Less => between(left, right, |left: &T, right: &T| left < right),
        Comparison::LessOrEqual => between(left, right, |left: &T, right: &T| left <= right),
        Comparison::Greater => between(left, right, |left: &T, right: &T| left > right),
        Comparison::GreaterOrEqual => between(left, right, |left: &T, right: &T| left >= right),
    }
}

/// Makes the kernel of an equality of two texts. Most texts that differ do so in length or in their
/// last byte, which is looked at first: that is cheaper than to compare all.
pub fn compare_texts(is_equality: bool, left: Side<Text>, right: Side<Text>) -> Box<dyn Kernel> {
    let same = |left: &Text, right: &Text| {
        let (left, right) = (left.as_bytes(), right.as_bytes());
        left.len() == right.len() && left.last() == right.last() && left == right
    };
    if is_equality {
        between(left, right, same)
    } else {
        between(left, right, move |left, right| !same(left, right))
    }
}

fn between<T: Native>(
    left: Side<T>,
    right: Side<T>,
    holds: impl Fn(&T, &T) -> bool + Copy + Send + 'static,
) -> Box<dyn Kernel> {
    match (left, right) {
        (Side::Known(left), Side::Known(right)) => {
            leaf::constant(&Value::Bool(holds(&left, &right)), DataType::Bool)
        }
        (Side::Known(left), Side::Computed(right)) => {
            test(right, move |right: &T| holds(&left, right))
        }
        (Side::Computed(left), Side::Known(right)) => {
            test(left, move |left: &T| holds(left, &right))
        }
        (Side::Computed(left), Side::Computed(right)) => test_pair(left, right, holds),
    }
}

/// Whether a comparison is possible between values of this type: numbers have an order, texts and
/// truth values are only equal or not.
pub fn is_comparable(operator: Comparison, ty: DataType) -> bool {
    let equality = matches!(operator, Comparison::Equal | Comparison::NotEqual);
    ty.is_numeric() || equality && matches!(ty, DataType::Text | DataType::Bool)
}
