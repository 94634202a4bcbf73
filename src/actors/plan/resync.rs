//! A plan whose state comes from the other node: by a snapshot, where its log cannot lead there, or
//! where the two states were found to differ.

use std::sync::Arc;

use tracing::error;
use tracing::info;

use crate::actors::pair::Tell;
use crate::actors::plan::Desk;
use crate::actors::plan::LedgerError;
use crate::actors::plan::StreamFront;
use crate::actors::plan::Stuck;
use crate::actors::plan::kept;
use crate::actors::plan::outbox::Pending;
use crate::event::Batch;
use crate::event::Text;
use crate::publishers::Parcel;
use crate::replica::Body;
use crate::replica::Broken;
use crate::replica::Maker;

impl Desk {
    /// In a pair the other thread may have found that the journal fails.
    ///
    /// # Errors
    /// That it does, so that it is opened again.
    pub fn look_at_disk(&self) -> Result<(), Stuck> {
        match self.ledger.mirrored() {
            Some(mirrored) if mirrored.is_broken() => Err(Stuck::Log(LedgerError::Failed)),
            _ => Ok(()),
        }
    }

    /// The plan's journal takes no entries, or does so again: the pair has to know.
    pub fn tell_broken(&self, broken: bool) {
        let Some(mirrored) = self.ledger.mirrored() else { return };
        mirrored.set_broken(broken);
        if !broken {
            mirrored.wire.tell(Tell::Reopened(mirrored.plan));
        }
    }

    /// Orders that both nodes compare their states.
    pub fn compare(&mut self) {
        if self.orders() && self.replica.position() > 0 {
            self.order(Body::Compare, super::Told::Nobody, None);
        }
    }

    /// Goes on from the snapshot that the other node sent.
    pub(super) fn install(&mut self, position: u64) -> Result<(), Stuck> {
        let pending = self.restore(position)?;
        self.void_results();
        self.suspect = None;
        self.follow.stalled = None;
        self.restart_after(position);
        self.follow.pending = pending;
        self.adopt_switches();
        self.weigh();
        self.applied.send_replace(position);
        info!(plan = %self.version.name, position, "going on from the other node's snapshot");
        Ok(())
    }

    /// Applies the log anew from the other node's snapshot: what this node made of it was not the
    /// same. Results that wait here are void.
    pub(super) fn reload(&mut self, position: u64) -> Result<(), Stuck> {
        let pending = self.restore(position)?;
        self.void_results();
        self.follow.stalled = None;
        self.ledger.rewind(position);
        self.follow.pending = pending;
        self.adopt_switches();
        self.weigh();
        self.applied.send_replace(position);
        info!(plan = %self.version.name, position, "the log is applied anew from there");
        Ok(())
    }

    /// What waits to be published was computed from another state.
    fn void_results(&mut self) {
        self.follow.reading += 1;
        self.outgoing.clear();
        for end in self.version.streams.iter().flat_map(|front| &front.publishers) {
            end.read_anew(self.follow.reading);
            end.outbox.clear();
        }
    }

    /// The results that have not left, as far as they were computed.
    pub(super) fn pending(&self) -> Vec<Pending> {
        let mut pending = self.follow.pending.clone();
        for end in self.version.streams.iter().flat_map(|front| &front.publishers) {
            end.outbox.forget(end.confirmed());
            let publisher: Text = end.name.as_str().into();
            let result = |(number, rows)| Pending { publisher: publisher.clone(), number, rows };
            pending.extend(end.outbox.list().into_iter().map(result));
        }
        pending
    }

    /// Rows on their way to a publisher of a stream.
    pub(super) fn parcel(
        &self,
        front: &StreamFront,
        publisher: Text,
        number: u64,
        batch: Arc<Batch>,
    ) -> Parcel {
        let secret = self.replica.deployment().map(|deployment| deployment.secret);
        Parcel {
            plan: Arc::clone(&self.version.name),
            stream: Arc::clone(&front.name),
            publisher,
            schema: Arc::clone(&front.schema),
            generation: secret.unwrap_or(self.version.secret),
            number,
            epoch: 0,
            reading: self.follow.reading,
            batch,
        }
    }

    /// Sends results that a snapshot held, unless they have left since.
    pub(super) fn send_pending(&mut self, pending: Vec<Pending>) {
        let version = Arc::clone(&self.version);
        for Pending { publisher, number, rows } in pending {
            let of = |front: &&StreamFront| front.publishers.iter().any(|e| *e.name == *publisher);
            let Some(front) = version.streams.iter().find(of) else { continue };
            let end = front.publishers.iter().find(|end| *end.name == *publisher);
            let last = number + rows.len() as u64 - 1;
            let Some(end) = end.filter(|end| end.confirmed() < last) else { continue };
            end.outbox.put(number, &rows);
            let parcel = self.parcel(front, publisher, number, rows);
            self.outgoing.push_back((Arc::clone(end), parcel));
        }
    }

    fn restore(&mut self, position: u64) -> Result<Vec<Pending>, Stuck> {
        let broken = |reason| Stuck::Broken(Broken(reason));
        let snapshots = self.snapshots.as_ref();
        let snapshots = snapshots.ok_or_else(|| broken("nothing is kept of the plan".into()))?;
        let maker = Arc::clone(&self.versions) as Arc<dyn Maker>;
        let kept::Restored { replica, pending, .. } =
            kept::restore(snapshots, &self.version.name, &maker, |it| it.position == position)
                .map_err(|error| broken(error.to_string()))?;
        if replica.position() != position {
            let found = replica.position();
            return Err(broken(format!("a snapshot of {position} was to be there, found {found}")));
        }
        self.replica = replica;
        Ok(pending)
    }

    /// Has a fingerprint made of the state as it stands, on another thread, for the pair to
    /// compare.
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
