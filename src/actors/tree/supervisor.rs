//! An actor that starts children in order, raises those that fall, and stops all in reverse order.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::actors::clock;
use crate::actors::gate::Gate;
use crate::actors::pair::Hub;
use crate::actors::tree::ChildEnded;
use crate::actors::tree::ChildSpec;
use crate::actors::tree::Control;
use crate::actors::tree::Exit;
use crate::actors::tree::Lifeline;
use crate::actors::tree::Registry;
use crate::actors::tree::State;
use crate::actors::tree::WhenGivenUp;
use crate::actors::tree::policy;
use crate::actors::tree::policy::Decision;
use crate::actors::tree::status::Entry;
use crate::telemetry::metrics::Metrics;

/// What all supervisors of a node share.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Where every actor shows itself.
    pub registry: Registry,
    /// Where restarts are counted.
    pub metrics: Metrics,
    /// Whether this node may act.
    pub gate: Arc<Gate>,
    /// Where the plans meet the other node, if this one is one of a pair.
    pub pair: Option<Arc<Hub>>,
}

impl Surroundings {
    /// Those of a node that is alone.
    #[must_use]
    pub fn alone(metrics: Metrics) -> Self {
        let (registry, gate) = (Registry::default(), Arc::new(Gate::solo(true)));
        Self { registry, metrics, gate, pair: None }
    }

    /// Those of a node of a pair.
    #[must_use]
    pub fn paired(metrics: Metrics, pair: Arc<Hub>) -> Self {
        let gate = Arc::clone(&pair.gate);
        Self { registry: Registry::default(), metrics, gate, pair: Some(pair) }
    }
}

/// Raises its children again when they fall.
#[derive(Debug)]
pub struct Supervisor {
    path: String,
    around: Surroundings,
    children: Vec<Child>,
    /// Lives that were begun, of all children.
    lives: u64,
    stopping: bool,
    /// `None` for the root, which nobody supervises.
    lifeline: Option<Lifeline>,
    /// Told when a root has stopped.
    stopped: Option<oneshot::Sender<()>>,
    given_up: GivenUp,
}

/// What is to be done when the supervisor fails because a child was given up.
struct GivenUp(Option<Box<dyn FnOnce() + Send>>);

#[derive(Debug)]
struct Child {
    spec: ChildSpec,
    /// Another one with every start, also among children that had the same name one after the
    /// other; a word of an earlier life is not taken for this one's.
    life: u64,
    /// Its entry in the registry.
    entry: Entry,
    /// While it lives.
    control: Option<Recipient<Control>>,
    falls: Vec<Duration>,
    restarts: u64,
    /// Set once it is to leave; told when it has left.
    leaving: Option<Vec<oneshot::Sender<()>>>,
}

/// Takes in and starts one more child.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AddChild(pub ChildSpec);

/// Stops a child and forgets it; answered once it has ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct RemoveChild(pub String);

/// Stops all children in reverse order, then the supervisor; answered at the end.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StopAll;

impl Supervisor {
    /// A supervisor without a parent, the root of a tree.
    #[must_use]
    pub fn root(path: &str, around: Surroundings, children: Vec<ChildSpec>) -> Self {
        Self::new(path, around, children, None)
    }

    /// A supervisor that is itself a child.
    #[must_use]
    pub fn below(
        path: &str,
        around: Surroundings,
        children: Vec<ChildSpec>,
        lifeline: Lifeline,
    ) -> Self {
        Self::new(path, around, children, Some(lifeline))
    }

    /// Has this done when it fails because a child was given up.
    #[must_use]
    pub fn when_given_up(mut self, act: impl FnOnce() + Send + 'static) -> Self {
        self.given_up = GivenUp(Some(Box::new(act)));
        self
    }

    fn new(
        path: &str,
        around: Surroundings,
        children: Vec<ChildSpec>,
        lifeline: Option<Lifeline>,
    ) -> Self {
        let path = path.to_owned();
        let mut children: Vec<_> = children.into_iter().map(Child::new).collect();
        children.sort_by_key(|child| child.spec.rank);
        Self {
            path,
            around,
            children,
            lives: 0,
            stopping: false,
            lifeline,
            stopped: None,
            given_up: GivenUp(None),
        }
    }

    fn path_of(&self, child: &str) -> String {
        if self.path.is_empty() { child.to_owned() } else { format!("{}/{child}", self.path) }
    }

    fn find(&mut self, name: &str) -> Option<&mut Child> {
        self.children.iter_mut().find(|child| child.spec.name == name)
    }

    /// Starts the next life of a child.
    fn raise(&mut self, name: &str, ctx: &mut Context<Self>) {
        let path = self.path_of(name);
        let registry = self.around.registry.clone();
        let life = self.lives + 1;
        let Some(child) = self.find(name) else {
            return;
        };
        child.life = life;
        let lifeline = Lifeline::new(ctx.address().recipient(), name, life);
        let control = (child.spec.start)(lifeline);
        child.control = Some(control.clone());
        registry.running(&path, child.entry, control, child.restarts);
        self.lives = life;
    }

    /// Asks a child to stop; after its grace the others go on without it.
    fn ask_to_stop(&mut self, name: &str, ctx: &mut Context<Self>) {
        let path = self.path_of(name);
        let registry = self.around.registry.clone();
        let Some(child) = self.find(name) else {
            return;
        };
        registry.stopping(&path, child.entry);
        let (life, grace) = (child.life, child.spec.grace);
        if let Some(control) = &child.control {
            control.do_send(Control::Stop);
        }
        let child = name.to_owned();
        ctx.run_later(grace, move |this, ctx| {
            let late = this.find(&child).is_some_and(|c| c.life == life && c.control.is_some());
            if late {
                warn!(actor = path, ?grace, "actor did not stop in time; going on without it");
                let exit = Exit::permanent("did not stop in time");
                this.ended(ChildEnded { child, life, exit }, ctx);
            }
        });
    }

    /// Stops the last child that still lives, or ends when there is none.
    fn stop_next(&mut self, ctx: &mut Context<Self>) {
        let last = self.children.iter().rev().find(|child| child.control.is_some());
        if let Some(name) = last.map(|child| child.spec.name.clone()) {
            self.ask_to_stop(&name, ctx);
            return;
        }
        if let Some(lifeline) = &mut self.lifeline {
            lifeline.end(Exit::Asked);
        }
        for told in self.children.iter_mut().filter_map(|child| child.leaving.take()).flatten() {
            // Whoever asked may have gone meanwhile.
            let _ = told.send(());
        }
        if let Some(told) = self.stopped.take() {
            let _ = told.send(());
        }
        ctx.stop();
    }

    fn begin_to_stop(&mut self, ctx: &mut Context<Self>) {
        if !self.stopping {
            self.stopping = true;
            self.stop_next(ctx);
        }
    }

    fn ended(&mut self, word: ChildEnded, ctx: &mut Context<Self>) {
        let ChildEnded { child: name, life, exit } = word;
        let path = self.path_of(&name);
        let (registry, stopping) = (self.around.registry.clone(), self.stopping);
        let Some(child) = self.find(&name) else {
            return;
        };
        if child.life != life || child.control.is_none() {
            return;
        }
        child.control = None;
        let entry = child.entry;
        if let Some(told) = child.leaving.take() {
            self.children.retain(|child| child.spec.name != name);
            registry.leave(&path, entry);
            for told in told {
                // Whoever asked may have gone meanwhile.
                let _ = told.send(());
            }
            if stopping {
                self.stop_next(ctx);
            }
            return;
        }
        if stopping {
            registry.ended(&path, entry, State::Stopped, exit.to_string());
            self.stop_next(ctx);
            return;
        }
        match child.decide(&exit) {
            Decision::Restart(wait) => {
                warn!(actor = path, %exit, ?wait, "actor fell; it is raised again");
                registry.ended(&path, entry, State::Waiting, exit.to_string());
                ctx.run_later(wait, move |this, ctx| this.raise_if_waiting(&name, life, ctx));
            }
            Decision::Leave => {
                info!(actor = path, %exit, "actor ended");
                registry.ended(&path, entry, State::Stopped, exit.to_string());
            }
            Decision::GiveUp => self.give_up(&name, &exit, ctx),
        }
    }

    fn raise_if_waiting(&mut self, name: &str, life: u64, ctx: &mut Context<Self>) {
        let (path, stopping) = (self.path_of(name), self.stopping);
        let waiting = |c: &&mut Child| c.life == life && c.control.is_none() && c.leaving.is_none();
        if let Some(child) = self.find(name).filter(waiting)
            && !stopping
        {
            child.restarts += 1;
            self.around.metrics.restarts(&path).inc();
            self.raise(name, ctx);
        }
    }

    fn give_up(&mut self, name: &str, exit: &Exit, ctx: &mut Context<Self>) {
        let path = self.path_of(name);
        error!(actor = path, %exit, "actor given up");
        let registry = self.around.registry.clone();
        if let Some(child) = self.find(name) {
            registry.ended(&path, child.entry, State::Failed, exit.to_string());
        }
        let escalates = |child: &mut Child| child.spec.when_given_up == WhenGivenUp::Escalate;
        if self.find(name).is_some_and(escalates) {
            if let Some(lifeline) = &mut self.lifeline {
                lifeline.end(Exit::permanent(format!("{name} {exit}")));
            }
            if let Some(act) = self.given_up.0.take() {
                act();
            }
            self.begin_to_stop(ctx);
        }
    }
}

impl std::fmt::Debug for GivenUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GivenUp")
    }
}

impl Child {
    fn new(spec: ChildSpec) -> Self {
        let entry = Entry::default();
        Self { spec, life: 0, entry, control: None, falls: Vec::new(), restarts: 0, leaving: None }
    }

    fn decide(&mut self, exit: &Exit) -> Decision {
        let policy = &self.spec.policy;
        self.falls.push(clock::elapsed());
        let forgotten = self.falls.len() - policy::recent(policy, &self.falls);
        self.falls.drain(..forgotten);
        policy::decide(policy, &self.falls, exit)
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        for index in 0..self.children.len() {
            let (name, kind) =
                (self.children[index].spec.name.clone(), self.children[index].spec.kind);
            let entry = self.around.registry.enter(&self.path_of(&name), kind);
            self.children[index].entry = entry;
            self.raise(&name, ctx);
        }
    }
}

impl Drop for Supervisor {
    /// A supervisor that falls takes its children along: its successor starts others.
    fn drop(&mut self) {
        for control in self.children.iter().rev().filter_map(|child| child.control.as_ref()) {
            control.do_send(Control::Stop);
        }
    }
}

impl Handler<ChildEnded> for Supervisor {
    type Result = ();

    fn handle(&mut self, word: ChildEnded, ctx: &mut Self::Context) {
        self.ended(word, ctx);
    }
}

impl Handler<Control> for Supervisor {
    type Result = ();

    fn handle(&mut self, control: Control, ctx: &mut Self::Context) {
        match control {
            Control::Stop => self.begin_to_stop(ctx),
            Control::Fall => Control::fall(),
        }
    }
}

impl Handler<AddChild> for Supervisor {
    type Result = ();

    fn handle(&mut self, AddChild(spec): AddChild, ctx: &mut Self::Context) {
        if self.stopping {
            return;
        }
        let name = spec.name.clone();
        assert!(self.find(&name).is_none(), "children of one supervisor have different names");
        let entry = self.around.registry.enter(&self.path_of(&name), spec.kind);
        let place = self.children.partition_point(|child| child.spec.rank <= spec.rank);
        self.children.insert(place, Child { entry, ..Child::new(spec) });
        self.raise(&name, ctx);
    }
}

impl Handler<RemoveChild> for Supervisor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, RemoveChild(name): RemoveChild, ctx: &mut Self::Context) -> Self::Result {
        let (path, registry) = (self.path_of(&name), self.around.registry.clone());
        let (tell, told) = oneshot::channel();
        match self.find(&name) {
            Some(child) if child.control.is_some() => {
                let first = child.leaving.is_none();
                child.leaving.get_or_insert_default().push(tell);
                if first {
                    self.ask_to_stop(&name, ctx);
                }
            }
            Some(child) => {
                registry.leave(&path, child.entry);
                self.children.retain(|child| child.spec.name != name);
                drop(tell);
            }
            None => drop(tell),
        }
        Box::pin(async move { drop(told.await) })
    }
}

impl Handler<StopAll> for Supervisor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: StopAll, ctx: &mut Self::Context) -> Self::Result {
        let (tell, told) = oneshot::channel();
        self.stopped = Some(tell);
        self.begin_to_stop(ctx);
        Box::pin(async move { drop(told.await) })
    }
}
