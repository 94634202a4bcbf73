//! `#timeseries:regress`, `forecast` and `outlier`, by rows and by time: the line through the
//! latest points, what it says of another `x`, and whether a point lies far from it.

use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::expressions::compile;
use crate::engine::library::Library;
use crate::engine::operator::Operator;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::stream_functions::StreamFunctionDefinition;
use crate::engine::stream_functions::least_squares::Line;
use crate::engine::stream_functions::least_squares::Sums;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Slot;
use crate::event::Value;
use crate::plan::expression::Expr;
use crate::plan::logical::FunctionCall;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;
use crate::plan::signature::WHOLE;
use std::collections::VecDeque;

const DOUBLE: &[DataType] = &[DataType::Double];
const INTERVAL: Parameter = Parameter::constant("calculation.interval", WHOLE);
const MOST: Parameter = Parameter::constant("batch.size", WHOLE);
const CONFIDENCE: Parameter = Parameter::constant("confidence.interval", DOUBLE);
const TIME: Parameter = Parameter::constant("time.window", WHOLE);
const Y: Parameter = Parameter::any("y", DOUBLE);
const X: Parameter = Parameter::any("x", DOUBLE);
const MORE_X: Parameter = Parameter::any("more.x", DOUBLE).many();
const NEXT_X: Parameter = Parameter::any("next.x", DOUBLE);
const RANGE: Parameter = Parameter::any("range", DOUBLE);

const REGRESS: &[Overload] =
    &[takes(&[INTERVAL, MOST, CONFIDENCE, Y, X, MORE_X]), takes(&[Y, X, MORE_X])];
const FORECAST: &[Overload] =
    &[takes(&[INTERVAL, MOST, CONFIDENCE, NEXT_X, Y, X]), takes(&[NEXT_X, Y, X])];
const OUTLIER: &[Overload] =
    &[takes(&[INTERVAL, MOST, CONFIDENCE, RANGE, Y, X]), takes(&[RANGE, Y, X])];
const TIMED_REGRESS: &[Overload] =
    &[takes(&[TIME, MOST, INTERVAL, CONFIDENCE, Y, X, MORE_X]), takes(&[TIME, MOST, Y, X, MORE_X])];
const TIMED_FORECAST: &[Overload] =
    &[takes(&[TIME, MOST, NEXT_X, INTERVAL, CONFIDENCE, Y, X]), takes(&[TIME, MOST, NEXT_X, Y, X])];
const TIMED_OUTLIER: &[Overload] =
    &[takes(&[TIME, MOST, RANGE, INTERVAL, CONFIDENCE, Y, X]), takes(&[TIME, MOST, RANGE, Y, X])];

const fn takes(parameters: &'static [Parameter]) -> Overload {
    Overload { parameters, returns: Returns::Type(DataType::Object) }
}

/// As many `x` as there may be.
const MOST_X: usize = 15;

/// What a line adds: its error, then its coefficients.
const LINE: &[(&str, DataType)] = &[
    ("stderr", DataType::Double),
    ("beta0", DataType::Double),
    ("beta1", DataType::Double),
    ("beta2", DataType::Double),
    ("beta3", DataType::Double),
    ("beta4", DataType::Double),
    ("beta5", DataType::Double),
    ("beta6", DataType::Double),
    ("beta7", DataType::Double),
    ("beta8", DataType::Double),
    ("beta9", DataType::Double),
    ("beta10", DataType::Double),
    ("beta11", DataType::Double),
    ("beta12", DataType::Double),
    ("beta13", DataType::Double),
    ("beta14", DataType::Double),
    ("beta15", DataType::Double),
];
const WITH_FORECAST: &[(&str, DataType)] = &[LINE[0], LINE[1], LINE[2], ("forecastY", LINE[0].1)];
const WITH_OUTLIER: &[(&str, DataType)] = &[LINE[0], LINE[1], LINE[2], ("outlier", DataType::Bool)];

/// What is asked of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    Line,
    Forecast,
    Outlier,
}

const fn define(
    name: &'static str,
    summary: &'static str,
    overloads: &'static [Overload],
    example: &'static str,
) -> Signature {
    Signature { name, summary, traits: &[Trait::Holds], overloads, example }
}

/// `timeseries:regress(…)`
pub const OF_ROWS: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: define(
        "timeseries:regress",
        "Adds the standard error `stderr` and the coefficients `beta0`, `beta1`, ... of the line \
         `y = beta0 + beta1 * x + ...` through all points so far, or the latest `batch.size`.",
        REGRESS,
        "define stream Loads (users double, jobs double, watts double);
from Loads#timeseries:regress(1, 1000, 0.95, watts, users, jobs)
select beta0 as idle, beta1 as perUser, beta2 as perJob insert into Costs;",
    ),
    added: |arguments| {
        let xs = arguments.len().saturating_sub(places(Asks::Line, false, arguments).y + 1);
        &LINE[..2 + xs.min(MOST_X)]
    },
    build: |call, library| build(Asks::Line, false, call, library),
};

/// `timeseries:forecast(…)`
pub const FORECAST_OF_ROWS: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: define(
        "timeseries:forecast",
        "Adds to the line through the points so far, or the latest `batch.size`, what it says of \
         another `x`, as `forecastY`.",
        FORECAST,
        "define stream Fills (at double, litres double);
from Fills#timeseries:forecast(at + 3600, litres, at)
select at, litres, forecastY as inAnHour insert into Forecasts;",
    ),
    added: |_| WITH_FORECAST,
    build: |call, library| build(Asks::Forecast, false, call, library),
};

/// `timeseries:outlier(…)`
pub const OUTLIER_OF_ROWS: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: define(
        "timeseries:outlier",
        "Adds whether the point lies more than `range` times the standard error from the line \
         through those before it, as `outlier`; it is of the next line itself.",
        OUTLIER,
        "define stream Pumps (rpm double, bar double);
from Pumps#timeseries:outlier(1, 500, 0.95, 4, bar, rpm)[outlier]
select rpm, bar insert into Alarms;",
    ),
    added: |_| WITH_OUTLIER,
    build: |call, library| build(Asks::Outlier, false, call, library),
};

/// `timeseries:lengthTimeRegress(…)`
pub const OF_TIME: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: define(
        "timeseries:lengthTimeRegress",
        "As `timeseries:regress`, through the points of the last `time.window`, and of these the \
         latest `batch.size`.",
        TIMED_REGRESS,
        "define stream Loads (users double, watts double);
from Loads#timeseries:lengthTimeRegress(10 min, 10000, watts, users)
select beta1 as perUser insert into Costs;",
    ),
    added: |arguments| {
        let xs = arguments.len().saturating_sub(places(Asks::Line, true, arguments).y + 1);
        &LINE[..2 + xs.min(MOST_X)]
    },
    build: |call, library| build(Asks::Line, true, call, library),
};

/// `timeseries:lengthTimeForecast(…)`
pub const FORECAST_OF_TIME: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: define(
        "timeseries:lengthTimeForecast",
        "As `timeseries:forecast`, through the points of the last `time.window`, and of these the \
         latest `batch.size`.",
        TIMED_FORECAST,
        "define stream Fills (at double, litres double);
from Fills#timeseries:lengthTimeForecast(1 hour, 1000, at + 600, litres, at)
select forecastY as inTenMinutes insert into Forecasts;",
    ),
    added: |_| WITH_FORECAST,
    build: |call, library| build(Asks::Forecast, true, call, library),
};

/// `timeseries:lengthTimeOutlier(…)`
pub const OUTLIER_OF_TIME: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: define(
        "timeseries:lengthTimeOutlier",
        "As `timeseries:outlier`, by the points of the last `time.window`, and of these the \
         latest `batch.size`.",
        TIMED_OUTLIER,
        "define stream Pumps (rpm double, bar double);
from Pumps#timeseries:lengthTimeOutlier(5 min, 500, 4, bar, rpm)[outlier]
select rpm, bar insert into Alarms;",
    ),
    added: |_| WITH_OUTLIER,
    build: |call, library| build(Asks::Outlier, true, call, library),
};

/// Where the arguments stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Places {
    time: Option<usize>,
    most: Option<usize>,
    interval: Option<usize>,
    confidence: Option<usize>,
    /// The range, or the other `x`.
    extra: Option<usize>,
    y: usize,
}

fn places(asks: Asks, timed: bool, arguments: &[Expr]) -> Places {
    let extra = usize::from(asks != Asks::Line);
    let known =
        |place: usize| arguments.get(place).is_some_and(|each| each.as_constant().is_some());
    if timed {
        let at = 2 + extra;
        let long = known(at) && known(at + 1);
        Places {
            time: Some(0),
            most: Some(1),
            extra: (extra > 0).then_some(2),
            interval: long.then_some(at),
            confidence: long.then_some(at + 1),
            y: if long { at + 2 } else { at },
        }
    } else {
        let long = known(0) && known(1) && known(2) && arguments.len() >= 5 + extra;
        let at = if long { 3 } else { 0 };
        Places {
            time: None,
            interval: long.then_some(0),
            most: long.then_some(1),
            confidence: long.then_some(2),
            extra: (extra > 0).then_some(at),
            y: at + extra,
        }
    }
}

fn build(
    asks: Asks,
    timed: bool,
    call: &FunctionCall,
    library: &Library,
) -> Result<Box<dyn Operator>, ArgumentFault> {
    let places = places(asks, timed, &call.arguments);
    let constant = |place: Option<usize>| call.arguments.get(place?)?.as_constant();
    let number = |place: Option<usize>, what: &str| {
        let Some(value) = constant(place).and_then(Value::as_long) else { return Ok(None) };
        match (place, value) {
            (Some(place), ..1) => {
                let message = format!("expected {what} from 1, found `{value}`");
                Err(ArgumentFault::at(place, message))
            }
            _ => Ok(Some(value)),
        }
    };
    let confidence = constant(places.confidence).and_then(Value::as_double).unwrap_or(0.95);
    if !(0.0..=1.0).contains(&confidence) {
        let message = format!("expected a share from 0.0 to 1.0, found `{confidence}`");
        return Err(ArgumentFault::at(places.confidence.unwrap_or_default(), message));
    }
    let points = call.arguments.get(places.y..).unwrap_or_default();
    if points.len() > MOST_X + 1 {
        let message = format!("expected at most {MOST_X} attributes behind `y`");
        return Err(ArgumentFault::at(places.y + MOST_X + 1, message));
    }
    let kernel = |argument: &Expr| compile(argument, &[call.types.len()], library);
    Ok(Box::new(Regression {
        asks,
        time: number(places.time, "a time")?,
        most: number(places.most, "a number of events")?.map(|most| most as usize),
        interval: number(places.interval, "a number of events")?.unwrap_or(1).unsigned_abs(),
        confidence,
        extra: match places.extra.and_then(|place| call.arguments.get(place)) {
            Some(extra) => Some(kernel(extra)?),
            None => None,
        },
        point: points.iter().map(kernel).collect::<Result<_, _>>()?,
        name: call.name.to_string(),
        slots: Vec::new(),
        left_out: 0,
    }))
}

/// The points of a slot.
#[derive(Debug, Default)]
struct Running {
    sums: Sums,
    /// The points in the sums, one number after the other, as far as they will leave.
    points: VecDeque<f64>,
    /// When each of them came, where they leave by time.
    times: VecDeque<Millis>,
    /// How many points have come.
    seen: u64,
    /// The last line.
    line: Option<Line>,
}

struct Regression {
    asks: Asks,
    /// How long a point counts, and how many do.
    time: Option<Millis>,
    most: Option<usize>,
    /// Every which row gets a line; the others end here.
    interval: u64,
    confidence: f64,
    extra: Option<Box<dyn Kernel>>,
    /// `y`, then each `x`.
    point: Vec<Box<dyn Kernel>>,
    name: String,
    slots: Vec<Running>,
    left_out: u64,
}

impl Regression {
    /// Takes a point; the line to be put out with it, and what is asked of that.
    fn take(
        &mut self,
        slot: Slot,
        point: &[f64],
        extra: f64,
        now: Millis,
    ) -> Option<(Line, Value)> {
        if self.slots.len() <= slot as usize {
            self.slots.resize_with(slot as usize + 1, Running::default);
        }
        let running = &mut self.slots[slot as usize];
        running.sums.enter(point);
        if self.most.is_some() {
            running.points.extend(point);
        }
        if let Some(time) = self.time {
            running.times.push_back(now);
            while running.times.front().is_some_and(|came| came.saturating_add(time) <= now) {
                running.times.pop_front();
                running.drop_oldest(point.len());
            }
        }
        if self.most.is_some_and(|most| running.points.len() / point.len() > most) {
            running.times.pop_front();
            running.drop_oldest(point.len());
        }
        running.seen += 1;
        if !running.seen.is_multiple_of(self.interval) {
            return None;
        }
        let line = running.sums.line(point.len() + 1, self.confidence);
        let answer = match self.asks {
            Asks::Line => Value::Null,
            Asks::Forecast => Value::Double(line.at(extra)),
            Asks::Outlier => {
                let before = running.line.replace(line.clone());
                let far = |before: Line| {
                    let (middle, reach) = (before.at(point[1]), extra * before.error);
                    point[0] < middle - reach || point[0] > middle + reach
                };
                Value::Bool(before.is_some_and(far))
            }
        };
        Some((line, answer))
    }
}

impl Running {
    fn drop_oldest(&mut self, width: usize) {
        let oldest: Vec<f64> = self.points.drain(..width).collect();
        self.sums.leave(&oldest);
    }

    /// Whether all of it is of points of so many numbers.
    fn is_sound(&self, width: usize, timed: bool) -> bool {
        self.sums.are_of(width + 1)
            && self.points.len().is_multiple_of(width)
            && self.times.len() == if timed { self.points.len() / width } else { 0 }
            && self.line.as_ref().is_none_or(|line| line.coefficients.len() == width)
    }
}

impl Operator for Regression {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        let frame = Frame::new(&input.columns, &input.timestamps);
        let point: Vec<_> =
            self.point.iter_mut().map(|each| each.evaluate(&frame, context).clone()).collect();
        let extra = self.extra.as_mut().map(|extra| extra.evaluate(&frame, context).clone());
        let mut values = vec![0.0; point.len()];
        let mut chunk = output.len();
        for row in 0..input.len() {
            if input.kind(row) == Kind::Current {
                let usable = point
                    .iter()
                    .chain(&extra)
                    .all(|column| !column.is_null(row) && column.doubles()[row].abs() <= GREATEST);
                if usable {
                    for (value, column) in values.iter_mut().zip(&point) {
                        *value = column.doubles()[row];
                    }
                    let extra = extra.as_ref().map_or(0.0, |extra| extra.doubles()[row]);
                    let slot = input.slot(row);
                    match self.take(slot, &values, extra, context.now) {
                        Some((line, answer)) => put(input, row, &line, &answer, output),
                        None => self.left_out += 1,
                    }
                } else {
                    let what = "an argument is null, no number, or beyond 1e100";
                    context.fault(row, format!("`{}`: {what}", self.name));
                }
            }
            if !input.chunk_continues(row) {
                output.join_chunk(chunk);
                chunk = output.len();
            }
        }
    }

    fn forget(&mut self, slot: Slot) {
        if let Some(running) = self.slots.get_mut(slot as usize) {
            *running = Running::default();
        }
    }

    fn left_out(&self) -> Option<u64> {
        Some(self.left_out)
    }

    fn save(&self, state: &mut StateWriter) {
        state.put(&self.left_out);
        state.put(&(self.slots.len() as u32));
        for running in &self.slots {
            state.put(&running.sums);
            state.put(&running.points.iter().copied().collect::<Vec<_>>());
            state.put(&running.times.iter().copied().collect::<Vec<_>>());
            state.put(&running.seen);
            state.put(&running.line);
        }
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.left_out = state.get()?;
        self.slots.clear();
        for _ in 0..state.get::<u32>()? {
            let running = Running {
                sums: state.get()?,
                points: state.get::<Vec<f64>>()?.into(),
                times: state.get::<Vec<Millis>>()?.into(),
                seen: state.get()?,
                line: state.get()?,
            };
            if !running.is_sound(self.point.len(), self.time.is_some()) {
                return Err(LoadError::Malformed);
            }
            self.slots.push(running);
        }
        Ok(())
    }
}

/// Numbers whose squares can be added up for ever.
const GREATEST: f64 = 1e100;

/// Puts out a row with its line and what was asked of that.
fn put(input: &Batch, row: usize, line: &Line, answer: &Value, output: &mut Batch) {
    output.push_from(input, row, Kind::Current, input.timestamps[row]);
    let values = std::iter::once(line.error).chain(line.coefficients.iter().copied());
    let values = values.map(Value::Double).chain(std::iter::once(answer.clone()));
    for (column, value) in output.columns[input.columns.len()..].iter_mut().zip(values) {
        column.push(&value);
    }
}
