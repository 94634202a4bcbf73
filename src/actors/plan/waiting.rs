//! What is ordered and not applied yet, and who is to be told what became of it.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::actors::plan::Applied;
use crate::actors::plan::LetterTold;
use crate::actors::plan::Mirrored;
use crate::actors::plan::Misfit;
use crate::actors::plan::Question;
use crate::actors::plan::Stamp;
use crate::actors::plan::Switch;
use crate::actors::plan::Verdict;
use crate::actors::plan::question::Reply;
use crate::actors::tree::Room;
use crate::ha::link::Hold;
use crate::replica::LogEntry;
use crate::replica::Outcome;

/// What is ordered and not yet applied.
#[derive(Debug)]
pub struct Waiting {
    /// The entry's position; a question's is that of the entry it follows.
    pub position: u64,
    /// The epoch it was ordered in.
    pub epoch: u64,
    /// The entry; `None` for a question that changes nothing.
    pub entry: Option<LogEntry>,
    /// Who is to be told.
    pub told: Told,
    /// Its room in the inbox, free again when this is done.
    pub room: Option<Room>,
}

/// What could not be ordered, since this node does not order now.
#[derive(Debug)]
pub struct Unordered {
    /// What was to be ordered.
    pub entry: LogEntry,
    /// Who is to be told.
    pub told: Told,
    /// Its room in the inbox.
    pub room: Option<Room>,
}

/// Who is to be told what became of an entry.
#[derive(Debug)]
pub enum Told {
    /// Nobody.
    Nobody,
    /// Who sent rows; when they were accepted, by
    /// [`clock::elapsed`](crate::actors::clock::elapsed).
    Sender(std::time::Duration, Option<oneshot::Sender<Result<Applied, Misfit>>>),
    /// The publisher that gave something up; told once that is safe, applied or not.
    Letter(LetterTold),
    /// Who asked.
    Asker(Question),
    /// Who brought a new version.
    Deployer(Switch),
    /// The other node, which forwarded it.
    Peer(Forwarded),
}

/// How the other node is told.
pub struct Forwarded {
    /// Under which name.
    pub stamp: Stamp,
    /// The log it is about.
    pub mirrored: Arc<Mirrored>,
    /// Room in the link, free again when it was told.
    pub hold: Option<Hold>,
}

impl std::fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Forwarded({:?})", self.stamp)
    }
}

impl Told {
    /// Tells that the entry was applied, or why not; who asked may have gone meanwhile.
    pub fn tell(self, position: u64, outcome: Outcome) {
        let applied = Applied { position, is_repeated: outcome == Outcome::Repeated };
        match (self, outcome) {
            (told, Outcome::Refused(reason)) => told.refuse(Misfit::NotRun { reason }),
            (Self::Sender(_, Some(told)) | Self::Letter(told), _) => {
                drop(told.send(Ok(applied)));
            }
            (Self::Asker(question), _) => question.answer(Ok(Reply::Rows(Vec::new()))),
            (Self::Deployer(switch), _) => drop(switch.told.send(())),
            (Self::Peer(forwarded), _) => {
                let Applied { position, is_repeated: repeated } = applied;
                forwarded.mirrored.reply(forwarded.stamp, Verdict::Applied { position, repeated });
            }
            (Self::Nobody | Self::Sender(_, None), _) => {}
        }
    }

    /// Tells why the entry was not applied.
    pub fn refuse(self, misfit: Misfit) {
        match self {
            Self::Sender(_, Some(told)) | Self::Letter(told) => drop(told.send(Err(misfit))),
            Self::Asker(question) => question.answer(Err(misfit)),
            Self::Peer(forwarded) => {
                forwarded.mirrored.reply(forwarded.stamp, Verdict::of(misfit));
            }
            // Without an answer it knows that nothing took over.
            Self::Nobody | Self::Sender(_, None) | Self::Deployer(_) => {}
        }
    }
}
