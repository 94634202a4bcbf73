//! What columns of an external table are set to: values that the plan gives, columns of the table,
//! and what is calculated of these.
//!
//! Only that is left to a database which it calculates as the engine does, or refuses: sums,
//! differences and products of whole numbers, where what is too large is refused, and of doubles.

use crate::event::DataType;
use crate::plan::expression::Arithmetic;
use crate::plan::expression::Expr;
use crate::plan::expression::Node;
use crate::plan::outside::Pushed;
use crate::plan::outside::reads_table;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A value for a column, over the table's columns and an errand's parameters.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// A parameter.
    Parameter(usize),
    /// What a column holds before anything is set.
    Column(usize),
    /// Calculated as numbers of this type, which is an int, a long or a double. Columns of narrower
    /// types are widened.
    Calculated(Arithmetic, DataType, Box<Term>, Box<Term>),
}

const OPERATORS: [(Arithmetic, &str); 3] =
    [(Arithmetic::Add, "+"), (Arithmetic::Subtract, "-"), (Arithmetic::Multiply, "*")];
const TYPES: [(DataType, &str); 3] =
    [(DataType::Int, "int"), (DataType::Long, "long"), (DataType::Double, "double")];

/// Before the number of a column; the number of a parameter stands alone.
const COLUMN: &str = "column";

impl Pushed {
    /// A value over `width` columns and then the table's, as a database calculates it; `None` where
    /// that is not what the engine calculates.
    pub fn term(&mut self, value: &Expr, width: usize) -> Option<Term> {
        if !reads_table(value, width) {
            return Some(Term::Parameter(self.parameter(value.clone())));
        }
        match &value.node {
            Node::Column(column) => Some(Term::Column(column - width)),
            // What was calculated is cut to its type before it is widened, which databases do not.
            Node::Widen(inner) if is_whole(inner.ty) && value.ty != DataType::Float => {
                inner.as_column().map(|column| Term::Column(column - width))
            }
            Node::Arithmetic(operator, left, right) => {
                let is_known = OPERATORS.iter().any(|known| known.0 == *operator)
                    && TYPES.iter().any(|known| known.0 == value.ty);
                let left = self.term(left, width).filter(|_| is_known)?;
                let right = self.term(right, width)?;
                Some(Term::Calculated(*operator, value.ty, Box::new(left), Box::new(right)))
            }
            _ => None,
        }
    }
}

fn is_whole(ty: DataType) -> bool {
    matches!(ty, DataType::Int | DataType::Long)
}

/// The same in an order in which no column is set before it was read, since some databases set one
/// after the other; `None` if there is none.
#[must_use]
pub fn in_order(sets: Vec<(usize, Term)>) -> Option<Vec<(usize, Term)>> {
    let (mut left, mut ordered) = (sets, Vec::new());
    while !left.is_empty() {
        let mut readers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (place, (_, term)) in left.iter().enumerate() {
            let mut read = Vec::new();
            term.columns(&mut read);
            read.into_iter().for_each(|column| readers.entry(column).or_default().push(place));
        }
        let is_free = |place: usize| {
            let readers = readers.get(&left[place].0);
            readers.is_none_or(|readers| readers.iter().all(|&reader| reader == place))
        };
        let next = (0..left.len()).find(|&place| is_free(place))?;
        ordered.push(left.remove(next));
    }
    Some(ordered)
}

impl Term {
    /// Adds the columns that it reads.
    pub fn columns(&self, all: &mut Vec<usize>) {
        match self {
            Term::Parameter(_) => {}
            Term::Column(column) => all.push(*column),
            Term::Calculated(_, _, left, right) => {
                left.columns(all);
                right.columns(all);
            }
        }
    }

    /// Adds the parameters that it is over.
    pub fn parameters(&self, all: &mut Vec<usize>) {
        match self {
            Term::Parameter(parameter) => all.push(*parameter),
            Term::Column(_) => {}
            Term::Calculated(_, _, left, right) => {
                left.parameters(all);
                right.parameters(all);
            }
        }
    }

    /// Adds it to a text, words with spaces before.
    pub(super) fn write(&self, text: &mut String) {
        // Writing to a text cannot fail.
        let _ = match self {
            Term::Parameter(parameter) => write!(text, " {parameter}"),
            Term::Column(column) => write!(text, " {COLUMN} {column}"),
            Term::Calculated(operator, ty, left, right) => {
                let operator = OPERATORS.iter().find(|known| known.0 == *operator);
                let ty = TYPES.iter().find(|known| known.0 == *ty);
                let (operator, ty) = (operator.map_or("", |of| of.1), ty.map_or("", |of| of.1));
                let _ = write!(text, " {operator} {ty}");
                left.write(text);
                right.write(text);
                Ok(())
            }
        };
    }

    /// Reads what [`Term::write`] wrote, of terms in terms up to this depth.
    pub(super) fn read<'a>(
        words: &mut impl Iterator<Item = &'a str>,
        depth: usize,
    ) -> Option<Term> {
        let depth = depth.checked_sub(1)?;
        let word = words.next()?;
        if word == COLUMN {
            return words.next()?.parse().ok().map(Term::Column);
        }
        let Some((operator, _)) = OPERATORS.iter().find(|known| known.1 == word) else {
            return word.parse().ok().map(Term::Parameter);
        };
        let ty = words.next()?;
        let ty = TYPES.iter().find(|known| known.1 == ty)?.0;
        let left = Box::new(Term::read(words, depth)?);
        let right = Box::new(Term::read(words, depth)?);
        Some(Term::Calculated(*operator, ty, left, right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::logical::Output;
    use crate::plan::outside::Act;
    use crate::plan::outside::Errand;
    use crate::plan::testing::checked;

    /// What an update sets, as text; `None` where a database cannot do it.
    fn set(sets: &str) -> Option<String> {
        let plan = checked(&format!(
            "define stream S (k string, n int, d double);
             define table T (k string, n int, l long, d double, f float, s string);
             from S select k, n, d update T set {sets} on T.k == k;"
        ));
        let Output::Update(_, on, sets) = &plan.queries[0].output else { panic!() };
        let mut pushed = crate::plan::outside::push(on.as_ref(), 3);
        let terms: Option<Vec<(usize, Term)>> =
            sets.iter().map(|set| Some((set.column, pushed.term(&set.value, 3)?))).collect();
        let condition = pushed.condition;
        let errand = Errand { act: Act::Update, condition, sets: in_order(terms?)? };
        let text = errand.to_text();
        assert_eq!(Errand::from_text(&text), Some(errand));
        Some(text.trim_start_matches("update ").trim_end_matches(" = 0 0").to_owned())
    }

    #[test]
    fn what_a_database_calculates_as_the_engine_does_is_left_to_it() {
        for (sets, text) in [
            ("T.n = n", "1 1 1"),
            ("T.n = T.n + n", "1 1 + int column 1 1"),
            ("T.n = 3 - T.n * T.n", "1 1 - int 1 * int column 1 column 1"),
            ("T.l = T.l + n", "1 2 + long column 2 1"),
            ("T.l = T.l + T.n", "1 2 + long column 2 column 1"),
            ("T.d = T.d * d + T.n", "1 3 + double * double column 3 1 column 1"),
            ("T.l = T.n, T.s = T.k", "2 2 column 1 5 column 0"),
            ("T.n = T.n + n * 2 + 1", "1 1 + int + int column 1 1 2"),
        ] {
            assert_eq!(set(sets).as_deref(), Some(text), "{sets}");
        }
        for sets in [
            "T.n = T.n / n",
            "T.n = T.n % 2",
            "T.l = T.n + n",
            "T.d = T.l * 2L",
            "T.f = T.f + 1.0f",
            "T.d = T.d + T.f",
        ] {
            assert_eq!(set(sets), None, "{sets}");
        }
    }

    #[test]
    fn columns_are_read_before_they_are_set() {
        assert_eq!(set("T.n = n, T.l = T.n").as_deref(), Some("2 2 column 1 1 1"));
        let text = "3 3 column 2 2 column 1 1 + int column 1 1";
        assert_eq!(set("T.n = T.n + n, T.l = T.n, T.d = T.l").as_deref(), Some(text));
        let text = "3 2 + long column 2 column 1 1 + int column 1 1 3 2";
        let sets = "T.n = T.n + n, T.l = T.l + T.n, T.d = d";
        assert_eq!(set(sets).as_deref(), Some(text));
        assert_eq!(set("T.s = T.k, T.k = T.s"), None, "none can be first");
    }
}
