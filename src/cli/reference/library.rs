//! The manual of what can be called in a plan.

use crate::cli::reference::Entry;
use crate::engine::library::Library;
use crate::event::DataType;
use crate::plan::signature::Callable;
use crate::plan::signature::Catalog;
use crate::plan::signature::Count;
use crate::plan::signature::Form;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;

/// A kind of what can be called, and its page.
pub(super) struct Kind {
    pub(super) callable: Callable,
    pub(super) title: &'static str,
    /// The name of the page.
    pub(super) page: &'static str,
    /// What the page says first.
    pub(super) head: &'static str,
}

pub(super) const KINDS: &[Kind] = &[
    Kind {
        callable: Callable::Function,
        title: "Functions",
        page: "functions",
        head: "Functions stand in expressions: in filters, in `select`, in conditions of tables. \
               What stands in square\nbrackets may be left out; of several types any will do, and \
               a number widens to a wider one.\n",
    },
    Kind {
        callable: Callable::Aggregator,
        title: "Aggregators",
        page: "aggregators",
        head: "Aggregators stand in `select` and `having`, over the rows of a window, a group, or \
               both.\n",
    },
    Kind {
        callable: Callable::Window,
        title: "Windows",
        page: "windows",
        head: "Windows stand behind a stream, as `#window.length(5)`, or behind `define window`.\n",
    },
    Kind {
        callable: Callable::StreamFunction,
        title: "Stream functions",
        page: "stream-functions",
        head: "Stream functions stand behind a stream, as `#log('came')`; some add attributes.\n",
    },
];

/// All entries of a kind, in the order of the manual.
pub(super) fn entries(kind: Callable) -> Vec<Entry> {
    let library = Library::standard();
    let names = library.names(kind).into_iter();
    let entries = names.filter_map(|name| {
        let signature = match kind {
            Callable::Function => library.function(name),
            Callable::Aggregator => library.aggregator(name),
            Callable::Window => library.window(name),
            Callable::StreamFunction => library.stream_function(name),
        }?;
        let section = section(kind, signature);
        Some(Entry { name: signature.name, section, summary: signature.summary })
    });
    entries.collect()
}

fn section(kind: Callable, signature: &Signature) -> String {
    let Signature { name, summary, overloads, example, .. } = signature;
    let mut out = format!("### {name}\n\n{summary}\n\n```text\n");
    for overload in *overloads {
        out.push_str(&usage(kind, name, overload));
    }
    out.push_str("```\n");
    let mut parameters: Vec<&Parameter> = Vec::new();
    for parameter in overloads.iter().flat_map(|overload| overload.parameters) {
        let known = parameters
            .iter()
            .any(|known| known.name == parameter.name && known.types == parameter.types);
        if !known {
            parameters.push(parameter);
        }
    }
    if !parameters.is_empty() {
        out.push_str("\n| argument | types | what may stand there |\n");
        out.push_str("|----------|-------|----------------------|\n");
    }
    for parameter in parameters {
        let form = match parameter.form {
            Form::Any => "any expression",
            Form::Constant => "a constant",
            Form::Attribute => "an attribute",
        };
        out.push_str(&format!("| `{}` | {} | {form} |\n", parameter.name, types(parameter.types)));
    }
    out.push_str(&format!("\n```sql\n{}\n```\n", example.trim()));
    out
}

fn usage(kind: Callable, name: &str, overload: &Overload) -> String {
    let parameters: Vec<String> = overload
        .parameters
        .iter()
        .map(|parameter| match parameter.count {
            Count::One => parameter.name.to_owned(),
            Count::Optional => format!("[{}]", parameter.name),
            Count::Many => format!("[{} ...]", parameter.name),
        })
        .collect();
    let call = format!("{name}({})", parameters.join(", "));
    match kind {
        Callable::Function | Callable::Aggregator => {
            format!("{call} → {}\n", returned(overload))
        }
        Callable::Window => format!("#window.{call}\n"),
        Callable::StreamFunction => format!("#{call}\n"),
    }
}

fn returned(overload: &Overload) -> String {
    let named = |place: usize| overload.parameters.get(place).map_or("it", |each| each.name);
    match overload.returns {
        Returns::Type(ty) => ty.name().to_owned(),
        Returns::Argument(place) | Returns::Same(place) => format!("the type of {}", named(place)),
        Returns::Widest => "the widest type".to_owned(),
        Returns::Named(place) | Returns::Relabelled(_, place) => {
            format!("what {} names", named(place))
        }
    }
}

fn types(types: &[DataType]) -> String {
    if types.len() == DataType::ALL.len() {
        return "any".to_owned();
    }
    types.iter().map(|ty| ty.name()).collect::<Vec<_>>().join(", ")
}
