//! Rows that wait for answers, in order, with what was found for them.

use crate::engine::context::Context;
use crate::engine::external::WAIT_MAX;
use crate::engine::external::WAITING_MAX;
use crate::engine::external::asking::Asking;
use crate::engine::external::asking::Pair;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Map;
use crate::event::Millis;
use crate::event::Slot;
use crate::event::Text;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::ops::Range;

/// For whom the queue is woken: rows of all keys of a partition wait in one queue, so it is the
/// number of none, and stays its own when a key is purged.
const ALL: Slot = Slot::MAX;
/// Rows that have left are kept at the front until there are so many of them.
const SPARE_MAX: usize = 4_096;

/// Why a row fails that finds no room.
pub(super) const TOO_MANY: &str = "too many rows wait for answers of the table's store";

/// What became of a question.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fate {
    /// It is open.
    Open,
    /// These rows were found.
    Found(Range<usize>),
    /// It failed.
    Failed(Text),
    /// Nothing was asked.
    Passed,
}

/// Rows that wait.
pub(super) struct Queue {
    /// How many questions each row asks.
    questions: usize,
    /// The rows, those before `start` have left.
    rows: Batch,
    start: usize,
    /// When each row came, and the number of its first question.
    asked: VecDeque<(Millis, u64)>,
    /// The questions of each row.
    fates: VecDeque<Fate>,
    /// What was found.
    found: Batch,
    /// For when it is to be woken.
    due: Option<Millis>,
}

impl Queue {
    /// No rows; each asks so many questions. `types` are those of the rows, `table` those of what
    /// is found.
    pub(super) fn new(questions: usize, types: &[DataType], table: &[DataType]) -> Queue {
        Queue {
            questions,
            rows: Batch::new(types),
            start: 0,
            asked: VecDeque::new(),
            fates: VecDeque::new(),
            found: Batch::new(table),
            due: None,
        }
    }

    /// How many rows wait.
    pub(super) fn len(&self) -> usize {
        self.asked.len()
    }

    /// How many more can.
    pub(super) fn room(&self) -> usize {
        WAITING_MAX.saturating_sub(self.len())
    }

    /// Row `row` of a batch waits from now on. Its first question has this number; `passes`: it
    /// asks nothing and only keeps its place.
    pub(super) fn put(&mut self, rows: &Batch, row: usize, number: u64, passes: bool, now: Millis) {
        self.rows.extend(rows, row, row + 1);
        self.asked.push_back((now, number));
        let fate = if passes { Fate::Passed } else { Fate::Open };
        self.fates.extend(std::iter::repeat_n(fate, self.questions));
    }

    /// The row put last is of one chunk with the one before it.
    pub(super) fn join_last(&mut self) {
        self.rows.continues.set(self.rows.len() - 2);
    }

    /// Wakes the step in time for the oldest open question, unless it is to be woken already. What
    /// was woken for is not open any more, so this is never a moment that has passed.
    pub(super) fn set_alarm(&mut self, context: &mut Context) {
        let Some(open) = self.fates.iter().position(|fate| *fate == Fate::Open) else { return };
        let due = self.asked[open / self.questions].0.saturating_add(WAIT_MAX);
        if self.due.is_none() {
            self.due = Some(due);
            context.wake_at(due, ALL);
        }
    }

    /// Questions that have been open for too long fail.
    pub(super) fn expire(&mut self, due: Millis) {
        self.due = None;
        let late = |&(at, _): &(Millis, u64)| at.saturating_add(WAIT_MAX) <= due;
        let rows = self.asked.iter().take_while(|asked| late(asked)).count();
        let reason = format!("no answer of the table's store came within {} s", WAIT_MAX / 1_000);
        let reason = Text::from(reason);
        for fate in self.fates.iter_mut().take(rows * self.questions) {
            if *fate == Fate::Open {
                *fate = Fate::Failed(reason.clone());
            }
        }
    }

    /// Takes what answers questions that are open here, and passes over all else.
    pub(super) fn take(&mut self, context: &Context) {
        let Some(answers) = context.answers.as_deref() else { return };
        // Rows that several questions found are kept once.
        let mut known: Map<Range<usize>, Range<usize>> = Map::default();
        for (number, rows) in answers.found() {
            let Some(fate) = self.question(number) else { continue };
            if *fate != Fate::Open {
                continue;
            }
            let fate_now = match &answers.failure {
                Some(reason) => Fate::Failed(reason.clone()),
                None => Fate::Found(copied(&answers.rows, rows, &mut self.found, &mut known)),
            };
            if let Some(fate) = self.question(number) {
                *fate = fate_now;
            }
        }
    }

    /// The question of this number, if it is asked here.
    fn question(&mut self, number: u64) -> Option<&mut Fate> {
        let row = self.asked.partition_point(|&(_, first)| first <= number).checked_sub(1)?;
        let place = usize::try_from(number - self.asked[row].1).ok()?;
        if place >= self.questions {
            return None;
        }
        self.fates.get_mut(row * self.questions + place)
    }

    /// How many rows at the front have all their answers; where `whole`, rows of a chunk leave
    /// together.
    pub(super) fn ready(&self, whole: bool) -> usize {
        let open = self.fates.iter().position(|fate| *fate == Fate::Open);
        let mut ready = open.map_or(self.len(), |place| place / self.questions);
        while whole && ready > 0 && self.rows.chunk_continues(self.start + ready - 1) {
            ready -= 1;
        }
        ready
    }

    /// The rows with the place of the first that waits.
    pub(super) fn rows(&self) -> (&Batch, usize) {
        (&self.rows, self.start)
    }

    /// The end of the chunk at the front, counted in rows that wait.
    pub(super) fn first_chunk(&self) -> usize {
        self.rows.chunk_end(self.start).min(self.rows.len()) - self.start
    }

    /// What rows at the front found that counts as an answer to a question of each. `failed` has a
    /// place for each of these rows: those that fail are marked there and told to the context.
    pub(super) fn pairs(
        &self,
        question: usize,
        asking: &mut Asking,
        failed: &mut [bool],
        context: &mut Context,
    ) -> Vec<Pair> {
        let (mut pairs, ready) = (Vec::new(), failed.len());
        let mut fail = |row: usize, reason, context: &mut Context| {
            if !std::mem::replace(&mut failed[row], true) {
                context.failed.push(&self.rows, self.start + row, reason);
            }
        };
        let fates = self.fates.iter().skip(question).step_by(self.questions);
        for (row, fate) in fates.take(ready).enumerate() {
            let asking = (self.start + row) as u32;
            match fate {
                Fate::Found(found) => {
                    pairs.extend(found.clone().map(|found| Pair { asking, found: found as u32 }));
                }
                Fate::Failed(reason) => fail(row, reason.clone(), context),
                Fate::Open | Fate::Passed => {}
            }
        }
        for (row, reason) in asking.keep(&mut pairs, &self.rows, &self.found, context) {
            fail(row as usize - self.start, reason, context);
        }
        pairs
    }

    /// Adds the keys of rows that wait.
    pub(super) fn keys(&self, keys: &mut BTreeSet<Slot>) {
        keys.extend((self.start..self.rows.len()).map(|row| self.rows.slot(row)));
    }

    /// All that was found.
    pub(super) fn found(&self) -> &Batch {
        &self.found
    }

    /// So many rows at the front have left.
    pub(super) fn leave(&mut self, rows: usize) {
        self.start += rows;
        self.asked.drain(..rows);
        self.fates.drain(..rows * self.questions);
        if self.asked.is_empty() {
            self.rows.clear();
            self.found.clear();
            self.start = 0;
        } else if self.start >= SPARE_MAX && self.start * 2 > self.rows.len() {
            self.pack();
        }
    }

    /// Forgets the rows that have left.
    fn pack(&mut self) {
        let (rows, fates, found) = self.packed();
        (self.rows, self.start) = (rows, 0);
        (self.fates, self.found) = (fates.into(), found);
    }

    /// The rows that wait, what became of their questions, and what was found for these: the same
    /// whatever has left before.
    fn packed(&self) -> (Batch, Vec<Fate>, Batch) {
        let mut rows = self.rows.empty_like(self.len());
        let whole: Vec<u32> = (self.start as u32..self.rows.len() as u32).collect();
        rows.gather(&self.rows, &whole);
        // What is said of rows only if one of them is special, is left of rows that are gone.
        if rows.kinds.iter().all(|kind| *kind == Kind::Current) {
            rows.kinds.clear();
        }
        if rows.slots.iter().all(|slot| *slot == 0) {
            rows.slots.clear();
        }
        let mut found = self.found.empty_like(0);
        let mut known = Map::default();
        let mut fates: Vec<Fate> = self.fates.iter().cloned().collect();
        for fate in &mut fates {
            if let Fate::Found(range) = fate {
                *range = copied(&self.found, range.clone(), &mut found, &mut known);
            }
        }
        (rows, fates, found)
    }

    pub(super) fn save(&self, state: &mut StateWriter) {
        let (rows, fates, found) = self.packed();
        state.put(&rows);
        state.put(&self.asked.iter().copied().collect::<Vec<_>>());
        state.put(&fates);
        state.put(&found);
        state.put(&self.due);
    }

    pub(super) fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        let rows: Batch = state.get()?;
        let asked: Vec<(Millis, u64)> = state.get()?;
        let fates: Vec<Fate> = state.get()?;
        let found: Batch = state.get()?;
        let same = |one: &Batch, other: &Batch| {
            let types = |batch: &Batch| -> Vec<Option<DataType>> {
                batch.columns.iter().map(|column| column.values.data_type()).collect()
            };
            types(one) == types(other)
        };
        let fits = |fate: &Fate| match fate {
            Fate::Found(range) => range.start <= range.end && range.end <= found.len(),
            Fate::Open | Fate::Failed(_) | Fate::Passed => true,
        };
        let is_whole = rows.len() == asked.len()
            && asked.len() * self.questions == fates.len()
            && fates.iter().all(fits)
            && same(&rows, &self.rows)
            && same(&found, &self.found);
        if !is_whole {
            return Err(LoadError::Malformed);
        }
        (self.rows, self.start, self.found) = (rows, 0, found);
        (self.asked, self.fates) = (asked.into(), fates.into());
        self.due = state.get()?;
        Ok(())
    }
}

/// Where rows stand in `into`: those already `known` where they are, others at its end from now on.
fn copied(
    from: &Batch,
    rows: Range<usize>,
    into: &mut Batch,
    known: &mut Map<Range<usize>, Range<usize>>,
) -> Range<usize> {
    if rows.is_empty() {
        return 0..0;
    }
    let copy = |rows: &Range<usize>| {
        let at = into.len();
        into.extend(from, rows.start, rows.end);
        at..into.len()
    };
    known.entry(rows).or_insert_with_key(copy).clone()
}

impl Encode for Fate {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Fate::Open => 0u8.encode(out),
            Fate::Found(range) => {
                1u8.encode(out);
                (range.start, range.end).encode(out);
            }
            Fate::Failed(reason) => {
                2u8.encode(out);
                reason.encode(out);
            }
            Fate::Passed => 3u8.encode(out),
        }
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(match u8::decode(from)? {
            0 => Fate::Open,
            1 => {
                let (start, end) = Encode::decode(from)?;
                Fate::Found(start..end)
            }
            2 => Fate::Failed(Text::decode(from)?),
            3 => Fate::Passed,
            _ => return Err(Malformed),
        })
    }
}
