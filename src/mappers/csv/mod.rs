//! `csv`: values with a delimiter between them, quotes where needed, a record a line.
//!
//! Read by hand and not by a crate, because an empty field is null and `""` an empty text: readers
//! do not tell which of the two they saw.

mod decode;

#[cfg(test)]
mod tests;

use crate::event::Batch;
use crate::event::Schema;
use crate::event::Values;
use crate::language::diagnostic::Diagnostic;
use crate::mappers::Encoder;
use crate::mappers::MapperDefinition;
use crate::mappers::codes;
use crate::mappers::message::Messages;
use crate::mappers::options::Definition;
use crate::mappers::options::Form;
use crate::mappers::options::OptionDefinition;
use crate::mappers::options::Options;
use crate::mappers::options::option;
use crate::mappers::plain;
use crate::mappers::template::no_attribute;
use crate::plan::logical::Mapping;
use std::ops::Range;

const DELIMITER: OptionDefinition =
    option("delimiter", Form::Character, ",", "What stands between two values; `\\t` is a tab.");
const QUOTE: OptionDefinition = option(
    "quote",
    Form::Character,
    "\"",
    "What stands around a value that holds a delimiter or a line's end; inside it is doubled.",
);

/// Events as records.
pub const DEFINITION: MapperDefinition = MapperDefinition {
    name: "csv",
    input: &Definition {
        name: "csv",
        help: "Reads a record a line, values in the order of the attributes or as \
               `@attributes(ip='2', user='0')` says; an empty value is null, `\"\"` an empty text.",
        options: &[
            DELIMITER,
            QUOTE,
            option(
                "header",
                Form::Bool,
                "false",
                "Whether the first record names the columns, which may then come in any order.",
            ),
            option("header.present", Form::Bool, "false", "The same as `header`."),
            option(
                "fail.on.unknown.attribute",
                Form::Bool,
                "true",
                "Whether a record with too few or too many values is refused; else what is missing \
                 is null and what is too much is left out.",
            ),
            option(
                "event.grouping.enabled",
                Form::Bool,
                "false",
                "A message may hold many records whatever is given.",
            ),
        ],
        not_yet: &[],
        example: "@source(type='file', file.uri='in.csv', @map(type='csv', header='true'))\n\
                  define stream Logins (user string, ip string);",
    },
    output: &Definition {
        name: "csv",
        help: "Writes a record a row, values in the order of the attributes or as \
               `@payload(ip='1', user='0')` says.",
        options: &[
            DELIMITER,
            QUOTE,
            option(
                "header",
                Form::Bool,
                "false",
                "Whether each message begins with a record of the names.",
            ),
            option(
                "event.grouping.enabled",
                Form::Bool,
                "false",
                "Whether results that belong together leave as one message.",
            ),
        ],
        not_yet: &[],
        example: "@sink(type='file', file.uri='data/alerts.csv', @map(type='csv'))\n\
                  define stream Alerts (user string, count long);",
    },
    decoder: decode::decoder,
    encoder,
};

/// What the two directions have in common.
#[derive(Debug)]
struct Marks {
    delimiter: char,
    quote: char,
}

impl Marks {
    fn read(options: &Options, faults: &mut Vec<Diagnostic>) -> Marks {
        let delimiter = options.character("delimiter").unwrap_or(',');
        let quote = options.character("quote").unwrap_or('"');
        let unfit = |character| matches!(character, '\n' | '\r');
        if delimiter == quote || unfit(delimiter) || unfit(quote) {
            let text = "options `delimiter` and `quote` must differ and be no line ends";
            let place = options.place("delimiter");
            faults.push(Diagnostic::error(codes::OPTION_VALUE, place, text));
        }
        Marks { delimiter, quote }
    }
}

struct CsvEncoder {
    marks: Marks,
    /// The attributes in the order of the record.
    order: Vec<usize>,
    header: Option<Vec<u8>>,
    grouped: bool,
}

fn encoder(
    mapping: &Mapping,
    options: &Options,
    schema: &Schema,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Encoder>> {
    let before = faults.len();
    let marks = Marks::read(options, faults);
    let order = match mapping.payload.is_empty() {
        true => (0..schema.len()).collect(),
        false => order(mapping, schema, faults),
    };
    let header = options.flag("header").then(|| {
        let mut bytes = Vec::new();
        for (index, at) in order.iter().enumerate() {
            if index > 0 {
                write_character(marks.delimiter, &mut bytes);
            }
            write_field(&schema.attributes[*at].name, &marks, &mut bytes);
        }
        bytes.push(b'\n');
        bytes
    });
    let grouped = options.flag("event.grouping.enabled");
    let encoder = CsvEncoder { marks, order, header, grouped };
    (faults.len() == before).then(|| Box::new(encoder) as Box<dyn Encoder>)
}

/// `@payload(ip='1', user='0')`: which attribute stands at which place.
fn order(mapping: &Mapping, schema: &Schema, faults: &mut Vec<Diagnostic>) -> Vec<usize> {
    let mut order: Vec<Option<usize>> = vec![None; mapping.payload.len()];
    for option in &mapping.payload {
        let place = option.value.trim().parse::<usize>().ok().filter(|place| *place < order.len());
        let fault = match (schema.position(&option.key), place) {
            (None, _) if option.key.is_empty() => {
                "`@payload` of mapper `csv` takes attributes with places, as in `ip='0'`".to_owned()
            }
            (None, _) => no_attribute(&option.key, schema),
            (_, None) => format!("expected a place from 0 to {}", order.len() - 1),
            (Some(_), Some(place)) if order[place].is_some() => {
                format!("two attributes at place {place}")
            }
            (Some(at), Some(place)) => {
                order[place] = Some(at);
                continue;
            }
        };
        faults.push(Diagnostic::error(codes::MAPPING, option.span, fault));
    }
    order.into_iter().flatten().collect()
}

impl Encoder for CsvEncoder {
    fn encode(&mut self, batch: &Batch, rows: Range<usize>, into: &mut Messages) {
        let mut row = rows.start;
        while row < rows.end {
            let end = if self.grouped { batch.chunk_end(row).min(rows.end) } else { row + 1 };
            if let Some(header) = &self.header {
                into.buffer().extend_from_slice(header);
            }
            for at in row..end {
                if at > row {
                    into.buffer().push(b'\n');
                }
                self.row(batch, at, into.buffer());
            }
            into.end(row..end);
            row = end;
        }
    }
}

impl CsvEncoder {
    fn row(&self, batch: &Batch, row: usize, into: &mut Vec<u8>) {
        for (index, at) in self.order.iter().enumerate() {
            if index > 0 {
                write_character(self.marks.delimiter, into);
            }
            let column = &batch.columns[*at];
            match &column.values {
                _ if column.is_null(row) => {}
                Values::Float(values) if !values[row].is_finite() => {}
                Values::Double(values) if !values[row].is_finite() => {}
                Values::Text(values) => write_field(&values[row], &self.marks, into),
                _ => {
                    let mut bytes = Vec::new();
                    plain::write(column, row, &mut bytes);
                    let text = String::from_utf8(bytes).expect("printed values are UTF-8");
                    write_field(&text, &self.marks, into);
                }
            }
        }
    }
}

fn write_field(text: &str, marks: &Marks, into: &mut Vec<u8>) {
    let needs_quotes = text.is_empty()
        || text.starts_with(' ')
        || text.contains([marks.delimiter, marks.quote, '\n', '\r']);
    if !needs_quotes {
        return into.extend_from_slice(text.as_bytes());
    }
    write_character(marks.quote, into);
    for character in text.chars() {
        if character == marks.quote {
            write_character(character, into);
        }
        write_character(character, into);
    }
    write_character(marks.quote, into);
}

fn write_character(character: char, into: &mut Vec<u8>) {
    into.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}
