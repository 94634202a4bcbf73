//! Which rows of a table satisfy a condition: by index as far as it goes, the rest by looking.

use crate::engine::aggregations::BucketChoice;
use crate::engine::aggregations::RunningAggregation;
use crate::engine::build::BuildError;
use crate::engine::build::Builder;
use crate::engine::context::Context;
use crate::engine::expressions::Columns;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::tables::MemoryTable;
use crate::engine::tables::RowNumber;
use crate::event::Batch;
use crate::event::Column;
use crate::plan::aggregation::Buckets;
use crate::plan::expression::Comparison;
use crate::plan::expression::Expr;
use crate::plan::expression::Node;
use crate::plan::logical::Findable;
use std::ops::Range;

/// Pairs looked at together.
const PAIRS: usize = 4096;

/// Finds rows of a table, of a named window or of an aggregation, for rows of a batch (the *asking*
/// rows).
pub struct Finder {
    with: Findable,
    /// The index to be asked, and what to ask it for.
    probe: Option<(usize, Vec<Box<dyn Kernel>>)>,
    /// What the index does not answer; over the asking columns, then the table's.
    rest: Option<Box<dyn Kernel>>,
    /// Which columns of the asking side and of the table `rest` reads.
    rest_asking: Vec<bool>,
    rest_found: Vec<bool>,
    asking: Batch,
    found: Batch,
    candidates: Pairs,
    /// What a window holds, or the buckets that were asked for.
    window: Batch,
    /// Which buckets, where an aggregation is searched.
    buckets: Option<BucketChoice>,
}

/// Asking rows and rows found, side by side.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    /// Rows of the batch.
    pub asking: Vec<u32>,
    /// Rows of the table, or places in the window's contents.
    pub found: Vec<RowNumber>,
}

impl Pairs {
    fn push(&mut self, asking: u32, found: RowNumber) {
        self.asking.push(asking);
        self.found.push(found);
    }

    /// Drops all pairs.
    pub fn clear(&mut self) {
        self.asking.clear();
        self.found.clear();
    }
}

impl Finder {
    /// For a condition over `width` asking columns, then the table's; `None`: all rows.
    ///
    /// # Errors
    /// If the condition cannot be run.
    pub fn build(
        with: Findable,
        condition: Option<&Expr>,
        asking: &[crate::event::DataType],
        builder: &Builder<'_>,
    ) -> Result<Finder, BuildError> {
        let width = asking.len();
        let types = builder.findable_types(with);
        let mut conjuncts = Vec::new();
        if let Some(condition) = condition {
            split(condition, &mut conjuncts);
        }
        let probe = match with {
            Findable::Table(table) => choose(&builder.index_columns(table), &mut conjuncts, width),
            Findable::Window(_) | Findable::Aggregation(_) => None,
        };
        let probe = match probe {
            Some((index, keys)) => {
                let keys: Vec<Expr> = keys.into_iter().cloned().collect();
                Some((index, builder.kernels(&keys, &[width])?))
            }
            None => None,
        };
        let rest = conjuncts.into_iter().cloned().reduce(|left, right| Expr {
            ty: left.ty,
            node: Node::And(Box::new(left), Box::new(right)),
        });
        let mut read = Vec::new();
        if let Some(rest) = &rest {
            rest.columns(&mut read);
        }
        let reads = |range: Range<usize>| range.map(|column| read.contains(&column)).collect();
        let rest_asking: Vec<bool> = reads(0..width);
        let rest_found: Vec<bool> = reads(width..width + types.len());
        let kernel =
            rest.as_ref().map(|rest| builder.kernel(rest, &[width, types.len()])).transpose()?;
        Ok(Finder {
            with,
            probe,
            rest: kernel,
            asking: Batch::keeping(asking, &rest_asking),
            found: Batch::keeping(&types, &rest_found),
            rest_asking,
            rest_found,
            candidates: Pairs::default(),
            window: Batch::new(&types),
            buckets: None,
        })
    }

    /// The same of an aggregation, of whose buckets these are meant; they stand over so many asking
    /// columns.
    ///
    /// # Errors
    /// If an expression cannot be run.
    pub fn within(
        self,
        buckets: Option<&Buckets>,
        width: usize,
        builder: &Builder<'_>,
    ) -> Result<Finder, BuildError> {
        let buckets = buckets.map(|buckets| BucketChoice::build(buckets, width, builder));
        Ok(Finder { buckets: buckets.transpose()?, ..self })
    }

    /// Appends, for the asking rows of `range` in order, the rows that satisfy the condition: in
    /// order of the table's key if that is one number or text, else of insertion.
    pub fn find(
        &mut self,
        batch: &Batch,
        range: Range<usize>,
        context: &mut Context,
        pairs: &mut Pairs,
    ) {
        match self.with {
            Findable::Table(table) => {
                // The table is lent to this search; a condition that asks it again is refused when
                // the plan is built.
                let lent = context.tables[table].take().expect("a table is asked by one at a time");
                let before = pairs.found.len();
                self.find_in_table(&lent, batch, range, context, pairs);
                order_by_key(&lent, before, pairs);
                context.tables[table] = Some(lent);
            }
            Findable::Aggregation(id) => {
                let lent = context.aggregations[id].take().expect("it is asked by one at a time");
                self.find_in_buckets(&lent, batch, range, context, pairs);
                context.aggregations[id] = Some(lent);
            }
            Findable::Window(window) => {
                self.window.clear();
                if let Some(window) = &context.windows[window] {
                    window.contents(0, &mut self.window);
                }
                let rows = self.window.len() as u32;
                for row in range {
                    for place in 0..rows {
                        self.candidates.push(row as u32, place);
                        if self.candidates.found.len() >= PAIRS {
                            self.settle(None, batch, context, pairs);
                        }
                    }
                }
                self.settle(None, batch, context, pairs);
            }
        }
    }

    fn find_in_buckets(
        &mut self,
        aggregation: &RunningAggregation,
        batch: &Batch,
        range: Range<usize>,
        context: &mut Context,
        pairs: &mut Pairs,
    ) {
        let Some(mut choice) = self.buckets.take() else { return };
        choice.choose(batch, range.clone(), aggregation, context);
        self.window.clear();
        let mut read = None;
        let mut places = 0..0;
        for (row, asked) in range.zip(&choice.chosen) {
            let Some((level, within)) = asked else { continue };
            if read != Some((level, within)) {
                let first = self.window.len() as u32;
                aggregation.read(*level, within.clone(), &mut self.window);
                places = first..self.window.len() as u32;
                read = Some((level, within));
            }
            for place in places.clone() {
                self.candidates.push(row as u32, place);
                if self.candidates.found.len() >= PAIRS {
                    self.settle(None, batch, context, pairs);
                }
            }
        }
        self.settle(None, batch, context, pairs);
        self.buckets = Some(choice);
    }

    fn find_in_table(
        &mut self,
        table: &MemoryTable,
        batch: &Batch,
        range: Range<usize>,
        context: &mut Context,
        pairs: &mut Pairs,
    ) {
        if let Some((index, kernels)) = &mut self.probe {
            let frame = Frame::new(&batch.columns, &batch.timestamps);
            let mut room = Columns::default();
            let keys = room.evaluate(kernels, &frame, context);
            let index = table.index(*index);
            for row in range {
                if keys.iter().any(|key| key.is_null(row)) {
                    continue;
                }
                for &found in index.find(&table.segments, keys, row) {
                    self.candidates.push(row as u32, found);
                }
            }
            drop(room);
            return self.settle(Some(table), batch, context, pairs);
        }
        for row in range {
            for found in table.live_rows() {
                self.candidates.push(row as u32, found);
                if self.candidates.found.len() >= PAIRS {
                    self.settle(Some(table), batch, context, pairs);
                }
            }
        }
        self.settle(Some(table), batch, context, pairs);
    }

    /// Moves the candidates that satisfy the rest of the condition to `pairs`.
    fn settle(
        &mut self,
        table: Option<&MemoryTable>,
        batch: &Batch,
        context: &mut Context,
        pairs: &mut Pairs,
    ) {
        let candidates = &mut self.candidates;
        let Some(rest) = &mut self.rest else {
            pairs.asking.append(&mut candidates.asking);
            pairs.found.append(&mut candidates.found);
            return;
        };
        if candidates.found.is_empty() {
            return;
        }
        self.asking.clear();
        self.found.clear();
        for (column, mine) in self.asking.columns.iter_mut().enumerate() {
            if self.rest_asking[column] {
                mine.gather(&batch.columns[column], &candidates.asking);
            }
        }
        for (column, mine) in self.found.columns.iter_mut().enumerate() {
            match table {
                _ if !self.rest_found[column] => {}
                Some(table) => table.gather(column, &candidates.found, mine),
                None => mine.gather(&self.window.columns[column], &candidates.found),
            }
        }
        self.asking
            .timestamps
            .extend(candidates.asking.iter().map(|&r| batch.timestamps[r as usize]));
        let frame = Frame {
            parts: [&self.asking.columns, &self.found.columns, &[]],
            timestamps: &self.asking.timestamps,
        };
        let passes = rest.evaluate(&frame, context).bools();
        for (pair, &passes) in candidates.asking.iter().zip(&candidates.found).zip(passes) {
            if passes {
                pairs.push(*pair.0, *pair.1);
            }
        }
        candidates.clear();
    }

    /// Appends the cells of rows that the last search found.
    pub fn gather(&self, context: &Context, column: usize, rows: &[RowNumber], into: &mut Column) {
        match self.with {
            Findable::Table(table) => {
                let table = context.tables[table].as_ref().expect("the search has ended");
                table.gather(column, rows, into);
            }
            Findable::Window(_) | Findable::Aggregation(_) => {
                into.gather(&self.window.columns[column], rows)
            }
        }
    }

    /// What is searched.
    pub fn with(&self) -> Findable {
        self.with
    }
}

/// Puts the rows found for each asking row, from a place on, in order of the table's key, if
/// it has one to be ordered by.
fn order_by_key(table: &MemoryTable, before: usize, pairs: &mut Pairs) {
    let Some(column) = table.key_order() else { return };
    let mut keys = Column::new(table.types()[column]);
    let mut start = before;
    while start < pairs.found.len() {
        let asking = pairs.asking[start];
        let rest = &pairs.asking[start..];
        let end = start + rest.iter().take_while(|&&other| other == asking).count();
        let found = &mut pairs.found[start..end];
        if found.len() > 1 {
            keys.clear();
            table.gather(column, found, &mut keys);
            let mut order: Vec<usize> = (0..found.len()).collect();
            order.sort_by(|&left, &right| keys.value(left).order(&keys.value(right)));
            let sorted: Vec<RowNumber> = order.into_iter().map(|place| found[place]).collect();
            found.copy_from_slice(&sorted);
        }
        start = end;
    }
}

/// Takes a condition apart at its outer `and`s.
fn split<'a>(condition: &'a Expr, conjuncts: &mut Vec<&'a Expr>) {
    match &condition.node {
        Node::And(left, right) => {
            split(left, conjuncts);
            split(right, conjuncts);
        }
        _ => conjuncts.push(condition),
    }
}

/// Chooses the first index whose every column is equated with something the asking side knows, and
/// takes those equations out of the conjuncts.
fn choose<'a>(
    indexes: &[Vec<usize>],
    conjuncts: &mut Vec<&'a Expr>,
    width: usize,
) -> Option<(usize, Vec<&'a Expr>)> {
    for (number, columns) in indexes.iter().enumerate() {
        let found: Option<Vec<(usize, &Expr)>> =
            columns.iter().map(|&column| equated(conjuncts, column + width, width)).collect();
        if let Some(found) = found {
            let used: Vec<usize> = found.iter().map(|(place, _)| *place).collect();
            let mut place = 0;
            conjuncts.retain(|_| {
                place += 1;
                !used.contains(&(place - 1))
            });
            return Some((number, found.into_iter().map(|(_, key)| key).collect()));
        }
    }
    None
}

/// The conjunct that equates a table's column with something of the asking side alone.
fn equated<'a>(conjuncts: &[&'a Expr], column: usize, width: usize) -> Option<(usize, &'a Expr)> {
    conjuncts.iter().enumerate().find_map(|(place, conjunct)| {
        let Node::Compare(Comparison::Equal, left, right) = &conjunct.node else { return None };
        let asking_only = |expr: &Expr| {
            let mut columns = Vec::new();
            expr.columns(&mut columns);
            columns.iter().all(|&column| column < width)
        };
        if left.as_column() == Some(column) && asking_only(right) {
            return Some((place, &**right));
        }
        (right.as_column() == Some(column) && asking_only(left)).then_some((place, &**left))
    })
}
