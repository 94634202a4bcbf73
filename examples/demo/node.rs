//! Starts the node that the demo talks to, in a folder of its own with a copy of `plans/`.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use crate::client;
use crate::client::Answer;
use crate::client::TailReader;

/// What went wrong, for people.
pub type Fault = Box<dyn std::error::Error>;

/// How long anything may take that should happen soon.
const SOON: Duration = Duration::from_secs(20);

/// A node that runs; dropping it kills it.
pub struct Node {
    process: Child,
    folder: TempDir,
    address: SocketAddr,
}

impl Node {
    /// Starts `twinflow run` on a copy of the shipped plans and waits until it listens.
    pub fn start() -> Result<Self, Fault> {
        let folder = TempDir::new()?;
        let plans = folder.path().join("plans");
        fs::create_dir(&plans)?;
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
        for entry in fs::read_dir(shipped)? {
            let file = entry?.path();
            if let (Some("siddhi"), Some(name)) =
                (file.extension().and_then(|ending| ending.to_str()), file.file_name())
            {
                fs::copy(&file, plans.join(name))?;
            }
        }
        let (process, address) = run(folder.path())?;
        Ok(Self { process, folder, address })
    }

    /// Starts `twinflow run` on these plan files with these settings.
    pub fn launch(plans: &[(&str, &str)], settings: &str) -> Result<Self, Fault> {
        let folder = TempDir::new()?;
        fs::create_dir(folder.path().join("plans"))?;
        for (name, text) in plans {
            fs::write(folder.path().join("plans").join(name), text)?;
        }
        fs::write(folder.path().join("twinflow.toml"), settings)?;
        let (process, address) = run(folder.path())?;
        Ok(Self { process, folder, address })
    }

    /// Ends the process as `kill -9` does.
    pub fn kill(&mut self) -> Result<(), Fault> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Starts the process again in the same folder.
    pub fn start_again(&mut self) -> Result<(), Fault> {
        (self.process, self.address) = run(self.folder.path())?;
        Ok(())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks for a path.
    pub fn get(&self, path: &str) -> Value {
        client::ask(self.address, "GET", path, &[], None).json()
    }

    /// Sends a body.
    pub fn post(&self, path: &str, body: &str) -> Answer {
        client::ask(self.address, "POST", path, &[], Some(body.as_bytes()))
    }

    /// Follows a stream from now on.
    pub fn tail(&self, path: &str) -> TailReader {
        TailReader::open(self.address, path, &[])
    }

    /// Drops a plan file into the folder, whole.
    pub fn drop_plan(&self, name: &str, text: &str) -> Result<(), Fault> {
        let draft = self.folder.path().join(format!(".{name}"));
        fs::write(&draft, text)?;
        Ok(fs::rename(draft, self.folder.path().join("plans").join(name))?)
    }

    /// The first line of a file that a plan writes.
    pub fn first_line(&self, file: &str) -> Result<Value, Fault> {
        let path = self.folder.path().join(file);
        let (line, _) = self.wait("a line is written", || {
            let text = fs::read_to_string(&path).ok()?;
            text.split_once('\n').map(|(line, _)| line.to_owned())
        })?;
        Ok(serde_json::from_str(&line)?)
    }

    /// How many whole lines of a file hold this text.
    pub fn lines_with(&self, file: &str, text: &str) -> Result<usize, Fault> {
        let log = fs::read_to_string(self.folder.path().join(file))?;
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        Ok(whole.lines().filter(|line| line.contains(text)).count())
    }

    /// Waits until something is so; how long that took.
    pub fn wait<T>(
        &self,
        what: &str,
        mut look: impl FnMut() -> Option<T>,
    ) -> Result<(T, Duration), Fault> {
        let began = Instant::now();
        loop {
            if let Some(found) = look() {
                return Ok((found, began.elapsed()));
            }
            if began.elapsed() > SOON {
                let log = fs::read_to_string(self.folder.path().join("log"))?;
                return Err(format!("waited {SOON:?} until {what}; the node's log:\n{log}").into());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops it in order, as a service manager does.
    pub fn stop(mut self) -> Result<Option<i32>, Fault> {
        let kill = format!("kill -TERM {}", self.process.id());
        Command::new("sh").args(["-c", &kill]).status()?;
        let began = Instant::now();
        while began.elapsed() < SOON {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status.code());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err("the node did not stop".into())
    }
}

/// Starts a node in a folder and waits until it says where it listens.
fn run(folder: &Path) -> Result<(Child, SocketAddr), Fault> {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log"))?;
    let mut process = Command::new(binary()?)
        .arg("run")
        .current_dir(folder)
        .env("TWINFLOW_HTTP_LISTEN", "127.0.0.1:0")
        .env_remove("TWINFLOW_CONFIG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()?;
    let output = process.stdout.take().ok_or("the node has no output")?;
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let address = lines.by_ref().find_map(|line| {
        let address = line.split_once("http://")?.1.split_whitespace().next()?;
        address.parse().ok()
    });
    // What it says later must not fill the pipe.
    thread::spawn(move || lines.for_each(drop));
    match address {
        Some(address) => Ok((process, address)),
        None => Err(fs::read_to_string(folder.join("log"))?.into()),
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program that was built with the demo: it lies one folder above.
fn binary() -> Result<std::path::PathBuf, Fault> {
    let demo = std::env::current_exe()?;
    let folder = demo.parent().and_then(Path::parent).ok_or("the demo lies nowhere")?;
    let binary = folder.join(format!("twinflow{}", std::env::consts::EXE_SUFFIX));
    match binary.exists() {
        true => Ok(binary),
        false => Err(format!("{} is missing; use `make demo`", binary.display()).into()),
    }
}
