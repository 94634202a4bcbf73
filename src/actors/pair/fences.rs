//! What leaves this node, told to the other: confirmed results, and the end of all of them before a
//! switch.
//!
//! Before this node hands over, every result that left has to be known at the other node, or it
//! would leave twice. A fence goes the same way as the confirmations, behind them; when the other
//! node sends it back, they have arrived.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::actors::pair::HaManager;
use crate::actors::pair::hub::Log;
use crate::actors::wire;
use crate::ha::link::Shipped;
use crate::ha::link::freight::Confirmed;
use crate::ha::link::freight::Freight;
use crate::ha::link::freight::Parcel;
use crate::ha::protocol::Epoch;
use crate::ha::protocol::Generation;
use crate::ha::protocol::Input;
use crate::ha::protocol::Plan;

/// Of a plan, by a publisher, the results up to this number.
type Known = (Plan, String, u64);

/// Where a switch stands.
#[derive(Debug, Default)]
pub struct Fences {
    state: State,
    last: u64,
    told: Said,
    /// What the other node told of plans whose logs are not here yet.
    early: BTreeMap<Plan, Vec<Confirmed>>,
    answers: Answers,
}

/// Up to which number the other node was told that each publisher's results have left, and of which
/// generation of the pair they are.
#[derive(Debug, Default)]
struct Said(BTreeMap<(Plan, String), (Generation, u64)>);

impl Said {
    /// What is to be said of a plan's results. In a new generation that is all of it: of those that
    /// left before, none may be known.
    fn news(
        &mut self,
        plan: Plan,
        generation: Generation,
        results: Vec<(String, u64)>,
    ) -> Vec<Confirmed> {
        let mut news = Vec::new();
        for (publisher, upto) in results {
            let before = self.0.insert((plan, publisher.clone()), (generation, upto));
            if before.is_none_or(|(of, told)| of != generation || upto > told) {
                news.push(Confirmed { plan, generation, publisher, upto });
            }
        }
        news
    }

    /// It got lost: all of it is to be said again.
    fn forget(&mut self, plan: Plan) {
        self.0.retain(|(of, _), _| *of != plan);
    }
}

/// What the other node waits for and is told as soon as there is room: that this node knows which
/// results have left there, and that its fence has come.
#[derive(Debug, Default)]
struct Answers {
    known: BTreeMap<(Plan, String), u64>,
    fence: Option<Bytes>,
}

impl Answers {
    /// Says what is to be said. Without a peer nobody waits for it: over a new connection all is
    /// told, and asked, anew.
    fn say(&mut self, ship: impl Fn(&Freight) -> Shipped) {
        if !self.known.is_empty() {
            let known = self.known.iter();
            let known: Vec<Known> =
                known.map(|((plan, publisher), upto)| (*plan, publisher.clone(), *upto)).collect();
            let bytes = postcard::to_stdvec(&known).expect("plain values always have a form");
            let parcel = Parcel { channel: wire::KNOWN, bytes: bytes.into() };
            if ship(&Freight::Parcel(parcel)) != Shipped::Full {
                self.known.clear();
            }
        }
        if let Some(bytes) = &self.fence {
            let back = Parcel { channel: wire::FENCES_BACK, bytes: bytes.clone() };
            if ship(&Freight::Parcel(back)) != Shipped::Full {
                self.fence = None;
            }
        }
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    /// Emissions under way are waited for.
    Draining,
    /// The fence of this number is out.
    Sent(u64),
}

impl Fences {
    /// No switch is under way any more.
    pub fn forget(&mut self) {
        self.state = State::Idle;
    }
}

impl HaManager {
    /// Takes nothing more and lets what is under way come to its end.
    pub(super) fn drain(&mut self) {
        self.estate.hub.gate.drain(true);
        for log in self.hub().logs() {
            let plan = log.mirrored.plan;
            self.flush(plan);
            let (epoch, last) = {
                let held = crate::actors::plan::hold(&log.journal);
                let epoch = log.mirrored.epoch();
                log.mirrored.append_in(None);
                (epoch, held.as_ref().map(crate::actors::plan::Journaled::written))
            };
            if let (Some(epoch), Some(last)) = (epoch, last) {
                self.appended(plan, Epoch(epoch), last);
            }
            (log.nudge)();
        }
        self.fences.state = State::Draining;
        self.fence_tick();
    }

    /// The switch was called off.
    pub(super) fn undrain(&mut self) {
        self.fences.forget();
        self.estate.hub.gate.drain(false);
        let epoch = self.life.as_ref().and_then(|life| life.member.epoch());
        for log in self.hub().logs() {
            self.let_append(&log, epoch.map(|epoch| epoch.0));
            (log.nudge)();
        }
    }

    pub(super) fn fence_tick(&mut self) {
        if self.fences.state != State::Draining || self.estate.hub.gate.is_emitting() {
            return;
        }
        for log in self.hub().logs() {
            self.confirm(log.mirrored.plan);
        }
        self.fences.last += 1;
        let number = self.fences.last;
        let bytes = number.to_le_bytes().to_vec().into();
        let fence = Freight::Parcel(Parcel { channel: wire::FENCES, bytes });
        if self.estate.hub.wire.ship(&fence) == Shipped::Queued {
            self.fences.state = State::Sent(number);
        }
    }

    /// A fence came, or came back.
    pub(super) fn fence_heard(&mut self, parcel: &Parcel) {
        if parcel.channel == wire::KNOWN {
            return self.known(&parcel.bytes);
        }
        let number = parcel.bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        if parcel.channel == wire::FENCES {
            self.fences.answers.fence = Some(parcel.bytes.clone());
            self.say_answers();
        } else if parcel.channel == wire::FENCES_BACK
            && number.is_some_and(|number| self.fences.state == State::Sent(number))
        {
            self.fences.forget();
            self.give(Input::Drained, None);
        }
    }

    /// Tells the other node which results of a plan have left since it was told last.
    pub(super) fn confirm(&mut self, plan: Plan) {
        let member = self.life.as_ref().map(|life| &life.member);
        let acts = member.filter(|member| member.epoch().is_some());
        let Some(generation) = acts.and_then(|member| member.generation()) else { return };
        let Some(log) = self.hub().log(plan) else { return };
        if !log.mirrored.are_results_of(&generation.to_string()) {
            // The plan's thread calls as soon as they are.
            return;
        }
        let news = self.fences.told.news(plan, generation, log.mirrored.confirmed_results());
        if news.is_empty() {
            return;
        }
        if self.estate.hub.wire.ship(&Freight::Confirmed(news)) != Shipped::Queued {
            // Told anew with the next look.
            self.fences.told.forget(plan);
            log.mirrored.results_left(false);
        }
    }

    /// The same where results have left. Without a connection nobody can be told, and a new one
    /// begins with everything.
    pub(super) fn confirm_left(&mut self, log: &Log) {
        let member = self.life.as_ref().map(|life| &life.member);
        let acts = member.is_some_and(|member| member.epoch().is_some());
        if acts && self.status.linked && log.mirrored.take_left() {
            self.confirm(log.mirrored.plan);
        }
    }

    /// The same of all plans.
    pub(super) fn confirm_all_left(&mut self) {
        for log in self.hub().logs() {
            self.confirm_left(&log);
        }
    }

    /// A new connection knows of nothing.
    pub(super) fn confirm_all(&mut self) {
        self.fences.told = Said::default();
        self.fences.early.clear();
        for log in self.hub().logs() {
            log.mirrored.forget_known_results();
            self.confirm(log.mirrored.plan);
        }
    }

    /// The active published results; this node need not hold them, and says that it knows.
    pub(super) fn confirmed(&mut self, confirmed: &[Confirmed]) {
        let member = self.life.as_ref().map(|life| &life.member);
        let acts = member.filter(|member| member.epoch().is_some());
        let own = acts.and_then(|member| member.generation());
        for left in confirmed {
            let Confirmed { plan, generation, publisher, upto } = left;
            if own.is_some_and(|own| own != *generation) {
                // Who acts knows best what has left in its own history.
                continue;
            }
            match self.estate.hub.log(*plan) {
                Some(log) => {
                    log.mirrored.results_left_elsewhere(&generation.to_string(), publisher, *upto);
                }
                // It is told once: a plan that is quiet from now on says no more.
                None => self.fences.early.entry(*plan).or_default().push(left.clone()),
            }
        }
        for Confirmed { plan, publisher, upto, .. } in confirmed {
            let known = self.fences.answers.known.entry((*plan, publisher.clone())).or_default();
            *known = (*upto).max(*known);
        }
        self.say_answers();
    }

    /// A plan's log is here now: what was told of its results before is heeded.
    pub(super) fn heed_early(&mut self, plan: Plan) {
        if let Some(early) = self.fences.early.remove(&plan) {
            self.confirmed(&early);
        }
    }

    /// Tells the other node what it waits for, as far as there is room.
    pub(super) fn say_answers(&mut self) {
        let wire = &self.estate.hub.wire;
        self.fences.answers.say(|freight| wire.ship(freight));
    }

    /// The other node knows that results have left.
    fn known(&self, bytes: &[u8]) {
        for (plan, publisher, upto) in postcard::from_bytes::<Vec<Known>>(bytes).unwrap_or_default()
        {
            if let Some(log) = self.estate.hub.log(plan) {
                log.mirrored.results_known(publisher, upto);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ha::protocol::Incarnation;
    use crate::ha::protocol::NodeId;
    use std::cell::RefCell;

    #[test]
    fn in_a_new_generation_all_results_that_left_are_told_anew() {
        let generation = |epoch| {
            let (node, incarnation) = (NodeId::A, Incarnation(7));
            Generation { epoch: Epoch(epoch), node, incarnation }
        };
        let mut said = Said::default();
        let mut news = |epoch, numbers: [u64; 2]| {
            let results = ["A", "B"].map(str::to_owned).into_iter().zip(numbers).collect();
            let news = said.news(Plan(1), generation(epoch), results).into_iter();
            news.map(|each| (each.publisher, each.upto)).collect::<Vec<_>>()
        };
        let of = |name: &str, upto| (name.to_owned(), upto);
        assert_eq!(news(1, [9, 0]), [of("A", 9), of("B", 0)], "also of whom nothing has left");
        assert_eq!(news(1, [9, 0]), []);
        assert_eq!(news(1, [9, 4]), [of("B", 4)]);
        assert_eq!(news(2, [5, 4]), [of("A", 5), of("B", 4)], "less may have left in it");
        assert_eq!(news(2, [6, 4]), [of("A", 6)]);
    }

    /// A publisher to a receiver without ids waits for this word: it must not get lost.
    #[test]
    fn answers_that_find_no_room_are_given_once_there_is_some() {
        let mut answers = Answers::default();
        let (plan, name) = (Plan(7), "publisher:Alerts:1".to_owned());
        answers.known.insert((plan, name.clone()), 4);
        answers.fence = Some(Bytes::from_static(b"12345678"));
        answers.say(|_| Shipped::Full);
        answers.known.insert((plan, name.clone()), 5);
        let shipped = RefCell::new(Vec::new());
        let room = |freight: &Freight| {
            shipped.borrow_mut().push(freight.clone());
            Shipped::Queued
        };
        answers.say(room);
        answers.say(room);
        let parcel = |channel, bytes| Freight::Parcel(Parcel { channel, bytes });
        let known = postcard::to_stdvec(&vec![(plan, name.clone(), 5_u64)]).unwrap();
        let expected = [
            parcel(wire::KNOWN, known.into()),
            parcel(wire::FENCES_BACK, Bytes::from_static(b"12345678")),
        ];
        assert_eq!(*shipped.borrow(), expected, "once each");
        answers.known.insert((plan, name), 6);
        answers.say(|_| Shipped::NoPeer);
        assert!(answers.known.is_empty(), "a new connection begins with everything");
    }
}
