//! Plans that ask tables which lie in a database alone, while databases and nodes die: each event
//! is answered once, and what it writes there is written once.

use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;
use twinflow::event::DataType;
use twinflow::event::Value;
use twinflow::store::Session;

use crate::node::Node;
use crate::node::SOON;
use crate::pair::from_environment;
use crate::pair::load::At;
use crate::pair::load::Load;
use crate::pair::load::Rate;
use crate::pair::load::Report;
use crate::pair::load::counts;
use crate::pair::nodes::Pair;
use crate::pair::nodes::Plot;
use crate::servers::Place;
use crate::servers::Server;
use crate::servers::Which;
use crate::servers::on_each;

/// How long a load goes on before and after something happens.
const WHILE: Duration = Duration::from_millis(500);
/// How long rows may take that are still to be written.
const SETTLE: Duration = Duration::from_secs(60);
/// Keys that the table of names has: every second one of these.
const KEYS: i64 = 64;

const PLAN: &str = "@app:name('asked')
define stream In (k int, seq long, first bool);
@store(type='rdbms', datasource='D', table.name='asked_names', external='true')
@primaryKey('k') define table Names (k int, name string);
@store(type='rdbms', datasource='D', table.name='asked_last', external='true')
@primaryKey('k') define table Last (k int, seq long);
@store(type='rdbms', datasource='D', table.name='asked_sums', external='true')
@primaryKey('k') define table Sums (k int, seq long);
@sink(type='rdbms', datasource='D', table.name='asked_found', on.error='WAIT')
define stream Found (k int, seq long, name string);
@sink(type='rdbms', datasource='D', table.name='asked_unknown', on.error='WAIT')
define stream Unknown (k int, seq long);
@sink(type='rdbms', datasource='D', table.name='asked_before', on.error='WAIT')
define stream Before (k int, seq long);
from In join Names on Names.k == In.k
    select In.k as k, In.seq as seq, Names.name as name insert into Found;
from In[not (k == Names.k in Names)] select k, seq insert into Unknown;
from In[seq > 1L] as In join Last on Last.k == In.k and Last.seq >= In.seq - 1L
    select In.k as k, In.seq as seq insert into Before;
from In select k, seq update or insert into Last set Last.seq = seq on Last.k == k;
from In select k, 1L as seq update or insert into Sums set Sums.seq = Sums.seq + seq on Sums.k == k;
";

on_each![
    what_others_write_is_found,
    keys_of_every_kind_are_found,
    killed_nodes_ask_again_and_answer_nothing_twice,
];

fn settings(place: &Place) -> String {
    format!("[stores.D]\n{}statement_time_max = '3s'\n", place.settings())
}

/// The names, as another program made them.
fn make_names(session: &mut Session) {
    let sql = "CREATE TABLE asked_names (k INTEGER NOT NULL, name VARCHAR(20), PRIMARY KEY (k))";
    session.run(sql).expect("a table");
    for key in (0..KEYS).step_by(2) {
        let sql = format!("INSERT INTO asked_names VALUES ({key}, 'name {key}')");
        session.run(&sql).expect("a row");
    }
}

fn pairs(session: &mut Session, table: &str) -> Vec<(i64, i64)> {
    let rows = session.query(
        &format!("SELECT k, coalesce(seq, 0) FROM {table} ORDER BY 1, 2"),
        &[],
        &[DataType::Long; 2],
    );
    let Ok(rows) = rows else { return Vec::new() };
    let value = |column: usize, row| rows.columns[column].value(row).as_long().unwrap_or(-1);
    (0..rows.len()).map(|row| (value(0, row), value(1, row))).collect()
}

/// Waits until the store has what comes of all that was sent, and nothing else.
fn expect(place: &Place, report: &Report, tell: &dyn Fn() -> String) {
    let mut sent: Vec<(i64, i64)> = Vec::new();
    for (sender, of) in (0..).zip(&report.senders) {
        let counts = counts(sender, of.requests, report.rate.events);
        sent.extend(counts.map(|(key, count)| (key as i64, count as i64)));
    }
    sent.sort_unstable();
    let each = |wanted: &dyn Fn(i64) -> bool, first: i64| -> Vec<(i64, i64)> {
        let rows = sent.iter().filter(|(k, _)| wanted(*k));
        rows.flat_map(|&(k, n)| (first..=n).map(move |seq| (k, seq))).collect()
    };
    let has_name = |k: i64| k % 2 == 0 && k < KEYS;
    let all = [
        ("asked_found", each(&has_name, 1)),
        ("asked_unknown", each(&|k| !has_name(k), 1)),
        // Each event sees what the one before it wrote, or something later where it asked again.
        ("asked_before", each(&|_| true, 2)),
        ("asked_last", sent.clone()),
        // The database counts, and counts each event once.
        ("asked_sums", sent.clone()),
    ];
    let end = Instant::now() + SETTLE;
    for (table, wanted) in all {
        let mut found = pairs(&mut place.session(), table);
        while found != wanted && Instant::now() < end {
            sleep(Duration::from_millis(50));
            found = pairs(&mut place.session(), table);
        }
        let missing: Vec<_> = wanted.iter().filter(|row| !found.contains(row)).take(5).collect();
        let more: Vec<_> = found.iter().filter(|row| !wanted.contains(row)).take(5).collect();
        let (has, wants) = (found.len(), wanted.len());
        assert!(
            found == wanted,
            "{table}: {has} of {wants} rows, missing {missing:?}, too many {more:?}; {}",
            tell()
        );
    }
}

fn what_others_write_is_found(place: &Place) {
    let mut session = place.session();
    make_names(&mut session);
    let node = Node::start(&[("asked.siddhi", PLAN)], &settings(place));
    node.wait_for_plan("asked");
    let found = |wanted: &str| {
        let sql = "SELECT name FROM asked_found ORDER BY seq";
        let rows = place.session().query(sql, &[], &[DataType::Text]).ok()?;
        let names: Vec<String> = (0..rows.len())
            .map(|row| rows.columns[0].value(row).as_text().unwrap_or("null").to_owned())
            .collect();
        (names.join(", ") == wanted).then_some(())
    };
    let event = |k: i64, seq: i64| json!({"k": k, "seq": seq, "first": false});
    node.send("asked", "In", &json!([event(2, 1)]));
    node.wait(SOON, "a name is found", || found("name 2"));
    session.run("UPDATE asked_names SET name = 'another' WHERE k = 2").expect("a change");
    node.send("asked", "In", &json!([event(2, 2), event(3, 1), event(2, 3)]));
    node.wait(SOON, "the change is seen", || found("name 2, another, another"));
    node.wait(SOON, "a key without a name is seen", || {
        (pairs(&mut place.session(), "asked_unknown") == [(3, 1)]).then_some(())
    });
    // A query from outside writes in order with all else.
    node.query("asked", "select 3 as k, 'three' as name insert into Names");
    node.send("asked", "In", &json!([event(3, 4)]));
    node.wait(SOON, "what was written is seen", || found("name 2, another, another, three"));
    assert_eq!(node.stop(), Some(0));
}

/// Keys of several columns, of every type that keys have, with all that texts may hold.
fn keys_of_every_kind_are_found(place: &Place) {
    let mut session = place.session();
    let sql = "CREATE TABLE asked_kinds (t VARCHAR(40) NOT NULL, n BIGINT NOT NULL, \
               b BOOLEAN NOT NULL, v INTEGER, PRIMARY KEY (t, n, b))";
    session.run(sql).expect("a table");
    let places: Vec<String> = (1..=4).map(|place| session.dialect().placeholder(place)).collect();
    let sql = format!("INSERT INTO asked_kinds VALUES ({})", places.join(", "));
    let odd = "o\"d'd\\{, }ä";
    for (text, v) in [("plain", 1), (odd, 2), ("Plain2", 3)] {
        let values = [text.into(), Value::Long(5), Value::Bool(v == 2), Value::Int(v)];
        session.execute(&sql, &values).expect("a row");
    }
    let plan = "@app:name('kinds') define stream In (t string, n int, b bool);
        @store(type='rdbms', datasource='D', table.name='asked_kinds', external='true')
        @primaryKey('t', 'n', 'b') define table Kinds (t string, n long, b bool, v int);
        @sink(type='rdbms', datasource='D', table.name='asked_all', on.error='WAIT')
        define stream All (k int, seq long);
        @sink(type='rdbms', datasource='D', table.name='asked_one', on.error='WAIT')
        define stream One (k int, seq long);
        from In join Kinds on Kinds.t == In.t and Kinds.n == In.n and Kinds.b == In.b
            select Kinds.v as k, 1L as seq insert into All;
        from In join Kinds on Kinds.t == In.t select Kinds.v as k, 2L as seq insert into One;";
    let node = Node::start(&[("kinds.siddhi", plan)], &settings(place));
    node.wait_for_plan("kinds");
    let event = |t: &str, b: bool| json!({"t": t, "n": 5, "b": b});
    let events = [event("plain", false), event(odd, true), event("plain2", false)];
    node.send("kinds", "In", &json!(events));
    node.send("kinds", "In", &json!([event("plain", true), event("Plain2", false)]));
    for (table, wanted) in [
        ("asked_all", vec![(1, 1), (2, 1), (3, 1)]),
        ("asked_one", vec![(1, 2), (1, 2), (2, 2), (3, 2)]),
    ] {
        let end = Instant::now() + SOON;
        let mut found = pairs(&mut place.session(), table);
        while found != wanted && Instant::now() < end {
            sleep(Duration::from_millis(50));
            found = pairs(&mut place.session(), table);
        }
        assert_eq!(found, wanted, "{table}; {}", node.log());
    }
}

fn killed_nodes_ask_again_and_answer_nothing_twice(place: &Place) {
    make_names(&mut place.session());
    let settings: &'static str = Box::leak(settings(place).into_boxed_str());
    let plans = &[("asked.siddhi", PLAN)];
    let mut pair = Pair::start(Plot { settings, plans, ..Plot::default() });
    let load = Load::start(pair.addresses(), "asked", Rate { events: 4, ..Rate::default() });
    for _ in 0..from_environment("KILLS", 2) {
        sleep(WHILE);
        let active = pair.wait_in_sync();
        pair.kill(active);
        sleep(WHILE);
        pair.start_again(active);
    }
    pair.wait_in_sync();
    sleep(WHILE);
    let report = load.stop();
    expect(place, &report, &|| pair.tell());
}

/// A server that dies while it is asked, and comes back.
fn a_server_that_dies_is_asked_again(which: Which) {
    let (place, server): (Place, &'static Server) = Place::alone(which);
    make_names(&mut place.session());
    let mut node = Node::start(&[("asked.siddhi", PLAN)], &settings(&place));
    node.wait_for_plan("asked");
    let to = [node.address(), node.address()];
    let load = Load::start(to, "asked", Rate { at: At::Only(0), ..Rate::default() });
    sleep(WHILE);
    server.kill();
    sleep(WHILE);
    server.start_again();
    sleep(WHILE);
    server.kill();
    // The node dies with questions that are open.
    sleep(WHILE);
    let report = load.stop();
    node.kill_and_start();
    server.start_again();
    expect(&place, &report, &|| node.log());
}

#[test]
fn mariadb_that_dies_is_asked_again() {
    a_server_that_dies_is_asked_again(Which::Mariadb);
}

#[test]
fn postgres_that_dies_is_asked_again() {
    a_server_that_dies_is_asked_again(Which::Postgres);
}

const GIVEN_UP: &str = "@app:name('given')
define stream In (k int, seq long);
@OnError(action='STORE') define stream Ask (k int);
@store(type='rdbms', datasource='D', table.name='given_sums', external='true', on.error='STORE')
@primaryKey('k') define table Sums (k int, seq long);
@sink(type='rdbms', datasource='D', table.name='given_found', on.error='WAIT')
define stream Found (k int, seq long);
from In select k, seq update or insert into Sums set Sums.seq = Sums.seq + seq on Sums.k == k;
from Ask join Sums on Sums.k == Ask.k select Ask.k as k, Sums.seq as seq insert into Found;
";

/// Writes that are given up are kept, and done once when they are taken up again; who asked in vain
/// fails.
fn what_is_given_up_is_kept(which: Which) {
    let (place, server) = Place::alone(which);
    let node = Node::start(&[("given.siddhi", GIVEN_UP)], &settings(&place));
    node.wait_for_plan("given");
    let wait_for = |table: &str, expected: &[(i64, i64)]| {
        let what = format!("{table} has {expected:?}");
        let found = || (pairs(&mut place.session(), table) == expected).then_some(());
        node.wait(SOON, &what, found);
    };
    let path = "/api/v1/plans/given/dead-letters";
    let events = |kind: &str| {
        let letters = node.get(&format!("{path}?kind={kind}")).json();
        let letters = letters["dead_letters"].as_array().cloned().unwrap_or_default();
        letters.iter().filter_map(|letter| letter["events"].as_u64()).sum::<u64>()
    };
    node.send("given", "In", &json!([{"k": 1, "seq": 5}]));
    wait_for("given_sums", &[(1, 5)]);
    server.kill();
    node.send("given", "Ask", &json!([{"k": 1}]));
    node.send("given", "In", &json!([{"k": 1, "seq": 7}, {"k": 2, "seq": 3}]));
    node.wait(3 * SOON, "what was to be written is kept", || (events("store") == 2).then_some(()));
    node.wait(SOON, "who asked fails", || (events("plan") == 1).then_some(()));
    server.start_again();
    node.send("given", "In", &json!([{"k": 1, "seq": 1}]));
    wait_for("given_sums", &[(1, 6)]);
    for (kind, table, expected) in
        [("store", "given_sums", &[(1, 13), (2, 3)][..]), ("plan", "given_found", &[(1, 13)])]
    {
        let answer = node.post(&format!("{path}/replay?kind={kind}"), "").json();
        assert_eq!(answer["refused"], json!([]), "{answer}");
        wait_for(table, expected);
    }
    assert_eq!((events("store"), events("plan")), (0, 0));
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn what_mariadb_is_given_up_for_is_kept() {
    what_is_given_up_is_kept(Which::Mariadb);
}

#[test]
fn what_postgres_is_given_up_for_is_kept() {
    what_is_given_up_is_kept(Which::Postgres);
}

#[test]
fn what_cannot_be_done_with_an_external_table_is_refused_at_its_place() {
    let place = Place::shared(Which::Sqlite);
    let node = Node::start(&[], &settings(&place));
    let plan = "define stream S (k string, v float);
        @store(type='rdbms', datasource='D', external='true')
        define table T (k string, v float);
        from S delete T on T.v == v;";
    let answer = node.post("/api/v1/check", plan);
    assert!(answer.text().contains("does not understand"), "{}", answer.text());
    let plan = "define stream S (k string, n int);
        @store(type='rdbms', datasource='D', external='true')
        define table T (k string, n int);
        from S update T set T.n = T.n / 2 on T.k == k;";
    let answer = node.post("/api/v1/check", plan);
    assert!(answer.text().contains("does not calculate"), "{}", answer.text());
}
