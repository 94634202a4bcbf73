//! The folder of plans: what lies there, when it has settled, and how it is changed.
//!
//! ```text
//! watch: something changed ─► listing ─► settle: what is quiet ─► reading ─► known: what follows
//! ```
//!
//! Listing, reading and [`writing`] touch the disk; [`settle`] is pure. What follows is decided by
//! [`catalogue`](crate::catalogue).

pub mod known;
pub mod reading;
pub mod settle;
pub mod watch;
pub mod writing;
