//! A deployed plan: its station, its versions, and the group of actors that work for it.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::join_all;
use tokio::time::sleep;
use tracing::info;

use crate::actors::checking;
use crate::actors::clock;
use crate::actors::edges;
use crate::actors::edges::Edge;
use crate::actors::edges::Ports;
use crate::actors::edges::Rank;
use crate::actors::marks::Mark;
use crate::actors::plan::Closed;
use crate::actors::plan::Confirmed;
use crate::actors::plan::ConfirmedFile;
use crate::actors::plan::FragileBuilder;
use crate::actors::plan::Kept;
use crate::actors::plan::PlanActor;
use crate::actors::plan::PublisherEnd;
use crate::actors::plan::Station;
use crate::actors::plan::StreamFront;
use crate::actors::plan::TailLimits;
use crate::actors::plan::Tails;
use crate::actors::plan::Version;
use crate::actors::plan::Work;
use crate::actors::publisher::PublisherJob;
use crate::actors::receiver::ReceiverJob;
use crate::actors::store_reader::StoreReader;
use crate::actors::threads::Thread;
use crate::actors::tree::AddChild;
use crate::actors::tree::ChildSpec;
use crate::actors::tree::Inbox;
use crate::actors::tree::Limits;
use crate::actors::tree::Policy;
use crate::actors::tree::RemoveChild;
use crate::actors::tree::Supervisor;
use crate::actors::tree::Surroundings;
use crate::actors::tree::WhenGivenUp;
use crate::config::Config;
use crate::config::DeadLetters;
use crate::event::Millis;
use crate::event::Text;
use crate::ha::protocol::Plan as Number;
use crate::language::diagnostic::Diagnostic;
use crate::language::render;
use crate::language::render::Colour;
use crate::plan::logical::Plan;
use crate::publishers::Parcel;
use crate::replica::Bounds;
use crate::replica::Broken;
use crate::replica::Builder;
use crate::replica::Deployment;
use crate::replica::EngineBuilder;

/// The plan's own actor among its children.
pub(super) const CORE: &str = "core";
/// How long a plan may take to finish what it has.
const CORE_GRACE: Duration = Duration::from_secs(10);
/// How long all its actors together may take.
const GRACE: Duration = Duration::from_secs(35);
/// How often a publisher looks whether the one before it has nothing left.
const LOOK: Duration = Duration::from_millis(50);

/// What a plan is deployed from.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The plan's name.
    pub name: Arc<str>,
    /// The file it lies in.
    pub file: String,
    /// Its text, as it lies in the file.
    pub text: Arc<str>,
    /// Its text as it runs and as its log keeps it: variables outside options are replaced.
    pub kept_text: Arc<str>,
    /// The checked plan.
    pub plan: Arc<Plan>,
    /// What the check warned of.
    pub warnings: Vec<Diagnostic>,
    /// The version's number.
    pub version: u64,
    /// By what the log of deployments knows the plan.
    pub mark: Mark,
    /// The node that has data of it from before it was in that log, if one does.
    pub kept_by: Option<Text>,
}

/// A deployed plan.
#[derive(Debug)]
pub struct Slot {
    /// What outlives its actors.
    pub station: Arc<Station>,
    /// The number of the plan's log.
    number: Number,
    around: Surroundings,
    ports: Ports,
    limits: SlotLimits,
    thread: Thread,
    parts: Mutex<Parts>,
}

#[derive(Debug)]
struct Parts {
    file: String,
    tails: Tails,
    sinks: Vec<Sink>,
    /// Ways out of versions before by which something has still to leave.
    finishing: Vec<Arc<PublisherEnd>>,
    sources: Vec<Source>,
    /// Where publishers note how far they have come.
    confirmed: Option<Arc<ConfirmedFile>>,
    /// The supervisor of the plan's actors, once it has started.
    group: Option<Addr<Supervisor>>,
}

#[derive(Debug, Clone)]
struct Sink {
    edge: Edge,
    end: Arc<PublisherEnd>,
    job: PublisherJob,
    /// Those of the same name in versions before, which have to write what they have first.
    after: Vec<Arc<PublisherEnd>>,
}

impl Sink {
    /// Whether it may begin.
    fn is_next(&self) -> bool {
        self.after.iter().all(|end| end.is_done())
    }
}

#[derive(Debug, Clone)]
struct Source {
    edge: Edge,
    job: ReceiverJob,
}

#[derive(Debug, Clone, Copy)]
struct SlotLimits {
    inbox: Limits,
    publisher: Limits,
    tail: TailLimits,
    with_faults: bool,
}

impl SlotLimits {
    fn of(config: &Config) -> Self {
        let queues = &config.queues;
        Self {
            inbox: Limits { events: queues.inbox_events, bytes: queues.inbox_bytes },
            publisher: match config.ha.enabled {
                // What the passive holds until the active has published it waits there, too.
                true => Limits {
                    events: config.ha.publisher_queue_events,
                    bytes: config.ha.publisher_queue_bytes,
                },
                false => Limits { events: queues.publisher_events, bytes: queues.publisher_bytes },
            },
            with_faults: config.testing.faults,
            tail: TailLimits { events: config.tail.events, bytes: config.tail.bytes },
        }
    }
}

impl Slot {
    /// Makes a plan ready to run, with what is kept of it; its actors start with [`Slot::group`].
    /// If the version kept is another one, that one runs first: [`Slot::update`] brings in this.
    ///
    /// # Errors
    /// If what is kept cannot be used, or the plan's code panics at the start; for people.
    pub fn new(
        draft: Draft,
        config: &Config,
        around: &Surroundings,
        ports: &Ports,
    ) -> Result<Arc<Self>, String> {
        let limits = SlotLimits::of(config);
        let inbox = Inbox::new(limits.inbox);
        let number_in_pair = Number(draft.mark.number);
        let kept = match &around.pair {
            Some(pair) => pair.kept(number_in_pair, &draft.name),
            None if config.persistence.enabled => Kept::open(&config.node.data, &draft.name),
            None => Ok(Kept::nothing()),
        };
        let mut kept = kept.map_err(|error| error.to_string())?;
        kept.bounds = bounds(&config.dead_letters);
        kept.state_bytes_max = config.plans.state_bytes_max as u64;
        kept.waker.set(&inbox);
        let (draft, number, secret) = match &kept.deployment {
            Some(deployment) => {
                (kept_draft(draft, deployment)?, deployment.number, deployment.secret)
            }
            None => {
                let number = draft.version;
                (draft, number, secret())
            }
        };
        let edges = edges::sinks(&draft.name, &draft.plan, ports);
        let confirmed = kept.confirmed.clone();
        let ends: Vec<_> = edges
            .iter()
            .map(|edge| new_end(edge, &draft.name, limits, around, confirmed.as_ref()))
            .collect();
        let mut tails = Tails::default();
        let file = draft.file.clone();
        let sources = edges::sources(&draft.name, &draft.plan, ports);
        let version = version(draft, (number, secret), &edges, &ends, &mut tails, limits, around);
        let station = Station::new(Arc::new(version), inbox, kept, &around.metrics)
            .map_err(|Broken(reason)| reason)?;
        let station = Arc::new(station);
        let voice = around.registry.voice(format!("plans/{}/{CORE}", station.name));
        let reader = StoreReader::new(&station.name, ports, voice);
        station.desk().read_stores_by(Arc::new(reader));
        if let Some(pair) = &around.pair {
            pair.set_station(number_in_pair, &station);
        }
        let sinks = edges.into_iter().zip(ends).map(|(edge, end)| {
            let job = edge.publisher_job(&station, &end, around);
            Sink { edge, end, job, after: Vec::new() }
        });
        let sources = sources.into_iter().map(|edge| {
            let job = edge.receiver_job(&station, around);
            Source { edge, job }
        });
        let (sinks, sources) = (sinks.collect(), sources.collect());
        let (group, finishing) = (None, Vec::new());
        let parts = Parts { file, tails, sinks, finishing, sources, confirmed, group };
        let parts = Mutex::new(parts);
        let (around, ports, thread) = (around.clone(), ports.clone(), Thread::start());
        let number = number_in_pair;
        Ok(Arc::new(Self { station, number, around, ports, limits, thread, parts }))
    }

    /// The file the plan lies in.
    #[must_use]
    pub fn file(&self) -> String {
        self.parts().file.clone()
    }

    /// Takes note that the plan lies in another file now.
    pub fn moved(&self, file: &str) {
        self.parts().file = file.to_owned();
    }

    /// The plan's actors as one child, to be started by whoever supervises plans.
    #[must_use]
    pub fn group(self: &Arc<Self>) -> ChildSpec {
        let slot = Arc::clone(self);
        ChildSpec {
            name: self.station.name.to_string(),
            kind: "group",
            rank: 0,
            policy: Policy::FIRM,
            when_given_up: WhenGivenUp::Leave,
            grace: GRACE,
            start: Box::new(move |lifeline| {
                let path = format!("plans/{}", slot.station.name);
                let (around, children) = (slot.around.clone(), slot.children());
                let station = Arc::clone(&slot.station);
                let group = Supervisor::below(&path, around, children, lifeline)
                    // Nobody works for the plan any more: whoever waits to send is told so.
                    .when_given_up(move || station.inbox.close())
                    .start();
                slot.parts().group = Some(group.clone());
                group.recipient()
            }),
        }
    }

    /// Brings a new version in while events flow: receivers that change stop before the cut,
    /// publishers that change finish the old version's results before their successors begin.
    ///
    /// # Errors
    /// If the plan takes nothing any more.
    pub async fn update(self: &Arc<Self>, draft: Draft) -> Result<(), Closed> {
        let (name, around) = (Arc::clone(&draft.name), &self.around);
        let sink_edges = edges::sinks(&name, &draft.plan, &self.ports);
        let source_edges = edges::sources(&name, &draft.plan, &self.ports);
        let (old_sinks, old_sources, group, confirmed, finishing) = {
            let mut parts = self.parts();
            let group = parts.group.clone().ok_or(Closed)?;
            parts.finishing.retain(|end| !end.is_done());
            let finishing = parts.finishing.clone();
            (parts.sinks.clone(), parts.sources.clone(), group, parts.confirmed.clone(), finishing)
        };
        let kept_sink = |edge: &Edge| {
            old_sinks.iter().find(|old| old.edge.name == edge.name && old.edge.key == edge.key)
        };
        let kept_source = |edge: &Edge| {
            old_sources.iter().find(|old| old.edge.name == edge.name && old.edge.key == edge.key)
        };
        let sinks: Vec<_> = sink_edges
            .iter()
            .map(|edge| {
                let kept = kept_sink(edge).cloned();
                kept.unwrap_or_else(|| {
                    let end = new_end(edge, &name, self.limits, around, confirmed.as_ref());
                    let job = edge.publisher_job(&self.station, &end, around);
                    let before = old_sinks.iter().map(|old| &old.end).chain(&finishing);
                    let after = before.filter(|old| old.name == edge.name).map(Arc::clone);
                    Sink { edge: edge.clone(), end, job, after: after.collect() }
                })
            })
            .collect();
        let sources: Vec<_> = source_edges
            .iter()
            .map(|edge| {
                let kept = kept_source(edge).cloned();
                kept.unwrap_or_else(|| {
                    let job = edge.receiver_job(&self.station, around);
                    Source { edge: edge.clone(), job }
                })
            })
            .collect();
        let ends: Vec<_> = sinks.iter().map(|sink| Arc::clone(&sink.end)).collect();
        let version = {
            let before = self.station.version();
            let stamp = (draft.version.max(before.number + 1), before.secret);
            let mut parts = self.parts();
            parts.file.clone_from(&draft.file);
            version(draft, stamp, &sink_edges, &ends, &mut parts.tails, self.limits, around)
        };
        let goes = |name: &str, key: &str, edges: &[Edge]| {
            !edges.iter().any(|edge| edge.name == name && edge.key == key)
        };
        for old in old_sources.iter().filter(|o| goes(&o.edge.name, &o.edge.key, &source_edges)) {
            remove(&group, &old.edge.name).await;
        }
        // What the version before has still to write is in its stores before they are read.
        let old = |sink: &&Sink| goes(&sink.edge.name, &sink.edge.key, &sink_edges);
        let going: Vec<&Sink> = old_sinks.iter().filter(old).collect();
        self.station.desk().load_after(going.iter().map(|old| Arc::clone(&old.end)));
        self.station.switch(Arc::new(version)).await?;
        // Together: each may wait for something that is away, though not longer than its grace.
        join_all(going.iter().map(|old| remove(&group, &old.edge.name))).await;
        going.iter().for_each(|old| old.end.inbox.close());
        for old in going.iter().filter(|old| !old.end.is_done()) {
            self.parts().finishing.push(Arc::clone(&old.end));
            self.let_finish((*old).clone(), group.clone());
        }
        for sink in sinks.iter().filter(|sink| kept_sink(&sink.edge).is_none()) {
            if sink.is_next() {
                group.do_send(AddChild(edges::publisher_child(&sink.edge.name, sink.job.clone())));
            } else {
                self.begin_later(sink.clone(), group.clone());
            }
        }
        for source in sources.iter().filter(|source| kept_source(&source.edge).is_none()) {
            let child = edges::receiver_child(&source.edge.name, source.job.clone());
            group.do_send(AddChild(child));
        }
        let mut parts = self.parts();
        (parts.sinks, parts.sources) = (sinks, sources);
        Ok(())
    }

    /// Lets a publisher that the plan goes without write what it was given before that.
    fn let_finish(self: &Arc<Self>, old: Sink, group: Addr<Supervisor>) {
        let slot = Arc::clone(self);
        actix::spawn(async move {
            let version = slot.station.version().number;
            // It may never have begun itself.
            slot.until(|| old.is_next()).await;
            let name = format!("{} (before version {version})", old.edge.name);
            group.do_send(AddChild(edges::publisher_child(&name, old.job.clone())));
            slot.until(|| old.end.is_done()).await;
            remove(&group, &name).await;
        });
    }

    /// Begins a publisher as soon as those before it have nothing left.
    fn begin_later(self: &Arc<Self>, sink: Sink, group: Addr<Supervisor>) {
        let slot = Arc::clone(self);
        info!(plan = %slot.station.name, publisher = sink.edge.name, "it waits for the one before");
        actix::spawn(async move {
            slot.until(|| sink.is_next()).await;
            let is_it = |known: &Sink| Arc::ptr_eq(&known.end, &sink.end);
            if slot.parts().sinks.iter().any(is_it) {
                group.do_send(AddChild(edges::publisher_child(&sink.edge.name, sink.job.clone())));
            }
        });
    }

    /// Waits until something is so, or the plan takes nothing any more.
    async fn until(&self, is_so: impl Fn() -> bool) {
        while !is_so() && !self.station.inbox.is_closed() {
            sleep(LOOK).await;
        }
    }

    /// Takes nothing more; what is left in the inbox is counted and turned away.
    pub fn close(&self) {
        self.station.inbox.close();
        if let Some(pair) = &self.around.pair {
            pair.detach(self.number);
        }
        let left = self.around.metrics.dead_letters(&self.station.name, "undeployed");
        while let Some(work) = self.station.inbox.take() {
            if let Work::Rows(rows) = work.message {
                left.inc_by(rows.batch.len() as u64);
            }
        }
        info!(plan = %self.station.name, "plan undeployed");
    }

    fn children(self: &Arc<Self>) -> Vec<ChildSpec> {
        let (sinks, sources) = {
            let parts = self.parts();
            (parts.sinks.clone(), parts.sources.clone())
        };
        let publishers =
            sinks.into_iter().map(|sink| edges::publisher_child(&sink.edge.name, sink.job));
        let receivers =
            sources.into_iter().map(|source| edges::receiver_child(&source.edge.name, source.job));
        publishers.chain([self.core()]).chain(receivers).collect()
    }

    fn core(self: &Arc<Self>) -> ChildSpec {
        let slot = Arc::clone(self);
        ChildSpec {
            name: CORE.to_owned(),
            kind: "plan",
            rank: Rank::Plan as u8,
            policy: Policy::FIRM,
            when_given_up: WhenGivenUp::Escalate,
            grace: CORE_GRACE,
            start: Box::new(move |lifeline| {
                let (station, metrics) = (Arc::clone(&slot.station), slot.around.metrics.clone());
                let actor = move |_: &mut Context<_>| PlanActor::new(station, lifeline, &metrics);
                PlanActor::start_in_arbiter(&slot.thread.handle(), actor).recipient()
            }),
        }
    }

    /// Each change leaves the parts whole.
    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much of what could not be handled a plan keeps.
fn bounds(config: &DeadLetters) -> Bounds {
    let DeadLetters { letters, bytes, age } = config;
    let age = Millis::try_from(age.as_millis()).unwrap_or(Millis::MAX);
    Bounds { letters: *letters as u64, bytes: *bytes as u64, age }
}

/// Stops a child of the group; a group that has ended has no children.
async fn remove(group: &Addr<Supervisor>, child: &str) {
    let _ = group.send(RemoveChild(child.to_owned())).await;
}

fn new_end(
    edge: &Edge,
    plan: &str,
    limits: SlotLimits,
    around: &Surroundings,
    confirmed: Option<&Arc<ConfirmedFile>>,
) -> Arc<PublisherEnd> {
    let inbox: Inbox<Parcel> = Inbox::new(limits.publisher);
    let unpublished = around.metrics.dead_letters(plan, "publisher");
    let confirmed =
        confirmed.map_or_else(Confirmed::in_memory, |file| Confirmed::in_file(&edge.name, file));
    Arc::new(PublisherEnd::new(edge.name.clone(), inbox, unpublished, confirmed))
}

/// The version that is kept, in place of the one that is to run.
fn kept_draft(draft: Draft, deployment: &Deployment) -> Result<Draft, String> {
    if *draft.kept_text == *deployment.text {
        return Ok(draft);
    }
    let reading = checking::check(&draft.name, &deployment.text);
    let number = deployment.number;
    let Some(plan) = reading.plan else {
        let faults = render::text(&reading.source, &reading.diagnostics, Colour::Never);
        return Err(format!(
            "version {number} of the plan, of which events are kept, cannot be run by this \
             program:\n{faults}"
        ));
    };
    let (text, warnings): (Arc<str>, _) = ((&*deployment.text).into(), reading.diagnostics);
    Ok(Draft { text: Arc::clone(&text), kept_text: text, plan, warnings, ..draft })
}

/// Puts a version together; `ends` are those of `sinks`.
fn version(
    draft: Draft,
    (number, secret): (u64, u64),
    sinks: &[Edge],
    ends: &[Arc<PublisherEnd>],
    tails: &mut Tails,
    limits: SlotLimits,
    around: &Surroundings,
) -> Version {
    let Draft { name, text, kept_text, plan, warnings, .. } = draft;
    let mut streams = Vec::with_capacity(plan.streams.len());
    for (id, stream) in plan.streams.iter().enumerate() {
        let shown: Arc<str> = stream.shown().into();
        let publishers = sinks.iter().zip(ends).filter(|(edge, _)| edge.stream == id);
        let publishers = publishers.map(|(_, end)| Arc::clone(end)).collect();
        let (tail, metrics) = (tails.of(&shown, limits.tail), &around.metrics);
        let front = StreamFront::new(&name, shown, &stream.schema, tail, publishers, metrics);
        streams.push(front);
    }
    let engine = Arc::new(EngineBuilder { plan: Arc::clone(&plan), secret });
    let builder: Arc<dyn Builder> =
        if limits.with_faults { Arc::new(FragileBuilder(engine)) } else { engine };
    Version {
        number,
        name,
        kept_text,
        text,
        plan,
        warnings,
        deployed_ms: clock::now_ms(),
        streams,
        secret,
        builder,
    }
}

/// What a plan's chance is drawn from.
fn secret() -> u64 {
    use std::hash::BuildHasher as _;
    std::collections::hash_map::RandomState::new().hash_one(clock::elapsed())
}
