//! Connections: how many, who waits, what happens when the server goes away.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use twinflow::event::DataType;
use twinflow::event::Value;
use twinflow::store::Kind;
use twinflow::store::Store;

use crate::servers::Place;
use crate::servers::Server;
use crate::servers::Which;
use crate::servers::on_each;
use crate::servers::store;

on_each![
    no_more_connections_than_the_settings_say,
    whoever_waits_gets_the_connection_that_comes_back,
    a_statement_that_takes_too_long_is_given_up,
    bad_sql_is_refused_and_the_session_goes_on,
    an_open_transaction_is_undone_when_its_session_ends,
];

fn one(store: &Store) -> Result<Value, twinflow::store::StoreError> {
    let found = store.session()?.query("SELECT 1", &[], &[DataType::Int])?;
    Ok(found.columns[0].value(0))
}

fn no_more_connections_than_the_settings_say(place: &Place) {
    let store = place.store_with("connections_max = 2\nwait_max = '20ms'\n");
    let sessions = [store.session().unwrap(), store.session().unwrap()];
    let error = store.session().unwrap_err();
    assert_eq!(error.kind, Kind::Busy);
    let told = error.to_string();
    assert!(told.contains("all 2 connections were in use for 20ms"), "{told}");
    drop(sessions);
    assert_eq!(one(&store).unwrap(), Value::Int(1));
}

fn whoever_waits_gets_the_connection_that_comes_back(place: &Place) {
    let store = place.store_with("connections_max = 1\n");
    let session = store.session().unwrap();
    let waits = AtomicBool::new(true);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let value = one(&store).unwrap();
            assert!(!waits.load(Ordering::Acquire), "two had the only connection");
            value
        });
        thread::sleep(Duration::from_millis(50));
        waits.store(false, Ordering::Release);
        drop(session);
        assert_eq!(waiting.join().unwrap(), Value::Int(1));
    });
}

fn a_statement_that_takes_too_long_is_given_up(place: &Place) {
    let store = place.store_with("statement_time_max = '2s'\n");
    let mut session = store.session().unwrap();
    let sql = match place.which {
        Which::Sqlite => {
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
        }
        Which::Mariadb => "SELECT count(*) FROM seq_1_to_1000000 a, seq_1_to_1000000 b",
        Which::Postgres => {
            "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b"
        }
    };
    let error = session.query(sql, &[], &[DataType::Long]).unwrap_err();
    assert_eq!(error.kind, Kind::Slow, "{error}");
    let found = session.query("SELECT 1", &[], &[DataType::Int]).unwrap();
    assert_eq!(found.row(0), [Value::Int(1)]);
}

fn bad_sql_is_refused_and_the_session_goes_on(place: &Place) {
    let mut session = place.session();
    let error = session.execute("SELEKT 1", &[]).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.to_string().starts_with("store `tested`: "), "{error}");
    assert!(error.to_string().contains("SELEKT"), "{error}");
    let error = session.query("SELECT x FROM nowhere", &[], &[DataType::Int]).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    let found = session.query("SELECT 1", &[], &[DataType::Int]).unwrap();
    assert_eq!(found.row(0), [Value::Int(1)]);
}

fn an_open_transaction_is_undone_when_its_session_ends(place: &Place) {
    let store = place.store_with("connections_max = 1\n");
    let mut session = store.session().unwrap();
    session.run("CREATE TABLE t (n BIGINT)").unwrap();
    session.begin().unwrap();
    session.execute("INSERT INTO t VALUES (1)", &[]).unwrap();
    drop(session);
    // The same connection.
    let mut session = store.session().unwrap();
    session.begin().unwrap();
    session.rollback().unwrap();
    let found = session.query("SELECT count(*) FROM t", &[], &[DataType::Long]).unwrap();
    assert_eq!(found.row(0), [Value::Long(0)]);
}

fn servers() -> [Which; 2] {
    [Which::Mariadb, Which::Postgres]
}

#[test]
fn a_server_that_was_killed_and_started_again_is_found_again() {
    for which in servers() {
        let (place, server) = Place::alone(which);
        let store = place.store();
        let lent = store.session().unwrap();
        assert_eq!(one(&store).unwrap(), Value::Int(1));
        server.kill();
        let error = one(&store).unwrap_err();
        assert_eq!(error.kind, Kind::Lost, "{which:?}: {error}");
        let mut lent = lent;
        assert_eq!(lent.query("SELECT 1", &[], &[DataType::Int]).unwrap_err().kind, Kind::Lost);
        drop(lent);
        assert_eq!(one(&store).unwrap_err().kind, Kind::Lost);
        server.start_again();
        assert_eq!(one(&store).unwrap(), Value::Int(1), "{which:?}");
    }
}

/// What rests was tried a moment ago and is not tried again: the first to use it meets the loss,
/// the second a new connection.
#[test]
fn after_a_restart_one_session_fails_at_most() {
    for which in servers() {
        let (place, server) = Place::alone(which);
        let tried = place.store_with("validation_interval = '0ms'\n");
        let untried = place.store();
        for store in [&tried, &untried] {
            let sessions: Vec<_> = (0..4).map(|_| store.session().unwrap()).collect();
            drop(sessions);
        }
        server.kill();
        server.start_again();
        assert_eq!(one(&tried).unwrap(), Value::Int(1), "{which:?}");
        assert_eq!(one(&untried).unwrap_err().kind, Kind::Lost);
        let sessions: Vec<_> = (0..4).map(|_| one(&untried).unwrap()).collect();
        assert_eq!(sessions.len(), 4);
    }
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for_for_ever() {
    for which in servers() {
        let (place, server) = Place::alone(which);
        let store = place.store_with("statement_time_max = '300ms'\n");
        let mut lent = store.session().unwrap();
        server.pause();
        let asked = Instant::now();
        let error = lent.query("SELECT 1", &[], &[DataType::Int]).unwrap_err();
        assert_eq!(error.kind, Kind::Lost);
        drop(lent);
        let other = one(&store).unwrap_err();
        server.resume();
        assert_eq!(other.kind, Kind::Lost);
        assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
        assert_eq!(one(&store).unwrap(), Value::Int(1), "{which:?}");
    }
}

#[test]
fn who_is_not_let_in_is_told_so_without_the_password() {
    for which in servers() {
        let place = Place::shared(which);
        let wrong = place.settings().replace("swordfish", "trout and salmon");
        let error = store(&wrong, "").session().unwrap_err();
        assert_eq!(error.kind, Kind::Refused, "{error}");
        assert!(!error.to_string().contains("trout"), "{error}");
        let file = place.folder().join("password");
        let line = format!("password_file = '{}'", file.display());
        let by_file = store(&place.settings().replace("password = 'swordfish'", &line), "");
        let error = by_file.session().unwrap_err().to_string();
        assert!(error.contains("/password`"), "{error}");
        // The file is read again for each connection.
        std::fs::write(&file, "swordfish\n").unwrap();
        assert_eq!(one(&by_file).unwrap(), Value::Int(1));
        let nowhere = place.settings().replace("/test_", "/no_such_");
        assert_eq!(store(&nowhere, "").session().unwrap_err().kind, Kind::Refused);
    }
}

#[test]
fn where_nothing_listens_the_connection_counts_as_lost() {
    for which in servers() {
        let place = Place::shared(which);
        let port = Server::of(which).port;
        let nobody = place.settings().replace(&format!(":{port}/"), ":1/");
        assert_eq!(store(&nobody, "").session().unwrap_err().kind, Kind::Lost);
    }
}
