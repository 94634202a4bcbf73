//! `passThrough`: inside the node rows move as they are; on other ways a message is the text of the
//! stream's only attribute.

use crate::event::Batch;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::mappers::Arrival;
use crate::mappers::Decoder;
use crate::mappers::Encoder;
use crate::mappers::MapperDefinition;
use crate::mappers::codes;
use crate::mappers::message::DecodeError;
use crate::mappers::message::Decoded;
use crate::mappers::message::Fault;
use crate::mappers::message::Messages;
use crate::mappers::options::Definition;
use crate::mappers::options::Options;
use crate::mappers::plain;
use crate::mappers::utf8;
use crate::plan::logical::EndpointOption;
use crate::plan::logical::Mapping;
use std::ops::Range;

/// Rows as they are.
pub const DEFINITION: MapperDefinition = MapperDefinition {
    name: "passThrough",
    input: &Definition {
        name: "passThrough",
        help: "From `inMemory` takes rows as they are; from elsewhere a message becomes the text \
               of the stream's only attribute.",
        options: &[],
        not_yet: &[],
        example: "@source(type='inMemory', topic='logins', @map(type='passThrough'))\n\
                  define stream Logins (user string);",
    },
    output: &Definition {
        name: "passThrough",
        help: "To `inMemory` gives rows as they are; elsewhere the text of the stream's only \
               attribute is the message.",
        options: &[],
        not_yet: &[],
        example: "@sink(type='inMemory', topic='logins', @map(type='passThrough'))\n\
                  define stream Logins (user string);",
    },
    decoder,
    encoder,
};

/// Refuses streams with more than one attribute, or one that is no text; also any mapping.
fn fits(mapping: &Mapping, schema: &Schema, faults: &mut Vec<Diagnostic>) -> bool {
    let before = faults.len();
    nothing_mapped(mapping, faults);
    if schema.len() != 1 || !is_text(schema.attributes[0].ty) {
        let text = "mapper `passThrough` here needs a stream with one attribute of type string";
        let fault = Diagnostic::error(codes::STREAM, mapping.span, text);
        faults.push(fault.help("use another mapper, such as `json`"));
    }
    faults.len() == before
}

/// Refuses `@attributes` and `@payload`, which have no meaning for rows as they are.
fn nothing_mapped(mapping: &Mapping, faults: &mut Vec<Diagnostic>) {
    let mapped: Option<&EndpointOption> =
        mapping.attributes.first().or_else(|| mapping.payload.first());
    if let Some(option) = mapped {
        let text = "mapper `passThrough` maps nothing";
        faults.push(Diagnostic::error(codes::MAPPING, option.span, text));
    }
}

/// Checks a mapping that moves rows as they are, under `@source` or `@sink`.
pub fn check_rows(mapping: &Mapping, faults: &mut Vec<Diagnostic>) -> bool {
    let before = faults.len();
    Options::read("mapper", DEFINITION.input, &mapping.options, mapping.span, faults);
    nothing_mapped(mapping, faults);
    faults.len() == before
}

/// The decoder of a stream that is fed rows, for messages that come in their place: only a stream
/// with one attribute of type string takes them.
pub fn row_decoder(
    mapping: &Mapping,
    schema: &Schema,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Decoder>> {
    check_rows(mapping, faults).then(|| {
        let ty = schema.attributes.first().map(|attribute| attribute.ty);
        let ty = ty.filter(|ty| schema.len() == 1 && is_text(*ty));
        Box::new(PassThrough { ty }) as Box<dyn Decoder>
    })
}

fn is_text(ty: DataType) -> bool {
    matches!(ty, DataType::Text | DataType::Object)
}

fn decoder(
    mapping: &Mapping,
    _: &Options,
    schema: &Schema,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Decoder>> {
    fits(mapping, schema, faults).then(|| {
        let ty = Some(schema.attributes[0].ty);
        Box::new(PassThrough { ty }) as Box<dyn Decoder>
    })
}

fn encoder(
    mapping: &Mapping,
    _: &Options,
    schema: &Schema,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Encoder>> {
    fits(mapping, schema, faults).then(|| {
        let ty = Some(schema.attributes[0].ty);
        Box::new(PassThrough { ty }) as Box<dyn Encoder>
    })
}

struct PassThrough {
    /// The type of the only attribute; `None`: the stream takes no messages.
    ty: Option<DataType>,
}

impl Decoder for PassThrough {
    fn decode(
        &mut self,
        message: &[u8],
        arrival: &Arrival,
        into: &mut Batch,
    ) -> Result<Decoded, DecodeError> {
        let Some(ty) = self.ty else {
            let text = "a message came where rows were expected";
            return Err(DecodeError::new(0, Fault::Type, 0, text));
        };
        let text = utf8(message)?;
        if arrival.rows_max == 0 {
            return Err(DecodeError::too_many(0, 0));
        }
        plain::read(ty, text, &mut into.columns[0]).expect("every text is a text");
        into.push_head(arrival.at, Kind::Current, 0);
        Ok(Decoded { rows: 1, unmatched: 0 })
    }
}

impl Encoder for PassThrough {
    fn encode(&mut self, batch: &Batch, rows: Range<usize>, into: &mut Messages) {
        for row in rows {
            if !batch.columns[0].is_null(row) {
                plain::write(&batch.columns[0], row, into.buffer());
            }
            into.end(row..row + 1);
        }
    }
}
