//! Values of events to values of a run, and back.

use crate::engine::expressions::Native;
use crate::engine::expressions::by_row::Trouble;
use crate::engine::expressions::number_text::value_text;
use crate::engine::script::heap::Cell;
use crate::engine::script::heap::Datum;
use crate::engine::script::heap::Heap;
use crate::engine::script::heap::Stop;
use crate::engine::script::heap::trouble;
use crate::engine::script::heap::truth;
use crate::engine::script::number;
use crate::event::DataType;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use std::sync::Arc;

/// Whole numbers up to here are floats without loss.
const EXACT: u64 = 1 << 53;

/// How deep lists and objects may stand in each other where they leave a run.
const DEEPEST: usize = 64;

/// A value of an event as a value of a run.
///
/// # Errors
/// If no memory is left.
pub fn datum(value: &Value, heap: &mut Heap) -> Result<Datum, Stop> {
    heap.step(1)?;
    Ok(match value {
        Value::Null => Datum::Null,
        Value::Int(number) => Datum::Number(f64::from(*number)),
        Value::Long(number) if number.unsigned_abs() <= EXACT => Datum::Number(*number as f64),
        Value::Long(number) => Datum::Whole(*number),
        // As the text of the float says, not as its bits do: 0.1 is 0.1.
        Value::Float(number) => {
            Datum::Number(value_text(value).parse().unwrap_or((*number).into()))
        }
        Value::Double(number) => Datum::Number(*number),
        Value::Bool(truth) => Datum::Truth(*truth),
        Value::Text(text) => Datum::Text(text.clone()),
        Value::Object(object) => match &**object {
            Structure::List(values) | Structure::Set(values) => {
                let items = values.iter().map(|value| datum(value, heap));
                let items = items.collect::<Result<Vec<_>, _>>()?;
                heap.list(items)?
            }
            Structure::Map(entries) => {
                let mut made = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    made.push((key.clone(), datum(value, heap)?));
                }
                Datum::Object(heap.put(Cell::Object(made))?)
            }
            Structure::Error(message) => Datum::Text(message.clone()),
        },
    })
}

/// A value of a run as a value of an event.
///
/// # Errors
/// If it is too deep, or no time is left.
pub fn value(datum: &Datum, heap: &mut Heap) -> Result<Value, Stop> {
    value_within(datum, heap, DEEPEST)
}

fn value_within(datum: &Datum, heap: &mut Heap, depth: usize) -> Result<Value, Stop> {
    heap.step(1)?;
    if depth == 0 {
        return trouble("lists and objects stand too deep in each other");
    }
    Ok(match datum {
        Datum::Undefined | Datum::Null => Value::Null,
        Datum::Truth(truth) => Value::Bool(*truth),
        Datum::Number(number) => plain_number(*number),
        Datum::Whole(number) => Value::Long(*number),
        Datum::Text(text) => Value::Text(text.clone()),
        Datum::List(place) => {
            let items = heap.items(*place).to_vec();
            heap.take(items.len() * 32)?;
            let values = items.iter().map(|item| value_within(item, heap, depth - 1));
            let values = values.collect::<Result<Vec<_>, _>>()?;
            Value::Object(Arc::new(Structure::List(values)))
        }
        Datum::Object(place) => {
            let entries = heap.entries(*place).to_vec();
            heap.take(entries.len() * 48)?;
            let mut made = Vec::with_capacity(entries.len());
            for (key, item) in entries {
                if item != Datum::Undefined {
                    made.push((key, value_within(&item, heap, depth - 1)?));
                }
            }
            Value::Object(Arc::new(Structure::Map(made)))
        }
        Datum::Function(_) | Datum::Static(..) | Datum::Pattern(_) | Datum::Global(_) => {
            return trouble("a function or pattern is no value of an event");
        }
    })
}

/// A whole number as an int if it fits, else as a long or double.
fn plain_number(number: f64) -> Value {
    let whole = number as i64;
    if whole as f64 != number || whole.unsigned_abs() > EXACT {
        return Value::Double(number);
    }
    i32::try_from(whole).map_or(Value::Long(whole), Value::Int)
}

/// What a function gives, as the type that it says it returns; nothing for null and undefined.
///
/// # Errors
/// If it cannot be of that type, or no time is left.
pub fn returned<R: Native>(
    datum: &Datum,
    heap: &mut Heap,
) -> Result<Result<Option<R>, Trouble>, Stop> {
    if matches!(datum, Datum::Undefined | Datum::Null) {
        return Ok(Ok(None));
    }
    let wrong = |heap: &mut Heap| -> Result<Result<Option<R>, Trouble>, Stop> {
        let text = heap.text_of(datum)?;
        Ok(Err(format!("'{text}' is no {}", R::TYPE).into()))
    };
    let found = match (R::TYPE, datum) {
        (DataType::Text, _) => Value::Text(heap.text_of(datum)?),
        (DataType::Object, _) => value(datum, heap)?,
        (DataType::Bool, Datum::Text(text)) => Value::Bool(text.eq_ignore_ascii_case("true")),
        (DataType::Bool, _) => Value::Bool(truth(datum)),
        (DataType::Long, Datum::Whole(number)) => Value::Long(*number),
        (ty, Datum::Number(_) | Datum::Whole(_) | Datum::Text(_) | Datum::Truth(_)) => {
            let number = match datum {
                Datum::Text(text) => number::of_text(text),
                other => heap.number_of(other)?,
            };
            let from_text = matches!(datum, Datum::Text(_));
            if number.is_nan() && (from_text || matches!(ty, DataType::Int | DataType::Long)) {
                return wrong(heap);
            }
            match ty {
                DataType::Int => Value::Int(number as i32),
                DataType::Long => Value::Long(number as i64),
                DataType::Float => Value::Float(number as f32),
                _ => Value::Double(number),
            }
        }
        _ => return wrong(heap),
    };
    Ok(Ok(R::from_value(&found)))
}

/// What was thrown, as a message.
pub fn message(stop: &Stop, heap: &mut Heap) -> Trouble {
    match stop {
        Stop::Exhausted(message) => message.clone().into(),
        Stop::Thrown(Datum::Text(text)) => text.to_string().into(),
        Stop::Thrown(datum) => {
            heap.reset_bounds();
            let text = heap.text_of(datum).unwrap_or_else(|_| Text::from("something was thrown"));
            text.to_string().into()
        }
    }
}
