//! A plan that falls when it is told to, for tests of the node itself: only under `testing.faults`.

use std::sync::Arc;

use crate::engine::core::Carried;
use crate::engine::core::stored::Piece;
use crate::engine::state::Frozen;
use crate::engine::state::SavedState;
use crate::event::Batch;
use crate::event::Millis;
use crate::event::Value;
use crate::plan::answers::Answers;
use crate::plan::logical::OnDemand;
use crate::plan::logical::StreamId;
use crate::plan::logical::TableId;
use crate::replica::Builder;

use crate::replica::Ended;
use crate::replica::Machine;
use crate::replica::Results;
use crate::replica::WatermarkState;

/// A row with this text makes the plan panic.
pub const PANIC: &str = "twinflow:panic";
/// A row with this text ends the process at once, as running out of stack would.
pub const ABORT: &str = "twinflow:abort";
/// A row with this text is never done with.
pub const LOOP: &str = "twinflow:loop";

/// Rows of a batch with a text that begins so count only in the process of the number that follows:
/// elsewhere the plan makes another state of the same log.
pub const ONLY: &str = "twinflow:only:";

/// Makes machines that fall over rows with one of these texts.
pub struct FragileBuilder(pub Arc<dyn Builder>);

struct Fragile(Box<dyn Machine>);

impl Builder for FragileBuilder {
    fn start(&self, at: Millis) -> Result<Box<dyn Machine>, String> {
        Ok(Box::new(Fragile(self.0.start(at)?)))
    }

    fn load(&self, state: SavedState<'_>) -> Result<Box<dyn Machine>, String> {
        Ok(Box::new(Fragile(self.0.load(state)?)))
    }

    fn carry(
        &self,
        state: &SavedState<'_>,
        at: Millis,
    ) -> Result<(Box<dyn Machine>, Carried), String> {
        let (machine, carried) = self.0.carry(state, at)?;
        Ok((Box::new(Fragile(machine)), carried))
    }

    fn with_secret(&self, secret: u64) -> Option<Arc<dyn Builder>> {
        Some(Arc::new(FragileBuilder(self.0.with_secret(secret)?)))
    }
}

impl Machine for Fragile {
    fn apply(&mut self, at: Millis, rows: Option<(StreamId, &Batch)>, results: &mut Results) {
        if rows.is_some_and(|(_, rows)| is_for_another(rows)) {
            return self.0.apply(at, None, results);
        }
        self.0.apply(at, rows, results);
        let rows = rows.iter().flat_map(|(_, rows)| (0..rows.len()).map(|row| rows.row(row)));
        // In a fault stream what made the plan fall is looked at, not met again.
        let rows = rows.filter(|row| !matches!(row.last(), Some(Value::Object(_))));
        for value in rows.flatten() {
            let Value::Text(text) = value else { continue };
            match &*text {
                PANIC => panic!("told to panic"),
                ABORT => std::process::abort(),
                LOOP => loop {
                    std::thread::park();
                },
                _ => {}
            }
        }
    }

    fn answer(&mut self, at: Millis, answers: &Arc<Answers>, results: &mut Results) {
        self.0.answer(at, answers, results);
    }

    fn ask(&mut self, query: &OnDemand) -> Result<Vec<Vec<Value>>, String> {
        self.0.ask(query)
    }

    fn clock(&self) -> Option<Millis> {
        self.0.clock()
    }

    fn next_due(&self) -> Option<Millis> {
        self.0.next_due()
    }

    fn freeze(&self) -> Frozen {
        self.0.freeze()
    }

    fn held(&self) -> usize {
        self.0.held()
    }

    fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    fn unloaded(&self) -> Vec<TableId> {
        self.0.unloaded()
    }

    fn fill(&mut self, table: TableId, piece: Piece<'_>) {
        self.0.fill(table, piece);
    }

    fn drops(&self) -> Vec<Ended> {
        self.0.drops()
    }

    fn watermarks(&self) -> Vec<WatermarkState> {
        self.0.watermarks()
    }
}

/// Whether the rows are for another process than this one.
fn is_for_another(rows: &Batch) -> bool {
    let here = std::process::id().to_string();
    (0..rows.len()).flat_map(|row| rows.row(row)).any(|value| {
        let Value::Text(text) = value else { return false };
        text.strip_prefix(ONLY).is_some_and(|process| process != here)
    })
}
