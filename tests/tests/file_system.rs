//! A real file system on a protected volume: it must notice nothing while the gateway and the cloud
//! side are killed, and what is exported must hold every file that had been synced.

use anyhow::{Context, ensure};
use bcdr_tests::end_to_end::{
    fixture::{image, same_bytes, seed},
    host_disk::HostDisk,
    lab::Lab,
    stamped::Dice,
    tool,
};
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

const VOLUME_BYTES: u64 = 64 << 20;

fn text(path: &Path) -> anyhow::Result<&str> {
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
    let mounted = HostDisk::attach(work.path(), "disk", &lab.uri("disk")?)?;
    mounted.format()?;
    mounted.mount()?;

    let mut synced = Vec::new();
    let mut write = |count: usize| -> anyhow::Result<usize> {
        for _ in 0..count {
            synced.push(write_file(mounted.directory(), synced.len(), &mut dice)?);
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
        !mounted.is_read_only()?,
        "the file system became read-only: it saw an error"
    );

    mounted.detach()?;
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

/// Exports a point, lets the file system recover as after a power failure, and looks at every file.
fn check_export(lab: &Lab, work: &Path, at: &str, synced: &[Synced]) -> anyhow::Result<PathBuf> {
    let exported = work.join(format!("{at}.raw"));
    lab.export("disk", at, &exported)?;
    let recovered = work.join(format!("{at}-recovered.raw"));
    fs::copy(&exported, &recovered)?;
    let image = text(&recovered)?;
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
        let request = format!("dump /{} {}", file.name, text(&out)?);
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
