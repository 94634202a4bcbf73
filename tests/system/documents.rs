//! Every example in the documents works: each fenced block is tried by its kind, in the order in
//! which a reader meets them, with one node a document. CONTRIBUTING.md lists the kinds.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;

use serde_json::Value;
use tempfile::TempDir;
use twinflow::config::Config;
use twinflow::config::Raw;

use crate::node::Node;
use crate::node::SOON;

/// Where the documents say that the node listens.
const SAID: &str = "localhost:8080";
/// Stands in an example of an answer for what nobody can know.
const ANY: &str = "…";

/// What is tried of a block; the info string of its fence says which.
#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// `sh`: a script that must succeed. The node is where the documents say it is.
    Script,
    /// `sh follow`: goes on beside what follows, and must have said something by the end.
    Follow,
    /// `sh make`: each line is a target of the Makefile.
    Make,
    /// `json`: a JSON document; `json answer`: what the script before it said, at least.
    Json { answer: bool },
    /// `sql`: a plan that can be deployed; with a path it is deployed as that file.
    Plan { file: Option<String> },
    /// `sql refused CODE`: a plan that is refused with this code.
    Refused { code: String },
    /// `toml`: settings.
    Settings,
    /// `play`: a play that holds.
    Play,
    /// `text`: to be looked at.
    Picture,
}

#[derive(Debug)]
struct Block {
    place: String,
    kind: Option<Kind>,
    info: String,
    text: String,
}

fn kind(info: &str) -> Option<Kind> {
    Some(match info.split_whitespace().collect::<Vec<_>>()[..] {
        ["sh"] => Kind::Script,
        ["sh", "follow"] => Kind::Follow,
        ["sh", "make"] => Kind::Make,
        ["json"] => Kind::Json { answer: false },
        ["json", "answer"] => Kind::Json { answer: true },
        ["sql" | "siddhi"] => Kind::Plan { file: None },
        ["sql" | "siddhi", "refused", code] => Kind::Refused { code: code.to_owned() },
        ["sql" | "siddhi", file] => Kind::Plan { file: Some(file.to_owned()) },
        ["toml"] => Kind::Settings,
        ["play"] => Kind::Play,
        ["text"] => Kind::Picture,
        _ => return None,
    })
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All documents: those of the first folder and those in `docs`.
fn documents() -> Vec<PathBuf> {
    let folders = [root().to_owned(), root().join("docs")];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    let files = files.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = files.filter(|file| file.extension() == Some("md".as_ref())).collect();
    files.sort();
    files
}

/// The fenced blocks of a document, also those that stand in a list.
fn blocks(file: &Path) -> Vec<Block> {
    let document = fs::read_to_string(file).expect("a document");
    let name = file.strip_prefix(root()).expect("it lies below").display().to_string();
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<usize> = None;
    for (index, line) in document.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (open, fence) {
            (None, Some(info)) => {
                open = Some(line.len() - line.trim_start().len());
                let (place, info) = (format!("{name}:{}", index + 1), info.trim().to_owned());
                blocks.push(Block { place, kind: kind(&info), info, text: String::new() });
            }
            (Some(_), Some(_)) => open = None,
            (Some(indent), None) => {
                let block = blocks.last_mut().expect("one is open");
                block.text.push_str(line.get(indent..).unwrap_or_default());
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{name}: a fence is not closed");
    blocks
}

/// A reader who tries everything; a node starts with the first block that wants one.
#[derive(Default)]
struct Reader {
    node: Option<Node>,
    said: String,
    followers: Vec<Follower>,
}

/// A script that goes on until it is ended.
struct Follower {
    place: String,
    process: Child,
    said: Arc<Mutex<String>>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Reader {
    fn node(&mut self) -> &Node {
        self.node.get_or_insert_with(|| Node::start(&[], ""))
    }

    fn attempt(&mut self, block: &Block) -> Result<(), String> {
        let text = &block.text;
        match block.kind.as_ref().ok_or("no known kind; see CONTRIBUTING.md")? {
            Kind::Script => {
                let output = self.script(text).output().expect("a shell");
                self.said = String::from_utf8_lossy(&output.stdout).into_owned();
                succeeded(&output)
            }
            Kind::Follow => {
                self.follow(block);
                Ok(())
            }
            Kind::Make => make(text),
            Kind::Json { answer } => {
                let expected: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
                let found = answer.then(|| serde_json::from_str(&self.said));
                match found {
                    None => Ok(()),
                    Some(Ok(found)) if holds(&found, &expected) => Ok(()),
                    Some(_) => Err(format!("the script before it said:\n{}", self.said)),
                }
            }
            Kind::Plan { file: None } => in_a_file("plan.siddhi", text, &["check"], 0),
            Kind::Plan { file: Some(file) } => self.deploy(file, text),
            Kind::Refused { code } => {
                in_a_file("plan.siddhi", text, &["check", "--json"], 2)?;
                let found = command_on("plan.siddhi", text, &["check", "--json"]);
                let said = String::from_utf8_lossy(&found.stdout).into_owned();
                let named = said.contains(&format!("\"{code}\""));
                if named { Ok(()) } else { Err(format!("expected {code}, found:\n{said}")) }
            }
            Kind::Settings => {
                let raw = Raw::parse(&block.place, text, []);
                Config::from_raw(&raw).map(drop).map_err(|faults| faults.to_string())
            }
            Kind::Play => in_a_file("play.test", text, &["test"], 0),
            Kind::Picture => Ok(()),
        }
    }

    /// A shell in the folder of the node, where `twinflow` is the program that was built.
    fn script(&mut self, text: &str) -> Command {
        let node = self.node();
        let text = text.replace(SAID, &node.address().to_string());
        let program = Path::new(env!("CARGO_BIN_EXE_twinflow")).parent().expect("a folder");
        let paths = std::env::var("PATH").expect("there are programs");
        let mut command = Command::new("sh");
        command
            .args(["-eu", "-c", &text])
            .current_dir(node.folder())
            .env("PATH", format!("{}:{paths}", program.display()))
            .stdin(Stdio::null());
        command
    }

    fn follow(&mut self, block: &Block) {
        // One process, so that ending it ends all of it.
        let text = format!("exec {}", block.text);
        let mut process =
            self.script(&text).stdout(Stdio::piped()).spawn().expect("a shell starts");
        let mut out = process.stdout.take().expect("it is piped");
        let said = Arc::new(Mutex::new(String::new()));
        let (into, mut buffer) = (Arc::clone(&said), [0; 4096]);
        thread::spawn(move || {
            while let Ok(length @ 1..) = out.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]);
                into.lock().expect("nobody panics with it").push_str(&text);
            }
        });
        self.followers.push(Follower { place: block.place.clone(), process, said });
    }

    /// Puts a plan where the document says, and waits until this text runs.
    fn deploy(&mut self, file: &str, text: &str) -> Result<(), String> {
        let name = file.strip_prefix("plans/").ok_or("expected a path in plans/")?;
        let node = self.node();
        node.put(name, text);
        let running = node.wait(SOON, &format!("{file} is judged"), || {
            let plans = node.get("/api/v1/plans").json()["plans"].clone();
            let mine = plans.as_array()?.iter().find(|plan| plan["file"] == *file_name(name))?;
            let refused = mine["refused"][0]["text"].as_str().map(str::to_owned);
            let plan = format!("/api/v1/plans/{}", mine["name"].as_str()?);
            let runs = node.get(&plan).json()["text"] == *text;
            (runs || refused.is_some()).then_some(refused)
        });
        running.map_or(Ok(()), Err)
    }

    /// Ends those who follow; each must have been told something by now.
    fn close(&mut self) {
        for follower in self.followers.drain(..) {
            let node = self.node.as_ref().expect("it was started for the follower");
            let heard = || !follower.said.lock().expect("nobody panics with it").is_empty();
            let what = format!("{} is told something", follower.place);
            node.wait(SOON, &what, || heard().then_some(()));
        }
    }
}

fn file_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn succeeded(output: &Output) -> Result<(), String> {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said);
    match output.status.code() {
        Some(0) => Ok(()),
        Some(127) => Err(format!("a program is missing (the examples use curl):\n{said}")),
        status => Err(format!("exit status {status:?}:\n{said}")),
    }
}

/// Runs a command of the program on a text in a file.
fn command_on(name: &str, text: &str, arguments: &[&str]) -> Output {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join(name);
    fs::write(&file, text).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinflow"));
    command.args(arguments).arg(&file).output().expect("the program was built with the tests")
}

fn in_a_file(name: &str, text: &str, arguments: &[&str], status: i32) -> Result<(), String> {
    let output = command_on(name, text, arguments);
    if output.status.code() == Some(status) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Err(format!("expected exit status {status}, found {:?}:\n{said}", output.status.code()))
}

fn make(text: &str) -> Result<(), String> {
    let targets = fs::read_to_string(root().join("Makefile")).expect("the Makefile");
    for line in text.lines() {
        let words: Vec<_> = line.split('#').next().unwrap_or_default().split(' ').collect();
        let target = words.get(1).filter(|_| words[0] == "make").ok_or("expected `make …`")?;
        if !targets.lines().any(|line| line.starts_with(&format!("{target}:"))) {
            return Err(format!("`make {target}` is not in the Makefile"));
        }
    }
    Ok(())
}

/// Whether an answer says at least what an example of it says.
fn holds(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (_, Value::String(any)) if any == ANY => true,
        (Value::Object(found), Value::Object(expected)) => expected
            .iter()
            .all(|(name, value)| found.get(name).is_some_and(|found| holds(found, value))),
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len()
                && found.iter().zip(expected).all(|(found, expected)| holds(found, expected))
        }
        _ => found == expected,
    }
}

#[test]
fn every_example_in_the_documents_works() {
    let documents = documents();
    let faults: Vec<String> = documents
        .iter()
        .flat_map(|file| {
            let mut reader = Reader::default();
            let mut faults = Vec::new();
            for block in blocks(file) {
                if let Err(fault) = reader.attempt(&block) {
                    faults.push(format!("{} (`{}`): {fault}", block.place, block.info));
                }
            }
            reader.close();
            faults
        })
        .collect();
    assert!(documents.len() >= 4, "{documents:?}");
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

/// The targets of a document's links: what stands in `](…)`.
fn links(document: &str) -> Vec<String> {
    let found = document.split("](").skip(1);
    found.filter_map(|rest| rest.split_once(')').map(|(link, _)| link.to_owned())).collect()
}

/// What a link to a heading says: small letters, with hyphens for blanks.
fn has_heading(document: &str, anchor: &str) -> bool {
    let headings = document.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-"))
        .any(|heading| heading == anchor)
}

#[test]
fn links_lead_somewhere() {
    let mut faults = Vec::new();
    for file in documents() {
        let document = fs::read_to_string(&file).expect("a document");
        for link in links(&document).iter().filter(|link| !link.starts_with("https://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => file.clone(),
                path => file.parent().expect("it lies in a folder").join(path),
            };
            let found = match fs::read_to_string(&target) {
                Ok(text) => anchor.is_empty() || has_heading(&text, anchor),
                Err(_) => target.is_dir() && anchor.is_empty(),
            };
            if !found {
                faults.push(format!("{}: `{link}` leads nowhere", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A play made to show a difference, yet named nowhere, shows it to nobody.
#[test]
fn every_difference_is_told() {
    let page = fs::read_to_string(root().join("docs/differences.md")).expect("a document");
    let links = links(&page);
    let plays = fs::read_dir(root().join("tests/cases/differences")).expect("a folder");
    for play in plays {
        let name = play.expect("an entry").file_name().into_string().expect("a text");
        let told = links.iter().any(|link| link.ends_with(&format!("/differences/{name}")));
        assert!(told, "docs/differences.md does not name {name}");
    }
    assert!(links.iter().filter(|link| link.ends_with(".test")).count() >= 20, "{links:?}");
}

#[test]
fn an_example_that_does_not_work_is_told() {
    let block = |info: &str, text: &str| Block {
        place: "here".to_owned(),
        kind: kind(info),
        info: info.to_owned(),
        text: text.to_owned(),
    };
    let mut reader = Reader::default();
    for (info, text) in [
        ("", "anything"),
        ("rust", "fn main() {}"),
        ("sh", "curl -sf localhost:8080/nowhere"),
        ("sh make", "make nothing"),
        ("json", "{"),
        ("sql", "define stream S (a int);\nfrom S select b insert into T;"),
        ("sql plans/wrong.siddhi", "define stream S (a strange);"),
        ("sql refused P0101", "define stream S (a int);"),
        ("toml", "[http]\nlisten = 7"),
        ("play", "-- plan\ndefine stream S (a int);\n-- play\n@0 S 1\n-- expect\n@0 T 1\n"),
    ] {
        let told = reader.attempt(&block(info, text));
        assert!(told.is_err(), "`{info}` was taken");
    }
    reader.attempt(&block("sh", "echo '{\"a\": 1, \"b\": 2}'")).expect("it says something");
    assert_eq!(reader.attempt(&block("json answer", "{\"b\": 2, \"a\": \"…\"}")), Ok(()));
    assert!(reader.attempt(&block("json answer", "{\"b\": 3}")).is_err());
}
