//! `output all`, `first` and `last`: a turn lasts so many rows, or a period.

use crate::engine::context::Context;
use crate::engine::rates::periods::Periods;
use crate::engine::rows::Place;
use crate::engine::rows::Pool;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Slot;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;

/// How many groups there are at least before those are looked for whose silence is over.
const FEW_GROUPS: usize = 64;

/// Holds rows back until a turn ends, or lets the first of each turn pass.
pub(super) struct Turns {
    /// Whether all rows of a turn leave, and not one a group.
    collects: bool,
    /// Whether the first row passes at once and the others of the turn end here.
    takes_first: bool,
    /// How many rows a turn lasts.
    most: u64,
    /// The periods that turns last, if they go by time.
    pub(super) periods: Option<Periods>,
    pool: Pool,
    turns: Vec<Turn>,
    /// By group; what it is depends on the kind: with `first`, the rows counted in the turn or the
    /// time of the row that passed; with `last`, the place among the rows held.
    marks: Vec<Option<i64>>,
    /// How many groups there may be before those without a mark that counts are looked for.
    sweep_at: usize,
    marked: usize,
}

/// What a slot holds in its turn.
#[derive(Clone, Debug, Default)]
struct Turn {
    rows: u64,
    held: Vec<HeldRow>,
}

#[derive(Clone, Copy, Debug)]
struct HeldRow {
    place: Place,
    kind: Kind,
    group: u32,
}

impl Turns {
    pub(super) fn new(
        collects: bool,
        takes_first: bool,
        most: u64,
        periods: Option<Periods>,
        types: &[DataType],
    ) -> Turns {
        Turns {
            collects,
            takes_first,
            most,
            periods,
            pool: Pool::new(types, &vec![true; types.len()]),
            turns: Vec::new(),
            marks: Vec::new(),
            sweep_at: FEW_GROUPS,
            marked: 0,
        }
    }

    fn mark(&mut self, group: u32) -> &mut Option<i64> {
        let place = group as usize;
        if self.marks.len() <= place {
            self.marks.resize(place + 1, None);
        }
        &mut self.marks[place]
    }

    /// Takes rows of the groups given, and puts out what leaves at once.
    pub(super) fn take(
        &mut self,
        input: &Batch,
        groups: &[u32],
        context: &mut Context,
        output: &mut Batch,
        emptied: &mut Vec<u32>,
    ) {
        for (row, &group) in groups.iter().enumerate() {
            if self.takes_first {
                if self.is_first(group, context, emptied) {
                    output.push_from(input, row, input.kind(row), input.timestamps[row]);
                }
                continue;
            }
            let slot = input.slot(row);
            self.hold(input, row, slot, group);
            match &mut self.periods {
                Some(periods) => periods.wait(slot, context.now, context),
                None => {
                    let turn = &mut self.turns[slot as usize];
                    turn.rows += 1;
                    if turn.rows >= self.most {
                        self.flush(slot, output, emptied);
                    }
                }
            }
        }
        if self.takes_first && self.periods.is_some() && self.marked > self.sweep_at {
            self.sweep(context.now, emptied);
        }
    }

    /// Counts a row of a group; whether it is the first of its turn.
    fn is_first(&mut self, group: u32, context: &Context, emptied: &mut Vec<u32>) -> bool {
        if let Some(length) = self.periods.as_ref().map(Periods::length) {
            let now = context.now;
            let mark = self.mark(group);
            if mark.is_some_and(|passed| passed.saturating_add(length) > now) {
                return false;
            }
            let is_new = mark.replace(now).is_none();
            self.marked += usize::from(is_new);
            return true;
        }
        let most = self.most;
        let mark = self.mark(group);
        let count = mark.unwrap_or(0);
        let next = count + 1;
        *mark = (next.unsigned_abs() < most).then_some(next);
        if mark.is_none() {
            emptied.push(group);
        }
        count == 0
    }

    /// Forgets groups whose silence is over: the next row passes either way.
    fn sweep(&mut self, now: i64, emptied: &mut Vec<u32>) {
        let Some(length) = self.periods.as_ref().map(Periods::length) else { return };
        for (group, mark) in self.marks.iter_mut().enumerate() {
            if mark.is_some_and(|passed| passed.saturating_add(length) <= now) {
                *mark = None;
                self.marked -= 1;
                emptied.push(group as u32);
            }
        }
        self.sweep_at = FEW_GROUPS.max(2 * self.marked);
    }

    fn hold(&mut self, input: &Batch, row: usize, slot: Slot, group: u32) {
        if self.turns.len() <= slot as usize {
            self.turns.resize(slot as usize + 1, Turn::default());
        }
        let place = self.pool.insert(input, row);
        let held = HeldRow { place, kind: input.kind(row), group };
        if self.collects {
            return self.turns[slot as usize].held.push(held);
        }
        let at = self.mark(group).and_then(|at| usize::try_from(at).ok());
        match at.and_then(|at| self.turns[slot as usize].held.get_mut(at)) {
            Some(before) => {
                // A group keeps the place at which it was first seen.
                let before = std::mem::replace(before, held);
                self.pool.remove(before.place);
            }
            None => {
                let at = self.turns[slot as usize].held.len() as i64;
                *self.mark(group) = Some(at);
                self.turns[slot as usize].held.push(held);
            }
        }
    }

    /// Ends the turn of a slot: what it holds leaves as one chunk.
    pub(super) fn flush(&mut self, slot: Slot, output: &mut Batch, emptied: &mut Vec<u32>) {
        let Some(turn) = self.turns.get_mut(slot as usize) else { return };
        turn.rows = 0;
        let chunk = output.len();
        for HeldRow { place, kind, group } in std::mem::take(&mut turn.held) {
            self.pool.put(place, kind, self.pool.timestamp(place), slot, output);
            self.pool.remove(place);
            if let Some(mark) = self.marks.get_mut(group as usize) {
                *mark = None;
            }
            emptied.push(group);
        }
        output.join_chunk(chunk);
    }

    pub(super) fn has_nothing_of(&self, group: u32) -> bool {
        self.marks.get(group as usize).is_none_or(Option::is_none)
    }

    pub(super) fn forget(&mut self, slot: Slot, emptied: &mut Vec<u32>) {
        if let Some(periods) = &mut self.periods {
            periods.forget(slot);
        }
        if let Some(turn) = self.turns.get_mut(slot as usize) {
            for held in std::mem::take(turn).held {
                self.pool.remove(held.place);
                emptied.push(held.group);
            }
        }
    }

    pub(super) fn forget_group(&mut self, group: u32) {
        let mark = self.mark(group).take();
        if self.takes_first && self.periods.is_some() {
            self.marked -= usize::from(mark.is_some());
        }
    }

    pub(super) fn held(&self) -> usize {
        self.pool.held()
    }

    pub(super) fn save(&self, state: &mut StateWriter) {
        state.put(&self.turns);
        state.put(&self.marks);
        state.put(&self.sweep_at);
        if let Some(periods) = &self.periods {
            periods.save(state);
        }
        self.pool.save(state);
    }

    pub(super) fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.turns = state.get()?;
        self.marks = state.get()?;
        self.sweep_at = state.get()?;
        self.marked = self.marks.iter().flatten().count();
        if let Some(periods) = &mut self.periods {
            periods.load(state)?;
        }
        self.pool.load(state)?;
        let held = self.turns.iter().flat_map(|turn| &turn.held);
        match held.into_iter().all(|held| self.pool.holds(held.place)) {
            true => Ok(()),
            false => Err(LoadError::Malformed),
        }
    }
}

impl Encode for Turn {
    fn encode(&self, out: &mut Vec<u8>) {
        self.rows.encode(out);
        self.held.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Turn { rows: Encode::decode(from)?, held: Encode::decode(from)? })
    }
}

impl Encode for HeldRow {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.place, self.group).encode(out);
        self.kind.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let (place, group) = <(Place, u32)>::decode(from)?;
        Ok(HeldRow { place, group, kind: Encode::decode(from)? })
    }
}
