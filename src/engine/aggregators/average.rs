//! `avg(x)`: the mean of the values, as a double.

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

/// `avg(x)`
pub const DEFINITION: AggregatorDefinition = AggregatorDefinition {
    signature: Signature {
        name: "avg",
        summary: "The mean of the values; null while there is none.",
        traits: &[],
        overloads: &[Overload {
            parameters: &[Parameter::any("value", NUMBER)],
            returns: Returns::Type(DataType::Double),
        }],
        example: "define stream Readings (room int, celsius double);
from Readings#window.length(10) select room, avg(celsius) as celsius group by room
insert into Means;",
    },
    build: |setup| {
        let ty = setup.arguments[0].ty;
        for_number!(ty, T => Ok(PerGroup::<Average<T>>::boxed()), else Err(number::expected(ty)))
    },
};

struct Average<A> {
    total: f64,
    count: i64,
    argument: PhantomData<A>,
}

impl<A> Default for Average<A> {
    fn default() -> Self {
        Average { total: 0.0, count: 0, argument: PhantomData }
    }
}

impl<A: Number> Running for Average<A> {
    type Argument = A;
    type Result = f64;

    #[inline]
    fn enter(&mut self, value: &A) {
        self.total += value.to_double();
        self.count += 1;
    }

    #[inline]
    fn leave(&mut self, value: &A) {
        self.count -= 1;
        // An empty group is as new: no rounding error outlives the values it came from.
        self.total = if self.count == 0 { 0.0 } else { self.total - value.to_double() };
    }

    #[inline]
    fn result(&mut self) -> Option<f64> {
        (self.count != 0).then(|| self.total / self.count as f64)
    }
}

impl<A> Encode for Average<A> {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.total, self.count).encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let (total, count) = Encode::decode(from)?;
        Ok(Average { total, count, argument: PhantomData })
    }
}
