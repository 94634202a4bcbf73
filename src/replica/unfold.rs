//! What an entry brings besides rows: dead letters, the place of a receiver, the end of a skip.
//!
//! All of it counts also where the rows of the entry are skipped, and is done before the machine
//! sees them, so that it is the same wherever and whenever the plan falls over them.

use std::sync::Arc;

use crate::event::Batch;
use crate::event::Millis;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use crate::plan::logical::Origin;
use crate::plan::logical::Stream;
use crate::plan::outside::NUMBER;
use crate::replica::Body;
use crate::replica::Closing;
use crate::replica::Copied;
use crate::replica::Letter;
use crate::replica::LetterKind;
use crate::replica::LogEntry;
use crate::replica::Mark;
use crate::replica::Outcome;
use crate::replica::Output;
use crate::replica::Payload;
use crate::replica::PutAside;
use crate::replica::Replica;
use crate::replica::Sending;
use crate::replica::apply::Again;
use crate::replica::apply::next;

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
            Body::TakeUp { letters, rows, .. } => self.take_up(&letters, rows)?,
            Body::Discard { letters, .. } => {
                self.all_open(&letters)?;
                self.close_all(&letters, Closing::Discarded);
                Body::Tick
            }
            Body::Skip { position, reason } => self.end_skip(now, position, &reason),
            other => other,
        };
        Ok(sending)
    }

    /// Makes dead letters of what came to fault streams whose stream keeps them, one a row, so that
    /// it cannot be seen how rows came together.
    pub(super) fn keep_faults(&mut self) {
        let Some(running) = &self.running else { return };
        let plan = &running.made.plan;
        for (fault, rows) in self.results.rows() {
            let Origin::Fault(stream) = plan.streams[fault].origin else { continue };
            let stream = &plan.streams[stream];
            if stream.keeps_faults {
                fault_letters(self.now, stream, rows).for_each(|letter| {
                    self.letters.put(letter);
                });
            }
        }
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

    /// The letters of these numbers; all of them or none.
    fn all_open(&self, numbers: &[u64]) -> Result<Vec<Arc<Letter>>, Outcome> {
        let open = self.letters.open();
        let letter = |number: &u64| open.get(number).cloned().ok_or_else(|| not_open(*number));
        numbers.iter().map(letter).collect()
    }

    fn close_all(&mut self, numbers: &[u64], closing: Closing) {
        for number in numbers {
            self.letters.close(*number, closing);
        }
    }

    /// Closes letters of one place; what was in them enters its stream, or goes to its publisher as
    /// new results.
    fn take_up(&mut self, numbers: &[u64], rows: Option<(Text, Batch)>) -> Result<Body, Outcome> {
        let refuse = |reason: &str| Err(Outcome::Refused(reason.to_owned()));
        let letters = self.all_open(numbers)?;
        let Some(first) = letters.first() else { return refuse("it names no dead letter") };
        let of = |letter: &Letter| (letter.kind, letter.place.clone(), letter.stream.clone());
        if letters.iter().any(|letter| of(letter) != of(first)) {
            return refuse("its dead letters are not of one place");
        }
        let body = match (held_by(&letters), rows) {
            (Held::Messages, Some((stream, batch))) => enter(stream, batch),
            (Held::Messages, None) => return refuse("its message was not read"),
            (Held::Both, _) => return refuse("its dead letters hold messages and rows"),
            (Held::Rows(_), Some(_)) => return refuse("it holds rows and no message"),
            (Held::Rows(batch), None) if first.kind == LetterKind::Plan => {
                self.look_at(&first.stream, &batch)?;
                enter(first.stream.clone(), batch)
            }
            (Held::Rows(batch), None) => {
                let (publisher, rows) = (first.place.clone(), Arc::new(batch));
                let running = self.running.as_ref();
                let stream = running.and_then(|running| running.stream_of(&publisher, &rows));
                let reason = || Outcome::Refused(format!("no `{publisher}` of these attributes"));
                let stream = stream.ok_or_else(reason)?;
                self.again = Some(Again { stream, publisher, rows });
                Body::Tick
            }
        };
        self.close_all(numbers, Closing::Replayed);
        Ok(body)
    }

    /// What letters held goes to its publisher, as new results.
    pub(super) fn give_again(&mut self, outputs: &mut Vec<Output>) {
        let Some(running) = &self.running else { return };
        if let Some(Again { stream, publisher, rows }) = self.again.take() {
            let rows = match running.made.plan.streams[stream].origin {
                // A change that is made later than those after it would undo them.
                Origin::Changes(table) => Arc::new(running.machine.as_it_is(table, &rows)),
                // Whom a question was for has failed.
                Origin::Errands(_) => Arc::new(without_questions(&rows)),
                _ => rows,
            };
            if rows.is_empty() {
                return;
            }
            let number = next(&mut self.given, &publisher, rows.len() as u64);
            outputs.push(Output { stream, first: 0, rows, publishers: vec![(publisher, number)] });
        }
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

/// What a stream's readers could not compute, a letter a row; `rows` are those of its fault stream,
/// which have what went wrong as their last column.
fn fault_letters<'a>(
    now: Millis,
    stream: &'a Stream,
    rows: &'a Batch,
) -> impl Iterator<Item = Letter> + 'a {
    let width = stream.schema.len();
    let name = &stream.name;
    (0..rows.len()).map(move |row| {
        let mut batch = Batch::new(&stream.schema.types());
        let mut values = rows.row(row);
        let error = values.split_off(width);
        batch.push_row(rows.timestamps[row], &values);
        Letter {
            at: now,
            kind: LetterKind::Plan,
            place: name.clone(),
            stream: name.clone(),
            reason: "fault".into(),
            message: error.first().map_or_else(|| Text::from(""), message_of),
            payload: Payload::Rows {
                first: 0,
                names: stream.schema.names().map(Text::from).collect(),
                batch: Arc::new(batch),
            },
        }
    })
}

fn message_of(error: &Value) -> Text {
    match error {
        Value::Object(object) => match &**object {
            Structure::Error(message) => message.clone(),
            _ => Text::from(""),
        },
        Value::Text(text) => text.clone(),
        _ => Text::from(""),
    }
}

/// Of errands those that write.
fn without_questions(errands: &Batch) -> Batch {
    let writes = |row: &u32| errands.columns[NUMBER].is_null(*row as usize);
    let rows: Vec<u32> = (0..errands.len() as u32).filter(writes).collect();
    let mut batch = errands.empty_like(rows.len());
    batch.gather(errands, &rows);
    batch
}

/// What letters hold.
enum Held {
    Messages,
    /// All their rows, in order.
    Rows(Batch),
    Both,
}

fn held_by(letters: &[Arc<Letter>]) -> Held {
    let mut all: Option<Batch> = None;
    for (before, letter) in letters.iter().enumerate() {
        match (&letter.payload, &mut all) {
            (Payload::Message(_), None) => {}
            (Payload::Rows { batch, .. }, None) if before == 0 => all = Some(Batch::clone(batch)),
            (Payload::Rows { batch, .. }, Some(rows)) if is_alike(rows, batch) => {
                rows.extend(batch, 0, batch.len());
            }
            _ => return Held::Both,
        }
    }
    all.map_or(Held::Messages, Held::Rows)
}

/// Whether rows have the same types: a place may have had others in an earlier version.
fn is_alike(one: &Batch, other: &Batch) -> bool {
    let types = |of: &Batch| of.columns.iter().map(|column| column.values.data_type()).collect();
    let (one, other): (Vec<_>, Vec<_>) = (types(one), types(other));
    one == other
}

/// Rows enter a stream; who sent them is known elsewhere.
fn enter(stream: Text, batch: Batch) -> Body {
    Body::Rows { stream, sending: None, mark: None, copied: None, batch }
}

fn not_open(letter: u64) -> Outcome {
    Outcome::Refused(format!("no dead letter {letter} is open"))
}
