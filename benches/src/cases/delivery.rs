//! From the source to durable cloud-side: the gateway and the receiver alone, and the full stack.
//!
//! The first is fed a recording and counted until all but the last batch is durable (that one waits
//! for its age, not for the machine). The second is load through the capture, counted from the
//! load's start until a bookmark behind it is published.

use crate::{
    bare_quic,
    figures::{Figure, Target, Unit},
    fio::{self, Extent, Job, Pattern},
    recorded_feed::{Content, Feed, Recording},
    samples::Samples,
    site::{BenchLab, GROUP, Site},
};
use anyhow::{Context, ensure};
use bcdr_format::Sequence;
use std::time::Instant;

/// The most data a batch holds.
const BATCH_BYTES: u64 = 16 << 20;
const BLOCK_BYTES: u64 = 64 << 10;

/// What was measured.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) figures: Vec<Figure>,
    /// Bytes per second that the full stack carries at 3:1.
    pub(crate) sustainable: Option<f64>,
}

/// Measures both ways, round after round.
///
/// # Errors
/// When something does not work.
pub(crate) fn run(site: &Site, lab: &BenchLab) -> anyhow::Result<Delivered> {
    let plan = site.plan();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let mut feed = runtime.block_on(Feed::begin(lab))?;
    let mut recorded = [Rates::default(), Rates::default()];
    let mut stack = [Rates::default(), Rates::default()];
    let mut bare = Samples::default();
    for round in 1..=plan.rounds {
        eprintln!(
            "bench: round {round} of {}: recorded feed, full stack",
            plan.rounds
        );
        let incompressible = feed.record(plan.delivery_bytes, Content::Incompressible)?;
        let bytes = incompressible
            .frames
            .iter()
            .map(|frame| frame.len() as f64)
            .sum::<f64>();
        let took = runtime.block_on(bare_quic::send(incompressible.frames.clone()))?;
        bare.push(bytes / took.as_secs_f64() / 1e6);
        recorded[0].add(lab, || {
            runtime.block_on(deliver(&mut feed, &incompressible))
        })?;
        drop(incompressible);
        let compressible = feed.record(plan.delivery_bytes, Content::ThreeToOne)?;
        recorded[1].add(lab, || runtime.block_on(deliver(&mut feed, &compressible)))?;
        for (rates, content) in stack
            .iter_mut()
            .zip([fio::Content::Incompressible, fio::Content::ThreeToOne])
        {
            let label = format!("delivery-{round}-{content:?}");
            rates.add(lab, || through_everything(site, lab, content, &label))?;
        }
    }
    drop(feed);
    let sustainable = stack[1].samples.median().map(|megabytes| megabytes * 1e6);
    Ok(Delivered {
        figures: figures(&bare, &recorded, &stack),
        sustainable,
    })
}

/// Rates of one way with one content, and how much it was reduced.
#[derive(Debug, Default)]
struct Rates {
    samples: Samples,
    reduced: Samples,
}

impl Rates {
    /// Measures once more; `measure` returns megabytes per second.
    fn add(
        &mut self,
        lab: &BenchLab,
        measure: impl FnOnce() -> anyhow::Result<f64>,
    ) -> anyhow::Result<()> {
        crate::interrupt::check()?;
        let (written_before, encoded_before) = lab.reduced()?;
        self.samples.push(measure()?);
        let (written, encoded) = lab.reduced()?;
        ensure!(
            encoded > encoded_before,
            "the gateway counts nothing that it sent"
        );
        let written = written.saturating_sub(written_before) as f64;
        self.reduced
            .push(written / (encoded - encoded_before) as f64);
        Ok(())
    }

    fn note(&self) -> Option<String> {
        self.reduced
            .median()
            .map(|ratio| format!("{ratio:.2} bytes written for each byte sent"))
    }
}

/// Feeds a recording; returns megabytes of data per second.
async fn deliver(feed: &mut Feed, recording: &Recording) -> anyhow::Result<f64> {
    let in_last_batch = BATCH_BYTES / crate::recorded_feed::RECORD_BYTES as u64;
    let counted = Sequence(
        recording
            .last
            .0
            .saturating_sub(in_last_batch)
            .max(recording.first.0),
    );
    let started = Instant::now();
    feed.send(&recording.frames).await?;
    let reached = feed.durable(counted).await?;
    let rate = recording.data_bytes_through(reached) as f64 / started.elapsed().as_secs_f64() / 1e6;
    feed.durable(recording.last).await?;
    Ok(rate)
}

/// Writes through the capture and waits until it is published; returns megabytes per second.
pub(super) fn through_everything(
    site: &Site,
    lab: &BenchLab,
    content: fio::Content,
    label: &str,
) -> anyhow::Result<f64> {
    let plan = site.plan();
    let uri = lab.uri()?;
    let job = Job {
        extent: Extent::Bytes(plan.delivery_bytes),
        ..load(&uri, plan.disk_bytes, content)
    };
    let started = Instant::now();
    job.run()?;
    lab.api().wait_published(GROUP, label)?;
    Ok(plan.delivery_bytes as f64 / started.elapsed().as_secs_f64() / 1e6)
}

/// The load of the full stack; its extent is for the caller to set.
pub(super) fn load(uri: &str, disk_bytes: u64, content: fio::Content) -> Job<'_> {
    Job {
        uri,
        disk_bytes,
        pattern: Pattern::RandomWrite,
        block_bytes: BLOCK_BYTES,
        depth: 16,
        flush_every: 0,
        flush_at_end: false,
        content,
        extent: Extent::Bytes(0),
    }
}

fn figures(bare: &Samples, recorded: &[Rates; 2], stack: &[Rates; 2]) -> Vec<Figure> {
    let figure = |what: &str, rates: &Rates| {
        Figure::new(what, Unit::MegabytesPerSecond, rates.samples.clone())
            .against(bare_quic::NAME, bare.clone())
            .note(rates.note())
    };
    vec![
        figure("gateway to receiver, incompressible, durable", &recorded[0])
            .target(Target::RatioAtLeast(0.6)),
        figure("gateway to receiver, 3:1, durable", &recorded[1]).target(Target::AtLeast(417.0)),
        figure("full stack, incompressible, published", &stack[0]),
        figure("full stack, 3:1, published", &stack[1]).target(Target::AtLeast(200.0)),
    ]
}
