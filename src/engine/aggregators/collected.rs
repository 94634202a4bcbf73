//! Lists and maps of what is present in a group.

use crate::engine::aggregators::AggregatorDefinition;
use crate::engine::aggregators::AggregatorSetup;
use crate::engine::aggregators::gathered::Gather;
use crate::engine::aggregators::gathered::Gathered;
use crate::engine::functions::takes;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use crate::plan::signature::ANY;
use crate::plan::signature::Parameter;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;
use std::sync::Arc;

const DISTINCT: Parameter = Parameter::constant("distinct", &[DataType::Bool]).optional();

/// `list:collect(value)`
pub const LIST: AggregatorDefinition = AggregatorDefinition {
    signature: Signature {
        name: "list:collect",
        summary: "A list of the values that are present, in order of their coming; each only once \
                  if asked for. Nulls are passed over.",
        traits: &[Trait::Remembers],
        overloads: &[takes(&[Parameter::any("value", ANY), DISTINCT], DataType::Object)],
        example: "define stream Visits (user string, page string);
from Visits#window.timeBatch(1 min)
select user, list:collect(page) as pages group by user insert into Ways;",
    },
    build: |setup| Ok(Gathered::boxed(Lists { merged: false, distinct: is_distinct(setup) })),
};

/// `list:merge(list)`
pub const LISTS: AggregatorDefinition = AggregatorDefinition {
    signature: Signature {
        name: "list:merge",
        summary: "A list of all that is in the lists that are present; each value only once if \
                  asked for. What is no list has nothing in it.",
        traits: &[Trait::Remembers],
        overloads: &[takes(
            &[Parameter::any("list", &[DataType::Object]), DISTINCT],
            DataType::Object,
        )],
        example: "define stream Events (tags object);
from Events#window.lengthBatch(10) select list:merge(tags) as tags insert into Tags;",
    },
    build: |setup| Ok(Gathered::boxed(Lists { merged: true, distinct: is_distinct(setup) })),
};

/// `map:collect(key, value)`
pub const MAP: AggregatorDefinition = AggregatorDefinition {
    signature: Signature {
        name: "map:collect",
        summary: "A map of the keys that are present, each with its newest value. Rows without a \
                  key are passed over.",
        traits: &[Trait::Remembers],
        overloads: &[takes(
            &[Parameter::any("key", ANY), Parameter::any("value", ANY)],
            DataType::Object,
        )],
        example: "define stream Prices (symbol string, price double);
from Prices#window.timeBatch(1 min) select map:collect(symbol, price) as prices
insert into Boards;",
    },
    build: |_| Ok(Gathered::boxed(Maps { merged: false })),
};

/// `map:merge(map)`
pub const MAPS: AggregatorDefinition = AggregatorDefinition {
    signature: Signature {
        name: "map:merge",
        summary: "A map of all that is in the maps that are present; the newest value of a key \
                  counts. What is no map has nothing in it.",
        traits: &[Trait::Remembers],
        overloads: &[takes(&[Parameter::any("map", &[DataType::Object])], DataType::Object)],
        example: "define stream Events (fields object);
from Events#window.lengthBatch(10) select map:merge(fields) as fields insert into Fields;",
    },
    build: |_| Ok(Gathered::boxed(Maps { merged: true })),
};

fn is_distinct(setup: &AggregatorSetup<'_>) -> bool {
    let distinct = setup.arguments.get(1).and_then(|each| each.as_constant());
    distinct.and_then(Value::as_bool).unwrap_or(false)
}

struct Lists {
    /// Whether values are lists, of whose elements the result is.
    merged: bool,
    distinct: bool,
}

impl Gather for Lists {
    fn result(&self, present: &[Value]) -> Value {
        let mut list: Vec<Value> = Vec::with_capacity(present.len());
        let mut put = |value: &Value| {
            if !self.distinct || !list.contains(value) {
                list.push(value.clone());
            }
        };
        for value in present {
            match value {
                Value::Object(object) if self.merged => match &**object {
                    Structure::List(values) | Structure::Set(values) => {
                        values.iter().for_each(&mut put);
                    }
                    Structure::Map(_) | Structure::Error(_) => {}
                },
                value => put(value),
            }
        }
        Value::Object(Arc::new(Structure::List(list)))
    }
}

struct Maps {
    /// Whether values are maps that come whole.
    merged: bool,
}

impl Gather for Maps {
    fn take(&self, arguments: &[&Column], row: usize) -> Value {
        let first = arguments[0].value(row);
        if self.merged || first.is_null() {
            return first;
        }
        let mut key = String::new();
        first.write_text(&mut key);
        let entry = vec![(Text::from(key.as_str()), arguments[1].value(row))];
        Value::Object(Arc::new(Structure::Map(entry)))
    }

    fn result(&self, present: &[Value]) -> Value {
        let mut map: Vec<(Text, Value)> = Vec::new();
        for value in present {
            let Value::Object(object) = value else { continue };
            let Structure::Map(entries) = &**object else { continue };
            for (key, value) in entries {
                match map.iter_mut().find(|(known, _)| known == key) {
                    Some((_, old)) => *old = value.clone(),
                    None => map.push((key.clone(), value.clone())),
                }
            }
        }
        Value::Object(Arc::new(Structure::Map(map)))
    }
}
