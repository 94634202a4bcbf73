//! `and(b)`, `or(b)`: whether all, or any, of the values are true; kept as counts of both.

use crate::engine::aggregators::AggregatorDefinition;
use crate::engine::aggregators::per_group::PerGroup;
use crate::engine::aggregators::per_group::Running;
use crate::event::DataType;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;

const OVERLOAD: Overload = Overload {
    parameters: &[Parameter::any("value", &[DataType::Bool])],
    returns: Returns::Type(DataType::Bool),
};

/// `and(b)`
pub const AND: AggregatorDefinition = AggregatorDefinition {
    signature: Signature {
        name: "and",
        summary: "Whether there is a value and all are true.",
        traits: &[],
        overloads: &[OVERLOAD],
        example: "define stream Checks (device string, passed bool);
from Checks#window.lengthBatch(10) select device, and(passed) as sound group by device
insert into Verdicts;",
    },
    build: |_| Ok(PerGroup::<Votes<true>>::boxed()),
};

/// `or(b)`
pub const OR: AggregatorDefinition = AggregatorDefinition {
    signature: Signature {
        name: "or",
        summary: "Whether any value is true.",
        traits: &[],
        overloads: &[OVERLOAD],
        example: "define stream Checks (device string, failed bool);
from Checks#window.lengthBatch(10) select device, or(failed) as suspicious group by device
insert into Verdicts;",
    },
    build: |_| Ok(PerGroup::<Votes<false>>::boxed()),
};

#[derive(Default)]
struct Votes<const ALL: bool> {
    yes: i64,
    no: i64,
}

impl<const ALL: bool> Running for Votes<ALL> {
    type Argument = bool;
    type Result = bool;

    #[inline]
    fn enter(&mut self, value: &bool) {
        self.yes += i64::from(*value);
        self.no += i64::from(!*value);
    }

    #[inline]
    fn leave(&mut self, value: &bool) {
        self.yes -= i64::from(*value);
        self.no -= i64::from(!*value);
    }

    #[inline]
    fn result(&mut self) -> Option<bool> {
        Some(self.yes > 0 && (!ALL || self.no == 0))
    }
}

impl<const ALL: bool> Encode for Votes<ALL> {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.yes, self.no).encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let (yes, no) = Encode::decode(from)?;
        Ok(Votes { yes, no })
    }
}
