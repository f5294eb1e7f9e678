//! Whether somebody looks. No I/O.
//!
//! A sign of life says that alerts would be raised. It is worth nothing when the looks hang, or when
//! what they see cannot be entered: so without a look of a moment ago there is none.

use bcdr_alert::Now;
use std::time::Duration;

/// So many looks in a row may be missing.
const LOOKS: u32 = 4;
/// And for at least this long: a look may be slow on a machine that has much to do.
const AT_LEAST: Duration = Duration::from_secs(30);

/// When somebody looked last.
#[derive(Debug)]
pub(super) struct Watch {
    patience: Duration,
    /// The last look, or the beginning.
    at: Duration,
    looked: bool,
    said: bool,
}

impl Watch {
    /// Nobody has looked yet; looks come `every` so often.
    pub(super) fn begin(every: Duration, now: Now) -> Self {
        Self {
            patience: (every * LOOKS).max(AT_LEAST),
            at: now.monotonic,
            looked: false,
            said: false,
        }
    }

    /// Somebody looked, and what was seen is in the book.
    pub(super) fn looked(&mut self, now: Now) {
        self.at = now.monotonic;
        self.looked = true;
        self.said = false;
    }

    fn is_over(&self, now: Now) -> bool {
        now.monotonic.saturating_sub(self.at) > self.patience
    }

    /// Whether somebody looked a moment ago.
    pub(super) fn is_kept(&self, now: Now) -> bool {
        self.looked && !self.is_over(now)
    }

    /// For how long nobody looked, once that is too long; said once.
    pub(super) fn is_lost(&mut self, now: Now) -> Option<Duration> {
        if self.said || !self.is_over(now) {
            return None;
        }
        self.said = true;
        Some(now.monotonic.saturating_sub(self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_format::Timestamp;

    fn at(seconds: u64) -> Now {
        Now {
            wall: Timestamp(0),
            monotonic: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn a_watch_is_kept_while_looks_come_and_its_loss_is_said_once() {
        let mut watch = Watch::begin(Duration::from_secs(20), at(100));
        assert!(!watch.is_kept(at(100)), "nobody has looked yet");
        assert_eq!(watch.is_lost(at(180)), None);
        assert_eq!(watch.is_lost(at(181)), Some(Duration::from_secs(81)));
        watch.looked(at(200));
        assert!(watch.is_kept(at(280)) && !watch.is_kept(at(281)));
        assert_eq!(watch.is_lost(at(280)), None);
        assert_eq!(watch.is_lost(at(290)), Some(Duration::from_secs(90)));
        assert_eq!(watch.is_lost(at(300)), None);
        watch.looked(at(300));
        assert!(watch.is_kept(at(301)));
        assert_eq!(watch.is_lost(at(400)), Some(Duration::from_secs(100)));
        let quick = Watch::begin(Duration::from_secs(1), at(0));
        assert_eq!(quick.patience, AT_LEAST);
    }
}
