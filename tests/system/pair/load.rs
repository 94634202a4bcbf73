//! Sends events to a pair at a steady rate, whatever becomes of those before, and sends again at
//! the other node what was not answered.

use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

/// Keys of a sender; no two senders share one.
pub const KEYS: u64 = 4;
/// Pause before something is sent again.
const PAUSE: Duration = Duration::from_millis(5);
/// How long something is sent again and again.
const PATIENCE: Duration = Duration::from_secs(90);

/// Where events are sent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// To one node; to the other when that one does not answer.
    First(usize),
    /// To one node only.
    Only(usize),
    /// To both in turn.
    Both,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Requests a second, of all senders.
    pub requests: f64,
    /// Events in a request.
    pub events: u64,
    /// Senders; each waits for an answer before its next request.
    pub senders: u64,
    pub at: At,
    /// How long an answer is waited for before it is sent again.
    pub answer: Duration,
}

impl Default for Rate {
    fn default() -> Self {
        let answer = Duration::from_secs(1);
        Self { requests: 100.0, events: 10, senders: 4, at: At::Both, answer }
    }
}

/// Senders at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    acked: Arc<AtomicU64>,
    rate: Rate,
    senders: Vec<JoinHandle<Sent>>,
}

/// What one sender sent.
#[derive(Debug)]
pub struct Sent {
    /// Requests that were taken, each once.
    pub requests: u64,
    /// Tries that were not.
    pub failed: u64,
    /// From the moment a request was to be sent until it was answered.
    pub times: Vec<Duration>,
    /// When each request was answered.
    pub answered: Vec<Instant>,
}

/// What was sent in all.
pub struct Report {
    pub rate: Rate,
    pub senders: Vec<Sent>,
}

impl Load {
    /// Begins to send to a plan's stream `In`.
    pub fn start(nodes: [SocketAddr; 2], plan: &str, rate: Rate) -> Self {
        let (stop, acked) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let path = format!("/api/v1/plans/{plan}/streams/In");
        let begin = Instant::now();
        let sender = |number| {
            let (stop, acked, path) = (Arc::clone(&stop), Arc::clone(&acked), path.clone());
            let sender = Sender { number, nodes, path, rate, lines: [None, None] };
            thread::spawn(move || sender.run(begin, &stop, &acked))
        };
        let senders = (0..rate.senders).map(sender).collect();
        Self { stop, acked, rate, senders }
    }

    /// Requests answered until now.
    pub fn acked(&self) -> u64 {
        self.acked.load(Ordering::Acquire)
    }

    /// Ends it; what was sent is sent until it is answered.
    pub fn stop(self) -> Report {
        self.stop.store(true, Ordering::Release);
        let senders = self.senders.into_iter().map(|sender| sender.join().expect("all is sent"));
        Report { rate: self.rate, senders: senders.collect() }
    }
}

impl Report {
    /// Requests that were taken.
    pub fn requests(&self) -> u64 {
        self.senders.iter().map(|sent| sent.requests).sum()
    }

    /// Tries that were not answered well.
    pub fn failed(&self) -> u64 {
        self.senders.iter().map(|sent| sent.failed).sum()
    }

    /// The time within which this share of the requests was answered.
    pub fn quantile(&self, share: f64) -> Duration {
        let mut times: Vec<Duration> =
            self.senders.iter().flat_map(|sent| sent.times.iter().copied()).collect();
        times.sort();
        let place = (times.len() as f64 * share) as usize;
        times.get(place.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

struct Sender {
    number: u64,
    nodes: [SocketAddr; 2],
    path: String,
    rate: Rate,
    lines: [Option<BufReader<TcpStream>>; 2],
}

impl Sender {
    fn run(mut self, begin: Instant, stop: &AtomicBool, acked: &AtomicU64) -> Sent {
        let mut sent = Sent { requests: 0, failed: 0, times: vec![], answered: vec![] };
        // Names of former loads on the same plan are not used again.
        let producer = format!("load {:?} {}", begin, self.number);
        while !stop.load(Ordering::Acquire) {
            let turn = sent.requests * self.rate.senders + self.number;
            let due = begin + Duration::from_secs_f64(turn as f64 / self.rate.requests);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let body = body(self.number, sent.requests, self.rate.events);
            let head = format!(
                "POST {} HTTP/1.1\r\nHost: localhost\r\nTwinflow-Producer: {producer}\r\n\
                 Twinflow-Sequence: {}\r\nContent-Length: {}\r\n\r\n",
                self.path,
                sent.requests + 1,
                body.len()
            );
            let bytes = [head.as_bytes(), body.as_bytes()].concat();
            let mut node = match self.rate.at {
                At::First(node) | At::Only(node) => node,
                At::Both => usize::try_from(turn % 2).expect("0 or 1"),
            };
            let begun = Instant::now();
            loop {
                let found = self.send(node, &bytes);
                match &found {
                    Ok((200, _)) => break,
                    Ok((503 | 409 | 404, _)) => {}
                    // A node that was halted for long in the middle of a request closes the line.
                    Ok((408, _)) => self.lines[node] = None,
                    Ok((status, text)) => panic!("answered with {status}: {text}"),
                    Err(_) => self.lines[node] = None,
                }
                sent.failed += 1;
                assert!(begun.elapsed() < PATIENCE, "not taken for {PATIENCE:?}: {found:?}");
                if !matches!(self.rate.at, At::Only(_)) {
                    node = 1 - node;
                }
                thread::sleep(PAUSE);
            }
            sent.requests += 1;
            let now = Instant::now();
            sent.times.push(now - due);
            sent.answered.push(now);
            acked.fetch_add(1, Ordering::AcqRel);
        }
        sent
    }

    fn send(&mut self, node: usize, bytes: &[u8]) -> io::Result<(u16, String)> {
        if self.lines[node].is_none() {
            let stream = TcpStream::connect_timeout(&self.nodes[node], self.rate.answer)?;
            stream.set_read_timeout(Some(self.rate.answer))?;
            stream.set_write_timeout(Some(self.rate.answer))?;
            stream.set_nodelay(true)?;
            self.lines[node] = Some(BufReader::new(stream));
        }
        let reader = self.lines[node].as_mut().expect("it was connected just now");
        reader.get_mut().write_all(bytes)?;
        let mut status = String::new();
        reader.read_line(&mut status)?;
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or(io::ErrorKind::UnexpectedEof)?;
        let (mut length, mut line) = (0, String::new());
        while reader.read_line(&mut line)? > 2 {
            let (name, value) = line.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?;
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// The events of a request: `seq` counts the events of each key, `first` marks one of them.
fn body(sender: u64, request: u64, events: u64) -> String {
    let mut body = String::from("[");
    for place in 0..events {
        let number = request * events + place;
        let (k, seq) = (sender * KEYS + number % KEYS, number / KEYS + 1);
        let (comma, first) = (if place > 0 { "," } else { "" }, place == 0);
        body.push_str(&format!("{comma}{{\"k\":{k},\"seq\":{seq},\"first\":{first}}}"));
    }
    body.push(']');
    body
}

/// The keys of a sender with the number of their events in so many requests.
pub fn counts(sender: u64, requests: u64, events: u64) -> impl Iterator<Item = (u64, u64)> {
    let all = requests * events;
    (0..KEYS.min(all)).map(move |key| (sender * KEYS + key, (all - key).div_ceil(KEYS)))
}

/// The marked events of so many requests, as key and number of the key.
pub fn firsts(sender: u64, requests: u64, events: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..requests).map(move |request| {
        let number = request * events;
        (sender * KEYS + number % KEYS, number / KEYS + 1)
    })
}

/// A number in a document.
pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("`{value}` is no count"))
}
