//! The databases of a node under their names: sessions with them, tables in them, and writing
//! each result once.
//!
//! ```text
//! Stores ─ by name ─► Store ─ from its pool ─► Session ─► Driver: sqlite │ mysql │ postgres
//! ```
//!
//! A [`Session`] blocks, so that threads that are no actors can use it plainly; each connection to
//! a server has a small reactor of its own, driven by whoever holds the session. Errors say what
//! may be done about them ([`Kind`]). Tables of our own are made and brought up to date when a
//! store is first used ([`migrations`]); [`write_once`] is the transaction by which rows that have
//! numbers reach a store once, however often they are given and whoever gives them.

mod change;
mod dialect;
mod driver;
mod error;
pub mod migrations;
mod mysql;
mod once;
mod pool;
mod postgres;
mod remote;
mod select;
mod session;
mod sqlite;
mod stores;
mod table;

pub use change::Change;
pub use dialect::Dialect;
pub use error::Kind;
pub use error::StoreError;
pub use once::Mark;
pub use once::Writer;
pub use once::forget_writer;
pub use once::write_once;
pub use once::written_so_far;
pub use select::End;
pub use select::Part;
pub use select::Select;
pub use select::SelectColumn;
pub use select::Stop;
pub use session::Session;
pub use stores::Store;
pub use stores::Stores;
pub use table::Found;
pub use table::Table;
