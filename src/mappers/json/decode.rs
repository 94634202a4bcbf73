//! JSON straight into columns: an object, an array of objects, or an object a line.

use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Schema;
use crate::event::Text;
use crate::event::Values;
use crate::mappers::Arrival;
use crate::mappers::Decoder;
use crate::mappers::json::encode::write_text;
use crate::mappers::json::paths::Paths;
use crate::mappers::json::scanner::Bad;
use crate::mappers::json::scanner::Scanner;
use crate::mappers::message::DecodeError;
use crate::mappers::message::Decoded;
use crate::mappers::message::Fault;
use crate::mappers::message::cut_back;
use crate::mappers::message::join_send;
use crate::mappers::message::snippet;
use crate::mappers::template::no_attribute;

/// Reads JSON events of one stream.
#[derive(Debug)]
pub struct JsonDecoder {
    pub(super) columns: Filler,
    /// `@attributes`: where each attribute lies in an event.
    pub(super) mapping: Option<Paths>,
    /// `enclosing.element`: where the events lie in a message.
    pub(super) enclosing: Vec<String>,
    scratch: String,
}

/// What is known of the stream, and which attributes of the present event are filled.
#[derive(Debug)]
pub(super) struct Filler {
    pub(super) schema: Schema,
    /// `"name":` of each attribute.
    keys: Vec<Box<[u8]>>,
    /// A missing attribute is an error, not null.
    pub(super) fail_on_missing: bool,
    /// An unknown attribute is an error, not passed over.
    pub(super) fail_on_unknown: bool,
    /// The event's number at which an attribute was last filled.
    filled: Vec<u64>,
    event: u64,
    /// Whether `{"event":{…}}` can be told from an attribute called `event`.
    wrapped: bool,
}

/// A fault with the attribute it is about.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) bad: Bad,
    pub(super) attribute: Option<usize>,
    /// A name that is no attribute.
    pub(super) name: Option<String>,
}

impl From<Bad> for Failure {
    fn from(bad: Bad) -> Failure {
        Failure { bad, attribute: None, name: None }
    }
}

impl JsonDecoder {
    /// Reads events whose names are those of the stream; strict: every attribute must be there, and
    /// no other.
    pub fn strict(schema: &Schema) -> JsonDecoder {
        let is_object = |name| {
            schema.position(name).is_some_and(|at| schema.attributes[at].ty == DataType::Object)
        };
        JsonDecoder {
            columns: Filler {
                keys: schema.names().map(key).collect(),
                filled: vec![0; schema.len()],
                event: 0,
                wrapped: !is_object("event"),
                schema: schema.clone(),
                fail_on_missing: true,
                fail_on_unknown: true,
            },
            mapping: None,
            enclosing: Vec::new(),
            scratch: String::new(),
        }
    }

    fn message(
        &mut self,
        scanner: &mut Scanner<'_>,
        arrival: &Arrival,
        into: &mut Batch,
    ) -> Result<(), Failure> {
        let start = into.len();
        self.enter(scanner)?;
        match scanner.peek() {
            Some(b'[') => {
                scanner.go_to(scanner.at() + 1);
                if !scanner.take(b']') {
                    loop {
                        self.event(scanner, start, arrival, into)?;
                        if scanner.take(b']') {
                            break;
                        }
                        scanner.expect(b',', "`,` or `]` after an event")?;
                    }
                }
            }
            Some(b'{') => loop {
                self.event(scanner, start, arrival, into)?;
                let next_line = scanner.line_ends();
                if !self.enclosing.is_empty() || !next_line || scanner.peek().is_none() {
                    break;
                }
            },
            None => return Err(scanner.bad(Fault::Empty, "an event").into()),
            Some(_) => return Err(scanner.bad(Fault::Syntax, "an object or an array").into()),
        }
        match scanner.peek() {
            // What stands around the enclosing element is not ours to judge.
            Some(_) if self.enclosing.is_empty() => {
                Err(scanner.bad(Fault::Syntax, "nothing after the events").into())
            }
            _ => Ok(()),
        }
    }

    /// Goes to the value of `enclosing.element`.
    fn enter(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Failure> {
        for name in &self.enclosing {
            let start = scanner.at();
            let mut found = None;
            scanner.peek();
            scanner.expect(b'{', "the object that encloses the events")?;
            scanner.go_to(start);
            scanner.peek();
            scanner.members(0, &mut self.scratch, |scanner, key, scratch| {
                if key == name.as_str() && found.is_none() {
                    found = Some(scanner.at());
                }
                scanner.skip(1, scratch)
            })?;
            match found {
                Some(at) => scanner.go_to(at),
                None => {
                    let bad = Bad { at: start, fault: Fault::Missing, expected: "" };
                    return Err(Failure { bad, attribute: None, name: Some(name.clone()) });
                }
            }
        }
        Ok(())
    }

    fn event(
        &mut self,
        scanner: &mut Scanner<'_>,
        start: usize,
        arrival: &Arrival,
        into: &mut Batch,
    ) -> Result<(), Failure> {
        if into.len() - start >= arrival.rows_max {
            return Err(scanner.bad(Fault::TooMany, "fewer events").into());
        }
        self.columns.event += 1;
        match &self.mapping {
            Some(paths) => {
                if scanner.peek() != Some(b'{') {
                    return Err(scanner.bad(Fault::Syntax, "an object").into());
                }
                paths.read(scanner, &mut self.columns, &mut into.columns, &mut self.scratch)?;
            }
            None => {
                scanner.expect(b'{', "an object")?;
                self.columns.object(scanner, &mut into.columns, &mut self.scratch, true)?;
            }
        }
        self.columns.complete(scanner, &mut into.columns)?;
        into.push_head(arrival.at, Kind::Current, 0);
        Ok(())
    }

    fn describe(&self, message: &[u8], index: usize, failure: &Failure) -> DecodeError {
        let Failure { bad, attribute, name } = failure;
        let attribute = attribute.map(|at| self.columns.schema.attributes[at].name.to_string());
        let found = match bad.at >= message.len() {
            true => "the end".to_owned(),
            false => format!("`{}`", front_value(&snippet(message, bad.at))),
        };
        let text = match (bad.fault, &attribute, name) {
            (Fault::Unknown, _, Some(name)) => no_attribute(name, &self.columns.schema),
            (Fault::Missing, _, Some(name)) => format!("no element `{name}` encloses the events"),
            (Fault::Missing, Some(name), _) => format!("attribute `{name}` is missing"),
            (Fault::Duplicate, Some(name), _) => format!("attribute `{name}` stands twice"),
            (Fault::TooMany, ..) => "more events than one message may hold".to_owned(),
            (Fault::Empty, ..) => "expected an event, found nothing".to_owned(),
            (_, Some(name), _) => {
                format!("attribute `{name}`: expected {}, found {found}", bad.expected)
            }
            (_, None, _) => format!("expected {}, found {found}", bad.expected),
        };
        let attribute = attribute.or_else(|| name.clone());
        DecodeError { index, fault: bad.fault, attribute, offset: bad.at, message: text }
    }
}

/// The value at the front of a text, as far as it is plain to see where it ends.
fn front_value(text: &str) -> &str {
    let end = match text.strip_prefix('"') {
        Some(inside) if inside.contains('\\') => None,
        Some(inside) => inside.find('"').map(|at| at + 2),
        None => text.find([',', '}', ']', ' ']).filter(|at| *at > 0),
    };
    // What holds others is shown from its bracket on.
    let end = end.filter(|_| !text.starts_with(['{', '[']));
    end.map_or(text, |end| &text[..end])
}

impl Decoder for JsonDecoder {
    fn decode(
        &mut self,
        message: &[u8],
        arrival: &Arrival,
        into: &mut Batch,
    ) -> Result<Decoded, DecodeError> {
        let text = crate::mappers::utf8(message)?;
        let start = into.len();
        match self.message(&mut Scanner::new(text), arrival, into) {
            Ok(()) => {
                join_send(into, start);
                Ok(Decoded { rows: into.len() - start, unmatched: 0 })
            }
            Err(failure) => {
                let index = into.len() - start;
                cut_back(into, start);
                Err(self.describe(message, index, &failure))
            }
        }
    }
}

impl Filler {
    /// The rest of an event after its `{`.
    fn object(
        &mut self,
        scanner: &mut Scanner<'_>,
        columns: &mut [Column],
        scratch: &mut String,
        may_wrap: bool,
    ) -> Result<(), Failure> {
        if scanner.take(b'}') {
            return Ok(());
        }
        if may_wrap && self.wrapped && self.wrapper(scanner) {
            scanner.expect(b'{', "an object")?;
            self.object(scanner, columns, scratch, false)?;
            return Ok(scanner.expect(b'}', "`}` after the event")?);
        }
        // Most producers write attributes in the stream's order.
        let mut next = 0;
        loop {
            scanner.peek();
            let at = scanner.at();
            let foreseen = self.keys.get(next).is_some_and(|key| scanner.take_exactly(key));
            let attribute = match foreseen {
                true => Some(next),
                false => self.key(scanner, scratch)?,
            };
            match attribute {
                Some(attribute) => {
                    self.fill(attribute, at, scanner, columns, scratch)?;
                    next = attribute + 1;
                }
                None => scanner.skip(1, scratch)?,
            }
            if scanner.take(b'}') {
                return Ok(());
            }
            scanner.expect(b',', "`,` or `}`")?;
        }
    }

    /// Takes `"event":` if an object follows.
    fn wrapper(&self, scanner: &mut Scanner<'_>) -> bool {
        scanner.peek();
        let start = scanner.at();
        let found = scanner.take_exactly(b"\"event\"")
            && scanner.take(b':')
            && scanner.peek() == Some(b'{');
        if !found {
            scanner.go_to(start);
        }
        found
    }

    /// Takes a name and its colon; `None` if it is no attribute and that is allowed.
    fn key(
        &self,
        scanner: &mut Scanner<'_>,
        scratch: &mut String,
    ) -> Result<Option<usize>, Failure> {
        let at = scanner.at();
        // What stands where a name must stand is no JSON, whatever it is.
        let name = scanner.string(scratch, "the name of an attribute in quotes").map_err(
            |bad| match bad.fault {
                Fault::Type => Bad { fault: Fault::Syntax, ..bad },
                _ => bad,
            },
        )?;
        let attribute = self.schema.position(name);
        if attribute.is_none() && self.fail_on_unknown {
            let bad = Bad { at, fault: Fault::Unknown, expected: "" };
            return Err(Failure { bad, attribute: None, name: Some(name.to_owned()) });
        }
        scanner.expect(b':', "`:` after the name")?;
        Ok(attribute)
    }

    /// Takes the value of an attribute into its column.
    #[inline]
    pub(super) fn fill(
        &mut self,
        attribute: usize,
        key_at: usize,
        scanner: &mut Scanner<'_>,
        columns: &mut [Column],
        scratch: &mut String,
    ) -> Result<(), Failure> {
        let of = |bad| Failure { bad, attribute: Some(attribute), name: None };
        if std::mem::replace(&mut self.filled[attribute], self.event) == self.event {
            return Err(of(Bad { at: key_at, fault: Fault::Duplicate, expected: "" }));
        }
        let ty = self.schema.attributes[attribute].ty;
        value(ty, scanner, &mut columns[attribute], scratch).map_err(of)
    }

    /// Fills what the event left out.
    #[inline]
    fn complete(
        &mut self,
        scanner: &mut Scanner<'_>,
        columns: &mut [Column],
    ) -> Result<(), Failure> {
        for (attribute, filled) in self.filled.iter().enumerate() {
            if *filled == self.event {
                continue;
            }
            if self.fail_on_missing {
                let bad = Bad { at: scanner.at(), fault: Fault::Missing, expected: "" };
                return Err(Failure { bad, attribute: Some(attribute), name: None });
            }
            columns[attribute].push_null();
        }
        Ok(())
    }
}

/// A name as compact JSON writes it; one with characters that JSON may write in other ways too is
/// found on the slow path.
fn key(name: &str) -> Box<[u8]> {
    let mut bytes = Vec::new();
    write_text(name, &mut bytes);
    bytes.push(b':');
    bytes.into_boxed_slice()
}

/// Takes one value of a type into a column of that type, or into an absent one.
#[inline]
fn value(
    ty: DataType,
    scanner: &mut Scanner<'_>,
    column: &mut Column,
    scratch: &mut String,
) -> Result<(), Bad> {
    if scanner.null()? {
        column.push_null();
        return Ok(());
    }
    let at = scanner.at();
    macro_rules! number {
        ($variant:ident, $read:ident, $expected:literal) => {{
            let number = scanner.number($expected)?;
            let value = number.$read().map_err(|fault| Bad { at, fault, expected: $expected })?;
            if let Values::$variant(vector) = &mut column.values {
                vector.push(value);
            }
        }};
    }
    match ty {
        DataType::Int => {
            const INT: &str = "int, a whole number from -2147483648 to 2147483647";
            let value = scanner
                .number(INT)?
                .long()
                .and_then(|value| i32::try_from(value).map_err(|_| Fault::Range));
            let value = value.map_err(|fault| Bad { at, fault, expected: INT })?;
            if let Values::Int(vector) = &mut column.values {
                vector.push(value);
            }
        }
        DataType::Long => number!(Long, long, "long, a whole number of 64 bits"),
        DataType::Float => number!(Float, float, "float, a number"),
        DataType::Double => number!(Double, double, "double, a number"),
        DataType::Bool => {
            let value = scanner.truth()?;
            if let Values::Bool(vector) = &mut column.values {
                vector.push(value);
            }
        }
        DataType::Text => {
            let text = scanner.string(scratch, "string, a text in quotes")?;
            if let Values::Text(vector) = &mut column.values {
                vector.push(Text::from(text));
            }
        }
        DataType::Object => {
            let value = scanner.value(1, scratch)?;
            if let Values::Object(vector) = &mut column.values {
                vector.push(value);
            }
        }
    }
    Ok(())
}
