//! What a supervisor does when a child ends: a pure function of the policy and the history.

use std::time::Duration;

use crate::actors::tree::Exit;

/// How often and how fast a child is raised again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The wait before the first restart; it doubles with every further fall.
    pub backoff_first: Duration,
    /// The longest wait.
    pub backoff_max: Duration,
    /// More falls than this within [`Policy::within`] end the restarts; `None` never does.
    pub falls_max: Option<usize>,
    /// How long a fall is remembered.
    pub within: Duration,
}

impl Policy {
    /// Five falls in a minute are forgiven; waits from 50 ms to 5 s.
    pub const FIRM: Self = Self {
        backoff_first: Duration::from_millis(50),
        backoff_max: Duration::from_secs(5),
        falls_max: Some(5),
        within: Duration::from_secs(60),
    };

    /// Never gives up on what may pass, such as a receiver whose other side is away; waits from
    /// 50 ms to 30 s.
    pub const PATIENT: Self = Self {
        backoff_first: Duration::from_millis(50),
        backoff_max: Duration::from_secs(30),
        falls_max: None,
        within: Duration::from_secs(300),
    };
}

/// What is to be done about a child that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Raise it again after this wait.
    Restart(Duration),
    /// It ended in order; leave it.
    Leave,
    /// Raising it again would not help.
    GiveUp,
}

/// Decides what follows an end.
///
/// `falls` are the moments at which the child fell, on any clock that only goes forward, the
/// present fall last; it is not read when the child ended in order.
#[must_use]
pub fn decide(policy: &Policy, falls: &[Duration], exit: &Exit) -> Decision {
    match exit {
        Exit::Done | Exit::Asked => return Decision::Leave,
        Exit::Failed { transient: false, .. } => return Decision::GiveUp,
        Exit::Failed { transient: true, .. } | Exit::Panicked { .. } => {}
    }
    let recent = recent(policy, falls);
    if policy.falls_max.is_some_and(|most| recent > most) {
        return Decision::GiveUp;
    }
    let doublings = u32::try_from(recent.saturating_sub(1)).unwrap_or(u32::MAX).min(31);
    let wait = policy.backoff_first.saturating_mul(1 << doublings);
    Decision::Restart(wait.min(policy.backoff_max))
}

/// How many of the falls are still remembered at the last one.
#[must_use]
pub fn recent(policy: &Policy, falls: &[Duration]) -> usize {
    let Some(now) = falls.last() else {
        return 0;
    };
    falls.iter().filter(|fall| now.saturating_sub(**fall) <= policy.within).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        backoff_first: Duration::from_millis(50),
        backoff_max: Duration::from_millis(300),
        falls_max: Some(4),
        within: Duration::from_secs(10),
    };

    fn falls(seconds: &[u64]) -> Vec<Duration> {
        seconds.iter().copied().map(Duration::from_secs).collect()
    }

    fn wait(seconds: &[u64]) -> Decision {
        decide(&POLICY, &falls(seconds), &Exit::transient("x"))
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let restart = |ms| Decision::Restart(Duration::from_millis(ms));
        assert_eq!(wait(&[0]), restart(50));
        assert_eq!(wait(&[0, 1]), restart(100));
        assert_eq!(wait(&[0, 1, 2]), restart(200));
        assert_eq!(wait(&[0, 1, 2, 3]), restart(300));
    }

    #[test]
    fn too_many_falls_in_a_short_time_end_it() {
        assert_eq!(wait(&[0, 1, 2, 3, 4]), Decision::GiveUp);
    }

    #[test]
    fn old_falls_are_forgotten() {
        assert_eq!(wait(&[0, 1, 2, 3, 20]), Decision::Restart(Duration::from_millis(50)));
        assert_eq!(recent(&POLICY, &falls(&[0, 9, 10])), 3);
    }

    #[test]
    fn the_patient_never_give_up() {
        let many: Vec<u64> = (0..200).collect();
        let decision = decide(&Policy::PATIENT, &falls(&many), &Exit::transient("x"));
        assert_eq!(decision, Decision::Restart(Duration::from_secs(30)));
    }

    #[test]
    fn an_end_in_order_is_left_and_a_permanent_failure_not_repeated() {
        let panic = Exit::Panicked { note: String::new() };
        assert_eq!(decide(&POLICY, &falls(&[1]), &Exit::Done), Decision::Leave);
        assert_eq!(decide(&POLICY, &falls(&[1]), &Exit::Asked), Decision::Leave);
        assert_eq!(decide(&POLICY, &falls(&[1]), &Exit::permanent("x")), Decision::GiveUp);
        assert!(matches!(decide(&POLICY, &falls(&[1]), &panic), Decision::Restart(_)));
    }
}
