//! The folder of plans: what lies there, when it has settled, and what follows from it.
//!
//! ```text
//! watch: something changed ─► listing ─► settle: what is quiet ─► reading ─► difference: steps
//! ```
//!
//! Listing, reading and [`writing`] touch the disk; [`settle`] and [`difference`] are pure.

pub mod difference;
pub mod reading;
pub mod settle;
pub mod watch;
pub mod writing;
