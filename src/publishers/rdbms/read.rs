//! What a table of a store has: all rows before the plan's own changes reach it, and those that an
//! on-demand query of an external table asks for.

use crate::event::Batch;
use crate::language::diagnostic::Diagnostic;
use crate::mappers::options::Options;
use crate::plan::outside::Wanted;
use crate::publishers::Setup;
use crate::publishers::rdbms::TABLE;
use crate::publishers::rdbms::errands::find;
use crate::publishers::rdbms::options;
use crate::publishers::rdbms::store;
use crate::publishers::rdbms::table;
use crate::store::Kind;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::Table;

/// Makes or checks the table of a `@store` and reads its rows in order of their key, in pieces, as
/// columns of the plan's table; for one without primary key, then the numbers of the rows.
///
/// # Errors
/// What the store says; pieces before that may have been taken.
pub fn read_table(
    setup: &Setup<'_>,
    mut take: impl FnMut(Batch) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (store, table) = place(setup)?;
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

/// What a store may give for one query.
#[derive(Debug, Clone, Copy)]
pub struct Most {
    /// Rows.
    pub rows: usize,
    /// Bytes of them.
    pub bytes: usize,
}

/// The rows of an external table that are wanted, and maybe others; `None` if they are more than
/// may be. A table that is not there yet has none.
///
/// # Errors
/// What the store says: of one that does not fit, what is in the way.
pub fn find_rows(
    setup: &Setup<'_>,
    wanted: &Wanted,
    most: Most,
) -> Result<Option<Batch>, StoreError> {
    let (store, table) = place(setup)?;
    let mut session = store.session()?;
    match find(&mut session, &table, wanted, most) {
        // Whether the table is to blame, and what of it, is told better by looking at it.
        Err(error) if error.kind == Kind::Refused => {
            if !session.has_table(&table.name)? {
                return Ok(Some(Batch::new(&table.schema.types())));
            }
            session.make_or_check(&table)?;
            find(&mut session, &table, wanted, most)
        }
        found => found,
    }
}

/// The store that a `@store` names, and the table there.
fn place(setup: &Setup<'_>) -> Result<(Store, Table), StoreError> {
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
    Ok((store, table(place)))
}
