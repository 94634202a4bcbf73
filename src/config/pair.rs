//! The settings of the pair, checked.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Per cent of lease and grant that their user does not count: above the worst difference of the
/// rates of the two machines' clocks.
pub const MARGIN_PERCENT: u32 = 20;

/// The pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// Whether this node is one of two.
    pub enabled: bool,
    /// The name of the pair, equal at both nodes.
    pub cluster: String,
    /// Which of the two this node is.
    pub node: Place,
    /// Where this node listens for the other.
    pub listen: SocketAddr,
    /// Where the other listens, as `host:port`; empty only where the pair is not enabled.
    pub peer: String,
    /// What both nodes and the witness know.
    pub secret: SecretFrom,
    /// By which the processes of the pair speak TLS; `None` where they do not.
    pub tls: Option<TlsFiles>,
    /// Where the record lies.
    pub arbiter: ArbiterAt,
    /// When senders are answered.
    pub ack: Ack,
    /// The full lease.
    pub lease: Duration,
    /// The full grant.
    pub grant: Duration,
    /// Between two renewals of the lease.
    pub renew: Duration,
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// Between two looks of the passive at the arbiter.
    pub poll: Duration,
    /// The active's silence after which the passive looks at once.
    pub silence: Duration,
    /// The passive's silence after which the active goes on alone.
    pub patience: Duration,
    /// How long an answer of the arbiter is waited for.
    pub answer: Duration,
    /// How long a planned switch may take.
    pub switch: Duration,
    /// Between two attempts to bring a passive up to date.
    pub resync: Duration,
    /// The longest pause before the peer is dialled again.
    pub reconnect: Duration,
    /// The peer's silence after which the connection is given up.
    pub idle: Duration,
    /// Events from the active that may wait here.
    pub receiver_queue_events: usize,
    /// Bytes of them.
    pub receiver_queue_bytes: usize,
    /// Results that the passive holds for each publisher.
    pub publisher_queue_events: usize,
    /// Bytes of them.
    pub publisher_queue_bytes: usize,
}

/// What has to be true of events before their sender is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// They are numbered in the active's memory.
    Memory,
    /// They are on the active's disk.
    Disk,
    /// They are in the journals of both nodes or, while there is only one, on its disk.
    Peer,
    /// They are on the disks of both.
    PeerDisk,
}

/// Which of the two nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The one.
    A,
    /// The other.
    B,
}

/// Where the record of the pair lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArbiterAt {
    /// Nowhere: nothing is promoted without a word of the operator.
    Nowhere,
    /// In a file of SQLite; both nodes are on one machine.
    Sqlite(PathBuf),
    /// At a witness, `host:port`.
    Witness(String),
    /// In a store of the settings, at a server.
    Store(String),
}

/// Where the secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretFrom {
    /// There is none; only where the pair is not enabled.
    Nowhere,
    /// It stands in the settings.
    Here(Hidden),
    /// It is all that this file holds.
    File(PathBuf),
}

/// The PEM files of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// This process's certificate, then those between it and the authority.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// The certificates of who signs those of all processes of the pair.
    pub authority: PathBuf,
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// Hides a text.
    pub(super) fn new(text: String) -> Hidden {
        Hidden(text)
    }

    /// The text, for who needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Hidden(…)")
    }
}
