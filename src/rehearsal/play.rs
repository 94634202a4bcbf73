//! Plays a script in every way and says what is not as it should be.

use crate::event::DataType;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Schema;
use crate::event::Value;
use crate::plan::logical::Plan;
use crate::rehearsal::compare;
use crate::rehearsal::fit::fit;
use crate::rehearsal::literal::WrittenRow;
use crate::rehearsal::reading::Reading;
use crate::rehearsal::record::Channel;
use crate::rehearsal::record::Record;
use crate::rehearsal::record::Said;
use crate::rehearsal::record::Seen;
use crate::rehearsal::script::Deed;
use crate::rehearsal::script::Expected;
use crate::rehearsal::script::From;
use crate::rehearsal::script::Script;
use crate::rehearsal::script::ScriptFault;
use crate::rehearsal::stage::Stage;
use crate::rehearsal::ways;
use crate::rehearsal::ways::Act;
use crate::rehearsal::ways::Step;
use crate::rehearsal::ways::Way;
use std::fmt;
use std::sync::Arc;

/// Why a play failed.
#[derive(Clone, Debug)]
pub enum Failure {
    /// Lines of the play are not as they should be.
    Script(Vec<ScriptFault>),
    /// The plan cannot run, or should not and does: what was wanted and what came.
    Plan(String),
    /// Something else came out than was expected.
    Rows {
        /// Where, as in "stream `Means`".
        place: String,
        /// In which way it was played.
        way: Way,
        /// Line by line.
        difference: String,
    },
    /// A state could not be loaded again.
    State(Way, String),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Script(faults) => {
                for (place, fault) in faults.iter().enumerate() {
                    let end = if place + 1 < faults.len() { "\n" } else { "" };
                    write!(formatter, "{fault}{end}")?;
                }
                Ok(())
            }
            Failure::Plan(message) => formatter.write_str(message),
            Failure::Rows { place, way, difference } => {
                write!(formatter, "{place}, {way}:\n{}", difference.trim_end_matches('\n'))
            }
            Failure::State(way, message) => write!(formatter, "{way}: {message}"),
        }
    }
}

/// What a line of `-- expect` asks for, with names found and values of the right types.
struct Wanted {
    at: Millis,
    timestamp: Option<Millis>,
    said: WantedSaid,
}

enum WantedSaid {
    Row(Vec<Value>),
    Nothing,
    Error(String),
}

/// Plays a script of a plan that was read, in every way, the random ones from `seed`.
///
/// # Errors
/// Says what is not as the script wants it, or differs between the ways.
pub fn rehearse(script: &Script, reading: &Reading, seed: u64) -> Result<(), Failure> {
    if !script.refused.is_empty() {
        return refused(script, reading);
    }
    let Some(plan) = &reading.plan else {
        return Err(Failure::Plan(format!("the plan is refused:\n{}", messages(reading))));
    };
    let steps = steps(script, plan)?;
    let wanted = wanted(script, plan).map_err(Failure::Script)?;
    let mut first: Option<Record> = None;
    for way in Way::all(seed) {
        let record = perform(plan, &steps, way)?;
        match &first {
            None => {
                for (channel, rows) in &wanted {
                    as_wanted(plan, *channel, rows, &record, way)?;
                }
                first = Some(record);
            }
            Some(first) => same_record(plan, first, &record, way)?,
        }
    }
    Ok(())
}

/// Plays steps in every way and says where the ways differ.
///
/// # Errors
/// Names the first difference.
pub fn compare_ways(plan: &Arc<Plan>, steps: &[Step], seed: u64) -> Result<usize, Failure> {
    let [first, others @ ..] = Way::all(seed);
    let record = perform(plan, steps, first)?;
    for way in others {
        same_record(plan, &record, &perform(plan, steps, way)?, way)?;
    }
    Ok(record.seen.len())
}

fn perform(plan: &Arc<Plan>, steps: &[Step], way: Way) -> Result<Record, Failure> {
    let streams = (0..plan.streams.len()).collect();
    let queries = (0..plan.queries.len()).collect();
    let stage = Stage::new(Arc::clone(plan), streams, queries)
        .map_err(|error| Failure::Plan(error.message))?;
    ways::play(stage, steps, way).map_err(|error| Failure::State(way, error.to_string()))
}

fn refused(script: &Script, reading: &Reading) -> Result<(), Failure> {
    let errors = reading.diagnostics.iter().filter(|each| each.is_error());
    let codes: Vec<&str> = errors.map(|each| each.code).collect();
    let all: Vec<&str> = script.refused.iter().map(String::as_str).collect();
    if codes == all {
        return Ok(());
    }
    let all = all.join(", ");
    let came = match codes.is_empty() {
        true => "it is accepted".to_owned(),
        false => format!("it is refused with:\n{}", messages(reading)),
    };
    Err(Failure::Plan(format!("the plan must be refused with {all}, but {came}")))
}

fn messages(reading: &Reading) -> String {
    let lines = reading.diagnostics.iter().filter(|each| each.is_error()).map(|each| {
        let place = reading.source.place(each.primary.span.start);
        format!("    line {}:{}: [{}] {}", place.line, place.column, each.code, each.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What happens in a script, with all names found and all values of the plan's types.
///
/// # Errors
/// Names the lines that do not fit the plan.
pub fn steps(script: &Script, plan: &Plan) -> Result<Vec<Step>, Failure> {
    let mut faults = Vec::new();
    let mut steps = Vec::new();
    for cue in &script.cues {
        let act = match &cue.deed {
            Deed::Send { stream, rows } => match send(plan, stream, rows, cue.at) {
                Ok(act) => act,
                Err(message) => {
                    faults.push(ScriptFault { line: cue.line, message });
                    continue;
                }
            },
            Deed::Tick => Act::Tick,
            Deed::Ask(text) => Act::Ask(text.clone()),
            Deed::Snapshot => Act::Snapshot,
            Deed::Restart => Act::Restart,
            Deed::Restore => Act::Restore,
        };
        steps.push(Step { at: cue.at, act });
    }
    if faults.is_empty() { Ok(steps) } else { Err(Failure::Script(faults)) }
}

fn send(plan: &Plan, name: &str, rows: &[WrittenRow], at: Millis) -> Result<Act, String> {
    let stream = plan.stream(name).ok_or_else(|| format!("the plan has no stream `{name}`"))?;
    let schema = &plan.streams[stream].schema;
    let rows = rows.iter().map(|(values, time)| {
        let values = typed(schema, values, name)?;
        Ok((time.unwrap_or(at), values))
    });
    Ok(Act::Send(stream, rows.collect::<Result<_, String>>()?))
}

/// Values of a schema's types; unlike in a replay their number must be right.
fn typed(schema: &Schema, values: &[Value], name: &str) -> Result<Vec<Value>, String> {
    if values.len() != schema.len() {
        let (wanted, given) = (schema.len(), values.len());
        let of: Vec<&str> = schema.names().collect();
        let of = of.join(", ");
        return Err(format!("`{name}` has {wanted} attributes ({of}), here are {given} values"));
    }
    fit(schema, values).map_err(|misfit| misfit.to_string())
}

/// Finds names and types of what must come out, by the place where it must.
fn wanted(script: &Script, plan: &Plan) -> Result<Vec<(Channel, Vec<Wanted>)>, Vec<ScriptFault>> {
    let mut channels: Vec<(Channel, Vec<Wanted>)> = Vec::new();
    let mut faults = Vec::new();
    for expected in &script.expected {
        let found = channels_of(expected, plan).and_then(|(found, schema)| {
            let row = wanted_row(expected, schema)?;
            Ok((found, row))
        });
        match found {
            Ok((found, row)) => {
                for &channel in &found {
                    if !channels.iter().any(|(known, _)| *known == channel) {
                        channels.push((channel, Vec::new()));
                    }
                }
                let known = channels.iter_mut().find(|(known, _)| Some(known) == found.first());
                if let (Some(row), Some((_, rows))) = (row, known) {
                    rows.push(row);
                }
            }
            Err(message) => faults.push(ScriptFault { line: expected.line, message }),
        }
    }
    if faults.is_empty() { Ok(channels) } else { Err(faults) }
}

type Found<'a> = (Vec<Channel>, Option<(&'a Schema, &'a str)>);

fn channels_of<'a>(expected: &'a Expected, plan: &'a Plan) -> Result<Found<'a>, String> {
    let query =
        |name: &str| plan.query(name).ok_or_else(|| format!("the plan has no query `{name}`"));
    Ok(match &expected.from {
        From::Stream(name) => {
            let stream = plan.stream(name);
            let stream = stream.ok_or_else(|| format!("the plan has no stream `{name}`"))?;
            (vec![Channel::Stream(stream)], Some((&plan.streams[stream].schema, name)))
        }
        From::Query(name, kind) => {
            let query = query(name)?;
            let channel = Channel::Query(query, *kind == Kind::Current);
            (vec![channel], Some((&plan.queries[query].selection.schema, name)))
        }
        From::QueryAtAll(name) => {
            let query = query(name)?;
            (vec![Channel::Query(query, true), Channel::Query(query, false)], None)
        }
        From::Answer(..) => (vec![Channel::Answers], None),
    })
}

fn wanted_row(
    expected: &Expected,
    schema: Option<(&Schema, &str)>,
) -> Result<Option<Wanted>, String> {
    let Some(written) = &expected.row else {
        let said = match &expected.from {
            From::Answer(at, None) => (*at, WantedSaid::Nothing),
            From::Answer(at, Some(code)) => (*at, WantedSaid::Error(code.clone())),
            From::Stream(_) | From::Query(..) | From::QueryAtAll(_) => return Ok(None),
        };
        return Ok(Some(Wanted { at: said.0, timestamp: None, said: said.1 }));
    };
    let (values, timestamp) = &written.row;
    let values = match schema {
        Some((schema, name)) => typed(schema, values, name)?,
        None => values.clone(),
    };
    let said = WantedSaid::Row(values);
    Ok(Some(Wanted { at: written.at, timestamp: *timestamp, said }))
}

fn as_wanted(
    plan: &Plan,
    channel: Channel,
    wanted: &[Wanted],
    record: &Record,
    way: Way,
) -> Result<(), Failure> {
    let seen = record.of(channel);
    let loose = channel == Channel::Answers;
    let same = |wanted: &Wanted, seen: &&Seen| {
        wanted.at == seen.at
            && wanted.timestamp.is_none_or(|timestamp| timestamp == seen.timestamp)
            && match (&wanted.said, &seen.said) {
                (WantedSaid::Row(wanted), Said::Row(seen)) => {
                    wanted.len() == seen.len()
                        && wanted.iter().zip(seen).all(|(wanted, seen)| match loose {
                            true => alike_number(wanted, seen),
                            false => compare::alike(wanted, seen),
                        })
                }
                (WantedSaid::Nothing, Said::Nothing) => true,
                (WantedSaid::Error(wanted), Said::Error(seen)) => wanted == seen,
                _ => false,
            }
    };
    let show_wanted = |wanted: &Wanted| {
        let said = match &wanted.said {
            WantedSaid::Row(values) => Said::Row(values.clone()).shown(),
            WantedSaid::Nothing => Said::Nothing.shown(),
            WantedSaid::Error(code) => format!("error {code}"),
        };
        let time = wanted.timestamp.map_or(String::new(), |time| format!(" @{time}"));
        format!("@{}  {said}{time}", wanted.at)
    };
    // Times of rows are shown where the play speaks of them.
    let timed = wanted.iter().any(|wanted| wanted.timestamp.is_some());
    let show_seen = |seen: &&Seen| show(seen, timed);
    match compare::difference(wanted, &seen, same, show_wanted, show_seen) {
        None => Ok(()),
        Some(difference) => Err(Failure::Rows { place: named(plan, channel), way, difference }),
    }
}

/// Whether values are alike where the play cannot know the type: a whole number may stand for a
/// long, but not for a float.
fn alike_number(wanted: &Value, seen: &Value) -> bool {
    let widened = seen.data_type().filter(|ty| *ty == DataType::Long || *ty == DataType::Float);
    let wanted = match (wanted, widened) {
        (Value::Double(value), Some(DataType::Float)) => Value::Float(*value as f32),
        (Value::Int(value), Some(DataType::Long)) => Value::Long(i64::from(*value)),
        _ => wanted.clone(),
    };
    compare::alike(&wanted, seen)
}

fn same_record(plan: &Plan, first: &Record, other: &Record, way: Way) -> Result<(), Failure> {
    let mut channels = first.channels();
    channels.extend(other.channels());
    channels.sort();
    channels.dedup();
    for channel in channels {
        let (wanted, seen) = (first.of(channel), other.of(channel));
        let same = |a: &&Seen, b: &&Seen| a == b;
        let shown = |seen: &&Seen| show(seen, true);
        if let Some(difference) = compare::difference(&wanted, &seen, same, shown, shown) {
            let place =
                format!("{} is not as when played {}", named(plan, channel), Way::AsWritten);
            return Err(Failure::Rows { place, way, difference });
        }
    }
    Ok(())
}

fn show(seen: &Seen, timed: bool) -> String {
    let time = if timed { format!(" @{}", seen.timestamp) } else { String::new() };
    format!("@{}  {}{time}", seen.at, seen.said.shown())
}

fn named(plan: &Plan, channel: Channel) -> String {
    match channel {
        Channel::Stream(stream) => format!("stream `{}`", plan.streams[stream].name),
        Channel::Query(query, true) => format!("query `{}` current", plan.queries[query].name),
        Channel::Query(query, false) => format!("query `{}` expired", plan.queries[query].name),
        Channel::Answers => "answers".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::script;

    fn rehearsed(text: &str) -> Result<(), String> {
        let script = script::read(text).unwrap();
        let crate::rehearsal::PlanText::Inline(plan) = &script.plan else { panic!("no plan") };
        rehearse(&script, &Reading::new("x.test", plan), 1).map_err(|failure| failure.to_string())
    }

    const PLAY: &str = "-- plan
define stream S (a int, b string);
@info(name='q') from S[a > 1] select a, b insert into Out;
-- play
@5 S 1, 'x'
@6 S 2, 'y'; 3, null
-- expect
";

    #[test]
    fn what_comes_out_is_compared_with_what_is_wanted() {
        assert_eq!(rehearsed(&format!("{PLAY}@6 Out 2, 'y'\n@6 Out 3, null @6\n")), Ok(()));
        let difference = rehearsed(&format!("{PLAY}@6 Out 2, 'y'\n@6 Out 4, null\n")).unwrap_err();
        let expected =
            "stream `Out`, as written:\n      @6  2, 'y'\n    - @6  4, null\n    + @6  3, null";
        assert_eq!(difference, expected);
        assert!(rehearsed(&format!("{PLAY}@6 Out 2, 'y'\n@6 Out 3, null @7\n")).is_err());
        assert!(rehearsed(&format!("{PLAY}Out: nothing\n")).is_err());
        assert!(rehearsed(&format!("{PLAY}query q: nothing\n")).is_err());
    }

    #[test]
    fn names_and_values_of_a_play_must_fit_the_plan() {
        let fault = |line: &str| rehearsed(&format!("{PLAY}{line}\n")).unwrap_err();
        let known = "line 8: `Out` has 2 attributes (a, b), here are 1 values";
        assert_eq!(fault("@6 Out 2"), known);
        assert_eq!(fault("@6 Other 2"), "line 8: the plan has no stream `Other`");
        let misfit = "line 8: attribute `b` is of type string, but `2` is of type int";
        assert_eq!(fault("@6 Out 2, 2"), misfit);
    }

    #[test]
    fn a_plan_can_be_wanted_to_be_refused() {
        let refused =
            "-- plan\ndefine stream S (a int);\nfrom T select a insert into O;\n-- play\n";
        let message = rehearsed(&format!("{refused}-- expect\n")).unwrap_err();
        assert!(message.contains("line 3:6: ["), "{message}");
        let code = message.split(['[', ']']).nth(1).unwrap();
        assert_eq!(rehearsed(&format!("{refused}-- expect\nrefused {code}\n")), Ok(()));
        assert!(rehearsed(&format!("{refused}-- expect\nrefused X\n")).is_err());
        assert!(rehearsed(&format!("{PLAY}refused {code}\n")).is_err());
    }
}
