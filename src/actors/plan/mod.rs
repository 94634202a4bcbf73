//! One plan on this node: what waits for it, the engine at work, and where its results go.
//!
//! ```text
//! http, receivers ─► inbox ─► actor ─► desk ─┬─► tails (the newest events, for people)
//!                                            └─► publisher ends ─► publishers
//! ```
//!
//! The [`Station`] holds all that outlives actors and versions. The [`PlanActor`] is the only one
//! who works at the [`Desk`]; when it falls, the next one finds everything where it lay. What comes
//! is ordered as entries of the plan's log, the [`Ledger`], and applied once it is safe there. A
//! new [`Version`] comes through the inbox like any other work: that place in the queue is the cut.

mod account;
mod actor;
mod budget;
mod busy;
mod confirmed;
mod dead_letters;
mod desk;
mod follow;
mod fragile;
mod histories;
mod journaled;
mod kept;
mod ledger;
mod letter_box;
mod letters;
mod loading;
mod mirrored;
#[cfg(test)]
mod mirrored_ledger_tests;
pub mod outbox;
mod outside;
#[cfg(test)]
mod pair_tests;
mod question;
mod replay;
mod resync;
mod snapshots;
mod station;
mod suspect;
mod switching;
mod tail;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod version;
mod versions;
mod waiting;
mod work;

pub use account::Account;
pub use actor::PlanActor;
pub use budget::Budget;
pub use busy::Busy;
pub use confirmed::Confirmed;
pub use confirmed::ConfirmedFile;
pub use dead_letters::Counted;
pub use dead_letters::DeadLetters;
pub use dead_letters::Filter;
pub use dead_letters::LetterFigures;
pub use dead_letters::shortened;
pub use desk::Desk;
pub use desk::Stuck;
pub use follow::Standing;
pub use follow::place_name;
pub use fragile::FragileBuilder;
pub use journaled::JournalSource;
pub use journaled::Journaled;
pub use journaled::Pace;
pub use journaled::SharedJournal;
pub use journaled::hold;
pub use kept::Folders;
pub use kept::Kept;
pub use kept::KeptError;
pub use kept::TENANT;
pub use kept::Waker;
pub use ledger::Ledger;
pub use ledger::LedgerError;
pub use letter_box::LetterBox;
pub use letter_box::LetterTold;
pub use letter_box::Posted;
pub use loading::Loading;
pub use loading::Reading;
pub use loading::TableReader;
pub use mirrored::Arrival;
pub use mirrored::Mirrored;
pub use mirrored::Missed;
pub use mirrored::News;
pub use mirrored::Reply;
pub use mirrored::Stamp;
pub use mirrored::Verdict;
pub use question::Answer;
pub use question::AskError;
pub use question::Question;
pub use replay::Asked;
pub use replay::LetterError;
pub use replay::Underway;
pub use snapshots::SnapshotDesk;
pub use snapshots::SnapshotFailure;
pub use snapshots::SnapshotTaken;
pub use station::Brought;
pub use station::Closed;
pub use station::Station;
pub use station::Tails;
pub use suspect::Suspect;
pub use tail::Events;
pub use tail::Piece;
pub use tail::Tail;
pub use tail::TailLimits;
pub use version::PublisherEnd;
pub use version::StreamFront;
pub use version::Version;
pub use versions::Versions;
pub use waiting::Forwarded;
pub use waiting::Told;
pub use waiting::Unordered;
pub use waiting::Waiting;
pub use work::Applied;
pub use work::Misfit;
pub use work::Rows;
pub use work::Switch;
pub use work::Work;
