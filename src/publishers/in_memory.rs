//! `inMemory`: speaks on a topic of this node, on which receivers of other plans listen.

use std::sync::Arc;

use crate::event::Batch;
use crate::language::diagnostic::Diagnostic;
use crate::mappers;
use crate::mappers::PASS_THROUGH;
use crate::mappers::Template;
use crate::mappers::options;
use crate::mappers::options::Form;
use crate::mappers::options::Options;
use crate::mappers::options::needed;
use crate::publishers::Definition;
use crate::publishers::ON_ERROR;
use crate::publishers::Parcel;
use crate::publishers::PublishError;
use crate::publishers::Publisher;
use crate::publishers::Setup;
use crate::publishers::outgoing::Outgoing;
use crate::publishers::outgoing::mapping;
use crate::topics::Message;
use crate::topics::Refused;
use crate::topics::Topics;

/// Speaks on a topic.
pub const DEFINITION: Definition = Definition {
    options: &options::Definition {
        name: "inMemory",
        help: "Gives events to those receivers of type `inMemory` that listen on a topic.",
        options: &[needed("topic", Form::Text, "The topic to speak on.").dynamic(), ON_ERROR],
        not_yet: &[],
        example: "@sink(type='inMemory', topic='alerts')\n\
                  define stream Alerts (ip string, count long);",
    },
    default_mapper: PASS_THROUGH,
    build,
};

#[derive(Debug)]
struct InMemory {
    topics: Topics,
    topic: Template,
    /// Makes messages; `None`: rows go as they are.
    outgoing: Option<Outgoing>,
    /// The parcel at hand and how many of its rows were said.
    at_hand: (u64, usize),
}

fn build(
    setup: &Setup<'_>,
    options: &Options,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Publisher>> {
    let mapping = mapping(setup, DEFINITION.default_mapper);
    let outgoing = match mapping.kind.eq_ignore_ascii_case(PASS_THROUGH) {
        true => {
            mappers::check_rows(&mapping, faults);
            None
        }
        false => Some(Outgoing::build(setup, DEFINITION.default_mapper, faults)?),
    };
    let topic = options.template("topic", setup.schema, faults)?;
    Some(Box::new(InMemory { topics: setup.topics.clone(), topic, outgoing, at_hand: (0, 0) }))
}

impl InMemory {
    /// The end of the rows from `start` on that go to the same topic.
    fn run(&self, batch: &Batch, start: usize) -> (String, usize) {
        let topic = self.topic.text(batch, start);
        if self.topic.is_fixed() {
            return (topic, batch.len());
        }
        let same = |row: &usize| self.topic.text(batch, *row) == topic;
        let end = (start + 1..batch.len()).take_while(same).last().unwrap_or(start);
        (topic, end + 1)
    }

    fn messages(&mut self, parcel: &Parcel, start: usize, end: usize) -> Vec<Message> {
        let Some(outgoing) = &mut self.outgoing else {
            let batch = match (start, end) {
                (0, end) if end == parcel.batch.len() => Arc::clone(&parcel.batch),
                _ => {
                    let mut part = Batch::new(&parcel.schema.types());
                    part.extend(&parcel.batch, start, end);
                    Arc::new(part)
                }
            };
            return vec![Message::Rows { schema: Arc::clone(&parcel.schema), batch }];
        };
        outgoing.begin(parcel);
        let messages = outgoing.messages().iter();
        let these = messages.filter(|(_, rows)| (start..end).contains(&rows.start));
        these.map(|(bytes, _)| Message::Bytes(bytes.into())).collect()
    }
}

impl Publisher for InMemory {
    fn open(&mut self) -> Result<(), PublishError> {
        Ok(())
    }

    fn publish(&mut self, parcel: &Parcel) -> Result<(), PublishError> {
        if self.at_hand.0 != parcel.number {
            self.at_hand = (parcel.number, 0);
        }
        while self.at_hand.1 < parcel.batch.len() {
            let start = self.at_hand.1;
            let (topic, end) = self.run(&parcel.batch, start);
            let messages = self.messages(parcel, start, end);
            self.topics.say(&topic, &messages).map_err(|refused| match refused {
                Refused::Full { .. } => PublishError::busy(refused.to_string()),
                Refused::Nobody(_) => PublishError::transient(refused.to_string()),
            })?;
            self.at_hand.1 = end;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DataType;
    use crate::event::Schema;
    use crate::event::Value;
    use crate::publishers::harness::Sink;
    use crate::topics::EVENTS_MAX;

    fn schema() -> Schema {
        Schema::new([("topic", DataType::Text), ("n", DataType::Long)])
    }

    #[test]
    fn rows_or_messages_go_to_their_topics_once() {
        let sink = Sink::new("inMemory", &schema()).option("topic", "to-{{topic}}");
        let mut publisher = sink.build();
        let mut a = sink.topics.listen("to-a", "a", None, || {});
        let rows: [&[Value]; 3] = [
            &["a".into(), Value::Long(1)],
            &["a".into(), Value::Long(2)],
            &["b".into(), Value::Long(3)],
        ];
        let parcel = sink.parcel(1, &rows);
        let error = publisher.publish(&parcel).unwrap_err();
        assert!(error.transient && !error.busy, "{error}");
        assert_eq!(error.message, "nobody listens on topic `to-b`");
        let mut b = sink.topics.listen("to-b", "b", None, || {});
        publisher.publish(&parcel).unwrap();
        for (listener, count) in [(&mut a, 2), (&mut b, 1)] {
            let (messages, _, _) = listener.take(99);
            let [Message::Rows { batch, .. }] = &messages[..] else { panic!("{messages:?}") };
            assert_eq!(batch.len(), count);
        }
        let sink = Sink::new("inMemory", &schema()).option("topic", "t").mapper("json");
        let mut publisher = sink.build();
        let mut listener = sink.topics.listen("t", "l", None, || {});
        publisher.publish(&sink.parcel(1, &rows[..1])).unwrap();
        let (messages, _, _) = listener.take(99);
        let [Message::Bytes(bytes)] = &messages[..] else { panic!("{messages:?}") };
        assert_eq!(&**bytes, br#"{"event":{"topic":"a","n":1}}"#);
    }

    #[test]
    fn a_full_queue_is_no_failure() {
        let sink = Sink::new("inMemory", &schema()).option("topic", "t");
        let mut publisher = sink.build();
        let mut listener = sink.topics.listen("t", "l", None, || {});
        let row: &[Value] = &["a".into(), Value::Long(1)];
        let many = sink.parcel(1, &vec![row; EVENTS_MAX]);
        publisher.publish(&many).unwrap();
        let more = sink.parcel(9, &[row]);
        let error = publisher.publish(&more).unwrap_err();
        assert!(error.busy && error.transient, "{error}");
        listener.take(1);
        listener.take(1);
        publisher.publish(&more).unwrap();
    }
}
