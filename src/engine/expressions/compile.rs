//! Typed tree to kernels: each node becomes the kernel for its types, with the common cases
//! (a constant on one side) specialised.

use crate::engine::expressions::Kernel;
use crate::engine::expressions::Native;
use crate::engine::expressions::Operand;
use crate::engine::expressions::arithmetic;
use crate::engine::expressions::arithmetic::Side;
use crate::engine::expressions::comparison;
use crate::engine::expressions::leaf;
use crate::engine::expressions::logic;
use crate::engine::expressions::native::for_number;
use crate::engine::functions::FunctionSetup;
use crate::engine::library::Library;
use crate::engine::script;
use crate::event::DataType;
use crate::plan::expression::Comparison;
use crate::plan::expression::Expr;
use crate::plan::expression::InWidth;
use crate::plan::expression::Node;
use crate::plan::logical::Findable;
use crate::plan::signature::ArgumentFault;

/// Makes the kernel of an `in`, which needs rows that no frame holds. Takes what is searched, the
/// condition over the frame's columns and then the table's, how many columns the frame has, and the
/// layout.
pub type CompileIn<'a> =
    &'a dyn Fn(Findable, &Expr, InWidth, &[usize]) -> Result<Box<dyn Kernel>, ArgumentFault>;

/// Makes the kernel of an expression without `in`. `layout` says how many columns each group of the
/// frame has; [`Node::Column`] counts through the groups.
///
/// # Errors
/// A fault of an argument of a function, or that something cannot be run.
pub fn compile(
    expr: &Expr,
    layout: &[usize],
    library: &Library,
) -> Result<Box<dyn Kernel>, ArgumentFault> {
    let no_in = |_: Findable, _: &Expr, _: InWidth, _: &[usize]| {
        Err(ArgumentFault {
            argument: None,
            message: "`in` is not supported at this place".into(),
            not_supported: true,
        })
    };
    compile_with(expr, layout, library, &no_in)
}

/// As [`compile`], with kernels for `in` made by `compile_in`.
///
/// # Errors
/// As [`compile`], and those of `compile_in`.
pub fn compile_with(
    expr: &Expr,
    layout: &[usize],
    library: &Library,
    compile_in: CompileIn<'_>,
) -> Result<Box<dyn Kernel>, ArgumentFault> {
    Compiler { layout, library, compile_in }.kernel(expr)
}

/// Splits a column's number into group and place there.
fn place(layout: &[usize], column: usize) -> (usize, usize) {
    let mut index = column;
    for (part, &width) in layout.iter().enumerate() {
        if index < width {
            return (part, index);
        }
        index -= width;
    }
    panic!("column {column} in a frame of {layout:?} columns: the checked plan is wrong")
}

struct Compiler<'a> {
    layout: &'a [usize],
    library: &'a Library,
    compile_in: CompileIn<'a>,
}

impl Compiler<'_> {
    fn kernel(&self, expr: &Expr) -> Result<Box<dyn Kernel>, ArgumentFault> {
        Ok(match &expr.node {
            Node::Constant(value) => leaf::constant(value, expr.ty),
            Node::Column(column) => {
                let (part, index) = place(self.layout, *column);
                leaf::column(part, index)
            }
            Node::Widen(inner) => leaf::widen(inner.ty, expr.ty, self.operand(inner)?)?,
            Node::Arithmetic(operator, left, right) => {
                for_number!(expr.ty, T => {
                    arithmetic::arithmetic::<T>(*operator, self.side(left)?, self.side(right)?)
                }, else return Err(fault(format!("no arithmetic on `{}`", expr.ty))))
            }
            Node::Compare(operator, left, right) => {
                if !comparison::is_comparable(*operator, left.ty) || left.ty != right.ty {
                    let message = format!("`{}` and `{}` cannot be compared so", left.ty, right.ty);
                    return Err(fault(message));
                }
                match left.ty {
                    DataType::Bool => {
                        comparison::compare::<bool>(*operator, self.side(left)?, self.side(right)?)
                    }
                    DataType::Text => {
                        let is_equality = *operator == Comparison::Equal;
                        comparison::compare_texts(is_equality, self.side(left)?, self.side(right)?)
                    }
                    number => for_number!(number, T => {
                        comparison::compare::<T>(*operator, self.side(left)?, self.side(right)?)
                    }, else unreachable!("objects are not comparable")),
                }
            }
            Node::And(left, right) => logic::and(self.operand(left)?, self.operand(right)?),
            Node::Or(left, right) => logic::or(self.operand(left)?, self.operand(right)?),
            Node::Not(inner) => logic::not(self.operand(inner)?),
            Node::IsNull(inner) => logic::is_null(self.operand(inner)?),
            Node::Call { name, arguments, site } => self.call(expr, name, arguments, *site)?,
            Node::Script { function, arguments } => {
                let operands = arguments.iter().map(|argument| self.operand(argument));
                script::kernel(function, operands.collect::<Result<Vec<_>, _>>()?)?
            }
            Node::In(findable, condition, width) => {
                (self.compile_in)(*findable, condition, *width, self.layout)?
            }
        })
    }

    fn operand(&self, expr: &Expr) -> Result<Operand, ArgumentFault> {
        Ok(match expr.node {
            Node::Column(column) => {
                let (part, index) = place(self.layout, column);
                Operand::Column { part, index }
            }
            _ => Operand::Kernel(self.kernel(expr)?),
        })
    }

    fn side<T: Native>(&self, expr: &Expr) -> Result<Side<T>, ArgumentFault> {
        match expr.as_constant().and_then(T::from_value) {
            Some(value) => Ok(Side::Known(value)),
            None => Ok(Side::Computed(self.operand(expr)?)),
        }
    }

    fn call(
        &self,
        expr: &Expr,
        name: &str,
        arguments: &[Expr],
        site: u32,
    ) -> Result<Box<dyn Kernel>, ArgumentFault> {
        let definition = self.library.find_function(name);
        let definition =
            definition.ok_or_else(|| fault(format!("there is no function `{name}`")))?;
        let operands = arguments.iter().map(|argument| self.operand(argument));
        let operands = operands.collect::<Result<Vec<_>, _>>()?;
        let name = definition.signature.name;
        (definition.build)(FunctionSetup { name, arguments, operands, ty: expr.ty, site })
    }
}

fn fault(message: String) -> ArgumentFault {
    ArgumentFault { argument: None, message, not_supported: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::context::Context;
    use crate::engine::expressions::Frame;
    use crate::event::Column;
    use crate::event::Value;
    use crate::plan::expression::Arithmetic;

    #[test]
    fn columns_are_counted_through_the_groups_of_the_frame() {
        let column = |values: &[i64]| {
            let mut column = Column::new(DataType::Long);
            values.iter().for_each(|&value| column.push(&Value::Long(value)));
            column
        };
        let (input, aggregates) = ([column(&[1, 2, 3])], [column(&[10, 20, 30])]);
        let frame = Frame { parts: [&input, &aggregates, &[]], timestamps: &[0; 3] };
        let sum = Expr {
            node: Node::Arithmetic(
                Arithmetic::Add,
                Box::new(Expr::column(0, DataType::Long)),
                Box::new(Expr::column(1, DataType::Long)),
            ),
            ty: DataType::Long,
        };
        let more = Expr {
            node: Node::Compare(
                Comparison::Greater,
                Box::new(sum),
                Box::new(Expr::constant(Value::Long(11))),
            ),
            ty: DataType::Bool,
        };
        let mut kernel = compile(&more, &[1, 1], &Library::standard()).expect("it is well typed");
        let result = kernel.evaluate(&frame, &mut Context::default());
        assert_eq!(result.bools()[..3], [false, true, true]);
    }
}
