//! The settings of the pair: each by itself, and how the times have to fit together.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Config;
use crate::config::StoreAt;
use crate::config::check::Check;
use crate::config::pair::Ack;
use crate::config::pair::ArbiterAt;
use crate::config::pair::Hidden;
use crate::config::pair::MARGIN_PERCENT;
use crate::config::pair::Pair;
use crate::config::pair::Place;
use crate::config::pair::SecretFrom;
use crate::config::pair::TlsFiles;
use crate::config::units;

/// Shorter secrets could be guessed from one recorded proof.
const SECRET_BYTES_MIN: usize = 16;
/// What one request brings has to fit into a frame between the nodes, also where its columns take
/// more room than its text.
const BODY_BYTES_MAX: usize = 32 << 20;

impl Check<'_> {
    pub(super) fn pair(&mut self) -> Pair {
        let short = |least: u64| Duration::from_millis(least)..=Duration::from_secs(60);
        let long = |least: u64| Duration::from_millis(least)..=Duration::from_secs(600);
        Pair {
            enabled: self.flag("ha.enabled"),
            cluster: self.name("ha.cluster"),
            node: self.place("ha.node"),
            listen: self.socket("ha.listen"),
            peer: self.host_and_port("ha.peer"),
            secret: self.secret(),
            tls: self.tls(),
            arbiter: self.arbiter("ha.arbiter"),
            ack: self.ack("ha.ack"),
            lease: self.time("ha.lease", short(200)),
            grant: self.time("ha.grant", short(100)),
            renew: self.time("ha.renew", short(20)),
            heartbeat: self.time("ha.heartbeat", short(10)),
            poll: self.time("ha.poll", short(10)),
            silence: self.time("ha.silence", short(30)),
            patience: self.time("ha.patience", short(100)),
            answer: self.time("ha.answer", short(50)),
            switch: self.time("ha.switch", short(50)),
            resync: self.time("ha.resync", long(100)),
            reconnect: self.time("ha.reconnect", long(50)),
            idle: self.time("ha.idle", long(500)),
            receiver_queue_events: self.whole("ha.receiver_queue_events", 1_024),
            receiver_queue_bytes: self.size("ha.receiver_queue_bytes", 1 << 20..=usize::MAX),
            publisher_queue_events: self.whole("ha.publisher_queue_events", 1_024),
            publisher_queue_bytes: self.size("ha.publisher_queue_bytes", 1 << 20..=usize::MAX),
        }
    }

    /// Checked also while the pair is not enabled, but for what only a pair needs.
    pub(super) fn pair_relations(&mut self, config: &Config) {
        let pair = &config.ha;
        let counted = |time: Duration| time - time * MARGIN_PERCENT / 100;
        let mut at_most = |key: &str, time: Duration, most: Duration, why: &str| {
            if time > most {
                self.refuse(key, &format!("at most {why} ({most:?})"), &format!("{time:?}"));
            }
        };
        at_most("ha.grant", pair.grant, pair.lease, "`ha.lease`");
        let third = counted(pair.lease) / 3;
        at_most("ha.renew", pair.renew, third, "a third of four fifths of `ha.lease`");
        at_most("ha.poll", pair.poll, pair.lease / 2, "half of `ha.lease`");
        let heard = [
            (pair.silence, "a third of `ha.silence`"),
            (pair.patience, "a third of `ha.patience`"),
            (counted(pair.grant), "a third of four fifths of `ha.grant`"),
        ];
        let (shortest, why) = heard.into_iter().min_by_key(|(time, _)| *time).expect("three");
        at_most("ha.heartbeat", pair.heartbeat, shortest / 3, why);
        at_most("ha.patience", pair.patience, pair.idle, "`ha.idle`");
        if let ArbiterAt::Store(name) = &pair.arbiter {
            let there = config.stores.iter().find(|store| store.name == *name);
            if there.is_none_or(|store| matches!(store.at, StoreAt::Sqlite(_))) {
                let expected = "the name of a store at a server of MySQL, MariaDB or PostgreSQL \
                                (`stores.NAME.url`)";
                self.refuse_written("ha.arbiter", expected);
            }
        }
        if pair.enabled {
            self.needs_of_a_pair(config);
        }
    }

    fn needs_of_a_pair(&mut self, config: &Config) {
        let pair = &config.ha;
        if pair.peer.is_empty() {
            self.refuse_written("ha.peer", "the other node's `ha.listen` as \"host:port\"");
        }
        if pair.secret == SecretFrom::Nowhere {
            let expected = "the file of the secret that both nodes share (`openssl rand -hex 32` \
                            makes one), unless `ha.secret` is given";
            self.refuse_written("ha.secret_file", expected);
        }
        if !config.persistence.enabled {
            let expected = "true where `ha.enabled` is, for what a pair promises lies in journals";
            self.refuse_written("persistence.enabled", expected);
        }
        if config.http.body_bytes_max > BODY_BYTES_MAX {
            let most = units::show_size(BODY_BYTES_MAX);
            let expected = format!("at most {most} where `ha.enabled` is true");
            self.refuse_written("http.body_bytes_max", &expected);
        }
        if pair.listen == config.http.listen && pair.listen.port() != 0 {
            self.refuse_written("ha.listen", "another address than `http.listen`");
        }
    }

    fn ack(&mut self, key: &str) -> Ack {
        let before = self.faults.len();
        match self.text(key).as_str() {
            "memory" => Ack::Memory,
            "disk" => Ack::Disk,
            "peer" => Ack::Peer,
            "peer+disk" => Ack::PeerDisk,
            _ => {
                if self.faults.len() == before {
                    let expected = "\"memory\", \"disk\", \"peer\" or \"peer+disk\"";
                    self.refuse_written(key, expected);
                }
                Ack::Peer
            }
        }
    }

    fn place(&mut self, key: &str) -> Place {
        let before = self.faults.len();
        match self.text(key).as_str() {
            "a" => Place::A,
            "b" => Place::B,
            _ => {
                if self.faults.len() == before {
                    self.refuse_written(key, "\"a\" at one node and \"b\" at the other");
                }
                Place::A
            }
        }
    }

    fn socket(&mut self, key: &str) -> SocketAddr {
        let before = self.faults.len();
        self.text(key).parse().unwrap_or_else(|_| {
            if self.faults.len() == before {
                self.refuse_written(key, "an address and a port such as \"127.0.0.1:7420\"");
            }
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    }

    fn host_and_port(&mut self, key: &str) -> String {
        let text = self.text(key);
        if !text.is_empty() && !is_host_and_port(&text) {
            self.refuse_written(key, "a host and a port such as \"node-b.example:7420\"");
        }
        text
    }

    /// Says nothing of what the secret is, whatever is wrong with it.
    fn secret(&mut self) -> SecretFrom {
        let secret = self.text("ha.secret");
        let file = self.text("ha.secret_file");
        let length = secret.trim().len();
        match (secret.is_empty(), file.is_empty()) {
            (true, true) => SecretFrom::Nowhere,
            (true, false) => SecretFrom::File(PathBuf::from(file)),
            (false, true) if length >= SECRET_BYTES_MIN => SecretFrom::Here(Hidden::new(secret)),
            (false, true) => {
                let expected = format!("at least {SECRET_BYTES_MIN} characters long");
                self.refuse("ha.secret", &expected, &length.to_string());
                SecretFrom::Nowhere
            }
            (false, false) => {
                self.refuse("ha.secret", "left out where `ha.secret_file` is given", "both");
                SecretFrom::Nowhere
            }
        }
    }

    /// All three files or none of them.
    fn tls(&mut self) -> Option<TlsFiles> {
        let keys = ["ha.tls_certificate", "ha.tls_key", "ha.tls_authority"];
        let before = self.faults.len();
        let texts = keys.map(|key| self.text(key));
        let all_texts = self.faults.len() == before;
        let given = keys.iter().zip(&texts).find(|(_, text)| !text.is_empty())?.0;
        for (key, text) in keys.iter().zip(&texts) {
            if text.is_empty() && all_texts {
                let expected = format!("the path of a PEM file where `{given}` is given");
                self.refuse_written(key, &expected);
            }
        }
        let [certificate, key, authority] = texts.map(PathBuf::from);
        Some(TlsFiles { certificate, key, authority })
    }

    fn arbiter(&mut self, key: &str) -> ArbiterAt {
        let before = self.faults.len();
        let text = self.text(key);
        match text.split_once(':') {
            None if text == "none" => return ArbiterAt::Nowhere,
            Some(("sqlite", path)) if !path.is_empty() => {
                return ArbiterAt::Sqlite(PathBuf::from(path));
            }
            Some(("witness", at)) if is_host_and_port(at) => {
                return ArbiterAt::Witness(at.to_owned());
            }
            Some(("store", name)) if !name.is_empty() => return ArbiterAt::Store(name.to_owned()),
            _ => {}
        }
        if self.faults.len() == before {
            let expected = "\"sqlite:PATH\", \"witness:HOST:PORT\", \"store:NAME\" or \"none\"";
            self.refuse_written(key, expected);
        }
        ArbiterAt::Nowhere
    }
}

fn is_host_and_port(text: &str) -> bool {
    let port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    text.rsplit_once(':').is_some_and(|(host, number)| !host.is_empty() && port(number))
}
