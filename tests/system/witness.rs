//! The witness as a process: killed at any time it keeps what it answered, and the kernel tells
//! that it has ended.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use twinflow::ha::arbiter::Pair;
use twinflow::ha::arbiter::RecordStore;
use twinflow::ha::arbiter::Written;
use twinflow::ha::arbiter::lock;
use twinflow::ha::arbiter::witness::WitnessStore;
use twinflow::ha::protocol::NodeId;
use twinflow::ha::protocol::Record;
use twinflow::ha::secret::Secret;

const SECRET: &str = "the secret of this test";

/// A witness that runs; dropping it kills it.
struct Witness {
    process: Child,
    address: String,
}

impl Witness {
    fn start(folder: &Path) -> Self {
        fs::write(folder.join("secret"), SECRET).expect("a file");
        let mut process = Command::new(env!("CARGO_BIN_EXE_twinflow"))
            .args(["witness", "--listen", "127.0.0.1:0", "--file", "record"])
            .args(["--secret-file", "secret"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program was built with the tests");
        let mut line = String::new();
        let mut said = BufReader::new(process.stdout.take().expect("it was asked for"));
        said.read_line(&mut line).expect("it says where it listens");
        let address = line.trim().rsplit(' ').next().expect("a word").to_owned();
        Self { process, address }
    }

    fn store(&self) -> WitnessStore {
        let secret = Secret::new(SECRET).expect("long enough");
        let pair = Pair { cluster: "gate".to_owned(), lease: 2_000 };
        WitnessStore::new(&self.address, secret, pair, Duration::from_secs(10))
    }

    /// `kill -9`, and waits for the end.
    fn kill(&mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it ends");
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn next(record: &Record) -> Record {
    Record { epoch: record.epoch.next(), holder: Some(NodeId::B), ..record.clone() }
}

#[test]
fn a_killed_witness_keeps_its_record_and_its_lock_is_free() {
    let folder = TempDir::new().expect("a folder");
    let lock_file = folder.path().join("record.lock");
    let mut expected = None;
    for life in 0..4_u64 {
        let mut witness = Witness::start(folder.path());
        assert!(!lock::is_free(&lock_file), "a living process holds it");
        let mut store = witness.store();
        let mut record = store.read().expect("it answers");
        assert_eq!(record.version.0, life * 10);
        if let Some(expected) = &expected {
            assert_eq!(record, *expected);
        }
        for _ in 0..10 {
            let before = record.version;
            match store.write(before, &next(&record)).expect("it answers") {
                Written::Won(now) => record = now,
                Written::Lost(now) => panic!("nobody else writes: {now:?}"),
            }
            assert_eq!(record.version, before.next());
        }
        expected = Some(record.clone());
        witness.kill();
        assert!(lock::is_free(&lock_file), "its holder was killed");
        assert!(store.read().is_err(), "nobody is there");
    }
}

#[test]
fn a_write_that_nobody_heard_was_not_taken() {
    let folder = TempDir::new().expect("a folder");
    let mut first = Witness::start(folder.path());
    let mut store = first.store();
    let record = store.read().expect("it answers");
    first.kill();
    assert!(store.write(record.version, &next(&record)).is_err(), "nobody is there");
    let second = Witness::start(folder.path());
    let mut store = second.store();
    let written = store.write(record.version, &next(&record)).expect("it answers");
    assert!(matches!(written, Written::Won(_)), "what was sent to nobody was not taken");
}

#[test]
fn what_keeps_a_witness_from_starting_is_said() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("secret"), "short").expect("a file");
    let run = |file: &str| {
        let done = Command::new(env!("CARGO_BIN_EXE_twinflow"))
            .args(["witness", "--listen", "127.0.0.1:0", "--file", file])
            .args(["--secret-file", "secret"])
            .current_dir(folder.path())
            .output()
            .expect("the program was built with the tests");
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let (status, said) = run("record");
    assert_eq!(status, Some(2));
    assert!(said.contains("at least 16 bytes") && !said.contains("short"), "{said}");
    fs::write(folder.path().join("secret"), SECRET).expect("a file");
    fs::write(folder.path().join("record"), "not a record").expect("a file");
    let (status, said) = run("record");
    assert_eq!(status, Some(1));
    assert!(said.contains("`record` is damaged"), "{said}");
}
