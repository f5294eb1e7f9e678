//! A real file system on a protected volume: it must notice nothing while the gateway and the cloud
//! side are killed, and what is exported must hold every file that had been synced.

use anyhow::{Context, bail, ensure};
use bcdr_tests::end_to_end::{
    fixture::{image, same_bytes, seed},
    lab::{Lab, PATIENCE, wait_for},
    processes::Background,
    stamped::Dice,
    tool,
};
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

const VOLUME_BYTES: u64 = 64 << 20;

/// A file system on a loop device on nbdfuse on a volume. Dropping it takes everything apart, in
/// whatever state it is.
struct Mounted {
    fuse: Background,
    fuse_directory: PathBuf,
    device: Option<String>,
    directory: PathBuf,
}

impl Mounted {
    /// Makes an ext4 on the volume and mounts it.
    fn make(work: &Path, uri: &str) -> anyhow::Result<Self> {
        require_root()?;
        let (fuse_directory, directory) = (work.join("fuse"), work.join("mounted"));
        fs::create_dir(&fuse_directory)?;
        fs::create_dir(&directory)?;
        let fuse = Background::start("nbdfuse", [path(&fuse_directory)?, uri])?;
        let mut mounted = Self {
            fuse,
            fuse_directory,
            device: None,
            directory,
        };
        let file = mounted.fuse_directory.join("nbd");
        let deadline = Instant::now() + PATIENCE;
        while !file.exists() {
            mounted.fuse.require_running()?;
            ensure!(
                Instant::now() < deadline,
                "nbdfuse does not show the volume"
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let printed = tool::run("losetup", ["--find", "--show", path(&file)?])?;
        let device = printed.trim().to_owned();
        mounted.device = Some(device.clone());
        tool::run(
            "mkfs.ext4",
            ["-q", "-b", "4096", "-E", "lazy_itable_init=0", &device],
        )?;
        tool::run(
            "mount",
            [
                "-t",
                "ext4",
                "-o",
                "errors=panic",
                &device,
                path(&mounted.directory)?,
            ],
        )
        .or_else(|_| tool::run("mount", ["-t", "ext4", &device, path(&mounted.directory)?]))?;
        Ok(mounted)
    }

    /// Takes it apart in order; every step must succeed.
    fn unmount(mut self) -> anyhow::Result<()> {
        tool::run("umount", [path(&self.directory)?])?;
        if let Some(device) = self.device.take() {
            tool::run("losetup", ["--detach", &device])?;
        }
        tool::run("fusermount3", ["-u", path(&self.fuse_directory)?])?;
        // nbdfuse ends once it is unmounted, after its last flush.
        wait_for("nbdfuse to end", || {
            Ok(!fs::read_to_string("/proc/self/mountinfo")?.contains(path(&self.fuse_directory)?))
        })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // What is already gone cannot be taken apart again; what is left is found below.
        let quietly = |program: &str, arguments: &[&std::ffi::OsStr]| {
            let _gone = tool::output(program, arguments);
        };
        if is_mounted(&self.directory) {
            quietly("umount", &["-l".as_ref(), self.directory.as_os_str()]);
        }
        if let Some(device) = &self.device {
            quietly("losetup", &["--detach".as_ref(), device.as_ref()]);
        }
        if is_mounted(&self.fuse_directory) {
            quietly(
                "fusermount3",
                &[
                    "-u".as_ref(),
                    "-z".as_ref(),
                    self.fuse_directory.as_os_str(),
                ],
            );
        }
        self.fuse.end();
    }
}

fn is_mounted(directory: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    directory
        .to_str()
        .is_some_and(|directory| mounts.contains(directory))
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

/// A file that was synced, with what is in it.
struct Synced {
    name: String,
    bytes: Vec<u8>,
}

/// Writes a new file and its directory entry down to the disk.
fn write_file(directory: &Path, number: usize, dice: &mut Dice) -> anyhow::Result<Synced> {
    let name = format!("file-{number:04}");
    let length = 1 + dice.below(60_000) as usize;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend(dice.below(u64::MAX).to_le_bytes());
    }
    bytes.truncate(length);
    let mut file = File::create_new(directory.join(&name))?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    File::open(directory)?.sync_all()?;
    Ok(Synced { name, bytes })
}

#[test]
fn a_file_system_notices_nothing_and_its_exports_are_sound() -> anyhow::Result<()> {
    let seed = seed();
    let mut dice = Dice::new(seed);
    let work = tempfile::tempdir()?;
    let source = image(work.path(), "disk.raw", VOLUME_BYTES)?;
    let lab = Lab::up(&work.path().join("lab"), &[("disk", &source)])?;
    lab.wait_continuous()?;
    let mounted = Mounted::make(work.path(), &lab.uri("disk")?)?;

    let mut synced = Vec::new();
    let mut write = |count: usize| -> anyhow::Result<usize> {
        for _ in 0..count {
            synced.push(write_file(&mounted.directory, synced.len(), &mut dice)?);
        }
        Ok(synced.len())
    };
    write(20)?;
    // Both are killed, one after the other, while files are written and synced.
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let killer = scope.spawn(|| {
            let killed = ["gateway", "cloud", "gateway", "cloud"].map(|role| lab.kill(role));
            done.store(true, Ordering::Relaxed);
            killed.into_iter().collect::<anyhow::Result<Vec<_>>>()
        });
        while !done.load(Ordering::Relaxed) {
            write(1).context("while roles were killed")?;
        }
        killer
            .join()
            .map_err(|_| anyhow::anyhow!("the killer panicked"))?
            .map(drop)
    })?;
    // And both are away for a while.
    lab.hold_down("cloud")?;
    write(10).context("without the cloud side")?;
    lab.hold_down("gateway")?;
    write(10).context("without gateway and cloud side")?;
    lab.let_up("gateway")?;
    lab.let_up("cloud")?;
    lab.wait_continuous()?;
    let before = write(5)?;
    lab.bookmark("mounted")?;
    write(20)?;
    ensure!(
        !read_only(&mounted.directory)?,
        "the file system became read-only: it saw an error"
    );

    mounted.unmount()?;
    lab.bookmark("unmounted")?;
    println!(
        "{} files were written and synced; seed {seed}",
        synced.len()
    );
    check_export(&lab, work.path(), "mounted", &synced[..before])?;
    let last = check_export(&lab, work.path(), "unmounted", &synced)?;
    same_bytes(&last, &source)?;
    lab.down()
}

fn read_only(directory: &Path) -> anyhow::Result<bool> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let wanted = path(directory)?;
    let line = mounts
        .lines()
        .find(|line| line.split_whitespace().nth(1) == Some(wanted))
        .context("the file system is no longer mounted")?;
    let options = line
        .split_whitespace()
        .nth(3)
        .context("a mount has options")?;
    Ok(options.split(',').any(|option| option == "ro"))
}

/// Exports a point, lets the file system recover as after a power failure, and looks at every file.
fn check_export(lab: &Lab, work: &Path, at: &str, synced: &[Synced]) -> anyhow::Result<PathBuf> {
    let exported = work.join(format!("{at}.raw"));
    lab.export("disk", at, &exported)?;
    let recovered = work.join(format!("{at}-recovered.raw"));
    fs::copy(&exported, &recovered)?;
    let image = path(&recovered)?;
    // Replays the file system's journal; 1 says that this was all there was to do. Anything worse
    // is refused by it, and ends with a higher code.
    let replayed = tool::output("e2fsck", ["-fp", image])?;
    ensure!(
        replayed.status.code().is_some_and(|code| code <= 1),
        "e2fsck -p ended with {}: {}",
        replayed.status,
        String::from_utf8_lossy(&replayed.stdout)
    );
    tool::run("e2fsck", ["-fn", image]).with_context(|| format!("at {at}"))?;
    let out = work.join("taken-out");
    for file in synced {
        let request = format!("dump /{} {}", file.name, path(&out)?);
        tool::run("debugfs", ["-R", &request, image])?;
        let bytes = fs::read(&out).with_context(|| format!("{} is missing at {at}", file.name))?;
        ensure!(
            bytes == file.bytes,
            "{} at {at} is not what was synced",
            file.name
        );
        fs::remove_file(&out)?;
    }
    Ok(exported)
}
