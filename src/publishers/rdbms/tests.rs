//! Publishers that write to a table of a store, against SQLite in a file.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::event::Batch;
use crate::event::DataType;
use crate::event::Schema;
use crate::event::Value;
use crate::plan::logical::Role;
use crate::publishers::OnError;
use crate::publishers::Parcel;
use crate::publishers::PublishError;
use crate::publishers::Publisher;
use crate::publishers::harness::Sink;
use crate::publishers::rdbms::read_table;
use crate::store::Stores;

/// A database in a folder of its own.
struct Scene {
    folder: TempDir,
    stores: Stores,
}

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let stores = Stores::in_file("D", &folder.path().join("d.db"));
        Scene { folder, stores }
    }

    fn sink(&self, role: Role, schema: &Schema) -> Sink {
        let sink = Sink::new("rdbms", schema).option("datasource", "D").option("table.name", "t");
        Sink { role, stores: Some(self.stores.clone()), ..sink }
    }

    /// The rows of the table in order, as text.
    fn rows(&self, columns: &str, types: &[DataType]) -> Vec<String> {
        let mut session = self.stores.get("D").unwrap().session().unwrap();
        let sql = format!("SELECT {columns} FROM t ORDER BY {columns}");
        let rows = session.query(&sql, &[], types).unwrap();
        (0..rows.len()).map(|row| shown(&rows.row(row))).collect()
    }
}

fn shown(values: &[Value]) -> String {
    let one = |value: &Value| match value {
        Value::Int(number) => number.to_string(),
        Value::Long(number) => number.to_string(),
        Value::Text(text) => text.to_string(),
        Value::Null => "null".to_owned(),
        other => format!("{other:?}"),
    };
    values.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn changes() -> Schema {
    Schema::new([("_change", DataType::Int), ("k", DataType::Text), ("n", DataType::Long)])
}

fn change(code: i32, k: &str, n: i64) -> Vec<Value> {
    vec![Value::Int(code), k.into(), Value::Long(n)]
}

fn parcel(sink: &Sink, number: u64, rows: &[Vec<Value>]) -> Parcel {
    let rows: Vec<&[Value]> = rows.iter().map(Vec::as_slice).collect();
    Parcel { publisher: "store:T".into(), ..sink.parcel(number, &rows) }
}

fn later(parcel: &Parcel, epoch: u64) -> Parcel {
    Parcel { epoch, ..parcel.clone() }
}

const KEYED: [DataType; 2] = [DataType::Text, DataType::Long];

#[test]
fn the_last_change_of_each_row_is_what_the_table_has() {
    let scene = Scene::new();
    let sink = scene.sink(Role::Changes, &changes()).option("primary.keys", "k");
    let mut store = sink.build();
    store.publish(&parcel(&sink, 1, &[change(0, "a", 1), change(0, "b", 2)])).unwrap();
    store
        .publish(&parcel(
            &sink,
            3,
            &[change(1, "a", 3), change(2, "b", 0), change(0, "c", 4), change(2, "c", 0)],
        ))
        .unwrap();
    store.publish(&parcel(&sink, 7, &[change(0, "b", 9), change(1, "a", 5)])).unwrap();
    assert!(!store.settled(1), "nothing is committed");
    store.flush().unwrap();
    assert!(store.settled(7) && !store.is_lost());
    assert_eq!(scene.rows("k, n", &KEYED), ["a 5", "b 9"]);
    store.publish(&parcel(&sink, 9, &[change(2, "a", 0)])).unwrap();
    store.flush().unwrap();
    assert_eq!(scene.rows("k, n", &KEYED), ["b 9"]);
}

#[test]
fn what_is_given_again_is_written_once_and_a_late_node_is_refused() {
    let scene = Scene::new();
    let schema = Schema::new([("n", DataType::Long)]);
    let sink = scene.sink(Role::Sink, &schema);
    let one = |number: u64, rows: &[i64]| {
        let rows: Vec<_> = rows.iter().map(|n| vec![Value::Long(*n)]).collect();
        parcel(&sink, number, &rows)
    };
    let (mut old, mut new) = (sink.build(), sink.build());
    old.publish(&later(&one(1, &[1, 2]), 1)).unwrap();
    old.flush().unwrap();
    // The node that takes over knows nothing of that, and its parcels end elsewhere.
    new.publish(&later(&one(1, &[1]), 2)).unwrap();
    new.publish(&later(&one(2, &[2, 3]), 2)).unwrap();
    new.flush().unwrap();
    assert!(new.settled(2));
    old.publish(&later(&one(3, &[3]), 1)).unwrap();
    let error = old.flush().unwrap_err();
    assert!(error.deposed && error.transient, "{error:?}");
    assert!(old.is_lost() && !old.settled(3));
    assert_eq!(scene.rows("n", &[DataType::Long]), ["1", "2", "3"]);
    // A plan that was removed and came again counts from 1.
    let again = Parcel { generation: 8, ..later(&one(1, &[4]), 2) };
    new.publish(&again).unwrap();
    new.flush().unwrap();
    assert_eq!(scene.rows("n", &[DataType::Long]).len(), 4);
}

#[test]
fn a_store_that_is_away_is_tried_again_and_nothing_is_lost() {
    let scene = Scene::new();
    let away = scene.folder.path().join("away");
    let schema = Schema::new([("n", DataType::Long)]);
    let stores = Stores::in_file("D", &away.join("d.db"));
    let sink = Sink { stores: Some(stores.clone()), ..scene.sink(Role::Sink, &schema) };
    let one = |number: u64| parcel(&sink, number, &[vec![Value::Long(number as i64)]]);
    let mut store = sink.build();
    store.publish(&one(1)).unwrap();
    store.publish(&one(2)).unwrap();
    // Something stands where its folder is to be.
    std::fs::write(&away, "in the way").unwrap();
    let error = store.flush().unwrap_err();
    assert!(error.transient && !error.busy && !error.deposed, "{error:?}");
    assert!(store.is_lost() && !store.is_lost(), "told once");
    assert!(store.publish(&one(1)).is_err(), "alone, so that the try counts");
    std::fs::remove_file(&away).unwrap();
    std::fs::create_dir(&away).unwrap();
    for number in 1..=3 {
        store.publish(&one(number)).unwrap();
    }
    store.flush().unwrap();
    assert!(store.settled(3));
    let mut session = stores.get("D").unwrap().session().unwrap();
    let rows = session.query("SELECT n FROM t", &[], &[DataType::Long]).unwrap();
    assert_eq!(rows.columns[0].longs(), [1, 2, 3]);
}

/// Publishes as the actor does, and gives the rows that were refused.
fn publish(store: &mut dyn Publisher, parcels: &[Parcel]) -> Vec<std::ops::Range<usize>> {
    let mut refused = Vec::new();
    let mut failed = true;
    while failed {
        failed = false;
        for parcel in parcels
            .iter()
            .filter(|parcel| !store.settled(parcel.number))
            .cloned()
            .collect::<Vec<_>>()
        {
            loop {
                match store.publish(&parcel) {
                    Ok(()) => break,
                    Err(PublishError { rows: Some(rows), .. }) => refused.push(rows),
                    Err(error) => panic!("{error:?}"),
                }
            }
        }
        if store.flush().is_err() {
            assert!(store.is_lost());
            failed = true;
        }
    }
    refused
}

#[test]
fn only_the_rows_that_are_to_blame_are_refused() {
    let scene = Scene::new();
    let schema = Schema::new([("n", DataType::Long)]);
    let sink = scene.sink(Role::Sink, &schema).option("keys", "n");
    let parcels: Vec<Parcel> = [vec![1, 2, 3], vec![4, 2, 5, 1, 6], vec![7], vec![7]]
        .iter()
        .scan(1, |number, rows: &Vec<i64>| {
            let values: Vec<_> = rows.iter().map(|n| vec![Value::Long(*n)]).collect();
            let parcel = parcel(&sink, *number, &values);
            *number += rows.len() as u64;
            Some(parcel)
        })
        .collect();
    let mut store = sink.build();
    assert_eq!(publish(&mut *store, &parcels), [1..2, 3..4, 0..1]);
    let rows = scene.rows("n", &[DataType::Long]);
    assert_eq!(rows, ["1", "2", "3", "4", "5", "6", "7"]);
    assert!(store.settled(parcels[3].number));
}

#[test]
fn events_are_kept_with_their_time_until_they_are_too_old() {
    let scene = Scene::new();
    let schema = Schema::new([("a", DataType::Int)]);
    let sink = scene.sink(Role::Events, &schema).option("indices", "a");
    let mut store = sink.build();
    let mut events = parcel(&sink, 1, &[vec![Value::Int(1)], vec![Value::Int(2)]]);
    let batch = Batch { timestamps: vec![1_000, i64::MAX], ..(*events.batch).clone() };
    events.batch = Arc::new(batch);
    store.publish(&events).unwrap();
    store.flush().unwrap();
    let types = [DataType::Long, DataType::Int];
    let kept = ["1000 1".to_owned(), format!("{} 2", i64::MAX)];
    assert_eq!(scene.rows("_timestamp, a", &types), kept);
    assert_eq!(store.rest(true), None);
    let sink = sink.option("retention.period", "1 hour");
    let mut store = sink.build();
    assert_eq!(store.rest(false), Some(Duration::from_secs(60)));
    assert_eq!(scene.rows("_timestamp, a", &types).len(), 2, "another node acts");
    store.rest(true);
    assert_eq!(scene.rows("_timestamp, a", &types), kept[1..]);
}

#[test]
fn the_rows_of_a_table_are_read_in_order_of_their_key() {
    let scene = Scene::new();
    let schema =
        Schema::new([("_change", DataType::Int), ("n", DataType::Long), ("_row", DataType::Long)]);
    let sink = scene.sink(Role::Changes, &schema);
    let read = || {
        let mut all = Vec::new();
        let taken = read_table(&sink.setup(), |rows| {
            all.extend((0..rows.len()).map(|row| shown(&rows.row(row))));
            Ok(())
        });
        taken.map(|()| all)
    };
    assert_eq!(read().unwrap(), [""; 0], "it is made");
    let mut store = sink.build();
    let row = |n: i64, row: i64| vec![Value::Int(0), Value::Long(n), Value::Long(row)];
    store.publish(&parcel(&sink, 1, &[row(8, 2), row(9, 1)])).unwrap();
    store.flush().unwrap();
    assert_eq!(read().unwrap(), ["9 1", "8 2"]);
}

#[test]
fn options_are_checked() {
    let scene = Scene::new();
    let keyed = changes();
    let table = || scene.sink(Role::Changes, &keyed).option("primary.keys", "k");
    let plain = Schema::new([("ip", DataType::Text), ("n", DataType::Long)]);
    let sink = || scene.sink(Role::Sink, &plain);
    let twice = Schema::new([("a", DataType::Long), ("A", DataType::Long)]);
    let time = Schema::new([("_timestamp", DataType::Text)]);
    let bare = |role| Sink { role, ..Sink::new("rdbms", &plain) };
    for (sink, words) in [
        (bare(Role::Sink), "needs the option `datasource`"),
        (bare(Role::Events).option("datasource", "E"), "there is no store `E`"),
        (table().option("table.nme", "x"), "has no option `table.nme`"),
        (table().option("jdbc.url", "x"), "not supported yet"),
        (table().option("field.length", "n:9"), "expected a string attribute"),
        (table().option("field.length", "k"), "expected a string attribute"),
        (table().option("on.error", "WAIT"), "one of `RETRY`"),
        (table().option("indices", "z"), "there is no attribute `z`"),
        (sink().option("operation", "upsert"), "needs `keys`"),
        (sink().option("keys", "z"), "there is no attribute `z`"),
        (sink().option("on.error", "RETRY"), "one of `LOG`"),
        (sink().mapper("json"), "`@map` has no place"),
        (scene.sink(Role::Sink, &twice), "one column `A` only"),
        (scene.sink(Role::Events, &time), "is a long"),
        (Sink { role: Role::Changes, ..Sink::new("mongodb", &keyed) }, "store `mongodb`"),
        (Sink { role: Role::Changes, ..Sink::new("x", &keyed) }, "there is no store `x`"),
    ] {
        let sink = Sink { stores: Some(scene.stores.clone()), ..sink };
        let faults = sink.faults();
        assert!(faults[0].message.contains(words), "{words}: {faults:?}");
    }
    let right = table().option("field.length", "k.40").option("on.error", "retry");
    assert_eq!(right.try_build().unwrap().on_error, OnError::Wait);
    assert_eq!(table().option("on.error", "LOG").try_build().unwrap().on_error, OnError::Log);
    assert_eq!(table().option("on.error", "STORE").try_build().unwrap().on_error, OnError::Store);
    // Where plans are only checked nobody knows the stores.
    let unknown = Sink { stores: None, ..sink().option("keys", "ip") };
    assert!(unknown.try_build().is_ok());
}
