//! The words everyone uses: types, values, columns, batches and names. Data only; nothing here
//! knows queries, files or clocks.
//!
//! A [`Batch`] is columnar: typed [`Column`]s of equal length with nulls as bits. Its rows are
//! grouped in *chunks* (what one cause produced) and, at the input, in *sends* (one request, line
//! or message). Both are kept as [`Bits`] that are empty while every row stands alone.

mod batch;
mod bits;
pub mod codec;
mod column;
mod data_type;
mod map;
mod schema;
mod value;

pub use batch::{Batch, Kind};
pub use bits::Bits;
pub use column::{Column, Values};
pub use data_type::DataType;
pub use map::{Map, Set, hash_bytes, hash_cell, hash_column};
pub use schema::{Attribute, Schema};
pub use value::{Structure, Text, Value};

/// Milliseconds since 1970-01-01T00:00:00Z, or a duration in milliseconds.
pub type Millis = i64;

/// Numbers a partition key inside one partition; 0 outside of partitions.
pub type Slot = u32;
