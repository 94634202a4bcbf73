//! Questions about a table: many that ask by equal columns go in one statement.

use std::ops::Range;

use crate::event::Batch;
use crate::event::DataType;
use crate::event::Map;
use crate::event::Value;
use crate::event::codec::Encode;
use crate::plan::outside::Condition;
use crate::plan::outside::Errand;
use crate::plan::outside::Wanted;
use crate::publishers::rdbms::errands::condition::Statement;
use crate::publishers::rdbms::errands::condition::columns;
use crate::publishers::rdbms::errands::keys::whose_keys;
use crate::publishers::rdbms::read::Most;
use crate::store::Dialect;
use crate::store::Session;
use crate::store::StoreError;
use crate::store::Table;

/// Rows that one question finds at most.
pub const FOUND_MAX: usize = 10_000;
/// Bytes of the rows that one question finds at most, and one statement gives.
pub const BYTES_MAX: usize = 16 << 20;
/// What one statement gives at most.
const AT_ONCE: Most = Most { rows: 200_000, bytes: BYTES_MAX };
/// Bytes of the texts of a question that is asked together with others at most: a statement must
/// not become longer than a server takes.
const LENGTH_MAX: usize = 1_024;
/// Questions in one statement. There are few such numbers, so that statements are the same again.
const TOGETHER: [usize; 4] = [512, 64, 8, 1];

/// A question.
#[derive(Debug)]
pub struct Question<'a> {
    /// What is asked, the same for all of its place in the plan.
    pub errand: &'a Errand,
    /// The parameters.
    pub with: Vec<Value>,
}

/// Rows that were found, and for each question which of them.
#[derive(Debug)]
pub struct Finds {
    /// Rows, in columns of the table.
    pub rows: Batch,
    /// By question; or why it cannot be answered. Those that are the same share their rows. Those
    /// at the end for which there was no room are missing: they are to be asked again.
    pub found: Vec<Result<Range<usize>, String>>,
}

/// Questions that are the same to the store.
struct Group {
    places: Vec<usize>,
    /// The values that the columns equal, as found rows are told apart.
    key: Vec<u8>,
    /// `None`: they have not been asked.
    found: Option<Result<Range<usize>, String>>,
}

/// How questions become one statement.
enum Way {
    /// Each has its own.
    Alone,
    /// By their keys, and a condition that is the same for all, if there is one.
    ByKeys(Option<Condition>),
    /// Those of different keys, by one or the other's condition.
    ByConditions,
}

/// Questions that are being asked.
struct Asking<'a> {
    table: &'a Table,
    questions: &'a [Question<'a>],
    /// Columns that must equal parameters.
    equated: Vec<(usize, usize)>,
    way: Way,
    groups: Vec<Group>,
    /// What was found so far.
    rows: Batch,
    /// Bytes that may still be found before it is enough.
    room: usize,
}

/// Asks questions of one place of a plan: the first ones at least, and others as long as what is
/// found has fewer bytes than there is `room` for.
///
/// # Errors
/// What the store says; all may be asked again.
pub fn ask(
    session: &mut Session,
    table: &Table,
    questions: &[Question<'_>],
    room: usize,
) -> Result<Finds, StoreError> {
    let mut asking = Asking::new(table, questions, room.max(1));
    for of in asking.statements() {
        asking.ask(session, &of)?;
    }
    let mut found = vec![Some(Ok(0..0)); questions.len()];
    for group in asking.groups {
        group.places.into_iter().for_each(|place| found[place].clone_from(&group.found));
    }
    Ok(Finds { rows: asking.rows, found: found.into_iter().map_while(|found| found).collect() })
}

/// Rows that an on-demand query wants, in order of the primary key; `None` if they are more than
/// may be.
///
/// # Errors
/// What the store says.
pub fn find(
    session: &mut Session,
    table: &Table,
    wanted: &Wanted,
    most: Most,
) -> Result<Option<Batch>, StoreError> {
    let mut statement = select(session.dialect(), table);
    statement.whose(wanted.condition.as_ref(), &wanted.with);
    in_order(&mut statement, table);
    // One more shows that there are more.
    let limit = wanted.enough.unwrap_or(u64::MAX).min(most.rows as u64 + 1);
    statement.sql.push_str(&format!(" LIMIT {limit}"));
    read(session, table, &statement, most)
}

impl<'a> Asking<'a> {
    fn new(table: &'a Table, questions: &'a [Question<'a>], room: usize) -> Asking<'a> {
        let types = table.schema.types();
        let equated = equated(&types, questions);
        let way = way(&equated, questions);
        let mut groups: Vec<Group> = Vec::new();
        let mut known: Map<Vec<u8>, usize> = Map::default();
        for (place, question) in questions.iter().enumerate() {
            let values = || equated.iter().map(|&(_, parameter)| &question.with[parameter]);
            // Nothing equals null.
            if values().any(Value::is_null) {
                continue;
            }
            let mut key = Vec::new();
            values().for_each(|value| name_part(value, &mut key));
            let name = match way {
                Way::ByKeys(_) => key.clone(),
                Way::Alone | Way::ByConditions => name(&question.with),
            };
            let group = *known.entry(name).or_insert_with(|| {
                groups.push(Group { places: Vec::new(), key, found: None });
                groups.len() - 1
            });
            groups[group].places.push(place);
        }
        Asking { table, questions, equated, way, groups, rows: Batch::new(&types), room }
    }

    /// The groups of each statement, in order of the first of each. None has two of the same key,
    /// since what is found is told apart by it.
    fn statements(&self) -> Vec<Vec<usize>> {
        if matches!(self.way, Way::Alone) {
            return (0..self.groups.len()).map(|group| vec![group]).collect();
        }
        let mut before: Map<&[u8], usize> = Map::default();
        let mut layers: Vec<Vec<usize>> = Vec::new();
        let mut statements: Vec<Vec<usize>> = Vec::new();
        for (place, group) in self.groups.iter().enumerate() {
            let length = |value: &Value| value.as_text().map_or(0, str::len);
            let lengths = self.question(place).with.iter().map(length);
            if lengths.sum::<usize>() > LENGTH_MAX {
                statements.push(vec![place]);
                continue;
            }
            let layer = before.entry(&group.key).or_default();
            if layers.len() <= *layer {
                layers.push(Vec::new());
            }
            layers[*layer].push(place);
            *layer += 1;
        }
        let chunks = layers.iter().flat_map(|layer| layer.chunks(TOGETHER[0]));
        statements.extend(chunks.map(<[usize]>::to_vec));
        statements.sort_by_key(|of| of[0]);
        statements
    }

    fn question(&self, group: usize) -> &'a Question<'a> {
        &self.questions[self.groups[group].places[0]]
    }

    /// Asks for these groups if there is room: by halves, if too much is found for them together.
    fn ask(&mut self, session: &mut Session, of: &[usize]) -> Result<(), StoreError> {
        if self.room == 0 {
            return Ok(());
        }
        let statement = match of {
            [one] => self.one(session.dialect(), *one),
            _ => self.several(session.dialect(), of),
        };
        let found = read(session, self.table, &statement, AT_ONCE)?;
        let bytes = found.as_ref().map_or(0, Batch::bytes);
        self.room = self.room.saturating_sub(bytes);
        match (found, of) {
            (Some(found), [one]) => {
                let rows: Vec<u32> = (0..found.len() as u32).collect();
                self.take(*one, &found, &rows);
            }
            (None, [one]) => {
                let most = BYTES_MAX >> 20;
                let text = format!("more than {most} MiB of the table are found by one row");
                self.groups[*one].found = Some(Err(text));
            }
            (Some(found), _) => self.tell_apart(&found, of),
            (None, _) => {
                let (left, right) = of.split_at(of.len() / 2);
                self.ask(session, left)?;
                self.ask(session, right)?;
            }
        }
        Ok(())
    }

    /// Gives each group the rows of its key.
    fn tell_apart(&mut self, found: &Batch, of: &[usize]) {
        let keys = of.iter().enumerate().map(|(place, &group)| (&*self.groups[group].key, place));
        let keys: Map<&[u8], usize> = keys.collect();
        let mut whose: Vec<Vec<u32>> = vec![Vec::new(); of.len()];
        for row in 0..found.len() {
            let mut key = Vec::new();
            for &(column, _) in &self.equated {
                name_part(&found.columns[column].value(row), &mut key);
            }
            if let Some(&place) = keys.get(&*key) {
                whose[place].push(row as u32);
            }
        }
        drop(keys);
        for (&group, rows) in of.iter().zip(whose) {
            self.take(group, found, &rows);
        }
    }

    /// These rows are what a group asks for; who finds too much is not answered.
    fn take(&mut self, group: usize, found: &Batch, rows: &[u32]) {
        self.groups[group].found = Some(match rows.len() > FOUND_MAX {
            true => Err(format!("more than {FOUND_MAX} rows of the table are found by one row")),
            false => {
                let first = self.rows.len();
                self.rows.gather(found, rows);
                Ok(first..self.rows.len())
            }
        });
    }

    /// A question of any condition.
    fn one(&self, dialect: Dialect, group: usize) -> Statement<'a> {
        let mut statement = select(dialect, self.table);
        let question = self.question(group);
        statement.whose(question.errand.condition.as_ref(), &question.with);
        in_order(&mut statement, self.table);
        statement.sql.push_str(&format!(" LIMIT {}", FOUND_MAX + 1));
        statement
    }

    fn several(&self, dialect: Dialect, of: &[usize]) -> Statement<'a> {
        let mut statement = select(dialect, self.table);
        // As many as there are, or the next usual number above that; then the last one stands for
        // the rest.
        let most = match (dialect, &self.way) {
            // Its statement has one place, however many there are.
            (Dialect::Postgres, Way::ByKeys(_)) => of.len(),
            _ => TOGETHER.into_iter().rev().find(|&most| most >= of.len()).unwrap_or(of.len()),
        };
        let last = of[of.len() - 1];
        let all = of.iter().copied().chain(std::iter::repeat(last)).take(most);
        let all: Vec<&Question<'_>> = all.map(|group| self.question(group)).collect();
        match &self.way {
            Way::ByKeys(rest) => {
                whose_keys(&mut statement, self.table, &all, &self.equated);
                if let Some(rest) = rest {
                    statement.sql.push_str(" AND ");
                    statement.put(rest, &all[0].with);
                }
            }
            Way::Alone | Way::ByConditions => {
                for (place, question) in all.iter().enumerate() {
                    statement.sql.push_str(if place == 0 { " WHERE " } else { " OR " });
                    if let Some(condition) = &question.errand.condition {
                        statement.put(condition, &question.with);
                    }
                }
            }
        }
        in_order(&mut statement, self.table);
        statement
    }
}

/// How questions with these equal columns are asked together.
fn way(equated: &[(usize, usize)], questions: &[Question<'_>]) -> Way {
    let Some(Question { errand, with }) = questions.first() else { return Way::Alone };
    let Some(condition) = errand.condition.as_ref().filter(|_| !equated.is_empty()) else {
        return Way::Alone;
    };
    let Some(rest) = condition.without(equated) else { return Way::ByKeys(None) };
    let mut parameters = Vec::new();
    rest.parameters(&mut parameters);
    let of = |with: &[Value]| {
        let values = parameters.iter().filter_map(|&parameter| with.get(parameter));
        name(values)
    };
    let first = of(with);
    match questions.iter().all(|question| of(&question.with) == first) {
        true => Way::ByKeys(Some(rest)),
        false => Way::ByConditions,
    }
}

/// The columns that must equal parameters, where both are of a kind in which equal values look the
/// same.
fn equated(types: &[DataType], questions: &[Question<'_>]) -> Vec<(usize, usize)> {
    let Some(first) = questions.first() else { return Vec::new() };
    let equated = first.errand.condition.as_ref().map(|of| of.equated()).unwrap_or_default();
    let is_like = |column: usize, value: &Value| {
        let like = [
            value.is_null(),
            matches!(types[column], DataType::Int | DataType::Long)
                && matches!(value, Value::Int(_) | Value::Long(_)),
            types[column] == DataType::Text && matches!(value, Value::Text(_)),
            types[column] == DataType::Bool && matches!(value, Value::Bool(_)),
        ];
        like.contains(&true)
    };
    let fits = |&(column, parameter): &(usize, usize)| {
        column < types.len()
            && questions
                .iter()
                .all(|each| each.with.get(parameter).is_some_and(|value| is_like(column, value)))
    };
    equated.into_iter().filter(fits).collect()
}

/// A name that the same values have.
fn name<'a>(values: impl IntoIterator<Item = &'a Value>) -> Vec<u8> {
    let mut name = Vec::new();
    values.into_iter().for_each(|value| value.encode(&mut name));
    name
}

/// A value as a part of the name by which equal keys are known.
fn name_part(value: &Value, name: &mut Vec<u8>) {
    match value {
        Value::Int(number) => Value::Long(i64::from(*number)).encode(name),
        other => other.encode(name),
    }
}

/// What a statement gives; `None` if that is too much.
fn read(
    session: &mut Session,
    table: &Table,
    statement: &Statement<'_>,
    most: Most,
) -> Result<Option<Batch>, StoreError> {
    let types = table.schema.types();
    let (mut rows, mut bytes) = (Batch::new(&types), 0);
    let mut is_too_much = false;
    let read = session.read(&statement.sql, &statement.values, &types, |piece| {
        bytes += piece.encoded_bytes();
        rows.extend(&piece, 0, piece.len());
        is_too_much = rows.len() > most.rows || bytes > most.bytes as u64;
        match is_too_much {
            true => Err(StoreError::refused("too much is found at once")),
            false => Ok(()),
        }
    });
    if is_too_much {
        return Ok(None);
    }
    read.map(|()| Some(rows))
}

fn select(dialect: Dialect, table: &Table) -> Statement<'_> {
    let begin = format!("SELECT {} FROM {}", columns(dialect, table), dialect.quote(&table.name));
    Statement::new(dialect, table, begin)
}

/// Rows come in order of the primary key, if there is one.
fn in_order(statement: &mut Statement<'_>, table: &Table) {
    let order: Vec<String> = table.key.iter().map(|&column| statement.name(column)).collect();
    if !order.is_empty() {
        statement.sql.push_str(&format!(" ORDER BY {}", order.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Schema;

    #[test]
    fn long_questions_are_asked_alone_and_others_together_in_order() {
        let schema = Schema::new([("k", DataType::Text), ("n", DataType::Int)]);
        let table = Table::new("t", schema);
        let errand = Errand::from_text("ask 0 and = 0 0 > 1 1").unwrap();
        let long = "x".repeat(LENGTH_MAX);
        let keys = ["a", "b", "a", &format!("{long}1"), "c", &format!("{long}2"), "b"];
        let with = |(n, key): (i32, &&str)| vec![Value::from(*key), Value::Int(n)];
        let questions = (0..).zip(&keys).map(with).map(|with| Question { errand: &errand, with });
        let questions: Vec<Question<'_>> = questions.collect();
        let asking = Asking::new(&table, &questions, 1);
        assert_eq!(asking.statements(), [vec![0, 1, 4], vec![2, 6], vec![3], vec![5]]);
    }
}
