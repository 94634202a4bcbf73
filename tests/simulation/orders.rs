//! The plan that the real entries run, what is ordered of it, and what its results must be.

use crate::entries::Emission;
use crate::entries::Order;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::PoisonError;
use twinflow::event::Batch;
use twinflow::event::DataType;
use twinflow::event::Text;
use twinflow::event::Value;
use twinflow::event::codec::Encode;
use twinflow::event::hash_bytes;
use twinflow::plan::logical::Plan;
use twinflow::replica::Body;
use twinflow::replica::Copied;
use twinflow::replica::Deployment;
use twinflow::replica::EngineMaker;
use twinflow::replica::LogEntry;
use twinflow::replica::Made;
use twinflow::replica::Maker;
use twinflow::replica::Mark;
use twinflow::replica::Output;
use twinflow::replica::Sending;

/// Windows, groups, a table, a partition, a trigger. `SPAN` differs from version to version.
const PLAN: &str = "
    @source(type='http') define stream Events (producer int, sequence long, amount double);
    @primaryKey('producer')
    define table Last (producer int, sequence long, times long);
    define trigger Often at every 700 millisec;
    @sink(type='log') define stream Totals (producer int, sequence long, times long, sum double);
    @sink(type='log') define stream Recent (events long, amount double);
    @sink(type='log') @sink(type='log') define stream Means (producer int, mean double);
    @sink(type='log') define stream Known (sequence long);
    @sink(type='log') define stream Beats (beats long);
    @info(name='totals')
    from Events select producer, sequence, count() as times, sum(amount) as sum
    group by producer insert into Totals;
    @info(name='last')
    from Totals select producer, sequence, times update or insert into Last
    on Last.producer == producer;
    @info(name='recent')
    from Events#window.time(SPAN millisec) select count() as events, sum(amount) as amount
    insert all events into Recent;
    @info(name='known')
    from Events[(Last.producer == producer) in Last]#window.length(4)
    select max(sequence) as sequence
    insert into Known;
    @info(name='beats')
    from Often select count() as beats insert into Beats;
    partition with (producer of Events) begin
        @info(name='means')
        from Events#window.length(3) select producer, avg(amount) as mean insert into Means;
    end;";

/// The producers' events of a number that is a multiple of this come on both nodes.
const TWICE: u64 = 3;

/// The stream whose rows tell how often each producer's events were counted.
const TOTALS: &str = "Totals";

/// The name under which a producer sends.
pub fn producer(number: u32) -> String {
    format!("producer{number}")
}

/// The log entries of what is ordered.
pub fn entries(order: Order, is_first: bool, at: i64) -> Vec<LogEntry> {
    let mut entries = Vec::new();
    if is_first {
        entries.push(LogEntry::new(at, deployment(1)));
    }
    match order {
        Order::Deploy(number) => entries.push(LogEntry::new(at, deployment(number + 1))),
        Order::Send(number, sequence) => {
            if sequence.is_multiple_of(7) {
                entries.push(LogEntry::new(at, Body::Tick));
            }
            if sequence.is_multiple_of(11) {
                let query = "delete Last on Last.times < 3".into();
                entries.push(LogEntry::new(at, Body::Write { query, sending: None }));
            }
            entries.push(LogEntry::new(at, rows(number, sequence, at)));
            if sequence.is_multiple_of(TWICE) {
                entries.push(LogEntry::new(at, copy_of(rows(number, sequence, at))));
            }
        }
    }
    entries
}

fn deployment(number: u64) -> Body {
    let span = if number.is_multiple_of(2) { "400" } else { "600" };
    Body::Deploy(Deployment { number, text: PLAN.replace("SPAN", span).into(), secret: 7 })
}

/// An event of the producer, and now and then one that nobody counts.
fn rows(number: u32, sequence: u64, at: i64) -> Body {
    let mut batch = Batch::new(&[DataType::Int, DataType::Long, DataType::Double]);
    let mut row = |producer: i32| {
        let amount = (sequence % 17) as f64 / 4.0;
        let values = [
            Value::Int(producer),
            Value::Long(i64::try_from(sequence).unwrap_or(i64::MAX)),
            Value::Double(amount),
        ];
        batch.push_row(at, &values);
    };
    let of = i32::try_from(number).unwrap_or(i32::MAX);
    row(of);
    if sequence.is_multiple_of(5) {
        row(-1 - of);
    }
    let name = producer(number);
    let mark = Mark { receiver: name.as_str().into(), place: sequence.to_string().into() };
    let sending = Some(Sending::new(&name, sequence));
    let copied = sequence.is_multiple_of(TWICE).then(|| copied("a"));
    let mark = Some(mark).filter(|_| copied.is_none());
    Body::Rows { stream: "Events".into(), sending, mark, copied, batch }
}

/// The same events as the other node's receiver brings them.
fn copy_of(mut rows: Body) -> Body {
    if let Body::Rows { sending: Some(sending), copied: of, .. } = &mut rows {
        sending.producer = format!("{} by b", sending.producer).into();
        *of = Some(copied("b"));
    }
    rows
}

/// Known by all of what they say, for longer than any clock is set ahead.
fn copied(node: &str) -> Box<Copied> {
    let (receiver, window) = ("receiver:Events:1".into(), i64::MAX);
    let (node, id, after, has_passed) = (node.into(), None, None, false);
    Box::new(Copied { receiver, node, id, window, after, has_passed })
}

/// The results for publishers, and whether some producer's events are missing.
pub fn emissions(plan: &Plan, outputs: &[Output]) -> Result<(Vec<Emission>, bool), String> {
    let mut emissions = Vec::new();
    let mut missed = false;
    for output in outputs {
        if &*plan.streams[output.stream].name == TOTALS {
            missed |= are_missing(&output.rows)?;
        }
        if output.publishers.is_empty() {
            continue;
        }
        let mut bytes = Vec::new();
        output.rows.encode(&mut bytes);
        let (rows, digest) = (output.rows.len() as u64, hash_bytes(&bytes));
        for (publisher, first) in &output.publishers {
            let (publisher, first) = (Text::clone(publisher), *first);
            emissions.push(Emission { publisher, first, rows, digest });
        }
    }
    Ok((emissions, missed))
}

/// Producers number their events from 1 without gaps: as many have to be counted.
fn are_missing(totals: &Batch) -> Result<bool, String> {
    let mut missed = false;
    for row in 0..totals.len() {
        let values = totals.row(row);
        let [Value::Int(producer), Value::Long(sequence), Value::Long(times), _] = values[..]
        else {
            return Err(format!("strange totals: {values:?}"));
        };
        if producer < 0 {
            continue;
        }
        if times > sequence {
            return Err(format!("{times} events of {producer} were counted, it sent {sequence}"));
        }
        missed |= times < sequence;
    }
    Ok(missed)
}

/// Makes machines, and checks each text once.
struct Once {
    made: Mutex<BTreeMap<Text, Made>>,
}

impl Maker for Once {
    fn make(&self, deployment: &Deployment) -> Result<Made, String> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = made.get(&deployment.text) {
            return Ok(made.clone());
        }
        let fresh = EngineMaker.make(deployment)?;
        made.insert(deployment.text.clone(), fresh.clone());
        Ok(fresh)
    }
}

static MAKER: LazyLock<Arc<Once>> =
    LazyLock::new(|| Arc::new(Once { made: Mutex::new(BTreeMap::new()) }));

/// What makes the machines.
pub fn maker() -> Arc<dyn Maker> {
    Arc::clone(&MAKER) as Arc<dyn Maker>
}
