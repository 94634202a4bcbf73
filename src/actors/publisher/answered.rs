//! Answers on their way into the plan's log: a parcel that asked has left when they are safe there.

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use tracing::debug;

use crate::actors::plan::Applied;
use crate::actors::plan::Misfit;
use crate::actors::publisher::PublisherActor;
use crate::publishers::Built;

/// So many entries of answers may be under way before the publisher waits for them.
pub(super) const ANSWERS_UNDER_WAY_MAX: usize = 64;

/// Answers that may not be safe yet.
#[derive(Debug)]
pub(super) struct UnderWay {
    /// The number of the first result that they may be for.
    first: u64,
    told: oneshot::Receiver<Result<Applied, Misfit>>,
}

impl PublisherActor {
    /// Sends what the publisher was answered.
    pub(super) fn send_answers(&mut self, built: &mut Built) {
        for answered in built.publisher.answers() {
            let told = self.job.station.bring_answers(answered.answers);
            self.answers.push_back(UnderWay { first: answered.first, told });
        }
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
