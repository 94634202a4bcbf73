//! Steps written `#name(…)` that look at rows or add columns.
//!
//! To add one: a file with a `DEFINITION`, and its line in [`ALL`].

use crate::engine::operator::Operator;
use crate::event::DataType;
use crate::plan::logical::FunctionCall;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Signature;

/// A stream function by name.
pub struct StreamFunctionDefinition {
    /// Name, sentence, parameters, example.
    pub signature: Signature,
    /// The columns it appends, by number of arguments.
    pub added: fn(usize) -> &'static [(&'static str, DataType)],
    /// Makes the step, or says which argument it cannot take.
    pub build: fn(&FunctionCall) -> Result<Box<dyn Operator>, ArgumentFault>,
}

/// All stream functions, in the order of the manual.
pub const ALL: &[&StreamFunctionDefinition] = &[];

/// Finds a stream function by its name; letter case matters.
pub fn find(name: &str) -> Option<&'static StreamFunctionDefinition> {
    ALL.iter().copied().find(|definition| definition.signature.name == name)
}
