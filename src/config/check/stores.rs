//! The settings of the stores, each store by itself.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::SecretFrom;
use crate::config::Store;
use crate::config::StoreAt;
use crate::config::check::Check;
use crate::config::pair::Hidden;

impl Check<'_> {
    /// `data` is the folder of the node, below which the stores without an address lie.
    pub(super) fn stores(&mut self, data: &Path) -> Vec<Store> {
        let names: Vec<String> = self.raw.stores().cloned().collect();
        names.into_iter().map(|name| self.store(name, data)).collect()
    }

    fn store(&mut self, name: String, data: &Path) -> Store {
        let key = |setting: &str| format!("stores.{name}.{setting}");
        let millisecond = Duration::from_millis(1);
        let hour = Duration::from_secs(3600);
        let at = self.store_at(&key("url"), &name, data);
        let user = self.text(&key("user"));
        let password = self.password(&key("password"), &key("password_file"));
        if matches!(at, StoreAt::Sqlite(_)) {
            if !user.is_empty() {
                self.refuse_written(&key("user"), "left out: a file of SQLite knows no users");
            } else if password != SecretFrom::Nowhere {
                self.refuse(&key("password"), "left out: a file of SQLite knows no users", "given");
            }
        }
        Store {
            at,
            user,
            password,
            connections_max: self.whole(&key("connections_max"), 1),
            wait_max: self.time(&key("wait_max"), millisecond..=hour),
            test_on_borrow: self.flag(&key("test_on_borrow")),
            validation_query: self.statement(&key("validation_query")),
            validation_interval: self.time(&key("validation_interval"), Duration::ZERO..=hour),
            statement_time_max: self.time(&key("statement_time_max"), 10 * millisecond..=hour),
            name,
        }
    }

    fn store_at(&mut self, key: &str, name: &str, data: &Path) -> StoreAt {
        let embedded = StoreAt::Sqlite(data.join("stores").join(format!("{name}.db")));
        let before = self.faults.len();
        let url = self.text(key);
        if self.faults.len() > before || url.is_empty() {
            return embedded;
        }
        if let Some(path) = url.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            return StoreAt::Sqlite(PathBuf::from(path));
        }
        let (scheme, rest) = url.split_once("://").unwrap_or(("", ""));
        let (host, database) = rest.split_once('/').unwrap_or((rest, ""));
        if host.contains('@') {
            // What stands there may be a password, and is not repeated.
            let expected = "without user and password, which are settings of their own";
            self.refuse(key, expected, "an address with `@`");
            return embedded;
        }
        let whole = !host.is_empty() && !database.is_empty() && !database.starts_with('?');
        match scheme {
            "mysql" | "mariadb" if whole => StoreAt::Mysql(format!("mysql://{rest}")),
            "postgres" | "postgresql" if whole => StoreAt::Postgres(format!("postgres://{rest}")),
            _ => {
                let expected = "\"sqlite:PATH\", \"mysql://HOST:PORT/DATABASE\" or \
                                \"postgres://HOST:PORT/DATABASE\"";
                self.refuse_written(key, expected);
                embedded
            }
        }
    }

    /// Says nothing of what the password is, whatever is wrong with it.
    fn password(&mut self, key: &str, file_key: &str) -> SecretFrom {
        let before = self.faults.len();
        let (password, file) = (self.secret_text(key), self.text(file_key));
        match (password.is_empty(), file.is_empty()) {
            _ if self.faults.len() > before => SecretFrom::Nowhere,
            (true, true) => SecretFrom::Nowhere,
            (true, false) => SecretFrom::File(PathBuf::from(file)),
            (false, true) => SecretFrom::Here(Hidden::new(password)),
            (false, false) => {
                self.refuse(key, &format!("left out where `{file_key}` is given"), "both");
                SecretFrom::Nowhere
            }
        }
    }

    fn statement(&mut self, key: &str) -> String {
        let before = self.faults.len();
        let text = self.text(key);
        if text.trim().is_empty() && self.faults.len() == before {
            self.refuse_written(key, "a statement such as \"SELECT 1\"");
        }
        text
    }
}
