//! Plays scripted events through a plan on a virtual clock, and compares what comes out.
//!
//! A [`Reading`] is a plan's text, read and checked; a [`Stage`] is a plan that runs where time is
//! part of the input. A [`Script`] says what happens to a plan and what must come out of it;
//! [`rehearse`] plays it in every [`Way`]. Nothing here waits, and nothing is asked of the outside.

#[cfg(test)]
mod carry_tests;
mod compare;
mod fit;
mod literal;
mod play;
mod reading;
mod record;
mod script;
mod stage;
mod ways;

pub use fit::Misfit;
pub use fit::fit;
pub use play::Failure;
pub use play::compare_ways;
pub use play::rehearse;
pub use play::steps;
pub use reading::Reading;
pub use reading::Verdict;
pub use script::PlanText;
pub use script::Script;
pub use script::ScriptFault;
pub use script::read;
pub use stage::NoSnapshot;
pub use stage::Refusal;
pub use stage::SECRET;
pub use stage::Stage;
pub use ways::Act;
pub use ways::Dice;
pub use ways::InputRow;
pub use ways::Step;
pub use ways::Way;
pub use ways::written;
