//! `#reorder:kslack(timestamp[, timer.timeout[, max.k[, discard.flag]]])`: rows in order of a time
//! attribute, held back as long as the latest was late so far.

use crate::engine::stream_functions::StreamFunctionDefinition;
use crate::engine::stream_functions::slack::Slack;
use crate::event::DataType;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;

const TIMEOUT: Parameter = Parameter::constant("timer.timeout", &[DataType::Long]);
const MOST: Parameter = Parameter::constant("max.k", &[DataType::Long]);
const DISCARD: Parameter = Parameter::constant("discard.flag", &[DataType::Bool]);

/// `reorder:kslack(…)`
pub const DEFINITION: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: Signature {
        name: "reorder:kslack",
        summary: "Holds rows back so long that they come in order of a time attribute: as long as \
                  the latest was late so far, at most `max.k`.",
        traits: &[Trait::Holds],
        overloads: &[Overload {
            parameters: &[
                Parameter::attribute("timestamp", &[DataType::Long]),
                TIMEOUT.optional(),
                MOST.optional(),
                DISCARD.optional(),
            ],
            returns: Returns::Type(DataType::Object),
        }],
        example: "define stream Readings (at long, celsius double);
from Readings#reorder:kslack(at, 1000L) select at, celsius insert into Ordered;",
    },
    // The reference names these and leaves them empty.
    added: |arguments| match arguments.len() {
        0 | 1 => &[("beta0", DataType::Long)],
        2 => &[("beta0", DataType::Long), ("beta1", DataType::Long)],
        3 => &[("beta0", DataType::Long), ("beta1", DataType::Long), ("beta2", DataType::Long)],
        _ => &[
            ("beta0", DataType::Long),
            ("beta1", DataType::Long),
            ("beta2", DataType::Long),
            ("beta3", DataType::Bool),
        ],
    },
    build: |call, _| Ok(Box::new(Slack::new("reorder:kslack", call, 1, None)?)),
};
