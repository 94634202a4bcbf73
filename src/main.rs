//! Hands the arguments to the command line and its answer to the system; nothing else.

fn main() -> std::process::ExitCode {
    twinflow::cli::run()
}
