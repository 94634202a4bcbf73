//! The room `store` on SQLite, MariaDB and PostgreSQL alike.

#![allow(clippy::unwrap_used, reason = "a test may stop at once")]

mod changes;
mod connections;
mod migrations;
mod once;
mod servers;
mod types;
