//! `avg(x)`: the mean of the values, as a double.

use crate::engine::aggregators::AggregatorDefinition;
use crate::engine::aggregators::balance::Balance;
use crate::engine::aggregators::balance::Marked;
use crate::engine::aggregators::balance::Sure;
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
        for_number!(ty, T => Ok(match setup.balanced {
            true => PerGroup::<Average<T, Sure>>::boxed(),
            false => PerGroup::<Average<T, Marked>>::boxed(),
        }), else Err(number::expected(ty)))
    },
};

struct Average<A, B> {
    total: f64,
    count: i64,
    balance: B,
    argument: PhantomData<A>,
}

impl<A, B: Balance> Default for Average<A, B> {
    fn default() -> Self {
        Average { total: 0.0, count: 0, balance: B::default(), argument: PhantomData }
    }
}

impl<A: Number, B: Balance> Running for Average<A, B> {
    type Argument = A;
    type Result = f64;

    #[inline]
    fn enter(&mut self, value: &A) {
        let value = value.to_double();
        self.total += value;
        self.count += 1;
        self.balance.enter(value);
    }

    #[inline]
    fn leave(&mut self, value: &A) {
        let value = value.to_double();
        self.count -= 1;
        self.balance.leave(value);
        let is_empty = self.count == 0 && self.balance.is_even();
        self.total = if is_empty { 0.0 } else { self.total - value };
    }

    #[inline]
    fn result(&mut self) -> Option<f64> {
        (self.count != 0).then(|| self.total / self.count as f64)
    }
}

impl<A, B: Balance> Encode for Average<A, B> {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.total, self.count).encode(out);
        self.balance.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let (total, count) = Encode::decode(from)?;
        Ok(Average { total, count, balance: B::decode(from)?, argument: PhantomData })
    }
}
