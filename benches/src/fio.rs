//! Load by fio, through its nbd engine, and reading what it reports.

use crate::interrupt;
use anyhow::{Context, bail, ensure};
use bcdr_tests::end_to_end::tool;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The longest any bounded load may take; only a hang gets there.
const RUNTIME_MAX_SECONDS: u32 = 60;

/// What is read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    RandomRead,
    RandomWrite,
    SequentialWrite,
}

/// What the written bytes are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// fio's own buffers, which it fills once: cheapest for the client.
    Cheap,
    /// Fresh bytes of which about a third is left after compression.
    ThreeToOne,
    /// Fresh random bytes.
    Incompressible,
}

/// When a load ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Extent {
    /// After this many bytes.
    Bytes(u64),
    /// After this time, at this many bytes per second.
    Paced {
        duration: Duration,
        bytes_per_second: u64,
    },
}

/// One load on one disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) uri: &'a str,
    pub(crate) disk_bytes: u64,
    pub(crate) pattern: Pattern,
    pub(crate) block_bytes: u64,
    pub(crate) depth: u32,
    /// A flush after this many writes; 0: none.
    pub(crate) flush_every: u32,
    /// A flush at the end, which belongs to the time measured.
    pub(crate) flush_at_end: bool,
    pub(crate) content: Content,
    pub(crate) extent: Extent,
}

/// What a load came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outcome {
    /// Operations per second.
    pub(crate) iops: f64,
    /// Bytes per second.
    pub(crate) bytes_per_second: f64,
    /// Mean latency of an operation in microseconds.
    pub(crate) mean_microseconds: f64,
    /// 99th percentile of the same.
    pub(crate) p99_microseconds: f64,
}

impl Job<'_> {
    /// Runs it to its end.
    ///
    /// # Errors
    /// When fio cannot be started or an operation failed.
    pub(crate) fn run(&self) -> anyhow::Result<Outcome> {
        interrupt::check()?;
        let printed = tool::run("fio", self.arguments()).context("the load failed")?;
        parse(&printed, self.pattern)
    }

    /// Starts it.
    ///
    /// # Errors
    /// When fio cannot be started.
    pub(crate) fn start(&self) -> anyhow::Result<Running> {
        let child = Command::new("fio")
            .args(self.arguments())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run fio: install what is needed with make setup")?;
        Ok(Running {
            child: Some(child),
            pattern: self.pattern,
        })
    }

    fn arguments(&self) -> Vec<String> {
        let pattern = match self.pattern {
            Pattern::RandomRead => "randread",
            Pattern::RandomWrite => "randwrite",
            Pattern::SequentialWrite => "write",
        };
        let mut arguments = vec![
            "--name=load".to_owned(),
            "--output-format=json".to_owned(),
            "--ioengine=nbd".to_owned(),
            format!("--uri={}", self.uri),
            format!("--rw={pattern}"),
            format!("--bs={}", self.block_bytes),
            format!("--iodepth={}", self.depth),
            format!("--size={}", self.disk_bytes),
            "--norandommap".to_owned(),
            "--randrepeat=0".to_owned(),
        ];
        if self.flush_every > 0 {
            arguments.push(format!("--fsync={}", self.flush_every));
        }
        if self.flush_at_end {
            arguments.push("--end_fsync=1".to_owned());
        }
        match self.content {
            Content::Cheap => {}
            Content::ThreeToOne => arguments.extend(
                [
                    "--refill_buffers",
                    "--buffer_compress_percentage=67",
                    "--buffer_compress_chunk=4096",
                ]
                .map(str::to_owned),
            ),
            Content::Incompressible => arguments.push("--refill_buffers".to_owned()),
        }
        match self.extent {
            Extent::Bytes(bytes) => {
                arguments.push(format!("--io_size={bytes}"));
                arguments.push(format!("--runtime={RUNTIME_MAX_SECONDS}"));
            }
            Extent::Paced {
                duration,
                bytes_per_second,
            } => {
                arguments.push("--time_based".to_owned());
                arguments.push(format!("--runtime={}", duration.as_secs()));
                arguments.push(format!("--rate={bytes_per_second}"));
            }
        }
        arguments
    }
}

/// A load that goes on; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Option<Child>,
    pattern: Pattern,
}

impl Running {
    /// Waits for its end.
    ///
    /// # Errors
    /// When an operation failed.
    pub(crate) fn wait(mut self) -> anyhow::Result<Outcome> {
        let child = self.child.take().context("it is waited for once")?;
        let output = child.wait_with_output().context("cannot wait for fio")?;
        let printed = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "fio failed with {}:\n{printed}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        parse(&printed, self.pattern)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ended_by_itself = child.kill();
            let _gone = child.wait();
        }
    }
}

#[derive(Debug, Deserialize)]
struct Report {
    jobs: Vec<JobReport>,
}

#[derive(Debug, Deserialize)]
struct JobReport {
    error: i64,
    read: Direction,
    write: Direction,
}

#[derive(Debug, Deserialize)]
struct Direction {
    total_ios: u64,
    iops: f64,
    bw_bytes: f64,
    clat_ns: Latency,
}

#[derive(Debug, Deserialize)]
struct Latency {
    mean: f64,
    #[serde(default)]
    percentile: BTreeMap<String, f64>,
}

/// Reads fio's JSON, before which it may print notes.
fn parse(printed: &str, pattern: Pattern) -> anyhow::Result<Outcome> {
    let start = printed.find('{').context("fio printed no JSON")?;
    let report: Report =
        serde_json::from_str(&printed[start..]).context("fio's JSON has another form")?;
    let [job] = report.jobs.as_slice() else {
        bail!("fio reports {} jobs where one was run", report.jobs.len());
    };
    ensure!(job.error == 0, "fio reports error {}", job.error);
    let direction = if pattern == Pattern::RandomRead {
        &job.read
    } else {
        &job.write
    };
    ensure!(direction.total_ios > 0, "fio did nothing");
    let p99 = direction
        .clat_ns
        .percentile
        .get("99.000000")
        .context("fio reports no percentiles")?;
    Ok(Outcome {
        iops: direction.iops,
        bytes_per_second: direction.bw_bytes,
        mean_microseconds: direction.clat_ns.mean / 1000.0,
        p99_microseconds: p99 / 1000.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = r#"fio: a note before the report
{
  "fio version" : "fio-3.33",
  "jobs" : [ {
    "jobname" : "load", "error" : 0,
    "read" : { "total_ios" : 0, "iops" : 0.0, "bw_bytes" : 0, "clat_ns" : { "mean" : 0.0 } },
    "write" : { "total_ios" : 1000, "iops" : 25000.5, "bw_bytes" : 102402048, "clat_ns" : {
      "mean" : 1250000.0, "percentile" : { "50.000000" : 1000000, "99.000000" : 2900000 } } }
  } ]
}"#;

    #[test]
    fn the_report_is_read() {
        let outcome = parse(PRINTED, Pattern::RandomWrite).unwrap();
        let expected = Outcome {
            iops: 25_000.5,
            bytes_per_second: 102_402_048.0,
            mean_microseconds: 1250.0,
            p99_microseconds: 2900.0,
        };
        assert_eq!(outcome, expected);
    }

    #[test]
    fn a_load_that_failed_or_did_nothing_is_no_figure() {
        let failed = PRINTED.replace("\"error\" : 0", "\"error\" : 5");
        assert!(parse(&failed, Pattern::RandomWrite).is_err());
        assert!(
            parse(PRINTED, Pattern::RandomRead).is_err(),
            "nothing was read"
        );
        assert!(parse("fio: cannot connect", Pattern::RandomWrite).is_err());
        let no_percentiles = PRINTED.replace("99.000000", "98.000000");
        assert!(parse(&no_percentiles, Pattern::SequentialWrite).is_err());
    }

    #[test]
    fn bounded_and_paced_loads_are_told_apart() {
        let job = Job {
            uri: "nbd+unix:///?socket=/run/s",
            disk_bytes: 1 << 30,
            pattern: Pattern::RandomWrite,
            block_bytes: 4096,
            depth: 32,
            flush_every: 32,
            flush_at_end: true,
            content: Content::Cheap,
            extent: Extent::Bytes(1 << 20),
        };
        let bounded = job.arguments();
        assert!(bounded.contains(&"--io_size=1048576".to_owned()));
        assert!(bounded.contains(&"--fsync=32".to_owned()));
        assert!(bounded.contains(&"--end_fsync=1".to_owned()));
        assert!(!bounded.contains(&"--time_based".to_owned()));
        let duration = Duration::from_secs(3);
        let paced = Job {
            extent: Extent::Paced {
                duration,
                bytes_per_second: 77,
            },
            flush_every: 0,
            ..job
        };
        let paced = paced.arguments();
        assert!(
            paced.contains(&"--rate=77".to_owned()) && paced.contains(&"--time_based".to_owned())
        );
        assert!(
            !paced
                .iter()
                .any(|one| one.starts_with("--fsync") || one.starts_with("--io_size"))
        );
    }
}
