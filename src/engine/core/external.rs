//! Answers of external tables: who waited for them goes on, or fails.

use crate::engine::context::Fault;
use crate::engine::context::Level;
use crate::engine::context::Note;
use crate::engine::core::PlanCore;
use crate::engine::core::clock::TIMER_CAUSE;
use crate::engine::entry::Outlet;
use crate::engine::external::answer_types;
use crate::engine::pipeline::Cause;
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use crate::plan::answers::Answers;
use crate::plan::logical::Plan;
use crate::plan::logical::QueryId;
use crate::plan::logical::Source;
use std::sync::Arc;

impl PlanCore {
    /// Brings answers to the steps that ask the table; what nobody waits for has no effect.
    pub(super) fn take_answers(&mut self, answers: &Arc<Answers>, outlet: &mut dyn Outlet) {
        let table = self.plan.tables.iter().position(|known| known.name == answers.table);
        let Some(table) = table.filter(|_| fits_answers(&self.plan, answers)) else { return };
        self.context.answers = Some(Arc::clone(answers));
        for place in 0..self.askers.len() {
            let (of, query, port, step) = self.askers[place];
            if of == table {
                self.begin_cause(TIMER_CAUSE | (self.fired + 1));
                let by_row = match self.plan.queries[query].ports[port].source {
                    Source::Stream(stream) => self.streams[stream].by_row,
                    Source::Window(_) => false,
                };
                loop {
                    self.context.by_one = by_row.then_some(false);
                    self.run_query(query, port, Cause::Answered(step), outlet);
                    if self.context.by_one.take() != Some(true) {
                        break;
                    }
                }
                self.fired += u64::from(self.context.entropy.draws > 0);
            }
        }
        self.context.answers = None;
        if !self.in_send {
            self.end_send(outlet);
        }
        self.fire_due(outlet);
    }

    /// Rows that could not be computed after they had waited, or that were of a window: the rows of
    /// the stream that they were are not at hand any more.
    pub(super) fn drop_failed(
        &mut self,
        query: QueryId,
        failed: Vec<Fault>,
        outlet: &mut dyn Outlet,
    ) {
        let name = &self.plan.queries[query].name;
        for fault in failed {
            let text = format!("query `{name}` could not compute a row: {}", fault.message);
            outlet.note(Note { level: Level::Error, text });
        }
    }

    /// Rows that waited in vain go to the fault stream of their stream, or end here.
    pub(super) fn report_failed(&mut self, query: QueryId, outlet: &mut dyn Outlet) {
        for (rows, reasons) in std::mem::take(&mut self.context.failed).parts {
            self.report_part(query, &rows, reasons, outlet);
        }
    }

    fn report_part(
        &mut self,
        query: QueryId,
        rows: &Batch,
        reasons: Vec<Text>,
        outlet: &mut dyn Outlet,
    ) {
        self.context.drops.fault += reasons.len() as u64;
        let plan = Arc::clone(&self.plan);
        let ports = plan.queries[query].ports.iter();
        let mut streams = ports.filter_map(|port| match port.source {
            Source::Stream(stream) => Some(stream),
            Source::Window(_) => None,
        });
        let target = streams.find_map(|id| plan.streams[id].fault);
        let Some(target) = target else {
            let text = format!(
                "query `{}` could not compute {} rows: {}",
                plan.queries[query].name,
                reasons.len(),
                reasons[0]
            );
            return outlet.note(Note { level: Level::Error, text });
        };
        let width = plan.streams[target].schema.len() - 1;
        let mut faults = Batch::new(&plan.streams[target].schema.types());
        for (row, reason) in reasons.into_iter().enumerate() {
            // What only left a window has been a row before.
            if rows.kind(row) == Kind::Current {
                let mut values = rows.row(row);
                values.truncate(width);
                values.push(Value::Object(Arc::new(Structure::Error(reason))));
                faults.push_row(rows.timestamps[row], &values);
            }
        }
        if !faults.is_empty() {
            self.deliver(target, &faults, outlet);
        }
    }
}

/// Whether answers are of an external table of the plan, in its columns.
#[must_use]
pub fn fits_answers(plan: &Plan, answers: &Answers) -> bool {
    let table = plan.tables.iter().position(|known| known.name == answers.table);
    let Some(table) = table.filter(|&table| plan.tables[table].is_external) else { return false };
    let types = answer_types(plan, table);
    let columns = &answers.rows.columns;
    answers.is_whole()
        && types.len() == columns.len()
        && types.iter().zip(columns).all(|(ty, of)| of.values.data_type() == Some(*ty))
}
