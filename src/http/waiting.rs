//! Requests that wait for a plan: not for ever, and never so many that nobody else is heard.
//!
//! A plan that waits for its store, its disk or its pair answers nobody. A request waits for it a
//! moment for nothing; after that it needs a seat, of which there are fewer than connections.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::timeout;

use crate::http::problem;
use crate::http::problem::Refusal;

/// So long a request waits without a seat.
const MOMENT: Duration = Duration::from_secs(1);

/// The seats of those who wait for plans.
#[derive(Debug)]
pub struct Waiting {
    taken: Mutex<Taken>,
    /// Seats for one plan.
    plan_max: usize,
    /// Seats for all plans.
    max: usize,
    /// So long a request waits without a seat.
    moment: Duration,
}

#[derive(Debug, Default)]
struct Taken {
    plans: BTreeMap<String, usize>,
    all: usize,
}

/// One who waits; its drop frees the seat.
struct Seat<'a> {
    waiting: &'a Waiting,
    plan: &'a str,
}

impl Waiting {
    /// A quarter of the connections may wait for one plan, three eighths for all: with the half
    /// that tails may take some are left for others.
    #[must_use]
    pub fn new(connections_max: usize) -> Self {
        let (plan_max, max) = (connections_max / 4, connections_max * 3 / 8);
        let (plan_max, max) = (plan_max.max(1), max.max(1));
        Self { taken: Mutex::default(), plan_max, max, moment: MOMENT }
    }

    /// Whether a plan may be given what would have to wait for it; nothing was taken if not.
    ///
    /// # Errors
    /// If as many wait for it, or for all plans, as may.
    pub fn check(&self, plan: &str) -> Result<(), Refusal> {
        if self.taken().has_room(self, plan) {
            return Ok(());
        }
        let detail = format!("as many requests wait for `{plan}`, or for all plans, as may");
        Err(Refusal::new(problem::OVERLOADED, detail).closing())
    }

    /// Waits for a plan.
    ///
    /// # Errors
    /// If that takes longer than it may, or longer than a moment while as many wait as may.
    pub async fn wait<T>(
        &self,
        plan: &str,
        time_max: Duration,
        done: impl Future<Output = T>,
    ) -> Result<T, Refusal> {
        let (mut done, moment) = (pin!(done), self.moment.min(time_max));
        if let Ok(done) = timeout(moment, &mut done).await {
            return Ok(done);
        }
        let late = |detail: String| Refusal::new(problem::NOT_IN_TIME, detail).closing();
        let seat = self.sit(plan).ok_or_else(|| {
            late(format!("`{plan}` did not get there within {moment:?}, and as many wait as may"))
        })?;
        let done = timeout(time_max.saturating_sub(moment), done).await;
        drop(seat);
        done.map_err(|_| late(format!("`{plan}` did not get there within {time_max:?}")))
    }

    fn sit<'a>(&'a self, plan: &'a str) -> Option<Seat<'a>> {
        let mut taken = self.taken();
        if !taken.has_room(self, plan) {
            return None;
        }
        taken.all += 1;
        *taken.plans.entry(plan.to_owned()).or_default() += 1;
        Some(Seat { waiting: self, plan })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn has_room(&self, limits: &Waiting, plan: &str) -> bool {
        let of_plan = self.plans.get(plan).copied().unwrap_or(0);
        self.all < limits.max && of_plan < limits.plan_max
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut taken = self.waiting.taken();
        taken.all -= 1;
        if let Some(of_plan) = taken.plans.get_mut(self.plan) {
            *of_plan -= 1;
            if *of_plan == 0 {
                taken.plans.remove(self.plan);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_few_for_one_plan_and_for_all_and_free_again() {
        let waiting = Waiting::new(16);
        let of_a: Vec<_> = (0..4).map(|_| waiting.sit("a").unwrap()).collect();
        assert!(waiting.sit("a").is_none());
        let refused = waiting.check("a").unwrap_err();
        assert_eq!(refused.document().code, "overloaded");
        waiting.check("b").unwrap();
        let of_b: Vec<_> = (0..2).map(|_| waiting.sit("b").unwrap()).collect();
        assert!(waiting.sit("b").is_none() && waiting.sit("c").is_none());
        drop(of_a);
        waiting.check("a").unwrap();
        drop(of_b);
        assert!(waiting.taken().plans.is_empty() && waiting.taken().all == 0);
    }

    #[tokio::test]
    async fn whoever_finds_a_seat_waits_to_the_end_of_its_time_and_others_a_moment() {
        let moment = Duration::from_millis(1);
        let waiting = Waiting { moment, ..Waiting::new(1) };
        let never = || waiting.wait("a", 2 * moment, std::future::pending::<()>());
        let alone = never().await.unwrap_err();
        assert_eq!(alone.to_string(), "not-in-time: `a` did not get there within 2ms");
        let seat = waiting.sit("a").unwrap();
        let beside = never().await.unwrap_err().to_string();
        assert!(beside.ends_with("within 1ms, and as many wait as may"), "{beside}");
        drop(seat);
        assert_eq!(waiting.wait("a", moment, async { 7 }).await.unwrap(), 7);
        waiting.check("a").unwrap();
    }
}
