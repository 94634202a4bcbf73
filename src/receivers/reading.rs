//! Messages through a decoder into one batch, with an account of what could not be read.

use std::fmt;

use crate::event::Batch;
use crate::event::DataType;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::mappers;
use crate::mappers::Arrival;
use crate::mappers::Decoder;
use crate::plan::logical::Mapping;
use crate::receivers::Received;
use crate::receivers::Setup;
use crate::receivers::Unreadable;

/// Rows after which a poll comes to its end.
pub const ROWS: usize = 1024;
/// Bytes of messages after which a poll comes to its end.
pub const BYTES: usize = 1 << 20;

/// Reads the messages of one source.
pub struct Reading {
    decoder: Box<dyn Decoder>,
    /// The message that told the decoder how to read the others, where it wants one.
    head: Option<Vec<u8>>,
    types: Vec<DataType>,
    received: Received,
    bytes: usize,
}

impl Reading {
    /// Builds the decoder of a source's mapping, or of the default one.
    pub fn build(
        setup: &Setup<'_>,
        default_mapper: &str,
        faults: &mut Vec<Diagnostic>,
    ) -> Option<Reading> {
        let decoder = mappers::decoder(&mapping(setup, default_mapper), setup.schema, faults)?;
        Some(Reading::new(decoder, setup.schema))
    }

    /// Reads by a decoder of a stream.
    pub fn new(decoder: Box<dyn Decoder>, schema: &Schema) -> Reading {
        let types = schema.types();
        let batch = Batch::new(&types);
        let received = Received { batch, ..Received::default() };
        Reading { decoder, head: None, types, received, bytes: 0 }
    }

    /// Whether a poll has read enough.
    pub fn is_full(&self) -> bool {
        self.received.batch.len() >= ROWS
            || self.received.unreadable.len() >= ROWS
            || self.bytes >= BYTES
    }

    /// A new file begins.
    pub fn begin(&mut self) {
        self.decoder.begin();
        self.head = None;
    }

    /// Whether the decoder has to be shown the head of a file whose middle is read next.
    pub fn wants_head(&self) -> bool {
        self.decoder.wants_head()
    }

    /// Reads a message: one send.
    pub fn message(&mut self, message: &[u8], arrival: &Arrival) {
        self.bytes += message.len();
        match self.decoder.decode(message, arrival, &mut self.received.batch) {
            Ok(decoded) => {
                self.received.unmatched += decoded.unmatched;
                if self.head.is_none() && self.decoder.wants_head() {
                    self.head = Some(message.to_vec());
                }
            }
            Err(error) => {
                // Alone it would be taken for a head.
                let input = match &self.head {
                    Some(head) => [head, b"\n".as_slice(), message].concat(),
                    None => message.to_vec(),
                };
                self.refuse(error.to_string(), input);
            }
        }
    }

    /// Takes note of an input that is no event.
    pub fn refuse(&mut self, reason: String, input: Vec<u8>) {
        self.received.unreadable.push(Unreadable { reason, input });
    }

    /// How much was read so far: rows, and inputs that are none.
    pub fn gathered(&self) -> usize {
        self.received.batch.len() + self.received.unreadable.len()
    }

    /// The rows read so far, to append to without a decoder.
    pub fn rows(&mut self) -> &mut Batch {
        &mut self.received.batch
    }

    /// Shows the decoder the head of a file whose middle is read next.
    pub fn head(&mut self, message: &[u8]) {
        let mut rows = Batch::new(&self.types);
        // Its rows, if it is not a head after all, were read before; so were its faults.
        let _ = self.decoder.decode(message, &Arrival::at(0), &mut rows);
        self.head = Some(message.to_vec());
    }

    /// What was read since the last time.
    pub fn finish(&mut self) -> Received {
        self.bytes = 0;
        let batch = Batch::new(&self.types);
        let next = Received { batch, ..Received::default() };
        std::mem::replace(&mut self.received, next)
    }
}

/// The mapping of a source, or the default one.
pub fn mapping(setup: &Setup<'_>, default_mapper: &str) -> Mapping {
    setup.endpoint.map.clone().unwrap_or_else(|| Mapping {
        kind: default_mapper.to_owned(),
        options: Vec::new(),
        attributes: Vec::new(),
        payload: Vec::new(),
        span: setup.endpoint.span,
    })
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("received", &self.received).finish_non_exhaustive()
    }
}
