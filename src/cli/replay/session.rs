//! Plays one line after the other and writes what comes out.

use crate::cli::replay::lines;
use crate::cli::replay::lines::Deed;
use crate::engine::context::Level;
use crate::engine::context::Note;
use crate::engine::entry::Outlet;
use crate::event::Batch;
use crate::event::Millis;
use crate::event::Value;
use crate::plan::logical::Plan;
use crate::plan::logical::QueryId;
use crate::plan::logical::StreamId;
use crate::plan::logical::WindowId;
use crate::rehearsal::NoSnapshot;
use crate::rehearsal::Stage;
use crate::rehearsal::fit;
use std::io;
use std::io::Write;
use std::sync::Arc;

/// Why a line could not be played to its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The line is wrong, or a part of it; the next one may be played.
    Line(Vec<String>),
    /// The run cannot go on.
    Failed(String),
    /// Results cannot be written.
    Output(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Output(error)
    }
}

/// A run: a plan on its stage, and where results go.
pub(super) struct Session<W> {
    stage: Stage,
    started: bool,
    lines: Lines,
    output: W,
}

/// Turns what leaves a plan into lines.
struct Lines {
    plan: Arc<Plan>,
    bytes: Vec<u8>,
}

impl Outlet for Lines {
    fn stream(&mut self, stream: StreamId, now: Millis, rows: &Batch) {
        lines::stream_rows(&mut self.bytes, now, &self.plan.streams[stream].name, rows);
    }

    fn query(&mut self, query: QueryId, now: Millis, rows: &Batch) {
        lines::query_rows(&mut self.bytes, now, &self.plan.queries[query].name, rows);
    }

    fn window(&mut self, window: WindowId, now: Millis, rows: &Batch) {
        lines::stream_rows(&mut self.bytes, now, &self.plan.windows[window].name, rows);
    }

    fn note(&mut self, note: Note) {
        let level = match note.level {
            Level::Error => "error",
            Level::Warn => "warning",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        };
        eprintln!("{level}: {}", note.text);
    }
}

impl<W: Write> Session<W> {
    pub(super) fn new(stage: Stage, output: W) -> Session<W> {
        let lines = Lines { plan: Arc::clone(stage.plan()), bytes: Vec::new() };
        Session { stage, started: false, lines, output }
    }

    /// Plays a line. What it brings about is written before this returns.
    pub(super) fn take(&mut self, line: &[u8]) -> Result<(), Stop> {
        let played = match lines::read(line) {
            Ok((at, deed)) => self.play(at, deed),
            Err(message) => Err(Stop::Line(vec![message])),
        };
        self.output.write_all(&self.lines.bytes)?;
        self.output.flush()?;
        self.lines.bytes.clear();
        played
    }

    fn play(&mut self, at: Millis, deed: Deed) -> Result<(), Stop> {
        if !self.started {
            self.started = true;
            self.stage.start(at, &mut self.lines);
        }
        match deed {
            Deed::Move => self.stage.move_to(at, &mut self.lines),
            Deed::Send { stream, rows, timestamps } => {
                return self.send(at, &stream, &rows, timestamps.as_deref());
            }
            Deed::Query(text) => self.query(at, &text),
            Deed::Snapshot => self.stage.snapshot(at, &mut self.lines),
            Deed::Restart => {
                let restarted = self.stage.restart(at, &mut self.lines);
                restarted.map_err(|error| Stop::Failed(error.message))?;
            }
            Deed::Restore => {
                let restored = self.stage.restore(at, &mut self.lines);
                restored.map_err(|error: NoSnapshot| Stop::Failed(error.to_string()))?;
            }
        }
        Ok(())
    }

    fn send(
        &mut self,
        at: Millis,
        name: &str,
        rows: &[Vec<serde_json::Value>],
        timestamps: Option<&[Millis]>,
    ) -> Result<(), Stop> {
        // The clock moves also when nothing of the line can be taken.
        self.stage.move_to(at, &mut self.lines);
        let at = self.stage.at();
        let Some(stream) = self.lines.plan.stream(name) else {
            return Err(Stop::Line(vec![unknown_stream(&self.lines.plan, name)]));
        };
        let schema = &self.lines.plan.streams[stream].schema;
        let mut batch = Batch::new(&schema.types());
        let mut faults = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            let values: Vec<Value> = row.iter().map(lines::value).collect();
            match fit(schema, &values) {
                Ok(values) => {
                    batch.push_row(timestamps.map_or(at, |times| times[place]), &values);
                }
                Err(misfit) => faults.push(format!("row {}: {misfit}", place + 1)),
            }
        }
        for row in 1..batch.len() {
            batch.send_continues.set(row - 1);
        }
        self.stage.feed(at, stream, &batch, &mut self.lines);
        if faults.is_empty() { Ok(()) } else { Err(Stop::Line(faults)) }
    }

    fn query(&mut self, at: Millis, text: &str) {
        match self.stage.query(at, text, &mut self.lines) {
            Ok(rows) => lines::result(&mut self.lines.bytes, self.stage.at(), &rows),
            Err(refusal) => {
                let error = serde_json::json!({
                    "code": refusal.code, "message": refusal.message,
                    "not_supported": refusal.not_supported,
                });
                lines::error(&mut self.lines.bytes, self.stage.at(), &error);
            }
        }
    }
}

fn unknown_stream(plan: &Plan, name: &str) -> String {
    super::unknown("stream", name, plan.streams.iter().map(|stream| stream.name.as_str()))
}
