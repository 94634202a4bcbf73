//! A node as a process of its own, in a folder of its own, on a port that was free.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

#[path = "client.rs"]
pub mod client;

use client::Answer;
use client::TailReader;

/// How long anything may take that should happen soon.
pub const SOON: Duration = Duration::from_secs(20);
/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(5);

/// A node that runs; dropping it kills it.
pub struct Node {
    process: Child,
    folder: TempDir,
    /// Where it is to listen; port 0 is any that is free.
    listen: String,
    address: SocketAddr,
}

impl Node {
    /// Starts a node with these plan files, and settings as in `twinflow.toml`.
    pub fn start(plans: &[(&str, &str)], settings: &str) -> Self {
        Self::start_at("127.0.0.1:0", plans, settings)
    }

    /// Starts a node that listens at this address, also when it is started again.
    pub fn start_at(listen: &str, plans: &[(&str, &str)], settings: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::create_dir(folder.path().join("plans")).expect("a folder");
        for (name, text) in plans {
            fs::write(folder.path().join("plans").join(name), text).expect("a file");
        }
        fs::write(folder.path().join("twinflow.toml"), settings).expect("a file");
        let (process, address) = run(folder.path(), listen, &[]);
        Self { process, folder, listen: listen.to_owned(), address }
    }

    /// Ends the process as `kill -9` does and starts it again in the same folder.
    pub fn kill_and_start(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Ends the process as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill().expect("it is our child");
        self.process.wait().expect("it is our child");
    }

    /// Waits until the process has ended by itself.
    pub fn wait_for_end(&mut self) {
        let end = Instant::now() + SOON;
        while self.process.try_wait().expect("it is our child").is_none() {
            assert!(Instant::now() < end, "it runs on; the log:\n{}", self.log());
            thread::sleep(LOOK);
        }
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().expect("it is our child").is_some()
    }

    /// Starts the process again without waiting until it listens: it may end before.
    pub fn start_again_unheard(&mut self) {
        self.process = spawn(self.folder.path(), &self.listen, &[]);
    }

    /// Starts the process again in the same folder.
    pub fn start_again(&mut self) {
        (self.process, self.address) = run(self.folder.path(), &self.listen, &[]);
    }

    /// Sends the process a signal.
    pub fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.process.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
        assert!(sent.success());
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// Starts the process again with another value of a variable of its environment.
    pub fn start_again_where(&mut self, name: &str, value: &str) {
        (self.process, self.address) = run(self.folder.path(), &self.listen, &[(name, value)]);
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks for a path.
    pub fn get(&self, path: &str) -> Answer {
        client::ask(self.address, "GET", path, &[], None)
    }

    /// Sends a body, saying nothing of its form.
    pub fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        client::ask(self.address, "POST", path, &[], Some(body.as_ref()))
    }

    /// Sends events and waits until they are applied; they must be taken.
    pub fn send(&self, plan: &str, stream: &str, events: &Value) {
        let path = format!("/api/v1/plans/{plan}/streams/{stream}?ack=applied");
        let answer = self.post(&path, events.to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// The newest events of a stream, without ids and times.
    pub fn events(&self, plan: &str, stream: &str) -> Vec<Value> {
        let answer = self.get(&format!("/api/v1/plans/{plan}/streams/{stream}/events?limit=1000"));
        let document = answer.json();
        let events = document["events"].as_array().cloned().unwrap_or_default();
        events.into_iter().map(|mut event| event["event"].take()).collect()
    }

    /// Asks a plan.
    pub fn query(&self, plan: &str, query: &str) -> Value {
        let path = format!("/api/v1/plans/{plan}/query");
        let answer = self.post(&path, json!({ "query": query }).to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Follows a stream.
    pub fn tail(&self, plan: &str, stream: &str, query: &str) -> TailReader {
        let path = format!("/api/v1/plans/{plan}/streams/{stream}/tail{query}");
        TailReader::open(self.address, &path, &[])
    }

    /// Events that all streams of a plan took from outside; 0 while there is no such plan.
    pub fn events_in(&self, plan: &str) -> u64 {
        self.get(&format!("/api/v1/plans/{plan}")).json()["events_in"].as_u64().unwrap_or(0)
    }

    /// Waits until something is so.
    pub fn wait<T>(&self, time: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + time;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < end, "waited {time:?} until {what}; the log:\n{}", self.log());
            thread::sleep(LOOK);
        }
    }

    /// Waits until a plan runs.
    pub fn wait_for_plan(&self, plan: &str) -> Value {
        self.wait(SOON, &format!("`{plan}` runs"), || {
            let document = self.get(&format!("/api/v1/plans/{plan}")).json();
            (document["state"] == "running").then_some(document)
        })
    }

    /// Puts a file into the folder of plans as a careful editor does: whole, by renaming.
    pub fn put(&self, name: &str, text: impl AsRef<[u8]>) {
        let draft = self.folder.path().join(format!(".{name}.draft"));
        fs::write(&draft, text).expect("a file");
        fs::rename(draft, self.plan_file(name)).expect("a file");
    }

    /// The path of a plan file.
    pub fn plan_file(&self, name: &str) -> PathBuf {
        self.folder.path().join("plans").join(name)
    }

    /// The folder in which it was started.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the node said of itself.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Kibibytes of memory that the process holds.
    pub fn memory_kib(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.id());
        let status = fs::read_to_string(status).expect("the process is there");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let size = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        size.expect("Linux tells the size of a process")
    }

    /// Asks the process to end, as a service manager does, and waits; its exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        let end = Instant::now() + SOON;
        loop {
            if let Some(status) = self.process.try_wait().expect("it is our child") {
                return status.code();
            }
            assert!(Instant::now() < end, "did not stop; the log:\n{}", self.log());
            thread::sleep(LOOK);
        }
    }
}

fn spawn(folder: &Path, listen: &str, environment: &[(&str, &str)]) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log"));
    let log = log.expect("a file");
    // A file that may not grow is to be an error, as a full disk is, and not the end.
    Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" run", env!("CARGO_BIN_EXE_twinflow")])
        .current_dir(folder)
        .env("TWINFLOW_HTTP_LISTEN", listen)
        .env("LIMIT", "50")
        .env("SECRET_FOLDER", "secret")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("the program was built with the tests")
}

/// Starts a node in a folder and waits until it says where it listens.
fn run(folder: &Path, listen: &str, environment: &[(&str, &str)]) -> (Child, SocketAddr) {
    let mut process = spawn(folder, listen, environment);
    let mut lines = BufReader::new(process.stdout.take().expect("it was asked for")).lines();
    let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
        line.split_once("http://")?.1.split_whitespace().next()?.trim_end_matches('/').parse().ok()
    });
    // What it says later must not fill the pipe.
    thread::spawn(move || lines.for_each(drop));
    let Some(address) = address else {
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        panic!("the node did not say where it listens; its log:\n{log}");
    };
    (process, address)
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
