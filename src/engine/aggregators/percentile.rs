//! `math:percentile(value, p)`: below which value p of a hundred are.

use crate::engine::aggregators::AggregatorDefinition;
use crate::engine::aggregators::gathered::Gather;
use crate::engine::aggregators::gathered::Gathered;
use crate::engine::functions::takes;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Value;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Parameter;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;
use std::cmp::Ordering;

/// `math:percentile(value, p)`
pub const DEFINITION: AggregatorDefinition = AggregatorDefinition {
    signature: Signature {
        name: "math:percentile",
        summary: "The value below which `p` of a hundred of those present are, between its \
                  neighbours in proportion; `p` is above 0 and at most 100. Nulls are passed over.",
        traits: &[Trait::Remembers],
        overloads: &[takes(
            &[
                Parameter::any(
                    "value",
                    &[DataType::Int, DataType::Long, DataType::Float, DataType::Double],
                ),
                Parameter::constant("p", &[DataType::Double]),
            ],
            DataType::Double,
        )],
        example: "define stream Requests (path string, millis int);
from Requests#window.time(1 min)
select path, math:percentile(millis, 95.0) as most group by path insert into Slowest;",
    },
    build: |setup| {
        let p = setup.arguments.get(1).and_then(|each| each.as_constant());
        match p.and_then(Value::as_double) {
            Some(p) if p > 0.0 && p <= 100.0 => Ok(Gathered::boxed(Percentile(p))),
            _ => Err(ArgumentFault::at(1, "expected a number above 0 and at most 100".to_owned())),
        }
    },
};

struct Percentile(f64);

impl Gather for Percentile {
    fn take(&self, arguments: &[&Column], row: usize) -> Value {
        arguments[0].value(row).as_double().map_or(Value::Null, Value::Double)
    }

    /// They are kept in order.
    fn place(&self, present: &[Value], value: &Value) -> usize {
        present.partition_point(|each| each.order(value) != Ordering::Greater)
    }

    fn find(&self, present: &[Value], value: &Value) -> Option<usize> {
        let place = present.partition_point(|each| each.order(value) == Ordering::Less);
        present.get(place).filter(|each| *each == value).map(|_| place)
    }

    fn result(&self, present: &[Value]) -> Value {
        let value = |at: usize| present.get(at).and_then(Value::as_double).unwrap_or(f64::NAN);
        let count = present.len();
        if count == 0 {
            return Value::Null;
        }
        let place = self.0 * (count as f64 + 1.0) / 100.0;
        let below = place.floor();
        Value::Double(if place < 1.0 {
            value(0)
        } else if place >= count as f64 {
            value(count - 1)
        } else {
            let at = below as usize;
            let (lower, upper) = (value(at - 1), value(at));
            lower + (place - below) * (upper - lower)
        })
    }
}
