//! Plans whose tables and events are kept in a store, while databases and nodes die: in the end the
//! database has each row that was sent, once.

use std::collections::BTreeMap;
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
use crate::pair::say;
use crate::servers::Place;
use crate::servers::Server;
use crate::servers::Which;
use crate::servers::on_each;

/// How long a load goes on before and after something happens.
const WHILE: Duration = Duration::from_millis(500);
/// How long rows may take that are still to be written.
const SETTLE: Duration = Duration::from_secs(60);

/// Each event is kept, and changes three tables in ways that tell what was lost or done twice.
const PLAN: &str = "@app:name('kept')
@store(type='rdbms', datasource='D', table.name='kept_events', indices='k')
define stream In (k int, seq long, first bool);
@store(type='rdbms', datasource='D', table.name='kept_totals')
@primaryKey('k') define table Totals (k int, n long, last long);
@store(type='rdbms', datasource='D', table.name='kept_lines')
define table Lines (k int, seq long);
@sink(type='rdbms', datasource='D', table.name='kept_latest', operation='upsert', keys='k',
      on.error='WAIT')
define stream Latest (k int, seq long);
from In select k, count() as n, seq as last group by k
    update or insert into Totals set Totals.n = n, Totals.last = last on Totals.k == k;
from In select k, seq insert into Lines;
from In[seq % 7 == 0] select k, seq - 3 as gone delete Lines on Lines.k == k and Lines.seq == gone;
from In select k, seq insert into Latest;
";

on_each![
    what_a_plan_keeps_is_in_the_store,
    rows_of_a_store_are_read_before_anything_else,
    killed_nodes_lose_nothing_and_write_nothing_twice,
    a_node_that_halts_in_a_transaction_is_late_when_it_goes_on,
];

/// Keys with the number of their events.
type Sent = BTreeMap<i64, i64>;

fn sent(report: &Report) -> Sent {
    let mut sent = Sent::new();
    for (sender, of) in (0..).zip(&report.senders) {
        let counts = counts(sender, of.requests, report.rate.events);
        sent.extend(counts.map(|(key, count)| (key as i64, count as i64)));
    }
    sent
}

fn pairs(session: &mut Session, table: &str, columns: &str) -> Vec<(i64, i64)> {
    let sql = format!("SELECT {columns} FROM {table} ORDER BY {columns}");
    let rows = session.query(&sql, &[], &[DataType::Long; 2]);
    let Ok(rows) = rows else { return Vec::new() };
    let value = |column: usize, row| rows.columns[column].value(row).as_long().unwrap_or(-1);
    (0..rows.len()).map(|row| (value(0, row), value(1, row))).collect()
}

/// Waits until the store has what comes of all that was sent, and nothing else.
fn expect(place: &Place, sent: &Sent, tell: &dyn Fn() -> String) {
    let each = |wanted: &dyn Fn(i64, i64) -> bool| -> Vec<(i64, i64)> {
        let rows = sent.iter().flat_map(|(&k, &n)| (1..=n).map(move |seq| (k, seq, n)));
        rows.filter(|(_, seq, n)| wanted(*seq, *n)).map(|(k, seq, _)| (k, seq)).collect()
    };
    let totals: Vec<(i64, i64)> = sent.iter().map(|(&k, &n)| (k, n)).collect();
    let all = [
        ("kept_events", "k, seq", each(&|_, _| true)),
        ("kept_totals", "k, n", totals.clone()),
        ("kept_latest", "k, seq", totals),
        ("kept_lines", "k, seq", each(&|seq, n| (seq + 3) % 7 != 0 || seq + 3 > n)),
    ];
    let end = Instant::now() + SETTLE;
    for (table, columns, wanted) in all {
        let mut found = pairs(&mut place.session(), table, columns);
        while found != wanted && Instant::now() < end {
            sleep(Duration::from_millis(50));
            found = pairs(&mut place.session(), table, columns);
        }
        let missing: Vec<_> = wanted.iter().filter(|row| !found.contains(row)).take(5).collect();
        let (has, wants) = (found.len(), wanted.len());
        assert!(found == wanted, "{table}: {has} of {wants} rows, missing {missing:?}; {}", tell());
    }
}

fn settings(place: &Place) -> String {
    // None of these is slow, and a database that is gone is to be noticed soon.
    format!("[stores.D]\n{}statement_time_max = '3s'\n", place.settings())
}

fn node(place: &Place) -> Node {
    let node = Node::start(&[("kept.siddhi", PLAN)], &settings(place));
    node.wait_for_plan("kept");
    node
}

fn load(node: &Node, rate: Rate) -> Load {
    Load::start([node.address(), node.address()], "kept", rate)
}

fn pair(place: &Place) -> Pair {
    let settings: &'static str = Box::leak(settings(place).into_boxed_str());
    Pair::start(Plot { settings, plans: &[("kept.siddhi", PLAN)], ..Plot::default() })
}

/// The sum of the figures of stores whose names begin so.
fn figure(node: &Node, name: &str) -> f64 {
    let (text, name) = (node.get("/metrics").text(), format!("twinflow_store_{name}"));
    let lines = text.lines().filter(|line| line.starts_with(&name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

fn what_a_plan_keeps_is_in_the_store(place: &Place) {
    let node = node(place);
    let load = load(&node, Rate::default());
    sleep(WHILE);
    let report = load.stop();
    expect(place, &sent(&report), &|| node.log());
    let totals = node.query("kept", "from Totals select sum(n) as n");
    let all = report.requests() * report.rate.events;
    assert_eq!(totals["rows"], json!([[all]]));
    let numbers = "SELECT CAST(sum(number) AS BIGINT) FROM twinflow_writers";
    let numbers = match place.which {
        Which::Mariadb => numbers.replace("BIGINT", "SIGNED"),
        _ => numbers.to_owned(),
    };
    let written = place.session().query(&numbers, &[], &[DataType::Long]).expect("a number");
    let written = written.columns[0].value(0).as_long().expect("a number");
    assert_eq!(figure(&node, "rows_written_total{store=\"D\"}"), written as f64);
    assert_eq!(figure(&node, "errors_total{store=\"D\""), 0.0);
    assert!(figure(&node, "requests_total{store=\"D\"}") > 0.0);
    let opened = figure(&node, "connections_opened_total{store=\"D\"}");
    assert!((1.0..=10.0).contains(&opened), "{opened}");
    let at_work = figure(&node, "connections{store=\"D\",state=\"in_use\"}");
    let resting = figure(&node, "connections{store=\"D\",state=\"resting\"}");
    assert_eq!((at_work, resting, figure(&node, "waiting{store=\"D\"}")), (0.0, opened, 0.0));
    assert_eq!(node.stop(), Some(0));
}

fn rows_of_a_store_are_read_before_anything_else(place: &Place) {
    let mut session = place.session();
    let sql = "CREATE TABLE stock (k VARCHAR(20) NOT NULL, n BIGINT, PRIMARY KEY (k))";
    session.run(sql).expect("a table");
    for number in 0..3_000 {
        let values = [Value::from(format!("k{number:04}").as_str()), Value::Long(number)];
        let [one, two] = [1, 2].map(|number| session.dialect().placeholder(number));
        let sql = format!("INSERT INTO stock VALUES ({one}, {two})");
        session.execute(&sql, &values).expect("a row");
    }
    let plan = "@app:name('stock')
        define stream In (k string);
        @store(type='rdbms', datasource='D', table.name='stock')
        @primaryKey('k') define table Stock (k string, n long);
        from In select k, 1L as n update or insert into Stock
            set Stock.n = Stock.n + n on Stock.k == k;";
    let mut node = Node::start(&[("stock.siddhi", plan)], &settings(place));
    node.wait_for_plan("stock");
    node.send("stock", "In", &json!([{"k": "k0007"}, {"k": "new"}]));
    let asked = |node: &Node| {
        let few = "from Stock on k == 'k0007' or k == 'new' select k, n order by k";
        let all = node.query("stock", "from Stock select count() as n");
        (node.query("stock", few)["rows"].clone(), all["rows"][0][0].clone())
    };
    let expected = (json!([["k0007", 8], ["new", 1]]), json!(3_001));
    assert_eq!(asked(&node), expected, "{}", node.log());
    let in_store = || {
        let sql = "SELECT k, n FROM stock WHERE k = 'k0007' OR k = 'new' ORDER BY k";
        let rows = place.session().query(sql, &[], &[DataType::Text, DataType::Long]).ok()?;
        let all =
            place.session().query("SELECT count(*) FROM stock", &[], &[DataType::Long]).ok()?;
        let values: Vec<_> = (0..rows.len()).map(|row| rows.columns[1].value(row)).collect();
        let whole = all.columns[0].value(0).as_long() == Some(3_001);
        (values == [Value::Long(8), Value::Long(1)] && whole).then_some(())
    };
    node.wait(SOON, "the changes are in the store", in_store);
    // What is kept of the plan counts from now on, whatever others write there.
    session.run("DELETE FROM stock WHERE k = 'k0001'").expect("a row less");
    node.kill_and_start();
    node.wait_for_plan("stock");
    assert_eq!(asked(&node), expected, "{}", node.log());
}

fn killed_nodes_lose_nothing_and_write_nothing_twice(place: &Place) {
    let kills = from_environment("KILLS", 2);
    let mut pair = pair(place);
    let load = Load::start(pair.addresses(), "kept", Rate { events: 20, ..Rate::default() });
    for _ in 0..kills {
        sleep(WHILE);
        let active = pair.wait_in_sync();
        pair.kill(active);
        sleep(WHILE);
        pair.start_again(active);
    }
    pair.wait_in_sync();
    sleep(WHILE);
    let report = load.stop();
    let sent = sent(&report);
    expect(place, &sent, &|| pair.tell());
    let events: i64 = sent.values().sum();
    say(&format!("{:?}, {kills} kills: {events} events, each kept once", place.which));
}

/// Keeps whoever writes waiting inside of its transaction, where the database can lock a row.
fn hold_writer(session: &mut Session, place: &Place) {
    session.begin().expect("a transaction");
    if place.which != Which::Sqlite {
        let sql = "SELECT number FROM twinflow_writers WHERE writer = 'store:In' FOR UPDATE";
        session.query(sql, &[], &[DataType::Long]).expect("the row of a writer");
    }
}

fn a_node_that_halts_in_a_transaction_is_late_when_it_goes_on(place: &Place) {
    let seconds = from_environment("HALT", 8);
    let pair = pair(place);
    let load = Load::start(pair.addresses(), "kept", Rate::default());
    sleep(WHILE);
    let active = pair.wait_in_sync();
    let mut session = place.session();
    pair.wait(SOON, "the writer is known", || {
        let sql = "SELECT number FROM twinflow_writers WHERE writer = 'store:In'";
        let rows = session.query(sql, &[], &[DataType::Long]).ok()?;
        (!rows.is_empty()).then_some(())
    });
    hold_writer(&mut session, place);
    // By now it waits for the row, in the middle of its transaction.
    sleep(WHILE);
    pair.nodes[active].signal("STOP");
    let halted = Instant::now();
    session.rollback().expect("the row is free");
    pair.wait(Duration::from_secs(10), "the other node takes over", || {
        pair.acts(1 - active).then_some(())
    });
    sleep(Duration::from_secs(seconds).saturating_sub(halted.elapsed()));
    pair.nodes[active].signal("CONT");
    pair.wait_in_sync();
    sleep(WHILE);
    let report = load.stop();
    let sent = sent(&report);
    expect(place, &sent, &|| pair.tell());
    let events: i64 = sent.values().sum();
    say(&format!("{:?}, halted for {seconds} s: {events} events, each kept once", place.which));
}

/// A server that dies while rows are written, and comes back.
fn a_server_that_dies_is_waited_for(which: Which) {
    let (place, server): (Place, &'static Server) = Place::alone(which);
    let mut node = node(&place);
    let load = load(&node, Rate { at: At::Only(0), ..Rate::default() });
    for _ in 0..2 {
        sleep(WHILE);
        server.kill();
        sleep(WHILE);
        server.start_again();
    }
    sleep(WHILE);
    server.kill();
    // Nobody knows what became of what was under way, and the node dies, too.
    sleep(WHILE);
    for name in ["connections_lost_total{", "errors_total{store=\"D\",kind=\"lost\"}"] {
        assert!(figure(&node, name) > 0.0, "{name}: {}", node.get("/metrics").text());
    }
    let late =
        |line: &str| line.starts_with("twinflow_queue_age_seconds{") && !line.ends_with(" 0.0");
    assert!(node.get("/metrics").text().lines().any(late), "{}", node.get("/metrics").text());
    let report = load.stop();
    node.kill_and_start();
    server.start_again();
    expect(&place, &sent(&report), &|| node.log());
}

#[test]
fn mariadb_that_dies_is_waited_for() {
    a_server_that_dies_is_waited_for(Which::Mariadb);
}

#[test]
fn postgres_that_dies_is_waited_for() {
    a_server_that_dies_is_waited_for(Which::Postgres);
}

#[test]
fn a_file_that_others_lock_is_waited_for() {
    let place = Place::shared(Which::Sqlite);
    let node = node(&place);
    let load = load(&node, Rate { at: At::Only(0), ..Rate::default() });
    sleep(WHILE);
    let mut session = place.session();
    session.begin().expect("a transaction");
    // Longer than a statement may take.
    sleep(Duration::from_secs(4));
    session.rollback().expect("the file is free");
    sleep(WHILE);
    let report = load.stop();
    expect(&place, &sent(&report), &|| node.log());
}

#[test]
fn a_store_that_is_not_in_the_settings_is_refused_where_it_is_named() {
    let place = Place::shared(Which::Sqlite);
    let node = Node::start(&[], &settings(&place));
    let plan = "@store(type='rdbms', datasource='E') define table T (a int);";
    let answer = node.post("/api/v1/check", plan);
    assert!(answer.text().contains("there is no store `E`"), "{}", answer.text());
}

const LETTERS: &str = "@app:name('kept')
define stream In (k int, v int);
define stream Gone (k int);
@store(type='rdbms', datasource='D', table.name='kept_rows', on.error='STORE')
@primaryKey('k') define table T (k int, v int);
from In select k, v update or insert into T set T.v = v on T.k == k;
from Gone select k delete T on T.k == k;
";

/// Changes that a store did not take are kept; taken up again they bring its rows to what they are
/// by then, and to nothing older.
fn changes_put_aside_bring_a_store_up_to_date(which: Which) {
    let (place, server) = Place::alone(which);
    let node = Node::start(&[("kept.siddhi", LETTERS)], &settings(&place));
    node.wait_for_plan("kept");
    let rows = || pairs(&mut place.session(), "kept_rows", "k, v");
    let wait_for = |expected: &[(i64, i64)]| {
        let what = format!("the store has {expected:?}");
        node.wait(SOON, &what, || (rows() == expected).then_some(()));
    };
    let path = "/api/v1/plans/kept/dead-letters";
    let letters = || node.get(path).json()["dead_letters"].as_array().cloned().unwrap_or_default();
    node.send("kept", "In", &json!([{"k": 1, "v": 1}, {"k": 2, "v": 1}]));
    wait_for(&[(1, 1), (2, 1)]);
    server.kill();
    node.send("kept", "In", &json!([{"k": 1, "v": 2}, {"k": 2, "v": 2}]));
    node.send("kept", "In", &json!([{"k": 3, "v": 3}]));
    node.wait(3 * SOON, "the changes are letters", || {
        let events = letters().iter().filter_map(|letter| letter["events"].as_u64()).sum::<u64>();
        (events == 3).then_some(())
    });
    assert_eq!(
        (&letters()[0]["kind"], &letters()[0]["place"]),
        (&json!("store"), &json!("store:T"))
    );
    server.start_again();
    node.send("kept", "In", &json!([{"k": 1, "v": 4}]));
    node.send("kept", "Gone", &json!([{"k": 2}]));
    wait_for(&[(1, 4)]);
    let answer = node.post(&format!("{path}/replay?kind=store"), "").json();
    assert_eq!(answer["refused"], json!([]), "{answer}");
    wait_for(&[(1, 4), (3, 3)]);
    assert_eq!(letters(), [] as [serde_json::Value; 0]);
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn changes_put_aside_bring_mariadb_up_to_date() {
    changes_put_aside_bring_a_store_up_to_date(Which::Mariadb);
}

#[test]
fn changes_put_aside_bring_postgres_up_to_date() {
    changes_put_aside_bring_a_store_up_to_date(Which::Postgres);
}
