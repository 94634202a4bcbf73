//! Snapshots on their way between the nodes, on threads that may wait for disk and link.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tracing::info;
use tracing::warn;

use crate::actors::clock;
use crate::actors::pair::Hub;
use crate::actors::pair::Tell;
use crate::actors::pair::hub::Log;
use crate::disk::DiskFile as _;
use crate::disk::RealDisk;
use crate::ha::link::Hold;
use crate::ha::link::Link;
use crate::ha::link::Shipped;
use crate::ha::link::freight::Freight;
use crate::ha::link::freight::Piece;
use crate::ha::protocol::Plan;
use crate::snapshot::Header;
use crate::snapshot::SnapshotError;
use crate::snapshot::SnapshotReceiver;

/// Bytes of a piece.
const PIECE_BYTES: u64 = 256 << 10;
/// Pause where the link has no room.
const PAUSE: Duration = Duration::from_millis(5);

/// Sends and takes snapshots.
pub struct Files {
    hub: Arc<Hub>,
    link: Arc<Link>,
    pieces: mpsc::Sender<(Piece, Hold)>,
    /// Plans of which a snapshot is on its way to the other node.
    sending: Arc<Mutex<BTreeSet<Plan>>>,
    /// Before which moment no plan is tried to be brought up to date again.
    rests: Arc<Mutex<BTreeMap<Plan, Duration>>>,
    /// The least time between two tries.
    resync: Duration,
}

impl Files {
    /// Starts the thread that takes pieces; it ends with this.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        hub: Arc<Hub>,
        link: Arc<Link>,
        manager: actix::Recipient<Tell>,
        resync: Duration,
    ) -> io::Result<Self> {
        let (pieces, taken) = mpsc::channel();
        let of = Arc::clone(&hub);
        let work = move || take_pieces(&of, &taken, &manager);
        thread::Builder::new().name("snapshots in".to_owned()).spawn(work)?;
        let (sending, rests) = (Arc::default(), Arc::default());
        Ok(Self { hub, link, pieces, sending, rests, resync })
    }

    /// A piece came; its room in the link is free when it is written.
    pub fn take(&self, piece: Piece, hold: Hold) {
        // The other end lives as long as this.
        let _ = self.pieces.send((piece, hold));
    }

    /// Sends the newest good snapshot of a plan, or one that is taken for this; does nothing while
    /// one is on its way.
    pub fn send_newest(&self, plan: Plan) {
        let now = clock::elapsed();
        {
            let mut rests = lock(&self.rests);
            if rests.get(&plan).is_some_and(|until| now < *until) {
                return;
            }
            rests.insert(plan, now + self.resync);
        }
        if self.send(plan, None) {
            let name = self.hub.log(plan).map(|log| Arc::clone(&log.name));
            info!(plan = ?name, "the other node needs a snapshot: its state is being synchronised");
        }
    }

    /// Sends this snapshot of a plan.
    pub fn send_this(&self, plan: Plan, name: &str) {
        self.send(plan, Some(name.to_owned()));
    }

    /// Whether a sending has begun.
    fn send(&self, plan: Plan, name: Option<String>) -> bool {
        let Some(log) = self.hub.log(plan) else { return false };
        if !lock(&self.sending).insert(plan) {
            return false;
        }
        let (link, sending) = (Arc::clone(&self.link), Arc::clone(&self.sending));
        let (rests, resync, began) = (Arc::clone(&self.rests), self.resync, clock::elapsed());
        let work = move || {
            let sent = send_snapshot(&log, &link, name);
            let ended = clock::elapsed();
            let took = match &sent {
                // The other node needs about as long again until it has looked through all of it.
                Ok(Some(_)) => ended.saturating_sub(began),
                Ok(None) | Err(_) => Duration::ZERO,
            };
            lock(&rests).insert(plan, ended + resync.max(took));
            lock(&sending).remove(&plan);
            match sent {
                Ok(Some((name, bytes))) => {
                    info!(plan = %log.name, snapshot = name, bytes, "snapshot sent");
                }
                Ok(None) => {}
                Err(error) => warn!(plan = %log.name, error, "the snapshot was not sent"),
            }
        };
        if let Err(error) = thread::Builder::new().name("snapshot out".to_owned()).spawn(work) {
            lock(&self.sending).remove(&plan);
            warn!(%error, "no thread for sending a snapshot");
            return false;
        }
        true
    }
}

/// What is guarded is whole between the calls that change it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn send_snapshot(
    log: &Log,
    link: &Link,
    name: Option<String>,
) -> Result<Option<(String, u64)>, String> {
    let told = |error: SnapshotError| error.to_string();
    let name = match name {
        Some(name) => name,
        None => match log.snapshots.newest_valid().map_err(told)?.found {
            Some((name, _, _)) => name,
            None => {
                let station = log.station().ok_or("the plan has not started")?;
                station.take_snapshot().map_err(|error| error.to_string())?.name
            }
        },
    };
    let file = log.snapshots.open_file(&name).map_err(told)?;
    let length = file.length().map_err(|error| error.to_string())?;
    let mut offset = 0;
    while offset < length {
        let mut bytes = vec![0; PIECE_BYTES.min(length - offset) as usize];
        let read = file.read_at(&mut bytes, offset).map_err(|error| error.to_string())?;
        bytes.truncate(read);
        if read == 0 {
            return Err("the file became shorter while it was sent".to_owned());
        }
        let (plan, file) = (log.mirrored.plan, name.clone());
        let piece = Freight::Piece(Piece { plan, file, offset, length, bytes: Bytes::from(bytes) });
        loop {
            match link.ship(&piece).map_err(|error| error.to_string())? {
                Shipped::Queued => break,
                Shipped::Full => thread::sleep(PAUSE),
                Shipped::NoPeer => return Ok(None),
            }
        }
        offset += read as u64;
    }
    Ok(Some((name, length)))
}

/// A file that is coming in.
struct Coming {
    name: String,
    offset: u64,
    receiver: SnapshotReceiver<RealDisk>,
}

fn take_pieces(
    hub: &Hub,
    pieces: &mpsc::Receiver<(Piece, Hold)>,
    manager: &actix::Recipient<Tell>,
) {
    let mut coming: BTreeMap<Plan, Coming> = BTreeMap::new();
    while let Ok((piece, hold)) = pieces.recv() {
        let Some(log) = hub.log(piece.plan) else { continue };
        let plan = piece.plan;
        match take_piece(&log, coming.remove(&plan), piece) {
            Ok(Came::More(more)) => drop(coming.insert(plan, more)),
            Ok(Came::Whole(name, header)) => {
                info!(plan = %log.name, position = header.position, "snapshot received");
                manager.do_send(Tell::Snapshot(plan, header.position, header.epoch, name));
                if let Some(station) = log.station() {
                    station.keep_two_snapshots();
                }
            }
            Ok(Came::Nothing) => {}
            Err(error) => warn!(plan = %log.name, %error, "a snapshot could not be received"),
        }
        drop(hold);
    }
}

enum Came {
    More(Coming),
    /// Under this name: another than it was sent by, where that one would not be the newest.
    Whole(String, Header),
    /// It does not follow what came before.
    Nothing,
}

fn take_piece(log: &Log, before: Option<Coming>, piece: Piece) -> Result<Came, SnapshotError> {
    let mut coming = match before {
        Some(coming) if coming.name == piece.file && coming.offset == piece.offset => coming,
        _ if piece.offset == 0 => {
            // What came of another one before is dropped first, for it may have the same name.
            let receiver = match log.snapshots.receive(&piece.file) {
                Ok(receiver) => receiver,
                Err(error) if log.snapshots.open_file(&piece.file).is_err() => return Err(error),
                // It is here already.
                Err(_) => return Ok(Came::Nothing),
            };
            Coming { name: piece.file.clone(), offset: 0, receiver }
        }
        _ => return Ok(Came::Nothing),
    };
    coming.receiver.put(&piece.bytes)?;
    coming.offset += piece.bytes.len() as u64;
    if coming.offset < piece.length {
        return Ok(Came::More(coming));
    }
    let (name, header) = coming.receiver.finish()?;
    Ok(Came::Whole(name, header))
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Files")
    }
}
