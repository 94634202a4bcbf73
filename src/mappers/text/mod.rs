//! `text`: lines of `name:value`, or anything a pattern can take apart and a template can write.

mod pattern;

#[cfg(test)]
mod tests;

use crate::event::Batch;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::mappers::Decoder;
use crate::mappers::Encoder;
use crate::mappers::MapperDefinition;
use crate::mappers::Template;
use crate::mappers::attributes;
use crate::mappers::codes;
use crate::mappers::message::Messages;
use crate::mappers::options::Definition;
use crate::mappers::options::Form;
use crate::mappers::options::Options;
use crate::mappers::options::option;
use crate::mappers::options::optional;
use crate::mappers::pairs;
use crate::mappers::pairs::PairDecoder;
use crate::mappers::single_payload;
use crate::plan::logical::Mapping;
use std::ops::Range;

const DELIMITER: &str = "~~~~~~~~~~";
const LINE_ENDS: Form = Form::Word(&["\\n", "\\r\\n"]);

/// Events as text.
pub const DEFINITION: MapperDefinition = MapperDefinition {
    name: "text",
    input: &Definition {
        name: "text",
        help: "Reads lines of `name:value,`, or takes a text apart by `regex.A='…'` and \
               `@attributes(ip='A[1]')`, where `A[1]`, `A[name]` are groups of pattern A and `A` \
               is its first.",
        options: &[
            optional("regex.*", Form::Text, "A pattern, found anywhere in the text."),
            option(
                "unmatched",
                Form::Word(&["drop", "error"]),
                "drop",
                "What becomes of a text that a pattern does not match: left out and counted, or \
                 refused as an error.",
            ),
            option(
                "fail.on.missing.attribute",
                Form::Bool,
                "true",
                "Whether a text in which a pattern or group finds nothing counts as unmatched (in \
                 lines of `name:value`: is refused); else the attribute is null.",
            ),
            option(
                "fail.on.unknown.attribute",
                Form::Bool,
                "false",
                "Whether a name that is no attribute is refused with its message; else left out.",
            ),
            option(
                "event.grouping.enabled",
                Form::Bool,
                "false",
                "Whether a message may hold many events with the delimiter's line between them.",
            ),
            option("delimiter", Form::Text, DELIMITER, "The line between two events."),
            option(
                "new.line.character",
                LINE_ENDS,
                "\\n",
                "How lines end; both ways are read whatever is given.",
            ),
        ],
        not_yet: &[],
        example: "@source(type='file', file.uri='data/sshd.log', @map(type='text',\n    \
                  regex.A='Failed password for (.*) from (\\S+)', \
                  @attributes(user='A[1]', ip='A[2]')))\n\
                  define stream Failures (user string, ip string);",
    },
    output: &Definition {
        name: "text",
        help: "Writes lines of `name:value,`, or what `@payload('{{ip}} failed {{count}} times')` \
               says.",
        options: &[
            option(
                "event.grouping.enabled",
                Form::Bool,
                "false",
                "Whether results that belong together leave as one message.",
            ),
            option("delimiter", Form::Text, DELIMITER, "The line between two events."),
            option("new.line.character", LINE_ENDS, "\\n", "How lines end."),
        ],
        not_yet: &["mustache.enabled"],
        example: "@sink(type='log', @map(type='text', @payload('{{ip}}: {{count}}')))\n\
                  define stream Alerts (ip string, count long);",
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
    let grouped = options.flag("event.grouping.enabled");
    let delimiter = options.text("delimiter").filter(|_| grouped).map(str::to_owned);
    let before = faults.len();
    let given = attributes(mapping, schema, faults);
    let has_patterns = options.family("regex.").next().is_some();
    match given {
        Some(given) => {
            let mut decoder = pattern::decoder(&given, options, schema, faults)?;
            decoder.delimiter = delimiter;
            Some(Box::new(decoder))
        }
        None if faults.len() > before => None,
        None if has_patterns => {
            let text = "patterns need `@attributes`, which says what their groups are";
            let fault = Diagnostic::error(codes::MAPPING, mapping.span, text);
            faults.push(fault.help("as in `@attributes(ip='A[1]')`"));
            None
        }
        None => {
            let mut decoder = PairDecoder::new(schema, ":", ",");
            decoder.fail_on_missing = options.flag("fail.on.missing.attribute");
            decoder.fail_on_unknown = options.flag("fail.on.unknown.attribute");
            decoder.delimiter = delimiter;
            Some(Box::new(decoder))
        }
    }
}

fn encoder(
    mapping: &Mapping,
    options: &Options,
    schema: &Schema,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Encoder>> {
    let before = faults.len();
    let shape = match single_payload(mapping, schema, faults) {
        Some(template) => Shape::Payload(template),
        None => Shape::Lines(schema.names().map(|name| format!("{name}:")).collect()),
    };
    let line_end = match options.word("new.line.character") {
        Some("\\r\\n") => "\r\n",
        _ => "\n",
    };
    let grouped = options.flag("event.grouping.enabled");
    let delimiter = options.text("delimiter").filter(|_| grouped);
    let between = delimiter.map(|delimiter| format!("{line_end}{delimiter}{line_end}"));
    let encoder = TextEncoder { shape, between, line_end };
    (faults.len() == before).then(|| Box::new(encoder) as Box<dyn Encoder>)
}

/// Writes events as text.
struct TextEncoder {
    shape: Shape,
    /// What stands between two events of a message; `None`: a message a row.
    between: Option<String>,
    line_end: &'static str,
}

enum Shape {
    /// `name:` of each attribute.
    Lines(Vec<String>),
    Payload(Template),
}

impl TextEncoder {
    fn row(&self, batch: &Batch, row: usize, into: &mut Vec<u8>) {
        match &self.shape {
            Shape::Payload(template) => template.fill(batch, row, into),
            Shape::Lines(heads) => {
                for (index, (head, column)) in heads.iter().zip(&batch.columns).enumerate() {
                    if index > 0 {
                        into.push(b',');
                        into.extend_from_slice(self.line_end.as_bytes());
                    }
                    into.extend_from_slice(head.as_bytes());
                    pairs::write_value(column, row, into);
                }
            }
        }
    }
}

impl Encoder for TextEncoder {
    fn encode(&mut self, batch: &Batch, rows: Range<usize>, into: &mut Messages) {
        let mut row = rows.start;
        while row < rows.end {
            let grouped = self.between.is_some();
            let end = if grouped { batch.chunk_end(row).min(rows.end) } else { row + 1 };
            for at in row..end {
                if let Some(between) = self.between.as_ref().filter(|_| at > row) {
                    into.buffer().extend_from_slice(between.as_bytes());
                }
                self.row(batch, at, into.buffer());
            }
            into.end(row..end);
            row = end;
        }
    }
}
