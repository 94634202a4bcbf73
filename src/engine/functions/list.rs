//! The functions `list:…`. A list is a value: what changes one gives another.

use crate::engine::expressions::by_row::Arguments;
use crate::engine::expressions::by_row::Trouble;
use crate::engine::functions::Built;
use crate::engine::functions::FunctionDefinition;
use crate::engine::functions::FunctionSetup;
use crate::engine::functions::takes;
use crate::event::DataType;
use crate::event::Structure;
use crate::event::Value;
use crate::plan::signature::ANY;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Parameter;
use std::sync::Arc;

const LIST: Parameter = Parameter::any("list", &[DataType::Object]);
const OTHER: Parameter = Parameter::any("other", &[DataType::Object]);
const VALUE: Parameter = Parameter::any("value", ANY);
const INDEX: Parameter = Parameter::any("index", &[DataType::Int]);

/// All of them, in the order of the manual.
pub const ALL: &[FunctionDefinition] = &[
    FunctionDefinition::new(
        "list:create",
        "A list of the values.",
        &[takes(&[Parameter::any("values", ANY).many()], DataType::Object)],
        |setup| setup.by_row(|row| Ok(Some(list((0..row.count()).map(|at| row.value(at)))))),
        "define stream Trades (symbol string, price double);
from Trades select list:create(symbol, price) as pair insert into Pairs;",
    ),
    FunctionDefinition::new(
        "list:get",
        "The value at an index; null beyond the end.",
        &[takes(&[LIST, INDEX], DataType::Object)],
        |setup| {
            setup.by_row(|row| {
                let at = usize::try_from(*row.needed::<i32>(1)?).unwrap_or(usize::MAX);
                let value = values(row, 0)?.get(at).cloned();
                Ok(value.filter(|value| !value.is_null()))
            })
        },
        "define stream Events (tags object);
from Events select cast(list:get(tags, 0), 'string') as first insert into Firsts;",
    ),
    FunctionDefinition::new(
        "list:add",
        "The list with a value added at its end, or before the value at an index.",
        &[takes(&[LIST, VALUE, INDEX.optional()], DataType::Object)],
        |setup| {
            changing(setup, |list, row| {
                let at = if row.count() > 2 { index(row, 2, list.len() + 1)? } else { list.len() };
                list.insert(at, row.value(1));
                Ok(())
            })
        },
        "define stream Events (tags object);
from Events select list:add(tags, 'seen') as tags insert into Seen;",
    ),
    FunctionDefinition::new(
        "list:addAll",
        "The list with all values of another one added; only those that it lacks, if `distinct`.",
        &[takes(
            &[LIST, OTHER, Parameter::any("distinct", &[DataType::Bool]).optional()],
            DataType::Object,
        )],
        |setup| {
            changing(setup, |list, row| {
                let distinct = row.count() > 2 && *row.needed::<bool>(2)?;
                for value in values(row, 1)? {
                    if !distinct || !list.contains(value) {
                        list.push(value.clone());
                    }
                }
                Ok(())
            })
        },
        "define stream Events (tags object, more object);
from Events select list:addAll(tags, more) as tags insert into Merged;",
    ),
    FunctionDefinition::new(
        "list:setValue",
        "The list with the value at an index replaced.",
        &[takes(&[LIST, INDEX, VALUE], DataType::Object)],
        |setup| {
            changing(setup, |list, row| {
                let at = index(row, 1, list.len())?;
                list[at] = row.value(2);
                Ok(())
            })
        },
        "define stream Events (tags object);
from Events select list:setValue(tags, 0, 'first') as tags insert into Changed;",
    ),
    FunctionDefinition::new(
        "list:remove",
        "The list without the first value that is equal.",
        &[takes(&[LIST, VALUE], DataType::Object)],
        |setup| {
            changing(setup, |list, row| {
                let value = row.value(1);
                if let Some(at) = list.iter().position(|known| *known == value) {
                    list.remove(at);
                }
                Ok(())
            })
        },
        "define stream Events (tags object);
from Events select list:remove(tags, 'seen') as tags insert into Unseen;",
    ),
    FunctionDefinition::new(
        "list:removeByIndex",
        "The list without the value at an index.",
        &[takes(&[LIST, INDEX], DataType::Object)],
        |setup| {
            changing(setup, |list, row| {
                let at = index(row, 1, list.len())?;
                list.remove(at);
                Ok(())
            })
        },
        "define stream Events (tags object);
from Events select list:removeByIndex(tags, 0) as tags insert into Shorter;",
    ),
    FunctionDefinition::new(
        "list:removeAll",
        "The list without the values of another one.",
        &[takes(&[LIST, OTHER], DataType::Object)],
        |setup| {
            changing(setup, |list, row| {
                let other = values(row, 1)?;
                list.retain(|value| !other.contains(value));
                Ok(())
            })
        },
        "define stream Events (tags object, secret object);
from Events select list:removeAll(tags, secret) as tags insert into Public;",
    ),
    FunctionDefinition::new(
        "list:retainAll",
        "The values of the list that another one holds too.",
        &[takes(&[LIST, OTHER], DataType::Object)],
        |setup| {
            changing(setup, |list, row| {
                let other = values(row, 1)?;
                list.retain(|value| other.contains(value));
                Ok(())
            })
        },
        "define stream Events (tags object, known object);
from Events select list:retainAll(tags, known) as tags insert into Known;",
    ),
    FunctionDefinition::new(
        "list:clear",
        "A list without values.",
        &[takes(&[LIST], DataType::Object)],
        |setup| {
            changing(setup, |list, _| {
                list.clear();
                Ok(())
            })
        },
        "define stream Events (tags object);
from Events select list:clear(tags) as tags insert into Empty;",
    ),
    FunctionDefinition::new(
        "list:clone",
        "The list itself: nothing ever changes a list in place.",
        &[takes(&[LIST], DataType::Object)],
        |setup| changing(setup, |_, _| Ok(())),
        "define stream Events (tags object);
from Events select list:clone(tags) as tags insert into Copies;",
    ),
    FunctionDefinition::new(
        "list:sort",
        "The values from the least to the greatest, or the other way round with 'DESC'.",
        &[takes(
            &[LIST, Parameter::constant("order", &[DataType::Text]).optional()],
            DataType::Object,
        )],
        sort,
        "define stream Events (sizes object);
from Events select list:sort(sizes, 'DESC') as sizes insert into Sorted;",
    ),
    FunctionDefinition::new(
        "list:size",
        "How many values the list has.",
        &[takes(&[LIST], DataType::Int)],
        |setup| setup.by_row(|row| Ok(Some(values(row, 0)?.len() as i32))),
        "define stream Events (tags object);
from Events select list:size(tags) as count insert into Counts;",
    ),
    FunctionDefinition::new(
        "list:isEmpty",
        "Whether the list has no values.",
        &[takes(&[LIST], DataType::Bool)],
        |setup| setup.by_row(|row| Ok(Some(values(row, 0)?.is_empty()))),
        "define stream Events (tags object);
from Events[not(list:isEmpty(tags))] select tags insert into Tagged;",
    ),
    FunctionDefinition::new(
        "list:isList",
        "Whether the value is a list.",
        &[takes(&[VALUE], DataType::Bool)],
        |setup| {
            setup.by_row(|row| {
                let value = row.value(0);
                let is = matches!(&value, Value::Object(object)
                    if matches!(**object, Structure::List(_)));
                Ok(Some(is))
            })
        },
        "define stream Events (tags object);
from Events[list:isList(tags)] select tags insert into Lists;",
    ),
    FunctionDefinition::new(
        "list:contains",
        "Whether the list holds a value.",
        &[takes(&[LIST, VALUE], DataType::Bool)],
        |setup| setup.by_row(|row| Ok(Some(values(row, 0)?.contains(&row.value(1))))),
        "define stream Events (tags object);
from Events[list:contains(tags, 'urgent')] select tags insert into Urgent;",
    ),
    FunctionDefinition::new(
        "list:containsAll",
        "Whether the list holds all values of another one.",
        &[takes(&[LIST, OTHER], DataType::Bool)],
        |setup| {
            setup.by_row(|row| {
                let (list, other) = (values(row, 0)?, values(row, 1)?);
                Ok(Some(other.iter().all(|value| list.contains(value))))
            })
        },
        "define stream Events (tags object, wanted object);
from Events[list:containsAll(tags, wanted)] select tags insert into Matching;",
    ),
    FunctionDefinition::new(
        "list:containsAny",
        "Whether the list holds a value of another one.",
        &[takes(&[LIST, OTHER], DataType::Bool)],
        |setup| {
            setup.by_row(|row| {
                let (list, other) = (values(row, 0)?, values(row, 1)?);
                Ok(Some(other.iter().any(|value| list.contains(value))))
            })
        },
        "define stream Events (tags object, wanted object);
from Events[list:containsAny(tags, wanted)] select tags insert into Matching;",
    ),
    FunctionDefinition::new(
        "list:indexOf",
        "The index of the first value that is equal; -1 if there is none.",
        &[takes(&[LIST, VALUE], DataType::Int)],
        |setup| {
            setup.by_row(|row| {
                let value = row.value(1);
                let at = values(row, 0)?.iter().position(|known| *known == value);
                Ok(Some(at.map_or(-1, |at| at as i32)))
            })
        },
        "define stream Events (tags object);
from Events select list:indexOf(tags, 'seen') as place insert into Places;",
    ),
    FunctionDefinition::new(
        "list:lastIndexOf",
        "The index of the last value that is equal; -1 if there is none.",
        &[takes(&[LIST, VALUE], DataType::Int)],
        |setup| {
            setup.by_row(|row| {
                let value = row.value(1);
                let at = values(row, 0)?.iter().rposition(|known| *known == value);
                Ok(Some(at.map_or(-1, |at| at as i32)))
            })
        },
        "define stream Events (tags object);
from Events select list:lastIndexOf(tags, 'seen') as place insert into Places;",
    ),
];

fn list(values: impl IntoIterator<Item = Value>) -> Value {
    Value::Object(Arc::new(Structure::List(values.into_iter().collect())))
}

/// The values of the list at a place.
///
/// # Errors
/// If there is none.
fn values(row: Arguments<'_>, place: usize) -> Result<&Vec<Value>, Trouble> {
    match row.needed::<Value>(place)? {
        Value::Object(object) => match &**object {
            Structure::List(values) | Structure::Set(values) => Ok(values),
            Structure::Map(_) | Structure::Error(_) => {
                Err("expected a list, found another object".into())
            }
        },
        other => {
            let ty = other.data_type().map_or("null", DataType::name);
            Err(format!("expected a list, found a `{ty}`").into())
        }
    }
}

/// The index at a place, below `end`.
fn index(row: Arguments<'_>, place: usize, end: usize) -> Result<usize, Trouble> {
    let number = *row.needed::<i32>(place)?;
    let found = usize::try_from(number).ok().filter(|at| *at < end);
    found.ok_or_else(|| format!("index {number} is not in the list").into())
}

fn changing(
    setup: FunctionSetup<'_>,
    change: impl Fn(&mut Vec<Value>, Arguments<'_>) -> Result<(), Trouble> + Send + 'static,
) -> Built {
    setup.by_row(move |row| {
        let mut list = values(row, 0)?.clone();
        change(&mut list, row)?;
        Ok(Some(self::list(list)))
    })
}

fn sort(setup: FunctionSetup<'_>) -> Built {
    let descending = match setup.constant_text(1).map(str::to_ascii_uppercase).as_deref() {
        None | Some("ASC") => false,
        Some("DESC") => true,
        Some(other) => {
            let message = format!("expected 'ASC' or 'DESC', found '{other}'");
            return Err(ArgumentFault::at(1, message));
        }
    };
    changing(setup, move |list, _| {
        let kinds = list.iter().filter_map(|value| value.data_type());
        let mut kinds = kinds.map(|ty| if ty.is_numeric() { DataType::Double } else { ty });
        let first = kinds.next();
        if kinds.any(|ty| Some(ty) != first) || first == Some(DataType::Object) {
            return Err("expected numbers only, texts only or truth values only".into());
        }
        list.sort_by(|left, right| if descending { right.order(left) } else { left.order(right) });
        Ok(())
    })
}
