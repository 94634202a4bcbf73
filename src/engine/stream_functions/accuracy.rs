//! How much of its rows a window must see so that its means are right enough, and for which share
//! of the greatest lateness rows have to be held back for that.

use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use std::collections::VecDeque;

/// The length of the windows whose coverage is looked at, in milliseconds.
const WINDOW: i64 = 10_000_000_000;

/// How strongly an error counts, and how strongly its change.
const WEIGHTS: (f64, f64) = (0.5, 0.8);

/// The times of as many rows are remembered at least.
const FEW_TIMES: usize = 10_000;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Adapting {
    /// The column whose means are to be right.
    pub(super) column: usize,
    /// After how many rows the share is set anew.
    batch: u64,
    /// By which part a mean may be wrong.
    error: f64,
    /// How many standard deviations the confidence is.
    deviations: f64,
}

impl Adapting {
    /// For means that are wrong by a part of `error` at most, with a confidence.
    pub(super) fn new(column: usize, batch: u64, error: f64, confidence: f64) -> Adapting {
        Adapting { column, batch, error, deviations: deviations(confidence) }
    }
}

/// How many standard deviations around its mean a normal value keeps within so often.
fn deviations(confidence: f64) -> f64 {
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        match libm::erf(middle / std::f64::consts::SQRT_2) < confidence {
            true => low = middle,
            false => high = middle,
        }
    }
    high
}

/// How right means are, as far as is known.
#[derive(Debug)]
pub(super) struct Accuracy {
    /// The share of the greatest lateness for which rows are held back.
    share: f64,
    last_share: f64,
    last_error: f64,
    /// Rows since the share was set.
    rows: u64,
    /// How far back windows end.
    lag: i64,
    /// Count, mean and squared distances of the values since the share was set.
    values: (u64, f64, f64),
    /// When the latest rows were, as they came.
    times: VecDeque<i64>,
}

impl Default for Accuracy {
    fn default() -> Self {
        Accuracy {
            share: 1.0,
            last_share: 0.0,
            last_error: 0.0,
            rows: 0,
            lag: 0,
            values: (0, 0.0, 0.0),
            times: VecDeque::new(),
        }
    }
}

impl Accuracy {
    /// The slack for rows that were so late.
    pub(super) fn share_of(&self, late: i64) -> i64 {
        rounded(late as f64 * self.share)
    }

    /// Takes note of a row that came, dropped or not.
    pub(super) fn note(&mut self, time: i64, value: f64, adapting: &Adapting) {
        self.times.push_back(time);
        if self.times.len() > FEW_TIMES.max(4 * adapting.batch.min(1 << 20) as usize) {
            self.times.pop_front();
        }
        let (count, mean, squares) = &mut self.values;
        *count += 1;
        let away = value - *mean;
        *mean += away / *count as f64;
        *squares += away * (value - *mean);
    }

    /// Counts a row that is held, and sets the share anew after a batch of them.
    pub(super) fn count(&mut self, time: i64, slack: i64, adapting: &Adapting) {
        self.rows += 1;
        if self.rows <= adapting.batch {
            return;
        }
        let coverage = if self.lag == 0 { 1.0 } else { self.coverage(time) };
        // Where the mean is 0 there is no part of it to be wrong by.
        if let Some(wanted) = wanted_coverage(self.values, adapting) {
            let error = wanted - coverage;
            let change = WEIGHTS.0 * error + WEIGHTS.1 * (error - self.last_error);
            self.share = (self.last_share + change).abs();
            self.last_error = error;
            self.last_share = self.share;
        }
        self.lag = rounded(self.share * slack as f64).min(slack);
        self.rows = 0;
        self.values = (0, 0.0, 0.0);
    }

    /// Which part of the rows of a window had come when the first row came that lies beyond it.
    fn coverage(&self, time: i64) -> f64 {
        let end = time.saturating_sub(self.lag);
        let start = end.saturating_sub(WINDOW);
        let (mut in_time, mut all, mut over) = (0u64, 0u64, false);
        for &came in &self.times {
            over |= came >= end;
            if (start..=end).contains(&came) {
                all += 1;
                in_time += u64::from(!over);
            }
        }
        if all == 0 { 1.0 } else { in_time as f64 / all as f64 }
    }

    pub(super) fn save(&self, state: &mut StateWriter) {
        state.put(&((self.share, self.last_share), (self.last_error, self.rows)));
        state.put(&(self.lag, (self.values.0, (self.values.1, self.values.2))));
        state.put(&self.times.iter().copied().collect::<Vec<_>>());
    }

    /// What [`Accuracy::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub(super) fn load(state: &mut StateReader<'_>) -> Result<Accuracy, LoadError> {
        let ((share, last_share), (last_error, rows)) = state.get()?;
        let (lag, (count, (mean, squares))) = state.get()?;
        let times = state.get::<Vec<i64>>()?.into();
        let values = (count, mean, squares);
        Ok(Accuracy { share, last_share, last_error, rows, lag, values, times })
    }
}

fn rounded(value: f64) -> i64 {
    (value + 0.5).floor() as i64
}

/// Which part of a window's rows must be there so that their mean is right enough: the smaller root
/// of two quadratic bounds, one for means that are too small and one for those too great.
fn wanted_coverage((count, mean, squares): (u64, f64, f64), adapting: &Adapting) -> Option<f64> {
    let (variance, error) = (squares / count as f64, adapting.error);
    let spread = (mean * mean + variance * variance) / (count as f64 * mean * mean);
    let spread = adapting.deviations * adapting.deviations * spread;
    if !spread.is_finite() {
        return None;
    }
    let root = |linear: f64, constant: f64| {
        let square = 1.0 + spread;
        let within = linear * linear - 4.0 * square * constant;
        (within >= 0.0).then(|| (-linear - within.sqrt()) / (2.0 * square))
    };
    let small = root(2.0 * error - 2.0 - spread, (1.0 - error) * (1.0 - error));
    let great = root(-(2.0 + 2.0 * error + spread), (1.0 + error) * (1.0 + error));
    let least = [small, great].into_iter().flatten().reduce(f64::min);
    Some(least.unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
    }

    #[test]
    fn confidence_is_so_many_deviations() {
        near(deviations(0.95), 1.959_963_984_540_054);
        near(deviations(0.5), 0.674_489_750_196_082);
    }

    #[test]
    fn what_is_wanted_solves_the_bound_of_means_too_small() {
        let adapting = Adapting::new(0, 20, 0.03, 0.95);
        assert_eq!(wanted_coverage((100, 0.0, 1.0), &adapting), None);
        // By hand: a spread of z squared / 100, as (1 - e)^2 - (2 - 2 e + s) x + (1 + s) x^2 = 0.
        let (s, e) = (1.959_963_984_540_054f64.powi(2) / 100.0, 0.03f64);
        let x = wanted_coverage((100, 10.0, 0.0), &adapting).expect("a mean");
        near((1.0 - e) * (1.0 - e) - (2.0 - 2.0 * e + s) * x + (1.0 + s) * x * x, 0.0);
    }

    #[test]
    fn what_came_too_late_is_not_covered() {
        let mut accuracy = Accuracy { lag: 5, ..Accuracy::default() };
        accuracy.times = [10, 12, 14, 11, 16, 13, 20].into();
        // The window ends at 15; before 16 came four of the five rows.
        near(accuracy.coverage(20), 0.8);
    }
}
