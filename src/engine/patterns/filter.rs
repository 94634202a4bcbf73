//! What a row must fulfil to be taken by a state, in parts: what the row says alone, computed for
//! the whole batch; the hash by which waiting matches are found; and the rest, match by match.

use crate::engine::build::BuildError;
use crate::engine::build::Builder;
use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::patterns::reader::Reader;
use crate::engine::patterns::store::Match;
use crate::engine::patterns::store::Store;
use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Millis;
use crate::event::Values;
use crate::event::hash_cell;
use crate::event::hash_column;
use crate::plan::expression::Comparison;
use crate::plan::expression::Expr;
use crate::plan::expression::Node;
use crate::plan::pattern::Capture;
use crate::plan::pattern::State;
use crate::plan::pattern::StateId;
use crate::plan::pattern::What;
use crate::plan::pattern::Which;

/// The filter of a state.
pub struct Filter {
    pub state: StateId,
    /// What the row at hand must fulfil whatever the matches hold.
    quick: Option<Box<dyn Kernel>>,
    /// By row of the batch: whether it does; empty if all do.
    pub passes: Vec<bool>,
    /// Columns of the row that must equal what a match holds, with where it holds it.
    keys: Vec<(usize, Capture)>,
    /// By row of the batch: the hash of these columns.
    hashes: Vec<u64>,
    /// Simple comparisons of the row with what a match holds.
    pub pairs: Vec<Pair>,
    /// All else, over `reads`.
    pub rest: Option<Box<dyn Kernel>>,
    pub reads: Vec<Capture>,
    /// What `rest` stands over, one row a match.
    pub frame: Vec<Column>,
    pub times: Vec<Millis>,
    /// Whether `rest` can be computed for many rows at once without a trace that it was.
    pub plain: bool,
}

/// A column of the row compared with something that a match holds.
pub struct Pair {
    pub column: usize,
    pub comparison: Comparison,
    pub held: Capture,
}

impl Filter {
    /// For the state `id`, whose rows have so many columns. `indexed` says whether matches are to
    /// be found by hash where that can be, `counts` which states take several events.
    ///
    /// # Errors
    /// If an expression cannot be run.
    pub fn build(
        id: StateId,
        state: &State,
        width: usize,
        indexed: bool,
        counts: &dyn Fn(StateId) -> bool,
        builder: &Builder<'_>,
    ) -> Result<Filter, BuildError> {
        let mut parts = Vec::new();
        if let Some(filter) = &state.filter {
            conjuncts(filter, &mut parts);
        }
        let of_row = |column: usize| row_column(id, state, &state.reads[column]);
        let (mut quick, mut rest): (Vec<Expr>, Vec<Expr>) = Default::default();
        let (mut keys, mut pairs) = (Vec::new(), Vec::new());
        for part in parts {
            let mut columns = Vec::new();
            part.columns(&mut columns);
            let of_row_alone = columns.iter().all(|&column| of_row(column).is_some());
            if of_row_alone && is_plain(part) {
                let mut part = part.clone();
                part.map_columns(&|column| of_row(column).unwrap_or_default());
                quick.push(part);
            } else if let Some(pair) = pair_of(part, &of_row, &state.reads) {
                // What a count holds can change while the match waits.
                let steady = !counts(pair.held.state);
                if indexed && steady && is_key(&pair) {
                    keys.push((pair.column, pair.held.clone()));
                }
                pairs.push(pair);
            } else {
                rest.push(part.clone());
            }
        }
        let kernel = |parts: Vec<Expr>, width: usize| {
            let whole = parts.into_iter().reduce(|one, other| Expr {
                node: Node::And(Box::new(one), Box::new(other)),
                ty: DataType::Bool,
            });
            whole.map(|whole| builder.kernel(&whole, &[width])).transpose()
        };
        Ok(Filter {
            state: id,
            plain: rest.iter().all(is_plain),
            quick: kernel(quick, width)?,
            passes: Vec::new(),
            keys,
            hashes: Vec::new(),
            pairs,
            rest: kernel(rest, state.reads.len())?,
            reads: state.reads.clone(),
            frame: state.reads.iter().map(|read| Column::new(read.what.data_type())).collect(),
            times: Vec::new(),
        })
    }

    /// Whether waiting matches are found by hash.
    pub fn is_indexed(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Computes what a batch says alone.
    pub fn begin(&mut self, batch: &Batch, context: &mut Context) {
        self.passes.clear();
        if let Some(kernel) = &mut self.quick {
            let frame = Frame::new(&batch.columns, &batch.timestamps);
            let passes = kernel.evaluate(&frame, context).bools();
            self.passes.extend_from_slice(&passes[..batch.len()]);
        }
        self.hashes.clear();
        if self.is_indexed() && batch.len() > 1 {
            self.hashes.resize(batch.len(), 0);
            for (column, _) in &self.keys {
                hash_column(&batch.columns[*column], &mut self.hashes);
            }
        }
    }

    /// Whether a row can be taken at all.
    #[inline]
    pub fn passes(&self, row: usize) -> bool {
        self.passes.get(row).copied().unwrap_or(true)
    }

    /// The hash by which a row finds matches; nothing if it can equal none.
    #[inline]
    pub fn hash_of_row(&self, batch: &Batch, row: usize) -> Option<u64> {
        if self.keys.iter().any(|(column, _)| batch.columns[*column].is_null(row)) {
            return None;
        }
        Some(match self.hashes.get(row) {
            Some(&hash) => hash,
            None => self
                .keys
                .iter()
                .fold(0, |hash, (column, _)| hash_cell(&batch.columns[*column], row, hash)),
        })
    }

    /// The hash by which a match is found.
    #[inline]
    pub fn hash_of_match(&self, of: Match, store: &Store) -> u64 {
        self.keys.iter().fold(0, |hash, (_, held)| match held_cell(store, of, held) {
            Some((column, row)) => hash_cell(column, row, hash),
            // No row equals it.
            None => hash,
        })
    }

    /// Leaves of the candidates those that take a row which passes alone. A row that cannot be
    /// computed for a match is not taken by it.
    pub fn select(
        &mut self,
        candidates: &mut Vec<(u64, Match)>,
        store: &Store,
        (batch, row): (&Batch, usize),
        context: &mut Context,
    ) {
        if !self.pairs.is_empty() {
            candidates.retain(|&(_, of)| {
                self.pairs.iter().all(|pair| {
                    held_cell(store, of, &pair.held).is_some_and(|(held, place)| {
                        compare(pair.comparison, (&batch.columns[pair.column], row), (held, place))
                    })
                })
            });
        }
        let Some(rest) = &mut self.rest else { return };
        if candidates.is_empty() {
            return;
        }
        self.frame.iter_mut().for_each(Column::clear);
        self.times.clear();
        self.times.resize(candidates.len(), batch.timestamps[row]);
        let reader = Reader { store, here: Some((batch, row)), own: Some(self.state) };
        for (read, column) in self.reads.iter().zip(&mut self.frame) {
            candidates.iter().for_each(|&(_, of)| reader.push(of, read, column));
        }
        let frame = Frame::new(&self.frame, &self.times);
        let earlier = context.faults.len();
        let passes = rest.evaluate(&frame, context).bools();
        let faults = &mut context.faults[earlier..];
        let mut at = 0;
        candidates.retain(|_| {
            at += 1;
            passes[at - 1] && faults.iter().all(|fault| fault.row != at - 1)
        });
        // What failed is the row at hand.
        faults.iter_mut().for_each(|fault| fault.row = row);
        if faults.len() > 1 {
            context.faults.truncate(earlier + 1);
        }
    }
}

/// The parts that must all hold.
fn conjuncts<'e>(expr: &'e Expr, parts: &mut Vec<&'e Expr>) {
    if let Node::And(left, right) = &expr.node {
        conjuncts(left, parts);
        conjuncts(right, parts);
    } else {
        parts.push(expr);
    }
}

/// The column of the row at hand that a filter's column means.
fn row_column(id: StateId, state: &State, read: &Capture) -> Option<usize> {
    let at_hand = match read.event {
        Which::Latest => true,
        Which::FromFirst(0) => !state.counts(),
        Which::FromFirst(_) | Which::FromLast(_) => false,
    };
    match read.what {
        What::Attribute(column, _) if read.state == id && at_hand => Some(column),
        _ => None,
    }
}

/// Whether an expression can be computed for rows that nobody asks about.
fn is_plain(expr: &Expr) -> bool {
    let mut plain = true;
    expr.walk(&mut |inner| {
        let calls = matches!(inner.node, Node::Call { .. } | Node::Script { .. } | Node::In(..));
        plain &= !calls;
    });
    plain
}

/// A comparison of a column of the row with a value of an earlier event.
fn pair_of(
    part: &Expr,
    of_row: &impl Fn(usize) -> Option<usize>,
    reads: &[Capture],
) -> Option<Pair> {
    let Node::Compare(comparison, left, right) = &part.node else { return None };
    let (left, right) = (left.as_column()?, right.as_column()?);
    let held = |column: usize| match reads[column].what {
        What::Attribute(_, ty) if ty != DataType::Object => Some(reads[column].clone()),
        _ => None,
    };
    match (of_row(left), of_row(right)) {
        (Some(column), None) => Some(Pair { column, comparison: *comparison, held: held(right)? }),
        (None, Some(column)) => {
            Some(Pair { column, comparison: turned(*comparison), held: held(left)? })
        }
        _ => None,
    }
}

fn is_key(pair: &Pair) -> bool {
    let hashed = matches!(
        pair.held.what,
        What::Attribute(_, DataType::Text | DataType::Int | DataType::Long)
    );
    pair.comparison == Comparison::Equal && hashed
}

/// The comparison with its sides exchanged.
fn turned(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Equal | Comparison::NotEqual => comparison,
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
    }
}

/// Where the value of an event that a match holds lies.
#[inline]
fn held_cell<'s>(store: &'s Store, of: Match, held: &Capture) -> Option<(&'s Column, usize)> {
    let What::Attribute(column, _) = held.what else { return None };
    let place = Reader { store, here: None, own: None }.place(of, held)?;
    Some(store.value(held.state, place, column))
}

/// Whether a comparison of two values of one type holds; with null none does.
#[inline]
fn compare(comparison: Comparison, left: (&Column, usize), right: (&Column, usize)) -> bool {
    let ((left, a), (right, b)) = (left, right);
    if left.is_null(a) || right.is_null(b) {
        return false;
    }
    match (&left.values, &right.values) {
        (Values::Int(left), Values::Int(right)) => holds(comparison, &left[a], &right[b]),
        (Values::Long(left), Values::Long(right)) => holds(comparison, &left[a], &right[b]),
        (Values::Float(left), Values::Float(right)) => holds(comparison, &left[a], &right[b]),
        (Values::Double(left), Values::Double(right)) => holds(comparison, &left[a], &right[b]),
        (Values::Bool(left), Values::Bool(right)) => holds(comparison, &left[a], &right[b]),
        (Values::Text(left), Values::Text(right)) => holds(comparison, &left[a], &right[b]),
        _ => false,
    }
}

/// Whether a comparison of two values holds.
#[inline]
pub fn holds<T: PartialOrd>(comparison: Comparison, left: &T, right: &T) -> bool {
    match comparison {
        Comparison::Equal => left == right,
        Comparison::NotEqual => left != right,
        Comparison::Less => left < right,
        Comparison::LessOrEqual => left <= right,
        Comparison::Greater => left > right,
        Comparison::GreaterOrEqual => left >= right,
    }
}
