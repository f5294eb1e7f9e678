//! Groups for people.

use super::{Fields, Grid, UNKNOWN, bytes_or_unknown, or_none, or_unknown};
use crate::cli::{client::Items, units};
use serde::Deserialize;

/// A group, as far as people are shown it.
#[derive(Debug, Deserialize)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) stream: String,
    pub(crate) created_at: String,
    pub(crate) generation: u64,
    pub(crate) volumes: Vec<super::volume::Volume>,
    replication: Replication,
    #[serde(default)]
    placement: Option<String>,
    #[serde(default)]
    drill: Option<DrillAxis>,
    #[serde(default)]
    readiness: Option<ReadinessAxis>,
    pub(crate) health: Health,
    #[serde(default)]
    rpo_seconds: Option<f64>,
    #[serde(default)]
    rpo_known: bool,
    #[serde(default)]
    positions: Positions,
    #[serde(default)]
    latest_point: Option<LatestPoint>,
    #[serde(default)]
    capture: Option<Capture>,
    #[serde(default)]
    gateway: Option<Gateway>,
    #[serde(default)]
    allowed_actions: Vec<bcdr_http::Action>,
}

#[derive(Debug, Deserialize)]
struct Replication {
    state: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    since: Option<String>,
    #[serde(default)]
    progress: Option<Copied>,
}

#[derive(Debug, Deserialize)]
struct Copied {
    done_bytes: u64,
    total_bytes: u64,
}

#[derive(Debug, Deserialize)]
struct DrillAxis {
    state: String,
    #[serde(default)]
    drill: Option<String>,
    #[serde(default)]
    last_passed_at: Option<String>,
    #[serde(default)]
    overdue_since: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ReadinessAxis {
    state: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    point: Option<String>,
    #[serde(default)]
    is_newest_point: Option<bool>,
    #[serde(default)]
    target: Option<ReadinessTarget>,
    #[serde(default)]
    checked_at: Option<String>,
}

/// The machine that a group was inspected for.
#[derive(Debug, Deserialize)]
struct ReadinessTarget {
    firmware: String,
    disk_bus: String,
}

/// How well something is.
#[derive(Debug, Deserialize)]
pub(crate) struct Health {
    pub(crate) level: String,
    #[serde(default)]
    pub(crate) reasons: Vec<Reason>,
}

/// Why it is not well.
#[derive(Debug, Deserialize)]
pub(crate) struct Reason {
    pub(crate) code: String,
    pub(crate) detail: String,
}

impl Reason {
    /// What to do about it; none for a code of a newer cloud side.
    pub(crate) fn remedy(&self) -> Option<&'static str> {
        Some(match self.code.as_str() {
            "unprotected" => {
                "start the group's capture and gateway; their logs say what keeps them from each other and from the cloud side"
            }
            "initial_sync" => "wait until the copy is complete",
            "catching_up" => {
                "wait; if the newest point only grows older, the link or the cloud side's disk is too slow for what is written"
            }
            "disconnected" => {
                "see that the group's capture and gateway run and reach each other and the cloud side; their logs say what fails"
            }
            "source_state_unknown" => {
                "wait for the gateway's first report; if none comes, see its log"
            }
            "stalled" => {
                "free the space or repair the disk that the reason names; replication goes on by itself"
            }
            "rpo_unknown" => "wait for the first point; if none comes, see the cloud side's log",
            "replica_damaged" => {
                "see the cloud side's log and repair or restore what it names; older points may still be readable: prove one by a drill"
            }
            "cleanup_failed" => {
                "start a drill, which cleans up first; else remove what the last drill's report names"
            }
            "drill_overdue" => {
                "see bcdr drill schedule show for why none started or passed, and start one with bcdr drill start"
            }
            _ => return None,
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Positions {
    sequenced: Option<String>,
    journaled: Option<String>,
    durable: Option<String>,
    published: Option<String>,
}

#[derive(Debug, Deserialize)]
struct LatestPoint {
    id: String,
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    label: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Capture {
    connected: bool,
    #[serde(default)]
    since: Option<String>,
    #[serde(default)]
    journal_used_bytes: Option<u64>,
    #[serde(default)]
    journal_capacity_bytes: Option<u64>,
    #[serde(default)]
    spooled_bytes: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Gateway {
    connected: bool,
    #[serde(default)]
    since: Option<String>,
    #[serde(default)]
    peer: Option<String>,
}

impl Group {
    /// How old the newest point is: a number only while it is known.
    fn rpo(&self) -> String {
        match self.rpo_seconds {
            Some(seconds) if self.rpo_known => units::seconds(seconds),
            _ => UNKNOWN.to_owned(),
        }
    }

    fn replication(&self) -> String {
        let Replication {
            state, progress, ..
        } = &self.replication;
        match progress {
            Some(Copied {
                done_bytes,
                total_bytes,
            }) if *total_bytes > 0 => {
                let percent = *done_bytes as f64 * 100.0 / *total_bytes as f64;
                // Rounding up to 100 would say that it is done.
                format!("{state} {:.0} %", percent.floor())
            }
            _ => state.clone(),
        }
    }

    fn latest(&self) -> String {
        let Some(LatestPoint { id, time, label }) = &self.latest_point else {
            return super::NONE.to_owned();
        };
        let label = label
            .as_ref()
            .map(|label| format!("  {label:?}"))
            .unwrap_or_default();
        format!("{id}  {}{label}", or_unknown(time.clone()))
    }
}

/// `bcdr group list`, and a part of `bcdr status`
pub(crate) fn list(groups: &[Group]) -> Grid {
    let headers = [
        "GROUP",
        "REPLICATION",
        "HEALTH",
        "RPO",
        "LATEST POINT",
        "DRILL",
        "VOLUMES",
    ];
    let mut grid = Grid::new(&headers, &[3, 6]).wide(&[
        "ID",
        "PLACEMENT",
        "READINESS",
        "GATEWAY",
        "CAPTURE",
        "JOURNAL",
    ]);
    for group in groups {
        let drill = group.drill.as_ref().map(|drill| drill.state.clone());
        let row = [
            group.name.clone(),
            group.replication(),
            group.health.level.clone(),
            group.rpo(),
            group.latest(),
            or_unknown(drill),
            group.volumes.len().to_string(),
        ];
        grid.row_wide(row, behind(group));
    }
    grid
}

/// What a list shows of a group where there is room.
fn behind(group: &Group) -> [String; 6] {
    let connected = |connected: Option<bool>| {
        let known = connected.map(|is| if is { "connected" } else { "not connected" });
        known.unwrap_or(UNKNOWN).to_owned()
    };
    let readiness = group.readiness.as_ref().map(|axis| axis.state.clone());
    let capture = group.capture.as_ref();
    [
        group.id.clone(),
        or_unknown(group.placement.clone()),
        or_unknown(readiness),
        connected(group.gateway.as_ref().map(|gateway| gateway.connected)),
        connected(capture.map(|capture| capture.connected)),
        bytes_or_unknown(capture.and_then(|capture| capture.journal_used_bytes)),
    ]
}

/// A page of groups.
pub(crate) fn page(groups: &Items<Group>) -> Grid {
    list(&groups.items)
}

/// One group.
pub(crate) fn show(group: &Group) -> String {
    let mut fields = Fields::new();
    fields.field("group", format!("{} ({})", group.name, group.id));
    fields.field("stream", &group.stream);
    fields.field("created", &group.created_at);
    fields.field("generation", group.generation.to_string());
    replication(group, &mut fields);
    fields.field("placement", or_unknown(group.placement.clone()));
    if let Some(axis) = &group.drill {
        let drill = axis.drill.as_ref().map(|id| format!(" ({id})"));
        fields.field(
            "drill",
            format!("{}{}", axis.state, drill.unwrap_or_default()),
        );
        fields.field_if("drill passed", axis.last_passed_at.as_deref());
        let overdue = axis.overdue_since.as_ref();
        fields.field_if("drill overdue since", overdue);
    }
    if let Some(axis) = &group.readiness {
        let of = match (&axis.point, &axis.checked_at) {
            (Some(point), Some(at)) => {
                let older = if axis.is_newest_point == Some(false) {
                    ", not the newest"
                } else {
                    ""
                };
                let machine = axis.target.as_ref().map_or_else(String::new, |target| {
                    format!(" for {}, {} disks", target.firmware, target.disk_bus)
                });
                format!(" (point {point}{older}, checked {at}{machine})")
            }
            _ => " (not checked yet)".to_owned(),
        };
        fields.field("readiness", format!("{}{of}", axis.state));
        fields.field_if("", axis.reason.as_deref());
    }
    fields.field("health", &group.health.level);
    for reason in &group.health.reasons {
        fields.field("", format!("{} ({})", reason.detail, reason.code));
        let remedy = reason.remedy().map(|remedy| format!("remedy: {remedy}"));
        fields.field_if("", remedy);
    }
    fields.field("RPO", group.rpo());
    fields.field("latest point", group.latest());
    let positions = &group.positions;
    for (name, position) in [
        ("sequenced", &positions.sequenced),
        ("journaled", &positions.journaled),
        ("durable", &positions.durable),
        ("published", &positions.published),
    ] {
        fields.field(name, or_unknown(position.clone()));
    }
    connections(group, &mut fields);
    for action in group
        .allowed_actions
        .iter()
        .filter(|action| !action.allowed)
    {
        let why = or_none(action.reason.as_deref());
        fields.field("not possible now", format!("{}: {why}", action.name));
    }
    format!("{fields}\n{}", volumes(group))
}

fn replication(group: &Group, fields: &mut Fields) {
    let Replication {
        reason,
        since,
        progress,
        ..
    } = &group.replication;
    fields.field("replication", group.replication());
    fields.field_if("", reason.as_deref());
    fields.field_if("since", since.as_deref());
    if let Some(Copied {
        done_bytes,
        total_bytes,
    }) = progress
    {
        let text = format!(
            "{} of {}",
            units::bytes(*done_bytes),
            units::bytes(*total_bytes)
        );
        fields.field("copied", text);
    }
}

fn connections(group: &Group, fields: &mut Fields) {
    let connected = |connected: bool, since: &Option<String>| {
        let word = if connected {
            "connected"
        } else {
            "not connected"
        };
        let since = since
            .as_ref()
            .map(|since| format!(" since {since}"))
            .unwrap_or_default();
        format!("{word}{since}")
    };
    match &group.gateway {
        Some(gateway) => {
            let peer = gateway
                .peer
                .as_ref()
                .map(|peer| format!(" ({peer})"))
                .unwrap_or_default();
            fields.field(
                "gateway",
                connected(gateway.connected, &gateway.since) + &peer,
            );
        }
        None => fields.field("gateway", UNKNOWN),
    }
    let Some(capture) = &group.capture else {
        fields.field("capture", UNKNOWN);
        return;
    };
    fields.field("capture", connected(capture.connected, &capture.since));
    let used = bytes_or_unknown(capture.journal_used_bytes);
    let capacity = bytes_or_unknown(capture.journal_capacity_bytes);
    fields.field("journal", format!("{used} of {capacity}"));
    fields.field("spooled", bytes_or_unknown(capture.spooled_bytes));
}

fn volumes(group: &Group) -> Grid {
    let mut grid = Grid::new(&["VOLUME", "ID", "SIZE", "WRITTEN"], &[2, 3]);
    for volume in &group.volumes {
        grid.row([
            volume.name.clone(),
            volume.id.clone(),
            bytes_or_unknown(volume.size_bytes),
            bytes_or_unknown(volume.written_bytes),
        ]);
    }
    grid
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const GROUP: &str = r#"{"id":"grp-1","name":"lab","stream":"str-1","created_at":"2026-11-03T09:00:00.000000Z",
        "generation":1,"volumes":[{"id":"vol-1","name":"root","number":0,"size_bytes":2147483648,"written_bytes":null}],
        "replication":{"state":"initial_sync","reason":"the first copy is on its way","since":null,
            "progress":{"done_bytes":2147483647,"total_bytes":2147483648}},
        "placement":"source_active","drill":{"state":"none","drill":null},
        "health":{"level":"warning","reasons":[{"code":"initial_sync","detail":"the first copy is on its way"}]},
        "rpo_seconds":null,"rpo_known":false,
        "positions":{"sequenced":"1-10","settled":"1-10","journaled":"1-10","received":null,"durable":null,"published":null},
        "latest_point":null,
        "capture":{"connected":true,"since":"2026-11-03T09:00:01.000000Z","reported_at":null,"journal_used_bytes":4096,
            "journal_capacity_bytes":1073741824,"spooled_bytes":null},
        "gateway":{"connected":false,"since":null,"peer":null},
        "allowed_actions":[{"name":"create_point","allowed":false,"reason":"there is no point yet"},{"name":"open_view","allowed":true}]}"#;

    #[test]
    fn a_group_shows_what_is_unknown_as_unknown() {
        let group: Group = serde_json::from_str(GROUP).unwrap();
        assert_eq!(
            show(&group),
            "group             lab (grp-1)\n\
             stream            str-1\n\
             created           2026-11-03T09:00:00.000000Z\n\
             generation        1\n\
             replication       initial_sync 99 %\n\
             \x20                 the first copy is on its way\n\
             copied            2 GiB of 2 GiB\n\
             placement         source_active\n\
             drill             none\n\
             health            warning\n\
             \x20                 the first copy is on its way (initial_sync)\n\
             \x20                 remedy: wait until the copy is complete\n\
             RPO               unknown\n\
             latest point      -\n\
             sequenced         1-10\n\
             journaled         1-10\n\
             durable           unknown\n\
             published         unknown\n\
             gateway           not connected\n\
             capture           connected since 2026-11-03T09:00:01.000000Z\n\
             journal           4 KiB of 1 GiB\n\
             spooled           unknown\n\
             not possible now  create_point: there is no point yet\n\
             \n\
             VOLUME  ID      SIZE  WRITTEN\n\
             root    vol-1  2 GiB  unknown\n"
        );
    }

    #[test]
    fn an_rpo_that_is_not_known_is_never_a_number() {
        let with = |rpo: &str| {
            let text = GROUP.replace(r#""rpo_seconds":null,"rpo_known":false"#, rpo);
            let group: Group = serde_json::from_str(&text).unwrap();
            list(&[group]).to_string()
        };
        assert!(with(r#""rpo_seconds":0.5,"rpo_known":true"#).contains("0.50 s"));
        let blind = with(r#""rpo_seconds":0.0,"rpo_known":false"#);
        assert!(
            blind.contains("unknown") && !blind.contains("0.00 s"),
            "{blind}"
        );
    }

    #[test]
    fn every_reason_that_a_cloud_side_gives_has_a_remedy() {
        let codes = [
            "unprotected",
            "initial_sync",
            "catching_up",
            "disconnected",
            "source_state_unknown",
            "stalled",
            "rpo_unknown",
            "replica_damaged",
            "cleanup_failed",
            "drill_overdue",
        ];
        for code in codes {
            let text = GROUP.replace(r#""code":"initial_sync""#, &format!(r#""code":"{code}""#));
            let group: Group = serde_json::from_str(&text).unwrap();
            assert!(show(&group).contains("remedy: "), "{code}");
        }
        let newer = GROUP.replace(r#""code":"initial_sync""#, r#""code":"newer""#);
        let group: Group = serde_json::from_str(&newer).unwrap();
        assert!(!show(&group).contains("remedy"));
    }
}
