//! Two nodes as processes, their arbiter, and the network between them.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::node::Node;
use crate::node::SOON;
use crate::node::client;
use crate::node::client::Answer;
use crate::pair::load::Load;
use crate::pair::load::Rate;
use crate::pair::proxy::Proxy;
use crate::pair::receiver::Receiver;

/// Pairs take turns: what one test does to the machine is not to look like a fault in another.
static TURN: Mutex<()> = Mutex::new(());

/// How long an answer of a node is waited for that may be halted.
const ANSWER: Duration = Duration::from_millis(500);

/// The plan that all these tests use. Every event is counted under its key; the counts are results,
/// so that a lost or repeated event shows in all that follow it.
const PLAN: &str = "
@app:name('count')
define stream In (k int, seq long, first bool);
define stream Counted (k int, seq long, n long, first bool);
@primaryKey('k') define table Totals (k int, events long, last long);
@sink(type='file', file.uri='{plain}', @map(type='json'))
define stream Plain (k int, seq long, n long);
@sink(type='http', publisher.url='http://{aware}/', on.error='WAIT', @map(type='json'))
define stream Told (k int, seq long, n long);
from In select k, seq, count() as n, first group by k insert into Counted;
from Counted select k, n as events, seq as last update or insert into Totals
    set Totals.events = events, Totals.last = last on Totals.k == k;
from Counted[{shown}] select k, seq, n insert into Plain;
from Counted[first] select k, seq, n insert into Told;
";

/// Who keeps the record of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arbiter {
    /// A file of both.
    File,
    /// A process of its own.
    Witness,
    /// A database.
    Server {
        /// The lines of a section of settings that name it, and the port in them.
        settings: &'static str,
        port: u16,
    },
}

/// What a pair is made of.
#[derive(Clone, Copy, Debug)]
pub struct Plot {
    /// Who keeps the record.
    pub arbiter: Arbiter,
    /// Which events come to the receiver that knows no ids.
    pub shown: &'static str,
    /// More settings for both nodes.
    pub settings: &'static str,
    /// More lines of `[ha]`.
    pub ha: &'static str,
    /// More plans.
    pub plans: &'static [(&'static str, &'static str)],
}

impl Default for Plot {
    fn default() -> Self {
        Self { arbiter: Arbiter::File, shown: "true", settings: "", ha: "", plans: &[] }
    }
}

/// Two nodes; dropping it kills them.
pub struct Pair {
    pub nodes: [Node; 2],
    pub receiver: Receiver,
    /// The ways on which each node dials the other.
    links: [Proxy; 2],
    /// The ways on which each node dials the arbiter, where that is no file.
    ways: Option<[Proxy; 2]>,
    witness: Option<Witness>,
    folder: TempDir,
    /// Whether the receiver without ids gets every event, or only the marked ones.
    pub shows_all: bool,
    /// Parcels that nodes that were killed counted as uncertain.
    uncertain: u64,
    _turn: MutexGuard<'static, ()>,
}

struct Witness {
    process: Child,
    listen: SocketAddr,
    folder: PathBuf,
}

/// The plan with its two receivers; the one without ids gets the events that are shown.
pub fn plan(plain: &Path, aware: SocketAddr, shown: &str) -> String {
    PLAN.replace("{plain}", plain.to_str().expect("text"))
        .replace("{aware}", &aware.to_string())
        .replace("{shown}", shown)
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port")
}

impl Pair {
    /// Starts both and waits until one acts and the other is in sync.
    pub fn start(plot: Plot) -> Self {
        let pair = Self::apart(plot);
        pair.wait_in_sync();
        pair
    }

    /// Starts both and waits for nothing.
    pub fn apart(plot: Plot) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("secret"), "the secret of these tests").expect("a file");
        let receiver = Receiver::start();
        let is_witness = plot.arbiter == Arbiter::Witness;
        let witness = is_witness.then(|| Witness::start(folder.path()));
        let keeper = match (&witness, plot.arbiter) {
            (_, Arbiter::Server { port, .. }) => Some(SocketAddr::from(([127, 0, 0, 1], port))),
            (witness, _) => witness.as_ref().map(|of| of.listen),
        };
        let listens = [free_port(), free_port()];
        // Node 0 dials node 1 over link 0.
        let links = [Proxy::to(listens[1]), Proxy::to(listens[0])];
        let ways = keeper.map(|keeper| [Proxy::to(keeper), Proxy::to(keeper)]);
        let plain = folder.path().join("plain.jsonl");
        let plan = plan(&plain, receiver.address, plot.shown);
        let mut plans = vec![("count.siddhi", plan.as_str())];
        plans.extend(plot.plans);
        let node = |place: usize| {
            let way = ways.as_ref().map(|ways| ways[place].address);
            let (arbiter, store) = plot.arbiter.settings(folder.path(), way);
            let settings = format!(
                "{}\n[node]\nname = 'node-{name}'\n[ha]\nenabled = true\nnode = '{name}'\n\
                 listen = '{}'\npeer = '{}'\nsecret_file = '{}'\narbiter = '{arbiter}'\n{}\n\
                 {store}",
                plot.settings,
                listens[place],
                links[place].address,
                folder.path().join("secret").display(),
                plot.ha,
                name = ["a", "b"][place],
            );
            Node::start_at(&free_port().to_string(), &plans, &settings)
        };
        let nodes = [node(0), node(1)];
        Self {
            nodes,
            receiver,
            links,
            ways,
            witness,
            folder,
            shows_all: plot.shown == "true",
            uncertain: 0,
            _turn: turn,
        }
    }

    /// Where the nodes listen for clients.
    pub fn addresses(&self) -> [SocketAddr; 2] {
        [self.nodes[0].address(), self.nodes[1].address()]
    }

    /// Sends events to both.
    pub fn load(&self, rate: Rate) -> Load {
        Load::start(self.addresses(), "count", rate)
    }

    /// Asks a node that may not be there.
    pub fn try_get(&self, node: usize, path: &str) -> Option<Answer> {
        client::ask_within(self.nodes[node].address(), ANSWER, "GET", path, &[], None).ok()
    }

    /// How a node sees the pair; null if it does not say.
    pub fn view(&self, node: usize) -> Value {
        self.try_get(node, "/api/v1/ha").map_or(Value::Null, |answer| answer.json())
    }

    /// Whether a node acts.
    pub fn acts(&self, node: usize) -> bool {
        let view = self.view(node);
        view["role"] == "active" && view["may_act"] == true
    }

    /// The node that acts; waits for one.
    pub fn active(&self) -> usize {
        self.wait(SOON, "one node acts", || (0..2).find(|node| self.acts(*node)))
    }

    /// The epoch in which a node acts or follows.
    pub fn epoch(&self, node: usize) -> u64 {
        self.view(node)["epoch"].as_u64().unwrap_or(0)
    }

    /// Waits until one node acts and the other could take over; gives the one that acts.
    pub fn wait_in_sync(&self) -> usize {
        self.wait(SOON, "the pair is in sync", || {
            (0..2).find(|node| {
                let view = self.view(*node);
                view["may_act"] == true && view["in_sync"] == true && view["lag_entries"] == 0
            })
        })
    }

    /// Waits until something is so.
    pub fn wait<T>(&self, time: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + time;
        loop {
            if let Some(found) = look() {
                return found;
            }
            if Instant::now() > end {
                panic!("waited {time:?} until {what}; {}", self.tell());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Everything known, for who looks for a fault.
    pub fn tell(&self) -> String {
        let tail = |text: String| {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(40)..].join("\n")
        };
        let node = |node: usize| {
            format!("{node} sees {}\nand says\n{}\n", self.view(node), tail(self.nodes[node].log()))
        };
        format!("{}{}", node(0), node(1))
    }

    /// `kill -9`.
    pub fn kill(&mut self, node: usize) {
        self.uncertain += self.uncertain_at(node, "Plain");
        self.nodes[node].kill();
    }

    /// Starts a node again that was killed.
    pub fn start_again(&mut self, node: usize) {
        self.nodes[node].start_again();
    }

    fn uncertain_at(&self, node: usize, publisher: &str) -> u64 {
        let metrics = self.try_get(node, "/metrics").map_or(String::new(), |answer| answer.text());
        let lines = metrics.lines().filter(|line| line.starts_with("twinflow_results_uncertain"));
        lines
            .filter(|line| line.contains(publisher))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    /// Parcels to the receiver without ids that may have been repeated, as the nodes count them.
    pub fn uncertain(&self) -> u64 {
        self.uncertain + self.uncertain_at(0, "Plain") + self.uncertain_at(1, "Plain")
    }

    /// Parcels to the receiver with ids that it may have got twice, as nodes that were not killed
    /// count them.
    pub fn uncertain_calls(&self) -> u64 {
        self.uncertain_at(0, "Told") + self.uncertain_at(1, "Told")
    }

    /// The network between the nodes: what one says does not reach the other.
    pub fn stall_link(&self, from_a: bool, from_b: bool) {
        self.links[0].stall(from_a, from_b);
        self.links[1].stall(from_b, from_a);
    }

    /// Ends all connections between the nodes; they may dial again.
    pub fn cut_link(&self) {
        self.links.iter().for_each(Proxy::cut);
    }

    /// The network between a node and the arbiter.
    pub fn stall_arbiter(&self, node: usize, stalled: bool) {
        let ways = self.ways.as_ref().expect("the arbiter is no file");
        ways[node].stall(stalled, stalled);
        if !stalled {
            ways[node].cut();
        }
    }

    /// Each thing that nodes and arbiter say to each other takes so long.
    pub fn slow_arbiter(&self, time: Duration) {
        let ways = self.ways.as_ref().expect("the arbiter is no file");
        ways.iter().for_each(|way| way.slow(time));
    }

    /// Kills the witness.
    pub fn kill_witness(&mut self) {
        let witness = self.witness.as_mut().expect("there is a witness");
        witness.process.kill().expect("it is our child");
        witness.process.wait().expect("it is our child");
    }

    /// Starts it again at the same place.
    pub fn start_witness(&mut self) {
        let witness = self.witness.as_mut().expect("there is a witness");
        witness.process = run_witness(&witness.folder, &witness.listen.to_string()).0;
    }

    /// The lines that the receiver without ids has.
    pub fn plain(&self) -> String {
        fs::read_to_string(self.folder.path().join("plain.jsonl")).unwrap_or_default()
    }

    /// The plan that counts, for a change.
    pub fn plan(&self) -> String {
        fs::read_to_string(self.nodes[0].plan_file("count.siddhi")).expect("the plan")
    }

    /// The totals that a node has: events and the number of the last by key.
    pub fn totals(&self, node: usize) -> BTreeMap<u64, (u64, u64)> {
        let path = "/api/v1/plans/count/query";
        let query = json!({ "query": "from Totals select k, events, last" }).to_string();
        let body = Some(query.as_bytes());
        let address = self.nodes[node].address();
        let answer = client::ask_within(address, ANSWER, "POST", path, &[], body);
        let document = answer.map_or(Value::Null, |answer| answer.json());
        let rows = document["rows"].as_array().cloned().unwrap_or_default();
        let number = crate::pair::load::number;
        rows.iter().map(|row| (number(&row[0]), (number(&row[1]), number(&row[2])))).collect()
    }
}

impl Arbiter {
    /// The word for it in `[ha]`, and further sections. Nodes reach it by this way.
    fn settings(self, folder: &Path, way: Option<SocketAddr>) -> (String, String) {
        match (self, way) {
            (Arbiter::Server { settings, port }, Some(way)) => {
                let by = format!(":{}/", way.port());
                let settings = settings.replace(&format!(":{port}/"), &by);
                ("store:arbiter".to_owned(), format!("[stores.arbiter]\n{settings}"))
            }
            (_, Some(way)) => (format!("witness:{way}"), String::new()),
            (_, None) => (format!("sqlite:{}", folder.join("arbiter.db").display()), String::new()),
        }
    }
}

impl Witness {
    fn start(folder: &Path) -> Self {
        let (process, listen) = run_witness(folder, "127.0.0.1:0");
        Self { process, listen, folder: folder.to_owned() }
    }
}

fn run_witness(folder: &Path, listen: &str) -> (Child, SocketAddr) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_twinflow"))
        .args(["witness", "--listen", listen, "--file", "record", "--secret-file", "secret"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program was built with the tests");
    let mut line = String::new();
    let mut said = std::io::BufReader::new(process.stdout.take().expect("it was asked for"));
    std::io::BufRead::read_line(&mut said, &mut line).expect("it says where it listens");
    let listen = line.trim().rsplit(' ').next().and_then(|word| word.parse().ok());
    (process, listen.expect("an address"))
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = (self.process.kill(), self.process.wait());
    }
}
