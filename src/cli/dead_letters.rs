//! `twinflow dead-letters`: what plans could not handle, to be looked at, replayed or discarded.

use std::fmt::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use crate::cli::client::Node;
use crate::cli::client::fail;
use crate::cli::client::say;

/// Look at what a plan could not handle, take it up again, or discard it.
///
/// Dead letters are kept in the plan's state: both nodes of a pair have the same, and either can be
/// asked. Each is taken up or discarded once.
///
/// Exit status: 0 done; 1 the node does not answer, or a letter stays as it was.
#[derive(Debug, clap::Subcommand)]
#[command(verbatim_doc_comment)]
pub enum Command {
    /// List dead letters, newest first
    List {
        /// The plan
        plan: String,
        /// At most so many
        #[arg(long, value_name = "COUNT", default_value_t = 100)]
        limit: usize,
        /// Only letters with lower numbers, to read on
        #[arg(long, value_name = "ID")]
        before: Option<u64>,
        #[command(flatten)]
        meant: Meant,
        /// Print the node's answer as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        node: Node,
    },
    /// Show a dead letter with all that is in it
    Show {
        /// The plan
        plan: String,
        /// The letter
        id: u64,
        /// Print only the input as it came, to be mended
        #[arg(long, conflicts_with = "json")]
        input: bool,
        /// Print the node's answer as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        node: Node,
    },
    /// Take dead letters up again: what could not be read is read again, what could not be
    /// published is published again
    Replay {
        /// The plan
        plan: String,
        /// The letters; without any, `--all` or a choice is needed
        ids: Vec<u64>,
        /// Read this file in place of the letter's input
        #[arg(long, value_name = "FILE")]
        input: Option<PathBuf>,
        /// All letters of the plan
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        meant: Meant,
        #[command(flatten)]
        node: Node,
    },
    /// Discard dead letters
    Discard {
        /// The plan
        plan: String,
        /// The letters; without any, `--all` or a choice is needed
        ids: Vec<u64>,
        /// All letters of the plan
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        meant: Meant,
        #[command(flatten)]
        node: Node,
    },
}

/// Which letters are meant.
#[derive(Debug, clap::Args)]
pub struct Meant {
    /// Only those put aside by a `receiver`, a `publisher`, a `store` or the `plan`
    #[arg(long)]
    kind: Option<String>,
    /// Only those of this receiver, publisher or store, as in `receiver:Logins:1`
    #[arg(long)]
    place: Option<String>,
    /// Only those of this reason, as in `unreadable`
    #[arg(long)]
    reason: Option<String>,
}

/// Does what is asked for.
pub fn run(command: &Command) -> ExitCode {
    let done = match command {
        Command::List { plan, limit, before, meant, json, node } => {
            let before = before.map(|before| format!("&before={before}")).unwrap_or_default();
            let query = format!("?limit={limit}{before}{}", meant.query());
            let answer = node.get(&format!("{}{query}", path(plan)));
            answer.map(|answer| (if *json { format!("{answer}\n") } else { list(&answer) }, true))
        }
        Command::Show { plan, id, input, json, node } => {
            let answer = node.get(&format!("{}/{id}", path(plan)));
            answer.and_then(|answer| match (input, json) {
                (true, _) => raw(&answer),
                (false, true) => Ok((format!("{answer}\n"), true)),
                (false, false) => Ok((shown(&answer), true)),
            })
        }
        Command::Replay { plan, ids, input: Some(file), all, meant, node } => {
            match (ids.as_slice(), *all || meant.is_some()) {
                ([id], false) => mend(node, plan, *id, file),
                _ => Err("`--input` is for one letter, named by its number".to_owned()),
            }
        }
        Command::Replay { plan, ids, all, meant, node, .. } => {
            each(plan, ids, *all, meant, "replayed", |path| node.post(path))
        }
        Command::Discard { plan, ids, all, meant, node } => {
            each(plan, ids, *all, meant, "discarded", |path| node.delete(path))
        }
    };
    match done {
        Ok((text, done)) => {
            say(&text);
            if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => fail(&error),
    }
}

fn path(plan: &str) -> String {
    format!("/api/v1/plans/{plan}/dead-letters")
}

impl Meant {
    fn is_some(&self) -> bool {
        self.kind.is_some() || self.place.is_some() || self.reason.is_some()
    }

    /// As parameters of an address.
    fn query(&self) -> String {
        let all = [("kind", &self.kind), ("place", &self.place), ("reason", &self.reason)];
        let some = all.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        some.map(|(name, value)| format!("&{name}={}", escaped(value))).collect()
    }
}

/// A text as a part of an address.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let mut out = String::new();
    for byte in text.bytes() {
        match plain(byte) {
            true => out.push(char::from(byte)),
            false => write!(out, "%{byte:02X}").expect("a string takes all"),
        }
    }
    out
}

/// Does the same to each letter, or to all that are meant at once.
fn each(
    plan: &str,
    ids: &[u64],
    all: bool,
    meant: &Meant,
    done: &str,
    ask: impl Fn(&str) -> Result<Value, String>,
) -> Result<(String, bool), String> {
    let replays = done == "replayed";
    let choice = all || meant.is_some();
    if ids.is_empty() != choice {
        return Err("expected the numbers of letters, or `--all`, or a choice of them".to_owned());
    }
    if choice {
        let way = if replays { "/replay" } else { "" };
        let all = if meant.is_some() { "all=false" } else { "all=true" };
        let answer = ask(&format!("{}{way}?{all}{}", path(plan), meant.query()))?;
        let refused = answer["refused"].as_array().cloned().unwrap_or_default();
        let mut text = format!("{done} {}\n", answer["closed"]);
        for letter in &refused {
            let detail = letter["detail"].as_str().unwrap_or_default();
            writeln!(text, "{}  stays: {detail}", letter["id"]).expect("a string takes all");
        }
        return Ok((text, refused.is_empty()));
    }
    let (mut text, mut good) = (String::new(), true);
    for id in ids {
        let way = if replays { "/replay" } else { "" };
        match ask(&format!("{}/{id}{way}", path(plan))) {
            Ok(answer) => writeln!(text, "{id}  {done} at entry {}", answer["position"]),
            Err(error) => {
                good = false;
                writeln!(text, "{id}  stays: {error}")
            }
        }
        .expect("a string takes all");
    }
    Ok((text, good))
}

/// Takes a letter up with another input.
fn mend(node: &Node, plan: &str, id: u64, file: &Path) -> Result<(String, bool), String> {
    let input = std::fs::read(file)
        .map_err(|error| format!("`{}` cannot be read: {error}", file.display()))?;
    if input.is_empty() {
        return Err(format!("`{}` is empty: expected the mended input", file.display()));
    }
    let answer = node.post_bytes(&format!("{}/{id}/replay", path(plan)), &input)?;
    Ok((format!("{id}  replayed at entry {}\n", answer["position"]), true))
}

fn list(answer: &Value) -> String {
    let letters = answer["dead_letters"].as_array().cloned().unwrap_or_default();
    let mut text: String = letters.iter().map(line).collect();
    let (shown, kept) = (letters.len(), &answer["kept"]);
    writeln!(text, "{shown} of {kept} dead letters kept").expect("a string takes all");
    text
}

fn line(letter: &Value) -> String {
    let word = |name: &str| letter[name].as_str().unwrap_or("-").to_owned();
    let (id, events) = (&letter["id"], &letter["events"]);
    let (place, reason, message) = (word("place"), word("reason"), word("message"));
    format!("{id}  {place}  {reason}  {events} events  {message}\n")
}

fn shown(letter: &Value) -> String {
    let mut text = line(letter);
    if let Some(input) = letter["input"].as_str() {
        text.push_str(input);
        text.push('\n');
    } else if let Some(input) = letter["input_base64"].as_str() {
        writeln!(text, "in Base64, since it is no text: {input}").expect("a string takes all");
    }
    for row in letter["rows"].as_array().into_iter().flatten() {
        let number = row["number"].as_u64().map(|n| format!("{n}  ")).unwrap_or_default();
        writeln!(text, "{number}{}", row["event"]).expect("a string takes all");
    }
    text
}

fn raw(letter: &Value) -> Result<(String, bool), String> {
    match letter["input"].as_str() {
        Some(input) => Ok((input.to_owned(), true)),
        None if letter["rows"].is_array() => Err("the letter holds rows and no input".to_owned()),
        None => Err("the input is no text; `--json` shows it in Base64".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn letters_are_shown_a_line_each_and_whole() {
        let letter = json!({
            "id": 7, "place": "receiver:In:1", "reason": "unreadable", "events": 1,
            "message": "expected int, found `x`", "input": "b,x",
        });
        let answer = json!({ "kept": 9, "dead_letters": [letter] });
        let shown_line = "7  receiver:In:1  unreadable  1 events  expected int, found `x`\n";
        assert_eq!(list(&answer), format!("{shown_line}1 of 9 dead letters kept\n"));
        assert_eq!(shown(&letter), format!("{shown_line}b,x\n"));
        assert_eq!(raw(&letter), Ok(("b,x".to_owned(), true)));
        let rows = json!({ "id": 8, "rows": [{ "number": 3, "event": { "n": 1 } }] });
        assert!(shown(&rows).ends_with("3  {\"n\":1}\n"));
        assert!(raw(&rows).is_err());
    }

    #[test]
    fn a_choice_is_a_part_of_the_address() {
        let meant = Meant {
            kind: Some("receiver".to_owned()),
            place: Some("receiver:In:1".to_owned()),
            reason: None,
        };
        assert_eq!(meant.query(), "&kind=receiver&place=receiver%3AIn%3A1");
    }

    #[test]
    fn numbers_or_a_choice_are_needed_and_not_both() {
        let none = Meant { kind: None, place: None, reason: None };
        let asked = |ids: &[u64], all| {
            let ask = |path: &str| match path.ends_with("/2") {
                true => Err("no".to_owned()),
                false => Ok(json!({ "position": 5, "closed": 3, "path": path })),
            };
            each("p", ids, all, &none, "discarded", ask)
        };
        assert!(asked(&[], false).is_err() && asked(&[1], true).is_err());
        assert_eq!(asked(&[], true), Ok(("discarded 3\n".to_owned(), true)));
        let text = "1  discarded at entry 5\n2  stays: no\n".to_owned();
        assert_eq!(asked(&[1, 2], false), Ok((text, false)));
    }
}
