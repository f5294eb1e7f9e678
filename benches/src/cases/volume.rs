//! Reads and writes through the capture with its journal on, beside qemu-nbd without a capture.
//!
//! The peer has the machine for itself. So has the capture, except in the line that says otherwise:
//! the gateway is stopped meanwhile, as if it were another machine's work, and everything is
//! journaled and shipped afterwards. Before the peer's turn all of that is done.

use crate::{
    figures::{Figure, Target, Unit},
    fio::{Content, Extent, Job, Outcome, Pattern},
    peer::{self, QemuNbd},
    plan::Plan,
    samples::Samples,
    site::{BenchLab, GROUP, Site},
};
use bcdr_tests::end_to_end::lab::Lab;
use rustix::process::Signal;
use std::path::Path;

/// A load that both are put under.
#[derive(Debug, Clone, Copy)]
struct Load {
    name: &'static str,
    pattern: Pattern,
    block_bytes: u64,
    depth: u32,
    flush_every: u32,
    bytes: fn(&Plan) -> u64,
    /// Whether gateway and cloud side work at the same time.
    replicating: bool,
}

const LOADS: [Load; 6] = [
    Load {
        name: "4 KiB random write QD32",
        pattern: Pattern::RandomWrite,
        block_bytes: 4096,
        depth: 32,
        flush_every: 0,
        bytes: |plan| plan.random_bytes,
        replicating: false,
    },
    Load {
        name: "4 KiB random write QD1",
        pattern: Pattern::RandomWrite,
        block_bytes: 4096,
        depth: 1,
        flush_every: 0,
        bytes: |plan| plan.single_bytes,
        replicating: false,
    },
    Load {
        name: "4 KiB random write QD32, fsync every 32",
        pattern: Pattern::RandomWrite,
        block_bytes: 4096,
        depth: 32,
        flush_every: 32,
        bytes: |plan| plan.random_bytes / 2,
        replicating: false,
    },
    Load {
        name: "4 KiB random write QD32, replicating on the same cores",
        pattern: Pattern::RandomWrite,
        block_bytes: 4096,
        depth: 32,
        flush_every: 0,
        bytes: |plan| plan.random_bytes,
        replicating: true,
    },
    Load {
        name: "4 KiB random read QD32",
        pattern: Pattern::RandomRead,
        block_bytes: 4096,
        depth: 32,
        flush_every: 0,
        bytes: |plan| plan.random_bytes,
        replicating: true,
    },
    Load {
        name: "1 MiB sequential write QD8 and a flush, journal on the same disk",
        pattern: Pattern::SequentialWrite,
        block_bytes: 1 << 20,
        depth: 8,
        flush_every: 0,
        bytes: |plan| plan.sequential_bytes,
        replicating: false,
    },
];

/// What was measured under one load.
#[derive(Debug, Default)]
struct Pair {
    peer: Vec<Outcome>,
    ours: Vec<Outcome>,
    /// Rounds in which the journal was left behind, so that not every write was journaled.
    untracked: usize,
}

/// Measures every load in turn, round after round.
///
/// # Errors
/// When something does not work.
pub(crate) fn run(site: &Site, lab: &BenchLab, peer_disk: &Path) -> anyhow::Result<Vec<Figure>> {
    let plan = site.plan();
    let mut pairs: Vec<Pair> = LOADS.iter().map(|_| Pair::default()).collect();
    for round in 1..=plan.rounds {
        for (load, pair) in LOADS.iter().zip(&mut pairs) {
            eprintln!("bench: round {round} of {}: {}", plan.rounds, load.name);
            let peer = QemuNbd::start(peer_disk, site.sockets())?;
            pair.peer.push(load.job(&peer.uri(), &plan).run()?);
            drop(peer);
            let before = lab.life()?;
            pair.ours.push(through_capture(load, lab, &plan)?);
            lab.api()
                .wait_published(GROUP, &format!("volume-{round}-{}", load.name))?;
            pair.untracked += usize::from(lab.life()? != before);
        }
    }
    Ok(LOADS
        .iter()
        .zip(&pairs)
        .flat_map(|(load, pair)| figures(load, pair))
        .collect())
}

fn through_capture(load: &Load, lab: &BenchLab, plan: &Plan) -> anyhow::Result<Outcome> {
    let uri = lab.uri()?;
    let job = load.job(&uri, plan);
    let _held = (!load.replicating)
        .then(|| Held::new(lab.lab()))
        .transpose()?;
    job.run()
}

/// The gateway, stopped until this is dropped.
struct Held<'a>(&'a Lab);

impl<'a> Held<'a> {
    fn new(lab: &'a Lab) -> anyhow::Result<Self> {
        lab.signal("gateway", Signal::STOP)?;
        Ok(Self(lab))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.signal("gateway", Signal::CONT) {
            eprintln!("bench: the gateway does not go on: {error:#}");
        }
    }
}

impl Load {
    fn job<'a>(&self, uri: &'a str, plan: &Plan) -> Job<'a> {
        Job {
            uri,
            disk_bytes: plan.disk_bytes,
            pattern: self.pattern,
            block_bytes: self.block_bytes,
            depth: self.depth,
            flush_every: self.flush_every,
            flush_at_end: self.pattern == Pattern::SequentialWrite,
            content: Content::Cheap,
            extent: Extent::Bytes((self.bytes)(plan)),
        }
    }
}

fn figures(load: &Load, pair: &Pair) -> Vec<Figure> {
    let figure = |suffix: &str, unit: Unit, of: fn(&Outcome) -> f64| {
        let peer: Samples = pair.peer.iter().map(of).collect();
        let ours: Samples = pair.ours.iter().map(of).collect();
        Figure::new(format!("{}{suffix}", load.name), unit, ours).against(peer::NAME, peer)
    };
    let iops = || figure("", Unit::Iops, |outcome| outcome.iops);
    let p99 = || {
        figure(", p99", Unit::Microseconds, |outcome| {
            outcome.p99_microseconds
        })
    };
    let mean = || {
        figure(", mean latency", Unit::Microseconds, |outcome| {
            outcome.mean_microseconds
        })
    };
    let rate = || {
        figure("", Unit::MegabytesPerSecond, |outcome| {
            outcome.bytes_per_second / 1e6
        })
    };
    let mut figures = match (load.pattern, load.depth, load.flush_every) {
        (Pattern::SequentialWrite, ..) => vec![rate().target(Target::RatioAtLeast(0.5))],
        (Pattern::RandomRead, ..) => vec![iops().target(Target::RatioAtLeast(1.5)), p99()],
        (Pattern::RandomWrite, 1, _) => vec![mean().target(Target::RatioAtMost(1.2))],
        (Pattern::RandomWrite, _, 0) if load.replicating => vec![iops(), p99()],
        (Pattern::RandomWrite, _, 0) => {
            let ratio = Target::RatioAtLeast(1.0);
            vec![iops().target(ratio), p99().target(Target::RatioAtMost(1.5))]
        }
        (Pattern::RandomWrite, ..) => vec![iops().target(Target::RatioAtLeast(0.6))],
    };
    if pair.untracked > 0
        && let Some(first) = figures.first_mut()
    {
        first.note = Some(format!(
            "the journal was left behind in {} round(s): not every write was journaled",
            pair.untracked
        ));
    }
    figures
}
