//! Numbers of some thirty digits, so that sums from which values are taken back stay right.

use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use std::ops::Add;
use std::ops::Div;
use std::ops::Mul;
use std::ops::Neg;
use std::ops::Sub;

/// Cuts a double into two halves of 26 digits.
const SPLITTER: f64 = 134_217_729.0;

/// The sum of two doubles of which the second is at most half of the first one's last digit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Precise {
    high: f64,
    low: f64,
}

impl Precise {
    /// The nearest double.
    pub(super) fn rounded(self) -> f64 {
        self.high + self.low
    }

    /// Brings the two doubles into order; the first is the greater one.
    fn ordered(high: f64, low: f64) -> Precise {
        let sum = high + low;
        Precise { high: sum, low: low - (sum - high) }
    }
}

/// A sum, and what its rounding lost.
fn sum(left: f64, right: f64) -> (f64, f64) {
    let sum = left + right;
    let of_right = sum - left;
    (sum, (left - (sum - of_right)) + (right - of_right))
}

/// A product, and what its rounding lost.
fn product(left: f64, right: f64) -> (f64, f64) {
    let halves = |value: f64| {
        let wide = SPLITTER * value;
        let high = wide - (wide - value);
        (high, value - high)
    };
    let ((left_high, left_low), (right_high, right_low)) = (halves(left), halves(right));
    let product = left * right;
    let rest = left_high * right_high - product + left_high * right_low + left_low * right_high;
    (product, rest + left_low * right_low)
}

impl From<f64> for Precise {
    fn from(value: f64) -> Precise {
        Precise { high: value, low: 0.0 }
    }
}

impl Add for Precise {
    type Output = Precise;

    fn add(self, other: Precise) -> Precise {
        let (high, lost) = sum(self.high, other.high);
        let (low, rest) = sum(self.low, other.low);
        let first = Precise::ordered(high, lost + low);
        Precise::ordered(first.high, first.low + rest)
    }
}

impl Neg for Precise {
    type Output = Precise;

    fn neg(self) -> Precise {
        Precise { high: -self.high, low: -self.low }
    }
}

impl Sub for Precise {
    type Output = Precise;

    fn sub(self, other: Precise) -> Precise {
        self + -other
    }
}

impl Mul for Precise {
    type Output = Precise;

    fn mul(self, other: Precise) -> Precise {
        let (high, lost) = product(self.high, other.high);
        Precise::ordered(high, lost + (self.high * other.low + self.low * other.high))
    }
}

impl Div for Precise {
    type Output = Precise;

    fn div(self, other: Precise) -> Precise {
        // Long division with doubles as digits.
        let first = self.high / other.high;
        let rest = self - other * first.into();
        let second = rest.high / other.high;
        let rest = rest - other * second.into();
        let (high, low) = sum(first, second);
        Precise::ordered(high, low + rest.high / other.high)
    }
}

impl Encode for Precise {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.high, self.low).encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let (high, low) = Encode::decode(from)?;
        Ok(Precise { high, low })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_and_taken_back_leaves_nothing() {
        let tenth = Precise::from(0.1);
        let mut sum = Precise::default();
        let values: Vec<f64> = (1..1_000).map(|n| f64::from(n) * 1e7 + 0.1).collect();
        for &value in &values {
            sum = sum + Precise::from(value) * value.into();
        }
        sum = sum + tenth;
        for &value in &values {
            sum = sum - Precise::from(value) * value.into();
        }
        // Of sums of 26 digits a double would have lost the last ten.
        assert!((sum.rounded() - 0.1).abs() < 1e-7, "{sum:?}");
    }

    #[test]
    fn a_quotient_times_its_divisor_is_the_dividend() {
        let (dividend, divisor) = (Precise::from(1.0), Precise::from(3.0));
        let quotient = dividend / divisor;
        let lost = quotient * divisor - dividend;
        assert!(lost.rounded().abs() < 1e-31, "{lost:?}");
        assert_eq!((quotient * 6.0.into()).rounded(), 2.0);
    }
}
