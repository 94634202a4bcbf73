//! Everything that can be called in a plan, as the checker asks for it.

use crate::engine::aggregators;
use crate::engine::aggregators::AggregatorDefinition;
use crate::engine::aggregators::AggregatorSetup;
use crate::engine::expressions::leaf;
use crate::engine::functions;
use crate::engine::functions::FunctionDefinition;
use crate::engine::functions::FunctionSetup;
use crate::engine::script;
use crate::engine::stream_functions;
use crate::engine::stream_functions::StreamFunctionDefinition;
use crate::engine::windows;
use crate::engine::windows::WindowDefinition;
use crate::engine::windows::WindowSetup;
use crate::event::DataType;
use crate::event::Schema;
use crate::event::Text;
use crate::event::Value;
use crate::plan::expression::Expr;
use crate::plan::logical::FunctionCall;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Callable;
use crate::plan::signature::Catalog;
use crate::plan::signature::Count;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::ScriptFault;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;
use crate::plan::signature::relabelled;
use std::fmt;
use std::sync::Arc;

/// What an embedder brings along: definitions of its own, written as those of the engine are.
///
/// Names are best given a namespace, as in `acme:score`: a name that the engine has is the
/// engine's. What is brought must be a function of what it is given, as the engine is: it reads no
/// clock, file or chance, and state goes through `save` and `load`.
pub trait Extension: Send + Sync {
    /// Scalar functions.
    fn functions(&self) -> &'static [FunctionDefinition] {
        &[]
    }

    /// Aggregators.
    fn aggregators(&self) -> &'static [AggregatorDefinition] {
        &[]
    }

    /// Windows.
    fn windows(&self) -> &'static [WindowDefinition] {
        &[]
    }

    /// Stream functions.
    fn stream_functions(&self) -> &'static [StreamFunctionDefinition] {
        &[]
    }
}

/// All functions, aggregators, windows and stream functions that a plan may call: those that the
/// engine brings, and those of extensions.
#[derive(Clone, Default)]
pub struct Library {
    extensions: Vec<Arc<dyn Extension>>,
}

impl Library {
    /// What every plan may call.
    pub fn standard() -> Library {
        Library::default()
    }

    /// The same and what an extension brings.
    pub fn with(mut self, extension: impl Extension + 'static) -> Library {
        self.extensions.push(Arc::new(extension));
        self
    }

    /// A scalar function.
    pub fn find_function(&self, name: &str) -> Option<&'static FunctionDefinition> {
        let own = self.extensions.iter().flat_map(|each| each.functions());
        functions::all().chain(own).find(|definition| definition.signature.name == name)
    }

    /// An aggregator.
    pub fn find_aggregator(&self, name: &str) -> Option<&'static AggregatorDefinition> {
        let own = self.extensions.iter().flat_map(|each| each.aggregators());
        let all = aggregators::ALL.iter().copied().chain(own);
        all.into_iter().find(|definition| definition.signature.name == name)
    }

    /// A window.
    pub fn find_window(&self, name: &str) -> Option<&'static WindowDefinition> {
        let own = self.extensions.iter().flat_map(|each| each.windows());
        let all = windows::ALL.iter().copied().chain(own);
        all.into_iter().find(|definition| definition.signature.name == name)
    }

    /// A stream function.
    pub fn find_stream_function(&self, name: &str) -> Option<&'static StreamFunctionDefinition> {
        let own = self.extensions.iter().flat_map(|each| each.stream_functions());
        let all = stream_functions::ALL.iter().copied().chain(own);
        all.into_iter().find(|definition| definition.signature.name == name)
    }

    /// Whether the window of a name is set apart by something.
    pub fn window_has(&self, name: &str, what: Trait) -> bool {
        self.find_window(name).is_some_and(|definition| definition.signature.has(what))
    }

    /// The names of a kind, in the order of the manual.
    fn all_names(&self, kind: Callable) -> Vec<&'static str> {
        let own = self.extensions.iter();
        match kind {
            Callable::Function => {
                let own = own.flat_map(|each| each.functions());
                functions::all().chain(own).map(|each| each.signature.name).collect()
            }
            Callable::Aggregator => {
                let own = own.flat_map(|each| each.aggregators());
                let all = aggregators::ALL.iter().copied().chain(own);
                all.map(|each| each.signature.name).collect()
            }
            Callable::Window => {
                let own = own.flat_map(|each| each.windows());
                let all = windows::ALL.iter().copied().chain(own);
                all.map(|each| each.signature.name).collect()
            }
            Callable::StreamFunction => {
                let own = own.flat_map(|each| each.stream_functions());
                let all = stream_functions::ALL.iter().copied().chain(own);
                all.map(|each| each.signature.name).collect()
            }
        }
    }

    fn verify_function(&self, name: &str, arguments: &[Expr]) -> Result<(), ArgumentFault> {
        let definition = self.find_function(name).ok_or_else(|| unknown(name))?;
        let ty = result(&definition.signature, arguments).ok_or_else(|| misfit(name))?;
        // The arguments have been verified before, and only constants are looked at here.
        let operands = arguments.iter().map(|each| leaf::constant(&Value::Null, each.ty).into());
        let operands = operands.collect();
        let name = definition.signature.name;
        (definition.build)(FunctionSetup { name, arguments, operands, ty, site: 0 }).map(drop)
    }

    fn verify_aggregator(&self, name: &str, arguments: &[Expr]) -> Result<(), ArgumentFault> {
        let definition = self.find_aggregator(name).ok_or_else(|| unknown(name))?;
        let ty = result(&definition.signature, arguments).ok_or_else(|| misfit(name))?;
        (definition.build)(&AggregatorSetup { arguments, ty, expired: true, balanced: true })
            .map(drop)
    }

    fn verify_window(
        &self,
        name: &str,
        arguments: &[Expr],
        types: &[DataType],
    ) -> Result<(), ArgumentFault> {
        let definition = self.find_window(name).ok_or_else(|| unknown(name))?;
        let keep = vec![true; types.len()];
        let (keep, leaving) = (keep.as_slice(), keep.as_slice());
        let setup = WindowSetup {
            library: self,
            arguments,
            types,
            names: &[],
            predicate: None,
            keep,
            leaving,
            expired: true,
            findable: true,
        };
        (definition.build)(&setup).map(drop)
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Library with {} extensions", self.extensions.len())
    }
}

impl Catalog for Library {
    fn function(&self, name: &str) -> Option<&Signature> {
        self.find_function(name).map(|definition| &definition.signature)
    }

    fn aggregator(&self, name: &str) -> Option<&Signature> {
        self.find_aggregator(name).map(|definition| &definition.signature)
    }

    fn window(&self, name: &str) -> Option<&Signature> {
        self.find_window(name).map(|definition| &definition.signature)
    }

    fn stream_function(&self, name: &str) -> Option<&Signature> {
        self.find_stream_function(name).map(|definition| &definition.signature)
    }

    fn names(&self, kind: Callable) -> Vec<&'static str> {
        self.all_names(kind)
    }

    fn verify(
        &self,
        kind: Callable,
        name: &str,
        arguments: &[Expr],
        types: &[DataType],
    ) -> Result<(), ArgumentFault> {
        match kind {
            Callable::Function => self.verify_function(name, arguments),
            Callable::Aggregator => self.verify_aggregator(name, arguments),
            Callable::Window => self.verify_window(name, arguments, types),
            Callable::StreamFunction => {
                let added = Schema::new(self.added(name, arguments));
                let definition = self.find_stream_function(name).ok_or_else(|| unknown(name))?;
                let call = FunctionCall {
                    name: name.into(),
                    arguments: arguments.to_vec(),
                    types: types.to_vec(),
                    added,
                    holds: false,
                    stream: Text::new(),
                    span: Default::default(),
                };
                (definition.build)(&call, self).map(drop)
            }
        }
    }

    fn script(&self, language: &str, body: &str) -> Result<(), ScriptFault> {
        script::check(language, body)
    }

    fn added(&self, name: &str, arguments: &[Expr]) -> Vec<(&'static str, DataType)> {
        let definition = self.find_stream_function(name);
        definition.map_or(Vec::new(), |definition| (definition.added)(arguments).to_vec())
    }
}

fn unknown(name: &str) -> ArgumentFault {
    let message = format!("there is nothing called `{name}`");
    ArgumentFault { argument: None, message, not_supported: false }
}

fn misfit(name: &str) -> ArgumentFault {
    let message = format!("`{name}` does not take these arguments");
    ArgumentFault { argument: None, message, not_supported: false }
}

/// The type that a call gives, by the first overload whose types fit.
fn result(signature: &Signature, arguments: &[Expr]) -> Option<DataType> {
    let overload = signature.overloads.iter().find(|overload| fits(overload, arguments))?;
    match overload.returns {
        Returns::Type(ty) => Some(ty),
        Returns::Argument(place) | Returns::Same(place) => {
            arguments.get(place).map(|argument| argument.ty)
        }
        Returns::Widest => arguments.iter().map(|argument| argument.ty).max(),
        Returns::Named(place) => named_type(arguments, place),
        Returns::Relabelled(value, place) => {
            Some(relabelled(arguments.get(value)?.ty, named_type(arguments, place)?))
        }
    }
}

fn named_type(arguments: &[Expr], place: usize) -> Option<DataType> {
    DataType::from_name(arguments.get(place)?.as_constant()?.as_text()?)
}

fn fits(overload: &Overload, arguments: &[Expr]) -> bool {
    let parameter_of = |place: usize| -> Option<&Parameter> {
        let last = overload.parameters.last().filter(|last| last.count == Count::Many);
        overload.parameters.get(place).or(last)
    };
    let required = overload.parameters.iter().filter(|each| each.count == Count::One).count();
    arguments.len() >= required
        && arguments.iter().enumerate().all(|(place, argument)| {
            parameter_of(place).is_some_and(|parameter| parameter.types.contains(&argument.ty))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Callable; 4] =
        [Callable::Function, Callable::Aggregator, Callable::Window, Callable::StreamFunction];

    fn fault(kind: Callable, name: &str, arguments: &[Expr]) -> Option<ArgumentFault> {
        let types = [DataType::Int, DataType::Text, DataType::Object];
        Library::standard().verify(kind, name, arguments, &types).err()
    }

    #[test]
    fn names_are_found_by_their_letters() {
        let library = Library::standard();
        assert!(library.function("coalesce").is_some());
        assert!(library.function("Coalesce").is_none());
        assert!(library.function("sum").is_none());
        assert!(library.aggregator("sum").is_some());
        assert!(library.stream_function("log").is_some());
        for kind in ALL {
            let names = library.names(kind);
            let mut distinct = names.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), names.len(), "{kind:?}");
        }
    }

    #[test]
    fn what_builds_is_verified_and_what_does_not_is_refused() {
        let (int, text) = (Expr::column(0, DataType::Int), Expr::column(1, DataType::Text));
        let object = Expr::column(2, DataType::Object);
        let named = |name: &str| Expr::constant(name.into());
        assert_eq!(fault(Callable::Function, "convert", &[int.clone(), named("long")]), None);
        assert_eq!(fault(Callable::Function, "cast", &[text.clone(), named("long")]), None);
        assert_eq!(fault(Callable::Function, "maximum", &[int.clone(), int.clone()]), None);
        assert_eq!(fault(Callable::Aggregator, "sum", std::slice::from_ref(&int)), None);
        assert_eq!(fault(Callable::Aggregator, "count", &[]), None);
        assert_eq!(fault(Callable::StreamFunction, "log", &[named("DEBUG"), text.clone()]), None);
        let refused = fault(Callable::StreamFunction, "log", &[named("LOUD"), text.clone()]);
        assert_eq!(refused.expect("refused").argument, Some(0));
        let refused = fault(Callable::Function, "cast", &[object, named("object")]);
        assert_eq!(refused.expect("refused").argument, Some(1));
        assert!(fault(Callable::Aggregator, "sum", &[text]).is_some());
        for kind in ALL {
            assert!(fault(kind, "nowhere", std::slice::from_ref(&int)).is_some());
        }
    }

    #[test]
    fn stream_functions_tell_what_they_add() {
        let double = Expr::column(0, DataType::Double);
        let library = Library::standard();
        let added = library.added("pol2Cart", &[double.clone(), double.clone(), double]);
        assert_eq!(added.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["x", "y", "z"]);
        assert!(library.added("log", &[]).is_empty());
    }
}
