//! What the runbook of a group says.

use crate::{
    config::CloudConfig, drills::DrillRecord, groups::Group, reports::of_drill::milliseconds,
};
use bcdr_format::InstallationId;
use bcdr_report::{LastProof, Runbook, RunbookVolume};

/// Where everything is, as the configuration says.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) installation: InstallationId,
    pub(crate) api_address: String,
    pub(crate) ship_address: String,
    pub(crate) state_directory: String,
    pub(crate) evidence_directory: String,
}

impl Places {
    pub(crate) fn of(config: &CloudConfig, installation: InstallationId) -> Self {
        // An address that stands for all of a host is of no use on another.
        let api_address = match config.api_names.first() {
            Some(name) => format!("{name}:{}", config.listen_api.port()),
            None => config.listen_api.to_string(),
        };
        Self {
            installation,
            api_address,
            ship_address: config.listen_ship.to_string(),
            state_directory: config.state_directory.display().to_string(),
            evidence_directory: config.evidence_directory().display().to_string(),
        }
    }
}

/// The runbook of a group now, with what its last drill that passed proved.
pub(crate) fn runbook(
    places: &Places,
    group: &Group,
    proof: Option<&DrillRecord>,
    contacts: Option<&str>,
    now: jiff::Timestamp,
) -> Runbook {
    let record = group.record();
    let settings = proof
        .map(|drill| drill.settings.clone())
        .unwrap_or_default();
    let volume = |volume: &crate::catalog::VolumeRecord| RunbookVolume {
        id: volume.id.to_string(),
        name: volume.name.clone(),
        size_bytes: volume.size_bytes,
    };
    Runbook {
        printed_at: now,
        installation: places.installation.to_string(),
        group: record.id.to_string(),
        group_name: record.name.clone(),
        stream: record.stream.to_string(),
        generation: group.stored.borrow().generation.0,
        volumes: record.volumes.iter().map(volume).collect(),
        api_address: places.api_address.clone(),
        ship_address: places.ship_address.clone(),
        state_directory: places.state_directory.clone(),
        evidence_directory: places.evidence_directory.clone(),
        launch_settings: toml::to_string(&settings)
            .expect("settings are plain data, as a test of theirs shows"),
        last_proof: proof.and_then(last_proof),
        contacts: contacts.map(str::to_owned),
    }
}

fn last_proof(drill: &DrillRecord) -> Option<LastProof> {
    let report = drill.report.as_ref()?;
    Some(LastProof {
        point: drill.point.to_string(),
        time: report.point.time,
        drill: drill.id.to_string(),
        at: report.finished_at,
        rto_ms: report.recovery_times.login_seconds.map(milliseconds),
    })
}
