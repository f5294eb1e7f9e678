//! How long a session lasts. Pure.

use bcdr_format::Timestamp;

/// A session that is not used for this long has ended, in microseconds: 30 minutes.
pub(super) const IDLE_MICROSECONDS: i64 = 30 * 60 * 1_000_000;
/// A session ends this long after the sign-in at the latest, in microseconds: 12 hours.
pub(super) const ABSOLUTE_MICROSECONDS: i64 = 12 * 60 * 60 * 1_000_000;

/// When a session ends that was begun then.
pub(super) fn ends_at(created: Timestamp) -> Timestamp {
    Timestamp(created.0.saturating_add(ABSOLUTE_MICROSECONDS))
}

/// When it ends if it is not used again.
pub(super) fn idle_until(created: Timestamp, used: Timestamp) -> Timestamp {
    let idle = used.0.saturating_add(IDLE_MICROSECONDS);
    Timestamp(idle.min(ends_at(created).0))
}

/// Whether it has ended. A clock that was set back does not prolong it beyond what it was: a session
/// from the future has ended.
pub(super) fn has_ended(created: Timestamp, used: Timestamp, now: Timestamp) -> bool {
    now >= idle_until(created, used) || now < created
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_when_it_is_not_used_and_after_half_a_day_all_the_same() {
        let at = |minutes: i64| Timestamp(1_000_000_000 + minutes * 60 * 1_000_000);
        let begun = at(0);
        assert!(!has_ended(begun, at(0), Timestamp(at(30).0 - 1)));
        assert!(has_ended(begun, at(0), at(30)));
        assert!(!has_ended(begun, at(29), at(58)));
        assert!(!has_ended(begun, at(719), Timestamp(at(720).0 - 1)));
        assert!(has_ended(begun, at(719), at(720)));
        assert!(has_ended(begun, begun, at(-1)));
        assert_eq!(idle_until(begun, at(700)), at(720));
    }
}
