//! The pair at work: carries out what the protocol wishes, and tells it what happened.
//!
//! ```text
//!   plans' threads ◄──► logs, wire, gate ◄──► HA manager ◄──► link, arbiter, locks, notes
//!        (order, apply, publish)               (one member of the protocol)
//! ```
//!
//! The [`HaManager`] is an actor with a thread of its own and the only one that speaks to the
//! protocol. What it shares with the plans lies in the [`Hub`]: each plan's journal and what the
//! pair says to it, the gate, and the wire. When the manager falls, its next life begins as a new
//! life of the node: with what stands in the journals, and nothing else.

mod actions;
pub mod deployments;
mod fences;
mod files;
mod fingerprints;
mod hearing;
mod hub;
mod logs;
mod manager;
mod notes;
mod shipping;
mod start;
mod status;

pub use hub::Hub;
pub use manager::AskStatus;
pub use manager::HaManager;
pub use manager::Tell;
pub use manager::Wish;
pub use start::ManagerSlot;
pub use start::PairError;
pub use start::child;
pub use start::prepare;
pub use status::PairStatus;
pub use status::PlanState;
