//! Answers of an external table that are kept for a while: `@cache` inside of a `@store`.
//!
//! It lies on this side of the log: what is answered from it enters the log like any answer. A
//! write of the plan empties it; what others write is seen when an answer has become too old.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use crate::event::Batch;
use crate::event::Map;
use crate::publishers::rdbms::options::CacheOptions;
use crate::publishers::rdbms::options::CachePolicy;

/// Answers that were found, by what was asked.
#[derive(Debug)]
pub struct Cache {
    options: CacheOptions,
    known: Map<Vec<u8>, Known>,
    /// What is forgotten next stands first: how often it counts as used, and when.
    order: BTreeMap<(u64, u64), Vec<u8>>,
    rows: usize,
    tick: u64,
}

#[derive(Debug)]
struct Known {
    rows: Batch,
    since: Instant,
    rank: (u64, u64),
}

impl Cache {
    /// Nothing is known.
    pub fn new(options: CacheOptions) -> Cache {
        Cache { options, known: Map::default(), order: BTreeMap::new(), rows: 0, tick: 0 }
    }

    /// The rows that answer this question, if they are known and not too old at `now`.
    pub fn find(&mut self, question: &[u8], now: Instant) -> Option<&Batch> {
        let (kept, rank) = (self.options.kept, self.known.get(question)?.rank);
        if kept.is_some_and(|kept| now.duration_since(self.known[question].since) >= kept) {
            self.forget(rank);
            return None;
        }
        self.tick += 1;
        let used = match self.options.policy {
            CachePolicy::Fifo => rank,
            CachePolicy::Lru => (0, self.tick),
            CachePolicy::Lfu => (rank.0 + 1, self.tick),
        };
        let known = self.known.get_mut(question)?;
        if used != rank {
            known.rank = used;
            if let Some(name) = self.order.remove(&rank) {
                self.order.insert(used, name);
            }
        }
        Some(&known.rows)
    }

    /// Keeps the rows that answer a question; those least wanted make room for them.
    pub fn keep(&mut self, question: Vec<u8>, rows: Batch, now: Instant) {
        if let Some(known) = self.known.get(&question) {
            self.forget(known.rank);
        }
        if rows.is_empty() || rows.len() > self.options.rows {
            return;
        }
        while self.rows + rows.len() > self.options.rows
            && let Some((&rank, _)) = self.order.first_key_value()
        {
            self.forget(rank);
        }
        self.tick += 1;
        let rank = (0, self.tick);
        self.rows += rows.len();
        self.order.insert(rank, question.clone());
        self.known.insert(question, Known { rows, since: now, rank });
    }

    fn forget(&mut self, rank: (u64, u64)) {
        if let Some(known) = self.order.remove(&rank).and_then(|name| self.known.remove(&name)) {
            self.rows -= known.rows.len();
        }
    }

    /// Nothing is known any more: the table was written to.
    pub fn clear(&mut self) {
        self.known.clear();
        self.order.clear();
        self.rows = 0;
    }

    /// Forgets what is too old at `now`; says when to do so again.
    pub fn purge(&mut self, now: Instant) -> Option<Duration> {
        let kept = self.options.kept?;
        let old = |known: &&Known| now.duration_since(known.since) >= kept;
        let ranks: Vec<_> = self.known.values().filter(old).map(|known| known.rank).collect();
        ranks.into_iter().for_each(|rank| self.forget(rank));
        Some(self.options.purged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DataType;
    use crate::event::Value;

    fn cache(policy: CachePolicy) -> Cache {
        let (kept, purged) = (Some(Duration::from_secs(10)), Duration::from_secs(1));
        Cache::new(CacheOptions { rows: 3, policy, kept, purged })
    }

    fn rows(count: i64) -> Batch {
        let mut batch = Batch::new(&[DataType::Long]);
        (0..count).for_each(|number| batch.push_row(0, &[Value::Long(number)]));
        batch
    }

    /// What is left of a, b and c, asked for as said, when d comes.
    fn left(policy: CachePolicy, asked: &str) -> String {
        let (mut cache, now) = (cache(policy), Instant::now());
        "abc".bytes().for_each(|name| cache.keep(vec![name], rows(1), now));
        asked.bytes().for_each(|name| assert!(cache.find(&[name], now).is_some()));
        cache.keep(vec![b'd'], rows(1), now);
        "abcd".chars().filter(|name| cache.find(&[*name as u8], now).is_some()).collect()
    }

    #[test]
    fn the_least_wanted_makes_room() {
        assert_eq!(left(CachePolicy::Fifo, "aab"), "bcd");
        assert_eq!(left(CachePolicy::Lru, "ab"), "abd");
        assert_eq!(left(CachePolicy::Lfu, "aabbc"), "abd");
    }

    #[test]
    fn rows_are_counted_and_nothing_is_no_answer() {
        let (mut cache, now) = (cache(CachePolicy::Fifo), Instant::now());
        cache.keep(vec![1], rows(2), now);
        cache.keep(vec![2], rows(4), now);
        cache.keep(vec![3], rows(0), now);
        assert!(cache.find(&[1], now).is_some() && cache.find(&[2], now).is_none());
        assert!(cache.find(&[3], now).is_none());
        cache.keep(vec![4], rows(2), now);
        assert!(cache.find(&[1], now).is_none() && cache.rows == 2);
        cache.clear();
        assert!(cache.find(&[4], now).is_none() && cache.rows == 0);
    }

    #[test]
    fn what_is_too_old_is_no_answer() {
        let (mut cache, now) = (cache(CachePolicy::Lru), Instant::now());
        cache.keep(vec![1], rows(1), now);
        cache.keep(vec![2], rows(1), now + Duration::from_secs(5));
        assert!(cache.find(&[1], now + Duration::from_secs(9)).is_some());
        assert!(cache.find(&[1], now + Duration::from_secs(10)).is_none());
        let later = now + Duration::from_secs(15);
        assert_eq!(cache.purge(later), Some(Duration::from_secs(1)));
        assert!(cache.known.is_empty() && cache.order.is_empty() && cache.rows == 0);
    }
}
