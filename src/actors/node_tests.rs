//! A whole node in one process: files in a folder, events in, results out, actors that fall.

use std::fs;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::actors::handle::Handle;
use crate::actors::handle::PlanState;
use crate::actors::node;
use crate::actors::plan::Station;
use crate::actors::tree::Control;
use crate::actors::tree::State;
use crate::config::Config;
use crate::event::Batch;
use crate::event::Value;

const DOUBLE: &str = "define stream In (n long);\nfrom In select n * 2 as n insert into Out;";
const TRIPLE: &str = "define stream In (n long);\nfrom In select n * 3 as n insert into Out;";

struct Node {
    folder: tempfile::TempDir,
    handle: Handle,
}

impl Node {
    /// A node on a folder with these files.
    async fn start(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.node.data = folder.path().join("data");
        config.plans.folder = folder.path().join("plans");
        config.plans.settle = Duration::from_millis(30);
        fs::create_dir_all(&config.plans.folder).unwrap();
        for (name, text) in files {
            fs::write(config.plans.folder.join(name), text).unwrap();
        }
        let handle = node::start(config).unwrap();
        let node = Self { folder, handle };
        node.until("it is ready", |handle| handle.is_ready()).await;
        node
    }

    fn write(&self, name: &str, text: &str) {
        // As careful writers do: a temporary name, then a rename.
        let plans = self.folder.path().join("plans");
        fs::write(plans.join(".new"), text).unwrap();
        fs::rename(plans.join(".new"), plans.join(name)).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.folder.path().join("plans").join(name)).unwrap();
    }

    async fn until(&self, what: &str, holds: impl Fn(&Handle) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !holds(&self.handle) {
            let plans = self.handle.plans();
            assert!(Instant::now() < deadline, "never came true: {what}; plans: {plans:#?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn until_version(&self, plan: &str, number: u64) {
        let runs = |handle: &Handle| {
            handle.plan(plan).is_some_and(|station| station.version().number == number)
        };
        self.until(&format!("version {number} of {plan} runs"), runs).await;
    }

    fn show(&self) -> Vec<String> {
        let views = self.handle.plans().into_iter();
        views
            .map(|view| {
                let version = view.version.map_or(0, |version| version.number);
                let refused = view.refused.map_or(String::new(), |r| format!(", not {}", r.file));
                let state = match view.state {
                    PlanState::Running => "runs".to_owned(),
                    PlanState::Failed(reason) => format!("failed: {reason}"),
                    PlanState::Refused => "refused".to_owned(),
                };
                format!("{} {state} v{version} from {}{refused}", view.name, view.file)
            })
            .collect()
    }

    async fn send(&self, plan: &str, values: &[i64]) {
        let station = self.handle.plan(plan).unwrap();
        let version = station.version();
        let (id, front) = version.stream("In").unwrap();
        let mut batch = Batch::new(&front.schema.types());
        values.iter().for_each(|n| batch.push_row(0, &[Value::Long(*n)]));
        station.put_and_ask(&version, id, batch).await.unwrap().await.unwrap().unwrap();
    }

    fn out(&self, plan: &str) -> Vec<i64> {
        seen(&self.handle.plan(plan).unwrap(), "Out")
    }
}

fn seen(station: &Arc<Station>, stream: &str) -> Vec<i64> {
    let version = station.version();
    let events = version.stream(stream).unwrap().1.tail.newest(1000);
    let rows = events
        .pieces
        .iter()
        .flat_map(|piece| piece.rows.clone().map(|row| piece.batch.row(row)[0].as_long().unwrap()));
    rows.collect()
}

#[actix::test]
async fn plans_follow_their_files() {
    let node = Node::start(&[("a.siddhi", DOUBLE)]).await;
    assert_eq!(node.show(), ["a runs v1 from a.siddhi"]);
    node.send("a", &[1, 2]).await;
    assert_eq!(node.out("a"), [2, 4]);

    let began = Instant::now();
    node.write("a.siddhi", TRIPLE);
    node.until_version("a", 2).await;
    assert!(began.elapsed() < Duration::from_secs(1), "within a second");
    node.send("a", &[1]).await;
    assert_eq!(node.out("a"), [2, 4, 3], "the tail goes on across versions");

    node.write("b.siddhiql", DOUBLE);
    node.until_version("b", 1).await;
    node.write("b.siddhiql", "define stream In (n long);\nfrom In select m insert into Out;");
    let refused = |handle: &Handle| handle.plans().iter().any(|plan| plan.refused.is_some());
    node.until("it is refused", refused).await;
    assert_eq!(
        node.show(),
        ["a runs v2 from a.siddhi", "b runs v1 from b.siddhiql, not b.siddhiql"]
    );
    node.send("b", &[5]).await;
    assert_eq!(node.out("b"), [10], "the version before keeps running");
    node.write("b.siddhiql", TRIPLE);
    node.until_version("b", 2).await;
    assert_eq!(node.show(), ["a runs v2 from a.siddhi", "b runs v2 from b.siddhiql"]);

    node.remove("a.siddhi");
    node.until("a is gone", |handle| handle.plan("a").is_none()).await;
    assert_eq!(node.show(), ["b runs v2 from b.siddhiql"]);
    node.handle.stop().await;
}

#[actix::test]
async fn names_inside_decide() {
    let named = |name: &str| format!("@app:name('{name}')\n{DOUBLE}");
    let node = Node::start(&[("x.siddhi", &named("N")), ("y.siddhi", &named("N"))]).await;
    assert_eq!(node.show(), ["N runs v1 from x.siddhi, not y.siddhi"]);
    let reason = node.handle.plans()[0].refused.clone().unwrap().reason;
    assert_eq!(reason, "the plan `N` is already defined in `x.siddhi`; rename one of them");
    node.send("N", &[1]).await;

    node.remove("y.siddhi");
    node.until("y is forgotten", |h| h.plans().iter().all(|plan| plan.refused.is_none())).await;
    let plans = node.folder.path().join("plans");
    fs::rename(plans.join("x.siddhi"), plans.join("z.siddhi")).unwrap();
    node.until("it has moved", |handle| handle.plans()[0].file == "z.siddhi").await;
    assert_eq!(node.show(), ["N runs v1 from z.siddhi"], "a rename changes nothing else");
    assert_eq!(node.out("N"), [2]);

    node.write("z.siddhi", &named("M"));
    node.until("M runs", |handle| handle.plan("M").is_some()).await;
    node.until("N is gone", |handle| handle.plan("N").is_none()).await;
    assert_eq!(node.show(), ["M runs v1 from z.siddhi"]);
    node.handle.stop().await;
}

#[actix::test]
async fn a_bad_file_hurts_nobody_else() {
    let deep = format!(
        "define stream In (n long);\nfrom In[{}n > 1] select n insert into Out;",
        "(".repeat(10_000)
    );
    let files = [
        ("bad.siddhi", "define stream ("),
        ("deep.siddhi", &deep),
        ("empty.siddhi", ""),
        ("good.siddhi", DOUBLE),
    ];
    let node = Node::start(&files).await;
    assert_eq!(
        node.show(),
        [
            "bad refused v0 from bad.siddhi, not bad.siddhi",
            "deep refused v0 from deep.siddhi, not deep.siddhi",
            "empty refused v0 from empty.siddhi, not empty.siddhi",
            "good runs v1 from good.siddhi",
        ]
    );
    node.send("good", &[4]).await;
    assert_eq!(node.out("good"), [8]);
    node.handle.stop().await;
}

#[actix::test]
async fn whoever_falls_the_others_go_on_and_nothing_accepted_is_lost() {
    let node = Node::start(&[("a.siddhi", DOUBLE), ("b.siddhi", DOUBLE)]).await;
    let mut expected = Vec::new();
    for (round, actor) in
        ["plans/a/core", "deployer", "plans/a", "plans", "plans/a/core"].iter().enumerate()
    {
        let number = i64::try_from(round).unwrap();
        node.send("a", &[number]).await;
        node.send("b", &[number]).await;
        let restarts = |handle: &Handle| {
            let status = handle.registry().one(actor);
            status.filter(|status| status.state == State::Running).map(|status| status.restarts)
        };
        let before = restarts(&node.handle).unwrap();
        assert!(node.handle.registry().send(actor, Control::Fall), "{actor} is at work");
        node.send("a", &[100 + number]).await;
        node.send("b", &[100 + number]).await;
        let raised = |handle: &Handle| restarts(handle).is_some_and(|now| now > before);
        node.until(&format!("{actor} is raised"), raised).await;
        expected.extend([number * 2, 200 + number * 2]);
    }
    assert_eq!((node.out("a"), node.out("b")), (expected.clone(), expected));
    // The tree is whole: files are still followed.
    node.write("a.siddhi", TRIPLE);
    node.until_version("a", 2).await;
    node.handle.stop().await;
    let left = node.handle.actors().into_iter().filter(|actor| actor.state == State::Running);
    assert_eq!(left.map(|actor| actor.name).collect::<Vec<_>>(), [] as [String; 0]);
}

/// A plan that reads numbers from a file and writes them, changed, to another.
fn copier(node: &Node, change: &str, out: &str) -> String {
    let path = |name: &str| node.folder.path().join(name).display().to_string();
    format!(
        "@source(type='file', file.uri='{}', start.position='beginning', @map(type='csv'))\n\
         define stream In (n long);\n\
         @sink(type='file', file.uri='{}', @map(type='csv'))\n\
         define stream Out (n long);\n\
         from In select {change} as n insert into Out;",
        path("in.csv"),
        path(out),
    )
}

impl Node {
    fn append(&self, numbers: std::ops::Range<i64>) {
        use std::io::Write as _;
        let file = self.folder.path().join("in.csv");
        let mut file = fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
        let lines: String = numbers.map(|n| format!("{n}\n")).collect();
        file.write_all(lines.as_bytes()).unwrap();
    }

    async fn until_written(&self, file: &str, expected: &[i64]) {
        let file = self.folder.path().join(file);
        let read = || -> Vec<i64> {
            let text = fs::read_to_string(&file).unwrap_or_default();
            text.lines().map(|line| line.trim().parse().unwrap()).collect()
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while read().len() < expected.len() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let found = read();
        assert_eq!(found, expected, "{} of {}", found.len(), expected.len());
    }

    async fn let_fall(&self, actor: &str) {
        let restarts = |handle: &Handle| handle.registry().one(actor).map(|status| status.restarts);
        // A plan shows its new version a moment before all of its actors are there.
        let is_at_work = |handle: &Handle| {
            handle.registry().one(actor).is_some_and(|status| status.state == State::Running)
        };
        self.until(&format!("{actor} is at work"), is_at_work).await;
        let before = restarts(&self.handle);
        assert!(self.handle.registry().send(actor, Control::Fall), "{actor} is at work");
        let raised = |handle: &Handle| {
            let status = handle.registry().one(actor);
            restarts(handle) > before && status.is_some_and(|s| s.state == State::Running)
        };
        self.until(&format!("{actor} is raised"), raised).await;
    }
}

#[actix::test]
async fn receivers_and_publishers_fall_and_nothing_is_lost_or_doubled() {
    let node = Node::start(&[]).await;
    node.write("copy.siddhi", &copier(&node, "n", "out.csv"));
    node.until_version("copy", 1).await;
    let mut next = 0;
    let actors = ["receiver:In:1", "core", "publisher:Out:1", "receiver:In:1", "publisher:Out:1"];
    for actor in actors {
        node.append(next..next + 200);
        node.let_fall(&format!("plans/copy/{actor}")).await;
        node.append(next + 200..next + 400);
        next += 400;
    }
    node.until_written("out.csv", &(0..next).collect::<Vec<_>>()).await;
    let left = node.handle.metrics().print();
    assert!(!left.lines().any(|line| line.contains("dead_letters") && line.ends_with(" 1")));
    node.handle.stop().await;
}

#[actix::test]
async fn a_new_version_keeps_the_ways_in_and_out_that_did_not_change() {
    let node = Node::start(&[]).await;
    node.append(0..100);
    node.write("copy.siddhi", &copier(&node, "n", "out.csv"));
    node.until_version("copy", 1).await;
    node.until_written("out.csv", &(0..100).collect::<Vec<_>>()).await;
    let since = |actor: &str| {
        node.handle.registry().one(&format!("plans/copy/{actor}")).map(|status| status.since_ms)
    };
    let (receiver, publisher) = (since("receiver:In:1"), since("publisher:Out:1"));

    node.write("copy.siddhi", &copier(&node, "n + 1000", "out.csv"));
    node.until_version("copy", 2).await;
    node.append(100..200);
    let expected: Vec<_> = (0..100).chain(1100..1200).collect();
    node.until_written("out.csv", &expected).await;
    assert_eq!((since("receiver:In:1"), since("publisher:Out:1")), (receiver, publisher));
    let told = |handle: &Handle| {
        let status = handle.registry().one("plans/copy/receiver:In:1").unwrap();
        // A hundred lines of two figures less ten, and a hundred of three.
        status.detail.ends_with("in.csv` at byte 690")
    };
    node.until("the receiver says where it is", told).await;

    node.write("copy.siddhi", &copier(&node, "n + 2000", "other.csv"));
    node.until_version("copy", 3).await;
    node.append(200..300);
    node.until_written("other.csv", &(2200..2300).collect::<Vec<_>>()).await;
    node.until_written("out.csv", &expected).await;
    assert_eq!(since("receiver:In:1"), receiver);
    node.handle.stop().await;
}

#[actix::test]
async fn what_was_taken_is_published_before_the_node_ends() {
    let node = Node::start(&[]).await;
    node.append(0..5000);
    node.write("copy.siddhi", &copier(&node, "n", "out.csv"));
    node.until_version("copy", 1).await;
    let taken = |handle: &Handle| {
        let version = handle.plan("copy").unwrap().version();
        version.stream("In").unwrap().1.taken.get() > 0
    };
    node.until("some are taken", taken).await;
    node.handle.stop().await;
    let taken = node.handle.plan("copy").unwrap().version().stream("In").unwrap().1.taken.get();
    let taken = i64::try_from(taken).unwrap();
    node.until_written("out.csv", &(0..taken).collect::<Vec<_>>()).await;
}
