//! `minForever(x)`, `maxForever(x)`: over all values that ever came; nothing is taken back.

use crate::engine::aggregators::AggregatorDefinition;
use crate::engine::aggregators::number;
use crate::engine::aggregators::number::Greatest;
use crate::engine::aggregators::number::Least;
use crate::engine::aggregators::number::Wanted;
use crate::engine::aggregators::per_group::PerGroup;
use crate::engine::aggregators::per_group::Running;
use crate::engine::expressions::Number;
use crate::engine::expressions::native::for_number;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use crate::plan::signature::NUMBER;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;
use std::marker::PhantomData;

const OVERLOAD: Overload =
    Overload { parameters: &[Parameter::any("value", NUMBER)], returns: Returns::Argument(0) };

/// `minForever(x)`
pub const MIN_FOREVER: AggregatorDefinition = AggregatorDefinition {
    signature: Signature {
        name: "minForever",
        summary: "The least value that ever came, whatever has left since.",
        traits: &[Trait::Lasts],
        overloads: &[OVERLOAD],
        example: "define stream Readings (room int, celsius double);
from Readings select room, minForever(celsius) as record group by room insert into Records;",
    },
    build: |setup| {
        let ty = setup.arguments[0].ty;
        for_number!(ty, T => Ok(PerGroup::<Record<T, Least>>::boxed()),
            else Err(number::expected(ty)))
    },
};

/// `maxForever(x)`
pub const MAX_FOREVER: AggregatorDefinition = AggregatorDefinition {
    signature: Signature {
        name: "maxForever",
        summary: "The greatest value that ever came, whatever has left since.",
        traits: &[Trait::Lasts],
        overloads: &[OVERLOAD],
        example: "define stream Readings (room int, celsius double);
from Readings select room, maxForever(celsius) as record group by room insert into Records;",
    },
    build: |setup| {
        let ty = setup.arguments[0].ty;
        for_number!(ty, T => Ok(PerGroup::<Record<T, Greatest>>::boxed()),
            else Err(number::expected(ty)))
    },
};

struct Record<T, W> {
    value: Option<T>,
    wanted: PhantomData<W>,
}

impl<T, W> Default for Record<T, W> {
    fn default() -> Self {
        Record { value: None, wanted: PhantomData }
    }
}

impl<T: Number + Encode + PartialOrd, W: Wanted> Running for Record<T, W> {
    type Argument = T;
    type Result = T;
    const FOREVER: bool = true;

    #[inline]
    fn enter(&mut self, value: &T) {
        if self.value.is_none_or(|best| W::is_better(value, &best)) {
            self.value = Some(*value);
        }
    }

    #[inline]
    fn leave(&mut self, value: &T) {
        // A query that reads expired rows alone counts them too.
        self.enter(value);
    }

    #[inline]
    fn result(&mut self) -> Option<T> {
        self.value
    }
}

impl<T: Encode, W> Encode for Record<T, W> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.value.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Record { value: Encode::decode(from)?, wanted: PhantomData })
    }
}
