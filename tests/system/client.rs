//! A small HTTP client that can also send what no proper client would.

use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;

/// How long an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.trim())
    }
}

/// Sends a request with a body, if there is one, and reads the answer.
pub fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Answer {
    let read = ask_within(address, PATIENCE, method, path, headers, body);
    read.unwrap_or_else(|error| panic!("{method} {path}: no answer: {error}"))
}

/// The same where nobody may be there.
pub fn ask_within(
    address: SocketAddr,
    patience: Duration,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> io::Result<Answer> {
    let mut stream = try_connect(address, patience)?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    let given = |name: &str| headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
    if !given("host") {
        head.push_str("Host: localhost\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body
        && !given("transfer-encoding")
        && !given("content-length")
    {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    // A node that refuses a body early may stop reading it: the answer is what counts.
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body.unwrap_or_default());
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    if bytes.is_empty() {
        read?;
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    parse(&bytes).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Sends a request and does not wait for its answer.
pub fn send_and_leave(address: SocketAddr, path: &str, body: &[u8]) {
    let mut stream = connect(address);
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).expect("the node reads");
    // Closed at once, the request might be dropped with its connection.
    LEFT.lock().expect("nobody panics here").push(stream);
}

/// Connections whose answers nobody waits for.
static LEFT: Mutex<Vec<TcpStream>> = Mutex::new(Vec::new());

/// A connection whose reads do not wait for ever.
pub fn connect(address: SocketAddr) -> TcpStream {
    try_connect(address, PATIENCE).expect("the node listens")
}

fn try_connect(address: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    Ok(stream)
}

/// An answer from its bytes; `None` if they do not hold its head.
fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let mut answer = Answer { status, head, body: bytes[end + 4..].to_vec() };
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = of_chunks(&answer.body);
    }
    Some(answer)
}

/// What the chunks of a body hold; of one that breaks off, as far as it goes.
fn of_chunks(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = chunks.windows(2).position(|two| two == b"\r\n") {
        let length = std::str::from_utf8(&chunks[..end]).ok();
        let length = length.and_then(|text| usize::from_str_radix(text, 16).ok());
        let Some(chunk) = length.and_then(|length| chunks.get(end + 2..end + 2 + length)) else {
            break;
        };
        body.extend_from_slice(chunk);
        chunks = chunks.get(end + 4 + chunk.len()..).unwrap_or_default();
    }
    body
}

/// A live tail.
pub struct TailReader {
    lines: BufReader<TcpStream>,
}

/// One server-sent event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    pub id: String,
    pub name: String,
    pub data: Value,
}

impl TailReader {
    /// Opens a tail; the answer must be good.
    pub fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut stream = connect(address);
        let mut head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).expect("the node reads");
        let mut lines = BufReader::new(stream);
        let mut status = String::new();
        lines.read_line(&mut status).expect("the node answers");
        assert!(status.starts_with("HTTP/1.1 200"), "{status}");
        let mut reader = Self { lines };
        // Once this is there, the follower has its place.
        while !reader.line().expect("a tail that goes on").starts_with("retry:") {}
        reader
    }

    /// The next event; `None` when the tail has ended.
    pub fn next(&mut self) -> Option<Told> {
        let mut told = Told::default();
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some(("id", id)) => told.id = id.to_owned(),
                Some(("event", name)) => told.name = name.to_owned(),
                Some(("data", data)) => {
                    told.data = serde_json::from_str(data).expect("data is JSON");
                    return Some(told);
                }
                _ => {}
            }
        }
    }

    /// A line of the body. Lines that carry the sizes of chunks look like no event, so they are
    /// simply passed over by the callers; a chunk of size 0 is the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line.trim_end().to_owned()).filter(|line| line != "0"),
            Err(error) => panic!("nothing came: {error}"),
        }
    }
}
