//! The installation's status for people.

use super::{Fields, group};
use crate::cli::units;
use serde::Deserialize;

/// What `bcdr status` shows.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    pub(crate) system: System,
    pub(crate) groups: Vec<group::Group>,
}

/// The installation.
#[derive(Debug, Deserialize)]
pub(crate) struct System {
    version: String,
    installation: String,
    started_at: String,
    #[serde(default)]
    ship_address: Option<String>,
    space: Space,
    installation_key: String,
}

#[derive(Debug, Deserialize)]
struct Space {
    total_bytes: u64,
    available_bytes: u64,
    floor_bytes: u64,
    below_floor: bool,
}

impl Status {
    /// Everything that is not as it should be, or not known, in words.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let mut troubles = Vec::new();
        if self.system.space.below_floor {
            troubles.push("the cloud side's disk is too full to take new data".to_owned());
        }
        if self.system.installation_key != "present" {
            troubles.push("the installation key is missing".to_owned());
        }
        for group in self
            .groups
            .iter()
            .filter(|group| group.health.level != "ok")
        {
            let reasons: Vec<_> = group
                .health
                .reasons
                .iter()
                .map(|reason| match reason.remedy() {
                    Some(remedy) => format!("{} (remedy: {remedy})", reason.detail),
                    None => reason.detail.clone(),
                })
                .collect();
            let why = if reasons.is_empty() {
                "no reason given".to_owned()
            } else {
                reasons.join("; ")
            };
            troubles.push(format!(
                "group {} is {}: {why}",
                group.name, group.health.level
            ));
        }
        troubles
    }
}

/// `bcdr status`
pub(crate) fn show(status: &Status) -> String {
    let System {
        version,
        installation,
        started_at,
        ship_address,
        space,
        installation_key,
    } = &status.system;
    let mut fields = Fields::new();
    fields.field("installation", installation);
    fields.field("version", version);
    fields.field("running since", started_at);
    fields.field_if("receives at", ship_address.as_deref());
    let below = if space.below_floor {
        ": too full, new data is refused"
    } else {
        ""
    };
    fields.field(
        "space",
        format!(
            "{} free of {}, floor {}{below}",
            units::bytes(space.available_bytes),
            units::bytes(space.total_bytes),
            units::bytes(space.floor_bytes)
        ),
    );
    fields.field("installation key", installation_key);
    let mut text = format!("{fields}\n{}", group::list(&status.groups));
    let troubles = status.troubles();
    if !troubles.is_empty() {
        text.push('\n');
    }
    for trouble in troubles {
        text.push_str(&format!("! {}\n", super::plain(&trouble)));
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const SYSTEM: &str = r#"{"version":"0.1.0","installation":"ins-1","now":"2026-11-03T10:00:00.000000Z",
        "started_at":"2026-11-03T09:00:00.000000Z","ship_address":"127.0.0.1:7441","space":{"total_bytes":107374182400,
        "available_bytes":53687091200,"floor_bytes":1073741824,"below_floor":false},"installation_key":"present","capabilities":[]}"#;

    #[test]
    fn troubles_are_listed_and_nothing_is_made_up() {
        let group = group::tests::GROUP;
        let status: Status =
            serde_json::from_str(&format!(r#"{{"system":{SYSTEM},"groups":[{group}]}}"#)).unwrap();
        assert_eq!(
            show(&status),
            "installation      ins-1\n\
             version           0.1.0\n\
             running since     2026-11-03T09:00:00.000000Z\n\
             receives at       127.0.0.1:7441\n\
             space             50 GiB free of 100 GiB, floor 1 GiB\n\
             installation key  present\n\
             \n\
             GROUP  REPLICATION        HEALTH       RPO  LATEST POINT  DRILL  VOLUMES\n\
             lab    initial_sync 99 %  warning  unknown  -             none         1\n\
             \n\
             ! group lab is warning: the first copy is on its way (remedy: wait until the copy is complete)\n"
        );
    }

    #[test]
    fn a_full_disk_and_a_missing_key_are_troubles() {
        let system = SYSTEM
            .replace("false", "true")
            .replace("present", "missing");
        let status: Status =
            serde_json::from_str(&format!(r#"{{"system":{system},"groups":[]}}"#)).unwrap();
        assert_eq!(status.troubles().len(), 2, "{:?}", status.troubles());
    }
}
