//! Scalar functions, one file a family, one definition a function.
//!
//! To add one: a definition in its family's list. To add a family: a file, and its line in
//! [`FAMILIES`].

#[cfg(test)]
mod cases;
mod collection;
mod condition;
mod convert;
mod geo;
mod identity;
mod json;
pub(crate) mod json_text;
mod list;
mod map;
mod map_xml;
mod math;
pub(crate) mod pattern;
mod regex;
mod text;
pub(crate) mod text_search;
mod time;
mod time_format;
mod unit_conversion;
pub(crate) mod utf16;

use crate::engine::expressions::Kernel;
use crate::engine::expressions::Native;
use crate::engine::expressions::Operand;
use crate::engine::expressions::by_row::Arguments;
use crate::engine::expressions::by_row::Outcome;
use crate::engine::expressions::by_row::by_row;
use crate::event::DataType;
use crate::plan::expression::Expr;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;

/// A kernel, or which argument cannot be taken.
pub type Built = Result<Box<dyn Kernel>, ArgumentFault>;

/// A scalar function by name.
pub struct FunctionDefinition {
    /// Name, sentence, parameters, example.
    pub signature: Signature,
    /// Makes the kernel, or says which argument it cannot take.
    pub build: fn(FunctionSetup<'_>) -> Built,
}

impl FunctionDefinition {
    /// A definition without traits.
    pub const fn new(
        name: &'static str,
        summary: &'static str,
        overloads: &'static [Overload],
        build: fn(FunctionSetup<'_>) -> Built,
        example: &'static str,
    ) -> FunctionDefinition {
        let signature = Signature { name, summary, traits: &[], overloads, example };
        FunctionDefinition { signature, build }
    }
}

/// One list of parameters, and the type of what comes of them.
pub const fn takes(parameters: &'static [Parameter], returns: DataType) -> Overload {
    Overload { parameters, returns: Returns::Type(returns) }
}

/// What a function is made from.
pub struct FunctionSetup<'a> {
    /// The function's name.
    pub name: &'static str,
    /// The arguments as checked; constants can be read from them.
    pub arguments: &'a [Expr],
    /// The arguments ready to be computed, in the same order.
    pub operands: Vec<Operand>,
    /// The type of the result, by the signature.
    pub ty: DataType,
    /// The call place, from which chance is drawn.
    pub site: u32,
}

impl FunctionSetup<'_> {
    /// A kernel that computes row by row.
    ///
    /// # Errors
    /// None; so that a definition can end with it.
    pub fn by_row<R: Native>(
        self,
        compute: impl FnMut(Arguments<'_>) -> Outcome<R> + Send + 'static,
    ) -> Built {
        Ok(by_row(self.name, self.operands, compute))
    }

    /// The constant text at a place; `None` if there is no argument, or no constant.
    pub fn constant_text(&self, place: usize) -> Option<&str> {
        self.arguments.get(place)?.as_constant()?.as_text()
    }
}

/// All functions, family by family, in the order of the manual.
pub const FAMILIES: &[&[FunctionDefinition]] = &[
    CORE,
    text::ALL,
    text_search::ALL,
    regex::ALL,
    math::ALL,
    time::ALL,
    json::ALL,
    map::ALL,
    map_xml::ALL,
    list::ALL,
    geo::ALL,
    unit_conversion::ALL,
];

/// The functions without a namespace.
const CORE: &[FunctionDefinition] = &[
    convert::CAST,
    convert::CONVERT,
    condition::COALESCE,
    condition::DEFAULT,
    condition::IF_THEN_ELSE,
    convert::INSTANCE_OF_BOOLEAN,
    convert::INSTANCE_OF_DOUBLE,
    convert::INSTANCE_OF_FLOAT,
    convert::INSTANCE_OF_INTEGER,
    convert::INSTANCE_OF_LONG,
    convert::INSTANCE_OF_STRING,
    condition::MAXIMUM,
    condition::MINIMUM,
    identity::CURRENT_TIME_MILLIS,
    identity::EVENT_TIMESTAMP,
    identity::UUID,
    collection::CREATE_SET,
    collection::SIZE_OF_SET,
];

/// All functions, in the order of the manual.
pub fn all() -> impl Iterator<Item = &'static FunctionDefinition> {
    FAMILIES.iter().copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A definition opens with a line of documentation, "`name(…)`". One that is written but not
    /// listed would be unknown to plans and to the manual. A family with a namespace is a list.
    #[test]
    fn every_definition_is_listed() {
        let mut written = Vec::new();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine/functions");
        for file in std::fs::read_dir(folder).expect("the folder is there") {
            let path = file.expect("it is readable").path();
            if path.file_name().is_some_and(|name| name != "mod.rs" && name != "cases.rs") {
                let text = std::fs::read_to_string(path).expect("sources are text");
                let opening = |line: &str| {
                    let (name, _) = line.trim_start().strip_prefix("/// `")?.split_once('(')?;
                    Some(name.to_string())
                };
                written.extend(text.lines().filter_map(opening));
            }
        }
        written.sort_unstable();
        let mut listed: Vec<&str> = CORE.iter().map(|each| each.signature.name).collect();
        listed.sort_unstable();
        assert_eq!(written, listed);
        for definition in all() {
            let Signature { name, summary, example, .. } = definition.signature;
            assert!(example.contains(&format!("{name}(")), "{name}");
            assert!(summary.ends_with('.'), "{name}");
        }
    }
}
