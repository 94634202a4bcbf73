//! The core: one plan, one thread, no outside.
//!
//! A plan is a deterministic state machine. It is a function of its input: it reads no clock, file,
//! socket or chance, and the order of a hash map never reaches a result.

pub mod aggregations;
pub mod aggregators;
pub mod build;
pub mod context;
pub mod core;
pub mod cron;
pub mod entry;
pub mod expressions;
pub mod external;
pub mod functions;
mod geometry;
pub mod identity;
pub mod library;
mod needs;
pub mod operator;
mod operators;
mod partition;
mod patterns;
pub mod pieces;
mod pipeline;
mod rates;
pub mod rows;
mod script;
mod selector;
pub mod state;
#[cfg(test)]
mod state_tests;
pub mod stream_functions;
pub mod tables;
pub mod timers;
pub mod windows;
