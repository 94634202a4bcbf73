//! Sets up the log: on standard error, as text with colours on terminals, or as JSON lines.

use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;

use tracing::error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::Log;
use crate::config::LogFormat;

/// Starts the log of this process; later calls change nothing.
///
/// Standard output stays free for what commands print.
pub fn start_log(log: &Log) {
    // The web server tells of each worker; who wants that asks for `actix_server=info`.
    let filter = EnvFilter::builder()
        .parse(format!("actix_server=warn,{}", log.level))
        .expect("a checked configuration holds a filter that parses");
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A line that finds no room is lost. To say so on the same way would be a panic in the end.
    let lines = lines.log_internal_errors(false);
    let started = match log.format {
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init(),
        LogFormat::Text => {
            let lines = lines.with_ansi(std::io::stderr().is_terminal());
            lines.with_target(false).finish().try_init()
        }
    };
    // An embedder may have set up a log of its own; then that one stays.
    if started.is_ok() {
        std::panic::set_hook(Box::new(tell_panic));
    }
}

/// A panic is a line of the log like any other, so that JSON stays JSON.
fn tell_panic(info: &PanicHookInfo<'_>) {
    let note = info.payload_as_str().unwrap_or("without a message");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    error!(note, place, thread = thread.name().unwrap_or_default(), "panicked");
}
