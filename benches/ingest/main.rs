//! How many events a second one client can send over HTTP: JSON arrays into a filter plan.
//!
//! `cargo bench --bench ingest -- [--seconds N] [--rows N] [--clients N]` starts a node of its own
//! in a folder of its own, and then two as a pair, sends for so long over kept-alive connections,
//! one request after the answer to the one before, and prints events a second, the node's memory
//! and its processor time. Bodies lie ready before the clock starts. At the end the node is asked
//! how many events it took: all of them.
//!
//! Then both are sent requests of 100 events at a steady rate (`--rate N`, a second), whether those
//! before were answered or not, three times in turn. Printed are the processor time an event of the
//! process that answers, how long an answer takes from the moment the request was due, and how many
//! times a node alone the active of the pair costs.

#![expect(clippy::print_stdout, reason = "what is measured is printed")]

#[path = "../throughput/generator.rs"]
#[expect(dead_code, reason = "the other bench uses the rest")]
mod generator;
#[path = "../../tests/system/node.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod node;
#[path = "../pair.rs"]
mod pair;

use std::fmt::Write as _;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use node::Node;
use pair::Pair;

const PLAN: &str = "
define stream S (symbol string, price double, volume long, ts long);
from S[price > 50.0 and volume > 100] select symbol, price * volume as amount insert into Out;
";
/// Different bodies, sent in turn.
const BODIES: usize = 64;
/// Events of a request that is sent at a steady rate.
const STEADY_ROWS: usize = 100;
/// Connections over which they are sent.
const STEADY_CLIENTS: usize = 16;
/// How often both are measured.
const TURNS: usize = 3;

struct Settings {
    seconds: u64,
    rows: usize,
    clients: usize,
    rate: usize,
}

fn main() {
    let settings = settings();
    println!("in memory (`?ack=accepted`, nothing is kept):");
    let config = "[persistence]\nenabled = false\n";
    let node = Node::start(&[("load.siddhi", PLAN)], config);
    node.wait_for_plan("load");
    measure(&settings, "accepted", &node);
    drop(node);
    println!("on disk (`?ack=applied`, the default):");
    let node = Node::start(&[("load.siddhi", PLAN)], "");
    node.wait_for_plan("load");
    let alone = measure(&settings, "applied", &node);
    drop(node);
    println!("the active of a pair (`ha.ack = 'peer'`, the default there):");
    let (pair, active) = Pair::start("load.siddhi", PLAN, "");
    let of_pair = measure(&settings, "applied", &pair.nodes[active]);
    println!("processor time an event: {:.2} times that of a node alone", of_pair / alone);
    drop(pair);
    mirroring(&settings);
}

/// What it costs to mirror events, by turns alone and in a pair.
fn mirroring(settings: &Settings) {
    let (seconds, rate) = (settings.seconds, settings.rate);
    println!("{rate} requests/s of {STEADY_ROWS} events for {seconds} s each:");
    let mut costs = [0.0; 2];
    for _ in 0..TURNS {
        let node = Node::start(&[("load.siddhi", PLAN)], "");
        node.wait_for_plan("load");
        costs[0] += steady(settings, "alone, `ack = 'disk'`", &node);
        drop(node);
        let (pair, active) = Pair::start("load.siddhi", PLAN, "");
        costs[1] += steady(settings, "active, `ha.ack = 'peer'`", &pair.nodes[active]);
    }
    println!("processor time an event: {:.2} times that of a node alone", costs[1] / costs[0]);
}

/// Sends at a steady rate; gives the microseconds of processor time that an event cost the node.
fn steady(settings: &Settings, what: &str, node: &Node) -> f64 {
    let bodies = Arc::new(bodies(STEADY_ROWS, "applied"));
    let (requests, rate) = (settings.seconds as usize * settings.rate, settings.rate as f64);
    let next = Arc::new(AtomicUsize::new(0));
    let (begin, used) = (Instant::now(), processor_time(node));
    let clients: Vec<_> = (0..STEADY_CLIENTS)
        .map(|_| {
            let (bodies, next, address) = (Arc::clone(&bodies), Arc::clone(&next), node.address());
            thread::spawn(move || {
                let mut stream = connect(address);
                let mut waits = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= requests {
                        return waits;
                    }
                    let due = begin + Duration::from_secs_f64(number as f64 / rate);
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    ask(&mut stream, &bodies[number % BODIES]);
                    waits.push(due.elapsed());
                }
            })
        })
        .collect();
    let sent = clients.into_iter().map(|client| client.join().expect("sent"));
    let mut waits: Vec<Duration> = sent.flatten().collect();
    let cost = (processor_time(node) - used) * 1e6 / (requests * STEADY_ROWS) as f64;
    waits.sort_unstable();
    let wait =
        |per_mille: usize| waits[(waits.len() - 1) * per_mille / 1000].as_secs_f64() * 1000.0;
    println!(
        "{what}: {cost:.2} µs of processor time an event; answered after {:.2} ms (median), \
         {:.2} ms (99 of 100), {:.2} ms (999 of 1000)",
        wait(500),
        wait(990),
        wait(999),
    );
    cost
}

/// Sends for a while; gives the microseconds of processor time that an event cost the node.
fn measure(settings: &Settings, ack: &str, node: &Node) -> f64 {
    let bodies = bodies(settings.rows, ack);
    let address = node.address();
    let end = Instant::now() + Duration::from_secs(settings.seconds);
    let clients: Vec<_> = (0..settings.clients)
        .map(|_| {
            let bodies = bodies.clone();
            thread::spawn(move || send(address, &bodies, end))
        })
        .collect();
    let used = processor_time(node);
    let memory = watch_memory(node, settings.seconds);
    let requests: usize = clients.into_iter().map(|client| client.join().expect("sent")).sum();
    let events = requests * settings.rows;
    let cost = (processor_time(node) - used) * 1e6 / events as f64;
    let rate = events as f64 / settings.seconds as f64;
    println!(
        "{} client(s), arrays of {}: {rate:.0} events/s for {} s, {:.2} ms a request, {cost:.2} µs \
         of processor time an event",
        settings.clients,
        settings.rows,
        settings.seconds,
        settings.seconds as f64 * 1000.0 * settings.clients as f64 / requests as f64,
    );
    println!(
        "memory of the node: {} MiB at a quarter, {} MiB at the end ({:+.1} %)",
        memory.0 >> 10,
        memory.1 >> 10,
        (memory.1 as f64 / memory.0 as f64 - 1.0) * 100.0,
    );
    node.wait(Duration::from_secs(10), "all events are applied", || {
        (node.events_in("load") == events as u64).then_some(())
    });
    println!("taken by the plan: {events}, all of them");
    cost
}

/// Seconds of processor time that a process has used.
fn processor_time(node: &Node) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", node.process()));
    let stat = stat.expect("the process is there");
    // The name before the last parenthesis may hold anything; the kernel counts hundredths.
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a part").split_whitespace().collect();
    let ticks = |place: usize| fields[place].parse::<f64>().expect("a count");
    (ticks(11) + ticks(12)) / 100.0
}

fn settings() -> Settings {
    let mut settings = Settings { seconds: 20, rows: 500, clients: 1, rate: 500 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a number");
        match word.as_str() {
            "--seconds" => settings.seconds = number() as u64,
            "--rows" => settings.rows = number(),
            "--clients" => settings.clients = number(),
            "--rate" => settings.rate = number(),
            // What `cargo bench` adds by itself.
            "--bench" => {}
            other => panic!("expected --seconds, --rows, --clients or --rate, found {other}"),
        }
    }
    settings
}

/// Whole requests, head and body.
fn bodies(rows: usize, ack: &str) -> Vec<Vec<u8>> {
    let mut draws = generator::draws().zip(generator::START..);
    let request = |_| {
        let mut body = String::from("[");
        for (row, (z, ts)) in draws.by_ref().take(rows).enumerate() {
            let comma = if row == 0 { "" } else { "," };
            let (symbol, volume) = ((z >> 44) % 1000, z & 0x3FF);
            let price = (z >> 20 & 0xFFFF) as f64 / 65536.0 * 100.0;
            write!(
                body,
                "{comma}{{\"symbol\":\"S{symbol:03}\",\"price\":{price},\
                 \"volume\":{volume},\"ts\":{ts}}}"
            )
            .expect("a String takes everything");
        }
        body.push(']');
        let head = format!(
            "POST /api/v1/plans/load/streams/S?ack={ack} HTTP/1.1\r\nHost: localhost\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        [head, body].concat().into_bytes()
    };
    (0..BODIES).map(request).collect()
}

/// Sends until the end; the number of requests that were accepted.
fn send(address: SocketAddr, bodies: &[Vec<u8>], end: Instant) -> usize {
    let mut stream = connect(address);
    let mut requests = 0;
    while Instant::now() < end {
        ask(&mut stream, &bodies[requests % bodies.len()]);
        requests += 1;
    }
    requests
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the node listens");
    stream.set_nodelay(true).expect("a TCP socket has the option");
    stream
}

/// Sends a request and waits until it is accepted.
fn ask(stream: &mut TcpStream, request: &[u8]) {
    stream.write_all(request).expect("the node reads");
    let (mut buffer, mut length) = ([0; 4096], 0);
    // Answers are short: head and body come at once or nearly so.
    while !is_whole(&buffer[..length]) {
        let read = stream.read(&mut buffer[length..]).expect("the node answers");
        assert!(read > 0, "the node closed the connection");
        length += read;
    }
    let answer = String::from_utf8_lossy(&buffer[..length]);
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
}

fn is_whole(answer: &[u8]) -> bool {
    answer.ends_with(b"}") && answer.windows(4).any(|four| four == b"\r\n\r\n")
}

/// Kibibytes that the node holds at a quarter of the time and at its end.
fn watch_memory(node: &Node, seconds: u64) -> (u64, u64) {
    thread::sleep(Duration::from_millis(seconds * 250));
    let early = node.memory_kib();
    thread::sleep(Duration::from_millis(seconds * 740));
    (early, node.memory_kib())
}
