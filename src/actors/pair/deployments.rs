//! The log of deployments in a pair: mirrored like those of plans, applied by a thread of its own.
//!
//! A change made on the node that follows is forwarded, one at a time, and ordered where entries
//! are. An offer that was cut off with the role is offered again.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::Weak;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::Receiver;
use crossbeam_channel::Sender;
use tokio::sync::oneshot;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::actors::clock;
use crate::actors::deployments::DeploymentLog;
use crate::actors::deployments::Deployments;
use crate::actors::deployments::DeploymentsError;
use crate::actors::deployments::NotOrdered;
use crate::actors::deployments::Ordered;
use crate::actors::gate::Part;
use crate::actors::marks;
use crate::actors::marks::Lying;
use crate::actors::marks::Mark;
use crate::actors::pair::Hub;
use crate::actors::pair::Tell;
use crate::actors::plan::Folders;
use crate::actors::plan::JournalSource;
use crate::actors::plan::Journaled;
use crate::actors::plan::Mirrored;
use crate::actors::plan::SharedJournal;
use crate::actors::plan::Stamp;
use crate::actors::plan::TENANT;
use crate::actors::plan::Verdict;
use crate::actors::plan::hold;
use crate::catalogue::Catalogue;
use crate::catalogue::Entry;
use crate::catalogue::LOG;
use crate::catalogue::NAME;
use crate::disk::RealDisk;
use crate::ha::link::Shipped;
use crate::ha::protocol::Plan;
use crate::journal::JournalError;
use crate::journal::Options;
use crate::journal::Records;
use crate::journal::format::plan_id;
use crate::snapshot::Fit;
use crate::snapshot::Snapshots;

/// A snapshot is written after so many entries.
const SNAPSHOT_EVERY: u64 = 64;
/// Offers that may wait.
const WAITING_MAX: usize = 1024;
/// How long it waits for a wake before it looks anyway.
const LOOK: Duration = Duration::from_millis(50);
/// A forwarded offer that was not answered for so long is sent again.
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// How long it waits before it tries the disk again.
const DISK_PAUSE: Duration = Duration::from_secs(1);

/// Where offers of this node go.
#[derive(Debug)]
struct PairLog {
    offers: Sender<Offer>,
    wake: Sender<()>,
}

struct Offer {
    entry: Entry,
    told: oneshot::Sender<Result<u64, NotOrdered>>,
}

/// Forwarded to the other node.
struct Open {
    stamp: Stamp,
    offer: Offer,
    sent: Option<Duration>,
}

/// The thread that orders, applies and forwards.
struct Keeper {
    deployments: Weak<Deployments>,
    mirrored: Arc<Mirrored>,
    journal: SharedJournal,
    source: JournalSource,
    snapshots: Snapshots<RealDisk>,
    /// A snapshot of the other node's takes the place of the catalogue, up to here.
    installed: Option<u64>,
    /// The position that is applied next.
    next: u64,
    reading: Option<Records<RealDisk>>,
    offers: Receiver<Offer>,
    /// Offers to be made again.
    again: VecDeque<Offer>,
    /// Ordered and not committed yet.
    ordered: BTreeMap<u64, Waiting>,
    open: Option<Open>,
    number: u64,
}

/// An entry that may have to be added again, should the journal fail.
struct Waiting {
    epoch: u64,
    bytes: Bytes,
    told: Told,
}

enum Told {
    Here(Offer),
    Peer(Stamp),
}

/// Opens the log and starts its thread, and opens the logs of the plans that it knows of, also
/// where it is not certain yet that it stays as it is: they have to be there before the pair
/// begins.
///
/// # Errors
/// If the journal cannot be used.
pub fn start(
    hub: &Hub,
    data: &Path,
    deployments: &Arc<Deployments>,
) -> Result<(), DeploymentsError> {
    let (wake, woken) = crossbeam_channel::bounded(1);
    let nudge = {
        let wake = wake.clone();
        // One wish is enough.
        move || {
            let _ = wake.try_send(());
        }
    };
    let folder = Folders::of(data, NAME).journal;
    let options = Options::new(plan_id(TENANT, NAME));
    let (pace, synced) = (Arc::default(), nudge.clone());
    let source = JournalSource { folder, options, pace, wake: Arc::new(move |_| synced()) };
    let (mut journal, opened) = source.open()?;
    let applied = deployments.position();
    if let Some(torn) = &opened.torn {
        let (file, bytes) = (torn.file.display(), torn.bytes);
        warn!(%file, bytes, "a write that never finished was cut off the log of deployments");
        if !torn.is_unfinished {
            hub.set_decayed();
        }
    }
    if let Some(header) = deployments.restored()
        && header.fit(journal.epoch_at(applied), opened.first, journal.end()) == Fit::Beyond
    {
        journal.restart_after(applied, header.epoch)?;
    }
    let known = known(&deployments.catalogue(), journal.read(applied + 1)?)?;
    let journal: SharedJournal = Arc::new(std::sync::Mutex::new(Some(journal)));
    let snapshots = Snapshots::new(RealDisk, data, TENANT, NAME)?;
    let number = Plan(LOG);
    let kept = (&journal, &snapshots);
    let mirrored = hub.attach_log(number, NAME, applied, kept, nudge);
    let (offers, waiting) = crossbeam_channel::bounded(WAITING_MAX);
    let mut keeper = Keeper {
        deployments: Arc::downgrade(deployments),
        mirrored,
        journal,
        source,
        snapshots,
        installed: None,
        next: applied + 1,
        reading: None,
        offers: waiting,
        again: VecDeque::new(),
        ordered: BTreeMap::new(),
        open: None,
        number: 0,
    };
    let mut has_failed = false;
    let work = move || {
        while let Some(deployments) = keeper.deployments.upgrade() {
            if let Err(error) = keeper.work(&deployments) {
                if !has_failed {
                    error!(%error, "the log of deployments fails; it is tried again");
                }
                has_failed = true;
                keeper.mirrored.set_broken(true);
                thread::sleep(DISK_PAUSE);
            } else if std::mem::take(&mut has_failed) {
                info!("the log of deployments works again");
            }
            drop(deployments);
            if woken.recv_timeout(LOOK).is_ok() {
                // More of it may be on disk.
                keeper.mirrored.look();
            }
        }
    };
    thread::Builder::new()
        .name("deployments".to_owned())
        .spawn(work)
        .map_err(DeploymentsError::Thread)?;
    deployments.attach(Arc::new(PairLog { offers, wake }));
    for (name, plan) in known.plans() {
        let mark = Mark { log: known.id(), number: plan.base.number };
        // Data of another plan of that name is put aside when this one is deployed.
        let is_own = marks::look(&Folders::of(data, name)).ok() == Some(Lying::Marked(mark));
        if is_own && let Err(error) = hub.shelve(Plan(mark.number), name) {
            error!(plan = %name, %error, "what is kept of the plan cannot be used");
        }
    }
    Ok(())
}

/// The plans after all that stands in the log.
fn known(
    catalogue: &Catalogue,
    mut records: Records<RealDisk>,
) -> Result<Catalogue, DeploymentsError> {
    let mut catalogue = catalogue.clone();
    while let Some(record) = records.read_next()? {
        let position = record.position;
        let entry = Entry::from_bytes(record.body)
            .map_err(|_| DeploymentsError::Unreadable { position })?;
        // One without effect here has none elsewhere.
        let _ = catalogue.apply(&entry);
    }
    Ok(catalogue)
}

impl DeploymentLog for PairLog {
    fn offer(&self, entry: Entry) -> Ordered {
        let (told, answer) = oneshot::channel();
        let is_taken = self.offers.try_send(Offer { entry, told }).is_ok();
        let _ = self.wake.try_send(());
        Box::pin(async move {
            let unavailable = |what: &str| NotOrdered::Unavailable(what.to_owned());
            if !is_taken {
                return Err(unavailable("too many changes wait already"));
            }
            answer.await.unwrap_or_else(|_| Err(unavailable("the log of deployments has ended")))
        })
    }
}

impl Keeper {
    fn work(&mut self, deployments: &Deployments) -> Result<(), DeploymentsError> {
        // In this order: what was cut off must not be taken for what was committed in its place.
        let safe = self.mirrored.committed();
        self.heed_news();
        if self.mirrored.epoch().is_none() && self.mirrored.gate.part() == Part::Passive {
            self.forward();
        }
        self.install(deployments)?;
        let was_broken = self.mirrored.is_broken();
        if was_broken {
            self.reopen()?;
        }
        self.apply(deployments, safe)?;
        if was_broken {
            self.mirrored.set_broken(false);
            self.mirrored.wire.tell(Tell::Reopened(self.mirrored.plan));
        }
        if self.mirrored.epoch().is_some() && self.mirrored.gate.is_open() {
            self.order(deployments)?;
        }
        // Says also that the disk has failed to make last what was handed to it.
        hold(&self.journal).as_mut().map_or(Ok(()), Journaled::flush)?;
        if deployments.unsaved() >= SNAPSHOT_EVERY {
            self.save(deployments);
        }
        Ok(())
    }

    fn heed_news(&mut self) {
        let Some(news) = self.mirrored.news() else { return };
        if let Some(after) = news.cut {
            self.reading = None;
            for waiting in self.ordered.split_off(&(after + 1)).into_values() {
                self.turn(waiting.told);
            }
        }
        self.installed = news.installed.or(self.installed);
        if news.send_again
            && let Some(open) = &mut self.open
        {
            open.sent = None;
        }
        for (stamp, verdict) in news.answers {
            if let Some(open) = self.open.take_if(|open| open.stamp == stamp) {
                let answer = match verdict {
                    Verdict::Applied { position, .. } => Ok(position),
                    Verdict::Refused { reason, .. } => Err(NotOrdered::Refused(reason)),
                };
                // Who offered may have gone meanwhile.
                let _ = open.offer.told.send(answer);
            }
        }
    }

    /// Goes on from the other node's snapshot, if one took the place of the log. Until that is done
    /// nothing else can be.
    fn install(&mut self, deployments: &Deployments) -> Result<(), DeploymentsError> {
        let Some(position) = self.installed else { return Ok(()) };
        self.reading = None;
        if let Some((name, _, bytes)) = self.snapshots.newest_valid()?.found {
            deployments.install(&self.snapshots.open(&name, bytes)?.read_all()?)?;
        }
        self.next = position + 1;
        self.installed = None;
        Ok(())
    }

    /// Opens the journal again after it failed. What was ordered and is not in it any more is added
    /// again: whoever waits for it waits on.
    fn reopen(&mut self) -> Result<(), DeploymentsError> {
        self.reading = None;
        // The old one lets go of its files and of its thread first.
        let old = hold(&self.journal).take();
        drop(old);
        let (mut journal, _) = self.source.open()?;
        let mut held = hold(&self.journal);
        let missed = self.mirrored.missed();
        missed.make_up(&mut journal)?;
        let (last, next) = (journal.last(), self.next);
        if missed.installed.is_none() && last + 1 < next {
            return Err(DeploymentsError::Lost { last, next });
        }
        for (position, waiting) in self.ordered.range(last + 1..) {
            if missed.leaves(*position) {
                let at = journal.append_bytes(waiting.epoch, &waiting.bytes)?;
                if at != *position {
                    return Err(DeploymentsError::Lost { last, next: *position });
                }
            }
        }
        journal.flush()?;
        self.mirrored.forget_missed();
        *held = Some(journal);
        Ok(())
    }

    /// Keeps what this node does not order for who does. The node that forwarded what came from
    /// there has it still.
    fn turn(&mut self, told: Told) {
        if let Told::Here(offer) = told {
            self.again.push_back(offer);
        }
    }

    /// Applies what is committed.
    fn apply(&mut self, deployments: &Deployments, safe: u64) -> Result<(), DeploymentsError> {
        while self.next <= safe {
            let mut reading = match self.reading.take() {
                Some(reading) => reading,
                None => match &*hold(&self.journal) {
                    Some(journal) => journal.read(self.next)?,
                    None => return Ok(()),
                },
            };
            let Some(record) = reading.read_next()? else { return Ok(()) };
            deployments.committed(record.position, record.body)?;
            match self.ordered.remove(&self.next).map(|waiting| waiting.told) {
                Some(Told::Here(offer)) => drop(offer.told.send(Ok(self.next))),
                Some(Told::Peer(stamp)) => {
                    let (position, repeated) = (self.next, false);
                    self.mirrored.reply(stamp, Verdict::Applied { position, repeated });
                }
                None => {}
            }
            self.reading = Some(reading);
            self.next += 1;
        }
        Ok(())
    }

    /// Orders what was offered here and there.
    fn order(&mut self, deployments: &Deployments) -> Result<(), DeploymentsError> {
        if let Some(open) = self.open.take() {
            self.again.push_back(open.offer);
        }
        while let Some(arrival) = self.mirrored.next_arrival() {
            let told = Told::Peer(arrival.stamp);
            match Entry::from_bytes(&arrival.entry) {
                Ok(entry) => self.append(deployments, entry, told)?,
                Err(_) => {
                    let reason = "the other node cannot read this: do their versions differ?";
                    self.refuse(told, NotOrdered::Refused(reason.to_owned()));
                }
            }
        }
        while self.mirrored.epoch().is_some()
            && let Some(offer) = self.again.pop_front().or_else(|| self.offers.try_recv().ok())
        {
            let entry = offer.entry.clone();
            self.append(deployments, entry, Told::Here(offer))?;
        }
        Ok(())
    }

    fn append(
        &mut self,
        deployments: &Deployments,
        entry: Entry,
        told: Told,
    ) -> Result<(), DeploymentsError> {
        let entry = match deployments.examine(entry) {
            Ok(entry) => entry,
            Err(error) => {
                self.refuse(told, error);
                return Ok(());
            }
        };
        let bytes = Bytes::from(entry.to_bytes());
        let journal = Arc::clone(&self.journal);
        let mut held = hold(&journal);
        let (Some(journal), Some(epoch)) = (&mut *held, self.mirrored.epoch()) else {
            self.turn(told);
            return Ok(());
        };
        match journal.append_bytes(epoch, &bytes) {
            Ok(position) => drop(self.ordered.insert(position, Waiting { epoch, bytes, told })),
            Err(error @ JournalError::TooLong { .. }) => {
                drop(held);
                self.refuse(told, NotOrdered::Refused(error.to_string()));
                return Ok(());
            }
            Err(error) => {
                self.turn(told);
                return Err(error.into());
            }
        }
        journal.flush()?;
        self.mirrored.look();
        Ok(())
    }

    fn refuse(&self, told: Told, error: NotOrdered) {
        match told {
            Told::Here(offer) => drop(offer.told.send(Err(error))),
            Told::Peer(stamp) => {
                let reason = error.to_string();
                let verdict = Verdict::Refused { reason, changed: false, poison: false };
                self.mirrored.reply(stamp, verdict);
            }
        }
    }

    /// Sends the oldest offer to the node that orders.
    fn forward(&mut self) {
        if self.open.is_none() {
            let next = self.again.pop_front().or_else(|| self.offers.try_recv().ok());
            let Some(offer) = next else { return };
            self.number += 1;
            let incarnation = self.mirrored.wire.incarnation();
            let stamp = Stamp { incarnation, stint: 0, number: self.number };
            self.open = Some(Open { stamp, offer, sent: None });
        }
        let Some(open) = &mut self.open else { return };
        let now = clock::elapsed();
        if open.sent.is_none_or(|sent| now.saturating_sub(sent) > ANSWER_TIME) {
            let bytes = open.offer.entry.to_bytes();
            let encode = |into: &mut Vec<u8>| into.extend_from_slice(&bytes);
            let (plan, stamp) = (self.mirrored.plan, open.stamp);
            let shipped = self.mirrored.wire.forward(plan, stamp, stamp.number, encode);
            open.sent = (shipped == Shipped::Queued).then_some(now);
        }
    }

    fn save(&self, deployments: &Deployments) {
        let mut held = hold(&self.journal);
        let Some(journal) = &mut *held else { return };
        let epoch = journal.epoch_at(deployments.position()).unwrap_or(0);
        let released = match deployments.save(epoch) {
            Ok(Some(position)) => journal.release_before(position).map_err(Into::into),
            Ok(None) => return,
            Err(error) => Err(DeploymentsError::from(error)),
        };
        if let Err(error) = released {
            warn!(%error, "no snapshot of the deployments; the next one is tried later");
        }
        drop(held);
        self.mirrored.look();
    }
}
