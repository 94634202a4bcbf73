//! The room `store` on SQLite, MariaDB and PostgreSQL alike.

mod changes;
mod connections;
mod migrations;
mod once;
mod servers;
mod types;
