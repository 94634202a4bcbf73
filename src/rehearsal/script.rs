//! The form of a `.test` file: a plan, what happens to it, and what must come out.
//!
//! ```text
//! What this play is about, in free words.
//! -- plan                        (or: -- plan alerts.siddhi, a file beside this one)
//! define stream Prices (symbol string, price double);
//! define table Seen (symbol string);
//! @info(name='means') from Prices#window.length(2)
//! select symbol, avg(price) as mean insert all events into Means;
//! -- play
//! @0     Prices  'A', 1.0            # a row; the first line starts the plan
//! @1000  Prices  'A', 3.0; 'B', 5.0  # two rows of one send
//! @2000  Prices  'B', 2.0 @1500      # a row with a time of its own
//! @3000  tick                        # time passes; also: snapshot, restart, restore
//! @4000  ask from Seen select symbol
//! -- expect
//! @0     Means  'A', 1.0
//! @1000  query means expired  'A', 1.0 @1000
//! @4000  answer nothing              # a line a row: answer 'A'; answer error P0203
//! query other: nothing
//! ```
//!
//! In place of all this `-- expect` may say `refused P0203`, with a line for each error's code.

use crate::event::Kind;
use crate::event::Millis;
use crate::rehearsal::literal::Scanner;
use crate::rehearsal::literal::WrittenRow;
use std::fmt;

/// A play as it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// The plan.
    pub plan: PlanText,
    /// What happens, in order.
    pub(super) cues: Vec<Cue>,
    /// What must come out.
    pub(super) expected: Vec<Expected>,
    /// Codes of the errors for which the plan must be refused.
    pub(super) refused: Vec<String>,
}

/// Where a play has its plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanText {
    /// In itself; the lines before it are empty, so that places in messages are places in the file.
    Inline(String),
    /// In a file beside it.
    File(String),
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cue {
    pub(super) line: usize,
    pub(super) at: Millis,
    pub(super) deed: Deed,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Deed {
    Send { stream: String, rows: Vec<WrittenRow> },
    Tick,
    Ask(String),
    Snapshot,
    Restart,
    Restore,
}

/// Something that must come out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expected {
    pub(super) line: usize,
    pub(super) from: From,
    /// The row; `None`: nothing comes.
    pub(super) row: Option<ExpectedRow>,
}

/// A row that must come out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ExpectedRow {
    pub(super) at: Millis,
    pub(super) row: WrittenRow,
}

/// From where something must come.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum From {
    Stream(String),
    Query(String, Kind),
    QueryAtAll(String),
    /// An answer at this moment; with the code of the error that it is.
    Answer(Millis, Option<String>),
}

/// A line that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptFault {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for ScriptFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.message)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Part {
    Heading,
    Plan,
    Play,
    Expect,
}

/// Reads a play.
///
/// # Errors
/// Names every line that is not as it should be.
pub fn read(text: &str) -> Result<Script, Vec<ScriptFault>> {
    let mut plan = PlanText::Inline(String::new());
    let (mut cues, mut expected, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    let mut faults = Vec::new();
    let mut part = Part::Heading;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let mut wrong = |message| faults.push(ScriptFault { line: number, message });
        if let Some(next) = marker(line, &mut plan) {
            if next <= part {
                wrong("the parts of a play are `-- plan`, `-- play`, `-- expect`".to_owned());
            }
            part = next;
        } else if part == Part::Plan {
            match &mut plan {
                PlanText::Inline(text) => {
                    text.push_str(line);
                    text.push('\n');
                    continue;
                }
                PlanText::File(_) if line.trim().is_empty() => {}
                PlanText::File(name) => wrong(format!("the plan is in `{name}`")),
            }
        } else if part != Part::Heading && !Scanner::new(line).is_at_end() {
            let read = match part {
                Part::Play => cue(number, line).map(|cue| cues.push(cue)),
                _ => match line.trim().strip_prefix("refused ") {
                    Some(code) => {
                        refused.push(code.trim().to_owned());
                        Ok(())
                    }
                    None => expectation(number, line).map(|row| expected.push(row)),
                },
            };
            read.unwrap_or_else(wrong);
        }
        if let PlanText::Inline(text) = &mut plan
            && part <= Part::Plan
        {
            text.push('\n');
        }
    }
    if part != Part::Expect {
        let message = "a play has three parts: `-- plan`, `-- play` and `-- expect`".to_owned();
        faults.push(ScriptFault { line: text.lines().count(), message });
    }
    if faults.is_empty() { Ok(Script { plan, cues, expected, refused }) } else { Err(faults) }
}

/// The part that a line begins, if it begins one.
fn marker(line: &str, plan: &mut PlanText) -> Option<Part> {
    let mut words = line.strip_prefix("--")?.split_whitespace();
    let part = match words.next()? {
        "plan" => Part::Plan,
        "play" => Part::Play,
        "expect" => Part::Expect,
        _ => return None,
    };
    match (part, words.next(), words.next()) {
        (_, None, _) => {}
        (Part::Plan, Some(file), None) if file.ends_with(".siddhi") => {
            *plan = PlanText::File(file.to_owned());
        }
        // A remark in the plan.
        _ => return None,
    }
    Some(part)
}

fn cue(line: usize, text: &str) -> Result<Cue, String> {
    let mut scanner = Scanner::new(text);
    let at = scanner.moment()?.ok_or("a line of a play begins with its time, as in `@1000`")?;
    let quoted = scanner.rest().starts_with('`');
    let word = scanner.word().ok_or("expected a stream or what happens after the time")?;
    let simple = match word {
        _ if quoted => None,
        "tick" => Some(Deed::Tick),
        "snapshot" => Some(Deed::Snapshot),
        "restart" => Some(Deed::Restart),
        "restore" => Some(Deed::Restore),
        "ask" => {
            let question = scanner.rest().to_owned();
            return Ok(Cue { line, at, deed: Deed::Ask(question) });
        }
        _ => None,
    };
    let deed = match simple {
        None => Deed::Send { stream: word.to_owned(), rows: scanner.rows()? },
        Some(_) if !scanner.is_at_end() => {
            return Err(format!(
                "nothing can follow `{word}`; a stream of this name needs backticks"
            ));
        }
        Some(deed) => deed,
    };
    Ok(Cue { line, at, deed })
}

fn expectation(line: usize, text: &str) -> Result<Expected, String> {
    let mut scanner = Scanner::new(text);
    let at = scanner.moment()?;
    let quoted = scanner.rest().starts_with('`');
    let word = scanner.word().ok_or("expected a stream, `query` or `answer`")?;
    let from = match word {
        "query" if !quoted => {
            let name = scanner.word().ok_or("expected a query's name after `query`")?.to_owned();
            match at {
                None => From::QueryAtAll(name),
                Some(_) => match scanner.word() {
                    Some("current") => From::Query(name, Kind::Current),
                    Some("expired") => From::Query(name, Kind::Expired),
                    _ => return Err(format!("expected `current` or `expired` after `{name}`")),
                },
            }
        }
        "answer" if !quoted => {
            let at = at.ok_or("an answer has a time, as in `@1000 answer ..`")?;
            let mut rest = Scanner::new(scanner.rest());
            match rest.word() {
                Some("nothing") if rest.is_at_end() => {
                    return Ok(Expected { line, from: From::Answer(at, None), row: None });
                }
                Some("error") => {
                    let code = rest.word().ok_or("expected the error's code")?.to_owned();
                    return Ok(Expected { line, from: From::Answer(at, Some(code)), row: None });
                }
                _ => From::Answer(at, None),
            }
        }
        name => From::Stream(name.to_owned()),
    };
    let Some(at) = at else {
        let nothing = scanner.eat(':') && scanner.word() == Some("nothing");
        return match nothing && scanner.is_at_end() {
            true => Ok(Expected { line, from, row: None }),
            false => Err("expected a time as in `@1000 ..`, or `Name: nothing`".to_owned()),
        };
    };
    let mut rows = scanner.rows()?;
    match (rows.len(), rows.pop()) {
        (1, Some(row)) => Ok(Expected { line, from, row: Some(ExpectedRow { at, row }) }),
        _ => Err("what is expected has a line for each row".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Value;

    const PLAY: &str = "\
About a mean.
-- plan
-- plan for two
define stream S (a int);
-- play
@0 S 1
@5 S 1; 2 @4   # both at once
@6 tick
@7 `tick` 1
@8 ask from T select a
-- expect

@0 Out 1
@5 query q expired 1 @3
@8 answer nothing
@8 answer error P0001
!S: nothing
query r: nothing
";

    #[test]
    fn a_play_has_three_parts() {
        let script = read(PLAY).unwrap();
        let plan = "\n\n-- plan for two\ndefine stream S (a int);\n";
        assert_eq!(script.plan, PlanText::Inline(plan.to_owned()));
        let (at, stream) = (7, "tick".to_owned());
        let rows = vec![(vec![Value::Int(1)], None)];
        assert_eq!(script.cues[3], Cue { line: 9, at, deed: Deed::Send { stream, rows } });
        assert_eq!(script.cues[4].deed, Deed::Ask("from T select a".to_owned()));
        let row = Some(ExpectedRow { at: 5, row: (vec![Value::Int(1)], Some(3)) });
        let from = From::Query("q".to_owned(), Kind::Expired);
        assert_eq!(script.expected[1], Expected { line: 14, from, row });
        assert_eq!(script.expected[4].from, From::Stream("!S".to_owned()));
    }

    #[test]
    fn a_plan_may_stand_in_a_file_or_be_refused() {
        let script = read("-- plan x.siddhi\n\n-- play\n-- expect\nrefused P0001\n").unwrap();
        assert_eq!(script.plan, PlanText::File("x.siddhi".to_owned()));
        assert_eq!(script.refused, ["P0001"]);
    }

    #[test]
    fn faults_name_their_lines() {
        let faults = |text: &str| -> Vec<usize> {
            read(text).unwrap_err().iter().map(|fault| fault.line).collect()
        };
        assert_eq!(
            faults("-- plan\n-- play\nS 1\n@0 S 1\n@x S 1\n-- expect\n@0 Q 1; 2\n"),
            [3, 5, 7]
        );
        assert_eq!(faults("-- plan\n-- expect\n-- play\n"), [3, 3]);
        assert_eq!(
            faults("-- plan\n-- play\n@0 tick 5\n@0 S 'a\n-- expect\nQ nothing\n"),
            [3, 4, 6]
        );
    }
}
