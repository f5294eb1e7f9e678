//! Recovery: how long a machine takes from the request to its login, and how fast a disk comes home.
//!
//! The peer of a boot is the same image booted by the same emulator straight from its file. What comes
//! home has no peer here: its bytes on the wire stand beside the bytes changed.

use crate::{
    figures::{Figure, Target, Unit},
    interrupt,
    samples::Samples,
    site::{BenchLab, GROUP, Site, socket_of},
};
use anyhow::{Context, bail, ensure};
use bcdr_tests::end_to_end::tool;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// What the demo's disk prints when somebody may log in.
const LOGIN: &str = "bcdr-demo login: ";
/// Only a hang gets there.
const DEADLINE: Duration = Duration::from_secs(900);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const MIB: u64 = 1 << 20;
/// Machines of a boot storm.
const STORM: usize = 10;

/// Measures what booting and coming home take, with the demo's disk.
///
/// # Errors
/// When something does not work.
pub(crate) fn run(site: &Site) -> anyhow::Result<Vec<Figure>> {
    let image = demo_disk()?;
    let disk = site.work().join("boots.raw");
    copy(&image, &disk)?;
    eprintln!("bench: bringing a lab up for the demo's disk");
    let peers = Peers {
        directory: site.work().join("direct"),
        image,
    };
    fs::create_dir_all(&peers.directory)?;
    site.with_lab("boots", &disk, |lab| {
        let mut figures = boots(site, lab, &peers)?;
        figures.extend(coming_home(site, lab)?);
        figures.push(storm(lab, &peers)?);
        Ok(figures)
    })
}

fn demo_disk() -> anyhow::Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/demo-disk/build.sh");
    let printed = tool::run(script, [] as [&str; 0])?;
    Ok(PathBuf::from(printed.trim()))
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    tool::run(
        "cp",
        ["--sparse=always".as_ref(), from.as_os_str(), to.as_os_str()],
    )?;
    Ok(())
}

fn launch_settings() -> Value {
    json!({
        "memory_mib": 512, "cpus": 1, "boot_timeout_seconds": 600,
        "shut_down_seconds": 1, "power_off": true,
        "rungs": { "root_mounted": r"EXT4-fs \(vda1\): mounted filesystem", "login": LOGIN },
    })
}

/// From a planned failover's request to the login, beside a direct boot.
fn boots(site: &Site, lab: &BenchLab, peers: &Peers) -> anyhow::Result<Vec<Figure>> {
    let (mut direct, mut ours, mut before) =
        (Samples::default(), Samples::default(), Samples::default());
    for round in 1..=site.plan().rounds {
        eprintln!("bench: boot {round} of {}", site.plan().rounds);
        direct.push(peers.boot()?.as_secs_f64());
        let started = Instant::now();
        let failover = start_failover(lab)?;
        let there = settled(lab, "failovers", &failover, "await_commit")?;
        ours.push(started.elapsed().as_secs_f64());
        ensure!(
            there["ladder"]["passed"] == true,
            "the machine did not get to its login: {}",
            there["ladder"]
        );
        before.push(seconds_before_boot(&there));
        act(lab, "failovers", &failover, "rollback")?;
        ended(lab, "failovers", &failover)?;
        continuous(lab)?;
    }
    let note =
        "a planned failover: source quiesced and drained, fence, branch, boot; until the last rung";
    Ok(vec![
        Figure::new("failover, request to login", Unit::Seconds, ours)
            .against("the same image booted directly", direct)
            .target(Target::RatioAtMost(1.2))
            .note(Some(note.to_owned())),
        Figure::new("the same, until the machine starts", Unit::Seconds, before),
    ])
}

/// The time of the steps before the machine's first instruction.
fn seconds_before_boot(failover: &Value) -> f64 {
    let steps = failover["steps"].as_array().map_or(&[][..], Vec::as_slice);
    steps
        .iter()
        .filter(|step| step["step"] != "climb_rungs")
        .filter_map(|step| step["seconds"].as_f64())
        .sum()
}

/// Ten drills of one group at once, beside as many direct boots at once.
fn storm(lab: &BenchLab, peers: &Peers) -> anyhow::Result<Figure> {
    eprintln!("bench: {STORM} boots at once");
    let direct = peers.storm()?;
    lab.lab().reconfigure("cloud", |old| {
        old.replacen(
            "drills_at_once = 2",
            &format!("drills_at_once = {STORM}"),
            1,
        )
    })?;
    let configured = fs::read_to_string(lab.lab().configuration("cloud"))?;
    ensure!(
        configured.contains(&format!("drills_at_once = {STORM}")),
        "the lab does not let {STORM} machines run at once"
    );
    lab.lab().wait_continuous()?;
    eprintln!("bench: {STORM} drills of one group at once");
    let started = Instant::now();
    let body = json!({ "group": GROUP, "at": "latest", "launch_settings": launch_settings() });
    let drills = (0..STORM)
        .map(|_| text(&lab.api().post("drills", &body)?, "id"))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut last = Duration::ZERO;
    for drill in &drills {
        let drill = until(lab, &format!("drills/{drill}"), |drill| {
            drill["finished_at"].is_string()
        })?;
        ensure!(drill["state"] == "passed", "a drill did not pass: {drill}");
        let login = drill["report"]["recovery_times"]["login_seconds"].as_f64();
        let login = Duration::from_secs_f64(login.context("the login's time is told")?);
        last = last.max(login);
    }
    let whole = started.elapsed().as_secs_f64();
    let note = format!(
        "until the last login, from its own request; all {STORM} destroyed with proof after {whole:.0} s"
    );
    let samples = |seconds: Duration| Samples::from_iter([seconds.as_secs_f64()]);
    Ok(Figure::new(
        "ten drills of one group at once",
        Unit::Seconds,
        samples(last),
    )
    .against("ten direct boots at once", samples(direct))
    .note(Some(note)))
}

/// What was written at the target comes home.
fn coming_home(site: &Site, lab: &BenchLab) -> anyhow::Result<Vec<Figure>> {
    let changed = site.plan().home_bytes;
    eprintln!("bench: failback of {} MiB", changed / MIB);
    let failover = start_failover(lab)?;
    let there = settled(lab, "failovers", &failover, "await_commit")?;
    act(lab, "failovers", &failover, "commit")?;
    ended(lab, "failovers", &failover)?;
    write_at_target(lab, &text(&there, "branch")?, changed)?;
    let body = json!({ "group": GROUP, "seed": "original_disk", "round_every_seconds": 3600 });
    let failback = text(&lab.api().post("failbacks", &body)?, "id")?;
    let found = settled(lab, "failbacks", &failback, "await_seed")?;
    let disks: Vec<Value> = found["disks"]
        .as_array()
        .context("disks were found at home")?
        .iter()
        .map(|disk| json!({ "volume": disk["volume"], "serial": disk["serial"] }))
        .collect();
    let confirm = format!("failbacks/{failback}/actions/confirm_disks");
    lab.api().post(&confirm, &json!({ "disks": disks }))?;
    let follows = settled(lab, "failbacks", &failback, "between_rounds")?;
    let copied = seconds_of(&follows, "copy_round")?;
    let sent = follows["sent_bytes"].as_u64().context("bytes were sent")?;
    act(lab, "failbacks", &failback, "cutover")?;
    let home = settled(lab, "failbacks", &failback, "await_commit")?;
    let stop: f64 = [
        "quiesce_target",
        "final_delta",
        "compare_digests",
        "fence_home",
        "boot_home",
    ]
    .into_iter()
    .map(|step| seconds_of(&home, step))
    .sum::<anyhow::Result<f64>>()?;
    act(lab, "failbacks", &failback, "commit")?;
    ended(lab, "failbacks", &failback)?;
    let note = format!(
        "{} MiB written at the target, {} MiB sent; the round also reads the whole disk at home",
        changed / MIB,
        sent / MIB
    );
    Ok(vec![
        Figure::new(
            "failback, first round",
            Unit::MegabytesPerSecond,
            Samples::from_iter([changed as f64 / 1e6 / copied]),
        )
        .target(Target::AtLeast(417.0))
        .note(Some(note)),
        Figure::new(
            "failback, production stopped for",
            Unit::Seconds,
            Samples::from_iter([stop]),
        ),
    ])
}

fn write_at_target(lab: &BenchLab, branch: &str, bytes: u64) -> anyhow::Result<()> {
    let home = socket_of(&lab.uri()?)?;
    let runtime = home.parent().context("a socket is in a directory")?;
    let socket = runtime.join(format!("{branch}.sock"));
    let uri = format!("nbd+unix:///disk?socket={}", socket.display());
    // In the last part of the disk, which the file system leaves alone when it is mounted.
    let file = lab.lab().directory().join("written-at-the-target");
    let mut dice = bcdr_tests::end_to_end::stamped::Dice::new(bytes);
    let mut content = vec![0; MIB as usize];
    let size = disk_bytes(lab)?;
    ensure!(size > 2 * bytes, "the demo's disk has {size} bytes only");
    for index in 0..bytes / MIB {
        interrupt::check()?;
        crate::site::fill_random(&mut dice, &mut content);
        fs::write(&file, &content)?;
        let offset = size - bytes + index * MIB;
        let write = format!("write -s {} {offset} 1M", file.display());
        tool::qemu_io(&uri, &[&write])?;
    }
    tool::qemu_io(&uri, &["flush"])?;
    fs::remove_file(&file)?;
    Ok(())
}

fn disk_bytes(lab: &BenchLab) -> anyhow::Result<u64> {
    let group = lab.group()?;
    let size = group["volumes"][0]["size_bytes"].as_u64();
    size.context("a volume has a size")
}

fn start_failover(lab: &BenchLab) -> anyhow::Result<String> {
    let body = json!({
        "group": GROUP, "mode": "planned", "confirm": GROUP,
        "launch_settings": launch_settings(),
    });
    text(&lab.api().post("failovers", &body)?, "id")
}

fn act(lab: &BenchLab, kind: &str, id: &str, verb: &str) -> anyhow::Result<()> {
    let path = format!("{kind}/{id}/actions/{verb}");
    lab.api().post(&path, &json!({ "confirm": GROUP }))?;
    Ok(())
}

fn settled(lab: &BenchLab, kind: &str, id: &str, step: &str) -> anyhow::Result<Value> {
    let job = until(lab, &format!("{kind}/{id}"), |job| {
        job["end"].is_string()
            || job["stage"] == "blocked"
            || (job["step"] == step && job["stage"] == "waiting")
    })?;
    ensure!(job["step"] == step, "it did not get to {step}: {job}");
    Ok(job)
}

fn ended(lab: &BenchLab, kind: &str, id: &str) -> anyhow::Result<()> {
    until(lab, &format!("{kind}/{id}"), |job| job["end"].is_string())?;
    Ok(())
}

fn continuous(lab: &BenchLab) -> anyhow::Result<()> {
    until(lab, &format!("groups/{GROUP}"), |group| {
        group["replication"]["state"] == "continuous"
    })?;
    Ok(())
}

fn until(lab: &BenchLab, path: &str, there: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        interrupt::check()?;
        let found = lab.api().get(path)?;
        if there(&found) {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("{path} did not get on: {found}");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn seconds_of(job: &Value, step: &str) -> anyhow::Result<f64> {
    let steps = job["steps"].as_array().map_or(&[][..], Vec::as_slice);
    let found = steps.iter().find(|entry| entry["step"] == step);
    let seconds = found.and_then(|entry| entry["seconds"].as_f64());
    seconds.with_context(|| format!("the time of {step} is not told: {job}"))
}

fn text(document: &Value, field: &str) -> anyhow::Result<String> {
    let found = document[field].as_str();
    Ok(found
        .with_context(|| format!("there is no {field}: {document}"))?
        .to_owned())
}

/// Boots without us.
struct Peers {
    directory: PathBuf,
    image: PathBuf,
}

/// A machine that is ended when it is dropped.
struct Machine {
    process: Child,
    console: PathBuf,
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

impl Peers {
    /// Boots the image on a throw-away disk, until its login.
    fn boot(&self) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let mut machine = self.start(0)?;
        wait_for_login(&mut machine, started)
    }

    /// Boots as many at once, until the last login.
    fn storm(&self) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let mut machines = (0..STORM)
            .map(|number| self.start(number))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut last = Duration::ZERO;
        for machine in &mut machines {
            last = last.max(wait_for_login(machine, started)?);
        }
        Ok(last)
    }

    fn start(&self, number: usize) -> anyhow::Result<Machine> {
        let overlay = self.directory.join(format!("direct-{number}.qcow2"));
        let console = self.directory.join(format!("direct-{number}.log"));
        let _old = fs::remove_file(&overlay);
        let _old = fs::remove_file(&console);
        let overlay = overlay.to_str().context("the directory's name is UTF-8")?;
        let image = self.image.to_str().context("the image's name is UTF-8")?;
        tool::run(
            "qemu-img",
            [
                "create", "-q", "-f", "qcow2", "-F", "raw", "-b", image, overlay,
            ],
        )?;
        let process = Command::new("qemu-system-x86_64")
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            .args(["-accel", "tcg", "-machine", "pc,graphics=off"])
            .args(["-m", "512", "-smp", "1", "-vga", "std"])
            .arg("-drive")
            .arg(format!(
                "file={overlay},format=qcow2,if=virtio,cache=unsafe"
            ))
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start qemu-system-x86_64: install it with make setup")?;
        Ok(Machine { process, console })
    }
}

/// Waits for a machine's login; says how long after `started` it was seen.
fn wait_for_login(machine: &mut Machine, started: Instant) -> anyhow::Result<Duration> {
    loop {
        interrupt::check()?;
        let printed = fs::read(&machine.console).unwrap_or_default();
        if String::from_utf8_lossy(&printed).contains(LOGIN) {
            return Ok(started.elapsed());
        }
        if let Some(status) = machine.process.try_wait()? {
            bail!("the peer's machine ended with {status}");
        }
        ensure!(
            started.elapsed() < DEADLINE,
            "the peer's machine does not get to its login"
        );
        std::thread::sleep(LOOK_EVERY);
    }
}
