//! `twinflow replay`: a plan on a virtual clock, JSON lines in and JSON lines out.

mod lines;
mod session;

use crate::cli::replay::session::Session;
use crate::cli::replay::session::Stop;
use crate::cli::report;
use crate::language::suggest;
use crate::language::variables;
use crate::plan::logical::Plan;
use crate::plan::logical::QueryId;
use crate::plan::logical::StreamId;
use crate::plan::logical::WindowId;
use crate::rehearsal::Reading;
use crate::rehearsal::Stage;
use crate::rehearsal::Verdict;
use std::io;
use std::io::BufRead;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

/// The plan was refused.
const REFUSED: u8 = 2;
/// The plan uses what the engine cannot run yet.
const NOT_SUPPORTED: u8 = 3;

/// Run a plan on a virtual clock: events in as JSON lines, results out as JSON lines.
///
/// Each line of standard input has the moment `at`, in milliseconds, which moves the clock, and may
/// have one thing that happens then: `{"at":T,"stream":"S","rows":[[1,"a"],..]}`, with
/// `"timestamps":[..]` where events have times of their own; `{"at":T,"query":"from T select .."}`;
/// `{"at":T,"snapshot":true}`, `{"at":T,"restart":true}` or `{"at":T,"restore":true}`. The first
/// line starts the plan.
///
/// Exit status: 0 the input was played; 1 something outside failed; 2 the plan is refused, and
/// standard error says why; 3 the plan uses what is not supported yet.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The file with the plan
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    /// What to show: all that passes through a stream or leaves a named window, or what leaves a
    /// query; may be repeated
    #[arg(long, value_name = "stream:NAME|query:NAME")]
    watch: Vec<Watch>,
    /// The value of a `${name}` in the plan, before that of the environment; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<Setting>,
    /// Say what is wrong with the plan as JSON
    #[arg(long)]
    json: bool,
}

/// Something to show.
#[derive(Clone, Debug)]
enum Watch {
    Stream(String),
    Query(String),
}

impl FromStr for Watch {
    type Err = String;

    fn from_str(text: &str) -> Result<Watch, String> {
        match text.split_once(':') {
            Some(("stream", name)) if !name.is_empty() => Ok(Watch::Stream(name.to_owned())),
            Some(("query", name)) if !name.is_empty() => Ok(Watch::Query(name.to_owned())),
            _ => Err("expected `stream:NAME` or `query:NAME`".to_owned()),
        }
    }
}

/// A `${name}` and its value.
#[derive(Clone, Debug)]
struct Setting {
    name: String,
    value: String,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Setting, String> {
        let (name, value) = text.split_once('=').ok_or("expected `NAME=VALUE`")?;
        Ok(Setting { name: name.to_owned(), value: value.to_owned() })
    }
}

/// Plays standard input through the plan.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let name = arguments.plan.display().to_string();
    let text = match std::fs::read(&arguments.plan) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return fail(&format!("cannot read `{name}`: {error}")),
    };
    let given = |variable: &str| {
        let setting = arguments.set.iter().rev().find(|setting| setting.name == variable);
        setting.map(|setting| setting.value.clone()).or_else(|| std::env::var(variable).ok())
    };
    let reading = Reading::new(&name, &variables::substitute(&text, given));
    if !reading.diagnostics.is_empty() {
        eprint!("{}", report::shown(&reading.source, &reading.diagnostics, arguments.json));
    }
    let plan = match (reading.verdict(), reading.plan) {
        (Verdict::Fit, Some(plan)) => plan,
        (Verdict::NotSupported, _) => return ExitCode::from(NOT_SUPPORTED),
        _ => return ExitCode::from(REFUSED),
    };
    let Watched { streams, queries, windows } = match watched(&plan, &arguments.watch) {
        Ok(watched) => watched,
        Err(message) => return fail(&message),
    };
    let mut stage = match Stage::new(plan, streams, queries) {
        Ok(stage) => stage,
        Err(error) => {
            eprintln!("error: {}", error.message);
            return ExitCode::from(if error.not_supported { NOT_SUPPORTED } else { REFUSED });
        }
    };
    stage.watch_windows(windows);
    match play(stage) {
        Ok(status) => status,
        // Whoever read the results has gone: nobody is left to tell.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::FAILURE
}

/// The numbers of what is to be shown.
#[derive(Default)]
struct Watched {
    streams: Vec<StreamId>,
    queries: Vec<QueryId>,
    windows: Vec<WindowId>,
}

/// Finds the numbers of what is to be shown.
fn watched(plan: &Plan, watches: &[Watch]) -> Result<Watched, String> {
    let mut watched = Watched::default();
    for watch in watches {
        match watch {
            Watch::Stream(name) => {
                let window = plan.windows.iter().position(|window| window.name == name.as_str());
                match (plan.stream(name), window) {
                    (Some(stream), _) => watched.streams.push(stream),
                    (None, Some(window)) => watched.windows.push(window),
                    (None, None) => {
                        let streams = plan.streams.iter().map(|stream| stream.name.as_str());
                        let windows = plan.windows.iter().map(|window| window.name.as_str());
                        return Err(unknown("stream", name, streams.chain(windows)));
                    }
                }
            }
            Watch::Query(name) => watched.queries.push(plan.query(name).ok_or_else(|| {
                let known = plan.queries.iter().map(|query| query.name.as_str());
                unknown("query", name, known)
            })?),
        }
    }
    Ok(watched)
}

/// Says that the plan has nothing of a name, and what it has that is like it.
fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let hint = suggest::closest(name, known);
    let hint = hint.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    format!("the plan has no {what} called `{name}`{hint}")
}

/// Plays each line of standard input.
fn play(stage: Stage) -> io::Result<ExitCode> {
    let mut session = Session::new(stage, io::stdout().lock());
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match session.take(&line) {
            Ok(()) => {}
            Err(Stop::Line(faults)) => {
                faults.iter().for_each(|fault| eprintln!("line {number}: {fault}"));
            }
            Err(Stop::Output(error)) => return Err(error),
            Err(Stop::Failed(message)) => return Ok(fail(&format!("line {number}: {message}"))),
        }
    }
}
