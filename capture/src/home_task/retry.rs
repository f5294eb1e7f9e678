//! How long to wait before the next attempt.

use std::{
    thread,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

/// The longest pause, in first pauses.
const LONGEST: u32 = 100;
/// How often a waiting task looks whether it is cancelled.
const LOOK: Duration = Duration::from_millis(20);

/// Pauses that grow until something got on.
pub(super) struct Backoff {
    first: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) const fn new(first: Duration) -> Self {
        Self { first, next: first }
    }

    pub(super) const fn reset(&mut self) {
        self.next = self.first;
    }

    /// Waits; `false` if the task was cancelled meanwhile.
    pub(super) fn wait(&mut self, cancel: &CancellationToken) -> bool {
        let until = Instant::now() + self.next;
        self.next = (self.next * 2).min(self.first * LONGEST);
        while !cancel.is_cancelled() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(LOOK));
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew_after_progress() {
        let mut backoff = Backoff::new(Duration::from_nanos(1));
        let cancel = CancellationToken::new();
        for _ in 0..20 {
            assert!(backoff.wait(&cancel));
        }
        assert_eq!(backoff.next, Duration::from_nanos(100));
        backoff.reset();
        assert_eq!(backoff.next, Duration::from_nanos(1));
        cancel.cancel();
        assert!(!Backoff::new(Duration::from_secs(3600)).wait(&cancel));
    }
}
