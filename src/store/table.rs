//! A table of a store: what it should look like, and whether it does.

use crate::event::DataType;
use crate::event::Schema;
use crate::event::Value;
use crate::store::Session;
use crate::store::StoreError;

/// Names of our own tables begin so.
const OURS: &str = "twinflow_";

/// What a table should look like.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its name; letter case matters.
    pub name: String,
    /// Its columns.
    pub schema: Schema,
    /// The columns of the primary key; empty: none.
    pub key: Vec<usize>,
    /// The columns of each index.
    pub indexes: Vec<Vec<usize>>,
    /// The most characters of a text, where a database has to know; `None`: as many as it takes.
    pub lengths: Vec<Option<u32>>,
}

impl Table {
    /// A table without key and indexes.
    pub fn new(name: impl Into<String>, schema: Schema) -> Table {
        let lengths = vec![None; schema.len()];
        Table { name: name.into(), schema, key: Vec::new(), indexes: Vec::new(), lengths }
    }

    /// The same with these columns as its primary key.
    ///
    /// # Panics
    /// If there is no such column.
    #[must_use]
    pub fn with_key(mut self, names: &[&str]) -> Table {
        self.key = self.positions(names);
        self
    }

    /// The same with one more index, over these columns.
    ///
    /// # Panics
    /// If there is no such column.
    #[must_use]
    pub fn with_index(mut self, names: &[&str]) -> Table {
        self.indexes.push(self.positions(names));
        self
    }

    fn positions(&self, names: &[&str]) -> Vec<usize> {
        let position = |name: &&str| self.schema.position(name).expect("a column of the table");
        names.iter().map(position).collect()
    }

    /// The name of the index over these columns, not longer than any database takes.
    fn index_name(&self, columns: &[usize]) -> String {
        let names = columns.iter().map(|&index| self.schema.attributes[index].name.as_str());
        let whole = format!("{}_{}", self.name, names.collect::<Vec<_>>().join("_"));
        let checksum = crc32c::crc32c(whole.as_bytes());
        let short: String = whole.chars().filter(char::is_ascii).take(48).collect();
        format!("{short}_{checksum:08x}")
    }
}

/// What there is of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It was not there and was made.
    Made,
    /// It was there, and fits.
    There,
}

/// A column as the database tells it.
struct Column {
    name: String,
    declared: String,
    /// Its place in the primary key from 1; 0: none.
    key: i64,
}

impl Session {
    /// Makes a table, or checks the one that is there; indexes that are missing are made. Nothing
    /// that is there is changed. Not within a transaction, which some databases end here.
    ///
    /// # Errors
    /// [`Refused`](crate::store::Kind::Refused) where what is there does not fit, saying why.
    pub fn make_or_check(&mut self, table: &Table) -> Result<Found, StoreError> {
        self.check_names(table)?;
        let dialect = self.dialect();
        let there = self.columns(&table.name)?;
        let found = if there.is_empty() {
            self.execute(&dialect.create(table), &[])?;
            Found::Made
        } else {
            self.fits(table, &there)?;
            Found::There
        };
        let name = [Value::from(table.name.as_str())];
        let indexes = self.query(dialect.indexes_of(), &name, &[DataType::Text])?;
        for columns in &table.indexes {
            let name = table.index_name(columns);
            let same = |row: usize| indexes.columns[0].value(row).as_text() == Some(&name);
            if !(0..indexes.len()).any(same) {
                let made = self.execute(&dialect.create_index(table, &name, columns), &[]);
                // The other node may have been faster.
                if made.is_err() && !self.has_index(&table.name, &name)? {
                    made?;
                }
            }
        }
        Ok(found)
    }

    /// Whether there is a table of this name.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub fn has_table(&mut self, name: &str) -> Result<bool, StoreError> {
        Ok(!self.columns(name)?.is_empty())
    }

    fn has_index(&mut self, table: &str, name: &str) -> Result<bool, StoreError> {
        let sql = self.dialect().indexes_of();
        let found = self.query(sql, &[Value::from(table)], &[DataType::Text])?;
        Ok((0..found.len()).any(|row| found.columns[0].value(row).as_text() == Some(name)))
    }

    fn columns(&mut self, table: &str) -> Result<Vec<Column>, StoreError> {
        let sql = self.dialect().columns_of();
        let types = [DataType::Text, DataType::Text, DataType::Long];
        let found = self.query(sql, &[Value::from(table)], &types)?;
        let text = |column: usize, row| {
            found.columns[column].value(row).as_text().unwrap_or_default().to_owned()
        };
        let column = |row| Column {
            name: text(0, row),
            declared: text(1, row),
            key: found.columns[2].value(row).as_long().unwrap_or_default(),
        };
        Ok((0..found.len()).map(column).collect())
    }

    fn check_names(&self, table: &Table) -> Result<(), StoreError> {
        let most = self.dialect().name_bytes_max();
        for name in table.schema.names().chain([table.name.as_str()]) {
            if name.len() > most {
                let text = format!("the name `{name}` is longer than the {most} bytes it may have");
                return Err(self.refused(&text));
            }
        }
        if table.name.to_ascii_lowercase().starts_with(OURS) {
            let text = format!("`{}`: names that begin with `{OURS}` are kept", table.name);
            return Err(self.refused(&text));
        }
        Ok(())
    }

    fn fits(&self, table: &Table, there: &[Column]) -> Result<(), StoreError> {
        let dialect = self.dialect();
        let name = &table.name;
        for attribute in &table.schema.attributes {
            let column = there.iter().find(|column| column.name == attribute.name.as_str());
            let Some(column) = column else {
                let text = format!("table `{name}` has no column `{}`", attribute.name);
                return Err(self.refused(&text));
            };
            if !dialect.fits(attribute.ty, &column.declared) {
                let text = format!(
                    "column `{}` of table `{name}` is `{}` there, which does not hold every {}",
                    attribute.name, column.declared, attribute.ty
                );
                return Err(self.refused(&text));
            }
        }
        let mut key: Vec<_> = there.iter().filter(|column| column.key > 0).collect();
        key.sort_by_key(|column| column.key);
        let key: Vec<&str> = key.iter().map(|column| column.name.as_str()).collect();
        let wanted = table.key.iter().map(|&index| table.schema.attributes[index].name.as_str());
        let wanted: Vec<&str> = wanted.collect();
        let sorted = |mut names: Vec<&str>| {
            names.sort_unstable();
            names.join("`, `")
        };
        let (key, wanted) = (sorted(key), sorted(wanted));
        if key != wanted {
            let shown = |key: &str| match key {
                "" => "none".to_owned(),
                key => format!("`{key}`"),
            };
            return Err(self.refused(&format!(
                "the primary key of table `{name}` is {} there, not {}",
                shown(&key),
                shown(&wanted)
            )));
        }
        Ok(())
    }
}
