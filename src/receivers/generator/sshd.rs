//! Made-up lines of an SSH server's log: people who log in, who mistype, and strangers who guess.
//!
//! Addresses are from the blocks that are kept for documentation, so that nobody is accused. A few
//! of them attack: bursts of failed passwords from one address, several a second of log time.

use std::fmt::Write as _;

use crate::event::Millis;
use crate::receivers::generator::calendar;
use crate::receivers::generator::chance::Chance;

const HOST: &str = "gate";
const PEOPLE: [&str; 8] = ["anna", "ben", "carla", "deniz", "emil", "farah", "goran", "hanna"];
const GUESSED: [&str; 12] = [
    "root",
    "admin",
    "test",
    "oracle",
    "postgres",
    "ubuntu",
    "git",
    "guest",
    "ftp",
    "web master",
    "user",
    "nagios",
];
/// Of the guessed names, those that exist.
const EXISTING: usize = 1;

/// Makes lines one after another.
#[derive(Clone, Debug)]
pub struct Sshd {
    chance: Chance,
    attackers: Vec<String>,
    /// Who attacks now, how many tries are left, and with which process.
    attack: Option<(usize, u64, u64)>,
    process: u64,
    /// Lines that belong after the one just made.
    follow: Vec<String>,
}

impl Sshd {
    /// The lines of a seed.
    pub fn new(seed: u64) -> Sshd {
        let mut chance = Chance::new(seed);
        let attackers = (0..4).map(|_| format!("203.0.113.{}", 1 + chance.below(254))).collect();
        let process = 1_000 + chance.below(20_000);
        Sshd { chance, attackers, attack: None, process, follow: Vec::new() }
    }

    /// The next line, for a moment, without its end.
    pub fn line(&mut self, at: Millis) -> String {
        let (process, text) = match self.follow.pop() {
            Some(text) => (self.process, text),
            None => self.happening(),
        };
        let mut line = String::with_capacity(120);
        calendar::write(at, &mut line);
        write!(line, " {HOST} sshd[{process}]: {text}").expect("a String takes everything");
        line
    }

    fn happening(&mut self) -> (u64, String) {
        if self.attack.is_none() && self.chance.happens(6) {
            let who = self.chance.below(self.attackers.len() as u64) as usize;
            self.process += 1 + self.chance.below(5);
            self.attack = Some((who, 5 + self.chance.below(40), self.process));
        }
        if let Some((who, left, process)) = self.attack {
            self.attack = (left > 1).then_some((who, left - 1, process));
            // Life goes on meanwhile.
            if !self.chance.happens(15) {
                return (process, self.guess(who, left == 1));
            }
        }
        self.process += 1 + self.chance.below(5);
        (self.process, self.visit())
    }

    /// One try of an attacker; the last one of some is right.
    fn guess(&mut self, who: usize, is_last: bool) -> String {
        let address = self.attackers[who].clone();
        let port = 30_000 + self.chance.below(30_000);
        if is_last && self.chance.happens(5) {
            return format!("Accepted password for root from {address} port {port} ssh2");
        }
        let name = self.chance.below(GUESSED.len() as u64) as usize;
        let (user, exists) = (GUESSED[name], name < EXISTING);
        match self.chance.below(10) {
            0 if !exists => format!("Invalid user {user} from {address} port {port}"),
            1 => format!("Connection closed by {address} port {port} [preauth]"),
            _ if exists => format!("Failed password for {user} from {address} port {port} ssh2"),
            _ => format!("Failed password for invalid user {user} from {address} port {port} ssh2"),
        }
    }

    /// Somebody of the house comes by.
    fn visit(&mut self) -> String {
        let user = *self.chance.pick(&PEOPLE);
        let address = format!("198.51.100.{}", 1 + self.chance.below(40));
        let port = 30_000 + self.chance.below(30_000);
        if self.chance.happens(12) {
            return format!("Failed password for {user} from {address} port {port} ssh2");
        }
        let leaving = format!("Disconnected from user {user} {address} port {port}");
        self.follow.push(leaving);
        let session = format!("pam_unix(sshd:session): session opened for user {user} by (uid=0)");
        self.follow.push(session);
        let way = if self.chance.happens(70) { "publickey" } else { "password" };
        format!("Accepted {way} for {user} from {address} port {port} ssh2")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_the_lines() {
        let take = |seed| {
            let mut sshd = Sshd::new(seed);
            (0..500).map(|n| sshd.line(n * 250)).collect::<Vec<_>>()
        };
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
        for line in take(3) {
            assert!(line.starts_with("Jan  1 00:0") && line.contains(" gate sshd["), "{line}");
        }
    }

    #[test]
    fn there_are_all_kinds_of_lines_and_a_few_who_attack() {
        let mut sshd = Sshd::new(1);
        let lines: Vec<String> = (0..20_000).map(|n| sshd.line(n)).collect();
        for words in [
            "Failed password for root from 203.0.113.",
            "Failed password for invalid user ",
            "Invalid user ",
            "Accepted publickey for ",
            "Accepted password for ",
            "session opened",
            "Disconnected from user ",
            "[preauth]",
        ] {
            let count = lines.iter().filter(|line| line.contains(words)).count();
            assert!(count > 50, "{words}: {count}");
        }
        let failed = lines.iter().filter(|line| line.contains("]: Failed password"));
        let strangers = failed.clone().filter(|line| line.contains(" 203.0.113.")).count();
        let failed = failed.count();
        assert!(strangers * 4 > failed * 3, "{strangers} of {failed}");
    }
}
