//! Ten drills of one group at once: each has its machine, production goes on meanwhile, and nothing
//! of them is left.

use anyhow::{Context, ensure};
use bcdr_tests::end_to_end::{
    boot_sector,
    fixture::image,
    lab::{Lab, PATIENCE},
    processes::{listing, naming},
    tool::qemu_io,
};
use serde_json::Value;
use std::{
    fs,
    time::{Duration, Instant},
};

const DRILLS: usize = 10;
const DISK_BYTES: u64 = 32 << 20;

#[test]
fn ten_drills_of_a_group_run_at_once_beside_production() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let disk = image(work.path(), "disk.raw", DISK_BYTES)?;
    boot_sector::install(&disk)?;
    let launch = work.path().join("launch.toml");
    fs::write(&launch, boot_sector::LAUNCH)?;
    let launch = launch.to_str().context("test paths are UTF-8")?;
    let lab = Lab::up_with(
        &work.path().join("lab"),
        &[("root", &disk)],
        &["--launch", launch],
    )?;
    lab.wait_continuous()?;
    let one_more = |old: String| {
        let changed = old.replace("drills_at_once = 2", "drills_at_once = 10");
        assert_ne!(old, changed, "the lab's configuration has another form");
        changed
    };
    lab.reconfigure("cloud", one_more)?;
    lab.wait_continuous()?;
    let socket = lab.socket("root")?;
    let runtime = socket.parent().context("a socket lies in a directory")?;
    let before = listing(runtime)?;

    let mut drills = Vec::new();
    for _ in 0..DRILLS {
        let started = lab.json(&["drill", "start", "lab", "--at", "latest", "--hold", "1h"])?;
        drills.push(
            started["id"]
                .as_str()
                .context("a drill has an id")?
                .to_owned(),
        );
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let shown: Vec<Value> = drills
            .iter()
            .map(|id| lab.json(&["drill", "show", id]))
            .collect::<anyhow::Result<_>>()?;
        if shown
            .iter()
            .all(|drill| drill["progress"]["phase"] == "hold")
        {
            break;
        }
        let ended = shown.iter().find(|drill| drill["finished_at"].is_string());
        ensure!(ended.is_none(), "a drill ended early: {ended:?}");
        ensure!(Instant::now() < deadline, "not all are held: {shown:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    for id in &drills {
        ensure!(!naming(id)?.is_empty(), "drill {id} has no machine");
    }
    ensure!(
        lab.group()?["drill"]["running"] == DRILLS,
        "{}",
        lab.group()?
    );

    // Production writes, and it becomes a point.
    qemu_io(&lab.uri("root")?, &["write -P 0x5a 24M 64k", "flush"])?;
    lab.bookmark("meanwhile")?;

    for id in &drills {
        lab.json(&["drill", "stop", id])?;
    }
    for id in &drills {
        let ended = wait_for_end(&lab, id)?;
        let report = &ended["report"];
        ensure!(report["cleanup"]["complete"] == true, "{ended}");
        ensure!(report["replica"]["unchanged"] == true, "{ended}");
        let login = report["rungs"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|rung| rung["rung"] == "login");
        ensure!(
            login.is_some_and(|rung| rung["verdict"] == "passed"),
            "{ended}"
        );
        ensure!(naming(id)?.is_empty(), "drill {id} left {:?}", naming(id)?);
    }
    ensure!(listing(runtime)? == before, "{:?}", listing(runtime)?);
    ensure!(lab.group()?["drill"]["running"] == 0, "{}", lab.group()?);
    // The machines wrote to their overlays alone.
    ensure!(
        boot_sector::boots(&disk)? == 0,
        "a drill wrote to production"
    );
    lab.down()
}

fn wait_for_end(lab: &Lab, id: &str) -> anyhow::Result<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let drill = lab.json(&["drill", "show", id])?;
        if drill["finished_at"].is_string() {
            return Ok(drill);
        }
        ensure!(Instant::now() < deadline, "it does not end: {drill}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
