//! Dead letters are part of the state: kept, taken up once, and the same wherever the log is read.

use super::*;

const BOUNDS: Bounds = Bounds { letters: 100, bytes: 1 << 20, age: 1000 };

fn unreadable(message: &[u8]) -> Letter {
    Letter {
        at: 1000,
        kind: LetterKind::Receiver,
        place: "receiver:In:1".into(),
        stream: "In".into(),
        reason: "unreadable".into(),
        message: "expected a number".into(),
        payload: Payload::Message(message.to_vec()),
    }
}

fn unpublished(first: u64, values: &[i64]) -> Letter {
    let mut batch = Batch::new(&[DataType::Long]);
    values.iter().for_each(|value| batch.push_row(1000, &[Value::Long(*value)]));
    let (names, batch) = (vec!["total".into()], Arc::new(batch));
    Letter {
        kind: LetterKind::Publisher,
        place: "publisher:Sums:1".into(),
        stream: "Sums".into(),
        reason: "publisher".into(),
        payload: Payload::Rows { first, names, batch },
        ..unreadable(b"")
    }
}

fn of(values: &[i64]) -> Option<(Text, Batch)> {
    let mut batch = Batch::new(&[DataType::Long]);
    values.iter().for_each(|n| batch.push_row(1000, &[Value::Long(*n)]));
    Some(("In".into(), batch))
}

/// Two messages that could not be read, with rows that came along, if any.
pub(super) fn aside(values: Option<&[i64]>) -> PutAside {
    PutAside {
        letters: vec![unreadable(b"x"), unreadable(b"y")],
        bounds: BOUNDS,
        rows: values.and_then(of),
        sending: None,
        mark: Some(Mark { receiver: "receiver:In:1".into(), place: "7".into() }),
        copied: None,
    }
}

fn put(at: Millis, aside: PutAside) -> LogEntry {
    LogEntry::new(at, Body::PutAside(Box::new(aside)))
}

fn give_up(at: Millis, first: u64, values: &[i64]) -> LogEntry {
    let letters = vec![unpublished(first, values)];
    put(at, PutAside { letters, rows: None, mark: None, ..aside(None) })
}

fn take_up(at: Millis, letter: u64, rows: Option<(Text, Batch)>) -> LogEntry {
    LogEntry::new(at, Body::TakeUp { letters: vec![letter], rows, sending: None })
}

fn open(scene: &Scene) -> Vec<u64> {
    scene.replica.letters().open().keys().copied().collect()
}

fn is_refused(outcome: &Outcome, why: &str) -> bool {
    matches!(outcome, Outcome::Refused(reason) if reason.contains(why))
}

#[test]
fn letters_come_with_rows_and_a_place_and_a_message_is_taken_up_once() {
    let mut scene = Scene::new();
    scene.apply(deploy(1000));
    assert_eq!(scene.apply(put(1001, aside(Some(&[1, 2])))), Outcome::Done);
    assert_eq!(scene.sums(), [(1, 1), (2, 3)]);
    assert_eq!(scene.replica.place_of("receiver:In:1"), Some(&"7".into()));
    assert_eq!(open(&scene), [1, 2]);
    scene.move_on();
    assert!(is_refused(&scene.apply(take_up(1002, 1, None)), "was not read"));
    assert_eq!(scene.apply(take_up(1003, 1, of(&[5]))), Outcome::Done);
    assert!(is_refused(&scene.apply(take_up(1003, 1, of(&[5]))), "no dead letter 1 is open"));
    let other = Batch::new(&[DataType::Text]);
    let outcome = scene.apply(take_up(1003, 2, Some(("In".into(), other))));
    assert!(is_refused(&outcome, "no stream `In` of these attributes"));
    scene.move_on();
    assert_eq!(scene.sums().last(), Some(&(3, 8)), "once");
    assert_eq!(open(&scene), [2]);
    let discard = Body::Discard { letters: vec![2], sending: None };
    assert_eq!(scene.apply(LogEntry::new(1004, discard.clone())), Outcome::Done);
    assert!(is_refused(&scene.apply(LogEntry::new(1004, discard)), "no dead letter 2"));
    let closed = Closed { replayed: 1, discarded: 1, expired: 0 };
    assert_eq!(scene.replica.letters().closed(), closed);
}

/// What a node brings of a receiver that runs on both, and where it stands before and after.
pub(super) fn known(node: &str, values: Option<&[i64]>, after: Option<&str>) -> PutAside {
    let receiver = Text::from("receiver:In:1");
    let mark = Mark { receiver: format!("{receiver}@{node}").into(), place: "7".into() };
    let (node, after, id) = (node.into(), after.map(Text::from), None);
    let copied = Copied { receiver, node, id, window: 1000, after, has_passed: false };
    PutAside { mark: Some(mark), copied: Some(Box::new(copied)), ..aside(values) }
}

#[test]
fn rows_beside_letters_are_sifted_and_have_to_go_on_where_their_node_stood() {
    let mut scene = Scene::new();
    scene.apply(deploy(1000));
    assert_eq!(scene.apply(put(1001, known("a", Some(&[1, 2]), None))), Outcome::Done);
    scene.move_on();
    let again = scene.apply(put(1002, known("a", Some(&[3]), None)));
    assert!(is_refused(&again, "`receiver:In:1@a` has to begin elsewhere"));
    assert_eq!(open(&scene), [1, 2], "nothing of it counts");
    assert_eq!(scene.apply(put(1002, known("b", Some(&[1, 2, 4]), None))), Outcome::Done);
    assert_eq!(scene.sums(), [(1, 1), (2, 3), (3, 7)], "copies are left out");
    assert_eq!(scene.replica.place_of("receiver:In:1@b"), Some(&"7".into()));
    assert_eq!(open(&scene), [1, 2, 3, 4], "letters are those of each node");
    assert_eq!(scene.apply(put(1003, known("b", None, Some("7")))), Outcome::Done);
    assert_eq!(scene.apply(put(1003, known("a", Some(&[4]), Some("7")))), Outcome::Done);
    assert_eq!(scene.sums().len(), 3, "all were copies");
}

#[test]
fn what_has_no_effect_leaves_nothing_where_it_is_skipped() {
    let mut scene = Scene::new();
    scene.apply(deploy(1000));
    scene.apply(put(1001, known("a", Some(&[1]), None)));
    scene.replica.skip(3);
    assert_eq!(scene.apply(put(1002, known("a", Some(&[9]), None))), Outcome::Skipped);
    scene.move_on();
    scene.apply(LogEntry::new(1003, Body::Skip { position: 3, reason: "fell".into() }));
    assert_eq!((open(&scene), scene.sums()), (vec![1, 2], vec![(1, 1)]));
}

#[test]
fn what_a_producer_says_again_closes_nothing_more() {
    let mut scene = Scene::new();
    scene.apply(deploy(1000));
    scene.apply(put(1001, aside(None)));
    let again = |letter| {
        let sending = Some(Sending::new("/7/1", 1));
        LogEntry::new(1002, Body::Discard { letters: vec![letter], sending })
    };
    assert_eq!(scene.apply(again(1)), Outcome::Done);
    assert_eq!(scene.apply(again(1)), Outcome::Repeated, "it is answered as the first time");
    assert_eq!(open(&scene), [2]);
}

#[test]
fn rows_of_a_publisher_are_new_results_of_it_alone_and_stand_in_one_letter() {
    let mut scene = Scene::new();
    scene.apply(deploy(1000));
    scene.apply(rows(1001, &[1, 2]));
    assert_eq!(scene.apply(give_up(1002, 1, &[1, 3])), Outcome::Done);
    assert_eq!(scene.apply(give_up(1002, 1, &[1, 3])), Outcome::Repeated, "after a restart");
    let passed = scene.replica.passed("Sums");
    assert!(is_refused(&scene.apply(take_up(1003, 1, of(&[5]))), "no message"));
    assert_eq!(scene.apply(take_up(1003, 1, None)), Outcome::Done);
    assert_eq!(scene.sums(), [(1, 1), (2, 3), (3, 1), (4, 3)]);
    assert_eq!(scene.replica.passed("Sums"), passed, "they passed through the stream before");
    scene.apply(rows(1003, &[1]));
    assert_eq!(scene.sums().last(), Some(&(5, 4)), "numbers go on");
    let gone = Letter { place: "publisher:Gone:1".into(), ..unpublished(1, &[1]) };
    scene.apply(put(1004, PutAside { letters: vec![gone], ..aside(None) }));
    assert!(is_refused(&scene.apply(take_up(1004, 2, None)), "no `publisher:Gone:1`"));
    assert_eq!(open(&scene), [2], "it stays");
}

#[test]
fn letters_leave_by_age_although_none_comes() {
    let mut scene = Scene::new();
    scene.apply(deploy(1000));
    scene.apply(put(1001, aside(None)));
    scene.apply(LogEntry::new(2000, Body::Tick));
    assert_eq!(open(&scene), [1, 2]);
    scene.apply(LogEntry::new(2001, Body::Tick));
    assert_eq!((open(&scene), scene.replica.letters().closed().expired), (vec![], 2));
}

#[test]
fn letters_count_also_where_the_plan_falls_over_the_rows_that_came_along() {
    let (mut live, mut later) = (Scene::new(), Scene::new());
    let bad = put(1001, aside(Some(&[8, POISON])));
    for scene in [&mut live, &mut later] {
        scene.apply(deploy(1000));
    }
    let back = fall(&mut live, bad.clone());
    live.replica.skip(2);
    assert_eq!(live.apply(back), Outcome::Skipped);
    later.replica.skip(2);
    assert_eq!(later.apply(bad), Outcome::Skipped);
    for scene in [&mut live, &mut later] {
        assert_eq!(open(scene), [1, 2]);
        assert_eq!(scene.replica.place_of("receiver:In:1"), Some(&"7".into()));
        let skip = Body::Skip { position: 2, reason: "an unlucky number".into() };
        scene.apply(LogEntry::new(1002, skip));
        assert_eq!(scene.bad(), [8, POISON], "there is a fault stream, so they are no letter");
        assert_eq!(open(scene), [1, 2]);
    }
    let save = |scene: &Scene| scene.replica.save().unwrap().fingerprint();
    assert_eq!(save(&live), save(&later));
}

#[test]
fn rows_the_plan_fell_over_are_a_letter_where_there_is_no_fault_stream() {
    let mut scene = Scene::new();
    let text = PLAN.replace("@onerror(action='stream')", "").replace("from !In", "from In[n < 0]");
    let deployment = Deployment { number: 1, text: text.as_str().into(), secret: 7 };
    scene.apply(LogEntry::new(1000, Body::Deploy(deployment)));
    let back = fall(&mut scene, rows(1001, &[8, POISON]));
    scene.replica.skip(2);
    scene.apply(back);
    let skip = Body::Skip { position: 2, reason: "an unlucky number".into() };
    scene.apply(LogEntry::new(1002, skip));
    let letter = Arc::clone(&scene.replica.letters().open()[&1]);
    assert_eq!((letter.kind, &*letter.place, letter.events()), (LetterKind::Plan, "In", 2));
    assert_eq!((&*letter.reason, &*letter.message), ("poison", "an unlucky number"));
    // Taken up it falls again, and is a letter again.
    let back = fall(&mut scene, take_up(1003, 1, None));
    scene.replica.skip(4);
    scene.apply(back);
    assert!(open(&scene).is_empty());
    let skip = Body::Skip { position: 4, reason: "again".into() };
    scene.apply(LogEntry::new(1004, skip));
    assert_eq!(open(&scene), [2]);
    scene.move_on();
    assert_eq!(scene.replica.letters().open()[&2].message, "again");
}

#[test]
fn letters_are_saved_with_or_without_what_both_nodes_bring() {
    let mut scene = Scene::new();
    scene.apply(deploy(1000));
    scene.move_on();
    assert!(open(&scene).is_empty());
    scene.apply(put(1002, aside(None)));
    scene.move_on();
    scene.apply(put(1003, known("a", Some(&[1]), None)));
    let bytes = scene.replica.save().unwrap().to_bytes();
    scene.move_on();
    assert_eq!(open(&scene), [1, 2, 3, 4]);
    assert_eq!(scene.replica.save().unwrap().to_bytes(), bytes);
}

/// The letters of a plan that keeps what it cannot compute, when rows come in these batches.
fn faults(batches: &[&[Option<&str>]]) -> Replica {
    let text = "@OnError(action='STORE') define stream In (t string);
        from In select str:length(t) as n insert into Lengths;
        from Lengths select n insert into Out;";
    let mut replica = Replica::new(Arc::new(EngineMaker));
    let (mut outputs, mut notes) = (Vec::new(), Vec::new());
    let deployment = Deployment { number: 1, text: text.into(), secret: 7 };
    let mut apply = |body| {
        replica.apply(LogEntry::new(1000, body), &mut outputs, &mut notes).unwrap();
    };
    apply(Body::Deploy(deployment));
    for texts in batches {
        let mut batch = Batch::new(&[DataType::Text]);
        for text in *texts {
            batch.push_row(1000, &[text.map_or(Value::Null, Value::from)]);
        }
        let stream = "In".into();
        apply(Body::Rows { stream, sending: None, mark: None, copied: None, batch });
    }
    replica
}

#[test]
fn a_row_that_cannot_be_computed_is_a_letter_however_rows_come_together() {
    let replica = faults(&[&[Some("a"), None, Some("b"), None], &[None]]);
    let letters = replica.letters();
    assert_eq!(letters.open().keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    let first = &letters.open()[&1];
    let place = [&*first.place, &*first.stream, &*first.reason];
    assert_eq!((first.kind, place), (LetterKind::Plan, ["In", "In", "fault"]));
    assert!(first.message.contains("length"), "{}", first.message);
    let Payload::Rows { first: 0, names, batch } = &first.payload else { panic!("{first:?}") };
    assert_eq!((names.as_slice(), batch.row(0)), (&["t".into()][..], vec![Value::Null]));
    let one_by_one = faults(&[&[Some("a")], &[None], &[Some("b")], &[None], &[None]]);
    assert_eq!(one_by_one.letters().open(), letters.open());
    // They are part of what is saved, and not made again when an entry is taken back.
    let saved = replica.save().unwrap();
    assert_ne!(saved.fingerprint(), faults(&[&[Some("a")]]).save().unwrap().fingerprint());
}

#[test]
fn such_a_row_enters_its_stream_again() {
    let mut replica = faults(&[&[None]]);
    let (mut outputs, mut notes) = (Vec::new(), Vec::new());
    replica.apply(take_up(1001, 1, None), &mut outputs, &mut notes).unwrap();
    // It fails again: a new letter, and the old one is closed.
    assert_eq!(replica.letters().open().keys().copied().collect::<Vec<_>>(), [2]);
    assert_eq!(replica.letters().closed().replayed, 1);
}
