//! Answers to what publishers asked, that get lost on their way into the plan's log.

use std::sync::Arc;

use crate::actors::edge_tests::Mood;
use crate::actors::edge_tests::Place;
use crate::actors::edge_tests::Way;
use crate::actors::edge_tests::until;
use crate::actors::plan::Applied;
use crate::actors::plan::LetterTold;
use crate::actors::plan::Posted;
use crate::actors::tree::StopAll;
use crate::event::Batch;
use crate::plan::answers::Answers;
use crate::publishers::Answered;
use crate::publishers::OnError;

/// A way whose parcels ask.
fn asking(on_error: OnError, moods: &[Mood]) -> Way {
    let place = Place { asks: true, ..Place::default() };
    place.moods.lock().unwrap().extend(moods);
    Way::to(place, on_error)
}

/// What failed, as answers: each parcel asked one question, of its own number.
pub(super) fn of(failed: Vec<(u64, String)>) -> Vec<Answered> {
    let answered = |(number, reason): (u64, String)| {
        let (numbers, starts, counts) = (vec![number], vec![0], vec![0]);
        let (table, rows, failure) = ("T".into(), Batch::default(), Some(reason.as_str().into()));
        let answers = Answers { table, numbers, starts, counts, rows, failure };
        Answered { first: number, answers: Arc::new(answers) }
    };
    failed.into_iter().map(answered).collect()
}

/// The next answer that the publisher brings: the question's number and why it failed, and who is
/// to be told.
async fn brought(way: &Way) -> (u64, String, LetterTold) {
    let mut posted = None;
    until("an answer is brought", || {
        posted = way.station.posted();
        posted.is_some()
    })
    .await;
    match posted {
        Some((Posted::Answers(answers), told)) => {
            (answers.numbers[0], answers.failure.as_deref().unwrap_or("").to_owned(), told)
        }
        other => panic!("{other:?}"),
    }
}

#[actix::test]
async fn what_was_given_up_is_answered_again_if_that_got_lost_with_the_role() {
    let mut way = asking(OnError::Log, &[Mood::Takes, Mood::Refuses, Mood::Takes]);
    way.publish(3).await;
    let (number, reason, told) = brought(&way).await;
    assert_eq!((number, &*reason), (2, "not this one"));
    until("what was taken before counts", || way.end.confirmed() == 1).await;
    // The node's role changed there and back.
    drop(told);
    let (number, reason, told) = brought(&way).await;
    assert_eq!((number, &*reason), (2, "not this one"), "said again");
    told.send(Ok(Applied { position: 1, is_repeated: false })).unwrap();
    way.all_confirmed().await;
    assert_eq!(way.dead(), 1, "it is counted once");
    way.root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn what_was_asked_of_a_parcel_in_a_letter_is_answered() {
    let mut way = asking(OnError::Store, &[]);
    way.end.put_aside_upto(1);
    way.publish(1).await;
    let (number, reason, told) = brought(&way).await;
    assert_eq!((number, &*reason), (1, "it was put aside as a dead letter"));
    told.send(Ok(Applied { position: 1, is_repeated: false })).unwrap();
    way.all_confirmed().await;
    way.root.send(StopAll).await.unwrap();
}
