//! What a plan's log and the pair tell each other, across their two threads.
//!
//! The plan's thread appends entries and applies them; the pair's thread writes the peer's entries,
//! cuts, and says how far entries are committed. Both work on the same journal, one at a time; what
//! one has to know of the other stands here.
//!
//! A cut is noted before anything that follows it is committed, so whoever reads how far it may go
//! and then asks for cuts never applies an entry of its own that was cut off.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::watch;

use crate::actors::gate::Gate;
use crate::actors::plan::ConfirmedFile;
use crate::actors::plan::Journaled;
use crate::actors::plan::Misfit;
use crate::actors::wire::Wire;
use crate::event::hash_bytes;
use crate::ha::link::Hold;
use crate::ha::protocol::Plan;
use crate::journal::JournalError;
use crate::replica::Outcome;

/// The pair's side of a plan's log.
pub struct Mirrored {
    /// The log's number in the pair.
    pub plan: Plan,
    /// Entries up to here may be applied.
    committed: AtomicU64,
    /// Senders of entries up to here may be told.
    answered: AtomicU64,
    /// The epoch in which this node appends; 0 while it does not.
    epoch: AtomicU64,
    /// Somebody has been told to look and has not looked yet.
    looked_for: AtomicBool,
    news: AtomicBool,
    notes: Mutex<Notes>,
    broken: AtomicBool,
    /// It is of one history with the active's log, and commits are heard of.
    follows: AtomicBool,
    /// How far the publishers have come.
    results: Option<Arc<ConfirmedFile>>,
    /// Results have left of which the other node may not have been told.
    left: AtomicBool,
    /// Up to which number the other node knows that each publisher's results have left.
    known: Mutex<BTreeMap<String, u64>>,
    learnt: watch::Sender<u64>,
    /// Whether this node may act.
    pub gate: Arc<Gate>,
    /// The way to the other node, and to the pair's thread.
    pub wire: Arc<Wire>,
}

/// What waits for the plan's thread.
#[derive(Debug, Default)]
struct Notes {
    /// Entries after this one were cut off.
    cut: Option<u64>,
    /// A snapshot took the place of state and log, up to here.
    installed: Option<u64>,
    /// A snapshot is to take the place of the state alone, up to here.
    reloaded: Option<u64>,
    arrivals: VecDeque<Arrival>,
    /// The stamps of those.
    waiting: BTreeSet<Stamp>,
    /// The last stamp that arrived in this epoch.
    arrived: Option<Stamp>,
    answers: Vec<(Stamp, Verdict)>,
    /// The link is new: what was sent and not answered is sent again.
    send_again: bool,
    missed: Missed,
}

/// What the pair did to the log while its journal was being opened anew, and is done to it then.
#[derive(Clone, Copy, Debug, Default)]
pub struct Missed {
    /// Entries after this one were cut off.
    pub cut: Option<u64>,
    /// A snapshot took the place of the log, up to here; the epoch of the entry there.
    pub installed: Option<(u64, u64)>,
}

impl Missed {
    /// Does to the journal what it missed.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn make_up(&self, journal: &mut Journaled) -> Result<(), JournalError> {
        if let Some((base, epoch)) = self.installed {
            journal.restart_after(base, epoch)?;
        }
        match self.cut {
            Some(after) if after < journal.last() => journal.cut(after),
            _ => Ok(()),
        }
    }

    /// Whether what was ordered at a position before is still to stand there.
    #[must_use]
    pub fn leaves(&self, position: u64) -> bool {
        self.installed.is_none() && self.cut.is_none_or(|after| position <= after)
    }
}

/// News for the plan's thread.
#[derive(Debug, Default)]
pub struct News {
    /// Entries after this one were cut off.
    pub cut: Option<u64>,
    /// A snapshot took the place of state and log, up to here.
    pub installed: Option<u64>,
    /// A snapshot is to take the place of the state alone, up to here.
    pub reloaded: Option<u64>,
    /// What became of what was forwarded.
    pub answers: Vec<(Stamp, Verdict)>,
    /// What was forwarded and not answered has to be forwarded again.
    pub send_again: bool,
}

/// Names what one node forwarded to the other: rising numbers within a stint of following.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct Stamp {
    /// The life of the node that forwarded it.
    pub incarnation: u64,
    /// Its stint of following in this life.
    pub stint: u64,
    /// The number in the stint.
    pub number: u64,
}

/// What the other node forwarded.
#[derive(Debug)]
pub struct Arrival {
    /// Under which name it is answered.
    pub stamp: Stamp,
    /// The entry that is to be ordered, as bytes; its time is that of the ordering.
    pub entry: Bytes,
    /// Room in the link, free again when this is dropped.
    pub hold: Option<Hold>,
}

/// What one node tells the other of what that one forwarded.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reply {
    /// The log it was for.
    pub plan: Plan,
    /// Which it was.
    pub stamp: Stamp,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of what was forwarded.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Verdict {
    /// It is in the log and was applied.
    Applied {
        /// Where.
        position: u64,
        /// It had been sent before.
        repeated: bool,
    },
    /// It had no effect.
    Refused {
        /// Why.
        reason: String,
        /// The stream was changed meanwhile.
        changed: bool,
        /// The plan's code panicked over it.
        poison: bool,
    },
}

impl Verdict {
    /// As the sender on this node would have been told.
    #[must_use]
    pub fn of(misfit: Misfit) -> Self {
        let changed = matches!(misfit, Misfit::Changed { .. });
        let poison = matches!(misfit, Misfit::Poison { .. });
        let reason = match misfit {
            Misfit::Changed { what: reason }
            | Misfit::NotRun { reason }
            | Misfit::Poison { note: reason } => reason,
            Misfit::Unsure => misfit.to_string(),
        };
        Self::Refused { reason, changed, poison }
    }

    /// What the sender on this node is told.
    ///
    /// # Errors
    /// If it had no effect.
    pub fn told(self) -> Result<(u64, Outcome), Misfit> {
        match self {
            Self::Applied { position, repeated: false } => Ok((position, Outcome::Done)),
            Self::Applied { position, repeated: true } => Ok((position, Outcome::Repeated)),
            Self::Refused { reason, changed: true, .. } => Err(Misfit::Changed { what: reason }),
            Self::Refused { reason, poison: true, .. } => Err(Misfit::Poison { note: reason }),
            Self::Refused { reason, .. } => Err(Misfit::NotRun { reason }),
        }
    }
}

impl Mirrored {
    /// The pair's side of a log of which entries up to `applied` were applied.
    #[must_use]
    pub fn new(
        plan: Plan,
        applied: u64,
        results: Option<Arc<ConfirmedFile>>,
        gate: Arc<Gate>,
        wire: Arc<Wire>,
    ) -> Self {
        Self {
            plan,
            committed: AtomicU64::new(applied),
            answered: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            looked_for: AtomicBool::new(false),
            news: AtomicBool::new(false),
            notes: Mutex::default(),
            broken: AtomicBool::new(false),
            follows: AtomicBool::new(false),
            results,
            left: AtomicBool::new(false),
            known: Mutex::default(),
            learnt: watch::Sender::new(0),
            gate,
            wire,
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls the pair's attention to the log, once until it has looked.
    pub fn look(&self) {
        if !self.looked_for.swap(true, Ordering::AcqRel) {
            self.wire.look(self.plan);
        }
    }

    /// The pair looks now; what changes from here on calls it again.
    pub fn looked(&self) {
        self.looked_for.store(false, Ordering::Release);
    }

    /// The journal takes no entries, or does so again.
    pub fn set_broken(&self, broken: bool) {
        if self.broken.swap(broken, Ordering::AcqRel) != broken {
            self.look();
        }
    }

    /// Whether the journal takes no entries.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Results have left: the other node is told soon, or at once where something waits for that.
    pub fn results_left(&self, is_awaited: bool) {
        self.left.store(true, Ordering::Release);
        if is_awaited {
            self.look();
        }
    }

    /// Whether results have left since this was asked last.
    pub fn take_left(&self) -> bool {
        self.left.swap(false, Ordering::AcqRel)
    }

    /// Up to which number each publisher's results have left.
    #[must_use]
    pub fn confirmed_results(&self) -> Vec<(String, u64)> {
        self.results.as_ref().map_or_else(Vec::new, |results| results.all())
    }

    /// Results left at the other node, in this generation of the pair.
    pub fn results_left_elsewhere(&self, generation: &str, publisher: &str, upto: u64) {
        if let Some(results) = &self.results {
            results.raise_in(history(generation), publisher, upto);
        }
    }

    /// This node acts, and what it computes next is of this generation of the pair; `given` says
    /// how many results its state has given each publisher so far. What was said of others that
    /// left before is void in another generation than before, here and at the other node.
    pub fn begin_results(&self, generation: &str, given: impl Fn(&str) -> u64) {
        let Some(results) = self.results.as_ref().filter(|_| !generation.is_empty()) else {
            return;
        };
        if results.begin(history(generation), given) {
            self.forget_known_results();
            self.results_left(true);
        }
    }

    /// Whether the numbers of the results that have left are those of this generation.
    #[must_use]
    pub fn are_results_of(&self, generation: &str) -> bool {
        let found = self.results.as_ref().map_or(0, |results| results.history());
        found == 0 || found == history(generation)
    }

    /// The other node knows that results have left.
    pub fn results_known(&self, publisher: String, upto: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let last = known.entry(publisher).or_default();
        *last = upto.max(*last);
        drop(known);
        self.learnt.send_modify(|times| *times += 1);
    }

    /// Nothing is known of what the other node knows.
    pub fn forget_known_results(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether the other node, if it could take over, knows that a publisher's results up to this
    /// number have left.
    #[must_use]
    pub fn is_known(&self, publisher: &str, upto: u64) -> bool {
        if upto == 0 || !self.gate.is_followed() {
            return true;
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody can be told before this history has begun here, and that may wait for publishers.
        known.get(publisher).is_some_and(|known| *known >= upto)
            || !self.are_results_of(&self.gate.role().generation)
    }

    /// Changes with every result of which the other node knows.
    #[must_use]
    pub fn learning(&self) -> watch::Receiver<u64> {
        self.learnt.subscribe()
    }

    /// Tells the other node what became of what it forwarded; it asks again if this gets lost.
    pub fn reply(&self, stamp: Stamp, verdict: Verdict) {
        self.wire.reply(&Reply { plan: self.plan, stamp, verdict });
    }

    /// How far entries may be applied. Ask for news after this, and before applying.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    /// Entries up to here may be applied.
    pub fn commit(&self, upto: u64) {
        self.committed.fetch_max(upto, Ordering::AcqRel);
    }

    /// Whether it is of one history with the active's log, so that what it holds will be committed.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.follows.load(Ordering::Acquire)
    }

    /// Whether it is of one history with the active's log.
    pub fn set_follows(&self, follows: bool) {
        self.follows.store(follows, Ordering::Release);
    }

    /// How far senders may be told.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Acquire)
    }

    /// Senders of entries up to here may be told.
    pub fn answer(&self, upto: u64) {
        self.answered.store(upto, Ordering::Release);
    }

    /// The epoch in which this node appends; to be read, and set, with the journal in hand.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        Some(self.epoch.load(Ordering::Acquire)).filter(|epoch| *epoch > 0)
    }

    /// From now on this node appends in this epoch, or not at all.
    pub fn append_in(&self, epoch: Option<u64>) {
        self.epoch.store(epoch.unwrap_or(0), Ordering::Release);
        self.answered.store(0, Ordering::Release);
        let mut notes = self.notes();
        notes.arrivals.clear();
        notes.waiting.clear();
        notes.arrived = None;
    }

    /// Entries after this one were cut off.
    pub fn cut(&self, after: u64) {
        let mut notes = self.notes();
        notes.cut = Some(notes.cut.map_or(after, |before| before.min(after)));
        self.news.store(true, Ordering::Release);
    }

    /// The journal, which is being opened anew, is to be cut after this one. To be said with the
    /// place of the journal in hand.
    pub fn miss_cut(&self, after: u64) {
        let cut = &mut self.notes().missed.cut;
        *cut = Some(cut.map_or(after, |before| before.min(after)));
    }

    /// The same of a snapshot that takes the place of all that it holds.
    pub fn miss_install(&self, base: u64, epoch: u64) {
        self.notes().missed = Missed { cut: None, installed: Some((base, epoch)) };
    }

    /// What the journal missed while it was opened anew. To be asked with its place in hand.
    #[must_use]
    pub fn missed(&self) -> Missed {
        self.notes().missed
    }

    /// It is made up for.
    pub fn forget_missed(&self) {
        self.notes().missed = Missed::default();
    }

    /// A snapshot took the place of state and log.
    pub fn install(&self, base: u64) {
        self.notes().installed = Some(base);
        self.news.store(true, Ordering::Release);
        self.committed.store(base, Ordering::Release);
    }

    /// A snapshot of the other node is to take the place of the state.
    pub fn reload(&self, base: u64) {
        self.notes().reloaded = Some(base);
        self.news.store(true, Ordering::Release);
    }

    /// The other node forwarded something; of all that it waits for, `first` is the lowest number.
    /// What would leave a gap is dropped: its producer's numbers only rise, and what is in the gap
    /// comes again with all that follows it. A repeat of what waits here is dropped, too: a plan
    /// that takes nothing for a while would keep room in the link for each.
    pub fn arrive(&self, arrival: Arrival, first: u64) {
        let mut notes = self.notes();
        let Stamp { incarnation, stint, number } = arrival.stamp;
        let before =
            notes.arrived.filter(|last| (last.incarnation, last.stint) == (incarnation, stint));
        let follows = match before {
            Some(last) => number <= last.number + 1,
            None => number == first,
        };
        if follows && notes.waiting.insert(arrival.stamp) {
            let last = before.map_or(number, |last| last.number.max(number));
            notes.arrived = Some(Stamp { number: last, ..arrival.stamp });
            notes.arrivals.push_back(arrival);
        }
    }

    /// The oldest of what the other node forwarded.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Arrival> {
        let mut notes = self.notes();
        let arrival = notes.arrivals.pop_front()?;
        notes.waiting.remove(&arrival.stamp);
        Some(arrival)
    }

    /// What was forwarded was answered.
    pub fn answered_elsewhere(&self, stamp: Stamp, verdict: Verdict) {
        self.notes().answers.push((stamp, verdict));
        self.news.store(true, Ordering::Release);
    }

    /// What was forwarded and not answered has to be forwarded again.
    pub fn send_again(&self) {
        self.notes().send_again = true;
        self.news.store(true, Ordering::Release);
    }

    /// Whether something was cut off, or put in place of the log, and nobody has asked for it yet.
    #[must_use]
    pub fn has_cut(&self) -> bool {
        let notes = self.notes();
        notes.cut.is_some() || notes.installed.is_some() || notes.reloaded.is_some()
    }

    /// What is new since the last asking.
    #[must_use]
    pub fn news(&self) -> Option<News> {
        if !self.news.swap(false, Ordering::AcqRel) {
            return None;
        }
        let mut notes = self.notes();
        Some(News {
            cut: notes.cut.take(),
            installed: notes.installed.take(),
            reloaded: notes.reloaded.take(),
            answers: std::mem::take(&mut notes.answers),
            send_again: std::mem::take(&mut notes.send_again),
        })
    }
}

/// A generation of the pair as a number.
fn history(generation: &str) -> u64 {
    hash_bytes(generation.as_bytes())
}

impl std::fmt::Debug for Mirrored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mirrored({})", self.plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirrored() -> Mirrored {
        Mirrored::new(Plan(3), 7, None, Arc::new(Gate::closed()), Arc::default())
    }

    fn arrive(mirrored: &Mirrored, stint: u64, number: u64, first: u64) {
        let stamp = Stamp { incarnation: 1, stint, number };
        mirrored.arrive(Arrival { stamp, entry: Bytes::new(), hold: None }, first);
    }

    fn taken(mirrored: &Mirrored) -> Vec<(u64, u64)> {
        let next = || mirrored.next_arrival();
        std::iter::from_fn(next)
            .map(|arrival| (arrival.stamp.stint, arrival.stamp.number))
            .collect()
    }

    #[test]
    fn what_was_forwarded_is_taken_in_order_and_without_a_gap() {
        let mirrored = mirrored();
        mirrored.append_in(Some(1));
        // The first of all that waits at the other node, which may have been answered others.
        arrive(&mirrored, 0, 5, 4);
        assert_eq!(taken(&mirrored), [], "4 got lost on the way");
        arrive(&mirrored, 0, 4, 4);
        arrive(&mirrored, 0, 5, 4);
        arrive(&mirrored, 0, 7, 4);
        arrive(&mirrored, 0, 5, 5);
        assert_eq!(taken(&mirrored), [(0, 4), (0, 5)], "what waits here need not come again");
        arrive(&mirrored, 0, 5, 5);
        assert_eq!(taken(&mirrored), [(0, 5)], "a repeat of what was ordered gets its answer");
        arrive(&mirrored, 0, 6, 6);
        arrive(&mirrored, 1, 2, 1);
        arrive(&mirrored, 1, 1, 1);
        assert_eq!(taken(&mirrored), [(0, 6), (1, 1)], "another stint begins with its first");
        mirrored.append_in(Some(2));
        arrive(&mirrored, 1, 2, 1);
        assert_eq!(taken(&mirrored), [], "a new epoch has taken nothing yet");
    }

    #[test]
    fn cuts_are_told_once_and_the_deepest_counts() {
        let mirrored = mirrored();
        assert!(mirrored.news().is_none());
        mirrored.cut(9);
        mirrored.cut(8);
        mirrored.cut(10);
        assert!(mirrored.has_cut());
        assert_eq!(mirrored.news().and_then(|news| news.cut), Some(8));
        assert!(mirrored.news().is_none() && !mirrored.has_cut());
        assert_eq!(mirrored.committed(), 7, "a cut takes back nothing that was committed");
        mirrored.commit(9);
        mirrored.commit(8);
        assert_eq!(mirrored.committed(), 9);
    }

    #[test]
    fn a_verdict_says_on_the_other_node_what_it_says_here() {
        for misfit in [
            Misfit::Changed { what: "the stream `S`".to_owned() },
            Misfit::NotRun { reason: "no".to_owned() },
            Misfit::Poison { note: "boom".to_owned() },
        ] {
            assert_eq!(Verdict::of(misfit.clone()).told(), Err(misfit));
        }
        let applied = Verdict::Applied { position: 4, repeated: true };
        assert_eq!(applied.told(), Ok((4, Outcome::Repeated)));
    }
}
