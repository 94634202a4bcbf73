//! `count()`: rows, whatever they hold.

use crate::engine::aggregators::AggregateRows;
use crate::engine::aggregators::Aggregator;
use crate::engine::aggregators::AggregatorDefinition;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Kind;
use crate::plan::signature::ANY;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;

/// `count()`
pub const DEFINITION: AggregatorDefinition = AggregatorDefinition {
    signature: Signature {
        name: "count",
        summary: "How many rows there are, also those whose argument is null.",
        traits: &[],
        overloads: &[Overload {
            parameters: &[Parameter::any("value", ANY).optional()],
            returns: Returns::Type(DataType::Long),
        }],
        example: "define stream Logins (user string, address string);
from Logins#window.time(1 min) select address, count() as logins group by address
insert into Activity;",
    },
    build: |_| Ok(Box::new(Counts { groups: Vec::new() })),
};

struct Counts {
    groups: Vec<i64>,
}

impl Aggregator for Counts {
    fn run(&mut self, rows: &AggregateRows<'_>, _: &[&Column], output: &mut Column) {
        let range = rows.range.clone();
        let kinds = rows.kinds.get(range.clone()).unwrap_or(&[]);
        let groups = rows.groups.get(range.clone()).unwrap_or(&[]);
        let most = groups.iter().copied().max().unwrap_or(0) as usize;
        if most >= self.groups.len() {
            self.groups.resize(most + 1, 0);
        }
        let output = output.longs_mut();
        let step = |kind: &Kind| if *kind == Kind::Expired { -1 } else { 1 };
        if groups.is_empty() {
            let count = &mut self.groups[0];
            if kinds.is_empty() {
                let before = *count;
                *count += range.len() as i64;
                output.extend(before + 1..=*count);
            } else {
                output.extend(kinds.iter().map(|kind| {
                    *count += step(kind);
                    *count
                }));
            }
        } else {
            output.extend(groups.iter().enumerate().map(|(place, &group)| {
                let count = &mut self.groups[group as usize];
                *count += kinds.get(place).map_or(1, step);
                *count
            }));
        }
    }

    fn reset(&mut self, groups: &[u32], _: bool) {
        for &group in groups {
            if let Some(count) = self.groups.get_mut(group as usize) {
                *count = 0;
            }
        }
    }

    fn is_as_new(&self, group: u32) -> bool {
        self.groups.get(group as usize).is_none_or(|&count| count == 0)
    }

    fn save(&self, state: &mut StateWriter) {
        state.put(&self.groups);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.groups = state.get()?;
        Ok(())
    }
}
