//! All that a member can wish, in the order in which it is to be done.

use crate::ha::protocol::message::Message;
use crate::ha::protocol::record::PlanSet;
use crate::ha::protocol::record::Record;
use crate::ha::protocol::words::ArbiterId;
use crate::ha::protocol::words::Epoch;
use crate::ha::protocol::words::Generation;
use crate::ha::protocol::words::Incarnation;
use crate::ha::protocol::words::Plan;
use crate::ha::protocol::words::Position;
use crate::ha::protocol::words::RequestId;
use crate::ha::protocol::words::Version;

/// A wish. The actions of one call are carried out in order: a message leaves only after the
/// appends and cuts before it are in the journal's files (written, not fsynced).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this to the peer, without entries.
    Send(Message),
    /// Send this to the peer with the plan's entries after one position up to another, from the
    /// journal.
    Ship {
        /// The message to go with them.
        message: Message,
        /// The plan.
        plan: Plan,
        /// Entries after this one,
        after: Position,
        /// up to this one.
        upto: Position,
    },
    /// Ask the arbiter; answer with [`Input::Arbiter`](crate::ha::protocol::Input::Arbiter).
    Ask {
        /// To be named in the answer.
        request: RequestId,
        /// The question.
        asking: Asking,
    },
    /// Test whether the peer's kernel lock is free, now, and answer with this version.
    TestLock {
        /// The version that was read before.
        version: Version,
    },
    /// Fsync every journal as far as it is now, say
    /// [`Input::Synced`](crate::ha::protocol::Input::Synced) for each, and answer with this token.
    SyncAll {
        /// To be named in the answer.
        token: u64,
        /// Plans of which it does not matter whether that can be done: they stay down here.
        besides: PlanSet,
    },
    /// Make an empty journal for a plan that is not deployed here yet.
    OpenLog {
        /// The plan.
        plan: Plan,
    },
    /// Write entries of the message just heard into the journal.
    Append {
        /// The plan.
        plan: Plan,
        /// Entries after this one,
        after: Position,
        /// up to this one.
        upto: Position,
    },
    /// Forget the plan's entries after this position; none of them was applied.
    Cut {
        /// The plan.
        plan: Plan,
        /// The last one that stays.
        after: Position,
    },
    /// Entries up to here are committed: apply them.
    Commit {
        /// The plan.
        plan: Plan,
        /// The last one.
        upto: Position,
    },
    /// Producers of entries up to here may be answered.
    Answer {
        /// The plan.
        plan: Plan,
        /// The last one.
        upto: Position,
    },
    /// The peer needs a snapshot of the plan, for it lacks entries that no journal here holds.
    /// Wished for again until it has come; of no account while one is on its way.
    SendSnapshot {
        /// The plan.
        plan: Plan,
    },
    /// Put the snapshot that has just come in place of the plan's state and log.
    Install {
        /// The plan.
        plan: Plan,
        /// The last entry it holds.
        base: Position,
    },
    /// Role, epoch, generation or the plans that may run have changed.
    Role {
        /// Active or passive.
        role: Role,
        /// The epoch acted in or followed.
        epoch: Epoch,
        /// Of the results.
        generation: Option<Generation>,
        /// Plans that stay down on this active, since the other node has entries that it lacks.
        down: PlanSet,
        /// Why.
        reason: Reason,
    },
    /// Take no more input, finish what is in flight, then say
    /// [`Input::Drained`](crate::ha::protocol::Input::Drained).
    Drain,
    /// Take input again: the switch was called off.
    Undrain,
    /// Note on disk that the journals are no longer in doubt.
    DoubtOver,
    /// Note on disk, beside the plan's journal, whether it holds every committed entry: later lives
    /// may show it to a node that lacks some.
    Whole {
        /// The plan.
        plan: Plan,
        /// It does; `false` takes back what was noted before.
        whole: bool,
    },
    /// Note on disk which arbiter this node obeys.
    RememberArbiter(ArbiterId),
    /// The word of the operator was heard and will be done.
    Accepted,
    /// The word of the operator is refused.
    Refused(Refusal),
    /// Something that a person has to know.
    Alarm(Alarm),
}

/// A question to the arbiter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asking {
    /// What does the record say?
    Read,
    /// Take this record if the version is still the expected one.
    Write {
        /// The version it was made from.
        expected: Version,
        /// The proposed record; its own version is of no account.
        record: Box<Record>,
    },
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It follows, or waits for somebody to follow.
    Passive,
    /// It orders the entries.
    Active,
}

/// Why a role changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The record named this node, and it started.
    Started,
    /// The other's lease and grant had run out.
    LeaseRanOut,
    /// The other's process had ended: its kernel lock was free.
    HolderEnded,
    /// The other handed over.
    HandedOver,
    /// The operator said so.
    Operator,
    /// A newer epoch was seen.
    NewerEpoch,
    /// A plan that was down has all its entries now, or was given up.
    TailTaken,
}

/// Why a word of the operator is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Only the active can hand over.
    #[error("this node is not active; say it to the active one")]
    NotActive,
    /// It is active.
    #[error("this node is active already")]
    AlreadyActive,
    /// The other node could not go on.
    #[error("the other node is not in sync; wait until `twinflow status` says it is")]
    PeerNotInSync,
    /// Another word is being done.
    #[error("a switch is under way already")]
    Busy,
    /// The switch took too long.
    #[error("the switch was not done in time; this node stays active")]
    TooSlow,
    /// The active can be heard.
    #[error("the active node still answers; use `twinflow ha switch` there, or stop it first")]
    HolderAnswers,
    /// The active's process lives.
    #[error("the active node's process still holds its lock; stop it first")]
    LockHeld,
    /// The arbiter has to be asked.
    #[error("the arbiter does not answer; nothing can be decided without it")]
    NoArbiter,
    /// Entries would be lost.
    #[error(
        "this node may lack entries that were acknowledged; wait for the other one, or force it \
         and vouch for the other's end: they are lost then, and a new generation begins"
    )]
    MayLackEntries,
    /// There is no such plan, or nothing is wrong with it.
    #[error("there is nothing to do for this plan here")]
    NothingToDo,
}

/// What a person has to know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    /// The store was restored or exchanged.
    #[error(
        "the arbiter is not the one this node obeys (expected id {expected}, found {found}); it \
         counts as unreachable; if you replaced it, say `twinflow ha promote` on one node"
    )]
    ArbiterChanged {
        /// The one it obeys.
        expected: ArbiterId,
        /// The one that answered.
        found: ArbiterId,
    },
    /// The node has results of entries that the active does not have.
    #[error(
        "plan {plan} was applied up to {applied} here, but the active's log parts from this one \
         after {common}; the plan is stopped here until its state is discarded"
    )]
    AppliedBeyond {
        /// The plan.
        plan: Plan,
        /// Applied up to here.
        applied: Position,
        /// Equal up to here.
        common: Position,
    },
    /// The journal's tail may be gone and the other node is asked for it.
    #[error(
        "the journals may have lost their end when the machine went down; asking the other node"
    )]
    Doubtful,
    /// Both journals may have lost their ends.
    #[error(
        "both nodes may have lost the end of their journals; the longer log goes on under a new \
         generation, and acknowledged entries may be missing"
    )]
    BothDoubtful,
    /// Nobody but a person can decide.
    #[error("this node does not start by itself: {0}")]
    Waits(Waiting),
    /// Another node of this name was seen.
    #[error(
        "a life {heard} of the peer is older than {known}, which was heard before; it is refused"
    )]
    OldIncarnation {
        /// Heard now.
        heard: Incarnation,
        /// Known.
        known: Incarnation,
    },
}

/// What a node that does not start waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Waiting {
    /// Its disk is blank, yet it is the recorded active.
    #[error(
        "its disk is blank though it was active; start the other node, or say `twinflow ha promote`"
    )]
    Blank,
    /// It was in sync and lost power.
    #[error(
        "its journal may have lost its end; start the other node, or say `twinflow ha promote`"
    )]
    Doubt,
    /// The record does not name it.
    #[error("it was not in sync; start the other node, or say `twinflow ha promote`")]
    NotInSync,
    /// There is no arbiter.
    #[error("there is no arbiter; say `twinflow ha promote` on the node that shall be active")]
    Bare,
}
