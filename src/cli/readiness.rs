//! `bcdr point readiness`: whether a point would boot, said from its disks.

use super::{
    Failure, arguments,
    client::Path,
    document::Document,
    exit,
    global::Session,
    table::{self, readiness::PointReadiness},
    wait::{self, Patience},
};
use clap::{Args, ValueEnum};
use std::time::Duration;

/// An inspection reads some tens of megabytes; one of another group may be before it.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The group's name or id
    group: String,
    #[command(flatten)]
    at: arguments::AtArgument,
    /// Inspect the point now, instead of showing what its last inspection said
    #[arg(long)]
    now: bool,
    /// Inspect for a machine with this firmware; as the last time when not given, BIOS at first
    #[arg(long, value_name = "FIRMWARE", value_enum, requires = "now")]
    firmware: Option<Firmware>,
    /// Inspect for a machine whose disks are attached so; as the last time when not given, virtio
    /// at first
    #[arg(long, value_name = "BUS", value_enum, requires = "now")]
    disk_bus: Option<DiskBus>,
    /// Inspect for a machine with so many network cards; as the last time when not given, 1 at first
    #[arg(long, value_name = "N", requires = "now")]
    network_cards: Option<u32>,
    /// End with exit code 8 unless the point is ready
    #[arg(long)]
    check: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Firmware {
    Bios,
    Uefi,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DiskBus {
    Virtio,
    Ahci,
}

impl Arguments {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        let path = Path::new("groups")
            .item(&self.group)
            .item("points")
            .item(&self.at.at)
            .item("readiness");
        if self.now {
            let path = self.inspect(session, &path)?;
            return self.show(session, &session.client.get(&path)?);
        }
        self.show(session, &session.client.get(&path)?)
    }

    /// Has the point inspected, and says where its report is: `latest` may be another point by then.
    fn inspect(&self, session: &Session, path: &Path) -> Result<Path, Failure> {
        let name = |value: Option<clap::builder::PossibleValue>| {
            value.map(|value| value.get_name().to_owned())
        };
        let mut body = serde_json::Map::new();
        if let Some(firmware) = name(self.firmware.and_then(|one| one.to_possible_value())) {
            body.insert("firmware".to_owned(), firmware.into());
        }
        if let Some(bus) = name(self.disk_bus.and_then(|one| one.to_possible_value())) {
            body.insert("disk_bus".to_owned(), bus.into());
        }
        if let Some(cards) = self.network_cards {
            body.insert("network_cards".to_owned(), cards.into());
        }
        let body = serde_json::Value::Object(body);
        let job: wait::Job = session.client.post_repeatably(path, &body)?.read()?;
        let activity = session.progress.spinner("inspecting the point's disks");
        let patience = Patience::new(PATIENCE);
        let (document, job) =
            wait::for_job(&session.client, &job.id, patience, &activity, |_| Ok(()))?;
        drop(activity);
        job.verdict()?;
        let inspected: Inspected = document.read()?;
        Ok(Path::new("groups")
            .item(&self.group)
            .item("points")
            .item(&inspected.subject)
            .item("readiness"))
    }

    fn show(&self, session: &Session, document: &Document) -> Result<(), Failure> {
        session.output.show(document, table::readiness::show)?;
        if self.check {
            return verdict(&document.read()?);
        }
        Ok(())
    }
}

/// The job of an inspection: it is about a point.
#[derive(serde::Deserialize)]
struct Inspected {
    subject: String,
}

fn verdict(point: &PointReadiness) -> Result<(), Failure> {
    if point.report.readiness == "ready" {
        return Ok(());
    }
    Err(Failure::new(
        exit::DEGRADED,
        format!(
            "point {} is {}",
            point.point,
            point.report.readiness.replace('_', " ")
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use table::readiness::tests::NOT_READY;

    #[test]
    fn only_a_ready_point_passes_the_check() {
        let failure = verdict(&serde_json::from_str(NOT_READY).unwrap()).unwrap_err();
        assert_eq!(failure.code(), exit::DEGRADED);
        assert_eq!(failure.to_string(), "point 2-48211 is not ready");
        let unknown = NOT_READY.replace("\"not_ready\"", "\"unknown\"");
        assert!(verdict(&serde_json::from_str(&unknown).unwrap()).is_err());
        let ready = NOT_READY.replace("\"not_ready\"", "\"ready\"");
        assert!(verdict(&serde_json::from_str(&ready).unwrap()).is_ok());
    }
}
