//! Plans put and removed over HTTP: the folder follows, and what is wrong changes nothing.

use std::fs;

use serde_json::Value;
use serde_json::json;

use crate::node::Node;
use crate::node::client;
use crate::node::client::Answer;

fn ask(node: &Node, method: &str, plan: &str, body: &str) -> Answer {
    let path = format!("/api/v1/plans/{plan}");
    client::ask(node.address(), method, &path, &[], Some(body.as_bytes()))
}

/// A plan that adds `offset` to what comes.
fn adds(offset: i64) -> String {
    format!("define stream In (n long);\nfrom In select n + {offset}L as n insert into Out;\n")
}

fn files(node: &Node) -> Vec<String> {
    let folder = fs::read_dir(node.folder().join("plans")).expect("a folder");
    let names = folder.map(|entry| entry.expect("an entry").file_name());
    let mut files: Vec<_> = names.map(|name| name.into_string().expect("a text")).collect();
    files.sort();
    files
}

#[test]
fn a_plan_is_put_changed_and_removed() {
    let node = Node::start(&[], "");
    let new = ask(&node, "PUT", "sums", &adds(1));
    let told = new.json();
    assert_eq!((new.status, &told["state"], &told["version"]), (201, &json!("running"), &json!(1)));
    assert_eq!(fs::read_to_string(node.plan_file("sums.siddhi")).unwrap(), adds(1));
    node.send("sums", "In", &json!({ "n": 1 }));

    let body = json!({ "plan": adds(10) }).to_string();
    let changed = ask(&node, "PUT", "sums", &body);
    assert_eq!((changed.status, &changed.json()["version"]), (200, &json!(2)));
    node.send("sums", "In", &json!({ "n": 1 }));
    assert_eq!(node.events("sums", "Out"), [json!({ "n": 2 }), json!({ "n": 11 })]);
    let again = ask(&node, "PUT", "sums", &adds(10));
    assert_eq!((again.status, &again.json()["version"]), (200, &json!(2)), "nothing changed");

    let gone = ask(&node, "DELETE", "sums", "");
    assert_eq!(gone.status, 200, "{}", gone.text());
    assert_eq!(gone.json(), json!({ "plan": "sums", "files": ["sums.siddhi"] }));
    assert_eq!(node.get("/api/v1/plans/sums").status, 404);
    assert_eq!(files(&node), [] as [&str; 0], "no draft is left either");
    assert_eq!(ask(&node, "DELETE", "sums", "").json()["code"], "unknown-plan");
}

#[test]
fn a_plan_with_a_mistake_is_not_written() {
    let node = Node::start(&[("sums.siddhi", &adds(1))], "");
    node.wait_for_plan("sums");
    for plan in ["sums", "new"] {
        let answer = ask(&node, "PUT", plan, "define stream In (n long);\nfrom In select m\n");
        let problem = answer.json();
        assert_eq!((answer.status, &problem["code"]), (422, &json!("plan-refused")));
        let first = &problem["diagnostics"][0];
        assert_eq!((&first["line"], first["column"].is_u64()), (&json!(2), true), "{problem}");
        let text = problem["text"].as_str().unwrap();
        assert!(text.contains("from In select m") && text.contains('^'), "{text}");
    }
    assert_eq!(fs::read_to_string(node.plan_file("sums.siddhi")).unwrap(), adds(1));
    assert_eq!(files(&node), ["sums.siddhi"]);
    let sums = node.get("/api/v1/plans/sums").json();
    assert_eq!((&sums["version"], &sums["refused"]), (&json!(1), &json!([])));
}

#[test]
fn a_plan_that_cannot_be_put_there_says_why() {
    let named = |name: &str| format!("@app:name('{name}')\n{}", adds(1));
    let node = Node::start(&[("odd.siddhi", &named("even")), ("third.siddhi", &adds(1))], "");
    node.wait_for_plan("even");
    node.wait_for_plan("third");
    for (what, plan, text, status, code) in [
        ("a name that is none", "a%20b", adds(1), 400, "bad-parameter"),
        ("a hidden name", ".a", adds(1), 400, "bad-parameter"),
        ("a long name", "a".repeat(101).as_str(), adds(1), 400, "bad-parameter"),
        ("nothing", "new", " \n".to_owned(), 400, "malformed"),
        ("no text", "new", "a\0b".to_owned(), 400, "malformed"),
        ("another member", "new", json!({ "text": "" }).to_string(), 400, "malformed"),
        ("another name inside", "new", named("other"), 422, "other-name"),
        ("no name where the file's is another", "even", adds(1), 422, "other-name"),
        ("a file with another plan", "odd", adds(1), 409, "file-taken"),
        ("too much", "new", "-".repeat(2 << 20), 413, "body-too-large"),
    ] {
        let answer = ask(&node, "PUT", plan, &text);
        let found = (answer.status, answer.json()["code"].clone());
        assert_eq!(found, (status, json!(code)), "{what}: {}", answer.text());
    }
    assert_eq!(files(&node), ["odd.siddhi", "third.siddhi"]);
    let plans = node.get("/api/v1/plans").json();
    let versions: Vec<&Value> =
        plans["plans"].as_array().unwrap().iter().map(|plan| &plan["version"]).collect();
    assert_eq!(versions, [&json!(1), &json!(1)]);
    let put = ask(&node, "PUT", "even", &named("even").replace("1L", "2L"));
    assert_eq!(put.status, 200, "it goes where it lies: {}", put.text());
    assert_eq!(files(&node), ["odd.siddhi", "third.siddhi"]);
}

#[test]
fn a_refused_file_is_mended_or_removed() {
    let node = Node::start(&[("a.siddhi", "no plan"), ("b.siddhi", "no plan")], "");
    node.wait(crate::node::SOON, "both are refused", || {
        let plans = node.get("/api/v1/plans").json();
        (plans["plans"].as_array()?.len() == 2).then_some(())
    });
    let mended = ask(&node, "PUT", "a", &adds(1));
    assert_eq!(mended.json()["state"], "running", "{}", mended.text());
    assert_eq!(mended.json()["refused"], json!([]));
    assert_eq!(ask(&node, "DELETE", "b", "").status, 200);
    assert_eq!(files(&node), ["a.siddhi"]);
}

#[test]
fn many_may_put_at_once() {
    let node = Node::start(&[], "");
    std::thread::scope(|scope| {
        for n in 0..8 {
            let node = &node;
            scope.spawn(move || {
                let status = ask(node, "PUT", &format!("p{n}"), &adds(n)).status;
                assert_eq!(status, 201);
            });
        }
    });
    assert_eq!(files(&node).len(), 8);
}
