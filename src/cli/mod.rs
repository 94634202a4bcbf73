//! The command line: arguments, dispatch and exit status.

mod check;
mod files;
mod format;
mod replay;
mod report;
pub mod test;

use clap::Parser;
use clap::Subcommand;
use std::process::ExitCode;

/// A stream engine that runs as a pair: SiddhiQL plans in, alerts and figures out.
#[derive(Debug, Parser)]
#[command(name = "twinflow", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what is wrong with plans, and start nothing
    Check(check::Arguments),
    /// Rewrite plans in house style
    Fmt(format::Arguments),
    /// Run a plan on a virtual clock: events in as JSON lines, results out as JSON lines
    Replay(replay::Arguments),
    /// Play the `.test` files beside plans and compare what comes out
    Test(test::Arguments),
}

/// Does what the command line asks for.
pub fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Fmt(arguments) => format::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
    }
}
