//! Taking from a passive what it holds further: for a holder whose journal may have lost its end,
//! and for plans whose entries only the other node has.

use crate::ha::protocol::action::Action;
use crate::ha::protocol::action::Alarm;
use crate::ha::protocol::arbiter::What;
use crate::ha::protocol::input::Journal;
use crate::ha::protocol::log::PlanLog;
use crate::ha::protocol::log::Shape;
use crate::ha::protocol::log::Span;
use crate::ha::protocol::member::Member;
use crate::ha::protocol::member::Part;
use crate::ha::protocol::message::Body;
use crate::ha::protocol::record::PlanSet;
use crate::ha::protocol::words::Epoch;
use crate::ha::protocol::words::Incarnation;
use crate::ha::protocol::words::Moment;
use crate::ha::protocol::words::Plan;
use crate::ha::protocol::words::Position;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What the other node showed of its logs since this one asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Tails {
    asked: Option<Moment>,
    /// The life that showed them.
    of: Incarnation,
    /// How far its logs go.
    ends: BTreeMap<Plan, (Epoch, Position)>,
    /// So many plans the other node has.
    plans: Option<usize>,
    /// The other's journal may have lost its end too.
    doubtful: bool,
}

impl Tails {
    /// Whether everything was taken and is on disk, and if so, whether from a doubtful journal.
    pub fn taken(&self, logs: &BTreeMap<Plan, PlanLog>) -> Option<bool> {
        let whole = self.plans.is_some_and(|plans| self.ends.len() >= plans);
        let has = |(plan, end): (&Plan, &(Epoch, Position))| {
            logs.get(plan).is_some_and(|log| log.shape.end() >= *end && log.synced >= log.last())
        };
        (whole && self.ends.iter().all(has)).then_some(self.doubtful)
    }
}

impl Member {
    fn shapes(&self) -> Vec<(Plan, Shape)> {
        self.logs.iter().map(|(plan, log)| (*plan, log.shape.clone())).collect()
    }

    /// A recorded holder in doubt asks for everything, time and again.
    pub(super) fn ask_for_all_tails(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let interval = self.settings.poll;
        let plans = self.shapes();
        let Some(passive) = self.passive_mut() else { return };
        if passive.tails.asked.is_some_and(|asked| now.since(asked) < interval) {
            return;
        }
        passive.tails.asked = Some(now);
        self.send(Body::TailRequest { asked: now, plans, all: true }, actions);
    }

    /// The active asks for the entries of plans that stay down here.
    pub(super) fn ask_for_tails(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let interval = self.settings.poll;
        let Part::Active(active) = &mut self.part else { return };
        let missing = |plan: &Plan| active.down.contains(plan) && !active.regained.contains(plan);
        if active.down.is_empty() || now.since(active.tail_at) < interval {
            return;
        }
        let wish = |plan: &Plan| {
            let shape = self.logs.get(plan).map(|log| log.shape.clone()).unwrap_or_default();
            (*plan, shape)
        };
        let plans: Vec<_> = active.down.iter().filter(|p| missing(p)).map(wish).collect();
        active.tail_at = now;
        self.send(Body::TailRequest { asked: now, plans, all: false }, actions);
    }

    /// Shows what this passive holds.
    pub(super) fn tail_requested(
        &mut self,
        asked: Moment,
        plans: &[(Plan, Shape)],
        all: bool,
        actions: &mut Vec<Action>,
    ) {
        if matches!(self.part, Part::Active(_)) {
            return;
        }
        let mut theirs: BTreeMap<Plan, Shape> = plans.iter().cloned().collect();
        if all {
            for plan in self.logs.keys() {
                theirs.entry(*plan).or_default();
            }
        }
        if !all {
            theirs.retain(|plan, _| self.logs.contains_key(plan));
        }
        let (to, count) = (self.peer, theirs.len());
        let doubtful = self.journal != Journal::Sound;
        for (plan, their) in theirs {
            let mine = self.logs.get(&plan).map(|log| log.shape.clone()).unwrap_or_default();
            let further = mine.compare(&their) == Ordering::Greater;
            let common = if further { mine.common(&their) } else { Some(Position(0)) };
            let Some(common) = common else {
                actions.push(Action::SendSnapshot { plan });
                continue;
            };
            let (after, upto) = if further {
                (common, Position(mine.last.0.min(common.0 + self.settings.ship)))
            } else {
                (mine.last, mine.last)
            };
            let shape = mine;
            let plans = count;
            let whole = self.logs.get(&plan).is_some_and(|log| log.whole);
            let body = Body::Tail { to, asked, plan, doubtful, whole, shape, after, upto, plans };
            let message = self.message(body);
            if upto > after {
                actions.push(Action::Ship { message, plan, after, upto });
            } else {
                actions.push(Action::Send(message));
            }
        }
    }

    /// Takes what the other node holds further.
    pub(super) fn tail(
        &mut self,
        now: Moment,
        (plan, plans): (Plan, usize),
        (doubtful, whole): (bool, bool),
        shape: Shape,
        range: (Position, Position),
        actions: &mut Vec<Action>,
    ) {
        let wanted = match &self.part {
            Part::Active(active) => active.down.contains(&plan),
            Part::Passive(_) => self.journal != Journal::Sound,
        };
        let mine = self.known().is_some_and(|record| record.holder == Some(self.node));
        if !wanted || !mine || self.writes() {
            return;
        }
        self.logs.entry(plan).or_insert_with(|| {
            actions.push(Action::OpenLog { plan });
            PlanLog::default()
        });
        let took = self.take_tail(plan, &shape, range, actions);
        let (peer, token) = (self.peer, self.token());
        let Some(log) = self.logs.get_mut(&plan) else { return };
        let done = log.shape.compare(&shape) != Ordering::Less;
        let on_disk = log.synced >= log.last();
        if done {
            log.inherited = log.last();
        }
        if done && !on_disk {
            // The doubt ends only when what was taken cannot be lost again.
            actions.push(Action::SyncAll { token, besides: PlanSet::new() });
        }
        match &mut self.part {
            Part::Active(active) => {
                // Only a log that is whole can make another one so. One that only goes further is
                // taken, too: if people give the plan up, less is lost.
                if done && on_disk && whole && active.regained.insert(plan) {
                    self.active_asks(now, actions);
                } else if took {
                    active.tail_at = Moment(0);
                    self.ask_for_tails(now, actions);
                }
            }
            Part::Passive(passive) => {
                let tails = &mut passive.tails;
                if tails.of != peer {
                    *tails = Tails { asked: tails.asked, of: peer, ..Tails::default() };
                }
                let end = tails.ends.entry(plan).or_default();
                *end = shape.end().max(*end);
                tails.plans = Some(plans);
                tails.doubtful |= doubtful;
                if took && !done {
                    passive.tails.asked = None;
                    self.ask_for_all_tails(now, actions);
                }
            }
        }
    }

    /// Whether a write of this node is out.
    fn writes(&self) -> bool {
        let out = self.asked.as_ref().map(|out| &out.what);
        !matches!(out, None | Some(What::Read)) && self.epoch().is_none()
    }

    /// Puts the other's entries in place of what parts from them here.
    fn take_tail(
        &mut self,
        plan: Plan,
        shape: &Shape,
        (after, upto): (Position, Position),
        actions: &mut Vec<Action>,
    ) -> bool {
        let Some(log) = self.logs.get_mut(&plan) else { return false };
        if log.shape.compare(shape) != Ordering::Less || log.diverged {
            return false;
        }
        let Some(common) = log.shape.common(shape) else { return false };
        if after > common || upto <= common {
            return false;
        }
        let applied = log.committed;
        if common < applied {
            log.diverged = true;
            actions.push(Action::Alarm(Alarm::AppliedBeyond { plan, applied, common }));
            return false;
        }
        if common < log.last() {
            log.cut(common);
            actions.push(Action::Cut { plan, after: common });
        }
        for Span { first, epoch } in shape.spans_between(common, upto) {
            let end = shape.spans.iter().map(|span| span.first).find(|next| *next > first);
            let end = end.map_or(upto, |next| Position(next.0 - 1).min(upto));
            log.shape.extend(epoch, end);
        }
        actions.push(Action::Append { plan, after: common, upto });
        true
    }
}
