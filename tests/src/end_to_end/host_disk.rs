//! A disk as a host has it: an NBD export on nbdfuse, or an image file, on a loop device, with an ext4.
//!
//! Invariant: dropping it, in whatever state it is, leaves no mount, loop device or process. It neither
//! serves the export nor cares what is in the files.

use super::{
    lab::{PATIENCE, wait_for},
    processes::Background,
    tool,
};
use anyhow::{Context, bail, ensure};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// A disk on a loop device, mounted or not.
#[derive(Debug)]
pub struct HostDisk {
    fuse: Option<Fuse>,
    device: Option<String>,
    directory: PathBuf,
}

#[derive(Debug)]
struct Fuse {
    program: Background,
    directory: PathBuf,
}

impl HostDisk {
    /// Attaches an NBD export. `name` is that of directories made in `work`.
    ///
    /// # Errors
    /// When it cannot be attached.
    pub fn attach(work: &Path, name: &str, uri: &str) -> anyhow::Result<Self> {
        require_root()?;
        let directory = work.join(format!("{name}-fuse"));
        fs::create_dir_all(&directory)?;
        let program = Background::start("nbdfuse", [path(&directory)?, uri])?;
        let fuse = Fuse { program, directory };
        let file = fuse.directory.join("nbd");
        let mut disk = Self::on(work, name, Some(fuse))?;
        let deadline = Instant::now() + PATIENCE;
        while !file.exists() {
            if let Some(fuse) = &mut disk.fuse {
                fuse.program.require_running()?;
            }
            ensure!(Instant::now() < deadline, "nbdfuse does not show {uri}");
            std::thread::sleep(Duration::from_millis(20));
        }
        disk.loop_on(&file)?;
        Ok(disk)
    }

    /// Attaches an image file. `name` is that of a directory made in `work`.
    ///
    /// # Errors
    /// When it cannot be attached.
    pub fn attach_file(work: &Path, name: &str, file: &Path) -> anyhow::Result<Self> {
        require_root()?;
        let mut disk = Self::on(work, name, None)?;
        disk.loop_on(file)?;
        Ok(disk)
    }

    fn on(work: &Path, name: &str, fuse: Option<Fuse>) -> anyhow::Result<Self> {
        let disk = Self {
            fuse,
            device: None,
            directory: work.join(format!("{name}-mounted")),
        };
        fs::create_dir_all(&disk.directory)?;
        Ok(disk)
    }

    fn loop_on(&mut self, file: &Path) -> anyhow::Result<()> {
        let printed = tool::run("losetup", ["--find", "--show", path(file)?])?;
        self.device = Some(printed.trim().to_owned());
        Ok(())
    }

    fn device(&self) -> anyhow::Result<&str> {
        self.device.as_deref().context("the disk has no device")
    }

    /// Makes an empty ext4 on it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn format(&self) -> anyhow::Result<()> {
        let options = ["-q", "-b", "4096", "-E", "lazy_itable_init=0"];
        tool::run("mkfs.ext4", options.into_iter().chain([self.device()?]))?;
        Ok(())
    }

    /// Mounts it, which replays the file system's journal; an error in it later makes it read-only.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub fn mount(&self) -> anyhow::Result<()> {
        let options = ["-t", "ext4", "-o", "errors=remount-ro"];
        let what = [self.device()?, path(&self.directory)?];
        tool::run("mount", options.into_iter().chain(what))?;
        Ok(())
    }

    /// Where its files are once it is mounted.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether the mounted file system met an error and takes no more writes.
    ///
    /// # Errors
    /// When it is not mounted.
    pub fn is_read_only(&self) -> anyhow::Result<bool> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let wanted = path(&self.directory)?;
        let line = mounts
            .lines()
            .find(|line| line.split_whitespace().nth(1) == Some(wanted))
            .context("the file system is no longer mounted")?;
        let options = line.split_whitespace().nth(3);
        let options = options.context("a mount has options")?;
        Ok(options.split(',').any(|option| option == "ro"))
    }

    /// Takes it apart in order; every step must succeed, and everything written is down at the end.
    ///
    /// # Errors
    /// When a step fails.
    pub fn detach(mut self) -> anyhow::Result<()> {
        if is_mounted(&self.directory) {
            tool::run("umount", [path(&self.directory)?])?;
        }
        if let Some(device) = self.device.take() {
            tool::run("losetup", ["--detach", &device])?;
        }
        let Some(fuse) = self.fuse.take() else {
            return Ok(());
        };
        tool::run("fusermount3", ["-u", path(&fuse.directory)?])?;
        // nbdfuse ends once it is unmounted, after its last flush.
        let ended = wait_for("nbdfuse to be unmounted", || {
            Ok(!is_mounted(&fuse.directory))
        });
        self.fuse = Some(fuse);
        ended
    }

    /// Loses it as a host does that loses its power: what only its memory held is gone.
    pub fn lose(mut self) {
        if let Some(fuse) = &mut self.fuse {
            fuse.program.end();
        }
    }
}

impl Drop for HostDisk {
    fn drop(&mut self) {
        // What is already gone cannot be taken apart again; tests look for what is left.
        let quietly = |program: &str, arguments: &[&OsStr]| {
            let _gone = tool::output(program, arguments);
        };
        if is_mounted(&self.directory) {
            quietly("umount", &["-l".as_ref(), self.directory.as_os_str()]);
        }
        if let Some(device) = &self.device {
            quietly("losetup", &["--detach".as_ref(), device.as_ref()]);
        }
        let Some(fuse) = &mut self.fuse else {
            return;
        };
        if is_mounted(&fuse.directory) {
            let directory = fuse.directory.as_os_str();
            quietly("fusermount3", &["-u".as_ref(), "-z".as_ref(), directory]);
        }
        fuse.program.end();
    }
}

/// What of mounts, loop devices and processes still names a directory.
///
/// # Errors
/// When they cannot be listed.
pub fn left_below(directory: &Path) -> anyhow::Result<Vec<String>> {
    let name = path(directory)?;
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let devices = tool::run("losetup", ["--list", "--noheadings", "--raw"])?;
    let named = mounts.lines().chain(devices.lines());
    let mut left: Vec<_> = named
        .filter(|line| line.contains(name))
        .map(str::to_owned)
        .collect();
    left.extend(super::processes::naming(name)?);
    Ok(left)
}

fn is_mounted(directory: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts
        .lines()
        .any(|line| line.split_whitespace().nth(4) == directory.to_str())
}

fn require_root() -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("mounting a file system needs root: run the tests as root");
    }
    ensure!(
        Path::new("/dev/fuse").exists(),
        "/dev/fuse is missing: install fuse3 with make setup and load the kernel's fuse module"
    );
    Ok(())
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("test paths are UTF-8")
}
