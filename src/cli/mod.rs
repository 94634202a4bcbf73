//! The command line: arguments, dispatch and exit status.

mod check;
#[cfg(feature = "node")]
mod client;
#[cfg(feature = "node")]
mod dead_letters;
mod files;
mod format;
#[cfg(feature = "node")]
mod pair;
mod plan;
pub mod reference;
mod replay;
mod report;
#[cfg(feature = "node")]
mod run;
#[cfg(feature = "node")]
mod snapshot;
#[cfg(feature = "node")]
mod sql;
pub mod test;
#[cfg(feature = "node")]
mod witness;

use clap::Parser;
use clap::Subcommand;
use std::process::ExitCode;

const AFTER_HELP: &str = "\
A first plan, plans/hot.siddhi:

    @app:name('hot')
    define stream Readings (sensor string, celsius double);
    from Readings[celsius > 90.0] select sensor, celsius insert into Hot;

Exit status: 0 done; 1 something failed; 2 wrong arguments, settings or plans; 3 a plan uses what is
not supported yet.";

/// A stream engine that runs as a pair: SiddhiQL plans in, alerts and figures out.
#[derive(Debug, Parser)]
#[command(name = "twinflow", version, about, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "node")]
    Run(run::Arguments),
    #[cfg(feature = "node")]
    Status(pair::StatusArguments),
    #[cfg(feature = "node")]
    Snapshot(snapshot::Arguments),
    /// Look at what a plan could not handle, take it up again, or discard it
    #[cfg(feature = "node")]
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    /// Say a word to a pair: a planned switch, or a promotion by hand
    #[cfg(feature = "node")]
    #[command(subcommand)]
    Ha(pair::HaCommand),
    Check(check::Arguments),
    Fmt(format::Arguments),
    Plan(plan::Arguments),
    Reference(reference::Arguments),
    Replay(replay::Arguments),
    #[cfg(feature = "node")]
    Sql(sql::Arguments),
    Test(test::Arguments),
    #[cfg(feature = "node")]
    Witness(witness::Arguments),
}

/// Does what the command line asks for.
pub fn run() -> ExitCode {
    match Arguments::parse().command {
        #[cfg(feature = "node")]
        Command::Run(arguments) => run::run(&arguments),
        #[cfg(feature = "node")]
        Command::Status(arguments) => pair::status(&arguments),
        #[cfg(feature = "node")]
        Command::Snapshot(arguments) => snapshot::run(&arguments),
        #[cfg(feature = "node")]
        Command::DeadLetters(command) => dead_letters::run(&command),
        #[cfg(feature = "node")]
        Command::Ha(command) => pair::ha(&command),
        Command::Check(arguments) => check::run(&arguments),
        Command::Fmt(arguments) => format::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Reference(arguments) => reference::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        #[cfg(feature = "node")]
        Command::Sql(arguments) => sql::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        #[cfg(feature = "node")]
        Command::Witness(arguments) => witness::run(&arguments),
    }
}
