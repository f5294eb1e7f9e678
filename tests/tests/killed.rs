//! A failover, work at the target and the way home, with a process killed again and again on the way:
//! whatever was killed, one site has the data, and each disk ends as its history says.
//!
//! The machine has nothing to boot, so its ladder fails, which keeps nobody from committing; what
//! production writes at the target is written to the machine's disk by a client beside it.

use anyhow::{Context, ensure};
use bcdr_tests::end_to_end::{
    fixture::{image, same_bytes, seed},
    lab::{Lab, wait_for},
    tool,
};
use serde_json::Value;
use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

const DISK_BYTES: u64 = 64 << 20;

const LAUNCH: &str = r#"
memory_mib = 64
cpus = 1
boot_timeout_seconds = 60
shut_down_seconds = 1
power_off = true
disk_order = ["data"]
"#;

/// Looks between two kills: a step that takes no time is passed unseen, a long one is hit.
const LOOK_EVERY: Duration = Duration::from_millis(15);

struct Site {
    // Dropped first: it lies in the directory.
    lab: Lab,
    work: tempfile::TempDir,
    home: PathBuf,
    /// The steps at which something was killed.
    hit: RefCell<BTreeSet<String>>,
    random: RefCell<u64>,
}

impl Site {
    fn up() -> anyhow::Result<Self> {
        let seed = seed();
        let work = tempfile::tempdir()?;
        let home = image(work.path(), "home.raw", DISK_BYTES)?;
        let settings = work.path().join("launch.toml");
        fs::write(&settings, LAUNCH)?;
        let settings = settings.to_str().context("test paths are UTF-8")?;
        let directory = work.path().join("lab");
        let lab = Lab::up_with(&directory, &[("data", &home)], &["--launch", settings])?;
        lab.wait_continuous()?;
        Ok(Self {
            lab,
            work,
            home,
            hit: RefCell::default(),
            random: RefCell::new(seed | 1),
        })
    }

    /// One of these, by chance.
    fn one_of<'a>(&self, roles: &[&'a str]) -> &'a str {
        let mut state = self.random.borrow_mut();
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        roles[(*state % roles.len() as u64) as usize]
    }

    fn write(&self, command: &str) -> anyhow::Result<()> {
        tool::qemu_io(&self.lab.uri("data")?, &[command, "flush"])
    }

    /// A failover or failback as it is now; none while the cloud side does not answer.
    fn job(&self, kind: &str, id: &str) -> anyhow::Result<Option<Value>> {
        let shown = self.lab.try_command(&[kind, "show", id])?;
        if shown.code != 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&shown.output)?))
    }

    /// Kills one of `roles` at each step that is seen for the first time, until the job is where
    /// `there` says.
    fn kill_until(
        &self,
        kind: &str,
        id: &str,
        roles: &[&str],
        there: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let found = RefCell::new(None);
        wait_for(&format!("the {kind} to get on"), || {
            let Some(job) = self.job(kind, id)? else {
                return Ok(false);
            };
            ensure!(job["stage"] != "blocked", "the {kind} is blocked: {job}");
            if there(&job) {
                found.replace(Some(job));
                return Ok(true);
            }
            let step = format!("{kind} {}", job["step"].as_str().unwrap_or("?"));
            if self.hit.borrow_mut().insert(step.clone()) {
                let role = self.one_of(roles);
                eprintln!("{step}: {role} is killed");
                self.lab.kill(role)?;
            }
            std::thread::sleep(LOOK_EVERY);
            Ok(false)
        })?;
        found.into_inner().context("it got there")
    }

    /// Commands that a killed cloud side did not answer are given again.
    fn told(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let answer = RefCell::new(None);
        let refused = RefCell::new(String::new());
        let told = wait_for(&format!("{arguments:?}"), || {
            let ended = self.lab.try_command(arguments)?;
            if ended.code == 0 {
                answer.replace(Some(serde_json::from_str(&ended.output)?));
            } else {
                refused.replace(ended.error);
            }
            Ok(ended.code == 0)
        });
        told.with_context(|| refused.into_inner())?;
        answer.into_inner().context("it was answered")
    }
}

fn ended(job: &Value) -> bool {
    job["end"].is_string()
}

fn waits_in(step: &'static str) -> impl Fn(&Value) -> bool {
    move |job| job["step"] == step && job["stage"] == "waiting"
}

fn id_of(job: &Value) -> anyhow::Result<String> {
    let id = job["id"].as_str();
    Ok(id
        .with_context(|| format!("it has no id: {job}"))?
        .to_owned())
}

/// Brings a copy of a disk to where a client wrote the same.
fn write_to_file(file: &Path, command: &str) -> anyhow::Result<()> {
    let path = file.to_str().context("test paths are UTF-8")?;
    tool::run("qemu-io", ["-f", "raw", "-c", command, path])?;
    Ok(())
}

#[test]
fn killed_at_every_turn_it_goes_to_the_target_and_comes_home() -> anyhow::Result<()> {
    let site = Site::up()?;
    let lab = &site.lab;
    site.write("write -P 0x11 1M 8M")?;
    lab.bookmark("replicated")?;
    let expected = site.work.path().join("expected.raw");
    fs::copy(&site.home, &expected)?;

    // What is written while no gateway runs is known at home alone.
    lab.hold_down("gateway")?;
    site.write("write -P 0x22 4M 2M")?;
    lab.hold_down("capture")?;
    lab.let_up("gateway")?;

    let failover = site.told(&[
        "failover",
        "start",
        "lab",
        "--mode",
        "emergency",
        "--at",
        "replicated",
        "--confirm",
        "lab",
    ])?;
    let failover = id_of(&failover)?;
    let there = site.kill_until("failover", &failover, &["cloud", "gateway"], |job| {
        waits_in("await_commit")(job) || ended(job)
    })?;
    ensure!(there["end"].is_null(), "it ended: {there}");
    lab.kill("cloud")?;

    // Work at the target.
    let branch = there["branch"].as_str().context("it has a branch")?;
    let runtime = lab.socket("data")?;
    let runtime = runtime.parent().context("a socket lies in a directory")?;
    let socket = runtime.join(format!("{branch}.sock"));
    wait_for("the branch to be served again", || {
        Ok(UnixStream::connect(&socket).is_ok())
    })?;
    let uri = format!("nbd+unix:///data?socket={}", socket.display());
    for command in ["write -P 0x33 3M 4M", "write -P 0x44 40M 1M"] {
        tool::qemu_io(&uri, &[command, "flush"])?;
        write_to_file(&expected, command)?;
    }
    site.told(&["failover", "commit", &failover, "--confirm", "lab"])?;
    let over = site.kill_until("failover", &failover, &["cloud"], ended)?;
    ensure!(over["end"] == "committed", "{over}");

    // Home comes back, with what only it knows.
    lab.let_up("capture")?;
    wait_for("the source to stand by", || {
        let placement = site.told(&["placement", "show", "lab"])?;
        Ok(placement["source"]["serving"] == "read_only")
    })?;
    let failback = site.told(&["failback", "start", "lab", "--seed", "original-disk"])?;
    let failback = id_of(&failback)?;
    let any = ["cloud", "gateway", "capture"];
    let found = site.kill_until("failback", &failback, &any, |job| {
        waits_in("await_seed")(job) || ended(job)
    })?;
    let serial = found["disks"][0]["serial"].as_str();
    let serial = serial.with_context(|| format!("no disk was found at home: {found}"))?;
    site.told(&[
        "failback",
        "confirm",
        &failback,
        "--disk",
        &format!("data={serial}"),
    ])?;
    let seeded =
        |job: &Value| (waits_in("between_rounds")(job) && job["seeded"] == true) || ended(job);
    let follows = site.kill_until("failback", &failback, &any, seeded)?;
    ensure!(follows["end"].is_null(), "it ended: {follows}");
    ensure!(
        follows["left_behind"].is_string(),
        "what home alone knew was not kept: {follows}"
    );
    cut_over(&site, &failback, &any)?;

    // Home holds what the target had, and nothing of what only home knew.
    same_bytes(&site.home, &expected)?;
    site.told(&["failback", "commit", &failback, "--confirm", "lab"])?;
    let over = site.kill_until("failback", &failback, &any, ended)?;
    ensure!(over["end"] == "committed", "{over}");
    lab.wait_continuous()?;
    site.write("write -P 0x55 50M 1M")?;
    lab.bookmark("home")?;
    let replica = site.work.path().join("replica.raw");
    lab.export("data", "home", &replica)?;
    same_bytes(&site.home, &replica)?;
    eprintln!(
        "killed at {} steps: {:?}",
        site.hit.borrow().len(),
        site.hit.borrow()
    );
    lab.down()
}

/// A cutover that a kill undid goes back to the rounds, and is asked for again.
fn cut_over(site: &Site, failback: &str, roles: &[&str]) -> anyhow::Result<()> {
    loop {
        site.told(&["failback", "cutover", failback, "--confirm", "lab"])?;
        let there = site.kill_until("failback", failback, roles, |job| {
            waits_in("await_commit")(job) || waits_in("between_rounds")(job) || ended(job)
        })?;
        ensure!(there["end"].is_null(), "it ended: {there}");
        if waits_in("await_commit")(&there) {
            ensure!(there["proven_equal"] == true, "{there}");
            return Ok(());
        }
    }
}
