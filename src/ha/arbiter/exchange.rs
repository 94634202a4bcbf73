//! How a node and a witness talk: each message with a code that only who knows the secret can
//! make.
//!
//! Both draw a chance and send it in clear; from secret and chances both make the key of this
//! conversation. Every message carries a code over its direction, its number and its bytes, so that
//! none can be made, changed, repeated or left out by a third. The first good message proves that
//! the other knows the secret; no proof is given to who has not proved anything, but by the caller,
//! who speaks first. All that can be spoken over TLS, which hides what is said as well.

use crate::ha::arbiter::wire::Timed;
use crate::ha::arbiter::wire::Wire;
use crate::ha::secret::Nonce;
use crate::ha::secret::Proof;
use crate::ha::secret::Secret;
use crate::ha::secret::nonce;
use crate::ha::tls;
use crate::ha::tls::Fault;
use crate::ha::tls::Tls;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;
use tokio_rustls::rustls::ClientConnection;
use tokio_rustls::rustls::ServerConnection;
use tokio_rustls::rustls::StreamOwned;
use tokio_rustls::rustls::pki_types::ServerName;

/// Spoken by this build.
const VERSION: u16 = 1;
const MAGIC: &[u8; 4] = b"TWWT";
/// Said by a witness with TLS to who comes without, in place of an opening.
const MAGIC_TLS: &[u8; 4] = b"TWTL";
const OPENING_BYTES: usize = 4 + 2 + 32;
/// A message is a record and a few words; plans are named by number.
const MESSAGE_BYTES_MAX: u32 = 1 << 20;
/// Who has not proved anything may not make us hold more than this.
const FIRST_BYTES_MAX: u32 = 64 << 10;
/// In the place of a length: "we do not know the same secret".
const REFUSED: u32 = u32::MAX;

/// Why a conversation ended.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The connection broke, was silent for too long, or could not be made.
    #[error("{0}")]
    Io(io::Error),
    /// It is no witness, or no node.
    #[error("what answers there does not speak this protocol")]
    Stranger,
    /// One of the two is older.
    #[error("it speaks version {theirs} of the protocol, this one {VERSION}; run the same build")]
    Version {
        /// The other's.
        theirs: u16,
    },
    /// The code does not fit.
    #[error("it does not know the same secret")]
    Secret,
    /// Only this process speaks TLS.
    #[error("it does not speak TLS, this process does; give certificates to both or to none")]
    OtherPlain,
    /// Only the other speaks TLS.
    #[error("it speaks TLS, this process does not; give certificates to both or to none")]
    OtherTls,
    /// The other's certificate is not good.
    #[error("its certificate is not taken: {0}; compare the authorities of node and witness")]
    Certificate(String),
    /// The other does not take this process's certificate.
    #[error("it does not take the certificate of this process: {0}")]
    OwnCertificate(String),
    /// More than is ever needed.
    #[error("a message of {0} bytes is too long")]
    Long(u32),
}

impl From<io::Error> for ExchangeError {
    fn from(error: io::Error) -> Self {
        match tls::fault(&error) {
            None => ExchangeError::Io(error),
            Some(Fault::Theirs(why)) => ExchangeError::Certificate(why),
            Some(Fault::Mine(why)) => ExchangeError::OwnCertificate(why),
            Some(Fault::Plain) => ExchangeError::OtherPlain,
        }
    }
}

/// Who speaks in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Node,
    Witness,
}

impl Side {
    fn label(self) -> &'static str {
        match self {
            Side::Node => "node to witness",
            Side::Witness => "witness to node",
        }
    }
}

/// A conversation over one connection.
#[derive(Debug)]
pub struct Exchange {
    stream: Wire,
    key: Secret,
    me: Side,
    sent: u64,
    received: u64,
}

impl Exchange {
    /// Begins as the node, who called; with TLS also by the name that was called.
    ///
    /// # Errors
    /// The other is silent for longer than `wait`, is no witness, or speaks another version; one of
    /// the two does not speak TLS, or does not take the other's certificate.
    pub fn call(
        stream: TcpStream,
        secret: &Secret,
        tls: Option<(&Tls, ServerName<'static>)>,
        wait: Duration,
    ) -> Result<Self, ExchangeError> {
        let mut timed = Timed::new(stream, wait)?;
        let wire = match tls {
            None => Wire::Plain(timed),
            Some((tls, name)) => {
                let connection = ClientConnection::new(tls.client(), name);
                let mut connection = connection.map_err(io::Error::other)?;
                while connection.is_handshaking() {
                    connection.complete_io(&mut timed)?;
                }
                Wire::Node(Box::new(StreamOwned::new(connection, timed)))
            }
        };
        Exchange::open(wire, secret, Side::Node)
    }

    /// Begins as the witness, who was called.
    ///
    /// # Errors
    /// As for a call.
    pub fn answer(
        stream: TcpStream,
        secret: &Secret,
        tls: Option<&Tls>,
        wait: Duration,
    ) -> Result<Self, ExchangeError> {
        let mut timed = Timed::new(stream, wait)?;
        let Some(tls) = tls else {
            return Exchange::open(Wire::Plain(timed), secret, Side::Witness);
        };
        let mut first = [0; 2];
        let count = timed.peek(&mut first)?;
        if !tls::is_tls(&first[..count]) {
            let mut theirs = [0; OPENING_BYTES];
            timed.read_exact(&mut theirs)?;
            if !theirs.starts_with(MAGIC) {
                return Err(ExchangeError::Stranger);
            }
            theirs[..4].copy_from_slice(MAGIC_TLS);
            timed.write_all(&theirs)?;
            return Err(ExchangeError::OtherPlain);
        }
        let connection = ServerConnection::new(tls.server()).map_err(io::Error::other);
        let mut connection = connection?;
        while connection.is_handshaking() {
            if let Err(error) = connection.complete_io(&mut timed) {
                timed.linger();
                return Err(error.into());
            }
        }
        let wire = Wire::Witness(Box::new(StreamOwned::new(connection, timed)));
        Exchange::open(wire, secret, Side::Witness)
    }

    fn open(stream: Wire, secret: &Secret, me: Side) -> Result<Self, ExchangeError> {
        let mine = nonce()?;
        let key = secret.clone();
        let mut exchange = Exchange { stream, key, me, sent: 0, received: 0 };
        let mut opening = [0; OPENING_BYTES];
        opening[..4].copy_from_slice(MAGIC);
        opening[4..6].copy_from_slice(&VERSION.to_le_bytes());
        opening[6..].copy_from_slice(&mine);
        // The node speaks first, so that whoever only listens learns nothing of a witness.
        if me == Side::Node {
            exchange.say(&opening)?;
        }
        let mut theirs = [0; OPENING_BYTES];
        exchange.stream.read_exact(&mut theirs)?;
        if me == Side::Witness {
            exchange.say(&opening)?;
        }
        let (magic, rest) = theirs.split_first_chunk::<4>().expect("longer than that");
        let (version, theirs) = rest.split_first_chunk::<2>().expect("longer than that");
        let version = u16::from_le_bytes(*version);
        if magic == MAGIC_TLS || tls::is_tls(magic) {
            exchange.stream.linger();
            return Err(ExchangeError::OtherTls);
        }
        if magic != MAGIC {
            return Err(ExchangeError::Stranger);
        }
        if version != VERSION {
            return Err(ExchangeError::Version { theirs: version });
        }
        let theirs: Nonce = theirs.try_into().expect("what is left of an opening");
        let (node, witness) = match me {
            Side::Node => (mine, theirs),
            Side::Witness => (theirs, mine),
        };
        exchange.key = secret.derive("conversation with a witness", &[&node, &witness]);
        Ok(exchange)
    }

    /// Gives the next step so much time from now.
    pub fn allow(&mut self, wait: Duration) {
        self.stream.allow(wait);
    }

    /// Sends a message.
    ///
    /// # Errors
    /// It is too long, or the connection broke.
    pub fn send(&mut self, body: &[u8]) -> Result<(), ExchangeError> {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX - 1);
        if length > MESSAGE_BYTES_MAX {
            return Err(ExchangeError::Long(length));
        }
        let proof = self.key.prove(self.me.label(), &[&self.sent.to_le_bytes(), body]);
        self.sent += 1;
        // In one write, hence as a rule in one packet.
        let mut bytes = Vec::with_capacity(4 + proof.len() + body.len());
        bytes.extend(length.to_le_bytes());
        bytes.extend(proof);
        bytes.extend(body);
        Ok(self.say(&bytes)?)
    }

    /// Waits for a message.
    ///
    /// # Errors
    /// The connection broke or was silent for too long, or the message is not from who knows the
    /// secret. The conversation is over then.
    pub fn receive(&mut self) -> Result<Vec<u8>, ExchangeError> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length == REFUSED {
            return Err(ExchangeError::Secret);
        }
        if length > if self.received == 0 { FIRST_BYTES_MAX } else { MESSAGE_BYTES_MAX } {
            return Err(ExchangeError::Long(length));
        }
        let mut proof: Proof = [0; 32];
        self.stream.read_exact(&mut proof)?;
        let mut body = vec![0; length as usize];
        self.stream.read_exact(&mut body)?;
        let other = if self.me == Side::Node { Side::Witness } else { Side::Node };
        let number = self.received.to_le_bytes();
        if !self.key.proves(other.label(), &[&number, &body], &proof) {
            // So that the other can say why, too; it need not arrive.
            let _ = self.say(&REFUSED.to_le_bytes());
            return Err(ExchangeError::Secret);
        }
        self.received += 1;
        Ok(body)
    }

    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }
}
