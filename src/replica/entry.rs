//! What stands in a plan's log: everything that can change the plan's state, as bytes and back.

use std::sync::Arc;

use crate::event::Batch;
use crate::event::Millis;
use crate::event::Text;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use crate::plan::answers::Answers;
use crate::replica::Bounds;
use crate::replica::Letter;

/// The version of the bytes; an entry of a newer one is refused.
const FORMAT: u8 = 1;

/// An entry of a plan's log. Its position and epoch are the log's.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// The wall clock of the node that ordered it, in milliseconds since 1970. An earlier time than
    /// the last entry's counts as the last entry's.
    pub at: Millis,
    /// What came.
    pub body: Body,
}

/// What came.
#[derive(Clone, Debug)]
pub enum Body {
    /// The plan starts, or a new version of it takes over.
    Deploy(Deployment),
    /// Rows of a stream.
    Rows {
        /// The stream's name; a fault stream's begins with `!`.
        stream: Text,
        /// Who sent it, if the sender numbers what it sends.
        sending: Option<Sending>,
        /// Where the receiver stands after these rows, if it can go back there.
        mark: Option<Mark>,
        /// What makes rows known that come on both nodes of a pair; `None`: they come once.
        copied: Option<Box<Copied>>,
        /// The rows, of the stream's types.
        batch: Batch,
    },
    /// Time passed; nothing else.
    Tick,
    /// As a tick; afterwards the nodes of a pair compare their states.
    Compare,
    /// An on-demand query that writes.
    Write {
        /// The query.
        query: Text,
        /// Who sent it, if the sender numbers what it sends.
        sending: Option<Sending>,
    },
    /// A piece of the rows that a table's store had when the plan came to it.
    Load {
        /// The table's name.
        table: Text,
        /// Whether it is the first piece: what was loaded before counts for nothing.
        is_first: bool,
        /// Whether nothing comes after it.
        is_last: bool,
        /// Columns of the table; without primary key, then the numbers of the rows.
        batch: Batch,
    },
    /// What an external table was found to hold, for rows that wait for it. Of several answers to a
    /// question the first counts.
    Answers(Arc<Answers>),
    /// An earlier entry that the plan cannot process has no effect; its rows go to the fault
    /// stream, if there is one.
    Skip {
        /// The earlier entry's position.
        position: u64,
        /// What happened when it was applied.
        reason: Text,
    },
    /// Dead letters, and what came along with them.
    PutAside(Box<PutAside>),
    /// Dead letters of one place are taken up again, in this order, and closed.
    TakeUp {
        /// Their numbers.
        letters: Vec<u64>,
        /// What their messages were read as: rows of a stream; `None` for letters that hold rows.
        rows: Option<(Text, Batch)>,
        /// Who sent it, if the sender numbers what it sends.
        sending: Option<Sending>,
    },
    /// Dead letters are closed without more ado.
    Discard {
        /// Their numbers.
        letters: Vec<u64>,
        /// Who sent it, if the sender numbers what it sends.
        sending: Option<Sending>,
    },
}

/// Dead letters, and what came along with them.
#[derive(Clone, Debug)]
pub struct PutAside {
    /// The letters.
    pub letters: Vec<Letter>,
    /// How many are kept from now on.
    pub bounds: Bounds,
    /// Rows of a stream that their receiver brought together with them.
    pub rows: Option<(Text, Batch)>,
    /// Who sent it, if the sender numbers what it sends.
    pub sending: Option<Sending>,
    /// Where the receiver stands after all of this, if it can go back there.
    pub mark: Option<Mark>,
    /// What makes rows known that come on both nodes of a pair; `None`: they come once.
    pub copied: Option<Box<Copied>>,
}

/// A version of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Counts the versions of the plan, from 1.
    pub number: u64,
    /// Its text.
    pub text: Text,
    /// What chance is drawn from; the first version's counts.
    pub secret: u64,
}

/// Who sent something, so that sending it again has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending {
    /// The producer's name.
    pub producer: Text,
    /// Its number for this send; each is above the one before.
    pub sequence: u64,
}

/// How far a receiver has come in what it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The receiver's name in the plan.
    pub receiver: Text,
    /// The place, in a form of the receiver's own.
    pub place: Text,
}

/// Rows of a receiver that gets every event on both nodes of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The receiver's name in the plan.
    pub receiver: Text,
    /// The node that brings them; empty where there is no pair.
    pub node: Text,
    /// The attribute by which events are known, as the stream counts them; `None`: by all of them.
    pub id: Option<u32>,
    /// How long events are remembered, in milliseconds.
    pub window: Millis,
    /// Where the receiver stood before these rows, if they come with a mark: rows that do not go on
    /// where the log says have no effect.
    pub after: Option<Text>,
    /// The receiver passed over what waited for it, since the other node had brought it.
    pub has_passed: bool,
}

impl Sending {
    /// The number `sequence` of this producer.
    #[must_use]
    pub fn new(producer: &str, sequence: u64) -> Self {
        Self { producer: producer.into(), sequence }
    }
}

impl Body {
    /// Who sent it, of what somebody can send.
    pub fn sending_mut(&mut self) -> Option<&mut Option<Sending>> {
        match self {
            Self::Rows { sending, .. }
            | Self::Write { sending, .. }
            | Self::TakeUp { sending, .. }
            | Self::Discard { sending, .. } => Some(sending),
            Self::PutAside(aside) => Some(&mut aside.sending),
            Self::Deploy(_)
            | Self::Tick
            | Self::Compare
            | Self::Load { .. }
            | Self::Answers(_)
            | Self::Skip { .. } => None,
        }
    }

    /// Where its receiver stands after it.
    #[must_use]
    pub fn mark(&self) -> Option<&Mark> {
        match self {
            Self::Rows { mark, .. } => mark.as_ref(),
            Self::PutAside(aside) => aside.mark.as_ref(),
            _ => None,
        }
    }

    /// What makes what it brings known where that comes on both nodes of a pair.
    #[must_use]
    pub fn copied(&self) -> Option<&Copied> {
        match self {
            Self::Rows { copied, .. } => copied.as_deref(),
            Self::PutAside(aside) => aside.copied.as_deref(),
            _ => None,
        }
    }

    /// The rows that enter a stream by it.
    #[must_use]
    pub fn rows(&self) -> Option<(&Text, &Batch)> {
        match self {
            Self::Rows { stream, batch, .. } => Some((stream, batch)),
            Self::PutAside(aside) => aside.rows.as_ref().map(|(stream, batch)| (stream, batch)),
            Self::TakeUp { rows, .. } => rows.as_ref().map(|(stream, batch)| (stream, batch)),
            _ => None,
        }
    }
}

impl LogEntry {
    /// An entry.
    #[must_use]
    pub fn new(at: Millis, body: Body) -> Self {
        Self { at, body }
    }

    /// The version that an encoded entry deploys, read without decoding anything else.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes are no entry.
    pub fn deployment(mut bytes: &[u8]) -> Result<Option<Deployment>, Malformed> {
        let (_, kind) = head(&mut bytes)?;
        if kind == DEPLOY { Deployment::decode(&mut bytes).map(Some) } else { Ok(None) }
    }

    /// The events in an encoded entry, for the bounds of queues; at least 1.
    #[must_use]
    pub fn events(mut bytes: &[u8]) -> u64 {
        match head(&mut bytes) {
            Ok((_, COUNTED_ROWS | COPIED_ROWS | LOAD | PUT_ASIDE | ANSWERS)) => {
                u64::decode(&mut bytes).unwrap_or(1).max(1)
            }
            _ => 1,
        }
    }

    /// The position that an encoded entry skips, and why.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes are no entry.
    pub fn skipped(mut bytes: &[u8]) -> Result<Option<(u64, Text)>, Malformed> {
        let (_, kind) = head(&mut bytes)?;
        if kind != SKIP {
            return Ok(None);
        }
        Ok(Some((u64::decode(&mut bytes)?, Text::decode(&mut bytes)?)))
    }
}

const DEPLOY: u8 = 1;
const ROWS: u8 = 2;
const TICK: u8 = 3;
const WRITE: u8 = 4;
const SKIP: u8 = 5;
const WRITE_ONCE: u8 = 6;
/// As `ROWS`, which is still read; their number stands first.
const COUNTED_ROWS: u8 = 7;
const COMPARE: u8 = 8;
/// The number of rows stands first.
const LOAD: u8 = 9;
/// As `COUNTED_ROWS`, with what makes copies known before the rows.
const COPIED_ROWS: u8 = 10;
/// The number of letters and rows stands first.
const PUT_ASIDE: u8 = 11;
const TAKE_UP: u8 = 12;
const DISCARD: u8 = 13;
/// The number of questions stands first.
const ANSWERS: u8 = 14;
/// As `TAKE_UP` and `DISCARD`, which are still read, of many.
const TAKE_UP_ALL: u8 = 15;
const DISCARD_ALL: u8 = 16;

/// The numbers of letters: one, or a list.
fn letters(is_one: bool, from: &mut &[u8]) -> Result<Vec<u64>, Malformed> {
    if is_one { Ok(vec![u64::decode(from)?]) } else { Vec::decode(from) }
}

fn head(from: &mut &[u8]) -> Result<(Millis, u8), Malformed> {
    if u8::decode(from)? != FORMAT {
        return Err(Malformed);
    }
    Ok((Millis::decode(from)?, u8::decode(from)?))
}

impl Encode for LogEntry {
    fn encode(&self, out: &mut Vec<u8>) {
        FORMAT.encode(out);
        self.at.encode(out);
        match &self.body {
            Body::Deploy(deployment) => {
                DEPLOY.encode(out);
                deployment.encode(out);
            }
            Body::Rows { stream, sending, mark, copied, batch } => {
                let kind = if copied.is_some() { COPIED_ROWS } else { COUNTED_ROWS };
                kind.encode(out);
                (batch.len() as u64).encode(out);
                stream.encode(out);
                sending.encode(out);
                mark.encode(out);
                copied.iter().for_each(|copied| copied.encode(out));
                batch.encode(out);
            }
            Body::Tick => TICK.encode(out),
            Body::Compare => COMPARE.encode(out),
            Body::Write { query, sending: None } => {
                WRITE.encode(out);
                query.encode(out);
            }
            Body::Write { query, sending: Some(sending) } => {
                WRITE_ONCE.encode(out);
                sending.encode(out);
                query.encode(out);
            }
            Body::Load { table, is_first, is_last, batch } => {
                LOAD.encode(out);
                (batch.len() as u64).encode(out);
                table.encode(out);
                (*is_first, *is_last).encode(out);
                batch.encode(out);
            }
            Body::Answers(answers) => {
                ANSWERS.encode(out);
                (answers.numbers.len() as u64).encode(out);
                answers.encode(out);
            }
            Body::Skip { position, reason } => {
                SKIP.encode(out);
                position.encode(out);
                reason.encode(out);
            }
            Body::PutAside(aside) => {
                PUT_ASIDE.encode(out);
                let rows = aside.rows.as_ref().map_or(0, |(_, batch)| batch.len());
                ((rows + aside.letters.len()) as u64).encode(out);
                aside.encode(out);
            }
            Body::TakeUp { letters, rows, sending } => {
                TAKE_UP_ALL.encode(out);
                letters.encode(out);
                rows.encode(out);
                sending.encode(out);
            }
            Body::Discard { letters, sending } => {
                DISCARD_ALL.encode(out);
                letters.encode(out);
                sending.encode(out);
            }
        }
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let (at, kind) = head(from)?;
        if matches!(kind, COUNTED_ROWS | COPIED_ROWS | LOAD | PUT_ASIDE | ANSWERS) {
            u64::decode(from)?;
        }
        let body = match kind {
            DEPLOY => Body::Deploy(Deployment::decode(from)?),
            ROWS | COUNTED_ROWS | COPIED_ROWS => Body::Rows {
                stream: Text::decode(from)?,
                sending: Option::decode(from)?,
                mark: Option::decode(from)?,
                copied: match kind {
                    COPIED_ROWS => Some(Box::new(Copied::decode(from)?)),
                    _ => None,
                },
                batch: Batch::decode(from)?,
            },
            TICK => Body::Tick,
            COMPARE => Body::Compare,
            WRITE => Body::Write { query: Text::decode(from)?, sending: None },
            WRITE_ONCE => {
                let sending = Some(Sending::decode(from)?);
                Body::Write { query: Text::decode(from)?, sending }
            }
            LOAD => {
                let table = Text::decode(from)?;
                let (is_first, is_last) = Encode::decode(from)?;
                Body::Load { table, is_first, is_last, batch: Batch::decode(from)? }
            }
            ANSWERS => Body::Answers(Arc::new(Answers::decode(from)?)),
            SKIP => Body::Skip { position: u64::decode(from)?, reason: Text::decode(from)? },
            PUT_ASIDE => Body::PutAside(Box::new(PutAside::decode(from)?)),
            TAKE_UP | TAKE_UP_ALL => Body::TakeUp {
                letters: letters(kind == TAKE_UP, from)?,
                rows: Option::decode(from)?,
                sending: Option::decode(from)?,
            },
            DISCARD | DISCARD_ALL => Body::Discard {
                letters: letters(kind == DISCARD, from)?,
                sending: Option::decode(from)?,
            },
            _ => return Err(Malformed),
        };
        Ok(Self { at, body })
    }
}

impl Encode for PutAside {
    fn encode(&self, out: &mut Vec<u8>) {
        self.letters.encode(out);
        self.bounds.encode(out);
        self.rows.encode(out);
        self.sending.encode(out);
        self.mark.encode(out);
        self.copied.is_some().encode(out);
        self.copied.iter().for_each(|copied| copied.encode(out));
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Self {
            letters: Vec::decode(from)?,
            bounds: Bounds::decode(from)?,
            rows: Option::decode(from)?,
            sending: Option::decode(from)?,
            mark: Option::decode(from)?,
            copied: match bool::decode(from)? {
                true => Some(Box::new(Copied::decode(from)?)),
                false => None,
            },
        })
    }
}

impl Encode for Deployment {
    fn encode(&self, out: &mut Vec<u8>) {
        self.number.encode(out);
        self.secret.encode(out);
        self.text.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let (number, secret) = (u64::decode(from)?, u64::decode(from)?);
        Ok(Self { number, text: Text::decode(from)?, secret })
    }
}

impl Encode for Mark {
    fn encode(&self, out: &mut Vec<u8>) {
        self.receiver.encode(out);
        self.place.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Self { receiver: Text::decode(from)?, place: Text::decode(from)? })
    }
}

impl Encode for Copied {
    fn encode(&self, out: &mut Vec<u8>) {
        self.receiver.encode(out);
        self.node.encode(out);
        self.id.encode(out);
        self.window.encode(out);
        self.after.encode(out);
        self.has_passed.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Self {
            receiver: Text::decode(from)?,
            node: Text::decode(from)?,
            id: Option::decode(from)?,
            window: Millis::decode(from)?,
            after: Option::decode(from)?,
            has_passed: bool::decode(from)?,
        })
    }
}

impl Encode for Sending {
    fn encode(&self, out: &mut Vec<u8>) {
        self.producer.encode(out);
        self.sequence.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Self { producer: Text::decode(from)?, sequence: u64::decode(from)? })
    }
}
