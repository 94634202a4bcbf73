//! `condition in T`: whether any row of a table or named window satisfies a condition.

use crate::engine::build::BuildError;
use crate::engine::build::Builder;
use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::tables::finder::Finder;
use crate::engine::tables::finder::Pairs;
use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::plan::expression::Expr;
use crate::plan::logical::Findable;

/// Makes the kernel of an `in`. The condition stands over the first `width` of the frame's columns,
/// then the table's.
///
/// # Errors
/// If the condition cannot be run.
pub fn membership(
    with: Findable,
    condition: &Expr,
    width: usize,
    builder: &Builder<'_>,
) -> Result<Box<dyn Kernel>, BuildError> {
    let mut types = vec![DataType::Object; width];
    let mut reads = vec![false; width];
    condition.walk(&mut |expr| {
        if let Some(column) = expr.as_column().filter(|&column| column < width) {
            types[column] = expr.ty;
            reads[column] = true;
        }
    });
    Ok(Box::new(Membership {
        finder: Finder::build(
            with,
            &builder.findable_types(with),
            Some(condition),
            &types,
            builder,
        )?,
        asking: Batch::keeping(&types, &reads),
        reads,
        pairs: Pairs::default(),
        result: Column::new(DataType::Bool),
    }))
}

struct Membership {
    finder: Finder,
    asking: Batch,
    reads: Vec<bool>,
    pairs: Pairs,
    result: Column,
}

impl Kernel for Membership {
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        self.asking.clear();
        let columns = frame.parts.iter().flat_map(|part| part.iter());
        for ((mine, theirs), _) in self
            .asking
            .columns
            .iter_mut()
            .zip(columns)
            .zip(&self.reads)
            .filter(|(_, reads)| **reads)
        {
            mine.extend(theirs, 0, frame.len());
        }
        self.asking.timestamps.extend_from_slice(frame.timestamps);
        self.pairs.clear();
        self.finder.find(&self.asking, 0..frame.len(), context, &mut self.pairs);
        self.result.clear();
        let result = self.result.bools_mut();
        result.resize(frame.len(), false);
        self.pairs.asking.iter().for_each(|&row| result[row as usize] = true);
        &self.result
    }
}
