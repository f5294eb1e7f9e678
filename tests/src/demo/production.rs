//! The machine that is protected and killed: QEMU from the capture's NBD export.

use super::{BOOT_PATIENCE, say::note};
use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    net::{Ipv4Addr, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Where the guest finds the host's clock, which is also what a clone must not reach.
const CLOCK_PORT: u16 = 7411;

/// What the host saw of the workload: when it read each line, and how far the canaries were.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    lines: Vec<(Timestamp, u64)>,
}

impl Seen {
    /// What had been seen before an instant.
    pub(super) fn before(&self, instant: Timestamp) -> Self {
        Self {
            lines: self
                .lines
                .iter()
                .copied()
                .filter(|(at, _)| *at < instant)
                .collect(),
        }
    }

    /// The last canary that is known to have been durable.
    pub(super) fn durable(&self) -> u64 {
        self.lines.last().map_or(0, |(_, sequence)| *sequence)
    }
}

/// The running machine, and the clock service that its guest asks.
#[derive(Debug)]
pub(super) struct Production {
    machine: Child,
    clock: Child,
    log: PathBuf,
    read_to: u64,
    partial: String,
    seen: Seen,
    reached_network: bool,
}

impl Production {
    /// Starts the machine from the volume behind `socket`.
    pub(super) fn boot(disk: &Path, work: &Path, socket: &Path) -> anyhow::Result<Self> {
        let log = work.join("production.log");
        File::create(&log)?;
        let clock = serve_clock(disk)?;
        let blockdev = serde_json::json!({
            "driver": "nbd", "node-name": "root", "export": "root", "reconnect-delay": 60,
            "server": {"type": "unix", "path": socket},
        });
        let machine = Command::new("qemu-system-x86_64")
            .args([
                "-nodefaults",
                "-no-user-config",
                "-display",
                "none",
                "-accel",
                "tcg",
            ])
            .args(["-machine", "pc,graphics=off", "-m", "512", "-smp", "1"])
            .arg("-blockdev")
            .arg(blockdev.to_string())
            .args(["-device", "virtio-blk-pci,drive=root"])
            .args([
                "-netdev",
                "user,id=net",
                "-device",
                "virtio-net-pci,netdev=net",
            ])
            .arg("-serial")
            .arg(format!("file:{}", log.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start qemu-system-x86_64: install it with make setup")?;
        note(&format!(
            "QEMU process {} boots through GRUB from the NBD export",
            machine.id()
        ));
        Ok(Self {
            machine,
            clock,
            log,
            read_to: 0,
            partial: String::new(),
            seen: Seen::default(),
            reached_network: false,
        })
    }

    /// Waits until the workload writes.
    pub(super) fn wait_for_workload(&mut self) -> anyhow::Result<()> {
        let booted = Instant::now();
        self.wait_for_canaries(1)?;
        note(&format!(
            "the workload runs {:.0} s later",
            booted.elapsed().as_secs_f64()
        ));
        Ok(())
    }

    /// Waits until `count` canaries are durable; returns how many are.
    pub(super) fn wait_for_canaries(&mut self, count: u64) -> anyhow::Result<u64> {
        let deadline = Instant::now() + BOOT_PATIENCE;
        loop {
            self.read_log()?;
            if self.seen.durable() >= count {
                return Ok(self.seen.durable());
            }
            if let Some(status) = self.machine.try_wait()? {
                bail!(
                    "the production machine ended with {status}: see {}",
                    self.log.display()
                );
            }
            ensure!(
                Instant::now() < deadline,
                "the production machine did not get to {count} canaries: see {}",
                self.log.display()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Production must have reached the network, or a clone that does not would prove nothing.
    pub(super) fn require_network(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.reached_network {
            self.read_log()?;
            ensure!(
                Instant::now() < deadline,
                "production does not reach the network, so the clones' isolation cannot be shown"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        note("production reaches the network; the clones must not");
        Ok(())
    }

    fn read_log(&mut self) -> anyhow::Result<()> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.read_to))?;
        let mut bytes = Vec::new();
        self.read_to += file.read_to_end(&mut bytes)? as u64;
        self.partial += &String::from_utf8_lossy(&bytes);
        let Some(end) = self.partial.rfind('\n') else {
            return Ok(());
        };
        let whole: String = self.partial.drain(..=end).collect();
        for line in whole.lines() {
            self.line(line);
        }
        Ok(())
    }

    fn line(&mut self, line: &str) {
        self.reached_network |= line.contains("BCDR-NETWORK reachable");
        let Some((_, rest)) = line.split_once("BCDR-WORKLOAD ") else {
            return;
        };
        let mut words = rest.split_whitespace();
        let sequence = words.nth(1).and_then(|word| word.parse().ok());
        let now = Timestamp::now();
        if let Some(sequence) = sequence.filter(|sequence| *sequence > self.seen.durable()) {
            self.seen.lines.push((now, sequence));
        }
    }

    /// Kills the machine as a power failure would; returns what was seen of it.
    pub(super) fn kill(&mut self) -> anyhow::Result<Seen> {
        self.read_log()?;
        self.machine.kill()?;
        self.machine.wait()?;
        self.read_log()?;
        note(&format!(
            "killed; canary {} was the last known durable",
            self.seen.durable()
        ));
        Ok(self.seen.clone())
    }

    /// The service that a clone must not reach has to be there to be reached.
    pub(super) fn require_service(&self) -> anyhow::Result<()> {
        TcpStream::connect((Ipv4Addr::LOCALHOST, CLOCK_PORT))
            .context("the service that clones must not reach is gone: isolation is not shown")?;
        Ok(())
    }

    /// Ends the clock service.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        self.clock.kill()?;
        self.clock.wait()?;
        Ok(())
    }

    /// Leaves the clock service to the site that is left up.
    pub(super) fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Production {
    fn drop(&mut self) {
        for child in [&mut self.machine, &mut self.clock] {
            // Already ended in the ordinary course of things.
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }
}

fn serve_clock(disk: &Path) -> anyhow::Result<Child> {
    let program = disk.with_file_name("bcdr-demo");
    let mut clock = Command::new(&program)
        .args(["serve-clock", &CLOCK_PORT.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let mut first = String::new();
    let printed = clock.stdout.take().context("its output is piped")?;
    BufReader::new(printed).read_line(&mut first)?;
    if !first.contains(&CLOCK_PORT.to_string()) {
        let status = clock.wait()?;
        bail!("the demo's clock service could not start ({status}): is port {CLOCK_PORT} in use?");
    }
    Ok(clock)
}
