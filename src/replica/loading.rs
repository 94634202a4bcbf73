//! Rows that a store had when a plan came to it: they enter before anything else happens.

use crate::engine::core::stored::Piece;
use crate::engine::core::stored::fits_table;
use crate::event::Millis;
use crate::event::Text;
use crate::replica::Body;
use crate::replica::Outcome;
use crate::replica::Replica;
use crate::replica::Results;
use crate::replica::apply::Running;

impl Replica {
    /// The tables whose stores have not been asked for their rows yet, in order of the plan's text.
    /// Until they have, nothing but [`Body::Load`] should be applied.
    #[must_use]
    pub fn unloaded(&self) -> Vec<Text> {
        let Some(running) = &self.running else { return Vec::new() };
        let tables = running.machine.unloaded().into_iter();
        tables.map(|table| running.made.plan.tables[table].name.clone()).collect()
    }
}

impl Running {
    /// Lets happen what is to happen at the start, unless rows are to come first.
    pub(super) fn begin(&mut self, now: Millis, results: &mut Results) {
        if self.machine.unloaded().is_empty() {
            self.machine.apply(now, None, results);
        }
    }

    /// Takes a piece of the rows that a table's store had.
    pub(super) fn load(&mut self, now: Millis, body: &Body, results: &mut Results) -> Outcome {
        let Body::Load { table, is_first, is_last, batch } = body else { return Outcome::Done };
        let plan = &self.made.plan;
        let id = plan.tables.iter().position(|known| known.name == *table);
        let Some(id) = id.filter(|&id| fits_table(plan, id, batch)) else {
            let reason = format!("no table `{table}` with a store and these attributes");
            return Outcome::Refused(reason);
        };
        if !self.machine.unloaded().contains(&id) {
            return Outcome::Refused(format!("the table `{table}` has its rows already"));
        }
        let piece = Piece { rows: batch, is_first: *is_first, is_last: *is_last };
        self.machine.fill(id, piece);
        if *is_last {
            self.begin(now, results);
        }
        Outcome::Done
    }
}
