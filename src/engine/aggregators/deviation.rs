//! `stdDev(x)`: the population's standard deviation, kept running as values come and go.

use crate::engine::aggregators::AggregatorDefinition;
use crate::engine::aggregators::number;
use crate::engine::aggregators::per_group::PerGroup;
use crate::engine::aggregators::per_group::Running;
use crate::engine::expressions::Number;
use crate::engine::expressions::native::for_number;
use crate::event::DataType;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use crate::plan::signature::NUMBER;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;
use std::marker::PhantomData;

/// `stdDev(x)`
pub const DEFINITION: AggregatorDefinition = AggregatorDefinition {
    signature: Signature {
        name: "stdDev",
        summary: "The standard deviation of the values as a whole; null while there is none.",
        traits: &[],
        overloads: &[Overload {
            parameters: &[Parameter::any("value", NUMBER)],
            returns: Returns::Type(DataType::Double),
        }],
        example: "define stream Readings (room int, celsius double);
from Readings#window.length(100) select room, stdDev(celsius) as spread group by room
insert into Spreads;",
    },
    build: |setup| {
        let ty = setup.arguments[0].ty;
        for_number!(ty, T => Ok(PerGroup::<Deviation<T>>::boxed()), else Err(number::expected(ty)))
    },
};

/// Welford's running moments; the mean is taken from the sum, as the reference does, so that the
/// rounding is the same.
struct Deviation<A> {
    sum: f64,
    mean: f64,
    squares: f64,
    count: i64,
    argument: PhantomData<A>,
}

impl<A> Default for Deviation<A> {
    fn default() -> Self {
        Deviation { sum: 0.0, mean: 0.0, squares: 0.0, count: 0, argument: PhantomData }
    }
}

impl<A: Number> Running for Deviation<A> {
    type Argument = A;
    type Result = f64;

    #[inline]
    fn enter(&mut self, value: &A) {
        let value = value.to_double();
        let before = self.mean;
        self.count += 1;
        self.sum += value;
        self.mean = self.sum / self.count as f64;
        if self.count > 1 {
            self.squares += (value - before) * (value - self.mean);
        }
    }

    #[inline]
    fn leave(&mut self, value: &A) {
        self.count -= 1;
        if self.count == 0 {
            *self = Self::default();
            return;
        }
        let value = value.to_double();
        let before = self.mean;
        self.sum -= value;
        self.mean = self.sum / self.count as f64;
        self.squares -= (value - before) * (value - self.mean);
    }

    #[inline]
    fn result(&mut self) -> Option<f64> {
        match self.count {
            0 => None,
            1 => Some(0.0),
            // Rounding may have left a little less than nothing.
            count => Some((self.squares / count as f64).max(0.0).sqrt()),
        }
    }
}

impl<A> Encode for Deviation<A> {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.sum, self.mean).encode(out);
        (self.squares, self.count).encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let (sum, mean) = Encode::decode(from)?;
        let (squares, count) = Encode::decode(from)?;
        Ok(Deviation { sum, mean, squares, count, argument: PhantomData })
    }
}
