//! Steps written `#name(…)` that look at rows or add columns.
//!
//! To add one: a file with a `DEFINITION`, and its line in [`ALL`].

mod accuracy;
mod akslack;
mod closest_points;
mod deduplicate;
mod extremes;
mod kslack;
mod least_squares;
mod log;
mod moves;
mod neighbours;
mod pol2_cart;
mod precise;
mod regress;
mod slack;
#[cfg(test)]
mod testing;
mod tokenize;

use crate::engine::library::Library;
use crate::engine::operator::Operator;
use crate::event::DataType;
use crate::plan::expression::Expr;
use crate::plan::logical::FunctionCall;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Signature;

/// A stream function by name.
pub struct StreamFunctionDefinition {
    /// Name, sentence, parameters, example.
    pub signature: Signature,
    /// The columns it appends, by the arguments.
    pub added: fn(&[Expr]) -> &'static [(&'static str, DataType)],
    /// Makes the step, or says which argument it cannot take.
    pub build: BuildStep,
}

/// Makes a step of a call; conditions in it are compiled with the functions of the library.
pub type BuildStep = fn(&FunctionCall, &Library) -> Result<Box<dyn Operator>, ArgumentFault>;

/// All stream functions, in the order of the manual.
pub const ALL: &[&StreamFunctionDefinition] = &[
    &log::DEFINITION,
    &pol2_cart::DEFINITION,
    &tokenize::OF_TEXT,
    &tokenize::OF_LIST,
    &tokenize::OF_MAP,
    &tokenize::OF_JSON_TEXT,
    &tokenize::OF_JSON_OBJECT,
    &kslack::DEFINITION,
    &akslack::DEFINITION,
    &deduplicate::DEFINITION,
    &regress::OF_ROWS,
    &regress::FORECAST_OF_ROWS,
    &regress::OUTLIER_OF_ROWS,
    &regress::OF_TIME,
    &regress::FORECAST_OF_TIME,
    &regress::OUTLIER_OF_TIME,
    &extremes::BY_KALMAN,
    &extremes::BY_KERNEL,
    &closest_points::DEFINITION,
    &moves::CROSSES,
    &moves::STATIONARY,
    &moves::PROXIMITY,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// A definition opens with a line of documentation, "`name(…)`". One that is written but not
    /// listed would be unknown to plans and to the manual.
    #[test]
    fn every_definition_is_listed() {
        let mut written = Vec::new();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine/stream_functions");
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
