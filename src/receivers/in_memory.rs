//! `inMemory`: listens on a topic of this node, to which publishers of other plans speak.

use crate::event::Batch;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::mappers;
use crate::mappers::Arrival;
use crate::mappers::PASS_THROUGH;
use crate::mappers::options;
use crate::mappers::options::Form;
use crate::mappers::options::Options;
use crate::mappers::options::needed;
use crate::receivers::Definition;
use crate::receivers::Door;
use crate::receivers::Mark;
use crate::receivers::Next;
use crate::receivers::Received;
use crate::receivers::Receiver;
use crate::receivers::ReceiverError;
use crate::receivers::Setup;
use crate::receivers::now;
use crate::receivers::reading::ROWS;
use crate::receivers::reading::Reading;
use crate::receivers::reading::mapping;
use crate::topics::Listener;
use crate::topics::Message;
use crate::topics::Topics;

/// Listens on a topic.
pub const DEFINITION: Definition = Definition {
    options: &options::Definition {
        name: "inMemory",
        help: "Takes what publishers of type `inMemory` in this node say on a topic.",
        options: &[needed("topic", Form::Text, "The topic to listen on.")],
        not_yet: &[],
        example: "@source(type='inMemory', topic='alerts', @map(type='passThrough'))\n\
                  define stream Alerts (ip string, count long);",
    },
    default_mapper: PASS_THROUGH,
    build,
};

struct InMemory {
    topics: Topics,
    topic: String,
    /// Who listens, the same in every life of this source.
    name: String,
    schema: Schema,
    /// Reads bytes; `None`: only rows are expected.
    reading: Reading,
    takes_rows: bool,
    listener: Option<Listener>,
}

fn build(
    setup: &Setup<'_>,
    options: &Options,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Receiver>> {
    let mapping = mapping(setup, PASS_THROUGH);
    let takes_rows = mapping.kind.eq_ignore_ascii_case(PASS_THROUGH);
    let decoder = match takes_rows {
        true => mappers::row_decoder(&mapping, setup.schema, faults)?,
        false => mappers::decoder(&mapping, setup.schema, faults)?,
    };
    let at = setup.endpoint.span.start;
    Some(Box::new(InMemory {
        topics: setup.topics.clone(),
        topic: options.text("topic")?.to_owned(),
        name: format!("{}/{}@{at}", setup.plan, setup.stream),
        schema: setup.schema.clone(),
        reading: Reading::new(decoder, setup.schema),
        takes_rows,
        listener: None,
    }))
}

impl InMemory {
    fn take(&mut self, message: &Message) {
        match message {
            Message::Bytes(bytes) => self.reading.message(bytes, &Arrival::at(now())),
            Message::Rows { schema, batch } if !self.takes_rows => {
                let reason = "rows came where messages were expected; the publisher needs the same \
                              mapper as this receiver";
                self.reading.refuse(reason.to_owned(), describe(schema, batch).as_bytes());
            }
            Message::Rows { schema, batch } if schema.types() != self.schema.types() => {
                let reason = format!(
                    "rows of other types came: expected ({}), found ({})",
                    list(&self.schema),
                    list(schema)
                );
                self.reading.refuse(reason, describe(schema, batch).as_bytes());
            }
            Message::Rows { batch, .. } => append(batch, self.reading.rows()),
        }
    }
}

/// Appends rows that enter a stream: what one cause produced in the other plan is one send here.
fn append(batch: &Batch, into: &mut Batch) {
    let start = into.len();
    for (mine, theirs) in into.columns.iter_mut().zip(&batch.columns) {
        mine.extend(theirs, 0, batch.len());
    }
    into.timestamps.extend_from_slice(&batch.timestamps);
    for row in batch.continues.iter().filter(|row| row + 1 < batch.len()) {
        into.send_continues.set(start + row);
    }
}

fn list(schema: &Schema) -> String {
    let attribute =
        |attribute: &crate::event::Attribute| format!("{} {}", attribute.name, attribute.ty);
    let attributes: Vec<String> = schema.attributes.iter().map(attribute).collect();
    attributes.join(", ")
}

fn describe(schema: &Schema, batch: &Batch) -> String {
    match batch.is_empty() {
        true => list(schema),
        false => format!("{:?}", batch.row(0)),
    }
}

impl Receiver for InMemory {
    fn pulls(&self) -> bool {
        false
    }

    fn open(&mut self, door: &Door, mark: Option<&Mark>) -> Result<(), ReceiverError> {
        let door = door.clone();
        let seen = mark.and_then(|mark| mark.0.parse().ok());
        let wake = move || door.wake();
        self.listener = Some(self.topics.listen(&self.topic, &self.name, seen, wake));
        Ok(())
    }

    fn poll(&mut self) -> Result<(Received, Next), ReceiverError> {
        let Some(listener) = &mut self.listener else {
            return Err(ReceiverError::permanent("polled before it was opened"));
        };
        let (messages, number, more) = listener.take(ROWS);
        messages.iter().for_each(|message| self.take(message));
        let mut received = self.reading.finish();
        received.mark = (!messages.is_empty()).then(|| Mark(number.to_string()));
        // The next poll also tells the topic that these are taken, so that they make room.
        let next = if more || !messages.is_empty() { Next::Now } else { Next::WhenWoken };
        Ok((received, next))
    }

    fn close(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.leave();
        }
    }

    fn detail(&self) -> String {
        let waiting = self.listener.as_ref().map_or(0, Listener::waiting);
        format!("topic `{}`, {waiting} events wait", self.topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DataType;
    use crate::event::Value;
    use crate::receivers::harness::Source;
    use std::sync::Arc;

    fn rows(schema: &Schema, rows: &[&[Value]]) -> Message {
        let mut batch = Batch::new(&schema.types());
        rows.iter().for_each(|row| batch.push_row(3, row));
        batch.join_chunk(0);
        Message::Rows { schema: Arc::new(schema.clone()), batch: Arc::new(batch) }
    }

    #[test]
    fn rows_pass_as_they_are_and_a_chunk_is_a_send() {
        let schema = Schema::new([("ip", DataType::Text), ("n", DataType::Long)]);
        let source = Source::new("inMemory", &schema).option("topic", "t");
        let mut receiver = source.build();
        receiver.open(&source.door(), None).unwrap();
        let row: &[Value] = &["a".into(), Value::Long(1)];
        source.topics.say("t", &[rows(&schema, &[row, row]), rows(&schema, &[row])]).unwrap();
        assert_eq!(source.wakes(), 1);
        let (received, next) = receiver.poll().unwrap();
        assert_eq!(next, Next::Now);
        assert_eq!((received.batch.len(), received.batch.timestamps[0]), (3, 3));
        assert_eq!(received.batch.send_continues.iter().collect::<Vec<_>>(), [0]);
        assert!(!received.batch.continues.any());
        assert_eq!(received.batch.row(2), row);
        let (received, next) = receiver.poll().unwrap();
        assert_eq!((received.batch.len(), next), (0, Next::WhenWoken));
        receiver.close();
        assert!(source.topics.say("t", &[]).is_err());
    }

    #[test]
    fn other_rows_are_put_aside_with_a_reason() {
        let schema = Schema::new([("ip", DataType::Text)]);
        let other = Schema::new([("n", DataType::Int)]);
        let source = Source::new("inMemory", &schema).option("topic", "t");
        let mut receiver = source.build();
        receiver.open(&source.door(), None).unwrap();
        source.topics.say("t", &[rows(&other, &[&[Value::Int(1)]])]).unwrap();
        source.topics.say("t", &[Message::Bytes(b"text".as_slice().into())]).unwrap();
        let (received, _) = receiver.poll().unwrap();
        // One attribute of type string can also take a text as it is.
        assert_eq!(received.batch.row(0), [Value::from("text")]);
        assert!(received.unreadable[0].reason.contains("expected (ip string), found (n int)"));

        let source = Source::new("inMemory", &schema).option("topic", "t").mapper("json");
        let mut receiver = source.build();
        receiver.open(&source.door(), None).unwrap();
        source.topics.say("t", &[rows(&schema, &[&["a".into()]])]).unwrap();
        source.topics.say("t", &[Message::Bytes(br#"{"ip":"b"}"#.as_slice().into())]).unwrap();
        let (received, _) = receiver.poll().unwrap();
        assert_eq!(received.batch.row(0), [Value::from("b")]);
        assert!(received.unreadable[0].reason.contains("the same mapper"));
    }
}
