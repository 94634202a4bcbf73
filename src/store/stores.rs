//! All stores of a node by their names, as the settings say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use crate::config::SecretFrom;
use crate::config::Store as Settings;
use crate::config::StoreAt;
use crate::store::Session;
use crate::store::StoreError;
use crate::store::driver::Driver;
use crate::store::migrations;
use crate::store::mysql::Mysql;
use crate::store::pool::Limits;
use crate::store::pool::Pool;
use crate::store::postgres::Postgres;
use crate::store::sqlite::Sqlite;
use crate::telemetry::stores::StoreFigures;

/// All stores of a node. A clone is the same stores.
#[derive(Debug, Clone, Default)]
pub struct Stores {
    stores: Arc<BTreeMap<String, Store>>,
}

impl Stores {
    /// The stores of the settings. Nothing is opened yet.
    #[must_use]
    pub fn new(settings: &[Settings]) -> Stores {
        Stores::counted(settings, |_| StoreFigures::default())
    }

    /// The same; how each is used is shown by the figures that its name stands for.
    #[must_use]
    pub fn counted(settings: &[Settings], figures: impl Fn(&str) -> StoreFigures) -> Stores {
        let store = |settings: &Settings| {
            let figures = figures(&settings.name);
            (settings.name.clone(), Store::counted(settings.clone(), figures))
        };
        Stores { stores: Arc::new(settings.iter().map(store).collect()) }
    }

    /// One store of SQLite in a file, for tests of other rooms.
    #[cfg(test)]
    pub fn in_file(name: &str, path: &std::path::Path) -> Stores {
        use std::time::Duration;
        Stores::new(&[Settings {
            name: name.to_owned(),
            at: StoreAt::Sqlite(path.to_owned()),
            user: String::new(),
            password: SecretFrom::Nowhere,
            connections_max: 2,
            wait_max: Duration::from_secs(5),
            test_on_borrow: false,
            validation_query: "SELECT 1".to_owned(),
            validation_interval: Duration::from_secs(30),
            statement_time_max: Duration::from_secs(10),
        }])
    }

    /// The store of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Store> {
        self.stores.get(name)
    }

    /// The names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.stores.keys().map(String::as_str)
    }
}

/// One store. A clone is the same store with the same pool.
#[derive(Debug, Clone)]
pub struct Store {
    pool: Arc<Pool>,
    settings: Arc<Settings>,
    /// Whether our own tables are known to be there and of this build.
    ready: Arc<Mutex<bool>>,
}

impl Store {
    /// A store; nothing is opened yet.
    #[must_use]
    pub fn new(settings: Settings) -> Store {
        Store::counted(settings, StoreFigures::default())
    }

    fn counted(settings: Settings, figures: StoreFigures) -> Store {
        let limits = Limits {
            connections_max: settings.connections_max,
            wait_max: settings.wait_max,
            validation_query: settings.test_on_borrow.then(|| settings.validation_query.clone()),
            validation_interval: settings.validation_interval,
        };
        let settings = Arc::new(settings);
        let of = Arc::clone(&settings);
        let pool = Pool::new(&settings.name, limits, Box::new(move || open(&of)), figures);
        Store { pool: Arc::new(pool), settings, ready: Arc::default() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.pool.name()
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Lends a session; waits for one where all are in use. The first one brings our own tables up
    /// to date.
    ///
    /// # Errors
    /// The store cannot be reached, all sessions stay in use, or
    /// [`Broken`](crate::store::Kind::Broken) where the store is from a newer build.
    pub fn session(&self) -> Result<Session, StoreError> {
        let driver = self.pool.borrow()?;
        let mut session = Session::new(Arc::clone(&self.pool), driver);
        // Held meanwhile, so that of many who come at once one does it.
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if !*ready {
            migrations::migrate(&mut session)?;
            *ready = true;
        }
        Ok(session)
    }

    /// Lends a session as it is, without looking at our own tables.
    ///
    /// # Errors
    /// The store cannot be reached, or all sessions stay in use.
    pub fn bare_session(&self) -> Result<Session, StoreError> {
        let driver = self.pool.borrow()?;
        Ok(Session::new(Arc::clone(&self.pool), driver))
    }

    /// A connection of its own, apart from the pool, with another time limit.
    pub(super) fn open_mysql(&self, url: &str, limit: Duration) -> Result<Mysql, StoreError> {
        Mysql::open(url, &self.settings.user, password(&self.settings)?, limit)
    }

    /// As for MySQL.
    pub(super) fn open_postgres(&self, url: &str, limit: Duration) -> Result<Postgres, StoreError> {
        Postgres::open(url, &self.settings.user, password(&self.settings)?, limit)
    }
}

fn open(settings: &Settings) -> Result<Box<dyn Driver>, StoreError> {
    let limit = settings.statement_time_max;
    let user = &settings.user;
    Ok(match &settings.at {
        StoreAt::Sqlite(path) => Box::new(Sqlite::open(path, limit)?),
        StoreAt::Mysql(url) => Box::new(Mysql::open(url, user, password(settings)?, limit)?),
        StoreAt::Postgres(url) => Box::new(Postgres::open(url, user, password(settings)?, limit)?),
    })
}

/// Read anew for each connection, so that a file may change.
fn password(settings: &Settings) -> Result<Option<String>, StoreError> {
    match &settings.password {
        SecretFrom::Nowhere => Ok(None),
        SecretFrom::Here(password) => Ok(Some(password.reveal().to_owned())),
        SecretFrom::File(path) => match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(error) => {
                let text = format!("the password's file `{}`: {error}", path.display());
                Err(StoreError::refused(text))
            }
        },
    }
}
