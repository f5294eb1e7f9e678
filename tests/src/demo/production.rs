//! The machine that is protected and killed: QEMU from the capture's NBD export.

use super::{
    say::note,
    workload::{Seen, WorkloadLog},
};
use anyhow::{Context, bail, ensure};
use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpStream},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Where the guest finds the host's clock, which is also what a clone must not reach.
const CLOCK_PORT: u16 = 7411;

/// The running machine, and the clock service that its guest asks.
#[derive(Debug)]
pub(super) struct Production {
    machine: Child,
    clock: Child,
    log: WorkloadLog,
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
            log: WorkloadLog::new(log),
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
        let machine = &mut self.machine;
        self.log.wait_for(count, || {
            let ended = machine.try_wait()?;
            Ok(ended.map(|status| format!("the production machine ended with {status}")))
        })
    }

    /// Production must have reached the network, or a clone that does not would prove nothing.
    pub(super) fn require_network(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.log.reached_network()? {
            ensure!(
                Instant::now() < deadline,
                "production does not reach the network, so the clones' isolation cannot be shown"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        note("production reaches the network; the clones must not");
        Ok(())
    }

    /// Kills the machine as a power failure would; returns what was seen of it.
    pub(super) fn kill(&mut self) -> anyhow::Result<Seen> {
        self.log.seen()?;
        self.machine.kill()?;
        self.machine.wait()?;
        let seen = self.log.seen()?;
        note(&format!(
            "killed; canary {} was the last known durable",
            seen.durable()
        ));
        Ok(seen)
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
