//! Plays scripted events through a plan on a virtual clock, and compares what comes out.
//!
//! A [`Reading`] is a plan's text, read and checked; a [`Stage`] is a plan that runs where time is
//! part of the input. Nothing here waits, and nothing is asked of the outside.

mod fit;
mod reading;
mod stage;

pub use fit::Misfit;
pub use fit::fit;
pub use reading::Reading;
pub use reading::Verdict;
pub use stage::NoSnapshot;
pub use stage::Refusal;
pub use stage::Stage;
