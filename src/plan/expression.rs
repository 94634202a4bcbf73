//! Typed expressions over numbered columns: names are gone, types are settled.

use crate::event::DataType;
use crate::event::Value;
use crate::plan::logical::Findable;
use std::sync::Arc;

/// An expression and the type of its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it does.
    pub node: Node,
    /// The type of its values.
    pub ty: DataType,
}

/// What an expression does.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// The same value for every row.
    Constant(Value),
    /// A column of the frame the expression stands over; the place where it is used says which
    /// columns that frame has.
    Column(usize),
    /// A number widened to this expression's type.
    Widen(Box<Expr>),
    /// Arithmetic on two operands of this expression's type. Null if either is, or on division
    /// by zero.
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    /// Comparison of two operands of one type; false if either is null.
    Compare(Comparison, Box<Expr>, Box<Expr>),
    /// Both true; null counts as false.
    And(Box<Expr>, Box<Expr>),
    /// One true; null counts as false.
    Or(Box<Expr>, Box<Expr>),
    /// True if the operand is false or null.
    Not(Box<Expr>),
    /// Whether the operand is null.
    IsNull(Box<Expr>),
    /// A scalar function. `site` numbers the places of a plan where functions are called.
    Call {
        /// Name with namespace, as in `str:length`.
        name: String,
        /// The arguments, already of types the function takes.
        arguments: Vec<Expr>,
        /// The call place, counted through the plan's text.
        site: u32,
    },
    /// A function that the plan defines.
    Script {
        /// The function.
        function: Arc<ScriptFunction>,
        /// Its arguments, of any types.
        arguments: Vec<Expr>,
    },
    /// Whether any row of a table or named window satisfies a condition. The condition stands over
    /// the frame's columns followed by the table's.
    In(Findable, Box<Expr>, InWidth),
}

/// `define function`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptFunction {
    /// Its name.
    pub name: String,
    /// The language of its body.
    pub language: String,
    /// Its body, without the outer braces.
    pub body: String,
    /// What it returns.
    pub returns: DataType,
}

/// How many columns of the frame stand before the table's in the condition of an `in`.
pub type InWidth = usize;

/// Arithmetic operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`; truncates on whole numbers
    Divide,
    /// `%`; sign of the dividend
    Remainder,
}

/// Comparison operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Expr {
    /// A constant of the value's own type.
    ///
    /// # Panics
    /// If the value is null, which has no type; the language has no null literal.
    pub fn constant(value: Value) -> Expr {
        let ty = value.data_type().expect("constants are not null");
        Expr { node: Node::Constant(value), ty }
    }

    /// A column of the frame.
    pub fn column(index: usize, ty: DataType) -> Expr {
        Expr { node: Node::Column(index), ty }
    }

    /// The value, if it is the same for every row.
    pub fn as_constant(&self) -> Option<&Value> {
        match &self.node {
            Node::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// The column, if it is nothing but one.
    pub fn as_column(&self) -> Option<usize> {
        match self.node {
            Node::Column(index) => Some(index),
            _ => None,
        }
    }

    /// The same expression in another numeric type; itself if it has that type.
    pub fn widened(self, ty: DataType) -> Expr {
        if self.ty == ty {
            return self;
        }
        match self.node {
            Node::Constant(ref value) => match value.widened(ty) {
                Some(value) => Expr { node: Node::Constant(value), ty },
                None => Expr { node: Node::Widen(Box::new(self)), ty },
            },
            _ => Expr { node: Node::Widen(Box::new(self)), ty },
        }
    }

    /// Calls `visit` with this expression and all inside it, outer before inner, left before right.
    pub fn walk(&self, visit: &mut impl FnMut(&Expr)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }

    /// The expressions directly inside.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.node {
            Node::Constant(_) | Node::Column(_) => Vec::new(),
            Node::Widen(inner) | Node::Not(inner) | Node::IsNull(inner) => vec![inner],
            Node::In(_, inner, _) => vec![inner],
            Node::Arithmetic(_, left, right)
            | Node::Compare(_, left, right)
            | Node::And(left, right)
            | Node::Or(left, right) => vec![left, right],
            Node::Call { arguments, .. } | Node::Script { arguments, .. } => {
                arguments.iter().collect()
            }
        }
    }

    /// Changes the number of every column by `map`.
    pub fn map_columns(&mut self, map: &dyn Fn(usize) -> usize) {
        match &mut self.node {
            Node::Constant(_) => {}
            Node::Column(index) => *index = map(*index),
            Node::Widen(inner) | Node::Not(inner) | Node::IsNull(inner) => inner.map_columns(map),
            Node::In(_, inner, width) => {
                let own = *width;
                // The table's columns stand behind the frame's and keep their distance.
                inner.map_columns(&|index| if index < own { map(index) } else { index });
            }
            Node::Arithmetic(_, left, right)
            | Node::Compare(_, left, right)
            | Node::And(left, right)
            | Node::Or(left, right) => {
                left.map_columns(map);
                right.map_columns(map);
            }
            Node::Call { arguments, .. } | Node::Script { arguments, .. } => {
                arguments.iter_mut().for_each(|argument| argument.map_columns(map));
            }
        }
    }

    /// Every column of the frame that is read, those of an `in` condition's table left out.
    pub fn columns(&self, found: &mut Vec<usize>) {
        match &self.node {
            Node::Column(index) => found.push(*index),
            Node::In(_, condition, width) => {
                let mut inside = Vec::new();
                condition.columns(&mut inside);
                found.extend(inside.into_iter().filter(|index| index < width));
            }
            _ => self.children().into_iter().for_each(|child| child.columns(found)),
        }
    }
}
