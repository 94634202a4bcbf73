//! Expressions computed a column at a time against a plain interpreter that takes a row at a time.

use crate::engine::context::Context;
use crate::engine::expressions::testing::column;
use crate::engine::expressions::testing::compile;
use crate::engine::expressions::testing::cut;
use crate::engine::expressions::testing::run;
use crate::engine::expressions::testing::values;
use crate::event::Column;
use crate::event::DataType;
use crate::event::DataType::Bool;
use crate::event::DataType::Double;
use crate::event::DataType::Float;
use crate::event::DataType::Int;
use crate::event::DataType::Long;
use crate::event::DataType::Object;
use crate::event::Value;
use crate::plan::expression::Arithmetic;
use crate::plan::expression::Comparison;
use crate::plan::expression::Expr;
use crate::plan::expression::Node;
use std::cmp::Ordering;

const OPERATORS: [Arithmetic; 5] = [
    Arithmetic::Add,
    Arithmetic::Subtract,
    Arithmetic::Multiply,
    Arithmetic::Divide,
    Arithmetic::Remainder,
];

const COMPARISONS: [Comparison; 6] = [
    Comparison::Equal,
    Comparison::NotEqual,
    Comparison::Less,
    Comparison::LessOrEqual,
    Comparison::Greater,
    Comparison::GreaterOrEqual,
];

const NUMBERS: [DataType; 4] = [Int, Long, Float, Double];

fn arithmetic(operator: Arithmetic, left: Expr, right: Expr) -> Expr {
    let ty = left.ty;
    Expr { node: Node::Arithmetic(operator, Box::new(left), Box::new(right)), ty }
}

fn compare(operator: Comparison, left: Expr, right: Expr) -> Expr {
    Expr { node: Node::Compare(operator, Box::new(left), Box::new(right)), ty: Bool }
}

/// Chance from a seed (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize].clone()
    }

    /// A value that is not null; small ones and extreme ones are likely.
    fn value(&mut self, ty: DataType) -> Value {
        let small = self.below(7) as i32 - 3;
        let extreme = self.below(6) == 0;
        match ty {
            Int if extreme => Value::Int(self.pick(&[i32::MIN, i32::MAX])),
            Int => Value::Int(small),
            Long if extreme => Value::Long(self.pick(&[i64::MIN, i64::MAX, 1 << 40])),
            Long => Value::Long(i64::from(small)),
            Float if extreme => Value::Float(self.pick(&[f32::MAX, 1e-30, -0.0])),
            Float => Value::Float(small as f32 / 2.0),
            Double if extreme => Value::Double(self.pick(&[f64::MAX, 1e-300, -0.0])),
            Double => Value::Double(f64::from(small) / 2.0),
            Bool => Value::Bool(small > 0),
            DataType::Text => {
                Value::from(self.pick(&["", "a", "b", "a longer text than fits inline"]))
            }
            Object => {
                let ty = self.pick(&[Int, Double, Bool, DataType::Text]);
                self.value(ty)
            }
        }
    }

    fn column(&mut self, ty: DataType, rows: usize, with_nulls: bool) -> Column {
        let mut values = Vec::new();
        for _ in 0..rows {
            let null = with_nulls && self.below(3) == 0;
            values.push(if null { Value::Null } else { self.value(ty) });
        }
        column(ty, &values)
    }

    /// An expression of a type over two columns of each type.
    fn expression(&mut self, ty: DataType, depth: u32) -> Expr {
        let choice = if depth == 0 { self.below(2) } else { self.below(9) };
        let deeper = depth.saturating_sub(1);
        match (choice, ty) {
            (0, Object) | (1, _) => {
                let place =
                    DataType::ALL.iter().position(|&each| each == ty).expect("all are there");
                Expr::column(place * 2 + self.below(2) as usize, ty)
            }
            (0, _) => Expr::constant(self.value(ty)),
            (2, _) if ty != Bool => {
                let name = self.pick(&["coalesce", "default"]);
                let value = self.expression(ty, deeper);
                let other = match name {
                    "default" if ty != Object => Expr::constant(self.value(ty)),
                    _ => self.expression(ty, deeper),
                };
                self.call(name, vec![value, other], ty)
            }
            (3, _) if ty != Bool => {
                let condition = self.expression(Bool, deeper);
                let (then, otherwise) = (self.expression(ty, deeper), self.expression(ty, deeper));
                self.call("ifThenElse", vec![condition, then, otherwise], ty)
            }
            (4, Long | Float | Double) => {
                let narrower: Vec<DataType> =
                    NUMBERS.into_iter().filter(|&each| each < ty).collect();
                let from = self.pick(&narrower);
                let inner = self.expression(from, deeper);
                Expr { node: Node::Widen(Box::new(inner)), ty }
            }
            (5, Int | Long | Float | Double) => {
                let name = self.pick(&["maximum", "minimum"]);
                let arguments = (0..3).map(|_| self.expression(ty, deeper)).collect();
                self.call(name, arguments, ty)
            }
            (_, Int | Long | Float | Double) => {
                let operator = self.pick(&OPERATORS);
                arithmetic(operator, self.expression(ty, deeper), self.expression(ty, deeper))
            }
            (_, Bool) => self.condition(deeper),
            (_, DataType::Text | Object) => self.expression(ty, 0),
        }
    }

    fn condition(&mut self, depth: u32) -> Expr {
        let pair = |chance: &mut Chance, ty| {
            (Box::new(chance.expression(ty, depth)), Box::new(chance.expression(ty, depth)))
        };
        let node = match self.below(6) {
            0 => {
                let (left, right) = pair(self, Bool);
                Node::And(left, right)
            }
            1 => {
                let (left, right) = pair(self, Bool);
                Node::Or(left, right)
            }
            2 => Node::Not(Box::new(self.expression(Bool, depth))),
            3 => {
                let ty = self.pick(&DataType::ALL);
                Node::IsNull(Box::new(self.expression(ty, depth)))
            }
            4 => {
                let (left, right) = pair(self, DataType::Text);
                Node::Compare(self.pick(&COMPARISONS[..2]), left, right)
            }
            _ => {
                let ty = self.pick(&NUMBERS);
                let (left, right) = pair(self, ty);
                Node::Compare(self.pick(&COMPARISONS), left, right)
            }
        };
        Expr { node, ty: Bool }
    }

    fn call(&mut self, name: &str, arguments: Vec<Expr>, ty: DataType) -> Expr {
        Expr { node: Node::Call { name: name.into(), arguments, site: 0 }, ty }
    }
}

/// One row by the words of the language's reference, with no regard to speed.
fn interpret(expr: &Expr, row: &[Value]) -> Value {
    let truth = |expr: &Expr| interpret(expr, row) == Value::Bool(true);
    match &expr.node {
        Node::Constant(value) => value.clone(),
        Node::Column(index) => row[*index].clone(),
        Node::Widen(inner) => interpret(inner, row).widened(expr.ty).expect("it widens"),
        Node::Arithmetic(operator, left, right) => {
            calculate(*operator, &interpret(left, row), &interpret(right, row))
        }
        Node::Compare(operator, left, right) => {
            let (left, right) = (interpret(left, row), interpret(right, row));
            Value::Bool(holds(*operator, &left, &right))
        }
        Node::And(left, right) => Value::Bool(truth(left) && truth(right)),
        Node::Or(left, right) => Value::Bool(truth(left) || truth(right)),
        Node::Not(inner) => Value::Bool(!truth(inner)),
        Node::IsNull(inner) => Value::Bool(interpret(inner, row).is_null()),
        Node::Call { name, arguments, .. } if name == "ifThenElse" => {
            interpret(&arguments[if truth(&arguments[0]) { 1 } else { 2 }], row)
        }
        Node::Call { name, arguments, .. } => {
            let present = arguments.iter().map(|argument| interpret(argument, row));
            let mut present = present.filter(|value| !value.is_null());
            let best = match name.as_str() {
                "maximum" => {
                    present.reduce(|best, each| if more(&each, &best) { each } else { best })
                }
                "minimum" => {
                    present.reduce(|best, each| if more(&best, &each) { each } else { best })
                }
                _ => present.next(),
            };
            best.unwrap_or_default()
        }
        Node::In(..) | Node::Script { .. } => unreachable!("no such expression is made"),
    }
}

fn more(left: &Value, right: &Value) -> bool {
    holds(Comparison::Greater, left, right)
}

fn calculate(operator: Arithmetic, left: &Value, right: &Value) -> Value {
    let whole = |left: i128, right: i128| match operator {
        Arithmetic::Add => Some(left + right),
        Arithmetic::Subtract => Some(left - right),
        Arithmetic::Multiply => Some(left * right),
        Arithmetic::Divide => left.checked_div(right),
        Arithmetic::Remainder => left.checked_rem(right),
    };
    macro_rules! float {
        ($left:expr, $right:expr, $wrap:path) => {
            match operator {
                Arithmetic::Add => $wrap($left + $right),
                Arithmetic::Subtract => $wrap($left - $right),
                Arithmetic::Multiply => $wrap($left * $right),
                Arithmetic::Divide | Arithmetic::Remainder if *$right == 0.0 => Value::Null,
                Arithmetic::Divide => $wrap($left / $right),
                Arithmetic::Remainder => $wrap($left % $right),
            }
        };
    }
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => {
            let wide = whole(i128::from(*left), i128::from(*right));
            wide.map_or(Value::Null, |wide| Value::Int(wide as i32))
        }
        (Value::Long(left), Value::Long(right)) => {
            let wide = whole(i128::from(*left), i128::from(*right));
            wide.map_or(Value::Null, |wide| Value::Long(wide as i64))
        }
        (Value::Float(left), Value::Float(right)) => float!(left, right, Value::Float),
        (Value::Double(left), Value::Double(right)) => float!(left, right, Value::Double),
        _ => Value::Null,
    }
}

fn holds(operator: Comparison, left: &Value, right: &Value) -> bool {
    if left.is_null() || right.is_null() {
        return false;
    }
    let order = match (left, right) {
        (Value::Float(left), Value::Float(right)) => left.partial_cmp(right),
        (Value::Double(left), Value::Double(right)) => left.partial_cmp(right),
        (left, right) => Some(left.order(right)),
    };
    match operator {
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::NotEqual => order != Some(Ordering::Equal),
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }
}

/// Equal, with one not-a-number as good as another.
fn same(left: &Value, right: &Value) -> bool {
    let nan = |value: &Value| value.as_double().is_some_and(f64::is_nan);
    left == right || nan(left) && nan(right)
}

#[test]
fn columns_give_what_rows_give() {
    for seed in 0..1500 {
        let mut chance = Chance(seed);
        let ty = chance.pick(&DataType::ALL);
        let expr = chance.expression(ty, 4);
        let rows = 1 + chance.below(70) as usize;
        let mut columns = Vec::new();
        for ty in DataType::ALL.iter().flat_map(|&ty| [ty, ty]) {
            let with_nulls = chance.below(2) == 0;
            columns.push(chance.column(ty, rows, with_nulls));
        }
        let row = |row: usize| columns.iter().map(|each| each.value(row)).collect::<Vec<_>>();
        let expected: Vec<Value> = (0..rows).map(|at| interpret(&expr, &row(at))).collect();
        let mut kernel = compile(&expr, &[columns.len()]).expect("it is well typed");
        let mut context = Context::default();
        let whole = run(&mut *kernel, &columns, &mut context);
        assert_eq!(whole.len(), expected.len());
        let fits = whole.iter().zip(&expected).all(|(left, right)| same(left, right));
        assert!(fits, "seed {seed}: {expr:?}\n{whole:?}\n{expected:?}");
        // The same kernel on smaller pieces: nothing of an earlier call may shine through.
        let mut start = 0;
        while start < rows {
            let end = (start + 1 + chance.below(9) as usize).min(rows);
            let part = run(&mut *kernel, &cut(&columns, start, end), &mut context);
            let fits =
                part.iter().zip(&expected[start..end]).all(|(left, right)| same(left, right));
            assert!(fits, "seed {seed}, rows {start}..{end}: {expr:?}");
            start = end;
        }
    }
}

fn number(ty: DataType, value: f64) -> Value {
    match ty {
        Int => Value::Int(value as i32),
        Long => Value::Long(value as i64),
        Float => Value::Float(value as f32),
        _ => Value::Double(value),
    }
}

#[test]
fn arithmetic_on_every_type_with_null_on_every_side() {
    let expected = |operator, ty: DataType| -> f64 {
        match operator {
            Arithmetic::Add => 9.0,
            Arithmetic::Subtract => 5.0,
            Arithmetic::Multiply => 14.0,
            Arithmetic::Divide if ty.is_whole() => 3.0,
            Arithmetic::Divide => 3.5,
            Arithmetic::Remainder => 1.0,
        }
    };
    for ty in NUMBERS {
        let (seven, two, zero) = (number(ty, 7.0), number(ty, 2.0), number(ty, 0.0));
        let types = [ty, ty];
        let rows: [&[Value]; 5] = [
            &[seven.clone(), two.clone()],
            &[Value::Null, two.clone()],
            &[seven.clone(), Value::Null],
            &[Value::Null, Value::Null],
            &[seven.clone(), zero.clone()],
        ];
        for operator in OPERATORS {
            let result = number(ty, expected(operator, ty));
            let divides = matches!(operator, Arithmetic::Divide | Arithmetic::Remainder);
            let by_zero = match operator {
                _ if divides => Value::Null,
                Arithmetic::Multiply => zero.clone(),
                _ => seven.clone(),
            };
            let both = arithmetic(operator, Expr::column(0, ty), Expr::column(1, ty));
            let null = Value::Null;
            let all = [result.clone(), null.clone(), null.clone(), null.clone(), by_zero.clone()];
            assert_eq!(values(&both, &types, &rows), all, "{operator:?} {ty}");
            let right = arithmetic(operator, Expr::column(0, ty), Expr::constant(two.clone()));
            assert_eq!(values(&right, &types, &rows[..2]), [result.clone(), null.clone()]);
            let left = arithmetic(operator, Expr::constant(seven.clone()), Expr::column(1, ty));
            let found = values(&left, &types, &rows);
            assert_eq!(
                found,
                [result.clone(), result.clone(), null.clone(), null, by_zero.clone()]
            );
            let zeroed = arithmetic(operator, Expr::column(0, ty), Expr::constant(zero.clone()));
            assert_eq!(values(&zeroed, &types, &rows[..1]), vec![by_zero.clone()]);
            let known =
                arithmetic(operator, Expr::constant(seven.clone()), Expr::constant(two.clone()));
            assert_eq!(values(&known, &types, &rows[..1]), [result]);
        }
    }
}

#[test]
fn whole_numbers_wrap() {
    let cases = [
        (Arithmetic::Divide, Value::Int(i32::MIN), Value::Int(-1), Value::Int(i32::MIN)),
        (Arithmetic::Remainder, Value::Int(i32::MIN), Value::Int(-1), Value::Int(0)),
        (Arithmetic::Add, Value::Int(i32::MAX), Value::Int(1), Value::Int(i32::MIN)),
        (Arithmetic::Multiply, Value::Long(i64::MAX), Value::Long(2), Value::Long(-2)),
        (Arithmetic::Divide, Value::Long(i64::MIN), Value::Long(-1), Value::Long(i64::MIN)),
        (Arithmetic::Remainder, Value::Int(-7), Value::Int(2), Value::Int(-1)),
        (Arithmetic::Divide, Value::Int(-7), Value::Int(2), Value::Int(-3)),
        (Arithmetic::Remainder, Value::Double(-7.5), Value::Double(2.0), Value::Double(-1.5)),
        (Arithmetic::Divide, Value::Double(1.0), Value::Double(-0.0), Value::Null),
    ];
    for (operator, left, right, result) in cases {
        let ty = left.data_type().expect("no case is null");
        let expr = arithmetic(operator, Expr::column(0, ty), Expr::column(1, ty));
        assert_eq!(values(&expr, &[ty, ty], &[&[left, right]]), [result], "{operator:?}");
    }
}

#[test]
fn comparisons_of_every_type_with_null_on_every_side() {
    let two = |ty| match ty {
        Bool => (Value::Bool(false), Value::Bool(true)),
        DataType::Text => (Value::from("left"), Value::from("right")),
        number_type => (number(number_type, -1.0), number(number_type, 1.0)),
    };
    for ty in [Int, Long, Float, Double, Bool, DataType::Text] {
        let (low, high) = two(ty);
        let rows: [&[Value]; 5] = [
            &[low.clone(), high.clone()],
            &[high.clone(), high.clone()],
            &[Value::Null, low.clone()],
            &[high.clone(), Value::Null],
            &[Value::Null, Value::Null],
        ];
        for operator in COMPARISONS {
            let equality = matches!(operator, Comparison::Equal | Comparison::NotEqual);
            let both = compare(operator, Expr::column(0, ty), Expr::column(1, ty));
            if !ty.is_numeric() && !equality {
                assert!(compile(&both, &[2]).is_err(), "{operator:?} {ty}");
                continue;
            }
            let expected = |left: &Value, right: &Value| Value::Bool(holds(operator, left, right));
            let of_rows: Vec<Value> = rows.iter().map(|row| expected(&row[0], &row[1])).collect();
            assert_eq!(values(&both, &[ty, ty], &rows), of_rows, "{operator:?} {ty}");
            let right = compare(operator, Expr::column(0, ty), Expr::constant(high.clone()));
            let of_rows: Vec<Value> = rows.iter().map(|row| expected(&row[0], &high)).collect();
            assert_eq!(values(&right, &[ty, ty], &rows), of_rows, "{operator:?} {ty}");
            let left = compare(operator, Expr::constant(low.clone()), Expr::column(1, ty));
            let of_rows: Vec<Value> = rows.iter().map(|row| expected(&low, &row[1])).collect();
            assert_eq!(values(&left, &[ty, ty], &rows), of_rows, "{operator:?} {ty}");
        }
    }
    let objects = compare(Comparison::Equal, Expr::column(0, Object), Expr::column(0, Object));
    assert!(compile(&objects, &[1]).is_err());
}

#[test]
fn null_is_false_and_not_null_is_true() {
    let (t, f, n) = (Value::Bool(true), Value::Bool(false), Value::Null);
    let rows: Vec<[Value; 2]> = [&t, &f, &n]
        .iter()
        .flat_map(|&left| [&t, &f, &n].map(|right| [left.clone(), right.clone()]))
        .collect();
    let rows: Vec<&[Value]> = rows.iter().map(|row| &row[..]).collect();
    let sides = || (Box::new(Expr::column(0, Bool)), Box::new(Expr::column(1, Bool)));
    let found = |node| values(&Expr { node, ty: Bool }, &[Bool, Bool], &rows);
    let bools =
        |marks: &str| marks.bytes().map(|mark| Value::Bool(mark == b't')).collect::<Vec<_>>();
    let (left, right) = sides();
    assert_eq!(found(Node::And(left, right)), bools("tffffffff"));
    let (left, right) = sides();
    assert_eq!(found(Node::Or(left, right)), bools("ttttfftff"));
    assert_eq!(found(Node::Not(sides().0)), bools("ffftttttt"));
    assert_eq!(found(Node::IsNull(sides().0)), bools("ffffffttt"));
}

#[test]
fn what_widens_keeps_its_value() {
    let cases = [
        (Value::Int(3), Value::Long(3)),
        (Value::Int(3), Value::Float(3.0)),
        (Value::Int(3), Value::Double(3.0)),
        (Value::Long(3), Value::Float(3.0)),
        (Value::Long(3), Value::Double(3.0)),
        (Value::Float(0.5), Value::Double(0.5)),
    ];
    for (narrow, wide) in cases {
        let (from, to) = (narrow.data_type().expect("typed"), wide.data_type().expect("typed"));
        let node = Node::Widen(Box::new(Expr::column(0, from)));
        let found = values(&Expr { node, ty: to }, &[from], &[&[narrow], &[Value::Null]]);
        assert_eq!(found, [wide, Value::Null]);
    }
    for value in [Value::Int(1), Value::Bool(true), Value::from("x")] {
        let from = value.data_type().expect("typed");
        let node = Node::Widen(Box::new(Expr::column(0, from)));
        let found = values(
            &Expr { node, ty: Object },
            &[from],
            &[std::slice::from_ref(&value), &[Value::Null]],
        );
        assert_eq!(found, [value, Value::Null]);
    }
    let narrows = Expr { node: Node::Widen(Box::new(Expr::column(0, Long))), ty: Int };
    assert!(compile(&narrows, &[1]).is_err());
}
