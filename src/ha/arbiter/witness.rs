//! The record at a witness, as a node sees it: one connection, opened when it is needed.

use crate::ha::arbiter::ArbiterError;
use crate::ha::arbiter::Pair;
use crate::ha::arbiter::RecordStore;
use crate::ha::arbiter::Written;
use crate::ha::arbiter::exchange::Exchange;
use crate::ha::arbiter::exchange::ExchangeError;
use crate::ha::arbiter::unreachable;
use crate::ha::protocol::Record;
use crate::ha::protocol::Version;
use crate::ha::secret::Secret;
use crate::ha::tls;
use crate::ha::tls::Tls;
use serde::Deserialize;
use serde::Serialize;
use std::io;
use std::net::TcpStream;
use std::net::ToSocketAddrs;
use std::time::Duration;

/// What a node asks a witness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    /// Whose record it is.
    pub cluster: String,
    /// For a record that is made anew, in milliseconds.
    pub lease: u64,
    /// The question.
    pub question: Question,
}

/// A question to a witness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Question {
    Read,
    Write { expected: Version, proposed: Record },
}

/// What a witness answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    Read(Record),
    Won(Record),
    Lost(Record),
    /// It keeps the record of this cluster.
    Foreign(String),
    /// It cannot say or cannot keep it.
    Broken(String),
}

/// The record at a witness.
#[derive(Debug)]
pub struct WitnessStore {
    address: String,
    secret: Secret,
    tls: Option<Tls>,
    pair: Pair,
    wait: Duration,
    exchange: Option<Exchange>,
}

impl WitnessStore {
    /// A store at this address (`host:port`); nothing is opened yet. `wait` is how long an answer
    /// is waited for, connecting included.
    pub fn new(address: &str, secret: Secret, pair: Pair, wait: Duration) -> WitnessStore {
        let address = address.to_owned();
        WitnessStore { address, secret, tls: None, pair, wait, exchange: None }
    }

    /// The same, speaking TLS where it is given; the witness's certificate has to be for the host
    /// of its address.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> WitnessStore {
        WitnessStore { tls, ..self }
    }

    fn ask(&mut self, question: Question) -> Result<Answer, ArbiterError> {
        let cluster = self.pair.cluster.clone();
        let request = Request { cluster, lease: self.pair.lease, question };
        let bytes = postcard::to_stdvec(&request).expect("a Vec takes everything");
        // A connection that lay still may have been closed meanwhile; one try with a new one then.
        // Not so for a write: it may have been taken, and taking it twice would look like a loss.
        let again = self.exchange.is_some() && request.question == Question::Read;
        let mut said = self.say(&bytes);
        if again && matches!(said, Err(ExchangeError::Io(_))) {
            said = self.say(&bytes);
        }
        match said {
            Ok(body) => match postcard::from_bytes(&body) {
                Ok(Answer::Foreign(theirs)) => {
                    let ours = request.cluster;
                    Err(ArbiterError::Foreign { place: self.place(), theirs, ours })
                }
                Ok(Answer::Broken(reason)) => Err(unreachable(&self.place(), reason)),
                Ok(answer) => Ok(answer),
                Err(error) => Err(unreachable(&self.place(), error)),
            },
            Err(ExchangeError::Secret) => Err(ArbiterError::Secret { place: self.place() }),
            Err(error) => Err(unreachable(&self.place(), error)),
        }
    }

    /// One question and its answer. After any fault the connection is dropped, so that a late
    /// answer is never taken for that to a later question.
    fn say(&mut self, bytes: &[u8]) -> Result<Vec<u8>, ExchangeError> {
        let mut exchange = match self.exchange.take() {
            Some(exchange) => exchange,
            None => {
                let host = |tls| {
                    Ok::<_, io::Error>((tls, tls::host(&self.address).map_err(io::Error::other)?))
                };
                let tls = self.tls.as_ref().map(host).transpose()?;
                Exchange::call(self.connect()?, &self.secret, tls, self.wait)?
            }
        };
        exchange.allow(self.wait);
        exchange.send(bytes)?;
        let body = exchange.receive()?;
        self.exchange = Some(exchange);
        Ok(body)
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in self.address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, self.wait) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl RecordStore for WitnessStore {
    fn read(&mut self) -> Result<Record, ArbiterError> {
        match self.ask(Question::Read)? {
            Answer::Read(record) => Ok(record),
            other => Err(unreachable(&self.place(), format!("it answered {other:?} to a read"))),
        }
    }

    fn write(&mut self, expected: Version, proposed: &Record) -> Result<Written, ArbiterError> {
        match self.ask(Question::Write { expected, proposed: proposed.clone() })? {
            Answer::Won(record) => Ok(Written::Won(record)),
            Answer::Lost(record) => Ok(Written::Lost(record)),
            other => Err(unreachable(&self.place(), format!("it answered {other:?} to a write"))),
        }
    }

    fn place(&self) -> String {
        format!("witness:{}", self.address)
    }
}
