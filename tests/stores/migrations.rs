//! Our own tables: from nothing, from every earlier state, and never back.

use std::thread;

use twinflow::event::DataType;
use twinflow::event::Value;
use twinflow::store::Kind;
use twinflow::store::Session;
use twinflow::store::migrations;

use crate::servers::Place;
use crate::servers::on_each;

on_each![
    the_first_session_makes_our_tables_and_later_ones_find_them,
    every_earlier_state_is_brought_up_to_date,
    a_store_of_a_newer_build_is_refused_and_left_as_it_is,
    of_many_who_come_at_once_one_makes_them,
];

fn steps(session: &mut Session) -> Vec<Value> {
    let sql = "SELECT number FROM twinflow_schema ORDER BY number";
    let found = session.query(sql, &[], &[DataType::Int]).unwrap();
    (0..found.len()).map(|row| found.columns[0].value(row)).collect()
}

fn all_steps() -> Vec<Value> {
    (1..=migrations::LATEST).map(|number| Value::Int(number as i32)).collect()
}

fn the_first_session_makes_our_tables_and_later_ones_find_them(place: &Place) {
    assert!(!place.store().bare_session().unwrap().has_table("twinflow_writers").unwrap());
    assert_eq!(steps(&mut place.session()), all_steps());
    let mut again = place.session();
    assert_eq!(steps(&mut again), all_steps());
    assert!(again.has_table("twinflow_writers").unwrap());
}

fn every_earlier_state_is_brought_up_to_date(place: &Place) {
    for earlier in 0..migrations::LATEST {
        let mut session = place.store().bare_session().unwrap();
        migrations::migrate_to(&mut session, earlier).unwrap();
        assert_eq!(steps(&mut session), all_steps()[..earlier]);
        drop(session);
        let mut session = place.session();
        assert_eq!(steps(&mut session), all_steps());
        let ours = ["twinflow_schema", "twinflow_writers", "twinflow_arbiter"];
        for table in ours {
            assert!(session.has_table(table).unwrap(), "{table}");
            session.run(&format!("DROP TABLE {table}")).unwrap();
        }
    }
}

fn a_store_of_a_newer_build_is_refused_and_left_as_it_is(place: &Place) {
    let mut session = place.session();
    let newer = migrations::LATEST + 1;
    session.run(&format!("INSERT INTO twinflow_schema VALUES ({newer}, 'later')")).unwrap();
    let before = steps(&mut session);
    let error = place.store().session().unwrap_err();
    assert_eq!(error.kind, Kind::Broken);
    assert!(error.to_string().contains(&format!("are of step {newer}")), "{error}");
    assert_eq!(steps(&mut session), before);
}

fn of_many_who_come_at_once_one_makes_them(place: &Place) {
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(steps(&mut place.session()), all_steps()));
        }
    });
}
