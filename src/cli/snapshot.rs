//! `twinflow snapshot`: has a running node take snapshots of plans now.

use std::process::ExitCode;

use serde_json::Value;

use crate::cli::client::Node;
use crate::cli::client::fail;
use crate::cli::client::say;

/// Take a snapshot of plans now, or list those there are.
///
/// A node takes snapshots by itself (`persistence.interval`); one now makes the next restart
/// shorter. The latest two of a plan are kept.
///
/// Exit status: 0 done; 1 the node does not answer, or a snapshot could not be taken.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// The plans; without any, all that run
    plans: Vec<String>,
    /// Only list the snapshots there are
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    node: Node,
}

/// Takes snapshots or lists them.
pub fn run(arguments: &Arguments) -> ExitCode {
    let mut failed = false;
    let plans = match plans(arguments) {
        Ok(plans) => plans,
        Err(error) => return fail(&error),
    };
    for plan in plans {
        let path = format!("/api/v1/plans/{plan}/snapshots");
        let asked = match arguments.list {
            true => arguments.node.get(&path),
            false => arguments.node.post(&path),
        };
        match asked {
            Ok(answer) => say(&text(&plan, &answer)),
            Err(error) => {
                eprintln!("error: {plan}: {error}");
                failed = true;
            }
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn plans(arguments: &Arguments) -> Result<Vec<String>, String> {
    if !arguments.plans.is_empty() {
        return Ok(arguments.plans.clone());
    }
    let all = arguments.node.get("/api/v1/plans")?;
    let running = all["plans"].as_array().into_iter().flatten();
    let running = running.filter(|plan| plan["state"] == "running");
    Ok(running.filter_map(|plan| plan["name"].as_str()).map(str::to_owned).collect())
}

fn text(plan: &str, answer: &Value) -> String {
    let line = |snapshot: &Value| {
        let name = snapshot["name"].as_str().unwrap_or("-");
        let fault = snapshot["fault"].as_str().map(|fault| format!("  damaged: {fault}"));
        let position = &snapshot["position"];
        format!("{plan}  {name}  entry {position}{}\n", fault.unwrap_or_default())
    };
    match answer["snapshots"].as_array() {
        Some(all) if all.is_empty() => format!("{plan}  none\n"),
        Some(all) => all.iter().map(line).collect(),
        None => line(answer),
    }
}
