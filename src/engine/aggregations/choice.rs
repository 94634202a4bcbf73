//! `within … per …`: which buckets each asking row means.

use crate::engine::aggregations::RunningAggregation;
use crate::engine::build::BuildError;
use crate::engine::build::Builder;
use crate::engine::context::Context;
use crate::engine::expressions::Columns;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::event::Batch;
use crate::event::Column;
use crate::event::Millis;
use crate::event::Value;
use crate::plan::aggregation::Buckets;
use crate::plan::calendar;
use crate::plan::calendar::Period;
use std::ops::Range;

/// A level, and the moments within which its buckets begin.
type Asked = (usize, Range<Millis>);

/// Chooses buckets.
pub struct BucketChoice {
    /// The first moment, the length, and the moment after the last if that is given.
    kernels: Vec<Box<dyn Kernel>>,
    /// Whether the same is meant always.
    is_constant: bool,
    /// What the rows last looked at mean; nothing where that makes no sense.
    pub chosen: Vec<Option<Asked>>,
}

impl BucketChoice {
    /// For expressions over so many columns.
    ///
    /// # Errors
    /// If one of them cannot be run.
    pub fn build(
        buckets: &Buckets,
        width: usize,
        builder: &Builder<'_>,
    ) -> Result<BucketChoice, BuildError> {
        let kernels = buckets.exprs().map(|expr| builder.kernel(expr, &[width]));
        Ok(BucketChoice {
            kernels: kernels.collect::<Result<_, _>>()?,
            is_constant: buckets.exprs().all(|expr| expr.as_constant().is_some()),
            chosen: Vec::new(),
        })
    }

    /// Fills `chosen`; rows whose values mean no buckets are faults.
    pub fn choose(
        &mut self,
        batch: &Batch,
        rows: Range<usize>,
        aggregation: &RunningAggregation,
        context: &mut Context,
    ) {
        self.chosen.clear();
        let mut faults = Vec::new();
        let frame = Frame::new(&batch.columns, &batch.timestamps);
        let mut room = Columns::default();
        let values = room.evaluate(&mut self.kernels, &frame, context);
        for row in rows {
            if let Some(first) = self.chosen.first().filter(|_| self.is_constant) {
                let same = first.clone();
                self.chosen.push(same);
                continue;
            }
            match asked(values, row, aggregation) {
                Ok(asked) => self.chosen.push(Some(asked)),
                Err(message) => {
                    faults.push((row, message));
                    self.chosen.push(None);
                }
            }
        }
        drop(room);
        faults.into_iter().for_each(|(row, message)| context.fault(row, message));
    }
}

fn asked(
    values: &[&Column],
    row: usize,
    aggregation: &RunningAggregation,
) -> Result<Asked, String> {
    let [start, per, rest @ ..] = values else { return Err("no buckets are named".to_owned()) };
    let per = per.value(row);
    let level = per.as_text().and_then(Period::named).and_then(|each| aggregation.level(each));
    let Some(level) = level else {
        return Err(format!("the aggregation has no buckets per `{}`", shown(&per)));
    };
    let start = start.value(row);
    let Some(end) = rest.first() else {
        let span = start.as_text().and_then(calendar::span);
        let span = span.ok_or_else(|| format!("`{}` names no span of time", shown(&start)))?;
        return Ok((level, span.0..span.1));
    };
    let (start, end) = (moment(&start)?, moment(&end.value(row))?);
    match start < end {
        true => Ok((level, start..end)),
        false => Err(format!("`within` ends at {end}, before it begins at {start}")),
    }
}

fn moment(value: &Value) -> Result<Millis, String> {
    let moment = value.as_long().or_else(|| value.as_text().and_then(calendar::moment));
    moment.ok_or_else(|| format!("`{}` names no moment", shown(value)))
}

fn shown(value: &Value) -> String {
    let mut text = String::new();
    value.write_text(&mut text);
    text
}
