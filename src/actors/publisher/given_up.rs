//! What a publisher gives up: into the fault stream, or into the plan's log as dead letters.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use tracing::debug;
use tracing::error;
use tracing::warn;

use crate::actors::clock;
use crate::actors::plan::Applied;
use crate::actors::plan::Brought;
use crate::actors::plan::Misfit;
use crate::actors::plan::Station;
use crate::actors::publisher::PublisherActor;
use crate::actors::publisher::line::AtHand;
use crate::actors::publisher::parcels::part;
use crate::event::Batch;
use crate::event::Text;
use crate::event::Value;
use crate::plan::logical::Stream;
use crate::publishers::Built;
use crate::publishers::OnError;
use crate::publishers::Parcel;
use crate::publishers::PublishError;
use crate::replica::Letter;
use crate::replica::LetterKind;
use crate::replica::Payload;

/// The reason of all dead letters of publishers.
const PUBLISHER: &str = "publisher";
/// So many letters may be under way before the publisher waits for them.
pub(super) const LETTERS_UNDER_WAY_MAX: usize = 64;
/// How the names of publishers begin that write into stores.
const STORE: &str = "store:";

/// A dead letter that may not be safe yet.
#[derive(Debug)]
pub(super) struct GivenUp {
    letter: Letter,
    told: oneshot::Receiver<Result<Applied, Misfit>>,
}

/// Where a letter stands.
enum Fate {
    /// It is not known to be safe.
    Waits,
    /// It is in the plan's log for good.
    Safe,
    /// The log does not take it, for this reason.
    Refused(String),
}

impl GivenUp {
    /// Puts a parcel aside.
    #[must_use]
    fn new(station: &Station, publisher: &str, parcel: &Parcel, message: &str) -> Self {
        let kind = match publisher.starts_with(STORE) {
            true => LetterKind::Store,
            false => LetterKind::Publisher,
        };
        let letter = Letter {
            at: clock::now_ms(),
            kind,
            place: publisher.into(),
            stream: (&*parcel.stream).into(),
            reason: PUBLISHER.into(),
            message: message.into(),
            payload: Payload::Rows {
                first: parcel.number,
                names: parcel.schema.names().map(Text::from).collect(),
                batch: Arc::clone(&parcel.batch),
            },
        };
        let told = station.put_aside(letter.clone());
        Self { letter, told }
    }

    /// Looks where it stands. Where that got lost, since the node's role changed, it is put aside
    /// again: a result stands in one letter only.
    fn look(&mut self, station: &Station) -> Fate {
        match self.told.try_recv() {
            Ok(Ok(_)) => Fate::Safe,
            Ok(Err(Misfit::NotRun { reason })) => Fate::Refused(reason),
            Err(TryRecvError::Empty) => Fate::Waits,
            Ok(Err(_)) | Err(TryRecvError::Closed) => {
                if !station.inbox.is_closed() {
                    self.told = station.put_aside(self.letter.clone());
                }
                Fate::Waits
            }
        }
    }
}

impl PublisherActor {
    /// A letter holds the parcel at hand, or a part of it.
    pub(super) fn attach(&self, letter: Option<GivenUp>) {
        if let Some(at_hand) = &mut self.line().at_hand {
            at_hand.letters.extend(letter);
        }
    }

    /// There is no way out for now: drops what the other node published, and gives up all else, if
    /// that is to be done and this node is the one to do it.
    pub(super) fn give_all_up(&mut self, built: &mut Built, error: &PublishError, gives_up: bool) {
        let gate = Arc::clone(&self.job.gate);
        while self.letters_under_way() <= LETTERS_UNDER_WAY_MAX {
            let Some(mut at_hand) = self.next_parcel(built) else { break };
            if self.job.end.is_void(&at_hand.parcel.message) {
                continue;
            }
            let permit = if gives_up { gate.begin() } else { None };
            if permit.is_none() {
                self.keep(at_hand);
                break;
            }
            let reason = self.given_up_before(&at_hand).unwrap_or_else(|| {
                let parcel = &at_hand.parcel.message;
                at_hand.letters.extend(self.give_up_rest(built, built.on_error, parcel, error));
                error.message.as_str().into()
            });
            self.pass_over(built, at_hand, reason);
            self.settle(built);
        }
        self.settle(built);
    }

    /// Why a parcel is not to be published: it was given up before, by whichever node.
    pub(super) fn given_up_before(&self, at_hand: &AtHand) -> Option<Text> {
        let is_aside = self.job.end.is_put_aside(&at_hand.parcel.message);
        let aside = is_aside.then(|| Text::from("it was put aside as a dead letter"));
        at_hand.given_up.clone().or(aside)
    }

    /// A parcel is not published. What it asked is answered, for the answer given before may have
    /// got lost with the role of the node that gave it.
    pub(super) fn pass_over(&mut self, built: &mut Built, at_hand: AtHand, reason: Text) {
        built.publisher.abandon(&at_hand.parcel.message, &reason);
        self.line().said.push_back(AtHand { given_up: Some(reason), ..at_hand });
    }

    /// Letters that are not known to be safe.
    pub(super) fn letters_under_way(&self) -> usize {
        let line = self.line();
        let of = |at_hand: &AtHand| at_hand.letters.len();
        line.said.iter().map(of).sum::<usize>() + line.at_hand.as_ref().map_or(0, of)
    }

    /// Whether all letters that hold a parcel or a part of it are safe.
    pub(super) fn letters_are_safe(&self, at_hand: &mut AtHand) -> bool {
        let station = &self.job.station;
        at_hand.letters.retain_mut(|letter| match letter.look(station) {
            Fate::Waits => true,
            Fate::Safe => false,
            Fate::Refused(reason) => {
                let parcel = &at_hand.parcel.message;
                self.count_and_log(parcel, &format!("no dead letter can be kept of it: {reason}"));
                false
            }
        });
        at_hand.letters.is_empty()
    }

    /// Puts a parcel aside: into the fault stream if the sink asks for that and there is room for
    /// it, else into a dead letter that is kept; or only into the log and the count of dead
    /// letters, where the sink asks for no more.
    #[must_use]
    pub(super) fn give_up(
        &self,
        on_error: OnError,
        parcel: &Parcel,
        error: &PublishError,
    ) -> Option<GivenUp> {
        let rows = parcel.batch.len();
        if on_error == OnError::Stream && self.send_to_fault_stream(parcel, error) {
            debug!(publisher = self.job.end.name, rows, %error, "rows sent to the fault stream");
            return None;
        }
        self.job.end.unpublished.inc_by(rows as u64);
        if on_error == OnError::Log {
            self.count_and_log(parcel, &error.message);
            return None;
        }
        let (plan, publisher) = (&parcel.plan, &self.job.end.name);
        warn!(%plan, publisher, rows, %error, "rows kept as a dead letter: not published");
        Some(GivenUp::new(&self.job.station, publisher, parcel, &error.message))
    }

    /// Puts aside what is lost of a parcel; who asked learns of it otherwise.
    #[must_use]
    pub(super) fn give_up_rest(
        &self,
        built: &Built,
        on_error: OnError,
        parcel: &Parcel,
        error: &PublishError,
    ) -> Option<GivenUp> {
        match built.publisher.undone(parcel) {
            rows if rows.is_empty() => None,
            rows if rows.len() == parcel.batch.len() => self.give_up(on_error, parcel, error),
            rows => self.give_up(on_error, &part(parcel, rows), error),
        }
    }

    /// Tells of rows that are not kept.
    fn count_and_log(&self, parcel: &Parcel, error: &str) {
        let (plan, publisher, rows) = (&parcel.plan, &self.job.end.name, parcel.batch.len());
        let first = parcel.batch.row(0);
        let (letters, sample) = (&self.job.station.dead_letters, format!("{first:?}"));
        letters.count("publisher", &parcel.stream, rows, error, &sample);
        error!(%plan, publisher, rows, first = ?first, error, "rows put aside: not published");
    }

    fn send_to_fault_stream(&self, parcel: &Parcel, error: &PublishError) -> bool {
        let version = self.job.station.version();
        let Some((stream, front)) = version.stream(&format!("!{}", parcel.stream)) else {
            return false;
        };
        let keeps = |of: &Stream| of.name == *parcel.stream && of.keeps_faults;
        if front.schema.len() != parcel.schema.len() + 1 || version.plan.streams.iter().any(keeps) {
            return false;
        }
        let mut batch = Batch::new(&front.schema.types());
        for row in 0..parcel.batch.len() {
            let mut values = parcel.batch.row(row);
            values.push(Value::Text(error.message.as_str().into()));
            batch.push_row(parcel.batch.timestamps[row], &values);
        }
        // Waiting for room could be for ever: the plan may be waiting for this publisher.
        let brought = Brought { batch, letters: Vec::new(), mark: None, copied: None };
        self.job.station.put_now(&version, stream, brought, None).is_ok()
    }
}
