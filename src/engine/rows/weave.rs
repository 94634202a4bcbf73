//! Rows that leave interleaved with rows that arrive: the output of a sliding window, built column
//! by column.

use crate::engine::rows::Rows;
use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Text;
use crate::event::Value;
use crate::event::Values;

/// Which rows leave.
#[derive(Clone, Copy, Debug)]
pub enum Leaving<'a> {
    /// Rows that lie together, from this number on.
    From(u64),
    /// These rows.
    Numbers(&'a [u64]),
}

/// The time that rows get when they leave.
#[derive(Clone, Copy, Debug)]
pub enum Stamp<'a> {
    /// All the same.
    At(Millis),
    /// That of the row by which they leave.
    Each(&'a [Millis]),
}

/// Appends, for each row of `batch`, the `counts` rows that leave before it as expired and then the
/// row itself. All of them are one chunk, which goes on where the row's does. `into` must be empty.
pub fn weave(
    rows: &Rows,
    leaving: Leaving<'_>,
    counts: &[u32],
    stamp: Stamp<'_>,
    batch: &Batch,
    into: &mut Batch,
) {
    // One row is common, and what pays for many costs more than a push.
    if let [_] = counts {
        return weave_one(rows, leaving, counts[0], stamp, batch, into);
    }
    let shape = Shape::of(counts);
    for (place, column) in into.columns.iter_mut().enumerate() {
        if let Some(ty) = column.values.data_type() {
            let source = Source { rows, place, leaving, shape, counts, batch };
            source.weave(ty, column);
            source.weave_nulls(&mut column.nulls);
        }
    }
    weave_heads(shape, counts, stamp, batch, into);
}

fn weave_one(
    rows: &Rows,
    leaving: Leaving<'_>,
    count: u32,
    stamp: Stamp<'_>,
    batch: &Batch,
    into: &mut Batch,
) {
    let slot = batch.slot(0);
    let now = match stamp {
        Stamp::At(now) => now,
        Stamp::Each(times) => times[0],
    };
    let number = |left: usize| match leaving {
        Leaving::From(first) => first + left as u64,
        Leaving::Numbers(numbers) => numbers[left],
    };
    if count == 1 {
        let (segment, row) = rows.place(number(0));
        let kept = &rows.segment(segment).columns;
        for ((mine, old), new) in into.columns.iter_mut().zip(kept).zip(&batch.columns) {
            match old.values {
                Values::Absent => {
                    mine.push_zero();
                    mine.push_from(new, 0);
                }
                _ => mine.push_both((old, row), (new, 0)),
            }
        }
        into.timestamps.extend([now, batch.timestamps[0]]);
        into.kinds.extend([Kind::Expired, Kind::Current]);
        if slot != 0 {
            into.slots.extend([slot, slot]);
        }
        return into.continues.set(0);
    }
    for left in 0..count as usize {
        rows.push(number(left), &mut into.columns);
        into.push_head(now, Kind::Expired, slot);
        into.continues.set(left);
    }
    for (mine, theirs) in into.columns.iter_mut().zip(&batch.columns) {
        mine.push_from(theirs, 0);
    }
    into.push_head(batch.timestamps[0], Kind::Current, slot);
}

/// What the counts look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Nothing leaves.
    None,
    /// Before each row one leaves.
    Pairs,
    /// So many leave in all.
    Mixed(usize),
}

impl Shape {
    fn of(counts: &[u32]) -> Shape {
        let total: usize = counts.iter().map(|&count| count as usize).sum();
        let same = |wanted: u32| counts.iter().all(|&count| count == wanted);
        match total {
            0 => Shape::None,
            _ if total == counts.len() && same(1) => Shape::Pairs,
            _ => Shape::Mixed(total),
        }
    }

    fn total(self, arriving: usize) -> usize {
        match self {
            Shape::None => 0,
            Shape::Pairs => arriving,
            Shape::Mixed(total) => total,
        }
    }
}

/// Types that columns hold.
trait Element: Clone + Default {
    fn read(column: &Column) -> &[Self];
    fn write(column: &mut Column) -> &mut Vec<Self>;
    /// Appends the values of two slices of equal length in turn; room is reserved.
    fn extend_in_turn(into: &mut Vec<Self>, left: &[Self], right: &[Self]);
}

macro_rules! elements {
    ($($ty:ty, $read:ident, $write:ident, $in_turn:ident;)*) => {$(
        impl Element for $ty {
            #[inline]
            fn read(column: &Column) -> &[Self] {
                column.$read()
            }
            #[inline]
            fn write(column: &mut Column) -> &mut Vec<Self> {
                column.$write()
            }
            #[inline]
            fn extend_in_turn(into: &mut Vec<Self>, left: &[Self], right: &[Self]) {
                $in_turn(into, left, right);
            }
        }
    )*};
}

elements! {
    i32, ints, ints_mut, numbers;
    i64, longs, longs_mut, numbers;
    f32, floats, floats_mut, numbers;
    f64, doubles, doubles_mut, numbers;
    bool, bools, bools_mut, numbers;
    Text, texts, texts_mut, clones;
    Value, objects, objects_mut, clones;
}

#[inline]
fn numbers<T: Copy>(into: &mut Vec<T>, left: &[T], right: &[T]) {
    into.extend(left.iter().zip(right).flat_map(|(&left, &right)| [left, right]));
}

/// Clones first and brings in turn after: a clone that is moved at once is written in parts and
/// read back as a whole, which stalls the processor for longer than all the rest takes.
fn clones<T: Clone>(into: &mut Vec<T>, left: &[T], right: &[T]) {
    let (left, right) = (left.to_vec(), right.to_vec());
    into.extend(left.into_iter().zip(right).flat_map(|(left, right)| [left, right]));
}

/// One column of the rows that leave and of those that arrive.
#[derive(Clone, Copy)]
struct Source<'a> {
    rows: &'a Rows,
    place: usize,
    leaving: Leaving<'a>,
    shape: Shape,
    counts: &'a [u32],
    batch: &'a Batch,
}

impl<'a> Source<'a> {
    fn weave(&self, ty: DataType, into: &mut Column) {
        match ty {
            DataType::Int => self.weave_values::<i32>(into),
            DataType::Long => self.weave_values::<i64>(into),
            DataType::Float => self.weave_values::<f32>(into),
            DataType::Double => self.weave_values::<f64>(into),
            DataType::Bool => self.weave_values::<bool>(into),
            DataType::Text => self.weave_values::<Text>(into),
            DataType::Object => self.weave_values::<Value>(into),
        }
    }

    fn weave_values<T: Element>(&self, into: &mut Column) {
        let into = T::write(into);
        let arriving = T::read(&self.batch.columns[self.place]);
        if let ([value], Shape::Pairs, Leaving::From(number)) = (arriving, self.shape, self.leaving)
        {
            // One row for one row: what a call with one event mostly brings.
            let old = match self.is_kept() {
                true => {
                    let (segment, row) = self.rows.place(number);
                    T::read(&self.rows.segment(segment).columns[self.place])[row].clone()
                }
                false => T::default(),
            };
            into.push(old);
            return into.push(value.clone());
        }
        if self.shape != Shape::None && !self.is_kept() {
            return self.arriving_only(arriving, into);
        }
        match (self.shape, self.leaving) {
            (Shape::None, _) => into.extend_from_slice(arriving),
            (Shape::Pairs, Leaving::From(first)) => self.pairs(first, arriving, into),
            (Shape::Mixed(_), Leaving::From(first)) => self.runs(first, arriving, into),
            (_, Leaving::Numbers(numbers)) => self.picks(numbers, arriving, into),
        }
    }

    /// One row leaves before each that arrives.
    fn pairs<T: Element>(&self, first: u64, mut arriving: &[T], into: &mut Vec<T>) {
        into.reserve(2 * arriving.len());
        let numbers = first..first + arriving.len() as u64;
        self.rows.stretches(numbers, |segment, stretch| {
            let leaving = &T::read(&segment.columns[self.place])[stretch];
            let (now, later) = arriving.split_at(leaving.len());
            arriving = later;
            T::extend_in_turn(into, leaving, now);
        });
    }

    /// Whether the rows that leave have this column; if not, nobody reads it of them.
    fn is_kept(&self) -> bool {
        self.rows.segment(0).columns[self.place].values.data_type().is_some()
    }

    fn arriving_only<T: Element>(&self, arriving: &[T], into: &mut Vec<T>) {
        into.reserve(self.shape.total(arriving.len()) + arriving.len());
        let copies = arriving.to_vec();
        let arriving = copies.into_iter();
        if self.shape == Shape::Pairs {
            return into.extend(arriving.flat_map(|value| [T::default(), value]));
        }
        for (value, &count) in arriving.zip(self.counts) {
            into.resize_with(into.len() + count as usize, T::default);
            into.push(value);
        }
    }

    /// Any number of rows that lie together leave before each that arrives.
    fn runs<T: Element>(&self, first: u64, arriving: &[T], into: &mut Vec<T>) {
        let total = self.shape.total(0);
        into.reserve(total + arriving.len());
        // Cloned first and moved after, for the reason that `clones` gives.
        let mut leaving = Vec::with_capacity(total);
        self.rows.stretches(first..first + total as u64, |segment, stretch| {
            leaving.extend_from_slice(&T::read(&segment.columns[self.place])[stretch]);
        });
        let mut leaving = leaving.into_iter();
        let copies = arriving.to_vec();
        for (value, &count) in copies.into_iter().zip(self.counts) {
            into.extend(leaving.by_ref().take(count as usize));
            into.push(value);
        }
    }

    /// Rows from anywhere leave before each that arrives.
    fn picks<T: Element>(&self, numbers: &[u64], arriving: &[T], into: &mut Vec<T>) {
        into.reserve(numbers.len() + arriving.len());
        let mut numbers = numbers.iter();
        let segments = self.rows.segments();
        // Looking all segments up beforehand pays when they are few beside the rows.
        if 4 * segments <= numbers.len() {
            let column = |place| T::read(&self.rows.segment(place).columns[self.place]);
            let slices: Vec<&[T]> = (0..segments).map(column).collect();
            for (value, &count) in arriving.iter().zip(self.counts) {
                for &number in numbers.by_ref().take(count as usize) {
                    let (segment, row) = self.rows.place(number);
                    into.push(slices[segment][row].clone());
                }
                into.push(value.clone());
            }
            return;
        }
        for (value, &count) in arriving.iter().zip(self.counts) {
            for &number in numbers.by_ref().take(count as usize) {
                let (segment, row) = self.rows.place(number);
                into.push(T::read(&self.rows.segment(segment).columns[self.place])[row].clone());
            }
            into.push(value.clone());
        }
    }

    fn weave_nulls(&self, into: &mut crate::event::Bits) {
        let segments = 0..self.rows.segments();
        let column = |place: usize| &self.rows.segment(place).columns[self.place];
        let arriving = &self.batch.columns[self.place].nulls;
        let total = self.shape.total(self.counts.len());
        let some_leave = total > 0 && self.is_kept() && self.some_leaving_null(segments, column);
        if !some_leave && !arriving.any() {
            return;
        }
        let mut at = 0;
        let mut left = 0;
        for (row, &count) in self.counts.iter().enumerate() {
            for _ in 0..count {
                let number = match self.leaving {
                    Leaving::From(first) => first + left as u64,
                    Leaving::Numbers(numbers) => numbers[left],
                };
                let (segment, place) = self.rows.place(number);
                if some_leave && column(segment).nulls.get(place) {
                    into.set(at);
                }
                left += 1;
                at += 1;
            }
            if arriving.get(row) {
                into.set(at);
            }
            at += 1;
        }
    }

    fn some_leaving_null<'b>(
        &self,
        mut segments: std::ops::Range<usize>,
        column: impl Fn(usize) -> &'b Column,
    ) -> bool {
        if let Leaving::From(first) = self.leaving {
            let last = first + self.shape.total(self.counts.len()) as u64 - 1;
            segments = self.rows.place(first).0..self.rows.place(last).0 + 1;
        }
        segments.into_iter().any(|segment| column(segment).nulls.any())
    }
}

fn weave_heads(shape: Shape, counts: &[u32], stamp: Stamp<'_>, batch: &Batch, into: &mut Batch) {
    debug_assert!(into.timestamps.is_empty());
    let arriving = batch.len();
    let total = shape.total(arriving);
    if shape == Shape::None {
        into.timestamps.extend_from_slice(&batch.timestamps);
        into.slots.extend_from_slice(&batch.slots);
        into.continues.extend(0, &batch.continues, 0, arriving);
        return;
    }
    if shape == Shape::Pairs {
        let own = batch.timestamps.iter();
        match stamp {
            Stamp::At(now) => into.timestamps.extend(own.flat_map(|&own| [now, own])),
            Stamp::Each(times) => {
                into.timestamps.extend(times.iter().zip(own).flat_map(|(&now, &own)| [now, own]));
            }
        }
        into.kinds.extend((0..arriving).flat_map(|_| [Kind::Expired, Kind::Current]));
        into.slots.extend(batch.slots.iter().flat_map(|&slot| [slot, slot]));
        into.continues.set_even(2 * arriving);
    } else {
        into.kinds.resize(total + arriving, Kind::Expired);
        into.timestamps.reserve(total + arriving);
        let mut at = 0;
        for (row, &count) in counts.iter().enumerate() {
            let now = match stamp {
                Stamp::At(now) => now,
                Stamp::Each(times) => times[row],
            };
            let until = at + count as usize;
            into.timestamps.resize(until, now);
            into.timestamps.push(batch.timestamps[row]);
            into.kinds[until] = Kind::Current;
            (at..until).for_each(|row| into.continues.set(row));
            at = until + 1;
        }
        if !batch.slots.is_empty() {
            for (&slot, &count) in batch.slots.iter().zip(counts) {
                into.slots.resize(into.slots.len() + count as usize + 1, slot);
            }
        }
    }
    if batch.continues.any() {
        let mut at = 0;
        for (row, &count) in counts.iter().enumerate() {
            at += count as usize;
            if batch.continues.get(row) {
                into.continues.set(at);
            }
            at += 1;
        }
    }
}
