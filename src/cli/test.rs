//! `twinflow test`: plays the `.test` files beside plans.

use crate::rehearsal;
use crate::rehearsal::PlanText;
use crate::rehearsal::Reading;
use crate::rehearsal::Script;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

/// Play the `.test` files beside plans and say where results are not as they should be.
///
/// A `.test` file holds a plan or names one, then what happens, then what must come out:
///
///   -- plan alerts.siddhi
///   -- play
///   @0     Logins  'ann', false
///   @1000  Logins  'ann', false; 'ben', true
///   -- expect
///   @1000  Alerts  'ann', 2
///
/// Each is played as written, one row at a time, all at once, cut at random, and with the state
/// saved and loaded in between; all must give the same.
///
/// Exit status: 0 all plays passed, 1 some did not.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// Files, or folders to search with all that is in them
    #[arg(value_name = "PATH", default_value = "plans")]
    paths: Vec<PathBuf>,
    /// Where random cuts come from; another number gives others
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Plays all that is asked for.
#[expect(clippy::print_stdout, reason = "what failed is the command's answer")]
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let mut files = Vec::new();
    for path in &arguments.paths {
        if let Err(error) = find(path, &mut files) {
            eprintln!("error: cannot read `{}`: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    let mut failed = 0;
    for file in &files {
        if let Err(message) = play_file(file, arguments.seed) {
            failed += 1;
            println!("failed  {}\n{message}\n", file.display());
        }
    }
    let plays = if files.len() == 1 { "play" } else { "plays" };
    println!("{} of {} {plays} passed", files.len() - failed, files.len());
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Finds the plays at a path, in order of their names: the file itself, or all in the folder.
///
/// # Errors
/// If the path cannot be read.
pub fn find(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries: io::Result<Vec<PathBuf>> =
        fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut entries = entries?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            find(&entry, files)?;
        } else if entry.extension().is_some_and(|ending| ending == "test") {
            files.push(entry);
        }
    }
    Ok(())
}

/// Plays one file in every way, the random ones from `seed`.
///
/// # Errors
/// Says what is not as it should be.
pub fn play_file(path: &Path, seed: u64) -> Result<(), String> {
    let (script, reading) = read_file(path)?;
    rehearsal::rehearse(&script, &reading, seed).map_err(|failure| failure.to_string())
}

/// Reads a play and its plan.
///
/// # Errors
/// If a file cannot be read, or is no play.
pub fn read_file(path: &Path) -> Result<(Script, Reading), String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    let script = rehearsal::read(&text)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let reading = match &script.plan {
        PlanText::Inline(plan) => Reading::new(&path.display().to_string(), plan),
        PlanText::File(name) => {
            let file = path.with_file_name(name);
            let plan = fs::read_to_string(&file).map_err(|error| {
                format!("its plan `{}` cannot be read: {error}", file.display())
            })?;
            Reading::new(&file.display().to_string(), &plan)
        }
    };
    Ok((script, reading))
}
