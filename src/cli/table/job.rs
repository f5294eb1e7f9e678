//! Jobs for people.

use super::{Fields, Grid, line, or_none, point::Point};
use crate::cli::{client::Items, wait::JobError};
use serde::Deserialize;

/// A job, as far as people are shown it.
#[derive(Debug, Deserialize)]
pub(crate) struct Job {
    id: String,
    kind: String,
    state: String,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    phase: Option<String>,
    created_at: String,
    #[serde(default)]
    started_at: Option<String>,
    #[serde(default)]
    finished_at: Option<String>,
    #[serde(default)]
    error: Option<JobError>,
    #[serde(default)]
    result: Option<JobResult>,
}

#[derive(Debug, Deserialize)]
struct JobResult {
    #[serde(default)]
    point: Option<Point>,
    #[serde(default)]
    drill: Option<String>,
}

/// `bcdr job list`
pub(crate) fn list(jobs: &Items<Job>) -> Grid {
    let mut grid = Grid::new(
        &["ID", "KIND", "SUBJECT", "STATE", "CREATED", "FINISHED"],
        &[],
    )
    .wide(&["GROUP", "PHASE", "STARTED", "REASON"]);
    for job in &jobs.items {
        let row = [
            job.id.clone(),
            job.kind.clone(),
            or_none(job.subject.as_deref()),
            job.state.clone(),
            job.created_at.clone(),
            or_none(job.finished_at.as_deref()),
        ];
        let reason = job.error.as_ref().map(|error| line(&error.detail));
        let behind = [
            or_none(job.group.as_deref()),
            or_none(job.phase.as_deref()),
            or_none(job.started_at.as_deref()),
            or_none(reason.as_deref()),
        ];
        grid.row_wide(row, behind);
    }
    grid.and_more(jobs.next_cursor.as_ref())
}

/// One job.
pub(crate) fn show(job: &Job) -> String {
    let mut fields = Fields::new();
    fields.field("job", &job.id);
    fields.field("kind", &job.kind);
    fields.field("group", or_none(job.group.as_deref()));
    fields.field("subject", or_none(job.subject.as_deref()));
    fields.field("state", &job.state);
    fields.field_if("phase", job.phase.as_deref());
    fields.field("created", &job.created_at);
    fields.field("started", or_none(job.started_at.as_deref()));
    fields.field("finished", or_none(job.finished_at.as_deref()));
    if let Some(error) = &job.error {
        fields.field("reason", format!("{} ({})", error.detail, error.code));
        fields.field_if("remedy", error.remedy.as_deref());
    }
    if let Some(result) = &job.result {
        fields.field_if("point", result.point.as_ref().map(Point::line));
        fields.field_if("drill", result.drill.as_deref());
    }
    fields.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_job_shows_why() {
        let text = r#"{"id":"job-1","kind":"drill","state":"failed","group":"grp-1","subject":"drl-1","phase":null,
            "created_at":"2026-11-03T10:00:00.000000Z","started_at":"2026-11-03T10:00:01.000000Z","finished_at":null,
            "error":{"code":"drill_failed","detail":"kernel panic","remedy":null},"result":{"point":null,"drill":"drl-1"}}"#;
        assert_eq!(
            show(&serde_json::from_str(text).unwrap()),
            "job       job-1\nkind      drill\ngroup     grp-1\nsubject   drl-1\nstate     failed\n\
             created   2026-11-03T10:00:00.000000Z\nstarted   2026-11-03T10:00:01.000000Z\nfinished  -\n\
             reason    kernel panic (drill_failed)\ndrill     drl-1\n"
        );
    }
}
