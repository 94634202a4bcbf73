//! The main job from end to end, in under a minute: a node of its own, plans from `plans/`, events
//! in, alerts out, each figure checked. `make demo` builds and runs it; it ends by itself.

#![expect(clippy::print_stdout, reason = "it is made to be read")]

#[path = "../../tests/system/client.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod client;
mod node;
mod pair;
mod story;

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let began = Instant::now();
    let mut story = story::Story::default();
    match story::tell(&mut story) {
        Ok(()) => {
            let (checks, seconds) = (story.checks(), began.elapsed().as_secs_f64());
            println!("\nAll {checks} checks hold; the demo took {seconds:.1} s.");
            println!("Next: `make run` starts a node to work with; README.md goes on from there.");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("\nThe demo failed: {fault}");
            ExitCode::FAILURE
        }
    }
}
