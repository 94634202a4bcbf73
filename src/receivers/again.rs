//! Reads again, alone, a message that a receiver could not read: as it was, or mended.

use crate::event::Batch;
use crate::event::Millis;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::mappers;
use crate::mappers::Arrival;
use crate::mappers::DecodeError;
use crate::mappers::PASS_THROUGH;
use crate::plan::logical::Endpoint;
use crate::plan::logical::Mapping;
use crate::receivers::ALL;

/// Why a message cannot be read again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// It still is what the mapper does not read.
    #[error("{0}")]
    Message(DecodeError),
    /// The mapper leaves it out: its pattern does not match.
    #[error("the pattern of the mapping does not match it, so there is nothing to enter the plan")]
    Unmatched,
    /// The `@source` is not what it was.
    #[error("the `@source` cannot read messages: {0}")]
    Source(String),
}

/// Reads a message as the `@source` does that could not read it. Rows that came to a receiver as
/// rows are read as the JSON they were kept as. The rows get the timestamp `at`.
///
/// # Errors
/// If it cannot be read.
pub fn read_again(
    endpoint: &Endpoint,
    schema: &Schema,
    message: &[u8],
    at: Millis,
    rows_max: usize,
) -> Result<Batch, Unread> {
    let kind = endpoint.kind.as_str();
    let known = ALL.iter().find(|kinds| kinds.options.name.eq_ignore_ascii_case(kind));
    let default = known.map_or("json", |definition| definition.default_mapper);
    let of_kind = |kind: &str| Mapping {
        kind: kind.to_owned(),
        options: Vec::new(),
        attributes: Vec::new(),
        payload: Vec::new(),
        span: endpoint.span,
    };
    let mapping = endpoint.map.clone().unwrap_or_else(|| of_kind(default));
    let passes = mapping.kind.eq_ignore_ascii_case(PASS_THROUGH);
    let mapping = if passes { of_kind("json") } else { mapping };
    let mut faults: Vec<Diagnostic> = Vec::new();
    let decoder = mappers::decoder(&mapping, schema, &mut faults);
    let told = || faults.iter().map(|fault| fault.message.as_str()).collect::<Vec<_>>().join("; ");
    let mut decoder = decoder.ok_or_else(|| Unread::Source(told()))?;
    let mut rows = Batch::new(&schema.types());
    decoder.decode(message, &Arrival { at, rows_max }, &mut rows).map_err(Unread::Message)?;
    if rows.is_empty() { Err(Unread::Unmatched) } else { Ok(rows) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DataType;
    use crate::event::Value;
    use crate::receivers::harness::Source;

    fn schema() -> Schema {
        Schema::new([("name", DataType::Text), ("n", DataType::Int)])
    }

    fn read(source: &Source, message: &str) -> Result<Vec<Value>, Unread> {
        let read = read_again(&source.endpoint, &schema(), message.as_bytes(), 7, 9);
        read.map(|rows| rows.row(0))
    }

    #[test]
    fn it_is_read_by_the_mapper_of_the_source_or_the_default_one() {
        let row = vec![Value::from("a"), Value::Int(1)];
        let csv = Source::new("file", &schema()).option("file.uri", "x").mapper("csv");
        assert_eq!(read(&csv, "a,1"), Ok(row.clone()));
        assert!(matches!(read(&csv, "a,x"), Err(Unread::Message(_))));
        let plain = Source::new("inMemory", &schema()).option("topic", "t");
        assert_eq!(read(&plain, "{\"event\":{\"name\":\"a\",\"n\":1}}"), Ok(row.clone()));
        let default = Source::new("http", &schema());
        assert_eq!(read(&default, "{\"event\":{\"name\":\"a\",\"n\":1}}"), Ok(row));
        assert!(matches!(read(&default, ""), Err(Unread::Message(_))));
    }

    #[test]
    fn a_mapping_that_is_wrong_says_so() {
        let other = Source::new("http", &schema()).mapper("avro");
        assert!(matches!(read(&other, "x"), Err(Unread::Source(_))));
    }
}
