//! `#geo:closestPoints(longitude, latitude, fence)`: where a place, or a shape, is closest to a
//! fence.

use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::expressions::by_row::Trouble;
use crate::engine::expressions::compile;
use crate::engine::geometry::Shape;
use crate::engine::operator::Operator;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::stream_functions::StreamFunctionDefinition;
use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Slot;
use crate::event::Value;
use crate::plan::expression::Expr;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;

const DOUBLE: &[DataType] = &[DataType::Double];
const TEXT: &[DataType] = &[DataType::Text];
const FENCE: Parameter = Parameter::constant("fence", TEXT);

/// `geo:closestPoints(…)`
pub const DEFINITION: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: Signature {
        name: "geo:closestPoints",
        summary: "Adds the point of a place, or a shape, that is closest to a fence, and that of \
                  the fence which is closest to it. As in Siddhi the attributes named after the \
                  latitude hold the longitude, and the other way round.",
        traits: &[],
        overloads: &[
            Overload {
                parameters: &[
                    Parameter::any("longitude", DOUBLE),
                    Parameter::any("latitude", DOUBLE),
                    FENCE,
                ],
                returns: Returns::Type(DataType::Object),
            },
            Overload {
                parameters: &[Parameter::any("geometry", TEXT), FENCE],
                returns: Returns::Type(DataType::Object),
            },
        ],
        example: r#"define stream Ships (name string, lon double, lat double);
from Ships#geo:closestPoints(lon, lat, "{'type': 'LineString', 'coordinates': [[8, 54], [9, 54]]}")
select name, closestPointOf2From1Latitude as lon, closestPointOf2From1Longitude as lat
insert into Landfalls;"#,
    },
    added: |_| {
        &[
            ("closestPointOf1From2Latitude", DataType::Double),
            ("closestPointOf1From2Longitude", DataType::Double),
            ("closestPointOf2From1Latitude", DataType::Double),
            ("closestPointOf2From1Longitude", DataType::Double),
        ]
    },
    build: |call, library| {
        let (fence_at, moving) = (call.arguments.len() - 1, &call.arguments);
        let text = moving[fence_at].as_constant().and_then(Value::as_text);
        let fence = Shape::parse(text.unwrap_or_default());
        let fence = fence.map_err(|why| ArgumentFault::at(fence_at, why.into_owned()))?;
        let kernel = |argument: &Expr| compile(argument, &[call.types.len()], library);
        let arguments = moving[..fence_at].iter().map(kernel).collect::<Result<_, _>>()?;
        Ok(Box::new(ClosestPoints { arguments, fence }))
    },
};

struct ClosestPoints {
    /// A longitude and a latitude, or a shape.
    arguments: Vec<Box<dyn Kernel>>,
    fence: Shape,
}

impl ClosestPoints {
    /// What is added to a row; nulls where it says of no place.
    fn points(&self, columns: &[Column], row: usize) -> Result<[Value; 4], Trouble> {
        if columns.iter().any(|column| column.is_null(row)) {
            return Ok([const { Value::Null }; 4]);
        }
        let shape = match columns {
            [shape] => Shape::parse(&shape.texts()[row])?,
            _ => Shape::point((columns[0].doubles()[row], columns[1].doubles()[row])),
        };
        let found = shape.closest(&self.fence);
        let numbers = [found.one.0, found.one.1, found.other.0, found.other.1];
        Ok(numbers.map(Value::Double))
    }
}

impl Operator for ClosestPoints {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        let frame = Frame::new(&input.columns, &input.timestamps);
        let columns: Vec<Column> =
            self.arguments.iter_mut().map(|each| each.evaluate(&frame, context).clone()).collect();
        let mut chunk = output.len();
        for row in 0..input.len() {
            match self.points(&columns, row) {
                Ok(points) => {
                    output.push_from(input, row, input.kind(row), input.timestamps[row]);
                    let added = output.columns[input.columns.len()..].iter_mut().zip(&points);
                    added.for_each(|(column, value)| column.push(value));
                }
                Err(why) => context.fault(row, format!("`geo:closestPoints`: {why}")),
            }
            if !input.chunk_continues(row) {
                output.join_chunk(chunk);
                chunk = output.len();
            }
        }
    }

    fn forget(&mut self, _: Slot) {}

    fn save(&self, _: &mut StateWriter) {}

    fn load(&mut self, _: &mut StateReader<'_>) -> Result<(), LoadError> {
        Ok(())
    }
}
