//! Twinflow: a stream engine that runs as a pair.
//!
//! The rooms of the house are explained, with who may use whom, in `ARCHITECTURE.md`. A pure room
//! is declared under `#[deny(clippy::disallowed_methods, clippy::disallowed_types)]`: what that
//! forbids stands in `.clippy.toml`.

#[cfg(feature = "node")]
pub mod actors;
pub mod config;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod engine;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod event;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod language;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod mappers;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod plan;
pub mod publishers;
pub mod receivers;
pub mod telemetry;
