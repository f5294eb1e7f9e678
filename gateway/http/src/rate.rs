//! Counts requests per key, such as a principal or an address, and says when one comes too soon.
//!
//! A bucket per key: it holds a burst of requests, and fills at a steady rate. Invariant: the table
//! never has more than [`TABLE_LIMIT`] entries, whoever asks from wherever; a full bucket is the same as
//! none, so forgetting one never takes anything from anybody. [`RateLimit`] is pure: the caller gives `now`.
//! [`AddressLimit`] is a layer around what is asked for before anybody is known; principals are counted
//! where they are found.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;
use crate::serve::Peer;
use crate::throttle::AddressBlock;

/// Keys remembered at most.
const TABLE_LIMIT: usize = 4096;

/// How many requests somebody may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In a second, in the long run; 0 for no limit.
    pub per_second: u32,
    /// At once, after a while without any.
    pub burst: u32,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Requests that it holds.
    level: f64,
    at: Instant,
}

/// The table of buckets.
#[derive(Debug)]
pub struct RateLimit<Key> {
    rate: Rate,
    buckets: HashMap<Key, Bucket>,
}

impl<Key: Clone + Eq + Hash> RateLimit<Key> {
    /// An empty table.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            buckets: HashMap::new(),
        }
    }

    /// Takes one request of `key`.
    ///
    /// # Errors
    /// When there is none left: how long it is until there is.
    pub fn take(&mut self, key: &Key, now: Instant) -> Result<(), Duration> {
        if self.rate.per_second == 0 {
            return Ok(());
        }
        if !self.buckets.contains_key(key) && self.buckets.len() >= TABLE_LIMIT {
            self.make_room(now);
        }
        let (rate, burst) = (self.speed(), self.burst());
        let bucket = self.buckets.entry(key.clone()).or_insert(Bucket {
            level: burst,
            at: now,
        });
        bucket.level = level(bucket, rate, burst, now);
        bucket.at = bucket.at.max(now);
        if bucket.level >= 1.0 {
            bucket.level -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.level) / rate))
    }

    fn speed(&self) -> f64 {
        f64::from(self.rate.per_second)
    }

    fn burst(&self) -> f64 {
        f64::from(self.rate.burst.max(1))
    }

    /// Drops buckets that are full by now, and if none is, the fullest.
    fn make_room(&mut self, now: Instant) {
        let (rate, burst) = (self.speed(), self.burst());
        self.buckets
            .retain(|_, bucket| level(bucket, rate, burst, now) < burst);
        if self.buckets.len() < TABLE_LIMIT {
            return;
        }
        let fullest = self.buckets.iter().max_by(|(_, one), (_, other)| {
            let one = level(one, rate, burst, now);
            one.total_cmp(&level(other, rate, burst, now))
        });
        if let Some(key) = fullest.map(|(key, _)| key.clone()) {
            self.buckets.remove(&key);
        }
    }
}

fn level(bucket: &Bucket, rate: f64, burst: f64, now: Instant) -> f64 {
    let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
    (bucket.level + passed * rate).min(burst)
}

/// What is told to somebody who asks too often.
pub(crate) fn too_many(who: &str, wait: Duration) -> Problem {
    Problem::too_many(
        "too_many_requests",
        format!("more requests come from {who} than are taken"),
        wait,
    )
    .remedy("wait as Retry-After says, and ask less often: follow /api/v1/events/stream instead of asking again and again; failovers are never refused for this")
}

/// A limit for each address.
#[derive(Clone, Debug)]
pub struct AddressLimit {
    limit: Arc<Mutex<RateLimit<AddressBlock>>>,
    /// Routes that are never limited.
    never: &'static [&'static str],
}

impl AddressLimit {
    /// A limit; requests for the paths in `never`, as they are given to the router, are not counted.
    pub fn new(rate: Rate, never: &'static [&'static str]) -> Self {
        Self {
            limit: Arc::new(Mutex::new(RateLimit::new(rate))),
            never,
        }
    }

    /// Puts the limit around the routes added to `router` so far. Peers on a Unix socket have no
    /// address and are not limited.
    pub fn around<S: Clone + Send + Sync + 'static>(&self, router: Router<S>) -> Router<S> {
        router.route_layer(middleware::from_fn_with_state(self.clone(), pass))
    }
}

async fn pass(State(limit): State<AddressLimit>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let is_limited = route.is_none_or(|route| !limit.never.contains(&route.as_str()));
    let address = request.extensions().get::<Peer>().and_then(Peer::ip);
    if let Some(address) = address.filter(|_| is_limited) {
        let taken = {
            let mut table = limit.limit.lock().unwrap_or_else(PoisonError::into_inner);
            table.take(&address.into(), Instant::now())
        };
        if let Err(wait) = taken {
            return too_many("this address", wait).into_response();
        }
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 10,
        burst: 3,
    };

    #[test]
    fn a_burst_is_let_through_then_one_at_a_time() {
        let mut limit = RateLimit::new(RATE);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(limit.take(&"a", start), Ok(()));
        }
        let wait = limit.take(&"a", start).unwrap_err();
        assert_eq!(wait.as_millis(), 100);
        // Asking in vain costs nothing, and others have their own.
        assert_eq!(limit.take(&"a", start).unwrap_err(), wait);
        assert_eq!(limit.take(&"b", start), Ok(()));
        let later = start + Duration::from_millis(101);
        assert_eq!(limit.take(&"a", later), Ok(()));
        assert!(limit.take(&"a", later).is_err());
        let long_after = start + Duration::from_secs(3600);
        for _ in 0..3 {
            assert_eq!(limit.take(&"a", long_after), Ok(()));
        }
        assert!(limit.take(&"a", long_after).is_err());
    }

    #[test]
    fn no_rate_is_no_limit() {
        let mut limit = RateLimit::new(Rate {
            per_second: 0,
            burst: 1,
        });
        let now = Instant::now();
        for _ in 0..100 {
            assert_eq!(limit.take(&1, now), Ok(()));
        }
        assert!(limit.buckets.is_empty());
    }

    #[test]
    fn the_table_is_bounded_and_keeps_who_asked_most() {
        let mut limit = RateLimit::new(RATE);
        let now = Instant::now();
        for _ in 0..3 {
            limit.take(&usize::MAX, now).unwrap();
        }
        for key in 0..TABLE_LIMIT + 100 {
            limit.take(&key, now).unwrap();
        }
        assert_eq!(limit.buckets.len(), TABLE_LIMIT);
        assert!(limit.take(&usize::MAX, now).is_err());
        // All are full again before long, and go.
        let later = now + Duration::from_secs(1);
        limit.take(&(usize::MAX - 1), later).unwrap();
        assert_eq!(limit.buckets.len(), 1);
    }
}
