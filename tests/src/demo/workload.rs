//! What the workload inside a machine says on its serial console: how far its canaries are durable.

use super::BOOT_PATIENCE;
use anyhow::{bail, ensure};
use jiff::Timestamp;
use std::{
    fs::File,
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::PathBuf,
    time::{Duration, Instant},
};

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

/// A serial console that is being written to a file.
#[derive(Debug)]
pub(super) struct WorkloadLog {
    path: PathBuf,
    read_to: u64,
    partial: String,
    seen: Seen,
    reached_network: bool,
}

impl WorkloadLog {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            read_to: 0,
            partial: String::new(),
            seen: Seen::default(),
            reached_network: false,
        }
    }

    /// What was seen by now.
    pub(super) fn seen(&mut self) -> anyhow::Result<Seen> {
        self.read()?;
        Ok(self.seen.clone())
    }

    /// Whether the machine reached its network by now.
    pub(super) fn reached_network(&mut self) -> anyhow::Result<bool> {
        self.read()?;
        Ok(self.reached_network)
    }

    /// Waits until `count` canaries are durable; returns how many are. `ended` says why nothing more
    /// comes, once that is so.
    pub(super) fn wait_for(
        &mut self,
        count: u64,
        mut ended: impl FnMut() -> anyhow::Result<Option<String>>,
    ) -> anyhow::Result<u64> {
        let deadline = Instant::now() + BOOT_PATIENCE;
        loop {
            self.read()?;
            if self.seen.durable() >= count {
                return Ok(self.seen.durable());
            }
            if let Some(why) = ended()? {
                bail!("{why}: see {}", self.path.display());
            }
            ensure!(
                Instant::now() < deadline,
                "the machine did not get to {count} canaries, but to {}: see {}",
                self.seen.durable(),
                self.path.display()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn read(&mut self) -> anyhow::Result<()> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
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
}
