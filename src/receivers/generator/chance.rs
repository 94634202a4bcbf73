//! Chance from a seed: the same numbers on every machine and in every version.

/// A stream of numbers that a seed fixes (SplitMix64).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A whole number below `bound`, which is above 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of a product: even enough for made-up events.
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Whether something happens that happens `in_hundred` times in a hundred.
    pub fn happens(&mut self, in_hundred: u64) -> bool {
        self.below(100) < in_hundred
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_the_numbers() {
        let take = |seed| {
            let mut chance = Chance::new(seed);
            [(); 4].map(|()| chance.below(1000))
        };
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
        let mut chance = Chance::new(7);
        let happened = (0..10_000).filter(|_| chance.happens(30)).count();
        assert!((2_800..3_200).contains(&happened), "{happened}");
    }
}
