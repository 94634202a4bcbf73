//! Made-up logins as JSON: who, from where, and whether it worked.

use std::fmt::Write as _;

use crate::event::Millis;
use crate::receivers::generator::chance::Chance;

const USERS: u64 = 200;
const COUNTRIES: [&str; 8] = ["DE", "FR", "IN", "JP", "LK", "SE", "US", "ZA"];

/// Makes logins one after another.
#[derive(Clone, Debug)]
pub struct Logins {
    chance: Chance,
    /// Who is being guessed at, from where, and how often yet.
    attack: Option<(u64, u64, u64)>,
}

impl Logins {
    /// The logins of a seed.
    pub fn new(seed: u64) -> Logins {
        Logins { chance: Chance::new(seed), attack: None }
    }

    /// Appends the next login as a JSON object.
    pub fn write(&mut self, at: Millis, into: &mut String) {
        if self.attack.is_none() && self.chance.happens(2) {
            let (user, host) = (self.chance.below(USERS), 1 + self.chance.below(254));
            self.attack = Some((user, host, 5 + self.chance.below(30)));
        }
        let attacked = self.attack.filter(|_| self.chance.happens(60));
        let (user, block, host, success) = match attacked {
            Some((user, host, left)) => {
                self.attack = (left > 1).then_some((user, host, left - 1));
                // The last guess of some is right.
                (user, "203.0.113", host, left == 1 && self.chance.happens(30))
            }
            None => {
                // Small numbers come more often: some people log in all day.
                let user = self.chance.below(USERS) * self.chance.below(USERS) / USERS;
                (user, "198.51.100", 1 + user % 254, self.chance.happens(95))
            }
        };
        let country = match attacked {
            Some(_) => COUNTRIES[(host % COUNTRIES.len() as u64) as usize],
            // People travel now and then.
            None if self.chance.happens(3) => *self.chance.pick(&COUNTRIES),
            None => COUNTRIES[(user % COUNTRIES.len() as u64) as usize],
        };
        write!(
            into,
            "{{\"user\":\"user{user:03}\",\"ip\":\"{block}.{host}\",\"country\":\"{country}\",\
             \"success\":{success},\"ts\":{at}}}"
        )
        .expect("a String takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_the_logins_and_most_work() {
        let take = |seed| {
            let mut logins = Logins::new(seed);
            let mut text = String::new();
            (0..2000).for_each(|n| logins.write(n, &mut text));
            text
        };
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
        let count = |words: &str| take(1).matches(words).count();
        assert!(count("\"success\":true") > 800 && count("\"success\":false") > 200);
        assert!(count("\"ip\":\"203.0.113.") > 200);
    }
}
