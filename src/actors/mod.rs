//! The shell: actors that move batches, wait, retry and restart, and compute nothing.
//!
//! [`node::start`] starts a node and gives its [`handle::Handle`]. What a plan's actors share lies
//! in [`plan`]; receivers and publishers plug in by the traits of their rooms and are run by
//! [`receiver`] and [`publisher`].

mod belongings;
pub mod checking;
pub mod clock;
mod deployer;
pub mod deployments;
#[cfg(test)]
mod edge_tests;
mod edges;
pub mod edits;
pub mod gate;
pub mod handle;
#[cfg(test)]
mod log_tests;
mod marks;
pub mod node;
#[cfg(test)]
mod node_tests;
pub mod office;
pub mod pair;
pub mod plan;
pub mod plan_folder;
pub mod publisher;
pub mod receiver;
mod rounds;
mod slot;
mod snapshotter;
mod store_reader;
pub mod threads;
pub mod tree;
mod watchman;
pub mod wire;
