//! Arbiters as nodes see them: races, damage, silence.

use crate::ha::arbiter::Arbiter;
use crate::ha::arbiter::ArbiterError;
use crate::ha::arbiter::Pair;
use crate::ha::arbiter::RecordStore;
use crate::ha::arbiter::Written;
use crate::ha::arbiter::server::Witness;
use crate::ha::arbiter::sqlite::SqliteStore;
use crate::ha::arbiter::witness::WitnessStore;
use crate::ha::protocol::ArbiterId;
use crate::ha::protocol::Asking;
use crate::ha::protocol::NodeId;
use crate::ha::protocol::Outcome;
use crate::ha::protocol::Record;
use crate::ha::protocol::RequestId;
use crate::ha::protocol::Version;
use crate::ha::secret::Secret;
use crate::ha::tls::Tls;
use crate::ha::tls::tests::Authority;
use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(10);

fn pair() -> Pair {
    Pair { cluster: "gate".to_owned(), lease: 2_000 }
}

fn secret() -> Secret {
    Secret::new("a secret of the tests").unwrap()
}

fn sqlite(path: &Path) -> SqliteStore {
    SqliteStore::new(path, pair(), WAIT)
}

/// A store of tests that are about order: SQLite's lock is not fair, and a machine may be busy.
fn patient(path: &Path) -> SqliteStore {
    SqliteStore::new(path, pair(), Duration::from_secs(60))
}

fn next(record: &Record, holder: NodeId) -> Record {
    Record { epoch: record.epoch.next(), holder: Some(holder), ..record.clone() }
}

/// Writes `rounds` versions from each of two stores at once; says which versions each one won.
fn race(stores: [Box<dyn RecordStore>; 2], rounds: u64) -> [Vec<u64>; 2] {
    let threads = stores.into_iter().zip([NodeId::A, NodeId::B]).map(|(mut store, node)| {
        thread::spawn(move || {
            let mut won = Vec::new();
            let mut known = store.read().unwrap();
            while known.version.0 < rounds {
                match store.write(known.version, &next(&known, node)).unwrap() {
                    Written::Won(record) => {
                        assert_eq!(record.version, known.version.next());
                        assert_eq!(record.holder, Some(node));
                        won.push(record.version.0);
                        known = record;
                    }
                    Written::Lost(record) => {
                        assert!(record.version > known.version, "a loss tells a newer version");
                        known = record;
                    }
                }
            }
            won
        })
    });
    let threads: Vec<_> = threads.collect();
    let won: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    won.try_into().unwrap()
}

fn each_version_has_one_winner(won: [Vec<u64>; 2], rounds: u64) {
    let [a, b] = won;
    let mut all: Vec<_> = a.iter().chain(&b).copied().collect();
    all.sort_unstable();
    assert_eq!(all, (1..=rounds).collect::<Vec<_>>());
}

#[test]
fn two_stores_on_one_file_race_and_each_version_has_one_winner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("arbiter.db");
    let won = race([Box::new(patient(&path)), Box::new(patient(&path))], 1_000);
    each_version_has_one_winner(won, 1_000);
}

#[test]
fn whoever_comes_first_makes_the_file_and_all_find_the_same_id() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("arbiter.db");
        let threads = [(); 4].map(|()| {
            let mut store = patient(&path);
            thread::spawn(move || store.read().unwrap())
        });
        let [first, rest @ ..] = threads.map(|thread| thread.join().unwrap());
        assert!(rest.iter().all(|record| *record == first), "{first:?} {rest:?}");
        assert_eq!(first, Record::virgin(first.arbiter, 2_000));
    }
}

#[test]
fn a_record_of_another_store_or_version_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = sqlite(&folder.path().join("arbiter.db"));
    let record = store.read().unwrap();
    let foreign = Record { arbiter: ArbiterId(1), ..record.clone() };
    assert_eq!(store.write(Version(0), &foreign).unwrap(), Written::Lost(record.clone()));
    let late = store.write(Version(9), &next(&record, NodeId::A)).unwrap();
    assert_eq!(late, Written::Lost(record));
}

fn sqlite_error(path: &Path) -> String {
    sqlite(path).read().unwrap_err().to_string()
}

#[test]
fn a_damaged_file_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("arbiter.db");
    sqlite(&path).read().unwrap();
    let good = fs::read(&path).unwrap();

    fs::write(&path, "this is no database, and long enough to be told from an empty one").unwrap();
    assert!(sqlite_error(&path).contains("arbiter.db` is damaged"), "{}", sqlite_error(&path));

    let statements = [
        ("UPDATE arbiter SET record = x'00'", "checksum"),
        ("UPDATE arbiter SET checksum = 1", "checksum"),
        ("DELETE FROM arbiter", "row is gone"),
        ("DROP TABLE arbiter", "no such table"),
        ("PRAGMA user_version = 9", "form is 9"),
        ("PRAGMA application_id = 9", "not an arbiter's"),
    ];
    for (statement, expected) in statements {
        fs::write(&path, &good).unwrap();
        rusqlite::Connection::open(&path).unwrap().execute_batch(statement).unwrap();
        let error = sqlite_error(&path);
        assert!(error.contains("is damaged") && error.contains(expected), "{statement}: {error}");
    }
}

#[test]
fn a_database_that_is_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let before = fs::read(&path).unwrap();
    assert!(sqlite_error(&path).contains("not an arbiter's"), "{}", sqlite_error(&path));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_that_was_removed_is_not_made_again_by_who_knew_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("arbiter.db");
    let mut store = sqlite(&path);
    let record = store.read().unwrap();
    fs::remove_file(&path).unwrap();
    let error = store.write(record.version, &next(&record, NodeId::A)).unwrap_err();
    assert!(matches!(error, ArbiterError::Replaced { .. }), "{error}");
    assert!(!path.exists());
    // Another process makes it: a new id, by which the protocol knows that it is another store.
    let other = sqlite(&path).read().unwrap();
    assert_ne!(other.arbiter, record.arbiter);
    assert_eq!(store.read().unwrap(), other);
}

#[test]
fn a_store_of_another_cluster_is_refused_with_both_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("arbiter.db");
    sqlite(&path).read().unwrap();
    let mine = Pair { cluster: "door".to_owned(), lease: 1 };
    let error = SqliteStore::new(&path, mine, WAIT).read().unwrap_err().to_string();
    assert!(error.contains("`gate`") && error.contains("`door`"), "{error}");
}

/// Starts a witness in this process; it ends with the process.
fn witness(folder: &Path) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let witness = Witness::new(listener, &folder.join("record"), secret()).unwrap();
    let address = witness.address().unwrap();
    thread::spawn(move || witness.serve());
    address
}

fn at(address: SocketAddr) -> WitnessStore {
    WitnessStore::new(&address.to_string(), secret(), pair(), WAIT)
}

#[test]
fn two_nodes_race_at_a_witness_and_each_version_has_one_winner() {
    let folder = tempfile::tempdir().unwrap();
    let address = witness(folder.path());
    let won = race([Box::new(at(address)), Box::new(at(address))], 300);
    each_version_has_one_winner(won, 300);
}

#[test]
fn a_witness_refuses_other_secrets_clusters_and_second_witnesses() {
    let folder = tempfile::tempdir().unwrap();
    let address = witness(folder.path());
    at(address).read().unwrap();
    let wrong = Secret::new("a secret of nobody else").unwrap();
    let error = WitnessStore::new(&address.to_string(), wrong, pair(), WAIT).read().unwrap_err();
    assert!(matches!(error, ArbiterError::Secret { .. }), "{error}");
    let other = Pair { cluster: "door".to_owned(), lease: 1 };
    let error = WitnessStore::new(&address.to_string(), secret(), other, WAIT).read().unwrap_err();
    assert!(error.to_string().contains("`gate`"), "{error}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let second = Witness::new(listener, &folder.path().join("record"), secret()).unwrap_err();
    assert!(second.to_string().contains("another process holds"), "{second}");
}

/// Starts a witness that speaks TLS.
fn witness_with(folder: &Path, tls: Option<Tls>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let witness = Witness::new(listener, &folder.join("record"), secret()).unwrap().with_tls(tls);
    let address = witness.address().unwrap();
    thread::spawn(move || witness.serve());
    address
}

#[test]
fn with_tls_a_record_is_kept_and_who_is_not_of_the_pair_is_told_why() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let good = || Some(authority.tls("127.0.0.1"));
    let folder = tempfile::tempdir().unwrap();
    let address = witness_with(folder.path(), good());
    let mut store = at(address).with_tls(good());
    let record = store.read().unwrap();
    let written = store.write(record.version, &next(&record, NodeId::A)).unwrap();
    assert!(matches!(written, Written::Won(_)), "{written:?}");
    let refused = |address: SocketAddr, tls: Option<Tls>, expected: &str| {
        let error = at(address).with_tls(tls).read().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(address, None, "it speaks TLS, this process does not");
    refused(address, Some(stranger.tls("127.0.0.1")), "its certificate is not taken");
    refused(address, Some(authority.expired()), "it is not valid at this time");
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let plain = witness(folders[0].path());
    refused(plain, good(), "it does not speak TLS, this process does");
    at(plain).read().unwrap();
    let elsewhere = witness_with(folders[1].path(), Some(authority.tls("third.example")));
    refused(elsewhere, good(), "it is not for the host that was dialled");
}

#[test]
fn a_witness_does_not_start_on_a_damaged_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("record"), "nonsense").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = Witness::new(listener, &folder.path().join("record"), secret()).unwrap_err();
    assert!(error.to_string().contains("does not begin as one"), "{error}");
}

#[test]
fn garbage_and_other_versions_end_a_connection_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let address = witness(folder.path());
    let openings: [&[u8]; 3] = [
        b"GET / HTTP/1.1\r\nHost: witness of the pair\r\n\r\n",
        b"TWWT\x09\x0012345678901234567890123456789012",
        &[0xff; 300],
    ];
    for opening in openings {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream.write_all(opening).unwrap();
        let mut rest = Vec::new();
        // It is closed, in order or not, long before the time is over.
        if let Err(error) = stream.read_to_end(&mut rest) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
        assert!(rest.len() <= 42, "{rest:?}");
    }
    // A good opening, then a message whose code is made up.
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream.write_all(b"TWWT\x01\x0012345678901234567890123456789012").unwrap();
    stream.write_all(&[8, 0, 0, 0]).unwrap();
    stream.write_all(&[7; 40]).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest[38..], [0xff; 4], "it says that the secrets differ");
    at(address).read().unwrap();
}

/// A store that answers when the test lets it.
struct Stuck {
    go: mpsc::Receiver<bool>,
}

impl RecordStore for Stuck {
    fn read(&mut self) -> Result<Record, ArbiterError> {
        if self.go.recv().unwrap() {
            Ok(Record::virgin(ArbiterId(5), 1))
        } else {
            panic!("a store that panics")
        }
    }

    fn write(&mut self, _: Version, _: &Record) -> Result<Written, ArbiterError> {
        Err(ArbiterError::Unreachable { place: self.place(), reason: "nobody there".to_owned() })
    }

    fn place(&self) -> String {
        "stuck".to_owned()
    }
}

#[test]
fn a_stuck_store_holds_up_nobody_and_every_question_is_answered_once() {
    let (let_go, go) = mpsc::channel();
    let (answered, answers) = mpsc::channel();
    let arbiter =
        Arbiter::start(Stuck { go }, move |id, outcome| answered.send((id.0, outcome)).unwrap())
            .unwrap();
    arbiter.ask(RequestId(1), Asking::Read);
    arbiter.ask(RequestId(2), Asking::Read);
    assert_eq!(answers.recv_timeout(WAIT).unwrap(), (2, Outcome::Silent));
    let_go.send(true).unwrap();
    let record = Record::virgin(ArbiterId(5), 1);
    assert_eq!(answers.recv_timeout(WAIT).unwrap(), (1, Outcome::Read(record.clone())));
    let record = Box::new(record);
    arbiter.ask(RequestId(3), Asking::Write { expected: Version(0), record });
    assert_eq!(answers.recv_timeout(WAIT).unwrap(), (3, Outcome::Silent));
    let_go.send(false).unwrap();
    arbiter.ask(RequestId(4), Asking::Read);
    assert_eq!(answers.recv_timeout(WAIT).unwrap(), (4, Outcome::Silent));
    let_go.send(true).unwrap();
    arbiter.ask(RequestId(5), Asking::Read);
    assert!(matches!(answers.recv_timeout(WAIT).unwrap(), (5, Outcome::Read(_))));
}
