//! Periods counted by an attribute's clock: where the open batch of each slot ends, and when it is
//! put out before that.

use crate::engine::context::Context;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::WindowSetup;
use crate::engine::windows::alarms::Alarms;
use crate::engine::windows::time_batch::next_end;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Millis;
use crate::event::Slot;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Count;
use crate::plan::signature::Form;
use crate::plan::signature::Parameter;
use crate::plan::signature::WHOLE;

/// The argument that says from where batches are counted.
pub const START: Parameter =
    Parameter { name: "start.time", types: WHOLE, form: Form::Any, count: Count::One };

/// From where batches are counted.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// From the first row's time.
    First,
    /// From a fixed time.
    At(Millis),
    /// From the value that a column has in the first row.
    Column(usize),
}

/// How far a slot is.
#[derive(Clone, Copy, Debug)]
struct Progress {
    /// From where batches are counted.
    start: Millis,
    /// Where the open batch ends.
    end: Millis,
    /// The greatest time seen.
    last: Millis,
    /// When the batch was last looked after by the engine's clock, or will be.
    due: Millis,
    /// Whether the open batch has been put out already.
    flushed: bool,
}

impl Encode for Progress {
    fn encode(&self, out: &mut Vec<u8>) {
        ((self.start, self.end), (self.last, self.due)).encode(out);
        self.flushed.encode(out);
    }
    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let ((start, end), (last, due)) = Encode::decode(from)?;
        Ok(Progress { start, end, last, due, flushed: bool::decode(from)? })
    }
}

/// How the open batch is put out.
#[derive(Clone, Copy, Debug)]
pub struct Closing {
    /// The time that rows which leave carry: the greatest seen.
    pub last: Millis,
    /// Whether it has been put out before, without what came since.
    pub again: bool,
}

/// The periods of all slots.
#[derive(Debug)]
pub struct Periods {
    column: usize,
    period: Millis,
    start: Start,
    timeout: Option<Millis>,
    progress: Vec<Option<Progress>>,
    alarms: Alarms,
}

impl Periods {
    /// From the arguments at `place` and behind it: the attribute, the period, the start and the
    /// time-out, of which the last two may be left out.
    ///
    /// # Errors
    /// Which argument it cannot take.
    pub fn new(setup: &WindowSetup<'_>, place: usize) -> Result<Periods, ArgumentFault> {
        let start = match setup.arguments.get(place + 2) {
            None => Start::First,
            Some(start) if start.as_constant().is_some() => Start::At(setup.number(place + 2)?),
            Some(start) if start.ty == DataType::Long => Start::Column(setup.column(place + 2)?),
            Some(_) => {
                let message = "expected a constant or an attribute of type `long`";
                return Err(ArgumentFault::at(place + 2, message));
            }
        };
        let timeout = match setup.arguments.get(place + 3) {
            Some(_) => Some(setup.number(place + 3)?).filter(|&timeout| timeout > 0),
            None => None,
        };
        Ok(Periods {
            column: setup.column(place)?,
            period: setup.period(place + 1)?,
            start,
            timeout,
            progress: Vec::new(),
            alarms: Alarms::default(),
        })
    }

    /// The column that holds the time.
    pub fn column(&self) -> usize {
        self.column
    }

    /// Whether batches are put out before they end.
    pub fn puts_out_early(&self) -> bool {
        self.timeout.is_some()
    }

    /// Takes note of a row; says how the open batch is put out, if it ends before the row.
    pub fn note(&mut self, batch: &Batch, row: usize, context: &mut Context) -> Option<Closing> {
        let slot = batch.slot(row);
        let time = batch.columns[self.column].longs()[row];
        let mut progress = match self.progress.get(slot as usize) {
            Some(Some(progress)) => *progress,
            _ => self.begin(time, batch, row, context),
        };
        progress.last = progress.last.max(time);
        let closing = (time >= progress.end).then(|| {
            let closing = Closing { last: progress.last, again: progress.flushed };
            progress.flushed = false;
            progress.end = next_end(progress.last, progress.start, self.period);
            progress.due = self.timeout.map_or(0, |timeout| context.now.saturating_add(timeout));
            closing
        });
        self.look_after(slot, &mut progress, context);
        self.set_progress(slot, progress);
        closing
    }

    /// Where the open batch of a slot that has noted a row ends.
    pub fn end(&self, slot: Slot) -> Millis {
        self.progress.get(slot as usize).copied().flatten().map_or(0, |progress| progress.end)
    }

    /// Says how the open batch is put out, if the time of the slot is out.
    pub fn wake(&mut self, due: Millis, slot: Slot) -> Option<Closing> {
        if !self.alarms.take(due, slot) {
            return None;
        }
        let progress = self.progress.get_mut(slot as usize)?.as_mut()?;
        let again = std::mem::replace(&mut progress.flushed, true);
        Some(Closing { last: progress.last, again })
    }

    /// The first batch of a slot.
    fn begin(&self, time: Millis, batch: &Batch, row: usize, context: &Context) -> Progress {
        let (start, end) = match self.start {
            Start::First => (time, time.saturating_add(self.period)),
            Start::At(start) => (start, next_end(time, start, self.period)),
            Start::Column(column) => {
                let start = batch.columns[column].longs()[row];
                (start, start.saturating_add(self.period))
            }
        };
        let due = self.timeout.map_or(0, |timeout| context.now.saturating_add(timeout));
        Progress { start, end, last: time, due, flushed: false }
    }

    /// Makes sure that the slot is woken when its time is out. What would be woken for nothing is
    /// not woken, but the times are counted on.
    fn look_after(&mut self, slot: Slot, progress: &mut Progress, context: &mut Context) {
        let Some(timeout) = self.timeout else { return };
        if progress.due <= context.now {
            progress.due = next_end(context.now, progress.due, timeout);
        }
        self.alarms.set(progress.due, slot, context);
    }

    fn set_progress(&mut self, slot: Slot, progress: Progress) {
        let place = slot as usize;
        if self.progress.len() <= place {
            self.progress.resize(place + 1, None);
        }
        self.progress[place] = Some(progress);
    }

    /// Drops what is known of a slot.
    pub fn forget(&mut self, slot: Slot) {
        self.alarms.forget(slot);
        if let Some(progress) = self.progress.get_mut(slot as usize) {
            *progress = None;
        }
    }

    /// Writes how far the slots are.
    pub fn save(&self, state: &mut StateWriter) {
        state.put(&self.progress);
        self.alarms.save(state);
    }

    /// Takes what [`Periods::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.progress = state.get()?;
        self.alarms.load(state)
    }
}
