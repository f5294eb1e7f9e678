//! The recovery point objective while half of what the full stack can carry is written.

use super::delivery;
use crate::{
    figures::{Figure, Target, Unit},
    fio::{Content, Extent, Job},
    interrupt,
    samples::Samples,
    site::{BenchLab, Site},
};
use anyhow::ensure;
use std::time::{Duration, Instant};

const ASK_EVERY: Duration = Duration::from_millis(100);
/// From the load's start until it is looked at.
const SETTLING: Duration = Duration::from_secs(2);

/// Measures it. `sustainable` is in bytes per second; without it, it is measured first.
///
/// # Errors
/// When something does not work.
pub(crate) fn run(
    site: &Site,
    lab: &BenchLab,
    sustainable: Option<f64>,
) -> anyhow::Result<Vec<Figure>> {
    let plan = site.plan();
    let sustainable = match sustainable {
        Some(known) => known,
        None => delivery::through_everything(site, lab, Content::ThreeToOne, "sustainable")? * 1e6,
    };
    let bytes_per_second = (sustainable / 2.0) as u64;
    let seconds = plan.rpo_watch.as_secs();
    eprintln!(
        "bench: watching the RPO for {seconds} s at {} MB/s",
        bytes_per_second / 1_000_000
    );
    let uri = lab.uri()?;
    let extent = Extent::Paced {
        duration: SETTLING + plan.rpo_watch,
        bytes_per_second,
    };
    let load = Job {
        extent,
        ..delivery::load(&uri, plan.disk_bytes, Content::ThreeToOne)
    };
    let running = load.start()?;
    std::thread::sleep(SETTLING);
    let (known, unknown) = watch(lab, plan.rpo_watch)?;
    let outcome = running.wait()?;
    ensure!(
        known.count() > 0,
        "the RPO was never known while it was watched"
    );
    let note = format!(
        "{:.0} MB/s were written; {} samples, {unknown} of them unknown",
        outcome.bytes_per_second / 1e6,
        known.count() + unknown
    );
    let figure = |what: &str, percent: usize, most: f64| {
        Figure::new(what, Unit::Seconds, known.clone())
            .ours_is(known.percentile(percent))
            .target(Target::AtMost(most))
    };
    Ok(vec![
        figure("RPO at half of the sustainable load, p50", 50, 0.5).note(Some(note)),
        figure("RPO at half of the sustainable load, p99", 99, 2.0),
    ])
}

/// Asks for a while; returns what was told, and how often nothing was.
fn watch(lab: &BenchLab, duration: Duration) -> anyhow::Result<(Samples, usize)> {
    let (mut known, mut unknown) = (Samples::default(), 0);
    let end = Instant::now() + duration;
    let mut next = Instant::now();
    while next < end {
        interrupt::check()?;
        match lab.group()?["rpo_seconds"].as_f64() {
            Some(seconds) => known.push(seconds),
            None => unknown += 1,
        }
        next += ASK_EVERY;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok((known, unknown))
}
