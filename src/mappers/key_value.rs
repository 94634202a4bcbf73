//! `keyvalue`: events as `name:value` pairs on one line.

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
use crate::mappers::options::OptionDefinition;
use crate::mappers::options::Options;
use crate::mappers::options::option;
use crate::mappers::pairs;
use crate::mappers::pairs::PairDecoder;
use crate::mappers::template::no_attribute;
use crate::plan::logical::Mapping;
use std::ops::Range;

const COMMA: OptionDefinition =
    option("delimiter", Form::Text, ",", "What stands between two pairs.");
const COLON: OptionDefinition =
    option("key.delimiter", Form::Text, ":", "What stands between a name and its value.");

/// Events as pairs.
pub const DEFINITION: MapperDefinition = MapperDefinition {
    name: "keyvalue",
    input: &Definition {
        name: "keyvalue",
        help: "Reads `name:value,name:value`; texts may stand in quotes, and \
               `@attributes(ip='src')` gives an attribute another name in the message.",
        options: &[
            COMMA,
            COLON,
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
        example: "@source(type='inMemory', topic='logins', @map(type='keyvalue'))\n\
                  define stream Logins (user string, ip string);",
    },
    output: &Definition {
        name: "keyvalue",
        help: "Writes `name:value,name:value`, or what `@payload(src='ip', text='from {{ip}}')` \
               says: an attribute's value or a text with attributes in it.",
        options: &[COMMA, COLON],
        not_yet: &[],
        example: "@sink(type='log', @map(type='keyvalue', @payload(who='user')))\n\
                  define stream Alerts (user string);",
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
    let (colon, comma) = separators(options, faults);
    let mut decoder = PairDecoder::new(schema, &colon, &comma);
    decoder.fail_on_missing = options.flag("fail.on.missing.attribute");
    decoder.fail_on_unknown = options.flag("fail.on.unknown.attribute");
    for (attribute, option) in attributes(mapping, schema, faults).unwrap_or_default() {
        decoder.names[attribute] = option.value.clone();
    }
    (faults.len() == before).then(|| Box::new(decoder) as Box<dyn Decoder>)
}

/// What stands in a pair and between pairs; neither may be empty, hold the other or a quote.
fn separators(options: &Options, faults: &mut Vec<Diagnostic>) -> (String, String) {
    let text = |key| options.text(key).unwrap_or_default().replace("\\t", "\t");
    let (colon, comma) = (text("key.delimiter"), text("delimiter"));
    for (key, separator) in [("key.delimiter", &colon), ("delimiter", &comma)] {
        if separator.is_empty() || separator.contains(['"', '\'', '\\', '\n']) {
            let text = format!("option `{key}`: expected characters other than quotes");
            faults.push(Diagnostic::error(codes::OPTION_VALUE, options.place(key), text));
        }
    }
    if colon.contains(comma.as_str()) || comma.contains(colon.as_str()) {
        let text = "options `delimiter` and `key.delimiter` must differ";
        let place = options.place("delimiter");
        faults.push(Diagnostic::error(codes::OPTION_VALUE, place, text));
    }
    (colon, comma)
}

/// The value of a pair.
enum Value {
    Attribute(usize),
    Text(Template),
}

struct PairEncoder {
    pairs: Vec<(String, Value)>,
}

fn encoder(
    mapping: &Mapping,
    options: &Options,
    schema: &Schema,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Encoder>> {
    let before = faults.len();
    let (colon, comma) = separators(options, faults);
    let mut pairs: Vec<(String, Value)> = Vec::new();
    for option in &mapping.payload {
        let value = match option.key.is_empty() {
            true => Err("`@payload` of mapper `keyvalue` needs names, as in `who='user'`".into()),
            false if option.value.contains("{{") => {
                Template::parse(&option.value, schema).map(Value::Text)
            }
            false => schema
                .position(&option.value)
                .map(Value::Attribute)
                .ok_or_else(|| no_attribute(&option.value, schema)),
        };
        match value {
            Ok(value) => pairs.push((option.key.clone(), value)),
            Err(text) => faults.push(Diagnostic::error(codes::MAPPING, option.span, text)),
        }
    }
    if mapping.payload.is_empty() {
        let named = schema.names().map(str::to_owned).enumerate();
        pairs = named.map(|(at, name)| (name, Value::Attribute(at))).collect();
    }
    for (index, (head, _)) in pairs.iter_mut().enumerate() {
        *head = format!("{}{head}{colon}", if index > 0 { comma.as_str() } else { "" });
    }
    (faults.len() == before).then(|| Box::new(PairEncoder { pairs }) as Box<dyn Encoder>)
}

impl Encoder for PairEncoder {
    fn encode(&mut self, batch: &Batch, rows: Range<usize>, into: &mut Messages) {
        for row in rows {
            for (head, value) in &self.pairs {
                into.buffer().extend_from_slice(head.as_bytes());
                match value {
                    Value::Attribute(at) => {
                        pairs::write_value(&batch.columns[*at], row, into.buffer());
                    }
                    Value::Text(template) => {
                        pairs::write_quoted(template.text(batch, row).as_bytes(), into.buffer());
                    }
                }
            }
            into.end(row..row + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::event::DataType;
    use crate::mappers::harness::Bench;
    use crate::mappers::message::Fault;

    fn bench() -> Bench {
        Bench::new("keyvalue", &[("ip", DataType::Text), ("n", DataType::Long)])
    }

    #[test]
    fn pairs_are_read_bare_and_quoted() {
        let mut bench = bench();
        assert_eq!(bench.take("ip:10.0.0.1,n:4"), ["10.0.0.1 4"]);
        assert_eq!(bench.take(r#" n : 4 , ip : "a,b:\"c\"" "#), ["a,b:\"c\" 4"]);
        assert_eq!(bench.take("ip:'it\\'s',n:null,more:1"), ["it's null"]);
        assert_eq!(bench.take("ip:\"null\"\nn:1"), ["null 1"]);
        for (text, fault, attribute) in [
            ("", Fault::Empty, None),
            ("ip", Fault::Syntax, None),
            ("ip:a,ip:b,n:1", Fault::Duplicate, Some("ip")),
            ("ip:a", Fault::Missing, Some("n")),
            ("ip:a,n:x", Fault::Type, Some("n")),
            ("ip:a,n:99999999999999999999", Fault::Range, Some("n")),
            ("ip:\"a,n:1", Fault::Syntax, None),
            ("ip:\"a\"b,n:1", Fault::Syntax, None),
        ] {
            let error = bench.refuse(text);
            assert_eq!(error.fault, fault, "{text}: {error}");
            assert_eq!(error.attribute.as_deref(), attribute, "{text}: {error}");
        }
    }

    #[test]
    fn names_and_separators_may_be_other() {
        let mut bench = bench()
            .option("delimiter", " ")
            .option("key.delimiter", "=")
            .attribute("ip", "src")
            .attribute("n", "count");
        assert_eq!(bench.take("src=10.0.0.1 count=4 dst=10.0.0.2"), ["10.0.0.1 4"]);
        let bench = self::bench().payload("who", "ip").payload("text", "{{n}} of {{ip}}");
        let row = bench.write(&[["a\"b".into(), crate::event::Value::Long(3)]]);
        assert_eq!(row, [r#"who:"a\"b",text:"3 of a\"b""#]);
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (bench, words) in [
            (bench().option("delimiter", ":"), "must differ"),
            (bench().option("delimiter", ""), "other than quotes"),
            (bench().attribute("pi", "x"), "it has `ip`, `n`"),
        ] {
            assert!(bench.faults(true)[0].contains(words), "{words}: {:?}", bench.faults(true));
        }
        for (bench, words) in [
            (bench().payload("who", "pi"), "it has `ip`, `n`"),
            (bench().payload("", "ip"), "needs names"),
        ] {
            assert!(bench.faults(false)[0].contains(words), "{words}");
        }
    }
}
