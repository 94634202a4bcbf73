//! What the tests of all mappers share, and what holds for every mapper: what it writes it reads
//! back, nothing makes it panic, its definition is complete.

use crate::event::Batch;
use crate::event::DataType;
use crate::event::Schema;
use crate::event::Value;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree::Span;
use crate::mappers::ALL;
use crate::mappers::Arrival;
use crate::mappers::DecodeError;
use crate::mappers::Decoded;
use crate::mappers::Decoder;
use crate::mappers::Messages;
use crate::mappers::decoder;
use crate::mappers::encoder;
use crate::plan::logical::EndpointOption;
use crate::plan::logical::Mapping;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// A mapping in the making, and its decoder once it is used.
pub struct Bench {
    schema: Schema,
    mapping: Mapping,
    output_options: Vec<EndpointOption>,
    decoder: Option<Box<dyn Decoder>>,
    /// What the last message taken held.
    pub last: Decoded,
}

fn pair(key: &str, value: &str) -> EndpointOption {
    EndpointOption { key: key.to_owned(), value: value.to_owned(), span: Span::default() }
}

impl Bench {
    pub fn new(kind: &str, attributes: &[(&str, DataType)]) -> Bench {
        let mapping = Mapping {
            kind: kind.to_owned(),
            options: Vec::new(),
            attributes: Vec::new(),
            payload: Vec::new(),
            span: Span::default(),
        };
        let schema = Schema::new(attributes.iter().copied());
        Bench {
            schema,
            mapping,
            output_options: Vec::new(),
            decoder: None,
            last: Decoded::default(),
        }
    }

    pub fn option(mut self, key: &str, value: &str) -> Bench {
        self.mapping.options.push(pair(key, value));
        self
    }

    /// An option that only writing knows.
    fn output_option(mut self, key: &str, value: &str) -> Bench {
        self.output_options.push(pair(key, value));
        self
    }

    pub fn attribute(mut self, key: &str, value: &str) -> Bench {
        self.mapping.attributes.push(pair(key, value));
        self
    }

    pub fn payload(mut self, key: &str, value: &str) -> Bench {
        self.mapping.payload.push(pair(key, value));
        self
    }

    /// The messages about the mapping under `@source` or `@sink`.
    pub fn faults(&self, input: bool) -> Vec<String> {
        let mut faults = Vec::new();
        let made = match input {
            true => decoder(&self.mapping, &self.schema, &mut faults).is_some(),
            false => encoder(&self.mapping, &self.schema, &mut faults).is_some(),
        };
        assert_eq!(made, faults.is_empty(), "{faults:?}");
        let text = |fault: Diagnostic| {
            let help = fault.help.unwrap_or_default();
            format!("{} {help}", fault.message)
        };
        faults.into_iter().map(text).collect()
    }

    /// The decoder, kept from message to message.
    pub fn decoder(&mut self) -> &mut dyn Decoder {
        let (mapping, schema) = (&self.mapping, &self.schema);
        let made = self.decoder.get_or_insert_with(|| {
            let mut faults = Vec::new();
            decoder(mapping, schema, &mut faults).unwrap_or_else(|| panic!("{faults:?}"))
        });
        &mut **made
    }

    fn decode(&mut self, message: &[u8]) -> Result<Batch, DecodeError> {
        let mut batch = Batch::new(&self.schema.types());
        batch.push_nulls(0, crate::event::Kind::Current, 0);
        let before = batch.clone();
        let arrival = Arrival { at: 5, rows_max: 100 };
        match self.decoder().decode(message, &arrival, &mut batch) {
            Ok(decoded) => {
                self.last = decoded;
                assert_eq!(decoded.rows + 1, batch.len());
                assert_eq!(batch.send_continues.count(), decoded.rows.saturating_sub(1));
                assert!(batch.columns.iter().all(|column| column.len() == batch.len()));
                Ok(batch)
            }
            Err(error) => {
                assert_eq!(batch, before, "a refused message left something");
                Err(error)
            }
        }
    }

    /// The rows of a message, each with its values printed.
    pub fn take(&mut self, message: &str) -> Vec<String> {
        let batch = self.decode(message.as_bytes()).unwrap_or_else(|e| panic!("{message}: {e}"));
        let print = |row| {
            let mut bytes = Vec::new();
            for (index, column) in batch.columns.iter().enumerate() {
                if index > 0 {
                    bytes.push(b' ');
                }
                crate::mappers::plain::write(column, row, &mut bytes);
            }
            String::from_utf8(bytes).unwrap()
        };
        (1..batch.len()).map(print).collect()
    }

    /// Why a message is refused.
    pub fn refuse(&mut self, message: &str) -> DecodeError {
        self.decode(message.as_bytes()).map(|batch| batch.row(1)).expect_err(message)
    }

    /// The messages made of rows that are one chunk.
    pub fn write<const N: usize>(&self, rows: &[[Value; N]]) -> Vec<String> {
        let mut batch = Batch::new(&self.schema.types());
        rows.iter().for_each(|row| batch.push_row(0, row));
        batch.join_chunk(0);
        self.encode(&batch).into_iter().map(|bytes| String::from_utf8(bytes).unwrap()).collect()
    }

    fn encode(&self, batch: &Batch) -> Vec<Vec<u8>> {
        let mut faults = Vec::new();
        let mut mapping = self.mapping.clone();
        mapping.options.extend(self.output_options.clone());
        let mut encoder =
            encoder(&mapping, &self.schema, &mut faults).unwrap_or_else(|| panic!("{faults:?}"));
        let mut messages = Messages::new();
        encoder.encode(batch, 0..batch.len(), &mut messages);
        messages.iter().map(|(bytes, _)| bytes.to_vec()).collect()
    }
}

const TYPES: [(&str, DataType); 6] = [
    ("name", DataType::Text),
    ("count", DataType::Int),
    ("total", DataType::Long),
    ("ratio", DataType::Float),
    ("price", DataType::Double),
    ("ok", DataType::Bool),
];

fn row() -> impl Strategy<Value = Vec<Value>> {
    let characters = prop::sample::select(vec![
        'a', 'é', '"', '\'', '\\', ',', ':', '\n', '\r', ' ', '~', '{', '}', '\t', 'n', '\u{1}',
    ]);
    let text = prop::collection::vec(characters, 0..12)
        .prop_map(|text| Value::Text(text.into_iter().collect::<String>().into()));
    let text = prop_oneof![4 => text, 1 => Just(Value::from("null"))];
    let finite = any::<f64>().prop_filter("finite", |value| value.is_finite());
    let finite_float = any::<f32>().prop_filter("finite", |value| value.is_finite());
    let maybe = |strategy: BoxedStrategy<Value>| prop_oneof![5 => strategy, 1 => Just(Value::Null)];
    (
        maybe(text.boxed()),
        maybe(any::<i32>().prop_map(Value::Int).boxed()),
        maybe(any::<i64>().prop_map(Value::Long).boxed()),
        maybe(finite_float.prop_map(Value::Float).boxed()),
        maybe(finite.prop_map(Value::Double).boxed()),
        maybe(any::<bool>().prop_map(Value::Bool).boxed()),
    )
        .prop_map(|(a, b, c, d, e, f)| vec![a, b, c, d, e, f])
}

/// Mappers that write every value so that they can read it.
fn benches() -> Vec<Bench> {
    let grouped = |kind| Bench::new(kind, &TYPES).option("event.grouping.enabled", "true");
    vec![
        Bench::new("json", &TYPES),
        Bench::new("json", &TYPES).output_option("event.grouping.enabled", "true"),
        Bench::new("text", &TYPES),
        grouped("text"),
        Bench::new("csv", &TYPES),
        grouped("csv").option("delimiter", "|").option("quote", "'"),
        grouped("csv").option("header", "true"),
        Bench::new("keyvalue", &TYPES),
        Bench::new("keyvalue", &TYPES).option("delimiter", " ").option("key.delimiter", "="),
    ]
}

#[test]
fn what_is_written_is_read_back() {
    for bench in benches() {
        let mapping = bench.mapping.clone();
        let bench = std::cell::RefCell::new(bench);
        let mut runner = TestRunner::deterministic();
        let result = runner.run(&prop::collection::vec(row(), 1..5), |rows| {
            let mut bench = bench.borrow_mut();
            let mut written = Batch::new(&bench.schema.types());
            rows.iter().for_each(|row| written.push_row(0, row));
            written.join_chunk(0);
            let mut read = Vec::new();
            for message in bench.encode(&written) {
                bench.decoder().begin();
                let batch = bench.decode(&message).map_err(|error| {
                    let text = String::from_utf8_lossy(&message).into_owned();
                    TestCaseError::fail(format!("{error} in {text:?}"))
                })?;
                read.extend((1..batch.len()).map(|row| batch.row(row)));
            }
            prop_assert_eq!(read, rows);
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{mapping:?}: {error}"));
    }
}

#[test]
fn nothing_makes_a_mapper_panic() {
    let pieces = prop::sample::select(vec![
        "name",
        "count",
        ":",
        ",",
        "\"",
        "'",
        "\\",
        "\n",
        "\r\n",
        "null",
        "1",
        "-5",
        "true",
        "~~~~~~~~~~",
        "ä",
        " ",
        "|",
        "=",
        "{",
        "}",
        "[",
        "price:",
        "x y z",
        "\t",
    ]);
    let soup = prop::collection::vec(pieces, 0..30).prop_map(|pieces| pieces.concat().into_bytes());
    let bytes = prop::collection::vec(any::<u8>(), 0..40);
    let patterned = Bench::new("text", &[("a", DataType::Text), ("b", DataType::Int)])
        .option("regex.A", r"(\w+)?\s*(?P<n>[-\d]+)?")
        .option("fail.on.missing.attribute", "false")
        .option("event.grouping.enabled", "true")
        .attribute("a", "A[1]")
        .attribute("b", "A[n]");
    let lenient = Bench::new("csv", &TYPES).option("fail.on.unknown.attribute", "false");
    let through = Bench::new("passThrough", &[("a", DataType::Text)]);
    for bench in benches().into_iter().chain([patterned, lenient, through]) {
        let bench = std::cell::RefCell::new(bench);
        let strategy = prop_oneof![soup.clone(), bytes.clone()];
        let result = TestRunner::deterministic().run(&strategy, |message| {
            // The bench itself asserts that a refused message leaves nothing.
            let _ = bench.borrow_mut().decode(&message);
            Ok(())
        });
        result.unwrap();
    }
}

#[test]
fn every_definition_says_what_it_does_and_has_an_example() {
    for mapper in ALL {
        for definition in [mapper.input, mapper.output] {
            assert_eq!(definition.name, mapper.name);
            assert!(definition.help.ends_with('.'), "{}", definition.help);
            assert!(definition.example.contains(mapper.name), "{}", definition.example);
            for option in definition.options {
                assert!(option.help.ends_with('.'), "{}: {}", mapper.name, option.help);
            }
        }
    }
}
