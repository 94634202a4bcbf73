//! What differs between databases as SQL: quoting, types, the making of tables, what is there
//! already. Nothing but this, `change` and the three drivers asks which database it is.

use std::fmt::Write as _;

use crate::event::DataType;
use crate::store::Table;

/// The SQL that a store speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// MySQL, from 8.0 on.
    Mysql,
    /// MariaDB, from 10.4 on.
    Mariadb,
    /// PostgreSQL, from 12 on.
    Postgres,
}

/// Characters of a text in a key where the table does not say; only MySQL needs to know.
const KEY_CHARACTERS: u32 = 255;
/// Characters of all texts of a key together that fit into an index of InnoDB (3,072 bytes).
const KEY_CHARACTERS_MAX: u32 = 740;

impl Dialect {
    /// A name in quotes.
    #[must_use]
    pub fn quote(self, name: &str) -> String {
        match self {
            Dialect::Mysql | Dialect::Mariadb => format!("`{}`", name.replace('`', "``")),
            Dialect::Sqlite | Dialect::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }

    /// The place of a value in a statement, counted from 1.
    #[must_use]
    pub fn placeholder(self, number: usize) -> String {
        match self {
            Dialect::Sqlite => format!("?{number}"),
            Dialect::Mysql | Dialect::Mariadb => "?".to_owned(),
            Dialect::Postgres => format!("${number}"),
        }
    }

    /// Begins a transaction that may write.
    pub(super) fn begin(self) -> &'static str {
        match self {
            // At once, not at the first write, where it might be too late to wait.
            Dialect::Sqlite => "BEGIN IMMEDIATE",
            _ => "START TRANSACTION",
        }
    }

    /// At the end of a query: its rows are locked until the transaction ends.
    pub(super) fn for_update(self) -> &'static str {
        match self {
            // Whoever began a transaction to write has locked the whole file.
            Dialect::Sqlite => "",
            _ => " FOR UPDATE",
        }
    }

    /// Adds a row of so many values unless its key is there.
    #[must_use]
    pub fn insert_if_new(self, table: &str, columns: usize) -> String {
        let places = (1..=columns).map(|number| self.placeholder(number)).collect::<Vec<_>>();
        let (ignore, rest) = match self {
            Dialect::Mysql | Dialect::Mariadb => (" IGNORE", ""),
            Dialect::Sqlite | Dialect::Postgres => ("", " ON CONFLICT DO NOTHING"),
        };
        format!("INSERT{ignore} INTO {table} VALUES ({}){rest}", places.join(", "))
    }

    /// Lets one at a time bring our own tables up to date; nothing where the transaction does.
    pub(super) fn lock_migrations(self) -> &'static str {
        match self {
            Dialect::Sqlite => "",
            Dialect::Mysql | Dialect::Mariadb => "SELECT get_lock('twinflow_schema', 20)",
            Dialect::Postgres => "SELECT pg_advisory_xact_lock(8391730221)",
        }
    }

    /// Ends that, where the transaction's end does not.
    pub(super) fn unlock_migrations(self) -> &'static str {
        match self {
            Dialect::Mysql | Dialect::Mariadb => "SELECT release_lock('twinflow_schema')",
            Dialect::Sqlite | Dialect::Postgres => "",
        }
    }

    /// The longest name of a table or column, in bytes; longer ones would be cut or refused.
    #[must_use]
    pub fn name_bytes_max(self) -> usize {
        match self {
            Dialect::Sqlite => usize::MAX,
            Dialect::Mysql | Dialect::Mariadb => 64,
            Dialect::Postgres => 63,
        }
    }

    /// The type of a column that holds every value of this type.
    #[must_use]
    pub fn column_type(self, ty: DataType) -> &'static str {
        match (self, ty) {
            (Dialect::Sqlite, DataType::Int | DataType::Long) => "INTEGER",
            (Dialect::Sqlite, DataType::Float | DataType::Double) => "REAL",
            (Dialect::Sqlite, DataType::Object) => "BLOB",
            (_, DataType::Int) => "INTEGER",
            (_, DataType::Long) => "BIGINT",
            (Dialect::Postgres, DataType::Float) => "REAL",
            (_, DataType::Float) => "FLOAT",
            (Dialect::Postgres, DataType::Double) => "DOUBLE PRECISION",
            (_, DataType::Double) => "DOUBLE",
            (_, DataType::Bool) => "BOOLEAN",
            (Dialect::Sqlite | Dialect::Postgres, DataType::Text) => "TEXT",
            (_, DataType::Text) => "LONGTEXT",
            (Dialect::Postgres, DataType::Object) => "BYTEA",
            (_, DataType::Object) => "LONGBLOB",
        }
    }

    /// Whether a column of this declared type, as [`columns_of`](Dialect::columns_of) tells it,
    /// holds values of an attribute's type and gives them back.
    #[must_use]
    pub fn fits(self, ty: DataType, declared: &str) -> bool {
        let declared = declared.to_ascii_lowercase();
        let base = declared.split(['(', ' ']).next().unwrap_or("");
        let whole = ["int", "integer", "bigint", "int4", "int8", "mediumint"];
        let small = ["smallint", "int2", "tinyint"];
        let text = [
            "text",
            "varchar",
            "char",
            "bpchar",
            "character",
            "longtext",
            "mediumtext",
            "tinytext",
            "clob",
            "nvarchar",
            "name",
        ];
        let blob = ["blob", "bytea", "longblob", "mediumblob"];
        match ty {
            DataType::Int => whole.contains(&base) || small.contains(&base),
            DataType::Long => match self {
                Dialect::Sqlite => whole.contains(&base),
                _ => base == "bigint" || base == "int8",
            },
            DataType::Float => ["real", "float", "float4", "double", "float8"].contains(&base),
            DataType::Double => match self {
                Dialect::Sqlite => ["real", "float", "double"].contains(&base),
                _ => base == "double" || base == "float8",
            },
            DataType::Bool => ["boolean", "bool", "tinyint"].contains(&base),
            DataType::Text => text.contains(&base),
            DataType::Object => blob.contains(&base),
        }
    }

    /// Asks for name, declared type and place in the primary key (0: none) of a table's columns;
    /// no rows where there is no such table.
    pub(super) fn columns_of(self) -> &'static str {
        match self {
            Dialect::Sqlite => "SELECT name, type, pk FROM pragma_table_info(?1)",
            Dialect::Mysql | Dialect::Mariadb => {
                "SELECT c.column_name, c.column_type, CAST(coalesce(s.seq_in_index, 0) AS SIGNED) \
                 FROM information_schema.columns c LEFT JOIN information_schema.statistics s \
                 ON s.table_schema = c.table_schema AND s.table_name = c.table_name \
                 AND s.column_name = c.column_name AND s.index_name = 'PRIMARY' \
                 WHERE c.table_schema = database() AND c.table_name = ? \
                 ORDER BY c.ordinal_position"
            }
            Dialect::Postgres => {
                "SELECT a.attname::text, t.typname::text, \
                 coalesce(array_position(i.indkey::int2[], a.attnum) + 1, 0)::int4 \
                 FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
                 LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary \
                 WHERE a.attrelid = to_regclass(quote_ident($1)) AND a.attnum > 0 \
                 AND NOT a.attisdropped ORDER BY a.attnum"
            }
        }
    }

    /// Asks for the names of a table's indexes.
    pub(super) fn indexes_of(self) -> &'static str {
        match self {
            Dialect::Sqlite => "SELECT name FROM pragma_index_list(?1)",
            Dialect::Mysql | Dialect::Mariadb => {
                "SELECT DISTINCT index_name FROM information_schema.statistics \
                 WHERE table_schema = database() AND table_name = ?"
            }
            Dialect::Postgres => {
                "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
                 WHERE i.indrelid = to_regclass(quote_ident($1))"
            }
        }
    }

    /// Makes the table unless it is there.
    pub(super) fn create(self, table: &Table) -> String {
        let mut sql = format!("CREATE TABLE IF NOT EXISTS {} (", self.quote(&table.name));
        for (index, attribute) in table.schema.attributes.iter().enumerate() {
            let name = self.quote(&attribute.name);
            let in_key = table.key.contains(&index);
            let mut ty = self.column_type(attribute.ty).to_owned();
            if let Some(collation) = self.collation().filter(|_| attribute.ty == DataType::Text) {
                if let Some(length) = table.lengths[index].or(in_key.then(|| key_length(table))) {
                    ty = format!("VARCHAR({length})");
                }
                let _ = write!(ty, " COLLATE {collation}");
            }
            let null = if in_key { " NOT NULL" } else { "" };
            let _ = write!(sql, "{name} {ty}{null}, ");
        }
        if table.key.is_empty() {
            sql.truncate(sql.len() - 2);
        } else {
            let _ = write!(sql, "PRIMARY KEY ({})", self.names(table, &table.key));
        }
        sql.push(')');
        if self.collation().is_some() {
            sql.push_str(" ENGINE=InnoDB DEFAULT CHARSET=utf8mb4");
        }
        sql
    }

    /// Makes an index over these columns.
    pub(super) fn create_index(self, table: &Table, name: &str, columns: &[usize]) -> String {
        let column = |&index: &usize| {
            let attribute = &table.schema.attributes[index];
            let quoted = self.quote(&attribute.name);
            let long = attribute.ty == DataType::Text
                && !table.key.contains(&index)
                && table.lengths[index].is_none();
            // Of a long text only the beginning can be indexed there.
            if long && self.collation().is_some() { format!("{quoted}(191)") } else { quoted }
        };
        let columns: Vec<String> = columns.iter().map(column).collect();
        let (name, on) = (self.quote(name), self.quote(&table.name));
        format!("CREATE INDEX {name} ON {on} ({})", columns.join(", "))
    }

    /// By which texts are compared byte by byte, the spaces at their end too; the others do so by
    /// themselves.
    fn collation(self) -> Option<&'static str> {
        match self {
            Dialect::Mysql => Some("utf8mb4_0900_bin"),
            Dialect::Mariadb => Some("utf8mb4_nopad_bin"),
            Dialect::Sqlite | Dialect::Postgres => None,
        }
    }

    pub(super) fn names(self, table: &Table, columns: &[usize]) -> String {
        let name = |&index: &usize| self.quote(&table.schema.attributes[index].name);
        columns.iter().map(name).collect::<Vec<_>>().join(", ")
    }
}

/// Characters of a text in a key where the table does not say.
fn key_length(table: &Table) -> u32 {
    let is_text = |index: &&usize| table.schema.attributes[**index].ty == DataType::Text;
    let texts = u32::try_from(table.key.iter().filter(is_text).count()).unwrap_or(u32::MAX);
    KEY_CHARACTERS.min(KEY_CHARACTERS_MAX / texts.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Schema;

    fn table() -> Table {
        let schema = Schema::new([
            ("id", DataType::Text),
            ("count", DataType::Long),
            ("note", DataType::Text),
        ]);
        Table::new("t", schema).with_key(&["id"])
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        assert_eq!(Dialect::Mariadb.quote("a`b"), "`a``b`");
        assert_eq!(Dialect::Postgres.quote("a\"b"), "\"a\"\"b\"");
    }

    #[test]
    fn only_texts_in_a_key_are_bounded_and_only_where_they_must() {
        let sql = Dialect::Mariadb.create(&table());
        let expected = "CREATE TABLE IF NOT EXISTS `t` (`id` VARCHAR(255) COLLATE \
            utf8mb4_nopad_bin NOT NULL, `count` BIGINT, `note` LONGTEXT COLLATE utf8mb4_nopad_bin, \
            PRIMARY KEY (`id`)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";
        assert_eq!(sql, expected);
        let sql = Dialect::Postgres.create(&table());
        let expected = "CREATE TABLE IF NOT EXISTS \"t\" (\"id\" TEXT NOT NULL, \"count\" BIGINT, \
            \"note\" TEXT, PRIMARY KEY (\"id\"))";
        assert_eq!(sql, expected);
        let sql = Dialect::Mysql.create_index(&table(), "i", &[2, 1]);
        assert_eq!(sql, "CREATE INDEX `i` ON `t` (`note`(191), `count`)");
        assert_eq!(Dialect::Sqlite.create_index(&table(), "i", &[2]).matches("191").count(), 0);
    }

    #[test]
    fn a_column_fits_if_it_holds_all_values() {
        for dialect in [Dialect::Sqlite, Dialect::Mysql, Dialect::Mariadb, Dialect::Postgres] {
            for ty in DataType::ALL {
                let own = dialect.column_type(ty).to_lowercase();
                assert!(dialect.fits(ty, &own), "{dialect:?} {ty}");
            }
        }
        assert!(!Dialect::Postgres.fits(DataType::Long, "int4"));
        assert!(!Dialect::Mariadb.fits(DataType::Double, "varchar(20)"));
        assert!(Dialect::Mysql.fits(DataType::Text, "varchar(20)"));
    }
}
