//! What tests of expressions share: columns from values, and kernels tried on them.

use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::library::Library;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Millis;
use crate::event::Value;
use crate::plan::expression::Expr;
use crate::plan::expression::Node;
use crate::plan::signature::ArgumentFault;

/// Makes a kernel with what the engine brings.
///
/// # Errors
/// As those of compiling.
pub fn compile(expr: &Expr, layout: &[usize]) -> Result<Box<dyn Kernel>, ArgumentFault> {
    crate::engine::expressions::compile(expr, layout, &Library::standard())
}

/// A column of values.
pub fn column(ty: DataType, values: &[Value]) -> Column {
    let mut column = Column::new(ty);
    values.iter().for_each(|value| column.push(value));
    column
}

/// Rows `start..end` of columns as batches bring them.
pub fn cut(columns: &[Column], start: usize, end: usize) -> Vec<Column> {
    let cut = |column: &Column| {
        let mut part = Column::new(column.values.data_type().expect("no column is absent"));
        part.extend(column, start, end);
        part
    };
    columns.iter().map(cut).collect()
}

/// Computes rows, whose times are 1000, 1001, ….
///
/// # Panics
/// If a null row does not hold the type's zero, on which others rely.
pub fn run(kernel: &mut dyn Kernel, columns: &[Column], context: &mut Context) -> Vec<Value> {
    let rows = columns.first().map_or(1, Column::len);
    let timestamps: Vec<Millis> = (0..rows as i64).map(|row| 1000 + row).collect();
    let result = kernel.evaluate(&Frame::new(columns, &timestamps), context);
    let ty = result.values.data_type().expect("no result is absent");
    let mut bare = result.clone();
    bare.nulls.clear();
    let zero = column(ty, &[Value::Null]);
    let zero = Column { nulls: Default::default(), ..zero }.value(0);
    (0..rows).for_each(|row| assert!(!result.is_null(row) || bare.value(row) == zero));
    (0..rows).map(|row| result.value(row)).collect()
}

/// A call of a function on columns of the given types, in order.
pub fn call(name: &str, types: &[DataType], constants: &[Value], ty: DataType) -> Expr {
    let columns = types.iter().enumerate().map(|(index, &ty)| Expr::column(index, ty));
    let arguments = columns.chain(constants.iter().cloned().map(Expr::constant)).collect();
    Expr { node: Node::Call { name: name.into(), arguments, site: 7 }, ty }
}

/// Computes an expression for rows of values.
pub fn values(expr: &Expr, types: &[DataType], rows: &[&[Value]]) -> Vec<Value> {
    let columns: Vec<Column> = types
        .iter()
        .enumerate()
        .map(|(place, &ty)| {
            column(ty, &rows.iter().map(|row| row[place].clone()).collect::<Vec<_>>())
        })
        .collect();
    let mut kernel = compile(expr, &[types.len()]).expect("the expression can be computed");
    run(&mut *kernel, &columns, &mut Context::default())
}
