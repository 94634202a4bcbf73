//! Receivers and publishers under failure: refused, panicking and slow ones of the tests' own.

mod answers;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use actix::prelude::*;

use crate::actors::plan::Applied;
use crate::actors::plan::Confirmed;
use crate::actors::plan::Filter;
use crate::actors::plan::Misfit;
use crate::actors::plan::PlanActor;
use crate::actors::plan::PublisherEnd;
use crate::actors::plan::Rows;
use crate::actors::plan::Station;
use crate::actors::plan::StreamFront;
use crate::actors::plan::Work;
use crate::actors::plan::testing::Scene;
use crate::actors::plan::testing::rows;
use crate::actors::publisher::PublisherActor;
use crate::actors::publisher::PublisherJob;
use crate::actors::receiver::ReceiverActor;
use crate::actors::receiver::ReceiverJob;
use crate::actors::tree::ChildSpec;
use crate::actors::tree::Control;
use crate::actors::tree::Inbox;
use crate::actors::tree::Limits;
use crate::actors::tree::Policy;
use crate::actors::tree::Registry;
use crate::actors::tree::Start;
use crate::actors::tree::State;
use crate::actors::tree::StopAll;
use crate::actors::tree::Supervisor;
use crate::actors::tree::Surroundings;
use crate::actors::tree::WhenGivenUp;
use crate::publishers::Answered;
use crate::publishers::Built;
use crate::publishers::OnError;
use crate::publishers::Parcel;
use crate::publishers::PublishError;
use crate::publishers::Publisher;
use crate::receivers::Door;
use crate::receivers::Likeness;
use crate::receivers::Mark;
use crate::receivers::Next;
use crate::receivers::Received;
use crate::receivers::Receiver;
use crate::receivers::ReceiverError;
use crate::replica::Letter;
use crate::replica::Payload;

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn around(scene: &Scene) -> Surroundings {
    Surroundings::alone(scene.metrics.clone())
}

fn supervise(scene: &Scene, start: Start) -> (Addr<Supervisor>, Registry) {
    let around = around(scene);
    let spec = ChildSpec {
        name: "edge".to_owned(),
        kind: "edge",
        rank: 0,
        policy: Policy { backoff_first: Duration::from_millis(1), ..Policy::PATIENT },
        when_given_up: WhenGivenUp::Leave,
        grace: Duration::from_secs(5),
        start,
    };
    let registry = around.registry.clone();
    (Supervisor::root("", around, vec![spec]).start(), registry)
}

/// What a publisher does with the next parcels; afterwards it takes everything.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Takes,
    IsAway,
    Refuses,
    RefusesRow,
    IsFull,
    Panics,
    /// Takes it, and loses what has not settled.
    Loses,
}

#[derive(Clone, Default)]
struct Place {
    moods: Arc<Mutex<VecDeque<Mood>>>,
    taken: Arc<Mutex<Vec<(u64, i64)>>>,
    opens: Arc<Mutex<Vec<bool>>>,
    /// Parcels from this number on do not settle; 0: all do.
    unsettled: Arc<Mutex<u64>>,
    lost: Arc<Mutex<bool>>,
    /// Whether its parcels ask, one question each.
    asks: bool,
    /// What it has not said yet of that: the number of each with why it failed.
    failed: Arc<Mutex<Vec<(u64, String)>>>,
}

impl Publisher for Place {
    fn open(&mut self) -> Result<(), PublishError> {
        match self.opens.lock().unwrap().pop() {
            Some(false) => Err(PublishError::transient("nobody there")),
            _ => Ok(()),
        }
    }

    fn publish(&mut self, parcel: &Parcel) -> Result<(), PublishError> {
        let mood = self.moods.lock().unwrap().pop_front().unwrap_or(Mood::Takes);
        match mood {
            Mood::IsAway => Err(PublishError::transient("away")),
            Mood::Refuses => Err(PublishError::permanent("not this one")),
            Mood::RefusesRow => Err(PublishError::permanent("not this row").of_rows(0..1)),
            Mood::IsFull => Err(PublishError::busy("no room")),
            Mood::Panics => panic!("a publisher's fault"),
            Mood::Takes | Mood::Loses => {
                *self.lost.lock().unwrap() = matches!(mood, Mood::Loses);
                let value = parcel.batch.row(0)[0].as_long().unwrap();
                self.taken.lock().unwrap().push((parcel.number, value));
                Ok(())
            }
        }
    }

    fn settled(&mut self, number: u64) -> bool {
        let unsettled = *self.unsettled.lock().unwrap();
        unsettled == 0 || number < unsettled
    }

    fn is_lost(&mut self) -> bool {
        std::mem::take(&mut self.lost.lock().unwrap())
    }

    fn abandon(&mut self, parcel: &Parcel, reason: &str) {
        if self.asks {
            self.failed.lock().unwrap().push((parcel.number, reason.to_owned()));
        }
    }

    fn answers(&mut self) -> Vec<Answered> {
        answers::of(std::mem::take(&mut self.failed.lock().unwrap()))
    }
}

struct Way {
    place: Place,
    end: Arc<PublisherEnd>,
    root: Addr<Supervisor>,
    scene: Scene,
    station: Arc<Station>,
    next: i64,
}

impl Way {
    fn new(on_error: OnError, moods: &[Mood]) -> Self {
        let place = Place::default();
        place.moods.lock().unwrap().extend(moods);
        Self::to(place, on_error)
    }

    fn with_opens(on_error: OnError, opens: Vec<bool>) -> Self {
        Self::to(Place { opens: Arc::new(Mutex::new(opens)), ..Place::default() }, on_error)
    }

    fn to(place: Place, on_error: OnError) -> Self {
        let mut scene = Scene::new();
        let station = scene.adder();
        let inbox = Inbox::new(Limits { events: 1000, bytes: 1 << 20 });
        let unpublished = scene.metrics.dead_letters("adder", "publisher");
        let end = Arc::new(PublisherEnd::new(
            "publisher:Out:1".to_owned(),
            inbox,
            unpublished,
            Confirmed::in_memory(),
        ));
        let made = place.clone();
        let make = Arc::new(move || Ok(Built { publisher: Box::new(made.clone()), on_error }));
        let job = PublisherJob::new(make, Arc::clone(&station), Arc::clone(&end), &around(&scene));
        let start: Start = Box::new(move |lifeline| {
            PublisherActor::new(job.clone(), lifeline).start().recipient()
        });
        let (root, _) = supervise(&scene, start);
        Self { place, end, root, scene, station, next: 0 }
    }

    async fn publish(&mut self, parcels: usize) {
        let version = self.station.version();
        let front: &StreamFront = version.stream("Out").unwrap().1;
        for _ in 0..parcels {
            self.next += 1;
            let batch = Arc::new(rows(&[self.next]));
            let parcel = Parcel {
                plan: Arc::clone(&version.name),
                stream: Arc::clone(&front.name),
                publisher: "publisher:Out:1".into(),
                schema: Arc::clone(&front.schema),
                generation: 7,
                epoch: 0,
                reading: 0,
                number: u64::try_from(self.next).unwrap(),
                batch,
            };
            self.end.inbox.put(parcel).await.unwrap();
        }
    }

    fn taken(&self) -> Vec<(u64, i64)> {
        self.place.taken.lock().unwrap().clone()
    }

    /// The end is told of every parcel that is done with, published or not.
    async fn all_confirmed(&self) {
        let last = u64::try_from(self.next).unwrap();
        until("all are confirmed", || self.end.confirmed() == last).await;
    }

    fn dead(&self) -> u64 {
        self.scene.metrics.dead_letters("adder", "publisher").get()
    }
}

#[actix::test]
async fn parcels_are_published_in_order_and_tried_again() {
    let mut way = Way::new(OnError::Log, &[Mood::Takes, Mood::IsAway, Mood::IsAway]);
    way.publish(3).await;
    until("all are there", || way.taken().len() == 3).await;
    assert_eq!((way.taken(), way.dead()), (vec![(1, 1), (2, 2), (3, 3)], 0));
    way.root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn what_cannot_be_published_is_counted_and_the_next_follows() {
    let moods = [Mood::Refuses, Mood::Takes, Mood::IsAway, Mood::IsAway, Mood::IsAway];
    let mut way = Way::new(OnError::Log, &moods);
    way.publish(4).await;
    until("the rest is there", || way.taken().len() == 2).await;
    assert_eq!((way.taken(), way.dead()), (vec![(2, 2), (4, 4)], 2));
    way.all_confirmed().await;
    way.root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn rows_that_are_refused_are_counted_and_the_rest_of_the_parcel_follows() {
    let mut way = Way::new(OnError::Log, &[Mood::RefusesRow, Mood::IsAway, Mood::IsAway]);
    way.publish(2).await;
    until("both came again", || way.taken().len() == 2).await;
    assert_eq!((way.taken(), way.dead()), (vec![(1, 1), (2, 2)], 1));
    way.root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn what_has_not_settled_does_not_count_as_having_left() {
    let mut way = Way::new(OnError::Log, &[Mood::Takes, Mood::Takes, Mood::Refuses]);
    *way.place.unsettled.lock().unwrap() = 2;
    way.publish(4).await;
    until("all were published", || way.taken().len() == 3).await;
    until("the first counts", || way.end.confirmed() == 1).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(way.end.confirmed(), 1, "also what was put aside waits for its turn");
    *way.place.unsettled.lock().unwrap() = 0;
    way.all_confirmed().await;
    assert_eq!((way.taken(), way.dead()), (vec![(1, 1), (2, 2), (4, 4)], 1));
    way.root.send(StopAll).await.unwrap();
}

/// The plan's own actor goes to work.
fn start_plan(way: &Way) -> Addr<Supervisor> {
    let (station, metrics) = (Arc::clone(&way.station), way.scene.metrics.clone());
    let start: Start = Box::new(move |lifeline| {
        PlanActor::new(Arc::clone(&station), lifeline, &metrics).start().recipient()
    });
    supervise(&way.scene, start).0
}

fn letters(way: &Way) -> Vec<(u64, u64)> {
    let mut open = way.station.dead_letters.open(&Filter::default(), 99);
    open.reverse();
    let first = |letter: &Letter| match &letter.payload {
        Payload::Rows { first, .. } => *first,
        Payload::Message(_) => 0,
    };
    open.iter().map(|(number, letter)| (*number, first(letter))).collect()
}

#[actix::test]
async fn what_becomes_a_letter_counts_as_done_with_once_the_letter_is_safe() {
    let moods = [Mood::Refuses, Mood::RefusesRow, Mood::Takes, Mood::Takes];
    let mut way = Way::new(OnError::Store, &moods);
    way.publish(3).await;
    until("the rest is there", || way.taken().len() == 2).await;
    assert_eq!((way.taken(), way.dead()), (vec![(2, 2), (3, 3)], 2));
    assert_eq!((way.end.confirmed(), letters(&way)), (0, vec![]), "nobody has ordered it yet");
    let plan = start_plan(&way);
    way.all_confirmed().await;
    until("both are shown", || letters(&way) == [(1, 1), (2, 2)]).await;
    way.root.send(StopAll).await.unwrap();
    plan.send(StopAll).await.unwrap();
}

#[actix::test]
async fn more_is_given_up_than_may_be_under_way_where_there_is_no_way_out() {
    let mut way = Way::with_opens(OnError::Store, vec![false; 2000]);
    let plan = start_plan(&way);
    way.publish(300).await;
    way.all_confirmed().await;
    until("all are shown", || letters(&way).len() == 99).await;
    assert_eq!((way.station.dead_letters.figures().letters, way.dead()), (300, 300));
    way.root.send(StopAll).await.unwrap();
    plan.send(StopAll).await.unwrap();
}

#[actix::test]
async fn more_rows_of_one_parcel_are_refused_than_letters_may_be_under_way() {
    let mut way = Way::new(OnError::Store, &[Mood::RefusesRow; 200]);
    let plan = start_plan(&way);
    way.publish(1).await;
    way.all_confirmed().await;
    until("it is shown", || letters(&way) == [(1, 1)]).await;
    assert_eq!(way.taken(), [(1, 1)]);
    way.root.send(StopAll).await.unwrap();
    plan.send(StopAll).await.unwrap();
}

#[actix::test]
async fn what_stands_in_a_letter_already_is_not_published() {
    let mut way = Way::new(OnError::Store, &[]);
    way.end.put_aside_upto(2);
    way.publish(3).await;
    way.all_confirmed().await;
    assert_eq!((way.taken(), way.dead()), (vec![(3, 3)], 0));
    way.root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn what_was_lost_is_published_again_in_order_before_all_else() {
    let moods = [Mood::Takes, Mood::Takes, Mood::Takes, Mood::Loses];
    let mut way = Way::new(OnError::Log, &moods);
    *way.place.unsettled.lock().unwrap() = 2;
    way.publish(5).await;
    let numbers = || way.taken().iter().map(|(number, _)| *number).collect::<Vec<_>>();
    until("all were published", || numbers().len() == 8).await;
    assert_eq!(numbers(), [1, 2, 3, 4, 2, 3, 4, 5]);
    assert_eq!(way.end.confirmed(), 1);
    *way.place.unsettled.lock().unwrap() = 0;
    way.all_confirmed().await;
    assert_eq!(way.dead(), 0);
    way.root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn a_place_without_room_is_waited_for() {
    let mut way = Way::new(OnError::Log, &[Mood::IsFull; 20]);
    way.publish(2).await;
    until("both are there", || way.taken().len() == 2).await;
    assert_eq!((way.taken(), way.dead()), (vec![(1, 1), (2, 2)], 0));
    way.root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn who_waits_tries_until_it_is_taken() {
    let mut way = Way::new(OnError::Wait, &[Mood::IsAway; 5]);
    way.publish(2).await;
    until("both are there", || way.taken().len() == 2).await;
    assert_eq!((way.taken(), way.dead()), (vec![(1, 1), (2, 2)], 0));
    way.root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn a_publisher_that_panics_gets_the_parcel_again() {
    let mut way = Way::new(OnError::Log, &[Mood::Panics, Mood::Panics]);
    way.publish(2).await;
    until("both are there", || way.taken().len() == 2).await;
    assert_eq!((way.taken(), way.dead()), (vec![(1, 1), (2, 2)], 0));
    way.root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn a_parcel_it_always_panics_over_is_given_up() {
    let mut way = Way::new(OnError::Wait, &[Mood::Panics; 7]);
    way.publish(2).await;
    until("the second is there", || way.taken().len() == 1).await;
    assert_eq!((way.taken(), way.dead()), (vec![(2, 2)], 1));
    way.root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn a_place_that_cannot_be_reached_does_not_hold_up_the_plan_for_ever() {
    let mut way = Way::with_opens(OnError::Log, vec![false; 4]);
    way.publish(10).await;
    until("what waited is given up", || way.dead() == 10).await;
    until("it has tried again", || way.place.opens.lock().unwrap().is_empty()).await;
    way.publish(1).await;
    until("the next is there", || way.taken().len() == 1).await;
    way.root.send(StopAll).await.unwrap();
}

#[actix::test]
async fn what_waits_is_published_before_the_end() {
    let mut way = Way::new(OnError::Log, &[Mood::IsAway]);
    way.publish(20).await;
    way.root.send(StopAll).await.unwrap();
    assert_eq!(way.taken().len(), 20);
}

/// Counts up, a number a poll; remembers where it was by its mark.
struct Counting {
    at: i64,
    until: i64,
    faults: Arc<Mutex<Vec<i64>>>,
}

impl Receiver for Counting {
    fn open(&mut self, _: &Door, mark: Option<&Mark>) -> Result<(), ReceiverError> {
        self.at = mark.map_or(0, |mark| mark.0.parse().unwrap());
        Ok(())
    }

    fn poll(&mut self) -> Result<(Received, Next), ReceiverError> {
        let mut faults = self.faults.lock().unwrap();
        if faults.last() == Some(&self.at) {
            faults.pop();
            drop(faults);
            assert_ne!(self.at % 2, 0, "a receiver's fault");
            return Err(ReceiverError::transient("the source is gone"));
        }
        if self.at == self.until {
            return Ok((Received::default(), Next::Never));
        }
        self.at += 1;
        let mark = Some(Mark(self.at.to_string()));
        let received = Received { batch: rows(&[self.at]), mark, ..Received::default() };
        Ok((received, Next::Now))
    }
}

#[actix::test]
async fn a_receiver_that_falls_goes_on_where_it_was_and_waits_for_room() {
    let mut scene = Scene::new();
    let station = scene.adder();
    let faults = Arc::new(Mutex::new(vec![900, 555, 20, 3]));
    let made = Arc::clone(&faults);
    let make = Arc::new(move || -> Result<Box<dyn Receiver>, String> {
        Ok(Box::new(Counting { at: 0, until: 2000, faults: Arc::clone(&made) }))
    });
    let around = around(&scene);
    let job = ReceiverJob::new(make, Arc::clone(&station), "In".into(), ("edge", None), &around);
    let start: Start =
        Box::new(move |lifeline| ReceiverActor::new(job.clone(), lifeline).start().recipient());
    let (root, registry) = supervise(&scene, start);
    // The inbox takes a thousand and nobody reads: the receiver waits.
    until("the inbox is full", || station.inbox.events() == 1000).await;
    let mut seen = Vec::new();
    while seen.len() < 2000 {
        until("there is more", || station.inbox.messages() > 0).await;
        seen.extend(waiting(&station).iter().map(|rows| rows.batch.row(0)[0].as_long().unwrap()));
    }
    assert_eq!(seen, (1..=2000).collect::<Vec<_>>(), "nothing lost, nothing twice");
    until("it is done", || registry.one("edge").unwrap().state == State::Stopped).await;
    let status = registry.one("edge").unwrap();
    assert_eq!((status.restarts, status.last_exit.as_deref()), (4, Some("finished")));
    root.send(StopAll).await.unwrap();
}

/// All that waits for a plan.
fn waiting(station: &Station) -> Vec<Rows> {
    let taken = std::iter::from_fn(|| station.inbox.take());
    taken
        .map(|work| match work.message {
            Work::Rows(rows) => *rows,
            other => panic!("only rows were put in: {other:?}"),
        })
        .collect()
}

#[actix::test]
async fn a_receiver_of_both_nodes_brings_again_what_was_turned_away() {
    let mut scene = Scene::new();
    let station = scene.adder();
    while station.desk().apply_next().unwrap() {}
    let make = Arc::new(move || -> Result<Box<dyn Receiver>, String> {
        Ok(Box::new(Counting { at: 0, until: 3, faults: Arc::default() }))
    });
    let around = around(&scene);
    let named = ("edge", Some(Likeness { id: Some(0), window: 1000 }));
    let job = ReceiverJob::new(make, Arc::clone(&station), "In".into(), named, &around);
    let start: Start =
        Box::new(move |lifeline| ReceiverActor::new(job.clone(), lifeline).start().recipient());
    let (root, registry) = supervise(&scene, start);
    for turn in 0..3 {
        until("all are there", || station.inbox.messages() == 3).await;
        let mut after = None;
        let mut told = None;
        for rows in waiting(&station) {
            let (mark, copied) = (rows.mark.unwrap(), rows.copied.unwrap());
            assert_eq!((copied.after, copied.has_passed), (after, false));
            assert_eq!((&*mark.receiver, &*copied.receiver), ("edge", "edge"));
            after = Some(mark.place);
            told = rows.told;
        }
        assert_eq!(after.as_deref(), Some("3"), "it begins where the log says, at its beginning");
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_ne!(registry.one("edge").unwrap().state, State::Stopped, "they are not safe yet");
        let applied = Applied { position: 2, is_repeated: false };
        match turn {
            0 => told.unwrap().send(Err(Misfit::Unsure)).unwrap(),
            1 => drop(told),
            _ => told.unwrap().send(Ok(applied)).unwrap(),
        }
    }
    until("it is done", || registry.one("edge").unwrap().state == State::Stopped).await;
    root.send(StopAll).await.unwrap();
}

/// Gives what it is told to through its door.
struct Pushed {
    door: Arc<Mutex<Option<Door>>>,
}

impl Receiver for Pushed {
    fn open(&mut self, door: &Door, _: Option<&Mark>) -> Result<(), ReceiverError> {
        *self.door.lock().unwrap() = Some(door.clone());
        Ok(())
    }

    fn poll(&mut self) -> Result<(Received, Next), ReceiverError> {
        let received = Received { batch: rows(&[77]), ..Received::default() };
        Ok((received, Next::WhenWoken))
    }
}

#[actix::test]
async fn a_receiver_may_be_pushed_to_and_be_woken() {
    let mut scene = Scene::new();
    let station = scene.adder();
    let door = Arc::new(Mutex::new(None));
    let made = Arc::clone(&door);
    let make = Arc::new(move || -> Result<Box<dyn Receiver>, String> {
        Ok(Box::new(Pushed { door: Arc::clone(&made) }))
    });
    let around = around(&scene);
    let job = ReceiverJob::new(make, Arc::clone(&station), "In".into(), ("edge", None), &around);
    let start: Start =
        Box::new(move |lifeline| ReceiverActor::new(job.clone(), lifeline).start().recipient());
    let (root, registry) = supervise(&scene, start);
    until("it has polled once", || station.inbox.messages() == 1).await;
    let mine = door.lock().unwrap().clone().unwrap();
    assert!(mine.give(Received { batch: rows(&[1, 2]), ..Received::default() }).await);
    assert_eq!(station.inbox.messages(), 2);
    mine.wake();
    until("it has polled again", || station.inbox.messages() == 3).await;
    assert!(registry.send("edge", Control::Fall));
    until("it polls in its next life", || station.inbox.messages() == 4).await;
    station.inbox.close();
    assert!(!mine.give(Received { batch: rows(&[1]), ..Received::default() }).await);
    root.do_send(StopAll);
}
