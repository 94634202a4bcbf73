//! Answers on their way into the plan's log: a parcel that asked has left when they are safe there.

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use tracing::debug;

use crate::actors::plan::Applied;
use crate::actors::plan::Misfit;
use crate::actors::publisher::PublisherActor;
use crate::publishers::Built;

/// So many entries of answers may be under way before the publisher waits for them.
const UNDER_WAY_MAX: usize = 64;
/// And so many bytes of their rows.
const BYTES_UNDER_WAY_MAX: usize = 64 << 20;

/// Answers that may not be safe yet.
#[derive(Debug)]
pub(super) struct UnderWay {
    /// The number of the first result that they may be for.
    first: u64,
    /// Bytes of the rows.
    bytes: usize,
    told: oneshot::Receiver<Result<Applied, Misfit>>,
}

impl PublisherActor {
    /// Sends what the publisher was answered.
    pub(super) fn send_answers(&mut self, built: &mut Built) {
        for answered in built.publisher.answers() {
            let (first, bytes) = (answered.first, answered.answers.rows.bytes());
            let told = self.job.station.bring_answers(answered.answers);
            self.answers.push_back(UnderWay { first, bytes, told });
        }
    }

    /// Whether so many answers are under way that nothing more is to be asked for now.
    pub(super) fn answers_are_many(&self) -> bool {
        let bytes = self.answers.iter().map(|under_way| under_way.bytes);
        self.answers.len() > UNDER_WAY_MAX || bytes.sum::<usize>() > BYTES_UNDER_WAY_MAX
    }

    /// Forgets answers that are safe; whether some got lost, since the node's role changed, so that
    /// what asked is to ask again.
    pub(super) fn look_at_answers(&mut self) -> bool {
        let mut is_lost = false;
        self.answers.retain_mut(|under_way| match under_way.told.try_recv() {
            Ok(Ok(_)) => false,
            Ok(Err(Misfit::NotRun { reason })) => {
                debug!(reason, "answers that nobody waits for");
                false
            }
            Err(TryRecvError::Empty) => true,
            Ok(Err(_)) | Err(TryRecvError::Closed) => {
                is_lost = true;
                false
            }
        });
        is_lost
    }

    /// Whether the answers for results up to this number are safe.
    pub(super) fn is_answered(&self, number: u64) -> bool {
        self.answers.iter().all(|under_way| under_way.first > number)
    }
}
