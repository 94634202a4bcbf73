//! Which columns somebody reads, at each place of a query: what nobody reads is neither copied nor
//! kept.

use crate::engine::library::Library;
use crate::event::DataType;
use crate::plan::aggregation::Buckets;
use crate::plan::expression::Expr;
use crate::plan::logical::Findable;
use crate::plan::logical::Lookup;
use crate::plan::logical::Port;
use crate::plan::logical::Query;
use crate::plan::logical::Selection;
use crate::plan::logical::Stage;
use crate::plan::outside::external_ins;
use crate::plan::signature::Trait;

/// The columns of a port that are read before each stage, and after the last; and those that are
/// read of rows which leave windows. `types` are those of the columns at the same places.
pub fn kept(
    query: &Query,
    port: usize,
    types: &[Vec<DataType>],
    library: &Library,
) -> (Vec<Vec<bool>>, Vec<Vec<bool>>) {
    let needs = of_rows(query, port, types, library, true);
    let leaving = match query.events.expired() {
        true => needs.clone(),
        false => of_rows(query, port, types, library, false),
    };
    (needs, leaving)
}

/// The columns that are read before each stage of rows that are `put_out`, or of those that only
/// aggregates see.
fn of_rows(
    query: &Query,
    port: usize,
    types: &[Vec<DataType>],
    library: &Library,
    put_out: bool,
) -> Vec<Vec<bool>> {
    let Port { stages, is_silent, .. } = &query.ports[port];
    let selection = &query.selection;
    let mut needed = vec![false; types[stages.len()].len()];
    if !is_silent {
        mark(taken_back(selection), &mut needed);
    }
    if !is_silent && put_out {
        let sorted = selection.order_by.iter().map(|(key, _)| key);
        mark(selection.outputs.iter().chain(&selection.having).chain(sorted), &mut needed);
    }
    let found = query.lookup_into(port).map(|lookup| found_by(lookup, selection));
    before_each(needed, found.as_deref(), stages, types, library)
}

/// Which columns a look-up reads of what it finds.
fn found_by(lookup: &Lookup, selection: &Selection) -> Vec<bool> {
    let mut all = vec![false; lookup.width + lookup.types.len()];
    let sorted = selection.order_by.iter().map(|(key, _)| key);
    let read =
        taken_back(selection).chain(&selection.outputs).chain(&selection.having).chain(sorted);
    mark(read, &mut all);
    let mut found = all[lookup.found_base()..][..lookup.types.len()].to_vec();
    let mut asked = vec![false; lookup.width + lookup.types.len()];
    mark(lookup.on.iter(), &mut asked);
    found.iter_mut().zip(&asked[lookup.width..]).for_each(|(found, asked)| *found |= asked);
    found
}

/// What aggregates read of a row that they take back.
fn taken_back(selection: &Selection) -> impl Iterator<Item = &Expr> {
    let arguments = selection.aggregates.iter().flat_map(|call| &call.arguments);
    arguments.chain(&selection.group_by)
}

fn before_each(
    needed: Vec<bool>,
    found: Option<&[bool]>,
    stages: &[Stage],
    types: &[Vec<DataType>],
    library: &Library,
) -> Vec<Vec<bool>> {
    let mut all = vec![needed];
    for (place, stage) in stages.iter().enumerate().rev() {
        let mut needed = all[all.len() - 1].clone();
        if let Stage::Window(call) = stage {
            // A window reads its own rows again, so that what it reads must be kept by it too; and
            // so must what others find there.
            mark(call.arguments.iter(), &mut needed);
            if library.window_has(&call.name, Trait::ReadsAll) {
                needed.fill(true);
            }
            let found = found.unwrap_or_default();
            needed.iter_mut().zip(found).for_each(|(needed, found)| *needed |= found);
            *all.last_mut().expect("begun with one") = needed.clone();
        }
        if let Stage::Lookup(lookup) = stage {
            needed.drain(..lookup.own_base());
        }
        needed.truncate(types[place].len());
        match stage {
            // A row that waits in vain goes to the fault stream, whole.
            Stage::Filter(condition) if !external_ins(condition).is_empty() => needed.fill(true),
            Stage::Lookup(Lookup { with: Findable::External(_), .. }) => needed.fill(true),
            Stage::Filter(condition) => mark(std::iter::once(condition), &mut needed),
            Stage::Window(_) => {}
            // A stream function may show the whole row.
            Stage::Function(_) => needed.fill(true),
            Stage::Lookup(lookup) => {
                let buckets = lookup.buckets.iter().flat_map(Buckets::exprs);
                mark(lookup.on.iter().chain(buckets), &mut needed);
            }
        }
        all.push(needed);
    }
    all.reverse();
    all
}

fn mark<'a>(exprs: impl Iterator<Item = &'a Expr>, needed: &mut [bool]) {
    let mut columns = Vec::new();
    exprs.for_each(|expr| expr.columns(&mut columns));
    for column in columns {
        // Columns beyond are aggregates, outputs or a table's.
        if let Some(needed) = needed.get_mut(column) {
            *needed = true;
        }
    }
}
