//! One plan on one node: applies the entries of its log, in order, and numbers what comes out.
//!
//! ```text
//! log entry ─► Replica ─┬─► rows by stream, for those who watch
//!                       └─► numbered results by publisher
//! ```
//!
//! A replica is a function of its log: same entries, same state, same numbers. It opens no file,
//! reads no clock and sends nothing; whoever holds it decides when an entry is safe to apply and
//! when a result may leave. So a restart, a standby and a simulation all run the same code.

#[cfg(test)]
mod apart_tests;
mod apply;
mod copies;
#[cfg(test)]
mod copies_tests;
mod entry;
#[cfg(test)]
mod external_tests;
mod letters;
mod loading;
mod machine;
mod memory;
mod producers;
mod saved;

#[cfg(test)]
mod stored_tests;
mod tally;
#[cfg(test)]
mod tests;
mod unfold;

pub use apply::Broken;
pub use apply::EngineMaker;
pub use apply::Made;
pub use apply::Maker;
pub use apply::Outcome;
pub use apply::Output;
pub use apply::Replica;
pub use apply::Takeover;
pub use copies::Copies;
pub use entry::Body;
pub use entry::Copied;
pub use entry::Deployment;
pub use entry::LogEntry;
pub use entry::Mark;
pub use entry::PutAside;
pub use entry::Sending;
pub use letters::Bounds;
pub use letters::Closed;
pub use letters::Closing;
pub use letters::Letter;
pub use letters::LetterKind;
pub use letters::LetterNews;
pub use letters::Letters;
pub use letters::Payload;
pub use machine::Builder;
pub use machine::Ended;
pub use machine::EngineBuilder;
pub use machine::Machine;
pub use machine::Results;
pub use producers::Producers;
pub use saved::Extent;
pub use saved::Saved;
pub use tally::Tally;

pub use crate::engine::core::WatermarkState;
