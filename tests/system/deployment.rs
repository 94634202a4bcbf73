//! Plans come, change and go with their files, and a bad file harms nobody.

use std::fs;
use std::io::Write;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::node::Node;
use crate::node::SOON;

/// A plan that adds `offset` to what comes.
fn adds(offset: i64) -> String {
    format!("define stream In (n long); from In select n + {offset}L as n insert into Out;")
}

fn state(node: &Node, plan: &str) -> Value {
    node.get(&format!("/api/v1/plans/{plan}")).json()
}

/// Waits until the newest text of a plan is refused.
fn wait_for_refusal(node: &Node, plan: &str) -> Value {
    node.wait(SOON, &format!("`{plan}` is refused"), || {
        let document = state(node, plan);
        document["refused"][0].is_object().then_some(document)
    })
}

fn wait_for_version(node: &Node, plan: &str, version: u64) {
    node.wait(SOON, &format!("version {version} of `{plan}` runs"), || {
        (state(node, plan)["version"] == version).then_some(())
    });
}

fn wait_until_gone(node: &Node, plan: &str) {
    let address = format!("/api/v1/plans/{plan}");
    node.wait(SOON, &format!("`{plan}` is gone"), || {
        (node.get(&address).status == 404).then_some(())
    });
}

#[test]
fn a_dropped_file_runs_within_a_second() {
    let node = Node::start(&[("other.siddhi", &adds(0))], "");
    node.wait_for_plan("other");
    for (name, file) in [("one", "one.siddhi"), ("two", "two.siddhiql")] {
        let dropped = Instant::now();
        node.put(file, adds(1));
        node.wait_for_plan(name);
        let took = dropped.elapsed();
        assert!(took < Duration::from_secs(1), "{file} took {took:?}");
    }
    node.send("two", "In", &json!({ "n": 1 }));
    assert_eq!(node.events("two", "Out"), [json!({ "n": 2 })]);
}

#[test]
fn a_changed_file_takes_every_event_after_the_cut() {
    let node = Node::start(&[("p.siddhi", &adds(100))], "");
    node.wait_for_plan("p");
    // Events go on coming while the plan is changed: each meets one of the two versions, in order.
    node.send("p", "In", &json!({ "n": 0 }));
    node.put("p.siddhi", adds(200));
    let mut sent: i64 = 1;
    node.wait(SOON, "the new version runs", || {
        node.send("p", "In", &json!({ "n": sent }));
        sent += 1;
        (state(&node, "p")["version"] == 2).then_some(())
    });
    node.send("p", "In", &json!({ "n": sent }));
    let results = node.events("p", "Out");
    let results: Vec<i64> = results.iter().map(|event| event["n"].as_i64().unwrap()).collect();
    assert_eq!(results.len() as i64, sent + 1, "none is lost, none doubled");
    let cut = results.iter().position(|n| *n >= 200).expect("the new version has results");
    let old = (100..).take(cut);
    let new = (200 + cut as i64..).take(results.len() - cut);
    assert_eq!(results, old.chain(new).collect::<Vec<_>>());
    assert!(cut >= 1 && results.last() == Some(&(200 + sent)));
}

#[test]
fn a_deleted_file_takes_its_plan_along() {
    let node = Node::start(&[("p.siddhi", &adds(1)), ("q.siddhi", &adds(2))], "");
    node.wait_for_plan("p");
    node.wait_for_plan("q");
    fs::remove_file(node.plan_file("p.siddhi")).unwrap();
    wait_until_gone(&node, "p");
    node.send("q", "In", &json!({ "n": 1 }));
    assert_eq!(node.events("q", "Out"), [json!({ "n": 3 })]);
}

#[test]
fn a_renamed_file_with_the_same_plan_inside_changes_nothing() {
    let named = format!("@app:name('sum')\n{}", adds(1));
    let node = Node::start(&[("a.siddhi", &named), ("free.siddhi", &adds(2))], "");
    node.wait_for_plan("sum");
    node.wait_for_plan("free");
    node.send("sum", "In", &json!({ "n": 1 }));
    fs::rename(node.plan_file("a.siddhi"), node.plan_file("b.siddhi")).unwrap();
    fs::rename(node.plan_file("free.siddhi"), node.plan_file("taken.siddhi")).unwrap();
    node.wait_for_plan("taken");
    node.wait(SOON, "the file is known by its new name", || {
        (state(&node, "sum")["file"].as_str()?.ends_with("b.siddhi")).then_some(())
    });
    assert_eq!(state(&node, "sum")["version"], 1);
    assert_eq!(node.events("sum", "Out"), [json!({ "n": 2 })], "what was, still is");
    assert_eq!(node.get("/api/v1/plans/free").status, 404, "named by its file");
}

#[test]
fn a_name_changed_inside_is_another_plan() {
    let named = |name: &str| format!("@app:name('{name}')\n{}", adds(1));
    let node = Node::start(&[("a.siddhi", &named("old"))], "");
    node.wait_for_plan("old");
    node.put("a.siddhi", named("new"));
    node.wait_for_plan("new");
    wait_until_gone(&node, "old");
}

#[test]
fn a_broken_file_leaves_the_version_before_at_work_and_says_where_it_is_broken() {
    let node = Node::start(&[("p.siddhi", &adds(1)), ("q.siddhi", &adds(2))], "");
    node.wait_for_plan("p");
    node.wait_for_plan("q");
    node.put("p.siddhi", "define stream In (n long);\nfrom In selct n insert into Out;\n");
    let document = wait_for_refusal(&node, "p");
    assert_eq!((&document["state"], &document["version"]), (&json!("running"), &json!(1)));
    let diagnostic = &document["refused"][0]["diagnostics"][0];
    assert_eq!((&diagnostic["line"], &diagnostic["column"]), (&json!(2), &json!(9)));
    assert_eq!(diagnostic["source"], "from In selct n insert into Out;");
    let shown = document["refused"][0]["text"].as_str().unwrap();
    assert!(shown.contains("^^^^^") && shown.contains("select"), "{shown}");
    assert!(node.log().contains("p.siddhi:2:9"), "the log:\n{}", node.log());
    for (plan, result) in [("p", 2), ("q", 3)] {
        node.send(plan, "In", &json!({ "n": 1 }));
        assert_eq!(node.events(plan, "Out"), [json!({ "n": result })]);
    }
    node.put("p.siddhi", adds(10));
    wait_for_version(&node, "p", 2);
    assert_eq!(state(&node, "p")["refused"], json!([]));
}

#[test]
fn of_two_files_with_one_name_the_second_is_refused_naming_the_first() {
    let named = format!("@app:name('sum')\n{}", adds(1));
    let node = Node::start(&[("a.siddhi", &named)], "");
    node.wait_for_plan("sum");
    node.put("b.siddhi", named.replace('1', "2"));
    let document = wait_for_refusal(&node, "sum");
    let reason = document["refused"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("a.siddhi"), "{reason}");
    assert_eq!(document["refused"][0]["file"], "b.siddhi");
    fs::remove_file(node.plan_file("a.siddhi")).unwrap();
    wait_for_version(&node, "sum", 2);
}

#[test]
fn a_half_written_file_is_left_alone_until_it_rests() {
    let node = Node::start(&[], "[plans]\nsettle = \"300ms\"\n");
    let text = format!("{}\n-- {}\n", adds(1), "x".repeat(4000));
    let mut file = fs::File::create(node.plan_file("slow.siddhi")).unwrap();
    let end = Instant::now() + Duration::from_millis(800);
    for piece in text.as_bytes().chunks(50) {
        file.write_all(piece).unwrap();
        node.wait(SOON, "the next look", || {
            assert_eq!(node.get("/api/v1/plans/slow").status, 404, "half a plan was read");
            Some(())
        });
        if Instant::now() > end {
            break;
        }
    }
    file.write_all(&text.as_bytes()[file.metadata().unwrap().len() as usize..]).unwrap();
    drop(file);
    node.wait_for_plan("slow");
    assert!(!node.log().contains("refused"), "{}", node.log());
}

/// Files that are no plans: each is refused with a reason, and who sends events to it is told.
#[test]
fn files_that_are_no_plans_are_refused_and_harm_nobody() {
    let good = adds(1);
    let node = Node::start(&[("good.siddhi", &good)], "");
    node.wait_for_plan("good");
    node.send("good", "In", &json!({ "n": 1 }));
    let outside = node.plan_file("../outside");
    fs::write(&outside, &good).unwrap();
    std::os::unix::fs::symlink(&outside, node.plan_file("link.siddhi")).unwrap();
    let deep = "(".repeat(10_000);
    let circle = "define stream In (n long); from In select n insert into Out; \
                  from Out select n insert into In;";
    let files: [(&str, Vec<u8>, &str); 9] = [
        ("empty", Vec::new(), "empty"),
        ("blank", b" \n\t\n".to_vec(), "empty"),
        ("large", b"-".repeat(5 << 20), "bytes"),
        ("binary", b"define stream \0\x01\x02".to_vec(), "binary"),
        ("latin", b"-- gr\xfc\xdfe\ndefine stream S (n long);".to_vec(), "UTF-8"),
        ("deep", format!("define stream S (n int); from S[{deep}").into_bytes(), "errors"),
        ("circle", circle.as_bytes().to_vec(), "errors"),
        ("clash", format!("@app:name('good') {good}").into_bytes(), "good.siddhi"),
        ("cut", good.as_bytes()[..40].to_vec(), "errors"),
    ];
    for (name, content, _) in &files {
        node.put(&format!("{name}.siddhi"), content);
    }
    let reasons = files.iter().map(|(name, _, reason)| (*name, *reason));
    for (name, reason) in reasons.chain([("link", "symbolic link")]) {
        let plan = if name == "clash" { "good" } else { name };
        let document = wait_for_refusal(&node, plan);
        let found = document["refused"][0]["reason"].as_str().unwrap();
        assert!(found.contains(reason), "{name}: {found}");
        if reason == "errors" {
            let code = document["refused"][0]["diagnostics"][0]["code"].as_str();
            assert!(code.is_some_and(|code| code.len() == 5), "{name}: {code:?}");
        }
        if plan == name {
            assert_eq!(document["state"], "refused");
            let path = format!("/api/v1/plans/{name}/streams/In");
            let answer = node.post(&path, "{\"n\":1}");
            assert_eq!((answer.status, &answer.json()["code"]), (409, &json!("plan-not-running")));
        }
    }
    assert_eq!(node.events_in("good"), 1);
    node.send("good", "In", &json!({ "n": 2 }));
    assert_eq!(node.events("good", "Out"), [json!({ "n": 2 }), json!({ "n": 3 })]);
}

#[test]
fn what_is_not_supported_yet_is_told_apart_from_what_is_wrong() {
    let nested = "define stream S (a int);\n\
                  from (from S select a return) select a insert into Out;";
    let node = Node::start(&[("later.siddhi", nested), ("wrong.siddhi", "define S;")], "");
    let reason = |plan| wait_for_refusal(&node, plan)["refused"][0]["reason"].clone();
    assert_eq!(reason("later"), "the plan uses what is not supported yet");
    assert_eq!(reason("wrong"), "the plan has errors");
}
