//! Whether a group with as many rows in as out is empty: then its running value is as new, and no
//! rounding error outlives the values it came from.

use crate::event::codec::Encode;
use crate::event::codec::Malformed;

/// What a running value keeps beside the number of its rows.
pub trait Balance: Default + Encode + Send + 'static {
    /// A value comes.
    fn enter(&mut self, value: f64);
    /// A value leaves.
    fn leave(&mut self, value: f64);
    /// Whether what left is what came, where as many left as came.
    fn is_even(&self) -> bool;
}

/// Every row that leaves has come before: nothing needs to be kept.
#[derive(Debug, Default)]
pub struct Sure;

impl Balance for Sure {
    #[inline]
    fn enter(&mut self, _: f64) {}

    #[inline]
    fn leave(&mut self, _: f64) {}

    #[inline]
    fn is_even(&self) -> bool {
        true
    }
}

impl Encode for Sure {
    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(_: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Sure)
    }
}

/// Rows may leave that never came, as those of a join do whose other side has changed since. Keeps
/// the sum of a mark of each value, which is nothing only if the same values came and left.
#[derive(Debug, Default)]
pub struct Marked(u64);

/// Spreads the bits of a value so that sums of marks tell values apart whose own sums are equal.
/// Most values have nothing but zeros in their lower half.
fn mark(value: f64) -> u64 {
    let bits = value.to_bits();
    let mixed = (bits ^ (bits >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 32)
}

impl Balance for Marked {
    #[inline]
    fn enter(&mut self, value: f64) {
        self.0 = self.0.wrapping_add(mark(value));
    }

    #[inline]
    fn leave(&mut self, value: f64) {
        self.0 = self.0.wrapping_sub(mark(value));
    }

    #[inline]
    fn is_even(&self) -> bool {
        self.0 == 0
    }
}

impl Encode for Marked {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Marked(u64::decode(from)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_quarters_tell_all_pairs_apart() {
        let values: Vec<f64> = (-40..40).map(|n| f64::from(n) / 4.0).collect();
        let mut sums = Vec::new();
        for (place, one) in values.iter().enumerate() {
            sums.extend(values[place..].iter().map(|other| mark(*one).wrapping_add(mark(*other))));
        }
        let all = sums.len();
        sums.sort_unstable();
        sums.dedup();
        assert_eq!(sums.len(), all);
    }

    #[test]
    fn other_values_of_the_same_sum_do_not_make_it_even() {
        let mut marked = Marked::default();
        [1.0, 4.0].into_iter().for_each(|value| marked.enter(value));
        [2.0, 3.0].into_iter().for_each(|value| marked.leave(value));
        assert!(!marked.is_even());
        [2.0, 3.0].into_iter().for_each(|value| marked.enter(value));
        [4.0, 1.0].into_iter().for_each(|value| marked.leave(value));
        assert!(marked.is_even());
    }
}
