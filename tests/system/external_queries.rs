//! On-demand queries of tables that lie in a database alone: they see what the plan wrote before,
//! answer as a table in memory would, and hold up nobody.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use twinflow::event::Value as Cell;
use twinflow::store::Session;

use crate::node::Node;
use crate::node::SOON;
use crate::node::client;
use crate::pair::nodes::Pair;
use crate::pair::nodes::Plot;
use crate::servers::Place;
use crate::servers::Server;
use crate::servers::Which;
use crate::servers::on_each;

const PLAN: &str = "@app:name('read')
define stream In (k string, n int, v double, b bool);
define table Memory (k string, n int, v double, b bool);
@store(type='rdbms', datasource='D', table.name='read_rows', external='true')
define table Rows (k string, n int, v double, b bool);
from In insert into Memory;
from In insert into Rows;
";

const PATH: &str = "/api/v1/plans/read/query";

on_each![
    answers_are_those_of_a_table_in_memory,
    a_query_sees_what_the_plan_wrote_before_it,
    what_is_too_much_or_does_not_fit_is_said,
    both_nodes_of_a_pair_answer,
];

fn settings(place: &Place) -> String {
    format!("[stores.D]\n{}statement_time_max = '3s'\n", place.settings())
}

fn start(place: &Place) -> Node {
    let node = Node::start(&[("read.siddhi", PLAN)], &settings(place));
    node.wait_for_plan("read");
    node
}

fn event(k: Option<&str>, n: i64, v: f64, b: Option<bool>) -> Value {
    json!({"k": k, "n": n, "v": v, "b": b})
}

/// Asks, and gives the code of the problem with its text.
fn refused(node: &Node, query: &str) -> (String, String) {
    let answer = node.post(PATH, query);
    let document = answer.json();
    assert_eq!(document["status"], answer.status, "{query}: {document}");
    let text = |key: &str| document[key].as_str().unwrap_or_default().to_owned();
    (text("code"), text("detail"))
}

fn answers_are_those_of_a_table_in_memory(place: &Place) {
    let node = start(place);
    let odd = "o'd\\{, }ä %_";
    node.send(
        "read",
        "In",
        &json!([
            event(Some("a"), 1, 1.0, Some(true)),
            event(Some("A"), 2, 2.5, Some(false)),
            event(Some("a "), 3, 0.1, Some(true)),
            event(None, 4, -4.0, None),
            event(Some(odd), 5, 1e300, Some(false)),
            event(Some("ä"), 6, 2.5, Some(true)),
            event(Some("a"), 7, -0.5, None),
        ]),
    );
    for query in [
        "from {} select k, n, v, b order by n",
        "from {} on k == 'a' select n order by n",
        "from {} on k == 'a' and n > 1 select n",
        "from {} on not (k == 'a') select n order by n",
        "from {} on k == \"o'd\\{, }ä %_\" select n",
        "from {} on v + 1.0 < 3.0 and b select k, n order by n",
        "from {} on v >= 2.5 or k is null select n order by n desc",
        "from {} on v == 0.1 select k",
        "from {} on n >= 2 + 3 select n order by n limit 2 offset 1",
        "from {} select b, sum(n) as s, count() as c group by b having c > 1L order by s",
        "from {} on n > 1000 select n",
        "from {} on n > 2 select count() as c, max(v) as m",
        "from {} as X on X.n == 6 select X.k as k, X.n * 2 as m",
    ] {
        let of = |table: &str| node.query("read", &query.replacen("{}", table, 1));
        assert_eq!(of("Rows"), of("Memory"), "{query}");
    }
    let some = node.query("read", "from Rows select n limit 3");
    assert_eq!(some["rows"].as_array().map(Vec::len), Some(3), "{some}");
    let (code, detail) = refused(&node, "from Rows on (Memory.n == Rows.n in Memory) select n");
    assert_eq!(code, "query-refused", "{detail}");
    assert_eq!(node.stop(), Some(0));
}

fn a_query_sees_what_the_plan_wrote_before_it(place: &Place) {
    let node = start(place);
    for n in 1..=20 {
        match n % 2 {
            0 => node.send("read", "In", &json!([event(Some("in"), n, 0.0, None)])),
            _ => {
                let insert = format!("select 'out' as k, {n} as n, 0.0 as v, true as b");
                node.query("read", &format!("{insert} insert into Rows"));
            }
        }
        let count = node.query("read", "from Rows select count() as c");
        assert_eq!(count["rows"], json!([[n]]));
    }
    node.query("read", "delete Rows on Rows.n > 10");
    node.query("read", "update Rows set Rows.k = 'all' on Rows.n > 0");
    let all = node.query("read", "from Rows select k, count() as c group by k");
    assert_eq!(all["rows"], json!([["all", 10]]));
    // Others write, too.
    place.session().run("UPDATE read_rows SET k = 'theirs' WHERE n <= 3").expect("a change");
    let theirs = node.query("read", "from Rows on k == 'theirs' select n order by n");
    assert_eq!(theirs["rows"], json!([[1], [2], [3]]));
    assert_eq!(node.stop(), Some(0));
}

fn what_is_too_much_or_does_not_fit_is_said(place: &Place) {
    let node = start(place);
    // A table that is not there yet has no rows, and is not made by who only reads.
    let none = node.query("read", "from Rows select n");
    assert_eq!(none["rows"], json!([]));
    let mut session: Session = place.session();
    assert_eq!(session.has_table("read_rows"), Ok(false));
    node.send("read", "In", &json!([event(Some("first"), 0, 0.0, None)]));
    node.query("read", "from Rows select n");
    let [k, n] = [1, 2].map(|number| session.dialect().placeholder(number));
    let sql = format!("INSERT INTO read_rows (k, n) VALUES ({k}, {n})");
    let long = "x".repeat(1 << 20);
    for n in 1..=17 {
        session.execute(&sql, &[long.as_str().into(), Cell::Int(n)]).expect("a row");
    }
    let (code, detail) = refused(&node, "from Rows select n");
    assert_eq!(code, "answer-too-large");
    assert!(detail.contains("16 MiB of table `Rows`"), "{detail}");
    let few = node.query("read", "from Rows on n < 3 select n order by n");
    assert_eq!(few["rows"], json!([[0], [1], [2]]));
    let some = node.query("read", "from Rows select n limit 2");
    assert_eq!(some["rows"].as_array().map(Vec::len), Some(2), "{some}");
    session.run("ALTER TABLE read_rows DROP COLUMN v").expect("a change");
    let (code, detail) = refused(&node, "from Rows on n < 3 select n");
    assert_eq!(code, "query-refused");
    assert!(detail.contains("has no column `v`"), "{detail}");
    assert_eq!(node.stop(), Some(0));
}

fn both_nodes_of_a_pair_answer(place: &Place) {
    let settings: &'static str = Box::leak(settings(place).into_boxed_str());
    let pair = Pair::start(Plot { settings, plans: &[("read.siddhi", PLAN)], ..Plot::default() });
    let [active, passive] = match pair.active() {
        0 => [&pair.nodes[0], &pair.nodes[1]],
        _ => [&pair.nodes[1], &pair.nodes[0]],
    };
    active.wait_for_plan("read");
    passive.wait_for_plan("read");
    for n in 1..=10 {
        let path = "/api/v1/plans/read/streams/In?ack=applied";
        let node = if n % 2 == 0 { active } else { passive };
        let answer = node.post(path, json!([event(Some("x"), n, 0.0, None)]).to_string());
        assert_eq!(answer.status, 200, "{}; {}", answer.text(), pair.tell());
        let position = answer.json()["position"].to_string();
        for node in [passive, active] {
            let headers = [("Twinflow-At-Least", position.as_str())];
            let query = Some(b"from Rows select count() as c".as_slice());
            let answer = client::ask(node.address(), "POST", PATH, &headers, query);
            assert_eq!(answer.json()["rows"], json!([[n]]), "{}; {}", answer.text(), pair.tell());
        }
    }
    let at_active = format!("{PATH}?node=active");
    assert_eq!(active.post(&at_active, "from Rows select n").status, 200);
    assert_eq!(passive.post(&at_active, "from Rows select n").json()["code"], "not-active");
}

/// A server that does not answer is said to be away, and holds up nobody else.
fn a_server_that_is_away_holds_up_nobody(which: Which) {
    let (place, server): (Place, &'static Server) = Place::alone(which);
    let node = start(&place);
    node.send("read", "In", &json!([event(Some("a"), 1, 0.0, None)]));
    assert_eq!(node.query("read", "from Rows select n")["rows"], json!([[1]]));
    server.kill();
    let (code, detail) = refused(&node, "from Rows select n");
    assert_eq!(code, "store-away", "{detail}");
    node.send("read", "In", &json!([event(Some("a"), 2, 0.0, None)]));
    std::thread::scope(|scope| {
        let behind = scope.spawn(|| refused(&node, "from Rows select n"));
        let mut answers = 0;
        while !behind.is_finished() {
            let count = node.query("read", "from Memory select count() as c");
            assert_eq!(count["rows"], json!([[2]]));
            answers += 1;
        }
        let (code, detail) = behind.join().expect("an answer");
        assert_eq!(code, "store-behind", "{detail}");
        assert!(answers > 2, "only {answers} answers while another one waited");
    });
    server.start_again();
    node.wait(SOON, "what was written is there", || {
        let answer = node.post(PATH, "from Rows select n order by n");
        (answer.status == 200).then(|| assert_eq!(answer.json()["rows"], json!([[1], [2]])))
    });
    // One that stands still is given up after its time, and others are answered meanwhile.
    server.pause();
    std::thread::scope(|scope| {
        let slow: Vec<_> =
            (0..6).map(|_| scope.spawn(|| refused(&node, "from Rows select n").0)).collect();
        while slow.iter().any(|asked| !asked.is_finished()) {
            node.query("read", "from Memory select count() as c");
            std::thread::sleep(Duration::from_millis(20));
        }
        for code in slow.into_iter().map(|asked| asked.join().expect("an answer")) {
            let expected = ["sql-too-slow", "store-away", "not-in-time"];
            assert!(expected.contains(&&*code), "{code}");
        }
    });
    server.resume();
    node.wait(SOON, "the store answers again", || {
        (node.post(PATH, "from Rows select n").status == 200).then_some(())
    });
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn mariadb_that_is_away_holds_up_nobody() {
    a_server_that_is_away_holds_up_nobody(Which::Mariadb);
}

#[test]
fn postgres_that_is_away_holds_up_nobody() {
    a_server_that_is_away_holds_up_nobody(Which::Postgres);
}
