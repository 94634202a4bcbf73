//! `twinflow status` and `twinflow ha`: how a node and its pair stand, and words to the pair.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::Value;

use crate::actors::clock;
use crate::cli::client::Node;
use crate::cli::client::fail;
use crate::cli::client::say;

/// Show how a node stands: its plans and, in a pair, who acts and how far the other one is.
///
/// Exit status: 0 all is well; 1 the node does not answer, a plan does not run or waits for its
/// store, or the pair could not lose a node without loss.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct StatusArguments {
    #[command(flatten)]
    node: Node,
    /// As the API says it
    #[arg(long)]
    json: bool,
}

/// Words to a pair.
#[derive(Debug, clap::Subcommand)]
pub enum HaCommand {
    /// Hand over from the active node to the passive one, with nothing lost or repeated
    Switch {
        #[command(flatten)]
        node: Node,
    },
    /// Make a node active whose other one is gone for good, or where there is no arbiter
    ///
    /// Refused while the active node answers or its process lives. With `--force` also where this
    /// node may lack events that were acknowledged: they are lost then, results get a new
    /// generation, and you vouch for it that the other node does not run any more.
    #[command(verbatim_doc_comment)]
    Promote {
        #[command(flatten)]
        node: Node,
        /// Events may be lost, and the other node has certainly ended
        #[arg(long)]
        force: bool,
    },
    /// Run a plan that is down at the active node with what is there
    ///
    /// Only the other node had all of its entries. If that one will not come back with them, they
    /// are lost, and results get a new generation.
    #[command(verbatim_doc_comment)]
    GiveUp {
        #[command(flatten)]
        node: Node,
        /// The plan
        plan: String,
    },
    /// Drop what a node applied of a plan beyond the active node's log, and take that one's state
    #[command(verbatim_doc_comment)]
    Discard {
        #[command(flatten)]
        node: Node,
        /// The plan
        plan: String,
    },
}

/// Shows the status.
pub fn status(arguments: &StatusArguments) -> ExitCode {
    let plans = match arguments.node.get("/api/v1/plans") {
        Ok(plans) => plans,
        Err(error) => return fail(&error),
    };
    let pair = arguments.node.get("/api/v1/ha").ok();
    if arguments.json {
        let document = serde_json::json!({ "plans": plans["plans"], "ha": pair });
        say(&format!("{document:#}\n"));
    } else {
        say(&text(&plans, pair.as_ref()));
    }
    let runs = |plan: &Value| plan["state"] == "running" && plan["held_up"].is_null();
    let safe = pair.is_none_or(|pair| pair["in_sync"] == true);
    match plans["plans"].as_array().is_some_and(|plans| plans.iter().all(runs)) && safe {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Says a word to the pair.
pub fn ha(command: &HaCommand) -> ExitCode {
    let said = match command {
        HaCommand::Switch { node } => node.post("/api/v1/ha/switch"),
        HaCommand::Promote { node, force } => {
            node.post(&format!("/api/v1/ha/promote?force={force}"))
        }
        HaCommand::GiveUp { node, plan } => node.post(&format!("/api/v1/ha/give-up?plan={plan}")),
        HaCommand::Discard { node, plan } => node.post(&format!("/api/v1/ha/discard?plan={plan}")),
    };
    match said {
        Ok(pair) => {
            say(&text(&Value::Null, Some(&pair)));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

fn text(plans: &Value, pair: Option<&Value>) -> String {
    let mut out = String::new();
    if let Some(pair) = pair {
        write_pair(pair, &mut out);
    }
    for plan in plans["plans"].as_array().into_iter().flatten() {
        let (name, state) = (word(&plan["name"]), word(&plan["state"]));
        let _ = write!(out, "plan  {name}  {state}");
        if let Some(reason) = plan["held_up"].as_str() {
            let _ = write!(out, "  {reason}");
        }
        if let Some(log) = pair.and_then(|pair| log_of(pair, &name)) {
            let _ = write!(out, "  entry {}", log["committed"]);
            if log["down"] == true {
                out.push_str("  down here: only the other node has all of its entries");
                out.push_str("; if it is gone for good: `twinflow ha give-up`");
            }
        }
        out.push('\n');
    }
    out
}

fn write_pair(pair: &Value, out: &mut String) {
    let mut line = |name: &str, text: String| {
        let _ = writeln!(out, "{name:<15} {text}");
    };
    line("node", format!("{} ({})", word(&pair["node"]), word(&pair["place"])));
    let age = time(pair["role_age_ms"].as_i64().unwrap_or(0));
    line("role", format!("{} for {age}: {}", word(&pair["role"]), word(&pair["reason"])));
    line("epoch", pair["epoch"].to_string());
    let peer = match (pair["peer"].as_str(), pair["connected"] == true) {
        (Some(peer), true) => format!("{peer}, connected"),
        (Some(peer), false) => format!("{peer}, not connected: {}", word(&pair["trouble"])),
        (None, _) => format!("never seen: {}", word(&pair["trouble"])),
    };
    line("peer", peer);
    line("in sync", yes(&pair["in_sync"]));
    if !pair["lag_entries"].is_null() {
        line("lag", format!("{} entries, {} ms", pair["lag_entries"], pair["lag_ms"]));
    }
    let switch = match pair["switch_refusal"].as_str() {
        None => "yes".to_owned(),
        Some(refusal) => format!("no: {refusal}"),
    };
    line("safe to switch", switch);
    if let Some(reason) = pair["failover_reason"].as_str() {
        let ago = clock::now_ms() - pair["failover_at"].as_i64().unwrap_or(0);
        line("last takeover", format!("{reason}, {} ago", time(ago)));
    }
    if let Some(alarm) = pair["alarm"].as_str() {
        line("alarm", alarm.to_owned());
    }
}

fn log_of<'a>(pair: &'a Value, plan: &str) -> Option<&'a Value> {
    pair["plans"].as_array()?.iter().find(|log| log["plan"] == plan)
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

fn yes(value: &Value) -> String {
    if *value == true { "yes" } else { "no" }.to_owned()
}

/// A duration of so many milliseconds, in the unit that people would take.
fn time(milliseconds: i64) -> String {
    match milliseconds / 1_000 {
        ..120 => format!("{:.1} s", milliseconds as f64 / 1_000.0),
        seconds @ ..7_200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}
