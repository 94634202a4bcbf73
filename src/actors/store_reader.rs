//! Reads what the stores of a node have of a plan's tables: all of one before the plan's own
//! changes reach it, each in a thread of its own, and what a query asks for.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::Receiver;
use crossbeam_channel::SendTimeoutError;
use crossbeam_channel::Sender;
use tracing::info;
use tracing::warn;

use crate::actors::edges::Ports;
use crate::actors::plan::Reading;
use crate::actors::plan::TableReader;
use crate::actors::tree::Voice;
use crate::event::Batch;
use crate::event::Schema;
use crate::event::Text;
use crate::plan::logical::Endpoint;
use crate::plan::logical::Plan;
use crate::plan::logical::Role;
use crate::plan::logical::TableId;
use crate::plan::outside::Wanted;
use crate::publishers;
use crate::publishers::Most;
use crate::publishers::Setup;
use crate::store::Kind;
use crate::store::StoreError;

/// Pieces that may wait for the plan.
const PIECES: usize = 16;
/// How long it waits before it tries a store again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long it waits for room before it looks whether somebody still listens.
const ROOM: Duration = Duration::from_secs(1);

/// Reads tables for one plan.
pub struct StoreReader {
    plan: Arc<str>,
    ports: Ports,
    voice: Voice,
}

/// What is read for one table.
struct Job {
    plan: Arc<str>,
    table: Text,
    schema: Schema,
    endpoint: Endpoint,
    ports: Ports,
    voice: Voice,
    pieces: Sender<Reading>,
}

impl StoreReader {
    /// A reader for this plan, which says what it waits for.
    #[must_use]
    pub fn new(plan: &Arc<str>, ports: &Ports, voice: Voice) -> Self {
        Self { plan: Arc::clone(plan), ports: ports.clone(), voice }
    }
}

impl TableReader for StoreReader {
    fn begin(&self, plan: &Plan, table: TableId) -> Receiver<Reading> {
        let (pieces, receiver) = crossbeam_channel::bounded(PIECES);
        let known = &plan.tables[table];
        let changes = known.changes.map(|stream| &plan.streams[stream]);
        if let Some(changes) = changes
            && let Some(endpoint) = &changes.store
        {
            let job = Job {
                plan: Arc::clone(&self.plan),
                table: known.name.clone(),
                schema: changes.schema.clone(),
                endpoint: endpoint.clone(),
                ports: self.ports.clone(),
                voice: self.voice.clone(),
                pieces,
            };
            let begun = thread::Builder::new().name("store-reader".to_owned()).spawn(|| job.run());
            if let Err(error) = begun {
                warn!(plan = %self.plan, %error, "no thread to read a store; it is tried again");
            }
        }
        receiver
    }

    fn find(
        &self,
        plan: &Plan,
        table: TableId,
        wanted: &Wanted,
        most: Most,
    ) -> Result<Option<Batch>, StoreError> {
        let known = &plan.tables[table];
        let errands = known.changes.map(|stream| &plan.streams[stream]);
        let endpoint = errands.and_then(|errands| Some((errands, errands.store.as_ref()?)));
        let Some((errands, endpoint)) = endpoint else {
            return Err(StoreError::refused("the table is not kept in a store"));
        };
        let setup = Setup {
            plan: &self.plan,
            stream: &known.name,
            schema: &errands.schema,
            endpoint,
            role: Role::Errands,
            topics: &self.ports.topics,
            stores: Some(&self.ports.stores),
        };
        publishers::find_rows(&setup, wanted, most)
    }
}

impl Job {
    /// Reads until it has gone well, or nobody listens.
    fn run(self) {
        let (plan, table) = (&self.plan, &*self.table);
        let mut reason = String::new();
        while let Err(error) = self.read() {
            if self.tell(Reading::Anew).is_err() {
                self.voice.say(String::new());
                return;
            }
            if reason != error.message {
                reason.clone_from(&error.message);
                let what = match error.may_pass() {
                    true => "the plan waits for the store of a table",
                    false => "the plan waits until the store of a table fits it",
                };
                warn!(%plan, table, %error, "{what}");
                self.voice.say(format!("waits for table {table}: {error}"));
            }
            thread::sleep(AGAIN);
        }
        if !reason.is_empty() {
            self.voice.say(String::new());
            info!(%plan, table, "the store of the table is read");
        }
        // Whoever listened may be gone by now.
        let _ = self.tell(Reading::End);
    }

    fn read(&self) -> Result<(), StoreError> {
        let setup = Setup {
            plan: &self.plan,
            stream: &self.table,
            schema: &self.schema,
            endpoint: &self.endpoint,
            role: Role::Changes,
            topics: &self.ports.topics,
            stores: Some(&self.ports.stores),
        };
        publishers::read_table(&setup, |rows| self.tell(Reading::Rows(rows)))
    }

    /// Hands a piece over; waits while there is no room.
    fn tell(&self, mut piece: Reading) -> Result<(), StoreError> {
        loop {
            match self.pieces.send_timeout(piece, ROOM) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Timeout(back)) => piece = back,
                Err(SendTimeoutError::Disconnected(_)) => {
                    return Err(StoreError::new(Kind::Lost, "nobody listens any more"));
                }
            }
        }
    }
}
