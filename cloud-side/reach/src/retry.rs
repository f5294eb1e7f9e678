//! When to try again: a pure function of what was tried and how long it took.

use std::time::Duration;

/// How often something is tried, and how long in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Longest time of one try. It is cut where the deadline is nearer.
    pub per_try: Duration,
    /// Pause after the first try that failed.
    pub pause: Duration,
    /// The pause doubles with each try up to this; equal to `pause` for a steady rhythm.
    pub longest_pause: Duration,
    /// Time from the start of the first try to the end of the last.
    pub deadline: Duration,
    /// Most tries; `None` for as many as fit in front of the deadline.
    pub tries: Option<u32>,
}

impl Retry {
    /// Tries at a steady rhythm until the deadline, as for something that is about to come up.
    #[must_use]
    pub fn steady(per_try: Duration, pause: Duration, deadline: Duration) -> Self {
        Self {
            per_try,
            pause,
            longest_pause: pause,
            deadline,
            tries: None,
        }
    }

    /// A single try.
    #[must_use]
    pub fn once(per_try: Duration) -> Self {
        Self {
            tries: Some(1),
            ..Self::steady(per_try, Duration::ZERO, per_try)
        }
    }

    /// How long the try that begins after `elapsed` may take.
    pub(crate) fn time_of_try(&self, elapsed: Duration) -> Duration {
        self.per_try.min(self.deadline.saturating_sub(elapsed))
    }

    /// How long to wait after `tried` tries have failed and `elapsed` has passed; `None` when it is over.
    ///
    /// `spread` shortens the pause by up to a quarter, so that many that failed at once do not come
    /// back at once: 0 not at all, 255 the most.
    pub(crate) fn pause_after(
        &self,
        tried: u32,
        elapsed: Duration,
        spread: u8,
    ) -> Option<Duration> {
        if self.tries.is_some_and(|most| tried >= most) {
            return None;
        }
        let doublings = tried.saturating_sub(1).min(30);
        let full = self
            .pause
            .saturating_mul(1 << doublings)
            .min(self.longest_pause.max(self.pause));
        let pause = full - full / 4 * u32::from(spread) / 255;
        (elapsed.saturating_add(pause) < self.deadline).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_the_longest() {
        let retry = Retry {
            per_try: SECOND,
            pause: SECOND,
            longest_pause: SECOND * 5,
            deadline: SECOND * 1000,
            tries: Some(6),
        };
        let pauses: Vec<_> = (1..=6)
            .map(|tried| retry.pause_after(tried, SECOND, 0).map(|p| p.as_secs()))
            .collect();
        assert_eq!(
            pauses,
            [Some(1), Some(2), Some(4), Some(5), Some(5), None],
            "the sixth try was the last"
        );
    }

    #[test]
    fn a_steady_rhythm_ends_at_the_deadline() {
        let retry = Retry::steady(SECOND * 5, SECOND, SECOND * 10);
        assert_eq!(retry.pause_after(1, SECOND * 8, 0), Some(SECOND));
        assert_eq!(retry.pause_after(2, SECOND * 9, 0), None);
        assert_eq!(
            retry.time_of_try(SECOND * 8),
            SECOND * 2,
            "cut at the deadline"
        );
        assert_eq!(Retry::once(SECOND).pause_after(1, Duration::ZERO, 0), None);
    }

    fn retries() -> impl Strategy<Value = Retry> {
        let time = || (0u64..200_000).prop_map(Duration::from_millis);
        (time(), time(), time(), time(), prop::option::of(1u32..50)).prop_map(
            |(per_try, pause, longest_pause, deadline, tries)| Retry {
                per_try,
                pause,
                longest_pause,
                deadline,
                tries,
            },
        )
    }

    proptest! {
        #[test]
        fn no_pause_and_no_try_reaches_behind_the_deadline(
            retry in retries(),
            tried in 1u32..1_000_000,
            elapsed in 0u64..400_000,
            spread in any::<u8>(),
        ) {
            let elapsed = Duration::from_millis(elapsed);
            if let Some(pause) = retry.pause_after(tried, elapsed, spread) {
                prop_assert!(elapsed + pause < retry.deadline);
                prop_assert!(pause <= retry.longest_pause.max(retry.pause));
                let begins = elapsed + pause;
                prop_assert!(begins + retry.time_of_try(begins) <= retry.deadline);
            }
        }

        #[test]
        fn spread_takes_at_most_a_quarter(retry in retries(), tried in 1u32..100, spread in any::<u8>()) {
            let retry = Retry { deadline: Duration::MAX, tries: None, ..retry };
            let full = retry.pause_after(tried, Duration::ZERO, 0).unwrap();
            let spread = retry.pause_after(tried, Duration::ZERO, spread).unwrap();
            prop_assert!(spread <= full && spread >= full - full / 4);
        }
    }
}
