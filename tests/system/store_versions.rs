//! A table of a store that a new version defines otherwise, while its database is away or does not
//! fit: nothing hangs, nothing that was written before is lost, and what is in the way is said.

use serde_json::Value;
use serde_json::json;
use twinflow::event::DataType;

use crate::node::Node;
use crate::node::SOON;
use crate::servers::Place;
use crate::servers::Which;
use crate::servers::on_each;

/// The plan with this definition of its table.
fn plan(columns: &str, key: &str, select: &str) -> String {
    format!(
        "@app:name('kept') define stream In (k int, v int);
         @store(type='rdbms', datasource='D', table.name='kept_rows')
         @primaryKey({key}) define table T ({columns});
         from In select {select} update or insert into T on T.k == k;"
    )
}

fn first() -> String {
    plan("k int, v int", "'k'", "k, v")
}

fn start(place: &Place) -> Node {
    let settings = format!("[stores.D]\n{}statement_time_max = '3s'\n", place.settings());
    let node = Node::start(&[("kept.siddhi", first().as_str())], &settings);
    node.wait_for_plan("kept");
    node
}

fn rows(place: &Place) -> Vec<Vec<i64>> {
    let sql = "SELECT k, v FROM kept_rows ORDER BY k";
    let found = place.session().query(sql, &[], &[DataType::Long; 2]).expect("the rows");
    let row = |row| found.row(row).iter().map(|value| value.as_long().unwrap_or(-1)).collect();
    (0..found.len()).map(row).collect()
}

fn wait_for_rows(node: &Node, place: &Place, expected: &[[i64; 2]]) {
    let what = format!("the store has {expected:?}");
    node.wait(SOON, &what, || (rows(place) == expected).then_some(()));
}

/// A new version takes over within little more than the time its publishers have to end.
fn deploy(node: &Node, text: &str) {
    let updates = |node: &Node| {
        let is_update = |line: &&str| line.contains(" updated ") && line.contains("kept.siddhi");
        node.log().lines().filter(is_update).count()
    };
    let before = updates(node);
    node.put("kept.siddhi", text);
    node.wait(2 * SOON, "the new version is at work", || (updates(node) > before).then_some(()));
}

fn says(node: &Node, reason: &str) {
    node.wait(SOON, &format!("it says: {reason}"), || {
        let status = node.get("/api/v1/status").json();
        let core = |actor: &&Value| actor["name"] == "plans/kept/core";
        let core = status["actors"].as_array()?.iter().find(core)?.clone();
        let is_shown = core["detail"].as_str()?.contains(reason);
        (is_shown && node.log().contains(reason)).then_some(())
    });
}

on_each![what_does_not_fit_is_said_and_another_version_takes_over];

fn what_does_not_fit_is_said_and_another_version_takes_over(place: &Place) {
    let node = start(place);
    node.send("kept", "In", &json!([{"k": 1, "v": 1}]));
    wait_for_rows(&node, place, &[[1, 1]]);
    for (text, reason) in [
        (plan("k int, v int, w int", "'k'", "k, v, 0 as w"), "has no column `w`"),
        (plan("k int, v string", "'k'", "k, convert(v, 'string') as v"), "every string"),
        (plan("k int, v int", "'k', 'v'", "k, v"), "the primary key of table `kept_rows` is `k`"),
    ] {
        deploy(&node, &text);
        says(&node, reason);
    }
    deploy(&node, &first());
    node.send("kept", "In", &json!([{"k": 2, "v": 2}]));
    wait_for_rows(&node, place, &[[1, 1], [2, 2]]);
    assert_eq!(node.stop(), Some(0));
}

fn a_definition_that_changes_while_the_database_is_down(which: Which) {
    let (place, server) = Place::alone(which);
    let node = start(&place);
    node.send("kept", "In", &json!([{"k": 1, "v": 1}]));
    wait_for_rows(&node, &place, &[[1, 1]]);
    server.kill();
    node.send("kept", "In", &json!([{"k": 1, "v": 2}, {"k": 2, "v": 2}]));
    let wider = plan("k int, v int, w int", "'k'", "k, v, 0 as w");
    deploy(&node, &wider);
    // Others go on, and so does who changes his mind.
    node.put("other.siddhi", "@app:name('other') define stream In (a int);");
    node.wait_for_plan("other");
    deploy(&node, &first());
    deploy(&node, &wider);
    server.start_again();
    // What the first version had still to write comes first; then the table does not fit.
    says(&node, "has no column `w`");
    assert_eq!(rows(&place), [[1, 2], [2, 2]], "{}", node.log());
    place.session().run("ALTER TABLE kept_rows ADD COLUMN w INTEGER").expect("a column");
    let query = "from T select k, v, w order by k";
    node.wait(SOON, "the plan goes on", || {
        let found = node.query("kept", query)["rows"].clone();
        (found == json!([[1, 2, null], [2, 2, null]])).then_some(())
    });
    node.send("kept", "In", &json!([{"k": 3, "v": 3}]));
    wait_for_rows(&node, &place, &[[1, 2], [2, 2], [3, 3]]);
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn a_definition_that_changes_while_mariadb_is_down() {
    a_definition_that_changes_while_the_database_is_down(Which::Mariadb);
}

#[test]
fn a_definition_that_changes_while_postgres_is_down() {
    a_definition_that_changes_while_the_database_is_down(Which::Postgres);
}
