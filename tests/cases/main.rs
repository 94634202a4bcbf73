//! Plays every `.test` file there is, and generated plans. A new file takes part without being
//! named anywhere.

mod endless;
mod examples;
mod generated;
mod grammar;
mod manual;
mod pattern_grammar;
mod replay;

use std::path::Path;
use std::path::PathBuf;
use twinflow::cli::test::find;
use twinflow::cli::test::play_file;

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
