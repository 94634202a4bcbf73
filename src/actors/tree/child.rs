//! What a supervisor needs to know of a child: how to start it, and what follows its end.

use std::fmt;
use std::time::Duration;

use actix::prelude::*;

use crate::actors::tree::Lifeline;
use crate::actors::tree::Policy;

/// What a supervisor may say to a child; every actor of the tree handles it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum Control {
    /// Finish what was begun, then end with [`Exit::Asked`](crate::actors::tree::Exit::Asked).
    Stop,
    /// Panic, for tests of what happens then; see [`Control::fall`].
    Fall,
}

impl Control {
    /// What every actor does on [`Control::Fall`].
    ///
    /// # Panics
    /// Always: that is its purpose.
    pub fn fall() -> ! {
        panic!("a fault was injected")
    }
}

/// What happens when a child is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenGivenUp {
    /// Its siblings go on without it.
    Leave,
    /// The supervisor stops all its children and fails itself, with the child's reason.
    Escalate,
}

/// Starts one life of a child; the child keeps the lifeline as long as it lives.
///
/// What is to survive the child (its inbox, its place in a file) is held by this function and lent
/// to each life.
pub type Start = Box<dyn FnMut(Lifeline) -> Recipient<Control> + Send>;

/// A child as its supervisor knows it.
pub struct ChildSpec {
    /// Its name among its siblings.
    pub name: String,
    /// What kind of actor it is, for the status.
    pub kind: &'static str,
    /// Children of lower rank start earlier and stop later, also those that are added later.
    pub rank: u8,
    /// How it is raised again.
    pub policy: Policy,
    /// What happens when that does not help.
    pub when_given_up: WhenGivenUp,
    /// How long it may take to stop before the others go on without waiting.
    pub grace: Duration,
    /// Starts one life of it.
    pub start: Start,
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec").field("name", &self.name).finish_non_exhaustive()
    }
}
