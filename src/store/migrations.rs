//! Our own tables in a store: made when the store is first used, and brought up to date by the
//! steps that it lacks.
//!
//! A step has a number and stands in three folders, one for each kind of database. The numbers done
//! are kept in `twinflow_schema`. MySQL ends a transaction at each change of a table, so there a
//! step is one statement that may be done twice.

use crate::event::DataType;
use crate::event::Value;
use crate::store::Dialect;
use crate::store::Kind;
use crate::store::Session;
use crate::store::StoreError;

/// One step.
#[derive(Debug)]
struct Migration {
    name: &'static str,
    sqlite: &'static str,
    mysql: &'static str,
    postgres: &'static str,
}

macro_rules! migrations {
    ($($name:literal),* $(,)?) => {
        &[$(Migration {
            name: $name,
            sqlite: include_str!(concat!("../../migrations/sqlite/", $name, ".sql")),
            mysql: include_str!(concat!("../../migrations/mysql/", $name, ".sql")),
            postgres: include_str!(concat!("../../migrations/postgres/", $name, ".sql")),
        }),*]
    };
}

/// All steps in order; the first has number 1.
const MIGRATIONS: &[Migration] = migrations!["0001_writers", "0002_arbiter"];

/// The number of the last step that this build knows.
pub const LATEST: usize = MIGRATIONS.len();

/// Brings a store up to the last step.
///
/// # Errors
/// [`Kind::Broken`] where the store has steps that this build does not know; else those of the
/// store.
pub fn migrate(session: &mut Session) -> Result<(), StoreError> {
    migrate_to(session, LATEST)
}

/// Brings a store up to this step, as an earlier build would have left it.
///
/// # Errors
/// As for [`migrate`].
pub fn migrate_to(session: &mut Session, last: usize) -> Result<(), StoreError> {
    // Most often there is nothing to do, and nobody need be waited for.
    if session.has_table("twinflow_schema")? && done(session)? == last {
        return Ok(());
    }
    let brought = session.transaction(|session| {
        let lock = session.dialect().lock_migrations();
        if !lock.is_empty() {
            session.run(lock)?;
        }
        session.run(
            "CREATE TABLE IF NOT EXISTS twinflow_schema (\
             number INTEGER NOT NULL PRIMARY KEY, name VARCHAR(100) NOT NULL)",
        )?;
        let done = done(session)?;
        if done > last {
            let text = format!(
                "its tables are of step {done}, and this build knows step {last}: run the build \
                 that wrote them, or a newer one"
            );
            return Err(StoreError::new(Kind::Broken, text).of(session.store()));
        }
        for (index, migration) in MIGRATIONS.iter().enumerate().take(last).skip(done) {
            session.run(migration.of(session.dialect()))?;
            let sql = session.dialect().insert_if_new("twinflow_schema", 2);
            let number = i32::try_from(index + 1).expect("few steps");
            session.execute(&sql, &[Value::Int(number), Value::from(migration.name)])?;
        }
        Ok(())
    });
    let unlock = session.dialect().unlock_migrations();
    if !unlock.is_empty() {
        // Where this fails the connection is lost, and the lock with it.
        let _ = session.run(unlock);
    }
    brought
}

fn done(session: &mut Session) -> Result<usize, StoreError> {
    let sql = "SELECT coalesce(max(number), 0) FROM twinflow_schema";
    let found = session.query(sql, &[], &[DataType::Int])?;
    Ok(found.columns[0].value(0).as_long().and_then(|done| done.try_into().ok()).unwrap_or(0))
}

impl Migration {
    fn of(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Mysql | Dialect::Mariadb => self.mysql,
            Dialect::Postgres => self.postgres,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_folders_hold_the_same_steps_and_all_are_known() {
        let known: Vec<_> = MIGRATIONS.iter().map(|step| format!("{}.sql", step.name)).collect();
        for folder in ["sqlite", "mysql", "postgres"] {
            let path = format!("{}/migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
            let entries = std::fs::read_dir(path).unwrap();
            let name = |entry: std::io::Result<std::fs::DirEntry>| {
                entry.unwrap().file_name().into_string().unwrap()
            };
            let mut found: Vec<_> = entries.map(name).collect();
            found.sort();
            assert_eq!(found, known, "{folder}");
        }
        for (index, step) in MIGRATIONS.iter().enumerate() {
            assert!(step.name.starts_with(&format!("{:04}_", index + 1)), "{}", step.name);
        }
    }

    #[test]
    fn a_step_of_mysql_is_one_statement_that_may_be_done_twice() {
        for step in MIGRATIONS {
            let sql = step.mysql.trim().trim_end_matches(';');
            assert!(!sql.contains(';') && sql.contains(" IF NOT EXISTS "), "{}", step.name);
        }
    }
}
