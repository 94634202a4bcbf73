//! The shell: actors that move batches, wait, retry and restart, and compute nothing.

pub mod clock;
#[cfg(test)]
mod edge_tests;
pub mod plan;
pub mod plan_folder;
pub mod publisher;
pub mod receiver;
pub mod threads;
pub mod tree;
