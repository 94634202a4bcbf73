//! Scalar functions, one file a family, one definition a function.
//!
//! To add one: a definition in its family's file, and its line in [`ALL`].

use crate::engine::expressions::Kernel;
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
    pub kernels: Vec<Box<dyn Kernel>>,
    /// The type of the result, by the signature.
    pub ty: DataType,
    /// The call place, from which chance is drawn.
    pub site: u32,
}

/// All functions, in the order of the manual.
pub const ALL: &[&FunctionDefinition] = &[];

/// Finds a function by its name; letter case matters.
pub fn find(name: &str) -> Option<&'static FunctionDefinition> {
    ALL.iter().copied().find(|definition| definition.signature.name == name)
}
