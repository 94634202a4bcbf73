//! Values, columns and batches as bytes and back: the same for state, journal and wire. No files.
//!
//! Little-endian, lengths as 32-bit numbers. Whoever stores the bytes puts version and checksum
//! around them. Reading trusts nothing: every length is checked against what is left.

use crate::event::Batch;
use crate::event::Bits;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use crate::event::Values;
use crate::event::column::for_values;
use std::fmt;
use std::sync::Arc;

/// Objects may hold objects; deeper than this is refused when read.
const DEPTH_MAX: usize = 64;

/// Bytes of the length of what has one.
const LENGTH_BYTES: u64 = size_of::<u32>() as u64;

/// The bytes are not what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("bytes end early or hold what cannot be")
    }
}

impl std::error::Error for Malformed {}

/// What can be written as bytes and read back.
pub trait Encode: Sized {
    /// Appends the bytes.
    fn encode(&self, out: &mut Vec<u8>);
    /// How many bytes [`Encode::encode`] appends. What is large says so without making them.
    fn encoded_bytes(&self) -> u64 {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        bytes.len() as u64
    }
    /// Takes the bytes off the front of `from`.
    ///
    /// # Errors
    /// [`Malformed`] if they are not what [`Encode::encode`] writes.
    fn decode(from: &mut &[u8]) -> Result<Self, Malformed>;
}

/// Takes `count` bytes off the front.
///
/// # Errors
/// [`Malformed`] if there are fewer.
pub fn take<'a>(from: &mut &'a [u8], count: usize) -> Result<&'a [u8], Malformed> {
    if from.len() < count {
        return Err(Malformed);
    }
    let (head, tail) = from.split_at(count);
    *from = tail;
    Ok(head)
}

macro_rules! encode_numbers {
    ($($ty:ty),*) => {$(
        impl Encode for $ty {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            #[inline]
            fn encoded_bytes(&self) -> u64 {
                size_of::<$ty>() as u64
            }
            fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
                let bytes = take(from, size_of::<$ty>())?;
                Ok(<$ty>::from_le_bytes(bytes.try_into().map_err(|_| Malformed)?))
            }
        }
    )*};
}
encode_numbers!(u8, u16, u32, u64, i32, i64, f32, f64);

impl Encode for usize {
    fn encode(&self, out: &mut Vec<u8>) {
        (*self as u64).encode(out);
    }
    #[inline]
    fn encoded_bytes(&self) -> u64 {
        size_of::<u64>() as u64
    }
    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        usize::try_from(u64::decode(from)?).map_err(|_| Malformed)
    }
}

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    #[inline]
    fn encoded_bytes(&self) -> u64 {
        1
    }
    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        match u8::decode(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }
}

impl Encode for Text {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.len() as u32).encode(out);
        out.extend_from_slice(self.as_bytes());
    }
    #[inline]
    fn encoded_bytes(&self) -> u64 {
        LENGTH_BYTES + self.len() as u64
    }
    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let length = u32::decode(from)? as usize;
        std::str::from_utf8(take(from, length)?).map(Text::from).map_err(|_| Malformed)
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.len() as u32).encode(out);
        self.iter().for_each(|item| item.encode(out));
    }
    fn encoded_bytes(&self) -> u64 {
        LENGTH_BYTES + self.iter().map(T::encoded_bytes).sum::<u64>()
    }
    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let length = u32::decode(from)? as usize;
        // A forged length must not reserve memory that the bytes cannot fill.
        let mut items = Vec::with_capacity(length.min(from.len()));
        for _ in 0..length {
            items.push(T::decode(from)?);
        }
        Ok(items)
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.is_some().encode(out);
        if let Some(item) = self {
            item.encode(out);
        }
    }
    fn encoded_bytes(&self) -> u64 {
        1 + self.as_ref().map_or(0, T::encoded_bytes)
    }
    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        bool::decode(from)?.then(|| T::decode(from)).transpose()
    }
}

impl<A: Encode, B: Encode> Encode for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
    #[inline]
    fn encoded_bytes(&self) -> u64 {
        self.0.encoded_bytes() + self.1.encoded_bytes()
    }
    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok((A::decode(from)?, B::decode(from)?))
    }
}

impl Encode for Kind {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }
    #[inline]
    fn encoded_bytes(&self) -> u64 {
        1
    }
    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        match u8::decode(from)? {
            0 => Ok(Kind::Current),
            1 => Ok(Kind::Expired),
            2 => Ok(Kind::Reset),
            _ => Err(Malformed),
        }
    }
}

impl Encode for DataType {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }
    #[inline]
    fn encoded_bytes(&self) -> u64 {
        1
    }
    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        DataType::ALL.get(u8::decode(from)? as usize).copied().ok_or(Malformed)
    }
}

impl Encode for Bits {
    fn encode(&self, out: &mut Vec<u8>) {
        // Words without marks at the end say nothing: equal sets give equal bytes.
        marked(self).to_vec().encode(out);
    }
    fn encoded_bytes(&self) -> u64 {
        LENGTH_BYTES + size_of_val(marked(self)) as u64
    }
    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        Vec::<u64>::decode(from).map(Bits::from_words)
    }
}

/// The words of a set up to the last that holds anything.
fn marked(bits: &Bits) -> &[u64] {
    let words = bits.words();
    let count = words.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
    &words[..count]
}

impl Encode for Value {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.push(0),
            Value::Int(value) => (1u8, *value).encode(out),
            Value::Long(value) => (2u8, *value).encode(out),
            Value::Float(value) => (3u8, *value).encode(out),
            Value::Double(value) => (4u8, *value).encode(out),
            Value::Bool(value) => (5u8, *value).encode(out),
            Value::Text(value) => {
                out.push(6);
                value.encode(out);
            }
            Value::Object(value) => match &**value {
                Structure::Set(items) => {
                    out.push(7);
                    items.encode(out);
                }
                Structure::List(items) => {
                    out.push(8);
                    items.encode(out);
                }
                Structure::Map(entries) => {
                    out.push(9);
                    entries.encode(out);
                }
                Structure::Error(text) => {
                    out.push(10);
                    text.encode(out);
                }
            },
        }
    }

    fn encoded_bytes(&self) -> u64 {
        let kind = 1;
        kind + match self {
            Value::Null => 0,
            Value::Int(value) => value.encoded_bytes(),
            Value::Long(value) => value.encoded_bytes(),
            Value::Float(value) => value.encoded_bytes(),
            Value::Double(value) => value.encoded_bytes(),
            Value::Bool(value) => value.encoded_bytes(),
            Value::Text(value) => value.encoded_bytes(),
            Value::Object(value) => match &**value {
                Structure::Set(items) | Structure::List(items) => items.encoded_bytes(),
                Structure::Map(entries) => entries.encoded_bytes(),
                Structure::Error(text) => text.encoded_bytes(),
            },
        }
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        decode_value(from, DEPTH_MAX)
    }
}

fn decode_value(from: &mut &[u8], depth: usize) -> Result<Value, Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed)?;
    let values = |from: &mut &[u8]| {
        let length = u32::decode(from)?;
        (0..length).map(|_| decode_value(from, depth)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match u8::decode(from)? {
        0 => Value::Null,
        1 => Value::Int(i32::decode(from)?),
        2 => Value::Long(i64::decode(from)?),
        3 => Value::Float(f32::decode(from)?),
        4 => Value::Double(f64::decode(from)?),
        5 => Value::Bool(bool::decode(from)?),
        6 => Value::Text(Text::decode(from)?),
        7 => Value::Object(Arc::new(Structure::Set(values(from)?))),
        8 => Value::Object(Arc::new(Structure::List(values(from)?))),
        9 => {
            let length = u32::decode(from)?;
            let entry = |_| Ok((Text::decode(from)?, decode_value(from, depth)?));
            let entries = (0..length).map(entry).collect::<Result<Vec<_>, Malformed>>()?;
            Value::Object(Arc::new(Structure::Map(entries)))
        }
        10 => Value::Object(Arc::new(Structure::Error(Text::decode(from)?))),
        _ => return Err(Malformed),
    })
}

/// Where a column is null. What is not kept is not read again, and so are its marks.
fn marks(column: &Column) -> &Bits {
    column.values.data_type().map_or(const { &Bits::new() }, |_| &column.nulls)
}

impl Encode for Column {
    fn encode(&self, out: &mut Vec<u8>) {
        self.values.data_type().encode(out);
        marks(self).encode(out);
        for_values!(&self.values, vector => vector.encode(out), absent => ());
    }

    fn encoded_bytes(&self) -> u64 {
        let values = for_values!(&self.values, vector => vector.encoded_bytes(), absent => 0);
        self.values.data_type().encoded_bytes() + marks(self).encoded_bytes() + values
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let Some(ty) = Option::<DataType>::decode(from)? else {
            Bits::decode(from)?;
            return Ok(Column::absent());
        };
        let nulls = Bits::decode(from)?;
        let values = match ty {
            DataType::Int => Values::Int(Vec::decode(from)?),
            DataType::Long => Values::Long(Vec::decode(from)?),
            DataType::Float => Values::Float(Vec::decode(from)?),
            DataType::Double => Values::Double(Vec::decode(from)?),
            DataType::Bool => Values::Bool(Vec::decode(from)?),
            DataType::Text => Values::Text(Vec::decode(from)?),
            DataType::Object => Values::Object(Vec::decode(from)?),
        };
        Ok(Column { values, nulls })
    }
}

impl Encode for Batch {
    fn encode(&self, out: &mut Vec<u8>) {
        self.columns.encode(out);
        self.timestamps.encode(out);
        self.kinds.encode(out);
        self.continues.encode(out);
        self.send_continues.encode(out);
        self.slots.encode(out);
    }

    fn encoded_bytes(&self) -> u64 {
        self.columns.encoded_bytes()
            + self.timestamps.encoded_bytes()
            + self.kinds.encoded_bytes()
            + self.continues.encoded_bytes()
            + self.send_continues.encoded_bytes()
            + self.slots.encoded_bytes()
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let batch = Batch {
            columns: Vec::decode(from)?,
            timestamps: Vec::decode(from)?,
            kinds: Vec::decode(from)?,
            continues: Bits::decode(from)?,
            send_continues: Bits::decode(from)?,
            slots: Vec::decode(from)?,
        };
        let fits = |length: usize| length == 0 || length == batch.len();
        let sound = fits(batch.kinds.len())
            && fits(batch.slots.len())
            && batch
                .columns
                .iter()
                .all(|column| column.values.data_type().is_none() || column.len() == batch.len());
        if sound { Ok(batch) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Long),
            any::<f64>().prop_map(Value::Double),
            ".{0,20}".prop_map(|text| Value::from(text.as_str())),
            proptest::collection::vec(any::<i32>().prop_map(Value::Int), 0..4)
                .prop_map(|items| Value::Object(Arc::new(Structure::Set(items)))),
        ]
    }

    proptest! {
        #[test]
        fn a_batch_comes_back_as_it_went(
            rows in proptest::collection::vec((any::<i64>(), values()), 0..20),
        ) {
            let mut batch = Batch::new(&[DataType::Object, DataType::Long]);
            for (time, value) in &rows {
                batch.push_row(*time, &[value.clone(), Value::Null]);
            }
            batch.join_chunk(rows.len() / 2);
            let mut bytes = Vec::new();
            batch.encode(&mut bytes);
            prop_assert_eq!(batch.encoded_bytes(), bytes.len() as u64);
            prop_assert_eq!(Batch::decode(&mut bytes.as_slice()).expect("own bytes"), batch);
            for cut in 0..bytes.len() {
                prop_assert!(Batch::decode(&mut &bytes[..cut]).is_err());
            }
        }

        #[test]
        fn what_is_equal_has_equal_bytes(rows in proptest::collection::vec(0usize..300, 0..9)) {
            let (mut marked, mut column) = (Bits::new(), Column::absent());
            for row in &rows {
                marked.set(*row);
                marked.set(row + 200);
                marked.unset(row + 200);
                column.nulls.set(*row);
            }
            let plain: Bits = rows.iter().fold(Bits::new(), |mut plain, row| {
                plain.set(*row);
                plain
            });
            let bytes = |item: &dyn Fn(&mut Vec<u8>)| {
                let mut bytes = Vec::new();
                item(&mut bytes);
                bytes
            };
            if marked == plain {
                let of = |bits: &Bits| bytes(&|out| bits.encode(out));
                prop_assert_eq!(of(&marked), of(&plain));
            }
            let of = |column: &Column| bytes(&|out| column.encode(out));
            prop_assert_eq!(of(&column), of(&Column::absent()));
        }

        #[test]
        fn any_bytes_are_read_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = Batch::decode(&mut bytes.as_slice());
        }
    }
}
