//! The log of deployments says what runs, and the folder of plans is an input of it: over restarts.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use crate::node::Node;
use crate::node::SOON;
use crate::node::client;

/// A plan that keeps what it has seen, times `factor`.
fn keeps(factor: i64) -> String {
    format!(
        "define stream In (n long); @primaryKey('n') define table Seen (n long);\n\
         from In select n * {factor}L as n update or insert into Seen on Seen.n == n;"
    )
}

fn start(plans: &[&str]) -> Node {
    let text = keeps(1);
    let files: Vec<_> = plans.iter().map(|plan| (format!("{plan}.siddhi"), &*text)).collect();
    let files: Vec<_> = files.iter().map(|(file, text)| (file.as_str(), *text)).collect();
    let node = Node::start(&files, "");
    for plan in plans {
        node.wait_for_plan(plan);
        node.send(plan, "In", &json!({ "n": 7 }));
    }
    node
}

fn seen(node: &Node, plan: &str) -> Value {
    node.query(plan, "from Seen select n order by n")["rows"].clone()
}

fn wait_until_ready(node: &Node) {
    node.wait(SOON, "it is ready", || (node.get("/health/ready").status == 200).then_some(()));
}

fn data(node: &Node, what: &str, plan: &str) -> PathBuf {
    node.folder().join("data").join(what).join("default").join(plan)
}

fn version(node: &Node, plan: &str) -> Value {
    node.get(&format!("/api/v1/plans/{plan}")).json()["version"].clone()
}

#[test]
fn a_plan_whose_file_was_deleted_while_the_node_was_down_is_gone_with_its_data() {
    let mut node = start(&["p", "q"]);
    node.kill();
    fs::remove_file(node.plan_file("p.siddhi")).unwrap();
    node.start_again();
    node.wait_for_plan("q");
    wait_until_ready(&node);
    assert_eq!(node.get("/api/v1/plans/p").status, 404);
    assert_eq!(seen(&node, "q"), json!([[7]]));
    let gone = || (!data(&node, "journal", "p").exists()).then_some(());
    node.wait(SOON, "what was kept of it is gone", gone);
    assert!(!node.plan_file("p.siddhi").exists());
    node.put("p.siddhi", keeps(1));
    node.wait_for_plan("p");
    assert_eq!(seen(&node, "p"), json!([]), "one of its name begins empty");
}

#[test]
fn a_folder_that_is_empty_or_missing_at_the_start_undeploys_nothing() {
    let mut node = start(&["p", "q"]);
    for is_missing in [false, true] {
        node.kill();
        fs::remove_dir_all(node.folder().join("plans")).unwrap();
        if !is_missing {
            fs::create_dir(node.folder().join("plans")).unwrap();
        }
        node.start_again();
        for plan in ["p", "q"] {
            node.wait_for_plan(plan);
            assert_eq!((seen(&node, plan), version(&node, plan)), (json!([[7]]), json!(1)));
            let file = node.plan_file(&format!("{plan}.siddhi"));
            assert_eq!(fs::read_to_string(file).unwrap(), keeps(1), "written as the log has it");
        }
    }
    // In a folder that the node has seen files in, to delete the last one means what it says.
    for plan in ["p", "q"] {
        fs::remove_file(node.plan_file(&format!("{plan}.siddhi"))).unwrap();
        node.wait(SOON, "it is gone", || {
            (node.get(&format!("/api/v1/plans/{plan}")).status == 404).then_some(())
        });
    }
    node.kill_and_start();
    wait_until_ready(&node);
    assert_eq!(node.get("/api/v1/plans").json()["plans"], json!([]));
}

#[test]
fn an_old_file_is_written_anew_and_a_change_of_an_old_file_is_kept_beside() {
    let mut node = start(&["p", "q"]);
    // What the node has noted of the folder is put back to where it was: as if it had ended between
    // a change in the log and the file.
    let notes = data(&node, "journal", ".deployments").join("folder");
    let mark = |text: &str| format!("{text}\n-- by hand\n");
    node.kill();
    let old = fs::read(&notes).unwrap();
    node.start_again();
    for plan in ["p", "q"] {
        node.wait_for_plan(plan);
        let path = format!("/api/v1/plans/{plan}");
        let put = client::ask(node.address(), "PUT", &path, &[], Some(keeps(2).as_bytes()));
        assert_eq!(put.status, 200, "{}", put.text());
    }
    node.kill();
    fs::write(&notes, &old).unwrap();
    node.put("p.siddhi", keeps(1));
    node.put("q.siddhi", mark(&keeps(1)));
    node.start_again();
    for plan in ["p", "q"] {
        node.wait_for_plan(plan);
        let file = node.plan_file(&format!("{plan}.siddhi"));
        node.wait(SOON, "the file holds what runs", || {
            (fs::read_to_string(&file).ok()? == keeps(2)).then_some(())
        });
        assert_eq!((version(&node, plan), seen(&node, plan)), (json!(2), json!([[7]])));
    }
    let beside = fs::read_to_string(node.plan_file("q.siddhi.conflict")).unwrap();
    assert_eq!(beside, mark(&keeps(1)));
    assert!(!node.plan_file("p.siddhi.conflict").exists(), "nobody changed that one");
    assert!(node.log().contains("changed against another version"), "{}", node.log());
}

#[test]
fn data_from_before_there_was_a_log_of_deployments_is_taken_over() {
    let mut node = start(&["p", "q", "r"]);
    node.put("q.siddhi", keeps(2));
    node.wait(SOON, "the new version runs", || (version(&node, "q") == 2).then_some(()));
    node.send("q", "In", &json!({ "n": 5 }));
    assert_eq!(node.post("/api/v1/plans/q/snapshots", "").status, 201);
    for are_marked in [false, true] {
        node.kill();
        for what in ["journal", "snapshots"] {
            let _ = fs::remove_dir_all(data(&node, what, ".deployments"));
        }
        if !are_marked {
            for plan in ["p", "q", "r"] {
                fs::remove_file(data(&node, "journal", plan).join("number")).unwrap();
            }
            node.put("q.siddhi", keeps(3));
            fs::remove_file(node.plan_file("r.siddhi")).unwrap();
        }
        node.start_again();
        node.wait_for_plan("p");
        node.wait(SOON, "the changed version runs", || (version(&node, "q") == 3).then_some(()));
        assert_eq!((version(&node, "p"), seen(&node, "p")), (json!(1), json!([[7]])));
        assert_eq!(seen(&node, "q"), json!([[7], [10]]));
        wait_until_ready(&node);
        // A plan without a file does not run, as before; but its data is not forgotten.
        assert_eq!(node.get("/api/v1/plans/r").status, 404);
        node.wait(SOON, "it is told", || {
            node.log().contains("data of a plan that is not deployed").then_some(())
        });
        assert!(data(&node, "journal", "r").exists());
    }
    node.put("r.siddhi", keeps(1));
    node.wait_for_plan("r");
    assert_eq!(seen(&node, "r"), json!([[7]]), "its file is back, and it goes on");
}

#[test]
fn a_variable_with_another_value_is_a_new_version_and_the_file_stays_as_it_was_written() {
    let text = "define stream In (n long); @primaryKey('n') define table Seen (n long);\n\
                from In[n < ${LIMIT}L] select n update or insert into Seen on Seen.n == n;";
    let mut node = Node::start(&[("p.siddhi", text)], "");
    node.wait_for_plan("p");
    node.send("p", "In", &json!([{ "n": 7 }, { "n": 70 }]));
    node.kill();
    node.start_again_where("LIMIT", "100");
    node.wait_for_plan("p");
    node.wait(SOON, "the new value counts", || (version(&node, "p") == 2).then_some(()));
    node.send("p", "In", &json!({ "n": 70 }));
    assert_eq!(seen(&node, "p"), json!([[7], [70]]));
    assert_eq!(fs::read_to_string(node.plan_file("p.siddhi")).unwrap(), text);
}

#[test]
fn a_file_broken_while_the_node_was_down_is_refused_and_the_version_before_runs() {
    let mut node = start(&["p"]);
    node.kill();
    node.put("p.siddhi", "define stream In (n long); from In selct n insert into Out;");
    node.start_again();
    node.wait_for_plan("p");
    assert_eq!(seen(&node, "p"), json!([[7]]));
    let document = node.get("/api/v1/plans/p").json();
    assert_eq!(document["refused"][0]["file"], "p.siddhi", "{document}");
    node.put("p.siddhi", keeps(2));
    node.wait(SOON, "the next version runs", || (version(&node, "p") == 2).then_some(()));
    assert_eq!(node.get("/api/v1/plans/p").json()["refused"], json!([]));
}

#[test]
fn a_damaged_log_of_deployments_is_not_passed_over() {
    let mut node = start(&["p", "q"]);
    node.kill();
    let journal = data(&node, "journal", ".deployments");
    let files = fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().path());
    let segment = files.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    bytes[100] ^= 1;
    fs::write(&segment, bytes).unwrap();
    node.start_again_unheard();
    node.wait_for_end();
    assert!(node.log().contains("the log of deployments"), "{}", node.log());
    assert!(node.plan_file("p.siddhi").exists());
}
