//! `json`: events as JSON objects, straight into columns and out of them.

mod decode;
mod encode;
mod paths;
mod scanner;

pub use decode::JsonDecoder;
pub use encode::JsonEncoder;
pub use encode::write_cell;
pub use encode::write_escaped;
pub use encode::write_text;
pub use encode::write_value;

use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::mappers::Decoder;
use crate::mappers::Encoder;
use crate::mappers::MapperDefinition;
use crate::mappers::attributes;
use crate::mappers::codes;
use crate::mappers::options::Definition;
use crate::mappers::options::Form;
use crate::mappers::options::Options;
use crate::mappers::options::option;
use crate::mappers::single_payload;
use crate::plan::logical::Mapping;

/// Events as JSON.
pub const DEFINITION: MapperDefinition = MapperDefinition {
    name: "json",
    input: &Definition {
        name: "json",
        help: "Reads an object, an array of objects or an object a line; an event is `{\"a\":1}` \
               or `{\"event\":{\"a\":1}}`, or `@attributes(a='$.x.y')` says where each attribute \
               lies.",
        options: &[
            option(
                "enclosing.element",
                Form::Text,
                "$",
                "Where in a message the event or the array of events lies, as in `$.orders`.",
            ),
            option(
                "fail.on.missing.attribute",
                Form::Bool,
                "true",
                "Whether a message where an attribute is missing is refused; else it is null.",
            ),
            option(
                "fail.on.unknown.attribute",
                Form::Bool,
                "false",
                "Whether a name that is no attribute is refused with its message; else left out.",
            ),
        ],
        not_yet: &[],
        example: "@source(type='http', @map(type='json', @attributes(user='$.login.user')))\n\
                  define stream Logins (user string);",
    },
    output: &Definition {
        name: "json",
        help: "Writes `{\"event\":{\"a\":1}}`, or what `@payload('{\"x\":{{a}}}')` says, with \
               every attribute escaped for its place.",
        options: &[
            option(
                "enclosing.element",
                Form::Text,
                "$",
                "Objects to put around each message, as in `$.orders`.",
            ),
            option(
                "event.grouping.enabled",
                Form::Bool,
                "false",
                "Whether results that belong together leave as one message with an array.",
            ),
        ],
        not_yet: &["validate.json"],
        example: "@sink(type='log', @map(type='json'))\ndefine stream Alerts (user string);",
    },
    decoder,
    encoder,
};

fn decoder(
    mapping: &Mapping,
    options: &Options,
    schema: &Schema,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Decoder>> {
    let before = faults.len();
    let mut decoder = JsonDecoder::strict(schema);
    decoder.columns.fail_on_missing = options.flag("fail.on.missing.attribute");
    decoder.columns.fail_on_unknown = options.flag("fail.on.unknown.attribute");
    decoder.enclosing = enclosing(options, faults);
    if let Some(given) = attributes(mapping, schema, faults) {
        let mut tree = paths::Paths::default();
        for (attribute, option) in given {
            match paths::parse(&option.value) {
                Ok(steps) => tree.add(&steps, attribute),
                Err(text) => faults.push(Diagnostic::error(codes::MAPPING, option.span, text)),
            }
        }
        decoder.mapping = Some(tree);
    }
    (faults.len() == before).then(|| Box::new(decoder) as Box<dyn Decoder>)
}

fn encoder(
    mapping: &Mapping,
    options: &Options,
    schema: &Schema,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Encoder>> {
    let before = faults.len();
    let mut encoder = JsonEncoder::plain(schema);
    if let Some(template) = single_payload(mapping, schema, faults) {
        encoder.shape = encode::Shape::payload(&template);
    }
    encoder.enclosing = enclosing(options, faults);
    encoder.grouped = options.flag("event.grouping.enabled");
    (faults.len() == before).then(|| Box::new(encoder) as Box<dyn Encoder>)
}

/// The names of `enclosing.element`, from the outside.
fn enclosing(options: &Options, faults: &mut Vec<Diagnostic>) -> Vec<String> {
    let key = "enclosing.element";
    let names: Result<Vec<String>, String> = paths::parse(options.text(key).unwrap_or("$"))
        .and_then(|steps| {
            let name = |step| match step {
                paths::Step::Member(name) => Ok(name),
                paths::Step::Element(_) => Err("only names may stand in it, no `[0]`".to_owned()),
            };
            steps.into_iter().map(name).collect()
        });
    names.unwrap_or_else(|text| {
        let text = format!("option `{key}`: {text}");
        faults.push(Diagnostic::error(codes::OPTION_VALUE, options.place(key), text));
        Vec::new()
    })
}

#[cfg(test)]
mod tests;
