//! What publishers that carry messages share: the mapper's encoder, and how far a parcel has come.

use std::fmt;

use crate::language::diagnostic::Diagnostic;
use crate::mappers;
use crate::mappers::Encoder;
use crate::mappers::Messages;
use crate::plan::logical::Mapping;
use crate::publishers::Parcel;
use crate::publishers::Setup;

/// Makes messages of parcels.
pub struct Outgoing {
    encoder: Box<dyn Encoder>,
    messages: Messages,
    /// The parcel at hand and how many of its rows have arrived.
    at_hand: (u64, usize),
}

impl Outgoing {
    /// With the mapper of a sink, or the default one.
    pub fn build(
        setup: &Setup<'_>,
        default_mapper: &str,
        faults: &mut Vec<Diagnostic>,
    ) -> Option<Outgoing> {
        let mapping = mapping(setup, default_mapper);
        let encoder = mappers::encoder(&mapping, setup.schema, faults)?;
        Some(Outgoing { encoder, messages: Messages::new(), at_hand: (0, 0) })
    }

    /// Makes messages of what has not arrived of a parcel.
    pub fn begin(&mut self, parcel: &Parcel) {
        if self.at_hand.0 != parcel.number {
            self.at_hand = (parcel.number, 0);
        }
        self.messages.clear();
        let rows = self.at_hand.1..parcel.batch.len();
        self.encoder.encode(&parcel.batch, rows, &mut self.messages);
    }

    /// The messages of the parcel begun, each with its rows.
    pub fn messages(&self) -> &Messages {
        &self.messages
    }

    /// Takes note that the rows before this one need not be carried again.
    pub fn arrived(&mut self, row: usize) {
        self.at_hand.1 = row;
    }
}

/// The mapping of a sink, or the default one.
pub fn mapping(setup: &Setup<'_>, default_mapper: &str) -> Mapping {
    setup.endpoint.map.clone().unwrap_or_else(|| Mapping {
        kind: default_mapper.to_owned(),
        options: Vec::new(),
        attributes: Vec::new(),
        payload: Vec::new(),
        span: setup.endpoint.span,
    })
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("at_hand", &self.at_hand).finish_non_exhaustive()
    }
}
