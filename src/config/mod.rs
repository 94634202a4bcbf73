//! The settings of a node: read from `twinflow.toml` and the environment, checked once, then plain.
//!
//! [`Config::load`] reads and checks; whoever holds a [`Config`] need not check again.
//! A setting is a line in [`settings`], a field here and a line in [`check`].

mod check;
mod pair;
mod raw;
pub mod settings;
mod stores;
#[cfg(test)]
mod stores_tests;
mod units;

use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

pub use pair::Ack;
pub use pair::ArbiterAt;
pub use pair::Hidden;
pub use pair::MARGIN_PERCENT;
pub use pair::Pair;
pub use pair::Place;
pub use pair::SecretFrom;
pub use pair::TlsFiles;
pub use raw::Raw;
pub use stores::Store;
pub use stores::StoreAt;

/// All settings, checked: every value is in its range and every relation holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// This process.
    pub node: Node,
    /// The folder of plans.
    pub plans: Plans,
    /// The API.
    pub http: Http,
    /// What is kept on disk.
    pub persistence: Persistence,
    /// The pair.
    pub ha: Pair,
    /// The stores by their names, in order of the names.
    pub stores: Vec<Store>,
    /// Bounds of what may wait.
    pub queues: Queues,
    /// The newest events kept per stream.
    pub tail: Tail,
    /// What could not be handled and is kept.
    pub dead_letters: DeadLetters,
    /// What the node says of itself.
    pub log: Log,
    /// For tests of the node itself.
    pub testing: Testing,
}

/// This process.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The name in logs, metrics and the status page.
    pub name: String,
    /// Folder for what the node itself writes.
    pub data: PathBuf,
}

/// The folder of plans.
#[derive(Debug, Clone, PartialEq)]
pub struct Plans {
    /// Where plan files lie.
    pub folder: PathBuf,
    /// How long a file must be quiet before it is read.
    pub settle: Duration,
    /// How often the folder is looked at even if nothing tells of a change.
    pub poll: Duration,
    /// Larger files are refused; bytes.
    pub file_bytes_max: usize,
    /// A plan that is at one entry for longer is given up.
    pub entry_time_max: Duration,
    /// A plan whose state has more bytes takes no more events.
    pub state_bytes_max: usize,
}

/// The API.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// An address of this machine; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Larger request bodies are refused; bytes.
    pub body_bytes_max: usize,
    /// Requests with more events are refused.
    pub batch_rows_max: usize,
    /// Connections served at once.
    pub connections_max: usize,
    /// So long a request waits until its plan has applied its events.
    pub answer_time_max: Duration,
}

/// What is kept on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Persistence {
    /// Whether plans survive a restart.
    pub enabled: bool,
    /// How often a snapshot of each plan is taken.
    pub interval: Duration,
}

/// Bounds of what may wait.
#[derive(Debug, Clone, PartialEq)]
pub struct Queues {
    /// Events that may wait for one plan.
    pub inbox_events: usize,
    /// Bytes that may wait for one plan.
    pub inbox_bytes: usize,
    /// Results that may wait for one publisher.
    pub publisher_events: usize,
    /// Bytes that may wait for one publisher.
    pub publisher_bytes: usize,
}

/// The newest events kept per stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Tail {
    /// Events kept per stream.
    pub events: usize,
    /// Bytes kept per stream.
    pub bytes: usize,
}

/// What could not be handled and is kept, per plan; the oldest go first.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetters {
    /// Letters kept.
    pub letters: usize,
    /// Bytes of them.
    pub bytes: usize,
    /// How long one is kept.
    pub age: Duration,
}

/// What the node says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// A filter in the form of `tracing`, as in `info,twinflow::actors=debug`.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// For tests of the node itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Testing {
    /// Whether actors can be made to panic from outside.
    pub faults: bool,
}

impl Config {
    /// Reads the file, if one is named, and the variables, and checks everything.
    ///
    /// # Errors
    /// All faults at once: unreadable file, unknown keys, wrong kinds, values out of range,
    /// relations that do not hold.
    pub fn load(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Faults> {
        Self::from_raw(&Raw::read(file, variables)?)
    }

    /// Checks what was read.
    ///
    /// # Errors
    /// All faults at once, those met while reading included.
    pub fn from_raw(raw: &Raw) -> Result<Self, Faults> {
        check::check(raw)
    }
}

impl Default for Config {
    /// The settings of a node without a file.
    fn default() -> Self {
        Self::from_raw(&Raw::defaults()).expect("the defaults are tested to be without fault")
    }
}

/// Everything that is wrong with the settings, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.0.join("\n"))]
pub struct Faults(pub Vec<String>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::SETTINGS;
    use crate::config::settings::Setting;

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, Faults> {
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Config::from_raw(&Raw::parse("twinflow.toml", text, variables))
    }

    fn faults(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
        load(text, variables).expect_err("settings with faults").0
    }

    #[test]
    fn nothing_at_all_is_a_good_configuration() {
        let config = load("", &[]).unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.plans.settle, Duration::from_millis(100));
        assert_eq!(config.queues.inbox_bytes, 64 << 20);
    }

    #[test]
    fn the_sample_in_the_repository_is_the_printed_default() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("twinflow.toml");
        let sample = std::fs::read_to_string(file).unwrap();
        assert_eq!(sample, Raw::defaults().print(), "run `make settings`");
    }

    #[test]
    fn every_setting_is_accepted_documented_and_has_a_section() {
        for setting in settings::SETTINGS {
            let (section, name) = setting.key.rsplit_once('.').unwrap();
            let as_it_is = match section {
                settings::STORES => load("[stores.NAME]", &[]).unwrap(),
                _ => Config::default(),
            };
            assert!(settings::SECTIONS.iter().any(|(known, _)| *known == section));
            assert!(!setting.help.is_empty(), "{} has no help", setting.key);
            let text = format!("[{section}]\n{name} = {}\n", setting.default);
            assert_eq!(load(&text, &[]).unwrap(), as_it_is, "{}", setting.key);
            let text = setting.default.trim_matches('"');
            assert_eq!(load("", &[(&setting.variable(), text)]).unwrap(), as_it_is);
        }
    }

    /// A number alone says what it counts; times and sizes carry their unit.
    fn default_with_unit(setting: &Setting) -> String {
        let value = setting.default.trim_matches('"');
        let counts = [
            ("events", "events"),
            ("rows", "events"),
            ("connections", "connections"),
            ("letters.letters", "letters"),
        ];
        let counted = || counts.iter().find(|(part, _)| setting.key.contains(part));
        match value.parse::<u64>() {
            Ok(_) => {
                let (_, unit) = counted().unwrap_or_else(|| panic!("{}: of what?", setting.key));
                format!("`{value}` {unit}")
            }
            Err(_) if value.is_empty() => "nothing".to_owned(),
            Err(_) => format!("`{value}`"),
        }
    }

    #[test]
    fn the_readme_lists_every_setting_as_it_is() {
        let row = |setting: &Setting| {
            let (default, help) = (default_with_unit(setting), setting.help.join(" "));
            format!("| `{}` | {default} | {help} |\n", setting.key)
        };
        let rows: String = SETTINGS.iter().map(row).collect();
        let table =
            format!("| key | default | what it does |\n|-----|---------|--------------|\n{rows}\n");
        let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let readme = std::fs::read_to_string(readme).unwrap();
        assert!(readme.contains(&table), "README.md needs:\n{table}");
    }

    #[test]
    fn what_is_printed_reads_back_as_the_same() {
        let text = "[http]\nlisten = \"[::1]:9\"\n[tail]\nevents = 5\n";
        let variables = [("TWINFLOW_LOG_LEVEL".to_owned(), "debug".to_owned())];
        let raw = Raw::parse("f", text, variables);
        let again = Raw::parse("g", &raw.print(), []);
        assert_eq!(Config::from_raw(&again).unwrap(), Config::from_raw(&raw).unwrap());
        assert!(raw.print().contains("events = 5"));
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let text = "[node]\nname = 'a'\n[testing]\nfaults = false\n";
        let variables = [("TWINFLOW_NODE_NAME", "b"), ("TWINFLOW_TESTING_FAULTS", "true")];
        let config = load(text, &variables).unwrap();
        assert_eq!((config.node.name.as_str(), config.testing.faults), ("b", true));
    }

    #[test]
    fn a_level_of_the_log_is_one_of_those_that_there_are() {
        for good in ["warn", "INFO", "info,twinflow::actors=debug", "off"] {
            let text = format!("[log]\nlevel = '{good}'\n");
            assert_eq!(load(&text, &[]).unwrap().log.level, good);
        }
        // The filter would take these for names of parts, and be silent about the rest.
        for wrong in ["warning", "verbose", "", "info,debugg"] {
            let said = faults(&format!("[log]\nlevel = '{wrong}'\n"), &[]);
            assert_eq!(said.len(), 1, "{wrong}: {said:?}");
            assert!(said[0].contains("`log.level` must be error, warn, info"), "{said:?}");
        }
    }

    #[test]
    fn all_faults_are_told_at_once_with_place_and_suggestion() {
        let text = "[http]\nlisen = 1\nbody_bytes_max = '3 parsecs'\nbatch_rows_max = 0\n\
                    [quuees]\ninbox_events = 4096\n[log]\nformat = 'xml'\n";
        let variables = [("TWINFLOW_PLANS_FOLDERS", "x"), ("TWINFLOW_PLANS_SETTLE", "soon")];
        assert_eq!(
            faults(text, &variables),
            [
                "twinflow.toml:2: `http.lisen` is not a setting; did you mean `http.listen`?",
                "twinflow.toml:6: `quuees.inbox_events` is not a setting; \
                 did you mean `queues.inbox_events`?",
                "environment: `TWINFLOW_PLANS_FOLDERS` is not a setting; \
                 did you mean `TWINFLOW_PLANS_FOLDER`?",
                "environment: `TWINFLOW_PLANS_SETTLE` must be a time such as \"500ms\", \"2s\" or \
                 \"1min\", not \"soon\"",
                "twinflow.toml:3: `http.body_bytes_max` must be a size such as 4096, \"64KiB\" or \
                 \"8MiB\", not \"3 parsecs\"",
                "twinflow.toml:4: `http.batch_rows_max` must be at least 1, not 0",
                "twinflow.toml:8: `log.format` must be \"text\" or \"json\", not \"xml\"",
            ]
        );
    }

    #[test]
    fn wrong_kinds_and_broken_files_are_told() {
        assert_eq!(
            faults("[node]\nname = 3\n[testing]\nfaults = 'maybe'\n", &[]),
            [
                "twinflow.toml:2: `node.name` must be a text in quotes, not 3",
                "twinflow.toml:4: `testing.faults` must be true or false, not \"maybe\"",
            ]
        );
        let broken = faults("[node\n", &[]);
        assert!(broken[0].starts_with("twinflow.toml:1: "), "{broken:?}");
        assert_eq!(
            faults("node = 1\n", &[]),
            ["twinflow.toml:1: `node` is not a setting; did you mean `node.name`?"]
        );
    }

    #[test]
    fn listening_to_the_world_is_refused_until_there_are_users() {
        for address in ["0.0.0.0:8080", "192.168.1.4:80", "[::]:8080"] {
            let text = format!("[http]\nlisten = \"{address}\"\n");
            let fault = &faults(&text, &[])[0];
            assert!(fault.contains("only an address of this machine"), "{fault}");
        }
        let fault = &faults("[http]\nlisten = \"localhost\"\n", &[])[0];
        assert!(fault.contains("an address and a port such as \"127.0.0.1:8080\""), "{fault}");
    }

    #[test]
    fn relations_between_settings_hold() {
        let text = "[http]\nbody_bytes_max = '128MiB'\n";
        assert_eq!(
            faults(text, &[]),
            ["default: `queues.inbox_bytes` must be at least `http.body_bytes_max` \
              (128MiB), not 64MiB"]
        );
        let text = "[plans]\nsettle = '2s'\npoll = '1s'\n";
        assert_eq!(load(text, &[]).unwrap().plans.poll, Duration::from_secs(1));
    }

    #[test]
    fn times_of_the_pair_fit_together_and_the_faults_name_both_keys() {
        let text = "[ha]\ngrant = '3s'\nheartbeat = '60ms'\nrenew = '600ms'\npatience = '9s'\n";
        assert_eq!(
            faults(text, &[]),
            [
                "twinflow.toml:2: `ha.grant` must be at most `ha.lease` (2s), not 3s",
                "twinflow.toml:4: `ha.renew` must be at most a third of four fifths of `ha.lease` \
                 (533.333333ms), not 600ms",
                "twinflow.toml:3: `ha.heartbeat` must be at most a third of `ha.silence` (50ms), \
                 not 60ms",
                "twinflow.toml:5: `ha.patience` must be at most `ha.idle` (5s), not 9s",
            ]
        );
    }

    #[test]
    fn a_pair_needs_a_peer_a_secret_and_journals() {
        let told = faults("[ha]\nenabled = true\nlisten = '127.0.0.1:8080'\n", &[]);
        let keys = ["`ha.peer`", "`ha.secret_file`", "`ha.listen`"];
        assert_eq!(told.len(), keys.len(), "{told:?}");
        assert!(told.iter().zip(keys).all(|(fault, key)| fault.contains(key)), "{told:?}");
        let text = "[ha]\nenabled = true\npeer = 'b:7420'\nsecret = 'long enough, this one'\n";
        assert!(load(text, &[]).is_ok());
        let told = faults(&format!("{text}[persistence]\nenabled = false\n"), &[]);
        assert!(told[0].contains("`persistence.enabled` must be true"), "{told:?}");
        let told = faults(&format!("{text}[http]\nbody_bytes_max = '33MiB'\n"), &[]);
        assert!(told[0].contains("`http.body_bytes_max` must be at most 32MiB"), "{told:?}");
    }

    #[test]
    fn the_files_of_tls_are_given_together() {
        let one = "[ha]\ntls_certificate = 'node.pem'\n";
        let told = faults(one, &[]);
        let keys = ["`ha.tls_key`", "`ha.tls_authority`"];
        assert_eq!(told.len(), keys.len(), "{told:?}");
        let reason = "must be the path of a PEM file where `ha.tls_certificate` is given";
        let named = |(fault, key): (&String, &str)| fault.contains(&format!("{key} {reason}"));
        assert!(told.iter().zip(keys).all(named), "{told:?}");
        let all = format!("{one}tls_key = 'node.key'\ntls_authority = 'authority.pem'\n");
        let files = load(&all, &[]).unwrap().ha.tls.unwrap();
        let [certificate, key, authority] =
            ["node.pem", "node.key", "authority.pem"].map(PathBuf::from);
        assert_eq!(files, TlsFiles { certificate, key, authority });
        assert_eq!(load("", &[]).unwrap().ha.tls, None);
        let number = faults(&all.replace("'node.key'", "7"), &[]);
        assert_eq!(number, ["twinflow.toml:3: `ha.tls_key` must be a text in quotes, not 7"]);
    }

    #[test]
    fn a_secret_is_shown_nowhere() {
        let raw = Raw::parse("f", "[ha]\nsecret = 'swordfish swordfish'\n", []);
        let config = Config::from_raw(&raw).unwrap();
        let SecretFrom::Here(hidden) = &config.ha.secret else { panic!("{:?}", config.ha) };
        assert_eq!(hidden.reveal(), "swordfish swordfish");
        let short = faults("[ha]\nsecret = 'swordfish'\n", &[]);
        let both = faults("[ha]\nsecret = 'swordfish swordfish'\nsecret_file = 'x'\n", &[]);
        for shown in [format!("{config:?} {raw:?}"), raw.print(), short.join(""), both.join("")] {
            assert!(!shown.contains("swordfish"), "{shown}");
        }
        assert!(short[0].contains("at least 16 characters long, not 9"), "{short:?}");
        assert!(raw.print().contains("# It is set, and not shown.\nsecret = \"\"\n"));
    }

    #[test]
    fn the_names_of_the_reference_are_accepted() {
        let text = "[ha]\ncheckMemberUpdateInterval = 40\ntryStateChangeInterval = 250\n\
                    stateSyncRetryInterval = 10000\nreconnectionInterval = 20000\n\
                    receiverQueueSize = 5000\nreceiverQueueMaxSizeMb = 20\n\
                    publisherQueueSize = 6000\npublisherQueueMaxSizeMb = 30\n";
        let ha = load(text, &[]).unwrap().ha;
        let times = [ha.heartbeat, ha.poll, ha.resync, ha.reconnect].map(|time| time.as_millis());
        assert_eq!(times, [40, 250, 10_000, 20_000]);
        assert_eq!((ha.receiver_queue_events, ha.receiver_queue_bytes), (5_000, 20 << 20));
        assert_eq!((ha.publisher_queue_events, ha.publisher_queue_bytes), (6_000, 30 << 20));
        let variables = [("TWINFLOW_HA_RECEIVERQUEUEMAXSIZEMB", "7")];
        assert_eq!(load(text, &variables).unwrap().ha.receiver_queue_bytes, 7 << 20);
        assert_eq!(
            faults("[ha]\nreceiverQueueSize = 5000\nreceiver_queue_events = 6000\n", &[]),
            ["twinflow.toml:3: `ha.receiver_queue_events` is the same setting as \
              `ha.receiverQueueSize`; give it once"]
        );
        let slow = faults("[ha]\ncheckMemberUpdateInterval = 10000\n", &[]);
        assert!(slow[0].contains("2: `ha.checkMemberUpdateInterval` must be at most"), "{slow:?}");
    }

    #[test]
    fn an_arbiter_is_named_by_kind_and_place() {
        let arbiter = |text: &str| load(&format!("[ha]\narbiter = '{text}'\n"), &[]);
        let at = |text| arbiter(text).unwrap().ha.arbiter;
        assert_eq!(at("sqlite:/var/a.db"), ArbiterAt::Sqlite(PathBuf::from("/var/a.db")));
        assert_eq!(at("witness:w:7421"), ArbiterAt::Witness("w:7421".to_owned()));
        assert_eq!(at("none"), ArbiterAt::Nowhere);
        for text in ["", "sqlite", "sqlite:", "witness:w", "witness::1", "mysql:x"] {
            let told = arbiter(text).unwrap_err().0;
            assert!(told[0].contains("\"store:NAME\" or \"none\""), "{told:?}");
        }
    }

    #[test]
    fn variables_set_by_a_cluster_for_a_service_of_our_name_are_left_alone() {
        let variables =
            [("TWINFLOW_SERVICE_HOST", "10.0.0.1"), ("TWINFLOW_PORT_8080_TCP", "tcp://x")];
        assert!(load("", &variables).is_ok());
    }

    #[test]
    fn a_missing_file_that_was_named_is_a_fault() {
        let fault = Config::load(Some(Path::new("/nowhere/twinflow.toml")), []).unwrap_err();
        assert!(fault.0[0].starts_with("/nowhere/twinflow.toml: cannot be read: "), "{fault}");
    }
}
