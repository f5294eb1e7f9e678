//! The demo: a Debian machine runs from a captured disk, dies, and is booted from its replica, at a
//! chosen instant and at the latest point, in isolated drills.
//!
//! Every claim it prints was checked; one that is not true ends it with an error. The steps are in
//! [`run`]; [`production`] is the machine that dies, [`recovery`] the drills and what they prove,
//! [`samples`] what is measured on the way, [`leftovers`] the proof that nothing is left.

pub mod failover;
mod leftovers;
mod production;
mod recovery;
mod samples;
mod say;
mod workload;

use crate::end_to_end::{
    lab::{Lab, wait_for},
    tool,
};
use anyhow::{Context, ensure};
use production::Production;
use recovery::Drill;
use samples::Samples;
use say::{bytes, heading, note};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const LAUNCH: &str = include_str!("../demo/launch.toml");
/// Canary lines that must be on the disk before the bookmark, between it and the chosen instant,
/// and between that and the disaster.
const CANARIES_EACH: u64 = 40;

/// Runs the demo with a copy of the bootable image `disk`; the drills' serial logs, screenshots and
/// reports are saved in `evidence`.
///
/// # Errors
/// When anything the demo claims is not true.
pub fn run(disk: &Path, evidence: &Path, keep: bool) -> anyhow::Result<()> {
    let started = Instant::now();
    let work = work_directory()?;
    let outcome = main_job(disk, &work, evidence, keep);
    if keep && outcome.is_ok() {
        return Ok(());
    }
    let kept = outcome.is_err().then(|| keep_evidence(&work)).flatten();
    let left = leftovers::remove_and_prove(&work);
    if let Some(kept) = kept {
        note(&format!(
            "logs and evidence of the failed run: {}",
            kept.display()
        ));
    }
    outcome?;
    left?;
    note("nothing is left: no process, no mount, no file");
    heading(&format!("done in {:.0} s", started.elapsed().as_secs_f64()));
    Ok(())
}

fn work_directory() -> anyhow::Result<PathBuf> {
    let work = tempfile::Builder::new().prefix("bcdr-demo-").tempdir()?;
    Ok(work.keep())
}

fn main_job(disk: &Path, work: &Path, evidence: &Path, keep: bool) -> anyhow::Result<()> {
    heading("A site on one machine");
    let image = work.join("production.raw");
    tool::run(
        "cp",
        [
            "--sparse=always".as_ref(),
            disk.as_os_str(),
            image.as_os_str(),
        ],
    )?;
    let launch = work.join("launch.toml");
    std::fs::write(&launch, LAUNCH)?;
    let launch = launch
        .to_str()
        .context("temporary directories have UTF-8 names")?;
    let lab = Lab::up_with(
        &work.join("site"),
        &[("root", &image)],
        &["--launch", launch],
    )?;
    for role in lab.report()["roles"].as_array().into_iter().flatten() {
        note(&format!(
            "{:<8} process {}",
            role["name"].as_str().unwrap_or("?"),
            role["pid"]
        ));
    }
    note(&format!("volume root is served at {}", lab.uri("root")?));

    heading("Production boots from the captured disk");
    let mut production = Production::boot(disk, work, &lab.socket("root")?)?;
    samples::show_initial_sync(&lab)?;
    production.wait_for_workload()?;
    production.require_network()?;
    let samples = Samples::start(&lab)?;
    let first = production.wait_for_canaries(CANARIES_EACH)?;
    note(&format!(
        "the workload has written and fsynced {first} canaries"
    ));
    let bookmark = lab.bookmark("before-the-disaster")?;
    let bookmark = bookmark["id"]
        .as_str()
        .context("a bookmark has an id")?
        .to_owned();
    note(&format!("bookmark before-the-disaster is point {bookmark}"));
    production.wait_for_canaries(first + CANARIES_EACH)?;
    let chosen = say::now();
    note(&format!("the instant to go back to later: {chosen}"));
    production.wait_for_canaries(first + 2 * CANARIES_EACH)?;

    heading("The disaster: production is killed");
    let seen = production.kill()?;
    let measured = samples.stop();
    wait_drained(&lab)?;
    let latest = lab.json(&["point", "list", "lab", "--limit", "1"])?;
    let latest = latest["items"][0]["id"]
        .as_str()
        .context("a point has an id")?;
    ensure!(latest != bookmark, "the latest point is the bookmark");

    heading("Drills: two clones, isolated, while the site stays up");
    let before = Drill::run(&lab, &chosen, work, evidence)?;
    ensure!(
        before.point()["id"] != bookmark.as_str(),
        "the chosen instant is a bookmark: it proves nothing about any instant"
    );
    before.check(&seen.before(before.point_time()?), &production)?;
    let last = Drill::run(&lab, "latest", work, evidence)?;
    last.check(&seen, &production)?;
    ensure!(
        last.canary()? > before.canary()?,
        "the later point has no later canary: {} and {}",
        last.canary()?,
        before.canary()?
    );

    heading("Replica and source are equal");
    let digest = equal_digests(&lab, &image, work)?;
    note(&format!("SHA-256 of both: {digest}"));

    let report = summary(&lab, &measured, &[&before, &last])?;
    heading("Report");
    print!("{report}");
    if keep {
        print_how_to_use(&lab, work);
        production.forget();
        std::mem::forget(lab);
        return Ok(());
    }
    production.end()?;
    lab.down()
}

/// Waits until all that the capture has sequenced by now is durable cloud-side; no bookmark is placed,
/// so the latest point is what production's last write made it. What it told before does not count:
/// its reports are up to a second old.
fn wait_drained(lab: &Lab) -> anyhow::Result<()> {
    let now = jiff::Timestamp::now();
    wait_for("everything to be durable cloud-side", || {
        let group = lab.group()?;
        let reported = group["capture"]["reported_at"].as_str();
        let reported: Option<jiff::Timestamp> = reported.and_then(|at| at.parse().ok());
        let sequenced = position(&group["positions"]["sequenced"]);
        let durable = position(&group["positions"]["durable"]);
        Ok(reported > Some(now) && sequenced.is_some() && durable >= sequenced)
    })
}

/// An incarnation and a sequence in it.
fn position(text: &Value) -> Option<(u64, u64)> {
    let (ordinal, sequence) = text.as_str()?.split_once('-')?;
    Some((ordinal.parse().ok()?, sequence.parse().ok()?))
}

fn equal_digests(lab: &Lab, source: &Path, work: &Path) -> anyhow::Result<String> {
    let replica = work.join("replica.raw");
    lab.export("root", "latest", &replica)?;
    let digest = |path: &Path| -> anyhow::Result<String> {
        let printed = tool::run("sha256sum", [path])?;
        Ok(printed
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned())
    };
    let (ours, theirs) = (digest(&replica)?, digest(source)?);
    std::fs::remove_file(&replica)?;
    ensure!(
        ours == theirs,
        "the replica's digest is {ours}, the source's {theirs}"
    );
    Ok(ours)
}

fn summary(lab: &Lab, measured: &samples::Measured, drills: &[&Drill]) -> anyhow::Result<String> {
    let group = lab.group()?;
    let written = group["volumes"][0]["written_bytes"].as_u64();
    let mut text = measured.table();
    text += &format!(
        "  written by production    {}\n  sent to the receiver     {}, the initial sync included\n",
        written.map_or_else(|| "unknown".to_owned(), bytes),
        bytes(samples::sent_bytes(lab)?),
    );
    for drill in drills {
        text += &drill.table()?;
    }
    Ok(text)
}

fn print_how_to_use(lab: &Lab, work: &Path) {
    let context = lab.directory().join("context.toml");
    let of_lab = |field: &str| {
        let value = lab.report()[field].as_str();
        value.unwrap_or("unknown: see bcdr lab status").to_owned()
    };
    println!(
        "\nThe site is left up.\n  in a browser: {}\n  its certificate is the site's own: {}\n  the first user is made with this secret, once: {}\nOr in a shell:\n  export BCDR_CONTEXT={}\n  bcdr status\n  bcdr point list lab\n  bcdr drill start lab --at latest --wait\n  bcdr lab down --dir {}\nEverything is in {}; remove it when done.",
        of_lab("console"),
        lab.report()["api"]["ca"].as_str().unwrap_or_default(),
        of_lab("setup_secret").trim(),
        context.display(),
        lab.directory().display(),
        work.display()
    );
}

/// Copies logs and evidence out of a failed run's directory.
fn keep_evidence(work: &Path) -> Option<PathBuf> {
    let kept = std::env::temp_dir().join(format!("bcdr-demo-failed-{}", std::process::id()));
    std::fs::create_dir_all(&kept).ok()?;
    for part in ["site/log", "site/cloud/evidence", "production.log"] {
        let from = work.join(part);
        if from.exists() {
            tool::run("cp", ["-r".as_ref(), from.as_os_str(), kept.as_os_str()]).ok()?;
        }
    }
    Some(kept)
}

/// How long the machine may take to come up under emulation on a busy computer.
const BOOT_PATIENCE: Duration = Duration::from_secs(240);
