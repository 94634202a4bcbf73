//! The witness: a small process that keeps the record for a pair, and nothing else.
//!
//! It decides nothing, knows no clock of the pair and calls nobody. A write is on disk before it is
//! answered, so it may be killed and started at any time. It serves one pair: the cluster that asks
//! first is noted in its file. A second process on the same file is refused by a lock.

use crate::ha::arbiter::exchange::Exchange;
use crate::ha::arbiter::exchange::ExchangeError;
use crate::ha::arbiter::lock::LockError;
use crate::ha::arbiter::lock::NodeLock;
use crate::ha::arbiter::random_id;
use crate::ha::arbiter::record_file::Kept;
use crate::ha::arbiter::record_file::RecordFile;
use crate::ha::arbiter::record_file::RecordFileError;
use crate::ha::arbiter::witness::Answer;
use crate::ha::arbiter::witness::Question;
use crate::ha::arbiter::witness::Request;
use crate::ha::protocol::Record;
use crate::ha::secret::Secret;
use crate::ha::tls::Tls;
use std::io;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use tracing::info;
use tracing::warn;

/// Connections served at once; more are closed. A pair needs two, and a few while it reconnects.
const CONNECTIONS_MAX: usize = 32;
/// Who has said nothing good for so long is cut off.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// Nodes ask several times a second; one that says nothing for so long has gone.
const IDLE: Duration = Duration::from_secs(30);
const CLUSTER_BYTES_MAX: usize = 100;

/// A witness that is ready to serve.
#[derive(Debug)]
pub struct Witness {
    listener: TcpListener,
    desk: Arc<Desk>,
    tls: Option<Tls>,
}

/// Why a witness does not start.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// Another one runs, or the lock's file cannot be made.
    #[error("another witness may run on this file: {0}")]
    Lock(#[from] LockError),
    /// The file cannot be used.
    #[error("{0}; a witness never makes a new record in place of one that it cannot read")]
    File(#[from] RecordFileError),
}

impl Witness {
    /// Takes the file, whose folder must exist, and reads what it holds.
    ///
    /// # Errors
    /// Another witness uses the file, or it is damaged.
    pub fn new(
        listener: TcpListener,
        path: &Path,
        secret: Secret,
    ) -> Result<Witness, WitnessError> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".lock");
        let lock = NodeLock::take(Path::new(&beside))?;
        let file = RecordFile::new(path);
        let kept = file.load()?;
        if let Some(Kept { cluster, record }) = &kept {
            info!(cluster, version = record.version.0, "the witness goes on with its record");
        }
        let book = Mutex::new(Book { file, kept });
        let desk = Desk { secret, book, open: AtomicUsize::new(0), _lock: lock };
        Ok(Witness { listener, desk: Arc::new(desk), tls: None })
    }

    /// The same, speaking TLS where it is given.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Witness {
        Witness { tls, ..self }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the process ends.
    pub fn serve(self) {
        match (&self.tls, self.address()) {
            (Some(tls), _) => tls.warn_of_doubt(),
            (None, Ok(listen)) if !listen.ip().is_loopback() => warn!(
                %listen,
                "what travels is not encrypted: only the secret guards it; `--tls-certificate`, \
                 `--tls-key` and `--tls-authority` encrypt it"
            ),
            (None, _) => {}
        }
        loop {
            match self.listener.accept() {
                Ok((stream, from)) => admit(&self.desk, self.tls.clone(), stream, from),
                Err(error) => {
                    // Out of files, as a rule; looking again at once would only burn the processor.
                    warn!(%error, "a connection could not be accepted");
                    thread::sleep(Duration::from_millis(50));
                }
            }
        }
    }
}

fn admit(desk: &Arc<Desk>, tls: Option<Tls>, stream: TcpStream, from: SocketAddr) {
    let place = Place::take(desk);
    let Some(place) = place else {
        warn!(%from, most = CONNECTIONS_MAX, "too many connections; this one is closed");
        return;
    };
    let serve = move || {
        if let Err(error) = place.0.converse(stream, tls.as_ref(), from) {
            // A connection that ends is no news.
            if !matches!(error, ExchangeError::Io(_)) {
                warn!(%from, "a connection was closed: {error}");
            }
        }
    };
    if let Err(error) = thread::Builder::new().name("caller".to_owned()).spawn(serve) {
        warn!(%error, "no thread for a connection; it is closed");
    }
}

/// A connection that is counted until it ends, however it does.
struct Place(Arc<Desk>);

impl Place {
    fn take(desk: &Arc<Desk>) -> Option<Place> {
        let before = desk.open.fetch_add(1, Ordering::AcqRel);
        let place = Place(Arc::clone(desk));
        (before < CONNECTIONS_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What all connections share.
#[derive(Debug)]
struct Desk {
    secret: Secret,
    book: Mutex<Book>,
    open: AtomicUsize,
    _lock: NodeLock,
}

impl Desk {
    fn converse(
        &self,
        stream: TcpStream,
        tls: Option<&Tls>,
        from: SocketAddr,
    ) -> Result<(), ExchangeError> {
        let mut exchange = Exchange::answer(stream, &self.secret, tls, FIRST_WAIT)?;
        let mut greeted = false;
        loop {
            let body = exchange.receive()?;
            let Ok(request) = postcard::from_bytes::<Request>(&body) else {
                return Err(ExchangeError::Stranger);
            };
            if !greeted {
                info!(%from, cluster = request.cluster, "a node is connected");
                greeted = true;
            }
            // A panic while the book was open leaves it as it was before the write.
            let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
            let answer = book.answer(request);
            drop(book);
            exchange.allow(IDLE);
            exchange.send(&postcard::to_stdvec(&answer).expect("a Vec takes everything"))?;
        }
    }
}

/// The record and its file.
#[derive(Debug)]
struct Book {
    file: RecordFile,
    kept: Option<Kept>,
}

impl Book {
    fn answer(&mut self, request: Request) -> Answer {
        if request.cluster.len() > CLUSTER_BYTES_MAX {
            return Answer::Broken("the cluster's name is too long".to_owned());
        }
        let kept = match &self.kept {
            Some(kept) => kept.clone(),
            None => match self.begin(&request) {
                Ok(kept) => kept,
                Err(error) => return Answer::Broken(format!("it cannot make a record: {error}")),
            },
        };
        if kept.cluster != request.cluster {
            return Answer::Foreign(kept.cluster);
        }
        match request.question {
            Question::Read => Answer::Read(kept.record),
            Question::Write { expected, proposed } => {
                let mut next = kept;
                if !next.record.compare_and_set(expected, &proposed) {
                    return Answer::Lost(next.record);
                }
                match self.file.store(&next) {
                    Ok(()) => {
                        self.kept = Some(next.clone());
                        Answer::Won(next.record)
                    }
                    Err(error) => {
                        warn!(%error, "the record cannot be written");
                        Answer::Broken(format!("it cannot write its file: {error}"))
                    }
                }
            }
        }
    }

    fn begin(&mut self, request: &Request) -> io::Result<Kept> {
        let record = Record::virgin(random_id()?, request.lease);
        let kept = Kept { cluster: request.cluster.clone(), record };
        self.file.store(&kept)?;
        info!(cluster = kept.cluster, id = %kept.record.arbiter, "the witness made a record");
        self.kept = Some(kept.clone());
        Ok(kept)
    }
}
