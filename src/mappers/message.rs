//! What mappers give back: rows taken or the first fault, and messages made from rows.

use crate::event::Attribute;
use crate::event::Batch;
use std::fmt;
use std::ops::Range;

/// Why a message was refused, for metrics and problem codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// No event in it.
    Empty,
    /// Not of the format at all: a stray character, an early end.
    Syntax,
    /// Not UTF-8.
    Encoding,
    /// Brackets too deep.
    Depth,
    /// More events than one message may hold.
    TooMany,
    /// A value of another type than the attribute's.
    Type,
    /// A number that the attribute's type cannot hold.
    Range,
    /// An attribute without a value.
    Missing,
    /// A name that is no attribute of the stream.
    Unknown,
    /// A name given twice in one event.
    Duplicate,
    /// A text that the mapping's pattern does not match, where that is to be an error.
    Unmatched,
}

impl Fault {
    /// Every fault, for tables of metrics and the manual.
    pub const ALL: [Fault; 11] = [
        Fault::Empty,
        Fault::Syntax,
        Fault::Encoding,
        Fault::Depth,
        Fault::TooMany,
        Fault::Type,
        Fault::Range,
        Fault::Missing,
        Fault::Unknown,
        Fault::Duplicate,
        Fault::Unmatched,
    ];

    /// A stable name: `type`, `missing-attribute`.
    pub fn code(self) -> &'static str {
        match self {
            Fault::Empty => "no-event",
            Fault::Syntax => "malformed",
            Fault::Encoding => "not-utf-8",
            Fault::Depth => "too-deep",
            Fault::TooMany => "too-many-events",
            Fault::Type => "wrong-type",
            Fault::Range => "out-of-range",
            Fault::Missing => "missing-attribute",
            Fault::Unknown => "unknown-attribute",
            Fault::Duplicate => "duplicate-attribute",
            Fault::Unmatched => "unmatched",
        }
    }
}

/// The first fault of a message; none of its events was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Number of the bad event in the message, from 0.
    pub index: usize,
    /// What kind of fault.
    pub fault: Fault,
    /// The attribute it is about, if it is about one.
    pub attribute: Option<String>,
    /// The byte of the message where it was noticed.
    pub offset: usize,
    /// What was expected and what came.
    pub message: String,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "event {}: {}", self.index, self.message)
    }
}

impl std::error::Error for DecodeError {}

/// What a message held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Rows appended.
    pub rows: usize,
    /// Events left out because the mapping's pattern does not match them.
    pub unmatched: usize,
}

/// Drops the rows from `length` on, also those of which only some columns are filled.
pub fn cut_back(batch: &mut Batch, length: usize) {
    for column in &mut batch.columns {
        column.truncate(length);
    }
    batch.timestamps.truncate(length);
    batch.kinds.truncate(length);
    batch.slots.truncate(length);
    batch.continues.truncate(length);
    batch.send_continues.truncate(length);
}

/// Makes the rows from `start` to the last one send.
pub fn join_send(batch: &mut Batch, start: usize) {
    for row in start..batch.len().saturating_sub(1) {
        batch.send_continues.set(row);
    }
}

/// Messages made from rows, one after another in one buffer that is used again.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    bytes: Vec<u8>,
    ends: Vec<(usize, Range<usize>)>,
}

impl Messages {
    /// No messages.
    pub fn new() -> Messages {
        Messages::default()
    }

    /// Drops all messages; keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// How many messages.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The buffer to which the next message is appended; [`Messages::end`] closes it.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Closes the message that was appended, made from the given rows of the batch.
    pub fn end(&mut self, rows: Range<usize>) {
        self.ends.push((self.bytes.len(), rows));
    }

    /// The messages in order, each with the rows it was made from.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Range<usize>)> {
        self.ends.iter().enumerate().map(|(index, (end, rows))| {
            let start = if index == 0 { 0 } else { self.ends[index - 1].0 };
            (&self.bytes[start..*end], rows.clone())
        })
    }
}

/// A few characters of a message around a byte, for an error's text.
pub fn snippet(message: &[u8], offset: usize) -> String {
    const LENGTH: usize = 32;
    let start = offset.min(message.len());
    let end = (start + LENGTH).min(message.len());
    let mut text: String = String::from_utf8_lossy(&message[start..end])
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    if end < message.len() {
        text.push('…');
    }
    text
}

impl DecodeError {
    /// A fault of one event that is not about an attribute.
    pub fn new(index: usize, fault: Fault, offset: usize, message: impl Into<String>) -> Self {
        DecodeError { index, fault, attribute: None, offset, message: message.into() }
    }

    /// More events in a message than its reader allows.
    pub fn too_many(index: usize, offset: usize) -> Self {
        let text = "more events than one message may hold";
        DecodeError::new(index, Fault::TooMany, offset, text)
    }

    /// A fault of an attribute; `what` goes on after its name, as in ` is missing`.
    pub fn of(index: usize, fault: Fault, offset: usize, attribute: &str, what: &str) -> Self {
        DecodeError {
            index,
            fault,
            attribute: Some(attribute.to_owned()),
            offset,
            message: format!("attribute `{attribute}`{what}"),
        }
    }

    /// A text that is no value of the attribute's type.
    pub fn of_text(
        index: usize,
        fault: Fault,
        offset: usize,
        attribute: &Attribute,
        text: &str,
    ) -> Self {
        let found = snippet(text.as_bytes(), 0);
        let what = match fault {
            Fault::Range => format!(": `{found}` is out of the range of {}", attribute.ty),
            _ => format!(": expected {}, found `{found}`", attribute.ty),
        };
        DecodeError::of(index, fault, offset, &attribute.name, &what)
    }
}
