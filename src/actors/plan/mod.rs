//! One plan on this node: what waits for it, the engine at work, and where its results go.
//!
//! ```text
//! http, receivers ─► inbox ─► actor ─► desk ─┬─► tails (the newest events, for people)
//!                                            └─► publisher ends ─► publishers
//! ```
//!
//! The [`Station`] holds all that outlives actors and versions. The [`PlanActor`] is the only one
//! who works at the [`Desk`]; when it falls, the next one finds everything where it lay. A new
//! [`Version`] comes through the inbox like any other work: that place in the queue is the cut.

mod actor;
mod dead_letters;
mod desk;
mod machine;
mod question;
mod station;
mod tail;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod version;
mod work;

pub use actor::PlanActor;
pub use dead_letters::DeadLetter;
pub use dead_letters::DeadLetters;
pub use desk::Broken;
pub use desk::Desk;
pub use machine::Builder;
pub use machine::Ended;
pub use machine::EngineBuilder;
pub use machine::Machine;
pub use machine::Results;
pub use question::Answer;
pub use question::AskError;
pub use question::Question;
pub use station::Closed;
pub use station::Station;
pub use station::Tails;
pub use tail::Events;
pub use tail::Piece;
pub use tail::Tail;
pub use tail::TailLimits;
pub use version::PublisherEnd;
pub use version::StreamFront;
pub use version::Version;
pub use work::Applied;
pub use work::Misfit;
pub use work::Rows;
pub use work::Switch;
pub use work::Work;
