//! Functions that choose among their arguments: `coalesce`, `default`, `ifThenElse`, `maximum`,
//! `minimum`.

use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::expressions::Native;
use crate::engine::expressions::Operand;
use crate::engine::expressions::lift::Output;
use crate::engine::expressions::native::for_number;
use crate::engine::expressions::native::for_type;
use crate::engine::functions::FunctionDefinition;
use crate::engine::functions::FunctionSetup;
use crate::event::Column;
use crate::event::DataType;
use crate::plan::signature::ANY;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::NUMBER;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;

/// `coalesce(x, …)`
pub const COALESCE: FunctionDefinition = FunctionDefinition {
    signature: Signature {
        name: "coalesce",
        summary: "The first argument that is not null; all are of one type.",
        traits: &[],
        overloads: &[Overload {
            parameters: &[Parameter::any("value", ANY), Parameter::any("others", ANY).many()],
            returns: Returns::Same(0),
        }],
        example: "define stream Prices (quoted double, estimated double);
from Prices select coalesce(quoted, estimated) as price insert into Known;",
    },
    build: first_present,
};

/// `default(x, constant)`
pub const DEFAULT: FunctionDefinition = FunctionDefinition {
    signature: Signature {
        name: "default",
        summary: "The first argument, or the constant of the same type where that is null.",
        traits: &[],
        overloads: &[Overload {
            parameters: &[Parameter::any("value", ANY), Parameter::constant("otherwise", ANY)],
            returns: Returns::Same(0),
        }],
        example: "define stream Readings (room int, celsius double);
from Readings select room, default(celsius, 0.0) as celsius insert into Complete;",
    },
    build: first_present,
};

/// `ifThenElse(condition, a, b)`
pub const IF_THEN_ELSE: FunctionDefinition = FunctionDefinition {
    signature: Signature {
        name: "ifThenElse",
        summary: "The second argument where the first is true, else the third; both of one type.",
        traits: &[],
        overloads: &[Overload {
            parameters: &[
                Parameter::any("condition", &[DataType::Bool]),
                Parameter::any("then", ANY),
                Parameter::any("otherwise", ANY),
            ],
            returns: Returns::Same(1),
        }],
        example: "define stream Readings (room int, celsius double);
from Readings select room, ifThenElse(celsius > 30.0, 'hot', 'fine') as verdict insert into Felt;",
    },
    build: |setup| for_type!(setup.ty, T => choose::<T>(setup.operands)),
};

/// `maximum(x, …)`
pub const MAXIMUM: FunctionDefinition = FunctionDefinition {
    signature: Signature {
        name: "maximum",
        summary: "The greatest of the arguments that are not null; numbers of one type.",
        traits: &[],
        overloads: &[EXTREME],
        example: "define stream Prices (first double, second double, third double);
from Prices select maximum(first, second, third) as highest insert into Highest;",
    },
    build: |setup| {
        for_number!(setup.ty, T => extreme::<T>(setup.operands, |new, old| new > old),
            else not_a_number(setup.ty))
    },
};

/// `minimum(x, …)`
pub const MINIMUM: FunctionDefinition = FunctionDefinition {
    signature: Signature {
        name: "minimum",
        summary: "The least of the arguments that are not null; numbers of one type.",
        traits: &[],
        overloads: &[EXTREME],
        example: "define stream Prices (first double, second double, third double);
from Prices select minimum(first, second, third) as lowest insert into Lowest;",
    },
    build: |setup| {
        for_number!(setup.ty, T => extreme::<T>(setup.operands, |new, old| new < old),
            else not_a_number(setup.ty))
    },
};

const EXTREME: Overload = Overload {
    parameters: &[Parameter::any("value", NUMBER), Parameter::any("others", NUMBER).many()],
    returns: Returns::Same(0),
};

fn not_a_number(ty: DataType) -> Result<Box<dyn Kernel>, ArgumentFault> {
    Err(ArgumentFault::at(0, format!("expected numbers, found `{ty}`")))
}

fn first_present(setup: FunctionSetup<'_>) -> Result<Box<dyn Kernel>, ArgumentFault> {
    let operands = setup.operands;
    for_type!(setup.ty, T => Ok(Box::new(FirstPresent { operands, output: Output::<T>::new() })))
}

struct FirstPresent<T> {
    operands: Vec<Operand>,
    output: Output<T>,
}

impl<T: Native> Kernel for FirstPresent<T> {
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        let mut operands = self.operands.iter_mut();
        let first = operands.next().expect("the signature asks for an argument");
        let first = first.evaluate(frame, context);
        let rows = frame.len();
        let (output, nulls) = self.output.begin(rows);
        let mut missing = first.nulls.any();
        if missing {
            output.clone_from_slice(&T::rows(first)[..rows]);
            nulls.union(&first.nulls, rows);
        }
        // The other arguments are computed in any case: a call in them may draw chance.
        for other in operands {
            let other = other.evaluate(frame, context);
            if !missing {
                continue;
            }
            let values = T::rows(other);
            missing = false;
            for (row, result) in output.iter_mut().enumerate() {
                if nulls.get(row) {
                    if other.is_null(row) {
                        missing = true;
                    } else {
                        *result = values[row].clone();
                        nulls.unset(row);
                    }
                }
            }
        }
        if first.nulls.any() { self.output.column() } else { first }
    }
}

fn choose<T: Native>(operands: Vec<Operand>) -> Result<Box<dyn Kernel>, ArgumentFault> {
    let [condition, then, otherwise] = three(operands)?;
    Ok(Box::new(Choose { condition, then, otherwise, output: Output::<T>::new() }))
}

fn three(operands: Vec<Operand>) -> Result<[Operand; 3], ArgumentFault> {
    operands.try_into().map_err(|operands: Vec<Operand>| ArgumentFault {
        argument: None,
        message: format!("expected 3 arguments, found {}", operands.len()),
        not_supported: false,
    })
}

struct Choose<T> {
    condition: Operand,
    then: Operand,
    otherwise: Operand,
    output: Output<T>,
}

impl<T: Native> Kernel for Choose<T> {
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        let condition = self.condition.evaluate(frame, context);
        // A null condition holds false.
        let conditions = bool::rows(condition);
        // Both are computed for all rows; what cannot be where nobody asks is no fault.
        let before = context.faults.len();
        let then = self.then.evaluate(frame, context);
        context.pardon(before, |row| !conditions[row]);
        let before = context.faults.len();
        let otherwise = self.otherwise.evaluate(frame, context);
        context.pardon(before, |row| conditions[row]);
        let (output, nulls) = self.output.begin(frame.len());
        let pairs = T::rows(then).iter().zip(T::rows(otherwise));
        for (result, (&holds, (then, otherwise))) in
            output.iter_mut().zip(conditions.iter().zip(pairs))
        {
            *result = if holds { then.clone() } else { otherwise.clone() };
        }
        if then.nulls.any() || otherwise.nulls.any() {
            for (row, &holds) in conditions[..frame.len()].iter().enumerate() {
                if if holds { then.is_null(row) } else { otherwise.is_null(row) } {
                    nulls.set(row);
                }
            }
        }
        self.output.column()
    }
}

fn extreme<T: Native + Copy>(
    operands: Vec<Operand>,
    replaces: impl Fn(T, T) -> bool + Send + 'static,
) -> Result<Box<dyn Kernel>, ArgumentFault> {
    Ok(Box::new(Extreme { operands, output: Output::<T>::new(), replaces }))
}

struct Extreme<T, F> {
    operands: Vec<Operand>,
    output: Output<T>,
    replaces: F,
}

impl<T: Native + Copy, F: Fn(T, T) -> bool + Send> Kernel for Extreme<T, F> {
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        let rows = frame.len();
        let mut operands = self.operands.iter_mut();
        let first = operands.next().expect("the signature asks for an argument");
        let first = first.evaluate(frame, context);
        let (output, nulls) = self.output.begin(rows);
        output.copy_from_slice(&T::rows(first)[..rows]);
        nulls.union(&first.nulls, rows);
        for other in operands {
            let other = other.evaluate(frame, context);
            let values = &T::rows(other)[..rows];
            if !nulls.any() && !other.nulls.any() {
                for (result, &value) in output.iter_mut().zip(values) {
                    *result = if (self.replaces)(value, *result) { value } else { *result };
                }
                continue;
            }
            for (row, (result, &value)) in output.iter_mut().zip(values).enumerate() {
                if other.is_null(row) {
                    continue;
                }
                if nulls.get(row) || (self.replaces)(value, *result) {
                    nulls.unset(row);
                    *result = value;
                }
            }
        }
        self.output.column()
    }
}
