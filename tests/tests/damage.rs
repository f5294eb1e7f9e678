//! Flipped bits and cut files in every store. A site that is brought up on them either recovers, and
//! its replica ends equal to the source, or says what is damaged; it never shows a wrong image.

use anyhow::{Context, bail, ensure};
use bcdr_tests::end_to_end::{
    fixture::{export_all, image, same_bytes, seed, writer},
    lab::{Lab, PATIENCE, wait_for},
    stamped::{Dice, StampedWriter},
};
use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const VOLUME_BYTES: u64 = 16 << 20;

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Harm {
    /// A bit of a byte that is not zero is turned.
    Flip,
    /// The file ends where its used part has its middle.
    Cut,
}

/// A store, and how its files are found below the lab's directory.
#[derive(Debug, Clone, Copy)]
struct Store {
    name: &'static str,
    /// The role's directory.
    role: &'static str,
    /// The directory or file that makes a path one of this store's.
    part: &'static str,
}

const JOURNAL: Store = Store {
    name: "the journal",
    role: "capture",
    part: "journal",
};
const INTENTS: Store = Store {
    name: "the intents",
    role: "capture",
    part: "intents",
};
const SPOOL: Store = Store {
    name: "the spool",
    role: "gateway",
    part: "spool",
};
const LOG: Store = Store {
    name: "the log",
    role: "cloud",
    part: "log",
};
const RUNS: Store = Store {
    name: "the runs",
    role: "cloud",
    part: "runs",
};
const CATALOG: Store = Store {
    name: "the catalog",
    role: "cloud",
    part: "catalog.redb",
};

impl Store {
    /// The store's files that hold something, in a stable order.
    fn files(self, lab: &Lab) -> anyhow::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let root = lab.directory().join(self.role);
        walk(&root, &mut |path| {
            let below = path.strip_prefix(&root).unwrap_or(path);
            let is_ours = below.components().any(|part| part.as_os_str() == self.part);
            if is_ours && fs::metadata(path)?.len() > 0 {
                found.push(path.to_owned());
            }
            Ok(())
        })?;
        found.sort();
        Ok(found)
    }
}

fn walk(directory: &Path, each: &mut dyn FnMut(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), each)?;
        } else if entry.file_type()?.is_file() {
            each(&entry.path())?;
        }
    }
    Ok(())
}

/// Harms one file of a store; returns what was done.
fn harm(lab: &Lab, store: Store, harm: Harm, dice: &mut Dice) -> anyhow::Result<String> {
    let files = store.files(lab)?;
    // Prepared and recycled files may hold nothing yet; a flip there would prove nothing.
    let mut used = Vec::new();
    for path in files {
        let bytes = fs::read(&path)?;
        if let Some(end) = bytes.iter().rposition(|byte| *byte != 0) {
            used.push((path, bytes, end as u64 + 1));
        }
    }
    ensure!(
        !used.is_empty(),
        "{} has nothing that could be damaged",
        store.name
    );
    let (path, bytes, end) = &used[dice.below(used.len() as u64) as usize];
    let file = OpenOptions::new().write(true).open(path)?;
    let shown = path.strip_prefix(lab.directory())?.display();
    match harm {
        Harm::Flip => {
            let mut at = dice.below(*end);
            while bytes[at as usize] == 0 {
                at = (at + 1) % end;
            }
            let flipped = bytes[at as usize] ^ 1 << dice.below(8);
            file.write_all_at(&[flipped], at)?;
            Ok(format!("byte {at} of {shown} flipped"))
        }
        Harm::Cut => {
            let length = end / 2;
            file.set_len(length)?;
            Ok(format!("{shown} cut to {length} bytes"))
        }
    }
}

/// A site with something in every store, that is down.
struct Site {
    // Dropped first: it lies in the directory.
    lab: Lab,
    work: tempfile::TempDir,
    source: PathBuf,
    writer: StampedWriter,
    points: Vec<String>,
}

impl Site {
    fn prepare(seed: u64, killed: bool) -> anyhow::Result<Self> {
        let work = tempfile::tempdir()?;
        let source = image(work.path(), "disk.raw", VOLUME_BYTES)?;
        let lab = Lab::up(&work.path().join("lab"), &[("disk", &source)])?;
        lab.wait_continuous()?;
        let mut writer = writer(&lab, seed, &["disk"], VOLUME_BYTES)?;
        // Runs come from several batches.
        let deadline = Instant::now() + PATIENCE;
        while RUNS.files(&lab)?.is_empty() {
            ensure!(
                Instant::now() < deadline,
                "no run was written after {writer:?}"
            );
            (0..10).try_for_each(|_| writer.write())?;
            std::thread::sleep(Duration::from_millis(50));
        }
        lab.bookmark("before")?;
        let mut points = lab.points()?;
        points.reverse();
        points.truncate(3);
        // What cannot be delivered waits in the journal and in the spool.
        lab.hold_down("cloud")?;
        (0..100).try_for_each(|_| writer.write())?;
        writer.flush()?;
        wait_for("something to be spooled", || {
            Ok(!SPOOL.files(&lab)?.is_empty())
        })?;
        if killed {
            lab.hold_down("capture")?;
            lab.hold_down("gateway")?;
        }
        writer.disconnect();
        lab.down()?;
        let held: &[&str] = if killed {
            &["cloud", "capture", "gateway"]
        } else {
            &["cloud"]
        };
        held.iter().try_for_each(|role| lab.release(role))?;
        Ok(Self {
            work,
            source,
            lab,
            writer,
            points,
        })
    }

    /// Brings the site up on what is left and judges it.
    fn judge(&mut self, what: &str) -> anyhow::Result<String> {
        let up = self.lab.try_up_again()?;
        if up.code != 0 {
            // Whoever refuses to start says what is wrong with which file.
            ensure!(
                is_about_damage(&up.error),
                "{what}: up says only {}",
                up.error
            );
            self.lab.down()?;
            return Ok(format!("refused: {}", up.error.trim()));
        }
        let verdict = self.wait_for_verdict(what)?;
        self.older_points_are_right_or_refused(what)?;
        if verdict.is_none() {
            // Recovered: it goes on, and the replica is the source.
            (0..20)
                .try_for_each(|_| self.writer.write())
                .with_context(|| what.to_owned())?;
            self.lab
                .bookmark("after")
                .with_context(|| what.to_owned())?;
            self.writer.disconnect();
            let exported = export_all(&self.lab, "after", &["disk"], self.work.path());
            let image = match exported {
                Ok(mut images) => images.remove(0),
                // Damage to what was acknowledged long ago is met when it is read, and told then.
                Err(error) if is_about_damage(&format!("{error:#}")) => {
                    let told = self.wait_for_verdict(what)?;
                    ensure!(
                        told.is_some(),
                        "{what}: the group says nothing of: {error:#}"
                    );
                    self.lab.down()?;
                    return Ok(format!("told: {error:#}"));
                }
                Err(error) => bail!("{what}: an export fails without a word of damage: {error:#}"),
            };
            let present = self.writer.check_prefix(std::slice::from_ref(&image));
            let present = present.with_context(|| what.to_owned())?;
            let writes = self.writer.writes() as u64;
            ensure!(
                present == writes,
                "{what}: {present} of {writes} writes arrived"
            );
            same_bytes(&image, &self.source).with_context(|| what.to_owned())?;
        }
        self.lab.down()?;
        Ok(verdict.map_or_else(|| "recovered".to_owned(), |said| format!("told: {said}")))
    }

    /// Waits until the site has recovered (none), or says what is damaged.
    fn wait_for_verdict(&self, what: &str) -> anyhow::Result<Option<String>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let group = self.lab.group().unwrap_or_default();
            if group["replication"]["state"] == "continuous" && group["health"]["level"] == "ok" {
                return Ok(None);
            }
            let reasons = group["health"]["reasons"].to_string();
            if group["health"]["level"] == "critical" && is_about_damage(&reasons) {
                return Ok(Some(reasons));
            }
            if Instant::now() >= deadline {
                bail!("{what}: neither recovered nor told; the group is {group}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn older_points_are_right_or_refused(&self, what: &str) -> anyhow::Result<()> {
        for (index, point) in self.points.iter().enumerate() {
            let file = self.work.path().join(format!("older-{index}.raw"));
            match self.lab.export("disk", point, &file) {
                Ok(()) => {
                    let images = [file.clone()];
                    let checked = self.writer.check_prefix(&images);
                    checked.with_context(|| format!("{what}, point {point}"))?;
                }
                // An export that failed left no image that could be taken for one.
                Err(_refused) => {
                    ensure!(
                        !file.exists(),
                        "{what}: a failed export left {}",
                        file.display()
                    );
                }
            }
        }
        Ok(())
    }
}

fn is_about_damage(text: &str) -> bool {
    let text = text.to_lowercase();
    [
        "damage",
        "corrupt",
        "checksum",
        "cut short",
        "truncated",
        "cannot be read",
    ]
    .iter()
    .any(|word| text.contains(word))
}

fn try_all(stores: &[Store]) -> anyhow::Result<()> {
    let seed = seed();
    let mut dice = Dice::new(seed);
    let mut failures = Vec::new();
    for store in stores {
        for kind in [Harm::Flip, Harm::Cut] {
            let mut site = Site::prepare(seed, matches!(kind, Harm::Cut))?;
            let done = harm(&site.lab, *store, kind, &mut dice)?;
            match site.judge(&done) {
                Ok(verdict) => println!("{done}: {verdict}"),
                Err(error) => failures.push(format!("{error:#}")),
            }
        }
    }
    ensure!(failures.is_empty(), "seed {seed}: {}", failures.join("\n"));
    Ok(())
}

#[test]
fn damaged_stores_of_the_capture_are_healed_or_told() -> anyhow::Result<()> {
    try_all(&[JOURNAL, INTENTS])
}

#[test]
fn a_damaged_spool_is_healed_or_told() -> anyhow::Result<()> {
    try_all(&[SPOOL])
}

#[test]
fn damaged_stores_of_the_cloud_side_are_healed_or_told() -> anyhow::Result<()> {
    try_all(&[LOG, RUNS, CATALOG])
}
