//! The functions `json:…`, on texts of JSON and on the objects made of them.

use crate::engine::expressions::Native;
use crate::engine::expressions::by_row::Arguments;
use crate::engine::expressions::by_row::Outcome;
use crate::engine::expressions::by_row::Trouble;
use crate::engine::expressions::number_text;
use crate::engine::expressions::number_text::value_text;
use crate::engine::functions::Built;
use crate::engine::functions::FunctionDefinition;
use crate::engine::functions::FunctionSetup;
use crate::engine::functions::json_text::Path;
use crate::engine::functions::json_text::put;
use crate::engine::functions::json_text::read;
use crate::engine::functions::json_text::write;
use crate::engine::functions::takes;
use crate::event::DataType;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use crate::plan::expression::Expr;
use crate::plan::signature::ANY;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Parameter;
use std::sync::Arc;

const JSON: Parameter = Parameter::any("json", &[DataType::Text, DataType::Object]);
const PATH: Parameter = Parameter::any("path", &[DataType::Text]);

/// A function that gives what stands at a path.
macro_rules! getter {
    ($name:literal, $summary:literal, $ty:ident, $path:literal, $get:expr) => {
        FunctionDefinition::new(
            concat!("json:", $name),
            $summary,
            &[takes(&[JSON, PATH], DataType::$ty)],
            |setup| getter(setup, $get),
            concat!(
                "define stream Lines (line string);\nfrom Lines select json:",
                $name,
                "(line, '",
                $path,
                "') as found insert into Found;",
            ),
        )
    };
}

/// All of them, in the order of the manual.
pub const ALL: &[FunctionDefinition] = &[
    getter!(
        "getString",
        "The text at a path, or the JSON of what stands there; null if there is nothing.",
        Text,
        "$.user.name",
        |value| Some(match value {
            Value::Text(text) => text.clone(),
            other => json_of(other),
        })
    ),
    getter!("getInt", "The int at a path; null if there is none.", Int, "$.user.age", |value| {
        plain(value)?.parse::<i32>().ok()
    }),
    getter!("getLong", "The long at a path; null if there is none.", Long, "$.size", |value| {
        plain(value)?.parse::<i64>().ok()
    }),
    getter!("getFloat", "The float at a path; null if there is none.", Float, "$.rate", |value| {
        number_text::parse_single(&plain(value)?)
    }),
    getter!(
        "getDouble",
        "The double at a path; null if there is none.",
        Double,
        "$.readings[0]",
        |value| number_text::parse_double(&plain(value)?)
    ),
    getter!(
        "getBool",
        "The truth value at a path; null if there is none.",
        Bool,
        "$.ok",
        |value| {
            match plain(value)?.to_ascii_lowercase().as_str() {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            }
        }
    ),
    getter!(
        "getObject",
        "What stands at a path, as an object; null if there is nothing.",
        Object,
        "$.user",
        |value| Some(value.clone())
    ),
    FunctionDefinition::new(
        "json:isExists",
        "Whether something stands at a path.",
        &[takes(&[JSON, PATH], DataType::Bool)],
        |setup| {
            let mut paths = Paths::new(setup.arguments, 1)?;
            setup.by_row(move |row| {
                let Some(root) = root(row)? else { return Ok(Some(false)) };
                let found = paths.of(row, 1)?.find(&root);
                let none = |value: &Value| {
                    matches!(value, Value::Object(object)
                    if matches!(&**object, Structure::List(values) if values.is_empty()))
                };
                Ok(Some(found.is_some_and(|value| !none(&value))))
            })
        },
        "define stream Lines (line string);
from Lines[json:isExists(line, '$.user')] select line insert into WithUser;",
    ),
    FunctionDefinition::new(
        "json:setElement",
        "The JSON with an element set: added to the list at a path, put under a key, or in place.",
        &[takes(
            &[
                JSON,
                PATH,
                Parameter::any("element", ANY),
                Parameter::any("key", &[DataType::Text]).optional(),
            ],
            DataType::Object,
        )],
        set_element,
        "define stream Lines (line string, score int);
from Lines select json:toString(json:setElement(line, '$', score, 'score')) as line
insert into Scored;",
    ),
    FunctionDefinition::new(
        "json:toObject",
        "The object that a text of JSON describes.",
        &[takes(&[Parameter::any("json", &[DataType::Text])], DataType::Object)],
        |setup| setup.by_row(root),
        "define stream Lines (line string);
from Lines select json:toObject(line) as event insert into Events;",
    ),
    FunctionDefinition::new(
        "json:toString",
        "An object as a text of JSON.",
        &[takes(&[Parameter::any("object", &[DataType::Object])], DataType::Text)],
        |setup| setup.by_row(|row| Ok(row.get::<Value>(0).map(json_of))),
        "define stream People (name string, age int);
from People select json:toString(map:create('name', name, 'age', age)) as line insert into Lines;",
    ),
];

/// Paths that are an argument: known when the plan is compiled, or named by each row.
struct Paths {
    known: Option<Path>,
    text: Option<Text>,
    fixed: bool,
}

impl Paths {
    fn new(arguments: &[Expr], place: usize) -> Result<Paths, ArgumentFault> {
        let constant = arguments.get(place).and_then(|argument| argument.as_constant());
        match constant.and_then(Value::as_text) {
            Some(text) => {
                let path = Path::parse(text);
                let known = path.map_err(|message| ArgumentFault::at(place, message))?;
                Ok(Paths { known: Some(known), text: None, fixed: true })
            }
            None => Ok(Paths { known: None, text: None, fixed: false }),
        }
    }

    fn of(&mut self, row: Arguments<'_>, place: usize) -> Result<&Path, Trouble> {
        if !self.fixed {
            let wanted = row.needed::<Text>(place)?;
            if self.text.as_ref() != Some(wanted) {
                self.known = Some(Path::parse(wanted)?);
                self.text = Some(wanted.clone());
            }
        }
        Ok(self.known.as_ref().expect("it was read above"))
    }
}

/// What the first argument describes.
fn root(row: Arguments<'_>) -> Outcome<Value> {
    match row.value(0) {
        Value::Null => Ok(None),
        Value::Text(text) => read(&text).map(|value| Some(value).filter(|value| !value.is_null())),
        other => Ok(Some(other)),
    }
}

fn json_of(value: &Value) -> Text {
    let mut out = Text::new();
    write(value, &mut out);
    out
}

/// The value as text, if it is a plain one, or a list of one plain one.
fn plain(value: &Value) -> Option<Text> {
    match value {
        Value::Null => None,
        Value::Object(object) => match &**object {
            Structure::List(values) if values.len() == 1 => match &values[0] {
                Value::Null | Value::Object(_) => None,
                plain => Some(value_text(plain)),
            },
            _ => None,
        },
        plain => Some(value_text(plain)),
    }
}

fn getter<R: Native>(setup: FunctionSetup<'_>, get: fn(&Value) -> Option<R>) -> Built {
    let mut paths = Paths::new(setup.arguments, 1)?;
    setup.by_row(move |row| {
        let Some(root) = root(row)? else { return Ok(None) };
        let found = paths.of(row, 1)?.find(&root).filter(|value| !value.is_null());
        Ok(found.and_then(|value| get(&value)))
    })
}

fn set_element(setup: FunctionSetup<'_>) -> Built {
    let mut paths = Paths::new(setup.arguments, 1)?;
    setup.by_row(move |row| {
        let Some(root) = root(row)? else { return Ok(None) };
        let element = match row.value(2) {
            // A text that is a JSON object or list is meant as such.
            Value::Text(text) if text.trim_start().starts_with(['{', '[']) => {
                read(&text).unwrap_or(Value::Text(text))
            }
            other => other,
        };
        let key = if row.count() > 3 { Some(row.needed::<Text>(3)?) } else { None };
        let change = |old: &Value| {
            let structure = match old {
                Value::Object(object) => Some(&**object),
                _ => None,
            };
            match (structure, key) {
                (Some(Structure::List(values)), _) => {
                    let mut values = values.clone();
                    values.push(element.clone());
                    Some(Value::Object(Arc::new(Structure::List(values))))
                }
                (Some(Structure::Map(entries)), Some(key)) => {
                    let mut entries = entries.clone();
                    put(&mut entries, key.clone(), element.clone());
                    Some(Value::Object(Arc::new(Structure::Map(entries))))
                }
                (_, Some(_)) => None,
                (_, None) => Some(element.clone()),
            }
        };
        let changed = paths.of(row, 1)?.change(&root, &change);
        // A path to nothing changes nothing.
        Ok(Some(changed.unwrap_or(root)))
    })
}
