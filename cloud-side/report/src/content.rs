//! What a report says. Plain data; every duration is in whole milliseconds, every size in bytes.
//!
//! Invariant: what was not measured is absent, never zero. Numbers are whole, so that a report has
//! one canonical form.

use crate::{Digest, Panel};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What happened, and what came out of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// What the report is about.
    pub subject: Subject,
    /// The protection group.
    pub group: Group,
    /// The point that was used.
    pub point: Point,
    /// How it ended.
    pub result: Outcome,
    /// Why, unless it passed.
    pub reason: Option<String>,
    /// When production was interrupted, as an operator entered it; absent when nobody did.
    pub interruption: Option<Interruption>,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// What happened, in order.
    pub timeline: Vec<Event>,
    /// The phases, in order.
    pub phases: Vec<Phase>,
    /// How long the recovery took.
    pub recovery_time: RecoveryTime,
    /// How much would have been lost.
    pub recovery_point: RecoveryPoint,
    /// The rungs of the verification ladder, lowest first; "not run" is a result.
    pub rungs: Vec<Rung>,
    /// The canary that was read, if one was.
    pub canary: Option<Canary>,
    /// What was checked besides.
    pub checks: Vec<Check>,
    /// The group's generations, oldest first; empty where none changed.
    pub generations: Vec<GenerationChange>,
    /// What was sent against what had changed; for a failback or a restore.
    pub moved: Option<Moved>,
    /// Digests of the disks' contents at the point.
    pub images: Vec<Image>,
    /// The files that were kept.
    pub evidence: Vec<Evidence>,
    /// Which of them is the picture of the screen.
    pub screenshot: Option<String>,
    /// The end of what the machine wrote on its console.
    pub serial: Option<Serial>,
    /// The indicators against the national standard's levels.
    pub panel: Option<Panel>,
}

/// What a report is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// The kind of work.
    pub kind: SubjectKind,
    /// Its id.
    pub id: String,
    /// Where its machine ran, if there was one.
    pub target: Option<String>,
}

/// The kinds of work that have reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// A point was booted in isolation.
    Drill,
    /// Production moved to the target.
    Failover,
    /// Production came home.
    Failback,
    /// A volume was put back to a point.
    Restore,
}

impl SubjectKind {
    /// The name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Drill => "drill",
            Self::Failover => "failover",
            Self::Failback => "failback",
            Self::Restore => "restore",
        }
    }
}

/// A protection group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its id.
    pub id: String,
    /// Its name at the time.
    pub name: String,
}

/// A recovery point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Its id.
    pub id: String,
    /// Its label, if it has one.
    pub label: Option<String>,
    /// When its last record was captured.
    pub time: Option<Timestamp>,
    /// Up to when the source is known not to have written anything more.
    pub covers_until: Option<Timestamp>,
    /// The MAC of the batch it ends with, in hexadecimal: it is chained to all batches before it.
    pub batch_mac: Option<String>,
}

/// How the work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what it is for, and everything awaited was seen.
    Passed,
    /// It did not.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// It was undone.
    RolledBack,
    /// Something may be left of it.
    CleanupFailed,
}

impl Outcome {
    /// The name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::RolledBack => "rolled_back",
            Self::CleanupFailed => "cleanup_failed",
        }
    }
}

/// When production was interrupted, as an operator entered it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interruption {
    /// When.
    pub at: Timestamp,
    /// Who said so.
    pub by: String,
    /// What was said about it.
    pub note: Option<String>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What: a word that both languages know (`requested`, `rung:login`), or a sentence.
    pub what: String,
    /// More about it.
    pub detail: Option<String>,
}

/// A phase that was entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// How it ended: `done`, `failed` or `stopped`.
    pub outcome: String,
    /// When it began, counted from the request.
    pub began_ms: u64,
    /// How long it took.
    pub duration_ms: u64,
    /// What came out, if there is something to say.
    pub detail: Option<String>,
}

/// How long the recovery took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryTime {
    /// The rung that it is counted to.
    pub until: String,
    /// From the interruption; absent when none was entered or the rung was not reached.
    pub from_interruption_ms: Option<u64>,
    /// From the request; absent when the rung was not reached.
    pub from_request_ms: Option<u64>,
}

impl RecoveryTime {
    /// The times until `reached` (none: it was not reached), which is called `until`.
    pub fn until(
        until: &str,
        interruption: Option<&Interruption>,
        requested_at: Timestamp,
        reached: Option<Timestamp>,
    ) -> Self {
        Self {
            until: until.to_owned(),
            from_interruption_ms: interruption
                .and_then(|interruption| milliseconds(interruption.at, reached?)),
            from_request_ms: reached.and_then(|reached| milliseconds(requested_at, reached)),
        }
    }

    /// The time that counts: from the interruption where one was entered.
    pub fn total_ms(&self) -> Option<u64> {
        self.from_interruption_ms.or(self.from_request_ms)
    }
}

/// How much would have been lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryPoint {
    /// From what this point covers to the interruption, or to the request when none was entered.
    pub this_point_ms: Option<u64>,
    /// The measured age of the newest point over a time; absent when nothing was measured.
    pub period: Option<RpoPeriod>,
}

impl RecoveryPoint {
    /// Counts to the interruption, or to the request when there is none. What the clocks make
    /// negative is zero.
    pub fn of(
        point: &Point,
        interruption: Option<&Interruption>,
        requested_at: Timestamp,
        period: Option<RpoPeriod>,
    ) -> Self {
        let until = interruption.map_or(requested_at, |interruption| interruption.at);
        let covered = point.covers_until.or(point.time);
        Self {
            this_point_ms: covered.map(|from| milliseconds(from, until).unwrap_or(0)),
            period,
        }
    }
}

/// The measured age of the newest point over a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RpoPeriod {
    /// When the measuring began, or the time that was asked for if that is later.
    pub from: Timestamp,
    /// When it ended.
    pub to: Timestamp,
    /// The greatest age, those while nobody measured included.
    pub worst_ms: u64,
    /// An age that was not exceeded in 95 of 100 parts of the time; rounded up.
    pub p95_ms: u64,
    /// The parts of the time in which nobody measured; the age is taken to have grown all along.
    pub blind_ms: u64,
}

/// What came out of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was observed.
    Passed,
    /// It was looked for and is not so.
    Failed,
    /// It was looked for and could not be found out.
    Unknown,
    /// It was not looked for.
    NotRun,
}

/// A rung of the verification ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// Its name.
    pub name: String,
    /// What came out.
    pub verdict: Verdict,
    /// When it was decided, counted from the request.
    pub at_ms: Option<u64>,
    /// Why it failed or did not run.
    pub reason: Option<String>,
    /// What decided.
    pub observed: Option<String>,
}

/// A stamped line that the source wrote and the recovered machine showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// When it was written, on the source's clock.
    pub time: Timestamp,
    /// Its number.
    pub sequence: u64,
    /// The line.
    pub line: String,
    /// How much older than the point it is; negative when it bears the later time.
    pub behind_point_ms: Option<i64>,
}

/// Something that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What: a word that both languages know, or a sentence.
    pub name: String,
    /// What came out.
    pub verdict: Verdict,
    /// More about it.
    pub detail: Option<String>,
}

/// A change of the group's fencing number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerationChange {
    /// The generation.
    pub generation: u64,
    /// Since when.
    pub at: Timestamp,
    /// Whose writes count under it.
    pub authority: String,
    /// What made it.
    pub cause: String,
}

/// What was sent against what had changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// Bytes that were sent.
    pub sent_bytes: u64,
    /// Bytes of blocks that differed.
    pub changed_bytes: u64,
}

/// The digest of a disk's contents at the point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// The volume, or `all` where one digest covers all in the group's order.
    pub volume: String,
    /// How it was computed and what it is, in hexadecimal.
    pub digest: String,
}

/// A file that was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Its name in the evidence directory.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its digest.
    pub blake3: Digest,
}

/// The end of a console log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serial {
    /// The file that holds all of it.
    pub file: String,
    /// Its last lines, cut to a readable length.
    pub lines: Vec<String>,
}

impl Serial {
    /// Most lines of an excerpt.
    pub const LINES_MAX: usize = 40;
    /// Most characters of a line of an excerpt.
    pub const CHARACTERS_MAX: usize = 160;

    /// The last lines of a log, without what steers a terminal.
    pub fn excerpt(file: &str, log: &[u8]) -> Self {
        let text = String::from_utf8_lossy(log);
        let readable = |line: &str| -> String {
            let shown = line.chars().filter(|character| !character.is_control());
            shown.take(Self::CHARACTERS_MAX).collect()
        };
        let lines: Vec<String> = text.lines().map(readable).collect();
        let lines: Vec<String> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        let skipped = lines.len().saturating_sub(Self::LINES_MAX);
        Self {
            file: file.to_owned(),
            lines: lines.into_iter().skip(skipped).collect(),
        }
    }
}

/// Whole milliseconds from one instant to a later one; none when it is not later.
pub(crate) fn milliseconds(from: Timestamp, to: Timestamp) -> Option<u64> {
    u64::try_from(to.as_millisecond().checked_sub(from.as_millisecond())?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn times_count_from_the_interruption_and_what_was_not_reached_is_unknown() {
        let interruption = Interruption {
            at: at("2026-11-03T09:59:00Z"),
            by: "operator".to_owned(),
            note: None,
        };
        let requested = at("2026-11-03T10:00:00Z");
        let reached = Some(at("2026-11-03T10:01:30.5Z"));
        let times = RecoveryTime::until("login", Some(&interruption), requested, reached);
        assert_eq!(times.from_request_ms, Some(90_500));
        assert_eq!(times.total_ms(), Some(150_500));
        let alone = RecoveryTime::until("login", None, requested, reached);
        assert_eq!(
            (alone.from_interruption_ms, alone.total_ms()),
            (None, Some(90_500))
        );
        let missed = RecoveryTime::until("login", Some(&interruption), requested, None);
        assert_eq!(missed.total_ms(), None);
    }

    #[test]
    fn a_points_loss_counts_from_what_it_covers() {
        let mut point = Point {
            id: "1-9".to_owned(),
            label: None,
            time: Some(at("2026-11-03T09:59:50Z")),
            covers_until: Some(at("2026-11-03T09:59:58Z")),
            batch_mac: None,
        };
        let requested = at("2026-11-03T10:00:00Z");
        let loss = |point: &Point| RecoveryPoint::of(point, None, requested, None).this_point_ms;
        assert_eq!(loss(&point), Some(2000));
        point.covers_until = Some(at("2026-11-03T10:00:01Z"));
        assert_eq!(loss(&point), Some(0));
        point.covers_until = None;
        point.time = None;
        assert_eq!(loss(&point), None);
    }

    #[test]
    fn an_excerpt_is_the_end_of_the_log_in_readable_lines() {
        let mut log = b"\x1b[2Jfirst\r\n\r\n".to_vec();
        for number in 0..60 {
            log.extend(format!("line {number}").bytes());
            log.extend(b"\xff\n");
        }
        let serial = Serial::excerpt("console.log", &log);
        assert_eq!(serial.lines.len(), Serial::LINES_MAX);
        assert!(serial.lines.last().unwrap().starts_with("line 59"));
        let first = Serial::excerpt("console.log", &log[..13]);
        assert_eq!(first.lines, ["[2Jfirst"]);
    }
}
