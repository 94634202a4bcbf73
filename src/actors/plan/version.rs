//! One version of a plan, immutable: its text, its streams and where their rows go.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use crate::actors::plan::Confirmed;
use crate::actors::plan::Tail;
use crate::actors::plan::outbox::Outbox;
use crate::actors::tree::Inbox;
use crate::actors::tree::Weigh;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::plan::logical::Plan;
use crate::plan::logical::StreamId;
use crate::publishers::Parcel;
use crate::replica::Builder;
use crate::replica::Deployment;
use crate::replica::WatermarkState;
use crate::telemetry::metrics::Direction;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::WatermarkFigures;

/// One version of a plan.
pub struct Version {
    /// Counts the versions of this plan, from 1.
    pub number: u64,
    /// The plan's name.
    pub name: Arc<str>,
    /// Its text.
    pub text: Arc<str>,
    /// Its text as the log keeps it, with variables replaced.
    pub kept_text: Arc<str>,
    /// The checked plan.
    pub plan: Arc<Plan>,
    /// What the check warned of.
    pub warnings: Vec<Diagnostic>,
    /// When it was deployed, in milliseconds since 1970.
    pub deployed_ms: i64,
    /// Its streams, by id.
    pub streams: Vec<StreamFront>,
    /// What its chance is drawn from.
    pub secret: u64,
    /// Makes machines of it.
    pub builder: Arc<dyn Builder>,
}

/// A stream as seen from outside.
#[derive(Debug)]
pub struct StreamFront {
    /// Its name.
    pub name: Arc<str>,
    /// Its attributes.
    pub schema: Arc<Schema>,
    /// Its newest events.
    pub tail: Arc<Tail>,
    /// Its ways out.
    pub publishers: Vec<Arc<PublisherEnd>>,
    /// Events taken from outside.
    pub taken: Counter,
    /// Events put into it by queries.
    pub put_out: Counter,
    latency: OnceLock<Histogram>,
    watermark: Mutex<Option<WatermarkState>>,
    watermark_figures: OnceLock<WatermarkFigures>,
}

/// The plan's end of the way to a publisher; it outlives versions that do not change the publisher.
#[derive(Debug)]
pub struct PublisherEnd {
    /// Its name among the plan's actors, as in `publisher:Alerts:1`.
    pub name: String,
    /// What waits for it.
    pub inbox: Inbox<Parcel>,
    /// Rows that came when it took no more.
    pub unpublished: Counter,
    confirmed: Confirmed,
    reading: AtomicU64,
    /// The number of the last result that stands in a dead letter.
    aside: AtomicU64,
    /// What was given to it and has not left.
    pub outbox: Outbox,
}

impl StreamFront {
    /// A stream of a plan that shows its newest events here and drains into these ends.
    #[must_use]
    pub fn new(
        plan: &str,
        name: Arc<str>,
        schema: &Schema,
        tail: Arc<Tail>,
        publishers: Vec<Arc<PublisherEnd>>,
        metrics: &Metrics,
    ) -> Self {
        Self {
            schema: Arc::new(schema.clone()),
            tail,
            publishers,
            taken: metrics.events(plan, &name, Direction::In),
            put_out: metrics.events(plan, &name, Direction::Out),
            latency: OnceLock::new(),
            watermark: Mutex::default(),
            watermark_figures: OnceLock::new(),
            name,
        }
    }

    /// The number of the last event of which every result has left, as far as this node knows: a
    /// publisher takes all events of its stream.
    #[must_use]
    pub fn left(&self) -> u64 {
        // In this order: what is added meanwhile waits, too.
        let latest = self.tail.latest();
        let waiting = |end: &Arc<PublisherEnd>| end.outbox.waiting(end.confirmed());
        latest.saturating_sub(self.publishers.iter().map(waiting).max().unwrap_or(0))
    }

    /// Takes note how long events waited from acceptance to application. The figure appears with
    /// the first event, since most streams are never fed from outside.
    pub fn waited(&self, plan: &str, time: Duration, metrics: &Metrics) {
        let latency = self.latency.get_or_init(|| metrics.latency(plan, &self.name));
        latency.observe(time.as_secs_f64());
    }

    /// Takes note how its watermark stands. The figures appear with the first event.
    pub fn show_watermark(&self, plan: &str, state: WatermarkState, metrics: &Metrics) {
        if let (Some(watermark), Some(lag)) = (state.watermark, state.lag) {
            let make = || metrics.watermark(plan, &self.name);
            let figures = self.watermark_figures.get_or_init(make);
            figures.position.set(watermark);
            figures.lag.set(lag);
            figures.waiting.set(i64::try_from(state.waiting).unwrap_or(i64::MAX));
            figures.idle.set(i64::from(state.is_idle));
            figures.hurried.set(i64::try_from(state.hurried).unwrap_or(i64::MAX));
            if let Some(clock) = state.clock {
                metrics.event_clock(plan).set(clock);
            }
        }
        *self.watermark.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
    }

    /// How its watermark stood when it was last looked at; `None` if it has none.
    #[must_use]
    pub fn watermark(&self) -> Option<WatermarkState> {
        *self.watermark.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Version {
    /// The stream of this name.
    #[must_use]
    pub fn stream(&self, name: &str) -> Option<(StreamId, &StreamFront)> {
        let id = self.plan.stream(name)?;
        Some((id, &self.streams[id]))
    }

    /// The version as its log names it.
    #[must_use]
    pub fn deployment(&self) -> Deployment {
        Deployment { number: self.number, text: (&*self.kept_text).into(), secret: self.secret }
    }

    /// The front of a stream of a plan, which may be that of another version.
    #[must_use]
    pub fn front(&self, plan: &Arc<Plan>, stream: StreamId) -> Option<&StreamFront> {
        if Arc::ptr_eq(plan, &self.plan) {
            return self.streams.get(stream);
        }
        let shown = plan.streams[stream].shown();
        let front = self.streams.iter().find(|front| *front.name == *shown)?;
        (*front.schema == plan.streams[stream].schema).then_some(front)
    }

    /// This version's id of a stream that rows were made for under another version; `None` when it
    /// is gone or has other attributes now.
    #[must_use]
    pub fn adopt(&self, other: &Version, stream: StreamId) -> Option<StreamId> {
        let front = &other.streams[stream];
        let (id, mine) = self.stream(&front.name)?;
        (mine.schema == front.schema).then_some(id)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({} {})", self.name, self.number)
    }
}

impl PublisherEnd {
    /// An end with nothing waiting.
    #[must_use]
    pub fn new(
        name: String,
        inbox: Inbox<Parcel>,
        unpublished: Counter,
        confirmed: Confirmed,
    ) -> Self {
        let (reading, aside, outbox) = (AtomicU64::new(0), AtomicU64::new(0), Outbox::default());
        Self { name, inbox, unpublished, confirmed, reading, aside, outbox }
    }

    /// Whether all that was given to it has left.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.inbox.events() == 0
    }

    /// The number of the last result that has left or was put aside; 0 before the first.
    #[must_use]
    pub fn confirmed(&self) -> u64 {
        self.confirmed.last()
    }

    /// Whether a parcel has left already, or was put aside, or comes from a state that is not the
    /// plan's any more.
    #[must_use]
    pub fn is_void(&self, parcel: &Parcel) -> bool {
        self.outbox.forget(self.confirmed());
        let has_left = self.confirmed() + 1 >= parcel.number + parcel.batch.len() as u64;
        has_left || parcel.reading < self.reading.load(Ordering::Acquire)
    }

    /// Results up to this number stand in dead letters, as far as they were not published.
    pub fn put_aside_upto(&self, number: u64) {
        self.aside.fetch_max(number, Ordering::AcqRel);
    }

    /// The plan's state says anew up to which number they do.
    pub fn begin_aside(&self, number: u64) {
        self.aside.store(number, Ordering::Release);
    }

    /// Whether a parcel stands in a dead letter, as far as it was not published.
    #[must_use]
    pub fn is_put_aside(&self, parcel: &Parcel) -> bool {
        let last = parcel.number + parcel.batch.len() as u64 - 1;
        last <= self.aside.load(Ordering::Acquire)
    }

    /// From now on only results of this reading count.
    pub fn read_anew(&self, reading: u64) {
        self.reading.store(reading, Ordering::Release);
    }

    /// Takes note that this parcel and all before it have left or were put aside.
    pub fn confirm(&self, parcel: &Parcel) {
        self.confirmed.confirm(parcel.number + parcel.batch.len() as u64 - 1);
        self.outbox.forget(self.confirmed());
    }
}

impl Weigh for Parcel {
    fn events(&self) -> usize {
        self.batch.len()
    }

    fn bytes(&self) -> usize {
        self.batch.bytes()
    }
}
