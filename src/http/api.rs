//! What all requests share: the face of the engine, the limits, and who follows.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header;
use tokio::sync::Semaphore;
use tokio::sync::SemaphorePermit;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::actors::handle::Handle;
use crate::actors::plan::Station;
use crate::actors::plan::StreamFront;
use crate::actors::plan::Version;
use crate::config::Http;
use crate::http::problem;
use crate::http::problem::Refusal;
use crate::http::routes::sql::Statements;
use crate::http::waiting::Waiting;
use crate::language::suggest::closest;
use crate::plan::logical::Origin;
use crate::plan::logical::StreamId;
use crate::store::Store;
use crate::store::Stores;

/// Bodies of so many times the largest one may be held at once, by all requests together.
const BODIES: usize = 8;
/// A semaphore counts bytes of bodies in these units, since its counts end at 2^32.
const BODY_UNIT: usize = 1 << 10;
/// How long a request waits until its body may be held.
const BODY_ROOM_TIME: Duration = Duration::from_secs(2);

/// Shared by all requests.
#[derive(Debug)]
pub struct Api {
    handle: Handle,
    limits: Http,
    plan_bytes_max: usize,
    bodies: Semaphore,
    tails: Arc<AtomicUsize>,
    waiting: Waiting,
    stores: Stores,
    statements: Statements,
    closing: watch::Sender<bool>,
}

impl Api {
    /// The API of a node.
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        let limits = handle.config().http.clone();
        let bodies = (limits.body_bytes_max * BODIES).div_ceil(BODY_UNIT);
        Self {
            plan_bytes_max: handle.config().plans.file_bytes_max,
            stores: handle.stores().clone(),
            statements: Statements::default(),
            handle,
            bodies: Semaphore::new(bodies.min(Semaphore::MAX_PERMITS)),
            tails: Arc::default(),
            waiting: Waiting::new(limits.connections_max),
            closing: watch::Sender::new(false),
            limits,
        }
    }

    /// The face of the engine.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The limits of a request.
    pub fn limits(&self) -> &Http {
        &self.limits
    }

    /// The words of the parameter `ack`, the default first: where plans are kept on disk, a
    /// sender is answered once its events are there.
    pub fn acks(&self) -> &'static [&'static str] {
        if self.handle.config().persistence.enabled {
            &["applied", "accepted"]
        } else {
            &["accepted", "applied"]
        }
    }

    /// The longest text of a plan; bytes.
    pub fn plan_bytes_max(&self) -> usize {
        self.plan_bytes_max
    }

    /// How many live tails are open.
    pub fn tails(&self) -> &Arc<AtomicUsize> {
        &self.tails
    }

    /// How many live tails may be open: half of the connections, so that others get through.
    pub fn tails_max(&self) -> usize {
        self.limits.connections_max.div_ceil(2)
    }

    /// Those who wait for plans.
    pub fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// Becomes true when the node stops.
    pub fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// Ends the live tails, so that the server can stop.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Whether the node knows its plans, so that it can say what there is not.
    ///
    /// # Errors
    /// If it has not read them yet, or stops.
    pub fn check_ready(&self) -> Result<(), Refusal> {
        if *self.closing.borrow() {
            return Err(Refusal::new(problem::NOT_READY, "the node is stopping"));
        }
        if !self.handle.is_ready() {
            return Err(Refusal::new(problem::NOT_READY, "the plans have not been read yet"));
        }
        Ok(())
    }

    /// A plan that takes events and questions.
    ///
    /// # Errors
    /// If there is no plan of this name, or none that is known yet while the node starts; or if it
    /// does not run.
    pub fn station(&self, plan: &str) -> Result<Arc<Station>, Refusal> {
        match self.handle.plan(plan) {
            Some(station) if !station.inbox.is_closed() => Ok(station),
            None if self.handle.plans().iter().all(|view| view.name != plan) => {
                Err(self.unknown_plan(plan))
            }
            Some(_) | None => Err(self.not_running(plan)),
        }
    }

    /// The store of this name.
    ///
    /// # Errors
    /// If the settings name none such.
    pub fn store(&self, name: &str) -> Result<Store, Refusal> {
        self.stores.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.stores.names().collect();
            let hint = hint(name, &known, "stores");
            Refusal::new(problem::UNKNOWN_STORE, format!("there is no store `{name}`{hint}"))
        })
    }

    /// The statements in SQL that run.
    pub fn statements(&self) -> &Statements {
        &self.statements
    }

    /// There is no plan of this name; while the node starts or stops that is not known.
    pub fn unknown_plan(&self, plan: &str) -> Refusal {
        if let Err(refusal) = self.check_ready() {
            return refusal;
        }
        let views = self.handle.plans();
        let known: Vec<&str> = views.iter().map(|view| view.name.as_str()).collect();
        let detail = format!("there is no plan `{plan}`{}", hint(plan, &known, "plans"));
        Refusal::new(problem::UNKNOWN_PLAN, detail)
    }

    /// The plan is there but does not run.
    pub fn not_running(&self, plan: &str) -> Refusal {
        let detail = format!("the plan `{plan}` does not run; `/api/v1/plans/{plan}` says why");
        Refusal::new(problem::PLAN_NOT_RUNNING, detail)
    }

    /// A stream of a version of a plan, as seen from outside.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn stream<'a>(
        &self,
        version: &'a Version,
        stream: &str,
    ) -> Result<(StreamId, &'a StreamFront), Refusal> {
        version.stream(stream).ok_or_else(|| {
            let seen = |stream: &&crate::plan::logical::Stream| {
                matches!(stream.origin, Origin::Defined | Origin::Implicit | Origin::Trigger)
            };
            let streams = version.plan.streams.iter().filter(seen);
            let known: Vec<&str> = streams.map(|stream| stream.name.as_str()).collect();
            let hint = hint(stream, &known, "streams");
            let detail = format!("the plan `{}` has no stream `{stream}`{hint}", version.name);
            Refusal::new(problem::UNKNOWN_STREAM, detail)
        })
    }

    /// Waits until the body of a request may be held in memory.
    ///
    /// # Errors
    /// If others hold too much for too long.
    pub async fn body_room(&self, request: &HttpRequest) -> Result<SemaphorePermit<'_>, Refusal> {
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let most = self.limits.body_bytes_max;
        let units = length.unwrap_or(most).min(most).div_ceil(BODY_UNIT);
        let room = self.bodies.acquire_many(u32::try_from(units).unwrap_or(u32::MAX));
        match timeout(BODY_ROOM_TIME, room).await {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(_)) | Err(_) => {
                let detail = "other requests hold as many bytes as may be held";
                Err(Refusal::new(problem::OVERLOADED, detail))
            }
        }
    }
}

/// What the name may have meant, or what there is.
fn hint(name: &str, known: &[&str], what: &str) -> String {
    const SHOWN: usize = 20;
    match closest(name, known.iter().copied()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None if known.is_empty() => format!("; there are no {what}"),
        None if known.len() > SHOWN => format!("; there are {} other {what}", known.len()),
        None => format!("; there are the {what} {}", known.join(", ")),
    }
}
