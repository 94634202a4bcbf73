//! A condition on the rows that a window holds, with the running values of its aggregates.

use crate::engine::aggregators::AggregateRows;
use crate::engine::aggregators::Aggregator;
use crate::engine::aggregators::AggregatorSetup;
use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::expressions::compile;
use crate::engine::library::Library;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::WindowSetup;
use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Slot;
use crate::event::Text;
use crate::plan::check_predicate;
use crate::plan::expression::Expr;
use crate::plan::logical::Predicate;
use crate::plan::signature::ArgumentFault;

/// A row of a batch.
#[derive(Clone, Copy)]
pub struct RowOf<'a> {
    /// The batch.
    pub batch: &'a Batch,
    /// The row.
    pub row: usize,
}

/// A condition that is ready to run. Its aggregates run by slot.
pub struct Condition {
    aggregates: Vec<Aggregate>,
    kernel: Box<dyn Kernel>,
    /// The columns that are read: of the row at hand, of the first row held, of the last.
    reads: [Vec<bool>; 3],
    /// One row of columns of the row at hand.
    row: Batch,
    /// One row of the aggregates' values.
    values: Vec<Column>,
    /// One row: the first row held, the last, and their times.
    held: Vec<Column>,
}

struct Aggregate {
    running: Box<dyn Aggregator>,
    arguments: Vec<Box<dyn Kernel>>,
}

impl Condition {
    /// Makes a condition ready. Its columns are of the types given.
    ///
    /// # Errors
    /// If a function in it does not take its arguments.
    pub fn new(
        predicate: &Predicate,
        types: &[DataType],
        library: &Library,
    ) -> Result<Condition, ArgumentFault> {
        let width = types.len();
        let layout = [width, predicate.aggregates.len(), 2 * width + 2];
        let mut aggregates = Vec::new();
        for call in &predicate.aggregates {
            let definition = library.find_aggregator(&call.name).ok_or_else(|| {
                ArgumentFault::at(0, format!("there is no aggregator `{}`", call.name))
            })?;
            let arguments = &call.arguments;
            let setup = AggregatorSetup { arguments, ty: call.ty, expired: true, balanced: true };
            let kernel = |argument| compile(argument, &[width], library);
            aggregates.push(Aggregate {
                running: (definition.build)(&setup)?,
                arguments: call.arguments.iter().map(kernel).collect::<Result<_, _>>()?,
            });
        }
        let times = [DataType::Long; 2];
        let held = types.iter().chain(types).chain(&times).map(|&ty| Column::new(ty)).collect();
        let values = predicate.aggregates.iter().map(|call| Column::new(call.ty)).collect();
        Ok(Condition {
            aggregates,
            kernel: compile(&predicate.condition, &layout, library)?,
            reads: reads(predicate, width),
            row: Batch::new(types),
            values,
            held,
        })
    }

    /// Reads a condition given as text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(
        text: &str,
        names: &[Text],
        types: &[DataType],
        library: &Library,
    ) -> Result<Condition, String> {
        let predicate = check_predicate(text, names, types, library)
            .map_err(|faults| faults.first().map(|fault| fault.message.clone()))
            .map_err(|message| message.unwrap_or_default())?;
        Condition::new(&predicate, types, library).map_err(|fault| fault.message)
    }

    /// The condition that a window's first argument holds: a constant text, or an attribute that is
    /// true or false. `None` if it is a text that comes with each row, and while a plan is only
    /// checked.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of(setup: &WindowSetup<'_>) -> Result<Option<Condition>, ArgumentFault> {
        let Some(argument) = setup.arguments.first() else { return Ok(None) };
        if let Some(predicate) = setup.predicate {
            return Condition::new(predicate, setup.types, setup.library).map(Some);
        }
        if argument.ty == DataType::Bool {
            let condition: Expr = argument.clone();
            let predicate = Predicate { aggregates: Vec::new(), condition };
            return Condition::new(&predicate, setup.types, setup.library).map(Some);
        }
        match argument.as_constant().and_then(|value| value.as_text()) {
            Some(text) if setup.names.len() == setup.types.len() => {
                let parsed = Condition::parse(text, setup.names, setup.types, setup.library);
                parsed.map(Some).map_err(|message| ArgumentFault::at(0, message))
            }
            _ => Ok(None),
        }
    }

    /// Takes a row in (or back, if it is expired) and says whether the condition holds, where the
    /// rows held begin with `first` and end with `last`.
    pub fn take(
        &mut self,
        kind: Kind,
        slot: Slot,
        [row, first, last]: [RowOf<'_>; 3],
        context: &mut Context,
    ) -> bool {
        self.row.clear();
        copy(&self.reads[0], row, &mut self.row.columns);
        self.row.timestamps.push(row.batch.timestamps[row.row]);
        let frame = Frame::new(&self.row.columns, &self.row.timestamps);
        for (aggregate, value) in self.aggregates.iter_mut().zip(&mut self.values) {
            value.clear();
            let arguments = aggregate.arguments.iter_mut();
            let arguments: Vec<&Column> =
                arguments.map(|kernel| kernel.evaluate(&frame, context)).collect();
            let rows = AggregateRows { range: 0..1, kinds: &[kind], groups: &[slot], wanted: None };
            aggregate.running.run(&rows, &arguments, value);
        }
        let width = self.row.columns.len();
        self.held.iter_mut().for_each(Column::clear);
        copy(&self.reads[1], first, &mut self.held[..width]);
        copy(&self.reads[2], last, &mut self.held[width..2 * width]);
        self.held[2 * width].longs_mut().push(first.batch.timestamps[first.row]);
        self.held[2 * width + 1].longs_mut().push(last.batch.timestamps[last.row]);
        let parts = [&self.row.columns[..], &self.values, &self.held];
        let frame = Frame { parts, timestamps: &self.row.timestamps };
        let holds = self.kernel.evaluate(&frame, context);
        holds.bools()[0] && !holds.is_null(0)
    }

    /// Sets the aggregates of a slot back to nothing.
    pub fn reset(&mut self, slot: Slot) {
        for aggregate in &mut self.aggregates {
            aggregate.running.reset(&[slot], true);
        }
    }

    /// Writes the aggregates' state.
    pub fn save(&self, state: &mut StateWriter) {
        self.aggregates.iter().for_each(|aggregate| aggregate.running.save(state));
    }

    /// Takes what [`Condition::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.aggregates.iter_mut().try_for_each(|aggregate| aggregate.running.load(state))
    }
}

/// Which columns the condition and its aggregates read: of the row at hand, the first, the last.
fn reads(predicate: &Predicate, width: usize) -> [Vec<bool>; 3] {
    let mut found = Vec::new();
    predicate.aggregates.iter().flat_map(|call| &call.arguments).for_each(|argument| {
        argument.columns(&mut found);
    });
    let mut reads = [vec![false; width], vec![false; width], vec![false; width]];
    found.iter().for_each(|&column| reads[0][column] = true);
    found.clear();
    predicate.condition.columns(&mut found);
    let held = width + predicate.aggregates.len();
    for column in found {
        match column {
            column if column < width => reads[0][column] = true,
            column if column < held => {}
            column if column < held + 2 * width => {
                let of_held = column - held;
                reads[1 + of_held / width][of_held % width] = true;
            }
            _ => {}
        }
    }
    reads
}

/// Appends the columns of a row that are read, and zeros for the others.
fn copy(reads: &[bool], from: RowOf<'_>, into: &mut [Column]) {
    for ((column, theirs), read) in into.iter_mut().zip(&from.batch.columns).zip(reads) {
        match read {
            true => column.push_from(theirs, from.row),
            false => column.push_zero(),
        }
    }
}

/// The conditions of all slots: one for all, or, where the text comes with the rows, one each.
pub struct Conditions {
    fixed: Option<Condition>,
    /// The column that holds the text.
    column: Option<usize>,
    by_slot: Vec<Option<(Text, Condition)>>,
    names: Vec<Text>,
    types: Vec<DataType>,
    library: Library,
}

impl Conditions {
    /// The condition of a window's first argument.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(setup: &WindowSetup<'_>) -> Result<Conditions, ArgumentFault> {
        let fixed = Condition::of(setup)?;
        let varies = fixed.is_none() && setup.constant(0).is_none();
        Ok(Conditions {
            fixed,
            column: if varies { Some(setup.column(0)?) } else { None },
            by_slot: Vec::new(),
            names: setup.names.to_vec(),
            types: setup.types.to_vec(),
            library: setup.library.clone(),
        })
    }

    /// The column that holds the text, if it comes with the rows.
    pub fn column(&self) -> Option<usize> {
        self.column
    }

    /// The condition of a slot, as a row that comes would have it.
    ///
    /// # Errors
    /// If the row brings a text that is no condition.
    pub fn renew(&mut self, batch: &Batch, row: usize) -> Result<Renewed, String> {
        let Some(column) = self.column else { return Ok(Renewed::Same) };
        let slot = batch.slot(row) as usize;
        let text = &batch.columns[column].texts()[row];
        if self.by_slot.len() <= slot {
            self.by_slot.resize_with(slot + 1, || None);
        }
        let known = &mut self.by_slot[slot];
        if known.as_ref().is_some_and(|(known, _)| known == text) {
            return Ok(Renewed::Same);
        }
        let condition = Condition::parse(text, &self.names, &self.types, &self.library)
            .map_err(|message| format!("`{text}` is no condition: {message}"))?;
        match known.replace((text.clone(), condition)) {
            Some(_) => Ok(Renewed::Other),
            None => Ok(Renewed::Same),
        }
    }

    /// The condition of a slot, from which a row has come.
    pub fn of(&mut self, slot: Slot) -> &mut Condition {
        match &mut self.fixed {
            Some(fixed) => fixed,
            None => {
                let condition = self.by_slot.get_mut(slot as usize).and_then(Option::as_mut);
                &mut condition.expect("a row brought a condition").1
            }
        }
    }

    /// Sets a slot back to nothing.
    pub fn forget(&mut self, slot: Slot) {
        if let Some(fixed) = &mut self.fixed {
            fixed.reset(slot);
        }
        if let Some(condition) = self.by_slot.get_mut(slot as usize) {
            *condition = None;
        }
    }

    /// Writes the texts and the aggregates' state.
    pub fn save(&self, state: &mut StateWriter) {
        if let Some(fixed) = &self.fixed {
            fixed.save(state);
        }
        state.put(&(self.by_slot.len() as u32));
        for condition in &self.by_slot {
            state.put(&condition.as_ref().map(|(text, _)| text.clone()));
            if let Some((_, condition)) = condition {
                condition.save(state);
            }
        }
    }

    /// Takes what [`Conditions::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        if let Some(fixed) = &mut self.fixed {
            fixed.load(state)?;
        }
        self.by_slot.clear();
        for _ in 0..state.get::<u32>()? {
            let text: Option<Text> = state.get()?;
            let Some(text) = text else {
                self.by_slot.push(None);
                continue;
            };
            let mut condition = Condition::parse(&text, &self.names, &self.types, &self.library)
                .map_err(|message| LoadError::Other(format!("`{text}`: {message}")))?;
            condition.load(state)?;
            self.by_slot.push(Some((text, condition)));
        }
        Ok(())
    }
}

/// What a row did to the condition of its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// It is as it was, or the slot's first.
    Same,
    /// It is another; the rows held are to be looked at anew.
    Other,
}
