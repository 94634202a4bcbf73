//! How fast rows find what an external table has: entries through the plan, its questions through
//! the publisher, and the answers through the plan again. Nothing is kept of earlier answers.

use std::sync::Arc;
use std::time::Instant;

use twinflow::event::Batch;
use twinflow::event::DataType;
use twinflow::event::Value;
use twinflow::plan::logical::Role;
use twinflow::publishers;
use twinflow::publishers::Parcel;
use twinflow::publishers::Publisher;
use twinflow::publishers::Setup;
use twinflow::replica::Body;
use twinflow::replica::Deployment;
use twinflow::replica::EngineMaker;
use twinflow::replica::LogEntry;
use twinflow::replica::Replica;
use twinflow::topics::Topics;

use crate::ENTRY;
use crate::servers::Place;
use crate::stores;

/// Rows of the table, and how many keys are asked for.
const TABLE_ROWS: usize = 100_000;
const KEYS: usize = 150_000;
/// Rows that ask.
const ROWS: usize = 100_000;
/// Entries whose questions wait for the publisher at once, where a plan is busy.
const TOGETHER: usize = 8;

const PLAN: &str = "define stream In (k long, name string, price double); \
    define stream Fill (k long, name string, price double); \
    @store(type='rdbms', datasource='D', external='true') @primaryKey('k') \
    define table T (k long, name string, price double); \
    from Fill insert into T; \
    from In join T on In.k == T.k select In.k as k, T.price as price insert into Out;";

struct Scene {
    replica: Replica,
    publisher: Box<dyn Publisher>,
    /// Rows put out.
    found: usize,
    last: u64,
}

/// Rows that asked and are answered, and how many seconds that took.
pub fn run(place: &Place) -> (f64, f64) {
    let mut replica = Replica::new(Arc::new(EngineMaker));
    let deployment = Deployment { number: 1, text: PLAN.into(), secret: 7 };
    let entry = LogEntry::new(1, Body::Deploy(deployment));
    replica.apply(entry, &mut Vec::new(), &mut Vec::new()).expect("the plan runs");
    let stores = stores(place);
    let publisher = {
        let plan = replica.plan().expect("it runs");
        let stream = &plan.streams[plan.tables[0].changes.expect("it is external")];
        let setup = Setup {
            plan: "bench",
            stream: "T",
            schema: &stream.schema,
            endpoint: stream.store.as_ref().expect("it is external"),
            role: Role::Errands,
            topics: &Topics::new(),
            stores: Some(&stores),
        };
        publishers::build(&setup).expect("it is right").publisher
    };
    let mut scene = Scene { replica, publisher, found: 0, last: 0 };
    for start in (0..TABLE_ROWS).step_by(ENTRY) {
        scene.send("Fill", batch(start..start + ENTRY));
    }
    scene.finish();
    let asking: Vec<Batch> = (0..ROWS / ENTRY)
        .map(|entry| batch((entry * ENTRY..(entry + 1) * ENTRY).map(|row| row * 7_919 % KEYS)))
        .collect();
    let begin = Instant::now();
    for (number, batch) in asking.into_iter().enumerate() {
        scene.send("In", batch);
        if number % TOGETHER == TOGETHER - 1 {
            scene.finish();
        }
    }
    scene.finish();
    let seconds = begin.elapsed().as_secs_f64();
    let expected = (0..ROWS).filter(|row| row * 7_919 % KEYS < TABLE_ROWS).count();
    assert_eq!(scene.found, expected, "each row finds what there is");
    (ROWS as f64, seconds)
}

fn batch(keys: impl Iterator<Item = usize>) -> Batch {
    let mut batch = Batch::new(&[DataType::Long, DataType::Text, DataType::Double]);
    for key in keys {
        let name = format!("customer {key}");
        let price = Value::Double(key as f64 / 7.0);
        batch.push_row(1, &[Value::Long(key as i64), Value::from(name.as_str()), price]);
    }
    batch
}

impl Scene {
    fn send(&mut self, stream: &str, batch: Batch) {
        let stream = stream.into();
        self.apply(Body::Rows { stream, sending: None, mark: None, copied: None, batch });
    }

    /// Has the publisher do what waits, and takes the answers.
    fn finish(&mut self) {
        self.publisher.flush().expect("the store answers");
        assert!(self.publisher.settled(self.last), "all is done");
        for answered in self.publisher.answers() {
            self.apply(Body::Answers(answered.answers));
        }
    }

    fn apply(&mut self, body: Body) {
        let (mut outputs, mut notes) = (Vec::new(), Vec::new());
        let entry = LogEntry::new(1, body);
        self.replica.apply(entry, &mut outputs, &mut notes).expect("the plan runs");
        let plan = Arc::clone(self.replica.plan().expect("it runs"));
        for output in outputs {
            if plan.streams[output.stream].name == "Out" {
                self.found += output.rows.len();
            }
            for (publisher, number) in output.publishers {
                self.last = number;
                let parcel = Parcel {
                    plan: "bench".into(),
                    stream: "T".into(),
                    publisher,
                    schema: Arc::new(plan.streams[output.stream].schema.clone()),
                    generation: 1,
                    number,
                    epoch: 0,
                    reading: 0,
                    batch: Arc::clone(&output.rows),
                };
                self.publisher.publish(&parcel).expect("the store answers");
            }
        }
    }
}
