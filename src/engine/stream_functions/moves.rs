//! `#geo:crosses`, `stationary` and `proximity`: things that move, and when something about where
//! they are changes.

use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::expressions::by_row::Trouble;
use crate::engine::expressions::compile;
use crate::engine::geometry::Place;
use crate::engine::geometry::Shape;
use crate::engine::geometry::distance;
use crate::engine::library::Library;
use crate::engine::operator::Operator;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::stream_functions::StreamFunctionDefinition;
use crate::engine::stream_functions::neighbours::Neighbours;
use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Map;
use crate::event::Slot;
use crate::event::Text;
use crate::event::Value;
use crate::plan::expression::Expr;
use crate::plan::logical::FunctionCall;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;

const DOUBLE: &[DataType] = &[DataType::Double];
const TEXT: &[DataType] = &[DataType::Text];
const ID: Parameter = Parameter::any("id", TEXT);
const LONGITUDE: Parameter = Parameter::any("longitude", DOUBLE);
const LATITUDE: Parameter = Parameter::any("latitude", DOUBLE);
const RADIUS: Parameter = Parameter::constant("radius", DOUBLE);

const fn takes(parameters: &'static [Parameter]) -> Overload {
    Overload { parameters, returns: Returns::Type(DataType::Object) }
}

/// `geo:crosses(…)`
pub const CROSSES: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: Signature {
        name: "geo:crosses",
        summary: "Passes an event when the thing named by `id` has come into a fence, or has left \
                  it; adds `crosses`, which says whether it came. Shapes are GeoJSON.",
        traits: &[Trait::Holds, Trait::Lasts],
        overloads: &[
            takes(&[ID, LONGITUDE, LATITUDE, Parameter::constant("fence", TEXT)]),
            takes(&[ID, Parameter::any("geometry", TEXT), Parameter::constant("fence", TEXT)]),
        ],
        example: r#"define stream Rides (car string, lon double, lat double);
from Rides#geo:crosses(car, lon, lat, "{'type': 'Circle', 'coordinates': [8, 47], 'radius': 900}")
select car, crosses as came insert into Visits;"#,
    },
    added: |_| &[("crosses", DataType::Bool)],
    build: |call, library| {
        let place = call.arguments.len() - 1;
        let text = call.arguments[place].as_constant().and_then(Value::as_text);
        let fence = Shape::parse(text.unwrap_or_default());
        let fence = fence.map_err(|why| ArgumentFault::at(place, why.into_owned()))?;
        build(call, library, Watches::Fence(fence))
    },
};

/// `geo:stationary(…)`
pub const STATIONARY: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: Signature {
        name: "geo:stationary",
        summary: "Passes an event when the thing named by `id` has stayed within `radius` metres \
                  of where it was, or moves on; adds `stationary`, which says whether it stayed.",
        traits: &[Trait::Holds, Trait::Lasts],
        overloads: &[takes(&[ID, LONGITUDE, LATITUDE, RADIUS])],
        example: "define stream Rides (car string, lon double, lat double);
from Rides#geo:stationary(car, lon, lat, 50.0)
select car, stationary as stands insert into Stops;",
    },
    added: |_| &[("stationary", DataType::Bool)],
    build: |call, library| build(call, library, Watches::Rest(radius(call)?)),
};

/// `geo:proximity(…)`
pub const PROXIMITY: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: Signature {
        name: "geo:proximity",
        summary: "Passes an event for each other thing to which the one named by `id` has come \
                  within `radius` metres, or from which it has gone away; adds the other's id as \
                  `proximityWith`, one for both of them as `proximityID`, and as \
                  `inCloseProximity` whether it came.",
        traits: &[Trait::Holds, Trait::Lasts],
        overloads: &[takes(&[ID, LONGITUDE, LATITUDE, RADIUS])],
        example: "define stream Ships (name string, lon double, lat double);
from Ships#geo:proximity(name, lon, lat, 500.0)
select name, proximityWith as other, inCloseProximity as near insert into Encounters;",
    },
    added: |_| {
        &[
            ("proximityWith", DataType::Text),
            ("proximityID", DataType::Text),
            ("inCloseProximity", DataType::Bool),
        ]
    },
    build: |call, library| build(call, library, Watches::Others(radius(call)?)),
};

fn radius(call: &FunctionCall) -> Result<f64, ArgumentFault> {
    let radius = call.arguments.get(3).and_then(|each| each.as_constant()?.as_double());
    radius
        .filter(|radius| *radius > 0.0)
        .ok_or_else(|| ArgumentFault::at(3, "expected metres above 0, as in `50.0`"))
}

fn build(
    call: &FunctionCall,
    library: &Library,
    watches: Watches,
) -> Result<Box<dyn Operator>, ArgumentFault> {
    // The fence is known, and so is the radius.
    let moving = &call.arguments[..call.arguments.len() - 1];
    let kernel = |argument: &Expr| compile(argument, &[call.types.len()], library);
    Ok(Box::new(Moves {
        watches,
        arguments: moving.iter().map(kernel).collect::<Result<_, _>>()?,
        name: call.name.to_string(),
        slots: Vec::new(),
        left_out: 0,
    }))
}

/// What is looked at.
enum Watches {
    /// Whether a thing is in a fence.
    Fence(Shape),
    /// Whether a thing stays within so many metres.
    Rest(f64),
    /// Which other things are within so many metres.
    Others(f64),
}

/// What is known of the things of a slot.
#[derive(Debug, Default)]
struct Things {
    /// Those that are in the fence; where those that rest, or move, were when they did so first,
    /// and whether they rest.
    known: Map<Text, (Place, bool)>,
    neighbours: Neighbours,
}

struct Moves {
    watches: Watches,
    /// The id, and where the thing is.
    arguments: Vec<Box<dyn Kernel>>,
    name: String,
    slots: Vec<Things>,
    left_out: u64,
}

/// Where the arguments of a row say that a thing is.
fn position(columns: &[Column], row: usize) -> Result<(Text, Position<'_>), Trouble> {
    if columns.iter().any(|column| column.is_null(row)) {
        return Err("an argument is null".into());
    }
    let id = columns[0].texts()[row].clone();
    Ok(match columns {
        [_, shape] => (id, Position::Shape(&shape.texts()[row])),
        _ => (id, Position::Place((columns[1].doubles()[row], columns[2].doubles()[row]))),
    })
}

enum Position<'a> {
    Place(Place),
    Shape(&'a Text),
}

impl Moves {
    fn take(
        &mut self,
        columns: &[Column],
        input: &Batch,
        row: usize,
        output: &mut Batch,
    ) -> Result<(), Trouble> {
        let (id, position) = position(columns, row)?;
        let slot = input.slot(row);
        let shape = match position {
            Position::Place(place) => Shape::point(place),
            Position::Shape(text) => Shape::parse(text)?,
        };
        if self.slots.len() <= slot as usize {
            self.slots.resize_with(slot as usize + 1, Things::default);
        }
        let things = &mut self.slots[slot as usize];
        let changed = match (&self.watches, position) {
            (Watches::Fence(fence), _) => {
                let is_in = shape.closest(fence).metres <= 0.0;
                let was_in = match is_in {
                    true => things.known.insert(id, ((0.0, 0.0), true)).is_some(),
                    false => things.known.remove(&id).is_some(),
                };
                (is_in != was_in).then_some(is_in)
            }
            (Watches::Rest(radius), Position::Place(at)) => things.rest(id, at, *radius),
            (Watches::Others(radius), Position::Place(at)) => {
                let met = things.neighbours.go(&id, at, *radius);
                self.left_out += u64::from(met.is_empty());
                for (other, near) in met {
                    let both = if id < other { [&id, &other] } else { [&other, &id] };
                    let both = Text::from(format!("{},{}", both[0], both[1]));
                    let added = [Value::Text(other), Value::Text(both), Value::Bool(near)];
                    put(input, row, &added, output);
                }
                return Ok(());
            }
            (_, Position::Shape(_)) => None,
        };
        match changed {
            Some(changed) => put(input, row, &[Value::Bool(changed)], output),
            None => self.left_out += 1,
        }
        Ok(())
    }
}

impl Things {
    /// Takes where a thing is; whether it rests, if that has changed.
    fn rest(&mut self, id: Text, at: Place, radius: f64) -> Option<bool> {
        let Some((from, rests)) = self.known.get_mut(&id) else {
            self.known.insert(id, (at, false));
            return None;
        };
        let stays = distance(*from, at) <= radius;
        if !stays {
            *from = at;
        }
        let changed = stays != *rests;
        *rests = stays;
        changed.then_some(stays)
    }
}

fn put(input: &Batch, row: usize, added: &[Value], output: &mut Batch) {
    output.push_from(input, row, Kind::Current, input.timestamps[row]);
    for (column, value) in output.columns[input.columns.len()..].iter_mut().zip(added) {
        column.push(value);
    }
}

impl Operator for Moves {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        let frame = Frame::new(&input.columns, &input.timestamps);
        let columns: Vec<Column> =
            self.arguments.iter_mut().map(|each| each.evaluate(&frame, context).clone()).collect();
        let mut chunk = output.len();
        for row in 0..input.len() {
            if input.kind(row) == Kind::Current
                && let Err(why) = self.take(&columns, input, row, output)
            {
                context.fault(row, format!("`{}`: {why}", self.name));
            }
            if !input.chunk_continues(row) {
                output.join_chunk(chunk);
                chunk = output.len();
            }
        }
    }

    fn forget(&mut self, slot: Slot) {
        if let Some(things) = self.slots.get_mut(slot as usize) {
            *things = Things::default();
        }
    }

    fn left_out(&self) -> Option<u64> {
        Some(self.left_out)
    }

    fn save(&self, state: &mut StateWriter) {
        state.put(&self.left_out);
        state.put(&(self.slots.len() as u32));
        for things in &self.slots {
            let mut known: Vec<_> = things.known.iter().collect();
            known.sort_unstable_by(|one, other| one.0.cmp(other.0));
            state.put(&(known.len() as u32));
            for (id, (place, rests)) in known {
                state.put(id);
                state.put(place);
                state.put(rests);
            }
            things.neighbours.save(state);
        }
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.left_out = state.get()?;
        self.slots.clear();
        for _ in 0..state.get::<u32>()? {
            let mut things = Things::default();
            for _ in 0..state.get::<u32>()? {
                let id: Text = state.get()?;
                things.known.insert(id, (state.get()?, state.get()?));
            }
            let radius = match self.watches {
                Watches::Others(radius) => radius,
                Watches::Fence(_) | Watches::Rest(_) => 0.0,
            };
            things.neighbours.load(radius, state)?;
            self.slots.push(things);
        }
        Ok(())
    }
}
