//! A filter that asks external tables: each row waits for its answers, and passes if the condition
//! holds with them.

use crate::engine::build::BuildError;
use crate::engine::build::Builder;
use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::external::asking::Asking;
use crate::engine::external::queue::Queue;
use crate::engine::external::queue::TOO_MANY;
use crate::engine::operator::Operator;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::expression::Expr;
use crate::plan::expression::Node;
use crate::plan::logical::Findable;
use crate::plan::logical::TableId;
use crate::plan::outside::external_ins;
use std::collections::BTreeSet;

/// Keeps rows for which a condition is true that asks an external table once or more.
pub struct ExternalFilter {
    asking: Vec<Asking>,
    queue: Queue,
    /// The condition over the rows' columns and then one a question: whether anything was found.
    condition: Box<dyn Kernel>,
    answers: Vec<Column>,
    part: Batch,
    counts: bool,
    left_out: u64,
}

impl ExternalFilter {
    /// For rows of the given columns. Where it `counts`, what it leaves out ends here.
    ///
    /// # Errors
    /// If the condition cannot be run, or asks several tables.
    pub fn build(
        condition: &Expr,
        types: &[DataType],
        counts: bool,
        builder: &Builder<'_>,
    ) -> Result<ExternalFilter, BuildError> {
        let ins = external_ins(condition);
        let mut asking = Vec::new();
        let mut found = Vec::new();
        for each in &ins {
            let Node::In(Findable::External(table), on, _) = &each.node else { continue };
            found = builder.findable_types(Findable::External(*table));
            asking.push(Asking::build(*table, Some(on), types, &found, builder)?);
        }
        if asking.iter().any(|each| each.table != asking[0].table) {
            let message = "a filter that asks several external tables".to_owned();
            return Err(BuildError { message, not_supported: true });
        }
        let mut answered = condition.clone();
        let mut next = types.len();
        stand_in(&mut answered, &mut next);
        Ok(ExternalFilter {
            queue: Queue::new(asking.len(), types, &found),
            condition: builder.kernel(&answered, &[types.len(), asking.len()])?,
            answers: vec![Column::new(DataType::Bool); asking.len()],
            part: Batch::new(types),
            asking,
            counts,
            left_out: 0,
        })
    }

    fn release(&mut self, context: &mut Context, output: &mut Batch) {
        let ready = context.released(self.queue.ready(true), self.first_chunk());
        if ready == 0 {
            return self.queue.set_alarm(context);
        }
        let (rows, start) = self.queue.rows();
        let mut failed = vec![false; ready];
        for (question, asking) in self.asking.iter_mut().enumerate() {
            let pairs = self.queue.pairs(question, asking, &mut failed, context);
            let answers = &mut self.answers[question];
            answers.clear();
            let bools = answers.bools_mut();
            bools.resize(ready, false);
            pairs.iter().for_each(|pair| bools[pair.asking as usize - start] = true);
        }
        self.part.clear();
        let all: Vec<u32> = (start as u32..(start + ready) as u32).collect();
        self.part.gather(rows, &all);
        let frame = Frame {
            parts: [&self.part.columns, &self.answers, &[]],
            timestamps: &self.part.timestamps,
        };
        let faults = context.faults.len();
        let passes = self.condition.evaluate(&frame, context).bools();
        let mut kept: Vec<u32> = (0..ready as u32).filter(|&row| passes[row as usize]).collect();
        kept.retain(|&row| !failed[row as usize]);
        // A row that cannot be computed fails as one without an answer.
        for fault in context.own_faults(faults) {
            kept.retain(|&row| row as usize != fault.row);
            if !std::mem::replace(&mut failed[fault.row], true) {
                context.failed.push(&self.part, fault.row, fault.message.into());
            }
        }
        let failed = failed.iter().filter(|failed| **failed).count();
        self.left_out += (ready - kept.len() - failed) as u64;
        output.gather(&self.part, &kept);
        self.queue.leave(ready);
        self.queue.set_alarm(context);
    }

    fn first_chunk(&self) -> usize {
        if self.queue.len() == 0 { 0 } else { self.queue.first_chunk() }
    }
}

/// Puts columns in place of the parts that ask external tables, in order.
fn stand_in(expr: &mut Expr, next: &mut usize) {
    match &mut expr.node {
        Node::In(Findable::External(_), ..) => {
            *expr = Expr::column(*next, DataType::Bool);
            *next += 1;
        }
        Node::Widen(inner) | Node::Not(inner) | Node::IsNull(inner) => stand_in(inner, next),
        Node::Arithmetic(_, left, right)
        | Node::Compare(_, left, right)
        | Node::And(left, right)
        | Node::Or(left, right) => {
            stand_in(left, next);
            stand_in(right, next);
        }
        Node::Call { arguments, .. } | Node::Script { arguments, .. } => {
            arguments.iter_mut().for_each(|argument| stand_in(argument, next));
        }
        Node::In(..) | Node::Constant(_) | Node::Column(_) => {}
    }
}

impl Operator for ExternalFilter {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        let room = self.queue.room();
        let mut values: Vec<_> = Vec::new();
        for asking in &mut self.asking {
            values.push(asking.values(input, context).into_iter());
        }
        // Whether a row of the chunk at hand waits.
        let mut is_begun = false;
        for row in 0..input.len() {
            // All questions move on, also past a row that fails at the first.
            let with: Vec<_> = values.iter_mut().filter_map(Iterator::next).collect();
            let with: Result<Vec<_>, _> = match row < room {
                true => with.into_iter().collect(),
                false => Err(TOO_MANY.into()),
            };
            match with {
                Ok(with) => {
                    let first = context.errands.number(self.asking.len());
                    for ((asking, with), number) in self.asking.iter().zip(with).zip(first..) {
                        asking.ask(number, with, context);
                    }
                    self.queue.put(input, row, first, false, context.now);
                    if is_begun {
                        self.queue.join_last();
                    }
                    is_begun = true;
                }
                Err(reason) => context.failed.push(input, row, reason),
            }
            is_begun &= input.chunk_continues(row);
        }
        self.release(context, output);
    }

    fn wake(&mut self, due: Millis, _slot: Slot, context: &mut Context, output: &mut Batch) {
        self.queue.expire(due);
        self.release(context, output);
    }

    fn asks(&self) -> Option<TableId> {
        self.asking.first().map(|asking| asking.table)
    }

    fn answered(&mut self, context: &mut Context, output: &mut Batch) {
        self.queue.take(context);
        self.release(context, output);
    }

    /// No row waits of a key that is forgotten.
    fn forget(&mut self, _slot: Slot) {}

    fn keys_in_use(&self, keys: &mut BTreeSet<Slot>) {
        self.queue.keys(keys);
    }

    fn held(&self) -> usize {
        self.queue.len()
    }

    fn left_out(&self) -> Option<u64> {
        self.counts.then_some(self.left_out)
    }

    fn save(&self, state: &mut StateWriter) {
        state.put(&self.left_out);
        self.queue.save(state);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.left_out = state.get()?;
        self.queue.load(state)
    }
}
