//! The API: events in, results out, plans and status, over HTTP on an address of this machine.
//!
//! A request is read and judged on a thread of the server; events go from their JSON straight into
//! columns there and then wait in the plan's inbox. Whatever is refused is answered with a
//! [`problem`] document, and is refused whole.

mod api;
mod body;
mod description;
mod documents;
mod events;
mod follow;
mod guard;
mod letters;
mod parameters;
pub mod problem;
mod reading;
mod routes;
mod server;
mod waiting;

pub use api::Api;
pub use description::document;
pub use server::child;
