//! Records straight into columns.

use crate::event::Batch;
use crate::event::Column;
use crate::event::Kind;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::mappers::Arrival;
use crate::mappers::Decoder;
use crate::mappers::attributes;
use crate::mappers::codes;
use crate::mappers::csv::Marks;
use crate::mappers::message::DecodeError;
use crate::mappers::message::Decoded;
use crate::mappers::message::Fault;
use crate::mappers::message::cut_back;
use crate::mappers::message::join_send;
use crate::mappers::options::Options;
use crate::mappers::plain;
use crate::mappers::utf8;
use crate::plan::logical::Mapping;

/// Which field of a record an attribute is.
#[derive(Clone, Debug)]
enum Place {
    Number(usize),
    /// By the header.
    Name(String),
}

#[derive(Debug)]
struct CsvDecoder {
    schema: Schema,
    marks: Marks,
    places: Vec<Place>,
    header: bool,
    strict: bool,
    /// The field of each attribute, once known.
    fields: Option<Vec<usize>>,
    /// How many fields a record has, as the header or the stream says.
    width: usize,
    record: Record,
}

/// The fields of one record, one after another in one buffer that is used again.
#[derive(Debug, Default)]
struct Record {
    text: String,
    /// Where each field ends, and whether it stood in quotes.
    ends: Vec<(usize, bool)>,
}

impl Record {
    fn field(&self, index: usize) -> (&str, bool) {
        let start = if index == 0 { 0 } else { self.ends[index - 1].0 };
        let (end, quoted) = self.ends[index];
        (&self.text[start..end], quoted)
    }

    /// Reads the record that begins at `at`; gives where the next one begins. The error is the
    /// place of the fault and what was expected there.
    fn read(&mut self, text: &str, at: usize, marks: &Marks) -> Result<usize, (usize, String)> {
        self.text.clear();
        self.ends.clear();
        let mut at = at;
        loop {
            let blanks = text[at..].bytes().take_while(|byte| *byte == b' ').count();
            let quoted = text[at + blanks..].starts_with(marks.quote);
            at = match quoted {
                true => self.quoted(text, at + blanks + marks.quote.len_utf8(), marks)?,
                false => self.bare(text, at, marks),
            };
            self.ends.push((self.text.len(), quoted));
            let rest = &text[at..];
            if rest.starts_with(marks.delimiter) {
                at += marks.delimiter.len_utf8();
            } else if rest.starts_with("\r\n") {
                return Ok(at + 2);
            } else {
                return Ok(at + usize::from(!rest.is_empty()));
            }
        }
    }

    fn bare(&mut self, text: &str, at: usize, marks: &Marks) -> usize {
        let rest = &text[at..];
        let end = rest.find([marks.delimiter, '\n']).unwrap_or(rest.len());
        let line_ends = !rest[end..].starts_with(marks.delimiter);
        // The CR of a CRLF is no part of the field; any other is.
        let end = if line_ends && rest[..end].ends_with('\r') { end - 1 } else { end };
        self.text.push_str(&rest[..end]);
        at + end
    }

    fn quoted(
        &mut self,
        text: &str,
        mut at: usize,
        marks: &Marks,
    ) -> Result<usize, (usize, String)> {
        let quote = marks.quote.len_utf8();
        loop {
            let Some(end) = text[at..].find(marks.quote) else {
                return Err((text.len(), format!("a closing `{}`", marks.quote)));
            };
            self.text.push_str(&text[at..at + end]);
            at += end + quote;
            if !text[at..].starts_with(marks.quote) {
                break;
            }
            self.text.push(marks.quote);
            at += quote;
        }
        let after = at + text[at..].bytes().take_while(|byte| *byte == b' ').count();
        let rest = &text[after..];
        match rest.is_empty() || rest.starts_with([marks.delimiter, '\n']) || rest.starts_with("\r")
        {
            true => Ok(after),
            false => Err((after, format!("`{}` after a closing quote", marks.delimiter))),
        }
    }
}

/// Makes a decoder of a mapping; faults are appended.
pub fn decoder(
    mapping: &Mapping,
    options: &Options,
    schema: &Schema,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Decoder>> {
    let before = faults.len();
    let header = options.flag("header") || options.flag("header.present");
    let names = schema.names().map(str::to_owned);
    let mut places: Vec<Place> = match header {
        true => names.map(Place::Name).collect(),
        false => (0..schema.len()).map(Place::Number).collect(),
    };
    let given = attributes(mapping, schema, faults);
    let mapped = given.is_some();
    for (attribute, option) in given.unwrap_or_default() {
        match option.value.trim().parse::<usize>() {
            Ok(number) => places[attribute] = Place::Number(number),
            Err(_) if header => places[attribute] = Place::Name(option.value.clone()),
            Err(_) => {
                let text = "expected the number of a column, counted from 0";
                let fault = Diagnostic::error(codes::MAPPING, option.span, text);
                faults.push(fault.help("names of columns need the option `header='true'`"));
            }
        }
    }
    let decoder = CsvDecoder {
        schema: schema.clone(),
        marks: Marks::read(options, faults),
        places,
        header,
        strict: options.flag("fail.on.unknown.attribute"),
        fields: None,
        width: if mapped { 0 } else { schema.len() },
        record: Record::default(),
    };
    (faults.len() == before).then(|| Box::new(decoder) as Box<dyn Decoder>)
}

impl CsvDecoder {
    /// Settles which field is which attribute. `true` if the record was the header.
    fn learn(&mut self, offset: usize) -> Result<bool, DecodeError> {
        if self.fields.is_some() {
            return Ok(false);
        }
        let mut fields = Vec::new();
        for (place, attribute) in self.places.iter().zip(&self.schema.attributes) {
            fields.push(match place {
                Place::Number(number) => *number,
                Place::Name(name) => {
                    let mut names = 0..self.record.ends.len();
                    let found = names.find(|at| self.record.field(*at).0.trim() == name);
                    let what = format!(": no column of the header is called `{name}`");
                    let missing = Fault::Missing;
                    found.ok_or_else(|| {
                        DecodeError::of(0, missing, offset, &attribute.name, &what)
                    })?
                }
            });
        }
        if self.header {
            self.width = self.record.ends.len();
        }
        self.fields = Some(fields);
        Ok(self.header)
    }

    fn event(
        &self,
        index: usize,
        offset: usize,
        columns: &mut [Column],
    ) -> Result<(), DecodeError> {
        let count = self.record.ends.len();
        if self.strict && self.width > 0 && count > self.width {
            let message = format!("expected {} values, found {count}", self.width);
            return Err(DecodeError::new(index, Fault::Unknown, offset, message));
        }
        let fields = self.fields.as_ref().expect("learned before");
        for (attribute, field) in fields.iter().enumerate() {
            let definition = &self.schema.attributes[attribute];
            let column = &mut columns[attribute];
            if *field >= count {
                if self.strict {
                    let what = format!(" is missing: the record has only {count} values");
                    let name = &definition.name;
                    return Err(DecodeError::of(index, Fault::Missing, offset, name, &what));
                }
                column.push_null();
                continue;
            }
            let (text, quoted) = self.record.field(*field);
            if text.is_empty() && !quoted {
                column.push_null();
                continue;
            }
            plain::read(definition.ty, text, column)
                .map_err(|fault| DecodeError::of_text(index, fault, offset, definition, text))?;
        }
        Ok(())
    }

    fn message(
        &mut self,
        text: &str,
        arrival: &Arrival,
        into: &mut Batch,
    ) -> Result<(), DecodeError> {
        let start = into.len();
        let mut at = 0;
        let mut records = 0;
        while at < text.len() {
            let index = into.len() - start;
            let line = text[at..].split('\n').next().unwrap_or_default();
            if line.trim_end_matches('\r').is_empty() {
                at += line.len() + 1;
                continue;
            }
            let next = self.record.read(text, at, &self.marks).map_err(|(place, expected)| {
                DecodeError::new(index, Fault::Syntax, place, format!("expected {expected}"))
            })?;
            records += 1;
            if !self.learn(at)? {
                if index >= arrival.rows_max {
                    return Err(DecodeError::too_many(index, at));
                }
                self.event(index, at, &mut into.columns)?;
                into.push_head(arrival.at, Kind::Current, 0);
            }
            at = next;
        }
        match records {
            0 => Err(DecodeError::new(0, Fault::Empty, 0, "expected a record, found nothing")),
            _ => Ok(()),
        }
    }
}

impl Decoder for CsvDecoder {
    fn decode(
        &mut self,
        message: &[u8],
        arrival: &Arrival,
        into: &mut Batch,
    ) -> Result<Decoded, DecodeError> {
        let text = utf8(message)?;
        let start = into.len();
        let learned = self.fields.is_some();
        match self.message(text, arrival, into) {
            Ok(()) => {
                join_send(into, start);
                Ok(Decoded { rows: into.len() - start, unmatched: 0 })
            }
            Err(error) => {
                cut_back(into, start);
                if !learned {
                    self.fields = None;
                }
                Err(error)
            }
        }
    }

    fn begin(&mut self) {
        self.fields = None;
    }

    fn wants_head(&self) -> bool {
        self.header
    }
}
