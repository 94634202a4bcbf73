//! Twinflow: a stream engine that runs as a pair.

pub mod language;
