//! The rows of one receiver that are remembered, by node in their order and by what they hold.

use hashbrown::HashTable;

use crate::engine::rows::Place;
use crate::engine::rows::Pool;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::Bits;
use crate::event::DataType;
use crate::event::Millis;
use crate::event::Text;
use crate::event::hash_cell;
use crate::replica::Copied;

/// Rows of a node that are remembered at most; then the oldest is forgotten first.
pub(super) const ROWS_MAX: usize = 100_000;
/// Nodes at most: those of a pair, and one that was alone.
const NODES_MAX: usize = 3;
/// No row.
const NONE: Place = Place::MAX;

/// Remembered rows.
#[derive(Debug)]
pub struct Memory {
    by_id: bool,
    /// Of the stream's attributes.
    types: Vec<DataType>,
    /// The columns by which rows are compared.
    columns: Vec<usize>,
    rows: Pool,
    /// By place in `rows`.
    records: Vec<Record>,
    nodes: Vec<Node>,
    /// Rows that are equal.
    groups: HashTable<Group>,
    /// How many rows were ever remembered: they are numbered from 1.
    numbered: u64,
}

/// Where a row stands.
#[derive(Clone, Copy, Debug)]
struct Record {
    number: u64,
    /// When it was brought, by the log's time.
    at: Millis,
    hash: u64,
    node: u8,
    /// The other node has brought it, too.
    matched: bool,
    /// The rows that its node brought before and after it.
    older: Place,
    newer: Place,
    /// The next one that is equal.
    next: Place,
}

/// Equal rows in their order. Unless rows are known by an id, which gives no equal ones, all of
/// them are of one node: else they would be copies of each other.
#[derive(Debug)]
struct Group {
    hash: u64,
    first: Place,
    last: Place,
}

/// What is known of a node.
#[derive(Debug)]
struct Node {
    name: Text,
    /// It has brought all rows up to this number, if it misses none.
    reached: u64,
    /// The highest number of a row that was forgotten and that only it had brought.
    forgot: u64,
    /// The last row it brought, if it brought any, was brought by the other node, too.
    in_step: bool,
    /// That row, while it is remembered and the other node has not brought it.
    last: Place,
    oldest: Place,
    newest: Place,
    count: usize,
}

impl Memory {
    /// Nothing remembered of rows such as these, known by the column `id` or by all.
    #[must_use]
    pub fn new(batch: &Batch, id: Option<u32>) -> Self {
        let types = batch.columns.iter().filter_map(|column| column.values.data_type());
        Self::of(types.collect(), id)
    }

    fn of(types: Vec<DataType>, id: Option<u32>) -> Self {
        let is_kept = |column: &usize| id.is_none_or(|id| id as usize == *column);
        let keep: Vec<bool> = (0..types.len()).map(|column| is_kept(&column)).collect();
        Self {
            by_id: id.is_some(),
            columns: (0..types.len()).filter(is_kept).collect(),
            rows: Pool::new(&types, &keep),
            types,
            records: Vec::new(),
            nodes: Vec::new(),
            groups: HashTable::new(),
            numbered: 0,
        }
    }

    /// Whether it is of rows with these columns.
    #[must_use]
    pub fn fits(&self, batch: &Batch) -> bool {
        let types = batch.columns.iter().map(|column| column.values.data_type());
        types.eq(self.types.iter().copied().map(Some))
    }

    /// Marks rows that are copies and remembers the others.
    pub fn bring(
        &mut self,
        now: Millis,
        of: &Copied,
        (batch, rows): (&Batch, impl Iterator<Item = usize>),
        copies: &mut Bits,
    ) {
        let node = self.node(&of.node);
        if of.has_passed {
            let by = &mut self.nodes[node];
            (by.reached, by.in_step, by.last) = (self.numbered, false, NONE);
        }
        self.forget_until(node, now.saturating_sub(of.window));
        for row in rows {
            let hash = self.hash_of(batch, row);
            let equal = |group: &Group| group.hash == hash && self.equals(group.first, batch, row);
            let known = self.groups.find(hash, equal).map(|group| group.first);
            match known {
                Some(first) if usize::from(self.records[first as usize].node) != node => {
                    copies.set(row);
                    self.match_with(first, node);
                }
                // Its sender sent it again.
                Some(_) if self.by_id => copies.set(row),
                _ => self.remember(node, now, hash, (batch, row)),
            }
        }
    }

    fn node(&mut self, name: &Text) -> usize {
        if let Some(known) = self.nodes.iter().position(|node| node.name == *name) {
            return known;
        }
        self.nodes.push(Node::new(name.clone()));
        self.nodes.len() - 1
    }

    fn hash_of(&self, batch: &Batch, row: usize) -> u64 {
        let columns = self.columns.iter();
        columns.fold(0, |hash, column| hash_cell(&batch.columns[*column], row, hash))
    }

    fn equals(&self, place: Place, batch: &Batch, row: usize) -> bool {
        self.columns.iter().all(|column| {
            let (known, at) = self.rows.column(*column, place);
            known.same(at, &batch.columns[*column], row)
        })
    }

    /// A node brings what the other one has brought.
    fn match_with(&mut self, place: Place, node: usize) {
        let Record { number, node: other, .. } = self.records[place as usize];
        let by = &mut self.nodes[node];
        by.reached = by.reached.max(number);
        (by.in_step, by.last) = (true, NONE);
        // What came before this one at the one node came before it at the other, too.
        let other = &mut self.nodes[usize::from(other)];
        other.reached = self.numbered;
        if other.last == place {
            (other.in_step, other.last) = (true, NONE);
        }
        match self.by_id {
            // It may come again.
            true => self.records[place as usize].matched = true,
            false => self.remove(place),
        }
    }

    fn remember(&mut self, node: usize, at: Millis, hash: u64, (batch, row): (&Batch, usize)) {
        if self.nodes[node].count >= ROWS_MAX {
            self.forget(self.nodes[node].oldest);
        }
        let place = self.rows.insert(batch, row);
        self.numbered = self.numbered.saturating_add(1);
        self.enter(place, Record::new(self.numbered, at, hash, node as u8));
        (self.nodes[node].in_step, self.nodes[node].last) = (false, place);
    }

    /// Puts a row at the end of its node's and of its equals.
    fn enter(&mut self, place: Place, record: Record) {
        let Record { hash, node, .. } = record;
        let of = &mut self.nodes[usize::from(node)];
        let older = std::mem::replace(&mut of.newest, place);
        of.count += 1;
        match older {
            NONE => of.oldest = place,
            _ => self.records[older as usize].newer = place,
        }
        let record = Record { older, ..record };
        match self.records.get_mut(place as usize) {
            Some(free) => *free = record,
            None => self.records.resize(place as usize + 1, record),
        }
        let (rows, columns) = (&self.rows, &self.columns);
        let equal = |group: &Group| {
            group.hash == hash
                && columns.iter().all(|column| {
                    let ((mine, row), (theirs, other)) =
                        (rows.column(*column, group.first), rows.column(*column, place));
                    mine.same(row, theirs, other)
                })
        };
        match self.groups.find_mut(hash, equal) {
            Some(group) => {
                let before = std::mem::replace(&mut group.last, place);
                self.records[before as usize].next = place;
            }
            None => {
                let group = Group { hash, first: place, last: place };
                self.groups.insert_unique(hash, group, |group| group.hash);
            }
        }
    }

    /// Forgets what a node brought up to a time.
    fn forget_until(&mut self, node: usize, until: Millis) {
        loop {
            let oldest = self.nodes[node].oldest;
            if oldest == NONE || self.records[oldest as usize].at > until {
                return;
            }
            self.forget(oldest);
        }
    }

    fn forget(&mut self, place: Place) {
        let Record { number, node, matched, .. } = self.records[place as usize];
        let of = &mut self.nodes[usize::from(node)];
        if !matched {
            of.forgot = number;
        }
        if of.last == place {
            of.last = NONE;
        }
        self.remove(place);
    }

    /// Takes out a row, which is the first of its equals.
    fn remove(&mut self, place: Place) {
        let Record { hash, node, older, newer, next, .. } = self.records[place as usize];
        let of = &mut self.nodes[usize::from(node)];
        of.count -= 1;
        match older {
            NONE => of.oldest = newer,
            _ => self.records[older as usize].newer = newer,
        }
        match newer {
            NONE => of.newest = older,
            _ => self.records[newer as usize].older = older,
        }
        if let Ok(mut entry) = self.groups.find_entry(hash, |group| group.first == place) {
            match next {
                NONE => drop(entry.remove()),
                _ => entry.get_mut().first = next,
            }
        }
        self.rows.remove(place);
    }

    /// See [`Copies::is_passed`](crate::replica::copies::Copies::is_passed).
    #[must_use]
    pub fn is_passed(&self, node: &str) -> bool {
        let of = self.nodes.iter().find(|of| *of.name == *node);
        let (reached, in_step) = of.map_or((0, true), |of| (of.reached, of.in_step));
        let mut others = self.nodes.iter().filter(|other| *other.name != *node);
        in_step && others.any(|other| other.forgot > reached)
    }

    /// Writes all of it: rows by handle.
    pub fn save(&self, state: &mut StateWriter) {
        state.put(&self.types);
        state.put(&self.numbered);
        state.put(&(self.nodes.len() as u32));
        for node in &self.nodes {
            state.put(&node.name);
            state.put(&((node.reached, node.forgot), (node.in_step, node.last)));
            state.put(&(node.count as u32));
            let mut place = node.oldest;
            while place != NONE {
                let record = &self.records[place as usize];
                state.put(&((place, record.number), (record.at, record.matched)));
                place = record.newer;
            }
        }
        self.rows.save(state);
    }

    /// Takes what [`Memory::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub fn load(state: &mut StateReader<'_>, id: Option<u32>) -> Result<Self, LoadError> {
        let mut memory = Self::of(state.get()?, id);
        memory.numbered = state.get()?;
        let mut remembered = Vec::new();
        let nodes = state.get::<u32>()? as usize;
        if nodes > NODES_MAX {
            return Err(LoadError::Malformed);
        }
        for _ in 0..nodes {
            let mut node = Node::new(state.get()?);
            ((node.reached, node.forgot), (node.in_step, node.last)) = state.get()?;
            memory.nodes.push(node);
            let mut rows = Vec::new();
            for _ in 0..state.get::<u32>()? {
                rows.push(state.get::<((Place, u64), (Millis, bool))>()?);
            }
            remembered.push(rows);
        }
        memory.rows.load(state)?;
        let mut taken = Bits::new();
        for (node, rows) in remembered.into_iter().enumerate() {
            for ((place, number), (at, matched)) in rows {
                if !memory.rows.holds(place) || taken.get(place as usize) {
                    return Err(LoadError::Malformed);
                }
                taken.set(place as usize);
                let hash = memory.hash_at(place);
                let record = Record::new(number, at, hash, node as u8);
                memory.enter(place, Record { matched, ..record });
            }
            let last = memory.nodes[node].last;
            if last != NONE && !taken.get(last as usize) {
                return Err(LoadError::Malformed);
            }
        }
        let places = memory.rows.places().map(|place| place as usize);
        let whole = taken.iter().eq(places) && taken.count() == memory.rows.held();
        if whole { Ok(memory) } else { Err(LoadError::Malformed) }
    }

    fn hash_at(&self, place: Place) -> u64 {
        let mix = |hash, column: &usize| {
            let (column, row) = self.rows.column(*column, place);
            hash_cell(column, row, hash)
        };
        self.columns.iter().fold(0, mix)
    }
}

impl Record {
    fn new(number: u64, at: Millis, hash: u64, node: u8) -> Self {
        let (older, newer, next) = (NONE, NONE, NONE);
        Self { number, at, hash, node, matched: false, older, newer, next }
    }
}

impl Node {
    fn new(name: Text) -> Self {
        let (last, oldest, newest) = (NONE, NONE, NONE);
        Self { name, reached: 0, forgot: 0, in_step: true, last, oldest, newest, count: 0 }
    }
}
