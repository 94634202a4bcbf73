//! A pair and its witness over TLS: events, `kill -9`, takeover, and a node that lacks
//! certificates.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use serde_json::json;
use tempfile::TempDir;

use crate::node::Node;

/// Several machines' worth of processes start on this one.
const LONG: Duration = Duration::from_secs(60);

const PLAN: &str = "@app:name('kept')\ndefine stream In (n long);\ndefine table Kept (n long);\n\
                    from In select n insert into Kept;\n";

/// Makes the files of an authority and of three processes on this machine.
fn sign(folder: &Path) {
    let mut params = CertificateParams::new([]).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    fs::write(folder.join("authority.pem"), certificate.pem()).expect("a file");
    let authority = Issuer::new(params, key);
    for name in ["a", "b", "witness"] {
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        fs::write(folder.join(format!("{name}.pem")), certificate.pem()).expect("a file");
        fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).expect("a file");
    }
}

/// The witness; dropping it kills it.
struct Witness {
    process: Child,
    address: String,
}

impl Witness {
    fn start(folder: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_twinflow"))
            .args(["witness", "--listen", "127.0.0.1:0", "--file", "record"])
            .args(["--secret-file", "secret", "--tls-certificate", "witness.pem"])
            .args(["--tls-key", "witness.key", "--tls-authority", "authority.pem"])
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
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn settings(folder: &Path, index: usize, links: [SocketAddr; 2], witness: &str) -> String {
    let (name, folder) = (["a", "b"][index], folder.display());
    format!(
        "[node]\nname = \"{name}\"\n[ha]\nenabled = true\nnode = \"{name}\"\n\
         listen = \"{}\"\npeer = \"{}\"\nsecret_file = \"{folder}/secret\"\n\
         arbiter = \"witness:{witness}\"\ntls_certificate = \"{folder}/{name}.pem\"\n\
         tls_key = \"{folder}/{name}.key\"\ntls_authority = \"{folder}/authority.pem\"\n",
        links[index],
        links[1 - index],
    )
}

/// Waits until one node acts and the other is in sync and runs the plan, too.
fn active(nodes: &[Node; 2]) -> usize {
    nodes[0].wait(LONG, "the pair is in sync", || {
        let acts = |index: &usize| {
            let status = nodes[*index].get("/api/v1/ha").json();
            status["role"] == "active" && status["in_sync"] == true
        };
        let runs = |node: &Node| node.get("/api/v1/plans/kept").json()["state"] == "running";
        (0..2).find(acts).filter(|_| nodes.iter().all(runs))
    })
}

fn send(node: &Node, numbers: std::ops::RangeInclusive<u64>) {
    for n in numbers {
        node.send("kept", "In", &json!([{ "n": n }]));
    }
}

fn holds(node: &Node, count: u64) {
    let found = node.query("kept", "from Kept select count() as events, sum(n) as total");
    assert_eq!(found["rows"], json!([[count, count * (count + 1) / 2]]), "{found}");
}

#[test]
fn a_pair_over_tls_takes_over_and_says_when_the_other_has_no_certificates() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("secret"), "a secret that only this test knows").expect("a file");
    sign(folder.path());
    let witness = Witness::start(folder.path());
    let free = |_| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let links = [0, 1].map(free);
    let settings = [0, 1].map(|index| settings(folder.path(), index, links, &witness.address));
    let mut nodes =
        [Node::start(&[("kept.siddhi", PLAN)], &settings[0]), Node::start(&[], &settings[1])];
    let first = active(&nodes);
    let second = 1 - first;
    send(&nodes[first], 1..=20);
    // By way of the link.
    send(&nodes[second], 21..=40);
    nodes[first].kill();
    nodes[second].wait(LONG, "the other node acts", || {
        (nodes[second].get("/api/v1/ha").json()["role"] == "active").then_some(())
    });
    send(&nodes[second], 41..=60);
    holds(&nodes[second], 60);
    nodes[first].start_again();
    assert_eq!(active(&nodes), second);
    nodes[second].kill();
    nodes[first].wait(LONG, "the first node acts again", || {
        (nodes[first].get("/api/v1/ha").json()["role"] == "active").then_some(())
    });
    holds(&nodes[first], 60);

    let bare: Vec<_> = settings[second].lines().filter(|line| !line.starts_with("tls_")).collect();
    let file = nodes[second].folder().join("twinflow.toml");
    fs::write(file, bare.join("\n")).expect("a file");
    nodes[second].start_again();
    let says = |node: &Node, text: &str| {
        node.wait(LONG, text, || node.log().contains(text).then_some(()));
    };
    says(&nodes[first], "this node speaks TLS, the peer does not");
    says(&nodes[second], "the peer speaks TLS, this node does not");
    says(&nodes[second], "it speaks TLS, this process does not");
}

#[test]
fn files_by_which_no_tls_can_be_spoken_keep_a_process_from_starting() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("secret"), "a secret that only this test knows").expect("a file");
    sign(folder.path());
    let run = |arguments: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_twinflow"))
            .args(arguments)
            .current_dir(folder.path())
            .env("TWINFLOW_HTTP_LISTEN", "127.0.0.1:0")
            .output()
            .expect("the program was built with the tests");
        assert!(!done.status.success());
        String::from_utf8_lossy(&done.stderr).into_owned()
    };
    let witness = ["witness", "--listen", "127.0.0.1:0", "--file", "x", "--secret-file", "secret"];
    let said = run(&[&witness[..], &["--tls-certificate", "a.pem"]].concat());
    assert!(said.contains("--tls-key"), "{said}");
    let files = ["--tls-certificate", "a.pem", "--tls-key", "b.key", "--tls-authority"];
    let said = run(&[&witness[..], &files, &["authority.pem"]].concat());
    assert!(said.contains("`--tls-key`: `b.key` cannot be used"), "{said}");
    let links = ["127.0.0.1:7420", "127.0.0.1:7422"].map(|address| address.parse().unwrap());
    let settings = settings(folder.path(), 0, links, "127.0.0.1:7421").replace("a.pem", "c.pem");
    fs::write(folder.path().join("twinflow.toml"), settings).expect("a file");
    let said = run(&["run"]);
    assert!(said.contains("`ha.tls_certificate`: `") && said.contains("c.pem"), "{said}");
}
