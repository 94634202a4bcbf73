//! The keys of many questions as SQL.

use crate::event::DataType;
use crate::event::Value;
use crate::publishers::rdbms::errands::ask::Question;
use crate::publishers::rdbms::errands::condition::Statement;
use crate::store::Dialect;
use crate::store::Table;

/// ` WHERE` the columns equal the keys of one of the questions, the last of which may be repeated
/// so that statements are the same again.
pub fn whose_keys(
    statement: &mut Statement<'_>,
    table: &Table,
    questions: &[&Question<'_>],
    equated: &[(usize, usize)],
) {
    match statement.dialect() {
        Dialect::Postgres => whose_keys_are_in_arrays(statement, table, questions, equated),
        _ => whose_keys_are_listed(statement, questions, equated),
    }
}

/// ` WHERE` the columns equal one of the keys, each in places of its own.
fn whose_keys_are_listed(
    statement: &mut Statement<'_>,
    questions: &[&Question<'_>],
    equated: &[(usize, usize)],
) {
    let names: Vec<String> = equated.iter().map(|&(column, _)| statement.name(column)).collect();
    let mut keys = Vec::new();
    for question in questions {
        let values = equated.iter().map(|&(_, parameter)| &question.with[parameter]);
        keys.push(values.map(|value| statement.place(value)).collect::<Vec<_>>());
    }
    let listed = |begin: &str, end: &str| {
        let key = |places: &Vec<String>| format!("{begin}{}{end}", places.join(", "));
        keys.iter().map(key).collect::<Vec<_>>().join(", ")
    };
    let text = match names.as_slice() {
        [name] => format!("{name} IN ({})", listed("", "")),
        _ if statement.dialect() == Dialect::Sqlite => {
            format!("({}) IN (VALUES {})", names.join(", "), listed("(", ")"))
        }
        // MariaDB finds too little by a list of rows where columns have another character set.
        _ => {
            let equal = |places: &Vec<String>| {
                let pairs =
                    names.iter().zip(places).map(|(name, place)| format!("{name} = {place}"));
                format!("({})", pairs.collect::<Vec<_>>().join(" AND "))
            };
            format!("({})", keys.iter().map(equal).collect::<Vec<_>>().join(" OR "))
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
