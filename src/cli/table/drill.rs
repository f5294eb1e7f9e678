//! Drills for people: what ran, what was seen, how long it took, and what proves the clean-up.

use super::{Fields, Grid, NONE, UNKNOWN, line, or_none, or_unknown, point::Point};
use crate::cli::{client::Items, units};
use serde::Deserialize;

/// A drill, as far as people are shown it.
#[derive(Debug, Deserialize)]
pub(crate) struct Drill {
    pub(crate) id: String,
    #[serde(default)]
    group_name: Option<String>,
    point: Point,
    pub(crate) state: String,
    #[serde(default)]
    reason: Option<String>,
    pub(crate) job: String,
    requested_at: String,
    #[serde(default)]
    finished_at: Option<String>,
    #[serde(default)]
    pub(crate) progress: Option<Climb>,
    #[serde(default)]
    pub(crate) report: Option<Report>,
    #[serde(default)]
    evidence: Vec<EvidenceFile>,
    #[serde(default)]
    evidence_directory: Option<String>,
}

/// How far a running drill has come.
#[derive(Debug, Deserialize)]
pub(crate) struct Climb {
    pub(crate) phase: String,
    #[serde(default)]
    pub(crate) rungs: Vec<Rung>,
}

/// What came out of a drill.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    target: Option<String>,
    #[serde(default)]
    phases: Vec<Phase>,
    #[serde(default)]
    pub(crate) rungs: Vec<Rung>,
    #[serde(default)]
    recovery_times: RecoveryTimes,
    #[serde(default)]
    canary: Option<Canary>,
    isolation: Isolation,
    #[serde(default)]
    overlay_bytes: Option<u64>,
    cleanup: Cleanup,
    #[serde(default)]
    replica: Option<Replica>,
}

#[derive(Debug, Deserialize)]
struct Phase {
    phase: String,
    outcome: String,
    began_seconds: f64,
    duration_seconds: f64,
    #[serde(default)]
    detail: String,
}

/// A rung with its result.
#[derive(Debug, Deserialize)]
pub(crate) struct Rung {
    pub(crate) rung: String,
    pub(crate) verdict: String,
    #[serde(default)]
    at_seconds: Option<f64>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    observed: Option<String>,
    #[serde(default)]
    probes: Vec<Probe>,
}

/// A probe of a rung with its result.
#[derive(Debug, Deserialize)]
struct Probe {
    name: String,
    verdict: String,
    #[serde(default)]
    at_seconds: Option<f64>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    observed: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RecoveryTimes {
    instance_running_seconds: Option<f64>,
    firmware_seconds: Option<f64>,
    kernel_seconds: Option<f64>,
    root_mounted_seconds: Option<f64>,
    login_seconds: Option<f64>,
    canary_seconds: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Canary {
    time: String,
    sequence: u64,
    #[serde(default)]
    behind_point_seconds: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Isolation {
    verdict: String,
    #[serde(default)]
    observations: u32,
    #[serde(default)]
    decisive: Option<Sample>,
}

#[derive(Debug, Deserialize)]
struct Sample {
    #[serde(default)]
    reason: String,
}

#[derive(Debug, Deserialize)]
struct Cleanup {
    complete: bool,
    #[serde(default)]
    items: Vec<ProofItem>,
}

#[derive(Debug, Deserialize)]
struct ProofItem {
    what: String,
    proven: bool,
    #[serde(default)]
    detail: String,
}

#[derive(Debug, Deserialize)]
struct Replica {
    unchanged: bool,
}

#[derive(Debug, Deserialize)]
struct EvidenceFile {
    name: String,
    bytes: u64,
    #[serde(default)]
    blake3: Option<String>,
}

impl Drill {
    /// Whether nothing more happens in it.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(
            self.state.as_str(),
            "passed" | "failed" | "cancelled" | "cleanup_failed"
        )
    }

    /// Why it did not pass.
    pub(crate) fn reason(&self) -> Option<&str> {
        let reported = self
            .report
            .as_ref()
            .and_then(|report| report.reason.as_deref());
        self.reason.as_deref().or(reported)
    }

    fn login(&self) -> Option<f64> {
        self.report.as_ref()?.recovery_times.login_seconds
    }
}

impl Rung {
    /// The rung in one line, for progress.
    pub(crate) fn line(&self) -> String {
        let (rung, verdict) = (super::plain(&self.rung), super::plain(&self.verdict));
        let text = format!(
            "{:>10}  {rung:<16}  {verdict:<6}  {}",
            self.at(),
            self.seen()
        );
        text.trim_end().to_owned()
    }

    fn at(&self) -> String {
        at(self.at_seconds)
    }

    fn seen(&self) -> String {
        seen(self.reason.as_ref(), self.observed.as_ref())
    }
}

fn at(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| NONE.to_owned(), units::seconds)
}

fn seen(reason: Option<&String>, observed: Option<&String>) -> String {
    match (reason, observed) {
        (Some(reason), Some(observed)) => line(&format!("{reason}: {observed}")),
        (Some(text), None) | (None, Some(text)) => line(text),
        (None, None) => String::new(),
    }
}

/// `bcdr drill list`
pub(crate) fn list(drills: &Items<Drill>) -> Grid {
    let headers = [
        "ID",
        "GROUP",
        "POINT",
        "STATE",
        "LOGIN AFTER",
        "REQUESTED",
        "REASON",
    ];
    let mut grid = Grid::new(&headers, &[4]).wide(&["FINISHED", "POINT'S TIME", "JOB"]);
    for drill in &drills.items {
        let row = [
            drill.id.clone(),
            or_unknown(drill.group_name.clone()),
            drill.point.id.clone(),
            drill.state.clone(),
            drill
                .login()
                .map_or_else(|| NONE.to_owned(), units::seconds),
            drill.requested_at.clone(),
            drill.reason().map(line).unwrap_or_default(),
        ];
        let behind = [
            or_none(drill.finished_at.as_deref()),
            or_unknown(drill.point.time.clone()),
            drill.job.clone(),
        ];
        grid.row_wide(row, behind);
    }
    grid.and_more(drills.next_cursor.as_ref())
}

/// One drill.
pub(crate) fn show(drill: &Drill) -> String {
    let mut fields = Fields::new();
    fields.field("drill", &drill.id);
    fields.field("group", or_unknown(drill.group_name.clone()));
    fields.field("point", drill.point.line());
    fields.field("state", &drill.state);
    fields.field_if("reason", drill.reason());
    fields.field("job", &drill.job);
    fields.field("requested", &drill.requested_at);
    fields.field("finished", or_none(drill.finished_at.as_deref()));
    let mut text = match (&drill.report, &drill.progress) {
        (Some(report), _) => {
            summary(report, &mut fields);
            let tables = [
                times(report),
                rungs(&report.rungs),
                phases(report),
                cleanup(report),
            ];
            format!(
                "{fields}\n{}",
                tables.map(|table| table.to_string()).join("\n")
            )
        }
        (None, Some(progress)) => {
            fields.field("phase", &progress.phase);
            format!("{fields}\n{}", rungs(&progress.rungs))
        }
        (None, None) => fields.to_string(),
    };
    if !drill.evidence.is_empty() {
        let evidence = evidence(drill);
        text.push_str(&format!("\n{evidence}"));
    }
    text
}

fn summary(report: &Report, fields: &mut Fields) {
    fields.field("target", or_unknown(report.target.clone()));
    let Isolation {
        verdict,
        observations,
        decisive,
    } = &report.isolation;
    let why = match decisive {
        Some(sample) if !sample.reason.is_empty() => format!(": {}", sample.reason),
        _ => String::new(),
    };
    fields.field(
        "isolation",
        format!("{verdict} ({observations} observations){why}"),
    );
    fields.field("canary", canary(report.canary.as_ref()));
    fields.field(
        "written by it",
        super::bytes_or_unknown(report.overlay_bytes),
    );
    fields.field(
        "replica",
        match &report.replica {
            Some(Replica { unchanged: true }) => "unchanged, digests agree",
            Some(Replica { unchanged: false }) => "CHANGED: the digests before and after differ",
            None => "not compared",
        },
    );
    let cleaned = if report.cleanup.complete {
        "proven"
    } else {
        "NOT PROVEN"
    };
    fields.field("clean-up", cleaned);
}

fn canary(canary: Option<&Canary>) -> String {
    let Some(Canary {
        time,
        sequence,
        behind_point_seconds,
    }) = canary
    else {
        return "none seen".to_owned();
    };
    let behind = match behind_point_seconds {
        Some(behind) if *behind < 0.0 => {
            format!("{} after the point's time", units::seconds(-behind))
        }
        Some(behind) => format!("{} before the point's time", units::seconds(*behind)),
        None => format!("{UNKNOWN} against the point's time"),
    };
    format!("number {sequence} of {time}, {behind}")
}

fn times(report: &Report) -> Grid {
    let mut grid = Grid::new(&["RECOVERY TIME", "FROM REQUEST", "STEP"], &[1, 2]);
    let times = &report.recovery_times;
    let mut before = 0.0;
    for (name, reached) in [
        ("instance running", times.instance_running_seconds),
        ("firmware", times.firmware_seconds),
        ("kernel", times.kernel_seconds),
        ("root mounted", times.root_mounted_seconds),
        ("login", times.login_seconds),
        ("canary", times.canary_seconds),
    ] {
        let Some(at) = reached else {
            grid.row([name.to_owned(), NONE.to_owned(), NONE.to_owned()]);
            continue;
        };
        grid.row([
            name.to_owned(),
            units::seconds(at),
            units::seconds((at - before).max(0.0)),
        ]);
        before = at;
    }
    grid
}

pub(super) fn rungs(rungs: &[Rung]) -> Grid {
    let mut grid = Grid::new(&["RUNG", "VERDICT", "AT", "SEEN"], &[2]);
    for rung in rungs {
        grid.row([
            rung.rung.clone(),
            rung.verdict.clone(),
            rung.at(),
            rung.seen(),
        ]);
        // A rung that is one probe says all of it already.
        for probe in rung.probes.iter().filter(|probe| probe.name != rung.rung) {
            grid.row([
                format!("  {}", super::plain(&probe.name)),
                probe.verdict.clone(),
                at(probe.at_seconds),
                seen(probe.reason.as_ref(), probe.observed.as_ref()),
            ]);
        }
    }
    grid
}

fn phases(report: &Report) -> Grid {
    let mut grid = Grid::new(&["PHASE", "OUTCOME", "BEGAN", "TOOK", "DETAIL"], &[2, 3]);
    for phase in &report.phases {
        grid.row([
            phase.phase.clone(),
            phase.outcome.clone(),
            units::seconds(phase.began_seconds),
            units::seconds(phase.duration_seconds),
            line(&phase.detail),
        ]);
    }
    grid
}

fn cleanup(report: &Report) -> Grid {
    let mut grid = Grid::new(&["CLEAN-UP", "PROVEN", "SEEN"], &[]);
    for ProofItem {
        what,
        proven,
        detail,
    } in &report.cleanup.items
    {
        let proven = if *proven { "yes" } else { "NO" };
        grid.row([what.clone(), proven.to_owned(), line(detail)]);
    }
    grid
}

fn evidence(drill: &Drill) -> String {
    let mut grid = Grid::new(&["EVIDENCE", "SIZE", "BLAKE3"], &[1]);
    for EvidenceFile {
        name,
        bytes,
        blake3,
    } in &drill.evidence
    {
        grid.row([
            name.clone(),
            units::bytes(*bytes),
            or_unknown(blake3.clone()),
        ]);
    }
    let place = match &drill.evidence_directory {
        Some(directory) => directory.clone(),
        None => format!("/api/v1/drills/{}/evidence/FILE", drill.id),
    };
    format!("{grid}in {}\n", super::plain(&place))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const FAILED: &str = r#"{"id":"drl-1","group":"grp-1","group_name":"lab","point":{"id":"2-7","kind":"crash_consistent",
        "label":null,"time":"2026-11-03T10:00:00.000000Z"},"state":"failed","job":"job-1","view":null,
        "requested_at":"2026-11-03T10:01:00.000000Z","finished_at":"2026-11-03T10:02:00.000000Z","hold_seconds":0,"progress":null,
        "report":{"report_version":1,"drill":"drl-1","group":"lab","point":{"id":"2-7","label":null,"time":null},"target":"qemu",
        "result":"failed","reason":"rung root_mounted: it gave up","requested_at":"2026-11-03T10:01:00Z",
        "finished_at":"2026-11-03T10:02:00Z","launch_settings":null,"precheck":null,
        "phases":[{"phase":"boot","outcome":"done","began_seconds":0.2,"duration_seconds":1.0,"detail":""}],
        "rungs":[{"rung":"kernel","verdict":"passed","at_seconds":12.5,"reason":null,"observed":"\u001b[0mLinux version 6.1"},
                 {"rung":"root_mounted","verdict":"failed","at_seconds":41.0,"reason":"it gave up","observed":"ALERT! no root"},
                 {"rung":"login","verdict":"not_run","at_seconds":null,"reason":null,"observed":null}],
        "recovery_times":{"instance_running_seconds":0.5,"firmware_seconds":1.5,"kernel_seconds":12.5,"root_mounted_seconds":null,
        "login_seconds":null,"canary_seconds":null},"canary":null,
        "isolation":{"verdict":"isolated","observations":3,"decisive":{"verdict":"isolated","reason":"no way out","sockets":[],"network":null}},
        "overlay_bytes":1048576,"evidence":[],"cleanup":{"complete":true,"items":[{"what":"process","proven":true,"detail":"gone"}]},
        "replica":{"digest_before":"a","digest_after":"a","unchanged":true}},
        "evidence":[{"name":"serial.log","bytes":2048,"blake3":"af13"}],"allowed_actions":[]}"#;

    #[test]
    fn a_failed_drill_shows_everything_that_was_seen() {
        let drill: Drill = serde_json::from_str(FAILED).unwrap();
        assert!(drill.has_ended());
        assert_eq!(
            show(&drill),
            "drill          drl-1\n\
             group          lab\n\
             point          2-7  2026-11-03T10:00:00.000000Z\n\
             state          failed\n\
             reason         rung root_mounted: it gave up\n\
             job            job-1\n\
             requested      2026-11-03T10:01:00.000000Z\n\
             finished       2026-11-03T10:02:00.000000Z\n\
             target         qemu\n\
             isolation      isolated (3 observations): no way out\n\
             canary         none seen\n\
             written by it  1 MiB\n\
             replica        unchanged, digests agree\n\
             clean-up       proven\n\
             \n\
             RECOVERY TIME     FROM REQUEST    STEP\n\
             instance running        0.50 s  0.50 s\n\
             firmware                1.50 s  1.00 s\n\
             kernel                  12.5 s  11.0 s\n\
             root mounted                 -       -\n\
             login                        -       -\n\
             canary                       -       -\n\
             \n\
             RUNG          VERDICT      AT  SEEN\n\
             kernel        passed   12.5 s  [0mLinux version 6.1\n\
             root_mounted  failed   41.0 s  it gave up: ALERT! no root\n\
             login         not_run       -\n\
             \n\
             PHASE  OUTCOME   BEGAN    TOOK  DETAIL\n\
             boot   done     0.20 s  1.00 s\n\
             \n\
             CLEAN-UP  PROVEN  SEEN\n\
             process   yes     gone\n\
             \n\
             EVIDENCE     SIZE  BLAKE3\n\
             serial.log  2 KiB  af13\n\
             in /api/v1/drills/drl-1/evidence/FILE\n"
        );
    }

    #[test]
    fn the_form_of_the_report_is_the_cloud_sides() {
        // The cloud side's own type and ours read the same document.
        let report = serde_json::from_str::<serde_json::Value>(FAILED).unwrap()["report"].take();
        serde_json::from_value::<bcdr_cloud::drill::DrillReport>(report.clone()).unwrap();
        serde_json::from_value::<Report>(report).unwrap();
    }

    #[test]
    fn a_canary_stands_on_one_side_of_the_point() {
        let text = |behind| {
            canary(Some(&Canary {
                time: "T".to_owned(),
                sequence: 7,
                behind_point_seconds: behind,
            }))
        };
        assert_eq!(
            text(Some(0.25)),
            "number 7 of T, 0.25 s before the point's time"
        );
        assert_eq!(
            text(Some(-1.0)),
            "number 7 of T, 1.00 s after the point's time"
        );
        assert_eq!(
            text(None),
            "number 7 of T, unknown against the point's time"
        );
    }
}
