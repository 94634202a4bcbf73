//! `output snapshot every …`: what is present, at the end of each period.

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
use crate::event::Millis;
use crate::event::Set;
use crate::event::Slot;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use std::collections::VecDeque;

/// What a snapshot shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shows {
    /// Without a window: the last row of each group.
    Last,
    /// All rows in the window; aggregates as they were last in the row's group.
    Rows,
    /// Where all outputs are aggregates: one row a group that has rows in the window.
    Groups,
}

/// Keeps what is present.
pub(super) struct Snapshot {
    pub(super) periods: Periods,
    shows: Shows,
    grouped: bool,
    /// Which outputs are aggregates.
    aggregates: Vec<bool>,
    pool: Pool,
    /// By slot, the rows in the window in order of arrival, each with its group.
    rows: Vec<VecDeque<(Place, u32)>>,
    groups: Vec<Group>,
    /// Counts the groups that have appeared.
    appeared: u64,
    /// By slot, the groups that have rows.
    present: Vec<Vec<u32>>,
}

/// What is known of a group.
#[derive(Clone, Debug, Default)]
struct Group {
    /// Its last row, of whatever kind.
    last: Option<Place>,
    /// How many of its rows are in the window.
    count: u64,
    /// When it appeared, as a count.
    since: u64,
}

impl Snapshot {
    pub(super) fn new(
        periods: Periods,
        types: &[DataType],
        aggregates: Vec<bool>,
        windowed: bool,
        grouped: bool,
    ) -> Snapshot {
        let shows = match windowed {
            false => Shows::Last,
            true if aggregates.iter().all(|&each| each) => Shows::Groups,
            true => Shows::Rows,
        };
        Snapshot {
            periods,
            shows,
            grouped,
            aggregates,
            pool: Pool::new(types, &vec![true; types.len()]),
            rows: Vec::new(),
            groups: Vec::new(),
            appeared: 0,
            present: Vec::new(),
        }
    }

    /// Whether the last row of each group is kept.
    fn keeps_last(&self) -> bool {
        self.shows != Shows::Rows || self.aggregates.contains(&true)
    }

    /// Takes rows of the groups given.
    pub(super) fn take(
        &mut self,
        input: &Batch,
        groups: &[u32],
        context: &mut Context,
        emptied: &mut Vec<u32>,
    ) {
        for (row, &group) in groups.iter().enumerate() {
            let slot = input.slot(row);
            self.make_room(slot, group);
            let comes = input.kind(row) == Kind::Current;
            if self.shows == Shows::Last && !comes {
                continue;
            }
            // Of a join rows may leave that never came.
            let mut was_there = true;
            if self.shows == Shows::Rows {
                match comes {
                    true => {
                        let place = self.pool.insert(input, row);
                        self.rows[slot as usize].push_back((place, group));
                    }
                    false => was_there = self.remove_equal(input, row, slot, group),
                }
            }
            if was_there {
                self.count(slot, group, comes, emptied);
            }
            if self.keeps_last() && self.groups[group as usize].count > 0 {
                let place = self.pool.insert(input, row);
                if let Some(before) = self.groups[group as usize].last.replace(place) {
                    self.pool.remove(before);
                }
            }
            if !self.present[slot as usize].is_empty() {
                self.periods.wait(slot, context.now, context);
            }
        }
    }

    fn make_room(&mut self, slot: Slot, group: u32) {
        if self.rows.len() <= slot as usize {
            self.rows.resize_with(slot as usize + 1, VecDeque::new);
            self.present.resize_with(slot as usize + 1, Vec::new);
        }
        if self.groups.len() <= group as usize {
            self.groups.resize_with(group as usize + 1, Group::default);
        }
    }

    fn count(&mut self, slot: Slot, group: u32, comes: bool, emptied: &mut Vec<u32>) {
        let known = &mut self.groups[group as usize];
        if comes {
            if known.count == 0 {
                self.appeared += 1;
                known.since = self.appeared;
                self.present[slot as usize].push(group);
            }
            known.count = if self.shows == Shows::Last { 1 } else { known.count + 1 };
        } else if known.count > 0 {
            known.count -= 1;
            if known.count == 0 {
                self.pool_remove_last(group);
                self.present[slot as usize].retain(|&other| other != group);
                emptied.push(group);
            }
        }
    }

    fn pool_remove_last(&mut self, group: u32) {
        if let Some(place) = self.groups[group as usize].last.take() {
            self.pool.remove(place);
        }
    }

    /// Removes the oldest row of its group that is equal to one that leaves, aggregates apart;
    /// whether there is one.
    fn remove_equal(&mut self, input: &Batch, row: usize, slot: Slot, group: u32) -> bool {
        let equal = |place: Place| {
            self.aggregates.iter().enumerate().filter(|(_, aggregate)| !**aggregate).all(
                |(column, _)| {
                    let (mine, at) = self.pool.column(column, place);
                    mine.same(at, &input.columns[column], row)
                },
            )
        };
        let rows = &self.rows[slot as usize];
        let found = rows.iter().position(|&(place, of)| of == group && equal(place));
        let removed = found.and_then(|at| self.rows[slot as usize].remove(at));
        if let Some((place, _)) = removed {
            self.pool.remove(place);
        }
        removed.is_some()
    }

    /// Puts out what is present, as one chunk, and waits for the end of the period after `from`.
    pub(super) fn put_out(
        &mut self,
        slot: Slot,
        from: Millis,
        context: &mut Context,
        output: &mut Batch,
    ) {
        let Some(present) = self.present.get(slot as usize) else { return };
        let chunk = output.len();
        if self.shows == Shows::Rows {
            // With aggregates a group is shown once, by its oldest row.
            let once = self.grouped && self.aggregates.contains(&true);
            let mut shown: Set<u32> = Set::default();
            for &(place, group) in &self.rows[slot as usize] {
                if !once || shown.insert(group) {
                    self.put_row(place, group, slot, output);
                }
            }
        } else {
            let mut groups: Vec<&Group> =
                present.iter().map(|&group| &self.groups[group as usize]).collect();
            groups.sort_unstable_by_key(|group| group.since);
            for place in groups.into_iter().filter_map(|group| group.last) {
                let own = self.pool.timestamp(place);
                self.pool.put(place, Kind::Current, own, slot, output);
            }
        }
        output.join_chunk(chunk);
        if !present.is_empty() {
            self.periods.wait(slot, from, context);
        }
    }

    /// Puts out a row with the aggregates that its group has now.
    fn put_row(&self, place: Place, group: u32, slot: Slot, output: &mut Batch) {
        let last = self.groups[group as usize].last.unwrap_or(place);
        for (column, (mine, &aggregate)) in
            output.columns.iter_mut().zip(&self.aggregates).enumerate()
        {
            let (from, row) = self.pool.column(column, if aggregate { last } else { place });
            mine.push_from(from, row);
        }
        output.push_head(self.pool.timestamp(place), Kind::Current, slot);
    }

    pub(super) fn has_nothing_of(&self, group: u32) -> bool {
        self.groups.get(group as usize).is_none_or(|group| group.count == 0)
    }

    pub(super) fn forget(&mut self, slot: Slot, emptied: &mut Vec<u32>) {
        self.periods.forget(slot);
        let Some(present) = self.present.get_mut(slot as usize) else { return };
        for group in std::mem::take(present) {
            self.groups[group as usize].count = 0;
            self.pool_remove_last(group);
            emptied.push(group);
        }
        for (place, _) in std::mem::take(&mut self.rows[slot as usize]) {
            self.pool.remove(place);
        }
    }

    pub(super) fn held(&self) -> usize {
        self.pool.held()
    }

    pub(super) fn save(&self, state: &mut StateWriter) {
        self.periods.save(state);
        let rows: Vec<Vec<(Place, u32)>> =
            self.rows.iter().map(|rows| rows.iter().copied().collect()).collect();
        state.put(&rows);
        state.put(&self.groups);
        state.put(&self.appeared);
        state.put(&self.present);
        self.pool.save(state);
    }

    pub(super) fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.periods.load(state)?;
        let rows: Vec<Vec<(Place, u32)>> = state.get()?;
        self.groups = state.get()?;
        self.appeared = state.get()?;
        self.present = state.get()?;
        self.pool.load(state)?;
        let known = self.groups.len();
        let sound = rows.len() == self.present.len()
            && self.present.iter().flatten().all(|&group| (group as usize) < known)
            && self.groups.iter().flat_map(|group| group.last).all(|last| self.pool.holds(last))
            && rows
                .iter()
                .flatten()
                .all(|&(place, group)| self.pool.holds(place) && (group as usize) < known);
        self.rows = rows.into_iter().map(VecDeque::from).collect();
        if sound { Ok(()) } else { Err(LoadError::Malformed) }
    }
}

impl Encode for Group {
    fn encode(&self, out: &mut Vec<u8>) {
        self.last.encode(out);
        (self.count, self.since).encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let last = Encode::decode(from)?;
        let (count, since) = Encode::decode(from)?;
        Ok(Group { last, count, since })
    }
}
