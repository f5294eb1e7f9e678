//! Failovers.

use super::{
    Fields, Grid,
    drill::Rung,
    line, or_none, or_unknown,
    point::Point,
    recovery::{Course, Standing, source},
};
use crate::cli::{client::Items, settle::PlacementJob, units};
use serde::Deserialize;

/// A failover.
#[derive(Debug, Deserialize)]
pub(crate) struct Failover {
    #[serde(flatten)]
    pub(crate) course: Course,
    mode: String,
    decides_in_seconds: Option<u64>,
    interrupted_at: Option<String>,
    generation: Option<u64>,
    point: Option<String>,
    point_time: Option<String>,
    branch: Option<String>,
    instance: Option<String>,
    ladder: Option<Ladder>,
}

#[derive(Debug, Deserialize)]
struct Ladder {
    passed: bool,
    detail: String,
    #[serde(default)]
    rungs: Vec<Rung>,
}

impl PlacementJob for Failover {
    const NOUN: &'static str = "failover";

    fn course(&self) -> &Course {
        &self.course
    }
}

impl Failover {
    /// Whether somebody has to commit it or roll it back.
    pub(crate) fn awaits_decision(&self) -> bool {
        self.course.waits_in("await_commit")
    }

    /// Why its ladder was not passed; none if it was, or was not climbed.
    pub(crate) fn failed_ladder(&self) -> Option<&str> {
        let ladder = self.ladder.as_ref()?;
        (!ladder.passed).then_some(ladder.detail.as_str())
    }

    /// Whether nothing goes on by itself.
    pub(crate) fn awaits_somebody(&self) -> bool {
        self.awaits_decision() || self.course.is_over_or_blocked()
    }

    fn state(&self) -> String {
        if self.awaits_decision() {
            return "awaits commit or rollback".to_owned();
        }
        self.course.state("rolling back")
    }
}

/// What a failover would boot and lose.
#[derive(Debug, Deserialize)]
pub(crate) struct Preview {
    pub(crate) point: Point,
    pub(crate) summary: String,
    source: Option<Standing>,
}

/// `bcdr failover preview`
pub(crate) fn preview(preview: &Preview) -> String {
    let mut fields = Fields::new();
    fields.field("would boot", preview.point.line());
    fields.field("loss", &preview.summary);
    fields.field("source", source(preview.source.as_ref()));
    fields.to_string()
}

/// `bcdr failover list`
pub(crate) fn list(failovers: &Items<Failover>) -> Grid {
    let headers = ["ID", "GROUP", "MODE", "POINT", "STATE", "REQUESTED"];
    let mut grid = Grid::new(&headers, &[]).wide(&["FINISHED", "POINT'S TIME", "BRANCH", "JOB"]);
    for failover in &failovers.items {
        let row = [
            failover.course.id.clone(),
            or_unknown(failover.course.group_name.clone()),
            failover.mode.clone(),
            or_none(failover.point.as_deref()),
            failover.state(),
            failover.course.requested_at.clone(),
        ];
        let behind = [
            or_none(failover.course.finished_at.as_deref()),
            or_none(failover.point_time.as_deref()),
            or_none(failover.branch.as_deref()),
            failover.course.job.clone(),
        ];
        grid.row_wide(row, behind);
    }
    grid.and_more(failovers.next_cursor.as_ref())
}

/// One failover.
pub(crate) fn show(failover: &Failover) -> String {
    let mut fields = Fields::new();
    fields.field("failover", &failover.course.id);
    fields.field("group", or_unknown(failover.course.group_name.clone()));
    fields.field("mode", &failover.mode);
    fields.field("state", failover.state());
    if let Some(seconds) = failover.decides_in_seconds {
        fields.field("decides in", units::seconds(seconds as f64));
    }
    failover.course.failure(&mut fields);
    fields.field("job", &failover.course.job);
    fields.field_if("interrupted", failover.interrupted_at.as_deref());
    fields.field("requested", &failover.course.requested_at);
    fields.field("finished", or_none(failover.course.finished_at.as_deref()));
    fields.field_if("point", failover.point.as_deref());
    fields.field_if("point time", failover.point_time.as_deref());
    fields.field_if(
        "generation",
        failover.generation.map(|generation| generation.to_string()),
    );
    fields.field_if("branch", failover.branch.as_deref());
    fields.field_if("instance", failover.instance.as_deref());
    if let Some(ladder) = &failover.ladder {
        let verdict = if ladder.passed { "passed" } else { "FAILED" };
        fields.field("ladder", format!("{verdict}: {}", line(&ladder.detail)));
    }
    fields.field("may be", failover.course.allowed());
    let mut text = format!("{fields}\n{}", failover.course.table());
    if let Some(ladder) = failover.ladder.as_ref().filter(|one| !one.rungs.is_empty()) {
        text.push_str(&format!("\n{}", super::drill::rungs(&ladder.rungs)));
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const WAITING: &str = r#"{"id":"fov-1","group":"grp-1","group_name":"shop","job":"job-1","mode":"emergency",
        "commit_policy":"manual","decides_in_seconds":null,"operator":"admin","interrupted_at":null,
        "requested_at":"T1","finished_at":null,"end":null,"turned_back":false,"step":"await_commit","stage":"waiting",
        "failure":null,"steps":[{"step":"fence","attempts":1,"began_at":"T1","ended_at":"T2","seconds":0.012,"outcome":"done"},
        {"step":"await_commit","attempts":1,"began_at":"T2","ended_at":null,"seconds":null,"outcome":null}],
        "generation":2,"point":"1-7","point_time":"T0","loss":null,"branch":"brn-1","instance":"fov-1",
        "ladder":{"passed":true,"detail":"5 rungs passed","rungs":[]},"launch_settings":{},"networks":[],
        "allowed_actions":[{"name":"commit","allowed":true},{"name":"cancel","allowed":false}]}"#;

    #[test]
    fn one_that_waits_says_for_what_and_how_long_each_step_took() {
        let failover: Failover = serde_json::from_str(WAITING).unwrap();
        assert!(failover.awaits_decision() && failover.awaits_somebody());
        assert_eq!(
            show(&failover),
            "failover    fov-1\n\
             group       shop\n\
             mode        emergency\n\
             state       awaits commit or rollback\n\
             job         job-1\n\
             requested   T1\n\
             finished    -\n\
             point       1-7\n\
             point time  T0\n\
             generation  2\n\
             branch      brn-1\n\
             instance    fov-1\n\
             ladder      passed: 5 rungs passed\n\
             may be      commit\n\
             \n\
             STEP          OUTCOME       TOOK  ATTEMPTS\n\
             fence         done        0.01 s         1\n\
             await_commit  on its way       -         1\n"
        );
    }

    #[test]
    fn a_blocked_one_awaits_somebody_and_shows_why() {
        let text = WAITING
            .replace("\"stage\":\"waiting\"", "\"stage\":\"blocked\"")
            .replace("\"step\":\"await_commit\",\"stage\"", "\"step\":\"boot_instance\",\"stage\"")
            .replace(
                "\"failure\":null",
                r#""failure":{"step":"boot_instance","code":"target_failed","cause":"no memory","remedy":"free some"}"#,
            );
        let failover: Failover = serde_json::from_str(&text).unwrap();
        assert!(failover.awaits_somebody() && !failover.awaits_decision());
        let shown = show(&failover);
        assert!(
            shown.contains("boot_instance: no memory (target_failed)")
                && shown.contains("free some"),
            "{shown}"
        );
    }
}
