//! `twinflow plan`: what a plan says of itself, without running it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::check;
use crate::cli::report;
use crate::engine::identity::identities;
use crate::engine::library::Library;
use crate::plan::difference::Difference;
use crate::plan::difference::compare;
use crate::plan::logical::Plan;

const DROPPED: u8 = 1;
const REFUSED: u8 = 2;

/// Look at plans without running them.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Diff(Diff),
}

/// Say what a new version of a plan keeps of the state of the version before.
///
/// A node that takes over a new version keeps what is surely the same, and never guesses:
///   - a table, if its name, attributes and keys are the same;
///   - a named window, if its name, attributes and window are;
///   - the window of a query, if the query's name, its input, all up to the window and the
///     window itself are, and the rows held have all attributes that are read now;
///   - the aggregates of a query, if also the rest of its steps, what it aggregates and its
///     `group by` are; they and the rows they rest on go on or begin anew together;
///   - the keys of a partition, if what divides its streams is the same; where they begin anew, so
///     does all inside;
///   - a trigger, if its name and time are: one that fires at the start does not fire again.
///
/// A query without a name is known by its whole text. Names of queries are given by
/// `@info(name='...')`. Order, layout and comments make no difference.
///
/// Nothing is started or changed. `${name}` in a plan takes its value from the environment.
///
/// Exit status: 0 nothing is dropped; 1 something is dropped; 2 a plan is refused or cannot be
/// read.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Diff {
    /// The plan that runs
    #[arg(value_name = "OLD.siddhi")]
    old: PathBuf,
    /// The plan that is to take over
    #[arg(value_name = "NEW.siddhi")]
    new: PathBuf,
    /// Print one JSON object: `kept`, `dropped` and `new`
    #[arg(long)]
    json: bool,
}

/// Does what is asked for.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match &arguments.command {
        Command::Diff(arguments) => diff(arguments),
    }
}

#[expect(clippy::print_stdout, reason = "the difference is the command's answer")]
fn diff(arguments: &Diff) -> ExitCode {
    let plans = (read(&arguments.old), read(&arguments.new));
    let (old, new) = match plans {
        (Ok(old), Ok(new)) => (old, new),
        (old, new) => {
            [old, new].into_iter().filter_map(Result::err).for_each(|fault| eprint!("{fault}"));
            return ExitCode::from(REFUSED);
        }
    };
    let library = Library::standard();
    let difference = compare(&identities(&old, &library), &identities(&new, &library));
    match arguments.json {
        true => println!("{}", document(&difference)),
        false => print!("{}", shown(&difference)),
    }
    match difference.dropped.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(DROPPED),
    }
}

/// The checked plan of a file, or what is wrong with it, for people.
fn read(file: &Path) -> Result<Arc<Plan>, String> {
    let name = file.display().to_string();
    let text = fs::read_to_string(file)
        .map_err(|error| format!("error: `{name}` cannot be read: {error}\n"))?;
    let reading = check::read(&name, &text);
    reading.plan.clone().ok_or_else(|| {
        let faults = report::shown(&reading.source, &reading.diagnostics, false);
        format!("{faults}{name}: refused\n")
    })
}

fn shown(difference: &Difference) -> String {
    let Difference { kept, dropped, fresh, .. } = difference;
    let mut out = String::new();
    let mut line = |what: &str, rest: &dyn std::fmt::Display| {
        writeln!(out, "{what:<9}{rest}").expect("a string takes all");
    };
    kept.iter().for_each(|each| line("kept", each));
    dropped.iter().for_each(|each| line("dropped", each));
    fresh.iter().for_each(|each| line("new", each));
    match (kept.len() + dropped.len() + fresh.len(), dropped.len()) {
        (0, _) => out.push_str("neither plan holds state\n"),
        (_, 0) => out.push_str("nothing is dropped\n"),
        (_, 1) => out.push_str("1 thing is dropped\n"),
        (_, count) => writeln!(out, "{count} things are dropped").expect("a string takes all"),
    }
    out
}

fn document(difference: &Difference) -> serde_json::Value {
    let dropped = difference.dropped.iter();
    let dropped = dropped.map(|each| serde_json::json!({ "what": each.what, "why": each.why }));
    serde_json::json!({
        "kept": difference.kept,
        "dropped": dropped.collect::<Vec<_>>(),
        "new": difference.fresh,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "
define stream Readings (sensor string, celsius double);
define table Limits (sensor string, most double);
@info(name='mean')
from Readings#window.length(10) select sensor, avg(celsius) as mean group by sensor
insert into Means;
";

    fn difference(old: &str, new: &str) -> Difference {
        let folder = tempfile::tempdir().unwrap();
        let plan = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::write(&file, text).unwrap();
            identities(&read(&file).unwrap(), &Library::standard())
        };
        compare(&plan("old.siddhi", old), &plan("new.siddhi", new))
    }

    #[test]
    fn what_is_kept_and_dropped_is_said_with_the_reason() {
        let new = OLD.replace("length(10)", "length(20)");
        let new = format!("define table More (a int);{new}");
        let difference = difference(OLD, &new);
        let expected = "\
kept     table `Limits`
dropped  window of query `mean`: its window changed
dropped  aggregates of query `mean`: its window begins anew
new      table `More`
2 things are dropped
";
        assert_eq!(shown(&difference), expected);
        let document = document(&difference);
        assert_eq!(document["kept"][0], "table `Limits`");
        assert_eq!(document["dropped"][0]["why"], "its window changed");
        assert_eq!(document["new"][0], "table `More`");
    }

    #[test]
    fn the_last_line_sums_up() {
        assert!(shown(&difference(OLD, OLD)).ends_with("\nnothing is dropped\n"));
        let none = "define stream S (a int); from S select a insert into T;";
        assert_eq!(shown(&difference(none, none)), "neither plan holds state\n");
        let less = OLD.replace("define table Limits (sensor string, most double);", "");
        assert!(shown(&difference(OLD, &less)).ends_with("\n1 thing is dropped\n"));
    }

    #[test]
    fn a_plan_that_is_refused_or_missing_is_told_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("broken.siddhi");
        assert!(read(&file).unwrap_err().contains("broken.siddhi` cannot be read"));
        fs::write(&file, "define stream S (a int);\nfrom S select b insert into T;").unwrap();
        let fault = read(&file).unwrap_err();
        assert!(fault.contains("broken.siddhi:2:15") && fault.ends_with("refused\n"), "{fault}");
    }
}
