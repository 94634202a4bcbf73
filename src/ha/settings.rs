//! From the settings of the node to those of the protocol, the link and the arbiter.

use crate::config::Ack;
use crate::config::ArbiterAt;
use crate::config::Config;
use crate::config::MARGIN_PERCENT;
use crate::config::Pair;
use crate::config::Place;
use crate::config::SecretFrom;
use crate::ha::arbiter;
use crate::ha::arbiter::RecordStore;
use crate::ha::arbiter::lock;
use crate::ha::arbiter::sql::SqlStore;
use crate::ha::arbiter::sqlite::SqliteStore;
use crate::ha::arbiter::witness::WitnessStore;
use crate::ha::link::Identity;
use crate::ha::link::LinkSettings;
use crate::ha::link::Window;
use crate::ha::protocol::AckMode;
use crate::ha::protocol::Incarnation;
use crate::ha::protocol::NodeId;
use crate::ha::protocol::Settings;
use crate::ha::secret::Secret;
use crate::ha::secret::SecretError;
use crate::ha::tls;
use crate::ha::tls::Tls;
use crate::ha::tls::TlsError;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

/// Which node of the pair this is.
pub fn node(pair: &Pair) -> NodeId {
    match pair.node {
        Place::A => NodeId::A,
        Place::B => NodeId::B,
    }
}

/// The secret that both nodes share.
///
/// # Errors
/// Its file cannot be read, or it can be guessed.
pub fn secret(pair: &Pair) -> Result<Secret, SecretError> {
    match &pair.secret {
        SecretFrom::Nowhere => Secret::new(""),
        SecretFrom::Here(text) => Secret::new(text.reveal()),
        SecretFrom::File(path) => Secret::read(path),
    }
}

/// How this node speaks TLS; `None` where it does not.
///
/// # Errors
/// A file cannot be used, or no certificate could be for the peer's host.
pub fn tls(pair: &Pair) -> Result<Option<Tls>, TlsError> {
    let Some(files) = &pair.tls else { return Ok(None) };
    tls::host(&pair.peer)?;
    Tls::read(files, tls::SETTINGS).map(Some)
}

/// The times of the protocol, and when senders are answered.
pub fn protocol(pair: &Pair) -> Settings {
    Settings {
        lease: milliseconds(pair.lease),
        grant: milliseconds(pair.grant),
        margin: u64::from(MARGIN_PERCENT),
        heartbeat: milliseconds(pair.heartbeat),
        renew: milliseconds(pair.renew),
        poll: milliseconds(pair.poll),
        silence: milliseconds(pair.silence),
        patience: milliseconds(pair.patience),
        answer: milliseconds(pair.answer),
        switch: milliseconds(pair.switch),
        ack: match pair.ack {
            Ack::Memory => AckMode::Memory,
            Ack::Disk => AckMode::Disk,
            Ack::Peer => AckMode::Peer,
            Ack::PeerDisk => AckMode::PeerDisk,
        },
        lock: matches!(pair.arbiter, ArbiterAt::Sqlite(_)),
        bare: pair.arbiter == ArbiterAt::Nowhere,
        ..Settings::default()
    }
}

/// What the link needs to know.
pub fn link(
    config: &Config,
    incarnation: Incarnation,
    secret: Secret,
    tls: Option<Tls>,
) -> LinkSettings {
    let pair = &config.ha;
    let window = Window {
        bytes: pair.receiver_queue_bytes as u64,
        events: pair.receiver_queue_events as u64,
    };
    LinkSettings {
        identity: Identity {
            cluster: pair.cluster.clone(),
            name: config.node.name.clone(),
            node: node(pair),
            incarnation,
            windows: [window; 2],
        },
        secret,
        tls,
        listen: pair.listen,
        peer: pair.peer.clone(),
        reconnect: pair.reconnect,
        idle: pair.idle,
        outgoing: window,
    }
}

/// The store of the record; `None` without an arbiter. Nothing is opened yet.
pub fn store(config: &Config, secret: Secret, tls: Option<Tls>) -> Option<Box<dyn RecordStore>> {
    let pair = &config.ha;
    let of = arbiter::Pair { cluster: pair.cluster.clone(), lease: milliseconds(pair.lease) };
    match &pair.arbiter {
        ArbiterAt::Nowhere => None,
        ArbiterAt::Sqlite(path) => Some(Box::new(SqliteStore::new(path, of, pair.answer))),
        ArbiterAt::Witness(address) => {
            Some(Box::new(WitnessStore::new(address, secret, of, pair.answer).with_tls(tls)))
        }
        ArbiterAt::Store(name) => {
            let store = config.stores.iter().find(|store| store.name == *name);
            let store = store.expect("the settings' check found it");
            Some(Box::new(SqlStore::new(store, of, pair.answer)))
        }
    }
}

/// The store of a node without an arbiter: a file of its own.
pub fn own_store(pair: &Pair, path: &Path) -> Box<dyn RecordStore> {
    let of = arbiter::Pair { cluster: pair.cluster.clone(), lease: milliseconds(pair.lease) };
    Box::new(SqliteStore::new(path, of, pair.answer))
}

/// The files of this node's kernel lock and of the other's, where both are on one machine.
pub fn lock_files(pair: &Pair) -> Option<[PathBuf; 2]> {
    let ArbiterAt::Sqlite(path) = &pair.arbiter else { return None };
    let mine = node(pair);
    Some([mine, mine.other()].map(|node| lock::lock_file(path, node)))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Raw;

    fn config(text: &str) -> Config {
        Config::from_raw(&Raw::parse("twinflow.toml", text, [])).unwrap()
    }

    #[test]
    fn the_defaults_are_those_of_the_protocol() {
        let settings = protocol(&config("").ha);
        assert_eq!(settings, Settings { bare: true, ..Settings::default() });
        assert_eq!(settings.check(), Ok(()));
    }

    /// What the settings' own check lets pass, the protocol's must, too.
    #[test]
    fn the_longest_times_that_pass_are_good_for_the_protocol() {
        let text = "[ha]\nlease = '3s'\ngrant = '3s'\nrenew = '800ms'\nheartbeat = '66ms'\n\
                    silence = '198ms'\npoll = '1500ms'\n";
        assert_eq!(protocol(&config(text).ha).check(), Ok(()));
        for worse in ["grant = '3001ms'", "renew = '801ms'", "heartbeat = '67ms'"] {
            let key = worse.split(' ').next().unwrap();
            let line = text.lines().find(|line| line.starts_with(key)).unwrap();
            let raw = Raw::parse("twinflow.toml", &text.replace(line, worse), []);
            assert!(Config::from_raw(&raw).is_err(), "{worse}");
        }
    }

    #[test]
    fn the_places_of_arbiter_and_locks_follow_the_settings() {
        let secret = || Secret::new("a secret of the tests").unwrap();
        let config_of_sqlite = config("[ha]\nnode = 'b'\narbiter = 'sqlite:/x/arbiter.db'\n");
        let sqlite = &config_of_sqlite.ha;
        assert_eq!(
            store(&config_of_sqlite, secret(), None).unwrap().place(),
            "sqlite:/x/arbiter.db"
        );
        let files = lock_files(sqlite).unwrap();
        assert_eq!(files, ["/x/arbiter.db.b.lock", "/x/arbiter.db.a.lock"].map(PathBuf::from));
        assert!(protocol(sqlite).lock);
        let witness = config("[ha]\narbiter = 'witness:third:7421'\n");
        assert_eq!(store(&witness, secret(), None).unwrap().place(), "witness:third:7421");
        assert_eq!(lock_files(&witness.ha), None);
        let text = "[ha]\narbiter = 'store:orders'\n[stores.orders]\nurl = 'mysql://h/d'\n";
        let sql = config(text);
        assert_eq!(store(&sql, secret(), None).unwrap().place(), "store:orders");
        assert_eq!(lock_files(&sql.ha), None);
        assert!(store(&config(""), secret(), None).is_none());
    }
}
