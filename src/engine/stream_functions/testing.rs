//! What tests of stream functions share: a checked call and rows.

use crate::engine::library::Library;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Schema;
use crate::event::Value;
use crate::plan::expression::Expr;
use crate::plan::logical::FunctionCall;

/// A call as the checker would leave it, on rows of `Stream`.
pub fn call(name: &str, arguments: Vec<Expr>, types: &[DataType]) -> FunctionCall {
    let definition = Library::standard().find_stream_function(name).expect("it is listed");
    let added = (definition.added)(&arguments);
    FunctionCall {
        name: name.into(),
        arguments,
        types: types.to_vec(),
        added: Schema::new(added.iter().copied()),
        holds: false,
        stream: "Stream".into(),
        span: Default::default(),
    }
}

/// Rows at 1000, 1001, ….
pub fn rows(types: &[DataType], rows: &[&[Value]]) -> Batch {
    let mut batch = Batch::new(types);
    for (at, row) in (1000..).zip(rows) {
        batch.push_row(at, row);
    }
    batch
}
