//! `inMemory`: listens on a topic of this node, to which publishers of other plans speak.

use std::any::Any;
use std::collections::VecDeque;
use std::time::Duration;

use crate::event::Batch;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::mappers;
use crate::mappers::Arrival;
use crate::mappers::Encoder as _;
use crate::mappers::JsonEncoder;
use crate::mappers::Messages;
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
use crate::receivers::heard::Heard;
use crate::receivers::now;
use crate::receivers::reading::ROWS;
use crate::receivers::reading::Reading;
use crate::receivers::reading::mapping;
use crate::topics::Content;
use crate::topics::Listener;
use crate::topics::Topics;

/// How soon it looks again how far the plan's log has come.
const LOOK: Duration = Duration::from_millis(3);

/// Listens on a topic.
pub const DEFINITION: Definition = Definition {
    options: &options::Definition {
        name: "inMemory",
        help: "Takes what publishers of type `inMemory` in this node say on a topic, each result \
               once, whatever ends meanwhile.",
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
    open: Option<Open>,
}

/// What it has while it listens.
struct Open {
    listener: Listener,
    door: Door,
    heard: Heard,
    /// Messages by their number in the queue that are not finished: each is once the plan's log
    /// says that so many messages that brought something were taken.
    unfinished: VecDeque<(u64, u64)>,
    /// How many the log says.
    applied: u64,
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
    Some(Box::new(InMemory {
        topics: setup.topics.clone(),
        topic: options.text("topic")?.to_owned(),
        name: format!("{}/{}", setup.plan, setup.name),
        schema: setup.schema.clone(),
        reading: Reading::new(decoder, setup.schema),
        takes_rows,
        open: None,
    }))
}

impl InMemory {
    fn take(&mut self, content: &Content) {
        match content {
            Content::Bytes(bytes) => self.reading.message(bytes, &Arrival::at(now())),
            Content::Rows { schema, batch } if !self.takes_rows => {
                let reason = "rows came where messages were expected; the publisher needs the same \
                              mapper as this receiver";
                self.reading.refuse(reason.to_owned(), written(schema, batch));
            }
            Content::Rows { schema, batch } if schema.types() != self.schema.types() => {
                let reason = format!(
                    "rows of other types came: expected ({}), found ({})",
                    list(&self.schema),
                    list(schema)
                );
                self.reading.refuse(reason, written(schema, batch));
            }
            Content::Rows { batch, .. } => append(batch, self.reading.rows()),
        }
    }
}

impl Open {
    /// Tells the topic which messages are in the plan's log by now.
    fn finish(&mut self) {
        let Some((_, needed)) = self.unfinished.front() else { return };
        if *needed > self.applied
            && let Some(place) = self.door.place()
        {
            self.applied = place.map_or(0, |Mark(place)| Heard::read(&place).count);
        }
        let finished = self.unfinished.partition_point(|(_, needed)| *needed <= self.applied);
        if let Some((number, _)) = self.unfinished.drain(..finished).next_back() {
            self.listener.finish(number);
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

/// Rows as JSON, an object a line.
fn written(schema: &Schema, batch: &Batch) -> Vec<u8> {
    let mut messages = Messages::new();
    JsonEncoder::plain(schema).encode(batch, 0..batch.len(), &mut messages);
    let lines: Vec<&[u8]> = messages.iter().map(|(message, _)| message).collect();
    lines.join(b"\n".as_slice())
}

impl Receiver for InMemory {
    // Both plans run on both nodes, and what the one says here the other takes here: where entries
    // are ordered.
    fn pulls(&self) -> bool {
        true
    }

    fn attend(&self) -> Option<Box<dyn Any + Send>> {
        Some(Box::new(self.topics.attend(&self.topic, &self.name)))
    }

    fn open(&mut self, door: &Door, mark: Option<&Mark>) -> Result<(), ReceiverError> {
        let heard = mark.map(|Mark(place)| Heard::read(place)).unwrap_or_default();
        let waking = door.clone();
        let listener = self.topics.listen(&self.topic, &self.name, move || waking.wake());
        let (door, unfinished) = (door.clone(), VecDeque::new());
        self.open = Some(Open { listener, door, heard, unfinished, applied: 0 });
        Ok(())
    }

    fn poll(&mut self) -> Result<(Received, Next), ReceiverError> {
        let Some(mut open) = self.open.take() else {
            return Err(ReceiverError::permanent("polled before it was opened"));
        };
        open.finish();
        let (messages, last, more) = open.listener.take(ROWS);
        let first = last + 1 - messages.len() as u64;
        for (number, message) in (first..).zip(&messages) {
            let origin = message.origin.as_ref();
            if origin.is_none_or(|origin| open.heard.take(&origin.producer, origin.last)) {
                let before = self.reading.gathered();
                self.take(&message.content);
                open.heard.count += u64::from(self.reading.gathered() > before);
            }
            open.unfinished.push_back((number, open.heard.count));
        }
        let mut received = self.reading.finish();
        received.mark = (!messages.is_empty()).then(|| Mark(open.heard.mark()));
        let next = match more {
            true => Next::Now,
            false if open.unfinished.is_empty() => Next::WhenWoken,
            false => Next::After(LOOK),
        };
        self.open = Some(open);
        Ok((received, next))
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.listener.leave();
        }
    }

    fn detail(&self) -> String {
        let waiting = self.open.as_ref().map_or(0, |open| open.listener.waiting());
        format!("topic `{}`, {waiting} events wait", self.topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DataType;
    use crate::event::Value;
    use crate::receivers::harness::Source;
    use crate::topics::Message;
    use crate::topics::Origin;
    use crate::topics::Receipt;
    use std::sync::Arc;

    fn rows(schema: &Schema, rows: &[&[Value]]) -> Message {
        let mut batch = Batch::new(&schema.types());
        rows.iter().for_each(|row| batch.push_row(3, row));
        batch.join_chunk(0);
        let (schema, batch) = (Arc::new(schema.clone()), Arc::new(batch));
        Content::Rows { schema, batch }.into()
    }

    fn text(bytes: &[u8]) -> Message {
        Content::Bytes(bytes.into()).into()
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
        assert_eq!(next, Next::After(LOOK));
        assert_eq!((received.batch.len(), received.batch.timestamps[0]), (3, 3));
        assert_eq!(received.batch.send_continues.iter().collect::<Vec<_>>(), [0]);
        assert!(!received.batch.continues.any());
        assert_eq!(received.batch.row(2), row);
        let mark = received.mark;
        let (received, next) = receiver.poll().unwrap();
        assert_eq!((received.batch.len(), next), (0, Next::After(LOOK)), "not in the log yet");
        source.applied(mark.as_ref());
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
        source.topics.say("t", &[text(b"text".as_slice())]).unwrap();
        let (received, _) = receiver.poll().unwrap();
        // One attribute of type string can also take a text as it is.
        assert_eq!(received.batch.row(0), [Value::from("text")]);
        assert!(received.unreadable[0].reason.contains("expected (ip string), found (n int)"));
        assert_eq!(received.unreadable[0].input, br#"{"event":{"n":1}}"#);

        let source = Source::new("inMemory", &schema).option("topic", "t").mapper("json");
        let mut receiver = source.build();
        receiver.open(&source.door(), None).unwrap();
        source.topics.say("t", &[rows(&schema, &[&["a".into()]])]).unwrap();
        source.topics.say("t", &[text(br#"{"ip":"b"}"#.as_slice())]).unwrap();
        let (received, _) = receiver.poll().unwrap();
        assert_eq!(received.batch.row(0), [Value::from("b")]);
        assert!(received.unreadable[0].reason.contains("the same mapper"));
    }

    fn said(number: u64, receipt: &Arc<Receipt>) -> Message {
        let (producer, receipt) = ("a/publisher:Out:1/7".into(), Arc::clone(receipt));
        let content = text(format!("{{\"n\":{number}}}").as_bytes()).content;
        Message { content, origin: Some(Origin { producer, last: number, receipt }) }
    }

    fn numbers(received: &Received) -> Vec<i64> {
        let number = |row| received.batch.row(row)[0].as_long().unwrap();
        (0..received.batch.len()).map(number).collect()
    }

    #[test]
    fn what_is_said_again_counts_once_and_is_finished_once_the_log_says_so() {
        let schema = Schema::new([("n", DataType::Long)]);
        let source = Source::new("inMemory", &schema).option("topic", "t").mapper("json");
        let (lost, topics) = (Arc::default(), &source.topics);
        let mut receiver = source.build();
        let attendance = receiver.attend().unwrap();
        let one = Receipt::new(&lost);
        topics.say("t", &[said(1, &one), said(2, &one)]).unwrap();
        receiver.open(&source.door(), None).unwrap();
        let (received, _) = receiver.poll().unwrap();
        assert_eq!(numbers(&received), [1, 2]);
        let first = received.mark;
        receiver.poll().unwrap();
        assert!(!one.is_settled());
        let two = Receipt::new(&lost);
        topics.say("t", &[said(2, &two), said(3, &two)]).unwrap();
        let (received, _) = receiver.poll().unwrap();
        assert_eq!(numbers(&received), [3]);
        source.applied(first.as_ref());
        receiver.poll().unwrap();
        assert!(one.is_settled() && !two.is_settled());
        // The node that takes over, or the next process, knows what the log says.
        drop(receiver);
        let mut receiver = source.build();
        receiver.open(&source.door(), first.as_ref()).unwrap();
        let (received, _) = receiver.poll().unwrap();
        assert_eq!(numbers(&received), [3], "not finished, so it comes again; 2 is in the log");
        source.applied(received.mark.as_ref());
        assert_eq!(receiver.poll().unwrap().1, Next::WhenWoken);
        assert!(two.is_settled());
        drop((receiver, attendance));
    }
}
