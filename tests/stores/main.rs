//! The room `store` on SQLite, MariaDB and PostgreSQL alike, and what rests on it.

#![allow(clippy::unwrap_used, reason = "a test may stop at once")]

mod arbiter;
mod changes;
mod connections;
mod errands;
mod migrations;
#[allow(dead_code, reason = "the tests of the whole node use the rest")]
#[path = "../system/node.rs"]
mod node;
mod once;
#[allow(dead_code, reason = "the tests of the pair use the rest")]
#[path = "../system/pair/proxy.rs"]
mod proxy;
mod servers;
mod sql;
mod types;
