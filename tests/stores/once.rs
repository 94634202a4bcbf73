//! Writing once: whatever is given twice, late, or by two at the same time is there once.

use std::thread;

use twinflow::event::Batch;
use twinflow::event::DataType;
use twinflow::event::Schema;
use twinflow::event::Value;
use twinflow::store::Change;
use twinflow::store::Kind;
use twinflow::store::Mark;
use twinflow::store::Session;
use twinflow::store::StoreError;
use twinflow::store::Table;
use twinflow::store::Writer;
use twinflow::store::forget_writer;
use twinflow::store::write_once;
use twinflow::store::written_so_far;

use crate::servers::Place;
use crate::servers::Which;
use crate::servers::on_each;

on_each![
    rows_given_again_are_not_written_again,
    a_late_epoch_is_refused_and_writes_nothing,
    a_new_generation_counts_anew,
    what_fails_leaves_neither_rows_nor_mark,
    each_writer_has_a_mark_of_its_own,
    of_many_who_write_the_same_rows_each_row_is_there_once,
    many_writers_at_once_do_not_disturb_each_other,
    a_session_that_ends_in_the_middle_leaves_nothing,
];

fn writer(name: &str) -> Writer {
    Writer { plan: "plan".to_owned(), name: name.to_owned() }
}

/// A table that takes every row it is given, so that repeats would be seen.
fn table() -> Table {
    Table::new("results", Schema::new([("number", DataType::Long), ("epoch", DataType::Long)]))
}

/// Writes rows `number..number + count`.
fn give(
    session: &mut Session,
    name: &str,
    (generation, epoch): (u64, u64),
    (number, count): (u64, usize),
) -> Result<usize, StoreError> {
    write_once(session, &writer(name), generation, epoch, number, count, |session, skip| {
        let mut rows = Batch::new(&[DataType::Long; 2]);
        for offset in skip..count {
            let number = Value::Long((number + offset as u64) as i64);
            rows.push_row(0, &[number, Value::Long(epoch as i64)]);
        }
        session.change(Change::Insert, &table(), &rows, 0..rows.len()).map(|_| ())
    })
}

fn rows(session: &mut Session) -> Vec<(i64, i64)> {
    let sql = "SELECT number, epoch FROM results ORDER BY number, epoch";
    let found = session.query(sql, &[], &[DataType::Long; 2]).unwrap();
    let value = |column: usize, row| found.columns[column].value(row).as_long().unwrap();
    (0..found.len()).map(|row| (value(0, row), value(1, row))).collect()
}

fn numbers(session: &mut Session) -> Vec<i64> {
    rows(session).into_iter().map(|(number, _)| number).collect()
}

fn ready(place: &Place) -> Session {
    let mut session = place.session();
    session.make_or_check(&table()).unwrap();
    session
}

fn rows_given_again_are_not_written_again(place: &Place) {
    let mut session = ready(place);
    assert_eq!(written_so_far(&mut session, &writer("w")).unwrap(), None);
    assert_eq!(give(&mut session, "w", (7, 1), (1, 3)).unwrap(), 3);
    assert_eq!(give(&mut session, "w", (7, 1), (1, 3)).unwrap(), 0);
    assert_eq!(give(&mut session, "w", (7, 1), (2, 4)).unwrap(), 2);
    assert_eq!(give(&mut session, "w", (7, 1), (1, 1)).unwrap(), 0);
    // Some were dropped on the way, as an error action may say.
    assert_eq!(give(&mut session, "w", (7, 2), (8, 2)).unwrap(), 2);
    assert_eq!(give(&mut session, "w", (7, 2), (8, 2)).unwrap(), 0);
    assert_eq!(numbers(&mut session), [1, 2, 3, 4, 5, 8, 9]);
    let mark = Mark { generation: 7, epoch: 2, number: 9 };
    assert_eq!(written_so_far(&mut session, &writer("w")).unwrap(), Some(mark));
}

fn a_late_epoch_is_refused_and_writes_nothing(place: &Place) {
    let mut session = ready(place);
    give(&mut session, "w", (7, 3), (1, 2)).unwrap();
    for number in [1, 3] {
        let error = give(&mut session, "w", (7, 2), (number, 2)).unwrap_err();
        assert_eq!(error.kind, Kind::Deposed);
        let told = error.to_string();
        assert!(told.contains("in epoch 3") && told.contains("in epoch 2"), "{told}");
    }
    give(&mut session, "w", (7, 3), (3, 1)).unwrap();
    assert_eq!(rows(&mut session), [(1, 3), (2, 3), (3, 3)]);
}

fn a_new_generation_counts_anew(place: &Place) {
    let mut session = ready(place);
    give(&mut session, "w", (u64::MAX, 1), (1, 2)).unwrap();
    assert_eq!(give(&mut session, "w", (3, 2), (1, 2)).unwrap(), 2);
    assert_eq!(give(&mut session, "w", (3, 2), (2, 2)).unwrap(), 1);
    assert_eq!(rows(&mut session), [(1, 1), (1, 2), (2, 1), (2, 2), (3, 2)]);
}

fn what_fails_leaves_neither_rows_nor_mark(place: &Place) {
    let mut session = ready(place);
    give(&mut session, "w", (7, 1), (1, 1)).unwrap();
    let bad = write_once(&mut session, &writer("w"), 7, 1, 2, 1, |session, _| {
        session.execute("INSERT INTO results VALUES (2, 1)", &[])?;
        session.execute("INSERT INTO nowhere VALUES (2, 1)", &[]).map(|_| ())
    });
    assert_eq!(bad.unwrap_err().kind, Kind::Refused);
    assert_eq!(numbers(&mut session), [1]);
    assert_eq!(give(&mut session, "w", (7, 1), (2, 1)).unwrap(), 1);
    assert_eq!(numbers(&mut session), [1, 2]);
}

fn each_writer_has_a_mark_of_its_own(place: &Place) {
    let mut session = ready(place);
    for name in ["w", "W", "w2", "store:Größe"] {
        assert_eq!(give(&mut session, name, (7, 1), (1, 1)).unwrap(), 1, "{name}");
    }
    forget_writer(&mut session, &writer("w")).unwrap();
    assert_eq!(give(&mut session, "w", (7, 1), (1, 1)).unwrap(), 1);
    assert_eq!(give(&mut session, "W", (7, 1), (1, 1)).unwrap(), 0);
}

/// Tries until it is done or refused, as a publisher does.
fn give_on(store: &twinflow::store::Store, name: &str, epoch: u64, rows: (u64, usize)) -> bool {
    loop {
        let done = store.session().and_then(|mut s| give(&mut s, name, (7, epoch), rows));
        match done {
            Ok(_) => return true,
            Err(error) if error.kind == Kind::Deposed => return false,
            Err(error) => assert!(error.may_pass(), "{error}"),
        }
    }
}

fn of_many_who_write_the_same_rows_each_row_is_there_once(place: &Place) {
    const PARCELS: u64 = 20;
    let mut session = ready(place);
    let store = place.store();
    thread::scope(|scope| {
        for epoch in [1, 1, 2, 3] {
            let store = &store;
            scope.spawn(move || {
                for parcel in 0..PARCELS {
                    if !give_on(store, "w", epoch, (parcel * 5 + 1, 5)) {
                        break;
                    }
                }
            });
        }
    });
    let all: Vec<_> = (1..=PARCELS as i64 * 5).collect();
    assert_eq!(numbers(&mut session), all);
    // No epoch went back.
    let epochs: Vec<_> = rows(&mut session).into_iter().map(|(_, epoch)| epoch).collect();
    assert!(epochs.is_sorted(), "{epochs:?}");
}

fn many_writers_at_once_do_not_disturb_each_other(place: &Place) {
    let mut session = ready(place);
    let store = place.store();
    thread::scope(|scope| {
        for writer in 0..8 {
            let store = &store;
            scope.spawn(move || {
                let name = format!("w{writer}");
                for number in 1..=10 {
                    assert!(give_on(store, &name, 1, (number, 1)));
                }
            });
        }
    });
    let mut expected: Vec<i64> = (1..=10).flat_map(|number| [number; 8]).collect();
    expected.sort_unstable();
    assert_eq!(numbers(&mut session), expected);
}

fn a_session_that_ends_in_the_middle_leaves_nothing(place: &Place) {
    let mut session = ready(place);
    let mut other = place.session();
    other.begin().unwrap();
    other.execute("INSERT INTO results VALUES (1, 1)", &[]).unwrap();
    drop(other);
    assert_eq!(give(&mut session, "w", (7, 1), (5, 1)).unwrap(), 1);
    assert_eq!(numbers(&mut session), [5]);
}

/// A node that was stopped inside its transaction holds the writer's lock; its server ends that
/// session after a while, and what the node says later is refused.
fn a_stopped_writer_is_overtaken(place: &Place) {
    let mut session = ready(place);
    give(&mut session, "w", (7, 1), (1, 1)).unwrap();
    let store = place.store();
    let late = write_once(&mut session, &writer("w"), 7, 1, 2, 1, |session, _| {
        session.execute("INSERT INTO results VALUES (2, 1)", &[])?;
        // Meanwhile the other node takes over.
        assert!(give_on(&store, "w", 2, (2, 1)));
        session.execute("INSERT INTO results VALUES (2, 1)", &[]).map(|_| ())
    });
    assert_eq!(late.unwrap_err().kind, Kind::Lost);
    drop(session);
    let mut session = place.session();
    assert_eq!(give(&mut session, "w", (7, 1), (2, 1)).unwrap_err().kind, Kind::Deposed);
    assert_eq!(rows(&mut session), [(1, 1), (2, 2)]);
}

#[test]
fn a_writer_stopped_at_mariadb_is_overtaken() {
    a_stopped_writer_is_overtaken(&Place::shared(Which::Mariadb));
}

#[test]
fn a_writer_stopped_at_postgres_is_overtaken() {
    a_stopped_writer_is_overtaken(&Place::shared(Which::Postgres));
}
