//! Speaks to a running node over HTTP, for the commands that ask it something.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

/// How long an answer may take.
const TIME: Duration = Duration::from_secs(20);

/// Which node a command speaks to.
#[derive(Debug, Clone, clap::Args)]
pub struct Node {
    /// The address of the node's API
    #[arg(
        long,
        value_name = "URL",
        env = "TWINFLOW_NODE",
        default_value = "http://127.0.0.1:8080"
    )]
    pub node: String,
}

impl Node {
    /// Asks for a document.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub fn get(&self, path: &str) -> Result<Value, String> {
        self.read(agent().get(self.url(path)).call())
    }

    /// Says something, without a body.
    ///
    /// # Errors
    /// Why it was not done, for people.
    pub fn post(&self, path: &str) -> Result<Value, String> {
        self.read(agent().post(self.url(path)).send_empty())
    }

    /// Sends a text, with more parameters, and reads the answer as it comes.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub fn ask(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
        text: &str,
        wait: Duration,
    ) -> Result<ureq::http::Response<ureq::Body>, String> {
        let config = ureq::Agent::config_builder().timeout_global(Some(wait));
        let agent: ureq::Agent = config.http_status_as_error(false).build().into();
        let mut request = agent.post(self.url(path)).content_type("text/plain");
        for (name, value) in parameters {
            request = request.query(name, value);
        }
        let answer = request.send(text);
        match answer {
            Ok(answer) if answer.status().is_success() => Ok(answer),
            answer => Err(self.read(answer).err().unwrap_or_default()),
        }
    }

    /// Says something with a body.
    ///
    /// # Errors
    /// Why it was not done, for people.
    pub fn post_bytes(&self, path: &str, body: &[u8]) -> Result<Value, String> {
        let request = agent().post(self.url(path)).content_type("application/octet-stream");
        self.read(request.send(body))
    }

    /// Has something removed.
    ///
    /// # Errors
    /// Why it was not done, for people.
    pub fn delete(&self, path: &str) -> Result<Value, String> {
        self.read(agent().delete(self.url(path)).call())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.node.trim_end_matches('/'))
    }

    fn read(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value, String> {
        let unreachable = |error: ureq::Error| {
            format!("the node at {} does not answer: {error}; `--node` names another", self.node)
        };
        let mut answer = answer.map_err(unreachable)?;
        let status = answer.status();
        let text = answer.body_mut().read_to_string().map_err(unreachable)?;
        let document: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(document);
        }
        Err(document["detail"].as_str().map_or_else(|| format!("{status}: {text}"), str::to_owned))
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder();
    config.timeout_global(Some(TIME)).http_status_as_error(false).build().into()
}

/// Writes to standard output; whoever read it may have gone.
pub fn say(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Says why a command did nothing.
pub fn fail(error: &str) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}
