//! The tap's limits and budgets, in one place.

use bcdr_format::RECORD_LENGTH_MAX;
use std::time::Duration;

/// Limits and budgets of a tap. The defaults suit production; simulations make them small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TapSettings {
    /// The longest range one record covers, in bytes; longer requests are split. A multiple of the
    /// sector size, at most [`RECORD_LENGTH_MAX`].
    pub record_bytes_max: u32,
    /// How many sequences may be given beyond the fed prefix: the number of intent slots.
    pub window_records: u64,
    /// Bytes of records that are sequenced but not fed; above it writes wait.
    pub window_bytes: usize,
    /// Bytes of records queued to the journal and not written; above it writes wait.
    pub journal_queue_bytes: usize,
    /// How long writes may wait for the journal before it is left behind.
    pub latency_budget: Duration,
    /// How long writes may wait because another write on a backing hangs and no more may be in
    /// flight beyond it; after that the journal is left behind. Longer than `latency_budget`: a
    /// disk that stops for a moment must not cost a full compare.
    pub backing_budget: Duration,
    /// How long a flush may wait for the journal before it is left behind.
    pub flush_budget: Duration,
    /// How often the journal is synced when nobody flushes.
    pub journal_sync_interval: Duration,
    /// The first delay before journaling is tried again after it was left behind; doubles each
    /// time it fails anew, up to [`Self::resume_delay_max`].
    pub resume_delay: Duration,
    /// The longest such delay.
    pub resume_delay_max: Duration,
    /// Bytes a scan reads at once; a multiple of the sector size, at most `record_bytes_max`.
    pub scan_chunk_bytes: u32,
    /// Scan reads in flight at once.
    pub scan_reads: usize,
    /// The scan pauses while the feed is this many bytes behind.
    pub scan_backlog_bytes: u64,
    /// The first delay before a range that a scan could not read is tried again; doubles each time
    /// up to a minute.
    pub scan_retry: Duration,
    /// Bytes written at once where a backing cannot zero a range by itself.
    pub zero_fill_bytes: u32,
}

impl Default for TapSettings {
    fn default() -> Self {
        Self {
            record_bytes_max: RECORD_LENGTH_MAX,
            window_records: 65_536,
            window_bytes: 256 << 20,
            journal_queue_bytes: 64 << 20,
            latency_budget: Duration::from_secs(1),
            backing_budget: Duration::from_secs(10),
            flush_budget: Duration::from_secs(10),
            journal_sync_interval: Duration::from_millis(200),
            resume_delay: Duration::from_secs(1),
            resume_delay_max: Duration::from_secs(60),
            scan_chunk_bytes: 1 << 20,
            scan_reads: 2,
            scan_backlog_bytes: 256 << 20,
            scan_retry: Duration::from_secs(1),
            zero_fill_bytes: 1 << 20,
        }
    }
}
