//! Plays a line of rows through a window and writes what comes out as a line: for tables in the
//! windows' tests.
//!
//! Rows are numbers: `@0 1 2 @10 3` sends 1 and 2 at 0 ms and 3 at 10 ms, and `@20` alone lets time
//! pass. A row may carry more: `1=500` the time attribute, `1~5` an own time 5 ms behind the clock,
//! `1:k` a key, `1/2` partition slot 2; `1+` is of one chunk with the next. `;` ends a send.
//!
//! What comes out is `C`, `X` or `R` with the number; `|` stands between chunks; `@` says when the
//! clock has moved; `^` gives the row's time where it is not the clock's.

use crate::engine::windows::ALL;
use crate::engine::windows::harness::Kit;
use crate::engine::windows::harness::Stage;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Slot;
use crate::event::Value;
use crate::plan::expression::Expr;
use std::fmt::Write;

const TYPES: &[DataType] = &[DataType::Int, DataType::Long, DataType::Text];

/// Plays a script through a window; everybody reads everything.
pub fn play(window: &str, arguments: &str, script: &str) -> String {
    let mut stage = stage(window, arguments, true);
    run(&mut stage, script);
    write(&stage)
}

/// As [`play`], where nobody reads expired rows.
pub fn play_current(window: &str, arguments: &str, script: &str) -> String {
    let mut stage = stage(window, arguments, false);
    run(&mut stage, script);
    write(&stage)
}

/// What a window shows of itself after a script.
pub fn contents(window: &str, arguments: &str, script: &str) -> String {
    let mut stage = stage(window, arguments, true);
    run(&mut stage, script);
    let mut held = Batch::new(TYPES);
    stage.window.contents(0, &mut held);
    held.columns[0].ints().iter().map(i32::to_string).collect::<Vec<_>>().join(" ")
}

/// Why a window does not take arguments.
pub fn refusal(window: &str, arguments: &str) -> String {
    let fault = kit(window, arguments, true).build().err().expect("it is refused");
    format!("{:?}: {}", fault.argument, fault.message)
}

/// A window on a stage.
pub fn stage(window: &str, arguments: &str, expired: bool) -> Stage {
    Stage::new(kit(window, arguments, expired)).expect("it takes the arguments")
}

fn kit(window: &str, arguments: &str, expired: bool) -> Kit {
    let definition = ALL.iter().find(|each| each.signature.name == window).expect("in the list");
    Kit {
        definition,
        arguments: self::arguments(arguments),
        types: TYPES,
        names: &["value", "at", "key"],
        keep: vec![true; 3],
        leaving: vec![true; 3],
        expired,
        findable: true,
    }
}

fn arguments(text: &str) -> Vec<Expr> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(argument).collect()
}

fn argument(word: &str) -> Expr {
    match word {
        "value" => Expr::column(0, DataType::Int),
        "at" => Expr::column(1, DataType::Long),
        "key" => Expr::column(2, DataType::Text),
        "true" | "false" => Expr::constant(Value::Bool(word == "true")),
        _ if word.starts_with('\'') => Expr::constant(Value::from(word.trim_matches('\''))),
        _ if word.contains('.') => Expr::constant(Value::Double(word.parse().expect("a number"))),
        _ => Expr::constant(Value::Int(word.parse().expect("a number"))),
    }
}

/// Plays a script.
pub fn run(stage: &mut Stage, script: &str) {
    let mut batch = Batch::new(TYPES);
    let mut clock = 0;
    let words = script.split_whitespace().chain(["@end"]);
    for word in words {
        if word.starts_with('@') || word == ";" {
            if !batch.is_empty() {
                stage.send(&batch);
                stage.end_send();
                batch.clear();
            }
            if let Ok(time) = word[1..].parse() {
                clock = time;
                stage.advance(clock);
            }
        } else {
            push(&mut batch, word, clock);
        }
    }
}

fn push(batch: &mut Batch, word: &str, clock: Millis) {
    let joined = word.ends_with('+');
    let mut rest = word.trim_end_matches('+');
    let mut part = |sign: char| {
        let (front, value) = rest.rsplit_once(sign)?;
        rest = front;
        Some(value)
    };
    let slot: Slot = part('/').map_or(0, |slot| slot.parse().expect("a slot"));
    let key = part(':').map_or(Value::Null, Value::from);
    let lag: Millis = part('~').map_or(0, |lag| lag.parse().expect("a lag"));
    let time = part('=').map_or(Value::Null, |time| Value::Long(time.parse().expect("a time")));
    let value = Value::Int(rest.parse().expect("a number"));
    for (column, value) in batch.columns.iter_mut().zip([value, time, key]) {
        column.push(&value);
    }
    batch.push_head(clock - lag, Kind::Current, slot);
    if joined {
        batch.continues.set(batch.len() - 1);
    }
}

fn write(stage: &Stage) -> String {
    let mut text = String::new();
    let mut clock = None;
    let mut chunk = None;
    for row in &stage.seen {
        if chunk.is_some_and(|chunk| chunk != row.chunk) {
            text.push_str("| ");
        }
        chunk = Some(row.chunk);
        if clock != Some(row.at) {
            let _ = write!(text, "@{} ", row.at);
        }
        clock = Some(row.at);
        match (row.kind, row.values.first()) {
            (Some(Kind::Current), Some(Value::Int(value))) => {
                let _ = write!(text, "C{value}");
            }
            (Some(Kind::Expired), Some(Value::Int(value))) => {
                let _ = write!(text, "X{value}");
            }
            (Some(Kind::Reset), _) => text.push('R'),
            other => panic!("{other:?} was put out"),
        }
        if row.timestamp != row.at {
            let _ = write!(text, "^{}", row.timestamp);
        }
        text.push(' ');
    }
    text.trim_end().to_owned()
}
