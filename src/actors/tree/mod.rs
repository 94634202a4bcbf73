//! Supervision on plain actix: what a parent promises its children.
//!
//! - A child that falls, by panic or failure, is raised again after a wait that doubles; too many
//!   falls in a short time end that, and the reason stands in the status ([`policy`]).
//! - A fall of one child leaves its siblings at work.
//! - What waits in an [`Inbox`] survives its reader: the next life reads on.
//! - Children start in order and stop in reverse order, each finishing what it has begun.
//! - Every actor shows its state, its restarts and its last exit in the [`Registry`].
//!
//! An actor of the tree keeps a [`Lifeline`], handles [`Control`], and calls [`Lifeline::end`]
//! before it stops its context. Its parent knows it as a [`ChildSpec`].

mod child;
mod exit;
mod inbox;
mod lifeline;
pub mod policy;
mod status;
mod supervisor;
#[cfg(test)]
mod tests;

pub use child::ChildSpec;
pub use child::Control;
pub use child::Start;
pub use child::WhenGivenUp;
pub use exit::Exit;
pub use inbox::Inbox;
pub use inbox::Limits;
pub use inbox::PutError;
pub use inbox::Room;
pub use inbox::Taken;
pub use inbox::Weigh;
pub use lifeline::ChildEnded;
pub use lifeline::Lifeline;
pub use lifeline::last_panic;
pub use lifeline::note_panics;
pub use policy::Policy;
pub use status::ActorStatus;
pub use status::Registry;
pub use status::State;
pub use status::Voice;
pub use supervisor::AddChild;
pub use supervisor::RemoveChild;
pub use supervisor::StopAll;
pub use supervisor::Supervisor;
pub use supervisor::Surroundings;
