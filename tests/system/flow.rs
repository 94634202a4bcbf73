//! Events in, results out: sending, looking back, following live, asking tables.

use serde_json::Value;
use serde_json::json;

use crate::node::Node;
use crate::node::client;

const PLAN: &str = "
@app:description('Doubles numbers and keeps the last of each name.')
define stream In (name string, n long);
@primaryKey('name')
define table Last (name string, n long);
from In[n > 0] select name, n * 2L as n insert into Out;
from In select name, n update or insert into Last on Last.name == name;
";

const IN: &str = "/api/v1/plans/p/streams/In";

fn node(settings: &str) -> Node {
    let node = Node::start(&[("p.siddhi", PLAN)], settings);
    node.wait_for_plan("p");
    node
}

fn numbers(events: &[Value]) -> Vec<i64> {
    events.iter().map(|event| event["n"].as_i64().expect("a number")).collect()
}

#[test]
fn every_form_of_events_is_taken() {
    let node = node("");
    let forms = [
        ("application/json", r#"{"name":"a","n":1}"#, 1),
        ("application/json; charset=UTF-8", r#"[{"n":2,"name":"a"},{"name":"b","n":3}]"#, 2),
        ("application/x-ndjson", "{\"name\":\"a\",\"n\":4}\n{\"name\":\"a\",\"n\":5}\n", 2),
        ("", "{\"name\":\"a\",\"n\":6}\r\n\r\n{\"name\":\"a\",\"n\":7}", 2),
        ("application/x-www-form-urlencoded", r#"[{"event":{"name":"a","n":8}}]"#, 1),
        ("text/plain", r#" {"name":null,"n":9} "#, 1),
    ];
    for (form, body, events) in forms {
        let headers = [("content-type", form)];
        let headers = if form.is_empty() { &headers[..0] } else { &headers[..] };
        let path = format!("{IN}?ack=accepted");
        let body = Some(body.as_bytes());
        let answer = client::ask(node.address(), "POST", &path, headers, body);
        assert_eq!((answer.status, answer.json()), (202, json!({ "accepted": events })), "{form}");
    }
    // Stands in line behind what was accepted.
    node.send("p", "In", &json!({ "name": "a", "n": 10 }));
    assert_eq!(numbers(&node.events("p", "In")), (1..=10).collect::<Vec<_>>());
    assert_eq!(numbers(&node.events("p", "Out")), (1..=10).map(|n| n * 2).collect::<Vec<_>>());
    assert_eq!(node.events_in("p"), 10);
}

#[test]
fn the_answer_to_applied_events_tells_their_position() {
    let node = node("");
    let path = format!("{IN}?ack=applied");
    // The first entry of a plan's log is its deployment.
    for position in 2..=4 {
        let path = if position == 3 { IN } else { &path };
        let answer = node.post(path, r#"{"name":"a","n":1}"#);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json(), json!({ "accepted": 1, "position": position }));
    }
}

#[test]
fn an_event_may_bring_its_own_time() {
    let node = node("");
    let body = r#"[{"name":"a","n":1700000000000},{"name":"a","n":1600000000000}]"#;
    assert_eq!(node.post(&format!("{IN}?timestamp=n&ack=applied"), body).status, 200);
    let events = node.get(&format!("{IN}/events")).json()["events"].clone();
    let times: Vec<_> = events.as_array().unwrap().iter().map(|e| e["timestamp"].clone()).collect();
    assert_eq!(times, [json!(1_700_000_000_000_i64), json!(1_600_000_000_000_i64)]);
}

#[test]
fn the_newest_events_can_be_read_and_read_on() {
    let node = node("");
    let look = |query: &str| node.get(&format!("{IN}/events{query}")).json();
    let shown = |document: &Value| {
        let events = document["events"].as_array().unwrap().iter();
        numbers(&events.map(|event| event["event"].clone()).collect::<Vec<_>>())
    };
    let before = look("");
    assert_eq!((shown(&before), &before["missed"]), (vec![], &json!(0)));
    let batch: Vec<Value> = (1..=5).map(|n| json!({ "name": "a", "n": n })).collect();
    node.send("p", "In", &json!(batch));
    assert_eq!(shown(&look("?limit=2")), [4, 5]);
    assert_eq!(shown(&look("?limit=0")), [] as [i64; 0]);
    let page = look(&format!("?limit=3&after={}", before["last"].as_str().unwrap()));
    assert_eq!(shown(&page), [1, 2, 3], "from where one was, oldest first");
    let page = look(&format!("?after={}", page["last"].as_str().unwrap()));
    assert_eq!((shown(&page), &page["missed"]), (vec![4, 5], &json!(0)));
    let page = look(&format!("?after={}", page["last"].as_str().unwrap()));
    assert_eq!(shown(&page), [] as [i64; 0]);
    let foreign = look("?after=12345-2");
    assert_eq!((shown(&foreign), &foreign["missed"]), (vec![1, 2, 3, 4, 5], &Value::Null));
}

#[test]
fn a_tail_goes_on_where_it_was_and_tells_of_gaps() {
    let node = node("[tail]\nevents = 3\n");
    let send = |range: std::ops::RangeInclusive<i64>| {
        for n in range {
            node.send("p", "In", &json!({ "name": "a", "n": n }));
        }
    };
    send(1..=1);
    let mut tail = node.tail("p", "Out", "");
    send(2..=3);
    let told = [tail.next().unwrap(), tail.next().unwrap()];
    let data: Vec<_> = told.iter().map(|told| told.data["event"]["n"].clone()).collect();
    assert_eq!(data, [json!(4), json!(6)], "from now on only");
    assert!(told[0].data["timestamp"].is_i64() && told[0].name.is_empty());

    let resume = |id: &str| {
        let path = "/api/v1/plans/p/streams/Out/events";
        let headers = [("last-event-id", id), ("accept", "text/event-stream")];
        client::TailReader::open(node.address(), path, &headers)
    };
    assert_eq!(resume(&told[0].id).next().unwrap(), told[1], "the same event, the same id");
    send(4..=9);
    let mut resumed = resume(&told[1].id);
    let gap = resumed.next().unwrap();
    assert_eq!((gap.name.as_str(), &gap.data), ("gap", &json!({ "missed": 3 })));
    assert_eq!(resumed.next().unwrap().data["event"]["n"], 14);
    assert_eq!(resume(&gap.id).next().unwrap().data["event"]["n"], 14, "a gap has its id too");
    let elsewhere = resume("12345-1").next().unwrap();
    assert_eq!((elsewhere.name.as_str(), &elsewhere.data), ("gap", &json!({ "missed": null })));

    let mut newest = node.tail("p", "Out", "?limit=2");
    assert_eq!(newest.next().unwrap().data["event"]["n"], 16);
    // The first tail was slow, but reads on from where it was, as far as events are kept.
    assert_eq!(tail.next().unwrap().data["event"]["n"], 8);

    std::fs::remove_file(node.plan_file("p.siddhi")).unwrap();
    loop {
        let told = newest.next().expect("the end is told");
        if told.name == "end" {
            break;
        }
    }
    assert_eq!(newest.next(), None);
}

#[test]
fn tables_answer_questions() {
    let node = node("");
    let batch = json!([{ "name": "a", "n": 1 }, { "name": "b", "n": 2 }, { "name": "a", "n": 3 }]);
    node.send("p", "In", &batch);
    let answer = node.query("p", "from Last on n > 1 select name, n order by name desc");
    let columns = json!([{ "name": "name", "type": "string" }, { "name": "n", "type": "long" }]);
    assert_eq!(answer, json!({ "columns": columns, "rows": [["b", 2], ["a", 3]] }));
    let answer = node.query("p", "from Last select sum(n) as total");
    assert_eq!(answer["rows"], json!([[5]]));
    assert_eq!(node.query("p", "from Last on n > 100 select name")["rows"], json!([]));
    node.query("p", "delete Last on Last.name == 'a'");
    assert_eq!(node.query("p", "from Last select name")["rows"], json!([["b"]]));
    // As plain text, and with a fault at its place.
    assert_eq!(node.post("/api/v1/plans/p/query", "from Last select n").status, 200);
    let problem = node.post("/api/v1/plans/p/query", "from Last\nselect m").json();
    let diagnostic = &problem["diagnostics"][0];
    assert_eq!((&diagnostic["line"], &diagnostic["column"]), (&json!(2), &json!(8)));
    assert!(problem["detail"].as_str().unwrap().contains("2:8"), "{problem}");
}

#[test]
fn a_plan_tells_all_that_is_known_of_it() {
    let node = node("");
    node.send("p", "In", &json!([{ "name": "a", "n": 1 }, { "name": "b", "n": -1 }]));
    let plan = node.get("/api/v1/plans/p").json();
    assert_eq!((&plan["name"], &plan["state"]), (&json!("p"), &json!("running")));
    assert_eq!((&plan["events_in"], &plan["events_out"]), (&json!(2), &json!(1)));
    assert_eq!(plan["text"], PLAN);
    assert!(plan["description"].as_str().unwrap().starts_with("Doubles"));
    let names = |list: &Value| -> Vec<String> {
        let list = list.as_array().unwrap().iter();
        list.map(|each| each["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&plan["streams"]), ["In", "Out"]);
    assert_eq!(names(&plan["tables"]), ["Last"]);
    assert_eq!(plan["tables"][0]["primary_key"], json!(["name"]));
    assert_eq!(plan["streams"][0]["attributes"][1], json!({ "name": "n", "type": "long" }));
    assert_eq!(plan["streams"][0]["newest"].as_str().unwrap().rsplit_once('-').unwrap().1, "2");
    let all = node.get("/api/v1/plans").json();
    assert_eq!(names(&all["plans"]), ["p"]);
    let metrics = node.get("/metrics");
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let line = "twinflow_events_total{plan=\"p\",stream=\"In\",direction=\"in\"} 2";
    assert!(metrics.text().contains(line), "{}", metrics.text());
}

#[test]
fn a_text_can_be_checked_without_being_deployed() {
    let node = node("");
    let check = |body: &str| node.post("/api/v1/check", body).json();
    let good = check("@app:name('x') define stream S (a int); from S select a insert into T;");
    assert_eq!((&good["ok"], &good["name"]), (&json!(true), &json!("x")));
    let bad = check(&json!({ "plan": "define stream S (a int);\nfrom S select b" }).to_string());
    assert_eq!(bad["ok"], false);
    assert_eq!(bad["diagnostics"][0]["line"], 2);
    assert!(bad["text"].as_str().unwrap().contains('^'));
    assert_eq!(node.get("/api/v1/plans/x").status, 404);
}

#[test]
fn a_node_stops_in_order_while_somebody_follows() {
    let node = node("");
    let mut tail = node.tail("p", "Out", "");
    assert_eq!(node.get("/health/ready").json(), json!({ "status": "ready" }));
    assert_eq!(node.stop(), Some(0));
    assert_eq!(tail.next(), None);
}
