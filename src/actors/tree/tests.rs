//! The tree under falls: actors that panic, fail and stop, seen through the registry.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use actix::prelude::*;

use crate::actors::tree::Supervisor;
use crate::actors::tree::*;
use crate::telemetry::metrics::Metrics;

const QUICK: Policy = Policy {
    backoff_first: Duration::from_millis(1),
    backoff_max: Duration::from_millis(4),
    falls_max: Some(3),
    within: Duration::from_secs(60),
};

#[derive(Debug)]
enum Order {
    Note(&'static str),
    Panic,
    Fail(Exit),
}

impl Weigh for Order {
    fn events(&self) -> usize {
        1
    }
    fn bytes(&self) -> usize {
        64
    }
}

/// Reads orders from its inbox and writes what it did into a diary shared with the test.
struct Worker {
    name: &'static str,
    inbox: Inbox<Order>,
    diary: Diary,
    lifeline: Lifeline,
}

#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn write(&self, name: &str, line: &str) {
        self.0.lock().unwrap().push(format!("{name} {line}"));
    }
    fn read(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Worker {
    fn rearm(&mut self, ctx: &mut Context<Self>) {
        let inbox = self.inbox.clone();
        let arrived = async move { inbox.arrived().await };
        ctx.spawn(arrived.into_actor(self).map(|(), this, ctx| this.work(ctx)));
    }

    fn work(&mut self, ctx: &mut Context<Self>) {
        while let Some(order) = self.inbox.take() {
            match order.message {
                Order::Note(note) => self.diary.write(self.name, note),
                Order::Panic => panic!("ordered"),
                Order::Fail(exit) => {
                    self.lifeline.end(exit);
                    return ctx.stop();
                }
            }
        }
        self.rearm(ctx);
    }
}

impl Actor for Worker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.diary.write(self.name, "starts");
        self.rearm(ctx);
    }
}

impl Handler<Control> for Worker {
    type Result = ();

    fn handle(&mut self, control: Control, ctx: &mut Self::Context) {
        match control {
            Control::Stop => {
                self.diary.write(self.name, "stops");
                self.lifeline.end(Exit::Asked);
                ctx.stop();
            }
            Control::Fall => Control::fall(),
        }
    }
}

struct Scene {
    around: Surroundings,
    diary: Diary,
}

impl Scene {
    fn new() -> Self {
        let around = Surroundings::alone(Metrics::new("test"));
        Self { around, diary: Diary::default() }
    }

    fn worker(&self, name: &'static str, inbox: &Inbox<Order>) -> ChildSpec {
        let (inbox, diary) = (inbox.clone(), self.diary.clone());
        ChildSpec {
            name: name.to_owned(),
            kind: "worker",
            rank: 0,
            policy: QUICK,
            when_given_up: WhenGivenUp::Leave,
            grace: Duration::from_secs(5),
            start: Box::new(move |lifeline| {
                let (inbox, diary) = (inbox.clone(), diary.clone());
                Worker { name, inbox, diary, lifeline }.start().recipient()
            }),
        }
    }

    fn state(&self, name: &str) -> Option<State> {
        self.around.registry.one(name).map(|status| status.state)
    }
}

fn inbox() -> Inbox<Order> {
    Inbox::new(Limits { events: 1000, bytes: 1 << 20 })
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[actix::test]
async fn a_child_that_panics_is_raised_and_reads_on_while_its_sibling_works() {
    let (scene, left, right) = (Scene::new(), inbox(), inbox());
    let children = vec![scene.worker("left", &left), scene.worker("right", &right)];
    let root = Supervisor::root("", scene.around.clone(), children).start();
    for order in [Order::Note("one"), Order::Panic, Order::Note("two"), Order::Note("three")] {
        left.put(order).await.unwrap();
    }
    right.put(Order::Note("undisturbed")).await.unwrap();
    until("left has read on", || scene.diary.read().contains(&"left three".to_owned())).await;
    until("right works", || scene.diary.read().contains(&"right undisturbed".to_owned())).await;
    let lefts: Vec<_> = scene.diary.read().into_iter().filter(|l| l.starts_with("left")).collect();
    assert_eq!(lefts, ["left starts", "left one", "left starts", "left two", "left three"]);
    let left = scene.around.registry.one("left").unwrap();
    assert_eq!((left.state, left.restarts), (State::Running, 1));
    let exit = left.last_exit.unwrap();
    assert!(exit.starts_with("panicked: ordered (src/actors/tree/tests.rs:"), "{exit}");
    assert_eq!(scene.around.registry.one("right").unwrap().restarts, 0);
    assert!(scene.around.metrics.print().contains("actor_restarts_total{actor=\"left\"} 1"));
    root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn too_many_falls_leave_a_child_failed_with_its_reason() {
    let (scene, inbox) = (Scene::new(), inbox());
    let root =
        Supervisor::root("", scene.around.clone(), vec![scene.worker("left", &inbox)]).start();
    for _ in 0..4 {
        inbox.put(Order::Fail(Exit::transient("no luck"))).await.unwrap();
    }
    inbox.put(Order::Note("never read")).await.unwrap();
    until("left is given up", || scene.state("left") == Some(State::Failed)).await;
    let status = scene.around.registry.one("left").unwrap();
    assert_eq!((status.restarts, status.last_exit.as_deref()), (3, Some("failed: no luck")));
    assert_eq!(inbox.messages(), 1);
    root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn a_permanent_failure_escalates_to_the_group_but_not_beyond() {
    let (scene, good, bad, aside) = (Scene::new(), inbox(), inbox(), inbox());
    let mut children =
        Some(vec![scene.worker("good", &good), scene.worker("bad", &bad)]).map(|mut children| {
            children[1].when_given_up = WhenGivenUp::Escalate;
            children
        });
    let around = scene.around.clone();
    let group = ChildSpec {
        name: "group".to_owned(),
        kind: "group",
        rank: 0,
        policy: QUICK,
        when_given_up: WhenGivenUp::Leave,
        grace: Duration::from_secs(5),
        start: Box::new(move |lifeline| {
            let children = children.take().expect("it is started once");
            Supervisor::below("group", around.clone(), children, lifeline).start().recipient()
        }),
    };
    let children = vec![group, scene.worker("aside", &aside)];
    let root = Supervisor::root("", scene.around.clone(), children).start();
    bad.put(Order::Fail(Exit::permanent("wrong password"))).await.unwrap();
    until("the group fails", || scene.state("group") == Some(State::Failed)).await;
    assert_eq!(
        scene.around.registry.one("group").unwrap().last_exit.as_deref(),
        Some("failed: bad failed: wrong password")
    );
    assert_eq!(scene.state("group/good"), Some(State::Stopped));
    assert_eq!(scene.state("group/bad"), Some(State::Failed));
    assert_eq!(scene.state("aside"), Some(State::Running));
    root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn children_start_in_order_and_stop_in_reverse() {
    let scene = Scene::new();
    let children = ["a", "b", "c"].map(|name| scene.worker(name, &inbox()));
    let root = Supervisor::root("", scene.around.clone(), children.into()).start();
    until("all run", || scene.diary.read().len() == 3).await;
    root.send(StopAll).await.unwrap();
    let expected = ["a starts", "b starts", "c starts", "c stops", "b stops", "a stops"];
    assert_eq!(scene.diary.read(), expected);
    assert_eq!(scene.state("b"), Some(State::Stopped));
}

#[actix::test]
async fn children_come_and_go_and_faults_can_be_injected() {
    let scene = Scene::new();
    let root = Supervisor::root("", scene.around.clone(), vec![]).start();
    root.send(AddChild(scene.worker("late", &inbox()))).await.unwrap();
    assert!(scene.around.registry.send("late", Control::Fall));
    until("late is raised", || scene.around.registry.one("late").unwrap().restarts == 1).await;
    root.send(RemoveChild("late".to_owned())).await.unwrap();
    assert_eq!(scene.around.registry.one("late"), None);
    assert!(!scene.around.registry.send("late", Control::Fall));
    assert_eq!(scene.diary.read().last().unwrap(), "late stops");
    root.send(AddChild(scene.worker("late", &inbox()))).await.unwrap();
    assert_eq!(scene.state("late"), Some(State::Running));
    root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn the_grace_of_a_child_that_left_is_not_that_of_its_successor() {
    let scene = Scene::new();
    let root = Supervisor::root("", scene.around.clone(), Vec::new()).start();
    let grace = Duration::from_millis(20);
    for _ in 0..2 {
        let mut spec = scene.worker("one", &inbox());
        spec.grace = grace;
        root.send(AddChild(spec)).await.unwrap();
        root.send(RemoveChild("one".to_owned())).await.unwrap();
    }
    root.send(AddChild(scene.worker("one", &inbox()))).await.unwrap();
    actix::clock::sleep(3 * grace).await;
    assert_eq!(scene.state("one"), Some(State::Running));
    root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn a_child_that_does_not_stop_is_not_waited_for_beyond_its_grace() {
    struct Stubborn;
    impl Actor for Stubborn {
        type Context = Context<Self>;
    }
    impl Handler<Control> for Stubborn {
        type Result = ();
        fn handle(&mut self, _: Control, _: &mut Self::Context) {}
    }
    let scene = Scene::new();
    let mut spec = scene.worker("stubborn", &inbox());
    spec.grace = Duration::from_millis(5);
    spec.start = Box::new(|lifeline| {
        // It lives as long as the process and never says a word.
        std::mem::forget(lifeline);
        Stubborn.start().recipient()
    });
    let root = Supervisor::root("", scene.around.clone(), vec![spec]).start();
    root.send(StopAll).await.unwrap();
    let status = scene.around.registry.one("stubborn").unwrap();
    assert_eq!(status.last_exit.as_deref(), Some("failed: did not stop in time"));
}
