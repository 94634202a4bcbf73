//! All that can happen to a member.

use crate::ha::protocol::log::Shape;
use crate::ha::protocol::message::Message;
use crate::ha::protocol::record::Record;
use crate::ha::protocol::words::ArbiterId;
use crate::ha::protocol::words::Epoch;
use crate::ha::protocol::words::Incarnation;
use crate::ha::protocol::words::NodeId;
use crate::ha::protocol::words::Plan;
use crate::ha::protocol::words::Position;
use crate::ha::protocol::words::RequestId;
use crate::ha::protocol::words::Version;

/// What a process finds when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Which node this is.
    pub node: NodeId,
    /// This life: greater than every one before it, also when the disk was wiped. The greater of
    /// the last one plus one and the wall clock's milliseconds will do.
    pub incarnation: Incarnation,
    /// What the journals are worth.
    pub journal: Journal,
    /// The arbiter that this node has known so far.
    pub arbiter: Option<ArbiterId>,
    /// The logs.
    pub plans: Vec<(Plan, LogStart)>,
}

/// What a journal that was found at the start is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journal {
    /// It holds everything that was written to it.
    Sound,
    /// The machine has booted since it was written and the node did not end in order, or such a
    /// doubt has not ended (see [`Action::DoubtOver`](crate::ha::protocol::Action::DoubtOver)):
    /// what was not fsynced may be gone.
    Doubtful,
    /// The last record of one was whole once and has decayed, and the doubt has not ended: what was
    /// fsynced may be gone, too.
    Decayed,
    /// The disk is new or was wiped, and since then no doubt has ended on it: the journal, if
    /// there is any, was never whole.
    Blank,
}

/// A log as it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogStart {
    /// The entries; the base is the position of the snapshot from which the journal goes on.
    pub shape: Shape,
    /// Fsynced up to here; what was written further is fsynced soon, without being asked for.
    pub synced: Position,
    /// Applied up to here, by the snapshot the plan starts from.
    pub applied: Position,
    /// The last [`Action::Whole`](crate::ha::protocol::Action::Whole) on this disk said so of it.
    pub whole: bool,
}

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time passed. Due every 25 ms or so; nothing breaks when it is late.
    Tick,
    /// The peer said something. The entries that travelled along are at hand for
    /// [`Action::Append`](crate::ha::protocol::Action::Append).
    Heard(Message),
    /// The link to the peer broke; a hint to look sooner, never a ground to act.
    LinkLost,
    /// The arbiter answered.
    Arbiter {
        /// Which question.
        request: RequestId,
        /// What it said.
        outcome: Outcome,
    },
    /// This active numbered and wrote entries up to here, in its present epoch.
    Appended {
        /// The plan.
        plan: Plan,
        /// Position of the last entry.
        last: Position,
    },
    /// The plan's journal is fsynced up to here. An fsync that began before a cut says at most
    /// where the cut was: what was written after it is not on disk yet.
    Synced {
        /// The plan.
        plan: Plan,
        /// Position of the last entry on disk.
        upto: Position,
    },
    /// Every journal is fsynced as far as it was when
    /// [`Action::SyncAll`](crate::ha::protocol::Action::SyncAll) asked for it.
    SyncedAll {
        /// Which asking.
        token: u64,
    },
    /// The peer's kernel lock was tested.
    LockTested {
        /// The version the test was asked for.
        version: Version,
        /// Nobody holds it.
        free: bool,
    },
    /// A plan was deployed here: its log may exist already.
    PlanAdded {
        /// The plan.
        plan: Plan,
        /// Its log, if this node had one.
        log: LogStart,
    },
    /// A plan was undeployed here; its number is never used again.
    PlanRemoved {
        /// The plan.
        plan: Plan,
    },
    /// A plan's journal cannot take entries, or can again.
    PlanBroken {
        /// The plan.
        plan: Plan,
        /// It cannot.
        broken: bool,
    },
    /// Entries that were to be appended could not be written, and the journal takes no more.
    Unwritten {
        /// The plan.
        plan: Plan,
        /// None of the entries after this one is sure to be there.
        after: Position,
    },
    /// Whether entries wait here to be sent, which what is said overtakes.
    EntriesWait(bool),
    /// Entries of [`Action::Ship`](crate::ha::protocol::Action::Ship) were not taken to be sent.
    NotShipped {
        /// The plan.
        plan: Plan,
        /// Those after this one.
        after: Position,
    },
    /// The journal's entries up to here were dropped; snapshots hold them.
    Trimmed {
        /// The plan.
        plan: Plan,
        /// Position of the last dropped.
        base: Position,
    },
    /// A snapshot of the plan has come from the peer, whole and checked.
    SnapshotArrived {
        /// The plan.
        plan: Plan,
        /// The last entry it holds.
        base: Position,
        /// That entry's epoch.
        base_epoch: Epoch,
    },
    /// Everything that was taken before [`Action::Drain`](crate::ha::protocol::Action::Drain) is
    /// numbered, and no emission is in flight.
    Drained,
    /// A person said something.
    Operator(Word),
}

/// What came of a question to the arbiter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The record.
    Read(Record),
    /// The write was taken; the record as it is now.
    Won(Record),
    /// Somebody wrote before; the record as it is now.
    Lost(Record),
    /// No answer; a write may still land.
    Silent,
}

/// A word of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Let the other node be active: `twinflow ha switch`.
    Switch,
    /// Let this node be active: `twinflow ha promote`. Forced, also when it may lack entries: the
    /// operator vouches for the end of the other one.
    Promote {
        /// Entries may be lost; a new generation begins.
        force: bool,
    },
    /// Run this plan although only the other node had all of its entries.
    GiveUpTail {
        /// The plan.
        plan: Plan,
    },
    /// Drop what this node applied beyond the active's log, and take a snapshot.
    Discard {
        /// The plan.
        plan: Plan,
    },
    /// End in order.
    Leave,
}
