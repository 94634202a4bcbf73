//! Plays as logs of entries: through two replicas with a takeover after every entry, and from the
//! journal of a process that is lost time and again. The same must come out as when played.

use crate::journaled::Journaled;
use crate::pair::Pair;
use std::collections::BTreeMap;
use std::sync::Arc;
use twinflow::engine::context::Note;
use twinflow::engine::entry::Outlet;
use twinflow::engine::library::Library;
use twinflow::event::Batch;
use twinflow::event::Millis;
use twinflow::event::Text;
use twinflow::event::Value;
use twinflow::language::parse_query;
use twinflow::plan::check_query;
use twinflow::plan::logical;
use twinflow::plan::logical::OnDemand;
use twinflow::plan::logical::Origin;
use twinflow::plan::logical::Plan;
use twinflow::plan::logical::QueryId;
use twinflow::plan::logical::StreamId;
use twinflow::rehearsal::Act;
use twinflow::rehearsal::InputRow;
use twinflow::rehearsal::SECRET;
use twinflow::rehearsal::Stage;
use twinflow::rehearsal::Step;
use twinflow::replica::Body;
use twinflow::replica::Deployment;
use twinflow::replica::LogEntry;
use twinflow::replica::Outcome;
use twinflow::replica::Output;

/// Nodes that keep a log and apply it.
pub trait Nodes {
    /// An entry is ordered and applied.
    fn enter(&mut self, entry: LogEntry) -> Result<Outcome, String>;
    /// A question is answered from the state as it stands.
    fn ask(&mut self, query: &OnDemand) -> Result<Vec<Vec<Value>>, String>;
    /// The state is kept.
    fn keep(&mut self);
    /// A log without entries begins.
    fn begin_anew(&mut self) -> Result<(), String>;
    /// A log begins after the state kept last.
    fn begin_from_kept(&mut self) -> Result<(), String>;
    /// What the outside saw.
    fn seen(&self) -> &Seen;
}

/// Rows as the outside saw them, by stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    rows: BTreeMap<StreamId, Vec<(Millis, Vec<Value>)>>,
}

impl Seen {
    fn push(&mut self, stream: StreamId, batch: &Batch) {
        let into = self.rows.entry(stream).or_default();
        into.extend((0..batch.len()).map(|row| (batch.timestamps[row], batch.row(row))));
    }
}

impl Outlet for Seen {
    fn stream(&mut self, stream: StreamId, _: Millis, rows: &Batch) {
        self.push(stream, rows);
    }

    fn query(&mut self, _: QueryId, _: Millis, _: &Batch) {}

    fn note(&mut self, _: Note) {}
}

/// What has left nodes, and where the log that runs stands in it.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    pub seen: Seen,
    /// How many rows of each stream were seen before this log began.
    before: BTreeMap<StreamId, usize>,
    place: Place,
}

/// How far results have come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// Rows of each stream since this log began.
    rows: BTreeMap<StreamId, usize>,
    /// The last number of each publisher.
    numbers: BTreeMap<Text, u64>,
}

impl Outside {
    /// Another log begins.
    pub fn begin(&mut self, numbers: Place) {
        let lengths = self.seen.rows.iter().map(|(stream, rows)| (*stream, rows.len()));
        self.before = lengths.collect();
        self.place = Place { rows: BTreeMap::new(), numbers: numbers.numbers };
    }

    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// Entries are applied again from here on.
    pub fn go_back(&mut self, place: Place) {
        self.place = place;
    }

    /// Results come: those that were seen before have to be the same.
    pub fn take(&mut self, outputs: &[Output]) -> Result<(), String> {
        for Output { stream, rows, publishers, .. } in outputs {
            for (name, first) in publishers {
                let last = self.place.numbers.entry(name.clone()).or_default();
                if *first != *last + 1 {
                    return Err(format!("{name} goes on with {first} after {last}"));
                }
                *last += rows.len() as u64;
            }
            let before = self.before.get(stream).copied().unwrap_or_default();
            let count = self.place.rows.entry(*stream).or_default();
            let known = self.seen.rows.entry(*stream).or_default();
            for row in 0..rows.len() {
                let came = (rows.timestamps[row], rows.row(row));
                match known.get(before + *count) {
                    None => known.push(came),
                    Some(known) if *known == came => {}
                    Some(known) => return Err(format!("{came:?} comes, before it was {known:?}")),
                }
                *count += 1;
            }
        }
        Ok(())
    }
}

/// Whether outputs are the same.
pub fn same(one: &[Output], other: &[Output]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(a, b)| {
            (a.stream, a.first, &a.rows, &a.publishers)
                == (b.stream, b.first, &b.rows, &b.publishers)
        })
}

/// Plays steps through a pair and from a journal, and compares with what comes out when they are
/// played plainly; gives how many rows that is.
pub fn compare(text: &str, plan: &Arc<Plan>, steps: &[Step], seed: u64) -> Result<usize, String> {
    let plain = Player::new(text, plan)?.play(steps, None)?;
    let mut pair = Pair::new();
    let through = Player::new(text, plan)?.play(steps, Some(&mut pair));
    compared(&plain, through, &pair).map_err(|what| format!("through two replicas: {what}"))?;
    let mut journaled = Journaled::new(seed);
    let through = Player::new(text, plan)?.play(steps, Some(&mut journaled));
    compared(&plain, through, &journaled).map_err(|what| format!("from the journal: {what}"))?;
    Ok(plain.0.rows.values().map(Vec::len).sum())
}

type Answer = Result<Vec<Vec<Value>>, ()>;

/// What came out plainly: rows, and answers.
type Plain = (Seen, Vec<Answer>);

fn compared(plain: &Plain, played: Result<Plain, String>, by: &dyn Nodes) -> Result<(), String> {
    let (_, answers) = played?;
    let (seen, wanted) = (by.seen(), &plain.1);
    if answers != *wanted {
        return Err(format!("answers {answers:?}, not {wanted:?}"));
    }
    let streams = plain.0.rows.keys().chain(seen.rows.keys());
    let differs = streams.into_iter().find(|of| plain.0.rows.get(of) != seen.rows.get(of));
    match differs {
        None => Ok(()),
        Some(of) => {
            let [plain, seen] = [&plain.0, seen].map(|seen| seen.rows.get(of));
            Err(format!("stream {of} gives {seen:#?}, not {plain:#?}"))
        }
    }
}

/// Plays on a stage, and on nodes beside it.
struct Player<'a> {
    text: &'a str,
    plan: &'a Arc<Plan>,
    stage: Stage,
    seen: Seen,
    answers: Vec<Answer>,
    versions: u64,
}

impl<'a> Player<'a> {
    fn new(text: &'a str, plan: &'a Arc<Plan>) -> Result<Player<'a>, String> {
        let outer = |id: &StreamId| !matches!(plan.streams[*id].origin, Origin::Inner(_));
        let streams = (0..plan.streams.len()).filter(outer).collect();
        let stage = Stage::new(Arc::clone(plan), streams, Vec::new());
        let stage = stage.map_err(|error| error.message)?;
        let (seen, answers) = (Seen::default(), Vec::new());
        Ok(Player { text, plan, stage, seen, answers, versions: 0 })
    }

    /// With nodes, answers are theirs; else the stage's.
    fn play(mut self, steps: &[Step], nodes: Option<&mut dyn Nodes>) -> Result<Plain, String> {
        let Some(first) = steps.first() else { return Ok((self.seen, self.answers)) };
        match nodes {
            None => {
                self.stage.start(first.at, &mut self.seen);
                steps.iter().try_for_each(|step| self.act(step))?;
            }
            Some(nodes) => {
                nodes.enter(self.deployment(first.at))?;
                steps.iter().try_for_each(|step| self.enter(step, &mut *nodes))?;
            }
        }
        Ok((self.seen, self.answers))
    }

    fn act(&mut self, step: &Step) -> Result<(), String> {
        let (stage, seen, at) = (&mut self.stage, &mut self.seen, step.at);
        match &step.act {
            Act::Send(stream, rows) => {
                for batch in batches(self.plan, *stream, rows) {
                    stage.feed(at, *stream, &batch, seen);
                }
            }
            Act::Tick => stage.move_to(at, seen),
            Act::Ask(text) => {
                let answer = stage.query(at, text, seen);
                self.answers.push(answer.map_err(drop));
            }
            Act::Snapshot => stage.snapshot(at, seen),
            Act::Restart => stage.restart(at, seen).map_err(|error| error.message)?,
            Act::Restore => stage.restore(at, seen).map_err(|error| error.to_string())?,
        }
        Ok(())
    }

    fn enter(&mut self, step: &Step, nodes: &mut dyn Nodes) -> Result<(), String> {
        let at = step.at;
        let tick = LogEntry::new(at, Body::Tick);
        match &step.act {
            Act::Send(stream, rows) => {
                let name = self.plan.streams[*stream].shown();
                for batch in batches(self.plan, *stream, rows) {
                    let stream = name.as_str().into();
                    let (sending, mark, copied) = (None, None, None);
                    let body = Body::Rows { stream, sending, mark, copied, batch };
                    done(nodes.enter(LogEntry::new(at, body))?)?;
                }
            }
            Act::Tick => done(nodes.enter(tick)?)?,
            Act::Ask(text) => {
                done(nodes.enter(tick)?)?;
                let answer = self.ask(at, text, nodes)?;
                self.answers.push(answer);
            }
            Act::Snapshot => {
                done(nodes.enter(tick)?)?;
                nodes.keep();
            }
            Act::Restart => {
                done(nodes.enter(tick)?)?;
                nodes.begin_anew()?;
                done(nodes.enter(self.deployment(at))?)?;
            }
            Act::Restore => {
                done(nodes.enter(tick.clone())?)?;
                nodes.begin_from_kept()?;
                done(nodes.enter(tick)?)?;
            }
        }
        Ok(())
    }

    fn ask(&self, at: Millis, text: &str, nodes: &mut dyn Nodes) -> Result<Answer, String> {
        let parsed = parse_query(text);
        let Some(tree) = parsed.tree.filter(|_| !parsed.diagnostics.iter().any(|d| d.is_error()))
        else {
            return Ok(Err(()));
        };
        let Some(query) = check_query(&tree, self.plan, &Library::standard()).query else {
            return Ok(Err(()));
        };
        if matches!(query.output, logical::Output::Return) {
            return Ok(nodes.ask(&query).map_err(drop));
        }
        let write = LogEntry::new(at, Body::Write { query: text.into(), sending: None });
        Ok(match nodes.enter(write)? {
            Outcome::Done => Ok(Vec::new()),
            _ => Err(()),
        })
    }

    fn deployment(&mut self, at: Millis) -> LogEntry {
        self.versions += 1;
        let (number, text) = (self.versions, self.text.into());
        LogEntry::new(at, Body::Deploy(Deployment { number, text, secret: SECRET }))
    }
}

fn done(outcome: Outcome) -> Result<(), String> {
    if outcome == Outcome::Done { Ok(()) } else { Err(format!("an entry is {outcome:?}")) }
}

/// One batch a row.
fn batches(plan: &Plan, stream: StreamId, rows: &[InputRow]) -> Vec<Batch> {
    let types = plan.streams[stream].schema.types();
    let row = |(place, (timestamp, values)): (usize, &InputRow)| {
        let mut batch = Batch::new(&types);
        batch.push_row(*timestamp, values);
        if place + 1 < rows.len() {
            batch.send_continues.set(0);
        }
        batch
    };
    rows.iter().enumerate().map(row).collect()
}
