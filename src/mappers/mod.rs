//! Bytes to rows and back. A mapper stands between a receiver or publisher, which moves messages,
//! and a stream, whose events are rows in columns.
//!
//! A [`Decoder`] appends the events of one message straight to the columns of a batch, or says
//! which event is the first bad one and appends nothing. An [`Encoder`] makes messages from rows.
//! Neither can panic on anything that comes from outside. What a mapper takes in `@map(…)` stands
//! in its [`MapperDefinition`], from which plans are checked and the manual is made.

pub mod codes;
mod csv;
pub mod json;
mod key_value;
pub mod message;
pub mod options;
mod pairs;
mod pass_through;
mod plain;
mod template;
mod text;

#[cfg(test)]
mod harness;

pub use json::JsonDecoder;
pub use json::JsonEncoder;
pub use message::DecodeError;
pub use message::Decoded;
pub use message::Fault;
pub use message::Messages;
pub use pass_through::check_rows;
pub use pass_through::row_decoder;
pub use template::Part;
pub use template::Template;

use crate::event::Batch;
use crate::event::Millis;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::language::suggest::closest;
use crate::mappers::options::Definition;
use crate::mappers::options::Options;
use crate::mappers::options::list;
use crate::plan::logical::EndpointOption;
use crate::plan::logical::Mapping;
use std::ops::Range;

/// What a decoder is told about a message besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The timestamp of the rows.
    pub at: Millis,
    /// More events than this in one message are refused.
    pub rows_max: usize,
}

impl Arrival {
    /// A message of any number of events.
    pub fn at(at: Millis) -> Arrival {
        Arrival { at, rows_max: usize::MAX }
    }
}

/// Reads messages of one stream.
pub trait Decoder: Send {
    /// Appends the events of a message as current rows and marks them as one send; `into` has the
    /// columns of the decoder's stream, some of which may be absent.
    ///
    /// # Errors
    /// The first bad event; then nothing of the message is appended.
    fn decode(
        &mut self,
        message: &[u8],
        arrival: &Arrival,
        into: &mut Batch,
    ) -> Result<Decoded, DecodeError>;

    /// A new file or request begins: what was learned from the head of the one before is forgotten.
    fn begin(&mut self) {}

    /// Whether the first message of a file or request tells how to read the others, so that who
    /// starts in the middle must show it first.
    fn wants_head(&self) -> bool {
        false
    }
}

/// Makes messages from rows of one stream.
pub trait Encoder: Send {
    /// Appends messages made of the given rows, in order: one a row, or one a chunk where the
    /// mapping groups.
    fn encode(&mut self, batch: &Batch, rows: Range<usize>, into: &mut Messages);
}

/// Makes a decoder of a mapping; faults are appended.
pub type MakeDecoder =
    fn(&Mapping, &Options, &Schema, &mut Vec<Diagnostic>) -> Option<Box<dyn Decoder>>;

/// Makes an encoder of a mapping; faults are appended.
pub type MakeEncoder =
    fn(&Mapping, &Options, &Schema, &mut Vec<Diagnostic>) -> Option<Box<dyn Encoder>>;

/// A mapper, as the checker and the manual know it.
#[derive(Clone, Copy, Debug)]
pub struct MapperDefinition {
    /// The word after `type=`.
    pub name: &'static str,
    /// Under `@source`.
    pub input: &'static Definition,
    /// Under `@sink`.
    pub output: &'static Definition,
    decoder: MakeDecoder,
    encoder: MakeEncoder,
}

/// Every mapper.
pub const ALL: &[&MapperDefinition] = &[
    &json::DEFINITION,
    &text::DEFINITION,
    &csv::DEFINITION,
    &key_value::DEFINITION,
    &pass_through::DEFINITION,
];

/// Mappers of the reference that this engine does not have yet.
const NOT_YET: &[&str] = &["xml", "binary", "avro", "protobuf", "wso2event", "hl7"];

/// The name of the mapper that moves rows as they are.
pub const PASS_THROUGH: &str = "passThrough";

/// Finds a mapper; a fault is appended if there is none of that name.
fn find(mapping: &Mapping, faults: &mut Vec<Diagnostic>) -> Option<&'static MapperDefinition> {
    let name = mapping.kind.as_str();
    let known = ALL.iter().find(|mapper| mapper.name.eq_ignore_ascii_case(name));
    if known.is_none() {
        let names: Vec<&str> = ALL.iter().map(|mapper| mapper.name).collect();
        faults.push(unknown_type("mapper", name, &names, NOT_YET, mapping.span));
    }
    known.copied()
}

/// The message for a `type` that is not there: not yet, misspelt, or unknown.
pub fn unknown_type(
    what: &str,
    name: &str,
    known: &[&str],
    not_yet: &[&str],
    span: crate::language::tree::Span,
) -> Diagnostic {
    if let Some(name) = not_yet.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        let fault =
            Diagnostic::not_supported(codes::NOT_SUPPORTED, span, &format!("{what} `{name}`"));
        return fault.help(format!("there are {}", list(known)));
    }
    let fault =
        Diagnostic::error(codes::UNKNOWN_TYPE, span, format!("there is no {what} `{name}`"));
    match closest(name, known.iter().chain(not_yet).copied()) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault.help(format!("there are {}", list(known))),
    }
}

/// Makes the decoder of a `@map` under `@source`; `None` if a fault was appended.
pub fn decoder(
    mapping: &Mapping,
    schema: &Schema,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Decoder>> {
    let before = faults.len();
    let mapper = find(mapping, faults)?;
    if let Some(option) = mapping.payload.first() {
        let text = "`@payload` belongs under `@sink`; under `@source` it is `@attributes`";
        faults.push(Diagnostic::error(codes::MAPPING, option.span, text));
    }
    let options = Options::read("mapper", mapper.input, &mapping.options, mapping.span, faults);
    let made = (mapper.decoder)(mapping, &options, schema, faults);
    made.filter(|_| faults.len() == before)
}

/// Makes the encoder of a `@map` under `@sink`; `None` if a fault was appended.
pub fn encoder(
    mapping: &Mapping,
    schema: &Schema,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Encoder>> {
    let before = faults.len();
    let mapper = find(mapping, faults)?;
    if let Some(option) = mapping.attributes.first() {
        let text = "`@attributes` belongs under `@source`; under `@sink` it is `@payload`";
        faults.push(Diagnostic::error(codes::MAPPING, option.span, text));
    }
    let options = Options::read("mapper", mapper.output, &mapping.options, mapping.span, faults);
    let made = (mapper.encoder)(mapping, &options, schema, faults);
    made.filter(|_| faults.len() == before)
}

/// The message as text.
fn utf8(message: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(message).map_err(|error| {
        let offset = error.valid_up_to();
        let byte = message.get(offset).copied().unwrap_or_default();
        DecodeError {
            index: 0,
            fault: Fault::Encoding,
            attribute: None,
            offset,
            message: format!("expected UTF-8, found byte 0x{byte:02x} at offset {offset}"),
        }
    })
}

/// `@attributes` as pairs of an attribute of the stream and what is said of it, in the stream's
/// order; `None` if the mapping has none or a fault was appended.
fn attributes<'a>(
    mapping: &'a Mapping,
    schema: &Schema,
    faults: &mut Vec<Diagnostic>,
) -> Option<Vec<(usize, &'a EndpointOption)>> {
    if mapping.attributes.is_empty() {
        return None;
    }
    let before = faults.len();
    let mut found: Vec<Option<&EndpointOption>> = vec![None; schema.len()];
    for (index, option) in mapping.attributes.iter().enumerate() {
        let at = match option.key.as_str() {
            "" => Some(index).filter(|at| *at < schema.len()),
            name => schema.position(name),
        };
        let fault = match at {
            None if option.key.is_empty() => {
                Some(format!("the stream has only {} attributes", schema.len()))
            }
            None => Some(template::no_attribute(&option.key, schema)),
            Some(at) if found[at].is_some() => {
                Some(format!("attribute `{}` is mapped twice", schema.attributes[at].name))
            }
            Some(at) => {
                found[at] = Some(option);
                None
            }
        };
        if let Some(text) = fault {
            faults.push(Diagnostic::error(codes::MAPPING, option.span, text));
        } else if option.value.trim_start().starts_with("trp:") {
            let what = "properties of the transport (`trp:…`)";
            faults.push(Diagnostic::not_supported(codes::NOT_SUPPORTED, option.span, what));
        }
    }
    if faults.len() == before {
        let missing = found.iter().zip(schema.names()).filter(|(option, _)| option.is_none());
        let missing: Vec<&str> = missing.map(|(_, name)| name).collect();
        if !missing.is_empty() {
            let text = format!("`@attributes` says nothing of {}", list(&missing));
            faults.push(Diagnostic::error(codes::MAPPING, mapping.span, text));
        }
    }
    let pairs = || found.into_iter().enumerate().filter_map(|(at, option)| Some((at, option?)));
    (faults.len() == before).then(|| pairs().collect())
}

/// `@payload('…')` as a template; `None` if the mapping has none or a fault was appended.
fn single_payload(
    mapping: &Mapping,
    schema: &Schema,
    faults: &mut Vec<Diagnostic>,
) -> Option<Template> {
    let (first, others) = mapping.payload.split_first()?;
    if let Some(other) = others.first().or_else(|| Some(first).filter(|one| !one.key.is_empty())) {
        let text = format!("`@payload` of mapper `{}` takes one text without a key", mapping.kind);
        faults.push(Diagnostic::error(codes::MAPPING, other.span, text));
        return None;
    }
    match Template::parse(&first.value, schema) {
        Ok(template) => Some(template),
        Err(text) => {
            faults.push(Diagnostic::error(codes::TEMPLATE, first.span, text));
            None
        }
    }
}
