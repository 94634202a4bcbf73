//! One file an aggregator; takes in and takes back values, group by group.
//!
//! To add one: a file with a `DEFINITION`, and its line in [`ALL`].

mod average;
mod balance;
#[cfg(test)]
mod cases;
mod collected;
mod count;
mod deviation;
mod distinct_count;
mod extreme;
mod forever;
pub mod gathered;
mod group_concat;
mod logical;
mod number;
pub mod per_group;
mod percentile;
mod sum;
mod union_set;

use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Bits;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Kind;
use crate::plan::expression::Expr;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Signature;
use std::ops::Range;

/// Running values by group.
pub trait Aggregator: Send {
    /// Takes rows in order and appends to `output`, for each of them, the group's value after it: a
    /// current row's argument is taken in, an expired row's taken back. There are no reset rows.
    ///
    /// `arguments` hold at least `rows.end` rows; those of the group numbers are given in `rows`
    /// too.
    fn run(&mut self, rows: &AggregateRows<'_>, arguments: &[&Column], output: &mut Column);

    /// Sets groups back to nothing, after a reset or when a group's number is given to another key.
    fn reset(&mut self, groups: &[u32], forget: bool);

    /// Whether a group from which everything taken in was taken back is as if it had never been, so
    /// that it need not be kept.
    fn is_reversible(&self) -> bool {
        true
    }

    /// Whether it gains by knowing which rows are wanted, as its values are costly to make.
    fn is_lazy(&self) -> bool {
        false
    }

    /// Whether a group is as if it had never had a row. Where that is not known the groups of a
    /// join are kept.
    fn is_as_new(&self, group: u32) -> bool {
        let _ = group;
        false
    }

    /// Writes the state of all groups.
    fn save(&self, state: &mut StateWriter);

    /// Takes what [`Aggregator::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError>;
}

/// The rows an aggregator is to take.
pub struct AggregateRows<'a> {
    /// Which rows of the batch.
    pub range: Range<usize>,
    /// Each row's kind, by row of the batch; empty: all current.
    pub kinds: &'a [Kind],
    /// Each row's group, by row of the batch; empty: all of group 0.
    pub groups: &'a [u32],
    /// The rows whose value is read; `None`: all. What is given for others is of no account.
    pub wanted: Option<&'a Bits>,
}

impl AggregateRows<'_> {
    /// Whether the value of a row is read.
    pub fn is_wanted(&self, row: usize) -> bool {
        self.wanted.is_none_or(|wanted| wanted.get(row))
    }
}

/// An aggregator by name.
pub struct AggregatorDefinition {
    /// Name, sentence, parameters, example.
    pub signature: Signature,
    /// Makes the aggregator, or says which argument it cannot take.
    pub build: fn(&AggregatorSetup<'_>) -> Result<Box<dyn Aggregator>, ArgumentFault>,
}

/// What an aggregator is made from.
pub struct AggregatorSetup<'a> {
    /// The arguments, for their types and constants.
    pub arguments: &'a [Expr],
    /// The type of the result, by the signature.
    pub ty: DataType,
    /// Whether expired rows can come, so that values must be kept to be taken back.
    pub expired: bool,
    /// Whether every row that leaves has come before. Rows of a join may leave that never came, as
    /// the other side has changed since.
    pub balanced: bool,
}

/// All aggregators, in the order of the manual.
pub const ALL: &[&AggregatorDefinition] = &[
    &sum::DEFINITION,
    &average::DEFINITION,
    &count::DEFINITION,
    &extreme::MIN,
    &extreme::MAX,
    &forever::MIN_FOREVER,
    &forever::MAX_FOREVER,
    &deviation::DEFINITION,
    &distinct_count::DEFINITION,
    &logical::AND,
    &logical::OR,
    &union_set::DEFINITION,
    &group_concat::DEFINITION,
    &percentile::DEFINITION,
    &collected::LIST,
    &collected::LISTS,
    &collected::MAP,
    &collected::MAPS,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// A definition opens with a line of documentation, "`name(…)`". One that is written but not
    /// listed would be unknown to plans and to the manual.
    #[test]
    fn every_definition_is_listed() {
        let mut written = Vec::new();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine/aggregators");
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
