//! Plays every `.test` file there is, and generated plans. A new file takes part without being
//! named anywhere.

mod broken;
mod endless;
mod event_time;
mod examples;
mod extension;
mod generated;
mod grammar;
mod growth;
mod join_grammar;
mod join_model;
mod join_snapshot;
mod journaled;
mod logged;
mod manual;
mod pair;
mod pattern_grammar;
mod pattern_model;
mod replay;
mod stretches;
mod window_model;

use std::path::Path;
use std::path::PathBuf;
use twinflow::cli::test::find;
use twinflow::cli::test::play_file;
use twinflow::cli::test::read_file;
use twinflow::rehearsal::steps;

/// Where random cuts come from; `SEED=n` gives others.
fn seed() -> u64 {
    std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

fn plays() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["tests/cases", "plans"] {
        let folder = root.join(folder);
        if folder.exists() {
            find(&folder, &mut files).expect("folders of the project can be read");
        }
    }
    files
}

/// Plays a file through two replicas and from a journal; gives how many rows come out.
fn play_logged(file: &Path, seed: u64) -> Result<usize, String> {
    let (script, reading) = read_file(file)?;
    let Some(plan) = &reading.plan else { return Ok(0) };
    let steps = steps(&script, plan).map_err(|failure| failure.to_string())?;
    logged::compare(reading.source.text(), plan, &steps, seed)
}

#[test]
fn every_play_gives_the_same_through_a_pair_and_from_a_journal() {
    let files = plays();
    let mut rows = 0;
    let mut failures = Vec::new();
    for file in &files {
        match play_logged(file, seed()) {
            Ok(played) => rows += played,
            Err(failure) => failures.push(format!("{}\n{failure}\n", file.display())),
        }
    }
    assert!(rows > 5 * files.len() || !failures.is_empty(), "{rows} rows in all");
    let (failed, all) = (failures.len(), files.len());
    assert!(failures.is_empty(), "{failed} of {all} plays failed:\n\n{}", failures.join("\n"));
}

#[test]
fn every_play_gives_what_it_says_in_every_way() {
    let files = plays();
    let failures: Vec<String> = files
        .iter()
        .filter_map(|file| {
            let failure = play_file(file, seed()).err()?;
            Some(format!("{}\n{failure}\n", file.display()))
        })
        .collect();
    assert!(!files.is_empty(), "there are no plays");
    let (failed, all) = (failures.len(), files.len());
    assert!(failures.is_empty(), "{failed} of {all} plays failed:\n\n{}", failures.join("\n"));
}
