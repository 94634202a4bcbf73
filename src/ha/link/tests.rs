//! Two real ends of a link over the loopback, and strangers who call.

mod proxy;
mod tls;

use crate::ha::link::Heard;
use crate::ha::link::Hold;
use crate::ha::link::Identity;
use crate::ha::link::Link;
use crate::ha::link::LinkSettings;
use crate::ha::link::Peer;
use crate::ha::link::Shipped;
use crate::ha::link::Window;
use crate::ha::link::frame;
use crate::ha::link::frame::HEAD_BYTES;
use crate::ha::link::frame::Head;
use crate::ha::link::frame::Kind;
use crate::ha::link::freight::Entries;
use crate::ha::link::freight::Entry;
use crate::ha::link::freight::Freight;
use crate::ha::link::freight::Piece;
use crate::ha::protocol::Body;
use crate::ha::protocol::Epoch;
use crate::ha::protocol::Incarnation;
use crate::ha::protocol::Message;
use crate::ha::protocol::NodeId;
use crate::ha::protocol::Plan;
use crate::ha::protocol::Position;
use crate::ha::protocol::Span;
use crate::ha::protocol::Version;
use crate::ha::secret::Secret;
use crate::ha::tls::Tls;
use bytes::Bytes;
use proxy::Fault;
use proxy::Proxy;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;
use std::time::Instant;

const SOON: Duration = Duration::from_secs(60);
/// Nobody listens there.
const NOBODY: &str = "127.0.0.1:1";

/// One end, and what it heard.
struct End {
    link: Link,
    heard: mpsc::Receiver<Heard>,
}

fn settings(node: NodeId, peer: &str) -> LinkSettings {
    let window = Window { bytes: 10 << 20, events: 1_000_000 };
    let name = match node {
        NodeId::A => "ann",
        NodeId::B => "bob",
    };
    LinkSettings {
        identity: Identity {
            cluster: "gate".to_owned(),
            name: name.to_owned(),
            node,
            incarnation: Incarnation(100),
            windows: [window; 2],
        },
        secret: Secret::new("a secret of the tests").unwrap(),
        tls: None,
        listen: "127.0.0.1:0".parse().unwrap(),
        peer: peer.to_owned(),
        reconnect: Duration::from_millis(100),
        idle: Duration::from_secs(30),
        outgoing: window,
    }
}

impl End {
    fn start(settings: LinkSettings) -> End {
        let (tell, heard) = mpsc::channel();
        let (give, taken) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.unwrap();
            let tasks = tokio::task::LocalSet::new();
            tasks.block_on(&runtime, async {
                // A test that has seen enough no longer listens.
                let link = Link::start(settings, move |heard| drop(tell.send(heard)));
                give.send(link.unwrap()).unwrap();
            });
            runtime.block_on(tasks);
        });
        End { link: taken.recv().unwrap(), heard }
    }

    fn next(&self) -> Heard {
        self.heard.recv_timeout(SOON).expect("something is heard soon")
    }

    fn joined(&self) -> Peer {
        loop {
            match self.next() {
                Heard::Joined(peer) => return peer,
                Heard::Refused(_) => {}
                other => panic!("not joined: {other:?}"),
            }
        }
    }

    fn lost(&self) -> String {
        loop {
            if let Heard::Lost(reason) = self.next() {
                return reason;
            }
        }
    }

    fn refused(&self) -> String {
        match self.next() {
            Heard::Refused(reason) => reason,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn message(&self) -> Message {
        loop {
            if let Heard::Message(message) = self.next() {
                return message;
            }
        }
    }

    fn freight(&self) -> (Freight, Hold) {
        loop {
            if let Heard::Freight(freight, hold) = self.next() {
                return (freight, hold);
            }
        }
    }

    /// Ships as soon as there is room.
    fn ship(&self, freight: &Freight) {
        let end = Instant::now() + SOON;
        while self.link.ship(freight).unwrap() != Shipped::Queued {
            assert!(Instant::now() < end, "there is no room for long");
            std::thread::yield_now();
        }
    }
}

/// Bob listens, Ann dials.
fn pair() -> (End, End) {
    pair_by(|_, _| ())
}

fn pair_by(change: impl FnOnce(&mut LinkSettings, &mut LinkSettings)) -> (End, End) {
    let (mut a, mut b) = (settings(NodeId::A, ""), settings(NodeId::B, NOBODY));
    change(&mut a, &mut b);
    let b = End::start(b);
    a.peer = b.link.address().to_string();
    (End::start(a), b)
}

fn message(number: u64) -> Message {
    Message {
        from: Incarnation(100),
        body: Body::YourTurn { epoch: Epoch(1), version: Version(number) },
    }
}

fn entries(first: u64, count: usize, size: usize) -> Freight {
    let epoch = Epoch(1);
    let entry = |position: u64| {
        let mut body = vec![position as u8; size];
        body[..8].copy_from_slice(&position.to_le_bytes());
        Entry { epoch, body: Bytes::from(body) }
    };
    let upto = first + count as u64 - 1;
    let body = Body::Entries {
        epoch,
        plan: Plan(1),
        after: Position(first - 1),
        upto: Position(upto),
        spans: vec![Span { first: Position(first), epoch }],
        committed: Position(0),
    };
    Freight::Entries(Entries {
        message: Message { from: Incarnation(100), body },
        plan: Plan(1),
        first: Position(first),
        entries: (first..=upto).map(entry).collect(),
        events: count as u64,
    })
}

#[test]
fn the_two_meet_and_what_is_said_arrives() {
    let (a, b) = pair();
    let (bob, ann) = (a.joined(), b.joined());
    assert_eq!((bob.name.as_str(), bob.node), ("bob", NodeId::B));
    assert_eq!((ann.name.as_str(), ann.incarnation), ("ann", Incarnation(100)));
    assert!(a.link.send(&message(7)).unwrap());
    assert_eq!(b.message(), message(7));
    assert!(b.link.send(&message(8)).unwrap());
    assert_eq!(a.message(), message(8));
    a.ship(&entries(1, 3, 100));
    assert_eq!(b.freight().0, entries(1, 3, 100));
    let piece = Freight::Piece(Piece {
        plan: Plan(1),
        file: "2026_gate".to_owned(),
        offset: 0,
        length: 3,
        bytes: Bytes::from_static(b"one"),
    });
    b.ship(&piece);
    assert_eq!(a.freight().0, piece);
}

#[test]
fn without_a_peer_nothing_is_kept() {
    let a = End::start(settings(NodeId::A, NOBODY));
    assert!(!a.link.send(&message(1)).unwrap());
    assert_eq!(a.link.ship(&entries(1, 1, 10)).unwrap(), Shipped::NoPeer);
}

#[test]
fn who_does_not_know_the_secret_is_refused_and_both_say_so() {
    let (a, b) = pair_by(|a, _| a.secret = Secret::new("a secret of nobody else").unwrap());
    for reason in [a.refused(), b.refused()] {
        assert!(reason.contains("secret") && reason.contains("`ha.secret_file`"), "{reason}");
    }
    assert!(!a.link.send(&message(1)).unwrap());
    assert!(!b.link.send(&message(1)).unwrap());
}

#[test]
fn another_cluster_is_refused_and_both_say_both_names() {
    let (a, b) = pair_by(|a, _| a.identity.cluster = "door".to_owned());
    let (from_a, from_b) = (a.refused(), b.refused());
    assert!(from_a.contains("cluster `door`, the peer to `gate`"), "{from_a}");
    assert!(from_b.contains("cluster `gate`, the peer to `door`"), "{from_b}");
}

#[test]
fn a_node_of_the_same_name_or_place_is_refused() {
    let (a, b) = pair_by(|a, _| a.identity.name = "bob".to_owned());
    assert!(a.refused().contains("both nodes are called `bob`"));
    assert!(b.refused().contains("both nodes are called `bob`"));
    let (a, b) = pair_by(|a, _| a.identity.node = NodeId::B);
    assert!(a.refused().contains("both nodes are node B"));
    assert!(b.refused().contains("both nodes are node B"));
}

/// What a stranger hears until the connection is closed.
fn call(end: &End, said: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(end.link.address()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(said).unwrap();
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut heard = Vec::new();
    if let Err(error) = stream.read_to_end(&mut heard) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    }
    heard
}

#[test]
fn an_older_build_is_told_the_version() {
    let b = End::start(settings(NodeId::B, NOBODY));
    // Whatever follows the number in that build's greeting.
    let hello = frame::encode(Kind::Hello, &[&[0, 1, 2, 3]]).unwrap();
    let heard = call(&b, &hello);
    let reason = b.refused();
    assert!(reason.contains("version 4 of the link, the peer 0"), "{reason}");
    let (head, rest) = heard.split_first_chunk::<HEAD_BYTES>().unwrap();
    let head = Head::decode(head).unwrap();
    assert_eq!((head.kind, rest[0]), (Kind::Hello, 4), "its greeting begins with its version");
    assert!(rest[head.length..].ends_with(b"the versions differ"), "{rest:?}");
}

#[test]
fn garbage_cuts_and_replays_let_nobody_in_and_hold_up_nobody() {
    let b = End::start(settings(NodeId::B, NOBODY));
    let proxy = Proxy::start(&b.link.address().to_string(), vec![Fault::Record]);
    let mut ann = settings(NodeId::A, &proxy.address);
    let a = End::start(ann.clone());
    a.joined();
    b.joined();
    drop(a);
    b.lost();
    let recorded = proxy.recorded();
    // The greeting and the proof of a conversation that was, word for word.
    call(&b, &recorded);
    assert!(b.refused().contains("secret"), "an old proof proves nothing");
    let hello = frame::encode(Kind::Hello, &[&[7; 40]]).unwrap();
    for end in 0..hello.len() {
        assert_eq!(call(&b, &hello[..end]), b"");
    }
    call(&b, b"GET / HTTP/1.1\r\nHost: peer\r\n\r\n");
    call(&b, &[0xff; 2_000]);
    let early = frame::encode(Kind::Entries, &[&[0; 100]]).unwrap();
    assert_eq!(call(&b, &early), b"", "nothing but a greeting is read first");
    ann.peer = b.link.address().to_string();
    let a = End::start(ann);
    assert_eq!(a.joined().name, "bob");
    assert_eq!(b.joined().name, "ann");
}

#[test]
fn a_connection_that_is_cut_or_damaged_begins_anew_and_only_whole_frames_count() {
    cut_and_damage([None, None]);
}

fn cut_and_damage(tls: [Option<Tls>; 2]) {
    let faults: Vec<_> = [60, 400, 3_000, 20_001, 70_000]
        .into_iter()
        .flat_map(|bytes| [Fault::CutAfter(bytes), Fault::FlipAt(bytes)])
        .collect();
    let count = faults.len();
    // The faults after so many bytes come when the nodes know each other, however long TLS talked.
    let sure = if tls[0].is_some() { 4 } else { 6 };
    let [tls_a, tls_b] = tls;
    let b = End::start(LinkSettings { tls: tls_b, ..settings(NodeId::B, NOBODY) });
    let proxy = Proxy::start(&b.link.address().to_string(), faults);
    let a = End::start(LinkSettings { tls: tls_a, ..settings(NodeId::A, &proxy.address) });
    let end = Instant::now() + SOON;
    let mut next = 1;
    // Ann sends for as long as connections break; each time Bob takes a beginning of what she sent.
    while proxy.spent() < count || !a.link.send(&message(0)).unwrap() {
        assert!(Instant::now() < end, "{} of {count} faults", proxy.spent());
        match a.link.ship(&entries(next, 3, 1_000)).unwrap() {
            Shipped::Queued => next += 3,
            Shipped::Full | Shipped::NoPeer => std::thread::yield_now(),
        }
    }
    let (mut last, mut joined, mut lost) = (0, 0, 0);
    while last < next {
        let heard = match b.heard.recv_timeout(Duration::from_millis(50)) {
            Ok(heard) => heard,
            Err(_) => {
                // Ann may have noticed only now that the last bad connection has ended.
                a.link.ship(&entries(next, 3, 1_000)).unwrap();
                assert!(Instant::now() < end, "{last} of {next}");
                continue;
            }
        };
        match heard {
            Heard::Joined(_) => joined += 1,
            Heard::Lost(_) => lost += 1,
            Heard::Freight(Freight::Entries(heard), _) => {
                assert!(heard.first.0 > last, "{} after {last}", heard.first);
                last = heard.first.0;
                assert_eq!(Freight::Entries(heard), entries(last, 3, 1_000));
            }
            Heard::Message(heard) => assert_eq!(heard, message(0)),
            Heard::Freight(..) | Heard::Refused(_) => {}
        }
    }
    assert_eq!(joined, lost + 1);
    assert!(lost >= sure, "{lost} connections broke after the greeting");
}

#[test]
fn entries_that_nobody_takes_hold_up_no_message() {
    let (a, b) = pair();
    a.joined();
    b.joined();
    // Until nothing more can be queued: what Bob has room for, and what may wait at Ann.
    let mut sent = 0;
    let mut held = Vec::new();
    let mut full = 0;
    while full < 2 {
        match a.link.ship(&entries(sent + 1, 1, 100_000)).unwrap() {
            Shipped::Queued => sent += 1,
            Shipped::Full => {
                // Full, and everything that may be sent was sent: Bob holds his window's worth.
                full += 1;
                while held.len() < 104 {
                    held.push(b.freight());
                }
            }
            Shipped::NoPeer => panic!("the link is lost"),
        }
    }
    assert!(sent >= 200, "{sent}");
    for number in 0..1_000 {
        assert!(a.link.send(&message(number)).unwrap());
        match b.next() {
            Heard::Message(heard) => assert_eq!(heard, message(number)),
            other => panic!("beyond the window: {other:?}"),
        }
    }
    let mut next = 1;
    let mut check = |freight: &Freight| {
        assert_eq!(*freight, entries(next, 1, 100_000));
        next += 1;
    };
    for (freight, hold) in held {
        check(&freight);
        drop(hold);
    }
    for _ in 104..sent {
        check(&b.freight().0);
    }
}

#[test]
fn a_hundred_megabytes_arrive_in_order_and_messages_overtake_them() {
    const FRAMES: u64 = 1_600;
    const EVERY: u64 = 8;
    let (a, b) = pair();
    a.joined();
    b.joined();
    let receiver = std::thread::spawn(move || {
        // How many frames had come when each message came.
        let mut before = Vec::new();
        let mut frames = 0;
        while frames < FRAMES || (before.len() as u64) < FRAMES / EVERY {
            match b.next() {
                Heard::Freight(freight, _) => {
                    assert_eq!(freight, entries(frames + 1, 1, 64 << 10));
                    frames += 1;
                }
                Heard::Message(heard) => {
                    assert_eq!(heard, message(before.len() as u64));
                    before.push(frames);
                }
                other => panic!("{other:?}"),
            }
        }
        before
    });
    let mut bounds = Vec::new();
    let mut overtaken = 0;
    for number in 0..FRAMES {
        a.ship(&entries(number + 1, 1, 64 << 10));
        if number % EVERY == EVERY - 1 {
            a.link.send(&message(number / EVERY)).unwrap();
            // What had gone by then may be ahead of the message, nothing else.
            let gone = a.link.figures().freight_sent;
            bounds.push(gone);
            overtaken += number + 1 - gone;
        }
    }
    let before = receiver.join().unwrap();
    for (number, (came, bound)) in before.iter().zip(&bounds).enumerate() {
        assert!(came <= bound, "message {number} came after {came} frames, not {bound}");
    }
    assert!(overtaken > FRAMES, "{overtaken} frames overtaken: the queue was hardly ever long");
    assert_eq!(a.link.figures().messages_dropped, 0);
}

#[test]
fn a_peer_that_is_started_anew_is_met_again_and_its_old_life_is_not() {
    let (a, b) = pair();
    a.joined();
    b.joined();
    let mut again = settings(NodeId::B, &a.link.address().to_string());
    again.identity.incarnation = Incarnation(101);
    // The old process still runs: the new one takes its place all the same.
    let newer = End::start(again);
    newer.joined();
    a.lost();
    assert_eq!(a.joined().incarnation, Incarnation(101));
    b.lost();
    let old = End::start(settings(NodeId::B, &a.link.address().to_string()));
    assert!(old.refused().contains("a later life of this node was heard"));
    let reason = a.refused();
    assert!(reason.contains("life 100 is older than 101"), "{reason}");
    a.link.send(&message(3)).unwrap();
    assert_eq!(newer.message(), message(3));
    drop(newer);
    a.lost();
}

#[test]
fn a_peer_that_hangs_is_given_up() {
    let b = End::start(settings(NodeId::B, NOBODY));
    let proxy = Proxy::start(&b.link.address().to_string(), vec![Fault::StallAfter(1_000)]);
    let mut ann = settings(NodeId::A, &proxy.address);
    ann.idle = Duration::from_millis(400);
    let a = End::start(ann);
    a.joined();
    b.joined();
    a.ship(&entries(1, 1, 2_000));
    // Nothing passes any more, in neither direction.
    let reason = a.lost();
    assert!(reason.contains("nothing came"), "{reason}");
    a.joined();
}

#[test]
fn both_may_dial_and_one_connection_remains() {
    for _ in 0..20 {
        let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [one, other] = ports.map(|port| port.local_addr().unwrap());
        let mut a = settings(NodeId::A, &other.to_string());
        let mut b = settings(NodeId::B, &one.to_string());
        (a.listen, b.listen) = (one, other);
        let (a, b) = (End::start(a), End::start(b));
        // Messages go to and fro until each end was silent but for them for long: settled.
        let mut up = [0_i32; 2];
        let mut passed = 0;
        let end = Instant::now() + SOON;
        while passed < 200 {
            assert!(Instant::now() < end, "passed {passed}, up {up:?}");
            for (index, (me, other)) in [(&a, &b), (&b, &a)].into_iter().enumerate() {
                if !me.link.send(&message(passed)).unwrap() {
                    std::thread::yield_now();
                }
                match other.heard.recv_timeout(Duration::from_millis(20)) {
                    Ok(Heard::Message(_)) => passed += 1,
                    Ok(Heard::Joined(_)) => up[1 - index] += 1,
                    Ok(Heard::Lost(_)) => {
                        up[1 - index] -= 1;
                        passed = 0;
                    }
                    Ok(Heard::Refused(_)) | Err(_) => {}
                    Ok(other) => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(up, [1, 1]);
    }
}
