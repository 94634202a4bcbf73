//! Dead letters on their way into the plan's log, and what this node shows of those in its state.

use std::sync::Arc;

use crate::actors::plan::DeadLetters;
use crate::actors::plan::Desk;
use crate::actors::plan::LetterBox;
use crate::actors::plan::Posted;
use crate::actors::plan::Rows;
use crate::actors::plan::Stuck;
use crate::actors::plan::Told;
use crate::event::Batch;
use crate::event::Text;
use crate::replica::Body;
use crate::replica::Bounds;
use crate::replica::Letter;
use crate::replica::LetterNews;
use crate::replica::Payload;
use crate::replica::PutAside;

/// The desk's side of the dead letters.
#[derive(Debug)]
pub(super) struct LetterDesk {
    /// What people see.
    pub shown: Arc<DeadLetters>,
    /// What publishers gave up.
    pub given_up: Arc<LetterBox>,
    /// How much is kept.
    pub bounds: Bounds,
    /// Whether the log has been told so.
    pub is_bound: bool,
}

impl LetterDesk {
    /// A desk without letters.
    pub fn new(bounds: Bounds) -> Self {
        Self { shown: Arc::default(), given_up: Arc::default(), bounds, is_bound: false }
    }
}

impl Desk {
    /// Orders what publishers gave up or were answered. This is done also while the plan waits for
    /// a publisher: it may be the one that waits for this.
    pub fn order_letters(&mut self) {
        // The plan makes letters itself, too, and has to know how many may stay.
        let bounds = self.letters.bounds;
        let runs = self.replica.deployment().is_some();
        if runs
            && !std::mem::replace(&mut self.letters.is_bound, true)
            && self.replica.letters().bounds() != bounds
        {
            let aside = self.aside(Vec::new(), None);
            self.order(Body::PutAside(Box::new(aside)), Told::Nobody, None);
        }
        while let Some((posted, told)) = self.letters.given_up.take() {
            let body = match posted {
                Posted::Letter(letter) => Body::PutAside(Box::new(self.aside(vec![letter], None))),
                Posted::Answers(answers) => Body::Answers(answers),
            };
            self.order(body, Told::Letter(told), None);
        }
    }

    /// The same while nothing is applied.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn order_letters_alone(&mut self) -> Result<(), Stuck> {
        if self.orders() && !self.must_load() {
            self.order_letters();
            self.flush()?;
        }
        self.tell_of_letters();
        Ok(())
    }

    /// Tells publishers which of their letters are safe, though not applied yet.
    fn tell_of_letters(&mut self) {
        // In this order: what was cut off must not be taken for what was committed in its place.
        let safe = self.ledger.safe();
        if !self.ledger.mirrored().is_some_and(|mirrored| mirrored.has_cut()) {
            self.ledger.tell_of_letters(safe);
        }
    }

    /// What a receiver brought, as an entry.
    pub(super) fn brought(&self, rows: Rows) -> Body {
        let Rows { version, stream, batch, letters, sending, mark, copied, .. } = rows;
        let copied = copied.map(Box::new);
        let stream = (&*version.streams[stream].name).into();
        if letters.is_empty() {
            return Body::Rows { stream, sending, mark, copied, batch };
        }
        let rows = (!batch.is_empty()).then_some((stream, batch));
        let aside = PutAside { sending, mark, copied, ..self.aside(letters, rows) };
        Body::PutAside(Box::new(aside))
    }

    fn aside(&self, letters: Vec<Letter>, rows: Option<(Text, Batch)>) -> PutAside {
        let bounds = self.letters.bounds;
        PutAside { letters, bounds, rows, sending: None, mark: None, copied: None }
    }

    /// Shows what changed among the letters, and tells publishers what of theirs is in one.
    pub(super) fn follow_letters(&mut self) {
        let news = self.replica.take_letter_news();
        if news.is_empty() && self.letters.shown.figures().closed == self.replica.letters().closed()
        {
            return;
        }
        for news in &news {
            if let LetterNews::Came(_, letter) = news {
                self.tell_publisher(letter);
            }
        }
        self.letters.shown.follow(news, self.replica.letters());
    }

    fn tell_publisher(&self, letter: &Letter) {
        if let Payload::Rows { first, batch, .. } = &letter.payload
            && *first > 0
        {
            self.put_aside_upto(&letter.place, *first + batch.len() as u64 - 1);
        }
    }

    fn put_aside_upto(&self, publisher: &str, last: u64) {
        let mut ends = self.version.streams.iter().flat_map(|front| &front.publishers);
        if let Some(end) = ends.find(|end| *end.name == *publisher) {
            end.put_aside_upto(last);
        }
    }

    /// Shows the letters of the state as it stands, and tells every publisher what is in one.
    pub(super) fn begin_letters(&self) {
        let letters = self.replica.letters();
        self.letters.shown.begin(letters);
        for end in self.version.streams.iter().flat_map(|front| &front.publishers) {
            // The state may be that of another history, in which less was put aside.
            end.begin_aside(letters.aside().get(end.name.as_str()).copied().unwrap_or(0));
        }
    }

    /// Shows rows over which the plan fell, if they do not become a letter since there is a fault
    /// stream for them.
    pub(super) fn show_poison(&self, stream: &str, batch: &Batch, message: &str) {
        let plan = self.replica.plan();
        let fault = plan.and_then(|plan| plan.streams[plan.stream(stream)?].fault);
        if fault.is_some() {
            count(&self.letters.shown, "poison", stream, batch, message);
        }
    }
}

/// Shows the first row of what is counted and not kept.
pub(super) fn count(
    letters: &DeadLetters,
    reason: &'static str,
    stream: &str,
    batch: &Batch,
    message: &str,
) {
    let first = if batch.is_empty() { Vec::new() } else { batch.row(0) };
    letters.count(reason, stream, batch.len(), message, &format!("{first:?}"));
}
