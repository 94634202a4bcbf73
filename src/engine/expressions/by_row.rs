//! Makes kernels from functions of a whole row of arguments: for functions with many arguments,
//! with nulls that mean something, or with rows that they cannot compute.

use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::expressions::Native;
use crate::engine::expressions::Operand;
use crate::engine::expressions::lift::Output;
use crate::event::Column;
use crate::event::Millis;
use crate::event::Text;
use crate::event::Value;
use smallvec::SmallVec;
use std::borrow::Cow;

/// Why a row cannot be computed: the message of its fault.
pub type Trouble = Cow<'static, str>;

/// What a function gives for a row: a value, null, or why it cannot be computed.
pub type Outcome<R> = Result<Option<R>, Trouble>;

/// The arguments of a call for one row.
#[derive(Clone, Copy)]
pub struct Arguments<'a> {
    columns: &'a [&'a Column],
    row: usize,
    /// The engine's clock.
    pub now: Millis,
}

impl<'a> Arguments<'a> {
    /// How many arguments there are.
    pub fn count(&self) -> usize {
        self.columns.len()
    }

    /// The argument at a place, as its column holds it; `None` for null.
    ///
    /// # Panics
    /// If the argument is of another type: types are settled when a plan is checked.
    #[inline]
    pub fn get<T: Native>(&self, place: usize) -> Option<&'a T> {
        let column = self.columns[place];
        (!column.is_null(self.row)).then(|| &T::rows(column)[self.row])
    }

    /// The text at a place.
    #[inline]
    pub fn text(&self, place: usize) -> Option<&'a Text> {
        self.get(place)
    }

    /// The value at a place, whatever its type; null for null.
    pub fn value(&self, place: usize) -> Value {
        self.columns[place].value(self.row)
    }

    /// The argument at a place, which the function cannot do without.
    ///
    /// # Errors
    /// The fault of a row where it is null.
    #[inline]
    pub fn needed<T: Native>(&self, place: usize) -> Result<&'a T, Trouble> {
        self.get(place).ok_or_else(|| missing(place))
    }
}

#[cold]
fn missing(place: usize) -> Trouble {
    format!("argument {} is null", place + 1).into()
}

struct ByRow<R, F> {
    name: Cow<'static, str>,
    operands: Vec<Operand>,
    compute: F,
    output: Output<R>,
}

/// Makes a kernel of a function of a row of arguments. `name` stands in the messages of faults.
pub fn by_row<R, F>(
    name: impl Into<Cow<'static, str>>,
    operands: Vec<Operand>,
    compute: F,
) -> Box<dyn Kernel>
where
    R: Native,
    F: FnMut(Arguments<'_>) -> Outcome<R> + Send + 'static,
{
    Box::new(ByRow { name: name.into(), operands, compute, output: Output::new() })
}

impl<R, F> Kernel for ByRow<R, F>
where
    R: Native,
    F: FnMut(Arguments<'_>) -> Outcome<R> + Send,
{
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        let mut columns: SmallVec<[&Column; 4]> = SmallVec::new();
        for operand in &mut self.operands {
            columns.push(operand.evaluate(frame, context));
        }
        let (output, nulls) = self.output.begin(frame.len());
        let now = context.now;
        for (row, result) in output.iter_mut().enumerate() {
            *result = match (self.compute)(Arguments { columns: &columns, row, now }) {
                Ok(Some(value)) => value,
                Ok(None) => {
                    nulls.set(row);
                    R::default()
                }
                Err(trouble) => {
                    context.fault(row, format!("`{}`: {trouble}", self.name));
                    nulls.set(row);
                    R::default()
                }
            };
        }
        self.output.column()
    }
}
