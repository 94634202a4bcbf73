//! Functions written in a plan: a subset of JavaScript, run step by step within bounds of time and
//! memory. It sees its arguments alone, so that two nodes get the same results.
//!
//! A body is read when the plan is compiled; what is not understood is refused at its place. Each
//! call begins with an empty memory, which is given back whole when it ends.

mod convert;
mod expressions;
mod heap;
mod lexer;
mod lists;
mod members;
mod names;
mod number;
mod operators;
mod parser;
mod run;
mod statics;
#[cfg(test)]
mod tests;
mod tree;

use crate::engine::expressions::Kernel;
use crate::engine::expressions::Native;
use crate::engine::expressions::Operand;
use crate::engine::expressions::by_row::Arguments;
use crate::engine::expressions::by_row::Outcome;
use crate::engine::expressions::by_row::by_row;
use crate::engine::expressions::native::for_type;
use crate::engine::script::heap::Heap;
use crate::engine::script::heap::Stop;
use crate::engine::script::tree::Script;
use crate::plan::expression::ScriptFunction;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::ScriptFault;

/// The names of the language in a plan.
const LANGUAGES: &[&str] = &["javascript", "js"];

/// Says what is wrong with a body.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn check(language: &str, body: &str) -> Result<(), ScriptFault> {
    if !LANGUAGES.iter().any(|known| known.eq_ignore_ascii_case(language)) {
        let message = format!("functions in `{language}`; a function of a plan is in `javascript`");
        let unknown = Default::default();
        return Err(ScriptFault { at: None, message, not_supported: true, unknown });
    }
    parser::parse(body).map(drop)
}

/// Makes the kernel of a call.
///
/// # Errors
/// If the body cannot be read.
pub fn kernel(
    function: &ScriptFunction,
    operands: Vec<Operand>,
) -> Result<Box<dyn Kernel>, ArgumentFault> {
    let script =
        check(&function.language, &function.body).and_then(|()| parser::parse(&function.body));
    let script = script.map_err(|fault| ArgumentFault {
        argument: None,
        message: fault.message,
        not_supported: fault.not_supported,
    })?;
    let name = function.name.clone();
    for_type!(function.returns, R => Ok(calls::<R>(name, script, operands)))
}

fn calls<R: Native>(name: String, script: Script, operands: Vec<Operand>) -> Box<dyn Kernel> {
    let mut heap = Heap::default();
    by_row(name, operands, move |row| call::<R>(&script, &mut heap, row))
}

fn call<R: Native>(script: &Script, heap: &mut Heap, row: Arguments<'_>) -> Outcome<R> {
    heap.reset();
    let outcome = attempt::<R>(script, heap, row);
    outcome.unwrap_or_else(|stop| Err(convert::message(&stop, heap)))
}

fn attempt<R: Native>(
    script: &Script,
    heap: &mut Heap,
    row: Arguments<'_>,
) -> Result<Outcome<R>, Stop> {
    let mut data = heap.values();
    for place in 0..row.count() {
        data.push(convert::datum(&row.value(place), heap)?);
    }
    let result = run::call(script, heap, data)?;
    convert::returned(&result, heap)
}
