//! The rows that a table of a store has before the plan's own changes reach it.

use crate::event::Batch;
use crate::language::diagnostic::Diagnostic;
use crate::mappers::options::Options;
use crate::publishers::Setup;
use crate::publishers::rdbms::TABLE;
use crate::publishers::rdbms::options;
use crate::publishers::rdbms::store;
use crate::publishers::rdbms::table;
use crate::store::StoreError;

/// Makes or checks the table of a `@store` and reads its rows in order of their key, in pieces, as
/// columns of the plan's table; for one without primary key, then the numbers of the rows.
///
/// # Errors
/// What the store says; pieces before that may have been taken.
pub fn read_table(
    setup: &Setup<'_>,
    mut take: impl FnMut(Batch) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut faults = Vec::new();
    let (endpoint, span) = (setup.endpoint, setup.endpoint.span);
    let given = Options::read("store", TABLE.options, &endpoint.options, span, &mut faults);
    let place = options::place(setup, &given, &mut faults);
    let store = store(setup, &given, &mut faults);
    let told = |faults: &[Diagnostic]| {
        let messages: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
        StoreError::refused(messages.join("; "))
    };
    let (Some(place), Some(store), true) = (place, store, faults.is_empty()) else {
        return Err(told(&faults));
    };
    let table = table(place);
    let mut session = store.session()?;
    session.make_or_check(&table)?;
    let dialect = session.dialect();
    let name = |column: usize| dialect.quote(&table.schema.attributes[column].name);
    let columns: Vec<String> = (0..table.schema.len()).map(name).collect();
    let key: Vec<String> = table.key.iter().map(|&column| name(column)).collect();
    let sql = format!(
        "SELECT {} FROM {} ORDER BY {}",
        columns.join(", "),
        dialect.quote(&table.name),
        key.join(", ")
    );
    session.read(&sql, &[], &table.schema.types(), &mut take)
}
