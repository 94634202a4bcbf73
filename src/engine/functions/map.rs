//! The functions `map:…`. A map is a value: what changes one gives another. Its keys are texts and
//! stand in the order in which they first came.

use crate::engine::expressions::by_row::Arguments;
use crate::engine::expressions::by_row::Outcome;
use crate::engine::expressions::by_row::Trouble;
use crate::engine::expressions::number_text::value_text;
use crate::engine::functions::Built;
use crate::engine::functions::FunctionDefinition;
use crate::engine::functions::FunctionSetup;
use crate::engine::functions::json_text::put;
use crate::engine::functions::json_text::read;
use crate::engine::functions::json_text::write;
use crate::engine::functions::takes;
use crate::event::DataType;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use crate::plan::signature::ANY;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Parameter;
use std::sync::Arc;

const MAP: Parameter = Parameter::any("map", &[DataType::Object]);
const KEY: Parameter = Parameter::any("key", ANY);
const VALUE: Parameter = Parameter::any("value", ANY);

type Entries = Vec<(Text, Value)>;

/// All of them, in the order of the manual.
pub const ALL: &[FunctionDefinition] = &[
    FunctionDefinition::new(
        "map:create",
        "A map of keys, each with its value behind it.",
        &[takes(&[Parameter::any("pairs", ANY).many()], DataType::Object)],
        create,
        "define stream People (name string, age int);
from People select map:create('name', name, 'age', age) as person insert into Maps;",
    ),
    FunctionDefinition::new(
        "map:createFromJSON",
        "The map that a text of JSON describes.",
        &[takes(&[Parameter::any("json", &[DataType::Text])], DataType::Object)],
        |setup| {
            setup.by_row(|row| {
                let made = read(row.needed::<Text>(0)?)?;
                entries(&made).map(|_| Some(made.clone()))
            })
        },
        "define stream Lines (line string);
from Lines select map:createFromJSON(line) as event insert into Events;",
    ),
    FunctionDefinition::new(
        "map:get",
        "The value of a key; null, or a default, if there is none.",
        &[takes(&[MAP, KEY, Parameter::any("otherwise", ANY).optional()], DataType::Object)],
        |setup| {
            setup.by_row(|row| {
                let (map, key) = (row.needed::<Value>(0)?, key(row, 1)?);
                let found = entries(map)?.iter().find(|(known, _)| *known == key);
                let otherwise = || if row.count() > 2 { row.value(2) } else { Value::Null };
                let value = found.map_or_else(otherwise, |(_, value)| value.clone());
                Ok(Some(value).filter(|value| !value.is_null()))
            })
        },
        "define stream Lines (line string);
from Lines select cast(map:get(map:createFromJSON(line), 'user'), 'string') as user
insert into Users;",
    ),
    FunctionDefinition::new(
        "map:put",
        "The map with a value set for a key.",
        &[takes(&[MAP, KEY, VALUE], DataType::Object)],
        |setup| {
            changing(setup, |map, row| {
                put(map, key(row, 1)?, row.value(2));
                Ok(())
            })
        },
        "define stream Events (event object, score int);
from Events select map:put(event, 'score', score) as event insert into Scored;",
    ),
    FunctionDefinition::new(
        "map:putIfAbsent",
        "The map with a value set for a key that it does not have.",
        &[takes(&[MAP, KEY, VALUE], DataType::Object)],
        |setup| {
            changing(setup, |map, row| {
                let key = key(row, 1)?;
                if !map.iter().any(|(known, value)| *known == key && !value.is_null()) {
                    put(map, key, row.value(2));
                }
                Ok(())
            })
        },
        "define stream Events (event object);
from Events select map:putIfAbsent(event, 'score', 0) as event insert into Scored;",
    ),
    FunctionDefinition::new(
        "map:putAll",
        "The map with all entries of another set.",
        &[takes(&[MAP, Parameter::any("other", &[DataType::Object])], DataType::Object)],
        |setup| {
            changing(setup, |map, row| {
                for (key, value) in entries(row.needed(1)?)? {
                    put(map, key.clone(), value.clone());
                }
                Ok(())
            })
        },
        "define stream Events (event object, more object);
from Events select map:putAll(event, more) as event insert into Merged;",
    ),
    FunctionDefinition::new(
        "map:combineByKey",
        "A map of the keys of all maps, each with the list of its values in them.",
        &[takes(&[MAP, Parameter::any("others", &[DataType::Object]).many()], DataType::Object)],
        |setup| {
            setup.by_row(|row| {
                let mut made: Vec<(Text, Vec<Value>)> = Vec::new();
                for place in 0..row.count() {
                    for (key, value) in entries(row.needed(place)?)? {
                        match made.iter_mut().find(|(known, _)| known == key) {
                            Some((_, values)) => values.push(value.clone()),
                            None => made.push((key.clone(), vec![value.clone()])),
                        }
                    }
                }
                let made = made.into_iter().map(|(key, values)| (key, list(values))).collect();
                Ok(Some(Value::Object(Arc::new(Structure::Map(made)))))
            })
        },
        "define stream Events (event object, more object);
from Events select map:combineByKey(event, more) as both insert into Combined;",
    ),
    FunctionDefinition::new(
        "map:replace",
        "The map with a value set for a key that it has.",
        &[takes(&[MAP, KEY, VALUE], DataType::Object)],
        |setup| {
            changing(setup, |map, row| {
                let key = key(row, 1)?;
                if map.iter().any(|(known, _)| *known == key) {
                    put(map, key, row.value(2));
                }
                Ok(())
            })
        },
        "define stream Events (event object);
from Events select map:replace(event, 'password', '***') as event insert into Masked;",
    ),
    FunctionDefinition::new(
        "map:replaceAll",
        "The map with the entries of another set whose keys it has.",
        &[takes(&[MAP, Parameter::any("other", &[DataType::Object])], DataType::Object)],
        |setup| {
            changing(setup, |map, row| {
                let other = entries(row.needed(1)?)?;
                for (key, value) in map.iter_mut() {
                    if let Some((_, new)) = other.iter().find(|(known, _)| known == key) {
                        *value = new.clone();
                    }
                }
                Ok(())
            })
        },
        "define stream Events (event object, more object);
from Events select map:replaceAll(event, more) as event insert into Updated;",
    ),
    FunctionDefinition::new(
        "map:remove",
        "The map without a key.",
        &[takes(&[MAP, KEY], DataType::Object)],
        |setup| {
            changing(setup, |map, row| {
                let key = key(row, 1)?;
                map.retain(|(known, _)| *known != key);
                Ok(())
            })
        },
        "define stream Events (event object);
from Events select map:remove(event, 'password') as event insert into Safe;",
    ),
    FunctionDefinition::new(
        "map:clear",
        "A map of the same kind without entries.",
        &[takes(&[MAP], DataType::Object)],
        |setup| {
            changing(setup, |map, _| {
                map.clear();
                Ok(())
            })
        },
        "define stream Events (event object);
from Events select map:clear(event) as event insert into Empty;",
    ),
    FunctionDefinition::new(
        "map:clone",
        "The map itself: nothing ever changes a map in place.",
        &[takes(&[MAP], DataType::Object)],
        |setup| changing(setup, |_, _| Ok(())),
        "define stream Events (event object);
from Events select map:clone(event) as event insert into Copies;",
    ),
    FunctionDefinition::new(
        "map:containsKey",
        "Whether the map has a key.",
        &[takes(&[MAP, KEY], DataType::Bool)],
        |setup| {
            setup.by_row(|row| {
                let (map, key) = (entries(row.needed(0)?)?, key(row, 1)?);
                Ok(Some(map.iter().any(|(known, _)| *known == key)))
            })
        },
        "define stream Events (event object);
from Events[map:containsKey(event, 'user')] select event insert into WithUser;",
    ),
    FunctionDefinition::new(
        "map:containsValue",
        "Whether a key of the map has a value.",
        &[takes(&[MAP, VALUE], DataType::Bool)],
        |setup| {
            setup.by_row(|row| {
                let (map, wanted) = (entries(row.needed(0)?)?, row.value(1));
                Ok(Some(map.iter().any(|(_, value)| *value == wanted)))
            })
        },
        "define stream Events (event object);
from Events[map:containsValue(event, 'root')] select event insert into Roots;",
    ),
    FunctionDefinition::new(
        "map:isEmpty",
        "Whether the map has no keys.",
        &[takes(&[MAP], DataType::Bool)],
        |setup| setup.by_row(|row| Ok(Some(entries(row.needed(0)?)?.is_empty()))),
        "define stream Events (event object);
from Events[not(map:isEmpty(event))] select event insert into Full;",
    ),
    FunctionDefinition::new(
        "map:isMap",
        "Whether the value is a map.",
        &[takes(&[VALUE], DataType::Bool)],
        |setup| setup.by_row(|row| Ok(Some(entries(&row.value(0)).is_ok()))),
        "define stream Events (event object);
from Events[map:isMap(event)] select event insert into Maps;",
    ),
    FunctionDefinition::new(
        "map:size",
        "How many keys the map has.",
        &[takes(&[MAP], DataType::Int)],
        |setup| setup.by_row(|row| Ok(Some(entries(row.needed(0)?)?.len() as i32))),
        "define stream Events (event object);
from Events select map:size(event) as keys insert into Sizes;",
    ),
    FunctionDefinition::new(
        "map:keys",
        "The keys of the map, as a list.",
        &[takes(&[MAP], DataType::Object)],
        |setup| {
            setup.by_row(|row| {
                let keys = entries(row.needed(0)?)?.iter().map(|(key, _)| Value::Text(key.clone()));
                Ok(Some(list(keys.collect())))
            })
        },
        "define stream Events (event object);
from Events select map:keys(event) as keys insert into Keys;",
    ),
    FunctionDefinition::new(
        "map:values",
        "The values of the map, as a list.",
        &[takes(&[MAP], DataType::Object)],
        |setup| {
            setup.by_row(|row| {
                let values = entries(row.needed(0)?)?.iter().map(|(_, value)| value.clone());
                Ok(Some(list(values.collect())))
            })
        },
        "define stream Events (event object);
from Events select map:values(event) as values insert into Values;",
    ),
    FunctionDefinition::new(
        "map:toJSON",
        "The map as a text of JSON.",
        &[takes(&[MAP], DataType::Text)],
        |setup| {
            setup.by_row(|row| {
                let map = row.needed::<Value>(0)?;
                entries(map)?;
                let mut out = Text::new();
                write(map, &mut out);
                Ok(Some(out))
            })
        },
        "define stream Events (event object);
from Events select map:toJSON(event) as line insert into Lines;",
    ),
];

fn list(values: Vec<Value>) -> Value {
    Value::Object(Arc::new(Structure::List(values)))
}

/// The entries of a map.
///
/// # Errors
/// If it is none.
pub(super) fn entries(value: &Value) -> Result<&Entries, Trouble> {
    match value {
        Value::Object(object) => match &**object {
            Structure::Map(entries) => Ok(entries),
            _ => Err("expected a map, found another object".into()),
        },
        other => Err(match other.data_type() {
            Some(ty) => format!("expected a map, found a `{ty}`").into(),
            None => "expected a map, found null".into(),
        }),
    }
}

/// The key at a place, as text.
fn key(row: Arguments<'_>, place: usize) -> Result<Text, Trouble> {
    match row.value(place) {
        Value::Null => Err("a key of a map cannot be null".into()),
        key => Ok(value_text(&key)),
    }
}

fn create(setup: FunctionSetup<'_>) -> Built {
    if !setup.operands.len().is_multiple_of(2) {
        return Err(ArgumentFault {
            argument: None,
            message: "expected a value behind each key".to_owned(),
            not_supported: false,
        });
    }
    setup.by_row(|row| -> Outcome<Value> {
        let mut made = Entries::with_capacity(row.count() / 2);
        for place in (0..row.count()).step_by(2) {
            put(&mut made, key(row, place)?, row.value(place + 1));
        }
        Ok(Some(Value::Object(Arc::new(Structure::Map(made)))))
    })
}

fn changing(
    setup: FunctionSetup<'_>,
    change: impl Fn(&mut Entries, Arguments<'_>) -> Result<(), Trouble> + Send + 'static,
) -> Built {
    setup.by_row(move |row| {
        let mut map = entries(row.needed(0)?)?.clone();
        change(&mut map, row)?;
        Ok(Some(Value::Object(Arc::new(Structure::Map(map)))))
    })
}
