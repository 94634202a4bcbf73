//! Scalar functions, one file a family, one definition a function.
//!
//! To add one: a definition in its family's file, and its line in [`ALL`].

#[cfg(test)]
mod cases;
mod collection;
mod condition;
mod convert;
mod identity;

use crate::engine::expressions::Kernel;
use crate::engine::expressions::Operand;
use crate::event::DataType;
use crate::plan::expression::Expr;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Signature;

/// A scalar function by name.
pub struct FunctionDefinition {
    /// Name, sentence, parameters, example.
    pub signature: Signature,
    /// Makes the kernel, or says which argument it cannot take.
    pub build: fn(FunctionSetup<'_>) -> Result<Box<dyn Kernel>, ArgumentFault>,
}

/// What a function is made from.
pub struct FunctionSetup<'a> {
    /// The arguments as checked; constants can be read from them.
    pub arguments: &'a [Expr],
    /// The arguments ready to be computed, in the same order.
    pub operands: Vec<Operand>,
    /// The type of the result, by the signature.
    pub ty: DataType,
    /// The call place, from which chance is drawn.
    pub site: u32,
}

/// All functions, in the order of the manual.
pub const ALL: &[&FunctionDefinition] = &[
    &convert::CAST,
    &convert::CONVERT,
    &condition::COALESCE,
    &condition::DEFAULT,
    &condition::IF_THEN_ELSE,
    &convert::INSTANCE_OF_BOOLEAN,
    &convert::INSTANCE_OF_DOUBLE,
    &convert::INSTANCE_OF_FLOAT,
    &convert::INSTANCE_OF_INTEGER,
    &convert::INSTANCE_OF_LONG,
    &convert::INSTANCE_OF_STRING,
    &condition::MAXIMUM,
    &condition::MINIMUM,
    &identity::CURRENT_TIME_MILLIS,
    &identity::EVENT_TIMESTAMP,
    &identity::UUID,
    &collection::CREATE_SET,
    &collection::SIZE_OF_SET,
];

/// Finds a function by its name; letter case matters.
pub fn find(name: &str) -> Option<&'static FunctionDefinition> {
    ALL.iter().copied().find(|definition| definition.signature.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A definition opens with a line of documentation, "`name(…)`". One that is written but not
    /// listed would be unknown to plans and to the manual.
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
        let mut listed: Vec<&str> = ALL.iter().map(|each| each.signature.name).collect();
        listed.sort_unstable();
        assert_eq!(written, listed);
        for definition in ALL {
            let Signature { name, summary, example, .. } = definition.signature;
            assert!(example.contains(&format!("{name}(")), "{name}");
            assert!(summary.ends_with('.'), "{name}");
        }
    }
}
