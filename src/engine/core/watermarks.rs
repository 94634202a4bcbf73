//! Event time: what waits until the clock has come to it, and how far the clock may go.
//!
//! A stream's watermark is the newest event time seen less the bound on lateness: nothing earlier
//! is waited for. The plan's watermark is the least of them, and never goes back. All this is a
//! function of the rows and of the clock of arrival that the log's entries bring.

use crate::engine::rows::Place;
use crate::engine::rows::Pool;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Millis;
use crate::plan::logical::Plan;
use crate::plan::logical::StreamId;
use crate::plan::watermark::Watermark;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The section of what belongs to no stream.
pub(super) const SECTION: &str = "watermarks";

pub(super) const VERSION: u16 = 1;

/// Streams with a watermark, and the watermark of the plan.
pub(super) struct Watermarks {
    pub(super) streams: Vec<Waiting>,
    /// The plan's watermark; `None` while a stream is waited for that has none yet.
    pub(super) reached: Option<Millis>,
    /// Whether the engine's clock goes with the watermark: from the first row that is let go.
    pub(super) begun: bool,
    /// How far the engine's clock stands before that of arrival, while all streams are idle: then
    /// it goes on with that one.
    pub(super) ahead_of_arrival: Option<Millis>,
    /// How many rows were taken; rows of one event time leave in this order.
    arrivals: u64,
}

/// A stream with a watermark.
pub(super) struct Waiting {
    pub(super) stream: StreamId,
    pub(super) watermark: Watermark,
    /// The greatest event time of a row that was taken.
    pub(super) newest: Option<Millis>,
    /// When the latest row was taken, by the clock of arrival; at first, when the plan started.
    pub(super) heard: Millis,
    pub(super) is_idle: bool,
    /// How many rows were put aside, by reason.
    pub(super) late: u64,
    pub(super) ahead: u64,
    /// How many rows left before their time, since too many waited.
    pub(super) hurried: u64,
    /// The rows that wait; what stands for a row's own time is the number of its arrival.
    rows: Pool,
    order: BinaryHeap<Reverse<Turn>>,
    /// Rows on their way.
    pub(super) leaving: Batch,
}

/// When a row that waits leaves: by event time, then by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    time: Millis,
    arrival: u64,
    place: Place,
}

/// What becomes of a row that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It waits for its time.
    Waits(Millis),
    /// The watermark has passed it.
    Late(Millis),
    /// It says a time at which nothing can have happened yet.
    Ahead(Millis),
    /// It has no event time.
    Timeless,
}

impl Watermarks {
    /// Of a plan that is to start; `None` if none of its streams has a watermark.
    pub(super) fn new(plan: &Plan) -> Option<Box<Watermarks>> {
        let streams = plan.streams.iter().enumerate();
        let streams: Vec<Waiting> = streams
            .filter_map(|(stream, known)| {
                let types = known.schema.types();
                Some(Waiting::new(stream, known.watermark.clone()?, &types))
            })
            .collect();
        let empty = Watermarks {
            streams,
            reached: None,
            begun: false,
            ahead_of_arrival: None,
            arrivals: 0,
        };
        (!empty.streams.is_empty()).then(|| Box::new(empty))
    }

    /// The place of a stream among those with a watermark.
    pub(super) fn place(&self, stream: StreamId) -> Option<usize> {
        self.streams.iter().position(|waiting| waiting.stream == stream)
    }

    /// The plan starts, by the clock of arrival.
    pub(super) fn start(&mut self, at: Millis) {
        self.streams.iter_mut().for_each(|waiting| waiting.heard = at);
    }

    /// How many rows wait.
    pub(super) fn held(&self) -> usize {
        self.streams.iter().map(Waiting::held).sum()
    }

    /// What becomes of a row of the stream at `place` that comes at `wall`.
    #[inline]
    pub(super) fn judge(&self, place: usize, batch: &Batch, row: usize, wall: Millis) -> Verdict {
        let watermark = &self.streams[place].watermark;
        let column = &batch.columns[watermark.attribute];
        if column.is_null(row) {
            return Verdict::Timeless;
        }
        let time = column.longs()[row];
        if watermark.ahead.is_some_and(|ahead| time > wall.saturating_add(ahead)) {
            Verdict::Ahead(time)
        } else if self.reached.is_some_and(|reached| time < reached) {
            Verdict::Late(time)
        } else {
            Verdict::Waits(time)
        }
    }

    /// Takes a row that waits, at `wall`.
    #[inline]
    pub(super) fn insert(
        &mut self,
        place: usize,
        batch: &Batch,
        row: usize,
        time: Millis,
        wall: Millis,
    ) {
        let arrival = self.arrivals;
        self.arrivals += 1;
        let waiting = &mut self.streams[place];
        let at = waiting.rows.insert_at(batch, row, arrival as Millis);
        waiting.order.push(Reverse(Turn { time, arrival, place: at }));
        let was_idle = std::mem::take(&mut waiting.is_idle);
        waiting.heard = wall;
        if was_idle || waiting.newest.is_none_or(|newest| time > newest) {
            waiting.newest = waiting.newest.max(Some(time));
            self.settle(wall);
        }
    }

    /// Moves the plan's watermark as far as it may go at `wall`.
    pub(super) fn settle(&mut self, wall: Millis) {
        let awake = || self.streams.iter().filter(|waiting| !waiting.is_idle);
        if awake().next().is_some() {
            self.ahead_of_arrival = None;
            // One that has none yet is waited for.
            let least = awake().map(Waiting::own).min().flatten();
            self.reached = self.reached.max(least);
        } else if self.ahead_of_arrival.is_none() {
            // Nothing is waited for any more.
            let newest = self.streams.iter().filter_map(|waiting| waiting.newest).max();
            self.reached = self.reached.max(newest);
            self.ahead_of_arrival = self.reached.map(|reached| reached.saturating_sub(wall));
        }
    }

    /// The plan's watermark goes on with the clock of arrival, if all streams are idle.
    pub(super) fn go_on(&mut self, wall: Millis) -> bool {
        if let Some(ahead) = self.ahead_of_arrival {
            self.reached = self.reached.max(Some(wall.saturating_add(ahead)));
        }
        self.ahead_of_arrival.is_some()
    }

    /// When a stream is idle next, by the clock of arrival.
    pub(super) fn next_idle(&self) -> Option<Millis> {
        let awake = self.streams.iter().filter(|waiting| !waiting.is_idle);
        awake.filter_map(Waiting::idle_at).min()
    }

    /// Streams of which nothing came for too long are waited for no more.
    pub(super) fn fall_idle(&mut self, wall: Millis) {
        for waiting in &mut self.streams {
            waiting.is_idle |= waiting.idle_at().is_some_and(|due| due <= wall);
        }
        self.settle(wall);
    }

    /// The stream whose row leaves next, and the row's event time, if the watermark has passed it.
    #[inline]
    pub(super) fn next(&self) -> Option<(usize, Millis)> {
        let reached = self.reached?;
        let first = |(place, waiting): (usize, &Waiting)| {
            let Reverse(turn) = waiting.order.peek()?;
            (turn.time <= reached).then_some((turn.time, turn.arrival, place))
        };
        let next = self.streams.iter().enumerate().filter_map(first).min()?;
        Some((next.2, next.0))
    }

    /// Takes out the rows of a stream that leave next, one after the other, at one event time.
    pub(super) fn take(&mut self, place: usize, time: Millis, output: &mut Batch) {
        let others = self.streams.iter().enumerate().filter(|(other, _)| *other != place);
        let first = |(_, waiting): (usize, &Waiting)| {
            let Reverse(turn) = waiting.order.peek()?;
            Some((turn.time, turn.arrival))
        };
        let other = others.filter_map(first).min();
        let waiting = &mut self.streams[place];
        while let Some(&Reverse(turn)) = waiting.order.peek()
            && turn.time == time
            && other.is_none_or(|other| (turn.time, turn.arrival) < other)
        {
            waiting.order.pop();
            waiting.rows.put(turn.place, Kind::Current, time, 0, output);
            waiting.rows.remove(turn.place);
        }
        if waiting.order.is_empty() {
            waiting.rows.shrink();
        }
    }

    /// Whether too many rows of a stream wait.
    #[inline]
    pub(super) fn is_full(&self, place: usize) -> bool {
        let waiting = &self.streams[place];
        waiting.held() > waiting.watermark.buffer
    }

    /// Where too many rows of a stream wait, the plan's watermark goes to the first of them. Says
    /// whether that is so.
    pub(super) fn hurry(&mut self, place: usize) -> bool {
        if !self.is_full(place) {
            return false;
        }
        let waiting = &mut self.streams[place];
        let Some(Reverse(first)) = waiting.order.peek() else { return false };
        waiting.hurried += 1;
        self.reached = self.reached.max(Some(first.time));
        true
    }

    /// Writes what belongs to no stream.
    pub(super) fn save(&self, state: &mut StateWriter) {
        state.put(&self.reached);
        state.put(&self.begun);
        state.put(&self.ahead_of_arrival);
        state.put(&self.arrivals);
    }

    /// Takes what [`Watermarks::save`] wrote.
    pub(super) fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.reached = state.get()?;
        self.begun = state.get()?;
        self.ahead_of_arrival = state.get()?;
        self.arrivals = state.get()?;
        Ok(())
    }
}

impl Waiting {
    fn new(stream: StreamId, watermark: Watermark, types: &[DataType]) -> Waiting {
        Waiting {
            stream,
            watermark,
            newest: None,
            heard: 0,
            is_idle: false,
            late: 0,
            ahead: 0,
            hurried: 0,
            rows: Pool::new(types, &vec![true; types.len()]),
            order: BinaryHeap::new(),
            leaving: Batch::new(types),
        }
    }

    /// How many rows wait.
    #[inline]
    pub(super) fn held(&self) -> usize {
        self.order.len()
    }

    /// The stream's own watermark.
    #[inline]
    pub(super) fn own(&self) -> Option<Millis> {
        self.newest.map(|newest| newest.saturating_sub(self.watermark.lateness))
    }

    /// Counts begin anew, as those of all that was dropped do.
    pub(super) fn count_anew(&mut self) {
        (self.late, self.ahead, self.hurried) = (0, 0, 0);
    }

    fn idle_at(&self) -> Option<Millis> {
        self.watermark.idle.map(|idle| self.heard.saturating_add(idle))
    }

    /// Writes all state: the rows by handle. In which order they leave follows from them.
    pub(super) fn save(&self, state: &mut StateWriter) {
        state.put(&(self.newest, self.is_idle));
        state.put(&self.heard);
        state.put(&vec![self.late, self.ahead, self.hurried]);
        self.rows.save(state);
    }

    /// Takes what [`Waiting::save`] wrote.
    pub(super) fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        (self.newest, self.is_idle) = state.get()?;
        self.heard = state.get()?;
        let counts: Vec<u64> = state.get()?;
        let [late, ahead, hurried] = counts[..] else { return Err(LoadError::Malformed) };
        (self.late, self.ahead, self.hurried) = (late, ahead, hurried);
        self.rows.load(state)?;
        let mut turns = Vec::with_capacity(self.rows.held());
        for place in self.rows.places() {
            let (column, row) = self.rows.column(self.watermark.attribute, place);
            let time = column.longs()[row];
            let arrival = self.rows.timestamp(place) as u64;
            turns.push(Reverse(Turn { time, arrival, place }));
        }
        self.order = BinaryHeap::from(turns);
        Ok(())
    }
}
