//! Questions about a table: many that ask by equal columns go in one statement.

use crate::event::Batch;
use crate::event::DataType;
use crate::event::Map;
use crate::event::Value;
use crate::event::codec::Encode;
use crate::plan::outside::Errand;
use crate::publishers::rdbms::errands::condition::Statement;
use crate::publishers::rdbms::errands::condition::columns;
use crate::store::Dialect;
use crate::store::Session;
use crate::store::StoreError;
use crate::store::Table;

/// Rows that one question finds at most.
pub const FOUND_MAX: usize = 10_000;
/// Rows that one statement gives at most.
const ROWS_MAX: usize = 200_000;
/// Keys in one statement. There are few such numbers, so that statements are the same again.
const KEYS: [usize; 4] = [512, 64, 8, 1];

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
    /// By question; or why it cannot be answered.
    pub found: Vec<Result<Vec<u32>, String>>,
}

/// Questions that are the same to the store, by their places.
struct Group {
    places: Vec<usize>,
    found: Result<Vec<u32>, String>,
}

/// Asks questions of one place of a plan.
///
/// # Errors
/// What the store says; all may be asked again.
pub fn ask(
    session: &mut Session,
    table: &Table,
    questions: &[Question<'_>],
) -> Result<Finds, StoreError> {
    let types = table.schema.types();
    let mut rows = Batch::new(&types);
    let equated = equated(&types, questions);
    let mut groups: Vec<Group> = Vec::new();
    let mut known: Map<Vec<u8>, usize> = Map::default();
    for (place, question) in questions.iter().enumerate() {
        let mut name = Vec::new();
        if equated.is_empty() {
            question.with.iter().for_each(|value| value.encode(&mut name));
        } else {
            let values = || equated.iter().map(|&(_, parameter)| &question.with[parameter]);
            // Nothing equals null.
            if values().any(Value::is_null) {
                continue;
            }
            values().for_each(|value| name_part(value, &mut name));
        }
        let group = *known.entry(name).or_insert_with(|| {
            groups.push(Group { places: Vec::new(), found: Ok(Vec::new()) });
            groups.len() - 1
        });
        groups[group].places.push(place);
    }
    if equated.is_empty() {
        for group in &mut groups {
            ask_one(session, table, &questions[group.places[0]], group, &mut rows)?;
        }
    } else {
        let mut from = 0;
        while from < groups.len() {
            let left = groups.len() - from;
            let least = KEYS[KEYS.len() - 1];
            // As many as there are, or the next number of keys above that.
            let most = KEYS.into_iter().rev().find(|&keys| keys >= left).unwrap_or(KEYS[0]);
            let upto = from + left.min(most).max(least);
            let asked: Vec<&Question<'_>> =
                groups[from..upto].iter().map(|group| &questions[group.places[0]]).collect();
            let found = by_keys(session, table, &asked, &equated, most)?;
            let first = rows.len() as u32;
            rows.extend(&found, 0, found.len());
            for row in 0..found.len() {
                let mut name = Vec::new();
                for &(column, _) in &equated {
                    name_part(&found.columns[column].value(row), &mut name);
                }
                if let Some(&group) = known.get(&name)
                    && let Ok(places) = &mut groups[group].found
                {
                    places.push(first + row as u32);
                }
            }
            from = upto;
        }
        groups.iter_mut().for_each(Group::bound);
    }
    let mut finds = Finds { rows, found: vec![Ok(Vec::new()); questions.len()] };
    for Group { places, found } in groups {
        places.into_iter().for_each(|place| finds.found[place].clone_from(&found));
    }
    Ok(finds)
}

impl Group {
    /// A question that finds too much is not answered.
    fn bound(&mut self) {
        if self.found.as_ref().is_ok_and(|found| found.len() > FOUND_MAX) {
            let text = format!("more than {FOUND_MAX} rows of the table are found by one row");
            self.found = Err(text);
        }
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

/// A value as a part of the name by which equal keys are known.
fn name_part(value: &Value, name: &mut Vec<u8>) {
    match value {
        Value::Int(number) => Value::Long(i64::from(*number)).encode(name),
        other => other.encode(name),
    }
}

/// A question of any condition: one statement.
fn ask_one(
    session: &mut Session,
    table: &Table,
    question: &Question<'_>,
    group: &mut Group,
    rows: &mut Batch,
) -> Result<(), StoreError> {
    let dialect = session.dialect();
    let begin = format!("SELECT {} FROM {}", columns(dialect, table), dialect.quote(&table.name));
    let mut statement = Statement::new(dialect, table, begin);
    statement.whose(question.errand.condition.as_ref(), &question.with);
    in_order(&mut statement, table);
    statement.sql.push_str(&format!(" LIMIT {}", FOUND_MAX + 1));
    let found = session.query(&statement.sql, &statement.values, &table.schema.types())?;
    let first = rows.len();
    rows.extend(&found, 0, found.len());
    group.found = Ok((first as u32..rows.len() as u32).collect());
    group.bound();
    Ok(())
}

/// The rows whose columns equal the keys of one of the questions; the statement has room for so
/// many of these as `most` says.
fn by_keys(
    session: &mut Session,
    table: &Table,
    questions: &[&Question<'_>],
    equated: &[(usize, usize)],
    most: usize,
) -> Result<Batch, StoreError> {
    let dialect = session.dialect();
    let begin = format!("SELECT {} FROM {}", columns(dialect, table), dialect.quote(&table.name));
    let mut statement = Statement::new(dialect, table, begin);
    match dialect {
        Dialect::Postgres => whose_keys_are_in_arrays(&mut statement, table, questions, equated),
        _ => whose_keys_are_listed(&mut statement, dialect, questions, equated, most),
    }
    in_order(&mut statement, table);
    let mut rows = Batch::new(&table.schema.types());
    session.read(&statement.sql, &statement.values, &table.schema.types(), |piece| {
        rows.extend(&piece, 0, piece.len());
        match rows.len() > ROWS_MAX {
            true => Err(StoreError::refused(format!(
                "more than {ROWS_MAX} rows of the table are found at once"
            ))),
            false => Ok(()),
        }
    })?;
    Ok(rows)
}

/// ` WHERE` the columns equal one of the keys, each in places of its own.
fn whose_keys_are_listed(
    statement: &mut Statement<'_>,
    dialect: Dialect,
    questions: &[&Question<'_>],
    equated: &[(usize, usize)],
    most: usize,
) {
    let names: Vec<String> = equated.iter().map(|&(column, _)| statement.name(column)).collect();
    let mut keys = Vec::new();
    let last = questions.len() - 1;
    for place in 0..most {
        // Where there are fewer the last one stands for the rest.
        let question = questions[place.min(last)];
        let values = equated.iter().map(|&(_, parameter)| &question.with[parameter]);
        keys.push(values.map(|value| statement.place(value)).collect::<Vec<_>>());
    }
    let listed = |begin: &str, end: &str| {
        let key = |places: &Vec<String>| format!("{begin}{}{end}", places.join(", "));
        keys.iter().map(key).collect::<Vec<_>>().join(", ")
    };
    let text = match names.as_slice() {
        [name] => format!("{name} IN ({})", listed("", "")),
        _ if dialect == Dialect::Sqlite => {
            format!("({}) IN (VALUES {})", names.join(", "), listed("(", ")"))
        }
        // MariaDB finds too little by a list of rows where columns have another character set.
        _ => {
            let equal = |places: &Vec<String>| {
                let pairs =
                    names.iter().zip(places).map(|(name, place)| format!("{name} = {place}"));
                format!("({})", pairs.collect::<Vec<_>>().join(" AND "))
            };
            keys.iter().map(equal).collect::<Vec<_>>().join(" OR ")
        }
    };
    statement.sql.push_str(&format!(" WHERE {text}"));
}

/// The same with an array a column: for long lists PostgreSQL rather reads the whole table.
fn whose_keys_are_in_arrays(
    statement: &mut Statement<'_>,
    table: &Table,
    questions: &[&Question<'_>],
    equated: &[(usize, usize)],
) {
    let mut arrays = Vec::new();
    for &(column, parameter) in equated {
        let ty = match table.schema.attributes[column].ty {
            DataType::Bool => "boolean",
            DataType::Text => "text",
            _ => "bigint",
        };
        let values = questions.iter().map(|question| &question.with[parameter]);
        let place = statement.place(&Value::from(array(values).as_str()));
        arrays.push(format!("{place}::text::{ty}[]"));
    }
    let names: Vec<String> = equated.iter().map(|&(column, _)| statement.name(column)).collect();
    let text = match (names.as_slice(), arrays.as_slice()) {
        ([name], [array]) => format!(" WHERE {name} = ANY({array})"),
        _ => format!(
            " WHERE ({}) IN (SELECT * FROM unnest({}))",
            names.join(", "),
            arrays.join(", ")
        ),
    };
    statement.sql.push_str(&text);
}

/// Values as the text of an array of PostgreSQL.
fn array<'a>(values: impl Iterator<Item = &'a Value>) -> String {
    let mut text = String::from("{");
    for value in values {
        if text.len() > 1 {
            text.push(',');
        }
        text.push('"');
        let mut plain = String::new();
        value.write_text(&mut plain);
        for character in plain.chars() {
            match character {
                '"' | '\\' => text.extend(['\\', character]),
                // It cannot hold this one.
                '\0' => text.push('\u{FFFD}'),
                other => text.push(other),
            }
        }
        text.push('"');
    }
    text.push('}');
    text
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

    #[test]
    fn no_value_leaves_its_quotes_in_an_array() {
        let values = [Value::from("a"), Value::from("b\"},\\c\0"), Value::Long(-3)];
        assert_eq!(array(values.iter()), "{\"a\",\"b\\\"},\\\\c\u{FFFD}\",\"-3\"}");
        assert_eq!(array([Value::Bool(true)].iter()), "{\"true\"}");
    }
}
