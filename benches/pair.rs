//! Two nodes as a pair of processes, for benches.

use std::fs;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::time::Duration;

use tempfile::TempDir;

use crate::node::Node;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Two nodes; dropping it kills them.
pub struct Pair {
    pub nodes: [Node; 2],
    _folder: TempDir,
}

impl Pair {
    /// Starts both with a plan file and settings, and waits until one acts and the other is in
    /// sync; gives the one that acts.
    pub fn start(name: &str, plan: &str, settings: &str) -> (Pair, usize) {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("secret"), "the secret of this bench").expect("a file");
        let links = [free_port(), free_port()];
        let node = |place: usize| {
            let text = format!(
                "{settings}[node]\nname = 'node-{place}'\n[ha]\nenabled = true\nnode = '{place}'\n\
                 listen = '{}'\npeer = '{}'\nsecret_file = '{}'\narbiter = 'sqlite:{}'\n",
                links[place],
                links[1 - place],
                folder.path().join("secret").display(),
                folder.path().join("arbiter.db").display(),
                place = ["a", "b"][place],
            );
            Node::start_at(&free_port().to_string(), &[(name, plan)], &text)
        };
        let pair = Pair { nodes: [node(0), node(1)], _folder: folder };
        let active = pair.wait_in_sync();
        (pair, active)
    }

    /// Waits until one node acts and the other could take over; gives the one that acts.
    pub fn wait_in_sync(&self) -> usize {
        self.nodes[0].wait(PATIENCE, "the pair is in sync", || {
            (0..2).find(|place| {
                let view = self.nodes[*place].get("/api/v1/ha").json();
                view["may_act"] == true && view["in_sync"] == true && view["lag_entries"] == 0
            })
        })
    }
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port")
}
