//! `twinflow run`: a node that runs until it is told to stop.

use std::ffi::OsString;
use std::io::Write as _;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tracing::info;

use crate::actors::handle::Handle;
use crate::actors::handle::PlanState;
use crate::actors::handle::PlanView;
use crate::actors::node;
use crate::config::Config;
use crate::config::Faults;
use crate::config::Raw;
use crate::ha::protocol::Word;
use crate::http;
use crate::http::Api;
use crate::telemetry;

/// Where settings are read from if nothing else is said, and if it is there.
const FILE: &str = "twinflow.toml";
/// The settings are wrong.
const EXIT_SETTINGS: u8 = 2;
/// How long the first look at the plans may take before the node says where it listens anyway.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// How long a node that ends tries to hand over.
const SWITCH_TIME: Duration = Duration::from_secs(3);
/// How often it is looked whether the first look is done.
const PAUSE: Duration = Duration::from_millis(5);

/// Run a node: the plans of a folder, fed and read over HTTP.
///
/// Plans dropped into the folder are checked and run within a second, changed ones replace what ran
/// before, deleted ones end. The address of the API is printed; ask it for `/`. Ctrl-C or SIGTERM
/// stops the node in order: what was taken is finished, what has results is published.
///
/// A variable such as TWINFLOW_HTTP_LISTEN goes before the setting `http.listen` in the file.
///
/// Exit status: 0 stopped in order; 1 the node could not start; 2 the settings are wrong.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// The settings; without it `twinflow.toml` in this folder, if there is one
    #[arg(long, short, value_name = "FILE", env = "TWINFLOW_CONFIG")]
    config: Option<PathBuf>,
    /// Print the settings in force and what they mean, as a settings file, and end
    #[arg(long)]
    print_config: bool,
}

/// Runs a node; returns when it has stopped.
pub fn run(arguments: &Arguments) -> ExitCode {
    let (raw, config) = match settings(arguments) {
        Ok(settings) => settings,
        Err(faults) => {
            eprintln!("error: the settings are wrong\n{faults}");
            return ExitCode::from(EXIT_SETTINGS);
        }
    };
    if arguments.print_config {
        say(&raw.print());
        return ExitCode::SUCCESS;
    }
    telemetry::start_log(&config.log);
    let listen = config.http.listen;
    let bound = TcpListener::bind(listen).and_then(|listener| {
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    let (listener, address) = match bound {
        Ok(bound) => bound,
        Err(error) => {
            eprintln!(
                "error: cannot listen on {listen}: {error}\n\
                 Another node may be running; `http.listen` or the variable \
                 TWINFLOW_HTTP_LISTEN names another address, port 0 takes a free one."
            );
            return ExitCode::FAILURE;
        }
    };
    match actix::System::new().block_on(serve(config, listener, address)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn settings(arguments: &Arguments) -> Result<(Raw, Config), Faults> {
    let usual = Some(Path::new(FILE)).filter(|file| file.exists());
    // A variable that is no text is none of ours.
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let variables = std::env::vars_os().filter_map(text);
    let raw = Raw::read(arguments.config.as_deref().or(usual), variables)?;
    let config = Config::from_raw(&raw)?;
    Ok((raw, config))
}

async fn serve(
    config: Config,
    listener: TcpListener,
    address: SocketAddr,
) -> Result<(), Box<dyn std::error::Error>> {
    // From here on a signal does not end the process at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let with_faults = config.testing.faults;
    let handle = node::start(config)?;
    let api = Arc::new(Api::new(handle.clone()));
    handle.add(http::child(listener, api, with_faults)).await;
    let told = async {
        wait_for_plans(&handle).await;
        announce(&handle, address);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = told => {}
    }
    info!("stopping; a second signal ends at once");
    let in_order = async {
        // The other node goes on at once, with nothing lost or repeated.
        let _ = tokio::time::timeout(SWITCH_TIME, hand_over(&handle)).await;
        handle.stop().await;
    };
    tokio::select! {
        () = in_order => info!("stopped"),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Hands over to the other node of a pair, if it could act, and waits until it does: before that a
/// node that ends looks like one that was killed.
async fn hand_over(handle: &Handle) {
    let Some(before) = handle.pair().await.filter(|pair| pair.safe_to_switch) else { return };
    if handle.wish(Word::Switch).await.is_err() {
        return;
    }
    while handle.pair().await.is_some_and(|pair| pair.epoch == before.epoch) {
        tokio::time::sleep(PAUSE).await;
    }
}

async fn wait_for_plans(handle: &Handle) {
    let ready = async {
        while !handle.is_ready() {
            tokio::time::sleep(PAUSE).await;
        }
    };
    // What takes longer is told by the log.
    let _ = tokio::time::timeout(FIRST_LOOK, ready).await;
}

/// Says on standard output where the node listens and what runs.
fn announce(handle: &Handle, address: SocketAddr) {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!("Twinflow {version} listens on http://{address}\n");
    let plans = handle.plans();
    if plans.is_empty() {
        text.push_str("No plans yet.\n");
    }
    for view in &plans {
        text.push_str(&format!("  {}\n", line(view)));
    }
    let folder = handle.config().plans.folder.display();
    text.push_str(&format!("Drop plans into `{folder}/`. Ctrl-C stops the node.\n"));
    say(&text);
}

/// Writes to standard output; whoever read it may have gone, which is no reason to stop.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn line(view: &PlanView) -> String {
    let PlanView { name, file, .. } = view;
    match (&view.state, &view.refused) {
        (PlanState::Running, None) => format!("{name} runs ({file})"),
        (PlanState::Running, Some(refused)) => {
            format!("{name} runs ({file}); refused: {}: {}", refused.file, refused.reason)
        }
        (PlanState::Failed(reason), _) => format!("{name} failed ({file}): {reason}"),
        (PlanState::Refused, Some(refused)) => {
            format!("{name} was refused ({file}): {}; the log says where", refused.reason)
        }
        (PlanState::Refused, None) => format!("{name} was refused ({file})"),
    }
}
