//! What a query selects of what a window says, from lists of the values that each group holds.

use crate::window_model::lists::Chunk;
use crate::window_model::lists::Row;
use crate::window_model::lists::Word;
use std::cmp::Ordering;
use std::rc::Rc;
use twinflow::event::Millis;

/// A value.
#[derive(Clone, Debug)]
pub enum Cell {
    Null,
    Whole(i64),
    Real(f64),
    Flag(bool),
    Text(String),
    List(Vec<Cell>),
    Set(Vec<Cell>),
    Map(Vec<(String, Cell)>),
}

impl PartialEq for Cell {
    fn eq(&self, other: &Cell) -> bool {
        match (self, other) {
            (Cell::Null, Cell::Null) => true,
            (Cell::Whole(left), Cell::Whole(right)) => left == right,
            (Cell::Real(left), Cell::Real(right)) => {
                (left - right).abs() <= 1e-6 * (1.0 + left.abs())
            }
            (Cell::Flag(left), Cell::Flag(right)) => left == right,
            (Cell::Text(left), Cell::Text(right)) => left == right,
            (Cell::List(left), Cell::List(right)) => left == right,
            (Cell::Set(left), Cell::Set(right)) => {
                left.len() == right.len() && left.iter().all(|each| right.contains(each))
            }
            (Cell::Map(left), Cell::Map(right)) => {
                left.len() == right.len() && left.iter().all(|each| right.contains(each))
            }
            _ => false,
        }
    }
}

impl Cell {
    fn number(&self) -> Option<f64> {
        match self {
            Cell::Whole(number) => Some(*number as f64),
            Cell::Real(number) => Some(*number),
            _ => None,
        }
    }
}

fn whole(number: Option<i32>) -> Cell {
    number.map_or(Cell::Null, |number| Cell::Whole(i64::from(number)))
}

fn real(number: Option<f64>) -> Cell {
    number.map_or(Cell::Null, Cell::Real)
}

fn text(text: Option<&str>) -> Cell {
    text.map_or(Cell::Null, |text| Cell::Text(text.to_owned()))
}

/// An aggregate: its text, what it takes of a row, and what it makes of that.
#[derive(Clone, Copy)]
pub struct Aggregate {
    pub text: &'static str,
    takes: fn(&Row) -> Cell,
    gives: fn(&Values) -> Cell,
    /// Whether it can tell what it is of rows that left and never came.
    pub owes: bool,
}

impl std::fmt::Debug for Aggregate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.text)
    }
}

/// The values of a group.
#[derive(Clone, Debug, Default)]
pub struct Values {
    present: Vec<Cell>,
    ever: Vec<Cell>,
    /// Those that left and had not come.
    owed: Vec<Cell>,
}

impl Values {
    fn numbers(&self) -> Vec<f64> {
        self.present.iter().filter_map(Cell::number).collect()
    }

    fn count(&self) -> i64 {
        let count = |cells: &[Cell]| cells.iter().filter(|cell| **cell != Cell::Null).count();
        count(&self.present) as i64 - count(&self.owed) as i64
    }

    fn sum(&self) -> f64 {
        let sum = |cells: &[Cell]| cells.iter().filter_map(Cell::number).sum::<f64>();
        sum(&self.present) - sum(&self.owed)
    }

    fn distinct(&self) -> Vec<Cell> {
        let mut distinct: Vec<Cell> = Vec::new();
        for value in &self.present {
            if !distinct.contains(value) {
                distinct.push(value.clone());
            }
        }
        distinct
    }
}

fn best(cells: &[Cell], greatest: bool) -> Cell {
    let mut best = Cell::Null;
    for cell in cells {
        let Some(number) = cell.number() else { continue };
        let better = best.number().is_none_or(|known| (number > known) == greatest);
        if better {
            best = cell.clone();
        }
    }
    best
}

fn sum(values: &Values, is_whole: bool) -> Cell {
    match (values.count(), is_whole) {
        (0, _) => Cell::Null,
        (_, true) => Cell::Whole(values.sum() as i64),
        (_, false) => Cell::Real(values.sum()),
    }
}

fn mean(values: &Values) -> Cell {
    match values.count() {
        0 => Cell::Null,
        count => Cell::Real(values.sum() / count as f64),
    }
}

fn deviation(values: &Values) -> Cell {
    let numbers = values.numbers();
    let count = numbers.len() as f64;
    if numbers.is_empty() {
        return Cell::Null;
    }
    let mean = numbers.iter().sum::<f64>() / count;
    Cell::Real((numbers.iter().map(|each| (each - mean).powi(2)).sum::<f64>() / count).sqrt())
}

/// The value between two neighbours at 40 of a hundred, counted from the first at 1.
fn percentile(values: &Values) -> Cell {
    let mut numbers = values.numbers();
    numbers.sort_by(f64::total_cmp);
    let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { return Cell::Null };
    let place = 0.4 * (numbers.len() + 1) as f64;
    let below = place as usize;
    Cell::Real(match below {
        0 => *first,
        below if below >= numbers.len() => *last,
        below => {
            let (lower, upper) = (numbers[below - 1], numbers[below]);
            lower + (place - below as f64) * (upper - lower)
        }
    })
}

fn flags(values: &Values, all: bool) -> Cell {
    let flags: Vec<bool> = values
        .present
        .iter()
        .filter_map(|cell| match cell {
            Cell::Flag(flag) => Some(*flag),
            _ => None,
        })
        .collect();
    Cell::Flag(match all {
        true => !flags.is_empty() && flags.iter().all(|flag| *flag),
        false => flags.contains(&true),
    })
}

fn texts(values: &Values) -> Cell {
    let texts = values.present.iter().filter_map(|cell| match cell {
        Cell::Text(text) => Some(text.as_str()),
        _ => None,
    });
    Cell::Text(texts.collect::<Vec<&str>>().join(","))
}

fn known(values: &Values) -> Vec<Cell> {
    values.present.iter().filter(|cell| **cell != Cell::Null).cloned().collect()
}

fn map(values: &Values) -> Cell {
    let mut map: Vec<(String, Cell)> = Vec::new();
    for cell in &values.present {
        let Cell::List(pair) = cell else { continue };
        let Cell::Text(key) = &pair[0] else { continue };
        map.retain(|(known, _)| known != key);
        map.push((key.clone(), pair[1].clone()));
    }
    Cell::Map(map)
}

fn pair(row: &Row) -> Cell {
    row.k.map_or(Cell::Null, |key| Cell::List(vec![text(Some(key)), whole(row.n)]))
}

macro_rules! aggregates {
    ($($text:literal $owes:literal $takes:expr, $gives:expr;)*) => {
        &[$(Aggregate { text: $text, takes: $takes, gives: $gives, owes: $owes }),*]
    };
}

/// All aggregates that are tried.
pub const AGGREGATES: &[Aggregate] = aggregates! {
    "sum(n)" true |row| whole(row.n), |values| sum(values, true);
    "sum(v)" true |row| real(row.v), |values| sum(values, false);
    "avg(n)" true |row| whole(row.n), mean;
    "avg(v)" true |row| real(row.v), mean;
    "count()" true |_| Cell::Flag(true), |values| Cell::Whole(values.count());
    "count(n)" true |_| Cell::Flag(true), |values| Cell::Whole(values.count());
    "min(n)" false |row| whole(row.n), |values| best(&values.present, false);
    "min(v)" false |row| real(row.v), |values| best(&values.present, false);
    "max(n)" false |row| whole(row.n), |values| best(&values.present, true);
    "max(v)" false |row| real(row.v), |values| best(&values.present, true);
    "minForever(n)" true |row| whole(row.n), |values| best(&values.ever, false);
    "maxForever(v)" true |row| real(row.v), |values| best(&values.ever, true);
    "stdDev(n)" false |row| whole(row.n), deviation;
    "stdDev(v)" false |row| real(row.v), deviation;
    "distinctCount(n)" false |row| whole(row.n),
        |values| Cell::Whole(values.distinct().len() as i64);
    "distinctCount(k)" false |row| text(row.k),
        |values| Cell::Whole(values.distinct().len() as i64);
    "and(b)" false |row| row.b.map_or(Cell::Null, Cell::Flag), |values| flags(values, true);
    "or(b)" false |row| row.b.map_or(Cell::Null, Cell::Flag), |values| flags(values, false);
    "unionSet(createSet(coalesce(n, 0)))" false |row| whole(row.n.or(Some(0))),
        |values| Cell::Set(values.distinct());
    "str:groupConcat(k)" false |row| text(row.k), texts;
    "math:percentile(v, 40.0)" false |row| real(row.v), percentile;
    "list:collect(n)" false |row| whole(row.n), |values| Cell::List(known(values));
    "map:collect(k, n)" false pair, map;
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Key {
    None,
    One,
    Two,
}

/// What is selected.
#[derive(Clone, Debug)]
pub struct Selection {
    pub key: Key,
    pub aggregates: Vec<Aggregate>,
    /// `having`: whether of the first aggregate, or of `n`; above a number.
    pub having: Option<(bool, i32)>,
    /// `order by n`, `desc` or not.
    pub order: Option<bool>,
    pub offset: usize,
    pub limit: Option<usize>,
    pub current: bool,
    pub expired: bool,
}

/// A row that is put out: whether it leaves, its time, its values.
pub type Seen = (bool, Millis, Vec<Cell>);

/// What groups are told by.
pub type GroupKey = (Option<&'static str>, Option<bool>);

/// The groups of a partition key.
#[derive(Debug, Default)]
pub struct Groups(Vec<(GroupKey, Vec<Values>)>);

impl Selection {
    fn group(&self, row: &Row) -> GroupKey {
        match self.key {
            Key::None => (None, None),
            Key::One => (row.k, None),
            Key::Two => (row.k, row.b),
        }
    }

    pub fn text(&self) -> String {
        let mut text = "select i, n".to_owned();
        for (place, aggregate) in self.aggregates.iter().enumerate() {
            text.push_str(&format!(", {} as x{place}", aggregate.text));
        }
        text.push_str(match self.key {
            Key::None => "",
            Key::One => " group by k",
            Key::Two => " group by k, b",
        });
        if let Some((of_aggregate, above)) = self.having {
            let name = if of_aggregate { "x0" } else { "n" };
            text.push_str(&format!(" having {name} > {above}"));
        }
        match self.order {
            None => {}
            Some(true) => text.push_str(" order by n desc"),
            Some(false) => text.push_str(" order by n"),
        }
        if let Some(limit) = self.limit {
            text.push_str(&format!(" limit {limit}"));
        }
        if self.offset > 0 {
            text.push_str(&format!(" offset {}", self.offset));
        }
        text
    }

    /// What comes out of what a window says at once.
    pub fn select(&self, chunk: Chunk, groups: &mut Groups, seen: &mut Vec<Seen>) {
        let mut picked: Vec<(GroupKey, Option<i32>, Seen)> = Vec::new();
        for word in chunk {
            let (leaves, row, time) = match word {
                Word::Comes(row, time) => (false, row, time),
                Word::Leaves(row, time) => (true, row, time),
                Word::Anew => {
                    let all = groups.0.iter_mut().flat_map(|(_, values)| values);
                    all.for_each(|values| {
                        values.present.clear();
                        values.owed.clear();
                    });
                    continue;
                }
            };
            let mut cells = vec![whole(Some(row.i)), whole(row.n)];
            cells.extend(self.aggregate(leaves, &row, groups));
            let passes = self.having.is_none_or(|(of_aggregate, above)| {
                let number = cells[if of_aggregate { 2 } else { 1 }].number();
                number.is_some_and(|number| number > f64::from(above))
            });
            if !passes || !if leaves { self.expired } else { self.current } {
                continue;
            }
            let group = self.group(&row);
            let row = (group, row.n, (leaves, time, cells));
            let known = picked.iter().position(|(known, ..)| *known == group);
            match known.filter(|_| self.key != Key::None || !self.aggregates.is_empty()) {
                Some(place) => picked[place] = row,
                None => picked.push(row),
            }
        }
        self.put_out(picked, seen);
    }

    /// Takes a row in, or back; gives what the aggregates of its group are then.
    fn aggregate(&self, leaves: bool, row: &Rc<Row>, groups: &mut Groups) -> Vec<Cell> {
        let key = self.group(row);
        let place = groups.0.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            groups.0.push((key, vec![Values::default(); self.aggregates.len()]));
            groups.0.len() - 1
        });
        let all = self.aggregates.iter().zip(&mut groups.0[place].1);
        let gives = all.map(|(aggregate, values)| {
            let value = (aggregate.takes)(row);
            values.ever.push(value.clone());
            let Values { present, owed, .. } = values;
            let (from, to) = if leaves { (present, owed) } else { (owed, present) };
            match from.iter().position(|known| *known == value) {
                Some(place) => {
                    from.remove(place);
                }
                None => to.push(value),
            }
            (aggregate.gives)(values)
        });
        gives.collect()
    }

    /// Sorts runs of one kind and cuts off what is too much.
    fn put_out(&self, mut picked: Vec<(GroupKey, Option<i32>, Seen)>, seen: &mut Vec<Seen>) {
        if let Some(descending) = self.order {
            let kind = |left: &(_, _, Seen), right: &(_, _, Seen)| left.2.0 == right.2.0;
            for run in picked.chunk_by_mut(kind) {
                run.sort_by(|(_, left, _), (_, right, _)| match (left, right) {
                    (None, None) => Ordering::Equal,
                    (None, _) => Ordering::Greater,
                    (_, None) => Ordering::Less,
                    (left, right) if descending => right.cmp(left),
                    (left, right) => left.cmp(right),
                });
            }
        }
        let rest = picked.into_iter().map(|(_, _, row)| row).skip(self.offset).enumerate();
        let limit = self.limit.unwrap_or(usize::MAX);
        seen.extend(rest.filter(|(place, row)| *place < limit || row.0).map(|(_, row)| row));
    }
}
