//! Which columns somebody reads, at each place of a query: what nobody reads is neither copied nor
//! kept.

use crate::engine::library::Library;
use crate::event::DataType;
use crate::plan::aggregation::Buckets;
use crate::plan::expression::Expr;
use crate::plan::logical::Query;
use crate::plan::logical::Selection;
use crate::plan::logical::Stage;
use crate::plan::signature::Trait;

/// The columns that are read before each stage, and after the last; and those that are read of rows
/// which leave windows.
pub fn kept(
    query: &Query,
    stages: &[Stage],
    types: &[Vec<DataType>],
    library: &Library,
) -> (Vec<Vec<bool>>, Vec<Vec<bool>>) {
    let needs = of_rows(&query.selection, stages, types, library);
    let leaving = match query.events.expired() {
        true => needs.clone(),
        false => of_expired_rows(&query.selection, stages, types, library),
    };
    (needs, leaving)
}

/// The columns that are read before each stage, and after the last. `types` are those of the
/// columns at the same places.
pub fn of_rows(
    selection: &Selection,
    stages: &[Stage],
    types: &[Vec<DataType>],
    library: &Library,
) -> Vec<Vec<bool>> {
    let sorted = selection.order_by.iter().map(|(key, _)| key);
    let read =
        taken_back(selection).chain(&selection.outputs).chain(&selection.having).chain(sorted);
    before_each(read, stages, types, library)
}

/// The same of expired rows, where the query does not put them out.
fn of_expired_rows(
    selection: &Selection,
    stages: &[Stage],
    types: &[Vec<DataType>],
    library: &Library,
) -> Vec<Vec<bool>> {
    before_each(taken_back(selection), stages, types, library)
}

/// What aggregates read of a row that they take back.
fn taken_back(selection: &Selection) -> impl Iterator<Item = &Expr> {
    let arguments = selection.aggregates.iter().flat_map(|call| &call.arguments);
    arguments.chain(&selection.group_by)
}

fn before_each<'a>(
    read: impl Iterator<Item = &'a Expr>,
    stages: &[Stage],
    types: &[Vec<DataType>],
    library: &Library,
) -> Vec<Vec<bool>> {
    let mut needed = vec![false; types[stages.len()].len()];
    mark(read, &mut needed);
    let mut all = vec![needed];
    for (place, stage) in stages.iter().enumerate().rev() {
        let mut needed = all[all.len() - 1].clone();
        if let Stage::Window(call) = stage {
            // A window reads its own rows again, so that what it reads must be kept by it too.
            mark(call.arguments.iter(), &mut needed);
            if library.window_has(&call.name, Trait::ReadsAll) {
                needed.fill(true);
            }
            *all.last_mut().expect("begun with one") = needed.clone();
        }
        needed.truncate(types[place].len());
        match stage {
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
