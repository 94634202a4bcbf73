//! Databases to test with: files of SQLite, and one server a kind for all tests, which
//! `scripts/database` starts and stops.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::process::Child;
use std::process::ChildStdin;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::sync::RwLockWriteGuard;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use tempfile::TempDir;
use twinflow::config::Config;
use twinflow::config::Raw;
use twinflow::store::Session;
use twinflow::store::Store;
use twinflow::store::Stores;

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Sqlite,
    Mariadb,
    Postgres,
}

/// A server that runs until the process of the tests ends.
pub struct Server {
    script: Mutex<Script>,
    pub port: u16,
    /// Held for reading by who uses it, for writing by who kills it.
    used: RwLock<()>,
}

struct Script {
    child: Child,
    words: ChildStdin,
    answers: BufReader<ChildStdout>,
}

static MARIADB: OnceLock<Server> = OnceLock::new();
static POSTGRES: OnceLock<Server> = OnceLock::new();

impl Server {
    /// The server of this kind; started by who first asks.
    pub fn of(which: Which) -> &'static Server {
        match which {
            Which::Mariadb => MARIADB.get_or_init(|| Server::start(which, &[])),
            Which::Postgres => POSTGRES.get_or_init(|| Server::start(which, &[])),
            Which::Sqlite => panic!("SQLite has no server"),
        }
    }

    /// A server of a test's own, whose wall clock is wrong by so much. It ends with the test.
    pub fn with_clock(which: Which, clock: &str) -> Server {
        Server::start(which, &[clock])
    }

    /// The lines of a section that names it.
    pub fn settings(&self, which: Which) -> String {
        at(which, self.port, "twinflow")
    }

    fn start(which: Which, more: &[&str]) -> Server {
        let kind = if which == Which::Mariadb { "mariadb" } else { "postgres" };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/database");
        let mut child = Command::new(script)
            .arg(kind)
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash runs scripts/database");
        let words = child.stdin.take().expect("it is a pipe");
        let answers = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let mut script = Script { child, words, answers };
        let line = script.line();
        let port = line.strip_prefix("ready ").and_then(|port| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("no {kind} to test with: {line}"));
        Server { script: Mutex::new(script), port, used: RwLock::new(()) }
    }

    /// Ends the process of the server as `kill -9` does.
    pub fn kill(&self) {
        self.say("kill");
    }

    /// Starts it again, at the same port, with what it had.
    pub fn start_again(&self) {
        self.say("start");
    }

    /// Stops its processes where they are.
    pub fn pause(&self) {
        self.say("pause");
    }

    /// Lets them go on.
    pub fn resume(&self) {
        self.say("resume");
    }

    fn say(&self, word: &str) {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(script.words, "{word}").expect("the script reads");
        let answer = script.line();
        assert_eq!(answer, format!("done {word}"), "the script of a server");
    }
}

impl Script {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the script writes text");
        if line.is_empty() {
            line = format!("the script ended: {:?}", self.child.wait());
        }
        line.trim_end().to_owned()
    }
}

/// A database of a test's own, empty at first.
pub struct Place {
    pub which: Which,
    settings: String,
    folder: TempDir,
    _shared: Option<RwLockReadGuard<'static, ()>>,
    _alone: Option<RwLockWriteGuard<'static, ()>>,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Place {
    /// A database; others use the same server meanwhile.
    pub fn shared(which: Which) -> Place {
        let server = (which != Which::Sqlite).then(|| Server::of(which));
        let used =
            |server: &'static Server| server.used.read().unwrap_or_else(PoisonError::into_inner);
        Place { _shared: server.map(used), ..Place::make(which) }
    }

    /// A database of a server that nobody else uses meanwhile, so that it may be killed.
    pub fn alone(which: Which) -> (Place, &'static Server) {
        let server = Server::of(which);
        let used = server.used.write().unwrap_or_else(PoisonError::into_inner);
        (Place { _alone: Some(used), ..Place::make(which) }, server)
    }

    /// The database that these lines name.
    pub fn at(which: Which, settings: String) -> Place {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Place { which, settings, folder, _shared: None, _alone: None }
    }

    fn make(which: Which) -> Place {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        let settings = match which {
            Which::Sqlite => format!("url = 'sqlite:{}/{name}.db'\n", folder.path().display()),
            Which::Mariadb | Which::Postgres => {
                let main = at(which, Server::of(which).port, "twinflow");
                let mut session = store(&main, "").bare_session().expect("the server answers");
                session.run(&format!("CREATE DATABASE {name}")).expect("a database");
                at(which, Server::of(which).port, &name)
            }
        };
        Place { which, settings, folder, _shared: None, _alone: None }
    }

    /// The lines of its section in the settings.
    pub fn settings(&self) -> &str {
        &self.settings
    }

    /// A store in this database.
    pub fn store(&self) -> Store {
        store(&self.settings, "")
    }

    /// A store in this database with more settings.
    pub fn store_with(&self, more: &str) -> Store {
        store(&self.settings, more)
    }

    /// A session with a store in this database.
    pub fn session(&self) -> Session {
        self.store().session().unwrap_or_else(|error| panic!("{error}"))
    }

    /// A folder of the test's own.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

fn at(which: Which, port: u16, database: &str) -> String {
    let scheme = if which == Which::Mariadb { "mysql" } else { "postgres" };
    format!(
        "url = '{scheme}://127.0.0.1:{port}/{database}'\nuser = 'twinflow'\n\
         password = 'swordfish'\n"
    )
}

/// The store of a section with these lines.
pub fn store(settings: &str, more: &str) -> Store {
    let text = format!("[stores.tested]\n{settings}{more}");
    let config = Config::from_raw(&Raw::parse("test", &text, [])).expect("good settings");
    Stores::new(&config.stores).get("tested").expect("it is named").clone()
}

/// Makes a test of each function for each kind of database.
macro_rules! on_each {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            use $crate::servers::{Place, Which};
            $(#[test] fn $name() { super::$name(&Place::shared(Which::Sqlite)); })*
        }
        mod mariadb {
            use $crate::servers::{Place, Which};
            $(#[test] fn $name() { super::$name(&Place::shared(Which::Mariadb)); })*
        }
        mod postgres {
            use $crate::servers::{Place, Which};
            $(#[test] fn $name() { super::$name(&Place::shared(Which::Postgres)); })*
        }
    };
}
pub(crate) use on_each;
