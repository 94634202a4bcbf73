//! The rows that the store of a table had before the plan came to it: read beside the plan, and
//! ordered as entries of its log before anything else is.
//!
//! Only who orders reads. If another node takes over in the middle it reads anew, and its first
//! piece says that what was loaded before counts for nothing.

use std::fmt;
use std::sync::Arc;

use crossbeam_channel::Receiver;
use crossbeam_channel::TryRecvError;
use tracing::info;

use crate::actors::plan::Desk;
use crate::actors::plan::PublisherEnd;
use crate::actors::plan::Stuck;
use crate::actors::plan::Switch;
use crate::actors::plan::Told;
use crate::actors::plan::Version;
use crate::engine::core::stored::columns_in_store;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Text;
use crate::plan::logical::Plan;
use crate::plan::logical::TableId;
use crate::plan::outside::Wanted;
use crate::publishers::Most;
use crate::replica::Body;
use crate::store::StoreError;

/// What a reader says of a table.
#[derive(Debug)]
pub enum Reading {
    /// Some of its rows, in columns of the table's and, without primary key, the rows' numbers.
    Rows(Batch),
    /// There are no more.
    End,
    /// The store was lost: all that came before counts for nothing, and comes again.
    Anew,
}

/// Reads what stores have of the tables of a plan.
pub trait TableReader: Send + Sync {
    /// Begins to read a table, in a thread that ends when nobody listens any more. It waits for a
    /// store that cannot be reached; pieces are bounded.
    fn begin(&self, plan: &Plan, table: TableId) -> Receiver<Reading>;
    /// Finds rows of an external table; `None` if they are more than may be. Blocks, and does not
    /// wait for a store that cannot be reached.
    ///
    /// # Errors
    /// What the store says.
    fn find(
        &self,
        plan: &Plan,
        table: TableId,
        wanted: &Wanted,
        most: Most,
    ) -> Result<Option<Batch>, StoreError>;
}

/// Where the first load of tables stands.
#[derive(Default)]
pub struct Loading {
    /// Who reads; without one every store is empty.
    reader: Option<Arc<dyn TableReader>>,
    /// Ways into stores of versions before; what they have still to write comes first.
    before: Vec<Arc<PublisherEnd>>,
    at_hand: Option<AtHand>,
}

struct AtHand {
    /// The version that has the table.
    version: u64,
    table: Text,
    pieces: Receiver<Reading>,
    types: Vec<DataType>,
    rows: u64,
    /// Whether a piece was ordered.
    is_begun: bool,
    /// Whether the last one was.
    is_over: bool,
    /// Whether whoever reads has fallen.
    is_lost: bool,
}

impl Loading {
    /// Who reads what stores have.
    pub(super) fn reader(&self) -> Option<Arc<dyn TableReader>> {
        self.reader.clone()
    }
}

impl Desk {
    /// Tables that are kept in stores are read by this from now on.
    pub fn read_stores_by(&mut self, reader: Arc<dyn TableReader>) {
        self.loading.reader = Some(reader);
    }

    /// No store is asked for its rows before these ways out, which a new version goes without, have
    /// nothing left: it may be on its way to that store.
    pub fn load_after(&mut self, ends: impl IntoIterator<Item = Arc<PublisherEnd>>) {
        self.loading.before.retain(|end| !end.is_done());
        self.loading.before.extend(ends);
    }

    /// A new version takes over from one that waits for its stores, and waits for nothing: what is
    /// in the inbox before it has not been looked at by anybody.
    ///
    /// # Errors
    /// The version is handed back if the plan does not wait for its stores.
    pub fn switch_while_loading(&mut self, switch: Switch) -> Result<(), Switch> {
        let is_at_work = self.applied_number() == self.ordering.number;
        if !is_at_work || !self.must_load() || !self.orders() {
            return Err(switch);
        }
        self.stop_loading();
        self.take_switch(switch, None);
        Ok(())
    }

    pub(super) fn applied_number(&self) -> u64 {
        self.replica.deployment().map_or(0, |deployment| deployment.number)
    }

    /// Whether rows of stores must come before anything else is ordered.
    #[must_use]
    pub fn must_load(&self) -> bool {
        let is_kept = |version: &Version| version.plan.tables.iter().any(|t| t.changes.is_some());
        if !is_kept(&self.ordering) {
            return false;
        }
        self.applied_number() < self.ordering.number || !self.replica.unloaded().is_empty()
    }

    /// Orders rows of stores that have come; `false` if none have.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn load(&mut self) -> Result<bool, Stuck> {
        let unloaded = self.replica.unloaded();
        // The version that has the table may not be at work yet.
        let is_at_work = self.applied_number() == self.ordering.number;
        let Some(next) = unloaded.first().filter(|_| is_at_work) else {
            return self.flush().map(|()| false);
        };
        let version = self.applied_number();
        self.loading
            .at_hand
            .take_if(|of| of.is_lost || of.version != version || !unloaded.contains(&of.table));
        if self.loading.at_hand.is_none() {
            self.loading.before.retain(|end| !end.is_done());
            if !self.loading.before.is_empty() || self.writes_to(next) {
                // What they give up or were answered has to be safe before they are done.
                self.order_letters();
                return self.flush().map(|()| false);
            }
            self.loading.at_hand = self.begin_reading(next);
        }
        let mut has_ordered = false;
        while self.ledger.has_room()
            && let Some(at_hand) = &mut self.loading.at_hand
            && let Some(body) = at_hand.next()
        {
            if at_hand.is_over {
                let (plan, table, rows) = (&self.version.name, &*at_hand.table, at_hand.rows);
                info!(%plan, table, rows, "the rows of the table's store are read");
            }
            has_ordered = true;
            self.order(body, Told::Nobody, None);
        }
        self.flush()?;
        Ok(has_ordered)
    }

    /// Whether changes of a table are on their way that were made before it was defined as it is
    /// now, and before this process began.
    fn writes_to(&self, table: &Text) -> bool {
        let name = format!("store:{table}");
        let mut ends = self.version.streams.iter().flat_map(|front| &front.publishers);
        ends.any(|end| end.name == name && !end.is_done())
    }

    /// What was begun is for nothing: another node orders now.
    pub(super) fn stop_loading(&mut self) {
        self.loading.at_hand = None;
    }

    fn begin_reading(&self, table: &Text) -> Option<AtHand> {
        let plan = self.replica.plan()?;
        let id = plan.tables.iter().position(|known| known.name == *table)?;
        let pieces = match &self.loading.reader {
            Some(reader) => reader.begin(plan, id),
            None => {
                let (sender, pieces) = crossbeam_channel::bounded(1);
                // There is room for it.
                let _ = sender.try_send(Reading::End);
                pieces
            }
        };
        let (table, types) = (table.clone(), columns_in_store(plan, id));
        Some(AtHand {
            version: self.applied_number(),
            table,
            types,
            pieces,
            rows: 0,
            is_begun: false,
            is_over: false,
            is_lost: false,
        })
    }
}

impl AtHand {
    /// The next piece as an entry, if one has come.
    fn next(&mut self) -> Option<Body> {
        if self.is_over {
            return None;
        }
        let batch = match self.pieces.try_recv() {
            Ok(Reading::Rows(batch)) => batch,
            Ok(Reading::Anew) => {
                (self.rows, self.is_begun) = (0, false);
                return self.next();
            }
            Ok(Reading::End) => {
                self.is_over = true;
                Batch::new(&self.types)
            }
            Err(TryRecvError::Disconnected) => {
                self.is_lost = true;
                return None;
            }
            Err(TryRecvError::Empty) => return None,
        };
        self.rows += batch.len() as u64;
        let is_first = !std::mem::replace(&mut self.is_begun, true);
        Some(Body::Load { table: self.table.clone(), is_first, is_last: self.is_over, batch })
    }
}

impl fmt::Debug for Loading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.at_hand.as_ref().map(|at_hand| &at_hand.table);
        f.debug_struct("Loading").field("table", &table).finish_non_exhaustive()
    }
}
