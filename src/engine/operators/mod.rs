//! Small steps: filters and look-ups.

mod filter;
mod lookup;

pub use filter::Filter;
pub use lookup::LookupStep;
pub use lookup::say_missing;
