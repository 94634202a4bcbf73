//! `#timeseries:kalmanMinMax` and `kernelMinMax`: the peaks and valleys of a series whose noise is
//! smoothed away.

use crate::engine::context::Context;
use crate::engine::operator::Operator;
use crate::engine::rows::Place;
use crate::engine::rows::Pool;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::stream_functions::StreamFunctionDefinition;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Slot;
use crate::event::Value;
use crate::plan::logical::FunctionCall;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::NUMBER;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;
use crate::plan::signature::WHOLE;
use std::collections::VecDeque;

const DOUBLE: &[DataType] = &[DataType::Double];
const VALUE: Parameter = Parameter::attribute("variable", NUMBER);
const SIZE: Parameter = Parameter::constant("window.size", WHOLE);
const WHICH: Parameter = Parameter::constant("extrema.type", &[DataType::Text]);

/// With a Kalman filter: how many events on either side a peak is greater than.
const AROUND: usize = 10;

/// How many of the rows that were put out last are not put out again.
const REMEMBERED: usize = 6;

/// `timeseries:kalmanMinMax(…)`
pub const BY_KALMAN: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: Signature {
        name: "timeseries:kalmanMinMax",
        summary: "Puts out events that are the greatest or least of the 21 around them, if a \
                  Kalman filter over the latest `window.size` finds a peak or valley too; adds \
                  `extremaType`, which is 'max' or 'min'.",
        traits: &[Trait::Holds],
        overloads: &[Overload {
            parameters: &[
                VALUE,
                Parameter::constant("q", DOUBLE),
                Parameter::constant("r", DOUBLE),
                SIZE,
                WHICH,
            ],
            returns: Returns::Type(DataType::Object),
        }],
        example: "define stream Trades (price double, at long);
from Trades#timeseries:kalmanMinMax(price, 0.000001, 0.0001, 25, 'minmax')
select at, price, extremaType insert into Turns;",
    },
    added: |_| ADDED,
    build: |call, _| {
        let (q, r) = (positive(call, 1)?, positive(call, 2)?);
        build(call, 3, 2 * AROUND, |_| Smoothing::Kalman { q, r })
    },
};

/// `timeseries:kernelMinMax(…)`
pub const BY_KERNEL: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: Signature {
        name: "timeseries:kernelMinMax",
        summary: "Puts out events that are the greatest or least of those around them, if the \
                  latest `window.size`, smoothed by a Gaussian kernel of `bandwidth`, have a peak \
                  or valley near them; adds `extremaType`, which is 'max' or 'min'.",
        traits: &[Trait::Holds],
        overloads: &[Overload {
            parameters: &[VALUE, Parameter::constant("bandwidth", DOUBLE), SIZE, WHICH],
            returns: Returns::Type(DataType::Object),
        }],
        example: "define stream Trades (price double, at long);
from Trades#timeseries:kernelMinMax(price, 3.0, 30, 'max')
select at, price insert into Peaks;",
    },
    added: |_| ADDED,
    build: |call, _| {
        let bandwidth = positive(call, 1)?;
        build(call, 2, 2, |size| Smoothing::Kernel(kernel(bandwidth, size)))
    },
};

const ADDED: &[(&str, DataType)] = &[("extremaType", DataType::Text)];

fn positive(call: &FunctionCall, place: usize) -> Result<f64, ArgumentFault> {
    let value = call.arguments.get(place).and_then(|each| each.as_constant()?.as_double());
    value
        .filter(|value| *value > 0.0)
        .ok_or_else(|| ArgumentFault::at(place, "expected a number above 0, as in `0.0001`"))
}

/// The weights of values at rising distances, as far as there are any.
fn kernel(bandwidth: f64, size: usize) -> Vec<f64> {
    let weight = |distance: usize| {
        let distance = distance as f64;
        libm::exp(-distance * distance / (2.0 * bandwidth * bandwidth))
    };
    (0..=size).map(weight).take_while(|weight| *weight > 0.0).collect()
}

fn build(
    call: &FunctionCall,
    size_at: usize,
    least: usize,
    smoothing: impl FnOnce(usize) -> Smoothing,
) -> Result<Box<dyn Operator>, ArgumentFault> {
    let constant = |place: usize| call.arguments.get(place).and_then(|each| each.as_constant());
    let size = constant(size_at).and_then(Value::as_long).unwrap_or_default();
    let Some(size) = usize::try_from(size).ok().filter(|&size| size >= least) else {
        let message = format!("expected a number of events from {least}, found `{size}`");
        return Err(ArgumentFault::at(size_at, message));
    };
    let which = constant(size_at + 1).and_then(Value::as_text).unwrap_or_default();
    let (peaks, valleys) = match which.to_ascii_lowercase().as_str() {
        "max" => (true, false),
        "min" => (false, true),
        "minmax" => (true, true),
        _ => {
            let message = format!("expected 'min', 'max' or 'minmax', found '{which}'");
            return Err(ArgumentFault::at(size_at + 1, message));
        }
    };
    let column = call.arguments.first().and_then(|argument| argument.as_column());
    let column = column.ok_or_else(|| ArgumentFault::at(0, "expected an attribute"))?;
    Ok(Box::new(Extremes {
        column,
        size,
        smoothing: smoothing(size),
        peaks,
        valleys,
        rows: Pool::new(&call.types, &vec![true; call.types.len()]),
        slots: Vec::new(),
    }))
}

/// How noise is taken from a series.
enum Smoothing {
    /// By the deviations of the process and of its measurement.
    Kalman { q: f64, r: f64 },
    /// By the weights of neighbours.
    Kernel(Vec<f64>),
}

/// The latest rows of a slot.
#[derive(Debug, Default)]
struct Series {
    values: VecDeque<f64>,
    places: VecDeque<Place>,
    /// How many have left.
    gone: u64,
    /// Which rows were put out last, counted from the first that came.
    given: VecDeque<u64>,
}

struct Extremes {
    column: usize,
    size: usize,
    smoothing: Smoothing,
    peaks: bool,
    valleys: bool,
    rows: Pool,
    slots: Vec<Series>,
}

/// The newest place whose value no other one exceeds, among `left` before it and `right` behind it;
/// for a `sign` below 0 the one that is below all these.
fn newest(
    values: &VecDeque<f64>,
    from: usize,
    (left, right): (usize, usize),
    sign: f64,
) -> Option<usize> {
    let count = values.len().checked_sub(from)?;
    let value = |place: usize| sign * values[from + place];
    (left..count.saturating_sub(right)).rev().find(|&place| {
        let here = value(place);
        (place + 1..=place + right).all(|other| value(other) <= here)
            && (place - left..place).rev().all(|other| value(other) <= here)
    })
}

/// The values as a Kalman filter that begins with them sees them.
fn filtered(values: &VecDeque<f64>, q: f64, r: f64) -> VecDeque<f64> {
    let (mut estimate, mut variance) = (0.0, 1.0);
    let step = |value: &f64| {
        let before = variance + q;
        estimate += (value - estimate) * before / (before + r);
        variance = before * r / (before + r);
        estimate
    };
    values.iter().map(step).collect()
}

/// The newest place at which the values, smoothed by a kernel, exceed both their neighbours.
fn newest_smoothed(values: &VecDeque<f64>, kernel: &[f64], sign: f64) -> Option<usize> {
    let smoothed = |place: usize| {
        let first = place.saturating_sub(kernel.len() - 1);
        let last = (place + kernel.len()).min(values.len());
        let (mut sum, mut weights) = (0.0, 0.0);
        for other in first..last {
            let weight = kernel[place.abs_diff(other)];
            sum += weight * values[other];
            weights += weight;
        }
        sign * sum / weights
    };
    let last = values.len().checked_sub(1)?;
    let (mut behind, mut here) = (smoothed(last), smoothed(last.checked_sub(1)?));
    (1..last).rev().find(|&place| {
        let before = smoothed(place - 1);
        let found = here >= behind && here >= before;
        (behind, here) = (here, before);
        found
    })
}

impl Series {
    /// Where a peak or valley lies, among the rows from `from` on, if it has not been put out.
    fn look(
        &mut self,
        from: usize,
        size: usize,
        smoothing: &Smoothing,
        sign: f64,
    ) -> Option<usize> {
        let place = match smoothing {
            Smoothing::Kalman { q, r } => {
                newest(&filtered(&self.values, *q, *r), 0, (2, 2), sign)?;
                newest(&self.values, from, (AROUND, AROUND), sign)?
            }
            Smoothing::Kernel(kernel) => {
                let smooth = newest_smoothed(&self.values, kernel, sign)?;
                let place = newest(&self.values, from, (size / 5, size / 3), sign)?;
                let near = place <= smooth + size / 5 && smooth <= place + size / 2;
                near.then_some(place)?
            }
        };
        let number = self.gone + (from + place) as u64;
        if self.given.contains(&number) {
            return None;
        }
        if self.given.len() == REMEMBERED {
            self.given.pop_front();
        }
        self.given.push_back(number);
        Some(place)
    }
}

impl Extremes {
    fn take(&mut self, input: &Batch, row: usize, value: f64, output: &mut Batch) {
        let slot = input.slot(row);
        if self.slots.len() <= slot as usize {
            self.slots.resize_with(slot as usize + 1, Series::default);
        }
        let place = self.rows.insert(input, row);
        let series = &mut self.slots[slot as usize];
        series.values.push_back(value);
        series.places.push_back(place);
        if series.values.len() <= self.size {
            return;
        }
        let size = self.size;
        let peak = self.peaks.then(|| series.look(0, size, &self.smoothing, 1.0)).flatten();
        // By a kernel, what was found makes the window shorter by one.
        let shortens = matches!(self.smoothing, Smoothing::Kernel(_));
        let from = usize::from(shortens && peak.is_some());
        let valley = self.valleys.then(|| series.look(from, size, &self.smoothing, -1.0)).flatten();
        let mut found = [(peak, 0, "max"), (valley, from, "min")];
        if peak > valley {
            found.reverse();
        }
        let mut leaving = 1;
        for (place, from, which) in found {
            let Some(place) = place else { continue };
            let place = series.places[from + place];
            self.rows.put(place, Kind::Current, self.rows.timestamp(place), slot, output);
            if let Some(added) = output.columns.last_mut() {
                added.push(&Value::from(which));
            }
            leaving += usize::from(shortens);
        }
        for _ in 0..leaving {
            series.values.pop_front();
            series.gone += 1;
            if let Some(place) = series.places.pop_front() {
                self.rows.remove(place);
            }
        }
    }
}

impl Operator for Extremes {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        let mut chunk = output.len();
        for row in 0..input.len() {
            if input.kind(row) == Kind::Current {
                match input.columns[self.column].value(row).as_double() {
                    Some(value) if !value.is_nan() => self.take(input, row, value, output),
                    _ => context.fault(row, "`timeseries`: the value is null or no number"),
                }
            }
            if !input.chunk_continues(row) {
                output.join_chunk(chunk);
                chunk = output.len();
            }
        }
    }

    fn forget(&mut self, slot: Slot) {
        if let Some(series) = self.slots.get_mut(slot as usize) {
            for place in std::mem::take(series).places {
                self.rows.remove(place);
            }
        }
    }

    fn held(&self) -> usize {
        self.rows.held()
    }

    fn save(&self, state: &mut StateWriter) {
        self.rows.save(state);
        state.put(&(self.slots.len() as u32));
        for series in &self.slots {
            state.put(&series.values.iter().copied().collect::<Vec<_>>());
            state.put(&series.places.iter().copied().collect::<Vec<_>>());
            state.put(&series.gone);
            state.put(&series.given.iter().copied().collect::<Vec<_>>());
        }
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.rows.load(state)?;
        self.slots.clear();
        for _ in 0..state.get::<u32>()? {
            let series = Series {
                values: state.get::<Vec<f64>>()?.into(),
                places: state.get::<Vec<Place>>()?.into(),
                gone: state.get()?,
                given: state.get::<Vec<u64>>()?.into(),
            };
            let sound = series.values.len() == series.places.len()
                && series.places.iter().all(|&place| self.rows.holds(place));
            if !sound {
                return Err(LoadError::Malformed);
            }
            self.slots.push(series);
        }
        Ok(())
    }
}
