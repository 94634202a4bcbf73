//! `sum(x)`: whole numbers exactly, floats in row order.

use crate::engine::aggregators::AggregatorDefinition;
use crate::engine::aggregators::balance::Balance;
use crate::engine::aggregators::balance::Marked;
use crate::engine::aggregators::balance::Sure;
use crate::engine::aggregators::per_group::PerGroup;
use crate::engine::aggregators::per_group::Running;
use crate::engine::expressions::Native;
use crate::engine::expressions::Number;
use crate::event::DataType;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;
use crate::plan::signature::WHOLE;

/// `sum(x)`
pub const DEFINITION: AggregatorDefinition = AggregatorDefinition {
    signature: Signature {
        name: "sum",
        summary: "The sum of the values; null while there is none.",
        traits: &[],
        overloads: &[
            Overload {
                parameters: &[Parameter::any("value", WHOLE)],
                returns: Returns::Type(DataType::Long),
            },
            Overload {
                parameters: &[Parameter::any("value", &[DataType::Float, DataType::Double])],
                returns: Returns::Type(DataType::Double),
            },
        ],
        example: "define stream Orders (product string, pieces int);
from Orders#window.time(1 min) select product, sum(pieces) as sold group by product
insert into Sales;",
    },
    build: |setup| match setup.arguments[0].ty {
        // Sums of whole numbers are exact: taking back what was taken in leaves nothing.
        DataType::Int => Ok(PerGroup::<Sum<i32, Sure>>::boxed()),
        DataType::Long => Ok(PerGroup::<Sum<i64, Sure>>::boxed()),
        DataType::Float if setup.balanced => Ok(PerGroup::<Sum<f32, Sure>>::boxed()),
        DataType::Float => Ok(PerGroup::<Sum<f32, Marked>>::boxed()),
        DataType::Double if setup.balanced => Ok(PerGroup::<Sum<f64, Sure>>::boxed()),
        DataType::Double => Ok(PerGroup::<Sum<f64, Marked>>::boxed()),
        ty => Err(ArgumentFault::at(0, format!("expected a number, found a `{ty}`"))),
    },
};

/// What can be summed.
trait Addend: Native + Copy {
    /// The type of the sum.
    type Total: Number + Encode;
    /// Whether sums are exact, so that taking back what was taken in leaves nothing.
    const EXACT: bool;
    fn widened(self) -> Self::Total;
}

impl Addend for i32 {
    type Total = i64;
    const EXACT: bool = true;
    #[inline]
    fn widened(self) -> i64 {
        i64::from(self)
    }
}

impl Addend for i64 {
    type Total = i64;
    const EXACT: bool = true;
    #[inline]
    fn widened(self) -> i64 {
        self
    }
}

impl Addend for f32 {
    type Total = f64;
    const EXACT: bool = false;
    #[inline]
    fn widened(self) -> f64 {
        f64::from(self)
    }
}

impl Addend for f64 {
    type Total = f64;
    const EXACT: bool = false;
    #[inline]
    fn widened(self) -> f64 {
        self
    }
}

struct Sum<A: Addend, B> {
    total: A::Total,
    count: i64,
    balance: B,
}

impl<A: Addend, B: Balance> Default for Sum<A, B> {
    fn default() -> Self {
        Sum { total: A::Total::ZERO, count: 0, balance: B::default() }
    }
}

impl<A: Addend, B: Balance> Running for Sum<A, B> {
    type Argument = A;
    type Result = A::Total;

    #[inline]
    fn enter(&mut self, value: &A) {
        let value = value.widened();
        self.total = self.total.plus(value);
        self.count += 1;
        self.balance.enter(value.to_double());
    }

    #[inline]
    fn leave(&mut self, value: &A) {
        let value = value.widened();
        self.count -= 1;
        self.balance.leave(value.to_double());
        self.total = match self.count {
            0 if !A::EXACT && self.balance.is_even() => A::Total::ZERO,
            _ => self.total.minus(value),
        };
    }

    #[inline]
    fn result(&mut self) -> Option<A::Total> {
        (self.count != 0).then_some(self.total)
    }
}

impl<A: Addend, B: Balance> Encode for Sum<A, B> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.total.encode(out);
        self.count.encode(out);
        self.balance.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let (total, count) = (Encode::decode(from)?, Encode::decode(from)?);
        Ok(Sum { total, count, balance: B::decode(from)? })
    }
}
