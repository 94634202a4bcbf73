//! `twinflow check`: says what is wrong with plans; starts nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::files;
use crate::cli::report;
use crate::language::render;
use crate::rehearsal::Reading;
use crate::rehearsal::Verdict;

const REFUSED: u8 = 2;
const NOT_SUPPORTED: u8 = 3;

/// Check plans as a node would before it runs them, and start nothing.
///
/// Each fault is shown with its line, a caret, what was expected and, where it can be guessed, what
/// was meant. Of two plans with one name the second is refused, as a node would. `${name}` in a
/// plan takes its value from the environment.
///
/// Exit status: 0 all plans can run; 1 a file could not be read; 2 a plan is refused; 3 a plan uses
/// what is not supported yet.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// Plan files, or folders of plans
    #[arg(value_name = "PATH", default_value = "plans")]
    paths: Vec<PathBuf>,
    /// Print a JSON array with an object for each plan
    #[arg(long)]
    json: bool,
}

/// Checks all that is asked for.
#[expect(clippy::print_stdout, reason = "the verdict is the command's answer")]
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let Some(files) = files::plans_at_all(&arguments.paths) else {
        return ExitCode::FAILURE;
    };
    let mut names = BTreeMap::new();
    let mut worst = 0;
    let mut documents = Vec::new();
    for file in &files {
        let checked = check(file, &mut names);
        worst = worse(worst, checked.exit);
        match arguments.json {
            true => documents.push(checked.document(file)),
            false => print!("{}", checked.shown(file)),
        }
    }
    if arguments.json {
        println!("{}", serde_json::Value::Array(documents));
    } else if files.is_empty() {
        println!("there are no plans: files ending in .siddhi or .siddhiql");
    }
    ExitCode::from(worst)
}

/// What became of one file.
struct Checked {
    exit: u8,
    /// The plan's name, if it can run.
    name: Option<String>,
    /// Why it is refused though its text is right, or could not be read.
    reason: Option<String>,
    reading: Option<Reading>,
}

fn check(file: &Path, names: &mut BTreeMap<String, PathBuf>) -> Checked {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            let reason = Some(format!("cannot be read: {error}"));
            return Checked { exit: 1, name: None, reason, reading: None };
        }
    };
    let reading = read(&file.display().to_string(), &text);
    let exit = match reading.verdict() {
        Verdict::Fit => 0,
        Verdict::NotSupported => NOT_SUPPORTED,
        Verdict::Refused => REFUSED,
    };
    let Some(plan) = &reading.plan else {
        return Checked { exit, name: None, reason: None, reading: Some(reading) };
    };
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = Some(plan.name.clone()).filter(|name| !name.is_empty()).unwrap_or(stem);
    let before = names.insert(name.clone(), file.to_owned());
    let reason = before.map(|before| {
        names.insert(name.clone(), before.clone());
        format!("the plan `{name}` is already defined in `{}`", before.display())
    });
    let exit = if reason.is_some() { REFUSED } else { exit };
    Checked { exit, name: Some(name), reason, reading: Some(reading) }
}

/// As a node reads it: ways in and out included.
#[cfg(feature = "node")]
pub(super) fn read(name: &str, text: &str) -> Reading {
    crate::actors::checking::check(name, text)
}

/// Without what only a node has.
#[cfg(not(feature = "node"))]
pub(super) fn read(name: &str, text: &str) -> Reading {
    let text = crate::language::variables::substitute(text, |name| std::env::var(name).ok());
    Reading::new(name, &text)
}

/// Unreadable is worse than refused, refused worse than not supported yet.
fn worse(one: u8, other: u8) -> u8 {
    let rank = |exit: &u8| match *exit {
        0 => 0,
        NOT_SUPPORTED => 1,
        REFUSED => 2,
        _ => 3,
    };
    std::cmp::max_by_key(one, other, rank)
}

impl Checked {
    fn shown(&self, file: &Path) -> String {
        let mut out = String::new();
        if let Some(reading) = self.reading.as_ref().filter(|each| !each.diagnostics.is_empty()) {
            out.push_str(&report::shown(&reading.source, &reading.diagnostics, false));
        }
        let file = file.display();
        let verdict = match (&self.reason, &self.name) {
            (Some(reason), _) => format!("{file}: {reason}\n"),
            (None, Some(name)) => format!("{file}: `{name}` can run\n"),
            (None, None) if self.exit == NOT_SUPPORTED => format!("{file}: not supported yet\n"),
            (None, None) => format!("{file}: refused\n"),
        };
        out.push_str(&verdict);
        out
    }

    fn document(&self, file: &Path) -> serde_json::Value {
        let diagnostics =
            self.reading.as_ref().map(|each| render::json(&each.source, &each.diagnostics));
        serde_json::json!({
            "file": file.display().to_string(),
            "ok": self.exit == 0,
            "plan": self.name,
            "reason": self.reason,
            "diagnostics": diagnostics.unwrap_or_else(|| serde_json::json!([])),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_shown_with_their_place_and_names_are_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::write(&file, text).unwrap();
            file
        };
        let good = "@app:name('N') define stream S (a int); from S select a insert into T;";
        let mut names = BTreeMap::new();
        let first = check(&write("a.siddhi", good), &mut names);
        assert_eq!((first.exit, first.name.as_deref()), (0, Some("N")));
        let file = write("b.siddhi", good);
        let second = check(&file, &mut names);
        assert_eq!(second.exit, 2);
        assert!(second.shown(&file).contains("`N` is already defined in `"));
        let file = write("c.siddhi", "define stream S (a int);\nfrom S select b insert into T;");
        let third = check(&file, &mut names);
        assert_eq!(third.exit, 2);
        assert!(third.shown(&file).contains("c.siddhi:2:15"), "{}", third.shown(&file));
        let document = third.document(&file);
        assert_eq!(
            (&document["ok"], &document["diagnostics"][0]["line"]),
            (&false.into(), &2.into())
        );
        assert_eq!(check(&folder.path().join("none.siddhi"), &mut names).exit, 1);
    }

    #[test]
    fn the_worst_decides() {
        assert_eq!([0, 3, 2, 1].into_iter().fold(0, worse), 1);
        assert_eq!([2, 3, 0].into_iter().fold(0, worse), 2);
        assert_eq!([0, 3].into_iter().fold(0, worse), 3);
    }
}
