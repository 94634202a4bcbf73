//! The settings of the stores, checked.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::SecretFrom;

/// One store: a database under a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    /// By which plans and people call it.
    pub name: String,
    /// Where it is.
    pub at: StoreAt,
    /// Who we are there; empty: nobody in particular.
    pub user: String,
    /// This user's password.
    pub password: SecretFrom,
    /// Connections open at once.
    pub connections_max: usize,
    /// How long a connection is waited for when all are in use.
    pub wait_max: Duration,
    /// Whether a connection at rest is tried before it is used.
    pub test_on_borrow: bool,
    /// How it is tried.
    pub validation_query: String,
    /// A connection that was tried or used in this time is not tried again.
    pub validation_interval: Duration,
    /// A statement that takes longer is given up.
    pub statement_time_max: Duration,
}

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreAt {
    /// In a file of SQLite.
    Sqlite(PathBuf),
    /// At a server of MySQL or MariaDB; the address without user and password.
    Mysql(String),
    /// At a server of PostgreSQL; the address without user and password.
    Postgres(String),
}
