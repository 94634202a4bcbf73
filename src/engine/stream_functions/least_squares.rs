//! The line that lies nearest to points, kept running as points come and leave.

use crate::engine::stream_functions::precise::Precise;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;

/// Pivots smaller than this part of what they were are rounding.
const NOTHING: f64 = 1e-29;

/// Sums over points, each of `(1, x1, ..., xn, y)`: of all products of two of these.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    count: u64,
    products: Vec<Precise>,
}

/// A line `y = b0 + b1 * x1 + ... + bn * xn`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    /// The standard deviation of points from it.
    pub(super) error: f64,
    /// `b0`, `b1`, ...; those that may well be nothing but chance are 0.
    pub(super) coefficients: Vec<f64>,
}

impl Line {
    /// What stands for a line where there is none.
    fn none(width: usize) -> Line {
        Line { error: 0.0, coefficients: vec![0.0; width - 1] }
    }

    /// `y` at an `x`, where there is but one.
    pub(super) fn at(&self, x: f64) -> f64 {
        self.coefficients[0] + self.coefficients[1] * x
    }
}

impl Sums {
    /// Takes in a point, which is given as `y, x1, ..., xn`.
    pub(super) fn enter(&mut self, point: &[f64]) {
        self.count += 1;
        self.change(point, |sum, product| sum + product);
    }

    /// Takes back a point.
    pub(super) fn leave(&mut self, point: &[f64]) {
        self.count -= 1;
        self.change(point, |sum, product| sum - product);
    }

    fn change(&mut self, point: &[f64], change: fn(Precise, Precise) -> Precise) {
        let width = point.len() + 1;
        self.products.resize(width * width, Precise::default());
        let part = |place: usize| match place {
            0 => 1.0,
            place if place + 1 == width => point[0],
            place => point[place],
        };
        for row in 0..width {
            for column in row..width {
                let product = Precise::from(part(row)) * part(column).into();
                let sum = &mut self.products[row * width + column];
                *sum = change(*sum, product);
            }
        }
    }

    /// Whether these are sums over points of so many numbers, or of none.
    pub(super) fn are_of(&self, width: usize) -> bool {
        match self.products.len() {
            0 => self.count == 0,
            found => found == width * width,
        }
    }

    /// The line through the points. A coefficient that is not other than 0 with this confidence is
    /// 0; all is 0 where points are too few, or lie so that there are many lines.
    pub(super) fn line(&self, width: usize, confidence: f64) -> Line {
        let freedom = self.count as f64 - (width - 1) as f64;
        let Some(swept) = self.swept(width).filter(|_| freedom > 0.0) else {
            return Line::none(width);
        };
        let last = width - 1;
        let squares = swept[last * width + last].rounded().max(0.0) / freedom;
        let coefficients = (0..last).map(|place| {
            let coefficient = swept[place * width + last].rounded();
            let error = (-swept[place * width + place].rounded() * squares).sqrt();
            let chance = chance_of(coefficient / error, freedom);
            if chance > 1.0 - confidence { 0.0 } else { coefficient }
        });
        Line { coefficients: coefficients.collect(), error: squares.sqrt() }
    }

    /// The sums, swept by all but the last row: what is left are the coefficients in the last
    /// column, the sum of squared distances in the corner, and the rest is the inverse, negated.
    fn swept(&self, width: usize) -> Option<Vec<Precise>> {
        let mut swept = self.products.clone();
        for row in 0..width {
            for column in 0..row {
                swept[row * width + column] = swept[column * width + row];
            }
        }
        for pivot in 0..width - 1 {
            let at = |row: usize, column: usize| row * width + column;
            let divisor = swept[at(pivot, pivot)];
            let before = self.products[at(pivot, pivot)].rounded();
            if divisor.rounded() <= before * NOTHING {
                return None;
            }
            for row in (0..width).filter(|&row| row != pivot) {
                let factor = swept[at(row, pivot)] / divisor;
                for column in (0..width).filter(|&column| column != pivot) {
                    let less = factor * swept[at(pivot, column)];
                    swept[at(row, column)] = swept[at(row, column)] - less;
                }
                swept[at(row, pivot)] = factor;
            }
            for column in (0..width).filter(|&column| column != pivot) {
                swept[at(pivot, column)] = swept[at(pivot, column)] / divisor;
            }
            swept[at(pivot, pivot)] = -(Precise::from(1.0) / divisor);
        }
        Some(swept)
    }
}

impl Encode for Sums {
    fn encode(&self, out: &mut Vec<u8>) {
        self.count.encode(out);
        self.products.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Sums { count: Encode::decode(from)?, products: Encode::decode(from)? })
    }
}

impl Encode for Line {
    fn encode(&self, out: &mut Vec<u8>) {
        self.error.encode(out);
        self.coefficients.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Line { error: Encode::decode(from)?, coefficients: Encode::decode(from)? })
    }
}

/// How often chance alone takes Student's t at least so far from 0, with so many degrees of
/// freedom.
fn chance_of(t: f64, freedom: f64) -> f64 {
    beta_share(freedom / (freedom + t * t), freedom / 2.0, 0.5)
}

/// The regularized incomplete beta function.
fn beta_share(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x;
    }
    let whole = libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
    let front = libm::exp(a * libm::log(x) + b * libm::log1p(-x) - whole);
    // The fraction converges fast on this side only; the function is symmetric.
    match x < (a + 1.0) / (a + b + 2.0) {
        true => front * beta_fraction(x, a, b) / a,
        false => 1.0 - front * beta_fraction(1.0 - x, b, a) / b,
    }
}

/// The continued fraction of the incomplete beta function, from its front to where it stands still.
fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    const MOST: u32 = 400;
    let away_from_0 = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut above, mut below) = (1.0, 1.0 / away_from_0(1.0 - (a + b) * x / (a + 1.0)));
    let mut value = below;
    for step in (1..MOST).map(f64::from) {
        let even = step * (b - step) * x / ((a + 2.0 * step - 1.0) * (a + 2.0 * step));
        let odd = -(a + step) * (a + b + step) * x / ((a + 2.0 * step) * (a + 2.0 * step + 1.0));
        let before = value;
        for part in [even, odd] {
            below = 1.0 / away_from_0(1.0 + part * below);
            above = away_from_0(1.0 + part / above);
            value *= above * below;
        }
        if (value - before).abs() <= value.abs() * f64::EPSILON {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(points: &[[f64; 2]]) -> Line {
        let mut sums = Sums::default();
        points.iter().for_each(|[x, y]| sums.enter(&[*y, *x]));
        sums.line(3, 0.95)
    }

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() <= expected.abs() * 1e-9, "{found}, not {expected}");
    }

    #[test]
    fn chance_is_what_tables_say() {
        near(chance_of(12.706_204_736_432_1, 1.0), 0.05);
        near(chance_of(2.228_138_851_964_94, 10.0), 0.05);
        near(chance_of(1.0, 1.0), 0.5);
        assert_eq!(chance_of(0.0, 5.0), 1.0);
        assert_eq!(chance_of(f64::INFINITY, 5.0), 0.0);
        assert!(chance_of(f64::NAN, 5.0).is_nan());
    }

    #[test]
    fn a_line_lies_between_its_points() {
        // Textbook: means 3 and 4, deviations 10 and 6, so 0.6 * x + 2.2; squares left 2.4.
        let found = line(&[[1.0, 2.0], [2.0, 4.0], [3.0, 5.0], [4.0, 4.0], [5.0, 5.0]]);
        near(found.error, (2.4f64 / 3.0).sqrt());
        // Neither is certain: t is 2.12 and 2.35, where 3.18 is asked for.
        assert_eq!(found.coefficients, [0.0, 0.0]);
        let mut sums = Sums::default();
        let points = [[1.0, 2.0], [2.0, 4.0], [3.0, 5.0], [4.0, 4.0], [5.0, 5.0]];
        points.iter().for_each(|[x, y]| sums.enter(&[*y, *x]));
        let found = sums.line(3, 0.5);
        near(found.coefficients[0], 2.2);
        near(found.coefficients[1], 0.6);
    }

    #[test]
    fn several_attributes_share_what_is_explained() {
        let mut sums = Sums::default();
        for n in 0..30 {
            let (one, other) = (f64::from(n), f64::from(n * n % 7));
            let noise = f64::from(n % 2) * 1e-6;
            sums.enter(&[5.0 - 2.0 * one + 0.5 * other + noise, one, other]);
        }
        let found = sums.line(4, 0.95).coefficients;
        for (found, expected) in found.iter().zip([5.0, -2.0, 0.5]) {
            assert!((found - expected).abs() < 1e-5, "{found}, not {expected}");
        }
    }

    #[test]
    fn times_in_milliseconds_are_not_too_great() {
        let start = 1_700_000_000_000.0;
        let points: Vec<[f64; 2]> = (0..20)
            .map(|n| [start + f64::from(n), f64::from(3 * n) + f64::from(n % 2) * 1e-3])
            .collect();
        near(line(&points).coefficients[1], 3.000_007_518_796_992_5);
    }

    #[test]
    fn without_a_line_all_is_0() {
        let none = Line { error: 0.0, coefficients: vec![0.0, 0.0] };
        assert_eq!(line(&[[1.0, 2.0], [2.0, 3.0]]), none, "two points are too few");
        assert_eq!(line(&[[0.1, 2.0], [0.1, 3.0], [0.1, 5.0]]), none, "one above the other");
    }

    #[test]
    fn points_that_left_leave_no_trace() {
        let (mut all, mut few) = (Sums::default(), Sums::default());
        let points: Vec<[f64; 2]> =
            (0..500).map(|n| [f64::from(n * n % 97) * 1e5 + 0.1, f64::from(n) / 3.0]).collect();
        points.iter().for_each(|point| all.enter(point));
        points[..480].iter().for_each(|point| all.leave(point));
        points[480..].iter().for_each(|point| few.enter(point));
        assert_eq!(all.line(3, 0.0), few.line(3, 0.0));
    }
}
