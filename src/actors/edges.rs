//! The ways into and out of a plan: what its `@source`s and `@sink`s ask for, as children to start.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use crate::actors::plan::PublisherEnd;
use crate::actors::plan::Station;
use crate::actors::publisher::PublisherActor;
use crate::actors::publisher::PublisherJob;
use crate::actors::receiver::ReceiverActor;
use crate::actors::receiver::ReceiverJob;
use crate::actors::threads::Thread;
use crate::actors::tree::ChildSpec;
use crate::actors::tree::Control;
use crate::actors::tree::Lifeline;
use crate::actors::tree::Policy;
use crate::actors::tree::Surroundings;
use crate::actors::tree::WhenGivenUp;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::plan::logical::Endpoint;
use crate::plan::logical::EndpointOption;
use crate::plan::logical::Plan;
use crate::plan::logical::Role;
use crate::plan::logical::StreamId;
use crate::plan::logical::WayOut;
use crate::publishers;
use crate::receivers;
use crate::receivers::http::Paths;
use crate::store::Stores;
use crate::topics::Topics;

/// How long a publisher may take to publish what waits when it is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Where the plans of a node meet: topics between plans, the paths of the node's web server, and
/// the databases.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Messages between plans.
    pub topics: Topics,
    /// Paths at which plans take requests.
    pub paths: Paths,
    /// Databases by their names.
    pub stores: Stores,
}

impl Default for Ports {
    fn default() -> Self {
        Self { topics: Topics::new(), paths: Paths::new(), stores: Stores::default() }
    }
}

/// A `@source` or `@sink` of a plan.
#[derive(Debug, Clone)]
pub struct Edge {
    /// Its name among the plan's actors: `receiver:Logins:1`, `publisher:Alerts:1`.
    pub name: String,
    /// The stream it feeds or drains.
    pub stream: StreamId,
    /// Everything it does depends on; the same key in the next version: it goes on untouched.
    pub key: String,
    plan: Arc<str>,
    stream_name: Arc<str>,
    schema: Arc<Schema>,
    endpoint: Arc<Endpoint>,
    role: Role,
    ports: Ports,
}

/// The `@source`s of a plan that runs under this name.
#[must_use]
pub fn sources(name: &Arc<str>, plan: &Plan, ports: &Ports) -> Vec<Edge> {
    let mut edges = Vec::new();
    for (id, stream) in plan.streams.iter().enumerate() {
        for (endpoint, number) in stream.sources.iter().zip(1..) {
            let of = format!("receiver:{}:{number}", stream.name).into();
            let way = WayOut { name: of, endpoint, role: Role::Sink };
            edges.push(Edge::new(name, &way, plan, id, ports));
        }
    }
    edges
}

/// The `@sink`s and `@store`s of a plan that runs under this name.
#[must_use]
pub fn sinks(name: &Arc<str>, plan: &Plan, ports: &Ports) -> Vec<Edge> {
    let streams = plan.streams.iter().enumerate();
    let ways = streams.flat_map(|(id, stream)| {
        stream.ways_out().map(move |way| Edge::new(name, &way, plan, id, ports))
    });
    ways.collect()
}

/// What is wrong with the `@source`s, `@sink`s and `@store`s of a plan; whether the node has the
/// stores only where they are known.
#[must_use]
pub fn check(plan: &Plan, stores: Option<&Stores>) -> Vec<Diagnostic> {
    receivers::check(plan).into_iter().chain(publishers::check(plan, stores)).collect()
}

/// What is written, without the places where it is written.
fn key(endpoint: &Endpoint, schema: &Schema) -> String {
    let options = |options: &[EndpointOption]| -> Vec<(String, String)> {
        options.iter().map(|option| (option.key.clone(), option.value.clone())).collect()
    };
    let map = endpoint.map.as_ref().map(|map| {
        let lists = [&map.options, &map.attributes, &map.payload].map(|list| options(list));
        (&map.kind, lists)
    });
    format!("{:?}", (&endpoint.kind, options(&endpoint.options), map, schema))
}

impl Edge {
    fn new(
        plan_name: &Arc<str>,
        way: &WayOut<'_>,
        plan: &Plan,
        id: StreamId,
        ports: &Ports,
    ) -> Self {
        let (stream, endpoint) = (&plan.streams[id], way.endpoint);
        Self {
            name: way.name.to_string(),
            role: way.role,
            stream: id,
            key: key(endpoint, &stream.schema),
            plan: Arc::clone(plan_name),
            stream_name: stream.name.as_str().into(),
            schema: Arc::new(stream.schema.clone()),
            endpoint: Arc::new(endpoint.clone()),
            ports: ports.clone(),
        }
    }

    fn receiver(&self) -> Result<receivers::Built, Vec<Diagnostic>> {
        receivers::build(&receivers::Setup {
            plan: &self.plan,
            name: &self.name,
            stream: &self.stream_name,
            schema: &self.schema,
            endpoint: &self.endpoint,
            topics: &self.ports.topics,
            paths: &self.ports.paths,
        })
    }

    fn publisher(&self) -> Result<publishers::Built, Vec<Diagnostic>> {
        publishers::build(&publishers::Setup {
            plan: &self.plan,
            stream: &self.stream_name,
            schema: &self.schema,
            endpoint: &self.endpoint,
            role: self.role,
            topics: &self.ports.topics,
            stores: Some(&self.ports.stores),
        })
    }

    /// What a `@source`'s actors do, life after life.
    #[must_use]
    pub fn receiver_job(&self, station: &Arc<Station>, around: &Surroundings) -> ReceiverJob {
        let (edge, stream) = (self.clone(), Arc::clone(&self.stream_name));
        let built = move || edge.receiver().map_err(|faults| told(&faults));
        let likeness = built().ok().and_then(|built| built.likeness);
        let make = Arc::new(move || built().map(|built| built.receiver));
        ReceiverJob::new(make, Arc::clone(station), stream, (&self.name, likeness), around)
    }

    /// What a `@sink`'s actors do, life after life, with what comes to this end.
    #[must_use]
    pub fn publisher_job(
        &self,
        station: &Arc<Station>,
        end: &Arc<PublisherEnd>,
        around: &Surroundings,
    ) -> PublisherJob {
        let edge = self.clone();
        let make = Arc::new(move || edge.publisher().map_err(|faults| told(&faults)));
        PublisherJob::new(make, Arc::clone(station), Arc::clone(end), around)
    }
}

/// A receiver's actor as a child, in a thread of its own.
#[must_use]
pub fn receiver_child(name: &str, job: ReceiverJob) -> ChildSpec {
    let thread = Thread::start();
    child(name, "receiver", Rank::Receivers, move |lifeline| {
        let job = job.clone();
        let actor = move |_: &mut Context<_>| ReceiverActor::new(job, lifeline);
        ReceiverActor::start_in_arbiter(&thread.handle(), actor).recipient()
    })
}

/// A publisher's actor as a child, in a thread of its own.
#[must_use]
pub fn publisher_child(name: &str, job: PublisherJob) -> ChildSpec {
    let thread = Thread::start();
    child(name, "publisher", Rank::Publishers, move |lifeline| {
        let job = job.clone();
        let actor = move |_: &mut Context<_>| PublisherActor::new(job, lifeline);
        PublisherActor::start_in_arbiter(&thread.handle(), actor).recipient()
    })
}

fn child(
    name: &str,
    kind: &'static str,
    rank: Rank,
    start: impl FnMut(Lifeline) -> Recipient<Control> + Send + 'static,
) -> ChildSpec {
    ChildSpec {
        name: name.to_owned(),
        kind,
        rank: rank as u8,
        policy: Policy::PATIENT,
        when_given_up: WhenGivenUp::Leave,
        grace: GRACE,
        start: Box::new(start),
    }
}

/// The order in which the actors of a plan start; they stop in reverse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// First in, last out: results must find them.
    Publishers,
    /// The plan itself.
    Plan,
    /// Last in, first out: nothing comes any more when the plan stops.
    Receivers,
}

fn told(faults: &[Diagnostic]) -> String {
    let messages: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
    messages.join("; ")
}
