//! The ways of playing a play. However its rows are cut into entries, and whether or not the engine
//! is changed for a new one in between, the same must come out.

use crate::event::Batch;
use crate::event::Millis;
use crate::event::Value;
use crate::plan::logical::Origin;
use crate::plan::logical::Plan;
use crate::plan::logical::StreamId;
use crate::rehearsal::literal;
use crate::rehearsal::record::Record;
use crate::rehearsal::stage::NoSnapshot;
use crate::rehearsal::stage::Stage;
use std::fmt;

/// Something that happens, with all names found and all values of the right types.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When.
    pub at: Millis,
    /// What.
    pub act: Act,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Rows of one send come to a stream.
    Send(StreamId, Vec<InputRow>),
    /// Time passes.
    Tick,
    /// Somebody asks.
    Ask(String),
    /// The state is kept.
    Snapshot,
    /// A fresh engine takes over.
    Restart,
    /// The newest snapshot's state is taken.
    Restore,
}

/// A row that comes in: its own time, and its values.
pub type InputRow = (Millis, Vec<Value>);

/// What happens as the lines of a play, to be put between `-- play` and `-- expect`.
pub fn written(plan: &Plan, steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        let act = match &step.act {
            Act::Send(stream, rows) => {
                let rows: Vec<String> = rows.iter().map(|row| written_row(row, step.at)).collect();
                let mark =
                    if matches!(plan.streams[*stream].origin, Origin::Fault(_)) { "!" } else { "" };
                format!("{mark}{}  {}", plan.streams[*stream].name, rows.join("; "))
            }
            Act::Tick => "tick".to_owned(),
            Act::Ask(question) => format!("ask {question}"),
            Act::Snapshot => "snapshot".to_owned(),
            Act::Restart => "restart".to_owned(),
            Act::Restore => "restore".to_owned(),
        };
        text.push_str(&format!("@{}  {act}\n", step.at));
    }
    text
}

fn written_row((timestamp, values): &InputRow, at: Millis) -> String {
    let mut text = String::new();
    literal::write_all(values, &mut text);
    if *timestamp != at {
        text.push_str(&format!(" @{timestamp}"));
    }
    text
}

/// A way of playing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One entry a step.
    AsWritten,
    /// One entry a row.
    RowByRow,
    /// As few entries as order and time allow.
    Whole,
    /// As whole, then cut at random, with moments in between at which nothing happens.
    Cut(u64),
    /// One entry a row, the state saved and loaded into a fresh engine after each.
    Reloaded,
    /// Cut at random, saved and loaded at random.
    CutAndReloaded(u64),
    /// Cut at random, now and then taken over by a new version of the plan, which is the same.
    CutAndCarried(u64),
}

impl Way {
    /// Every way, with random ones from a seed.
    pub fn all(seed: u64) -> [Way; 7] {
        [
            Way::AsWritten,
            Way::RowByRow,
            Way::Whole,
            Way::Cut(seed),
            Way::Reloaded,
            Way::CutAndReloaded(seed.wrapping_add(1)),
            Way::CutAndCarried(seed.wrapping_add(2)),
        ]
    }
}

impl fmt::Display for Way {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::AsWritten => formatter.write_str("as written"),
            Way::RowByRow => formatter.write_str("one row an entry"),
            Way::Whole => formatter.write_str("as few entries as possible"),
            Way::Cut(seed) => write!(formatter, "cut at random (seed {seed})"),
            Way::Reloaded => formatter.write_str("saved and loaded after every row"),
            Way::CutAndReloaded(seed) => {
                write!(formatter, "cut, saved and loaded at random (seed {seed})")
            }
            Way::CutAndCarried(seed) => {
                write!(formatter, "cut, taken over by the same plan at random (seed {seed})")
            }
        }
    }
}

/// Numbers that look like chance and follow from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// The next number, all values alike.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound.max(1)
    }

    /// One of several things.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// One entry to be made: a step, or rows of several steps at once.
enum Portion {
    Rows { at: Millis, stream: StreamId, rows: Batch },
    Other(Step),
}

/// Plays all steps in one way and keeps what comes out.
///
/// # Errors
/// If a state could not be loaded again.
pub(super) fn play(mut stage: Stage, steps: &[Step], way: Way) -> Result<Record, NoSnapshot> {
    let mut record = Record::default();
    let Some(first) = steps.first() else { return Ok(record) };
    let mut dice = match way {
        Way::Cut(seed) | Way::CutAndReloaded(seed) | Way::CutAndCarried(seed) => Dice::new(seed),
        Way::AsWritten | Way::RowByRow | Way::Whole | Way::Reloaded => Dice::new(0),
    };
    let portions = portions(stage.plan(), steps, way, &mut dice);
    stage.start(first.at, &mut record);
    for portion in portions {
        match portion {
            Portion::Rows { at, stream, rows } => stage.feed(at, stream, &rows, &mut record),
            Portion::Other(step) => act(&mut stage, step, &mut record)?,
        }
        match way {
            Way::Reloaded => stage.change_engine()?,
            Way::CutAndReloaded(_) if dice.below(3) == 0 => stage.change_engine()?,
            Way::CutAndCarried(_) if dice.below(3) == 0 => stage.change_version()?,
            _ => {}
        }
    }
    Ok(record)
}

fn act(stage: &mut Stage, step: Step, record: &mut Record) -> Result<(), NoSnapshot> {
    match step.act {
        Act::Send(..) => {}
        Act::Tick => stage.move_to(step.at, record),
        Act::Ask(text) => match stage.query(step.at, &text, record) {
            Ok(rows) => record.answer(stage.at(), rows),
            Err(refusal) => record.refusal(stage.at(), refusal.code),
        },
        Act::Snapshot => stage.snapshot(step.at, record),
        Act::Restart => {
            stage.restart(step.at, record).expect("a plan that was built can be built again")
        }
        Act::Restore => stage.restore(step.at, record)?,
    }
    Ok(())
}

/// Lays out the entries of a way.
fn portions(plan: &Plan, steps: &[Step], way: Way, dice: &mut Dice) -> Vec<Portion> {
    let mut portions: Vec<Portion> = Vec::new();
    let mut now = Millis::MIN;
    for step in steps {
        let idle = step.at.saturating_sub(now.max(0)).max(0) as u64;
        let cuts = matches!(way, Way::Cut(_) | Way::CutAndReloaded(_) | Way::CutAndCarried(_));
        if cuts && now > Millis::MIN && idle > 1 {
            let at = now + dice.below(idle) as Millis;
            portions.push(Portion::Other(Step { at, act: Act::Tick }));
        }
        let Act::Send(stream, rows) = &step.act else {
            now = now.max(step.at);
            portions.push(Portion::Other(step.clone()));
            continue;
        };
        now = now.max(step.at);
        let types = plan.streams[*stream].schema.types();
        for (place, (timestamp, values)) in rows.iter().enumerate() {
            let apart = match way {
                Way::AsWritten => place == 0,
                Way::RowByRow | Way::Reloaded => true,
                Way::Whole => false,
                Way::Cut(_) | Way::CutAndReloaded(_) | Way::CutAndCarried(_) => dice.below(3) == 0,
            };
            let open = match portions.last_mut() {
                Some(Portion::Rows { at, stream: before, rows })
                    if !apart && (*at, *before) == (now, *stream) =>
                {
                    rows
                }
                _ => {
                    let rows = Batch::new(&types);
                    portions.push(Portion::Rows { at: now, stream: *stream, rows });
                    match portions.last_mut() {
                        Some(Portion::Rows { rows, .. }) => rows,
                        _ => continue,
                    }
                }
            };
            open.push_row(*timestamp, values);
            if place + 1 < rows.len() {
                open.send_continues.set(open.len() - 1);
            }
        }
    }
    portions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DataType;
    use crate::event::Schema;
    use crate::plan::logical::Stream;

    fn plan() -> Plan {
        let stream = Stream {
            name: "S".into(),
            schema: Schema::new([("a", DataType::Int)]),
            origin: Origin::Defined,
            sources: Vec::new(),
            sinks: Vec::new(),
            store: None,
            fault: None,
            keeps_faults: false,
            watermark: None,
            row_by_row: false,
            apart: Vec::new(),
            span: Default::default(),
        };
        Plan { streams: vec![stream], ..Plan::default() }
    }

    fn sizes(way: Way) -> Vec<usize> {
        let send = |at, count: i32| Step {
            at,
            act: Act::Send(0, (0..count).map(|row| (at, vec![Value::Int(row)])).collect()),
        };
        let tick = Step { at: 9, act: Act::Tick };
        let steps = [send(1, 2), send(1, 3), tick, send(9, 1), send(12, 1)];
        let size = |portion: &Portion| match portion {
            Portion::Rows { rows, .. } => rows.len(),
            Portion::Other(_) => 0,
        };
        portions(&plan(), &steps, way, &mut Dice::new(7)).iter().map(size).collect()
    }

    #[test]
    fn each_way_cuts_in_its_own_way() {
        assert_eq!(sizes(Way::AsWritten), [2, 3, 0, 1, 1]);
        assert_eq!(sizes(Way::RowByRow), [1, 1, 1, 1, 1, 0, 1, 1]);
        assert_eq!(sizes(Way::Whole), [5, 0, 1, 1]);
        assert_eq!(sizes(Way::Cut(7)).iter().sum::<usize>(), 7);
    }

    #[test]
    fn steps_are_written_as_a_play() {
        let row = |at, value| (at, vec![Value::Int(value)]);
        let send = Step { at: 1, act: Act::Send(0, vec![row(1, 5), row(0, 6)]) };
        let steps = [send, Step { at: 2, act: Act::Restore }];
        assert_eq!(written(&plan(), &steps), "@1  S  5; 6 @0\n@2  restore\n");
    }

    #[test]
    fn sends_keep_their_ends() {
        let rows = vec![(1, vec![Value::Int(1)]), (1, vec![Value::Int(2)])];
        let step = Step { at: 1, act: Act::Send(0, rows) };
        let cut = portions(&plan(), &[step], Way::RowByRow, &mut Dice::new(0));
        let marks: Vec<bool> = cut
            .iter()
            .map(|portion| match portion {
                Portion::Rows { rows, .. } => rows.send_continues.get(0),
                Portion::Other(_) => false,
            })
            .collect();
        assert_eq!(marks, [true, false]);
    }
}
