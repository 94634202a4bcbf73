//! `#reorder:akslack(timestamp, correlation.field[, batch.size[, ...]])`: rows in order of a time
//! attribute, held back no longer than the accuracy asked for needs.

use crate::engine::stream_functions::StreamFunctionDefinition;
use crate::engine::stream_functions::accuracy::Adapting;
use crate::engine::stream_functions::slack::Slack;
use crate::event::DataType;
use crate::plan::logical::FunctionCall;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::NUMBER;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;

const TIMESTAMP: Parameter = Parameter::attribute("timestamp", &[DataType::Long]);
const FIELD: Parameter = Parameter::attribute("correlation.field", NUMBER);
const BATCH: Parameter = Parameter::constant("batch.size", &[DataType::Long]);
const TIMEOUT: Parameter = Parameter::constant("timer.timeout", &[DataType::Long]);
const MOST: Parameter = Parameter::constant("max.k", &[DataType::Long]);
const DISCARD: Parameter = Parameter::constant("discard.flag", &[DataType::Bool]);
const ERROR: Parameter = Parameter::constant("error.threshold", &[DataType::Double]);
const CONFIDENCE: Parameter = Parameter::constant("confidence.level", &[DataType::Double]);

/// `reorder:akslack(…)`
pub const DEFINITION: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: Signature {
        name: "reorder:akslack",
        summary: "As `reorder:kslack`, but holds rows back for a share of how late the latest was \
                  only: after each `batch.size` rows the share is set so that means of \
                  `correlation.field` stay within `error.threshold` with `confidence.level`.",
        traits: &[Trait::Holds],
        overloads: &[
            takes(&[TIMESTAMP, FIELD, BATCH, TIMEOUT, MOST, DISCARD, ERROR, CONFIDENCE]),
            takes(&[
                TIMESTAMP,
                FIELD,
                BATCH.optional(),
                TIMEOUT.optional(),
                MOST.optional(),
                DISCARD.optional(),
            ]),
        ],
        example: "define stream Readings (at long, celsius double);
from Readings#reorder:akslack(at, celsius, 100L, 5000L)
select at, celsius insert into Ordered;",
    },
    // The reference names these and leaves them empty.
    added: |arguments| &ADDED[..arguments.len().min(ADDED.len())],
    build: |call, _| {
        let adapting = adapting(call)?;
        Ok(Box::new(Slack::new("reorder:akslack", call, 3, Some(adapting))?))
    },
};

const fn takes(parameters: &'static [Parameter]) -> Overload {
    Overload { parameters, returns: Returns::Type(DataType::Object) }
}

const ADDED: &[(&str, DataType)] = &[
    ("beta0", DataType::Long),
    ("beta1", DataType::Double),
    ("beta2", DataType::Long),
    ("beta3", DataType::Long),
    ("beta4", DataType::Long),
    ("beta5", DataType::Bool),
    ("beta6", DataType::Double),
    ("beta7", DataType::Double),
];

fn adapting(call: &FunctionCall) -> Result<Adapting, ArgumentFault> {
    let constant = |place: usize| call.arguments.get(place).and_then(|each| each.as_constant());
    let column = call.arguments.get(1).and_then(|argument| argument.as_column());
    let batch = constant(2).and_then(|each| each.as_long()).unwrap_or(10_000);
    if batch < 1 {
        let message = format!("expected a number of events from 1, found `{batch}`");
        return Err(ArgumentFault::at(2, message));
    }
    let share = |place: usize, default: f64| {
        let value = constant(place).and_then(|each| each.as_double()).unwrap_or(default);
        let message = format!("expected a share between 0.0 and 1.0, found `{value}`");
        let right = value > 0.0 && value < 1.0;
        if right { Ok(value) } else { Err(ArgumentFault::at(place, message)) }
    };
    Ok(Adapting::new(
        column.ok_or_else(|| ArgumentFault::at(1, "expected an attribute"))?,
        batch.unsigned_abs(),
        share(6, 0.03)?,
        share(7, 0.95)?,
    ))
}
