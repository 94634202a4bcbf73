//! The values of a run, the memory they live in, and the bounds of both time and memory.

use crate::engine::script::number;
use crate::engine::script::tree::Global;
use crate::event::Text;

/// Steps that a call may take.
pub const MOST_STEPS: u32 = 100_000;
/// Bytes that a call may use, all it ever made counted.
pub const MOST_BYTES: usize = 1 << 20;

/// A value while a function runs. Lists, objects and functions are places in the heap.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum {
    Undefined,
    Null,
    Truth(bool),
    Number(f64),
    /// A whole number that a float would round; it stays what it is until somebody computes with
    /// it.
    Whole(i64),
    Text(Text),
    List(usize),
    Object(usize),
    Function(usize),
    Pattern(usize),
    Global(Global),
    /// A function that belongs to something that is always there, as in `Math.max`.
    Static(Global, Text),
}

/// What lives in the heap.
#[derive(Debug)]
pub enum Cell {
    List(Vec<Datum>),
    Object(Vec<(Text, Datum)>),
    /// A function with the scope around it.
    Closure {
        function: usize,
        scope: usize,
    },
    /// The places of a function that was called, and the scope around the function.
    Scope {
        values: Vec<Datum>,
        outer: usize,
    },
}

/// Why a run ends before its end.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// Something was thrown; it can be caught.
    Thrown(Datum),
    /// A bound was met; that cannot be caught.
    Exhausted(String),
}

/// An error of the kind that can be caught.
pub fn trouble<T>(message: impl Into<Text>) -> Result<T, Stop> {
    Err(Stop::Thrown(Datum::Text(message.into())))
}

/// The memory of a run, and what is left of its bounds.
#[derive(Debug, Default)]
pub struct Heap {
    cells: Vec<Cell>,
    /// Lists that were given up, to be filled again.
    spare: Vec<Vec<Datum>>,
    steps: u32,
    bytes: usize,
}

impl Heap {
    /// Forgets everything, and gives a run its bounds anew.
    pub fn reset(&mut self) {
        for cell in self.cells.drain(..) {
            if let Cell::List(mut values) | Cell::Scope { mut values, .. } = cell
                && self.spare.len() < 16
            {
                values.clear();
                self.spare.push(values);
            }
        }
        self.reset_bounds();
    }

    /// Gives a run its bounds anew.
    pub fn reset_bounds(&mut self) {
        self.steps = 0;
        self.bytes = 0;
    }

    /// An empty list, used before if one is left.
    pub fn values(&mut self) -> Vec<Datum> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes steps.
    ///
    /// # Errors
    /// If none are left.
    #[inline]
    pub fn step(&mut self, steps: usize) -> Result<(), Stop> {
        let total = self.steps.saturating_add(u32::try_from(steps).unwrap_or(u32::MAX));
        self.steps = total;
        if total > MOST_STEPS {
            return Err(Stop::Exhausted(format!("did not end within {MOST_STEPS} steps")));
        }
        Ok(())
    }

    /// Takes memory.
    ///
    /// # Errors
    /// If none is left.
    #[inline]
    pub fn take(&mut self, bytes: usize) -> Result<(), Stop> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MOST_BYTES {
            return Err(Stop::Exhausted(format!("used more than {MOST_BYTES} bytes of memory")));
        }
        Ok(())
    }

    /// Puts something into the heap; gives its place.
    ///
    /// # Errors
    /// If no memory is left.
    pub fn put(&mut self, cell: Cell) -> Result<usize, Stop> {
        let size = match &cell {
            Cell::List(values) | Cell::Scope { values, .. } => values.len() * 32,
            Cell::Object(entries) => entries.len() * 48,
            Cell::Closure { .. } => 0,
        };
        self.take(size + 64)?;
        self.cells.push(cell);
        Ok(self.cells.len() - 1)
    }

    /// A text as a value.
    ///
    /// # Errors
    /// If no memory or time is left.
    pub fn text(&mut self, text: impl Into<Text>) -> Result<Datum, Stop> {
        let text = text.into();
        self.take(text.len())?;
        self.step(text.len() / 64)?;
        Ok(Datum::Text(text))
    }

    /// A list as a value.
    ///
    /// # Errors
    /// If no memory or time is left.
    pub fn list(&mut self, values: Vec<Datum>) -> Result<Datum, Stop> {
        self.step(values.len() / 8)?;
        Ok(Datum::List(self.put(Cell::List(values))?))
    }

    /// What lives at a place.
    pub fn cell(&self, place: usize) -> &Cell {
        &self.cells[place]
    }

    /// What lives at a place, to be changed.
    pub fn cell_mut(&mut self, place: usize) -> &mut Cell {
        &mut self.cells[place]
    }

    /// The list at a place.
    pub fn items(&self, place: usize) -> &[Datum] {
        match &self.cells[place] {
            Cell::List(values) => values,
            _ => &[],
        }
    }

    /// The list at a place, to be changed.
    ///
    /// # Panics
    /// If there is none.
    pub fn items_mut(&mut self, place: usize) -> &mut Vec<Datum> {
        match &mut self.cells[place] {
            Cell::List(values) => values,
            _ => unreachable!("a list stays a list"),
        }
    }

    /// The entries of the object at a place.
    pub fn entries(&self, place: usize) -> &[(Text, Datum)] {
        match &self.cells[place] {
            Cell::Object(entries) => entries,
            _ => &[],
        }
    }

    /// Sets an entry of the object at a place.
    ///
    /// # Errors
    /// If no memory or time is left.
    pub fn set_entry(&mut self, place: usize, key: &Text, value: Datum) -> Result<(), Stop> {
        self.step(self.entries(place).len() / 8)?;
        let Cell::Object(entries) = &mut self.cells[place] else { return Ok(()) };
        if let Some((_, old)) = entries.iter_mut().find(|(known, _)| known == key) {
            *old = value;
            return Ok(());
        }
        entries.push((key.clone(), value));
        self.take(48 + key.len())
    }
}

/// Whether a value counts as true.
pub fn truth(value: &Datum) -> bool {
    match value {
        Datum::Undefined | Datum::Null => false,
        Datum::Truth(truth) => *truth,
        Datum::Number(number) => *number != 0.0 && !number.is_nan(),
        Datum::Whole(number) => *number != 0,
        Datum::Text(text) => !text.is_empty(),
        _ => true,
    }
}

/// What `typeof` says.
pub fn type_name(value: &Datum) -> &'static str {
    match value {
        Datum::Undefined => "undefined",
        Datum::Truth(_) => "boolean",
        Datum::Number(_) | Datum::Whole(_) => "number",
        Datum::Text(_) => "string",
        Datum::Function(_) | Datum::Static(..) => "function",
        Datum::Null | Datum::List(_) | Datum::Object(_) | Datum::Pattern(_) | Datum::Global(_) => {
            "object"
        }
    }
}

/// How deep lists may stand in each other where they are written as text.
const DEEPEST: usize = 32;

impl Heap {
    /// A value as text.
    ///
    /// # Errors
    /// If no memory or time is left.
    pub fn text_of(&mut self, value: &Datum) -> Result<Text, Stop> {
        let mut out = Text::new();
        self.write(value, &mut out, DEEPEST)?;
        self.take(out.len())?;
        Ok(out)
    }

    fn write(&mut self, value: &Datum, out: &mut Text, depth: usize) -> Result<(), Stop> {
        self.step(1 + out.len() / 4096)?;
        match value {
            Datum::Undefined => out.push_str("undefined"),
            Datum::Null => out.push_str("null"),
            Datum::Truth(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Datum::Number(number) => out.push_str(&number::text(*number)),
            Datum::Whole(number) => out.push_str(&number.to_string()),
            Datum::Text(text) => out.push_str(text),
            Datum::List(place) => {
                let values = self.items(*place).to_vec();
                self.step(values.len())?;
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    if depth > 0 && !matches!(value, Datum::Undefined | Datum::Null) {
                        self.write(value, out, depth - 1)?;
                    }
                    if out.len() > MOST_BYTES {
                        return self.take(out.len());
                    }
                }
            }
            Datum::Object(_) | Datum::Global(_) => out.push_str("[object Object]"),
            Datum::Function(_) | Datum::Static(..) => out.push_str("function"),
            Datum::Pattern(_) => out.push_str("pattern"),
        }
        Ok(())
    }

    /// A value as a number.
    ///
    /// # Errors
    /// If no memory or time is left.
    pub fn number_of(&mut self, value: &Datum) -> Result<f64, Stop> {
        Ok(match value {
            Datum::Number(number) => *number,
            Datum::Whole(number) => *number as f64,
            Datum::Undefined => f64::NAN,
            Datum::Null => 0.0,
            Datum::Truth(truth) => f64::from(u8::from(*truth)),
            Datum::Text(text) => number::of_text(text),
            Datum::List(_) => {
                let text = self.text_of(value)?;
                number::of_text(&text)
            }
            _ => f64::NAN,
        })
    }
}
