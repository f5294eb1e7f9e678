//! A restore in place on a lab: the source's own disks go back to a point and forth again, a write in
//! between is refused, and neither a kill of the capture nor one of the cloud side stops it.

use anyhow::{Context, bail, ensure};
use bcdr_tests::end_to_end::{
    fixture::{export_all, image, same_bytes},
    lab::{Lab, PATIENCE},
    tool::{self, qemu_io},
};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const ROOT_BYTES: u64 = 128 << 20;
const DATA_BYTES: u64 = 16 << 20;
/// Restores that may be over before they are met in the middle.
const MISSED_MAX: usize = 8;
/// What the capture read for the stream, since its process began.
const SYNC_READ: &str = "bcdr_group_sync_read_bytes_total";
/// Exit code of a command that is not confirmed, or not allowed.
const REFUSED: [i32; 2] = [2, 4];

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("test paths are UTF-8")
}

struct Site {
    lab: Lab,
    work: tempfile::TempDir,
    disks: [(&'static str, PathBuf); 2],
}

impl Site {
    fn up() -> anyhow::Result<Self> {
        let work = tempfile::tempdir()?;
        let root = image(work.path(), "root.raw", ROOT_BYTES)?;
        let data = image(work.path(), "data.raw", DATA_BYTES)?;
        let lab = Lab::up(
            &work.path().join("lab"),
            &[("root", &root), ("data", &data)],
        )?;
        lab.wait_continuous()?;
        Ok(Self {
            lab,
            work,
            disks: [("root", root), ("data", data)],
        })
    }

    fn write(&self, volume: &str, commands: &[&str]) -> anyhow::Result<()> {
        let all: Vec<&str> = commands.iter().copied().chain(["flush"]).collect();
        qemu_io(&self.lab.uri(volume)?, &all)
    }

    /// Bookmarks what the disks hold, and keeps a copy of it.
    fn keep(&self, label: &str) -> anyhow::Result<()> {
        self.lab.bookmark(label)?;
        for (name, disk) in &self.disks {
            fs::copy(disk, self.work.path().join(format!("{label}-{name}.kept")))?;
        }
        Ok(())
    }

    /// The disks hold what was kept, and so does the newest point of them.
    fn require(&self, kept: &str) -> anyhow::Result<()> {
        for (name, disk) in &self.disks {
            same_bytes(disk, &self.work.path().join(format!("{kept}-{name}.kept")))?;
        }
        let now = format!("still-{kept}");
        self.lab.bookmark(&now)?;
        let exports = export_all(&self.lab, &now, &["root", "data"], self.work.path())?;
        for ((_, disk), export) in self.disks.iter().zip(exports) {
            same_bytes(disk, &export)?;
        }
        Ok(())
    }

    fn show(&self, id: &str) -> anyhow::Result<Value> {
        self.lab.json(&["restore", "show", id])
    }

    /// Waits until a restore is as wanted, also while the API is away.
    fn until(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.show(id);
            if let Ok(shown) = &shown
                && wanted(shown)
            {
                return Ok(shown.clone());
            }
            ensure!(Instant::now() < deadline, "waited too long: {shown:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A restore to `at` whose disks are being worked on, which cannot go on: its gateway is stopped.
    fn stopped_in_the_middle(&self, at: &str) -> anyhow::Result<String> {
        let works =
            |restore: &Value| restore["step"] == "restore_disks" && restore["stage"] == "working";
        for _ in 0..MISSED_MAX {
            let start = ["restore", "start", "lab", "--at", at, "--confirm", "lab"];
            let id = id_of(&self.lab.json(&start)?)?;
            self.until(&id, |restore| works(restore) || restore["end"].is_string())?;
            self.lab.signal("gateway", Signal::STOP)?;
            if works(&self.show(&id)?) {
                return Ok(id);
            }
            self.lab.signal("gateway", Signal::CONT)?;
            self.ended(&id, "restored")?;
            self.lab
                .json(&["restore", "undo", &id, "--confirm", "lab", "--wait"])?;
        }
        bail!("every restore was over before it was met in the middle")
    }

    fn ended(&self, id: &str, end: &str) -> anyhow::Result<Value> {
        let restore = self.until(id, |restore| {
            restore["end"].is_string() || restore["stage"] == "blocked"
        })?;
        ensure!(restore["end"] == end, "{restore}");
        Ok(restore)
    }
}

fn id_of(restore: &Value) -> anyhow::Result<String> {
    let id = restore["id"].as_str().context("a restore without an id")?;
    Ok(id.to_owned())
}

#[test]
fn disks_go_back_to_a_point_and_forth_again_whatever_dies_meanwhile() -> anyhow::Result<()> {
    let site = Site::up()?;
    let lab = &site.lab;
    site.write("root", &["write -P 0xa1 0 2M", "write -P 0xa2 64M 1M"])?;
    site.write("data", &["write -P 0xa3 1M 1M"])?;
    site.keep("a")?;
    site.write("root", &["write -P 0xb1 1M 2M", "write -P 0xb2 100M 1M"])?;
    site.write("data", &["write -z 1M 512k", "write -P 0xb3 8M 64k"])?;
    site.keep("b")?;

    let preview = lab.json(&["restore", "preview", "lab", "--at", "a"])?;
    ensure!(
        preview["allowed_actions"][0]["allowed"] == true,
        "{preview}"
    );
    let differs: u64 = preview["volumes"]
        .as_array()
        .context("volumes")?
        .iter()
        .filter_map(|volume| volume["may_differ_bytes"].as_u64())
        .sum();
    ensure!(differs >= (3 << 20) + (64 << 10), "{preview}");
    for arguments in [
        vec!["restore", "start", "lab", "--at", "a"],
        vec!["restore", "start", "lab", "--at", "a", "--confirm", "root"],
    ] {
        let ended = lab.try_command(&arguments)?;
        let is_refused = REFUSED.contains(&ended.code) || ended.error.contains("not_confirmed");
        ensure!(ended.code != 0 && is_refused, "{ended:?}");
    }

    // In the middle of the work nothing goes on: then whoever writes is refused, and the capture dies.
    let id = site.stopped_in_the_middle("a")?;
    let uri = lab.uri("root")?;
    let write = ["-f", "raw", "-c", "write -P 0xee 0 64k", &uri];
    let refused = tool::output("qemu-io", write)?;
    ensure!(!refused.status.success(), "a write was taken: {refused:?}");
    lab.kill("capture")?;
    lab.kill("cloud")?;
    lab.signal("gateway", Signal::CONT)?;
    let restore = site.ended(&id, "restored")?;
    lab.wait_continuous()?;
    // Protected again without having read all of the disks: the capture was started anew since.
    let read = lab.capture_metric(SYNC_READ)?;
    ensure!(read >= f64::from(3 << 20), "only {read} bytes were read");
    ensure!(
        read <= f64::from(12 << 20),
        "{read} bytes were read of {}",
        ROOT_BYTES + DATA_BYTES
    );
    site.require("a")?;
    qemu_io(&uri, &["read -P 0 100M 1M", "read -P 0xa1 0 2M"])?;

    // It serves and is protected; what is written now is undone with the rest, and kept.
    site.write("root", &["write -P 0xc1 20M 1M"])?;
    site.keep("c")?;
    let undo = ["restore", "undo", &id, "--confirm", "lab", "--wait"];
    let before = lab.capture_metric(SYNC_READ)?;
    let undone = lab.json(&undo)?;
    let read = lab.capture_metric(SYNC_READ)? - before;
    ensure!(
        read > 0.0 && read <= f64::from(12 << 20),
        "{read} bytes were read of {}",
        ROOT_BYTES + DATA_BYTES
    );
    ensure!(
        undone["end"] == "restored" && undone["undoes"] == id,
        "{undone}"
    );
    ensure!(undone["point"] == restore["undo_point"], "{undone}");
    site.require("b")?;
    let again = id_of(&undone)?;
    let exported = site.work.path().join("undo.raw");
    let bookmark = undone["undo_label"].as_str().context("a bookmark")?;
    let to = path(&exported)?;
    lab.json(&[
        "point", "export", "lab", "--volume", "root", "--at", bookmark, "--to", to, "--format",
        "raw",
    ])?;
    same_bytes(&exported, &site.work.path().join("c-root.kept"))?;

    let listed = lab.json(&["restore", "list", "--group", "lab"])?;
    let ids: Vec<_> = listed["items"]
        .as_array()
        .context("a list")?
        .iter()
        .map(|restore| restore["id"].clone())
        .collect();
    ensure!(ids.starts_with(&[again.into(), id.into()]), "{listed}");
    lab.down()
}
