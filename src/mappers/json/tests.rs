//! What the JSON mapper takes, refuses and writes.

use super::*;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Value;
use crate::mappers::Arrival;
use crate::mappers::DecodeError;
use crate::mappers::Fault;
use crate::mappers::Messages;
use crate::plan::logical::EndpointOption;
use proptest::prelude::*;

fn schema() -> Schema {
    Schema::new([
        ("name", DataType::Text),
        ("count", DataType::Int),
        ("total", DataType::Long),
        ("price", DataType::Double),
        ("ok", DataType::Bool),
    ])
}

fn decode(decoder: &mut dyn Decoder, schema: &Schema, text: &str) -> Result<Batch, DecodeError> {
    let mut batch = Batch::new(&schema.types());
    batch.push_nulls(0, crate::event::Kind::Current, 0);
    let before = batch.clone();
    match decoder.decode(text.as_bytes(), &Arrival { at: 7, rows_max: 1000 }, &mut batch) {
        Ok(decoded) => {
            assert_eq!(decoded.rows + 1, batch.len());
            Ok(batch)
        }
        Err(error) => {
            assert_eq!(batch, before, "a refused message left something: {text}");
            Err(error)
        }
    }
}

fn strict(text: &str) -> Result<Batch, DecodeError> {
    decode(&mut JsonDecoder::strict(&schema()), &schema(), text)
}

fn pairs(given: &[(&str, &str)]) -> Vec<EndpointOption> {
    given
        .iter()
        .map(|(key, value)| EndpointOption {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
            span: Default::default(),
        })
        .collect()
}

fn mapping(
    options: &[(&str, &str)],
    attributes: &[(&str, &str)],
    payload: &[(&str, &str)],
) -> Mapping {
    Mapping {
        kind: "json".to_owned(),
        options: pairs(options),
        attributes: pairs(attributes),
        payload: pairs(payload),
        span: Default::default(),
    }
}

fn row(name: &str, count: i32, total: i64, price: f64, ok: bool) -> Vec<Value> {
    vec![
        Value::from(name),
        Value::Int(count),
        Value::Long(total),
        Value::Double(price),
        Value::Bool(ok),
    ]
}

#[test]
fn events_come_alone_in_arrays_and_in_lines() {
    let a = r#"{"name":"a","count":1,"total":2,"price":3.5,"ok":true}"#;
    let b = r#" { "ok" : false , "price" : 4 , "total":-2,"count":-1,"name":"b\n" } "#;
    let first = row("a", 1, 2, 3.5, true);
    let second = row("b\n", -1, -2, 4.0, false);
    let cases = [
        (a.to_owned(), 1),
        (format!("[{a},{b}]"), 2),
        (format!("{a}\n{b}\n"), 2),
        (format!("\n{a}\r\n\r\n{b}"), 2),
        (format!(r#"{{"event":{a}}}"#), 1),
        (format!(r#"[{{"event":{a}}},{b}]"#), 2),
        ("[]".to_owned(), 0),
        (" [ ] ".to_owned(), 0),
    ];
    for (text, rows) in cases {
        let batch = strict(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(batch.len(), rows + 1, "{text}");
        for (index, expected) in [&first, &second][..rows].iter().enumerate() {
            assert_eq!(batch.row(index + 1), **expected, "{text}");
            assert_eq!(batch.timestamps[index + 1], 7);
            assert_eq!(batch.send_continues.get(index + 1), index + 1 < rows);
        }
    }
}

#[test]
fn bad_events_are_named_with_index_fault_and_attribute() {
    let good = r#"{"name":"a","count":1,"total":2,"price":3.5,"ok":true}"#;
    let with = |change: &str| format!(r#"[{good},{{{change}}}]"#);
    let rest = r#""total":2,"price":3.5,"ok":true"#;
    let cases: Vec<(String, usize, Fault, Option<&str>)> = vec![
        (String::new(), 0, Fault::Empty, None),
        ("  \n".to_owned(), 0, Fault::Empty, None),
        ("events".to_owned(), 0, Fault::Syntax, None),
        ("12".to_owned(), 0, Fault::Syntax, None),
        ("null".to_owned(), 0, Fault::Syntax, None),
        ("{".to_owned(), 0, Fault::Syntax, None),
        ("[".to_owned(), 0, Fault::Syntax, None),
        ("{}".to_owned(), 0, Fault::Missing, Some("name")),
        (format!("[{good},]"), 1, Fault::Syntax, None),
        (format!("[{good}"), 1, Fault::Syntax, None),
        (format!("{good} {good}"), 1, Fault::Syntax, None),
        (format!("{good}\nx"), 1, Fault::Syntax, None),
        (format!("[{good}] x"), 1, Fault::Syntax, None),
        (format!("[[{good}]]"), 0, Fault::Syntax, None),
        (format!("[{good},null]"), 1, Fault::Syntax, None),
        (with(&format!(r#""name":"a","count":"1",{rest}"#)), 1, Fault::Type, Some("count")),
        (with(&format!(r#""name":"a","count":1.0,{rest}"#)), 1, Fault::Type, Some("count")),
        (with(&format!(r#""name":"a","count":1e2,{rest}"#)), 1, Fault::Type, Some("count")),
        (with(&format!(r#""name":"a","count":true,{rest}"#)), 1, Fault::Type, Some("count")),
        (with(&format!(r#""name":"a","count":[1],{rest}"#)), 1, Fault::Type, Some("count")),
        (with(&format!(r#""name":"a","count":2147483648,{rest}"#)), 1, Fault::Range, Some("count")),
        (with(&format!(r#""name":"a","count":01,{rest}"#)), 1, Fault::Syntax, Some("count")),
        (with(&format!(r#""name":"a","count":+1,{rest}"#)), 1, Fault::Syntax, Some("count")),
        (with(&format!(r#""name":1,"count":1,{rest}"#)), 1, Fault::Type, Some("name")),
        (with(&format!(r#""name":"a,"count":1,{rest}"#)), 1, Fault::Syntax, None),
        (with(&format!(r#""count":1,{rest}"#)), 1, Fault::Missing, Some("name")),
        (with(&format!(r#""nmae":"a","count":1,{rest}"#)), 1, Fault::Unknown, Some("nmae")),
        (
            with(&format!(r#""name":"a","name":"b","count":1,{rest}"#)),
            1,
            Fault::Duplicate,
            Some("name"),
        ),
        (
            with(r#""name":"a","count":1,"total":9223372036854775808,"price":1,"ok":true"#),
            1,
            Fault::Range,
            Some("total"),
        ),
        (
            with(r#""name":"a","count":1,"total":1,"price":NaN,"ok":true"#),
            1,
            Fault::Syntax,
            Some("price"),
        ),
        (
            with(r#""name":"a","count":1,"total":1,"price":1e999,"ok":true"#),
            1,
            Fault::Range,
            Some("price"),
        ),
        (with(r#""name":"a","count":1,"total":1,"price":1,"ok":1"#), 1, Fault::Type, Some("ok")),
        (
            with(r#""name":"a","count":1,"total":1,"price":1,"ok":tru"#),
            1,
            Fault::Syntax,
            Some("ok"),
        ),
        (format!(r#"{{"event":{good},"x":1}}"#), 0, Fault::Syntax, None),
        (format!(r#"{{"event":{{"event":{good}}}}}"#), 0, Fault::Unknown, Some("event")),
        (format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000)), 0, Fault::Syntax, None),
        ("[{}]".to_owned(), 0, Fault::Missing, Some("name")),
        (format!("[{}]", vec![good; 1001].join(",")), 1000, Fault::TooMany, None),
    ];
    for (text, index, fault, attribute) in cases {
        let error = strict(&text).expect_err(&text);
        assert_eq!((error.index, error.fault), (index, fault), "{text}: {error}");
        assert_eq!(error.attribute.as_deref(), attribute, "{text}: {error}");
    }
    let mut batch = Batch::new(&schema().types());
    let mut decoder = JsonDecoder::strict(&schema());
    let error = decoder.decode(b"{\"name\":\"\xff\"}", &Arrival::at(0), &mut batch).unwrap_err();
    assert_eq!((error.fault, error.offset), (Fault::Encoding, 9));
}

#[test]
fn an_error_says_what_was_expected_and_what_came() {
    let error = strict(r#"{"name":"a","count":"one"}"#).unwrap_err();
    let expected = "event 0: attribute `count`: expected int, a whole number from -2147483648 to \
                    2147483647, found `\"one\"`";
    assert_eq!(error.to_string(), expected);
    let found = |json: &str| {
        let message = strict(json).unwrap_err().message;
        message.split_once("found ").map(|(_, found)| found.to_owned())
    };
    assert_eq!(found(r#"{"name":7, "count":1}"#).as_deref(), Some("`7`"));
    assert_eq!(found(r#"{"name":"a","count":1.5}"#).as_deref(), Some("`1.5`"));
    assert_eq!(found(r#"{"name":{"a":1},"count":1}"#).as_deref(), Some("`{\"a\":1},\"count\":1}`"));
    let error = strict(r#"{"nam":"a"}"#).unwrap_err();
    assert_eq!(error.message, "the stream has no attribute `nam`; did you mean `name`?");
}

#[test]
fn a_mapping_may_be_lenient() {
    let schema = schema();
    let mut faults = Vec::new();
    let options = [("fail.on.missing.attribute", "false")];
    let mapping = mapping(&options, &[], &[]);
    let mut decoder = crate::mappers::decoder(&mapping, &schema, &mut faults).unwrap();
    let text = r#"{"more":{"a":[1,{"b":null}]},"count":4,"name":null}"#;
    let batch = decode(&mut *decoder, &schema, text).unwrap();
    let expected = [Value::Null, Value::Int(4), Value::Null, Value::Null, Value::Null];
    assert_eq!(batch.row(1), expected);
    let deep = format!(r#"{{"more":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(decode(&mut *decoder, &schema, &deep).unwrap_err().fault, Fault::Depth);
}

#[test]
fn attributes_are_found_by_their_paths() {
    let schema = Schema::new([
        ("user", DataType::Text),
        ("first", DataType::Int),
        ("login", DataType::Object),
    ]);
    let attributes = [("user", "$.login.user"), ("first", "$.ports[1]"), ("login", "login")];
    let options = [("enclosing.element", "$.batch.events")];
    let mapping = mapping(&options, &attributes, &[]);
    let mut faults = Vec::new();
    let mut decoder = crate::mappers::decoder(&mapping, &schema, &mut faults).unwrap();
    let event = r#"{"ports":[7,8,9],"x":{"y":1},"login":{"user":"root"}}"#;
    let text = format!(r#"{{"v":1,"batch":{{"n":[],"events":[{event},{event}]}}}}"#);
    let batch = decode(&mut *decoder, &schema, &text).unwrap();
    assert_eq!(batch.len(), 3);
    assert_eq!(batch.row(2)[..2], [Value::from("root"), Value::Int(8)]);
    let mut bytes = Vec::new();
    write_cell(&batch.columns[2], 2, &mut bytes);
    assert_eq!(bytes, br#"{"user":"root"}"#);

    let cases = [
        (r#"{"batch":{}}"#, Fault::Missing, Some("events")),
        (r#"{"batch":{"events":[{"ports":[1]}]}}"#, Fault::Missing, Some("user")),
        (r#"{"batch":{"events":[{"login":{"user":5}}]}}"#, Fault::Type, Some("user")),
        (r#"{"batch":{"events":[5]}}"#, Fault::Syntax, None),
        (r#"{"batch":5}"#, Fault::Syntax, None),
    ];
    for (text, fault, attribute) in cases {
        let error = decode(&mut *decoder, &schema, text).expect_err(text);
        assert_eq!(error.fault, fault, "{text}: {error}");
        assert_eq!(error.attribute.as_deref(), attribute, "{text}: {error}");
    }
}

#[test]
fn mappings_that_cannot_work_are_refused() {
    let schema = Schema::new([("user", DataType::Text)]);
    let cases: &[(Mapping, &str)] = &[
        (mapping(&[], &[("usr", "$.a")], &[]), "did you mean `user`?"),
        (mapping(&[], &[("user", "$a")], &[]), "in the path `$a`"),
        (mapping(&[], &[("user", "a"), ("user", "b")], &[]), "mapped twice"),
        (mapping(&[], &[("", "a"), ("", "b")], &[]), "only 1 attributes"),
        (mapping(&[], &[("user", "trp:host")], &[]), "not supported yet"),
        (mapping(&[("enclosing.element", "$.a[0]")], &[], &[]), "only names"),
        (mapping(&[("fail.on", "true")], &[], &[]), "has no option `fail.on`"),
        (mapping(&[], &[], &[("", "x")]), "belongs under `@sink`"),
    ];
    for (mapping, words) in cases {
        let mut faults = Vec::new();
        assert!(crate::mappers::decoder(mapping, &schema, &mut faults).is_none(), "{words}");
        assert!(faults[0].message.contains(words), "{words}: {}", faults[0].message);
    }
    let cases: &[(Mapping, &str)] = &[
        (mapping(&[], &[], &[("", "{{usr}}")]), "did you mean `user`?"),
        (mapping(&[], &[], &[("a", "{{user}}")]), "one text without a key"),
        (mapping(&[], &[("user", "$.a")], &[]), "belongs under `@source`"),
        (mapping(&[("validate.json", "true")], &[], &[]), "not supported yet"),
    ];
    for (mapping, words) in cases {
        let mut faults = Vec::new();
        assert!(crate::mappers::encoder(mapping, &schema, &mut faults).is_none(), "{words}");
        assert!(faults[0].message.contains(words), "{words}: {}", faults[0].message);
    }
}

fn encode(mapping: &Mapping, schema: &Schema, batch: &Batch) -> Vec<String> {
    let mut faults = Vec::new();
    let mut encoder = crate::mappers::encoder(mapping, schema, &mut faults).unwrap();
    let mut messages = Messages::new();
    encoder.encode(batch, 0..batch.len(), &mut messages);
    messages.iter().map(|(bytes, _)| String::from_utf8(bytes.to_vec()).unwrap()).collect()
}

#[test]
fn rows_are_written_escaped_for_their_place() {
    let schema = Schema::new([("text", DataType::Text), ("n", DataType::Double)]);
    let mut batch = Batch::new(&schema.types());
    batch.push_row(0, &[Value::from("say \"hi\"\n\u{1}"), Value::Double(5.0)]);
    batch.push_row(0, &[Value::Null, Value::Double(f64::NAN)]);
    assert_eq!(
        encode(&mapping(&[], &[], &[]), &schema, &batch),
        [
            r#"{"event":{"text":"say \"hi\"\n\u0001","n":5.0}}"#,
            r#"{"event":{"text":null,"n":null}}"#
        ]
    );
    let payload = [("", r#"{"t":"<{{text}}>","n":{{n}},"u":{{text}}}"#)];
    assert_eq!(
        encode(&mapping(&[], &[], &payload), &schema, &batch),
        [
            r#"{"t":"<say \"hi\"\n\u0001>","n":5.0,"u":"say \"hi\"\n\u0001"}"#,
            r#"{"t":"<null>","n":null,"u":null}"#
        ]
    );
    let options = [("event.grouping.enabled", "true"), ("enclosing.element", "$.a.b")];
    batch.join_chunk(0);
    let messages = encode(&mapping(&options, &[], &[("", "{{n}}")]), &schema, &batch);
    assert_eq!(messages, [r#"{"a":{"b":[5.0,null]}}"#]);
}

#[test]
fn no_bytes_make_it_panic() {
    let schema = schema();
    let options = [("fail.on.missing.attribute", "false"), ("enclosing.element", "$.a")];
    let attributes =
        [("name", "$.a[0].b"), ("count", "c"), ("total", "$"), ("price", "d"), ("ok", "e")];
    let mapped = mapping(&options, &attributes, &[]);
    let decoders: Vec<Box<dyn Decoder>> = vec![
        Box::new(JsonDecoder::strict(&schema)),
        crate::mappers::decoder(&mapped, &schema, &mut Vec::new()).unwrap(),
    ];
    let decoders = std::cell::RefCell::new(decoders);
    let pieces = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"name\"",
        "\"event\"",
        "\"a\"",
        "1",
        "-",
        "1.5e3",
        "true",
        "null",
        "\\",
        "\\u00",
        "\\ud800",
        "ä",
        "\n",
        " ",
        "\"count\":",
        "\"ok\":false",
    ]);
    let soup = prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat().into_bytes());
    let bytes = prop::collection::vec(any::<u8>(), 0..60);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    runner
        .run(&prop_oneof![soup, bytes], |message| {
            for decoder in decoders.borrow_mut().iter_mut() {
                let mut batch = Batch::new(&schema.types());
                let result = decoder.decode(&message, &Arrival::at(0), &mut batch);
                prop_assert_eq!(batch.len(), result.map_or(0, |decoded| decoded.rows));
                prop_assert!(batch.columns.iter().all(|column| column.len() == batch.len()));
            }
            Ok(())
        })
        .unwrap();
}
