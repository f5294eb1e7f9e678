//! What is measured while production runs: recovery point objective and lag, by asking as a user
//! would.

use super::say::{bytes, note, progress, progress_done};
use crate::end_to_end::{
    lab::{Lab, wait_for},
    tool,
};
use anyhow::Context;
use serde_json::Value;
use std::{
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// What was measured.
#[derive(Debug, Default)]
pub(super) struct Measured {
    rpo_seconds: Vec<f64>,
    unknown: usize,
}

impl Measured {
    fn percentile(&self, percent: usize) -> String {
        let mut sorted = self.rpo_seconds.clone();
        sorted.sort_by(f64::total_cmp);
        let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted
            .get(index)
            .map_or_else(|| "unknown".to_owned(), |value| format!("{value:.2} s"))
    }

    /// The figures as lines of the report.
    pub(super) fn table(&self) -> String {
        format!(
            "  RPO measured             p50 {}, p95 {}, worst {} ({} samples, {} unknown)\n",
            self.percentile(50),
            self.percentile(95),
            self.percentile(100),
            self.rpo_seconds.len() + self.unknown,
            self.unknown,
        )
    }
}

/// Samples being taken.
#[derive(Debug)]
pub(super) struct Samples {
    stop: Arc<AtomicBool>,
    sampler: JoinHandle<Measured>,
}

impl Samples {
    /// Begins sampling.
    pub(super) fn start(lab: &Lab) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let context = lab.directory().join("context.toml");
        let program = tool::bcdr()?;
        let sampler = std::thread::spawn(move || {
            let mut measured = Measured::default();
            while !stopped.load(Ordering::Relaxed) {
                match rpo(&program, &context) {
                    Ok(Some(seconds)) => measured.rpo_seconds.push(seconds),
                    Ok(None) | Err(_) => measured.unknown += 1,
                }
                std::thread::sleep(Duration::from_millis(250));
            }
            measured
        });
        Ok(Self { stop, sampler })
    }

    /// Ends sampling.
    pub(super) fn stop(self) -> Measured {
        self.stop.store(true, Ordering::Relaxed);
        self.sampler.join().unwrap_or_default()
    }
}

fn rpo(program: &Path, context: &Path) -> anyhow::Result<Option<f64>> {
    let arguments = ["group", "show", "lab", "-o", "json", "--context"].map(Into::into);
    let printed = tool::run(
        program,
        arguments
            .into_iter()
            .chain([context.as_os_str().to_owned()]),
    )?;
    let group: Value = serde_json::from_str(&printed)?;
    Ok(group["rpo_seconds"].as_f64())
}

/// Shows the first copy until it is done.
pub(super) fn show_initial_sync(lab: &Lab) -> anyhow::Result<()> {
    wait_for("the initial sync", || {
        let group = lab.group()?;
        let replication = &group["replication"];
        let count = |name: &str| replication["progress"][name].as_u64();
        if let (Some(done), Some(total)) = (count("done_bytes"), count("total_bytes")) {
            let percent = done * 100 / total.max(1);
            progress(&format!(
                "initial sync {percent:>3} %  {} of {}",
                bytes(done),
                bytes(total)
            ));
        }
        Ok(replication["state"] == "continuous")
    })?;
    progress_done();
    let group = lab.group()?;
    let rpo = group["rpo_seconds"].as_f64();
    let rpo = rpo.map_or_else(|| "unknown".to_owned(), |seconds| format!("{seconds:.2} s"));
    note(&format!(
        "initial sync done; replication is continuous, RPO {rpo}"
    ));
    Ok(())
}

/// Bytes of batches the gateway made, as its own metrics tell.
pub(super) fn sent_bytes(lab: &Lab) -> anyhow::Result<u64> {
    use std::io::{Read, Write};
    let socket = lab.socket("root")?.with_file_name("gateway-api.sock");
    let mut stream = UnixStream::connect(&socket).with_context(|| socket.display().to_string())?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let value = text
        .lines()
        .find(|line| line.starts_with("bcdr_transport_bytes_total") && line.contains("encoded"))
        .and_then(|line| line.rsplit_once(' '))
        .and_then(|(_, value)| value.parse::<f64>().ok());
    value
        .map(|value| value as u64)
        .context("the gateway tells no encoded bytes")
}
