//! Small steps: filters and look-ups.

mod filter;
mod lookup;

pub use filter::Filter;
pub use lookup::LookupStep;
