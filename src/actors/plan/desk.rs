//! A plan at work: orders what comes into its log, applies what is safe, hands results out.
//!
//! The desk outlives the actor that works at it, so that an actor's fall loses nothing. An entry
//! over which the plan's code panics is taken back and skipped by another entry of the log, so that
//! it is skipped again wherever the log is applied; its rows count as dead letters.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::debug;
use tracing::error;
use tracing::info;
use tracing::trace;
use tracing::warn;

use crate::actors::clock;
use crate::actors::plan::Account;
use crate::actors::plan::Budget;
use crate::actors::plan::Busy;
use crate::actors::plan::DeadLetters;
use crate::actors::plan::Kept;
use crate::actors::plan::Ledger;
use crate::actors::plan::LedgerError;
use crate::actors::plan::LetterBox;
use crate::actors::plan::Loading;
use crate::actors::plan::Misfit;
use crate::actors::plan::PublisherEnd;
use crate::actors::plan::Rows;
use crate::actors::plan::Suspect;
use crate::actors::plan::Told;
use crate::actors::plan::Version;
use crate::actors::plan::Versions;
use crate::actors::plan::Waiting;
use crate::actors::plan::Work;
use crate::actors::plan::follow::Follow;
use crate::actors::plan::letters::LetterDesk;
use crate::actors::plan::letters::count;
use crate::actors::plan::outbox::Pending;
use crate::actors::tree::PutError;
use crate::actors::tree::Room;
use crate::actors::tree::Taken;
use crate::actors::tree::last_panic;
use crate::actors::tree::note_panics;
use crate::disk::RealDisk;
use crate::engine::context::Level;
use crate::engine::context::Note;
use crate::publishers::Parcel;
use crate::replica::Body;
use crate::replica::Broken;
use crate::replica::Deployment;
use crate::replica::LogEntry;
use crate::replica::Outcome;
use crate::replica::Output;
use crate::replica::Replica;
use crate::replica::Saved;
use crate::replica::Takeover;
use crate::snapshot::Snapshots;
use crate::telemetry::metrics::Metrics;

/// Things that a line of the log lists at most.
const LISTED_MAX: usize = 20;

/// A plan at work.
#[derive(Debug)]
pub struct Desk {
    /// The version that is applied.
    pub(super) version: Arc<Version>,
    /// The version for which new entries are ordered.
    pub(super) ordering: Arc<Version>,
    pub(super) versions: Arc<Versions>,
    pub(super) replica: Replica,
    pub(super) ledger: Ledger,
    /// While what was found in the log is applied: notes at which entry.
    pub(super) suspect: Option<Suspect>,
    pub(super) busy: Arc<Busy>,
    /// In which epoch this node ordered the entry at hand; 0 if others did, or a former life.
    pub(super) epoch: u64,
    /// Results that have not been handed to their publishers yet.
    pub(super) outgoing: VecDeque<(Arc<PublisherEnd>, Parcel)>,
    outputs: Vec<Output>,
    notes: Vec<Note>,
    account: Account,
    pub(super) budget: Arc<Budget>,
    pub(super) letters: LetterDesk,
    /// What waits while the other node of a pair orders.
    pub(super) follow: Follow,
    pub(super) loading: Loading,
    pub(super) snapshots: Option<Snapshots<RealDisk>>,
    /// Tells how far entries were applied.
    pub(super) applied: Arc<watch::Sender<u64>>,
}

/// Why a desk cannot go on.
#[derive(Debug)]
pub enum Stuck {
    /// The plan fell and could not be brought back.
    Broken(Broken),
    /// Its log does not take entries, does not make them last, or cannot be read.
    Log(LedgerError),
}

impl Desk {
    /// Starts a plan, or goes on with what is kept of it.
    ///
    /// # Errors
    /// If the plan's code panics at the start, or what is kept cannot be used.
    pub fn new(version: Arc<Version>, kept: Kept, metrics: &Metrics) -> Result<Self, Broken> {
        note_panics();
        let Kept { versions, replica, ledger, suspect, snapshots, pending, bounds, .. } = kept;
        let alone = ledger.mirrored().is_none();
        let is_new = alone && ledger.is_empty() && replica.position() == 0;
        let mut desk = Self {
            ordering: Arc::clone(&version),
            versions,
            replica,
            ledger,
            suspect,
            busy: Arc::default(),
            epoch: 0,
            outgoing: VecDeque::new(),
            outputs: Vec::new(),
            notes: Vec::new(),
            account: Account::new(&version.name, metrics),
            budget: Arc::new(Budget::new(kept.state_bytes_max, &version.name, metrics)),
            letters: LetterDesk::new(bounds),
            follow: Follow::default(),
            loading: Loading::default(),
            snapshots,
            applied: Arc::default(),
            version: Arc::clone(&version),
        };
        if is_new {
            desk.order(Body::Deploy(version.deployment()), Told::Nobody, None);
        }
        desk.versions.remember(&version);
        desk.begin_tails();
        desk.begin_letters();
        desk.send_pending(pending);
        desk.weigh();
        desk.applied.send_replace(desk.replica.position());
        Ok(desk)
    }

    /// Opens the journal again after it failed.
    ///
    /// # Errors
    /// If it still cannot be opened.
    pub fn reopen(&mut self) -> Result<(), LedgerError> {
        self.ledger.reopen()
    }

    /// The version at work.
    #[must_use]
    pub fn version(&self) -> &Arc<Version> {
        &self.version
    }

    /// Tells how far entries were applied.
    #[must_use]
    pub fn applied(&self) -> &Arc<watch::Sender<u64>> {
        &self.applied
    }

    /// Since when the plan is at an entry.
    #[must_use]
    pub fn busy(&self) -> &Arc<Busy> {
        &self.busy
    }

    /// What could not be handled.
    #[must_use]
    pub fn dead_letters(&self) -> &Arc<DeadLetters> {
        &self.letters.shown
    }

    /// Where publishers put what they give up.
    #[must_use]
    pub fn letter_box(&self) -> &Arc<LetterBox> {
        &self.letters.given_up
    }

    /// The state as it stands, for a snapshot, the epoch of its last entry if the log reaches
    /// there, and the results that have not left yet.
    #[must_use]
    pub fn save(&self) -> Option<(Saved, Option<u64>, Vec<Pending>)> {
        let saved = self.replica.save()?;
        let epoch = self.ledger.epoch_at(saved.position);
        Some((saved, epoch, self.pending()))
    }

    /// Forgets what of the log lies before a position: a snapshot holds it.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn release_before(&mut self, position: u64) -> Result<(), LedgerError> {
        self.ledger.release_before(position)
    }

    /// The plan's log.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Tells senders who wait for less than that their events are applied.
    pub fn answer_early(&mut self) {
        self.ledger.answer_early();
    }

    /// Sees to it that what is ordered becomes safe.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn flush(&mut self) -> Result<(), Stuck> {
        self.ledger.flush().map_err(Stuck::Log)
    }

    /// How far a receiver has come, once all that is kept was applied.
    #[must_use]
    pub fn place_of(&self, receiver: &str) -> Option<&str> {
        self.replica.place_of(receiver).map(|place| &**place)
    }

    /// The position of the last entry applied.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.replica.position()
    }

    /// Milliseconds until time must be let pass, by the wall clock; 0 if that moment has come.
    #[must_use]
    pub fn due_in(&mut self) -> Option<u64> {
        if !self.orders() {
            // Time passes by the entries of who orders.
            return self.follow_due();
        }
        let due = self.replica.next_due().into_iter().chain(self.counting_due()).min()?;
        Some(u64::try_from(due.saturating_sub(clock::now_ms())).unwrap_or(0))
    }

    /// Hands results to their publishers, in order; `false` when one has no room.
    pub fn deliver(&mut self) -> bool {
        while let Some((end, parcel)) = self.outgoing.pop_front() {
            match end.inbox.try_put(parcel) {
                Ok(()) => {}
                Err(PutError::Full(parcel)) => {
                    self.outgoing.push_front((end, parcel));
                    return false;
                }
                Err(PutError::Closed(parcel)) => {
                    end.unpublished.inc_by(parcel.batch.len() as u64);
                    end.confirm(&parcel);
                }
            }
        }
        true
    }

    /// Orders that time passes until now; what is ordered already will let it pass anyway.
    pub fn tick(&mut self) {
        if !self.ledger.is_waiting() {
            self.order(Body::Tick, Told::Nobody, None);
        }
    }

    /// Orders one piece of work.
    pub fn take(&mut self, work: Taken<Work>) {
        let (work, room) = work.split();
        match work {
            Work::Rows(rows) => self.take_rows(*rows, room),
            Work::Ask(question) => self.take_question(question, room),
            Work::OfLetter(body, told) => {
                self.order(*body, Told::Sender(clock::elapsed(), Some(told)), Some(room));
            }
            Work::Switch(switch) => self.take_switch(switch, Some(room)),
        }
    }

    pub(super) fn order(&mut self, body: Body, told: Told, room: Option<Room>) {
        let entry = LogEntry::new(clock::now_ms(), body);
        if let Some(unordered) = self.ledger.order(entry, told, room) {
            self.turn(unordered);
        }
    }

    /// A version as it is to stand in the log: chance is drawn from what the first one said.
    pub(super) fn deployment_of(&self, version: &Version) -> Deployment {
        let first = self.replica.deployment().map(|deployment| deployment.secret);
        Deployment { secret: first.unwrap_or(version.secret), ..version.deployment() }
    }

    fn take_rows(&mut self, mut rows: Rows, room: Room) {
        let (version, stream) = (Arc::clone(&rows.version), rows.stream);
        let (name, accepted, told) = (&version.streams[stream].name, rows.accepted, &mut rows.told);
        let told = Told::Sender(accepted, told.take());
        if !Arc::ptr_eq(&version, &self.ordering) && self.ordering.adopt(&version, stream).is_none()
        {
            let misfit = Misfit::Changed { what: format!("the stream `{name}`") };
            let batch = &rows.batch;
            self.account.changed.inc_by(batch.len() as u64);
            count(&self.letters.shown, "changed", name, batch, &misfit.to_string());
            return told.refuse(misfit);
        }
        let body = self.brought(rows);
        self.order(body, told, Some(room));
    }

    /// Applies the next entry that is safe; `false` if there is none.
    ///
    /// # Errors
    /// If the plan fell and could not be brought back, or its log cannot be read.
    pub fn apply_next(&mut self) -> Result<bool, Stuck> {
        // In this order: what was cut off must not be taken for what was committed in its place.
        let safe = self.ledger.safe();
        if let Some(news) = self.heed_news() {
            if let Some(position) = news.installed {
                self.install(position)?;
            }
            if let Some(position) = news.reloaded {
                self.reload(position)?;
            }
            return Ok(true);
        }
        if self.is_ahead() {
            return Ok(false);
        }
        let next = match self.follow.stalled.take() {
            Some(stalled) => Some(stalled),
            None => self.ledger.next_upto(safe).map_err(Stuck::Log)?,
        };
        let Some(waiting) = next.and_then(|next| self.admit(next)) else { return Ok(false) };
        let Waiting { epoch, entry, told, room, .. } = waiting;
        self.enter(epoch);
        if let Some(entry) = &entry {
            self.suspect(entry)?;
        }
        match entry {
            Some(entry) => {
                self.apply(entry, told).map_err(Stuck::Broken)?;
                self.weigh();
                self.applied.send_replace(self.replica.position());
            }
            None => self.answer(told).map_err(Stuck::Broken)?,
        }
        drop(room);
        if !self.ledger.is_catching_up()
            && let Some(mut suspect) = self.suspect.take()
        {
            // A later end of the process is nobody's fault yet.
            suspect.clear().map_err(|error| Stuck::Log(LedgerError::Note(error)))?;
        }
        Ok(true)
    }

    /// Notes which entry is applied next, as long as what was found in the log is; skips one at
    /// which the process has ended too often.
    fn suspect(&mut self, entry: &LogEntry) -> Result<(), Stuck> {
        let Some(suspect) = &mut self.suspect else { return Ok(()) };
        let position = self.replica.position() + 1;
        let unkept = |error| Stuck::Log(LedgerError::Note(error));
        suspect.begin(position).map_err(unkept)?;
        let guilty = suspect.guilty() == Some(position);
        if guilty {
            let reason = "the process ended twice while this was applied";
            let plan = &self.version.name;
            error!(%plan, position, reason, "an entry is skipped");
            if let Some((stream, batch)) = entry.body.rows() {
                self.account.poisoned.inc_by(batch.len() as u64);
                self.show_poison(stream, batch, reason);
            }
            self.replica.skip(position);
            let body = Body::Skip { position, reason: reason.into() };
            self.order(body, Told::Nobody, None);
        }
        Ok(())
    }

    fn apply(&mut self, entry: LogEntry, told: Told) -> Result<(), Broken> {
        let own = entry.body.rows().map(|(stream, batch)| (stream.clone(), batch.len()));
        let is_deployment = matches!(&entry.body, Body::Deploy(_));
        let compares = matches!(&entry.body, Body::Compare);
        if let Told::Deployer(_) = &told {
            // The last figures of the version at work.
            self.show();
        }
        let (replica, outputs, notes) = (&mut self.replica, &mut self.outputs, &mut self.notes);
        self.busy.begin();
        let applied = catch_unwind(AssertUnwindSafe(|| replica.apply(entry, outputs, notes)));
        self.busy.end();
        let copies = self.account.leave_out(self.replica.take_left_out());
        self.follow_letters();
        let outcome = match applied {
            Ok(outcome) => outcome?,
            Err(_) => {
                let note = last_panic();
                self.outputs.clear();
                self.notes.clear();
                let Some(entry) = self.bring_back()? else {
                    return Err(Broken(format!("the plan panicked over time or a change: {note}")));
                };
                return self.skip(entry, note, told);
            }
        };
        if outcome == Outcome::Done
            && let Some((stream, rows)) = &own
            && let Some((_, front)) = self.version.stream(stream)
        {
            front.taken.inc_by(*rows as u64);
            if let Told::Sender(accepted, _) = &told {
                let waited = clock::elapsed().saturating_sub(*accepted);
                front.waited(&self.version.name, waited, &self.account.metrics);
            }
        }
        if let Told::Deployer(switch) = &told {
            self.version = Arc::clone(&switch.version);
            self.tell_takeover();
        }
        if is_deployment {
            self.label_tails();
            self.begin_letters();
        }
        if compares {
            self.fingerprint();
        }
        self.hand_out(own.as_ref().map(|(stream, rows)| (&**stream, rows - copies)));
        told.tell(self.replica.position(), outcome);
        Ok(())
    }

    /// Skips an entry the plan fell over: here at once, elsewhere by an entry that says so.
    fn skip(&mut self, entry: LogEntry, note: String, told: Told) -> Result<(), Broken> {
        let position = self.replica.position() + 1;
        let plan = &self.version.name;
        if let Body::Rows { stream, batch, .. } = &entry.body {
            error!(%plan, note, events = batch.len(), "events put aside: the plan panicked over \
                them");
            self.account.poisoned.inc_by(batch.len() as u64);
            self.show_poison(stream, batch, &note);
        } else {
            error!(%plan, note, "the plan panicked over a query");
        }
        self.replica.skip(position);
        self.replica.apply(entry, &mut self.outputs, &mut self.notes)?;
        self.order(Body::Skip { position, reason: note.as_str().into() }, Told::Nobody, None);
        told.refuse(Misfit::Poison { note });
        Ok(())
    }

    pub(super) fn bring_back(&mut self) -> Result<Option<LogEntry>, Broken> {
        let replica = &mut self.replica;
        match catch_unwind(AssertUnwindSafe(|| replica.take_back())) {
            Ok(back) => back,
            Err(_) => Err(Broken(last_panic())),
        }
    }

    /// Sends results on their way; the rows of the input itself are not counted as put out.
    fn hand_out(&mut self, input: Option<(&str, usize)>) {
        for note in self.notes.drain(..) {
            write(&self.version.name, &note);
        }
        let Some(plan) = self.replica.plan() else { return };
        let version = Arc::clone(&self.version);
        for output in std::mem::take(&mut self.outputs) {
            let Some(front) = version.front(plan, output.stream) else { continue };
            let own = input.filter(|(of, _)| *of == &*front.name).map_or(0, |(_, rows)| rows);
            // What leaves a stream with a watermark came from outside, if at another time; what a
            // dead letter holds passed before.
            if output.first > 0 && plan.streams[output.stream].watermark.is_none() {
                front.put_out.inc_by(output.rows.len().saturating_sub(own) as u64);
            }
            for (name, number) in output.publishers {
                let end = front.publishers.iter().find(|end| *end.name == *name);
                let last = number + output.rows.len() as u64 - 1;
                let Some(end) = end.filter(|end| end.confirmed() < last) else { continue };
                let parcel = self.parcel(front, name, number, Arc::clone(&output.rows));
                let parcel = Parcel { epoch: self.epoch, ..parcel };
                end.outbox.put(number, &output.rows);
                self.outgoing.push_back((Arc::clone(end), parcel));
            }
            // What is shown is known to wait.
            if output.first > 0 {
                front.tail.push(output.first, &front.schema, &output.rows);
            }
        }
    }

    /// Has the tails go on where the plan's state says.
    pub(super) fn begin_tails(&self) {
        self.label_tails();
        for front in &self.version.streams {
            front.tail.begin(self.replica.passed(&front.name));
        }
    }

    /// What the plan's chance is drawn from also names its events.
    fn label_tails(&self) {
        let Some(deployment) = self.replica.deployment() else { return };
        for front in &self.version.streams {
            front.tail.set_label(label(deployment.secret));
        }
    }

    /// Tells that another version took over, and what became of what the one before held.
    fn tell_takeover(&mut self) {
        let (plan, version) = (&self.version.name, self.version.number);
        let Some(Takeover { carried, ended }) = self.replica.take_takeover() else {
            return info!(%plan, version, "new version took over");
        };
        self.account.end_version(ended);
        info!(
            %plan,
            version,
            kept = listed(&carried.kept),
            dropped = listed(&carried.dropped),
            rows_dropped = ended,
            "new version took over"
        );
    }

    /// Shows in the metrics how many rows it holds, and how many ended inside it.
    pub fn show(&mut self) {
        // While old entries are applied again, their version's figures are not this one's. The same
        // version may have been made twice, once from a snapshot.
        if let (Some(machine), Some(of)) = (self.replica.machine(), self.replica.deployment())
            && of.number == self.version.number
        {
            self.account.show(&self.version, machine);
        }
        self.account.show_letters(&self.letters.shown.figures());
    }
}

/// Tells the events of a plan from those of one of its name before.
fn label(secret: u64) -> i64 {
    (secret >> 1).cast_signed()
}

/// The first of many things, and how many more there are.
fn listed<T: std::fmt::Display>(all: &[T]) -> String {
    let mut text: Vec<String> = all.iter().take(LISTED_MAX).map(ToString::to_string).collect();
    if let Some(more) = all.len().checked_sub(LISTED_MAX).filter(|more| *more > 0) {
        text.push(format!("and {more} more"));
    }
    text.join(", ")
}

/// Writes a line of the plan into the log of the node.
fn write(plan: &str, note: &Note) {
    let text = &note.text;
    match note.level {
        Level::Error => error!(plan, "{text}"),
        Level::Warn => warn!(plan, "{text}"),
        Level::Info => info!(plan, "{text}"),
        Level::Debug => debug!(plan, "{text}"),
        Level::Trace => trace!(plan, "{text}"),
    }
}
