//! Values as people write them, made to fit the attributes of a stream.

use crate::event::DataType;
use crate::event::Schema;
use crate::event::Value;
use std::fmt;

/// A value that does not fit its attribute.
#[derive(Clone, Debug, PartialEq)]
pub struct Misfit {
    /// The attribute.
    pub attribute: String,
    /// Its type.
    pub wanted: DataType,
    /// What came.
    pub value: Value,
}

impl fmt::Display for Misfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = String::new();
        self.value.write_text(&mut shown);
        let given = match self.value.data_type() {
            Some(given) if given.is_numeric() && self.wanted.is_numeric() => {
                return write!(
                    formatter,
                    "attribute `{}` is of type {}, which does not hold {shown}",
                    self.attribute, self.wanted
                );
            }
            Some(given) => given.name(),
            None => "null",
        };
        write!(
            formatter,
            "attribute `{}` is of type {}, but `{shown}` is of type {given}",
            self.attribute, self.wanted
        )
    }
}

/// Makes a row of a schema: missing values at the end are null, surplus ones are dropped, numbers
/// take the attribute's type if it holds them. Whole numbers become floats, but not floats whole
/// numbers.
///
/// # Errors
/// Names the first value that does not fit.
pub fn fit(schema: &Schema, values: &[Value]) -> Result<Vec<Value>, Misfit> {
    let attributes = schema.attributes.iter().enumerate();
    attributes
        .map(|(place, attribute)| {
            let value = values.get(place).unwrap_or(&Value::Null);
            fit_value(attribute.ty, value).ok_or_else(|| Misfit {
                attribute: attribute.name.to_string(),
                wanted: attribute.ty,
                value: value.clone(),
            })
        })
        .collect()
}

fn fit_value(ty: DataType, value: &Value) -> Option<Value> {
    match (value, ty) {
        (Value::Long(value), DataType::Int) => i32::try_from(*value).ok().map(Value::Int),
        (Value::Double(value), DataType::Float) => {
            let narrow = *value as f32;
            (narrow.is_finite() || !value.is_finite()).then_some(Value::Float(narrow))
        }
        _ => value.widened(ty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_filled_cut_and_widened() {
        let schema = Schema::new([
            ("a", DataType::Double),
            ("b", DataType::Int),
            ("c", DataType::Float),
            ("d", DataType::Text),
        ]);
        let row = fit(&schema, &[Value::Int(5), Value::Long(7), Value::Double(0.5)]);
        let expected = vec![Value::Double(5.0), Value::Int(7), Value::Float(0.5), Value::Null];
        assert_eq!(row, Ok(expected.clone()));
        let long = [expected, vec![Value::Bool(true)]].concat();
        assert_eq!(fit(&schema, &long).map(|row| row.len()), Ok(4));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let schema = Schema::new([("a", DataType::Int), ("b", DataType::Text)]);
        let too_great = fit(&schema, &[Value::Long(1 << 40)]).unwrap_err().to_string();
        assert_eq!(too_great, "attribute `a` is of type int, which does not hold 1099511627776");
        let broken = fit(&schema, &[Value::Double(1.5)]).unwrap_err().to_string();
        assert_eq!(broken, "attribute `a` is of type int, which does not hold 1.5");
        let other = fit(&schema, &[Value::Null, Value::Int(1)]).unwrap_err().to_string();
        assert_eq!(other, "attribute `b` is of type string, but `1` is of type int");
    }
}
