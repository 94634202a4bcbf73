//! Makes kernels from functions of one row: who writes one need not know of columns or nulls.

use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::expressions::Native;
use crate::event::Bits;
use crate::event::Column;
use std::marker::PhantomData;

/// Where a kernel takes its values from. A column of the frame is so common, and so cheap, that it
/// need not be a kernel of its own.
pub enum Operand {
    /// A column of the frame.
    Column {
        /// Which group of columns.
        part: usize,
        /// Its place there.
        index: usize,
    },
    /// Something computed.
    Kernel(Box<dyn Kernel>),
}

impl Operand {
    /// The values for all rows of the frame, and perhaps more.
    #[inline]
    pub fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        match self {
            Operand::Column { part, index } => &frame.parts[*part][*index],
            Operand::Kernel(kernel) => kernel.evaluate(frame, context),
        }
    }
}

impl From<Box<dyn Kernel>> for Operand {
    fn from(kernel: Box<dyn Kernel>) -> Operand {
        Operand::Kernel(kernel)
    }
}

/// A result column, kept from call to call. It only grows: rows beyond the frame's are left over
/// from an earlier call and mean nothing.
pub struct Output<R> {
    column: Column,
    ty: PhantomData<R>,
}

impl<R: Native> Output<R> {
    /// An empty result.
    #[expect(clippy::new_without_default, reason = "nobody needs it by default")]
    pub fn new() -> Output<R> {
        Output { column: Column::new(R::TYPE), ty: PhantomData }
    }

    /// The places of `rows` rows, to be overwritten, and the marks of nulls, all off.
    #[inline]
    pub fn begin(&mut self, rows: usize) -> (&mut [R], &mut Bits) {
        let Column { values, nulls } = &mut self.column;
        nulls.clear();
        let vector = R::vector(values);
        if vector.len() < rows {
            vector.resize(rows.next_power_of_two(), R::default());
        }
        (&mut vector[..rows], nulls)
    }

    /// The finished column.
    #[inline]
    pub fn column(&self) -> &Column {
        &self.column
    }
}

/// The marked ones of the first `rows` rows.
pub fn marked(bits: &Bits, rows: usize) -> impl Iterator<Item = usize> + '_ {
    bits.iter().take_while(move |&row| row < rows)
}

/// Marks the nulls of an input in the result, where they hold the type's zero.
#[inline]
fn pass_nulls<R: Native>(input: &Column, output: &mut [R], nulls: &mut Bits) {
    if input.nulls.any() {
        pass_nulls_slowly(&input.nulls, output, nulls);
    }
}

#[cold]
fn pass_nulls_slowly<R: Native>(input: &Bits, output: &mut [R], nulls: &mut Bits) {
    nulls.union(input, output.len());
    for row in marked(input, output.len()) {
        output[row] = R::default();
    }
}

/// Null becomes false.
#[inline]
fn nulls_are_false(input: &Column, output: &mut [bool]) {
    if input.nulls.any() {
        for row in marked(&input.nulls, output.len()) {
            output[row] = false;
        }
    }
}

/// A function of one value; null gives null.
struct Map<A, R, F> {
    operand: Operand,
    compute: F,
    output: Output<R>,
    argument: PhantomData<A>,
}

/// Makes a kernel of a function of one value; null gives null.
pub fn map<A, R, F>(operand: impl Into<Operand>, compute: F) -> Box<dyn Kernel>
where
    A: Native,
    R: Native,
    F: Fn(&A) -> R + Send + 'static,
{
    let (operand, output) = (operand.into(), Output::new());
    Box::new(Map { operand, compute, output, argument: PhantomData::<A> })
}

impl<A: Native, R: Native, F: Fn(&A) -> R + Send> Kernel for Map<A, R, F> {
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        let input = self.operand.evaluate(frame, context);
        let (output, nulls) = self.output.begin(frame.len());
        for (result, value) in output.iter_mut().zip(A::rows(input)) {
            *result = (self.compute)(value);
        }
        pass_nulls(input, output, nulls);
        self.output.column()
    }
}

/// A function of one value that may give null; null gives null.
struct TryMap<A, R, F> {
    operand: Operand,
    compute: F,
    output: Output<R>,
    argument: PhantomData<A>,
}

/// Makes a kernel of a function of one value that may give null; null gives null.
pub fn try_map<A, R, F>(operand: impl Into<Operand>, compute: F) -> Box<dyn Kernel>
where
    A: Native,
    R: Native,
    F: Fn(&A) -> Option<R> + Send + 'static,
{
    let (operand, output) = (operand.into(), Output::new());
    Box::new(TryMap { operand, compute, output, argument: PhantomData::<A> })
}

impl<A: Native, R: Native, F: Fn(&A) -> Option<R> + Send> Kernel for TryMap<A, R, F> {
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        let input = self.operand.evaluate(frame, context);
        let (output, nulls) = self.output.begin(frame.len());
        for (row, (result, value)) in output.iter_mut().zip(A::rows(input)).enumerate() {
            *result = (self.compute)(value).unwrap_or_else(|| {
                nulls.set(row);
                R::default()
            });
        }
        pass_nulls(input, output, nulls);
        self.output.column()
    }
}

/// A function of one value that has a result for null too.
struct MapNullable<A, R, F> {
    operand: Operand,
    compute: F,
    output: Output<R>,
    argument: PhantomData<A>,
}

/// Makes a kernel of a function of one value that has a result for null too.
pub fn map_nullable<A, R, F>(operand: impl Into<Operand>, compute: F) -> Box<dyn Kernel>
where
    A: Native,
    R: Native,
    F: Fn(Option<&A>) -> R + Send + 'static,
{
    let (operand, output) = (operand.into(), Output::new());
    Box::new(MapNullable { operand, compute, output, argument: PhantomData::<A> })
}

impl<A: Native, R: Native, F: Fn(Option<&A>) -> R + Send> Kernel for MapNullable<A, R, F> {
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        let input = self.operand.evaluate(frame, context);
        let (output, _) = self.output.begin(frame.len());
        for (row, (result, value)) in output.iter_mut().zip(A::rows(input)).enumerate() {
            *result = (self.compute)((!input.is_null(row)).then_some(value));
        }
        self.output.column()
    }
}

/// A function of two values; a null gives null.
struct Zip<A, B, R, F> {
    left: Operand,
    right: Operand,
    compute: F,
    output: Output<R>,
    arguments: PhantomData<(A, B)>,
}

/// Makes a kernel of a function of two values; a null gives null.
pub fn zip<A, B, R, F>(
    left: impl Into<Operand>,
    right: impl Into<Operand>,
    compute: F,
) -> Box<dyn Kernel>
where
    A: Native,
    B: Native,
    R: Native,
    F: Fn(&A, &B) -> R + Send + 'static,
{
    let (left, right, output) = (left.into(), right.into(), Output::new());
    Box::new(Zip { left, right, compute, output, arguments: PhantomData::<(A, B)> })
}

impl<A, B, R, F> Kernel for Zip<A, B, R, F>
where
    A: Native,
    B: Native,
    R: Native,
    F: Fn(&A, &B) -> R + Send,
{
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        let left = self.left.evaluate(frame, context);
        let right = self.right.evaluate(frame, context);
        let (output, nulls) = self.output.begin(frame.len());
        let pairs = A::rows(left).iter().zip(B::rows(right));
        for (result, (left, right)) in output.iter_mut().zip(pairs) {
            *result = (self.compute)(left, right);
        }
        pass_nulls(left, output, nulls);
        pass_nulls(right, output, nulls);
        self.output.column()
    }
}

/// A function of two values that may give null; a null gives null.
struct TryZip<A, B, R, F> {
    left: Operand,
    right: Operand,
    compute: F,
    output: Output<R>,
    arguments: PhantomData<(A, B)>,
}

/// Makes a kernel of a function of two values that may give null; a null gives null.
pub fn try_zip<A, B, R, F>(
    left: impl Into<Operand>,
    right: impl Into<Operand>,
    compute: F,
) -> Box<dyn Kernel>
where
    A: Native,
    B: Native,
    R: Native,
    F: Fn(&A, &B) -> Option<R> + Send + 'static,
{
    let (left, right, output) = (left.into(), right.into(), Output::new());
    Box::new(TryZip { left, right, compute, output, arguments: PhantomData::<(A, B)> })
}

impl<A, B, R, F> Kernel for TryZip<A, B, R, F>
where
    A: Native,
    B: Native,
    R: Native,
    F: Fn(&A, &B) -> Option<R> + Send,
{
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        let left = self.left.evaluate(frame, context);
        let right = self.right.evaluate(frame, context);
        let (output, nulls) = self.output.begin(frame.len());
        let pairs = A::rows(left).iter().zip(B::rows(right));
        for (row, (result, (left, right))) in output.iter_mut().zip(pairs).enumerate() {
            *result = (self.compute)(left, right).unwrap_or_else(|| {
                nulls.set(row);
                R::default()
            });
        }
        pass_nulls(left, output, nulls);
        pass_nulls(right, output, nulls);
        self.output.column()
    }
}

/// A condition on one value; null gives false.
struct Test<A, F> {
    operand: Operand,
    holds: F,
    output: Output<bool>,
    argument: PhantomData<A>,
}

/// Makes a kernel of a condition on one value; null gives false.
pub fn test<A, F>(operand: impl Into<Operand>, holds: F) -> Box<dyn Kernel>
where
    A: Native,
    F: Fn(&A) -> bool + Send + 'static,
{
    let (operand, output) = (operand.into(), Output::new());
    Box::new(Test { operand, holds, output, argument: PhantomData::<A> })
}

impl<A: Native, F: Fn(&A) -> bool + Send> Kernel for Test<A, F> {
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        let input = self.operand.evaluate(frame, context);
        let (output, _) = self.output.begin(frame.len());
        for (result, value) in output.iter_mut().zip(A::rows(input)) {
            *result = (self.holds)(value);
        }
        nulls_are_false(input, output);
        self.output.column()
    }
}

/// A condition on two values; a null gives false.
struct TestPair<A, F> {
    left: Operand,
    right: Operand,
    holds: F,
    output: Output<bool>,
    arguments: PhantomData<A>,
}

/// Makes a kernel of a condition on two values; a null gives false.
pub fn test_pair<A, F>(
    left: impl Into<Operand>,
    right: impl Into<Operand>,
    holds: F,
) -> Box<dyn Kernel>
where
    A: Native,
    F: Fn(&A, &A) -> bool + Send + 'static,
{
    let (left, right, output) = (left.into(), right.into(), Output::new());
    Box::new(TestPair { left, right, holds, output, arguments: PhantomData::<A> })
}

impl<A: Native, F: Fn(&A, &A) -> bool + Send> Kernel for TestPair<A, F> {
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        let left = self.left.evaluate(frame, context);
        let right = self.right.evaluate(frame, context);
        let (output, _) = self.output.begin(frame.len());
        let pairs = A::rows(left).iter().zip(A::rows(right));
        for (result, (left, right)) in output.iter_mut().zip(pairs) {
            *result = (self.holds)(left, right);
        }
        nulls_are_false(left, output);
        nulls_are_false(right, output);
        self.output.column()
    }
}
