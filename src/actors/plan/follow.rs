//! A plan of a pair: what it does when this node follows, and when it begins to order.
//!
//! While the other node orders, what comes here is forwarded to it, in order, and kept until it
//! answers. A new connection begins with everything that was not answered yet; the stamps by which
//! it is named are numbers of a producer to the plan, so that nothing is taken twice. When this
//! node takes over it orders what is open itself, under the same numbers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::actors::clock;
use crate::actors::gate::Part;
use crate::actors::plan::Arrival;
use crate::actors::plan::Desk;
use crate::actors::plan::Forwarded;
use crate::actors::plan::Mirrored;
use crate::actors::plan::Misfit;
use crate::actors::plan::News;
use crate::actors::plan::Stamp;
use crate::actors::plan::Switch;
use crate::actors::plan::Told;
use crate::actors::plan::Unordered;
use crate::actors::plan::Verdict;
use crate::actors::plan::Waiting;
use crate::actors::plan::Work;
use crate::actors::plan::outbox::Pending;
use crate::actors::tree::Inbox;
use crate::event::codec::Encode as _;
use crate::ha::link::Shipped;
use crate::replica::Body;
use crate::replica::LogEntry;
use crate::replica::Sending;

/// So much may be forwarded and not answered.
const OPEN_MAX: usize = 1_024;
/// So many bytes may be under way unanswered, and one entry always may: a plan that takes nothing
/// at the other node is not to fill the link, on which those of all plans wait.
const OPEN_BYTES_MAX: usize = 1 << 20;
/// What was not answered for so long is sent again.
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// How soon it is tried again where there was no way or no room; milliseconds.
const AGAIN_MS: u64 = 20;
/// A node that follows knows how its receivers stand when it lacks no more committed entries.
const BEHIND_MAX: u64 = 64;

/// What waits on a node that follows.
#[derive(Debug, Default)]
pub struct Follow {
    /// Counts the times this node began to follow in this life.
    stint: u64,
    /// The last number given in this stint.
    number: u64,
    /// To be answered by the other node.
    open: VecDeque<Open>,
    /// So many of them were sent on this connection.
    sent: usize,
    /// When one was sent last.
    sent_at: Duration,
    /// To be forwarded, or ordered here.
    turned: VecDeque<Unordered>,
    /// New versions whose entries have not come yet.
    pub(super) switches: VecDeque<Switch>,
    /// An entry that deploys a version nobody has brought here yet.
    pub(super) stalled: Option<Waiting>,
    /// Results of a snapshot, as long as the version is not here that has their ways out.
    pub(super) pending: Vec<Pending>,
    /// Whether this node was ordering when it last looked.
    ordered: bool,
    /// At which turn of the gate it was seen to that results are of the pair's history.
    pub(super) turn: Option<u64>,
    /// How often the plan's state was taken from the other node.
    pub(super) reading: u64,
}

/// What the other node is to answer.
#[derive(Debug)]
struct Open {
    stamp: Stamp,
    unordered: Unordered,
    /// How long it was when it was sent; 0 before.
    bytes: usize,
}

impl Desk {
    /// Whether this node orders entries of the plan now. When it begins to, what is open is ordered
    /// first.
    pub fn orders(&mut self) -> bool {
        let Some(mirrored) = self.ledger.mirrored().cloned() else { return true };
        let orders = self.ledger.orders() && mirrored.gate.is_open();
        if orders && !self.follow.ordered {
            self.follow.ordered = true;
            self.begin_ordering();
        } else if !orders && mirrored.epoch().is_none() && self.follow.ordered {
            self.follow.ordered = false;
            self.follow.stint += 1;
            self.follow.number = 0;
            self.stop_loading();
        }
        if orders {
            self.look_at_history(&mirrored);
        }
        orders
    }

    fn begin_ordering(&mut self) {
        if self.ledger.is_empty() {
            self.order(Body::Deploy(self.version.deployment()), Told::Nobody, None);
        }
        for switch in std::mem::take(&mut self.follow.switches) {
            self.order_switch(switch, None);
        }
        self.follow.sent = 0;
        if !self.must_load() {
            self.order_open();
        }
        // What the plan fell over here and nobody has said so in the log.
        for (position, reason) in self.replica.unsaid_skips() {
            self.order(Body::Skip { position, reason }, Told::Nobody, None);
        }
    }

    /// Orders what was forwarded to the node that ordered before and not answered.
    pub(super) fn order_open(&mut self) {
        if self.follow.open.is_empty() && self.follow.turned.is_empty() {
            return;
        }
        let open = std::mem::take(&mut self.follow.open).into_iter().map(|open| open.unordered);
        let turned = std::mem::take(&mut self.follow.turned);
        for Unordered { entry, told, room } in open.chain(turned) {
            self.order(entry.body, told, room);
        }
    }

    /// Takes note of what the pair did to the log; `false` if there was nothing.
    pub(super) fn heed_news(&mut self) -> Option<News> {
        let news = self.ledger.mirrored()?.news()?;
        if let Some(after) = news.cut {
            for Waiting { entry, told, room, .. } in self.ledger.cut(after) {
                if let Some(entry) = entry {
                    self.turn(Unordered { entry, told, room });
                }
            }
        }
        if news.send_again {
            self.follow.sent = 0;
        }
        for (stamp, verdict) in &news.answers {
            self.take_answer(*stamp, verdict.clone());
        }
        Some(news)
    }

    /// A snapshot took the place of the log: who waits for what was in it cannot be told more.
    pub(super) fn restart_after(&mut self, position: u64) {
        for waiting in self.ledger.restart_after(position) {
            match (waiting.entry, waiting.told) {
                (_, Told::Deployer(switch)) => self.follow.switches.push_back(switch),
                (Some(_), told) => told.refuse(Misfit::Unsure),
                (None, Told::Asker(question)) => self.ledger.line_up(question, waiting.room),
                (None, _) => {}
            }
        }
    }

    /// Keeps what this node does not order for who does.
    pub(super) fn turn(&mut self, unordered: Unordered) {
        let Unordered { entry, told, room } = unordered;
        match (&entry.body, told) {
            // The node that forwarded it has it still.
            (_, Told::Peer(_)) => {}
            (Body::Deploy(_), Told::Deployer(switch)) => self.keep_switch(switch),
            // A source that has places brings it again where it is pulled from.
            (body, _) if body.mark().is_some() && body.copied().is_none() => {}
            // Who orders asks the store itself.
            (Body::Load { .. } | Body::Answers(_), _) => {}
            (Body::Deploy(_) | Body::Tick | Body::Compare | Body::Skip { .. }, _) => {}
            (_, told) => self.follow.turned.push_back(Unordered { entry, told, room }),
        }
    }

    /// Works as one who follows; `false` when nothing more can be done for now.
    pub fn follow(&mut self, inbox: &Inbox<Work>) -> bool {
        let Some(mirrored) = self.ledger.mirrored().cloned() else { return false };
        if mirrored.gate.part() != Part::Passive {
            return false;
        }
        let mut worked = false;
        // What a publisher gave up when this node had just ceased to act.
        self.order_letters();
        while self.follow.open.len() + self.follow.turned.len() < OPEN_MAX
            && let Some(work) = inbox.take()
        {
            worked = true;
            self.take(work);
        }
        while let Some(unordered) = self.follow.turned.pop_front() {
            self.follow.number += 1;
            let (number, stint) = (self.follow.number, self.follow.stint);
            let stamp = Stamp { incarnation: mirrored.wire.incarnation(), stint, number };
            let unordered = stamped(unordered, stamp);
            self.follow.open.push_back(Open { stamp, unordered, bytes: 0 });
        }
        self.send_open(&mirrored) || worked
    }

    /// Sends what is open and was not sent on this connection, in order.
    fn send_open(&mut self, mirrored: &Mirrored) -> bool {
        let follow = &mut self.follow;
        let now = clock::elapsed();
        let Some(Open { stamp: Stamp { number: first, .. }, .. }) = follow.open.front() else {
            return false;
        };
        let first = *first;
        if follow.sent > 0 && now.saturating_sub(follow.sent_at) > ANSWER_TIME {
            // An answer may have been lost.
            follow.sent = 0;
        }
        let before = follow.sent;
        let mut under_way: usize = follow.open.iter().take(before).map(|open| open.bytes).sum();
        while under_way < OPEN_BYTES_MAX
            && let Some(Open { stamp, unordered, bytes }) = follow.open.get_mut(follow.sent)
        {
            let encode = |into: &mut Vec<u8>| {
                let head = into.len();
                unordered.entry.encode(into);
                *bytes = into.len() - head;
            };
            if mirrored.wire.forward(mirrored.plan, *stamp, first, encode) != Shipped::Queued {
                break;
            }
            under_way += *bytes;
            follow.sent += 1;
            follow.sent_at = now;
        }
        follow.sent > before
    }

    /// When it wants to look again although nothing comes.
    pub(super) fn follow_due(&self) -> Option<u64> {
        let waits = !self.follow.open.is_empty() || !self.follow.turned.is_empty();
        waits.then_some(AGAIN_MS)
    }

    fn take_answer(&mut self, stamp: Stamp, verdict: Verdict) {
        let open = &mut self.follow.open;
        let Some(place) = open.iter().position(|open| open.stamp == stamp) else { return };
        let Some(Open { unordered: Unordered { told, .. }, .. }) = open.remove(place) else {
            return;
        };
        self.follow.sent = self.follow.sent.saturating_sub(1);
        match verdict.told() {
            Ok((position, outcome)) => told.tell(position, outcome),
            Err(misfit) => told.refuse(misfit),
        }
    }

    /// Orders what the other node forwarded.
    pub fn take_arrivals(&mut self, mirrored: &Arc<Mirrored>, most: usize) -> usize {
        let mut taken = 0;
        while taken < most
            && self.ledger.has_room()
            && let Some(Arrival { stamp, entry, hold }) = mirrored.next_arrival()
        {
            let told = Told::Peer(Forwarded { stamp, mirrored: Arc::clone(mirrored), hold });
            match LogEntry::decode(&mut &*entry) {
                Ok(entry) => self.order(entry.body, told, None),
                Err(_) => told.refuse(Misfit::NotRun {
                    reason: "the other node cannot read this: do their versions differ?".to_owned(),
                }),
            }
            taken += 1;
        }
        taken
    }

    /// Whether the log says by now how far the receivers have come: nothing that others ordered is
    /// still to be applied.
    #[must_use]
    pub fn knows_places(&self) -> bool {
        let ordering = self.ledger.mirrored().is_none() || self.follow.ordered;
        ordering && !self.ledger.is_catching_up()
    }

    /// Where this node's receiver goes on that gets every event on both nodes. `None` while this
    /// node does not know: it is behind, or it is not decided whom it follows.
    #[must_use]
    pub fn standing_of(&self, receiver: &str, node: &str) -> Option<Standing> {
        let position = self.replica.position();
        let knows = self.ledger.mirrored().is_none_or(|mirrored| {
            let follows = mirrored.gate.part() == Part::Passive && mirrored.follows();
            let behind = mirrored.committed().saturating_sub(position);
            self.follow.ordered || follows && behind <= BEHIND_MAX
        });
        if !knows || position == 0 || self.ledger.is_catching_up() {
            return None;
        }
        let place = |name: &str| self.replica.place_of(name).map(ToString::to_string);
        let known = place(&place_name(receiver, node));
        // Who was alone before goes on where it was.
        let alone = || place(receiver).filter(|_| self.follow.ordered);
        let is_passed = self.replica.is_passed(receiver, node);
        Some(Standing { mark: known.clone().or_else(alone), known, is_passed })
    }

    /// Whether all that can be done before the end was done.
    #[must_use]
    pub fn is_done(&mut self) -> bool {
        !self.orders() || !self.ledger.is_waiting()
    }
}

/// Where a receiver goes on that gets every event on both nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How far it has come, as the log says under this node's name.
    pub known: Option<String>,
    /// Where it goes on.
    pub mark: Option<String>,
    /// Whether it may pass over all that waits for it, since the other node brought it.
    pub is_passed: bool,
}

/// The name under which a node's place in a source is kept of which each node has its own.
#[must_use]
pub fn place_name(receiver: &str, node: &str) -> String {
    if node.is_empty() { receiver.to_owned() } else { format!("{receiver}@{node}") }
}

/// The same, so that it counts once however often it is sent.
fn stamped(mut unordered: Unordered, stamp: Stamp) -> Unordered {
    let Stamp { incarnation, stint, number } = stamp;
    if let Some(sending) = unordered.entry.body.sending_mut()
        && sending.is_none()
    {
        *sending = Some(Sending::new(&format!("/{incarnation}/{stint}"), number));
    }
    unordered
}
