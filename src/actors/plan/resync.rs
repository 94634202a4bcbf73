//! A plan whose state comes from the other node: by a snapshot, where its log cannot lead there, or
//! where the two states were found to differ.

use std::sync::Arc;

use tracing::error;
use tracing::info;

use crate::actors::pair::Tell;
use crate::actors::plan::Desk;
use crate::actors::plan::Stuck;
use crate::actors::plan::kept;
use crate::replica::Body;
use crate::replica::Broken;
use crate::replica::Maker;

impl Desk {
    /// Orders that both nodes compare their states.
    pub fn compare(&mut self) {
        if self.orders() && self.replica.position() > 0 {
            self.order(Body::Compare, super::Told::Nobody, None);
        }
    }

    /// Goes on from the snapshot that the other node sent.
    pub(super) fn install(&mut self, position: u64) -> Result<(), Stuck> {
        self.restore(position)?;
        self.suspect = None;
        self.restart_after(position);
        self.begin_tails();
        self.applied.send_replace(position);
        info!(plan = %self.version.name, position, "going on from the other node's snapshot");
        Ok(())
    }

    /// Applies the log anew from the other node's snapshot: what this node made of it was not the
    /// same. Results that wait here are void.
    pub(super) fn reload(&mut self, position: u64) -> Result<(), Stuck> {
        self.restore(position)?;
        self.follow.reading += 1;
        for end in self.version.streams.iter().flat_map(|front| &front.publishers) {
            end.read_anew(self.follow.reading);
        }
        self.ledger.rewind(position);
        self.begin_tails();
        self.applied.send_replace(position);
        info!(plan = %self.version.name, position, "the log is applied anew from there");
        Ok(())
    }

    fn restore(&mut self, position: u64) -> Result<(), Stuck> {
        let broken = |reason| Stuck::Broken(Broken(reason));
        let snapshots = self.snapshots.as_ref();
        let snapshots = snapshots.ok_or_else(|| broken("nothing is kept of the plan".into()))?;
        let maker = Arc::clone(&self.versions) as Arc<dyn Maker>;
        let (replica, _) = kept::restore(snapshots, &self.version.name, &maker)
            .map_err(|error| broken(error.to_string()))?;
        if replica.position() != position {
            let found = replica.position();
            return Err(broken(format!("a snapshot of {position} was to be there, found {found}")));
        }
        self.replica = replica;
        Ok(())
    }

    /// Has a fingerprint made of the state as it stands, on another thread, for the pair to compare.
    pub(super) fn fingerprint(&self) {
        let (Some(mirrored), Some(saved)) = (self.ledger.mirrored().cloned(), self.replica.save())
        else {
            return;
        };
        let plan = Arc::clone(&self.version.name);
        let work = move || {
            let (position, value) = (saved.position, saved.fingerprint());
            mirrored.wire.tell(Tell::Fingerprint { plan: mirrored.plan, position, value });
        };
        if let Err(error) = std::thread::Builder::new().name("fingerprint".into()).spawn(work) {
            error!(%plan, %error, "no thread for comparing the plan's state");
        }
    }
}
