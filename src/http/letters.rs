//! Dead letters as documents.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::actors::plan::shortened;
use crate::event::Batch;
use crate::event::Text;
use crate::http::documents::DeadLetter;
use crate::http::documents::DeadLetterDetail;
use crate::http::documents::LetterRow;
use crate::mappers::json::write_value;
use crate::replica::Letter;
use crate::replica::Payload;

/// A letter as it is listed.
pub fn shown(id: u64, letter: &Letter) -> DeadLetter {
    let sample = match &letter.payload {
        Payload::Message(message) => String::from_utf8_lossy(beginning(message)).into_owned(),
        Payload::Rows { names, batch, .. } => {
            serde_json::Value::Object(event(names, batch, 0)).to_string()
        }
    };
    DeadLetter {
        id,
        at: letter.at,
        kind: letter.kind.word(),
        place: letter.place.to_string(),
        stream: letter.stream.to_string(),
        reason: letter.reason.to_string(),
        events: letter.events(),
        bytes: letter.bytes(),
        message: letter.message.to_string(),
        sample: shortened(&sample),
    }
}

/// A letter with all that is in it.
pub fn detail(id: u64, letter: &Letter) -> DeadLetterDetail {
    let (mut input, mut input_base64, mut rows) = (None, None, None);
    match &letter.payload {
        Payload::Message(message) => match std::str::from_utf8(message) {
            Ok(text) => input = Some(text.to_owned()),
            Err(_) => input_base64 = Some(STANDARD.encode(message)),
        },
        Payload::Rows { first, names, batch } => {
            let row = |row: usize| LetterRow {
                timestamp: batch.timestamps[row],
                number: (*first > 0).then_some(first + row as u64),
                event: event(names, batch, row),
            };
            rows = Some((0..batch.len()).map(row).collect());
        }
    }
    DeadLetterDetail { letter: shown(id, letter), input, input_base64, rows }
}

/// More than is shown of it, in bytes.
fn beginning(message: &[u8]) -> &[u8] {
    const BYTES: usize = 4096;
    &message[..message.len().min(BYTES)]
}

fn event(names: &[Text], batch: &Batch, row: usize) -> serde_json::Map<String, serde_json::Value> {
    let value = |value: &crate::event::Value| {
        let mut written = Vec::new();
        write_value(value, &mut written);
        serde_json::from_slice(&written).unwrap_or_default()
    };
    names.iter().zip(batch.row(row)).map(|(name, of)| (name.to_string(), value(&of))).collect()
}
