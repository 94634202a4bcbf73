//! The pair: two nodes, one is killed, and every event and every result is counted.

use std::collections::BTreeSet;
use std::fs;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::client;
use crate::node::Fault;
use crate::node::Node;
use crate::story::Story;

/// Events of a request, and the pause between two.
const ROWS: u64 = 20;
const PAUSE: Duration = Duration::from_millis(5);

/// What the receiver of the results saw.
#[derive(Default)]
struct Seen {
    ids: BTreeSet<String>,
    repeated: u64,
    events: BTreeSet<i64>,
    /// When the last new result came.
    last: Option<Instant>,
    /// The first new result after this moment is looked for.
    since: Option<Instant>,
    first: Option<Duration>,
}

/// Two nodes on this machine.
struct Pair {
    nodes: [Node; 2],
    seen: Arc<Mutex<Seen>>,
}

/// Shows the pair.
pub fn tell(story: &mut Story) -> Result<(), Fault> {
    println!(
        "9. Two nodes as a pair. The plan is dropped at one of them; results go to a receiver"
    );
    println!("   that keeps ids, events to either node.");
    let folder = TempDir::new()?;
    let mut pair = Pair::start(folder.path())?;
    let active = pair.active()?;
    println!("   Node {} acts, the other one follows and is in sync.", name(active));
    let load = Load::start([pair.nodes[0].address(), pair.nodes[1].address()]);
    thread::sleep(Duration::from_secs(1));
    println!("   kill -9 of node {} under load …", name(active));
    pair.nodes[active].kill()?;
    seen(&pair.seen).since = Some(Instant::now());
    let (first, _) =
        pair.nodes[1 - active].wait("the other node acts", || seen(&pair.seen).first)?;
    println!("   First new result after {} ms, from node {}.", first.as_millis(), name(1 - active));
    thread::sleep(Duration::from_millis(500));
    let lives = load.addresses();
    pair.nodes[active].start_again()?;
    lives.lock().unwrap_or_else(PoisonError::into_inner)[active] = pair.nodes[active].address();
    pair.in_sync(1 - active)?;
    println!("   Node {} is back, has caught up, and follows.", name(active));
    let began = Instant::now();
    let switched = pair.nodes[1 - active].post("/api/v1/ha/switch", "");
    println!("   A planned switch took {} ms.", began.elapsed().as_millis());
    story.check("the switch", &json!(switched.status), &json!(200))?;
    thread::sleep(Duration::from_millis(500));
    let acked = load.stop();
    let (all, _) = pair.nodes[active].wait("all results have come", || {
        let seen = seen(&pair.seen);
        (seen.events.len() as u64 >= acked).then_some(seen.events.len() as u64)
    })?;
    let repeated = seen(&pair.seen).repeated;
    println!("   Acknowledged {acked}, results {all}, lost {}, repeated {repeated}.", acked - all);
    story.check(
        "nothing acknowledged is lost, nothing is there twice",
        &json!(all),
        &json!(acked),
    )?;
    story.check("no result was sent twice", &json!(repeated), &json!(0))?;
    let sum = pair.nodes[active].post("/api/v1/plans/sums/query", "from Sums select times, total");
    let (n, total) = (acked, acked * (acked + 1) / 2);
    story.check("the table has counted each once", &sum.json()["rows"], &json!([[n, total]]))
}

fn name(index: usize) -> &'static str {
    ["a", "b"][index]
}

fn seen(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pair {
    fn start(folder: &Path) -> Result<Self, Fault> {
        let seen = Arc::<Mutex<Seen>>::default();
        let receiver = TcpListener::bind("127.0.0.1:0")?;
        let port = receiver.local_addr()?.port();
        let plan = format!(
            "define stream In (n long);\n\
             define table Sums (key long, times long, total long);\n\
             @sink(type='http', publisher.url='http://127.0.0.1:{port}/', on.error='WAIT',\n\
             \x20     @map(type='json'))\n\
             define stream Out (n long);\n\
             from In select n insert into Out;\n\
             from In select 1L as key, 1L as times, n as total\n\
             update or insert into Sums set Sums.times = Sums.times + times,\n\
             \x20   Sums.total = Sums.total + total on Sums.key == key;\n"
        );
        let of = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in receiver.incoming().map_while(Result::ok) {
                let of = Arc::clone(&of);
                thread::spawn(move || receive(stream, &of));
            }
        });
        fs::write(folder.join("secret"), "a secret that only this demo knows")?;
        let free = || TcpListener::bind("127.0.0.1:0")?.local_addr();
        let links = [free()?, free()?];
        let arbiter = folder.join("arbiter.db");
        let secret = folder.join("secret");
        let settings = |index: usize| {
            format!(
                "[node]\nname = \"{name}\"\n[ha]\nenabled = true\nnode = \"{name}\"\n\
                 listen = \"{}\"\npeer = \"{}\"\nsecret_file = \"{}\"\narbiter = \"sqlite:{}\"\n",
                links[index],
                links[1 - index],
                secret.display(),
                arbiter.display(),
                name = name(index),
            )
        };
        let nodes = [
            Node::launch(&[("sums.siddhi", &plan)], &settings(0))?,
            Node::launch(&[], &settings(1))?,
        ];
        Ok(Self { nodes, seen })
    }

    /// Waits until one node acts, the other is in sync, and the plan runs on both.
    fn active(&self) -> Result<usize, Fault> {
        let runs = |node: &Node| node.get("/api/v1/plans/sums")["state"] == "running";
        let (active, _) = self.nodes[0].wait("the pair is in sync", || {
            let acts = |index: &usize| {
                let status = self.nodes[*index].get("/api/v1/ha");
                status["role"] == "active" && status["in_sync"] == true
            };
            (0..2).find(acts).filter(|_| self.nodes.iter().all(runs))
        })?;
        Ok(active)
    }

    fn in_sync(&self, active: usize) -> Result<(), Fault> {
        self.nodes[active].wait("the other node is in sync", || {
            let status = self.nodes[active].get("/api/v1/ha");
            (status["in_sync"] == true && status["safe_to_switch"] == true).then_some(())
        })?;
        Ok(())
    }
}

/// Takes results and keeps their ids.
fn receive(stream: TcpStream, of: &Mutex<Seen>) {
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    loop {
        let (mut id, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some((key, value)) = line.split_once(": ") {
                match key.to_ascii_lowercase().as_str() {
                    "idempotency-key" => id = value.to_owned(),
                    "content-length" => length = value.parse().unwrap_or(0),
                    _ => {}
                }
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        take(&mut seen(of), id, &serde_json::from_slice(&body).unwrap_or(Value::Null));
        let _ = writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
}

fn take(seen: &mut Seen, id: String, body: &Value) {
    if !seen.ids.insert(id) {
        // A receiver that keeps ids drops it; what else it sees must be new.
        return;
    }
    let one = std::slice::from_ref(body);
    for event in body.as_array().map_or(one, Vec::as_slice) {
        let event = if event["event"].is_object() { &event["event"] } else { event };
        if !seen.events.insert(event["n"].as_i64().unwrap_or(0)) {
            seen.repeated += 1;
        }
    }
    let now = Instant::now();
    seen.last = Some(now);
    if let (Some(since), None) = (seen.since, seen.first) {
        seen.first = Some(now - since);
    }
}

/// Sends numbers, one after the other, to either node in turn; what is not answered is sent again.
struct Load {
    addresses: Arc<Mutex<[std::net::SocketAddr; 2]>>,
    ends: Arc<AtomicBool>,
    acked: Arc<AtomicU64>,
    thread: thread::JoinHandle<()>,
}

impl Load {
    fn start(addresses: [std::net::SocketAddr; 2]) -> Self {
        let addresses = Arc::new(Mutex::new(addresses));
        let (ends, acked) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (to, end, sum) = (Arc::clone(&addresses), Arc::clone(&ends), Arc::clone(&acked));
        let thread = thread::spawn(move || {
            let mut sequence = 0;
            while !end.load(Ordering::Acquire) {
                sequence += 1;
                let first = (sequence - 1) * ROWS + 1;
                let events: Vec<_> = (first..first + ROWS).map(|n| json!({ "n": n })).collect();
                let body = json!(events).to_string();
                let number = sequence.to_string();
                let headers =
                    [("Twinflow-Producer", "demo"), ("Twinflow-Sequence", number.as_str())];
                for attempt in sequence as usize.. {
                    let address = to.lock().unwrap_or_else(PoisonError::into_inner)[attempt % 2];
                    let path = "/api/v1/plans/sums/streams/In";
                    let answer = client::ask_within(
                        address,
                        client::PATIENCE,
                        "POST",
                        path,
                        &headers,
                        Some(body.as_bytes()),
                    )
                    .ok();
                    if answer.is_some_and(|answer| answer.status == 200) {
                        break;
                    }
                    thread::sleep(PAUSE);
                }
                sum.store(sequence * ROWS, Ordering::Release);
                thread::sleep(PAUSE);
            }
        });
        Self { addresses, ends, acked, thread }
    }

    fn addresses(&self) -> Arc<Mutex<[std::net::SocketAddr; 2]>> {
        Arc::clone(&self.addresses)
    }

    /// Ends it; how many events were acknowledged.
    fn stop(self) -> u64 {
        self.ends.store(true, Ordering::Release);
        // It ends with its last answer.
        let _ = self.thread.join();
        self.acked.load(Ordering::Acquire)
    }
}
