//! The record as one row in a file of SQLite: the arbiter of a pair on one machine.
//!
//! Each question opens the file anew. That costs a fraction of a millisecond a few times a second,
//! and a file that was replaced is seen at once: its record has another id. A file that was there
//! and is gone is an error, never made again by this process.
//!
//! A write that says something new is on disk before it is answered: `synchronous` is `EXTRA`, as
//! with the rollback journal `FULL` could lose the last commit with the power. One that only renews
//! the lease is not waited for: losing it with the power is as if it had not come in time, and
//! nobody is left who saw it. The file is locked meanwhile, and a process that is halted just then
//! keeps it locked: on a busy disk two halts of seven in a test met a sync.

use crate::ha::arbiter::ArbiterError;
use crate::ha::arbiter::Pair;
use crate::ha::arbiter::RecordStore;
use crate::ha::arbiter::Written;
use crate::ha::arbiter::random_id;
use crate::ha::arbiter::unreachable;
use crate::ha::protocol::Record;
use crate::ha::protocol::Version;
use rusqlite::Connection;
use rusqlite::ErrorCode;
use rusqlite::OpenFlags;
use rusqlite::OptionalExtension;
use rusqlite::Transaction;
use rusqlite::TransactionBehavior;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

/// Marks the file as ours: "TWAR".
const APPLICATION: i32 = 0x5457_4152;
/// The form of the row.
const FORMAT: i32 = 1;

/// The record in a file of SQLite.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    pair: Pair,
    wait: Duration,
    /// The file was there once.
    seen: bool,
    /// The record as it was last written here.
    last: Option<Record>,
}

/// When a transaction is done, as `PRAGMA synchronous` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Durability {
    /// When it is on disk.
    Extra,
    /// When the system has it: a crash of the process does not lose it.
    Off,
}

impl SqliteStore {
    /// A store in this file; nothing is opened yet. `wait` is how long a locked file is waited for.
    pub fn new(path: &Path, pair: Pair, wait: Duration) -> SqliteStore {
        SqliteStore { path: path.to_owned(), pair, wait, seen: false, last: None }
    }

    /// Opens the file, does the work in one transaction, and makes sure that it is still the file
    /// at that path.
    fn within<T>(
        &mut self,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>, Record) -> Result<T, Trouble>,
    ) -> Result<T, ArbiterError> {
        let before = self.identity()?;
        if before.is_none() && self.seen {
            return Err(ArbiterError::Replaced { path: self.path.clone() });
        }
        let done = self.transact(durability, work).map_err(|trouble| self.explain(trouble))?;
        let after = self.identity()?;
        if after.is_none() || before.is_some() && before != after {
            return Err(ArbiterError::Replaced { path: self.path.clone() });
        }
        self.seen = true;
        Ok(done)
    }

    fn transact<T>(
        &self,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>, Record) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, !self.seen);
        let mut connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(self.wait)?;
        let synchronous = match durability {
            Durability::Extra => "EXTRA",
            Durability::Off => "OFF",
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let record = self.find(&transaction)?;
        let done = work(&transaction, record)?;
        transaction.commit()?;
        Ok(done)
    }

    /// The record; made in this transaction if the file is new. Of several processes that come at
    /// once the transaction lets one make it, and the others find it.
    fn find(&self, transaction: &Transaction<'_>) -> Result<Record, Trouble> {
        let number =
            |pragma| transaction.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
        match (number("application_id")?, number("user_version")?) {
            (APPLICATION, FORMAT) => self.load(transaction),
            (APPLICATION, other) => Err(Trouble::Damaged(format!(
                "its form is {other}, and this build reads form {FORMAT}"
            ))),
            (0, 0) if !self.seen => self.make(transaction),
            _ => Err(Trouble::Damaged("it is a database, but not an arbiter's".to_owned())),
        }
    }

    fn make(&self, transaction: &Transaction<'_>) -> Result<Record, Trouble> {
        let count = "SELECT count(*) FROM sqlite_schema";
        if transaction.query_row(count, [], |row| row.get::<_, i64>(0))? > 0 {
            return Err(Trouble::Damaged("it is a database, but not an arbiter's".to_owned()));
        }
        let record = Record::virgin(random_id().map_err(Trouble::System)?, self.pair.lease);
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.execute(
            "CREATE TABLE arbiter (
                one INTEGER PRIMARY KEY CHECK (one = 1), cluster TEXT NOT NULL,
                version INTEGER NOT NULL, record BLOB NOT NULL, checksum INTEGER NOT NULL
            ) STRICT",
            [],
        )?;
        let body = record.encode();
        transaction.execute(
            "INSERT INTO arbiter VALUES (1, ?1, 0, ?2, ?3)",
            (&self.pair.cluster, &body, crc32c::crc32c(&body)),
        )?;
        Ok(record)
    }

    fn load(&self, transaction: &Transaction<'_>) -> Result<Record, Trouble> {
        let query = "SELECT cluster, record, checksum FROM arbiter";
        let row = transaction
            .query_row(query, [], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, u32>(2)?))
            })
            .optional()?;
        let Some((cluster, body, checksum)) = row else {
            return Err(Trouble::Damaged("its row is gone".to_owned()));
        };
        if cluster != self.pair.cluster {
            return Err(Trouble::Foreign(cluster));
        }
        if crc32c::crc32c(&body) != checksum {
            return Err(Trouble::Damaged("the checksum of its row does not fit".to_owned()));
        }
        Record::decode(&body).map_err(|error| Trouble::Damaged(error.to_string()))
    }

    /// Device and inode of the file at the path, if there is one.
    fn identity(&self) -> Result<Option<(u64, u64)>, ArbiterError> {
        match std::fs::metadata(&self.path) {
            Ok(found) => Ok(Some((found.dev(), found.ino()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreachable(&self.place(), error)),
        }
    }

    fn explain(&self, trouble: Trouble) -> ArbiterError {
        let path = self.path.clone();
        let place = self.place();
        match trouble {
            Trouble::Damaged(reason) => ArbiterError::Damaged { path, reason },
            Trouble::Foreign(theirs) => {
                ArbiterError::Foreign { place, theirs, ours: self.pair.cluster.clone() }
            }
            Trouble::Sqlite(error) => match error.sqlite_error_code() {
                Some(
                    // What has no code of its own is a fault of the query: a table is missing.
                    ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::Unknown,
                ) => ArbiterError::Damaged { path, reason: error.to_string() },
                _ => match error {
                    rusqlite::Error::SqliteFailure(..) => unreachable(&place, error),
                    // The row is not what was written: a value of another kind, a table missing.
                    other => ArbiterError::Damaged { path, reason: other.to_string() },
                },
            },
            Trouble::System(error) => unreachable(&place, error),
        }
    }
}

impl RecordStore for SqliteStore {
    fn read(&mut self) -> Result<Record, ArbiterError> {
        self.within(Durability::Extra, |_, record| Ok(record))
    }

    fn write(&mut self, expected: Version, proposed: &Record) -> Result<Written, ArbiterError> {
        let durability = durability(self.last.as_ref(), expected, proposed);
        let written = self.within(durability, |transaction, mut record| {
            if !record.compare_and_set(expected, proposed) {
                return Ok(Written::Lost(record));
            }
            let body = record.encode();
            let version = i64::try_from(record.version.0).unwrap_or(i64::MAX);
            transaction.execute(
                "UPDATE arbiter SET version = ?1, record = ?2, checksum = ?3",
                (version, &body, crc32c::crc32c(&body)),
            )?;
            Ok(Written::Won(record))
        })?;
        if let Written::Won(record) = &written {
            self.last = Some(record.clone());
        }
        Ok(written)
    }

    fn place(&self) -> String {
        format!("sqlite:{}", self.path.display())
    }
}

/// What a write needs that comes after this record: one whose version is expected is the one that
/// is there, as each write raises it.
fn durability(last: Option<&Record>, expected: Version, proposed: &Record) -> Durability {
    let renews = last.is_some_and(|last| {
        last.version == expected && *last == Record { version: expected, ..proposed.clone() }
    });
    if renews { Durability::Off } else { Durability::Extra }
}

enum Trouble {
    Sqlite(rusqlite::Error),
    System(io::Error),
    Damaged(String),
    Foreign(String),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Trouble {
        Trouble::Sqlite(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ha::protocol::Epoch;

    #[test]
    fn only_what_renews_the_lease_need_not_be_on_disk() {
        let record = Record { version: Version(7), ..Record::virgin(random_id().unwrap(), 1_000) };
        let renewed = Record { version: Version(8), ..record.clone() };
        let of = |last, proposed| durability(last, Version(7), proposed);
        assert_eq!(of(Some(&record), &renewed), Durability::Off);
        assert_eq!(of(Some(&record), &record), Durability::Off);
        assert_eq!(of(None, &renewed), Durability::Extra, "who knows what is there");
        assert_eq!(of(Some(&renewed), &renewed), Durability::Extra, "it is not what is expected");
        let started = Record { epoch: Epoch(1), ..renewed.clone() };
        assert_eq!(of(Some(&record), &started), Durability::Extra);
    }
}
