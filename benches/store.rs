//! How fast the rows of an owned table reach a database: entries through the plan, its changes
//! through the publisher, to the last commit. And how fast rows find what an external table has.
//!
//! `cargo bench --bench store` measures SQLite in a file, and MariaDB and PostgreSQL over loopback;
//! `scripts/database` starts and stops the servers.

#![expect(clippy::print_stdout, reason = "what is measured is printed")]

#[allow(dead_code, unused_imports, unused_macros, reason = "the tests use more of it")]
#[path = "../tests/stores/servers.rs"]
mod servers;

mod lookups;

use std::sync::Arc;
use std::time::Instant;

use servers::Place;
use servers::Which;
use twinflow::config::Config;
use twinflow::config::Raw;
use twinflow::event::Batch;
use twinflow::event::DataType;
use twinflow::event::Schema;
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
use twinflow::store::Stores;
use twinflow::topics::Topics;

/// Rows of an entry, as a busy plan takes them.
const ENTRY: usize = 500;
const ROWS: usize = 300_000;

/// One plan inserts, the other sets rows that are there: each key some thirty times.
const INSERT: &str = "from In insert into T;";
const UPSERT: &str = "from In select k % 10000L as k, name, price, n \
                      update or insert into T on T.k == k;";

fn main() {
    for which in [Which::Sqlite, Which::Mariadb, Which::Postgres] {
        for (what, query) in [("inserts", INSERT), ("updates", UPSERT)] {
            let place = Place::shared(which);
            let (rows, seconds) = run(&place, query);
            println!(
                "{which:?} {what}: {rows} rows in {seconds:.2} s, {:.0} rows/s",
                rows / seconds
            );
        }
        let (rows, seconds) = lookups::run(&Place::shared(which));
        println!("{which:?} look-ups: {rows} rows in {seconds:.2} s, {:.0} rows/s", rows / seconds);
    }
}

/// Rows until they are committed, and how long that took.
fn run(place: &Place, query: &str) -> (f64, f64) {
    let text = format!(
        "define stream In (k long, name string, price double, n int); \
         @store(type='rdbms', datasource='D') @primaryKey('k') \
         define table T (k long, name string, price double, n int); {query}"
    );
    let mut replica = Replica::new(Arc::new(EngineMaker));
    let text = text.as_str().into();
    let deployment = Deployment { number: 1, text, secret: 7 };
    apply(&mut replica, Body::Deploy(deployment));
    let types = [DataType::Long, DataType::Text, DataType::Double, DataType::Int];
    let (table, batch) = ("T".into(), Batch::new(&types));
    apply(&mut replica, Body::Load { table, is_first: true, is_last: true, batch });
    let stores = stores(place);
    let mut publisher = publisher(&replica, &stores);
    let entries: Vec<Batch> = (0..ROWS / ENTRY).map(|entry| rows(entry, &types)).collect();
    let begin = Instant::now();
    let mut last = 0;
    for batch in entries {
        let body =
            Body::Rows { stream: "In".into(), sending: None, mark: None, copied: None, batch };
        for parcel in apply(&mut replica, body) {
            last = parcel.number;
            publisher.publish(&parcel).expect("the store takes it");
        }
    }
    publisher.flush().expect("the store takes it");
    assert!(publisher.settled(last), "all is committed");
    (ROWS as f64, begin.elapsed().as_secs_f64())
}

fn rows(entry: usize, types: &[DataType]) -> Batch {
    let mut batch = Batch::new(types);
    for row in entry * ENTRY..(entry + 1) * ENTRY {
        let name = format!("customer {row}");
        let price = Value::Double(row as f64 / 7.0);
        let values = [Value::Long(row as i64), Value::from(name.as_str()), price, Value::Int(1)];
        batch.push_row(row as i64, &values);
    }
    batch
}

/// Applies an entry; gives the changes of the table as parcels.
fn apply(replica: &mut Replica, body: Body) -> Vec<Parcel> {
    let (mut outputs, mut notes) = (Vec::new(), Vec::new());
    replica.apply(LogEntry::new(1, body), &mut outputs, &mut notes).expect("the plan runs");
    let mut parcels = Vec::new();
    for output in outputs {
        for (publisher, number) in output.publishers {
            parcels.push(Parcel {
                plan: "bench".into(),
                stream: "T".into(),
                publisher,
                schema: Arc::new(changes(replica)),
                generation: 1,
                number,
                epoch: 0,
                reading: 0,
                batch: Arc::clone(&output.rows),
            });
        }
    }
    parcels
}

fn changes(replica: &Replica) -> Schema {
    let plan = replica.plan().expect("it runs");
    plan.streams[plan.tables[0].changes.expect("it is kept")].schema.clone()
}

fn publisher(replica: &Replica, stores: &Stores) -> Box<dyn Publisher> {
    let plan = replica.plan().expect("it runs");
    let stream = &plan.streams[plan.tables[0].changes.expect("it is kept")];
    let setup = Setup {
        plan: "bench",
        stream: "T",
        schema: &stream.schema,
        endpoint: stream.store.as_ref().expect("it is kept"),
        role: Role::Changes,
        topics: &Topics::new(),
        stores: Some(stores),
    };
    publishers::build(&setup).expect("it is right").publisher
}

fn stores(place: &Place) -> Stores {
    let text = format!("[stores.D]\n{}", place.settings());
    let config = Config::from_raw(&Raw::parse("bench", &text, [])).expect("good settings");
    Stores::new(&config.stores)
}
