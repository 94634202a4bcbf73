//! What a node tells of itself: log lines and metrics.
//!
//! A log line is an event as text and its values as fields: `info!(plan, rows, "plan deployed")`.

mod log;
#[cfg(feature = "node")]
pub mod metrics;
#[cfg(feature = "node")]
pub mod stores;

pub use log::start_log;
