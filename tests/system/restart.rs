//! A node that is killed goes on where it was: nothing that was answered is lost.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::Mutex;

use serde_json::Value;
use serde_json::json;

use crate::node::Node;
use crate::node::SOON;
use crate::node::client;

const SUMS: &str = "
@app:name('sums')
define stream In (n long);
@primaryKey('n') define table Seen (n long, times long);
@sink(type='file', file.uri='sums.jsonl', @map(type='json'))
define stream Sums (total long);
from In#window.length(1000) select sum(n) as total insert into Sums;
from In select n, 1L as times update or insert into Seen set Seen.times = Seen.times + times
    on Seen.n == n;
";

fn total(node: &Node) -> i64 {
    let text = fs::read_to_string(node.folder().join("sums.jsonl")).unwrap_or_default();
    let last = text.lines().last().map_or(Value::Null, |line| line.parse().expect("JSON"));
    last["event"]["total"].as_i64().or(last["total"].as_i64()).unwrap_or(0)
}

fn totals(node: &Node) -> usize {
    fs::read_to_string(node.folder().join("sums.jsonl")).unwrap_or_default().lines().count()
}

fn rows(node: &Node, query: &str) -> Value {
    node.query("sums", query)["rows"].clone()
}

fn snapshots(node: &Node) -> Vec<String> {
    let document = node.get("/api/v1/plans/sums/snapshots").json();
    let listed = document["snapshots"].as_array().cloned().unwrap_or_default();
    listed.iter().map(|each| each["name"].as_str().expect("a name").to_owned()).collect()
}

fn snapshot(node: &Node) -> Value {
    let answer = node.post("/api/v1/plans/sums/snapshots", "");
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

#[test]
fn what_was_answered_is_there_after_a_kill_and_results_go_on() {
    let mut node = Node::start(&[("sums.siddhi", SUMS)], "");
    node.wait_for_plan("sums");
    let mut sent = 0;
    for life in 1..=4 {
        for n in 1..=25 {
            // The default answer waits until the events are on disk.
            let answer = node.post("/api/v1/plans/sums/streams/In", json!({ "n": n }).to_string());
            assert_eq!(answer.status, 200, "{}", answer.text());
            sent += n;
        }
        if life == 2 {
            snapshot(&node);
        }
        node.kill_and_start();
        node.wait_for_plan("sums");
        assert_eq!(rows(&node, "from Seen on n == 7 select times"), json!([[life]]));
    }
    node.send("sums", "In", &json!({ "n": 1000 }));
    node.wait(SOON, "the sums go on", || (total(&node) == sent + 1000).then_some(()));
    // Killed between two parcels at the worst one is written twice.
    let (written, results) = (totals(&node), 4 * 25 + 1);
    assert!((results..=results + 4).contains(&written), "{written} of {results}");
}

#[test]
fn snapshots_are_named_by_time_and_plan_and_only_two_are_kept() {
    let mut node = Node::start(&[("sums.siddhi", SUMS)], "");
    node.wait_for_plan("sums");
    for n in 1..=4 {
        node.send("sums", "In", &json!({ "n": n }));
        let taken = snapshot(&node);
        assert!(taken["pause_seconds"].as_f64().expect("a number") < 1.0, "{taken}");
    }
    let names = snapshots(&node);
    assert_eq!(names.len(), 2, "{names:?}");
    let folder = node.folder().join("data/snapshots/default/sums");
    let mut found: Vec<_> = fs::read_dir(&folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    found.sort();
    found.reverse();
    assert_eq!(found, names);
    for name in &names {
        let (stamp, plan) = name.split_once('_').expect("<TIMESTAMP>_<PLAN>");
        assert!(stamp.len() >= 13 && stamp.bytes().all(|b| b.is_ascii_digit()) && plan == "sums");
    }
    // The newest is damaged: the one before it and more of the journal serve.
    let newest = folder.join(&names[0]);
    let mut bytes = fs::read(&newest).expect("the snapshot");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest, bytes).expect("the snapshot");
    node.kill_and_start();
    node.wait_for_plan("sums");
    assert_eq!(rows(&node, "from Seen select sum(times) as all"), json!([[4]]));
    assert!(node.log().contains("a snapshot cannot be used"), "{}", node.log());
}

#[test]
fn a_plan_changed_or_deleted_while_the_node_was_down() {
    let mut node = Node::start(&[("sums.siddhi", SUMS)], "");
    node.wait_for_plan("sums");
    node.send("sums", "In", &json!({ "n": 5 }));
    node.kill();
    let changed = SUMS.replace("sum(n) as total", "sum(n) * 10L as total");
    node.put("sums.siddhi", changed);
    node.start_again();
    node.wait_for_plan("sums");
    node.wait(SOON, "the new version runs", || {
        let document = node.get("/api/v1/plans/sums").json();
        (document["version"] == 2).then_some(())
    });
    node.send("sums", "In", &json!({ "n": 7 }));
    node.wait(SOON, "the new version counts", || (total(&node) % 10 == 0).then_some(()));
    // Deleted while the node runs it is gone, with all that was kept.
    fs::remove_file(node.plan_file("sums.siddhi")).expect("the file");
    node.wait(SOON, "the plan is gone", || {
        (node.get("/api/v1/plans/sums").status == 404).then_some(())
    });
    node.put("sums.siddhi", SUMS);
    node.wait_for_plan("sums");
    assert_eq!(rows(&node, "from Seen select n"), json!([]));
}

#[test]
fn a_changed_plan_goes_on_with_what_is_the_same_and_again_after_a_kill() {
    let named = SUMS.replace("from In#window", "@info(name='sum') from In#window");
    let mut node = Node::start(&[("sums.siddhi", &named)], "");
    node.wait_for_plan("sums");
    for n in [5, 6] {
        node.send("sums", "In", &json!({ "n": n }));
    }
    // The sum is reckoned with in another way; how often each was seen begins anew.
    let changed = named
        .replace("sum(n) as total", "sum(n) * 10L as total")
        .replace("Seen (n long, times long)", "Seen (n long, times int)")
        .replace("1L as times", "1 as times");
    node.put("sums.siddhi", changed);
    node.wait(SOON, "the new version runs", || {
        (node.get("/api/v1/plans/sums").json()["version"] == 2).then_some(())
    });
    let kept = "window of query `sum`, aggregates of query `sum`";
    for told in [kept, "table `Seen`: its attributes changed"] {
        node.wait(SOON, told, || node.log().contains(told).then_some(()));
    }
    node.send("sums", "In", &json!({ "n": 7 }));
    node.wait(SOON, "the sum goes on", || (total(&node) == 180).then_some(()));
    node.kill_and_start();
    node.wait_for_plan("sums");
    assert_eq!(rows(&node, "from Seen select n"), json!([[7]]));
    node.send("sums", "In", &json!({ "n": 8 }));
    node.wait(SOON, "the sum goes on once more", || (total(&node) == 260).then_some(()));
}

const VARIABLES: &str = "
define stream In (n long);
@primaryKey('n') define table Large (n long);
@sink(type='file', file.uri='${SECRET_FOLDER}/large.jsonl', @map(type='json'))
define stream Out (n long);
from In[n > ${LIMIT}L] select n insert into Large;
from In[n > ${LIMIT}L] select n insert into Out;
";

#[test]
fn a_plan_with_variables_is_kept_without_its_secrets() {
    let mut node = Node::start(&[("v.siddhi", VARIABLES)], "");
    node.wait_for_plan("v");
    node.send("v", "In", &json!([{ "n": 49 }, { "n": 51 }]));
    assert_eq!(node.post("/api/v1/plans/v/snapshots", "").status, 201);
    node.send("v", "In", &json!({ "n": 52 }));
    for _ in 0..2 {
        node.kill_and_start();
        node.wait_for_plan("v");
        let rows = node.query("v", "from Large select n order by n")["rows"].clone();
        assert_eq!(rows, json!([[51], [52]]));
        assert_eq!(node.get("/api/v1/plans/v").json()["version"], 1, "nothing has changed");
    }
    let out = node.folder().join("secret/large.jsonl");
    let lines = || fs::read_to_string(&out).unwrap_or_default().lines().count();
    node.wait(SOON, "results are written where the variable says", || (lines() >= 2).then_some(()));
    for kept in ["journal/default/v", "snapshots/default/v"] {
        for file in fs::read_dir(node.folder().join("data").join(kept)).expect("the folder") {
            let bytes = fs::read(file.expect("an entry").path()).expect("the file");
            let has = |word: &[u8]| bytes.windows(word.len()).any(|found| found == word);
            assert!(!has(b"secret/"), "the value of a variable in options is kept in {kept}");
        }
    }
}

#[test]
fn a_second_node_is_kept_out_of_the_same_data() {
    let mut node = Node::start(&[("sums.siddhi", SUMS)], "");
    node.wait_for_plan("sums");
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_twinflow"))
        .arg("run")
        .current_dir(node.folder())
        .env("TWINFLOW_HTTP_LISTEN", "127.0.0.1:0")
        .output()
        .expect("the program was built with the tests");
    assert!(!second.status.success());
    let told = String::from_utf8_lossy(&second.stderr);
    assert!(told.contains("another process holds") && told.contains("node.data"), "{told}");
    // The lock goes with the process that held it.
    node.kill_and_start();
    node.wait_for_plan("sums");
}

#[test]
fn without_persistence_a_restart_begins_empty_and_says_so() {
    let mut node = Node::start(&[("sums.siddhi", SUMS)], "[persistence]\nenabled = false\n");
    node.wait_for_plan("sums");
    node.send("sums", "In", &json!({ "n": 5 }));
    let refused = node.post("/api/v1/plans/sums/snapshots", "");
    assert_eq!((refused.status, refused.json()["code"].clone()), (409, json!("nothing-kept")));
    node.kill_and_start();
    node.wait_for_plan("sums");
    assert_eq!(rows(&node, "from Seen select n"), json!([]));
    assert!(node.log().contains("a restart begins empty"));
}

const LINES: &str = "
@source(type='file', file.uri='in.csv', file.polling.interval='5 ms', @map(type='csv'))
define stream In (n long);
@primaryKey('n') define table Seen (n long, times long);
from In select n, 1L as times update or insert into Seen set Seen.times = Seen.times + times
    on Seen.n == n;
";

#[test]
fn a_followed_file_goes_on_after_the_last_line_that_was_kept() {
    let mut node = Node::start(&[("lines.siddhi", LINES)], "");
    node.wait_for_plan("lines");
    let path = node.folder().join("in.csv");
    let mut last = 0_u64;
    for life in 1..=3 {
        let new: String = (last + 1..=last + 500).map(|n| format!("{n}\n")).collect();
        last += 500;
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&path).expect("it");
        std::io::Write::write_all(&mut file, new.as_bytes()).expect("room");
        node.wait(SOON, "lines are read", || {
            let seen = &node.query("lines", "from Seen select count() as all")["rows"][0][0];
            // Killed in the middle of it, too.
            (seen.as_u64().unwrap_or(0) >= if life == 2 { 600 } else { last }).then_some(())
        });
        node.kill_and_start();
        node.wait_for_plan("lines");
    }
    node.wait(SOON, "all lines are read", || {
        let seen = node.query("lines", "from Seen select count() as all")["rows"].clone();
        (seen == json!([[last]])).then_some(())
    });
    let twice = node.query("lines", "from Seen on times > 1 select n")["rows"].clone();
    assert_eq!(twice, json!([]), "no line counts twice");
}

#[test]
fn what_a_producer_sends_again_counts_once_also_after_a_kill() {
    let mut node = Node::start(&[("sums.siddhi", SUMS)], "");
    node.wait_for_plan("sums");
    let send = |node: &Node, sequence: &str, n: u64| {
        let headers = [("Twinflow-Producer", "till 7"), ("Twinflow-Sequence", sequence)];
        let (path, body) = ("/api/v1/plans/sums/streams/In", json!({ "n": n }).to_string());
        let answer = client::ask(node.address(), "POST", path, &headers, Some(body.as_bytes()));
        (answer.status, answer.json()["repeated"].clone())
    };
    assert_eq!(send(&node, "1", 5), (200, Value::Null));
    assert_eq!(send(&node, "1", 5), (200, json!(true)));
    node.kill_and_start();
    node.wait_for_plan("sums");
    assert_eq!(send(&node, "1", 5), (200, json!(true)));
    assert_eq!(send(&node, "2", 5), (200, Value::Null));
    snapshot(&node);
    node.kill_and_start();
    node.wait_for_plan("sums");
    assert_eq!(send(&node, "2", 5), (200, json!(true)));
    assert_eq!(rows(&node, "from Seen select n, times"), json!([[5, 2]]));
    assert_eq!(send(&node, "0", 5).0, 400);
    let headers = [("Twinflow-Producer", "till 7")];
    let (path, body) = ("/api/v1/plans/sums/streams/In", json!({ "n": 1 }).to_string());
    let answer = client::ask(node.address(), "POST", path, &headers, Some(body.as_bytes()));
    assert_eq!((answer.status, answer.json()["code"].clone()), (400, json!("bad-parameter")));
}

const TEXTS: &str = "
@onerror(action='stream')
define stream In (text string);
@primaryKey('text') define table Seen (text string);
@primaryKey('text') define table Bad (text string);
from In select text update or insert into Seen on Seen.text == text;
from !In select text update or insert into Bad on Bad.text == text;
";

fn texts(node: &Node, table: &str) -> Value {
    node.query("texts", &format!("from {table} select text order by text"))["rows"].clone()
}

#[test]
fn an_entry_that_ends_the_process_again_and_again_is_skipped() {
    let mut node = Node::start(&[("texts.siddhi", TEXTS)], "[testing]\nfaults = true\n");
    node.wait_for_plan("texts");
    node.send("texts", "In", &json!({ "text": "before" }));
    let body = json!({ "text": "twinflow:abort" }).to_string();
    client::send_and_leave(node.address(), "/api/v1/plans/texts/streams/In", body.as_bytes());
    node.wait_for_end();
    for _ in 0..2 {
        node.start_again_unheard();
        node.wait_for_end();
    }
    node.start_again();
    node.wait_for_plan("texts");
    node.send("texts", "In", &json!({ "text": "later" }));
    assert_eq!(texts(&node, "Seen"), json!([["before"], ["later"]]));
    node.wait(SOON, "the fault stream has it", || {
        (texts(&node, "Bad") == json!([["twinflow:abort"]])).then_some(())
    });
    // The skip is in the log: it is skipped again without another end.
    node.kill_and_start();
    node.wait_for_plan("texts");
    assert_eq!(texts(&node, "Seen"), json!([["before"], ["later"]]));
    assert_eq!(texts(&node, "Bad"), json!([["twinflow:abort"]]));
}

#[test]
fn a_plan_that_never_ends_an_entry_is_given_up_and_the_others_go_on() {
    let settings = "[plans]\nentry_time_max = \"1s\"\n[testing]\nfaults = true\n";
    let plans = [("texts.siddhi", TEXTS), ("sums.siddhi", SUMS)];
    let node = Node::start(&plans, settings);
    node.wait_for_plan("texts");
    node.wait_for_plan("sums");
    let body = json!({ "text": "twinflow:loop" }).to_string();
    client::send_and_leave(node.address(), "/api/v1/plans/texts/streams/In", body.as_bytes());
    node.wait(SOON, "the plan is given up", || {
        let plan = node.get("/api/v1/plans/texts").json();
        (plan["state"] == "failed").then_some(())
    });
    assert!(node.log().contains("plans.entry_time_max"), "{}", node.log());
    node.send("sums", "In", &json!({ "n": 5 }));
    snapshot(&node);
    let refused = node.post("/api/v1/plans/texts/snapshots", "");
    assert!(refused.status >= 400, "{}", refused.text());
    assert_eq!(node.get("/health/live").status, 200);
}

/// Answers every request with 200 and keeps its body.
fn receiver(listener: TcpListener) -> Arc<Mutex<Vec<Value>>> {
    let taken = Arc::<Mutex<Vec<Value>>>::default();
    let keeps = Arc::clone(&taken);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
            loop {
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                        break;
                    }
                    let line = line.to_ascii_lowercase();
                    if let Some(value) = line.strip_prefix("content-length: ") {
                        length = value.trim().parse().expect("a number");
                    }
                }
                let mut body = vec![0; length];
                if length == 0 || reader.read_exact(&mut body).is_err() {
                    break;
                }
                keeps.lock().expect("whole").push(serde_json::from_slice(&body).expect("JSON"));
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(answer).expect("the node reads");
            }
        }
    });
    taken
}

#[test]
fn results_that_had_not_left_when_a_snapshot_was_taken_leave_after_a_kill() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it listens");
    // For now nobody is there.
    drop(listener);
    let plan = format!(
        "@app:name('p')\ndefine stream In (n long);\n\
         @sink(type='http', publisher.url='http://{address}/', on.error='WAIT',\n\
         @map(type='json'))\ndefine stream Out (n long);\n\
         from In select n insert into Out;\n"
    );
    let mut node = Node::start(&[("p.siddhi", &plan)], "");
    node.wait_for_plan("p");
    for n in 1..=5 {
        node.send("p", "In", &json!({ "n": n }));
    }
    // Two, so that the log before the older one is not needed any more.
    for n in [6, 7] {
        node.send("p", "In", &json!({ "n": n }));
        let answer = node.post("/api/v1/plans/p/snapshots", "");
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    node.kill();
    let taken = receiver(TcpListener::bind(address).expect("the port is free again"));
    node.start_again();
    node.wait_for_plan("p");
    node.send("p", "In", &json!({ "n": 8 }));
    let numbers = || -> Vec<i64> {
        let taken = taken.lock().expect("whole");
        let number = |body: &Value| body["event"]["n"].as_i64().or(body["n"].as_i64());
        taken.iter().filter_map(number).collect()
    };
    node.wait(SOON, "all results have come", || (numbers().len() >= 8).then_some(()));
    assert_eq!(numbers(), [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn what_a_plan_holds_is_shown_also_after_a_restart_from_a_snapshot() {
    let mut node = Node::start(&[("sums.siddhi", SUMS)], "");
    node.wait_for_plan("sums");
    node.send("sums", "In", &json!([{ "n": 1 }, { "n": 2 }, { "n": 3 }]));
    let holds = |node: &Node| {
        let text = node.get("/metrics").text();
        text.contains("twinflow_held_rows{plan=\"sums\"} 6\n").then_some(())
    };
    node.wait(SOON, "three rows in the window and three in the table", || holds(&node));
    snapshot(&node);
    node.kill_and_start();
    node.wait(SOON, "they are shown again", || holds(&node));
}
