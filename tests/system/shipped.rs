//! The plans that come with the program are right, in house style, and do what their plays say.

use std::process::Command;

fn run(arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_twinflow"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the program was built with the tests");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "twinflow {}:\n{said}", arguments.join(" "));
}

#[test]
fn shipped_plans_are_right() {
    run(&["check", "plans"]);
}

#[test]
fn shipped_plans_are_in_house_style() {
    run(&["fmt", "--check", "plans"]);
}

#[test]
fn shipped_plans_do_what_their_plays_say() {
    run(&["test", "plans"]);
}

#[test]
fn every_shipped_plan_has_a_play() {
    let plans = concat!(env!("CARGO_MANIFEST_DIR"), "/plans");
    let files = std::fs::read_dir(plans).unwrap().map(|entry| entry.unwrap().path());
    let plans: Vec<_> =
        files.filter(|file| file.extension().is_some_and(|ending| ending == "siddhi")).collect();
    assert!(!plans.is_empty());
    for plan in plans {
        assert!(plan.with_extension("test").exists(), "{} has no play", plan.display());
    }
}
