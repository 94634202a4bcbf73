//! The record as a row in a database server: the arbiter of a pair on two machines that have such
//! a server anyway.
//!
//! A write is one statement, which changes the row only if its version is still the expected one:
//! the server decides, and a commit whose answer is lost is what the protocol knows as a write
//! without an answer. No statement names a time, so the clock of the server does not matter.

use crate::config;
use crate::event::DataType;
use crate::event::Value;
use crate::ha::arbiter::ArbiterError;
use crate::ha::arbiter::Pair;
use crate::ha::arbiter::RecordStore;
use crate::ha::arbiter::Written;
use crate::ha::arbiter::random_id;
use crate::ha::arbiter::unreachable;
use crate::ha::protocol::Record;
use crate::ha::protocol::Version;
use crate::store::Session;
use crate::store::Store;
use crate::store::StoreError;
use std::time::Duration;

const TABLE: &str = "twinflow_arbiter";

/// The record in a database.
#[derive(Debug)]
pub struct SqlStore {
    store: Store,
    pair: Pair,
    /// The row was there once.
    seen: bool,
}

impl SqlStore {
    /// The record in this store; nothing is opened yet. `wait` is how long an answer is waited for,
    /// and a little longer for one that tells why there is none.
    pub fn new(settings: &config::Store, pair: Pair, wait: Duration) -> SqlStore {
        let settings = config::Store {
            // Nobody else asks here, and a question that finds no connection in time has no answer.
            connections_max: 1,
            wait_max: wait,
            statement_time_max: wait,
            ..settings.clone()
        };
        SqlStore { store: Store::new(settings), pair, seen: false }
    }

    /// A session, and the record as it is.
    fn load(&mut self) -> Result<(Session, Record), ArbiterError> {
        let mut session = self.store.session().map_err(|error| self.explain(&error))?;
        let mut found = self.find(&mut session)?;
        if found.is_none() && !self.seen {
            self.make(&mut session)?;
            found = self.find(&mut session)?;
        }
        let Some(record) = found else {
            return Err(self.damaged("its row is gone"));
        };
        self.seen = true;
        Ok((session, record))
    }

    fn find(&self, session: &mut Session) -> Result<Option<Record>, ArbiterError> {
        let place = session.dialect().placeholder(1);
        let sql = format!("SELECT version, record, checksum FROM {TABLE} WHERE cluster = {place}");
        let types = [DataType::Long, DataType::Text, DataType::Long];
        let found = session.query(&sql, &[self.cluster()], &types);
        let found = found.map_err(|error| self.explain(&error))?;
        if found.is_empty() {
            return Ok(None);
        }
        let row = found.row(0);
        let bytes = row[1].as_text().and_then(bytes_of);
        let Some(bytes) = bytes else {
            return Err(self.damaged("its record is no hexadecimal number"));
        };
        if row[2].as_long() != Some(i64::from(crc32c::crc32c(&bytes))) {
            return Err(self.damaged("the checksum of its row does not fit"));
        }
        let record = Record::decode(&bytes).map_err(|error| self.damaged(&error.to_string()))?;
        if row[0].as_long() != Some(number(record.version)) {
            return Err(self.damaged("the version of its row is not that of its record"));
        }
        Ok(Some(record))
    }

    /// Of several processes that come at once one makes the row, and the others find it.
    fn make(&self, session: &mut Session) -> Result<(), ArbiterError> {
        let id = random_id().map_err(|error| unreachable(&self.place(), error))?;
        let record = Record::virgin(id, self.pair.lease);
        let sql = session.dialect().insert_if_new(TABLE, 4);
        let [text, checksum] = written(&record);
        let row = [self.cluster(), Value::Long(number(record.version)), text, checksum];
        session.execute(&sql, &row).map(|_| ()).map_err(|error| self.explain(&error))
    }

    fn cluster(&self) -> Value {
        Value::from(self.pair.cluster.as_str())
    }

    fn explain(&self, error: &StoreError) -> ArbiterError {
        unreachable(&self.place(), error)
    }

    fn damaged(&self, reason: &str) -> ArbiterError {
        ArbiterError::DamagedRow { place: self.place(), reason: reason.to_owned() }
    }
}

impl RecordStore for SqlStore {
    fn read(&mut self) -> Result<Record, ArbiterError> {
        self.load().map(|(_, record)| record)
    }

    fn write(&mut self, expected: Version, proposed: &Record) -> Result<Written, ArbiterError> {
        let (mut session, mut record) = self.load()?;
        let before = written(&record);
        if !record.compare_and_set(expected, proposed) {
            return Ok(Written::Lost(record));
        }
        let dialect = session.dialect();
        let [one, two, three, four, five] = [1, 2, 3, 4, 5].map(|place| dialect.placeholder(place));
        let sql = format!(
            "UPDATE {TABLE} SET version = {one}, record = {two}, checksum = {three} \
             WHERE cluster = {four} AND record = {five}"
        );
        let [text, checksum] = written(&record);
        let [before, _] = before;
        let version = Value::Long(number(record.version));
        let row = [version, text, checksum, self.cluster(), before];
        match session.execute(&sql, &row) {
            Ok(1) => Ok(Written::Won(record)),
            // Somebody wrote between the two statements.
            Ok(_) => match self.find(&mut session)? {
                Some(record) => Ok(Written::Lost(record)),
                None => Err(self.damaged("its row is gone")),
            },
            Err(error) => Err(self.explain(&error)),
        }
    }

    fn place(&self) -> String {
        format!("store:{}", self.store.name())
    }
}

/// The record as hexadecimal digits, which people and every database can read, and its checksum.
fn written(record: &Record) -> [Value; 2] {
    let bytes = record.encode();
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [Value::from(digits.as_str()), Value::Long(i64::from(crc32c::crc32c(&bytes)))]
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(pair).collect()
}

fn number(version: Version) -> i64 {
    i64::try_from(version.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ha::protocol::ArbiterId;

    #[test]
    fn a_record_is_written_as_digits_and_read_back() {
        let record = Record::virgin(ArbiterId(7), 2_000);
        let [text, _] = written(&record);
        let bytes = bytes_of(text.as_text().unwrap()).unwrap();
        assert_eq!(Record::decode(&bytes).unwrap(), record);
        assert_eq!((bytes_of("0g"), bytes_of("0"), bytes_of("ä0")), (None, None, None));
    }
}
