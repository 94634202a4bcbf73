//! Chance from a seed: separate streams, so that a change in one part of the world leaves the
//! others be.

/// A stream of numbers (xorshift with a multiplier).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The stream of this name under this seed.
    pub fn new(seed: u64, stream: u64) -> Chance {
        let mut mixed = seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for _ in 0..2 {
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
        }
        Chance(mixed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// From 0 to `bound` - 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// From `low` to `high` - 1.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low))
    }

    /// True so often in a thousand.
    pub fn permille(&mut self, times: u64) -> bool {
        self.below(1_000) < times
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// Short mostly, long now and then: between `low` and `high`, each power of two as likely.
    pub fn spread(&mut self, low: u64, high: u64) -> u64 {
        let mut top = high;
        while top > low * 2 && self.below(2) == 0 {
            top /= 2;
        }
        self.range(low, top.max(low + 1))
    }
}
