//! Parcels that a publisher has taken out of its inbox and that have not left, in order.

use std::collections::VecDeque;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use crate::actors::clock;
use crate::actors::publisher::PublisherActor;
use crate::actors::publisher::TRIES;
use crate::actors::publisher::given_up::GivenUp;
use crate::actors::tree::Taken;
use crate::event::Text;
use crate::publishers::Built;
use crate::publishers::OnError;
use crate::publishers::Parcel;
use crate::publishers::PublishError;

/// Parcels taken out of the inbox that have not left, the oldest first.
#[derive(Default)]
pub(super) struct Line {
    /// Published, or given up; to be confirmed in order.
    pub said: VecDeque<AtHand>,
    pub at_hand: Option<AtHand>,
    /// To be published again.
    pub again: VecDeque<AtHand>,
}

/// A parcel, and what has been done about it.
pub(super) struct AtHand {
    /// It.
    pub parcel: Taken<Parcel>,
    /// When it was taken out of the inbox.
    pub since: Duration,
    /// How often it was tried in vain, without an end of its own.
    pub tries: u32,
    /// It was put aside, for this reason: nothing is to be done but to confirm it in its turn, and
    /// to answer what it asked.
    pub given_up: Option<Text>,
    /// Letters that hold it, or parts of it, and have to be safe before.
    pub letters: Vec<GivenUp>,
}

impl Line {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.said.is_empty() && self.again.is_empty() && self.at_hand.is_none()
    }

    /// Since when the oldest of them is here.
    pub fn oldest(&self) -> Option<Duration> {
        let first = self.said.front().or(self.at_hand.as_ref()).or(self.again.front());
        first.map(|at_hand| at_hand.since)
    }

    /// The parcel that is to be published next, of those taken before.
    pub fn next(&mut self) -> Option<AtHand> {
        self.at_hand.take().or_else(|| self.again.pop_front())
    }

    /// What was published is to be published again, in order and before all else.
    pub fn recall(&mut self) {
        if let Some(at_hand) = self.at_hand.take() {
            self.again.push_front(at_hand);
        }
        for said in self.said.drain(..).rev() {
            self.again.push_front(AtHand { tries: 0, ..said });
        }
    }
}

impl PublisherActor {
    pub(super) fn line(&self) -> MutexGuard<'_, Line> {
        self.job.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn keep(&self, at_hand: AtHand) {
        self.line().at_hand = Some(at_hand);
    }

    /// The parcel that was begun, else the next one; one that was tried too often is given up.
    pub(super) fn next_parcel(&self, built: &Built) -> Option<AtHand> {
        let begun = self.line().next();
        match begun {
            Some(mut begun) if begun.tries > TRIES * 2 && begun.given_up.is_none() => {
                // Its last tries ended in panics: even who waits for ever must not wait for this.
                let error = PublishError::permanent("the publisher panicked over it repeatedly");
                let log = built.on_error == OnError::Log;
                let on_error = if log { OnError::Log } else { OnError::Store };
                let parcel = &begun.parcel.message;
                begun.letters.extend(self.give_up_rest(built, on_error, parcel, &error));
                Some(AtHand { given_up: Some(error.message.into()), ..begun })
            }
            Some(begun) => Some(begun),
            None => {
                let parcel = self.job.end.inbox.take()?;
                let since = clock::elapsed();
                Some(AtHand { parcel, since, tries: 0, given_up: None, letters: Vec::new() })
            }
        }
    }

    /// The parcel at hand is done with as soon as it and those before it have settled.
    pub(super) fn said(&self, given_up: Option<Text>) {
        let mut line = self.line();
        if let Some(at_hand) = line.at_hand.take() {
            line.said.push_back(AtHand { given_up, ..at_hand });
        }
    }

    /// Confirms what has settled, in order; what was lost is next again.
    pub(super) fn settle(&mut self, built: &mut Built) {
        self.send_answers(built);
        let unheard = self.look_at_answers();
        if unheard {
            built.publisher.answers_lost();
        }
        let mut line = self.line();
        if built.publisher.is_lost() || unheard {
            line.recall();
        }
        if let Some(at_hand) = &mut line.at_hand {
            // It may have a letter for each of many rows.
            self.letters_are_safe(at_hand);
        }
        while let Some(at_hand) = line.said.front_mut() {
            let end = &self.job.end;
            if !end.is_void(&at_hand.parcel.message) {
                let parcel = &at_hand.parcel.message;
                let last = parcel.number + parcel.batch.len() as u64 - 1;
                if !self.letters_are_safe(at_hand)
                    || at_hand.given_up.is_none() && !built.publisher.settled(last)
                    || !self.is_answered(last)
                {
                    break;
                }
                let parcel = &at_hand.parcel.message;
                end.confirm(parcel);
                // A receiver that keeps ids is told again, if need be, what it knows.
                self.job.station.published(!built.publisher.bears_ids());
            }
            line.said.pop_front();
        }
    }
}
