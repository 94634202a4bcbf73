//! From written settings to checked ones, gathering all faults on the way.

mod pair;
mod stores;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Config;
use crate::config::DeadLetters;
use crate::config::Faults;
use crate::config::Http;
use crate::config::Log;
use crate::config::LogFormat;
use crate::config::Node;
use crate::config::Persistence;
use crate::config::Plans;
use crate::config::Queues;
use crate::config::Raw;
use crate::config::Tail;
use crate::config::Testing;
use crate::config::raw::Item;
use crate::config::raw::Written;
use crate::config::units;

const NAME_CHARS_MAX: usize = 100;

/// # Errors
/// Everything that is wrong, at once.
pub(super) fn check(raw: &Raw) -> Result<Config, Faults> {
    let mut check = Check { raw, faults: raw.faults.clone() };
    let config = check.read();
    if check.faults.len() == raw.faults.len() {
        // Relations are worth checking only between values that are right by themselves.
        check.relations(&config);
    }
    if check.faults.is_empty() { Ok(config) } else { Err(Faults(check.faults)) }
}

struct Check<'a> {
    raw: &'a Raw,
    faults: Vec<String>,
}

impl Check<'_> {
    fn read(&mut self) -> Config {
        let second = Duration::from_secs(1);
        let hour = Duration::from_secs(3600);
        let node = Node { name: self.name("node.name"), data: self.folder("node.data") };
        Config {
            stores: self.stores(&node.data),
            node,
            plans: Plans {
                folder: self.folder("plans.folder"),
                settle: self.time("plans.settle", Duration::from_millis(10)..=10 * second),
                poll: self.time("plans.poll", Duration::from_millis(50)..=hour),
                file_bytes_max: self.size("plans.file_bytes_max", 1 << 10..=64 << 20),
                entry_time_max: self.time("plans.entry_time_max", second..=hour),
                state_bytes_max: self.size("plans.state_bytes_max", 1 << 20..=usize::MAX),
            },
            http: Http {
                listen: self.address("http.listen"),
                body_bytes_max: self.size("http.body_bytes_max", 1 << 10..=1 << 30),
                batch_rows_max: self.whole("http.batch_rows_max", 1),
                connections_max: self.whole("http.connections_max", 1),
                answer_time_max: self.time("http.answer_time_max", second..=hour),
            },
            persistence: Persistence {
                enabled: self.flag("persistence.enabled"),
                interval: self.time("persistence.interval", second..=24 * hour),
            },
            ha: self.pair(),
            queues: Queues {
                inbox_events: self.whole("queues.inbox_events", 1024),
                inbox_bytes: self.size("queues.inbox_bytes", 1 << 20..=usize::MAX),
                publisher_events: self.whole("queues.publisher_events", 1024),
                publisher_bytes: self.size("queues.publisher_bytes", 1 << 20..=usize::MAX),
            },
            tail: Tail {
                events: self.whole("tail.events", 0),
                bytes: self.size("tail.bytes", 0..=usize::MAX),
            },
            dead_letters: DeadLetters {
                letters: self.whole("dead_letters.letters", 0),
                bytes: self.size("dead_letters.bytes", 0..=1 << 30),
                age: self.time("dead_letters.age", 60 * second..=100_000 * hour),
            },
            log: Log { level: self.level("log.level"), format: self.format("log.format") },
            testing: Testing { faults: self.flag("testing.faults") },
        }
    }

    fn relations(&mut self, config: &Config) {
        let body = config.http.body_bytes_max;
        if config.queues.inbox_bytes < body {
            let needed = format!("at least `http.body_bytes_max` ({})", units::show_size(body));
            let found = units::show_size(config.queues.inbox_bytes);
            self.refuse("queues.inbox_bytes", &needed, &found);
        }
        self.pair_relations(config);
    }

    fn refuse(&mut self, key: &str, expected: &str, found: &str) {
        let Item { origin, name, .. } = self.raw.item(key);
        self.faults.push(format!("{origin}: `{name}` must be {expected}, not {found}"));
    }

    fn refuse_written(&mut self, key: &str, expected: &str) {
        let found = self.raw.item(key).value.to_string();
        self.refuse(key, expected, &found);
    }

    fn text(&mut self, key: &str) -> String {
        match &self.raw.item(key).value {
            Written::Text(text) => text.clone(),
            _ => {
                self.refuse_written(key, "a text in quotes");
                String::new()
            }
        }
    }

    /// As a text, but what stands there is not repeated.
    fn secret_text(&mut self, key: &str) -> String {
        match &self.raw.item(key).value {
            Written::Text(text) => text.clone(),
            _ => {
                self.refuse(key, "a text in quotes", "something else");
                String::new()
            }
        }
    }

    fn name(&mut self, key: &str) -> String {
        let before = self.faults.len();
        let name = self.text(key);
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let good = !name.is_empty() && name.len() <= NAME_CHARS_MAX && name.chars().all(fits);
        if !good && self.faults.len() == before {
            self.refuse_written(key, "1 to 100 letters, digits, `_`, `-` or `.`");
        }
        name
    }

    fn folder(&mut self, key: &str) -> PathBuf {
        let before = self.faults.len();
        let path = self.text(key);
        if path.is_empty() && self.faults.len() == before {
            self.refuse_written(key, "the path of a folder");
        }
        PathBuf::from(path)
    }

    fn time(&mut self, key: &str, range: RangeInclusive<Duration>) -> Duration {
        let time = match &self.raw.item(key).value {
            Written::Text(text) => units::time(text),
            _ => None,
        };
        match time {
            Some(time) if range.contains(&time) => return time,
            Some(_) => {
                let (from, to) = range.into_inner();
                self.refuse_written(key, &format!("from {from:?} to {to:?}"));
            }
            None => self.refuse_written(key, "a time such as \"500ms\", \"2s\" or \"1min\""),
        }
        Duration::ZERO
    }

    fn size(&mut self, key: &str, range: RangeInclusive<usize>) -> usize {
        let size = match &self.raw.item(key).value {
            Written::Text(text) => units::size(text),
            Written::Whole(bytes) => usize::try_from(*bytes).ok(),
            Written::Flag(_) | Written::Other(_) => None,
        };
        match size {
            Some(size) if range.contains(&size) => return size,
            Some(_) => {
                let from = units::show_size(*range.start());
                let expected = match *range.end() {
                    usize::MAX => format!("at least {from}"),
                    to => format!("from {from} to {}", units::show_size(to)),
                };
                self.refuse_written(key, &expected);
            }
            None => self.refuse_written(key, "a size such as 4096, \"64KiB\" or \"8MiB\""),
        }
        0
    }

    fn whole(&mut self, key: &str, least: usize) -> usize {
        match &self.raw.item(key).value {
            Written::Whole(number) => match usize::try_from(*number) {
                Ok(number) if number >= least => return number,
                _ => self.refuse_written(key, &format!("at least {least}")),
            },
            _ => self.refuse_written(key, "a whole number"),
        }
        0
    }

    fn flag(&mut self, key: &str) -> bool {
        match &self.raw.item(key).value {
            Written::Flag(flag) => *flag,
            _ => {
                self.refuse_written(key, "true or false");
                false
            }
        }
    }

    fn address(&mut self, key: &str) -> SocketAddr {
        let before = self.faults.len();
        let text = self.text(key);
        let fallback = SocketAddr::from(([127, 0, 0, 1], 0));
        match text.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => return address,
            Ok(_) => self.refuse_written(
                key,
                "only an address of this machine such as \"127.0.0.1:8080\" (there are no users \
                 yet, so whoever reaches the port may do everything)",
            ),
            Err(_) if self.faults.len() == before => {
                self.refuse_written(key, "an address and a port such as \"127.0.0.1:8080\"");
            }
            Err(_) => {}
        }
        fallback
    }

    fn level(&mut self, key: &str) -> String {
        let before = self.faults.len();
        let level = self.text(key);
        // The filter takes any word for the name of a part: `warning` would silence all others.
        let known = ["error", "warn", "info", "debug", "trace", "off"];
        let is_known = |part: &str| {
            part.contains('=') || known.iter().any(|known| part.trim().eq_ignore_ascii_case(known))
        };
        let good = level.split(',').all(is_known)
            && tracing_subscriber::EnvFilter::builder().parse(&level).is_ok();
        if !good && self.faults.len() == before {
            let expected = "error, warn, info, debug or trace, also by part as in \
                            \"info,twinflow::actors=debug\"";
            self.refuse_written(key, expected);
        }
        level
    }

    fn format(&mut self, key: &str) -> LogFormat {
        match &self.raw.item(key).value {
            Written::Text(text) if text == "text" => LogFormat::Text,
            Written::Text(text) if text == "json" => LogFormat::Json,
            _ => {
                self.refuse_written(key, "\"text\" or \"json\"");
                LogFormat::Text
            }
        }
    }
}
