//! The bounds of each parameter and each field of a body, from the limits that their owners check.

use super::Bound;
use crate::{
    access::{PASSWORD_CHARACTERS, USER_NAME_BYTES_MAX},
    api::{
        alerts, configuration::VERSION, etag, failbacks, groups, page, placements, plan_runs,
        readiness, reports, samples, schedules,
    },
    drills::HOLD_SECONDS_MAX,
    idempotency::KEY_LENGTH_MAX,
    schedules::EVERY_SECONDS,
    target::limits as launch,
    views::LEASE_MAX,
};
use bcdr_alert::AlertCode;
use bcdr_audit::Outcome;
use bcdr_format::{SECTOR_BYTES, record::LABEL_BYTES_MAX};

/// Not only white space and control characters.
const LEGIBLE: &str = r"[^\s\x00-\x1f\x7f-\x9f]";
const NO_CONTROLS: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";
/// As it is in the text of ids: 26 digits of 5 bits are two bits more than an id has.
const ULID: &str = "[0-7][0-9a-hjkmnp-tv-z]{25}";

/// The bound of a parameter of an operation.
pub(super) fn of_parameter(operation: &str, name: &str) -> Option<Bound> {
    let form = |text: &str| Bound::Pattern(text.to_owned());
    Some(match (operation, name) {
        ("show_report_trend" | "read_report_trend", "limit") => {
            Bound::Range(1, reports::TREND_MAX.into())
        }
        (_, "limit") => Bound::Range(1, page::LIMIT_MAX.into()),
        (_, "cursor") => return cursor(operation).map(|text| form(&text)),
        (_, "If-Match") => form(etag::TAGS),
        ("set_drill_schedule" | "apply_plan", "If-None-Match") => Bound::Names(vec!["*"]),
        (_, "If-None-Match") => form(etag::TAGS),
        (_, "Idempotency-Key") => Bound::Form(1, KEY_LENGTH_MAX, "^[!-~]+$".to_owned()),
        (_, "lang") => Bound::Names(vec!["en", "zh", "zh-CN"]),
        ("list_alerts", "code") => {
            Bound::Names(AlertCode::ALL.iter().map(|code| code.name()).collect())
        }
        ("list_audit", "outcome") => Bound::Names(Outcome::ALL.map(Outcome::name).to_vec()),
        ("list_samples", "step") => {
            let hour = samples::HOUR_SECONDS;
            Bound::Steps(hour, hour, hour * samples::HOURS_MAX.unsigned_abs())
        }
        (_, "priority") => Bound::Range(0, u8::MAX.into()),
        (_, "version") => Bound::Range(0, u32::MAX.into()),
        (_, "wait_seconds") => Bound::Range(0, u64::MAX),
        _ => return None,
    })
}

/// The form of a list's cursors; none where any text is one.
fn cursor(operation: &str) -> Option<String> {
    let prefix = match operation {
        "list_alerts" => "alr",
        "list_branches" => "brn",
        "list_drills" => "drl",
        "list_failbacks" => "fbk",
        "list_failovers" => "fov",
        "list_groups" => "grp",
        "list_jobs" => "job",
        "list_plan_runs" => "prn",
        "list_restores" => "rst",
        "list_views" => "viw",
        "list_volumes" => "vol",
        "list_events" => return Some("^evt-[0-9a-f]{16}-[0-9a-f]{12}$".to_owned()),
        "list_audit" | "list_branch_points" | "list_points" | "list_reports" => {
            return Some("^0*[0-9]{1,19}$".to_owned());
        }
        _ => return None,
    };
    Some(format!("^{prefix}-{ULID}$"))
}

/// The bounds of what bodies hold: the schema, the way to the field, and what it must be.
pub(super) fn of_bodies() -> Vec<(&'static str, &'static [&'static str], Bound)> {
    let mut all = of_live_work();
    all.extend(of_launch_settings());
    all.extend(of_access());
    all.extend(of_drills_and_points());
    all
}

type Bounded = (&'static str, &'static [&'static str], Bound);

fn legible(most: usize) -> Bound {
    Bound::Form(1, most, LEGIBLE.to_owned())
}

fn of_live_work() -> Vec<Bounded> {
    let policy = placements::POLICY_SECONDS;
    let policy = || Bound::Range((*policy.start()).into(), (*policy.end()).into());
    let reason = || legible(plan_runs::REASON_MAX);
    vec![
        (
            "AcknowledgeAlert",
            &["note"],
            legible(alerts::wishes::TEXT_MAX),
        ),
        ("MuteAlert", &["reason"], legible(alerts::wishes::TEXT_MAX)),
        ("PlanStepSkip", &["reason"], reason()),
        ("PlanStepApproval", &["reason"], reason()),
        ("PlanRunCancellation", &["reason"], reason()),
        ("NewPlanRun", &["priority"], Bound::Range(0, u8::MAX.into())),
        ("CommitPolicy", &["auto_commit", "after_seconds"], policy()),
        (
            "CommitPolicy",
            &["auto_rollback", "after_seconds"],
            policy(),
        ),
        (
            "NewFailback",
            &["round_every_seconds"],
            Bound::Range(1, failbacks::ROUND_EVERY_SECONDS_MAX.into()),
        ),
        (
            "NewView",
            &["lease_seconds"],
            Bound::Range(1, LEASE_MAX.as_secs()),
        ),
    ]
}

fn of_launch_settings() -> Vec<Bounded> {
    let to = |most: u32| Bound::Range(1, most.into());
    let port = || Bound::Range(1, u16::MAX.into());
    vec![
        (
            "LaunchSettings",
            &["memory_mib"],
            Bound::Range(launch::MEMORY_MIB_MIN.into(), launch::MEMORY_MIB_MAX.into()),
        ),
        ("LaunchSettings", &["cpus"], to(launch::CPUS_MAX.into())),
        (
            "LaunchSettings",
            &["boot_timeout_seconds"],
            to(launch::BOOT_TIMEOUT_SECONDS_MAX),
        ),
        (
            "LaunchSettings",
            &["shut_down_seconds"],
            to(launch::SHUT_DOWN_SECONDS_MAX),
        ),
        ("LaunchSettings", &["overlay_limit_mib"], to(u32::MAX)),
        (
            "Probes",
            &["timeout_seconds"],
            to(launch::PROBE_SECONDS_MAX),
        ),
        ("PortProbe", &["port"], port()),
        ("PageProbe", &["port"], port()),
        ("StatusSet", &[], Bound::Items(1, None)),
        (
            "Probes",
            &["scripts"],
            Bound::Items(0, Some(launch::SCRIPTS_MAX)),
        ),
        (
            "ScriptProbe",
            &["ports"],
            Bound::Items(0, Some(launch::SCRIPT_PORTS_MAX)),
        ),
        ("ScriptProbe", &["ports", "items"], port()),
        (
            "ScriptProbe",
            &["timeout_seconds"],
            to(launch::SCRIPT_SECONDS_MAX),
        ),
        (
            "NewFailover",
            &["networks"],
            Bound::Items(0, Some(launch::CARDS_MAX)),
        ),
        (
            "NetworkConnection",
            &["host_nat", "forward"],
            Bound::Items(0, Some(launch::FORWARDS_MAX)),
        ),
        ("PortForward", &["host_port"], port()),
        ("PortForward", &["machine_port"], port()),
    ]
}

fn of_access() -> Vec<Bounded> {
    let name = || {
        let rest = USER_NAME_BYTES_MAX - 1;
        let form = format!("^[A-Za-z0-9][A-Za-z0-9._@-]{{0,{rest}}}$");
        Bound::Form(1, USER_NAME_BYTES_MAX, form)
    };
    let password = || Bound::Length(*PASSWORD_CHARACTERS.start(), *PASSWORD_CHARACTERS.end());
    vec![
        ("NewUser", &["name"], name()),
        ("Setup", &["name"], name()),
        ("NewUser", &["password"], password()),
        ("Setup", &["password"], password()),
        ("NewPassword", &["password"], password()),
        ("PasswordChange", &["password"], password()),
        (
            "NewToken",
            &["name"],
            Bound::Form(
                1,
                crate::access::TOKEN_NAME_CHARACTERS_MAX,
                NO_CONTROLS.to_owned(),
            ),
        ),
    ]
}

fn of_drills_and_points() -> Vec<Bounded> {
    let hold = || Bound::Range(0, HOLD_SECONDS_MAX.into());
    let time_of_day = || Bound::Form(5, 5, "^([01][0-9]|2[0-3]):[0-5][0-9]$".to_owned());
    let every = || Bound::Range(EVERY_SECONDS.0, EVERY_SECONDS.1);
    let name = || {
        let form = "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$";
        Bound::Form(1, 63, form.to_owned())
    };
    vec![
        (
            "Configuration",
            &["version"],
            Bound::Range(VERSION.into(), VERSION.into()),
        ),
        ("NewDrill", &["hold_seconds"], hold()),
        ("NewSchedule", &["hold_seconds"], hold()),
        ("ConfigurationDrillSchedule", &["hold_seconds"], hold()),
        ("NewSchedule", &["every_seconds"], every()),
        ("ConfigurationDrillSchedule", &["every_seconds"], every()),
        ("NewSchedule", &["at"], time_of_day()),
        ("ConfigurationDrillSchedule", &["at"], time_of_day()),
        (
            "PointChoice",
            &["age", "seconds"],
            Bound::Range(0, schedules::AGE_SECONDS_MAX),
        ),
        (
            "NewInspection",
            &["network_cards"],
            Bound::Range(0, readiness::NETWORK_CARDS_MAX.into()),
        ),
        (
            "NewPoint",
            &["label"],
            Bound::Form(1, LABEL_BYTES_MAX, NO_CONTROLS.to_owned()),
        ),
        ("NewGroup", &["name"], name()),
        (
            "NewGroup",
            &["volumes"],
            Bound::Items(1, Some(groups::VOLUMES_MAX)),
        ),
        ("NewVolume", &["name"], name()),
        (
            "NewVolume",
            &["size_bytes"],
            Bound::Steps(SECTOR_BYTES, SECTOR_BYTES, groups::SIZE_BYTES_MAX),
        ),
    ]
}
