//! Rows of streams with a watermark: they wait, and leave in order of event time.
//!
//! The engine's clock goes with the plan's watermark. It stands at a row's event time while the row
//! runs through the plan, and what is due by then fires before it; so the results are those of rows
//! that came in order.

use crate::engine::context::Level;
use crate::engine::context::Note;
use crate::engine::core::PlanCore;
use crate::engine::core::watermarks::Verdict;
use crate::engine::entry::Outlet;
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use crate::plan::logical::StreamId;
use std::sync::Arc;

/// How a stream with a watermark stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatermarkState {
    /// The stream.
    pub stream: StreamId,
    /// Its own watermark, in milliseconds since 1970; `None` before its first row.
    pub watermark: Option<Millis>,
    /// How far it lies behind the clock of arrival at the latest entry, in milliseconds.
    pub lag: Option<Millis>,
    /// The engine's clock, with which rows leave; `None` before any left.
    pub clock: Option<Millis>,
    /// Whether others do not wait for it, since nothing came for too long.
    pub is_idle: bool,
    /// How many rows wait.
    pub waiting: usize,
    /// How many rows came too late.
    pub late: u64,
    /// How many rows said a time too far ahead.
    pub ahead: u64,
    /// How many rows left before their time, since too many waited.
    pub hurried: u64,
}

impl PlanCore {
    /// How each stream with a watermark stands, in order of the plan's text.
    pub fn watermarks(&self) -> impl Iterator<Item = WatermarkState> + '_ {
        let marks = self.watermarks.as_deref();
        let clock = marks.filter(|marks| marks.begun).map(|_| self.context.now);
        marks.into_iter().flat_map(|marks| &marks.streams).map(move |waiting| WatermarkState {
            stream: waiting.stream,
            watermark: waiting.own(),
            lag: waiting.own().map(|own| self.wall.saturating_sub(own)),
            clock,
            is_idle: waiting.is_idle,
            waiting: waiting.held(),
            late: waiting.late,
            ahead: waiting.ahead,
            hurried: waiting.hurried,
        })
    }

    /// Takes rows of the stream at this place among those with a watermark.
    pub(super) fn take_waiting(&mut self, place: usize, batch: &Batch, outlet: &mut dyn Outlet) {
        let wall = self.wall;
        for row in 0..batch.len() {
            let Some(marks) = &mut self.watermarks else { return };
            let verdict = marks.judge(place, batch, row, wall);
            let waiting = &mut marks.streams[place];
            let (time, side) = match verdict {
                Verdict::Waits(time) => {
                    marks.insert(place, batch, row, time, wall);
                    if marks.is_full(place) {
                        self.let_go(outlet);
                        self.hurry(place, outlet);
                    }
                    continue;
                }
                Verdict::Late(time) => {
                    waiting.late += 1;
                    (time, waiting.watermark.late_stream)
                }
                Verdict::Ahead(time) => {
                    waiting.ahead += 1;
                    (time, waiting.watermark.ahead_stream)
                }
                Verdict::Timeless => {
                    self.refuse_timeless(place, batch, row, outlet);
                    continue;
                }
            };
            if let Some(side) = side {
                // What came before it is told of before.
                self.let_go(outlet);
                let mut rows = std::mem::take(&mut self.singles[side]);
                rows.clear();
                rows.push_from(batch, row, Kind::Current, time);
                self.run_at_clock(side, &rows, outlet);
                self.singles[side] = rows;
            }
        }
        self.let_go(outlet);
    }

    /// Lets all rows go that the watermark has passed, and the clock go on to it.
    pub(super) fn let_go(&mut self, outlet: &mut dyn Outlet) {
        while let Some((place, time)) = self.watermarks.as_ref().and_then(|marks| marks.next()) {
            self.advance_clock(time, outlet);
            let Some(marks) = &mut self.watermarks else { return };
            let is_first = !std::mem::replace(&mut marks.begun, true);
            let stream = marks.streams[place].stream;
            let mut rows = std::mem::take(&mut marks.streams[place].leaving);
            rows.clear();
            marks.take(place, time, &mut rows);
            if is_first {
                self.begin_patterns();
            }
            self.run_at_clock(stream, &rows, outlet);
            if let Some(marks) = &mut self.watermarks {
                marks.streams[place].leaving = rows;
            }
        }
        if let Some(marks) = &self.watermarks
            && let Some(reached) = marks.reached.filter(|_| marks.begun)
        {
            self.advance_clock(reached, outlet);
        }
    }

    /// Runs rows that all come at the moment at which the clock stands, each a send of its own.
    fn run_at_clock(&mut self, stream: StreamId, rows: &Batch, outlet: &mut dyn Outlet) {
        let gathers = !self.gatherers.is_empty() || !self.gathering_windows.is_empty();
        let one_by_one = self.streams[stream].by_row || gathers;
        let step = if one_by_one { 1 } else { rows.len() };
        let mut start = 0;
        while start < rows.len() {
            self.begin_cause(self.rows);
            self.rows += step as u64;
            if step == rows.len() {
                self.deliver(stream, rows, outlet);
            } else {
                let mut part = std::mem::take(&mut self.singles[stream]);
                part.clear();
                part.extend(rows, start, start + step);
                self.deliver(stream, &part, outlet);
                self.singles[stream] = part;
            }
            if !self.in_send {
                self.end_send(outlet);
            }
            self.fire_due(outlet);
            start += step;
        }
    }

    /// Lets rows of a stream of which too many wait go before their time.
    fn hurry(&mut self, place: usize, outlet: &mut dyn Outlet) {
        while self.watermarks.as_mut().is_some_and(|marks| marks.hurry(place)) {
            if !std::mem::replace(&mut self.allowance.hurried, true)
                && let Some(marks) = &self.watermarks
            {
                let waiting = &marks.streams[place];
                let name = &self.plan.streams[waiting.stream].name;
                let most = waiting.watermark.buffer;
                let text = format!(
                    "events of `{name}` leave before their time, as more than {most} wait, and \
                     events before them will be late: `buffer.size` of its `@watermark` says how \
                     many can"
                );
                outlet.note(Note { level: Level::Warn, text });
            }
            self.let_go(outlet);
        }
    }

    /// A row without event time: for the fault stream, if there is one.
    fn refuse_timeless(
        &mut self,
        place: usize,
        batch: &Batch,
        row: usize,
        outlet: &mut dyn Outlet,
    ) {
        self.let_go(outlet);
        let Some(marks) = &self.watermarks else { return };
        let waiting = &marks.streams[place];
        let known = &self.plan.streams[waiting.stream];
        let attribute = &known.schema.attributes[waiting.watermark.attribute].name;
        let message = format!("the event time `{attribute}` is null");
        self.context.drops.fault += 1;
        match known.fault {
            None => {
                let text = format!("stream `{}` could not take a row: {message}", known.name);
                outlet.note(Note { level: Level::Error, text });
            }
            Some(fault) => {
                let error = Structure::Error(Text::from(message));
                let mut values = batch.row(row);
                values.push(Value::Object(Arc::new(error)));
                let mut rows = Batch::new(&self.plan.streams[fault].schema.types());
                rows.push_row(self.context.now, &values);
                self.run_at_clock(fault, &rows, outlet);
            }
        }
    }

    /// Moves the clock of arrival on, while watermarks move the engine's: streams fall idle, and
    /// what goes by the clock of arrival fires.
    pub(super) fn advance_arrival(&mut self, target: Millis, outlet: &mut dyn Outlet) {
        loop {
            let timer = self.wall_timers.next_due();
            let idle = self.watermarks.as_ref().and_then(|marks| marks.next_idle());
            let stop = [timer, idle].into_iter().flatten().min();
            let stop = stop.unwrap_or(target).min(target);
            self.wall = self.wall.max(stop);
            let wall = self.wall;
            if self.watermarks.as_mut().is_some_and(|marks| marks.go_on(wall)) {
                self.let_go(outlet);
            }
            if let Some(timer) = self.wall_timers.take_due(stop) {
                self.fire(timer, outlet);
                self.fire_due(outlet);
            } else if idle.is_some_and(|idle| idle <= stop) {
                if let Some(marks) = &mut self.watermarks {
                    marks.fall_idle(wall);
                }
                self.let_go(outlet);
            } else {
                return;
            }
        }
    }

    /// When the clock of arrival next moves the engine's though nothing comes.
    pub(super) fn next_by_watermarks(&self) -> Option<Millis> {
        let marks = self.watermarks.as_ref()?;
        let due = marks
            .ahead_of_arrival
            .and_then(|ahead| self.context.timers.next_due().map(|due| due.saturating_sub(ahead)));
        [due, marks.next_idle()].into_iter().flatten().min()
    }
}
