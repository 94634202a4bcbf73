//! Two nodes as a pair of processes, and everything bad that can happen to them.
//!
//! Short in `make test`; `make soak` makes it long by the environment and prints the figures.

mod accounts;
mod arbiters;
mod budget;
mod copies;
mod cuts;
mod dead_letters;
mod deployments;
mod disks;
mod figures;
mod full;
mod kills;
mod links;
pub mod load;
pub mod nodes;
mod outbox;
mod pauses;
mod plans;
mod proxy;
pub mod receiver;
mod switches;

use std::str::FromStr;

/// A figure from the environment, which makes a test longer than by default.
pub fn from_environment<T: FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no figure")),
        Err(_) => default,
    }
}

/// A line for who runs the tests by hand.
#[allow(clippy::print_stdout, reason = "figures are for people")]
pub fn say(text: &str) {
    println!("pair: {text}");
}
