//! The place of one run: its directory on a real disk, its short directory for sockets, its labs.
//!
//! Everything is removed when it is dropped, so an error leaves nothing behind either; of a lab
//! that was in use when a step failed, the last words are printed first.

use crate::{api::Api, interrupt, machine, plan::Plan};
use anyhow::{Context, bail, ensure};
use bcdr_tests::end_to_end::{lab::Lab, stamped::Dice};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The name of every lab's group.
pub(crate) const GROUP: &str = "lab";

const MIB: usize = 1 << 20;
/// The longest a lab may take until it replicates continuously; only a hang gets there.
const SYNC_DEADLINE: Duration = Duration::from_secs(300);
const LINES_OF_A_LOG: usize = 12;

/// Where a run keeps its files.
#[derive(Debug)]
pub(crate) struct Site {
    plan: Plan,
    work: TempDir,
    sockets: TempDir,
}

impl Site {
    /// Makes the place below `directory`.
    ///
    /// # Errors
    /// When it cannot be made, is not on a real disk or lacks room.
    pub(crate) fn new(directory: &Path, plan: Plan) -> anyhow::Result<Self> {
        let name = directory.display();
        fs::create_dir_all(directory).with_context(|| format!("cannot create {name}"))?;
        let directory = directory.canonicalize()?;
        ensure!(
            machine::file_system_of(&directory)? != "tmpfs",
            "{name} is in memory, not on a disk: choose another with --directory"
        );
        let space = rustix::fs::statvfs(&directory)
            .with_context(|| format!("cannot tell the free space of {name}"))?;
        // The replica store refuses new data below its floor of 5 %.
        let floor = space.f_blocks * space.f_frsize / 20;
        let free = (space.f_bavail * space.f_frsize).saturating_sub(floor);
        let need = plan.space_bytes();
        ensure!(
            free >= need,
            "{name} has {} MiB to spare and {} may be needed: choose another with --directory",
            free >> 20,
            need >> 20
        );
        Ok(Self {
            plan,
            work: tempfile::Builder::new()
                .prefix("run-")
                .tempdir_in(directory)?,
            sockets: tempfile::Builder::new().prefix("bcdr-bench-").tempdir()?,
        })
    }

    /// How much is measured.
    pub(crate) fn plan(&self) -> Plan {
        self.plan
    }

    /// Where large files go.
    pub(crate) fn work(&self) -> &Path {
        self.work.path()
    }

    /// Where sockets go: its path is short.
    pub(crate) fn sockets(&self) -> &Path {
        self.sockets.path()
    }

    /// Makes a file of this name and length that is wholly allocated and holds random bytes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn full_disk(&self, name: &str, bytes: u64) -> anyhow::Result<PathBuf> {
        let path = self.work().join(name);
        let mut dice = Dice::new(bytes);
        let mut block = vec![0; MIB];
        let mut file = File::create(&path)?;
        for _ in 0..bytes / MIB as u64 {
            interrupt::check()?;
            fill_random(&mut dice, &mut block);
            file.write_all(&block)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        file.sync_all()?;
        Ok(path)
    }

    /// Makes a file of this name and length that is one hole.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn sparse_disk(&self, name: &str, bytes: u64) -> anyhow::Result<PathBuf> {
        let path = self.work().join(name);
        let file = File::create(&path)?;
        file.set_len(bytes)
            .with_context(|| format!("cannot make {} a hole of {bytes} bytes", path.display()))?;
        file.sync_all()?;
        Ok(path)
    }

    /// Brings a lab up that protects `disk`, waits until it replicates continuously, and does
    /// `work` with it. The lab is gone afterwards, whatever came of it.
    ///
    /// # Errors
    /// When the lab does not come up, or whatever `work` says.
    pub(crate) fn with_lab<T>(
        &self,
        name: &str,
        disk: &Path,
        work: impl FnOnce(&BenchLab) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let directory = self.work().join(name);
        let lab = BenchLab::up(&directory, disk).inspect_err(|_| print_last_words(&directory))?;
        // Before the lab goes down: what its roles say then is of no interest.
        work(&lab).inspect_err(|_| print_last_words(&directory))
    }

    /// Removes everything and says so if something could not be removed.
    ///
    /// # Errors
    /// When something is left.
    pub(crate) fn remove(self) -> anyhow::Result<()> {
        let work = self.work.path().to_owned();
        self.work
            .close()
            .with_context(|| format!("cannot remove {}", work.display()))?;
        self.sockets
            .close()
            .context("cannot remove the directory of sockets")
    }
}

/// A lab with one volume, `disk`, and a way to its API.
#[derive(Debug)]
pub(crate) struct BenchLab {
    lab: Lab,
    api: Api,
    runtime: PathBuf,
    synced_in: Duration,
}

impl BenchLab {
    fn up(directory: &Path, disk: &Path) -> anyhow::Result<Self> {
        interrupt::check()?;
        let lab = Lab::up(directory, &[("disk", disk)])?;
        let started = Instant::now();
        let api = Api::of(lab.report())?;
        let socket = socket_of(&lab.uri("disk")?)?;
        let runtime = socket
            .parent()
            .context("a socket is in a directory")?
            .to_owned();
        let mut lab = Self {
            lab,
            api,
            runtime,
            synced_in: Duration::ZERO,
        };
        lab.wait_continuous()?;
        lab.synced_in = started.elapsed();
        Ok(lab)
    }

    /// The lab itself.
    pub(crate) fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Its API.
    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// How long it took from serving to continuous replication.
    pub(crate) fn synced_in(&self) -> Duration {
        self.synced_in
    }

    /// The NBD URI of its disk.
    ///
    /// # Errors
    /// When the lab tells none.
    pub(crate) fn uri(&self) -> anyhow::Result<String> {
        self.lab.uri("disk")
    }

    /// Its group, as the API shows it.
    ///
    /// # Errors
    /// When the API does not answer.
    pub(crate) fn group(&self) -> anyhow::Result<Value> {
        self.api.get(&format!("groups/{GROUP}"))
    }

    /// The life of the stream that the newest published point belongs to. A new one begins when
    /// the journal was left behind.
    ///
    /// # Errors
    /// When there is no such point.
    pub(crate) fn life(&self) -> anyhow::Result<String> {
        let group = self.group()?;
        let published = group["positions"]["published"].as_str();
        let (life, _) = published
            .and_then(|at| at.split_once('-'))
            .context("nothing is published")?;
        Ok(life.to_owned())
    }

    /// Bytes that captures wrote and encoded bytes made of them, as the gateway counts them over
    /// all groups.
    ///
    /// # Errors
    /// When the gateway does not tell.
    pub(crate) fn reduced(&self) -> anyhow::Result<(u64, u64)> {
        let status = self.gateway_status()?;
        let sum = |name: &str| {
            let streams = status["streams"].as_array().map_or(&[][..], Vec::as_slice);
            streams
                .iter()
                .filter_map(|stream| stream[name].as_u64())
                .sum()
        };
        Ok((sum("written_bytes"), sum("encoded_bytes")))
    }

    fn gateway_status(&self) -> anyhow::Result<Value> {
        use std::{io::Read, os::unix::net::UnixStream};
        let socket = self.runtime.join("gateway-api.sock");
        let mut stream = UnixStream::connect(&socket)
            .with_context(|| format!("cannot ask the gateway at {}", socket.display()))?;
        stream.write_all(b"GET /status HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (_, body) = text
            .split_once("\r\n\r\n")
            .context("the gateway answers nothing")?;
        serde_json::from_str(body).context("the gateway's status is no JSON")
    }

    fn wait_continuous(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + SYNC_DEADLINE;
        loop {
            interrupt::check()?;
            let group = self.group()?;
            if group["replication"]["state"] == "continuous" && group["latest_point"].is_object() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!(
                    "no continuous replication after {} s: {group}",
                    SYNC_DEADLINE.as_secs()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for BenchLab {
    fn drop(&mut self) {
        // The lab's own drop comes after this one and finds itself taken down.
        if let Err(error) = self.lab.down() {
            eprintln!("bench: a lab could not be taken down: {error:#}");
        }
        let directory = self.lab.directory();
        if !self.runtime.starts_with(directory) {
            let _shown_if_left = fs::remove_dir_all(&self.runtime);
        }
    }
}

/// Fills a buffer with random bytes.
pub(crate) fn fill_random(dice: &mut Dice, buffer: &mut [u8]) {
    for word in buffer.chunks_mut(8) {
        let random = dice.below(u64::MAX).to_le_bytes();
        word.copy_from_slice(&random[..word.len()]);
    }
}

/// The socket in an NBD URI.
///
/// # Errors
/// When there is none.
pub(crate) fn socket_of(uri: &str) -> anyhow::Result<PathBuf> {
    let (_, escaped) = uri
        .split_once("?socket=")
        .with_context(|| format!("{uri} names no socket"))?;
    let mut bytes = Vec::new();
    let mut rest = escaped.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first == b'%' {
            let digits = more.get(..2).and_then(|two| std::str::from_utf8(two).ok());
            let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
            bytes.push(byte.with_context(|| format!("{uri} is escaped wrongly"))?);
            rest = &more[2..];
        } else {
            bytes.push(*first);
        }
    }
    Ok(PathBuf::from(String::from_utf8(bytes)?))
}

fn print_last_words(lab: &Path) {
    for role in ["supervisor", "capture", "gateway", "cloud"] {
        let path = lab.join("log").join(format!("{role}.log"));
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let lines: Vec<_> = text.lines().collect();
        eprintln!("--- {role}, last lines");
        let last = lines.len().saturating_sub(LINES_OF_A_LOG);
        lines[last..].iter().for_each(|line| eprintln!("{line}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_read_from_uris() {
        let socket = |uri: &str| socket_of(uri).ok();
        assert_eq!(
            socket("nbd+unix:///disk?socket=/run/a.sock"),
            Some("/run/a.sock".into())
        );
        assert_eq!(
            socket("nbd+unix:///disk?socket=/my%20run/%C3%A9"),
            Some("/my run/é".into())
        );
        assert_eq!(socket("nbd://host/disk"), None);
        assert_eq!(socket("nbd+unix:///disk?socket=/run/a%2"), None);
    }

    #[test]
    fn random_fills_every_byte() {
        let mut buffer = [0; 4099];
        fill_random(&mut Dice::new(1), &mut buffer);
        let zeroes = buffer.iter().filter(|byte| **byte == 0).count();
        assert!(zeroes < 64, "{zeroes} of 4099 random bytes are zero");
        assert!(buffer[4096..].iter().any(|byte| *byte != 0));
    }
}
