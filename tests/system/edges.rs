//! Ways in and out of a real node: a followed file, a topic between plans, files written, a path of
//! the server, and an account of what could not be handled.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use crate::node::Node;
use crate::node::SOON;

const FIRST: &str = "
@source(type='file', file.uri='in.csv', idle.flush='100 ms', file.polling.interval='5 ms',
    @map(type='csv'))
define stream In (name string, n int);

@source(type='http', path='/lines',
    @map(type='text', regex.A='(\\w+)=(\\d+)', @attributes(name='A[1]', n='A[2]')))
define stream Posted (name string, n int);

@sink(type='inMemory', topic='numbers')
@Export('numbers:1.0.0')
@sink(type='file', file.uri='out/numbers.jsonl',
    @map(type='json', @payload('{\"{{name}}\":{{n}}}')))
define stream Out (name string, n int);

-- A file cannot be a folder.
@sink(type='file', file.uri='twinflow.toml/lost')
define stream Lost (n int);

from In[n > 0] select name, n insert into Out;
from Posted select name, n insert into Out;
from In[n < 0] select n insert into Lost;
";

const SECOND: &str = "
@source(type='inMemory', topic='numbers')
define stream In (name string, n int);
@Import('numbers:1.0.0')
define stream Imported (name string, n int);
from In select name, n * 2 as n insert into Out;
from Imported[n > 4] select name insert into Linked;
";

fn folder(node: &Node) -> PathBuf {
    node.folder().to_owned()
}

fn wait_for_actors(node: &Node, names: &[&str]) {
    node.wait(SOON, "the receivers are open", || {
        let status = node.get("/api/v1/status").json();
        let actors = status["actors"].as_array().cloned().unwrap_or_default();
        let runs = |name: &&str| {
            actors.iter().any(|actor| actor["name"] == **name && actor["state"] == "running")
        };
        names.iter().all(runs).then_some(())
    });
}

fn letters(node: &Node) -> (Vec<Value>, Vec<Value>) {
    let document = node.get("/api/v1/plans/first/dead-letters").json();
    let list = |name: &str| document[name].as_array().cloned().unwrap_or_default();
    (list("dead_letters"), list("counted"))
}

#[test]
fn events_come_and_go_by_every_way_and_nothing_vanishes() {
    let node = Node::start(&[("first.siddhi", FIRST), ("second.siddhi", SECOND)], "");
    let receivers = [
        "plans/first/receiver:Posted:1",
        "plans/second/receiver:In:1",
        "plans/second/receiver:Imported:1",
    ];
    wait_for_actors(&node, &receivers);
    // The last line has no end.
    fs::write(folder(&node).join("in.csv"), "a,1\r\nb,x\n\"c,c\",3\nd,-4\ne,5").unwrap();
    let doubled = json!([{"name":"a","n":2}, {"name":"c,c","n":6}, {"name":"e","n":10}]);
    let second = |expected: &Value| {
        let found = Value::Array(node.events("second", "Out"));
        (found == *expected).then_some(())
    };
    node.wait(SOON, "the second plan has doubled them", || second(&doubled));
    let out = folder(&node).join("out/numbers.jsonl");
    let written = || fs::read_to_string(&out).unwrap_or_default();
    let expected = "{\"a\":1}\n{\"c,c\":3}\n{\"e\":5}\n";
    node.wait(SOON, "they are written", || (written() == expected).then_some(()));

    let answer = node.post("/api/v1/receivers/lines", "so f=6 it is");
    assert_eq!((answer.status, answer.json()), (202, json!({ "accepted": 1 })));
    let answer = node.post("/api/v1/receivers/lines", "nothing of that kind");
    assert_eq!((answer.status, answer.json()), (202, json!({ "accepted": 0 })));
    let answer = node.post("/api/v1/receivers/lines", "g=99999999999");
    assert_eq!((answer.status, answer.json()["code"].clone()), (422, json!("out-of-range")));
    let all = json!([{"name":"a","n":2}, {"name":"c,c","n":6}, {"name":"e","n":10},
        {"name":"f","n":12}]);
    node.wait(SOON, "the line came through", || second(&all));
    node.wait(SOON, "what is exported is imported", || {
        let linked = Value::Array(node.events("second", "Linked"));
        (linked == json!([{"name": "e"}, {"name": "f"}])).then_some(())
    });

    node.wait(SOON, "all is accounted for", || {
        let (kept, counted) = letters(&node);
        (kept.len() == 1 && counted.len() == 1).then_some(())
    });
    let (kept, counted) = letters(&node);
    assert_eq!((&kept[0]["reason"], &kept[0]["stream"]), (&json!("unreadable"), &json!("In")));
    let message = kept[0]["message"].as_str().unwrap();
    assert!(message.contains("attribute `n`: expected int, found `x`"), "{message}");
    assert_eq!(kept[0]["sample"], "b,x");
    let (reason, stream) = (&counted[0]["reason"], &counted[0]["stream"]);
    assert_eq!((reason, stream), (&json!("publisher"), &json!("Lost")), "not kept without a word");

    let metrics = node.get("/metrics").text();
    for line in [
        "twinflow_events_total{plan=\"first\",stream=\"In\",direction=\"in\"} 4",
        "twinflow_events_total{plan=\"first\",stream=\"Posted\",direction=\"in\"} 1",
        "twinflow_dropped_total{plan=\"first\",\
            stream=\"Posted\",query=\"\",reason=\"unmatched\"} 1",
        "twinflow_dead_letters_total{plan=\"first\",reason=\"unreadable\"} 1",
        "twinflow_dead_letters_total{plan=\"first\",reason=\"publisher\"} 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    }
    assert_eq!(node.stop(), Some(0));
}
