//! A typed column with its nulls: append, gather, slice; no arithmetic.

use crate::event::Bits;
use crate::event::DataType;
use crate::event::Text;
use crate::event::Value;
use std::cmp::Ordering;

/// The values of a column. Rows that are null hold the type's zero.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// A column nobody reads: it has no rows and stays so whatever is appended.
    Absent,
    /// `int`
    Int(Vec<i32>),
    /// `long`
    Long(Vec<i64>),
    /// `float`
    Float(Vec<f32>),
    /// `double`
    Double(Vec<f64>),
    /// `bool`
    Bool(Vec<bool>),
    /// `string`
    Text(Vec<Text>),
    /// `object`; any value may stand in it
    Object(Vec<Value>),
}

/// Runs the same code on the vector of whatever type a column has.
macro_rules! for_values {
    ($values:expr, $vector:ident => $body:expr, absent => $absent:expr) => {
        match $values {
            $crate::event::Values::Absent => $absent,
            $crate::event::Values::Int($vector) => $body,
            $crate::event::Values::Long($vector) => $body,
            $crate::event::Values::Float($vector) => $body,
            $crate::event::Values::Double($vector) => $body,
            $crate::event::Values::Bool($vector) => $body,
            $crate::event::Values::Text($vector) => $body,
            $crate::event::Values::Object($vector) => $body,
        }
    };
}

/// Runs the same code on two vectors of the same type.
macro_rules! for_pair {
    ($left:expr, $right:expr, $a:ident, $b:ident => $body:expr) => {
        match ($left, $right) {
            (Values::Absent, _) | (_, Values::Absent) => {}
            (Values::Int($a), Values::Int($b)) => $body,
            (Values::Long($a), Values::Long($b)) => $body,
            (Values::Float($a), Values::Float($b)) => $body,
            (Values::Double($a), Values::Double($b)) => $body,
            (Values::Bool($a), Values::Bool($b)) => $body,
            (Values::Text($a), Values::Text($b)) => $body,
            (Values::Object($a), Values::Object($b)) => $body,
            (left, right) => {
                panic!("columns of {:?} and {:?}", left.data_type(), right.data_type())
            }
        }
    };
}

impl Values {
    /// An empty vector of the type.
    pub fn new(ty: DataType) -> Values {
        match ty {
            DataType::Int => Values::Int(Vec::new()),
            DataType::Long => Values::Long(Vec::new()),
            DataType::Float => Values::Float(Vec::new()),
            DataType::Double => Values::Double(Vec::new()),
            DataType::Bool => Values::Bool(Vec::new()),
            DataType::Text => Values::Text(Vec::new()),
            DataType::Object => Values::Object(Vec::new()),
        }
    }

    /// The type; `None` if absent.
    pub fn data_type(&self) -> Option<DataType> {
        Some(match self {
            Values::Absent => return None,
            Values::Int(_) => DataType::Int,
            Values::Long(_) => DataType::Long,
            Values::Float(_) => DataType::Float,
            Values::Double(_) => DataType::Double,
            Values::Bool(_) => DataType::Bool,
            Values::Text(_) => DataType::Text,
            Values::Object(_) => DataType::Object,
        })
    }
}

pub(crate) use for_values;

/// A column of one type; some rows may be null.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The values; the type's zero where null.
    pub values: Values,
    /// The rows that are null.
    pub nulls: Bits,
}

impl Column {
    /// An empty column.
    pub fn new(ty: DataType) -> Column {
        Column { values: Values::new(ty), nulls: Bits::new() }
    }

    /// A column that never has rows, standing for an attribute nobody reads.
    pub fn absent() -> Column {
        Column { values: Values::Absent, nulls: Bits::new() }
    }

    /// A column holding `value` once, `length` times.
    pub fn repeat(ty: DataType, value: &Value, length: usize) -> Column {
        let mut column = Column::new(ty);
        for _ in 0..length {
            column.push(value);
        }
        column
    }

    /// An empty column of the same type, with room for rows; absent if this one is.
    pub fn empty_like(&self, rows: usize) -> Column {
        let Some(ty) = self.values.data_type() else { return Column::absent() };
        let mut column = Column::new(ty);
        for_values!(&mut column.values, vector => vector.reserve_exact(rows), absent => ());
        column
    }

    /// How many rows; 0 if absent.
    #[inline]
    pub fn len(&self) -> usize {
        for_values!(&self.values, vector => vector.len(), absent => 0)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether row `row` is null.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.get(row)
    }

    /// Drops all rows; keeps type and memory.
    #[inline]
    pub fn clear(&mut self) {
        for_values!(&mut self.values, vector => vector.clear(), absent => ());
        self.nulls.clear();
    }

    /// Drops the rows from `length` on.
    pub fn truncate(&mut self, length: usize) {
        for_values!(&mut self.values, vector => vector.truncate(length), absent => ());
        self.nulls.truncate(length);
    }

    /// The value of row `row`; null if absent.
    pub fn value(&self, row: usize) -> Value {
        if self.nulls.get(row) {
            return Value::Null;
        }
        match &self.values {
            Values::Absent => Value::Null,
            Values::Int(vector) => Value::Int(vector[row]),
            Values::Long(vector) => Value::Long(vector[row]),
            Values::Float(vector) => Value::Float(vector[row]),
            Values::Double(vector) => Value::Double(vector[row]),
            Values::Bool(vector) => Value::Bool(vector[row]),
            Values::Text(vector) => Value::Text(vector[row].clone()),
            Values::Object(vector) => vector[row].clone(),
        }
    }

    /// Appends a null.
    pub fn push_null(&mut self) {
        if matches!(self.values, Values::Absent) {
            return;
        }
        self.nulls.set(self.len());
        for_values!(&mut self.values, vector => vector.push(Default::default()), absent => ());
    }

    /// Appends the type's zero.
    pub fn push_zero(&mut self) {
        for_values!(&mut self.values, vector => vector.push(Default::default()), absent => ());
    }

    /// Appends the type's zero so many times.
    pub fn extend_zeros(&mut self, count: usize) {
        for_values!(&mut self.values, vector => {
            vector.resize_with(vector.len() + count, Default::default);
        }, absent => ());
    }

    /// Appends one of its own rows once more.
    pub fn repeat_row(&mut self, row: usize) {
        if self.nulls.get(row) {
            return self.push_null();
        }
        for_values!(&mut self.values, vector => vector.extend_from_within(row..=row), absent => ());
    }

    /// Appends a value, which must be null or of the column's type.
    ///
    /// # Panics
    /// If the value is of another type: callers widen before.
    pub fn push(&mut self, value: &Value) {
        match (&mut self.values, value) {
            (Values::Absent, _) => {}
            (_, Value::Null) => self.push_null(),
            (Values::Int(vector), Value::Int(value)) => vector.push(*value),
            (Values::Long(vector), Value::Long(value)) => vector.push(*value),
            (Values::Float(vector), Value::Float(value)) => vector.push(*value),
            (Values::Double(vector), Value::Double(value)) => vector.push(*value),
            (Values::Bool(vector), Value::Bool(value)) => vector.push(*value),
            (Values::Text(vector), Value::Text(value)) => vector.push(value.clone()),
            (Values::Object(vector), value) => vector.push(value.clone()),
            (values, value) => panic!("{value:?} in a column of {:?}", values.data_type()),
        }
    }

    /// Appends one row of a column of the same type.
    #[inline]
    #[expect(clippy::clone_on_copy, reason = "the same code serves texts, which are cloned")]
    pub fn push_from(&mut self, other: &Column, row: usize) {
        if other.nulls.any() && other.nulls.get(row) {
            return self.push_null();
        }
        for_pair!(&mut self.values, &other.values, mine, theirs => mine.push(theirs[row].clone()));
    }

    /// Appends a row of one column and then a row of another, both of the same type as this.
    #[inline]
    pub fn push_both(&mut self, first: (&Column, usize), second: (&Column, usize)) {
        let ((one, row), (other, at)) = (first, second);
        if !one.nulls.any() && !other.nulls.any() {
            // Told apart by type once instead of twice.
            match (&mut self.values, &one.values, &other.values) {
                (Values::Long(mine), Values::Long(one), Values::Long(other)) => {
                    return mine.extend([one[row], other[at]]);
                }
                (Values::Double(mine), Values::Double(one), Values::Double(other)) => {
                    return mine.extend([one[row], other[at]]);
                }
                (Values::Text(mine), Values::Text(one), Values::Text(other)) => {
                    mine.push(one[row].clone());
                    return mine.push(other[at].clone());
                }
                _ => {}
            }
        }
        self.push_from(one, row);
        self.push_from(other, at);
    }

    /// Appends rows `start..end` of a column of the same type.
    #[inline]
    pub fn extend(&mut self, other: &Column, start: usize, end: usize) {
        // One row is common, and copying a block costs more than a push.
        if end == start + 1 {
            return self.push_from(other, start);
        }
        self.extend_block(other, start, end);
    }

    fn extend_block(&mut self, other: &Column, start: usize, end: usize) {
        self.nulls.extend(self.len(), &other.nulls, start, end);
        for_pair!(&mut self.values, &other.values, mine, theirs =>
            mine.extend_from_slice(&theirs[start..end]));
    }

    /// Appends the named rows of a column of the same type, in the order given.
    #[expect(clippy::clone_on_copy, reason = "the same code serves texts, which are cloned")]
    pub fn gather(&mut self, other: &Column, rows: &[u32]) {
        if let [row] = rows {
            return self.push_from(other, *row as usize);
        }
        if other.nulls.any() {
            let at = self.len();
            for (offset, &row) in rows.iter().enumerate() {
                if other.nulls.get(row as usize) {
                    self.nulls.set(at + offset);
                }
            }
        }
        for_pair!(&mut self.values, &other.values, mine, theirs =>
            mine.extend(rows.iter().map(|&row| theirs[row as usize].clone())));
    }

    /// Overwrites row `row` with one row of a column of the same type.
    pub fn replace(&mut self, row: usize, other: &Column, from: usize) {
        self.nulls.unset(row);
        if other.nulls.get(from) && !matches!(self.values, Values::Absent) {
            self.nulls.set(row);
        }
        for_pair!(&mut self.values, &other.values, mine, theirs => {
            mine[row].clone_from(&theirs[from]);
        });
    }

    /// Order of two rows of columns of one type; null after everything else.
    pub fn order(&self, row: usize, other: &Column, other_row: usize) -> Ordering {
        match (self.is_null(row), other.is_null(other_row)) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) => {}
        }
        match (&self.values, &other.values) {
            (Values::Int(a), Values::Int(b)) => a[row].cmp(&b[other_row]),
            (Values::Long(a), Values::Long(b)) => a[row].cmp(&b[other_row]),
            (Values::Float(a), Values::Float(b)) => a[row].total_cmp(&b[other_row]),
            (Values::Double(a), Values::Double(b)) => a[row].total_cmp(&b[other_row]),
            (Values::Bool(a), Values::Bool(b)) => a[row].cmp(&b[other_row]),
            (Values::Text(a), Values::Text(b)) => a[row].cmp(&b[other_row]),
            _ => Ordering::Equal,
        }
    }

    /// Overwrites row `row` with a value, which must be null or of the column's type.
    pub fn set(&mut self, row: usize, value: &Value) {
        self.nulls.unset(row);
        match (&mut self.values, value) {
            (Values::Absent, _) => {}
            (values, Value::Null) => {
                for_values!(values, vector => vector[row] = Default::default(), absent => ());
                self.nulls.set(row);
            }
            (Values::Int(vector), Value::Int(value)) => vector[row] = *value,
            (Values::Long(vector), Value::Long(value)) => vector[row] = *value,
            (Values::Float(vector), Value::Float(value)) => vector[row] = *value,
            (Values::Double(vector), Value::Double(value)) => vector[row] = *value,
            (Values::Bool(vector), Value::Bool(value)) => vector[row] = *value,
            (Values::Text(vector), Value::Text(value)) => vector[row] = value.clone(),
            (Values::Object(vector), value) => vector[row] = value.clone(),
            (values, value) => panic!("{value:?} in a column of {:?}", values.data_type()),
        }
    }

    /// Whether row `row` holds the same as row `other_row` of a column of the same type; null is
    /// the same as null, and floats are compared by their bits.
    #[inline]
    pub fn same(&self, row: usize, other: &Column, other_row: usize) -> bool {
        let null = self.nulls.get(row);
        if null || other.nulls.get(other_row) {
            return null && other.nulls.get(other_row);
        }
        match (&self.values, &other.values) {
            (Values::Text(mine), Values::Text(theirs)) => mine[row] == theirs[other_row],
            (Values::Int(mine), Values::Int(theirs)) => mine[row] == theirs[other_row],
            (Values::Long(mine), Values::Long(theirs)) => mine[row] == theirs[other_row],
            (Values::Bool(mine), Values::Bool(theirs)) => mine[row] == theirs[other_row],
            _ => self.value(row) == other.value(other_row),
        }
    }

    /// Bytes a row takes by logical count, the same on every node: the width of the type, and the
    /// length of texts.
    pub fn bytes(&self) -> usize {
        match &self.values {
            Values::Absent => 0,
            Values::Bool(vector) => vector.len(),
            Values::Int(vector) => vector.len() * 4,
            Values::Float(vector) => vector.len() * 4,
            Values::Long(vector) => vector.len() * 8,
            Values::Double(vector) => vector.len() * 8,
            Values::Text(vector) => vector.iter().map(|text| 16 + text.len()).sum(),
            Values::Object(vector) => vector.len() * 64,
        }
    }
}

macro_rules! typed_access {
    ($($(#[$doc:meta])* $name:ident, $vector:ident, $variant:ident, $ty:ty;)*) => {
        impl Column {
            $($(#[$doc])*
            ///
            /// # Panics
            /// If the column is of another type: types are settled when a plan is checked.
            #[inline]
            pub fn $name(&self) -> &[$ty] {
                match &self.values {
                    Values::$variant(vector) => vector,
                    other => panic!("column of {:?} read as another type", other.data_type()),
                }
            }

            /// The vector behind the column, to append to or change.
            ///
            /// # Panics
            /// If the column is of another type.
            #[inline]
            pub fn $vector(&mut self) -> &mut Vec<$ty> {
                match &mut self.values {
                    Values::$variant(vector) => vector,
                    other => panic!("column of {:?} written as another type", other.data_type()),
                }
            })*
        }
    };
}

typed_access! {
    /// The values of an `int` column.
    ints, ints_mut, Int, i32;
    /// The values of a `long` column.
    longs, longs_mut, Long, i64;
    /// The values of a `float` column.
    floats, floats_mut, Float, f32;
    /// The values of a `double` column.
    doubles, doubles_mut, Double, f64;
    /// The values of a `bool` column.
    bools, bools_mut, Bool, bool;
    /// The values of a `string` column.
    texts, texts_mut, Text, Text;
    /// The values of an `object` column.
    objects, objects_mut, Object, Value;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(values: &[Value]) -> Column {
        let mut column = Column::new(DataType::Long);
        values.iter().for_each(|value| column.push(value));
        column
    }

    #[test]
    fn nulls_follow_their_rows() {
        let source = column(&[Value::Long(1), Value::Null, Value::Long(3)]);
        let mut target = Column::new(DataType::Long);
        target.gather(&source, &[2, 1, 0]);
        target.extend(&source, 1, 3);
        target.push_from(&source, 1);
        let read: Vec<Value> = (0..target.len()).map(|row| target.value(row)).collect();
        let (one, three) = (Value::Long(1), Value::Long(3));
        assert_eq!(read, [three.clone(), Value::Null, one, Value::Null, three, Value::Null]);
        target.set(1, &Value::Long(9));
        target.truncate(3);
        assert_eq!(target.value(1), Value::Long(9));
        assert!(!target.is_null(1));
    }

    #[test]
    fn an_absent_column_stays_empty() {
        let source = column(&[Value::Long(1)]);
        let mut target = Column::absent();
        target.extend(&source, 0, 1);
        target.push(&Value::Long(1));
        assert_eq!(target.len(), 0);
        assert_eq!(target.value(0), Value::Null);
    }
}
