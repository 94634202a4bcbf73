//! What comes on both nodes counts once, in the order of its first coming, however it is cut and
//! whenever the state is saved.

use proptest::prelude::*;

use crate::event::Batch;
use crate::event::DataType;
use crate::event::Millis;
use crate::event::Text;
use crate::event::Value;
use crate::replica::Body;
use crate::replica::Copied;
use crate::replica::Copies;
use crate::replica::memory::ROWS_MAX;

const WINDOW: Millis = 1_000;

/// An event: its id, if it has one, and what it says.
type Event = (Option<i64>, i64);

fn batch(events: &[Event]) -> Batch {
    let mut batch = Batch::new(&[DataType::Text, DataType::Long]);
    for (id, says) in events {
        // Longer than what a text holds inline.
        let id = id.map_or(Value::Null, |id| Value::from(format!("event number {id:9}").as_str()));
        batch.push_row(*says, &[id, Value::Long(*says)]);
    }
    batch
}

/// Two nodes that bring events of one receiver.
struct Scene {
    copies: Copies,
    id: Option<u32>,
    now: Millis,
    has_passed: bool,
    left_out: u64,
}

impl Scene {
    fn new(id: Option<u32>) -> Self {
        Self { copies: Copies::default(), id, now: 0, has_passed: false, left_out: 0 }
    }

    fn body(&mut self, node: &str, batch: Batch) -> Body {
        let copied = Copied {
            receiver: "receiver:In:1".into(),
            node: node.into(),
            id: self.id,
            window: WINDOW,
            after: None,
            has_passed: std::mem::take(&mut self.has_passed),
        };
        let (stream, copied) = (Text::from("In"), Some(Box::new(copied)));
        Body::Rows { stream, sending: None, mark: None, copied, batch }
    }

    /// Brings events; gives what those say that count.
    fn bring(&mut self, node: &str, events: &[Event]) -> Vec<i64> {
        let mut body = self.body(node, batch(events));
        self.copies.sift(self.now, &mut body);
        self.left_out += self.copies.take_left_out().values().sum::<u64>();
        match body {
            Body::Rows { batch, copied: None, .. } => {
                (0..batch.len()).map(|row| batch.row(row)[1].as_long().unwrap()).collect()
            }
            Body::Tick => Vec::new(),
            other => panic!("{other:?}"),
        }
    }

    /// Brings events without ids.
    fn say(&mut self, node: &str, events: &[i64]) -> Vec<i64> {
        let events: Vec<Event> = events.iter().map(|says| (None, *says)).collect();
        self.bring(node, &events)
    }

    fn move_on(&mut self) {
        let bytes = self.copies.freeze().to_bytes();
        self.copies = Copies::load(&bytes).unwrap();
        assert_eq!(self.copies.freeze().to_bytes(), bytes);
    }

    fn is_passed(&self, node: &str) -> bool {
        self.copies.is_passed("receiver:In:1", node)
    }
}

#[test]
fn an_event_with_a_known_id_is_a_copy_whichever_node_brings_it() {
    let mut scene = Scene::new(Some(0));
    assert_eq!(scene.bring("a", &[(Some(1), 10), (Some(2), 20), (Some(1), 11)]), [10, 20]);
    assert_eq!(scene.bring("b", &[(Some(1), 12), (Some(3), 30)]), [30]);
    scene.move_on();
    assert_eq!(scene.bring("a", &[(Some(3), 31), (Some(2), 21), (Some(4), 40)]), [40]);
    assert_eq!(scene.bring("b", &[(Some(2), 22)]), [] as [i64; 0], "known for as long as it is");
    assert_eq!(scene.left_out, 5);
}

#[test]
fn without_an_id_events_of_two_nodes_are_matched_one_to_one() {
    let mut scene = Scene::new(None);
    assert_eq!(scene.say("a", &[7, 7, 8]), [7, 7, 8], "a node may bring equal events");
    scene.move_on();
    assert_eq!(scene.say("b", &[7]), [] as [i64; 0]);
    assert_eq!(scene.say("b", &[7, 7, 8, 9]), [7, 9], "the third of one kind is a new one");
    assert_eq!(scene.say("a", &[9, 7, 7]), [7], "the copies of those, and another");
    assert_eq!(scene.left_out, 5);
    assert_eq!(scene.say("a", &[i64::MAX]), [i64::MAX]);
}

#[test]
fn an_event_whose_id_is_null_is_known_by_all_of_it() {
    let mut scene = Scene::new(Some(0));
    assert_eq!(scene.bring("a", &[(None, 1), (Some(5), 2), (None, 1)]), [1, 2, 1]);
    assert_eq!(scene.bring("b", &[(None, 1), (Some(5), 3), (None, 4)]), [4]);
    scene.move_on();
    assert_eq!(scene.bring("b", &[(None, 1), (None, 1)]), [1]);
    // A node without a peer: only an id tells.
    assert_eq!(scene.bring("", &[(None, 1), (Some(6), 6), (None, 1), (Some(6), 7)]), [1, 6, 1]);
}

#[test]
fn what_is_left_of_a_send_stays_one() {
    let mut scene = Scene::new(None);
    scene.say("a", &[2, 3, 5]);
    // Two sends: 1 2 3 4, and 5 6.
    let mut events = batch(&[1, 2, 3, 4, 5, 6].map(|says| (None, says)));
    [0, 1, 2, 4].into_iter().for_each(|row| events.send_continues.set(row));
    let mut body = scene.body("b", events);
    scene.copies.sift(0, &mut body);
    let Body::Rows { batch, .. } = body else { panic!("{body:?}") };
    assert_eq!(batch.timestamps, [1, 4, 6]);
    assert_eq!(batch.send_continues.iter().collect::<Vec<_>>(), [0]);
}

#[test]
fn events_are_remembered_for_a_time_and_in_a_number_that_is_bounded() {
    let mut scene = Scene::new(None);
    scene.say("a", &[1, 2]);
    scene.now = WINDOW - 1;
    scene.say("a", &[3]);
    assert_eq!(scene.say("b", &[1]), [] as [i64; 0]);
    // However late it is, until the same node brings later ones.
    scene.now = 10 * WINDOW;
    assert_eq!(scene.say("b", &[2]), [] as [i64; 0]);
    scene.say("a", &[4]);
    assert_eq!(scene.say("b", &[3]), [3], "too late");

    let mut scene = Scene::new(Some(0));
    let most = ROWS_MAX as i64;
    let events: Vec<Event> = (0..=most).map(|n| (Some(n), n)).collect();
    assert_eq!(scene.bring("a", &events).len(), ROWS_MAX + 1);
    assert_eq!(scene.bring("b", &[(Some(0), 0), (Some(1), 1), (Some(most), most)]), [0]);
}

#[test]
fn a_source_that_was_away_for_too_long_passes_over_what_the_other_node_brought() {
    let mut scene = Scene::new(None);
    assert!(!scene.is_passed("a") && !scene.is_passed("b"));
    scene.say("a", &[1, 2, 3]);
    assert_eq!(scene.say("b", &[1, 2]), [] as [i64; 0]);
    // `b` is away; while all is remembered, it goes on where it was.
    scene.now = WINDOW - 1;
    scene.say("a", &[4]);
    assert!(!scene.is_passed("b"));
    scene.now = WINDOW;
    scene.say("a", &[5]);
    scene.move_on();
    assert!(scene.is_passed("b") && !scene.is_passed("a"), "3 is not remembered");
    assert!(scene.is_passed("c"), "who brought nothing yet would bring all of it");
    scene.has_passed = true;
    assert_eq!(scene.say("b", &[6]), [6]);
    assert!(!scene.is_passed("b"));
    assert_eq!(scene.say("a", &[6]), [] as [i64; 0]);
    // Now it is the first, and the other one is away.
    scene.now = 3 * WINDOW;
    scene.say("b", &[7, 8]);
    scene.now = 5 * WINDOW;
    scene.say("b", &[9]);
    assert!(scene.is_passed("a") && !scene.is_passed("b"));
}

#[test]
fn a_source_whose_last_event_only_it_had_goes_on_where_it_was() {
    let mut scene = Scene::new(None);
    scene.say("a", &[1]);
    scene.say("b", &[1]);
    // `b` passes over what waits, and is away while `a` is still on its way there.
    scene.has_passed = true;
    scene.say("b", &[6]);
    scene.now = WINDOW;
    scene.say("a", &[2, 3]);
    scene.now = 2 * WINDOW;
    scene.say("a", &[4, 5]);
    assert!(!scene.is_passed("b"), "`a` does not have what follows 6");
    assert_eq!(scene.say("a", &[6]), [] as [i64; 0]);
    assert!(!scene.is_passed("b"), "what is forgotten came before that");
    scene.now = 3 * WINDOW;
    scene.say("a", &[7]);
    scene.now = 4 * WINDOW;
    scene.say("a", &[8]);
    assert!(scene.is_passed("b"));

    // What one of them misses for good is no reason.
    let mut scene = Scene::new(None);
    scene.say("a", &[1, 2, 3]);
    scene.say("b", &[1, 3]);
    scene.now = WINDOW;
    scene.say("a", &[4]);
    assert!(!scene.is_passed("b"));
}

#[test]
fn what_other_receivers_and_other_attributes_brought_is_nothing_to_it() {
    let mut scene = Scene::new(Some(0));
    scene.bring("a", &[(Some(1), 1)]);
    let mut other = scene.body("b", batch(&[(Some(1), 2)]));
    if let Body::Rows { copied: Some(copied), .. } = &mut other {
        copied.receiver = "receiver:In:2".into();
    }
    scene.copies.sift(0, &mut other);
    assert!(matches!(&other, Body::Rows { batch, .. } if batch.len() == 1));
    let mut wider = Batch::new(&[DataType::Text, DataType::Long, DataType::Bool]);
    wider.push_row(0, &[Value::from("event number         1"), Value::Long(1), Value::Null]);
    let mut body = scene.body("b", wider);
    scene.copies.sift(0, &mut body);
    assert!(matches!(&body, Body::Rows { batch, .. } if batch.len() == 1));
    scene.copies.retain(|receiver| receiver == "receiver:In:2");
    assert!(!scene.copies.is_empty());
    scene.copies.retain(|_| false);
    assert!(scene.copies.is_empty());
}

/// What the two nodes do in turn.
#[derive(Clone, Debug)]
enum Act {
    /// Node `a`, or `b`, brings so many of the next events in one batch.
    Bring(bool, usize),
    Save,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let bring = || (any::<bool>(), 1..9usize).prop_map(|(node, count)| Act::Bring(node, count));
    prop::collection::vec(prop_oneof![9 => bring(), 1 => Just(Act::Save)], 0..60)
}

proptest! {
    #[test]
    fn each_event_counts_once_in_the_order_of_its_first_coming(
        says in prop::collection::vec(0..4i64, 0..80),
        ids in prop::collection::vec(prop::option::weighted(0.8, Just(())), 80),
        by_id in any::<bool>(),
        acts in acts(),
    ) {
        let events: Vec<Event> = (0..)
            .zip(&says)
            .map(|(n, says)| (ids[n as usize].map(|()| n), *says))
            .collect();
        let mut scene = Scene::new(by_id.then_some(0));
        let (mut places, mut counted) = ([0, 0], Vec::new());
        let ends = [Act::Bring(false, events.len()), Act::Bring(true, events.len())];
        for act in acts.iter().chain(&ends) {
            match act {
                Act::Save => scene.move_on(),
                Act::Bring(is_b, count) => {
                    let place = &mut places[usize::from(*is_b)];
                    let until = (*place + count).min(events.len());
                    let node = if *is_b { "b" } else { "a" };
                    counted.extend(scene.bring(node, &events[*place..until]));
                    *place = until;
                    // Within the window of the first.
                    scene.now += 1;
                }
            }
        }
        prop_assert_eq!(counted, says);
        prop_assert_eq!(scene.left_out, events.len() as u64);
        prop_assert!(!scene.is_passed("a") && !scene.is_passed("b"));
    }

    #[test]
    fn damaged_state_is_refused_or_of_use(at in any::<prop::sample::Index>(), bits in 1..=255u8) {
        let mut scene = Scene::new(Some(0));
        scene.bring("a", &[(Some(1), 1), (None, 2), (Some(2), 3), (None, 2)]);
        scene.bring("b", &[(Some(2), 3), (None, 2)]);
        let mut bytes = scene.copies.freeze().to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= bits;
        if let Ok(copies) = Copies::load(&bytes) {
            scene.copies = copies;
            scene.bring("a", &[(Some(2), 3), (Some(9), 9), (None, 2)]);
            drop(scene.copies.freeze().to_bytes());
        }
    }
}
