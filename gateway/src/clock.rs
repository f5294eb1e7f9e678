//! The wall clock, read in one place.

use bcdr_format::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Now. A clock before the Unix epoch reads as the epoch.
pub fn wall() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
