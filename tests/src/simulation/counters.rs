//! What happened, so that a test can prove it was not vacuous.

use std::{collections::BTreeMap, fmt};

/// Everything that must have happened at least once over a set of seeds.
pub(crate) const SOMETIMES: &[&str] = &[
    "capture killed",
    "capture killed with an unsettled tail",
    "capture power cut",
    "capture reverted to a snapshot",
    "capture stopped in order",
    "disk changed while the capture was stopped",
    "start: continued without a doubt",
    "start: ranges read again",
    "start: everything compared",
    "sync interval entered",
    "journal: tail lost with the power",
    "journal: full",
    "journal: device failed",
    "journal: segment used again",
    "journal: read for a peer that lags",
    "untracked",
    "write failed",
    "failed write amended",
    "void",
    "flush failed",
    "flush promised",
    "flush promise checked against a journal",
    "life opened above the peer's",
    "gateway killed",
    "gateway power cut",
    "spool used",
    "spool: torn tail passed over",
    "spool: batch read back",
    "spool lost",
    "queue given up",
    "cloud killed",
    "cloud power cut",
    "log: torn tail cut off",
    "log: batches replayed",
    "log: failed sync survived",
    "fork found",
    "fork found late",
    "fork healed",
    "duplicate batch",
    "gap refused",
    "older generation refused",
    "run merged",
    "run rebuilt",
    "point published",
    "heartbeat batch",
    "marker point published",
    "marker arrived inside an interval",
    "point with unknown ranges",
    "clock step",
    "clock jump of ten years",
    "session broken",
    "link cut",
    "read checked",
    "image checked",
];

/// Counts by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    counts: BTreeMap<&'static str, u64>,
}

impl Counters {
    /// One more.
    pub(crate) fn note(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    /// So many more.
    pub(crate) fn add(&mut self, what: &'static str, count: u64) {
        debug_assert!(
            SOMETIMES.contains(&what) || EXTRA.contains(&what),
            "{what} has no name"
        );
        *self.counts.entry(what).or_default() += count;
    }

    /// How often.
    #[must_use]
    pub fn of(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or_default()
    }

    /// Adds what another run counted.
    pub fn merge(&mut self, other: &Self) {
        for (what, count) in &other.counts {
            *self.counts.entry(what).or_default() += count;
        }
    }

    /// What never happened.
    #[must_use]
    pub fn never(&self) -> Vec<&'static str> {
        SOMETIMES
            .iter()
            .copied()
            .filter(|what| self.of(what) == 0)
            .collect()
    }
}

/// Counted for the table only.
const EXTRA: &[&str] = &["writes", "faults", "batches", "virtual milliseconds"];

impl fmt::Display for Counters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for what in EXTRA.iter().chain(SOMETIMES) {
            writeln!(formatter, "{:>12}  {what}", self.of(what))?;
        }
        Ok(())
    }
}
