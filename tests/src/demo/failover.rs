//! The way there and back: production dies with its host, runs on at the target from a chosen
//! instant, comes home with what it wrote meanwhile, and is protected forwards again.

use super::{
    LAUNCH, equal_digests, keep_evidence, leftovers,
    production::Production,
    samples,
    say::{self, bytes, heading, note},
    wait_drained, work_directory,
    workload::WorkloadLog,
};
use crate::end_to_end::{
    lab::{Lab, wait_for},
    tool,
};
use anyhow::{Context, ensure};
use serde_json::Value;
use std::{path::Path, time::Instant};

/// Canaries written in each part of the story.
const CANARIES_EACH: u64 = 40;

/// Runs the story with a copy of the bootable image `disk`.
///
/// # Errors
/// When anything it claims is not true.
pub fn run(disk: &Path) -> anyhow::Result<()> {
    let started = Instant::now();
    let work = work_directory()?;
    let outcome = story(disk, &work);
    let kept = outcome.is_err().then(|| keep_evidence(&work)).flatten();
    let left = leftovers::remove_and_prove(&work);
    if let Some(kept) = kept {
        note(&format!("logs of the failed run: {}", kept.display()));
    }
    outcome?;
    left?;
    note("nothing is left: no process, no mount, no file");
    heading(&format!("done in {:.0} s", started.elapsed().as_secs_f64()));
    Ok(())
}

fn story(disk: &Path, work: &Path) -> anyhow::Result<()> {
    heading("A site on one machine; production boots from the captured disk");
    let image = work.join("production.raw");
    let copy = [
        "--sparse=always".as_ref(),
        disk.as_os_str(),
        image.as_os_str(),
    ];
    tool::run("cp", copy)?;
    let launch = work.join("launch.toml");
    std::fs::write(&launch, LAUNCH)?;
    let launch = launch.to_str().context("names are UTF-8")?;
    let site = work.join("site");
    let lab = Lab::up_with(&site, &[("root", &image)], &["--launch", launch])?;
    let mut production = Production::boot(disk, work, &lab.socket("root")?)?;
    samples::show_initial_sync(&lab)?;
    production.wait_for_workload()?;
    let first = production.wait_for_canaries(CANARIES_EACH)?;
    let chosen = say::now();
    note(&format!(
        "{first} canaries are durable; the instant to recover is {chosen}"
    ));
    production.wait_for_canaries(first + CANARIES_EACH)?;

    heading("The disaster: production and its capture are killed");
    let interrupted_at = say::now();
    let seen = production.kill()?;
    wait_drained(&lab)?;
    lab.hold_down("capture")?;

    heading("Emergency failover to the chosen instant");
    let pressed = Instant::now();
    let started = lab.json(&[
        "failover",
        "start",
        "lab",
        "--mode",
        "emergency",
        "--at",
        &chosen,
        "--interrupted-at",
        &interrupted_at,
        "--confirm",
        "lab",
        "--wait",
    ])?;
    let failover = Failover(started);
    failover.show(pressed.elapsed().as_secs_f64());
    ensure!(
        failover.0["ladder"]["passed"] == true,
        "a rung failed: {}",
        failover.0["ladder"]
    );
    let point_time = failover.id("point_time")?;
    let known = seen.before(point_time.parse()?).durable();
    let recovered = failover.id("instance")?;
    let console = site
        .join("cloud/evidence")
        .join(&recovered)
        .join("serial.log");
    let canary = canary_of(&console)?;
    ensure!(
        canary >= known,
        "canary {known} was durable at the point's time, the machine has only {canary}"
    );
    ensure!(
        canary < seen.durable(),
        "the machine has canary {canary}, written after the chosen instant"
    );
    note(&format!(
        "canary {canary} on the recovered disk, {known} known durable at the point's time {point_time}"
    ));

    heading("Work goes on at the target; the failover is committed");
    let mut there = WorkloadLog::new(console);
    let worked = there.wait_for(canary + CANARIES_EACH, || Ok(None))?;
    let id = failover.id("id")?;
    lab.json(&["failover", "commit", &id, "--confirm", "lab", "--wait"])?;
    note(&format!(
        "{worked} canaries at the target; production belongs there"
    ));

    heading("The source comes back: read-only");
    lab.let_up("capture")?;
    wait_for("the source to stand by", || {
        Ok(lab.group()?["capture"]["standing"]["serving"] == "read_only")
    })?;
    let write = ["-f", "raw", "-c", "write 0 4k", &lab.uri("root")?].map(str::to_owned);
    ensure!(
        tool::run("qemu-io", write.iter().map(String::as_str)).is_err(),
        "the disk of a source that stands by took a write"
    );
    let placement = lab.json(&["placement", "show", "lab"])?;
    ensure!(
        placement["state"] == "target_active",
        "the placement is {placement}"
    );
    note("its disk can be read and takes no writes");

    heading("Failback: what home wrote is kept, its disk follows the target");
    let home = lab.json(&[
        "failback",
        "start",
        "lab",
        "--seed",
        "original-disk",
        "--wait",
    ])?;
    let failback = text(&home, "id")?;
    let serial = home["disks"][0]["serial"]
        .as_str()
        .context("a disk has a serial")?;
    note(&format!("the disk at home is {serial}"));
    let disk_at_home = format!("root={serial}");
    let seeded = lab.json(&[
        "failback",
        "confirm",
        &failback,
        "--disk",
        &disk_at_home,
        "--wait",
    ])?;
    let left_behind = seeded["left_behind"].as_str();
    let left_behind = left_behind.context("what production wrote after the fork was not kept")?;
    note(&format!(
        "what home wrote after the fork is kept as branch {left_behind}"
    ));
    let size = seeded["disks"][0]["size_bytes"].as_u64().unwrap_or(0);
    let sent = seeded["sent_bytes"].as_u64().unwrap_or(u64::MAX);
    note(&format!(
        "sent {} of a disk of {}",
        bytes(sent),
        bytes(size)
    ));
    ensure!(sent < size, "the whole disk was sent");
    let last = there.wait_for(worked + CANARIES_EACH, || Ok(None))?;

    heading("Cutover: the machine at the target is shut down, home is compared by digest");
    let pressed = Instant::now();
    let cut = lab.json(&[
        "failback",
        "cutover",
        &failback,
        "--confirm",
        "lab",
        "--wait",
    ])?;
    note(&format!(
        "home serves after {:.1} s",
        pressed.elapsed().as_secs_f64()
    ));
    ensure!(
        cut["proven_equal"] == true,
        "home was not proven equal to the target"
    );
    show_steps(&cut);
    let last = last.max(there.seen()?.durable());

    heading("Production boots at home, with all that was written at the target");
    production.end()?;
    let home = work.join("home");
    std::fs::create_dir_all(&home)?;
    let mut production = Production::boot(disk, &home, &lab.socket("root")?)?;
    let home_canary = production.wait_for_canaries(last + 1)?;
    ensure!(
        home_canary > last,
        "home has canary {home_canary}, the target had {last}"
    );
    lab.json(&[
        "failback",
        "commit",
        &failback,
        "--confirm",
        "lab",
        "--wait",
    ])?;
    let placement = lab.json(&["placement", "show", "lab"])?;
    ensure!(
        placement["state"] == "source_active",
        "the placement is {placement}"
    );
    lab.wait_continuous()?;
    // The source's capture was started anew since the disaster, and has copied nothing else.
    let read = lab.capture_metric("bcdr_group_sync_read_bytes_total")? as u64;
    ensure!(
        read > 0 && read < size / 4,
        "{read} bytes of a disk of {size} were read to protect it forwards again"
    );
    note(&format!(
        "protected forwards again after reading {} of a disk of {}",
        bytes(read),
        bytes(size)
    ));
    production.wait_for_canaries(home_canary + CANARIES_EACH)?;
    note(&format!(
        "canaries go on from {last}; generation {}",
        placement["generation"]
    ));

    heading("Protected forwards again: replica and source are equal");
    let seen = production.kill()?;
    wait_drained(&lab)?;
    ensure!(seen.durable() > home_canary, "home wrote nothing");
    let digest = equal_digests(&lab, &image, work)?;
    note(&format!("SHA-256 of both: {digest}"));
    production.end()?;
    lab.down()
}

/// A failover as the command line showed it.
struct Failover(Value);

impl Failover {
    fn id(&self, field: &str) -> anyhow::Result<String> {
        text(&self.0, field)
    }

    /// The recovery time by phase.
    fn show(&self, whole_seconds: f64) {
        show_steps(&self.0);
        for rung in self.0["ladder"]["rungs"].as_array().into_iter().flatten() {
            if let Some(at) = rung["at_seconds"].as_f64() {
                note(&format!(
                    "rung {:<18} {at:>7.2} s after the launch",
                    rung["rung"].as_str().unwrap_or("?")
                ));
            }
        }
        note(&format!(
            "RTO from the command to the last rung: {whole_seconds:.1} s"
        ));
    }
}

fn show_steps(job: &Value) {
    for step in job["steps"].as_array().into_iter().flatten() {
        if let Some(seconds) = step["seconds"].as_f64() {
            note(&format!(
                "step {:<18} {seconds:>7.2} s",
                step["step"].as_str().unwrap_or("?")
            ));
        }
    }
}

fn text(document: &Value, field: &str) -> anyhow::Result<String> {
    let found = document[field].as_str();
    Ok(found
        .with_context(|| format!("there is no {field}: {document}"))?
        .to_owned())
}

/// The last canary that the machine found on its disk when it booted.
fn canary_of(console: &Path) -> anyhow::Result<u64> {
    let printed = std::fs::read(console).with_context(|| console.display().to_string())?;
    let printed = String::from_utf8_lossy(&printed).into_owned();
    let line = printed
        .lines()
        .find(|line| line.contains("BCDR-CANARY last="));
    line.and_then(|line| line.split_once("sequence="))
        .and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok())
        .context("the recovered machine showed no canary")
}
