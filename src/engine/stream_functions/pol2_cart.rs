//! `#pol2Cart(theta, rho[, z])`: polar coordinates to Cartesian ones.

use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::expressions::compile;
use crate::engine::operator::Operator;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::stream_functions::StreamFunctionDefinition;
use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Slot;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;

const DOUBLE: &[DataType] = &[DataType::Double];

/// `pol2Cart(…)`
pub const DEFINITION: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: Signature {
        name: "pol2Cart",
        summary: "Adds `x` and `y` of the point at angle `theta`, in degrees, and distance `rho`.",
        traits: &[],
        overloads: &[Overload {
            parameters: &[
                Parameter::any("theta", DOUBLE),
                Parameter::any("rho", DOUBLE),
                Parameter::any("z", DOUBLE).optional(),
            ],
            returns: Returns::Type(DataType::Double),
        }],
        example: "define stream Echoes (bearing double, distance double);
from Echoes#pol2Cart(bearing, distance) select x, y insert into Positions;",
    },
    added: |arguments| match arguments.len() {
        3 => &[("x", DataType::Double), ("y", DataType::Double), ("z", DataType::Double)],
        _ => &[("x", DataType::Double), ("y", DataType::Double)],
    },
    build: |call, library| {
        let layout = [call.types.len()];
        let arguments = call.arguments.iter().map(|argument| compile(argument, &layout, library));
        let mut arguments = arguments.collect::<Result<Vec<_>, _>>()?.into_iter();
        let missing = || ArgumentFault {
            argument: None,
            message: "expected an angle and a distance".to_owned(),
            not_supported: false,
        };
        let theta = arguments.next().ok_or_else(missing)?;
        let rho = arguments.next().ok_or_else(missing)?;
        Ok(Box::new(PolarToCartesian { theta, rho, z: arguments.next() }))
    },
};

struct PolarToCartesian {
    theta: Box<dyn Kernel>,
    rho: Box<dyn Kernel>,
    z: Option<Box<dyn Kernel>>,
}

impl Operator for PolarToCartesian {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        output.extend(input, 0, input.len());
        let frame = Frame::new(&input.columns, &input.timestamps);
        let theta = self.theta.evaluate(&frame, context);
        let rho = self.rho.evaluate(&frame, context);
        let [x, y, rest @ ..] = &mut output.columns[input.columns.len()..] else {
            panic!("the step adds at least two columns");
        };
        for row in 0..input.len() {
            if theta.is_null(row) || rho.is_null(row) {
                x.push_null();
                y.push_null();
                continue;
            }
            let (angle, distance) = (theta.doubles()[row].to_radians(), rho.doubles()[row]);
            append(x, distance * libm::cos(angle));
            append(y, distance * libm::sin(angle));
        }
        if let (Some(kernel), [z]) = (&mut self.z, rest) {
            z.extend(kernel.evaluate(&frame, context), 0, input.len());
        }
    }

    fn forget(&mut self, _: Slot) {}

    fn save(&self, _: &mut StateWriter) {}

    fn load(&mut self, _: &mut StateReader<'_>) -> Result<(), LoadError> {
        Ok(())
    }
}

/// A column nobody reads is absent and stays so.
fn append(column: &mut Column, value: f64) {
    column.push(&crate::event::Value::Double(value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::library::Library;
    use crate::engine::stream_functions::testing::call;
    use crate::engine::stream_functions::testing::rows;
    use crate::event::Value;
    use crate::plan::expression::Expr;

    #[test]
    fn points_are_where_angle_and_distance_say() {
        let types = [DataType::Double; 3];
        let arguments = (0..3).map(|place| Expr::column(place, DataType::Double)).collect();
        let call = call("pol2Cart", arguments, &types);
        let mut step = (DEFINITION.build)(&call, &Library::standard()).expect("it is well typed");
        let values = |values: [f64; 3]| values.map(Value::Double);
        let null = [Value::Null, Value::Double(1.0), Value::Null];
        let input = rows(&types, &[&values([0.0, 2.0, 7.0]), &values([90.0, 3.0, -1.0]), &null]);
        let mut output = Batch::new(&[DataType::Double; 6]);
        step.run(&input, &mut Context::default(), &mut output);
        let row = |row: usize| -> Vec<Option<f64>> {
            output.row(row)[3..].iter().map(Value::as_double).collect()
        };
        assert_eq!(row(0), [Some(2.0), Some(0.0), Some(7.0)]);
        assert!(row(1)[0].expect("not null").abs() < 1e-15);
        assert_eq!(row(1)[1..], [Some(3.0), Some(-1.0)]);
        assert_eq!(row(2), [None, None, None]);
        assert_eq!(output.timestamps, input.timestamps);
    }

    #[test]
    fn a_third_coordinate_comes_with_a_third_argument() {
        let arguments = [0, 1, 2].map(|place| Expr::column(place, DataType::Double));
        assert_eq!((DEFINITION.added)(&arguments[..2]).len(), 2);
        assert_eq!((DEFINITION.added)(&arguments)[2].0, "z");
    }
}
