//! `twinflow fmt`: rewrites plans in house style.

use std::fs;
use std::io;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::files;
use crate::cli::report;
use crate::language;
use crate::language::source::Source;

const REFUSED: u8 = 2;

/// Rewrite plans in house style: one way to break, indent and space them.
///
/// Comments are kept, and the meaning never changes.
/// With `-` for the path the plan is read from standard input and printed on standard output. A
/// plan with errors is left as it is, and the errors are shown.
///
/// Exit status: 0 done; 1 a file could not be read or written, or with `--check` one is not in
/// house style; 2 a plan has errors.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// Plan files, or folders of plans, or `-`
    #[arg(value_name = "PATH", default_value = "plans")]
    paths: Vec<PathBuf>,
    /// Change nothing; say which plans are not in house style
    #[arg(long)]
    check: bool,
}

/// What became of one plan.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// It is in house style.
    Fine,
    /// It is not; this is how it would be.
    Differs(String),
    /// It has errors; this is what they are.
    Broken(String),
}

/// Formats all that is asked for.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    if arguments.paths == [Path::new("-")] {
        return pass_through(arguments.check);
    }
    let Some(files) = files::plans_at_all(&arguments.paths) else {
        return ExitCode::FAILURE;
    };
    let (mut broken, mut failed) = (false, false);
    for file in &files {
        match format_file(file, arguments.check) {
            Ok(Outcome::Fine) => {}
            Ok(Outcome::Differs(_)) if arguments.check => {
                failed = true;
                eprintln!("{} is not in house style", file.display());
            }
            Ok(Outcome::Differs(_)) => eprintln!("{} rewritten", file.display()),
            Ok(Outcome::Broken(shown)) => {
                broken = true;
                eprint!("{shown}");
            }
            Err(error) => {
                failed = true;
                eprintln!("error: `{}`: {error}", file.display());
            }
        }
    }
    match (broken, failed) {
        (true, _) => ExitCode::from(REFUSED),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    }
}

#[expect(clippy::print_stdout, reason = "the plan is the command's answer")]
fn pass_through(check: bool) -> ExitCode {
    let mut text = String::new();
    if let Err(error) = io::stdin().read_to_string(&mut text) {
        eprintln!("error: cannot read standard input: {error}");
        return ExitCode::FAILURE;
    }
    match formatted("standard input", &text) {
        Outcome::Broken(shown) => {
            eprint!("{shown}");
            return ExitCode::from(REFUSED);
        }
        Outcome::Differs(_) if check => return ExitCode::FAILURE,
        Outcome::Differs(better) => print!("{better}"),
        Outcome::Fine if check => {}
        Outcome::Fine => print!("{text}"),
    }
    ExitCode::SUCCESS
}

fn format_file(file: &Path, check: bool) -> io::Result<Outcome> {
    let text = fs::read_to_string(file)?;
    let outcome = formatted(&file.display().to_string(), &text);
    if let (Outcome::Differs(better), false) = (&outcome, check) {
        replace(file, better)?;
    }
    Ok(outcome)
}

fn formatted(name: &str, text: &str) -> Outcome {
    let parsed = language::parse(text);
    match language::format::format(&parsed, text) {
        Some(better) if better == text => Outcome::Fine,
        Some(better) => Outcome::Differs(better),
        None => {
            let source = Source::new(name, text);
            Outcome::Broken(report::shown(&source, &parsed.diagnostics, false))
        }
    }
}

/// Puts a new text in the place of a file, so that nobody ever reads half of it. A symbolic link
/// stays one: what it leads to is replaced.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let file = file.canonicalize()?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let beside = file.with_file_name(format!(".{name}.tmp"));
    let permissions = fs::metadata(&file)?.permissions();
    let written = fs::write(&beside, text)
        .and_then(|()| fs::set_permissions(&beside, permissions))
        .and_then(|()| fs::rename(&beside, &file));
    if written.is_err() {
        // The first error is the one to tell; nothing is left behind if that can be helped.
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    const UGLY: &str = "define   stream S(a int);from S select a insert into T;-- done\n";

    #[test]
    fn a_plan_is_rewritten_once_and_only_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.siddhi");
        fs::write(&file, UGLY).unwrap();
        assert!(matches!(format_file(&file, true).unwrap(), Outcome::Differs(_)));
        assert_eq!(fs::read_to_string(&file).unwrap(), UGLY, "a check changes nothing");
        assert!(matches!(format_file(&file, false).unwrap(), Outcome::Differs(_)));
        let better = fs::read_to_string(&file).unwrap();
        assert!(better.contains("define stream S (a int);") && better.contains("-- done"));
        assert_eq!(format_file(&file, false).unwrap(), Outcome::Fine);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn a_broken_plan_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.siddhi");
        fs::write(&file, "define stream (").unwrap();
        let Outcome::Broken(shown) = format_file(&file, false).unwrap() else {
            panic!("it should be broken");
        };
        assert!(shown.contains("a.siddhi:1:"), "{shown}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "define stream (");
    }
}
