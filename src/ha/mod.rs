//! The pair: two nodes that keep the same logs, of which one acts.
//!
//! The room `ha/protocol` decides and does nothing else: who is active, which entries are
//! committed, what the arbiter is asked. It is a plain function of what happened, so that a
//! simulation can drive it through years of bad luck. The links, locks and files by which its
//! wishes come true belong here, in the shell.
//!
//! ```text
//!            reads the record          wins its write
//!   start ─────────────────► passive ────────────────► active
//!                               ▲    (stand or start)     │
//!                               └─────────────────────────┘
//!                     sees a newer epoch, or hands over
//! ```

#[cfg(feature = "node")]
pub mod arbiter;
#[cfg(feature = "node")]
pub mod link;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod protocol;
#[cfg(feature = "node")]
pub mod secret;
#[cfg(feature = "node")]
pub mod settings;
#[cfg(feature = "node")]
pub mod tls;
