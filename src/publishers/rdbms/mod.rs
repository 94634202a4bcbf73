//! `rdbms`: rows of a stream, or the changes of a table, into a table of a store.
//!
//! Each row is written once: its number is kept in the store, in the same transaction as the row.
//! Many parcels share a transaction; none of them counts as having left before it is committed. A
//! store that is away is waited for.

#[cfg(feature = "node")]
mod batches;
#[cfg(feature = "node")]
mod errands;
#[cfg(feature = "node")]
mod gathering;
#[cfg_attr(not(feature = "node"), allow(dead_code, reason = "a node alone does what they say"))]
mod options;
#[cfg(feature = "node")]
mod read;
#[cfg(feature = "node")]
mod write;

#[cfg(feature = "node")]
#[cfg(test)]
mod tests;

pub use options::EVENTS;
pub use options::SINK;
pub use options::TABLE;
#[cfg(feature = "node")]
pub use read::Most;
#[cfg(feature = "node")]
pub use read::find_rows;
#[cfg(feature = "node")]
pub use read::read_table;

use crate::language::diagnostic::Diagnostic;
use crate::mappers::options::Options;
use crate::publishers::Parcel;
use crate::publishers::PublishError;
use crate::publishers::Publisher;
use crate::publishers::Setup;
use crate::publishers::rdbms::options::Job;
use crate::publishers::rdbms::options::Place;

/// Stands where a plan is only checked, and nobody knows the stores of the node that will run it.
#[derive(Debug)]
struct Nowhere;

impl Publisher for Nowhere {
    fn open(&mut self) -> Result<(), PublishError> {
        Err(PublishError::permanent("there are no stores here"))
    }

    fn publish(&mut self, _: &Parcel) -> Result<(), PublishError> {
        self.open()
    }
}

fn publisher(
    setup: &Setup<'_>,
    options: &Options,
    place: Place,
    job: Job,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Publisher>> {
    #[cfg(feature = "node")]
    if setup.stores.is_some() {
        let store = store(setup, options, faults)?;
        if let Job::Errands(cache) = job {
            let (name, table) = (setup.stream, table(place));
            let errands = errands::Errands::new(setup.plan, name, &table, cache);
            return Some(Box::new(gathering::Gathering::new(store, table, errands)));
        }
        let writing = write::Writing::new(setup.plan, job);
        return Some(Box::new(gathering::Gathering::new(store, table(place), writing)));
    }
    // A build without a node has no stores.
    let _ = (setup, options, place, job, faults);
    Some(Box::new(Nowhere))
}

/// The store that is named; a fault is appended where there is none.
#[cfg(feature = "node")]
fn store(
    setup: &Setup<'_>,
    options: &Options,
    faults: &mut Vec<Diagnostic>,
) -> Option<crate::store::Store> {
    use crate::language::suggest::closest;
    use crate::mappers::codes;
    use crate::mappers::options::list;
    let name = options.text("datasource")?;
    let stores = setup.stores?;
    if let Some(store) = stores.get(name) {
        return Some(store.clone());
    }
    let known: Vec<&str> = stores.names().collect();
    let text = format!("there is no store `{name}` in the settings of this node");
    let fault = Diagnostic::error(codes::OPTION_VALUE, options.place("datasource"), text);
    faults.push(match closest(name, known.iter().copied()) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault.help(format!("there are {}; add `[stores.{name}]`", list(&known))),
    });
    None
}

#[cfg(feature = "node")]
fn table(place: Place) -> crate::store::Table {
    let Place { name, schema, key, indexes, lengths } = place;
    crate::store::Table { name, schema, key, indexes, lengths }
}
