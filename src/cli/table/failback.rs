//! Failbacks.

use super::{Fields, Grid, or_none, or_unknown, recovery::Course};
use crate::cli::{client::Items, settle::PlacementJob, units};
use serde::Deserialize;

/// A failback.
#[derive(Debug, Deserialize)]
pub(crate) struct Failback {
    #[serde(flatten)]
    pub(crate) course: Course,
    seed: String,
    continues_in_seconds: Option<u64>,
    fork: String,
    branch: String,
    pub(crate) disks: Vec<Disk>,
    left_behind: Option<String>,
    home_writes: Option<String>,
    method: Option<String>,
    pub(crate) seeded: bool,
    proven_equal: bool,
    sent_bytes: u64,
    remaining_bytes: Option<u64>,
}

/// A disk found at home.
#[derive(Debug, Deserialize)]
pub(crate) struct Disk {
    volume: String,
    volume_name: Option<String>,
    pub(crate) serial: String,
    size_bytes: u64,
    blank: bool,
    confirmed: bool,
}

impl PlacementJob for Failback {
    const NOUN: &'static str = "failback";

    fn course(&self) -> &Course {
        &self.course
    }
}

impl Failback {
    fn state(&self) -> String {
        let waits_in = |step| self.course.waits_in(step) && !self.course.turned_back;
        if waits_in("await_seed") {
            return "awaits the confirmation of the disks".to_owned();
        }
        if waits_in("between_rounds") && self.seeded {
            return "home follows; awaits the cutover".to_owned();
        }
        if waits_in("await_commit") {
            return "awaits commit or rollback".to_owned();
        }
        self.course.state("going back")
    }
}

/// `bcdr failback list`
pub(crate) fn list(failbacks: &Items<Failback>) -> Grid {
    let headers = ["ID", "GROUP", "SEED", "STATE", "SENT", "REQUESTED"];
    let mut grid = Grid::new(&headers, &[4]).wide(&["FINISHED", "BRANCH", "JOB"]);
    for failback in &failbacks.items {
        let row = [
            failback.course.id.clone(),
            or_unknown(failback.course.group_name.clone()),
            failback.seed.clone(),
            failback.state(),
            units::bytes(failback.sent_bytes),
            failback.course.requested_at.clone(),
        ];
        let behind = [
            or_none(failback.course.finished_at.as_deref()),
            failback.branch.clone(),
            failback.course.job.clone(),
        ];
        grid.row_wide(row, behind);
    }
    grid.and_more(failbacks.next_cursor.as_ref())
}

/// One failback.
pub(crate) fn show(failback: &Failback) -> String {
    let mut fields = Fields::new();
    fields.field("failback", &failback.course.id);
    fields.field("group", or_unknown(failback.course.group_name.clone()));
    fields.field("seed", failback.seed.replace('_', " "));
    fields.field("state", failback.state());
    if let Some(seconds) = failback.continues_in_seconds {
        fields.field("goes on in", units::seconds(seconds as f64));
    }
    failback.course.failure(&mut fields);
    fields.field("job", &failback.course.job);
    fields.field("requested", &failback.course.requested_at);
    fields.field("finished", or_none(failback.course.finished_at.as_deref()));
    fields.field("fork", &failback.fork);
    fields.field("branch", &failback.branch);
    fields.field_if("left behind", failback.left_behind.as_deref());
    fields.field_if("home wrote", failback.home_writes.as_deref());
    fields.field_if(
        "differences by",
        failback
            .method
            .as_ref()
            .map(|method| method.replace('_', " ")),
    );
    fields.field("sent", units::bytes(failback.sent_bytes));
    fields.field_if("written since", failback.remaining_bytes.map(units::bytes));
    let equal = if failback.proven_equal {
        "proven by digest"
    } else {
        "not proven yet"
    };
    fields.field("home equal", equal);
    fields.field("may be", failback.course.allowed());
    let mut grid = Grid::new(
        &["VOLUME", "DISK AT HOME", "SIZE", "BLANK", "CONFIRMED"],
        &[2],
    );
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    for disk in &failback.disks {
        grid.row([
            disk.name().to_owned(),
            disk.serial.clone(),
            units::bytes(disk.size_bytes),
            yes(disk.blank),
            yes(disk.confirmed),
        ]);
    }
    let disks = match failback.disks.is_empty() {
        true => String::new(),
        false => format!("\n{grid}"),
    };
    format!("{fields}{disks}\n{}", failback.course.table())
}

impl Disk {
    /// What an operator calls the volume.
    pub(crate) fn name(&self) -> &str {
        self.volume_name.as_deref().unwrap_or(&self.volume)
    }
}
