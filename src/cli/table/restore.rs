//! Restores in place.

use super::{
    Fields, Grid, line, or_none, or_unknown,
    point::Point,
    recovery::{Action, Course, Standing, source},
};
use crate::cli::{client::Items, settle::PlacementJob, units};
use serde::Deserialize;

/// A restore.
#[derive(Debug, Deserialize)]
pub(crate) struct Restore {
    #[serde(flatten)]
    pub(crate) course: Course,
    undoes: Option<String>,
    set_aside: bool,
    generation: Option<u64>,
    point: Option<String>,
    point_time: Option<String>,
    undo_point: Option<String>,
    undo_label: Option<String>,
    progress: Option<Progress>,
    fetched_bytes: u64,
    written_bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Progress {
    done_bytes: u64,
    total_bytes: u64,
}

impl PlacementJob for Restore {
    const NOUN: &'static str = "restore";

    fn course(&self) -> &Course {
        &self.course
    }
}

impl Restore {
    fn state(&self) -> String {
        if self.set_aside {
            return format!("set aside by a failover: {}", self.course.step);
        }
        self.course.state("going back")
    }
}

/// What a restore would put back.
#[derive(Debug, Deserialize)]
pub(crate) struct Preview {
    pub(crate) point: Point,
    pub(crate) summary: String,
    volumes: Vec<Volume>,
    source: Option<Standing>,
    allowed_actions: Vec<Action>,
}

#[derive(Debug, Deserialize)]
struct Volume {
    volume_name: String,
    size_bytes: Option<u64>,
    may_differ_bytes: Option<u64>,
}

/// `bcdr restore preview`
pub(crate) fn preview(preview: &Preview) -> String {
    let mut fields = Fields::new();
    fields.field("puts back to", preview.point.line());
    fields.field("written since", &preview.summary);
    fields.field("source", source(preview.source.as_ref()));
    for action in &preview.allowed_actions {
        let can = match (&action.reason, &action.remedy) {
            (Some(reason), Some(remedy)) if !action.allowed => format!("no: {reason}; {remedy}"),
            _ if action.allowed => "yes".to_owned(),
            _ => "no".to_owned(),
        };
        fields.field(&format!("can {}", action.name), line(&can));
    }
    let mut grid = Grid::new(&["VOLUME", "SIZE", "MAY DIFFER"], &[1, 2]);
    for volume in &preview.volumes {
        grid.row([
            volume.volume_name.clone(),
            or_unknown(volume.size_bytes.map(units::bytes)),
            or_unknown(volume.may_differ_bytes.map(units::bytes)),
        ]);
    }
    format!("{fields}\n{grid}")
}

/// `bcdr restore list`
pub(crate) fn list(restores: &Items<Restore>) -> Grid {
    let headers = ["ID", "GROUP", "POINT", "UNDO WITH", "STATE", "REQUESTED"];
    let mut grid = Grid::new(&headers, &[]).wide(&["FINISHED", "POINT'S TIME", "UNDOES", "JOB"]);
    for restore in &restores.items {
        let row = [
            restore.course.id.clone(),
            or_unknown(restore.course.group_name.clone()),
            or_none(restore.point.as_deref()),
            or_none(restore.undo_point.as_deref()),
            restore.state(),
            restore.course.requested_at.clone(),
        ];
        let behind = [
            or_none(restore.course.finished_at.as_deref()),
            or_none(restore.point_time.as_deref()),
            or_none(restore.undoes.as_deref()),
            restore.course.job.clone(),
        ];
        grid.row_wide(row, behind);
    }
    grid.and_more(restores.next_cursor.as_ref())
}

/// One restore.
pub(crate) fn show(restore: &Restore) -> String {
    let mut fields = Fields::new();
    fields.field("restore", &restore.course.id);
    fields.field("group", or_unknown(restore.course.group_name.clone()));
    fields.field_if("undoes", restore.undoes.as_deref());
    fields.field("state", restore.state());
    if let Some(Progress {
        done_bytes,
        total_bytes,
    }) = restore.progress
    {
        fields.field(
            "looked at",
            format!(
                "{} of {}",
                units::bytes(done_bytes),
                units::bytes(total_bytes)
            ),
        );
    }
    restore.course.failure(&mut fields);
    fields.field("job", &restore.course.job);
    fields.field("requested", &restore.course.requested_at);
    fields.field("finished", or_none(restore.course.finished_at.as_deref()));
    fields.field("point", or_none(restore.point.as_deref()));
    fields.field_if("point time", restore.point_time.as_deref());
    fields.field_if("undo point", restore.undo_point.as_deref());
    fields.field_if("undo label", restore.undo_label.as_deref());
    fields.field_if(
        "generation",
        restore.generation.map(|generation| generation.to_string()),
    );
    fields.field("fetched", units::bytes(restore.fetched_bytes));
    fields.field("written", units::bytes(restore.written_bytes));
    fields.field("may be", restore.course.allowed());
    format!("{fields}\n{}", restore.course.table())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: &str = r#"{"id":"rst-1","group":"grp-1","group_name":"shop","job":"job-1","operator":"admin",
        "undoes":null,"requested_at":"T1","finished_at":"T2","end":"restored","turned_back":false,"set_aside":false,
        "step":"resume_forward","stage":"ended","failure":null,
        "steps":[{"step":"restore_disks","attempts":2,"began_at":"T1","ended_at":"T2","seconds":1.5,"outcome":"done"}],
        "generation":3,"point":"1-7","point_time":"T0","undo_point":"1-90","undo_label":"before-rst-1",
        "undo_time":"T1","loss":null,"progress":null,"fetched_bytes":4096,"written_bytes":8192,
        "allowed_actions":[{"name":"cancel","allowed":false,"reason":"over","remedy":"start another"},
        {"name":"undo","allowed":true}]}"#;

    #[test]
    fn one_that_is_done_says_with_what_it_can_be_undone() {
        let restore: Restore = serde_json::from_str(DONE).unwrap();
        assert_eq!(
            show(&restore),
            "restore     rst-1\n\
             group       shop\n\
             state       restored\n\
             job         job-1\n\
             requested   T1\n\
             finished    T2\n\
             point       1-7\n\
             point time  T0\n\
             undo point  1-90\n\
             undo label  before-rst-1\n\
             generation  3\n\
             fetched     4 KiB\n\
             written     8 KiB\n\
             may be      undo\n\
             \n\
             STEP           OUTCOME    TOOK  ATTEMPTS\n\
             restore_disks  done     1.50 s         2\n"
        );
    }

    #[test]
    fn one_that_waits_for_a_failover_says_so() {
        let text = DONE
            .replace("\"end\":\"restored\"", "\"end\":null")
            .replace("\"set_aside\":false", "\"set_aside\":true");
        let restore: Restore = serde_json::from_str(&text).unwrap();
        assert!(show(&restore).contains("set aside by a failover: resume_forward"));
    }

    #[test]
    fn a_preview_says_what_stands_in_the_way() {
        let text = r#"{"point":{"id":"1-7","time":"T0"},"loss":{},"summary":"5 seconds",
            "volumes":[{"volume":"vol-1","volume_name":"root","size_bytes":4096,"may_differ_bytes":null}],
            "source":null,"allowed_actions":[{"name":"start","allowed":false,"reason":"no source","remedy":"bring it up"}]}"#;
        let shown = preview(&serde_json::from_str(text).unwrap());
        assert!(
            shown.contains("no: no source; bring it up") && shown.contains("unknown"),
            "{shown}"
        );
    }
}
