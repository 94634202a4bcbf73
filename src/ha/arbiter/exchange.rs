//! How a node and a witness talk: each message with a code that only who knows the secret can
//! make.
//!
//! Both draw a chance and send it in clear; from secret and chances both make the key of this
//! conversation. Every message carries a code over its direction, its number and its bytes, so that
//! none can be made, changed, repeated or left out by a third. The first good message proves that
//! the other knows the secret; no proof is given to who has not proved anything, but by the caller,
//! who speaks first.

use crate::ha::secret::Nonce;
use crate::ha::secret::Proof;
use crate::ha::secret::Secret;
use crate::ha::secret::nonce;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

/// Spoken by this build.
const VERSION: u16 = 1;
const MAGIC: &[u8; 4] = b"TWWT";
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
    Io(#[from] io::Error),
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
    /// More than is ever needed.
    #[error("a message of {0} bytes is too long")]
    Long(u32),
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
    stream: TcpStream,
    key: Secret,
    me: Side,
    sent: u64,
    received: u64,
    /// When the step under way has to be done.
    until: Instant,
}

impl Exchange {
    /// Begins as the node, who called.
    ///
    /// # Errors
    /// The other is silent for longer than `wait`, is no witness, or speaks another version.
    pub fn call(stream: TcpStream, secret: &Secret, wait: Duration) -> Result<Self, ExchangeError> {
        Exchange::open(stream, secret, Side::Node, wait)
    }

    /// Begins as the witness, who was called.
    ///
    /// # Errors
    /// As for a call.
    pub fn answer(
        stream: TcpStream,
        secret: &Secret,
        wait: Duration,
    ) -> Result<Self, ExchangeError> {
        Exchange::open(stream, secret, Side::Witness, wait)
    }

    fn open(
        stream: TcpStream,
        secret: &Secret,
        me: Side,
        wait: Duration,
    ) -> Result<Self, ExchangeError> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(wait))?;
        let until = Instant::now() + wait;
        let mine = nonce()?;
        let key = secret.clone();
        let mut exchange = Exchange { stream, key, me, sent: 0, received: 0, until };
        let mut opening = [0; OPENING_BYTES];
        opening[..4].copy_from_slice(MAGIC);
        opening[4..6].copy_from_slice(&VERSION.to_le_bytes());
        opening[6..].copy_from_slice(&mine);
        // The node speaks first, so that whoever only listens learns nothing of a witness.
        if me == Side::Node {
            exchange.stream.write_all(&opening)?;
        }
        let mut theirs = [0; OPENING_BYTES];
        exchange.fill(&mut theirs)?;
        if me == Side::Witness {
            exchange.stream.write_all(&opening)?;
        }
        let (magic, rest) = theirs.split_first_chunk::<4>().expect("longer than that");
        let (version, theirs) = rest.split_first_chunk::<2>().expect("longer than that");
        let version = u16::from_le_bytes(*version);
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
        self.until = Instant::now() + wait;
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
        Ok(self.stream.write_all(&bytes)?)
    }

    /// Waits for a message.
    ///
    /// # Errors
    /// The connection broke or was silent for too long, or the message is not from who knows the
    /// secret. The conversation is over then.
    pub fn receive(&mut self) -> Result<Vec<u8>, ExchangeError> {
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length == REFUSED {
            return Err(ExchangeError::Secret);
        }
        if length > if self.received == 0 { FIRST_BYTES_MAX } else { MESSAGE_BYTES_MAX } {
            return Err(ExchangeError::Long(length));
        }
        let mut proof: Proof = [0; 32];
        self.fill(&mut proof)?;
        let mut body = vec![0; length as usize];
        self.fill(&mut body)?;
        let other = if self.me == Side::Node { Side::Witness } else { Side::Node };
        let number = self.received.to_le_bytes();
        if !self.key.proves(other.label(), &[&number, &body], &proof) {
            // So that the other can say why, too; it need not arrive.
            let _ = self.stream.write_all(&REFUSED.to_le_bytes());
            return Err(ExchangeError::Secret);
        }
        self.received += 1;
        Ok(body)
    }

    /// Reads until the buffer is full; the whole of it within the time allowed, however slowly the
    /// bytes drip.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(&mut buffer[filled..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}
