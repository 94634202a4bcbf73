//! A receiver of results over HTTP that knows ids: what comes again under the same id is the same.

use std::collections::HashMap;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

/// Listens, answers, and keeps what came.
pub struct Receiver {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Milliseconds until it answers.
    delay: AtomicU64,
    /// It takes nothing: whoever calls is hung up on.
    is_closed: AtomicBool,
    book: Mutex<Book>,
}

/// What came.
#[derive(Default)]
pub struct Book {
    /// Each result once, in the order of its first coming.
    pub results: Vec<Result>,
    /// Where in there each id stands.
    places: HashMap<String, usize>,
    /// So often something came again under an id that was known.
    pub again: u64,
    /// Something else came under an id that was known.
    pub changed: Vec<String>,
}

/// A result as it came first.
pub struct Result {
    pub id: String,
    pub epoch: u64,
    pub event: Value,
    pub at: Instant,
}

impl Receiver {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared::default());
        let of = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(io::Result::ok) {
                let shared = Arc::clone(&of);
                // It ends with the connection.
                thread::spawn(move || serve(&stream, &shared));
            }
        });
        Self { address, shared }
    }

    /// It answers after this time from now on.
    pub fn delay(&self, time: Duration) {
        let time = u64::try_from(time.as_millis()).expect("a short time");
        self.shared.delay.store(time, Ordering::Release);
    }

    /// From now on it takes nothing, or does so again.
    pub fn close(&self, is_closed: bool) {
        self.shared.is_closed.store(is_closed, Ordering::Release);
    }

    /// What came until now.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.shared.book.lock().expect("nobody panics with it")
    }

    /// When the first new result of an epoch above this one came.
    pub fn first_above(&self, epoch: u64) -> Option<Instant> {
        self.book().results.iter().find(|result| result.epoch > epoch).map(|result| result.at)
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    loop {
        let (mut id, mut epoch, mut length) = (String::new(), 0, 0);
        let mut line = String::new();
        while reader.read_line(&mut line).ok()? > 0 && line.trim_end() != "" {
            let (name, value) = line.split_once(':').unwrap_or_default();
            match (name.to_ascii_lowercase().as_str(), value.trim()) {
                ("idempotency-key", value) => value.clone_into(&mut id),
                ("twinflow-epoch", value) => epoch = value.parse().ok()?,
                ("content-length", value) => length = value.parse().ok()?,
                _ => {}
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        if id.is_empty() || shared.is_closed.load(Ordering::Acquire) {
            return None;
        }
        shared.book.lock().expect("nobody panics").enter(id, epoch, &body);
        thread::sleep(Duration::from_millis(shared.delay.load(Ordering::Acquire)));
        writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
    }
}

impl Book {
    fn enter(&mut self, id: String, epoch: u64, body: &[u8]) {
        let document: Value = serde_json::from_slice(body).expect("results are JSON");
        let event = document.get("event").cloned().unwrap_or(document);
        if let Some(place) = self.places.get(&id) {
            self.again += 1;
            let first = &self.results[*place].event;
            if *first != event {
                self.changed.push(format!("{id}: {first} and {event}"));
            }
        } else {
            self.places.insert(id.clone(), self.results.len());
            self.results.push(Result { id, epoch, event, at: Instant::now() });
        }
    }
}
