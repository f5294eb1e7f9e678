//! What people need to fail a group over with nothing but paper in hand. Plain data.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The runbook of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runbook {
    /// When it was printed.
    pub printed_at: Timestamp,
    /// The installation.
    pub installation: String,
    /// The group's id.
    pub group: String,
    /// The group's name.
    pub group_name: String,
    /// Its stream.
    pub stream: String,
    /// Its fencing number when this was printed.
    pub generation: u64,
    /// Its volumes, in the order of the machine's disks.
    pub volumes: Vec<RunbookVolume>,
    /// Where the API of the cloud side listens.
    pub api_address: String,
    /// Where gateways reach the cloud side.
    pub ship_address: String,
    /// Where the cloud side keeps its state.
    pub state_directory: String,
    /// Where evidence and reports are.
    pub evidence_directory: String,
    /// How the machine is started, as TOML for a launch settings file.
    pub launch_settings: String,
    /// The last point that a drill proved; absent when none did.
    pub last_proof: Option<LastProof>,
    /// Who is to be called, as the configuration says.
    pub contacts: Option<String>,
}

/// A volume of a runbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunbookVolume {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its size in bytes, if it is known.
    pub size_bytes: Option<u64>,
}

/// The last point that a drill proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastProof {
    /// The point.
    pub point: String,
    /// Its time.
    pub time: Option<Timestamp>,
    /// The drill.
    pub drill: String,
    /// When it ended.
    pub at: Timestamp,
    /// How long the machine took to be usable.
    pub rto_ms: Option<u64>,
}

/// Something to do, in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    /// The name under which the languages say what it is for.
    pub(crate) name: &'static str,
    /// What to type.
    pub(crate) commands: Vec<String>,
}

impl Runbook {
    /// What to do, in order.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let step = |name, commands: &[String]| Step {
            name,
            commands: commands.to_vec(),
        };
        let group = quoted(&self.group_name);
        let exports: Vec<String> = self
            .volumes
            .iter()
            .map(|volume| {
                let name = quoted(&volume.name);
                let file = quoted(&format!("{}.raw", volume.name));
                format!("bcdr point export {group} --volume {name} --at latest --to {file}")
            })
            .collect();
        vec![
            step("interruption", &[]),
            step("fence", &[]),
            step(
                "reach",
                &[
                    "export BCDR_CONTEXT=CONTEXT.toml".to_owned(),
                    "bcdr status".to_owned(),
                ],
            ),
            step("serve", &["bcdr cloud run --config CLOUD.toml".to_owned()]),
            step(
                "choose",
                &[
                    format!("bcdr group show {group}"),
                    format!("bcdr point list {group} --limit 20"),
                ],
            ),
            step(
                "start",
                &[format!(
                    "bcdr failover start {group} --mode emergency --at latest --confirm {group} --wait"
                )],
            ),
            step("look", &[]),
            step(
                "settle",
                &[
                    format!("bcdr failover list --group {group}"),
                    format!("bcdr failover commit fov-… --confirm {group}"),
                    format!("bcdr failover rollback fov-… --confirm {group}"),
                ],
            ),
            step("by_hand", &exports),
        ]
    }
}

/// A word as a shell takes it for one.
fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("lab-1_a.raw"), "lab-1_a.raw");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's; rm"), r"'it'\''s; rm'");
        assert_eq!(quoted(""), "''");
    }
}
