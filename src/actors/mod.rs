//! The shell: actors that move batches, wait, retry and restart, and compute nothing.

pub mod clock;
pub mod plan;
pub mod plan_folder;
pub mod tree;
