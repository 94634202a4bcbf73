//! What aggregators of numbers share: which of two counts as better, and a word for those who bring
//! no number.

use crate::event::DataType;
use crate::plan::signature::ArgumentFault;

/// The fault of an argument that is no number.
pub fn expected(found: DataType) -> ArgumentFault {
    ArgumentFault::at(0, format!("expected a number, found a `{found}`"))
}

/// Which of two numbers is wanted.
pub trait Wanted: Send + 'static {
    /// Whether the new number is wanted more than the old one.
    fn is_better<T: PartialOrd>(new: &T, old: &T) -> bool;
}

/// The greatest number is wanted.
pub struct Greatest;

/// The least number is wanted.
pub struct Least;

impl Wanted for Greatest {
    #[inline]
    fn is_better<T: PartialOrd>(new: &T, old: &T) -> bool {
        new > old
    }
}

impl Wanted for Least {
    #[inline]
    fn is_better<T: PartialOrd>(new: &T, old: &T) -> bool {
        new < old
    }
}
