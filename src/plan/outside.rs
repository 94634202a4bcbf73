//! Tables whose rows lie in a database alone: what a plan wants of them leaves it as errands.
//!
//! An errand is a row of the table's own stream: what is to be done, as a text that is the same
//! for all rows of a place in the plan, and the values that go with it. So whoever does errands
//! needs to know nothing of the plan's queries, nor of the version that sent them.

use crate::event::Attribute;
use crate::event::DataType;
use crate::event::Schema;
use crate::event::Value;
use crate::plan::expression::Comparison;
use crate::plan::expression::Expr;
use crate::plan::expression::Node;
use crate::plan::logical::Findable;
use crate::plan::terms::Term;
use std::fmt::Write as _;

/// The attributes of an errand that stand before those of the table.
pub const OWN: usize = 3;
/// The attribute that says what is to be done: an [`Errand`] as text.
pub const WHAT: usize = 0;
/// The attribute with the question's number; null where nothing is asked.
pub const NUMBER: usize = 1;
/// The attribute with the list of parameters.
pub const WITH: usize = 2;

/// The stream of a table's errands: the row that is to be inserted stands in the table's columns.
#[must_use]
pub fn errand_schema(table: &Schema) -> Schema {
    let own = [("_do", DataType::Text), ("_number", DataType::Long), ("_with", DataType::Object)];
    let own = own.map(|(name, ty)| Attribute { name: name.into(), ty });
    Schema { attributes: own.into_iter().chain(table.attributes.iter().cloned()).collect() }
}

/// What is to be done with a table. Its rows are those for which the condition holds; all of them
/// if there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Errand {
    /// What is done.
    pub act: Act,
    /// Which rows are meant. Where rows are asked for, more may be given.
    pub condition: Option<Condition>,
    /// Columns that are set, in an order in which none is set before it was read.
    pub sets: Vec<(usize, Term)>,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Rows are asked for.
    Ask,
    /// A row is added.
    Insert,
    /// Rows are changed.
    Update,
    /// Rows are changed; where there are none a row is added.
    UpdateOrInsert,
    /// Rows are deleted.
    Delete,
}

/// A condition on a row of the table, over its columns and the errand's parameters. A comparison
/// with null does not hold, and what is not so is true of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Both hold.
    And(Box<Condition>, Box<Condition>),
    /// One holds.
    Or(Box<Condition>, Box<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// A column compares so with a parameter.
    Compare(Comparison, usize, usize),
    /// A column is null.
    IsNull(usize),
    /// A parameter is true.
    Holds(usize),
}

/// What a store is asked for at once, by an on-demand query.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// As much of the query's condition as a database understands; `None`: all rows.
    pub condition: Option<Condition>,
    /// The condition's parameters.
    pub with: Vec<Value>,
    /// So many rows are enough, whichever of those meant; `None`: all are needed.
    pub enough: Option<u64>,
}

/// As much of a condition as a database understands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pushed {
    /// It; `None`: every row may be meant.
    pub condition: Option<Condition>,
    /// The parameters, over the columns before the table's.
    pub parameters: Vec<Expr>,
    /// Whether something was left out, so that more rows are meant than satisfy the condition.
    pub is_wider: bool,
}

/// What a database is asked for of a condition over `width` columns and then the table's: at least
/// the rows that satisfy it.
#[must_use]
pub fn push(condition: Option<&Expr>, width: usize) -> Pushed {
    let mut pushed = Pushed::default();
    if let Some(condition) = condition {
        pushed.condition = pushed.take(condition, width, false);
        pushed.is_wider |= pushed.condition.is_none();
    }
    pushed
}

impl Pushed {
    /// The number of a parameter of this value.
    pub fn parameter(&mut self, value: Expr) -> usize {
        let known = self.parameters.iter().position(|known| *known == value);
        known.unwrap_or_else(|| {
            self.parameters.push(value);
            self.parameters.len() - 1
        })
    }

    /// The condition; where it is not `exact`, or something that holds at least where it does.
    fn take(&mut self, expr: &Expr, width: usize, exact: bool) -> Option<Condition> {
        if !reads_table(expr, width) {
            // What calls functions that count, or asks another table, is the engine's to know.
            return Some(Condition::Holds(self.parameter(expr.clone())));
        }
        match &expr.node {
            Node::And(left, right) => {
                let (left, right) = (self.take(left, width, exact), self.take(right, width, exact));
                match (left, right) {
                    (Some(left), Some(right)) => {
                        Some(Condition::And(Box::new(left), Box::new(right)))
                    }
                    (Some(one), None) | (None, Some(one)) if !exact => {
                        self.is_wider = true;
                        Some(one)
                    }
                    _ => None,
                }
            }
            Node::Or(left, right) => {
                let left = self.take(left, width, exact)?;
                let right = self.take(right, width, exact)?;
                Some(Condition::Or(Box::new(left), Box::new(right)))
            }
            Node::Not(inner) => {
                let inner = self.take(inner, width, true)?;
                Some(Condition::Not(Box::new(inner)))
            }
            Node::IsNull(inner) => {
                let column = inner.as_column().filter(|&column| column >= width)?;
                Some(Condition::IsNull(column - width))
            }
            Node::Column(column) if *column >= width => {
                let truth = self.parameter(Expr::constant(Value::Bool(true)));
                Some(Condition::Compare(Comparison::Equal, column - width, truth))
            }
            Node::Compare(how, left, right) => {
                let (column, how, value) = match (table_column(left, width), right) {
                    (Some(column), value) => (column, *how, value),
                    (None, column) => (table_column(column, width)?, turned(*how), left),
                };
                if reads_table(value, width) {
                    return None;
                }
                Some(Condition::Compare(how, column, self.parameter((**value).clone())))
            }
            _ => None,
        }
    }
}

/// The table's column that this is, if databases compare it as the engine does.
fn table_column(expr: &Expr, width: usize) -> Option<usize> {
    let (column, ty) = match &expr.node {
        Node::Widen(inner) => (inner.as_column()?, inner.ty),
        _ => (expr.as_column()?, expr.ty),
    };
    // Databases make other numbers of floats.
    let is_same = !matches!(ty, DataType::Float | DataType::Object) && expr.ty != DataType::Float;
    (column >= width && is_same).then(|| column - width)
}

/// Whether an expression over `width` columns and then a table's depends on the table.
pub(super) fn reads_table(expr: &Expr, width: usize) -> bool {
    let mut read = Vec::new();
    expr.columns(&mut read);
    read.iter().any(|&column| column >= width)
}

/// The comparison with its sides the other way round.
fn turned(how: Comparison) -> Comparison {
    match how {
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        Comparison::Equal | Comparison::NotEqual => how,
    }
}

/// The parts of a filter's condition that ask external tables, in order; none inside of another.
#[must_use]
pub fn external_ins(condition: &Expr) -> Vec<&Expr> {
    match &condition.node {
        Node::In(Findable::External(_), ..) => vec![condition],
        Node::In(..) => Vec::new(),
        _ => condition.children().into_iter().flat_map(external_ins).collect(),
    }
}

const ACTS: [(Act, &str); 5] = [
    (Act::Ask, "ask"),
    (Act::Insert, "insert"),
    (Act::Update, "update"),
    (Act::UpdateOrInsert, "upsert"),
    (Act::Delete, "delete"),
];

const COMPARISONS: [(Comparison, &str); 6] = [
    (Comparison::Equal, "="),
    (Comparison::NotEqual, "!="),
    (Comparison::Less, "<"),
    (Comparison::LessOrEqual, "<="),
    (Comparison::Greater, ">"),
    (Comparison::GreaterOrEqual, ">="),
];

/// Conditions in conditions, and terms in terms, at most, in a text that is read.
const DEPTH_MAX: usize = 1_000;

impl Errand {
    /// As text: words with spaces between, what is done before what it is done to.
    #[must_use]
    pub fn to_text(&self) -> String {
        let word = |known: &(Act, &'static str)| (known.0 == self.act).then_some(known.1);
        let mut text = ACTS.iter().find_map(word).unwrap_or_default().to_owned();
        // Writing to a text cannot fail.
        let _ = write!(text, " {}", self.sets.len());
        for (column, term) in &self.sets {
            let _ = write!(text, " {column}");
            term.write(&mut text);
        }
        if let Some(condition) = &self.condition {
            condition.write(&mut text);
        }
        text
    }

    /// Reads what [`Errand::to_text`] wrote; `None` if it is not that.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Errand> {
        let mut words = text.split(' ').peekable();
        let act = words.next()?;
        let act = ACTS.iter().find(|known| known.1 == act)?.0;
        let count: usize = words.next()?.parse().ok()?;
        let mut sets = Vec::new();
        for _ in 0..count {
            sets.push((words.next()?.parse().ok()?, Term::read(&mut words, DEPTH_MAX)?));
        }
        let condition = match words.peek() {
            Some(_) => Some(Condition::read(&mut words, DEPTH_MAX)?),
            None => None,
        };
        words.next().is_none().then_some(Errand { act, condition, sets })
    }
}

impl Condition {
    fn write(&self, text: &mut String) {
        match self {
            Condition::And(left, right) | Condition::Or(left, right) => {
                let is_and = matches!(self, Condition::And(..));
                text.push_str(if is_and { " and" } else { " or" });
                left.write(text);
                right.write(text);
            }
            Condition::Not(inner) => {
                text.push_str(" not");
                inner.write(text);
            }
            Condition::Compare(how, column, parameter) => {
                let word = COMPARISONS.iter().find(|known| known.0 == *how);
                let word = word.map_or("", |known| known.1);
                let _ = write!(text, " {word} {column} {parameter}");
            }
            Condition::IsNull(column) => {
                let _ = write!(text, " null {column}");
            }
            Condition::Holds(parameter) => {
                let _ = write!(text, " holds {parameter}");
            }
        }
    }

    fn read<'a>(words: &mut impl Iterator<Item = &'a str>, depth: usize) -> Option<Condition> {
        let depth = depth.checked_sub(1)?;
        let word = words.next()?;
        let number = |words: &mut dyn Iterator<Item = &'a str>| words.next()?.parse().ok();
        Some(match word {
            "and" | "or" => {
                let left = Box::new(Condition::read(words, depth)?);
                let right = Box::new(Condition::read(words, depth)?);
                match word {
                    "and" => Condition::And(left, right),
                    _ => Condition::Or(left, right),
                }
            }
            "not" => Condition::Not(Box::new(Condition::read(words, depth)?)),
            "null" => Condition::IsNull(number(words)?),
            "holds" => Condition::Holds(number(words)?),
            _ => {
                let how = COMPARISONS.iter().find(|known| known.1 == word)?.0;
                Condition::Compare(how, number(words)?, number(words)?)
            }
        })
    }

    /// The columns that equal parameters wherever the condition holds, with these.
    #[must_use]
    pub fn equated(&self) -> Vec<(usize, usize)> {
        match self {
            Condition::And(left, right) => {
                let mut all = left.equated();
                for pair in right.equated() {
                    if all.iter().all(|(column, _)| *column != pair.0) {
                        all.push(pair);
                    }
                }
                all
            }
            Condition::Compare(Comparison::Equal, column, parameter) => {
                vec![(*column, *parameter)]
            }
            _ => Vec::new(),
        }
    }

    /// What it says beside that these columns equal these parameters, if it says more.
    #[must_use]
    pub fn without(&self, equated: &[(usize, usize)]) -> Option<Condition> {
        match self {
            Condition::And(left, right) => match (left.without(equated), right.without(equated)) {
                (Some(left), Some(right)) => Some(Condition::And(Box::new(left), Box::new(right))),
                (one, other) => one.or(other),
            },
            Condition::Compare(Comparison::Equal, column, parameter)
                if equated.contains(&(*column, *parameter)) =>
            {
                None
            }
            other => Some(other.clone()),
        }
    }

    /// Adds the parameters that it is over.
    pub fn parameters(&self, all: &mut Vec<usize>) {
        match self {
            Condition::And(left, right) | Condition::Or(left, right) => {
                left.parameters(all);
                right.parameters(all);
            }
            Condition::Not(inner) => inner.parameters(all),
            Condition::Compare(_, _, parameter) | Condition::Holds(parameter) => {
                all.push(*parameter);
            }
            Condition::IsNull(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::logical::Plan;
    use crate::plan::logical::Stage;
    use crate::plan::testing::checked;

    /// What is asked for where this condition joins the stream with the table, and of which
    /// parameters; `~` before it where that is more than the condition says.
    fn asked(condition: &str) -> (String, usize) {
        let plan: Plan = checked(&format!(
            "define stream S (k string, n int, d double);
             define table T (k string, n long, f float, b bool);
             from S join T on {condition} select S.k as k insert into O;"
        ));
        let Stage::Lookup(lookup) = &plan.queries[0].ports[0].stages[0] else { panic!() };
        let Pushed { condition, parameters, is_wider } = push(lookup.on.as_ref(), lookup.width);
        let errand = Errand { act: Act::Ask, condition, sets: Vec::new() };
        let text = errand.to_text();
        assert_eq!(Errand::from_text(&text), Some(errand));
        let sign = if is_wider { "~" } else { "" };
        (format!("{sign}{}", text.trim_start_matches("ask 0").trim_start()), parameters.len())
    }

    #[test]
    fn what_a_database_understands_is_pushed_and_the_rest_left_out() {
        for (condition, text, parameters) in [
            ("S.k == T.k", "= 0 0", 1),
            ("S.n < T.n", "> 1 0", 1),
            ("T.k == S.k and T.n >= S.n * 2 and S.d > 1.0", "and and = 0 0 >= 1 1 holds 2", 3),
            ("T.k == S.k and T.n + 1 == S.n", "~= 0 0", 1),
            ("T.k == S.k or T.n + 1 == S.n", "~", 1),
            ("not (T.k == S.k) and T.b", "and not = 0 0 = 3 1", 2),
            ("not (T.k == S.k and T.f > 1.0)", "~", 1),
            ("T.n is null or T.k != S.k", "or null 1 != 0 0", 1),
            ("T.k == S.k and T.f == 1.5f", "~= 0 0", 1),
            ("T.n == T.n", "~", 0),
        ] {
            assert_eq!(asked(condition), (text.to_owned(), parameters), "{condition}");
        }
    }

    #[test]
    fn columns_that_must_equal_a_parameter_are_known() {
        let equated = |text: &str| {
            let errand = Errand::from_text(&format!("ask 0 {text}")).unwrap();
            errand.condition.unwrap().equated()
        };
        assert_eq!(equated("and = 0 1 and > 2 0 = 3 2"), [(0, 1), (3, 2)]);
        assert_eq!(equated("and = 0 1 = 0 2"), [(0, 1)]);
        assert!(equated("or = 0 1 = 0 2").is_empty());
        assert!(equated("not = 0 1").is_empty());
    }

    #[test]
    fn what_is_said_beside_equal_columns_is_known_with_its_parameters() {
        let without = |text: &str| {
            let errand = Errand::from_text(&format!("ask 0 {text}")).unwrap();
            let condition = errand.condition.unwrap();
            let rest = condition.without(&condition.equated())?;
            let (mut text, mut parameters) = (String::new(), Vec::new());
            rest.write(&mut text);
            rest.parameters(&mut parameters);
            Some((text, parameters))
        };
        assert_eq!(without("and = 0 1 = 3 2"), None);
        let rest = (" and > 2 0 or not null 1 holds 3".to_owned(), vec![0, 3]);
        assert_eq!(without("and = 0 1 and > 2 0 or not null 1 holds 3"), Some(rest));
        assert_eq!(without("and = 0 1 = 0 2"), Some((" = 0 2".to_owned(), vec![2])));
    }

    #[test]
    fn what_is_no_errand_is_not_read() {
        for text in [
            "",
            "ask",
            "do 0",
            "ask 0 =",
            "ask 0 = 1",
            "ask 0 and = 0 0",
            "ask 1 0",
            "update 1 0 column",
            "update 1 0 + text 0 1",
            "update 1 0 + int 0",
            "ask 0 = 1 2 3",
        ] {
            assert_eq!(Errand::from_text(text), None, "{text}");
        }
        let deep = format!("ask 0{} null 0", " not".repeat(2_000));
        assert_eq!(Errand::from_text(&deep), None);
        let deep = format!("update 1 0{} 0", " + int 0".repeat(2_000));
        assert_eq!(Errand::from_text(&deep), None);
    }
}
