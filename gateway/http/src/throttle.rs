//! Counts failed attempts per key, such as an address or an account, and says how long it has to wait.
//!
//! Invariant: the table never has more than [`TABLE_LIMIT`] entries, whoever fails from wherever.
//! Pure: no clock, no lock; the caller gives `now`. It does not decide what waiting means.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Keys remembered at most.
const TABLE_LIMIT: usize = 4096;
/// Failures that cost nothing: a client with an old token, or a typing error.
const FREE_FAILURES: u32 = 5;
/// The wait after the first failure that costs something; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A key that failed last this long ago is forgotten.
const MEMORY: Duration = Duration::from_secs(15 * 60);

#[derive(Clone, Copy, Debug)]
struct Entry {
    failures: u32,
    last_failure: Instant,
}

impl Entry {
    fn wait_ends(&self) -> Option<Instant> {
        let doublings = self.failures.checked_sub(FREE_FAILURES + 1)?;
        let wait = FIRST_WAIT
            .saturating_mul(1 << doublings.min(16))
            .min(LONGEST_WAIT);
        self.last_failure.checked_add(wait)
    }
}

/// The network that an address counts with: itself for IPv4, its /64 for IPv6, the smallest block one
/// customer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressBlock(IpAddr);

impl From<IpAddr> for AddressBlock {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(v4) => IpAddr::V4(v4),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        })
    }
}

/// The table of failures.
#[derive(Debug)]
pub struct FailureThrottle<Key> {
    entries: HashMap<Key, Entry>,
}

impl<Key> Default for FailureThrottle<Key> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
        }
    }
}

impl<Key: Clone + Eq + Hash> FailureThrottle<Key> {
    /// How long `key` still has to wait; `None` when it need not.
    pub fn wait(&self, key: &Key, now: Instant) -> Option<Duration> {
        let ends = self.entries.get(key)?.wait_ends()?;
        ends.checked_duration_since(now)
            .filter(|wait| !wait.is_zero())
    }

    /// Counts a failure. Failures during a wait do not make it longer, or a client that merely
    /// repeats itself would never get out.
    pub fn failed(&mut self, key: &Key, now: Instant) {
        if self.wait(key, now).is_some() {
            return;
        }
        if !self.entries.contains_key(key) && self.entries.len() >= TABLE_LIMIT {
            self.make_room(now);
        }
        let entry = self.entries.entry(key.clone()).or_insert(Entry {
            failures: 0,
            last_failure: now,
        });
        if now.saturating_duration_since(entry.last_failure) >= MEMORY {
            entry.failures = 0;
        }
        entry.failures = entry.failures.saturating_add(1);
        entry.last_failure = now;
    }

    /// Takes back one failure that was counted before its outcome was known, and turned out to be none.
    pub fn forgive(&mut self, key: &Key) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.failures = entry.failures.saturating_sub(1);
        }
    }

    /// Forgets the failures of a key that has proven itself.
    pub fn succeeded(&mut self, key: &Key) {
        self.entries.remove(key);
    }

    /// Drops what is old, and if nothing is, whoever has been quiet longest.
    fn make_room(&mut self, now: Instant) {
        self.entries
            .retain(|_, entry| now.saturating_duration_since(entry.last_failure) < MEMORY);
        if self.entries.len() < TABLE_LIMIT {
            return;
        }
        let quietest = self
            .entries
            .iter()
            .min_by_key(|(_, entry)| entry.last_failure);
        if let Some(key) = quietest.map(|(key, _)| key.clone()) {
            self.entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(number: u32) -> AddressBlock {
        IpAddr::V4(Ipv4Addr::from_bits(number)).into()
    }

    #[test]
    fn waits_begin_after_the_free_failures_double_and_have_an_end() {
        let mut throttle = FailureThrottle::default();
        let mut now = Instant::now();
        for _ in 0..FREE_FAILURES {
            throttle.failed(&address(1), now);
            assert_eq!(throttle.wait(&address(1), now), None);
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            throttle.failed(&address(1), now);
            let wait = throttle.wait(&address(1), now).unwrap();
            assert_eq!(wait, Duration::from_secs(seconds));
            assert_eq!(throttle.wait(&address(2), now), None);
            now += wait;
            assert_eq!(throttle.wait(&address(1), now), None);
        }
    }

    #[test]
    fn repeating_during_a_wait_does_not_prolong_it() {
        let mut throttle = FailureThrottle::default();
        let start = Instant::now();
        for _ in 0..100 {
            throttle.failed(&address(1), start);
        }
        assert_eq!(throttle.wait(&address(1), start), Some(FIRST_WAIT));
    }

    #[test]
    fn success_and_time_make_forget() {
        let mut throttle = FailureThrottle::default();
        let start = Instant::now();
        for _ in 0..=FREE_FAILURES {
            throttle.failed(&address(1), start);
            throttle.failed(&address(2), start);
        }
        throttle.succeeded(&address(1));
        assert_eq!(throttle.wait(&address(1), start), None);
        throttle.failed(&address(2), start + MEMORY);
        assert_eq!(throttle.wait(&address(2), start + MEMORY), None);
    }

    #[test]
    fn the_table_is_bounded_and_keeps_the_latest() {
        let mut throttle = FailureThrottle::default();
        let start = Instant::now();
        let count = u32::try_from(TABLE_LIMIT).unwrap() + 10;
        for number in 0..count {
            throttle.failed(
                &address(number),
                start + Duration::from_millis(u64::from(number)),
            );
        }
        assert_eq!(throttle.entries.len(), TABLE_LIMIT);
        assert!(!throttle.entries.contains_key(&address(0)));
        assert!(throttle.entries.contains_key(&address(count - 1)));
    }

    #[test]
    fn a_forgiven_failure_counts_for_nothing() {
        let mut throttle = FailureThrottle::default();
        let now = Instant::now();
        for _ in 0..100 {
            throttle.failed(&"ops", now);
            throttle.forgive(&"ops");
        }
        assert_eq!(throttle.wait(&"ops", now), None);
        for _ in 0..=FREE_FAILURES {
            throttle.failed(&"ops", now);
        }
        assert_eq!(throttle.wait(&"ops", now), Some(FIRST_WAIT));
    }

    #[test]
    fn one_ipv6_network_counts_as_one_and_a_mapped_address_as_its_ipv4() {
        let block = |text: &str| AddressBlock::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(block("2001:db8:1:2::1"), block("2001:db8:1:2:9::7"));
        assert_ne!(block("2001:db8:1:2::1"), block("2001:db8:1:3::1"));
        assert_eq!(block("::ffff:10.0.0.1"), address(0x0a00_0001));
    }
}
