//! Production comes home to disks that are not those it left: blank ones, and ones restored from an
//! image. The machine at the target is a boot sector that leaves a mark on its disk at each boot.

use anyhow::{Context, ensure};
use bcdr_tests::end_to_end::{
    boot_sector,
    fixture::{export_all, image, same_bytes},
    lab::{Lab, wait_for},
    tool::qemu_io,
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

const ROOT_BYTES: u64 = 64 << 20;
const DATA_BYTES: u64 = 16 << 20;
const VOLUMES: [&str; 2] = ["root", "data"];

struct Site {
    lab: Lab,
    work: tempfile::TempDir,
    disks: [PathBuf; 2],
}

impl Site {
    fn up() -> anyhow::Result<Self> {
        let work = tempfile::tempdir()?;
        let root = image(work.path(), "root.raw", ROOT_BYTES)?;
        let data = image(work.path(), "data.raw", DATA_BYTES)?;
        boot_sector::install(&root)?;
        let launch = work.path().join("launch.toml");
        fs::write(&launch, boot_sector::LAUNCH)?;
        let launch = launch.to_str().context("test paths are UTF-8")?;
        let lab = Lab::up_with(
            &work.path().join("lab"),
            &[("root", &root), ("data", &data)],
            &["--launch", launch],
        )?;
        lab.wait_continuous()?;
        Ok(Self {
            lab,
            work,
            disks: [root, data],
        })
    }

    fn root(&self) -> &Path {
        &self.disks[0]
    }

    fn write(&self, volume: &str, commands: &[&str]) -> anyhow::Result<()> {
        let all: Vec<&str> = commands.iter().copied().chain(["flush"]).collect();
        qemu_io(&self.lab.uri(volume)?, &all)
    }

    /// Production at the target, from the newest point; home is lost.
    fn fail_over(&self, last: &str) -> anyhow::Result<()> {
        self.lab.bookmark(last)?;
        self.lab.hold_down("capture")?;
        let started = self.lab.json(&[
            "failover",
            "start",
            "lab",
            "--mode",
            "emergency",
            "--confirm",
            "lab",
            "--wait",
        ])?;
        ensure!(started["ladder"]["passed"] == true, "{started}");
        let id = text(&started, "id")?;
        self.lab
            .json(&["failover", "commit", &id, "--confirm", "lab", "--wait"])?;
        Ok(())
    }

    /// Home is back with other disks in place of its own.
    fn come_back(&self) -> anyhow::Result<()> {
        self.lab.let_up("capture")?;
        wait_for("the source to stand by", || {
            Ok(self.lab.group()?["capture"]["standing"]["serving"] == "read_only")
        })
    }

    fn start(&self, seed: &str) -> anyhow::Result<Value> {
        self.lab
            .json(&["failback", "start", "lab", "--seed", seed, "--wait"])
    }

    /// Confirms the disks that were found.
    fn confirm(&self, failback: &Value) -> anyhow::Result<Value> {
        let id = text(failback, "id")?;
        let mut confirm = vec!["failback".to_owned(), "confirm".to_owned(), id];
        for disk in failback["disks"].as_array().context("disks")? {
            let found = format!("{}={}", text(disk, "volume_name")?, text(disk, "serial")?);
            confirm.extend(["--disk".to_owned(), found]);
        }
        confirm.push("--wait".to_owned());
        let confirm: Vec<&str> = confirm.iter().map(String::as_str).collect();
        self.lab.json(&confirm)
    }

    /// Confirms the disks, and brings production home. Says how many bytes were sent.
    fn home(&self, failback: &Value) -> anyhow::Result<u64> {
        let id = text(failback, "id")?;
        let seeded = self.confirm(failback)?;
        ensure!(seeded["left_behind"].is_null(), "{seeded}");
        let cut = self
            .lab
            .json(&["failback", "cutover", &id, "--confirm", "lab", "--wait"])?;
        ensure!(cut["proven_equal"] == true, "{cut}");
        let branch = text(&cut, "branch")?;
        for (volume, disk) in VOLUMES.iter().zip(&self.disks) {
            let exported = self.work.path().join(format!("{branch}-{volume}.raw"));
            let to = exported.to_str().context("test paths are UTF-8")?;
            self.lab.json(&[
                "point", "export", "lab", "--branch", &branch, "--volume", volume, "--to", to,
                "--format", "raw",
            ])?;
            same_bytes(disk, &exported).context("home is not what the target had")?;
        }
        let committed =
            self.lab
                .json(&["failback", "commit", &id, "--confirm", "lab", "--wait"])?;
        ensure!(committed["end"] == "committed", "{committed}");
        self.lab.wait_continuous()?;
        cut["sent_bytes"].as_u64().context("bytes sent")
    }

    /// What the group's history says now is what the disks hold.
    fn require_protected(&self, label: &str) -> anyhow::Result<()> {
        self.lab.bookmark(label)?;
        let exports = export_all(&self.lab, label, &VOLUMES, self.work.path())?;
        for (disk, export) in self.disks.iter().zip(exports) {
            same_bytes(disk, &export)?;
        }
        Ok(())
    }
}

fn text(document: &Value, field: &str) -> anyhow::Result<String> {
    let found = document[field].as_str();
    let found = found.with_context(|| format!("there is no {field}: {document}"))?;
    Ok(found.to_owned())
}

#[test]
fn production_comes_home_to_blank_disks_and_to_ones_restored_from_an_image() -> anyhow::Result<()> {
    let site = Site::up()?;
    site.write("root", &["write -P 0xa1 8M 4M"])?;
    site.write("data", &["write -P 0xa2 0 2M"])?;
    site.fail_over("last-1")?;

    // One of the new disks is not blank: nothing is overwritten.
    for (disk, bytes) in site.disks.iter().zip([ROOT_BYTES, DATA_BYTES]) {
        fs::remove_file(disk)?;
        image(
            site.work.path(),
            disk.file_name()
                .and_then(|name| name.to_str())
                .context("a name")?,
            bytes,
        )?;
    }
    mark(&site.disks[1], DATA_BYTES - 1)?;
    site.come_back()?;
    let failback = site.start("blank-disk")?;
    let refused = site.confirm(&failback);
    let refused = format!(
        "{:#}",
        refused.expect_err("a disk that is not blank was taken")
    );
    ensure!(refused.contains("disk_not_blank"), "{refused}");
    let id = text(&failback, "id")?;
    site.lab.json(&["failback", "cancel", &id])?;
    ensure!(
        fs::read(&site.disks[1])?.last() == Some(&1),
        "the disk was written to"
    );

    fs::File::options()
        .write(true)
        .open(&site.disks[1])?
        .set_len(0)?;
    fs::File::options()
        .write(true)
        .open(&site.disks[1])?
        .set_len(DATA_BYTES)?;
    let failback = site.start("blank-disk")?;
    let sent = site.home(&failback)?;
    ensure!(
        sent >= 6 << 20,
        "only {sent} bytes were sent to blank disks"
    );
    ensure!(
        sent < ROOT_BYTES / 2,
        "{sent} bytes were sent, zeros among them"
    );
    ensure!(
        boot_sector::boots(site.root())? == 1,
        "the target's mark is not at home"
    );
    site.require_protected("home-1")?;

    // An image of today; what is written after it is at the target only when home is lost again.
    let images = ["root", "data"].map(|name| site.work.path().join(format!("{name}.image")));
    for (disk, image) in site.disks.iter().zip(&images) {
        fs::copy(disk, image)?;
    }
    site.write("root", &["write -P 0xb1 32M 1M", "write -z 8M 1M"])?;
    site.write("data", &["write -P 0xb2 4M 256k"])?;
    site.fail_over("last-2")?;
    for (disk, image) in site.disks.iter().zip(&images) {
        fs::remove_file(disk)?;
        fs::copy(image, disk)?;
    }
    site.come_back()?;
    let failback = site.start("unmodified-image")?;
    let sent = site.home(&failback)?;
    ensure!(
        sent < 6 << 20,
        "{sent} bytes were sent to disks that held most of it"
    );
    ensure!(
        boot_sector::boots(site.root())? == 2,
        "the target's marks are not at home"
    );
    site.require_protected("home-2")?;
    site.lab.down()
}

/// Writes one byte.
fn mark(disk: &Path, at: u64) -> anyhow::Result<()> {
    use std::os::unix::fs::FileExt;
    let disk = fs::File::options().write(true).open(disk)?;
    Ok(disk.write_all_at(&[1], at)?)
}
