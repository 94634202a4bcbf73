//! Every aggregator against a list of the rows that are present; state saved and loaded in between.

use crate::engine::aggregators::ALL;
use crate::engine::aggregators::AggregateRows;
use crate::engine::aggregators::Aggregator;
use crate::engine::aggregators::AggregatorDefinition;
use crate::engine::aggregators::AggregatorSetup;
use crate::engine::expressions::testing::column;
use crate::engine::state::SavedState;
use crate::engine::state::StateWriter;
use crate::event::Column;
use crate::event::DataType;
use crate::event::DataType::Bool;
use crate::event::DataType::Double;
use crate::event::DataType::Int;
use crate::event::DataType::Long;
use crate::event::DataType::Object;
use crate::event::Kind;
use crate::event::Structure;
use crate::event::Value;
use crate::plan::expression::Expr;
use std::collections::VecDeque;
use std::sync::Arc;

/// An aggregator of the list.
fn find(name: &str) -> Option<&'static AggregatorDefinition> {
    ALL.iter().copied().find(|definition| definition.signature.name == name)
}

const NUMBERS: &[DataType] = &[Int, Long, DataType::Float, Double];

/// Aggregators with the types they take; `None`: no argument.
const TAKEN: &[(&str, &[DataType])] = &[
    ("sum", NUMBERS),
    ("avg", NUMBERS),
    ("count", &DataType::ALL),
    ("min", NUMBERS),
    ("max", NUMBERS),
    ("minForever", NUMBERS),
    ("maxForever", NUMBERS),
    ("stdDev", NUMBERS),
    ("distinctCount", &[Int, Long, DataType::Float, Double, DataType::Text]),
    ("and", &[Bool]),
    ("or", &[Bool]),
    ("unionSet", &[Object]),
    ("str:groupConcat", &[DataType::Text]),
    ("math:percentile", NUMBERS),
    ("list:collect", &DataType::ALL),
    ("list:merge", &[Object]),
    ("map:collect", &DataType::ALL),
    ("map:merge", &[Object]),
];

fn result_type(name: &str, ty: DataType) -> DataType {
    match name {
        "sum" if ty.is_whole() => Long,
        "sum" | "avg" | "stdDev" => Double,
        "count" | "distinctCount" => Long,
        "and" | "or" => Bool,
        "unionSet" | "list:collect" | "list:merge" => Object,
        "math:percentile" => Double,
        _ => ty,
    }
}

fn build(name: &str, ty: DataType, expired: bool) -> Box<dyn Aggregator> {
    let arguments: &[Expr] = &match name {
        "math:percentile" => vec![Expr::column(0, ty), Expr::constant(Value::Double(50.0))],
        _ => vec![Expr::column(0, ty)],
    };
    let setup = AggregatorSetup { arguments, ty: result_type(name, ty), expired, balanced: true };
    (find(name).expect("it is listed").build)(&setup).expect("it takes the type")
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % limit
    }

    fn value(&mut self, ty: DataType) -> Value {
        let small = self.below(9) as i32 - 4;
        match ty {
            _ if self.below(4) == 0 => Value::Null,
            Int => Value::Int(small),
            Long => Value::Long(i64::from(small) << 3),
            DataType::Float => Value::Float(small as f32 / 4.0),
            Double => Value::Double(f64::from(small) / 4.0),
            Bool => Value::Bool(small > 0),
            DataType::Text => Value::from(["", "a", "b", "c"][small.unsigned_abs() as usize % 4]),
            Object => {
                let elements = (0..self.below(3)).map(|_| Value::Int(self.below(4) as i32));
                let mut distinct = Vec::new();
                elements.for_each(|each| {
                    if !distinct.contains(&each) {
                        distinct.push(each);
                    }
                });
                Value::Object(Arc::new(Structure::Set(distinct)))
            }
        }
    }
}

/// What a group holds, and all that it ever saw.
#[derive(Clone, Default)]
struct Group {
    present: Vec<Value>,
    ever: Vec<Value>,
}

impl Group {
    fn take(&mut self, kind: Kind, value: &Value) {
        self.ever.push(value.clone());
        if kind == Kind::Expired {
            let place = self.present.iter().position(|each| each == value);
            self.present.remove(place.expect("what leaves was there"));
        } else {
            self.present.push(value.clone());
        }
    }

    fn expected(&self, name: &str, ty: DataType) -> Value {
        let values: Vec<&Value> = self.present.iter().filter(|value| !value.is_null()).collect();
        let doubles: Vec<f64> = values.iter().filter_map(|value| value.as_double()).collect();
        let count = doubles.len() as f64;
        let mean = doubles.iter().sum::<f64>() / count;
        let best = |values: &[Value], greatest: bool| {
            let present = values.iter().filter(|value| !value.is_null());
            let best = if greatest {
                present.max_by(|left, right| left.order(right))
            } else {
                present.min_by(|left, right| left.order(right))
            };
            best.cloned().unwrap_or_default()
        };
        match name {
            "count" => Value::Long(self.present.len() as i64),
            "distinctCount" => {
                let mut distinct: Vec<&Value> = Vec::new();
                for value in &self.present {
                    if !distinct.contains(&value) {
                        distinct.push(value);
                    }
                }
                Value::Long(distinct.len() as i64)
            }
            "and" => Value::Bool(
                !values.is_empty() && values.iter().all(|value| **value == Value::Bool(true)),
            ),
            "or" => Value::Bool(values.contains(&&Value::Bool(true))),
            "unionSet" => {
                let mut elements: Vec<Value> = values.iter().flat_map(|set| sorted(set)).collect();
                elements.sort_unstable_by(Value::order);
                elements.dedup();
                Value::Object(Arc::new(Structure::Set(elements)))
            }
            "min" => best(&self.present, false),
            "max" => best(&self.present, true),
            "minForever" => best(&self.ever, false),
            "maxForever" => best(&self.ever, true),
            "str:groupConcat" => {
                let texts: Vec<&str> = values.iter().filter_map(|value| value.as_text()).collect();
                Value::from(texts.join(",").as_str())
            }
            "list:collect" => list(values.into_iter().cloned().collect()),
            "list:merge" => list(values.iter().flat_map(|set| elements(set)).collect()),
            _ if doubles.is_empty() => Value::Null,
            "math:percentile" => {
                let mut doubles = doubles;
                doubles.sort_unstable_by(f64::total_cmp);
                let half = doubles.len() / 2;
                let odd = !doubles.len().is_multiple_of(2);
                Value::Double(if odd {
                    doubles[half]
                } else {
                    (doubles[half - 1] + doubles[half]) / 2.0
                })
            }
            "sum" if ty.is_whole() => {
                Value::Long(values.iter().filter_map(|value| value.as_long()).sum())
            }
            "sum" => Value::Double(doubles.iter().sum()),
            "avg" => Value::Double(mean),
            _ => {
                let squares = doubles.iter().map(|value| (value - mean) * (value - mean));
                Value::Double((squares.sum::<f64>() / count).sqrt())
            }
        }
    }
}

fn list(values: Vec<Value>) -> Value {
    Value::Object(Arc::new(Structure::List(values)))
}

/// The elements of a set.
fn elements(set: &Value) -> Vec<Value> {
    let Value::Object(object) = set else { panic!("{set:?} is no set") };
    let Structure::Set(elements) = &**object else { panic!("{set:?} is no set") };
    elements.clone()
}

/// The elements of a set in order of their values.
fn sorted(set: &Value) -> Vec<Value> {
    let mut elements = elements(set);
    elements.sort_unstable_by(Value::order);
    elements
}

fn check(found: &Value, expected: &Value, place: &str) {
    match (found, expected) {
        (Value::Double(found), Value::Double(expected)) => {
            assert!((found - expected).abs() < 1e-6 * (1.0 + expected.abs()), "{place}: {found}")
        }
        (Value::Object(_), Value::Object(set)) if matches!(**set, Structure::Set(_)) => {
            assert_eq!(sorted(found), sorted(expected), "{place}")
        }
        _ => assert_eq!(found, expected, "{place}"),
    }
}

fn saved(aggregator: &dyn Aggregator) -> Vec<u8> {
    let mut writer = StateWriter::default();
    writer.section("it", 1);
    aggregator.save(&mut writer);
    writer.freeze().to_bytes()
}

fn load(aggregator: &mut dyn Aggregator, bytes: &[u8]) {
    let state = SavedState::parse(bytes).expect("own bytes");
    let mut reader = state.section("it", 1).expect("own section");
    aggregator.load(&mut reader).expect("own state");
    assert!(reader.is_at_end());
}

/// Rows as a sliding window puts them out, with resets between.
struct Script {
    values: Vec<Value>,
    kinds: Vec<Kind>,
    groups: Vec<u32>,
}

impl Script {
    fn new(chance: &mut Chance, ty: DataType, expires: bool, groups: u64) -> Script {
        let in_order = chance.below(2) == 0;
        let (mut values, mut kinds, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        let mut present: VecDeque<(Value, u32)> = VecDeque::new();
        for _ in 0..120 {
            let choice = chance.below(40);
            let (value, group, kind) = if choice == 0 {
                present.clear();
                (Value::Null, 0, Kind::Reset)
            } else if expires && choice < 19 && !present.is_empty() {
                // A window such as `sort` lets go of any row.
                let any = chance.below(present.len() as u64) as usize;
                let leaving = present.remove(if in_order { 0 } else { any });
                let (value, group) = leaving.expect("the place is in it");
                (value, group, Kind::Expired)
            } else {
                let (value, group) = (chance.value(ty), chance.below(groups) as u32);
                present.push_back((value.clone(), group));
                (value, group, Kind::Current)
            };
            values.push(value);
            kinds.push(kind);
            numbers.push(group);
        }
        Script { values, kinds, groups: numbers }
    }
}

fn play(name: &str, ty: DataType, seed: u64) {
    let mut chance = Chance(seed);
    let expires = !seed.is_multiple_of(3);
    let groups = if seed.is_multiple_of(2) { 1 } else { 4 };
    let script = Script::new(&mut chance, ty, expires, groups);
    let argument = column(ty, &script.values);
    // Absent lists stand for all current, and for all of group 0.
    let all_current = script.kinds.iter().all(|&kind| kind == Kind::Current);
    let kinds: &[Kind] = if all_current { &[] } else { &script.kinds };
    let numbers: &[u32] = if groups == 1 { &[] } else { &script.groups };
    let every: Vec<u32> = (0..4).collect();

    let mut aggregator = build(name, ty, expires);
    let mut model = vec![Group::default(); 4];
    let mut output = Column::new(result_type(name, ty));
    let mut start = 0;
    while start < script.values.len() {
        if script.kinds[start] == Kind::Reset {
            let forget = chance.below(2) == 0;
            aggregator.reset(&every, forget);
            for group in &mut model {
                group.present.clear();
                if forget {
                    group.ever.clear();
                }
            }
            output.push_null();
            start += 1;
            continue;
        }
        let room = script.kinds[start..].iter().position(|&kind| kind == Kind::Reset);
        let most = room.unwrap_or(script.kinds.len() - start) as u64;
        let end = start + 1 + chance.below(most) as usize;
        let rows = AggregateRows { range: start..end, kinds, groups: numbers, wanted: None };
        aggregator.run(&rows, &[&argument], &mut output);
        assert_eq!(output.len(), end);
        for row in start..end {
            let group = &mut model[script.groups[row] as usize];
            group.take(script.kinds[row], &script.values[row]);
            let place = format!("{name}({ty}), seed {seed}, row {row}");
            check(&output.value(row), &group.expected(name, ty), &place);
        }
        if chance.below(4) == 0 {
            let bytes = saved(&*aggregator);
            aggregator = build(name, ty, expires);
            load(&mut *aggregator, &bytes);
            assert_eq!(saved(&*aggregator), bytes, "{name}({ty}): equal state, equal bytes");
        }
        start = end;
    }
}

#[test]
fn running_values_are_those_of_the_rows_present() {
    // Maps are played through plans.
    let values = TAKEN.iter().filter(|(name, _)| !name.starts_with("map:"));
    for (name, types) in values {
        for &ty in *types {
            (0..30).for_each(|seed| play(name, ty, seed));
        }
    }
}

#[test]
fn what_cannot_be_aggregated_is_refused() {
    for (name, types) in TAKEN.iter().filter(|(name, _)| !matches!(*name, "count" | "and" | "or")) {
        for ty in DataType::ALL.into_iter().filter(|ty| !types.contains(ty)) {
            let signature = &find(name).expect("it is listed").signature;
            let taken = signature.overloads.iter().any(|overload| {
                overload.parameters.first().is_some_and(|first| first.types.contains(&ty))
            });
            assert!(!taken, "{name}({ty})");
        }
    }
}

#[test]
fn only_what_lasts_forever_cannot_go_back() {
    for (name, types) in TAKEN {
        let reversible = build(name, types[0], true).is_reversible();
        assert_eq!(reversible, !name.ends_with("Forever"), "{name}");
    }
}

#[test]
fn a_count_needs_no_argument() {
    let setup = AggregatorSetup { arguments: &[], ty: Long, expired: true, balanced: true };
    let mut count = (find("count").expect("it is listed").build)(&setup).expect("it is built");
    let mut output = Column::new(Long);
    let kinds = [Kind::Current, Kind::Current, Kind::Expired, Kind::Current];
    count.run(
        &AggregateRows { range: 1..4, kinds: &kinds, groups: &[], wanted: None },
        &[],
        &mut output,
    );
    count.run(
        &AggregateRows { range: 0..2, kinds: &[], groups: &[], wanted: None },
        &[],
        &mut output,
    );
    assert_eq!(output.longs(), [1, 0, 1, 2, 3]);
}

#[test]
fn an_emptied_group_is_as_new() {
    for name in ["sum", "avg"] {
        let mut aggregator = build(name, Double, true);
        let mut output = Column::new(Double);
        let values = [0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 7.0].map(Value::Double);
        let argument = column(Double, &values);
        let (current, expired) = (Kind::Current, Kind::Expired);
        let kinds = [current, current, current, expired, expired, expired, current];
        let rows = AggregateRows { range: 0..7, kinds: &kinds, groups: &[], wanted: None };
        aggregator.run(&rows, &[&argument], &mut output);
        assert!(output.is_null(5));
        assert_eq!(output.value(6), Value::Double(7.0), "no rounding error is left");
    }
}

#[test]
fn what_left_without_coming_is_owed() {
    for (name, gives) in [("sum", 6.0), ("avg", 6.0)] {
        for ty in NUMBERS {
            let arguments = &[Expr::column(0, *ty)];
            let ty = result_type(name, *ty);
            let setup = AggregatorSetup { arguments, ty, expired: true, balanced: false };
            let mut aggregator = (find(name).expect("it is listed").build)(&setup).expect("so");
            let values = [5, 3, 4].map(|value| match arguments[0].ty {
                Int => Value::Int(value),
                Long => Value::Long(value.into()),
                DataType::Float => Value::Float(value as f32),
                _ => Value::Double(value.into()),
            });
            let argument = column(arguments[0].ty, &values);
            let kinds = [Kind::Current, Kind::Expired, Kind::Current];
            let rows = AggregateRows { range: 0..3, kinds: &kinds, groups: &[], wanted: None };
            let mut output = Column::new(ty);
            aggregator.run(&rows, &[&argument], &mut output);
            assert!(output.is_null(1));
            assert_eq!(output.value(2).as_double(), Some(gives), "{name}({})", arguments[0].ty);
        }
    }
}

#[test]
fn sums_of_whole_numbers_wrap() {
    let mut sum = build("sum", Long, true);
    let mut output = Column::new(Long);
    let argument = column(Long, &[Value::Long(i64::MAX), Value::Long(1)]);
    sum.run(
        &AggregateRows { range: 0..2, kinds: &[], groups: &[], wanted: None },
        &[&argument],
        &mut output,
    );
    assert_eq!(output.longs(), [i64::MAX, i64::MIN]);
}

#[test]
fn damaged_state_is_refused() {
    for (name, types) in TAKEN {
        let mut aggregator = build(name, types[0], true);
        let mut writer = StateWriter::default();
        writer.section("it", 1);
        writer.put(&u32::MAX);
        let bytes = writer.freeze().to_bytes();
        let state = SavedState::parse(&bytes).expect("it can be taken apart");
        let mut reader = state.section("it", 1).expect("the section is there");
        assert!(aggregator.load(&mut reader).is_err(), "{name}");
    }
    assert_eq!(TAKEN.len(), ALL.len());
}
