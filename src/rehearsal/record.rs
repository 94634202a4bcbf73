//! What was seen of a play: rows by where they came out, in order.

use crate::engine::context::Note;
use crate::engine::entry::Outlet;
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Value;
use crate::plan::logical::QueryId;
use crate::plan::logical::StreamId;
use crate::rehearsal::literal;

/// A place where something comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Channel {
    /// A stream.
    Stream(StreamId),
    /// A query's rows of one kind.
    Query(QueryId, bool),
    /// The answers to questions.
    Answers,
}

/// A row that came out, or what was said in place of rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) channel: Channel,
    pub(super) at: Millis,
    pub(super) timestamp: Millis,
    pub(super) said: Said,
}

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    Row(Vec<Value>),
    Nothing,
    Error(&'static str),
}

impl Said {
    /// As a play would say it.
    pub(super) fn shown(&self) -> String {
        match self {
            Said::Row(values) => {
                let mut text = String::new();
                literal::write_all(values, &mut text);
                text
            }
            Said::Nothing => "nothing".to_owned(),
            Said::Error(code) => format!("error {code}"),
        }
    }
}

/// Keeps all that comes out.
#[derive(Default)]
pub(super) struct Record {
    pub(super) seen: Vec<Seen>,
}

impl Record {
    /// What came out of one place.
    pub(super) fn of(&self, channel: Channel) -> Vec<&Seen> {
        self.seen.iter().filter(|seen| seen.channel == channel).collect()
    }

    /// The places where something came out, each once.
    pub(super) fn channels(&self) -> Vec<Channel> {
        let mut channels: Vec<Channel> = self.seen.iter().map(|seen| seen.channel).collect();
        channels.sort();
        channels.dedup();
        channels
    }

    /// Keeps the answer to a question.
    pub(super) fn answer(&mut self, at: Millis, rows: Vec<Vec<Value>>) {
        if rows.is_empty() {
            self.push_answer(at, Said::Nothing);
        }
        rows.into_iter().for_each(|row| self.push_answer(at, Said::Row(row)));
    }

    /// Keeps that a question was not answered.
    pub(super) fn refusal(&mut self, at: Millis, code: &'static str) {
        self.push_answer(at, Said::Error(code));
    }

    fn push_answer(&mut self, at: Millis, said: Said) {
        self.seen.push(Seen { channel: Channel::Answers, at, timestamp: at, said });
    }
}

impl Outlet for Record {
    fn stream(&mut self, stream: StreamId, now: Millis, rows: &Batch) {
        for row in 0..rows.len() {
            let channel = Channel::Stream(stream);
            let (timestamp, said) = (rows.timestamps[row], Said::Row(rows.row(row)));
            self.seen.push(Seen { channel, at: now, timestamp, said });
        }
    }

    fn query(&mut self, query: QueryId, now: Millis, rows: &Batch) {
        for row in 0..rows.len() {
            let channel = match rows.kind(row) {
                Kind::Current => Channel::Query(query, true),
                Kind::Expired => Channel::Query(query, false),
                Kind::Reset => continue,
            };
            let (timestamp, said) = (rows.timestamps[row], Said::Row(rows.row(row)));
            self.seen.push(Seen { channel, at: now, timestamp, said });
        }
    }

    fn note(&mut self, _: Note) {}
}
