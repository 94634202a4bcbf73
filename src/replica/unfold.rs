//! What an entry brings besides rows: dead letters, the place of a receiver, the end of a skip.
//!
//! All of it counts also where the rows of the entry are skipped, and is done before the machine
//! sees them, so that it is the same wherever and whenever the plan falls over them.

use std::sync::Arc;

use crate::event::Batch;
use crate::event::Millis;
use crate::event::Text;
use crate::replica::Body;
use crate::replica::Closing;
use crate::replica::Copied;
use crate::replica::Letter;
use crate::replica::LetterKind;
use crate::replica::LogEntry;
use crate::replica::Mark;
use crate::replica::Outcome;
use crate::replica::Payload;
use crate::replica::PutAside;
use crate::replica::Replica;
use crate::replica::Sending;
use crate::replica::apply::Again;

impl Replica {
    /// Does all that an entry says but what it brings to the machine, which is left of it: rows, a
    /// query, or a tick. Gives who sent it.
    ///
    /// # Errors
    /// What becomes of it, if it has no effect.
    pub(super) fn unfold(
        &mut self,
        now: Millis,
        entry: &mut LogEntry,
    ) -> Result<Option<Sending>, Outcome> {
        // Rows keep their sender and their mark, for the case that they are skipped.
        let sending = entry.body.sending_mut().and_then(|sending| sending.clone());
        if sending.as_ref().is_some_and(|sender| self.producers.has_taken(sender)) {
            return Err(Outcome::Repeated);
        }
        if let Some((stream, batch)) = entry.body.rows() {
            self.look_at(stream, batch)?;
        }
        self.look_where(entry.body.copied(), entry.body.mark())?;
        entry.body = match std::mem::replace(&mut entry.body, Body::Tick) {
            mut body @ Body::Rows { .. } => {
                self.reach(body.mark());
                self.copies.sift(now, &mut body);
                body
            }
            Body::PutAside(aside) => self.put_aside(now, *aside)?,
            Body::TakeUp { letter, rows, .. } => self.take_up(letter, rows)?,
            Body::Discard { letter, .. } => {
                let closed = self.letters.close(letter, Closing::Discarded);
                closed.ok_or_else(|| not_open(letter))?;
                Body::Tick
            }
            Body::Skip { position, reason } => self.end_skip(now, position, &reason),
            other => other,
        };
        Ok(sending)
    }

    /// Whether rows can enter a stream.
    fn look_at(&self, stream: &str, batch: &Batch) -> Result<(), Outcome> {
        let running = self.running.as_ref();
        let found = running.and_then(|running| running.stream(stream, batch));
        let reason = || Outcome::Refused(format!("no stream `{stream}` of these attributes"));
        found.map(drop).ok_or_else(reason)
    }

    /// Whether what a receiver brings that is known by a node goes on where the log says.
    fn look_where(&self, copied: Option<&Copied>, mark: Option<&Mark>) -> Result<(), Outcome> {
        let (Some(of), Some(mark)) = (copied, mark) else { return Ok(()) };
        let goes_on = self.marks.get(&mark.receiver) == of.after.as_ref();
        if goes_on && (of.has_passed || !self.copies.is_passed(&of.receiver, &of.node)) {
            return Ok(());
        }
        Err(Outcome::Refused(format!("`{}` has to begin elsewhere", mark.receiver)))
    }

    fn reach(&mut self, mark: Option<&Mark>) {
        if let Some(Mark { receiver, place }) = mark {
            self.marks.insert(receiver.clone(), place.clone());
        }
    }

    fn put_aside(&mut self, now: Millis, aside: PutAside) -> Result<Body, Outcome> {
        let PutAside { letters, bounds, rows, mark, copied, .. } = aside;
        self.letters.bind(bounds);
        let mut kept = 0;
        for letter in letters {
            kept += usize::from(self.letters.put(letter));
        }
        self.reach(mark.as_ref());
        match rows {
            Some((stream, batch)) => {
                let mut body = Body::Rows { stream, sending: None, mark: None, copied, batch };
                self.copies.sift(now, &mut body);
                Ok(body)
            }
            None if kept == 0 => Err(Outcome::Repeated),
            None => Ok(Body::Tick),
        }
    }

    /// Closes a letter; what was in it enters its stream, or goes to its publisher as new results.
    fn take_up(&mut self, number: u64, rows: Option<(Text, Batch)>) -> Result<Body, Outcome> {
        let letter = self.letters.open().get(&number);
        let letter = letter.map(Arc::clone).ok_or_else(|| not_open(number))?;
        let refuse = |reason: &str| Err(Outcome::Refused(reason.to_owned()));
        let body = match (&letter.payload, rows) {
            (Payload::Message(_), Some((stream, batch))) => enter(stream, batch),
            (Payload::Message(_), None) => return refuse("its message was not read"),
            (Payload::Rows { .. }, Some(_)) => return refuse("it holds rows and no message"),
            (Payload::Rows { batch, .. }, None) if letter.kind == LetterKind::Plan => {
                self.look_at(&letter.stream, batch)?;
                enter(letter.stream.clone(), Batch::clone(batch))
            }
            (Payload::Rows { batch, .. }, None) => {
                let (publisher, rows) = (letter.place.clone(), Arc::clone(batch));
                let running = self.running.as_ref();
                let stream = running.and_then(|running| running.stream_of(&publisher, &rows));
                let reason = || Outcome::Refused(format!("no `{publisher}` of these attributes"));
                let stream = stream.ok_or_else(reason)?;
                self.again = Some(Again { stream, publisher, rows });
                Body::Tick
            }
        };
        self.letters.close(number, Closing::Replayed);
        Ok(body)
    }

    /// The rows of an entry that was skipped go to the fault stream; without one they become a
    /// letter.
    fn end_skip(&mut self, now: Millis, position: u64, reason: &Text) -> Body {
        let Some(running) = &self.running else { return Body::Tick };
        let Some(skipped) = self.skipped.remove(&position).flatten() else { return Body::Tick };
        if let Some(fault) = running.fault(&skipped, reason) {
            return fault;
        }
        let Body::Rows { stream, batch, .. } = skipped.body else { return Body::Tick };
        let plan = &running.made.plan;
        if let Some(id) = plan.stream(&stream)
            && !batch.is_empty()
        {
            let names = plan.streams[id].schema.names().map(Text::from).collect();
            let batch = Arc::new(batch);
            self.letters.put(Letter {
                at: now,
                kind: LetterKind::Plan,
                place: stream.clone(),
                stream,
                reason: "poison".into(),
                message: reason.clone(),
                payload: Payload::Rows { first: 0, names, batch },
            });
        }
        Body::Tick
    }
}

/// Rows enter a stream; who sent them is known elsewhere.
fn enter(stream: Text, batch: Batch) -> Body {
    Body::Rows { stream, sending: None, mark: None, copied: None, batch }
}

fn not_open(letter: u64) -> Outcome {
    Outcome::Refused(format!("no dead letter {letter} is open"))
}
