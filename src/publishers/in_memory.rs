//! `inMemory`: speaks on a topic of this node, on which receivers of other plans listen.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

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
use crate::topics::Content;
use crate::topics::Message;
use crate::topics::Origin;
use crate::topics::Receipt;
use crate::topics::Refused;
use crate::topics::Topics;

/// Who listens may be about to come, or to come back, for so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Speaks on a topic.
pub const DEFINITION: Definition = Definition {
    options: &options::Definition {
        name: "inMemory",
        help: "Gives events to those receivers of type `inMemory` that listen on a topic; they \
               have left once the logs of all of their plans hold them.",
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
    /// Under whose name it speaks: of a generation of the plan.
    producer: (u64, Arc<str>),
    /// Parcels said, by their number, of which not all listeners are known to be finished.
    said: VecDeque<(u64, Arc<Receipt>)>,
    /// Whether something of it was lost; so at first, since it does not know what was said before.
    lost: Arc<AtomicBool>,
    /// When it was opened, or was heard last.
    heard: Option<Instant>,
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
    Some(Box::new(InMemory {
        topics: setup.topics.clone(),
        topic,
        outgoing,
        at_hand: (0, 0),
        producer: (0, "".into()),
        said: VecDeque::new(),
        lost: Arc::new(AtomicBool::new(true)),
        heard: None,
    }))
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

    /// What is said of some rows of a parcel, each with the end of its rows.
    fn contents(&mut self, parcel: &Parcel, start: usize, end: usize) -> Vec<(Content, usize)> {
        let Some(outgoing) = &mut self.outgoing else {
            let batch = match (start, end) {
                (0, end) if end == parcel.batch.len() => Arc::clone(&parcel.batch),
                _ => {
                    let mut part = Batch::new(&parcel.schema.types());
                    part.extend(&parcel.batch, start, end);
                    Arc::new(part)
                }
            };
            let schema = Arc::clone(&parcel.schema);
            return vec![(Content::Rows { schema, batch }, end)];
        };
        outgoing.begin(parcel);
        let messages = outgoing.messages().iter();
        let these = messages.filter(|(_, rows)| (start..end).contains(&rows.start));
        these.map(|(bytes, rows)| (Content::Bytes(bytes.into()), rows.end)).collect()
    }

    fn messages(&mut self, parcel: &Parcel, start: usize, end: usize) -> Vec<Message> {
        if self.producer.0 != parcel.generation || self.producer.1.is_empty() {
            let Parcel { plan, publisher, generation, .. } = parcel;
            let name = format!("{plan}/{publisher}/{generation:x}");
            self.producer = (*generation, name.into());
        }
        let receipt = match self.said.back() {
            Some((number, receipt)) if *number == parcel.number => Arc::clone(receipt),
            _ => {
                let receipt = Receipt::new(&self.lost);
                self.said.push_back((parcel.number, Arc::clone(&receipt)));
                receipt
            }
        };
        let contents = self.contents(parcel, start, end).into_iter();
        let message = |(content, end): (Content, usize)| {
            let (producer, receipt) = (Arc::clone(&self.producer.1), Arc::clone(&receipt));
            let last = parcel.number + end as u64 - 1;
            Message { content, origin: Some(Origin { producer, last, receipt }) }
        };
        contents.map(message).collect()
    }

    fn is_patient(&self) -> bool {
        self.heard.is_none_or(|heard| heard.elapsed() < PATIENCE)
    }
}

impl Publisher for InMemory {
    fn bears_ids(&self) -> bool {
        true
    }

    fn open(&mut self) -> Result<(), PublishError> {
        self.heard = Some(Instant::now());
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
                Refused::Nobody(_) if !self.is_patient() => {
                    PublishError::transient(refused.to_string())
                }
                _ => PublishError::busy(refused.to_string()),
            })?;
            self.heard = Some(Instant::now());
            self.at_hand.1 = end;
        }
        Ok(())
    }

    fn settled(&mut self, number: u64) -> bool {
        while let Some((said, receipt)) = self.said.front()
            && *said <= number
        {
            if !receipt.is_settled() {
                return false;
            }
            self.said.pop_front();
        }
        true
    }

    fn is_lost(&mut self) -> bool {
        let is_lost = self.lost.swap(false, Ordering::AcqRel);
        if is_lost {
            self.said.clear();
            self.at_hand = (0, 0);
        }
        is_lost
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

    fn opened(sink: &Sink) -> Box<dyn Publisher> {
        let mut publisher = sink.build();
        publisher.open().unwrap();
        assert!(publisher.is_lost(), "what was said before it came is not known to it");
        publisher
    }

    #[test]
    fn rows_or_messages_go_to_their_topics_once() {
        let sink = Sink::new("inMemory", &schema()).option("topic", "to-{{topic}}");
        let mut publisher = opened(&sink);
        let mut a = sink.topics.listen("to-a", "a", || {});
        let rows: [&[Value]; 3] = [
            &["a".into(), Value::Long(1)],
            &["a".into(), Value::Long(2)],
            &["b".into(), Value::Long(3)],
        ];
        let parcel = sink.parcel(1, &rows);
        let error = publisher.publish(&parcel).unwrap_err();
        assert!(error.busy, "who listens may be about to come: {error}");
        assert_eq!(error.message, "nobody listens on topic `to-b`");
        let mut b = sink.topics.listen("to-b", "b", || {});
        publisher.publish(&parcel).unwrap();
        for (listener, count, last) in [(&mut a, 2, 2), (&mut b, 1, 3)] {
            assert!(!publisher.settled(1));
            let (messages, number, _) = listener.take(99);
            let [Message { content: Content::Rows { batch, .. }, origin }] = &messages[..] else {
                panic!("{messages:?}")
            };
            let origin = origin.as_ref().unwrap();
            assert_eq!((batch.len(), origin.last), (count, last));
            assert_eq!(&*origin.producer, "p/publisher:S:1/7");
            listener.finish(number);
        }
        assert!(publisher.settled(1));
        let sink = Sink::new("inMemory", &schema()).option("topic", "t").mapper("json");
        let mut publisher = opened(&sink);
        let mut listener = sink.topics.listen("t", "l", || {});
        publisher.publish(&sink.parcel(7, &rows[..2])).unwrap();
        let (messages, _, _) = listener.take(99);
        let said = |message: &Message| match (&message.content, &message.origin) {
            (Content::Bytes(bytes), Some(origin)) => (bytes.to_vec(), origin.last),
            _ => panic!("{message:?}"),
        };
        assert_eq!(said(&messages[0]), (br#"{"event":{"topic":"a","n":1}}"#.to_vec(), 7));
        assert_eq!(said(&messages[1]).1, 8);
    }

    #[test]
    fn a_full_queue_is_no_failure() {
        let sink = Sink::new("inMemory", &schema()).option("topic", "t");
        let mut publisher = opened(&sink);
        let mut listener = sink.topics.listen("t", "l", || {});
        let row: &[Value] = &["a".into(), Value::Long(1)];
        let many = sink.parcel(1, &vec![row; EVENTS_MAX]);
        publisher.publish(&many).unwrap();
        let more = sink.parcel(1 + EVENTS_MAX as u64, &[row]);
        let error = publisher.publish(&more).unwrap_err();
        assert!(error.busy && error.transient, "{error}");
        let (_, number, _) = listener.take(1);
        listener.finish(number);
        publisher.publish(&more).unwrap();
        assert!(publisher.settled(1) && !publisher.settled(more.number));
    }

    #[test]
    fn nothing_more_is_said_before_what_was_lost() {
        let sink = Sink::new("inMemory", &schema()).option("topic", "t");
        let mut publisher = opened(&sink);
        let attendance = sink.topics.attend("t", "l");
        let row: &[Value] = &["a".into(), Value::Long(1)];
        let listener = sink.topics.listen("t", "l", || {});
        publisher.publish(&sink.parcel(1, &[row])).unwrap();
        listener.leave();
        assert!(publisher.publish(&sink.parcel(2, &[row])).unwrap_err().busy);
        assert!(publisher.is_lost() && !publisher.is_lost());
        publisher.publish(&sink.parcel(1, &[row])).unwrap();
        publisher.publish(&sink.parcel(2, &[row])).unwrap();
        let mut listener = sink.topics.listen("t", "l", || {});
        let (messages, number, _) = listener.take(99);
        assert_eq!(messages.len(), 2);
        listener.finish(number);
        assert!(publisher.settled(2));
        drop(attendance);
    }
}
