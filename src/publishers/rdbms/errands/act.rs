//! What is done to a table: rows that are added go many at a time, all else one by one.

use crate::event::Batch;
use crate::event::Value;
use crate::plan::expression::Comparison;
use crate::plan::outside::Act;
use crate::plan::outside::Condition;
use crate::plan::outside::Errand;
use crate::plan::terms::Term;
use crate::publishers::rdbms::errands::condition::Statement;
use crate::publishers::rdbms::errands::condition::columns;
use crate::publishers::rdbms::errands::terms;
use crate::store::Change;
use crate::store::Session;
use crate::store::StoreError;
use crate::store::Table;

/// Something to be done.
#[derive(Debug)]
pub struct Deed<'a> {
    /// What.
    pub errand: &'a Errand,
    /// The parameters.
    pub with: Vec<Value>,
    /// The row that is added, in `rows` beside.
    pub row: usize,
}

/// Does it all in this order, within a transaction. `rows` are in columns of the table.
///
/// # Errors
/// What the store says; the transaction must be undone.
pub fn act(
    session: &mut Session,
    table: &Table,
    deeds: &[Deed<'_>],
    rows: &Batch,
) -> Result<(), StoreError> {
    let mut start = 0;
    while start < deeds.len() {
        let change = in_bulk(table, &deeds[start], rows);
        let Some(change) = change else {
            one(session, table, &deeds[start], rows)?;
            start += 1;
            continue;
        };
        let same = |deed: &&Deed<'_>| in_bulk(table, deed, rows) == Some(change);
        let end = start + deeds[start..].iter().take_while(same).count();
        let mut put = rows.empty_like(end - start);
        let places: Vec<u32> = deeds[start..end].iter().map(|deed| deed.row as u32).collect();
        put.gather(rows, &places);
        session.change(change, table, &put, 0..put.len())?;
        start = end;
    }
    Ok(())
}

/// The change that does the same for many rows, if there is one: a new row, or one in place of that
/// of its primary key.
fn in_bulk(table: &Table, deed: &Deed<'_>, rows: &Batch) -> Option<Change> {
    match deed.errand.act {
        Act::Insert => Some(Change::Insert),
        Act::UpdateOrInsert => {
            let (condition, sets) = (deed.errand.condition.as_ref()?, &deed.errand.sets);
            let mut equated = Vec::new();
            equalities(condition, &mut equated)?;
            let own = |&(column, parameter): &(usize, usize)| {
                let value = rows.columns[column].value(deed.row);
                !value.is_null() && is_same(&value, &deed.with[parameter])
            };
            let mut columns: Vec<usize> = equated.iter().map(|pair| pair.0).collect();
            columns.sort_unstable();
            let mut key = table.key.clone();
            key.sort_unstable();
            let is_whole = (0..table.schema.len())
                .all(|column| sets.iter().any(|set| set.0 == column) || key.contains(&column));
            let as_given = |(column, term): &(usize, Term)| match term {
                Term::Parameter(parameter) => {
                    is_same(&rows.columns[*column].value(deed.row), &deed.with[*parameter])
                }
                Term::Column(_) | Term::Calculated(..) => false,
            };
            let is_upsert =
                columns == key && equated.iter().all(own) && is_whole && sets.iter().all(as_given);
            is_upsert.then_some(Change::Upsert)
        }
        Act::Ask | Act::Update | Act::Delete => None,
    }
}

/// The columns that a condition equals to parameters, if that is all it says.
fn equalities(condition: &Condition, all: &mut Vec<(usize, usize)>) -> Option<()> {
    match condition {
        Condition::And(left, right) => {
            equalities(left, all)?;
            equalities(right, all)
        }
        Condition::Compare(Comparison::Equal, column, parameter) => {
            all.push((*column, *parameter));
            Some(())
        }
        _ => None,
    }
}

/// Whether a value is what a column gets by this parameter.
fn is_same(value: &Value, parameter: &Value) -> bool {
    match (value, parameter) {
        (Value::Null, Value::Null) => true,
        (Value::Text(one), Value::Text(other)) => one == other,
        (Value::Bool(one), Value::Bool(other)) => one == other,
        (Value::Int(_) | Value::Long(_), Value::Int(_) | Value::Long(_)) => {
            value.as_long() == parameter.as_long()
        }
        (Value::Float(one), Value::Float(other)) => one.to_bits() == other.to_bits(),
        (Value::Double(one), Value::Double(other)) => one.to_bits() == other.to_bits(),
        _ => false,
    }
}

fn one(
    session: &mut Session,
    table: &Table,
    deed: &Deed<'_>,
    rows: &Batch,
) -> Result<(), StoreError> {
    let (dialect, condition) = (session.dialect(), deed.errand.condition.as_ref());
    let name = dialect.quote(&table.name);
    let begin = |sql: String| Statement::new(dialect, table, sql);
    match deed.errand.act {
        Act::Ask | Act::Insert => {}
        Act::Delete => {
            let mut statement = begin(format!("DELETE FROM {name}"));
            statement.whose(condition, &deed.with);
            session.execute(&statement.sql, &statement.values)?;
        }
        Act::Update | Act::UpdateOrInsert => {
            let mut statement = begin(format!("UPDATE {name} SET "));
            for (place, (column, term)) in deed.errand.sets.iter().enumerate() {
                let set = statement.name(*column);
                let value = terms::value(&mut statement, table, term, &deed.with);
                let comma = if place > 0 { ", " } else { "" };
                statement.sql.push_str(&format!("{comma}{set} = {value}"));
            }
            statement.whose(condition, &deed.with);
            let changed = session.execute(&statement.sql, &statement.values)?;
            if changed == 0 && deed.errand.act == Act::UpdateOrInsert {
                let mut statement = begin(String::new());
                let values = rows.row(deed.row);
                let places: Vec<String> =
                    values.iter().map(|value| statement.place(value)).collect();
                let all = columns(dialect, table);
                let sql = format!("INSERT INTO {name} ({all}) VALUES ({})", places.join(", "));
                session.execute(&sql, &statement.values)?;
            }
        }
    }
    Ok(())
}
