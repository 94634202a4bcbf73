//! Topics: what every listener hears, and what a speaker learns.

use super::*;

fn bytes(text: &str) -> Message {
    Content::Bytes(text.as_bytes().into()).into()
}

fn texts(messages: &[Message]) -> Vec<String> {
    let text = |message: &Message| match &message.content {
        Content::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Content::Rows { .. } => panic!("no bytes"),
    };
    messages.iter().map(text).collect()
}

/// A message of a speaker, and by what it learns of it.
fn spoken(text: &str, last: u64, lost: &Arc<AtomicBool>) -> (Message, Arc<Receipt>) {
    let receipt = Receipt::new(lost);
    let origin = Origin { producer: "p".into(), last, receipt: Arc::clone(&receipt) };
    (Message { origin: Some(origin), ..bytes(text) }, receipt)
}

#[test]
fn every_listener_hears_every_message_once_and_in_order() {
    let topics = Topics::new();
    let woken = Arc::new(AtomicUsize::new(0));
    let wake = Arc::clone(&woken);
    let mut left = topics.listen("t", "left", move || {
        wake.fetch_add(1, Ordering::Relaxed);
    });
    let mut right = topics.listen("t", "right", || {});
    topics.say("t", &[bytes("a"), bytes("b")]).unwrap();
    topics.say("t", &[bytes("c")]).unwrap();
    assert_eq!(woken.load(Ordering::Relaxed), 2);
    let (messages, number, more) = left.take(2);
    assert_eq!((texts(&messages), number, more), (vec!["a".into(), "b".into()], 2, true));
    let (messages, number, more) = left.take(2);
    assert_eq!((texts(&messages), number, more), (vec!["c".into()], 3, false));
    assert!(left.take(2).0.is_empty());
    assert_eq!(texts(&right.take(9).0), ["a", "b", "c"]);
}

#[test]
fn who_falls_goes_on_with_what_was_not_finished() {
    let topics = Topics::new();
    let mut listener = topics.listen("t", "l", || {});
    topics.say("t", &[bytes("a"), bytes("b"), bytes("c")]).unwrap();
    let (_, number, _) = listener.take(1);
    listener.take(1);
    listener.finish(number);
    drop(listener);
    topics.say("t", &[bytes("d")]).unwrap();
    let mut listener = topics.listen("t", "l", || {});
    assert_eq!(texts(&listener.take(9).0), ["b", "c", "d"]);
    listener.leave();
    assert_eq!(topics.say("t", &[bytes("e")]), Err(Refused::Nobody("t".into())));
}

#[test]
fn who_attends_misses_nothing_before_it_listens() {
    let topics = Topics::new();
    topics.gather();
    let one = topics.attend("t", "l");
    assert_eq!(topics.say("t", &[bytes("a")]), Err(Refused::Early));
    topics.gathered();
    topics.say("t", &[bytes("a")]).unwrap();
    let mut listener = topics.listen("t", "l", || {});
    assert_eq!(texts(&listener.take(9).0), ["a"]);
    // The next version of it attends before this one goes.
    let other = topics.attend("t", "l");
    drop(one);
    listener.leave();
    topics.say("t", &[bytes("b")]).unwrap();
    let mut listener = topics.listen("t", "l", || {});
    assert_eq!(texts(&listener.take(9).0), ["b"]);
    listener.leave();
    drop(other);
    assert_eq!(topics.say("t", &[bytes("c")]), Err(Refused::Nobody("t".into())));
}

#[test]
fn a_speaker_learns_when_all_are_finished() {
    let (topics, lost) = (Topics::new(), Arc::default());
    let mut one = topics.listen("t", "one", || {});
    let mut two = topics.listen("t", "two", || {});
    let (message, receipt) = spoken("a", 1, &lost);
    topics.say("t", &[message]).unwrap();
    assert!(!receipt.is_settled());
    one.take(9);
    two.take(9);
    one.finish(1);
    assert!(!receipt.is_settled(), "handed out is not finished");
    two.finish(1);
    assert!(receipt.is_settled());
}

#[test]
fn what_was_lost_is_said_again_before_anything_else() {
    let (topics, lost) = (Topics::new(), Arc::default());
    let _attendance = topics.attend("t", "one");
    let one = topics.listen("t", "one", || {});
    let mut two = topics.listen("t", "two", || {});
    let (first, receipt) = spoken("a", 1, &lost);
    topics.say("t", std::slice::from_ref(&first)).unwrap();
    two.take(9);
    two.finish(1);
    one.leave();
    assert!(!receipt.is_settled(), "one of them never took it");
    let (second, _) = spoken("b", 2, &lost);
    assert_eq!(topics.say("t", std::slice::from_ref(&second)), Err(Refused::Lost));
    assert!(lost.swap(false, Ordering::AcqRel));
    topics.say("t", &[first]).unwrap();
    topics.say("t", &[second]).unwrap();
    let mut one = topics.listen("t", "one", || {});
    assert_eq!(texts(&one.take(9).0), ["a", "b"]);
}

#[test]
fn a_full_queue_refuses_for_all() {
    let topics = Topics::new();
    let mut fast = topics.listen("t", "fast", || {});
    let mut slow = topics.listen("t", "slow", || {});
    let batch = Batch { timestamps: vec![0; EVENTS_MAX], ..Batch::default() };
    let full = Content::Rows { schema: Arc::new(Schema::default()), batch: Arc::new(batch) };
    topics.say("t", &[full.into()]).unwrap();
    fast.take(9);
    fast.finish(1);
    let refused = Refused::Full { topic: "t".into(), listener: "slow".into() };
    assert_eq!(topics.say("t", &[bytes("a")]), Err(refused));
    assert!(fast.take(9).0.is_empty());
    slow.take(9);
    slow.finish(1);
    topics.say("t", &[bytes("a")]).unwrap();
    assert_eq!(texts(&fast.take(9).0), ["a"]);
    assert_eq!(slow.waiting(), 1);
}
