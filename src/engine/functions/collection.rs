//! Functions on sets: `createSet`, `sizeOfSet`.

use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::expressions::Native;
use crate::engine::expressions::Operand;
use crate::engine::expressions::lift::Output;
use crate::engine::expressions::lift::map_nullable;
use crate::engine::expressions::native::for_type;
use crate::engine::functions::FunctionDefinition;
use crate::engine::functions::FunctionSetup;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Structure;
use crate::event::Value;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;
use std::sync::Arc;

/// `createSet(x)`
pub const CREATE_SET: FunctionDefinition = FunctionDefinition {
    signature: Signature {
        name: "createSet",
        summary: "A set that holds the value alone.",
        traits: &[],
        overloads: &[Overload {
            parameters: &[Parameter::any(
                "value",
                &[
                    DataType::Int,
                    DataType::Long,
                    DataType::Float,
                    DataType::Double,
                    DataType::Bool,
                    DataType::Text,
                ],
            )],
            returns: Returns::Type(DataType::Object),
        }],
        example: "define stream Trades (symbol string);
from Trades select createSet(symbol) as symbols insert into Sets;",
    },
    build: create_set,
};

/// `sizeOfSet(set)`
pub const SIZE_OF_SET: FunctionDefinition = FunctionDefinition {
    signature: Signature {
        name: "sizeOfSet",
        summary: "How many values a set holds; 0 for null.",
        traits: &[],
        overloads: &[Overload {
            parameters: &[Parameter::any("set", &[DataType::Object])],
            returns: Returns::Type(DataType::Int),
        }],
        example: "define stream Trades (symbol string);
from Trades select createSet(symbol) as symbols insert into Sets;
from Sets#window.lengthBatch(10) select unionSet(symbols) as symbols insert into Unions;
from Unions select sizeOfSet(symbols) as count insert into Counts;",
    },
    build: size_of_set,
};

fn create_set(setup: FunctionSetup<'_>) -> Result<Box<dyn Kernel>, ArgumentFault> {
    let from = setup.arguments[0].ty;
    let operand = setup.operands.into_iter().next().expect("the signature asks for an argument");
    Ok(for_type!(from, T => map_nullable(operand, |value: Option<&T>| {
        let value = value.cloned().map_or(Value::Null, T::into_value);
        Value::Object(Arc::new(Structure::Set(vec![value])))
    })))
}

fn size_of_set(setup: FunctionSetup<'_>) -> Result<Box<dyn Kernel>, ArgumentFault> {
    let operand = setup.operands.into_iter().next().expect("the signature asks for an argument");
    Ok(Box::new(SizeOfSet { operand, output: Output::new() }))
}

struct SizeOfSet {
    operand: Operand,
    output: Output<i32>,
}

impl Kernel for SizeOfSet {
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        let input = self.operand.evaluate(frame, context);
        let (output, _) = self.output.begin(frame.len());
        for (row, (result, value)) in output.iter_mut().zip(Value::rows(input)).enumerate() {
            *result = match value {
                Value::Null => 0,
                Value::Object(object) => match &**object {
                    Structure::Set(values) => i32::try_from(values.len()).unwrap_or(i32::MAX),
                    Structure::List(_) | Structure::Map(_) | Structure::Error(_) => {
                        context.fault(row, "`sizeOfSet` expected a set, found another object");
                        0
                    }
                },
                other => {
                    let ty = other.data_type().expect("null was seen above");
                    context.fault(row, format!("`sizeOfSet` expected a set, found a `{ty}`"));
                    0
                }
            };
        }
        self.output.column()
    }
}
