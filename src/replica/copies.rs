//! Events that come on both nodes of a pair from outside: which rows are copies, and are left out.
//!
//! A receiver of each node brings every event, so each comes twice. Where the receiver names an
//! attribute by which events are known, a row whose value is remembered is a copy, whichever node
//! brought it. Else a row of one node is the copy of the oldest equal one that the other node
//! brought and that has found no copy yet: so two equal events stay two.
//!
//! Rows are remembered for a time, counted in the times at which the same node brings later ones,
//! and in a bounded number: a node that is away may come late, but not for ever.

use std::collections::BTreeMap;

use crate::engine::state::Frozen;
use crate::engine::state::LoadError;
use crate::engine::state::SavedState;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::Bits;
use crate::event::Millis;
use crate::event::Text;
use crate::replica::Body;
use crate::replica::Copied;
use crate::replica::Replica;
use crate::replica::memory::Memory;

/// The section in saved state.
const SECTION: &str = "copies";
/// Its version.
const VERSION: u16 = 1;

/// A receiver, and by which attribute its events are known; `None`: by all of them.
type Key = (Text, Option<u32>);

/// What is remembered of events that may come again.
#[derive(Debug, Default)]
pub struct Copies {
    memories: BTreeMap<Key, Memory>,
    /// How many rows of each stream were left out since that was asked last.
    left_out: BTreeMap<Text, u64>,
}

impl Copies {
    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.memories.is_empty()
    }

    /// Leaves out of rows that are brought now, by the log's time, what came before, and remembers
    /// the rest. What is left comes once; where nothing is, only time passes.
    pub fn sift(&mut self, now: Millis, body: &mut Body) {
        let Body::Rows { stream, copied, batch, .. } = body else { return };
        let Some(of) = copied.take() else { return };
        let rows = batch.len();
        self.leave_out(now, &of, batch);
        let count = (rows - batch.len()) as u64;
        if count > 0 {
            *self.left_out.entry(stream.clone()).or_default() += count;
        }
        if batch.is_empty() {
            *body = Body::Tick;
        }
    }

    /// How many rows of each stream were left out since the last asking.
    pub fn take_left_out(&mut self) -> BTreeMap<Text, u64> {
        std::mem::take(&mut self.left_out)
    }

    fn leave_out(&mut self, now: Millis, of: &Copied, batch: &mut Batch) {
        let mut copies = Bits::new();
        let named = |row: usize| of.id.is_some_and(|id| !is_null(batch, id, row));
        if of.id.is_some() {
            let rows = (0..batch.len()).filter(|row| named(*row));
            self.bring(now, of, of.id, (batch, rows), &mut copies);
        }
        // Alone, no equal row can be another node's.
        if !of.node.is_empty() {
            let rows = (0..batch.len()).filter(|row| !named(*row));
            self.bring(now, of, None, (batch, rows), &mut copies);
        }
        if copies.any() {
            *batch = without(batch, &copies);
        }
    }

    fn bring(
        &mut self,
        now: Millis,
        of: &Copied,
        id: Option<u32>,
        (batch, rows): (&Batch, impl Iterator<Item = usize>),
        copies: &mut Bits,
    ) {
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            return;
        }
        let key = (of.receiver.clone(), id);
        let memory = self.memories.entry(key).or_insert_with(|| Memory::new(batch, id));
        if !memory.fits(batch) {
            // Another version of the plan gives the stream other attributes.
            *memory = Memory::new(batch, id);
        }
        memory.bring(now, of, (batch, rows), copies);
    }

    /// Whether a node's receiver would bring again what the other node has brought and nobody
    /// remembers, if it went on where it was. Then it may pass over all that waits for it: its last
    /// event was one of both, and from there on the other node misses none.
    #[must_use]
    pub fn is_passed(&self, receiver: &str, node: &str) -> bool {
        let of_receiver = |(key, _): &(&Key, &Memory)| *key.0 == *receiver;
        let mut memories = self.memories.iter().filter(of_receiver).map(|(_, memory)| memory);
        memories.any(|memory| memory.is_passed(node))
    }

    /// Forgets receivers that are not there any more.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.memories.retain(|(receiver, _), _| is_there(receiver));
    }

    /// The state as it stands.
    #[must_use]
    pub fn freeze(&self) -> Frozen {
        let mut state = StateWriter::default();
        state.section(SECTION, VERSION);
        state.put(&(self.memories.len() as u32));
        for ((receiver, id), memory) in &self.memories {
            state.put(receiver);
            state.put(id);
            memory.save(&mut state);
        }
        state.freeze()
    }

    /// What [`Copies::freeze`] gave, from its bytes.
    ///
    /// # Errors
    /// If they are damaged or of a newer version.
    pub fn load(bytes: &[u8]) -> Result<Self, LoadError> {
        let saved = SavedState::parse(bytes)?;
        let mut state = saved.section(SECTION, VERSION)?;
        let mut memories = BTreeMap::new();
        for _ in 0..state.get::<u32>()? {
            let receiver: Text = state.get()?;
            let id: Option<u32> = state.get()?;
            let memory = Memory::load(&mut state, id)?;
            memories.insert((receiver, id), memory);
        }
        let left_out = BTreeMap::new();
        if state.is_at_end() { Ok(Self { memories, left_out }) } else { Err(LoadError::Malformed) }
    }
}

impl Replica {
    /// Whether the receiver of a node would bring again what the other node has brought and nobody
    /// remembers, if it went on where it was: then all that waits for it was, or will be, brought.
    #[must_use]
    pub fn is_passed(&self, receiver: &str, node: &str) -> bool {
        self.copies.is_passed(receiver, node)
    }

    /// How many rows of each stream were left out as copies since the last asking.
    pub fn take_left_out(&mut self) -> BTreeMap<Text, u64> {
        self.copies.take_left_out()
    }
}

fn is_null(batch: &Batch, column: u32, row: usize) -> bool {
    batch.columns.get(column as usize).is_none_or(|column| column.is_null(row))
}

/// The rows of a batch that are not named; what is left of a send stays a send.
fn without(batch: &Batch, named: &Bits) -> Batch {
    let rows: Vec<u32> = (0..batch.len() as u32).filter(|row| !named.get(*row as usize)).collect();
    let mut left = batch.empty_like(rows.len());
    left.gather(batch, &rows);
    for (place, pair) in rows.windows(2).enumerate() {
        if (pair[0]..pair[1]).all(|row| batch.send_continues.get(row as usize)) {
            left.send_continues.set(place);
        }
    }
    left
}
