//! Changes of many rows at once, as statements.

use std::ops::Range;

use crate::event::Batch;
use crate::event::hash_cell;
use crate::store::Dialect;
use crate::store::Table;

/// What a statement does with many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Adds rows; a key that is there already is a conflict, and then no row is added.
    Insert,
    /// Sets all columns of the rows with these keys; keys that are not there change nothing.
    Update,
    /// Sets all columns of the rows with these keys, and adds those that are not there.
    Upsert,
    /// Removes the rows with these keys.
    Delete,
}

impl Change {
    /// The columns whose values the statement takes, in its order.
    pub(super) fn takes(self, table: &Table) -> Vec<usize> {
        let all = 0..table.schema.len();
        match self {
            Change::Insert | Change::Upsert => all.collect(),
            Change::Delete => table.key.clone(),
            Change::Update => {
                let rest = all.filter(|index| !table.key.contains(index));
                rest.chain(table.key.iter().copied()).collect()
            }
        }
    }
}

impl Dialect {
    /// The most rows that one statement of this change takes. Where columns are given as lists
    /// there is no such number.
    pub(super) fn rows_at_once(self, change: Change, table: &Table) -> usize {
        match (self, change) {
            (Dialect::Postgres, _) => usize::MAX,
            (Dialect::Sqlite, _) | (_, Change::Update) => 1,
            // A statement has 65,535 places; more rows than some hundred make it no faster.
            _ => (60_000 / change.takes(table).len().max(1)).clamp(1, 512),
        }
    }

    /// The statement for so many rows: its places are the values row by row or, where columns are
    /// given as lists, one list a column.
    pub(super) fn change(self, change: Change, table: &Table, rows: usize) -> String {
        if self == Dialect::Postgres {
            return of_lists(change, table);
        }
        let name = self.quote(&table.name);
        let takes = change.takes(table);
        let keys = &table.key;
        let rest: Vec<usize> =
            takes.iter().copied().filter(|index| !keys.contains(index)).collect();
        let columns = self.names(table, &takes);
        let row = vec!["?"; takes.len()].join(", ");
        let values = vec![format!("({row})"); rows].join(", ");
        let each = |columns: &[usize], between: &str, write: &dyn Fn(String) -> String| {
            let column = |&index: &usize| write(self.names(table, &[index]));
            columns.iter().map(column).collect::<Vec<_>>().join(between)
        };
        let is_given = |column: String| format!("{column} = ?");
        match (change, self) {
            (Change::Insert, _) => format!("INSERT INTO {name} ({columns}) VALUES {values}"),
            (Change::Upsert, Dialect::Sqlite) => {
                let set = each(&rest, ", ", &|column| format!("{column} = excluded.{column}"));
                let act = if rest.is_empty() { "NOTHING" } else { "UPDATE SET " };
                let key = self.names(table, keys);
                format!(
                    "INSERT INTO {name} ({columns}) VALUES {values} \
                     ON CONFLICT ({key}) DO {act}{set}"
                )
            }
            (Change::Upsert, _) => {
                // Where the key is all there is, something has to be set that changes nothing.
                let set = if rest.is_empty() { keys } else { &rest };
                let set = each(set, ", ", &|column| format!("{column} = VALUES({column})"));
                format!(
                    "INSERT INTO {name} ({columns}) VALUES {values} ON DUPLICATE KEY UPDATE {set}"
                )
            }
            (Change::Update, _) => {
                let set = each(&rest, ", ", &is_given);
                format!("UPDATE {name} SET {set} WHERE {}", each(keys, " AND ", &is_given))
            }
            (Change::Delete, Dialect::Sqlite) => {
                format!("DELETE FROM {name} WHERE {}", each(keys, " AND ", &is_given))
            }
            (Change::Delete, _) => {
                format!("DELETE FROM {name} WHERE ({columns}) IN ({values})")
            }
        }
    }
}

/// Of the rows with the same key the last one, which makes the earlier ones as if they had never
/// been; in their order.
pub(super) fn last_of_each_key(table: &Table, batch: &Batch, rows: Range<usize>) -> Vec<usize> {
    let key = || table.key.iter().map(|&index| &batch.columns[index]);
    let hash = |row: usize| key().fold(0, |hash, column| hash_cell(column, row, hash));
    let mut seen: hashbrown::HashTable<usize> = hashbrown::HashTable::with_capacity(rows.len());
    let mut chosen: Vec<usize> = Vec::with_capacity(rows.len());
    for row in rows.rev() {
        let hashed = hash(row);
        let same = |&other: &usize| key().all(|column| column.same(row, column, other));
        if seen.find(hashed, same).is_none() {
            seen.insert_unique(hashed, row, |&other| hash(other));
            chosen.push(row);
        }
    }
    chosen.reverse();
    chosen
}

fn of_lists(change: Change, table: &Table) -> String {
    let dialect = Dialect::Postgres;
    let name = dialect.quote(&table.name);
    let takes = change.takes(table);
    let columns = dialect.names(table, &takes);
    let list = |(place, &index): (usize, &usize)| {
        let ty = dialect.column_type(table.schema.attributes[index].ty);
        format!("${}::{ty}[]", place + 1)
    };
    let lists: Vec<String> = takes.iter().enumerate().map(list).collect();
    let source = format!("unnest({}) AS u ({columns})", lists.join(", "));
    let pairs = |columns: &[usize], left: &str, right: &str, between: &str| {
        let pair = |&index: &usize| {
            let column = dialect.names(table, &[index]);
            format!("{left}{column} = {right}{column}")
        };
        columns.iter().map(pair).collect::<Vec<_>>().join(between)
    };
    let rest: Vec<usize> =
        takes.iter().copied().filter(|index| !table.key.contains(index)).collect();
    let found = pairs(&table.key, "t.", "u.", " AND ");
    match change {
        Change::Insert => format!("INSERT INTO {name} ({columns}) SELECT {columns} FROM {source}"),
        Change::Upsert => {
            let set = pairs(&rest, "", "excluded.", ", ");
            let act = if rest.is_empty() { "NOTHING" } else { "UPDATE SET " };
            let key = dialect.names(table, &table.key);
            format!(
                "INSERT INTO {name} ({columns}) SELECT {columns} FROM {source} \
                 ON CONFLICT ({key}) DO {act}{set}"
            )
        }
        Change::Update => {
            let set = pairs(&rest, "", "u.", ", ");
            format!("UPDATE {name} AS t SET {set} FROM {source} WHERE {found}")
        }
        Change::Delete => format!("DELETE FROM {name} AS t USING {source} WHERE {found}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DataType;
    use crate::event::Schema;

    fn table() -> Table {
        let schema = Schema::new([("a", DataType::Int), ("b", DataType::Text)]);
        Table::new("t", schema).with_key(&["a"])
    }

    #[test]
    fn statements_take_rows_or_lists() {
        let sql = |dialect: Dialect, change, rows| dialect.change(change, &table(), rows);
        assert_eq!(
            sql(Dialect::Mysql, Change::Upsert, 2),
            "INSERT INTO `t` (`a`, `b`) VALUES (?, ?), (?, ?) \
             ON DUPLICATE KEY UPDATE `b` = VALUES(`b`)"
        );
        assert_eq!(
            sql(Dialect::Mariadb, Change::Delete, 3),
            "DELETE FROM `t` WHERE (`a`) IN ((?), (?), (?))"
        );
        assert_eq!(
            sql(Dialect::Sqlite, Change::Update, 1),
            "UPDATE \"t\" SET \"b\" = ? WHERE \"a\" = ?"
        );
        assert_eq!(
            sql(Dialect::Postgres, Change::Update, 9),
            "UPDATE \"t\" AS t SET \"b\" = u.\"b\" FROM \
             unnest($1::TEXT[], $2::INTEGER[]) AS u (\"b\", \"a\") WHERE t.\"a\" = u.\"a\""
        );
        assert_eq!(
            sql(Dialect::Postgres, Change::Upsert, 9),
            "INSERT INTO \"t\" (\"a\", \"b\") SELECT \"a\", \"b\" FROM \
             unnest($1::INTEGER[], $2::TEXT[]) AS u (\"a\", \"b\") \
             ON CONFLICT (\"a\") DO UPDATE SET \"b\" = excluded.\"b\""
        );
    }

    #[test]
    fn of_equal_keys_the_last_row_is_chosen() {
        let mut batch = Batch::new(&[DataType::Int, DataType::Text]);
        for (key, text) in [(1, "a"), (2, "b"), (1, "c"), (3, "d"), (2, "e")] {
            batch.push_row(0, &[crate::event::Value::Int(key), text.into()]);
        }
        assert_eq!(last_of_each_key(&table(), &batch, 0..5), [2, 3, 4]);
        assert_eq!(last_of_each_key(&table(), &batch, 0..2), [0, 1]);
    }

    #[test]
    fn a_key_alone_can_be_added_or_kept() {
        let mut table = table();
        table.key = vec![0, 1];
        let sql = Dialect::Sqlite.change(Change::Upsert, &table, 1);
        assert!(sql.ends_with("ON CONFLICT (\"a\", \"b\") DO NOTHING"), "{sql}");
        let sql = Dialect::Mariadb.change(Change::Upsert, &table, 1);
        assert!(sql.ends_with("UPDATE `a` = VALUES(`a`), `b` = VALUES(`b`)"), "{sql}");
    }
}
