//! A drill of the demo, and what must be true of it.

use super::{
    production::Production,
    say::{bytes, note},
    workload::Seen,
};
use crate::end_to_end::{lab::Lab, tool};
use anyhow::{Context, ensure};
use jiff::Timestamp;
use serde_json::Value;
use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

/// The rungs of the ladder, all of which must be climbed.
const RUNGS: [&str; 7] = [
    "instance_running",
    "firmware",
    "kernel",
    "root_mounted",
    "login",
    "canary",
    "isolation",
];

/// How much later than its point a canary may claim to be: the two clocks were compared once, over
/// an emulated network.
const CLOCK_TOLERANCE_SECONDS: f64 = 0.25;

/// Copies a drill's evidence to where it outlives the site.
fn save_evidence(drill: &Path, evidence: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(evidence).with_context(|| evidence.display().to_string())?;
    let name = drill.file_name().context("evidence has a directory")?;
    let saved = evidence.join(name);
    tool::run("cp", ["-r".as_ref(), drill.as_os_str(), saved.as_os_str()])?;
    Ok(saved)
}

/// A finished drill.
#[derive(Debug)]
pub(super) struct Drill {
    at: String,
    drill: Value,
    evidence: RefCell<Option<PathBuf>>,
}

impl Drill {
    /// Drills at an instant and waits for the verdict.
    pub(super) fn run(lab: &Lab, at: &str, work: &Path, evidence: &Path) -> anyhow::Result<Self> {
        let started = lab.json(&["drill", "start", "lab", "--at", at, "--wait"])?;
        let id = started["id"].as_str().context("a drill has an id")?;
        let drill = lab.json(&["drill", "show", id])?;
        ensure!(
            drill["state"] == "passed",
            "the drill at {at} did not pass: {drill}"
        );
        let found = Self {
            at: at.to_owned(),
            drill,
            evidence: RefCell::new(None),
        };
        let saved = save_evidence(&found.find_evidence(work, id)?, evidence)?;
        *found.evidence.borrow_mut() = Some(saved);
        for rung in found.rungs() {
            note(&format!(
                "{:<17} {:<8} {:>6.1} s",
                rung["rung"].as_str().unwrap_or("?"),
                rung["verdict"].as_str().unwrap_or("?"),
                rung["at_seconds"].as_f64().unwrap_or(f64::NAN)
            ));
        }
        Ok(found)
    }

    fn report(&self) -> &Value {
        &self.drill["report"]
    }

    fn rungs(&self) -> &[Value] {
        self.report()["rungs"].as_array().map_or(&[], Vec::as_slice)
    }

    /// The point that was booted.
    pub(super) fn point(&self) -> &Value {
        &self.drill["point"]
    }

    /// When that point was.
    pub(super) fn point_time(&self) -> anyhow::Result<Timestamp> {
        Ok(self.point()["time"]
            .as_str()
            .context("a point has a time")?
            .parse()?)
    }

    /// The canary that the clone showed.
    pub(super) fn canary(&self) -> anyhow::Result<u64> {
        self.report()["canary"]["sequence"]
            .as_u64()
            .context("the clone showed no canary")
    }

    /// Checks everything that a passed drill claims against what was seen of production.
    pub(super) fn check(&self, seen: &Seen, production: &Production) -> anyhow::Result<()> {
        for name in RUNGS {
            let rung = self.rungs().iter().find(|rung| rung["rung"] == name);
            let passed = rung.is_some_and(|rung| rung["verdict"] == "passed");
            ensure!(passed, "rung {name} was not climbed: {rung:?}");
        }
        let canary = self.canary()?;
        ensure!(
            canary >= seen.durable(),
            "canary {} was durable before the point, the clone has only {canary}: data is missing",
            seen.durable()
        );
        let behind = self.report()["canary"]["behind_point_seconds"].as_f64();
        let behind = behind.context("the canary was not compared with its point")?;
        ensure!(
            behind >= -CLOCK_TOLERANCE_SECONDS,
            "the clone holds a canary {} s younger than its point",
            -behind
        );
        ensure!(
            self.report()["isolation"]["verdict"] == "isolated",
            "the clone was not isolated"
        );
        ensure!(
            self.report()["cleanup"]["complete"] == true,
            "the drill left something behind"
        );
        ensure!(
            self.report()["replica"]["unchanged"] == true,
            "the drill changed the replica: {}",
            self.report()["replica"]
        );
        production.require_service()?;
        note(&format!(
            "canary {canary} in the clone, {} known durable in production",
            seen.durable()
        ));
        Ok(())
    }

    fn find_evidence(&self, work: &Path, id: &str) -> anyhow::Result<PathBuf> {
        let directory = work.join("site/cloud/evidence").join(id);
        for entry in self.report()["evidence"].as_array().into_iter().flatten() {
            let name = entry["name"].as_str().context("evidence has a name")?;
            let path = directory.join(name);
            let length = std::fs::metadata(&path)
                .with_context(|| path.display().to_string())?
                .len();
            ensure!(
                Some(length) == entry["bytes"].as_u64(),
                "{} is not whole",
                path.display()
            );
        }
        let screenshot = std::fs::read(directory.join("screenshot.png"))?;
        ensure!(
            screenshot.starts_with(b"\x89PNG"),
            "the screenshot is no picture"
        );
        Ok(directory)
    }

    /// The drill's part of the report.
    pub(super) fn table(&self) -> anyhow::Result<String> {
        let times = &self.report()["recovery_times"];
        let phase = |name: &str| {
            times[name]
                .as_f64()
                .map_or_else(|| "not run".to_owned(), |s| format!("{s:.1} s"))
        };
        let canary = &self.report()["canary"];
        let evidence = self.evidence.borrow().clone().unwrap_or_default();
        Ok(format!(
            "  drill at {}\n    point                  {} of {}\n    canary                 {} written {}, {:.2} s before the point\n    RTO                    machine {}, firmware {}, kernel {}, root {}, login {}\n    written by the clone   {}\n    evidence               {}\n",
            self.at,
            self.point()["id"].as_str().unwrap_or("?"),
            self.point()["time"].as_str().unwrap_or("?"),
            self.canary()?,
            canary["time"].as_str().unwrap_or("?"),
            canary["behind_point_seconds"].as_f64().unwrap_or(f64::NAN),
            phase("instance_running_seconds"),
            phase("firmware_seconds"),
            phase("kernel_seconds"),
            phase("root_mounted_seconds"),
            phase("login_seconds"),
            bytes(self.report()["overlay_bytes"].as_u64().unwrap_or(0)),
            evidence.display(),
        ))
    }
}
