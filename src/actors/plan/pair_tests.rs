//! A plan on a node of a pair: it gets a new version while it follows, takes over, or is given a
//! snapshot, and it goes on in another history.

use std::fs;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::actors::gate::Gate;
use crate::actors::gate::Part;
use crate::actors::gate::RoleNow;
use crate::actors::plan::testing::Scene;
use crate::actors::plan::testing::TEXT;
use crate::actors::plan::testing::rows;
use crate::actors::plan::*;
use crate::actors::tree::Inbox;
use crate::actors::tree::Limits;
use crate::event::codec::Encode as _;
use crate::ha::protocol::Plan;
use crate::replica::Body;
use crate::replica::Builder;
use crate::replica::EngineBuilder;
use crate::replica::LogEntry;

/// A version without ways out.
const BEFORE: &str = "define stream In (n long);\nfrom In select n insert into Mid;";

/// The way out of the second version.
const PUBLISHER: &str = "publisher:Out:1";

/// A plan on a node of a pair.
struct Node {
    scene: Scene,
    /// The versions as their entries have them.
    versions: [Arc<Version>; 2],
    station: Arc<Station>,
    mirrored: Arc<Mirrored>,
    folder: tempfile::TempDir,
}

impl Node {
    /// One that follows in generation 1, and where this version is the first to be deployed.
    fn that_has(first: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::open(folder.path(), "adder").unwrap();
        let (plan, gate) = (Plan(1), Arc::new(Gate::closed()));
        let mirrored =
            Arc::new(Mirrored::new(plan, 0, kept.confirmed.clone(), gate, Arc::default()));
        kept.ledger.mirror(Arc::clone(&mirrored));
        let mut scene = Scene::new();
        let confirmed = Confirmed::in_file(PUBLISHER, kept.confirmed.as_ref().unwrap());
        let unpublished = scene.metrics.dead_letters("adder", "publisher");
        let end =
            PublisherEnd::new(PUBLISHER.to_owned(), scene.out.clone(), unpublished, confirmed);
        scene.end = Some(Arc::new(end));
        let engine = |plan| -> Arc<dyn Builder> { Arc::new(EngineBuilder { plan, secret: 7 }) };
        let versions = [BEFORE, TEXT].map(|text| Arc::new(scene.version(text, engine)));
        let inbox = Inbox::new(Limits { events: 1000, bytes: 1 << 20 });
        let version = Arc::clone(&versions[first - 1]);
        let station = Station::new(version, inbox, kept, &scene.metrics).unwrap();
        let node = Self { scene, versions, station: Arc::new(station), mirrored, folder };
        node.play(Part::Passive, "1");
        node
    }

    fn play(&self, part: Part, generation: &str) {
        let role = RoleNow { part, epoch: 1, generation: generation.into(), unsure: true };
        self.mirrored.gate.set_role(role);
    }

    /// It orders from now on, and the history goes on.
    fn take_over(&self) {
        self.take_over_in("1");
    }

    fn take_over_in(&self, generation: &str) {
        self.play(Part::Active, generation);
        self.mirrored.append_in(Some(2));
        self.mirrored.gate.open_until(u64::MAX);
        assert!(self.station.desk().orders());
    }

    fn deploy(&self, number: usize) -> Body {
        Body::Deploy(self.versions[number - 1].deployment())
    }

    /// The other node ordered these, and they are committed.
    fn hears(&self, bodies: impl IntoIterator<Item = Body>) {
        let bytes = bodies.into_iter().map(|body| {
            let mut bytes = Vec::new();
            LogEntry::new(1, body).encode(&mut bytes);
            bytes
        });
        let bytes: Vec<_> = bytes.collect();
        let desk = self.station.desk();
        let entries = bytes.iter().map(|bytes| (1, bytes.as_slice()));
        hold(desk.ledger().journal()).as_mut().unwrap().append_foreign(entries).unwrap();
        drop(desk);
        self.mirrored.commit(self.last());
    }

    /// The deployer brings the second version.
    fn bring(&self) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        let switch = Switch { version: Arc::clone(&self.versions[1]), told: tell };
        self.station.inbox.try_put(Work::Switch(switch)).unwrap();
        told
    }

    /// An event comes from outside.
    fn gets(&self, number: i64) {
        let version = self.station.version();
        let (stream, _) = version.stream("In").unwrap();
        let brought = Brought { batch: rows(&[number]), letters: vec![], mark: None, copied: None };
        self.station.put_now(&version, stream, brought, None).unwrap();
    }

    /// Works until nothing is left to be done; what is ordered is committed at once.
    fn work(&self) {
        let mut desk = self.station.desk();
        loop {
            assert!(desk.deliver());
            if desk.apply_next().unwrap() {
                continue;
            }
            let goes_on = match desk.orders() {
                true => self.station.inbox.take().map(|work| desk.take(work)).is_some(),
                false => desk.follow(&self.station.inbox),
            };
            desk.flush().unwrap();
            let last = hold(desk.ledger().journal()).as_ref().unwrap().last();
            self.mirrored.commit(last);
            if !goes_on && !desk.can_apply() {
                return;
            }
        }
    }

    /// The last entry of its log.
    fn last(&self) -> u64 {
        hold(self.station.desk().ledger().journal()).as_ref().unwrap().last()
    }

    /// The version by which it works.
    fn number(&self) -> u64 {
        self.station.desk().version().number
    }

    /// The other node's snapshot takes the place of state and log.
    fn gets_snapshot_of(&self, other: &Self) {
        let taken = other.station.take_snapshot().unwrap();
        let place = |node: &Self| node.folder.path().join("snapshots/default/adder");
        fs::create_dir_all(place(self)).unwrap();
        fs::copy(place(other).join(&taken.name), place(self).join(&taken.name)).unwrap();
        let desk = self.station.desk();
        let journal = desk.ledger().journal();
        hold(journal).as_mut().unwrap().restart_after(taken.position, 1).unwrap();
        drop(desk);
        self.mirrored.install(taken.position);
    }
}

fn event(number: i64) -> Body {
    let (sending, mark, copied, batch) = (None, None, None, rows(&[number]));
    Body::Rows { stream: "In".into(), sending, mark, copied, batch }
}

/// The other node went to the second version, and has given out a result of it.
fn other() -> Node {
    let node = Node::that_has(2);
    node.hears([node.deploy(1), node.deploy(2), event(5)]);
    node.work();
    assert_eq!((node.station.position(), node.number()), (3, 2));
    node
}

#[test]
fn a_version_that_is_brought_after_its_entry_goes_on_with_it() {
    let node = Node::that_has(1);
    node.hears([node.deploy(1), event(1), node.deploy(2), event(5)]);
    node.work();
    assert_eq!((node.station.position(), node.number()), (2, 1), "its ways out are not there");
    let mut told = node.bring();
    node.work();
    assert_eq!(told.try_recv(), Ok(()));
    assert_eq!((node.station.position(), node.number(), node.scene.published()), (4, 2, vec![5]));
}

#[test]
fn a_node_that_takes_over_before_the_version_is_brought_goes_on_with_its_entry() {
    let node = Node::that_has(1);
    node.hears([node.deploy(1), node.deploy(2), event(5)]);
    node.work();
    node.take_over();
    node.work();
    assert_eq!(node.station.position(), 1);
    let mut told = node.bring();
    node.work();
    assert_eq!(told.try_recv(), Ok(()));
    assert_eq!((node.station.position(), node.number(), node.scene.published()), (3, 2, vec![5]));
    assert_eq!(node.last(), 3, "it is not ordered a second time");
}

#[test]
fn a_version_whose_entry_was_not_seen_when_it_was_ordered_again_takes_over_with_the_first() {
    for is_brought_before in [true, false] {
        let node = Node::that_has(1);
        node.hears([node.deploy(1)]);
        node.work();
        let mut told = node.bring();
        if is_brought_before {
            node.work();
        }
        node.hears([node.deploy(2), event(5)]);
        node.take_over();
        if let Some(work) = node.station.inbox.take() {
            node.station.desk().take(work);
        }
        node.work();
        assert_eq!(told.try_recv(), Ok(()));
        assert_eq!((node.number(), node.scene.published()), (2, vec![5]));
        assert_eq!((node.station.position(), node.last()), (4, 4));
    }
}

#[test]
fn a_version_that_a_snapshot_passed_over_is_used_as_soon_as_it_is_brought() {
    let (node, other) = (Node::that_has(1), other());
    node.hears([node.deploy(1)]);
    node.work();
    node.gets_snapshot_of(&other);
    node.work();
    node.hears([event(6)]);
    node.work();
    assert_eq!((node.station.position(), node.number()), (3, 1), "its ways out are not there");
    // Its own snapshots hold the results that wait for them.
    let third = Node::that_has(2);
    third.gets_snapshot_of(&node);
    third.work();
    assert_eq!(third.scene.published(), [5]);
    let mut told = node.bring();
    node.work();
    assert_eq!(told.try_recv(), Ok(()));
    let published = node.scene.published();
    assert_eq!((node.station.position(), node.number(), published), (4, 2, vec![5, 6]));
}

#[test]
fn a_node_that_takes_over_with_such_a_snapshot_uses_the_version_once_it_is_brought() {
    let (node, other) = (Node::that_has(1), other());
    node.hears([node.deploy(1)]);
    node.work();
    node.gets_snapshot_of(&other);
    node.work();
    node.take_over();
    node.work();
    let mut told = node.bring();
    node.work();
    assert_eq!(told.try_recv(), Ok(()));
    assert_eq!((node.number(), node.last(), node.scene.published()), (2, 3, vec![5]));
}

#[test]
fn a_version_that_was_brought_before_the_snapshot_is_used_with_it() {
    let (node, other) = (Node::that_has(1), other());
    node.hears([node.deploy(1)]);
    node.work();
    let mut told = node.bring();
    node.work();
    assert!(told.try_recv().is_err(), "its entry has not come");
    node.gets_snapshot_of(&other);
    node.work();
    assert_eq!(told.try_recv(), Ok(()));
    assert_eq!((node.station.position(), node.number(), node.scene.published()), (3, 2, vec![5]));
}

#[test]
fn an_entry_that_waited_for_its_version_is_not_applied_after_a_snapshot_that_has_it() {
    for is_state_alone in [false, true] {
        let (node, other) = (Node::that_has(1), other());
        node.hears([node.deploy(1), node.deploy(2), event(5)]);
        node.work();
        assert_eq!(node.station.position(), 1);
        node.gets_snapshot_of(&other);
        if is_state_alone {
            drop(node.mirrored.news());
            node.mirrored.reload(3);
        }
        let mut told = node.bring();
        node.work();
        assert_eq!(told.try_recv(), Ok(()));
        assert_eq!((node.station.position(), node.last()), (3, 3));
        assert_eq!(node.scene.published(), [5], "its results go out once");
    }
}

#[test]
fn what_left_elsewhere_leaves_no_second_time_as_long_as_the_history_goes_on() {
    let node = Node::that_has(2);
    node.hears([node.deploy(2), event(1)]);
    node.work();
    assert_eq!(node.scene.published(), [1], "it waits for its publisher here");
    node.mirrored.results_left_elsewhere("1", PUBLISHER, 2);
    node.hears([event(2), event(3)]);
    node.take_over();
    node.gets(4);
    node.work();
    assert_eq!(node.scene.published(), [3, 4]);
}

#[test]
fn in_a_history_that_begins_what_left_in_the_one_before_stops_no_result() {
    for is_ordered_before in [false, true] {
        let node = Node::that_has(2);
        node.hears([node.deploy(2), event(1)]);
        // The other node has come further, and nobody will ever know by what.
        node.mirrored.results_left_elsewhere("1", PUBLISHER, 5);
        node.work();
        node.hears([event(2)]);
        node.take_over_in("2");
        node.gets(3);
        if is_ordered_before {
            let mut desk = node.station.desk();
            desk.take(node.station.inbox.take().unwrap());
            desk.flush().unwrap();
            drop(desk);
            node.mirrored.commit(node.last());
        }
        node.gets(4);
        node.work();
        assert_eq!(node.scene.published(), [3, 4], "what both have was left out");
        assert!(node.mirrored.are_results_of("2"));
        assert_eq!(node.mirrored.confirmed_results(), [(PUBLISHER.to_owned(), 2)]);
        assert!(node.mirrored.take_left(), "the other node is told so");
    }
}

#[test]
fn a_history_begins_also_where_nothing_comes() {
    let node = Node::that_has(2);
    node.hears([node.deploy(2), event(1), event(2)]);
    node.mirrored.results_left_elsewhere("1", PUBLISHER, 5);
    node.take_over_in("2");
    assert!(!node.mirrored.are_results_of("2"), "it has to come to the end of what it has");
    node.work();
    assert!(node.mirrored.are_results_of("2"));
    assert_eq!(node.mirrored.confirmed_results(), [(PUBLISHER.to_owned(), 2)]);
    // So does one while this node acts, when the rest of another plan was given up.
    node.play(Part::Active, "3");
    node.work();
    assert!(node.mirrored.are_results_of("3"));
}

#[test]
fn who_follows_another_history_keeps_its_results_until_it_hears_that_they_have_left() {
    let node = Node::that_has(2);
    node.mirrored.results_left_elsewhere("1", PUBLISHER, 9);
    node.hears([node.deploy(2)]);
    node.mirrored.results_left_elsewhere("2", PUBLISHER, 1);
    node.hears([event(1), event(2)]);
    node.work();
    node.take_over_in("2");
    node.work();
    assert_eq!(node.scene.published(), [2]);
}
