//! Who is active and what is committed: the protocol of the pair, as a function of what happened.
//!
//! [`Member`] is one node's part. Each call of [`Member::handle`] takes the time of the node's own
//! clock and one [`Input`], and pushes the [`Action`]s that follow, which the caller carries out
//! in that order. The protocol sees numbers only: positions in logs, epochs, versions of a
//! record. What an entry holds, where it is stored and how it travels is the caller's business.
//!
//! The words:
//!
//! - A **record** lies at the arbiter; every write is a compare-and-set of its version. Only the
//!   answer to a node's own write is knowledge: it proves the record and kills the writes still
//!   in flight.
//! - An **epoch** is one start of an active. The arbiter never gives the same one twice.
//! - An **incarnation** is one life of a process; a restarted node has to earn its trust again.
//! - **In sync** is what the record says of the other node's incarnation: it holds every committed
//!   entry of every plan not listed as lacking. Only such a node may stand for active.
//! - The active **may act** while one of three things holds: its *lease* (its last answered write
//!   is young), the *grant* (the node in sync promised, in this epoch, not to stand for a while),
//!   or *alone* (the record says that nobody else may stand).
//! - An entry is **committed** when it is on both nodes or, alone, on this node's disk. Only the
//!   active says so; the passive applies no further than it was told.
//!
//! The files: `words`, `record`, `settings`, `message`, `input` and `action` are the face; `log`
//! is what the protocol knows of a plan's log; `member` holds the state and takes each input to
//! where it is handled: `arbiter` (asking and answers), `active` (heartbeats, in sync on and
//! off), `mirror` (shipping to the passive and its acknowledgements), `commit`, `passive`
//! (following), `takeover` (standing and starting), `tail` (taking from a passive what it holds
//! further), `operator` (switch and promotion) and `status` (for people).
//! `codec` turns records and messages into bytes and back.

mod action;
mod active;
mod arbiter;
mod codec;
mod commit;
mod input;
mod log;
mod member;
mod message;
mod mirror;
mod operator;
mod passive;
mod record;
mod settings;
mod status;
mod tail;
mod takeover;
mod words;

#[cfg(test)]
mod tests;

pub use action::Action;
pub use action::Alarm;
pub use action::Asking;
pub use action::Reason;
pub use action::Refusal;
pub use action::Role;
pub use action::Waiting;
pub use codec::CodecError;
pub use input::Input;
pub use input::Journal;
pub use input::LogStart;
pub use input::Outcome;
pub use input::Start;
pub use input::Word;
pub use log::PlanLog;
pub use log::Shape;
pub use log::Span;
pub use member::Member;
pub use message::Body;
pub use message::Followed;
pub use message::Message;
pub use message::Offered;
pub use message::Progress;
pub use record::InSync;
pub use record::PlanSet;
pub use record::Record;
pub use settings::AckMode;
pub use settings::Rules;
pub use settings::Settings;
pub use settings::SettingsError;
pub use status::PlanStatus;
pub use status::Status;
pub use words::ArbiterId;
pub use words::Epoch;
pub use words::Generation;
pub use words::Incarnation;
pub use words::Moment;
pub use words::NodeId;
pub use words::Plan;
pub use words::Position;
pub use words::RequestId;
pub use words::Version;
