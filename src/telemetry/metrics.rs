//! Every metric of a node, with name, unit and meaning, in one list.
//!
//! Nothing vanishes, in figures: for each plan, events in = events out + held + dropped + dead
//! letters. A caller takes a counter once, by [`Metrics`]' methods, and then counts without a lock.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use prometheus_client::registry::Unit;

use crate::telemetry::stores::OfStores;
use crate::telemetry::stores::StoreFigures;

/// The media type of [`Metrics::print`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Which way an event went through a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Taken by an input stream.
    In,
    /// Put out by a stream.
    Out,
}

/// The metrics of one node; clones share the same figures.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    events: Family<EventLabels, Counter>,
    dropped: Family<DropLabels, Counter>,
    dead_letters: Family<DeadLabels, Counter>,
    dead_letters_closed: Family<ClosedLabels, Counter>,
    dead_letters_kept: Family<PlanLabels, Gauge>,
    dead_letters_kept_bytes: Family<PlanLabels, Gauge>,
    held_rows: Family<PlanLabels, Gauge>,
    state_bytes: Family<PlanLabels, Gauge>,
    state_bytes_max: Family<PlanLabels, Gauge>,
    snapshot_pause: Family<PlanLabels, Gauge<f64, AtomicU64>>,
    queue_depth: Family<QueueLabels, Gauge>,
    queue_age: Family<QueueLabels, Gauge<f64, AtomicU64>>,
    stores: OfStores,
    uncertain: Family<QueueLabels, Counter>,
    pair: PairFigures,
    latency: Family<StreamLabels, Histogram, fn() -> Histogram>,
    watermark: [Family<StreamLabels, Gauge>; 5],
    event_clock: Family<PlanLabels, Gauge>,
    restarts: Family<ActorLabels, Counter>,
    plans: Family<StateLabels, Gauge>,
    /// The series of each plan, and since when it is gone, if it is.
    of_plans: Mutex<BTreeMap<String, OfPlan>>,
}

/// What is known of one plan.
#[derive(Debug, Default)]
struct OfPlan {
    series: Vec<Series>,
    gone: Option<Instant>,
}

/// A series of a plan, by its labels.
#[derive(Debug, PartialEq)]
enum Series {
    Events(EventLabels),
    Dropped(DropLabels),
    DeadLetters(DeadLabels),
    DeadLettersClosed(ClosedLabels),
    DeadLettersKept(PlanLabels),
    DeadLettersKeptBytes(PlanLabels),
    HeldRows(PlanLabels),
    StateBytes(PlanLabels),
    StateBytesMax(PlanLabels),
    SnapshotPause(PlanLabels),
    QueueDepth(QueueLabels),
    QueueAge(QueueLabels),
    Uncertain(QueueLabels),
    Latency(StreamLabels),
    Watermark(StreamLabels),
    EventClock(PlanLabels),
    Restarts(ActorLabels),
}

/// Series of a plan that is gone stay for so long, so that whoever scrapes now and then still gets
/// its last figures. After that they go: names come and go, and memory may not grow with them.
const KEPT_AFTER_END: Duration = Duration::from_secs(600);
/// Where the actors of plans stand.
const PLANS: &str = "plans/";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PlanLabels {
    plan: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StreamLabels {
    plan: String,
    stream: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    plan: String,
    stream: String,
    direction: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    plan: String,
    stream: String,
    query: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeadLabels {
    plan: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClosedLabels {
    plan: String,
    how: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    plan: String,
    queue: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActorLabels {
    actor: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NodeLabels {
    node: String,
    version: &'static str,
}

/// How the pair stands, as this node sees it; all zero on a node that is alone.
#[derive(Debug, Default)]
pub struct PairFigures {
    /// Whether this node acts.
    pub active: Gauge,
    /// Whether the passive could take over without loss.
    pub in_sync: Gauge,
    /// Whether the other node is connected.
    pub connected: Gauge,
    /// The epoch acted in or followed.
    pub epoch: Gauge,
    /// Entries that the other node lacks.
    pub lag: Gauge,
}

/// How the watermark of a stream stands.
#[derive(Debug, Clone)]
pub struct WatermarkFigures {
    /// The watermark, in milliseconds since 1970.
    pub position: Gauge,
    /// How far it is behind the clock of arrival, in milliseconds.
    pub lag: Gauge,
    /// Rows that wait.
    pub waiting: Gauge,
    /// 1 if others do not wait for it.
    pub idle: Gauge,
    /// Rows that left before their time, since too many waited.
    pub hurried: Gauge,
}

impl Metrics {
    /// The metrics of the node called `node`, all at zero.
    #[must_use]
    pub fn new(node: &str) -> Self {
        let mut inner = Inner {
            registry: Registry::with_prefix("twinflow"),
            events: Family::default(),
            dropped: Family::default(),
            dead_letters: Family::default(),
            dead_letters_closed: Family::default(),
            dead_letters_kept: Family::default(),
            dead_letters_kept_bytes: Family::default(),
            held_rows: Family::default(),
            state_bytes: Family::default(),
            state_bytes_max: Family::default(),
            snapshot_pause: Family::default(),
            uncertain: Family::default(),
            pair: PairFigures::default(),
            queue_depth: Family::default(),
            queue_age: Family::default(),
            stores: OfStores::default(),
            latency: Family::new_with_constructor(latency_histogram),
            watermark: Default::default(),
            event_clock: Family::default(),
            restarts: Family::default(),
            plans: Family::default(),
            of_plans: Mutex::default(),
        };
        inner.list(node);
        Self(Arc::new(inner))
    }

    /// Events that passed a stream of a plan, by direction.
    #[must_use]
    pub fn events(&self, plan: &str, stream: &str, direction: Direction) -> Counter {
        let direction = match direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        let labels = EventLabels { plan: plan.to_owned(), stream: stream.to_owned(), direction };
        self.0.note(plan, Series::Events(labels.clone()));
        self.0.events.get_or_create_owned(&labels)
    }

    /// Events a plan took and let go, by reason. `stream` and `query` are empty where it is of none
    /// in particular.
    #[must_use]
    pub fn dropped(&self, plan: &str, stream: &str, query: &str, reason: &'static str) -> Counter {
        let [plan_label, stream, query] = [plan, stream, query].map(str::to_owned);
        let labels = DropLabels { plan: plan_label, stream, query, reason };
        self.0.note(plan, Series::Dropped(labels.clone()));
        self.0.dropped.get_or_create_owned(&labels)
    }

    /// Events and results that could not be handled and were put aside, by reason.
    #[must_use]
    pub fn dead_letters(&self, plan: &str, reason: &'static str) -> Counter {
        let labels = DeadLabels { plan: plan.to_owned(), reason };
        self.0.note(plan, Series::DeadLetters(labels.clone()));
        self.0.dead_letters.get_or_create_owned(&labels)
    }

    /// Events in dead letters that were closed: `replayed`, `discarded` or `expired`.
    #[must_use]
    pub fn dead_letters_closed(&self, plan: &str, how: &'static str) -> Counter {
        let labels = ClosedLabels { plan: plan.to_owned(), how };
        self.0.note(plan, Series::DeadLettersClosed(labels.clone()));
        self.0.dead_letters_closed.get_or_create_owned(&labels)
    }

    /// Events in dead letters that are kept.
    #[must_use]
    pub fn dead_letters_kept(&self, plan: &str) -> Gauge {
        let labels = PlanLabels { plan: plan.to_owned() };
        self.0.note(plan, Series::DeadLettersKept(labels.clone()));
        self.0.dead_letters_kept.get_or_create_owned(&labels)
    }

    /// Bytes of dead letters that are kept.
    #[must_use]
    pub fn dead_letters_kept_bytes(&self, plan: &str) -> Gauge {
        let labels = PlanLabels { plan: plan.to_owned() };
        self.0.note(plan, Series::DeadLettersKeptBytes(labels.clone()));
        self.0.dead_letters_kept_bytes.get_or_create_owned(&labels)
    }

    /// Rows a plan holds in windows, tables and pending matches.
    #[must_use]
    pub fn held_rows(&self, plan: &str) -> Gauge {
        let labels = PlanLabels { plan: plan.to_owned() };
        self.0.note(plan, Series::HeldRows(labels.clone()));
        self.0.held_rows.get_or_create_owned(&labels)
    }

    /// Bytes of a plan's state, when they were counted last.
    #[must_use]
    pub fn state_bytes(&self, plan: &str) -> Gauge {
        let labels = PlanLabels { plan: plan.to_owned() };
        self.0.note(plan, Series::StateBytes(labels.clone()));
        self.0.state_bytes.get_or_create_owned(&labels)
    }

    /// Bytes of state that a plan may have.
    #[must_use]
    pub fn state_bytes_max(&self, plan: &str) -> Gauge {
        let labels = PlanLabels { plan: plan.to_owned() };
        self.0.note(plan, Series::StateBytesMax(labels.clone()));
        self.0.state_bytes_max.get_or_create_owned(&labels)
    }

    /// Seconds for which the last snapshot made a plan stand still.
    #[must_use]
    pub fn snapshot_pause(&self, plan: &str) -> Gauge<f64, AtomicU64> {
        let labels = PlanLabels { plan: plan.to_owned() };
        self.0.note(plan, Series::SnapshotPause(labels.clone()));
        self.0.snapshot_pause.get_or_create_owned(&labels)
    }

    /// Parcels that may have left before: the first one a publisher published after a takeover.
    #[must_use]
    pub fn uncertain(&self, plan: &str, publisher: &str) -> Counter {
        let labels = QueueLabels { plan: plan.to_owned(), queue: publisher.to_owned() };
        self.0.note(plan, Series::Uncertain(labels.clone()));
        self.0.uncertain.get_or_create_owned(&labels)
    }

    /// How the pair stands.
    #[must_use]
    pub fn pair(&self) -> &PairFigures {
        &self.0.pair
    }

    /// Events waiting in a queue of a plan: `inbox`, or the name of a publisher.
    #[must_use]
    pub fn queue_depth(&self, plan: &str, queue: &str) -> Gauge {
        let labels = QueueLabels { plan: plan.to_owned(), queue: queue.to_owned() };
        self.0.note(plan, Series::QueueDepth(labels.clone()));
        self.0.queue_depth.get_or_create_owned(&labels)
    }

    /// Seconds for which the oldest of the events at a publisher has been with it.
    #[must_use]
    pub fn queue_age(&self, plan: &str, queue: &str) -> Gauge<f64, AtomicU64> {
        let labels = QueueLabels { plan: plan.to_owned(), queue: queue.to_owned() };
        self.0.note(plan, Series::QueueAge(labels.clone()));
        self.0.queue_age.get_or_create_owned(&labels)
    }

    /// How a store is used.
    #[must_use]
    pub fn store(&self, store: &str) -> StoreFigures {
        self.0.stores.of(store)
    }

    /// Seconds from acceptance of an event until the plan has applied it, per input stream.
    #[must_use]
    pub fn latency(&self, plan: &str, stream: &str) -> Histogram {
        let labels = StreamLabels { plan: plan.to_owned(), stream: stream.to_owned() };
        self.0.note(plan, Series::Latency(labels.clone()));
        self.0.latency.get_or_create_owned(&labels)
    }

    /// How the watermark of a stream stands.
    #[must_use]
    pub fn watermark(&self, plan: &str, stream: &str) -> WatermarkFigures {
        let labels = StreamLabels { plan: plan.to_owned(), stream: stream.to_owned() };
        self.0.note(plan, Series::Watermark(labels.clone()));
        let [position, lag, waiting, idle, hurried] =
            self.0.watermark.each_ref().map(|family| family.get_or_create_owned(&labels));
        WatermarkFigures { position, lag, waiting, idle, hurried }
    }

    /// The clock of a plan that goes with watermarks, in milliseconds since 1970.
    #[must_use]
    pub fn event_clock(&self, plan: &str) -> Gauge {
        let labels = PlanLabels { plan: plan.to_owned() };
        self.0.note(plan, Series::EventClock(labels.clone()));
        self.0.event_clock.get_or_create_owned(&labels)
    }

    /// Restarts of an actor after it fell.
    #[must_use]
    pub fn restarts(&self, actor: &str) -> Counter {
        let labels = ActorLabels { actor: actor.to_owned() };
        if let Some(path) = actor.strip_prefix(PLANS) {
            let plan = path.split_once('/').map_or(path, |(plan, _)| plan);
            self.0.note(plan, Series::Restarts(labels.clone()));
        }
        self.0.restarts.get_or_create_owned(&labels)
    }

    /// Plans in a state: `running`, `refused` or `stopped`.
    #[must_use]
    pub fn plans(&self, state: &'static str) -> Gauge {
        self.0.plans.get_or_create_owned(&StateLabels { state })
    }

    /// A plan is at work: its series stay.
    pub fn keep(&self, plan: &str) {
        if let Some(of_plan) = self.0.of_plans().get_mut(plan) {
            of_plan.gone = None;
        }
    }

    /// A plan is gone; its series stay for ten minutes more, unless it comes back.
    pub fn let_go(&self, plan: &str) {
        if let Some(of_plan) = self.0.of_plans().get_mut(plan) {
            of_plan.gone = Some(Instant::now());
        }
        self.0.prune(KEPT_AFTER_END);
    }

    /// Everything as text in the OpenMetrics form that Prometheus reads; see [`MEDIA_TYPE`].
    #[must_use]
    pub fn print(&self) -> String {
        self.0.prune(KEPT_AFTER_END);
        let mut text = String::new();
        if encode(&mut text, &self.0.registry).is_err() {
            // Writing to a `String` cannot fail; a scraper still deserves a well-formed end.
            text.clear();
            text.write_str("# EOF\n").expect("a String takes everything");
        }
        text
    }
}

impl Inner {
    /// Each change leaves the map whole.
    fn of_plans(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, OfPlan>> {
        self.of_plans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a series of a plan.
    fn note(&self, plan: &str, series: Series) {
        let mut of_plans = self.of_plans();
        let known = &mut of_plans.entry(plan.to_owned()).or_default().series;
        if !known.contains(&series) {
            known.push(series);
        }
    }

    /// Removes the series of plans that have been gone for longer than `kept`.
    fn prune(&self, kept: Duration) {
        let is_over = |of_plan: &OfPlan| of_plan.gone.is_some_and(|gone| gone.elapsed() >= kept);
        let over = |_: &String, of_plan: &mut OfPlan| is_over(of_plan);
        let gone: Vec<_> = self.of_plans().extract_if(.., over).collect();
        for series in gone.into_iter().flat_map(|(_, of_plan)| of_plan.series) {
            match series {
                Series::Events(labels) => self.events.remove(&labels),
                Series::Dropped(labels) => self.dropped.remove(&labels),
                Series::DeadLetters(labels) => self.dead_letters.remove(&labels),
                Series::DeadLettersClosed(labels) => self.dead_letters_closed.remove(&labels),
                Series::DeadLettersKept(labels) => self.dead_letters_kept.remove(&labels),
                Series::DeadLettersKeptBytes(labels) => {
                    self.dead_letters_kept_bytes.remove(&labels)
                }
                Series::HeldRows(labels) => self.held_rows.remove(&labels),
                Series::StateBytes(labels) => self.state_bytes.remove(&labels),
                Series::StateBytesMax(labels) => self.state_bytes_max.remove(&labels),
                Series::SnapshotPause(labels) => self.snapshot_pause.remove(&labels),
                Series::QueueDepth(labels) => self.queue_depth.remove(&labels),
                Series::QueueAge(labels) => self.queue_age.remove(&labels),
                Series::Uncertain(labels) => self.uncertain.remove(&labels),
                Series::Latency(labels) => self.latency.remove(&labels),
                Series::Watermark(labels) => {
                    self.watermark.iter().filter(|family| family.remove(&labels)).count() > 0
                }
                Series::EventClock(labels) => self.event_clock.remove(&labels),
                Series::Restarts(labels) => self.restarts.remove(&labels),
            };
        }
    }

    /// The list: `twinflow_` goes before each name, `_total` after each counter.
    fn list(&mut self, node: &str) {
        let info: Family<NodeLabels, Gauge> = Family::default();
        let labels = NodeLabels { node: node.to_owned(), version: env!("CARGO_PKG_VERSION") };
        info.get_or_create(&labels).set(1);
        let list = &mut self.registry;
        list.register("node", "1, with the node's name and version as labels", info);
        list.register("plans", "Plans by state", self.plans.clone());
        list.register("events", "Events in and out of streams", self.events.clone());
        list.register("dropped", "Events let go, by reason", self.dropped.clone());
        let help = "Events and results put aside because they could not be handled";
        list.register("dead_letters", help, self.dead_letters.clone());
        let (help, closed) = ("Events in dead letters closed", self.dead_letters_closed.clone());
        list.register("dead_letters_closed", help, closed);
        let (help, kept) = ("Events in dead letters kept", self.dead_letters_kept.clone());
        list.register("dead_letters_kept", help, kept);
        let (help, bytes) = ("Dead letters kept", self.dead_letters_kept_bytes.clone());
        list.register_with_unit("dead_letters_kept", help, Unit::Bytes, bytes);
        let help = "Rows held in windows, tables and pending matches";
        list.register("held_rows", help, self.held_rows.clone());
        let (help, bytes) = ("State of a plan", self.state_bytes.clone());
        list.register_with_unit("state", help, Unit::Bytes, bytes);
        let help = "Bytes of state beyond which a plan takes no events";
        list.register("state_bytes_max", help, self.state_bytes_max.clone());
        let (help, pause) =
            ("How long a plan stood still for its last snapshot", self.snapshot_pause.clone());
        list.register_with_unit("snapshot_pause", help, Unit::Seconds, pause);
        let help = "Parcels of results that may have left before a takeover, too";
        list.register("results_uncertain", help, self.uncertain.clone());
        let pair = &self.pair;
        list.register("active", "1 if this node acts", pair.active.clone());
        let help = "1 if the passive could take over without loss";
        list.register("in_sync", help, pair.in_sync.clone());
        list.register("peer_connected", "1 if the other node is connected", pair.connected.clone());
        list.register(
            "epoch",
            "The start of an active that is acted in or followed",
            pair.epoch.clone(),
        );
        list.register("lag_entries", "Entries that the other node lacks", pair.lag.clone());
        let help = "Events waiting in a queue";
        list.register("queue_depth", help, self.queue_depth.clone());
        let help = "For how long the oldest of the events at a publisher has been with it";
        list.register_with_unit("queue_age", help, Unit::Seconds, self.queue_age.clone());
        self.stores.list(list);
        let help = "From acceptance of an event until its plan has applied it";
        list.register_with_unit("latency", help, Unit::Seconds, self.latency.clone());
        for (family, (name, help)) in self.watermark.iter().zip(WATERMARK) {
            list.register(name, help, family.clone());
        }
        let help = "The clock of a plan that goes with watermarks, in milliseconds since 1970";
        list.register("event_clock_milliseconds", help, self.event_clock.clone());
        let help = "Restarts of actors after they fell";
        list.register("actor_restarts", help, self.restarts.clone());
    }
}

/// Names and meanings of [`WatermarkFigures`], in their order.
const WATERMARK: [(&str, &str); 5] = [
    ("watermark_milliseconds", "Up to where events of a stream are waited for, since 1970"),
    ("watermark_lag_milliseconds", "How far a watermark is behind the clock of arrival"),
    ("watermark_waiting_rows", "Events that wait for the clock to come to them"),
    ("watermark_idle", "1 if nothing came to a stream for so long that others do not wait for it"),
    ("watermark_hurried_rows", "Events that left before their time, since too many waited"),
];

/// Bounds of the latency's buckets, in seconds: about a factor of three from one to the next.
const LATENCY_BOUNDS: [f64; 14] =
    [0.000_03, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0];

fn latency_histogram() -> Histogram {
    Histogram::new(LATENCY_BOUNDS)
}

#[cfg(test)]
mod tests;
