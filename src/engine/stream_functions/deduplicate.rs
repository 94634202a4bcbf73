//! `#unique:deduplicate(key, time)`: passes a row unless one of its key passed a short time before.

use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::expressions::compile;
use crate::engine::library::Library;
use crate::engine::operator::Operator;
use crate::engine::rows::write_value;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::stream_functions::StreamFunctionDefinition;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Set;
use crate::event::Slot;
use crate::event::Value;
use crate::plan::logical::FunctionCall;
use crate::plan::signature::ANY;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;
use crate::plan::signature::WHOLE;
use std::collections::VecDeque;
use std::sync::Arc;

/// `unique:deduplicate(…)`
pub const DEFINITION: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: Signature {
        name: "unique:deduplicate",
        summary: "Passes a row unless one of the same key passed within `time` before it.",
        traits: &[Trait::Holds],
        overloads: &[Overload {
            parameters: &[Parameter::any("key", ANY), Parameter::constant("time", WHOLE)],
            returns: Returns::Type(DataType::Object),
        }],
        example: "define stream Readings (sensor string, celsius double);
from Readings#unique:deduplicate(sensor, 30 sec) select sensor, celsius insert into Once;",
    },
    added: |_| &[],
    build,
};

fn build(call: &FunctionCall, library: &Library) -> Result<Box<dyn Operator>, ArgumentFault> {
    let key = call.arguments.first().ok_or_else(|| ArgumentFault::at(0, "expected a key"))?;
    let time = call.arguments.get(1).and_then(|time| time.as_constant()).and_then(Value::as_long);
    match time {
        Some(time) if time >= 0 => Ok(Box::new(Deduplicate {
            key: compile(key, &[call.types.len()], library)?,
            time,
            slots: Vec::new(),
            left_out: 0,
            bytes: Vec::new(),
        })),
        _ => Err(ArgumentFault::at(1, "expected a time from 0 as constant, as in `5 sec`")),
    }
}

/// The keys of a slot that passed a short time before.
#[derive(Debug, Default)]
struct Passed {
    keys: Set<Arc<[u8]>>,
    /// With the times of their rows, in the order in which they passed.
    order: VecDeque<(Millis, Arc<[u8]>)>,
    /// When the slot is woken to forget them.
    due: Option<Millis>,
}

impl Passed {
    /// Forgets keys whose rows are too old at a time. A row that is older than the one before it is
    /// forgotten with that.
    fn forget_before(&mut self, now: Millis, time: Millis) {
        while let Some((passed, key)) = self.order.front()
            && now.saturating_sub(*passed) > time
        {
            self.keys.remove(key);
            self.order.pop_front();
        }
    }
}

struct Deduplicate {
    key: Box<dyn Kernel>,
    time: Millis,
    slots: Vec<Passed>,
    left_out: u64,
    bytes: Vec<u8>,
}

impl Deduplicate {
    /// Whether a row of a slot passes, whose key is in `bytes`.
    fn passes(&mut self, slot: Slot, at: Millis) -> bool {
        if self.slots.len() <= slot as usize {
            self.slots.resize_with(slot as usize + 1, Passed::default);
        }
        let passed = &mut self.slots[slot as usize];
        passed.forget_before(at, self.time);
        if passed.keys.contains(&self.bytes[..]) {
            return false;
        }
        let key: Arc<[u8]> = self.bytes.as_slice().into();
        passed.keys.insert(key.clone());
        passed.order.push_back((at, key));
        true
    }

    /// Makes sure that the slot forgets its keys though nothing comes.
    fn look_after(&mut self, slot: Slot, context: &mut Context) {
        let Some(passed) = self.slots.get_mut(slot as usize) else { return };
        if let Some(&(oldest, _)) = passed.order.front()
            && passed.due.is_none()
        {
            let due = oldest.saturating_add(self.time).max(context.now).saturating_add(1);
            passed.due = Some(due);
            context.wake_at(due, slot);
        }
    }
}

impl Operator for Deduplicate {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        let keys = self.key.evaluate(&Frame::new(&input.columns, &input.timestamps), context);
        let keys = keys.clone();
        let mut chunk = output.len();
        for row in 0..input.len() {
            let slot = input.slot(row);
            let (kind, at) = (input.kind(row), input.timestamps[row]);
            self.bytes.clear();
            write_value(&keys, row, &mut self.bytes);
            if kind == Kind::Reset || self.passes(slot, at) {
                output.push_from(input, row, kind, at);
            } else {
                self.left_out += 1;
            }
            self.look_after(slot, context);
            if !input.chunk_continues(row) {
                output.join_chunk(chunk);
                chunk = output.len();
            }
        }
    }

    fn wake(&mut self, due: Millis, slot: Slot, context: &mut Context, _: &mut Batch) {
        let Some(passed) = self.slots.get_mut(slot as usize) else { return };
        if passed.due == Some(due) {
            passed.due = None;
            passed.forget_before(context.now, self.time);
            self.look_after(slot, context);
        }
    }

    fn forget(&mut self, slot: Slot) {
        if let Some(passed) = self.slots.get_mut(slot as usize) {
            *passed = Passed::default();
        }
    }

    fn left_out(&self) -> Option<u64> {
        Some(self.left_out)
    }

    fn save(&self, state: &mut StateWriter) {
        state.put(&self.left_out);
        state.put(&(self.slots.len() as u32));
        for passed in &self.slots {
            state.put(&passed.due);
            state.put(&(passed.order.len() as u32));
            for (at, key) in &passed.order {
                state.put(at);
                state.put(&key.to_vec());
            }
        }
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.left_out = state.get()?;
        self.slots.clear();
        for _ in 0..state.get::<u32>()? {
            let mut passed = Passed { due: state.get()?, ..Passed::default() };
            for _ in 0..state.get::<u32>()? {
                let at: Millis = state.get()?;
                let key: Arc<[u8]> = state.get::<Vec<u8>>()?.into();
                if !passed.keys.insert(key.clone()) {
                    return Err(LoadError::Malformed);
                }
                passed.order.push_back((at, key));
            }
            self.slots.push(passed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::stream_functions::testing::call;
    use crate::engine::stream_functions::testing::rows;
    use crate::plan::expression::Expr;

    fn passing(time: i64, texts: &[&str]) -> Vec<Millis> {
        let types = [DataType::Text];
        let arguments = vec![Expr::column(0, DataType::Text), Expr::constant(Value::Long(time))];
        let call = call("unique:deduplicate", arguments, &types);
        let mut step = build(&call, &Library::standard()).expect("it is well typed");
        let input: Vec<[Value; 1]> = texts.iter().map(|&text| [text.into()]).collect();
        let input: Vec<&[Value]> = input.iter().map(|row| &row[..]).collect();
        let mut output = Batch::new(&types);
        step.run(&rows(&types, &input), &mut Context::default(), &mut output);
        assert_eq!(step.left_out(), Some((texts.len() - output.len()) as u64));
        output.timestamps.to_vec()
    }

    #[test]
    fn a_key_passes_again_after_the_time() {
        assert_eq!(passing(2, &["a", "b", "a", "a", "b", "a"]), [1000, 1001, 1003, 1004]);
        assert_eq!(passing(0, &["a", "a", "a"]), [1000, 1001, 1002]);
    }

    #[test]
    fn the_time_is_not_negative() {
        let arguments = vec![Expr::column(0, DataType::Text), Expr::constant(Value::Long(-1))];
        let call = call("unique:deduplicate", arguments, &[DataType::Text]);
        assert_eq!(
            build(&call, &Library::standard()).err().expect("it is refused").argument,
            Some(1)
        );
    }
}
