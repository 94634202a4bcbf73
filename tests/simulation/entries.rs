//! What a node does with entries: keeps them in a journal, applies them, keeps the state. The
//! bare numbers of `books` and the real thing of `real` stand behind the same trait.

use crate::chance::Chance;
use std::fmt;
use std::rc::Rc;
use twinflow::event::Text;
use twinflow::ha::protocol::Epoch;
use twinflow::ha::protocol::LogStart;
use twinflow::ha::protocol::Plan;
use twinflow::ha::protocol::Position;

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub epoch: Epoch,
    pub body: Body,
}

/// What an entry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Its producer's number and the producer's number for it.
    Bare(u32, u64),
    /// The bytes of a log entry.
    Bytes(Rc<[u8]>),
}

/// What is to become an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// What a producer sent, and its number for it.
    Send(u32, u64),
    /// A new version of the plan.
    Deploy(u64),
}

/// Results that one publisher was given by one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission {
    pub publisher: Text,
    /// The number of the first.
    pub first: u64,
    pub rows: u64,
    /// Of what they say.
    pub digest: u64,
}

/// An entry that was applied.
#[derive(Clone, Debug)]
pub struct Applied {
    pub position: Position,
    pub entry: Entry,
    /// A digest of the state after it, where one was made.
    pub state: Option<u64>,
    pub emissions: Rc<[Emission]>,
    /// Results say that some producer's events are missing.
    pub missed: bool,
}

/// A process cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fallen {
    /// Its disk failed it, or it was ended in the middle of a write.
    Ended,
    /// What lies on the disk is not what was written; says in which file.
    Damaged(String),
    /// Something is wrong that nobody noticed.
    Wrong(String),
}

/// What a new process finds.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub logs: Vec<(Plan, LogStart)>,
    /// A write that never finished was cut off.
    pub torn: bool,
    /// All bytes of what was cut off were there, and some were wrong.
    pub is_decayed: bool,
}

/// A snapshot on its way.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    pub base: Position,
    pub base_epoch: Epoch,
    pub digest: u64,
    /// The file's name and its bytes, if there is one.
    pub file: Option<(String, Rc<[u8]>)>,
}

/// What goes wrong with a disk by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// After so many writes that succeed the process ends in the middle of one.
    EndAt(u64),
    /// After so many writes that succeed one fails.
    ErrorAt(u64),
}

/// Something that a node may do wrong with its files; the simulation has to notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// An fsync does nothing.
    NoSync,
    /// A start takes the newest snapshot, though results up to it were not received.
    NewestSnapshot,
    /// A snapshot is sent though results up to it were not received.
    SendsEarly,
}

impl Flaw {
    pub const ALL: [Flaw; 3] = [Flaw::NoSync, Flaw::NewestSnapshot, Flaw::SendsEarly];
}

/// The journals and states of a node's plans. What is written survives the process, what is synced
/// survives the machine.
pub trait Entries: fmt::Debug {
    /// A process begins. Results of entries up to the positions told were received, those of
    /// later ones have to be had again.
    fn start(&mut self, received: &[(Plan, Position)]) -> Result<Found, Fallen>;
    /// Makes an empty log, if there is none.
    fn open(&mut self, plan: Plan) -> Result<(), Fallen>;
    /// What is ordered as entries, the last of which is it; before it may come what has to be
    /// before. The node's clock says `at`.
    fn make(&mut self, plan: Plan, epoch: Epoch, order: Order, at: i64) -> Vec<Entry>;
    /// Writes entries after a position, which is the last.
    fn write(&mut self, plan: Plan, after: Position, entries: &[Entry]) -> Result<(), Fallen>;
    /// Reads entries after a position up to another from the journal.
    fn read(&self, plan: Plan, after: Position, upto: Position) -> Result<Vec<Entry>, Fallen>;
    /// The entries after a position up to another, as the node believes.
    fn held(&self, plan: Plan, after: Position, upto: Position) -> &[Entry];
    /// Forgets entries after a position.
    fn cut(&mut self, plan: Plan, after: Position) -> Result<(), Fallen>;
    /// The entries up to here are in a snapshot only.
    fn base(&self, plan: Plan) -> Position;
    /// Position of the last entry.
    fn last(&self, plan: Plan) -> Position;
    /// Makes entries last, at least up to a position.
    fn sync(&mut self, plan: Plan, upto: Position) -> Result<(), Fallen>;
    /// Applies entries up to a position and gives them back.
    fn apply(&mut self, plan: Plan, upto: Position) -> Result<Vec<Applied>, Fallen>;
    /// Up to which position the state goes, and a digest of it, if one was made.
    fn state(&self, plan: Plan) -> (Position, Option<u64>);
    /// The last number taken of a producer, if the state knows it.
    fn last_of(&self, plan: Plan, producer: u32) -> Option<u64>;
    /// The results of the entries after a position up to another; nothing if they are gone.
    fn results(&self, plan: Plan, after: Position, upto: Position) -> Option<Vec<Emission>>;
    /// Results up to here were received and will not be asked for again.
    fn received(&mut self, plan: Plan, upto: Position);
    /// Saves the state and drops what it makes needless: the new base, if it moved. Results up to
    /// `received` were received.
    fn save(&mut self, plan: Plan, received: Position) -> Result<Option<Position>, Fallen>;
    /// Notes whether the log holds every committed entry.
    fn note_whole(&mut self, plan: Plan, whole: bool);
    /// The newest saved state of which all results were received.
    fn saved(&self, plan: Plan, received: Position) -> Result<Option<Saved>, Fallen>;
    /// Takes a saved state in and checks it; false if it is not right.
    fn receive(&mut self, plan: Plan, saved: &Saved) -> Result<bool, Fallen>;
    /// Puts the saved state that was taken in last in place of state and log.
    fn install(&mut self, plan: Plan, saved: &Saved) -> Result<(), Fallen>;
    /// The process ends.
    fn lose_process(&mut self);
    /// The machine ends: what was not synced is gone, or a part of it; true if anything is.
    fn lose_power(&mut self, disk: &mut Chance) -> bool;
    /// The disk is exchanged for a blank one.
    fn lose_disk(&mut self);
    /// The disk will fail, or will not; false if it never does.
    fn arm(&mut self, fault: Option<DiskFault>) -> bool;
    /// Turns over bits of a byte that was synced, perhaps of the last record of a journal; says
    /// where, if there is one.
    fn flip(&mut self, disk: &mut Chance, with_last: bool) -> Option<String>;
}
