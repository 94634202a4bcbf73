//! Which plans a node runs: the log of deployments as a state machine, and what a folder of plans
//! wants of it.
//!
//! ```text
//! folder of plans ─► Folder::follow ─► wishes ─► entries ─► the log
//!        ▲                                                     │
//!        └── files to be written ◄── Catalogue::apply ◄────────┘
//!                                          │
//!                                          └─► what runs
//! ```
//!
//! The log says what runs; the folder is an input of it, as HTTP is. An [`Entry`] names the version
//! it was made against, so that of two changes made at the same time the second is refused and not
//! lost. Nothing here touches a disk: whoever holds the log says when an entry counts.

mod entry;
mod folder;
#[cfg(test)]
mod folder_tests;
mod look;
mod names;
pub mod records;
mod state;
#[cfg(test)]
mod tests;

pub use entry::Base;
pub use entry::Change;
pub use entry::Entry;
pub use entry::PlanText;
pub use folder::Folder;
pub use folder::Unwanted;
pub use look::Claim;
pub use look::Content;
pub use look::Look;
pub use look::Refusal;
pub use look::Step;
pub use look::Wish;
pub use names::ENDINGS;
pub use names::is_file_name;
pub use names::is_plan_name;
pub use names::stem;
pub use records::Records;
pub use records::Seen;
pub use state::Applied;
pub use state::Catalogue;
pub use state::Deployed;
pub use state::Misfit;
pub use state::Verb;

/// The number of the log of deployments among the logs of a node; plans have numbers from 1.
pub const LOG: u32 = 0;
/// The name of that log among the logs of a node; no plan may be called so.
pub const NAME: &str = ".deployments";
