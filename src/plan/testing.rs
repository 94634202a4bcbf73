//! A small catalog for the tests of this room, so that they stand without the engine.

use crate::event::DataType;
use crate::language;
use crate::plan::check;
use crate::plan::check_query;
use crate::plan::expression::Expr;
use crate::plan::logical::OnDemand;
use crate::plan::logical::Plan;
use crate::plan::signature::ANY;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Callable;
use crate::plan::signature::Catalog;
use crate::plan::signature::NUMBER;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::ScriptFault;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;
use crate::plan::signature::WHOLE;

const INT: &[DataType] = &[DataType::Int];
const LONG: &[DataType] = &[DataType::Long];
const BOOL: &[DataType] = &[DataType::Bool];
const TEXT: &[DataType] = &[DataType::Text];
const OBJECT: &[DataType] = &[DataType::Object];
const FLOATS: &[DataType] = &[DataType::Float, DataType::Double];

const fn signature(name: &'static str, overloads: &'static [Overload]) -> Signature {
    apart(name, &[], overloads)
}

const fn apart(
    name: &'static str,
    traits: &'static [Trait],
    overloads: &'static [Overload],
) -> Signature {
    Signature { name, summary: "for tests", traits, overloads, example: "" }
}

const fn to(parameters: &'static [Parameter], returns: Returns) -> Overload {
    Overload { parameters, returns }
}

const LONG_RESULT: Returns = Returns::Type(DataType::Long);
const DOUBLE_RESULT: Returns = Returns::Type(DataType::Double);
const BOOL_RESULT: Returns = Returns::Type(DataType::Bool);
const NO_RESULT: Returns = Returns::Type(DataType::Object);

const FUNCTIONS: &[Signature] = &[
    signature(
        "convert",
        &[to(&[Parameter::any("value", ANY), Parameter::any("type", TEXT)], Returns::Named(1))],
    ),
    signature(
        "cast",
        &[to(&[Parameter::any("value", ANY), Parameter::any("type", TEXT)], Returns::Named(1))],
    ),
    signature(
        "coalesce",
        &[to(
            &[Parameter::any("first", ANY), Parameter::any("other", ANY).many()],
            Returns::Same(0),
        )],
    ),
    signature(
        "default",
        &[to(&[Parameter::any("value", ANY), Parameter::constant("other", ANY)], Returns::Same(0))],
    ),
    signature(
        "ifThenElse",
        &[to(
            &[
                Parameter::any("condition", BOOL),
                Parameter::any("then", ANY),
                Parameter::any("else", ANY),
            ],
            Returns::Same(1),
        )],
    ),
    signature("instanceOfDouble", &[to(&[Parameter::any("value", ANY)], BOOL_RESULT)]),
    signature(
        "maximum",
        &[to(
            &[Parameter::any("first", NUMBER), Parameter::any("other", NUMBER).many()],
            Returns::Same(0),
        )],
    ),
    signature("currentTimeMillis", &[to(&[], LONG_RESULT)]),
    signature(
        "eventTimestamp",
        &[to(&[], LONG_RESULT), to(&[Parameter::any("event", OBJECT)], LONG_RESULT)],
    ),
    apart("UUID", &[Trait::Counts], &[to(&[], Returns::Type(DataType::Text))]),
    signature("createSet", &[to(&[Parameter::any("value", ANY)], NO_RESULT)]),
    signature("sizeOfSet", &[to(&[Parameter::any("set", OBJECT)], Returns::Type(DataType::Int))]),
    signature(
        "math:power",
        &[to(
            &[
                Parameter::any("base", &[DataType::Double]),
                Parameter::any("exponent", &[DataType::Double]),
            ],
            DOUBLE_RESULT,
        )],
    ),
];

const AGGREGATORS: &[Signature] = &[
    signature(
        "sum",
        &[
            to(&[Parameter::any("value", WHOLE)], LONG_RESULT),
            to(&[Parameter::any("value", FLOATS)], DOUBLE_RESULT),
        ],
    ),
    signature("avg", &[to(&[Parameter::any("value", NUMBER)], DOUBLE_RESULT)]),
    signature("count", &[to(&[Parameter::any("value", ANY).optional()], LONG_RESULT)]),
    signature("min", &[to(&[Parameter::any("value", NUMBER)], Returns::Argument(0))]),
    signature("max", &[to(&[Parameter::any("value", NUMBER)], Returns::Argument(0))]),
    apart(
        "maxForever",
        &[Trait::Lasts],
        &[to(&[Parameter::any("value", NUMBER)], Returns::Argument(0))],
    ),
    apart(
        "distinctCount",
        &[Trait::Remembers],
        &[to(&[Parameter::any("value", ANY)], LONG_RESULT)],
    ),
    apart("unionSet", &[Trait::Remembers], &[to(&[Parameter::any("set", OBJECT)], NO_RESULT)]),
    signature("or", &[to(&[Parameter::any("value", BOOL)], BOOL_RESULT)]),
];

const WINDOWS: &[Signature] = &[
    signature("length", &[to(&[Parameter::constant("n", INT)], NO_RESULT)]),
    signature("lengthBatch", &[to(&[Parameter::constant("n", INT)], NO_RESULT)]),
    signature("time", &[to(&[Parameter::constant("time", LONG)], NO_RESULT)]),
    signature(
        "externalTime",
        &[to(&[Parameter::attribute("clock", LONG), Parameter::constant("time", LONG)], NO_RESULT)],
    ),
    signature(
        "sort",
        &[to(&[Parameter::constant("n", INT), Parameter::any("by", ANY).many()], NO_RESULT)],
    ),
    apart(
        "expression",
        &[Trait::TakesCondition],
        &[to(&[Parameter::any("condition", TEXT)], NO_RESULT)],
    ),
    signature("batch", &[to(&[Parameter::constant("n", INT).optional()], NO_RESULT)]),
];

const STREAM_FUNCTIONS: &[Signature] = &[
    signature("log", &[to(&[Parameter::any("text", TEXT).optional()], NO_RESULT)]),
    signature(
        "pol2Cart",
        &[to(
            &[
                Parameter::any("theta", &[DataType::Double]),
                Parameter::any("rho", &[DataType::Double]),
            ],
            NO_RESULT,
        )],
    ),
];

/// The checked form of a plan that must be right.
#[track_caller]
pub(super) fn checked(text: &str) -> Plan {
    let parsed = language::parse(text);
    assert!(!parsed.has_errors(), "{text}: {:?}", parsed.diagnostics);
    let checked = check(&parsed.tree, text, &TestCatalog);
    checked.plan.unwrap_or_else(|| panic!("{text}: {:?}", checked.diagnostics))
}

/// The checked form of an on-demand query that must be right.
#[track_caller]
pub(super) fn asked(text: &str, plan: &Plan) -> OnDemand {
    let parsed = language::parse_query(text);
    let tree = parsed.tree.unwrap_or_else(|| panic!("{text}: {:?}", parsed.diagnostics));
    let checked = check_query(&tree, plan, &TestCatalog);
    checked.query.unwrap_or_else(|| panic!("{text}: {:?}", checked.diagnostics))
}

/// What the tests of this room can call.
pub(super) struct TestCatalog;

fn list(kind: Callable) -> &'static [Signature] {
    match kind {
        Callable::Function => FUNCTIONS,
        Callable::Aggregator => AGGREGATORS,
        Callable::Window => WINDOWS,
        Callable::StreamFunction => STREAM_FUNCTIONS,
    }
}

fn find(kind: Callable, name: &str) -> Option<&'static Signature> {
    list(kind).iter().find(|signature| signature.name == name)
}

impl Catalog for TestCatalog {
    fn script(&self, language: &str, body: &str) -> Result<(), ScriptFault> {
        if language != "javascript" {
            let fault = ScriptFault::at(0, "another language");
            return Err(ScriptFault { at: None, not_supported: true, ..fault });
        }
        match body.find("wrong") {
            Some(at) => Err(ScriptFault::at(at, "this is wrong")),
            None => Ok(()),
        }
    }

    fn function(&self, name: &str) -> Option<&Signature> {
        find(Callable::Function, name)
    }

    fn aggregator(&self, name: &str) -> Option<&Signature> {
        find(Callable::Aggregator, name)
    }

    fn window(&self, name: &str) -> Option<&Signature> {
        find(Callable::Window, name)
    }

    fn stream_function(&self, name: &str) -> Option<&Signature> {
        find(Callable::StreamFunction, name)
    }

    fn names(&self, kind: Callable) -> Vec<&'static str> {
        list(kind).iter().map(|signature| signature.name).collect()
    }

    fn verify(
        &self,
        kind: Callable,
        name: &str,
        arguments: &[Expr],
        _types: &[DataType],
    ) -> Result<(), ArgumentFault> {
        let negative = |argument: &Expr| {
            argument.as_constant().and_then(|value| value.as_long()).is_some_and(|n| n < 0)
        };
        match arguments.first() {
            Some(first) if kind == Callable::Window && negative(first) => {
                Err(ArgumentFault::at(0, format!("`{name}` cannot be negative")))
            }
            _ => Ok(()),
        }
    }

    fn added(&self, name: &str, _arguments: &[Expr]) -> Vec<(&'static str, DataType)> {
        match name {
            "pol2Cart" => vec![("x", DataType::Double), ("y", DataType::Double)],
            _ => Vec::new(),
        }
    }
}
