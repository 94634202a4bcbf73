//! Dead letters taken up again, or discarded: each by an entry of the plan's log that closes it.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::actors::clock;
use crate::actors::plan::Applied;
use crate::actors::plan::Closed;
use crate::actors::plan::Misfit;
use crate::actors::plan::Station;
use crate::actors::plan::Work;
use crate::event::Batch;
use crate::event::Schema;
use crate::event::Text;
use crate::plan::logical::Endpoint;
use crate::plan::logical::Plan;
use crate::receivers::Unread;
use crate::receivers::read_again;
use crate::replica::Body;
use crate::replica::Letter;
use crate::replica::Payload;

/// Why a letter was not taken up, or not discarded. It is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LetterError {
    /// There is no such letter.
    #[error("the plan keeps no dead letter {0}; it may have been closed meanwhile")]
    Unknown(u64),
    /// Its message is still none.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// The plan has no such receiver any more.
    #[error("the plan has no `{0}` any more, which could read it; discard it, or put that back")]
    NoReceiver(Text),
    /// Only messages can be mended.
    #[error("it holds rows, which go as they are: expected no body")]
    NotMended,
    /// The plan has more state than it may.
    #[error("{0}")]
    Exceeded(String),
    /// The plan did not take it.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// The plan takes nothing any more.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// Tells what became of it.
#[derive(Debug)]
pub struct Underway(oneshot::Receiver<Result<Applied, Misfit>>);

impl Underway {
    /// Waits for it.
    ///
    /// # Errors
    /// If it was not done.
    pub async fn done(self) -> Result<Applied, LetterError> {
        Ok(self.0.await.map_err(|_| Closed)??)
    }
}

/// Letters that were to be closed together.
#[derive(Debug)]
pub struct Asked {
    /// Their numbers.
    pub letters: Vec<u64>,
    /// Tells what became of them: of all of them or of none.
    pub underway: Result<Underway, LetterError>,
}

/// Letters that one entry takes up.
struct Group {
    letters: Vec<u64>,
    /// The first of them.
    of: Arc<Letter>,
    events: u64,
    rows: Option<(Text, Batch)>,
}

impl Group {
    fn takes(&self, next: &Group, rows_max: usize) -> bool {
        let (mine, theirs) = (&self.of, &next.of);
        let same = (mine.kind, &mine.place, &mine.stream);
        same == (theirs.kind, &theirs.place, &theirs.stream)
            && self.rows.is_some() == next.rows.is_some()
            && self.events + next.events <= rows_max as u64
    }

    fn add(&mut self, next: Group) {
        self.letters.extend(next.letters);
        self.events += next.events;
        if let (Some((_, rows)), Some((_, more))) = (&mut self.rows, next.rows) {
            rows.extend(&more, 0, more.len());
        }
    }
}

impl Station {
    /// Has a letter taken up again: what a receiver could not read, or `mended` in its place, is
    /// read and enters its stream; rows go to their publisher, or enter their stream. A message may
    /// hold so many events at most.
    ///
    /// # Errors
    /// If it cannot be.
    pub async fn replay(
        &self,
        number: u64,
        mended: Option<&[u8]>,
        rows_max: usize,
    ) -> Result<Underway, LetterError> {
        let letter = self.dead_letters.letter(number).ok_or(LetterError::Unknown(number))?;
        if let Some(complaint) = self.budget.complaint() {
            return Err(LetterError::Exceeded(complaint));
        }
        let rows = match (&letter.payload, mended) {
            (Payload::Message(message), mended) => {
                Some(self.read(&letter, mended.unwrap_or(message), rows_max)?)
            }
            (Payload::Rows { .. }, None) => None,
            (Payload::Rows { .. }, Some(_)) => return Err(LetterError::NotMended),
        };
        self.order(Body::TakeUp { letters: vec![number], rows, sending: None }).await
    }

    /// Has letters taken up again, each as [`Station::replay`] does: those of one place that stand
    /// together by one entry of the log, which holds little more than so many events.
    pub async fn replay_all(&self, numbers: &[u64], rows_max: usize) -> Vec<Asked> {
        let mut asked = Vec::new();
        let mut group: Option<Group> = None;
        for &number in numbers {
            match self.group_of(number, rows_max) {
                Ok(next) => match &mut group {
                    Some(known) if known.takes(&next, rows_max) => known.add(next),
                    _ => asked.extend(self.order_group(group.replace(next)).await),
                },
                Err(error) => asked.push(Asked { letters: vec![number], underway: Err(error) }),
            }
        }
        asked.extend(self.order_group(group).await);
        asked
    }

    /// Has letters discarded, by one entry of the log.
    pub async fn discard_all(&self, numbers: &[u64]) -> Asked {
        let letters = numbers.to_vec();
        let body = Body::Discard { letters: letters.clone(), sending: None };
        Asked { letters, underway: self.order(body).await }
    }

    fn group_of(&self, number: u64, rows_max: usize) -> Result<Group, LetterError> {
        let letter = self.dead_letters.letter(number).ok_or(LetterError::Unknown(number))?;
        let events = letter.events();
        let rows = match &letter.payload {
            Payload::Message(message) => Some(self.read(&letter, message, rows_max)?),
            Payload::Rows { .. } => None,
        };
        let events = rows.as_ref().map_or(events, |(_, rows)| rows.len() as u64);
        Ok(Group { letters: vec![number], of: letter, events, rows })
    }

    async fn order_group(&self, group: Option<Group>) -> Option<Asked> {
        let Group { letters, rows, .. } = group?;
        let body = Body::TakeUp { letters: letters.clone(), rows, sending: None };
        Some(Asked { letters, underway: self.order(body).await })
    }

    /// Has a letter discarded.
    ///
    /// # Errors
    /// If it is not open.
    pub async fn discard(&self, number: u64) -> Result<Underway, LetterError> {
        self.dead_letters.letter(number).ok_or(LetterError::Unknown(number))?;
        self.order(Body::Discard { letters: vec![number], sending: None }).await
    }

    async fn order(&self, body: Body) -> Result<Underway, LetterError> {
        let (tell, told) = oneshot::channel();
        let work = Work::OfLetter(Box::new(body), tell);
        self.inbox.put(work).await.map_err(|_| Closed)?;
        Ok(Underway(told))
    }

    fn read(
        &self,
        letter: &Letter,
        message: &[u8],
        rows_max: usize,
    ) -> Result<(Text, Batch), LetterError> {
        let version = self.version();
        let found = source(&version.plan, &letter.place);
        let (endpoint, schema) =
            found.ok_or_else(|| LetterError::NoReceiver(letter.place.clone()))?;
        let rows = read_again(endpoint, schema, message, clock::now_ms(), rows_max)?;
        Ok((letter.stream.clone(), rows))
    }
}

/// The `@source` that a receiver's name stands for, as in `receiver:Logins:1`, and what its stream
/// looks like.
fn source<'a>(plan: &'a Plan, receiver: &str) -> Option<(&'a Endpoint, &'a Schema)> {
    let (stream, number) = receiver.strip_prefix("receiver:")?.rsplit_once(':')?;
    let stream = &plan.streams[plan.stream(stream)?];
    let number: usize = number.parse().ok()?;
    Some((stream.sources.get(number.checked_sub(1)?)?, &stream.schema))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::plan::testing::plan;

    #[test]
    fn a_receiver_is_found_by_its_name() {
        let plan = plan(
            "@source(type='http', path='/a') @source(type='file', file.uri='b')
             define stream S (n int); from S select n insert into Out;",
        );
        let kind = |name: &str| source(&plan, name).map(|(endpoint, _)| endpoint.kind.as_str());
        assert_eq!((kind("receiver:S:1"), kind("receiver:S:2")), (Some("http"), Some("file")));
        for none in ["receiver:S:0", "receiver:S:3", "receiver:T:1", "S:1", "receiver:S"] {
            assert_eq!(kind(none), None, "{none}");
        }
    }
}
