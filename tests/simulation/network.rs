//! The links between the nodes and to the arbiter: each way can be cut, and what travels may be
//! late, lost or doubled.

use crate::chance::Chance;

/// How a link treats what is sent.
#[derive(Clone, Debug)]
pub struct Network {
    chance: Chance,
    /// Lost, in a thousand.
    pub lost: u64,
    /// Doubled, in a thousand.
    pub doubled: u64,
    /// Much too late, in a thousand.
    pub late: u64,
    /// What is not late keeps its order, as on one connection.
    ordered: bool,
    /// When the last one arrives that a node sent.
    last: [u64; 2],
    /// From A to B, and from B to A.
    pub peer: [bool; 2],
    /// Questions from a node to the arbiter.
    pub ask: [bool; 2],
    /// Answers from the arbiter to a node.
    pub reply: [bool; 2],
    /// What happened to messages, for the report.
    pub counts: Counts,
}

/// How often what happened to messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub sent: u64,
    pub lost: u64,
    pub doubled: u64,
    pub late: u64,
    pub reordered: u64,
}

impl Network {
    pub fn new(seed: u64) -> Network {
        let mut chance = Chance::new(seed, 2);
        let bad = chance.pick(&[1, 5, 20, 60]);
        Network {
            lost: chance.below(bad + 1),
            doubled: chance.below(bad + 1),
            late: chance.below(bad + 1),
            ordered: chance.permille(800),
            last: [0; 2],
            chance,
            peer: [true; 2],
            ask: [true; 2],
            reply: [true; 2],
            counts: Counts::default(),
        }
    }

    /// After how many microseconds a message arrives, once or twice or never.
    pub fn send(&mut self) -> ([u64; 2], usize) {
        self.counts.sent += 1;
        if self.chance.permille(self.lost) {
            self.counts.lost += 1;
            return ([0; 2], 0);
        }
        let first = self.delay();
        if self.chance.permille(self.doubled) {
            self.counts.doubled += 1;
            return ([first, self.delay()], 2);
        }
        ([first, 0], 1)
    }

    fn delay(&mut self) -> u64 {
        if self.chance.permille(self.late) {
            self.counts.late += 1;
            return self.chance.spread(5_000, 6_000_000);
        }
        self.chance.range(100, 2_000)
    }

    /// As [`Network::send`], from a node to its peer, at this moment.
    pub fn send_to_peer(&mut self, from: usize, now: u64) -> ([u64; 2], usize) {
        let (mut delays, times) = self.send();
        for delay in delays[..times].iter_mut().filter(|delay| **delay < 2_000) {
            let last = self.last[from];
            if self.ordered {
                *delay = (now + *delay).max(last) - now;
            }
            self.counts.reordered += u64::from(now + *delay < last);
            self.last[from] = last.max(now + *delay);
        }
        (delays, times)
    }

    /// Everything works again.
    pub fn heal(&mut self) {
        (self.lost, self.doubled, self.late) = (0, 0, 0);
        (self.peer, self.ask, self.reply) = ([true; 2], [true; 2], [true; 2]);
    }
}
