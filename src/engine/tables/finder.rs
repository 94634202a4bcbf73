//! Which rows of a table or window satisfy a condition: by index as far as it goes, the rest by
//! looking.

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
use crate::engine::tables::held::HeldRows;
use crate::engine::windows::Window;
use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Slot;
use crate::plan::aggregation::Buckets;
use crate::plan::expression::Comparison;
use crate::plan::expression::Expr;
use crate::plan::expression::Node;
use crate::plan::logical::Findable;
use std::ops::Range;

/// Pairs looked at together.
const PAIRS: usize = 4096;

/// Finds rows of a table or an aggregation, or those that a window holds, for rows of a batch (the
/// *asking* rows).
pub struct Finder {
    with: Findable,
    probe: Option<Probe>,
    /// What the index does not answer.
    rest: Option<Check>,
    /// All of the condition, for a window that keeps no index.
    whole: Option<Check>,
    candidates: Pairs,
    /// Which buckets, where an aggregation is searched.
    buckets: Option<BucketChoice>,
    held: HeldRows,
}

/// A condition on pairs, over the asking columns, then those found.
struct Check {
    kernel: Box<dyn Kernel>,
    /// Which columns of the asking side and of what is found it reads.
    reads_asking: Vec<bool>,
    reads_found: Vec<bool>,
    asking: Batch,
    found: Batch,
}

impl Check {
    /// For the conjuncts of a condition; `None` if there are none.
    fn build(
        conjuncts: &[&Expr],
        types: &[DataType],
        asking: &[DataType],
        builder: &Builder<'_>,
    ) -> Result<Option<Check>, BuildError> {
        let condition = conjuncts.iter().copied().cloned().reduce(|left, right| Expr {
            ty: left.ty,
            node: Node::And(Box::new(left), Box::new(right)),
        });
        let Some(condition) = condition else { return Ok(None) };
        let width = asking.len();
        let mut read = Vec::new();
        condition.columns(&mut read);
        let reads = |range: Range<usize>| range.map(|column| read.contains(&column)).collect();
        let reads_asking: Vec<bool> = reads(0..width);
        let reads_found: Vec<bool> = reads(width..width + types.len());
        Ok(Some(Check {
            kernel: builder.kernel(&condition, &[width, types.len()])?,
            asking: Batch::keeping(asking, &reads_asking),
            found: Batch::keeping(types, &reads_found),
            reads_asking,
            reads_found,
        }))
    }
}

/// The index to be asked, and what to ask it for.
struct Probe {
    index: ProbeIndex,
    keys: Vec<Box<dyn Kernel>>,
}

enum ProbeIndex {
    /// An index of a table, by its number.
    Table(usize),
    /// All group keys of an aggregation.
    Groups,
    /// Columns of a window, which keeps an index over them if it can.
    Columns(Vec<usize>),
}

/// Asking rows and rows found, side by side.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    /// Rows of the batch.
    pub asking: Vec<u32>,
    /// Rows of the table, or places in what the window holds.
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
    /// For a condition over the asking columns, then those of what is found, whose types are
    /// `types`; `None`: all rows.
    ///
    /// # Errors
    /// If the condition cannot be run.
    pub fn build(
        with: Findable,
        types: &[DataType],
        condition: Option<&Expr>,
        asking: &[DataType],
        builder: &Builder<'_>,
    ) -> Result<Finder, BuildError> {
        if matches!(with, Findable::External(_)) {
            let message =
                "the rows of an external table are in its database, which a running node \
                           asks"
                    .to_owned();
            return Err(BuildError { message, not_supported: true });
        }
        let width = asking.len();
        let mut conjuncts = Vec::new();
        if let Some(condition) = condition {
            split(condition, &mut conjuncts);
        }
        let whole = match with {
            Findable::Window(_) | Findable::Port(_) => {
                Check::build(&conjuncts, types, asking, builder)?
            }
            Findable::Table(_) | Findable::Aggregation(_) | Findable::External(_) => None,
        };
        let chosen = match with {
            Findable::Table(table) => choose(&builder.index_columns(table), &mut conjuncts, width)
                .map(|(index, keys)| (ProbeIndex::Table(index), keys)),
            Findable::Window(_) | Findable::Port(_) => equated_columns(&mut conjuncts, width)
                .map(|(columns, keys)| (ProbeIndex::Columns(columns), keys)),
            Findable::Aggregation(aggregation) => {
                let columns = builder.group_columns(aggregation);
                let chosen = columns.and_then(|keys| choose(&[keys], &mut conjuncts, width));
                chosen.map(|(_, keys)| (ProbeIndex::Groups, keys))
            }
            Findable::External(_) => None,
        };
        let probe = match chosen {
            Some((index, keys)) => {
                let keys: Vec<Expr> = keys.into_iter().cloned().collect();
                Some(Probe { index, keys: builder.kernels(&keys, &[width])? })
            }
            None => None,
        };
        Ok(Finder {
            with,
            probe,
            rest: Check::build(&conjuncts, types, asking, builder)?,
            whole,
            candidates: Pairs::default(),
            buckets: None,
            held: HeldRows::new(types),
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
                let whole = self.probe.is_none() && self.rest.is_none();
                order_by_key(&lent, whole, before, pairs);
                context.tables[table] = Some(lent);
            }
            Findable::Aggregation(id) => {
                let lent = context.aggregations[id].take().expect("it is asked by one at a time");
                self.find_in_buckets(&lent, batch, range, context, pairs);
                context.aggregations[id] = Some(lent);
            }
            Findable::Window(_) | Findable::Port(_) => {
                self.find_in_window(batch, range, context, pairs);
            }
            // None is built.
            Findable::External(_) => {}
        }
    }

    fn find_in_window(
        &mut self,
        batch: &Batch,
        range: Range<usize>,
        context: &mut Context,
        pairs: &mut Pairs,
    ) {
        self.held.clear();
        let by_slot = matches!(self.with, Findable::Port(_));
        // A reset is no row.
        let asks = |row: &usize| batch.kind(*row) != Kind::Reset;
        let slot_of = |row: usize| if by_slot { batch.slot(row) } else { 0 };
        if let Some(Probe { index: ProbeIndex::Columns(columns), keys }) = &mut self.probe {
            let window = window_mut(self.with, context);
            let Some(window) = window else { return };
            if let Some(index) = window.index_on(columns) {
                let frame = Frame::new(&batch.columns, &batch.timestamps);
                let mut room = Columns::default();
                let keys = room.evaluate(keys, &frame, context);
                let window = window_of(self.with, context).expect("it was there before the keys");
                for row in range.filter(asks) {
                    let slot = slot_of(row);
                    let Some((queues, _)) = window.queued(slot) else { continue };
                    let rows = queues.rows();
                    for number in queues.key_index(index).find(rows, slot, keys, row) {
                        let place = (number - rows.start()) as RowNumber;
                        self.candidates.push(row as u32, place);
                    }
                }
                drop(room);
                return self.settle(None, batch, context, pairs);
            }
        }
        // Without an index every row that is held is compared.
        std::mem::swap(&mut self.rest, &mut self.whole);
        self.look_at_all(batch, range.filter(asks), slot_of, context, pairs);
        std::mem::swap(&mut self.rest, &mut self.whole);
    }

    fn look_at_all(
        &mut self,
        batch: &Batch,
        rows: impl Iterator<Item = usize>,
        slot_of: impl Fn(usize) -> Slot,
        context: &mut Context,
        pairs: &mut Pairs,
    ) {
        for row in rows {
            let Some(window) = window_of(self.with, context) else { return };
            let places = self.held.places(window, slot_of(row));
            for place in 0..places {
                self.candidates.push(row as u32, self.held.place(place));
                if self.candidates.found.len() >= PAIRS {
                    self.settle(None, batch, context, pairs);
                }
            }
        }
        self.settle(None, batch, context, pairs);
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
        self.held.clear();
        if let Some(Probe { index: ProbeIndex::Groups, keys }) = &mut self.probe {
            let frame = Frame::new(&batch.columns, &batch.timestamps);
            let mut room = Columns::default();
            let keys = room.evaluate(keys, &frame, context);
            for (row, asked) in range.zip(&choice.chosen) {
                let Some((level, within)) = asked else { continue };
                if keys.iter().any(|key| key.is_null(row)) {
                    continue;
                }
                let found = self.held.copies();
                let first = found.len() as u32;
                aggregation.read_group(*level, within.clone(), keys, row, found);
                for place in first..found.len() as u32 {
                    self.candidates.push(row as u32, place);
                }
            }
            drop(room);
            self.buckets = Some(choice);
            return self.settle(None, batch, context, pairs);
        }
        let mut read = None;
        let mut places = 0..0;
        for (row, asked) in range.zip(&choice.chosen) {
            let Some((level, within)) = asked else { continue };
            if read != Some((level, within)) {
                let window = self.held.copies();
                let first = window.len() as u32;
                aggregation.read(*level, within.clone(), window);
                places = first..window.len() as u32;
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
        if let Some(Probe { index: ProbeIndex::Table(index), keys }) = &mut self.probe {
            let frame = Frame::new(&batch.columns, &batch.timestamps);
            let mut room = Columns::default();
            let keys = room.evaluate(keys, &frame, context);
            let index = table.index(*index);
            for row in range.filter(|&row| batch.kind(row) != Kind::Reset) {
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
        for row in range.filter(|&row| batch.kind(row) != Kind::Reset) {
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
        rest.asking.clear();
        rest.found.clear();
        for (column, mine) in rest.asking.columns.iter_mut().enumerate() {
            if rest.reads_asking[column] {
                mine.gather(&batch.columns[column], &candidates.asking);
            }
        }
        for (column, mine) in rest.found.columns.iter_mut().enumerate() {
            match table {
                _ if !rest.reads_found[column] => {}
                Some(table) => table.gather(column, &candidates.found, mine),
                None => {
                    let window = window_of(self.with, context);
                    self.held.gather(window, column, &candidates.found, mine);
                }
            }
        }
        rest.asking
            .timestamps
            .extend(candidates.asking.iter().map(|&r| batch.timestamps[r as usize]));
        let frame = Frame {
            parts: [&rest.asking.columns, &rest.found.columns, &[]],
            timestamps: &rest.asking.timestamps,
        };
        let passes = rest.kernel.evaluate(&frame, context).bools();
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
            Findable::Window(_)
            | Findable::Port(_)
            | Findable::Aggregation(_)
            | Findable::External(_) => {
                self.held.gather(window_of(self.with, context), column, rows, into);
            }
        }
    }

    /// What is searched.
    pub fn with(&self) -> Findable {
        self.with
    }
}

/// The window that is searched.
fn window_of(with: Findable, context: &Context) -> Option<&dyn Window> {
    match with {
        Findable::Table(_) | Findable::Aggregation(_) | Findable::External(_) => None,
        Findable::Window(window) => context.windows[window].as_deref(),
        Findable::Port(_) => context.lent.as_deref(),
    }
}

fn window_mut(with: Findable, context: &mut Context) -> Option<&mut Box<dyn Window>> {
    match with {
        Findable::Table(_) | Findable::Aggregation(_) | Findable::External(_) => None,
        Findable::Window(window) => context.windows[window].as_mut(),
        Findable::Port(_) => context.lent.as_mut(),
    }
}

/// Puts the rows found for each asking row, from a place on, in order of the table's key, if
/// it has one to be ordered by.
fn order_by_key(table: &MemoryTable, whole: bool, before: usize, pairs: &mut Pairs) {
    let Some(column) = table.key_order(whole) else { return };
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

/// Takes out of the conjuncts those that equate a column of a window with something the asking side
/// knows. Floating numbers are not the same whenever they are equal, so they are not among these.
fn equated_columns<'a>(
    conjuncts: &mut Vec<&'a Expr>,
    width: usize,
) -> Option<(Vec<usize>, Vec<&'a Expr>)> {
    let (mut columns, mut keys) = (Vec::new(), Vec::new());
    conjuncts.retain(|conjunct| {
        let Node::Compare(Comparison::Equal, left, right) = &conjunct.node else { return true };
        if matches!(left.ty, DataType::Float | DataType::Double | DataType::Object) {
            return true;
        }
        let found = |expr: &Expr| {
            let column = expr.as_column()?.checked_sub(width)?;
            (!columns.contains(&column)).then_some(column)
        };
        let taken = match (found(left), found(right)) {
            (Some(column), _) if is_asking(right, width) => Some((column, &**right)),
            (_, Some(column)) if is_asking(left, width) => Some((column, &**left)),
            _ => None,
        };
        if let Some((column, key)) = taken {
            columns.push(column);
            keys.push(key);
        }
        taken.is_none()
    });
    (!keys.is_empty()).then_some((columns, keys))
}

/// Whether an expression reads the asking side alone.
fn is_asking(expr: &Expr, width: usize) -> bool {
    let mut columns = Vec::new();
    expr.columns(&mut columns);
    columns.iter().all(|&column| column < width)
}

/// The conjunct that equates a table's column with something of the asking side alone.
fn equated<'a>(conjuncts: &[&'a Expr], column: usize, width: usize) -> Option<(usize, &'a Expr)> {
    conjuncts.iter().enumerate().find_map(|(place, conjunct)| {
        let Node::Compare(Comparison::Equal, left, right) = &conjunct.node else { return None };
        let asking_only = |expr: &Expr| is_asking(expr, width);
        if left.as_column() == Some(column) && asking_only(right) {
            return Some((place, &**right));
        }
        (right.as_column() == Some(column) && asking_only(left)).then_some((place, &**left))
    })
}
