//! How two peers make sure of each other before anything else is said.
//!
//! ```text
//! who dialled                            who was dialled
//!   Hello ──────────────────────────────►
//!         ◄────────────────────────────── Hello
//!   Proof ──────────────────────────────►            over both greetings
//!         ◄────────────────────────────── Proof      likewise, of another kind
//!            Settled, from node A to node B
//! ```
//!
//! Both greetings hold a chance drawn anew, so no proof is good twice; the two proofs are of
//! different kinds, so none can be sent back to who made it. Who was dialled proves nothing before
//! the other has. Whatever is wrong is said by both ends, with both sides' words.
//!
//! Both nodes may dial, and both connections may come about. Node A decides: it numbers them, and
//! the highest number is the one.

use crate::ha::link::Identity;
use crate::ha::link::Window;
use crate::ha::link::frame;
use crate::ha::link::frame::FrameError;
use crate::ha::link::frame::HEAD_BYTES;
use crate::ha::link::frame::Head;
use crate::ha::link::frame::Kind;
use crate::ha::link::freight::from_bytes;
use crate::ha::link::freight::to_bytes;
use crate::ha::link::wire;
use crate::ha::link::wire::Wire;
use crate::ha::protocol::Incarnation;
use crate::ha::protocol::NodeId;
use crate::ha::secret;
use crate::ha::secret::Nonce;
use crate::ha::secret::Secret;
use crate::ha::tls;
use crate::ha::tls::Fault;
use serde::Deserialize;
use serde::Serialize;
use std::io;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

/// Version of the conversation; the frames have one of their own. It is raised for all that the
/// nodes have to agree in, also for what an entry may hold, and how the fingerprint of a state is
/// made: else two programs would take each other's states for faults.
const VERSION: u16 = 4;
/// So long the end is waited for of who was refused.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// Who opened the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Dialled,
    Accepted,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    /// First, so that it is read also where the rest is unknown.
    version: u16,
    pub cluster: String,
    pub name: String,
    pub node: NodeId,
    pub incarnation: Incarnation,
    pub windows: [Window; 2],
    nonce: Nonce,
}

/// Why the peers do not talk. Of the two names the first is always this node's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// One of them is older.
    #[error("this node speaks version {ours} of the link, the peer {theirs}; run the same build")]
    Version {
        /// This node's.
        ours: u16,
        /// The peer's.
        theirs: u16,
    },
    /// Two pairs have been mixed up.
    #[error(
        "this node belongs to the cluster `{ours}`, the peer to `{theirs}`; `ha.peer` names the \
         wrong node, or `ha.cluster` differs"
    )]
    Cluster {
        /// This node's.
        ours: String,
        /// The peer's.
        theirs: String,
    },
    /// A node talks to itself, or a file was copied.
    #[error("both nodes are called `{0}`; give each its own `node.name`")]
    SameName(String),
    /// A file was copied.
    #[error(
        "both nodes are node {0} of the pair; `ha.node` must be \"a\" at one and \"b\" at the other"
    )]
    SameNode(NodeId),
    /// A node was started anew while its old process lives.
    #[error("the peer's life {theirs} is older than {known}, which was heard before")]
    OldLife {
        /// Of who wants to talk now.
        theirs: Incarnation,
        /// The newest heard.
        known: Incarnation,
    },
    /// It is not this pair's node, or a file was changed at one only.
    #[error("the peer does not know the same secret; compare `ha.secret_file` of both nodes")]
    Secret,
    /// The settings of one node say nothing of TLS.
    #[error(
        "this node speaks TLS, the peer does not; give `ha.tls_certificate`, `ha.tls_key` and \
         `ha.tls_authority` at both nodes, or at none"
    )]
    PeerPlain,
    /// The settings of one node say nothing of TLS.
    #[error(
        "the peer speaks TLS, this node does not; give `ha.tls_certificate`, `ha.tls_key` and \
         `ha.tls_authority` at both nodes, or at none"
    )]
    PeerTls,
    /// It is not this pair's node, or its files want renewing.
    #[error(
        "the peer's certificate is not taken: {0}; look at `ha.tls_authority` here and at \
         `ha.tls_certificate` there"
    )]
    Certificate(String),
    /// This node's files want renewing, or the peer's authority is another.
    #[error(
        "the peer does not take this node's certificate: {0}; look at `ha.tls_certificate` here \
         and at `ha.tls_authority` there"
    )]
    OwnCertificate(String),
}

/// Why a greeting came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum GreetingError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error("the peer refused: {0}")]
    RefusedByPeer(String),
    #[error("a frame out of turn")]
    OutOfTurn,
}

impl GreetingError {
    /// In words of the pair's settings, where TLS has found something wrong.
    pub(super) fn explained(self) -> GreetingError {
        let GreetingError::Io(error) = &self else { return self };
        match tls::fault(error) {
            None => self,
            Some(Fault::Theirs(why)) => Refusal::Certificate(why).into(),
            Some(Fault::Mine(why)) => Refusal::OwnCertificate(why).into(),
            Some(Fault::Plain) => Refusal::PeerPlain.into(),
        }
    }
}

/// Greets; both know of each other that they know the secret afterwards.
pub(super) async fn greet(
    stream: &mut Wire,
    origin: Origin,
    me: &Identity,
    secret: &Secret,
    newest: Option<Incarnation>,
) -> Result<Hello, GreetingError> {
    let mine = to_bytes(&Hello {
        version: VERSION,
        cluster: me.cluster.clone(),
        name: me.name.clone(),
        node: me.node,
        incarnation: me.incarnation,
        windows: me.windows,
        nonce: secret::nonce()?,
    });
    if origin == Origin::Dialled {
        write(stream, Kind::Hello, &mine).await?;
    }
    let theirs = hear_hello(stream).await?;
    if origin == Origin::Accepted {
        // Also to who will be refused, so that both can tell what differs.
        write(stream, Kind::Hello, &mine).await?;
    }
    let hello = match look(&theirs, me, newest) {
        Ok(hello) => hello,
        Err(error) => return Err(refuse(stream, error).await),
    };
    let (dialler, acceptor) = match origin {
        Origin::Dialled => (&mine, &theirs),
        Origin::Accepted => (&theirs, &mine),
    };
    let prove = |label| secret.prove(label, &[dialler, acceptor]);
    let (my_label, their_label) = match origin {
        Origin::Dialled => ("link, who dialled", "link, who was dialled"),
        Origin::Accepted => ("link, who was dialled", "link, who dialled"),
    };
    if origin == Origin::Dialled {
        write(stream, Kind::Proof, &prove(my_label)).await?;
    }
    let proof = read(stream, Kind::Proof).await?;
    if !secret.proves(their_label, &[dialler, acceptor], &proof) {
        return Err(refuse(stream, Refusal::Secret.into()).await);
    }
    if origin == Origin::Accepted {
        write(stream, Kind::Proof, &prove(my_label)).await?;
    }
    Ok(hello)
}

/// Waits for the other's greeting, whatever it says.
pub(super) async fn hear_hello(stream: &mut Wire) -> Result<Vec<u8>, GreetingError> {
    read(stream, Kind::Hello).await
}

/// Tells node B that this connection is the one.
pub(super) async fn settle(stream: &mut Wire, number: u64) -> Result<(), GreetingError> {
    write(stream, Kind::Settled, &number.to_le_bytes()).await
}

/// Waits for node A to say that this connection is the one.
pub(super) async fn settled(stream: &mut Wire) -> Result<u64, GreetingError> {
    let body = read(stream, Kind::Settled).await?;
    let number = body.try_into().map_err(|_| GreetingError::OutOfTurn)?;
    Ok(u64::from_le_bytes(number))
}

fn look(bytes: &[u8], me: &Identity, newest: Option<Incarnation>) -> Result<Hello, GreetingError> {
    // Later versions may say more or other things after the number.
    let version = postcard::take_from_bytes::<u16>(bytes).map_err(|_| GreetingError::OutOfTurn)?.0;
    if version != VERSION {
        return Err(Refusal::Version { ours: VERSION, theirs: version }.into());
    }
    let hello: Hello = from_bytes(bytes)?;
    if hello.cluster != me.cluster {
        let (ours, theirs) = (me.cluster.clone(), hello.cluster);
        return Err(Refusal::Cluster { ours, theirs }.into());
    }
    if hello.name == me.name {
        return Err(Refusal::SameName(hello.name).into());
    }
    if hello.node == me.node {
        return Err(Refusal::SameNode(hello.node).into());
    }
    if let Some(known) = newest.filter(|known| hello.incarnation < *known) {
        return Err(Refusal::OldLife { theirs: hello.incarnation, known }.into());
    }
    Ok(hello)
}

/// Tells the peer why, as far as it still listens. The words are as the peer would say them.
pub(super) async fn refuse(stream: &mut Wire, error: GreetingError) -> GreetingError {
    let said = match &error {
        GreetingError::Refused(Refusal::OldLife { .. }) => "a later life of this node was heard",
        GreetingError::Refused(Refusal::Secret) => {
            "the secrets differ; compare `ha.secret_file` of both nodes"
        }
        GreetingError::Refused(Refusal::Version { .. }) => "the versions differ",
        GreetingError::Refused(Refusal::Cluster { .. }) => "the clusters differ",
        GreetingError::Refused(Refusal::PeerPlain) => {
            "it speaks TLS, this node does not; see `ha.tls_certificate` of both nodes"
        }
        GreetingError::Refused(Refusal::PeerTls) => "it does not speak TLS, this node does",
        GreetingError::Refused(_) => "the nodes have the same name or place",
        _ => "what was said is malformed",
    };
    if write(stream, Kind::Refused, said.as_bytes()).await.is_ok() {
        // Closing with something unread would take back what was just said.
        wire::linger(stream).await;
    }
    error
}

async fn write(stream: &mut Wire, kind: Kind, body: &[u8]) -> Result<(), GreetingError> {
    let frame = frame::encode(kind, &[body])?;
    stream.write_all(&frame).await?;
    Ok(stream.flush().await?)
}

async fn read(stream: &mut Wire, expected: Kind) -> Result<Vec<u8>, GreetingError> {
    let mut head = [0; HEAD_BYTES];
    stream.read_exact(&mut head).await?;
    if expected == Kind::Hello && tls::is_tls(&head) {
        return Err(refuse(stream, Refusal::PeerTls.into()).await);
    }
    let head = Head::decode(&head)?;
    let greeting = matches!(head.kind, Kind::Hello | Kind::Proof | Kind::Refused | Kind::Settled);
    if !greeting {
        return Err(GreetingError::OutOfTurn);
    }
    let mut body = vec![0; head.length];
    stream.read_exact(&mut body).await?;
    head.check(&body)?;
    match head.kind {
        kind if kind == expected => Ok(body),
        Kind::Refused => {
            // Shown in the log: nothing but plain text, and not much.
            let text = String::from_utf8_lossy(&body);
            let plain = text.chars().filter(|c| !c.is_control()).take(200).collect();
            Err(GreetingError::RefusedByPeer(plain))
        }
        _ => Err(GreetingError::OutOfTurn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ann() -> Identity {
        Identity {
            cluster: "gate".to_owned(),
            name: "ann".to_owned(),
            node: NodeId::A,
            incarnation: Incarnation(5),
            windows: [Window::default(); 2],
        }
    }

    fn bob(cluster: &str) -> Hello {
        Hello {
            version: VERSION,
            cluster: cluster.to_owned(),
            name: "bob".to_owned(),
            node: NodeId::B,
            incarnation: Incarnation(6),
            windows: [Window { bytes: 300, events: 2 }; 2],
            nonce: [7; 32],
        }
    }

    #[test]
    fn the_form_is_that_of_the_sample() {
        let hex: String = to_bytes(&bob("gate")).iter().map(|b| format!("{b:02x}")).collect();
        let nonce = "07".repeat(32);
        assert_eq!(hex, format!("04046761746503626f620106ac0202ac0202{nonce}"));
    }

    #[test]
    fn an_older_life_is_refused_and_the_same_is_not() {
        let bytes = to_bytes(&bob("gate"));
        let known = |life| look(&bytes, &ann(), Some(Incarnation(life)));
        assert!(matches!(known(7), Err(GreetingError::Refused(Refusal::OldLife { .. }))));
        assert_eq!(known(6).unwrap(), bob("gate"));
        let cut = look(&bytes[..bytes.len() - 1], &ann(), None);
        assert!(matches!(cut, Err(GreetingError::Frame(FrameError::Body(_)))), "{cut:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_096, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
            at in any::<prop::sample::Index>(), to in any::<u8>(),
        ) {
            // The outcome does not matter, only that there is one.
            let _ = look(&bytes, &ann(), None);
            let mut hello = to_bytes(&bob("gate"));
            let at = at.index(hello.len());
            hello[at] = to;
            if let Ok(read) = look(&hello, &ann(), None) {
                prop_assert_eq!(&read.cluster, "gate");
                prop_assert!(read.name != "ann" && read.node == NodeId::B);
            }
        }
    }
}
