//! Every function on values and nulls of the types it takes; what it refuses.

use crate::engine::context::Context;
use crate::engine::context::Entropy;
use crate::engine::expressions::testing::call;
use crate::engine::expressions::testing::column;
use crate::engine::expressions::testing::compile;
use crate::engine::expressions::testing::run;
use crate::engine::expressions::testing::values;
use crate::event::DataType;
use crate::event::DataType::Bool;
use crate::event::DataType::Double;
use crate::event::DataType::Float;
use crate::event::DataType::Int;
use crate::event::DataType::Long;
use crate::event::DataType::Object;
use crate::event::Structure;
use crate::event::Value;
use crate::plan::expression::Expr;
use std::sync::Arc;

const NULL: Value = Value::Null;

fn text(text: &str) -> Value {
    Value::from(text)
}

fn int(value: i32) -> Value {
    Value::Int(value)
}

fn long(value: i64) -> Value {
    Value::Long(value)
}

fn double(value: f64) -> Value {
    Value::Double(value)
}

fn float(value: f32) -> Value {
    Value::Float(value)
}

fn bool(value: bool) -> Value {
    Value::Bool(value)
}

fn set(values: &[Value]) -> Value {
    Value::Object(Arc::new(Structure::Set(values.to_vec())))
}

/// Calls a function with a constant name of a type behind its argument.
fn to_type(name: &str, from: DataType, to: DataType, value: &Value) -> Value {
    let expr = call(name, &[from], &[text(to.name())], to);
    values(&expr, &[from], &[&[NULL], std::slice::from_ref(value)])[1].clone()
}

#[test]
fn convert_makes_values_of_other_types() {
    let cases = [
        (text("12"), int(12)),
        (text("+12"), int(12)),
        (text("-12"), long(-12)),
        (text("12.5"), double(12.5)),
        (text(" 12.5f "), float(12.5)),
        (text("TRUE"), bool(true)),
        (text("yes"), bool(false)),
        (text("same"), text("same")),
        (int(5), long(5)),
        (int(5), float(5.0)),
        (int(5), double(5.0)),
        (int(1), bool(true)),
        (int(2), bool(false)),
        (int(-5), text("-5")),
        (long(1 << 32 | 7), int(7)),
        (long(5), float(5.0)),
        (long(5), double(5.0)),
        (long(1), bool(true)),
        (long(5), text("5")),
        (float(5.9), int(5)),
        (float(-5.9), long(-5)),
        (float(0.5), double(0.5)),
        (float(1.0), bool(true)),
        (float(0.1), text("0.1")),
        (double(45.9), int(45)),
        (double(1e300), int(i32::MAX)),
        (double(-1e300), long(i64::MIN)),
        (double(f64::NAN), long(0)),
        (double(0.1), float(0.1)),
        (double(1.0), bool(true)),
        (double(1.5), bool(false)),
        (double(5.0), text("5.0")),
        (double(1e10), text("1.0E10")),
        (bool(true), int(1)),
        (bool(false), long(0)),
        (bool(true), float(1.0)),
        (bool(true), double(1.0)),
        (bool(true), text("true")),
    ];
    for (from, to) in cases {
        let (source, target) = (from.data_type().expect("typed"), to.data_type().expect("typed"));
        assert_eq!(to_type("convert", source, target, &from), to, "{from:?}");
        assert_eq!(to_type("convert", source, target, &NULL), NULL);
    }
}

#[test]
fn what_cannot_be_read_converts_to_null() {
    for (from, to) in [
        ("", Int),
        (" 12", Int),
        ("12.5", Int),
        ("2147483648", Int),
        ("12L", Long),
        ("twelve", Double),
        ("inf", Double),
        ("", Float),
    ] {
        assert_eq!(to_type("convert", DataType::Text, to, &text(from)), NULL, "{from:?} {to}");
    }
}

#[test]
fn cast_changes_no_value() {
    let cases = [
        (Object, double(1.5), double(1.5)),
        (Object, int(5), long(5)),
        (Object, int(5), double(5.0)),
        (Object, double(5.0), int(5)),
        (Object, text("x"), text("x")),
        (Object, bool(true), bool(true)),
        (Double, double(5.0), int(5)),
        (Int, int(5), long(5)),
        (Long, long(7), double(7.0)),
        (Float, float(0.5), double(0.5)),
        (Double, double(0.1), float(0.1)),
        (DataType::Text, text("x"), text("x")),
    ];
    for (from, value, result) in cases {
        let to = result.data_type().expect("typed");
        assert_eq!(to_type("cast", from, to, &value), result, "{value:?}");
    }
    // What is certainly not of the type stays what it is, as an object.
    let expr = call("cast", &[DataType::Text], &[text("double")], Object);
    assert_eq!(values(&expr, &[DataType::Text], &[&[text("x")], &[NULL]]), [text("x"), NULL]);
    let unfit = [
        (Object, bool(true), Double),
        (Object, text("5"), Int),
        (Object, int(5), DataType::Text),
        (Object, set(&[]), Bool),
        (Double, double(5.5), Int),
        (Double, double(1e300), Long),
        (Double, double(9.3e18), Long),
        (Long, long(1 << 40), Int),
    ];
    for (from, value, to) in unfit {
        assert_eq!(to_type("cast", from, to, &value), NULL, "{value:?}");
    }
}

#[test]
fn types_that_cannot_be_are_refused_with_a_word_of_help() {
    let fault = |name: &str, from: DataType, constant: Value| {
        let expr = call(name, &[from], &[constant], Int);
        compile(&expr, &[1]).err().expect("it is refused")
    };
    assert_eq!(fault("convert", Int, text("number")).argument, Some(1));
    assert!(fault("convert", Int, text("number")).message.contains("'number'"));
    assert_eq!(fault("convert", Int, int(5)).argument, Some(1));
    assert_eq!(fault("convert", Object, text("int")).argument, Some(0));
    assert_eq!(fault("cast", Object, text("object")).argument, Some(1));
    let not_constant = call("convert", &[Int, DataType::Text], &[], Int);
    assert_eq!(compile(&not_constant, &[2]).err().expect("refused").argument, Some(1));
}

#[test]
fn the_first_that_is_present_is_taken() {
    for (ty, one, two) in [
        (Int, int(1), int(2)),
        (Double, double(1.0), double(2.0)),
        (Bool, bool(true), bool(false)),
        (DataType::Text, text("a"), text("a text that is not kept inline")),
        (Object, set(&[int(1)]), text("b")),
    ] {
        let expr = call("coalesce", &[ty, ty, ty], &[], ty);
        let found = values(
            &expr,
            &[ty, ty, ty],
            &[
                &[one.clone(), two.clone(), NULL],
                &[NULL, two.clone(), one.clone()],
                &[NULL, NULL, one.clone()],
                &[NULL, NULL, NULL],
                &[one.clone(), NULL, NULL],
            ],
        );
        assert_eq!(found, [one.clone(), two.clone(), one.clone(), NULL, one.clone()]);
        if ty != Object {
            let expr = call("default", &[ty], std::slice::from_ref(&two), ty);
            let found = values(&expr, &[ty], &[&[NULL], std::slice::from_ref(&one)]);
            assert_eq!(found, [two, one]);
        }
    }
}

#[test]
fn a_condition_chooses() {
    let expr = call("ifThenElse", &[Bool, Int, Int], &[], Int);
    let found = values(
        &expr,
        &[Bool, Int, Int],
        &[
            &[bool(true), int(1), int(2)],
            &[bool(false), int(1), int(2)],
            &[NULL, int(1), int(2)],
            &[bool(true), NULL, int(2)],
            &[bool(false), NULL, int(2)],
            &[bool(false), int(1), NULL],
        ],
    );
    assert_eq!(found, [int(1), int(2), int(2), NULL, int(2), NULL]);
}

#[test]
fn extremes_skip_nulls() {
    for (ty, one, two, three) in [
        (Int, int(-1), int(2), int(3)),
        (Long, long(i64::MIN), long(i64::MAX - 1), long(i64::MAX)),
        (Float, float(-1.5), float(-1.0), float(0.5)),
        (Double, double(-1.5), double(-1.0), double(0.5)),
    ] {
        let rows: [&[Value]; 5] = [
            &[two.clone(), one.clone(), three.clone()],
            &[NULL, two.clone(), one.clone()],
            &[three.clone(), NULL, NULL],
            &[NULL, NULL, one.clone()],
            &[NULL, NULL, NULL],
        ];
        let greatest = call("maximum", &[ty, ty, ty], &[], ty);
        let found = values(&greatest, &[ty, ty, ty], &rows);
        let null = NULL;
        let all = [three.clone(), two.clone(), three.clone(), one.clone(), null.clone()];
        assert_eq!(found, all);
        let least = call("minimum", &[ty, ty, ty], &[], ty);
        let found = values(&least, &[ty, ty, ty], &rows);
        assert_eq!(found, [one.clone(), one.clone(), three.clone(), one.clone(), null]);
        let found = values(&least, &[ty, ty, ty], &rows[..1]);
        assert_eq!(found, [one]);
    }
}

#[test]
fn instances_are_told_by_what_they_are() {
    let names = [
        ("instanceOfBoolean", bool(true)),
        ("instanceOfDouble", double(1.0)),
        ("instanceOfFloat", float(1.0)),
        ("instanceOfInteger", int(1)),
        ("instanceOfLong", long(1)),
        ("instanceOfString", text("1")),
    ];
    for (name, _) in &names {
        for (own, value) in &names {
            let expected = [bool(name == own), bool(false)];
            let ty = value.data_type().expect("typed");
            let rows: [&[Value]; 2] = [std::slice::from_ref(value), &[NULL]];
            assert_eq!(values(&call(name, &[ty], &[], Bool), &[ty], &rows), expected);
            assert_eq!(values(&call(name, &[Object], &[], Bool), &[Object], &rows), expected);
        }
    }
}

#[test]
fn sets_are_made_and_measured() {
    let made = values(&call("createSet", &[Int], &[], Object), &[Int], &[&[int(5)], &[NULL]]);
    assert_eq!(made, [set(&[int(5)]), set(&[NULL])]);
    let sized = call("sizeOfSet", &[Object], &[], Int);
    let found = values(&sized, &[Object], &[&[set(&[int(1), int(2)])], &[NULL]]);
    assert_eq!(found, [int(2), int(0)]);
    let mut kernel = compile(&sized, &[1]).expect("well typed");
    let mut context = Context::default();
    let error = Value::Object(Arc::new(Structure::Error("no".into())));
    run(&mut *kernel, &[column(Object, &[set(&[]), text("x"), error])], &mut context);
    let rows: Vec<usize> = context.faults.iter().map(|fault| fault.row).collect();
    assert_eq!(rows, [1, 2]);
}

#[test]
fn time_and_chance_come_from_the_context() {
    let columns = [column(Int, &[int(1), int(2)])];
    let mut context = Context { now: 5_000, ..Context::default() };
    context.entropy = Entropy { secret: 1, row: 9, query: 2, draws: 0 };
    let mut now = compile(&call("currentTimeMillis", &[], &[], Long), &[1]).expect("well typed");
    assert_eq!(run(&mut *now, &columns, &mut context), [long(5_000), long(5_000)]);
    let mut own = compile(&call("eventTimestamp", &[], &[], Long), &[1]).expect("well typed");
    assert_eq!(run(&mut *own, &columns, &mut context), [long(1_000), long(1_001)]);
    let mut drawn = compile(&call("UUID", &[], &[], DataType::Text), &[1]).expect("well typed");
    let first = run(&mut *drawn, &columns, &mut context);
    assert_ne!(first[0], first[1]);
    context.entropy.draws = 0;
    assert_eq!(run(&mut *drawn, &columns, &mut context), first, "the same cause, the same chance");
    context.entropy = Entropy { row: 10, draws: 0, ..context.entropy };
    assert_ne!(run(&mut *drawn, &columns, &mut context), first);
}

#[test]
fn an_unknown_function_is_refused() {
    assert!(compile(&call("Coalesce", &[Int], &[], Int), &[1]).is_err());
    assert!(compile(&Expr::column(0, Int), &[1]).is_ok());
}
