//! `#str:tokenize`, `#list:tokenize`, `#map:tokenize`, `#json:tokenize`: a row for each part of a
//! value.

use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::expressions::by_row::Trouble;
use crate::engine::expressions::compile;
use crate::engine::functions::json_text::Path;
use crate::engine::functions::json_text::read;
use crate::engine::functions::json_text::write;
use crate::engine::functions::pattern::Pattern;
use crate::engine::functions::text_search::parts;
use crate::engine::library::Library;
use crate::engine::operator::Operator;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::stream_functions::StreamFunctionDefinition;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Slot;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use crate::plan::logical::FunctionCall;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;

const NOTHING: Returns = Returns::Type(DataType::Object);
const JSON: Parameter = Parameter::any("json", &[DataType::Text, DataType::Object]);
const PATH: Parameter = Parameter::constant("path", &[DataType::Text]);
const FAIL: Parameter = Parameter::constant("fail.on.missing", &[DataType::Bool]);
const OF_JSON: &[Overload] =
    &[Overload { parameters: &[JSON, PATH, FAIL.optional()], returns: NOTHING }];

/// `str:tokenize(…)`
pub const OF_TEXT: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: Signature {
        name: "str:tokenize",
        summary: "Adds `token`: a row for each part of a text between matches of a pattern.",
        traits: &[],
        overloads: &[Overload {
            parameters: &[
                Parameter::any("text", &[DataType::Text]),
                Parameter::constant("regex", &[DataType::Text]),
                Parameter::constant("distinct", &[DataType::Bool]).optional(),
            ],
            returns: NOTHING,
        }],
        example: "define stream Logins (user string, roles string);
from Logins#str:tokenize(roles, ',') select user, token as role insert into Roles;",
    },
    added: |_| &[("token", DataType::Text)],
    build: |call, library| {
        let mut pattern = Pattern::new(&call.arguments, 1, false)?;
        let regex = text(call, 1);
        let distinct = flag(call, 2, false);
        build(call, library, false, move |value| {
            let Value::Text(text) = value else { return Err("argument 1 is null".into()) };
            let mut tokens: Vec<Vec<Value>> = Vec::new();
            for part in parts(pattern.of(&regex)?, text) {
                let token = vec![Value::from(part)];
                if !distinct || !tokens.contains(&token) {
                    tokens.push(token);
                }
            }
            Ok(tokens)
        })
    },
};

/// `list:tokenize(…)`
pub const OF_LIST: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: Signature {
        name: "list:tokenize",
        summary: "Adds `index` and `value`: a row for each value of a list.",
        traits: &[],
        overloads: &[Overload {
            parameters: &[Parameter::any("list", &[DataType::Object])],
            returns: NOTHING,
        }],
        example: "define stream Events (tags object);
from Events#list:tokenize(tags) select index, value insert into Tags;",
    },
    added: |_| &[("index", DataType::Int), ("value", DataType::Object)],
    build: |call, library| {
        build(call, library, true, |value| match structure(value) {
            Some(Structure::List(values) | Structure::Set(values)) => {
                let rows = values.iter().enumerate();
                Ok(rows.map(|(at, value)| vec![Value::Int(at as i32), value.clone()]).collect())
            }
            _ => Err("expected a list".into()),
        })
    },
};

/// `map:tokenize(…)`
pub const OF_MAP: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: Signature {
        name: "map:tokenize",
        summary: "Adds `key` and `value`: a row for each key of a map.",
        traits: &[],
        overloads: &[Overload {
            parameters: &[Parameter::any("map", &[DataType::Object])],
            returns: NOTHING,
        }],
        example: "define stream Events (event object);
from Events#map:tokenize(event) select key, value insert into Pairs;",
    },
    added: |_| &[("key", DataType::Object), ("value", DataType::Object)],
    build: |call, library| {
        build(call, library, true, |value| match structure(value) {
            Some(Structure::Map(entries)) => {
                let rows = entries.iter();
                Ok(rows.map(|(key, value)| vec![Value::Text(key.clone()), value.clone()]).collect())
            }
            _ => Err("expected a map".into()),
        })
    },
};

/// `json:tokenize(…)`
pub const OF_JSON_TEXT: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: Signature {
        name: "json:tokenize",
        summary: "Adds `jsonElement`: a row for each element at a path of JSON, as text.",
        traits: &[],
        overloads: OF_JSON,
        example: "define stream Lines (line string);
from Lines#json:tokenize(line, '$.items') select jsonElement insert into Items;",
    },
    added: |_| &[("jsonElement", DataType::Text)],
    build: |call, library| {
        tokens_of_json(call, library, |value| match value {
            Value::Text(_) | Value::Null => value,
            other => {
                let mut text = Text::new();
                write(&other, &mut text);
                Value::Text(text)
            }
        })
    },
};

/// `json:tokenizeAsObject(…)`
pub const OF_JSON_OBJECT: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: Signature {
        name: "json:tokenizeAsObject",
        summary: "Adds `jsonElement`: a row for each element at a path of JSON, as an object.",
        traits: &[],
        overloads: OF_JSON,
        example: "define stream Lines (line string);
from Lines#json:tokenizeAsObject(line, '$.items') select jsonElement insert into Items;",
    },
    added: |_| &[("jsonElement", DataType::Object)],
    build: |call, library| tokens_of_json(call, library, |value| value),
};

fn structure(value: &Value) -> Option<&Structure> {
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

fn text(call: &FunctionCall, place: usize) -> Text {
    let constant = call.arguments.get(place).and_then(|argument| argument.as_constant());
    constant.and_then(Value::as_text).unwrap_or_default().into()
}

fn flag(call: &FunctionCall, place: usize, otherwise: bool) -> bool {
    let constant = call.arguments.get(place).and_then(|argument| argument.as_constant());
    constant.and_then(Value::as_bool).unwrap_or(otherwise)
}

fn tokens_of_json(
    call: &FunctionCall,
    library: &Library,
    shape: fn(Value) -> Value,
) -> Result<Box<dyn Operator>, ArgumentFault> {
    let path = Path::parse(&text(call, 1)).map_err(|message| ArgumentFault::at(1, message))?;
    let fails = flag(call, 2, true);
    build(call, library, true, move |value| {
        let root = match value {
            Value::Text(text) => read(text)?,
            other => other.clone(),
        };
        let elements = match path.find(&root) {
            Some(found) => match structure(&found) {
                Some(Structure::List(values)) => values.clone(),
                _ => vec![found],
            },
            // Where nothing is there is no row, or one with null.
            None if fails => Vec::new(),
            None => vec![Value::Null],
        };
        Ok(elements.into_iter().map(|element| vec![shape(element)]).collect())
    })
}

fn build(
    call: &FunctionCall,
    library: &Library,
    together: bool,
    split: impl FnMut(&Value) -> Result<Vec<Vec<Value>>, Trouble> + Send + 'static,
) -> Result<Box<dyn Operator>, ArgumentFault> {
    let value = compile(&call.arguments[0], &[call.types.len()], library)?;
    Ok(Box::new(Tokenize { name: call.name.clone(), value, together, split }))
}

struct Tokenize<F> {
    name: String,
    value: Box<dyn Kernel>,
    /// Whether the rows made of one row are one chunk.
    together: bool,
    split: F,
}

impl<F> Operator for Tokenize<F>
where
    F: FnMut(&Value) -> Result<Vec<Vec<Value>>, Trouble> + Send,
{
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        let frame = Frame::new(&input.columns, &input.timestamps);
        let values = self.value.evaluate(&frame, context);
        let width = input.columns.len();
        let mut chunk = output.len();
        for row in 0..input.len() {
            let tokens = match input.kind(row) {
                Kind::Reset => Ok(vec![Vec::new()]),
                _ => (self.split)(&values.value(row)),
            };
            let tokens = tokens.unwrap_or_else(|trouble| {
                context.fault(row, format!("`{}`: {trouble}", self.name));
                Vec::new()
            });
            for token in tokens {
                output.push_from(input, row, input.kind(row), input.timestamps[row]);
                for (place, column) in output.columns[width..].iter_mut().enumerate() {
                    column.push(token.get(place).unwrap_or(&Value::Null));
                }
                if !self.together && !input.chunk_continues(row) {
                    output.join_chunk(chunk);
                    chunk = output.len();
                }
            }
            if self.together && !input.chunk_continues(row) {
                output.join_chunk(chunk);
                chunk = output.len();
            }
        }
    }

    fn forget(&mut self, _: Slot) {}

    fn save(&self, _: &mut StateWriter) {}

    fn load(&mut self, _: &mut StateReader<'_>) -> Result<(), LoadError> {
        Ok(())
    }
}
