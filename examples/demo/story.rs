//! What the demo shows, step by step; every step checks what it shows.

use std::io::Read as _;
use std::io::Write as _;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::client;
use crate::node::Fault;
use crate::node::Node;
use crate::pair;

const HOT: &str = "define stream Readings (sensor string, celsius double);\n\
                   from Readings[celsius > 90.0]\n\
                   select sensor, celsius\n\
                   insert into Hot;\n";
/// Requests and events of the load at the end.
const REQUESTS: usize = 400;
const ROWS: usize = 500;

/// Counts what was checked.
#[derive(Default)]
pub struct Story {
    checks: usize,
}

impl Story {
    /// How many checks have held.
    pub fn checks(&self) -> usize {
        self.checks
    }

    /// Checks that what was found is what was expected, and says so.
    pub fn check(&mut self, what: &str, found: &Value, expected: &Value) -> Result<(), Fault> {
        if found != expected {
            return Err(format!("{what}: expected {expected}, found {found}").into());
        }
        self.checks += 1;
        println!("   ok: {what}");
        Ok(())
    }
}

/// Tells the story to its end, or to the first check that fails.
pub fn tell(story: &mut Story) -> Result<(), Fault> {
    println!("1. A node starts and deploys what lies in plans/.");
    let node = Node::start()?;
    let (plans, _) = node.wait("the shipped plans run", || {
        let plans = node.get("/api/v1/plans")["plans"].clone();
        let all = plans.as_array().filter(|all| !all.is_empty())?;
        all.iter().all(|plan| plan["state"] == "running").then(|| all.clone())
    })?;
    println!("   It listens on http://{}.", node.address());
    for plan in &plans {
        println!("   {} runs, from {}.", plan["name"], plan["file"]);
    }
    guessed_password(story, &node)?;
    long_session(story, &node)?;
    dropped_plan(story, &node)?;
    broken_plan(story, &node)?;
    refused_events(story, &node)?;
    watched_log(story, &node)?;
    load(story, &node)?;
    println!("   The node stops in order.");
    story.check("exit status", &json!(node.stop()?), &json!(0))?;
    pair::tell(story)
}

/// Sends events and waits until the plan has applied them.
fn send(node: &Node, stream: &str, events: &Value) -> Result<(), Fault> {
    let path = format!("/api/v1/plans/{stream}?ack=applied");
    let answer = node.post(&path, &events.to_string());
    if answer.status == 200 { Ok(()) } else { Err(answer.text().into()) }
}

/// The events of a stream whose attribute `key` has this value; the generator's are others.
fn events(node: &Node, stream: &str, key: &str, value: &str) -> Value {
    let document = node.get(&format!("/api/v1/plans/{stream}/events?limit=1000"));
    let all = document["events"].as_array().cloned().unwrap_or_default();
    all.into_iter().map(|mut each| each["event"].take()).filter(|e| e[key] == value).collect()
}

fn guessed_password(story: &mut Story, node: &Node) -> Result<(), Fault> {
    println!("2. Somebody guesses ann's password: six failures, then a success.");
    let mut tail = node.tail("/api/v1/plans/logins/streams/SuspiciousLogins/tail");
    let login = |success: bool, ts: i64| json!({ "user": "ann", "ip": "192.0.2.7", "country": "DE", "success": success, "ts": ts });
    let logins: Vec<Value> = (1..=7).map(|ts| login(ts > 6, ts)).collect();
    send(node, "logins/streams/Logins", &json!(logins))?;
    let alert = json!({ "user": "ann", "ip": "192.0.2.7", "failures": 6, "ts": 7 });
    // The generator's people are attacked too.
    let told = loop {
        let told = tail.next().ok_or("the live tail ended")?.data["event"].take();
        if told["user"] == "ann" {
            break told;
        }
    };
    println!("   The live tail tells: {told}");
    story.check("one alert, told at once", &told, &alert)?;
    let found = events(node, "logins/streams/SuspiciousLogins", "user", "ann");
    story.check("the same alert can be read later", &found, &json!([alert]))
}

fn long_session(story: &mut Story, node: &Node) -> Result<(), Fault> {
    println!("3. ann's sessions take ten seconds; the fourth takes a minute.");
    let session = |name: &str, length: i64| {
        let at = |action: &str, ts: i64| json!({ "session": name, "user": "ann", "action": action, "ts": ts });
        [at("start", 1_000_000), at("end", 1_000_000 + length)]
    };
    let lengths = [("s1", 10_000), ("s2", 10_000), ("s3", 10_000), ("s4", 60_000)];
    let sessions: Vec<Value> =
        lengths.iter().flat_map(|(name, length)| session(name, *length)).collect();
    send(node, "logins/streams/Sessions", &json!(sessions))?;
    let found = events(node, "logins/streams/LongSessions", "user", "ann");
    println!("   Told of: {found}");
    let long = json!({
        "session": "s4", "user": "ann", "duration": 60_000, "usual": 10_000.0, "sessions": 3,
    });
    story.check("one session is unusually long", &found, &json!([long]))?;
    let query = "from UsualSessions on user == 'ann' select user, sessions, duration";
    let answer = node.post("/api/v1/plans/logins/query", query).json();
    println!("   The table says: {}", answer["rows"]);
    let usual = json!([["ann", 4, 22_500.0]]);
    story.check("the table of usual sessions was updated", &answer["rows"], &usual)
}

fn dropped_plan(story: &mut Story, node: &Node) -> Result<(), Fault> {
    println!("4. A new plan is dropped into the folder while the node runs:");
    HOT.lines().for_each(|line| println!("      {line}"));
    node.drop_plan("hot.siddhi", HOT)?;
    let (_, took) = node.wait("the new plan runs", || {
        (node.get("/api/v1/plans/hot")["state"] == "running").then_some(())
    })?;
    println!("   It runs after {} ms.", took.as_millis());
    story.check("within a second", &json!(took < Duration::from_secs(1)), &json!(true))?;
    let readings = json!([
        { "sensor": "a", "celsius": 20.5 },
        { "sensor": "b", "celsius": 91.5 },
        { "sensor": "c", "celsius": 90.0 },
    ]);
    send(node, "hot/streams/Readings", &readings)?;
    let found = node.get("/api/v1/plans/hot/streams/Hot/events")["events"][0]["event"].clone();
    story.check("it filters", &found, &json!({ "sensor": "b", "celsius": 91.5 }))
}

fn broken_plan(story: &mut Story, node: &Node) -> Result<(), Fault> {
    println!("5. Its file is broken by a slip of the pen:");
    node.drop_plan("hot.siddhi", &HOT.replace("celsius > 90.0", "celcius > 90.0"))?;
    let (plan, _) = node.wait("the broken file is refused", || {
        let plan = node.get("/api/v1/plans/hot");
        plan["refused"][0].is_object().then_some(plan)
    })?;
    let text = plan["refused"][0]["text"].as_str().unwrap_or_default();
    text.lines().for_each(|line| println!("      {line}"));
    let found = &plan["refused"][0]["diagnostics"][0];
    let place = json!([found["line"], found["column"]]);
    story.check("the message names line and column", &place, &json!([2, 15]))?;
    let runs = json!([plan["state"], plan["version"]]);
    story.check("the version before runs on", &runs, &json!(["running", 1]))
}

fn refused_events(story: &mut Story, node: &Node) -> Result<(), Fault> {
    println!("6. A request whose second event is bad is refused whole:");
    let before = node.get("/api/v1/plans/hot")["events_in"].clone();
    let events = json!([{ "sensor": "d", "celsius": 95.0 }, { "sensor": "d", "celsius": "hot" }]);
    let answer = node.post("/api/v1/plans/hot/streams/Readings", &events.to_string());
    let problem = answer.json();
    println!("   {} {}: {}", answer.status, problem["code"], problem["detail"]);
    let told = json!([answer.status, problem["code"], problem["index"]]);
    story.check("the bad event is named", &told, &json!([422, "wrong-type", 1]))?;
    let after = &node.get("/api/v1/plans/hot")["events_in"];
    story.check("none was taken", after, &before)
}

fn watched_log(story: &mut Story, node: &Node) -> Result<(), Fault> {
    println!(
        "7. The plan `gate` makes up the log of an SSH server; the plan `sshd` follows that file."
    );
    let (alert, _) = node.wait("an address is told of that guesses passwords", || {
        let told = node.get("/api/v1/plans/sshd/streams/Guessing/events");
        told["events"][0]["event"].is_object().then(|| told["events"][0]["event"].clone())
    })?;
    println!("   Told of: {alert}");
    let is_stranger = alert["ip"].as_str().is_some_and(|ip| ip.starts_with("203.0.113."));
    let told = json!([is_stranger, alert["failures"]]);
    story.check("an attacker, at the tenth failure", &told, &json!([true, 10]))?;
    let line = node.first_line("data/alerts.jsonl")?;
    story.check("the same alert lies in data/alerts.jsonl", &line["event"], &alert)?;
    // The log grows meanwhile: they are equal whenever the plan has read all of it.
    let query = "from Addresses select sum(failures) as failures";
    let (count, _) = node.wait("the plan has counted every failed login of the log", || {
        let counted = node.post("/api/v1/plans/sshd/query", query).json()["rows"][0][0].clone();
        let lines = node.lines_with("data/sshd.log", "Failed password for ").ok()?;
        (counted == lines).then_some(counted)
    })?;
    println!("   Failed logins so far: {count}.");
    story.check("the table counts what grep counts", &json!(count.as_u64() > Some(9)), &json!(true))
}

fn load(story: &mut Story, node: &Node) -> Result<(), Fault> {
    println!("8. One client sends {} events in arrays of {ROWS}.", REQUESTS * ROWS);
    let before = node.get("/api/v1/plans/hot")["events_in"].as_u64().unwrap_or(0);
    let readings: Vec<Value> = (0..ROWS)
        .map(|n| json!({ "sensor": format!("s{}", n % 50), "celsius": n % 100 }))
        .collect();
    let body = json!(readings).to_string();
    let head = format!(
        "POST /api/v1/plans/hot/streams/Readings HTTP/1.1\r\nHost: localhost\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let request = [head, body].concat().into_bytes();
    let mut stream = client::connect(node.address());
    let mut buffer = [0; 4096];
    let began = Instant::now();
    for _ in 0..REQUESTS {
        stream.write_all(&request)?;
        let mut length = 0;
        while !buffer[..length].ends_with(b"}") {
            length += stream.read(&mut buffer[length..])?;
        }
        if !buffer.starts_with(b"HTTP/1.1 200") {
            return Err(String::from_utf8_lossy(&buffer[..length]).into());
        }
    }
    let rate = (REQUESTS * ROWS) as f64 / began.elapsed().as_secs_f64();
    println!("   {rate:.0} events a second, on one connection, answers included.");
    let expected = before + (REQUESTS * ROWS) as u64;
    // Of each hundred readings nine are above 90; one came before.
    let hot = 1 + (REQUESTS * ROWS / 100 * 9) as u64;
    let (plan, _) = node.wait("all events are applied", || {
        let plan = node.get("/api/v1/plans/hot");
        let (taken, passed) = (plan["events_in"].as_u64()?, plan["events_out"].as_u64()?);
        (taken >= expected && passed >= hot).then_some(plan)
    })?;
    story.check("all events were taken", &plan["events_in"], &json!(expected))?;
    story.check("and the right ones were passed on", &plan["events_out"], &json!(hot))
}
